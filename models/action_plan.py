"""The action plan: the matrix of countries, subregions and the region, in cycles of two years."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.errors import Conflict, NotAllowed
from models.life import Life
from models.progress import share_of_way
from models.reference import Country
from models.user import MODERATORS, Role, User

CYCLE = 2
"""Years of a cycle of the plan."""

MOST_CHOSEN = 4
"""Priority lines of a subregion in each dimension (meeting of 2007, chapter 4)."""

REGION = "regional"
"""The scope of the plan that the subregions' priority lines make together."""


PLAN_KEEPERS = frozenset({Role.FOCAL_POINT}) | MODERATORS
"""Who keeps a plan: a country's, a subregion's, or any."""


class PlanStatus(StrEnum):
    """Where a plan stands."""

    DRAFT = "draft"
    ADOPTED = "adopted"
    CLOSED = "closed"


PLAN_LIFE: Life[PlanStatus] = Life(
    "plan",
    {
        PlanStatus.DRAFT: (PlanStatus.ADOPTED,),
        PlanStatus.ADOPTED: (PlanStatus.DRAFT, PlanStatus.CLOSED),
    },
)


class ActionPlan(Base):
    """The matrix of one country or subregion, or of the region, for one cycle.

    Attributes
    ----------
    scope : str
        Code of a country (``"PE"``), of a subregion (``"andean"``), or ``"regional"``.
    starts : int
        First year of the cycle.
    """

    __tablename__ = "action_plan"
    __table_args__ = (
        UniqueConstraint("scope", "starts"),
        CheckConstraint("starts BETWEEN 1990 AND 2100", name="cycle_year"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(String(16))
    country_code: Mapped[str | None] = mapped_column(ForeignKey("country.code"), index=True)
    starts: Mapped[int]
    ends: Mapped[int]
    status: Mapped[str] = mapped_column(String(8), default=PlanStatus.DRAFT)
    source: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    adopted_at: Mapped[datetime | None]

    country: Mapped[Country | None] = relationship(lazy="joined")
    lines: Mapped[list[PlanLine]] = relationship(
        back_populates="plan",
        cascade="all, delete-orphan",
        order_by="(PlanLine.dimension, PlanLine.position, PlanLine.id)",
        foreign_keys="PlanLine.plan_id",
    )

    @property
    def subregion(self) -> str | None:
        """The subregion that it belongs to; None for the region's."""
        if self.country is not None:
            return self.country.subregion
        return None if self.scope == REGION else self.scope

    @property
    def is_countrys(self) -> bool:
        """Whether it is a country's own."""
        return self.country_code is not None

    def can_be_edited_by(self, user: User | None) -> bool:
        """A country's focal point edits its plan, a coordinator her subregion's.

        The secretariat may edit any, since it types up what meetings decide; the region's has no
        lines of its own.
        """
        if user is None or not user.active or self.scope == REGION:
            return False
        if user.is_secretariat:
            return True
        if self.is_countrys:
            country = user.organisation.country_code
            return user.role == Role.FOCAL_POINT and country == self.country_code
        return user.role == Role.COORDINATOR and user.subregion == self.scope

    def can_be_settled_by(self, user: User | None) -> bool:
        """Who edits a plan adopts and closes it; the region's is settled by the secretariat."""
        if self.scope == REGION:
            return user is not None and user.active and user.is_secretariat
        return self.can_be_edited_by(user)

    def require_editable(self, user: User) -> None:
        """Raise :class:`NotAllowed` for those who may not, :class:`Conflict` once it is adopted."""
        if not self.can_be_edited_by(user):
            raise NotAllowed("edit_plan")
        if self.status != PlanStatus.DRAFT:
            raise Conflict("plan_is_adopted")

    def become(self, status: PlanStatus) -> None:
        """Go on to another state; raises :class:`models.errors.InvalidTransition`."""
        self.status = PLAN_LIFE.check(PlanStatus(self.status), status)
        if status == PlanStatus.ADOPTED:
            self.adopted_at = utc_now()


class PlanLine(Base):
    """A line of the matrix: a priority, what is expected of it, who does what with which means.

    Attributes
    ----------
    subregion_plan : ActionPlan or None
        The plan of the subregion that has chosen this line of one of its countries as a priority.
    choice_reason : str
        Why it was chosen.
    """

    __tablename__ = "plan_line"
    __table_args__ = (
        CheckConstraint("dimension IN ('1', '2', '3')", name="dimension_known"),
        Index("ix_plan_line_subregion_plan_id", "subregion_plan_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(
        ForeignKey("action_plan.id", ondelete="CASCADE"), index=True
    )
    position: Mapped[int] = mapped_column(default=0)
    language: Mapped[str] = mapped_column(String(2))
    dimension: Mapped[str] = mapped_column(String(1))
    horizon: Mapped[str | None] = mapped_column(String(8))
    ilac_area: Mapped[str | None] = mapped_column(String(2))
    themes: Mapped[list[str]] = mapped_column(default=list)
    mandates: Mapped[list[str]] = mapped_column(default=list)
    priority: Mapped[str] = mapped_column(Text)
    results: Mapped[str] = mapped_column(Text, default="")
    activities: Mapped[str] = mapped_column(Text, default="")
    responsible: Mapped[str] = mapped_column(Text, default="")
    resources: Mapped[str] = mapped_column(Text, default="")
    other_actors: Mapped[str] = mapped_column(Text, default="")
    translations: Mapped[dict[str, Any]] = mapped_column(default=dict)
    source: Mapped[dict[str, Any]] = mapped_column(default=dict)
    subregion_plan_id: Mapped[int | None] = mapped_column(ForeignKey("action_plan.id"))
    choice_reason: Mapped[str] = mapped_column(Text, default="")
    chosen_by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    revision: Mapped[int] = mapped_column(default=1)

    plan: Mapped[ActionPlan] = relationship(back_populates="lines", foreign_keys=[plan_id])
    subregion_plan: Mapped[ActionPlan | None] = relationship(foreign_keys=[subregion_plan_id])
    chosen_by: Mapped[User | None] = relationship()
    indicators: Mapped[list[PlanIndicator]] = relationship(
        back_populates="line", cascade="all, delete-orphan", order_by="PlanIndicator.id"
    )
    links: Mapped[list[PlanLink]] = relationship(
        back_populates="line", cascade="all, delete-orphan", order_by="PlanLink.id"
    )

    __mapper_args__ = {"version_id_col": revision}

    def said(self, field: str, language: str) -> str:
        """A text of the line, in the reader's language where somebody has written it so."""
        translated = (self.translations or {}).get(language, {}).get(field)
        return str(translated or getattr(self, field))

    @property
    def chosen(self) -> bool:
        """Whether it is a priority line of its subregion."""
        return self.subregion_plan_id is not None or not self.plan.is_countrys


class PlanIndicator(Base):
    """A measured quantity of a line, with baseline and target."""

    __tablename__ = "plan_indicator"

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("plan_line.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(400))
    names: Mapped[dict[str, str]] = mapped_column(default=dict)
    unit: Mapped[str] = mapped_column(String(60), default="")
    baseline: Mapped[float | None]
    target: Mapped[float | None]
    due: Mapped[date | None]

    line: Mapped[PlanLine] = relationship(back_populates="indicators")
    reports: Mapped[list[PlanReport]] = relationship(
        back_populates="indicator",
        cascade="all, delete-orphan",
        order_by="(PlanReport.on, PlanReport.id)",
    )

    def said(self, language: str) -> str:
        """Its name in the reader's language where somebody has written it so."""
        return (self.names or {}).get(language) or self.name

    def progress(self) -> float | None:
        """Share of the way from baseline to target that the last report shows."""
        last = self.reports[-1].value if self.reports else None
        return share_of_way(self.baseline, self.target, last)


class PlanReport(Base):
    """A value reported for an indicator of the plan."""

    __tablename__ = "plan_report"

    id: Mapped[int] = mapped_column(primary_key=True)
    indicator_id: Mapped[int] = mapped_column(
        ForeignKey("plan_indicator.id", ondelete="CASCADE"), index=True
    )
    on: Mapped[date]
    value: Mapped[float]
    note: Mapped[str] = mapped_column(Text, default="")
    by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    indicator: Mapped[PlanIndicator] = relationship(back_populates="reports")
    by: Mapped[User | None] = relationship()


class PlanLink(Base):
    """A post or an agreement that serves a line."""

    __tablename__ = "plan_link"
    __table_args__ = (
        UniqueConstraint("line_id", "kind", "entity_id"),
        CheckConstraint("kind IN ('need', 'offer', 'agreement')", name="kind_known"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("plan_line.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    entity_id: Mapped[int]

    line: Mapped[PlanLine] = relationship(back_populates="links")
