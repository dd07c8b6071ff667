"""A served demonstration exchange and a real browser, made once for all journeys."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask_babel import Babel
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from broker.demonstration import load_exchange
from broker.exchange import Exchange
from broker.paths import FIXTURES
from broker.reference_data import load_reference_data
from broker.runs import run_matching
from broker.settings import Settings
from models import schema

PASSWORD = "four unrelated words"

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Site:
    """Where the demonstration is served, and the folder of its installation."""

    address: str
    home: Path


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration exchange, loaded and matched with the real encoder."""
    home = tmp_path_factory.mktemp("demonstration")
    exchange = Exchange(Settings(home=home).completed())
    schema.upgrade(exchange.database)
    speaking = Flask("journeys")
    Babel(speaking)
    with speaking.app_context():
        with exchange.writing() as session:
            load_reference_data(session, FIXTURES / "reference")
        with exchange.writing() as session:
            load_exchange(
                session,
                FIXTURES / "demo",
                exchange.reference,
                today=exchange.today(),
                password=PASSWORD,
            )
        with exchange.writing() as session:
            run_matching(exchange, session, None)
    exchange.database.dispose()
    return home


@pytest.fixture
def site(demonstration: Path, tmp_path: Path) -> Iterator[Site]:
    """The demonstration served from a copy of its own, so that journeys do not meet."""
    home = tmp_path / "home"
    shutil.copytree(demonstration, home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "BROKER_HOME": str(home),
        "BROKER_PORT": str(port),
        "BROKER_SIGN_IN_LIMIT": "1000 per minute",
    }
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "broker", "serve"], env=environment, stdout=log, stderr=log
        )
        try:
            _wait_until_served(port, server)
            yield Site(f"http://127.0.0.1:{port}", home)
        finally:
            server.terminate()
            server.wait(timeout=90)


def _wait_until_served(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None, "the server stopped: see server.log in the test's folder"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the server did not answer within 30 seconds")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one that CHROMIUM names."""
    path = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    )
    assert path, "Chromium is missing: `make browser` installs it"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()


Reader = Callable[..., Page]


@pytest.fixture
def reader(site: Site, browser: Browser) -> Iterator[Reader]:
    """Opens a page for one more reader: ``reader("focal.pe@demo.example", locale="es")``.

    Every reader has cookies of her own. A page that writes an error to the browser's console
    fails the journey.
    """
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_page(
        email: str | None = None, *, locale: str = "es", width: int = 1280, height: int = 900
    ) -> Page:
        context = browser.new_context(
            locale=locale, base_url=site.address, viewport={"width": width, "height": height}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: (
                errors.append(message.text)
                if message.type == "error" and "status of 4" not in message.text
                else None
            ),
        )
        if email:
            page.goto("/sign-in")
            page.fill("#email", email)
            page.fill("#password", PASSWORD)
            page.click("main form button")
            page.wait_for_url("**/desk")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
