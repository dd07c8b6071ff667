"""How well each group is served, and how well it could be if places were divisible."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from matching.clearing.market import Market, sum_at
from matching.clearing.order import Flags, Floats, Indices
from matching.clearing.program import (
    Infeasible,
    Program,
    Relaxed,
    Sparse,
    grow,
    reduced_gains,
    relax,
)
from matching.clearing.total import greatest_total, promising, transport

HOLDS = (1e-7, 1e-6, 1e-5)
"""What a level that is held may fall short of its floor by, as a share of the greatest score."""

NEAR = 1e-7
"""Levels that differ by less are the same; a share of the greatest score."""

SETTLED = 1e-7
"""Reduced gains beyond this are not nought; a share of the greatest score."""

MANY = 50_000
"""From so many pairs on, the linear programs begin with those in question only."""

BINDING = 1e-6
"""A group with at least this share of the dual weight is what keeps the worst level down."""


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Groups of needs that somebody can serve, and what a level is.

    Attributes
    ----------
    served
        Groups of the market that can be served, ascending.
    asked
        Places that each of them asks for, as far as offers could give them, (served,).
    rows
        Sparse, (served, pairs): what a place of each pair adds to the group's sum of scores, as a
        share of the greatest score.
    aside
        Groups of the market that ask and that nobody can serve.
    unit
        Places that count as one in linear programs.
    """

    served: Indices
    asked: Floats
    rows: Sparse
    aside: Indices
    unit: float

    @property
    def weight(self) -> Floats:
        """Units asked for by each group: what a level weighs in a row of scores, (served,)."""
        return self.asked / self.unit

    def level(self, flow: Indices | Floats) -> Floats:
        """Mean score per place asked, as a share of the greatest score, (served,)."""
        return np.asarray(self.rows @ flow / self.asked, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Ideal:
    """Levels that would be reached, in turn, if places were divisible.

    Attributes
    ----------
    level
        Level that each served group is held against, (served,), as a share of the greatest score;
        of those whose turn did not come, the last level that was reached.
    turn
        The turn at which each group was held, from 1; 0 where its turn did not come, (served,).
    core
        Columns that the linear programs needed, (pairs,).
    """

    level: Floats
    turn: Indices
    core: Flags


def read_groups(market: Market) -> Groups:
    """Tell which groups can be served, and what a place of each pair adds to a group's level.

    A group's level is its mean score per place asked. Places that no eligible offer could give are
    not counted as asked; groups that no offer has anything left for are set aside.
    """
    count = len(market.group_at)
    asked = sum_at(market.group, market.asked, count)
    kept = market.least * (market.least == market.limit)
    left = (market.capacity - market.used(kept))[market.offer]
    wanted = (market.demand - market.served(kept))[market.need]
    reach = kept + np.minimum(market.limit - kept, np.minimum(left, wanted))
    group = market.group[market.need]
    can = sum_at(group, (reach > 0).astype(np.int64), count) > 0
    served = np.flatnonzero(can)
    row = np.full(count, -1)
    row[served] = np.arange(len(served))
    inside = np.flatnonzero(can[group])
    rows = sparse.csr_array(
        (market.score[inside] / market.scale, (row[group[inside]], inside)),
        shape=(len(served), market.pairs),
    )
    wants = sum_at(market.group, market.demand, count) > 0
    return Groups(
        served, asked[served].astype(np.float64), rows, np.flatnonzero(wants & ~can), market.unit
    )


def with_floors(program: Program, groups: Groups, floors: Floats) -> Program:
    """Add a row to each served group: its level is not below its floor."""
    return replace(
        program,
        rows=sparse.vstack([program.rows, groups.rows], format="csc"),
        low=np.concatenate([program.low, floors * groups.weight]),
        high=np.concatenate([program.high, np.full(len(floors), np.inf)]),
    )


def with_shortfalls(base: Program, groups: Groups, floors: Floats, ideal: Floats) -> Program:
    """Ask for the least shortfalls from the ideal, the greatest of them above all.

    Behind the columns that there are come one for each group's shortfall and one for the
    greatest. The total weighs in lightly: a hundredth of it is worth as much as all groups falling
    short by a thousandth of the greatest score.
    """
    count = len(ideal)
    reached = max(float(ideal @ groups.weight), 1.0)
    scores = np.asarray(groups.rows.sum(axis=0), np.float64).ravel()
    bounded = with_floors(base, groups, floors)
    asked = sparse.diags_array(groups.weight)
    rows = [
        [bounded.rows, sparse.csr_array((len(bounded.low), count + 1))],
        [sparse.hstack([groups.rows, asked, sparse.csr_array((count, 1))])],
        [
            sparse.hstack(
                [
                    sparse.csr_array((count, len(base.gain))),
                    -sparse.eye_array(count),
                    np.ones((count, 1)),
                ]
            )
        ],
    ]
    return Program(
        gain=np.concatenate(
            [scores * (0.1 * count / reached), np.full(count, -1.0), [-float(count)]]
        ),
        rows=sparse.vstack([sparse.hstack(parts) for parts in rows], format="csc"),
        low=np.concatenate([bounded.low, ideal * groups.weight, np.zeros(count)]),
        high=np.concatenate([bounded.high, np.full(2 * count, np.inf)]),
        lower=np.concatenate([base.lower, np.zeros(count + 1)]),
        upper=np.concatenate([base.upper, np.full(count + 1, np.inf)]),
    )


def relax_above(
    market: Market, groups: Groups, floors: Floats, core: Flags
) -> tuple[Program, Relaxed, float]:
    """Find the greatest total with every group's level at its floor or above, places divisible.

    Returns
    -------
    The program, its solution, and by how much the floors had to be loosened for the solver.

    Raises
    ------
    Infeasible
        The floors can't be kept.
    """
    base = transport(market)
    for hold in HOLDS:
        program = with_floors(base, groups, floors - hold)
        try:
            solution, _ = relax_growing(market, program, core)
        except (Infeasible, ArithmeticError):
            if hold == HOLDS[-1]:
                raise
        else:
            return program, solution, hold
    raise AssertionError("HOLDS is not empty")


def ideal_levels(market: Market, groups: Groups, depth: int) -> Ideal:
    """Raise the worst level, then the next, for divisible places (lexicographic max-min).

    At each turn the level that all groups not yet held reach together is made as great as can be;
    the groups that keep it from rising are held there. A turn that only finds that some groups
    cannot rise above nought does not count.

    Parameters
    ----------
    depth
        Turns at most.

    Raises
    ------
    Infeasible
        Exact demands, required pairs and floors can't hold together.

    Notes
    -----
    The procedure and its proof: Nace and Pióro, *Max-min fairness and its applications to routing
    and load-balancing*, IEEE Communications Surveys 2008. Groups that nothing but their own offers
    keeps down would take a linear program each; ``Ladder.shared_level`` passes them in one go.
    """
    ladder = Ladder(market, groups)
    count = len(groups.served)
    level = np.full(count, -np.inf)
    free = np.ones(count, bool)
    best = np.full(count, np.inf) if depth == 1 else best_levels(market, groups)
    while free.any():
        worst, held = ladder.common_level(level, free)
        if (best[free] <= worst + NEAR).any():
            worst, held = ladder.shared_level(level, free, best)
        alone = free & (best <= worst)
        level = np.where(alone, best, np.where(free, worst, level))
        free &= ~(held | alone)
        if _turns(level[~free]).max(initial=0) >= depth:
            break
    turn = np.zeros(count, np.int64)
    turn[~free] = _turns(level[~free])
    turn[turn > depth] = 0
    if (turn > 0).any():
        level[turn == 0] = level[turn > 0].max()
    return Ideal(level, turn, ladder.core)


def worst_at_its_best(market: Market, groups: Groups) -> tuple[Ideal, Program, Relaxed] | None:
    """Try in one linear program whether nothing but its own offers keeps the worst level down.

    Where each need is a group of its own, the worst-served is often one that nobody can serve
    well. The common level then weighs so much in the total that it rises as far as it can, and if
    that is to the least of the groups' best levels, the solution has the greatest total too.

    Returns
    -------
    What ``ideal_levels`` and ``relax_above`` would find at depth 1; None where the guess fails.
    """
    order = np.lexsort((-market.score, market.need))
    need, most = market.need[order], market.most[order]
    before = np.cumsum(most) - most
    first = np.searchsorted(need, np.arange(market.needs))
    start = np.append(before, 0)[np.minimum(first, len(before))]
    places = np.clip(market.asked[need] - (before - start[need]), 0, most)
    alone = np.empty(market.pairs, np.int64)
    alone[order] = np.where((market.score[order] > 0) | market.exact[need], places, 0)
    best = groups.level(alone)
    worst = float(best.min())
    if abs(worst) <= NEAR:
        return None
    program = with_floors(transport(market), groups, np.full(len(best), worst - HOLDS[0]))
    column = np.concatenate([np.zeros(len(program.low) - len(best)), -groups.weight])
    stage = replace(
        program,
        gain=np.append(program.gain / market.scale, 10.0 * groups.weight.sum()),
        rows=sparse.hstack([program.rows, sparse.csc_array(column[:, None])], format="csc"),
        low=np.concatenate([program.low[: -len(best)], -HOLDS[0] * groups.weight]),
        lower=np.append(program.lower, -np.inf),
        upper=np.append(program.upper, worst),
    )
    core = promising(market) if market.pairs > MANY else np.ones(market.pairs, bool)
    solution, core = relax_growing(market, stage, core)
    if solution.x[-1] < worst - NEAR:
        return None
    x = solution.x[:-1]
    relaxed = Relaxed(x, float(program.gain @ x), solution.prices * market.scale)
    turn = (best <= worst + NEAR).astype(np.int64)
    return Ideal(np.full(len(best), worst), turn, core), program, relaxed


def best_levels(market: Market, groups: Groups) -> Floats:
    """Level that each served group would reach if the others took nothing, (served,)."""
    group = market.group[market.need]
    posts, offer = np.unique(group * market.offers + market.offer, return_inverse=True)
    apart = replace(
        market,
        offer=offer.astype(np.int64),
        capacity=market.capacity[posts % max(market.offers, 1)],
        floors=(),
    )
    return groups.level(greatest_total(apart).flow)


def _turns(level: Floats) -> Indices:
    """Number levels from the least, equal ones alike; a level of nought takes no turn."""
    order = np.argsort(level, kind="stable")
    rises = np.diff(level[order], prepend=-np.inf) > NEAR
    turn = np.empty(len(level), np.int64)
    turn[order] = np.cumsum(rises & (np.abs(level[order]) > NEAR))
    return np.maximum(turn, 1) if (turn > 0).any() else turn


class Ladder:
    """The linear programs by which levels are raised, over a core of pairs that grows.

    Attributes
    ----------
    core
        Pairs that the programs have needed so far, (pairs,).

    Notes
    -----
    Once a level is found, every later flow attains it, so the pairs whose reduced gain is not
    nought keep the places that they have (complementary slackness): the programs shrink.
    """

    def __init__(self, market: Market, groups: Groups) -> None:
        self.core = promising(market) if market.pairs > MANY else np.ones(market.pairs, bool)
        self._market = market
        self._groups = groups
        program = transport(market)
        most = market.most / market.unit
        self._program = replace(program, upper=np.minimum(program.upper, most))

    def common_level(self, level: Floats, free: Flags) -> tuple[float, Flags]:
        """Find the greatest level that all free groups reach, and those that keep it down.

        Parameters
        ----------
        level
            Level at which each group that is not free is held, (served,).
        """
        column = np.where(free, -self._groups.weight, 0.0)
        solution, reduced = self._solve(np.where(free, 0.0, level), ~free, column, 1.0)
        self._settle(reduced)
        return solution.value, free & (self._weights(solution) >= BINDING)

    def shared_level(self, level: Floats, free: Flags, best: Floats) -> tuple[float, Flags]:
        """Find the level at which free groups stand in each other's way, and which ones do.

        Groups that can't rise so far on their own are let stop at their best. Each linear program
        finds by how much all have to stay behind a level that is too high; its duals are a
        weighted sum of levels that no flow exceeds, from which the next, lower level to be tried
        follows (Newton's method).
        """
        tried = float(best[free].max())
        held = np.zeros(len(free), bool)
        cut = np.zeros(self._market.pairs)
        while True:
            target = np.minimum(best, tried)
            column = np.where(free, self._groups.weight, 0.0)
            solution, reduced = self._solve(np.where(free, target, level), ~free, column, -1.0)
            behind = -solution.value
            if behind <= NEAR:
                self._settle(cut)
                return tried, held
            weight = np.where(free, self._weights(solution), 0.0)
            weight /= weight.sum()
            held = free & (weight >= BINDING)
            lower = _level_of(weight[held], best[held], float(weight @ target) - behind)
            if lower >= tried - NEAR / 10:
                self._settle(reduced)
                return lower, held
            tried, cut = lower, reduced

    def _settle(self, reduced: Floats) -> None:
        """Fix the pairs whose places no later flow can change."""
        lower, upper = self._program.lower, self._program.upper
        self._program = replace(
            self._program,
            lower=np.where(reduced > SETTLED, upper, lower),
            upper=np.where(reduced < -SETTLED, lower, upper),
        )

    def _solve(
        self, floors: Floats, loose: Flags, column: Floats, gain: float
    ) -> tuple[Relaxed, Floats]:
        """Solve for the greatest or the least value of a further column of the floors' rows.

        Floors of groups that are held leave almost no room; where the solver gives up, they are
        loosened step by step.
        """
        rows = np.concatenate([np.zeros(len(self._program.low)), column])
        for hold in HOLDS:
            bounded = with_floors(
                self._program, self._groups, np.where(loose, floors - hold, floors)
            )
            stage = replace(
                bounded,
                gain=np.append(np.zeros(self._market.pairs), gain),
                rows=sparse.hstack([bounded.rows, sparse.csc_array(rows[:, None])], format="csc"),
                lower=np.append(bounded.lower, -np.inf if gain > 0 else 0.0),
                upper=np.append(bounded.upper, np.inf),
            )
            try:
                solution, self.core = relax_growing(self._market, stage, self.core)
            except (Infeasible, ArithmeticError):
                if hold == HOLDS[-1] or not loose.any():
                    raise
            else:
                reduced = reduced_gains(stage, solution.prices)
                return solution, reduced[: self._market.pairs]
        raise AssertionError("HOLDS is not empty")

    def _weights(self, solution: Relaxed) -> Floats:
        duals = solution.prices[len(self._program.low) :]
        return np.asarray(-duals * self._groups.weight, np.float64)


def _level_of(weight: Floats, best: Floats, total: float) -> float:
    """Level t at which the weighted sum of ``min(t, best)`` comes to a total."""
    order = np.argsort(best)
    weight, best = weight[order], best[order]
    below = np.concatenate([[0.0], np.cumsum(weight * best)])
    above = np.concatenate([np.cumsum(weight[::-1])[::-1], [0.0]])
    for passed in range(len(best)):
        level = (total - below[passed]) / above[passed]
        if level <= best[passed]:
            return float(level)
    return float(best[-1])


def relax_growing(market: Market, program: Program, core: Flags) -> tuple[Relaxed, Flags]:
    """Solve a linear program over the pairs (and further columns) from a core of the pairs.

    Pairs come in as long as they improve the solution by more than a millionth.
    """
    further = len(program.gain) - market.pairs
    most = np.append(market.most / market.unit, np.zeros(further))
    last = [np.inf]

    def add(solution: Relaxed, reduced: Floats, used: Flags) -> Flags:
        gains = np.maximum(reduced, 0.0) * most * ~used
        enough = 1e-6 * max(abs(solution.value), 1e-3)
        still = abs(solution.value - last[0]) <= enough / 100
        last[0] = solution.value
        return np.zeros(len(gains), bool) if still or gains.sum() <= enough else gains > 0

    used = np.append(core, np.ones(further, bool))
    try:
        solution, used = grow(program, used, add)
    except Infeasible:
        if core.all():
            raise
        used = np.ones(len(used), bool)
        solution = relax(program)
    return solution, used[: market.pairs]
