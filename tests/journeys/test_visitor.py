"""A visitor without an account walks from the board to a single post, by clicks alone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.reading import fits, follow

pytestmark = pytest.mark.browser


@pytest.fixture
def site(standing_site):
    """Visitors only look."""
    return standing_site


@pytest.mark.parametrize(("locale", "width"), [("en", 1280), ("es", 390)])
def test_a_visitor_goes_from_the_board_to_a_single_post_by_clicks_alone(reader, locale, width):
    page = reader(locale=locale, width=width)
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", locale)
    follow(page, "header nav a[href='/board']")
    expect(page).to_have_url(re.compile("/board$"))
    assert fits(page)

    # A number of the table leads to just as many posts.
    number = page.locator("#by-subregion ~ .chart-beside table tbody a.total.need").first
    said = int(number.inner_text())
    follow(page, number)
    expect(page).to_have_url(re.compile(r"/needs\?"))
    shown = re.search(r"\d+", page.locator("#results-title").inner_text())
    assert shown
    assert int(shown[0]) == said
    assert fits(page)

    title = page.locator(".card-title a").first
    words = title.inner_text()
    follow(page, title)
    expect(page).to_have_url(re.compile(r"/needs/\d+"))
    expect(page.locator("h1")).to_contain_text(words)
    assert fits(page)


@pytest.mark.parametrize(("locale", "width"), [("fr", 390), ("pt", 1280)])
def test_a_visitor_goes_over_the_map_to_a_country_and_its_need(reader, locale, width):
    page = reader(locale=locale, width=width)
    page.goto("/")
    follow(page, "header nav a[href='/countries']")
    follow(page, ".tile-map a[href='/countries/PA']")
    expect(page).to_have_url(re.compile("/countries/PA$"))
    assert fits(page)
    follow(page, page.locator(".card-title a").first)
    expect(page).to_have_url(re.compile(r"/(needs|offers)/\d+"))
    page.go_back()
    follow(page, "nav.crumbs a[href='/countries']")
    expect(page).to_have_url(re.compile("/countries$"))


def test_the_board_is_walked_by_keyboard(reader):
    page = reader(locale="en")
    page.goto("/board")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_class("skip")
    page.keyboard.press("Enter")
    page.locator("#theme").focus()
    page.keyboard.press("ArrowDown")
    for _step in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "BUTTON":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/board?theme=**")


def test_the_public_pages_need_no_script(site, browser):
    context = browser.new_context(base_url=site.address, java_script_enabled=False)
    page = context.new_page()
    for path in ("/board", "/countries", "/programmes", "/organisations", "/"):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200
        follow(page, page.locator("main a[href]").first)
    context.close()
