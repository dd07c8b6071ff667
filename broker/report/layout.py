"""What every form of a report shows: sections with sentences, tables and charts.

No form has numbers or words of its own. What a number counts travels with it: ``rows`` is the list
to which it leads, ``over`` says how a workbook counts it on its sheets of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal, format_percent
from markupsafe import Markup


@dataclass(frozen=True)
class Rows:
    """The list to which a number leads: its name and parameters."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Over:
    """How a workbook finds a number on one of its sheets of rows.

    Attributes
    ----------
    criteria : dict
        Column of that sheet → what it must hold.
    column : str
        The column that is summed, or whose median is taken; rows are counted if empty.
    """

    sheet: str
    criteria: Mapping[str, str] = field(default_factory=dict)
    column: str = ""
    median: bool = False


@dataclass(frozen=True)
class Figure:
    """A number with its form, the list to which it leads, and how a workbook finds it.

    A workbook finds it by ``over``, divided by ``of`` if there is any; or, as ``share``, from two
    other rows of its column. ``form`` is ``count``, ``change``, ``percent``, ``points`` (a difference of percentages),
    ``days``, ``score``, ``share`` (0 to 1), ``money`` or ``rate``.
    """

    value: int | float | Decimal | None
    form: str = "count"
    rows: Rows | None = None
    over: tuple[Over, ...] = ()
    of: tuple[Over, ...] = ()
    share: tuple[str, str] | None = None


@dataclass(frozen=True)
class Ref:
    """A thing of the exchange that has a page of its own; an organisation's is named by its code."""

    kind: str
    id: int
    words: str
    code: str = ""


@dataclass(frozen=True)
class Linked:
    """A number within a sentence, and the list to which it leads."""

    words: str
    rows: Rows


@dataclass(frozen=True)
class Sentence:
    """A sentence in pieces: words, and numbers that lead somewhere."""

    pieces: tuple[str | Linked, ...]

    def __str__(self) -> str:
        return "".join(p.words if isinstance(p, Linked) else p for p in self.pieces)


Content = str | int | float | Decimal | date | Figure | Ref | None


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    total : bool
        Whether the last row sums it.
    share, less : (str, str), optional
        Keys of the columns of which it is the quotient, or the difference.
    """

    key: str
    title: str
    numeric: bool = False
    total: bool = False
    share: tuple[str, str] | None = None
    less: tuple[str, str] | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table; ``code`` stays the same in every language."""

    code: str
    cells: tuple[Content, ...]


@dataclass(frozen=True)
class Table:
    """A table of a section; ``last`` is the row below the line."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    last: Row | None = None
    note: str = ""
    more: Figure | None = None


@dataclass(frozen=True)
class Chart:
    """A drawing, whose label says what it shows; a table of the section says the same."""

    key: str
    svg: Markup
    label: str


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    key: str
    title: str
    words: tuple[Sentence, ...] = ()
    warnings: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()


Address = Callable[[Rows], str]
"""Where a list is found."""


def day_words(day: date, language: str) -> str:
    """A day as it stands in a sentence or a heading."""
    return format_date(day, format="long", locale=language)


def words_of(content: Content, language: str) -> str:
    """A cell as a reader of the language reads it."""
    if content is None:
        return "–"
    if isinstance(content, Figure):
        return _figure(content, language)
    if isinstance(content, Ref):
        return content.words
    if isinstance(content, date):
        return format_date(content, format="medium", locale=language)
    if isinstance(content, int | float | Decimal):
        return format_decimal(content, format="#,##0.##", locale=language)
    return str(content)


FORMS = {
    "count": "#,##0",
    "change": "+#,##0;-#,##0",
    "days": "#,##0.0",
    "score": "0.0",
    "share": "0.00",
    "money": "#,##0.##",
    "rate": "#,##0.######",
}


@cache
def _percent_pattern(language: str) -> str:
    """The language's own pattern, its space before the sign included, with one decimal."""
    pattern: str = Locale.parse(language).percent_formats[None].pattern
    return pattern.replace("#,##0", "#,##0.0")


def _figure(figure: Figure, language: str) -> str:
    value = figure.value
    if value is None:
        return "–"
    if figure.form in ("change", "points") and not value:
        return "0"
    if figure.form == "percent":
        return format_percent(value, format=_percent_pattern(language), locale=language)
    if figure.form == "points":
        return format_decimal(100 * float(value), format="+#,##0.0;-#,##0.0", locale=language)
    return format_decimal(value, format=FORMS[figure.form], locale=language)


IN_BOOK = {"in_book": "yes"}

NOT_STATED = "–"
"""What stands in a row where it states no code: programs differ on what an empty cell equals."""
