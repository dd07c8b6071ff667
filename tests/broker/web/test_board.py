"""The exchange board: every number leads to exactly its rows, whatever narrows the board."""

import re

import pytest

from broker.runs import run_matching
from models import ClearingRound, Role, RoundStatus
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.broker.web.rows_behind import lead_to_their_rows, numbers


@pytest.fixture
def book(exchange):
    with exchange.writing() as session:
        post_need(
            session,
            title="Reuse of water",
            themes=["water", "cleaner_production"],
            ilac_areas=["2"],
            programmes=["national_action_plans"],
        )
        post_need(session, "gov-lc", title="Homes that save energy", themes=["energy_efficiency"])
        post_need(
            session,
            "gov-br",
            title="Guarantee fund",
            themes=["finance_credit"],
            support=[{"kind": "finance", "modality": "loan", "detail": "x"}],
            published_on=days(-200),
        )
        post_need(session, "gov-br", title="Nothing stated", themes=[])
        post_offer(session, title="Water course", themes=["water"], serves_subregions=["andean"])
        post_offer(session, "caf", title="Credit lines", themes=["finance_credit"])
        post_offer(session, "eclac", title="Everything", themes=["water", "climate_change"])


QUERIES = [
    "",
    "theme=water",
    "subregion=andean",
    "support_kind=capacity_building",
    "ilac_area=2&theme=cleaner_production",
    "programme=national_action_plans",
    "period=30",
    "period=365&subregion=southern_cone",
]


@pytest.mark.parametrize("query", QUERIES)
def test_every_number_leads_to_exactly_its_rows(client, book, query):
    page = client.get(f"/board?{query}").text
    assert lead_to_their_rows(client, page) >= 4


@pytest.mark.parametrize("query", QUERIES)
def test_every_number_of_the_drawings_stands_in_a_table_too(client, book, query):
    page = client.get(f"/board?{query}").text
    drawn = set(re.findall(r'<a href="(/(?:needs|offers)\?[^"]*)" aria-label', page))
    assert drawn
    linked = set(re.findall(r'<a class="total[^"]*" href="([^"]*)"', page))
    assert drawn <= linked


def test_a_period_leaves_older_posts_out(client, book):
    assert "Guarantee fund" not in client.get("/board?period=90").text
    assert numbers(client.get("/board?period=90").text) != numbers(client.get("/board").text)


def test_a_theme_that_nobody_offers_is_told(client, book):
    page = client.get("/board").text
    unserved = page[page.index("nobody offers:") : page.index('id="scarce"')]
    assert "Energy efficiency: 1 need" in unserved
    assert "Water:" not in unserved


def test_needs_without_a_match_are_listed_after_a_run(client, book, exchange):
    assert "Matching has not been run yet" in client.get("/board").text
    assert client.get("/board/unmet").status_code == 404
    with exchange.writing() as session:
        run_matching(exchange, session, None)
    page = client.get("/board").text
    assert "Matching has not been run yet" not in page
    assert "/board/unmet" in page
    assert lead_to_their_rows(client, page)


def test_prices_of_the_newest_clearing_are_said_in_words(client, book, exchange):
    assert "has not been cleared yet" in client.get("/board").text
    with exchange.writing() as session:
        offer = post_offer(session, title="One place only", places=1)
        office = make_person(session, Role.SECRETARIAT)
        found = ClearingRound(name="Spring", policy="total", by=office)
        session.add(found)
        session.flush()
        found.keep(
            {"offers": [{"id": offer.id}]}, {"prices": [[0, 63.25]]}, ("a" * 64, "b" * 64), office
        )
    page = client.get("/board").text
    assert "One place only" in page
    assert "63.2" in page
    with exchange.writing() as session:
        session.get(ClearingRound, found.id).status = RoundStatus.CANCELLED
    assert "has not been cleared yet" in client.get("/board").text


def test_an_empty_board_leads_out(client):
    page = client.get("/board").text
    assert "No open post passes these filters." in page


@pytest.mark.parametrize("query", ["theme=nothing", "period=3", "subregion=%00"])
def test_what_does_not_exist_is_said(client, query):
    assert client.get(f"/board?{query}").status_code == 422


def test_the_board_asks_the_database_as_often_for_many_posts_as_for_few(
    client, exchange, count_queries, book
):
    with count_queries() as few:
        client.get("/board")
    with exchange.writing() as session:
        for number in range(30):
            post_need(session, title=f"Need {number}", themes=["water"])
            post_offer(session, title=f"Offer {number}", themes=["energy_efficiency"])
    with count_queries() as many:
        client.get("/board")
    assert len(many) <= len(few) <= 40
