"""Reading delegation: who writes needs for whose country, and what became of their endorsement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.secretariat import organisation_matches, scope_of
from models import (
    MODERATORS,
    AuditEvent,
    Country,
    Need,
    NotAllowed,
    Organisation,
    PostStatus,
    Role,
    User,
)

STATES = {
    "waiting": _l("waits for the focal point"),
    "endorsed": _l("endorsed"),
    "returned": _l("returned to its writer"),
    "taken_back": _l("taken back before an answer"),
}
"""What has become of a need that a colleague sent to her focal point → its name."""

SENT = "post.sent_for_endorsement"
ANSWERS = {"post.endorsed": "endorsed", "post.endorsement_declined": "returned"}
"""Action of an event that answers → the state that the need is in after it."""

MOST_WORDS = 8
"""Words of a search that are looked at."""


@dataclass(frozen=True)
class EndorsementFilter:
    """What the list is narrowed to; every field is a parameter of its address."""

    state: str = ""
    country: str = ""
    text: str = ""


@dataclass(frozen=True)
class Endorsement:
    """A need that a colleague wrote, and the focal point's word on it.

    Attributes
    ----------
    sent, answer : AuditEvent or None
        When it was last sent, and what was answered since, by whom; posts that were loaded from
        a file have neither.
    """

    need: Need
    state: str
    sent: AuditEvent | None
    answer: AuditEvent | None


def _last_word() -> Any:
    """Need → the number of its last event of endorsement."""
    return (
        select(AuditEvent.entity_id.label("need_id"), func.max(AuditEvent.id).label("event_id"))
        .where(AuditEvent.entity == "need", AuditEvent.action.in_((SENT, *ANSWERS)))
        .group_by(AuditEvent.entity_id)
        .subquery()
    )


STATE: ColumnElement[str] = case(
    (Need.status == PostStatus.TO_ENDORSE, "waiting"),
    *((AuditEvent.action == action, state) for action, state in ANSWERS.items()),
    else_="taken_back",
)
"""In which of ``STATES`` a need is, where its last word is joined."""


def _all(by: User, wanted: Any) -> Select[Any]:
    """Needs that were ever sent for endorsement, as far as they concern the moderator."""
    if by.role not in MODERATORS:
        raise NotAllowed("role_needed")
    last = _last_word()
    query = (
        select(*wanted)
        .select_from(Need)
        .join(Organisation, Need.organisation_id == Organisation.id)
        .outerjoin(last, last.c.need_id == Need.id)
        .outerjoin(AuditEvent, AuditEvent.id == last.c.event_id)
        .where(or_(AuditEvent.id.is_not(None), Need.status == PostStatus.TO_ENDORSE))
    )
    return _within(query, by)


def _within(query: Select[Any], by: User) -> Select[Any]:
    """Only governments of the coordinator's subregion; all for the secretariat."""
    scope = scope_of(by)
    if scope is None:
        return query
    return query.where(
        Organisation.country_code.in_(select(Country.code).where(Country.subregion == scope))
    )


def find_endorsements(by: User, filters: EndorsementFilter) -> Select[Need]:
    """A query for needs of colleagues, what waits first and of that the longest waiting.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat and the coordinators; these see their own subregion.
    """
    query = _all(by, [Need])
    if filters.state:
        query = query.where(STATE.in_([filters.state]))
    if filters.country:
        query = query.where(Organisation.country_code == filters.country)
    for word in filters.text.split()[:MOST_WORDS]:
        writers = select(User.id).where(_names(word))
        query = query.where(
            or_(
                Need.reference.icontains(word, autoescape=True),
                Need.author_id.in_(writers),
                organisation_matches(word),
            )
        )
    waits = Need.status == PostStatus.TO_ENDORSE
    return query.order_by(
        waits.desc(),
        case((waits, AuditEvent.id)).asc(),
        AuditEvent.id.desc(),
        Need.id.desc(),
    ).options(selectinload(Need.author), selectinload(Need.organisation))


def _names(word: str) -> Any:
    return or_(
        User.name.icontains(word, autoescape=True),
        User.ministry.icontains(word, autoescape=True),
    )


def count_endorsements(session: Session, by: User) -> dict[str, int]:
    """How many needs of colleagues are in each of ``STATES``."""
    found: dict[str, int] = dict(
        session.execute(_all(by, [STATE, func.count()]).group_by(STATE)).all()
    )
    return {state: found.get(state, 0) for state in STATES}


def endorsements_of(session: Session, by: User, needs: Iterable[Need]) -> list[Endorsement]:
    """What became of those needs, in two queries, in their order."""
    needs = list(needs)
    ids = [need.id for need in needs]
    states: dict[int, str] = dict(
        session.execute(_all(by, [Need.id, STATE]).where(Need.id.in_(ids))).all()
    )
    events = session.scalars(
        select(AuditEvent)
        .where(
            AuditEvent.entity == "need",
            AuditEvent.entity_id.in_(ids),
            AuditEvent.action.in_((SENT, *ANSWERS)),
        )
        .order_by(AuditEvent.id)
        .options(selectinload(AuditEvent.user))
    )
    sent: dict[int, AuditEvent] = {}
    answers: dict[int, AuditEvent] = {}
    for event in events:
        assert event.entity_id is not None  # noqa: S101 - those are all that were asked for
        if event.action == SENT:
            sent[event.entity_id] = event
            answers.pop(event.entity_id, None)
        else:
            answers[event.entity_id] = event
    return [
        Endorsement(need, states[need.id], sent.get(need.id), answers.get(need.id))
        for need in needs
    ]


@dataclass(frozen=True)
class Delegation:
    """A colleague who writes needs, who invited her, and how many of hers wait or are endorsed."""

    user: User
    invited: AuditEvent | None
    waiting: int
    endorsed: int


def find_delegations(by: User, text: str = "", country: str = "") -> Select[User]:
    """A query for the colleagues who write needs, by name, ministry or organisation.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat and the coordinators; these see their own subregion.
    """
    if by.role not in MODERATORS:
        raise NotAllowed("role_needed")
    query = _within(
        select(User)
        .join(Organisation, User.organisation_id == Organisation.id)
        .where(User.role == Role.DELEGATE),
        by,
    )
    if country:
        query = query.where(Organisation.country_code == country)
    for word in text.split()[:MOST_WORDS]:
        query = query.where(or_(_names(word), organisation_matches(word)))
    return query.order_by(User.active.desc(), Organisation.code, User.name, User.id)


def delegations_of(session: Session, users: Iterable[User]) -> list[Delegation]:
    """Those colleagues with who invited them and what they have sent, in two queries."""
    users = list(users)
    ids = [user.id for user in users]
    invited = {
        event.entity_id: event
        for event in session.scalars(
            select(AuditEvent)
            .where(
                AuditEvent.entity == "user",
                AuditEvent.entity_id.in_(ids),
                AuditEvent.action == "user.delegated",
            )
            .order_by(AuditEvent.id)
            .options(selectinload(AuditEvent.user))
        )
    }
    endorsed = and_(Need.endorsed_at.is_not(None), Need.endorsed_by_id != Need.author_id)
    waits = Need.status == PostStatus.TO_ENDORSE
    rows = session.execute(
        select(
            Need.author_id,
            func.sum(case((waits, 1), else_=0)),
            func.sum(case((and_(endorsed, ~waits), 1), else_=0)),
        )
        .where(Need.author_id.in_(ids))
        .group_by(Need.author_id)
    )
    counts = {author: (waiting, given) for author, waiting, given in rows}
    return [Delegation(user, invited.get(user.id), *counts.get(user.id, (0, 0))) for user in users]
