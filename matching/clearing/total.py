"""Greatest total score: a transportation problem, whose linear program has a whole solution.

Few of many candidate pairs can be of use. On large exchanges prices are first guessed by a smoothed
auction (Sinkhorn-like, a dozen milliseconds a hundred thousand pairs); the linear program is then
solved on the pairs that these prices leave in question, and the prices read off its solution prove
that no other pair would have improved it. Where they don't, those pairs come in and it is solved
again.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from matching.clearing.market import Market
from matching.clearing.order import Flags, Floats, Indices, lots
from matching.clearing.price import TOLERANCE, Prices, complete_prices, lowest_prices
from matching.clearing.program import (
    Infeasible,
    Program,
    Relaxed,
    reduced_gains,
    relax,
    relax_part,
    solve_whole,
)

LARGE = 20_000
"""From so many pairs on, only those in question are handed to the solver at first."""

SHARE = 2.5
"""Pairs in question, as a multiple of the posts."""

NODES = 1_000
"""Nodes of the search where floors that overlap keep the linear program from being whole."""

FRACTION = 1e-6
"""What is nearer than this to a whole number is one."""


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """A flow of greatest total, and what proves it.

    Attributes
    ----------
    flow
        Places of each pair, (pairs,).
    prices
        Shadow prices of needs, offers and pairs.
    floors
        What one place less promised by each floor would add, (floors,).
    slack
        By how much the proven bound exceeds the total: 0 unless floors overlap.
    """

    flow: Indices
    prices: Prices
    floors: Floats
    slack: float


def transport(market: Market) -> Program:
    """Lay out the rows of the exchange: needs, then offers, then floors; a column a pair."""
    pairs = np.arange(market.pairs)
    ones = np.ones(market.pairs)
    rows = [
        sparse.csr_array((ones, (market.need, pairs)), shape=(market.needs, market.pairs)),
        sparse.csr_array((ones, (market.offer, pairs)), shape=(market.offers, market.pairs)),
    ]
    for members, _ in market.floors:
        inside = np.flatnonzero(np.isin(market.need, members))
        row = np.zeros(len(inside), np.int64)
        rows.append(
            sparse.csr_array((np.ones(len(inside)), (row, inside)), shape=(1, market.pairs))
        )
    floors = np.array([places for _, places in market.floors], np.float64)
    most = market.most
    asked = np.where(market.exact, market.demand, market.asked).astype(np.float64)
    given = np.zeros(market.offers)
    np.add.at(given, market.offer, most.astype(np.float64))
    bounded = market.limit < np.minimum(market.demand[market.need], market.capacity[market.offer])
    free = np.full(market.offers, -np.inf)
    low = np.concatenate([np.where(market.exact, asked, -np.inf), free, floors])
    high = np.concatenate([asked, np.minimum(market.capacity, given), np.full(len(floors), np.inf)])
    return Program(
        gain=market.score,
        rows=sparse.vstack(rows, format="csc"),
        low=low / market.unit,
        high=high / market.unit,
        lower=market.least / market.unit,
        # A limit that the two posts imply anyway would only burden the solver.
        upper=np.where(bounded | (most == 0), most / market.unit, np.inf),
    )


def greatest_total(market: Market) -> Optimum:
    """Find the flow of greatest total score.

    Raises
    ------
    Infeasible
        Exact demands, required pairs and floors can't hold together.

    Notes
    -----
    Of several such flows, the one with most places is taken; of those, one by lots that hang on
    what the pairs hold (``order.py``), so that the same exchange always has the same flow.
    """
    program = transport(market)
    core = promising(market) if market.pairs > LARGE else np.ones(market.pairs, bool)
    tolerance = TOLERANCE * market.scale
    while True:
        try:
            solution = relax_part(program, core)
        except Infeasible:
            if core.all():
                raise
            core = np.ones(market.pairs, bool)
            continue
        places = solution.x * market.unit
        flow = np.rint(places).astype(np.int64)
        if market.floors and (np.abs(places - flow) > FRACTION).any():
            return _between_floors(market, program, solution)
        floors = -solution.prices[market.needs + market.offers :]
        gain = market.score + program.rows[market.needs + market.offers :].T @ floors
        start = solution.prices[: market.needs], solution.prices[market.needs :][: market.offers]
        prices = lowest_prices(market, flow, gain, *start)
        more = (reduced_gains(program, solution.prices) > tolerance) & ~core
        if prices is not None or not more.any():
            break
        core = core | more
    if prices is None:
        prices = complete_prices(market, flow, gain, *start)
    if not market.floors:
        flow = _break_ties(market, program, flow, prices)
    promised = np.array([market.served(flow)[members].sum() - k for members, k in market.floors])
    slack = prices.slack + (float(floors @ promised) if market.floors else 0.0)
    return Optimum(flow, prices, floors, slack)


def promising(market: Market, rounds: int = 40) -> Flags:
    """Guess which pairs can be of use in a flow of greatest total, (pairs,).

    Prices rise and fall by the logarithm of how much a post is asked too much or too little, while
    the temperature falls; pairs whose score comes near the two prices remain.
    """
    need, offer = market.need, market.offer
    most = market.most.astype(np.float64)
    score = market.score / market.scale
    asked = np.maximum(market.asked.astype(np.float64), 1e-9)
    given = np.maximum(market.capacity.astype(np.float64), 1e-9)
    needs, offers = np.zeros(market.needs), np.zeros(market.offers)

    def share(temperature: float) -> Floats:
        strain = (needs[need] + offers[offer] - score) / temperature
        return most / (1.0 + np.exp(np.clip(strain, -50.0, 50.0)))

    for temperature in np.geomspace(0.3, 0.005, rounds):
        load = np.bincount(offer, share(temperature), market.offers)
        offers = np.maximum(0.0, offers + temperature * np.log(load / given + 1e-9))
        load = np.bincount(need, share(temperature), market.needs)
        needs = needs + temperature * np.log(load / asked + 1e-9)
        needs = np.where(market.exact, needs, np.maximum(0.0, needs))
    margin = score - needs[need] - offers[offer]
    kept = min(market.pairs, int(SHARE * (market.needs + market.offers)))
    order = np.argsort(-margin, kind="stable")
    core = np.zeros(market.pairs, bool)
    core[order[:kept]] = True
    core[market.least > 0] = True
    return core


def _between_floors(market: Market, program: Program, solution: Relaxed) -> Optimum:
    """Search for whole places where overlapping floors leave halves."""
    best = solve_whole(program, np.ones(market.pairs, bool), nodes=NODES)
    flow = np.rint(best.x).astype(np.int64)
    start = solution.prices[: market.needs], solution.prices[market.needs :][: market.offers]
    floors = -solution.prices[market.needs + market.offers :]
    gain = market.score + program.rows[market.needs + market.offers :].T @ floors
    prices = complete_prices(market, flow, gain, *start)
    return Optimum(flow, prices, floors, best.bound - best.value)


def _break_ties(market: Market, program: Program, flow: Indices, prices: Prices) -> Indices:
    """Choose among the flows of greatest total: most places, then by lot.

    Two such flows differ by cycles of pairs whose places change hands at no loss. Only pairs on
    such a cycle are looked at again; there are none unless scores tie.
    """
    tolerance = TOLERANCE * market.scale
    end = market.needs + market.offers
    margin = market.score - prices.needs[market.need] - prices.offers[market.offer]
    level = np.abs(margin) <= tolerance
    up = np.flatnonzero(level & (flow < market.limit))
    down = np.flatnonzero(level & (flow > market.least))
    served, used = market.served(flow), market.used(flow)
    # Places that stand open, at a price of nought, take part through the node at the end.
    gives = np.flatnonzero(prices.offers <= tolerance)
    lends = np.flatnonzero(used < market.capacity)
    takes = np.flatnonzero((served < market.demand) & ~market.exact)
    leaves = np.flatnonzero((prices.needs <= tolerance) & ~market.exact)
    source = np.concatenate(
        [
            market.offer[up] + market.needs,
            market.need[down],
            gives + market.needs,
            np.full(len(lends), end),
            takes,
            np.full(len(leaves), end),
        ]
    )
    target = np.concatenate(
        [
            market.need[up],
            market.offer[down] + market.needs,
            np.full(len(gives), end),
            lends + market.needs,
            np.full(len(takes), end),
            leaves,
        ]
    )
    graph = sparse.csr_array((np.ones(len(source)), (source, target)), shape=(end + 1, end + 1))
    _, part = connected_components(graph, directed=True, connection="strong")
    tied = level & (part[market.need] == part[market.offer + market.needs])
    tied &= market.limit > market.least
    # An offer's place and a need's are on a cycle of their own only if the pair can both ways.
    if not tied.any():
        return flow
    open_row = np.concatenate(
        [(prices.needs <= tolerance) & ~market.exact, prices.offers <= tolerance]
    )
    columns = np.flatnonzero(tied)
    rows = program.rows[:end, columns]
    kept = np.concatenate([served, used]) - rows @ flow[columns]
    room = np.concatenate([market.demand, market.capacity]) - kept
    load = (rows @ flow[columns]).astype(np.float64)
    best = relax(
        Program(
            gain=1.0 + lots(market.pairs)[columns] / 1024,
            rows=rows,
            low=np.where(open_row, 0.0, load) / market.unit,
            high=np.where(open_row, np.minimum(room, 2.0**53), load) / market.unit,
            lower=market.least[columns] / market.unit,
            upper=market.most[columns] / market.unit,
        )
    )
    chosen = flow.copy()
    chosen[columns] = np.rint(best.x * market.unit).astype(np.int64)
    before, after = (math.fsum(market.score * places) for places in (flow, chosen))
    return chosen if after >= before - tolerance else flow
