"""Entries of the directories: who writes, who publishes, until when they hold, what is public."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import (
    AgreementStatus,
    Citation,
    Conflict,
    Entry,
    EntryKind,
    EntryStatus,
    InvalidInput,
    InvalidTransition,
    NotAllowed,
    Role,
)
from models.directory import VALIDITY
from tests.factories import (
    TODAY,
    make_agreement,
    make_coordinator,
    make_offer,
    make_organisation,
    make_secretariat,
    make_user,
)

pytestmark = pytest.mark.usefixtures("backend")


def make_entry(session: Session, organisation=None, **values) -> Entry:
    organisation = organisation or make_organisation(session, "government", "PE")
    defaults = {
        "kind": EntryKind.PRACTICE,
        "reference": f"practice-{organisation.id}-{len(values)}",
        "language": "es",
        "title": "Ahorro de agua en curtiembres",
        "description": "Se cerró el circuito del lavado.",
        "country_code": organisation.country_code,
    }
    entry = Entry(organisation=organisation, **{**defaults, **values})
    session.add(entry)
    session.flush()
    return entry


def test_an_entry_is_reviewed_before_everybody_reads_it(session):
    entry = make_entry(session)
    author = make_user(session, entry.organisation)
    office = make_secretariat(session)
    assert entry.can_be_seen_by(author)
    assert not entry.can_be_seen_by(None)
    entry.submit(author)
    with pytest.raises(NotAllowed):
        entry.publish(author, TODAY)
    entry.publish(office, TODAY)
    assert entry.can_be_seen_by(None)
    assert entry.valid_until == TODAY + VALIDITY


def test_a_date_of_its_own_is_kept_when_it_is_published(session):
    until = TODAY + timedelta(days=30)
    entry = make_entry(session, valid_until=until)
    entry.submit(make_user(session, entry.organisation))
    entry.publish(make_secretariat(session), TODAY)
    assert entry.valid_until == until
    assert entry.is_current(until)
    assert not entry.is_current(until + timedelta(days=1))


def test_a_returned_entry_is_a_draft_with_a_comment(session):
    entry = make_entry(session)
    entry.submit(make_user(session, entry.organisation))
    office = make_secretariat(session)
    with pytest.raises(InvalidInput):
        entry.return_with("  ", office)
    entry.return_with("Which year was it?", office)
    assert (entry.status, entry.comment) == (EntryStatus.DRAFT, "Which year was it?")


def test_a_coordinator_writes_and_reviews_for_her_subregion_alone(session):
    entry = make_entry(session)
    mine, other = (make_coordinator(session, name) for name in ("andean", "caribbean"))
    assert entry.can_be_edited_by(mine)
    assert entry.can_be_moderated_by(mine)
    assert not entry.can_be_edited_by(other)
    assert not entry.can_be_moderated_by(other)


def test_nobody_publishes_the_entry_of_her_own_organisation(session):
    office = make_secretariat(session)
    entry = make_entry(session, office.organisation, status=EntryStatus.SUBMITTED)
    with pytest.raises(NotAllowed):
        entry.publish(office, TODAY)
    with pytest.raises(NotAllowed):
        entry.publish_unreviewed(TODAY)
    entry.organisation.trusted = True
    entry.publish_unreviewed(TODAY)
    assert entry.status == EntryStatus.PUBLISHED


def test_strangers_change_nothing(session):
    entry = make_entry(session)
    stranger = make_user(session, role=Role.PROVIDER)
    for act in (
        lambda: entry.submit(stranger),
        lambda: entry.withdraw(stranger),
        lambda: entry.renew(stranger, TODAY, TODAY),
        lambda: entry.return_with("No", stranger),
    ):
        with pytest.raises(NotAllowed):
            act()


def test_a_withdrawn_entry_begins_anew_as_a_draft(session):
    entry = make_entry(session)
    author = make_user(session, entry.organisation)
    entry.withdraw(author)
    with pytest.raises(InvalidTransition):
        entry.submit(author)
    entry.reopen(author)
    entry.submit(author)
    assert entry.status == EntryStatus.SUBMITTED


def test_renewal_needs_a_day_that_is_still_to_come(session):
    entry = make_entry(session, valid_until=TODAY - timedelta(days=5))
    author = make_user(session, entry.organisation)
    with pytest.raises(InvalidInput):
        entry.renew(author, TODAY - timedelta(days=1), TODAY)
    entry.renew(author, TODAY + timedelta(days=90), TODAY)
    assert entry.is_current(TODAY)


def test_what_came_of_an_agreement_is_told_while_every_party_permits_it(session):
    agreement = make_agreement(session, status=AgreementStatus.COMPLETED)
    agreement.parties[1].shows_activities = False
    entry = make_entry(session, agreement.need.organisation, agreement=agreement)
    author = make_user(session, entry.organisation)
    with pytest.raises(Conflict) as refused:
        entry.submit(author)
    assert agreement.parties[1].organisation.name("es") in refused.value.params["organisations"]
    agreement.parties[1].shows_activities = True
    entry.submit(author)
    entry.publish(make_secretariat(session), TODAY)
    assert entry.can_be_seen_by(None)
    agreement.parties[0].shows_activities = False
    assert not entry.can_be_seen_by(None)
    assert entry.can_be_seen_by(author)


def test_an_agreement_leads_to_one_practice(session):
    agreement = make_agreement(session, status=AgreementStatus.COMPLETED)
    make_entry(session, agreement.need.organisation, agreement=agreement)
    with pytest.raises(IntegrityError), session.begin_nested():
        make_entry(session, agreement.offer.organisation, agreement=agreement, year=2026)


def test_codes_and_citations_go_with_their_entry(session):
    entry = make_entry(session)
    entry.set_codes("theme", ["water", "cleaner_production"])
    entry.set_codes("theme", ["water"])
    entry.citations.append(Citation(offer=make_offer(session)))
    session.flush()
    assert entry.codes("theme") == ["water"]
    session.delete(entry)
    session.flush()
    assert session.query(Citation).count() == 0
