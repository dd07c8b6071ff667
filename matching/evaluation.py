"""How well a ranking agrees with graded labels: nDCG, recall and MRR.

A grade is a whole number, more is better, 0 for a pair that is not labelled. Needs without any
graded offer say nothing and are left out of every mean.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grades = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measures of a ranking, each the mean over the needs that have a graded offer."""

    ndcg_at_10: float
    recall_at_10: float
    """Of the offers that hold the need's best grade."""
    mrr: float
    """Of the first offer that holds the need's best grade."""
    needs: int
    """Needs that were counted."""
    offers: int
    """Offers that were ranked for each."""


def ndcg_at(k: int, ranked: Grades) -> float:
    """Compute the normalised discounted cumulative gain of the first k places.

    Gain 2^grade - 1, discount 1 / log2(place + 1) with places counted from 1 (Järvelin and
    Kekäläinen, 2002; Burges et al., 2005), divided by that of the best possible order.

    Parameters
    ----------
    ranked : int (m,), the grade of every offer in the order of the ranking.

    Raises
    ------
    ValueError : no offer has a grade.

    Examples
    --------
    >>> round(ndcg_at(10, np.array([1, 2, 0])), 4)
    0.7967
    """
    _require_graded(ranked)
    gains = 2.0**ranked - 1
    discounts = 1 / np.log2(np.arange(2, min(k, len(ranked)) + 2))
    best = np.sort(gains)[::-1][: len(discounts)]
    return float((gains[: len(discounts)] * discounts).sum() / (best * discounts).sum())


def recall_at(k: int, ranked: Grades) -> float:
    """Compute which part of the best-graded offers the first k places hold.

    Where there are more than k of them, a full list counts as 1.

    Raises
    ------
    ValueError : no offer has a grade.
    """
    _require_graded(ranked)
    best = ranked == ranked.max()
    return float(best[:k].sum() / min(k, best.sum()))


def reciprocal_rank(ranked: Grades) -> float:
    """Give 1 / the place of the first best-graded offer.

    Raises
    ------
    ValueError : no offer has a grade.
    """
    _require_graded(ranked)
    return 1 / (int(np.argmax(ranked == ranked.max())) + 1)


def evaluate(scores: NDArray[np.floating], grades: Grades) -> Evaluation:
    """Measure the ranking that scores make.

    Parameters
    ----------
    scores : float (n, m), need × offer, more is better; -inf puts an offer last. Equal scores keep
        the order of the offers.
    grades : int (n, m), 0 where a pair is not labelled.

    Raises
    ------
    ValueError : the shapes differ, a score is NaN, a grade is negative, or nothing is graded.
    """
    if scores.shape != grades.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and grades {grades.shape} are not one matrix each")
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    if (grades < 0).any():
        raise ValueError("a grade is negative")
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(grades, order, axis=1)
    ranked = ranked[ranked.any(axis=1)]
    if not len(ranked):
        raise ValueError("no pair is graded")
    return Evaluation(
        ndcg_at_10=float(np.mean([ndcg_at(10, row) for row in ranked])),
        recall_at_10=float(np.mean([recall_at(10, row) for row in ranked])),
        mrr=float(np.mean([reciprocal_rank(row) for row in ranked])),
        needs=len(ranked),
        offers=scores.shape[1],
    )


def _require_graded(ranked: Grades) -> None:
    if not ranked.any():
        raise ValueError("no offer has a grade")
