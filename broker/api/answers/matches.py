"""Matches, as the API tells of them: ranked, taken apart, and what both sides said."""

from __future__ import annotations

from typing import Any

from flask import url_for
from marshmallow import Schema, fields

from broker.api.answers.posts import ShortPost, short_post
from broker.api.answers.values import LinksSaid, maybe, plain, text
from broker.engine import Standing
from broker.explanations import (
    change_sentence,
    contribution_sentences,
    failure_sentence,
    reason_sentence,
)
from broker.interests import find_match
from broker.matches import Matches, PairView, RankedMatch
from broker.web.reading import database, exchange, language
from matching.explain import Change, Contribution, Explanation, WhyNot
from models import Match, Need, Offer


class EngineSaid(Schema):
    """With what scores were made."""

    text_version = text()
    has_encoder = fields.Boolean(required=True)
    weights_version = text()


class RankedSaid(Schema):
    """A match in a ranked list."""

    place = fields.Integer(required=True)
    need = fields.Nested(ShortPost, required=True)
    offer = fields.Nested(ShortPost, required=True)
    score = fields.Float(required=True)
    band = text()
    reason = fields.Dict(required=True)
    reason_text = text()
    status = text()
    links = fields.Nested(LinksSaid, required=True)


class RankedList(Schema):
    """The ranked matches of a post."""

    items = fields.List(fields.Nested(RankedSaid), required=True)
    nobody = fields.Boolean(required=True)
    eligible = fields.Integer(required=True)
    excluded = fields.Dict(values=fields.Integer(), required=True)
    engine = fields.Nested(EngineSaid, required=True)


class ExcludedRule(Schema):
    """A rule, and the offers that it rules out."""

    rule = text()
    offers = fields.List(fields.Nested(ShortPost), required=True)


class ExcludedList(Schema):
    """Every offer that cannot serve a need, by rule."""

    items = fields.List(fields.Nested(ExcludedRule), required=True)


class ContributionSaid(Schema):
    """What a component gives to a score."""

    component = text()
    weight = fields.Float(required=True)
    similarity = fields.Float(required=True)
    points = fields.Float(required=True)
    micro_points = fields.Integer(required=True)
    possible = fields.Integer(required=True)
    state = text()
    parts = fields.List(fields.Dict(), required=True)


class ExplanationSaid(Schema):
    """A score taken apart: contributions add up to it exactly, in millionths of a point."""

    score = fields.Float(required=True)
    micro_points = fields.Integer(required=True)
    band = text()
    contributions = fields.List(fields.Nested(ContributionSaid), required=True)
    mandates = fields.List(fields.String(), required=True)
    text = fields.Dict(allow_none=True)


class WhyNotSaid(Schema):
    """The rules that keep a pair from being a match."""

    is_match = fields.Boolean(required=True)
    failures = fields.List(fields.Dict(), required=True)
    score = maybe(fields.Float)
    rank = maybe(fields.Integer)
    eligible = maybe(fields.Integer)


class ChangeSaid(Schema):
    """One edit that would raise the score; ``opens``: the pair is no match without it."""

    side = text()
    field = text()
    kind = text()
    value = fields.Raw(allow_none=True)
    points = fields.Float(required=True)
    opens = fields.Boolean(required=True)
    sentence = text()


class ChangeList(Schema):
    """Single edits, those that would raise the score most."""

    items = fields.List(fields.Nested(ChangeSaid), required=True)


class InterestSaid(Schema):
    """A side's word that it wants a match, and the other side's answer."""

    side = text()
    message = text()
    share = maybe(fields.Integer)
    created_at = fields.DateTime(required=True)
    answer = maybe(fields.String)
    answer_reason = maybe(fields.String)
    answer_message = text()
    answered_at = maybe(fields.DateTime)


class MatchSaid(Schema):
    """What both sides have said about a pair."""

    id = fields.Integer(required=True)
    need = fields.Nested(ShortPost, required=True)
    offer = fields.Nested(ShortPost, required=True)
    status = text()
    score = maybe(fields.Float)
    interests = fields.List(fields.Nested(InterestSaid), required=True)
    links = fields.Nested(LinksSaid, required=True)


class MatchList(Schema):
    """Several matches."""

    items = fields.List(fields.Nested(MatchSaid), required=True)


class PairSaid(Schema):
    """Everything about one pair."""

    need = fields.Nested(ShortPost, required=True)
    offer = fields.Nested(ShortPost, required=True)
    is_match = fields.Boolean(required=True)
    explanation = fields.Nested(ExplanationSaid, allow_none=True)
    why_not = fields.Nested(WhyNotSaid, required=True)
    changes = fields.List(fields.Nested(ChangeSaid), required=True)
    side = maybe(fields.String)
    match = fields.Nested(MatchSaid, allow_none=True)
    engine = fields.Nested(EngineSaid, required=True)
    links = fields.Nested(LinksSaid, required=True)


def engine_standing(found: Standing) -> dict[str, Any]:
    """With what scores were made."""
    return {
        "text_version": found.text_version,
        "has_encoder": found.has_encoder,
        "weights_version": str(getattr(found.weights, "version", "")),
    }


def ranked(row: RankedMatch) -> dict[str, Any]:
    """A match in a ranked list."""
    return {
        "place": row.place,
        "need": short_post(row.need),
        "offer": short_post(row.offer),
        "score": row.points,
        "band": row.band,
        "reason": row.reason,
        "reason_text": reason_sentence(row.reason, exchange().reference, language()),
        "status": str(row.life.status) if row.life else "suggested",
        "links": pair_links(row.need, row.offer),
    }


def pair_links(need: Need, offer: Offer) -> dict[str, str]:
    """Where everything about a pair stands."""
    values: dict[str, Any] = {"need_id": need.id, "offer_id": offer.id, "_external": True}
    return {
        "self": url_for("api_matches.pair", **values),
        "page": url_for("matches.pair", **values),
    }


def ranked_list(found: Matches) -> dict[str, Any]:
    """The ranked matches of a post."""
    return {
        "items": [ranked(row) for row in found.rows],
        "nobody": found.nobody,
        "eligible": found.eligible,
        "excluded": found.excluded,
        "engine": engine_standing(found.standing),
    }


def explanation(found: Explanation) -> dict[str, Any]:
    """A score taken apart: the contributions add up to it exactly, in millionths of a point."""
    return {
        "score": found.points,
        "micro_points": found.micro_points,
        "band": found.band,
        "contributions": [_contribution(part) for part in found.contributions],
        "mandates": list(found.mandates),
        "text": plain(found.text),
    }


def _contribution(found: Contribution) -> dict[str, Any]:
    sentences = contribution_sentences(found, exchange().reference, language())
    return {
        "component": found.component,
        "weight": found.weight,
        "similarity": found.similarity,
        "points": found.points,
        "micro_points": found.micro_points,
        "possible": found.possible,
        "state": found.state,
        "parts": [
            {**plain(part), "name": name, "sentence": sentence}
            for part, (name, _state, sentence) in zip(found.parts, sentences, strict=True)
        ],
    }


def why_not(found: WhyNot | None) -> dict[str, Any]:
    """The rules that keep a pair from being a match, and what it would have scored."""
    reference, failures = exchange().reference, found.failures if found else ()
    return {
        "is_match": found is not None and not failures,
        "failures": [
            {**plain(failure), "sentence": failure_sentence(failure, reference, language())}
            for failure in failures
        ],
        "score": found.points if found else None,
        "rank": found.rank if found else None,
        "eligible": found.eligible if found else None,
    }


def change(found: Change) -> dict[str, Any]:
    """One edit that would raise the score."""
    return {
        "side": found.side,
        "field": found.field,
        "kind": found.kind,
        "value": plain(found.value),
        "points": found.points,
        "opens": found.opens,
        "sentence": change_sentence(found, exchange().reference, language()),
    }


def pair(view: PairView) -> dict[str, Any]:
    """Everything about one pair."""
    return {
        "need": short_post(view.need),
        "offer": short_post(view.offer),
        "is_match": view.is_match,
        "explanation": explanation(view.explanation) if view.explanation else None,
        "why_not": why_not(view.why_not),
        "changes": [change(one) for one in view.changes],
        "side": view.side,
        "match": life(view.life) if view.life else None,
        "engine": engine_standing(view.standing),
        "links": pair_links(view.need, view.offer),
    }


def life(match: Match) -> dict[str, Any]:
    """What both sides have said about a pair."""
    return {
        "id": match.id,
        "need": short_post(match.need),
        "offer": short_post(match.offer),
        "status": str(match.status),
        "score": match.score,
        "interests": [
            {
                "side": interest.side,
                "message": interest.message,
                "share": interest.share,
                "created_at": plain(interest.created_at),
                "answer": interest.answer,
                "answer_reason": interest.answer_reason,
                "answer_message": interest.answer_message,
                "answered_at": plain(interest.answered_at),
            }
            for interest in match.interests
        ],
        "links": pair_links(match.need, match.offer),
    }


def life_of(need: Need, offer: Offer) -> dict[str, Any]:
    """What both sides have said about a pair, after one has just said something."""
    database().flush()
    match = find_match(database(), need, offer)
    assert match is not None  # noqa: S101 - it was just written
    return life(match)
