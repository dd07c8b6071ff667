"""Measure how far the two gradings of the labelled set agree.

    python benchmarks/grader_agreement.py

The universe is every line of ``fixtures/evaluation/pool.tsv``: the pairs of need and offer that were
laid before the second grader, those that a rule of eligibility bars among them. A pair of the pool
that a grading does not list has grade 0 there. Pairs that a grading lists and the pool lacks are
counted and left out, because the other grader was never asked about them.

Agreement on most of these pairs is agreement that two posts have nothing to do with each other. The
figures are therefore printed for two narrower universes as well: the pairs of needs that the first
grading serves, and the pairs to which at least one grader gave a grade. The last leaves out every
pair on which both said 0, which lowers kappa by construction.
"""

from pathlib import Path

import numpy as np
from sklearn.metrics import cohen_kappa_score, confusion_matrix

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "evaluation"
GRADES = (0, 1, 2, 3)

Pair = tuple[str, str]


def main() -> None:
    pool = read_pool()
    first, second = read_grades("qrels.tsv"), read_grades("qrels-second.tsv")
    outside = sorted((first.keys() | second.keys()) - set(pool))
    print(f"{len(pool)} pairs of {len({need for need, _ in pool})} needs in the pool")
    print(f"{len(outside)} graded pairs outside the pool, left out")
    served = {need for need, _ in first}
    of_served = [pair for pair in pool if pair[0] in served]
    either = [pair for pair in pool if pair in first or pair in second]
    show("whole pool", pool, first, second)
    show("needs that the first grading serves", of_served, first, second)
    show("pairs with a grade from either", either, first, second)


def show(title: str, pairs: list[Pair], first: dict[Pair, int], second: dict[Pair, int]) -> None:
    """Print both kappas and the confusion table of some pairs."""
    a = np.array([first.get(pair, 0) for pair in pairs])
    b = np.array([second.get(pair, 0) for pair in pairs])
    print(f"\n{title}: {len(pairs)} pairs")
    print(f"  the same grade           {np.mean(a == b):.3f}")
    print(f"  no more than one apart   {np.mean(abs(a - b) <= 1):.3f}")
    print(f"  kappa                    {cohen_kappa_score(a, b, labels=GRADES):.3f}")
    weighted = cohen_kappa_score(a, b, labels=GRADES, weights="linear")
    print(f"  kappa, linear weights    {weighted:.3f}")
    print("  first \\ second" + "".join(f"{grade:6}" for grade in GRADES))
    for grade, row in zip(GRADES, confusion_matrix(a, b, labels=GRADES), strict=True):
        print(f"  {grade:14}" + "".join(f"{count:6}" for count in row))


def read_pool() -> list[Pair]:
    lines = (FOLDER / "pool.tsv").read_text(encoding="utf-8").splitlines()
    return [(need, offer) for need, offer in (line.split("\t") for line in lines)]


def read_grades(name: str) -> dict[Pair, int]:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return {
        (need, offer): int(grade) for need, offer, grade in (line.split("\t") for line in lines)
    }


if __name__ == "__main__":
    main()
