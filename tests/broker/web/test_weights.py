"""The pages of the weights: numbers, dry run, what is learnt, and adoption."""

import re
from html import unescape

import pytest
from sqlalchemy import func, select

from broker.jobs import do_waiting_jobs
from models import Role, WeightSet
from tests.broker.factories import post_need, post_offer
from tests.broker.web.forms_of import form_to

PAGE = "/secretariat/weights"


@pytest.fixture
def office(sign_in):
    """A browser of the secretariat."""
    return sign_in(Role.SECRETARIAT)


@pytest.fixture
def book(exchange):
    """One need and two offers, of which one is on another theme."""
    with exchange.writing() as session:
        post_need(session, title="Green tenders for ministries")
        post_offer(session, title="Courses on green tenders")
        post_offer(session, title="Tenders, too", themes=["water"])


def _text(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))).split())


def _adopted(exchange):
    with exchange.reading() as session:
        return session.scalar(select(func.count(WeightSet.id)))


def _try(office, **changes):
    fields = dict(
        form_to(office.get(PAGE).get_data(as_text=True), f"{PAGE}#changes").fields.items()
    )
    return office.get(PAGE, query_string={**fields, **changes})


def test_the_page_shows_what_is_in_force_with_a_reason_for_each(office):
    words = _text(office.get(PAGE))
    assert "the weights that the exchange came with" in words
    assert "no list of terms foresaw" in words


def test_numbers_that_do_not_add_up_come_back_as_they_were_typed(office):
    answer = _try(office, theme="30")
    assert answer.status_code == 422
    assert "The weights add up to 106, not to 100." in _text(answer)
    assert 'value="30"' in answer.get_data(as_text=True)


def test_what_is_no_number_is_told_at_its_field(office):
    answer = _try(office, theme="")
    assert answer.status_code == 422
    assert 'id="theme-problem"' in answer.get_data(as_text=True)


def test_a_dry_run_shows_what_would_change_and_leaves_nothing(exchange, office, book):
    answer = _try(office, theme="60", text="0")
    words = _text(answer)
    assert answer.status_code == 200
    assert "Nothing has been stored." in words
    assert "Tenders, too" in words
    assert _adopted(exchange) == 0
    assert "the weights that the exchange came with" in _text(office.get(PAGE))


def test_weights_are_adopted_from_the_dry_run_with_a_reason(exchange, office, book):
    tried = _try(office, theme="60", text="0").get_data(as_text=True)
    form = form_to(tried, PAGE).fields
    refused = office.post(PAGE, data={**dict(form.items()), "reason": " "})
    assert refused.status_code == 422
    assert _adopted(exchange) == 0
    form = form_to(refused.get_data(as_text=True), PAGE).fields
    answer = office.post(
        PAGE, data={**dict(form.items()), "reason": "Themes first"}, follow_redirects=True
    )
    words = _text(answer)
    assert "These weights are in force." in words
    assert "Reason: Themes first" in words
    assert _adopted(exchange) == 1
    with exchange.reading() as session, exchange.engine.open(session) as now:
        assert now.weights.theme == 0.6


def test_adopting_over_a_colleagues_weights_is_refused_and_told(exchange, office, book):
    form = dict(form_to(_try(office, theme="60", text="0").get_data(as_text=True), PAGE).fields)
    office.post(PAGE, data={**form, "reason": "First"})
    answer = office.post(PAGE, data={**form, "reason": "Second"})
    assert answer.status_code == 409
    assert "Second" in answer.get_data(as_text=True)
    assert _adopted(exchange) == 1


def test_without_decisions_the_page_says_that_there_is_nothing_to_learn_from(office):
    words = _text(office.get(f"{PAGE}/learnt"))
    assert "0 accepted matches" in words
    assert "too few to learn from" in words


def test_on_a_large_book_the_dry_run_is_a_job(exchange, office, book, monkeypatch):
    monkeypatch.setattr("broker.weights.MOST_PAIRS", 0)
    page = _try(office, theme="60", text="0").get_data(as_text=True)
    assert "Start the dry run" in page
    form = form_to(page, f"{PAGE}/try").fields
    waiting = office.post(f"{PAGE}/try", data=dict(form.items()), follow_redirects=True)
    assert "waiting for its turn" in _text(waiting)
    do_waiting_jobs(exchange)
    done = office.get(waiting.request.path).get_data(as_text=True)
    [address] = re.findall(rf'href="({PAGE}/tried/\d+)"', done)
    words = _text(office.get(address))
    assert "Nothing has been stored." in words
    assert "Put these weights in force" in words
    assert _adopted(exchange) == 0


def test_a_large_book_changes_nothing_about_wrong_numbers(office, book, monkeypatch):
    monkeypatch.setattr("broker.weights.MOST_PAIRS", 0)
    answer = office.post(f"{PAGE}/try", data={"theme": "much"})
    assert answer.status_code == 422
    assert "This is not a number." in _text(answer)
