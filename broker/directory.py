"""Use cases of the directories: write, review, publish and renew entries, and put them to use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.accounts import find_organisation
from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.directory_schemas import ENTRY_SCHEMAS
from broker.exchange import Exchange
from broker.jobs import routine
from broker.news import tell_of_ending, tell_of_entry
from broker.posts import save_draft as save_post_draft
from broker.reference import Reference
from broker.references import next_reference
from broker.schemas import load, load_draft
from models import (
    ENTRY_LIFE,
    MODERATORS,
    VALIDITY,
    Agreement,
    AgreementParty,
    AgreementStatus,
    Citation,
    Conflict,
    Country,
    Entry,
    EntryKind,
    EntryStatus,
    InvalidInput,
    NotAllowed,
    NotFound,
    Offer,
    Organisation,
    Role,
    User,
    utc_now,
)

FACET_OF = {"themes": "theme", "languages": "language"}
"""Input field → facet under which its codes are kept."""

REQUIRED = ("title", "description")
"""Fields that a draft may leave empty, and an entry that others read may not."""

WHOLE = (
    selectinload(Entry.facets),
    selectinload(Entry.organisation),
    selectinload(Entry.certified_by),
    selectinload(Entry.country),
    selectinload(Entry.agreement).selectinload(Agreement.parties),
)
"""What is loaded with an entry that is shown or searched."""


def content(entry: Entry) -> dict[str, Any]:
    """The entry in the shape of its input schema, ready for JSON."""
    values: dict[str, Any] = {}
    for name in ENTRY_SCHEMAS[EntryKind(entry.kind)]._declared_fields:
        if name in FACET_OF:
            values[name] = entry.codes(FACET_OF[name])
        elif name in ("organisation", "certified_by"):
            found: Organisation | None = getattr(entry, name)
            values[name] = found.code if found is not None else ""
        elif name == "country":
            values[name] = entry.country_code
        else:
            value = getattr(entry, name)
            values[name] = value.isoformat() if isinstance(value, date) else value
    return values


CONTACT = ("contact_role", "contact_email")
"""Fields for people who have signed in: addresses are not for harvesting."""


def visible_content(entry: Entry, by: User | None) -> dict[str, Any]:
    """What the reader may see of an entry's content."""
    hidden = CONTACT if by is None else ()
    return {name: value for name, value in content(entry).items() if name not in hidden}


def get_entry(session: Session, entry_id: int, by: User | None) -> Entry:
    """The entry, if the reader may see it; else :class:`models.errors.NotFound`."""
    entry = session.get(Entry, entry_id, options=WHOLE)
    if entry is None or not entry.can_be_seen_by(by):
        raise NotFound("no_such_directory_entry", id=entry_id)
    return entry


def may_write(by: User) -> bool:
    """Whether the person's role writes entries at all: who posts offers, and moderators."""
    return by.active and (by.may_post("offer") or by.role in MODERATORS)


def blank(by: User) -> dict[str, Any]:
    """What is known of an entry before its author has written a word.

    Raises
    ------
    NotAllowed
        If the person's role writes none.
    """
    if not may_write(by):
        raise NotAllowed("write_entry")
    own = {
        "organisation": by.organisation.code,
        "country": by.organisation.country_code,
        "contact_role": by.name,
        "contact_email": by.email,
    }
    return {"language": by.language, **({} if writes_for_others(by) else own)}


def write_entry(session: Session, entry: Entry, values: Mapping[str, Any]) -> None:
    """Put validated input into the entry; fields that are not in ``values`` stay as they are."""
    for name, value in values.items():
        if name in FACET_OF:
            entry.set_codes(FACET_OF[name], value)
        elif name in ("organisation", "certified_by"):
            setattr(entry, name, _named(session, name, value))
        elif name == "country":
            entry.country_code = value
            entry.country = session.get(Country, value) if value else None
        else:
            setattr(entry, name, value)
    entry.updated_at = utc_now()


def _named(session: Session, field: str, code: str | None) -> Organisation | None:
    """The organisation of that code, none for an empty one; a problem of the field if unknown."""
    if not code:
        if field == "organisation":
            raise InvalidInput({field: [("required", {})]})
        return None
    try:
        return find_organisation(session, code)
    except NotFound as error:
        raise InvalidInput({field: [("unknown_code", {"code": code})]}) from error


def _require_own(entry: Entry, by: User) -> None:
    """People write for their own organisation; moderators within what they moderate."""
    if by.acts_for(entry.organisation_id) or by.is_secretariat:
        return
    if not by.moderates(entry.subregions()):
        raise InvalidInput({"organisation": [("not_your_organisation", {})]})


def save_entry(
    session: Session, by: User, kind: EntryKind, data: Mapping[str, Any], reference: Reference
) -> Entry:
    """Start an entry; everything but the language may still be missing.

    Raises
    ------
    NotAllowed
        If the person's role writes none.
    InvalidInput
        For fields that are filled in wrongly, and for an organisation that is not hers.
    """
    begun = {**blank(by), **data}
    values = load_draft(ENTRY_SCHEMAS[kind], begun, reference, REQUIRED)
    organisation = _named(session, "organisation", values.get("organisation"))
    assert organisation is not None  # noqa: S101 - a missing one is a problem of the field
    stem = f"{kind}-{organisation.code.removeprefix('gov-')}-"[:72]
    entry = Entry(
        kind=kind,
        reference=next_reference(session, Entry.reference, stem),
        organisation=organisation,
        organisation_id=organisation.id,
        author=by,
        language=values["language"],
    )
    write_entry(session, entry, values)
    _require_own(entry, by)
    session.add(entry)
    record(session, by, "entry.drafted", entry, after=content(entry))
    return entry


def edit_entry(
    session: Session,
    by: User,
    entry: Entry,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    revision: int | None = None,
) -> Entry:
    """Change an entry; a published one changes for its readers at once, and the trail keeps both.

    Parameters
    ----------
    revision : int, optional
        The revision that the person was reading; None skips the check.

    Raises
    ------
    Conflict
        If somebody else has changed the entry since.
    """
    require_editable(entry, by)
    if revision is not None and revision != entry.revision:
        raise Conflict("entry_changed", revision=entry.revision)
    before = content(entry)
    public = entry.status in (EntryStatus.PUBLISHED, EntryStatus.SUBMITTED)
    schema = ENTRY_SCHEMAS[EntryKind(entry.kind)]
    if public:
        values = load(schema, {**before, **data}, reference)
    else:
        values = load_draft(schema, data, reference, REQUIRED)
    write_entry(session, entry, values)
    entry.organisation_id = entry.organisation.id
    _require_own(entry, by)
    record(session, by, "entry.edited", entry, before=before, after=content(entry))
    return entry


def require_editable(entry: Entry, by: User) -> None:
    """Raise unless the person may change the entry's text now; a withdrawn one is reopened first."""
    entry.require_editor(by)
    if entry.status == EntryStatus.WITHDRAWN:
        raise Conflict("entry_transition", now=str(entry.status), then="draft")


def possible_actions(entry: Entry, by: User | None) -> frozenset[str]:
    """What the person may do with the entry now: ``edit``, ``submit``, ``renew``, …"""
    if by is None:
        return frozenset()
    status = EntryStatus(entry.status)
    actions = set()
    if entry.can_be_edited_by(by):
        actions |= {"edit"} if status != EntryStatus.WITHDRAWN else {"reopen"}
        actions |= {"submit"} if ENTRY_LIFE.allows(status, EntryStatus.SUBMITTED) else set()
        actions |= {"withdraw"} if ENTRY_LIFE.allows(status, EntryStatus.WITHDRAWN) else set()
        actions |= {"renew"} if status == EntryStatus.PUBLISHED else set()
    if status == EntryStatus.SUBMITTED and entry.can_be_moderated_by(by):
        actions |= {"publish", "return"}
    if status == EntryStatus.PUBLISHED and by.may_post("offer"):
        actions |= {"cite"}
        actions |= {"offer"} if by.acts_for(entry.organisation_id) else set()
    return frozenset(actions)


def submit_entry(
    session: Session, by: User, entry: Entry, reference: Reference, *, today: date
) -> None:
    """Hand a draft in for review; that of a trusted organisation is public at once.

    Raises
    ------
    InvalidInput
        For what is missing, and for a date or a certificate that has run out.
    """
    load(ENTRY_SCHEMAS[EntryKind(entry.kind)], content(entry), reference)
    if not entry.is_current(today):
        raise InvalidInput({"valid_until": [("past_date", {})]})
    before = _status(entry)
    entry.submit(by)
    record(session, by, "entry.submitted", entry, before=before, after=_status(entry))
    if entry.organisation.trusted:
        before = _status(entry)
        entry.publish_unreviewed(today)
        record(
            session, by, "entry.published_unreviewed", entry, before=before, after=_status(entry)
        )
        tell_of_entry(session, by, entry, "entry.published")
    else:
        tell_of_entry(session, by, entry, "entry.submitted")


def publish_entry(session: Session, by: User, entry: Entry, *, today: date) -> None:
    """Make a submitted entry public."""
    _require_impartial(session, by, entry)
    before = _status(entry)
    entry.publish(by, today)
    record(session, by, "entry.published", entry, before=before, after=_status(entry))
    tell_of_entry(session, by, entry, "entry.published")


def return_entry(session: Session, by: User, entry: Entry, comment: str) -> None:
    """Give a submitted entry back with a comment."""
    _require_impartial(session, by, entry)
    before = _status(entry)
    entry.return_with(comment, by)
    after = {**_status(entry), "comment": entry.comment}
    record(session, by, "entry.returned", entry, before=before, after=after)
    tell_of_entry(session, by, entry, "entry.returned")


def _require_impartial(session: Session, by: User, entry: Entry) -> None:
    """Raise if the moderator has a conflict with whom an entry speaks of, or who certified it."""
    named = [entry.organisation, *([entry.certified_by] if entry.certified_by else [])]
    require_no_conflict(session, by, *named, own=True)


def withdraw_entry(session: Session, by: User, entry: Entry) -> None:
    """Take an entry out of the directory."""
    before = _status(entry)
    entry.withdraw(by)
    record(session, by, "entry.withdrawn", entry, before=before, after=_status(entry))


def reopen_entry(session: Session, by: User, entry: Entry) -> None:
    """Make a withdrawn entry a draft again."""
    before = _status(entry)
    entry.reopen(by)
    record(session, by, "entry.reopened", entry, before=before, after=_status(entry))


def renew_entry(
    session: Session, by: User, entry: Entry, *, until: date | None, today: date
) -> None:
    """Say that a published entry holds for longer.

    Parameters
    ----------
    until : date, optional
        The new last day, that of the new certificate for a specialist; else ``VALIDITY`` from now.

    Raises
    ------
    InvalidInput
        If a certificate is renewed without its new date, or that day has passed.
    Conflict
        If the entry is not public.
    """
    entry.require_editor(by)
    if entry.status != EntryStatus.PUBLISHED:
        raise Conflict("entry_transition", now=str(entry.status), then="published")
    if until is None and entry.certified_by_id is not None:
        raise InvalidInput({"valid_until": [("required", {})]})
    before = {"valid_until": entry.valid_until}
    entry.renew(by, until or today + VALIDITY, today)
    record(
        session, by, "entry.renewed", entry, before=before, after={"valid_until": entry.valid_until}
    )


def _status(entry: Entry) -> dict[str, Any]:
    return {"status": str(entry.status)}


def entries_to_review(session: Session, by: User) -> list[Entry]:
    """Entries that wait for this moderator, the longest waiting first."""
    waiting = session.scalars(
        select(Entry)
        .where(Entry.status == EntryStatus.SUBMITTED)
        .order_by(Entry.submitted_at, Entry.id)
        .options(*WHOLE)
    )
    return [entry for entry in waiting if entry.can_be_moderated_by(by)]


@routine(every=timedelta(hours=1))
def look_after_entries(exchange: Exchange) -> int:
    """Tell of entries that run out soon: their own people, and who certified them."""
    today = exchange.today()
    until = today + timedelta(days=exchange.settings.expiry_days)
    with exchange.writing() as session:
        ending = session.scalars(
            select(Entry)
            .where(Entry.status == EntryStatus.PUBLISHED, Entry.valid_until.between(today, until))
            .options(*WHOLE)
            .order_by(Entry.id)
        ).all()
        tell_of_ending(session, ending)
        return len(ending)


def own_entries(by: User) -> Select[Any]:
    """A query for the entries of the person's organisation, and those that she wrote for others."""
    return (
        select(Entry)
        .where(or_(Entry.organisation_id == by.organisation_id, Entry.author_id == by.id))
        .order_by(Entry.updated_at.desc(), Entry.id.desc())
        .options(*WHOLE)
    )


def practice_of(session: Session, agreement: Agreement) -> Entry | None:
    """The practice that was told of an agreement, if there is one."""
    return session.scalar(select(Entry).where(Entry.agreement_id == agreement.id).options(*WHOLE))


def tell_practice(session: Session, by: User, agreement: Agreement, reference: Reference) -> Entry:
    """Begin a good practice with what a completed agreement says of itself.

    Prefilled from the terms, the closing report and the indicators; amounts of money are left
    out. It is public only while every party shows what was done, as in the public register.

    Returns
    -------
    Entry
        A draft; or the one that a party has begun already.

    Raises
    ------
    NotAllowed, Conflict
        For others than the parties; before the agreement is completed; while a party does not let
        it be told; where another party has told it and this one may not read the draft.
    """
    party = agreement.require_party(by)
    if agreement.status != AgreementStatus.COMPLETED:
        raise Conflict("practice_not_completed", reference=agreement.reference)
    told = practice_of(session, agreement)
    if told is not None:
        if not told.can_be_seen_by(by):
            raise Conflict("practice_told", organisation=told.organisation.name(by.language))
        return told
    unwilling = [
        p.organisation.name(by.language) for p in agreement.parties if not p.shows_activities
    ]
    if unwilling:
        raise Conflict("practice_not_permitted", organisations=", ".join(unwilling))
    entry = save_entry(session, by, EntryKind.PRACTICE, _told_by(agreement, party, by), reference)
    entry.agreement = agreement
    session.flush()
    return entry


def _told_by(agreement: Agreement, party: AgreementParty, by: User) -> dict[str, Any]:
    terms, need, offer = agreement.current_terms, agreement.need, agreement.offer
    themes = list(dict.fromkeys([*need.codes("theme"), *offer.codes("theme")]))
    reached = [
        {"name": one.name[:120], "value": one.reports[-1].value, "unit": one.unit[:40]}
        for one in agreement.indicators
        if one.reports
    ]
    return {
        "organisation": party.organisation.code,
        "language": by.language,
        "title": terms.title,
        "description": terms.activities,
        "country": need.country_code,
        "themes": themes[:8],
        "languages": sorted({*need.codes("language"), *offer.codes("language")}),
        "year": agreement.ended_at.year if agreement.ended_at else terms.ends.year,
        "results": agreement.closing_report[:10_000],
        "figures": reached[:12],
    }


SUPPORT_OF = {
    EntryKind.INSTITUTION: "technical_support",
    EntryKind.SPECIALIST: "technical_support",
    EntryKind.TECHNOLOGY: "technical_support",
    EntryKind.PRACTICE: "capacity_building",
}
"""Kind of entry → the kind of support that an offer made of it begins with."""


def offer_from_entry(session: Session, by: User, entry: Entry, reference: Reference) -> Offer:
    """Begin an offer with what one's own entry says; the offer cites it.

    Raises
    ------
    NotAllowed
        For the entries of others, and for roles that post no offers.
    """
    if not by.acts_for(entry.organisation_id):
        raise NotAllowed("edit_entry", reference=entry.reference)
    told = [entry.title, entry.results] if entry.kind == EntryKind.PRACTICE else []
    offer = save_post_draft(
        session,
        by,
        "offer",
        {
            "language": entry.language,
            "title": entry.title,
            "description": entry.description,
            "themes": entry.codes("theme"),
            "languages": entry.codes("language"),
            "support": [
                {"kind": SUPPORT_OF[EntryKind(entry.kind)], "detail": entry.services[:2000]}
            ],
            "experience_countries": [entry.country_code] if entry.country_code else [],
            "experience_projects": "\n".join(part for part in told if part)[:10_000],
        },
        reference,
    )
    assert isinstance(offer, Offer)  # noqa: S101 - the kind asked for is the kind given
    session.flush()
    record(session, by, "entry.offered", entry, after={"offer": offer.reference})
    if entry.is_public():
        _cite(session, by, entry, offer)
    return offer


def citable_offers(session: Session, by: User, entry: Entry) -> list[Offer]:
    """The person's own offers that do not cite the entry yet, newest first."""
    if not (by.may_post("offer") and entry.is_public()):
        return []
    cited = select(Citation.offer_id).where(Citation.entry_id == entry.id)
    offers = session.scalars(
        select(Offer)
        .where(Offer.organisation_id == by.organisation_id, Offer.id.not_in(cited))
        .order_by(Offer.id.desc())
        .limit(100)
    )
    return [offer for offer in offers if offer.can_be_edited_by(by)]


def cite_entry(session: Session, by: User, entry: Entry, offer_id: int) -> Offer:
    """Name an entry as experience in one's own offer.

    Raises
    ------
    NotFound
        If there is no such offer for the person.
    NotAllowed, Conflict
        For others' offers; for an entry that is not public, or is cited there already.
    """
    offer = _own_offer(session, by, offer_id)
    if not entry.is_public():
        raise Conflict("entry_not_public", reference=entry.reference)
    if session.get(Citation, (entry.id, offer.id)) is not None:
        raise Conflict("already_cited", reference=offer.reference)
    _cite(session, by, entry, offer)
    return offer


def _cite(session: Session, by: User, entry: Entry, offer: Offer) -> None:
    session.add(Citation(entry_id=entry.id, offer_id=offer.id, by_id=by.id))
    record(session, by, "entry.cited", entry, after={"offer": offer.reference})


def drop_citation(session: Session, by: User, entry: Entry, offer_id: int) -> None:
    """No longer name an entry in one's own offer."""
    offer = _own_offer(session, by, offer_id)
    citation = session.get(Citation, (entry.id, offer.id))
    if citation is None:
        raise NotFound("no_such_directory_entry", id=entry.id)
    session.delete(citation)
    record(session, by, "entry.citation_dropped", entry, before={"offer": offer.reference})


def _own_offer(session: Session, by: User, offer_id: int) -> Offer:
    offer = session.get(Offer, offer_id)
    if offer is None or not offer.can_be_seen_by(by):
        raise NotFound("no_such_post", id=offer_id)
    if not offer.can_be_edited_by(by):
        raise NotAllowed("edit_post", reference=offer.reference)
    return offer


def citing_offers(session: Session, entry: Entry, by: User | None) -> list[Offer]:
    """The offers that cite an entry, as far as the reader may see them."""
    offers = session.scalars(
        select(Offer)
        .join(Citation, Citation.offer_id == Offer.id)
        .where(Citation.entry_id == entry.id)
        .order_by(Offer.id)
        .options(selectinload(Offer.organisation), selectinload(Offer.facets))
        .limit(100)
    )
    return [offer for offer in offers if offer.can_be_seen_by(by)]


def cited_entries(session: Session, offer: Offer, by: User | None) -> list[Entry]:
    """The entries that an offer cites as experience, as far as the reader may see them."""
    entries = session.scalars(
        select(Entry)
        .join(Citation, Citation.entry_id == Entry.id)
        .where(Citation.offer_id == offer.id)
        .order_by(Entry.title, Entry.id)
        .options(*WHOLE)
        .limit(100)
    )
    return [entry for entry in entries if entry.can_be_seen_by(by)]


def writes_for_others(by: User) -> bool:
    """Whether the person chooses for whose organisation she writes."""
    return by.role in (Role.SECRETARIAT, Role.COORDINATOR)
