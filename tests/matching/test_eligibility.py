"""Hard rules, one by one, with what each side says."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from matching import RULES, RuleFailure, why_not
from tests.matching.factories import TAXONOMY, TODAY, make_need, make_offer, needs, offers

YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)


def rules(need, offer, **keywords):
    return [failure.rule for failure in why_not(need, offer, TAXONOMY, on=TODAY, **keywords)]


def test_two_posts_that_state_nothing_break_no_rule():
    assert rules(make_need(), make_offer()) == []


@pytest.mark.parametrize(
    ("need", "offer", "failure"),
    [
        (
            {"published": False},
            {},
            RuleFailure("not_published", "not_published", "published"),
        ),
        ({"closes": YESTERDAY}, {}, RuleFailure("need_closed", YESTERDAY, TODAY)),
        ({}, {"closes": YESTERDAY}, RuleFailure("offer_closed", TODAY, YESTERDAY)),
        (
            {"closes": TODAY},
            {"opens": TOMORROW},
            RuleFailure("windows_do_not_overlap", TODAY, TOMORROW),
        ),
        (
            {"country": "PE"},
            {"serves_subregions": frozenset({"caribbean"})},
            RuleFailure("place_not_served", "PE", ("caribbean",)),
        ),
        (
            {"country": "PE"},
            {"outside_region_only": True},
            RuleFailure("place_not_served", "PE", ("outside_region",)),
        ),
        ({"country": "CH"}, {}, RuleFailure("place_not_served", "CH", ("regional",))),
        (
            {"organisation_kind": "company"},
            {"serves_organisation_kinds": frozenset({"government", "ngo"})},
            RuleFailure("organisation_kind_not_served", "company", ("government", "ngo")),
        ),
        (
            {"country": "PE"},
            {"organisation_country": "PE"},
            RuleFailure("own_country", "PE", "PE"),
        ),
        ({"organisation": 3}, {"organisation": 3}, RuleFailure("own_organisation", 3, 3)),
        (
            {"support_kinds": frozenset({"finance"})},
            {"support_kinds": frozenset({"technical_support"})},
            RuleFailure("support_kind_not_given", ("finance",), ("technical_support",)),
        ),
        (
            {"places_wanted": 5},
            {"places_least": 6},
            RuleFailure("group_too_small", 5, 6),
        ),
        (
            {"places_wanted": 5},
            {"places_left": 0},
            RuleFailure("no_capacity_left", 5, 0),
        ),
        (
            {"money_least": 100.0},
            {"money_left": 50.0, "grant_least": 60.0},
            RuleFailure("no_money_left", 100.0, 50.0),
        ),
    ],
)
def test_a_broken_rule_names_itself_and_both_sides(need, offer, failure):
    assert why_not(make_need(**need), make_offer(**offer), TAXONOMY, on=TODAY) == (failure,)


@pytest.mark.parametrize(
    ("need", "offer"),
    [
        ({"support_kinds": frozenset({"finance"})}, {}),
        ({}, {"support_kinds": frozenset({"finance"})}),
        ({"closes": TODAY}, {"opens": TODAY, "closes": TODAY}),
        ({"country": "PE"}, {"organisation_country": "PE", "own_country": True}),
        ({"country": "LC"}, {"serves_bodies": frozenset({"CARICOM"})}),
        ({"subregion": "andean"}, {"serves_countries": frozenset({"PE", "AR"})}),
        ({"subregion": "regional"}, {"serves_countries": frozenset({"PE"})}),
        ({"country": "CH"}, {"serves_countries": frozenset({"CH"}), "outside_region_only": True}),
        ({}, {"serves_organisation_kinds": frozenset({"ngo"})}),
        ({}, {"money_left": 60.0, "grant_least": 60.0}),
        ({"places_wanted": 6}, {"places_least": 6}),
        ({}, {"places_least": 6}),
    ],
)
def test_what_is_left_open_or_just_enough_breaks_no_rule(need, offer):
    assert rules(make_need(**need), make_offer(**offer)) == []


def test_conflicts_and_dismissals_are_rules_of_a_pair():
    need, offer = make_need(1), make_offer(2)
    assert rules(need, offer, conflicts={(1, 2)}, dismissed={(1, 2)}) == ["conflict", "dismissed"]
    assert rules(need, offer, conflicts={(2, 1)}) == []


def test_every_broken_rule_is_listed_not_only_the_first():
    need = make_need(published=False, closes=YESTERDAY, country="PE")
    offer = make_offer(closes=YESTERDAY, outside_region_only=True, places_left=0)
    assert rules(need, offer) == [
        "not_published",
        "need_closed",
        "offer_closed",
        "place_not_served",
        "no_capacity_left",
    ]


@given(needs(), offers())
def test_rules_are_known_in_order_and_fall_away_with_the_facts_they_name(need, offer):
    broken = rules(need, offer)
    assert broken == sorted(broken, key=RULES.index)
    bare = replace(offer, support_kinds=frozenset(), places_left=None, money_left=None)
    left = rules(need, bare)
    assert set(left) <= set(broken)
    assert not {"support_kind_not_given", "no_capacity_left", "no_money_left"} & set(left)
