"""The score of a possible pair: nine components, 0 to 100 points.

A score is the sum of its components' contributions, in millionths of a point (whole numbers, so
that the sum is exact). A component's contribution is its weight times its similarity in [0, 1];
its similarity is the weighted mean of its parts. Where a side leaves a part open, the part's
neutral value stands in: more than a contradiction earns and less than an agreement does, so that
stating what agrees never lowers a score and stating what disagrees never raises it.

``docs/score.md`` explains every part and its reasons to those who use it.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matching.place import FULL, experience, reach
from matching.profile import NeedProfile, OfferProfile, ProfileError
from matching.taxonomy import SAME, Taxonomy, Terms

ENGINE_VERSION = "1.1"
"""Changes with every change of the rules or of the formulas; stored with every match run."""

MICRO = 1_000_000
"""Millionths of a point: the unit in which contributions are counted."""

Floats: TypeAlias = NDArray[np.float64]
Vector: TypeAlias = NDArray[np.float32]
Calibration: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.floating[Any]]]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is compared within a component.

    Attributes
    ----------
    name
        Code of the part.
    share
        Its share of the component; the shares of a component add up to 1.
    neutral
        Similarity that stands in where a side leaves it open.
    """

    name: str
    share: float
    neutral: float


COMPONENTS: Mapping[str, tuple[Part, ...]] = {
    "theme": (Part("themes", 1.0, 0.3),),
    "ilac_area": (Part("ilac_areas", 1.0, 0.3),),
    "support_kind": (
        Part("support_kinds", 0.5, 0.4),
        Part("modalities", 0.3, 0.3),
        Part("languages", 0.2, 0.5),
    ),
    "place": (Part("place", 1.0, 0.5),),
    "text": (Part("text", 1.0, 0.2),),
    "programme_dimension": (Part("programmes", 0.5, 0.3), Part("dimension", 0.5, 0.4)),
    "timing": (Part("period", 0.7, 0.5), Part("horizon", 0.3, 0.5)),
    "money": (Part("money", 0.7, 0.4), Part("places", 0.3, 0.5)),
    "track_record": (
        Part("experience_countries", 0.6, 0.3),
        Part("experience_themes", 0.4, 0.3),
    ),
}
"""The components in the order in which they are shown, each with its parts."""

PARTS: Mapping[str, tuple[str, Part]] = {
    part.name: (component, part) for component, parts in COMPONENTS.items() for part in parts
}
"""Part → its component and itself."""

COVERAGE = 0.6
"""In a comparison of two sets of terms, the share of "is what the need names covered"…"""
FOCUS = 0.4
"""… and of "is the offer about that, rather than about everything"."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each component counts, as a share of 1.

    Parameters
    ----------
    version
        Name under which this weighting is stored.

    Raises
    ------
    ProfileError
        A weight is negative or not finite, or they do not add up to 1.

    Examples
    --------
    >>> Weights().micro_points()["theme"]
    24000000
    """

    theme: float = 0.24
    ilac_area: float = 0.05
    support_kind: float = 0.10
    place: float = 0.08
    text: float = 0.36
    programme_dimension: float = 0.04
    timing: float = 0.05
    money: float = 0.05
    track_record: float = 0.03
    version: str = "default-1"

    def __post_init__(self) -> None:
        for component, weight in self.shares().items():
            if not math.isfinite(weight):
                raise ProfileError("not_finite", component, weight, "weights")
            if weight < 0:
                raise ProfileError("negative", component, weight, "weights")
        total = math.fsum(self.shares().values())
        if abs(total - 1) > 1e-6:
            raise ProfileError("sum_is_not_one", "weights", total, "weights")

    @classmethod
    def from_shares(cls, shares: Mapping[str, float], version: str) -> "Weights":
        """Scale non-negative numbers, one a component (missing: 0), to weights that sum to 1."""
        total = math.fsum(shares.values())
        if not total > 0:
            raise ProfileError("sum_is_not_one", "weights", total, "weights")
        scaled = {component: shares.get(component, 0.0) / total for component in COMPONENTS}
        return cls(**scaled, version=version)

    def shares(self) -> dict[str, float]:
        """Weight of each component, in the order of ``COMPONENTS``."""
        return {component: float(getattr(self, component)) for component in COMPONENTS}

    def micro_points(self) -> dict[str, int]:
        """Points that each component can give at most, in millionths; together exactly 100."""
        whole = 100 * MICRO
        exact = {component: weight * whole for component, weight in self.shares().items()}
        given = {component: math.floor(points) for component, points in exact.items()}
        rest = whole - sum(given.values())
        # What rounding leaves over goes to the largest remainders, first component first.
        order = sorted(exact, key=lambda component: given[component] - exact[component])
        for step in range(abs(rest)):
            given[order[step % len(order)]] += 1 if rest > 0 else -1
        return given

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the weights as they are counted, without their name."""
        return hashlib.sha256(repr(sorted(self.micro_points().items())).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Bands:
    """Scores from which a match is called strong, good or possible.

    A need (or an offer) with no eligible partner at ``possible`` or above has nobody: it is told
    so, rather than shown its least bad partners.
    """

    strong: float = 68.0
    good: float = 57.0
    possible: float = 50.0
    version: str = "bands-1"

    def __post_init__(self) -> None:
        if not 0 <= self.possible <= self.good <= self.strong <= 100:
            thresholds = (self.possible, self.good, self.strong)
            raise ProfileError("out_of_order", "bands", thresholds, "bands")

    def name(self, micro_points: int) -> str:
        """Name the band of a score: ``strong``, ``good``, ``possible`` or ``weak``."""
        for name in ("strong", "good", "possible"):
            if micro_points >= round(getattr(self, name) * MICRO):
                return name
        return "weak"


class TextScale:
    """Likeness of two texts from their vectors, the same to the bit on any machine.

    Vectors are rounded to whole numbers of which ``LENGTH`` make a unit. Every sum of products of
    two of them stays below 2²⁴, so that a float32 matrix product is exact, whatever its order of
    summation, block shape or processor. Rounding moves a cosine by about 0.0001. The calibration is
    tabulated once, in steps of ``STEP`` / ``LENGTH``².

    Parameters
    ----------
    calibrate
        Non-decreasing function from inner products to [0, 1], float64 arrays in and out.
    version
        Name of the text model that made vectors and calibration.

    Raises
    ------
    ProfileError
        The calibration is not finite, leaves [0, 1] or decreases.
    """

    LENGTH = 4000
    STEP = 256
    HALF = (LENGTH + 48) ** 2 // STEP + 1

    def __init__(self, calibrate: Calibration, version: str) -> None:
        steps = np.arange(-self.HALF, self.HALF + 1, dtype=np.float64)
        inner = np.clip(steps * self.STEP / self.LENGTH**2, -1.0, 1.0)
        table: Floats = np.asarray(calibrate(inner), dtype=np.float64).round(6)
        if not np.isfinite(table).all() or table.min() < 0 or table.max() > 1:
            raise ProfileError("out_of_order", "calibration", "outside [0, 1]", version)
        if (np.diff(table) < 0).any():
            raise ProfileError("out_of_order", "calibration", "decreases", version)
        table.setflags(write=False)
        self.table: Floats = table
        self.version = version

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of version and table."""
        return hashlib.sha256(self.version.encode() + self.table.tobytes()).hexdigest()

    def to_grid(self, vectors: NDArray[np.floating[Any]]) -> Vector:
        """Round vectors of length at most 1 to the grid.

        Parameters
        ----------
        vectors
            (d,) or (n, d); zero rows stay zero and mean that the text is not stated.

        Returns
        -------
        float32 array of the same shape, holding whole numbers.

        Raises
        ------
        ProfileError
            A vector is not finite, or longer than 1.
        """
        exact: Floats = np.asarray(vectors, dtype=np.float64)
        if not np.isfinite(exact).all():
            raise ProfileError("bad_vector", "vector", "not finite")
        if exact.size and float(np.square(exact).sum(axis=-1).max()) > 1.001:
            raise ProfileError("bad_vector", "vector", "longer than 1")
        grid: Vector = np.rint(exact * self.LENGTH).astype(np.float32)
        return grid

    def inner(self, a: Vector, b: Vector) -> int:
        """Exact inner product of two rounded vectors."""
        return int(np.dot(a.astype(np.float64), b.astype(np.float64)))

    def likeness(self, inner: NDArray[Any] | int) -> Floats:
        """Likeness in [0, 1] of inner products of rounded vectors."""
        steps = np.floor_divide(inner, self.STEP).astype(np.int64) + self.HALF
        return self.table[steps]

    def likeness_of(self, a: Vector, b: Vector) -> float | None:
        """Likeness of two rounded vectors; nothing where either text is not stated."""
        if not a.any() or not b.any():
            return None
        return float(self.likeness(self.inner(a, b)))


def compare_sets(
    need_terms: frozenset[str], offer_terms: frozenset[str], terms: Terms
) -> float | None:
    """Compare two sets of terms, related terms counting in part.

    ``COVERAGE`` × the mean, over what the need names, of the closeness of the offer's nearest term,
    plus ``FOCUS`` × the same the other way round. A term that the other side has too never lowers
    it; a term that is related to nothing on the other side never raises it.

    Returns
    -------
    float in [0, 1], or None where a side names nothing.
    """
    if not need_terms or not offer_terms:
        return None
    covered = sum(terms.nearest(term, offer_terms)[1] for term in need_terms)
    focused = sum(terms.nearest(term, need_terms)[1] for term in offer_terms)
    return COVERAGE * (covered / (SAME * len(need_terms))) + FOCUS * (
        focused / (SAME * len(offer_terms))
    )


def compare_languages(need: NeedProfile, offer: OfferProfile) -> float | None:
    """Whether there is a language in which both sides can work."""
    if not need.languages or not offer.languages:
        return None
    return 0.0 if need.languages.isdisjoint(offer.languages) else 1.0


def compare_place(need: NeedProfile, offer: OfferProfile, taxonomy: Taxonomy) -> float | None:
    """How nearly the offer names the need's place; 0 where it does not serve it."""
    reached = reach(need.place(), offer, taxonomy)
    if reached is None:
        return 0.0
    return None if need.place() is None or not offer.states_place() else reached / FULL


def compare_dimension(need: NeedProfile, offer: OfferProfile) -> float | None:
    """Whether both are of the same dimension of the action plan."""
    if need.dimension is None or offer.dimension is None:
        return None
    return 1.0 if need.dimension == offer.dimension else 0.0


def compare_periods(need: NeedProfile, offer: OfferProfile) -> float | None:
    """Share of the days of the need's work on which the offer is at work."""
    wanted, given = need.period(), offer.period()
    if wanted is None or given is None:
        return None
    first, last = max(wanted[0], given[0]), min(wanted[1], given[1])
    days = max((last - first).days + 1, 0)
    return days / ((wanted[1] - wanted[0]).days + 1)


def compare_horizons(need: NeedProfile, offer: OfferProfile, taxonomy: Taxonomy) -> float | None:
    """Same horizon 1, neighbouring horizon a half, else 0."""
    if need.horizon is None or offer.horizon is None:
        return None
    order = taxonomy.horizons
    apart = abs(order.index(need.horizon) - order.index(offer.horizon))
    return max(1.0 - 0.5 * apart, 0.0)


def compare_money(need: NeedProfile, offer: OfferProfile) -> float | None:
    """Share of the sum wanted that the offer can give; less where the need is under its smallest
    grant."""
    wanted, available = need.money_wanted(), offer.money_available()
    if wanted is None or available is None:
        return None
    covered = min(available / wanted, 1.0)
    least = offer.smallest_grant()
    if least and need.money_most is not None:
        return min(covered, need.money_most / least)
    return covered


def compare_places(need: NeedProfile, offer: OfferProfile) -> float | None:
    """Share of the places wanted that the offer can give."""
    available = offer.places_available()
    if not need.places_wanted or available is None:
        return None
    return min(available / need.places_wanted, 1.0)


def compare_experience(need: NeedProfile, offer: OfferProfile, taxonomy: Taxonomy) -> float | None:
    """Whether the provider has worked in the need's country 1, or in its subregion a half."""
    place = need.place()
    if place is None or not offer.experience_countries:
        return None
    return experience(place, offer, taxonomy) / FULL


def similarities(
    need: NeedProfile, offer: OfferProfile, taxonomy: Taxonomy, likeness: float | None
) -> dict[str, float | None]:
    """Compare a need with an offer, part by part.

    Parameters
    ----------
    likeness
        Likeness of the texts in [0, 1], see ``TextScale.likeness_of``; ``None`` where a text is not
        stated.

    Returns
    -------
    Part → similarity in [0, 1], or ``None`` where a side leaves it open.
    """
    return {
        "themes": compare_sets(need.themes, offer.themes, taxonomy.themes),
        "ilac_areas": compare_sets(need.ilac_areas, offer.ilac_areas, taxonomy.ilac_areas),
        "support_kinds": compare_sets(
            need.support_kinds, offer.support_kinds, taxonomy.support_kinds
        ),
        "modalities": compare_sets(need.modalities, offer.modalities, taxonomy.modalities),
        "languages": compare_languages(need, offer),
        "place": compare_place(need, offer, taxonomy),
        "text": likeness,
        "programmes": compare_sets(need.programmes, offer.programmes, taxonomy.programmes),
        "dimension": compare_dimension(need, offer),
        "period": compare_periods(need, offer),
        "horizon": compare_horizons(need, offer, taxonomy),
        "money": compare_money(need, offer),
        "places": compare_places(need, offer),
        "experience_countries": compare_experience(need, offer, taxonomy),
        "experience_themes": compare_sets(need.themes, offer.experience_themes, taxonomy.themes),
    }


@dataclass(frozen=True, slots=True)
class Score:
    """A pair's score and what makes it.

    Attributes
    ----------
    similarities
        Part → similarity, ``None`` where a side leaves it open.
    micro_points
        Component → contribution in millionths of a point.
    """

    similarities: Mapping[str, float | None]
    micro_points: Mapping[str, int]

    @property
    def total(self) -> int:
        """The score in millionths of a point: the sum of the contributions, exactly."""
        return sum(self.micro_points.values())

    @property
    def points(self) -> float:
        """The score, 0 to 100."""
        return self.total / MICRO


def component_similarity(component: str, found: Mapping[str, float | None]) -> float:
    """Mean of a component's parts, their neutral values standing in for what is not stated."""
    similarity = 0.0
    for part in COMPONENTS[component]:
        value = found[part.name]
        similarity += part.share * (part.neutral if value is None else value)
    return similarity


def score_pair(
    need: NeedProfile,
    offer: OfferProfile,
    taxonomy: Taxonomy,
    weights: Weights,
    likeness: float | None,
) -> Score:
    """Score a pair, eligible or not. This is the definition; the book computes the same in arrays.

    Parameters
    ----------
    likeness
        Likeness of the texts in [0, 1], ``None`` where one is not stated.
    """
    found = similarities(need, offer, taxonomy, likeness)
    most = weights.micro_points()
    return Score(
        found,
        {
            component: round(most[component] * component_similarity(component, found))
            for component in COMPONENTS
        },
    )
