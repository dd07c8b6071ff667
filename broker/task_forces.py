"""Use cases of a task force's page: what it does, its meetings, its pilots, and its queue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import fields, validate
from sqlalchemy import Select, case, exists, select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.overview import member_names
from broker.posts import WHOLE
from broker.reference import Reference
from broker.schemas import Code, Strict, Text, load
from models import (
    LANGUAGES,
    LIVE,
    MODERATORS,
    PUBLICLY_REGISTERED,
    Agreement,
    Conflict,
    Interest,
    InvalidInput,
    Match,
    Need,
    NotAllowed,
    NotFound,
    Offer,
    Organisation,
    PostFacet,
    Role,
    TaskForce,
    User,
    utc_now,
)

PILOT_MODALITY = "pilot_project"
"""The modality of support that is a pilot."""


NO_DATE = _l("Write a year, a month (2027-03) or a day (2027-03-31).")


class ActivitySchema(Strict):
    """Something that the task force does, in one language or several."""

    language = fields.String(required=True, validate=validate.OneOf(LANGUAGES))
    text = Text(300, required=True)


class MeetingSchema(Strict):
    """A meeting: when (a year, a month or a day), where, and what it is about."""

    date = fields.String(
        required=True,
        validate=validate.Regexp(
            r"^(19|20)\d\d(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$",
            error=NO_DATE,
        ),
    )
    place = Text(120, load_default="")
    country = Code("country", allow_none=True, load_default=None)
    language = fields.String(required=True, validate=validate.OneOf(LANGUAGES))
    note = Text(500, load_default="")


@dataclass(frozen=True)
class Meeting:
    """A meeting as it is kept, with its number in the list."""

    number: int
    when: str
    place: str
    country: str | None
    note: dict[str, str]

    def is_past(self, today: date) -> bool:
        """Whether it lies before today; a month or a year is past once it has ended."""
        return self.when < today.isoformat()[: len(self.when)]


def find_task_forces(session: Session, language: str) -> list[TaskForce]:
    """All task forces, by their names in that language."""
    found = session.scalars(select(TaskForce).options(selectinload(TaskForce.organisation)))
    return sorted(found, key=lambda force: force.organisation.name(language).casefold())


def get_task_force(session: Session, code: str) -> TaskForce:
    """The task force with that code; raises :class:`models.errors.NotFound`."""
    found = session.scalar(
        select(TaskForce)
        .join(Organisation, TaskForce.organisation_id == Organisation.id)
        .where(Organisation.code == code)
        .options(selectinload(TaskForce.organisation))
    )
    if found is None:
        raise NotFound("no_such_task_force")
    return found


def force_of(session: Session, by: User) -> TaskForce | None:
    """The task force whose officer the person is, if she is one."""
    if by.role != Role.TASK_FORCE:
        return None
    return session.scalar(
        select(TaskForce)
        .where(TaskForce.organisation_id == by.organisation_id)
        .options(selectinload(TaskForce.organisation))
    )


def is_officer(by: User | None, force: TaskForce) -> bool:
    """Whether the person is one of the task force's own officers."""
    return (
        by is not None
        and by.active
        and by.role == Role.TASK_FORCE
        and by.organisation_id == force.organisation_id
    )


def may_look_for_partners(by: User | None, force: TaskForce) -> bool:
    """Whether the person works for the task force's pilots: its officers, and the moderators."""
    return is_officer(by, force) or (by is not None and by.active and by.role in MODERATORS)


def require_partner_seeker(by: User, force: TaskForce) -> None:
    """Raise unless the person may look for the task force's partners and read its queue."""
    if not may_look_for_partners(by, force):
        raise NotAllowed("look_for_partners")


def meetings_of(force: TaskForce) -> list[Meeting]:
    """The meetings in the order of their dates."""
    found = [
        Meeting(
            number,
            str(item.get("date") or ""),
            item.get("place") or "",
            item.get("country"),
            item.get("note") or {},
        )
        for number, item in enumerate(force.meetings)
    ]
    return sorted(found, key=lambda meeting: (meeting.when, meeting.number))


def _require_officer(by: User, force: TaskForce) -> None:
    if not is_officer(by, force):
        raise NotAllowed("edit_task_force")


def add_activity(
    session: Session, by: User, force: TaskForce, data: Mapping[str, Any], reference: Reference
) -> None:
    """Say something more that the task force does.

    Raises
    ------
    NotAllowed, InvalidInput
        For anybody but its officers; without a text.
    """
    _require_officer(by, force)
    values = load(ActivitySchema, data, reference)
    said = {values["language"]: values["text"].strip()}
    force.activities = [*force.activities, said]
    force.edited_at = utc_now()
    record(session, by, "task_force.activity_added", force.organisation, after={"activity": said})


def remove_activity(session: Session, by: User, force: TaskForce, number: int, seen: str) -> None:
    """Take an activity off the page.

    Parameters
    ----------
    number
        Its place in the list, from 0.
    seen : str
        Its text as the officer saw it: another's change meanwhile must not remove another entry.

    Raises
    ------
    NotFound, Conflict
        If the list is shorter, or another activity stands there by now.
    """
    _require_officer(by, force)
    gone = _entry(force.activities, number)
    if seen not in gone.values():
        raise Conflict("changed_meanwhile")
    force.activities = [a for n, a in enumerate(force.activities) if n != number]
    force.edited_at = utc_now()
    record(
        session, by, "task_force.activity_removed", force.organisation, before={"activity": gone}
    )


def _entry(entries: Sequence[dict[str, Any]], number: int) -> dict[str, Any]:
    if not 0 <= number < len(entries):
        raise NotFound("no_such_entry")
    return entries[number]


def add_meeting(
    session: Session, by: User, force: TaskForce, data: Mapping[str, Any], reference: Reference
) -> None:
    """Announce a meeting, or enter one that took place."""
    _require_officer(by, force)
    meeting = _meeting(data, reference)
    force.meetings = [*force.meetings, meeting]
    force.edited_at = utc_now()
    record(session, by, "task_force.meeting_added", force.organisation, after=meeting)


def change_meeting(
    session: Session,
    by: User,
    force: TaskForce,
    number: int,
    data: Mapping[str, Any],
    reference: Reference,
) -> None:
    """Correct a meeting; its notes in other languages stay."""
    _require_officer(by, force)
    before = _entry(force.meetings, number)
    meeting = _meeting(data, reference)
    meeting["note"] = {**(before.get("note") or {}), **meeting["note"]}
    force.meetings = [meeting if n == number else m for n, m in enumerate(force.meetings)]
    force.edited_at = utc_now()
    record(
        session,
        by,
        "task_force.meeting_changed",
        force.organisation,
        before=before,
        after=meeting,
    )


def remove_meeting(session: Session, by: User, force: TaskForce, number: int, seen: str) -> None:
    """Take a meeting off the page; ``seen`` is its date as the officer saw it."""
    _require_officer(by, force)
    gone = _entry(force.meetings, number)
    if str(gone.get("date")) != seen:
        raise Conflict("changed_meanwhile")
    force.meetings = [m for n, m in enumerate(force.meetings) if n != number]
    force.edited_at = utc_now()
    record(session, by, "task_force.meeting_removed", force.organisation, before=gone)


def _meeting(data: Mapping[str, Any], reference: Reference) -> dict[str, Any]:
    values = load(MeetingSchema, data, reference)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", values["date"]):
        try:
            date.fromisoformat(values["date"])
        except ValueError as error:
            raise InvalidInput({"date": [str(NO_DATE)]}) from error
    note = values["note"].strip()
    return {
        "date": values["date"],
        "place": values["place"].strip() or None,
        "country": values["country"],
        "note": {values["language"]: note} if note else {},
    }


@dataclass(frozen=True)
class ForcePage:
    """What everybody reads of a task force.

    Attributes
    ----------
    past, upcoming : list of Meeting
        The latest first; the next first.
    names : dict
        Code of a member organisation → its name.
    pilots : list of Offer
        Its offers on the exchange that look for a pilot partner.
    pilot_agreements : list of Agreement
        Agreements of the register that came of its pilots.
    """

    past: list[Meeting]
    upcoming: list[Meeting]
    names: dict[str, str]
    pilots: list[Offer]
    pilot_agreements: list[Agreement]


def lay_out_force(session: Session, force: TaskForce, *, language: str, today: date) -> ForcePage:
    """Everything that the page of a task force shows beside what it says of itself."""
    meetings = meetings_of(force)
    pilots = session.scalars(
        select(Offer)
        .where(
            Offer.organisation_id == force.organisation_id,
            Offer.pilot_hosted.is_(True),
            Offer.status.in_(LIVE),
        )
        .order_by(Offer.published_at.desc(), Offer.id.desc())
        .options(*WHOLE)
    )
    agreements = session.scalars(
        select(Agreement)
        .join(Offer, Agreement.offer_id == Offer.id)
        .where(
            Offer.organisation_id == force.organisation_id,
            Offer.pilot_hosted.is_(True),
            Agreement.status.in_(PUBLICLY_REGISTERED),
        )
        .order_by(Agreement.id.desc())
        .options(
            selectinload(Agreement.terms),
            selectinload(Agreement.need).selectinload(Need.organisation),
        )
    )
    return ForcePage(
        past=[m for m in reversed(meetings) if m.is_past(today)],
        upcoming=[m for m in meetings if not m.is_past(today)],
        names=member_names(session, force.organisation, language),
        pilots=list(pilots),
        pilot_agreements=list(agreements),
    )


def needs_in_queue(force: TaskForce) -> Select[Need]:
    """A query for the live needs on the task force's themes; the oldest unanswered ones first.

    A need is answered once a provider has shown interest in it.
    """
    answered = exists(
        select(Interest.id)
        .join(Match, Interest.match_id == Match.id)
        .where(Match.need_id == Need.id, Interest.side == "offer")
    )
    return (
        select(Need)
        .where(
            Need.status.in_(LIVE),
            Need.id.in_(
                select(PostFacet.post_id).where(
                    PostFacet.facet == "theme", PostFacet.code.in_(force.themes)
                )
            ),
        )
        .order_by(case((answered, 1), else_=0), Need.published_at, Need.id)
        .options(*WHOLE, selectinload(Need.country))
    )


def who_is_interested(
    session: Session, needs: Sequence[Need]
) -> dict[int, list[tuple[Match, Interest]]]:
    """Need id → the interest that providers have shown in it, oldest first, in a few queries."""
    found: dict[int, list[tuple[Match, Interest]]] = {need.id: [] for need in needs}
    if not found:
        return found
    matches = session.scalars(
        select(Match)
        .where(Match.need_id.in_(found), Match.interests.any(Interest.side == "offer"))
        .options(
            selectinload(Match.interests),
            selectinload(Match.offer).selectinload(Offer.organisation),
        )
        .order_by(Match.id)
    )
    for match in matches:
        said = next((i for i in match.interests if i.side == "offer"), None)
        if said is not None:
            found[match.need_id].append((match, said))
    return found
