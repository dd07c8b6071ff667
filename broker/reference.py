"""The reference data as the application reads it: all terms at hand, in the reader's language."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Country, Currency, Term


@dataclass(frozen=True)
class Reference:
    """Every taxonomy, country and currency, read once; codes in the order of their files."""

    terms: dict[str, dict[str, Term]] = field(default_factory=dict)
    countries: dict[str, Country] = field(default_factory=dict)
    currencies: dict[str, Currency] = field(default_factory=dict)

    @classmethod
    def read(cls, session: Session) -> Reference:
        """All reference rows, detached from the session so that every thread may read them."""
        terms: dict[str, dict[str, Term]] = {}
        for term in session.scalars(select(Term).order_by(Term.scheme, Term.position)):
            terms.setdefault(term.scheme, {})[term.code] = term
        countries = {c.code: c for c in session.scalars(select(Country).order_by(Country.code))}
        currencies = {c.code: c for c in session.scalars(select(Currency).order_by(Currency.code))}
        session.expunge_all()
        return cls(terms, countries, currencies)

    def codes(self, scheme: str) -> Iterable[str]:
        """The codes of a taxonomy; also ``country``, ``region_country`` and ``currency``."""
        if scheme == "country":
            return self.countries
        if scheme == "region_country":
            return [code for code, country in self.countries.items() if country.in_region]
        if scheme == "currency":
            return self.currencies
        return self.terms.get(scheme, {})

    def label(self, scheme: str, code: str | None, language: str) -> str:
        """The label of a code for a reader; the code itself where it is not known."""
        if code is None:
            return ""
        table: dict[str, Term] | dict[str, Country] | dict[str, Currency]
        if scheme in ("country", "region_country"):
            table = self.countries
        elif scheme == "currency":
            table = self.currencies
        else:
            table = self.terms.get(scheme, {})
        found = table.get(code)
        return found.label(language) if found else code

    def choices(self, scheme: str, language: str) -> list[tuple[str, str]]:
        """``(code, label)`` of a taxonomy; countries and themes in the label's order."""
        pairs = [(code, self.label(scheme, code, language)) for code in self.codes(scheme)]
        if scheme in ("country", "region_country", "theme", "currency"):
            pairs.sort(key=lambda pair: _sort_key(pair[1]))
        return pairs

    def kinds(self) -> list[str]:
        """The kinds of support, without their modalities."""
        return [c for c, term in self.terms.get("support_kind", {}).items() if not term.parent]

    def modalities(self, kind: str) -> list[str]:
        """The modalities of one kind of support."""
        return [c for c, t in self.terms.get("support_kind", {}).items() if t.parent == kind]

    def subregion_of(self, country: str | None) -> str | None:
        """The subregion of a country's code, if it lies in the region."""
        found = self.countries.get(country or "")
        return found.subregion if found else None


def _sort_key(label: str) -> str:
    # Accents do not change the place of a word in any of the four languages' lists.
    decomposed = unicodedata.normalize("NFKD", label.casefold())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))
