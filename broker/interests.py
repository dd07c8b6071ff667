"""Use cases of a match: express interest, answer, dismiss, restore."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.news import tell_of_answer, tell_of_interest
from models import (
    Conflict,
    Dismissal,
    Interest,
    Match,
    MatchStatus,
    Need,
    NotAllowed,
    NotFound,
    Offer,
    Post,
    User,
    utc_now,
)


def find_match(session: Session, need: Need, offer: Offer) -> Match | None:
    """The pair's life, if it has begun."""
    return session.scalar(
        select(Match)
        .where(Match.need_id == need.id, Match.offer_id == offer.id)
        .options(selectinload(Match.interests), selectinload(Match.dismissals))
    )


def get_match(session: Session, match_id: int, by: User) -> Match:
    """A match that the person may see: of one's own organisation, or as a moderator."""
    match = session.get(Match, match_id)
    if match is None or not (match.side_of(by) or by.moderates(match.need.subregions())):
        raise NotFound("no_such_match", id=match_id)
    return match


def matches_with_life(
    session: Session, posts: Iterable[Need | Offer]
) -> dict[tuple[int, int], Match]:
    """The lives of all pairs of those posts, by ``(need_id, offer_id)``, in two queries."""
    ids = [post.id for post in posts]
    found = session.scalars(
        select(Match)
        .where(Match.need_id.in_(ids) | Match.offer_id.in_(ids))
        .options(selectinload(Match.interests), selectinload(Match.dismissals))
    )
    return {(match.need_id, match.offer_id): match for match in found}


def _begun(session: Session, need: Need, offer: Offer, score: float | None) -> Match:
    match = find_match(session, need, offer)
    if match is None:
        match = Match(need=need, offer=offer, status=MatchStatus.SUGGESTED, score=score)
        session.add(match)
    elif score is not None:
        match.score = score
    return match


def _require_live(need: Need, offer: Offer) -> None:
    if not need.is_live:
        raise Conflict("need_not_live", reference=need.reference)
    if not offer.is_live:
        raise Conflict("offer_not_live", reference=offer.reference)


def express_interest(
    session: Session,
    by: User,
    need: Need,
    offer: Offer,
    *,
    score: float | None,
    message: str = "",
    share: int | None = None,
) -> Interest:
    """Say for one side that it wants this match; the other side is asked.

    Parameters
    ----------
    score : float or None
        What the engine gave the pair at this moment; None for a pairing made by a person.
    share : int or None
        Per cent of the need that the match would cover.

    Raises
    ------
    NotAllowed
        If the person acts for neither side.
    Conflict
        If a post is no longer live, or an interest already waits for an answer.
    """
    _require_live(need, offer)
    match = _begun(session, need, offer, score)
    before = str(match.status)
    interest = match.express_interest(by, message, share)
    match.updated_at = utc_now()
    record(
        session,
        by,
        "match.interest",
        match,
        before={"status": before},
        after={"status": str(match.status), "side": interest.side, "share": share},
    )
    tell_of_interest(session, by, match, interest)
    return interest


def answer_interest(
    session: Session,
    by: User,
    match: Match,
    *,
    accept: bool,
    message: str = "",
    reason: str | None = None,
) -> Interest:
    """Accept or decline the interest that waits, for the side that was asked."""
    if accept:
        _require_live(match.need, match.offer)
    before = str(match.status)
    interest = match.answer(by, accept, message, reason)
    match.updated_at = utc_now()
    record(
        session,
        by,
        "match.accepted" if accept else "match.declined",
        match,
        before={"status": before},
        after={"status": str(match.status), "reason": reason},
    )
    tell_of_answer(session, by, match, interest)
    return interest


def dismiss_match(
    session: Session,
    by: User,
    need: Need,
    offer: Offer,
    *,
    score: float | None,
    reason: str,
    note: str = "",
) -> Dismissal:
    """Take a match out of one's list, with the reason, until either post changes."""
    match = _begun(session, need, offer, score)
    if match.side_of(by) is None:
        raise NotAllowed("match_side")
    before, waiting = str(match.status), match.open_interest()
    dismissal = match.dismiss(by, reason, note)
    match.updated_at = utc_now()
    record(
        session,
        by,
        "match.dismissed",
        match,
        before={"status": before},
        after={"status": str(match.status), "reason": reason},
    )
    if waiting is not None and waiting.answer is not None:
        tell_of_answer(session, by, match, waiting)
    return dismissal


def restore_match(session: Session, by: User, match: Match) -> None:
    """Undo a dismissal or a decline."""
    before = str(match.status)
    match.restore(by)
    match.updated_at = utc_now()
    record(
        session,
        by,
        "match.restored",
        match,
        before={"status": before},
        after={"status": str(match.status)},
    )


def waiting_interests(session: Session, by: User) -> list[Match]:
    """Matches in which the other side waits for this organisation's answer, oldest first."""
    own = select(Post.id).where(Post.organisation_id == by.organisation_id)
    candidates = session.scalars(
        select(Match)
        .where(Match.status == MatchStatus.INTEREST)
        .where(Match.need_id.in_(own) | Match.offer_id.in_(own))
        .options(
            selectinload(Match.interests),
            selectinload(Match.need),
            selectinload(Match.offer),
        )
        .order_by(Match.updated_at)
    )
    waiting = []
    for match in candidates:
        interest = match.open_interest()
        if interest is not None and match.side_of(by) not in (None, interest.side):
            waiting.append(match)
    return waiting
