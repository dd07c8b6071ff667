"""What the exchange says to a post that is being written, and the secretariat's queue of doubles."""

import re
from html import unescape

import pytest
from sqlalchemy import func, select

from models import Need, PostStatus, Role
from tests.broker.factories import post_need
from tests.broker.web.forms_of import form_to

NEW = "/needs/new"
QUEUE = "/secretariat/duplicates"
WATER = "Wastewater treatment of river basins: drinking water, sewage, irrigation and aquifers"
BUYERS = "Public buyers write tenders: procurement, green bids, contracts and purchasing"


@pytest.fixture
def writer(sign_in):
    """A browser of Peru's focal point."""
    return sign_in(Role.FOCAL_POINT)


@pytest.fixture
def office(sign_in):
    """A browser of the secretariat."""
    return sign_in(Role.SECRETARIAT)


@pytest.fixture
def book(exchange):
    """Thirty needs, about water and about buying in turn."""
    with exchange.writing() as session:
        for number in range(30):
            wet = number % 2
            post_need(
                session,
                "gov-jm",
                title=f"{'Clean rivers' if wet else 'Green tenders'} {number}",
                description=f"{WATER if wet else BUYERS} in district {number}",
                themes=["water" if wet else "sustainable_public_procurement"],
                dimension="2" if wet else "1",
            )


def _text(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))).split())


def _number(exchange, *statuses):
    with exchange.reading() as session:
        query = select(func.count(Need.id))
        return session.scalar(query.where(Need.status.in_(statuses or list(PostStatus))))


def _typed(writer, **changes):
    form = form_to(writer.get(NEW).text, NEW).fields
    return {**form.to_dict(flat=False), **changes}


def test_suggestions_are_shown_on_request_and_nothing_is_saved_or_filled_in(exchange, writer, book):
    before = _number(exchange)
    typed = _typed(writer, title="Sewage of our towns", description="It meets the river.")
    answer = writer.post(NEW, data={**typed, "then": "suggest"})
    assert answer.status_code == 200
    assert "because of: " in _text(answer)
    assert 'value="themes:water"' in answer.text
    form = form_to(answer.text, NEW).fields
    assert form["title"] == "Sewage of our towns"
    assert "water" not in form.getlist("themes")
    assert "hint" not in form
    assert _number(exchange) == before


def test_a_suggestion_that_is_ticked_counts_when_the_draft_is_saved(exchange, writer, book):
    typed = _typed(writer, title="Sewage of our towns", description="It meets the river.")
    hints = ["themes:water", "support_kinds:technical_support", "dimension:2", "ilac_areas:3"]
    answer = writer.post(NEW, data={**typed, "then": "save", "hint": hints})
    assert answer.status_code == 302
    with exchange.reading() as session:
        saved = session.scalars(select(Need).where(Need.title == "Sewage of our towns")).one()
        assert saved.codes("theme") == ["water"]
        assert saved.codes("ilac_area") == ["3"]
        assert saved.support_kinds == ["technical_support"]
        assert saved.dimension == "2"


def test_ticked_suggestions_move_into_the_form_when_asked_again(writer, book):
    typed = _typed(writer, title="Sewage of our towns", description="It meets the river.")
    hints = ["themes:water", "support_kinds:finance"]
    answer = writer.post(NEW, data={**typed, "then": "suggest", "hint": hints})
    form = form_to(answer.text, NEW).fields
    assert form.getlist("themes") == ["water"]
    assert "finance" in [value for name, value in form.items(multi=True) if name.endswith("-kind")]
    assert 'value="themes:water"' not in answer.text


@pytest.mark.parametrize("hint", ["themes:nonsense", "nonsense", "title:x", "dimension:9"])
def test_a_suggestion_that_nobody_made_breaks_nothing(writer, hint):
    typed = _typed(writer, title="Sewage of our towns")
    assert writer.post(NEW, data={**typed, "then": "save", "hint": hint}).status_code in (302, 422)


def test_a_likely_double_is_shown_before_submitting_and_only_once(exchange, writer):
    with exchange.writing() as session:
        twin = post_need(session, title="Clean rivers", description=WATER)
    typed = _typed(writer, title="Clean rivers", description=WATER, then="submit")
    typed["support-0-kind"] = ["technical_support"]
    asked = writer.post(NEW, data=typed)
    assert asked.status_code == 409
    assert "1 post on the exchange says nearly the same." in _text(asked)
    assert f"/needs/{twin.id}" in asked.text
    assert _number(exchange, PostStatus.SUBMITTED) == 0
    form = form_to(asked.text, NEW).fields
    assert form["title"] == "Clean rivers"
    answer = writer.post(NEW, data={**form.to_dict(flat=False), "then": "submit"})
    assert answer.status_code == 302
    assert _number(exchange, PostStatus.SUBMITTED) == 1


def test_a_draft_is_saved_without_being_asked_and_asked_when_it_is_handed_in(exchange, writer):
    with exchange.writing() as session:
        post_need(session, title="Clean rivers", description=WATER)
    typed = _typed(writer, title="Clean rivers", description=WATER, then="save")
    typed["support-0-kind"] = ["technical_support"]
    page = writer.post(NEW, data=typed).location
    asked = writer.post(f"{page}/submit")
    assert asked.status_code == 409
    form = form_to(asked.text, f"{page}/edit").fields
    answer = writer.post(f"{page}/edit", data={**form.to_dict(flat=False), "then": "submit"})
    assert answer.status_code == 302
    assert _number(exchange, PostStatus.SUBMITTED) == 1


def test_asking_for_suggestions_does_not_hide_a_colleagues_change(exchange, writer):
    with exchange.writing() as session:
        need = post_need(session, title="Clean rivers", description=WATER)
    address = f"/needs/{need.id}/edit"
    typed = form_to(writer.get(address).text, address).fields.to_dict(flat=False)
    writer.post(address, data={**typed, "title": "Cleaner rivers", "then": "save"})
    again = writer.post(address, data={**typed, "title": "My rivers", "then": "suggest"})
    form = form_to(again.text, address).fields
    answer = writer.post(address, data={**form.to_dict(flat=False), "then": "save"})
    assert answer.status_code == 409


def test_the_queue_shows_both_posts_in_their_languages_until_they_are_told_apart(exchange, office):
    with exchange.writing() as session:
        first = post_need(session, title="Clean rivers", description=WATER)
        second = post_need(session, title="Clean rivers", description=WATER, language="pt")
    page = office.get(QUEUE)
    assert 'lang="pt"' in page.text
    assert f"/needs/{first.id}/withdraw" in page.text
    assert f"/needs/{second.id}/withdraw" in page.text
    told = office.post(f"{QUEUE}/needs/{first.id}/{second.id}", follow_redirects=True)
    assert "They are two." in _text(told)
    assert f"/needs/{second.id}/withdraw" not in told.text


def test_an_empty_exchange_has_an_empty_queue(office):
    assert "No two posts on the exchange say the same." in _text(office.get(QUEUE))
