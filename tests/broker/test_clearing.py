"""A clearing round from its opening to matches that both sides want, and pools of like needs."""

from __future__ import annotations

import json
from contextlib import contextmanager
from decimal import Decimal

import pytest
from flask_babel import force_locale
from sqlalchemy import select

from broker import clearing
from broker.agreements import begin_terms, propose_agreement, sign_agreement
from broker.clearing import (
    answer_proposal,
    change_round,
    clear_round,
    end_round,
    find_rounds,
    get_proposal,
    get_round,
    open_round,
    remove_rule,
    replay,
    seals_grant,
    send_round,
    set_rule,
    waiting_proposals,
)
from broker.clearing_money import without_sealed
from broker.jobs import do_waiting_jobs, start_job
from broker.messages import sentence
from broker.pools import answer_pool, ask_pool, think_of_pools, waiting_pools
from broker.schemas import LARGEST_AMOUNT
from models import (
    AuditEvent,
    ClearingRound,
    Conflict,
    InvalidInput,
    Job,
    Match,
    MatchStatus,
    NotAllowed,
    NotFound,
    PoolStatus,
    PostStatus,
    ProposalStatus,
    Role,
    RoundStatus,
    User,
)
from tests.broker.factories import days, make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")

FINANCE = {"kind": "finance", "modality": "grant", "detail": "A grant"}
TRAINING = {"kind": "capacity_building", "modality": "workshop", "detail": "A workshop"}


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session
        session.rollback()


@pytest.fixture
def office(session):
    return make_person(session, Role.SECRETARIAT)


@pytest.fixture
def start(exchange, session, office):
    def begun(**settings):
        return open_round(
            session, office, {"name": "Spring", "policy": "fair", **settings}, exchange.reference
        )

    return begun


@pytest.fixture
def run(exchange, session, office):
    return lambda found: clear_round(exchange, session, office, found)


@pytest.fixture
def speak(app):
    @contextmanager
    def english():
        with app.test_request_context(), force_locale("en"):
            yield

    def words(error):
        with english():
            return sentence(error)

    return words


def who_gets(version):
    """Need → offers that it gets, by reference, with places."""
    needs, offers = version.given["needs"], version.given["offers"]
    return {
        (needs[n]["reference"], offers[o]["reference"]): places
        for n, _kind, o, places in version.result["flow"]
    }


def test_scarce_places_go_to_both_countries_and_the_price_says_where_more_would_help(
    session, start, run
):
    peru = post_need(session, "gov-pe", places_wanted=10)
    bolivia = post_need(session, "gov-bo", places_wanted=10)
    offer = post_offer(session, places=12, places_per_beneficiary=10)
    version = run(start())
    got = who_gets(version)
    assert sum(got.values()) == 12
    assert {need for need, _offer in got} == {peru.reference, bolivia.reference}
    assert version.result["prices"][0][0] == 0
    assert version.result["prices"][0][1] > 0
    assert version.given["offers"][0]["reference"] == offer.reference
    policies = {row["policy"]: row for row in version.result["policies"]}
    assert policies["total"]["given_up"] == 0
    assert policies["fair"]["worst"] >= policies["total"]["worst"]


def test_version_is_replayed_to_the_same_result_after_the_exchange_has_changed(session, start, run):
    post_need(session, places_wanted=5)
    offer = post_offer(session, places=3)
    version = run(start())
    offer.status = PostStatus.WITHDRAWN
    session.flush()
    assert replay(version)


def test_a_changed_round_makes_a_new_version_and_keeps_the_old(
    exchange, session, office, start, run
):
    post_need(session, places_wanted=5)
    post_offer(session, places=3)
    found = start()
    first = run(found)
    change_round(session, office, found, {"name": "Autumn", "policy": "total"}, exchange.reference)
    second = run(found)
    assert [version.number for version in found.versions] == [1, 2]
    assert first.given["policy"] == "fair"
    assert second.given["policy"] == "total"


def test_need_says_why_it_is_left_out(exchange, session, office, start, run):
    taken = post_need(session, "gov-pe", places_wanted=4)
    favoured = post_need(session, "gov-bo", places_wanted=4)
    lonely = post_need(
        session, "gov-ec", support=[FINANCE], themes=["chemicals_mercury"], title="Mercury"
    )
    ruled_out = post_need(session, "gov-cl", places_wanted=4)
    offer = post_offer(session, places=4, places_per_beneficiary=4)
    found = start(policy="total")
    rules = (("forced", favoured, "Promised."), ("forbidden", ruled_out, "They wish it so."))
    for kind, need, why in rules:
        data = {"kind": kind, "need": need.reference, "offer": offer.reference, "reason": why}
        set_rule(session, office, found, data, exchange.reference)
    version = run(found)
    needs = version.given["needs"]
    reasons = {needs[n]["reference"]: why for n, why, _offers in version.result["left_out"]}
    served = {need for need, _offer in who_gets(version)}
    assert favoured.reference in served
    assert reasons[lonely.reference] == "no_match"
    assert reasons[ruled_out.reference] == "ruled_out"
    assert reasons.get(taken.reference) == "taken" or taken.reference in served


def test_floor_for_small_islands_is_kept(session, start, run):
    post_need(session, "gov-pe", places_wanted=10)
    island = post_need(session, "gov-lc", places_wanted=4)
    post_offer(session, places=10, places_per_beneficiary=10)
    got = who_gets(run(start(policy="total", small_island="4")))
    assert sum(places for (need, _), places in got.items() if need == island.reference) == 4


def test_floor_that_nobody_can_keep_is_named(session, start, run, speak):
    island = post_need(session, "gov-lc", places_wanted=4)
    post_offer(session, places=10)
    with pytest.raises(Conflict) as raised:
        run(start(small_island=9))
    assert island.reference in speak(raised.value)


def test_stable_clearing_refuses_floors_in_words(session, start, run, speak):
    post_need(session, "gov-lc", places_wanted=4)
    post_offer(session, places=10)
    with pytest.raises(Conflict) as raised:
        run(start(policy="stable", small_island=1))
    assert "stable clearing cannot promise floors" in speak(raised.value)


def test_forced_pairs_that_cannot_hold_together_are_named(
    exchange, session, office, start, run, speak
):
    needs = [post_need(session, code, places_wanted=4) for code in ("gov-pe", "gov-bo")]
    offer = post_offer(session, places=1)
    found = start()
    for need in needs:
        data = {"kind": "forced", "need": need.reference, "offer": offer.reference, "reason": "x"}
        set_rule(session, office, found, data, exchange.reference)
    with pytest.raises(Conflict) as raised:
        run(found)
    words = speak(raised.value)
    for need in needs:
        assert f"{need.reference} ← {offer.reference}" in words
    assert found.versions == []


def test_forced_pair_that_breaks_a_rule_or_has_left_is_named(
    exchange, session, office, start, run, speak
):
    need = post_need(session, support=[FINANCE])
    offer = post_offer(session)
    found = start()
    data = {"kind": "forced", "need": need.reference, "offer": offer.reference, "reason": "x"}
    set_rule(session, office, found, data, exchange.reference)
    with pytest.raises(Conflict, match="forced_pair_not_eligible") as raised:
        run(found)
    assert need.reference in speak(raised.value)
    offer.status = PostStatus.WITHDRAWN
    session.flush()
    with pytest.raises(Conflict, match="forced_pair_left"):
        run(found)
    remove_rule(session, office, found, found.rules[0].id)
    assert run(found).result["flow"] == []


def test_exchange_without_any_eligible_pair_is_cleared_to_nothing(session, start, run, office):
    found = start()
    assert run(found).result["flow"] == []
    post_need(session, support=[FINANCE])
    post_offer(session)
    version = run(found)
    assert version.result["total"] == 0
    assert [row[1] for row in version.result["left_out"]] == ["no_match"]
    with pytest.raises(Conflict, match="nothing_to_propose"):
        send_round(session, office, found)


def test_bundle_is_covered_by_several_offers_and_a_triangle_is_marked(session, start, run):
    need = post_need(session, support=[TRAINING, FINANCE], places_wanted=3)
    train = post_offer(session, "gov-cl", places=3)
    pay = post_offer(session, "caf", support=[FINANCE], places=1)
    version = run(start())
    got = who_gets(version)
    assert got[need.reference, train.reference] == 3
    assert got[need.reference, pay.reference] == 1
    assert [row[2] - row[3] for row in version.result["coverage"]] == [0, 0]
    offers = [offer["reference"] for offer in version.given["offers"]]
    assert version.result["triangles"] == [
        [0, offers.index(train.reference), offers.index(pay.reference)]
    ]


def test_scope_leaves_out_needs_of_other_subregions_and_kinds(session, start, run):
    peru = post_need(session, "gov-pe", support=[TRAINING, FINANCE])
    post_need(session, "gov-br")
    post_offer(session)
    given = run(start(subregion="andean", support_kind="capacity_building")).given
    assert [need["reference"] for need in given["needs"]] == [peru.reference]
    assert list(given["needs"][0]["wanted"]) == ["capacity_building"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"policy": "lottery"}, "policy"),
        ({"name": ""}, "name"),
        ({"small_island": "-1"}, "small_island"),
        ({"small_island": "99999999999999"}, "small_island"),
        ({"theme": "astrology"}, "theme"),
        ({"support_kind": "workshop"}, "support_kind"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_field(start, settings, field):
    with pytest.raises(InvalidInput) as raised:
        start(**settings)
    assert set(raised.value.fields) == {field}


def test_rule_for_a_post_that_is_not_on_the_exchange_is_refused(exchange, session, office, start):
    need, offer = post_need(session), post_offer(session, status=PostStatus.DRAFT)
    data = {"kind": "forced", "need": need.reference, "offer": offer.reference, "reason": "x"}
    with pytest.raises(InvalidInput) as raised:
        set_rule(session, office, start(), data, exchange.reference)
    assert set(raised.value.fields) == {"offer"}


def test_only_the_secretariat_runs_rounds(exchange, session, start, run):
    found = start()
    focal = make_person(session, Role.FOCAL_POINT)
    coordinator = make_person(session, Role.COORDINATOR)
    for somebody in (focal, coordinator):
        for attempt in (
            lambda by: open_round(session, by, {"name": "x", "policy": "fair"}, exchange.reference),
            lambda by: clear_round(exchange, session, by, found),
            lambda by: send_round(session, by, found),
            lambda by: end_round(session, by, found, RoundStatus.CANCELLED),
        ):
            with pytest.raises(NotAllowed):
                attempt(somebody)


@pytest.fixture
def sent(session, office, start, run):
    """A sent round in which Peru and Bolivia each get places of one offer."""
    needs = [post_need(session, code, places_wanted=4) for code in ("gov-pe", "gov-bo")]
    offer = post_offer(session, places=6, places_per_beneficiary=4)
    found = start()
    run(found)
    send_round(session, office, found)
    session.refresh(found)
    people = {
        "peru": make_person(session, Role.FOCAL_POINT, "gov-pe"),
        "bolivia": make_person(session, Role.FOCAL_POINT, "gov-bo"),
        "force": make_person(session, Role.TASK_FORCE),
    }
    return found, needs, offer, people


def proposal_for(found, need):
    return next(p for p in found.proposals if p.need_id == need.id)


def test_each_side_finds_its_proposals_and_nobody_elses(session, sent):
    found, (peru, _bolivia), _offer, people = sent
    assert [p.need_id for p in waiting_proposals(session, people["peru"])] == [peru.id]
    assert len(waiting_proposals(session, people["force"])) == 2
    stranger = make_person(session, Role.FOCAL_POINT, "gov-br")
    assert waiting_proposals(session, stranger) == []
    with pytest.raises(NotFound):
        get_proposal(session, found.proposals[0].id, stranger)


def test_both_sides_accept_and_sign_and_only_then_is_capacity_committed(exchange, session, sent):
    found, (peru, _bolivia), offer, people = sent
    proposal = proposal_for(found, peru)
    answer_proposal(session, people["force"], proposal, accept=True)
    assert session.scalar(select(Match)) is None
    answer_proposal(session, people["peru"], proposal, accept=True)
    match = session.scalars(select(Match)).one()
    assert match.status == MatchStatus.MUTUAL
    assert offer.places_committed == 0
    terms = {
        "title": "Training",
        "activities": "A week.",
        "starts": days(30).isoformat(),
        "ends": days(200).isoformat(),
        "places": proposal.places,
    }
    agreement = propose_agreement(
        session, people["force"], match, terms, exchange.reference, today=exchange.today()
    )
    agreement.accept_terms(people["peru"], 1)
    for person in (people["force"], people["peru"]):
        sign_agreement(session, person, agreement, 1)
    session.refresh(offer)
    assert offer.places_committed == proposal.places


def test_what_is_declined_is_cleared_again_with_the_accepted_pair_fixed(session, office, sent, run):
    found, (peru, bolivia), offer, people = sent
    kept, lost = proposal_for(found, peru), proposal_for(found, bolivia)
    for person in (people["peru"], people["force"]):
        answer_proposal(session, person, kept, accept=True)
    answer_proposal(
        session, people["bolivia"], lost, accept=False, reason="too_late", message="Next year."
    )
    chile = post_need(session, "gov-cl", places_wanted=2)
    session.flush()
    got = who_gets(run(found))
    assert got[peru.reference, offer.reference] == kept.places
    assert (bolivia.reference, offer.reference) not in got
    made = send_round(session, office, found)
    assert [proposal.need_id for proposal in made] == [chile.id]
    assert made[0].number == 2
    with pytest.raises(Conflict, match="nothing_to_propose"):
        send_round(session, office, found)


def test_required_pair_that_a_side_declines_is_no_longer_required(
    exchange, session, office, start, run
):
    need, offer = post_need(session), post_offer(session)
    found = start()
    data = {"kind": "forced", "need": need.reference, "offer": offer.reference, "reason": "x"}
    set_rule(session, office, found, data, exchange.reference)
    run(found)
    send_round(session, office, found)
    session.refresh(found)
    focal = make_person(session, Role.FOCAL_POINT)
    answer_proposal(session, focal, found.proposals[0], accept=False, reason="other")
    assert run(found).result["flow"] == []


def test_signed_pair_is_not_counted_twice_when_the_round_is_cleared_again(
    exchange, session, office, sent, run
):
    found, (peru, _bolivia), offer, _people = sent
    test_both_sides_accept_and_sign_and_only_then_is_capacity_committed(exchange, session, sent)
    got = who_gets(run(found))
    assert (peru.reference, offer.reference) not in got
    assert sum(got.values()) <= offer.remaining_places()


def test_sent_round_narrowed_to_another_kind_leaves_its_proposals_alone(
    exchange, session, office, sent, run
):
    found, _needs, offer, _people = sent
    post_need(session, "gov-cl", support=[FINANCE])
    payer = post_offer(session, "caf", support=[FINANCE])
    data = {"name": "Spring", "policy": "fair", "support_kind": "finance"}
    change_round(session, office, found, data, exchange.reference)
    got = who_gets(run(found))
    assert {offers for _need, offers in got} == {payer.reference}
    assert {str(proposal.status) for proposal in found.proposals} == {"waiting"}
    assert offer.is_live


def test_offer_withdrawn_during_a_round_lapses_its_proposals(session, sent, run, speak):
    found, (peru, _bolivia), offer, people = sent
    offer.status = PostStatus.WITHDRAWN
    session.flush()
    with pytest.raises(Conflict) as raised:
        answer_proposal(session, people["peru"], proposal_for(found, peru), accept=True)
    assert offer.reference in speak(raised.value)
    version = run(found)
    assert version.result["flow"] == []
    assert {proposal.status for proposal in found.proposals} == {ProposalStatus.LAPSED}


def test_round_with_a_post_withdrawn_since_it_was_cleared_is_not_sent(
    session, office, start, run, speak
):
    post_need(session, places_wanted=2)
    offer = post_offer(session, places=2)
    found = start()
    run(found)
    offer.status = PostStatus.WITHDRAWN
    session.flush()
    with pytest.raises(Conflict, match="round_out_of_date") as raised:
        send_round(session, office, found)
    assert offer.reference in speak(raised.value)


def test_cancelled_round_takes_back_what_waits_and_leaves_what_is_accepted(session, office, sent):
    found, (peru, _bolivia), _offer, people = sent
    kept = proposal_for(found, peru)
    for person in (people["peru"], people["force"]):
        answer_proposal(session, person, kept, accept=True)
    end_round(session, office, found, RoundStatus.CANCELLED)
    assert sorted(str(p.status) for p in found.proposals) == ["accepted", "lapsed"]
    assert session.scalars(select(Match)).one().status == MatchStatus.MUTUAL


def test_every_step_of_a_round_leaves_its_event(session, office, sent):
    found, (peru, _bolivia), _offer, people = sent
    for person in (people["peru"], people["force"]):
        answer_proposal(session, person, proposal_for(found, peru), accept=True)
    end_round(session, office, found, RoundStatus.CLOSED)
    actions = set(session.scalars(select(AuditEvent.action)))
    assert actions >= {
        "round.opened", "round.cleared", "round.sent", "round.closed",
        "proposal.accepted", "match.joined",
    }  # fmt: skip


def grants(version):
    """(Need, offer) → amount in the offer's currency, and in the need's, by reference."""
    needs, offers = version.given["needs"], version.given["offers"]
    return {
        (needs[n]["reference"], offers[o]["reference"]): (
            f"{row[1]} {row[2]}",
            f"{row[3]} {row[4]}",
        )
        for n, o, *row in version.result["money"]["grants"]
    }


@pytest.fixture
def purse(session):
    """A budget in euros that two countries want more of than it has."""
    needs = [
        post_need(session, code, support=[FINANCE], money_most=most, currency=currency, **more)
        for code, most, currency, more in (
            ("gov-pe", 60_000, "EUR", {"money_least": 30_000}),
            ("gov-bo", 50_000, "USD", {}),
        )
    ]
    offer = post_offer(
        session, "caf", support=[FINANCE], money=80_000, currency="EUR", grant_least=5_000
    )
    return needs, offer


def test_money_is_divided_in_useful_grants_within_the_budget(session, exchange, start, run, purse):
    (peru, bolivia), offer = purse
    version = run(start())
    got = grants(version)
    assert set(got) == {(need.reference, offer.reference) for need in (peru, bolivia)}
    amounts = [Decimal(given.split()[0]) for given, _counted in got.values()]
    assert Decimal(79_990) <= sum(amounts) <= Decimal(80_000)
    assert min(amounts) >= 5_000
    assert got[peru.reference, offer.reference][0].endswith("EUR")
    # What Peru asks for is in euros too; for Bolivia it is converted, at a rate that is stated.
    given, counted = got[bolivia.reference, offer.reference]
    rates = {c: exchange.reference.currencies[c].usd_rate for c in ("EUR", "USD")}
    expected = Decimal(given.split()[0]) * Decimal(str(rates["EUR"] / rates["USD"]))
    assert abs(Decimal(counted.split()[0]) - expected) <= Decimal("0.01")
    assert counted.endswith("USD")
    row = next(r for r in version.result["money"]["grants"] if r[6] == "USD")
    assert row[7] == rates["EUR"] / rates["USD"]
    assert row[8]
    assert row[9]
    # One thousand more would go to somebody: the budget has a price, and the needs are served.
    ((_offer, price),) = version.result["money"]["prices"]
    assert 0 < price <= 100
    assert version.result["left_out"] == []
    assert replay(version)


def test_need_that_gets_all_is_granted_exactly_what_it_asks_for(session, start, run):
    need = post_need(session, support=[FINANCE], money_most=Decimal("12345.67"), currency="EUR")
    offer = post_offer(session, "caf", support=[FINANCE], money=80_000, currency="EUR")
    version = run(start(policy="total"))
    assert grants(version) == {(need.reference, offer.reference): ("12345.67 EUR", "12345.67 EUR")}
    assert version.result["money"]["prices"] == []


def test_money_under_total_and_fair_stands_side_by_side(start, run, purse):
    rows = {row["policy"]: row for row in run(start()).result["money"]["policies"]}
    assert rows["total"]["given_up"] == 0
    assert rows["fair"]["worst"] >= rows["total"]["worst"] - 1e-6
    assert rows["fair"]["given_up"] >= 0


def test_grant_that_would_be_too_small_is_not_made(session, start, run):
    need = post_need(
        session, support=[FINANCE], money_least=9_000, money_most=10_000, currency="USD"
    )
    post_offer(session, "caf", support=[FINANCE], money=8_000, currency="USD")
    version = run(start())
    assert version.result["money"]["grants"] == []
    assert version.result["money"]["open"] == [[0, 10_000, 0]]
    assert [row[0] for row in version.result["left_out"]] == [0]
    assert need.money_covered == 0


def test_need_that_states_no_amount_is_proposed_a_grant_without_one(session, start, run):
    need = post_need(session, support=[FINANCE])
    offer = post_offer(session, "caf", support=[FINANCE], money=8_000, currency="USD")
    version = run(start())
    assert who_gets(version) == {(need.reference, offer.reference): 1}
    assert "money" not in version.result


def test_offer_without_a_budget_pays_in_the_currency_of_the_need(session, start, run):
    need = post_need(session, support=[FINANCE], money_most=7_000, currency="PEN")
    offer = post_offer(session, "caf", support=[FINANCE])
    assert grants(run(start())) == {
        (need.reference, offer.reference): ("7000.00 PEN", "7000.00 PEN")
    }


def test_largest_amounts_that_a_form_takes_are_cleared_to_the_cent(session, start, run):
    for code in ("gov-pe", "gov-bo"):
        post_need(session, code, support=[FINANCE], money_most=LARGEST_AMOUNT, currency="USD")
    offer = post_offer(session, "caf", support=[FINANCE], money=LARGEST_AMOUNT, currency="USD")
    version = run(start())
    given = [Decimal(amount.split()[0]) for amount, _counted in grants(version).values()]
    assert sum(given) <= LARGEST_AMOUNT
    assert sum(given) >= LARGEST_AMOUNT - 2
    assert offer.money_committed == 0
    assert replay(version)


def test_triangle_with_money_is_a_region_s_trainer_and_a_donor_who_pays(session, start, run):
    need = post_need(
        session, support=[TRAINING, FINANCE], places_wanted=3, money_most=900, currency="USD"
    )
    train = post_offer(session, "gov-cl", places=3, places_per_beneficiary=3)
    pay = post_offer(session, "caf", support=[FINANCE], money=900, currency="USD")
    version = run(start())
    assert who_gets(version) == {(need.reference, train.reference): 3}
    assert grants(version)[need.reference, pay.reference][0] == "900.00 USD"
    offers = [offer["reference"] for offer in version.given["offers"]]
    assert version.result["triangles"] == [
        [0, offers.index(train.reference), offers.index(pay.reference)]
    ]


def test_required_pair_of_money_gets_its_grant(exchange, session, office, start, run, purse):
    _needs, offer = purse
    small = post_need(session, "gov-ec", support=[FINANCE], money_most=6_000, currency="EUR",
                      themes=["chemicals_mercury"])  # fmt: skip
    found = start(policy="total")
    data = {"kind": "forced", "need": small.reference, "offer": offer.reference, "reason": "x"}
    set_rule(session, office, found, data, exchange.reference)
    got = grants(run(found))
    assert Decimal(got[small.reference, offer.reference][0].split()[0]) >= 5_000


def test_money_is_proposed_accepted_kept_on_clearing_again_and_drafted_as_terms(
    exchange, session, office, start, run, purse
):
    (peru, bolivia), offer = purse
    found = start()
    run(found)
    send_round(session, office, found)
    session.refresh(found)
    kept, lost = proposal_for(found, peru), proposal_for(found, bolivia)
    assert kept.places == 0
    assert kept.currency == "EUR"
    assert (lost.need_currency, lost.rate is not None) == ("USD", True)
    focal = make_person(session, Role.FOCAL_POINT, "gov-pe")
    bank = make_person(session, Role.PROVIDER, "caf")
    for person in (focal, bank):
        answer_proposal(session, person, kept, accept=True)
    rival = make_person(session, Role.FOCAL_POINT, "gov-bo")
    answer_proposal(session, rival, lost, accept=False, reason="other")
    chile = post_need(session, "gov-cl", support=[FINANCE], money_most=90_000, currency="EUR")
    version = run(found)
    got = grants(version)
    assert got[peru.reference, offer.reference][0] == f"{kept.money} EUR"
    assert (bolivia.reference, offer.reference) not in got
    left = 80_000 - kept.money
    assert left - 2 <= Decimal(got[chile.reference, offer.reference][0].split()[0]) <= left
    match = session.scalars(select(Match)).one()
    draft = begin_terms(
        session, bank, match, exchange.reference, language="en", today=exchange.today()
    )
    assert (Decimal(draft["money"]), draft["currency"]) == (kept.money, "EUR")
    # The budget shrinks below what was promised: the round says so, and which pair it is.
    offer.money = kept.money - 1
    session.flush()
    with pytest.raises(Conflict, match="clearing_fixed_above_limit") as raised:
        run(found)
    assert raised.value.params["pairs"] == [f"{peru.reference} ← {offer.reference}"]


def test_sealed_amounts_are_told_to_nobody_else(session, office, start, run):
    need = post_need(
        session, support=[FINANCE], money_most=7_000, currency="USD", money_sealed=True
    )
    post_offer(session, "caf", support=[FINANCE], money=9_000, currency="USD")
    found = start()
    version = run(found)
    assert [row["granted"] for row in version.result["money"]["policies"]] == [0, 0]
    assert [row["total"] for row in version.result["money"]["policies"]] == [None, None]
    given, result = without_sealed(version.given, version.result)
    assert "7000" not in json.dumps([given, result])
    assert "7000" in json.dumps(version.given)
    send_round(session, office, found)
    session.refresh(found)
    focal = make_person(session, Role.FOCAL_POINT)
    told = [not seals_grant(found.proposals[0], who) for who in (focal, office)]
    assert told == [True, False]
    assert need.money_sealed


def test_offer_for_groups_serves_a_need_that_is_large_enough_alone(session, start, run):
    small = post_need(session, "gov-pe", places_wanted=9)
    unstated = post_need(session, "gov-bo")
    large = post_need(session, "gov-ec", places_wanted=12)
    offer = post_offer(session, places=30, places_least=10)
    version = run(start())
    assert who_gets(version) == {(large.reference, offer.reference): 12}
    reasons = {
        version.given["needs"][n]["reference"]: why for n, why, _o in version.result["left_out"]
    }
    assert reasons == {small.reference: "no_match", unstated.reference: "too_small"}


def test_group_that_places_no_longer_suffice_for_is_not_served_in_part(session, start, run):
    needs = [post_need(session, c, places_wanted=12) for c in ("gov-pe", "gov-bo")]
    offer = post_offer(session, places=20, places_least=10)
    got = who_gets(run(start(policy="total")))
    assert list(got.values()) == [12]
    assert {o for _n, o in got} == {offer.reference}
    assert {n for n, _o in got} < {need.reference for need in needs}


def test_large_round_is_cleared_in_the_background(exchange, monkeypatch):
    monkeypatch.setattr(clearing, "LARGE", 1)
    with exchange.writing() as session:
        office = make_person(session, Role.SECRETARIAT)
        post_need(session, places_wanted=5)
        post_offer(session, places=3)
        data = {"name": "Spring", "policy": "fair"}
        found = open_round(session, office, data, exchange.reference)
        session.flush()
        assert clearing.is_large(session)
        started = start_job(session, office, "clear_round", round_id=found.id, by_id=office.id)
    assert do_waiting_jobs(exchange) == 1
    with exchange.reading() as session:
        done = session.get_one(Job, started.id)
        assert (str(done.status), done.result["version"]) == ("done", 1)
        version = session.get_one(ClearingRound, found.id).latest
        assert sum(who_gets(version).values()) == 3
        assert replay(version)


def test_round_that_was_ended_meanwhile_is_not_cleared_in_the_background(exchange):
    with exchange.writing() as session:
        office = make_person(session, Role.SECRETARIAT)
        data = {"name": "Spring", "policy": "fair"}
        found = open_round(session, office, data, exchange.reference)
        session.flush()
        started = start_job(session, office, "clear_round", round_id=found.id, by_id=office.id)
    with exchange.writing() as session:
        ended = session.get_one(ClearingRound, found.id)
        end_round(session, session.get_one(User, office.id), ended, RoundStatus.CANCELLED)
    do_waiting_jobs(exchange)
    with exchange.reading() as session:
        assert str(session.get_one(Job, started.id).status) == "failed"
        assert session.get_one(ClearingRound, found.id).versions == []


def test_coordinator_sees_the_rounds_of_her_subregion_and_of_the_whole_exchange(
    session, start, office
):
    mine, all_of_it = start(subregion="andean"), start()
    theirs = start(subregion="caribbean")
    session.flush()
    coordinator = make_person(session, Role.COORDINATOR)
    assert set(session.scalars(find_rounds(coordinator))) == {mine, all_of_it}
    assert set(session.scalars(find_rounds(office))) == {mine, all_of_it, theirs}
    assert get_round(session, mine.id, coordinator) is mine
    with pytest.raises(NotFound):
        get_round(session, theirs.id, coordinator)


@pytest.fixture
def like_needs(session):
    return [
        post_need(session, code, places_wanted=places)
        for code, places in (("gov-pe", 5), ("gov-bo", 7))
    ]


def test_like_needs_become_a_regional_draft_once_every_country_consents(
    exchange, session, office, like_needs, start, run
):
    coordinator = make_person(session, Role.COORDINATOR)
    post_need(session, "gov-br")
    ideas = think_of_pools(exchange, session)
    assert [sorted(n.id for n in idea.needs) for idea in ideas] == [[n.id for n in like_needs]]
    pool = ask_pool(exchange, session, office, [need.id for need in like_needs])
    session.flush()
    assert think_of_pools(exchange, session) == []
    for code in ("gov-pe", "gov-bo"):
        focal = make_person(session, Role.FOCAL_POINT, code)
        assert waiting_pools(session, focal) == [pool]
        answer_pool(session, focal, pool, exchange.reference, consent=True, note="")
        session.flush()
        assert waiting_pools(session, focal) == []
    assert pool.status == PoolStatus.AGREED
    assert pool.need.status == PostStatus.DRAFT
    assert pool.need.places_wanted == 12
    assert pool.need.subregion == "andean"
    assert pool.need.can_be_edited_by(coordinator)
    # On the exchange, it stands for them: no round counts them twice.
    pool.need.status = PostStatus.PUBLISHED
    session.flush()
    references = {need["reference"] for need in run(start(subregion="andean")).given["needs"]}
    assert references == {pool.need.reference}


def test_one_refusal_leaves_the_needs_as_they_are(exchange, session, office, like_needs):
    make_person(session, Role.COORDINATOR)
    pool = ask_pool(exchange, session, office, [need.id for need in like_needs])
    focal = make_person(session, Role.FOCAL_POINT)
    answer_pool(session, focal, pool, exchange.reference, consent=False, note="Ours is other.")
    assert pool.status == PoolStatus.REFUSED
    assert pool.need is None


def test_pool_that_nobody_coordinates_or_that_is_none_is_refused(
    exchange, session, office, like_needs, speak
):
    ids = [need.id for need in like_needs]
    with pytest.raises(Conflict, match="no_coordinator") as raised:
        ask_pool(exchange, session, office, ids)
    assert "coordinates" in speak(raised.value)
    make_person(session, Role.COORDINATOR)
    with pytest.raises(Conflict, match="pool_taken"):
        ask_pool(exchange, session, office, ids[:1])
    with pytest.raises(NotAllowed):
        ask_pool(exchange, session, make_person(session, Role.FOCAL_POINT), ids)
