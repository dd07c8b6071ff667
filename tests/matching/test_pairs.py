"""Arrays and single pairs agree to the bit, on rules, parts and totals."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from matching import MICRO, RULES, score_pair, why_not
from matching.columns import need_columns, offer_columns, write_need, write_offer
from matching.forms import BARRED, MARGIN, Forms
from matching.pairs import broken_rules, pair_similarities, pair_totals
from matching.run import Tables, open_needs, open_offers, score_tile
from matching.score import similarities
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
    theirs["form"][:] = forms.of_offers(theirs)
    theirs["place_points"][:] = forms.places(theirs)
    return Tables.of(ours, theirs, forms, SCALE, DAY)


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
def test_the_single_precision_score_is_within_its_margin_and_bars_what_the_rules_bar(
    posts, weights
):
    tables = tables_of(*posts, Forms(TAXONOMY, weights))
    scores = np.empty((len(tables.needs), len(tables.offers)), np.float32)
    score_tile(
        tables,
        slice(0, len(tables.needs)),
        slice(0, len(tables.offers)),
        scores,
        np.empty_like(scores),
    )
    scores[~open_needs(tables.needs, DAY)] = BARRED
    scores[:, ~open_offers(tables.offers, DAY)] = BARRED
    i, j, likeness = every_pair(tables)
    broken = broken_rules(tables.needs, tables.offers, i, j, DAY)
    del broken["own_organisation"]  # barred pair by pair, by the book
    out = np.any(list(broken.values()), axis=0)
    totals = pair_totals(tables.needs, tables.offers, i, j, weights, likeness) / MICRO
    flat = scores.ravel()
    assert (flat[out] < BARRED / 2).all()
    assert (np.abs(flat[~out] - totals[~out]) < MARGIN / 2).all()
