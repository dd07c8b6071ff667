"""What a match report is about: a period, a place, a programme, a task force, and a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import ValidationError, validates_schema
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from broker.messages import FIELD_PROBLEMS
from broker.posts import CLASSES, PostFilter, find_posts
from broker.reference import Reference
from broker.schemas import Code, Count, Day, Strict, Text, load
from broker.supply_demand import View
from models import (
    Country,
    InvalidInput,
    MatchRun,
    Need,
    Offer,
    Organisation,
    PostFacet,
    PostStatus,
    TaskForce,
)

FILTERS = ("subregion", "country", "programme", "task_force")
"""What a report can be narrowed to, by the name of its parameter."""


FILTER_NAMES = {
    "subregion": _l("Subregion"),
    "country": _l("Country"),
    "programme": _l("Programme"),
    "task_force": _l("Task force"),
}
"""Filter → its name."""


class ReportSchema(Strict):
    """The filters of a report, as an address, the API and the command line give them."""

    since = Day(data_key="from")
    until = Day(data_key="to")
    subregion = Code("subregion", allow_none=True)
    country = Code("region_country", allow_none=True)
    programme = Code("programme", allow_none=True)
    task_force = Text(64, allow_none=True)
    run = Count()
    against = Count()
    currency = Code("currency", allow_none=True)

    @validates_schema(skip_on_field_errors=True)
    def _period_runs_forward(self, data: dict[str, Any], **_: Any) -> None:
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            raise ValidationError(str(FIELD_PROBLEMS["before_start"]), "to")


PARAMETERS = {name: field.data_key or name for name, field in ReportSchema._declared_fields.items()}
"""Field of :class:`ReportScope` → its name in an address."""

NOT_YET = _l("This period has not begun. Choose a day up to today.")


@dataclass(frozen=True)
class ReportScope:
    """The filters of one report.

    Attributes
    ----------
    today : date
        The day on which the report is made: where no end is given, it goes up to here.
    since, until : date, optional
        First and last day of the period, both included.
    run, against : int, optional
        Number of the match run that the report rests on, and of the one it is compared with.
    currency : str, optional
        Currency into which the sums of money are converted, beside the sums as they are.
    themes : tuple of str
        Themes of the task force, if there is one: the needs on them are its demand.
    """

    today: date
    since: date | None = None
    until: date | None = None
    subregion: str | None = None
    country: str | None = None
    programme: str | None = None
    task_force: str | None = None
    run: int | None = None
    against: int | None = None
    currency: str | None = None
    themes: tuple[str, ...] = ()
    view: View = field(default_factory=View)

    @property
    def last_day(self) -> date:
        """The day up to which the report tells: the period's last, or today."""
        return min(self.until, self.today) if self.until else self.today

    @cached_property
    def begins(self) -> datetime | None:
        """The first moment of the period (UTC)."""
        return _midnight(self.since) if self.since else None

    @cached_property
    def ends(self) -> datetime:
        """The first moment after the period (UTC)."""
        return _midnight(self.last_day + timedelta(days=1))

    @property
    def is_narrowed(self) -> bool:
        """Whether the report is about less than the whole exchange."""
        return any(getattr(self, name) for name in FILTERS)

    def parameters(self, **changes: Any) -> dict[str, Any]:
        """The filters as parameters of an address; ``changes`` in the words of the address."""
        found = {
            key: _plain(value)
            for name, key in PARAMETERS.items()
            if (value := getattr(self, name)) is not None
        }
        found.update(changes)
        return {key: value for key, value in found.items() if value not in (None, "")}

    def before(self) -> ReportScope | None:
        """The period of the same length that came before; None where there is no first day."""
        if self.since is None:
            return None
        length = self.last_day - self.since
        until = self.since - timedelta(days=1)
        return replace(self, since=until - length, until=until, run=None, against=None)

    def within(self, moment: Any) -> list[ColumnElement[bool]]:
        """A column of moments lies within the period."""
        conditions = [moment < self.ends]
        if self.begins is not None:
            conditions.append(moment >= self.begins)
        return conditions

    def of_needs(self) -> list[ColumnElement[bool]]:
        """Conditions for the needs that the report is about."""
        conditions = self._placed(Need.id)
        if self.programme:
            conditions.append(_carrying(Need.id, "programme", (self.programme,)))
        if self.task_force:
            conditions.append(_carrying(Need.id, "theme", self.themes))
        return conditions

    def of_offers(self) -> list[ColumnElement[bool]]:
        """Conditions for the offers that the report is about: those that can serve the place."""
        conditions: list[ColumnElement[bool]] = []
        if self.subregion:
            conditions.append(_serving(subregions=(self.subregion,)))
        if self.country:
            conditions.append(_serving(countries=(self.country,)))
        if self.programme:
            conditions.append(_carrying(Offer.id, "programme", (self.programme,)))
        if self.task_force:
            conditions.append(Offer.id.in_(self._given()))
        return conditions

    def of_pairs(self, need_id: Any, offer_id: Any) -> list[ColumnElement[bool]]:
        """Conditions for what stands between a need and an offer: matches, interests, agreements.

        The place is the need's; a programme is that of either side; a task force gives.
        """
        conditions = self._placed(need_id)
        if self.programme:
            conditions.append(
                or_(
                    _carrying(need_id, "programme", (self.programme,)),
                    _carrying(offer_id, "programme", (self.programme,)),
                )
            )
        if self.task_force:
            conditions.append(offer_id.in_(self._given()))
        return conditions

    def _placed(self, need_id: Any) -> list[ColumnElement[bool]]:
        conditions = in_subregion(need_id, self.subregion)
        if self.country:
            conditions.append(need_id.in_(select(Need.id).where(Need.country_code == self.country)))
        return conditions

    def _given(self) -> Any:
        return (
            select(Offer.id)
            .join(Organisation, Offer.organisation_id == Organisation.id)
            .where(Organisation.code == self.task_force)
        )


def read_scope(
    session: Session, parameters: Mapping[str, Any], reference: Reference, *, today: date
) -> ReportScope:
    """The filters that an address or a command asks for; what is empty is left open.

    Raises
    ------
    InvalidInput
        For a code, a run or a task force that does not exist, and a period that runs backwards or
        has not begun.
    """
    given = {key: parameters[key] for key in PARAMETERS.values() if parameters.get(key)}
    problems: dict[str, Any] = {}
    values: dict[str, Any] = {}
    view = View()
    try:
        values = load(ReportSchema, given, reference)
    except InvalidInput as error:
        problems |= error.fields
    try:
        view = View.read(parameters, reference)
    except InvalidInput as error:
        problems |= error.fields | problems
    since, code = values.get("since"), values.get("task_force")
    if since and since > today:
        problems["from"] = [str(NOT_YET)]
    for name in ("run", "against"):
        if values.get(name) and session.get(MatchRun, values[name]) is None:
            problems[name] = [("unknown_code", {"code": str(values[name])})]
    force = find_task_force(session, code) if code else None
    if code and force is None:
        problems["task_force"] = [("unknown_code", {"code": code})]
    if problems:
        raise InvalidInput(problems)
    return ReportScope(today, themes=tuple(force.themes) if force else (), view=view, **values)


def find_task_force(session: Session, code: str) -> TaskForce | None:
    """The task force of an organisation's code."""
    return session.scalar(
        select(TaskForce)
        .join(Organisation, TaskForce.organisation_id == Organisation.id)
        .where(Organisation.code == code)
    )


def task_force_choices(session: Session, language: str) -> list[tuple[str, str]]:
    """``(code, name)`` of the task forces, by name."""
    found = session.scalars(
        select(Organisation).join(TaskForce, TaskForce.organisation_id == Organisation.id)
    )
    return sorted(((o.code, o.name(language)) for o in found), key=lambda pair: pair[1].casefold())


def in_subregion(need_id: Any, code: str | None) -> list[ColumnElement[bool]]:
    """The need concerns that one subregion, as :meth:`models.Need.subregions` says."""
    if code is None:
        return []
    countries = select(Country.code).where(Country.subregion == code)
    needs = select(Need.id).where(
        or_(
            Need.country_code.in_(countries),
            and_(Need.country_code.is_(None), Need.subregion == code),
        )
    )
    return [need_id.in_(needs)]


def _carrying(post_id: Any, facet: str, codes: tuple[str, ...]) -> ColumnElement[bool]:
    return post_id.in_(  # type: ignore[no-any-return]
        select(PostFacet.post_id).where(PostFacet.facet == facet, PostFacet.code.in_(codes))
    )


def _serving(**places: tuple[str, ...]) -> ColumnElement[bool]:
    """Whom an offer serves is decided by the list of posts alone (:mod:`broker.posts`)."""
    filters = PostFilter("offer", statuses=frozenset(PostStatus), **places)  # type: ignore[arg-type]
    condition: Any = find_posts(filters).whereclause
    return Offer.id.in_(select(CLASSES["offer"].id).where(condition).correlate(None))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
