"""Agreements, as the API tells of them to this reader."""

from __future__ import annotations

from typing import Any

from flask import url_for
from marshmallow import Schema, fields

from broker.agreements import standing
from broker.api.answers.indicators import IndicatorRow, indicator
from broker.api.answers.organisations import OrganisationName, organisation_name
from broker.api.answers.posts import ShortPost, short_post
from broker.api.answers.values import LinksSaid, maybe, plain, slice_schema, text, told
from broker.schemas import TermsSchema
from broker.terms import terms_content
from broker.web.access import reader
from broker.web.reading import today
from models import Agreement, AgreementTerms, Milestone

TermsSaid = told(TermsSchema, "TermsSaid")


class PartySaid(Schema):
    """An organisation that takes part, and what it has accepted and signed."""

    organisation = fields.Nested(OrganisationName, required=True)
    role = text()
    contribution = text()
    accepts_terms = fields.Boolean(required=True)
    signed_at = maybe(fields.DateTime)


class MilestoneRow(Schema):
    """A dated step, with the day on which it was reached."""

    id = fields.Integer(required=True)
    title = text()
    due = fields.Date(required=True)
    done_on = maybe(fields.Date)
    evidence = text()


class AgreementSaid(Schema):
    """An agreement as this reader may read it; what the parties do not show is null."""

    id = fields.Integer(required=True)
    reference = text()
    kind = text()
    status = text()
    revision = fields.Integer(required=True)
    terms_number = fields.Integer(required=True)
    terms = fields.Nested(TermsSaid, required=True)
    need = fields.Nested(ShortPost, required=True)
    offer = fields.Nested(ShortPost, required=True)
    parties = fields.List(fields.Nested(PartySaid), required=True)
    milestones = fields.List(fields.Nested(MilestoneRow), required=True)
    step = text()
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)
    signed_at = maybe(fields.DateTime)
    ended_at = maybe(fields.DateTime)
    links = fields.Nested(LinksSaid, required=True)


class WholeAgreement(AgreementSaid):
    """An agreement with its indicators and their reported values."""

    indicators = fields.List(fields.Nested(IndicatorRow), required=True)
    closing_report = text()


AgreementSlice = slice_schema(AgreementSaid, "AgreementSlice")


class TermsVersionSaid(Schema):
    """One version of the terms."""

    number = fields.Integer(required=True)
    author = fields.Nested(OrganisationName, required=True)
    created_at = fields.DateTime(required=True)
    terms = fields.Nested(TermsSaid, required=True)


class TermsVersionList(Schema):
    """Every version of the terms, the newest first."""

    items = fields.List(fields.Nested(TermsVersionSaid), required=True)


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
        "indicators": [indicator(one, notes=negotiating) for one in found.indicators],
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


def terms_version(found: AgreementTerms) -> dict[str, Any]:
    """One version of the terms, with who wrote it and when."""
    return {
        "number": found.number,
        "author": organisation_name(found.author.organisation),
        "created_at": plain(found.created_at),
        "terms": terms_content(found),
    }
