"""Letters: gather what is due for each person, write it in her language, deliver it.

A letter is a row that stays until the mail server has taken it: a server that fails loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import lru_cache
from typing import Any

from flask_babel import get_translations, ngettext
from flask_babel import gettext as _
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from jinja2 import Environment, FileSystemLoader
from markupsafe import escape
from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import Session, selectinload

from broker.exchange import Exchange
from broker.jobs import routine
from broker.mail import NotDelivered, ServerDown, carrier, write_message
from broker.notices import (
    CHOSEN_ELSEWHERE,
    KINDS,
    QUOTED,
    TOPICS,
    choose_mail,
    invitation_of,
    kinds_of,
    sentence_of,
    topic_of,
)
from broker.paths import TEMPLATES
from broker.reference import Reference
from broker.settings import Settings
from broker.speech import speaking
from models import (
    DomainError,
    Frequency,
    Letter,
    NotAllowed,
    NotFound,
    Notice,
    SavedSearch,
    User,
    utc_now,
)

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
"""For how long a letter belongs to the process that tries to deliver it."""

LONGEST_WAIT = timedelta(hours=6)
"""At most so long between two attempts."""

MOST_REFUSALS = 9
"""After so many attempts (four hours) a letter that the server refuses for good is given up."""

AT_A_TIME = 50
"""Letters that one process takes at once."""

MOST_SHOWN = 100
"""Notices that one letter spells out; it leads to the list of the others."""

LINK_LIFE = timedelta(days=400)
"""For how long the link that ends such letters works."""


def wait_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts: a minute, then twice as long each time."""
    return min(timedelta(minutes=2 ** min(attempts - 1, 12)), LONGEST_WAIT)


# --- Gathering and delivering ----------------------------------------------------------------


def gather_letters(session: Session, now: datetime) -> int:
    """Put what is due for each person into one letter; tells how many letters were made."""
    due = Notice.due_at <= now, Notice.letter_id.is_(None)
    waiting = select(Notice.user_id).where(*due).distinct()
    people = list(session.scalars(select(User).where(User.id.in_(waiting)).order_by(User.id)))
    count = 0
    for user in people:
        own = update(Notice).where(Notice.user_id == user.id, *due)
        if not user.active:
            session.execute(own.values(due_at=None))
            continue
        letter = Letter(user_id=user.id, created_at=now, next_at=now)
        session.add(letter)
        session.flush()
        session.execute(own.values(letter_id=letter.id))
        count += 1
    return count


@dataclass
class Delivery:
    """What became of the letters of a run."""

    sent: int = 0
    put_off: int = 0
    given_up: int = 0
    problem: str = ""


@routine(every=timedelta(minutes=1))
def send_letters(exchange: Exchange) -> Delivery:
    """Deliver every letter that is due; what fails is tried again, later each time."""
    done = Delivery()
    with exchange.writing() as session:
        gather_letters(session, utc_now())
    with carrier(exchange.settings) as carrying:
        while not done.problem:
            taken = take_letters(exchange)
            if not taken:
                break
            for number, letter_id in enumerate(taken):
                try:
                    message = _written(exchange, letter_id)
                    if message is not None:
                        carrying.carry(message)
                except ServerDown as error:
                    # The others would fail as this one did: they are tried together, later.
                    _put_off(exchange, taken[number:], error.problem)
                    done.put_off += len(taken) - number
                    done.problem = error.problem
                    break
                except NotDelivered as error:
                    given_up = _refused(exchange, letter_id, error)
                    done.given_up += given_up
                    done.put_off += not given_up
                else:
                    _close(exchange, letter_id, sent=message is not None)
                    done.sent += message is not None
    if done.problem:
        logger.warning("the mail server does not take letters: %s", done.problem)
    return done


def take_letters(exchange: Exchange) -> list[int]:
    """Take letters whose time has come, so that no other process delivers them meanwhile."""
    now = utc_now()
    with exchange.writing() as session:
        ids = list(
            session.scalars(
                select(Letter.id)
                .where(Letter.next_at <= now)
                .order_by(Letter.next_at, Letter.id)
                .limit(AT_A_TIME)
                .with_for_update(skip_locked=True)
            )
        )
        session.execute(
            update(Letter)
            .where(Letter.id.in_(ids))
            .values(next_at=now + LEASE, attempts=Letter.attempts + 1)
        )
    return ids


def _put_off(exchange: Exchange, ids: Iterable[int], problem: str) -> None:
    with exchange.writing() as session:
        for letter in session.scalars(select(Letter).where(Letter.id.in_(list(ids)))):
            letter.put_off(utc_now() + wait_after(letter.attempts), problem)


def _refused(exchange: Exchange, letter_id: int, error: NotDelivered) -> bool:
    """Keep what the server said; tells whether the letter is given up."""
    with exchange.writing() as session:
        letter = session.get_one(Letter, letter_id)
        given_up = error.lasting and letter.attempts >= MOST_REFUSALS
        if given_up:
            letter.give_up(error.problem)
        else:
            letter.put_off(utc_now() + wait_after(letter.attempts), error.problem)
        return given_up


def _close(exchange: Exchange, letter_id: int, *, sent: bool) -> None:
    with exchange.writing() as session:
        letter = session.get_one(Letter, letter_id)
        if sent:
            letter.close_sent(utc_now())
        else:
            letter.give_up()


def _written(exchange: Exchange, letter_id: int) -> EmailMessage | None:
    """The letter as a message; None where nothing is left that the person wants by e-mail."""
    with exchange.reading() as session:
        letter = session.get_one(Letter, letter_id, options=[selectinload(Letter.user)])
        notices = _still_wanted(session, letter)
        if not notices or not letter.user.active:
            return None
        return write_letter(exchange.settings, exchange.reference, letter, notices)


def _still_wanted(session: Session, letter: Letter) -> list[Notice]:
    """A letter's notices without those that were unsubscribed after it was made."""
    query = select(Notice).where(Notice.letter_id == letter.id, Notice.due_at.is_not(None))
    return list(session.scalars(query.order_by(Notice.id)))


# --- Writing ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A notice as a letter says it."""

    sentence: str
    comment: str
    invitation: str
    address: str


@dataclass(frozen=True)
class Section:
    """The notices of one topic."""

    title: str
    lines: list[Line]


def write_letter(
    settings: Settings, reference: Reference, letter: Letter, notices: Sequence[Notice]
) -> EmailMessage:
    """A letter in its reader's language, as plain text and as HTML."""
    user = letter.user
    with speaking(user.language):
        shown = [notice for notice in notices[:MOST_SHOWN] if notice.kind in KINDS]
        sections = _sections(settings, reference, shown, user.language)
        parts: dict[str, Any] = {
            "site": settings.site,
            "sections": sections,
            "more": len(notices) - len(shown),
            "list_address": f"{settings.site}/notices",
            "choices_address": f"{settings.site}/account/notices",
            "unsubscribe": unsubscribe_address(settings, user, targets_of(notices)),
            "language": user.language,
        }
        subject = (
            sections[0].lines[0].sentence
            if len(notices) == 1 and sections
            else ngettext("%(num)s notice for you", "%(num)s notices for you", len(notices))
        )
        return write_message(
            settings,
            to=(user.name, user.email),
            subject=subject,
            text=_as_text(parts),
            html=_templates().get_template("notices/letter.html").render(subject=subject, **parts),
            number=f"letter-{letter.id}-{letter.created_at:%Y%m%d%H%M%S}",
            written=utc_now(),
            language=user.language,
            unsubscribe=parts["unsubscribe"],
        )


def write_trial(settings: Settings, address: str) -> EmailMessage:
    """A letter that says nothing but that e-mail works; for the command line.

    Raises
    ------
    NotDelivered
        If the address is none.
    """
    now = utc_now()
    text = _("E-mail of this exchange works: %(address)s", address=settings.site)
    return write_message(
        settings,
        to=("", address),
        subject=_("A trial letter"),
        text=f"{text}\n",
        html=f"<!doctype html><p>{escape(text)}</p>",
        number=f"trial-{now:%Y%m%d%H%M%S}",
        written=now,
        language="",
    )


def _sections(
    settings: Settings, reference: Reference, notices: Sequence[Notice], language: str
) -> list[Section]:
    sections = []
    for topic, about in TOPICS.items():
        lines = [
            Line(
                sentence_of(notice, reference, language),
                str(notice.facts.get(QUOTED) or ""),
                invitation_of(notice),
                f"{settings.site}{notice.path}" if notice.path else "",
            )
            for notice in notices
            if topic_of(notice) == topic
        ]
        if lines:
            sections.append(Section(str(about.name), lines))
    return sections


def _as_text(parts: dict[str, Any]) -> str:
    lines: list[str] = []
    for section in parts["sections"]:
        if len(parts["sections"]) > 1:
            lines += [section.title.upper(), ""]
        for line in section.lines:
            lines.append(line.sentence)
            lines += [f"> {quoted}" for quoted in line.comment.splitlines()]
            if line.address:
                lines.append(f"{line.invitation}: {line.address}")
            lines.append("")
    if parts["more"] > 0:
        lines += [_more(parts["more"]), parts["list_address"], ""]
    lines += [
        "-- ",
        _("You receive this because you have an account on the 10YFP broker."),
        _("Choose what comes by e-mail: %(address)s", address=parts["choices_address"]),
        _("No more e-mail about this: %(address)s", address=parts["unsubscribe"]),
    ]
    return "\n".join(lines) + "\n"


def _more(count: int) -> str:
    return ngettext("And %(num)s more notice:", "And %(num)s more notices:", count)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: get_translations().ugettext(text),
        lambda one, many, count: get_translations().ungettext(one, many, count),
        newstyle=True,
    )
    made.globals["more_of"] = _more
    return made


# --- Ending them by one click ----------------------------------------------------------------


@dataclass(frozen=True)
class Unsubscription:
    """What a link ends: e-mail about topics and about saved searches of one person."""

    user: User
    topics: tuple[str, ...]
    searches: tuple[SavedSearch, ...]


def targets_of(notices: Iterable[Notice]) -> list[str]:
    """What a letter is about: topics, and ``search:7`` for alerts of one saved search."""
    targets = {
        f"search:{notice.facts['search_id']}" if topic_of(notice) == "search" else topic_of(notice)
        for notice in notices
    }
    return sorted(targets - {""})


def _signer(settings: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.secret_key, salt="unsubscribe")


def unsubscribe_address(settings: Settings, user: User, targets: Sequence[str]) -> str:
    """The address that ends e-mail about ``targets`` for that person, without signing in."""
    token = _signer(settings).dumps([user.id, list(targets)])
    return f"{settings.site}/unsubscribe/{token}"


def read_unsubscription(session: Session, settings: Settings, token: str) -> Unsubscription:
    """What a link ends, if it is one of ours.

    Raises
    ------
    DomainError
        ``link_expired`` for an old one, ``bad_link`` for anything else.
    """
    try:
        user_id, targets = _signer(settings).loads(token, max_age=int(LINK_LIFE.total_seconds()))
    except SignatureExpired as error:
        raise DomainError("link_expired") from error
    except BadSignature as error:
        raise DomainError("bad_link") from error
    user = session.get(User, user_id)
    if user is None:
        raise DomainError("bad_link")
    numbers = [int(name.removeprefix("search:")) for name in targets if name.startswith("search:")]
    searches = session.scalars(
        select(SavedSearch)
        .where(SavedSearch.id.in_(numbers), SavedSearch.user_id == user.id)
        .order_by(SavedSearch.id)
    )
    topics = tuple(t for t in targets if t in TOPICS and t not in CHOSEN_ELSEWHERE)
    return Unsubscription(user, topics, tuple(searches))


def unsubscribe(session: Session, settings: Settings, token: str) -> Unsubscription:
    """End e-mail about what a link names; notices go on. Doing it again changes nothing."""
    ended = read_unsubscription(session, settings, token)
    choose_mail(session, ended.user, dict.fromkeys(ended.topics, Frequency.NEVER))
    for search in ended.searches:
        search.frequency = Frequency.NEVER
    about = [kind for topic in ended.topics for kind in kinds_of(topic)]
    numbers = [f"search:{search.id}:%" for search in ended.searches]
    # Also what stands in a letter that has not gone out yet.
    unsent = select(Letter.id).where(Letter.next_at.is_not(None))
    session.execute(
        update(Notice)
        .where(
            Notice.user_id == ended.user.id,
            Notice.due_at.is_not(None),
            or_(Notice.letter_id.is_(None), Notice.letter_id.in_(unsent)),
            or_(Notice.kind.in_(about), *(Notice.once.like(number) for number in numbers)),
        )
        .values(due_at=None)
    )
    return ended


# --- What the secretariat sees ---------------------------------------------------------------


def find_unsent(by: User) -> Select[Letter]:
    """A query for letters that wait or were given up, the longest waiting first.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    """
    if not by.is_secretariat:
        raise NotAllowed("secretariat_only")
    return (
        select(Letter)
        .where(or_(Letter.next_at.is_not(None), Letter.problem != ""))
        .order_by(Letter.id)
        .options(selectinload(Letter.user))
    )


def count_waiting(session: Session) -> int:
    """How many notices are due and in no letter yet."""
    query = select(func.count(Notice.id)).where(
        Notice.due_at <= utc_now(), Notice.letter_id.is_(None)
    )
    return session.scalar(query) or 0


def try_again(session: Session, by: User, letter_id: int) -> Letter:
    """Try a letter that was put off or given up at once.

    Raises
    ------
    NotAllowed, NotFound
        For anybody but the secretariat; and where there is no such letter, or it was sent.
    """
    if not by.is_secretariat:
        raise NotAllowed("secretariat_only")
    letter = session.get(Letter, letter_id)
    if letter is None or letter.sent_at is not None:
        raise NotFound("no_such_message")
    letter.next_at, letter.attempts = utc_now(), 0
    return letter
