"""Webhooks: who is told of what happens on the exchange, and how each delivery went."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.organisation import Organisation
from models.user import User

OVERLAP = timedelta(hours=24)
"""For how long messages are signed with the old secret too, once it was renewed."""

MOST_FAILURES = 20
"""Attempts in a row that may fail before a webhook is switched off."""


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class Webhook(Base):
    """An address that is told of events, for one organisation.

    The secret that signs is never stored: it is made from the installation's key, the webhook's
    number and ``generation``, which grows when the secret is renewed.
    """

    __tablename__ = "webhook"

    id: Mapped[int] = mapped_column(primary_key=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    url: Mapped[str] = mapped_column(String(500))
    events: Mapped[list[str]] = mapped_column(default=list)
    generation: Mapped[int] = mapped_column(default=1)
    renewed_at: Mapped[datetime | None]
    active: Mapped[bool] = mapped_column(default=True)
    failures: Mapped[int] = mapped_column(default=0)
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    organisation: Mapped[Organisation] = relationship()
    user: Mapped[User] = relationship()
    deliveries: Mapped[list[WebhookDelivery]] = relationship(
        back_populates="webhook", cascade="all, delete-orphan", passive_deletes=True
    )

    def generations(self, now: datetime) -> list[int]:
        """The generations of the secret that sign now; the newest first."""
        if self.generation > 1 and self.renewed_at and now - self.renewed_at < OVERLAP:
            return [self.generation, self.generation - 1]
        return [self.generation]

    def can_be_managed_by(self, user: User) -> bool:
        """Whether the person may change it: anybody of its organisation."""
        return user.active and user.organisation_id == self.organisation_id

    def note(self, delivered: bool, now: datetime) -> bool:
        """Count an attempt; tell whether the webhook has just been switched off by it."""
        self.failures = 0 if delivered else self.failures + 1
        if self.active and self.failures >= MOST_FAILURES:
            self.active, self.disabled_at = False, now
            return True
        return False


class WebhookDelivery(Base):
    """One message to one address: what it says, and what came of its attempts.

    ``message_id`` names the audit event that it tells of, so that none is told twice.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("webhook_id", "message_id"),
        Index("ix_webhook_delivery_due", "status", "next_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    message_id: Mapped[str] = mapped_column(String(64))
    event: Mapped[str] = mapped_column(String(40))
    payload: Mapped[str] = mapped_column(Text)
    status: Mapped[DeliveryStatus] = mapped_column(String(10), default=DeliveryStatus.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime] = mapped_column(default=utc_now)
    answer: Mapped[int | None]
    problem: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    delivered_at: Mapped[datetime | None]

    webhook: Mapped[Webhook] = relationship(back_populates="deliveries")
