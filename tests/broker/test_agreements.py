"""Use cases of agreements: who may do what, what is refused, and what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from broker import agreements
from broker.agreements import RegisterFilter, Step, TerminationSchema
from broker.exchange import Exchange
from broker.posts import withdraw_post
from broker.schemas import load
from models import (
    Agreement,
    AgreementStatus,
    AuditEvent,
    CapacityExceeded,
    Commitment,
    Conflict,
    InvalidInput,
    InvalidTransition,
    Match,
    MatchStatus,
    NotAllowed,
    NotFound,
    PostStatus,
    Role,
    User,
)
from models.ledger import imbalances
from tests.broker.factories import days, make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def session(exchange: Exchange) -> Iterator[Session]:
    with exchange.writing() as session:
        yield session


@dataclass
class Table:
    """Two sides that want a match, and what they do."""

    exchange: Exchange
    session: Session
    match: Match
    asking: User
    giving: User

    def data(self, **changes: Any) -> dict[str, Any]:
        return {
            "title": "Training of buyers",
            "activities": "Two workshops in Lima.",
            "starts": days(10).isoformat(),
            "ends": days(200).isoformat(),
            "places": 20,
            "money": "5000",
            "currency": "USD",
            **changes,
        }

    def propose(self, by: User | None = None, **changes: Any) -> Agreement:
        return agreements.propose_agreement(
            self.session,
            by or self.asking,
            self.match,
            self.data(**changes),
            self.exchange.reference,
            today=days(0),
        )

    def answer(self, agreement: Agreement, by: User, based_on: int, **changes: Any) -> Any:
        return agreements.put_terms(
            self.session,
            by,
            agreement,
            self.data(**changes),
            self.exchange.reference,
            based_on=based_on,
            today=days(0),
        )

    def agreed(self, **changes: Any) -> Agreement:
        agreement = self.propose(**changes)
        agreements.accept_terms(self.session, self.giving, agreement, 1)
        return agreement

    def signed(self, **changes: Any) -> Agreement:
        agreement = self.agreed(**changes)
        for user in (self.asking, self.giving):
            agreements.sign_agreement(self.session, user, agreement, 1)
        self.session.flush()
        return agreement

    def active(self, **changes: Any) -> Agreement:
        agreement = self.signed(**changes)
        agreements.start_agreement(self.session, self.asking, agreement)
        return agreement

    def measure(self, agreement: Agreement, by: User, value: float = 1.0) -> None:
        """Report a value of the agreement's first indicator."""
        agreements.report_indicator(
            self.session,
            by,
            agreement,
            agreement.indicators[0].id,
            on=days(0),
            value=value,
            today=days(0),
        )

    def standing(self, agreement: Agreement, user: User | None) -> agreements.Standing:
        return agreements.standing(agreement, user, today=days(0))

    def other_match(self, **offer: Any) -> Table:
        """Another government's match with the same offer."""
        need = post_need(self.session, "gov-pa", places_wanted=100)
        match = Match(need=need, offer=self.match.offer, status=MatchStatus.MUTUAL)
        self.session.add(match)
        self.session.flush()
        asking = make_person(self.session, Role.FOCAL_POINT, "gov-pa")
        return Table(self.exchange, self.session, match, asking, self.giving)


def make_table(exchange: Exchange, session: Session, **status: Any) -> Table:
    need = post_need(
        session,
        places_wanted=30,
        money_least=Decimal(4000),
        money_most=Decimal(9000),
        currency="USD",
    )
    offer = post_offer(session, places=25, money=Decimal(20000), currency="USD")
    match = Match(need=need, offer=offer, **{"status": MatchStatus.MUTUAL, **status})
    session.add(match)
    session.flush()
    return Table(
        exchange,
        session,
        match,
        make_person(session, Role.FOCAL_POINT),
        make_person(session, Role.TASK_FORCE),
    )


@pytest.fixture
def table(exchange: Exchange, session: Session) -> Table:
    return make_table(exchange, session)


STRANGERS = [
    (Role.FOCAL_POINT, "gov-pa"),
    (Role.PROVIDER, "caf"),
    (Role.TASK_FORCE, "tf-lifestyles"),
    (Role.COORDINATOR, "gov-ec"),
    (Role.SECRETARIAT, "unep-rolac"),
]
"""People of every role who act for neither side; the last two moderate the need's subregion."""

FOLLOW_UP = {
    "milestones": [{"title": "First workshop", "due": days(-3).isoformat()}],
    "indicators": [{"name": "Buyers trained", "baseline": 0, "target": 20}],
}


class TestProposing:
    def test_puts_the_first_terms_on_the_table(self, table: Table) -> None:
        agreement = table.propose()
        assert agreement.status == AgreementStatus.PROPOSED
        assert agreement.reference == f"AG-{days(0).year}-{agreement.id:04d}"
        assert [party.accepted_number for party in agreement.parties] == [1, None]
        assert table.match.status == MatchStatus.AGREEMENT

    @pytest.mark.parametrize("status", [MatchStatus.SUGGESTED, MatchStatus.INTEREST])
    def test_waits_for_both_sides_interest(
        self, exchange: Exchange, session: Session, status: MatchStatus
    ) -> None:
        table = make_table(exchange, session, status=status)
        with pytest.raises(InvalidTransition):
            table.propose()
        with pytest.raises(InvalidTransition):
            agreements.begin_terms(
                session,
                table.asking,
                table.match,
                exchange.reference,
                language="en",
                today=days(0),
            )

    def test_a_second_proposal_is_told_of_the_first(self, table: Table) -> None:
        agreement = table.propose()
        with pytest.raises(Conflict) as refusal:
            table.propose(table.giving)
        assert refusal.value.code == "agreement_exists"
        assert refusal.value.params["reference"] == agreement.reference

    @pytest.mark.parametrize("side", ["need", "offer"])
    def test_nothing_is_proposed_on_a_withdrawn_post(self, table: Table, side: str) -> None:
        post, owner = getattr(table.match, side), table.asking if side == "need" else table.giving
        withdraw_post(table.session, owner, post)
        with pytest.raises(Conflict, match=f"{side}_not_live"):
            table.propose()

    @pytest.mark.parametrize(("role", "organisation"), STRANGERS)
    def test_only_the_two_sides_propose(self, table: Table, role: Role, organisation: str) -> None:
        with pytest.raises(NotAllowed):
            table.propose(make_person(table.session, role, organisation))

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"title": ""}, "title"),
            ({"activities": "  "}, "activities"),
            ({"starts": None}, "starts"),
            ({"ends": days(5).isoformat()}, "ends"),
            ({"starts": days(-90).isoformat(), "ends": days(-1).isoformat()}, "ends"),
            ({"places": 26}, "places"),
            ({"places": -1}, "places"),
            ({"money": "20000.01"}, "money"),
            ({"money": "12.345"}, "money"),
            ({"money": "NaN"}, "money"),
            ({"currency": "EUR"}, "currency"),
            ({"currency": None}, "currency"),
            ({"currency": "XXX"}, "currency"),
            ({"support_kinds": ["magic"]}, "support_kinds"),
            ({"milestones": [{"title": "Undated", "due": None}]}, "milestones"),
            ({"milestones": [{"title": "Undated"}]}, "milestones"),
            ({"indicators": [{"name": "Endless", "target": 1e300}]}, "indicators"),
            ({"indicators": [{"name": "Open", "target": None}]}, "indicators"),
            ({"favour": "yes"}, "favour"),
        ],
    )
    def test_terms_that_cannot_be_are_refused_at_their_field(
        self, table: Table, changes: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(InvalidInput) as refusal:
            table.propose(**changes)
        assert field in refusal.value.fields
        assert table.match.status == MatchStatus.MUTUAL
        assert not table.session.scalars(select(Agreement)).all()


class TestNegotiating:
    def test_each_change_of_terms_needs_every_side_anew(self, table: Table) -> None:
        agreement = table.agreed()
        agreements.sign_agreement(table.session, table.asking, agreement, 1)
        table.answer(agreement, table.giving, 1, places=10)
        assert agreement.status == AgreementStatus.PROPOSED
        assert [party.accepted_number for party in agreement.parties] == [None, 2]
        assert all(party.signed_at is None for party in agreement.parties)

    def test_the_slower_of_two_writers_is_told_and_nothing_is_overwritten(
        self, table: Table
    ) -> None:
        agreement = table.propose()
        table.answer(agreement, table.giving, 1, places=10)
        with pytest.raises(Conflict) as refusal:
            table.answer(agreement, table.asking, 1, places=15)
        assert refusal.value.params["number"] == 2
        assert [terms.places for terms in agreement.terms] == [20, 10]

    def test_nobody_accepts_terms_that_were_replaced(self, table: Table) -> None:
        agreement = table.propose()
        table.answer(agreement, table.asking, 1, places=10)
        with pytest.raises(Conflict, match="terms_changed"):
            agreements.accept_terms(table.session, table.giving, agreement, 1)

    def test_signed_terms_are_frozen(self, table: Table) -> None:
        agreement = table.signed()
        with pytest.raises(Conflict, match="terms_are_frozen"):
            agreements.begin_answer(table.asking, agreement)
        with pytest.raises(Conflict, match="terms_are_frozen"):
            table.answer(agreement, table.asking, 1)

    def test_an_answer_begins_from_the_terms_on_the_table(self, table: Table) -> None:
        agreement = table.propose(note="A word to you")
        values = agreements.begin_answer(table.giving, agreement)
        assert values["places"] == 20
        assert values["money"] in ("5000", "5000.00")
        assert values["note"] == ""

    def test_breaking_off_leaves_the_match_to_be_tried_again(self, table: Table) -> None:
        agreement = table.propose()
        agreements.abandon_agreement(table.session, table.giving, agreement, "No trainers left.")
        assert agreement.status == AgreementStatus.ABANDONED
        assert table.match.status == MatchStatus.MUTUAL
        assert table.propose().id != agreement.id


class TestSigning:
    def test_the_last_signature_commits_and_opens_the_follow_up(self, table: Table) -> None:
        agreement = table.agreed(**FOLLOW_UP)
        assert not agreements.sign_agreement(table.session, table.asking, agreement, 1)
        assert table.match.offer.remaining_places() == 25
        assert agreements.sign_agreement(table.session, table.giving, agreement, 1)
        assert table.match.offer.remaining_places() == 5
        assert table.match.need.places_open() == 10
        assert [m.title for m in agreement.milestones] == ["First workshop"]
        assert [i.target for i in agreement.indicators] == [20]
        assert imbalances(table.session) == []

    def test_nobody_signs_before_every_side_accepts(self, table: Table) -> None:
        agreement = table.propose()
        with pytest.raises(InvalidTransition):
            agreements.sign_agreement(table.session, table.asking, agreement, 1)

    def test_a_side_signs_once(self, table: Table) -> None:
        agreement = table.agreed()
        agreements.sign_agreement(table.session, table.asking, agreement, 1)
        with pytest.raises(Conflict, match="already_signed"):
            agreements.sign_agreement(table.session, table.asking, agreement, 1)

    @pytest.mark.parametrize("signed_before", [0, 1])
    def test_a_signature_for_capacity_that_is_gone_leaves_everything_as_it_was(
        self, table: Table, signed_before: int
    ) -> None:
        agreement = table.agreed(places=20)
        signers = [table.asking, table.giving]
        for user in signers[:signed_before]:
            agreements.sign_agreement(table.session, user, agreement, 1)
        table.other_match().signed(places=10)
        with pytest.raises(CapacityExceeded) as refusal:
            agreements.sign_agreement(table.session, signers[signed_before], agreement, 1)
        assert (refusal.value.params["places_asked"], refusal.value.params["places_left"]) == (
            20,
            15,
        )
        # The caller may even go on and keep what it did: nothing of the signature is in it.
        table.session.commit()
        table.session.expire_all()
        assert agreement.status == AgreementStatus.NEGOTIATED
        assert [p.signed_at is not None for p in agreement.parties] == [
            n < signed_before for n in range(2)
        ]
        assert agreement.commitments == []
        assert agreement.milestones == []
        assert table.match.offer.places_committed == 10
        assert imbalances(table.session) == []

    @pytest.mark.parametrize("side", ["need", "offer"])
    def test_nobody_signs_for_a_post_that_has_left_the_exchange(
        self, table: Table, side: str
    ) -> None:
        agreement = table.agreed()
        getattr(table.match, side).move_to(PostStatus.EXPIRED)
        with pytest.raises((Conflict, CapacityExceeded), match=f"{side}_not_live"):
            agreements.require_signable(table.session, table.asking, agreement)
        with pytest.raises((Conflict, CapacityExceeded), match=f"{side}_not_live"):
            agreements.sign_agreement(table.session, table.asking, agreement, 1)


class TestMoreThanIsAsked:
    @pytest.mark.parametrize(
        ("terms", "field"), [({"places": 21}, "places"), ({"money": "9000.01"}, "money")]
    )
    def test_terms_beyond_the_need_are_refused_by_field_unless_they_say_so(
        self, table: Table, terms: dict[str, Any], field: str
    ) -> None:
        need = table.match.need
        need.places_wanted, need.money_most, need.currency = 20, Decimal(9000), "USD"
        with pytest.raises(InvalidInput) as raised:
            table.propose(**terms)
        assert set(raised.value.fields) == {field}
        agreement = table.propose(**terms, beyond_need=True)
        assert agreement.current_terms.beyond_need

    def test_a_need_that_was_covered_meanwhile_is_not_covered_twice(self, table: Table) -> None:
        table.match.need.places_wanted = 30
        agreement = table.agreed()
        table.match.need.places_covered = 25
        for attempt in (
            lambda: agreements.require_signable(table.session, table.asking, agreement),
            lambda: agreements.sign_agreement(table.session, table.asking, agreement, 1),
        ):
            with pytest.raises(Conflict, match="more_than_need_asks"):
                attempt()

    def test_a_sealed_amount_is_told_to_its_own_side_alone(self, table: Table) -> None:
        need = table.match.need
        need.money_most, need.currency, need.money_sealed = Decimal(4000), "USD", True
        with pytest.raises(InvalidInput):
            table.propose()
        agreement = table.propose(table.giving)
        agreements.accept_terms(table.session, table.asking, agreement, 1)
        agreements.sign_agreement(table.session, table.giving, agreement, 1)
        with pytest.raises(Conflict, match="more_than_need_asks") as raised:
            agreements.sign_agreement(table.session, table.asking, agreement, 1)
        assert set(raised.value.params) == {"reference"}


class TestFollowing:
    def test_a_milestone_is_late_until_it_is_done(self, table: Table) -> None:
        agreement = table.active(**FOLLOW_UP)
        (milestone,) = table.standing(agreement, table.giving).late
        agreements.finish_milestone(
            table.session,
            table.giving,
            agreement,
            milestone.id,
            evidence="List of participants",
            today=days(0),
        )
        assert table.standing(agreement, table.giving).late == []
        with pytest.raises(Conflict, match="milestone_done"):
            agreements.finish_milestone(
                table.session,
                table.asking,
                agreement,
                milestone.id,
                evidence="Again",
                today=days(0),
            )

    def test_values_are_reported_for_days_that_have_passed(self, table: Table) -> None:
        agreement = table.active(**FOLLOW_UP)
        (indicator,) = agreement.indicators

        def report(**values: Any) -> None:
            agreements.report_indicator(
                table.session, table.asking, agreement, indicator.id, today=days(0), **values
            )

        report(on=days(0), value=5.0)
        assert indicator.progress() == 0.25
        for values in ({"on": days(1)}, {"on": None}, {"on": days(0), "value": 1e16}):
            with pytest.raises(InvalidInput):
                report(**{"value": 1.0, **values})
        assert len(indicator.reports) == 1

    def test_another_agreements_milestones_are_not_found(self, table: Table) -> None:
        agreement = table.active(**FOLLOW_UP)
        other = table.other_match().active(places=1, **FOLLOW_UP)
        with pytest.raises(NotFound):
            agreements.find_milestone(agreement, other.milestones[0].id)
        with pytest.raises(NotFound):
            agreements.find_indicator(agreement, other.indicators[0].id)

    def test_nothing_is_reported_after_the_end(self, table: Table) -> None:
        agreement = table.active(**FOLLOW_UP)
        agreements.complete_agreement(table.session, table.asking, agreement, "All was done.")
        with pytest.raises(Conflict, match="agreement_not_in_force"):
            table.measure(agreement, table.asking)


class TestEnding:
    def test_completion_keeps_what_was_committed(self, table: Table) -> None:
        agreement = table.active()
        agreements.complete_agreement(table.session, table.giving, agreement, "20 buyers trained.")
        assert agreement.status == AgreementStatus.COMPLETED
        assert table.match.offer.places_committed == 20

    def test_termination_returns_what_was_not_used(self, table: Table) -> None:
        agreement = table.active()
        row = agreements.terminate_agreement(
            table.session,
            table.asking,
            agreement,
            reason="The budget was cut.",
            places_used=8,
            money_used=Decimal(1000),
        )
        assert (row.places, row.money) == (-12, Decimal(-4000))
        assert table.match.offer.remaining_places() == 17
        assert table.match.need.places_open() == 22
        assert table.match.status == MatchStatus.MUTUAL
        assert imbalances(table.session) == []

    @pytest.mark.parametrize("used", [{"places_used": 21}, {"money_used": Decimal("5000.01")}])
    def test_no_more_was_used_than_was_committed(self, table: Table, used: dict[str, Any]) -> None:
        agreement = table.active()
        with pytest.raises(InvalidInput) as refusal:
            agreements.terminate_agreement(
                table.session, table.asking, agreement, reason="It ends.", **used
            )
        assert set(refusal.value.fields) == set(used)

    def test_an_empty_box_is_not_taken_for_nothing_used(self, exchange: Exchange) -> None:
        with pytest.raises(InvalidInput) as refusal:
            load(
                TerminationSchema,
                {"reason": "It ends.", "places_used": None, "money_used": None},
                exchange.reference,
            )
        assert set(refusal.value.fields) == {"places_used", "money_used"}

    @pytest.mark.parametrize("way", ["complete", "terminate", "abandon"])
    def test_every_end_says_why(self, table: Table, way: str) -> None:
        agreement = table.propose() if way == "abandon" else table.active()
        words = {"reason": " "} if way == "terminate" else {}
        with pytest.raises(InvalidInput):
            getattr(agreements, f"{way}_agreement")(
                table.session, table.asking, agreement, *([] if words else [" "]), **words
            )


ACTS: dict[str, tuple[str, Callable[[Session, User, Agreement], Any]]] = {
    "answer": (
        "propose",
        lambda s, u, a: agreements.put_terms(
            s,
            u,
            a,
            {},
            None,
            based_on=1,
            today=days(0),
        ),
    ),
    "begin an answer": ("propose", lambda s, u, a: agreements.begin_answer(u, a)),
    "accept": ("propose", lambda s, u, a: agreements.accept_terms(s, u, a, 1)),
    "abandon": ("propose", lambda s, u, a: agreements.abandon_agreement(s, u, a, "Why")),
    "read to sign": ("agreed", lambda s, u, a: agreements.require_signable(s, u, a)),
    "sign": ("agreed", lambda s, u, a: agreements.sign_agreement(s, u, a, 1)),
    "start": ("signed", lambda s, u, a: agreements.start_agreement(s, u, a)),
    "complete": ("active", lambda s, u, a: agreements.complete_agreement(s, u, a, "Why")),
    "terminate": (
        "active",
        lambda s, u, a: agreements.terminate_agreement(s, u, a, reason="Why"),
    ),
    "milestone": (
        "active",
        lambda s, u, a: agreements.finish_milestone(
            s, u, a, a.milestones[0].id, evidence="This", today=days(0)
        ),
    ),
    "indicator": (
        "active",
        lambda s, u, a: agreements.report_indicator(
            s, u, a, a.indicators[0].id, on=days(0), value=1.0, today=days(0)
        ),
    ),
}
"""What a party does: the state of the agreement in which it can be done, and how."""


class TestWhoMayAct:
    @pytest.mark.parametrize("act", ACTS)
    def test_only_the_parties_act(self, table: Table, act: str) -> None:
        state, perform = ACTS[act]
        agreement = getattr(table, state)(**FOLLOW_UP)
        status, events = agreement.status, len(table.session.scalars(select(AuditEvent)).all())
        for role, organisation in STRANGERS:
            with pytest.raises(NotAllowed):
                perform(table.session, make_person(table.session, role, organisation), agreement)
        assert agreement.status == status
        assert len(table.session.scalars(select(AuditEvent)).all()) == events

    def test_negotiations_are_read_by_parties_and_moderators_alone(self, table: Table) -> None:
        agreement = table.propose()
        table.session.flush()

        def reads(user: User | None) -> bool:
            try:
                agreements.get_agreement(table.session, agreement.id, user)
            except NotFound:
                return False
            return True

        people = [make_person(table.session, *who) for who in STRANGERS]
        caribbean = make_person(table.session, Role.COORDINATOR, "gov-tt", subregion="caribbean")
        assert [reads(u) for u in (None, *people)] == [False, False, False, False, True, True]
        assert not reads(caribbean)
        assert reads(table.asking)
        assert reads(table.giving)
        agreements.accept_terms(table.session, table.giving, agreement, 1)
        for user in (table.asking, table.giving):
            agreements.sign_agreement(table.session, user, agreement, 1)
        assert all(reads(u) for u in (None, *people, caribbean))
        assert not table.standing(agreement, None).reads_negotiation
        assert not table.standing(agreement, people[0]).reads_negotiation
        assert table.standing(agreement, people[-1]).reads_negotiation


class TestStanding:
    def test_each_side_is_told_what_comes_next(self, table: Table) -> None:
        def steps(agreement: Agreement) -> tuple[Step, Step]:
            return (
                table.standing(agreement, table.asking).step,
                table.standing(agreement, table.giving).step,
            )

        session, asking, giving = table.session, table.asking, table.giving
        agreement = table.propose(**FOLLOW_UP)
        assert steps(agreement) == (Step.AWAIT_ACCEPTANCE, Step.ACCEPT)
        assert table.standing(agreement, asking).waits_for == [giving.organisation]
        agreements.accept_terms(session, giving, agreement, 1)
        assert steps(agreement) == (Step.SIGN, Step.SIGN)
        agreements.sign_agreement(session, asking, agreement, 1)
        assert steps(agreement) == (Step.AWAIT_SIGNATURE, Step.SIGN)
        assert table.standing(agreement, giving).waits_for == []
        agreements.sign_agreement(session, giving, agreement, 1)
        assert steps(agreement) == (Step.START, Step.START)
        agreements.start_agreement(session, giving, agreement)
        assert steps(agreement) == (Step.CATCH_UP, Step.CATCH_UP)
        session.flush()
        agreements.finish_milestone(
            session, asking, agreement, agreement.milestones[0].id, evidence="x", today=days(0)
        )
        assert steps(agreement) == (Step.FOLLOW, Step.FOLLOW)
        assert agreements.standing(agreement, asking, today=days(201)).step == Step.CLOSE
        agreements.complete_agreement(session, asking, agreement, "All was done.")
        assert steps(agreement) == (Step.ENDED, Step.ENDED)


class TestFinding:
    def found(self, table: Table, by: User | None, **filters: Any) -> list[Agreement]:
        table.session.flush()
        query = agreements.find_agreements(RegisterFilter(**filters), by)
        return list(table.session.scalars(query).unique())

    def test_the_register_holds_what_was_signed_and_mine_holds_all(self, table: Table) -> None:
        open_one = table.propose()
        signed = table.other_match().signed(places=1)
        assert self.found(table, None) == [signed]
        assert self.found(table, table.giving, scope="mine") == [signed, open_one]
        assert self.found(table, table.asking, scope="mine") == [open_one]
        assert self.found(table, None, scope="mine") == [signed]

    def test_moderators_find_what_is_negotiated_where_they_moderate(self, table: Table) -> None:
        andean = table.propose()
        panama = table.other_match().propose(places=1)
        secretariat = make_person(table.session, Role.SECRETARIAT)
        coordinator = make_person(table.session, Role.COORDINATOR)
        assert self.found(table, secretariat, scope="negotiations") == [panama, andean]
        assert self.found(table, coordinator, scope="negotiations") == [andean]
        assert self.found(table, table.asking, scope="negotiations") == []

    def test_filters_narrow_by_state_theme_and_country(self, table: Table) -> None:
        peru = table.active(places=1)
        panama = table.other_match().signed(places=1)
        assert self.found(table, None, statuses=("active",)) == [peru]
        assert self.found(table, None, countries=("PA",)) == [panama]
        assert self.found(table, None, countries=("PA", "PE")) == [panama, peru]
        assert self.found(table, None, themes=("sustainable_public_procurement",)) == [
            panama,
            peru,
        ]
        assert self.found(table, None, themes=("water",)) == []
        assert self.found(table, None, statuses=("proposed",)) == []


def test_every_act_leaves_an_audit_event_with_who_did_it(table: Table) -> None:
    session = table.session
    agreement = table.propose(**FOLLOW_UP)
    table.answer(agreement, table.giving, 1, places=10, **FOLLOW_UP)
    agreements.accept_terms(session, table.asking, agreement, 2)
    for user in (table.asking, table.giving):
        agreements.sign_agreement(session, user, agreement, 2)
    agreements.start_agreement(session, table.asking, agreement)
    session.flush()
    agreements.finish_milestone(
        session, table.asking, agreement, agreement.milestones[0].id, evidence="x", today=days(0)
    )
    table.measure(agreement, table.giving)
    agreements.terminate_agreement(session, table.giving, agreement, reason="Flood")
    session.flush()
    events = session.scalars(
        select(AuditEvent).where(AuditEvent.entity == "agreement").order_by(AuditEvent.id)
    ).all()
    a, g = table.asking.id, table.giving.id
    assert [(event.action.removeprefix("agreement."), event.user_id) for event in events] == [
        ("proposed", a),
        ("terms", g),
        ("accepted", a),
        ("signed", a),
        ("signed", g),
        ("started", a),
        ("milestone", a),
        ("indicator", g),
        ("terminated", g),
    ]
    assert events[1].before["places"] == 20
    assert events[1].after["places"] == 10
    assert events[-1].after["places_returned"] == 10
    assert [row.kind for row in session.scalars(select(Commitment))] == ["commit", "return"]


def test_both_sides_who_sign_at_the_same_moment_commit_the_capacity_once(
    exchange: Exchange,
) -> None:
    with exchange.writing() as session:
        table = make_table(exchange, session)
        agreement_id = table.agreed(**FOLLOW_UP).id
        signers = [table.asking.id, table.giving.id]
    together = Barrier(2)

    def sign(user_id: int) -> None:
        together.wait()
        # Whoever was overtaken is told so, looks again, and signs.
        for _ in range(2):
            try:
                with exchange.writing() as session:
                    user = session.get_one(User, user_id)
                    agreement = agreements.get_agreement(session, agreement_id, user)
                    agreements.sign_agreement(session, user, agreement, 1)
                    return
            except StaleDataError:
                continue
        raise AssertionError("overtaken twice by one signature")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(sign, signers))
    with exchange.reading() as session:
        agreement = agreements.get_agreement(session, agreement_id, None)
        assert agreement.status == AgreementStatus.SIGNED
        assert [row.places for row in agreement.commitments] == [20]
        assert len(agreement.milestones) == 1
        assert imbalances(session) == []


def test_an_agreement_is_lived_and_found_again_on_each_database(exchange: Exchange) -> None:
    with exchange.writing() as session:
        table = make_table(exchange, session)
        agreement = table.active(**FOLLOW_UP)
        table.measure(agreement, table.giving, 7.5)
        agreements.terminate_agreement(
            session,
            table.giving,
            agreement,
            reason="Flood",
            places_used=3,
            money_used=Decimal("0.01"),
        )
    filters = RegisterFilter(
        statuses=("terminated",), themes=("sustainable_public_procurement",), countries=("PE",)
    )
    with exchange.reading() as session:
        (found,) = session.scalars(agreements.find_agreements(filters, None)).unique()
        assert found.current_terms.money == Decimal(5000)
        assert found.offer.remaining_places() == 22
        assert found.offer.money_committed == Decimal("0.01")
        assert found.indicators[0].reports[0].value == 7.5
        assert imbalances(session) == []
