"""A post's balance and ``broker ledger check``: who reads it, what it adds up to, what it tells."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from broker import agreements
from broker.cli import main
from models import AgreementStatus, Currency, Match, MatchStatus, Need, Role, Support
from models.ledger import balance
from tests.broker.factories import days, make_person, post_need, post_offer


@pytest.fixture
def committed(exchange):
    """Numbers of a need in PEN and an offer in USD, after one agreement ended half-way."""
    with exchange.writing() as session:
        need = post_need(session, places_wanted=30, money_most=Decimal(90000), currency="PEN")
        offer = post_offer(session, places=25, money=Decimal(20000), currency="USD")
        match = Match(need=need, offer=offer, status=MatchStatus.MUTUAL)
        session.add(match)
        asking, giving = (
            make_person(session, Role.FOCAL_POINT),
            make_person(session, Role.TASK_FORCE),
        )
        agreement = agreements.propose_agreement(
            session,
            asking,
            match,
            {
                "title": "Training of buyers",
                "activities": "Two workshops",
                "starts": days(10).isoformat(),
                "ends": days(200).isoformat(),
                "places": 20,
                "money": "5000",
                "currency": "USD",
            },
            exchange.reference,
            today=days(0),
        )
        agreements.accept_terms(session, giving, agreement, 1)
        agreements.sign_agreement(session, asking, agreement, 1)
        agreements.sign_agreement(session, giving, agreement, 1)
        agreements.terminate_agreement(
            session, giving, agreement, reason="Moved", places_used=12, money_used=Decimal(2000)
        )
    return need.id, offer.id


def test_rows_lead_from_opening_to_what_remains(exchange, committed):
    need_id, _offer_id = committed
    with exchange.reading() as session:
        need = session.get_one(Need, need_id)
        read = balance(session, need)
        rates = [session.get_one(Currency, code).usd_rate for code in ("USD", "PEN")]
        covered = Decimal(str(rates[0] / rates[1])) * 5000
        assert read.is_sound
        assert [entry.places_left for entry in read.entries] == [10, 18]
        assert read.money_of("commit") == covered.quantize(Decimal("0.01"))
        assert read.money_left == Decimal(90000) - need.money_covered
        assert read.opening_places + -read.places_of("commit") - read.places_of("return") == 18


def test_page_shows_every_row_with_rate_date_and_source(committed, sign_in):
    need_id, offer_id = committed
    page = re.sub(r"\s+", " ", sign_in(Role.FOCAL_POINT).get(f"/needs/{need_id}/balance").text)
    for words in ("Opening", "committed ·", "returned ·", "USD 5,000 at", "PEN", ">18<"):
        assert words in page
    page = sign_in(Role.TASK_FORCE).get(f"/offers/{offer_id}/balance").text
    for words in ("USD 20,000", "USD 18,000", ">13<"):
        assert words in page


def test_balance_is_for_its_organisation_and_moderators(committed, client, sign_in):
    need_id, offer_id = committed
    for address, organisation_page in (
        (f"/needs/{need_id}/balance", f"/needs/{need_id}"),
        (f"/offers/{offer_id}/balance", f"/offers/{offer_id}"),
    ):
        assert client.get(address).status_code == 302
        assert "/balance" not in client.get(organisation_page).text
        stranger = sign_in(Role.PROVIDER)
        assert stranger.get(address).status_code == 403
        assert sign_in(Role.SECRETARIAT).get(address).status_code == 200
    assert sign_in(Role.TASK_FORCE).get(f"/needs/{need_id}/balance").status_code == 403
    assert "/balance" in sign_in(Role.FOCAL_POINT).get(f"/needs/{need_id}").text


def test_sealed_amount_stays_sealed_for_moderators(exchange, sign_in):
    with exchange.writing() as session:
        need = post_need(
            session, places_wanted=3, money_most=Decimal(77123), currency="USD", money_sealed=True
        )
    assert "77,123" in sign_in(Role.FOCAL_POINT).get(f"/needs/{need.id}/balance").text
    assert "77,123" not in sign_in(Role.SECRETARIAT).get(f"/needs/{need.id}/balance").text


def test_ledger_check_is_silent_on_sound_books_and_names_the_post_otherwise(
    exchange, committed, monkeypatch, sign_in
):
    monkeypatch.setenv("BROKER_HOME", str(exchange.settings.home))
    sound = CliRunner().invoke(main, ["ledger", "check"])
    assert (sound.exit_code, sound.output) == (0, "Every balance is the sum of its rows.\n")
    with exchange.writing() as session:
        session.execute(
            text("UPDATE offer SET places_committed = 13 WHERE id = :id"), {"id": committed[1]}
        )
    broken = CliRunner().invoke(main, ["ledger", "check"])
    assert broken.exit_code == 1
    assert broken.output.count("\n") == 1
    assert "13 places in the balance, 12 in the rows" in broken.output
    page = sign_in(Role.SECRETARIAT).get(f"/offers/{committed[1]}/balance").text
    assert "do not add up" in page


def test_a_need_shows_which_kinds_are_covered_and_which_are_open(sides, client):
    with sides.exchange.writing() as session:
        need = session.get_one(Need, sides.need_id)
        need.supports.append(Support(kind="finance", modality="grant", detail=""))
    page = f"/needs/{sides.need_id}"
    assert "Covered by kind" not in client.get(page).text
    number = sides.agreement(AgreementStatus.SIGNED, support_kinds=["workshop"])
    said = re.sub(r"<[^>]*>|\s+", " ", client.get(page).text)
    said = re.sub(r" +", " ", said)
    assert f"Capacity building : {sides.now(number).reference} " in said
    assert "Finance : open" in said
    sides.asking.post(
        f"/agreements/{number}/terminate",
        data={"reason": "Moved", "places_used": "0", "money_used": "0"},
    )
    assert "Covered by kind" not in client.get(page).text
