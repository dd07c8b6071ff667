"""What exists already near a need: experience that answers it where no offer does.

An entry of a directory (an institution, a technology, a practice, …) speaks in the facts of an
offer, and is compared by the same components; those that only a standing offer has (money, dates,
kinds of support) are left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from matching.explain import Explanation, explain
from matching.profile import NeedProfile, OfferProfile
from matching.score import MICRO, Bands, TextScale, Vector, Weights, score_pair
from matching.taxonomy import REGIONAL, Taxonomy

COMPARED = ("theme", "place", "text")
"""Components by which an entry is compared with a need."""

NEAR = 40.0
"""Points, 0 to 100, from which an entry is worth a look: in the demonstration, what lies below shares
a theme by name alone."""


@dataclass(frozen=True, slots=True)
class Precedent:
    """An entry as it is compared.

    Parameters
    ----------
    profile
        Its facts; see ``where`` for its place.
    vector
        (d,) feature vector of its text, as of an offer's; ``None`` where it is not known yet.
    """

    profile: OfferProfile
    vector: Vector | None


def where(country: str | None, taxonomy: Taxonomy) -> tuple[frozenset[str], frozenset[str]]:
    """Tell for whom something that stands in a country is near.

    Returns
    -------
    tuple
        Countries and subregions in the sense of ``OfferProfile``: its own country first, then the
        others of its subregion, then the whole region.
    """
    if country is None:
        return frozenset(), frozenset({REGIONAL})
    own = taxonomy.subregion(country) if country in taxonomy.countries else None
    return frozenset({country}), frozenset({REGIONAL} | ({own} if own else set()))


def compared_weights(weights: Weights) -> Weights:
    """The weights of what is compared, in the proportions in which they stand to each other."""
    shares = weights.shares()
    kept = {component: shares[component] for component in COMPARED}
    if not sum(kept.values()):
        return compared_weights(Weights())
    return Weights.from_shares(kept, f"{weights.version}, precedents")


def nearest_precedents(
    need: NeedProfile,
    vector: Vector | None,
    precedents: Iterable[Precedent],
    taxonomy: Taxonomy,
    weights: Weights,
    scale: TextScale,
    *,
    limit: int = 6,
    near: float = NEAR,
) -> list[Explanation]:
    """Find the entries nearest to a need, best first, each with what speaks for it.

    Parameters
    ----------
    vector
        (d,) feature vector of the need's text; ``None`` where there is none.
    near
        Points that an entry reaches at least.

    Returns
    -------
    At most ``limit``; ties go to the reference that comes first. ``offer_id`` is the entry's.
    """
    counted = compared_weights(weights)
    own = None if vector is None else scale.to_grid(vector)
    found = []
    for precedent in precedents:
        likeness = None
        if own is not None and precedent.vector is not None:
            likeness = scale.likeness_of(own, scale.to_grid(precedent.vector))
        total = score_pair(need, precedent.profile, taxonomy, counted, likeness).total
        if total >= near * MICRO:
            found.append((-total, precedent.profile.reference, precedent.profile, likeness))
    found.sort(key=lambda row: row[:2])
    return [
        explain(need, profile, taxonomy, counted, Bands(), likeness)
        for _total, _reference, profile, likeness in found[:limit]
    ]
