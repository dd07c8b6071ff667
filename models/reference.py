"""Reference data: taxonomy terms, countries and currencies. Codes never change meaning."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Labels, localised

SCHEMES = (
    "theme",
    "ilac_area",
    "support_kind",
    "dimension",
    "horizon",
    "subregion",
    "level",
    "language",
    "organisation_kind",
    "beneficiary_kind",
    "programme",
    "mandate",
    "dismissal_reason",
    "sdg",
    "crs",
)
"""The taxonomies, by the name under which terms are kept."""


class Term(Base):
    """A term of a taxonomy, with labels in four languages.

    ``extra`` holds what only some schemes have: for themes ``broader``, ``related``, ``sdg``,
    ``crs``, ``keywords`` and ``ilac_areas``; for mandates ``source_set``, ``themes``,
    ``indicators`` and ``source``.
    """

    __tablename__ = "term"

    scheme: Mapped[str] = mapped_column(String(32), primary_key=True)
    code: Mapped[str] = mapped_column(String(64), primary_key=True)
    parent: Mapped[str | None] = mapped_column(String(64))
    position: Mapped[int] = mapped_column(default=0)
    labels: Mapped[dict[str, str]]
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)

    def label(self, language: str) -> str:
        """The term's label for a reader of ``language``."""
        return localised(self.labels, language)


class Country(Base):
    """A country: one of the 33 of the region (``subregion`` set) or another one named in the data."""

    __tablename__ = "country"

    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    iso3: Mapped[str] = mapped_column(String(3))
    m49: Mapped[str] = mapped_column(String(3))
    labels: Mapped[dict[str, str]]
    subregion: Mapped[str | None] = mapped_column(String(32), index=True)
    bodies: Mapped[list[str]] = mapped_column(default=list)
    least_developed: Mapped[bool] = mapped_column(default=False)
    small_island: Mapped[bool] = mapped_column(default=False)
    tile: Mapped[list[int]] = mapped_column(default=list)
    currency: Mapped[str | None] = mapped_column(String(3))

    @property
    def in_region(self) -> bool:
        """Whether the country belongs to Latin America and the Caribbean."""
        return self.subregion is not None

    def label(self, language: str) -> str:
        """The country's name for a reader of ``language``."""
        return localised(self.labels, language)


class Currency(Base):
    """An ISO 4217 currency with the rate at which the engine compares amounts."""

    __tablename__ = "currency"

    code: Mapped[str] = mapped_column(String(3), primary_key=True)
    labels: Mapped[dict[str, str]]
    minor: Mapped[int] = mapped_column(default=2)
    usd_rate: Mapped[float] = mapped_column(Numeric(18, 8, asdecimal=False))
    rate_date: Mapped[date | None]
    rate_source: Mapped[str] = mapped_column(String(200), default="")

    def label(self, language: str) -> str:
        """The currency's name for a reader of ``language``."""
        return localised(self.labels, language)


__all__ = ["SCHEMES", "Country", "Currency", "Labels", "Term"]
