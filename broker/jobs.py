"""Long work in the background, and what the clock asks for.

A use case that may take long is registered with :func:`job` and started with :func:`start_job`; a
worker (``broker work``, which ``broker serve`` starts beside itself) does it while a page shows how
far it is. What is to happen by itself, every minute or every night, is registered with
:func:`routine`.

The row of a :class:`models.Job` says what is to be done and how it ended; Huey's queue, in a file
of its own or on Redis, carries its number to a worker and its progress back. So progress is told
while the work holds the database's write lock.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from huey import Huey, RedisHuey, SqliteHuey, crontab
from sqlalchemy import Select, event, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from broker.audit import record
from broker.speech import speaking
from models import (
    MOST_ATTEMPTS,
    DomainError,
    Job,
    JobStatus,
    NotAllowed,
    NotFound,
    RoutineTurn,
    User,
    utc_now,
)

if TYPE_CHECKING:
    from broker.exchange import Exchange

logger = logging.getLogger(__name__)

MODULES: tuple[str, ...] = (
    "broker.api.repeats",
    "broker.webhooks",
    "broker.letters",
    "broker.searches",
    "broker.silence",
    "broker.writing",
    "broker.engine",
    "broker.directory_search",
    "broker.runs",
    "broker.clearing",
    "broker.weights",
    "broker.imports",
    "broker.iati_import",
    "broker.report.folder",
)
"""Modules that register jobs and routines; imported before either is looked for."""

BEAT = 5.0
"""Seconds between two signs of life of a running job."""
DEAD_AFTER = timedelta(seconds=60)
"""Without a sign of life for so long, the worker of a job is taken for dead."""
LOST_AFTER = timedelta(seconds=60)
"""A job that waits for so long is told to the queue again: its first message may be lost."""
TELL_EVERY = 0.5
"""Seconds between two tellings of progress."""

F = TypeVar("F", bound=Callable[..., Any])


class JobStopped(Exception):
    """Somebody asked the running job to stop; raised inside its work."""


@dataclass(frozen=True)
class JobKind:
    """A kind of job: how it is called, what does it, and the page that shows its result.

    ``page`` is the endpoint to which ``result["page"]`` gives the values of the address.
    """

    function: Callable[..., dict[str, Any] | None]
    name: Any
    page: str = ""


@dataclass(frozen=True)
class Routine:
    """What is to happen by itself, and how often."""

    function: Callable[[Exchange], Any]
    every: timedelta


JOBS: dict[str, JobKind] = {}
ROUTINES: dict[str, Routine] = {}


def job(kind: str, *, name: Any = "", page: str = "") -> Callable[[F], F]:
    """Register ``function(exchange, work, **arguments) -> dict`` as the work of a kind of job.

    Parameters
    ----------
    kind : str
        Its code, at most 40 characters.
    name : str
        What people read, translatable (``lazy_gettext``).
    page : str
        Endpoint of the page that shows the result, if there is one; the values of its address are
        ``result["page"]``.
    """

    def register(function: F) -> F:
        JOBS[kind] = JobKind(function, name or kind, page)
        return function

    return register


def routine(*, every: timedelta) -> Callable[[F], F]:
    """Register ``function(exchange)`` as a routine, under the function's own name."""

    def register(function: F) -> F:
        ROUTINES[function.__name__] = Routine(function, every)
        return function

    return register


def learn_kinds() -> None:
    """Import the modules that register jobs and routines."""
    for module in MODULES:
        importlib.import_module(module)


# --- The queue ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Queue:
    """The queue of an exchange: Huey, and the task that does a job by its number."""

    huey: Huey
    do_job: Any = field(repr=False)

    def send(self, job_id: int) -> None:
        """Tell a worker of a job."""
        self.do_job(job_id)

    def tell(self, job_id: int, done: int, total: int) -> None:
        """Leave word of how far a job is."""
        self.huey.put(f"progress-{job_id}", (done, total))

    def told(self, job_id: int) -> tuple[int, int]:
        """The last word of how far a job is; (0, 0) where there is none."""
        return self.huey.get(f"progress-{job_id}", peek=True) or (0, 0)

    def beat(self, job_id: int) -> None:
        """Leave a sign of life."""
        self.huey.put(f"beat-{job_id}", time.time())

    def last_beat(self, job_id: int) -> float:
        """When the last sign of life was left, in seconds since 1970; 0 where there is none."""
        return self.huey.get(f"beat-{job_id}", peek=True) or 0.0

    def forget(self, job_id: int) -> None:
        """Take away what was told of a job that has ended."""
        for what in ("progress", "beat"):
            self.huey.get(f"{what}-{job_id}")


def make_queue(exchange: Exchange) -> Queue:
    """The queue in the installation's folder, or on Redis where the settings name one."""
    settings = exchange.settings
    huey: Huey = (
        RedisHuey("broker", url=settings.redis_url)
        if settings.redis_url
        else SqliteHuey("broker", filename=str(settings.home / "jobs.db"), timeout=30)
    )

    @huey.task(name="do_job")
    def do(job_id: int) -> None:
        do_job(exchange, job_id)

    @huey.periodic_task(crontab(minute="*"), name="look_at_the_clock")
    def look() -> None:
        take_up_lost_jobs(exchange)
        run_routines(exchange)

    return Queue(huey, do)


def work(exchange: Exchange, threads: int = 1) -> None:
    """Do jobs and routines until stopped (SIGINT, SIGTERM)."""
    learn_kinds()
    consumer = exchange.queue.huey.create_consumer(
        workers=threads, initial_delay=0.1, max_delay=1.0, periodic=True, check_worker_health=True
    )
    consumer.run()


# --- Jobs -----------------------------------------------------------------------------------


def start_job(session: Session, by: User | None, kind: str, **arguments: Any) -> Job:
    """Start a job when the running transaction is kept.

    Parameters
    ----------
    by : User or None
        Whose job it is; she and the secretariat see it.
    kind : str
        One of the registered kinds.
    **arguments
        JSON; given to the work by name.
    """
    learn_kinds()
    JOBS[kind]
    started = Job(kind=kind, by_id=by.id if by else None, arguments=arguments)
    session.add(started)
    session.flush()
    record(session, by, "job.started", started, after={"kind": kind})
    exchange: Exchange = session.info["exchange"]
    job_id = started.id

    def send(_session: Session) -> None:
        try:
            exchange.queue.send(job_id)
        except Exception:
            # The job is in the database: the clock finds it again.
            logger.exception("job %s could not be told to the queue", job_id)

    event.listen(session, "after_commit", send, once=True)
    return started


class Work:
    """A job as its own work sees it.

    Attributes
    ----------
    kept : dict
        What an interrupted attempt noted down; empty at the first.
    """

    def __init__(self, exchange: Exchange, job_id: int, kept: dict[str, Any]) -> None:
        self.exchange, self.id, self.kept = exchange, job_id, kept
        self._told = 0.0

    def progress(self, done: int, total: int) -> None:
        """Tell how far the work is; to be called as often as one likes.

        Raises
        ------
        JobStopped
            Somebody asked it to stop. Let it pass: what was not kept is undone.
        """
        if time.monotonic() - self._told < TELL_EVERY and done < total:
            return
        self._told = time.monotonic()
        self.exchange.queue.tell(self.id, done, total)
        with self.exchange.reading() as session:
            if session.scalar(select(Job.stop_asked).where(Job.id == self.id)):
                raise JobStopped

    def keep(self, note: dict[str, Any], session: Session | None = None) -> None:
        """Note down where to go on after an interruption.

        With ``session``, in its transaction: the note and the work that it stands for are then
        kept together or not at all. Without, in one of its own; not while another one writes.
        """
        self.kept = note
        change = update(Job).where(Job.id == self.id).values(kept=note)
        if session is not None:
            session.execute(change)
            return
        with self.exchange.writing() as own:
            own.execute(change)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Leave signs of life while the work runs."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(BEAT):
                self.exchange.queue.beat(self.id)

        self.exchange.queue.beat(self.id)
        heart = threading.Thread(target=beat, name=f"job-{self.id}", daemon=True)
        heart.start()
        try:
            yield
        finally:
            done.set()
            heart.join()


class Bars:
    """A job's progress in the form of bars: ``bars(total, what)`` gives one to ``update(n)``."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.done = self.total = 0

    def __call__(self, total: int, what: str) -> Bars:
        self.done, self.total = 0, total
        return self

    def update(self, count: int) -> None:
        """Move on by ``count``; raises :class:`JobStopped` like :meth:`Work.progress`."""
        self.done += count
        self.work.progress(self.done, self.total)

    def close(self) -> None:
        """The bar is full; the next one may begin."""


def do_job(exchange: Exchange, job_id: int) -> None:
    """Do a waiting job; nothing happens where another worker has it, or it has ended."""
    learn_kinds()
    with exchange.writing() as session:
        taken = session.execute(
            update(Job)
            .where(Job.id == job_id, Job.status == JobStatus.QUEUED)
            .values(status=JobStatus.RUNNING, started_at=utc_now(), attempts=Job.attempts + 1)
        )
        if not taken.rowcount:  # type: ignore[attr-defined]
            return
        found = session.get_one(Job, job_id)
        kind, arguments, kept = JOBS[found.kind], dict(found.arguments), dict(found.kept)
        language = found.by.language if found.by else exchange.settings.language
    exchange.renew()
    own = Work(exchange, job_id, kept)
    status, result, problem = JobStatus.DONE, {}, {}
    try:
        with own.alive(), speaking(language):
            result = kind.function(exchange, own, **arguments) or {}
    except JobStopped:
        status = JobStatus.STOPPED
    except DomainError as error:
        status, problem = JobStatus.FAILED, {"code": error.code, "facts": error.params}
    except Exception:
        logger.exception("job %s (%s) failed", job_id, kind)
        status, problem = JobStatus.FAILED, {"code": "job_failed", "facts": {}}
    with exchange.writing() as session:
        ended = session.get_one(Job, job_id)
        if not ended.finished:
            ended.end(status, result=result)
            ended.problem = problem
    exchange.queue.forget(job_id)


def take_up_lost_jobs(exchange: Exchange) -> list[int]:
    """Begin again the jobs whose worker died, and tell the queue of those that it lost.

    Returns
    -------
    list of int
        The jobs that were told to the queue.
    """
    now, sent = utc_now(), []
    with exchange.writing() as session:
        for lost in session.scalars(select(Job).where(Job.status == JobStatus.RUNNING)):
            if time.time() - exchange.queue.last_beat(lost.id) < DEAD_AFTER.total_seconds():
                continue
            if lost.attempts >= MOST_ATTEMPTS:
                lost.end(JobStatus.FAILED)
                lost.problem = {"code": "job_interrupted", "facts": {}}
            else:
                lost.status = JobStatus.QUEUED
                sent.append(lost.id)
        waiting = select(Job.id).where(
            Job.status == JobStatus.QUEUED, Job.created_at < now - LOST_AFTER
        )
        sent += [job_id for job_id in session.scalars(waiting) if job_id not in sent]
    for job_id in sent:
        exchange.queue.send(job_id)
    return sent


def do_waiting_jobs(exchange: Exchange) -> int:
    """Do all the jobs that wait, here and now, in their order; returns how many."""
    count = 0
    while True:
        with exchange.reading() as session:
            waiting = session.scalar(
                select(Job.id).where(Job.status == JobStatus.QUEUED).order_by(Job.id).limit(1)
            )
        if waiting is None:
            return count
        do_job(exchange, waiting)
        count += 1


def find_jobs(by: User) -> Select[Job]:
    """A query for the jobs that a person may see, the newest first."""
    query = select(Job).order_by(Job.id.desc())
    return query if by.is_secretariat else query.where(Job.by_id == by.id)


def get_job(session: Session, by: User, job_id: int) -> Job:
    """A job by its number; raises :class:`models.errors.NotFound`, also for others' jobs."""
    found = session.get(Job, job_id)
    if found is None or not found.can_be_seen_by(by):
        raise NotFound("no_such_job", id=job_id)
    return found


def stop_job(session: Session, by: User, job_id: int) -> Job:
    """Ask a job to stop: one that waits is over at once, a running one when it next looks.

    Raises
    ------
    NotFound
        There is none, or it is somebody else's.
    NotAllowed
        It has ended.
    """
    found = get_job(session, by, job_id)
    if found.finished:
        raise NotAllowed("job_has_ended")
    found.stop_asked = True
    if found.status == JobStatus.QUEUED:
        found.end(JobStatus.STOPPED)
    record(session, by, "job.stopped", found)
    return found


# --- Routines -------------------------------------------------------------------------------


def run_routines(
    exchange: Exchange, *, only: str | None = None, now: datetime | None = None
) -> list[str]:
    """Run the routines whose time has come; each in one process, whoever looks at the clock.

    Parameters
    ----------
    only : str, optional
        Run this one, whether or not its time has come.

    Returns
    -------
    list of str
        The names of those that ran.

    Raises
    ------
    NotFound
        ``only`` is no routine.
    """
    learn_kinds()
    if only is not None and only not in ROUTINES:
        raise NotFound("no_such_routine", name=only, known=sorted(ROUTINES))
    moment, ran = now or utc_now(), []
    for name, found in ROUTINES.items():
        if only not in (None, name):
            continue
        if not _claim(exchange, name, found.every if only is None else timedelta(0), moment):
            continue
        problem = ""
        try:
            with speaking(exchange.settings.language):
                found.function(exchange)
        except Exception as error:
            # One routine that fails must not keep the others from running.
            logger.exception("routine %s failed", name)
            problem = f"{type(error).__name__}: {error}"
        with exchange.writing() as session:
            session.execute(
                update(RoutineTurn)
                .where(RoutineTurn.name == name)
                .values(finished_at=utc_now(), problem=problem)
            )
        ran.append(name)
    return ran


def _claim(exchange: Exchange, name: str, every: timedelta, now: datetime) -> bool:
    """Take the turn of a routine, if it is due and nobody else has."""
    with exchange.writing() as session:
        on_postgres = session.get_bind().dialect.name == "postgresql"
        insert = postgresql.insert if on_postgres else sqlite.insert
        session.execute(insert(RoutineTurn).values(name=name).on_conflict_do_nothing())
        taken = session.execute(
            update(RoutineTurn)
            .where(
                RoutineTurn.name == name,
                or_(RoutineTurn.begun_at.is_(None), RoutineTurn.begun_at <= now - every),
            )
            .values(begun_at=now)
        )
        return bool(taken.rowcount)  # type: ignore[attr-defined]
