"""Directories: institutions, certified specialists, clean technologies, and good practice.

Decision 12/2003 (point 3) asks to compile what each country does and what was learnt from it;
Peru's strategy for a directory of institutions, a database of consultants, a bank of clean
technologies and one of demonstration projects (objectives 9, 11, 13 and 14); Panama's plan for a
public list of the specialists and auditors that were certified (3.3).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.agreement import Agreement
from models.base import Base, utc_now
from models.errors import Conflict, InvalidInput, NotAllowed
from models.life import Life
from models.organisation import Organisation
from models.post import Offer
from models.reference import Country
from models.translated import Translated
from models.user import User


class EntryKind(StrEnum):
    """The four directories."""

    INSTITUTION = "institution"
    SPECIALIST = "specialist"
    TECHNOLOGY = "technology"
    PRACTICE = "practice"


class EntryStatus(StrEnum):
    """Where an entry is in its life."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


_E = EntryStatus

ENTRY_LIFE: Life[EntryStatus] = Life(
    "entry",
    {
        _E.DRAFT: (_E.SUBMITTED, _E.WITHDRAWN),
        # An entry that is returned is a draft again, with the reviewer's comment.
        _E.SUBMITTED: (_E.PUBLISHED, _E.DRAFT, _E.WITHDRAWN),
        _E.PUBLISHED: (_E.WITHDRAWN,),
        _E.WITHDRAWN: (_E.DRAFT,),
    },
)

VALIDITY = timedelta(days=730)
"""For how long an entry counts as current when it states no date of its own."""

MATURITIES = ("tested", "demonstrated", "in_use")
"""How far a technology has come: tried out, shown to work in the field, in everyday use."""

ENTRY_FACETS = ("theme", "language")
"""Facets of which an entry may carry several codes."""


class EntryFacet(Base):
    """One code of one facet of an entry, kept as a row so that lists can be filtered by it."""

    __tablename__ = "entry_facet"
    __table_args__ = (Index("ix_entry_facet_facet_code", "facet", "code", "entry_id"),)

    entry_id: Mapped[int] = mapped_column(
        ForeignKey("directory_entry.id", ondelete="CASCADE"), primary_key=True
    )
    facet: Mapped[str] = mapped_column(String(32), primary_key=True)
    code: Mapped[str] = mapped_column(String(64), primary_key=True)


class Entry(Translated, Base):
    """An entry of one of the directories.

    ``organisation`` is the institution itself, the specialist's, the one that holds the
    technology, or the one that tells of the practice. ``valid_until`` is the last day on which
    the entry counts as current; for a specialist, the last day of the certificate. ``figures``
    are ``{"name", "value", "unit"}``: what a technology saves, what a practice achieved.
    """

    __tablename__ = "directory_entry"
    __table_args__ = (
        Index("ix_directory_entry_status_kind", "status", "kind"),
        CheckConstraint("source_line IS NULL OR source_line > 0", name="source_line_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[EntryKind] = mapped_column(String(12))
    reference: Mapped[str] = mapped_column(String(80), unique=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    status: Mapped[EntryStatus] = mapped_column(String(12), default=EntryStatus.DRAFT)
    country_code: Mapped[str | None] = mapped_column(ForeignKey("country.code"), index=True)
    sector: Mapped[str | None] = mapped_column(String(8))
    contact_role: Mapped[str] = mapped_column(String(120), default="")
    contact_email: Mapped[str] = mapped_column(String(254), default="")
    source_document: Mapped[str | None] = mapped_column(String(3))
    source_line: Mapped[int | None]
    source_address: Mapped[str] = mapped_column(String(500), default="")
    valid_until: Mapped[date | None]
    illustrative: Mapped[list[str]] = mapped_column(default=list)
    comment: Mapped[str] = mapped_column(Text, default="")
    revision: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)
    submitted_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]

    services: Mapped[str] = mapped_column(Text, default="")
    certified_by_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    certificate: Mapped[str] = mapped_column(String(80), default="")
    maturity: Mapped[str | None] = mapped_column(String(16))
    supplier: Mapped[str] = mapped_column(String(200), default="")
    figures: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    demonstration: Mapped[bool] = mapped_column(default=False)
    year: Mapped[int | None]
    results: Mapped[str] = mapped_column(Text, default="")
    lessons: Mapped[str] = mapped_column(Text, default="")
    agreement_id: Mapped[int | None] = mapped_column(ForeignKey("agreement.id"), unique=True)

    organisation: Mapped[Organisation] = relationship(foreign_keys=[organisation_id])
    certified_by: Mapped[Organisation | None] = relationship(foreign_keys=[certified_by_id])
    author: Mapped[User | None] = relationship()
    country: Mapped[Country | None] = relationship()
    agreement: Mapped[Agreement | None] = relationship()
    facets: Mapped[list[EntryFacet]] = relationship(
        cascade="all, delete-orphan", order_by=(EntryFacet.facet, EntryFacet.code)
    )
    citations: Mapped[list[Citation]] = relationship(
        back_populates="entry", cascade="all, delete-orphan", order_by="Citation.offer_id"
    )

    __mapper_args__ = {"version_id_col": revision}

    def codes(self, facet: str) -> list[str]:
        """The entry's codes of one facet, in a stable order."""
        return sorted(row.code for row in self.facets if row.facet == facet)

    def set_codes(self, facet: str, codes: Iterable[str]) -> None:
        """Make ``codes`` the entry's codes of that facet; rows that stay are left alone."""
        wanted = set(codes)
        self.facets = [row for row in self.facets if row.facet != facet or row.code in wanted] + [
            EntryFacet(facet=facet, code=code) for code in sorted(wanted - set(self.codes(facet)))
        ]

    def is_current(self, on: date) -> bool:
        """Whether its date has not passed; an entry without one is current."""
        return self.valid_until is None or self.valid_until >= on

    def subregions(self) -> frozenset[str]:
        """The subregion of its country, for the coordinators' view; none without a country."""
        subregion = self.country.subregion if self.country is not None else None
        return frozenset({subregion} if subregion else ())

    def can_be_edited_by(self, user: User | None) -> bool:
        """Whether the person writes it: its organisation's people, and those who moderate it.

        The secretariat and coordinators write for organisations that have nobody here.
        """
        return user is not None and (
            user.acts_for(self.organisation_id) or user.moderates(self.subregions())
        )

    def can_be_moderated_by(self, user: User | None) -> bool:
        """Whether the person may publish or return it; nobody does for her own organisation."""
        return (
            user is not None
            and user.moderates(self.subregions())
            and user.organisation_id != self.organisation_id
        )

    def is_public(self) -> bool:
        """Whether everybody may read it.

        What came of an agreement is public as long as every party shows what was done, as in the
        public register.
        """
        return self.status == EntryStatus.PUBLISHED and self.is_permitted()

    def is_permitted(self) -> bool:
        """Whether every party of the agreement that it came from lets it be told."""
        return not self.unwilling_parties()

    def unwilling_parties(self) -> list[Organisation]:
        """Parties of the agreement that do not show what was done."""
        if self.agreement is None:
            return []
        return [
            party.organisation for party in self.agreement.parties if not party.shows_activities
        ]

    def can_be_seen_by(self, user: User | None) -> bool:
        """Whether the person may read it: a draft is for those who write it."""
        return self.is_public() or self.can_be_edited_by(user)

    def move_to(self, status: EntryStatus) -> None:
        """Go on to ``status``; raises :class:`models.errors.InvalidTransition`."""
        self.status = ENTRY_LIFE.check(EntryStatus(self.status), status)
        self.updated_at = utc_now()

    def require_editor(self, by: User) -> None:
        """Raise :class:`models.errors.NotAllowed` for whoever does not write the entry."""
        if not self.can_be_edited_by(by):
            raise NotAllowed("edit_entry", reference=self.reference)

    def require_permission(self) -> None:
        """Raise :class:`models.errors.Conflict` while a party does not let it be told."""
        unwilling = self.unwilling_parties()
        if unwilling:
            names = ", ".join(one.name(self.language) for one in unwilling)
            raise Conflict("practice_not_permitted", organisations=names)

    def submit(self, by: User) -> None:
        """Hand it in for review.

        Raises
        ------
        NotAllowed, Conflict
            For others' entries; while a party of its agreement does not let it be told.
        """
        self.require_editor(by)
        self.require_permission()
        self.move_to(EntryStatus.SUBMITTED)
        self.submitted_at = self.updated_at

    def publish(self, by: User, on: date) -> None:
        """Make it public, until its date or until ``VALIDITY`` has passed."""
        if not self.can_be_moderated_by(by):
            raise NotAllowed("moderate_entry", reference=self.reference)
        self._go_public(on)

    def publish_unreviewed(self, on: date) -> None:
        """Make a submitted entry of a trusted organisation public at once."""
        if not self.organisation.trusted:
            raise NotAllowed("moderate_entry", reference=self.reference)
        self._go_public(on)

    def _go_public(self, on: date) -> None:
        self.require_permission()
        self.move_to(EntryStatus.PUBLISHED)
        self.comment = ""
        self.published_at = self.updated_at
        if self.valid_until is None:
            self.valid_until = on + VALIDITY

    def return_with(self, comment: str, by: User) -> None:
        """Give a submitted entry back to its author with a comment on what to mend."""
        if not self.can_be_moderated_by(by):
            raise NotAllowed("moderate_entry", reference=self.reference)
        if not comment.strip():
            raise InvalidInput({"comment": [("required", {})]})
        self.move_to(EntryStatus.DRAFT)
        self.comment = comment.strip()

    def withdraw(self, by: User) -> None:
        """Take it out of the directory."""
        self.require_editor(by)
        self.move_to(EntryStatus.WITHDRAWN)

    def reopen(self, by: User) -> None:
        """Make a withdrawn entry a draft again."""
        self.require_editor(by)
        self.move_to(EntryStatus.DRAFT)

    def renew(self, by: User, until: date, on: date) -> None:
        """Say that it holds until another day; for a specialist, that of the new certificate.

        Raises
        ------
        InvalidInput
            If that day has passed.
        """
        self.require_editor(by)
        if until < on:
            raise InvalidInput({"valid_until": [("past_date", {})]})
        self.valid_until = until
        self.updated_at = utc_now()


class Citation(Base):
    """An offer's word that an entry shows its provider's experience."""

    __tablename__ = "citation"

    entry_id: Mapped[int] = mapped_column(
        ForeignKey("directory_entry.id", ondelete="CASCADE"), primary_key=True
    )
    offer_id: Mapped[int] = mapped_column(
        ForeignKey("offer.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    entry: Mapped[Entry] = relationship(back_populates="citations")
    offer: Mapped[Offer] = relationship()
