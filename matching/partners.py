"""Pilot partners: which countries and institutions suit a pilot of some themes, and why.

A candidate's score, 0 to 100, is the sum of named contributions. Each counts the facts of one sort
that speak for the candidate, weighed by how close their themes are to those of the pilot, up to
the number that is enough: a country that posts a lot is not ranked above one that does what the
pilot asks for. Nobody has to have posted anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from matching.score import MICRO
from matching.taxonomy import SAME, Terms

POINTS: Mapping[str, int] = {
    "membership": 30,
    "pilots": 15,
    "agreements": 15,
    "posts": 15,
    "plan": 10,
    "entries": 10,
    "mandates": 5,
}
"""Contribution → the points that it gives at most, together 100; in the order of being shown."""

ENOUGH: Mapping[str, int] = {
    "membership": 1,
    "pilots": 1,
    "agreements": 2,
    "posts": 3,
    "plan": 3,
    "entries": 2,
    "mandates": 3,
}
"""Contribution → facts on the very theme that earn all of its points."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that speaks for a candidate.

    Attributes
    ----------
    contribution
        To which of ``POINTS`` it belongs.
    key
        Name of the row that it comes from; the caller's own.
    themes
        What it is about.
    """

    contribution: str
    key: str
    themes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A country or an institution that could take part in a pilot.

    Attributes
    ----------
    code
        Its own code; breaks ties in alphabetical order.
    kind
        ``"country"`` or ``"institution"``.
    served
        Agreements of its country that are in force or were completed.
    """

    code: str
    kind: str
    country: str
    facts: tuple[Fact, ...] = ()
    served: int = 0


@dataclass(frozen=True, slots=True)
class PartnerContribution:
    """What the facts of one sort give.

    Attributes
    ----------
    micro_points, possible
        Millionths of a point: given, and at most.
    facts
        Those that count, the closest to the pilot's themes first.
    """

    name: str
    micro_points: int
    possible: int
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Partner:
    """A candidate in its place.

    Attributes
    ----------
    place
        From 1 on.
    contributions
        All of ``POINTS``, those that give nothing too; they add up to ``micro_points`` exactly.
    least_served
        Whether its country has fewer than half as many agreements as the candidates' countries
        have on average: a hint for a fair choice, which moves nobody up or down.
    """

    place: int
    candidate: Candidate
    micro_points: int
    contributions: tuple[PartnerContribution, ...]
    least_served: bool

    @property
    def points(self) -> float:
        """The score, 0 to 100."""
        return self.micro_points / MICRO

    @property
    def reasons(self) -> tuple[PartnerContribution, ...]:
        """The contributions that give something, the most points first."""
        given = [part for part in self.contributions if part.micro_points]
        return tuple(sorted(given, key=lambda part: -part.micro_points))


def rank_partners(
    candidates: Iterable[Candidate], themes: Iterable[str], terms: Terms
) -> list[Partner]:
    """Rank candidates for a pilot of those themes, best first.

    Equal scores stand in the order of who has been served less, then by code.

    Parameters
    ----------
    themes
        What the pilot is about; a fact counts by the closest of them.
    terms
        The themes of the taxonomy with their closeness.
    """
    wanted = frozenset(themes)
    scored = [(found, _contributions(found, wanted, terms)) for found in candidates]
    average = _average_served([found for found, _parts in scored])
    ranked = sorted(
        ((sum(part.micro_points for part in parts), found, parts) for found, parts in scored),
        key=lambda row: (-row[0], row[1].served, row[1].kind, row[1].code),
    )
    return [
        Partner(place, found, points, parts, found.served * 2 < average)
        for place, (points, found, parts) in enumerate(ranked, start=1)
    ]


def _contributions(
    candidate: Candidate, wanted: frozenset[str], terms: Terms
) -> tuple[PartnerContribution, ...]:
    return tuple(
        _contribution(name, [f for f in candidate.facts if f.contribution == name], wanted, terms)
        for name in POINTS
    )


def _contribution(
    name: str, facts: Sequence[Fact], wanted: frozenset[str], terms: Terms
) -> PartnerContribution:
    near = [(fact, closeness(fact.themes, wanted, terms)) for fact in facts]
    counting = sorted(
        ((fact, quarters) for fact, quarters in near if quarters),
        key=lambda pair: (-pair[1], pair[0].key),
    )
    possible, full = POINTS[name] * MICRO, ENOUGH[name] * SAME
    earned = min(sum(quarters for _fact, quarters in counting), full)
    return PartnerContribution(
        name, possible * earned // full, possible, tuple(fact for fact, _quarters in counting)
    )


def closeness(themes: Iterable[str], wanted: Iterable[str], terms: Terms) -> int:
    """How close the closest two of two sets of themes are, in quarters."""
    return max((terms.nearest(theme, wanted)[1] for theme in themes), default=0)


def _average_served(candidates: Sequence[Candidate]) -> float:
    by_country = {found.country: found.served for found in candidates}
    return fmean(by_country.values()) if by_country else 0.0
