"""Filters of a list: read from the address, shown with their counts, taken off one by one.

What lists of posts and of directory entries have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

MOST_VALUES = 60
"""Values of one parameter that are looked at; no list of choices is longer."""

Parameters = Mapping[str, tuple[str, str]]
"""Parameter of the address → field of the list's filter, and taxonomy of its codes."""

Choices = Callable[[str], Iterable[tuple[str, str]]]
"""Parameter → the codes that it can take with their labels, in their order."""

Label = Callable[[str, str], str]
"""Parameter and code → what the code is called."""


@dataclass(frozen=True)
class Choice:
    """A value that a filter can take."""

    code: str
    label: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class FilterGroup:
    """One filter with its choices."""

    parameter: str
    title: str
    choices: list[Choice]

    @property
    def chosen(self) -> int:
        """How many of its choices are on."""
        return sum(choice.chosen for choice in self.choices)


@dataclass(frozen=True)
class Chip:
    """A filter that is on."""

    parameter: str
    value: str
    title: str
    label: str


def read_codes(args: MultiDict[str, str], parameters: Parameters) -> dict[str, tuple[str, ...]]:
    """Field of the filter → the codes that an address asks for.

    A code that does not exist is kept: it finds nothing, and is shown so that it can be taken off.
    """
    return {
        name: tuple(dict.fromkeys(map(read_code, args.getlist(parameter))))[:MOST_VALUES]
        for parameter, (name, _scheme) in parameters.items()
    }


def read_words(args: MultiDict[str, str]) -> str:
    """The words that an address looks for."""
    return " ".join(_printable(args.get("q", ""))[:200].split())


def read_code(value: str) -> str:
    """A code as an address writes it."""
    return _printable(value)[:64]


def _printable(value: str) -> str:
    """The value without control characters, which a database may refuse."""
    return "".join(sign if sign.isprintable() else " " for sign in value)


def read_sort(args: MultiDict[str, str], sorts: Iterable[str], text: str) -> str:
    """The order asked for; else the best match first where words are, and the newest where none."""
    asked = args.get("sort", "")
    if asked in sorts:
        return asked
    return "relevance" if text else "newest"


def facet_groups(
    filters: Any,
    counts: Mapping[str, Mapping[str, int]],
    parameters: Parameters,
    title: Callable[[str], str],
    choices: Choices,
) -> list[FilterGroup]:
    """Every filter with the choices that would find something, or that are on already."""
    groups = []
    for parameter, (name, _scheme) in parameters.items():
        on, found = getattr(filters, name), counts.get(name, {})
        shown = [
            Choice(code, label, found.get(code, 0), code in on)
            for code, label in choices(parameter)
            if code in found or code in on
        ]
        groups.append(FilterGroup(parameter, title(parameter), shown))
    return groups


def facet_chips(
    filters: Any, parameters: Parameters, title: Callable[[str], str], label: Label
) -> list[Chip]:
    """The codes that a filter asks for, by their names."""
    return [
        Chip(parameter, code, title(parameter), label(parameter, code))
        for parameter, (name, _scheme) in parameters.items()
        for code in getattr(filters, name)
    ]


def organisation_chip(code: str, name: str) -> list[Chip]:
    """The organisation that a filter asks for."""
    return [Chip("organisation", code, _("Organisation"), name)] if code else []


def words_chip(text: str) -> list[Chip]:
    """The words that a filter looks for."""
    return [Chip("q", text, _("Words"), text)] if text else []
