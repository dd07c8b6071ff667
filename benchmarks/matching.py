"""Speed and memory of the matching engine, against named alternatives in the same run.

    python -m benchmarks.matching                    # 1,000² and 10,000², single posts at 100,000
    python -m benchmarks.matching --sizes 100000     # a whole book of 100,000² (minutes)

Each measurement runs in a process of its own, so that its peak memory is its own; it makes the same
exchange from the same seed. The alternatives look at the texts alone, without eligibility, facets
or exact scores: they do less.
"""

import argparse
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.exchange import TODAY, Exchange, Likeness, generate, load_taxonomy
from matching import Book
from matching.forms import Forms
from matching.run import within_reach

BEST = 20
"""Offers that are asked for, for each need."""
ENCODER = 384
"""Numbers in a raw vector of the sentence encoder."""
REPEATS = 5
"""A measurement is the best of so many, to see past what else the machine does."""


@dataclass(frozen=True)
class Measurement:
    """What one method took.

    Attributes
    ----------
    first, best
        Time of a whole book by the clock: the first in a new process, as a nightly run is, and the
        best of a few.
    processor
        Least processor time, all threads together: hardly depends on what else the machine does.
    megabytes
        Peak resident memory of the process, the exchange included.
    note
        What it did, and anything that is worth knowing.
    """

    first: float
    best: float
    processor: float
    megabytes: float
    note: str


def best_of(run: Callable[[], Any], repeats: int) -> tuple[float, float, float]:
    """First and shortest time of a few runs, and least processor time, in seconds."""
    times, processor = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        run()
        times.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return times[0], min(times), min(processor)


def peak_megabytes() -> float:
    """Peak resident memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def make_book(exchange: Exchange) -> Book:
    """A book that holds an exchange."""
    book = Book(load_taxonomy(), Likeness())
    book.put_needs(exchange.needs, exchange.need_vectors)
    book.put_offers(exchange.offers, exchange.offer_vectors)
    return book


def measure_engine(size: int, repeats: int) -> Measurement:
    """The engine: eligibility, full score, exact best offers of every need."""
    exchange = generate(size, words=False)
    book = make_book(exchange)
    del exchange

    def progress(done: int, total: int) -> None:
        if size >= 100_000 and sys.stderr.isatty():
            print(f"\r{done:,} of {total:,} needs", end="", file=sys.stderr)

    found = []

    def run() -> None:
        found[:] = [book.run(BEST, on=TODAY, progress=progress)]

    first, best, processor = best_of(run, repeats)
    plan = book.plan(BEST, on=TODAY)
    looked = sum(
        (block.stop - block.start) * len(within_reach(plan, slice(block.start, block.stop)))
        for block in plan.blocks
    )
    width = Forms(book.taxonomy, book.weights).width + book.dimension
    share = 2 * looked * width / processor / 1e9 / blas_speed()
    return Measurement(
        first,
        best,
        processor,
        peak_megabytes(),
        f"full score, eligibility; {found[0].eligible_pairs / size**2:.0%} of pairs eligible, "
        f"{looked / size**2:.0%} looked at; {processor / size**2 * 1e9:.1f} ns of a processor a pair; "
        f"{share:.0%} of BLAS speed",
    )


def measure_sklearn(size: int, repeats: int) -> Measurement:
    """scikit-learn: brute-force cosine neighbours on TF-IDF text."""
    from sklearn.neighbors import NearestNeighbors

    exchange = generate(size, posts=False)
    search = NearestNeighbors(n_neighbors=BEST, metric="cosine", algorithm="brute")
    search.fit(exchange.offer_words)
    times = best_of(lambda: search.kneighbors(exchange.need_words), min(repeats, 3))
    return Measurement(*times, peak_megabytes(), "words of the text alone")


def measure_sparse(size: int, repeats: int) -> Measurement:
    """sparse_dot_topn: sparse product of TF-IDF text, the best of each row."""
    from sparse_dot_topn import sp_matmul_topn

    exchange = generate(size, posts=False)
    needs, offers = exchange.need_words, exchange.offer_words.T.tocsr()
    times = best_of(
        lambda: sp_matmul_topn(needs, offers, top_n=BEST, n_threads=os.cpu_count()), repeats
    )
    return Measurement(*times, peak_megabytes(), "words of the text alone")


def measure_blas(size: int, repeats: int) -> Measurement:
    """NumPy: float32 product of 384-dimensional vectors in blocks, argpartition, sort."""
    rng = np.random.default_rng(1)
    needs = rng.standard_normal((size, ENCODER), dtype=np.float32)
    offers = rng.standard_normal((ENCODER, size), dtype=np.float32)

    def run() -> None:
        for start in range(0, size, 1000):
            scores = needs[start : start + 1000] @ offers
            best = np.argpartition(scores, -BEST, axis=1)[:, -BEST:]
            np.take_along_axis(best, np.argsort(np.take_along_axis(scores, best, 1), 1), 1)

    return Measurement(*best_of(run, repeats), peak_megabytes(), "vectors of the text alone")


METHODS: dict[str, Callable[[int, int], Measurement]] = {
    "this engine": measure_engine,
    "scikit-learn NearestNeighbors(cosine, brute)": measure_sklearn,
    "sparse_dot_topn": measure_sparse,
    "NumPy BLAS + argpartition": measure_blas,
}


def blas_speed() -> float:
    """Speed of this machine's float32 matrix product, in GFLOP/s of one processor."""
    rng = np.random.default_rng(0)
    a = rng.random((2048, 1024), dtype=np.float32)
    out = np.empty((2048, 2048), np.float32)
    *_, processor = best_of(lambda: np.matmul(a, a.T[:, :2048], out=out), 10)
    return 2 * 2048 * 2048 * 1024 / processor / 1e9


def memory_bandwidth() -> float:
    """Bandwidth of memory to one processor (a += b on 256 MB), in GB/s."""
    a, b = np.ones(2**25, np.float32), np.ones(2**25, np.float32)
    return 3 * a.nbytes / best_of(lambda: np.add(a, b, out=a), 5)[1] / 1e9


@dataclass(frozen=True)
class Latencies:
    """Times of single acts on a large book, in milliseconds: median and 95th percentile."""

    acts: dict[str, tuple[float, float]]
    megabytes: float
    put_seconds: float


def measure_single(size: int, tries: int) -> Latencies:
    """Ranking and editing single posts in a book of `size` needs and offers."""
    exchange = generate(size, words=False)
    start = time.perf_counter()
    book = make_book(exchange)
    put_seconds = time.perf_counter() - start
    fresh = generate(tries, seed=2, words=False)
    acts: dict[str, list[float]] = {}

    def timed(act: str, run: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        begun = time.perf_counter()
        run(*arguments, **named)
        acts.setdefault(act, []).append((time.perf_counter() - begun) * 1000)

    def rank_and_explain(need_id: int) -> None:
        for match in book.rank_offers(need_id, BEST, on=TODAY):
            book.explain(need_id, match.offer_id, on=TODAY)

    for number in range(tries):
        need = replace(fresh.needs[number], id=size + 1 + number)
        offer = replace(fresh.offers[number], id=size + 1 + number)
        ours, theirs = fresh.need_vectors[number], fresh.offer_vectors[number]
        timed("preview of a need", book.preview, need, ours, BEST, on=TODAY)
        timed("posting a need", book.put_need, need, ours)
        timed(f"best {BEST} offers of a need, each explained", rank_and_explain, need.id)
        timed("editing a need", book.put_need, replace(need, dimension="1"), ours)
        timed("withdrawing a need", book.remove_need, need.id)
        timed("posting an offer", book.put_offer, offer, theirs)
        timed(f"best {BEST} needs of an offer", book.rank_needs, offer.id, BEST, on=TODAY)
        timed("withdrawing an offer", book.remove_offer, offer.id)
        timed("ledger of a need", book.ledger, exchange.needs[number].id, on=TODAY)
    return Latencies(
        {
            act: (float(np.percentile(times, 50)), float(np.percentile(times, 95)))
            for act, times in acts.items()
        },
        peak_megabytes(),
        put_seconds,
    )


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def report(sizes: Iterable[int], single: int, everything: bool) -> None:
    """Print the tables, as Markdown."""
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors; "
        f"Python {platform.python_version()}, NumPy {np.__version__}. "
        f"Float32 matrix product {apart(blas_speed):.0f} GFLOP/s a processor; "
        f"memory {apart(memory_bandwidth):.0f} GB/s (one processor)."
    )
    for size in sizes:
        print(f"\n{size:,} needs × {size:,} offers, best {BEST}:\n")
        print("| method | first run | best run | processor time | peak memory | what it does |")
        print("|---|---:|---:|---:|---:|---|")
        repeats = REPEATS if size <= 10_000 else 1
        own: Measurement | None = None
        for name, measure in METHODS.items():
            if size > 20_000 and name != "this engine" and not everything:
                continue
            found: Measurement = apart(measure, size, repeats)
            own = own or found
            print(
                f"| {name} | {found.first:.3g} s ({found.first / own.first:.2g} ×) "
                f"| {found.best:.3g} s ({found.best / own.best:.2g} ×) "
                f"| {found.processor:.3g} s ({found.processor / own.processor:.2g} ×) "
                f"| {found.megabytes:,.0f} MB | {found.note} |",
                flush=True,
            )
    if single:
        latencies: Latencies = apart(measure_single, single, 200)
        print(f"\nSingle acts on a book of {single:,} needs and {single:,} offers:\n")
        print("| act | median | 95th percentile |\n|---|---:|---:|")
        for act, (middle, high) in latencies.acts.items():
            print(f"| {act} | {middle:.3g} ms | {high:.3g} ms |")
        print(
            f"\nPeak memory {latencies.megabytes:,.0f} MB; putting the posts in took "
            f"{latencies.put_seconds:.0f} s ({latencies.put_seconds / single / 2 * 1e3:.2f} ms each)."
        )


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument(
        "--single", type=int, default=100_000, help="posts a side for single acts; 0 to leave out"
    )
    parser.add_argument(
        "--everything", action="store_true", help="run the alternatives on large books too"
    )
    chosen = parser.parse_args(arguments)
    report(chosen.sizes, chosen.single, chosen.everything)


if __name__ == "__main__":
    main()
