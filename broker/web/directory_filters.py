"""The filters of a list of directory entries."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import MultiDict

from broker.directory_schemas import KIND_NAMES
from broker.directory_search import SORTS, DirectoryFilter
from broker.reference import Reference
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
from models import EntryKind

PARAMETERS: Parameters = {
    "kind": ("kinds", ""),
    "theme": ("themes", "theme"),
    "subregion": ("subregions", "subregion"),
    "country": ("countries", "country"),
    "sector": ("sectors", "crs"),
    "language": ("languages", "language"),
}
"""Parameter of the address → field of :class:`DirectoryFilter`, and taxonomy of its codes."""

PARAMETER_NAMES = {
    "kind": _l("Directory"),
    "theme": _l("Theme"),
    "subregion": _l("Subregion"),
    "country": _l("Country"),
    "sector": _l("Sector"),
    "language": _l("Written in"),
}

SORT_NAMES = {
    "relevance": _l("Best match first"),
    "newest": _l("Newest first"),
    "title": _l("By title"),
    "ending": _l("Running out soonest first"),
}
"""Order of a list → its name; the first one is for lists that are searched for words."""


_KINDS: Mapping[str, object] = {str(kind): name for kind, name in KIND_NAMES.items()}


def read_filters(args: MultiDict[str, str], kind: EntryKind | None = None) -> DirectoryFilter:
    """The filters that an address asks for; ``kind`` is that of the directory it stands in."""
    codes = read_codes(args, PARAMETERS)
    if kind is not None:
        codes["kinds"] = (str(kind),)
    text = read_words(args)
    return DirectoryFilter(
        text=text,
        organisation=read_code(args.get("organisation", "")),
        expired=args.get("expired") == "1",
        sort=read_sort(args, SORTS, text),
        **codes,
    )


def filter_groups(
    filters: DirectoryFilter,
    counts: Mapping[str, Mapping[str, int]],
    reference: Reference,
    language: str,
    *,
    within: bool = False,
) -> list[FilterGroup]:
    """Every filter with its choices; ``within`` one directory, which one is none."""
    return facet_groups(filters, counts, _parameters(within), _title, _choices(reference, language))


def chips(
    filters: DirectoryFilter,
    reference: Reference,
    language: str,
    organisation: str = "",
    *,
    within: bool = False,
) -> list[Chip]:
    """The filters that are on; ``organisation`` is the name of the one that is asked for."""

    def label(parameter: str, code: str) -> str:
        if parameter == "kind":
            return str(_KINDS.get(code, code))
        return reference.label(PARAMETERS[parameter][1], code, language)

    found = facet_chips(filters, _parameters(within), _title, label)
    found += organisation_chip(filters.organisation, organisation)
    if filters.expired:
        found.append(Chip("expired", "1", _("Status"), _("also those whose date has passed")))
    return found + words_chip(filters.text)


def sort_names(filters: DirectoryFilter) -> dict[str, object]:
    """The orders in which a list can be read: without words none is a better match."""
    return {code: name for code, name in SORT_NAMES.items() if filters.text or code in SORTS}


def _parameters(within: bool) -> Parameters:
    return {name: of for name, of in PARAMETERS.items() if not (within and name == "kind")}


def _title(parameter: str) -> str:
    return str(PARAMETER_NAMES[parameter])


def _choices(reference: Reference, language: str) -> Choices:
    def choices(parameter: str) -> list[tuple[str, str]]:
        if parameter == "kind":
            return [(kind, str(name)) for kind, name in _KINDS.items()]
        return reference.choices(PARAMETERS[parameter][1], language)

    return choices
