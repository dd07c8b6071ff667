"""Reading the audit trail: find events, and lay out what each one changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, String, and_, cast, not_, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.posts import SEALED
from broker.terms import Piece, compare_texts
from models import AuditEvent, Need, NotAllowed, Offer, User

ACTION_NAMES = {
    "post.loaded": _l("loaded a post from a file"),
    "post.drafted": _l("began a post"),
    "post.edited": _l("changed a post"),
    "post.submitted": _l("submitted a post for review"),
    "post.published": _l("published a post"),
    "post.published_unreviewed": _l("published a post of a trusted organisation"),
    "post.sent_for_endorsement": _l("sent a need for endorsement"),
    "post.endorsed": _l("endorsed a need"),
    "post.endorsement_declined": _l("returned a need instead of endorsing it"),
    "post.returned": _l("returned a post with a comment"),
    "post.withdrawn": _l("withdrew a post"),
    "post.reopened": _l("made a post a draft again"),
    "post.renewed": _l("renewed a post"),
    "post.expired": _l("a post expired"),
    "match.interest": _l("expressed interest"),
    "match.accepted": _l("accepted an interest"),
    "match.declined": _l("declined an interest"),
    "match.dismissed": _l("dismissed a match"),
    "match.restored": _l("brought a match back"),
    "agreement.proposed": _l("proposed an agreement"),
    "agreement.terms": _l("put other terms on the table"),
    "agreement.accepted": _l("accepted terms"),
    "agreement.signed": _l("signed an agreement"),
    "agreement.started": _l("started the work of an agreement"),
    "agreement.completed": _l("completed an agreement"),
    "agreement.terminated": _l("terminated an agreement"),
    "agreement.abandoned": _l("broke off negotiations"),
    "agreement.kind": _l("said what kind of agreement it is"),
    "agreement.party_added": _l("brought another party into an agreement"),
    "agreement.party_removed": _l("took a party out of an agreement"),
    "agreement.disclosure": _l("said what the public register may show"),
    "agreement.rated": _l("rated a cooperation"),
    "agreement.document_attached": _l("attached a document"),
    "agreement.document_removed": _l("took a document away"),
    "agreement.document_opened": _l("opened or closed a document to the public"),
    "agreement.milestone": _l("reached a milestone"),
    "agreement.indicator": _l("reported an indicator"),
    "pairing.suggested": _l("suggested a pairing"),
    "invitation.sent": _l("invited an organisation to a pilot"),
    "invitation.accepted": _l("accepted an invitation to a pilot"),
    "invitation.declined": _l("declined an invitation to a pilot"),
    "conflict.declared": _l("declared a conflict of interest"),
    "conflict.lifted": _l("lifted a conflict of interest"),
    "task_force.activity_added": _l("added an activity of a task force"),
    "task_force.activity_removed": _l("took an activity off a task force"),
    "task_force.meeting_added": _l("added a meeting of a task force"),
    "task_force.meeting_changed": _l("changed a meeting of a task force"),
    "task_force.meeting_removed": _l("took a meeting off a task force"),
    "user.delegated": _l("invited a colleague to write needs"),
    "entry.loaded": _l("loaded an entry of a directory from a file"),
    "entry.drafted": _l("began an entry of a directory"),
    "entry.edited": _l("changed an entry of a directory"),
    "entry.submitted": _l("submitted an entry for review"),
    "entry.published": _l("published an entry"),
    "entry.published_unreviewed": _l("published an entry of a trusted organisation"),
    "entry.returned": _l("returned an entry with a comment"),
    "entry.withdrawn": _l("withdrew an entry"),
    "entry.reopened": _l("made an entry a draft again"),
    "entry.renewed": _l("renewed an entry"),
    "entry.offered": _l("made an offer of an entry"),
    "entry.cited": _l("cited an entry as experience"),
    "entry.citation_dropped": _l("no longer cites an entry"),
    "user.created": _l("opened an account"),
    "user.role_granted": _l("granted a role"),
    "user.opened": _l("opened a closed account again"),
    "user.closed": _l("closed an account"),
    "user.password_set": _l("set a password"),
    "token.made": _l("made a token"),
    "token.revoked": _l("revoked a token"),
    "webhook.made": _l("set up a webhook"),
    "webhook.changed": _l("changed a webhook"),
    "webhook.renewed": _l("renewed the secret of a webhook"),
    "webhook.disabled": _l("a webhook failed too often and was switched off"),
    "webhook.removed": _l("removed a webhook"),
    "organisation.trusted": _l("trusted an organisation"),
    "organisation.reviewed": _l("put an organisation’s posts under review again"),
    "organisation.merged": _l("merged another organisation into this one"),
    "organisation.merged_away": _l("merged this organisation into another one"),
    "bulletin.published": _l("published a bulletin"),
    "round.opened": _l("opened a clearing round"),
    "round.changed": _l("changed a clearing round"),
    "round.rule_set": _l("set a rule of a clearing round"),
    "round.rule_removed": _l("took a rule off a clearing round"),
    "round.cleared": _l("cleared a round"),
    "round.sent": _l("sent a round’s proposals"),
    "round.closed": _l("closed a clearing round"),
    "round.cancelled": _l("cancelled a clearing round"),
    "proposal.accepted": _l("accepted a round’s proposal"),
    "proposal.declined": _l("declined a round’s proposal"),
    "proposal.lapsed": _l("a round’s proposal lapsed"),
    "match.joined": _l("a match became mutual by a round"),
    "pool.asked": _l("asked countries to pool their needs"),
    "pool.consented": _l("consented to a pool of needs"),
    "pool.refused": _l("refused a pool of needs"),
    "search.saved": _l("saved a search"),
    "search.changed": _l("changed a saved search"),
    "search.deleted": _l("deleted a saved search"),
    "silence.reminded": _l("reminded of what waits for an answer"),
    "run.finished": _l("ran matching"),
    "organisation.saved": _l("put an organisation on the exchange or changed it"),
    "plan.opened": _l("opened an action plan"),
    "plan.settled": _l("adopted, reopened or closed an action plan"),
    "plan.line_saved": _l("wrote a line of an action plan"),
    "plan.line_removed": _l("took a line out of an action plan"),
    "plan.line_chosen": _l("made a line a priority of the subregion"),
    "plan.line_released": _l("released a priority line of the subregion"),
    "plan.linked": _l("linked something to a line of an action plan"),
    "plan.unlinked": _l("took a link off a line of an action plan"),
    "plan.progress": _l("reported an indicator of an action plan"),
    "import.brought": _l("brought a file to import"),
    "import.loaded": _l("loaded an imported file"),
    "job.started": _l("started a job"),
    "job.stopped": _l("stopped a job"),
    "weights.adopted": _l("put other weights in force"),
    "duplicate.dismissed": _l("said that two that look alike are two"),
}
"""Action of an event → what was done."""

ENTITY_NAMES = {
    "need": _l("Need"),
    "offer": _l("Offer"),
    "match": _l("Match"),
    "agreement": _l("Agreement"),
    "user": _l("Account"),
    "organisation": _l("Organisation"),
    "pairing": _l("Suggested pairing"),
    "pilotinvitation": _l("Invitation to a pilot"),
    "conflictofinterest": _l("Conflict of interest"),
    "matchrun": _l("Match run"),
    "bulletin": _l("Bulletin"),
    "clearinground": _l("Clearing round"),
    "roundproposal": _l("Proposal of a round"),
    "needpool": _l("Pool of needs"),
    "savedsearch": _l("Saved search"),
    "weightset": _l("Weights"),
    "apitoken": _l("Token"),
    "webhook": _l("Webhook"),
    "job": _l("Job"),
    "import": _l("Import"),
    "actionplan": _l("Action plan"),
    "planline": _l("Line of an action plan"),
    "planreport": _l("Report on an action plan"),
}
"""Entity of an event → its name."""


@dataclass(frozen=True)
class EventFilter:
    """What the audit trail is narrowed to; every field is a parameter of the page's address."""

    action: str = ""
    entity: str = ""
    person: str = ""
    reference: str = ""
    text: str = ""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Change:
    """One field of an event, before and after, as text; None where it was not there."""

    field: str
    before: str | None
    after: str | None
    hidden: bool = False

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Both texts as one, with what went and what came; empty where there is only one."""
        if self.before is None or self.after is None:
            return ()
        return compare_texts(self.before, self.after)


def find_events(filters: EventFilter, by: User) -> Select[AuditEvent]:
    """A query for the events that pass the filters, newest first.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    """
    if not by.is_secretariat:
        raise NotAllowed("secretariat_only")
    query = select(AuditEvent)
    if filters.action:
        query = query.where(AuditEvent.action == filters.action)
    if filters.entity:
        query = query.where(AuditEvent.entity == filters.entity)
    if filters.person:
        people = select(User.id).where(
            or_(
                User.name.icontains(filters.person, autoescape=True),
                User.email.icontains(filters.person, autoescape=True),
            )
        )
        query = query.where(AuditEvent.user_id.in_(people))
    if filters.reference:
        query = query.where(AuditEvent.reference.icontains(filters.reference, autoescape=True))
    for word in filters.text.split()[:MOST_WORDS]:
        query = query.where(_says(word))
    if filters.since:
        query = query.where(AuditEvent.at >= datetime.combine(filters.since, time.min, UTC))
    if filters.until:
        query = query.where(AuditEvent.at <= datetime.combine(filters.until, time.max, UTC))
    return query.order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).options(
        selectinload(AuditEvent.user)
    )


MOST_WORDS = 8
"""Words of a search that are looked for."""


def _says(word: str) -> ColumnElement[bool]:
    """The event's state before or after has the word.

    A number is not looked for where an amount is sealed: whoever guesses it must not be told.
    """
    # Within a JSON column letters with accents stand escaped.
    escaped = json.dumps(word)[1:-1]
    states = [cast(column, String) for column in (AuditEvent.before, AuditEvent.after)]
    said = or_(*(state.icontains(escaped, autoescape=True) for state in states))
    if not any(sign.isdigit() for sign in word):
        return said
    sealed = [
        and_(
            AuditEvent.entity == entity,
            AuditEvent.entity_id.in_(select(model.id).where(model.money_sealed)),
        )
        for entity, model in (("need", Need), ("offer", Offer))
    ]
    sealed += [state.contains('"money_sealed": true') for state in states]
    return and_(said, not_(or_(*sealed)))


def changes_of(session: Session, events: Iterable[AuditEvent]) -> dict[int, list[Change]]:
    """What each event changed, by its number; amounts of posts that seal them stay hidden."""
    events = list(events)
    ids = {event.entity_id for event in events if event.entity in SEALED}
    sealed = {
        post_id
        for model in (Need, Offer)
        for post_id in session.scalars(
            select(model.id).where(model.id.in_(ids), model.money_sealed)
        )
    }
    return {event.id: _changes(event, event.entity_id in sealed) for event in events}


def _changes(event: AuditEvent, sealed: bool) -> list[Change]:
    if event.entity in SEALED:
        sealed = sealed or any(state.get("money_sealed") for state in (event.before, event.after))
    else:
        sealed = False
    return [
        Change(name, None, None, hidden=True)
        if sealed and name in SEALED[event.entity]
        else Change(name, _as_text(event.before, name), _as_text(event.after, name))
        for name in dict.fromkeys((*event.before, *event.after))
    ]


def _as_text(state: dict[str, Any], name: str) -> str | None:
    value = state.get(name)
    if value is None or value in ("", [], {}):
        return None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return "\n".join(_lines(value))


def _lines(value: Any, depth: int = 0) -> Iterator[str]:
    """A value of JSON as lines that a person reads: an indented list of its parts."""
    space = "  " * depth
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict | list) and item:
                yield f"{space}{key}:"
                yield from _lines(item, depth + 1)
            elif item not in (None, "", [], {}):
                yield f"{space}{key}: {item}"
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict | list):
                yield f"{space}–"
                yield from _lines(item, depth + 1)
            else:
                yield f"{space}– {item}"
    else:
        yield f"{space}{value}"
