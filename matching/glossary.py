"""Glossary of the field: terms of each theme in four languages.

A need that speaks of *compras públicas* and an offer that speaks of *public procurement* name the
same theme, although they share no word. The glossary finds the terms that a text mentions, for the
text component of the score and for its explanation.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from matching.words import ALL_STOP_WORDS, LANGUAGES, fold_word, stem, words

TEXT_LIMIT = 20_000
"""Characters of a text in which terms are looked for."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A term of the glossary that a text mentions."""

    theme: str
    term: str
    """The term as the glossary writes it, in the language of the text."""


class Glossary:
    """Terms of the field by theme and language; immutable.

    Parameters
    ----------
    terms : theme code → language → terms, as in the reference data's keywords.

    Examples
    --------
    >>> glossary = Glossary({"water": {"en": ["drinking water"], "es": ["agua potable"]}})
    >>> glossary.mentions("Redes de agua potable", "es")
    (Mention(theme='water', term='agua potable'),)
    """

    def __init__(self, terms: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self.themes = tuple(sorted(terms))
        # By language and first stem: (all stems, theme, term), in a fixed order.
        self._entries: dict[str, dict[str, list[tuple[tuple[str, ...], str, str]]]] = {}
        for language in LANGUAGES:
            by_first: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
            for theme in self.themes:
                for term in terms[theme].get(language, ()):
                    stems = content_stems(term, language)
                    if stems:
                        by_first.setdefault(stems[0], []).append((stems, theme, term))
            self._entries[language] = by_first
        canonical = [
            (theme, language, tuple(terms[theme].get(language, ())))
            for theme in self.themes
            for language in LANGUAGES
        ]
        self.version = hashlib.sha256(repr(canonical).encode()).hexdigest()[:8]

    @property
    def dimension(self) -> int:
        """Length of a feature vector: one column a theme, in the order of ``themes``."""
        return len(self.themes)

    def mentions(self, text: str, language: str | None) -> tuple[Mention, ...]:
        """Find the terms that a text mentions, each once, in reading order.

        Words are compared by their stems and function words are passed over, so that *criterio
        ambiental de licitación* is found in *los criterios ambientales en las licitaciones*.
        A text of no known language is searched for the terms of all of them.
        """
        found: dict[Mention, None] = {}
        for searched in (language,) if language in self._entries else LANGUAGES:
            entries = self._entries[searched]
            stems = content_stems(text[:TEXT_LIMIT], searched)
            for start, first in enumerate(stems):
                for wanted, theme, term in entries.get(first, ()):
                    if stems[start : start + len(wanted)] == wanted:
                        found.setdefault(Mention(theme, term))
        return tuple(found)

    def features(self, text: str, language: str | None) -> NDArray[np.float64]:
        """Count the terms of each theme in a text, damped by a square root.

        Returns
        -------
        float64 array (dimension,), of length 1, or zero where no term is mentioned.
        """
        counts = np.zeros(self.dimension)
        for mention in self.mentions(text, language):
            counts[self.themes.index(mention.theme)] += 1
        total = float(counts.sum())
        return np.sqrt(counts / total) if total else counts


def content_stems(text: str, language: str | None) -> tuple[str, ...]:
    """Give the stems of a text's words in order, function words left out."""
    return tuple(found for word in words(text) for found in _stems(word, language))


@lru_cache(maxsize=65_536)
def _stems(word: str, language: str | None) -> tuple[str, ...]:
    """The stems of one word as it is written: of *d'eau* that of *eau* alone."""
    return tuple(
        stem(part, language)
        for part in word.replace("’", "'").split("'")
        if fold_word(part) not in ALL_STOP_WORDS
    )
