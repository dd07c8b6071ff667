"""Clearing rounds: who would get what, asked of both sides, and kept so that it can be replayed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint, event
from sqlalchemy.orm import Mapped, Mapper, mapped_column, object_session, relationship

from models.base import Base, utc_now
from models.errors import Conflict, InvalidInput, NotAllowed
from models.life import Life
from models.match import side_between
from models.post import Need, Offer
from models.user import MODERATORS, Role, User


class RoundStatus(StrEnum):
    """Where a clearing round is in its life."""

    OPEN = "open"
    SENT = "sent"
    CLOSED = "closed"
    CANCELLED = "cancelled"


_R = RoundStatus

ROUND_LIFE: Life[RoundStatus] = Life(
    "round",
    {
        _R.OPEN: (_R.SENT, _R.CANCELLED),
        _R.SENT: (_R.CLOSED, _R.CANCELLED),
    },
)

FORCED, FORBIDDEN = "forced", "forbidden"


class ClearingRound(Base):
    """One attempt to share out what is offered among what is asked for.

    Attributes
    ----------
    policy
        ``"total"``, ``"stable"`` or ``"fair"``; what each means is the engine's to say.
    scope
        Facet → the code that posts must have to take part; empty for the whole exchange.
    floors
        ``"small_island"``, ``"least_developed"`` → least places that these countries get together.
    """

    __tablename__ = "clearing_round"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    status: Mapped[RoundStatus] = mapped_column(String(10), default=RoundStatus.OPEN, index=True)
    policy: Mapped[str] = mapped_column(String(8))
    scope: Mapped[dict[str, Any]] = mapped_column(default=dict)
    floors: Mapped[dict[str, Any]] = mapped_column(default=dict)
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    revision: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)
    sent_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    by: Mapped[User] = relationship()
    rules: Mapped[list[RoundRule]] = relationship(
        back_populates="round", cascade="all, delete-orphan", order_by="RoundRule.id"
    )
    versions: Mapped[list[RoundVersion]] = relationship(
        back_populates="round", order_by="RoundVersion.number", passive_deletes="all"
    )
    proposals: Mapped[list[RoundProposal]] = relationship(
        back_populates="round", cascade="all, delete-orphan", order_by="RoundProposal.id"
    )

    __mapper_args__ = {"version_id_col": revision}

    @property
    def latest(self) -> RoundVersion | None:
        """The version that counts: the last one."""
        return self.versions[-1] if self.versions else None

    @property
    def is_running(self) -> bool:
        """Whether the round may still change: it is open, or its proposals are with the parties."""
        return self.status in (RoundStatus.OPEN, RoundStatus.SENT)

    def can_be_seen_by(self, user: User) -> bool:
        """Whether the person may look at it: the secretariat at all rounds.

        A coordinator looks at those of her subregion, and at those of the whole exchange.
        """
        own = self.scope.get("subregion") in (None, user.subregion)
        return user.active and (user.is_secretariat or (user.role in MODERATORS and own))

    def require_running(self) -> None:
        """Raise :class:`models.errors.Conflict` once the round is closed or cancelled."""
        if not self.is_running:
            raise Conflict("round_ended", name=self.name)

    def set_rule(self, kind: str, need: Need, offer: Offer, reason: str, by: User) -> RoundRule:
        """Require or rule out a pair, with the reason; a pair has one rule.

        Raises
        ------
        InvalidInput
            Without a reason.
        Conflict
            If the pair has a rule already, or the round has ended.
        """
        self.require_running()
        if not reason.strip():
            raise InvalidInput({"reason": [("required", {})]})
        for rule in self.rules:
            if (rule.need_id, rule.offer_id) == (need.id, offer.id):
                raise Conflict("rule_exists", need=need.reference, offer=offer.reference)
        made = RoundRule(kind=kind, need=need, offer=offer, reason=reason.strip(), by=by)
        self.rules.append(made)
        return made

    def keep(
        self, given: dict[str, Any], result: dict[str, Any], digests: tuple[str, str], by: User
    ) -> RoundVersion:
        """Add a version: what was cleared, and what came of it."""
        self.require_running()
        version = RoundVersion(
            number=len(self.versions) + 1,
            given=given,
            result=result,
            given_digest=digests[0],
            result_digest=digests[1],
            by=by,
        )
        self.versions.append(version)
        self.updated_at = utc_now()
        return version

    def send(self) -> None:
        """Let the parties see the proposals.

        Raises
        ------
        Conflict
            If nothing has been cleared yet.
        """
        if self.latest is None:
            raise Conflict("round_not_cleared", name=self.name)
        self.status = ROUND_LIFE.check(RoundStatus(self.status), RoundStatus.SENT)
        self.sent_at = utc_now()

    def end(self, status: RoundStatus) -> None:
        """Close or cancel the round; proposals that still wait lapse, accepted ones stay."""
        self.status = ROUND_LIFE.check(RoundStatus(self.status), status)
        self.ended_at = utc_now()
        for proposal in self.proposals:
            proposal.lapse()


class RoundRule(Base):
    """A pair that a round requires or rules out, and why."""

    __tablename__ = "round_rule"
    __table_args__ = (
        UniqueConstraint("round_id", "need_id", "offer_id"),
        CheckConstraint("kind IN ('forced', 'forbidden')", name="kind_known"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("clearing_round.id", ondelete="CASCADE"))
    need_id: Mapped[int] = mapped_column(ForeignKey("need.id"), index=True)
    offer_id: Mapped[int] = mapped_column(ForeignKey("offer.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(Text)
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    round: Mapped[ClearingRound] = relationship(back_populates="rules")
    need: Mapped[Need] = relationship()
    offer: Mapped[Offer] = relationship()
    by: Mapped[User] = relationship()


class RoundVersion(Base):
    """A clearing as it was worked out; never changed.

    ``given`` is all that the result depends on, so that the same program gives the same
    ``result`` again: the digests (SHA-256, hex) show it.
    """

    __tablename__ = "round_version"
    __table_args__ = (UniqueConstraint("round_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("clearing_round.id"))
    number: Mapped[int]
    given: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any]]
    given_digest: Mapped[str] = mapped_column(String(64))
    result_digest: Mapped[str] = mapped_column(String(64))
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    round: Mapped[ClearingRound] = relationship(back_populates="versions")
    by: Mapped[User] = relationship()


@event.listens_for(RoundVersion, "before_update")
def _refuse_change(
    _mapper: Mapper[RoundVersion], _connection: object, target: RoundVersion
) -> None:
    # The database refuses it too, by trigger (see the migrations): this names the version.
    session = object_session(target)
    if session is not None and session.is_modified(target, include_collections=False):
        raise Conflict("round_version_is_final", number=target.number)


class ProposalStatus(StrEnum):
    """What both sides have made of a proposal."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    LAPSED = "lapsed"


_S = ProposalStatus

PROPOSAL_LIFE: Life[ProposalStatus] = Life(
    "proposal", {_S.WAITING: (_S.ACCEPTED, _S.DECLINED, _S.LAPSED)}
)


class RoundProposal(Base):
    """A pair that a round proposes to both sides.

    Attributes
    ----------
    parts
        Kind of support → places.
    money, currency
        The grant that is proposed, in the offer's currency; None where it is places alone.
    need_money, need_currency, rate, rate_date, rate_source
        What that comes to in the need's currency, and how; no rate where the two are the same.
    number
        The version of the round that first proposed it.
    """

    __tablename__ = "round_proposal"
    __table_args__ = (
        UniqueConstraint("round_id", "need_id", "offer_id"),
        CheckConstraint(
            "places >= 0 AND (places > 0 OR (money IS NOT NULL AND money > 0))",
            name="gives_something",
        ),
        CheckConstraint(
            "money IS NULL OR (money >= 0 AND currency IS NOT NULL)", name="money_has_currency"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("clearing_round.id", ondelete="CASCADE"))
    need_id: Mapped[int] = mapped_column(ForeignKey("need.id"), index=True)
    offer_id: Mapped[int] = mapped_column(ForeignKey("offer.id"), index=True)
    number: Mapped[int]
    parts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    places: Mapped[int]
    money: Mapped[Decimal | None]
    currency: Mapped[str | None] = mapped_column(String(3))
    need_money: Mapped[Decimal | None]
    need_currency: Mapped[str | None] = mapped_column(String(3))
    rate: Mapped[float | None]
    rate_date: Mapped[date | None]
    rate_source: Mapped[str] = mapped_column(Text, default="", server_default="")
    score: Mapped[float]
    status: Mapped[ProposalStatus] = mapped_column(
        String(10), default=ProposalStatus.WAITING, index=True
    )
    revision: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)

    round: Mapped[ClearingRound] = relationship(back_populates="proposals")
    need: Mapped[Need] = relationship()
    offer: Mapped[Offer] = relationship()
    answers: Mapped[list[ProposalAnswer]] = relationship(
        back_populates="proposal", cascade="all, delete-orphan", order_by="ProposalAnswer.id"
    )

    __mapper_args__ = {"version_id_col": revision}

    def answer_of(self, side: str) -> ProposalAnswer | None:
        """What a side has said, if it has."""
        return next((answer for answer in self.answers if answer.side == side), None)

    def side_of(self, user: User) -> str | None:
        """``"need"`` or ``"offer"``: the side for which the person acts; None for neither."""
        return side_between(self.need, self.offer, user)

    def waits_for(self, user: User) -> bool:
        """Whether the person's side has still to answer."""
        side = self.side_of(user)
        return self.status == _S.WAITING and side is not None and self.answer_of(side) is None

    def answer(self, by: User, accept: bool, reason: str | None, note: str) -> ProposalAnswer:
        """Accept or decline for one side; it is accepted once both have, declined once one has.

        Raises
        ------
        NotAllowed
            If the person acts for neither side.
        Conflict
            If the proposal no longer waits, that side has answered, or a post has left the
            exchange meanwhile.
        InvalidInput
            If a refusal gives no reason.
        """
        side = self.side_of(by)
        if side is None:
            raise NotAllowed("match_side")
        if self.status != _S.WAITING:
            raise Conflict("proposal_not_waiting", status=str(self.status))
        if self.answer_of(side) is not None:
            raise Conflict("proposal_answered")
        if accept and not self.need.is_live:
            raise Conflict("need_not_live", reference=self.need.reference)
        if accept and not self.offer.is_live:
            raise Conflict("offer_not_live", reference=self.offer.reference)
        if not accept and not reason:
            raise InvalidInput({"reason": [("required", {})]})
        said = ProposalAnswer(side=side, accept=accept, reason=reason, note=note.strip(), by=by)
        self.answers.append(said)
        # Both sides may answer at one moment: the revision lets one of them look again.
        self.updated_at = utc_now()
        if not accept:
            self.move_to(_S.DECLINED)
        elif len(self.answers) == 2:
            self.move_to(_S.ACCEPTED)
        return said

    def lapse(self) -> bool:
        """Take back a proposal that still waits; tell whether it did."""
        if self.status == _S.WAITING:
            self.move_to(_S.LAPSED)
            return True
        return False

    def move_to(self, status: ProposalStatus) -> None:
        """Go on to ``status``; raises :class:`models.errors.InvalidTransition`."""
        self.status = PROPOSAL_LIFE.check(ProposalStatus(self.status), status)


class ProposalAnswer(Base):
    """What one side said to a proposal, and why."""

    __tablename__ = "proposal_answer"
    __table_args__ = (UniqueConstraint("proposal_id", "side"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    proposal_id: Mapped[int] = mapped_column(ForeignKey("round_proposal.id", ondelete="CASCADE"))
    side: Mapped[str] = mapped_column(String(5))
    accept: Mapped[bool]
    reason: Mapped[str | None] = mapped_column(String(32))
    note: Mapped[str] = mapped_column(Text, default="")
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    proposal: Mapped[RoundProposal] = relationship(back_populates="answers")
    by: Mapped[User] = relationship()


class PoolStatus(StrEnum):
    """Whether the countries want their like needs to be one."""

    ASKED = "asked"
    AGREED = "agreed"
    REFUSED = "refused"


class NeedPool(Base):
    """Like needs of several countries of a subregion that might become one regional need.

    It counts only once every country has consented; then ``need`` is the draft that the
    subregion's coordinator completes.
    """

    __tablename__ = "need_pool"

    id: Mapped[int] = mapped_column(primary_key=True)
    subregion: Mapped[str] = mapped_column(String(32))
    likeness: Mapped[float]
    status: Mapped[PoolStatus] = mapped_column(String(8), default=PoolStatus.ASKED, index=True)
    need_id: Mapped[int | None] = mapped_column(ForeignKey("need.id"), index=True)
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    revision: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)

    by: Mapped[User] = relationship()
    need: Mapped[Need | None] = relationship()
    members: Mapped[list[PoolMember]] = relationship(
        back_populates="pool", cascade="all, delete-orphan", order_by="PoolMember.id"
    )

    __mapper_args__ = {"version_id_col": revision}

    @classmethod
    def ask(cls, needs: Iterable[Need], subregion: str, likeness: float, by: User) -> NeedPool:
        """Ask the countries of ``needs`` whether they may be one.

        Raises
        ------
        NotAllowed
            For anybody but the secretariat, the subregion's coordinator and a task force.
        """
        asks = by.role == Role.TASK_FORCE or by.moderates(frozenset({subregion}))
        if not (by.active and asks):
            raise NotAllowed("ask_pool")
        members = [PoolMember(need=need) for need in needs]
        return cls(
            subregion=subregion,
            likeness=likeness,
            status=PoolStatus.ASKED,
            by=by,
            members=members,
        )

    def members_of(self, user: User) -> list[PoolMember]:
        """The needs for which the person may answer."""
        return [member for member in self.members if member.need.can_be_edited_by(user)]

    def answer(self, by: User, consent: bool, note: str) -> None:
        """Consent or refuse for one's own country; agreed once all consent, refused once one does not.

        Raises
        ------
        NotAllowed
            If none of the needs is the person's.
        Conflict
            If the question is settled, one's answer is given, or a need has left the exchange.
        """
        own = self.members_of(by)
        if not own:
            raise NotAllowed("pool_member")
        if self.status != PoolStatus.ASKED or all(m.consent is not None for m in own):
            raise Conflict("pool_settled")
        for member in self.members:
            if consent and not member.need.is_live:
                raise Conflict("need_not_live", reference=member.need.reference)
        for member in own:
            member.consent, member.note, member.by = consent, note.strip(), by
            member.answered_at = utc_now()
        self.updated_at = utc_now()
        if not consent:
            self.status = PoolStatus.REFUSED
        elif all(member.consent for member in self.members):
            self.status = PoolStatus.AGREED


class PoolMember(Base):
    """A need of a pool, and its country's answer."""

    __tablename__ = "pool_member"
    __table_args__ = (UniqueConstraint("pool_id", "need_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    pool_id: Mapped[int] = mapped_column(ForeignKey("need_pool.id", ondelete="CASCADE"))
    need_id: Mapped[int] = mapped_column(ForeignKey("need.id"), index=True)
    consent: Mapped[bool | None]
    note: Mapped[str] = mapped_column(Text, default="")
    by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    answered_at: Mapped[datetime | None]

    pool: Mapped[NeedPool] = relationship(back_populates="members")
    need: Mapped[Need] = relationship()
    by: Mapped[User | None] = relationship()
