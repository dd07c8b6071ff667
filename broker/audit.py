"""Leaving an audit event for everything that is done."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy.orm import Session

from models import AuditEvent, User


def record(
    session: Session,
    by: User | None,
    action: str,
    entity: Any,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEvent:
    """Add an event about ``entity`` to the running transaction.

    Parameters
    ----------
    by : User or None
        Who acted; None for the exchange itself (expiry, loading).
    action : str
        A verb with its noun, e.g. ``"post.published"``.
    before, after : dict, optional
        What changed; only the fields that differ are kept.
    """
    session.flush()
    before, after = _plain(before or {}), _plain(after or {})
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    event = AuditEvent(
        user_id=by.id if by else None,
        action=action,
        entity=type(entity).__name__.lower(),
        entity_id=entity.id,
        reference=getattr(entity, "reference", None) or getattr(entity, "code", None) or "",
        before={key: before[key] for key in sorted(changed & before.keys())},
        after={key: after[key] for key in sorted(changed & after.keys())},
    )
    session.add(event)
    return event


def _plain(value: Any) -> Any:
    """``value`` as JSON can hold it; decimals stay exact as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value
