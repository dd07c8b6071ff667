"""Notices: what a person is told, how she wants it by e-mail, and the letters that carry it."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.user import User

MONDAY = 0


class Frequency(StrEnum):
    """How soon a person wants an e-mail about something."""

    AT_ONCE = "at_once"
    DAILY = "daily"
    WEEKLY = "weekly"
    NEVER = "never"

    def next_moment(self, now: datetime, hour: int) -> datetime | None:
        """When what happens ``now`` is to be mailed; None for never.

        Parameters
        ----------
        now : datetime
            In UTC.
        hour : int
            Hour (UTC) at which daily and weekly letters go out; weekly ones on Mondays.
        """
        if self is Frequency.AT_ONCE:
            return now
        if self is Frequency.NEVER:
            return None
        moment = datetime.combine(now.date(), time(hour), tzinfo=now.tzinfo)
        if self is Frequency.WEEKLY:
            moment += timedelta(days=(MONDAY - moment.weekday()) % 7)
        step = timedelta(days=7 if self is Frequency.WEEKLY else 1)
        return moment if moment > now else moment + step


class Notice(Base):
    """What one person is told of one event.

    Attributes
    ----------
    kind : str
        What happened, e.g. ``"interest.received"``; its sentence is made when it is read.
    entity, entity_id
        What it is about.
    path : str
        Where to read on, a path of the site.
    facts : dict
        What the sentence names. Texts in several languages are mappings by language.
    once : str or None
        Names the event where it might be told again, so that it is not.
    due_at : datetime or None
        When it is to be mailed; None where it is not.
    """

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("user_id", "once"),
        Index("ix_notice_user_id_read_at", "user_id", "read_at"),
        Index("ix_notice_due_at", "due_at"),
        Index("ix_notice_created_at", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    kind: Mapped[str] = mapped_column(String(40))
    entity: Mapped[str] = mapped_column(String(20))
    entity_id: Mapped[int]
    path: Mapped[str] = mapped_column(String(200), default="")
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    once: Mapped[str | None] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    read_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    letter_id: Mapped[int | None] = mapped_column(ForeignKey("letter.id"), index=True)

    user: Mapped[User] = relationship()
    letter: Mapped[Letter | None] = relationship(back_populates="notices")

    @property
    def is_unread(self) -> bool:
        """Whether the person has not marked it as read."""
        return self.read_at is None


class Letter(Base):
    """An e-mail to one person with what is due for her; kept until it was sent.

    Attributes
    ----------
    next_at : datetime or None
        When to try next; None once it was sent or given up.
    problem : str
        What the mail server said at the last attempt; empty if it took the letter.
    """

    __tablename__ = "letter"
    __table_args__ = (Index("ix_letter_next_at", "next_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    next_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(Text, default="")

    user: Mapped[User] = relationship()
    notices: Mapped[list[Notice]] = relationship(back_populates="letter", order_by=Notice.id)

    def close_sent(self, now: datetime) -> None:
        """The mail server has taken it."""
        self.sent_at, self.next_at, self.problem = now, None, ""

    def put_off(self, until: datetime, problem: str) -> None:
        """It is tried again later."""
        self.next_at, self.problem = until, problem

    def give_up(self, problem: str = "") -> None:
        """It is not tried again; without a problem it had nothing left to say."""
        self.next_at, self.problem = None, problem


class MailChoice(Base):
    """How soon a person wants e-mail about one topic, where she has chosen."""

    __tablename__ = "mail_choice"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    topic: Mapped[str] = mapped_column(String(20), primary_key=True)
    frequency: Mapped[str] = mapped_column(String(10))


class SavedSearch(Base):
    """A list with its filters that a person keeps by name, and how soon she hears of what is new.

    Attributes
    ----------
    listing : str
        Which list, e.g. ``"needs"``.
    filters : dict
        What it is narrowed to; only what differs from the whole list.
    """

    __tablename__ = "saved_search"
    __table_args__ = (
        UniqueConstraint("user_id", "name"),
        Index("ix_saved_search_listing", "listing"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    name: Mapped[str] = mapped_column(String(80))
    listing: Mapped[str] = mapped_column(String(20))
    filters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    frequency: Mapped[str] = mapped_column(String(10), default=Frequency.DAILY)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    user: Mapped[User] = relationship()
