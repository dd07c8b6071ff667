"""An agency covers a part of a need; and nobody gives more than an offer has."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from broker import agreements, interests
from broker.exchange import Exchange
from broker.settings import Settings
from models import Need, Offer, User
from tests.broker.factories import days, post_need, post_offer
from tests.journeys.reading import fits, follow

pytestmark = pytest.mark.browser


@pytest.fixture
def book(site) -> dict[str, int]:
    """A bank's offer of many places, and one of two that two agreements have taken."""
    exchange = Exchange(Settings(home=site.home).completed())
    with exchange.writing() as session:
        wide = post_offer(session, "iadb", title="Loans with training", places=40)
        narrow = post_offer(session, "iadb", title="Two study visits", places=2)
        large = post_need(session, "gov-pe", title="Buyers of all ministries", places_wanted=50)
        small = [post_need(session, "gov-pe", title=f"A study visit {n}") for n in range(3)]
        bank, peru = (
            session.scalars(select(User).where(User.email == f"{name}@demo.example")).one()
            for name in ("officer.iadb", "focal.pe")
        )
        for need in small[:2]:
            _sign(exchange, session, bank, peru, need, narrow)
        numbers = {
            "wide": wide.id,
            "narrow": narrow.id,
            "large": large.id,
            "third": small[2].id,
        }
    exchange.database.dispose()
    return numbers


def _sign(exchange, session, bank: User, peru: User, need: Need, offer: Offer) -> None:
    interests.express_interest(session, bank, need, offer, score=None, places=1)
    match = interests.find_match(session, need, offer)
    assert match is not None
    interests.answer_interest(session, peru, match, accept=True)
    terms = {
        "title": "A study visit",
        "activities": "A week with colleagues.",
        "starts": days(0).isoformat(),
        "ends": days(90).isoformat(),
        "places": 1,
    }
    agreement = agreements.propose_agreement(
        session, bank, match, terms, exchange.reference, today=days(0)
    )
    agreements.accept_terms(session, peru, agreement, 1)
    for by in (bank, peru):
        agreements.sign_agreement(session, by, agreement, 1)


def test_a_part_of_a_need_is_covered_and_a_third_match_on_two_places_is_refused(reader, book):
    # The bank finds the need in its one list, and covers sixty per cent of it.
    bank = reader("officer.iadb@demo.example")
    follow(bank, "main a[href='/desk/ranked-needs']")
    bank.select_option("#theme", "sustainable_public_procurement")
    follow(bank, "form.find button")
    expect(bank.locator("ol.post-list").first).to_contain_text("Buyers of all ministries")
    bank.goto(f"/matches/{book['large']}/{book['wide']}")
    bank.fill("#share", "60")
    follow(bank, "form[action$='/interest'] button")
    expect(bank.locator("main")).to_contain_text("60 % of the need")

    # The country sees it on its telephone, in Spanish: on the desk, and on the need.
    peru = reader("focal.pe@demo.example", width=390)
    peru.goto(f"/needs/{book['large']}")
    expect(peru.locator("#interest")).to_contain_text("60 %")
    assert fits(peru)
    follow(peru, "#interest a[href*='/matches/']")
    follow(peru, "form[action$='/answer'] button[value=true]")

    # The agreement starts from what was said.
    follow(peru, "main a[href*='/agreements/new']")
    expect(peru.locator("[name=places]")).to_have_value("30")

    # Two places are taken: a third match is refused, and both sides read why.
    third = f"/matches/{book['third']}/{book['narrow']}"
    for page in (bank, peru):
        page.goto(third)
        expect(page.locator(".notice.bad")).to_be_visible()
        expect(page.locator("form[action$='/interest']")).to_have_count(0)
    bank.goto("/desk/offers")
    expect(bank.locator("main li", has_text="Two study visits")).to_contain_text("0 of 2 left")
    token = bank.locator("input[name=csrf_token]").first.get_attribute("value")
    refused = bank.request.post(
        f"{third}/interest",
        form={"csrf_token": token or ""},
        headers={"Referer": bank.url, "Accept": "text/html"},
    )
    assert refused.status == 409
    assert "nothing is left for another one" in refused.text()
