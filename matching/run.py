"""Match runs: the best offers of every need, over the whole book, in blocks.

A ``Plan`` is a frozen picture of the book on one day. Its blocks are scored one by one, by threads
here or by workers elsewhere; each gives the same rows wherever and in whatever order it is scored,
so a run can be interrupted, resumed, spread over machines and repeated to the byte.

A block's needs are of one place or subregion and ask for the same kinds of support, so that only
offers that reach them and give those are looked at. How the best of them are found without scoring
all of them in full is told in ``bound``.
"""

import os
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from matching.bound import (
    Tables,
    TextBound,
    bar_groups,
    bar_own,
    bar_windows,
    bound_tile,
    find_best,
    widened,
)
from matching.columns import Columns, Rows
from matching.forms import BARRED
from matching.pairs import pair_totals
from matching.score import MICRO, Bands, TextScale, Vector, Weights
from matching.taxonomy import REGIONAL, Taxonomy

ROWS = 512
"""Needs of a block, at most."""
FEW = 96
"""Needs below which a block is shared with those of other places and kinds."""
TILE = 2048
"""Offers that are looked at together, so that a tile stays in the processor's cache."""


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
        (b, 2) rows of needs and offers that are kept apart (conflicts, dismissals), sorted by need.
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
    scale: TextScale
    blocks: tuple[Block, ...]
    weights: Weights
    best: int
    bands: Bands
    versions: Versions


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
    text: TextBound,
    scale: TextScale,
    weights: Weights,
    bands: Bands,
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
    needs, offers = needs.take(need_rows), offers.take(offer_rows)
    return Plan(
        needs=needs,
        offers=offers,
        place_points=np.ascontiguousarray(offers["place_points"].T),
        text=text,
        scale=scale,
        need_order=need_order[need_rows],
        need_kinds=needs.masks("support_kinds"),
        offer_kinds=offers.masks("support_kinds"),
        barred=_barred(needs, offers, apart),
        absent=tuple(sorted(absent)),
        blocks=cut_blocks([tuple(key) for key in keys], rows),
        weights=weights,
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
    """Rows of pairs kept apart, sorted by need."""
    need_rows = {int(number): row for row, number in enumerate(needs["id"])}
    offer_rows = {int(number): row for row, number in enumerate(offers["id"])}
    pairs = {
        (need_rows[need], offer_rows[offer])
        for need, offer in apart
        if need in need_rows and offer in offer_rows
    }
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
    bounds = np.full((count, widened(width, plan.best)), np.float32(BARRED))
    inner = np.empty((count, width), np.float32)
    for start in range(0, width, TILE):
        tile = slice(start, min(start + TILE, width))
        bound_tile(plan, rows, columns[tile], bounds[:, tile], inner[:, tile])
    bar_windows(plan, rows, columns, bounds)
    bar_groups(plan, rows, columns, bounds)
    bar_own(plan, rows, columns, bounds)
    _bar_pairs(plan, block, columns, bounds)

    def pairs(local: Rows, column: Rows) -> tuple[Rows, Rows]:
        return block.start + local, columns[column]

    local, column, products = find_best(plan, pairs, bounds, inner, plan.best)
    need_rows, offer_rows = pairs(local, column)
    likeness = plan.scale.likeness(products)
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
        int(np.count_nonzero(bounds >= BARRED / 2)),
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


def _bar_pairs(plan: Plan, block: Block, columns: Rows, bounds: Vector) -> None:
    first, last = np.searchsorted(plan.barred[:, 0], [block.start, block.stop])
    pairs = plan.barred[first:last]
    column = np.minimum(np.searchsorted(columns, pairs[:, 1]), len(columns) - 1)
    inside = columns[column] == pairs[:, 1]
    bounds[pairs[inside, 0] - block.start, column[inside]] = BARRED


def run_blocks(
    plan: Plan,
    *,
    done: Container[int] = (),
    workers: int | None = None,
    executor: Executor | None = None,
    plan_there: Any = None,
) -> Iterator[BlockResult]:
    """Score the blocks of a plan that are not done yet, in no particular order.

    Parameters
    ----------
    done
        Numbers of blocks that need not be scored again.
    workers
        Blocks that are scored at the same time; by default one a processor.
    executor
        Where: by default, threads of this process. On a Dask cluster, ``client.get_executor()``.
    plan_there
        What stands for the plan at the executor's, where it is not to be sent with each block: on
        Dask, ``client.scatter(plan, broadcast=True)``.
    """
    workers = workers or os.cpu_count() or 1
    if executor is None:
        with threadpool_limits(1), ThreadPoolExecutor(workers) as threads:
            yield from run_blocks(plan, done=done, workers=workers, executor=threads)
        return
    shown = plan if plan_there is None else plan_there
    waiting = deque(block.number for block in plan.blocks if block.number not in done)
    running: set[Future[BlockResult]] = set()
    try:
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                running.add(executor.submit(score_block, shown, waiting.popleft()))
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
