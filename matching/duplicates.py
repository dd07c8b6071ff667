"""Posts and organisations that may be the same twice.

Two posts are alike when their texts are near in meaning, in one language or in two, and nothing
that they state tells them apart. Two organisations are alike when a name of one is nearly a name,
an alias or the acronym of the other. What is found is a question to a person, never a merger.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from matching.profile import NeedProfile, OfferProfile
from matching.score import TextScale
from matching.words import ALL_STOP_WORDS, fold

NEAR_TEXT = 0.8
"""Likeness of two texts below which posts are not compared further."""
LIKELY = 0.88
"""Likeness from which two posts are put before a person."""
SAME_MEANING = 0.95
"""Likeness in meaning from which two organisations are put before a person."""
SAME_NAME = 0.8
"""Likeness of names from which two organisations are put before a person."""
BLOCK = 1024
"""Posts that are compared at a time."""

TITLE_SHARE = 0.25
"""Share of the titles in the likeness of posts in one language."""
AGREES, DIFFERS = 0.03, 0.1
"""What a fact that two posts share adds to their likeness, and one that differs takes from it."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a post is compared by.

    Attributes
    ----------
    title
        In the post's own language.
    vector
        (d,) feature vector of its text, of length at most 1.
    """

    title: str
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AlikePosts:
    """Two posts of one side that may be the same.

    Attributes
    ----------
    a, b
        Ids, the smaller first.
    likeness
        0 to 1: that of the texts, moved by titles and facts.
    text, title
        Likeness of the texts, and of the titles where both are in one language.
    agrees, differs
        Fields on which both state the same, or nothing in common.
    languages
        Languages of both, the same twice or two.
    """

    a: int
    b: int
    likeness: float
    text: float
    title: float | None
    agrees: tuple[str, ...]
    differs: tuple[str, ...]
    languages: tuple[str | None, str | None]


def find_alike(
    posts: Sequence[NeedProfile] | Sequence[OfferProfile],
    texts: Mapping[int, Text],
    scale: TextScale,
    least: float = LIKELY,
) -> tuple[AlikePosts, ...]:
    """Find all pairs of posts of one side that may be the same.

    Parameters
    ----------
    texts
        Id → title and vector.
    scale
        Calibration of the vectors.
    least
        Likeness from which a pair is given.

    Returns
    -------
    tuple of AlikePosts
        The most alike first, then by ids.
    """
    ordered: list[NeedProfile | OfferProfile] = sorted(posts, key=lambda post: post.id)
    if not ordered:
        return ()
    grid = scale.to_grid(np.stack([texts[post.id].vector for post in ordered]))
    found = [
        made
        for i, j, text in _near_pairs(grid, scale)
        if (made := _compare(ordered[i], ordered[j], texts, text)).likeness >= least
    ]
    return tuple(sorted(found, key=lambda made: (-made.likeness, made.a, made.b)))


def find_alike_to(
    post: NeedProfile | OfferProfile,
    text: Text,
    posts: Sequence[NeedProfile] | Sequence[OfferProfile],
    texts: Mapping[int, Text],
    scale: TextScale,
    least: float = LIKELY,
) -> tuple[AlikePosts, ...]:
    """Find the posts that may be the same as one that is being written; see ``find_alike``.

    The post itself, by its id, is left out of the others.
    """
    others = [other for other in posts if other.id != post.id]
    if not others or not text.vector.any():
        return ()
    grid = scale.to_grid(np.stack([texts[other.id].vector for other in others]))
    likeness = scale.likeness(grid @ scale.to_grid(text.vector))
    all_texts = {**texts, post.id: text}
    found = [
        made
        for other, alike in zip(others, likeness.tolist(), strict=True)
        if alike >= NEAR_TEXT
        and (made := _compare(post, other, all_texts, alike)).likeness >= least
    ]
    return tuple(sorted(found, key=lambda made: (-made.likeness, made.a, made.b)))


def _near_pairs(grid: NDArray[np.float32], scale: TextScale) -> Iterator[tuple[int, int, float]]:
    """Rows i < j whose texts are near, with their likeness."""
    for start in range(0, len(grid), BLOCK):
        rows = grid[start : start + BLOCK]
        likeness = scale.likeness(rows @ grid[start:].T)
        for i, j in np.argwhere(np.triu(likeness >= NEAR_TEXT, k=1)).tolist():
            yield start + i, start + j, float(likeness[i, j])


FACTS = ("organisation", "country", "themes", "support_kinds", "starts", "money_least")
"""Facts that tell posts apart, or say that they are one."""


def _compare(
    a: NeedProfile | OfferProfile,
    b: NeedProfile | OfferProfile,
    texts: Mapping[int, Text],
    text: float,
) -> AlikePosts:
    if a.id > b.id:
        a, b = b, a
    agrees, differs = [], []
    for name in FACTS:
        ours, theirs = getattr(a, name, None), getattr(b, name, None)
        if not ours or not theirs:
            continue
        if isinstance(ours, frozenset):
            if ours == theirs:
                agrees.append(name)
            elif ours.isdisjoint(theirs):
                differs.append(name)
        elif ours == theirs:
            agrees.append(name)
        else:
            differs.append(name)
    title = None
    likeness = text
    if a.language == b.language:
        one, other = fold(texts[a.id].title), fold(texts[b.id].title)
        title = fuzz.token_sort_ratio(one, other) / 100
        likeness = (1 - TITLE_SHARE) * text + TITLE_SHARE * max(title, text - 0.2)
    likeness += AGREES * len(agrees) - DIFFERS * len(differs)
    return AlikePosts(
        a=a.id,
        b=b.id,
        likeness=round(min(max(likeness, 0.0), 1.0), 4),
        text=text,
        title=title,
        agrees=tuple(agrees),
        differs=tuple(differs),
        languages=(a.language, b.language),
    )


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation as it is named.

    Attributes
    ----------
    names
        Its names and aliases, in any language.
    country
        ISO 3166 alpha-2, ``None`` for an international one.
    vector
        (d,) feature vector of its names, where there is one: finds names in two languages.
    """

    id: int
    names: tuple[str, ...]
    acronym: str | None = None
    country: str | None = None
    vector: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class AlikeOrganisations:
    """Two organisations that may be one.

    Attributes
    ----------
    a, b
        Ids, the smaller first.
    likeness
        0 to 1.
    names
        The two names that are most alike.
    reason
        ``name`` (nearly the same name), ``acronym`` (one's name is the other's acronym), or
        ``meaning`` (the same in two languages).
    """

    a: int
    b: int
    likeness: float
    names: tuple[str, str]
    reason: str


FEW_LETTERS = 4
"""Words of fewer letters must be the very same to count as one."""
SAME_WORD = 85
"""Likeness in percent from which two words are forms of one."""
NEAR_NAME = 65
"""Likeness in percent of whole names below which their words are not compared."""

_SIGNS = re.compile(r"[^\w\s]+")


def find_alike_organisations(
    organisations: Sequence[Organisation],
    scale: TextScale | None = None,
    least: float = SAME_NAME,
) -> tuple[AlikeOrganisations, ...]:
    """Find organisations that stand under several names.

    Names are compared word by word; a word counts for as much as it tells organisations apart, so
    that the ministries of health and of tourism of one country are not alike.

    Parameters
    ----------
    scale
        Calibration of their vectors; without it only names are compared.
    least
        Likeness from which a pair is given.

    Returns
    -------
    tuple of AlikeOrganisations
        The most alike first, then by ids. Two of different countries are never alike: ministries of
        neighbours bear the same name.
    """
    ordered = sorted(organisations, key=lambda one: one.id)
    best: dict[tuple[int, int], AlikeOrganisations] = {}
    for made in (
        *_alike_by_name(ordered),
        *_alike_by_acronym(ordered),
        *_alike_by_meaning(ordered, scale),
    ):
        pair = (made.a, made.b)
        if made.likeness >= least and (pair not in best or made.likeness > best[pair].likeness):
            best[pair] = made
    return tuple(sorted(best.values(), key=lambda made: (-made.likeness, made.a, made.b)))


def _may_be_one(a: Organisation, b: Organisation) -> bool:
    return not (a.country and b.country and a.country != b.country)


def _alike_by_name(organisations: Sequence[Organisation]) -> Iterator[AlikeOrganisations]:
    names = [
        (one, name, words) for one in organisations for name in one.names if (words := _words(name))
    ]
    if not names:
        return
    # A word's weight: how few organisations bear it.
    bearers = Counter(
        word
        for one in organisations
        for word in {word for name in one.names for word in _words(name)}
    )
    weights = {word: log((len(organisations) + 1) / count) + 0.1 for word, count in bearers.items()}
    plain = [" ".join(words) for _, _, words in names]
    near = process.cdist(plain, plain, scorer=fuzz.token_sort_ratio, score_cutoff=NEAR_NAME)
    for i, j in np.argwhere(np.triu(near, k=1)).tolist():
        (one, name, ours), (two, other, theirs) = names[i], names[j]
        if one.id != two.id and _may_be_one(one, two):
            likeness = _alike_words(ours, theirs, weights)
            yield AlikeOrganisations(one.id, two.id, round(likeness, 4), (name, other), "name")


def _alike_words(ours: list[str], theirs: list[str], weights: Mapping[str, float]) -> float:
    """Weight of the words that two names share, of that of all their words."""
    left = list(theirs)
    shared = total = 0.0
    for word in ours:
        weight = weights[word]
        match = next((other for other in left if _is_one_word(word, other)), None)
        total += weight
        if match is not None:
            left.remove(match)
            shared += weight
    total += sum(weights[word] for word in left)
    return shared / total


def _is_one_word(a: str, b: str) -> bool:
    if a == b:
        return True
    return min(len(a), len(b)) >= FEW_LETTERS and fuzz.ratio(a, b) >= SAME_WORD


def _alike_by_acronym(organisations: Sequence[Organisation]) -> Iterator[AlikeOrganisations]:
    """An acronym is short: it must be the very same, as an acronym or as the other's name."""
    bearers: dict[str, list[tuple[Organisation, str]]] = {}
    for one in organisations:
        shown = {" ".join(_words(name)): name for name in (*one.names, one.acronym or "")}
        for plain, name in shown.items():
            if plain and (" " not in plain or name == one.acronym):
                bearers.setdefault(plain, []).append((one, name))
    for found in bearers.values():
        for (one, name), (two, other) in combinations(found, 2):
            if one.id != two.id and _may_be_one(one, two):
                yield AlikeOrganisations(one.id, two.id, 0.95, (name, other), "acronym")


def _alike_by_meaning(
    organisations: Sequence[Organisation], scale: TextScale | None
) -> Iterator[AlikeOrganisations]:
    """Names in two languages, by their vectors; nearly the same meaning only."""
    some = [one for one in organisations if one.vector is not None and one.names]
    if scale is None or not some:
        return
    grid = scale.to_grid(np.stack([np.asarray(one.vector) for one in some]))
    likeness = scale.likeness(grid @ grid.T)
    for i, j in np.argwhere(np.triu(likeness >= SAME_MEANING, k=1)).tolist():
        one, two = some[i], some[j]
        if _may_be_one(one, two):
            alike = round(float(likeness[i, j]), 4)
            names = (one.names[0], two.names[0])
            yield AlikeOrganisations(one.id, two.id, alike, names, "meaning")


def _words(name: str) -> list[str]:
    """Words of a name, folded, without function words."""
    return [word for word in _SIGNS.sub(" ", fold(name)).split() if word not in ALL_STOP_WORDS]
