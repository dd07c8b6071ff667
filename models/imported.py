"""Imports: files that brought posts, organisations or accounts, and what became of each row."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.life import Life
from models.organisation import Organisation
from models.user import User


class ImportStatus(StrEnum):
    """Where an import stands."""

    CHECKING = "checking"
    CHECKED = "checked"
    LOADING = "loading"
    LOADED = "loaded"
    UNREADABLE = "unreadable"


IMPORT_LIFE: Life[ImportStatus] = Life(
    "import",
    {
        ImportStatus.CHECKING: (ImportStatus.CHECKED, ImportStatus.UNREADABLE),
        ImportStatus.CHECKED: (ImportStatus.LOADING, ImportStatus.LOADED, ImportStatus.UNREADABLE),
        # Back when loading failed as a whole: nothing was kept, and it can be tried again.
        ImportStatus.LOADING: (ImportStatus.LOADED, ImportStatus.CHECKED, ImportStatus.UNREADABLE),
    },
)


class Import(Base):
    """A file that somebody brought, with what was found in it and what came of it.

    Attributes
    ----------
    scheme : str
        ``"sheet"`` (CSV, XLSX) or ``"iati"``.
    kind : str
        What its rows are: ``"need"``, ``"offer"``, ``"organisation"`` or ``"user"``.
    digest : str
        SHA-256 of the file, in hexadecimal digits; the file itself lies in the installation's
        folder under this name.
    rows, good, loaded, changed, known, kept : int
        Rows in the file; those without a problem; those that made something new, changed what an
        earlier import had made, were there already as they are, or say something else than a post
        that was edited since, which was kept.
    problems : list
        ``{"row": int, "column": str, "problem": str, "value": str}`` for each, in the language of
        who brought it; at most so many as the application keeps.
    """

    __tablename__ = "import_file"

    id: Mapped[int] = mapped_column(primary_key=True)
    scheme: Mapped[str] = mapped_column(String(8))
    kind: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(String(160))
    digest: Mapped[str] = mapped_column(String(64))
    size: Mapped[int]
    status: Mapped[str] = mapped_column(String(10), default=ImportStatus.CHECKING)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    rows: Mapped[int] = mapped_column(default=0)
    good: Mapped[int] = mapped_column(default=0)
    loaded: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    known: Mapped[int] = mapped_column(default=0)
    kept: Mapped[int] = mapped_column(default=0)
    problems: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]

    organisation: Mapped[Organisation] = relationship()
    by: Mapped[User] = relationship()

    def can_be_seen_by(self, user: User) -> bool:
        """Whether it is of the person's own organisation, or she keeps the whole exchange.

        A delegate sees those that she brought: what her colleagues draft is not hers to read.
        """
        if user.is_delegate:
            return self.by_id == user.id
        return self.organisation_id == user.organisation_id or user.is_secretariat

    def become(self, status: ImportStatus) -> None:
        """Go on to another state; raises :class:`models.errors.InvalidTransition`."""
        self.status = IMPORT_LIFE.check(ImportStatus(self.status), status)
        if self.status in (ImportStatus.LOADED, ImportStatus.UNREADABLE):
            self.finished_at = utc_now()


class ImportedRow(Base):
    """What a row of an import made: the same row in a later file finds it again.

    Attributes
    ----------
    key : str
        The row's own name in its source: the writer's number, or the IATI identifier.
    digest : str
        SHA-256 of what the row said, in hexadecimal digits: another one means that it changed.
    event_id : int or None
        The newest audit event when the row was loaded: later edits of its post are a person's.
    waiting : dict or None
        What a changed row says of a post that somebody has edited since, until a person chooses.
    """

    __tablename__ = "imported_row"
    __table_args__ = (UniqueConstraint("scheme", "organisation_id", "kind", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    scheme: Mapped[str] = mapped_column(String(8))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    kind: Mapped[str] = mapped_column(String(12))
    key: Mapped[str] = mapped_column(String(255))
    entity_id: Mapped[int] = mapped_column(index=True)
    digest: Mapped[str] = mapped_column(String(64))
    import_id: Mapped[int] = mapped_column(
        ForeignKey("import_file.id", ondelete="CASCADE"), index=True
    )
    event_id: Mapped[int | None]
    waiting: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
