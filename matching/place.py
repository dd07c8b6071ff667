"""Who an offer reaches, and where its provider has worked, seen from the place of a need.

Both are counted in ten-thousandths, as whole numbers, so that rows and arrays agree to the bit.
"""

from matching.profile import OfferProfile
from matching.taxonomy import REGIONAL, Taxonomy

FULL = 10_000
"""The place itself is named."""
SUBREGION = 7_500
"""The country's subregion, or a body of which it is a member, is named."""
REGION = 5_000
"""Open to the whole region, or nothing said; also what stands in where a need names no place."""
NEIGHBOUR = 5_000
"""Experience in another country of the subregion."""


def reach(place: str | None, offer: OfferProfile, taxonomy: Taxonomy) -> int | None:
    """Tell how nearly an offer names a place, or ``None`` where it does not serve it.

    Parameters
    ----------
    place
        Country (ISO 3166 alpha-2), subregion, ``regional``, or ``None`` where it is not stated.

    Returns
    -------
    int or None
        Country named 10,000, its subregion or body 7,500, the region 5,000. For a need of several
        countries: 5,000 and as much of the other half as the share of them that is named.
    """
    if not offer.states_place():
        outside = place in taxonomy.countries and taxonomy.subregion(str(place)) is None
        return None if outside else REGION
    if place is None:
        return None if offer.outside_region_only else REGION
    whole = REGIONAL in offer.serves_subregions and not offer.outside_region_only
    if place in taxonomy.members:
        if place in offer.serves_subregions and not offer.outside_region_only:
            return FULL
        members = taxonomy.members[place]
        named = sum(bool(_names(country, offer, taxonomy)) for country in members)
        if named:
            return REGION + (FULL - REGION) * named // len(members)
        return REGION if whole else None
    nearness = _names(place, offer, taxonomy)
    if nearness:
        return nearness
    return REGION if whole and taxonomy.subregion(place) is not None else None


def _names(country: str, offer: OfferProfile, taxonomy: Taxonomy) -> int:
    """How nearly an offer names one country: itself, its subregion or body, or not at all."""
    if country in offer.serves_countries:
        return FULL
    if offer.outside_region_only:
        return 0
    if taxonomy.subregion(country) in offer.serves_subregions:
        return SUBREGION
    bodies = taxonomy.bodies.get(country)
    return SUBREGION if bodies and not bodies.isdisjoint(offer.serves_bodies) else 0


def experience(place: str, offer: OfferProfile, taxonomy: Taxonomy) -> int:
    """Tell how nearly the provider has worked in a place: there, in its subregion, or elsewhere."""
    if place in taxonomy.members:
        return 0 if taxonomy.members[place].isdisjoint(offer.experience_countries) else FULL
    if place in offer.experience_countries:
        return FULL
    subregion = taxonomy.subregion(place)
    if subregion is None or taxonomy.members[subregion].isdisjoint(offer.experience_countries):
        return 0
    return NEIGHBOUR
