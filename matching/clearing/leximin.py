"""Lexicographic max-min in whole places, exactly: for exchanges of a few posts."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from matching.clearing.level import NEAR, Groups
from matching.clearing.order import Indices
from matching.clearing.program import Program, solve_whole

NODES = 2_000
"""Nodes of each search; small exchanges need a handful."""


def exact_leximin(program: Program, groups: Groups, count: int) -> tuple[Indices, bool]:
    """Raise the least level, then the sum of the two least, …; then the total.

    Parameters
    ----------
    program
        The exchange's rows, with finite bounds on its columns.
    count
        How many of the least levels are raised before the total is.

    Returns
    -------
    The flow, (pairs,), and whether every search ended with a proof.

    Raises
    ------
    Infeasible
        Exact demands, required pairs and floors can't hold together.
    Unfinished
        A search found nothing within its nodes.

    Notes
    -----
    The sum of the k least levels is the greatest of ``k·r − Σ excess`` where each level and its
    excess reach r: Ogryczak and Śliwiński, *On solving linear programs with the ordered weighted
    averaging objective*, European Journal of Operational Research 2003.
    """
    sums: list[float] = []
    proven = True
    pairs = len(program.gain)
    for _ in range(count):
        stage = _with_least_sums(program, groups, sums, more=1)
        found = solve_whole(stage, np.arange(len(stage.gain)) < pairs, nodes=NODES)
        proven &= found.bound - found.value <= NEAR
        sums.append(found.value)
    stage = _with_least_sums(program, groups, sums, more=0)
    total = replace(stage, gain=np.append(program.gain, np.zeros(len(stage.gain) - pairs)))
    found = solve_whole(total, np.arange(len(total.gain)) < pairs, nodes=NODES)
    return found.x[:pairs].astype(np.int64), proven


def _with_least_sums(program: Program, groups: Groups, sums: list[float], *, more: int) -> Program:
    """Hold the sums of least levels, and ask for the next sum where there is one ``more``."""
    held, served, pairs = len(sums) + more, len(groups.served), len(program.gain)
    rows = len(program.low)
    floors = np.array(sums, np.float64) - NEAR / 10
    level = sparse.hstack([groups.rows, -sparse.diags_array(groups.asked)])
    least = sparse.kron(sparse.eye_array(held), np.ones((served, 1)))
    reach = sparse.hstack(
        [
            sparse.csr_array((held * served, pairs)),
            -sparse.vstack([sparse.eye_array(served)] * held)
            if held
            else sparse.csr_array((0, served)),
            least,
            -sparse.eye_array(held * served),
        ]
    )
    total = sparse.hstack(
        [
            sparse.csr_array((held, pairs + served)),
            sparse.diags_array(np.arange(1.0, held + 1)),
            -least.T,
        ]
    ).tocsr()
    width = served + held + held * served
    return Program(
        gain=total[len(sums)].toarray().ravel() if more else np.zeros(pairs + width),
        rows=sparse.vstack(
            [
                sparse.hstack([program.rows, sparse.csr_array((rows, width))]),
                sparse.hstack([level, sparse.csr_array((served, width - served))]),
                reach,
                total[: len(sums)],
            ],
            format="csc",
        ),
        low=np.concatenate(
            [program.low, np.zeros(served), np.full(held * served, -np.inf), floors]
        ),
        high=np.concatenate(
            [program.high, np.zeros(served + held * served), np.full(len(sums), np.inf)]
        ),
        lower=np.concatenate(
            [program.lower, np.full(served + held, -np.inf), np.zeros(held * served)]
        ),
        upper=np.concatenate([program.upper, np.full(width, np.inf)]),
    )
