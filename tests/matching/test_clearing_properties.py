from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from matching.clearing import POLICIES, ClearingError, clear
from tests.matching.clearing_exchanges import exchanges

NEAR = 1e-6


@given(exchanges())
def test_no_place_is_given_twice_and_no_pair_is_given_what_it_may_not_have(exchange):
    eligible = np.zeros((len(exchange.demand), len(exchange.capacity)), bool)
    eligible[exchange.need, exchange.offer] = True
    for policy in POLICIES:
        clearing = exchange.cleared(clear, policy=policy)
        flow = clearing.flow.toarray()
        assert flow.dtype == np.int64
        assert (flow >= 0).all()
        assert (flow.sum(axis=1) <= exchange.demand).all()
        assert (flow.sum(axis=0) <= exchange.capacity).all()
        assert not flow[~eligible].any()
        if exchange.pair_limit is not None:
            assert (flow <= exchange.pair_limit).all()
        given = flow[exchange.need, exchange.offer]
        assert_allclose(clearing.total, (given * exchange.score).sum(), atol=NEAR)


@given(exchanges())
def test_total_is_not_less_than_any_other_policy_gives(exchange):
    comparison = exchange.cleared(clear).compare()
    assert comparison["total"].clearing.certificate.gap == 0.0
    for row in comparison.values():
        assert row.given_up >= 0.0
        assert row.total <= comparison["total"].total


@given(exchanges(pairs=8, places=2))
def test_total_is_the_greatest_of_all_flows(exchange):
    best = max(float(flow @ exchange.score) for flow in exchange.flows())
    assert_allclose(exchange.cleared(clear).total, best, atol=NEAR)


@given(exchanges(pairs=8, places=2))
def test_fair_levels_are_the_fairest_of_all_flows(exchange):
    best = max(
        (*np.round(exchange.levels(flow), 5), round(float(flow @ exchange.score), 5))
        for flow in exchange.flows()
    )
    fair = exchange.cleared(clear, policy="fair")
    reached = [row.level for row in fair.certificate.levels]
    assert_allclose([*reached, fair.total], best, atol=1e-3)
    assert fair.certificate.proven


@given(exchanges(pairs=8, places=2))
def test_at_depth_one_the_worst_served_need_is_served_as_well_as_can_be(exchange):
    alone = replace(exchange, groups=np.arange(len(exchange.demand)))
    best = max(alone.levels(flow).min(initial=np.inf) for flow in alone.flows())
    fair = alone.cleared(clear, policy="fair", depth=1)
    worst = min((row.level for row in fair.certificate.levels), default=np.inf)
    assert_allclose(worst, best, atol=1e-3)


@given(exchanges())
def test_nobody_would_rather_have_each_other_in_a_stable_clearing(exchange):
    stable = exchange.cleared(clear, policy="stable")
    assert stable.certificate.blocking_pairs == ()
    assert stable.compare()["stable"].blocking_pairs == 0
    flow = stable.flow.toarray()
    for need, offer, score in zip(exchange.need, exchange.offer, exchange.score, strict=True):
        if exchange.pair_limit is not None and flow[need, offer] >= exchange.pair_limit:
            continue
        wanted = [
            flow[row].sum() < places
            or any(
                score > other
                for other, one, two in zip(
                    exchange.score, exchange.need, exchange.offer, strict=True
                )
                if (one if side else two) == (need if side else offer) and flow[one, two] > 0
            )
            for side, row, places in (
                (True, (need, slice(None)), exchange.demand[need]),
                (False, (slice(None), offer), exchange.capacity[offer]),
            )
        ]
        assert not all(wanted)


@given(exchanges())
def test_prices_are_never_negative_and_what_is_left_over_costs_nothing(exchange):
    for policy in POLICIES:
        clearing = exchange.cleared(clear, policy=policy)
        prices = clearing.shadow_prices
        assert (prices.offers >= 0).all()
        assert (prices.needs >= 0).all()
        assert (prices.offers[clearing.flow.sum(axis=0) < exchange.capacity] == 0).all()
        assert (prices.needs[clearing.flow.sum(axis=1) < exchange.demand] == 0).all()


@given(exchanges())
def test_prices_of_the_total_are_dual_feasible_and_add_up_to_it(exchange):
    clearing = exchange.cleared(clear)
    prices = clearing.shadow_prices
    pairs = prices.pairs.toarray()[exchange.need, exchange.offer]
    worth = exchange.score - prices.needs[exchange.need] - prices.offers[exchange.offer]
    assert (worth <= pairs + NEAR).all()
    limit = exchange.pair_limit or 0
    bound = prices.needs @ exchange.demand + prices.offers @ exchange.capacity + limit * pairs.sum()
    assert_allclose(bound, clearing.total, atol=NEAR)
    assert clearing.certificate.price_slack <= NEAR


@given(exchanges(), st.integers(0, 4))
def test_a_price_is_the_gain_of_one_more_place(exchange, at):
    offer = at % len(exchange.capacity)
    before = exchange.cleared(clear)
    more = exchange.capacity + (np.arange(len(exchange.capacity)) == offer)
    after = clear(exchange.scores, exchange.demand, more, pair_limit=exchange.pair_limit)
    assert_allclose(before.shadow_prices.offers[offer], after.total - before.total, atol=NEAR)


@given(exchanges(), st.integers(0, 4), st.integers(1, 3))
def test_more_capacity_never_lowers_the_total(exchange, at, places):
    before = exchange.cleared(clear).total
    more = exchange.capacity.copy()
    more[at % len(more)] += places
    assert (
        clear(exchange.scores, exchange.demand, more, pair_limit=exchange.pair_limit).total
        >= before - NEAR
    )


@given(exchanges(), st.randoms(use_true_random=False))
def test_relabelling_posts_and_groups_changes_nothing(exchange, random):
    needs = np.array(random.sample(range(len(exchange.demand)), len(exchange.demand)))
    offers = np.array(random.sample(range(len(exchange.capacity)), len(exchange.capacity)))
    groups = np.array(random.sample(range(3), 3))
    other = exchange.relabelled(needs, offers, groups)
    for policy in POLICIES:
        one, two = (listed.cleared(clear, policy=policy) for listed in (exchange, other))
        assert one.total == two.total
        assert_allclose(
            [row.level for row in one.certificate.levels],
            [row.level for row in two.certificate.levels],
            atol=NEAR,
        )
        assert_allclose(one.shadow_prices.offers[offers], two.shadow_prices.offers, atol=NEAR)
        assert_allclose(one.shadow_prices.needs[needs], two.shadow_prices.needs, atol=NEAR)


@given(exchanges(), st.data())
def test_what_is_agreed_stays_agreed_when_the_rest_is_cleared_again(exchange, data):
    first = exchange.cleared(clear)
    given = first.flow.tocoo()
    agreed = {
        (int(need), int(offer)): int(places)
        for need, offer, places in zip(*given.coords, given.data, strict=True)
        if data.draw(st.booleans())
    }
    for policy in POLICIES:
        again = exchange.cleared(clear, policy=policy, fixed=agreed)
        for pair, places in agreed.items():
            assert again.flow.toarray()[pair] == places
    assert_allclose(exchange.cleared(clear, fixed=agreed).total, first.total, atol=NEAR)


@given(exchanges(places=2))
def test_exact_demand_is_met_or_refused_with_the_posts_that_stand_in_the_way(exchange):
    most = np.minimum(exchange.demand[exchange.need], exchange.capacity[exchange.offer])
    if exchange.pair_limit is not None:
        most = np.minimum(most, exchange.pair_limit)
    refusal = None
    try:
        clearing = exchange.cleared(clear, exact=True)
        assert (clearing.flow.sum(axis=1) == exchange.demand).all()
    except ClearingError as error:
        refusal = error
    if refusal:
        assert refusal.code == "exact_demand_unmet"
        needs, offers = list(refusal.needs), list(refusal.offers)
        elsewhere = np.isin(exchange.need, needs) & ~np.isin(exchange.offer, offers)
        reach = exchange.capacity[offers].sum() + most[elsewhere].sum()
        assert exchange.demand[needs].sum() > reach
