"""A running exchange for the application's tests: its own database, and readers of every role."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import flask
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from flask_login import login_user
from sqlalchemy import event

from broker import accounts
from broker.exchange import Exchange
from broker.paths import FIXTURES
from broker.reference_data import load_reference_data
from broker.settings import Settings
from broker.web import create_app
from models import Role, User
from models.schema import upgrade
from tests.broker.factories import make_person
from tests.conftest import postgres_database

_numbers = itertools.count(1)

SignIn = Callable[..., FlaskClient]
CountQueries = Callable[[], AbstractContextManager[list[str]]]


def _settings(home: Path, database_url: str = "") -> Settings:
    return Settings(
        home=home,
        database_url=database_url,
        secret_key="for tests alone",
        language="en",
        encoder="none",
    ).completed()


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Passwords hashed with the least work that argon2 takes: nobody guesses those of tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_hasher", PasswordHasher(1, 8, 1))
        yield


@pytest.fixture(scope="session")
def reference_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database that holds the shipped reference data, made once and copied."""
    home = tmp_path_factory.mktemp("reference")
    exchange = Exchange(_settings(home))
    upgrade(exchange.database)
    with exchange.writing() as session:
        load_reference_data(session, FIXTURES / "reference")
    exchange.database.dispose()
    return home


@pytest.fixture(scope="session")
def postgres_reference(postgres_server: Callable[[str], str]) -> Iterator[str]:
    """Name of a PostgreSQL database that holds the shipped reference data, to be copied."""
    with postgres_database(postgres_server, "template_reference") as engine:
        upgrade(engine)
        engine.dispose()
        url = engine.url.render_as_string(hide_password=False)
        with tempfile.TemporaryDirectory() as home:
            exchange = Exchange(_settings(Path(home), url))
            with exchange.writing() as session:
                load_reference_data(session, FIXTURES / "reference")
            exchange.database.dispose()
        yield "template_reference"


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the test's exchange keeps its rows: its own folder, or a PostgreSQL.

    A test or a module that asks for ``backend`` runs once on each.
    """
    if "backend" not in request.fixturenames or request.getfixturevalue("backend") == "sqlite":
        yield ""
        return
    server = request.getfixturevalue("postgres_server")
    template = request.getfixturevalue("postgres_reference")
    with postgres_database(server, f"reference_{next(_numbers)}", template) as engine:
        yield engine.url.render_as_string(hide_password=False)


@pytest.fixture
def exchange(reference_home: Path, tmp_path: Path, database_url: str) -> Iterator[Exchange]:
    """An exchange of its own for each test, with reference data and nothing else."""
    shutil.copytree(reference_home, tmp_path / "home")
    running = Exchange(_settings(tmp_path / "home", database_url))
    yield running
    running.database.dispose()


@pytest.fixture(scope="session")
def application(reference_home: Path) -> Flask:
    """The web application, made once: what it tells, it reads from the exchange that it is given.

    Forms need no token here.
    """
    exchange = Exchange(_settings(reference_home))
    made = create_app(exchange=exchange)
    exchange.database.dispose()
    made.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    return made


@pytest.fixture
def app(application: Flask, exchange: Exchange) -> Iterator[Flask]:
    """The web application of that exchange; what a test changes in its settings is undone."""
    settings = dict(application.config)
    application.extensions["exchange"] = exchange
    for limiter in application.extensions["limiter"]:
        limiter.reset()
    yield application
    application.config.clear()
    application.config.update(settings)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """The public: a browser that nobody has signed in with."""
    return app.test_client()


@pytest.fixture
def sign_in(app: Flask, exchange: Exchange) -> SignIn:
    """``sign_in(role, organisation="", **facts)`` or ``sign_in(user)``: a browser signed in."""

    def browser(who: Role | User, organisation: str = "", **facts: object) -> FlaskClient:
        user = who
        if not isinstance(user, User):
            with exchange.writing() as session:
                user = make_person(session, Role(who), organisation, **facts)
        client = app.test_client()
        with app.test_request_context(environ_base=client.environ_base):
            login_user(user)
            kept = dict(flask.session)
        with client.session_transaction() as session:
            session.update(kept)
        return client

    return browser


@pytest.fixture
def count_queries(exchange: Exchange) -> CountQueries:
    """``with count_queries() as statements``: the SQL statements that ran meanwhile."""

    @contextmanager
    def counting() -> Iterator[list[str]]:
        statements: list[str] = []

        def note(_connection, _cursor, statement, *_rest) -> None:
            statements.append(statement)

        event.listen(exchange.database, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(exchange.database, "before_cursor_execute", note)

    return counting
