"""The secretariat's report: from a number to its rows, to paper, to a workbook, to the period before."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Page, expect

from tests.journeys.reading import fits, follow

pytestmark = pytest.mark.browser

OFFICE = "secretariat@demo.example"


def _number(words: str) -> int:
    return int(re.sub(r"\D", "", words))


def _go_and_return(page: Page, name: str) -> None:
    """Follow a key figure to its rows, find as many, and come back."""
    link = page.locator(f"#table-key_figures a[href*='/report/{name}']").first
    said = _number(link.inner_text())
    follow(page, link)
    expect(page.locator("main [role=status]")).to_be_visible()
    assert _number(page.locator("main [role=status]").inner_text()) == said > 0
    follow(page, "main .crumbs a")
    expect(page.locator("#table-key_figures")).to_be_visible()


def _download(page: Page, name: str) -> bytes:
    with page.expect_download() as started:
        page.locator("main .actions").get_by_role("link", name=name, exact=True).click()
    assert started.value.suggested_filename.endswith(f".{name.lower()}")
    return Path(started.value.path()).read_bytes()


def test_the_secretariat_makes_the_regional_report(reader) -> None:
    """On a phone in Spanish, then at a desk in French, against the period before."""
    page = reader(OFFICE, locale="es", width=390)
    page.goto("/secretariat/report")
    assert fits(page)
    _go_and_return(page, "unmet")
    assert _download(page, "PDF").startswith(b"%PDF-")

    page = reader(OFFICE, locale="fr", width=1280)
    page.goto("/secretariat/report")
    _go_and_return(page, "matches")
    book = load_workbook(io.BytesIO(_download(page, "XLSX")))
    assert len(book.sheetnames) > 12
    assert any(cell.data_type == "f" for row in book.worksheets[0] for cell in row)

    page.locator("main details summary").click()
    page.fill("#from", (datetime.now(UTC).date() - timedelta(days=30)).isoformat())
    page.select_option("#subregion", "caribbean")
    follow(page, "main details form button")
    page.wait_for_url("**subregion=caribbean**")
    heads = page.locator("#table-key_figures thead th").all_inner_texts()
    assert len(heads) == 4
    assert fits(page)
