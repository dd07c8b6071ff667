"""A small line chart of an indicator, as numbers that a template draws as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import floor, log10

from models import Indicator, IndicatorReport

WIDTH, HEIGHT = 330, 170
LEFT, RIGHT, TOP, BOTTOM = 6, 66, 12, 26
"""The chart's size and margins, in the SVG's own units."""


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line: its height in the chart, and the value that it stands for."""

    y: float
    value: float


@dataclass(frozen=True, slots=True)
class IndicatorChart:
    """Where everything of the chart lies.

    Attributes
    ----------
    points : list of (float, float, IndicatorReport)
        Reports by their day; across, down, and the report.
    line : str
        The points as an SVG polyline takes them.
    grid : list of Level
        Two to five round values.
    baseline, target : Level
        Where the agreement starts from (None if not stated) and what it aims at.
    """

    points: list[tuple[float, float, IndicatorReport]]
    line: str
    grid: list[Level]
    baseline: Level | None
    target: Level
    first: date
    last: date
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def draw_indicator(indicator: Indicator, starts: date) -> IndicatorChart | None:
    """The chart of an indicator whose agreement began on ``starts``; None without reports."""
    reports = sorted(indicator.reports, key=lambda report: (report.on, report.id or 0))
    if not reports:
        return None
    first = min(starts, reports[0].on)
    last = max(reports[-1].on, indicator.due or reports[-1].on)
    values = [report.value for report in reports] + [indicator.target]
    if indicator.baseline is not None:
        values.append(indicator.baseline)
    low, high = _padded(min(values), max(values))

    def across(day: date) -> float:
        share = (day - first).days / max((last - first).days, 1)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def down(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    points = [(across(report.on), down(report.value), report) for report in reports]
    return IndicatorChart(
        points=points,
        line=" ".join(f"{x},{y}" for x, y, _report in points),
        grid=[Level(down(value), value) for value in _round_values(low, high)],
        baseline=None
        if indicator.baseline is None
        else Level(down(indicator.baseline), indicator.baseline),
        target=Level(down(indicator.target), indicator.target),
        first=first,
        last=last,
    )


FLAT = 1e-6
"""Differences below this, by themselves or against the values' size, are not drawn."""


def _padded(low: float, high: float) -> tuple[float, float]:
    """Some air above and below; a flat line gets a range of its own size."""
    size = max(abs(low), abs(high))
    flat = high - low <= FLAT * max(size, 1.0)
    air = max(size * 0.1, 0.001) if flat else (high - low) * 0.08
    return low - air, high + air


def _round_values(low: float, high: float) -> list[float]:
    """Values of 1, 2 or 5 times a power of ten, at most five of them, between the two."""
    rough = (high - low) / 4
    power: float = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    start = floor(low / step) + 1
    return [round(n * step, 10) for n in range(start, floor(high / step) + 1)]
