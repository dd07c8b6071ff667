"""Finding the best pairs without scoring them all in full.

Three looks, each closer and at fewer pairs:

1. A *bound* that no score exceeds, for all pairs of a block: one matrix product for the facets
   (``forms``), one, exact, for the texts, and a straight line over the calibration of the text.
2. The *nearly exact* score, within ``MARGIN``, of the pairs whose bound is high enough: what the
   bound granted for texts, days, money and places is taken back where it is not due.
3. The score itself (``pairs.pair_totals``), of the few that remain. Ties and ranks come from it.

A pair is left behind only when k others of its row are surely ahead of it: what remains holds the
k best, exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from matching.columns import Columns, Rows
from matching.forms import BARRED, MARGIN
from matching.score import TextScale, Vector

GROUPS = 256
"""Groups of pairs whose greatest bounds give a first idea of a row's best."""
SPARE = 12
"""Pairs that are looked at beyond the k best, to find how high the k-th best is."""


@dataclass(frozen=True)
class TextBound:
    """Points of texts by their inner product, and a line above them.

    Attributes
    ----------
    points
        Points by step of the inner product, see ``TextScale.table``.
    slope, offset, most
        Of the line: points ≤ clip(slope · inner + offset, 0, most).
    """

    points: Vector
    slope: np.float32
    offset: np.float32
    most: np.float32

    @classmethod
    def of(cls, scale: TextScale, points: float) -> "TextBound":
        """Bound a calibration under which the likest texts get some points."""
        slope, offset = line_above(scale)
        return cls(
            (scale.table * points).astype(np.float32),
            np.float32(slope * points),
            np.float32(offset * points + MARGIN / 8),
            np.float32(points + MARGIN / 8),
        )

    def above(self, inner: Vector) -> Vector:
        """Points that texts of some inner products get at most."""
        work = inner * self.slope
        work += self.offset
        return np.clip(work, 0, self.most, out=work)

    def due(self, inner: Vector) -> Vector:
        """Points that they get."""
        steps = np.floor(inner * np.float32(1 / TextScale.STEP)).astype(np.int64)
        found: Vector = self.points[steps + TextScale.HALF]
        return found


def line_above(scale: TextScale) -> tuple[float, float]:
    """Slope and offset of a line that, cut at 0 and 1, lies on or closely above the calibration.

    Closeness counts most where texts are like each other: there the best pairs are. The slope is
    per inner product of rounded vectors.
    """
    # The table gives one value from each step's lower edge up to the next.
    lower = (np.arange(len(scale.table)) - scale.HALF) * float(scale.STEP)
    rising = scale.table > 0
    if not rising.any():
        return 0.0, 0.0
    lower, table = lower[rising], scale.table[rising]
    best = (np.inf, 0.0, 1.0)
    for slope in np.geomspace(0.05, 20, 120) / scale.LENGTH**2:
        offset = float((table - slope * lower).max())
        above = np.clip(slope * lower[::64] + offset, 0, 1) - table[::64]
        loss = float((above * table[::64] * (1.2 - table[::64])).sum())
        best = min(best, (loss, float(slope), offset))
    return best[1], best[2]


@dataclass(frozen=True)
class Tables:
    """Posts of both sides with what scoring them in single precision takes.

    Attributes
    ----------
    needs, offers
        (n) and (m) rows.
    place_points
        (places + 1, m) float32, points by the place of a need, see ``Forms.places``.
    """

    needs: Columns
    offers: Columns
    place_points: Vector
    text: TextBound


def bound_tile(
    tables: Tables, rows: slice, columns: Rows | slice, bounds: Vector, inner: Vector
) -> None:
    """Fill the bounds and the exact inner products of a tile of pairs.

    Parameters
    ----------
    rows, columns
        Rows of needs, sorted by place, and of offers.
    bounds, inner
        (rows, columns) float32, written in place. Pairs that break a rule get less than
        ``BARRED`` / 2, but for ``bar_windows``, ``bar_groups``, ``bar_own`` and pairs that are kept apart.
    """
    needs, offers = tables.needs, tables.offers
    np.matmul(needs["form"][rows], offers["form"][columns].T, out=bounds)
    np.matmul(needs["text"][rows], offers["text"][columns].T, out=inner)
    places = needs["place"][rows]
    edges = [0, *(np.flatnonzero(np.diff(places)) + 1).tolist(), len(places)]
    for start, stop in pairwise(edges):
        bounds[start:stop] += tables.place_points[places[start], columns]
    bounds += tables.text.above(inner)


def bar_windows(tables: Tables, rows: slice, columns: Rows | slice, bounds: Vector) -> None:
    """Bar the pairs whose offer opens only after the need has closed."""
    opens, closes = tables.offers["opens"][columns], tables.needs["closes"][rows]
    late = np.flatnonzero(opens > closes.min())
    early = np.flatnonzero(closes < opens.max(initial=0))
    if len(late) and len(early):
        barred = closes[early, None] < opens[late]
        bounds[np.ix_(early, late)] += np.where(barred, np.float32(BARRED), np.float32(0))


def bar_groups(tables: Tables, rows: slice, columns: Rows | slice, bounds: Vector) -> None:
    """Bar the pairs whose offer is made for larger groups than the need is."""
    least, wanted = tables.offers["places_least"][columns], tables.needs["places"][rows]
    made_for = np.flatnonzero(least > 0)
    small = np.flatnonzero(wanted < least.max(initial=0))
    if len(made_for) and len(small):
        barred = wanted[small, None] < least[made_for]
        bounds[np.ix_(small, made_for)] += np.where(barred, np.float32(BARRED), np.float32(0))


def bar_own(tables: Tables, rows: slice, columns: Rows | slice, bounds: Vector) -> None:
    """Bar the pairs of which one organisation has posted both sides."""
    asking = tables.needs["organisation"][rows]
    giving = tables.offers["organisation"][columns]
    both = np.setdiff1d(np.intersect1d(asking, giving), [0])
    ours, theirs = np.flatnonzero(np.isin(asking, both)), np.flatnonzero(np.isin(giving, both))
    if len(both):
        barred = asking[ours, None] == giving[theirs]
        bounds[np.ix_(ours, theirs)] += np.where(barred, np.float32(BARRED), np.float32(0))


def refine(tables: Tables, i: Rows, j: Rows, bounds: Vector, inner: Vector) -> Vector:
    """Bring bounds down to nearly exact scores.

    Parameters
    ----------
    i, j
        (p,) rows of needs and offers.
    bounds, inner
        (p,) of the pairs.

    Returns
    -------
    (p,) float32, within ``MARGIN`` / 2 of the scores.
    """
    wanted, given = tables.needs["limits"][i], tables.offers["limits"][j]
    # Columns as ``Forms.limits_of_needs`` and ``Forms.limits_of_offers`` lay them out.
    days = np.minimum(wanted[:, 1], given[:, 1]) - np.maximum(wanted[:, 0], given[:, 0])
    scores = bounds - wanted[:, 3] * (1 - np.clip((days + 1) * wanted[:, 2], 0, 1))
    money = np.minimum(wanted[:, 4] * given[:, 2] + wanted[:, 5], wanted[:, 6] * given[:, 3])
    scores -= wanted[:, 7] * (1 - np.clip(money, 0, 1))
    places = wanted[:, 8] * given[:, 4] + wanted[:, 9]
    scores -= wanted[:, 10] * (1 - np.clip(places, 0, 1))
    due = tables.text.due(inner) * wanted[:, 11] * given[:, 5]
    refined: Vector = scores - (tables.text.above(inner) - due)
    return refined


def find_best(
    tables: Tables,
    pairs: Callable[[Rows, Rows], tuple[Rows, Rows]],
    bounds: Vector,
    inner: Vector,
    best: int,
) -> tuple[Rows, Rows, Vector]:
    """Find the pairs that may be among the best of their row.

    Parameters
    ----------
    pairs
        Needs and offers of some rows and columns of `bounds`.
    bounds
        (rows, width) float32, see ``widened``; barred beyond w.
    inner
        (rows, w) float32.

    Returns
    -------
    tuple
        Rows (from 0) and columns (c,) of the candidates, by row, and their inner products.
    """
    count, width = bounds.shape
    groups = groups_of(inner.shape[1], best)
    lowest = np.full(count, np.float32(BARRED / 2))
    floors = lowest
    if groups > best:
        maxima = bounds.reshape(count, width // groups, groups).max(axis=1)
        some = min(best + SPARE, groups)
        high = np.partition(maxima, groups - some, axis=1)[:, groups - some]
        local, column = _above(bounds, np.maximum(high, lowest))
        scores = refine(tables, *pairs(local, column), bounds[local, column], inner[local, column])
        floors = np.maximum(kth_of_rows(local, scores, count, best) - np.float32(MARGIN), lowest)
    local, column = _above(bounds, floors)
    found = inner[local, column]
    scores = refine(tables, *pairs(local, column), bounds[local, column], found)
    kept = scores >= (kth_of_rows(local, scores, count, best) - np.float32(MARGIN))[local]
    return local[kept], column[kept], found[kept]


def groups_of(width: int, best: int) -> int:
    """Number of groups into which a row of pairs is cut."""
    return min(max(GROUPS, 4 * (best + SPARE)), width)


def _above(bounds: Vector, floors: Vector) -> tuple[Rows, Rows]:
    found = np.flatnonzero(bounds >= floors[:, None])
    return np.divmod(found, bounds.shape[1])


def kth_of_rows(local: Rows, scores: Vector, count: int, best: int) -> Vector:
    """The k-th best score of each row; ``BARRED`` where a row has fewer.

    Parameters
    ----------
    local
        (p,) row of each score, ascending.
    """
    # One key for both: scores are less than 4096 apart, and float64 keeps them whole.
    order = np.argsort(local * 4096.0 - scores)
    starts = np.searchsorted(local, np.arange(count))
    stops = np.append(starts[1:], len(local))
    kth = np.full(count, np.float32(BARRED))
    full = stops - starts >= best
    kth[full] = scores[order[starts[full] + best - 1]]
    return kth


def bound_row(tables: Tables) -> tuple[Vector, Vector]:
    """Bound a single need with all offers, or all needs with a single offer.

    Returns
    -------
    tuple
        Bounds and inner products, (p,) float32 each; bounds of pairs that break a rule on codes are
        less than ``BARRED`` / 2.
    """
    needs, offers = tables.needs, tables.offers
    bounds: Vector
    inner: Vector
    if len(needs) == 1:
        bounds, inner = offers["form"] @ needs["form"][0], offers["text"] @ needs["text"][0]
        bounds += tables.place_points[needs["place"][0]]
    else:
        bounds, inner = needs["form"] @ offers["form"][0], needs["text"] @ offers["text"][0]
        bounds += tables.place_points[needs["place"], 0]
    bounds += tables.text.above(inner)
    return bounds, inner


def in_groups(bounds: Vector, best: int) -> Vector:
    """Widen rows of bounds to whole groups; what is added is barred."""
    count, width = bounds.shape
    wide = np.full((count, widened(width, best)), np.float32(BARRED))
    wide[:, :width] = bounds
    return wide


def widened(width: int, best: int) -> int:
    """Width of rows of bounds that are cut into groups."""
    groups = groups_of(width, best)
    return -(-width // groups) * groups if groups else 0
