"""Posts: what governments need and what providers offer, and the life that both lead."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.errors import InvalidInput, InvalidTransition, NotAllowed
from models.life import Life
from models.organisation import Organisation
from models.reference import Country
from models.translated import Translated
from models.user import User


class PostStatus(StrEnum):
    """Where a post is in its life (DESIGN: lives)."""

    DRAFT = "draft"
    TO_ENDORSE = "to_endorse"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    PUBLISHED = "published"
    PARTLY_COMMITTED = "partly_committed"
    FULFILLED = "fulfilled"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


_P = PostStatus

LIVE = frozenset({_P.PUBLISHED, _P.PARTLY_COMMITTED})
"""Statuses in which a post takes part in matching."""

PUBLICLY_READABLE = LIVE | {_P.FULFILLED, _P.EXHAUSTED, _P.EXPIRED}
"""Statuses in which everybody may read a post; a withdrawn one is its organisation's again."""

POST_LIFE: Life[PostStatus] = Life(
    "post",
    {
        _P.DRAFT: (_P.SUBMITTED, _P.TO_ENDORSE, _P.WITHDRAWN),
        # A delegate's need waits for its focal point before anybody else reads it.
        _P.TO_ENDORSE: (_P.SUBMITTED, _P.RETURNED, _P.WITHDRAWN),
        _P.SUBMITTED: (_P.PUBLISHED, _P.RETURNED, _P.WITHDRAWN),
        _P.RETURNED: (_P.DRAFT, _P.SUBMITTED, _P.TO_ENDORSE, _P.WITHDRAWN),
        _P.PUBLISHED: (
            _P.PARTLY_COMMITTED,
            _P.FULFILLED,
            _P.EXHAUSTED,
            _P.EXPIRED,
            _P.WITHDRAWN,
        ),
        _P.PARTLY_COMMITTED: (
            _P.PUBLISHED,
            _P.FULFILLED,
            _P.EXHAUSTED,
            _P.EXPIRED,
            _P.WITHDRAWN,
        ),
        # A terminated agreement gives back what was not used, and the post lives again.
        _P.FULFILLED: (_P.PARTLY_COMMITTED, _P.PUBLISHED, _P.EXPIRED),
        _P.EXHAUSTED: (_P.PARTLY_COMMITTED, _P.PUBLISHED, _P.EXPIRED),
        _P.EXPIRED: (_P.PUBLISHED, _P.WITHDRAWN),
        _P.WITHDRAWN: (_P.DRAFT,),
    },
)

OWN_ONLY = frozenset({_P.DRAFT, _P.TO_ENDORSE})
"""Statuses in which nobody outside the organisation reads a post."""

DELEGATES_EDIT = frozenset({_P.DRAFT, _P.TO_ENDORSE, _P.RETURNED, _P.WITHDRAWN})
"""Statuses in which a delegate changes her need: what was endorsed is her focal point's."""

FOLLOWS_BALANCE = LIVE | {_P.FULFILLED, _P.EXHAUSTED}
"""Statuses that say what the ledger holds: a post in one of them follows its balance."""

FINANCE = "finance"
"""The kind of support that is counted in money."""

COUNTED_IN_PLACES = "capacity_building"
"""The kind of support that is counted in places: seats in a course, internships, visits."""

RENEWAL = timedelta(days=180)
"""For how long a published post stays on the exchange before it expires or is renewed."""

FACETS = (
    "theme",
    "ilac_area",
    "programme",
    "mandate",
    "language",
    "beneficiary_kind",
    "serves_country",
    "serves_subregion",
    "serves_outside",
    "serves_organisation_kind",
)
"""Facets of which a post may carry several codes; the ``serves_`` ones are an offer's."""


class PostFacet(Base):
    """One code of one facet of a post, kept as a row so that lists can be filtered by it."""

    __tablename__ = "post_facet"
    __table_args__ = (Index("ix_post_facet_facet_code", "facet", "code", "post_id"),)

    post_id: Mapped[int] = mapped_column(
        ForeignKey("post.id", ondelete="CASCADE"), primary_key=True
    )
    facet: Mapped[str] = mapped_column(String(32), primary_key=True)
    code: Mapped[str] = mapped_column(String(64), primary_key=True)


class Support(Base):
    """One kind of support asked for or given, and what exactly."""

    __tablename__ = "support"
    __table_args__ = (Index("ix_support_kind", "kind", "post_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    modality: Mapped[str | None] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text, default="")


class Post(Translated, Base):
    """What needs and offers have in common."""

    __tablename__ = "post"
    __table_args__: Any = (
        Index("ix_post_kind_status", "kind", "status", "published_at"),
        Index("ix_post_updated_at", "updated_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    reference: Mapped[str] = mapped_column(String(64), unique=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    status: Mapped[PostStatus] = mapped_column(String(20), default=PostStatus.DRAFT)
    dimension: Mapped[str | None] = mapped_column(String(8))
    level: Mapped[str | None] = mapped_column(String(16))
    horizon: Mapped[str | None] = mapped_column(String(8))
    starts: Mapped[date | None]
    ends: Mapped[date | None]
    closes: Mapped[date | None]
    currency: Mapped[str | None] = mapped_column(String(3))
    contact_role: Mapped[str] = mapped_column(String(120), default="")
    contact_email: Mapped[str] = mapped_column(String(254), default="")
    source: Mapped[dict[str, Any]] = mapped_column(default=dict)
    illustrative: Mapped[list[str]] = mapped_column(default=list)
    comment: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[int] = mapped_column(default=0)
    revision: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)
    submitted_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    expires_on: Mapped[date | None]

    organisation: Mapped[Organisation] = relationship()
    author: Mapped[User | None] = relationship()
    supports: Mapped[list[Support]] = relationship(
        cascade="all, delete-orphan", order_by=Support.id
    )
    facets: Mapped[list[PostFacet]] = relationship(
        cascade="all, delete-orphan", order_by=(PostFacet.facet, PostFacet.code)
    )
    versions: Mapped[list[PostVersion]] = relationship(
        back_populates="post", cascade="all, delete-orphan", order_by="PostVersion.number"
    )

    # ``revision`` counts every stored change: two people who edit one post cannot overwrite
    # each other silently.
    __mapper_args__ = {
        "polymorphic_on": "kind",
        "version_id_col": revision,
    }

    def codes(self, facet: str) -> list[str]:
        """The post's codes of one facet, in a stable order."""
        return sorted(row.code for row in self.facets if row.facet == facet)

    def set_codes(self, facet: str, codes: Iterable[str]) -> None:
        """Make ``codes`` the post's codes of that facet; rows that stay are left alone."""
        wanted = set(codes)
        self.facets = [row for row in self.facets if row.facet != facet or row.code in wanted] + [
            PostFacet(facet=facet, code=code) for code in sorted(wanted - set(self.codes(facet)))
        ]

    @property
    def support_kinds(self) -> list[str]:
        """The kinds of support, each once, in a stable order."""
        return sorted({support.kind for support in self.supports})

    @property
    def is_live(self) -> bool:
        """Whether the post takes part in matching."""
        return self.status in LIVE

    def subregions(self) -> frozenset[str]:
        """The subregions that the post concerns, for the coordinators' view."""
        raise NotImplementedError

    def can_be_seen_by(self, user: User | None) -> bool:
        """Whether the person may read the post: everybody once it was published.

        A draft is its own organisation's alone; what was handed in, the moderators' too.
        """
        if self.status in PUBLICLY_READABLE or self.is_own_of(user):
            return True
        return self._is_handed_in() and self.can_be_moderated_by(user)

    def _is_handed_in(self) -> bool:
        """Whether the present text, or one before it, was given to the moderators to read.

        One that was taken back before, or returned instead of endorsed, was not.
        """
        if self.status in OWN_ONLY:
            return False
        return self.status == PostStatus.SUBMITTED or self.submitted_at is not None

    def is_own_of(self, user: User | None) -> bool:
        """Whether the post is the person's own to read whole: of her organisation, or her text.

        A delegate's own are the needs that she wrote; those of her colleagues are not.
        """
        if user is None or not user.may_post(self.kind):
            return False
        if user.is_delegate:
            return (self.organisation_id, self.author_id) == (user.organisation_id, user.id)
        return user.acts_for(self.organisation_id)

    def can_be_edited_by(self, user: User | None) -> bool:
        """Whether the person writes for the organisation that posts.

        A delegate does as long as her focal point has not endorsed what she wrote.
        """
        if user is None or not self.is_own_of(user):
            return False
        return not user.is_delegate or self.status in DELEGATES_EDIT

    def can_be_moderated_by(self, user: User | None) -> bool:
        """Whether the person may publish or return the post.

        Nobody moderates the post of her own organisation: a conflict of interest is a hard rule.
        """
        return (
            user is not None
            and user.moderates(self.subregions())
            and user.organisation_id != self.organisation_id
        )

    def shows_balance_to(self, user: User | None) -> bool:
        """Whether the person may read the ledger's rows: its organisation, and moderators."""
        return user is not None and (
            user.acts_for(self.organisation_id) or user.moderates(self.subregions())
        )

    def move_to(self, status: PostStatus) -> None:
        """Go on to ``status``.

        Raises
        ------
        InvalidTransition
            If the post's life does not lead there from its present status.
        """
        self.status = POST_LIFE.check(PostStatus(self.status), status)

    def status_by_balance(self) -> PostStatus:
        """The status that a post on the exchange has by what agreements have committed."""
        raise NotImplementedError

    def follow_balance(self) -> None:
        """Let the status say what is committed; a post that is off the exchange stays as it is."""
        if self.status in FOLLOWS_BALANCE and self.status != self.status_by_balance():
            self.move_to(self.status_by_balance())

    def submit(self, by: User) -> None:
        """Hand the post to the secretariat for review; a delegate, to her focal point.

        Raises
        ------
        NotAllowed
            If the person does not write for the organisation.
        InvalidInput
            If a title, a description or a kind of support is missing.
        """
        if not self.can_be_edited_by(by):
            raise NotAllowed("edit_post", reference=self.reference)
        missing: dict[str, object] = {
            field: [("required", {})]
            for field, value in (
                ("title", self.title.strip()),
                ("description", self.description.strip()),
                ("support", self.supports),
            )
            if not value
        }
        if missing:
            raise InvalidInput(missing)
        if by.is_delegate:
            self.move_to(PostStatus.TO_ENDORSE)
            self.submitted_at = None
            return
        self.move_to(PostStatus.SUBMITTED)
        self.submitted_at = utc_now()

    def publish(self, by: User, on: date) -> None:
        """Put a reviewed post on the exchange, until it closes or ``RENEWAL`` has passed.

        Raises
        ------
        NotAllowed
            If the person may not moderate this post.
        InvalidTransition
            If the post is not waiting for review.
        """
        if not self.can_be_moderated_by(by):
            raise NotAllowed("moderate_post", reference=self.reference)
        self._go_public(on)

    def publish_unreviewed(self, on: date) -> None:
        """Put a submitted post of a trusted organisation on the exchange at once.

        Raises
        ------
        NotAllowed
            If the organisation is not trusted.
        """
        if not self.organisation.trusted:
            raise NotAllowed("moderate_post", reference=self.reference)
        self._go_public(on)

    def _go_public(self, on: date) -> None:
        self.move_to(PostStatus.PUBLISHED)
        self.comment = ""
        self.published_at = utc_now()
        self.expires_on = self.closes if self.closes else on + RENEWAL
        self.follow_balance()

    def return_with(self, comment: str, by: User) -> None:
        """Give a submitted post back to its author with a comment on what to mend."""
        if not self.can_be_moderated_by(by):
            raise NotAllowed("moderate_post", reference=self.reference)
        if not comment.strip():
            raise InvalidInput({"comment": [("required", {})]})
        self.move_to(PostStatus.RETURNED)
        self.comment = comment.strip()

    def withdraw(self, by: User) -> None:
        """Take the post off the exchange; its history stays."""
        if not (self.can_be_edited_by(by) or self.can_be_moderated_by(by)):
            raise NotAllowed("edit_post", reference=self.reference)
        self.move_to(PostStatus.WITHDRAWN)

    def reopen(self, by: User) -> None:
        """Make a withdrawn or returned post a draft again."""
        if not self.can_be_edited_by(by):
            raise NotAllowed("edit_post", reference=self.reference)
        self.move_to(PostStatus.DRAFT)

    def renew(self, by: User, on: date) -> None:
        """Keep a post on the exchange for another ``RENEWAL``; an expired one comes back.

        A closing date that has passed is taken off, since it would expire the post again.

        Raises
        ------
        InvalidTransition
            If the post is neither on the exchange nor expired.
        """
        if not self.can_be_edited_by(by):
            raise NotAllowed("edit_post", reference=self.reference)
        if self.status == PostStatus.EXPIRED:
            self.move_to(PostStatus.PUBLISHED)
            self.follow_balance()
        elif not self.is_live:
            raise InvalidTransition(
                "post_transition", now=str(self.status), then="published", possible=[]
            )
        if self.closes and self.closes <= on:
            self.closes = None
        self.expires_on = self.closes or on + RENEWAL

    def expire(self, on: date) -> bool:
        """Take a live post off the exchange when its time has passed; tell whether it did."""
        if self.is_live and self.expires_on and self.expires_on < on:
            self.move_to(PostStatus.EXPIRED)
            return True
        return False


class Need(Post):
    """What a government asks the exchange for."""

    __tablename__ = "need"
    __table_args__ = (
        CheckConstraint("places_wanted IS NULL OR places_wanted > 0", name="places_positive"),
        CheckConstraint(
            "money_least IS NULL OR money_most IS NULL OR money_least <= money_most",
            name="money_in_order",
        ),
        CheckConstraint("places_covered >= 0", name="places_covered_not_negative"),
        CheckConstraint("money_covered >= 0", name="money_covered_not_negative"),
    )

    id: Mapped[int] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"), primary_key=True)
    country_code: Mapped[str | None] = mapped_column(ForeignKey("country.code"), index=True)
    subregion: Mapped[str | None] = mapped_column(String(32))
    localities: Mapped[list[str]] = mapped_column(default=list)
    problem: Mapped[str] = mapped_column(Text, default="")
    results: Mapped[str] = mapped_column(Text, default="")
    beneficiaries: Mapped[int | None]
    places_wanted: Mapped[int | None]
    places_covered: Mapped[int] = mapped_column(default=0)
    money_least: Mapped[Decimal | None]
    money_most: Mapped[Decimal | None]
    money_covered: Mapped[Decimal] = mapped_column(default=Decimal(0))
    kinds_covered: Mapped[list[str]] = mapped_column(default=list, server_default=text("'[]'"))
    money_sealed: Mapped[bool] = mapped_column(default=False)
    cofinancing: Mapped[Decimal | None]
    existing: Mapped[str] = mapped_column(Text, default="")
    elsewhere: Mapped[str] = mapped_column(Text, default="")
    endorsed_by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    endorsed_at: Mapped[datetime | None]

    country: Mapped[Country | None] = relationship()
    endorsed_by: Mapped[User | None] = relationship(foreign_keys=[endorsed_by_id])

    __mapper_args__ = {"polymorphic_identity": "need", "polymorphic_load": "selectin"}

    def submit(self, by: User) -> None:
        super().submit(by)
        if self.status == PostStatus.TO_ENDORSE:
            self.endorsed_by = self.endorsed_at = None
        elif by.may_endorse_for(self.organisation_id):
            self.endorsed_by, self.endorsed_at = by, utc_now()

    def endorse(self, by: User) -> None:
        """Stand, as the focal point, for what a delegate wrote: it goes to review.

        Raises
        ------
        NotAllowed
            For anybody but a focal point of the organisation.
        InvalidTransition
            If the need does not wait for its endorsement.
        """
        self._require_endorser(by)
        self.move_to(PostStatus.SUBMITTED)
        self.submitted_at = self.endorsed_at = utc_now()
        self.endorsed_by = by
        self.comment = ""

    def decline_endorsement(self, comment: str, by: User) -> None:
        """Give a delegate's need back to her with a comment on what to mend."""
        self._require_endorser(by)
        if not comment.strip():
            raise InvalidInput({"comment": [("required", {})]})
        self.move_to(PostStatus.RETURNED)
        self.comment = comment.strip()

    def _require_endorser(self, by: User) -> None:
        if not by.may_endorse_for(self.organisation_id):
            raise NotAllowed("endorse_post", reference=self.reference)
        if self.status != PostStatus.TO_ENDORSE:
            raise InvalidTransition(
                "post_transition", now=str(self.status), then="submitted", possible=[]
            )

    def subregions(self) -> frozenset[str]:
        if self.country is not None and self.country.subregion:
            return frozenset({self.country.subregion})
        return frozenset({self.subregion} if self.subregion else ())

    def places_open(self) -> int | None:
        """Places still wanted; None where the need states no number."""
        if self.places_wanted is None:
            return None
        return max(self.places_wanted - self.places_covered, 0)

    def money_open(self) -> Decimal | None:
        """Money still wanted, in the need's currency; None where it states no amount."""
        asked = self.money_most if self.money_most is not None else self.money_least
        return None if asked is None else max(asked - self.money_covered, Decimal(0))

    def kinds_open(self) -> list[str]:
        """The kinds of support of which something is still wanted.

        A kind that the need counts is open while its number is: capacity building in places,
        finance in money. Any other is open until an agreement gives it. A number whose own kind
        is not asked for counts for the other kinds.
        """
        return [kind for kind in self.support_kinds if self._is_open(kind)]

    def _is_open(self, kind: str) -> bool:
        numbers = [
            number
            for number, counts in (
                (self.places_open(), self._counts_places(kind)),
                (self.money_open(), self._counts_money(kind)),
            )
            if counts and number is not None
        ]
        return any(numbers) or not (numbers or kind in self.kinds_covered)

    def _counts_places(self, kind: str) -> bool:
        kinds = self.support_kinds
        if COUNTED_IN_PLACES in kinds:
            return kind == COUNTED_IN_PLACES
        return kind != FINANCE or kinds == [FINANCE]

    def _counts_money(self, kind: str) -> bool:
        return kind == FINANCE or FINANCE not in self.support_kinds

    def status_by_balance(self) -> PostStatus:
        """Fulfilled once nothing of what the need asks for is open."""
        if not (self.places_covered or self.money_covered or self.kinds_covered):
            return PostStatus.PUBLISHED
        return PostStatus.PARTLY_COMMITTED if self.kinds_open() else PostStatus.FULFILLED


class Offer(Post):
    """What a provider puts on the exchange, with its capacity.

    ``places_committed`` and ``money_committed`` are the balance of the ledger's rows; they are
    changed only by :mod:`models.ledger`, in one statement that cannot oversell.
    """

    __tablename__ = "offer"
    __table_args__ = (
        CheckConstraint("places IS NULL OR places >= 0", name="places_not_negative"),
        CheckConstraint("money IS NULL OR money >= 0", name="money_not_negative"),
        CheckConstraint("places_committed >= 0", name="committed_not_negative"),
        CheckConstraint("money_committed >= 0", name="money_committed_not_negative"),
        CheckConstraint("places IS NULL OR places_committed <= places", name="places_not_oversold"),
        CheckConstraint("money IS NULL OR money_committed <= money", name="money_not_oversold"),
    )

    id: Mapped[int] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"), primary_key=True)
    conditions: Mapped[str] = mapped_column(Text, default="")
    own_country: Mapped[bool] = mapped_column(default=False)
    places: Mapped[int | None]
    places_per_beneficiary: Mapped[int | None]
    places_least: Mapped[int | None]
    places_committed: Mapped[int] = mapped_column(default=0)
    money: Mapped[Decimal | None]
    money_sealed: Mapped[bool] = mapped_column(default=False)
    grant_least: Mapped[Decimal | None]
    grant_most: Mapped[Decimal | None]
    money_committed: Mapped[Decimal] = mapped_column(default=Decimal(0))
    free: Mapped[bool | None]
    how_to_apply: Mapped[str] = mapped_column(Text, default="")
    opens: Mapped[date | None]
    experience_countries: Mapped[list[str]] = mapped_column(default=list)
    experience_projects: Mapped[str] = mapped_column(Text, default="")
    pilot_hosted: Mapped[bool | None]
    pilot_brings: Mapped[str] = mapped_column(Text, default="")

    __mapper_args__ = {"polymorphic_identity": "offer", "polymorphic_load": "selectin"}

    def subregions(self) -> frozenset[str]:
        served = frozenset(self.codes("serves_subregion"))
        if served:
            return served
        country = self.organisation.country
        return frozenset({country.subregion} if country and country.subregion else ())

    def remaining_places(self) -> int | None:
        """Places that no agreement has committed; None where the offer states no number."""
        return None if self.places is None else self.places - self.places_committed

    def remaining_money(self) -> Decimal | None:
        """Money that no agreement has committed, in the offer's currency; None if not stated."""
        return None if self.money is None else self.money - self.money_committed

    def status_by_balance(self) -> PostStatus:
        """Exhausted once agreements have taken the last place or the last of the money."""
        if not (self.places_committed or self.money_committed):
            return PostStatus.PUBLISHED
        used_up = self.remaining_places() == 0 or self.remaining_money() == 0
        return PostStatus.EXHAUSTED if used_up else PostStatus.PARTLY_COMMITTED


class PostVersion(Base):
    """A published text as others saw it: later edits never rewrite it."""

    __tablename__ = "post_version"
    __table_args__ = (UniqueConstraint("post_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"), index=True)
    number: Mapped[int]
    content: Mapped[dict[str, Any]]
    author_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    post: Mapped[Post] = relationship(back_populates="versions")
    author: Mapped[User | None] = relationship()
