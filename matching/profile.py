"""What the engine knows of a post: the facts of a need and of an offer that bear on a match.

Profiles are frozen and speak in codes (themes, countries, …), plain dates and United States
dollars. Whoever holds the rows fills them in. An empty set or ``None`` means *not stated*; it never
means "none". The texts themselves stay outside: their vectors are handed to the book beside the
profile.
"""

import hashlib
import json
import math
from dataclasses import dataclass, fields
from datetime import date
from typing import Literal, TypeAlias

Side: TypeAlias = Literal["need", "offer"]
"""The two sides of a match."""

CENT = 0.01
"""Amounts below it, in US dollars, are no amounts."""
LARGEST = 1e15
"""Largest amount, in US dollars or places, that a post can state."""

NOTHING: frozenset[str] = frozenset()
"""The set of a facet that a post leaves open."""


class ProfileError(ValueError):
    """A profile says something that cannot be; no score would mean anything.

    Attributes
    ----------
    code
        What is wrong: ``not_finite``, ``negative``, ``too_large``, ``out_of_order``,
        ``unknown_code``, ``bad_vector``, ``sum_is_not_one``.
    field
        The field at fault; of two fields out of order, the first.
    value
        What stood in it.
    reference
        The post, where it is known.
    """

    def __init__(self, code: str, field: str, value: object, reference: str = "") -> None:
        super().__init__(f"{reference or 'profile'}: {field} is {value!r} ({code})")
        self.code = code
        self.field = field
        self.value = value
        self.reference = reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What needs and offers have in common.

    Parameters
    ----------
    id
        Number of the post, unique on its side.
    reference
        The post's public name; breaks ties between equal scores, in alphabetical order.
    organisation
        Number of the organisation that posts.
    published
        Whether others may see it; a post that is not published matches nothing.
    language
        Language in which it is written.
    themes, ilac_areas, programmes
        Codes of what it is about.
    support_kinds, modalities
        What is asked for or given. A modality implies its kind, which is to be listed too.
    mandates
        Lines of plans and decisions that it answers: shown beside a match, not scored.
    dimension
        Dimension of the action plan, "1" to "3".
    horizon
        ``short``, ``medium`` or ``long``.
    starts, ends
        First and last day of the work.
    languages
        Languages in which a need can be served, or an offer delivered.

    Raises
    ------
    ProfileError
        ``starts`` after ``ends``.
    """

    id: int
    reference: str
    organisation: int = 0
    published: bool = True
    language: str | None = None
    themes: frozenset[str] = NOTHING
    ilac_areas: frozenset[str] = NOTHING
    support_kinds: frozenset[str] = NOTHING
    modalities: frozenset[str] = NOTHING
    programmes: frozenset[str] = NOTHING
    mandates: frozenset[str] = NOTHING
    dimension: str | None = None
    horizon: str | None = None
    starts: date | None = None
    ends: date | None = None
    languages: frozenset[str] = NOTHING

    def __post_init__(self) -> None:
        self._require_order("starts", "ends")

    def digest(self) -> bytes:
        """Give the SHA-256 of the profile in canonical form (32 bytes): equal facts, equal bytes."""
        said = {field.name: _canonical(getattr(self, field.name)) for field in fields(self)}
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).digest()

    def period(self) -> tuple[date, date] | None:
        """First and last day of the work, where both are stated."""
        return (self.starts, self.ends) if self.starts and self.ends else None

    def _require_order(self, first: str, last: str) -> None:
        low, high = getattr(self, first), getattr(self, last)
        if low is not None and high is not None and low > high:
            raise ProfileError("out_of_order", first, (low, high), self.reference)

    def _require_amounts(self, *names: str) -> None:
        for name in names:
            amount = getattr(self, name)
            if amount is None:
                continue
            if not math.isfinite(amount):
                raise ProfileError("not_finite", name, amount, self.reference)
            if amount < 0:
                raise ProfileError("negative", name, amount, self.reference)
            if amount > LARGEST:
                raise ProfileError("too_large", name, amount, self.reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedProfile(Post):
    """Support that a country asks for.

    Parameters
    ----------
    country
        ISO 3166 alpha-2 code of the country that is to be served.
    subregion
        For a need of several countries, the subregion or ``regional``. A country's own subregion
        follows from the taxonomy and need not be given.
    organisation_kind
        Kind of the organisation that asks.
    level
        ``national``, ``regional`` or ``municipal``; not scored.
    money_least, money_most
        What it costs, in US dollars, sealed or not.
    places_wanted
        People or institutions to be served.
    closes
        Last day on which an offer can be taken up.
    """

    country: str | None = None
    subregion: str | None = None
    organisation_kind: str | None = None
    level: str | None = None
    money_least: float | None = None
    money_most: float | None = None
    places_wanted: int | None = None
    closes: date | None = None

    def __post_init__(self) -> None:
        Post.__post_init__(self)
        self._require_amounts("money_least", "money_most", "places_wanted")
        self._require_order("money_least", "money_most")

    def place(self) -> str | None:
        """The country or, failing that, the subregion to be served."""
        return self.country or self.subregion

    def money_wanted(self) -> float | None:
        """The least sum that would do, in US dollars; nothing where no sum is asked for."""
        amounts = (self.money_least, self.money_most)
        return next((amount for amount in amounts if amount and amount >= CENT), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferProfile(Post):
    """Support that an organisation gives.

    Parameters
    ----------
    organisation_country
        ISO 3166 alpha-2 code of the provider's country.
    serves_countries, serves_subregions, serves_bodies
        Who can be served: countries, subregions (or ``regional``), members of SICA, MERCOSUR, CAN
        or CARICOM. All empty: any country of the region, unless ``outside_region_only``.
    outside_region_only
        Meant for another region; only countries named in ``serves_countries`` are served.
    serves_organisation_kinds
        Kinds of organisation that may ask; empty: any.
    own_country
        Whether the provider's own country may be served.
    opens, closes
        Days between which it can be applied for.
    places_left, places_per_beneficiary
        People or institutions that can still be served, and at most by one need.
    places_least
        The smallest group for which it is made: a need that states fewer places is not served.
    money_left, grant_least, grant_most
        Budget that is left, and the size of one grant, in US dollars.
    experience_countries, experience_themes
        Where and on what the provider has worked before.
    pilot
        Whether a pilot project is to be hosted.
    """

    organisation_country: str | None = None
    serves_countries: frozenset[str] = NOTHING
    serves_subregions: frozenset[str] = NOTHING
    serves_bodies: frozenset[str] = NOTHING
    outside_region_only: bool = False
    serves_organisation_kinds: frozenset[str] = NOTHING
    own_country: bool = False
    opens: date | None = None
    closes: date | None = None
    places_left: int | None = None
    places_per_beneficiary: int | None = None
    places_least: int | None = None
    money_left: float | None = None
    grant_least: float | None = None
    grant_most: float | None = None
    experience_countries: frozenset[str] = NOTHING
    experience_themes: frozenset[str] = NOTHING
    pilot: bool = False

    def __post_init__(self) -> None:
        Post.__post_init__(self)
        self._require_amounts(
            "places_left",
            "places_per_beneficiary",
            "places_least",
            "money_left",
            "grant_least",
            "grant_most",
        )
        self._require_order("opens", "closes")
        self._require_order("grant_least", "grant_most")

    def states_place(self) -> bool:
        """Whether it says who can be served."""
        return bool(
            self.serves_countries
            or self.serves_subregions
            or self.serves_bodies
            or self.outside_region_only
        )

    def money_available(self) -> float | None:
        """The most that one need can receive, in US dollars, where it is stated."""
        return _least(self.money_left, self.grant_most)

    def smallest_grant(self) -> float:
        """The least that one need can receive, in US dollars; 0 where it is not stated."""
        least = self.grant_least or 0.0
        return least if least >= CENT else 0.0

    def places_available(self) -> float | None:
        """The most people or institutions of one need that can be served, where it is stated."""
        return _least(self.places_left, self.places_per_beneficiary)


def _least(*amounts: float | None) -> float | None:
    stated = [float(amount) for amount in amounts if amount is not None]
    return min(stated) if stated else None


def _canonical(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value)) if isinstance(value, float) else value
    return value
