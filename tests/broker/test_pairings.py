"""A pairing that a person makes: with a reason, beside the engine's score, within the hard rules."""

import pytest

from broker import interests
from broker.conflicts import declare_conflict
from broker.messages import sentence
from broker.pairings import (
    find_pairing,
    pairings_of,
    suggest_pairing,
    suggest_pool,
    waiting_pairings,
)
from broker.pools import answer_pool, get_pool
from models import Conflict, InvalidInput, NotAllowed, Role
from tests.broker.factories import days, make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


@pytest.fixture
def officer(session):
    return make_person(session, Role.TASK_FORCE)


@pytest.fixture
def suggest(exchange, session):
    def suggested(by, need, offer, reason="Both are about hotels."):
        data = {"need": need.reference, "offer": offer.reference, "reason": reason}
        return suggest_pairing(exchange, session, by, data, on=days(0))

    return suggested


def test_it_says_who_made_it_when_and_why_beside_the_engines_score(session, officer, suggest):
    need, offer = post_need(session, themes=["water"]), post_offer(session)
    made = suggest(officer, need, offer)
    session.flush()
    found = find_pairing(session, need, offer)
    assert found is made
    assert (made.by, made.reason) == (officer, "Both are about hotels.")
    assert 0 < made.score < 60
    assert pairings_of(session, need) == pairings_of(session, offer) == [made]


def test_both_sides_are_shown_it_until_one_of_them_acts(session, officer, suggest):
    need, offer = post_need(session), post_offer(session, "caf")
    made = suggest(officer, need, offer)
    session.flush()
    peru, caf = make_person(session, Role.FOCAL_POINT), make_person(session, Role.PROVIDER)
    assert waiting_pairings(session, peru) == waiting_pairings(session, caf) == [made]
    assert waiting_pairings(session, officer) == []
    interests.express_interest(session, peru, need, offer, score=made.score)
    session.flush()
    assert waiting_pairings(session, peru) == []


def test_hard_rules_stay_hard_and_the_one_that_fails_is_named(app, session, officer, suggest):
    need = post_need(session)
    elsewhere = post_offer(session, "caf", serves_subregions=["caribbean"])
    with pytest.raises(Conflict, match="pairing_not_eligible") as raised:
        suggest(officer, need, elsewhere)
    assert raised.value.params == {"rules": ["place_not_served"]}
    with app.test_request_context():
        assert "the place is not served" in sentence(raised.value)
    assert pairings_of(session, need) == []


def test_what_a_side_has_dismissed_is_not_brought_back_by_a_third_person(session, officer, suggest):
    need, offer = post_need(session), post_offer(session, "caf")
    peru = make_person(session, Role.FOCAL_POINT)
    interests.dismiss_match(session, peru, need, offer, score=None, reason="no_capacity")
    session.flush()
    with pytest.raises(Conflict) as raised:
        suggest(officer, need, offer)
    assert raised.value.params == {"rules": ["dismissed"]}


def test_a_pair_is_suggested_once(session, officer, suggest):
    need, offer = post_need(session), post_offer(session)
    suggest(officer, need, offer)
    session.flush()
    with pytest.raises(Conflict, match="pairing_exists"):
        suggest(make_person(session, Role.SECRETARIAT), need, offer)


def test_it_needs_a_reason_and_posts_on_the_exchange(session, officer, suggest):
    need, offer = post_need(session), post_offer(session)
    with pytest.raises(InvalidInput):
        suggest(officer, need, offer, reason="  ")
    with pytest.raises(InvalidInput) as raised:
        suggest(officer, post_need(session, status="draft"), offer)
    assert set(raised.value.fields) == {"need"}


@pytest.mark.parametrize("role", [Role.FOCAL_POINT, Role.PROVIDER, Role.DELEGATE])
def test_others_suggest_none(session, suggest, role):
    by = make_person(session, role, "gov-ec")
    with pytest.raises(NotAllowed, match="suggest_pairing"):
        suggest(by, post_need(session), post_offer(session))


def test_a_coordinator_suggests_for_her_subregion_alone(session, suggest):
    coordinator = make_person(session, Role.COORDINATOR)
    suggest(coordinator, post_need(session), post_offer(session))
    with pytest.raises(NotAllowed, match="suggest_pairing"):
        suggest(coordinator, post_need(session, "gov-bb"), post_offer(session))


def test_a_conflict_of_interest_keeps_her_out(exchange, session, officer, suggest):
    need, offer = post_need(session), post_offer(session, "caf")
    data = {"organisation": "caf", "reason": "My former employer."}
    declare_conflict(session, officer, data, exchange.reference)
    session.flush()
    with pytest.raises(NotAllowed, match="conflict_of_interest"):
        suggest(officer, need, offer)


def test_a_moderator_does_not_pair_what_her_own_organisation_posts(session, suggest):
    office = make_person(session, Role.SECRETARIAT, "caf")
    with pytest.raises(NotAllowed, match="conflict_of_interest"):
        suggest(office, post_need(session), post_offer(session, "caf"))


class TestPools:
    @pytest.fixture
    def coordinator(self, session):
        return make_person(session, Role.COORDINATOR)

    def ask(self, exchange, session, by, *needs):
        data = {"needs": [need.reference for need in needs]}
        return suggest_pool(exchange, session, by, data)

    def test_a_task_force_asks_the_countries_of_like_needs(
        self, exchange, session, officer, coordinator
    ):
        needs = [post_need(session, code) for code in ("gov-pe", "gov-ec", "gov-co")]
        pool = self.ask(exchange, session, officer, *needs)
        assert [member.need for member in pool.members] == needs
        assert (pool.subregion, pool.by) == ("andean", officer)
        assert get_pool(session, pool.id, officer) is pool
        for code in ("gov-pe", "gov-ec", "gov-co"):
            by = make_person(session, Role.FOCAL_POINT, code)
            answer_pool(session, by, pool, exchange.reference, consent=True, note="")
        assert pool.need.author is coordinator

    def test_needs_that_cannot_be_one_are_refused(self, exchange, session, officer, coordinator):
        need = post_need(session)
        for other in (
            post_need(session),
            post_need(session, "gov-bb"),
            post_need(session, "gov-ec", themes=["water"]),
            post_need(session, "gov-ec", support=[{"kind": "finance"}]),
        ):
            with pytest.raises(Conflict, match="pool_unlike"):
                self.ask(exchange, session, officer, need, other)

    def test_no_need_is_asked_about_twice(self, exchange, session, officer, coordinator):
        needs = [post_need(session, code) for code in ("gov-pe", "gov-ec")]
        self.ask(exchange, session, officer, *needs)
        session.flush()
        with pytest.raises(Conflict, match="pool_taken"):
            self.ask(exchange, session, officer, needs[0], post_need(session, "gov-co"))

    def test_a_task_force_groups_needs_on_its_own_themes_alone(
        self, exchange, session, coordinator
    ):
        tourism = make_person(session, Role.TASK_FORCE, "tf-tourism")
        needs = [post_need(session, code) for code in ("gov-pe", "gov-ec")]
        with pytest.raises(Conflict, match="pool_of_other_themes"):
            self.ask(exchange, session, tourism, *needs)

    def test_others_group_nothing(self, exchange, session, coordinator):
        needs = [post_need(session, code) for code in ("gov-pe", "gov-ec")]
        caribbean = make_person(session, Role.COORDINATOR, "gov-tt", subregion="caribbean")
        for by in (make_person(session, Role.FOCAL_POINT), caribbean):
            with pytest.raises(NotAllowed, match="ask_pool"):
                self.ask(exchange, session, by, *needs)
