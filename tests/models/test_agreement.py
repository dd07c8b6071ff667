"""Agreements: negotiated in versions, signed by every party, followed to their end."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import (
    Agreement,
    AgreementStatus,
    AgreementTerms,
    Conflict,
    Indicator,
    IndicatorReport,
    InvalidInput,
    InvalidTransition,
    Milestone,
    NotAllowed,
    Role,
)
from tests.factories import (
    TODAY,
    make_agreement,
    make_coordinator,
    make_need,
    make_organisation,
    make_secretariat,
    make_terms,
    make_user,
    people,
    sign_by_all,
)

pytestmark = pytest.mark.usefixtures("backend")


# --- Negotiating ----------------------------------------------------------------------------


def test_author_accepts_by_writing_and_the_others_must_still_accept(session: Session) -> None:
    agreement = make_agreement(session, status=AgreementStatus.PROPOSED)
    writer, reader = people(session, agreement)
    assert [party.accepted_number for party in agreement.parties] == [1, None]
    agreement.accept_terms(reader, 1)
    assert agreement.status == AgreementStatus.NEGOTIATED
    assert agreement.party_of(writer) is agreement.parties[0]


def test_new_terms_undo_what_was_accepted_and_signed(session: Session) -> None:
    agreement = make_agreement(session)
    writer, reader = people(session, agreement)
    agreement.sign(reader, 1)
    agreement.put_terms(make_terms(places=3), writer, 1)
    session.flush()
    assert agreement.status == AgreementStatus.PROPOSED
    assert [party.accepted_number for party in agreement.parties] == [2, None]
    assert [party.signed_at for party in agreement.parties] == [None, None]
    with pytest.raises(Conflict, match="terms_changed"):
        agreement.sign(reader, 1)


def test_two_people_writing_at_once_lose_nothing_of_the_first(session: Session) -> None:
    agreement = make_agreement(session, status=AgreementStatus.PROPOSED)
    writer, other = people(session, agreement)
    agreement.put_terms(make_terms(title="First to send"), writer, 1)
    with pytest.raises(Conflict) as raised:
        agreement.put_terms(make_terms(title="Second to send"), other, 1)
    assert (raised.value.code, raised.value.params) == ("terms_changed", {"number": 2})
    assert [terms.title for terms in agreement.terms] == ["Training of buyers", "First to send"]


def test_signing_before_all_have_accepted_is_refused(session: Session) -> None:
    agreement = make_agreement(session, status=AgreementStatus.PROPOSED)
    with pytest.raises(InvalidTransition) as raised:
        agreement.sign(people(session, agreement)[0], 1)
    assert raised.value.params["now"] == "proposed"


def test_every_partner_of_a_triangular_agreement_has_to_sign(session: Session) -> None:
    donor = make_organisation(session, "development_bank", None)
    agreement = make_agreement(session, partners=[donor])
    first, second, third = people(session, agreement)
    assert not agreement.sign(first, 1)
    assert not agreement.sign(third, 1)
    assert agreement.status == AgreementStatus.NEGOTIATED
    assert agreement.sign(second, 1)
    assert agreement.status == AgreementStatus.SIGNED
    assert {party.signed_by for party in agreement.parties} == {first, second, third}
    assert agreement.signed_at == max(p.signed_at for p in agreement.parties if p.signed_at)


def test_nobody_but_the_parties_negotiates(session: Session) -> None:
    agreement = make_agreement(session, status=AgreementStatus.PROPOSED)
    secretariat = make_secretariat(session)
    for action in (
        lambda: agreement.put_terms(make_terms(), secretariat, 1),
        lambda: agreement.accept_terms(secretariat, 1),
        lambda: agreement.sign(secretariat, 1),
        lambda: agreement.abandon(secretariat, "No."),
    ):
        with pytest.raises(NotAllowed, match="agreement_party"):
            action()


# --- Versions are final ---------------------------------------------------------------------


def test_signed_terms_can_neither_be_replaced_nor_accepted_again(session: Session) -> None:
    agreement = make_agreement(session, status=AgreementStatus.SIGNED)
    writer = people(session, agreement)[0]
    with pytest.raises(Conflict, match="terms_are_frozen"):
        agreement.put_terms(make_terms(), writer, 1)
    with pytest.raises(Conflict, match="terms_are_frozen"):
        agreement.accept_terms(writer, 1)


@pytest.mark.parametrize("status", [AgreementStatus.PROPOSED, AgreementStatus.SIGNED])
def test_version_on_the_table_cannot_be_rewritten(
    session: Session, status: AgreementStatus
) -> None:
    agreement = make_agreement(session, status=status, places=2)
    with pytest.raises(Conflict) as raised, session.begin_nested():
        agreement.current_terms.places = 20
    assert raised.value.code == "terms_are_frozen"
    assert raised.value.params == {"reference": agreement.reference}
    assert agreement.current_terms.places == 2


def test_touching_a_version_without_changing_it_is_no_offence(session: Session) -> None:
    terms = make_agreement(session, places=2).current_terms
    terms.places = 2
    session.flush()


def test_database_refuses_to_rewrite_a_version(session: Session) -> None:
    make_agreement(session)
    for change in (
        update(AgreementTerms).values(places=99),
        text("UPDATE agreement_terms SET money = 1"),
    ):
        with pytest.raises(IntegrityError, match="is final"), session.begin_nested():
            session.execute(change)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"places": -1}, "places_not_negative"),
        ({"money": Decimal("-0.01")}, "money_not_negative"),
        ({"ends": TODAY - timedelta(days=1)}, "period_in_order"),
    ],
)
def test_database_refuses_terms_that_make_no_sense(
    session: Session, values: dict[str, Any], rule: str
) -> None:
    with pytest.raises(IntegrityError, match=rule), session.begin_nested():
        make_agreement(session, **values)


# --- In force -------------------------------------------------------------------------------


def make_milestone(session: Session, agreement: Agreement, due: date = TODAY) -> Milestone:
    milestone = Milestone(title="First workshop", due=due)
    agreement.milestones.append(milestone)
    session.flush()
    return milestone


def test_milestone_is_done_once_with_what_shows_it(session: Session) -> None:
    agreement = make_agreement(session, status=AgreementStatus.ACTIVE)
    milestone, person = make_milestone(session, agreement), people(session, agreement)[1]
    milestone.mark_done(person, TODAY, " List of those who came. ")
    assert (milestone.done_on, milestone.evidence) == (TODAY, "List of those who came.")
    with pytest.raises(Conflict, match="milestone_done"):
        milestone.mark_done(person, TODAY, "Again.")


def test_milestone_is_late_the_day_after_it_was_due(session: Session) -> None:
    agreement = make_agreement(session, status=AgreementStatus.SIGNED)
    milestone = make_milestone(session, agreement)
    assert agreement.late_milestones(TODAY) == []
    assert agreement.late_milestones(TODAY + timedelta(days=1)) == [milestone]
    milestone.mark_done(people(session, agreement)[0], TODAY, "")
    assert agreement.late_milestones(TODAY + timedelta(days=1)) == []


def test_ended_agreement_has_no_milestones_to_follow(session: Session) -> None:
    agreement = make_agreement(session, status=AgreementStatus.ACTIVE)
    milestone, person = make_milestone(session, agreement), people(session, agreement)[0]
    agreement.complete(person, "All was done.")
    assert agreement.late_milestones(TODAY + timedelta(days=9)) == []
    with pytest.raises(Conflict, match="agreement_not_in_force"):
        milestone.mark_done(person, TODAY, "")


@pytest.mark.parametrize(
    ("baseline", "target", "values", "progress"),
    [
        (10.0, 20.0, [], None),
        (10.0, 20.0, [15.0], 0.5),
        (None, 40.0, [10.0, 20.0], 0.5),
        (100.0, 60.0, [80.0], 0.5),
        (10.0, 20.0, [5.0], -0.5),
        (5.0, 5.0, [5.0], 1.0),
        (5.0, 5.0, [4.0], 0.0),
    ],
)
def test_progress_is_the_way_gone_from_baseline_to_target(
    baseline: float | None, target: float, values: list[float], progress: float | None
) -> None:
    reports = [IndicatorReport(on=TODAY, value=value) for value in values]
    assert Indicator(baseline=baseline, target=target, reports=reports).progress() == progress


@pytest.mark.parametrize("words", ["", "   "])
def test_an_end_needs_words(session: Session, words: str) -> None:
    agreement = make_agreement(session, status=AgreementStatus.ACTIVE)
    person = people(session, agreement)[0]
    with pytest.raises(InvalidInput) as raised:
        agreement.complete(person, words)
    assert list(raised.value.fields) == ["closing_report"]
    with pytest.raises(InvalidInput) as raised:
        agreement.terminate(person, words)
    assert list(raised.value.fields) == ["reason"]
    assert agreement.status == AgreementStatus.ACTIVE


def test_what_has_ended_stays_ended(session: Session) -> None:
    agreement = make_agreement(session, status=AgreementStatus.COMPLETED)
    assert agreement.ended_at is not None
    person = people(session, agreement)[0]
    with pytest.raises(InvalidTransition):
        agreement.terminate(person, "Too late.")
    with pytest.raises(InvalidTransition):
        agreement.start(person)
    with pytest.raises(Conflict, match="already_signed"):
        sign_by_all(session, agreement)


# --- Who may read ---------------------------------------------------------------------------


def test_agreement_is_for_its_parties_until_it_is_signed(session: Session) -> None:
    need = make_need(session, make_organisation(session, country="PE"))
    agreement = make_agreement(session, need)
    readers = [*people(session, agreement), make_secretariat(session), make_coordinator(session)]
    others = [None, make_user(session), make_coordinator(session, "caribbean", "BB")]
    assert all(agreement.can_be_seen_by(reader) for reader in readers)
    assert not any(agreement.can_be_seen_by(other) for other in others)
    sign_by_all(session, agreement)
    assert all(agreement.can_be_seen_by(anyone) for anyone in (*readers, *others))


def test_broken_off_negotiations_stay_with_the_parties(session: Session) -> None:
    agreement = make_agreement(session)
    agreement.abandon(people(session, agreement)[0], "Another way was found.")
    assert not agreement.can_be_seen_by(None)
    assert agreement.can_be_seen_by(people(session, agreement)[1])


def test_person_whose_account_is_closed_is_no_party_any_more(session: Session) -> None:
    agreement = make_agreement(session)
    person = people(session, agreement)[0]
    person.active = False
    with pytest.raises(NotAllowed):
        agreement.sign(person, 1)
    assert person.role == Role.FOCAL_POINT
