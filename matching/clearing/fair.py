"""Fair clearing: the worst-served group as high as possible, then the next, then the greatest total.

Levels of groups take the flow out of the reach of plain transportation: the linear program may split
places. It gives the ideal (``level.py``) that the result is held against. Whole places are found
exactly on small exchanges (``leximin.py``), and by rounding the ideal and a search of bounded size
around it on larger ones.
"""

from dataclasses import dataclass, replace

import numpy as np

from matching.clearing.level import (
    HOLDS,
    NEAR,
    Groups,
    Ideal,
    ideal_levels,
    read_groups,
    relax_above,
    with_shortfalls,
    worst_at_its_best,
)
from matching.clearing.leximin import exact_leximin
from matching.clearing.market import Market
from matching.clearing.order import Flags, Floats, Indices
from matching.clearing.price import Prices, complete_prices
from matching.clearing.program import (
    Infeasible,
    Program,
    Relaxed,
    Unfinished,
    reduced_gains,
    relax,
    solve_whole,
)
from matching.clearing.total import FRACTION, greatest_total, transport

SMALL = 600
"""Pairs times served groups up to which levels are searched exactly."""

RESOLUTION = 1e-3
"""Levels this near the ideal are not searched for better; a share of the greatest score."""

SEARCHED = (100, 400)
"""Pairs that searches may move, beside those that the linear program splits: few, then more."""

NODES = 1
"""Nodes of a search for levels: more find little and take long."""

TOTAL_NODES = 20
"""Nodes of a search for the total."""

TOTAL_SEARCHED = 200
"""Pairs that a search for the total may move, beside those that are not where the linear program
has them."""

MOST = 500
"""All pairs that a search for the total may move; with more of them it finds nothing in its nodes."""


@dataclass(frozen=True, slots=True, eq=False)
class Fair:
    """A fair flow, and what it is held against.

    Attributes
    ----------
    flow
        Places of each pair, (pairs,).
    groups, ideal
        The served groups and their ideal levels.
    proven
        Whether no flow in whole places has fairer levels.
    prices
        Duals of the linear program in which every group keeps its level; those of posts that the
        whole places leave open are nought.
    floors
        What one place less promised by each floor would add, (floors,).
    worth
        What lowering a group's level by one would add to the total, (served,).
    bound
        No flow with these levels has a greater total.
    """

    flow: Indices
    groups: Groups
    ideal: Ideal
    proven: bool
    prices: Prices
    floors: Floats
    worth: Floats
    bound: float


def fairest(market: Market, depth: int) -> Fair:
    """Find the fair flow.

    Parameters
    ----------
    depth
        Turns in which levels are raised before the total is.

    Raises
    ------
    Infeasible
        Exact demands, required pairs and floors can't hold together.
    """
    groups = read_groups(market)
    base = transport(market)
    alone = bool(len(groups.served)) and len(market.group_at) == market.needs
    guess = worst_at_its_best(market, groups) if depth == 1 and alone else None
    if guess:
        (ideal, program, relaxed), hold = guess, HOLDS[0]
    else:
        ideal = ideal_levels(market, groups, depth)
        program, relaxed, hold = relax_above(market, groups, ideal.level, ideal.core)
    flow = _round(market, base, program, relaxed)
    if not _reaches(groups, flow, ideal.level, hold):
        found = _search_around(market, program, program, relaxed, SEARCHED[0], TOTAL_NODES)
        flow = flow if found is None else found[0]
    proven = _reaches(groups, flow, ideal.level, hold)
    if not proven:
        flow, proven = _search_levels(market, base, groups, ideal, program, relaxed, flow)
        program, relaxed, _ = relax_above(market, groups, _kept(groups, ideal, flow), ideal.core)
    flow, bound = _search_total(market, program, relaxed, flow)
    flow = _fill(market, flow)
    prices, promised, worth = read_prices(market, groups, program, relaxed, flow)
    bound = max(bound, market.total(flow))
    return Fair(flow, groups, ideal, proven, prices, promised, worth, bound)


def _fill(market: Market, flow: Indices) -> Indices:
    """Give places that both sides have left where that costs nothing, the best pairs first."""
    demand = market.demand - market.served(flow)
    capacity = market.capacity - market.used(flow)
    room = np.minimum(demand[market.need], capacity[market.offer])
    room = np.minimum(room, market.limit - flow)
    filled = flow.copy()
    some = np.flatnonzero((room > 0) & (market.score >= 0))
    for pair in some[np.argsort(-market.score[some], kind="stable")]:
        need, offer = market.need[pair], market.offer[pair]
        places = min(demand[need], capacity[offer], market.limit[pair] - flow[pair])
        filled[pair] += places
        demand[need] -= places
        capacity[offer] -= places
    return filled


def read_prices(
    market: Market, groups: Groups, program: Program, relaxed: Relaxed, flow: Indices
) -> tuple[Prices, Floats, Floats]:
    """Read the prices of posts, of promised places and of levels off a linear program.

    Parameters
    ----------
    program, relaxed
        The program in which levels have floors, and its solution (``level.relax_above``).
    """
    posts = market.needs + market.offers
    duals = -relaxed.prices[posts:]
    gain = market.score + program.rows[posts:].T @ duals
    start = relaxed.prices[: market.needs], relaxed.prices[market.needs : posts]
    promised, worth = duals[: len(market.floors)], duals[len(market.floors) :]
    prices = complete_prices(market, flow, gain, *start)
    return prices, promised, worth * groups.asked / market.scale


def _kept(groups: Groups, ideal: Ideal, flow: Indices) -> Floats:
    """Floors that keep what a flow has reached: no group's level is asked above its ideal."""
    level = groups.level(flow)
    late = ideal.turn == 0
    return np.minimum(np.where(late, level[late].min(initial=np.inf), level), ideal.level)


def _reaches(groups: Groups, flow: Indices, floors: Floats, within: float) -> bool:
    return bool((groups.level(flow) >= floors - within - NEAR).all())


def _round(market: Market, base: Program, program: Program, relaxed: Relaxed) -> Indices:
    """Round split places up or down within all rows but those of the levels.

    The rows of needs and offers have whole vertices between the places rounded down and up. Which
    vertex is decided by scores that count the levels by their dual weight.
    """
    flow = np.rint(relaxed.x).astype(np.int64)
    split = np.flatnonzero(np.abs(relaxed.x - flow) > FRACTION)
    if not len(split):
        return flow
    flow[split] = 0
    load = base.rows @ flow
    weight = np.concatenate([np.zeros(len(base.low)), relaxed.prices[len(base.low) :]])
    part = Program(
        gain=program.gain[split] - program.rows[:, split].T @ weight,
        rows=base.rows[:, split],
        low=base.low - load,
        high=base.high - load,
        lower=np.floor(relaxed.x[split]),
        upper=np.ceil(relaxed.x[split]),
    )
    try:
        x = relax(part).x
        if (np.abs(x - np.rint(x)) > FRACTION).any():
            x = solve_whole(part, np.ones(len(split), bool), nodes=TOTAL_NODES).x
    except (Infeasible, Unfinished):
        return greatest_total(market).flow
    flow[split] = np.rint(x).astype(np.int64)
    return flow


def _search_levels(
    market: Market,
    base: Program,
    groups: Groups,
    ideal: Ideal,
    program: Program,
    relaxed: Relaxed,
    flow: Indices,
) -> tuple[Indices, bool]:
    """Search for whole places whose levels come nearer to the ideal than the rounded ones.

    Returns
    -------
    The flow, and whether its levels are proven to be the fairest.
    """
    if market.pairs * len(groups.served) <= SMALL:
        bounded = replace(base, upper=np.minimum(base.upper, market.most))
        try:
            return exact_leximin(bounded, groups, int((ideal.turn > 0).sum()))
        except Unfinished:
            pass
    short = ideal.level - groups.level(flow)
    if short.max() <= RESOLUTION:
        return flow, False
    first = ideal.level[short > RESOLUTION].min()
    floors = np.where(ideal.level < first, ideal.level - np.maximum(short, 0.0), -np.inf)
    stage = with_shortfalls(base, groups, floors, ideal.level)
    before = _behind(short)
    for count in SEARCHED:
        found = _search_around(market, stage, program, relaxed, count, NODES)
        if found is not None:
            after = _behind(ideal.level - groups.level(found[0]))
            if after < before:
                flow, before = found[0], after
    return flow, False


def _behind(short: Floats) -> float:
    """What levels fall short of the ideal by, the greatest shortfall above all."""
    return float(len(short) * short.max() + np.maximum(short, 0.0).sum())


def _nearest(apart: Flags, margin: Floats, count: int) -> Flags:
    """Choose those that are apart from the linear solution, and others up to a count, (pairs,).

    Parameters
    ----------
    margin
        Size of each pair's reduced gain: how sure the linear program is of its places, (pairs,).
    """
    order = np.argsort(np.where(apart, -1.0, margin), kind="stable")
    moved = apart.copy()
    moved[order[:count]] = True
    return moved


def _search_around(
    market: Market,
    stage: Program,
    program: Program,
    relaxed: Relaxed,
    count: int,
    nodes: int,
) -> tuple[Indices, float, float] | None:
    """Search whole places near the linear solution of a program, for those and others."""
    start = np.rint(relaxed.x).astype(np.int64)
    split = np.abs(relaxed.x - start) > FRACTION
    margin = np.abs(reduced_gains(program, relaxed.prices))
    moved = _nearest(split, margin, int(split.sum()) + count)
    return _search(market, stage, start, moved, nodes)


def _search(
    market: Market, stage: Program, start: Indices, moved: Flags, nodes: int
) -> tuple[Indices, float, float] | None:
    """Search whole places for the pairs that may be moved; the others keep those of the start.

    Returns
    -------
    The flow, its value and the search's bound; None where none was found.
    """
    further = len(stage.gain) - market.pairs
    flow = np.where(moved, 0, start)
    load = stage.rows[:, : market.pairs] @ flow
    columns = np.flatnonzero(np.append(moved, np.ones(further, bool)))
    rows = stage.rows[:, columns].tocsr()
    used = np.flatnonzero(np.diff(rows.indptr))
    most = np.append(market.most.astype(np.float64), np.full(further, np.inf))
    part = Program(
        gain=stage.gain[columns],
        rows=rows[used],
        low=(stage.low - load)[used],
        high=(stage.high - load)[used],
        lower=stage.lower[columns],
        upper=np.minimum(stage.upper, most)[columns],
    )
    pairs = int(moved.sum())
    try:
        found = solve_whole(part, np.arange(len(columns)) < pairs, nodes=nodes)
    except (Infeasible, Unfinished):
        return None
    kept = float(stage.gain[: market.pairs] @ flow)
    flow[moved] = found.x[:pairs].astype(np.int64)
    return flow, found.value + kept, found.bound + kept


def _search_total(
    market: Market, program: Program, relaxed: Relaxed, flow: Indices
) -> tuple[Indices, float]:
    """Search for the greatest total that keeps all floors, and bound it.

    A pair whose reduced gain exceeds the gap between the linear bound and the best flow known has,
    in every better flow, the places that the linear program gives it. When all other pairs were
    searched, the result is the best there is.
    """
    margin = np.abs(reduced_gains(program, relaxed.prices))
    apart = np.abs(relaxed.x - flow) > FRACTION
    most = int(apart.sum()) + TOTAL_SEARCHED
    keeps = bool((program.rows @ flow >= program.low - FRACTION).all())
    total = float(program.gain @ flow) if keeps else -np.inf
    bound = relaxed.value
    searched = 0
    while bound - total > NEAR * market.scale:
        apart = np.abs(relaxed.x - flow) > FRACTION
        moved = _nearest(apart, margin, min(int((margin <= bound - total).sum()), most))
        if not searched < int(moved.sum()) <= MOST:
            break
        searched = int(moved.sum())
        found = _search(market, program, flow, moved, TOTAL_NODES)
        if found is None:
            break
        if found[1] > total:
            flow, total = found[0], found[1]
        if not (~moved & (margin <= bound - total)).any():
            bound = max(found[2], total)
            break
    return flow, max(bound, total)
