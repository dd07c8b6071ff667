"""Invitations to a pilot: to a country or an institution, also to one that has posted nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session, selectinload

from broker.accounts import organisations_behind
from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.news import tell_of_invitation
from broker.reference import Reference
from broker.schemas import Code, Strict, Text, load
from broker.task_forces import get_task_force, require_partner_seeker
from models import (
    LIVE,
    Conflict,
    InvalidInput,
    InvitationStatus,
    NotAllowed,
    NotFound,
    Offer,
    PilotInvitation,
    TaskForce,
    User,
)


class InvitationSchema(Strict):
    """An invitation to a pilot: to a country or an institution, on one theme."""

    organisation = Text(64, required=True)
    theme = Code("theme", required=True)
    offer = Text(80, load_default="")
    message = Text(4000, required=True)


class InvitationAnswerSchema(Strict):
    """What the invited organisation says."""

    message = Text(4000, load_default="")


def invite_partner(
    session: Session,
    by: User,
    force: TaskForce,
    data: Mapping[str, Any],
    reference: Reference,
) -> PilotInvitation:
    """Invite an organisation to a pilot, whether it has posted anything or not.

    Raises
    ------
    NotAllowed
        For anybody but the task force's officers and the moderators, and with a conflict of
        interest.
    InvalidInput
        If the message, the organisation or the theme is missing, or the offer is not one of the
        task force's pilots on the exchange.
    Conflict
        ``invitation_exists`` if it was invited on that theme already.
    """
    require_partner_seeker(by, force)
    values = load(InvitationSchema, data, reference)
    code = values["organisation"]
    organisation = organisations_behind(session, [code]).get(code)
    if organisation is None or reference.subregion_of(organisation.country_code) is None:
        problem = ("unknown_code", {"code": values["organisation"]})
        raise InvalidInput({"organisation": [problem]})
    require_no_conflict(session, by, organisation)
    offer = _pilot_offer(session, force, values["offer"])
    known = select(PilotInvitation.id).where(
        PilotInvitation.task_force_id == force.organisation_id,
        PilotInvitation.organisation_id == organisation.id,
        PilotInvitation.theme == values["theme"],
    )
    if session.scalar(known) is not None:
        raise Conflict("invitation_exists", organisation=organisation.name(by.language))
    invitation = PilotInvitation(
        task_force=force.organisation,
        organisation=organisation,
        theme=values["theme"],
        offer=offer,
        message=values["message"].strip(),
        status=InvitationStatus.ASKED,
        by=by,
    )
    session.add(invitation)
    record(
        session,
        by,
        "invitation.sent",
        invitation,
        after={
            "task_force": force.organisation.code,
            "organisation": organisation.code,
            "theme": invitation.theme,
            "message": invitation.message,
        },
    )
    tell_of_invitation(session, by, invitation)
    return invitation


def _pilot_offer(session: Session, force: TaskForce, reference: str) -> Offer | None:
    if not reference:
        return None
    offer: Offer | None = session.scalar(
        select(Offer).where(
            Offer.reference == reference.strip().lower(),
            Offer.organisation_id == force.organisation_id,
            Offer.pilot_hosted.is_(True),
            Offer.status.in_(LIVE),
        )
    )
    if offer is None:
        raise InvalidInput({"offer": [("no_live_post", {"reference": reference})]})
    return offer


def get_invitation(session: Session, invitation_id: int, by: User) -> PilotInvitation:
    """An invitation, for those who sent it, those who are invited, and the moderators.

    Raises
    ------
    NotFound
        ``no_such_invitation``.
    """
    found = session.get(PilotInvitation, invitation_id)
    if found is not None:
        force = get_task_force(session, found.task_force.code)
        if found.can_be_answered_by(by):
            return found
        try:
            require_partner_seeker(by, force)
        except NotAllowed:
            raise NotFound("no_such_invitation") from None
        return found
    raise NotFound("no_such_invitation")


def answer_invitation(
    session: Session,
    by: User,
    invitation: PilotInvitation,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    willing: bool,
) -> None:
    """Accept or decline for the invited organisation; nothing is committed by it."""
    values = load(InvitationAnswerSchema, data, reference)
    require_no_conflict(session, by, invitation.task_force)
    invitation.answer_with(by, willing=willing, message=values["message"])
    after = {"status": str(invitation.status), "message": invitation.answer}
    if willing:
        record(session, by, "invitation.accepted", invitation, after=after)
    else:
        record(session, by, "invitation.declined", invitation, after=after)
    tell_of_invitation(session, by, invitation)


def invitations_of(force: TaskForce) -> Select[PilotInvitation]:
    """A query for the invitations that a task force has sent, the latest first."""
    return (
        select(PilotInvitation)
        .where(PilotInvitation.task_force_id == force.organisation_id)
        .options(selectinload(PilotInvitation.organisation), selectinload(PilotInvitation.offer))
        .order_by(PilotInvitation.id.desc())
    )


def waiting_invitations(session: Session, by: User) -> list[PilotInvitation]:
    """Invitations that wait for the answer of the person's organisation, oldest first."""
    found = session.scalars(
        select(PilotInvitation)
        .where(
            and_(
                PilotInvitation.organisation_id == by.organisation_id,
                PilotInvitation.status == InvitationStatus.ASKED,
            )
        )
        .options(selectinload(PilotInvitation.task_force))
        .order_by(PilotInvitation.id)
    )
    return [invitation for invitation in found if invitation.can_be_answered_by(by)]
