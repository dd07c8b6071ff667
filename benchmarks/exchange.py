"""Exchanges of any size with the skew of real ones, for measuring.

Themes are long-tailed (a fifth of them hold most posts), countries write unequally, facets hold
several values and are often left open, vocabulary follows Zipf's law in four languages, and texts
on one theme resemble one another. The same seed and size give the same exchange.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import yaml
from numpy.typing import NDArray

from matching import NeedProfile, OfferProfile, Taxonomy

REFERENCE = Path(__file__).parent.parent / "fixtures" / "reference"
TODAY = date(2026, 3, 1)

MEANING = 320
GLOSSARY = 36
"""Columns of a text's vector, as in ``matching.text``."""
TOPICS = 400
"""Subjects within the themes; texts on one subject are near in meaning."""
VOCABULARY = 60_000
"""Words of the four languages together."""
WORDS = 110
"""Words of a post, about."""


def load_taxonomy() -> Taxonomy:
    """The exchange's own taxonomy, from ``fixtures/reference``."""

    def rows(name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = yaml.safe_load(
            (REFERENCE / f"{name}.yaml").read_text("utf-8")
        )
        return found

    names = (
        "themes",
        "countries",
        "support_kinds",
        "ilac_areas",
        "programmes",
        "dimensions",
        "horizons",
        "languages",
        "organisation_kinds",
    )
    return Taxonomy.from_reference(**{name: rows(name) for name in names})


class Likeness:
    """Stands in for the text model: vectors of its length, and a calibration like its own."""

    version = "benchmark"
    dimension = MEANING + GLOSSARY

    def calibrate(self, raw: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Bring inner products to [0, 1]."""
        likeness = [0.0, 0.1, 0.5, 0.8, 0.97, 1.0]
        return np.interp(raw, [0.0, 0.116, 0.241, 0.504, 0.769, 1.0], likeness)


@dataclass(frozen=True)
class Exchange:
    """Posts of both sides with their vectors and words.

    Attributes
    ----------
    need_vectors, offer_vectors
        (n, d) float32, of length 1.
    need_words, offer_words
        (n, vocabulary) sparse TF-IDF rows of length 1, or None.
    """

    needs: list[NeedProfile]
    offers: list[OfferProfile]
    need_vectors: NDArray[np.float32]
    offer_vectors: NDArray[np.float32]
    need_words: Any
    offer_words: Any


def generate(size: int, *, seed: int = 1, words: bool = True, posts: bool = True) -> Exchange:
    """Generate an exchange of `size` needs and as many offers.

    Parameters
    ----------
    words
        Whether to make TF-IDF rows for the alternatives that need them.
    posts
        Whether to make profiles.
    """
    taxonomy = load_taxonomy()
    rng = np.random.default_rng(seed)
    topics = _topics(np.random.default_rng(0), len(taxonomy.themes.codes))
    subjects = [_subjects(rng, size), _subjects(rng, size)]
    vectors = [_vectors(rng, found, topics) for found in subjects]
    sparse: list[Any] = [None, None]
    if words:
        sparse = _tfidf([_counts(rng, found) for found in subjects])
    needs, offers = [], []
    if posts:
        draw = _Draw(rng, taxonomy, topics.themes)
        needs = [draw.need(n + 1, int(s)) for n, s in enumerate(subjects[0][:, 0])]
        offers = [draw.offer(n + 1, int(s)) for n, s in enumerate(subjects[1][:, 0])]
    return Exchange(needs, offers, vectors[0], vectors[1], sparse[0], sparse[1])


@dataclass(frozen=True)
class _Topics:
    centres: NDArray[np.float32]
    themes: NDArray[np.int64]


def _zipf(count: int, exponent: float) -> NDArray[np.float64]:
    shares = 1 / np.arange(1, count + 1) ** exponent
    return shares / shares.sum()


def _topics(rng: np.random.Generator, themes: int) -> _Topics:
    of_topic = rng.choice(themes, TOPICS, p=_zipf(themes, 0.8))
    theme_centres = rng.normal(size=(themes, MEANING)) * np.linspace(1.6, 0.5, MEANING)
    own = rng.normal(size=(TOPICS, MEANING)) * np.linspace(1.6, 0.5, MEANING)
    return _Topics((theme_centres[of_topic] + own).astype(np.float32), of_topic)


def _subjects(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Two subjects a post: what it is about, and what it also mentions."""
    return rng.choice(TOPICS, (size, 2), p=rng.permutation(_zipf(TOPICS, 0.5)))


def _vectors(
    rng: np.random.Generator, subjects: NDArray[np.int64], topics: _Topics
) -> NDArray[np.float32]:
    size = len(subjects)
    meaning = topics.centres[subjects[:, 0]] + np.float32(0.4) * topics.centres[subjects[:, 1]]
    meaning += 1.5 * rng.standard_normal((size, MEANING), dtype=np.float32)
    meaning /= np.linalg.norm(meaning, axis=1, keepdims=True)
    glossary = np.zeros((size, GLOSSARY), np.float32)
    for column in (0, 1):
        glossary[np.arange(size), topics.themes[subjects[:, column]] % GLOSSARY] += 1
    glossary /= np.linalg.norm(glossary, axis=1, keepdims=True)
    return np.hstack([np.float32(0.9**0.5) * meaning, np.float32(0.1**0.5) * glossary])


def _counts(rng: np.random.Generator, subjects: NDArray[np.int64]) -> Any:
    """Words of posts as sparse counts: half general vocabulary, half that of the subject."""
    size = len(subjects)
    language = rng.choice(4, size, p=[0.6, 0.2, 0.12, 0.08])
    each = VOCABULARY // 4
    count = rng.poisson(WORDS, size)
    post = np.repeat(np.arange(size), count)
    general = rng.choice(each, len(post), p=_zipf(each, 1.0))
    own = subjects[post, (rng.random(len(post)) < 0.25).astype(int)]
    special = (own * 7919 + rng.choice(80, len(post), p=_zipf(80, 0.7)) * 104_729) % each
    word = np.where(rng.random(len(post)) < 0.5, general, special) + language[post] * each
    ones = np.ones(len(post))
    return scipy.sparse.csr_matrix((ones, (post, word)), shape=(size, VOCABULARY))


def _tfidf(counts: list[Any]) -> list[Any]:
    both = scipy.sparse.vstack(counts)
    seen = np.bincount(both.tocsr().indices, minlength=VOCABULARY)
    idf = np.log((1 + both.shape[0]) / (1 + seen)) + 1
    rows = []
    for found in counts:
        found = found.tocsr()
        found.data = (1 + np.log(found.data)) * idf[found.indices]
        lengths = np.sqrt(found.multiply(found).sum(axis=1)).A1
        rows.append((scipy.sparse.diags(1 / np.maximum(lengths, 1e-9)) @ found).tocsr())
    return rows


class _Draw:
    """Draws profiles; facets are left open as often as people leave them open."""

    def __init__(
        self, rng: np.random.Generator, taxonomy: Taxonomy, themes: NDArray[np.int64]
    ) -> None:
        self.rng = rng
        self.taxonomy = taxonomy
        self.themes = themes
        inside = sorted(taxonomy.members["regional"])
        self.countries = [str(code) for code in np.random.default_rng(7).permutation(inside)]
        self.outside = sorted(set(taxonomy.countries) - set(inside))
        self.subregions = sorted(set(taxonomy.members) - {"regional"})
        self.country_shares = _zipf(len(self.countries), 0.7)
        self.modalities = sorted(taxonomy.kind_of)
        self.modality_shares = np.random.default_rng(8).permutation(
            _zipf(len(self.modalities), 0.6)
        )

    def stated(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    def some(self, values: Any, most: int, shares: Any = None) -> frozenset[str]:
        count = min(int(self.rng.integers(1, most + 1)), len(values))
        return frozenset(map(str, self.rng.choice(values, count, replace=False, p=shares)))

    def country(self) -> str:
        return str(self.rng.choice(self.countries, p=self.country_shares))

    def day(self, least: int, most: int) -> date:
        return TODAY + timedelta(days=int(self.rng.integers(least, most)))

    def common(self, subject: int) -> dict[str, Any]:
        taxonomy = self.taxonomy
        facts: dict[str, Any] = {}
        if self.stated(0.9):
            main = taxonomy.themes.codes[self.themes[subject] % len(taxonomy.themes)]
            shares = _zipf(len(taxonomy.themes), 0.8)
            facts["themes"] = frozenset({main}) | (
                self.some(taxonomy.themes.codes, 3, shares) if self.stated(0.7) else frozenset()
            )
        if self.stated(0.7):
            facts["ilac_areas"] = self.some(taxonomy.ilac_areas.codes, 2)
        modalities = self.some(self.modalities, 2, self.modality_shares)
        facts["support_kinds"] = frozenset(taxonomy.kind_of[code] for code in modalities)
        if self.stated(0.8):
            facts["modalities"] = modalities
        if self.stated(0.6):
            facts["programmes"] = self.some(taxonomy.programmes.codes, 2)
        if self.stated(0.6):
            facts["dimension"] = str(self.rng.choice(taxonomy.dimensions))
        if self.stated(0.7):
            facts["horizon"] = str(self.rng.choice(taxonomy.horizons, p=[0.5, 0.35, 0.15]))
        if self.stated(0.7):
            facts["starts"] = self.day(0, 250)
            facts["ends"] = facts["starts"] + timedelta(days=int(self.rng.integers(30, 900)))
        if self.stated(0.85):
            facts["languages"] = frozenset({"es"} if self.stated(0.8) else {"en"}) | (
                self.some(taxonomy.languages, 2) if self.stated(0.4) else frozenset()
            )
        return facts

    def need(self, number: int, subject: int) -> NeedProfile:
        facts = self.common(subject)
        if self.stated(0.93):
            facts["country"] = self.country()
        else:
            facts["subregion"] = str(self.rng.choice([*self.subregions, "regional"]))
        if self.stated(0.5):
            facts["money_least"] = float(np.round(self.rng.lognormal(11, 1.2), -2)) + 100
            facts["money_most"] = facts["money_least"] * float(self.rng.choice([1.0, 1.5, 2.0]))
        if self.stated(0.5):
            facts["places_wanted"] = int(self.rng.lognormal(3, 1)) + 1
        if self.stated(0.8):
            facts["closes"] = self.day(-5, 300)
        kinds = ["government"] if self.stated(0.8) else self.taxonomy.organisation_kinds
        return NeedProfile(
            id=number,
            reference=f"need-{number:07d}",
            organisation=int(self.rng.zipf(1.6)) % 4000 + 1,
            organisation_kind=str(self.rng.choice(kinds)),
            **facts,
        )

    def offer(self, number: int, subject: int) -> OfferProfile:
        facts = self.common(subject)
        chance = self.rng.random()
        if chance < 0.35:
            facts["serves_subregions"] = frozenset({"regional"})
        elif chance < 0.62:
            facts["serves_subregions"] = self.some(self.subregions, 2, [0.4, 0.25, 0.2, 0.15])
        elif chance < 0.82:
            facts["serves_countries"] = self.some(self.countries, 5, self.country_shares)
        elif chance < 0.86:
            facts["outside_region_only"] = True
        if self.stated(0.15):
            facts["serves_organisation_kinds"] = frozenset({"government"}) | self.some(
                self.taxonomy.organisation_kinds, 3
            )
        if self.stated(0.8):
            facts["opens"] = self.day(-200, 30)
            facts["closes"] = facts["opens"] + timedelta(days=int(self.rng.integers(220, 700)))
        if self.stated(0.5):
            facts["places_left"] = int(self.rng.lognormal(4, 1))
            facts["places_per_beneficiary"] = int(self.rng.lognormal(3, 0.7)) + 1
        if self.stated(0.5):
            facts["money_left"] = float(np.round(self.rng.lognormal(12, 1.5), -2))
            facts["grant_least"] = float(self.rng.choice([1000, 5000, 10000]))
            facts["grant_most"] = facts["grant_least"] * float(self.rng.choice([2, 10, 50]))
        if self.stated(0.6):
            facts["experience_countries"] = self.some(self.countries, 6, self.country_shares)
        if self.stated(0.3):
            facts["experience_themes"] = self.some(self.taxonomy.themes.codes, 3)
        home = self.country() if self.stated(0.4) else str(self.rng.choice(self.outside))
        return OfferProfile(
            id=number,
            reference=f"offer-{number:07d}",
            organisation=int(self.rng.zipf(1.6)) % 4000 + 4001,
            organisation_country=home,
            **facts,
        )
