import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse

from matching.clearing import ClearingError, clear, clear_money
from tests.matching.clearing_exchanges import exchanges

SCORES = sparse.coo_array(([90.0, 60.0, 80.0], ([0, 0, 1], [0, 1, 0])), shape=(2, 2))


def _refused(**options):
    arguments = {"asked": [100, 100], "budgets": [150, 50]} | options
    with pytest.raises(ClearingError) as refusal:
        clear_money(options.pop("scores", SCORES), **arguments)
    return refusal.value


def test_money_goes_where_it_scores_most():
    clearing = clear_money(SCORES, [100, 100], [150, 50])
    assert clearing.amounts.toarray().tolist() == [[50, 50], [100, 0]]
    assert clearing.total == 50 * 90 + 50 * 60 + 100 * 80
    assert (clearing.open.tolist(), clearing.left.tolist()) == ([0, 0], [0, 0])
    assert clearing.certificate.gap == 0.0


def test_a_grant_is_nothing_or_at_least_what_the_offer_gives():
    clearing = clear_money(SCORES, [100, 100], [150, 50], grant_least=[60, 0])
    amounts = clearing.amounts.toarray()
    assert amounts.tolist() == [[60, 40], [90, 0]]
    least_two = clear_money(SCORES, [100, 100], [110, 50], grant_least=[60, 0])
    assert least_two.amounts.toarray().tolist() == [[0, 50], [100, 0]] or (
        least_two.total == 100 * 90
    )


def test_a_grant_is_at_most_what_the_offer_gives():
    clearing = clear_money(SCORES, [100, 100], [150, 50], grant_most=[70, 50])
    assert clearing.amounts.toarray().tolist() == [[70, 30], [70, 0]]


def test_a_sum_too_small_to_be_of_use_is_not_given():
    clearing = clear_money(SCORES, [100, 100], [120, 0], useful=[50, 50])
    assert clearing.amounts.toarray().tolist() == [[70, 0], [50, 0]]
    clearing = clear_money(SCORES, [100, 100], [90, 0], useful=[80, 30])
    assert clearing.amounts.toarray().tolist() == [[90, 0], [0, 0]]


def test_forced_and_fixed_grants_are_made():
    clearing = clear_money(SCORES, [100, 100], [100, 0], grant_least=30, forced=[(1, 0)])
    assert clearing.amounts.toarray()[1, 0] == 30
    clearing = clear_money(SCORES, [100, 100], [100, 50], grant_least=30, fixed={(1, 0): 20})
    assert clearing.amounts.toarray()[1, 0] == 20


def test_fair_money_raises_the_worst_served_country():
    asked, budgets = [10_000, 10_000], [10_000, 0]
    fair = clear_money(SCORES, asked, budgets, policy="fair", groups=[0, 1])
    assert clear_money(SCORES, asked, budgets, groups=[0, 1]).levels.tolist() == [90.0, 0.0]
    # 90 a = 80 (1 - a)
    assert_allclose(fair.amounts.toarray()[:, 0], [4706, 5294], atol=1)
    assert fair.amounts.sum() == 10_000
    assert [row.turn for row in fair.certificate.levels] == [1, 1]
    assert_allclose([row.bound for row in fair.certificate.levels], 42.353, atol=1e-2)


def test_fair_money_respects_the_least_useful_grant():
    fair = clear_money(
        SCORES, [100, 100], [100, 0], policy="fair", groups=[0, 1], grant_least=[60, 0]
    )
    assert sorted(fair.amounts.toarray()[:, 0].tolist()) == [0, 100]
    assert not fair.certificate.proven


def test_prices_tell_what_one_more_unit_would_add():
    budgets = np.array([150, 30])
    clearing = clear_money(SCORES, [100, 100], budgets)
    for offer in range(2):
        more = clear_money(SCORES, [100, 100], budgets + (np.arange(2) == offer))
        assert clearing.shadow_prices.offers[offer] == more.total - clearing.total


def test_large_amounts_are_kept_to_the_last_unit():
    random = np.random.default_rng(5)
    scores = sparse.coo_array(random.random((20, 6)) * 100)
    asked = random.integers(10**9, 10**11, 20)
    budgets = random.integers(10**10, 10**11, 6)
    clearing = clear_money(scores, asked, budgets)
    assert clearing.certificate.gap == 0.0
    assert clearing.amounts.sum() == min(asked.sum(), budgets.sum())
    assert (clearing.amounts.sum(axis=0) + clearing.left == budgets).all()
    assert (clearing.amounts.sum(axis=1) + clearing.open == asked).all()


def test_grants_that_cannot_be_are_named():
    error = _refused(grant_least=[120, 0], forced=[(0, 0)])
    assert (error.code, error.pairs) == ("grant_out_of_reach", ((0, 0),))
    error = _refused(grant_least=[80, 0], forced=[(0, 0), (1, 0)])
    assert (error.code, error.offers) == ("forced_pairs_conflict", (0,))
    assert error.pairs == ((0, 0), (1, 0))


def test_malformed_amounts_are_named():
    assert _refused(asked=[1, -1]).needs == (1,)
    assert _refused(asked=[1, -1]).code == "negative_asked"
    assert _refused(budgets=[0.5, 1]).offers == (0,)
    assert _refused(budgets=[0.5, 1]).code == "not_whole"
    assert _refused(grant_least=[-1, 0]).code == "negative_grant_least"
    assert _refused(useful=[1, 2, 3]).code == "shape_mismatch"
    assert _refused(policy="stable").code == "unknown_policy"
    assert _refused(policy="fair", depth=0).code == "bad_depth"


@given(exchanges(places=20))
def test_without_least_grants_money_is_cleared_as_places_are(exchange):
    clearing = clear_money(exchange.scores, exchange.demand, exchange.capacity)
    places = clear(exchange.scores, exchange.demand, exchange.capacity, pair_limit=None)
    assert clearing.total == places.total


@st.composite
def _purses(draw):
    exchange = draw(exchanges(most=3, places=5, pairs=4))
    sizes = st.lists(st.integers(0, 4), min_size=3, max_size=3)
    least, most, useful = draw(sizes), draw(sizes), draw(sizes)
    return (
        exchange,
        np.array(least[: len(exchange.capacity)]),
        np.array(most[: len(exchange.capacity)]),
        np.array(useful[: len(exchange.demand)]),
    )


@pytest.mark.slow
@given(_purses())
def test_money_is_cleared_to_the_greatest_total_of_all_useful_grants(purse):
    exchange, least, most, useful = purse
    best = 0.0
    for grants in itertools.product(range(6), repeat=len(exchange.need)):
        amounts = np.array(grants, np.int64)
        got = np.bincount(exchange.need, amounts, len(exchange.demand))
        paid = np.bincount(exchange.offer, amounts, len(exchange.capacity))
        made = amounts > 0
        if (
            (got <= exchange.demand).all()
            and (paid <= exchange.capacity).all()
            and (amounts >= least[exchange.offer])[made].all()
            and (amounts <= most[exchange.offer])[made].all()
            and (got >= useful)[got > 0].all()
        ):
            best = max(best, float(amounts @ exchange.score))
    options = {"grant_least": least, "grant_most": most, "useful": useful}
    money = exchange.scores, exchange.demand, exchange.capacity
    clearing = clear_money(*money, groups=exchange.groups, **options)
    assert_allclose(clearing.total, best, rtol=1e-5, atol=1e-6)
    assert clearing.certificate.gap <= 1e-5

    fair = clear_money(*money, groups=exchange.groups, policy="fair", **options)
    assert fair.total <= clearing.total + 1e-6
    for result in (clearing, fair):
        amounts = result.amounts.toarray()
        got = amounts.sum(axis=1)
        assert (result.left >= 0).all()
        assert (result.open >= 0).all()
        assert (amounts >= least)[amounts > 0].all()
        assert (amounts <= most)[amounts > 0].all()
        assert (got >= useful)[got > 0].all()
        assert (result.shadow_prices.offers >= 0).all()
        assert (result.shadow_prices.offers[result.left > 0] == 0).all()


def test_fair_price_of_the_only_budget_is_what_one_more_unit_adds():
    alone = sparse.coo_array(([90.0], ([0], [0])), shape=(1, 1))
    fair = clear_money(alone, [900], [500], policy="fair")
    assert fair.shadow_prices.offers.tolist() == [90.0]
    assert clear_money(alone, [900], [501], policy="fair").total - fair.total == 90.0
