"""Interests by what has become of them: waiting, accepted, declined, or ended without an answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, and_, case, func, literal, select
from sqlalchemy.orm import aliased, selectinload

from broker.report.scope import in_subregion
from models import (
    Interest,
    Match,
    MatchStatus,
    Post,
)

ANSWER_TIME = timedelta(days=14)
"""After this an interest without an answer is overdue."""


ANSWERED = ("accepted", "declined")
INTEREST_STATES = ("waiting", *ANSWERED, "lapsed")


INTEREST_NAMES = {
    "waiting": _l("waiting for an answer"),
    "accepted": _l("accepted"),
    "declined": _l("declined"),
    "lapsed": _l("ended without an answer"),
}
"""What became of an interest → its name."""

_later = aliased(Interest)

_is_newest = Interest.id == (
    select(func.max(_later.id))
    .where(_later.match_id == Interest.match_id)
    .correlate(Interest)
    .scalar_subquery()
)


def interest_state(ends: datetime | None = None) -> ColumnElement[Any]:
    """What had become of an interest by a moment: in a match only the newest one waits."""
    later = [] if ends is None else [(Interest.answered_at >= ends, literal("waiting"))]
    return case(
        *later,
        (Interest.answer.is_not(None), Interest.answer),
        (and_(Match.status == MatchStatus.INTEREST, _is_newest), "waiting"),
        else_="lapsed",
    )


def interests(
    state: str = "", *, reason: str = "", subregion: str | None = None
) -> Select[Interest]:
    """A query for interests as they stand now, newest first: all, or of one state, for one reason
    of refusal, or in the needs of one subregion."""
    query = (
        select(Interest)
        .join(Match, Interest.match_id == Match.id)
        .where(*in_subregion(Match.need_id, subregion))
    )
    if state:
        query = query.where(interest_state() == state)
    if reason:
        query = query.where(Interest.answer == "declined", Interest.answer_reason == reason)
    return query.order_by(Interest.created_at.desc(), Interest.id.desc()).options(
        selectinload(Interest.match).options(
            selectinload(Match.need).selectinload(Post.organisation),
            selectinload(Match.offer).selectinload(Post.organisation),
        )
    )


def overdue_interests(now: datetime, *, subregion: str | None = None) -> Select[Interest]:
    """A query for interests that have waited for an answer too long; the longest first."""
    return (
        interests("waiting", subregion=subregion)
        .where(Interest.created_at < now - ANSWER_TIME)
        .order_by(None)
        .order_by(Interest.created_at, Interest.id)
    )
