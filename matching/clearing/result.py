"""What a clearing hands back: who gets what, the proof of it, and what is scarce."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from matching.clearing.error import ClearingError
from matching.clearing.level import Groups, Ideal
from matching.clearing.market import Market, Sparse
from matching.clearing.order import Floats, Indices
from matching.clearing.price import Prices

Policy: TypeAlias = Literal["total", "stable", "fair"]

POLICIES: tuple[Policy, ...] = ("total", "stable", "fair")
"""The ways to clear, in the order in which they are compared."""


PROVEN = 1e-9
"""A gap below this share is the solver's rounding, and is reported as 0."""


@dataclass(frozen=True, slots=True)
class GroupLevel:
    """How well a group is served.

    Attributes
    ----------
    group
        The caller's number of the group.
    level
        Mean score per place asked, as far as eligible offers could give those places.
    bound
        Under ``fair``, the level that the group is held against: what it would reach in its turn
        if places were divisible. None where its turn did not come, and under other policies.
    turn
        The turn in which the level was raised, from 1 for the worst-served; None as above.
    """

    group: int
    level: float
    bound: float | None = None
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """The proof that comes with a clearing.

    Attributes
    ----------
    bound
        No flow has a greater total: of all flows under ``total``, of those in which every group
        keeps its level under ``fair``. None under ``stable``.
    gap
        What the total falls short of that bound by, as a share of it; 0 is a proof of the
        optimum. None under ``stable``.
    blocking_pairs
        Pairs that would both rather have each other. Under ``stable`` all were looked for, and
        there are none; None under the other policies, where ``compare`` counts them.
    levels
        Each served group, ascending by level.
    set_aside
        Groups that ask for places that no offer can give them; no level counts them.
    proven
        Whether no flow has fairer levels. Under ``fair`` on larger exchanges, levels may fall
        short of their bounds without it being known whether whole places allow more.
    depth
        Under ``fair``, the turns that were asked for.
    price_slack
        By how much the bound that the shadow prices prove exceeds the total, in score points.
    """

    bound: float | None
    gap: float | None
    blocking_pairs: tuple[tuple[int, int], ...] | None
    levels: tuple[GroupLevel, ...]
    set_aside: tuple[int, ...]
    proven: bool
    depth: int | None
    price_slack: float


@dataclass(frozen=True, slots=True, eq=False)
class ShadowPrices:
    """What is scarce, in score points per place.

    Attributes
    ----------
    offers
        What one more place of each offer would add to the total, (offers,). Never negative;
        nought for an offer with places left.
    needs
        What one place asked less by each need would take from the total, (needs,). Nought for a
        need that is not fully served; negative only for one that wants an exact number.
    pairs
        Sparse, (needs, offers): what one more place for a pair at its limit would add; as a
        negative number, what a place that a pair must have costs.
    groups
        Under ``fair``, what lowering a group's level by one point would add, by number of the
        group; nought elsewhere.
    floors
        What one place less promised by each floor would add, (floors,).

    Notes
    -----
    Under ``total`` these are dual values of the linear program. Where several prove the optimum,
    the one in which every offer's price is least is reported: it is the exact gain of one more
    place. Under ``stable`` they are the gains of the chain that one more place sets off, and
    nought where that is a loss. Under ``fair`` they are dual values of the linear program that
    bounds the total, nought where whole places leave a post open; there the solver's choice among
    several is reported.
    """

    offers: Floats
    needs: Floats
    pairs: Sparse
    groups: Floats
    floors: Floats


@dataclass(frozen=True, slots=True)
class Comparison:
    """One policy beside the others.

    Attributes
    ----------
    policy
        Which one.
    clearing
        Its result; None where the exchange cannot be cleared so.
    refusal
        Why not; None where it can.
    total
        Sum of scores.
    given_up
        What that falls short of the greatest total by.
    worst
        Level of the worst-served group that can be served; NaN where there is none.
    places
        Places given in all.
    needs_served
        Needs that get at least one.
    groups_served
        Groups that get at least one.
    blocking_pairs
        How many pairs would both rather have each other.
    """

    policy: Policy
    clearing: "Clearing | None"
    refusal: ClearingError | None = None
    total: float = 0.0
    given_up: float = 0.0
    worst: float = float("nan")
    places: int = 0
    needs_served: int = 0
    groups_served: int = 0
    blocking_pairs: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Clearing:
    """A proposal: who gets what.

    Attributes
    ----------
    policy
        How the exchange was cleared.
    flow
        Places given by each offer to each need: SciPy CSR array, (needs, offers), int64, without
        zeros.
    total
        Sum of score times places.
    levels
        Mean score per place asked of each group, by number of the group, (groups,); NaN for groups
        that nobody can serve or that ask for nothing.
    shadow_prices
        What is scarce.
    certificate
        The proof.
    """

    policy: Policy
    flow: Sparse
    total: float
    levels: Floats
    shadow_prices: ShadowPrices
    certificate: Certificate
    _compare: Callable[["Clearing"], Mapping[Policy, Comparison]] = field(repr=False)

    def compare(self) -> Mapping[Policy, Comparison]:
        """Clear the same exchange under every policy, to see what each gives up."""
        return self._compare(self)


def bounded(market: Market, total: float, bound: float) -> tuple[float, float]:
    """A bound and the gap to it, both without the solver's rounding."""
    gap = max(bound - total, 0.0) / max(abs(bound), market.scale)
    return (total, 0.0) if gap <= PROVEN else (bound, gap)


def group_levels(
    market: Market, groups: Groups, flow: Indices, ideal: Ideal | None = None
) -> tuple[GroupLevel, ...]:
    """Levels of the served groups, ascending, beside their ideal ones where there are any."""
    points = np.zeros(len(market.group_at))
    given = np.flatnonzero(flow)
    np.add.at(points, market.group[market.need[given]], market.score[given] * flow[given])
    levels = points[groups.served] / groups.asked
    rows = []
    for row, (group, level) in enumerate(zip(market.group_at[groups.served], levels, strict=True)):
        turn = int(ideal.turn[row]) if ideal else 0
        bound = float(ideal.level[row]) * market.scale if ideal and turn else None
        rows.append(GroupLevel(int(group), float(level), bound, turn or None))
    return tuple(sorted(rows, key=lambda served: (served.level, served.group)))


def levels_by_group(market: Market, levels: tuple[GroupLevel, ...]) -> Floats:
    """Levels by number of the group, (groups,); NaN for groups that have none."""
    by_group = np.full(market.group_labels, np.nan)
    for served in levels:
        by_group[served.group] = served.level
    return by_group


def groups_set_aside(market: Market, groups: Groups) -> tuple[int, ...]:
    """Groups that ask and that nobody can serve, as the caller numbers them."""
    return tuple(sorted(int(group) for group in market.group_at[groups.aside]))


def shadow_prices(
    market: Market, prices: Prices, floors: Floats | None = None, worth: Floats | None = None
) -> ShadowPrices:
    """Put prices back into the caller's order."""
    needs, offers = np.empty(market.needs), np.empty(market.offers)
    needs[market.need_at], offers[market.offer_at] = prices.needs, prices.offers
    return ShadowPrices(
        offers=offers + 0.0,
        needs=needs + 0.0,
        pairs=market.to_matrix(prices.pairs, prices.pairs != 0),
        groups=np.zeros(market.group_labels) if worth is None else worth,
        floors=np.zeros(0) if floors is None else floors,
    )
