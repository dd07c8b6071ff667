"""Charts as SVG text: data in, drawing out, the same on a page and in a PDF.

Colours stand as plain attributes, which a PDF and a page without styles take, and as classes,
by which ``broker.css`` follows the reader's light or dark screen. A drawing is as wide as a narrow
phone and grows with its place, so that its letters stay readable. Every chart needs its table
beside it: the drawing's label says what it shows, the table says the numbers.

>>> from broker.charts import PairedRow, draw_paired_bars
>>> svg = draw_paired_bars([PairedRow("Water", 4, 2)], "Needs and offers by theme")
>>> svg.startswith("<svg"), "Water" in svg
(True, True)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from markupsafe import Markup, escape

WIDTH = 360
"""Width of a chart in its own units: on a narrow phone these are its pixels."""

INK, SOFT, LINE, PAPER = "#1d2a2c", "#4b5b5d", "#d8d8d0", "#ffffff"
COLOURS = {"need": "#9a4a12", "offer": "#0b6052", "agreement": "#3b5b92", "plain": "#4b5b5d"}
"""Tone of what is drawn → its colour on white paper."""

FONT = "Source Sans 3, Noto Sans, DejaVu Sans, sans-serif"

LEVELS = (0.0, 0.14, 0.26, 0.38, 0.5)
"""Strength of the colour of a field, from nothing to most; ink stays readable on all of them."""


def plain_number(value: float) -> str:
    """A number as text where the caller gives no format of the reader's."""
    return f"{value:g}"


Format = Callable[[float], str]


@dataclass(frozen=True)
class BarRow:
    """One bar: a label, its value, and where a click on it leads (nowhere if empty)."""

    label: str
    value: float
    address: str = ""


@dataclass(frozen=True)
class PairedRow:
    """Two bars under one label, needs above offers; addresses may be empty."""

    label: str
    needs: float
    offers: float
    needs_address: str = ""
    offers_address: str = ""


@dataclass(frozen=True)
class HeatCell:
    """One field of a heat table: how many ask and how many offer."""

    needs: int
    offers: int
    needs_address: str = ""
    offers_address: str = ""


@dataclass(frozen=True)
class HeatRow:
    """A row of a heat table, with a field for each column."""

    label: str
    cells: tuple[HeatCell, ...]


def draw_bars(
    rows: Sequence[BarRow],
    label: str,
    *,
    tone: str = "plain",
    number: Format = plain_number,
    width: int = WIDTH,
) -> Markup:
    """One bar under each label, on one scale.

    Parameters
    ----------
    label : str
        What the chart shows, for those who cannot see it.
    tone : str
        A key of ``COLOURS``.
    number : callable
        Writes a value in the reader's format.
    """
    most = max([row.value for row in rows], default=0) or 1
    parts: list[str] = []
    for n, row in enumerate(rows):
        top = n * 34
        parts.append(draw_text(0, top + 13, shorten(row.label, width), title=row.label))
        parts.append(_bar(top + 18, row.value, most, tone, number, row.address, row.label, width))
    linked = any(row.address for row in rows)
    return svg(width, max(len(rows) * 34, 1), label, parts, linked=linked)


def draw_paired_bars(
    rows: Sequence[PairedRow],
    label: str,
    *,
    sides: tuple[str, str] = ("", ""),
    number: Format = plain_number,
    width: int = WIDTH,
) -> Markup:
    """Needs above offers under each label, all on one scale.

    ``sides`` are the words for needs and offers, with which a linked number is read out.
    """
    most = max([max(row.needs, row.offers) for row in rows], default=0) or 1
    parts: list[str] = []
    for n, row in enumerate(rows):
        top = n * 48
        parts.append(draw_text(0, top + 13, shorten(row.label, width), title=row.label))
        for down, value, tone, address, side in (
            (18, row.needs, "need", row.needs_address, sides[0]),
            (31, row.offers, "offer", row.offers_address, sides[1]),
        ):
            told = f"{row.label}, {side}" if side else row.label
            parts.append(_bar(top + down, value, most, tone, number, address, told, width))
    linked = any(row.needs_address or row.offers_address for row in rows)
    return svg(width, max(len(rows) * 48, 1), label, parts, linked=linked)


def _bar(
    top: float,
    value: float,
    most: float,
    tone: str,
    number: Format,
    address: str,
    label: str,
    width: int,
) -> str:
    words = number(value)
    longest = max((width - 52) * value / most, 1.5 if value else 0)
    drawn = (
        f'<rect class="chart-{tone}" fill="{COLOURS[tone]}" x="0" y="{top}" rx="2" '
        f'width="{longest:.1f}" height="10"/>'
        + draw_text(longest + 5, top + 9, words, size=12, soft=not value)
    )
    return link(address, f"{label}: {words}", drawn)


def draw_heat_table(
    columns: Sequence[str],
    rows: Sequence[HeatRow],
    label: str,
    *,
    sides: tuple[str, str] = ("", ""),
    number: Format = plain_number,
    width: int = WIDTH,
) -> Markup:
    """Needs and offers of every row and column: the stronger the colour, the more is missing.

    A field takes the colour of needs where more is asked than offered, and of offers where more
    is offered; the numbers in it, needs before offers, say the same.
    """
    side = 43.0
    left = width - side * len(columns)
    head = 14 * max((len(wrap(name, side, 8)) for name in columns), default=0) + 6
    parts: list[str] = []
    for n, name in enumerate(columns):
        for m, line in enumerate(wrap(name, side, 8)):
            x = left + side * (n + 0.5)
            parts.append(draw_text(x, 11 + 12 * m, line, size=8, soft=True, anchor="middle"))
    most = max((abs(c.needs - c.offers) for row in rows for c in row.cells), default=0) or 1
    for n, row in enumerate(rows):
        top = head + n * 30
        lines = wrap(row.label, left - 6, 11, most=2)
        for m, line in enumerate(lines):
            y = top + (18 if len(lines) == 1 else 12 + 12 * m)
            parts.append(draw_text(0, y, line, size=11, title=row.label))
        for m, cell in enumerate(row.cells):
            where = f"{row.label}, {columns[m]}"
            told = tuple(f"{where}, {word}" if word else where for word in sides)
            parts.append(_field(left + m * side, top, side, cell, most, number, told))
    linked = any(c.needs_address or c.offers_address for row in rows for c in row.cells)
    return svg(width, head + len(rows) * 30 + 2, label, parts, linked=linked)


def _field(
    x: float,
    top: float,
    side: float,
    cell: HeatCell,
    most: int,
    number: Format,
    told: tuple[str, ...],
) -> str:
    missing = cell.needs - cell.offers
    tone = "need" if missing > 0 else "offer"
    strength = LEVELS[level_of(abs(missing), most)]
    drawn = (
        f'<rect class="chart-field" fill="{PAPER}" stroke="{LINE}" x="{x + 1:.1f}" y="{top + 1}" '
        f'width="{side - 2}" height="28" rx="3"/>'
    )
    if strength:
        drawn += (
            f'<rect class="chart-{tone}" fill="{COLOURS[tone]}" fill-opacity="{strength}" '
            f'x="{x + 1:.1f}" y="{top + 1}" width="{side - 2}" height="28" rx="3"/>'
        )
    if not cell.needs and not cell.offers:
        return drawn
    middle = x + side / 2
    needs = draw_text(middle - 4, top + 19, number(cell.needs), size=12, anchor="end", bold=True)
    offers = draw_text(middle + 4, top + 19, number(cell.offers), size=12)
    return (
        drawn
        + link(cell.needs_address if cell.needs else "", f"{told[0]}: {cell.needs}", needs)
        + draw_text(middle, top + 19, "/", size=11, soft=True, anchor="middle")
        + link(cell.offers_address if cell.offers else "", f"{told[1]}: {cell.offers}", offers)
    )


def level_of(value: float, most: float) -> int:
    """Strength of a field, 0 to 4: 0 for nothing, 4 for the most.

    By the square root, so that one very large number does not make all others look alike.
    """
    if value <= 0 or most <= 0:
        return 0
    return min(4, 1 + int(3.999 * sqrt(min(value / most, 1))))


def svg(
    width: float, height: float, label: str, parts: Iterable[str], *, linked: bool = False
) -> Markup:
    """A whole drawing: an image with its label, or a group where parts of it lead somewhere."""
    role = "group" if linked else "img"
    # Every text was escaped when it was drawn.
    return Markup(  # noqa: S704
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="{role}" '
        f'aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}" '
        f'font-family="{FONT}">{"".join(parts)}</svg>'
    )


def draw_text(
    x: float,
    y: float,
    words: str,
    *,
    size: float = 13,
    anchor: str = "start",
    soft: bool = False,
    bold: bool = False,
    title: str = "",
) -> str:
    """A line of text; ``title`` is what it says in full where it was shortened."""
    told = f"<title>{escape(title)}</title>" if title and title != words else ""
    return (
        f'<text class="chart-{"soft" if soft else "ink"}" fill="{SOFT if soft else INK}" '
        f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}"'
        + (f' text-anchor="{anchor}"' if anchor != "start" else "")
        + (' font-weight="600"' if bold else "")
        + f">{told}{escape(words)}</text>"
    )


def link(address: str, label: str, drawn: str) -> str:
    """What is drawn, leading to an address where there is one."""
    if not address:
        return drawn
    return f'<a href="{escape(address)}" aria-label="{escape(label)}">{drawn}</a>'


def shorten(words: str, width: float, size: float = 13) -> str:
    """The words as far as they fit into a width, by the average width of a letter."""
    most = int(width / (size * 0.52))
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


def wrap(words: str, width: float, size: float, most: int = 0) -> list[str]:
    """The words in lines of about that width; a word that is too long is shortened.

    With ``most`` lines at most, the last one ends in an ellipsis where not all fits.
    """
    lines: list[str] = []
    for word in words.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width / (size * 0.52):
            lines[-1] += f" {word}"
        else:
            lines.append(shorten(word, width, size))
    if most and len(lines) > most:
        return [*lines[: most - 1], shorten(" ".join(lines[most - 1 :]), width, size)]
    return lines
