"""Audit events: once written, neither a program nor a person changes them."""

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import AuditEvent, Conflict
from tests.factories import make_user

pytestmark = pytest.mark.usefixtures("backend")


def make_event(session: Session) -> AuditEvent:
    event = AuditEvent(
        user_id=make_user(session).id,
        action="post.published",
        entity="need",
        entity_id=1,
        before={"status": "submitted"},
        after={"status": "published"},
    )
    session.add(event)
    session.flush()
    return event


def test_event_keeps_who_when_and_what(session: Session) -> None:
    event = make_event(session)
    session.refresh(event)
    assert event.user is not None
    assert event.at.tzinfo is not None
    assert (event.before, event.after) == ({"status": "submitted"}, {"status": "published"})


def test_changing_an_event_is_refused_by_name(session: Session) -> None:
    event = make_event(session)
    with pytest.raises(Conflict) as raised, session.begin_nested():
        event.action = "post.withdrawn"
    assert raised.value.code == "audit_event_is_final"
    assert raised.value.params == {"id": event.id}


def test_deleting_an_event_is_refused_by_name(session: Session) -> None:
    event = make_event(session)
    with pytest.raises(Conflict, match="audit_event_is_final"), session.begin_nested():
        session.delete(event)


@pytest.mark.parametrize(
    "change",
    [
        update(AuditEvent).values(action="nothing"),
        delete(AuditEvent),
        text("UPDATE audit_event SET user_id = NULL"),
        text("DELETE FROM audit_event"),
    ],
    ids=str,
)
def test_database_refuses_what_goes_past_the_models(session: Session, change: object) -> None:
    event = make_event(session)
    with (
        pytest.raises(IntegrityError, match="audit_event is final"),
        session.begin_nested(),
    ):
        session.execute(change)  # type: ignore[call-overload]
    session.refresh(event)
    assert event.action == "post.published"


@pytest.mark.parametrize(
    "backend", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
@pytest.mark.parametrize("table", ["audit_event", "commitment"])
def test_table_of_final_rows_cannot_be_emptied(session: Session, table: str) -> None:
    with pytest.raises(IntegrityError, match="is final"), session.begin_nested():
        session.execute(text(f"TRUNCATE {table}"))


def test_other_rows_stay_free_to_change(session: Session) -> None:
    user = make_user(session)
    user.name = "Another role"
    session.flush()
    session.refresh(user)
    assert user.name == "Another role"
