"""The action plan at a meeting: a coordinator fills in the matrix, brings it back, and chooses."""

from __future__ import annotations

import io
import re

import pytest
from openpyxl import load_workbook
from playwright.sync_api import expect

from broker.exchange import Exchange
from broker.paths import FIXTURES
from broker.plan_examples import load_plans
from broker.settings import Settings
from tests.journeys.reading import fits, follow

pytestmark = pytest.mark.browser

WORDS = {"es": ("Región andina", "4 líneas"), "en": ("Andean", "4 lines")}
"""Language → the name of the subregion, and what the refusal says."""

NEW_ROWS = 3


@pytest.fixture
def plans(site):
    """The plans of the demonstration, in the exchange that is served."""
    exchange = Exchange(Settings(home=site.home).completed())
    with exchange.writing() as session:
        load_plans(session, FIXTURES / "demo" / "plans.yaml", exchange.reference)
    exchange.database.dispose()


def _filled(content: bytes, dimension: str) -> bytes:
    """The matrix with three more lines at its end, the last of the given dimension."""
    workbook = load_workbook(io.BytesIO(content))
    sheet = workbook.worksheets[0]
    at = {cell.value: cell.column for cell in sheet[2]}
    numbers = [row for row in range(3, sheet.max_row + 2) if not sheet.cell(row, at["key"]).value]
    last = numbers[0] + NEW_ROWS - 1
    for row in range(numbers[0], last + 1):
        values = {
            "language": "es",
            "dimension": "1" if row < last else dimension,
            "priority": f"Prioridad escrita en la reunión, fila {row}",
            "responsible": "Autoridades ambientales",
        }
        for name, value in values.items():
            sheet.cell(row, at[name], value)
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def _bring(page, content):
    page.set_input_files(
        "#file",
        {
            "name": "matriz.xlsx",
            "mimeType": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "buffer": content,
        },
    )
    follow(page, "form[action$='/matrix'] button")


@pytest.mark.parametrize(("locale", "width"), [("es", 390), ("en", 1280)])
def test_a_coordinator_fills_in_the_matrix_chooses_and_is_refused_a_fifth_line(
    reader, plans, locale, width
):
    subregion, refusal = WORDS[locale]
    page = reader("coordinator.andean@demo.example", locale=locale, width=width)
    follow(page, f".languages button[lang={locale}]")
    page.goto("/plans?starts=2007")
    follow(page, page.locator("main ul a", has_text=subregion))
    address = page.url

    # The matrix goes out, and comes back with three new lines, one of them of no dimension.
    with page.expect_download() as download:
        page.click("main a[href$='.xlsx']")
    given = download.value.path().read_bytes()
    bad = _filled(given, "9")
    lines = page.locator("table.matrix tbody tr")
    before = lines.count()
    _bring(page, bad)
    alert = page.locator("main [role=alert]")
    expect(alert).to_contain_text("dimension")
    row = re.search(r"\d+", alert.locator("li").first.inner_text())
    assert row is not None
    assert int(row.group()) == before + 2 + NEW_ROWS
    expect(lines).to_have_count(before)
    assert fits(page)

    # Mended, all of it is taken in.
    _bring(page, _filled(given, "3"))
    expect(page.locator("[role=status]")).to_be_visible()
    expect(lines).to_have_count(before + NEW_ROWS)

    # The dimension has three lines now; the fourth is chosen with the evidence in view.
    follow(page, "main a[href$='/choose']")
    candidate = page.locator("main section.card-plain").first
    for reason in ("Lo pide la mayoría de los países", "Una más"):
        expect(candidate.locator("a[href*='/needs?']")).to_contain_text(re.compile("[0-9]"))
        candidate.locator("summary").click()
        candidate.locator("[name=reason]").fill(reason)
        follow(page, candidate.locator("button"))
        expect(page.locator("[role=status], main [role=alert]").first).to_be_visible()
    refused = page.locator("main [role=alert]")
    expect(refused).to_contain_text(refusal)
    expect(page.locator("[name=reason][value='Una más']")).to_have_count(1)
    page.goto(address)
    expect(page.locator("table.matrix", has_text="Lo pide la mayoría de los países")).to_have_count(
        1
    )
