"""Signers that work at the same moment, in threads and in processes of their own.

Here and not in a test, since a process that starts afresh has to import what it runs.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from models import Agreement, DomainError, User
from models.database import begin_writing, connect
from models.ledger import commit


def sign(engine: Engine, agreement_id: int, organisation_id: int | None = None) -> str:
    """Sign for one party, or for each that has not signed; tell in a word what came of it.

    The word is ``"binding"``, ``"signed"`` (another signature is missing), the code of a domain
    error, or ``"conflict"`` where somebody else changed the agreement at the same moment.
    """
    with Session(engine) as session:
        begin_writing(session)
        agreement = session.get_one(Agreement, agreement_id)
        number, binding = agreement.current_terms.number, False
        try:
            for party in agreement.parties:
                if party.signed_at is None and organisation_id in (None, party.organisation_id):
                    binding = agreement.sign(_person_of(session, party.organisation_id), number)
            if binding:
                commit(session, agreement)
            session.commit()
        except DomainError as error:
            return error.code
        except StaleDataError:
            return "conflict"
        return "binding" if binding else "signed"


def _person_of(session: Session, organisation_id: int) -> User:
    return session.scalars(select(User).where(User.organisation_id == organisation_id)).one()


def at_once(actions: Iterable[Callable[[], str]]) -> Counter[str]:
    """Run each action in a thread of its own, from the same moment; count what came of them."""
    actions = list(actions)
    outcomes: list[str] = []
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], str]) -> None:
        start.wait()
        try:
            outcomes.append(action())
        except Exception as error:
            outcomes.append(repr(error))

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(outcomes)


def sign_each(engine: Engine, agreement_ids: Iterable[int]) -> Counter[str]:
    """Sign every agreement in a thread of its own, all from the same moment."""
    return at_once([partial(sign, engine, agreement_id) for agreement_id in agreement_ids])


# --- What runs in another process -----------------------------------------------------------


def report_signing(url: str, agreement_ids: list[int], start: Any, results: Any) -> None:
    """Wait for ``start``, sign all at once, and put the outcomes into ``results``."""
    engine = connect(url)
    start.wait()
    results.put(sign_each(engine, agreement_ids))
    engine.dispose()


def sign_one_by_one(url: str, agreement_ids: list[int], start: Any) -> None:
    """Sign one agreement after the other until all are done, or this process is killed."""
    engine = connect(url)
    start.wait()
    for agreement_id in agreement_ids:
        sign(engine, agreement_id)
    engine.dispose()


def sign_and_die(url: str, agreement_id: int, moment: int) -> None:
    """Sign, and be killed at the ``moment``-th point of the transaction.

    The points are: after each statement that changes something, right before the commit, and
    right after it.
    """
    engine = connect(url)
    passed = 0

    def pass_moment(*_: Any) -> None:
        nonlocal passed
        passed += 1
        if passed == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def pass_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("SELECT"):
            pass_moment()

    event.listen(engine, "after_cursor_execute", pass_statement)
    event.listen(engine, "commit", pass_moment)
    event.listen(Session, "after_commit", pass_moment)
    sign(engine, agreement_id)
    engine.dispose()
