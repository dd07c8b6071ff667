"""What an offer has left and what of a need is covered, row by row, for those whom it concerns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from broker.reference import Reference
from models import IN_FORCE, Agreement, AgreementStatus, Need, NotAllowed, Offer, User
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


COVERING = IN_FORCE | {AgreementStatus.COMPLETED}
"""Statuses in which an agreement covers what it is about."""


@dataclass(frozen=True)
class KindCoverage:
    """A kind of support that a need asks for, and the agreements that give it; none is open."""

    kind: str
    agreements: tuple[Agreement, ...]


def coverage_by_kind(
    need: Need, agreements: Iterable[Agreement], reference: Reference
) -> list[KindCoverage]:
    """Which agreements give which of the kinds that the need asks for.

    An agreement that names a modality gives the kind to which it belongs; one that names no kind
    at all gives all that need and offer have in common.
    """
    found = [a for a in agreements if a.status in COVERING and a.need_id == need.id]
    return [
        KindCoverage(kind, tuple(a for a in found if _gives(a, kind, reference)))
        for kind in need.support_kinds
    ]


def _gives(agreement: Agreement, kind: str, reference: Reference) -> bool:
    named = set(agreement.current_terms.support_kinds)
    if not named:
        return kind in agreement.offer.support_kinds
    return bool(named & {kind, *reference.modalities(kind)})
