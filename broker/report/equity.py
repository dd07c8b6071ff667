"""Who is served: shares by country, small islands and least-developed countries apart, and how
unequal the shares are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func

from broker.report.rows import GROUPS, ReportRows, group_members
from models import Commitment, Need

ALIKE, SOMEWHAT = 0.2, 0.4
"""Gini coefficients up to which countries are served about alike, and somewhat unequally."""


@dataclass(frozen=True)
class PlaceEquity:
    """How many needs of a place are served by an agreement.

    Attributes
    ----------
    code : str
        A country, ``"none"`` for needs of several countries, a group, or ``""`` for all.
    places_wanted, places_given : int
        Places asked for, and committed in the period.
    """

    code: str
    needs: int
    served: int
    places_wanted: int
    places_given: int

    @property
    def share(self) -> float | None:
        """Share of the needs that an agreement serves; None without needs."""
        return self.served / self.needs if self.needs else None


@dataclass(frozen=True)
class Equity:
    """Served shares by country and by group.

    Attributes
    ----------
    gini : float or None
        Gini coefficient of the countries' served shares; None where fewer than two countries ask
        or none is served.
    silent : tuple of str
        Countries of the report's area that ask for nothing.
    """

    countries: tuple[PlaceEquity, ...]
    groups: tuple[PlaceEquity, ...]
    total: PlaceEquity
    gini: float | None
    silent: tuple[str, ...]

    @property
    def asking(self) -> int:
        """How many single countries ask."""
        return sum(place.code != "none" for place in self.countries)


def gini(shares: Sequence[float]) -> float | None:
    """The Gini coefficient of shares: 0 where all are equal, near 1 where one has everything.

    Half the mean difference between any two, over the mean. None for fewer than two shares, or
    where all are nought.

    >>> gini([0.5, 0.5]), gini([1.0, 0.0]), gini([0.0, 0.0])
    (0.0, 0.5, None)
    """
    if len(shares) < 2 or not any(shares):
        return None
    ranked = sorted(shares)
    weighted = sum((2 * rank - len(ranked) - 1) * x for rank, x in enumerate(ranked, start=1))
    return weighted / (len(ranked) * sum(ranked))


def weigh_equity(rows: ReportRows) -> Equity:
    """Count the needs of a report and those that are served, by country and by group."""
    asked = _by_country(rows, "")
    served = _by_country(rows, "yes")
    given = _places_given(rows)
    places = [
        PlaceEquity(
            code or "none",
            needs,
            served.get(code, (0, 0))[0],
            places_wanted,
            given.get(code, 0),
        )
        for code, (needs, places_wanted) in asked.items()
    ]
    scope, reference = rows.scope, rows.reference
    inside = [c for c in reference.codes("region_country") if scope.country in (None, c)]
    area = scope.subregion if scope.subregion in set(reference.codes("subregion")) else None
    if area and area != "regional":
        inside = [c for c in inside if reference.subregion_of(c) == area]
    return Equity(
        countries=tuple(sorted(places, key=lambda p: (p.code == "none", p.share or 0.0, p.code))),
        groups=tuple(
            _sum(group, [p for p in places if p.code in set(group_members(group, reference))])
            for group in GROUPS
        ),
        total=_sum("", places),
        gini=gini([place.share or 0.0 for place in places if place.code != "none"]),
        silent=tuple(code for code in inside if code not in asked),
    )


def _sum(code: str, places: Sequence[PlaceEquity]) -> PlaceEquity:
    return PlaceEquity(
        code,
        sum(p.needs for p in places),
        sum(p.served for p in places),
        sum(p.places_wanted for p in places),
        sum(p.places_given for p in places),
    )


def _by_country(rows: ReportRows, served: str) -> dict[str | None, tuple[int, int]]:
    query = (
        rows.asking(served=served)
        .order_by(None)
        .options()
        .with_only_columns(
            Need.country_code, func.count(), func.coalesce(func.sum(Need.places_wanted), 0)
        )
        .group_by(Need.country_code)
    )
    return {
        code: (number, int(places or 0)) for code, number, places in rows.session.execute(query)
    }


def _places_given(rows: ReportRows) -> dict[str | None, int]:
    query = (
        rows.commitments(place="any")
        .order_by(None)
        .options()
        .join(Need, Need.id == Commitment.need_id)
        .with_only_columns(Need.country_code, func.sum(Commitment.places))
        .group_by(Need.country_code)
    )
    return {code: int(places or 0) for code, places in rows.session.execute(query)}
