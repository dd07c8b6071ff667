"""Use cases of the action plan: matrices, their lines, the subregions' choice, what is common.

A country keeps its plan, a coordinator chooses at most four lines of each dimension for her
subregion (from the countries' plans, or written at the meeting), and the four subregions' lines
together are the region's. What the exchange knows of a line (offers, agreements, who is behind
them) is worked out when it is read, and marked as such: nobody types it twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from flask_babel import lazy_gettext as _l
from marshmallow import fields, validate
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.exchange import Exchange
from broker.reference import Reference
from broker.schemas import Code, Day, Number, Strict, Text, codes, load
from matching.common_lines import CommonLine, find_common, likeness_of_lines
from models import (
    CYCLE,
    LANGUAGES,
    LIVE,
    MOST_CHOSEN,
    PUBLICLY_REGISTERED,
    REGION,
    ActionPlan,
    Agreement,
    Conflict,
    Country,
    InvalidInput,
    Need,
    NotAllowed,
    NotFound,
    Offer,
    Organisation,
    PlanIndicator,
    PlanLine,
    PlanLink,
    PlanReport,
    PlanStatus,
    Post,
    PostFacet,
    Role,
    TaskForce,
    User,
)

SUBREGIONS = ("caribbean", "mesoamerica", "andean", "southern_cone")
"""The subregions whose lines together make the regional plan."""

ALIKE = 0.55
"""Likeness from which lines of all four subregions are said to be common to them."""

COLUMN_NAMES = {
    "ilac_area": _l("ILAC priority area"),
    "priority": _l("Priority"),
    "results": _l("Expected results"),
    "indicators": _l("Result indicators"),
    "activities": _l("Main activities"),
    "responsible": _l("Responsible"),
    "resources": _l("Resources"),
    "other_actors": _l("Other actors"),
}
"""The columns of the matrix, in its order (meeting of 2007, annex IV)."""


class PlanIndicatorSchema(Strict):
    """A measured quantity of a line; what is not known yet stays open."""

    name = Text(400, required=True)
    unit = Text(60, load_default="")
    baseline = Number(allow_none=True, load_default=None)
    target = Number(allow_none=True, load_default=None)
    due = Day(load_default=None)


class LineSchema(Strict):
    """A line of the matrix."""

    dimension = Code("dimension", required=True)
    priority = Text(1000, required=True)
    language = fields.String(
        validate=validate.OneOf(LANGUAGES, error=_l("Choose one of the four languages.")),
        required=True,
    )
    ilac_area = Code("ilac_area", allow_none=True, load_default=None)
    results = Text(4000, load_default="")
    indicators = fields.List(
        fields.Nested(PlanIndicatorSchema), load_default=list, validate=validate.Length(max=12)
    )
    activities = Text(4000, load_default="")
    responsible = Text(1000, load_default="")
    resources = Text(2000, load_default="")
    other_actors = Text(2000, load_default="")
    horizon = Code("horizon", allow_none=True, load_default=None)
    themes = codes("theme", 8)
    mandates = codes("mandate")


class PlanReportSchema(Strict):
    """A value of an indicator of the plan."""

    on = Day(required=True)
    value = Number(required=True)
    note = Text(1000, load_default="")


WHOLE_LINE = (
    selectinload(PlanLine.indicators).selectinload(PlanIndicator.reports),
    selectinload(PlanLine.links),
)


# --- Plans ----------------------------------------------------------------------------------


def find_plans(starts: int | None = None) -> Select[ActionPlan]:
    """A query for the plans, of one cycle or of all; the newest cycle first."""
    query = select(ActionPlan).order_by(ActionPlan.starts.desc(), ActionPlan.scope)
    return query.where(ActionPlan.starts == starts) if starts is not None else query


def get_plan(session: Session, plan_id: int) -> ActionPlan:
    """A plan by its number, with all its lines; raises :class:`models.errors.NotFound`."""
    plan = session.get(
        ActionPlan, plan_id, options=[selectinload(ActionPlan.lines).options(*WHOLE_LINE)]
    )
    if plan is None:
        raise NotFound("no_such_plan", id=plan_id)
    return plan


def plan_of(session: Session, scope: str, starts: int) -> ActionPlan | None:
    """The plan of a scope for the cycle that begins in a year."""
    return session.scalar(
        select(ActionPlan).where(ActionPlan.scope == scope, ActionPlan.starts == starts)
    )


def cycle_of(day: date) -> int:
    """The first year of the cycle in which a day lies: cycles begin in odd years, as in 2007."""
    return day.year if day.year % CYCLE else day.year - 1


def scopes_for(by: User, reference: Reference) -> list[str]:
    """The scopes whose plans a person may open."""
    if by.is_secretariat:
        return [REGION, *SUBREGIONS, *reference.codes("region_country")]
    if by.role == Role.COORDINATOR and by.subregion:
        return [by.subregion]
    country = by.organisation.country_code
    return [country] if by.role == Role.FOCAL_POINT and country else []


def open_plan(
    session: Session, by: User, scope: str, starts: int, reference: Reference
) -> ActionPlan:
    """Open the plan of a country, a subregion or the region for a cycle.

    Raises
    ------
    NotAllowed
        The scope is not the person's.
    InvalidInput
        The year lies too far away.
    Conflict
        It is open already.
    """
    if scope not in (REGION, *SUBREGIONS) and scope not in reference.codes("region_country"):
        raise InvalidInput({"scope": [("unknown_code", {"code": scope[:40]})]})
    if scope not in scopes_for(by, reference):
        raise NotAllowed("edit_plan")
    if not 1990 <= starts <= 2100:
        raise InvalidInput({"starts": [("cycle_year", {})]})
    if plan_of(session, scope, starts) is not None:
        raise Conflict("plan_exists", years=f"{starts}–{starts + CYCLE - 1}")
    plan = ActionPlan(
        scope=scope,
        country_code=scope if scope in reference.codes("region_country") else None,
        starts=starts,
        ends=starts + CYCLE - 1,
    )
    session.add(plan)
    record(session, by, "plan.opened", plan, after={"scope": scope, "starts": starts})
    return plan


def settle_plan(session: Session, by: User, plan: ActionPlan, status: PlanStatus) -> None:
    """Adopt a plan, open an adopted one again, or close it at the end of its cycle."""
    may = by.is_secretariat if plan.scope == REGION else plan.can_be_edited_by(by)
    if not may:
        raise NotAllowed("edit_plan")
    if status == PlanStatus.ADOPTED and plan.scope != REGION and not plan.lines:
        raise Conflict("plan_is_empty")
    before = str(plan.status)
    plan.become(status)
    record(
        session, by, "plan.settled", plan, before={"status": before}, after={"status": str(status)}
    )


# --- Lines ----------------------------------------------------------------------------------


def content_of_line(line: PlanLine) -> dict[str, Any]:
    """The line in the shape of its schema, ready for JSON."""
    return {
        **{
            name: getattr(line, name)
            for name in LineSchema._declared_fields
            if name not in ("indicators", "themes", "mandates")
        },
        "themes": list(line.themes),
        "mandates": list(line.mandates),
        "indicators": [
            {
                "name": one.name,
                "unit": one.unit,
                "baseline": one.baseline,
                "target": one.target,
                "due": one.due.isoformat() if one.due else None,
            }
            for one in line.indicators
        ],
    }


def get_line(plan: ActionPlan, line_id: int) -> PlanLine:
    """A line of the plan; raises :class:`models.errors.NotFound`."""
    found = next((line for line in plan.lines if line.id == line_id), None)
    if found is None:
        raise NotFound("no_such_line", id=line_id)
    return found


def save_line(
    session: Session,
    by: User,
    plan: ActionPlan,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    line: PlanLine | None = None,
    revision: int | None = None,
) -> PlanLine:
    """Write a line into a plan, or change one.

    Raises
    ------
    NotAllowed
        The plan is not the person's.
    Conflict
        The plan is adopted, the subregion has four lines of this dimension already, or somebody
        else has changed the line since.
    InvalidInput
        For fields that are filled in wrongly.
    """
    plan.require_editable(by)
    values = load(LineSchema, data, reference)
    if line is not None and revision is not None and revision != line.revision:
        raise Conflict("line_changed")
    if not plan.is_countrys and (line is None or line.dimension != values["dimension"]):
        _require_room(session, plan, values["dimension"])
    before = content_of_line(line) if line is not None else {}
    if line is None:
        last = max((one.position for one in plan.lines), default=0)
        line = PlanLine(plan=plan, position=last + 1)
    indicators = values.pop("indicators")
    for name, value in values.items():
        setattr(line, name, value)
    line.themes, line.mandates = values.get("themes") or [], values.get("mandates") or []
    _write_indicators(line, indicators)
    session.add(line)
    session.flush()
    record(session, by, "plan.line_saved", line, before=before, after=content_of_line(line))
    return line


def _write_indicators(line: PlanLine, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Put the indicators in; one of the same name keeps its reports."""
    known = {one.name: one for one in line.indicators}
    line.indicators = [known.get(item["name"]) or PlanIndicator() for item in wanted]
    for indicator, item in zip(line.indicators, wanted, strict=True):
        for name, value in item.items():
            setattr(indicator, name, value)


def remove_line(session: Session, by: User, plan: ActionPlan, line: PlanLine) -> None:
    """Take a line out of a plan."""
    plan.require_editable(by)
    record(session, by, "plan.line_removed", line, before=content_of_line(line))
    plan.lines.remove(line)


def report_progress(
    session: Session,
    by: User,
    plan: ActionPlan,
    indicator_id: int,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    today: date,
) -> PlanReport:
    """Report a value of an indicator; possible while the plan is open or adopted.

    Raises
    ------
    NotAllowed
        The plan is not the person's.
    InvalidInput
        For fields that are filled in wrongly, or a day that has not come.
    """
    if not plan.can_be_edited_by(by):
        raise NotAllowed("edit_plan")
    if plan.status == PlanStatus.CLOSED:
        raise Conflict("plan_is_closed")
    found = [one for line in plan.lines for one in line.indicators if one.id == indicator_id]
    if not found:
        raise NotFound("no_such_indicator", id=indicator_id)
    values = load(PlanReportSchema, data, reference)
    if values["on"] > today:
        raise InvalidInput({"on": [("future_date", {})]})
    report = PlanReport(indicator=found[0], by_id=by.id, **values)
    session.add(report)
    session.flush()
    record(session, by, "plan.progress", report, after={"indicator": found[0].name, **values})
    return report


# --- What the exchange knows of a line ------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """What the exchange knows of a line.

    Attributes
    ----------
    needs, offers, agreements : list
        What is linked to it, as far as the public may see it.
    money : dict
        Currency → what the linked agreements have committed; sealed or withheld amounts are not
        among them.
    places : int
        Places that the linked agreements have committed.
    actors : list of Organisation
        Who gives or pays in linked offers and agreements, each once.
    """

    needs: list[Need] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    money: dict[str, Decimal] = field(default_factory=dict)
    places: int = 0
    actors: list[Organisation] = field(default_factory=list)


def known_of(session: Session, lines: Iterable[PlanLine]) -> dict[int, Known]:
    """What the exchange knows of each line, by the line's number; in three queries."""
    linked = [(line.id, link) for line in lines for link in line.links]
    ids: dict[str, set[int]] = {"need": set(), "offer": set(), "agreement": set()}
    for _line_id, link in linked:
        ids[link.kind].add(link.entity_id)
    found: dict[tuple[str, int], Any] = {}
    named = selectinload(Post.organisation)
    for kind, model in (("need", Need), ("offer", Offer)):
        rows: Iterable[Any] = (
            session.scalars(select(model).where(model.id.in_(ids[kind])).options(named))
            if ids[kind]
            else ()
        )
        found |= {(kind, post.id): post for post in rows if post.can_be_seen_by(None)}
    if ids["agreement"]:
        query = (
            select(Agreement)
            .where(Agreement.id.in_(ids["agreement"]), Agreement.status.in_(PUBLICLY_REGISTERED))
            .options(
                selectinload(Agreement.parties),
                selectinload(Agreement.terms),
                selectinload(Agreement.offer).selectinload(Offer.organisation),
            )
        )
        found |= {("agreement", one.id): one for one in session.scalars(query)}
    known: dict[int, Known] = {}
    for line_id, link in linked:
        entity = found.get((link.kind, link.entity_id))
        if entity is None:
            continue
        own = known.setdefault(line_id, Known())
        if link.kind == "need":
            own.needs.append(entity)
        elif link.kind == "offer":
            own.offers.append(entity)
        else:
            own.agreements.append(entity)
    return {line_id: _summed(own) for line_id, own in known.items()}


def _summed(known: Known) -> Known:
    money: Counter[str] = Counter()
    places = 0
    actors = {offer.organisation_id: offer.organisation for offer in known.offers}
    for agreement in known.agreements:
        terms = agreement.current_terms
        places += terms.places or 0
        if terms.money and terms.currency and agreement.shows_money_to(None):
            money[terms.currency] += terms.money  # type: ignore[assignment]
        giver = agreement.offer.organisation
        actors.setdefault(giver.id, giver)
    sums: dict[str, Any] = dict(money)
    return Known(known.needs, known.offers, known.agreements, sums, places, list(actors.values()))


def link_to_line(session: Session, by: User, plan: ActionPlan, line: PlanLine, text: str) -> None:
    """Say that a post or an agreement serves a line, by its reference.

    Raises
    ------
    InvalidInput
        Nothing public has that reference.
    Conflict
        It is linked already.
    """
    if not plan.can_be_edited_by(by):
        raise NotAllowed("edit_plan")
    kind, entity_id = _referred(session, text.strip().lower())
    if any((link.kind, link.entity_id) == (kind, entity_id) for link in line.links):
        raise Conflict("linked_already")
    line.links.append(PlanLink(kind=kind, entity_id=entity_id))
    record(session, by, "plan.linked", line, after={"link": text.strip().lower()})


def _referred(session: Session, reference: str) -> tuple[str, int]:
    post = session.scalar(select(Post).where(Post.reference == reference))
    if post is not None and post.can_be_seen_by(None):
        return str(post.kind), post.id
    agreement = session.scalar(
        select(Agreement).where(
            func.lower(Agreement.reference) == reference,
            Agreement.status.in_(PUBLICLY_REGISTERED),
        )
    )
    if agreement is None:
        raise InvalidInput({"reference": [("nothing_referred", {})]})
    return "agreement", agreement.id


def unlink_from_line(
    session: Session, by: User, plan: ActionPlan, line: PlanLine, link_id: int
) -> None:
    """Take a link off a line."""
    if not plan.can_be_edited_by(by):
        raise NotAllowed("edit_plan")
    found = next((link for link in line.links if link.id == link_id), None)
    if found is None:
        raise NotFound("no_such_link", id=link_id)
    line.links.remove(found)
    record(session, by, "plan.unlinked", line, before={"link": f"{found.kind} {found.entity_id}"})


MOST_SUGGESTED = 5


def suggest_links(session: Session, plan: ActionPlan, line: PlanLine) -> list[Post]:
    """Posts on the exchange that answer the line's mandates or share its themes.

    Needs are those of the plan's own country; offers of anybody. Those that cite one of the line's
    mandates come first.
    """
    wanted = {("theme", code) for code in line.themes} | {("mandate", c) for c in line.mandates}
    if not wanted:
        return []
    linked = {link.entity_id for link in line.links if link.kind != "agreement"}
    told = [code for _facet, code in wanted]
    rows = session.execute(
        select(PostFacet.post_id, PostFacet.facet, PostFacet.code)
        .join(Post, Post.id == PostFacet.post_id)
        .where(PostFacet.code.in_(told), Post.status.in_(LIVE))
    )
    points: Counter[int] = Counter()
    for post_id, facet, code in rows:
        if (facet, code) in wanted and post_id not in linked:
            points[post_id] += 5 if facet == "mandate" else 1
    best = [post_id for post_id, _n in sorted(points.items(), key=lambda p: (-p[1], p[0]))]
    posts = {
        post.id: post
        for post in session.scalars(
            select(Post).where(Post.id.in_(best[:60])).options(selectinload(Post.organisation))
        )
    }
    fitting = [
        posts[post_id] for post_id in best if post_id in posts and _is_of(plan, posts[post_id])
    ]
    return fitting[:MOST_SUGGESTED]


def _is_of(plan: ActionPlan, post: Post) -> bool:
    if post.kind == "offer" or plan.country_code is None:
        return True
    return isinstance(post, Need) and post.country_code == plan.country_code


# --- The subregions' choice -----------------------------------------------------------------


def priority_lines(session: Session, plan: ActionPlan) -> list[PlanLine]:
    """The priority lines of a subregion: its own and those chosen of its countries' plans."""
    query = (
        select(PlanLine)
        .where((PlanLine.plan_id == plan.id) | (PlanLine.subregion_plan_id == plan.id))
        .order_by(PlanLine.dimension, PlanLine.position, PlanLine.id)
        .options(*WHOLE_LINE, selectinload(PlanLine.plan), selectinload(PlanLine.chosen_by))
    )
    return list(session.scalars(query))


def _require_room(session: Session, plan: ActionPlan, dimension: str) -> None:
    count = sum(line.dimension == dimension for line in priority_lines(session, plan))
    if count >= MOST_CHOSEN:
        raise Conflict("four_lines_already", most=MOST_CHOSEN)


@dataclass(frozen=True)
class Candidate:
    """A line of a country's plan that a coordinator may choose, with the evidence for it.

    Attributes
    ----------
    countries : list of str
        Countries of the subregion whose plans have a line on one of its themes.
    needs, offers, agreements : int
        On its themes: open needs of the subregion, offers on the exchange, registered agreements
        for the subregion's needs.
    mandates : int
        Mandates that it answers.
    task_forces : list of str
        Codes of the task forces that work on one of its themes.
    """

    line: PlanLine
    countries: list[str]
    needs: int
    offers: int
    agreements: int
    mandates: int
    task_forces: list[str]

    @property
    def weight(self) -> tuple[int, int, int]:
        """The order in which candidates are shown: most countries first, then most needs."""
        return (-len(self.countries), -self.needs, self.line.id)


def candidates(session: Session, plan: ActionPlan) -> list[Candidate]:
    """The lines of the countries of a subregion for the same cycle, best supported first."""
    lines = list(
        session.scalars(
            select(PlanLine)
            .join(ActionPlan, ActionPlan.id == PlanLine.plan_id)
            .where(ActionPlan.starts == plan.starts, ActionPlan.country_code.is_not(None))
            .options(selectinload(PlanLine.plan), *WHOLE_LINE)
        )
    )
    lines = [line for line in lines if line.plan.subregion == plan.scope]
    needs = _posts_by_theme(session, "need", plan.scope)
    offers = _posts_by_theme(session, "offer", None)
    agreed = _agreements_by_theme(session, plan.scope)
    forces = {
        force.organisation.code: set(force.themes)
        for force in session.scalars(
            select(TaskForce).options(selectinload(TaskForce.organisation))
        )
    }
    found = []
    for line in lines:
        themes = set(line.themes)
        found.append(
            Candidate(
                line,
                sorted(
                    {
                        str(other.plan.country_code)
                        for other in lines
                        if other is line or themes & set(other.themes)
                    }
                ),
                len(set().union(*(needs.get(theme, set()) for theme in themes))),
                len(set().union(*(offers.get(theme, set()) for theme in themes))),
                len(set().union(*(agreed.get(theme, set()) for theme in themes))),
                len(line.mandates),
                [code for code, own in forces.items() if own & themes],
            )
        )
    return sorted(found, key=lambda candidate: candidate.weight)


def _posts_by_theme(session: Session, kind: str, subregion: str | None) -> dict[str, set[int]]:
    query = (
        select(PostFacet.code, Post.id)
        .join(Post, Post.id == PostFacet.post_id)
        .where(PostFacet.facet == "theme", Post.kind == kind, Post.status.in_(LIVE))
    )
    if subregion is not None:
        query = query.where(Post.id.in_(_needs_of(subregion)))
    found: dict[str, set[int]] = {}
    for theme, post_id in session.execute(query):
        found.setdefault(theme, set()).add(post_id)
    return found


def _needs_of(subregion: str) -> Select[int]:
    countries = select(Country.code).where(Country.subregion == subregion)
    return select(Need.id).where((Need.subregion == subregion) | Need.country_code.in_(countries))


def _agreements_by_theme(session: Session, subregion: str) -> dict[str, set[int]]:
    rows = session.execute(
        select(PostFacet.code, Agreement.id)
        .join(Agreement, Agreement.need_id == PostFacet.post_id)
        .where(
            PostFacet.facet == "theme",
            Agreement.status.in_(PUBLICLY_REGISTERED),
            Agreement.need_id.in_(_needs_of(subregion)),
        )
    )
    found: dict[str, set[int]] = {}
    for theme, agreement_id in rows:
        found.setdefault(theme, set()).add(agreement_id)
    return found


def choose_line(
    session: Session, by: User, plan: ActionPlan, line_id: int, reason: str
) -> PlanLine:
    """Make a line of a country's plan a priority of its subregion.

    Raises
    ------
    NotAllowed
        The subregion's plan is not the person's.
    Conflict
        It has four lines of this dimension already, or the line is chosen.
    InvalidInput
        No reason is given.
    NotFound
        The line is none of the subregion's countries for this cycle.
    """
    plan.require_editable(by)
    line = session.get(PlanLine, line_id, options=[selectinload(PlanLine.plan)])
    if (
        line is None
        or not line.plan.is_countrys
        or line.plan.subregion != plan.scope
        or line.plan.starts != plan.starts
    ):
        raise NotFound("no_such_line", id=line_id)
    if not reason.strip():
        raise InvalidInput({"reason": [("required", {})]})
    if line.subregion_plan_id is not None:
        raise Conflict("line_is_chosen")
    _require_room(session, plan, line.dimension)
    line.subregion_plan, line.choice_reason = plan, reason.strip()[:2000]
    line.chosen_by_id = by.id
    record(session, by, "plan.line_chosen", line, after={"reason": line.choice_reason})
    return line


def release_line(session: Session, by: User, plan: ActionPlan, line_id: int) -> None:
    """Take a chosen line out of the subregion's priorities; it stays in its country's plan."""
    plan.require_editable(by)
    line = session.get(PlanLine, line_id)
    if line is None or line.subregion_plan_id != plan.id:
        raise NotFound("no_such_line", id=line_id)
    record(session, by, "plan.line_released", line, before={"reason": line.choice_reason})
    line.subregion_plan, line.choice_reason, line.chosen_by_id = None, "", None


# --- The region -----------------------------------------------------------------------------


def regional_lines(session: Session, starts: int) -> dict[str, list[PlanLine]]:
    """Subregion → its priority lines for a cycle; subregions without a plan have none."""
    plans = {
        plan.scope: plan
        for plan in session.scalars(
            select(ActionPlan).where(ActionPlan.starts == starts, ActionPlan.scope.in_(SUBREGIONS))
        )
    }
    return {
        scope: priority_lines(session, plans[scope]) if scope in plans else []
        for scope in SUBREGIONS
    }


@dataclass(frozen=True)
class Common:
    """A priority that all four subregions share.

    Attributes
    ----------
    lines : list of (str, PlanLine)
        Subregion and its line, in the order of ``SUBREGIONS``.
    likeness : float
        That of the two least alike lines, 0 to 1.
    themes : list of str
        Themes that at least two of them name.
    """

    lines: list[tuple[str, PlanLine]]
    likeness: float
    themes: list[str]


def common_lines(
    exchange: Exchange, session: Session, found: Mapping[str, Sequence[PlanLine]]
) -> list[Common]:
    """The lines that the four subregions have in common, in whatever languages they are written.

    Parameters
    ----------
    found : mapping
        Subregion → lines, as of :func:`regional_lines`.
    """
    lines = [(scope, line) for scope in SUBREGIONS for line in found.get(scope, ())]
    if len({scope for scope, _line in lines}) < len(SUBREGIONS):
        return []
    texts = _text_likeness(exchange, session, [line for _scope, line in lines])
    likeness = likeness_of_lines(texts, [frozenset(line.themes) for _scope, line in lines])
    common: list[CommonLine] = find_common(likeness, [scope for scope, _line in lines], least=ALIKE)
    return [
        Common(
            [lines[member] for member in one.members],
            one.likeness,
            _shared_themes([lines[member][1] for member in one.members]),
        )
        for one in common
    ]


def _shared_themes(lines: Sequence[PlanLine]) -> list[str]:
    counts = Counter(theme for line in lines for theme in set(line.themes))
    return [theme for theme, count in counts.most_common() if count > 1]


def _text_likeness(exchange: Exchange, session: Session, lines: Sequence[PlanLine]) -> Any:
    """Likeness of every two lines' texts: each once as what is asked, once as what is given."""
    engine = exchange.engine
    sides: dict[str, Any] = {}
    for side in ("need", "offer"):
        rows = [
            engine.vector_of(
                session, line.priority, f"{line.results}\n{line.activities}", line.language, side
            )
            for line in lines
        ]
        sides[side] = np.stack(rows)
    exchange.vectors.keep()
    return engine.text_model.calibrate(sides["need"] @ sides["offer"].T)


# --- Progress -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How a plan stands against its targets.

    Attributes
    ----------
    indicators, with_target, reported, reached, late : int
        All; those with a target; those with a report; those whose target is reached; those whose
        day has passed without.
    mean : float or None
        Mean share of the way to the target over those with target and report, each between 0
        and 1.
    """

    indicators: int
    with_target: int
    reported: int
    reached: int
    late: int
    mean: float | None


def progress_of(lines: Iterable[PlanLine], *, today: date) -> Progress:
    """Sum up the indicators of lines."""
    found = [one for line in lines for one in line.indicators]
    shares = [share for one in found if (share := one.progress()) is not None]
    reached = sum(share >= 1.0 for share in shares)
    late = sum(
        one.due is not None
        and one.due < today
        and one.target is not None
        and (one.progress() or 0.0) < 1.0
        for one in found
    )
    return Progress(
        len(found),
        sum(one.target is not None for one in found),
        sum(bool(one.reports) for one in found),
        reached,
        late,
        sum(min(max(share, 0.0), 1.0) for share in shares) / len(shares) if shares else None,
    )
