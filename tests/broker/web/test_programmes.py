"""Programmes: who supports, who pays, who asks, each number leading to its rows."""

import pytest

from models import AgreementStatus
from tests.broker.factories import post_need, post_offer
from tests.broker.web.rows_behind import lead_to_their_rows
from tests.factories import make_agreement

CODE = "sustainable_procurement"


@pytest.fixture
def book(exchange):
    with exchange.writing() as session:
        post_need(session, title="Tenders", programmes=[CODE])
        need = post_need(session, "gov-br", title="Compras", programmes=[CODE])
        offer = post_offer(session, title="Toolkit", programmes=[CODE])
        post_offer(
            session,
            "caf",
            title="Credit",
            programmes=[CODE],
            support=[{"kind": "finance", "modality": "loan", "detail": "x"}],
        )
        make_agreement(session, need, offer, status=AgreementStatus.SIGNED)


def test_every_number_leads_to_its_rows(client, book):
    assert lead_to_their_rows(client, client.get("/programmes").text) >= 3
    assert lead_to_their_rows(client, client.get(f"/programmes/{CODE}").text) >= 6


def test_a_programme_says_who_supports_and_who_pays(client, book):
    page = client.get(f"/programmes/{CODE}").text
    support = page[page.index("Who gives technical support") : page.index("Who gives finance")]
    finance = page[page.index("Who gives finance") : page.index("Key actors")]
    assert "tf-procurement" in support
    assert "caf" not in support
    assert "/organisations/caf" in finance
    coordinating = page[page.index("Coordinating organisation") :]
    assert "Led by Switzerland" in coordinating


def test_a_programme_without_posts_says_so(client):
    page = client.get("/programmes/product_information").text
    assert "Nobody offers finance in this programme now." in page


def test_an_unknown_programme_is_not_found(client):
    assert client.get("/programmes/nothing").status_code == 404


def test_a_programme_costs_as_many_queries_with_many_posts(client, exchange, count_queries, book):
    with count_queries() as few:
        client.get(f"/programmes/{CODE}")
    with exchange.writing() as session:
        for number in range(20):
            post_need(session, title=f"Need {number}", programmes=[CODE])
    with count_queries() as many:
        client.get(f"/programmes/{CODE}")
    assert len(many) <= len(few) + 2 <= 40
