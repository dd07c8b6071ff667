"""Finding posts by words: whatever their accents, forms, typing errors and languages.

An inverted index in memory. A word of the query finds its own form, forms of the same stem in any
of the four languages, longer words that begin with it, and, where a reader would find nothing
otherwise, words that differ by a letter or two. The field's glossary carries a query over to posts
in other languages, and so do vectors of meaning where there is an encoder.

>>> index = SearchIndex(Glossary({"water": {"es": ["agua"], "en": ["water"], "pt": ["água"]}}))
>>> index.put(Document(1, frozenset({"need"}), (Passage("Clean water for towns", "en", 3),)))
>>> index.put(Document(2, frozenset({"need"}), (Passage("Compras públicas", "es", 3),)))
>>> list(index.find("agua", "need").points)
[1]
>>> found = index.find("conpras publicas", "need")
>>> list(found.points), found.corrected
([2], 'compras publicas')
"""

import re
from array import array
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from matching.glossary import Glossary, content_stems
from matching.words import ALL_STOP_WORDS, LANGUAGES, fold_word, stem

Row = NDArray[np.float32]

MOST_WORDS = 12
"""Words of a query that are looked at."""
SAME_STEM, BEGINS, TYPED_WRONG, SAME_CONCEPT = 0.9, 0.7, 0.6, 0.5
"""What a word counts for that is not the very word of the query, which counts for 1."""
STATED, MENTIONED = 1.0, 0.6
"""How much of a theme is in a post that states it, and in one whose text only mentions it."""
MOST_BEGINNINGS = 60
"""Longer words that one word of a query stands for."""
SATURATION, USUAL_LENGTH, LENGTH_SHARE = 1.2, 150.0, 0.5
"""Of BM25 (Robertson and Zaragoza, 2009), with a fixed usual length: a post's own numbers never
change because another one came."""
ALL_WORDS = 1.0
"""What having every word of the query adds: those posts stand before the others."""
MEANING_SHARE = 0.6
"""What the likeness of meaning, 0 to 1, counts for beside the words, 0 to about 1."""
MEANT = 0.55
"""Calibrated likeness from which a post is found by its meaning alone."""
SPARSE = 1_000
"""Rows of removed posts that are put up with before the index is packed."""

_WORD = re.compile(r"[^\W_]+")


class Passage(NamedTuple):
    """A text of a post: its language (``None`` to be guessed by none), and how much it weighs."""

    text: str
    language: str | None
    weight: float


@dataclass(frozen=True, slots=True)
class Document:
    """A post as it is found.

    Attributes
    ----------
    shelves
        Names of the shelves on which it stands; a search looks through one of them.
    themes
        Codes of the glossary's themes that the post states.
    vector
        (d,) unit vector of its meaning, where there is one.
    """

    id: int
    shelves: frozenset[str]
    passages: tuple[Passage, ...]
    themes: frozenset[str] = frozenset()
    vector: Row | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found.

    Attributes
    ----------
    points
        Id → points, the best first, then by id.
    forms
        Folded forms of the words that were found, to be marked in the texts.
    partly
        Whether no post has all the words of the query: those found have some.
    meant
        Ids of posts that were found by their meaning and lack a word of the query.
    corrected
        The query with other words where nothing is written as it was typed; empty where all is.
    """

    points: Mapping[int, float] = field(default_factory=dict)
    forms: frozenset[str] = frozenset()
    partly: bool = False
    meant: frozenset[int] = frozenset()
    corrected: str = ""


def _forms(text: str) -> Iterator[str]:
    """The words of a text, folded; of a hyphenated word each part."""
    return map(fold_word, _WORD.findall(text))


def query_words(query: str) -> tuple[str, ...]:
    """The words of a query, folded, each once; function words only where there is nothing else."""
    typed = dict.fromkeys(_forms(query))
    telling = [word for word in typed if word not in ALL_STOP_WORDS and _tells(word)]
    return tuple(telling or typed)[:MOST_WORDS]


def _tells(word: str) -> bool:
    return len(word) > 1 or word.isdecimal()


@lru_cache(maxsize=131_072)
def _entry(word: str, language: str | None) -> tuple[str, str] | None:
    """Form and stem under which a word of a text is found; ``None`` for a word that tells nothing.

    Posts say the same words again and again: each is folded and stemmed once.
    """
    form = fold_word(word)
    if form in ALL_STOP_WORDS or not _tells(form):
        return None
    return form, stem(form, language)


class _Postings:
    """Rows in which a term occurs, with its weight in each."""

    __slots__ = ("rows", "weights")

    def __init__(self) -> None:
        self.rows = array("i")
        self.weights = array("f")

    def add(self, row: int, weight: float) -> None:
        self.rows.append(row)
        self.weights.append(weight)

    def arrays(self) -> tuple[NDArray[np.int32], Row]:
        return np.array(self.rows, np.int32), np.array(self.weights, np.float32)


@dataclass
class _Word:
    """A word of the query with the terms that it stands for."""

    typed: str
    factors: dict[str, float] = field(default_factory=dict)
    better: str = ""


class SearchIndex:
    """Posts by their words; one post is put in, changed or taken out at a time.

    Parameters
    ----------
    glossary
        Terms of the field, for queries in one language and posts in another.
    calibrate
        Brings inner products of vectors to a likeness in [0, 1], as ``TextModel.calibrate`` does;
        without it they are taken as they are.
    """

    def __init__(
        self,
        glossary: Glossary,
        calibrate: Callable[[Row], NDArray[np.floating]] | None = None,
    ) -> None:
        self.glossary = glossary
        self.calibrate = calibrate
        self._forget_all()

    def _forget_all(self) -> None:
        self._postings: dict[str, _Postings] = {}
        self._terms: list[str] = []
        self._by_stem: dict[str, set[str]] = {}
        self._ids: list[int] = []
        self._shelves: list[frozenset[str]] = []
        self._row_of: dict[int, int] = {}
        self._vectors: Row = np.zeros((0, 0), np.float32)
        self._masks: dict[str, NDArray[np.bool_]] = {}

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, number: int) -> bool:
        return number in self._row_of

    def put(self, document: Document) -> None:
        """Put a post in, or in the place of what stood under its id."""
        self.put_many([document])

    def put_many(self, documents: Iterable[Document]) -> None:
        """Put posts in; much faster for many than one by one, since the words are sorted once."""
        new: set[str] = set()
        for document in documents:
            self.remove(document.id)
            self._add(document, new)
        if len(new) > SPARSE:
            self._terms = sorted([*self._terms, *new])
        else:
            for term in new:
                insort(self._terms, term)
        self._masks.clear()

    def _add(self, document: Document, new: set[str]) -> None:
        row = len(self._ids)
        self._ids.append(document.id)
        self._shelves.append(document.shelves)
        self._row_of[document.id] = row
        self._keep_vector(row, document.vector)
        counts: dict[str, float] = {}
        length = 0
        for text, language, weight in document.passages:
            entries = [_entry(word, language) for word in _WORD.findall(text)]
            length += len(entries)
            for entry, times in Counter(entries).items():
                if entry is None:
                    continue
                form, root = entry
                counts[form] = counts.get(form, 0.0) + weight * times
                if form not in self._postings:
                    new.add(form)
                    self._postings[form] = _Postings()
                self._by_stem.setdefault(root, set()).add(form)
        share = 1 - LENGTH_SHARE + LENGTH_SHARE * length / USUAL_LENGTH
        for form, count in counts.items():
            self._postings[form].add(row, count / (count + SATURATION * share))
        for theme, weight in self._concepts(document).items():
            self._postings.setdefault(theme, _Postings()).add(row, weight)

    def _concepts(self, document: Document) -> dict[str, float]:
        mentioned = {
            mention.theme
            for text, language, _weight in document.passages
            for mention in self.glossary.mentions(text, language)
        }
        return {
            **{_concept(theme): MENTIONED for theme in mentioned},
            **{_concept(theme): STATED for theme in document.themes},
        }

    def _keep_vector(self, row: int, vector: Row | None) -> None:
        if vector is None:
            return
        height, width = self._vectors.shape
        if row >= height or width != len(vector):
            grown = np.zeros((max(64, 2 * height, row + 1), len(vector)), np.float32)
            grown[:height, :width] = self._vectors
            self._vectors = grown
        self._vectors[row] = vector

    def remove(self, number: int) -> None:
        """Take a post out; nothing happens where there is none."""
        row = self._row_of.pop(number, None)
        if row is None:
            return
        self._shelves[row] = frozenset()
        if row < len(self._vectors):
            self._vectors[row] = 0
        self._masks.clear()
        if len(self._ids) > SPARSE + 2 * len(self._row_of):
            self._pack()

    def _pack(self) -> None:
        """Leave out the rows of posts that were taken out."""
        kept = sorted(self._row_of.values())
        place = np.full(len(self._ids), -1, np.int32)
        place[kept] = np.arange(len(kept), dtype=np.int32)
        packed: dict[str, _Postings] = {}
        for term, postings in self._postings.items():
            rows, weights = postings.arrays()
            stays = place[rows] >= 0
            if stays.any():
                packed[term] = one = _Postings()
                one.rows.frombytes(place[rows[stays]].tobytes())
                one.weights.frombytes(weights[stays].tobytes())
        vectors = self._vectors
        if len(vectors):
            vectors = np.zeros((len(kept), vectors.shape[1]), np.float32)
            inside = [row for row in kept if row < len(self._vectors)]
            vectors[: len(inside)] = self._vectors[inside]
        self._postings = packed
        self._terms = [term for term in self._terms if term in packed]
        self._by_stem = {
            root: left
            for root, forms in self._by_stem.items()
            if (left := {form for form in forms if form in packed})
        }
        self._vectors = vectors
        self._ids = [self._ids[row] for row in kept]
        self._shelves = [self._shelves[row] for row in kept]
        self._row_of = {number: row for row, number in enumerate(self._ids)}
        self._masks.clear()

    def find(self, query: str, shelf: str, meaning: Row | None = None) -> Found:
        """Find the posts of a shelf that a query is about.

        Parameters
        ----------
        meaning
            (d,) unit vector of the query, comparable with those of the posts.

        Returns
        -------
        Found
            Posts that have every word of the query, in some form, and those that mean the same;
            where no post has them all, those that have at least half of them.
        """
        typed = query_words(query)
        allowed = self._mask(shelf)
        if not typed or not allowed.any():
            return Found()
        words = [self._understood(word, allowed) for word in typed]
        corrected = _corrected(query, words)
        reached = self._by_concept(corrected or query, words)
        size = len(self._ids)
        covered, score, whole = np.zeros(size, np.int32), np.zeros(size, np.float32), 0.0
        for word, themes in zip(words, reached, strict=True):
            rarity, points = self._score(word, themes, allowed)
            whole += rarity
            score += points
            covered += points > 0
        likeness = self._likeness(meaning, size)
        full = allowed & (covered == len(words))
        partly = not full.any()
        enough = ceil(len(words) / 2) if partly else len(words)
        found = allowed & (covered >= enough)
        meant = allowed & ~found & (likeness >= MEANT)
        total = score / max(whole, 1e-6) + MEANING_SHARE * likeness + ALL_WORDS * full
        rows = np.flatnonzero(found | meant)
        ordered = sorted((-round(float(total[row]), 6), self._ids[row]) for row in rows.tolist())
        return Found(
            points={number: -points for points, number in ordered},
            forms=frozenset(form for word in words for form in word.factors),
            partly=partly and bool(found.any()),
            meant=frozenset(self._ids[row] for row in np.flatnonzero(meant).tolist()),
            corrected=corrected,
        )

    def _mask(self, shelf: str) -> NDArray[np.bool_]:
        mask = self._masks.get(shelf)
        if mask is None:
            mask = np.fromiter((shelf in on for on in self._shelves), bool, len(self._shelves))
            self._masks[shelf] = mask
        return mask

    def _understood(self, word: str, allowed: NDArray[np.bool_]) -> _Word:
        """The forms on the shelf for which a word stands; else those that are nearly it.

        Only words that stand on the shelf count: a draft's words are not for others to guess.
        """
        factors = dict.fromkeys(self._related(word), SAME_STEM)
        for form in self._beginning_with(word):
            factors.setdefault(form, BEGINS)
        factors[word] = 1.0
        here = self._on_shelf(factors, allowed)
        if here:
            return _Word(word, here)
        near = self._nearly(word, allowed)
        if not near:
            return _Word(word)
        factors = {
            form: TYPED_WRONG * SAME_STEM for one in near for form in self._related(one)
        } | dict.fromkeys(near, TYPED_WRONG)
        return _Word(word, self._on_shelf(factors, allowed), near[0])

    def _related(self, word: str) -> set[str]:
        return {
            form
            for root in {stem(word, language) for language in LANGUAGES}
            for form in self._by_stem.get(root, ())
        }

    def _beginning_with(self, word: str) -> Iterator[str]:
        if len(word) < 3:
            return
        start = bisect_left(self._terms, word)
        for term in self._terms[start : start + MOST_BEGINNINGS]:
            if not term.startswith(word):
                return
            yield term

    def _on_shelf(
        self, factors: Mapping[str, float], allowed: NDArray[np.bool_]
    ) -> dict[str, float]:
        return {form: factor for form, factor in factors.items() if self._count(form, allowed)}

    def _count(self, term: str, allowed: NDArray[np.bool_]) -> int:
        postings = self._postings.get(term)
        return int(allowed[postings.arrays()[0]].sum()) if postings else 0

    def _nearly(self, word: str, allowed: NDArray[np.bool_]) -> list[str]:
        """Words that differ by a letter (two, where it is long), the commonest first."""
        most = 0 if len(word) < 4 or word.isdecimal() else 1 if len(word) < 8 else 2
        if not most:
            return []
        near = process.extract(
            word, self._terms, scorer=OSA.distance, score_cutoff=most, limit=None
        )
        counted = [
            (distance, -count, term)
            for term, distance, _place in near
            if (count := self._count(term, allowed))
        ]
        least = min((distance for distance, _count, _term in counted), default=0)
        return [term for distance, _count, term in sorted(counted) if distance == least]

    def _by_concept(self, query: str, words: Sequence[_Word]) -> list[set[str]]:
        """For each word the themes that the query mentions by it."""
        reached: list[set[str]] = [set() for _word in words]
        for mention in self.glossary.mentions(query, None):
            stems = {s for language in LANGUAGES for s in content_stems(mention.term, language)}
            for word, themes in zip(words, reached, strict=True):
                if any(stem(word.better or word.typed, lang) in stems for lang in LANGUAGES):
                    themes.add(_concept(mention.theme))
        return reached

    def _score(
        self, word: _Word, themes: set[str], allowed: NDArray[np.bool_]
    ) -> tuple[float, Row]:
        """How rare a word is, and what it gives to each row."""
        points = np.zeros(len(self._ids), np.float32)
        for term, factor in {**dict.fromkeys(themes, SAME_CONCEPT), **word.factors}.items():
            postings = self._postings.get(term)
            if postings:
                rows, weights = postings.arrays()
                points[rows] = np.maximum(points[rows], np.float32(factor) * weights)
        points *= allowed
        rarity = log(1 + len(self._row_of) / (1 + int(np.count_nonzero(points))))
        return rarity, points * np.float32(rarity)

    def _likeness(self, meaning: Row | None, size: int) -> Row:
        likeness = np.zeros(size, np.float32)
        if meaning is None or self._vectors.shape[1] != len(meaning):
            return likeness
        raw = self._vectors[:size] @ meaning
        likeness[: len(raw)] = self.calibrate(raw) if self.calibrate else raw.clip(0, 1)
        return likeness


def _concept(theme: str) -> str:
    # No word of a text holds a colon.
    return f"theme:{theme}"


def _corrected(query: str, words: Sequence[_Word]) -> str:
    """The query with the better words in their places; empty where there are none."""
    better = {word.typed: word.better for word in words if word.better}
    if not better:
        return ""
    return " ".join(
        _WORD.sub(lambda match: better.get(fold_word(match.group()), match.group()), query).split()
    )


def mark(text: str, forms: frozenset[str]) -> list[tuple[str, bool]]:
    """Cut a text into pieces, each with whether it is a word that was found.

    >>> mark("Compras públicas", frozenset({"publicas"}))
    [('Compras ', False), ('públicas', True)]
    """
    pieces: list[tuple[str, bool]] = []
    end = 0
    for match in _WORD.finditer(text):
        if fold_word(match.group()) in forms:
            if match.start() > end:
                pieces.append((text[end : match.start()], False))
            pieces.append((match.group(), True))
            end = match.end()
    if end < len(text):
        pieces.append((text[end:], False))
    return pieces


def excerpt(text: str, forms: frozenset[str], length: int = 220) -> str:
    """The passage of a text in which most different words were found; empty where none was.

    Cut at spaces, with an ellipsis where something is left out.
    """
    flat = " ".join(text.split())
    places = [
        (match.start(), form)
        for match in _WORD.finditer(flat)
        if (form := fold_word(match.group())) in forms
    ]
    if not places:
        return ""
    best, start = 0, 0
    for place, _form in places:
        within = {form for at, form in places if place <= at < place + length - 40}
        if len(within) > best:
            best, start = len(within), place
    start = max(0, start - 40)
    if start:
        start = flat.find(" ", start) + 1
    end = len(flat)
    if start + length < end:
        space = flat.rfind(" ", start, start + length)
        end = space if space > start else start + length
    return ("…" if start else "") + flat[start:end] + ("…" if end < len(flat) else "")


__all__ = ["Document", "Found", "Passage", "SearchIndex", "excerpt", "mark", "query_words"]
