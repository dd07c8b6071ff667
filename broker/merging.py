"""Merging two organisations that are one: what one has moves to the other, old links go on working.

What refers to an organisation is read from the tables themselves, so that nothing is forgotten
when a new one is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import fields
from sqlalchemy import Column, Table, UniqueConstraint, and_, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from broker.audit import record
from broker.news import tell_of_merging
from broker.reference import Reference
from broker.schemas import Strict, Text, load
from broker.weights import require_secretariat
from models import (
    Agreement,
    AgreementParty,
    Base,
    Conflict,
    InvalidInput,
    Match,
    MatchStatus,
    NotFound,
    Organisation,
    Post,
    ProposalStatus,
    RoundProposal,
    TaskForce,
    User,
    utc_now,
)

MOVED_NAMES = {
    "need": _l("Needs"),
    "offer": _l("Offers"),
    "user_account": _l("Accounts"),
    "agreement_party": _l("Places as a party to an agreement"),
    "agreement_rating": _l("Ratings that it gave"),
    "document": _l("Documents that it attached"),
}
"""Table of what moves → its name; other tables are told by their own."""

HELD_MATCHES = frozenset({MatchStatus.INTEREST, MatchStatus.MUTUAL, MatchStatus.AGREEMENT})
"""Matches in which both sides have begun to deal with each other."""

FEW = 10
"""References that an obstacle names."""


class MergeSchema(Strict):
    """Why two organisations are one, and that the person has read what moves."""

    reason = Text(2000, required=True)
    sure = fields.Boolean(load_default=False)
    unlike = fields.Boolean(load_default=False)


@dataclass(frozen=True)
class MergePlan:
    """What merging ``gone`` into ``kept`` would do.

    Attributes
    ----------
    moves : Mapping
        Table → numbers of the rows that move; posts by their kind.
    names : dict
        The names that the kept one will have: its own, and the other's in languages it has none.
    aliases : list of str
        All its other names: both organisations' aliases, and the other's names and acronym.
    unlike : tuple of str
        ``"kind"``, ``"country"``: in what the two differ, which has to be confirmed.
    obstacles : tuple of Conflict
        Why the two cannot be merged as they are; empty if they can.
    """

    kept: Organisation
    gone: Organisation
    moves: Mapping[str, Sequence[int]]
    names: dict[str, str]
    aliases: list[str]
    unlike: tuple[str, ...]
    obstacles: tuple[Conflict, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows of each table move; without those of which none does."""
        return {name: len(ids) for name, ids in self.moves.items() if ids}


def get_organisation(session: Session, code: str) -> Organisation:
    """The organisation of just that code, merged or not; raises :class:`models.errors.NotFound`."""
    found = session.scalar(select(Organisation).where(Organisation.code == code))
    if found is None:
        raise NotFound("no_such_organisation", code=code)
    return found


def plan_merge(session: Session, by: User, kept: Organisation, gone: Organisation) -> MergePlan:
    """What merging would move, and what stands in its way. Nothing is changed.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    """
    require_secretariat(by)
    moves = dict(_moves(session, gone))
    return MergePlan(
        kept=kept,
        gone=gone,
        moves=moves,
        names={**gone.names, **kept.names},
        aliases=_joined_aliases(kept, gone),
        unlike=tuple(
            name
            for name, one, other in (
                ("kind", kept.kind, gone.kind),
                ("country", kept.country_code, gone.country_code),
            )
            if one != other
        ),
        obstacles=tuple(_obstacles(session, kept, gone)),
    )


def merge_organisations(
    session: Session,
    by: User,
    kept: Organisation,
    gone: Organisation,
    data: Mapping[str, Any],
    reference: Reference,
) -> MergePlan:
    """Move all that ``gone`` has to ``kept``; old links to ``gone`` lead there from now on.

    The audit event keeps the numbers of all rows that moved and what the kept one was called
    before, so that a merge can be taken apart by hand.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    Conflict
        If the two have dealings with each other, or one is merged already.
    InvalidInput
        Without a reason, or without the confirmations that are asked for.
    """
    require_secretariat(by)
    # Whoever adds something to either meanwhile has finished before, or waits until this is done.
    ids = sorted({kept.id, gone.id})
    session.scalars(
        select(Organisation)
        .where(Organisation.id.in_(ids))
        .order_by(Organisation.id)
        .with_for_update(of=Organisation)
        .execution_options(populate_existing=True)
    ).all()
    plan = plan_merge(session, by, kept, gone)
    if plan.obstacles:
        raise plan.obstacles[0]
    values = load(MergeSchema, data, reference)
    problems: dict[str, object] = {
        name: [("confirm_this", {})]
        for name, asked in (("sure", True), ("unlike", bool(plan.unlike)))
        if asked and not values[name]
    }
    if problems:
        raise InvalidInput(problems)
    before = {"names": dict(kept.names), "aliases": list(kept.aliases)}
    for column in referring_columns():
        session.execute(update(column.table).where(column == gone.id).values({column: kept.id}))
    # Every process's book reads again what has changed since.
    moved_posts = [*plan.moves.get("need", ()), *plan.moves.get("offer", ())]
    _touch(session, moved_posts)
    kept.names, kept.aliases = plan.names, plan.aliases
    gone.merged_into_id = kept.id
    session.execute(
        update(Organisation)
        .where(Organisation.merged_into_id == gone.id)
        .values(merged_into_id=kept.id)
    )
    session.flush()
    record(
        session,
        by,
        "organisation.merged",
        kept,
        before=before,
        after={
            "names": kept.names,
            "aliases": kept.aliases,
            "merged": _described(gone),
            "moved": {name: list(ids) for name, ids in plan.moves.items() if ids},
            "reason": values["reason"],
        },
    )
    record(
        session,
        by,
        "organisation.merged_away",
        gone,
        after={"merged_into": kept.code, "reason": values["reason"]},
    )
    tell_of_merging(session, by, kept, dict(gone.names))
    session.expire_all()
    return plan


def referring_columns() -> list[Column[Any]]:
    """Every column that names an organisation, but for those of what makes one itself."""
    own = Organisation.__table__
    kept_apart = {own, TaskForce.__table__}
    return [
        column
        for table in Base.metadata.sorted_tables
        if table not in kept_apart
        for column in table.columns
        if any(key.column is own.c.id for key in column.foreign_keys)
    ]


def _moves(session: Session, gone: Organisation) -> Iterator[tuple[str, Sequence[int]]]:
    posts = session.execute(
        select(Post.kind, Post.id).where(Post.organisation_id == gone.id).order_by(Post.id)
    ).all()
    for kind in ("need", "offer"):
        yield kind, [number for found, number in posts if found == kind]
    for column in referring_columns():
        table = column.table
        if table is Post.__table__:
            continue
        key = next(iter(table.primary_key.columns))
        yield (
            _name_of(column),
            session.scalars(select(key).where(column == gone.id).order_by(key)).all(),
        )


def _name_of(column: Column[Any]) -> str:
    """The table's name; with the column's where the table names several organisations."""
    same = [c for c in referring_columns() if c.table is column.table]
    table: Any = column.table
    return str(table.name) if len(same) == 1 else f"{table.name}.{column.name}"


def _joined_aliases(kept: Organisation, gone: Organisation) -> list[str]:
    known = {name.casefold() for name in [*kept.names.values(), kept.acronym or ""]}
    found: dict[str, str] = {}
    for name in [*kept.aliases, *gone.names.values(), gone.acronym or "", *gone.aliases]:
        if name and name.casefold() not in known:
            found.setdefault(name.casefold(), name)
    return list(found.values())


def _obstacles(session: Session, kept: Organisation, gone: Organisation) -> Iterator[Conflict]:
    if kept.id == gone.id:
        yield Conflict("merge_itself")
        return
    for one in (kept, gone):
        if one.merged_into_id is not None:
            yield Conflict("merged_already", code=one.code)
    if gone.task_force is not None:
        yield Conflict("merge_task_force", code=gone.code)
    shared = _agreements_of_both(session, kept, gone)
    if shared:
        yield Conflict("merge_agreement_between", references=shared)
    dealings = _dealings_between(session, kept, gone)
    if dealings:
        yield Conflict("merge_interest_between", references=dealings)
    if not shared:
        for table in _clashing_tables(session, kept, gone):
            yield Conflict("merge_clash", what=str(MOVED_NAMES.get(table, table)))


def _agreements_of_both(session: Session, kept: Organisation, gone: Organisation) -> list[str]:
    def of(one: Organisation) -> Any:
        return select(AgreementParty.agreement_id).where(AgreementParty.organisation_id == one.id)

    query = select(Agreement.reference).where(
        Agreement.id.in_(of(kept)), Agreement.id.in_(of(gone))
    )
    return list(session.scalars(query.order_by(Agreement.reference).limit(FEW)))


def _dealings_between(session: Session, kept: Organisation, gone: Organisation) -> list[str]:
    """``need – offer`` of matches and proposals between the two that are not over."""
    need, offer = aliased(Post), aliased(Post)
    between = or_(
        and_(need.organisation_id == kept.id, offer.organisation_id == gone.id),
        and_(need.organisation_id == gone.id, offer.organisation_id == kept.id),
    )
    found: dict[str, None] = {}
    for pair, held in (
        (Match, Match.status.in_(HELD_MATCHES)),
        (RoundProposal, RoundProposal.status == ProposalStatus.WAITING),
    ):
        rows = session.execute(
            select(need.reference, offer.reference)
            .select_from(pair)
            .join(need, need.id == pair.need_id)
            .join(offer, offer.id == pair.offer_id)
            .where(between, held)
            .order_by(need.reference, offer.reference)
            .limit(FEW)
        )
        found |= {f"{asking} – {giving}": None for asking, giving in rows}
    return list(found)


def _clashing_tables(session: Session, kept: Organisation, gone: Organisation) -> Iterator[str]:
    """Tables in which both have a row of which there may be only one."""
    for column in referring_columns():
        table: Any = column.table
        for unique in _unique_sets(table):
            if column.name not in unique:
                continue
            one, other = table.alias(), table.alias()
            same = [one.c[name] == other.c[name] for name in unique if name != column.name]
            clash = (
                select(func.count())
                .select_from(one)
                .join(other, and_(True, *same))
                .where(one.c[column.name] == kept.id, other.c[column.name] == gone.id)
            )
            if session.scalar(clash):
                yield str(table.name)
                break


def _unique_sets(table: Table) -> list[frozenset[str]]:
    sets = [
        frozenset(column.name for column in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint) or constraint is table.primary_key
    ]
    return sets + [
        frozenset(column.name for column in index.columns)
        for index in table.indexes
        if index.unique
    ]


def _touch(session: Session, posts: Sequence[int]) -> None:
    table: Any = Post.__table__
    now = utc_now()
    for start in range(0, len(posts), 500):
        some = posts[start : start + 500]
        session.execute(update(table).where(table.c.id.in_(some)).values(updated_at=now))


def _described(organisation: Organisation) -> dict[str, Any]:
    return {
        "id": organisation.id,
        "code": organisation.code,
        "kind": organisation.kind,
        "country": organisation.country_code,
        "names": dict(organisation.names),
        "acronym": organisation.acronym,
        "aliases": list(organisation.aliases),
    }
