"""Use cases of a match: interest, answers, dismissals; on both databases."""

from decimal import Decimal

import pytest

from broker import interests
from broker.terms import draft_terms
from models import (
    AuditEvent,
    CapacityExceeded,
    Conflict,
    InvalidInput,
    MatchStatus,
    NotAllowed,
    NotFound,
    PostStatus,
    Role,
)
from tests.broker.factories import days, make_person, post_need, post_offer

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


class TestPartOfANeed:
    def cover(self, session, exchange, need):
        return interests.interest_cover(session, [need], exchange.reference)[need.id]

    def test_the_need_shows_what_interest_covers(self, session, exchange, peru, force):
        need = post_need(session, places_wanted=50)
        express(session, force, (need, post_offer(session)), share=60)
        assert self.cover(session, exchange, need).share == 60
        express(session, force, (need, post_offer(session, places=20)), places=10)
        assert [part.share for part in self.cover(session, exchange, need).parts] == [60, 20]
        assert self.cover(session, exchange, need).share == 80

    def test_all_interest_together_covers_no_more_than_the_whole(self, session, exchange, force):
        need = post_need(session)
        for share in (70, 60):
            express(session, force, (need, post_offer(session)), share=share)
        assert self.cover(session, exchange, need).share == 100

    def test_money_is_compared_across_currencies(self, session, exchange, force):
        rate = exchange.reference.currencies["PEN"].usd_rate
        need = post_need(session, money_most=Decimal(10000), currency="USD")
        offer = post_offer(session, money=Decimal(90000), currency="PEN")
        express(session, force, (need, offer), money=Decimal(20000))
        (part,) = self.cover(session, exchange, need).parts
        assert part.share == round(100 * 20000 * rate / 10000)
        assert part.interest.currency == "PEN"

    def test_a_sealed_amount_is_not_told_by_a_share(self, session, exchange, force):
        need = post_need(session, money_most=Decimal(10000), currency="USD", money_sealed=True)
        offer = post_offer(session, money=Decimal(90000), currency="USD")
        express(session, force, (need, offer), money=Decimal(5000))
        (part,) = self.cover(session, exchange, need).parts
        assert part.share is None

    def test_declined_interest_covers_nothing(self, session, exchange, peru, force):
        need = post_need(session)
        pair = (need, post_offer(session))
        express(session, force, pair, share=60)
        match = interests.find_match(session, *pair)
        interests.answer_interest(session, peru, match, accept=False, reason="no_capacity")
        assert self.cover(session, exchange, need).parts == ()

    def test_each_reader_sees_the_parts_that_are_hers(self, session, exchange, peru, force):
        need = post_need(session)
        express(session, force, (need, post_offer(session)), share=40)
        caf = make_person(session, Role.PROVIDER)
        express(session, caf, (need, post_offer(session, "caf")), share=20)
        cover = self.cover(session, exchange, need)
        shown = {by: [part.share for part in cover.shown_to(by)] for by in (peru, force, caf, None)}
        assert shown == {peru: [40, 20], force: [40], caf: [20], None: []}

    def test_no_more_is_offered_than_is_left_or_asked(self, session, force):
        need = post_need(session, places_wanted=3)
        few = post_offer(session, places=2, money=Decimal(500), currency="USD")
        for parts, field in (({"places": 3}, "places"), ({"money": Decimal(501)}, "money")):
            with pytest.raises(InvalidInput) as raised:
                express(session, force, (need, few), **parts)
            assert set(raised.value.fields) == {field}
        with pytest.raises(InvalidInput):
            express(session, force, (need, post_offer(session, places=9)), places=4)
        with pytest.raises(InvalidInput):
            express(session, force, (need, post_offer(session)), money=Decimal(1))

    def test_a_sealed_budget_is_not_told_by_a_refusal(self, session, peru):
        offer = post_offer(session, money=Decimal(500), currency="USD", money_sealed=True)
        said = express(session, peru, (post_need(session), offer), money=Decimal(700))
        assert said.money == 700

    def test_an_offer_that_is_used_up_is_refused_with_the_reason(self, session, force, peru):
        offer = post_offer(session, places=2)
        offer.places_committed = 2
        offer.follow_balance()
        for by in (force, peru):
            with pytest.raises(CapacityExceeded, match="offer_used_up"):
                express(session, by, (post_need(session), offer))

    def test_the_agreement_starts_from_what_was_said(self, session, exchange, peru, force):
        need = post_need(session, places_wanted=50, money_most=Decimal(10000), currency="USD")
        offer = post_offer(session, places=40, money=Decimal(9000), currency="USD")
        express(session, force, (need, offer), share=60)
        match = interests.find_match(session, need, offer)
        interests.answer_interest(session, peru, match, accept=True)
        draft = draft_terms(session, match, force, exchange.reference, language="en", today=days(0))
        assert (draft["places"], draft["money"]) == (30, "6000")
        match.interests[-1].share = None
        match.interests[-1].places, match.interests[-1].money = 7, Decimal(2500)
        match.interests[-1].currency = "USD"
        draft = draft_terms(session, match, force, exchange.reference, language="en", today=days(0))
        assert (draft["places"], draft["money"]) == (7, "2500")
