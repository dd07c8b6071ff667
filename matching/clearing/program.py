"""Linear and whole-number programs, handed to HiGHS through SciPy.

HiGHS stops by tolerances that are absolute, so gains are scaled before they reach it. Its work is
bounded by nodes, never by seconds: the same program has the same answer on every machine.

Sources: Huangfu and Hall, *Parallelizing the dual revised simplex method*, 2018 (HiGHS).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.int64]
Sparse: TypeAlias = Any
"""A SciPy sparse array; SciPy ships no types."""

SCALE = 1_000.0
"""The greatest gain is scaled to this, so that HiGHS's 1e-7 is 1e-10 of it."""

MANY = 5_000
"""From so many columns on, the interior point (with crossover) beats the dual simplex."""

INFEASIBLE = 2


class Infeasible(Exception):
    """No values satisfy the rows of a program."""


class Unfinished(Exception):
    """The allowance of nodes ran out before any whole values were found."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Greatest ``gain @ x`` with ``low ≤ rows @ x ≤ high`` and ``lower ≤ x ≤ upper``.

    Parameters
    ----------
    gain
        What a unit of each column adds, (columns,).
    rows
        Sparse, (rows, columns).
    low, high
        Bounds of the rows, (rows,); infinite where there is none.
    lower, upper
        Bounds of the columns, (columns,).
    """

    gain: Floats
    rows: Sparse
    low: Floats
    high: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Relaxed:
    """The solution of a linear program.

    Attributes
    ----------
    x
        Columns, (columns,).
    value
        ``gain @ x``.
    prices
        Dual value of each row, (rows,): what the value gains when the row's bound rises by one;
        positive where the upper bound holds, negative where the lower one does.
    """

    x: Floats
    value: float
    prices: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """The best whole solution that was found.

    Attributes
    ----------
    x
        Columns, (columns,).
    value
        ``gain @ x``.
    bound
        No whole solution has a greater value.
    """

    x: Floats
    value: float
    bound: float


def relax(program: Program, *, patient: bool = True) -> Relaxed:
    """Solve the program, whole or not, exactly.

    Parameters
    ----------
    patient
        Whether the other method is tried where the one that suits the size gives up.

    Raises
    ------
    Infeasible
        No values satisfy the rows.
    ArithmeticError
        The solver gave up.
    """
    if not len(program.gain):
        _refuse_unless_idle(program)
        return Relaxed(np.zeros(0), 0.0, np.zeros(len(program.low)))
    largest = _largest(program.gain)
    equal = program.low == program.high
    above = ~equal & np.isfinite(program.high)
    below = ~equal & np.isfinite(program.low)
    rows = program.rows.tocsr()
    limits = sparse.vstack([rows[above], -rows[below]]) if below.any() else rows[above]
    some = bool(above.any() or below.any())
    # The interior point may stop short where the simplex goes through; either is exact.
    methods = ("highs-ipm", "highs-ds") if len(program.gain) > MANY else ("highs-ds", "highs-ipm")
    infeasible = False
    for method in methods if patient else methods[:1]:
        result = linprog(
            -program.gain * (SCALE / largest),
            A_ub=limits if some else None,
            b_ub=np.concatenate([program.high[above], -program.low[below]]) if some else None,
            A_eq=rows[equal] if equal.any() else None,
            b_eq=program.low[equal] if equal.any() else None,
            bounds=np.column_stack([program.lower, program.upper]),
            method=method,
        )
        if result.status == 0:
            break
        infeasible |= result.status == INFEASIBLE
    else:
        if infeasible:
            raise Infeasible
        raise ArithmeticError(f"HiGHS gave up: {result.message}")
    prices = np.zeros(len(program.low))
    if some:
        duals = -result.ineqlin.marginals * (largest / SCALE)
        prices[above] = duals[: above.sum()]
        prices[below] -= duals[above.sum() :]
    if equal.any():
        prices[equal] = -result.eqlin.marginals * (largest / SCALE)
    x = np.clip(result.x, program.lower, program.upper)
    return Relaxed(x, float(program.gain @ x), prices)


def solve_whole(program: Program, whole: Flags, *, nodes: int, gap: float = 0.0) -> Whole:
    """Solve the program with some columns whole, within an allowance of nodes.

    Parameters
    ----------
    whole
        Columns that take whole values only, (columns,).
    nodes
        Most nodes of the search tree.
    gap
        The search ends when the value is within this share of the bound.

    Raises
    ------
    Infeasible
        No values satisfy the rows.
    Unfinished
        The nodes ran out before any whole solution was found.
    """
    if not len(program.gain):
        _refuse_unless_idle(program)
        return Whole(np.zeros(0), 0.0, 0.0)
    largest = _largest(program.gain)
    result = milp(
        -program.gain * (SCALE / largest),
        integrality=whole.astype(np.uint8),
        bounds=Bounds(program.lower, program.upper),
        constraints=LinearConstraint(program.rows.tocsc(), program.low, program.high),
        options={"node_limit": nodes, "mip_rel_gap": gap, "presolve": True},
    )
    if result.status == INFEASIBLE:
        raise Infeasible
    if result.x is None:
        raise Unfinished
    x = np.where(whole, np.rint(result.x), result.x)
    value = float(program.gain @ x)
    if result.mip_dual_bound is None:
        return Whole(x, value, value)
    bound = -float(result.mip_dual_bound) * (largest / SCALE)
    return Whole(x, value, max(bound, value) if np.isfinite(bound) else value)


def relax_part(program: Program, core: Flags, *, patient: bool = True) -> Relaxed:
    """Solve a linear program on some of its columns; the others are nought.

    Raises
    ------
    Infeasible
        No values of these columns satisfy the rows.
    """
    used = np.flatnonzero(core)
    part = relax(
        Program(
            program.gain[used],
            program.rows[:, used],
            program.low,
            program.high,
            program.lower[used],
            program.upper[used],
        ),
        patient=patient,
    )
    x = np.zeros(len(core))
    x[used] = part.x
    return Relaxed(x, part.value, part.prices)


def grow(
    program: Program, core: Flags, add: Callable[[Relaxed, Floats, Flags], Flags]
) -> tuple[Relaxed, Flags]:
    """Solve a linear program on some of its columns, adding those that would improve it.

    Parameters
    ----------
    core
        Columns to begin with, (columns,).
    add
        From the solution, each column's reduced gain and the columns in use: those to add. The
        search ends when there are none.

    Returns
    -------
    The solution, over all columns, and the columns that were used.

    Raises
    ------
    Infeasible
        No values of the columns that were used satisfy the rows.
    """
    while True:
        solution = relax_part(program, core, patient=False)
        more = add(solution, reduced_gains(program, solution.prices), core) & ~core
        if not more.any():
            return solution, core
        core = core | more


def reduced_gains(program: Program, prices: Floats) -> Floats:
    """What a unit of each column would add after paying for its rows, (columns,)."""
    return cast("Floats", program.gain - program.rows.T @ prices)


def _refuse_unless_idle(program: Program) -> None:
    """A program without columns satisfies its rows by noughts, or not at all."""
    if (program.low > 0).any() or (program.high < 0).any():
        raise Infeasible


def _largest(gain: Floats) -> float:
    largest = float(np.abs(gain).max(initial=0.0))
    return largest if largest > 0 else 1.0
