"""Reminders: what the exchange said to those who have not answered."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.user import User


class ReminderKind(StrEnum):
    """Why a reminder went out: the clock's first one, its escalation, or somebody's click."""

    FIRST = "first"
    ESCALATION = "escalation"
    BY_HAND = "by_hand"


class Reminder(Base):
    """A reminder about one matter that waits for an answer; at most one a day.

    Attributes
    ----------
    matter, matter_id
        What waits: ``"interest"``, ``"invitation"``, ``"proposal"``, ``"pool"``, ``"agreement"`` or
        ``"post"``, and its number.
    people : int
        How many people were reminded.
    """

    __tablename__ = "reminder"
    __table_args__ = (UniqueConstraint("matter", "matter_id", "day"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    matter: Mapped[str] = mapped_column(String(12))
    matter_id: Mapped[int]
    day: Mapped[date]
    kind: Mapped[str] = mapped_column(String(12))
    people: Mapped[int] = mapped_column(default=0)
    by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    by: Mapped[User | None] = relationship()
