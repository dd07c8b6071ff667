"""Countries: the map, its table, and each country's page lead to exactly their rows."""

import re

import pytest

from models import AgreementStatus, Role
from tests.broker.factories import make_person, post_need, post_offer
from tests.broker.web.rows_behind import lead_to_their_rows
from tests.factories import make_agreement


@pytest.fixture
def book(exchange):
    with exchange.writing() as session:
        need = post_need(session, title="Water", themes=["water"], ilac_areas=["2"])
        post_need(session, "gov-lc", title="Homes", themes=["climate_change"])
        offer = post_offer(session, title="Course", themes=["water"])
        post_offer(session, "gov-br", title="For the Andes", serves_subregions=["andean"])
        make_agreement(session, need, offer, status=AgreementStatus.SIGNED)
        for number in range(3):
            post_need(session, title=f"Open {number}", themes=["water"], mandates=["dec12_2003_3"])
        make_person(session, Role.FOCAL_POINT)


@pytest.mark.parametrize("measure", ["needs", "offers", "agreements"])
def test_each_country_is_one_tile_that_leads_to_its_page(client, book, measure):
    page = client.get(f"/countries?measure={measure}").text
    tiles = re.findall(r'<a href="(/countries/\w\w)" aria-label="([^"]*)"', page)
    assert len(set(tiles)) == 33
    assert any(words.startswith("Saint Lucia: 1 need, ") for _address, words in tiles)


@pytest.mark.parametrize(
    ("query", "least"), [("", 33), ("?theme=water", 33), ("?theme=climate_change", 1)]
)
def test_every_number_of_the_map_leads_to_its_rows(client, book, query, least):
    assert lead_to_their_rows(client, client.get(f"/countries{query}").text) >= least


@pytest.mark.parametrize("code", ["PE", "LC", "BR", "HT"])
def test_every_number_of_a_country_leads_to_its_rows(client, book, code):
    assert lead_to_their_rows(client, client.get(f"/countries/{code}").text) >= 3


def test_a_country_says_who_speaks_for_it_and_where_it_belongs(client, book):
    page = client.get("/countries/PE").text
    assert "/organisations/gov-pe" in page
    assert "/board?subregion=andean" in page
    assert "Sustainable Public Procurement" in client.get("/countries/AR").text


def test_a_country_has_one_address(client):
    answer = client.get("/countries/pe")
    assert answer.status_code == 301
    assert answer.location.endswith("/countries/PE")


@pytest.mark.parametrize("path", ["/countries/CH", "/countries/ZZ"])
def test_no_country_of_the_region_is_not_found(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("query", ["measure=x", "theme=x"])
def test_what_does_not_exist_is_said(client, query):
    assert client.get(f"/countries?{query}").status_code == 422


@pytest.mark.parametrize("path", ["/countries", "/countries/PE"])
def test_a_country_costs_as_many_queries_with_many_posts(
    client, exchange, count_queries, book, path
):
    with count_queries() as few:
        client.get(path)
    with exchange.writing() as session:
        for number in range(30):
            post_need(session, title=f"Need {number}")
            post_offer(session, title=f"Offer {number}")
    with count_queries() as many:
        client.get(path)
    assert len(many) <= len(few) + 2 <= 60
