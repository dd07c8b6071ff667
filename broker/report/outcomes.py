"""Did higher scores become agreements? What came of suggested pairs, band by band."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from sqlalchemy import case, func

from broker.report.rows import OUTCOMES, ReportRows
from models import RunPair

BANDS = ("strong", "good", "possible")
"""The bands of a match, the best first."""

ENOUGH_PAIRS, ENOUGH_AGREEMENTS = 30, 10
"""Pairs of a band, and agreements in all, from which on shares say something."""

SURE = 1.959964
"""Standard deviations of a normal distribution within which 95 % lie."""


@dataclass(frozen=True)
class BandOutcome:
    """How many pairs of a band were suggested, and how far they came.

    Attributes
    ----------
    low, high : float
        Between these the true share of agreements lies with 95 % confidence (Wilson, 1927).
    """

    band: str
    suggested: int
    interest: int
    mutual: int
    agreement: int

    @property
    def share(self) -> float | None:
        """Share of the suggested pairs that became an agreement."""
        return self.agreement / self.suggested if self.suggested else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of that share."""
        return wilson(self.agreement, self.suggested) if self.suggested else None

    @property
    def is_enough(self) -> bool:
        """Whether the band holds enough pairs to say something."""
        return self.suggested >= ENOUGH_PAIRS


@dataclass(frozen=True)
class Calibration:
    """Outcomes by band, the best band first.

    ``verdict`` is ``"none"`` (nothing was suggested), ``"few"`` (too little to tell), ``"higher"``
    (the better the band, the more agreements), ``"level"`` or ``"lower"``.
    """

    bands: tuple[BandOutcome, ...]
    total: BandOutcome
    verdict: str


def wilson(successes: int, number: int) -> tuple[float, float]:
    """Wilson's score interval of a share, at 95 %.

    >>> low, high = wilson(1, 10)
    >>> round(low, 3), round(high, 3)
    (0.018, 0.404)
    """
    share, z = successes / number, SURE
    scale = 1 + z * z / number
    middle = (share + z * z / (2 * number)) / scale
    half = z * sqrt(share * (1 - share) / number + z * z / (4 * number * number)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def follow_up(rows: ReportRows) -> Calibration:
    """Count what came of the pairs that runs suggested, by the band of their first score."""
    pairs = rows.suggested().order_by(None).options()
    reached = [
        func.sum(case((rows.came_to(outcome), 1), else_=0)).label(outcome) for outcome in OUTCOMES
    ]
    query = pairs.with_only_columns(RunPair.band, func.count(), *reached).group_by(RunPair.band)
    found = {row[0]: row[1:] for row in rows.session.execute(query)}
    bands = tuple(BandOutcome(band, *map(int, found.get(band, (0, 0, 0, 0)))) for band in BANDS)
    sums = [sum(numbers) for numbers in zip(*(found[b] for b in found), strict=True)]
    total = BandOutcome("", *map(int, sums or (0, 0, 0, 0)))
    return Calibration(bands, total, _judge(bands, total))


def _judge(bands: tuple[BandOutcome, ...], total: BandOutcome) -> str:
    if not total.suggested:
        return "none"
    enough = [band for band in bands if band.is_enough]
    if len(enough) < 2 or total.agreement < ENOUGH_AGREEMENTS:
        return "few"
    best, worst = enough[0].interval, enough[-1].interval
    assert best is not None  # noqa: S101 - a band that is enough has pairs
    assert worst is not None  # noqa: S101
    if best[0] > worst[1]:
        return "higher"
    return "lower" if best[1] < worst[0] else "level"
