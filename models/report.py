"""What reports rest on and what they become: how near unmet needs came, and published bulletins."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.match import MatchRun
from models.post import Need, Offer
from models.user import User


class NearestOffer(Base):
    """How near a need that nobody met came to a match in a run: the best offer that breaks no rule.

    ``missing`` holds what was missing, as data: ``changes`` that would have raised the score most,
    or, where every offer breaks a rule, ``rules`` with the number of offers that each excludes.
    """

    __tablename__ = "nearest_offer"
    __table_args__ = (Index("ix_nearest_offer_run_score", "run_id", "score"),)

    run_id: Mapped[int] = mapped_column(
        ForeignKey("match_run.id", ondelete="CASCADE"), primary_key=True
    )
    need_id: Mapped[int] = mapped_column(ForeignKey("need.id"), primary_key=True)
    offer_id: Mapped[int | None] = mapped_column(ForeignKey("offer.id"))
    score: Mapped[float | None]
    missing: Mapped[dict[str, Any]] = mapped_column(default=dict)

    run: Mapped[MatchRun] = relationship()
    need: Mapped[Need] = relationship()
    offer: Mapped[Offer | None] = relationship()


class Bulletin(Base):
    """A half-yearly bulletin as it was published: it is never changed.

    ``content`` maps each language to the bulletin's parts in that language.
    """

    __tablename__ = "bulletin"
    __table_args__ = (
        UniqueConstraint("starts", "ends"),
        CheckConstraint("starts <= ends", name="period_in_order"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    starts: Mapped[date]
    ends: Mapped[date]
    run_id: Mapped[int | None] = mapped_column(ForeignKey("match_run.id"))
    content: Mapped[dict[str, Any]]
    published_at: Mapped[datetime] = mapped_column(default=utc_now)
    by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))

    run: Mapped[MatchRun | None] = relationship()
    by: Mapped[User | None] = relationship()

    @property
    def reference(self) -> str:
        """Year and half, e.g. ``2026-1``."""
        return f"{self.starts.year}-{1 if self.starts.month <= 6 else 2}"
