"""What people add to the engine's matches: pairings, invitations to a pilot, and conflicts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.errors import Conflict, InvalidInput, NotAllowed
from models.organisation import Organisation
from models.post import Need, Offer, Post
from models.user import MODERATORS, Role, User

PAIRERS = MODERATORS | {Role.TASK_FORCE}
"""Roles whose people suggest pairings that the engine has missed."""


def _reason(text: str) -> str:
    if not text.strip():
        raise InvalidInput({"reason": [("required", {})]})
    return text.strip()


class Pairing(Base):
    """A need and an offer that a person, not the engine, says belong together, and why.

    Both sides read it beside the engine's score, and may show interest as in any match.
    """

    __tablename__ = "pairing"
    __table_args__ = (UniqueConstraint("need_id", "offer_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    need_id: Mapped[int] = mapped_column(ForeignKey("need.id", ondelete="CASCADE"), index=True)
    offer_id: Mapped[int] = mapped_column(ForeignKey("offer.id", ondelete="CASCADE"), index=True)
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    reason: Mapped[str] = mapped_column(Text)
    score: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    need: Mapped[Need] = relationship()
    offer: Mapped[Offer] = relationship()
    by: Mapped[User] = relationship()

    @classmethod
    def suggest(cls, by: User, need: Need, offer: Offer, reason: str, score: float) -> Pairing:
        """Say that the two belong together.

        Parameters
        ----------
        score : float
            What the engine gives the pair, 0 to 100.

        Raises
        ------
        NotAllowed
            For roles that suggest none, and for a need outside a coordinator's subregion.
        InvalidInput
            Without a reason.
        """
        if not by.active or by.role not in PAIRERS:
            raise NotAllowed("suggest_pairing")
        if by.role in MODERATORS and not by.moderates(need.subregions()):
            raise NotAllowed("suggest_pairing")
        return cls(need=need, offer=offer, by=by, reason=_reason(reason), score=score)


class InvitationStatus(StrEnum):
    """What an invited organisation has made of an invitation."""

    ASKED = "asked"
    WILLING = "willing"
    DECLINED = "declined"


class PilotInvitation(Base):
    """A country or an institution that is invited to a pilot, whether it has posted or not."""

    __tablename__ = "pilot_invitation"
    __table_args__ = (UniqueConstraint("task_force_id", "organisation_id", "theme"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    task_force_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    theme: Mapped[str] = mapped_column(String(64))
    offer_id: Mapped[int | None] = mapped_column(ForeignKey("offer.id", ondelete="SET NULL"))
    message: Mapped[str] = mapped_column(Text)
    status: Mapped[InvitationStatus] = mapped_column(String(10), default=InvitationStatus.ASKED)
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    answer: Mapped[str] = mapped_column(Text, default="")
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    answered_at: Mapped[datetime | None]

    task_force: Mapped[Organisation] = relationship(foreign_keys=[task_force_id])
    organisation: Mapped[Organisation] = relationship(foreign_keys=[organisation_id])
    offer: Mapped[Offer | None] = relationship()
    by: Mapped[User] = relationship(foreign_keys=[by_id])
    answered_by: Mapped[User | None] = relationship(foreign_keys=[answered_by_id])

    def can_be_answered_by(self, user: User) -> bool:
        """Whether the person speaks for the invited organisation."""
        return user.acts_for(self.organisation_id)

    def answer_with(self, by: User, *, willing: bool, message: str) -> None:
        """Accept or decline for the invited organisation.

        Raises
        ------
        NotAllowed
            If the person does not speak for it.
        Conflict
            If it has answered already.
        """
        if not self.can_be_answered_by(by):
            raise NotAllowed("answer_invitation")
        if self.status != InvitationStatus.ASKED:
            raise Conflict("invitation_answered")
        self.status = InvitationStatus.WILLING if willing else InvitationStatus.DECLINED
        self.answer, self.answered_by, self.answered_at = message.strip(), by, utc_now()


class ConflictOfInterest(Base):
    """What a person declares she must not decide on: an organisation or one post, and why.

    It is a hard rule: as long as it stands (``lifted_at`` is empty), every decision of hers that
    concerns it is refused.
    """

    __tablename__ = "conflict_of_interest"
    __table_args__ = (
        CheckConstraint("(organisation_id IS NULL) <> (post_id IS NULL)", name="one_subject"),
        Index("ix_conflict_of_interest_user_id_lifted_at", "user_id", "lifted_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    post_id: Mapped[int | None] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    lifted_at: Mapped[datetime | None]
    lifted_by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))

    user: Mapped[User] = relationship(foreign_keys=[user_id])
    organisation: Mapped[Organisation | None] = relationship()
    post: Mapped[Post | None] = relationship()
    lifted_by: Mapped[User | None] = relationship(foreign_keys=[lifted_by_id])

    @classmethod
    def declare(
        cls, by: User, reason: str, *, organisation: Organisation | None, post: Post | None
    ) -> ConflictOfInterest:
        """Declare that one must not decide on an organisation, or on one post.

        Raises
        ------
        InvalidInput
            Without a reason.
        """
        return cls(user=by, reason=_reason(reason), organisation=organisation, post=post)

    def lift(self, by: User) -> None:
        """Say, as the secretariat, that the conflict no longer stands; nobody lifts her own.

        Raises
        ------
        NotAllowed
            For anybody else, and for one's own.
        Conflict
            If it was lifted already.
        """
        if not by.is_secretariat:
            raise NotAllowed("secretariat_only")
        if by.id == self.user_id:
            raise NotAllowed("lift_own_conflict")
        if self.lifted_at is not None:
            raise Conflict("conflict_lifted")
        self.lifted_at, self.lifted_by = utc_now(), by
