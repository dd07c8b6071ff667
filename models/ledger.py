"""The ledger: capacity is committed in one statement that cannot oversell, and given back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from models.agreement import Agreement, Commitment
from models.base import utc_now
from models.errors import CapacityExceeded, InvalidInput
from models.post import LIVE, Need, Offer, Post, PostStatus
from models.reference import Currency

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Conversion:
    """An amount in the need's currency, and how it was reached."""

    money: Decimal
    currency: str | None
    rate: float | None
    source: Currency | None


def convert(session: Session, money: Decimal, from_: str | None, to: str | None) -> Conversion:
    """``money`` in another currency, at the stored rates (both against the US dollar).

    Raises
    ------
    InvalidInput
        If a currency is unknown.
    """
    if not money or from_ == to or to is None:
        return Conversion(money, to or from_, None, None)
    rates = {}
    for code in (from_, to):
        currency = session.get(Currency, code) if code else None
        if currency is None:
            raise InvalidInput({"currency": [("unknown_code", {"code": code})]})
        rates[code] = currency
    rate = rates[from_].usd_rate / rates[to].usd_rate
    converted = (money * Decimal(str(rate))).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    return Conversion(converted, to, rate, rates[to])


def commit(session: Session, agreement: Agreement) -> Commitment:
    """Set the agreed places and money of the offer aside, and cover the need with them.

    The offer's balance changes in a single UPDATE whose WHERE clause holds the capacity rule:
    whoever comes second at the same moment finds no row to change.

    Raises
    ------
    CapacityExceeded
        If fewer places or less money are left than the terms say, or the offer is no longer
        on the exchange.
    """
    terms, offer, need = agreement.current_terms, agreement.offer, agreement.need
    places, money = terms.places or 0, terms.money or NOTHING
    if money and offer.currency and terms.currency != offer.currency:
        raise InvalidInput({"currency": [("currency_of_offer", {"currency": offer.currency})]})
    session.flush()
    taken = session.execute(
        update(Offer.__table__)  # type: ignore[arg-type]
        .where(
            Offer.__table__.c.id == offer.id,
            Offer.__table__.c.id.in_(
                select(Post.__table__.c.id).where(Post.__table__.c.status.in_(LIVE))
            ),
            or_(
                Offer.__table__.c.places.is_(None),
                Offer.__table__.c.places - Offer.__table__.c.places_committed >= places,
            ),
            or_(
                Offer.__table__.c.money.is_(None),
                Offer.__table__.c.money - Offer.__table__.c.money_committed >= money,
            ),
        )
        .values(
            places_committed=Offer.__table__.c.places_committed + places,
            money_committed=Offer.__table__.c.money_committed + money,
        )
    )
    session.refresh(offer)
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        raise CapacityExceeded(
            "capacity_exceeded" if offer.is_live else "offer_not_live",
            reference=offer.reference,
            places_asked=places,
            places_left=offer.remaining_places(),
            money_asked=money,
            money_left=offer.remaining_money(),
            currency=offer.currency,
        )
    row = _row(session, agreement, "commit", places, money)
    _cover(session, need, row)
    _restate(offer, need)
    return row


def give_back(
    session: Session, agreement: Agreement, places_used: int, money_used: Decimal
) -> Commitment:
    """Return to the offer what an ended agreement did not use.

    Raises
    ------
    InvalidInput
        If more was used than was committed.
    """
    committed = [row for row in agreement.commitments if row.kind == "commit"]
    places = sum(row.places for row in committed) - places_used
    money = sum((row.money for row in committed), NOTHING) - money_used
    problems: dict[str, object] = {}
    if places < 0 or places_used < 0:
        problems["places_used"] = [("more_than_committed", {})]
    if money < 0 or money_used < 0:
        problems["money_used"] = [("more_than_committed", {})]
    if problems:
        raise InvalidInput(problems)
    session.flush()
    session.execute(
        update(Offer.__table__)  # type: ignore[arg-type]
        .where(Offer.__table__.c.id == agreement.offer_id)
        .values(
            places_committed=Offer.__table__.c.places_committed - places,
            money_committed=Offer.__table__.c.money_committed - money,
        )
    )
    session.refresh(agreement.offer)
    row = _row(session, agreement, "return", -places, -money)
    _cover(session, agreement.need, row)
    _restate(agreement.offer, agreement.need)
    return row


def _row(
    session: Session, agreement: Agreement, kind: str, places: int, money: Decimal
) -> Commitment:
    offer, need = agreement.offer, agreement.need
    converted = convert(session, money, offer.currency, need.currency)
    row = Commitment(
        kind=kind,
        offer_id=offer.id,
        need_id=need.id,
        places=places,
        money=money,
        currency=offer.currency,
        need_money=converted.money,
        need_currency=converted.currency,
        rate=converted.rate,
        rate_date=converted.source.rate_date if converted.source else None,
        rate_source=converted.source.rate_source if converted.source else "",
    )
    agreement.commitments.append(row)
    return row


def _cover(session: Session, need: Need, row: Commitment) -> None:
    session.execute(
        update(Need.__table__)  # type: ignore[arg-type]
        .where(Need.__table__.c.id == need.id)
        .values(
            places_covered=Need.__table__.c.places_covered + row.places,
            money_covered=Need.__table__.c.money_covered + row.need_money,
        )
    )
    session.refresh(need)


def _restate(offer: Offer, need: Need) -> None:
    """Let the statuses of both posts follow their balances."""
    # The balances were changed in SQL; the stamp tells every process that the posts have changed.
    offer.updated_at = need.updated_at = utc_now()
    used_up = offer.remaining_places() == 0 or offer.remaining_money() == NOTHING
    touched = bool(offer.places_committed or offer.money_committed)
    _follow(offer, PostStatus.EXHAUSTED if used_up and touched else None, touched)
    open_places, open_money = need.places_open(), need.money_open()
    covered = bool(need.places_covered or need.money_covered)
    states_quantity = open_places is not None or open_money is not None
    done = covered and states_quantity and not open_places and not open_money
    _follow(need, PostStatus.FULFILLED if done else None, covered)


def _follow(post: Post, end: PostStatus | None, touched: bool) -> None:
    if post.status not in LIVE | {PostStatus.FULFILLED, PostStatus.EXHAUSTED}:
        return
    then = end or (PostStatus.PARTLY_COMMITTED if touched else PostStatus.PUBLISHED)
    if post.status != then:
        post.move_to(then)


def imbalances(session: Session) -> list[dict[str, object]]:
    """Offers and needs whose balance differs from the sum of their ledger rows; [] is sound."""
    found: list[dict[str, object]] = []
    for model, key, columns in (
        (Offer, Commitment.offer_id, (Offer.places_committed, Offer.money_committed)),
        (Need, Commitment.need_id, (Need.places_covered, Need.money_covered)),
    ):
        money = Commitment.money if model is Offer else Commitment.need_money
        sums = (
            select(
                key.label("post_id"),
                func.sum(Commitment.places).label("places"),
                func.sum(money).label("money"),
            )
            .group_by(key)
            .subquery()
        )
        places_sum = func.coalesce(sums.c.places, 0)
        money_sum = func.coalesce(sums.c.money, 0)
        rows = session.execute(
            select(model.reference, columns[0], places_sum, columns[1], money_sum)
            .outerjoin(sums, sums.c.post_id == model.id)
            .where(or_(columns[0] != places_sum, columns[1] != money_sum))
        )
        found.extend(
            {
                "reference": reference,
                "places": places,
                "places_in_ledger": places_rows,
                "money": money_value,
                "money_in_ledger": money_rows,
            }
            for reference, places, places_rows, money_value, money_rows in rows
        )
    return found
