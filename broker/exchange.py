"""The running exchange: its settings, database, reference data and engine, held together once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session, sessionmaker

from broker.reference import Reference
from broker.settings import Settings
from models.database import begin_writing, connect

if TYPE_CHECKING:
    from broker.directory_search import EntrySearch
    from broker.duplicates import PostTexts
    from broker.engine import Engine, Vectors
    from broker.jobs import Queue
    from broker.search import PostSearch
    from broker.suggestions import Adviser

BUILT_ON_TEXTS = ("engine", "adviser", "post_texts", "post_search", "entry_search")
"""What a process holds that was made with the engine's text model."""


class Exchange:
    """What web pages, API, jobs and command line share within one process.

    Parameters
    ----------
    settings : Settings
        Completed settings (:meth:`broker.settings.Settings.completed`).
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = connect(settings.database_url)
        # A use case that starts a job finds the queue through its session.
        self.sessions = sessionmaker(self.database, expire_on_commit=False, info={"exchange": self})

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading; nothing of it is kept."""
        with self.sessions() as session:
            yield session
            session.rollback()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that is committed at the end, or undone whole when something fails."""
        with self.sessions() as session:
            begin_writing(session)
            session.info["writing"] = True
            yield session
            session.commit()

    @cached_property
    def reference(self) -> Reference:
        """The reference data, read once."""
        with self.reading() as session:
            return Reference.read(session)

    @cached_property
    def engine(self) -> Engine:
        """The matching engine with the live posts; built at first use."""
        from broker.engine import Engine

        return Engine(self)

    @cached_property
    def adviser(self) -> Adviser:
        """What suggests codes to those who write; it learns from the posts at first use."""
        from broker.suggestions import Adviser

        return Adviser(self)

    @cached_property
    def post_texts(self) -> PostTexts:
        """Titles and vectors of the live posts, for the search for doubles."""
        from broker.duplicates import PostTexts

        return PostTexts(self)

    @cached_property
    def queue(self) -> Queue:
        """Where jobs wait for a worker."""
        from broker.jobs import make_queue

        return make_queue(self)

    @cached_property
    def post_search(self) -> PostSearch:
        """The index by which posts are found; filled at first use."""
        from broker.search import PostSearch

        return PostSearch(self)

    @cached_property
    def entry_search(self) -> EntrySearch:
        """The index by which entries of the directories are found; filled at first use."""
        from broker.directory_search import EntrySearch

        return EntrySearch(self)

    @cached_property
    def vectors(self) -> Vectors:
        """The vectors of texts that this process has read or made."""
        from broker.engine import Vectors

        return Vectors(self)

    def warm_up(self) -> None:
        """Read the posts into book and search index now, so that no reader waits for it."""
        with self.reading() as session:
            with self.engine.open(session):
                pass
            self.post_search.keep_up(session)

    def forget(self) -> None:
        """Read reference data and posts afresh: they were loaded from outside."""
        for name in ("reference", *BUILT_ON_TEXTS):
            self.__dict__.pop(name, None)

    def renew(self, *, at_once: bool = False) -> None:
        """Build the engine anew if it compares words and the vectors that it lacked are there.

        To be called before a request or a job, not in its middle: whoever has begun with one text
        model goes on with it to the end.
        """
        engine = self.__dict__.get("engine")
        if engine is not None and engine.outgrown(at_once=at_once):
            for name in BUILT_ON_TEXTS:
                self.__dict__.pop(name, None)

    def today(self) -> date:
        """The calendar day by which windows and dates are judged (UTC)."""
        return datetime.now(UTC).date()
