"""Notices: tell people what happened, list it for them, and let them choose what comes by e-mail.

A use case tells in its own transaction, through :mod:`broker.news`. What is kept are facts; the
sentence is made when a person reads it, in the language that she reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from babel.dates import format_date
from flask_babel import lazy_gettext as _l
from marshmallow import Schema, fields, validate
from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from broker.exchange import Exchange
from broker.reference import Reference
from broker.schemas import Strict
from broker.settings import Settings
from models import (
    MODERATORS,
    Agreement,
    Entry,
    Frequency,
    MailChoice,
    Match,
    Need,
    NeedPool,
    NotFound,
    Notice,
    Offer,
    Post,
    Role,
    RoundProposal,
    User,
    localised,
    utc_now,
)


@dataclass(frozen=True)
class Topic:
    """What notices can be about, as a person chooses what comes by e-mail.

    ``roles`` are those for whom it happens at all; empty means everybody.
    """

    name: Any
    about: Any
    frequency: Frequency
    roles: frozenset[Role] = frozenset()


TOPICS = {
    "interest": Topic(
        _l("Interest"),
        _l("Somebody is interested in your post, answers you, or suggests a match or a pilot."),
        Frequency.AT_ONCE,
    ),
    "clearing": Topic(
        _l("Clearing rounds and pools"),
        _l("A round proposes a match to you, or asks to pool your need with others."),
        Frequency.AT_ONCE,
    ),
    "agreement": Topic(
        _l("Agreements"),
        _l("Terms to answer or to sign, and what the other parties do."),
        Frequency.AT_ONCE,
    ),
    "milestone": Topic(
        _l("Milestones"),
        _l("A milestone of your agreements is due soon, or late."),
        Frequency.DAILY,
    ),
    "post": Topic(
        _l("My posts"),
        _l("A post or an entry of yours was published or returned, or is about to expire."),
        Frequency.AT_ONCE,
    ),
    "review": Topic(
        _l("Posts to review"),
        _l("Somebody has submitted a post that you may publish or return."),
        Frequency.DAILY,
        MODERATORS,
    ),
    "silence": Topic(
        _l("Reminders"),
        _l("Somebody has waited for an answer for too long."),
        Frequency.DAILY,
    ),
    "organisation": Topic(
        _l("Organisations"),
        _l("Your organisation was joined with another entry, or its webhook was switched off."),
        Frequency.AT_ONCE,
    ),
    "account": Topic(_l("My account"), _l("An account was opened for you."), Frequency.AT_ONCE),
    "search": Topic(
        _l("Saved searches"),
        _l("Something new meets a search that you have saved."),
        Frequency.DAILY,
    ),
}
"""Topic → what it is about, and how soon it comes by e-mail unless a person chooses otherwise."""

CHOSEN_ELSEWHERE = frozenset({"search", "account"})
"""Topics whose frequency is not chosen as one: each saved search has its own, and what is written to
the owner of a new account comes always."""

FREQUENCY_NAMES = {
    Frequency.AT_ONCE: _l("at once"),
    Frequency.DAILY: _l("once a day"),
    Frequency.WEEKLY: _l("once a week"),
    Frequency.NEVER: _l("not by e-mail"),
}
"""How soon → its name."""


@dataclass(frozen=True)
class Kind:
    """A kind of notice: its topic, its sentence, and what can be done about it."""

    topic: str
    sentence: Any
    invites: Any


KINDS = {
    "interest.received": Kind(
        "interest",
        _l("%(organisation)s is interested in your post “%(title)s”."),
        _l("Answer the interest"),
    ),
    "interest.accepted": Kind(
        "interest",
        _l("%(organisation)s has accepted your interest in “%(title)s”."),
        _l("Look at the match"),
    ),
    "interest.declined": Kind(
        "interest",
        _l("%(organisation)s has declined your interest in “%(title)s”: %(reason)s."),
        _l("Look at the match"),
    ),
    "pairing.suggested": Kind(
        "interest",
        _l("%(organisation)s suggests “%(title)s” as a match for you."),
        _l("Look at the match"),
    ),
    "invitation.received": Kind(
        "interest",
        _l("%(organisation)s invites you to take part in a pilot."),
        _l("Answer the invitation"),
    ),
    "invitation.accepted": Kind(
        "interest",
        _l("%(organisation)s wants to take part in your pilot."),
        _l("Look at the invitation"),
    ),
    "invitation.declined": Kind(
        "interest",
        _l("%(organisation)s does not want to take part in your pilot."),
        _l("Look at the invitation"),
    ),
    "proposal.received": Kind(
        "clearing",
        _l("The round “%(round)s” proposes “%(title)s” of %(organisation)s to you."),
        _l("Answer the proposal"),
    ),
    "proposal.accepted": Kind(
        "clearing",
        _l("Both sides have accepted what the round “%(round)s” proposed: “%(title)s”."),
        _l("Look at the match"),
    ),
    "proposal.declined": Kind(
        "clearing",
        _l("%(organisation)s has declined what the round “%(round)s” proposed: “%(title)s”."),
        _l("Look at the proposal"),
    ),
    "webhook.disabled": Kind(
        "organisation",
        _l("Your organisation’s webhook to %(address)s failed too often and was switched off."),
        _l("Look at its log"),
    ),
    "pool.asked": Kind(
        "clearing",
        _l("May your need “%(title)s” be pooled into one need for %(subregion)s?"),
        _l("Answer the question"),
    ),
    "pool.agreed": Kind(
        "clearing",
        _l("All countries consent: their needs in %(subregion)s can become one."),
        _l("Look at the pool"),
    ),
    "pool.refused": Kind(
        "clearing",
        _l("%(organisation)s does not want its need pooled with others in %(subregion)s."),
        _l("Look at the pool"),
    ),
    "terms.to_answer": Kind(
        "agreement",
        _l("%(organisation)s has put terms of %(reference)s on the table: “%(title)s”."),
        _l("Read the terms"),
    ),
    "terms.accepted": Kind(
        "agreement",
        _l("%(organisation)s has accepted the terms of %(reference)s, “%(title)s”."),
        _l("Look at the agreement"),
    ),
    "terms.to_sign": Kind(
        "agreement",
        _l("All parties have accepted the terms of %(reference)s, “%(title)s”. It can be signed."),
        _l("Sign the agreement"),
    ),
    "agreement.signed": Kind(
        "agreement",
        _l("%(organisation)s has signed %(reference)s, “%(title)s”."),
        _l("Look at the agreement"),
    ),
    "agreement.binding": Kind(
        "agreement",
        _l("%(reference)s, “%(title)s”, is signed by all parties and in force."),
        _l("Look at the agreement"),
    ),
    "agreement.started": Kind(
        "agreement",
        _l("%(organisation)s says that the work of %(reference)s, “%(title)s”, has begun."),
        _l("Look at the agreement"),
    ),
    "agreement.completed": Kind(
        "agreement",
        _l("%(organisation)s has completed %(reference)s, “%(title)s”. Say how it went."),
        _l("Rate the cooperation"),
    ),
    "agreement.terminated": Kind(
        "agreement",
        _l("%(organisation)s has ended %(reference)s, “%(title)s”, before its time."),
        _l("Look at the agreement"),
    ),
    "agreement.abandoned": Kind(
        "agreement",
        _l("%(organisation)s has broken off the negotiation of %(reference)s, “%(title)s”."),
        _l("Look at the agreement"),
    ),
    "entry.submitted": Kind(
        "review",
        _l("%(organisation)s has submitted “%(title)s” for the directory."),
        _l("Review the entry"),
    ),
    "entry.published": Kind(
        "post",
        _l("Your entry “%(title)s” stands in the directory."),
        _l("Look at the entry"),
    ),
    "entry.returned": Kind(
        "post",
        _l("Your entry “%(title)s” was returned with a comment."),
        _l("Mend the entry"),
    ),
    "entry.ending": Kind(
        "post",
        _l("Your entry “%(title)s” holds until %(due)s. Renew it if it still does afterwards."),
        _l("Renew the entry"),
    ),
    "certificate.ending": Kind(
        "post",
        _l("The certificate that you gave for “%(title)s” of %(organisation)s ends on %(due)s."),
        _l("Look at the entry"),
    ),
    "milestone.soon": Kind(
        "milestone",
        _l("The milestone “%(milestone)s” of %(reference)s is due on %(due)s."),
        _l("Look at the agreement"),
    ),
    "milestone.late": Kind(
        "milestone",
        _l("The milestone “%(milestone)s” of %(reference)s was due on %(due)s and is not done."),
        _l("Look at the agreement"),
    ),
    "post.submitted": Kind(
        "review",
        _l("%(organisation)s has submitted “%(title)s” for review."),
        _l("Review the post"),
    ),
    "post.to_endorse": Kind(
        "post",
        _l("%(person)s asks you to endorse “%(title)s” before it is reviewed."),
        _l("Endorse the need"),
    ),
    "post.endorsed": Kind(
        "post",
        _l("%(person)s has endorsed your need “%(title)s”."),
        _l("Look at the post"),
    ),
    "post.published": Kind(
        "post",
        _l("Your post “%(title)s” is on the exchange."),
        _l("Look at the post"),
    ),
    "post.returned": Kind(
        "post",
        _l("Your post “%(title)s” was returned with a comment."),
        _l("Mend the post"),
    ),
    "post.withdrawn": Kind(
        "post",
        _l("Your post “%(title)s” was taken off the exchange by %(organisation)s."),
        _l("Look at the post"),
    ),
    "post.expiring": Kind(
        "post",
        _l("Your post “%(title)s” leaves the exchange on %(due)s unless you renew it."),
        _l("Renew the post"),
    ),
    "post.expired": Kind(
        "post",
        _l("Your post “%(title)s” has expired. Renew it to bring it back."),
        _l("Renew the post"),
    ),
    "account.opened": Kind(
        "account",
        _l(
            "An account on the 10YFP broker was opened for you. Choose its password within 14 days."
        ),
        _l("Choose a password"),
    ),
    "search.alert": Kind(
        "search",
        _l("New for your search “%(search)s”: “%(title)s” of %(organisation)s."),
        _l("Look at it"),
    ),
    "silence.reminder": Kind(
        "silence",
        _l("Your answer has been awaited since %(since)s: “%(title)s”."),
        _l("Answer now"),
    ),
    "silence.escalated": Kind(
        "silence",
        _l("%(organisation)s has not answered since %(since)s: “%(title)s”."),
        _l("See what waits"),
    ),
    "organisation.merged": Kind(
        "organisation",
        _l("“%(former)s” is now part of %(organisation)s. Its posts and history are kept."),
        _l("Look at the organisation"),
    ),
}
"""Kind of a notice → its topic and words. Words in its place: see :func:`sentence_of`."""

QUOTED = "comment"
"""The fact that is a text written by a person: it is shown below the sentence, as it was written."""

SCHEME_OF = {"reason": "dismissal_reason", "subregion": "subregion"}
"""Fact → the taxonomy of which it is a code."""

DAYS = frozenset({"due", "since"})
"""Facts that are calendar days (ISO 8601)."""


def sentence_of(notice: Notice, reference: Reference, language: str) -> str:
    """What a notice says, to a reader of ``language`` (which must be the one being spoken)."""
    kind = KINDS.get(notice.kind)
    if kind is None:
        return notice.kind
    words = _Words(
        {name: _word(name, value, reference, language) for name, value in notice.facts.items()}
    )
    return str(kind.sentence) % words


class _Words(dict[str, str]):
    """Facts as words; one that an older notice did not keep is a dash."""

    def __missing__(self, _name: str) -> str:
        return "–"


def _word(name: str, value: Any, reference: Reference, language: str) -> str:
    if isinstance(value, Mapping):
        return localised(dict(value), language)
    if name in SCHEME_OF:
        return reference.label(SCHEME_OF[name], value, language)
    if name in DAYS:
        return format_date(date.fromisoformat(value), "long", locale=language)
    return str(value)


def invitation_of(notice: Notice) -> str:
    """What can be done about it, as the words of a link."""
    kind = KINDS.get(notice.kind)
    return str(kind.invites) if kind else ""


def topic_of(notice: Notice) -> str:
    """The topic of a notice."""
    kind = KINDS.get(notice.kind)
    return kind.topic if kind else ""


def kinds_of(topic: str) -> list[str]:
    """The kinds of notices of a topic."""
    return [code for code, kind in KINDS.items() if kind.topic == topic]


@dataclass(frozen=True)
class News:
    """One event and those whom it concerns.

    Attributes
    ----------
    entity
        A row of the model that it is about.
    by : User or None
        Who did it: she is not told.
    once : str
        Names the event where it may be told again; then it is told to a person only once.
    path : str
        Where to read on; by default the page of ``entity``.
    frequency : Frequency or None
        How soon it is mailed, where that is not the person's choice for the topic.
    """

    people: Sequence[User]
    entity: Any
    facts: Mapping[str, Any] = field(default_factory=dict)
    by: User | None = None
    once: str = ""
    path: str = ""
    frequency: Frequency | None = None


def notify(
    session: Session,
    people: Iterable[User],
    kind: str,
    entity: Any,
    *,
    by: User | None = None,
    once: str = "",
    path: str = "",
    **facts: Any,
) -> list[Notice]:
    """Tell people of one event, in the running transaction; see :class:`News`."""
    return tell(session, kind, [News(list(people), entity, facts, by, once, path)])


def tell(session: Session, kind: str, news: Iterable[News]) -> list[Notice]:
    """Tell of many events of one kind, in three queries.

    Nobody is told of what she did herself, of what she may not see, or twice of one event.
    """
    news = list(news)
    if not news:
        return []
    session.flush()
    now, topic = utc_now(), KINDS[kind].topic
    settings = _settings(session)
    people = {user.id: user for item in news for user in item.people}
    chosen = _frequencies(session, people, topic)
    told = _told_already(session, people, {item.once for item in news if item.once})
    made = []
    for item in news:
        path, facts = item.path or path_to(item.entity), plain_facts(item.facts)
        for user in {user.id: user for user in item.people}.values():
            is_own = item.by is not None and item.by.id == user.id
            if is_own or not user.active or (user.id, item.once) in told:
                continue
            if not may_see(user, item.entity):
                continue
            frequency = item.frequency or chosen[user.id]
            made.append(
                Notice(
                    user_id=user.id,
                    kind=kind,
                    entity=type(item.entity).__name__.lower(),
                    entity_id=item.entity.id,
                    path=path,
                    facts=facts,
                    once=item.once or None,
                    created_at=now,
                    due_at=frequency.next_moment(now, settings.mail_hour),
                )
            )
            if item.once:
                told.add((user.id, item.once))
    session.add_all(made)
    return made


def _settings(session: Session) -> Settings:
    exchange: Exchange | None = session.info.get("exchange")
    return exchange.settings if exchange is not None else Settings()


def _frequencies(session: Session, people: Iterable[int], topic: str) -> dict[int, Frequency]:
    found = dict.fromkeys(people, TOPICS[topic].frequency)
    chosen = select(MailChoice.user_id, MailChoice.frequency).where(MailChoice.topic == topic)
    if len(found) <= MOST_NAMED:
        chosen = chosen.where(MailChoice.user_id.in_(found))
    for user_id, frequency in session.execute(chosen):
        if user_id in found:
            found[user_id] = Frequency(frequency)
    return found


MOST_NAMED = 500
"""No query names more numbers than this one by one."""


def _told_already(
    session: Session, people: Mapping[int, User], events: set[str]
) -> set[tuple[int, str]]:
    told: set[tuple[int, str]] = set()
    names = sorted(events)
    for start in range(0, len(names), MOST_NAMED):
        rows = session.execute(
            select(Notice.user_id, Notice.once).where(
                Notice.once.in_(names[start : start + MOST_NAMED])
            )
        )
        told |= {(user_id, once) for user_id, once in rows if once and user_id in people}
    return told


def plain_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as JSON can hold them; those that are empty are left out."""
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in facts.items()
        if value not in (None, "")
    }


def may_see(user: User, entity: Any) -> bool:
    """Whether the person may read what a notice is about."""
    if isinstance(entity, Post | Agreement | Entry):
        return entity.can_be_seen_by(user)
    if isinstance(entity, Match | RoundProposal):
        return bool(entity.side_of(user)) or user.moderates(entity.need.subregions())
    if isinstance(entity, NeedPool):
        return bool(entity.members_of(user)) or user.moderates(frozenset({entity.subregion}))
    return True


def path_to(entity: Any) -> str:
    """The page of a row of the model, as a path; empty where it has none."""
    if isinstance(entity, Need | Offer):
        return f"/{entity.kind}s/{entity.id}"
    if isinstance(entity, Match):
        return f"/matches/{entity.need_id}/{entity.offer_id}"
    stems = {
        "agreement": "agreements",
        "roundproposal": "proposals",
        "needpool": "pools",
        "pilotinvitation": "invitations",
        "entry": "directory/entries",
    }
    name = type(entity).__name__.lower()
    if name == "organisation":
        return f"/organisations/{entity.code}"
    return f"/{stems[name]}/{entity.id}" if name in stems else ""


# --- Reading ---------------------------------------------------------------------------------


def find_notices(by: User, topic: str = "", *, unread: bool = False) -> Select[Notice]:
    """A query for a person's notices, newest first: all, of one topic, or those not read yet."""
    query = select(Notice).where(Notice.user_id == by.id)
    if topic:
        query = query.where(Notice.kind.in_(kinds_of(topic)))
    if unread:
        query = query.where(Notice.read_at.is_(None))
    return query.order_by(Notice.created_at.desc(), Notice.id.desc())


def count_unread(session: Session, by: User) -> int:
    """How many notices a person has not read."""
    return (
        session.scalar(
            select(func.count(Notice.id)).where(Notice.user_id == by.id, Notice.read_at.is_(None))
        )
        or 0
    )


def count_by_topic(session: Session, by: User) -> dict[str, tuple[int, int]]:
    """Topic → how many notices a person has of it, and how many of them are unread."""
    rows = session.execute(
        select(Notice.kind, func.count(), func.count(Notice.id).filter(Notice.read_at.is_(None)))
        .where(Notice.user_id == by.id)
        .group_by(Notice.kind)
    )
    counts: dict[str, tuple[int, int]] = {}
    for kind, number, unread in rows:
        topic = KINDS[kind].topic if kind in KINDS else ""
        before = counts.get(topic, (0, 0))
        counts[topic] = (before[0] + number, before[1] + unread)
    return counts


def mark_read(session: Session, by: User, notice_id: int) -> Notice:
    """Mark one of one's own notices as read; doing it again changes nothing.

    Raises
    ------
    NotFound
        ``no_such_notice``, also for another person's.
    """
    notice = session.get(Notice, notice_id)
    if notice is None or notice.user_id != by.id:
        raise NotFound("no_such_notice", id=notice_id)
    notice.read_at = notice.read_at or utc_now()
    return notice


def mark_all_read(session: Session, by: User, topic: str = "", *, until: datetime) -> int:
    """Mark what a person has seen as read, of one topic or of all; tells how many.

    Parameters
    ----------
    until : datetime
        When the list was shown: what came later stays unread.
    """
    change = update(Notice).where(
        Notice.user_id == by.id, Notice.read_at.is_(None), Notice.created_at <= until
    )
    if topic:
        change = change.where(Notice.kind.in_(kinds_of(topic)))
    done = session.execute(change.values(read_at=utc_now()))
    return int(done.rowcount)  # type: ignore[attr-defined]


# --- What comes by e-mail --------------------------------------------------------------------


def topics_for(user: User) -> dict[str, Topic]:
    """The topics about which the person can choose how soon she hears by e-mail."""
    return {
        code: topic
        for code, topic in TOPICS.items()
        if code not in CHOSEN_ELSEWHERE and (not topic.roles or user.role in topic.roles)
    }


def frequency_field() -> fields.Field:
    """How soon something comes by e-mail, as an input."""
    return fields.String(
        required=True,
        validate=validate.OneOf(list(Frequency), error=_l("Choose one of the possibilities.")),
    )


ChoiceSchema: type[Schema] = Strict.from_dict(
    {code: frequency_field() for code in TOPICS if code not in CHOSEN_ELSEWHERE},
    name="ChoiceSchema",
)
"""How soon each topic comes by e-mail."""


def mail_choices(session: Session, by: User) -> dict[str, Frequency]:
    """Topic → how soon the person hears of it by e-mail."""
    chosen = {topic: value.frequency for topic, value in TOPICS.items()}
    rows = session.scalars(select(MailChoice).where(MailChoice.user_id == by.id))
    return chosen | {row.topic: Frequency(row.frequency) for row in rows}


def choose_mail(session: Session, by: User, choices: Mapping[str, str]) -> None:
    """Say how soon topics come by e-mail; what waits to be mailed follows."""
    now, hour = utc_now(), _settings(session).mail_hour
    for topic, text in choices.items():
        frequency = Frequency(text)
        session.merge(MailChoice(user_id=by.id, topic=topic, frequency=frequency))
        session.execute(
            _waiting(by, topic).values(due_at=frequency.next_moment(now, hour)),
        )
    session.flush()


def _waiting(by: User, topic: str) -> Any:
    return update(Notice).where(
        Notice.user_id == by.id,
        Notice.kind.in_(kinds_of(topic)),
        Notice.due_at.is_not(None),
        Notice.letter_id.is_(None),
    )


def writers_of(
    session: Session, posts: Iterable[Post], *, own: bool = False
) -> dict[int, list[User]]:
    """Post's number → the people who may change it, in one query.

    With ``own``, all whose post it is: also a colleague whose need was endorsed.
    """
    posts = list(posts)
    homes = {post.organisation_id for post in posts}
    query = select(User).where(User.active).order_by(User.id)
    if len(homes) <= MOST_NAMED:
        query = query.where(User.organisation_id.in_(homes))
    colleagues: dict[int, list[User]] = {}
    for user in session.scalars(query):
        colleagues.setdefault(user.organisation_id, []).append(user)
    return {
        post.id: [
            user
            for user in colleagues.get(post.organisation_id, [])
            if (post.is_own_of(user) if own else post.can_be_edited_by(user))
        ]
        for post in posts
    }


def moderators(session: Session) -> list[User]:
    """The people of the secretariat and the coordinators of subregions."""
    return list(
        session.scalars(
            select(User).where(User.active, User.role.in_(MODERATORS)).order_by(User.id)
        )
    )
