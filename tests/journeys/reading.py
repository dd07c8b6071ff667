"""What several journeys do with a page: go on, read figures, see whether it fits its screen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Locator, Page


def follow(page: Page, link: str | Locator) -> None:
    """Click what leads to another page, or to the same one anew, and wait until it is there.

    What is read from a page right after a mere click may still be the page before.
    """
    with page.expect_event("load"):
        (page.locator(link) if isinstance(link, str) else link).click()


def hand_in(page: Page) -> None:
    """Submit a post, also where the form first shows posts that say much the same."""
    follow(page, ".form-foot [name=then][value=submit]")
    while page.locator("#doubles").count():
        follow(page, ".form-foot [name=then][value=submit]")


def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(
        page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    )


def path_of(page: Page) -> str:
    """The path of the page's address, without host, query and fragment."""
    return re.sub(r"^https?://[^/]+", "", page.url).split("?")[0].split("#")[0]


def figure(text: str) -> float:
    """The number in a text, as it is written in Spanish and Portuguese; 0 where there is none."""
    return float(re.sub(r"[^\d,-]", "", text).replace(",", ".") or 0)


def figures(texts: Iterable[str]) -> list[float]:
    """The number in each text."""
    return [figure(text) for text in texts]


def in_days(days: int) -> str:
    """The day that lies so many days ahead, as a field for dates takes it."""
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()
