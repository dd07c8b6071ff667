"""Texts of a post that were handed in and given back: readable like the published versions.

Published texts are kept as versions. One that was returned is read from the audit trail, which
keeps what every change replaced: the present text with all later changes undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from broker.audit_trail import Change
from broker.posts import CLASSES, WHOLE, content, visible_content
from models import AuditEvent, Need, NotFound, Offer, Post, User

BY_MODERATORS = "post.returned"
BY_FOCAL_POINT = "post.endorsement_declined"


@dataclass(frozen=True)
class ReturnedText:
    """A text that was given back.

    Attributes
    ----------
    event : AuditEvent
        When it was returned and by whom; its number names the text.
    said : dict
        What the reader may see of it.
    after : dict or None
        What the reader may see of the text that followed: the next that was returned, or the
        present one. None where she may not read that one yet.
    """

    event: AuditEvent
    said: dict[str, Any]
    after: dict[str, Any] | None

    @property
    def comment(self) -> str:
        """What was to be mended."""
        return str(self.event.after.get("comment", ""))


def _readable_returns(post: Post, by: User | None) -> tuple[str, ...]:
    """Actions whose texts the reader may see: what moderators never had is its own people's."""
    if post.is_own_of(by):
        return (BY_MODERATORS, BY_FOCAL_POINT)
    return (BY_MODERATORS,) if post.can_be_moderated_by(by) else ()


def returned_texts(session: Session, post: Post, by: User | None) -> list[ReturnedText]:
    """The texts of a post that were returned, as far as the reader may see them, oldest first."""
    shown = _readable_returns(post, by)
    if not shown:
        return []
    events = session.scalars(
        select(AuditEvent)
        .where(
            AuditEvent.entity == post.kind,
            AuditEvent.entity_id == post.id,
            AuditEvent.action.in_((*shown, "post.edited")),
        )
        .order_by(AuditEvent.id.desc())
        .options(selectinload(AuditEvent.user))
    )
    text = content(post)
    after = visible_content(post, by, text) if post.can_be_seen_by(by) else None
    found: list[ReturnedText] = []
    for event in events:
        if event.action == "post.edited":
            text = _undone(text, event)
        else:
            said = visible_content(post, by, text)
            found.append(ReturnedText(event, said, after))
            after = said
    return found[::-1]


def _undone(text: Mapping[str, Any], event: AuditEvent) -> dict[str, Any]:
    kept = {name: value for name, value in text.items() if name not in event.after}
    return {**kept, **event.before}


def get_returned_text(
    session: Session, kind: str, post_id: int, event_id: int, by: User | None
) -> tuple[Need | Offer, ReturnedText]:
    """A returned text with its post, which the reader need not be able to read as it is now.

    Raises
    ------
    NotFound
        Also when it exists and is not for this reader.
    """
    model: Any = CLASSES[kind]
    post: Need | Offer | None = session.get(model, post_id, options=WHOLE)
    if post is not None:
        for text in returned_texts(session, post, by):
            if text.event.id == event_id:
                return post, text
    raise NotFound("no_such_post", id=post_id)


def last_returns(session: Session, posts: Iterable[Post]) -> dict[int, AuditEvent]:
    """Post → the event by which moderators last returned it; one query for many posts."""
    events = session.scalars(
        select(AuditEvent)
        .where(
            AuditEvent.entity.in_(CLASSES),
            AuditEvent.entity_id.in_([post.id for post in posts]),
            AuditEvent.action == BY_MODERATORS,
        )
        .order_by(AuditEvent.id)
    )
    return {event.entity_id: event for event in events if event.entity_id is not None}


def compare_contents(
    before: Mapping[str, Any], after: Mapping[str, Any], words: Any
) -> list[Change]:
    """The fields in which two contents differ, each as text before and after.

    Parameters
    ----------
    words : callable
        ``words(field, value)``: a value as the reader is told it; empty for none.
    """
    names = dict.fromkeys((*after, *before))
    pairs = ((name, words(name, before.get(name)), words(name, after.get(name))) for name in names)
    return [Change(name, old or None, new or None) for name, old, new in pairs if old != new]
