"""References that are counted up: ``need-pe-001``, ``need-pe-002``, …"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

DIGITS = "0123456789"

COUNTING = 7_301
"""First key of the PostgreSQL advisory locks under which references are counted up."""


def next_reference(session: Session, column: InstrumentedAttribute[str], stem: str) -> str:
    """The stem with the number after the highest one that ``column`` holds, at least three digits.

    Two who ask at the same moment get two numbers: on SQLite only one of them writes at a time, on
    PostgreSQL the second waits until the first is committed.

    Parameters
    ----------
    column : attribute
        A unique column, e.g. ``Post.reference``; its index is read from the stem on.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(COUNTING, func.hashtext(stem))))
    tail: Any = func.substr(column, len(stem) + 1)
    # Longer numbers are higher: no text is made a number, which PostgreSQL refuses for others.
    highest = session.scalar(
        select(tail)
        .where(
            column.between(f"{stem}0", f"{stem}{'9' * 18}"),
            func.substr(column, 1, len(stem)) == stem,
            func.ltrim(tail, DIGITS) == "",
        )
        .order_by(func.length(tail).desc(), tail.desc())
        .limit(1)
    )
    return f"{stem}{int(highest or 0) + 1:03d}"
