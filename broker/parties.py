"""Who takes part in an agreement, what kind it is, and what its parties let everybody read."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from broker.accounts import find_organisation
from broker.audit import record
from broker.messages import FIELD_PROBLEMS
from broker.news import tell_of_new_party
from broker.schemas import Strict, Text
from models import (
    JOINING_ROLES,
    NEED_POSTERS,
    OFFER_POSTERS,
    Agreement,
    AgreementKind,
    AgreementParty,
    Conflict,
    NotFound,
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
) -> AgreementParty:
    """Bring in a donor or partner while terms are open; every other party must accept anew.

    Raises
    ------
    NotFound
        If there is no organisation with that code.
    Conflict
        If it takes part already, nobody could sign for it, or the terms can no longer change.
    """
    agreement.require_open_terms(by)
    joining = find_organisation(session, organisation)
    if session.scalar(_with_account().where(User.organisation_id == joining.id).limit(1)) is None:
        raise Conflict("party_without_account", organisation=joining.name(by.language))
    party = agreement.add_party(by, joining, role, contribution)
    record(
        session,
        by,
        "agreement.party_added",
        agreement,
        after={"organisation": joining.code, "role": role, "contribution": contribution},
    )
    tell_of_new_party(session, by, agreement, joining)
    return party


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
