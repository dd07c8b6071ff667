"""Rules and score of many pairs at a time, in arrays: the same to the bit as of one pair.

``eligibility.why_not`` and ``score.score_pair`` are the definitions; the tests hold these against
them. Pairs are given by two lists of rows, broadcast against each other.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matching.columns import NONE, NOT_SERVED, Columns, Rows
from matching.eligibility import RULES
from matching.place import FULL
from matching.score import COMPONENTS, COVERAGE, FOCUS, Floats, TextScale, Weights
from matching.taxonomy import SAME

Flags: TypeAlias = NDArray[np.bool_]
Totals: TypeAlias = NDArray[np.int64]

CHUNK = 65_536
"""Pairs that are compared at a time, so that their rows stay in the processor's cache."""


def broken_rules(needs: Columns, offers: Columns, i: Rows, j: Rows, day: int) -> dict[str, Flags]:
    """Tell which rules each pair breaks; conflicts and dismissals are the book's to add.

    Parameters
    ----------
    i, j
        Rows of needs and of offers, (p,) or broadcastable.
    day
        Ordinal of the day in question.

    Returns
    -------
    Rule → (p,) bool, in the order of ``RULES``.
    """
    country = needs["country"][i]
    kind = needs["organisation_kind"][i]
    organisation = needs["organisation"][i]
    reached = offers["reach"][j, needs["place"][i]]
    wanted, given = needs.masks("support_kinds")[i], offers.masks("support_kinds")[j]
    shape = np.broadcast_shapes(np.shape(i), np.shape(j))
    broken = {
        "not_published": ~(needs["published"][i] & offers["published"][j]),
        "need_closed": needs["closes"][i] < day,
        "offer_closed": offers["closes"][j] < day,
        "windows_do_not_overlap": needs["closes"][i] < offers["opens"][j],
        "place_not_served": reached == NOT_SERVED,
        "organisation_kind_not_served": (
            offers["kinds_restricted"][j]
            & (kind != NONE)
            & ~offers["kinds_served"][j, np.maximum(kind, 0)]
        ),
        "own_country": (country != NONE) & (country == offers["barred_country"][j]),
        "own_organisation": (organisation != 0) & (organisation == offers["organisation"][j]),
        "support_kind_not_given": (wanted != 0) & (given != 0) & ((wanted & given) == 0),
        # Of a need that states no places the number is NaN, which is not below anything.
        "group_too_small": needs["places"][i] < offers["places_least"][j],
        "no_capacity_left": offers["no_capacity"][j],
        "no_money_left": offers["no_money"][j],
    }
    return {rule: np.broadcast_to(broken[rule], shape) for rule in RULES if rule in broken}


def _compare_sets(needs: Columns, offers: Columns, i: Rows, j: Rows) -> dict[str, Floats]:
    """Compare all sets of pairs as ``score.compare_sets`` does, in two matrix products."""
    spans = needs.spans
    parts = np.zeros((max(span.stop for span in spans.values()), len(spans)), np.float32)
    for number, span in enumerate(spans.values()):
        parts[span, number] = 1
    # Sums of a few dozen quarters: exact in single precision.
    covered = (needs["terms"][i] * offers["near"][j]).astype(np.float32) @ parts
    focused = (needs["near"][i] * offers["terms"][j]).astype(np.float32) @ parts
    wanted, given = needs["counts"][i].astype(np.float64), offers["counts"][j].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = COVERAGE * (covered / (SAME * wanted)) + FOCUS * (focused / (SAME * given))
    alike[(wanted == 0) | (given == 0)] = np.nan
    return {part: alike[:, number] for number, part in enumerate(spans)}


def pair_similarities(
    needs: Columns, offers: Columns, i: Rows, j: Rows, likeness: Floats
) -> dict[str, Floats]:
    """Compare pairs part by part, as ``score.similarities`` does.

    Parameters
    ----------
    likeness
        (p,) likeness of the texts; only looked at where both are stated.

    Returns
    -------
    Part → (p,) float64, NaN where a side leaves it open.
    """

    def stated(condition: NDArray[Any], value: Any) -> Floats:
        return np.where(condition, value, np.nan)

    found = _compare_sets(needs, offers, i, j)
    found["languages"] = stated(
        needs["languages_stated"][i] & offers["languages_stated"][j],
        (needs["languages"][i] & offers["languages"][j]).any(axis=-1),
    )
    place = needs["place"][i]
    reached = offers["reach"][j, place]
    found["place"] = np.where(
        reached == NOT_SERVED,
        0.0,
        stated((place != NONE) & offers["states_place"][j], reached / FULL),
    )
    found["experience_countries"] = stated(
        (place != NONE) & offers["experience_stated"][j], offers["experience"][j, place] / FULL
    )
    found["text"] = stated(needs["text_stated"][i] & offers["text_stated"][j], likeness)
    ours, theirs = needs["dimension"][i], offers["dimension"][j]
    found["dimension"] = stated((ours != NONE) & (theirs != NONE), np.equal(ours, theirs))
    ours, theirs = needs["horizon"][i], offers["horizon"][j]
    apart = np.abs(ours.astype(np.int64) - theirs)
    found["horizon"] = stated((ours != NONE) & (theirs != NONE), np.maximum(1.0 - 0.5 * apart, 0.0))
    first = np.maximum(needs["starts"][i], offers["starts"][j])
    last = np.minimum(needs["ends"][i], offers["ends"][j])
    length = needs["ends"][i] - needs["starts"][i] + 1
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        found["period"] = stated(
            needs["period"][i] & offers["period"][j], np.maximum(last - first + 1, 0) / length
        )
        covered = np.minimum(offers["available"][j] / needs["wanted"][i], 1.0)
        least = offers["grant_least"][j]
        fits = np.where(least > 0, needs["money_most"][i] / least, np.inf)
        found["places"] = np.minimum(offers["places"][j] / needs["places"][i], 1.0)
    found["money"] = np.minimum(covered, fits)
    return found


def pair_totals(
    needs: Columns,
    offers: Columns,
    i: Rows,
    j: Rows,
    weights: Weights,
    likeness: Floats,
) -> Totals:
    """Score pairs, eligible or not, in millionths of a point, as ``score.score_pair`` does.

    Returns
    -------
    (p,) int64.
    """
    most = weights.micro_points()
    totals = np.zeros(len(i), np.int64)
    for start in range(0, len(i), CHUNK):
        part = slice(start, start + CHUNK)
        found = pair_similarities(needs, offers, i[part], j[part], likeness[part])
        for component, parts in COMPONENTS.items():
            similarity: Floats = np.zeros(len(i[part]))
            for piece in parts:
                value = found[piece.name]
                similarity += piece.share * np.where(np.isnan(value), piece.neutral, value)
            totals[part] += np.rint(most[component] * similarity).astype(np.int64)
    return totals


def pair_likeness(needs: Columns, offers: Columns, i: Rows, j: Rows, scale: TextScale) -> Floats:
    """Likeness of the texts of pairs, (p,) float64."""
    likeness: Floats = np.empty(len(i))
    for start in range(0, len(i), CHUNK // 16):
        part = slice(start, start + CHUNK // 16)
        # Every partial sum is a whole number below 2²⁴: exact in single precision.
        inner = np.einsum("pd,pd->p", needs["text"][i[part]], offers["text"][j[part]])
        likeness[part] = scale.likeness(inner)
    return likeness
