"""Reference data: taxonomies, countries and currencies, by the codes that posts use."""

from __future__ import annotations

from typing import Any

from broker.api.door import Door
from broker.api.said import CountryList, CurrencyList, TaxonomyList, TaxonomySaid
from broker.api.shapes import plain
from broker.web.access import EVERYBODY
from broker.web.reading import exchange, language
from models import NotFound

doors = Door("api_reference", __name__, description="Taxonomies, countries and currencies")


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
