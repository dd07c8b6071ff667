"""The ledger: capacity is committed in one statement that cannot oversell, and given back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm import Session, selectinload

from models.agreement import COVERING, Agreement, AgreementParty, Commitment
from models.base import utc_now
from models.errors import CapacityExceeded, Conflict, InvalidInput
from models.post import Need, Offer, Post, PostStatus
from models.reference import Currency, Term

NOTHING = Decimal(0)
CENT = Decimal("0.01")

ROUNDING = Decimal(1)
"""By how much an amount that was converted may exceed another and still be the same."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of a currency is worth in US dollars, since when, and who says so."""

    usd_rate: float
    rate_date: date | None = None
    rate_source: str = ""


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
    rates: list[Rate] = []
    for code in (from_, to):
        currency = session.get(Currency, code) if code else None
        if currency is None:
            raise InvalidInput({"currency": [("unknown_code", {"code": code})]})
        rates.append(Rate(currency.usd_rate, currency.rate_date, currency.rate_source))
    return convert_at(money, rates[0], rates[1], from_, to)


def convert_at(
    money: Decimal, from_rate: Rate, to_rate: Rate, from_: str | None, to: str
) -> Conversion:
    """``money`` in another currency at given rates, as :func:`convert` does at the stored ones."""
    if not money or from_ == to:
        return Conversion(money, to)
    rates = (from_rate, to_rate)
    rate = from_rate.usd_rate / to_rate.usd_rate
    return Conversion(
        (money * Decimal(str(rate))).quantize(CENT, ROUND_HALF_EVEN),
        to,
        rate,
        min((r.rate_date for r in rates if r.rate_date), default=None),
        "; ".join(dict.fromkeys(r.rate_source for r in rates if r.rate_source)),
    )


def commit(session: Session, agreement: Agreement) -> Commitment:
    """Set the agreed places and money aside, and cover the need with them.

    What the agreement's offer gives is one row; what each donor or partner pays is one more, from
    its own offer if it names one.

    An offer's balance changes in a single UPDATE whose WHERE clause holds the capacity rule:
    whoever comes second at the same moment finds no row to change. An offer or need that states
    no currency takes that of the first money committed, so that its balance has only one.

    Returns
    -------
    Commitment
        The row of the agreement's own offer.

    Raises
    ------
    CapacityExceeded
        If fewer places or less money are left than the terms say, or an offer is no longer
        on the exchange.
    Conflict
        If the need is no longer on the exchange, asks for less than the terms give and they do
        not say that this is meant, or the agreement's capacity is committed already.
    InvalidInput
        If the money is not in its offer's currency.
    """
    terms, need = agreement.current_terms, agreement.need
    session.flush()
    donors = [party for party in agreement.parties if party.money]
    _hold(session, agreement.offer, need, *(party.offer for party in donors if party.offer))
    if agreement.commitments:
        raise Conflict("already_signed", reference=agreement.reference)
    if not need.is_live:
        raise Conflict("need_not_live", reference=need.reference)
    if not terms.beyond_need and beyond_need(session, agreement):
        raise Conflict("more_than_need_asks", reference=need.reference)
    gifts = [
        _Gift(agreement.offer, None, terms.places or 0, terms.money or NOTHING, terms.currency)
    ]
    gifts += [_Gift(p.offer, p, 0, p.money or NOTHING, p.currency) for p in donors]
    rows = [_give(session, agreement, gift) for gift in gifts]
    return rows[0]


@dataclass(frozen=True, slots=True)
class _Gift:
    """What one side of an agreement sets aside; ``party`` is None for the agreement's own offer."""

    offer: Offer | None
    party: AgreementParty | None
    places: int
    money: Decimal
    currency: str | None


def _give(session: Session, agreement: Agreement, gift: _Gift) -> Commitment:
    need, offer = agreement.need, gift.offer
    if gift.money:
        held_in = offer.currency if offer else None
        if gift.currency is None or gift.currency != (held_in or gift.currency):
            raise InvalidInput({"currency": [("currency_of_offer", {"currency": held_in})]})
        need.currency = need.currency or gift.currency
        if offer is not None:
            offer.currency = gift.currency
    if offer is not None and not (offer.is_live and _take(session, offer, gift.places, gift.money)):
        raise CapacityExceeded(
            "capacity_exceeded"
            if offer.is_live or offer.status == PostStatus.EXHAUSTED
            else "offer_not_live",
            reference=offer.reference,
            places_asked=gift.places,
            places_left=offer.remaining_places(),
            money_asked=gift.money,
            money_left=None if offer.money_sealed else offer.remaining_money(),
            currency=offer.currency,
        )
    covered = convert(session, gift.money, gift.currency, need.currency)
    return _enter(session, agreement, "commit", gift, covered)


def beyond_need(session: Session, agreement: Agreement) -> frozenset[str]:
    """In which of ``"places"`` and ``"money"`` the terms give more than the need still asks for.

    What donors and partners pay counts with the offer's own money, in the need's currency.
    """
    terms, need = agreement.current_terms, agreement.need
    found = set()
    places_open, money_open = need.places_open(), need.money_open()
    if terms.places and places_open is not None and terms.places > places_open:
        found.add("places")
    sums = [(terms.money, terms.currency), *((p.money, p.currency) for p in agreement.parties)]
    amounts = [(money, currency) for money, currency in sums if money]
    given = sum(
        (convert(session, money, currency, need.currency).money for money, currency in amounts),
        NOTHING,
    )
    converted = any(currency != need.currency for _money, currency in amounts)
    if money_open is not None and given > money_open + (ROUNDING if converted else NOTHING):
        found.add("money")
    return frozenset(found)


def give_back(
    session: Session,
    agreement: Agreement,
    places_used: int,
    money_used: Decimal,
    contributions_used: Mapping[int, Decimal] | None = None,
) -> Commitment:
    """Return what an ended agreement did not use, to the offers that it came from.

    The need's share is returned at the rate of the commitment, whatever the rate is now.

    Parameters
    ----------
    contributions_used
        Number of a donor's or partner's party → how much of its money was used; nothing of those
        that are left out.

    Returns
    -------
    Commitment
        The row of the agreement's own offer.

    Raises
    ------
    InvalidInput
        If more was used than was committed.
    """
    used = contributions_used or {}
    own = [row for row in agreement.commitments if row.party_id is None]
    of_party = {
        row.party_id: row for row in agreement.commitments if row.party_id and row.kind == "commit"
    }
    places = sum(row.places for row in own) - places_used
    money = sum((row.money for row in own), NOTHING) - money_used
    problems: dict[str, object] = {}
    if places < 0 or places_used < 0:
        problems["places_used"] = [("more_than_committed", {})]
    if money < 0 or money_used < 0:
        problems["money_used"] = [("more_than_committed", {})]
    beyond: dict[int, object] = {
        number: {"money_used": [("more_than_committed", {})]}
        for number, (party_id, amount) in enumerate(used.items())
        if party_id not in of_party or not 0 <= amount <= of_party[party_id].money
    }
    if beyond:
        problems["contributions_used"] = beyond
    if problems:
        raise InvalidInput(problems)
    session.flush()
    offers = [row.offer for row in of_party.values() if row.offer]
    _hold(session, agreement.offer, agreement.need, *offers)
    first = own[0] if own else None
    returned = _return(session, agreement, first, places, money)
    for party_id, row in of_party.items():
        _return(session, agreement, row, 0, row.money - used.get(party_id, NOTHING))
    return returned


def _return(
    session: Session, agreement: Agreement, row: Commitment | None, places: int, money: Decimal
) -> Commitment:
    """Give back a part of what ``row`` has taken; without one, of nothing, to the offer."""
    offer = row.offer if row else agreement.offer
    if offer is not None:
        _take(session, offer, -places, -money)
    uncovered = NOTHING
    if row is not None and money:
        uncovered = (row.need_money * money / row.money).quantize(CENT, ROUND_HALF_EVEN)
    covered = Conversion(
        -uncovered,
        row.need_currency if row else agreement.need.currency,
        row.rate if row else None,
        row.rate_date if row else None,
        row.rate_source if row else "",
    )
    currency = row.currency if row else agreement.offer.currency
    gift = _Gift(offer, row.party if row else None, -places, -money, currency)
    return _enter(session, agreement, "return", gift, covered)


def _hold(session: Session, *posts: Post) -> None:
    """Lock the posts until the transaction ends, and read them as they are now.

    Always in the order of their numbers, so that two signers never wait for each other. SQLite
    has one lock for everything, which :func:`models.database.begin_writing` has taken.
    """
    session.execute(
        select(Post.id)
        .where(Post.id.in_([post.id for post in posts]))
        .order_by(Post.id)
        .with_for_update(key_share=True)
    ).all()
    for post in posts:
        session.refresh(post)


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
    session: Session, agreement: Agreement, kind: str, gift: _Gift, covered: Conversion
) -> Commitment:
    """Write the row, cover the need by it, and let the posts' statuses follow."""
    offer, need = gift.offer, agreement.need
    row = Commitment(
        kind=kind,
        offer=offer,
        party=gift.party,
        need_id=need.id,
        places=gift.places,
        money=gift.money,
        currency=offer.currency if offer else gift.currency,
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
            places_covered=table.c.places_covered + gift.places,
            money_covered=table.c.money_covered + covered.money,
        )
    )
    session.refresh(need)
    need.kinds_covered = covered_kinds(session, need)
    # The balances were changed in SQL; the stamp tells every process that the posts have changed.
    for post in (need, offer):
        if post is not None:
            post.updated_at = utc_now()
            post.follow_balance()
    return row


def covered_kinds(session: Session, need: Need) -> list[str]:
    """The kinds of support that the need's agreements give: those in force, and those completed."""
    terms = select(Term.code, Term.parent).where(Term.scheme == "support_kind")
    kind_of = {row.code: row.parent for row in session.execute(terms)}
    agreements = session.scalars(
        select(Agreement)
        .where(Agreement.need_id == need.id, Agreement.status.in_(COVERING))
        .options(
            selectinload(Agreement.terms),
            selectinload(Agreement.offer).selectinload(Offer.supports),
        )
    ).all()
    return [
        kind
        for kind in need.support_kinds
        if any(agreement.gives(kind, kind_of) for agreement in agreements)
    ]


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
        .options(
            selectinload(Commitment.agreement),
            selectinload(Commitment.party).selectinload(AgreementParty.organisation),
        )
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
