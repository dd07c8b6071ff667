"""What an offer has left and what of a need is covered, row by row, for those whom it concerns."""

from __future__ import annotations

from sqlalchemy.orm import Session

from models import Need, NotAllowed, Offer, User
from models.ledger import Balance, balance


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
