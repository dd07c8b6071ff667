"""Drafting terms from need and offer, and showing what changed between versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from broker.exchange import Exchange
from broker.terms import KEPT_AROUND, compare_terms, compare_texts, draft_terms
from models import AgreementTerms, Match, MatchStatus, Role
from tests.broker.factories import days, make_person, post_need, post_offer


@pytest.fixture
def session(exchange: Exchange) -> Iterator[Session]:
    with exchange.writing() as session:
        yield session


def draft(
    exchange: Exchange,
    session: Session,
    *,
    need: dict[str, Any],
    offer: dict[str, Any],
    role: Role = Role.FOCAL_POINT,
    language: str = "en",
) -> dict[str, Any]:
    match = Match(
        need=post_need(session, **need),
        offer=post_offer(session, **offer),
        status=MatchStatus.MUTUAL,
    )
    by = make_person(session, role)
    return draft_terms(session, match, by, exchange.reference, language=language, today=days(0))


@pytest.mark.parametrize(
    ("need", "offer", "places"),
    [
        ({"places_wanted": 30}, {"places": 60, "places_per_beneficiary": 20}, 20),
        ({"places_wanted": 30}, {"places": 12, "places_per_beneficiary": 12}, 12),
        ({"places_wanted": 8}, {"places": 60}, 8),
        ({"places_wanted": 8}, {}, 8),
        ({}, {"places": 60, "places_per_beneficiary": 20}, 20),
        ({}, {}, None),
    ],
)
def test_a_draft_asks_for_no_more_places_than_any_side_allows(
    exchange: Exchange, session: Session, need: Any, offer: Any, places: int | None
) -> None:
    assert draft(exchange, session, need=need, offer=offer)["places"] == places


def test_a_draft_counts_money_in_the_currency_of_the_offer(
    exchange: Exchange, session: Session
) -> None:
    made = draft(
        exchange,
        session,
        need={"money_most": Decimal(50000), "currency": "USD"},
        offer={"money": Decimal(300000), "grant_most": Decimal(400000), "currency": "EUR"},
    )
    rates = exchange.reference.currencies
    assert made["currency"] == "EUR"
    assert Decimal(made["money"]) == int(50000 * rates["USD"].usd_rate / rates["EUR"].usd_rate)


def test_a_draft_stays_within_one_grant(exchange: Exchange, session: Session) -> None:
    made = draft(
        exchange,
        session,
        need={"money_most": Decimal(50000), "currency": "USD"},
        offer={"money": Decimal(300000), "grant_most": Decimal(20000), "currency": "USD"},
    )
    assert made["money"] == "20000"


def test_a_draft_asks_no_money_of_an_offer_that_gives_none(
    exchange: Exchange, session: Session
) -> None:
    made = draft(
        exchange, session, need={"money_most": Decimal(50000), "currency": "USD"}, offer={}
    )
    assert made["money"] is None


@pytest.mark.parametrize(("role", "told"), [(Role.FOCAL_POINT, True), (Role.TASK_FORCE, False)])
def test_a_sealed_amount_is_drafted_for_its_own_side_alone(
    exchange: Exchange, session: Session, role: Role, told: bool
) -> None:
    made = draft(
        exchange,
        session,
        need={"money_most": Decimal(50000), "currency": "USD", "money_sealed": True},
        offer={"money": Decimal(300000), "currency": "USD"},
        role=role,
    )
    assert made["money"] == ("50000" if told else None)


@pytest.mark.parametrize(
    ("need", "offer", "period"),
    [
        ((60, 400), (90, 300), (90, 300)),
        ((-30, 400), (None, None), (0, 400)),
        ((60, 100), (200, 300), (60, 100)),
        ((None, None), (10, 50), (10, 50)),
    ],
)
def test_a_draft_runs_on_the_days_on_which_both_can_work(
    exchange: Exchange, session: Session, need: Any, offer: Any, period: Any
) -> None:
    def stated(pair: tuple[int | None, int | None]) -> dict[str, date]:
        return {
            name: days(n) for name, n in zip(("starts", "ends"), pair, strict=True) if n is not None
        }

    made = draft(exchange, session, need=stated(need), offer=stated(offer))
    assert (made["starts"], made["ends"]) == tuple(days(n).isoformat() for n in period)


def test_a_draft_tells_what_the_offer_gives_in_the_readers_language(
    exchange: Exchange, session: Session
) -> None:
    made = draft(exchange, session, need={}, offer={}, language="es")
    label = exchange.reference.label("support_kind", "workshop", "es")
    assert made["activities"] == f"– {label}: Two workshops of three days"
    assert made["support_kinds"] == ["capacity_building"]


def terms(**values: Any) -> AgreementTerms:
    defaults: dict[str, Any] = {
        "title": "Training",
        "activities": "Two workshops of three days in Lima.",
        "need_side_duties": "",
        "offer_side_duties": "",
        "starts": date(2027, 1, 1),
        "ends": date(2027, 12, 31),
        "places": 20,
        "money": None,
        "currency": "EUR",
        "support_kinds": ["capacity_building"],
        "milestones": [{"title": "First workshop", "due": "2027-03-01"}],
        "indicators": [],
    }
    return AgreementTerms(**{**defaults, **values})


def test_equal_terms_have_no_changes() -> None:
    assert compare_terms(terms(), terms(currency="USD", note="As agreed on the telephone.")) == []


def test_a_changed_text_is_compared_word_by_word() -> None:
    (change,) = compare_terms(terms(), terms(activities="Two workshops of four days in Lima."))
    assert change.field == "activities"
    assert [(p.kind, p.text.strip()) for p in change.pieces] == [
        ("same", "Two workshops of"),
        ("gone", "three"),
        ("new", "four"),
        ("same", "days in Lima."),
    ]


def test_changed_values_lists_and_money_show_both_sides() -> None:
    first = terms(money=Decimal(500))
    second = terms(
        places=None,
        money=Decimal(500),
        currency="USD",
        milestones=[{"title": "First workshop", "due": "2027-04-01"}],
    )
    found = {change.field: change for change in compare_terms(first, second)}
    assert set(found) == {"places", "money", "milestones"}
    assert (found["places"].before, found["places"].after) == (20, None)
    assert found["money"].before == (Decimal(500), "EUR")
    assert found["money"].after == (Decimal(500), "USD")
    assert [item["due"] for item in found["milestones"].gone] == ["2027-03-01"]
    assert [item["due"] for item in found["milestones"].new] == ["2027-04-01"]


def test_the_same_entries_in_another_order_are_no_change() -> None:
    kinds = ["capacity_building", "finance"]
    assert compare_terms(terms(support_kinds=kinds), terms(support_kinds=kinds[::-1])) == []


def test_long_unchanged_stretches_are_left_out() -> None:
    text = "word " * 400
    pieces = compare_texts(text + "old", text + "new")
    assert [piece.kind for piece in pieces] == ["skipped", "same", "gone", "new"]
    assert len(pieces[1].text) <= KEPT_AROUND + 1


def test_texts_too_long_to_compare_word_by_word_are_shown_whole() -> None:
    old, new = "a b " * 1500, "c d " * 1500
    assert [(p.kind, p.text) for p in compare_texts(old, new)] == [("gone", old), ("new", new)]


def test_a_word_stays_when_only_the_sign_after_it_changes() -> None:
    pieces = compare_texts("We send two trainers.", "We send two trainers and a guide.")
    assert [(p.kind, p.text) for p in pieces] == [
        ("same", "We send two trainers "),
        ("new", "and a guide"),
        ("same", "."),
    ]


words = st.lists(st.sampled_from(["a", "b", "c", "day", "Lima,", "ñandú", "3.5"]), max_size=25)


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


@given(words, words)
def test_pieces_without_what_is_new_are_the_old_text_and_the_reverse(
    before: list[str], after: list[str]
) -> None:
    old, new = " ".join(before), " ".join(after)
    pieces = compare_texts(old, new)
    assert tokens("".join(p.text for p in pieces if p.kind != "new")) == tokens(old)
    assert tokens("".join(p.text for p in pieces if p.kind != "gone")) == tokens(new)
