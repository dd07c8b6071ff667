"""Posts as rows of arrays: what the rules and the score look at, a column a fact.

A column says what a profile says, in numbers: codes as positions in the taxonomy, sets as rows of
flags, days as ordinals. What is not stated has a number that no post can state.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matching.eligibility import has_no_capacity, has_no_money
from matching.place import FULL, REGION, experience, reach
from matching.profile import NeedProfile, OfferProfile, Post
from matching.taxonomy import Taxonomy, Terms

Array: TypeAlias = NDArray[Any]
Rows: TypeAlias = NDArray[np.int64]

NONE = -1
"""Position of a code that is not stated."""
NEVER = 2**30
"""Ordinal of a last day that is not stated: after any day."""
LIMITS = 12
"""Width of the column ``limits``, see ``Forms.limits_of_needs``."""
NOT_SERVED = 65_535
"""Reach of an offer at a place that it does not serve."""

SETS: Mapping[str, tuple[str, str, str]] = {
    "themes": ("themes", "themes", "themes"),
    "ilac_areas": ("ilac_areas", "ilac_areas", "ilac_areas"),
    "support_kinds": ("support_kinds", "support_kinds", "support_kinds"),
    "modalities": ("modalities", "modalities", "modalities"),
    "programmes": ("programmes", "programmes", "programmes"),
    "experience_themes": ("themes", "themes", "experience_themes"),
}
"""Parts that compare sets: their terms in the taxonomy, the need's field and the offer's."""


def set_spans(taxonomy: Taxonomy) -> dict[str, slice]:
    """Where the terms of each part of ``SETS`` lie in the columns ``terms`` and ``near``."""
    spans, start = {}, 0
    for part, (terms, _, _) in SETS.items():
        stop = start + len(getattr(taxonomy, terms))
        spans[part] = slice(start, stop)
        start = stop
    return spans


class Columns:
    """Columns that grow together, a row a post.

    Parameters
    ----------
    kinds
        Column → dtype and width; width 0 makes a column of one number a row.
    spans
        See ``set_spans``.
    capacity
        Rows for which there is room at first.

    Notes
    -----
    Room doubles when it runs out, so that adding n posts costs O(n).
    """

    def __init__(
        self,
        kinds: Mapping[str, tuple[Any, int]],
        spans: Mapping[str, slice],
        capacity: int = 64,
    ) -> None:
        self.spans = spans
        self._arrays: dict[str, Array] = {
            name: np.zeros((capacity, width) if width else capacity, dtype)
            for name, (dtype, width) in kinds.items()
        }

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __len__(self) -> int:
        return len(next(iter(self._arrays.values())))

    def reserve(self, rows: int) -> None:
        """Make room for a number of rows."""
        if rows > len(self):
            capacity = max(rows, 2 * len(self))
            for name, array in self._arrays.items():
                grown = np.zeros((capacity, *array.shape[1:]), array.dtype)
                grown[: len(array)] = array
                self._arrays[name] = grown

    def take(self, rows: Rows | slice) -> "Columns":
        """Copy (rows given by number) or view (a slice) some rows."""
        taken = Columns({}, self.spans)
        taken._arrays = {name: array[rows] for name, array in self._arrays.items()}
        return taken

    def terms(self, part: str) -> Array:
        """Flags of the terms stated in a part of ``SETS``, (n, t) uint8."""
        return self["terms"][:, self.spans[part]]

    def near(self, part: str) -> Array:
        """How near each term is to the nearest one stated, (n, t) uint8, in quarters."""
        return self["near"][:, self.spans[part]]

    def count(self, part: str) -> Array:
        """Number of terms stated in a part of ``SETS``, (n,)."""
        return self["counts"][:, list(SETS).index(part)]

    def masks(self, part: str) -> Rows:
        """Terms stated in a part of ``SETS`` as bits, (n,), 0 where it is open."""
        flags = self.terms(part)
        return np.asarray(flags @ (1 << np.arange(flags.shape[1], dtype=np.int64)))


def _common_columns(taxonomy: Taxonomy, width: int, form: int) -> dict[str, tuple[Any, int]]:
    width_of_sets = max(span.stop for span in set_spans(taxonomy).values())
    return {
        "id": (np.int64, 0),
        "live": (np.bool_, 0),
        "organisation": (np.int64, 0),
        "published": (np.bool_, 0),
        "dimension": (np.int8, 0),
        "horizon": (np.int8, 0),
        "starts": (np.int32, 0),
        "ends": (np.int32, 0),
        "period": (np.bool_, 0),
        "closes": (np.int32, 0),
        "languages": (np.bool_, len(taxonomy.languages)),
        "languages_stated": (np.bool_, 0),
        "text": (np.float32, width),
        "text_stated": (np.bool_, 0),
        "terms": (np.uint8, width_of_sets),
        "near": (np.uint8, width_of_sets),
        "counts": (np.int16, len(SETS)),
        "form": (np.float32, form),
        "limits": (np.float32, LIMITS),
    }


def need_columns(taxonomy: Taxonomy, width: int, form: int) -> Columns:
    """Empty columns for needs; `width` is the length of a text vector, `form` of a form."""
    return Columns(
        _common_columns(taxonomy, width, form)
        | {
            "place": (np.int16, 0),
            "country": (np.int16, 0),
            "organisation_kind": (np.int16, 0),
            "wanted": (np.float64, 0),
            "money_most": (np.float64, 0),
            "places": (np.float64, 0),
        },
        set_spans(taxonomy),
    )


def offer_columns(taxonomy: Taxonomy, width: int, form: int) -> Columns:
    """Empty columns for offers; `width` is the length of a text vector, `form` of a form.

    ``reach``, ``experience`` and ``place_points`` have a column for each of ``taxonomy.places`` and
    a last one for needs that state no place.
    """
    places = len(taxonomy.places) + 1
    return Columns(
        _common_columns(taxonomy, width, form)
        | {
            "reach": (np.uint16, places),
            "states_place": (np.bool_, 0),
            "experience": (np.uint16, places),
            "experience_stated": (np.bool_, 0),
            "barred_country": (np.int16, 0),
            "kinds_served": (np.bool_, len(taxonomy.organisation_kinds)),
            "kinds_restricted": (np.bool_, 0),
            "opens": (np.int32, 0),
            "places_least": (np.float64, 0),
            "no_capacity": (np.bool_, 0),
            "no_money": (np.bool_, 0),
            "available": (np.float64, 0),
            "grant_least": (np.float64, 0),
            "places": (np.float64, 0),
            "place_points": (np.float32, places),
        },
        set_spans(taxonomy),
    )


def _write_sets(columns: Columns, row: int, post: Post, side: int, taxonomy: Taxonomy) -> None:
    """Write the sets of a need (`side` 1) or an offer (2): see ``SETS``."""
    columns["terms"][row] = 0
    columns["near"][row] = 0
    for number, (part, names) in enumerate(SETS.items()):
        terms: Terms = getattr(taxonomy, names[0])
        positions = [terms.position[code] for code in getattr(post, names[side])]
        columns["counts"][row, number] = len(positions)
        if positions:
            start = columns.spans[part].start
            columns["terms"][row, [start + position for position in positions]] = 1
            nearest = terms.closeness[positions].max(axis=0)
            columns["near"][row, columns.spans[part]] = nearest


def _write_flags(array: Array, row: int, stated: frozenset[str], codes: Sequence[str]) -> None:
    array[row] = False
    array[row, [codes.index(code) for code in stated]] = True


def _position(code: str | None, codes: Sequence[str]) -> int:
    return NONE if code is None or code not in codes else codes.index(code)


def _ordinal(day: date | None, silent: int) -> int:
    return silent if day is None else day.toordinal()


def _amount(amount: float | None, silent: float = np.nan) -> float:
    return silent if amount is None else float(amount)


def _write_common(
    columns: Columns, row: int, post: Post, text: NDArray[np.float32], taxonomy: Taxonomy
) -> None:
    columns["id"][row] = post.id
    columns["live"][row] = True
    columns["organisation"][row] = post.organisation
    columns["published"][row] = post.published
    columns["dimension"][row] = _position(post.dimension, taxonomy.dimensions)
    columns["horizon"][row] = _position(post.horizon, taxonomy.horizons)
    period = post.period()
    columns["period"][row] = period is not None
    columns["starts"][row] = period[0].toordinal() if period else NEVER
    columns["ends"][row] = period[1].toordinal() if period else 0
    _write_flags(columns["languages"], row, post.languages, taxonomy.languages)
    columns["languages_stated"][row] = bool(post.languages)
    columns["text"][row] = text
    columns["text_stated"][row] = bool(text.any())


def write_need(
    columns: Columns, row: int, need: NeedProfile, text: NDArray[np.float32], taxonomy: Taxonomy
) -> None:
    """Write a need into a row; `text` is its vector on the grid, (width,) float32."""
    _write_common(columns, row, need, text, taxonomy)
    _write_sets(columns, row, need, 1, taxonomy)
    columns["closes"][row] = _ordinal(need.closes, NEVER)
    columns["place"][row] = _position(need.place(), taxonomy.places)
    columns["country"][row] = _position(need.country, taxonomy.places)
    columns["organisation_kind"][row] = _position(
        need.organisation_kind, taxonomy.organisation_kinds
    )
    columns["wanted"][row] = _amount(need.money_wanted())
    columns["money_most"][row] = _amount(need.money_most, np.inf)
    columns["places"][row] = _amount(need.places_wanted or None)


def write_offer(
    columns: Columns, row: int, offer: OfferProfile, text: NDArray[np.float32], taxonomy: Taxonomy
) -> None:
    """Write an offer into a row; `text` is its vector on the grid, (width,) float32."""
    _write_common(columns, row, offer, text, taxonomy)
    _write_sets(columns, row, offer, 2, taxonomy)
    columns["closes"][row] = _ordinal(offer.closes, NEVER)
    columns["opens"][row] = _ordinal(offer.opens, 0)
    columns["reach"][row] = _reaches(offer, taxonomy)
    columns["states_place"][row] = offer.states_place()
    columns["experience"][row] = _experiences(offer, taxonomy)
    columns["experience_stated"][row] = bool(offer.experience_countries)
    barred = None if offer.own_country else offer.organisation_country
    columns["barred_country"][row] = _position(barred, taxonomy.places)
    _write_flags(
        columns["kinds_served"],
        row,
        offer.serves_organisation_kinds,
        taxonomy.organisation_kinds,
    )
    columns["kinds_restricted"][row] = bool(offer.serves_organisation_kinds)
    columns["places_least"][row] = _amount(offer.places_least or None, 0.0)
    columns["no_capacity"][row] = has_no_capacity(offer)
    columns["no_money"][row] = has_no_money(offer)
    columns["available"][row] = _amount(offer.money_available())
    columns["grant_least"][row] = offer.smallest_grant()
    columns["places"][row] = _amount(offer.places_available())


def _reaches(offer: OfferProfile, taxonomy: Taxonomy) -> list[int]:
    if not offer.states_place():
        inside = taxonomy.members
        return [
            REGION if place in inside or taxonomy.subregion(place) is not None else NOT_SERVED
            for place in taxonomy.places
        ] + [REGION]
    reached = [reach(place, offer, taxonomy) for place in (*taxonomy.places, None)]
    return [NOT_SERVED if value is None else value for value in reached]


def _experiences(offer: OfferProfile, taxonomy: Taxonomy) -> list[int]:
    if not offer.experience_countries:
        return [0] * (len(taxonomy.places) + 1)
    return [experience(place, offer, taxonomy) for place in taxonomy.places] + [FULL]
