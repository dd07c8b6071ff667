"""What an offer has left and what of a need is covered, row by row, for those whom it concerns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.orm import Session

from broker.reference import Reference
from models import COVERING, Agreement, Commitment, Need, NotAllowed, Offer, User
from models.ledger import NOTHING, Balance, balance


def read_balance(session: Session, by: User | None, post: Need | Offer) -> Balance:
    """The post's balance, opening to remaining.

    Raises
    ------
    NotAllowed
        If the person neither acts for the post's organisation nor moderates it.
    """
    if not post.shows_balance_to(by):
        raise NotAllowed("see_balance", reference=post.reference)
    return balance(session, post)


@dataclass(frozen=True)
class KindCoverage:
    """A kind of support that a need asks for, and the agreements that give it.

    ``open`` says whether something of it is still wanted.
    """

    kind: str
    agreements: tuple[Agreement, ...]
    open: bool


def coverage_by_kind(
    need: Need, agreements: Iterable[Agreement], reference: Reference
) -> list[KindCoverage]:
    """Which agreements give which of the kinds that the need asks for, and what is open."""
    kind_of = {code: term.parent for code, term in reference.terms["support_kind"].items()}
    found = [a for a in agreements if a.status in COVERING and a.need_id == need.id]
    still_open = need.kinds_open()
    return [
        KindCoverage(kind, tuple(a for a in found if a.gives(kind, kind_of)), kind in still_open)
        for kind in need.support_kinds
    ]


@dataclass(frozen=True)
class Sum:
    """What some rows of the ledger come to: their places, and their money by currency."""

    places: int
    money: dict[str, Decimal]
    need_money: dict[str, Decimal]


def sum_up(rows: Iterable[Commitment]) -> Sum:
    """Add up rows of the ledger; amounts of different currencies stay apart."""
    places = 0
    money: dict[str, Decimal] = {}
    need_money: dict[str, Decimal] = {}
    for row in rows:
        places += row.places
        for sums, amount, currency in (
            (money, row.money, row.currency),
            (need_money, row.need_money, row.need_currency),
        ):
            if amount and currency:
                sums[currency] = sums.get(currency, NOTHING) + amount
    return Sum(places, dict(sorted(money.items())), dict(sorted(need_money.items())))
