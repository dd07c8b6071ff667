"""The ledger: capacity is committed in one statement that cannot oversell, and given back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm import Session, selectinload

from models.agreement import Agreement, Commitment
from models.base import utc_now
from models.errors import CapacityExceeded, Conflict, InvalidInput
from models.post import Need, Offer, Post, PostStatus
from models.reference import Currency

NOTHING = Decimal(0)
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Conversion:
    """An amount in the need's currency, and how it was reached."""

    money: Decimal
    currency: str | None
    rate: float | None = None
    rate_date: date | None = None
    rate_source: str = ""


def convert(session: Session, money: Decimal, from_: str | None, to: str | None) -> Conversion:
    """``money`` in another currency, at the stored rates (both against the US dollar).

    The conversion is dated by the older of the two rates.

    Raises
    ------
    InvalidInput
        If a currency is unknown.
    """
    if not money or from_ == to or to is None:
        return Conversion(money, to or from_)
    rates: list[Currency] = []
    for code in (from_, to):
        currency = session.get(Currency, code) if code else None
        if currency is None:
            raise InvalidInput({"currency": [("unknown_code", {"code": code})]})
        rates.append(currency)
    rate = rates[0].usd_rate / rates[1].usd_rate
    return Conversion(
        (money * Decimal(str(rate))).quantize(CENT, ROUND_HALF_EVEN),
        to,
        rate,
        min((c.rate_date for c in rates if c.rate_date), default=None),
        "; ".join(dict.fromkeys(c.rate_source for c in rates if c.rate_source)),
    )


def commit(session: Session, agreement: Agreement) -> Commitment:
    """Set the agreed places and money of the offer aside, and cover the need with them.

    The offer's balance changes in a single UPDATE whose WHERE clause holds the capacity rule:
    whoever comes second at the same moment finds no row to change. An offer or need that states
    no currency takes that of the first money committed, so that its balance has only one.

    Raises
    ------
    CapacityExceeded
        If fewer places or less money are left than the terms say, or the offer is no longer
        on the exchange.
    Conflict
        If the need is no longer on the exchange, or the agreement's capacity is committed already.
    InvalidInput
        If the terms' money is not in the offer's currency.
    """
    terms, offer, need = agreement.current_terms, agreement.offer, agreement.need
    places, money = terms.places or 0, terms.money or NOTHING
    session.flush()
    _hold(session, offer, need)
    if agreement.commitments:
        raise Conflict("already_signed", reference=agreement.reference)
    if not need.is_live:
        raise Conflict("need_not_live", reference=need.reference)
    if money:
        if terms.currency is None or terms.currency != (offer.currency or terms.currency):
            raise InvalidInput({"currency": [("currency_of_offer", {"currency": offer.currency})]})
        offer.currency = terms.currency
        need.currency = need.currency or terms.currency
    if not (offer.is_live and _take(session, offer, places, money)):
        raise CapacityExceeded(
            "capacity_exceeded"
            if offer.is_live or offer.status == PostStatus.EXHAUSTED
            else "offer_not_live",
            reference=offer.reference,
            places_asked=places,
            places_left=offer.remaining_places(),
            money_asked=money,
            money_left=offer.remaining_money(),
            currency=offer.currency,
        )
    covered = convert(session, money, offer.currency, need.currency)
    return _enter(session, agreement, "commit", places, money, covered)


def give_back(
    session: Session, agreement: Agreement, places_used: int, money_used: Decimal
) -> Commitment:
    """Return to the offer what an ended agreement did not use.

    The need's share is returned at the rate of the commitment, whatever the rate is now.

    Raises
    ------
    InvalidInput
        If more was used than was committed.
    """
    rows = agreement.commitments
    places_held = sum(row.places for row in rows)
    money_held = sum((row.money for row in rows), NOTHING)
    places, money = places_held - places_used, money_held - money_used
    problems: dict[str, object] = {}
    if places < 0 or places_used < 0:
        problems["places_used"] = [("more_than_committed", {})]
    if money < 0 or money_used < 0:
        problems["money_used"] = [("more_than_committed", {})]
    if problems:
        raise InvalidInput(problems)
    session.flush()
    _hold(session, agreement.offer, agreement.need)
    _take(session, agreement.offer, -places, -money)
    uncovered = NOTHING
    if money:
        need_money_held = sum((row.need_money for row in rows), NOTHING)
        uncovered = (need_money_held * money / money_held).quantize(CENT, ROUND_HALF_EVEN)
    first = rows[0] if rows else None
    covered = Conversion(
        -uncovered,
        first.need_currency if first else agreement.need.currency,
        first.rate if first else None,
        first.rate_date if first else None,
        first.rate_source if first else "",
    )
    return _enter(session, agreement, "return", -places, -money, covered)


def _hold(session: Session, offer: Offer, need: Need) -> None:
    """Lock both posts until the transaction ends, and read them as they are now.

    Always in the order of their numbers, so that two signers never wait for each other. SQLite
    has one lock for everything, which :func:`models.database.begin_writing` has taken.
    """
    session.execute(
        select(Post.id)
        .where(Post.id.in_((offer.id, need.id)))
        .order_by(Post.id)
        .with_for_update(key_share=True)
    ).all()
    session.refresh(offer)
    session.refresh(need)


def _take(session: Session, offer: Offer, places: int, money: Decimal) -> bool:
    """Change the offer's balance if it allows; tell whether it did."""
    session.flush()
    table = Offer.__table__
    taken = session.execute(
        update(table)  # type: ignore[arg-type]
        .where(
            table.c.id == offer.id,
            or_(table.c.places.is_(None), table.c.places_committed + places <= table.c.places),
            or_(table.c.money.is_(None), table.c.money_committed + money <= table.c.money),
        )
        .values(
            places_committed=table.c.places_committed + places,
            money_committed=table.c.money_committed + money,
        )
    )
    session.refresh(offer)
    return taken.rowcount == 1  # type: ignore[attr-defined, no-any-return]


def _enter(
    session: Session,
    agreement: Agreement,
    kind: str,
    places: int,
    money: Decimal,
    covered: Conversion,
) -> Commitment:
    """Write the row, cover the need by it, and let both posts' statuses follow."""
    offer, need = agreement.offer, agreement.need
    row = Commitment(
        kind=kind,
        offer_id=offer.id,
        need_id=need.id,
        places=places,
        money=money,
        currency=offer.currency,
        need_money=covered.money,
        need_currency=covered.currency,
        rate=covered.rate,
        rate_date=covered.rate_date,
        rate_source=covered.rate_source,
    )
    agreement.commitments.append(row)
    session.flush()
    table = Need.__table__
    session.execute(
        update(table)  # type: ignore[arg-type]
        .where(table.c.id == need.id)
        .values(
            places_covered=table.c.places_covered + places,
            money_covered=table.c.money_covered + covered.money,
        )
    )
    session.refresh(need)
    # The balances were changed in SQL; the stamp tells every process that the posts have changed.
    offer.updated_at = need.updated_at = utc_now()
    offer.follow_balance()
    need.follow_balance()
    return row


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the ledger as one post's balance counts it, and what is left after it.

    Money is in the post's currency; ``source`` is the row itself, with the rate of a conversion.
    """

    source: Commitment
    places: int
    money: Decimal
    places_left: int | None
    money_left: Decimal | None


@dataclass(frozen=True, slots=True)
class Balance:
    """What a post began with, what agreements took and gave back, and what remains.

    Attributes
    ----------
    opening_places, opening_money, places_left, money_left
        None where the post states no number. Below zero where a need is covered beyond its asking.
    is_sound : bool
        Whether the rows add up to the balance that the post itself keeps.
    """

    entries: tuple[Entry, ...]
    opening_places: int | None
    opening_money: Decimal | None
    places_left: int | None
    money_left: Decimal | None
    is_sound: bool

    def places_of(self, kind: str) -> int:
        """Sum of the places of all ``"commit"`` or all ``"return"`` rows."""
        return sum(entry.places for entry in self.entries if entry.source.kind == kind)

    def money_of(self, kind: str) -> Decimal:
        """Sum of the money of all ``"commit"`` or all ``"return"`` rows."""
        return sum((e.money for e in self.entries if e.source.kind == kind), NOTHING)


def balance(session: Session, post: Offer | Need) -> Balance:
    """The balance of an offer or need, row by row, oldest first."""
    is_offer = isinstance(post, Offer)
    if isinstance(post, Offer):
        opening_places, opening_money = post.places, post.money
        kept = (post.places_committed, post.money_committed)
    else:
        opening_places = post.places_wanted
        opening_money = post.money_most if post.money_most is not None else post.money_least
        kept = (post.places_covered, post.money_covered)
    rows = session.scalars(
        select(Commitment)
        .where((Commitment.offer_id if is_offer else Commitment.need_id) == post.id)
        .order_by(Commitment.id)
        .options(selectinload(Commitment.agreement))
    )
    entries: list[Entry] = []
    places, money = 0, NOTHING
    for row in rows:
        amount = row.money if is_offer else row.need_money
        places, money = places + row.places, money + amount
        entries.append(
            Entry(
                row,
                row.places,
                amount,
                None if opening_places is None else opening_places - places,
                None if opening_money is None else opening_money - money,
            )
        )
    return Balance(
        tuple(entries),
        opening_places,
        opening_money,
        None if opening_places is None else opening_places - places,
        None if opening_money is None else opening_money - money,
        is_sound=(places, money) == kept,
    )


def imbalances(session: Session) -> list[dict[str, object]]:
    """Offers and needs whose balance differs from the sum of their ledger rows; [] is sound.

    A balance whose rows are in more than one currency, or in another one than the post's, is
    told too: such a sum means nothing.
    """
    found: list[dict[str, object]] = []
    for model, key, balance, money, currency in (
        (
            Offer,
            Commitment.offer_id,
            (Offer.places_committed, Offer.money_committed),
            Commitment.money,
            Commitment.currency,
        ),
        (
            Need,
            Commitment.need_id,
            (Need.places_covered, Need.money_covered),
            Commitment.need_money,
            Commitment.need_currency,
        ),
    ):
        used = case((money != NOTHING, currency))
        sums = (
            select(
                key.label("post_id"),
                func.sum(Commitment.places).label("places"),
                func.sum(money).label("money"),
                func.count(used.distinct()).label("currencies"),
                func.min(used).label("currency"),
            )
            .group_by(key)
            .subquery()
        )
        places_sum = func.coalesce(sums.c.places, 0)
        money_sum = func.coalesce(sums.c.money, NOTHING)
        rows = session.execute(
            select(
                model.reference,
                balance[0],
                places_sum,
                balance[1],
                money_sum,
                model.currency,
                sums.c.currency,
            )
            .outerjoin(sums, sums.c.post_id == model.id)
            .where(
                or_(
                    balance[0] != places_sum,
                    balance[1] != money_sum,
                    sums.c.currencies > 1,
                    sums.c.currency != model.currency,
                )
            )
            .order_by(model.reference)
        )
        names = (
            "reference",
            "places",
            "places_in_ledger",
            "money",
            "money_in_ledger",
            "currency",
            "currency_in_ledger",
        )
        found.extend(dict(zip(names, row, strict=True)) for row in rows)
    return found
