"""The terms of the exchange and how they are related, as the engine needs them.

Built once from reference data (plain dictionaries in), never changed. The engine reads no files.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.profile import NeedProfile, OfferProfile, ProfileError

SAME = 4
"""Closeness of a term with itself; closeness is counted in quarters."""
BROADER = 2
"""Closeness of a term with its broader or narrower term: half."""
RELATED = 1
"""Closeness of related terms, of terms two steps apart, of those under one broader term: a
quarter."""

REGIONAL = "regional"
"""Code of the whole region where a subregion is expected."""


@dataclass(frozen=True)
class Terms:
    """The terms of one facet, in a fixed order, and how close each is to each.

    Parameters
    ----------
    name
        The facet.
    codes
        The terms, (t,).
    closeness
        (t, t) uint8, symmetric, in quarters: 4 the same term, 0 unrelated.

    Examples
    --------
    >>> terms = Terms.of("themes", ["water", "energy"], related=[("water", "energy")])
    >>> terms.between("water", "energy"), terms.between("water", "water")
    (1, 4)
    """

    name: str
    codes: tuple[str, ...]
    closeness: NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        name: str,
        codes: Iterable[str],
        *,
        broader: Iterable[tuple[str, str]] = (),
        related: Iterable[tuple[str, str]] = (),
    ) -> "Terms":
        """Build the closeness table from links between terms.

        Parameters
        ----------
        broader
            (narrower, broader) pairs.
        related
            Pairs, in either order.
        """
        ordered = tuple(dict.fromkeys(codes))
        place = {code: number for number, code in enumerate(ordered)}
        table = np.zeros((len(ordered), len(ordered)), np.uint8)

        def link(a: str, b: str, closeness: int) -> None:
            for code in (a, b):
                if code not in place:
                    raise ProfileError("unknown_code", name, code)
            i, j = place[a], place[b]
            table[i, j] = table[j, i] = max(int(table[i, j]), closeness)

        parents: dict[str, set[str]] = {}
        children: dict[str, set[str]] = {}
        for low, high in broader:
            link(low, high, BROADER)
            parents.setdefault(low, set()).add(high)
            children.setdefault(high, set()).add(low)
        for a, b in related:
            link(a, b, RELATED)
        for siblings in children.values():
            for a, b in combinations(sorted(siblings), 2):
                link(a, b, RELATED)
        for low, highs in parents.items():
            for high in sorted(highs):
                for higher in sorted(parents.get(high, ())):
                    link(low, higher, RELATED)
        np.fill_diagonal(table, SAME)
        table.setflags(write=False)
        return cls(name, ordered, table)

    @cached_property
    def position(self) -> dict[str, int]:
        """Row of each term."""
        return {code: number for number, code in enumerate(self.codes)}

    def __len__(self) -> int:
        return len(self.codes)

    def between(self, a: str, b: str) -> int:
        """Closeness of two terms in quarters; a term that is not listed is close to itself only."""
        if a == b:
            return SAME
        i, j = self.position.get(a), self.position.get(b)
        return 0 if i is None or j is None else int(self.closeness[i, j])

    def nearest(self, code: str, among: Iterable[str]) -> tuple[str, int]:
        """Give the closest of some terms, and how close it is; of equals the first by code."""
        return max(
            ((other, self.between(code, other)) for other in sorted(among)),
            key=lambda pair: pair[1],
            default=("", 0),
        )


@dataclass(frozen=True)
class Taxonomy:
    """All the terms that the engine looks at.

    Parameters
    ----------
    themes, ilac_areas, support_kinds, modalities, programmes
        Facets that hold several terms.
    dimensions, languages, organisation_kinds
        Codes, in order.
    horizons
        Codes from the shortest to the longest: neighbours are half alike.
    kind_of
        Modality → its kind of support.
    countries
        Country → its subregion, ``None`` outside the region.
    bodies
        Country → the subregional bodies of which it is a member.
    """

    themes: Terms
    ilac_areas: Terms
    support_kinds: Terms
    modalities: Terms
    programmes: Terms
    dimensions: tuple[str, ...]
    languages: tuple[str, ...]
    organisation_kinds: tuple[str, ...]
    horizons: tuple[str, ...]
    kind_of: Mapping[str, str] = field(repr=False)
    countries: Mapping[str, str | None] = field(repr=False)
    bodies: Mapping[str, frozenset[str]] = field(repr=False)

    @classmethod
    def from_reference(
        cls,
        *,
        themes: Sequence[Mapping[str, Any]],
        countries: Sequence[Mapping[str, Any]],
        support_kinds: Sequence[Mapping[str, Any]],
        ilac_areas: Sequence[Mapping[str, Any]],
        programmes: Sequence[Mapping[str, Any]],
        dimensions: Sequence[Mapping[str, Any]],
        horizons: Sequence[Mapping[str, Any]],
        languages: Sequence[Mapping[str, Any]],
        organisation_kinds: Sequence[Mapping[str, Any]],
    ) -> "Taxonomy":
        """Build from the reference lists: dictionaries with ``code`` and the links between them.

        ``themes`` bear ``broader`` and ``related``; ``countries`` bear ``subregion`` and
        ``bodies``; ``support_kinds`` hold kinds (``parent`` empty) and modalities, whose ``parent``
        is their kind. Modalities of one kind are related. ``horizons`` come with ``max_years`` and
        are put in its order.

        Raises
        ------
        ProfileError
            A link leads to a code that is not listed.
        """
        modalities = [row for row in support_kinds if row.get("parent")]
        kinds = [row["code"] for row in support_kinds if not row.get("parent")]
        for row in modalities:
            if row["parent"] not in kinds:
                raise ProfileError("unknown_code", "support_kinds", row["parent"], row["code"])
        return cls(
            themes=Terms.of(
                "themes",
                _codes(themes),
                broader=[(row["code"], up) for row in themes for up in row.get("broader") or ()],
                related=[(row["code"], to) for row in themes for to in row.get("related") or ()],
            ),
            ilac_areas=Terms.of("ilac_areas", _codes(ilac_areas)),
            support_kinds=Terms.of("support_kinds", kinds),
            modalities=Terms.of(
                "modalities",
                _codes(modalities),
                related=[
                    (a["code"], b["code"])
                    for a, b in combinations(modalities, 2)
                    if a["parent"] == b["parent"]
                ],
            ),
            programmes=Terms.of("programmes", _codes(programmes)),
            dimensions=_codes(dimensions),
            languages=_codes(languages),
            organisation_kinds=_codes(organisation_kinds),
            horizons=_codes(sorted(horizons, key=lambda row: float(row.get("max_years", 0)))),
            kind_of={row["code"]: row["parent"] for row in modalities},
            countries={row["code"]: row.get("subregion") for row in countries},
            bodies={row["code"]: frozenset(row.get("bodies") or ()) for row in countries},
        )

    @cached_property
    def members(self) -> dict[str, frozenset[str]]:
        """Countries of each subregion, and of the whole region under ``regional``."""
        found: dict[str, set[str]] = {REGIONAL: set()}
        for country, subregion in self.countries.items():
            if subregion is not None:
                found.setdefault(subregion, set()).add(country)
                found[REGIONAL].add(country)
        return {subregion: frozenset(countries) for subregion, countries in found.items()}

    @cached_property
    def places(self) -> tuple[str, ...]:
        """Every place that a need can name: the countries, then the subregions, sorted."""
        return (*sorted(self.countries), *sorted(self.members))

    def subregion(self, country: str) -> str | None:
        """Subregion of a country; nothing outside the region."""
        return self.countries.get(country)

    def check(self, profile: NeedProfile | OfferProfile) -> None:
        """Refuse a profile that holds a code which the taxonomy does not know.

        Raises
        ------
        ProfileError
            With the field and the first unknown code.
        """
        for name, known in self._known(profile):
            value = getattr(profile, name)
            if value is None:
                continue
            for code in sorted(value) if isinstance(value, frozenset) else (value,):
                if code not in known:
                    raise ProfileError("unknown_code", name, code, profile.reference)

    def _known(self, profile: NeedProfile | OfferProfile) -> list[tuple[str, Iterable[str]]]:
        known: list[tuple[str, Iterable[str]]] = [
            ("themes", self.themes.position),
            ("ilac_areas", self.ilac_areas.position),
            ("support_kinds", self.support_kinds.position),
            ("modalities", self.modalities.position),
            ("programmes", self.programmes.position),
            ("dimension", self.dimensions),
            ("horizon", self.horizons),
            ("languages", self.languages),
        ]
        if isinstance(profile, NeedProfile):
            known += [
                ("country", self.countries),
                ("subregion", self.members),
                ("organisation_kind", self.organisation_kinds),
            ]
        else:
            known += [
                ("serves_countries", self.countries),
                ("serves_subregions", self.members),
                ("serves_organisation_kinds", self.organisation_kinds),
                ("experience_countries", self.countries),
                ("experience_themes", self.themes.position),
            ]
        return known

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all terms and links."""
        said = {
            **{
                terms.name: [list(terms.codes), terms.closeness.tolist()]
                for terms in (
                    self.themes,
                    self.ilac_areas,
                    self.support_kinds,
                    self.modalities,
                    self.programmes,
                )
            },
            "dimensions": self.dimensions,
            "languages": self.languages,
            "organisation_kinds": self.organisation_kinds,
            "horizons": self.horizons,
            "kind_of": dict(sorted(self.kind_of.items())),
            "countries": dict(sorted(self.countries.items())),
            "bodies": {country: sorted(found) for country, found in sorted(self.bodies.items())},
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _codes(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(str(row["code"]) for row in rows)
