"""People who sign in, and the roles that say what they may do."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.organisation import Organisation


class Role(StrEnum):
    """What a person is to the exchange. A reader who has not signed in is ``PUBLIC``."""

    PUBLIC = "public"
    FOCAL_POINT = "focal_point"
    PROVIDER = "provider"
    TASK_FORCE = "task_force"
    DELEGATE = "delegate"
    COORDINATOR = "coordinator"
    SECRETARIAT = "secretariat"


NEED_POSTERS = frozenset({Role.FOCAL_POINT, Role.COORDINATOR})
"""Roles whose people post needs: governments, and coordinators for their subregion."""

OFFER_POSTERS = frozenset({Role.FOCAL_POINT, Role.PROVIDER, Role.TASK_FORCE})
"""Roles whose people post offers: providers, and governments for South-South cooperation."""

DELEGATED = frozenset({Role.DELEGATE})
"""Roles whose people write needs that their focal point endorses, and decide on nothing."""

MODERATORS = frozenset({Role.COORDINATOR, Role.SECRETARIAT})
"""Roles that review posts before they are published; a coordinator only for one subregion."""


class User(Base):
    """A person with an account, acting for one organisation in one role.

    A delegate is a colleague whom a focal point invited: she writes needs under the focal point's
    organisation, for the ``ministry`` that she comes from.
    """

    __tablename__ = "user_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    password_hash: Mapped[str] = mapped_column(String(200), default="")
    role: Mapped[Role] = mapped_column(String(20))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    subregion: Mapped[str | None] = mapped_column(String(32))
    ministry: Mapped[str] = mapped_column(String(160), default="")
    language: Mapped[str] = mapped_column(String(2), default="es")
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    signed_in_at: Mapped[datetime | None]

    organisation: Mapped[Organisation] = relationship(lazy="joined")

    # The four names that Flask-Login reads; models/ does not import it.
    is_authenticated = True
    is_anonymous = False

    @property
    def is_active(self) -> bool:
        """Whether the account may sign in."""
        return self.active

    def get_id(self) -> str:
        """The account's number as text, as sessions keep it."""
        return str(self.id)

    @property
    def is_secretariat(self) -> bool:
        """Whether the person acts for the secretariat."""
        return self.role == Role.SECRETARIAT

    def acts_for(self, organisation_id: int | None) -> bool:
        """Whether the person acts for that organisation, in a role that posts."""
        return (
            self.active
            and organisation_id == self.organisation_id
            and self.role in NEED_POSTERS | OFFER_POSTERS
        )

    @property
    def is_delegate(self) -> bool:
        """Whether the person writes needs that somebody else endorses."""
        return self.role in DELEGATED

    def may_post(self, kind: str) -> bool:
        """Whether the person's role posts needs (``"need"``) or offers (``"offer"``)."""
        posters = NEED_POSTERS | DELEGATED if kind == "need" else OFFER_POSTERS
        return self.active and self.role in posters

    def may_endorse_for(self, organisation_id: int | None) -> bool:
        """Whether the person endorses what colleagues of that organisation have written."""
        return (
            self.active
            and self.role == Role.FOCAL_POINT
            and organisation_id == self.organisation_id
        )

    def moderates(self, subregions: frozenset[str]) -> bool:
        """Whether the person may moderate what concerns ``subregions``.

        The secretariat moderates everything; a coordinator what concerns her subregion alone.
        """
        if not self.active or self.role not in MODERATORS:
            return False
        return self.is_secretariat or subregions == frozenset({self.subregion})
