"""Stable clearing: nobody could do better by going around it.

Deferred acceptance with capacities (Gale and Shapley 1962; many-to-many with divisible pairs: Baïou
and Balinski 2002). Both sides rank a pair by its score, so letting the best proposal go first means
that no acceptance is ever withdrawn: the deferred acceptance is one sweep down the scores, and its
outcome is the only stable one for that order of ties.
"""

from dataclasses import dataclass

import numpy as np

from matching.clearing.market import Market
from matching.clearing.order import Flags, Floats, Indices
from matching.clearing.price import Prices


@dataclass(frozen=True, slots=True, eq=False)
class Stable:
    """A stable flow.

    Attributes
    ----------
    flow
        Places of each pair, (pairs,).
    prices
        What one more place adds to the total of the sweep, (needs,) and (offers,).
    """

    flow: Indices
    prices: Prices


def sweep(market: Market) -> Stable:
    """Give places to pairs by descending score, as many as both posts have left.

    Pairs that must be are served first. Ties go by lots in canonical order (``order.py``).
    """
    rank = ranking(market)
    flow = market.least.copy()
    demand = (market.demand - market.served(flow)).tolist()
    capacity = (market.capacity - market.used(flow)).tolist()
    need, offer = market.need[rank].tolist(), market.offer[rank].tolist()
    room = (market.limit - market.least)[rank].tolist()
    taken = [0] * len(room)
    for at, (i, j, most) in enumerate(zip(need, offer, room, strict=True)):
        places = min(demand[i], capacity[j], most)
        if places:
            taken[at] = places
            demand[i] -= places
            capacity[j] -= places
    flow[rank] += np.array(taken, np.int64)
    order = np.empty(market.pairs, np.int64)
    order[rank] = np.arange(market.pairs)
    return Stable(flow, _chains(market, flow, order))


def ranking(market: Market) -> Indices:
    """Pairs by descending score, ties by position in canonical order, (pairs,)."""
    return np.argsort(-market.score, kind="stable")


def blocking(market: Market, flow: Indices) -> Flags:
    """Find the pairs that would both rather have each other, (pairs,).

    A pair blocks when it could take one more place and each of the two has an open place, or one
    with a pair of lower score that it need not keep.
    """
    held = flow > market.least
    needs = np.where(market.served(flow) < market.demand, -np.inf, np.inf)
    offers = np.where(market.used(flow) < market.capacity, -np.inf, np.inf)
    np.minimum.at(needs, market.need[held], market.score[held])
    np.minimum.at(offers, market.offer[held], market.score[held])
    wanted = (market.score > needs[market.need]) & (market.score > offers[market.offer])
    return wanted & (flow < market.limit)


def _chains(market: Market, flow: Indices, order: Indices) -> Prices:
    """What one more place adds: the chain of those who move up because of it.

    A new place goes to the best pair that wants it; whoever it served before frees a place of a
    lower score, which goes to the best pair that wants that one, and so on. Scores fall along the
    chain, so no post comes twice and chains that meet go on alike.
    """
    demand = market.served(flow) < market.demand
    capacity = market.used(flow) < market.capacity
    offers = _side(market, flow, order, market.offer, market.need, market.offers, demand)
    needs = _side(market, flow, order, market.need, market.offer, market.needs, capacity)
    return Prices(np.maximum(needs, 0.0), np.maximum(offers, 0.0), np.zeros(market.pairs), 0.0)


def _side(
    market: Market,
    flow: Indices,
    order: Indices,
    here: Indices,
    there: Indices,
    count: int,
    open_there: Flags,
) -> Floats:
    """Worth of one more place at each post of one side, (count,).

    Parameters
    ----------
    order
        Rank of each pair, 0 for the best, (pairs,).
    here, there
        The pair's post on this side and on the other, (pairs,).
    open_there
        Whether a post of the other side has a place open.
    """
    nothing = market.pairs
    worst = np.where(open_there, nothing, -1)
    held = np.flatnonzero(flow > market.least)
    np.maximum.at(worst, there[held], np.where(open_there[there[held]], nothing, order[held]))
    wants = np.flatnonzero((flow < market.limit) & (order < worst[there]))
    best = np.full(count, nothing)
    np.minimum.at(best, here[wants], order[wants])
    rank = np.argsort(order)
    gain = np.zeros(count)
    for post in np.argsort(-best, kind="stable").tolist():
        if best[post] == nothing:
            continue
        pair = rank[best[post]]
        gain[post] = market.score[pair]
        left = worst[there[pair]]
        if left != nothing:
            gain[post] += gain[here[rank[left]]] - market.score[rank[left]]
    return gain
