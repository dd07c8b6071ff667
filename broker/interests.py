"""Use cases of a match: express interest, answer, dismiss, restore."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.news import tell_of_answer, tell_of_interest
from broker.posts import seals_money
from broker.reference import Reference
from models import (
    CapacityExceeded,
    Conflict,
    Dismissal,
    Interest,
    InvalidInput,
    Match,
    MatchStatus,
    Need,
    NotAllowed,
    NotFound,
    Offer,
    Post,
    PostStatus,
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
    if offer.status == PostStatus.EXHAUSTED:
        raise CapacityExceeded("offer_used_up", reference=offer.reference)
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
    places: int | None = None,
    money: Decimal | None = None,
) -> Interest:
    """Say for one side that it wants this match; the other side is asked.

    Parameters
    ----------
    score : float or None
        What the engine gave the pair at this moment; None for a pairing made by a person.
    share : int or None
        Per cent of the need that the match would cover.
    places, money : optional
        What of the offer it would take instead, the money in the offer's currency.

    Raises
    ------
    NotAllowed
        If the person acts for neither side, or has a conflict of interest.
    Conflict, CapacityExceeded
        If a post is no longer live, or an interest already waits for an answer; if agreements
        have committed all that the offer has.
    InvalidInput
        If more is named than the offer has left, or than the need still asks for.
    """
    _require_live(need, offer)
    require_no_conflict(session, by, need, offer)
    _require_within(by, need, offer, places, money)
    match = _begun(session, need, offer, score)
    before = str(match.status)
    interest = match.express_interest(by, message, share, places=places, money=money)
    match.updated_at = utc_now()
    record(
        session,
        by,
        "match.interest",
        match,
        before={"status": before},
        after={
            "status": str(match.status),
            "side": interest.side,
            "share": share,
            "places": places,
            "money": money,
            "currency": interest.currency,
        },
    )
    tell_of_interest(session, by, match, interest)
    return interest


def _require_within(
    by: User, need: Need, offer: Offer, places: int | None, money: Decimal | None
) -> None:
    problems: dict[str, object] = {}
    left, wanted = offer.remaining_places(), need.places_open()
    if places is not None and left is not None and places > left:
        problems["places"] = [("more_than_left", {"left": left})]
    elif places is not None and wanted is not None and places > wanted:
        problems["places"] = [("share_more_than_open", {})]
    if money is not None:
        means = None if seals_money(offer, by) else offer.remaining_money()
        if offer.currency is None:
            problems["money"] = [("currency_missing", {})]
        elif means is not None and money > means:
            problems["money"] = [("more_than_left", {"left": f"{means:,f} {offer.currency}"})]
    if problems:
        raise InvalidInput(problems)


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
    require_no_conflict(session, by, match.need, match.offer)
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
    require_no_conflict(session, by, need, offer)
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
    require_no_conflict(session, by, match.need, match.offer)
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


@dataclass(frozen=True)
class CoveredPart:
    """A part of a need that one interest would cover.

    Attributes
    ----------
    share : int or None
        Per cent of the whole need, from 1 to 100; None where nobody has said how much.
    """

    match: Match
    interest: Interest
    share: int | None


@dataclass(frozen=True)
class InterestCover:
    """What interest, not yet agreements, would cover of a need."""

    parts: tuple[CoveredPart, ...]

    @property
    def share(self) -> int:
        """Per cent of the need that all interest together would cover, at most 100."""
        return min(sum(part.share or 0 for part in self.parts), 100)

    def shown_to(self, by: User | None) -> list[CoveredPart]:
        """The parts that the reader may see one by one: her own side's, or all as a moderator."""
        if by is None:
            return []
        return [
            part
            for part in self.parts
            if part.match.need.is_own_of(by)
            or part.match.offer.is_own_of(by)
            or by.moderates(part.match.need.subregions())
        ]


def interest_cover(
    session: Session, needs: Iterable[Need], reference: Reference
) -> dict[int, InterestCover]:
    """Need id → what open and accepted interest would cover of it, in two queries.

    Pairs with an agreement are left out: the ledger says what these cover.
    """
    ids = [need.id for need in needs]
    found = session.scalars(
        select(Match)
        .where(
            Match.need_id.in_(ids),
            Match.status.in_((MatchStatus.INTEREST, MatchStatus.MUTUAL)),
        )
        .options(
            selectinload(Match.interests),
            selectinload(Match.need),
            selectinload(Match.offer).selectinload(Offer.organisation),
        )
        .order_by(Match.id)
    )
    parts: dict[int, list[CoveredPart]] = {need_id: [] for need_id in ids}
    for match in found:
        interest = match.standing_interest()
        if interest is not None:
            share = share_covered(interest, match.need, reference)
            parts[match.need_id].append(CoveredPart(match, interest, share))
    return {need_id: InterestCover(tuple(found)) for need_id, found in parts.items()}


def share_covered(interest: Interest, need: Need, reference: Reference) -> int | None:
    """Per cent of the need that an interest would cover: as it says, or by its places or money.

    A sealed amount of the need is not compared: the result would tell it.
    """
    if interest.share is not None:
        return interest.share
    if interest.places is not None and need.places_wanted:
        return _per_cent(interest.places / need.places_wanted)
    wanted = need.money_most if need.money_most is not None else need.money_least
    if interest.money is not None and wanted and not need.money_sealed:
        given = _dollars(interest.money, interest.currency, reference)
        asked = _dollars(wanted, need.currency, reference)
        return _per_cent(given / asked) if given is not None and asked else None
    return None


def _per_cent(part: float) -> int:
    return min(max(round(100 * part), 1), 100)


def _dollars(amount: Decimal, currency: str | None, reference: Reference) -> float | None:
    found = reference.currencies.get(currency or "")
    return float(amount) * found.usd_rate if found else None
