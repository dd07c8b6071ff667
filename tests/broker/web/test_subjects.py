"""A page of each theme and ILAC area: what the exchange holds on it, each number with its rows."""

import pytest

from broker.subjects import SUBJECTS, get_subject, picture_subject
from models import LANGUAGES
from tests.broker.factories import days, post_need, post_offer
from tests.broker.web.test_directory import publish


def test_every_theme_and_area_is_described_in_four_languages(exchange):
    for facet in SUBJECTS:
        for code in exchange.reference.codes(facet):
            said = [get_subject(exchange.reference, facet, code).about(x) for x in LANGUAGES]
            assert all(said), code
            assert len(set(said)) == 4, code


def test_a_theme_shows_who_asks_who_offers_and_what_has_worked(exchange, client):
    with exchange.writing() as session:
        post_need(session, title="Meters for wells", themes=["water"], ilac_areas=["2"])
        post_need(session, title="Labels", themes=["ecolabelling"])
        post_offer(session, title="Courses on basins", themes=["water"])
    publish(exchange, themes=["water"])
    page = client.get("/themes/water").text
    for words in (
        "<h1",
        "Protecting, saving",
        "Meters for wells",
        "Courses on basins",
        "Closed wash",
    ):
        assert words in page, words
    assert "Labels" not in page
    assert "Meters for wells" in client.get("/ilac-areas/2").text
    with exchange.reading() as session:
        subject = get_subject(exchange.reference, "theme", "water")
        picture = picture_subject(session, subject, on=days(0))
    assert (picture.open.needs, picture.open.offers, picture.agreed, picture.entries) == (
        1,
        1,
        0,
        1,
    )


def test_posts_lead_to_the_pages_of_their_themes_and_areas(exchange, client):
    with exchange.writing() as session:
        number = post_need(session, themes=["water"], ilac_areas=["2"]).id
    for path in ("/needs", f"/needs/{number}", "/board"):
        assert 'href="/themes/water"' in client.get(path).text, path
    assert 'href="/ilac-areas/2"' in client.get(f"/needs/{number}").text


def test_all_of_them_stand_on_one_page_with_their_numbers(exchange, client):
    with exchange.writing() as session:
        post_need(session, themes=["water"])
    page = client.get("/themes").text
    assert 'href="/themes/water"' in page
    assert 'href="/needs?open=1&amp;theme=water">1</a>' in page or "theme=water&amp;open=1" in page


@pytest.mark.parametrize("path", ["/themes/wizardry", "/ilac-areas/99"])
def test_a_theme_that_does_not_exist_is_not_found(client, path):
    assert client.get(path).status_code == 404
