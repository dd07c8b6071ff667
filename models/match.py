"""Matches: scored pairs of a run, and the life of a pair in which somebody took an interest."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.errors import Conflict, InvalidTransition, NotAllowed
from models.life import Life
from models.post import Need, Offer, Post
from models.user import User


class MatchRun(Base):
    """One run over the whole book: everything that is needed to repeat and to compare it.

    ``need_ids`` and ``offer_ids`` are the posts that took part, also those that matched nothing.
    """

    __tablename__ = "match_run"

    id: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]
    on: Mapped[date]
    by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    engine_version: Mapped[str] = mapped_column(String(40))
    text_version: Mapped[str] = mapped_column(String(120))
    weights: Mapped[dict[str, Any]]
    input_digest: Mapped[str] = mapped_column(String(64))
    result_digest: Mapped[str] = mapped_column(String(64), default="")
    needs: Mapped[int] = mapped_column(default=0)
    offers: Mapped[int] = mapped_column(default=0)
    eligible_pairs: Mapped[int] = mapped_column(default=0)
    matches: Mapped[int] = mapped_column(default=0)
    unmet_needs: Mapped[int] = mapped_column(default=0)
    unused_offers: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    need_ids: Mapped[list[int]] = mapped_column(default=list)
    offer_ids: Mapped[list[int]] = mapped_column(default=list)

    by: Mapped[User | None] = relationship()
    pairs: Mapped[list[RunPair]] = relationship(
        back_populates="run", cascade="all, delete-orphan", passive_deletes=True
    )


class RunPair(Base):
    """A match of a run: a need, an offer, their score and the offer's rank for the need."""

    __tablename__ = "run_pair"
    __table_args__ = (
        Index("ix_run_pair_run_need", "run_id", "need_id", "rank"),
        Index("ix_run_pair_run_offer", "run_id", "offer_id"),
        Index("ix_run_pair_run_score", "run_id", "score"),
    )

    run_id: Mapped[int] = mapped_column(
        ForeignKey("match_run.id", ondelete="CASCADE"), primary_key=True
    )
    need_id: Mapped[int] = mapped_column(ForeignKey("post.id"), primary_key=True)
    offer_id: Mapped[int] = mapped_column(ForeignKey("post.id"), primary_key=True)
    rank: Mapped[int]
    score: Mapped[float]
    band: Mapped[str] = mapped_column(String(10))
    reason: Mapped[dict[str, Any]] = mapped_column(default=dict)

    run: Mapped[MatchRun] = relationship(back_populates="pairs")
    need: Mapped[Need] = relationship(foreign_keys=[need_id])
    offer: Mapped[Offer] = relationship(foreign_keys=[offer_id])


class MatchStatus(StrEnum):
    """Where a pair stands between the two sides."""

    SUGGESTED = "suggested"
    INTEREST = "interest"
    MUTUAL = "mutual"
    AGREEMENT = "agreement"
    DECLINED = "declined"
    DISMISSED = "dismissed"


_M = MatchStatus

MATCH_LIFE: Life[MatchStatus] = Life(
    "match",
    {
        _M.SUGGESTED: (_M.INTEREST, _M.DISMISSED),
        _M.INTEREST: (_M.MUTUAL, _M.DECLINED, _M.DISMISSED, _M.SUGGESTED),
        _M.MUTUAL: (_M.AGREEMENT, _M.DISMISSED),
        # An agreement that ends leaves the two sides free to try again.
        _M.AGREEMENT: (_M.MUTUAL,),
        _M.DECLINED: (_M.INTEREST, _M.SUGGESTED),
        _M.DISMISSED: (_M.SUGGESTED, _M.INTEREST),
    },
)


def side_between(need: Need, offer: Offer, user: User) -> str | None:
    """``"need"`` or ``"offer"``: the side of the pair for which the person acts; None for neither."""
    if need.can_be_edited_by(user):
        return "need"
    return "offer" if offer.can_be_edited_by(user) else None


class Match(Base):
    """A pair with a life: somebody was interested in it or dismissed it."""

    __tablename__ = "match"
    __table_args__ = (UniqueConstraint("need_id", "offer_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    need_id: Mapped[int] = mapped_column(ForeignKey("need.id"), index=True)
    offer_id: Mapped[int] = mapped_column(ForeignKey("offer.id"), index=True)
    status: Mapped[MatchStatus] = mapped_column(String(12), default=MatchStatus.SUGGESTED)
    score: Mapped[float | None]
    revision: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)

    need: Mapped[Need] = relationship()
    offer: Mapped[Offer] = relationship()
    interests: Mapped[list[Interest]] = relationship(
        back_populates="match", cascade="all, delete-orphan", order_by="Interest.id"
    )
    dismissals: Mapped[list[Dismissal]] = relationship(
        back_populates="match", cascade="all, delete-orphan", order_by="Dismissal.id"
    )

    __mapper_args__ = {"version_id_col": revision}

    def side_of(self, user: User) -> str | None:
        """``"need"`` or ``"offer"``: the side for which the person acts; None for neither."""
        return side_between(self.need, self.offer, user)

    def move_to(self, status: MatchStatus) -> None:
        """Go on to ``status``; raises :class:`models.errors.InvalidTransition`."""
        self.status = MATCH_LIFE.check(MatchStatus(self.status), status)

    def open_interest(self) -> Interest | None:
        """The interest that waits for an answer, if there is one."""
        if self.status != MatchStatus.INTEREST:
            return None
        return next((i for i in reversed(self.interests) if i.answer is None), None)

    def standing_interest(self) -> Interest | None:
        """The latest interest that was not declined, if one stands."""
        if self.status not in (MatchStatus.INTEREST, MatchStatus.MUTUAL):
            return None
        return next((i for i in reversed(self.interests) if i.answer != "declined"), None)

    def express_interest(
        self,
        by: User,
        message: str,
        share: int | None,
        *,
        places: int | None = None,
        money: Decimal | None = None,
    ) -> Interest:
        """Say for one side that it wants this match.

        Parameters
        ----------
        share : int or None
            Per cent of the need that the match would cover; None where nobody has said.
        places, money : optional
            What of the offer it would take, the money in the offer's currency.

        Raises
        ------
        NotAllowed
            If the person acts for neither side.
        Conflict
            If an interest already waits for an answer.
        """
        side = self.require_side(by)
        if self.open_interest() is not None or self.status in (_M.MUTUAL, _M.AGREEMENT):
            raise Conflict("interest_exists", status=str(self.status))
        self.move_to(MatchStatus.INTEREST)
        interest = Interest(
            side=side,
            by=by,
            message=message.strip(),
            share=share,
            places=places,
            money=money,
            currency=self.offer.currency if money is not None else None,
        )
        self.interests.append(interest)
        return interest

    def answer(self, by: User, accept: bool, message: str, reason: str | None = None) -> Interest:
        """Answer, for the other side, the interest that waits.

        Raises
        ------
        NotAllowed
            If the person does not act for the side that was asked.
        Conflict
            If no interest waits for an answer.
        """
        interest = self.open_interest()
        if interest is None:
            raise Conflict("no_open_interest", status=str(self.status))
        if self.require_side(by) == interest.side:
            raise NotAllowed("answer_own_interest")
        self.move_to(MatchStatus.MUTUAL if accept else MatchStatus.DECLINED)
        interest.close(by, accept, message, reason)
        return interest

    def join(self, first: User, second: User, message: str = "") -> None:
        """Make the match mutual: both sides have accepted what a clearing round proposed.

        Parameters
        ----------
        first, second : User
            Who accepted for either side, in the order in which they did. An interest that waits is
            answered by it.
        """
        if self.status in (MatchStatus.MUTUAL, MatchStatus.AGREEMENT):
            return
        waiting = self.open_interest() or self.express_interest(first, message, None)
        other = second if self.require_side(first) == waiting.side else first
        self.answer(other, True, message)

    def dismiss(self, by: User, reason: str, note: str) -> Dismissal:
        """Take the match out of one side's list, with the reason, until either post changes.

        An interest of the other side that waits for an answer is declined by it.
        """
        side, waiting = self.require_side(by), self.open_interest()
        self.move_to(MatchStatus.DISMISSED)
        if waiting is not None and waiting.side != side:
            waiting.close(by, False, note, reason)
        dismissal = Dismissal(
            side=side,
            by=by,
            reason=reason,
            note=note.strip(),
            need_version=self.need.version,
            offer_version=self.offer.version,
        )
        self.dismissals.append(dismissal)
        return dismissal

    def restore(self, by: User) -> None:
        """Undo a dismissal or a decline: the match is suggested again.

        Raises
        ------
        InvalidTransition
            If the match is neither dismissed nor declined.
        """
        self.require_side(by)
        if self.status not in (MatchStatus.DISMISSED, MatchStatus.DECLINED):
            raise InvalidTransition(
                "match_transition", now=str(self.status), then="suggested", possible=[]
            )
        self.move_to(MatchStatus.SUGGESTED)

    def is_dismissed(self) -> bool:
        """Whether a dismissal holds: neither post has changed since."""
        if self.status != MatchStatus.DISMISSED or not self.dismissals:
            return False
        last = self.dismissals[-1]
        return last.need_version == self.need.version and last.offer_version == self.offer.version

    def require_side(self, by: User) -> str:
        side = self.side_of(by)
        if side is None:
            raise NotAllowed("match_side")
        return side


class Interest(Base):
    """A side's word that it wants a match, and the other side's answer."""

    __tablename__ = "interest"
    __table_args__ = (
        CheckConstraint("share IS NULL OR share BETWEEN 1 AND 100", name="share_range"),
        CheckConstraint("places IS NULL OR places > 0", name="places_positive"),
        CheckConstraint("money IS NULL OR money > 0", name="money_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    match_id: Mapped[int] = mapped_column(ForeignKey("match.id", ondelete="CASCADE"), index=True)
    side: Mapped[str] = mapped_column(String(5))
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    message: Mapped[str] = mapped_column(Text, default="")
    share: Mapped[int | None]
    places: Mapped[int | None]
    money: Mapped[Decimal | None]
    currency: Mapped[str | None] = mapped_column(String(3))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    answer: Mapped[str | None] = mapped_column(String(8))
    answer_reason: Mapped[str | None] = mapped_column(String(32))
    answer_message: Mapped[str] = mapped_column(Text, default="")
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    answered_at: Mapped[datetime | None]

    match: Mapped[Match] = relationship(back_populates="interests")
    by: Mapped[User] = relationship(foreign_keys=[by_id])
    answered_by: Mapped[User | None] = relationship(foreign_keys=[answered_by_id])

    def close(self, by: User, accept: bool, message: str, reason: str | None) -> None:
        """Keep the answer, with who gave it, when and why."""
        self.answer = "accepted" if accept else "declined"
        self.answer_message = message.strip()
        self.answer_reason = reason
        self.answered_by = by
        self.answered_at = utc_now()


class Dismissal(Base):
    """A side's word that a match is not for it, and why; the reasons feed the weights."""

    __tablename__ = "dismissal"

    id: Mapped[int] = mapped_column(primary_key=True)
    match_id: Mapped[int] = mapped_column(ForeignKey("match.id", ondelete="CASCADE"), index=True)
    side: Mapped[str] = mapped_column(String(5))
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    reason: Mapped[str] = mapped_column(String(32))
    note: Mapped[str] = mapped_column(Text, default="")
    need_version: Mapped[int]
    offer_version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    match: Mapped[Match] = relationship(back_populates="dismissals")
    by: Mapped[User] = relationship()


__all__ = [
    "MATCH_LIFE",
    "Dismissal",
    "Interest",
    "Match",
    "MatchRun",
    "MatchStatus",
    "Post",
    "RunPair",
    "side_between",
]
