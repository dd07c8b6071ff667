"""The silence clock: what waits, who is asked, reminders, escalation; expiry and milestones."""

from datetime import timedelta
from itertools import cycle

import pytest
from sqlalchemy import select, update

from broker.news import tell_of_proposals
from broker.notices import find_notices
from broker.silence import (
    Matter,
    count_silent,
    find_expiring,
    load_matters,
    look_after_milestones,
    look_after_posts,
    remind_now,
    remind_the_silent,
    silent_before,
    silent_keys,
)
from models import (
    Agreement,
    AgreementStatus,
    ClearingRound,
    Conflict,
    Interest,
    InvitationStatus,
    Match,
    MatchStatus,
    Milestone,
    NeedPool,
    NotAllowed,
    NotFound,
    Notice,
    PilotInvitation,
    PoolMember,
    PoolStatus,
    Post,
    PostStatus,
    ProposalStatus,
    Reminder,
    Role,
    RoundProposal,
    RoundStatus,
    utc_now,
)
from tests.broker.factories import days, find_organisation, make_person, post_need, post_offer
from tests.factories import make_agreement

pytestmark = pytest.mark.usefixtures("backend")


FORCES = cycle(("tourism", "products", "lifestyles", "buildings"))


def ago(number):
    return utc_now() - timedelta(days=number)


def told(session, user):
    return [notice.kind for notice in session.scalars(find_notices(user))]


def keys(exchange, session, by, view="reminded", kind=""):
    return silent_keys(session, by, silent_before(view, utc_now(), exchange.settings), kind)


class People:
    """One person of every kind."""

    def __init__(self, session):
        self.asking = make_person(session, Role.FOCAL_POINT)
        self.giving = make_person(session, Role.TASK_FORCE)
        self.office = make_person(session, Role.SECRETARIAT)
        self.andean = make_person(session, Role.COORDINATOR)
        self.caribbean = make_person(session, Role.COORDINATOR, subregion="caribbean")


@pytest.fixture
def people(exchange):
    with exchange.writing() as session:
        return People(session)


def an_interest(session, people, age):
    need, offer = post_need(session), post_offer(session)
    match = Match(need=need, offer=offer, status=MatchStatus.INTEREST)
    interest = Interest(side="need", by_id=people.asking.id, created_at=ago(age))
    match.interests.append(interest)
    session.add(match)
    session.flush()
    return interest


def everything(session, people, age):
    """One matter of each kind, all asked so many days ago."""
    an_interest(session, people, age)
    need, offer = post_need(session), post_offer(session)
    clearing = ClearingRound(
        name="Round", policy="total", scope={}, floors={}, status=RoundStatus.SENT, by=people.office
    )
    session.add(clearing)
    session.flush()
    session.add(
        RoundProposal(
            round=clearing,
            need=need,
            offer=offer,
            number=1,
            parts={},
            places=3,
            score=70.0,
            status=ProposalStatus.WAITING,
            created_at=ago(age),
        )
    )
    session.add(
        NeedPool(
            subregion="andean",
            likeness=0.8,
            status=PoolStatus.ASKED,
            by=people.office,
            created_at=ago(age),
            members=[PoolMember(need=post_need(session)), PoolMember(need=post_need(session))],
        )
    )
    agreement = make_agreement(
        session, post_need(session), post_offer(session), status=AgreementStatus.PROPOSED
    )
    session.execute(
        update(Agreement).where(Agreement.id == agreement.id).values(updated_at=ago(age))
    )
    session.add(
        PilotInvitation(
            task_force=find_organisation(session, f"tf-{next(FORCES)}"),
            organisation=find_organisation(session, "gov-pe"),
            theme="water",
            message="Would you host it?",
            status=InvitationStatus.ASKED,
            by_id=people.office.id,
            created_at=ago(age),
        )
    )
    waiting = post_need(session, status="submitted")
    waiting.submitted_at = ago(age)
    session.flush()


class TestList:
    def test_everything_that_waits_stands_there_the_longest_first(self, exchange, people):
        with exchange.writing() as session:
            everything(session, people, 20)
            an_interest(session, people, 70)
            an_interest(session, people, 3)
            found = keys(exchange, session, people.office)
            assert len(found) == 7
            assert found[0][0] == "interest"
            assert {kind for kind, _number in found} == {
                "interest", "invitation", "proposal", "pool", "agreement", "post",
            }  # fmt: skip
            assert len(keys(exchange, session, people.office, "escalated")) == 1
            assert len(keys(exchange, session, people.office, "all")) == 8
            assert len(keys(exchange, session, people.office, kind="interest")) == 2
            assert count_silent(session, people.office, exchange.settings) == 7
            matters = load_matters(session, found)
            assert [(matter.kind, matter.id) for matter in matters] == found
            assert [matter.age(utc_now()) for matter in matters] == [70] + [20] * 6
            assert all(matter.people for matter in matters)
            assert all(matter.title for matter in matters)

    def test_a_coordinator_sees_her_subregion_and_nobody_else_sees_it(self, exchange, people):
        with exchange.writing() as session:
            everything(session, people, 20)
            post_offer(session, "gov-jm", status="submitted", serves_subregions=["caribbean"])
            session.execute(
                update(Post).where(Post.status == PostStatus.SUBMITTED).values(submitted_at=ago(20))
            )
            assert len(keys(exchange, session, people.andean)) == 6
            assert [kind for kind, _ in keys(exchange, session, people.caribbean)] == ["post"]
            with pytest.raises(NotAllowed):
                keys(exchange, session, people.asking)

    def test_the_same_queries_whatever_the_length(self, exchange, people, count_queries):
        counted = []
        for rounds in (1, 3):
            with exchange.writing() as session:
                for _ in range(rounds):
                    everything(session, people, 20)
            with exchange.reading() as session, count_queries() as statements:
                load_matters(session, keys(exchange, session, people.office))
            counted.append(len(statements))
        assert counted[0] == counted[1] < 50

    def test_who_has_answered_is_not_asked_any_more(self, exchange, people):
        with exchange.writing() as session:
            interest = an_interest(session, people, 20)
            interest.match.answer(people.giving, True, "")
            session.flush()
            assert keys(exchange, session, people.office) == []


class TestReminding:
    def test_two_weeks_remind_and_two_months_escalate_each_once(self, exchange, people):
        with exchange.writing() as session:
            first = an_interest(session, people, 20)
            an_interest(session, people, 5)
        assert remind_the_silent(exchange) == 1
        assert remind_the_silent(exchange) == 0
        with exchange.writing() as session:
            assert told(session, people.giving) == ["silence.reminder"]
            assert told(session, people.asking) == told(session, people.office) == []
            session.execute(update(Reminder).values(day=days(-41), created_at=ago(1)))
            session.execute(update(Notice).values(once=None))
            session.execute(
                update(Interest).where(Interest.id == first.id).values(created_at=ago(61))
            )
        assert remind_the_silent(exchange) == 1
        with exchange.writing() as session:
            assert told(session, people.giving) == ["silence.reminder"] * 2
            for person in (people.office, people.andean):
                assert told(session, person) == ["silence.escalated"]
            assert told(session, people.caribbean) == []
            session.execute(update(Reminder).where(Reminder.day == days(0)).values(day=days(-1)))
        assert remind_the_silent(exchange) == 0

    def test_every_kind_of_matter_reaches_those_who_are_asked(self, exchange, people):
        with exchange.writing() as session:
            everything(session, people, 20)
        assert remind_the_silent(exchange) == 6
        with exchange.reading() as session:
            notices = list(session.scalars(find_notices(people.asking)))
            paths = {notice.path.split("/")[1] for notice in notices}
            assert paths == {"invitations", "proposals", "pools"}
            assert told(session, people.giving).count("silence.reminder") == 3
            assert told(session, people.andean) == ["silence.reminder"]

    def test_a_click_reminds_once_a_day(self, exchange, people):
        with exchange.writing() as session:
            interest = an_interest(session, people, 3)
            matter = remind_now(session, people.andean, "interest", interest.id, today=days(0))
            assert [person.id for person in matter.people] == [people.giving.id]
            with pytest.raises(Conflict) as refused:
                remind_now(session, people.office, "interest", interest.id, today=days(0))
            assert refused.value.code == "reminded_today"
            remind_now(session, people.office, "interest", interest.id, today=days(1))
            assert told(session, people.giving) == ["silence.reminder"] * 2

    def test_only_what_is_hers_and_still_waits_can_be_reminded_of(self, exchange, people):
        with exchange.writing() as session:
            interest = an_interest(session, people, 20)
            for by, kind, number in (
                (people.caribbean, "interest", interest.id),
                (people.office, "interest", interest.id + 1),
                (people.office, "nonsense", interest.id),
            ):
                with pytest.raises(NotFound):
                    remind_now(session, by, kind, number, today=days(0))
            with pytest.raises(NotAllowed):
                remind_now(session, people.asking, "interest", interest.id, today=days(0))
            people_gone = session.merge(people.giving)
            people_gone.active = False
            session.flush()
            with pytest.raises(Conflict) as refused:
                remind_now(session, people.office, "interest", interest.id, today=days(0))
            assert refused.value.code == "nobody_to_remind"

    def test_two_who_remind_at_one_moment_remind_once(self, exchange, people, monkeypatch):
        with exchange.writing() as session:
            interest = an_interest(session, people, 20)
            remind_now(session, people.office, "interest", interest.id, today=days(0))
            # The second has looked before the first had finished.
            monkeypatch.setattr(Matter, "can_be_reminded", lambda *_: True)
            with pytest.raises(Conflict) as refused:
                remind_now(session, people.andean, "interest", interest.id, today=days(0))
            assert refused.value.code == "reminded_today"
            assert told(session, people.giving) == ["silence.reminder"]


class TestPosts:
    def test_posts_expire_by_themselves_and_are_told_of_before(self, exchange, people):
        with exchange.writing() as session:
            post_need(session, expires_on=days(-1))
            soon = post_need(session, expires_on=days(10))
            post_need(session, expires_on=days(100))
        assert look_after_posts(exchange) == 1
        assert look_after_posts(exchange) == 0
        with exchange.reading() as session:
            assert sorted(told(session, people.asking)) == ["post.expired", "post.expiring"]
            listed = session.scalars(find_expiring(people.office, days(0), exchange.settings))
            assert [post.id for post in listed] == [soon.id]
            gone = find_expiring(people.andean, days(0), exchange.settings, expired=True)
            assert len(list(session.scalars(gone))) == 1
            gone = find_expiring(people.caribbean, days(0), exchange.settings, expired=True)
            assert list(session.scalars(gone)) == []


class TestMilestones:
    def test_the_parties_are_told_once_before_and_once_after(self, exchange, people):
        with exchange.writing() as session:
            agreement = make_agreement(
                session, post_need(session), post_offer(session), status=AgreementStatus.ACTIVE
            )
            agreement.milestones = [
                Milestone(title="Workshop", due=days(5)),
                Milestone(title="Report", due=days(50)),
                Milestone(title="Baseline", due=days(-3)),
                Milestone(title="Done", due=days(-9), done_on=days(-9)),
            ]
            session.flush()
        # Two milestones, and three people who act for the parties.
        assert look_after_milestones(exchange) == 6
        assert look_after_milestones(exchange) == 0
        with exchange.reading() as session:
            assert sorted(told(session, people.giving)) == ["milestone.late", "milestone.soon"]
            notices = session.scalars(find_notices(people.asking))
            assert {notice.facts["milestone"] for notice in notices} == {"Workshop", "Baseline"}


def test_a_thousand_proposals_are_told_in_few_queries(exchange, people, count_queries):
    with exchange.writing() as session:
        clearing = ClearingRound(
            name="Round",
            policy="total",
            scope={},
            floors={},
            status=RoundStatus.SENT,
            by=people.office,
        )
        offer = post_offer(session)
        session.add(clearing)
        needs = [post_need(session) for _ in range(60)]
        made = [
            RoundProposal(
                round=clearing,
                need=need,
                offer=offer,
                number=1,
                parts={},
                places=1,
                score=60.0,
                status=ProposalStatus.WAITING,
            )
            for need in needs
        ]
        session.add_all(made)
        session.flush()
        with count_queries() as statements:
            tell_of_proposals(session, people.office, made)
            session.flush()
        assert len([s for s in statements if s.startswith("SELECT")]) <= 6
        assert len(told(session, people.giving)) == 60
        assert session.scalar(select(RoundProposal.id).limit(1))
