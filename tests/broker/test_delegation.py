"""The secretariat and the coordinators see who delegates to whom, and what is endorsed."""

import pytest

from broker import posts
from broker.delegation import (
    STATES,
    EndorsementFilter,
    count_endorsements,
    delegations_of,
    endorsements_of,
    find_delegations,
    find_endorsements,
)
from broker.endorsements import decline_endorsement, endorse_need, invite_delegate
from models import NotAllowed, Role
from tests.broker.factories import days, make_person, post_need

pytestmark = pytest.mark.usefixtures("backend")

NEED = {
    "title": "Measure our rivers",
    "description": "We want to measure how clean they are.",
    "support": [{"kind": "technical_support"}],
}


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


@pytest.fixture
def office(session):
    return make_person(session, Role.SECRETARIAT)


def delegate_of(session, exchange, focal_point, name):
    data = {
        "email": f"{name}@ministry.example",
        "name": f"Desk of {name}",
        "ministry": f"Ministry of {name}",
        "language": "es",
    }
    return invite_delegate(session, focal_point, data, exchange.reference)[0]


def sent(session, exchange, delegate):
    need = posts.save_draft(session, delegate, "need", NEED, exchange.reference)
    posts.submit_post(session, delegate, need, exchange.reference, today=days(0))
    return need


def listed(session, by, **filters):
    needs = session.scalars(find_endorsements(by, EndorsementFilter(**filters))).all()
    return [(row.need, row.state) for row in endorsements_of(session, by, needs)]


@pytest.fixture
def scene(session, exchange):
    """A need of each state in Peru, and one that waits in Costa Rica."""
    peru = make_person(session, Role.FOCAL_POINT)
    costa_rica = make_person(session, Role.FOCAL_POINT, "gov-cr")
    water, trade = (delegate_of(session, exchange, peru, name) for name in ("waters", "trades"))
    other = delegate_of(session, exchange, costa_rica, "forests")
    made = {
        "waiting": sent(session, exchange, water),
        "endorsed": sent(session, exchange, water),
        "returned": sent(session, exchange, trade),
        "taken_back": sent(session, exchange, trade),
        "abroad": sent(session, exchange, other),
    }
    post_need(session)
    endorse_need(session, peru, made["endorsed"], revision=made["endorsed"].revision, today=days(0))
    decline_endorsement(
        session, peru, made["returned"], exchange.reference,
        revision=made["returned"].revision, comment="Which?",
    )  # fmt: skip
    posts.withdraw_post(session, trade, made["taken_back"])
    session.flush()
    return {**made, "peru": peru, "water": water, "trade": trade, "other": other}


def test_needs_of_colleagues_are_listed_with_what_became_of_them(session, office, scene):
    rows = dict(listed(session, office))
    assert {need.id: state for need, state in rows.items()} == {
        scene["waiting"].id: "waiting",
        scene["endorsed"].id: "endorsed",
        scene["returned"].id: "returned",
        scene["taken_back"].id: "taken_back",
        scene["abroad"].id: "waiting",
    }
    assert count_endorsements(session, office) == {
        "waiting": 2, "endorsed": 1, "returned": 1, "taken_back": 1,
    }  # fmt: skip
    assert [need for need, _state in listed(session, office)][:2] == [
        scene["waiting"],
        scene["abroad"],
    ]


def test_each_row_says_who_sent_and_who_answered_when(session, office, scene):
    needs = [scene["endorsed"], scene["waiting"]]
    endorsed, waiting = endorsements_of(session, office, needs)
    assert endorsed.sent.user == scene["water"]
    assert endorsed.answer.user == scene["peru"]
    assert waiting.answer is None


def test_a_need_that_is_sent_again_waits_again(session, exchange, office, scene):
    need = scene["returned"]
    posts.edit_post(session, scene["trade"], need, {"title": "Our lakes"}, exchange.reference)
    posts.submit_post(session, scene["trade"], need, exchange.reference, today=days(0))
    (row,) = endorsements_of(session, office, [need])
    assert (row.state, row.answer) == ("waiting", None)


@pytest.mark.parametrize("state", sorted(STATES))
def test_filters_narrow_by_state(session, office, scene, state):
    assert {found for _need, found in listed(session, office, state=state)} == {state}
    assert len(listed(session, office, state=state)) == count_endorsements(session, office)[state]


def test_filters_narrow_by_country_writer_and_words(session, office, scene):
    assert [need for need, _ in listed(session, office, country="CR")] == [scene["abroad"]]
    assert {need for need, _ in listed(session, office, text="ministry trades")} == {
        scene["returned"],
        scene["taken_back"],
    }
    assert listed(session, office, text=scene["waiting"].reference) == [
        (scene["waiting"], "waiting")
    ]


def test_a_coordinator_sees_her_own_subregion(session, scene):
    andean = make_person(session, Role.COORDINATOR)
    assert scene["abroad"] not in dict(listed(session, andean))
    assert count_endorsements(session, andean)["waiting"] == 1
    assert set(session.scalars(find_delegations(andean))) == {scene["water"], scene["trade"]}


def test_who_writes_for_whom_is_told_with_who_invited_her(session, office, scene):
    users = list(session.scalars(find_delegations(office, "ministry waters")))
    (row,) = delegations_of(session, users)
    assert row.user == scene["water"]
    assert row.invited.user == scene["peru"]
    assert (row.waiting, row.endorsed) == (1, 1)
    assert list(session.scalars(find_delegations(office, country="CR"))) == [scene["other"]]


@pytest.mark.parametrize("role", [Role.FOCAL_POINT, Role.PROVIDER, Role.TASK_FORCE])
def test_nobody_else_sees_either_list(session, role):
    by = make_person(session, role)
    with pytest.raises(NotAllowed):
        find_endorsements(by, EndorsementFilter())
    with pytest.raises(NotAllowed):
        find_delegations(by)


def test_what_was_never_handed_in_is_read_by_nobody_else(session, exchange, office, scene):
    for state in ("waiting", "returned", "taken_back"):
        assert not scene[state].can_be_seen_by(office), state
        assert scene[state].can_be_seen_by(scene["peru"])
    assert scene["endorsed"].can_be_seen_by(office)


def test_what_a_delegate_sends_anew_is_hers_and_her_focal_points_again(
    session, exchange, office, scene
):
    need = scene["endorsed"]
    posts.return_post(session, office, need, "Say more.")
    assert need.can_be_seen_by(office)
    posts.edit_post(session, scene["water"], need, {"title": "Our lakes"}, exchange.reference)
    posts.submit_post(session, scene["water"], need, exchange.reference, today=days(0))
    decline_endorsement(
        session, scene["peru"], need, exchange.reference, revision=need.revision, comment="No."
    )
    assert not need.can_be_seen_by(office)
