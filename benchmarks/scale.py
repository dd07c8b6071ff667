"""Whole-book runs on a Dask cluster, beside the same run in this process.

    python -m benchmarks.scale [--sizes 10000 …] [--workers 2]

Needs the extra ``scale``. The cluster is local, a process a worker and a thread each; the result is
compared with the one found in-process, byte by byte.
"""

import argparse
import pickle
import time
from collections.abc import Callable
from typing import Any

from dask.distributed import Client, LocalCluster

from benchmarks.exchange import TODAY, generate
from benchmarks.matching import BEST, make_book
from matching import MatchRun, Plan, complete, gather, run_blocks


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """Result of a function, and how long it took in seconds."""
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


def run_on(client: Client, plan: Plan, workers: int) -> tuple[MatchRun, float]:
    """Run a plan on a cluster; gives the result and the seconds that sending the plan took."""
    there, sending = timed(lambda: client.scatter(plan, broadcast=True, hash=False))
    executor = client.get_executor()
    results = list(run_blocks(plan, executor=executor, plan_there=there, workers=workers))
    return gather(plan, results), sending


def measure(size: int, workers: int) -> str:
    """Measure one size; a row of the table."""
    book = make_book(generate(size, words=False))
    plan = book.plan(BEST, on=TODAY)
    own, here = timed(lambda: complete(plan, workers=workers))
    cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        (far, sending), there = timed(lambda: run_on(client, plan, workers))
    megabytes = len(pickle.dumps(plan, protocol=5)) / 2**20
    same = "the same bytes" if far == own else "ANOTHER RESULT"
    return (
        f"| {size:,}² | {len(plan.blocks)} | {megabytes:,.0f} MB | {here:.2f} s | {there:.2f} s "
        f"| {sending:.2f} s | {same} |"
    )


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 20_000])
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args(arguments)
    print(f"{chosen.workers} threads here, {chosen.workers} worker processes there:\n")
    print("| pairs | blocks | plan | threads | Dask | of it sending the plan | result |")
    print("|---:|---:|---:|---:|---:|---:|---|")
    for size in chosen.sizes:
        print(measure(size, chosen.workers), flush=True)


if __name__ == "__main__":
    main()
