"""The silence clock: what waits for an answer too long, who is asked, and reminding them.

Six matters wait for somebody's word: an interest, an invitation to a pilot, a round's proposal, a
pool of needs, an agreement's terms or signature, and a post to be reviewed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, and_, func, literal, or_, select, tuple_, union_all
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectin_polymorphic, selectinload

from broker.audit import record
from broker.exchange import Exchange
from broker.jobs import routine
from broker.news import tell_of_expiry
from broker.notices import News, moderators, tell
from broker.posts import expire_posts
from broker.report.answers import interest_state
from broker.report.scope import in_subregion
from broker.settings import Settings
from models import (
    IN_FORCE,
    LIVE,
    OPEN_TERMS,
    Agreement,
    AgreementParty,
    AgreementStatus,
    Conflict,
    Country,
    Interest,
    InvitationStatus,
    Match,
    Milestone,
    Need,
    NeedPool,
    NotAllowed,
    NotFound,
    Offer,
    Organisation,
    PilotInvitation,
    PoolMember,
    PoolStatus,
    Post,
    PostFacet,
    PostStatus,
    ProposalStatus,
    Reminder,
    ReminderKind,
    RoundProposal,
    User,
    utc_now,
)
from models.base import Labels

MATTERS = {
    "interest": _l("Interest"),
    "invitation": _l("Invitation to a pilot"),
    "proposal": _l("Proposal of a round"),
    "pool": _l("Pool of needs"),
    "agreement": _l("Agreement"),
    "post": _l("Post to review"),
}
"""What can wait for an answer → its name."""

AT_A_TIME = 200
"""Matters that the clock looks at in one transaction."""


@dataclass(frozen=True)
class Matter:
    """Something that waits for somebody's word.

    Attributes
    ----------
    row
        The interest, proposal, pool, agreement or post.
    entity
        What a notice about it leads to.
    since : datetime
        When the question was asked.
    asked : list of Organisation
        Whose word is missing; empty where it is the moderators'.
    people : list of User
        Those who can give it.
    reminders : list of Reminder
        What was said since, the oldest first.
    """

    kind: str
    id: int
    row: Any
    entity: Any
    since: datetime
    title: Labels
    language: str
    asked: list[Organisation]
    people: list[User]
    subregions: frozenset[str]
    path: str = ""
    reminders: list[Reminder] = field(default_factory=list)

    def age(self, now: datetime) -> int:
        """For how many days it has waited."""
        return (now - self.since).days

    def can_be_reminded(self, today: date) -> bool:
        """Whether nobody was reminded of it today, and there is somebody to remind."""
        return bool(self.people) and all(reminder.day != today for reminder in self.reminders)


# --- Finding ---------------------------------------------------------------------------------


def _interests(subregion: str | None) -> Select[str, int, datetime]:
    return (
        select(
            literal("interest").label("kind"),
            Interest.id.label("id"),
            Interest.created_at.label("since"),
        )
        .join(Match, Interest.match_id == Match.id)
        .where(interest_state() == "waiting", *in_subregion(Match.need_id, subregion))
    )


def _invitations(subregion: str | None) -> Select[str, int, datetime]:
    own = []
    if subregion is not None:
        countries = select(Country.code).where(Country.subregion == subregion)
        homes = select(Organisation.id).where(Organisation.country_code.in_(countries))
        own = [PilotInvitation.organisation_id.in_(homes)]
    return select(literal("invitation"), PilotInvitation.id, PilotInvitation.created_at).where(
        PilotInvitation.status == InvitationStatus.ASKED, *own
    )


def _proposals(subregion: str | None) -> Select[str, int, datetime]:
    return select(literal("proposal"), RoundProposal.id, RoundProposal.created_at).where(
        RoundProposal.status == ProposalStatus.WAITING,
        *in_subregion(RoundProposal.need_id, subregion),
    )


def _pools(subregion: str | None) -> Select[str, int, datetime]:
    own = [] if subregion is None else [NeedPool.subregion == subregion]
    return select(literal("pool"), NeedPool.id, NeedPool.created_at).where(
        NeedPool.status == PoolStatus.ASKED, *own
    )


def _agreements(subregion: str | None) -> Select[str, int, datetime]:
    return select(literal("agreement"), Agreement.id, Agreement.updated_at).where(
        Agreement.status.in_(OPEN_TERMS), *in_subregion(Agreement.need_id, subregion)
    )


def _posts(subregion: str | None) -> Select[str, int, datetime | None]:
    own = [] if subregion is None else [Post.id.in_(_concerning(subregion))]
    return select(literal("post"), Post.id, Post.submitted_at).where(
        Post.status == PostStatus.SUBMITTED, Post.submitted_at.is_not(None), *own
    )


def _concerning(subregion: str) -> Any:
    """Posts that concern that one subregion, as :meth:`models.Post.subregions` says."""
    countries = select(Country.code).where(Country.subregion == subregion)
    needs = select(Need.id).where(
        or_(
            Need.country_code.in_(countries),
            and_(Need.country_code.is_(None), Need.subregion == subregion),
        )
    )
    serves = select(PostFacet.post_id).where(PostFacet.facet == "serves_subregion")
    others = serves.where(PostFacet.code != subregion)
    homes = select(Organisation.id).where(Organisation.country_code.in_(countries))
    offers = select(Offer.id).where(
        or_(
            and_(Offer.id.in_(serves.where(PostFacet.code == subregion)), Offer.id.not_in(others)),
            and_(Offer.organisation_id.in_(homes), Offer.id.not_in(serves)),
        )
    )
    return needs.union_all(offers)


SOURCES: dict[str, Callable[[str | None], Select[Any, Any, Any]]] = {
    "interest": _interests,
    "invitation": _invitations,
    "proposal": _proposals,
    "pool": _pools,
    "agreement": _agreements,
    "post": _posts,
}
"""What can wait → the query for its number and since when."""


def _scope(by: User) -> str | None:
    if by.is_secretariat:
        return None
    if not by.moderates(frozenset({by.subregion or ""})):
        raise NotAllowed("role_needed")
    return by.subregion


def find_silent(
    *, subregion: str | None, before: datetime, kind: str = ""
) -> Select[tuple[str, int, datetime]]:
    """A query for ``(kind, number, since)`` of what has waited since before that moment.

    The longest waiting first; of one kind where it is named, else of all.
    """
    kinds = [kind] if kind in SOURCES else list(SOURCES)
    rows = union_all(*(SOURCES[name](subregion) for name in kinds)).subquery()
    kind_, id_, since = rows.c[0], rows.c[1], rows.c[2]
    return (
        select(kind_.label("kind"), id_.label("id"), since.label("since"))
        .where(since < before)
        .order_by(since, kind_, id_)
    )


VIEWS = {
    "reminded": _l("Without an answer for %(days)s days"),
    "escalated": _l("For %(days)s days"),
    "all": _l("All that waits"),
}
"""How long things have waited → the name of the list."""


def silent_before(view: str, now: datetime, settings: Settings) -> datetime:
    """Before which moment something must have been asked to stand in that list."""
    days = {"reminded": settings.reminder_days, "escalated": settings.escalation_days}
    return now - timedelta(days=days.get(view, 0))


def count_silent(session: Session, by: User, settings: Settings) -> int:
    """How much has waited for an answer for too long, where the person moderates."""
    before = silent_before("reminded", utc_now(), settings)
    return sum(count_by_kind(session, by, before).values())


def count_by_kind(session: Session, by: User, before: datetime) -> dict[str, int]:
    """Kind of matter → how many of it have waited since before that moment."""
    query = find_silent(subregion=_scope(by), before=before).order_by(None).subquery()
    rows = session.execute(select(query.c.kind, func.count()).group_by(query.c.kind))
    return {row[0]: row[1] for row in rows}


def silent_keys(
    session: Session, by: User, before: datetime, kind: str = ""
) -> list[tuple[str, int]]:
    """What waits where the person moderates, the longest first, for :func:`load_matters`."""
    query = find_silent(subregion=_scope(by), before=before, kind=kind)
    return [(row.kind, row.id) for row in session.execute(query)]


def load_matters(session: Session, keys: Sequence[tuple[str, int]]) -> list[Matter]:
    """Those matters with who is asked and what was said since, in their order."""
    found: dict[tuple[str, int], Matter] = {}
    for kind, load in LOADERS.items():
        ids = [number for name, number in keys if name == kind]
        if ids:
            found |= {(kind, matter.id): matter for matter in load(session, ids)}
    _add_people(session, found.values())
    for reminder in session.scalars(
        select(Reminder)
        .where(tuple_(Reminder.matter, Reminder.matter_id).in_(list(found) or [("", 0)]))
        .order_by(Reminder.id)
        .options(selectinload(Reminder.by))
    ):
        matter = found[reminder.matter, reminder.matter_id]
        if reminder.created_at >= matter.since:
            matter.reminders.append(reminder)
    return [found[key] for key in keys if key in found]


OF_POST = (selectinload(Post.facets), selectinload(Post.organisation))


def _load_interests(session: Session, ids: Sequence[int]) -> list[Matter]:
    rows = session.scalars(
        select(Interest)
        .where(Interest.id.in_(ids))
        .options(
            selectinload(Interest.match).options(
                selectinload(Match.need).options(*OF_POST, selectinload(Need.country)),
                selectinload(Match.offer).options(*OF_POST),
            )
        )
    )
    made = []
    for row in rows:
        match = row.match
        own = match.offer if row.side == "need" else match.need
        made.append(_matter("interest", row, match, row.created_at, own, match.need, [own]))
    return made


def _load_invitations(session: Session, ids: Sequence[int]) -> list[Matter]:
    rows = session.scalars(
        select(PilotInvitation)
        .where(PilotInvitation.id.in_(ids))
        .options(
            selectinload(PilotInvitation.organisation), selectinload(PilotInvitation.task_force)
        )
    )
    made = []
    for row in rows:
        country = row.organisation.country
        subregions = frozenset({country.subregion} if country and country.subregion else ())
        made.append(
            Matter(
                "invitation",
                row.id,
                row,
                row,
                row.created_at,
                dict(row.task_force.names),
                "",
                [row.organisation],
                [],
                subregions,
            )
        )
    return made


def _load_proposals(session: Session, ids: Sequence[int]) -> list[Matter]:
    rows = session.scalars(
        select(RoundProposal)
        .where(RoundProposal.id.in_(ids))
        .options(
            selectinload(RoundProposal.answers),
            selectinload(RoundProposal.need).options(*OF_POST, selectinload(Need.country)),
            selectinload(RoundProposal.offer).options(*OF_POST),
        )
    )
    made = []
    for row in rows:
        sides = (("need", row.need), ("offer", row.offer))
        asked = [post for side, post in sides if row.answer_of(side) is None]
        made.append(_matter("proposal", row, row, row.created_at, row.need, row.need, asked))
    return made


def _load_pools(session: Session, ids: Sequence[int]) -> list[Matter]:
    rows = session.scalars(
        select(NeedPool)
        .where(NeedPool.id.in_(ids))
        .options(
            selectinload(NeedPool.members)
            .selectinload(PoolMember.need)
            .options(*OF_POST, selectinload(Need.country))
        )
    )
    made = []
    for row in rows:
        asked = [member.need for member in row.members if member.consent is None]
        first = (asked or [member.need for member in row.members])[0]
        made.append(_matter("pool", row, row, row.created_at, first, first, asked))
    return made


def _load_agreements(session: Session, ids: Sequence[int]) -> list[Matter]:
    rows = session.scalars(
        select(Agreement)
        .where(Agreement.id.in_(ids))
        .options(
            selectinload(Agreement.parties).selectinload(AgreementParty.organisation),
            selectinload(Agreement.terms),
            selectinload(Agreement.need).options(*OF_POST, selectinload(Need.country)),
        )
    )
    made = []
    for row in rows:
        number, signing = row.current_terms.number, row.status == AgreementStatus.NEGOTIATED
        asked = [
            party.organisation
            for party in row.parties
            if (party.signed_at is None if signing else party.accepted_number != number)
        ]
        title = {"": row.current_terms.title}
        made.append(
            Matter(
                "agreement",
                row.id,
                row,
                row,
                row.updated_at,
                title,
                "",
                asked,
                [],
                row.need.subregions(),
            )
        )
    return made


def _load_posts(session: Session, ids: Sequence[int]) -> list[Matter]:
    rows = session.scalars(
        select(Post)
        .where(Post.id.in_(ids))
        .options(*OF_POST, selectin_polymorphic(Post, [Need, Offer]), selectinload(Need.country))
    )
    return [
        Matter(
            "post",
            row.id,
            row,
            row,
            row.submitted_at or row.updated_at,
            row.titles(),
            row.language,
            [],
            [],
            row.subregions(),
            f"/secretariat/queue#post-{row.id}",
        )
        for row in rows
    ]


def _matter(
    kind: str,
    row: Any,
    entity: Any,
    since: datetime,
    shown: Post,
    need: Need,
    asked: Iterable[Post],
) -> Matter:
    organisations = list({post.organisation_id: post.organisation for post in asked}.values())
    return Matter(
        kind,
        row.id,
        row,
        entity,
        since,
        shown.titles(),
        shown.language,
        organisations,
        [],
        need.subregions(),
    )


LOADERS = {
    "interest": _load_interests,
    "invitation": _load_invitations,
    "proposal": _load_proposals,
    "pool": _load_pools,
    "agreement": _load_agreements,
    "post": _load_posts,
}
"""What can wait → what loads it."""


def _add_people(session: Session, matters: Iterable[Matter]) -> None:
    """The people who can answer each matter, in one query for parties and one for moderators."""
    matters = list(matters)
    homes = {organisation.id for matter in matters for organisation in matter.asked}
    colleagues: dict[int, list[User]] = {}
    for user in session.scalars(
        select(User).where(User.active, User.organisation_id.in_(homes)).order_by(User.id)
    ):
        colleagues.setdefault(user.organisation_id, []).append(user)
    reviewers = moderators(session) if any(m.kind == "post" for m in matters) else []
    for matter in matters:
        if matter.kind == "post":
            matter.people.extend(u for u in reviewers if matter.row.can_be_moderated_by(u))
            continue
        for organisation in matter.asked:
            matter.people.extend(
                user
                for user in colleagues.get(organisation.id, [])
                if user.acts_for(organisation.id)
            )


# --- Reminding -------------------------------------------------------------------------------


def get_matter(session: Session, by: User, kind: str, number: int) -> Matter:
    """A matter that still waits, where the person moderates.

    Raises
    ------
    NotFound
        ``no_such_matter``: it was answered, or is none of hers.
    """
    subregion = _scope(by)
    if kind in SOURCES:
        rows = SOURCES[kind](subregion).subquery()
        if session.scalar(select(rows.c[1]).where(rows.c[1] == number)):
            matters = load_matters(session, [(kind, number)])
            if matters:
                return matters[0]
    raise NotFound("no_such_matter")


def remind_now(session: Session, by: User, kind: str, number: int, *, today: date) -> Matter:
    """Remind those who are asked, at a person's click; once a day for each matter.

    Raises
    ------
    NotFound
        See :func:`get_matter`.
    Conflict
        ``reminded_today``; ``nobody_to_remind`` where no account could answer.
    """
    matter = get_matter(session, by, kind, number)
    if not matter.people:
        raise Conflict("nobody_to_remind")
    if not matter.can_be_reminded(today):
        raise Conflict("reminded_today")
    _remind(session, matter, ReminderKind.BY_HAND, today, by)
    record(
        session,
        by,
        "silence.reminded",
        matter.entity,
        after={"matter": kind, "people": len(matter.people)},
    )
    return matter


def _remind(
    session: Session, matter: Matter, kind: ReminderKind, today: date, by: User | None = None
) -> None:
    said = Reminder(
        matter=matter.kind,
        matter_id=matter.id,
        day=today,
        kind=kind,
        people=len(matter.people),
        by_id=by.id if by else None,
    )
    try:
        with session.begin_nested():
            session.add(said)
    except IntegrityError as error:
        # Somebody else reminded of it at the same moment.
        raise Conflict("reminded_today") from error
    facts = {"title": matter.title, "since": matter.since.date()}
    once = f"silence:{matter.kind}:{matter.id}:{today}"
    news = News(matter.people, matter.entity, facts, by, once, matter.path)
    tell(session, "silence.reminder", [news])


@routine(every=timedelta(hours=1))
def remind_the_silent(exchange: Exchange) -> int:
    """Remind of what has waited for two weeks, and escalate what has waited for two months."""
    now, today, settings = utc_now(), exchange.today(), exchange.settings
    done = 0
    with exchange.reading() as session:
        query = find_silent(subregion=None, before=now - timedelta(days=settings.reminder_days))
        keys = [(row.kind, row.id) for row in session.execute(query)]
    for start in range(0, len(keys), AT_A_TIME):
        with exchange.writing() as session:
            escalated = []
            office = moderators(session)
            for matter in load_matters(session, keys[start : start + AT_A_TIME]):
                kind = due_reminder(matter, now, today, settings)
                if kind is None:
                    continue
                try:
                    _remind(session, matter, kind, today)
                except Conflict:
                    continue
                done += 1
                if kind == ReminderKind.ESCALATION:
                    escalated.append(_escalation(matter, office))
            tell(session, "silence.escalated", escalated)
    return done


def due_reminder(
    matter: Matter, now: datetime, today: date, settings: Settings
) -> ReminderKind | None:
    """What the clock has to say about a matter now, if anything; at most once a day."""
    said = {reminder.kind for reminder in matter.reminders}
    if any(reminder.day == today for reminder in matter.reminders):
        return None
    if matter.age(now) >= settings.escalation_days and ReminderKind.ESCALATION not in said:
        return ReminderKind.ESCALATION
    if matter.age(now) >= settings.reminder_days and not said:
        return ReminderKind.FIRST
    return None


def _escalation(matter: Matter, office: Iterable[User]) -> News:
    """The secretariat and the coordinator hear of it, save those who are asked themselves."""
    asked = {user.id for user in matter.people} if matter.kind != "post" else set()
    people = [u for u in office if u.moderates(matter.subregions) and u.id not in asked]
    facts: dict[str, Any] = {"title": matter.title, "since": matter.since.date()}
    if matter.asked:
        facts["organisation"] = matter.asked[0].names
    once = f"escalated:{matter.kind}:{matter.id}:{matter.since:%Y%m%d}"
    path = f"/secretariat/silence?matter={matter.kind}"
    return News(people, matter.entity, facts, once=once, path=path)


# --- Posts and milestones --------------------------------------------------------------------


def find_expiring(
    by: User, today: date, settings: Settings, *, expired: bool = False
) -> Select[Post]:
    """A query for posts that expire soon, or have expired, where the person moderates."""
    query = select(Post)
    if expired:
        query = query.where(Post.status == PostStatus.EXPIRED)
        query = query.order_by(Post.expires_on.desc(), Post.id.desc())
    else:
        until = today + timedelta(days=settings.expiry_days)
        query = query.where(Post.status.in_(LIVE), Post.expires_on <= until)
        query = query.order_by(Post.expires_on, Post.id)
    subregion = _scope(by)
    if subregion is not None:
        query = query.where(Post.id.in_(_concerning(subregion)))
    return query.options(*OF_POST)


@routine(every=timedelta(hours=1))
def look_after_posts(exchange: Exchange) -> int:
    """Take posts off the exchange whose time has passed, and tell of those that expire soon."""
    today = exchange.today()
    until = today + timedelta(days=exchange.settings.expiry_days)
    with exchange.writing() as session:
        expired = expire_posts(session, today=today)
        soon = session.scalars(
            select(Post)
            .where(Post.status.in_(LIVE), Post.expires_on.between(today, until))
            .options(*OF_POST)
            .order_by(Post.id)
        )
        tell_of_expiry(session, soon, "post.expiring")
        return len(expired)


@routine(every=timedelta(hours=1))
def look_after_milestones(exchange: Exchange) -> int:
    """Tell the parties of milestones that are due soon, and of those that are late."""
    today = exchange.today()
    until = today + timedelta(days=exchange.settings.milestone_days)
    with exchange.writing() as session:
        milestones = list(
            session.scalars(
                select(Milestone)
                .join(Agreement, Milestone.agreement_id == Agreement.id)
                .where(
                    Agreement.status.in_(IN_FORCE),
                    Milestone.done_on.is_(None),
                    Milestone.due <= until,
                )
                .options(selectinload(Milestone.agreement).selectinload(Agreement.parties))
                .order_by(Milestone.due, Milestone.id)
            )
        )
        people = _people_of_parties(session, [m.agreement for m in milestones])
        told = 0
        for kind in ("milestone.soon", "milestone.late"):
            of_kind = [m for m in milestones if (m.due < today) == (kind == "milestone.late")]
            news = [
                News(
                    people[milestone.agreement_id],
                    milestone.agreement,
                    {
                        "milestone": milestone.title,
                        "reference": milestone.agreement.reference,
                        "due": milestone.due,
                    },
                    once=f"{kind}:{milestone.id}:{milestone.due}",
                )
                for milestone in of_kind
            ]
            told += len(tell(session, kind, news))
        return told


def _people_of_parties(session: Session, agreements: Iterable[Agreement]) -> dict[int, list[User]]:
    """Agreement's number → the people who act for its parties, in one query."""
    agreements = list({agreement.id: agreement for agreement in agreements}.values())
    homes = {party.organisation_id for a in agreements for party in a.parties}
    people = list(
        session.scalars(
            select(User).where(User.active, User.organisation_id.in_(homes)).order_by(User.id)
        )
    )
    return {
        agreement.id: [user for user in people if agreement.party_of(user) is not None]
        for agreement in agreements
    }
