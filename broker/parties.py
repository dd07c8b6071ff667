"""Who takes part in an agreement, what kind it is, and what its parties let everybody read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from broker.accounts import find_organisation
from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.messages import FIELD_PROBLEMS
from broker.news import tell_of_new_party
from broker.schemas import Code, Money, Strict, Text
from models import (
    JOINING_ROLES,
    LIVE,
    NEED_POSTERS,
    OFFER_POSTERS,
    Agreement,
    AgreementKind,
    AgreementParty,
    Conflict,
    InvalidInput,
    NotFound,
    Offer,
    Organisation,
    User,
)


class PartySchema(Strict):
    """An organisation that joins an agreement, as what, and what it brings."""

    organisation = fields.String(
        required=True, validate=validate.Length(min=1, error=FIELD_PROBLEMS["required"])
    )
    role = fields.String(
        required=True, validate=validate.OneOf(JOINING_ROLES, error=FIELD_PROBLEMS["required"])
    )
    contribution = Text(4000, load_default="")
    money = Money(load_default=None)
    currency = Code("currency", allow_none=True, load_default=None)
    offer = Text(80, load_default="")

    @validates_schema(skip_on_field_errors=True)
    def _fits_together(self, data: dict[str, Any], **_: Any) -> None:
        problems = {}
        if data["money"] and not data["currency"]:
            problems["currency"] = [str(FIELD_PROBLEMS["currency_missing"])]
        if data["offer"] and not data["money"]:
            problems["money"] = [str(FIELD_PROBLEMS["amount_missing"])]
        if problems:
            raise ValidationError(problems)


class KindSchema(Strict):
    """What kind of agreement it is."""

    kind = fields.Enum(AgreementKind, by_value=True, required=True)


class DisclosureSchema(Strict):
    """What one party lets the public register show."""

    shows_money = fields.Boolean(required=True)
    shows_activities = fields.Boolean(required=True)


def _with_account() -> Select[int]:
    """Organisations for which somebody can accept and sign."""
    return select(User.organisation_id).where(
        User.active, User.role.in_(NEED_POSTERS | OFFER_POSTERS)
    )


def possible_parties(session: Session, agreement: Agreement, language: str) -> list[Organisation]:
    """Organisations that could join, by their names in that language."""
    present = [party.organisation_id for party in agreement.parties]
    found = session.scalars(
        select(Organisation).where(
            Organisation.id.in_(_with_account()), Organisation.id.not_in(present)
        )
    )
    return sorted(found, key=lambda organisation: organisation.name(language).casefold())


def add_party(
    session: Session,
    by: User,
    agreement: Agreement,
    *,
    organisation: str,
    role: str,
    contribution: str = "",
    money: Decimal | None = None,
    currency: str | None = None,
    offer: str = "",
) -> AgreementParty:
    """Bring in a donor or partner while terms are open; every other party must accept anew.

    Parameters
    ----------
    money, currency
        What it pays, committed once every party has signed.
    offer
        Reference of its own offer, on the exchange, from which that is taken.

    Raises
    ------
    InvalidInput
        If the offer is not the organisation's, not on the exchange, in another currency, or has
        less left.
    NotFound
        If there is no organisation with that code.
    Conflict
        If it takes part already, nobody could sign for it, or the terms can no longer change.
    """
    agreement.require_open_terms(by)
    require_no_conflict(session, by, agreement)
    joining = find_organisation(session, organisation)
    if session.scalar(_with_account().where(User.organisation_id == joining.id).limit(1)) is None:
        raise Conflict("party_without_account", organisation=joining.name(by.language))
    pays_from = _offer_of(session, joining, offer, money, currency) if offer else None
    party = agreement.add_party(
        by, joining, role, contribution, money=money or None, currency=currency, offer=pays_from
    )
    after = {"organisation": joining.code, "role": role, "contribution": contribution}
    if money:
        after |= {"money": f"{money} {currency}", "offer": offer}
    record(session, by, "agreement.party_added", agreement, after=after)
    tell_of_new_party(session, by, agreement, joining)
    return party


def _offer_of(
    session: Session,
    joining: Organisation,
    reference: str,
    money: Decimal | None,
    currency: str | None,
) -> Offer:
    found = session.scalar(
        select(Offer).where(
            Offer.reference == reference.strip().lower(),
            Offer.organisation_id == joining.id,
            Offer.status.in_(LIVE),
        )
    )
    if found is None:
        raise InvalidInput({"offer": [("no_live_offer_of_party", {"reference": reference[:80]})]})
    problems: dict[str, Any] = {}
    if found.currency and currency != found.currency:
        problems["currency"] = [("currency_of_offer", {"currency": found.currency})]
    left = found.remaining_money()
    if left is not None and money is not None and money > left:
        problems["money"] = [
            ("more_than_sealed", {}) if found.money_sealed else ("more_than_left", {"left": left})
        ]
    if problems:
        raise InvalidInput(problems)
    return found


def remove_party(session: Session, by: User, agreement: Agreement, party_id: int) -> None:
    """Let a donor or partner go while terms are open; the others must accept anew."""
    leaving = next((party for party in agreement.parties if party.id == party_id), None)
    if leaving is None:
        agreement.require_party(by)
        raise NotFound("no_such_party", id=party_id)
    before = {"organisation": leaving.organisation.code, "role": leaving.role}
    agreement.remove_party(by, leaving)
    record(session, by, "agreement.party_removed", agreement, before=before)


def change_kind(session: Session, by: User, agreement: Agreement, kind: AgreementKind) -> None:
    """Say what kind of agreement it is, while terms are open."""
    before = {"kind": str(agreement.kind)}
    agreement.change_kind(by, kind)
    record(session, by, "agreement.kind", agreement, before=before, after={"kind": str(kind)})


def choose_disclosure(
    session: Session, by: User, agreement: Agreement, *, shows_money: bool, shows_activities: bool
) -> None:
    """Say, for one's party, what everybody may read; the register shows what every party allows."""
    party = agreement.require_party(by)
    before = _disclosure(party)
    party.shows_money, party.shows_activities = shows_money, shows_activities
    record(session, by, "agreement.disclosure", agreement, before=before, after=_disclosure(party))


def _disclosure(party: AgreementParty) -> dict[str, Any]:
    return {"shows_money": party.shows_money, "shows_activities": party.shows_activities}
