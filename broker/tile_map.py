"""The region as a map of tiles: each country one tile of the same size, where it about lies.

Saint Lucia is as visible as Brazil. The drawing is SVG text like those of :mod:`broker.charts`:
the tile shows a country's code and its number, and the stronger its colour the larger the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from broker.charts import (
    COLOURS,
    LEVELS,
    LINE,
    PAPER,
    Format,
    draw_text,
    level_of,
    link,
    plain_number,
    svg,
)

SIDE, GAP = 36, 3
"""Side of a tile and the gap between two, in the drawing's units."""


@dataclass(frozen=True)
class Tile:
    """A country on the map.

    Attributes
    ----------
    column, row : int
        Its place, counted from the top left.
    value : float
        What is measured, and what gives the tile its colour.
    words : str
        The country's name and all that is told of it; read out, and shown under the pointer.
    address : str
        Where the tile leads; nowhere if empty, as in a PDF.
    """

    code: str
    column: int
    row: int
    value: float
    words: str
    address: str = ""


def draw_tile_map(
    tiles: Sequence[Tile], label: str, *, tone: str = "need", number: Format = plain_number
) -> Markup:
    """The map as SVG; ``label`` says what it shows, ``tone`` is one of ``broker.charts.COLOURS``."""
    most = max([tile.value for tile in tiles], default=0)
    step = SIDE + GAP
    width = (max([tile.column for tile in tiles], default=0) + 1) * step
    height = (max([tile.row for tile in tiles], default=0) + 1) * step
    parts = [
        link(tile.address, tile.words, _draw(tile, step, most, tone, number))
        for tile in sorted(tiles, key=lambda tile: (tile.row, tile.column))
    ]
    return svg(width, height, label, parts, linked=any(tile.address for tile in tiles))


def _draw(tile: Tile, step: int, most: float, tone: str, number: Format) -> str:
    x, y = tile.column * step + GAP / 2, tile.row * step + GAP / 2
    strength = LEVELS[level_of(tile.value, most)]
    shape = f'x="{x}" y="{y}" width="{SIDE}" height="{SIDE}" rx="4"'
    drawn = (
        f"<title>{escape(tile.words)}</title>"
        f'<rect class="chart-field" fill="{PAPER}" stroke="{LINE}" {shape}/>'
    )
    if strength:
        drawn += (
            f'<rect class="chart-{tone}" fill="{COLOURS[tone]}" fill-opacity="{strength}" {shape}/>'
        )
    middle = x + SIDE / 2
    drawn += draw_text(middle, y + 14, tile.code, size=11, anchor="middle", soft=not tile.value)
    if tile.value:
        drawn += draw_text(middle, y + 30, number(tile.value), size=14, anchor="middle", bold=True)
    return f"<g>{drawn}</g>"
