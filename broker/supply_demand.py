"""Supply against demand: how many needs and offers on the exchange carry each code of a facet.

A post may carry several codes of one facet (two themes, three subregions) and then counts in the
row of each; totals count every post once. What a code means for a post is decided by
:func:`broker.posts.find_posts` alone, so that every number equals the list to which it leads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from broker.posts import CLASSES, PostFilter, find_posts
from broker.reference import Reference
from models import LIVE, InvalidInput, Post, PostFacet, Support

FACETS = {
    "theme": "themes",
    "subregion": "subregions",
    "ilac_area": "ilac_areas",
    "support_kind": "support_kinds",
}
"""Facet by which supply and demand are set against each other → its field of ``PostFilter``."""

FACET_NAMES = {
    "theme": _l("Theme"),
    "subregion": _l("Subregion"),
    "ilac_area": _l("ILAC priority area"),
    "support_kind": _l("Kind of support"),
}
"""Facet → its name."""

LONG = 12
"""A taxonomy of more terms than this is read by what is asked for most, not in its own order."""


def codes_of(facet: str, reference: Reference) -> list[str]:
    """The codes of a facet: of kinds of support, those that are no modality of another."""
    return reference.kinds() if facet == "support_kind" else list(reference.codes(facet))


@dataclass(frozen=True)
class Cell:
    """How many needs and offers there are of one thing, each counted once."""

    needs: int
    offers: int

    @property
    def balance(self) -> int:
        """Offers less needs: negative where more is asked for than offered."""
        return self.offers - self.needs


@dataclass(frozen=True)
class CodeRow:
    """A code of a facet with its needs and offers, and in a cross table those of each column."""

    code: str
    label: str
    total: Cell
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class FacetTable:
    """Supply against demand by one facet.

    Attributes
    ----------
    total : Cell
        All posts on the exchange, each once.
    unstated : Cell
        Posts that carry no code of the facet.
    several : Cell
        Posts that carry more than one, and so count in more than one row.
    """

    facet: str
    rows: tuple[CodeRow, ...]
    total: Cell
    unstated: Cell
    several: Cell


@dataclass(frozen=True)
class View:
    """Which two facets a cross table sets against each other, and the codes that narrow it."""

    rows: str = "theme"
    columns: str = "subregion"
    narrowed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, parameters: Mapping[str, str], reference: Reference) -> View:
        """The view that an address asks for: ``rows``, ``columns``, and a code of other facets.

        Raises
        ------
        InvalidInput
            For a facet or a code that does not exist.
        """
        problems: dict[str, object] = {}
        chosen = {"rows": cls.rows, "columns": cls.columns}
        for name in chosen:
            value = parameters.get(name) or chosen[name]
            if value not in FACETS:
                problems[name] = [("unknown_code", {"code": value[:60]})]
            chosen[name] = value
        if chosen["rows"] == chosen["columns"]:
            # Two times the same facet says nothing: the next one takes the columns.
            chosen["columns"] = next(facet for facet in FACETS if facet != chosen["rows"])
        narrowed = {}
        for facet in FACETS:
            code = parameters.get(facet)
            if not code or facet in chosen.values():
                continue
            if code not in codes_of(facet, reference):
                problems[facet] = [("unknown_code", {"code": code[:60]})]
            narrowed[facet] = code
        if problems:
            raise InvalidInput(problems)
        return cls(chosen["rows"], chosen["columns"], narrowed)


@dataclass(frozen=True)
class CrossTable:
    """Supply against demand by two facets; codes that no post carries are left out."""

    view: View
    columns: tuple[CodeRow, ...]
    rows: tuple[CodeRow, ...]
    total: Cell


@dataclass(frozen=True)
class Side:
    """The needs, or the offers, that are on the exchange: ids in all, and by facet and code."""

    everything: frozenset[int]
    holders: Mapping[str, Mapping[str, set[int]]]

    def having(self, codes: Mapping[str, str]) -> set[int]:
        """Ids of the posts that carry all of those codes (facet → code)."""
        found = set(self.everything)
        for facet, code in codes.items():
            found &= self.holders[facet][code]
        return found

    def codes_of_posts(self) -> dict[int, dict[str, list[str]]]:
        """Post → facet → the codes that it carries."""
        found: dict[int, dict[str, list[str]]] = {post_id: {} for post_id in self.everything}
        for facet, holders in self.holders.items():
            for code, ids in holders.items():
                for post_id in ids:
                    found[post_id].setdefault(facet, []).append(code)
        return found

    def stating(self, facet: str) -> set[int]:
        """Ids of the posts that carry any code of the facet."""
        return set().union(*self.holders[facet].values()) & self.everything


@dataclass(frozen=True)
class Market:
    """Both sides of the exchange as they stand now."""

    needs: Side
    offers: Side

    @classmethod
    def read(
        cls, session: Session, reference: Reference, fields: Mapping[str, Any] | None = None
    ) -> Market:
        """The posts on the exchange, in as many queries however many they are.

        Parameters
        ----------
        fields : Mapping, optional
            Fields of :class:`broker.posts.PostFilter` that all posts of the market pass.
        """
        return cls(
            _side(session, "need", reference, fields or {}),
            _side(session, "offer", reference, fields or {}),
        )

    def count(self, codes: Mapping[str, str]) -> Cell:
        """Needs and offers that carry all of those codes (facet → code)."""
        return Cell(len(self.needs.having(codes)), len(self.offers.having(codes)))

    def table(self, facet: str, reference: Reference, language: str) -> FacetTable:
        """Supply against demand by one facet, with every code of it."""
        sides = (self.needs, self.offers)
        return FacetTable(
            facet,
            _ordered(self._rows(facet, {}, reference, language), facet, reference),
            self.count({}),
            Cell(*(len(side.everything - side.stating(facet)) for side in sides)),
            Cell(*(_several(side, facet) for side in sides)),
        )

    def cross(self, view: View, reference: Reference, language: str) -> CrossTable:
        """Supply against demand by two facets, among the posts that carry the narrowing codes."""
        narrowed = dict(view.narrowed)
        columns = _filled(self._rows(view.columns, narrowed, reference, language))
        columns = _ordered(columns, view.columns, reference)
        rows = [
            CodeRow(
                row.code,
                row.label,
                row.total,
                tuple(
                    self.count({**narrowed, view.rows: row.code, view.columns: column.code})
                    for column in columns
                ),
            )
            for row in _filled(self._rows(view.rows, narrowed, reference, language))
        ]
        return CrossTable(view, columns, _ordered(rows, view.rows, reference), self.count(narrowed))

    def _rows(
        self, facet: str, narrowed: Mapping[str, str], reference: Reference, language: str
    ) -> list[CodeRow]:
        return [
            CodeRow(
                code,
                reference.label(facet, code, language),
                self.count({**narrowed, facet: code}),
            )
            for code in codes_of(facet, reference)
        ]


def _with(filters: PostFilter, facet: str, codes: Iterable[str]) -> PostFilter:
    names: dict[str, Any] = {FACETS[facet]: tuple(codes)}
    return replace(filters, **names)


def ids_of(filters: PostFilter) -> Select[Any]:
    """A query for the numbers alone of what :func:`broker.posts.find_posts` finds."""
    condition: Any = find_posts(filters).whereclause
    return select(CLASSES[filters.kind].id).where(condition).correlate(None)


def _side(session: Session, kind: str, reference: Reference, fields: Mapping[str, Any]) -> Side:
    holders: dict[str, dict[str, set[int]]] = {
        facet: {code: set() for code in codes_of(facet, reference)} for facet in FACETS
    }
    on_exchange = PostFilter(kind, open_only=True)
    live = (Post.kind == kind, Post.status.in_(LIVE))
    facets = select(PostFacet.facet, PostFacet.code, PostFacet.post_id).join(
        Post, Post.id == PostFacet.post_id
    )
    for facet, code, post_id in session.execute(
        facets.where(*live, PostFacet.facet.in_(("theme", "ilac_area")))
    ):
        holders[facet].setdefault(code, set()).add(post_id)
    kinds = select(Support.kind, Support.post_id).join(Post, Post.id == Support.post_id)
    for code, post_id in session.execute(kinds.where(*live)):
        holders["support_kind"].setdefault(code, set()).add(post_id)
    for code in holders["subregion"]:
        # Whom an offer reaches is a rule of its own: the list of posts holds it.
        served = _with(on_exchange, "subregion", (code,))
        holders["subregion"][code] = set(session.scalars(ids_of(served)))
    everything = replace(on_exchange, **fields)
    return Side(frozenset(session.scalars(ids_of(everything))), holders)


def _several(side: Side, facet: str) -> int:
    seen: set[int] = set()
    again: set[int] = set()
    for holders in side.holders[facet].values():
        ids = holders & side.everything
        again |= seen & ids
        seen |= ids
    return len(again)


def _filled(rows: Iterable[CodeRow]) -> tuple[CodeRow, ...]:
    return tuple(row for row in rows if row.total.needs or row.total.offers)


def _ordered(rows: Sequence[CodeRow], facet: str, reference: Reference) -> tuple[CodeRow, ...]:
    if len(codes_of(facet, reference)) <= LONG:
        return tuple(rows)
    return tuple(sorted(rows, key=lambda r: (-r.total.needs, -r.total.offers, r.label)))
