"""Write the posts of the labelled set from the demonstration exchange.

Run it after a change of a post in ``fixtures/demo``:

    python benchmarks/make_evaluation_set.py

The published needs and offers go to ``needs.jsonl`` and ``offers.jsonl`` in
``fixtures/evaluation``, a post a line, in the order of their references, which are their ids. The
grades beside them (``qrels.tsv``) were given by reading and are written by no program: whoever
changes what a post says reads its pairs again.

Dates and amounts stay out. Dates in the demonstration are relative to the day of loading, and
amounts mostly illustrative; grades that hung on either would not hold tomorrow.
"""

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
DEMONSTRATION = ROOT / "fixtures" / "demo"
REFERENCE = ROOT / "fixtures" / "reference"
TARGET = ROOT / "fixtures" / "evaluation"

Record = dict[str, Any]

FACETS = ("themes", "ilac_areas", "dimension", "programmes", "horizon", "languages")


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    for name, text in evaluation_files().items():
        (TARGET / name).write_text(text, encoding="utf-8")


def evaluation_files() -> dict[str, str]:
    """Give the text of ``needs.jsonl`` and ``offers.jsonl``, by name."""
    organisations = {entry["code"]: entry for entry in _read(REFERENCE / "organisations.yaml")}
    return {
        f"{side}s.jsonl": "".join(
            json.dumps(describe(post, organisations), ensure_ascii=False) + "\n"
            for post in published_posts(side)
        )
        for side in ("need", "offer")
    }


def published_posts(side: str) -> list[Record]:
    """Read the published posts of a side, in the order of their references."""
    posts = [post for path in sorted(DEMONSTRATION.glob(f"{side}s-*.yaml")) for post in _read(path)]
    return sorted(
        (post for post in posts if post["status"] == "published"),
        key=lambda post: str(post["reference"]),
    )


def describe(post: Record, organisations: dict[str, Record]) -> Record:
    """Lay a post of the demonstration out as a line of a labelled folder.

    What a post leaves open has no key.
    """
    support = post["support"]
    line: Record = {
        "id": post["reference"],
        "lang": post["language"],
        "title": post["title"],
        "description": post["description"],
        "problem": post.get("problem"),
        "results": post.get("results"),
        "support_kinds": list(dict.fromkeys(part["kind"] for part in support)),
        "support": support,
    }
    line |= {facet: post.get(facet) for facet in FACETS}
    organisation = organisations[post["organisation"]]
    line |= {"organisation": organisation["code"], "organisation_kind": organisation["kind"]}
    if "serves" in post:
        line |= _serving(post, organisation)
    else:
        line |= {"country": post["country"], "subregion": post.get("subregion")}
    return {key: value for key, value in line.items() if value not in (None, "", [])}


def _serving(offer: Record, provider: Record) -> Record:
    """Say whom an offer serves, and where its provider stands and has worked."""
    serves = offer["serves"]
    return {
        "organisation_country": provider.get("country"),
        "countries": serves["countries"],
        "subregions": serves["subregions"],
        "outside_region_only": _serves_only_outside(serves) or None,
        "serves_organisation_kinds": serves.get("organisation_kinds"),
        "own_country": serves.get("own_country"),
        "experience_countries": offer.get("experience", {}).get("countries"),
    }


def _serves_only_outside(serves: Record) -> bool:
    return bool(serves.get("outside_region")) and not (serves["countries"] or serves["subregions"])


def _read(path: Path) -> list[Record]:
    entries: list[Record] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return entries


if __name__ == "__main__":
    main()
