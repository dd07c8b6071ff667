"""The filters of a list of posts: read from the address, shown with counts, taken off one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from babel.dates import format_date
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import MultiDict

from broker.posts import SORTS, PostFilter
from broker.reference import Reference
from broker.supply_demand import FACETS
from broker.web.facets import (
    Chip,
    Choices,
    FilterGroup,
    Parameters,
    facet_chips,
    facet_groups,
    organisation_chip,
    read_code,
    read_codes,
    read_sort,
    read_words,
    words_chip,
)

PARAMETERS: Parameters = {
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

SORT_NAMES = {
    "relevance": _l("Best match first"),
    "newest": _l("Newest first"),
    "oldest": _l("Longest waiting first"),
    "closing": _l("Closing soonest first"),
    "title": _l("By title"),
}
"""Order of a list → its name; the first one is for lists that are searched for words."""


def read_filters(kind: str, args: MultiDict[str, str]) -> PostFilter:
    """The filters that an address asks for."""
    text = read_words(args)
    codes: dict[str, Any] = read_codes(args, PARAMETERS)
    return PostFilter(
        kind,
        text=text,
        organisation=read_code(args.get("organisation", "")),
        without=tuple(facet for facet in FACETS if facet in args.getlist("without")),
        since=_day(args.get("since", "")),
        open_only=args.get("open") == "1",
        sort=read_sort(args, SORTS, text),
        **codes,
    )


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


def filter_groups(
    filters: PostFilter,
    counts: Mapping[str, Mapping[str, int]],
    reference: Reference,
    language: str,
) -> list[FilterGroup]:
    """Every filter with the choices that would find something, or that are on already."""
    return facet_groups(
        filters, counts, PARAMETERS, _titles(filters.kind), _choices(reference, language)
    )


def _titles(kind: str) -> Callable[[str], str]:
    return lambda parameter: group_title(parameter, kind)


def _choices(reference: Reference, language: str) -> Choices:
    return lambda parameter: reference.choices(PARAMETERS[parameter][1], language)


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

    def label(parameter: str, code: str) -> str:
        return reference.label(PARAMETERS[parameter][1], code, language)

    found = facet_chips(filters, PARAMETERS, _titles(filters.kind), label)
    found += organisation_chip(filters.organisation, organisation)
    found += [
        Chip("without", facet, _("Not stated"), group_title(facet, filters.kind))
        for facet in filters.without
    ]
    if filters.since:
        since = filters.since.isoformat()
        found.append(Chip("since", since, _("Published since"), _day_in(filters.since, language)))
    if filters.open_only:
        found.append(Chip("open", "1", _("Status"), _("open now")))
    return found + words_chip(filters.text)
