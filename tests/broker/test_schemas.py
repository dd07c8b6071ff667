"""Bad input is told by field, with the remedy; good input comes out clean."""

from datetime import date
from decimal import Decimal

import pytest
from flask import Flask
from flask_babel import Babel

from broker.reference import Reference
from broker.schemas import NeedSchema, OfferSchema, TermsSchema, load
from models import Country, Currency, InvalidInput, Term


@pytest.fixture(autouse=True)
def _speaking():
    app = Flask("test")
    Babel(app, default_locale="en")
    with app.app_context():
        yield


def _terms(scheme, *codes, parent=None):
    return {c: Term(scheme=scheme, code=c, parent=parent, labels={"en": c}) for c in codes}


@pytest.fixture(scope="module")
def reference():
    return Reference(
        terms={
            "theme": _terms("theme", "water", "msme"),
            "support_kind": {
                **_terms("support_kind", "finance", "capacity_building"),
                **_terms("support_kind", "grant", parent="finance"),
            },
            "horizon": _terms("horizon", "short"),
        },
        countries={
            "PE": Country(code="PE", labels={"en": "Peru"}, subregion="andean"),
            "CH": Country(code="CH", labels={"en": "Switzerland"}, subregion=None),
        },
        currencies={"USD": Currency(code="USD", labels={"en": "US dollar"}, usd_rate=1.0)},
    )


def need(**changes):
    return {
        "language": "es",
        "title": "Capacitación",
        "description": "Capacitar a compradores.",
        "support": [{"kind": "capacity_building"}],
        "country": "PE",
        **changes,
    }


def problems(data, reference, schema=NeedSchema, **kwargs):
    with pytest.raises(InvalidInput) as refusal:
        load(schema, data, reference, **kwargs)
    return refusal.value.fields


def test_the_smallest_need_is_enough(reference):
    assert load(NeedSchema, need(), reference)["title"] == "Capacitación"


def test_a_draft_may_lack_everything(reference):
    assert load(NeedSchema, {}, reference, partial=True) == {}


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2027-12-31", date(2027, 12, 31)),
        ("31/12/2027", date(2027, 12, 31)),
        ("12/31/2027", date(2027, 12, 31)),
        ("5.5.2027", date(2027, 5, 5)),
    ],
)
def test_a_day_is_taken_where_it_can_be_read_in_one_way_only(reference, written, day):
    assert load(NeedSchema, need(starts=written), reference)["starts"] == day


@pytest.mark.parametrize("written", ["03/04/2027", "3-4-2027", "12.11.2027"])
def test_a_day_that_can_be_read_in_two_ways_is_asked_back(reference, written):
    [said] = problems(need(starts=written), reference)["starts"]
    assert "can be read in two ways" in str(said)


def test_every_problem_is_told_at_once(reference):
    found = problems(
        {"title": "", "starts": "31/13/2027", "places_wanted": "many", "colour": "red"}, reference
    )
    assert set(found) >= {
        "title", "description", "support", "language", "starts", "places_wanted", "colour",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", 5),
        ("title", "x" * 201),
        ("description", "x" * 20_001),
        ("themes", ["no_such_theme"]),
        ("themes", "water"),
        ("country", "CH"),
        ("country", "Peru"),
        ("starts", "2027-02-30"),
        ("starts", "9999-01-01"),
        ("places_wanted", "-3"),
        ("places_wanted", "3.5"),
        ("places_wanted", "1" * 400),
        ("money_least", "NaN"),
        ("money_least", "Infinity"),
        ("money_least", "-1"),
        ("money_least", "1.005"),
        ("money_least", "72.900"),
        ("money_least", "1e30"),
        ("contact_email", "nobody"),
        ("support", [{"kind": "grant"}]),
        ("support", [{"kind": "capacity_building", "modality": "grant"}]),
        ("support", []),
        ("translations", {"es": {"title": "the same language"}}),
        ("translations", {"xx": {"title": "no such language"}}),
    ],
)
def test_a_wrong_value_is_told_at_its_field(reference, field, value):
    found = problems(need(**{field: value}), reference)
    assert field in found
    assert found[field]


def test_an_amount_needs_its_currency(reference):
    assert "currency" in problems(need(money_most="10"), reference)


def test_the_least_is_not_above_the_most(reference):
    assert "money_least" in problems(
        need(money_least="11", money_most="10", currency="USD"), reference
    )


def test_a_need_has_a_country_or_a_subregion(reference):
    assert "country" in problems(need(country=None), reference)


def test_the_end_does_not_lie_before_the_start(reference):
    assert "ends" in problems(need(starts="2027-03-01", ends="2027-02-01"), reference)


def test_text_from_a_word_processor_comes_out_clean(reference):
    pasted = "  Caja\u00ad de\r\nherramientas\u202e \x00\ufeff 🌱 عربي "
    assert load(NeedSchema, need(title=pasted), reference)["title"] == (
        "Caja de\nherramientas  🌱 عربي"
    )


def test_accents_come_in_one_form(reference):
    assert load(NeedSchema, need(title="cafe\u0301"), reference)["title"] == "caf\u00e9"


def test_money_is_read_with_thin_spaces_and_kept_exact(reference):
    loaded = load(NeedSchema, need(money_most="40\u202f000.10", currency="USD"), reference)
    assert loaded["money_most"] == Decimal("40000.10")


def test_an_offer_gives_no_grant_above_its_budget(reference):
    offer = {k: v for k, v in need().items() if k != "country"}
    found = problems(
        {**offer, "money": "10", "grant_most": "20", "currency": "USD"}, reference, OfferSchema
    )
    assert "grant_most" in found


def test_terms_need_a_period(reference):
    found = problems(
        {"title": "t", "activities": "a", "starts": None, "ends": None}, reference, TermsSchema
    )
    assert set(found) == {"starts", "ends"}
