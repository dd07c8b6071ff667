"""Whoever clicks at the same moment, and whatever is killed half-way: nothing is sold twice."""

import multiprocessing
import random
import threading
import time
from collections import Counter
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from models import (
    Agreement,
    AgreementStatus,
    Commitment,
    Conflict,
    Need,
    Offer,
    PostStatus,
    User,
)
from models.database import begin_writing
from models.ledger import imbalances
from tests.factories import (
    make_agreement,
    make_currency,
    make_need,
    make_offer,
    make_organisation,
    make_terms,
    people,
)
from tests.models import signers

pytestmark = pytest.mark.slow

SIGNERS = 50

# A process started by the fork server has nothing of this one: no connection, no thread, no lock.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.models.signers"])


def address(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def negotiate(engine: Engine, count: int, places: int, **offer: Any) -> list[int]:
    """Agreements of one place each on one offer of ``places``, accepted by all, signed by none."""
    with Session(engine) as session:
        scarce = make_offer(session, places=places, **offer)
        people_asking = [make_organisation(session) for _ in range(5)]
        ids = []
        for number in range(count):
            need = make_need(session, people_asking[number % 5], places_wanted=1)
            ids.append(make_agreement(session, need, scarce, places=1).id)
        session.commit()
    return ids


def assert_sold(engine: Engine, places: int, left: int) -> None:
    """Exactly ``places`` are sold, by as many signed agreements, and every book says so."""
    with Session(engine) as session:
        offer = session.scalars(select(Offer)).one()
        signed = session.scalar(
            select(func.count(Agreement.id)).where(Agreement.status == AgreementStatus.SIGNED)
        )
        rows = session.scalar(select(func.count(Commitment.id)))
        assert (offer.places_committed, offer.remaining_places()) == (places, left)
        assert signed == rows == places
        assert offer.status == offer.status_by_balance()
        assert imbalances(session) == []


def whole_state(engine: Engine) -> dict[str, list[Any]]:
    """Every row that signing may touch."""
    tables = ("agreement", "agreement_party", "commitment", "offer", "need", "post")
    with engine.connect() as connection:
        return {
            table: [
                tuple(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY id"))
            ]
            for table in tables
        }


def die_everywhere(engine: Engine, agreement_id: int) -> tuple[int, dict[str, list[Any]]]:
    """Sign in a process that is killed, each time a moment later, until something is kept.

    Gives how many were killed, and what is then in the database: nothing less than all.
    """
    before = whole_state(engine)
    engine.dispose()
    killed = 0
    while True:
        killed += 1
        worker = processes.Process(
            target=signers.sign_and_die, args=(address(engine), agreement_id, killed)
        )
        worker.start()
        worker.join()
        assert worker.exitcode == -9
        if (after := whole_state(engine)) != before:
            return killed, after


# --- The last place -------------------------------------------------------------------------


def test_of_fifty_threads_signing_against_the_last_place_one_succeeds(database: Engine) -> None:
    agreements = negotiate(database, SIGNERS, places=1)
    outcomes = signers.sign_each(database, agreements)
    assert outcomes == {"binding": 1, "capacity_exceeded": SIGNERS - 1}
    assert_sold(database, 1, left=0)


def test_of_twenty_threads_signing_for_the_last_place_of_a_need_one_succeeds(
    database: Engine,
) -> None:
    with Session(database) as session:
        need = make_need(session, places_wanted=1)
        agreements = [
            make_agreement(session, need, make_offer(session), places=1).id for _ in range(20)
        ]
        session.commit()
    outcomes = signers.sign_each(database, agreements)
    assert outcomes == {"binding": 1, "need_not_live": 19}
    with Session(database) as session:
        assert session.scalars(select(Need)).one().places_covered == 1
        assert imbalances(session) == []


def negotiate_with_donor(engine: Engine, count: int, grants: int) -> list[int]:
    """Agreements, each paid with ten by one donor, whose offer has enough for ``grants``."""
    with Session(engine) as session:
        make_currency(session, "USD")
        bank = make_organisation(session, "other_donor", "ES")
        purse = make_offer(
            session, bank, support=("finance",), money=Decimal(10 * grants), currency="USD"
        )
        ids = []
        for _ in range(count):
            agreement = make_agreement(session, make_need(session), make_offer(session), places=1)
            gift = {"money": Decimal(10), "currency": "USD", "offer": purse}
            agreement.add_party(people(session, agreement)[0], bank, "donor", **gift)
            session.flush()
            for person in people(session, agreement):
                agreement.accept_terms(person, 1)
            ids.append(agreement.id)
        session.commit()
    return ids


def test_donor_s_purse_is_never_overdrawn_by_agreements_signed_at_once(database: Engine) -> None:
    agreements = negotiate_with_donor(database, 20, grants=3)
    outcomes = signers.sign_each(database, agreements)
    assert outcomes == {"binding": 3, "capacity_exceeded": 17}
    with Session(database) as session:
        purse = session.scalars(select(Offer).where(Offer.money.is_not(None))).one()
        assert purse.remaining_money() == 0
        assert purse.status == PostStatus.EXHAUSTED
        assert session.scalar(select(func.count(Commitment.id))) == 6
        assert imbalances(session) == []


def test_process_killed_while_a_donor_pays_leaves_all_or_nothing(database: Engine) -> None:
    [agreement_id] = negotiate_with_donor(database, 1, grants=1)
    _killed, after = die_everywhere(database, agreement_id)
    assert len(after["commitment"]) == 2
    with Session(database) as session:
        assert imbalances(session) == []


def test_threads_of_several_processes_never_oversell(database: Engine) -> None:
    agreements = negotiate(database, SIGNERS, places=3)
    database.dispose()
    start, results = processes.Event(), processes.SimpleQueue()
    shares = [agreements[i::4] for i in range(4)]
    workers = [
        processes.Process(
            target=signers.report_signing, args=(address(database), share, start, results)
        )
        for share in shares
    ]
    for worker in workers:
        worker.start()
    start.set()
    outcomes = sum((results.get() for _ in workers), Counter[str]())
    for worker in workers:
        worker.join()
    assert outcomes == {"binding": 3, "capacity_exceeded": SIGNERS - 3}
    assert_sold(database, 3, left=0)


# --- One agreement, several people ----------------------------------------------------------


def test_both_parties_signing_at_the_same_moment_make_it_binding_once(database: Engine) -> None:
    agreements = negotiate(database, 8, places=8)
    with Session(database) as session:
        parties = {
            agreement.id: [party.organisation_id for party in agreement.parties]
            for agreement in session.scalars(select(Agreement))
        }

    for agreement_id in agreements:
        outcomes = signers.at_once(
            partial(_sign_until_told, database, agreement_id, organisation_id)
            for organisation_id in parties[agreement_id]
        )
        assert outcomes == {"signed": 1, "binding": 1}
    assert_sold(database, 8, left=0)


def _sign_until_told(engine: Engine, agreement_id: int, organisation_id: int) -> str:
    while (outcome := signers.sign(engine, agreement_id, organisation_id)) == "conflict":
        pass
    return outcome


def test_one_signature_given_from_many_windows_counts_once(database: Engine) -> None:
    [agreement_id] = negotiate(database, 1, places=5)
    outcomes = signers.at_once([partial(signers.sign, database, agreement_id)] * 10)
    assert outcomes["binding"] == 1
    assert set(outcomes) <= {"binding", "already_signed", "signed", "conflict"}
    assert_sold(database, 1, left=4)


def test_signing_while_the_other_side_changes_the_terms_binds_nobody_to_them(
    database: Engine,
) -> None:
    for agreement_id in negotiate(database, 6, places=6):
        with Session(database) as session:
            agreement = session.get_one(Agreement, agreement_id)
            need_side, offer_side = people(session, agreement)
            agreement.sign(need_side, 1)
            session.commit()
            need_side_id, offer_side_id = need_side.id, offer_side.organisation_id

        outcomes = signers.at_once(
            [
                partial(_change_terms, database, agreement_id, need_side_id),
                partial(signers.sign, database, agreement_id, offer_side_id),
            ]
        )
        with Session(database) as session:
            agreement = session.get_one(Agreement, agreement_id)
            if outcomes["binding"]:
                assert outcomes["changed"] == 0
                assert [terms.number for terms in agreement.terms] == [1]
                assert agreement.status == AgreementStatus.SIGNED
            else:
                assert outcomes["changed"] == 1
                assert agreement.status == AgreementStatus.PROPOSED
                assert not any(party.signed_at for party in agreement.parties)
                assert agreement.commitments == []
    with Session(database) as session:
        assert imbalances(session) == []


def _change_terms(engine: Engine, agreement_id: int, user_id: int) -> str:
    with Session(engine) as session:
        begin_writing(session)
        agreement = session.get_one(Agreement, agreement_id)
        try:
            agreement.put_terms(make_terms(places=1), session.get_one(User, user_id), 1)
            session.commit()
        except Conflict as error:
            return error.code
        except StaleDataError:
            return "conflict"
        return "changed"


def test_offer_withdrawn_at_the_same_moment_either_commits_first_or_not_at_all(
    database: Engine,
) -> None:
    def withdraw() -> str:
        with Session(database) as session:
            begin_writing(session)
            offer = session.scalars(select(Offer)).one()
            if not offer.is_live:
                return "withdrawn already"
            offer.move_to(PostStatus.WITHDRAWN)
            try:
                session.commit()
            except StaleDataError:
                return "conflict"
            return "withdrawn"

    agreements = negotiate(database, 6, places=100)
    actions = [partial(signers.sign, database, agreement_id) for agreement_id in agreements]
    outcomes = signers.at_once([*actions[:3], withdraw, *actions[3:]])
    assert set(outcomes) <= {"binding", "offer_not_live", "withdrawn", "conflict"}
    with Session(database) as session:
        offer = session.scalars(select(Offer)).one()
        assert offer.places_committed == outcomes["binding"]
        assert (offer.status == PostStatus.WITHDRAWN) == (outcomes["withdrawn"] == 1)
        assert imbalances(session) == []


def test_signer_waits_for_a_withdrawal_under_way_and_is_told(database: Engine) -> None:
    [agreement_id] = negotiate(database, 1, places=5)
    outcomes: list[str] = []
    signer = threading.Thread(target=lambda: outcomes.append(signers.sign(database, agreement_id)))
    with Session(database) as session:
        begin_writing(session)
        session.scalars(select(Offer)).one().move_to(PostStatus.WITHDRAWN)
        session.flush()
        signer.start()
        time.sleep(0.1)
        session.commit()
    signer.join()
    assert outcomes == ["offer_not_live"]
    with Session(database) as session:
        assert session.scalars(select(Offer)).one().places_committed == 0


# --- Killed half-way ------------------------------------------------------------------------


def test_process_killed_between_any_two_statements_leaves_all_or_nothing(
    database: Engine,
) -> None:
    [agreement_id] = negotiate(database, 1, places=1)
    killed, after = die_everywhere(database, agreement_id)
    assert killed >= 9, "every statement of the transaction had its turn"
    assert after["commitment"]
    assert_sold(database, 1, left=0)


def test_processes_killed_at_random_leave_a_sound_ledger_to_go_on_with(database: Engine) -> None:
    agreements = negotiate(database, 24, places=18)
    url = address(database)
    database.dispose()
    start = processes.Event()
    workers = [
        processes.Process(target=signers.sign_one_by_one, args=(url, agreements[i::4], start))
        for i in range(4)
    ]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers[:3]:
        time.sleep(random.uniform(0.005, 0.04))
        worker.kill()
    for worker in workers:
        worker.join()
    with Session(database) as session:
        assert imbalances(session) == []
    for agreement_id in agreements:
        signers.sign(database, agreement_id)
    assert_sold(database, 18, left=0)
