"""Measures of a ranking, against examples worked out by hand."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.evaluation import evaluate, ndcg_at, recall_at, reciprocal_rank


def test_ndcg_of_two_swapped_grades() -> None:
    # Gains 1, 3, 0 in the order found; 3, 1, 0 in the best order.
    found = 1 + 3 / log2(3)
    best = 3 + 1 / log2(3)
    assert ndcg_at(10, np.array([1, 2, 0])) == pytest.approx(found / best)


def test_ndcg_looks_at_k_places_only_and_so_does_the_best_order() -> None:
    # Found: places 1 and 2 hold grades 0 and 1; best: 2 and 1.
    assert ndcg_at(2, np.array([0, 1, 2])) == pytest.approx((1 / log2(3)) / (3 + 1 / log2(3)))


def test_ndcg_is_zero_where_nothing_graded_is_in_the_first_places() -> None:
    assert ndcg_at(2, np.array([0, 0, 2])) == 0


def test_recall_counts_offers_of_the_best_grade_only() -> None:
    assert recall_at(2, np.array([1, 2, 2, 2])) == pytest.approx(1 / 2)
    assert recall_at(3, np.array([2, 1, 1, 2])) == pytest.approx(1 / 2)


def test_recall_is_full_where_more_best_offers_than_places_exist() -> None:
    assert recall_at(2, np.array([2, 2, 2, 2])) == 1


def test_reciprocal_rank_waits_for_the_best_grade() -> None:
    assert reciprocal_rank(np.array([1, 1, 2, 2])) == pytest.approx(1 / 3)


def test_needs_without_graded_offers_are_left_out() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.4]])
    grades = np.array([[2, 0, 1], [0, 0, 0]])
    result = evaluate(scores, grades)
    assert (result.ndcg_at_10, result.recall_at_10, result.mrr) == (1, 1, 1)
    assert (result.needs, result.offers) == (1, 3)


def test_means_are_over_needs() -> None:
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    grades = np.array([[1, 0, 0], [0, 0, 1]])
    result = evaluate(scores, grades)
    assert result.mrr == pytest.approx((1 + 1 / 3) / 2)
    assert result.ndcg_at_10 == pytest.approx((1 + 1 / log2(4)) / 2)


def test_equal_scores_keep_the_order_of_the_offers() -> None:
    result = evaluate(np.zeros((1, 4)), np.array([[0, 0, 1, 0]]))
    assert result.mrr == pytest.approx(1 / 3)


def test_ineligible_offers_come_last() -> None:
    result = evaluate(np.array([[-np.inf, -5.0]]), np.array([[1, 0]]))
    assert result.mrr == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("scores", "grades", "problem"),
    [
        (np.zeros((1, 2)), np.ones((1, 3), int), "not one matrix"),
        (np.array([[np.nan, 1.0]]), np.ones((1, 2), int), "not a number"),
        (np.zeros((1, 2)), np.array([[-1, 1]]), "negative"),
        (np.zeros((1, 2)), np.zeros((1, 2), int), "no pair is graded"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    scores: np.ndarray, grades: np.ndarray, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        evaluate(scores, grades)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20).filter(any))
def test_the_best_order_has_full_marks_and_none_is_better(grades: list[int]) -> None:
    found = np.array(grades)
    best = np.sort(found)[::-1]
    assert ndcg_at(10, best) == pytest.approx(1)
    assert ndcg_at(10, found) <= 1 + 1e-9
    assert 0 <= recall_at(10, found) <= recall_at(10, best) == 1
    assert reciprocal_rank(found) <= reciprocal_rank(best) == 1
