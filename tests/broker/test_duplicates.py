"""Doubles: found at posting time and in the queue, settled by a person, never merged."""

import pytest

from broker.duplicates import (
    doubles_of,
    find_organisation_pairs,
    find_post_pairs,
    keep_both_organisations,
    keep_both_posts,
)
from broker.posts import content, edit_post, withdraw_post
from broker.sketch import Sketch
from models import NotAllowed, NotFound, Organisation, Role
from tests.broker.factories import find_organisation, make_person, post_need, post_offer

WORDS = "Buyers of eleven ministries learn to write tenders with environmental criteria."


@pytest.fixture
def twins(exchange):
    """Two needs that say the same, one that says something else, and an offer that says it too."""
    with exchange.writing() as session:
        first = post_need(session, title="Train public buyers", description=WORDS)
        second = post_need(session, title="Train public buyers", description=WORDS)
        post_need(session, title="Waste of hospitals", description="Needles are burnt outdoors.")
        post_offer(session, title="Train public buyers", description=WORDS)
        return first, second


@pytest.fixture
def office(exchange):
    """The secretariat."""
    with exchange.writing() as session:
        return make_person(session, Role.SECRETARIAT)


def _pairs(exchange, by):
    with exchange.reading() as session:
        return [
            {pair.first.id, pair.second.id}
            for pair in find_post_pairs(exchange, session, by, 20)[0]
        ]


def test_the_queue_holds_posts_of_one_side_that_say_the_same(exchange, twins, office):
    assert _pairs(exchange, office) == [{post.id for post in twins}]


def test_a_pair_that_is_settled_comes_back_when_one_of_them_changes(exchange, twins, office):
    first, second = twins
    with exchange.writing() as session:
        keep_both_posts(session, office, "need", second.id, first.id)
    assert _pairs(exchange, office) == []
    with exchange.writing() as session:
        post = session.get(type(first), first.id)
        by = make_person(session, Role.FOCAL_POINT)
        edit_post(session, by, post, {"level": "national"}, exchange.reference)
    assert _pairs(exchange, office) == [{first.id, second.id}]


def test_a_withdrawn_post_leaves_the_queue(exchange, twins, office):
    assert _pairs(exchange, office)
    with exchange.writing() as session:
        withdraw_post(session, office, session.get(type(twins[1]), twins[1].id))
    assert _pairs(exchange, office) == []


def test_a_writer_is_shown_the_posts_that_say_what_she_says(exchange, twins):
    values = {"language": "en", "title": "Train public buyers", "description": WORDS}
    sketch = Sketch("need", {**values, "country": "PE"}, twins[0].organisation_id)
    with exchange.reading() as session:
        found = doubles_of(exchange, session, sketch)
        session.expunge_all()
    assert {double.post.id for double in found} == {post.id for post in twins}
    assert all(double.alike.likeness > 0.88 for double in found)


def test_a_post_is_no_double_of_itself_nor_of_one_from_which_it_was_told_apart(
    exchange, twins, office
):
    first, second = twins
    with exchange.writing() as session:
        sketch = Sketch("need", content(session.get(type(first), first.id)), 1, first.id)
        assert [double.post.id for double in doubles_of(exchange, session, sketch)] == [second.id]
        keep_both_posts(session, office, "need", first.id, second.id)
        session.flush()
        assert doubles_of(exchange, session, sketch) == []


def test_an_empty_text_has_no_double(exchange, twins):
    with exchange.reading() as session:
        assert doubles_of(exchange, session, Sketch("need", {}, 1)) == []


def test_an_organisation_under_two_names_is_found_and_settled(exchange, office):
    with exchange.writing() as session:
        known = find_organisation(session, "gov-pe")
        twin = Organisation(
            code="minam-again",
            kind="government",
            names=dict(known.names),
            country_code="PE",
        )
        session.add(twin)
        session.flush()
        pair = {known.id, twin.id}

    def found():
        with exchange.reading() as session:
            return [
                {made.first.id, made.second.id}
                for made in find_organisation_pairs(exchange, session, office)
            ]

    assert pair in found()
    with exchange.writing() as session:
        keep_both_organisations(session, office, *pair)
    assert pair not in found()


def test_the_secretariat_alone_reads_and_settles(exchange, twins):
    first, second = twins
    with exchange.writing() as session:
        by = make_person(session, Role.COORDINATOR)
        with pytest.raises(NotAllowed):
            find_post_pairs(exchange, session, by, 20)
        with pytest.raises(NotAllowed):
            find_organisation_pairs(exchange, session, by)
        with pytest.raises(NotAllowed):
            keep_both_posts(session, by, "need", first.id, second.id)
        with pytest.raises(NotAllowed):
            keep_both_organisations(session, by, 1, 2)


def test_what_does_not_exist_cannot_be_settled(exchange, twins, office):
    with exchange.writing() as session:
        with pytest.raises(NotFound):
            keep_both_posts(session, office, "offer", twins[0].id, twins[1].id)
        with pytest.raises(NotFound):
            keep_both_posts(session, office, "need", twins[0].id, twins[0].id)
        with pytest.raises(NotFound):
            keep_both_organisations(session, office, 999_999, 1)
