"""Match runs: the best offers of every need, over the whole book, in blocks.

A ``Plan`` is a frozen picture of the book on one day. Its blocks are scored one by one, by threads
here or by workers elsewhere; each gives the same rows wherever and in whatever order it is scored,
so a run can be interrupted, resumed, spread over machines and repeated to the byte.

How a block is scored: offers lie sorted by the subregions that they reach and the kinds of support
that they give, so that most pairs that cannot be are never looked at. What remains is one matrix
product for facets (``forms``) and one, exact, for the texts, plus what is added element by element.
The k-th largest of a few hundred group maxima bounds the k-th best offer from below; the some 21
offers a need above that bound are scored in full (``pairs``), and the k best of them are exact.
"""

import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from matching.columns import NONE, NOT_SERVED, Columns, Rows
from matching.forms import BARRED, MARGIN, Forms
from matching.pairs import pair_totals
from matching.score import MICRO, Bands, TextScale, Vector, Weights
from matching.taxonomy import REGIONAL, Taxonomy

ROWS = 256
"""Needs of a block."""
TILE = 1024
"""Offers that are looked at together, so that a tile stays in the processor's cache."""
GROUPS = 256
"""Groups of offers whose maxima bound the k-th best; more than k are taken when k is large."""


@dataclass(frozen=True, eq=False)
class MatchTable:
    """Matches as arrays: a row a pair, by need in order of reference, the best offer first.

    Attributes
    ----------
    need_ids, offer_ids
        (p,) int64.
    scores
        (p,) int64, in millionths of a point.
    """

    need_ids: NDArray[np.int64]
    offer_ids: NDArray[np.int64]
    scores: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MatchTable) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    @property
    def points(self) -> NDArray[np.float64]:
        """The scores, 0 to 100."""
        return self.scores / MICRO

    def of_need(self, need_id: int) -> "MatchTable":
        """Rows of one need."""
        return self[np.flatnonzero(self.need_ids == need_id)]

    def __getitem__(self, rows: Any) -> "MatchTable":
        return MatchTable(self.need_ids[rows], self.offer_ids[rows], self.scores[rows])

    @classmethod
    def joined(cls, tables: Sequence["MatchTable"]) -> "MatchTable":
        """Put tables one below the other."""
        empty = np.zeros(0, np.int64)
        return cls(
            np.concatenate([empty, *(table.need_ids for table in tables)]),
            np.concatenate([empty, *(table.offer_ids for table in tables)]),
            np.concatenate([empty, *(table.scores for table in tables)]),
        )

    def to_bytes(self) -> bytes:
        """The table as bytes: equal tables, equal bytes."""
        rows = np.stack([self.need_ids, self.offer_ids, self.scores])
        return np.ascontiguousarray(rows, dtype="<i8").tobytes()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "MatchTable":
        """Read back what ``to_bytes`` gave."""
        rows = np.frombuffer(stored, dtype="<i8").reshape(3, -1).astype(np.int64)
        return cls(rows[0], rows[1], rows[2])


@dataclass(frozen=True)
class Versions:
    """What a run was made with: stored beside it, so that it can be repeated and compared."""

    engine: str
    weights: str
    bands: str
    text: str
    taxonomy: str
    day: str
    best: int
    digest: str
    """SHA-256 (hex) of everything that the result depends on."""


@dataclass(frozen=True)
class MatchRun:
    """Result of a run over the whole book.

    Attributes
    ----------
    table
        The best offers of every need that has any.
    nobody
        Ids of the open needs that no eligible offer serves at ``bands.possible`` or above, in order
        of reference.
    not_open
        Ids of the needs that were left out, closed or not published.
    eligible_pairs
        Pairs that break no rule.
    versions
        What made it.
    bands
        Thresholds in force.
    """

    table: MatchTable
    nobody: tuple[int, ...]
    not_open: tuple[int, ...]
    eligible_pairs: int
    versions: Versions
    bands: Bands

    @property
    def matches(self) -> MatchTable:
        """The rows at or above ``bands.possible``."""
        return self.table[self.table.scores >= round(self.bands.possible * MICRO)]


@dataclass(frozen=True)
class Block:
    """Needs that are scored together, and the stretches of offers that can be for any of them.

    Attributes
    ----------
    number
        Place in the plan.
    start, stop
        Rows of needs in the plan.
    stretches
        (start, stop) rows of offers in the plan.
    """

    number: int
    start: int
    stop: int
    stretches: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class BlockResult:
    """The best offers of a block's needs."""

    number: int
    table: MatchTable
    eligible_pairs: int

    def to_bytes(self) -> bytes:
        """The result as bytes, to be stored until the run is resumed."""
        head = np.array([self.number, self.eligible_pairs], dtype="<i8")
        return head.tobytes() + self.table.to_bytes()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "BlockResult":
        """Read back what ``to_bytes`` gave."""
        number, eligible = np.frombuffer(stored[:16], dtype="<i8").tolist()
        return cls(number, MatchTable.from_bytes(stored[16:]), eligible)


@dataclass(frozen=True)
class Tables:
    """Posts of both sides with all that scoring them in single precision takes.

    Attributes
    ----------
    needs, offers
        (n) and (m) rows.
    place_points
        (places + 1, m) float32, points by the place of a need, see ``Forms.places``.
    text_points
        Points of the texts by step of their inner product.
    silent_text
        Points where a text is not stated.
    day
        Ordinal of the day in question.
    """

    needs: Columns
    offers: Columns
    place_points: Vector
    overlaps: "Overlaps"
    text_points: Vector
    silent_text: np.float32
    scale: TextScale
    day: int

    @classmethod
    def of(
        cls, needs: Columns, offers: Columns, forms: Forms, scale: TextScale, day: int
    ) -> "Tables":
        """Put columns together, without copying them."""
        return cls(needs, offers, **_tables(needs, offers, forms, scale, day))


def _tables(
    needs: Columns, offers: Columns, forms: Forms, scale: TextScale, day: int
) -> dict[str, Any]:
    return {
        "place_points": offers["place_points"].T,
        "overlaps": Overlaps.of(needs, offers, forms, day),
        "text_points": forms.text_points(scale),
        "silent_text": np.float32(forms.neutral("text")),
        "scale": scale,
        "day": day,
    }


@dataclass(frozen=True)
class Plan(Tables):
    """A frozen picture of the book on one day, cut into blocks. Can be pickled.

    Attributes
    ----------
    needs, offers
        The posts that are live, published and open on that day, in the plan's own order.
    need_order, offer_order
        (n,), (m,) place of each row when sorted by reference, then id: breaks ties.
    barred
        (b, 2) rows of needs and offers that are kept apart (conflicts, dismissals, own
        organisation), sorted by need.
    absent
        Ids of live needs that are not open on that day, sorted.
    best
        Offers to be found for each need.
    """

    need_order: Rows
    offer_order: Rows
    barred: Rows
    absent: tuple[int, ...]
    blocks: tuple[Block, ...]
    weights: Weights
    best: int
    bands: Bands
    versions: Versions


@dataclass(frozen=True)
class Overlaps:
    """Period, money and places as single-precision factors, ready to be multiplied out."""

    need_starts: Vector
    need_ends: Vector
    need_days: Vector
    need_money: Vector
    need_most: Vector
    need_places: Vector
    offer_starts: Vector
    offer_ends: Vector
    offer_money: Vector
    offer_least: Vector
    offer_places: Vector
    points: Mapping[str, float]

    @classmethod
    def of(cls, needs: Columns, offers: Columns, forms: Forms, day: int) -> "Overlaps":
        """Take the factors from columns; what is not stated adds nothing."""
        points = {name: forms.points(name) for name in ("period", "money", "places")}

        def single(values: NDArray[Any]) -> Vector:
            factors: Vector = np.minimum(values, 1e18).astype(np.float32)
            return factors

        def days(columns: Columns, name: str, silent: float) -> Vector:
            return single(np.where(columns["period"], columns[name] - float(day), silent))

        length = np.maximum(needs["ends"].astype(np.float64) - needs["starts"] + 1, 1)
        least = offers["grant_least"]
        return cls(
            need_starts=days(needs, "starts", 1e9),
            need_ends=days(needs, "ends", -1e9),
            need_days=single(needs["period"] * points["period"] / length),
            need_money=single(np.nan_to_num(points["money"] / needs["wanted"])),
            need_most=single(needs["money_most"]),
            need_places=single(np.nan_to_num(points["places"] / needs["places"])),
            offer_starts=days(offers, "starts", 1e9),
            offer_ends=days(offers, "ends", -1e9) + np.float32(1),
            offer_money=single(np.nan_to_num(offers["available"])),
            offer_least=single(points["money"] / np.maximum(least, 1e-18)),
            offer_places=single(np.nan_to_num(offers["places"])),
            points=points,
        )

    def add(self, scores: Vector, rows: slice, columns: slice, work: Vector, more: Vector) -> None:
        """Add the points of a tile to its scores; `work` and `more` are room of the same shape."""
        np.minimum(self.need_ends[rows, None] + np.float32(1), self.offer_ends[columns], out=work)
        np.maximum(self.need_starts[rows, None], self.offer_starts[columns], out=more)
        work -= more
        work *= self.need_days[rows, None]
        np.clip(work, 0, np.float32(self.points["period"]), out=work)
        scores += work
        np.multiply(self.need_money[rows, None], self.offer_money[columns], out=work)
        np.multiply(self.need_most[rows, None], self.offer_least[columns], out=more)
        np.minimum(work, more, out=work)
        np.minimum(work, np.float32(self.points["money"]), out=work)
        scores += work
        np.multiply(self.need_places[rows, None], self.offer_places[columns], out=work)
        np.minimum(work, np.float32(self.points["places"]), out=work)
        scores += work


def open_needs(needs: Columns, day: int) -> NDArray[np.bool_]:
    """Which needs can be matched at all on a day."""
    return np.asarray(needs["live"] & needs["published"] & (needs["closes"] >= day))


def open_offers(offers: Columns, day: int) -> NDArray[np.bool_]:
    """Which offers can be matched at all on a day."""
    exhausted = offers["no_capacity"] | offers["no_money"]
    return np.asarray(offers["live"] & offers["published"] & (offers["closes"] >= day) & ~exhausted)


def _reach_classes(offers: Columns, taxonomy: Taxonomy) -> NDArray[np.int64]:
    """Class of each offer by what it reaches: 0 all, 1… one subregion, the last whatever else."""
    names = _subregions(taxonomy)
    reached = offers["reach"] != NOT_SERVED
    position = {place: number for number, place in enumerate(taxonomy.places)}
    touched = np.stack(
        [
            reached[:, [position[country] for country in sorted(taxonomy.members[name])]].any(
                axis=1
            )
            for name in names
        ],
        axis=1,
    )
    outside = [
        position[country] for country in taxonomy.countries if taxonomy.subregion(country) is None
    ]
    elsewhere = reached[:, outside].any(axis=1)
    one = (touched.sum(axis=1) == 1) & ~elsewhere
    classes = np.where(one, touched.argmax(axis=1) + 1, len(names) + 1)
    return np.where(touched.all(axis=1) & ~elsewhere, 0, classes)


def _place_classes(needs: Columns, taxonomy: Taxonomy) -> NDArray[np.int64]:
    """Class of offers made for each need's place; 0 for a need that any class may serve."""
    names = _subregions(taxonomy)
    homes = [place if place in names else taxonomy.subregion(place) for place in taxonomy.places]
    classes = [names.index(home) + 1 if home is not None else 0 for home in homes]
    return np.asarray([*classes, 0])[needs["place"]]


def _subregions(taxonomy: Taxonomy) -> list[str]:
    return sorted(set(taxonomy.members) - {REGIONAL})


def _kind_masks(columns: Columns) -> NDArray[np.int64]:
    flags = columns["support_kinds"]
    return np.asarray(flags @ (1 << np.arange(flags.shape[1])))


def _joined(stretches: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Join neighbouring stretches."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(stretches):
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return tuple(joined)


def cut_blocks(
    need_keys: Sequence[tuple[int, int]],
    offer_keys: Sequence[tuple[int, int]],
    mixed: int,
    rows: int = ROWS,
) -> tuple[Block, ...]:
    """Cut needs into blocks, each with the offers that can be for any of its needs.

    Parameters
    ----------
    need_keys, offer_keys
        Sorted (class, mask of kinds) of each row. Offers of class 0 or `mixed` may serve any need;
        needs of class 0 may be served by any offer; a mask of 0 leaves the kinds open.
    """
    runs: dict[tuple[int, int], tuple[int, int]] = {}
    for row, key in enumerate(offer_keys):
        start, _ = runs.get(key, (row, row))
        runs[key] = (start, row + 1)
    blocks: list[Block] = []
    start = 0
    while start < len(need_keys):
        own, masks = need_keys[start][0], {need_keys[start][1]}
        stop = start
        while stop < len(need_keys) and stop - start < rows and need_keys[stop][0] == own:
            if need_keys[stop][1] not in masks:
                # A block of few needs costs as much as one of many: different kinds share it.
                if stop - start >= rows // 4:
                    break
                masks.add(need_keys[stop][1])
            stop += 1
        stretches = [
            run
            for (theirs, given), run in runs.items()
            if (own == 0 or theirs in (0, own, mixed))
            and (given == 0 or any(mask == 0 or mask & given for mask in masks))
        ]
        blocks.append(Block(len(blocks), start, stop, _joined(stretches)))
        start = stop
    return tuple(blocks)


def plan_run(
    needs: Columns,
    offers: Columns,
    need_references: Sequence[str],
    offer_references: Sequence[str],
    apart: Iterable[tuple[int, int]],
    *,
    absent: Iterable[int],
    taxonomy: Taxonomy,
    forms: Forms,
    scale: TextScale,
    bands: Bands,
    day: int,
    best: int,
    versions: Versions,
    rows: int = ROWS,
) -> Plan:
    """Freeze the open posts of a day and cut them into blocks.

    Parameters
    ----------
    needs, offers
        The posts, open ones only, (n) and (m) rows.
    need_references, offer_references
        References of the rows.
    apart
        (need id, offer id) pairs that must not be matched.
    absent
        Ids of live needs that are not open.
    best
        Offers to be found for each need.
    rows
        Needs of a block; changes nothing in the result.
    """
    need_order = _order(need_references, needs["id"])
    offer_order = _order(offer_references, offers["id"])
    classes, masks = _place_classes(needs, taxonomy), _kind_masks(needs)
    need_rows = np.lexsort((need_order, needs["place"], masks, classes))
    need_keys = list(zip(classes[need_rows].tolist(), masks[need_rows].tolist(), strict=True))
    classes, masks = _reach_classes(offers, taxonomy), _kind_masks(offers)
    offer_rows = np.lexsort((offer_order, masks, classes))
    offer_keys = list(zip(classes[offer_rows].tolist(), masks[offer_rows].tolist(), strict=True))
    needs, offers = needs.take(need_rows), offers.take(offer_rows)
    tables = _tables(needs, offers, forms, scale, day)
    tables["place_points"] = np.ascontiguousarray(tables["place_points"])
    return Plan(
        needs,
        offers,
        **tables,
        need_order=need_order[need_rows],
        offer_order=offer_order[offer_rows],
        barred=_barred(needs, offers, apart),
        absent=tuple(sorted(absent)),
        blocks=cut_blocks(need_keys, offer_keys, len(_subregions(taxonomy)) + 1, rows),
        weights=forms.weights,
        best=best,
        bands=bands,
        versions=versions,
    )


def _order(references: Sequence[str], ids: NDArray[np.int64]) -> Rows:
    """Place of each row when sorted by reference, then id."""
    numbers = ids.tolist()
    rows = sorted(range(len(numbers)), key=lambda row: (references[row], numbers[row]))
    order = np.empty(len(numbers), np.int64)
    order[rows] = np.arange(len(numbers))
    return order


def _barred(needs: Columns, offers: Columns, apart: Iterable[tuple[int, int]]) -> Rows:
    """Rows of pairs kept apart, with those of one organisation, sorted by need."""
    need_rows = {int(number): row for row, number in enumerate(needs["id"])}
    offer_rows = {int(number): row for row, number in enumerate(offers["id"])}
    pairs = {
        (need_rows[need], offer_rows[offer])
        for need, offer in apart
        if need in need_rows and offer in offer_rows
    }
    own: dict[int, list[int]] = {}
    for row, organisation in enumerate(offers["organisation"].tolist()):
        if organisation:
            own.setdefault(organisation, []).append(row)
    for row, organisation in enumerate(needs["organisation"].tolist()):
        pairs.update((row, other) for other in own.get(organisation, ()))
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def score_block(plan: Plan, number: int) -> BlockResult:
    """Find the best offers of a block's needs: the same rows on any machine.

    Parameters
    ----------
    number
        Which of ``plan.blocks``.
    """
    block = plan.blocks[number]
    starts = np.array([start for start, _ in block.stretches], np.int64)
    sizes = np.array([stop - start for start, stop in block.stretches], np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    width = int(offsets[-1])
    rows = block.stop - block.start
    if not width:
        return BlockResult(number, MatchTable.joined([]), 0)
    # Room for whole groups of columns; what is beyond the offers stays barred.
    groups = min(max(GROUPS, 8 * plan.best), width)
    padded = -(-width // groups) * groups
    scores = np.full((rows, padded), np.float32(BARRED))
    inner = np.empty((rows, width), np.float32)
    for (start, stop), offset in zip(block.stretches, offsets.tolist(), strict=False):
        for first in range(start, stop, TILE):
            last = min(first + TILE, stop)
            here = slice(offset + first - start, offset + last - start)
            score_tile(
                plan,
                slice(block.start, block.stop),
                slice(first, last),
                scores[:, here],
                inner[:, here],
            )
    _bar_pairs(plan, block, scores, starts, sizes, offsets)
    local, column = candidates(scores, plan.best, groups)
    stretch = np.searchsorted(offsets, column, side="right") - 1
    offer_rows = starts[stretch] + column - offsets[stretch]
    need_rows = block.start + local
    likeness = plan.scale.likeness(inner[local, column])
    totals = pair_totals(plan.needs, plan.offers, need_rows, offer_rows, plan.weights, likeness)
    order = np.lexsort((plan.offer_order[offer_rows], -totals, plan.need_order[need_rows]))
    local, offer_rows, need_rows, totals = (
        local[order],
        offer_rows[order],
        need_rows[order],
        totals[order],
    )
    # Place of each candidate among those of its need.
    edges = np.flatnonzero(np.diff(local, prepend=-1))
    rank = np.arange(len(local)) - np.repeat(edges, np.diff(np.append(edges, len(local))))
    kept = rank < plan.best
    return BlockResult(
        number,
        MatchTable(
            plan.needs["id"][need_rows[kept]], plan.offers["id"][offer_rows[kept]], totals[kept]
        ),
        int(np.count_nonzero(scores > BARRED / 2)),
    )


def score_tile(tables: Tables, rows: slice, columns: slice, scores: Vector, inner: Vector) -> None:
    """Fill the nearly exact scores and the exact inner products of a tile of pairs.

    Parameters
    ----------
    rows, columns
        Rows of needs and of offers in the tables.
    scores, inner
        (rows, columns) float32, written in place; pairs that break a rule get less than
        ``BARRED`` / 2.
    """
    needs, offers = tables.needs, tables.offers
    np.matmul(needs["form"][rows], offers["form"][columns].T, out=scores)
    places = needs["place"][rows]
    edges = np.flatnonzero(np.diff(places, prepend=places[0] - 1)).tolist()
    if len(edges) <= ROWS:
        for start, stop in zip(edges, [*edges[1:], len(places)], strict=True):
            scores[start:stop] += tables.place_points[places[start], columns]
    else:
        scores += tables.place_points[:, columns][places]
    np.matmul(needs["text"][rows], offers["text"][columns].T, out=inner)
    work = inner * np.float32(1 / tables.scale.STEP)
    np.floor(work, out=work)
    steps = work.astype(np.int64)
    steps += tables.scale.HALF
    np.take(tables.text_points, steps, out=work, mode="clip")
    work[:, ~offers["text_stated"][columns]] = tables.silent_text
    work[~needs["text_stated"][rows]] = tables.silent_text
    scores += work
    tables.overlaps.add(scores, rows, columns, work, np.empty_like(work))
    _bar_windows(tables, rows, columns, scores)
    _bar_organisations(tables, rows, columns, scores)


def _bar_windows(tables: Tables, rows: slice, columns: slice, scores: Vector) -> None:
    later = np.flatnonzero(tables.offers["opens"][columns] > tables.day)
    if len(later):
        closed = tables.needs["closes"][rows, None] < tables.offers["opens"][columns][later]
        scores[:, later] += np.where(closed, np.float32(BARRED), np.float32(0))


def _bar_organisations(tables: Tables, rows: slice, columns: slice, scores: Vector) -> None:
    picky = np.flatnonzero(tables.offers["kinds_restricted"][columns])
    if len(picky):
        kinds = tables.needs["organisation_kind"][rows]
        served = tables.offers["kinds_served"][columns][picky].T[np.maximum(kinds, 0)]
        barred = ~served & (kinds != NONE)[:, None]
        scores[:, picky] += np.where(barred, np.float32(BARRED), np.float32(0))


def _bar_pairs(
    plan: Plan, block: Block, scores: Vector, starts: Rows, sizes: Rows, offsets: Rows
) -> None:
    first, last = np.searchsorted(plan.barred[:, 0], [block.start, block.stop])
    pairs = plan.barred[first:last]
    stretch = np.searchsorted(starts, pairs[:, 1], side="right") - 1
    inside = (stretch >= 0) & (pairs[:, 1] < (starts + sizes)[stretch])
    pairs, stretch = pairs[inside], stretch[inside]
    scores[pairs[:, 0] - block.start, offsets[stretch] + pairs[:, 1] - starts[stretch]] = BARRED


def candidates(scores: Vector, best: int, groups: int) -> tuple[Rows, Rows]:
    """Find the pairs that may be among the best of their row.

    Parameters
    ----------
    scores
        (rows, a multiple of `groups`) float32.

    Returns
    -------
    Rows and columns of the candidates, (c,) each, by row.
    """
    rows, width = scores.shape
    maxima = scores.reshape(rows, width // groups, groups).max(axis=1)
    if groups > best:
        # Each of the k largest maxima is some pair's score: no less than k pairs reach the least.
        least = np.partition(maxima, groups - best, axis=1)[:, groups - best]
    else:
        least = np.full(rows, np.float32(BARRED))
    floor = np.maximum(least - np.float32(2 * MARGIN), np.float32(BARRED / 2))
    found = np.flatnonzero(scores > floor[:, None])
    return np.divmod(found, width)


def run_blocks(
    plan: Plan,
    *,
    done: Container[int] = (),
    workers: int | None = None,
) -> Iterator[BlockResult]:
    """Score the blocks of a plan that are not done yet, on threads, in no particular order.

    Parameters
    ----------
    done
        Numbers of blocks that need not be scored again.
    workers
        Threads; by default one a processor.
    """
    waiting = [block.number for block in plan.blocks if block.number not in done]
    workers = workers or os.cpu_count() or 1
    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        running: set[Future[BlockResult]] = set()
        try:
            while waiting or running:
                while waiting and len(running) < 2 * workers:
                    running.add(pool.submit(score_block, plan, waiting.pop()))
                ready, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()


def gather(plan: Plan, results: Iterable[BlockResult]) -> MatchRun:
    """Put the results of all blocks of a plan together, in whatever order they come.

    Raises
    ------
    ValueError
        A block is missing or comes twice.
    """
    found = sorted(results, key=lambda result: result.number)
    if [result.number for result in found] != [block.number for block in plan.blocks]:
        raise ValueError("the results are not those of the plan's blocks, once each")
    table = MatchTable.joined([result.table for result in found])
    ids = plan.needs["id"]
    by_id = np.argsort(ids)
    order = plan.need_order[by_id[np.searchsorted(ids, table.need_ids, sorter=by_id)]]
    table = table[np.argsort(order, kind="stable")]
    served = table.need_ids[table.scores >= round(plan.bands.possible * MICRO)]
    nobody = ids[np.argsort(plan.need_order)]
    nobody = nobody[~np.isin(nobody, served)].tolist()
    return MatchRun(
        table=table,
        nobody=tuple(nobody),
        not_open=plan.absent,
        eligible_pairs=sum(result.eligible_pairs for result in found),
        versions=plan.versions,
        bands=plan.bands,
    )


def complete(
    plan: Plan,
    *,
    done: Iterable[BlockResult] = (),
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> MatchRun:
    """Score what is left of a plan and put everything together.

    Parameters
    ----------
    done
        Results of blocks that were scored before, for a run that is resumed.
    progress
        Told after every block how many needs are done, of how many.
    workers
        Threads; by default one a processor.
    """
    results = list(done)
    sizes = [block.stop - block.start for block in plan.blocks]
    count = sum(sizes[result.number] for result in results)
    for result in run_blocks(plan, done={result.number for result in results}, workers=workers):
        results.append(result)
        count += sizes[result.number]
        if progress is not None:
            progress(count, len(plan.needs))
    return gather(plan, results)
