"""A clearing round by hand: compared, sent, accepted by two parties, signed and followed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

OFFER = "offer-tf-procurement-001"


def _in_days(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def _waiting(page: Page, offer: str) -> str:
    """The address of the first proposal of that offer which waits for the reader's answer."""
    page.goto("/proposals")
    found = page.locator("ul.post-list > li", has_text=offer).first
    address = found.locator("h2 a").get_attribute("href")
    assert address is not None
    return address


def test_a_round_is_compared_sent_accepted_by_both_sides_signed_and_followed(reader):
    # The secretariat opens a fair round and clears it.
    office = reader("secretariat@demo.example")
    office.goto("/secretariat/rounds/new")
    office.fill("[name=name]", "Ronda de primavera")
    office.select_option("[name=theme]", "sustainable_public_procurement")
    office.fill("[name=small_island]", "1")
    office.locator("main form button.btn-primary").click()
    expect(office.locator("h1")).to_contain_text("Ronda de primavera")
    address = office.url
    office.click("form[action$='/clear'] button")

    # It compares the policies, sees the picture, who is left out, and where more would help.
    policies = office.locator("table", has=office.locator("caption")).locator("tbody tr")
    expect(policies).to_have_count(3)
    assert office.locator("svg.round-picture path").count() > 0
    office.goto(f"{address}?show=left_out")
    expect(office.locator("#needs")).to_be_visible()
    office.click("form[action$='/replay'] button")
    expect(office.locator("[role=status]")).to_be_visible()

    # It clears for the total too, keeps both versions, and sends the fair one.
    for policy in ("total", "fair"):
        office.goto(f"{address}/settings")
        office.check(f"[name=policy][value={policy}]")
        office.locator("main form button.btn-primary").click()
        expect(office).to_have_url(address)
        office.click("form[action$='/clear'] button")
        expect(office.locator("[role=status]")).to_be_visible()
    expect(office.locator("a.chip")).to_have_count(3)
    office.click("form[action$='/send'] button")
    expect(office.locator("main")).to_contain_text(OFFER)

    # The task force and the country find the proposal among theirs, and accept it.
    peru = reader("focal.pe@demo.example", width=390)
    proposal = _waiting(peru, OFFER)
    force = reader("tf.procurement@demo.example")
    for page in (peru, force):
        page.goto(proposal)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.click("form[action$='/answer'] button[value=true]")
        expect(page.locator("form[action$='/answer']")).to_have_count(0)

    # From there on it is an agreement as any other: terms, two signatures, a milestone.
    force.click("main a[href*='/agreements/new']")
    force.fill("[name=title]", "Training of public buyers")
    force.fill("[name=activities]", "A workshop of five days.")
    force.fill("[name=places]", "2")
    force.fill("[name=starts]", _in_days(0))
    force.fill("[name=ends]", _in_days(300))
    force.fill("[name='milestones-0-title']", "Workshop held")
    force.fill("[name='milestones-0-due']", _in_days(60))
    force.locator("main form button.btn-primary").last.click()
    expect(force).to_have_url(re.compile(r"/agreements/\d+$"))
    agreement = force.url
    peru.goto(agreement)
    peru.click("form[action$='/accept'] button")
    expect(peru.locator("main a[href$='/sign']").first).to_be_visible()
    for page in (force, peru):
        page.goto(agreement)
        page.click("main a[href$='/sign']")
        page.locator("main form button.btn-primary").click()
        expect(page).to_have_url(agreement)
    force.goto(agreement)
    force.locator("a[href*='/milestones/']").first.click()
    force.fill("main form textarea", "Twelve buyers took part; the list is with the ministry.")
    force.locator("main form button.btn-primary").last.click()
    expect(force.locator("ul.milestones .tag.good")).to_be_visible()

    # The places are in the ledger; the agreement prints; the round tells who accepted.
    offer = force.locator("main a[href*='/offers/']").first.get_attribute("href")
    assert offer is not None
    force.goto(f"{offer.split('?')[0]}/balance")
    expect(force.locator("main table").first).to_be_visible()
    printed = force.request.get(f"{agreement}.pdf")
    assert printed.ok
    assert printed.body().startswith(b"%PDF")
    office.goto(address)
    expect(office.locator("main .tag.good").first).to_be_visible()
