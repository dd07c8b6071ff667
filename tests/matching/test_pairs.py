"""Arrays and single pairs agree to the bit, on rules, parts and totals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching import MICRO, RULES, score_pair, why_not
from matching.bound import (
    Tables,
    TextBound,
    bar_groups,
    bar_own,
    bar_windows,
    bound_tile,
    kth_of_rows,
    refine,
)
from matching.columns import need_columns, offer_columns, write_need, write_offer
from matching.forms import BARRED, MARGIN, Forms
from matching.pairs import broken_rules, pair_similarities, pair_totals
from matching.run import open_needs, open_offers
from matching.score import TextScale, similarities
from tests.matching.factories import (
    DIMENSION,
    SCALE,
    TAXONOMY,
    TODAY,
    make_vectors,
    needs,
    offers,
    weightings,
)

DAY = TODAY.toordinal()
both = st.tuples(
    st.lists(needs(), min_size=1, max_size=6), st.lists(offers(), min_size=1, max_size=6)
)


def written(posts, columns, write, seed):
    grid = SCALE.to_grid(make_vectors(np.random.default_rng(seed), len(posts), blank=0.2))
    columns.reserve(len(posts))
    for row, post in enumerate(posts):
        write(columns, row, post, grid[row], TAXONOMY)
    return columns.take(slice(0, len(posts)))


def tables_of(some_needs, some_offers, forms):
    ours = written(some_needs, need_columns(TAXONOMY, DIMENSION, forms.width), write_need, 1)
    theirs = written(some_offers, offer_columns(TAXONOMY, DIMENSION, forms.width), write_offer, 2)
    ours["form"][:] = forms.of_needs(ours)
    ours["limits"][:] = forms.limits_of_needs(ours)
    theirs["form"][:] = forms.of_offers(theirs)
    theirs["limits"][:] = forms.limits_of_offers(theirs)
    theirs["place_points"][:] = forms.places(theirs)
    text = TextBound.of(SCALE, forms.points("text"))
    return Tables(ours, theirs, theirs["place_points"].T, text)


def every_pair(tables):
    i, j = np.divmod(np.arange(len(tables.needs) * len(tables.offers)), len(tables.offers))
    inner = (tables.needs["text"] @ tables.offers["text"].T).ravel()
    return i, j, SCALE.likeness(inner)


@given(both, weightings)
def test_rules_and_scores_in_arrays_are_those_of_single_pairs(posts, weights):
    some_needs, some_offers = posts
    tables = tables_of(some_needs, some_offers, Forms(TAXONOMY, weights))
    i, j, likeness = every_pair(tables)
    broken = broken_rules(tables.needs, tables.offers, i, j, DAY)
    found = pair_similarities(tables.needs, tables.offers, i, j, likeness)
    totals = pair_totals(tables.needs, tables.offers, i, j, weights, likeness)
    for pair, (row, column) in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
        need, offer = some_needs[row], some_offers[column]
        alike = SCALE.likeness_of(tables.needs["text"][row], tables.offers["text"][column])
        expected = [failure.rule for failure in why_not(need, offer, TAXONOMY, on=TODAY)]
        assert [rule for rule in RULES if rule in broken and broken[rule][pair]] == expected
        for part, value in similarities(need, offer, TAXONOMY, alike).items():
            seen = float(found[part][pair])
            assert (value is None and np.isnan(seen)) or seen == value, part
        assert int(totals[pair]) == score_pair(need, offer, TAXONOMY, weights, alike).total


@given(both, weightings)
def test_bounds_hold_refined_scores_are_near_and_rules_are_kept(posts, weights):
    tables = tables_of(*posts, Forms(TAXONOMY, weights))
    count, width = len(tables.needs), len(tables.offers)
    bounds, inner = np.empty((2, count, width), np.float32)
    rows, columns = slice(0, count), slice(0, width)
    bound_tile(tables, rows, columns, bounds, inner)
    bar_windows(tables, rows, columns, bounds)
    bar_groups(tables, rows, columns, bounds)
    bar_own(tables, rows, columns, bounds)
    bounds[~open_needs(tables.needs, DAY)] = BARRED
    bounds[:, ~open_offers(tables.offers, DAY)] = BARRED
    i, j, likeness = every_pair(tables)
    broken = broken_rules(tables.needs, tables.offers, i, j, DAY)
    out = np.any(list(broken.values()), axis=0)
    totals = pair_totals(tables.needs, tables.offers, i, j, weights, likeness) / MICRO
    refined = refine(tables, i, j, bounds.ravel(), inner.ravel())
    assert (bounds.ravel()[out] < BARRED / 2).all()
    assert (bounds.ravel()[~out] > totals[~out] - MARGIN / 2).all()
    assert (np.abs(refined[~out] - totals[~out]) < MARGIN / 2).all()


@pytest.mark.parametrize(
    "calibrate",
    [
        lambda raw: np.interp(raw, [0, 0.116, 0.241, 0.504, 0.769, 1], [0, 0.1, 0.5, 0.8, 0.97, 1]),
        lambda raw: 1 / (1 + np.exp(-8 * (raw - 0.5))),
        lambda raw: np.clip(raw, 0, 1) ** 2,
        lambda raw: np.where(raw > 0.3, 1.0, 0.2),
        lambda raw: raw * 0.0,
    ],
)
def test_the_line_lies_above_any_calibration(calibrate):
    scale = TextScale(calibrate, "any")
    bound = TextBound.of(scale, 36.0)
    inner = np.random.default_rng(1).integers(-(4000**2), 4000**2, 50_000).astype(np.float32)
    assert (bound.above(inner) >= bound.due(inner)).all()


def test_the_kth_best_of_each_row_is_found_and_missing_ones_are_barred():
    local = np.array([0, 0, 0, 2, 2])
    scores = np.array([5, 9, 7, 1, 3], np.float32)
    assert kth_of_rows(local, scores, 3, 2).tolist() == [7, BARRED, 1]
    assert kth_of_rows(local, scores, 3, 3).tolist() == [5, BARRED, BARRED]
