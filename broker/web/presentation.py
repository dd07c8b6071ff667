"""How values are shown: labels, dates, money and numbers in the reader's language and format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import ceil
from typing import Any
from urllib.parse import urlencode

from babel.dates import format_date as babel_date
from babel.numbers import format_currency, format_decimal
from flask import Flask, request
from flask_babel import get_locale
from markupsafe import Markup, escape
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from broker.interests import waiting_interests
from broker.messages import STATES
from broker.web.access import allowed_roles, reader
from broker.web.reading import database, exchange, language, today
from models import LANGUAGES, Role

PAGE_SIZE = 20

LANGUAGE_NAMES = {"es": "Español", "en": "English", "pt": "Português", "fr": "Français"}
"""Each language by its own name, as a reader looks for it."""


@dataclass(frozen=True)
class Page:
    """One page of a long list."""

    rows: list[Any]
    number: int
    total: int
    size: int = PAGE_SIZE

    @property
    def pages(self) -> int:
        """How many pages there are; at least one."""
        return max(1, ceil(self.total / self.size))

    @property
    def first(self) -> int:
        """Number of the first row shown, from 1; 0 in an empty list."""
        return (self.number - 1) * self.size + 1 if self.total else 0

    @property
    def last(self) -> int:
        """Number of the last row shown."""
        return min(self.number * self.size, self.total)

    def address(self, number: int) -> str:
        """The present page's address with another page number."""
        return address_with(page=number)


def paginate(session: Session, query: Select[Any], size: int = PAGE_SIZE) -> Page:
    """The page of the query that the address asks for; a number out of range is drawn in."""
    count = select(func.count()).select_from(query.order_by(None).options().subquery())
    total = session.scalar(count) or 0
    asked = request.args.get("page", "1")
    number = int(asked) if asked.isdecimal() and len(asked) < 9 else 1
    number = min(max(number, 1), max(1, ceil(total / size)))
    rows = session.scalars(query.limit(size).offset((number - 1) * size)).unique().all()
    return Page(list(rows), number, total, size)


def address_with(**changes: Any) -> str:
    """The present address with some parameters changed; None takes one out.

    Changing a filter leads back to the first page.
    """
    pairs = [
        (name, value)
        for name, value in request.args.items(multi=True)
        if name not in changes and (name != "page" or "page" in changes)
    ]
    pairs += [(name, value) for name, value in changes.items() if value not in (None, "")]
    return f"{request.path}?{urlencode(pairs)}" if pairs else request.path


def label(scheme: str, code: str | None) -> str:
    """The label of a taxonomy code for the reader."""
    return exchange().reference.label(scheme, code, language())


def labels(scheme: str, codes: list[str]) -> str:
    """Labels of several codes, with commas between."""
    return ", ".join(label(scheme, code) for code in codes)


def choices(scheme: str) -> list[tuple[str, str]]:
    """``(code, label)`` of a taxonomy for the reader."""
    return exchange().reference.choices(scheme, language())


def day(value: date | datetime | None, style: str = "medium") -> str:
    """A date in the reader's format; a dash where there is none."""
    if value is None:
        return "–"
    return babel_date(value, format=style, locale=get_locale())  # type: ignore[arg-type]


def number(value: float | Decimal | None, digits: int = 0) -> str:
    """A number in the reader's format, with at most ``digits`` decimals."""
    if value is None:
        return "–"
    pattern = "#,##0" + ("." + "#" * digits if digits else "")
    return format_decimal(value, format=pattern, locale=get_locale())


def money(amount: Decimal | None, currency: str | None) -> str:
    """An amount with its currency's code, without cents where there are none."""
    if amount is None:
        return "–"
    if not currency:
        return number(amount, 2)
    whole = amount == amount.to_integral_value()
    pattern = "¤¤ #,##0" if whole else "¤¤ #,##0.00"
    return format_currency(
        amount, currency, format=pattern, currency_digits=False, locale=get_locale()
    )


def state(value: str) -> str:
    """The name of a state."""
    return str(STATES.get(value, value))


def paragraphs(text: str) -> Markup:
    """Plain text with its paragraphs and line breaks, escaped."""
    blocks = [block.strip() for block in text.split("\n\n") if block.strip()]
    parts = [Markup("<br>").join(escape(line) for line in block.split("\n")) for block in blocks]
    return Markup("").join(Markup("<p>{}</p>").format(part) for part in parts)


def may_open(endpoint: str) -> bool:
    """Whether the reader's role opens that endpoint: menus show nothing that would be refused."""
    user = reader()
    return (Role(user.role) if user else Role.PUBLIC) in allowed_roles(endpoint)


def prepare(app: Flask) -> None:
    """Make all of this known to the templates."""
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        day=day, number=number, money=money, state=state, paragraphs=paragraphs
    )
    app.jinja_env.globals.update(
        label=label,
        labels=labels,
        choices=choices,
        address_with=address_with,
        may_open=may_open,
        reader=reader,
        today=today,
        language=language,
        LANGUAGES=LANGUAGES,
        LANGUAGE_NAMES=LANGUAGE_NAMES,
    )

    @app.context_processor
    def waiting() -> dict[str, Any]:
        user = reader()
        if user is None:
            return {"waiting_count": 0}
        return {"waiting_count": len(waiting_interests(database(), user))}
