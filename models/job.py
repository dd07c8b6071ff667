"""Jobs: long work that a worker does while somebody waits; routines: what the clock asks for."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, utc_now
from models.life import Life
from models.user import User

MOST_ATTEMPTS = 3
"""How often a job is begun again after its worker died; then it is given up."""


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


JOB_LIFE: Life[JobStatus] = Life(
    "job",
    {
        JobStatus.QUEUED: (JobStatus.RUNNING, JobStatus.STOPPED),
        # Back to the queue when its worker died.
        JobStatus.RUNNING: (
            JobStatus.DONE,
            JobStatus.FAILED,
            JobStatus.STOPPED,
            JobStatus.QUEUED,
        ),
    },
)

UNFINISHED = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})


class Job(Base):
    """Long work that somebody started.

    Attributes
    ----------
    kind : str
        Which work it is: the name under which the application knows it.
    arguments : dict
        What the work is given; JSON.
    kept : dict
        What the work has noted down for the case that it is interrupted; JSON.
    result : dict
        What came of it; JSON, empty before the end.
    problem : dict
        ``code`` and ``facts`` of the error for which it failed; empty otherwise.
    stop_asked : bool
        Whether somebody wants it stopped; the work looks whenever it tells its progress.
    """

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_status", "status"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    status: Mapped[str] = mapped_column(String(10), default=JobStatus.QUEUED)
    by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"), index=True)
    arguments: Mapped[dict[str, Any]] = mapped_column(default=dict)
    kept: Mapped[dict[str, Any]] = mapped_column(default=dict)
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    problem: Mapped[dict[str, Any]] = mapped_column(default=dict)
    attempts: Mapped[int] = mapped_column(default=0)
    stop_asked: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    by: Mapped[User | None] = relationship()

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status not in UNFINISHED

    def can_be_seen_by(self, user: User) -> bool:
        """Whether it is this person's own, or she keeps the whole exchange."""
        return self.by_id == user.id or user.is_secretariat

    def end(self, status: JobStatus, *, result: dict[str, Any] | None = None) -> None:
        """Bring it to an end.

        Raises
        ------
        InvalidTransition
            It has ended already.
        """
        self.status = JOB_LIFE.check(JobStatus(self.status), status)
        self.result = result or {}
        self.finished_at = utc_now()


class RoutineTurn(Base):
    """When a routine of the clock last ran, so that it runs once, whoever looks at the clock."""

    __tablename__ = "routine_turn"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    begun_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(Text, default="")
