"""What every table shares: naming of constraints, column types, and the clock's convention."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, MetaData
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

Labels = dict[str, str]
"""A text in several languages: ISO 639-1 code → text."""

LANGUAGES = ("es", "en", "pt", "fr")
"""The four languages of the exchange, in the order in which a missing text is looked for."""


def utc_now() -> datetime:
    """The present moment, timezone-aware, in UTC."""
    return datetime.now(UTC)


def localised(labels: Labels | None, language: str) -> str:
    """The text in ``language``, or else in the first language that has one; ``""`` if none."""
    if not labels:
        return ""
    for candidate in (language, *LANGUAGES):
        if labels.get(candidate):
            return labels[candidate]
    return next(iter(labels.values()))


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC; SQLite has no time zones of its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


LARGEST_AMOUNT = Decimal(10) ** 16
"""No amount is larger, so that its hundredths fit the databases' 64 bits."""


class Amount(TypeDecorator[Decimal]):
    """Money as a decimal with two digits, kept as a whole number of hundredths.

    Whole numbers add up exactly on every database; SQLite has no decimals.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        amount = Decimal(value)
        if not amount.is_finite() or abs(amount) > LARGEST_AMOUNT:
            raise ValueError(f"an amount is at most {LARGEST_AMOUNT:,f}, not {value}")
        hundredths = amount.scaleb(2).to_integral_value()
        if hundredths != amount.scaleb(2):
            raise ValueError(f"an amount has at most two decimals, not {value}")
        return int(hundredths)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-2)


class Base(DeclarativeBase):
    """Base of all tables; constraint names follow one pattern so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: UTCDateTime,
        Decimal: Amount,
        dict[str, Any]: JSON,
        dict[str, str]: JSON,
        list[str]: JSON,
        list[int]: JSON,
        list[dict[str, Any]]: JSON,
    }
