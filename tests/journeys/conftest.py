"""A served demonstration exchange and a real browser, made once for all journeys."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlalchemy import select

from benchmarks.demonstration import load_demonstration, match_book, served
from broker.exchange import Exchange
from broker.settings import Settings
from models import AgreementStatus, Need, Offer, PostStatus
from tests.factories import make_agreement
from tests.journeys.reading import follow

PASSWORD = "four unrelated words"

PATIENCE = 60_000
"""Milliseconds that a page has to come, or to become what is expected of it: machines differ."""

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=PATIENCE)


@dataclass(frozen=True)
class Site:
    """Where the demonstration is served, and the folder of its installation."""

    address: str
    home: Path


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration exchange, loaded and matched with the real encoder.

    The first worker that asks for it makes it, and the others take the same.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    home = folder / "demonstration"
    with (folder / "demonstration.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            making = Path(tempfile.mkdtemp(dir=folder))
            load_demonstration(making, PASSWORD)
            match_book(making)
            making.rename(home)
    return home


@contextmanager
def _served(home: Path) -> Iterator[Site]:
    with served(home) as (host, port):
        yield Site(f"http://{host}:{port}", home)


@pytest.fixture
def site(demonstration: Path, tmp_path: Path) -> Iterator[Site]:
    """The demonstration served from a copy of its own, so that journeys do not meet."""
    home = shutil.copytree(demonstration, tmp_path / "home")
    with _served(home) as site:
        yield site


@pytest.fixture(scope="session")
def standing_site(demonstration: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all journeys that only look, with agreements at two points of their lives."""
    home = shutil.copytree(demonstration, tmp_path_factory.mktemp("standing") / "home")
    exchange = Exchange(Settings(home=home, encoder="none").completed())
    with exchange.writing() as session:
        needs = session.scalars(
            select(Need).where(Need.status == PostStatus.PUBLISHED, Need.country_code == "PE")
        )
        offers = session.scalars(select(Offer).where(Offer.status == PostStatus.PUBLISHED))
        statuses = (AgreementStatus.SIGNED, AgreementStatus.PROPOSED)
        for need, offer, status in zip(needs, offers, statuses, strict=False):
            make_agreement(session, need, offer, status=status)
    exchange.database.dispose()
    with _served(home) as site:
        yield site


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
        page.set_default_timeout(PATIENCE)
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
            follow(page, "main form button")
            page.wait_for_url("**/desk")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
