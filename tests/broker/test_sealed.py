"""Sealed money counts in matching, and nobody can work it out: not from points, nor from refusals."""

from decimal import Decimal

import pytest

from broker.engine import banded
from broker.matches import examine, matches_of
from models import Role
from tests.broker.factories import days, make_person, post_need, post_offer


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


@pytest.fixture
def peru(session):
    return make_person(session, Role.FOCAL_POINT)


@pytest.fixture
def caf(session):
    return make_person(session, Role.PROVIDER, "caf")


def points(exchange, session, by, need, offer):
    view = examine(exchange, session, need, offer, by, on=days(0))
    return [part.micro_points for part in view.explanation.contributions]


@pytest.mark.parametrize(
    ("amount", "band"),
    [(None, None), (0.0, 0.0), (0.4, 0.4), (7.0, 7.0), (76543.0, 70000.0), (99_999.0, 90_000.0)],
)
def test_a_sealed_amount_counts_by_its_first_digit(amount, band):
    assert banded(amount) == band


def test_budgets_of_one_band_give_the_same_points_to_the_millionth(exchange, session, peru):
    need = post_need(session, money_most=Decimal(200_000), currency="USD")
    sealed = [
        post_offer(session, "caf", money=Decimal(money), currency="USD", money_sealed=True)
        for money in (70_000, 71_234, 79_999)
    ]
    assert len({tuple(points(exchange, session, peru, need, offer)) for offer in sealed}) == 1
    opened = post_offer(session, "caf", money=Decimal(79_999), currency="USD")
    assert points(exchange, session, peru, need, opened) != points(
        exchange, session, peru, need, sealed[0]
    )


def test_sealed_needs_are_handled_the_same_way(exchange, session, caf):
    offer = post_offer(session, "caf", money=Decimal(30_000), currency="USD")
    needs = [
        post_need(session, money_most=Decimal(money), currency="USD", money_sealed=True)
        for money in (70_000, 71_234, 79_999)
    ]
    assert len({tuple(points(exchange, session, caf, need, offer)) for need in needs}) == 1


def test_neither_the_amount_nor_what_it_is_compared_with_is_in_the_explanation(
    exchange, session, peru, caf
):
    need = post_need(session, money_most=Decimal(200_000), currency="USD")
    offer = post_offer(
        session, "caf", money=Decimal(76_543), grant_most=Decimal(54_321), currency="USD",
        money_sealed=True,
    )  # fmt: skip
    seen = examine(exchange, session, need, offer, peru, on=days(0))
    money = next(
        part
        for contribution in seen.explanation.contributions
        for part in contribution.parts
        if part.part == "money"
    )
    assert (money.need_says, money.offer_says) == (None, "sealed")
    assert not {change.field for change in seen.changes} & {
        "money_least", "grant_most", "grant_least",
    }  # fmt: skip
    own = examine(exchange, session, need, offer, caf, on=days(0))
    assert any(
        part.offer_says == 50_000
        for contribution in own.explanation.contributions
        for part in contribution.parts
        if part.part == "money"
    )


def test_it_still_decides_who_can_be_served(exchange, session, peru):
    need = post_need(session, money_most=Decimal(9_000), currency="USD")
    used_up = post_offer(
        session, "caf", money=Decimal(5_000), grant_least=Decimal(8_000), currency="USD",
        money_sealed=True,
    )  # fmt: skip
    found = matches_of(exchange, session, need, peru, on=days(0))
    assert used_up.id not in {row.offer.id for row in found.rows}


def test_the_rule_that_fails_names_no_amount(exchange, session, peru, caf):
    need = post_need(session, money_most=Decimal(9_000), currency="USD")
    offer = post_offer(
        session, "caf", money=Decimal(5_000), grant_least=Decimal(8_000), currency="USD",
        money_sealed=True,
    )  # fmt: skip
    for by, told in ((peru, [(None, None)]), (caf, [(9_000.0, 5_000.0)])):
        view = examine(exchange, session, need, offer, by, on=days(0))
        for failures in (view.why_not.failures, view.explanation.failures):
            assert [(f.need_says, f.offer_says) for f in failures] == told


def test_the_interface_for_programs_keeps_it_too(exchange, app, session):
    offer = post_offer(
        session, "caf", money=Decimal(76_543), grant_most=Decimal(54_321), currency="USD",
        money_sealed=True,
    )  # fmt: skip
    session.commit()
    client = app.test_client()
    for address in (f"/api/v1/offers/{offer.id}", "/api/v1/offers", f"/offers/{offer.id}"):
        text = client.get(address).text
        assert offer.title in text, address
        assert "76543" not in text
        assert "54321" not in text
