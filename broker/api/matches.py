"""Matches: ranked lists, a pair taken apart, why not, and what both sides say to it."""

from __future__ import annotations

from typing import Any

from broker.api.answers.matches import (
    ChangeList,
    ExcludedList,
    ExplanationSaid,
    MatchList,
    MatchSaid,
    PairSaid,
    RankedList,
    WhyNotSaid,
    change,
    explanation,
    life,
    life_of,
    pair,
    ranked_list,
)
from broker.api.answers.matches import why_not as told_why_not
from broker.api.answers.posts import short_post
from broker.api.door import Door
from broker.interests import (
    answer_interest,
    dismiss_match,
    express_interest,
    find_match,
    restore_match,
    waiting_interests,
)
from broker.matches import PairView, examine, excluded_offers, matches_of, score_of
from broker.posts import get_post
from broker.schemas import AnswerSchema, DismissalSchema, InterestSchema
from broker.web.access import POSTERS, SIGNED_IN, person
from broker.web.reading import database, exchange, today
from models import Conflict, Match, Need, NotFound, Offer

doors = Door("api_matches", __name__, description="Matches, explained, and what both sides say")

PAIR = "/matches/<int:need_id>/<int:offer_id>"
WRITES = "write:matches"


@doors.opens("GET", "/needs/<int:post_id>/matches", roles=SIGNED_IN, gives=RankedList)
def of_need(post_id: int) -> Any:
    """List the offers that can serve a need, best first, each with its reasons."""
    return _ranked("need", post_id)


@doors.opens("GET", "/offers/<int:post_id>/matches", roles=SIGNED_IN, gives=RankedList)
def of_offer(post_id: int) -> Any:
    """List the needs that an offer can serve, best first, each with its reasons."""
    return _ranked("offer", post_id)


def _ranked(kind: str, post_id: int) -> Any:
    post = get_post(database(), kind, post_id, person())
    return ranked_list(matches_of(exchange(), database(), post, person(), on=today()))


@doors.opens("GET", "/needs/<int:post_id>/excluded", roles=SIGNED_IN, gives=ExcludedList)
def excluded(post_id: int) -> Any:
    """List every offer that cannot serve a need, by rule."""
    need = get_post(database(), "need", post_id, person())
    found = excluded_offers(exchange(), database(), need, person(), on=today())
    return {
        "items": [
            {"rule": rule, "offers": [short_post(o) for o in offers]} for rule, offers in found
        ]
    }


def _both(need_id: int, offer_id: int) -> tuple[Need, Offer]:
    need = get_post(database(), "need", need_id, person())
    offer = get_post(database(), "offer", offer_id, person())
    assert isinstance(need, Need)  # noqa: S101 - the kind asked for is the kind given
    assert isinstance(offer, Offer)  # noqa: S101
    return need, offer


def _examined(need_id: int, offer_id: int) -> PairView:
    need, offer = _both(need_id, offer_id)
    return examine(exchange(), database(), need, offer, person(), on=today())


@doors.opens("GET", PAIR, roles=SIGNED_IN, gives=PairSaid, endpoint="pair")
def read_pair(need_id: int, offer_id: int) -> Any:
    """Read everything about one pair: its score and its parts, or the rules in the way."""
    return pair(_examined(need_id, offer_id))


@doors.opens("GET", f"{PAIR}/explanation", roles=SIGNED_IN, gives=ExplanationSaid)
def explain(need_id: int, offer_id: int) -> Any:
    """Read the score of a pair, taken apart."""
    view = _examined(need_id, offer_id)
    if view.explanation is None:
        code = "need_not_live" if not view.need.is_live else "offer_not_live"
        post = view.need if not view.need.is_live else view.offer
        raise Conflict(code, reference=post.reference)
    return explanation(view.explanation)


@doors.opens("GET", f"{PAIR}/why-not", roles=SIGNED_IN, gives=WhyNotSaid)
def why_not(need_id: int, offer_id: int) -> Any:
    """Read which rules keep a pair from being a match, and what it would have scored."""
    return told_why_not(_examined(need_id, offer_id).why_not)


@doors.opens("GET", f"{PAIR}/changes", roles=SIGNED_IN, gives=ChangeList)
def changes(need_id: int, offer_id: int) -> Any:
    """List the single edits of either post that would raise the score most."""
    return {"items": [change(one) for one in _examined(need_id, offer_id).changes]}


@doors.opens("GET", "/interests/waiting", roles=POSTERS, gives=MatchList)
def waiting() -> Any:
    """List the matches in which the other side waits for one's answer."""
    return {"items": [life(match) for match in waiting_interests(database(), person())]}


@doors.opens(
    "POST", f"{PAIR}/interest", roles=POSTERS, scope=WRITES, takes=InterestSchema, status=201,
    gives=MatchSaid, repeatable=True,
)  # fmt: skip
def interest(need_id: int, offer_id: int, data: dict[str, Any]) -> Any:
    """Say that one's side wants this match; the other side is asked."""
    need, offer = _both(need_id, offer_id)
    score = score_of(exchange(), database(), need, offer, on=today())
    express_interest(database(), person(), need, offer, score=score, **data)
    return life_of(need, offer)


@doors.opens(
    "POST", f"{PAIR}/answer", roles=POSTERS, scope=WRITES, takes=AnswerSchema, gives=MatchSaid
)
def answer(need_id: int, offer_id: int, data: dict[str, Any]) -> Any:
    """Accept or decline the other side's interest."""
    need, offer = _both(need_id, offer_id)
    answer_interest(database(), person(), _begun(need, offer), **data)
    return life_of(need, offer)


@doors.opens(
    "POST", f"{PAIR}/dismiss", roles=POSTERS, scope=WRITES, takes=DismissalSchema, gives=MatchSaid
)
def dismiss(need_id: int, offer_id: int, data: dict[str, Any]) -> Any:
    """Take a match out of one's list, with the reason, until either post changes."""
    need, offer = _both(need_id, offer_id)
    score = score_of(exchange(), database(), need, offer, on=today())
    dismiss_match(database(), person(), need, offer, score=score, **data)
    return life_of(need, offer)


@doors.opens("POST", f"{PAIR}/restore", roles=POSTERS, scope=WRITES, gives=MatchSaid)
def restore(need_id: int, offer_id: int) -> Any:
    """Bring a dismissed or declined match back."""
    need, offer = _both(need_id, offer_id)
    restore_match(database(), person(), _begun(need, offer))
    return life_of(need, offer)


def _begun(need: Need, offer: Offer) -> Match:
    match = find_match(database(), need, offer)
    if match is None:
        raise NotFound("no_such_match", id=f"{need.reference} / {offer.reference}")
    return match
