"""Reference data: taxonomies, countries and currencies, by the codes that posts use."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from broker.api.answers.values import maybe, plain, text
from broker.api.door import Door
from broker.web.access import EVERYBODY
from broker.web.reading import exchange, language
from models import NotFound

doors = Door("api_reference", __name__, description="Taxonomies, countries and currencies")


class TermSaid(Schema):
    """A code of a taxonomy with its labels; ``extra`` is what only some taxonomies have."""

    code = text()
    label = text()
    labels = fields.Dict(required=True)
    parent = maybe(fields.String)
    extra = fields.Dict(required=True)


class TaxonomySaid(Schema):
    """A taxonomy with its codes, in their order."""

    name = text()
    items = fields.List(fields.Nested(TermSaid), required=True)


class TaxonomyList(Schema):
    """The names of the taxonomies, with how many codes each has."""

    items = fields.Dict(values=fields.Integer(), required=True)


class CountrySaid(Schema):
    """A country by its ISO 3166 and UN M49 codes."""

    code = text()
    iso3 = text()
    m49 = text()
    label = text()
    labels = fields.Dict(required=True)
    subregion = maybe(fields.String)
    small_island = fields.Boolean(required=True)
    least_developed = fields.Boolean(required=True)
    currency = maybe(fields.String)


class CountryList(Schema):
    """Countries of the region, and others that are named in the data."""

    items = fields.List(fields.Nested(CountrySaid), required=True)


class CurrencySaid(Schema):
    """A currency by its ISO 4217 code, with the rate by which amounts are compared."""

    code = text()
    label = text()
    labels = fields.Dict(required=True)
    minor = fields.Integer(required=True)
    usd_rate = fields.Float(required=True)
    rate_date = maybe(fields.Date)
    rate_source = text()


class CurrencyList(Schema):
    """Currencies."""

    items = fields.List(fields.Nested(CurrencySaid), required=True)


@doors.opens("GET", "/taxonomies", roles=EVERYBODY, gives=TaxonomyList)
def taxonomies() -> Any:
    """List the taxonomies, with how many codes each has."""
    return {"items": {name: len(terms) for name, terms in exchange().reference.terms.items()}}


@doors.opens("GET", "/taxonomies/<code:name>", roles=EVERYBODY, gives=TaxonomySaid)
def taxonomy(name: str) -> Any:
    """Read a taxonomy: its codes in their order, with labels in four languages."""
    terms = exchange().reference.terms.get(name)
    if terms is None:
        raise NotFound("no_such_list")
    return {
        "name": name,
        "items": [
            {
                "code": code,
                "label": term.label(language()),
                "labels": term.labels,
                "parent": term.parent,
                "extra": term.extra,
            }
            for code, term in terms.items()
        ],
    }


@doors.opens("GET", "/countries", roles=EVERYBODY, gives=CountryList)
def countries() -> Any:
    """List the countries, with ISO 3166 and UN M49 codes."""
    return {
        "items": [
            {
                "code": country.code,
                "iso3": country.iso3,
                "m49": country.m49,
                "label": country.label(language()),
                "labels": country.labels,
                "subregion": country.subregion,
                "small_island": country.small_island,
                "least_developed": country.least_developed,
                "currency": country.currency,
            }
            for country in exchange().reference.countries.values()
        ]
    }


@doors.opens("GET", "/currencies", roles=EVERYBODY, gives=CurrencyList)
def currencies() -> Any:
    """List the currencies, with the rates by which amounts are compared."""
    return {
        "items": [
            {
                "code": currency.code,
                "label": currency.label(language()),
                "labels": currency.labels,
                "minor": currency.minor,
                "usd_rate": currency.usd_rate,
                "rate_date": plain(currency.rate_date),
                "rate_source": currency.rate_source,
            }
            for currency in exchange().reference.currencies.values()
        ]
    }
