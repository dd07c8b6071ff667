"""Use cases of a match: interest, answers, dismissals; on both databases."""

import pytest

from broker import interests
from models import AuditEvent, Conflict, MatchStatus, NotAllowed, NotFound, PostStatus, Role
from tests.broker.factories import make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


@pytest.fixture
def pair(session):
    return post_need(session), post_offer(session)


@pytest.fixture
def peru(session):
    return make_person(session, Role.FOCAL_POINT)


@pytest.fixture
def force(session):
    return make_person(session, Role.TASK_FORCE)


def express(session, by, pair, **kwargs):
    return interests.express_interest(session, by, *pair, score=71.5, **kwargs)


def test_interest_is_answered_by_the_other_side(session, pair, peru, force):
    said = express(session, force, pair, message=" we can ", share=60)
    match = interests.find_match(session, *pair)
    assert (said.side, said.message, said.share) == ("offer", "we can", 60)
    assert (match.status, match.score) == (MatchStatus.INTEREST, 71.5)
    assert interests.waiting_interests(session, peru) == [match]
    assert interests.waiting_interests(session, force) == []
    with pytest.raises(NotAllowed):
        interests.answer_interest(session, force, match, accept=True)
    interests.answer_interest(session, peru, match, accept=True, message="yes")
    assert match.status == MatchStatus.MUTUAL
    assert interests.waiting_interests(session, peru) == []


def test_interest_is_expressed_once(session, pair, peru, force):
    express(session, peru, pair)
    for by in (peru, force):
        with pytest.raises(Conflict):
            express(session, by, pair)


def test_a_declined_match_keeps_its_reason_and_can_be_tried_again(session, pair, peru, force):
    express(session, peru, pair)
    match = interests.find_match(session, *pair)
    interests.answer_interest(session, force, match, accept=False, reason="too_late")
    assert (match.status, match.interests[0].answer_reason) == (MatchStatus.DECLINED, "too_late")
    express(session, peru, pair)
    assert match.status == MatchStatus.INTEREST


def test_a_dismissal_holds_until_either_post_changes(session, pair, peru):
    interests.dismiss_match(session, peru, *pair, score=50.0, reason="too_small", note="n")
    match = interests.find_match(session, *pair)
    assert match.is_dismissed()
    pair[1].version += 1
    assert not match.is_dismissed()
    interests.restore_match(session, peru, match)
    assert match.status == MatchStatus.SUGGESTED


def test_nobody_else_acts_on_a_match(session, pair):
    strangers = [
        make_person(session, Role.FOCAL_POINT, "gov-cl"),
        make_person(session, Role.PROVIDER),
        make_person(session, Role.SECRETARIAT),
    ]
    for stranger in strangers:
        with pytest.raises(NotAllowed):
            express(session, stranger, pair)
        with pytest.raises(NotAllowed):
            interests.dismiss_match(session, stranger, *pair, score=None, reason="other")


def test_a_match_is_seen_by_its_sides_and_the_moderators(session, pair, peru):
    express(session, peru, pair)
    session.flush()
    match_id = interests.find_match(session, *pair).id
    assert interests.get_match(session, match_id, peru)
    assert interests.get_match(session, match_id, make_person(session, Role.SECRETARIAT))
    with pytest.raises(NotFound):
        interests.get_match(session, match_id, make_person(session, Role.PROVIDER))


def test_no_interest_in_what_has_left_the_exchange(session, pair, peru):
    pair[1].status = PostStatus.WITHDRAWN
    with pytest.raises(Conflict) as refusal:
        express(session, peru, pair)
    assert refusal.value.code == "offer_not_live"


def test_everything_leaves_an_event(session, pair, peru, force):
    express(session, peru, pair)
    interests.answer_interest(
        session, force, interests.find_match(session, *pair), accept=False, reason="other"
    )
    session.flush()
    actions = [e.action for e in session.query(AuditEvent).order_by(AuditEvent.id)]
    assert actions == ["match.interest", "match.declined"]
