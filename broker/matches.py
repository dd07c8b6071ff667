"""Use cases of matching: ranked lists, a pair taken apart, why not, and what would change it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from broker.engine import Engine, Standing, pairs_of
from broker.exchange import Exchange
from broker.explanations import MONEY_FIELDS, SEALED_WORD, reason_of
from broker.interests import find_match, matches_with_life
from broker.pairings import find_pairing, pairings_of
from broker.posts import CLASSES, PREVIEWED, WHOLE, PostFilter, find_posts, seals_money
from matching import Book, Ranked, RuleFailure, UnknownPost
from matching.eligibility import RULES
from matching.explain import (
    Change,
    Evidence,
    Explanation,
    Ledger,
    TextEvidence,
    WhyNot,
)
from matching.text import nearest_sentences, shared_words
from models import (
    LIVE,
    PUBLICLY_READABLE,
    Conflict,
    Match,
    MatchStatus,
    Need,
    NotAllowed,
    Offer,
    Pairing,
    User,
    side_between,
)

SHOWN = 20
"""Matches of a ranked list."""


@dataclass(frozen=True)
class RankedMatch:
    """A match in a ranked list, with its posts, its main reasons and its life so far."""

    place: int
    need: Need
    offer: Offer
    points: float
    band: str
    reason: dict[str, Any]
    life: Match | None = None


@dataclass(frozen=True)
class Matches:
    """The ranked matches of one post, as its page shows them.

    Attributes
    ----------
    rows : list of RankedMatch
        Eligible partners, best first, at most ``SHOWN``; dismissed ones are not among them.
    nobody : bool
        Whether no partner reaches the band "possible": then nobody can serve well.
    eligible : int
        How many partners break no rule.
    excluded : dict
        Rule → how many offers it rules out (needs only), in the order of the rules.
    begun : list of Match
        Pairs in which somebody has acted, whatever their rank.
    pairings : list of Pairing
        Pairs that people have suggested, with their reasons.
    """

    rows: list[RankedMatch]
    nobody: bool
    eligible: int
    excluded: dict[str, int]
    begun: list[Match]
    standing: Standing
    pairings: list[Pairing] = field(default_factory=list)


def _require_reader(post: Need | Offer, by: User) -> None:
    """Ranked lists are for the organisation that posts and for those who moderate."""
    if not (post.is_own_of(by) or by.moderates(post.subregions())):
        raise NotAllowed("edit_post", reference=post.reference)


def _in_book(post: Need | Offer) -> None:
    if not post.is_live:
        code = "need_not_live" if isinstance(post, Need) else "offer_not_live"
        raise Conflict(code, reference=post.reference)


def matches_of(
    exchange: Exchange, session: Session, post: Need | Offer, by: User, *, on: date
) -> Matches:
    """The ranked matches of a post, for its own people and its moderators.

    Raises
    ------
    NotAllowed, Conflict
        For anybody else; for a post that is not on the exchange.
    """
    _require_reader(post, by)
    draft = _draft_among(post)
    if draft is None:
        _in_book(post)
    engine = exchange.engine
    is_need = isinstance(post, Need)
    with engine.open(session, draft=draft) as book:
        ranking = (book.rank_offers if is_need else book.rank_needs)(post.id, SHOWN, on=on)
        rows = _with_posts(session, book, ranking, on)
        excluded = book.ledger(post.id, on=on).counts if is_need else {}
    lives = matches_with_life(session, [post])
    return Matches(
        rows=[
            replace(row, life=life)
            for row in rows
            if not _has_declined(by, row, life := lives.get((row.need.id, row.offer.id)))
        ],
        nobody=ranking.nobody,
        eligible=ranking.eligible,
        excluded=excluded,
        begun=[m for m in lives.values() if m.status != MatchStatus.SUGGESTED],
        standing=engine.standing,
        pairings=pairings_of(session, post),
    )


def _has_declined(by: User, row: RankedMatch, life: Match | None) -> bool:
    """Whether the person's side has declined this pair, and neither post has changed since."""
    if life is None or life.status != MatchStatus.DECLINED or not life.interests:
        return False
    last, side = life.interests[-1], side_between(row.need, row.offer, by)
    if side in (None, last.side) or last.answered_at is None:
        return False
    return max(row.need.updated_at, row.offer.updated_at) <= last.answered_at


def _draft_among(*posts: Need | Offer) -> Need | Offer | None:
    """The first of the posts that is not on the exchange yet."""
    return next((post for post in posts if post.status in PREVIEWED), None)


def best_offers(
    exchange: Exchange, session: Session, needs: Sequence[Need], *, on: date, limit: int
) -> dict[int, list[RankedMatch]]:
    """Need id → its best few offers with their reasons; the number of queries does not grow."""
    with exchange.engine.open(session) as book:
        ranked = [
            found
            for need in needs
            if need.is_live
            for found in book.rank_offers(need.id, limit, on=on)
        ]
        rows = _with_posts(session, book, ranked, on)
    best: dict[int, list[RankedMatch]] = {need.id: [] for need in needs}
    for row in rows:
        best[row.need.id].append(row)
    return best


LOOKED_AT = 200
"""Needs of each offer that a list across all offers looks at, the best ones."""


@dataclass(frozen=True)
class NeedFilter:
    """What a list of ranked needs is narrowed to; every field is a parameter of its address."""

    themes: tuple[str, ...] = ()
    subregions: tuple[str, ...] = ()
    support_kinds: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()


def rank_across(
    exchange: Exchange, session: Session, offers: Sequence[Offer], filters: NeedFilter, *, on: date
) -> list[Ranked]:
    """The needs that any of the offers can serve, each once with its best offer; best first.

    Of equal scores the need that stands first in its offer's own list comes first.
    """
    chosen = PostFilter(
        "need",
        themes=filters.themes,
        subregions=filters.subregions,
        support_kinds=filters.support_kinds,
        open_only=True,
    )
    narrowed = filters.themes or filters.subregions or filters.support_kinds
    within = {post.id for post in session.scalars(find_posts(chosen))} if narrowed else None
    best: dict[int, Ranked] = {}
    with exchange.engine.open(session) as book:
        for offer in offers:
            for found in book.rank_needs(offer.id, LOOKED_AT, on=on) if offer.is_live else ():
                known = best.get(found.need_id)
                if known is None or found.micro_points > known.micro_points:
                    best[found.need_id] = found
    kept = [
        found
        for found in best.values()
        if (within is None or found.need_id in within)
        and (not filters.bands or found.band in filters.bands)
    ]
    kept.sort(key=lambda found: (-found.micro_points, found.place, found.need_id))
    return [replace(found, place=place) for place, found in enumerate(kept, start=1)]


def with_reasons(
    exchange: Exchange, session: Session, ranked: Sequence[Ranked], *, on: date
) -> list[RankedMatch]:
    """The posts and reasons of some ranked pairs, in their order."""
    if not ranked:
        return []
    with exchange.engine.open(session) as book:
        rows = _with_posts(session, book, ranked, on)
    lives = matches_with_life(session, [row.need for row in rows])
    return [replace(row, life=lives.get((row.need.id, row.offer.id))) for row in rows]


def _with_posts(
    session: Session, book: Book, ranking: Iterable[Ranked], on: date
) -> list[RankedMatch]:
    ranking = list(ranking)
    posts = pairs_of(session, [(m.need_id, m.offer_id) for m in ranking])
    rows = []
    for found in ranking:
        need, offer = posts[found.need_id], posts[found.offer_id]
        if isinstance(need, Need) and isinstance(offer, Offer):
            reason = reason_of(book.explain(need.id, offer.id, on=on))
            rows.append(RankedMatch(found.place, need, offer, found.points, found.band, reason))
    return rows


def ranked_offers(
    exchange: Exchange, session: Session, need: Need, *, on: date, limit: int = SHOWN
) -> list[RankedMatch]:
    """The eligible offers for a need, best first: for the command line and for jobs."""
    _in_book(need)
    with exchange.engine.open(session) as book:
        return _with_posts(session, book, book.rank_offers(need.id, limit, on=on), on)


def score_of(
    exchange: Exchange, session: Session, need: Need, offer: Offer, *, on: date
) -> float | None:
    """The pair's score, 0 to 100, if it is eligible now; None where a post is not live.

    Raises
    ------
    Conflict
        If a rule stands between the two; a dismissal alone does not.
    """
    if not (need.is_live and offer.is_live):
        return None
    with exchange.engine.open(session) as book:
        explanation = book.explain(need.id, offer.id, on=on)
    if any(failure.rule != "dismissed" for failure in explanation.failures):
        raise Conflict("not_eligible", need=need.reference, offer=offer.reference)
    return explanation.points


@dataclass(frozen=True)
class PairView:
    """Everything about one pair, for its page.

    Attributes
    ----------
    explanation : Explanation or None
        The score taken apart; None where a post is not on the exchange.
    why_not : WhyNot or None
        The rules that fail, the score and rank the pair would have.
    changes : tuple of Change
        Single edits that would raise the score most.
    pairing : Pairing or None
        What a person, not the engine, has said of the pair.
    """

    need: Need
    offer: Offer
    explanation: Explanation | None
    why_not: WhyNot | None
    changes: tuple[Change, ...]
    life: Match | None
    side: str | None
    standing: Standing
    pairing: Pairing | None = None

    @property
    def is_match(self) -> bool:
        """Whether the pair breaks no rule."""
        return self.explanation is not None and not self.explanation.failures


def examine(
    exchange: Exchange, session: Session, need: Need, offer: Offer, by: User, *, on: date
) -> PairView:
    """Take a pair apart for one of its sides, or for those who moderate the need.

    Raises
    ------
    NotAllowed
        For anybody else.
    """
    life = find_match(session, need, offer)
    side = side_between(need, offer, by)
    if side is None and not (need.is_own_of(by) or by.moderates(need.subregions())):
        raise NotAllowed("match_side")
    pairing = find_pairing(session, need, offer)
    try:
        found = take_apart(exchange, session, need, offer, on=on)
    except UnknownPost:
        standing = exchange.engine.standing
        return PairView(need, offer, None, None, (), life, side, standing, pairing)
    return PairView(
        need,
        offer,
        _sealed(found.explanation, need, offer, by),
        replace(found.why_not, failures=_failures_told(found.why_not.failures, need, offer, by)),
        tuple(change for change in found.changes if _may_be_told(change, need, offer, by))[:6],
        life,
        side,
        found.standing,
        pairing,
    )


@dataclass(frozen=True)
class Apart:
    """A pair taken apart, with nothing kept from anybody: not to be shown to a side."""

    explanation: Explanation
    why_not: WhyNot
    changes: tuple[Change, ...]
    standing: Standing


def take_apart(
    exchange: Exchange, session: Session, need: Need, offer: Offer, *, on: date
) -> Apart:
    """Explain a pair, ask why it is none, and what would raise its score.

    Raises
    ------
    UnknownPost
        One of them is neither on the exchange nor a draft.
    """
    engine = exchange.engine
    text = _evidence(engine, session, need, offer)
    with engine.open(session, draft=_draft_among(need, offer)) as book:
        return Apart(
            book.explain(need.id, offer.id, on=on, text=text),
            book.why_not(need.id, offer.id, on=on),
            book.what_would_change(need.id, offer.id, on=on),
            engine.standing,
        )


def _evidence(engine: Engine, session: Session, need: Need, offer: Offer) -> TextEvidence:
    ours, our_vectors = engine.sentences(session, need)
    theirs, their_vectors = engine.sentences(session, offer)
    nearest = nearest_sentences(ours, our_vectors, theirs, their_vectors)
    words = shared_words(
        f"{need.title} {need.description}",
        f"{offer.title} {offer.description}",
        need.language,
        offer.language,
    )
    return TextEvidence(
        need_sentence=nearest.need if nearest else None,
        offer_sentence=nearest.offer if nearest else None,
        shared_words=tuple(words)[:8],
    )


def _sealed(explanation: Explanation, need: Need, offer: Offer, by: User) -> Explanation:
    """The explanation without amounts that are sealed from this reader: they count, unseen."""
    if not (seals_money(need, by) or seals_money(offer, by)):
        return explanation
    contributions = tuple(
        replace(
            contribution,
            parts=tuple(
                _without_amounts(part, need, offer, by) if part.part == "money" else part
                for part in contribution.parts
            ),
        )
        for contribution in explanation.contributions
    )
    failures = _failures_told(explanation.failures, need, offer, by)
    return replace(explanation, contributions=contributions, failures=failures)


def _failures_told(
    failures: tuple[RuleFailure, ...], need: Need, offer: Offer, by: User
) -> tuple[RuleFailure, ...]:
    """The rules that fail; of one about money, without amounts that are sealed from the reader."""
    if not (seals_money(need, by) or seals_money(offer, by)):
        return failures
    return tuple(
        replace(failure, need_says=None, offer_says=None)
        if failure.rule == "no_money_left"
        else failure
        for failure in failures
    )


def _without_amounts(part: Evidence, need: Need, offer: Offer, by: User) -> Evidence:
    """What is compared with a sealed amount would tell it: neither is said."""
    return replace(
        part,
        need_says=SEALED_WORD if seals_money(need, by) else None,
        offer_says=SEALED_WORD if seals_money(offer, by) else None,
    )


def _may_be_told(change: Change, need: Need, offer: Offer, by: User) -> bool:
    sealed = seals_money(need, by) or seals_money(offer, by)
    return change.field not in MONEY_FIELDS or not sealed


def find_counterpart(session: Session, post: Need | Offer, reference: str) -> Need | Offer | None:
    """The published post of the other side with that reference, however it is written."""
    other = "offer" if isinstance(post, Need) else "need"
    model: type[Need | Offer] = CLASSES[other]
    query: Select[Any] = (
        select(model)
        .where(model.reference == reference.strip().lower(), model.status.in_(PUBLICLY_READABLE))
        .options(*WHOLE)
    )
    found: Need | Offer | None = session.scalar(query)
    return found


def read_ledger(
    exchange: Exchange, session: Session, need: Need | Offer, by: User, *, on: date
) -> Ledger:
    """The exclusion ledger of a need: every rule with the offers that it rules out, by number.

    Raises
    ------
    NotAllowed, Conflict
        As for its matches.
    """
    _require_reader(need, by)
    if _draft_among(need) is None:
        _in_book(need)
    with exchange.engine.open(session, draft=_draft_among(need)) as book:
        return book.ledger(need.id, on=on)


def excluded_offers(
    exchange: Exchange, session: Session, need: Need | Offer, by: User, *, on: date
) -> list[tuple[str, list[Offer]]]:
    """The exclusion ledger of a need: every rule with the offers that it rules out."""
    ledger = read_ledger(exchange, session, need, by, on=on)
    ids = {offer_id for offers in ledger.by_rule.values() for offer_id in offers}
    offers = {
        offer.id: offer
        for offer in session.scalars(
            select(Offer).where(Offer.id.in_(ids), Offer.status.in_(LIVE)).options(*WHOLE)
        )
    }
    return [
        (rule, [offers[i] for i in ledger.by_rule[rule] if i in offers])
        for rule in RULES
        if rule in ledger.by_rule
    ]
