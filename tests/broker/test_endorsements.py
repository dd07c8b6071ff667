"""A focal point invites colleagues of other ministries, and stands for what they write."""

import pytest

from broker import interests, matches, posts
from broker.endorsements import (
    decline_endorsement,
    endorse_need,
    find_delegates,
    invite_delegate,
    set_delegate_active,
    waiting_endorsements,
)
from models import (
    Conflict,
    InvalidInput,
    InvalidTransition,
    NotAllowed,
    NotFound,
    PostStatus,
    Role,
)
from tests.broker.factories import days, make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")

COLLEAGUE = {
    "email": "water@ministry.example",
    "name": "Water desk",
    "ministry": "Ministry of Water",
    "language": "es",
}

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
def peru(session):
    return make_person(session, Role.FOCAL_POINT)


@pytest.fixture
def delegate(session, exchange, peru):
    return invite_delegate(session, peru, COLLEAGUE, exchange.reference)[0]


@pytest.fixture
def handed_in(session, exchange, delegate):
    need = posts.save_draft(session, delegate, "need", NEED, exchange.reference)
    posts.submit_post(session, delegate, need, exchange.reference, today=days(0))
    return need


class TestInvitation:
    def test_a_colleague_gets_an_account_with_the_least_that_she_needs(
        self, session, exchange, peru
    ):
        user, password = invite_delegate(session, peru, COLLEAGUE, exchange.reference)
        assert (user.role, user.organisation, user.ministry) == (
            Role.DELEGATE,
            peru.organisation,
            "Ministry of Water",
        )
        assert len(password) >= 12
        assert list(session.scalars(find_delegates(peru))) == [user]
        assert user.may_post("need")
        assert not user.may_post("offer")
        assert not user.acts_for(peru.organisation_id)

    @pytest.mark.parametrize("role", sorted(set(Role) - {Role.PUBLIC, Role.FOCAL_POINT}))
    def test_nobody_but_a_focal_point_invites(self, session, exchange, role):
        by = make_person(session, role, "gov-pe")
        with pytest.raises(NotAllowed, match="invite_delegate"):
            invite_delegate(session, by, COLLEAGUE, exchange.reference)

    def test_what_is_missing_or_taken_is_said(self, session, exchange, peru, delegate):
        with pytest.raises(InvalidInput) as raised:
            invite_delegate(session, peru, {"email": "nobody"}, exchange.reference)
        assert set(raised.value.fields) == {"email", "name", "ministry"}
        with pytest.raises(Conflict, match="email_taken"):
            invite_delegate(session, peru, COLLEAGUE, exchange.reference)

    def test_an_account_is_closed_by_its_own_focal_point(self, session, peru, delegate):
        stranger = make_person(session, Role.FOCAL_POINT, "gov-ec")
        with pytest.raises(NotFound, match="no_such_delegate"):
            set_delegate_active(session, stranger, delegate.id, False)
        with pytest.raises(NotAllowed, match="invite_delegate"):
            set_delegate_active(session, delegate, delegate.id, False)
        set_delegate_active(session, peru, delegate.id, False)
        assert not delegate.active
        assert not delegate.may_post("need")

    def test_a_focal_point_closes_no_account_but_a_colleagues(self, session, peru):
        other = make_person(session, Role.FOCAL_POINT)
        with pytest.raises(NotFound, match="no_such_delegate"):
            set_delegate_active(session, peru, other.id, False)


class TestEndorsement:
    def test_a_need_waits_for_the_focal_point_before_anybody_reviews_it(
        self, session, peru, handed_in
    ):
        assert handed_in.status == PostStatus.TO_ENDORSE
        assert waiting_endorsements(session, peru) == [handed_in]
        office = make_person(session, Role.SECRETARIAT)
        with pytest.raises(NotFound):
            posts.get_post(session, "need", handed_in.id, office)

    def test_endorsed_it_goes_to_review_and_says_by_whom(self, session, peru, handed_in):
        endorse_need(session, peru, handed_in, revision=handed_in.revision, today=days(0))
        assert (handed_in.status, handed_in.endorsed_by) == (PostStatus.SUBMITTED, peru)
        assert waiting_endorsements(session, peru) == []

    def test_endorsed_for_a_trusted_country_it_is_published(self, session, peru, handed_in):
        peru.organisation.trusted = True
        endorse_need(session, peru, handed_in, revision=handed_in.revision, today=days(0))
        assert handed_in.status == PostStatus.PUBLISHED
        assert handed_in.version == 1

    def test_returned_it_carries_the_comment(self, session, exchange, peru, delegate, handed_in):
        with pytest.raises(InvalidInput):
            decline_endorsement(
                session, peru, handed_in, exchange.reference,
                revision=handed_in.revision, comment=" ",
            )  # fmt: skip
        decline_endorsement(
            session, peru, handed_in, exchange.reference,
            revision=handed_in.revision, comment="Which rivers?",
        )  # fmt: skip
        assert (handed_in.status, handed_in.comment) == (PostStatus.RETURNED, "Which rivers?")
        posts.edit_post(
            session, delegate, handed_in, {"description": "The Rímac."}, exchange.reference
        )
        posts.submit_post(session, delegate, handed_in, exchange.reference, today=days(0))
        assert handed_in.status == PostStatus.TO_ENDORSE

    def test_what_was_not_read_is_not_endorsed(self, session, exchange, peru, delegate, handed_in):
        read = handed_in.revision
        posts.edit_post(session, delegate, handed_in, {"title": "Another"}, exchange.reference)
        session.flush()
        with pytest.raises(Conflict, match="changed_meanwhile"):
            endorse_need(session, peru, handed_in, revision=read, today=days(0))

    def test_the_focal_point_of_another_country_endorses_nothing(self, session, handed_in):
        stranger = make_person(session, Role.FOCAL_POINT, "gov-ec")
        for by in (stranger, make_person(session, Role.SECRETARIAT)):
            with pytest.raises(NotAllowed, match="endorse_post"):
                endorse_need(session, by, handed_in, revision=handed_in.revision, today=days(0))

    def test_a_need_that_does_not_wait_is_not_endorsed(self, session, peru):
        need = post_need(session)
        with pytest.raises(InvalidTransition):
            endorse_need(session, peru, need, revision=need.revision, today=days(0))

    def test_a_delegate_asks_for_her_own_country_alone(self, session, exchange, delegate):
        assert posts.blank(delegate, "need")["country"] == "PE"
        with pytest.raises(InvalidInput):
            posts.save_draft(
                session, delegate, "need", {**NEED, "country": "EC"}, exchange.reference
            )


class TestLeastPrivilege:
    def test_once_published_her_need_is_the_focal_points_to_change_and_to_answer(
        self, session, exchange, delegate
    ):
        need = post_need(session, author=delegate)
        with pytest.raises(NotAllowed, match="edit_post"):
            posts.edit_post(session, delegate, need, {"title": "Other"}, exchange.reference)
        with pytest.raises(NotAllowed, match="edit_post"):
            posts.withdraw_post(session, delegate, need)
        with pytest.raises(NotAllowed, match="match_side"):
            interests.express_interest(session, delegate, need, post_offer(session), score=None)
        assert posts.possible_actions(need, delegate) == {"copy", "see_matches"}

    def test_she_sees_the_matches_of_her_need_and_of_no_other(
        self, session, exchange, peru, delegate
    ):
        own, other = post_need(session, author=delegate), post_need(session, author=peru)
        offer = post_offer(session)
        found = matches.matches_of(exchange, session, own, delegate, on=days(0))
        assert [row.offer for row in found.rows] == [offer]
        assert matches.examine(exchange, session, own, offer, delegate, on=days(0)).side is None
        with pytest.raises(NotAllowed):
            matches.matches_of(exchange, session, other, delegate, on=days(0))

    def test_she_reads_no_colleagues_draft(self, session, peru, delegate):
        draft = post_need(session, author=peru, status="draft")
        with pytest.raises(NotFound):
            posts.get_post(session, "need", draft.id, delegate)
