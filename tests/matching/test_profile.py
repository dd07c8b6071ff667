"""What a profile accepts, and that equal facts give equal digests."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given

from matching import ProfileError
from tests.matching.factories import TAXONOMY, make_need, make_offer, needs, offers


@pytest.mark.parametrize(
    ("facts", "field", "code"),
    [
        ({"money_least": float("nan")}, "money_least", "not_finite"),
        ({"money_most": float("inf")}, "money_most", "not_finite"),
        ({"places_wanted": -1}, "places_wanted", "negative"),
        ({"money_least": 10.0, "money_most": 5.0}, "money_least", "out_of_order"),
        ({"starts": date(2026, 2, 1), "ends": date(2026, 1, 1)}, "starts", "out_of_order"),
    ],
)
def test_a_need_that_cannot_be_is_refused_by_field(facts, field, code):
    with pytest.raises(ProfileError) as error:
        make_need(1, **facts)
    assert (error.value.field, error.value.code) == (field, code)


@pytest.mark.parametrize(
    ("facts", "field", "code"),
    [
        ({"money_left": float("nan")}, "money_left", "not_finite"),
        ({"grant_least": 2.0, "grant_most": 1.0}, "grant_least", "out_of_order"),
        ({"opens": date(2026, 2, 1), "closes": date(2026, 1, 1)}, "opens", "out_of_order"),
    ],
)
def test_an_offer_that_cannot_be_is_refused_by_field(facts, field, code):
    with pytest.raises(ProfileError) as error:
        make_offer(1, **facts)
    assert (error.value.field, error.value.code) == (field, code)


@pytest.mark.parametrize(
    "facts", [{"themes": frozenset({"nonsense"})}, {"country": "XX"}, {"horizon": "eternal"}]
)
def test_the_taxonomy_refuses_a_code_that_it_does_not_know(facts):
    with pytest.raises(ProfileError) as error:
        TAXONOMY.check(make_need(1, **facts))
    assert error.value.field == next(iter(facts))
    assert error.value.code == "unknown_code"


def test_nothing_wanted_is_not_stated():
    assert make_need(1, money_least=0.0).money_wanted() is None
    assert make_need(1, money_least=0.0, money_most=50.0).money_wanted() == 50.0


@given(needs(), offers())
def test_equal_profiles_have_equal_digests_and_others_do_not(need, offer):
    assert need.digest() == replace(need).digest()
    assert need.digest() != replace(need, places_wanted=101).digest()
    assert offer.digest() != replace(offer, pilot=not offer.pilot).digest()


def test_a_digest_does_not_depend_on_the_order_in_which_a_set_was_filled():
    words = ["water", "energy", "waste", "tourism", "labels"]
    a, b = frozenset(words), frozenset(reversed(words))
    assert make_need(1, themes=a).digest() == make_need(1, themes=b).digest()
