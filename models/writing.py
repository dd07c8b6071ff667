"""Forms of posts that somebody is writing: what is not saved yet, and where what was saved went."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.post import Post
from models.user import User


class WritingForm(Base):
    """A form in one window of one person.

    It keeps what she has typed since she last saved, for her alone: nothing of it is checked, and
    nothing of it is in the post. Once saved, the same form sent again goes to the same post.

    Attributes
    ----------
    token : str
        Stands in the form; made when it is first opened.
    post : Post or None
        The post that the form changes or has made.
    revision : int or None
        The post's revision that the person was looking at, or that she last saved from here.
    fields : list
        ``[name, value]`` of every field as typed; empty when nothing waits to be saved.
    """

    __tablename__ = "writing_form"
    __table_args__ = (Index("ix_writing_form_user_id", "user_id", "touched_at"),)

    token: Mapped[str] = mapped_column(String(40), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(8))
    post_id: Mapped[int | None] = mapped_column(
        ForeignKey("post.id", ondelete="CASCADE"), index=True
    )
    revision: Mapped[int | None]
    fields: Mapped[list[list[str]]] = mapped_column(JSON, default=list)
    touched_at: Mapped[datetime] = mapped_column(default=utc_now)

    user: Mapped[User] = relationship()
    post: Mapped[Post | None] = relationship()

    @property
    def title(self) -> str:
        """The title as typed, to know the text by."""
        return next((value for name, value in self.fields if name == "title"), "").strip()
