"""Speed, memory and optimality of the clearing, against named alternatives in the same run.

    python -m benchmarks.clearing                          # 1,000² and 10,000², 20 candidates each
    python -m benchmarks.clearing --sizes 1000 --limit 60
    python -m benchmarks.clearing --midl FOLDER            # a real allocation: scores.npy, …
    python -m benchmarks.clearing --alternatives FOLDER    # where PyPI's `matching` is installed

Each measurement runs in a process of its own, so that its peak memory is its own; it draws the same
exchange from the same seed, and is stopped at the limit. PyPI's `matching` bears the name of our
own package, so it is never installed beside it:

    pip install --no-deps --target FOLDER matching
"""

import argparse
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import sparse

CANDIDATES = 20
"""Eligible offers of each need."""
COUNTRIES = 33
"""Groups under the fair policy."""
LONG = 10.0
"""A method that takes longer than so many seconds is measured once."""
POINTS = 1_000_000
"""Units in a score point, for methods that know whole numbers only."""


@dataclass(frozen=True)
class Exchange:
    """An exchange, by pairs: `demand` and `capacity` are places of each need and offer."""

    need: NDArray[np.int64]
    offer: NDArray[np.int64]
    score: NDArray[np.float64]
    demand: NDArray[np.int64]
    capacity: NDArray[np.int64]
    country: NDArray[np.int64]

    @property
    def scores(self) -> Any:
        shape = (len(self.demand), len(self.capacity))
        return sparse.coo_array((self.score, (self.need, self.offer)), shape=shape)


@dataclass(frozen=True)
class Measurement:
    """What one method took.

    Attributes
    ----------
    seconds, processor
        Median time by the clock, and of the processor: the second says more on a busy machine.
    megabytes
        Peak resident memory of the process, the exchange and all libraries included.
    total
        Sum of scores that it reached.
    note
        Anything else that is worth knowing.
    """

    seconds: float
    processor: float
    megabytes: float
    total: float
    note: str = ""


def generate(size: int, single: bool = False) -> Exchange:
    """Draw as many needs as offers; scores of 0 to 100, one to three places each, or one."""
    random = np.random.default_rng(0)
    offer = np.concatenate([random.choice(size, CANDIDATES, replace=False) for _ in range(size)])
    most = 2 if single else 4
    return Exchange(
        need=np.repeat(np.arange(size), CANDIDATES),
        offer=offer,
        score=random.random(size * CANDIDATES) * 100,
        demand=random.integers(1, most, size),
        capacity=random.integers(1, 4, size),
        country=random.integers(0, COUNTRIES, size),
    )


def timed(run: Callable[[], tuple[float, str]], repeats: int) -> Measurement:
    """Median time of a few runs, or the time of one that is long."""
    times, worked = [], []
    for _ in range(repeats):
        start, begun = time.perf_counter(), time.process_time()
        total, note = run()
        times.append(time.perf_counter() - start)
        worked.append(time.process_time() - begun)
        if times[0] > LONG:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak / (2**20 if sys.platform == "darwin" else 2**10)
    median = statistics.median
    return Measurement(median(times), median(worked), megabytes, total, note)


def measure_policy(size: int, repeats: int, policy: str, single: bool = False) -> Measurement:
    """This engine."""
    from matching.clearing import clear

    exchange = generate(size, single)

    def run() -> tuple[float, str]:
        found = clear(
            exchange.scores,
            exchange.demand,
            exchange.capacity,
            groups=exchange.country,
            policy=policy,  # type: ignore[arg-type]
        )
        proof = found.certificate
        if policy == "stable":
            return found.total, f"{len(proof.blocking_pairs or ())} blocking pairs; prices"
        note = f"proven gap {proof.gap:.2g}; prices"
        if policy == "fair":
            short = max(row.bound - row.level for row in proof.levels if row.bound is not None)
            note += (
                f"; worst-served country {min(row.level for row in proof.levels):.3f}, "
                f"at most {short:.3f} below the bound for divisible places; depth {proof.depth}"
            )
        return found.total, note

    return timed(run, repeats)


def measure_linprog(size: int, repeats: int) -> Measurement:
    """SciPy's linprog on the whole linear program, with duals."""
    from scipy.optimize import linprog

    exchange = generate(size)
    pairs = len(exchange.score)

    def run() -> tuple[float, str]:
        column = np.arange(pairs)
        rows = sparse.vstack(
            [
                sparse.csr_array((np.ones(pairs), (at, column)), shape=(size, pairs))
                for at in (exchange.need, exchange.offer)
            ]
        )
        places = np.concatenate([exchange.demand, exchange.capacity])
        found = linprog(-exchange.score, A_ub=rows, b_ub=places, bounds=(0, 1), method="highs-ipm")
        return -found.fun, "duals, whichever the solver meets"

    return timed(run, repeats)


def measure_ortools(size: int, repeats: int) -> Measurement:
    """OR-tools' min-cost flow, on scores in whole millionths."""
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

    exchange = generate(size)

    def run() -> tuple[float, str]:
        graph = SimpleMinCostFlow()
        need, offer, end = np.arange(size), np.arange(size) + size, 2 * size
        cost = np.rint(-exchange.score * POINTS).astype(np.int64)
        pairs = graph.add_arcs_with_capacity_and_unit_cost(
            exchange.need, exchange.offer + size, np.ones(len(cost), np.int64), cost
        )
        ends, none = np.full(size, end), np.zeros(size, np.int64)
        graph.add_arcs_with_capacity_and_unit_cost(offer, ends, exchange.capacity, none)
        graph.add_arcs_with_capacity_and_unit_cost(need, ends, exchange.demand, none)
        graph.set_nodes_supplies(need, exchange.demand)
        graph.set_node_supply(end, -int(exchange.demand.sum()))
        if graph.solve() != graph.OPTIMAL:
            raise RuntimeError("no optimum")
        return float(exchange.score @ graph.flows(pairs)), "no duals; scores rounded"

    return timed(run, repeats)


def measure_networkx(size: int, repeats: int) -> Measurement:
    """networkx' network simplex, on scores in whole millionths."""
    import networkx

    exchange = generate(size)

    def run() -> tuple[float, str]:
        graph = networkx.DiGraph()
        graph.add_node("end", demand=int(exchange.demand.sum()))
        for post in range(size):
            graph.add_node(("need", post), demand=-int(exchange.demand[post]))
            graph.add_edge(("need", post), "end", weight=0)
            graph.add_edge(("offer", post), "end", capacity=int(exchange.capacity[post]), weight=0)
        for need, offer, score in zip(
            exchange.need.tolist(), exchange.offer.tolist(), exchange.score.tolist(), strict=True
        ):
            weight = -round(score * POINTS)
            graph.add_edge(("need", need), ("offer", offer), capacity=1, weight=weight)
        cost, _ = networkx.network_simplex(graph)
        return -cost / POINTS, "no duals; scores rounded"

    return timed(run, repeats)


def measure_matching(size: int, repeats: int, folder: str) -> Measurement:
    """PyPI's `matching`: hospitals and residents, one place a need."""
    sys.path.insert(0, folder)
    # It copies its players deeply, each through all whom it ranks.
    sys.setrecursionlimit(10**6)
    threading.stack_size(2**29)
    from matching.games import HospitalResident

    exchange = generate(size, single=True)

    def run() -> tuple[float, str]:
        needs: dict[str, list[str]] = {f"n{post}": [] for post in range(size)}
        offers: dict[str, list[str]] = {f"o{post}": [] for post in range(size)}
        score = {}
        for pair in np.argsort(-exchange.score, kind="stable"):
            need, offer = f"n{exchange.need[pair]}", f"o{exchange.offer[pair]}"
            needs[need].append(offer)
            offers[offer].append(need)
            score[need, offer] = float(exchange.score[pair])
        places = {f"o{post}": int(exchange.capacity[post]) for post in range(size)}
        wanted = {offer: ranked for offer, ranked in offers.items() if ranked}
        game = HospitalResident.create_from_dictionaries(
            needs, wanted, {offer: places[offer] for offer in wanted}
        )
        found = game.solve()
        total = sum(score[need.name, at.name] for at, given in found.items() for need in given)
        return total, "no prices"

    with ThreadPoolExecutor(1) as deep:
        return deep.submit(timed, run, repeats).result()


def measure_midl(folder: str, repeats: int, policy: str) -> tuple[Measurement, float, float]:
    """One policy on a real allocation; also the worst need's sum and the tenth percentile."""
    from matching.clearing import clear

    path = Path(folder)
    dense = np.load(path / "scores.npy").T
    places = np.load(path / "loads.npy").astype(int)
    wanted = np.load(path / "covs.npy").astype(int)
    need, offer = np.divmod(np.arange(dense.size), dense.shape[1])
    scores = sparse.coo_array((dense.ravel(), (need, offer)), shape=dense.shape)
    sums: list[NDArray[np.float64]] = []

    def run() -> tuple[float, str]:
        exact = policy != "stable"
        found = clear(scores, wanted, places, policy=policy, exact=exact)  # type: ignore[arg-type]
        sums[:] = [found.levels * wanted]
        proof = found.certificate
        note = f"{len(proof.blocking_pairs or ())} blocking pairs; demand is not exact"
        if policy != "stable":
            note = f"proven gap {proof.gap:.2g}"
        if policy == "fair":
            note += f", levels {'proven' if proof.proven else 'not proven'}"
        return found.total, note

    found = timed(run, repeats)
    return found, float(sums[0].min()), float(np.percentile(sums[0], 10))


def _answer(pipe: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        pipe.send(function(*arguments))
    except Exception as problem:
        pipe.send(problem)


def apart(limit: float, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a new process; a text tells why there is no answer."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_answer, args=(there, function, arguments))
    process.start()
    there.close()
    try:
        if not here.poll(limit):
            return f"not finished in {limit:.0f} s"
        answer = here.recv()
    except EOFError:
        return "ended without an answer"
    finally:
        process.kill()
        process.join()
    if isinstance(answer, ImportError):
        return f"not installed: {answer.name}"
    return f"failed: {answer}" if isinstance(answer, Exception) else answer


def table(rows: Iterable[tuple[str, Measurement | str]], best: float) -> None:
    """Print measurements as Markdown; the gap is what a total falls short of the best by."""
    print("| method | time | processor | peak memory | total | gap | what comes with it |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for name, found in rows:
        if isinstance(found, str):
            print(f"| {name} | – | – | – | – | – | skipped: {found} |", flush=True)
            continue
        best = max(best, found.total)
        print(
            f"| {name} | {found.seconds:.3g} s | {found.processor:.3g} s "
            f"| {found.megabytes:,.0f} MB | {found.total:,.2f} | {(best - found.total) / best:.2g} | {found.note} |",
            flush=True,
        )


def report(sizes: Iterable[int], limit: float, repeats: int, alternatives: str | None) -> None:
    """Print the tables of drawn exchanges."""
    for size in sizes:
        print(f"\n### {size:,} needs × {size:,} offers, {CANDIDATES} candidates each\n")
        print("Greatest total, and fair with 33 countries:\n")
        table(
            (
                (name, apart(limit, function, size, repeats, *more))
                for name, function, more in (
                    ("`total`", measure_policy, ("total",)),
                    ("`scipy.optimize.linprog`", measure_linprog, ()),
                    ("OR-tools min-cost flow", measure_ortools, ()),
                    ("networkx network simplex", measure_networkx, ()),
                    ("`fair`", measure_policy, ("fair",)),
                    ("`stable`", measure_policy, ("stable",)),
                )
            ),
            0.0,
        )
        print("\nStable, one place a need:\n")
        ours = apart(limit, measure_policy, size, repeats, "stable", True)
        theirs = "no folder given (--alternatives)"
        if alternatives:
            theirs = apart(limit, measure_matching, size, repeats, alternatives)
        table((("`stable`", ours), ("PyPI `matching`", theirs)), 0.0)


def report_midl(folder: str, limit: float, repeats: int) -> None:
    """Print the table of a real allocation."""
    print("\n### A real allocation: each need wants exactly so many, each need its own group\n")
    print("| policy | total | worst need | 10th percentile | time | processor | proof |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for policy in ("total", "fair", "stable"):
        found = apart(limit, measure_midl, folder, repeats, policy)
        if isinstance(found, str):
            print(f"| `{policy}` | – | – | – | – | – | skipped: {found} |")
            continue
        measured, worst, tenth = found
        print(
            f"| `{policy}` | {measured.total:.4f} | {worst:.6f} | {tenth:.4f} "
            f"| {measured.seconds:.3g} s | {measured.processor:.3g} s | {measured.note} |",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--limit", type=float, default=300, help="seconds before one is stopped")
    parser.add_argument("--repeats", type=int, default=5, help="runs of which the median counts")
    parser.add_argument("--midl", metavar="FOLDER", help="scores.npy, loads.npy and covs.npy")
    parser.add_argument("--alternatives", metavar="FOLDER", help="where PyPI's matching is")
    chosen = parser.parse_args(arguments)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors; "
        f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}. "
        f"Medians of {chosen.repeats} runs, of one above {LONG:.0f} s."
    )
    if chosen.midl:
        report_midl(chosen.midl, chosen.limit, chosen.repeats)
    report(chosen.sizes, chosen.limit, chosen.repeats, chosen.alternatives)


if __name__ == "__main__":
    main()
