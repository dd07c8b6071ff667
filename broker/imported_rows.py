"""Rows that files have brought: known again in later files, and never put over a person's edits.

What a changed row says of a post that somebody has edited since waits until a person chooses
between the two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, joinedload

from broker.messages import sentence
from broker.posts import edit_post, get_post
from broker.reference import Reference
from models import AuditEvent, Conflict, DomainError, Import, ImportedRow, Post, User

MOST_AT_ONCE = 500
"""Waiting rows that are decided by one act."""


def digest_of(data: Mapping[str, Any]) -> str:
    """SHA-256 of what a row says, in hexadecimal digits."""
    said = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()


def known_rows(
    session: Session, brought: Import, keys: Collection[str] | None = None
) -> dict[str, ImportedRow]:
    """Key → row, of what earlier files of the organisation brought; all, or those of some keys."""
    query = select(ImportedRow).where(
        ImportedRow.scheme == brought.scheme,
        ImportedRow.kind == brought.kind,
        ImportedRow.organisation_id == brought.organisation_id,
    )
    if keys is not None:
        query = query.where(ImportedRow.key.in_(keys))
    return {row.key: row for row in session.scalars(query)}


def note_row(
    session: Session, brought: Import, key: str, data: Mapping[str, Any], entity_id: int
) -> ImportedRow:
    """Remember what a row has made."""
    row = ImportedRow(
        scheme=brought.scheme,
        organisation_id=brought.organisation_id,
        kind=brought.kind,
        key=key,
        entity_id=entity_id,
        digest=digest_of(data),
        import_id=brought.id,
    )
    session.add(row)
    return row


def stamp_rows(session: Session, rows: Iterable[ImportedRow]) -> None:
    """Note on rows that were just loaded that nobody has edited their posts since."""
    session.flush()
    newest = session.scalar(select(func.max(AuditEvent.id)))
    for row in rows:
        row.event_id = newest


def edits_since(session: Session, rows: Collection[ImportedRow]) -> dict[int, AuditEvent]:
    """Number of a post → the newest edit of it since its row was loaded."""
    found = session.scalars(
        select(AuditEvent)
        .join(
            ImportedRow,
            (ImportedRow.entity_id == AuditEvent.entity_id)
            & (ImportedRow.kind == AuditEvent.entity),
        )
        .where(
            ImportedRow.id.in_([row.id for row in rows]),
            AuditEvent.action == "post.edited",
            AuditEvent.id > func.coalesce(ImportedRow.event_id, 0),
        )
        .order_by(AuditEvent.id)
        .options(joinedload(AuditEvent.user))
    )
    # Who opens a form and saves it as it was has edited nothing.
    return {int(event.entity_id or 0): event for event in found if event.before or event.after}


def edited_since(event: AuditEvent) -> Conflict:
    """What is told of a post that somebody has edited since."""
    return Conflict(
        "edited_since",
        reference=event.reference,
        name=event.user.name if event.user else "–",
        day=event.at.date().isoformat(),
    )


def keep_edited(row: ImportedRow, brought: Import, data: Mapping[str, Any]) -> None:
    """Leave a post as it is, with what the file says of it waiting."""
    row.waiting, row.import_id = dict(data), brought.id


# --- Choosing -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """A row whose text waits beside a post that was edited since.

    Attributes
    ----------
    post : Post
        As it stands now.
    edit : AuditEvent or None
        Who edited it, when, and which of its fields.
    """

    row: ImportedRow
    post: Post
    edit: AuditEvent | None


@dataclass
class Decided:
    """What came of a choice: how many rows are settled, and why others are not."""

    rows: int = 0
    problems: list[str] = field(default_factory=list)


def waiting_rows(brought: Import) -> Select[ImportedRow]:
    """A query for the rows of a file that wait for a choice."""
    # Compared as SQL, since JSON's own null is none that waits.
    is_waiting: ColumnElement[bool] = ImportedRow.waiting.is_not(None)
    return (
        select(ImportedRow)
        .where(ImportedRow.import_id == brought.id, is_waiting)
        .order_by(ImportedRow.id)
    )


def describe_waiting(session: Session, rows: Collection[ImportedRow]) -> list[Waiting]:
    """The rows with their posts and who edited them, in two queries."""
    edits = edits_since(session, rows)
    ids = {row.entity_id for row in rows}
    posts = {
        (post.kind, post.id): post for post in session.scalars(select(Post).where(Post.id.in_(ids)))
    }
    return [
        Waiting(row, posts[row.kind, row.entity_id], edits.get(row.entity_id))
        for row in rows
        if (row.kind, row.entity_id) in posts
    ]


def decide_rows(
    session: Session,
    by: User,
    brought: Import,
    reference: Reference,
    *,
    take: bool,
    only: Collection[int] | None = None,
) -> Decided:
    """Put the text of waiting rows into their posts, or leave the posts as they are for good.

    Parameters
    ----------
    take : bool
        Whether the file's text is taken.
    only : collection of int, optional
        Numbers of the rows; None means all, ``MOST_AT_ONCE`` at a time.
    """
    query = waiting_rows(brought).limit(MOST_AT_ONCE)
    if only is not None:
        query = query.where(ImportedRow.id.in_(only))
    decided, settled = Decided(), list[ImportedRow]()
    for row in session.scalars(query).all():
        assert row.waiting is not None  # noqa: S101 - it was looked for by that
        try:
            post = get_post(session, row.kind, row.entity_id, by)
            if take:
                with session.begin_nested():
                    edit_post(session, by, post, row.waiting, reference)
        except DomainError as error:
            decided.problems.append(f"{row.key}: {sentence(error)}")
            continue
        row.digest, row.waiting = digest_of(row.waiting), None
        settled.append(row)
    if take:
        # A post that was left as it is still holds what a person wrote: the next file asks again.
        stamp_rows(session, settled)
    decided.rows = len(settled)
    brought.kept -= len(settled)
    brought.changed += len(settled) if take else 0
    return decided
