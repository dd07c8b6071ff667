"""Suggestions while writing: what is suggested, why, and what never is."""

import pytest

from broker.posts import content
from broker.sketch import Sketch
from broker.suggestions import MOST, suggest_codes
from tests.broker.factories import post_need

WATER = "Wastewater treatment of river basins: drinking water, sewage, irrigation and aquifers"
BUYERS = "Public buyers write tenders: procurement, green bids, contracts and purchasing"


@pytest.fixture
def book(exchange):
    """Thirty needs, about water and about buying in turn."""
    with exchange.writing() as session:
        for number in range(30):
            wet = number % 2
            post_need(
                session,
                title=f"{'Clean rivers' if wet else 'Green tenders'} {number}",
                description=WATER if wet else BUYERS,
                themes=["water" if wet else "sustainable_public_procurement"],
                dimension="2" if wet else "1",
                status="published",
            )


def _sketch(**values):
    return Sketch("need", {"language": "en", **values}, organisation=1)


def test_a_text_about_water_is_told_so_with_its_words(exchange, book):
    sketch = _sketch(title="Sewage of our towns", description="Treatment before it meets a river.")
    with exchange.reading() as session:
        hints = suggest_codes(exchange, session, sketch)
    first = next(hint for hint in hints if hint.field == "themes")
    assert first.code == "water"
    assert 0 < first.probability <= 1
    assert "sewage" in first.words
    assert first.can_be_taken


def test_what_is_ticked_is_not_suggested_again(exchange, book):
    sketch = _sketch(
        title="Sewage of our towns",
        description="Treatment before it meets a river.",
        themes=["water"],
        dimension="2",
    )
    with exchange.reading() as session:
        hints = suggest_codes(exchange, session, sketch)
    assert "water" not in {hint.code for hint in hints if hint.field == "themes"}
    assert "dimension" not in {hint.field for hint in hints}


def test_one_dimension_at_most_and_few_of_each(exchange, book):
    with exchange.reading() as session:
        hints = suggest_codes(exchange, session, _sketch(title="River", description=WATER))
    fields = [hint.field for hint in hints]
    assert fields.count("dimension") <= 1
    assert max(fields.count(field) for field in fields) <= MOST


def test_goals_follow_from_themes_and_are_for_reading_alone(exchange, book):
    with exchange.reading() as session:
        hints = suggest_codes(exchange, session, _sketch(title="River", description=WATER))
    goals = [hint for hint in hints if hint.field == "sdg"]
    assert "6" in {hint.code for hint in goals}
    assert not any(hint.can_be_taken for hint in goals)


@pytest.mark.parametrize("title", ["", "…", "123 456"])
def test_a_text_that_says_nothing_gets_no_suggestion(exchange, book, title):
    with exchange.reading() as session:
        assert suggest_codes(exchange, session, _sketch(title=title)) == []


def test_too_few_posts_teach_nothing(exchange):
    with exchange.writing() as session:
        post_need(session)
    with exchange.reading() as session:
        assert suggest_codes(exchange, session, _sketch(title="River", description=WATER)) == []


def test_a_sketch_of_stored_content_reads_as_the_post_itself(exchange):
    from broker.engine import text_of

    with exchange.writing() as session:
        need = post_need(session, problem="Nobody knows how.", results="All know.")
        sketch = Sketch("need", content(need), need.organisation_id, need.id)
        assert (sketch.title, sketch.body) == text_of(need)


def test_what_is_typed_wrongly_does_not_stop_a_sketch():
    sketch = _sketch(title="River", starts="soon", support=[{"kind": None, "detail": None}])
    assert sketch.profile().starts is None
    assert sketch.codes("support_kinds") == frozenset()
