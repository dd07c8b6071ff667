"""Take the documentation's pictures of the exchange afresh, into ``docs/images``.

    python docs/make_screenshots.py [name …]
    python docs/make_screenshots.py --address http://127.0.0.1:8000 --password … [name …]

Without an address the demonstration is loaded into a temporary folder, an agreement is signed in
it, and it is served on a free port. An exchange that is served already is only looked at, and its
agreements are pictured as they are. Needs Chromium (``make browser``).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import select

from benchmarks.demonstration import load_demonstration, match_book, open_exchange, served
from broker.accounts import find_user
from broker.agreements import (
    accept_terms,
    finish_milestone,
    propose_agreement,
    sign_agreement,
    start_agreement,
)
from broker.interests import answer_interest, express_interest
from broker.matches import score_of
from models import Need, Offer

IMAGES = Path(__file__).parent / "images"
PASSWORD = "a password for pictures"
LARGEST = 250 * 1024
"""Bytes of a picture; beyond it the documentation takes too long on a slow line."""
DESK, PHONE = (1200, 800), (390, 800)

FOCAL_POINT, SECRETARIAT = "focal.pe@demo.example", "secretariat@demo.example"
NEED = "need-pe-016"
PROVIDER = "officer.unesco@demo.example"
SIGNED_NEED, SIGNED_OFFER = "need-pe-001", "offer-unesco-001"
"""The two sides of the agreement that is signed for its picture."""


def terms_of_agreement(today: date) -> dict[str, Any]:
    """The terms that the two sides sign, as a person would type them."""

    def after(days: int) -> str:
        return (today + timedelta(days=days)).isoformat()

    return {
        "title": "Formación docente en gestión ambiental escolar, Arequipa y Cusco",
        "activities": "Dos talleres presenciales, acompañamiento en línea durante un año escolar "
        "y revisión del currículo de 24 colegios.",
        "need_side_duties": "Libera a los docentes seis días al año y cubre sus viajes.",
        "offer_side_duties": "Pone dos formadoras, el material y la plataforma.",
        "starts": after(20),
        "ends": after(380),
        "places": 48,
        "support_kinds": ["capacity_building"],
        "milestones": [
            {"title": "Diagnóstico de los 24 colegios", "due": after(45)},
            {"title": "Taller en Arequipa", "due": after(90)},
            {"title": "Taller en Cusco", "due": after(120)},
        ],
        "indicators": [
            {
                "name": "Docentes que aplican el currículo revisado",
                "unit": "docentes",
                "baseline": 0,
                "target": 40,
                "due": after(380),
            }
        ],
    }


def sign_an_agreement(home: Path) -> None:
    """Lead a need and an offer to an agreement in force, by the same acts as their people."""
    exchange, app = open_exchange(home)
    with app.app_context(), exchange.writing() as session:
        today, reference = exchange.today(), exchange.reference
        asks, gives = find_user(session, FOCAL_POINT), find_user(session, PROVIDER)
        need = session.scalars(select(Need).where(Need.reference == SIGNED_NEED)).one()
        offer = session.scalars(select(Offer).where(Offer.reference == SIGNED_OFFER)).one()
        score = score_of(exchange, session, need, offer, on=today)
        match = express_interest(session, asks, need, offer, score=score).match
        answer_interest(session, gives, match, accept=True)
        agreement = propose_agreement(
            session, gives, match, terms_of_agreement(today), reference, today=today
        )
        accept_terms(session, asks, agreement, 1)
        for person in (gives, asks):
            sign_agreement(session, person, agreement, 1)
        start_agreement(session, asks, agreement)
        finish_milestone(
            session,
            gives,
            agreement,
            agreement.milestones[0].id,
            evidence="Informe entregado al ministerio.",
            today=today,
        )
    exchange.database.dispose()


# --- What is pictured ------------------------------------------------------------------------


def show_home(page: Page) -> None:
    """The exchange as everybody finds it."""
    page.goto("/")


def show_matches(page: Page) -> None:
    """The ranked offers for a need, each with its reasons."""
    page.goto(f"/needs?q={NEED}")
    found = re.search(r"/needs/\d+(?=\")", page.locator("main").inner_html())
    if found is None:
        raise RuntimeError(f"{NEED} is not on this exchange")
    page.goto(f"{found[0]}/matches")


def show_pair(page: Page) -> None:
    """A score, taken apart."""
    show_matches(page)
    page.locator("ol.post-list li h3 a").first.click()
    page.locator("table.breakdown").first.wait_for()


def show_agreement(page: Page) -> None:
    """An agreement in force."""
    page.goto("/agreements")
    page.locator("main a[href^='/agreements/']").first.click()


def show_report(page: Page) -> None:
    """The match report."""
    page.goto("/secretariat/report")


@dataclass(frozen=True)
class Picture:
    """A picture of the browser's window."""

    show: Callable[[Page], None]
    reader: str | None = None
    """Who has signed in; None for a reader who has not."""
    size: tuple[int, int] = DESK
    top: str | None = None
    """Selector of what stands at the top, the last that fits; None: the page's beginning."""


BREAKDOWN = "h2:has(+ * table.breakdown)"
SCROLL = """element => {
  const top = element.getBoundingClientRect().top + window.scrollY - 16;
  window.scrollTo({top, behavior: "instant"});
}"""

PICTURES = {
    "home": Picture(show_home),
    "matches": Picture(show_matches, FOCAL_POINT),
    "pair": Picture(show_pair, FOCAL_POINT, top=BREAKDOWN),
    "agreement": Picture(show_agreement, FOCAL_POINT),
    "report": Picture(show_report, SECRETARIAT),
    "phone": Picture(show_matches, FOCAL_POINT, PHONE),
}


def take(browser: Browser, address: str, password: str, name: str) -> Path:
    """Take one picture; raises :class:`RuntimeError` if it is too large for the documentation."""
    picture = PICTURES[name]
    width, height = picture.size
    context = browser.new_context(
        base_url=address,
        locale="es",
        color_scheme="light",
        viewport={"width": width, "height": height},
    )
    page = context.new_page()
    if picture.reader:
        page.goto("/sign-in")
        page.fill("#email", picture.reader)
        page.fill("#password", password)
        page.click("main form button")
        page.wait_for_url("**/desk")
    picture.show(page)
    page.wait_for_load_state("networkidle")
    if picture.top:
        page.locator(picture.top).last.evaluate(SCROLL)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, animations="disabled", caret="hide")
    context.close()
    if path.stat().st_size > LARGEST:
        raise RuntimeError(f"{path.name} has {path.stat().st_size:,} bytes; at most {LARGEST:,}")
    return path


@contextmanager
def demonstration() -> Iterator[str]:
    """The address at which the demonstration is served, with an agreement signed."""
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
        home = Path(folder)
        load_demonstration(home, PASSWORD)
        sign_an_agreement(home)
        match_book(home)
        with served(home) as (host, port):
            yield f"http://{host}:{port}"


def find_chromium() -> str:
    """The browser that the system has, or the one that CHROMIUM names."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        sys.exit("Chromium is missing: `make browser` installs it.")
    return found


def main() -> None:
    """Take the pictures that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(PICTURES))
    parser.add_argument("--address", help="of a demonstration that is served already")
    parser.add_argument("--password", help="of its accounts")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - PICTURES.keys())
    if unknown:
        parser.error(f"there is no picture called {', '.join(unknown)}")
    if bool(chosen.address) != bool(chosen.password):
        parser.error("--address and --password belong together")
    chromium = find_chromium()
    IMAGES.mkdir(exist_ok=True)

    def take_all(address: str, password: str) -> None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            for name in chosen.names or PICTURES:
                path = take(browser, address, password, name)
                print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")
            browser.close()

    if chosen.address:
        take_all(chosen.address, chosen.password)
    else:
        with demonstration() as address:
            take_all(address, PASSWORD)


if __name__ == "__main__":
    main()
