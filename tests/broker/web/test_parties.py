"""Several parties, kinds of agreements, and what the parties let everybody read."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from broker import agreements
from models import Agreement, AgreementStatus, AuditEvent, Offer, Role
from models.ledger import imbalances
from tests.broker.factories import make_person, post_offer
from tests.broker.web.sides import Sides
from tests.broker.web.test_agreement_pdf import words_of

JOINS = {"organisation": "caf", "role": "donor", "contribution": "Pays the trainers' travel"}


@pytest.fixture
def donor(exchange, sign_in) -> FlaskClient:
    """A browser of the development bank that may join."""
    with exchange.writing() as session:
        bank = make_person(session, Role.PROVIDER, "caf")
    return sign_in(bank)


def test_a_donor_joins_accepts_and_signs_like_every_party(sides: Sides, donor) -> None:
    number = sides.agreement(AgreementStatus.NEGOTIATED)
    assert donor.get(f"/agreements/{number}").status_code == 404
    answer = sides.giving.post(f"/agreements/{number}/parties", data=JOINS)
    assert answer.status_code == 302
    assert sides.now(number).status == AgreementStatus.PROPOSED
    assert "Pays the trainers" in donor.get(f"/agreements/{number}").text
    for side in (sides.asking, donor):
        assert side.post(f"/agreements/{number}/accept", data={"number": 1}).status_code == 302
    for side in (sides.asking, sides.giving):
        side.post(f"/agreements/{number}/sign", data={"number": 1})
        assert sides.now(number).status == AgreementStatus.NEGOTIATED
    assert "Pays the trainers" in donor.get(f"/agreements/{number}/sign").text
    donor.post(f"/agreements/{number}/sign", data={"number": 1})
    signed = sides.now(number)
    assert signed.status == AgreementStatus.SIGNED
    assert [party.role for party in signed.parties] == ["need_side", "offer_side", "donor"]
    assert len(signed.commitments) == 1
    with sides.exchange.reading() as session:
        assert imbalances(session) == []
    said = words_of(donor.get(f"/agreements/{number}.pdf").data)
    assert not said or "Pays the trainers' travel" in said


@pytest.fixture
def purse(exchange) -> str:
    """Reference of the bank's own offer of money."""
    with exchange.writing() as session:
        grant = {"kind": "finance", "modality": "grant", "detail": "Grants"}
        return post_offer(session, "caf", support=[grant], money="1000", currency="EUR").reference


def test_a_donor_pays_from_its_own_offer_and_the_ledger_shows_it(
    sides: Sides, donor, purse: str
) -> None:
    number = sides.agreement(AgreementStatus.NEGOTIATED, money=None, currency=None)
    pays = {**JOINS, "money": "600", "currency": "EUR", "offer": purse}
    assert sides.giving.post(f"/agreements/{number}/parties", data=pays).status_code == 302
    for side in (sides.asking, donor):
        side.post(f"/agreements/{number}/accept", data={"number": 1})
    assert "600" in donor.get(f"/agreements/{number}/sign").text
    for side in (sides.asking, sides.giving, donor):
        assert side.post(f"/agreements/{number}/sign", data={"number": 1}).status_code == 302
    with sides.exchange.reading() as session:
        offer = session.scalars(select(Offer).where(Offer.reference == purse)).one()
        assert offer.money_committed == 600
        address = f"/offers/{offer.id}/balance"
    page = donor.get(address).text
    assert "EUR 600" in page
    assert "EUR 400" in page
    page = sides.asking.get(f"/agreements/{number}").text
    assert "Pays EUR 600 from its offer" in page
    assert purse in words_of(donor.get(f"/agreements/{number}.pdf").data)

    # Ended early, it is said of each contribution how much was used.
    form = sides.asking.get(f"/agreements/{number}/terminate").text
    party = sides.now(number).parties[2].id
    assert "contributions_used-0-money_used" in form
    data = {"reason": "Floods", "places_used": "1", "contributions_used-0-party": str(party)}
    for used, status in (("", 422), ("600.01", 422), ("200", 302)):
        sent = {**data, "contributions_used-0-money_used": used}
        assert sides.asking.post(f"/agreements/{number}/terminate", data=sent).status_code == status
    with sides.exchange.reading() as session:
        assert (
            session.scalars(select(Offer).where(Offer.reference == purse)).one().money_committed
            == 200
        )
        assert imbalances(session) == []


@pytest.mark.parametrize(
    ("gift", "words"),
    [
        ({"money": "1000.01", "currency": "EUR"}, "only 1000"),
        ({"money": "10", "currency": "USD"}, "offer&#39;s currency"),
        ({"money": "10"}, "in which currency"),
        ({"currency": "EUR"}, "how much is paid"),
        ({"money": "10", "currency": "EUR", "offer": "offer-unknown"}, "no offer on the exchange"),
    ],
)
def test_a_contribution_that_cannot_be_is_refused_beside_its_field(
    sides: Sides, donor, purse: str, gift: dict[str, str], words: str
) -> None:
    number = sides.agreement(AgreementStatus.PROPOSED)
    page = sides.giving.post(
        f"/agreements/{number}/parties", data={**JOINS, "offer": purse, **gift}
    )
    assert page.status_code == 422
    assert words in page.text
    assert len(sides.now(number).parties) == 2


def test_an_amount_that_no_offer_holds_stands_as_it_is_stated(sides: Sides, donor) -> None:
    number = sides.agreement(AgreementStatus.NEGOTIATED, money=None, currency=None)
    pays = {**JOINS, "money": "600", "currency": "EUR"}
    sides.giving.post(f"/agreements/{number}/parties", data=pays)
    for side in (sides.asking, donor):
        side.post(f"/agreements/{number}/accept", data={"number": 1})
    for side in (sides.asking, sides.giving, donor):
        side.post(f"/agreements/{number}/sign", data={"number": 1})
    page = sides.asking.get(f"/agreements/{number}").text
    assert "no offer on the exchange holds it" in page
    assert "as stated, from no offer" in page


def test_who_joins_twice_or_without_an_account_is_refused_with_a_reason(
    sides: Sides,
    donor,
) -> None:
    number = sides.agreement(AgreementStatus.PROPOSED)
    address = f"/agreements/{number}/parties"
    for organisation, code, words in (
        ("gov-pe", 409, "takes part in"),
        ("gov-cl", 409, "open account"),
        ("nobody", 404, "no organisation"),
        ("", 422, "fill this in"),
    ):
        answer = sides.asking.post(address, data={**JOINS, "organisation": organisation})
        assert (answer.status_code, words in answer.text) == (code, True), organisation
    assert donor.post(address, data=JOINS).status_code == 404
    assert len(sides.now(number).parties) == 2


def test_only_those_who_could_sign_are_offered_in_the_list(sides: Sides, donor) -> None:
    number = sides.agreement(AgreementStatus.PROPOSED)
    page = sides.asking.get(f"/agreements/{number}/parties").text
    assert 'value="caf"' in page
    assert 'value="gov-cl"' not in page
    assert 'value="gov-pe"' not in page


def test_a_joined_party_can_leave_while_terms_are_open_the_two_sides_cannot(
    sides: Sides,
    donor,
) -> None:
    number = sides.agreement(AgreementStatus.NEGOTIATED)
    sides.asking.post(f"/agreements/{number}/parties", data=JOINS)
    first, _second, joined = (party.id for party in sides.now(number).parties)
    address = f"/agreements/{number}/parties/{{}}/remove"
    assert sides.giving.post(address.format(first)).status_code == 409
    assert donor.post(address.format(joined)).status_code == 302
    left = sides.now(number)
    assert len(left.parties) == 2
    assert not any(party.accepted_number for party in left.parties)
    assert sides.giving.post(address.format(joined)).status_code == 404


def test_signed_agreements_take_in_nobody_and_change_no_kind(sides: Sides, donor) -> None:
    number = sides.agreement(AgreementStatus.SIGNED)
    assert sides.asking.post(f"/agreements/{number}/parties", data=JOINS).status_code == 409
    kind = {"kind": "voluntary"}
    assert sides.asking.post(f"/agreements/{number}/kind", data=kind).status_code == 409
    assert "Bring in a donor" not in sides.asking.get(f"/agreements/{number}/parties").text


def test_voluntary_agreements_are_counted_on_their_own(sides: Sides, client) -> None:
    number = sides.agreement(AgreementStatus.NEGOTIATED)
    answer = sides.giving.post(f"/agreements/{number}/kind", data={"kind": "voluntary"})
    assert answer.status_code == 302
    assert sides.now(number).status == AgreementStatus.PROPOSED
    sides.asking.post(f"/agreements/{number}/accept", data={"number": 1})
    for side in (sides.asking, sides.giving):
        side.post(f"/agreements/{number}/sign", data={"number": 1})
    assert "1 agreement<" in client.get("/agreements?kind=voluntary").text
    assert "0 agreements<" in client.get("/agreements?kind=cooperation").text
    assert sides.giving.post(f"/agreements/{number}/kind", data={"kind": "x"}).status_code == 422


def test_the_public_reads_money_and_activities_if_every_party_allows_it(
    sides: Sides,
    client,
) -> None:
    number = sides.agreement(AgreementStatus.SIGNED, need_side_duties="Names the people")
    pages = (f"/agreements/{number}", "/agreements")
    assert all("5,000" in client.get(page).text for page in pages)
    answer = sides.asking.post(
        f"/agreements/{number}/disclosure",
        data={"shows_money": "false", "shows_activities": "true"},
    )
    assert answer.status_code == 302
    assert all("5,000" not in client.get(page).text for page in pages)
    assert "Two workshops" in client.get(pages[0]).text
    sides.giving.post(
        f"/agreements/{number}/disclosure",
        data={"shows_money": "true", "shows_activities": "false"},
    )
    public = client.get(pages[0]).text
    for words in ("5,000", "Two workshops", "Names the people"):
        assert words not in public
    said = words_of(client.get(f"{pages[0]}.pdf").data)
    assert "000.00" not in said
    assert "Two workshops" not in said
    assert "Two workshops" in sides.asking.get(pages[0]).text
    with sides.exchange.reading() as session:
        events = session.scalars(
            select(AuditEvent.after).where(AuditEvent.action == "agreement.disclosure")
        ).all()
    assert events == [{"shows_money": False}, {"shows_activities": False}]


def test_parties_of_another_agreement_choose_nothing_here(sides: Sides, donor) -> None:
    number = sides.agreement(AgreementStatus.SIGNED)
    answer = donor.post(
        f"/agreements/{number}/disclosure",
        data={"shows_money": "false", "shows_activities": "false"},
    )
    assert answer.status_code == 403
    assert donor.get(f"/agreements/{number}/parties").status_code == 403
    with sides.exchange.reading() as session:
        agreement = session.get_one(Agreement, number, options=agreements.WHOLE)
        assert all(party.shows_money for party in agreement.parties)
