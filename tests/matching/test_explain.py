"""Explanations add up, name what produced them, and say truly what would change a score."""

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given

from matching import COMPONENTS, MICRO, Bands, TextEvidence, Weights, score_pair, why_not
from matching.explain import explain, what_would_change
from tests.matching.factories import (
    TAXONOMY,
    TODAY,
    likenesses,
    make_need,
    make_offer,
    needs,
    offers,
    weightings,
)

WEIGHTS = Weights()


def told(need, offer, likeness=None, weights=WEIGHTS, **keywords):
    return explain(need, offer, TAXONOMY, weights, Bands(), likeness, **keywords)


def changes(need, offer, likeness=None, **keywords):
    return what_would_change(need, offer, TAXONOMY, WEIGHTS, likeness, on=TODAY, **keywords)


@given(needs(), offers(), likenesses, weightings)
def test_contributions_add_up_to_the_score_exactly(need, offer, likeness, weights):
    explanation = told(need, offer, likeness, weights)
    total = score_pair(need, offer, TAXONOMY, weights, likeness).total
    assert explanation.micro_points == total
    assert sum(found.micro_points for found in explanation.contributions) == total
    assert [found.component for found in explanation.contributions] == list(COMPONENTS)
    assert sum(found.possible for found in explanation.contributions) == 100 * MICRO
    for found in explanation.contributions:
        assert 0 <= found.micro_points <= found.possible
        for part in found.parts:
            assert (part.state == "not_stated") == (part.similarity is None)
            if part.similarity is None and part.part != "text":
                assert part.silent


def test_terms_shared_related_and_missing_are_named():
    need = make_need(themes=frozenset({"procurement", "water", "tourism"}))
    offer = make_offer(themes=frozenset({"procurement", "energy"}))
    (part,) = told(need, offer).contribution("theme").parts
    assert part.state == "partly"
    assert part.need_says == ("procurement", "tourism", "water")
    assert part.offer_says == ("energy", "procurement")
    assert part.shared == ("procurement",)
    assert part.related == (("water", "energy", 0.25),)
    assert part.missing == ("tourism",)


def test_amounts_days_and_places_are_named_on_both_sides():
    first, last = date(2026, 5, 1), date(2026, 5, 10)
    need = make_need(country="PE", money_least=100.0, places_wanted=10, starts=first, ends=last)
    offer = make_offer(
        serves_subregions=frozenset({"andean"}),
        grant_most=25.0,
        places_left=4,
        starts=first + timedelta(days=5),
        ends=last,
        experience_countries=frozenset({"CO"}),
    )
    explanation = told(need, offer)
    parts = {part.part: part for found in explanation.contributions for part in found.parts}
    assert (parts["money"].need_says, parts["money"].offer_says) == (100.0, 25.0)
    assert parts["money"].similarity == 0.25
    assert (parts["places"].need_says, parts["places"].offer_says) == (10, 4.0)
    assert parts["period"].offer_says == (first + timedelta(days=5), last)
    assert parts["period"].similarity == 0.5
    assert (parts["place"].need_says, parts["place"].offer_says) == ("PE", ("andean",))
    assert parts["experience_countries"].similarity == 0.5


def test_what_is_not_stated_names_the_silent_sides():
    explanation = told(make_need(dimension="1"), make_offer())
    dimension = explanation.contribution("programme_dimension").parts[1]
    assert (dimension.state, dimension.silent) == ("not_stated", ("offer",))
    assert explanation.contribution("theme").parts[0].silent == ("need", "offer")
    assert explanation.contribution("theme").state == "not_stated"


def test_mandates_that_both_answer_are_shown_and_not_scored():
    need = make_need(mandates=frozenset({"pe.22", "rs.4"}))
    offer = make_offer(mandates=frozenset({"pe.22"}))
    assert told(need, offer).mandates == ("pe.22",)
    assert told(need, offer).micro_points == told(make_need(), make_offer()).micro_points


def test_what_the_texts_have_in_common_is_carried_along():
    text = TextEvidence("a sentence", "una frase", (("water", "agua"),))
    assert told(make_need(), make_offer(), 0.9, text=text).text == text
    assert told(make_need(), make_offer(), 0.9).contribution("text").state == "matched"
    assert told(make_need(), make_offer(), 0.05).contribution("text").state == "none"
    assert told(make_need(), make_offer(), None).contribution("text").state == "not_stated"


@given(needs(), offers(), likenesses)
def test_every_change_gains_what_it_says(need, offer, likeness):
    found = changes(need, offer, likeness)
    before = score_pair(need, offer, TAXONOMY, WEIGHTS, likeness).total
    closed = bool(why_not(need, offer, TAXONOMY, on=TODAY))
    assert [change.gained for change in found] == sorted(
        (change.gained for change in found), reverse=True
    )
    for change in found:
        assert change.opens == closed
        assert change.gained > 0 or closed
        assert before + change.gained <= 100 * MICRO
        simple = {"dimension", "horizon", "themes", "ilac_areas", "programmes", "languages"}
        if change.field in simple:
            post = need if change.side == "need" else offer
            value = change.value
            if isinstance(getattr(post, change.field), frozenset):
                value = getattr(post, change.field) | {change.value}
            edited = replace(post, **{change.field: value})
            pair = (edited, offer) if change.side == "need" else (need, edited)
            assert not why_not(*pair, TAXONOMY, on=TODAY)
            assert score_pair(*pair, TAXONOMY, WEIGHTS, likeness).total == before + change.gained


def test_naming_the_missing_theme_is_found():
    need = make_need(themes=frozenset({"water"}))
    found = changes(need, make_offer())
    assert (found[0].side, found[0].field, found[0].kind, found[0].value) == (
        "offer",
        "themes",
        "state",
        "water",
    )
    assert found[0].gained == round(0.7 * 24 * MICRO)


def test_naming_one_country_does_not_shut_the_others_out():
    need, offer = make_need(country="PE"), make_offer()
    change = next(found for found in changes(need, offer) if found.field == "serves_countries")
    assert (change.kind, change.value, change.gained) == ("state", "PE", 4 * MICRO)


def test_what_would_make_an_impossible_pair_a_match_is_found():
    yesterday = TODAY - timedelta(days=1)
    cases = [
        (make_need(country="PE"), make_offer(organisation_country="PE"), "own_country"),
        (make_need(country="PE"), make_offer(serves_countries=frozenset({"BO"})), None),
        (make_need(), make_offer(closes=yesterday), "closes"),
        (make_need(closes=yesterday), make_offer(), "closes"),
    ]
    for need, offer, field in cases:
        found = changes(need, offer)
        assert found
        assert all(change.opens for change in found)
        assert field is None or field in {change.field for change in found}


def test_two_broken_rules_are_beyond_one_edit():
    yesterday = TODAY - timedelta(days=1)
    offer = make_offer(closes=yesterday, serves_countries=frozenset({"BO"}))
    assert changes(make_need(country="PE"), offer) == ()


def test_a_perfect_pair_has_nothing_to_change():
    need = make_need(dimension="1")
    offer = make_offer(dimension="1")
    assert not [change for change in changes(need, offer) if change.field == "dimension"]


def test_a_conflict_cannot_be_edited_away():
    pair = make_need(1, dimension="1"), make_offer(2)
    assert changes(*pair)
    assert changes(*pair, conflicts={(1, 2)}) == ()
