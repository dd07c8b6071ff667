"""What a version of a clearing round is worked out from, and what comes of it, as plain JSON.

A sheet names posts by their position in it. ``work_out`` looks at nothing else, neither at the
database nor at the clock, so that a kept sheet gives the same result for ever.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from scipy import sparse

from broker.clearing_money import work_out_money
from broker.reference import Reference
from matching import NeedProfile, OfferProfile
from matching.clearing import (
    POLICIES,
    Bundles,
    Clearing,
    ClearingError,
    Floor,
    Part,
    Policy,
    clear,
    split_bundles,
)
from models import COUNTED_IN_PLACES, FINANCE, Conflict

FLOORS = ("small_island", "least_developed")
"""Sets of countries to which a round can promise places."""

REFUSALS = frozenset(
    {
        "pair_not_eligible",
        "forced_and_forbidden",
        "forced_pairs_conflict",
        "fixed_above_limit",
        "floor_above_supply",
        "floors_conflict",
        "floors_not_stable",
        "amount_too_large",
        "grant_out_of_reach",
    }
)
"""Codes of the engine's refusals that have a sentence of their own."""


@dataclass(frozen=True)
class Pairs:
    """The pairs of a sheet, each ``(need_id, offer_id, …)``.

    Attributes
    ----------
    scored : list of (int, int, float)
        Pairs that can be, with their score, 0 to 100.
    forced, forbidden : list of (int, int)
        Pairs that must be, and those that must not.
    fixed : list of (int, int, str, int)
        Pairs that stand, with kind of support and places.
    """

    scored: list[tuple[int, int, float]]
    forced: list[tuple[int, int]]
    forbidden: list[tuple[int, int]]
    fixed: list[tuple[int, int, str, int]]


def demand_of(need: NeedProfile, only: str | None = None) -> dict[str, int]:
    """Kind of support → places that a need asks for.

    The places that a need states are those of its capacity building, or of its only kind. Any
    other kind is one unit: one mission, one set of tools, one grant of an amount not stated.
    """
    kinds, counted = sorted(need.support_kinds), counted_kind(need)
    wanted = {kind: (need.places_wanted or 1) if kind == counted else 1 for kind in kinds}
    return {kind: places for kind, places in wanted.items() if only is None or kind == only}


def counted_kind(need: NeedProfile) -> str | None:
    """The kind of support that the places of a need count."""
    kinds = sorted(need.support_kinds)
    if COUNTED_IN_PLACES in kinds:
        return COUNTED_IN_PLACES
    return kinds[0] if len(kinds) == 1 else None


def group_of(need: NeedProfile) -> str:
    """The group that a clearing is fair to: the country, or the subregion of a regional need."""
    return need.country or need.subregion or "regional"


def lay_out(
    needs: Sequence[NeedProfile],
    offers: Sequence[OfferProfile],
    pairs: Pairs,
    reference: Reference,
    *,
    policy: str,
    floors: dict[str, int],
    only: str | None = None,
    money: dict[str, Any] | None = None,
    made_with: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Everything that a clearing depends on, as JSON.

    Parameters
    ----------
    only : str, optional
        The one kind of support that is cleared.
    money : dict, optional
        The amounts that are cleared, from :func:`broker.clearing_money.lay_out_money`. The needs
        in it ask for money, and no longer for a grant counted as one place.
    made_with : dict, optional
        Versions of engine, weights and texts, and the digest of the scores' input.
    """
    row = {need.id: n for n, need in enumerate(needs)}
    column = {offer.id: n for n, offer in enumerate(offers)}

    def placed(listed: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
        return sorted([row[n], column[o], *rest] for n, o, *rest in listed)

    def inside(name: str) -> list[int]:
        return [
            n
            for n, need in enumerate(needs)
            if need.country and getattr(reference.countries[need.country], name)
        ]

    in_money = {row["need"] for row in money["needs"]} if money else set()

    def wanted(at: int, need: NeedProfile) -> dict[str, int]:
        asked = demand_of(need, only)
        return {k: n for k, n in asked.items() if k != FINANCE or at not in in_money}

    sheet = {
        "made_with": made_with or {},
        "policy": policy,
        "needs": [
            {
                "id": need.id,
                "reference": need.reference,
                "group": group_of(need),
                "wanted": wanted(at, need),
                "counted": counted_kind(need),
            }
            for at, need in enumerate(needs)
        ],
        "offers": [
            {
                "id": offer.id,
                "reference": offer.reference,
                "organisation": offer.organisation,
                "regional": reference.subregion_of(offer.organisation_country) is not None,
                "kinds": sorted(offer.support_kinds),
                "places": offer.places_left,
                "each": offer.places_per_beneficiary,
                "least": offer.places_least,
            }
            for offer in offers
        ],
        "scores": [[n, o, round(points, 6)] for n, o, points in placed(pairs.scored)],
        "forced": placed(pairs.forced),
        "forbidden": placed(pairs.forbidden),
        "fixed": placed(pairs.fixed),
        "floors": [
            {"of": name, "needs": inside(name), "places": floors[name]}
            for name in FLOORS
            if floors.get(name)
        ],
    }
    return sheet if money is None else {**sheet, "money": money}


def digest(sheet: dict[str, Any]) -> str:
    """SHA-256 (hex) of a sheet; equal sheets, equal digests."""
    plain = json.dumps(sheet, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()


def work_out(sheet: dict[str, Any]) -> dict[str, Any]:
    """Clear a sheet.

    Returns
    -------
    dict
        ``flow`` (need, kind, offer, places), ``total``, ``levels`` of each country, ``prices`` of
        scarce offers, ``policies`` side by side, ``left_out`` with the reason, ``coverage``,
        ``triangles``, and the certificate; ``money`` where amounts are cleared (see
        :func:`broker.clearing_money.work_out_money`), and ``too_small``, the pairs left out because
        the offer is for larger groups.

    Raises
    ------
    Conflict
        If the round's own rules cannot hold together; the error names the posts.
    """
    kinds = sorted({kind for need in sheet["needs"] for kind in need["wanted"]})
    bundles = _bundles(sheet, kinds)
    in_places, in_money = _forced_pairs(sheet)
    try:
        clearing, too_small = _clear_groups(sheet, kinds, bundles, in_places)
        compared = clearing.compare()
    except ClearingError as refusal:
        raise _refused(refusal, sheet, bundles) from None
    money: dict[str, Any] | None = None
    if "money" in sheet:
        try:
            money = work_out_money(sheet, in_money, _plain)
        except ClearingError as refusal:
            raise _refused(refusal, sheet, None) from None
    coverage = bundles.cover(clearing.flow)
    paid = [Part(n, len(kinds), o, units) for n, o, units, *_ in money["grants"]] if money else []
    coverage = replace(coverage, parts=(*coverage.parts, *paid))
    groups = _groups(sheet)
    paying = {n for n, kind in enumerate([*kinds, FINANCE]) if kind == FINANCE}
    certificate = clearing.certificate
    triangles = coverage.triangles(
        [offer["regional"] for offer in sheet["offers"]],
        paying,
        [offer["organisation"] for offer in sheet["offers"]],
    )
    served = _served(bundles, clearing) | {part.need for part in paid}
    result = {
        "flow": [
            [p.need, kinds[p.kind], p.offer, p.places]
            for p in coverage.parts
            if p.kind < len(kinds)
        ],
        "total": _plain(clearing.total),
        "gap": _plain(certificate.gap),
        "proven": certificate.proven,
        "blocking_pairs": None
        if certificate.blocking_pairs is None
        else len(certificate.blocking_pairs),
        "levels": {
            policy: {groups[s.group]: _plain(s.level) for s in row.clearing.certificate.levels}
            for policy, row in compared.items()
            if row.clearing is not None
        },
        "bounds": {groups[s.group]: _plain(s.bound) for s in certificate.levels if s.bound},
        "set_aside": [groups[number] for number in certificate.set_aside],
        "prices": _prices(clearing),
        "floor_prices": [_plain(price) for price in clearing.shadow_prices.floors.tolist()],
        "policies": [
            {
                "policy": policy,
                "possible": row.clearing is not None,
                "total": _plain(row.total),
                "given_up": _plain(row.given_up),
                "worst": _plain(row.worst),
                "places": row.places,
                "needs_served": len(_served(bundles, row.clearing)),
                "groups_served": row.groups_served,
                "blocking_pairs": row.blocking_pairs,
            }
            for policy, row in compared.items()
        ],
        "coverage": [
            [need, kinds[kind], int(coverage.wanted[need, kind]), int(coverage.covered[need, kind])]
            for need, kind in zip(*np.nonzero(coverage.wanted), strict=True)
            for need, kind in [(int(need), int(kind))]
        ],
        "left_out": _left_out(sheet, served, too_small),
        "triangles": [[t.need, t.provider, t.donor] for t in triangles],
    }
    if too_small:
        result["too_small"] = [list(pair) for pair in sorted(too_small)]
    return result if money is None else {**result, "money": money}


def _plain(value: float | None) -> float | None:
    """A number as JSON can hold it, without the solver's last digits."""
    return None if value is None or not math.isfinite(value) else round(float(value), 6) + 0.0


def _groups(sheet: dict[str, Any]) -> list[str]:
    return sorted({need["group"] for need in sheet["needs"]})


def _bundles(sheet: dict[str, Any], kinds: list[str]) -> Bundles:
    shape = (len(sheet["needs"]), len(sheet["offers"]))
    scored = sheet["scores"]
    scores = sparse.coo_array(
        (
            np.array([points for *_pair, points in scored], float),
            (np.array([n for n, *_ in scored], int), np.array([o for _, o, _p in scored], int)),
        ),
        shape=shape,
    )
    return split_bundles(
        scores,
        np.array(
            [[need["wanted"].get(kind, 0) for kind in kinds] for need in sheet["needs"]], int
        ).reshape(shape[0], len(kinds)),
        np.array(
            [[kind in offer["kinds"] for kind in kinds] for offer in sheet["offers"]], bool
        ).reshape(shape[1], len(kinds)),
    )


def _clear_groups(
    sheet: dict[str, Any],
    kinds: list[str],
    bundles: Bundles,
    forced: Sequence[tuple[int, int]],
) -> tuple[Clearing, set[tuple[int, int]]]:
    """Clear so that no offer for groups serves a smaller one; tell which pairs that leaves out.

    A pair that gets fewer places than its offer is made for is ruled out, and the rest cleared
    again, until there is none: each turn rules out one pair at least.
    """
    least = [offer.get("least") or 0 for offer in sheet["offers"]]
    counted = [need.get("counted") for need in sheet["needs"]]
    kept = {(need, offer) for need, offer, *_ in (*sheet["forced"], *sheet["fixed"])}
    barred: list[tuple[int, int]] = []
    while True:
        clearing = _clear(sheet, kinds, bundles, forced, barred)
        flow = clearing.flow.tocoo()
        small = [
            (row, offer)
            for row, offer, places in zip(
                flow.coords[0].tolist(), flow.coords[1].tolist(), flow.data.tolist(), strict=True
            )
            for need in [int(bundles.need[row])]
            if places < least[offer]
            and kinds[int(bundles.kind[row])] == counted[need]
            and (need, offer) not in kept
        ]
        if not small:
            return clearing, {(int(bundles.need[row]), offer) for row, offer in barred}
        barred += small


def _clear(
    sheet: dict[str, Any],
    kinds: list[str],
    bundles: Bundles,
    forced: Sequence[tuple[int, int]],
    barred: Sequence[tuple[int, int]],
) -> Clearing:
    entries = bundles.scores.tocoo()
    rows, columns = entries.coords
    each = np.array([offer["each"] or 0 for offer in sheet["offers"]], np.int64)[columns]
    limit = np.where(each > 0, np.minimum(each, bundles.demand[rows]), bundles.demand[rows])
    # An offer that states no places has no limit, as in the ledger: it can fill all who match it.
    full = np.zeros(len(sheet["offers"]), np.int64)
    np.add.at(full, columns, limit)
    groups = _groups(sheet)
    return clear(
        bundles.scores,
        bundles.demand,
        [
            int(full[n]) if offer["places"] is None else max(offer["places"], 0)
            for n, offer in enumerate(sheet["offers"])
        ],
        policy=cast("Policy", sheet["policy"]),
        groups=bundles.spread([groups.index(need["group"]) for need in sheet["needs"]]).astype(
            np.int64
        ),
        pair_limit=sparse.coo_array((limit, (rows, columns)), shape=bundles.scores.shape),
        forced=[_forced(sheet, kinds, bundles, need, offer) for need, offer in forced],
        forbidden=[*bundles.pairs([(need, offer) for need, offer in sheet["forbidden"]]), *barred],
        fixed={
            (bundles.row(need, kinds.index(kind)), offer): places
            for need, offer, kind, places in sheet["fixed"]
        },
        floors=[
            Floor(
                tuple(np.flatnonzero(np.isin(bundles.need, floor["needs"])).tolist()),
                floor["places"],
            )
            for floor in sheet["floors"]
        ],
    )


def _forced_pairs(sheet: dict[str, Any]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The required pairs: those that get a place, and those that have money alone in common."""
    money = sheet.get("money") or {"needs": [], "offers": []}
    asking = {row["need"] for row in money["needs"]}
    paying = {row["offer"] for row in money["offers"]}
    in_places: list[tuple[int, int]] = []
    in_money: list[tuple[int, int]] = []
    for need, offer in sheet["forced"]:
        shared = sheet["needs"][need]["wanted"].keys() & set(sheet["offers"][offer]["kinds"])
        alone = not shared and need in asking and offer in paying
        (in_money if alone else in_places).append((need, offer))
    return in_places, in_money


def _forced(
    sheet: dict[str, Any], kinds: list[str], bundles: Bundles, need: int, offer: int
) -> tuple[int, int]:
    """The row of a forced pair: the first kind that the need asks for and the offer gives."""
    for kind in sheet["needs"][need]["wanted"]:
        if kind in sheet["offers"][offer]["kinds"]:
            return bundles.row(need, kinds.index(kind)), offer
    raise ClearingError("pair_not_eligible", "No kind in common.", pairs=[(need, offer)])


def _served(bundles: Bundles, clearing: Clearing | None) -> set[int]:
    if clearing is None:
        return set()
    return {int(need) for need in bundles.need[clearing.flow.sum(axis=1) > 0]}


def _prices(clearing: Clearing) -> list[list[float]]:
    """``[offer, price]`` of the offers of which more would help, the most wanted first."""
    prices = [
        [n, round(price, 6)]
        for n, price in enumerate(clearing.shadow_prices.offers.tolist())
        if price > 1e-6
    ]
    return sorted(prices, key=lambda row: (-row[1], row[0]))


def _left_out(
    sheet: dict[str, Any], served: set[int], too_small: set[tuple[int, int]]
) -> list[list[Any]]:
    """``[need, reason, offers]`` of each need that gets nothing.

    ``no_match``: no offer matches it. ``ruled_out``: rules and refusals have taken all that did.
    ``taken``: all that match it went to others. ``too_small``: all that match it are for larger
    groups. The offers are named.
    """
    forbidden = {(need, offer) for need, offer in sheet["forbidden"]}
    matched: dict[int, list[int]] = {}
    for need, offer, _points in sheet["scores"]:
        matched.setdefault(need, []).append(offer)
    rows: list[list[Any]] = []
    for need in range(len(sheet["needs"])):
        if need in served:
            continue
        offers = matched.get(need, [])
        left = [offer for offer in offers if (need, offer) not in forbidden]
        reason = "taken" if left else "ruled_out" if offers else "no_match"
        if left and all((need, offer) in too_small for offer in left):
            reason = "too_small"
        rows.append([need, reason, left[:5]])
    return rows


def _refused(refusal: ClearingError, sheet: dict[str, Any], bundles: Bundles | None) -> Conflict:
    """The engine's refusal as an error that names the posts by their references.

    ``bundles`` is None where the refusal names needs by their positions in the sheet.
    """
    needs, offers = sheet["needs"], sheet["offers"]

    def need_of(row: int) -> str:
        return str(needs[int(bundles.need[row]) if bundles else row]["reference"])

    code = refusal.code if refusal.code in REFUSALS else "impossible"
    pairs = [f"{need_of(row)} ← {offers[offer]['reference']}" for row, offer in refusal.pairs]
    return Conflict(
        f"clearing_{code}",
        needs=sorted({need_of(row) for row in refusal.needs}),
        offers=[offers[offer]["reference"] for offer in refusal.offers],
        pairs=sorted(set(pairs)),
    )


__all__ = ["FLOORS", "POLICIES", "Pairs", "demand_of", "digest", "lay_out", "work_out"]
