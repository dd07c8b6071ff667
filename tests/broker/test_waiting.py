"""The number beside “My desk” is what lies on the desk, whoever looks and whatever waits."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from broker.agreements import accept_terms, propose_agreement, sign_agreement, start_agreement
from broker.clearing import answer_proposal, clear_round, open_round, send_round
from broker.desk import count_waiting, lay_out_desk
from broker.interests import express_interest
from broker.pools import answer_pool, ask_pool
from models import Match, MatchStatus, PostStatus, Role, RoundProposal
from tests.broker.factories import days, make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session
        session.rollback()


def waits(session, *people):
    """What waits for each person, once the desk agrees with the number."""
    session.flush()
    session.expire_all()
    found = []
    for person in people:
        count = count_waiting(session, person, today=days(0))
        assert count == lay_out_desk(session, person, today=days(0)).waiting
        found.append(count)
    return found


def test_posts_to_mend_to_review_and_about_to_expire_are_counted(session):
    focal = make_person(session, Role.FOCAL_POINT)
    office = make_person(session, Role.SECRETARIAT)
    andes, islands = (
        make_person(session, Role.COORDINATOR, code, subregion=subregion)
        for code, subregion in (("gov-ec", "andean"), ("gov-jm", "caribbean"))
    )
    for status in ("draft", "returned", "submitted"):
        post_need(session, status=PostStatus(status), author=focal)
    post_need(session, expires_on=days(5))
    post_offer(session, status=PostStatus.SUBMITTED, serves_subregions=["caribbean"])
    post_offer(session, status=PostStatus.SUBMITTED, serves_subregions=["caribbean", "andean"])
    post_offer(session, "gov-pe", status=PostStatus.SUBMITTED, serves_subregions=[])
    assert waits(session, focal, office, andes, islands) == [3, 4, 2, 1]


def test_an_interest_waits_for_the_other_side(exchange, session):
    need, offer = post_need(session), post_offer(session)
    focal, force = make_person(session, Role.FOCAL_POINT), make_person(session, Role.TASK_FORCE)
    express_interest(session, focal, need, offer, score=80.0, message="", share=None)
    stranger = make_person(session, Role.FOCAL_POINT, "gov-cl")
    assert waits(session, focal, force, stranger) == [0, 1, 0]


def test_a_proposal_waits_until_one_s_side_has_answered(exchange, session):
    office = make_person(session, Role.SECRETARIAT)
    focal, force = make_person(session, Role.FOCAL_POINT), make_person(session, Role.TASK_FORCE)
    post_need(session, places_wanted=4)
    post_offer(session, places=6)
    found = open_round(session, office, {"name": "x", "policy": "fair"}, exchange.reference)
    clear_round(exchange, session, office, found)
    send_round(session, office, found)
    assert waits(session, focal, force, office) == [1, 1, 0]
    answer_proposal(session, focal, session.scalars(select(RoundProposal)).one(), accept=True)
    assert waits(session, focal, force) == [0, 1]


def test_a_pool_waits_for_each_country(exchange, session):
    office = make_person(session, Role.SECRETARIAT)
    make_person(session, Role.COORDINATOR)
    needs = [post_need(session, code, places_wanted=5) for code in ("gov-pe", "gov-bo")]
    people = [make_person(session, Role.FOCAL_POINT, code) for code in ("gov-pe", "gov-bo")]
    pool = ask_pool(exchange, session, office, [need.id for need in needs])
    assert waits(session, *people) == [1, 1]
    answer_pool(session, people[0], pool, exchange.reference, consent=True, note="")
    assert waits(session, *people) == [0, 1]


def test_every_step_of_an_agreement_waits_for_its_side(exchange, session):
    need, offer = post_need(session), post_offer(session)
    match = Match(need=need, offer=offer, status=MatchStatus.MUTUAL)
    session.add(match)
    focal, force = make_person(session, Role.FOCAL_POINT), make_person(session, Role.TASK_FORCE)
    terms = {
        "title": "Training",
        "activities": "A week.",
        "starts": days(-30).isoformat(),
        "ends": days(20).isoformat(),
        "milestones": [{"title": "Workshop", "due": days(-3).isoformat()}],
    }
    agreement = propose_agreement(session, focal, match, terms, exchange.reference, today=days(0))
    assert waits(session, focal, force) == [0, 1]
    accept_terms(session, force, agreement, 1)
    assert waits(session, focal, force) == [1, 1]
    sign_agreement(session, focal, agreement, 1)
    assert waits(session, focal, force) == [0, 1]
    sign_agreement(session, force, agreement, 1)
    assert waits(session, focal, force) == [1, 1]
    start_agreement(session, force, agreement)
    assert waits(session, focal, force) == [1, 1]
    agreement.milestones[0].done_on = days(0)
    assert waits(session, focal, force) == [0, 0]
    assert count_waiting(session, focal, today=days(21)) == 1


def test_the_number_costs_one_statement(session, exchange, count_queries):
    people = [make_person(session, role) for role in (Role.FOCAL_POINT, Role.COORDINATOR)]
    session.flush()
    for person in people:
        with count_queries() as statements:
            count_waiting(session, person, today=days(0))
        assert len(statements) == 1
