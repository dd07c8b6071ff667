"""Compute the fixed numbers of the text model from our own corpus and write matching/centre.py.

Run it after a change of ``centre_corpus.yaml``, of the glossary or of the encoder:

    python -m benchmarks.make_centre [--cache FILE.npz]

The corpus says each subject in several ways and four languages, so it shows in which directions
vectors differ although the subject is the same (language, side, register, length, a date), and in
which they differ because the subject does. The model subtracts a mean per language and side,
shrinks the first directions and stresses the second. Nothing is computed from posts or from
labelled data: the same post scores the same tomorrow, and no measure is fitted.
"""

import argparse
import base64
import hashlib
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.vector_cache import VectorCache
from broker.encoder import load_encoder
from matching.glossary import Glossary
from matching.text import GLOSSARY_SHARE, WORDS_GLOSSARY_SHARE, Encoder, Role, Side, joined, wording

Floats = NDArray[np.float64]

CORPUS = Path(__file__).with_name("centre_corpus.yaml")
THEMES = Path(__file__).parent.parent / "fixtures" / "reference" / "themes.yaml"
TARGET = Path(__file__).parent.parent / "matching" / "centre.py"

LANGUAGES = ("es", "en", "pt", "fr")
ROLES: dict[Side, Role] = {"need": "query", "offer": "passage"}

SHRINK = 2.0
"""Ridge of the within-subject whitening, in mean variances: below it a direction is not shrunk."""

STRESS = 0.25
"""Power of the between-subject variance by which a direction is stressed."""

STRESS_RIDGE = 2.0
"""Ridge of the between-subject variance, in mean variances."""

KEPT = 320
"""Leading dimensions that are kept."""

DATED = {"es": "De aquí a {}, ", "en": "By {}, ", "pt": "Até {}, ", "fr": "D'ici à {}, "}
YEARS = (2015, 2030, 2018, 2025, 2020, 2030, 2022)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Encoded texts of our own: subjects × kinds of text × languages."""

    subjects: tuple[str, ...]
    fields: tuple[str, ...]
    texts: dict[Side, list[list[list[str]]]]
    """Side → subject → kind → language → text."""
    vectors: dict[tuple[Side, Role], Floats]
    """Side and role → (subjects, kinds, languages, encoder dimension)."""


@dataclass(frozen=True, slots=True)
class Centre:
    """What is subtracted from an encoder vector, and the matrix by which the rest is multiplied."""

    means: dict[Side, Floats]
    """Side → (languages, encoder dimension)."""
    projection: Floats
    """(encoder dimension, kept dimensions)."""

    def place(self, vectors: Floats, side: Side, language: int) -> Floats:
        """Centre, project and scale to length 1; (n, encoder dimension) → (n, kept)."""
        placed = (vectors - self.means[side][language]) @ self.projection
        return placed / np.maximum(np.linalg.norm(placed, axis=1, keepdims=True), 1e-9)


def read_corpus() -> list[dict[str, dict[str, str]]]:
    """Read the corpus as it is written."""
    subjects: list[dict[str, dict[str, str]]] = yaml.safe_load(CORPUS.read_text(encoding="utf-8"))
    return subjects


def _dated(goal: str, language: str, place: int) -> str:
    """Give a goal a target year, as official texts have it: dates must not count as meaning."""
    year = str(YEARS[place % len(YEARS)])
    if re.search(r"20\d\d", goal):
        return re.sub(r"20\d\d", year, goal)
    return DATED[language].format(year) + goal[0].lower() + goal[1:]


def kinds_of(subject: dict[str, dict[str, str]], place: int) -> dict[Side, list[list[str]]]:
    """Say a subject in all kinds of text: side → kind → language → text."""

    def joined(first: str, second: str) -> list[str]:
        return [f"{subject[first][lang]} {subject[second][lang]}." for lang in LANGUAGES]

    plain = {
        kind: [subject[kind][language] for language in LANGUAGES]
        for kind in ("need", "goal", "offer", "measure")
    }
    dated = [_dated(subject["goal"][language], language, place) for language in LANGUAGES]
    return {
        "need": [plain["need"], plain["goal"], dated, joined("need", "goal")],
        "offer": [plain["offer"], plain["measure"], joined("offer", "measure")],
    }


def encode_corpus(encoder: Encoder, roles: Sequence[tuple[Side, Role]]) -> Corpus:
    """Encode the corpus in the roles asked for (some minutes)."""
    subjects = read_corpus()
    texts: dict[Side, list[list[list[str]]]] = {"need": [], "offer": []}
    for place, subject in enumerate(subjects):
        for side, kinds in kinds_of(subject, place).items():
            texts[side].append(kinds)
    vectors: dict[tuple[Side, Role], Floats] = {}
    for side, role in roles:
        flat = [text for kinds in texts[side] for kind in kinds for text in kind]
        shape = (len(subjects), len(texts[side][0]), len(LANGUAGES), encoder.dimension)
        vectors[side, role] = encoder.encode(flat, role).astype(np.float64).reshape(shape)
    return Corpus(
        tuple(str(subject["subject"]) for subject in subjects),
        tuple(str(subject["field"]) for subject in subjects),
        texts,
        vectors,
    )


def fit(
    needs: Floats,
    offers: Floats,
    *,
    shrink: float = SHRINK,
    stress: float = STRESS,
    stress_ridge: float = STRESS_RIDGE,
    kept: int | None = KEPT,
) -> Centre:
    """Fit means and projection.

    Within-class covariance normalisation (Hatch, Kajarekar and Stolcke, 2006) with a ridge, the
    classes being subjects; then a stress on the directions in which subjects differ; then the
    leading principal components.

    Parameters
    ----------
    needs, offers : (subjects, kinds, languages, d), encoder vectors.
    """
    means: dict[Side, Floats] = {"need": needs.mean((0, 1)), "offer": offers.mean((0, 1))}
    together = np.concatenate([needs, offers], axis=1)
    together = together - together.mean((0, 1, 2))
    classes = together.mean((1, 2), keepdims=True)
    d = together.shape[-1]
    within = (together - classes).reshape(-1, d)
    between = classes.reshape(-1, d)
    projection = _power(within.T @ within / len(within), shrink, -0.5)
    if stress:
        seen = between @ projection
        projection = projection @ _power(seen.T @ seen / len(seen), stress_ridge, stress)
    if kept is not None:
        placed = together.reshape(-1, d) @ projection
        _, components = np.linalg.eigh(placed.T @ placed)
        projection = projection @ components[:, ::-1][:, :kept]
    return Centre(means, projection)


def _power(covariance: Floats, ridge: float, power: float) -> Floats:
    """Raise a covariance plus a ridge (in mean variances) to a power."""
    variances, directions = np.linalg.eigh(covariance)
    variances = np.maximum(variances, 0)
    raised: Floats = (directions * (variances + ridge * variances.mean()) ** power) @ directions.T
    return raised


def read_terms() -> dict[str, dict[str, list[str]]]:
    """Read the reference data's glossary: theme → language → terms."""
    themes = yaml.safe_load(THEMES.read_text(encoding="utf-8"))
    return {theme["code"]: theme["keywords"] for theme in themes}


def likenesses(corpus: Corpus, *, with_encoder: bool) -> dict[str, Floats]:
    """Collect raw likenesses of held-out pairs of texts, by what the two have in common.

    A third of the subjects is held out in turn, so that no pair helped to fit what measures it.
    ``same``: the same text in two languages (without encoder: its two lengths, in one).
    ``serves``: a need and an offer of one subject. ``apart``: of two subjects of unlike fields.
    """
    glossary = Glossary(read_terms())
    order = np.random.default_rng(7).permutation(len(corpus.subjects))
    fields = np.array(corpus.fields)
    found: dict[str, list[float]] = {"same": [], "serves": [], "apart": []}
    for turn in range(3):
        held = order[turn::3]
        rest = np.setdiff1d(order, held)
        centre = fit(*(corpus.vectors[side, ROLES[side]][rest] for side in ROLES))
        placed = partial(_features, corpus, glossary, held, centre if with_encoder else None)
        alike = np.eye(len(held), dtype=bool)
        apart = fields[held][:, None] != fields[held][None]
        for i in range(len(LANGUAGES)):
            for j in range(len(LANGUAGES)):
                for kind in (0, 3):
                    raw = placed("need", kind, i) @ placed("offer", 0, j).T
                    if with_encoder or i == j:
                        found["serves"] += raw[alike].tolist()
                    found["apart"] += raw[apart].tolist()
                if with_encoder == (i != j):
                    other = 0 if with_encoder else 3
                    raw = placed("need", 0, i) @ placed("need", other, j).T
                    found["same"] += raw[alike].tolist()
    return {name: np.array(values) for name, values in found.items()}


def _features(
    corpus: Corpus,
    glossary: Glossary,
    held: NDArray[np.intp],
    centre: Centre | None,
    side: Side,
    kind: int,
    language: int,
) -> Floats:
    """Make the features of the held-out subjects' texts of a kind, as the text model would."""
    texts = [corpus.texts[side][i][kind][language] for i in held]
    terms = np.stack([glossary.features(text, LANGUAGES[language]) for text in texts])
    if centre is None:
        share = WORDS_GLOSSARY_SHARE
        main = np.stack([wording(text) for text in texts])
    else:
        share = GLOSSARY_SHARE
        vectors = corpus.vectors[side, ROLES[side]][held][:, kind, language]
        main = centre.place(vectors, side, language)
    return np.stack([joined(*row, share) for row in zip(main, terms, strict=True)])


def calibration(found: dict[str, Floats]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Choose the points between which a raw likeness is interpolated.

    Ninety in a hundred unrelated pairs stay below 0.1; the middle pair of a need and an offer of
    one subject is at 0.5; nineteen in twenty pairs of the same meaning are above 0.8.
    """
    points = (
        (0.0, 0.0),
        (float(np.percentile(found["apart"], 90)), 0.1),
        (float(np.percentile(found["serves"], 50)), 0.5),
        (float(np.percentile(found["same"], 5)), 0.8),
        (float(np.percentile(found["same"], 75)), 0.97),
        (1.0, 1.0),
    )
    raws = tuple(round(raw, 3) for raw, _ in points)
    if list(raws) != sorted(set(raws)):
        raise ValueError(f"the calibration points are not in order: {raws}")
    return raws, tuple(likeness for _, likeness in points)


TEMPLATE = '''"""Fixed numbers of the text model, computed by benchmarks/make_centre.py: do not edit."""

import base64

import numpy as np
from numpy.typing import NDArray

ENCODER = "{encoder}"
ENCODER_VERSION = "{encoder_version}"
VERSION = "{version}"
ENCODER_DIMENSION = {encoder_dimension}
DIMENSION = {dimension}

# Raw likenesses and the likeness in [0, 1] that each stands for; interpolated between.
CALIBRATION = (
    {raws},
    {likeness},
)
WORDS_CALIBRATION = (
    {words_raws},
    {words_likeness},
)

_LANGUAGES = {languages}
_SIDES = ("need", "offer")


def _array(text: str, dtype: str) -> NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(text), dtype=dtype).astype(np.float64)


def mean(language: str | None, side: str) -> NDArray[np.float64]:
    """Give the mean encoder vector of texts of a language and side, (ENCODER_DIMENSION,).

    A language that is not known gets the mean over all of them.
    """
    row = _LANGUAGES.index(language) if language in _LANGUAGES else len(_LANGUAGES)
    found: NDArray[np.float64] = _MEANS[_SIDES.index(side), row]
    return found


_MEANS = _array(
    """
{means}
    """,
    "<f2",
).reshape(len(_SIDES), len(_LANGUAGES) + 1, ENCODER_DIMENSION)

# Whole numbers from -127 to 127, times a factor a column.
PROJECTION = _array(
    """
{projection}
    """,
    "i1",
).reshape(ENCODER_DIMENSION, DIMENSION) * _array(
    """
{factors}
    """,
    "<f4",
)
"""float64 (ENCODER_DIMENSION, DIMENSION)."""

_MEANS.setflags(write=False)
PROJECTION.setflags(write=False)
'''


def main() -> None:
    """Compute everything and write the module."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--cache", type=Path, help="keep the corpus's vectors in this file")
    encoder = load_encoder()
    if encoder is None:
        raise SystemExit("the encoder cannot be loaded; nothing written")
    cached = VectorCache(encoder, arguments.parse_args().cache)
    corpus = encode_corpus(cached, list(ROLES.items()))
    centre = fit(corpus.vectors["need", "query"], corpus.vectors["offer", "passage"])
    raws, likeness = calibration(likenesses(corpus, with_encoder=True))
    words_raws, words_likeness = calibration(likenesses(corpus, with_encoder=False))

    means = np.stack([np.vstack([m, m.mean(0)]) for m in centre.means.values()])
    scaled = centre.projection / np.abs(centre.projection).max()
    factors = np.abs(scaled).max(axis=0) / 127
    coded = {
        "means": _coded(means.astype("<f2").tobytes()),
        "projection": _coded(np.rint(scaled / factors).astype("i1").tobytes()),
        "factors": _coded(factors.astype("<f4").tobytes()),
    }
    digest = hashlib.sha256(repr([coded, raws, words_raws]).encode()).hexdigest()[:8]
    TARGET.write_text(
        TEMPLATE.format(
            encoder=encoder.name,
            encoder_version=encoder.version,
            version=digest,
            encoder_dimension=encoder.dimension,
            dimension=centre.projection.shape[1],
            raws=raws,
            likeness=likeness,
            words_raws=words_raws,
            words_likeness=words_likeness,
            languages=str(LANGUAGES).replace("'", '"'),
            **coded,
        ),
        encoding="utf-8",
    )


def _coded(raw: bytes) -> str:
    """Write bytes as lines of base64."""
    return "\n".join(textwrap.wrap(base64.b64encode(raw).decode(), 96))


if __name__ == "__main__":
    main()
