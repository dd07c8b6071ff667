"""Connections: one place that knows SQLite from PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

BUSY_SECONDS = 30
"""How long a SQLite writer waits for another one before it gives up."""


def connect(url: str) -> Engine:
    """An engine for ``url``; SQLite gets WAL, foreign keys and honest transactions.

    SQLite begins a transaction when SQLAlchemy says so, and not at the first write: a use case
    that is going to write begins with :func:`begin_writing`, so that what it reads cannot change
    before it writes.
    """
    engine = create_engine(url, connect_args=_connect_args(url))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def begin_writing(session: Session) -> None:
    """Start the session's transaction as a writer; to be called before anything is read.

    On SQLite this takes the one write lock at once. On PostgreSQL rows are locked by the
    statements themselves, and nothing needs to be done.
    """
    session.connection(execution_options={"begin": "IMMEDIATE"})


def _connect_args(url: str) -> dict[str, Any]:
    return {"timeout": BUSY_SECONDS} if url.startswith("sqlite") else {}


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
