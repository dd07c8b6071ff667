"""Where requests are counted, so that a limit holds for all processes together.

One process counts in its memory. Several on one machine share a small file beside the database;
several machines share Redis, as they do for the queue of jobs.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from urllib.parse import urlsplit

from limits.storage import Storage

from broker.settings import Settings

SCHEME = "broker-file"


def storage_of(settings: Settings) -> str:
    """The address of the counters, in the words of Flask-Limiter."""
    if settings.redis_url:
        return settings.redis_url
    if settings.workers > 1:
        return f"{SCHEME}://{settings.home / 'limits.db'}"
    return "memory://"


class CounterFile(Storage):
    """Counters in an SQLite file: each ends with its window, and is forgotten then.

    Every call opens the file anew (a tenth of a millisecond), so that processes that were forked
    and their threads share nothing but it. What was counted may be lost with the machine.
    """

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 - the library's own form

    def __init__(self, uri: str, wrap_exceptions: bool = False, **_options: object) -> None:
        super().__init__(uri, wrap_exceptions)
        self.path = urlsplit(uri).path
        with closing(self._open()) as file:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute(
                "CREATE TABLE IF NOT EXISTS counter "
                "(key TEXT PRIMARY KEY, count INTEGER NOT NULL, ends REAL NOT NULL)"
            )

    def _open(self) -> sqlite3.Connection:
        file = sqlite3.connect(self.path, timeout=5, isolation_level=None)
        file.execute("PRAGMA synchronous = OFF")
        return file

    @property
    def base_exceptions(self) -> type[Exception]:
        """What goes wrong with a file."""
        return sqlite3.Error

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count a request; gives how many there are now in the window, which ``expiry`` s ends."""
        now = time.time()
        with closing(self._open()) as file:
            file.execute("BEGIN IMMEDIATE")
            file.execute("DELETE FROM counter WHERE ends <= ?", (now,))
            [count] = file.execute(
                "INSERT INTO counter VALUES (?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET count = count + excluded.count RETURNING count",
                (key, amount, now + expiry),
            ).fetchone()
            file.execute("COMMIT")
            return int(count)

    def get(self, key: str) -> int:
        """How many requests are counted in the present window."""
        return int(self._read(key)[0])

    def get_expiry(self, key: str) -> float:
        """When the present window ends, in seconds since 1970; now, where none is open."""
        return self._read(key)[1]

    def _read(self, key: str) -> tuple[int, float]:
        now = time.time()
        with closing(self._open()) as file:
            found = file.execute(
                "SELECT count, ends FROM counter WHERE key = ? AND ends > ?", (key, now)
            ).fetchone()
        return found or (0, now)

    def check(self) -> bool:
        """Whether the file can be read."""
        return self.get("") == 0

    def reset(self) -> int:
        """Forget everything; gives how many counters there were."""
        with closing(self._open()) as file:
            return file.execute("DELETE FROM counter").rowcount

    def clear(self, key: str) -> None:
        """Forget what was counted under a key."""
        with closing(self._open()) as file:
            file.execute("DELETE FROM counter WHERE key = ?", (key,))
