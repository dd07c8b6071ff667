"""The database's schema: carried from version to version, and held against the models.

Every change of a table is a migration in ``models/migrations/versions``, with a way up and a way
down. The application, the command line and the tests all create their tables here and nowhere
else, from a checkout or from an installed wheel alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, Engine, inspect, text

from models.base import Base
from models.database import connect
from models.errors import DomainError

MIGRATIONS = Path(__file__).parent / "migrations"

NO_VERSION = "0"
"""What an empty database is said to be at."""

_UPGRADE_LOCK = 1_059_274_400
"""Key of the PostgreSQL advisory lock that lets one program at a time change the schema."""


def upgrade(target: Engine | str, revision: str = "head") -> str:
    """Carry the database up to ``revision``; on an empty one, this creates the tables.

    All or nothing: if a step fails, the database is as it was. Two programs that start at once
    take turns, and the second finds nothing left to do.

    Parameters
    ----------
    target : Engine or str
        An engine of :func:`models.database.connect`, or a URL for one.

    Returns
    -------
    str
        The version that the database is now at.

    Raises
    ------
    DomainError
        ``database_ahead`` where a newer program has changed the database already.
    """
    with _changing(target) as connection:
        _require_known(connection)
        command.upgrade(_config(connection), revision)
        return version(connection)


def downgrade(target: Engine | str, revision: str) -> str:
    """Carry the database down to ``revision``; ``"base"`` drops every table with its rows.

    Returns and raises what :func:`upgrade` does.
    """
    with _changing(target) as connection:
        _require_known(connection)
        command.downgrade(_config(connection), revision)
        return version(connection)


def check(target: Engine | str) -> list[str]:
    """Hold the database against the program.

    Returns
    -------
    list of str
        What differs between the models and the tables, one line each; empty when all agree.
        Differences at the right version mean that a migration is missing, or that somebody
        changed the database by hand.

    Raises
    ------
    DomainError
        ``database_behind`` or ``database_ahead``, with the version ``now`` and the one that the
        program needs ``then``.
    """
    require_current(target)
    with _connected(target) as connection:
        return differences(connection)


def require_current(target: Engine | str) -> None:
    """Do nothing where the database is at the program's version; cheap enough for every start.

    Raises
    ------
    DomainError
        What :func:`check` raises for another version.
    """
    with _connected(target) as connection:
        now, then = version(connection), newest_version()
        _require_known(connection)
        if now != then:
            raise DomainError("database_behind", now=now, then=then)


def version(connection: Connection) -> str:
    """The version that the database is at; ``"0"`` where it has none yet."""
    return MigrationContext.configure(connection).get_current_revision() or NO_VERSION


def newest_version() -> str:
    """The version that this program works with."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head() or NO_VERSION


def differences(connection: Connection) -> list[str]:
    """What differs between the models and the tables, one line each.

    Alembic compares tables, columns, types, indexes, unique and foreign keys; it leaves out
    CHECK constraints, which hold the capacity rule: these are compared by name.
    """
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found = [str(difference) for difference in compare_metadata(context, Base.metadata)]
    inspector = inspect(connection)
    existing = set(inspector.get_table_names())
    for table in Base.metadata.sorted_tables:
        if table.name not in existing:
            continue
        modelled = {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
        stored = {str(c["name"]) for c in inspector.get_check_constraints(table.name)}
        found += [f"missing CHECK {name}" for name in sorted(modelled - stored)]
        found += [f"unknown CHECK {name}" for name in sorted(stored - modelled)]
    return found


def draft_migration(target: Engine | str, message: str) -> Path:
    """Write a first draft of the migration that a change of the models needs.

    ``target`` is a database at the newest version. The draft lands beside the others and is to be
    read and completed by hand: Alembic sees neither renamed columns nor triggers.
    """
    number = f"{int(newest_version()) + 1:04d}"
    with _connected(target) as connection:
        command.revision(_config(connection), message=message, autogenerate=True, rev_id=number)
    return Path(ScriptDirectory(str(MIGRATIONS)).get_revision(number).path)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _require_known(connection: Connection) -> None:
    now = version(connection)
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if now != NO_VERSION and now not in known:
        raise DomainError("database_ahead", now=now, then=newest_version())


@contextmanager
def _connected(target: Engine | str) -> Iterator[Connection]:
    engine = connect(target) if isinstance(target, str) else target
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        if engine is not target:
            engine.dispose()


@contextmanager
def _changing(target: Engine | str) -> Iterator[Connection]:
    """A connection in one transaction, alone in changing the schema."""
    with _connected(target) as connection:
        if connection.dialect.name == "sqlite":
            with _unlinked(connection), connection.begin():
                yield connection
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                if broken:
                    raise RuntimeError(f"the migration broke foreign keys: {broken[:5]}")
        else:
            with connection.begin():
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK}
                )
                yield connection


@contextmanager
def _unlinked(connection: Connection) -> Iterator[None]:
    """Foreign keys of SQLite switched off, and its one write lock taken when it begins.

    SQLite changes a column by copying the table and dropping the old one, which would take the
    rows of other tables along (ON DELETE CASCADE). It hears the switch only between transactions,
    so it goes to the driver, which begins none by itself.
    """
    driver: Any = connection.connection.dbapi_connection
    connection.execution_options(begin="IMMEDIATE")
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")
