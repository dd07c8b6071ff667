"""Matches: what two sides say to each other about a pair."""

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import (
    Conflict,
    InvalidTransition,
    Match,
    MatchStatus,
    NotAllowed,
    Offer,
    Role,
    User,
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


def sides(session: Session, match: Match) -> tuple[User, User]:
    """Somebody who asks and somebody who gives."""
    return (
        make_user(session, match.need.organisation, Role.FOCAL_POINT),
        make_user(session, match.offer.organisation, Role.PROVIDER),
    )


def test_pair_has_one_life(session: Session) -> None:
    match = make_match(session)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.add(Match(need=match.need, offer=match.offer))


def test_interest_that_is_accepted_makes_the_match_mutual(session: Session) -> None:
    match = make_match(session)
    asking, giving = sides(session, match)
    interest = match.express_interest(asking, " We need this. ", 40)
    session.flush()
    assert (match.status, match.open_interest()) == (MatchStatus.INTEREST, interest)
    assert (interest.side, interest.message, interest.share) == ("need", "We need this.", 40)
    match.answer(giving, accept=True, message="With pleasure.")
    session.flush()
    session.refresh(match)
    assert match.status == MatchStatus.MUTUAL
    assert (interest.answer, interest.answered_by) == ("accepted", giving)
    assert interest.answered_at is not None


def test_provider_may_take_the_first_step(session: Session) -> None:
    match = make_match(session)
    asking, giving = sides(session, match)
    assert match.express_interest(giving, "", None).side == "offer"
    match.answer(asking, accept=False, message="", reason="too_late")
    assert match.status == MatchStatus.DECLINED
    assert match.interests[0].answer_reason == "too_late"


def test_nobody_answers_her_own_interest(session: Session) -> None:
    match = make_match(session)
    asking, _ = sides(session, match)
    match.express_interest(asking, "", None)
    with pytest.raises(NotAllowed, match="answer_own_interest"):
        match.answer(asking, accept=True, message="")


@pytest.mark.parametrize(
    "status", [MatchStatus.INTEREST, MatchStatus.MUTUAL, MatchStatus.AGREEMENT]
)
def test_interest_is_expressed_once(session: Session, status: MatchStatus) -> None:
    match = make_match(session)
    asking, giving = sides(session, match)
    match.express_interest(asking, "", None)
    if status != MatchStatus.INTEREST:
        match.answer(giving, accept=True, message="")
    match.status = status
    with pytest.raises(Conflict, match="interest_exists"):
        match.express_interest(giving, "", None)
    assert len(match.interests) == 1


def test_answering_where_nobody_asked_is_refused(session: Session) -> None:
    match = make_match(session)
    with pytest.raises(Conflict, match="no_open_interest"):
        match.answer(sides(session, match)[0], accept=True, message="")


def test_others_do_not_speak_for_a_side(session: Session) -> None:
    match = make_match(session)
    for other in (make_user(session), make_secretariat(session)):
        assert match.side_of(other) is None
        for action in (
            lambda o=other: match.express_interest(o, "", None),
            lambda o=other: match.dismiss(o, "other", ""),
            lambda o=other: match.restore(o),
        ):
            with pytest.raises(NotAllowed, match="match_side"):
                action()


def test_government_speaks_for_its_offer_as_well_as_for_its_need(session: Session) -> None:
    country = make_organisation(session, country="CR")
    person = make_user(session, country)
    assert make_match(session, need=make_need(session, country)).side_of(person) == "need"
    assert make_match(session, offer=make_offer(session, country)).side_of(person) == "offer"


# --- Dismissing -----------------------------------------------------------------------------


def test_dismissal_holds_until_either_post_changes(session: Session) -> None:
    match = make_match(session)
    asking, _ = sides(session, match)
    match.dismiss(asking, "wrong_theme", " Not for us. ")
    assert match.is_dismissed()
    assert match.dismissals[0].note == "Not for us."
    match.offer.version += 1
    assert not match.is_dismissed()


def test_dismissing_an_interest_of_the_other_side_answers_it(session: Session) -> None:
    match = make_match(session)
    asking, giving = sides(session, match)
    interest = match.express_interest(giving, "", None)
    match.dismiss(asking, "conditions", "The terms do not fit.")
    session.flush()
    assert (interest.answer, interest.answer_reason) == ("declined", "conditions")
    assert interest.answered_by == asking


def test_dismissing_after_ones_own_interest_leaves_it_unanswered_and_not_waiting(
    session: Session,
) -> None:
    match = make_match(session)
    asking, giving = sides(session, match)
    interest = match.express_interest(asking, "", None)
    match.dismiss(asking, "other", "")
    assert (interest.answer, match.open_interest()) == (None, None)
    match.restore(asking)
    again = match.express_interest(giving, "", None)
    assert match.open_interest() is again
    match.answer(asking, accept=True, message="")
    assert (interest.answer, again.answer) == (None, "accepted")


@pytest.mark.parametrize(
    "status", sorted(set(MatchStatus) - {MatchStatus.DISMISSED, MatchStatus.DECLINED})
)
def test_there_is_nothing_to_restore_but_a_dismissal_or_a_decline(
    session: Session, status: MatchStatus
) -> None:
    match = make_match(session, status=status)
    with pytest.raises(InvalidTransition):
        match.restore(sides(session, match)[0])
    assert match.status == status


def test_dismissed_match_is_an_ordinary_offer_to_others(session: Session) -> None:
    match = make_match(session)
    match.dismiss(sides(session, match)[0], "too_small", "")
    other = make_match(session, offer=match.offer)
    assert isinstance(other.offer, Offer)
    assert not other.is_dismissed()
