"""Calendars to which programs subscribe (iCalendar, RFC 5545): closing dates, milestones, meetings."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from icalendar import Calendar, Event
from sqlalchemy import or_, select
from sqlalchemy.orm import Session, selectinload

from broker.exchange import Exchange
from broker.tokens import find_token, require_scope
from models import (
    IN_FORCE,
    LIVE,
    Agreement,
    AgreementParty,
    Milestone,
    Organisation,
    Post,
    TaskForce,
    User,
    localised,
    utc_now,
)
from models.api_token import CALENDAR

MOST_EVENTS = 500
"""Events of one calendar; the nearest come first."""


def find_reader(session: Session, secret: str) -> User:
    """Whose calendar an address opens.

    Raises
    ------
    NotAllowed
        ``bad_token`` or ``scope_needed`` for an address that opens none.
    """
    token = find_token(session, secret)
    require_scope(token, CALENDAR)
    return token.user


def _calendar(name: str, language: str, events: Iterable[Event]) -> bytes:
    made = Calendar()
    made.add("prodid", f"-//10YFP broker//{language.upper()}")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add("name", name)
    made.add("x-wr-calname", name)
    made.add("refresh-interval", timedelta(hours=12), parameters={"VALUE": "DURATION"})
    for event in events:
        made.add_component(event)
    content: bytes = made.to_ical()
    return content


def _event(
    uid: str, first: date, after: date, summary: str, url: str, changed: datetime, words: str = ""
) -> Event:
    made = Event()
    made.add("uid", uid)
    made.add("dtstamp", changed)
    made.add("dtstart", first)
    made.add("dtend", after)
    made.add("summary", summary)
    made.add("url", url)
    made.add("transp", "TRANSPARENT")
    if words:
        made.add("description", words)
    return made


def _on_day(uid: str, day: date, summary: str, url: str, changed: datetime) -> Event:
    return _event(uid, day, day + timedelta(days=1), summary, url, changed)


def _host(exchange: Exchange) -> str:
    return exchange.settings.site.split("://", 1)[-1]


def closing_dates(exchange: Exchange, session: Session, language: str) -> bytes:
    """The days on which what is open now closes."""
    found = session.scalars(
        select(Post)
        .where(Post.status.in_(LIVE), Post.closes >= exchange.today())
        .order_by(Post.closes, Post.id)
        .limit(MOST_EVENTS)
    )
    return _calendar(_("Closing dates"), language, [_closes(p, exchange, language) for p in found])


def _closes(post: Post, exchange: Exchange, language: str, day: date | None = None) -> Event:
    closes = day or post.closes
    assert closes is not None  # noqa: S101 - it was looked for by that day
    title = post.title_in(language)
    return _on_day(
        f"{post.reference}-closes@{_host(exchange)}",
        closes,
        _("The need closes: %(title)s", title=title)
        if post.kind == "need"
        else _("The offer closes: %(title)s", title=title),
        f"{exchange.settings.site}/{post.kind}s/{post.id}",
        post.updated_at,
    )


def own_days(exchange: Exchange, session: Session, by: User, language: str) -> bytes:
    """What one's organisation has to keep: milestones of agreements, and ends of its posts."""
    own = select(AgreementParty.agreement_id).where(
        AgreementParty.organisation_id == by.organisation_id
    )
    steps = session.scalars(
        select(Milestone)
        .join(Agreement)
        .where(Agreement.id.in_(own), Agreement.status.in_(IN_FORCE), Milestone.done_on.is_(None))
        .order_by(Milestone.due, Milestone.id)
        .limit(MOST_EVENTS)
        .options(selectinload(Milestone.agreement).selectinload(Agreement.terms))
    )
    posts = session.scalars(
        select(Post)
        .where(
            Post.organisation_id == by.organisation_id,
            Post.status.in_(LIVE),
            or_(Post.closes >= exchange.today(), Post.expires_on >= exchange.today()),
        )
        .order_by(Post.expires_on, Post.id)
        .limit(MOST_EVENTS)
    )
    events = [_milestone(step, exchange) for step in steps]
    events += [_closes(p, exchange, language, p.closes or p.expires_on) for p in posts]
    return _calendar(by.organisation.name(language), language, events)


def _milestone(step: Milestone, exchange: Exchange) -> Event:
    agreement = step.agreement
    return _on_day(
        f"{agreement.reference}-milestone-{step.id}@{_host(exchange)}",
        step.due,
        _("Milestone: %(title)s", title=step.title),
        f"{exchange.settings.site}/agreements/{agreement.id}",
        agreement.updated_at,
    )


def meetings(exchange: Exchange, session: Session, language: str) -> bytes:
    """The meetings of the task forces; one of which only the month is known takes all of it."""
    forces = session.scalars(
        select(TaskForce)
        .join(Organisation)
        .order_by(Organisation.code)
        .options(selectinload(TaskForce.organisation))
    )
    events = []
    for force in forces:
        for number, told in enumerate(force.meetings):
            days = _days_of(str(told.get("date", "")))
            if days is not None:
                events.append(_meeting(force, number, told, days, exchange, language))
    return _calendar(_("Meetings of the task forces"), language, events)


def _days_of(written: str) -> tuple[date, date] | None:
    """The first day and the day after the last; None for a year alone, which is no appointment."""
    parts = [int(part) for part in written.split("-") if part.isdecimal()]
    if len(parts) == 3:
        first = date(*parts)
        return first, first + timedelta(days=1)
    if len(parts) == 2:
        year, month = parts
        last = calendar.monthrange(year, month)[1]
        return date(year, month, 1), date(year, month, last) + timedelta(days=1)
    return None


def _meeting(
    force: TaskForce,
    number: int,
    told: dict[str, Any],
    days: tuple[date, date],
    exchange: Exchange,
    language: str,
) -> Event:
    organisation = force.organisation
    note = told.get("note") or {}
    made = _event(
        f"{organisation.code}-meeting-{told.get('date')}-{number}@{_host(exchange)}",
        *days,
        f"{organisation.name(language)}: {localised(note, language) or _('Meeting')}",
        f"{exchange.settings.site}/organisations/{organisation.code}",
        min(utc_now(), organisation.created_at),
        "" if (days[1] - days[0]).days == 1 else _("The day within the month is not stated."),
    )
    country = exchange.reference.label("country", told.get("country"), language)
    place = ", ".join(part for part in (told.get("place"), country) if part)
    if place:
        made.add("location", place)
    return made
