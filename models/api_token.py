"""Personal tokens, by which programs act for a person; and answers kept for repeated requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.action_plan import PLAN_KEEPERS
from models.base import Base, utc_now
from models.user import MODERATORS, NEED_POSTERS, OFFER_POSTERS, Role, User

READ, CALENDAR = "read", "calendar"

SCOPES: dict[str, frozenset[Role]] = {
    READ: frozenset(Role) - {Role.PUBLIC},
    "write:posts": NEED_POSTERS | OFFER_POSTERS,
    "write:matches": NEED_POSTERS | OFFER_POSTERS,
    "write:agreements": NEED_POSTERS | OFFER_POSTERS,
    "write:plans": PLAN_KEEPERS,
    "moderate": MODERATORS,
    "secretariat": frozenset({Role.SECRETARIAT}),
    CALENDAR: frozenset(Role) - {Role.PUBLIC},
}
"""What a token may be good for → the roles whose people may make one for it.

``calendar`` opens one's own calendar by its address and nothing else.
"""


class ApiToken(Base):
    """A secret by which a program acts for its owner, within scopes and until it expires.

    ``digest`` is the SHA-256 of the token in hexadecimal: the token itself is shown once and kept
    nowhere. ``hint`` is its beginning, by which its owner tells it from others.
    """

    __tablename__ = "api_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    hint: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()

    def is_good(self, now: datetime) -> bool:
        """Whether the token opens anything: neither revoked nor expired, its owner's account open."""
        return self.revoked_at is None and self.expires_at > now and self.user.active

    def covers(self, scope: str) -> bool:
        """Whether the token is for that, and its owner's role still is, too."""
        return scope in self.scopes and self.user.role in SCOPES.get(scope, frozenset())


class KeptAnswer(Base):
    """The answer to a request that carried an idempotency key, given again when it is repeated.

    ``digest`` is the SHA-256 of the request's method, path and body.
    """

    __tablename__ = "kept_answer"
    __table_args__ = (UniqueConstraint("user_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    key: Mapped[str] = mapped_column(String(255))
    digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    body: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
