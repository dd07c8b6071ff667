"""A conflict of interest keeps a person out of every decision that concerns it."""

import pytest

from broker import accounts, agreements, clearing, directory, interests, pools, posts, ratings
from broker.action_plan import open_plan, save_line
from broker.conflicts import (
    declare_conflict,
    find_conflicts,
    get_conflict,
    lift_conflict,
    require_no_conflict_among,
)
from broker.duplicates import keep_both_organisations
from broker.endorsements import decline_endorsement, endorse_need
from broker.merging import merge_organisations
from broker.parties import add_party
from broker.plan_choice import choose_line, release_line
from models import (
    Agreement,
    Conflict,
    ConflictOfInterest,
    EntryKind,
    EntryStatus,
    InvalidInput,
    MatchStatus,
    NeedPool,
    NotAllowed,
    NotFound,
    PostStatus,
    ProposalStatus,
    Role,
    RoundProposal,
)
from tests.broker.factories import days, find_organisation, make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


@pytest.fixture
def office(session):
    return make_person(session, Role.SECRETARIAT)


@pytest.fixture
def peru(session):
    return make_person(session, Role.FOCAL_POINT)


@pytest.fixture
def force(session):
    return make_person(session, Role.TASK_FORCE)


@pytest.fixture
def need(session):
    return post_need(session, status="submitted")


@pytest.fixture
def declare(session, exchange):
    """``declare(by, organisation="gov-pe")`` or ``declare(by, post="need-…")``."""

    def declared(by, **subject) -> ConflictOfInterest:
        data = {**subject, "reason": "A relative works there."}
        return declare_conflict(session, by, data, exchange.reference)

    return declared


def refused():
    return pytest.raises(NotAllowed, match="conflict_of_interest")


class TestDeclaring:
    def test_it_names_an_organisation_or_a_post_and_why(self, session, exchange, office, need):
        for data in (
            {"reason": "why"},
            {"organisation": "gov-pe", "post": need.reference, "reason": "why"},
            {"organisation": "gov-pe", "reason": ""},
            {"organisation": "nobody", "reason": "why"},
            {"post": "need-nowhere", "reason": "why"},
        ):
            with pytest.raises(InvalidInput):
                declare_conflict(session, office, data, exchange.reference)

    def test_once_is_enough(self, declare, office):
        declare(office, organisation="gov-pe")
        with pytest.raises(Conflict, match="conflict_declared"):
            declare(office, organisation="gov-pe")

    def test_a_post_that_one_may_not_read_cannot_be_named(self, session, declare, force):
        draft = post_need(session, status="draft")
        with pytest.raises(InvalidInput):
            declare(force, post=draft.reference)

    def test_one_reads_ones_own_and_the_secretariat_all(self, session, declare, office, peru):
        made = declare(peru, organisation="caf")
        assert list(session.scalars(find_conflicts(peru))) == [made]
        assert list(session.scalars(find_conflicts(office))) == [made]
        other = make_person(session, Role.PROVIDER)
        assert list(session.scalars(find_conflicts(other))) == []
        with pytest.raises(NotFound):
            get_conflict(session, made.id, other)
        assert get_conflict(session, made.id, office) is made

    def test_once_lifted_it_no_longer_stands(self, session, declare, office, need):
        colleague = make_person(session, Role.SECRETARIAT)
        made = declare(colleague, organisation="gov-pe")
        with refused():
            posts.publish_post(session, colleague, need, today=days(0))
        lift_conflict(session, office, made)
        posts.publish_post(session, colleague, need, today=days(0))
        assert need.is_live


class TestModerating:
    def test_who_has_one_neither_publishes_nor_returns(self, session, declare, office, need):
        declare(office, organisation="gov-pe")
        with refused() as raised:
            posts.publish_post(session, office, need, today=days(0))
        assert raised.value.params == {"subject": need.organisation.name("en")}
        with refused():
            posts.return_post(session, office, need, "Say more.")
        assert need.status == PostStatus.SUBMITTED

    def test_one_on_a_post_leaves_the_organisations_others(self, session, declare, office, need):
        declare(office, post=need.reference)
        with refused():
            posts.publish_post(session, office, need, today=days(0))
        other = post_need(session, status="submitted")
        posts.publish_post(session, office, other, today=days(0))
        assert other.is_live

    def test_nobody_moderates_what_her_own_organisation_posts(self, session):
        coordinator = make_person(session, Role.COORDINATOR, "gov-pe")
        with refused():
            posts.publish_post(
                session, coordinator, post_need(session, status="submitted"), today=days(0)
            )
        with refused():
            posts.withdraw_post(
                session, make_person(session, Role.SECRETARIAT, "caf"), (post_offer(session, "caf"))
            )

    def test_trust_is_a_decision_too(self, session, declare, office):
        caf = find_organisation(session, "caf")
        declare(office, organisation="caf")
        with refused():
            accounts.set_trusted(session, office, caf, True)


class TestMatching:
    def test_no_interest_answer_or_dismissal(self, session, declare, peru, force):
        need, offer = post_need(session), post_offer(session)
        interests.express_interest(session, force, need, offer, score=60.0)
        match = interests.find_match(session, need, offer)
        declare(peru, organisation="tf-procurement")
        with refused():
            interests.answer_interest(session, peru, match, accept=True)
        with refused():
            interests.dismiss_match(session, peru, need, offer, score=60.0, reason="no_capacity")
        assert match.status == MatchStatus.INTEREST
        other = post_offer(session)
        with refused():
            interests.express_interest(session, peru, need, other, score=None)

    def test_a_colleague_without_one_answers_instead(self, session, declare, peru, force):
        need, offer = post_need(session), post_offer(session)
        interests.express_interest(session, force, need, offer, score=60.0)
        declare(peru, post=offer.reference)
        colleague = make_person(session, Role.FOCAL_POINT)
        match = interests.find_match(session, need, offer)
        interests.answer_interest(session, colleague, match, accept=True)
        assert match.status == MatchStatus.MUTUAL


class TestAgreements:
    def _agreement(self, session, exchange, peru, force) -> Agreement:
        need, offer = post_need(session), post_offer(session, places=9)
        interests.express_interest(session, force, need, offer, score=60.0)
        match = interests.find_match(session, need, offer)
        interests.answer_interest(session, peru, match, accept=True)
        terms = {
            "title": "Training",
            "activities": "One workshop.",
            "starts": days(0).isoformat(),
            "ends": days(90).isoformat(),
            "places": 2,
        }
        return agreements.propose_agreement(
            session, force, match, terms, exchange.reference, today=days(0)
        )

    def test_no_terms_acceptance_or_signature(self, session, exchange, declare, peru, force):
        agreement = self._agreement(session, exchange, peru, force)
        declare(peru, organisation="tf-procurement")
        with refused():
            agreements.accept_terms(session, peru, agreement, 1)
        with refused():
            agreements.sign_agreement(session, peru, agreement, 1)
        with refused():
            agreements.complete_agreement(session, peru, agreement, "done")
        with refused():
            agreements.terminate_agreement(session, peru, agreement, reason="why")
        with refused():
            agreements.abandon_agreement(session, peru, agreement, "why")
        with refused():
            add_party(session, peru, agreement, organisation="caf", role="donor")

    def test_no_rating(self, session, exchange, declare, peru, force):
        agreement = self._agreement(session, exchange, peru, force)
        declare(peru, organisation="tf-procurement")
        with refused():
            ratings.rate_agreement(session, peru, agreement, score=5)
        assert agreement.ratings == []


class TestClearing:
    def _round(self, session, exchange, office):
        data = {"name": "Spring", "policy": "total"}
        return clearing.open_round(session, office, data, exchange.reference)

    def test_no_rule_for_a_pair_that_concerns_it(self, session, exchange, declare, office):
        need, offer = post_need(session), post_offer(session)
        found = self._round(session, exchange, office)
        rule = {
            "kind": "forced",
            "need": need.reference,
            "offer": offer.reference,
            "reason": "It fits.",
        }
        made = clearing.set_rule(session, office, found, rule, exchange.reference)
        session.flush()
        declare(office, organisation="gov-pe")
        with refused():
            clearing.remove_rule(session, office, found, made.id)
        second = {**rule, "offer": post_offer(session).reference}
        with refused():
            clearing.set_rule(session, office, found, second, exchange.reference)

    def test_no_rule_for_ones_own_organisations_offer(self, session, exchange, office):
        need, offer = post_need(session), post_offer(session, "unep-rolac")
        found = self._round(session, exchange, office)
        rule = {
            "kind": "forced",
            "need": need.reference,
            "offer": offer.reference,
            "reason": "It fits.",
        }
        with refused():
            clearing.set_rule(session, office, found, rule, exchange.reference)

    def test_no_clearing_of_posts_that_it_concerns(self, session, exchange, declare, office):
        post_need(session, places_wanted=3)
        offer = post_offer(session, places=3)
        found = self._round(session, exchange, office)
        colleague = make_person(session, Role.SECRETARIAT)
        declare(office, post=offer.reference)
        with refused():
            clearing.clear_round(exchange, session, office, found)
        clearing.clear_round(exchange, session, colleague, found)
        with refused():
            clearing.send_round(session, office, found)

    def test_no_answer_to_a_proposal(self, session, exchange, declare, office, peru):
        need, offer = post_need(session), post_offer(session)
        proposal = RoundProposal(
            round=self._round(session, exchange, office),
            need=need,
            offer=offer,
            number=1,
            places=1,
            score=60.0,
            status=ProposalStatus.WAITING,
        )
        session.add(proposal)
        session.flush()
        declare(peru, post=offer.reference)
        with refused():
            clearing.answer_proposal(session, peru, proposal, accept=True)


def test_no_pool_of_needs_that_it_concerns(session, exchange, declare, office, monkeypatch):
    first, second = post_need(session), post_need(session, "gov-ec")
    idea = pools.PoolIdea("andean", (first, second), 0.9)
    monkeypatch.setattr(pools, "think_of_pools", lambda *_: [idea])
    make_person(session, Role.COORDINATOR)
    declare(office, organisation="gov-ec")
    with refused():
        pools.ask_pool(exchange, session, office, [first.id, second.id])


def test_no_answer_to_a_pool_with_a_need_that_it_concerns(session, exchange, declare, peru):
    needs = [post_need(session), post_need(session, "gov-ec")]
    pool = NeedPool.ask(needs, "andean", 0.9, make_person(session, Role.SECRETARIAT))
    session.add(pool)
    session.flush()
    declare(peru, post=needs[1].reference)
    with refused():
        pools.answer_pool(session, peru, pool, exchange.reference, consent=True, note="")


def test_no_endorsement(session, exchange, declare, peru):
    delegate = make_person(session, Role.DELEGATE, "gov-pe")
    need = post_need(session, status="to_endorse", author=delegate)
    declare(peru, post=need.reference)
    with refused():
        endorse_need(session, peru, need, revision=need.revision, today=days(0))
    with refused():
        decline_endorsement(
            session, peru, need, exchange.reference, revision=need.revision, comment="More."
        )


def test_a_decision_over_many_posts_is_checked_in_two_queries(
    session, declare, office, count_queries
):
    needs = [post_need(session) for _ in range(5)]
    with count_queries() as statements:
        require_no_conflict_among(session, office, [need.id for need in needs])
    assert len(statements) == 1
    declare(office, post=needs[3].reference)
    session.flush()
    with count_queries() as statements, refused():
        require_no_conflict_among(session, office, [need.id for need in needs])
    assert len(statements) <= 4


ENTRY = {
    "organisation": "caf",
    "language": "en",
    "title": "An auditor of cleaner production",
    "description": "Audits of small firms.",
    "country": "PE",
    "certified_by": "eclac",
    "certificate": "A-1",
    "valid_until": days(400).isoformat(),
}


@pytest.mark.parametrize("named", ["caf", "eclac"])
def test_no_publication_or_return_of_an_entry(session, exchange, declare, office, named):
    writer = make_person(session, Role.PROVIDER)
    specialist = EntryKind.SPECIALIST
    entry = directory.save_entry(session, writer, specialist, ENTRY, exchange.reference)
    directory.submit_entry(session, writer, entry, exchange.reference, today=days(0))
    declare(office, organisation=named)
    with refused():
        directory.publish_entry(session, office, entry, today=days(0))
    with refused():
        directory.return_entry(session, office, entry, "Which firms?")
    other = make_person(session, Role.SECRETARIAT)
    directory.publish_entry(session, other, entry, today=days(0))
    assert entry.status == EntryStatus.PUBLISHED


def test_nobody_publishes_an_entry_that_her_own_organisation_certified(session, exchange):
    writer, office = make_person(session, Role.PROVIDER), make_person(session, Role.SECRETARIAT)
    data = {**ENTRY, "certified_by": "unep-rolac"}
    entry = directory.save_entry(session, writer, EntryKind.SPECIALIST, data, exchange.reference)
    directory.submit_entry(session, writer, entry, exchange.reference, today=days(0))
    with refused():
        directory.publish_entry(session, office, entry, today=days(0))


def test_no_choice_among_the_lines_of_a_government(session, exchange, declare, peru):
    own = open_plan(session, peru, {"scope": "PE", "starts": 2027}, exchange.reference)
    said = {"language": "en", "dimension": "1", "priority": "Buy sustainably"}
    line = save_line(session, peru, own, said, exchange.reference)
    coordinator = make_person(session, Role.COORDINATOR)
    scope = {"scope": "andean", "starts": 2027}
    plan = open_plan(session, coordinator, scope, exchange.reference)
    reason = {"reason": "Most asked for it."}
    choose_line(session, coordinator, plan, line.id, reason, exchange.reference)
    declare(coordinator, organisation="gov-pe")
    with refused():
        release_line(session, coordinator, plan, line.id)
    office = make_person(session, Role.SECRETARIAT)
    release_line(session, office, plan, line.id)
    with refused():
        choose_line(session, coordinator, plan, line.id, reason, exchange.reference)


def test_no_merge_and_no_word_on_doubles(session, exchange, declare, office):
    declare(office, organisation="caf")
    kept, gone = find_organisation(session, "eclac"), find_organisation(session, "caf")
    said = {"reason": "One.", "sure": True, "unlike": True}
    with refused():
        merge_organisations(session, office, kept, gone, said, exchange.reference)
    with refused():
        keep_both_organisations(session, office, kept.id, gone.id)
