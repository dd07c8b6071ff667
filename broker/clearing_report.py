"""A kept version of a clearing round as its readers want it: need by need, and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from broker.clearing_money import Grant, read_grant
from broker.engine import pairs_of
from broker.reference import Reference
from models import Need, Offer, RoundVersion, User

POLICY_NAMES = {
    "total": _l("Greatest total"),
    "stable": _l("Stable"),
    "fair": _l("Fair"),
}
"""Policy → its name."""

POLICY_MEANINGS = {
    "total": _l("the most points in all, whoever gets them"),
    "stable": _l("no need and offer would both rather have each other"),
    "fair": _l("the worst-served country as high as can be, then the next, then the total"),
}
"""Policy → what it aims at."""

FLOOR_NAMES = {
    "small_island": _l("Small island States"),
    "least_developed": _l("Least developed countries"),
}
"""Set of countries with a floor → its name."""

REASONS = {
    "no_match": _l("No offer on the exchange matches it."),
    "ruled_out": _l("All that match it were ruled out by this round or declined by a side."),
    "taken": _l("The offers that match it went to others:"),
    "too_small": _l(
        "The offers that match it are for larger groups. Like needs of several countries can be pooled:"
    ),
}
"""Why a need is left out."""

PRICED = 10
"""How many scarce offers are named."""


@dataclass(frozen=True)
class NeedRow:
    """What one need gets.

    Attributes
    ----------
    parts : list of (kind, Offer, places)
    coverage : list of (kind, wanted, covered)
    reason : str
        Why it gets nothing; empty where it gets something.
    near : list of Offer
        Offers that match it and went to others.
    triangles : list of (Offer, Offer)
        Provider of the region and donor that serve it together.
    grants : list of (Offer, Grant)
        What it would be paid, where money is cleared by amount.
    asked, granted : Decimal
        The amount that it still asks for, and what of it is granted, in ``currency``.
    is_sealed : bool
        Whether the amounts stay with the organisations that seal them.
    """

    need: Need
    group: str
    parts: list[tuple[str, Offer, int]] = field(default_factory=list)
    coverage: list[tuple[str, int, int]] = field(default_factory=list)
    reason: str = ""
    near: list[Offer] = field(default_factory=list)
    triangles: list[tuple[Offer, Offer]] = field(default_factory=list)
    grants: list[tuple[Offer, Grant]] = field(default_factory=list)
    asked: Decimal | None = None
    granted: Decimal = Decimal(0)
    currency: str = ""
    is_sealed: bool = False


class Sight:
    """Which needs of a version its reader sees: a coordinator those of her subregion alone."""

    def __init__(self, version: RoundVersion, by: User, reference: Reference) -> None:
        self.subregion = None if by.is_secretariat else by.subregion
        self._groups = [need["group"] for need in version.given["needs"]]
        self._reference = reference

    def of_group(self, group: str) -> bool:
        """Whether a country, or the subregion of a regional need, is within sight."""
        subregion = self._reference.subregion_of(group) or group
        return self.subregion in (None, subregion)

    def __contains__(self, position: int) -> bool:
        return self.of_group(self._groups[position])


def needs_served(version: RoundVersion, sight: Sight) -> list[int]:
    """Positions of the needs that get something, in the order of the sheet."""
    granted = version.result.get("money", {}).get("grants", ())
    served = {need for need, *_rest in (*version.result["flow"], *granted)}
    return sorted(need for need in served if need in sight)


def needs_left_out(version: RoundVersion, sight: Sight) -> list[int]:
    """Positions of the needs that get nothing."""
    return [need for need, *_rest in version.result["left_out"] if need in sight]


def rows_of(session: Session, version: RoundVersion, positions: Sequence[int]) -> list[NeedRow]:
    """What the needs at those positions get, each with its posts, in two queries.

    Amounts of posts that seal theirs are marked, so that nobody but their own side is told.
    """
    needs, offers, result = version.given["needs"], version.given["offers"], version.result
    wanted = set(positions)
    flow = [row for row in result["flow"] if row[0] in wanted]
    left = {n: (why, near) for n, why, near in result["left_out"] if n in wanted}
    triangles = [row for row in result["triangles"] if row[0] in wanted]
    money = result.get("money", {})
    grants = [row for row in money.get("grants", ()) if row[0] in wanted]
    asked = {row["need"]: row for row in version.given.get("money", {}).get("needs", ())}
    used = {o for _n, _kind, o, _places in flow} | {o for _why, near in left.values() for o in near}
    used |= {row[1] for row in grants}
    found = pairs_of(
        session,
        [(needs[n]["id"], needs[n]["id"]) for n in wanted] + [(offers[o]["id"],) * 2 for o in used],
    )

    def offer(position: int) -> Any:
        return found[offers[position]["id"]]

    rows = []
    for n in positions:
        why, near = left.get(n, ("", []))
        post: Any = found[needs[n]["id"]]
        paid = [(offer(o), read_grant(row)) for m, o, *row in grants if m == n]
        rows.append(
            NeedRow(
                need=post,
                group=needs[n]["group"],
                parts=[(kind, offer(o), places) for m, kind, o, places in flow if m == n],
                coverage=[(k, asked, got) for m, k, asked, got in result["coverage"] if m == n],
                reason=why,
                near=[offer(o) for o in near],
                triangles=[(offer(p), offer(d)) for m, p, d in triangles if m == n],
                grants=paid,
                asked=Decimal(asked[n]["open"]) if n in asked else None,
                granted=sum((grant.need_money for _offer, grant in paid), Decimal(0)),
                currency=asked[n]["currency"] if n in asked else "",
                is_sealed=post.money_sealed or any(payer.money_sealed for payer, _g in paid),
            )
        )
    return rows


def scarce_offers(session: Session, version: RoundVersion) -> list[tuple[Offer, float]]:
    """The offers of which one more place would add most, with the points that it would add."""
    prices = version.result["prices"][:PRICED]
    offers = version.given["offers"]
    found: Any = pairs_of(session, [(offers[o]["id"],) * 2 for o, _price in prices])
    return [(found[offers[o]["id"]], price) for o, price in prices]


def scarce_money(session: Session, version: RoundVersion) -> list[tuple[Offer, float]]:
    """The budgets of which more would add most, with the points that 1,000 more units would add."""
    prices = version.result.get("money", {}).get("prices", ())[:PRICED]
    offers = version.given["offers"]
    found: Any = pairs_of(session, [(offers[o]["id"],) * 2 for o, _price in prices])
    return [(found[offers[o]["id"]], price) for o, price in prices]


def levels_of(version: RoundVersion, sight: Sight) -> list[tuple[str, dict[str, float]]]:
    """Country → policy → its level, the worst served under this version's policy first."""
    by_policy = version.result["levels"]
    groups = {g for levels in by_policy.values() for g in levels if sight.of_group(g)}
    own = by_policy.get(version.given["policy"], {})
    return [
        (group, {policy: levels[group] for policy, levels in by_policy.items() if group in levels})
        for group in sorted(groups, key=lambda group: (own.get(group, 0.0), group))
    ]


def group_name(group: str, reference: Reference, language: str) -> str:
    """The country's name, or the subregion's for the needs of no single country."""
    scheme = "country" if group in reference.countries else "subregion"
    return reference.label(scheme, group, language)


ROW, TOP, WIDTH = 17, 12, 360
LEFT, RIGHT = 132, 236
"""Sizes of the picture, in the SVG's own units: a telephone's screen is 360 wide."""
THICKEST, THINNEST = 9.0, 1.2
LONGEST = 19
"""Letters of a name for which there is room."""


@dataclass(frozen=True)
class Node:
    """A country or an offer in the picture."""

    y: float
    name: str
    places: int


@dataclass(frozen=True)
class Link:
    """A line from a country to an offer that serves it, as wide as the places are many."""

    path: str
    width: float
    words: str


@dataclass(frozen=True)
class Picture:
    """Who gets what: countries on the left, offers on the right."""

    countries: list[Node]
    offers: list[Node]
    links: list[Link]
    height: int
    width: int = WIDTH
    left: int = LEFT
    right: int = RIGHT


def draw(version: RoundVersion, sight: Sight, reference: Reference, language: str) -> Picture:
    """The picture of a version."""
    needs, offers = version.given["needs"], version.given["offers"]
    places: dict[tuple[str, str], int] = {}
    for n, _kind, o, given in version.result["flow"]:
        if n not in sight:
            continue
        pair = (needs[n]["group"], offers[o]["reference"])
        places[pair] = places.get(pair, 0) + given
    # A grant is one line, however large: sealed amounts must not be read off the picture.
    for n, o, *_row in version.result.get("money", {}).get("grants", ()):
        if n not in sight:
            continue
        pair = (needs[n]["group"], offers[o]["reference"])
        places[pair] = places.get(pair, 0) + 1
    left = sorted({g for g, _ in places}, key=lambda g: group_name(g, reference, language))
    at = {group: number for number, group in enumerate(left)}

    def middle(offer: str) -> tuple[float, str]:
        weights = {at[g]: p for (g, o), p in places.items() if o == offer}
        return sum(n * p for n, p in weights.items()) / sum(weights.values()), offer

    right = sorted({o for _, o in places}, key=middle)
    rows = max(len(left), len(right), 1)
    ys = (
        {g: TOP + (n + 0.5) * ROW * rows / len(left) for n, g in enumerate(left)},
        {o: TOP + (n + 0.5) * ROW * rows / len(right) for n, o in enumerate(right)},
    )
    most = max(places.values(), default=1)
    centre = (LEFT + RIGHT) / 2
    links = [
        Link(
            path=(
                f"M{LEFT},{ys[0][g]:.1f} C{centre:g},{ys[0][g]:.1f} "
                f"{centre:g},{ys[1][o]:.1f} {RIGHT},{ys[1][o]:.1f}"
            ),
            width=round(THINNEST + (THICKEST - THINNEST) * count / most, 2),
            words=f"{group_name(g, reference, language)} ← {o}: {count}",
        )
        for (g, o), count in sorted(places.items())
    ]

    def total(side: int, name: str) -> int:
        return sum(count for pair, count in places.items() if pair[side] == name)

    return Picture(
        countries=[
            Node(round(ys[0][g], 1), _short(group_name(g, reference, language)), total(0, g))
            for g in left
        ],
        offers=[
            Node(round(ys[1][o], 1), _short(o.removeprefix("offer-")), total(1, o)) for o in right
        ],
        links=links,
        height=2 * TOP + ROW * rows,
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…"
