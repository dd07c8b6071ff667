"""The ledger: never oversold, always in balance, exact to the cent."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from models import (
    Agreement,
    AgreementParty,
    AgreementStatus,
    CapacityExceeded,
    Commitment,
    Conflict,
    InvalidInput,
    PostStatus,
    Role,
)
from models.ledger import commit, convert, give_back, imbalances
from tests.factories import (
    TODAY,
    make_agreement,
    make_currency,
    make_need,
    make_offer,
    make_organisation,
    make_user,
    people,
    sign_by_all,
)

pytestmark = pytest.mark.usefixtures("backend")

NOTHING = Decimal(0)


def end(session: Session, agreement: Agreement, places_used: int, money_used: Decimal) -> None:
    agreement.terminate(people(session, agreement)[0], "Ended early.")
    give_back(session, agreement, places_used, money_used)


# --- Committing -----------------------------------------------------------------------------


def test_last_signature_takes_places_and_money_and_covers_the_need(session: Session) -> None:
    make_currency(session, "USD")
    need = make_need(session, places_wanted=30, money_most=Decimal("9000.10"), currency="USD")
    offer = make_offer(session, places=60, money=Decimal("20000.30"), currency="USD")
    make_agreement(
        session,
        need,
        offer,
        status=AgreementStatus.SIGNED,
        places=20,
        money=Decimal("4000.20"),
        currency="USD",
    )
    assert (offer.remaining_places(), offer.remaining_money()) == (40, Decimal("16000.10"))
    assert (need.places_open(), need.money_open()) == (10, Decimal("4999.90"))
    assert offer.status == need.status == PostStatus.PARTLY_COMMITTED
    assert imbalances(session) == []


def test_negotiating_commits_nothing(session: Session) -> None:
    offer = make_offer(session, places=5)
    make_agreement(session, offer=offer, status=AgreementStatus.NEGOTIATED, places=5)
    assert offer.remaining_places() == 5
    assert session.scalar(select(func.count(Commitment.id))) == 0


def test_signing_twice_commits_capacity_once(session: Session) -> None:
    offer = make_offer(session, places=10)
    agreement = make_agreement(session, offer=offer, status=AgreementStatus.SIGNED, places=4)
    with pytest.raises(Conflict, match="already_signed"):
        sign_by_all(session, agreement)
    with pytest.raises(Conflict, match="already_signed"):
        commit(session, agreement)
    assert offer.places_committed == 4


def test_asking_for_more_than_is_left_says_what_is_left(session: Session) -> None:
    make_currency(session, "EUR")
    offer = make_offer(session, places=10, money=Decimal("100.00"), currency="EUR")
    make_agreement(session, offer=offer, status=AgreementStatus.SIGNED, places=8)
    agreement = make_agreement(session, offer=offer, places=3, money=Decimal(5), currency="EUR")
    with pytest.raises(CapacityExceeded) as raised:
        sign_by_all(session, agreement)
    assert raised.value.code == "capacity_exceeded"
    assert raised.value.params["places_asked"] == 3
    assert raised.value.params["places_left"] == 2
    assert raised.value.params["money_left"] == Decimal("100.00")
    assert offer.places_committed == 8


def test_money_that_is_not_left_takes_no_places_either(session: Session) -> None:
    make_currency(session, "EUR")
    offer = make_offer(session, places=10, money=Decimal("99.99"), currency="EUR")
    agreement = make_agreement(session, offer=offer, places=1, money=Decimal(100), currency="EUR")
    with pytest.raises(CapacityExceeded):
        sign_by_all(session, agreement)
    assert (offer.places_committed, offer.money_committed) == (0, NOTHING)
    assert imbalances(session) == []


def test_exhausted_offer_says_that_nothing_is_left(session: Session) -> None:
    offer = make_offer(session, places=1)
    make_agreement(session, offer=offer, status=AgreementStatus.SIGNED, places=1)
    assert offer.status == PostStatus.EXHAUSTED
    late = make_agreement(session, offer=offer, places=1)
    with pytest.raises(CapacityExceeded) as raised:
        sign_by_all(session, late)
    assert raised.value.code == "capacity_exceeded"
    assert raised.value.params["places_left"] == 0


@pytest.mark.parametrize("status", [PostStatus.WITHDRAWN, PostStatus.EXPIRED])
def test_offer_that_has_left_the_exchange_commits_nothing(
    session: Session, status: PostStatus
) -> None:
    offer = make_offer(session, places=9)
    agreement = make_agreement(session, offer=offer, places=1)
    offer.move_to(status)
    with pytest.raises(CapacityExceeded) as raised:
        sign_by_all(session, agreement)
    assert raised.value.code == "offer_not_live"
    assert offer.places_committed == 0


@pytest.mark.parametrize("status", [PostStatus.WITHDRAWN, PostStatus.EXPIRED])
def test_need_that_has_left_the_exchange_is_not_covered(
    session: Session, status: PostStatus
) -> None:
    need, offer = make_need(session, places_wanted=5), make_offer(session, places=9)
    agreement = make_agreement(session, need, offer, places=1)
    need.move_to(status)
    with pytest.raises(Conflict, match="need_not_live"):
        sign_by_all(session, agreement)
    assert (offer.places_committed, need.places_covered) == (0, 0)


def test_offer_without_limits_commits_any_number_and_stays_on_the_exchange(
    session: Session,
) -> None:
    offer = make_offer(session)
    make_agreement(session, offer=offer, status=AgreementStatus.SIGNED, places=10_000)
    assert offer.places_committed == 10_000
    assert offer.remaining_places() is None
    assert offer.status == PostStatus.PARTLY_COMMITTED


def test_database_itself_refuses_to_oversell(session: Session) -> None:
    offer = make_offer(session, places=3)
    with pytest.raises(Exception, match="ck_offer_places_not_oversold"), session.begin_nested():
        session.execute(
            text("UPDATE offer SET places_committed = 4 WHERE id = :id"), {"id": offer.id}
        )


# --- Statuses follow balances ----------------------------------------------------------------


def test_need_is_fulfilled_when_places_and_money_are_covered(session: Session) -> None:
    make_currency(session, "USD")
    need = make_need(session, places_wanted=10, money_most=Decimal(500), currency="USD")
    make_agreement(session, need, status=AgreementStatus.SIGNED, places=10)
    assert need.status == PostStatus.PARTLY_COMMITTED
    make_agreement(session, need, status=AgreementStatus.SIGNED, money=Decimal(500), currency="USD")
    assert need.status == PostStatus.FULFILLED


def test_termination_brings_exhausted_offer_and_fulfilled_need_back(session: Session) -> None:
    need, offer = make_need(session, places_wanted=10), make_offer(session, places=10)
    agreement = make_agreement(session, need, offer, status=AgreementStatus.SIGNED, places=10)
    assert (need.status, offer.status) == (PostStatus.FULFILLED, PostStatus.EXHAUSTED)
    end(session, agreement, 4, NOTHING)
    assert need.status == offer.status == PostStatus.PARTLY_COMMITTED
    assert (need.places_open(), offer.remaining_places()) == (6, 6)


def test_nothing_used_leaves_both_posts_as_published(session: Session) -> None:
    need, offer = make_need(session, places_wanted=10), make_offer(session, places=10)
    agreement = make_agreement(session, need, offer, status=AgreementStatus.SIGNED, places=10)
    end(session, agreement, 0, NOTHING)
    assert need.status == offer.status == PostStatus.PUBLISHED
    assert imbalances(session) == []


def test_termination_does_not_bring_a_withdrawn_offer_back(session: Session) -> None:
    offer = make_offer(session, places=10)
    agreement = make_agreement(session, offer=offer, status=AgreementStatus.SIGNED, places=5)
    offer.move_to(PostStatus.WITHDRAWN)
    end(session, agreement, 0, NOTHING)
    assert offer.status == PostStatus.WITHDRAWN
    assert offer.remaining_places() == 10


# --- Giving back -----------------------------------------------------------------------------


@pytest.mark.parametrize(("places_used", "money_used"), [(6, "0"), (0, "10.01"), (-1, "0")])
def test_no_more_can_have_been_used_than_was_committed(
    session: Session, places_used: int, money_used: str
) -> None:
    make_currency(session, "USD")
    agreement = make_agreement(
        session, status=AgreementStatus.SIGNED, places=5, money=Decimal(10), currency="USD"
    )
    with pytest.raises(InvalidInput) as raised:
        give_back(session, agreement, places_used, Decimal(money_used))
    assert len(raised.value.fields) == 1
    assert imbalances(session) == []


def test_what_was_given_back_cannot_be_given_back_again(session: Session) -> None:
    offer = make_offer(session, places=10)
    agreement = make_agreement(session, offer=offer, status=AgreementStatus.SIGNED, places=5)
    give_back(session, agreement, 3, NOTHING)
    give_back(session, agreement, 3, NOTHING)
    assert offer.places_committed == 3
    with pytest.raises(InvalidInput):
        give_back(session, agreement, 4, NOTHING)
    assert imbalances(session) == []


# --- Money and currencies --------------------------------------------------------------------


def test_need_in_another_currency_is_covered_at_a_stated_rate(session: Session) -> None:
    make_currency(session, "EUR", rate_date=date(2026, 2, 1), rate_source="rates of February")
    make_currency(session, "PEN", rate_date=date(2026, 1, 1), rate_source="rates of January")
    need = make_need(session, money_most=Decimal(10_000), currency="PEN")
    offer = make_offer(session, money=Decimal(50_000), currency="EUR")
    agreement = make_agreement(
        session, need, offer, status=AgreementStatus.SIGNED, money=Decimal(1000), currency="EUR"
    )
    [row] = agreement.commitments
    assert (row.money, row.currency) == (Decimal(1000), "EUR")
    assert (row.need_money, row.need_currency) == (Decimal("4074.07"), "PEN")
    assert row.rate == pytest.approx(1.1 / 0.27)
    assert row.rate_date == date(2026, 1, 1), "as old as the older of the two rates"
    assert row.rate_source == "rates of February; rates of January"
    assert need.money_open() == Decimal("5925.93")


def test_return_uncovers_at_the_rate_of_the_commitment(session: Session) -> None:
    euro, _sol = make_currency(session, "EUR"), make_currency(session, "PEN")
    need = make_need(session, money_most=Decimal(10_000), currency="PEN")
    offer = make_offer(session, money=Decimal(50_000), currency="EUR")
    agreement = make_agreement(
        session, need, offer, status=AgreementStatus.SIGNED, money=Decimal(1000), currency="EUR"
    )
    euro.usd_rate = 2.5
    end(session, agreement, 0, Decimal(0))
    assert need.money_covered == NOTHING
    assert need.status == PostStatus.PUBLISHED
    assert imbalances(session) == []


def test_terms_in_another_currency_than_the_offer_commit_nothing(session: Session) -> None:
    make_currency(session, "EUR")
    make_currency(session, "USD")
    offer = make_offer(session, money=Decimal(500), currency="EUR")
    agreement = make_agreement(session, offer=offer, money=Decimal(5), currency="USD")
    with pytest.raises(InvalidInput) as raised:
        sign_by_all(session, agreement)
    assert raised.value.fields == {"currency": [("currency_of_offer", {"currency": "EUR"})]}
    assert offer.money_committed == NOTHING


def test_posts_without_a_currency_take_that_of_the_first_money_and_never_mix(
    session: Session,
) -> None:
    for code in ("EUR", "USD"):
        make_currency(session, code)
    need = make_need(session, support=("capacity_building", "finance"))
    offer = make_offer(session)
    make_agreement(
        session, need, offer, status=AgreementStatus.SIGNED, money=Decimal(100), currency="EUR"
    )
    assert (offer.currency, need.currency) == ("EUR", "EUR")
    other = make_agreement(session, offer=offer, money=Decimal(100), currency="USD")
    with pytest.raises(InvalidInput):
        sign_by_all(session, other)
    make_agreement(session, need, status=AgreementStatus.SIGNED, money=Decimal(100), currency="USD")
    assert need.money_covered == Decimal("190.91")
    assert imbalances(session) == []


def test_money_in_an_unknown_currency_is_refused(session: Session) -> None:
    make_currency(session, "USD")
    with pytest.raises(InvalidInput) as raised:
        convert(session, Decimal(5), "XXX", "USD")
    assert raised.value.fields == {"currency": [("unknown_code", {"code": "XXX"})]}


# --- What a need still asks for --------------------------------------------------------------


def test_terms_that_give_more_than_the_need_asks_are_signed_only_if_they_say_so(
    session: Session,
) -> None:
    make_currency(session, "USD")
    need = make_need(session, places_wanted=10, money_most=Decimal(100), currency="USD")
    for terms in ({"places": 11}, {"money": Decimal("100.01"), "currency": "USD"}):
        agreement = make_agreement(session, need, **terms)
        with pytest.raises(Conflict) as raised:
            sign_by_all(session, agreement)
        assert raised.value.code == "more_than_need_asks"
        session.expire_all()
    make_agreement(session, need, status=AgreementStatus.SIGNED, places=11, beyond_need=True)
    assert (need.places_covered, need.places_open()) == (11, 0)
    assert imbalances(session) == []


def test_converted_amount_may_exceed_what_is_asked_by_its_rounding_alone(session: Session) -> None:
    make_currency(session, "USD")
    make_currency(session, "EUR")
    need = make_need(session, support=("finance",), money_most=Decimal("110"), currency="USD")
    make_agreement(
        session, need, status=AgreementStatus.SIGNED, money=Decimal("100.30"), currency="EUR"
    )
    assert need.status == PostStatus.FULFILLED


def test_kind_that_an_agreement_gives_is_covered_until_the_agreement_ends_early(
    session: Session,
) -> None:
    kinds = ("capacity_building", "technical_support")
    need = make_need(session, support=kinds, places_wanted=10)
    offer = make_offer(session, support=kinds)
    mission = make_agreement(
        session, need, offer, status=AgreementStatus.SIGNED, support_kinds=["technical_support"]
    )
    assert need.kinds_covered == ["technical_support"]
    assert need.kinds_open() == ["capacity_building"]
    assert need.status == PostStatus.PARTLY_COMMITTED
    # Places are counted: six of ten leave the kind open, the other four close the need.
    for places, status in ((6, PostStatus.PARTLY_COMMITTED), (4, PostStatus.FULFILLED)):
        make_agreement(
            session, need, status=AgreementStatus.SIGNED,
            support_kinds=["capacity_building"], places=places,
        )  # fmt: skip
        assert need.status == status
    end(session, mission, 0, NOTHING)
    assert need.kinds_open() == ["technical_support"]
    assert need.status == PostStatus.PARTLY_COMMITTED


@pytest.mark.parametrize(
    ("support", "numbers", "covered", "open_kinds"),
    [
        (("finance",), {}, [], ["finance"]),
        (("finance",), {}, ["finance"], []),
        (("finance",), {"money_most": Decimal(5)}, ["finance"], ["finance"]),
        (("finance", "technical_support"), {"places_wanted": 3}, ["technical_support"],
         ["finance", "technical_support"]),
        (("capacity_building", "technical_support"), {"places_wanted": 3}, ["technical_support"],
         ["capacity_building"]),
        (("capacity_building",), {"places_wanted": 3, "places_covered": 3}, [], []),
        (("technical_support",), {"money_most": Decimal(5)}, ["technical_support"],
         ["technical_support"]),
    ],
)  # fmt: skip
def test_kind_is_open_while_its_number_is_or_until_an_agreement_gives_it(
    session: Session,
    support: tuple[str, ...],
    numbers: dict[str, Any],
    covered: list[str],
    open_kinds: list[str],
) -> None:
    need = make_need(session, support=support, kinds_covered=covered, **numbers)
    assert need.kinds_open() == open_kinds


# --- Donors and partners who pay -------------------------------------------------------------


def add_donor(session: Session, agreement: Agreement, **gift: Any) -> AgreementParty:
    """A donor beside the two sides; everybody accepts anew."""
    organisation = make_organisation(session, "other_donor", "ES")
    donor = agreement.add_party(
        people(session, agreement)[0], organisation, "donor", "Pays.", **gift
    )
    session.flush()
    for person in people(session, agreement):
        agreement.accept_terms(person, agreement.current_terms.number)
    return donor


def test_donor_pays_from_its_own_offer_in_the_same_transaction(session: Session) -> None:
    for code in ("EUR", "USD"):
        make_currency(session, code)
    need = make_need(
        session, support=("capacity_building", "finance"),
        places_wanted=20, money_most=Decimal(5000), currency="USD",
    )  # fmt: skip
    purse = make_offer(session, support=("finance",), money=Decimal(1000), currency="EUR")
    agreement = make_agreement(session, need, make_offer(session, places=20), places=20)
    donor = add_donor(session, agreement, money=Decimal(600), currency="EUR", offer=purse)
    sign_by_all(session, agreement)
    assert purse.remaining_money() == Decimal(400)
    assert need.places_open() == 0
    own, paid = agreement.commitments
    assert (own.places, own.party) == (20, None)
    assert (paid.offer, paid.party, paid.money, paid.currency) == (purse, donor, 600, "EUR")
    assert (paid.need_money, paid.need_currency) == (need.money_covered, "USD")
    assert paid.rate
    assert imbalances(session) == []
    agreement.terminate(people(session, agreement)[0], "Ended early.")
    give_back(session, agreement, 5, NOTHING, {donor.id: Decimal(150)})
    assert purse.money_committed == Decimal(150)
    assert need.places_covered == 5
    assert imbalances(session) == []


def test_donor_whose_offer_has_too_little_left_stops_the_signature(session: Session) -> None:
    make_currency(session, "USD")
    purse = make_offer(session, support=("finance",), money=Decimal(100), currency="USD")
    offer = make_offer(session, places=20)
    agreement = make_agreement(session, offer=offer, places=20)
    add_donor(session, agreement, money=Decimal(101), currency="USD", offer=purse)
    with pytest.raises(CapacityExceeded) as raised, session.begin_nested():
        sign_by_all(session, agreement)
    assert raised.value.params["reference"] == purse.reference
    session.expire_all()
    assert (offer.places_committed, purse.money_committed) == (0, 0)
    assert session.scalar(select(func.count()).select_from(Commitment)) == 0


def test_donor_without_an_offer_covers_the_need_by_what_it_states(session: Session) -> None:
    make_currency(session, "USD")
    need = make_need(session, support=("finance",), money_most=Decimal(500), currency="USD")
    agreement = make_agreement(session, need, support_kinds=["finance"])
    donor = add_donor(session, agreement, money=Decimal(300), currency="USD")
    sign_by_all(session, agreement)
    assert need.money_open() == Decimal(200)
    assert [row.offer for row in agreement.commitments] == [agreement.offer, None]
    assert imbalances(session) == []
    agreement.terminate(people(session, agreement)[0], "Ended early.")
    with pytest.raises(InvalidInput) as raised:
        give_back(session, agreement, 0, NOTHING, {donor.id: Decimal(301)})
    assert set(raised.value.fields) == {"contributions_used"}
    give_back(session, agreement, 0, NOTHING, {donor.id: Decimal(300)})
    assert need.money_open() == Decimal(200)


# --- The check -------------------------------------------------------------------------------


def test_check_finds_a_balance_that_was_changed_past_the_ledger(session: Session) -> None:
    offer = make_offer(session, places=10)
    make_agreement(session, offer=offer, status=AgreementStatus.SIGNED, places=4)
    session.execute(text("UPDATE offer SET places_committed = 3"))
    [found] = imbalances(session)
    assert found["reference"] == offer.reference
    assert (found["places"], found["places_in_ledger"]) == (3, 4)


def test_check_finds_a_currency_that_was_changed_after_the_commitment(session: Session) -> None:
    make_currency(session, "USD")
    offer = make_offer(session, money=Decimal(100), currency="USD")
    make_agreement(
        session, offer=offer, status=AgreementStatus.SIGNED, money=Decimal(10), currency="USD"
    )
    offer.currency = "EUR"
    session.flush()
    [found] = imbalances(session)
    assert (found["currency"], found["currency_in_ledger"]) == ("EUR", "USD")


@pytest.mark.parametrize("change", ["UPDATE commitment SET places = 1", "DELETE FROM commitment"])
def test_rows_of_the_ledger_are_never_changed_or_deleted(session: Session, change: str) -> None:
    make_agreement(session, status=AgreementStatus.SIGNED, places=4)
    with pytest.raises(Exception, match="commitment is final"), session.begin_nested():
        session.execute(text(change))


# --- Any order of events ---------------------------------------------------------------------


class LedgerLife(RuleBasedStateMachine):
    """Two needs and two offers, and agreements that are signed and ended in any order."""

    fresh_session: Callable[[], AbstractContextManager[Session]]
    signed: Bundle[Agreement] = Bundle("signed")

    def __init__(self) -> None:
        super().__init__()
        self.opened = type(self).fresh_session()
        self.session = self.opened.__enter__()
        for code in ("USD", "CLP"):
            make_currency(self.session, code)
        self.needs = [
            make_need(self.session, places_wanted=12, money_most=Decimal(300), currency="USD"),
            make_need(self.session, money_most=Decimal(900_000), currency="CLP"),
        ]
        self.offers = [
            make_offer(self.session, places=15, money=Decimal("500.55"), currency="USD"),
            make_offer(self.session, places=7),
        ]

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)

    @rule(
        target=signed,
        which=st.tuples(st.integers(0, 1), st.integers(0, 1)),
        places=st.none() | st.integers(0, 9),
        money=st.none() | st.decimals(0, 300, places=2),
        more_is_meant=st.booleans(),
    )
    def sign(
        self,
        which: tuple[int, int],
        places: int | None,
        money: Decimal | None,
        more_is_meant: bool,
    ) -> Any:
        need, offer = self.needs[which[0]], self.offers[which[1]]
        left, funds = offer.remaining_places(), offer.remaining_money()
        too_much = (left is not None and (places or 0) > left) or (
            funds is not None and (money or 0) > funds
        )
        live = need.is_live and offer.is_live
        try:
            with self.session.begin_nested():
                agreement = make_agreement(
                    self.session,
                    need,
                    offer,
                    status=AgreementStatus.SIGNED,
                    places=places,
                    money=money,
                    currency="USD",
                    beyond_need=more_is_meant,
                )
        except CapacityExceeded:
            assert too_much or not offer.is_live
            return multiple()
        except Conflict as refusal:
            beyond = refusal.code == "more_than_need_asks" and not more_is_meant
            assert beyond or not need.is_live
            return multiple()
        assert live
        assert not too_much
        return agreement

    @rule(agreement=consumes(signed), share=st.sampled_from(["0", "0.333", "0.5", "1"]))
    def end_early(self, agreement: Agreement, share: str) -> None:
        [row] = agreement.commitments
        places_used = int(row.places * Decimal(share))
        money_used = (row.money * Decimal(share)).quantize(Decimal("0.01"))
        end(self.session, agreement, places_used, money_used)
        assert sum(row.places for row in agreement.commitments) == places_used
        assert sum(row.money for row in agreement.commitments) == money_used

    @rule(which=st.integers(0, 1))
    def offer_expires_and_is_renewed(self, which: int) -> None:
        offer = self.offers[which]
        if offer.is_live:
            offer.expires_on = TODAY
            assert offer.expire(TODAY + timedelta(days=1))
            offer.renew(make_user(self.session, offer.organisation, Role.PROVIDER), TODAY)

    @invariant()
    def never_oversold(self) -> None:
        for offer in self.offers:
            assert (offer.remaining_places() or 0) >= 0
            assert (offer.remaining_money() or 0) >= 0

    @invariant()
    def counters_equal_the_sum_of_the_rows(self) -> None:
        self.session.flush()
        assert imbalances(self.session) == []

    @invariant()
    def statuses_follow_balances(self) -> None:
        for post in (*self.needs, *self.offers):
            assert post.status == post.status_by_balance()


@pytest.mark.slow
def test_no_order_of_signing_and_ending_unbalances_the_ledger(
    fresh_session: Callable[[], AbstractContextManager[Session]], backend: str
) -> None:
    opener = {"fresh_session": staticmethod(fresh_session)}
    run_state_machine_as_test(
        type("BoundLedgerLife", (LedgerLife,), opener),
        settings=settings(
            max_examples=12 if backend == "sqlite" else 5, stateful_step_count=12, deadline=None
        ),
    )
