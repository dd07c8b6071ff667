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
from sqlalchemy import Column, Table, UniqueConstraint, and_, delete, or_, select, update
from sqlalchemy.orm import Session, aliased

from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.news import tell_of_merging
from broker.reference import Reference
from broker.schemas import Strict, Text, load
from broker.weights import require_secretariat
from models import (
    Agreement,
    AgreementParty,
    Base,
    Conflict,
    ImportedRow,
    InvalidInput,
    InvitationStatus,
    Match,
    MatchStatus,
    NotFound,
    Organisation,
    PilotInvitation,
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
    "directory_entry.organisation_id": _l("Entries of the directories"),
    "directory_entry.certified_by_id": _l("Specialists that it certified"),
    "import_file": _l("Imports"),
    "imported_row": _l("Rows that it imported"),
    "pilot_invitation.task_force_id": _l("Invitations to pilots that it sent"),
    "pilot_invitation.organisation_id": _l("Invitations to pilots that it received"),
    "conflict_of_interest": _l("Conflicts of interest that name it"),
    "webhook": _l("Webhooks"),
}
"""What moves → its name, for every column that names an organisation."""

YIELDING = frozenset({ImportedRow.__tablename__, PilotInvitation.__tablename__})
"""Tables in which one of two rows falls away where both organisations have the same.

The row of an import says only how a file calls a post, and the post stays. Of two invitations to
the same pilot one stays, the answered one first.
"""

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
    falls_away : Mapping
        Table → numbers of the rows of which both have the same, and one is enough.
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
    falls_away: Mapping[str, Sequence[int]]
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
    twins = list(_twins(session, kept, gone))
    falls_away = _falling_away(session, twins)
    return MergePlan(
        kept=kept,
        gone=gone,
        moves={
            name: [number for number in ids if number not in falls_away.get(name.split(".")[0], ())]
            for name, ids in _moves(session, gone)
        },
        falls_away=falls_away,
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
        obstacles=tuple(_obstacles(session, kept, gone, twins)),
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
    require_no_conflict(session, by, kept, gone)
    values = load(MergeSchema, data, reference)
    problems: dict[str, object] = {
        name: [("confirm_this", {})]
        for name, asked in (("sure", True), ("unlike", bool(plan.unlike)))
        if asked and not values[name]
    }
    if problems:
        raise InvalidInput(problems)
    before = {"names": dict(kept.names), "aliases": list(kept.aliases)}
    fallen = {name: _take_away(session, name, ids) for name, ids in plan.falls_away.items()}
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
            **({"fallen_away": fallen} if fallen else {}),
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
            name_of(column),
            session.scalars(select(key).where(column == gone.id).order_by(key)).all(),
        )


def name_of(column: Column[Any]) -> str:
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


def _obstacles(
    session: Session, kept: Organisation, gone: Organisation, twins: Sequence[Twins]
) -> Iterator[Conflict]:
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
        for table in dict.fromkeys(table.name for table, _stays, _goes in twins):
            if table not in YIELDING:
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


Twins = tuple[Table, int, int]
"""A table, and two of its rows that are the same but for the organisation: of the one that stays,
and of the one that goes."""


def _twins(session: Session, kept: Organisation, gone: Organisation) -> Iterator[Twins]:
    """Rows of both of which one organisation may have only one."""
    for column in referring_columns():
        table: Any = column.table
        key = next(iter(table.primary_key.columns)).name
        for unique in _unique_sets(table):
            if column.name not in unique:
                continue
            one, other = table.alias(), table.alias()
            same = [one.c[name] == other.c[name] for name in unique if name != column.name]
            rows = session.execute(
                select(one.c[key], other.c[key])
                .select_from(one)
                .join(other, and_(True, *same))
                .where(one.c[column.name] == kept.id, other.c[column.name] == gone.id)
                .order_by(one.c[key])
            )
            for stays, goes in rows:
                yield table, stays, goes


def _falling_away(session: Session, twins: Sequence[Twins]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for table, stays, goes in twins:
        if table.name not in YIELDING:
            continue
        if table is PilotInvitation.__table__ and _is_answered(session, goes):
            falls = goes if _is_answered(session, stays) else stays
        else:
            falls = goes
        found.setdefault(table.name, []).append(falls)
    return found


def _is_answered(session: Session, invitation_id: int) -> bool:
    return session.get_one(PilotInvitation, invitation_id).status != InvitationStatus.ASKED


def _take_away(session: Session, name: str, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Delete those rows of a table; gives what they said."""
    table = Base.metadata.tables[name]
    these = table.c.id.in_(ids)
    said = [dict(row) for row in session.execute(select(table).where(these)).mappings()]
    session.execute(delete(table).where(these))
    return said


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
