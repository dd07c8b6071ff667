"""The filters of a list of posts: read from the address, shown with counts, taken off one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from babel.dates import format_date
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import MultiDict

from broker.posts import SORTS, PostFilter
from broker.reference import Reference
from broker.supply_demand import FACETS

PARAMETERS = {
    "theme": ("themes", "theme"),
    "support_kind": ("support_kinds", "support_kind"),
    "subregion": ("subregions", "subregion"),
    "country": ("countries", "region_country"),
    "ilac_area": ("ilac_areas", "ilac_area"),
    "programme": ("programmes", "programme"),
    "mandate": ("mandates", "mandate"),
    "language": ("languages", "language"),
}
"""Parameter of the address → field of :class:`PostFilter`, and taxonomy of its codes."""

MOST_VALUES = 60
"""Values of one parameter that are looked at; no list of choices is longer."""

SORT_NAMES = {
    "relevance": _l("Best match first"),
    "newest": _l("Newest first"),
    "oldest": _l("Longest waiting first"),
    "closing": _l("Closing soonest first"),
    "title": _l("By title"),
}
"""Order of a list → its name; the first one is for lists that are searched for words."""


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


def read_filters(kind: str, args: MultiDict[str, str]) -> PostFilter:
    """The filters that an address asks for.

    A code that does not exist is kept: it finds nothing, and is shown so that it can be taken off.
    """
    text = " ".join(_printable(args.get("q", ""))[:200].split())
    codes: dict[str, Any] = {
        name: tuple(dict.fromkeys(map(_code, args.getlist(parameter))))[:MOST_VALUES]
        for parameter, (name, _scheme) in PARAMETERS.items()
    }
    return PostFilter(
        kind,
        text=text,
        organisation=_code(args.get("organisation", "")),
        without=tuple(facet for facet in FACETS if facet in args.getlist("without")),
        since=_day(args.get("since", "")),
        open_only=args.get("open") == "1",
        sort=_sort(args.get("sort", ""), text),
        **codes,
    )


def _sort(asked: str, text: str) -> str:
    """The order asked for; else the best match first where words are, and the newest where none."""
    if asked in SORTS:
        return asked
    return "relevance" if text else "newest"


def sort_names(filters: PostFilter) -> dict[str, Any]:
    """The orders in which a list can be read: without words none is a better match."""
    return {code: name for code, name in SORT_NAMES.items() if filters.text or code in SORTS}


def _day(value: str) -> date | None:
    """A day as the address writes it; what is no day is left out."""
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _day_in(value: date, language: str) -> str:
    return format_date(value, "medium", locale=language)


def _code(value: str) -> str:
    return _printable(value)[:64]


def _printable(value: str) -> str:
    """The value without control characters, which a database may refuse."""
    return "".join(sign if sign.isprintable() else " " for sign in value)


def filter_groups(
    filters: PostFilter,
    counts: Mapping[str, Mapping[str, int]],
    reference: Reference,
    language: str,
) -> list[FilterGroup]:
    """Every filter with the choices that would find something, or that are on already."""
    groups = []
    for parameter, (name, scheme) in PARAMETERS.items():
        on, found = getattr(filters, name), counts.get(name, {})
        choices = [
            Choice(code, label, found.get(code, 0), code in on)
            for code, label in reference.choices(scheme, language)
            if code in found or code in on
        ]
        groups.append(FilterGroup(parameter, group_title(parameter, filters.kind), choices))
    return groups


def group_title(parameter: str, kind: str) -> str:
    """What a filter is called; places and languages mean another thing for offers."""
    return {
        "theme": _("Theme"),
        "support_kind": _("Kind of support"),
        "subregion": _("Subregion") if kind == "need" else _("Serves the subregion"),
        "country": _("Country") if kind == "need" else _("Serves the country"),
        "ilac_area": _("ILAC priority area"),
        "programme": _("Programme"),
        "mandate": _("Mandate"),
        "language": _("Written in"),
    }[parameter]


def chips(
    filters: PostFilter, reference: Reference, language: str, organisation: str = ""
) -> list[Chip]:
    """The filters that are on; ``organisation`` is the name of the one that is asked for."""
    found = [
        Chip(
            parameter,
            code,
            group_title(parameter, filters.kind),
            reference.label(scheme, code, language),
        )
        for parameter, (name, scheme) in PARAMETERS.items()
        for code in getattr(filters, name)
    ]
    if filters.organisation:
        found.append(Chip("organisation", filters.organisation, _("Organisation"), organisation))
    found += [
        Chip("without", facet, _("Not stated"), group_title(facet, filters.kind))
        for facet in filters.without
    ]
    if filters.since:
        since = filters.since.isoformat()
        found.append(Chip("since", since, _("Published since"), _day_in(filters.since, language)))
    if filters.open_only:
        found.append(Chip("open", "1", _("Status"), _("open now")))
    if filters.text:
        found.append(Chip("q", filters.text, _("Words"), filters.text))
    return found
