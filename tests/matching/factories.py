"""Random taxonomies, profiles and texts for the engine's tests."""

from datetime import date, timedelta

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from matching import Book, NeedProfile, OfferProfile, Taxonomy, TextScale, Weights

TODAY = date(2026, 3, 15)

SUBREGIONS = {
    "caribbean": ["BB", "JM", "LC"],
    "mesoamerica": ["CR", "MX"],
    "andean": ["BO", "CO", "PE"],
    "southern_cone": ["AR", "BR"],
}
OUTSIDE = ["CH", "SE"]
BODIES = {"BB": ["CARICOM"], "JM": ["CARICOM"], "LC": ["CARICOM"], "CR": ["SICA"], "BO": ["CAN"]}
KINDS = ["government", "ngo", "company"]
MODALITIES = {
    "grant": "finance",
    "loan": "finance",
    "workshop": "capacity_building",
    "course": "capacity_building",
    "expert_mission": "technical_support",
}
THEMES = ["procurement", "products", "labels", "tourism", "buildings", "water", "energy", "waste"]


def make_taxonomy() -> Taxonomy:
    """A small exchange: eight themes, ten countries in four subregions, two outside."""
    links = {
        "procurement": {"broader": ["products"], "related": ["labels"]},
        "labels": {"broader": ["products"], "related": []},
        "energy": {"broader": [], "related": ["buildings", "water"]},
    }
    return Taxonomy.from_reference(
        themes=[{"code": code, **links.get(code, {})} for code in THEMES],
        countries=[
            {"code": country, "subregion": subregion, "bodies": BODIES.get(country, [])}
            for subregion, countries in SUBREGIONS.items()
            for country in countries
        ]
        + [{"code": country, "subregion": None, "bodies": []} for country in OUTSIDE],
        support_kinds=[{"code": kind, "parent": None} for kind in sorted(set(MODALITIES.values()))]
        + [{"code": code, "parent": kind} for code, kind in MODALITIES.items()],
        ilac_areas=[{"code": str(number)} for number in range(1, 9)],
        programmes=[{"code": code} for code in ("plans", "procurement", "education")],
        dimensions=[{"code": code} for code in "123"],
        horizons=[
            {"code": "long", "max_years": 10},
            {"code": "short", "max_years": 2},
            {"code": "medium", "max_years": 5},
        ],
        languages=[{"code": code} for code in ("es", "en", "pt", "fr")],
        organisation_kinds=[{"code": code} for code in KINDS],
    )


TAXONOMY = make_taxonomy()
COUNTRIES = [country for found in SUBREGIONS.values() for country in found]


def make_need(number: int = 1, **facts: object) -> NeedProfile:
    """A need that states nothing but what is given."""
    return NeedProfile(id=number, reference=f"need-{number:06d}", **facts)  # type: ignore[arg-type]


def make_offer(number: int = 1, **facts: object) -> OfferProfile:
    """An offer that states nothing but what is given."""
    return OfferProfile(id=number, reference=f"offer-{number:06d}", **facts)  # type: ignore[arg-type]


def calibrate(inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """A calibration with a kink, 0 for unlike texts."""
    return np.interp(inner, [0.0, 0.2, 0.7, 1.0], [0.0, 0.1, 0.9, 1.0])


SCALE = TextScale(calibrate, "test-text-1")
DIMENSION = 16


def make_vectors(rng: np.random.Generator, count: int, blank: float = 0.1) -> NDArray[np.float32]:
    """Unit vectors around a few topics; a share of them is zero (no text)."""
    topics = rng.normal(size=(5, DIMENSION))
    rows = topics[rng.integers(0, 5, count)] + 0.7 * rng.normal(size=(count, DIMENSION))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[rng.random(count) < blank] = 0
    return rows.astype(np.float32)


def _some(values: list[str], most: int = 4) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(values), max_size=most)


def _days(least: int, most: int) -> st.SearchStrategy[date]:
    return st.integers(least, most).map(lambda days: TODAY + timedelta(days=days))


@st.composite
def _spans(draw: st.DrawFn, least: int, most: int) -> tuple[date | None, date | None]:
    first = draw(st.none() | _days(least, most))
    if first is None:
        return None, draw(st.none() | _days(least, most))
    return first, draw(st.none() | st.integers(0, 400).map(lambda d: first + timedelta(days=d)))


@st.composite
def _amounts(draw: st.DrawFn) -> tuple[float | None, float | None]:
    low = draw(st.none() | st.floats(0, 1e6))
    if low is None:
        return None, draw(st.none() | st.floats(0, 1e6))
    return low, draw(st.none() | st.floats(0, 1e6).map(lambda more: low + more))


@st.composite
def _common(draw: st.DrawFn) -> dict[str, object]:
    modalities = draw(_some(list(MODALITIES), 3))
    kinds = draw(_some(sorted(set(MODALITIES.values()))))
    starts, ends = draw(_spans(-200, 600))
    return {
        "organisation": draw(st.integers(0, 6)),
        "published": draw(st.sampled_from([True] * 9 + [False])),
        "language": draw(st.none() | st.sampled_from(["es", "en", "pt", "fr"])),
        "themes": draw(_some(THEMES)),
        "ilac_areas": draw(_some([str(number) for number in range(1, 9)])),
        "support_kinds": kinds | {MODALITIES[code] for code in modalities},
        "modalities": modalities,
        "programmes": draw(_some(["plans", "procurement", "education"])),
        "dimension": draw(st.none() | st.sampled_from(["1", "2", "3"])),
        "horizon": draw(st.none() | st.sampled_from(["short", "medium", "long"])),
        "starts": starts,
        "ends": ends,
        "languages": draw(_some(["es", "en", "pt", "fr"])),
    }


@st.composite
def needs(draw: st.DrawFn, number: int | None = None) -> NeedProfile:
    """Needs of every shape, from the empty to the complete."""
    least, most = draw(_amounts())
    number = draw(st.integers(1, 10**6)) if number is None else number
    return make_need(
        number,
        **draw(_common()),
        country=draw(st.none() | st.sampled_from(COUNTRIES + OUTSIDE)),
        subregion=draw(st.none() | st.sampled_from([*SUBREGIONS, "regional"])),
        organisation_kind=draw(st.none() | st.sampled_from(KINDS)),
        money_least=least,
        money_most=most,
        places_wanted=draw(st.none() | st.integers(0, 100)),
        closes=draw(st.none() | _days(-20, 200)),
    )


@st.composite
def offers(draw: st.DrawFn, number: int | None = None) -> OfferProfile:
    """Offers of every shape, from the empty to the complete."""
    opens, closes = draw(_spans(-60, 300))
    least, most = draw(_amounts())
    number = draw(st.integers(1, 10**6)) if number is None else number
    return make_offer(
        number,
        **draw(_common()),
        organisation_country=draw(st.none() | st.sampled_from(COUNTRIES + OUTSIDE)),
        serves_countries=draw(_some(COUNTRIES + OUTSIDE)),
        serves_subregions=draw(_some([*SUBREGIONS, "regional"], 2)),
        serves_bodies=draw(_some(["CARICOM", "SICA", "CAN"], 1)),
        outside_region_only=draw(st.sampled_from([False] * 9 + [True])),
        serves_organisation_kinds=draw(_some(KINDS, 2)),
        own_country=draw(st.booleans()),
        opens=opens,
        closes=closes,
        places_left=draw(st.none() | st.integers(0, 50)),
        places_per_beneficiary=draw(st.none() | st.integers(0, 20)),
        places_least=draw(st.none() | st.integers(0, 30)),
        money_left=draw(st.none() | st.floats(0, 1e6)),
        grant_least=least,
        grant_most=most,
        experience_countries=draw(_some(COUNTRIES + OUTSIDE)),
        experience_themes=draw(_some(THEMES)),
        pilot=draw(st.booleans()),
    )


likenesses = st.none() | st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)

weightings = (
    st.lists(st.integers(0, 20), min_size=9, max_size=9)
    .filter(any)
    .map(
        lambda parts: Weights.from_shares(
            dict(zip(Weights().shares(), map(float, parts), strict=True)), "random"
        )
    )
)


def random_need(rng: np.random.Generator, number: int, fullness: float = 0.6) -> NeedProfile:
    """A need as people write them; each facet is stated with probability `fullness`."""
    facts = _random_common(rng, fullness)
    if rng.random() < 0.9:
        facts["country"] = str(rng.choice(COUNTRIES))
    elif rng.random() < 0.5:
        facts["subregion"] = str(rng.choice([*SUBREGIONS, "regional"]))
    if rng.random() < fullness:
        facts["money_least"] = float(rng.integers(1, 50)) * 1000
        facts["money_most"] = float(facts["money_least"]) * float(rng.integers(1, 4))  # type: ignore[arg-type]
    if rng.random() < fullness:
        facts["places_wanted"] = int(rng.integers(1, 80))
    if rng.random() < fullness:
        facts["closes"] = TODAY + timedelta(days=int(rng.integers(-10, 300)))
    facts["organisation_kind"] = str(rng.choice(KINDS))
    return make_need(number, **facts)


def random_offer(rng: np.random.Generator, number: int, fullness: float = 0.6) -> OfferProfile:
    """An offer as people write them; each facet is stated with probability `fullness`."""
    facts = _random_common(rng, fullness)
    chance = rng.random()
    if chance < 0.4:
        facts["serves_subregions"] = frozenset({"regional"})
    elif chance < 0.7:
        facts["serves_subregions"] = frozenset({str(rng.choice(list(SUBREGIONS)))})
    elif chance < 0.9:
        facts["serves_countries"] = _random_some(rng, COUNTRIES, 4)
    elif chance < 0.93:
        facts["outside_region_only"] = True
    if rng.random() < 0.2:
        facts["serves_organisation_kinds"] = _random_some(rng, KINDS, 2)
    facts["organisation_country"] = str(rng.choice(COUNTRIES + OUTSIDE))
    if rng.random() < fullness:
        facts["opens"] = TODAY + timedelta(days=int(rng.integers(-100, 60)))
        facts["closes"] = facts["opens"] + timedelta(days=int(rng.integers(60, 400)))  # type: ignore[operator]
    if rng.random() < fullness:
        facts["places_left"] = int(rng.integers(0, 100))
        facts["places_per_beneficiary"] = int(rng.integers(1, 40))
    if rng.random() < fullness:
        facts["money_left"] = float(rng.integers(0, 300)) * 1000
        facts["grant_least"] = float(rng.integers(1, 10)) * 1000
        facts["grant_most"] = float(rng.integers(10, 80)) * 1000
    if rng.random() < fullness:
        facts["experience_countries"] = _random_some(rng, COUNTRIES, 4)
        facts["experience_themes"] = _random_some(rng, THEMES, 3)
    return make_offer(number, **facts)


def _random_some(rng: np.random.Generator, values: list[str], most: int) -> frozenset[str]:
    return frozenset(map(str, rng.choice(values, int(rng.integers(1, most + 1)), replace=False)))


def _random_common(rng: np.random.Generator, fullness: float) -> dict[str, object]:
    facts: dict[str, object] = {"organisation": int(rng.integers(1, 40))}
    if rng.random() < fullness:
        facts["themes"] = _random_some(rng, THEMES, 4)
    if rng.random() < fullness:
        facts["ilac_areas"] = _random_some(rng, [str(number) for number in range(1, 9)], 2)
    if rng.random() < fullness:
        modalities = _random_some(rng, list(MODALITIES), 2)
        facts["modalities"] = modalities
        facts["support_kinds"] = frozenset(MODALITIES[code] for code in modalities)
    if rng.random() < fullness:
        facts["programmes"] = _random_some(rng, ["plans", "procurement", "education"], 2)
    if rng.random() < fullness:
        facts["dimension"] = str(rng.choice(["1", "2", "3"]))
    if rng.random() < fullness:
        facts["horizon"] = str(rng.choice(["short", "medium", "long"]))
    if rng.random() < fullness:
        facts["starts"] = TODAY + timedelta(days=int(rng.integers(0, 200)))
        facts["ends"] = facts["starts"] + timedelta(days=int(rng.integers(10, 700)))  # type: ignore[operator]
    if rng.random() < fullness:
        facts["languages"] = _random_some(rng, ["es", "en", "pt", "fr"], 2)
    facts["published"] = bool(rng.random() < 0.97)
    return facts


class Likeness:
    """Stands in for the text model: a version, a dimension and a calibration."""

    version = "test-text-1"
    dimension = DIMENSION

    def calibrate(self, raw: NDArray[np.float64], /) -> NDArray[np.float64]:
        return calibrate(raw)


def make_book(**keywords: object) -> Book:
    """An empty book of the small exchange."""
    return Book(TAXONOMY, Likeness(), **keywords)  # type: ignore[arg-type]


def random_book(
    seed: int, needs: int, offers: int, fullness: float = 0.6, **keywords: object
) -> Book:
    """A book of random posts with ids from 1."""
    rng = np.random.default_rng(seed)
    book = make_book(**keywords)
    if needs:
        posts = [random_need(rng, number, fullness) for number in range(1, needs + 1)]
        book.put_needs(posts, make_vectors(rng, needs))
    if offers:
        posts_ = [random_offer(rng, number, fullness) for number in range(1, offers + 1)]
        book.put_offers(posts_, make_vectors(rng, offers))
    return book
