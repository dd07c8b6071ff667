"""How values are shown: labels, dates, money and numbers in the reader's language and format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import ceil
from typing import Any
from urllib.parse import urlencode

from babel.dates import format_date as babel_date
from babel.dates import format_skeleton
from babel.numbers import format_currency, format_decimal
from flask import Flask, request, url_for
from flask_babel import get_locale
from flask_babel import lazy_gettext as _l
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from broker.desk import count_waiting
from broker.field_names import FIELD_NAMES, illustrative_names
from broker.messages import STATES
from broker.sources import DOCUMENTS, MANDATE_SETS
from broker.web.access import allowed_roles, reader
from broker.web.reading import database, exchange, language, today
from matching.search import excerpt, mark
from models import LANGUAGES, LIVE, Post, PostStatus, Role, localised

PAGE_SIZE = 20

LANGUAGE_NAMES = {"es": "Español", "en": "English", "pt": "Português", "fr": "Français"}
"""Each language by its own name, as a reader looks for it."""


ROLES = {
    Role.PUBLIC: _l("reader"),
    Role.FOCAL_POINT: _l("focal point of a government"),
    Role.PROVIDER: _l("provider of support"),
    Role.TASK_FORCE: _l("Marrakech task force"),
    Role.DELEGATE: _l("colleague of the focal point"),
    Role.COORDINATOR: _l("coordinator of a subregion"),
    Role.SECRETARIAT: _l("secretariat"),
}
"""Role → its name."""


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
    number = _page_asked_for(total, size)
    rows = session.scalars(query.limit(size).offset((number - 1) * size)).unique().all()
    return Page(list(rows), number, total, size)


def paginate_numbers(
    numbers: Sequence[int], load: Callable[[Sequence[int]], list[Any]], size: int = PAGE_SIZE
) -> Page:
    """The same for a list whose order is known already: ``load`` brings the rows of one page."""
    number = _page_asked_for(len(numbers), size)
    return Page(load(numbers[(number - 1) * size : number * size]), number, len(numbers), size)


def _page_asked_for(total: int, size: int) -> int:
    asked = request.args.get("page", "1")
    number = int(asked) if asked.isdecimal() and len(asked) < 9 else 1
    return min(max(number, 1), max(1, ceil(total / size)))


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


def address_without(name: str, value: str) -> str:
    """The present address without one value of one parameter: a filter taken off."""
    pairs = [
        pair
        for pair in request.args.items(multi=True)
        if pair != (name, value) and pair[0] != "page"
    ]
    return f"{request.path}?{urlencode(pairs)}" if pairs else request.path


def post_address(post: Post, view: str = "page", **more: Any) -> str:
    """The address of a post, or of another of its views (``"edit"``, ``"version"``, …)."""
    return url_for(f"posts.{view}", kind=post.kind, post_id=post.id, **more)


def matches_address(post: Post) -> str:
    """The address of a post's ranked matches."""
    if post.kind == "need":
        return url_for("matches.of_need", need_id=post.id)
    return url_for("matches.of_offer", offer_id=post.id)


def label(scheme: str, code: str | None) -> str:
    """The label of a taxonomy code for the reader."""
    return exchange().reference.label(scheme, code, language())


def labels(scheme: str, codes: list[str] | None) -> str:
    """Labels of several codes, with commas between; an old version may know none of a field."""
    return ", ".join(label(scheme, code) for code in codes or ())


def mandate_label(code: str) -> str:
    """A mandate with the set that it comes from: “Decision 12 of 2003: …”."""
    term = exchange().reference.terms.get("mandate", {}).get(code)
    if term is None:
        return code
    origin = MANDATE_SETS.get(term.extra.get("source_set", ""), "")
    return f"{origin}: {term.label(language())}" if origin else term.label(language())


def choices(scheme: str) -> list[tuple[str, str]]:
    """``(code, label)`` of a taxonomy for the reader."""
    return exchange().reference.choices(scheme, language())


def day(value: date | datetime | str | None, style: str = "medium") -> str:
    """A date (also as ISO 8601 text) in the reader's format; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, str):
        value = date.fromisoformat(value)
    return babel_date(value, format=style, locale=get_locale())  # type: ignore[arg-type]


def month(value: str) -> str:
    """A month (``"2006-06"``) or a year in the reader's words."""
    if "-" not in value:
        return value
    first = date.fromisoformat(f"{value[:7]}-01")
    return format_skeleton("yMMMM", first, locale=get_locale())


def number(value: float | Decimal | None, digits: int = 0, *, fixed: bool = False) -> str:
    """A number in the reader's format, with at most (``fixed``: exactly) ``digits`` decimals."""
    if value is None:
        return "–"
    pattern = "#,##0" + ("." + ("0" if fixed else "#") * digits if digits else "")
    return format_decimal(value, format=pattern, locale=get_locale())


def money(amount: Decimal | str | None, currency: str | None) -> str:
    """An amount (also as text) with its currency's code, without cents where there are none."""
    if amount is None:
        return "–"
    amount = Decimal(amount)
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


def state_tone(value: str) -> str:
    """How a post's state is coloured; its name always stands beside the colour."""
    if value in LIVE:
        return "good"
    return "" if value in (PostStatus.DRAFT, PostStatus.WITHDRAWN) else "wait"


def role_name(role: str) -> str:
    """The name of a role."""
    return str(ROLES.get(Role(role), role))


def field_name(name: str) -> str:
    """The name of a field of a post."""
    return str(FIELD_NAMES.get(name, name))


@pass_context
def field_name_for_reader(_context: Context, name: str) -> str:
    """The same as a filter: what it gives depends on the reader, so that no template keeps it."""
    return field_name(name)


def paragraphs(text: str) -> Markup:
    """Plain text with its paragraphs and line breaks, escaped."""
    blocks = [block.strip() for block in text.split("\n\n") if block.strip()]
    parts = [Markup("<br>").join(escape(line) for line in block.split("\n")) for block in blocks]
    return Markup("").join(Markup("<p>{}</p>").format(part) for part in parts)


def marked(text: str, forms: frozenset[str]) -> Markup:
    """A text with the words marked that were found in it, escaped."""
    return Markup("").join(
        Markup("<mark>{}</mark>").format(piece) if found else escape(piece)
        for piece, found in mark(text, forms)
    )


def may_open(endpoint: str) -> bool:
    """Whether the reader's role opens that endpoint: menus show nothing that would be refused."""
    user = reader()
    return (Role(user.role) if user else Role.PUBLIC) in allowed_roles(endpoint)


def prepare(app: Flask) -> None:
    """Make all of this known to the templates."""
    # A filter of a constant ("places" | state) must not be worked out once for all readers when its
    # template is compiled: each has her own language. Where it stands alone, jinja does so anyhow.
    app.jinja_env.optimized = False
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        day=day,
        month=month,
        number=number,
        money=money,
        state=state,
        state_tone=state_tone,
        role_name=role_name,
        field_name=field_name_for_reader,
        paragraphs=paragraphs,
        marked=marked,
        excerpt=excerpt,
    )
    app.jinja_env.globals.update(
        label=label,
        labels=labels,
        localised=localised,
        choices=choices,
        mandate_label=mandate_label,
        illustrative_names=illustrative_names,
        address_with=address_with,
        address_without=address_without,
        post_address=post_address,
        matches_address=matches_address,
        may_open=may_open,
        reader=reader,
        today=today,
        language=language,
        DOCUMENTS=DOCUMENTS,
        LANGUAGES=LANGUAGES,
        LANGUAGE_NAMES=LANGUAGE_NAMES,
    )

    @app.context_processor
    def waiting() -> dict[str, Any]:
        user = reader()
        if user is None:
            return {"waiting_count": 0}
        return {"waiting_count": count_waiting(database(), user, today=today())}
