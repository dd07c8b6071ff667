"""The search box, the lists with words, and one's own posts."""

from __future__ import annotations

import pytest

from models import PostStatus, Role
from tests.broker.factories import post_need, post_offer
from tests.broker.web.test_directory import publish
from tests.broker.web.test_posts import titles


@pytest.fixture
def book(exchange):
    with exchange.writing() as session:
        post_need(session, title="Capacitación de compradores", language="es", themes=[])
        post_need(session, "gov-br", title="Água limpa", language="pt", themes=["water"])
        post_need(session, title="Turbina secreta", language="es", status=PostStatus.DRAFT)
        post_offer(session, title="Clean water for <b>towns</b>", themes=["water"])


def test_the_box_finds_needs_and_offers_in_every_language(client, book):
    page = client.get("/search?q=agua").text
    assert titles(page) == ["Água limpa", "Clean water for &lt;b&gt;towns&lt;/b&gt;"]
    assert "1 need" in page
    assert "1 offer" in page


def test_the_box_finds_entries_of_the_directories_too(exchange, client, book):
    number = publish(exchange, title="Agua en curtiembres", language="es", themes=["water"])
    page = client.get("/search?q=agua").text
    assert "1 entry of the directories" in page
    assert f"/directory/entries/{number}" in page
    assert "<mark>Agua</mark> en curtiembres" in page


def test_the_box_shows_drafts_to_their_own_side_alone(client, book, sign_in):
    assert "Turbina" not in client.get("/search?q=turbina").text
    assert "Turbina" not in sign_in(Role.FOCAL_POINT, "gov-br").get("/search?q=turbina").text
    assert "Turbina" not in sign_in(Role.SECRETARIAT).get("/search?q=turbina").text
    page = sign_in(Role.FOCAL_POINT).get("/search?q=turbina").text
    assert "What only your side sees" in page
    assert "Turbina secreta" in page


def test_found_words_are_marked_and_text_stays_text(client, book):
    page = client.get("/offers?q=water+towns").text
    assert "Clean <mark>water</mark> for &lt;b&gt;<mark>towns</mark>&lt;/b&gt;" in page


def test_a_typing_error_is_forgiven_and_named(client, book):
    page = client.get("/needs?q=capasitacion").text
    assert titles(page) == ["Capacitación de compradores"]
    assert "/needs?q=capacitacion" in page
    assert "capasitacion" in page
    assert "turbina" not in client.get("/needs?q=turbima").text


def test_a_list_with_words_is_in_the_order_of_the_best_match_unless_told(client, book):
    assert '<option value="relevance" selected' in client.get("/needs?q=agua").text
    assert '<option value="title" selected' in client.get("/needs?q=agua&sort=title").text
    assert 'value="relevance"' not in client.get("/needs").text


def test_one_s_own_posts_are_searched_too(book, sign_in):
    page = sign_in(Role.FOCAL_POINT).get("/desk/posts?q=turbinas").text
    assert "Turbina secreta" in page
    assert "Capacitación" not in page
    page = sign_in(Role.FOCAL_POINT).get("/desk/posts?q=zebra").text
    assert "None of your posts says this." in page


@pytest.mark.parametrize("query", ["", "%00", "%F0%9F%8C%B1", "the+of", "a" * 5000, "%", "'--"])
def test_an_odd_question_gets_a_page(client, book, query):
    assert client.get(f"/search?q={query}").status_code == 200
    assert client.get(f"/needs?q={query}").status_code == 200
