"""How near terms are to one another, and what places hold."""

import pytest

from matching import ProfileError, Terms
from tests.matching.factories import TAXONOMY


def test_a_broader_term_counts_half_and_a_related_one_a_quarter():
    themes = TAXONOMY.themes
    assert themes.between("procurement", "procurement") == 4
    assert themes.between("procurement", "products") == 2
    assert themes.between("products", "procurement") == 2
    assert themes.between("energy", "water") == 1
    assert themes.between("tourism", "water") == 0


def test_terms_under_one_broader_term_are_related():
    assert TAXONOMY.themes.between("labels", "procurement") == 1


def test_two_steps_up_count_a_quarter():
    terms = Terms.of("themes", "abc", broader=[("a", "b"), ("b", "c")])
    assert terms.between("a", "c") == 1


def test_links_give_the_same_table_in_any_order():
    links = [("a", "b"), ("b", "c"), ("d", "b")]
    one = Terms.of("themes", "abcd", broader=links, related=[("a", "b")])
    two = Terms.of("themes", "abcd", broader=links[::-1], related=[("b", "a")])
    assert one.closeness.tolist() == two.closeness.tolist()


def test_a_link_to_nowhere_is_refused():
    with pytest.raises(ProfileError):
        Terms.of("themes", "ab", related=[("a", "z")])


def test_modalities_of_one_kind_are_related():
    assert TAXONOMY.modalities.between("workshop", "course") == 1
    assert TAXONOMY.modalities.between("workshop", "loan") == 0


def test_horizons_run_from_the_shortest_to_the_longest():
    assert TAXONOMY.horizons == ("short", "medium", "long")


def test_the_region_holds_the_countries_of_its_subregions_only():
    assert "PE" in TAXONOMY.members["regional"]
    assert "CH" not in TAXONOMY.members["regional"]
    assert TAXONOMY.members["andean"] == {"BO", "CO", "PE"}
