"""What each component of the score is worth, and what its bands mean, on a labelled folder.

    python -m benchmarks.score_quality [FOLDER]

Ranks the folder's offers with the score as it is, with each component left out in turn, and with
each alone; then tells how often pairs of each height of score hold which grade.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from broker.labelled import ON, read_folder
from broker.paths import FIXTURES
from matching import COMPONENTS, Bands, Weights, why_not
from matching.evaluation import evaluate

STEP = 3
"""Points of a row of the table of scores."""


@dataclass(frozen=True)
class Labelled:
    """A labelled folder, compared.

    Attributes
    ----------
    similarities
        (components, needs, offers).
    eligible, grades
        (needs, offers).
    """

    similarities: NDArray[np.float64]
    eligible: NDArray[np.bool_]
    grades: NDArray[np.int64]

    def points(self, weights: dict[str, float]) -> NDArray[np.float64]:
        """Scores under some weights, (needs, offers)."""
        shares = np.array([weights[name] for name in COMPONENTS])
        return np.tensordot(100 * shares / shares.sum(), self.similarities, 1)

    def measures(self, weights: dict[str, float]) -> str:
        """nDCG@10, recall@10 and MRR as cells of a table; ineligible offers come last."""
        points = self.points(weights)
        found = evaluate(np.where(self.eligible, points, points - 1000), self.grades)
        return f"{found.ndcg_at_10:.3f} | {found.recall_at_10:.3f} | {found.mrr:.3f}"


def read(folder: Path) -> Labelled:
    """Compare all needs of a folder with all its offers."""
    read_in = read_folder(folder)
    book, grades = read_in.book, read_in.grades
    pairs = [(need.id, offer.id) for need in book.needs for offer in book.offers]
    found = book.component_similarities(pairs)
    similarities = np.zeros((len(COMPONENTS), *grades.shape))
    eligible = np.zeros(grades.shape, bool)
    for (need, offer), alike in zip(pairs, found, strict=True):
        similarities[:, need, offer] = [alike[name] for name in COMPONENTS]
        eligible[need, offer] = not why_not(
            book.need(need), book.offer(offer), read_in.taxonomy, on=ON
        )
    return Labelled(similarities, eligible, grades)


def show_components(found: Labelled) -> None:
    """Print the ablation table."""
    shares = Weights().shares()
    print("| ranking | nDCG@10 | recall@10 | MRR | this component alone, nDCG@10 |")
    print("|---|---:|---:|---:|---:|")
    print(f"| **the score** | {found.measures(shares)} | |")
    facets = {**shares, "text": 0.0}
    print(f"| facets, without the text | {found.measures(facets)} | |")
    for name in COMPONENTS:
        alone = found.measures({**dict.fromkeys(shares, 0.0), name: 1.0}).partition(" ")[0]
        print(f"| without `{name}` | {found.measures({**shares, name: 0.0})} | {alone} |")
    for name in ("text", "theme"):
        for factor in (2 / 3, 4 / 3):
            changed = {**shares, name: shares[name] * factor}
            print(f"| `{name}` × {factor:.2f} | {found.measures(changed)} | |")


def show_scores(found: Labelled) -> None:
    """Print which grades pairs of each height of score hold."""
    points = found.points(Weights().shares())
    bands = Bands()
    print("\n| score | pairs | grade 1 or more | grade 2 or more | grade 3 | band |")
    print("|---|---:|---:|---:|---:|---|")
    for low in range(39, 81, STEP):
        here = found.eligible & (points >= low) & (points < low + STEP)
        if here.any():
            grades = found.grades[here]
            shares = " | ".join(f"{(grades >= grade).mean():.2f}" for grade in (1, 2, 3))
            band = bands.name(int((low + STEP / 2) * 1_000_000))
            print(f"| {low}–{low + STEP} | {len(grades)} | {shares} | {band} |")
    print(
        "\n| from | grade 1 kept | grade 2 kept | grade 3 kept | needs with nobody | of them rightly |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for name in ("possible", "good", "strong"):
        high = found.eligible & (points >= getattr(bands, name))
        kept = " | ".join(
            f"{(high & (found.grades == grade)).sum() / (found.grades == grade).sum():.2f}"
            for grade in (1, 2, 3)
        )
        nobody = ~high.any(axis=1)
        rightly = nobody & (found.grades.max(axis=1) == 0)
        print(
            f"| {name} ({getattr(bands, name):.0f}) | {kept} | {nobody.sum()} | {rightly.sum()} |"
        )


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FIXTURES / "evaluation")
    found = read(parser.parse_args(arguments).folder)
    show_components(found)
    show_scores(found)


if __name__ == "__main__":
    main()
