"""An agency is told of a new need that it looks for, and ends the e-mails by their link."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.reading import fits, follow

pytestmark = pytest.mark.browser

TITLE = "plantas pesqueras de Chimbote"


def test_an_alert_of_a_saved_search_arrives_and_is_ended_by_its_link(site, reader):
    # On a phone, in English, an officer of a bank keeps the needs of Peru by name.
    bank = reader("officer.iadb@demo.example", locale="en-GB", width=390, height=800)
    bank.goto("/needs?country=PE")
    bank.click("details.save-search summary")
    bank.fill("#search-name", "What Peru needs")
    bank.select_option("#search-frequency", "at_once")
    follow(bank, "details.save-search form button")
    expect(bank.locator("main")).to_contain_text("Your search is saved as “What Peru needs”.")
    assert fits(bank)
    expect(bank.locator(".masthead a[href='/notices'] .count-badge")).to_have_count(0)

    # The secretariat, in Spanish, publishes a need that Peru has submitted.
    office = reader("secretariat@demo.example")
    office.goto("/secretariat/queue")
    item = office.locator("main li", has_text=TITLE)
    follow(office, item.locator("form[action$='/publish'] button"))

    # The officer finds the notice, goes to the need, and has read it.
    bank.goto("/searches")
    expect(bank.locator(".masthead a[href='/notices'] .count-badge")).to_contain_text("1")
    follow(bank, ".masthead a[href='/notices']")
    notice = bank.locator("ol.notices li", has_text=TITLE)
    expect(notice).to_contain_text("New for your search “What Peru needs”")
    follow(bank, notice.locator("a.btn"))
    expect(bank.locator("h1")).to_contain_text(TITLE)
    bank.goto("/notices")
    expect(bank.locator(".masthead a[href='/notices'] .count-badge")).to_have_count(0)

    # The letter lies in the folder, in the officer's language; the clock may have been quicker.
    office.goto("/secretariat/mail")
    follow(office, "form[action$='/mail/send'] button")
    letter = office.locator("ul.post-list li", has_text="officer.iadb@demo.example")
    follow(office, letter.locator("a"))
    text = office.locator(".card-plain.as-typed")
    expect(text).to_contain_text("New for your search “What Peru needs”")
    expect(office.frame_locator("iframe.mail-picture").locator("a").first).to_be_visible()
    link = re.search(r"https?://\S+/unsubscribe/\S+", text.inner_text())
    assert link is not None

    # Whoever opens the link has not signed in; opening it alone ends nothing. The page speaks the
    # letter's language, whatever the browser's.
    stranger = reader(locale="es")
    stranger.goto(link.group())
    expect(stranger.locator("html")).to_have_attribute("lang", "en")
    expect(stranger.locator("main")).to_contain_text("What Peru needs")
    bank.goto("/searches")
    expect(bank.locator("select[name=frequency]")).to_have_value("at_once")
    follow(stranger, "main form button")
    expect(stranger.locator("main .notice")).to_contain_text("What Peru needs")
    stranger.goto(link.group())
    follow(stranger, "main form button")
    expect(stranger.locator("main .notice")).to_be_visible()

    # The officer sees it at her search, and can have the letters back.
    bank.goto("/searches")
    expect(bank.locator("select[name=frequency]")).to_have_value("never")
    bank.select_option("select[name=frequency]", "weekly")
    follow(bank, "main form[action^='/searches/'] button")
    expect(bank.locator("select[name=frequency]")).to_have_value("weekly")
