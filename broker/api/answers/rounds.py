"""Clearing rounds and their proposals, as the API tells of them."""

from __future__ import annotations

from typing import Any

from flask import url_for
from marshmallow import Schema, fields

from broker.api.answers.posts import ShortPost, short_post
from broker.api.answers.values import LinksSaid, maybe, plain, slice_schema, text
from broker.clearing import seals_grant
from broker.clearing_money import without_sealed
from models import ClearingRound, RoundProposal, RoundVersion, User


class RuleSaid(Schema):
    """A pair that a round requires or rules out."""

    id = fields.Integer(required=True)
    kind = text()
    need = fields.Nested(ShortPost, required=True)
    offer = fields.Nested(ShortPost, required=True)
    reason = text()


class RoundSaid(Schema):
    """A clearing round: its settings and where it stands."""

    id = fields.Integer(required=True)
    name = text()
    status = text()
    policy = text()
    scope = fields.Dict(required=True)
    floors = fields.Dict(required=True)
    revision = fields.Integer(required=True)
    versions = fields.List(fields.Integer(), required=True)
    created_at = fields.DateTime(required=True)
    sent_at = maybe(fields.DateTime)
    ended_at = maybe(fields.DateTime)
    rules = fields.List(fields.Nested(RuleSaid), required=True)
    links = fields.Nested(LinksSaid, required=True)


RoundSlice = slice_schema(RoundSaid, "RoundSlice")


class RoundVersionSaid(Schema):
    """What was cleared and what came of it, with the digests that prove both."""

    number = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    given_digest = text()
    result_digest = text()
    given = fields.Dict(required=True)
    result = fields.Dict(required=True)


class ProposalAnswerSaid(Schema):
    """What one side answered to a proposal."""

    side = text()
    accept = fields.Boolean(required=True)
    reason = maybe(fields.String)
    message = text()


class ProposalSaid(Schema):
    """What a round proposes to two sides, and what they answered."""

    id = fields.Integer(required=True)
    round = fields.Integer(required=True)
    need = fields.Nested(ShortPost, required=True)
    offer = fields.Nested(ShortPost, required=True)
    parts = fields.Dict(required=True)
    places = fields.Integer(required=True)
    score = fields.Float(required=True)
    status = text()
    answers = fields.List(fields.Nested(ProposalAnswerSaid), required=True)


class ProposalList(Schema):
    """Proposals of rounds."""

    items = fields.List(fields.Nested(ProposalSaid), required=True)


def clearing_round(found: ClearingRound) -> dict[str, Any]:
    """A clearing round: its settings and where it stands."""
    return {
        "id": found.id,
        "name": found.name,
        "status": str(found.status),
        "policy": found.policy,
        "scope": found.scope,
        "floors": found.floors,
        "revision": found.revision,
        "versions": [version.number for version in found.versions],
        "created_at": plain(found.created_at),
        "sent_at": plain(found.sent_at),
        "ended_at": plain(found.ended_at),
        "rules": [
            {
                "id": rule.id,
                "kind": rule.kind,
                "need": short_post(rule.need),
                "offer": short_post(rule.offer),
                "reason": rule.reason,
            }
            for rule in found.rules
        ],
        "links": {
            "self": url_for("api_rounds.clearing_round", round_id=found.id, _external=True),
            "page": url_for("clearing.show", round_id=found.id, _external=True),
        },
    }


def round_version(found: RoundVersion) -> dict[str, Any]:
    """What was cleared and what came of it, with the digests that prove both."""
    given, result = without_sealed(found.given, found.result)
    return {
        "number": found.number,
        "created_at": plain(found.created_at),
        "given_digest": found.given_digest,
        "result_digest": found.result_digest,
        "given": given,
        "result": result,
    }


def proposal(found: RoundProposal, by: User) -> dict[str, Any]:
    """What a round proposes to two sides, and what they answered; without a sealed amount."""
    sealed = found.money is not None and seals_grant(found, by)
    return {
        "id": found.id,
        "round": found.round_id,
        "need": short_post(found.need),
        "offer": short_post(found.offer),
        "parts": found.parts,
        "places": found.places,
        "money": None if sealed else plain(found.money),
        "currency": found.currency,
        "money_hidden": sealed,
        "score": found.score,
        "status": str(found.status),
        "answers": [
            {"side": one.side, "accept": one.accept, "reason": one.reason, "message": one.note}
            for one in found.answers
        ],
    }
