"""Match runs: the best offers of every need, over the whole book, in blocks.

A ``Plan`` is a frozen picture of the book on one day. Its blocks are scored one by one, by threads
here or by workers elsewhere; each gives the same rows wherever and in whatever order it is scored,
so a run can be interrupted, resumed, spread over machines and repeated to the byte.

How a block is scored: its needs are of one place or subregion and ask for the same kinds of
support, so that only offers that reach them and give those are looked at. For these there is one
matrix product for facets (``forms``) and one, exact, for the texts, plus what is added element by
element. The k-th largest of a few hundred group maxima bounds the k-th best offer from below; the
some 21 offers a need above that bound are scored in full (``pairs``), and the k best are exact.
"""

import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from matching.columns import Columns, Rows
from matching.forms import BARRED, MARGIN, Forms
from matching.pairs import pair_totals
from matching.score import MICRO, Bands, TextScale, Vector, Weights
from matching.taxonomy import REGIONAL, Taxonomy

ROWS = 512
"""Needs of a block, at most."""
FEW = 128
"""Needs below which a block is shared with those of other places and kinds."""
TILE = 2048
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
    """Needs that are scored together.

    Attributes
    ----------
    number
        Place in the plan.
    start, stop
        Rows of needs in the plan.
    """

    number: int
    start: int
    stop: int


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
    need_order
        (n,) place of each need when sorted by reference, then id. Offers lie in that order, which
        breaks ties.
    kinds
        (n,) and (m,) kinds of support as bits, 0 where they are not stated.
    barred
        (b, 2) rows of needs and offers that are kept apart (conflicts, dismissals, own
        organisation), sorted by need.
    absent
        Ids of live needs that are not open on that day, sorted.
    best
        Offers to be found for each need.
    """

    need_order: Rows
    need_kinds: Rows
    offer_kinds: Rows
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
    need_states: Mapping[str, NDArray[np.bool_]]

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
            need_ends=days(needs, "ends", -1e9) + np.float32(1),
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
            need_states=forms.overlap_stated(needs, "wanted"),
        )

    def add(
        self, scores: Vector, rows: slice, columns: Rows | slice, work: Vector, more: Vector
    ) -> None:
        """Add the points of a tile to its scores; `work` and `more` are room of the same shape.

        Rows that state something lie together where that is possible, see ``plan_run``.
        """
        for part, add in (
            ("period", self._period),
            ("money", self._money),
            ("places", self._places),
        ):
            for some in _runs(self.need_states[part][rows]):
                points = work[some]
                add(
                    slice(rows.start + some.start, rows.start + some.stop),
                    columns,
                    points,
                    more[some],
                )
                np.clip(points, 0, np.float32(self.points[part]), out=points)
                scores[some] += points

    def _period(self, rows: slice, columns: Rows | slice, points: Vector, work: Vector) -> None:
        np.minimum(self.need_ends[rows, None], self.offer_ends[columns], out=points)
        np.maximum(self.need_starts[rows, None], self.offer_starts[columns], out=work)
        points -= work
        points *= self.need_days[rows, None]

    def _money(self, rows: slice, columns: Rows | slice, points: Vector, work: Vector) -> None:
        np.multiply(self.need_money[rows, None], self.offer_money[columns], out=points)
        np.multiply(self.need_most[rows, None], self.offer_least[columns], out=work)
        np.minimum(points, work, out=points)

    def _places(self, rows: slice, columns: Rows | slice, points: Vector, _: Vector) -> None:
        np.multiply(self.need_places[rows, None], self.offer_places[columns], out=points)


def _runs(flags: NDArray[np.bool_]) -> list[slice]:
    """Stretches of rows that hold all the true flags; one for all where they are scattered."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False)).tolist()
    if len(edges) > 16:
        return [slice(edges[0], edges[-1])]
    return [slice(first, last) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def open_needs(needs: Columns, day: int) -> NDArray[np.bool_]:
    """Which needs can be matched at all on a day."""
    return np.asarray(needs["live"] & needs["published"] & (needs["closes"] >= day))


def open_offers(offers: Columns, day: int) -> NDArray[np.bool_]:
    """Which offers can be matched at all on a day."""
    exhausted = offers["no_capacity"] | offers["no_money"]
    return np.asarray(offers["live"] & offers["published"] & (offers["closes"] >= day) & ~exhausted)


def _homes(needs: Columns, taxonomy: Taxonomy) -> NDArray[np.int64]:
    """Number of the subregion of each need's place; 0 for the whole region and beyond."""
    names = sorted(set(taxonomy.members) - {REGIONAL})
    homes = [place if place in names else taxonomy.subregion(place) for place in taxonomy.places]
    numbers = [names.index(home) + 1 if home is not None else 0 for home in homes]
    return np.asarray([*numbers, 0])[needs["place"]]


def cut_blocks(keys: Sequence[tuple[int, ...]], rows: int = ROWS) -> tuple[Block, ...]:
    """Cut sorted needs into blocks of like ones.

    A block begins where the key changes, unless few needs came before, or when it is full. Like
    needs share the offers that can be for them; a block of few needs costs as much as one of many.

    Parameters
    ----------
    keys
        Key of each need, sorted.
    rows
        Needs of a block, at most.

    Examples
    --------
    >>> [(block.start, block.stop) for block in cut_blocks([(0,), (0,), (1,)], rows=2)]
    [(0, 2), (2, 3)]
    """
    few = min(FEW, rows)
    changes = [n for n in range(1, len(keys)) if keys[n] != keys[n - 1]]
    edges = [0]
    for change in changes:
        if change - edges[-1] >= few:
            edges.append(change)
    if keys:
        edges.append(len(keys))
    blocks: list[Block] = []
    for start, stop in pairwise(edges):
        parts = -(-(stop - start) // rows)
        cuts = [start + (stop - start) * part // parts for part in range(parts + 1)]
        blocks += [
            Block(len(blocks) + n, first, last) for n, (first, last) in enumerate(pairwise(cuts))
        ]
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
    homes, masks = _homes(needs, taxonomy), needs.masks("support_kinds")
    need_rows = np.lexsort((need_order, needs["place"], masks, homes))
    keys = np.stack([homes, masks, needs["place"]], axis=1)[need_rows].tolist()
    offer_rows = np.argsort(offer_order)
    blocks = cut_blocks([tuple(key) for key in keys], rows)
    # Within a block, needs that state their money, places and period lie together.
    block_of = np.repeat(np.arange(len(blocks)), [block.stop - block.start for block in blocks])
    stated = forms.overlap_stated(needs.take(need_rows), "wanted")
    need_rows = need_rows[
        np.lexsort((stated["period"], stated["places"], stated["money"], block_of))
    ]
    needs, offers = needs.take(need_rows), offers.take(offer_rows)
    tables = _tables(needs, offers, forms, scale, day)
    tables["place_points"] = np.ascontiguousarray(tables["place_points"])
    return Plan(
        needs,
        offers,
        **tables,
        need_order=need_order[need_rows],
        need_kinds=needs.masks("support_kinds"),
        offer_kinds=offers.masks("support_kinds"),
        barred=_barred(needs, offers, apart),
        absent=tuple(sorted(absent)),
        blocks=blocks,
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
    rows = slice(block.start, block.stop)
    columns = within_reach(plan, rows)
    count, width = block.stop - block.start, len(columns)
    if not width:
        return BlockResult(number, MatchTable.joined([]), 0)
    # Room for whole groups of columns; what is beyond the offers stays barred.
    groups = min(max(GROUPS, 8 * plan.best), width)
    scores = np.full((count, -(-width // groups) * groups), np.float32(BARRED))
    inner = np.empty((count, width), np.float32)
    for start in range(0, width, TILE):
        tile = slice(start, min(start + TILE, width))
        score_tile(plan, rows, columns[tile], scores[:, tile], inner[:, tile])
    _bar_pairs(plan, block, columns, scores)
    local, column = candidates(scores, plan.best, groups)
    need_rows, offer_rows = block.start + local, columns[column]
    likeness = plan.scale.likeness(inner[local, column])
    totals = pair_totals(plan.needs, plan.offers, need_rows, offer_rows, plan.weights, likeness)
    order = np.lexsort((offer_rows, -totals, plan.need_order[need_rows]))
    local, need_rows, offer_rows = local[order], need_rows[order], offer_rows[order]
    totals = totals[order]
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


def within_reach(plan: Plan, rows: slice) -> Rows:
    """Offers that serve the place and give a kind of support of any need of a block, in order."""
    places = np.unique(plan.needs["place"][rows])
    reached = (plan.place_points[places] > BARRED / 2).any(axis=0)
    masks = np.unique(plan.need_kinds[rows])
    given = (plan.offer_kinds == 0) | (0 in masks)
    for mask in masks.tolist():
        given |= (plan.offer_kinds & mask) != 0
    return np.flatnonzero(reached & given)


def score_tile(
    tables: Tables, rows: slice, columns: Rows | slice, scores: Vector, inner: Vector
) -> None:
    """Fill the nearly exact scores and the exact inner products of a tile of pairs.

    Parameters
    ----------
    rows, columns
        Rows of needs and of offers.
    scores, inner
        (rows, columns) float32, written in place; pairs that break a rule get less than
        ``BARRED`` / 2.
    """
    needs, offers = tables.needs, tables.offers
    np.matmul(needs["form"][rows], offers["form"][columns].T, out=scores)
    np.matmul(needs["text"][rows], offers["text"][columns].T, out=inner)
    _add_places(tables, rows, columns, scores)
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


def _add_places(tables: Tables, rows: slice, columns: Rows | slice, scores: Vector) -> None:
    places, of_row = np.unique(tables.needs["place"][rows], return_inverse=True)
    scores += tables.place_points[places][:, columns][of_row]


def _bar_windows(tables: Tables, rows: slice, columns: Rows | slice, scores: Vector) -> None:
    opens, closes = tables.offers["opens"][columns], tables.needs["closes"][rows]
    late = np.flatnonzero(opens > closes.min())
    early = np.flatnonzero(closes < opens.max())
    if len(late) and len(early):
        barred = closes[early, None] < opens[late]
        scores[np.ix_(early, late)] += np.where(barred, np.float32(BARRED), np.float32(0))


def _bar_pairs(plan: Plan, block: Block, columns: Rows, scores: Vector) -> None:
    first, last = np.searchsorted(plan.barred[:, 0], [block.start, block.stop])
    pairs = plan.barred[first:last]
    column = np.minimum(np.searchsorted(columns, pairs[:, 1]), len(columns) - 1)
    inside = columns[column] == pairs[:, 1]
    scores[pairs[inside, 0] - block.start, column[inside]] = BARRED


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
