"""The directory of organisations: search, filters, and numbers that lead to their rows."""

import re

import pytest

from tests.broker.factories import post_need, post_offer
from tests.broker.web.rows_behind import lead_to_their_rows


@pytest.fixture
def book(exchange):
    with exchange.writing() as session:
        post_need(session, "gov-pe", title="Water")
        post_offer(session, "caf", title="Credit")


@pytest.mark.parametrize(
    ("query", "there", "not_there"),
    [
        ("q=caf", "/organisations/caf", "/organisations/gov-pe"),
        ("kind=task_force", "/organisations/tf-tourism", "/organisations/caf"),
        ("country=PE&kind=government", "/organisations/gov-pe", "/organisations/gov-br"),
    ],
)
def test_organisations_are_found_by_words_kind_and_country(client, query, there, not_there):
    page = client.get(f"/organisations?{query}").text
    assert there in page
    assert not_there not in page


def test_every_number_leads_to_its_rows(client, book):
    assert lead_to_their_rows(client, client.get("/organisations?country=PE&q=gov-pe").text) == 1
    assert lead_to_their_rows(client, client.get("/organisations?q=caf").text) == 1


def test_a_search_without_a_result_leads_on(client):
    page = client.get("/organisations?q=xyzzy").text
    assert "No organisation fits this search." in page
    assert "Show all organisations" in page


def test_names_stand_in_the_order_of_the_readers_language(client):
    with client.session_transaction() as kept:
        kept["language"] = "es"
    page = client.get("/organisations?kind=un_body").text
    names = re.findall(r'<h2><a href="[^"]*">([^<]*)</a>', page)
    assert names == sorted(names, key=str.lower)
    assert len(names) > 3
