"""Text of a post as one vector, and the likeness of two of them.

Likeness across languages comes from a multilingual sentence encoder whose vectors are centred
with fixed means; likeness of wording comes from character n-grams. Both go into a single dense
vector, so that the likeness of a need and an offer is one inner product, and that of a whole book
one matrix product:

>>> model = TextModel(None)
>>> need = model.features("Compras públicas sostenibles", "", "es", "need", None)
>>> offer = model.features("Taller de compras públicas", "", "es", "offer", None)
>>> float(model.calibrate(need @ offer)) > 0.5
True

A text that says nothing (no letter in it) has the zero vector, whose likeness to anything is 0;
``TextModel.states`` tells such a vector from one that says something.
"""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from matching import centre
from matching.words import (
    ALL_STOP_WORDS,
    fold,
    guess_language,
    shared_words,
    split_sentences,
    words,
)

__all__ = [
    "Encoder",
    "NearestSentences",
    "Role",
    "Side",
    "TextModel",
    "Vector",
    "nearest_sentences",
    "shared_words",
    "split_sentences",
]

Vector = NDArray[np.float32]
Side = Literal["need", "offer"]
Role = Literal["query", "passage"]

LEXICAL_DIMENSION = 256
LEXICAL_LIMIT = 20_000
"""Characters of a text whose wording is looked at; the encoder has its own limit."""

LEXICAL_WEIGHT = 0.2
"""Share of wording in the likeness; the rest is the encoder's."""


class Encoder(Protocol):
    """A sentence encoder: equal meanings, in whatever language, get near vectors."""

    name: str
    version: str
    dimension: int

    def encode(self, texts: Sequence[str], role: Role) -> Vector:
        """Encode texts.

        Parameters
        ----------
        texts : sequence of n strings
        role : which of the encoder's two directions to use; see ``TextModel.role``.

        Returns
        -------
        float32 array (n, dimension), rows of length 1.
        """
        ...


class TextModel:
    """Turns posts into feature vectors; immutable and versioned.

    Parameters
    ----------
    encoder_name : name of the encoder whose vectors will be given, or ``None`` where there is none:
        likeness then rests on wording alone, with a calibration of its own.
    glossary : terms of the field: theme code → language → terms. ``None`` for no glossary.

    Raises
    ------
    ValueError : the encoder is not one for which centring means are known.
    """

    def __init__(
        self,
        encoder_name: str | None,
        glossary: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    ) -> None:
        if encoder_name is not None and encoder_name != centre.ENCODER:
            raise ValueError(
                f"no centring means for encoder {encoder_name!r}; known: {centre.ENCODER!r}"
            )
        self.encoder_name = encoder_name
        self.encoder_dimension = centre.DIMENSION if encoder_name else 0
        self.dimension = self.encoder_dimension + LEXICAL_DIMENSION
        digest = hashlib.sha256(repr(sorted((glossary or {}).items())).encode()).hexdigest()[:8]
        self.version = "-".join(
            ("text1", encoder_name or "words", centre.VERSION, digest if glossary else "none")
        )

    def role(self, side: Side) -> Role:
        """Tell in which of the encoder's directions a post of this side is to be encoded."""
        return "query" if side == "need" else "passage"

    def source(self, title: str, body: str) -> str:
        """Join title and body to the text that is to be encoded (and digested)."""
        return "\n".join(part for part in (title.strip(), body.strip()) if part)

    def features(
        self, title: str, body: str, language: str | None, side: Side, vector: Vector | None
    ) -> Vector:
        """Make the feature vector of one post.

        Parameters
        ----------
        title, body : the post's own words.
        language : es, en, pt, fr, or ``None`` to have it guessed.
        side : whether the post is a need or an offer.
        vector : float32 (encoder dimension,), the encoder's vector of ``source(title, body)`` in
            the direction ``role(side)``; ``None`` only in a model without encoder.

        Returns
        -------
        float32 array (dimension,); all zero where the text has no letter or the vector is unusable.

        Raises
        ------
        ValueError : a vector is missing, of another shape, or given to a model without encoder.
        """
        text = self.source(title, body)
        if (vector is None) != (self.encoder_name is None):
            raise ValueError("vectors belong to a model with an encoder, and only to it")
        lexical = lexical_features(text)
        if vector is None:
            return lexical
        if vector.shape != (self.encoder_dimension,):
            raise ValueError(f"vector has shape {vector.shape}, not ({self.encoder_dimension},)")
        features = np.zeros(self.dimension, np.float32)
        if not any(character.isalpha() for character in text) or not np.isfinite(vector).all():
            return features
        mean = centre.mean(language or guess_language(text), side)
        meaning = _unit(vector.astype(np.float32) - mean)
        features[: self.encoder_dimension] = np.float32((1 - LEXICAL_WEIGHT) ** 0.5) * meaning
        features[self.encoder_dimension :] = np.float32(LEXICAL_WEIGHT**0.5) * lexical
        return features

    def features_many(
        self,
        titles: Sequence[str],
        bodies: Sequence[str],
        languages: Sequence[str | None],
        side: Side,
        vectors: Vector | None,
    ) -> Vector:
        """Make the feature vectors of n posts of one side; row by row as ``features`` does.

        Returns
        -------
        float32 array (n, dimension).
        """
        rows = np.zeros((len(titles), self.dimension), np.float32)
        for i, (title, body, language) in enumerate(zip(titles, bodies, languages, strict=True)):
            vector = None if vectors is None else vectors[i]
            rows[i] = self.features(title, body, language, side, vector)
        return rows

    def states(self, features: Vector) -> NDArray[np.bool_]:
        """Tell which feature vectors (last axis) say anything at all."""
        return np.any(features != 0, axis=-1)

    def calibrate(self, raw: NDArray[np.floating] | float) -> Vector:
        """Bring inner products of features to a likeness in [0, 1], monotonically.

        Returns
        -------
        float32 array of the shape of `raw`: 0 for a raw value of 0 or less.
        """
        raws, likeness = centre.CALIBRATION if self.encoder_name else centre.WORDS_CALIBRATION
        return np.interp(raw, raws, likeness).astype(np.float32)


def _unit(vector: Vector) -> Vector:
    """Scale a vector to length 1; zero stays zero."""
    length = float(np.sqrt(np.dot(vector, vector)))
    return vector / np.float32(length) if length > 1e-6 else np.zeros_like(vector)


def lexical_features(text: str) -> Vector:
    """Project the character n-grams (3 to 5, within words) of a text to a short vector.

    Accents are folded and function words left out; counts are damped by 1 + log; each n-gram falls
    with a sign into one of the columns (count sketch, Charikar, Chen and Farach-Colton 2002), which
    keeps inner products on average.

    Returns
    -------
    float32 array (LEXICAL_DIMENSION,), of length 1, or zero for a text without words.
    """
    kept = [fold(word) for word in words(text[:LEXICAL_LIMIT])]
    kept = [word for word in kept if word not in ALL_STOP_WORDS]
    vector = np.zeros(LEXICAL_DIMENSION, np.float32)
    counts: dict[str, int] = {}
    for word in kept:
        padded = f" {word} "
        for size in (3, 4, 5):
            for start in range(max(len(padded) - size + 1, 1)):
                gram = padded[start : start + size]
                counts[gram] = counts.get(gram, 0) + 1
    for gram, count in counts.items():
        code = zlib.crc32(gram.encode())
        sign = 1 if code >> 31 else -1
        vector[code % LEXICAL_DIMENSION] += sign * (1 + np.log(count))
    return _unit(vector)


@dataclass(frozen=True, slots=True)
class NearestSentences:
    """The sentence of a need and that of an offer that are nearest in meaning."""

    need: str
    offer: str
    similarity: float
    """Cosine of the two centred vectors, -1 to 1."""


def nearest_sentences(
    need_sentences: Sequence[str],
    need_vecs: Vector,
    offer_sentences: Sequence[str],
    offer_vecs: Vector,
) -> NearestSentences | None:
    """Find the pair of sentences nearest in meaning, for the explanation of a match.

    Parameters
    ----------
    need_sentences, offer_sentences : m and k sentences, from ``split_sentences``.
    need_vecs, offer_vecs : float32 (m, d) and (k, d), their features or centred encoder vectors.

    Returns
    -------
    The pair with the greatest cosine, the first of equals in reading order (need first); ``None``
    where a side has no sentence that says something.

    Raises
    ------
    ValueError : sentences and vectors differ in number.
    """
    if len(need_sentences) != len(need_vecs) or len(offer_sentences) != len(offer_vecs):
        raise ValueError("each sentence needs its vector")
    if not len(need_vecs) or not len(offer_vecs):
        return None
    cosines = np.stack([_unit(v) for v in need_vecs]) @ np.stack([_unit(v) for v in offer_vecs]).T
    if not cosines.any():
        return None
    i, j = np.unravel_index(int(np.argmax(cosines)), cosines.shape)
    return NearestSentences(need_sentences[i], offer_sentences[j], float(cosines[i, j]))
