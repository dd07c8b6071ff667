"""What the API says of each noun, in JSON: the same content as its page shows to this reader."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from flask import url_for

from broker.agreements import standing
from broker.clearing import seals_grant
from broker.clearing_money import without_sealed
from broker.engine import Standing
from broker.explanations import (
    change_sentence,
    contribution_sentences,
    failure_sentence,
    reason_sentence,
)
from broker.interests import find_match
from broker.matches import Matches, PairView, RankedMatch
from broker.posts import possible_actions, seals_money, visible_content
from broker.terms import terms_content
from broker.web.access import reader
from broker.web.presentation import post_address
from broker.web.reading import database, exchange, language, today
from matching.explain import Change, Contribution, Explanation, WhyNot
from models import (
    Agreement,
    AgreementTerms,
    ClearingRound,
    Indicator,
    Match,
    Milestone,
    Need,
    Offer,
    Organisation,
    Post,
    RoundProposal,
    RoundVersion,
    User,
)


def plain(value: Any) -> Any:
    """A value as JSON holds it; amounts are texts, so that no cent is lost."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date | datetime) else value


def listed(items: list[Any], following: str | None = None) -> dict[str, Any]:
    """A list, or a slice of one with the address of the next."""
    return {"items": items, "next": following}


def organisation_name(organisation: Organisation) -> dict[str, Any]:
    """An organisation as others name it."""
    return {"code": organisation.code, "name": organisation.name(language())}


def whole_organisation(organisation: Organisation) -> dict[str, Any]:
    """Everything that is known of an organisation."""
    return {
        **organisation_name(organisation),
        "kind": organisation.kind,
        "country": organisation.country_code,
        "names": organisation.names,
        "acronym": organisation.acronym,
        "links": {
            "self": url_for(
                "api_organisations.organisation", code=organisation.code, _external=True
            ),
            "page": url_for("public.organisation", code=organisation.code, _external=True),
        },
    }


def short_post(post: Post) -> dict[str, Any]:
    """A post as others name it."""
    return {
        "id": post.id,
        "kind": post.kind,
        "reference": post.reference,
        "title": post.title_in(language()),
        "organisation": organisation_name(post.organisation),
        "status": str(post.status),
        "links": _links(post),
    }


def _links(post: Post) -> dict[str, str]:
    return {
        "self": url_for(f"api_posts.{post.kind}", post_id=post.id, _external=True),
        "page": _absolute(post_address(post)),
        "matches": url_for(f"api_matches.of_{post.kind}", post_id=post.id, _external=True),
    }


def _absolute(path: str) -> str:
    return url_for("public.home", _external=True).rstrip("/") + path


def whole_post(post: Need | Offer) -> dict[str, Any]:
    """Everything that a post says to this reader, and what she can do with it."""
    if post.id is None or database().dirty or database().new:
        database().flush()
    by = reader()
    own = post.can_be_edited_by(by) or post.can_be_moderated_by(by)
    said: dict[str, Any] = {
        **_links_first(post),
        **visible_content(post, by),
        "organisation": organisation_name(post.organisation),
        "status": str(post.status),
        "version": post.version,
        "revision": post.revision,
        "money_hidden": seals_money(post, by),
        "created_at": plain(post.created_at),
        "updated_at": plain(post.updated_at),
        "published_at": plain(post.published_at),
        "expires_on": plain(post.expires_on),
        "actions": sorted(possible_actions(post, by)),
        "comment": post.comment if own else "",
    }
    if isinstance(post, Offer):
        said["places_left"] = post.remaining_places()
        said["money_left"] = None if seals_money(post, by) else plain(post.remaining_money())
    else:
        hidden = seals_money(post, by)
        said["places_open"] = post.places_open()
        said["money_open"] = None if hidden else plain(post.money_open())
    return said


def _links_first(post: Post) -> dict[str, Any]:
    return {
        "id": post.id,
        "kind": post.kind,
        "reference": post.reference,
        "links": _links(post),
    }


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


def agreement(found: Agreement) -> dict[str, Any]:
    """An agreement as this reader may read it: the register's part, or all of it."""
    by = reader()
    now = standing(found, by, today=today())
    terms = found.current_terms
    agreed = terms_content(terms)
    hidden = {"note"} if not now.reads_negotiation else set()
    hidden |= set() if now.shows_money else {"money", "currency"}
    hidden |= (
        set() if now.shows_activities else {"activities", "need_side_duties", "offer_side_duties"}
    )
    return {
        "id": found.id,
        "reference": found.reference,
        "kind": str(found.kind),
        "status": str(found.status),
        "revision": found.revision,
        "terms_number": terms.number,
        "terms": {name: None if name in hidden else value for name, value in agreed.items()},
        "need": short_post(found.need),
        "offer": short_post(found.offer),
        "parties": [
            {
                "organisation": organisation_name(party.organisation),
                "role": party.role,
                "contribution": party.contribution if now.shows_activities else "",
                "accepts_terms": party.accepted_number == terms.number,
                "signed_at": plain(party.signed_at),
            }
            for party in found.parties
        ],
        "milestones": [_milestone(one, now.reads_negotiation) for one in found.milestones],
        "step": str(now.step),
        "created_at": plain(found.created_at),
        "updated_at": plain(found.updated_at),
        "signed_at": plain(found.signed_at),
        "ended_at": plain(found.ended_at),
        "links": {
            "self": url_for("api_agreements.agreement", agreement_id=found.id, _external=True),
            "page": url_for("agreements.show", agreement_id=found.id, _external=True),
        },
    }


def whole_agreement(found: Agreement) -> dict[str, Any]:
    """An agreement with its indicators and their reported values."""
    negotiating = found.reads_negotiation(reader())
    return {
        **agreement(found),
        "indicators": [_indicator(one, negotiating) for one in found.indicators],
        "closing_report": found.closing_report if negotiating else "",
    }


def _milestone(found: Milestone, whole: bool) -> dict[str, Any]:
    return {
        "id": found.id,
        "title": found.title,
        "due": plain(found.due),
        "done_on": plain(found.done_on),
        "evidence": found.evidence if whole else "",
    }


def _indicator(found: Indicator, whole: bool) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "unit": found.unit,
        "baseline": found.baseline,
        "target": found.target,
        "due": plain(found.due),
        "progress": found.progress(),
        "reports": [
            {"on": plain(r.on), "value": r.value, "note": r.note if whole else ""}
            for r in found.reports
        ],
    }


def terms_version(found: AgreementTerms) -> dict[str, Any]:
    """One version of the terms, with who wrote it and when."""
    return {
        "number": found.number,
        "author": organisation_name(found.author.organisation),
        "created_at": plain(found.created_at),
        "terms": terms_content(found),
    }


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
