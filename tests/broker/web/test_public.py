"""The home page, how it works, and the pages of organisations."""

import re

import pytest
from sqlalchemy import select

from models import LANGUAGES, Agreement, AgreementStatus, PostStatus, PostVersion, Role
from tests.broker.factories import find_organisation, make_person, post_need, post_offer
from tests.factories import make_agreement


def figure(page: str, words: str) -> tuple[int, str]:
    """A figure of the home page and the address to which it leads."""
    found = re.search(rf'<a href="([^"]*)"><b>([\d,.]+)</b>{words}</a>', page)
    assert found, words
    return int(re.sub(r"\D", "", found[2])), found[1].replace("&amp;", "&")


BOTH_KINDS = [
    {"kind": kind, "modality": None, "detail": "x"} for kind in ("capacity_building", "finance")
]
"""What a need asks for of which an agreement about training leaves a part open."""


@pytest.fixture
def book(exchange):
    """Three live needs of two countries, two live offers, a draft, an expired need, an agreement."""
    with exchange.writing() as session:
        post_need(session, title="Water reuse in tanneries", themes=["water"])
        need = post_need(session, title="Greener tenders", support=BOTH_KINDS)
        post_need(session, "gov-br", title="Compras verdes", language="pt")
        post_need(session, title="Half an idea", status=PostStatus.DRAFT)
        post_need(session, title="Too late", status=PostStatus.EXPIRED)
        offer = post_offer(session, title="Toolkit for buyers")
        post_offer(session, "caf", title="Green credit lines")
        make_agreement(session, need, offer, status=AgreementStatus.SIGNED)


def test_home_says_what_it_is_and_how_it_stands(client, book):
    page = client.get("/").text
    assert "10YFP" in page
    assert figure(page, "open needs")[0] == 3
    assert figure(page, "open offers")[0] == 2
    assert figure(page, "agreements signed")[0] == 1
    assert figure(page, "countries with an open need")[0] == 2


@pytest.mark.parametrize("words", ["open needs", "open offers"])
def test_each_figure_leads_to_its_rows(client, book, words):
    number, address = figure(client.get("/").text, words)
    rows = client.get(address).text
    assert rows.count('class="card-title"') == number


def test_the_countries_on_the_home_page_lead_to_their_needs(client, book):
    page = client.get("/").text
    assert "/needs?country=BR&amp;open=1" in page
    assert 'id="countries"' in page
    rows = client.get("/needs?country=BR&open=1").text
    assert "Compras verdes" in rows
    assert "Greener tenders" not in rows


def test_home_shows_the_newest_and_nothing_that_is_not_open(client, book):
    page = client.get("/").text
    assert "Greener tenders" in page
    assert "Half an idea" not in page
    assert "Too late" not in page


def test_an_empty_exchange_has_a_home(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "No need is open now." in page.text


def test_home_leads_a_focal_point_to_the_form_and_a_visitor_to_the_door(client, sign_in):
    assert 'href="/needs/new"' in sign_in(Role.FOCAL_POINT).get("/").text
    assert "/sign-in?next=/needs/new" in client.get("/").text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("address", ["/", "/about", "/needs", "/offers"])
def test_public_pages_open_in_every_language(client, book, address, language):
    page = client.get(address, headers={"Accept-Language": language})
    assert page.status_code == 200
    assert f'<html lang="{language}">' in page.text


def test_about_names_sources_steps_and_the_secretariat(client, exchange):
    with exchange.writing() as session:
        make_person(session, Role.SECRETARIAT, email="secretariat@example.org")
    page = client.get("/about").text
    for words in ("Stockholm", "chapter 3", "five steps", "CELAC", "secretariat@example.org"):
        assert words in page


def test_an_organisation_shows_what_it_asks_for_offers_and_has_agreed(client, book, exchange):
    with exchange.reading() as session:
        reference = session.scalars(select(Agreement.reference)).one()
    page = client.get("/organisations/gov-pe").text
    assert "Greener tenders" in page
    assert reference in page
    assert "Half an idea" not in page
    assert "Compras verdes" not in page


def test_a_negotiation_is_not_on_the_page_of_its_parties(client, exchange):
    with exchange.writing() as session:
        found = make_agreement(
            session, post_need(session), post_offer(session), status=AgreementStatus.PROPOSED
        )
        reference = found.reference
    assert reference not in client.get("/organisations/gov-pe").text


def test_a_task_force_tells_its_objectives_members_and_meetings(client):
    page = client.get("/organisations/tf-procurement").text
    for words in ("Objectives", "Activities", "Led by Switzerland", "Argentina", "March 2006"):
        assert words in page


@pytest.mark.parametrize(
    "code", ["tf-africa", "tf-products", "tf-lifestyles", "tf-tourism", "tf-buildings"]
)
def test_every_task_force_has_its_page(client, code):
    assert client.get(f"/organisations/{code}").status_code == 200


def test_an_unknown_organisation_is_not_found_and_the_way_back_is_shown(client):
    came_from = "http://localhost/organisations?q=nobody"
    answer = client.get("/organisations/nobody", headers={"Referer": came_from})
    assert answer.status_code == 404
    assert f'href="{came_from}"' in answer.text
    assert 'action="/search"' in answer.text


def test_no_error_page_leads_to_another_host(client):
    answer = client.get("/nothing", headers={"Referer": "http://elsewhere.example/localhost/"})
    assert answer.status_code == 404
    assert "elsewhere.example" not in answer.text


def test_an_organisation_without_posts_leads_on(client, exchange):
    with exchange.reading() as session:
        assert find_organisation(session, "gov-bb")
    assert "nothing on the exchange now" in client.get("/organisations/gov-bb").text


def test_home_asks_the_database_as_often_for_many_posts_as_for_few(
    client, exchange, count_queries, book
):
    with count_queries() as few:
        client.get("/")
    with exchange.writing() as session:
        for number in range(12):
            post_need(session, title=f"Need {number}")
            post_offer(session, title=f"Offer {number}")
    with count_queries() as many:
        client.get("/")
    assert len(many) <= len(few) <= 20


@pytest.mark.parametrize("kind", ["need", "offer"])
def test_a_version_that_says_nothing_of_a_field_can_be_read(client, exchange, kind):
    with exchange.writing() as session:
        post = (post_need if kind == "need" else post_offer)(session, title="As it was")
        said = {
            name: None if isinstance(value, list) and name != "support" else value
            for name, value in post.versions[0].content.items()
        }
        post.versions.append(PostVersion(number=2, content=said))
    answer = client.get(f"/{kind}s/{post.id}/versions/2")
    assert answer.status_code == 200
    assert "As it was" in answer.text
