"""A task force at work: it finds pilot partners, suggests a pairing, and makes three needs one."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from broker.exchange import Exchange
from broker.settings import Settings
from tests.broker.factories import days, post_need
from tests.journeys.reading import fits, follow

pytestmark = pytest.mark.browser

FORCE = "/task-forces/tf-procurement"
THEME = "sustainable_public_procurement"
OFFER = "offer-tf-procurement-001"
COUNTRIES = {"bb": "Barbados", "jm": "Jamaica", "lc": "Saint Lucia"}


@pytest.fixture
def needs(site) -> dict[str, str]:
    """Country → reference of a need of its own for training of buyers, the oldest in the queue."""
    exchange = Exchange(Settings(home=site.home).completed())
    with exchange.writing() as session:
        made = {
            code: post_need(
                session,
                f"gov-{code}",
                title=f"Train the public buyers of {name}",
                description=f"The ministries of {name} want their buyers trained in green tenders.",
                published_on=days(-170),
                places_wanted=20,
            ).reference
            for code, name in COUNTRIES.items()
        }
    exchange.database.dispose()
    return made


def _points(page: Page, cells: str) -> list[float]:
    return [float(text) for text in page.locator(cells).all_inner_texts()]


def _find_a_partner(force: Page) -> None:
    """From its own page to a country that has the reasons row by row, and the invitation."""
    force.goto(FORCE)
    follow(force, "a[href$='/partners']")
    force.select_option("#theme", THEME)
    force.select_option("#subregion", "southern_cone")
    force.select_option("#kind", "country")
    follow(force, "form.find button")
    expect(force.locator("ol.post-list > li")).to_have_count(5)
    follow(force, force.locator("ol.post-list h3 a").first)
    expect(force.locator("h1")).to_have_text("Argentina")
    given = _points(force, "table.breakdown tbody td.num:nth-of-type(2)")
    assert sum(given) == pytest.approx(_points(force, "table.breakdown tfoot strong")[0])
    force.fill("#message", "Would you host a pilot on greener tenders next year?")
    follow(force, "main form button.btn-primary")
    expect(force).to_have_url(re.compile(r"/invitations/\d+$"))


def test_partners_are_found_a_pair_is_suggested_and_three_needs_become_one(reader, needs):
    force = reader("tf.procurement@demo.example")
    _find_a_partner(force)
    invitation = force.url
    argentina = reader("focal.ar@demo.example", width=390)
    follow(argentina, "main a[href*='/invitations/']")
    argentina.fill("#message", "Sí, con la central de compras.")
    follow(argentina, "button[name=willing][value=true]")
    force.goto(invitation)
    expect(force.locator("main")).to_contain_text("Sí, con la central de compras.")

    # It sees which needs on its themes wait longest, and names an offer for one of them.
    force.goto(f"{FORCE}/queue")
    waiting = force.locator("ol.post-list > li")
    expect(waiting.first).to_contain_text("on the exchange for 170 days")
    first = force.locator("ol.post-list > li", has_text=needs["bb"])
    follow(force, first.locator("a[href*='/pairings/new']"))
    force.fill("#offer", OFFER)
    force.fill("#reason", "The toolkit has a chapter for small islands.")
    follow(force, "main form button.btn-primary")
    expect(force.locator("[role=status]")).to_be_visible()

    # The country reads who suggests it and why, beside the engine's score.
    barbados = reader("focal.bb@demo.example", width=390)
    follow(barbados, "main a[href$='#pairing']")
    expect(barbados.locator("#pairing")).to_contain_text("The toolkit has a chapter for small")
    expect(barbados.locator(".score-block").first).to_be_visible()
    assert fits(barbados)

    # Three countries are asked to make their needs one; each consents.
    force.goto(f"{FORCE}/queue")
    for reference in needs.values():
        force.check(f"input[name=need][value='{reference}']")
    follow(force, "main form button.btn-outline-primary")
    follow(force, "form[action='/pools/new'] button")
    expect(force).to_have_url(re.compile(r"/pools/\d+$"))
    pool = force.url
    for code in COUNTRIES:
        country = barbados if code == "bb" else reader(f"focal.{code}@demo.example", width=390)
        country.goto("/desk")
        follow(country, "main a[href*='/pools/']")
        follow(country, "button[name=consent][value=true]")
        expect(country.locator("[role=status]")).to_be_visible()
    force.goto(pool)
    expect(force.locator("h1 .tag.good")).to_be_visible()
    coordinator = reader("coordinator.caribbean@demo.example")
    expect(coordinator.locator("main")).to_contain_text("need-caribbean-pool-")
