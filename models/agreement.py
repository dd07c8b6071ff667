"""Agreements: terms negotiated as versions, signed by every party, followed by milestones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    event,
    false,
    true,
)
from sqlalchemy.orm import Mapped, Mapper, mapped_column, object_session, relationship

from models.base import Base, utc_now
from models.errors import Conflict, InvalidInput, NotAllowed
from models.life import Life
from models.match import Match
from models.organisation import Organisation
from models.post import Need, Offer
from models.progress import share_of_way
from models.user import User


class AgreementStatus(StrEnum):
    """Where an agreement is in its life (DESIGN: lives)."""

    PROPOSED = "proposed"
    NEGOTIATED = "negotiated"
    SIGNED = "signed"
    ACTIVE = "active"
    COMPLETED = "completed"
    TERMINATED = "terminated"
    ABANDONED = "abandoned"


_A = AgreementStatus

AGREEMENT_LIFE: Life[AgreementStatus] = Life(
    "agreement",
    {
        _A.PROPOSED: (_A.NEGOTIATED, _A.ABANDONED),
        _A.NEGOTIATED: (_A.PROPOSED, _A.SIGNED, _A.ABANDONED),
        _A.SIGNED: (_A.ACTIVE, _A.TERMINATED),
        _A.ACTIVE: (_A.COMPLETED, _A.TERMINATED),
    },
)

OPEN_TERMS = frozenset({_A.PROPOSED, _A.NEGOTIATED})
"""Statuses in which terms may still change."""

IN_FORCE = frozenset({_A.SIGNED, _A.ACTIVE})
"""Statuses in which capacity is committed and milestones are followed."""

COVERING = IN_FORCE | {_A.COMPLETED}
"""Statuses in which an agreement covers what it is about."""

PUBLICLY_REGISTERED = IN_FORCE | {_A.COMPLETED, _A.TERMINATED}
"""Statuses of the public register: what was signed stays known, however it ended."""


class AgreementKind(StrEnum):
    """What an agreement is: cooperation, or a voluntary one between public and private parties.

    Panama's cleaner production action plan counts the voluntary ones.
    """

    COOPERATION = "cooperation"
    VOLUNTARY = "voluntary"


JOINING_ROLES = ("donor", "partner")
"""Roles of parties beside the asking and the giving side: who pays, and who takes part."""


class Agreement(Base):
    """What a need's side and an offer's side agree on."""

    __tablename__ = "agreement"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(String(32), unique=True)
    match_id: Mapped[int | None] = mapped_column(ForeignKey("match.id"), index=True)
    need_id: Mapped[int] = mapped_column(ForeignKey("need.id"), index=True)
    offer_id: Mapped[int] = mapped_column(ForeignKey("offer.id"), index=True)
    kind: Mapped[AgreementKind] = mapped_column(
        String(12),
        default=AgreementKind.COOPERATION,
        server_default=AgreementKind.COOPERATION.value,
        index=True,
    )
    status: Mapped[AgreementStatus] = mapped_column(
        String(12), default=AgreementStatus.PROPOSED, index=True
    )
    revision: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)
    signed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    closing_report: Mapped[str] = mapped_column(Text, default="")

    match: Mapped[Match | None] = relationship()
    need: Mapped[Need] = relationship()
    offer: Mapped[Offer] = relationship()
    parties: Mapped[list[AgreementParty]] = relationship(
        back_populates="agreement", cascade="all, delete-orphan", order_by="AgreementParty.id"
    )
    terms: Mapped[list[AgreementTerms]] = relationship(
        back_populates="agreement", cascade="all, delete-orphan", order_by="AgreementTerms.number"
    )
    milestones: Mapped[list[Milestone]] = relationship(
        back_populates="agreement", cascade="all, delete-orphan", order_by="Milestone.due"
    )
    indicators: Mapped[list[Indicator]] = relationship(
        back_populates="agreement", cascade="all, delete-orphan", order_by="Indicator.id"
    )
    commitments: Mapped[list[Commitment]] = relationship(
        back_populates="agreement", cascade="all, delete-orphan", order_by="Commitment.id"
    )

    ratings: Mapped[list[AgreementRating]] = relationship(
        back_populates="agreement", cascade="all, delete-orphan", order_by="AgreementRating.id"
    )
    documents: Mapped[list[Document]] = relationship(
        back_populates="agreement", cascade="all, delete-orphan", order_by="Document.id"
    )

    # Whatever a party does stamps ``updated_at`` here, so that ``revision`` counts it: of two
    # parties who accept or sign at the same moment, the second is told and looks again.
    __mapper_args__ = {"version_id_col": revision}

    @property
    def current_terms(self) -> AgreementTerms:
        """The terms on the table: the newest version."""
        return self.terms[-1]

    def party_of(self, user: User | None) -> AgreementParty | None:
        """The party for which the person acts, or None."""
        if user is None:
            return None
        return next((party for party in self.parties if user.acts_for(party.organisation_id)), None)

    def can_be_seen_by(self, user: User | None) -> bool:
        """Whether the person may read it: everybody once signed, before that its parties.

        The secretariat sees every agreement; a coordinator those of her subregion.
        """
        if self.status in PUBLICLY_REGISTERED or self.party_of(user) is not None:
            return True
        return user is not None and user.moderates(self.need.subregions())

    def reads_negotiation(self, user: User | None) -> bool:
        """Whether versions, messages, evidence and ratings are for the person.

        They are the parties', and theirs who moderate the need's subregion.
        """
        if self.party_of(user) is not None:
            return True
        return user is not None and user.moderates(self.need.subregions())

    def shows_money_to(self, user: User | None) -> bool:
        """Whether the person reads the amounts: the public does if every party allows it."""
        return self.reads_negotiation(user) or all(party.shows_money for party in self.parties)

    def shows_activities_to(self, user: User | None) -> bool:
        """Whether the person reads what is done by whom: the public if every party allows it."""
        return self.reads_negotiation(user) or all(party.shows_activities for party in self.parties)

    def require_party(self, by: User) -> AgreementParty:
        """The person's party; raises :class:`models.errors.NotAllowed` for anybody else."""
        party = self.party_of(by)
        if party is None:
            raise NotAllowed("agreement_party", reference=self.reference)
        return party

    def move_to(self, status: AgreementStatus) -> None:
        """Go on to ``status``; raises :class:`models.errors.InvalidTransition`."""
        self.status = AGREEMENT_LIFE.check(AgreementStatus(self.status), status)

    def require_open_terms(self, by: User) -> AgreementParty:
        """The person's party, while terms may still change.

        Raises
        ------
        NotAllowed, Conflict
            For anybody else; and once the terms are signed or closed.
        """
        party = self.require_party(by)
        if self.status not in OPEN_TERMS:
            raise Conflict("terms_are_frozen", reference=self.reference)
        return party

    def change_kind(self, by: User, kind: AgreementKind) -> None:
        """Say what kind of agreement it is; the other parties must accept the terms anew."""
        party = self.require_open_terms(by)
        if kind != self.kind:
            self.kind = kind
            self._ask_anew(party)

    def add_party(
        self,
        by: User,
        organisation: Organisation,
        role: str,
        contribution: str = "",
        *,
        money: Decimal | None = None,
        currency: str | None = None,
        offer: Offer | None = None,
    ) -> AgreementParty:
        """Bring in a donor or partner, who must accept and sign like every party.

        Parameters
        ----------
        money, currency
            What it pays, once every party has signed.
        offer
            Its own offer from which that is committed; None where it states the amount alone.

        Raises
        ------
        Conflict
            If the organisation takes part already, or the terms can no longer change.
        """
        party = self.require_open_terms(by)
        if any(other.organisation_id == organisation.id for other in self.parties):
            raise Conflict("party_exists", reference=self.reference)
        added = AgreementParty(
            organisation=organisation,
            organisation_id=organisation.id,
            role=role,
            contribution=contribution,
            money=money,
            currency=currency,
            offer=offer,
        )
        self.parties.append(added)
        self._ask_anew(party)
        return added

    def remove_party(self, by: User, leaving: AgreementParty) -> None:
        """Let a donor or partner go; the asking and the giving side stay."""
        party = self.require_open_terms(by)
        if leaving.role not in JOINING_ROLES:
            raise Conflict("party_stays", reference=self.reference)
        self.parties.remove(leaving)
        self._ask_anew(party if party is not leaving else None)

    def _ask_anew(self, author: AgreementParty | None) -> None:
        """Undo what was accepted and signed, save the acceptance of who changes something."""
        for other in self.parties:
            if other is not author:
                other.accepted_number = None
            other.signed_at = other.signed_by = None
        if author is not None:
            author.accepted_number = self.current_terms.number
        if self.status == AgreementStatus.NEGOTIATED:
            self.move_to(AgreementStatus.PROPOSED)
        self.updated_at = utc_now()

    def require_ratable(self, by: User) -> AgreementParty:
        """The person's party, if it can rate the cooperation now.

        Raises
        ------
        Conflict
            Before the agreement is completed, or if the party has rated it already.
        """
        party = self.require_party(by)
        if self.status != AgreementStatus.COMPLETED:
            raise Conflict("agreement_not_completed", reference=self.reference)
        if self.rating_of(party.organisation_id) is not None:
            raise Conflict("already_rated", reference=self.reference)
        return party

    def rate(self, by: User, score: int, comment: str) -> AgreementRating:
        """Say, once for one's party, how well the cooperation went, from 1 to 5."""
        party = self.require_ratable(by)
        rating = AgreementRating(
            organisation_id=party.organisation_id, score=score, comment=comment.strip(), by=by
        )
        self.ratings.append(rating)
        self.updated_at = utc_now()
        return rating

    def rating_of(self, organisation_id: int) -> AgreementRating | None:
        """The rating that an organisation gave, if it has."""
        return next((r for r in self.ratings if r.organisation_id == organisation_id), None)

    def attach(self, by: User, document: Document) -> Document:
        """Attach a document; while it is negotiated and in force, not once it has ended.

        Raises
        ------
        Conflict
            If the agreement has ended, or holds the same file already.
        """
        party = self.require_party(by)
        if self.ended_at is not None:
            raise Conflict("agreement_not_open", reference=self.reference)
        if any(other.digest == document.digest for other in self.documents):
            raise Conflict("document_exists", reference=self.reference)
        if len(self.documents) >= MOST_DOCUMENTS:
            raise Conflict("too_many_documents", reference=self.reference)
        document.organisation_id = party.organisation_id
        document.by = by
        self.documents.append(document)
        self.updated_at = utc_now()
        return document

    def put_terms(self, terms: AgreementTerms, by: User, based_on: int | None) -> AgreementTerms:
        """Put new terms on the table; the author's party accepts them, the others must again.

        Parameters
        ----------
        based_on : int or None
            Number of the version that the author was reading; None for the first terms.

        Raises
        ------
        Conflict
            If somebody put other terms on the table in the meantime.
        """
        party = self.require_party(by)
        if self.terms:
            if self.status not in OPEN_TERMS:
                raise Conflict("terms_are_frozen", reference=self.reference)
            if based_on != self.current_terms.number:
                raise Conflict("terms_changed", number=self.current_terms.number)
            if self.status == AgreementStatus.NEGOTIATED:
                self.move_to(AgreementStatus.PROPOSED)
        terms.number = self.current_terms.number + 1 if self.terms else 1
        terms.author = by
        self.terms.append(terms)
        for other in self.parties:
            other.accepted_number = None
            other.signed_at = other.signed_by = None
        party.accepted_number = terms.number
        self.updated_at = utc_now()
        return terms

    def accept_terms(self, by: User, number: int) -> None:
        """Accept, for one's party, the terms on the table.

        Raises
        ------
        Conflict
            If ``number`` is no longer the newest version.
        """
        party = self.require_party(by)
        if self.status not in OPEN_TERMS:
            raise Conflict("terms_are_frozen", reference=self.reference)
        if number != self.current_terms.number:
            raise Conflict("terms_changed", number=self.current_terms.number)
        party.accepted_number = number
        self.updated_at = utc_now()
        if self.status == AgreementStatus.PROPOSED and self.is_accepted_by_all():
            self.move_to(AgreementStatus.NEGOTIATED)

    def is_accepted_by_all(self) -> bool:
        """Whether every party accepts the terms on the table."""
        return all(party.accepted_number == self.current_terms.number for party in self.parties)

    def sign(self, by: User, number: int) -> bool:
        """Sign for one's party; tell whether this was the last signature.

        The last signature makes the agreement binding. The caller commits the capacity in the
        same transaction (:func:`models.ledger.commit`), or nothing of it is kept.

        Raises
        ------
        InvalidTransition
            If not every party has accepted the terms yet.
        Conflict
            If the party has signed already, or the terms have changed.
        """
        party = self.require_party(by)
        if self.status in IN_FORCE or party.signed_at is not None:
            raise Conflict("already_signed", reference=self.reference)
        if number != self.current_terms.number:
            raise Conflict("terms_changed", number=self.current_terms.number)
        AGREEMENT_LIFE.check(AgreementStatus(self.status), AgreementStatus.SIGNED)
        self.updated_at = utc_now()
        party.signed_by, party.signed_at = by, self.updated_at
        if any(other.signed_at is None for other in self.parties):
            return False
        self.move_to(AgreementStatus.SIGNED)
        self.signed_at = self.updated_at
        return True

    def start(self, by: User) -> None:
        """Say that the work has begun."""
        self.require_party(by)
        self.move_to(AgreementStatus.ACTIVE)

    def complete(self, by: User, report: str) -> None:
        """Close with a report of what came of it; what was committed counts as used."""
        self.require_party(by)
        self._end(AgreementStatus.COMPLETED, report, "closing_report")

    def terminate(self, by: User, reason: str) -> None:
        """End before the work is done; the caller gives back what was not used."""
        self.require_party(by)
        self._end(AgreementStatus.TERMINATED, reason, "reason")

    def abandon(self, by: User, reason: str) -> None:
        """Break off negotiations; nothing was committed."""
        self.require_party(by)
        self._end(AgreementStatus.ABANDONED, reason, "reason")

    def _end(self, status: AgreementStatus, words: str, field: str) -> None:
        if not words.strip():
            raise InvalidInput({field: [("required", {})]})
        self.move_to(status)
        self.closing_report = words.strip()
        self.ended_at = self.updated_at = utc_now()

    def gives(self, kind: str, kind_of: Mapping[str, str | None]) -> bool:
        """Whether the terms on the table give that kind of support.

        A modality gives the kind to which it belongs; terms that name no kind at all give all
        that the offer does.

        Parameters
        ----------
        kind_of
            Modality → its kind; a kind itself is not in it, or has None.
        """
        named = self.current_terms.support_kinds or self.offer.support_kinds
        return any((kind_of.get(code) or code) == kind for code in named)

    def late_milestones(self, on: date) -> list[Milestone]:
        """Milestones that were due before ``on`` and are not done."""
        if self.status not in IN_FORCE:
            return []
        return [m for m in self.milestones if m.done_on is None and m.due < on]


class AgreementParty(Base):
    """An organisation that takes part, and what it has accepted and signed.

    ``money`` is what a donor or partner pays beside the offer, from its own ``offer`` if it names
    one. The ledger takes it when the agreement is signed.
    """

    __tablename__ = "agreement_party"
    __table_args__ = (
        UniqueConstraint("agreement_id", "organisation_id"),
        CheckConstraint(
            "money IS NULL OR (money > 0 AND currency IS NOT NULL)", name="money_has_currency"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    agreement_id: Mapped[int] = mapped_column(
        ForeignKey("agreement.id", ondelete="CASCADE"), index=True
    )
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    contribution: Mapped[str] = mapped_column(Text, default="", server_default="")
    money: Mapped[Decimal | None]
    currency: Mapped[str | None] = mapped_column(String(3))
    offer_id: Mapped[int | None] = mapped_column(ForeignKey("offer.id"), index=True)
    shows_money: Mapped[bool] = mapped_column(default=True, server_default=true())
    shows_activities: Mapped[bool] = mapped_column(default=True, server_default=true())
    accepted_number: Mapped[int | None]
    signed_by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    signed_at: Mapped[datetime | None]

    agreement: Mapped[Agreement] = relationship(back_populates="parties")
    organisation: Mapped[Organisation] = relationship()
    offer: Mapped[Offer | None] = relationship()
    signed_by: Mapped[User | None] = relationship()


class AgreementTerms(Base):
    """One version of the terms; never changed once it is on the table.

    ``beyond_need`` says that it is meant to give more than the need still asks for.
    """

    __tablename__ = "agreement_terms"
    __table_args__ = (
        UniqueConstraint("agreement_id", "number"),
        CheckConstraint("starts <= ends", name="period_in_order"),
        CheckConstraint("places IS NULL OR places >= 0", name="places_not_negative"),
        CheckConstraint("money IS NULL OR money >= 0", name="money_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id", ondelete="CASCADE"))
    number: Mapped[int]
    author_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    title: Mapped[str] = mapped_column(String(200))
    activities: Mapped[str] = mapped_column(Text)
    need_side_duties: Mapped[str] = mapped_column(Text, default="")
    offer_side_duties: Mapped[str] = mapped_column(Text, default="")
    starts: Mapped[date]
    ends: Mapped[date]
    places: Mapped[int | None]
    money: Mapped[Decimal | None]
    currency: Mapped[str | None] = mapped_column(String(3))
    beyond_need: Mapped[bool] = mapped_column(default=False, server_default=false())
    support_kinds: Mapped[list[str]] = mapped_column(default=list)
    milestones: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    indicators: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    note: Mapped[str] = mapped_column(Text, default="")

    agreement: Mapped[Agreement] = relationship(back_populates="terms")
    author: Mapped[User] = relationship()


@event.listens_for(AgreementTerms, "before_update")
def _refuse_change(
    _mapper: Mapper[AgreementTerms], _connection: object, target: AgreementTerms
) -> None:
    # The database refuses it too, by trigger (see the migrations): this names the agreement.
    session = object_session(target)
    if session is not None and session.is_modified(target, include_collections=False):
        raise Conflict("terms_are_frozen", reference=target.agreement.reference)


class Milestone(Base):
    """A dated step of an agreement, with the evidence that it was taken."""

    __tablename__ = "milestone"

    id: Mapped[int] = mapped_column(primary_key=True)
    agreement_id: Mapped[int] = mapped_column(
        ForeignKey("agreement.id", ondelete="CASCADE"), index=True
    )
    title: Mapped[str] = mapped_column(String(200))
    due: Mapped[date]
    done_on: Mapped[date | None]
    evidence: Mapped[str] = mapped_column(Text, default="")
    done_by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))

    agreement: Mapped[Agreement] = relationship(back_populates="milestones")

    def mark_done(self, by: User, on: date, evidence: str) -> None:
        """Say that the step was taken, and what shows it."""
        self.agreement.require_party(by)
        if self.agreement.status not in IN_FORCE:
            raise Conflict("agreement_not_in_force", reference=self.agreement.reference)
        if self.done_on is not None:
            raise Conflict("milestone_done", title=self.title)
        self.done_on, self.done_by_id, self.evidence = on, by.id, evidence.strip()


class Indicator(Base):
    """A measured quantity with its baseline and the target that was agreed."""

    __tablename__ = "indicator"

    id: Mapped[int] = mapped_column(primary_key=True)
    agreement_id: Mapped[int] = mapped_column(
        ForeignKey("agreement.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(200))
    unit: Mapped[str] = mapped_column(String(60), default="")
    baseline: Mapped[float | None]
    target: Mapped[float]
    due: Mapped[date | None]

    agreement: Mapped[Agreement] = relationship(back_populates="indicators")
    reports: Mapped[list[IndicatorReport]] = relationship(
        back_populates="indicator",
        cascade="all, delete-orphan",
        order_by="(IndicatorReport.on, IndicatorReport.id)",
    )

    def progress(self) -> float | None:
        """Share of the way from baseline to target that the last report shows."""
        last = self.reports[-1].value if self.reports else None
        return share_of_way(self.baseline, self.target, last)


class IndicatorReport(Base):
    """A value reported for an indicator."""

    __tablename__ = "indicator_report"

    id: Mapped[int] = mapped_column(primary_key=True)
    indicator_id: Mapped[int] = mapped_column(
        ForeignKey("indicator.id", ondelete="CASCADE"), index=True
    )
    on: Mapped[date]
    value: Mapped[float]
    note: Mapped[str] = mapped_column(Text, default="")
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))

    indicator: Mapped[Indicator] = relationship(back_populates="reports")
    by: Mapped[User] = relationship()


class AgreementRating(Base):
    """How well a party found the cooperation to have gone, from 1 to 5; said once."""

    __tablename__ = "agreement_rating"
    __table_args__ = (
        UniqueConstraint("agreement_id", "organisation_id"),
        CheckConstraint("score BETWEEN 1 AND 5", name="score_range"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id", ondelete="CASCADE"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    score: Mapped[int]
    comment: Mapped[str] = mapped_column(Text, default="")
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    agreement: Mapped[Agreement] = relationship(back_populates="ratings")
    organisation: Mapped[Organisation] = relationship()
    by: Mapped[User] = relationship()


MOST_DOCUMENTS = 40
"""Documents that one agreement holds at most."""


class Document(Base):
    """A file attached to an agreement: the parties' and moderators', or everybody's if it says so.

    ``digest`` is the SHA-256 of the content, in hexadecimal.
    """

    __tablename__ = "document"
    __table_args__ = (UniqueConstraint("agreement_id", "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id", ondelete="CASCADE"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    name: Mapped[str] = mapped_column(String(160))
    media_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    public: Mapped[bool] = mapped_column(default=False, server_default=false())
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    agreement: Mapped[Agreement] = relationship(back_populates="documents")
    organisation: Mapped[Organisation] = relationship()
    by: Mapped[User] = relationship()

    def can_be_read_by(self, user: User | None) -> bool:
        """Whether the person may load it down: the public only what was made public."""
        if self.agreement.reads_negotiation(user):
            return True
        return self.public and self.agreement.can_be_seen_by(user)

    def require_owner(self, by: User) -> None:
        """Refuse all but the party that attached it."""
        if not by.acts_for(self.organisation_id):
            raise NotAllowed("document_owner", name=self.name)

    def can_be_removed_by(self, user: User | None) -> bool:
        """Whether the person may take it away: its party, until the agreement is signed."""
        return (
            user is not None
            and user.acts_for(self.organisation_id)
            and self.agreement.status in OPEN_TERMS
        )


class Commitment(Base):
    """A row of the ledger: capacity that an agreement takes (positive) or gives back (negative).

    Rows are only ever added; the database refuses to change or to delete one.

    ``money`` is in the offer's currency. ``need_money`` is the same amount in the need's
    currency, with the rate, its date and its source, so that no sum mixes currencies.

    ``party`` is the donor or partner whose contribution it is; None for what the agreement's own
    offer gives. Without an ``offer`` the party has stated an amount that no offer holds.
    """

    __tablename__ = "commitment"
    __table_args__ = (
        CheckConstraint(
            "(kind = 'commit' AND places >= 0 AND money >= 0 AND need_money >= 0)"
            " OR (kind = 'return' AND places <= 0 AND money <= 0 AND need_money <= 0)",
            name="sign_of_kind",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"), index=True)
    offer_id: Mapped[int | None] = mapped_column(ForeignKey("offer.id"), index=True)
    party_id: Mapped[int | None] = mapped_column(ForeignKey("agreement_party.id"), index=True)
    need_id: Mapped[int] = mapped_column(ForeignKey("need.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    places: Mapped[int] = mapped_column(default=0)
    money: Mapped[Decimal] = mapped_column(default=Decimal(0))
    currency: Mapped[str | None] = mapped_column(String(3))
    need_money: Mapped[Decimal] = mapped_column(default=Decimal(0))
    need_currency: Mapped[str | None] = mapped_column(String(3))
    rate: Mapped[float | None]
    rate_date: Mapped[date | None]
    rate_source: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    agreement: Mapped[Agreement] = relationship(back_populates="commitments")
    offer: Mapped[Offer | None] = relationship()
    party: Mapped[AgreementParty | None] = relationship()
