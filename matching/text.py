"""Text of a post as one vector, and the likeness of two of them.

Likeness across languages comes from a multilingual sentence encoder, whose vectors are centred
and projected by fixed numbers (``matching.centre``), and from the field's glossary. Both go into a
single dense vector, so that the likeness of a need and an offer is one inner product, and that of
a whole book one matrix product. Where there is no encoder, the wording (character n-grams) takes
its place, with a calibration of its own:

>>> model = TextModel(None)
>>> need = model.features("Compras públicas sostenibles", "", "es", "need", None)
>>> offer = model.features("Taller de compras públicas", "", "es", "offer", None)
>>> float(model.calibrate(need @ offer)) > 0.5
True

A text that says nothing (no letter in it) has the zero vector, whose likeness to anything is 0;
``TextModel.states`` tells such a vector from one that says something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from matching import centre
from matching.glossary import Glossary
from matching.words import (
    ALL_STOP_WORDS,
    LANGUAGES,
    fold_word,
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

GLOSSARY_SHARE = 0.1
"""Share of the glossary in the likeness; the rest is the encoder's."""

WORDS_GLOSSARY_SHARE = 0.35
"""Share of the glossary where there is no encoder; the rest is the wording's."""

WORDING_DIMENSION = 512
WORDING_LIMIT = 20_000
"""Characters of a text whose wording is looked at; the encoder has its own limit."""


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
        likeness then rests on wording and glossary alone, with a calibration of its own.
    glossary : terms of the field, theme code → language → terms; ``None`` for no glossary.

    Attributes
    ----------
    version : str
        Names encoder, fixed numbers and glossary; equal versions give equal likenesses.
    dimension : int
        Length of a feature vector.

    Raises
    ------
    ValueError : the encoder is not the one for which the fixed numbers were computed.
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
        self.glossary = Glossary(glossary or {})
        main = centre.DIMENSION if encoder_name else WORDING_DIMENSION
        self.dimension = main + self.glossary.dimension
        self._share = GLOSSARY_SHARE if encoder_name else WORDS_GLOSSARY_SHARE
        self.version = "-".join(
            ("text1", encoder_name or "words", centre.VERSION, self.glossary.version)
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
        """Make the feature vector of one post, or of one sentence of it.

        Parameters
        ----------
        title, body : the post's own words.
        language : es, en, pt, fr; ``None`` or any other to have it guessed.
        side : whether the post is a need or an offer.
        vector : float32 (encoder dimension,), the encoder's vector of ``source(title, body)`` in
            the direction ``role(side)``; ``None`` only in a model without encoder.

        Returns
        -------
        float32 array (dimension,), of length 1; all zero where the text has no letter or the
        vector is not finite.

        Raises
        ------
        ValueError : a vector is missing, of another shape, or given to a model without encoder.
        """
        if (vector is None) != (self.encoder_name is None):
            raise ValueError("vectors belong to a model with an encoder, and only to it")
        if vector is not None and vector.shape != (centre.ENCODER_DIMENSION,):
            raise ValueError(f"vector has shape {vector.shape}, not ({centre.ENCODER_DIMENSION},)")
        text = self.source(title, body)
        nothing = np.zeros(self.dimension, np.float32)
        if not any(character.isalpha() for character in text):
            return nothing
        if language not in LANGUAGES:
            language = guess_language(text)
        if vector is None:
            main = wording(text)
        elif np.isfinite(vector).all():
            main = _unit((vector - centre.mean(language, side)) @ centre.PROJECTION)
        else:
            return nothing
        terms = self.glossary.features(text, language)
        return joined(main, terms, self._share).astype(np.float32)

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
        return np.asarray(np.any(features != 0, axis=-1))

    def calibrate(self, raw: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Bring inner products of features to a likeness in [0, 1], monotonically.

        Up to 0.1 nothing is in common but the field; about 0.5 is an offer that serves the need;
        from 0.8 on the two say the same (``docs/matching-quality.md`` has the pairs behind this).

        Returns
        -------
        float64 array of the shape of `raw`: 0 for a raw value of 0 or less.
        """
        raws, likeness = centre.CALIBRATION if self.encoder_name else centre.WORDS_CALIBRATION
        return np.asarray(np.interp(raw, raws, likeness))


def joined(
    main: NDArray[np.float64], terms: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Join two vectors of length 1 (or zero) to one of length 1, `share` being the second's part.

    A text without terms of the field is told by its meaning alone.
    """
    return _unit(np.concatenate([(1 - share) ** 0.5 * main, share**0.5 * terms]))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale a vector to length 1; zero stays zero."""
    length = float(np.sqrt(np.square(vector).sum()))
    return vector / length if length > 1e-6 else np.zeros_like(vector)


def wording(text: str) -> NDArray[np.float64]:
    """Project the character n-grams (3 to 5, within words) of a text to a short vector.

    Accents are folded and function words left out; counts are damped by 1 + log; each n-gram falls
    with a sign into one of the columns (count sketch, Charikar, Chen and Farach-Colton, 2002),
    which keeps inner products on average.

    Returns
    -------
    float64 array (WORDING_DIMENSION,), of length 1, or zero for a text without words.
    """
    kept = [fold_word(word) for word in words(text[:WORDING_LIMIT])]
    grams = [_grams(word) for word in kept if word not in ALL_STOP_WORDS]
    vector = np.zeros(WORDING_DIMENSION)
    for of_one_size in zip(*grams, strict=True):
        every = np.frombuffer(b"".join(of_one_size), np.uint64)
        codes, counts = np.unique(every, return_counts=True)
        columns = (codes >> np.uint64(1)) % np.uint64(WORDING_DIMENSION)
        signs = np.where(codes & np.uint64(1), 1.0, -1.0)
        vector += np.bincount(
            columns.astype(np.intp), signs * (1 + np.log(counts)), WORDING_DIMENSION
        )
    return _unit(vector)


@lru_cache(maxsize=16_384)
def _grams(word: str) -> tuple[bytes, ...]:
    """Codes of a folded word's n-grams of 3, 4 and 5 characters, its edges counted as spaces.

    As the bytes of uint64 numbers: those of a text's words are joined much faster than arrays.
    """
    letters = np.frombuffer(f" {word} ".encode("utf-32-le", "replace"), "<u4").astype(np.uint64)
    found = []
    for size in (3, 4, 5):
        if len(letters) < size:
            found.append(b"")
            continue
        grams = np.lib.stride_tricks.sliding_window_view(letters, size)
        # A letter may fold to several words.
        grams = grams[(grams[:, 1:-1] != ord(" ")).all(axis=1)]
        codes = np.full(len(grams), size, np.uint64)
        for column in grams.T:
            # Fowler, Noll and Vo's mixing, a letter at a time; overflow is part of it.
            codes = (codes ^ column) * np.uint64(1_099_511_628_211)
        found.append((codes ^ (codes >> np.uint64(29))).tobytes())
    return tuple(found)


@dataclass(frozen=True, slots=True)
class NearestSentences:
    """The sentence of a need and that of an offer that are nearest in meaning."""

    need: str
    offer: str
    similarity: float
    """Cosine of the two feature vectors, -1 to 1."""


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
    need_vecs, offer_vecs : float32 (m, d) and (k, d), their features (``TextModel.features``).

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
    needs = np.stack([_unit(vector.astype(np.float64)) for vector in need_vecs])
    offers = np.stack([_unit(vector.astype(np.float64)) for vector in offer_vecs])
    cosines = needs @ offers.T
    if not cosines.any():
        return None
    i, j = divmod(int(np.argmax(cosines)), cosines.shape[1])
    return NearestSentences(need_sentences[i], offer_sentences[j], float(cosines[i, j]))
