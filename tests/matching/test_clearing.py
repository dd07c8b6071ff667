import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from matching.clearing import POLICIES, Floor, clear
from tests.matching.clearing_exchanges import Exchange, large_exchange


def _scores(rows):
    """Scores from rows of numbers; None is a pair that is not eligible."""
    entries = [
        (score, need, offer)
        for need, row in enumerate(rows)
        for offer, score in enumerate(row)
        if score is not None
    ]
    values, needs, offers = zip(*entries, strict=True) if entries else ((), (), ())
    return sparse.coo_array(
        (np.array(values, float), (np.array(needs, int), np.array(offers, int))),
        shape=(len(rows), len(rows[0])),
    )


def test_total_takes_the_best_sum_rather_than_the_best_pair():
    scores = _scores([[90, 80], [85, None]])
    assert clear(scores, [1, 1], [1, 1]).flow.toarray().tolist() == [[0, 1], [1, 0]]
    assert clear(scores, [1, 1], [1, 1], policy="stable").flow.toarray().tolist() == [
        [1, 0],
        [0, 0],
    ]


def test_a_stored_zero_is_eligible_and_fills_a_place_that_costs_nothing():
    scores = _scores([[0.0, None]])
    for policy in POLICIES:
        assert clear(scores, [1], [1, 1], policy=policy).flow.toarray().tolist() == [[1, 0]]
    missing = clear(_scores([[None, 0.0]]), [1], [1, 1])
    assert missing.flow.toarray().tolist() == [[0, 1]]


def test_a_negative_pair_is_left_out_unless_something_requires_it():
    scores = _scores([[-5.0, 10.0]])
    assert clear(scores, [2], [1, 1]).total == 10.0
    assert clear(scores, [2], [1, 1], exact=True).total == 5.0
    assert clear(scores, [2], [1, 1], forced=[(0, 0)]).total == 5.0
    assert clear(scores, [2], [1, 1], policy="fair").total == 10.0


def test_a_pair_takes_one_place_unless_the_limit_says_otherwise():
    scores = _scores([[10.0, 1.0]])
    assert clear(scores, [3], [5, 5]).flow.toarray().tolist() == [[1, 1]]
    assert clear(scores, [3], [5, 5], pair_limit=2).flow.toarray().tolist() == [[2, 1]]
    assert clear(scores, [3], [5, 5], pair_limit=None).flow.toarray().tolist() == [[3, 0]]
    limits = sparse.coo_array(([1, 2], ([0, 0], [0, 1])))
    assert clear(scores, [3], [5, 5], pair_limit=limits).flow.toarray().tolist() == [[1, 2]]


def test_among_equal_totals_the_one_with_more_places_is_taken():
    # The second need can only have the first offer's place; either way the total is 10.
    scores = _scores([[5.0, 5.0], [0.0, None]])
    clearing = clear(scores, [1, 1], [1, 1])
    assert clearing.total == 5.0
    assert clearing.flow.sum() == 2


def test_fixed_and_forbidden_pairs_are_kept():
    scores = _scores([[90, 10], [80, 70]])
    clearing = clear(scores, [1, 1], [1, 1], fixed={(1, 0): 1}, forbidden=[(0, 1)])
    assert clearing.flow.toarray().tolist() == [[0, 0], [1, 0]]
    # Without the agreement, the two would swap: 90 and 70 instead of 80.
    assert clearing.shadow_prices.pairs.toarray()[1, 0] == 80.0 - 90.0 - 70.0


def test_a_shadow_price_is_what_one_more_place_adds():
    exchange = large_exchange(40, 30, 6)
    clearing = exchange.cleared(clear)
    for offer in range(30):
        capacity = exchange.capacity + (np.arange(30) == offer)
        more = clear(exchange.scores, exchange.demand, capacity)
        assert_allclose(
            clearing.shadow_prices.offers[offer], more.total - clearing.total, atol=1e-6
        )
    for need in range(40):
        demand = exchange.demand - (np.arange(40) == need)
        less = clear(exchange.scores, demand, exchange.capacity)
        assert_allclose(clearing.shadow_prices.needs[need], clearing.total - less.total, atol=1e-6)


def test_prices_prove_the_total():
    exchange = large_exchange(60, 50, 8)
    clearing = exchange.cleared(clear)
    prices = clearing.shadow_prices
    worth = exchange.score - prices.needs[exchange.need] - prices.offers[exchange.offer]
    assert (worth <= prices.pairs.toarray()[exchange.need, exchange.offer] + 1e-6).all()
    bound = prices.needs @ exchange.demand + prices.offers @ exchange.capacity + prices.pairs.sum()
    assert_allclose(bound, clearing.total)
    assert clearing.certificate.gap == 0.0


def test_without_a_place_an_offer_still_has_a_price():
    clearing = clear(_scores([[50.0]]), [1], [0])
    assert clearing.flow.sum() == 0
    assert clearing.shadow_prices.offers.tolist() == [50.0]


def test_stable_prices_follow_the_chain_of_those_who_move_up():
    # One more place in offer 0 draws need 1 from offer 1, whose place goes to need 2.
    scores = _scores([[90, None], [80, 60], [None, 50]])
    clearing = clear(scores, [1, 1, 1], [1, 1], policy="stable")
    assert clearing.total == 150.0
    assert clearing.shadow_prices.offers.tolist() == [80.0 - 60.0 + 50.0, 50.0]
    assert clear(scores, [1, 1, 1], [2, 1], policy="stable").total == 220.0


def test_fair_serves_the_worst_served_first_and_then_the_next():
    # The first and the third both want the one place of the first offer.
    scores = _scores([[90, 40, None], [None, None, 5], [45, None, None]])
    fair = clear(scores, [1, 1, 1], [1, 1, 1], policy="fair", groups=[0, 1, 2])
    assert fair.levels.tolist() == [40.0, 5.0, 45.0]
    assert clear(scores, [1, 1, 1], [1, 1, 1]).levels.tolist() == [90.0, 5.0, 0.0]
    rows = fair.certificate.levels
    assert [(row.group, row.turn) for row in rows] == [(1, 1), (0, 2), (2, 2)]
    # Were the place divisible, the two would meet at 42.63: 40 + 50 a = 45 (1 - a).
    assert_allclose([row.bound for row in rows], [5.0, 42.6316, 42.6316], atol=1e-3)
    assert fair.certificate.proven


def test_depth_tells_how_many_levels_are_raised_before_the_total():
    # Raising the second level from 10 to 20 would cost 69 points of the third group.
    scores = _scores([[1, None, None], [None, 20, 10], [None, 90, 1]])
    everyone = {"groups": [0, 1, 2], "policy": "fair"}
    worst = clear(scores, [1, 1, 1], [1, 1, 1], depth=1, **everyone)
    assert worst.levels.tolist() == [1.0, 10.0, 90.0]
    assert worst.certificate.depth == 1
    scores = _scores([[1, None, None], [None, 20, 10], [None, 90, 21]])
    every = clear(scores, [1, 1, 1], [1, 1, 1], **everyone)
    assert every.levels.tolist() == [1.0, 20.0, 21.0]


def test_a_group_that_nobody_can_serve_is_set_aside():
    scores = _scores([[None, None], [70, None], [60, 20]])
    fair = clear(scores, [2, 1, 1], [1, 1], policy="fair", groups=[4, 1, 2])
    assert fair.certificate.set_aside == (4,)
    assert_array_equal(fair.levels, [np.nan, 70.0, 20.0, np.nan, np.nan])


def test_a_group_whose_only_offer_is_taken_is_set_aside():
    scores = _scores([[70, None], [60, 20]])
    fair = clear(scores, [1, 1], [1, 1], policy="fair", fixed={(1, 0): 1})
    assert fair.certificate.set_aside == (0,)
    assert fair.levels.tolist()[1] == 60.0


def test_demand_that_no_offer_could_meet_does_not_lower_a_level():
    clearing = clear(_scores([[50.0]]), [100], [2], groups=[0], pair_limit=None)
    assert clearing.levels.tolist() == [50.0]


def test_floors_promise_places_to_a_set_of_needs():
    scores = _scores([[90], [80], [10]])
    clearing = clear(scores, [1, 1, 1], [2], floors=[Floor((1, 2), 2)])
    assert clearing.flow.toarray().ravel().tolist() == [0, 1, 1]
    assert clearing.certificate.gap == 0.0
    assert clearing.shadow_prices.floors.tolist() == [80.0]
    fair = clear(scores, [1, 1, 1], [2], floors=[Floor((2,), 1)], policy="fair", depth=1)
    assert fair.flow.toarray().ravel().tolist()[2] == 1


def test_overlapping_floors_are_kept_in_whole_places():
    # Any two of the three floors share a need: the linear program would split every place.
    scores = _scores([[1.0], [1.0], [1.0]])
    floors = [Floor((0, 1), 1), Floor((1, 2), 1), Floor((0, 2), 1)]
    forbidding = clear(-scores, [1, 1, 1], [3], floors=floors)
    assert forbidding.flow.sum() == 2
    assert forbidding.total == -2.0


def test_comparing_shows_what_each_policy_gives_up():
    scores = _scores([[90, 80], [85, None]])
    comparison = clear(scores, [1, 1], [1, 1], groups=[0, 1]).compare()
    assert list(comparison) == ["total", "stable", "fair"]
    assert [row.total for row in comparison.values()] == [165.0, 90.0, 165.0]
    assert [row.given_up for row in comparison.values()] == [0.0, 75.0, 0.0]
    assert [row.worst for row in comparison.values()] == [80.0, 0.0, 80.0]
    assert [row.blocking_pairs for row in comparison.values()] == [1, 0, 1]
    assert [row.needs_served for row in comparison.values()] == [2, 1, 2]


def test_comparing_names_the_policy_that_cannot_be():
    comparison = clear(_scores([[90, 80], [85, None]]), [1, 1], [1, 1], exact=True).compare()
    assert comparison["stable"].clearing is None
    assert comparison["stable"].refusal.code == "exact_demand_unstable"
    assert comparison["stable"].refusal.needs == (1,)
    assert comparison["fair"].total == comparison["total"].total == 165.0


def test_parts_that_share_nothing_are_cleared_alike():
    one = large_exchange(12, 10, 4, seed=1, groups=3)
    two = large_exchange(15, 12, 4, seed=2, groups=3)
    both = Exchange(
        need=np.concatenate([one.need, two.need + 12]),
        offer=np.concatenate([one.offer, two.offer + 10]),
        score=np.concatenate([one.score, two.score]),
        demand=np.concatenate([one.demand, two.demand]),
        capacity=np.concatenate([one.capacity, two.capacity]),
        groups=np.concatenate([one.groups, two.groups + 3]),
    )
    for policy in ("total", "stable"):
        apart = [part.cleared(clear, policy=policy) for part in (one, two)]
        together = both.cleared(clear, policy=policy)
        assert_allclose(together.total, sum(part.total for part in apart))
        assert_array_equal(
            together.flow.toarray(),
            sparse.block_diag([part.flow for part in apart]).toarray(),
        )


def test_equal_scores_fill_every_place_that_can_be():
    random = np.random.default_rng(3)
    eligible = random.random((12, 10)) < 0.3
    need, offer = np.nonzero(eligible)
    scores = sparse.coo_array((np.full(len(need), 7.0), (need, offer)), shape=(12, 10))
    clearing = clear(scores, np.full(12, 2), np.full(10, 2))
    ones = sparse.csr_array((np.ones(len(need)), (need, offer)), shape=(12, 10))
    most = _most_places(ones, np.full(12, 2), np.full(10, 2))
    assert clearing.total == 7.0 * most


def _most_places(eligible, demand, capacity):
    """Most places that can be given, by SciPy's maximum flow."""
    needs, offers = eligible.shape
    middle = sparse.hstack(
        [
            sparse.csr_array((needs, 1)),
            sparse.csr_array((needs, needs)),
            eligible,
            sparse.csr_array((needs, 1)),
        ]
    )
    source = np.concatenate([[0], demand, np.zeros(offers + 1)])
    last = np.zeros((offers, needs + offers + 2))
    last[:, -1] = capacity
    graph = sparse.vstack(
        [source[None, :], middle, last, np.zeros((1, needs + offers + 2))], format="csr"
    ).astype(np.int32)
    return sparse.csgraph.maximum_flow(graph, 0, needs + offers + 1).flow_value


def test_on_a_large_exchange_few_pairs_suffice_to_prove_the_total():
    """Above ``LARGE`` pairs, only those in question reach the solver; the proof covers all."""
    exchange = large_exchange(1_500, 1_500, 20)
    clearing = exchange.cleared(clear)
    prices = clearing.shadow_prices
    worth = exchange.score - prices.needs[exchange.need] - prices.offers[exchange.offer]
    bound = (
        prices.needs @ exchange.demand
        + prices.offers @ exchange.capacity
        + np.maximum(worth, 0.0).sum()
    )
    assert_allclose(bound, clearing.total, rtol=1e-12)
    assert clearing.certificate.gap == 0.0
    assert (prices.offers[clearing.flow.sum(axis=0) < exchange.capacity] == 0).all()


@pytest.mark.slow
def test_the_same_exchange_has_the_same_clearing_bit_for_bit():
    exchange = large_exchange(80, 60, 6, groups=5)
    for policy in POLICIES:
        first, second = (exchange.cleared(clear, policy=policy) for _ in range(2))
        assert first.total == second.total
        assert (first.flow != second.flow).nnz == 0
        assert_array_equal(first.shadow_prices.offers, second.shadow_prices.offers)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_fair_comes_near_its_ideal_where_it_is_not_proven(seed):
    exchange = large_exchange(60, 40, 8, seed=seed, groups=8)
    fair = exchange.cleared(clear, policy="fair")
    best = exchange.cleared(clear)
    assert fair.total <= best.total
    assert min(fair.levels) >= min(best.levels) - 1e-9
    for row in fair.certificate.levels:
        # A group asks for some 15 places here; one place is worth up to 7 points of its level.
        assert row.level >= row.bound - 5.0
    assert fair.certificate.bound >= fair.total


def test_one_need_a_group_reaches_the_bound_of_the_worst_served():
    """Exact demand and every need a group, as when reviewers are assigned to papers."""
    random = np.random.default_rng(7)
    scores = sparse.coo_array(random.random((40, 50)))
    fair = clear(scores, np.full(40, 3), np.full(50, 3), exact=True, policy="fair", depth=1)
    best = clear(scores, np.full(40, 3), np.full(50, 3), exact=True)
    assert (fair.flow.sum(axis=1) == 3).all()
    assert fair.certificate.proven
    assert fair.certificate.gap == 0.0
    (worst,) = (row.bound for row in fair.certificate.levels if row.turn == 1)
    assert_allclose(min(fair.levels), worst, atol=1e-6)
    assert min(fair.levels) >= min(best.levels)
    assert fair.total <= best.total
