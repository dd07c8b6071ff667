"""Sentences whose numbers lead to the rows that make them."""

from __future__ import annotations

from collections.abc import Iterable

from broker.report.layout import Figure, Linked, Rows, Sentence, words_of

OPENS, CLOSES = "\ue000", "\ue001"
"""Around the place of a linked number, while gettext puts it into its sentence."""


class Prose:
    """Writes numbers into sentences of one language.

    >>> prose = Prose("en")
    >>> told = prose.sentence(f"{prose.number(3, Rows('unmet'))} needs wait.")
    >>> str(told), told.pieces[0].rows.name
    ('3 needs wait.', 'unmet')
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._linked: list[Linked] = []

    def figure(self, figure: Figure) -> str:
        """A number as it stands in a sentence, from which it leads to its rows."""
        words = words_of(figure, self.language)
        if figure.rows is None or not figure.value:
            return words
        self._linked.append(Linked(words, figure.rows))
        return f"{OPENS}{len(self._linked) - 1}{CLOSES}"

    def number(self, value: float, rows: Rows | None = None) -> str:
        """A count as it stands in a sentence."""
        return self.figure(Figure(value, rows=rows))

    def percent(self, value: float) -> str:
        """A share as it stands in a sentence."""
        return self.figure(Figure(value, "percent"))

    def sentence(self, words: str) -> Sentence:
        """A sentence of gettext's with its numbers put back in their places."""
        first, *others = words.split(OPENS)
        pieces: list[str | Linked] = [first]
        for part in others:
            number, _closes, after = part.partition(CLOSES)
            pieces += [self._linked[int(number)], after]
        return Sentence(tuple(piece for piece in pieces if piece))

    def sentences(self, words: Iterable[str]) -> tuple[Sentence, ...]:
        """Several of them."""
        return tuple(self.sentence(text) for text in words)
