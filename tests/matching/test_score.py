"""The score's promises, on random pairs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching import COMPONENTS, MICRO, RULES, Bands, ProfileError, TextScale, Weights, score_pair
from matching.score import COVERAGE, FOCUS, PARTS, compare_sets
from tests.matching.factories import (
    COUNTRIES,
    SCALE,
    TAXONOMY,
    THEMES,
    TODAY,
    likenesses,
    make_need,
    make_offer,
    make_vectors,
    needs,
    offers,
    weightings,
)

WEIGHTS = Weights()
SETS = {
    "themes": TAXONOMY.themes,
    "ilac_areas": TAXONOMY.ilac_areas,
    "modalities": TAXONOMY.modalities,
    "programmes": TAXONOMY.programmes,
    "support_kinds": TAXONOMY.support_kinds,
}


def total(need, offer, likeness=0.5, weights=WEIGHTS):
    return score_pair(need, offer, TAXONOMY, weights, likeness).total


@given(needs(), offers(), likenesses, weightings)
def test_contributions_add_up_to_the_score_exactly(need, offer, likeness, weights):
    found = score_pair(need, offer, TAXONOMY, weights, likeness)
    assert found.total == sum(found.micro_points.values())
    assert 0 <= found.total <= 100 * MICRO
    most = weights.micro_points()
    assert all(0 <= found.micro_points[name] <= most[name] for name in COMPONENTS)


@given(needs(), offers(), st.sampled_from(sorted(SETS)), st.data())
def test_a_term_that_the_other_side_has_never_lowers_the_score(need, offer, facet, data):
    # A need's themes are held against the provider's experience too, which is another matter.
    offer = replace(offer, experience_themes=frozenset())
    for post, other in ((need, offer), (offer, need)):
        theirs = sorted(getattr(other, facet))
        if not theirs:
            continue
        term = data.draw(st.sampled_from(theirs))
        more = replace(post, **{facet: getattr(post, facet) | {term}})
        before, after = (
            (total(need, offer), total(more, offer))
            if post is need
            else (total(need, offer), total(need, more))
        )
        assert after >= before


@given(needs(), offers(), st.sampled_from(sorted(SETS)), st.data())
def test_a_term_unrelated_to_the_other_side_never_raises_the_score(need, offer, facet, data):
    terms = SETS[facet]
    offer = replace(offer, experience_themes=frozenset())
    for post, other in ((need, offer), (offer, need)):
        theirs = getattr(other, facet)
        strangers = [
            code
            for code in terms.codes
            if theirs and all(terms.between(code, term) == 0 for term in theirs)
        ]
        if not strangers:
            continue
        term = data.draw(st.sampled_from(strangers))
        more = replace(post, **{facet: getattr(post, facet) | {term}})
        if post is need:
            assert total(more, offer) <= total(need, offer)
        else:
            assert total(need, more) <= total(need, offer)


@given(needs(), offers(), st.sampled_from(["dimension", "horizon"]))
def test_a_single_code_that_agrees_never_lowers_and_the_opposite_never_raises(need, offer, name):
    first, last = {"dimension": ("1", "3"), "horizon": ("short", "long")}[name]
    offer = replace(offer, **{name: first})
    silent = total(replace(need, **{name: None}), offer)
    assert total(replace(need, **{name: first}), offer) >= silent
    assert total(replace(need, **{name: last}), offer) <= silent


@given(needs(), offers(), st.sampled_from(COUNTRIES))
def test_naming_the_place_of_a_need_never_lowers_the_score(need, offer, country):
    need = replace(need, country=country, subregion=None)
    offer = replace(offer, outside_region_only=False)
    for more in (
        replace(offer, serves_countries=offer.serves_countries | {country}),
        replace(
            offer,
            serves_subregions=offer.serves_subregions | {str(TAXONOMY.subregion(country))},
        ),
        replace(offer, experience_countries=offer.experience_countries | {country}),
    ):
        assert total(need, more) >= total(need, offer)


@given(needs(), offers(), st.sampled_from(COUNTRIES))
def test_serving_other_places_as_well_changes_nothing(need, offer, other):
    if not offer.serves_countries or need.place() is None or other == need.country:
        return
    members = TAXONOMY.members.get(need.place() or "", frozenset())
    if other in members:
        return
    more = replace(offer, serves_countries=offer.serves_countries | {other})
    assert total(need, more) == total(need, offer)


@given(needs(), offers())
def test_stating_an_amount_that_suffices_never_lowers_and_one_of_nothing_never_raises(need, offer):
    need = replace(need, money_least=1000.0, money_most=2000.0, places_wanted=10)
    silent = replace(
        offer,
        money_left=None,
        grant_least=None,
        grant_most=None,
        places_left=None,
        places_per_beneficiary=None,
    )
    enough = replace(silent, grant_most=1500.0, places_left=10)
    nothing = replace(silent, grant_most=0.0, places_left=0)
    assert total(need, enough) >= total(need, silent) >= total(need, nothing)


@given(needs(), offers(), st.integers(0, 999))
def test_more_likeness_of_the_texts_never_lowers_the_score(need, offer, thousandths):
    less, more = thousandths / 1000, (thousandths + 1) / 1000
    assert total(need, offer, more) >= total(need, offer, less)


def test_saying_nothing_never_ranks_above_a_true_match():
    need = make_need(
        country="PE",
        themes=frozenset({"procurement"}),
        support_kinds=frozenset({"capacity_building"}),
        languages=frozenset({"es"}),
        dimension="2",
    )
    true = make_offer(
        serves_countries=frozenset({"PE"}),
        themes=frozenset({"procurement"}),
        support_kinds=frozenset({"capacity_building"}),
        languages=frozenset({"es"}),
        dimension="2",
    )
    assert total(need, true, 0.6) > total(need, make_offer(), 0.6)


def test_posts_without_facets_are_ordered_by_their_texts_alone():
    need = make_need()
    scores = [total(need, make_offer(), likeness / 20) for likeness in range(21)]
    assert scores == sorted(scores)
    assert len(set(scores)) == len(scores)


def test_a_full_match_has_all_hundred_points():
    need = make_need(
        country="PE",
        themes=frozenset({"water", "waste"}),
        ilac_areas=frozenset({"2"}),
        support_kinds=frozenset({"finance"}),
        modalities=frozenset({"grant"}),
        languages=frozenset({"es"}),
        programmes=frozenset({"plans"}),
        dimension="1",
        horizon="short",
        starts=TODAY,
        ends=TODAY,
        money_least=10.0,
        places_wanted=1,
    )
    offer = make_offer(
        themes=need.themes,
        ilac_areas=need.ilac_areas,
        support_kinds=need.support_kinds,
        modalities=need.modalities,
        languages=need.languages,
        programmes=need.programmes,
        dimension="1",
        horizon="short",
        starts=TODAY,
        ends=TODAY,
        serves_countries=frozenset({"PE"}),
        grant_most=10.0,
        places_left=1,
        experience_countries=frozenset({"PE"}),
        experience_themes=need.themes,
    )
    assert total(need, offer, 1.0) == 100 * MICRO


def test_an_offer_about_everything_ranks_below_one_about_the_thing():
    need = make_need(themes=frozenset({"water"}))
    everything = make_offer(themes=frozenset(THEMES))
    assert total(need, make_offer(themes=need.themes)) > total(need, everything)


def test_a_country_named_counts_more_than_its_subregion_and_that_more_than_the_region():
    need = make_need(country="PE")
    named, subregion, region = (
        total(need, make_offer(**facts))
        for facts in (
            {"serves_countries": frozenset({"PE"})},
            {"serves_subregions": frozenset({"andean"})},
            {"serves_subregions": frozenset({"regional"})},
        )
    )
    assert named > subregion > region


def test_shares_add_up_and_neutral_values_lie_between_contradiction_and_agreement():
    for parts in COMPONENTS.values():
        assert sum(part.share for part in parts) == 1.0
    assert COVERAGE + FOCUS == 1.0
    for name in [*SETS, "experience_themes"]:
        # The least that an agreement of two sets can give is FOCUS.
        assert PARTS[name][1].neutral <= FOCUS


@given(
    st.frozensets(st.sampled_from(THEMES), min_size=1),
    st.frozensets(st.sampled_from(THEMES), min_size=1),
)
def test_sets_that_share_all_of_one_side_are_at_least_as_alike_as_the_neutral_value(a, b):
    similarity = compare_sets(a, a | b, TAXONOMY.themes)
    assert similarity is not None
    assert similarity >= PARTS["themes"][1].neutral


@pytest.mark.parametrize(
    "shares",
    [{"theme": float("nan")}, {"theme": -0.2, "text": 0.72}, {"theme": 0.9}],
)
def test_weights_that_are_not_a_share_of_one_are_refused(shares):
    with pytest.raises(ProfileError):
        replace(WEIGHTS, **shares)


@given(weightings)
def test_weights_make_exactly_a_hundred_points(weights):
    assert sum(weights.micro_points().values()) == 100 * MICRO


def test_bands_are_named_by_their_lower_bound():
    bands = Bands(strong=70, good=55, possible=40)
    assert [bands.name(points * MICRO) for points in (70, 69, 40, 39)] == [
        "strong",
        "good",
        "possible",
        "weak",
    ]
    with pytest.raises(ProfileError):
        Bands(strong=10, good=20, possible=30)


def test_inner_products_on_the_grid_are_exact_in_single_precision():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(200, 640))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    grid = SCALE.to_grid(rows)
    exact = grid.astype(np.int64) @ grid.astype(np.int64).T
    assert (grid @ grid.T == exact).all()
    assert (grid[::-1] @ grid[3:50].T == exact[::-1, 3:50]).all()
    assert np.abs(exact / TextScale.LENGTH**2 - rows @ rows.T).max() < 1e-3


def test_likeness_is_tabulated_from_the_calibration():
    a, b = SCALE.to_grid(make_vectors(np.random.default_rng(2), 2, blank=0))
    cosine = SCALE.inner(a, b) / TextScale.LENGTH**2
    expected = float(np.interp(cosine, [0.0, 0.2, 0.7, 1.0], [0.0, 0.1, 0.9, 1.0]))
    assert SCALE.likeness_of(a, b) == pytest.approx(expected, abs=1e-4)
    assert SCALE.likeness_of(a, np.zeros_like(a)) is None
    assert SCALE.likeness_of(a, a) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("vector", [[np.nan, 0.0], [np.inf, 0.0], [1.0, 1.0]])
def test_a_vector_that_is_not_finite_or_too_long_is_refused(vector):
    with pytest.raises(ProfileError):
        SCALE.to_grid(np.array(vector))


@pytest.mark.parametrize("wrong", [lambda x: -x, lambda x: x * np.nan, lambda x: 2 * x])
def test_a_calibration_that_decreases_or_leaves_the_unit_is_refused(wrong):
    with pytest.raises(ProfileError):
        TextScale(wrong, "wrong")


def test_the_page_on_the_score_says_what_the_code_does():
    page = (Path(__file__).parents[2] / "docs" / "score.md").read_text("utf-8")
    for component, points in WEIGHTS.micro_points().items():
        assert f"| `{component}` | {points // MICRO} |" in page
    for part in (part for parts in COMPONENTS.values() for part in parts):
        assert f"| `{part.name}` | {part.neutral} |" in page
    bands = Bands()
    for band in ("strong", "good", "possible"):
        assert f"| {band} | {getattr(bands, band):.0f} |" in page
    for rule in RULES:
        assert f"| `{rule}` |" in page
