"""Finding posts: kept in step with the database, narrowed by filters, safe for every reader."""

from __future__ import annotations

import pytest

from broker.posts import PostFilter, edit_post, find_posts, publish_post, withdraw_post
from broker.search import load_posts, search_posts
from models import Need, PostStatus, Role
from tests.broker.factories import days, make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")


def titles(exchange, text, kind="need", **filters):
    with exchange.reading() as session:
        asked = PostFilter(kind, text=text, **{"sort": "relevance", **filters})
        found = search_posts(exchange, session, asked)
        return [post.title for post in load_posts(session, found.ids)]


def test_a_post_is_found_in_another_language_than_it_is_written_in(exchange):
    with exchange.writing() as session:
        post_need(session, title="Redes de agua", description="Fugas.", language="es", themes=[])
        post_need(session, title="Hotels", description="Beaches.", themes=["sustainable_tourism"])
    assert titles(exchange, "drinking water") == ["Redes de agua"]
    assert titles(exchange, "água potável") == ["Redes de agua"]
    assert titles(exchange, "tourisme durable") == ["Hotels"]


def test_the_index_follows_what_any_process_changes(exchange):
    assert titles(exchange, "turbines") == []
    with exchange.writing() as session:
        need = post_need(session, title="Wind turbines", status=PostStatus.SUBMITTED)
        office = make_person(session, Role.SECRETARIAT)
        number = need.id
    assert titles(exchange, "turbines") == []
    with exchange.writing() as session:
        publish_post(session, office, session.get_one(Need, number), today=days(0))
    assert titles(exchange, "turbines") == ["Wind turbines"]
    with exchange.writing() as session:
        need = session.get_one(Need, number)
        author = make_person(session, Role.FOCAL_POINT)
        edit_post(session, author, need, {"title": "Solar panels"}, exchange.reference)
    assert titles(exchange, "turbines") == []
    assert titles(exchange, "solar") == ["Solar panels"]
    with exchange.writing() as session:
        withdraw_post(session, office, session.get_one(Need, number))
    assert titles(exchange, "solar") == []


def test_a_draft_is_found_by_its_own_organisation_alone_and_never_hinted_at(exchange):
    with exchange.writing() as session:
        draft = post_need(session, title="Plutonium", status=PostStatus.DRAFT)
        post_need(session, title="Tourism")
        own, number = draft.organisation_id, draft.id
    everything = frozenset(PostStatus)
    assert titles(exchange, "plutonium") == []
    assert titles(exchange, "plutonium", statuses=everything, organisation_id=own) == ["Plutonium"]
    assert titles(exchange, "plutonium", statuses=everything, organisation_id=own + 1) == []
    with exchange.reading() as session:
        found = search_posts(exchange, session, PostFilter("need", text="plutonios"))
        assert found.found.corrected == ""
        assert number not in found.found.points


def test_other_filters_and_orders_hold_beside_the_words(exchange):
    with exchange.writing() as session:
        post_need(session, title="Water one", themes=["water"], closes=days(20))
        post_need(session, "gov-br", title="Water two", themes=["water"], closes=days(10))
        post_need(session, "gov-br", title="Wood", themes=["water"], closes=days(5))
        post_offer(session, title="Water offer")
    assert titles(exchange, "water one two", countries=("BR",))[0] == "Water two"
    assert set(titles(exchange, "water", countries=("BR",))) == {"Water two", "Wood"}
    assert titles(exchange, "water", sort="closing")[-1] == "Water one"
    assert titles(exchange, "water", kind="offer") == ["Water offer"]


def test_choices_are_counted_among_what_the_words_found(exchange):
    with exchange.writing() as session:
        post_need(session, title="Turbines for Peru", themes=["renewable_energy"])
        post_need(session, "gov-br", title="Turbinas", language="es", themes=["renewable_energy"])
        post_need(session, "gov-br", title="Hotels", themes=["sustainable_tourism"])
    with exchange.reading() as session:
        results = search_posts(exchange, session, PostFilter("need", text="turbines"), counted=True)
        assert results.counts["countries"] == {"PE": 1, "BR": 1}
        assert results.counts["themes"] == {"renewable_energy": 2}


def test_without_words_a_search_is_the_list(exchange):
    with exchange.writing() as session:
        for number in range(3):
            post_need(session, title=f"Need {number}")
    with exchange.reading() as session:
        filters = PostFilter("need", sort="title")
        assert search_posts(exchange, session, filters).ids == [
            post.id for post in session.scalars(find_posts(filters))
        ]


def test_many_posts_cost_no_more_statements_than_few(exchange, count_queries):
    def statements():
        with exchange.reading() as session, count_queries() as ran:
            search_posts(exchange, session, PostFilter("need", text="buyers"), counted=True)
        return len(ran)

    with exchange.writing() as session:
        post_need(session)
    statements()
    few = statements()
    with exchange.writing() as session:
        for _ in range(30):
            post_need(session)
    statements()
    assert statements() == few
