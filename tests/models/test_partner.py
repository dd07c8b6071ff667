"""Delegates, pairings, invitations and conflicts of interest: who may do what, and what is kept."""

import pytest
from sqlalchemy.exc import IntegrityError

from models import (
    Conflict,
    ConflictOfInterest,
    InvalidInput,
    InvalidTransition,
    InvitationStatus,
    Match,
    NotAllowed,
    Pairing,
    PilotInvitation,
    PostStatus,
    Role,
)
from tests.factories import make_need, make_offer, make_organisation, make_secretariat, make_user

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def ministry(session):
    return make_organisation(session)


@pytest.fixture
def focal(session, ministry):
    return make_user(session, ministry)


@pytest.fixture
def delegate(session, ministry):
    return make_user(session, ministry, Role.DELEGATE)


@pytest.fixture
def need(session, ministry, delegate):
    return make_need(session, organisation=ministry, author=delegate, status=PostStatus.DRAFT)


class TestDelegate:
    def test_her_need_waits_for_the_focal_point_and_says_who_endorsed_it(
        self, need, focal, delegate
    ):
        need.submit(delegate)
        assert need.status == PostStatus.TO_ENDORSE
        need.endorse(focal)
        assert need.status == PostStatus.SUBMITTED
        assert need.endorsed_by is focal
        assert need.endorsed_at is not None
        assert need.submitted_at is not None

    def test_her_need_comes_back_with_a_comment(self, need, focal, delegate):
        need.submit(delegate)
        with pytest.raises(InvalidInput):
            need.decline_endorsement("  ", focal)
        need.decline_endorsement("Say where.", focal)
        assert (need.status, need.comment) == (PostStatus.RETURNED, "Say where.")
        assert need.can_be_edited_by(delegate)
        need.submit(delegate)
        assert need.status == PostStatus.TO_ENDORSE

    def test_nobody_but_the_focal_point_of_that_organisation_endorses(
        self, session, need, delegate
    ):
        need.submit(delegate)
        stranger = make_user(session, make_organisation(session))
        for by in (delegate, stranger, make_secretariat(session)):
            with pytest.raises(NotAllowed, match="endorse_post"):
                need.endorse(by)
            with pytest.raises(NotAllowed, match="endorse_post"):
                need.decline_endorsement("no", by)

    def test_a_need_is_endorsed_once(self, need, focal, delegate):
        with pytest.raises(InvalidTransition):
            need.endorse(focal)
        need.submit(delegate)
        need.endorse(focal)
        with pytest.raises(InvalidTransition):
            need.endorse(focal)

    def test_a_focal_point_who_hands_in_a_need_endorses_it(self, need, focal):
        need.submit(focal)
        assert (need.status, need.endorsed_by) == (PostStatus.SUBMITTED, focal)

    def test_she_changes_her_text_only_until_it_is_endorsed(self, need, focal, delegate):
        for status in PostStatus:
            need.status = status
            before = status in ("draft", "to_endorse", "returned", "withdrawn")
            assert need.can_be_edited_by(delegate) == before
            assert need.is_own_of(delegate)
            assert need.can_be_seen_by(delegate)
            assert need.can_be_edited_by(focal)

    def test_she_reads_no_draft_of_a_colleague_and_posts_no_offer(
        self, session, ministry, focal, delegate
    ):
        colleague = make_need(session, organisation=ministry, author=focal, status=PostStatus.DRAFT)
        assert not colleague.can_be_seen_by(delegate)
        assert not colleague.can_be_edited_by(delegate)
        assert not delegate.may_post("offer")

    def test_what_waits_for_endorsement_is_read_by_its_organisation_alone(
        self, session, need, focal, delegate
    ):
        need.submit(delegate)
        assert need.can_be_seen_by(focal)
        assert not need.can_be_seen_by(make_secretariat(session))
        assert not need.can_be_seen_by(None)

    def test_she_is_no_side_of_a_match(self, session, need, focal, delegate):
        need.status = PostStatus.PUBLISHED
        match = Match(need=need, offer=make_offer(session))
        assert match.side_of(delegate) is None
        assert match.side_of(focal) == "need"


class TestPairing:
    @pytest.mark.parametrize("role", Role)
    def test_only_task_forces_and_moderators_suggest_one(self, session, role):
        need, offer = make_need(session), make_offer(session)
        by = make_user(session, role=role, subregion="andean")
        if role in (Role.TASK_FORCE, Role.COORDINATOR, Role.SECRETARIAT):
            made = Pairing.suggest(by, need, offer, " both speak of hotels ", 31.0)
            session.add(made)
            session.flush()
            assert (made.by, made.reason, made.score) == (by, "both speak of hotels", 31.0)
            assert made.created_at is not None
        else:
            with pytest.raises(NotAllowed, match="suggest_pairing"):
                Pairing.suggest(by, need, offer, "both speak of hotels", 31.0)

    def test_a_coordinator_suggests_for_her_subregion_alone(self, session):
        by = make_user(session, role=Role.COORDINATOR, subregion="caribbean")
        with pytest.raises(NotAllowed, match="suggest_pairing"):
            Pairing.suggest(by, make_need(session), make_offer(session), "why", 1.0)

    def test_it_gives_its_reason(self, session):
        by = make_secretariat(session)
        with pytest.raises(InvalidInput):
            Pairing.suggest(by, make_need(session), make_offer(session), " ", 1.0)


class TestInvitation:
    def test_the_invited_organisation_answers_once(self, session):
        force = make_organisation(session, "task_force", None)
        invited = make_organisation(session, "academia")
        officer = make_user(session, force, Role.TASK_FORCE)
        speaker = make_user(session, invited, Role.PROVIDER)
        made = PilotInvitation(
            task_force=force,
            organisation=invited,
            theme="tourism",
            message="Come",
            status=InvitationStatus.ASKED,
            by=officer,
        )
        session.add(made)
        session.flush()
        with pytest.raises(NotAllowed, match="answer_invitation"):
            made.answer_with(officer, willing=True, message="")
        made.answer_with(speaker, willing=True, message=" Gladly ")
        assert (made.status, made.answer, made.answered_by) == ("willing", "Gladly", speaker)
        with pytest.raises(Conflict, match="invitation_answered"):
            made.answer_with(speaker, willing=False, message="")


class TestConflictOfInterest:
    def test_it_names_one_subject_and_a_reason(self, session):
        by, other = make_user(session), make_organisation(session)
        with pytest.raises(InvalidInput):
            ConflictOfInterest.declare(by, "", organisation=other, post=None)
        session.add(ConflictOfInterest.declare(by, "why", organisation=other, post=None))
        session.flush()
        session.add(ConflictOfInterest.declare(by, "why", organisation=None, post=None))
        with pytest.raises(IntegrityError, match="one_subject"):
            session.flush()

    def test_the_secretariat_lifts_it_and_never_her_own(self, session):
        by, office = make_user(session), make_secretariat(session)
        other = make_organisation(session)
        made = ConflictOfInterest.declare(by, "why", organisation=other, post=None)
        session.add(made)
        session.flush()
        with pytest.raises(NotAllowed):
            made.lift(by)
        made.lift(office)
        assert made.lifted_by is office
        with pytest.raises(Conflict, match="conflict_lifted"):
            made.lift(office)
        own = ConflictOfInterest.declare(office, "why", organisation=other, post=None)
        session.add(own)
        session.flush()
        with pytest.raises(NotAllowed, match="lift_own_conflict"):
            own.lift(office)
