"""Compute the fixed numbers of the text model from our own corpus and write matching/centre.py.

Run it after a change of ``centre_corpus.yaml`` or of the encoder:

    python benchmarks/make_centre.py

The means are taken per language and per side over texts written for this purpose, never over posts
or over labelled data: the same post scores the same tomorrow, and no measure is fitted.
"""

import base64
import hashlib
import textwrap
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from broker.encoder import load_encoder

CORPUS = Path(__file__).with_name("centre_corpus.yaml")
TARGET = Path(__file__).parent.parent / "matching" / "centre.py"
LANGUAGES = ("es", "en", "pt", "fr")
KINDS = {"need": ("need", "goal"), "offer": ("offer", "measure")}
ROLES = {"need": "query", "offer": "passage"}

TEMPLATE = '''"""Fixed numbers of the text model, computed by benchmarks/make_centre.py: do not edit."""

import base64

import numpy as np
from numpy.typing import NDArray

ENCODER = "{encoder}"
VERSION = "{version}"
DIMENSION = {dimension}

CALIBRATION = {calibration}
WORDS_CALIBRATION = {words_calibration}

_LANGUAGES = {languages}
_SIDES = ("need", "offer")

_MEANS = (
    np.frombuffer(
        base64.b64decode(
            """
{means}
            """
        ),
        dtype="<f2",
    )
    .astype(np.float32)
    .reshape(len(_SIDES), len(_LANGUAGES) + 1, DIMENSION)
)


def mean(language: str | None, side: str) -> NDArray[np.float32]:
    """Give the mean encoder vector of texts of a language and side, float32 (DIMENSION,).

    A language that is not known gets the mean over all of them.
    """
    row = _LANGUAGES.index(language) if language in _LANGUAGES else len(_LANGUAGES)
    means: NDArray[np.float32] = _MEANS[_SIDES.index(side), row]
    return means
'''


def main() -> None:
    corpus = yaml.safe_load(CORPUS.read_text(encoding="utf-8"))
    encoder = load_encoder()
    if encoder is None:
        raise SystemExit("the encoder cannot be loaded; nothing written")
    means = np.zeros((2, len(LANGUAGES) + 1, encoder.dimension), np.float32)
    for i, (side, kinds) in enumerate(KINDS.items()):
        for j, language in enumerate(LANGUAGES):
            texts = [subject[kind][language] for subject in corpus for kind in kinds]
            means[i, j] = encoder.encode(texts, ROLES[side]).mean(axis=0)
        means[i, -1] = means[i, :-1].mean(axis=0)
    coded = _coded(means)
    digest = hashlib.sha256(coded.encode()).hexdigest()[:8]
    TARGET.write_text(
        TEMPLATE.format(
            encoder=encoder.name,
            version=f"{encoder.version}-{digest}",
            dimension=encoder.dimension,
            calibration=((0.0, 0.15, 0.6, 1.0), (0.0, 0.1, 0.85, 1.0)),
            words_calibration=((0.0, 0.1, 0.6, 1.0), (0.0, 0.1, 0.85, 1.0)),
            languages=LANGUAGES,
            means=coded,
        ),
        encoding="utf-8",
    )


def _coded(array: NDArray[np.float32]) -> str:
    """Write an array as lines of base64 of little-endian half floats."""
    raw = base64.b64encode(array.astype("<f2").tobytes()).decode()
    return "\n".join(textwrap.wrap(raw, 96))


if __name__ == "__main__":
    main()
