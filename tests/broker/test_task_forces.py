"""A task force's page: what its officers change, its meetings in time, its queue of needs."""

from datetime import date

import pytest
from sqlalchemy import select

from broker import interests
from broker.paths import FIXTURES
from broker.reference_data import load_reference_data
from broker.task_forces import (
    add_activity,
    add_meeting,
    change_meeting,
    find_task_forces,
    get_task_force,
    lay_out_force,
    meetings_of,
    needs_in_queue,
    remove_activity,
    remove_meeting,
    who_is_interested,
)
from models import AuditEvent, Conflict, InvalidInput, NotAllowed, NotFound, Role
from tests.broker.factories import days, make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")

MEETING = {"date": "2027-03", "place": "Lima", "country": "PE", "language": "en", "note": "Sixth"}


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


@pytest.fixture
def officer(session):
    return make_person(session, Role.TASK_FORCE)


@pytest.fixture
def force(session):
    return get_task_force(session, "tf-procurement")


def test_all_seven_are_found_by_name_and_by_code(session):
    assert len(find_task_forces(session, "en")) == 7
    with pytest.raises(NotFound, match="no_such_task_force"):
        get_task_force(session, "gov-pe")


class TestEditing:
    def test_an_activity_is_added_and_taken_off_and_both_leave_an_event(
        self, session, exchange, officer, force
    ):
        before = list(force.activities)
        add_activity(
            session, officer, force, {"language": "en", "text": "A helpdesk"}, exchange.reference
        )
        assert force.activities == [*before, {"en": "A helpdesk"}]
        with pytest.raises(Conflict, match="changed_meanwhile"):
            remove_activity(session, officer, force, 0, "A helpdesk")
        remove_activity(session, officer, force, len(before), "A helpdesk")
        assert force.activities == before
        actions = session.scalars(
            select(AuditEvent.action).where(AuditEvent.reference == "tf-procurement")
        )
        assert list(actions) == ["task_force.activity_added", "task_force.activity_removed"]
        with pytest.raises(NotFound):
            remove_activity(session, officer, force, 99, "")

    def test_a_meeting_is_added_corrected_and_removed(self, session, exchange, officer, force):
        number = len(force.meetings)
        add_meeting(session, officer, force, MEETING, exchange.reference)
        change_meeting(
            session, officer, force, number,
            {**MEETING, "date": "2027-03-31", "language": "es", "note": "Sexta"},
            exchange.reference,
        )  # fmt: skip
        assert force.meetings[number] == {
            "date": "2027-03-31",
            "place": "Lima",
            "country": "PE",
            "note": {"en": "Sixth", "es": "Sexta"},
        }
        with pytest.raises(Conflict):
            remove_meeting(session, officer, force, number, "2027-03")
        remove_meeting(session, officer, force, number, "2027-03-31")
        assert len(force.meetings) == number

    @pytest.mark.parametrize("day", ["", "soon", "31.3.2027", "2027-13", "2027-02-30", "1066"])
    def test_a_date_that_is_none_is_refused(self, session, exchange, officer, force, day):
        with pytest.raises(InvalidInput) as raised:
            add_meeting(session, officer, force, {**MEETING, "date": day}, exchange.reference)
        assert set(raised.value.fields) == {"date"}

    @pytest.mark.parametrize("role", sorted(set(Role) - {Role.PUBLIC}))
    def test_nobody_but_its_officers_changes_it(self, session, exchange, force, role):
        home = "tf-tourism" if role == Role.TASK_FORCE else "tf-procurement"
        by = make_person(session, role, home)
        for change in (
            lambda: add_activity(session, by, force, {}, exchange.reference),
            lambda: remove_activity(session, by, force, 0, ""),
            lambda: add_meeting(session, by, force, MEETING, exchange.reference),
            lambda: change_meeting(session, by, force, 0, MEETING, exchange.reference),
            lambda: remove_meeting(session, by, force, 0, ""),
        ):
            with pytest.raises(NotAllowed, match="edit_task_force"):
                change()

    def test_what_they_changed_outlives_a_new_load_of_the_reference_data(
        self, session, exchange, officer, force
    ):
        add_meeting(session, officer, force, MEETING, exchange.reference)
        session.flush()
        load_reference_data(session, FIXTURES / "reference")
        assert force.meetings[-1]["place"] == "Lima"


def test_a_meeting_is_past_once_its_day_month_or_year_is_over(force):
    force.meetings = [{"date": day} for day in ("2027-03-31", "2027-03", "2027", "2026-12")]
    past = {m.when: m.is_past(date(2027, 3, 31)) for m in meetings_of(force)}
    assert past == {"2026-12": True, "2027": False, "2027-03": False, "2027-03-31": False}
    assert all(m.is_past(date(2028, 1, 1)) for m in meetings_of(force))


def test_its_page_shows_pilots_and_meetings_in_time(session, exchange, officer, force):
    pilot = post_offer(session, pilot_hosted=True)
    post_offer(session)
    add_meeting(session, officer, force, {**MEETING, "date": "2090"}, exchange.reference)
    laid_out = lay_out_force(session, force, language="en", today=days(0))
    assert laid_out.pilots == [pilot]
    assert [m.when for m in laid_out.upcoming] == ["2090"]
    assert laid_out.past[0].when > laid_out.past[-1].when


class TestQueue:
    def test_the_oldest_unanswered_need_on_its_themes_stands_first(self, session, force, officer):
        new, old, answered, other = (
            post_need(session, published_on=days(-1)),
            post_need(session, published_on=days(-90)),
            post_need(session, published_on=days(-200)),
            post_need(session, published_on=days(-300), themes=["water"]),
        )
        interests.express_interest(session, officer, answered, post_offer(session), score=50.0)
        queue = list(session.scalars(needs_in_queue(force)))
        assert queue == [old, new, answered]
        assert other not in queue

    def test_who_has_shown_interest_is_named(self, session, force, officer):
        need, silent = post_need(session), post_need(session)
        said = interests.express_interest(
            session, officer, need, post_offer(session), score=50.0, share=60
        )
        found = who_is_interested(session, [need, silent])
        assert [(i.share, m.offer.organisation.code) for m, i in found[need.id]] == [
            (60, "tf-procurement")
        ]
        assert found[need.id][0][1] is said
        assert found[silent.id] == []

    def test_interest_of_the_country_itself_is_no_answer(self, session, force):
        need = post_need(session, published_on=days(-90))
        post_need(session, published_on=days(-1))
        peru = make_person(session, Role.FOCAL_POINT)
        interests.express_interest(session, peru, need, post_offer(session), score=50.0)
        assert session.scalars(needs_in_queue(force)).first() is need
