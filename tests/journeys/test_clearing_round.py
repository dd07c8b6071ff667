"""A clearing round by hand: compared, sent, accepted by two parties, signed and followed."""

from __future__ import annotations

import io
import re

import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from tests.journeys.reading import figure, figures, fits, follow, in_days

pytestmark = pytest.mark.browser

OFFER = "offer-tf-procurement-001"


def _waiting(page: Page, offer: str) -> str:
    """The address of the first proposal of that offer which waits for the reader's answer."""
    page.goto("/proposals")
    found = page.locator("ul.post-list > li", has_text=offer).first
    address = found.locator("h2 a").get_attribute("href")
    assert address is not None
    return address


PLACES, LEFT, MONEY, OPEN = 3, 4, 5, 6
"""Columns of a balance, from 1: the places of a row and those left, its money and what is left."""


def _column(page: Page, number: int) -> list[float]:
    """The figures of a column of the balance, from the opening on."""
    return figures(page.locator(f"main tbody td:nth-child({number})").all_inner_texts())


def test_a_round_is_compared_sent_accepted_by_both_sides_signed_and_followed(reader):
    # The secretariat opens a fair round and clears it.
    office = reader("secretariat@demo.example")
    office.goto("/secretariat/rounds/new")
    office.fill("[name=name]", "Ronda de primavera")
    office.select_option("[name=theme]", "sustainable_public_procurement")
    office.fill("[name=small_island]", "1")
    follow(office, "main form button.btn-primary")
    expect(office.locator("h1")).to_contain_text("Ronda de primavera")
    address = office.url
    follow(office, "form[action$='/clear'] button")

    # It compares the policies, sees the picture, who is left out, and where more would help.
    policies = office.locator("table", has=office.locator("caption")).locator("tbody tr")
    expect(policies).to_have_count(3)
    total, _stable, fair = (figures(row.locator("td").all_inner_texts()) for row in policies.all())
    assert total[1] == 0
    assert total[0] >= fair[0]
    assert round(total[0] - fair[0], 1) == pytest.approx(fair[1], abs=0.11)
    assert fair[2] >= total[2]
    assert office.locator("svg.round-picture path").count() > 0
    office.goto(f"{address}?show=left_out")
    expect(office.locator("#needs")).to_be_visible()
    follow(office, "form[action$='/replay'] button")
    expect(office.locator("[role=status]")).to_be_visible()

    # It clears for the total too, keeps both versions, and sends the fair one.
    for policy in ("total", "fair"):
        office.goto(f"{address}/settings")
        office.check(f"[name=policy][value={policy}]")
        follow(office, "main form button.btn-primary")
        expect(office).to_have_url(address)
        follow(office, "form[action$='/clear'] button")
        expect(office.locator("[role=status]")).to_be_visible()
    expect(office.locator("a.chip")).to_have_count(3)
    follow(office, "form[action$='/send'] button")
    expect(office.locator("main")).to_contain_text(OFFER)

    # The task force and the country find the proposal among theirs, and accept it.
    peru = reader("focal.pe@demo.example", width=390)
    proposal = _waiting(peru, OFFER)
    force = reader("tf.procurement@demo.example")
    for page in (peru, force):
        page.goto(proposal)
        assert fits(page)
        follow(page, "form[action$='/answer'] button[value=true]")
        expect(page.locator("form[action$='/answer']")).to_have_count(0)

    # From there on it is an agreement as any other: terms, two signatures, a milestone.
    follow(force, "main a[href*='/agreements/new']")
    force.fill("[name=title]", "Training of public buyers")
    force.fill("[name=activities]", "A workshop of five days.")
    # What the round proposed stands in the draft.
    agreed = int(force.input_value("[name=places]"))
    assert agreed >= 1
    force.fill("[name=starts]", in_days(0))
    force.fill("[name=ends]", in_days(300))
    force.fill("[name='milestones-0-title']", "Workshop held")
    force.fill("[name='milestones-0-due']", in_days(60))
    follow(force, force.locator("main form button.btn-primary").last)
    expect(force).to_have_url(re.compile(r"/agreements/\d+$"))
    agreement = force.url
    peru.goto(agreement)
    follow(peru, "form[action$='/accept'] button")
    expect(peru.locator("main a[href$='/sign']").first).to_be_visible()
    for page in (force, peru):
        page.goto(agreement)
        follow(page, "main a[href$='/sign']")
        follow(page, "main form button.btn-primary")
        expect(page).to_have_url(agreement)
    force.goto(agreement)
    follow(force, force.locator("a[href*='/milestones/']").first)
    force.fill("main form textarea", "Twelve buyers took part; the list is with the ministry.")
    follow(force, force.locator("main form button.btn-primary").last)
    expect(force.locator("ul.milestones .tag.good")).to_be_visible()

    # The places are in the ledger, whose rows sum up to the balance, for the offer as for the need.
    offer = force.locator("main a[href*='/offers/']").first.get_attribute("href")
    need = peru.locator("main a[href*='/needs/']").first.get_attribute("href")
    assert offer is not None
    assert need is not None
    # The need states money alone: its places are covered, and its money is as open as before.
    for page, post, moved, left in ((force, offer, PLACES, LEFT), (peru, need, MONEY, OPEN)):
        page.goto(f"{post.split('?')[0]}/balance")
        expect(page.locator("main table tbody")).to_contain_text("AG-")
        assert _column(page, PLACES)[-1] == agreed
        taken, balances = _column(page, moved), _column(page, left)
        assert balances[0] > 0
        for row in range(1, len(balances)):
            assert balances[row] == balances[row - 1] - taken[row]
        last = page.locator("main table tfoot tr").last
        assert figure(last.locator(f"td:nth-child({left})").inner_text()) == balances[-1]

    # The agreement prints, in both parties' languages, with all that was agreed.
    printed = force.request.get(f"{agreement}.pdf")
    assert printed.ok
    words = " ".join(
        " ".join(
            page.extract_text() for page in PdfReader(io.BytesIO(printed.body())).pages
        ).split()
    )
    for said in (
        "Training of public buyers", "A workshop of five days.", "Workshop held", in_days(60),
        f"{in_days(0)} – {in_days(300)}", OFFER, "AG-",
    ):  # fmt: skip
        assert said in words, said
    assert words.count(f"{in_days(0)} ") >= 2  # two signatures, with their moments

    # The round tells who accepted.
    office.goto(address)
    expect(office.locator("main .tag.good").first).to_be_visible()


def test_money_is_cleared_by_amount_with_its_prices_and_proof(reader):
    office = reader("secretariat@demo.example")
    office.goto("/secretariat/rounds/new")
    office.fill("[name=name]", "Ronda de fondos")
    office.select_option("[name=support_kind]", "finance")
    # No need of this subregion keeps its amount sealed: the points of its round are told.
    office.select_option("[name=subregion]", "mesoamerica")
    follow(office, "main form button.btn-primary")
    address = office.url
    follow(office, "form[action$='/clear'] button")
    money = office.locator("table", has=office.locator("caption")).last.locator("tbody tr")
    expect(money).to_have_count(2)
    total, fair = (figures(row.locator("td").all_inner_texts()) for row in money.all())
    assert total[0] >= fair[0] > 0
    assert total[1] == 0
    assert total[0] - fair[0] == pytest.approx(fair[1], abs=0.11)
    assert fair[2] >= total[2]
    # What the needs are granted, none above what it asks for, comes to the sum under the policy.
    granted = 0.0
    for cell in office.locator("main table.stacked td:last-child div", has_text="USD").all():
        found = re.findall(r"USD\s([\d.]+)", cell.inner_text())
        given, asked = (float(amount.replace(".", "")) for amount in found)
        assert given <= asked
        granted += given
    assert granted == pytest.approx(fair[4], rel=0.01)
    follow(office, "form[action$='/replay'] button")
    expect(office.locator("main [role=status], [role=status]").first).to_be_visible()
    office.goto(address)
    follow(office, "form[action$='/send'] button")
    expect(office.locator("main details ul.rows li", has_text="USD").first).to_be_attached()
