"""An officer brings a file with one bad row: she reads why, loads the others, sees their matches."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from openpyxl import load_workbook
from playwright.sync_api import expect

from models import utc_now

pytestmark = pytest.mark.browser

ENDS = utc_now().date() + timedelta(days=300)

ROWS = [
    {
        "key": "A-1",
        "language": "en",
        "title": "Clinics for public buyers",
        "description": "Two weeks of practical training for the buyers of ministries: criteria, "
        "dialogue with suppliers, and costs over the whole life of a product.",
        "support_1_kind": "capacity_building",
        "themes": "sustainable_public_procurement",
        "serves_subregions": "andean",
        "languages": "es; en",
        "places": 40,
        "ends": ENDS,
    },
    {
        "key": "A-2",
        "language": "en",
        "title": "Audits for small hotels",
        "description": "Audits of water and energy in small hotels, and help with what follows.",
        "support_1_kind": "technical_support",
        "themes": "sustainable_tourism",
        "serves_countries": "PE; CO",
    },
    {
        "key": "A-3",
        "language": "en",
        "title": "A course without a number of places",
        "description": "Three days.",
        "support_1_kind": "capacity_building",
        "places": "many",
    },
]


def fill(template, filled) -> None:
    """What she types into the template."""
    book = load_workbook(template)
    sheet = book.worksheets[0]
    names = [cell.value for cell in sheet[2]]
    for number, row in enumerate(ROWS, start=3):
        for name, value in row.items():
            sheet.cell(number, names.index(name) + 1, value)
    book.save(filled)


def download(page, selector, path):
    with page.expect_download() as coming:
        page.click(selector)
    coming.value.save_as(path)
    return path


def speak(page, language) -> None:
    page.click(f"footer button[lang='{language}']")
    expect(page.locator("html")).to_have_attribute("lang", language)


def test_a_filled_template_becomes_drafts_with_matches_and_nothing_twice(reader, tmp_path):
    officer = reader("officer.eclac@demo.example")
    speak(officer, "en")
    officer.goto("/imports")
    template = download(officer, "a[href$='/template/offer.xlsx']", tmp_path / "template.xlsx")
    filled = tmp_path / "filled.xlsx"
    fill(template, filled)
    officer.set_input_files("#file", filled)
    officer.click("form[action='/imports'] button")

    # The row, the column and the remedy; nothing is loaded before she says so.
    main = officer.locator("main")
    expect(main).to_contain_text("3 rows, 2 of them without a problem. Nothing has been loaded yet")
    bad = officer.locator("main tbody tr")
    expect(bad).to_have_count(1)
    for words in ("5", "places", "many", "This is not a whole number", "A whole number."):
        expect(bad).to_contain_text(words)
    copy = download(officer, "a[href$='/annotated.xlsx']", tmp_path / "problems.xlsx")
    sheet = load_workbook(copy).worksheets[0]
    marked = sheet.cell(5, [cell.value for cell in sheet[2]].index("places") + 1)
    assert "This is not a whole number" in marked.comment.text

    officer.click("form[action$='/load'] button")
    expect(main).to_contain_text("2 rows were loaded")
    officer.click("main a[href='/desk/posts']")
    officer.click("main a:has-text('Clinics for public buyers')")
    officer.click("main a[href*='matches']")
    expect(officer.locator("main ol.post-list > li").first).to_be_visible()

    # In Spanish on the telephone, the same file makes nothing.
    phone = reader("officer.eclac@demo.example", width=390)
    speak(phone, "es")
    phone.goto("/imports")
    phone.set_input_files("#file", filled)
    phone.click("form[action='/imports'] button")
    expect(phone.locator("main")).to_contain_text("3 filas, 2 de ellas sin problemas")
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    phone.click("form[action$='/load'] button")
    expect(phone.locator("main")).to_contain_text(re.compile("0 filas.*2 ya estaban", re.DOTALL))
    phone.goto("/desk/posts")
    expect(phone.locator("main a:has-text('Clinics for public buyers')")).to_have_count(1)
