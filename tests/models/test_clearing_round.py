"""Clearing rounds: their lives, their final versions, and what two sides say to a proposal."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from models import (
    ClearingRound,
    Conflict,
    InvalidInput,
    InvalidTransition,
    MatchStatus,
    NeedPool,
    NotAllowed,
    PoolStatus,
    PostStatus,
    ProposalStatus,
    Role,
    RoundProposal,
    RoundStatus,
)
from tests.factories import (
    make_match,
    make_need,
    make_offer,
    make_organisation,
    make_secretariat,
    make_user,
)

pytestmark = pytest.mark.usefixtures("backend")


def make_round(session: Session) -> ClearingRound:
    found = ClearingRound(name="Spring", policy="fair", by=make_secretariat(session))
    session.add(found)
    session.flush()
    return found


def make_proposal(session: Session) -> RoundProposal:
    proposal = RoundProposal(
        round=make_round(session),
        need=make_need(session),
        offer=make_offer(session),
        number=1,
        parts={"capacity_building": 3},
        places=3,
        score=70.0,
        status=ProposalStatus.WAITING,
    )
    session.add(proposal)
    session.flush()
    return proposal


def sides(session: Session, proposal: RoundProposal):
    return (
        make_user(session, proposal.need.organisation, Role.FOCAL_POINT),
        make_user(session, proposal.offer.organisation, Role.PROVIDER),
    )


def test_round_goes_from_open_to_sent_to_closed(session: Session) -> None:
    found = make_round(session)
    found.keep({}, {}, ("a", "b"), found.by)
    found.send()
    found.end(RoundStatus.CLOSED)
    assert found.status == RoundStatus.CLOSED
    assert found.ended_at is not None
    with pytest.raises(InvalidTransition):
        found.end(RoundStatus.CANCELLED)


def test_round_that_was_never_cleared_cannot_be_sent(session: Session) -> None:
    with pytest.raises(Conflict, match="round_not_cleared"):
        make_round(session).send()


def test_ended_round_takes_no_more_versions_and_rules(session: Session) -> None:
    found = make_round(session)
    found.end(RoundStatus.CANCELLED)
    with pytest.raises(Conflict, match="round_ended"):
        found.keep({}, {}, ("a", "b"), found.by)
    with pytest.raises(Conflict, match="round_ended"):
        found.set_rule("forced", make_need(session), make_offer(session), "Agreed.", found.by)


def test_rule_needs_a_reason_and_a_pair_has_only_one(session: Session) -> None:
    found, need, offer = make_round(session), make_need(session), make_offer(session)
    with pytest.raises(InvalidInput):
        found.set_rule("forced", need, offer, "  ", found.by)
    found.set_rule("forced", need, offer, "Promised by both ministers.", found.by)
    session.flush()
    with pytest.raises(Conflict, match="rule_exists"):
        found.set_rule("forbidden", need, offer, "No.", found.by)


def test_versions_are_numbered_and_cannot_be_changed(session: Session) -> None:
    found = make_round(session)
    found.keep({"a": 1}, {}, ("a", "b"), found.by)
    second = found.keep({"a": 2}, {}, ("c", "d"), found.by)
    session.flush()
    assert [version.number for version in found.versions] == [1, 2]
    second.given_digest = "other"
    with pytest.raises(Conflict, match="round_version_is_final"):
        session.flush()


@pytest.mark.parametrize(
    "change", ["UPDATE round_version SET number = 9", "DELETE FROM round_version"]
)
def test_the_database_itself_refuses_to_change_a_version(session: Session, change: str) -> None:
    found = make_round(session)
    found.keep({}, {}, ("a", "b"), found.by)
    session.flush()
    with pytest.raises(DatabaseError, match="final"):
        session.execute(text(change))


def test_proposal_is_accepted_once_both_sides_have_accepted(session: Session) -> None:
    proposal = make_proposal(session)
    asks, gives = sides(session, proposal)
    assert proposal.waits_for(asks)
    proposal.answer(asks, True, None, "With pleasure.")
    assert proposal.status == ProposalStatus.WAITING
    assert not proposal.waits_for(asks)
    assert proposal.waits_for(gives)
    proposal.answer(gives, True, None, "")
    assert proposal.status == ProposalStatus.ACCEPTED


def test_one_refusal_declines_and_must_give_its_reason(session: Session) -> None:
    proposal = make_proposal(session)
    _asks, gives = sides(session, proposal)
    with pytest.raises(InvalidInput):
        proposal.answer(gives, False, None, "")
    proposal.answer(gives, False, "too_late", "")
    assert proposal.status == ProposalStatus.DECLINED


def test_nobody_answers_twice_or_for_somebody_else(session: Session) -> None:
    proposal = make_proposal(session)
    asks, gives = sides(session, proposal)
    proposal.answer(asks, True, None, "")
    with pytest.raises(Conflict, match="proposal_answered"):
        proposal.answer(asks, True, None, "")
    with pytest.raises(NotAllowed):
        proposal.answer(make_user(session), True, None, "")
    proposal.answer(gives, False, "too_small", "")
    with pytest.raises(Conflict, match="proposal_not_waiting"):
        proposal.answer(gives, True, None, "")


def test_offer_withdrawn_during_the_round_cannot_be_accepted_but_declined(session: Session) -> None:
    proposal = make_proposal(session)
    asks, _gives = sides(session, proposal)
    proposal.offer.status = PostStatus.WITHDRAWN
    with pytest.raises(Conflict, match="offer_not_live"):
        proposal.answer(asks, True, None, "")
    proposal.answer(asks, False, "too_late", "")
    assert proposal.status == ProposalStatus.DECLINED


def test_proposals_that_wait_lapse_when_the_round_ends_and_accepted_ones_stay(
    session: Session,
) -> None:
    proposal = make_proposal(session)
    proposal.round.keep({}, {}, ("a", "b"), proposal.round.by)
    proposal.round.send()
    proposal.round.end(RoundStatus.CANCELLED)
    assert proposal.status == ProposalStatus.LAPSED
    other = make_proposal(session)
    for person in sides(session, other):
        other.answer(person, True, None, "")
    other.round.end(RoundStatus.CANCELLED)
    assert other.status == ProposalStatus.ACCEPTED


@pytest.mark.parametrize("begun", [None, "need", "offer"])
def test_match_joined_by_a_round_is_mutual_whatever_was_said_before(
    session: Session, begun: str | None
) -> None:
    match = make_match(session)
    asks = make_user(session, match.need.organisation, Role.FOCAL_POINT)
    gives = make_user(session, match.offer.organisation, Role.PROVIDER)
    if begun:
        match.express_interest(asks if begun == "need" else gives, "Please", None)
    match.join(gives, asks, "Round")
    assert match.status == MatchStatus.MUTUAL
    assert len(match.interests) == 1
    assert match.interests[0].answer == "accepted"
    match.join(gives, asks, "Round")
    assert len(match.interests) == 1


def make_pool(session: Session) -> NeedPool:
    needs = [
        make_need(session, make_organisation(session, "government", code)) for code in ("PE", "CO")
    ]
    pool = NeedPool.ask(needs, "andean", 0.9, make_secretariat(session))
    session.add(pool)
    session.flush()
    return pool


def test_pool_is_agreed_once_every_country_consents(session: Session) -> None:
    pool = make_pool(session)
    peru, colombia = (make_user(session, member.need.organisation) for member in pool.members)
    pool.answer(peru, True, "")
    assert pool.status == PoolStatus.ASKED
    with pytest.raises(Conflict, match="pool_settled"):
        pool.answer(peru, True, "")
    pool.answer(colombia, True, "")
    assert pool.status == PoolStatus.AGREED


def test_one_country_is_enough_to_refuse_a_pool(session: Session) -> None:
    pool = make_pool(session)
    peru, colombia = (make_user(session, member.need.organisation) for member in pool.members)
    with pytest.raises(NotAllowed):
        pool.answer(make_user(session), True, "")
    pool.answer(peru, False, "Ours is a different matter.")
    assert pool.status == PoolStatus.REFUSED
    with pytest.raises(Conflict, match="pool_settled"):
        pool.answer(colombia, True, "")


def test_only_the_secretariat_asks_for_a_pool(session: Session) -> None:
    with pytest.raises(NotAllowed):
        NeedPool.ask([make_need(session)], "andean", 0.9, make_user(session))
