"""Clearing of money: divisible amounts against budgets, none too small to be of use.

A grant is either nothing or at least what its offer gives at least; a need gets either nothing or
at least what is of use to it. That makes the amounts semi-continuous and the program a mixed one,
solved by HiGHS with a bound on what it misses. Once it is settled which grants are made, amounts
are a transportation problem again: whole in the currency's smallest unit, with exact prices.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from matching.clearing.error import ClearingError, solver_gave_up
from matching.clearing.fair import read_prices
from matching.clearing.level import (
    NEAR,
    Groups,
    Ideal,
    ideal_levels,
    read_groups,
    relax_above,
    with_floors,
    with_shortfalls,
)
from matching.clearing.market import Market, Pair, Sparse, read_amounts, read_market, sum_at
from matching.clearing.order import Flags, Floats, Indices
from matching.clearing.price import Prices
from matching.clearing.program import Infeasible, Program, Unfinished, relax, solve_whole
from matching.clearing.result import (
    Certificate,
    ShadowPrices,
    bounded,
    group_levels,
    groups_set_aside,
    levels_by_group,
    shadow_prices,
)
from matching.clearing.total import greatest_total, transport

NODES = 500
"""Nodes of the search for the grants of greatest total."""

FINE = 1e-5
"""That search ends within this share of its bound."""

LEVEL_NODES = 1
"""Nodes of the searches for fair grants: more find little and take long."""

LEVEL_FINE = 1e-3
"""Those searches end within this share of their bound."""

UNITS = 1024
"""The greatest grant comes to about so many units in linear programs."""


@dataclass(frozen=True, slots=True, eq=False)
class MoneyClearing:
    """A proposal: which budget pays how much to which need.

    Attributes
    ----------
    policy
        How the budgets were cleared.
    amounts
        What each offer grants each need: SciPy CSR array, (needs, offers), int64, in the smallest
        unit of the currency, without zeros.
    total
        Sum of score times amount.
    levels
        Mean score per unit asked of each group, by number of the group; NaN for groups that no
        budget can serve or that ask for nothing.
    open
        What each need still asks for, (needs,).
    left
        What each budget has left, (offers,).
    shadow_prices
        What one more unit of each budget would add while the same grants are made.
    certificate
        The bound and the gap to it; under ``fair``, the levels and what they are held against.
    """

    policy: Literal["total", "fair"]
    amounts: Sparse
    total: float
    levels: Floats
    open: Indices
    left: Indices
    shadow_prices: ShadowPrices
    certificate: Certificate


@dataclass(frozen=True, slots=True, eq=False)
class _Purse:
    """The exchange of money: a market whose places are units of the currency.

    Attributes
    ----------
    market
        Pairs that could have a useful grant; required grants have their least amount.
    least
        Least amount of each pair's grant if it is made, (pairs,).
    optional
        Pairs whose grant may be made or not, (pairs,).
    useful
        Least amount that is of use to each need if it gets any, (needs,); 0 where any is.
    """

    market: Market
    least: Indices
    optional: Flags
    useful: Indices


def clear_money(
    scores: Sparse,
    asked: ArrayLike,
    budgets: ArrayLike,
    *,
    policy: Literal["total", "fair"] = "total",
    groups: ArrayLike | None = None,
    grant_least: ArrayLike = 0,
    grant_most: ArrayLike | None = None,
    useful: ArrayLike = 0,
    forced: Iterable[Pair] = (),
    forbidden: Iterable[Pair] = (),
    fixed: Mapping[Pair, int] | None = None,
    depth: int | None = None,
) -> MoneyClearing:
    """Decide which budget pays how much to which need.

    All amounts are whole numbers in the smallest unit of one currency.

    Parameters
    ----------
    scores
        SciPy sparse array, (needs, offers); a pair that is not stored is not eligible.
    asked
        Most that each need can take, (needs,).
    budgets
        What each offer has, (offers,).
    policy
        ``"total"`` or ``"fair"``, as in ``clear``, with amounts in the place of places.
    groups
        Group of each need, (needs,); by default each is its own.
    grant_least, grant_most
        Least and most of one grant, (offers,) or one number for all; no most by default.
    useful
        Least sum that is of use to each need, (needs,) or one number for all. It does not bind
        needs with a forced or fixed grant.
    forced
        Pairs that get a grant.
    forbidden
        Pairs that get none.
    fixed
        Grants that are already agreed, and their amounts.
    depth
        Under ``"fair"``, how many levels are raised in turn; all by default.

    Raises
    ------
    ClearingError
        The input is malformed, or what it asks for cannot be; the error names the posts and pairs.

    Examples
    --------
    Eight thousand can't be shared between two needs when a grant is five thousand at least.

    >>> from scipy.sparse import coo_array
    >>> scores = coo_array(([90.0, 80.0], ([0, 1], [0, 0])))
    >>> clearing = clear_money(scores, asked=[6000, 9000], budgets=[8000], grant_least=5000)
    >>> clearing.amounts.toarray().tolist()
    [[0], [8000]]
    """
    if policy not in ("total", "fair"):
        raise ClearingError("unknown_policy", "Money is cleared by total or fair.")
    if depth is not None and depth < 1:
        raise ClearingError("bad_depth", "At least one level is raised.")
    market = read_market(
        scores,
        asked,
        budgets,
        groups=groups,
        pair_limit=None,
        forced=forced,
        forbidden=forbidden,
        fixed=fixed,
        names=("asked", "budgets"),
    )
    purse = _read_purse(
        market,
        _spread(grant_least, market.offers, "grant_least"),
        None if grant_most is None else _spread(grant_most, market.offers, "grant_most"),
        _spread(useful, market.needs, "useful"),
    )
    try:
        if policy == "fair":
            return _clear_fair(purse, depth or max(len(market.group_at), 1))
        return _clear_total(purse)
    except (ArithmeticError, Infeasible) as problem:
        raise solver_gave_up() from problem


def _spread(amounts: ArrayLike, count: int, name: str) -> Indices:
    """Amounts, one for each post, from one for each or one for all."""
    given = np.asarray(amounts)
    return read_amounts(np.broadcast_to(given, (count,)) if given.ndim == 0 else given, count, name)


def _read_purse(
    market: Market, grant_least: Indices, grant_most: Indices | None, useful: Indices
) -> _Purse:
    """Bring grants' sizes into the market; refuse grants that must be and cannot."""
    offer = market.offer_at[market.offer]
    fixed = (market.least == market.limit) & (market.least > 0)
    required = market.least > 0
    least = np.where(fixed, market.least, np.maximum(grant_least[offer], 1))
    limit = market.limit if grant_most is None else np.minimum(market.limit, grant_most[offer])
    limit = np.where(fixed, market.limit, limit)
    useful = np.where(
        sum_at(market.need, market.least, market.needs) > 0, 0, useful[market.need_at]
    )
    possible = (least <= np.minimum(limit, market.most)) & (useful <= market.demand)[market.need]
    if (required & ~possible).any():
        raise ClearingError(
            "grant_out_of_reach",
            "Grants that must be made are smaller at most than they are at least.",
            pairs=market.pairs_at(required & ~possible),
        )
    must = np.where(required, least, 0)
    needs = sum_at(market.need, must, market.needs) > market.demand
    offers = sum_at(market.offer, must, market.offers) > market.capacity
    if needs.any() or offers.any():
        raise ClearingError(
            "forced_pairs_conflict",
            "Grants that must be made exceed together what a need asks for or a budget has.",
            needs=market.need_at[needs].tolist(),
            offers=market.offer_at[offers].tolist(),
            pairs=market.pairs_at(required & (needs[market.need] | offers[market.offer])),
        )
    market = replace(market, least=must, limit=np.where(possible, limit, 0))
    largest = int(market.most.max(initial=0))
    return _Purse(
        market=replace(market, unit=2.0 ** (largest // UNITS).bit_length()),
        least=least,
        optional=possible & ~required & (least > 1),
        useful=useful,
    )


def _clear_total(purse: _Purse) -> MoneyClearing:
    market = purse.market
    if not purse.optional.any() and not purse.useful.any():
        best = greatest_total(market)
        slack, settled = best.slack, market
    else:
        program = _with_grants(purse)
        x, bound = _search(purse, program, nodes=NODES, fine=FINE)
        settled = _settle(purse, x)
        best = greatest_total(settled)
        slack = bound * market.unit - market.total(best.flow)
    total = market.total(best.flow)
    bound, gap = bounded(market, total, total + slack)
    return _result(purse, "total", best.flow, best.prices, bound, gap, read_groups(market))


def _clear_fair(purse: _Purse, depth: int) -> MoneyClearing:
    market = purse.market
    groups = read_groups(market)
    ideal = ideal_levels(market, groups, depth)
    program = _with_grants(purse)
    further = len(program.gain) - market.pairs
    wide = replace(
        groups,
        rows=sparse.hstack([groups.rows, sparse.csr_array((len(groups.served), further))]),
    )
    none = np.full(len(groups.served), -np.inf)
    x, _ = _search(
        purse, with_shortfalls(program, wide, none, ideal.level), nodes=LEVEL_NODES, fine=LEVEL_FINE
    )
    kept = np.minimum(groups.level(x[: market.pairs] * market.unit), ideal.level)
    late = ideal.turn == 0
    kept = np.where(late, np.minimum(kept, kept[late].min(initial=np.inf)), kept) - NEAR
    x, bound = _search(
        purse, with_floors(program, wide, kept), nodes=LEVEL_NODES, fine=LEVEL_FINE, start=x
    )
    settled = _settle(purse, x)
    above, relaxed, _ = relax_above(settled, groups, kept - NEAR, np.ones(market.pairs, bool))
    flow = greatest_total(_around(settled, relaxed.x * market.unit)).flow
    prices, _, worth = read_prices(settled, groups, above, relaxed, flow)
    total = market.total(flow)
    best, gap = bounded(market, total, bound * market.unit)
    return _result(purse, "fair", flow, prices, best, gap, groups, ideal, worth)


def _with_grants(purse: _Purse) -> Program:
    """Lay out the program of amounts: a column a pair, a grant that may be made, a need served.

    Whether a grant is made, and whether a need with a least useful sum is served, are columns of
    0 or 1 behind those of the pairs.
    """
    market = purse.market
    base = transport(market)
    made, served = np.flatnonzero(purse.optional), np.flatnonzero(purse.useful)
    pairs, grants, needs = market.pairs, len(made), len(served)
    of_grant = sparse.csr_array((np.ones(grants), (np.arange(grants), made)), shape=(grants, pairs))
    of_need = base.rows.tocsr()[served]
    blank = sparse.csr_array((grants, needs))
    above, below = (
        sparse.hstack([of_grant, -sparse.diags_array(size[made] / market.unit), blank])
        for size in (market.most, purse.least)
    )
    within, useful = (
        sparse.hstack([of_need, blank.T, -sparse.diags_array(size[served] / market.unit)])
        for size in (market.demand, purse.useful)
    )
    wide = sparse.hstack([base.rows, sparse.csr_array((len(base.low), grants + needs))])
    nought, endless = np.zeros(grants + needs), np.full(grants + needs, np.inf)
    return Program(
        gain=np.append(base.gain, nought),
        rows=sparse.vstack([wide, above, within, below, useful], format="csc"),
        low=np.concatenate([base.low, -endless, nought]),
        high=np.concatenate([base.high, nought, endless]),
        lower=np.append(base.lower, nought),
        upper=np.append(np.minimum(base.upper, market.most / market.unit), nought + 1.0),
    )


def _search(
    purse: _Purse,
    program: Program,
    *,
    nodes: int,
    fine: float,
    start: Floats | None = None,
) -> tuple[Floats, float]:
    """Search for the grants that are made.

    Parameters
    ----------
    start
        Columns to fall back on; none but the grants that must be made, by default.

    Returns
    -------
    The columns and the bound.
    """
    pairs = purse.market.pairs
    choices = int(purse.optional.sum() + np.count_nonzero(purse.useful))
    columns = np.arange(len(program.gain))
    whole = (columns >= pairs) & (columns < pairs + choices)
    try:
        found = solve_whole(program, whole, nodes=nodes, gap=fine)
    except (Unfinished, Infeasible):
        if start is None:
            start = np.append(program.lower[:pairs], np.zeros(len(columns) - pairs))
        return start, relax(program).value
    return found.x, found.bound


def _settle(purse: _Purse, x: Floats) -> Market:
    """Fix which grants are made, so that only their amounts are left open."""
    market = purse.market
    made = ~purse.optional
    choices = x[market.pairs :]
    grants = int(purse.optional.sum())
    made[purse.optional] = choices[:grants] > 0.5
    served = np.flatnonzero(purse.useful)
    chosen = choices[grants : grants + len(served)] > 0.5
    shut = np.zeros(market.needs, bool)
    shut[served[~chosen]] = True
    made &= ~shut[market.need] & (market.limit > 0)
    must = purse.optional | (market.least > 0)
    return replace(
        market,
        least=np.where(made & must, purse.least, 0),
        limit=np.where(made, market.limit, 0),
        floors=tuple((np.array([need]), int(purse.useful[need])) for need in served[chosen]),
    )


def _around(market: Market, amounts: Floats) -> Market:
    """Leave each pair the whole amounts on both sides of a solution, as exact as the solver's."""
    margin = int(market.unit * 1e-6)
    whole = np.rint(amounts)
    amounts = np.where(np.abs(amounts - whole) <= max(margin, 1e-6), whole, amounts)
    return replace(
        market,
        least=np.maximum(market.least, np.floor(amounts).astype(np.int64) - margin),
        limit=np.minimum(market.limit, np.ceil(amounts).astype(np.int64) + margin),
    )


def _result(
    purse: _Purse,
    policy: Literal["total", "fair"],
    flow: Indices,
    prices: Prices,
    bound: float,
    gap: float,
    groups: Groups,
    ideal: Ideal | None = None,
    worth: Floats | None = None,
) -> MoneyClearing:
    market = purse.market
    levels = group_levels(market, groups, flow, ideal)
    by_group = np.zeros(market.group_labels)
    if worth is not None:
        by_group[market.group_at[groups.served]] = worth
    remaining, left = np.empty(market.needs, np.int64), np.empty(market.offers, np.int64)
    remaining[market.need_at] = market.demand - market.served(flow)
    left[market.offer_at] = market.capacity - market.used(flow)
    short = bool(ideal) and any(
        row.bound is not None and row.level < row.bound - 2 * NEAR * market.scale for row in levels
    )
    return MoneyClearing(
        policy=policy,
        amounts=market.to_matrix(flow, flow > 0),
        total=market.total(flow),
        levels=levels_by_group(market, levels),
        open=remaining,
        left=left,
        shadow_prices=shadow_prices(market, prices, None, by_group),
        certificate=Certificate(
            bound=bound,
            gap=gap,
            blocking_pairs=None,
            levels=levels,
            set_aside=groups_set_aside(market, groups),
            proven=not short if ideal else gap <= FINE,
            depth=int(ideal.turn.max(initial=0)) if ideal else None,
            price_slack=prices.slack,
        ),
    )
