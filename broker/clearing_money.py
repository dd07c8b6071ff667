"""The money of a clearing round: budgets in one currency, and grants in the posts' own again.

Everything that the clearing of money depends on stands in the round's sheet, rates with their day
and source among it, so that a kept sheet gives the same grants whatever the rates are later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Literal, cast

import numpy as np
from scipy import sparse
from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.reference import Reference
from matching import NeedProfile, OfferProfile
from matching.clearing import ClearingError, MoneyClearing, clear_money
from models import FINANCE, Conflict, Need, Offer
from models.ledger import CENT, NOTHING, Rate, convert_at

CURRENCY = "USD"
"""The currency in which all budgets of a round are cleared."""

PER = 1000
"""Points are counted for each so many units of that currency."""

MoneyPolicy = Literal["total", "fair"]
MONEY_POLICIES: tuple[MoneyPolicy, ...] = ("total", "fair")
"""How money is cleared; a round that aims at a stable result clears it for the greatest total."""

Plain = Callable[[float | None], float | None]


@dataclass(frozen=True)
class Budget:
    """The money of one post, in its own currency.

    Attributes
    ----------
    most : Decimal or None
        What the need still asks for, or the offer has left; None for an offer without a limit.
    least : Decimal
        What is of use to the need, or the offer's smallest grant.
    each : Decimal or None
        The offer's largest grant.
    """

    most: Decimal | None
    least: Decimal
    each: Decimal | None
    currency: str | None
    sealed: bool


def read_budgets(
    session: Session, needs: Iterable[NeedProfile], offers: Iterable[OfferProfile]
) -> tuple[dict[int, Budget], dict[int, Budget]]:
    """What needs ask for and offers have, of those that ask for or give finance, by id."""
    asking = [need.id for need in needs if FINANCE in need.support_kinds]
    giving = [offer.id for offer in offers if FINANCE in offer.support_kinds]
    asked: dict[int, Budget] = {}
    for need in _rows(session, Need, asking):
        most = need.money_open()
        if most:
            least = max((need.money_least or NOTHING) - need.money_covered, NOTHING)
            asked[need.id] = Budget(most, min(least, most), None, need.currency, need.money_sealed)
    held = {
        offer.id: Budget(
            offer.remaining_money(),
            offer.grant_least or NOTHING,
            offer.grant_most,
            offer.currency,
            offer.money_sealed,
        )
        for offer in _rows(session, Offer, giving)
    }
    return asked, held


def _rows(session: Session, model: Any, ids: Sequence[int]) -> Iterable[Any]:
    for start in range(0, len(ids), 500):
        yield from session.scalars(select(model).where(model.id.in_(ids[start : start + 500])))


@dataclass(frozen=True)
class Promised:
    """A grant that a proposal has promised already, in the offer's currency."""

    need_id: int
    offer_id: int
    money: Decimal
    currency: str


def lay_out_money(
    needs: Sequence[NeedProfile],
    offers: Sequence[OfferProfile],
    budgets: tuple[Mapping[int, Budget], Mapping[int, Budget]],
    promised: Iterable[Promised],
    reference: Reference,
) -> dict[str, Any] | None:
    """The money of a sheet, as JSON; None where no need of the round asks for an amount.

    Raises
    ------
    Conflict
        If proposals have promised more than an offer has left by now; they are named.
    """
    asked, held = budgets
    known = {c.code for c in reference.currencies.values() if c.usd_rate}
    no_rate = [
        post.reference
        for posts, money in ((needs, asked), (offers, held))
        for post in posts
        if post.id in money and money[post.id].currency not in (known | {None})
    ]
    row = {n.id: at for at, n in enumerate(needs) if n.id in asked and _rated(asked[n.id], known)}
    column = {o.id: at for at, o in enumerate(offers) if o.id in held and _rated(held[o.id], known)}
    if not row and not no_rate:
        return None
    used = {b.currency for b in (*asked.values(), *held.values()) if b.currency in known}
    rates = {
        code: {
            "rate": reference.currencies[code].usd_rate,
            "date": _day(reference.currencies[code].rate_date),
            "source": reference.currencies[code].rate_source,
        }
        for code in sorted({*used, CURRENCY} - {None})
        if code in reference.currencies
    }

    def units(amount: Decimal, currency: str | None, up: bool = False) -> int:
        exact = amount * Decimal(str(rates[currency]["rate"])) if currency else amount
        return math.ceil(exact) if up else math.floor(exact)

    fixed: list[list[Any]] = []
    by_need: dict[int, int] = {}
    by_offer: dict[int, int] = {}
    taken: dict[int, Decimal] = {}
    for grant in promised:
        if grant.need_id not in row or grant.offer_id not in column:
            continue
        amount = units(grant.money, grant.currency)
        at = (row[grant.need_id], column[grant.offer_id])
        fixed.append([*at, amount, str(grant.money), grant.currency])
        by_need[grant.need_id] = by_need.get(grant.need_id, 0) + amount
        by_offer[grant.offer_id] = by_offer.get(grant.offer_id, 0) + amount
        taken[grant.offer_id] = taken.get(grant.offer_id, NOTHING) + grant.money
        most = held[grant.offer_id].most
        if most is not None and taken[grant.offer_id] > most:
            pair = f"{needs[at[0]].reference} ← {offers[at[1]].reference}"
            raise Conflict("clearing_fixed_above_limit", needs=[], offers=[], pairs=[pair])
    return {
        "currency": CURRENCY,
        "rates": rates,
        "no_rate": sorted(no_rate),
        "needs": [
            {
                "need": at,
                # What was promised stays promised, whatever the rates are by now.
                "asked": max(
                    units(budget.most or NOTHING, budget.currency), by_need.get(number, 0)
                ),
                "useful": units(budget.least, budget.currency, up=True),
                "open": str(budget.most),
                "currency": budget.currency,
                "sealed": budget.sealed,
            }
            for number, at in row.items()
            for budget in [asked[number]]
        ],
        "offers": [
            {
                "offer": at,
                "budget": None
                if budget.most is None
                else max(units(budget.most, budget.currency), by_offer.get(number, 0)),
                "least": units(budget.least, budget.currency, up=True),
                "each": None if budget.each is None else units(budget.each, budget.currency),
                "left": None if budget.most is None else str(budget.most),
                "smallest": str(budget.least),
                "largest": None if budget.each is None else str(budget.each),
                "currency": budget.currency,
                "sealed": budget.sealed,
            }
            for number, at in column.items()
            for budget in [held[number]]
        ],
        "fixed": sorted(fixed),
    }


def _rated(budget: Budget, known: Collection[str]) -> bool:
    """Whether the amounts can be compared: an offer without a limit needs no currency."""
    return budget.currency in known or (budget.currency is None and budget.most is None)


def _day(value: date | None) -> str | None:
    return value.isoformat() if value else None


def work_out_money(
    sheet: dict[str, Any], forced: Sequence[tuple[int, int]], plain: Plain
) -> dict[str, Any]:
    """Clear the money of a sheet.

    Parameters
    ----------
    forced
        Required pairs that have finance alone in common.
    plain
        Rounds a number as the sheet keeps it.

    Returns
    -------
    dict
        ``grants`` (need, offer, units; amount and currency of the offer; amount and currency of
        the need; rate, its day and source), ``open`` (need, units asked, units given), ``total``
        and ``prices`` in points for each 1,000 units, ``policies`` side by side, and the proof.

    Raises
    ------
    ClearingError
        If the round's own rules cannot hold together.
    """
    money = sheet["money"]
    policy: MoneyPolicy = "fair" if sheet["policy"] == "fair" else "total"
    cleared: dict[str, MoneyClearing | None] = {}
    for other in MONEY_POLICIES:
        try:
            cleared[other] = _clear(sheet, other, forced)
        except ClearingError:
            if other == policy:
                raise
            cleared[other] = None
    own = cast("MoneyClearing", cleared[policy])
    groups = _groups(sheet)
    certificate = own.certificate
    flow = _flow(sheet, own)
    given: dict[int, int] = {}
    for need, _offer, amount in flow:
        given[need] = given.get(need, 0) + amount
    greatest = max(found.total for found in cleared.values() if found is not None)
    offers = [row["offer"] for row in money["offers"]]
    # Points for a unit, as scores are: a thousand units more add so many points for each thousand.
    prices = [
        [offers[at], round(price, 6)]
        for at, price in enumerate(own.shadow_prices.offers.tolist())
        if price > 1e-6 and money["offers"][at]["budget"] is not None
    ]
    return {
        "policy": policy,
        "grants": _grants(money, flow),
        "open": [[row["need"], row["asked"], given.get(row["need"], 0)] for row in money["needs"]],
        "total": None if _seals(money) else plain(own.total / PER),
        "gap": plain(certificate.gap),
        "proven": certificate.proven,
        "levels": {groups[s.group]: plain(s.level) for s in certificate.levels},
        "set_aside": [groups[number] for number in certificate.set_aside],
        "prices": sorted(prices, key=lambda row: (-row[1], row[0])),
        "policies": [
            _compared(sheet, name, found, greatest, plain) for name, found in cleared.items()
        ],
    }


def without_sealed(
    given: dict[str, Any], result: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A kept version's sheet and result for readers who must not learn sealed amounts."""
    if "money" not in given:
        return given, result
    money, found = given["money"], result["money"]
    hidden = _sealed(money)
    told = {
        **money,
        "needs": [row if not row["sealed"] else _blank(row, "need") for row in money["needs"]],
        "offers": [row if not row["sealed"] else _blank(row, "offer") for row in money["offers"]],
        "fixed": [row for row in money["fixed"] if not hidden(row[0], row[1])],
    }
    sealed = {row["need"] for row in money["needs"] if row["sealed"]}
    said = {
        **found,
        "grants": [
            row if not hidden(row[0], row[1]) else [row[0], row[1], *[None] * (len(row) - 2)]
            for row in found["grants"]
        ],
        "open": [row if row[0] not in sealed else [row[0], None, None] for row in found["open"]],
    }
    return {**given, "money": told}, {**result, "money": said}


def _blank(row: dict[str, Any], post: str) -> dict[str, Any]:
    return {name: row[name] if name in (post, "currency", "sealed") else None for name in row}


def _compared(
    sheet: dict[str, Any], policy: str, found: MoneyClearing | None, greatest: float, plain: Plain
) -> dict[str, Any]:
    """One policy beside the other; sealed amounts are left out of the sum that is shown.

    Points are score times amount: where an amount is sealed they are not told, since it could be
    reckoned from them.
    """
    if found is None:
        return {"policy": policy, "possible": False}
    flow = _flow(sheet, found)
    sealed = _sealed(sheet["money"])
    groups = {sheet["needs"][need]["group"] for need, _offer, _units in flow}
    told = not _seals(sheet["money"])
    return {
        "policy": policy,
        "possible": True,
        "total": plain(found.total / PER) if told else None,
        "given_up": plain((greatest - found.total) / PER) if told else None,
        "worst": plain(min((s.level for s in found.certificate.levels), default=math.nan)),
        "granted": sum(units for need, offer, units in flow if not sealed(need, offer)),
        "needs_served": len({need for need, _offer, _units in flow}),
        "groups_served": len(groups),
    }


def _seals(money: dict[str, Any]) -> bool:
    return any(row["sealed"] for row in (*money["needs"], *money["offers"]))


def _sealed(money: dict[str, Any]) -> Callable[[int, int], bool]:
    needs = {row["need"] for row in money["needs"] if row["sealed"]}
    offers = {row["offer"] for row in money["offers"] if row["sealed"]}
    return lambda need, offer: need in needs or offer in offers


def _groups(sheet: dict[str, Any]) -> list[str]:
    asking = {row["need"] for row in sheet["money"]["needs"]}
    return sorted({need["group"] for at, need in enumerate(sheet["needs"]) if at in asking})


def _flow(sheet: dict[str, Any], cleared: MoneyClearing) -> list[tuple[int, int, int]]:
    """``(need, offer, units)`` of each grant, by their positions in the sheet."""
    needs = [row["need"] for row in sheet["money"]["needs"]]
    offers = [row["offer"] for row in sheet["money"]["offers"]]
    amounts = cleared.amounts.tocoo()
    at, to = amounts.coords
    return sorted(
        (needs[n], offers[o], int(units))
        for n, o, units in zip(at.tolist(), to.tolist(), amounts.data.tolist(), strict=True)
        if units
    )


def _clear(
    sheet: dict[str, Any], policy: MoneyPolicy, forced: Sequence[tuple[int, int]]
) -> MoneyClearing:
    money = sheet["money"]
    row = {entry["need"]: at for at, entry in enumerate(money["needs"])}
    column = {entry["offer"]: at for at, entry in enumerate(money["offers"])}
    scored = [(row[n], column[o], s) for n, o, s in sheet["scores"] if n in row and o in column]
    scores = sparse.coo_array(
        (
            np.array([points for *_pair, points in scored], float),
            (np.array([n for n, *_ in scored], int), np.array([o for _, o, _s in scored], int)),
        ),
        shape=(len(row), len(column)),
    )
    asked = np.array([entry["asked"] for entry in money["needs"]], np.int64)
    # An offer that states no budget has no limit, as in the ledger: it can pay all who match it.
    full = np.zeros(len(column), np.int64)
    np.add.at(full, [o for _n, o, _s in scored], asked[[n for n, _o, _s in scored]])
    groups = _groups(sheet)

    def inside(pairs: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
        return [(row[n], column[o]) for n, o, *_ in pairs if n in row and o in column]

    try:
        return clear_money(
            scores,
            asked,
            [
                int(full[at]) if entry["budget"] is None else max(entry["budget"], 0)
                for at, entry in enumerate(money["offers"])
            ],
            policy=policy,
            groups=[groups.index(sheet["needs"][n]["group"]) for n in row],
            grant_least=[entry["least"] for entry in money["offers"]],
            grant_most=[
                max(int(asked.sum()), 1) if entry["each"] is None else entry["each"]
                for entry in money["offers"]
            ],
            useful=[entry["useful"] for entry in money["needs"]],
            forced=inside(forced),
            forbidden=inside(sheet["forbidden"]),
            fixed={(row[n], column[o]): units for n, o, units, *_ in money["fixed"]},
        )
    except ClearingError as refusal:
        needs, offers = list(row), list(column)
        raise ClearingError(
            refusal.code,
            str(refusal),
            needs=[needs[at] for at in refusal.needs],
            offers=[offers[at] for at in refusal.offers],
            pairs=[(needs[n], offers[o]) for n, o in refusal.pairs],
        ) from None


def _grants(money: dict[str, Any], flow: Iterable[tuple[int, int, int]]) -> list[list[Any]]:
    """The grants in the currencies of both sides; never more than an offer has left."""
    needs = {row["need"]: row for row in money["needs"]}
    offers = {row["offer"]: row for row in money["offers"]}
    rates = {
        code: Rate(
            said["rate"], date.fromisoformat(said["date"]) if said["date"] else None, said["source"]
        )
        for code, said in money["rates"].items()
    }
    promised = {(n, o): (Decimal(amount), code) for n, o, _units, amount, code in money["fixed"]}
    left = {at: Decimal(row["left"]) for at, row in offers.items() if row["left"] is not None}
    grants: list[list[Any]] = []
    for n, o, units in flow:
        need, offer = needs[n], offers[o]
        wanted_in = need["currency"]
        currency = offer["currency"] or wanted_in
        amount = _amount(units, need, offer, rates, currency)
        if (n, o) in promised:
            amount, currency = promised[n, o]
        if o in left:
            amount = min(amount, left[o])
            left[o] -= amount
        if not amount:
            continue
        counted = convert_at(amount, rates[currency], rates[wanted_in], currency, wanted_in)
        grants.append(
            [n, o, units, str(amount), currency, str(counted.money), wanted_in,
             counted.rate, _day(counted.rate_date), counted.rate_source]
        )  # fmt: skip
    return grants


@dataclass(frozen=True)
class Grant:
    """A grant of a kept version: see :class:`models.RoundProposal` for what the fields are."""

    units: int
    money: Decimal
    currency: str
    need_money: Decimal
    need_currency: str
    rate: float | None
    rate_date: date | None
    rate_source: str


def read_grant(row: Sequence[Any]) -> Grant:
    """A grant from its row in the result of a version, without the two positions."""
    units, money, currency, need_money, need_currency, rate, day, source = row
    return Grant(
        units,
        Decimal(money),
        currency,
        Decimal(need_money),
        need_currency,
        rate,
        date.fromisoformat(day) if day else None,
        source,
    )


def _amount(
    units: int,
    need: dict[str, Any],
    offer: dict[str, Any],
    rates: Mapping[str, Rate],
    currency: str,
) -> Decimal:
    """Units as an amount of the offer's currency: whole, or exactly what a side has stated."""
    if units >= need["asked"]:
        wanted = Decimal(need["open"])
        if need["currency"] == currency:
            return wanted
        rate = rates[need["currency"]].usd_rate / rates[currency].usd_rate
        return (wanted * Decimal(str(rate))).quantize(CENT, ROUND_FLOOR)
    for stated, in_units in ((offer["left"], offer["budget"]), (offer["largest"], offer["each"])):
        if stated is not None and units >= in_units:
            return Decimal(stated)
    exact = units / Decimal(str(rates[currency].usd_rate))
    whole = exact.to_integral_value(ROUND_FLOOR)
    enough = whole >= Decimal(offer["smallest"])
    return whole if enough else exact.quantize(CENT, ROUND_FLOOR)
