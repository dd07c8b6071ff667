"""Shadow prices: what scarce places are worth, read off an optimal flow.

The optimal duals of a transportation problem form a lattice (Shapley and Shubik 1972): there is one
among them in which every offer's price is least at once. That one is reported, since the least
price of an offer is exactly what one more of its places would add to the total. It is found as
longest paths in the residual graph: the extra place goes to a need, which frees another place,
which goes to the next need, until somebody had an open place anyway.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from matching.clearing.market import Market
from matching.clearing.order import Flags, Floats, Indices

TOLERANCE = 1e-9
"""Share of the greatest score under which two values are taken for equal."""

PASSES = 500
"""Sweeps over the pairs after which a path that still grows is taken for a cycle."""


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Prices in the market's order.

    Attributes
    ----------
    needs, offers
        Price of a place asked and of a place given, (needs,) and (offers,).
    pairs
        Price of each pair's limits, (pairs,): what one more place for the pair would add where
        its limit holds; what a place that it must have costs, as a negative number.
    slack
        By how much the bound that the prices prove exceeds the total.
    """

    needs: Floats
    offers: Floats
    pairs: Floats
    slack: float


def lowest_prices(
    market: Market, flow: Indices, gain: Floats, needs: Floats, offers: Floats
) -> Prices | None:
    """Find the least offer prices that prove a flow to be of greatest gain.

    Parameters
    ----------
    flow
        Places of each pair, (pairs,), within all limits.
    gain
        What a place of each pair adds, (pairs,): its score, where nothing else binds.
    needs, offers
        Prices that come near, from the solver; they guide the search and need not be exact.

    Returns
    -------
    The prices, or None where some exchange of places would gain, so that no prices exist.
    """
    tolerance = TOLERANCE * market.scale
    may_grow = flow < market.limit
    may_shrink = flow > market.least
    unserved = (market.served(flow) < market.demand) & ~market.exact
    worth_needs, worth_offers = _search(market, gain, needs, offers, may_grow, may_shrink, unserved)
    up, down = np.flatnonzero(may_grow), np.flatnonzero(may_shrink)
    for _ in range(PASSES):
        before_needs, before_offers = worth_needs.copy(), worth_offers.copy()
        np.maximum.at(worth_needs, market.need[down], worth_offers[market.offer[down]] - gain[down])
        np.maximum.at(worth_offers, market.offer[up], worth_needs[market.need[up]] + gain[up])
        if _still(before_needs, worth_needs, tolerance) and _still(
            before_offers, worth_offers, tolerance
        ):
            break
    else:
        return None
    spare = market.used(flow) < market.capacity
    if (worth_needs[~market.exact] > tolerance).any() or (worth_offers[spare] > tolerance).any():
        return None
    return complete_prices(
        market,
        flow,
        gain,
        _need_prices(market, gain, worth_needs, worth_offers, may_grow),
        worth_offers,
    )


def complete_prices(
    market: Market, flow: Indices, gain: Floats, needs: Floats, offers: Floats
) -> Prices:
    """Make prices nonnegative and complementary, and let the pairs' prices take up the rest.

    They stay dual-feasible whatever is put in, since each pair's price is what its gain exceeds
    the prices of its places by; the worse they were, the greater the slack.
    """
    tolerance = TOLERANCE * market.scale
    open_demand = market.demand - market.served(flow)
    open_capacity = market.capacity - market.used(flow)
    needs = np.where(market.exact, needs, np.where(open_demand > 0, 0.0, np.maximum(needs, 0.0)))
    offers = np.where(open_capacity > 0, 0.0, np.maximum(offers, 0.0))
    pairs = gain - needs[market.need] - offers[market.offer]
    # What holds a pair down may be its offer alone: then the price is the offer's.
    share = np.full(market.offers, np.inf)
    given = np.flatnonzero(flow > 0)
    held = np.where(flow < market.limit, np.maximum(pairs, 0.0), 0.0)
    np.minimum.at(share, market.offer[given], held[given])
    share = np.where((open_capacity > 0) | ~np.isfinite(share), 0.0, share)
    offers += share
    pairs -= share[market.offer]
    pairs[np.abs(pairs) <= tolerance] = 0.0
    slack = float(pairs @ np.where(pairs > 0, market.most - flow, market.least - flow))
    pairs[(pairs < 0) & (market.least == 0)] = 0.0
    return Prices(needs, offers, pairs, slack)


def _search(
    market: Market,
    gain: Floats,
    needs: Floats,
    offers: Floats,
    may_grow: Flags,
    may_shrink: Flags,
    unserved: Flags,
) -> tuple[Floats, Floats]:
    """Gain of a good path from every need and offer to an end, by Dijkstra's algorithm."""
    end = market.needs + market.offers
    up, down = np.flatnonzero(may_grow), np.flatnonzero(may_shrink)
    need, offer = np.arange(market.needs), np.arange(market.offers) + market.needs
    source = np.concatenate(
        [market.offer[up] + market.needs, market.need[down], offer, need[unserved]]
    )
    target = np.concatenate(
        [
            market.need[up],
            market.offer[down] + market.needs,
            np.full(market.offers + int(unserved.sum()), end),
        ]
    )
    gains = np.concatenate([gain[up], -gain[down], np.zeros(len(source) - len(up) - len(down))])
    level = np.concatenate([-needs, offers, [0.0]])
    cost = np.maximum(level[source] - level[target] - gains, 0.0)
    graph = sparse.csr_array((cost, (target, source)), shape=(end + 1, end + 1))
    _, step = dijkstra(graph, indices=end, return_predecessors=True)
    return _add_up(source, target, gains, step.astype(np.int64), market.needs, end)


def _add_up(
    source: Indices, target: Indices, gains: Floats, step: Indices, needs: int, end: int
) -> tuple[Floats, Floats]:
    """Add up the gains along the steps to the end; −∞ for what never gets there."""
    worth = np.full(end + 1, -np.inf)
    worth[end] = 0.0
    reached = np.flatnonzero(step[:end] >= 0)
    key = source * (end + 1) + target
    order = np.argsort(key)
    arc = order[np.searchsorted(key, reached * (end + 1) + step[reached], sorter=order)]
    worth[reached] = gains[arc]
    step = np.where(step < 0, end, step)
    while (step[reached] != end).any():
        # Each round doubles the stretch that is added up: jump over what the next has added.
        worth[reached], step[reached] = (
            worth[reached] + np.where(step[reached] == end, 0.0, worth[step[reached]]),
            step[step[reached]],
        )
    return worth[:needs], worth[needs:end]


def _need_prices(
    market: Market, gain: Floats, worth_needs: Floats, worth_offers: Floats, may_grow: Flags
) -> Floats:
    """Prices of the needs; the least that will do where no path leads on."""
    best = np.where(market.exact, -np.inf, 0.0)
    up = np.flatnonzero(may_grow)
    np.maximum.at(best, market.need[up], gain[up] - worth_offers[market.offer[up]])
    best[~np.isfinite(best)] = 0.0
    return np.where(np.isfinite(worth_needs), -worth_needs, best)


def _still(before: Floats, after: Floats, tolerance: float) -> bool:
    finite = np.isfinite(before)
    return bool(
        (np.isfinite(after) == finite).all() and (after[finite] - before[finite] <= tolerance).all()
    )
