"""What exists already near a need: which entries, in which order, and why."""

import numpy as np
import pytest
from hypothesis import given

from matching import COMPONENTS, Weights
from matching.precedents import (
    COMPARED,
    Precedent,
    compared_weights,
    nearest_precedents,
    where,
)
from tests.matching.factories import SCALE, TAXONOMY, make_need, make_offer, needs, weightings


def entry(number, country=None, vector=None, **facts):
    countries, subregions = where(country, TAXONOMY)
    profile = make_offer(number, serves_countries=countries, serves_subregions=subregions, **facts)
    return Precedent(profile, vector)


def ranked(need, *entries, vector=None, **options):
    found = nearest_precedents(need, vector, entries, TAXONOMY, Weights(), SCALE, **options)
    return [one.offer_id for one in found]


WATER = frozenset({"water"})


def test_the_own_country_comes_before_the_subregion_and_the_region():
    need = make_need(country="PE", themes=WATER)
    entries = [entry(n, c, themes=WATER) for n, c in enumerate(("SE", "MX", None, "CO", "PE"), 1)]
    # Equally near ones stand in the order of their references.
    assert ranked(need, *entries, near=0) == [5, 4, 1, 2, 3]


def test_a_text_that_says_the_same_comes_before_one_that_does_not():
    same, other = np.eye(2, dtype=np.float32)
    need = make_need(country="PE", themes=WATER)
    entries = [entry(1, "PE", other, themes=WATER), entry(2, "PE", same, themes=WATER)]
    assert ranked(need, *entries, vector=same, near=0) == [2, 1]


def test_what_has_nothing_in_common_is_not_shown():
    need = make_need(country="PE", themes=WATER)
    assert ranked(need, entry(1, "PE", themes=frozenset({"tourism"}))) == []
    assert ranked(need, entry(1, "PE", themes=WATER)) == [1]


def test_no_more_are_shown_than_asked_for():
    need = make_need(country="PE", themes=WATER)
    assert ranked(need, *(entry(n, "PE", themes=WATER) for n in range(1, 9)), limit=3) == [1, 2, 3]


@given(need=needs(), weights=weightings)
def test_only_what_is_compared_gives_points_and_they_add_up(need, weights):
    found = nearest_precedents(
        need, None, [entry(1, "PE", themes=WATER)], TAXONOMY, weights, SCALE, near=0
    )
    assert len(found) == 1
    by_component = {part.component: part.micro_points for part in found[0].contributions}
    assert sum(by_component.values()) == found[0].micro_points
    assert {name for name, points in by_component.items() if points} <= set(COMPARED)


@given(weights=weightings)
def test_the_proportions_of_the_weights_stay(weights):
    kept = compared_weights(weights).shares()
    assert sum(kept.values()) == pytest.approx(1)
    shares = weights.shares()
    if sum(shares[name] for name in COMPARED):
        for one in COMPARED:
            for other in COMPARED:
                assert kept[one] * shares[other] == pytest.approx(kept[other] * shares[one])


def test_weights_that_count_nothing_of_it_give_way_to_the_usual_ones():
    weights = Weights.from_shares({"money": 1.0}, "money alone")
    assert compared_weights(weights).shares() == compared_weights(Weights()).shares()
    assert set(compared_weights(weights).shares()) == set(COMPONENTS)
