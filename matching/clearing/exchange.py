"""The front of the clearing: from scores, demand and capacity to a proposal with its proof."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from matching.clearing.error import ClearingError, solver_gave_up
from matching.clearing.fair import fairest
from matching.clearing.feasibility import explain
from matching.clearing.level import read_groups
from matching.clearing.market import Floor, Market, Pair, Sparse, read_market
from matching.clearing.order import Floats, Indices
from matching.clearing.price import Prices
from matching.clearing.program import Infeasible, Unfinished
from matching.clearing.result import (
    POLICIES,
    Certificate,
    Clearing,
    Comparison,
    Policy,
    bounded,
    group_levels,
    groups_set_aside,
    levels_by_group,
    shadow_prices,
)
from matching.clearing.stable import blocking, sweep
from matching.clearing.total import greatest_total

ALL_TURNS_GROUPS = 64
"""``fair`` raises every level in turn up to so many groups, …"""
ALL_TURNS_PAIRS = 50_000
"""… and so many pairs; beyond either, the worst level only, unless ``depth`` says more."""


def clear(
    scores: Sparse,
    demand: ArrayLike,
    capacity: ArrayLike,
    *,
    policy: Policy = "total",
    groups: ArrayLike | None = None,
    pair_limit: int | Sparse | None = 1,
    exact: bool | ArrayLike = False,
    forced: Iterable[Pair] = (),
    forbidden: Iterable[Pair] = (),
    fixed: Mapping[Pair, int] | None = None,
    floors: Sequence[Floor] = (),
    depth: int | None = None,
) -> Clearing:
    """Decide which offers serve which needs, under capacity.

    Parameters
    ----------
    scores
        SciPy sparse array, (needs, offers). A pair that is not stored is not eligible; one that is
        stored is, whatever its score.
    demand
        Places that each need wants, (needs,), whole numbers.
    capacity
        Places that each offer has, (offers,), whole numbers.
    policy
        ``"total"``: the greatest sum of scores. ``"stable"``: no need and offer would both rather
        have each other than what they get. ``"fair"``: the worst-served group as high as
        possible, then the next, then the greatest sum.
    groups
        Group of each need, such as its country, (needs,), numbered from 0; by default each need is
        a group of its own.
    pair_limit
        Most places that one offer gives one need: a number, a sparse array (needs, offers), or
        None for no limit.
    exact
        Whether needs want exactly what they ask for: a flag, or one for each need.
    forced
        Pairs ``(need, offer)`` that get at least one place.
    forbidden
        Pairs that get none.
    fixed
        Pairs that are already agreed, and their places.
    floors
        Least places of sets of needs.
    depth
        Under ``"fair"``, how many levels are raised in turn before the total is. By default all,
        up to 64 groups and 50,000 pairs, and the worst level alone beyond either.

    Raises
    ------
    ClearingError
        The input is malformed, or what it asks for cannot be; the error names the posts and pairs.

    Examples
    --------
    Two needs want the one place of the first offer; the second offer serves either.

    >>> from scipy.sparse import coo_array
    >>> scores = coo_array(([90.0, 50.0, 80.0, 10.0], ([0, 0, 1, 1], [0, 1, 0, 1])))
    >>> clearing = clear(scores, demand=[1, 1], capacity=[1, 5])
    >>> clearing.flow.toarray().tolist()
    [[0, 1], [1, 0]]
    >>> clearing.total, clearing.certificate.gap
    (130.0, 0.0)
    >>> clearing.shadow_prices.offers.tolist()
    [40.0, 0.0]
    """
    if policy not in POLICIES:
        raise ClearingError("unknown_policy", f"The policy is one of {', '.join(POLICIES)}.")
    if depth is not None and depth < 1:
        raise ClearingError("bad_depth", "At least one level is raised.")
    market = read_market(
        scores,
        demand,
        capacity,
        groups=groups,
        pair_limit=pair_limit,
        exact=exact,
        forced=forced,
        forbidden=forbidden,
        fixed=fixed,
        floors=floors,
    )
    return _clear(market, policy, depth)


def _clear(market: Market, policy: Policy, depth: int | None) -> Clearing:
    try:
        if policy == "total":
            return _clear_total(market, depth)
        if policy == "fair":
            return _clear_fair(market, depth)
        return _clear_stable(market, depth)
    except Infeasible:
        raise explain(market) from None
    except (ArithmeticError, Unfinished) as problem:
        raise solver_gave_up() from problem


def _clear_total(market: Market, depth: int | None) -> Clearing:
    best = greatest_total(market)
    groups = read_groups(market)
    total = market.total(best.flow)
    bound, gap = bounded(market, total, total + best.slack)
    certificate = Certificate(
        bound=bound,
        gap=gap,
        blocking_pairs=None,
        levels=group_levels(market, groups, best.flow),
        set_aside=groups_set_aside(market, groups),
        proven=gap == 0.0,
        depth=None,
        price_slack=best.prices.slack,
    )
    return _result(market, "total", depth, best.flow, best.prices, certificate, best.floors)


def _clear_stable(market: Market, depth: int | None) -> Clearing:
    if market.floors:
        raise ClearingError(
            "floors_not_stable",
            "A stable clearing cannot promise floors.",
            floors=range(len(market.floors)),
        )
    stable = sweep(market)
    short = market.exact & (market.served(stable.flow) < market.demand)
    if short.any():
        raise ClearingError(
            "exact_demand_unstable",
            "No stable clearing gives these needs exactly what they want.",
            needs=market.need_at[short].tolist(),
        )
    groups = read_groups(market)
    certificate = Certificate(
        bound=None,
        gap=None,
        blocking_pairs=tuple(market.pairs_at(blocking(market, stable.flow))),
        levels=group_levels(market, groups, stable.flow),
        set_aside=groups_set_aside(market, groups),
        proven=True,
        depth=None,
        price_slack=stable.prices.slack,
    )
    return _result(market, "stable", depth, stable.flow, stable.prices, certificate)


def _clear_fair(market: Market, depth: int | None) -> Clearing:
    few = len(market.group_at) <= ALL_TURNS_GROUPS and market.pairs <= ALL_TURNS_PAIRS
    turns = depth or (max(len(market.group_at), 1) if few else 1)
    fair = fairest(market, turns)
    total = market.total(fair.flow)
    bound, gap = bounded(market, total, fair.bound)
    certificate = Certificate(
        bound=bound,
        gap=gap,
        blocking_pairs=None,
        levels=group_levels(market, fair.groups, fair.flow, fair.ideal),
        set_aside=groups_set_aside(market, fair.groups),
        proven=fair.proven,
        depth=turns,
        price_slack=fair.prices.slack,
    )
    worth = np.zeros(market.group_labels)
    worth[market.group_at[fair.groups.served]] = fair.worth
    return _result(market, "fair", depth, fair.flow, fair.prices, certificate, fair.floors, worth)


def _result(
    market: Market,
    policy: Policy,
    depth: int | None,
    flow: Indices,
    prices: Prices,
    certificate: Certificate,
    floors: Floats | None = None,
    worth: Floats | None = None,
) -> Clearing:
    """Put a flow back into the caller's order."""
    return Clearing(
        policy=policy,
        flow=market.to_matrix(flow, flow > 0),
        total=market.total(flow),
        levels=levels_by_group(market, certificate.levels),
        shadow_prices=shadow_prices(market, prices, floors, worth),
        certificate=certificate,
        _compare=partial(_compare, market, depth),
    )


def _compare(market: Market, depth: int | None, clearing: Clearing) -> Mapping[Policy, Comparison]:
    rows: dict[Policy, Comparison] = {}
    greatest = -math.inf
    for policy in POLICIES:
        try:
            other = clearing if policy == clearing.policy else _clear(market, policy, depth)
        except ClearingError as refusal:
            rows[policy] = Comparison(policy, None, refusal)
            continue
        greatest = max(greatest, other.total)
        rows[policy] = _row(market, other, greatest)
    return rows


def _row(market: Market, clearing: Clearing, greatest: float) -> Comparison:
    flow = np.zeros(0, np.int64)
    if market.pairs:
        at = market.need_at[market.need], market.offer_at[market.offer]
        flow = np.asarray(clearing.flow[at], np.int64)
    served = market.served(flow) > 0
    levels = [served.level for served in clearing.certificate.levels]
    return Comparison(
        policy=clearing.policy,
        clearing=clearing,
        total=clearing.total,
        given_up=greatest - clearing.total,
        worst=min(levels, default=math.nan),
        places=int(flow.sum()),
        needs_served=int(served.sum()),
        groups_served=int(np.unique(market.group[served]).size),
        blocking_pairs=int(blocking(market, flow).sum()),
    )
