"""What the engine needs kept: vectors of texts, and the weights in force."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.user import User


class TextVector(Base):
    """The encoder's vector of one text, kept by the text's digest so that it is made once.

    ``vector`` holds little-endian float32 values; the encoder's name and version are part of the
    key, so that no ranking ever mixes two models.
    """

    __tablename__ = "text_vector"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    encoder: Mapped[str] = mapped_column(String(80), primary_key=True)
    role: Mapped[str] = mapped_column(String(8), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class WeightSet(Base):
    """Weights of the score, with who set them and why; the newest is in force."""

    __tablename__ = "weight_set"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    values: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(Text, default="")

    by: Mapped[User | None] = relationship()
