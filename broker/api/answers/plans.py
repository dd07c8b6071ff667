"""The action plan, as the API tells of it: plans, their lines, what serves them, what is common."""

from __future__ import annotations

from typing import Any

from flask import url_for
from marshmallow import Schema, fields

from broker.action_plan import LineSchema, Progress, content_of_line
from broker.api.answers.indicators import IndicatorRow, indicator
from broker.api.answers.organisations import OrganisationName, organisation_name
from broker.api.answers.posts import ShortPost, short_post
from broker.api.answers.values import AMOUNT, LinksSaid, maybe, plain, slice_schema, text, told
from broker.plan_choice import Candidate, Common
from broker.plan_files import scope_name
from broker.plan_support import Known
from broker.web.reading import exchange, language
from models import ActionPlan, Agreement, PlanLine

FILES = ("xlsx", "docx", "pdf")
"""Endings of the matrix as a file; the XLSX can be filled in and brought back."""


class CycleSaid(Schema):
    """A cycle of two years, with how many plans there are for it."""

    starts = fields.Integer(required=True)
    ends = fields.Integer(required=True)
    plans = fields.Integer(required=True)


class CycleList(Schema):
    """The cycles for which there is a plan, the newest first."""

    items = fields.List(fields.Nested(CycleSaid), required=True)


PlanLinks = LinksSaid.from_dict(
    {name: fields.URL(required=True) for name in ("lines", "common", *FILES)}, name="PlanLinks"
)
"""Where a plan, its parts and its files stand."""


class PlanName(Schema):
    """A plan as its lines name it."""

    id = fields.Integer(required=True)
    scope = text(metadata={"description": "ISO 3166 code, code of a subregion, or `regional`."})
    name = text()


class PlanSaid(PlanName):
    """The plan of a country, a subregion or the region for one cycle."""

    country = maybe(fields.String)
    starts = fields.Integer(required=True)
    ends = fields.Integer(required=True)
    status = text()
    adopted_at = maybe(fields.DateTime)
    source = fields.Dict(required=True, metadata={"description": "The document that it is from."})
    links = fields.Nested(PlanLinks, required=True)


PlanSlice = slice_schema(PlanSaid, "PlanSlice")


class ProgressSaid(Schema):
    """How a plan stands against its targets; `mean` is the mean share of the way, 0 to 1."""

    indicators = fields.Integer(required=True)
    with_target = fields.Integer(required=True)
    reported = fields.Integer(required=True)
    reached = fields.Integer(required=True)
    late = fields.Integer(required=True)
    mean = maybe(fields.Float)


class WholePlan(PlanSaid):
    """A plan, with how many lines it shows in each dimension and how they stand."""

    lines = fields.Dict(
        values=fields.Integer(), required=True, metadata={"description": "Dimension → lines."}
    )
    progress = fields.Nested(ProgressSaid, required=True)


class AgreementName(Schema):
    """An agreement as others name it."""

    id = fields.Integer(required=True)
    reference = text()
    status = text()
    links = fields.Nested(LinksSaid, required=True)


class LineSupport(Schema):
    """What the exchange knows of a line from what is linked to it; nobody typed it."""

    needs = fields.List(fields.Nested(ShortPost), required=True)
    offers = fields.List(fields.Nested(ShortPost), required=True)
    agreements = fields.List(fields.Nested(AgreementName), required=True)
    money = fields.Dict(
        values=fields.String(metadata=AMOUNT),
        required=True,
        metadata={"description": "Currency → what the agreements have committed."},
    )
    places = fields.Integer(required=True)
    actors = fields.List(fields.Nested(OrganisationName), required=True)


class PlanLinkSaid(Schema):
    """A post or an agreement that serves a line."""

    id = fields.Integer(required=True)
    kind = text()
    entity = fields.Integer(required=True)


class ChoiceSaid(Schema):
    """The subregion's plan that has chosen a line of a country's, and why."""

    plan = fields.Nested(PlanName, required=True)
    reason = text()


def _line_facts() -> dict[str, fields.Field]:
    return {
        "id": fields.Integer(required=True),
        "plan": fields.Nested(PlanName, required=True),
        "revision": fields.Integer(required=True),
        "indicators": fields.List(fields.Nested(IndicatorRow), required=True),
        "translations": fields.Dict(
            required=True, metadata={"description": "Language → field → text."}
        ),
        "source": fields.Dict(required=True),
        "chosen": fields.Nested(ChoiceSaid, required=True, allow_none=True),
        "linked": fields.List(fields.Nested(PlanLinkSaid), required=True),
        "from_exchange": fields.Nested(LineSupport, required=True),
        "links": fields.Nested(LinksSaid, required=True),
    }


PlanLineSaid = told(LineSchema, "PlanLineSaid", **_line_facts())
PlanLineSlice = slice_schema(PlanLineSaid, "PlanLineSlice")


class ShortLine(Schema):
    """A line as others name it, in the reader's language where it is written so."""

    id = fields.Integer(required=True)
    plan = fields.Nested(PlanName, required=True)
    dimension = text()
    priority = text()
    language = text()
    links = fields.Nested(LinksSaid, required=True)


class CandidateSaid(Schema):
    """A line that a coordinator may choose, with the evidence for it."""

    line = fields.Nested(ShortLine, required=True)
    chosen = fields.Nested(ChoiceSaid, required=True, allow_none=True)
    countries = fields.List(fields.String(), required=True)
    needs = fields.Integer(required=True)
    offers = fields.Integer(required=True)
    agreements = fields.Integer(required=True)
    mandates = fields.Integer(required=True)
    task_forces = fields.List(fields.String(), required=True)


class CandidateList(Schema):
    """The lines of a subregion's countries, best supported first."""

    items = fields.List(fields.Nested(CandidateSaid), required=True)


class CommonMember(Schema):
    """A subregion's line in what all four have in common."""

    subregion = text()
    line = fields.Nested(ShortLine, required=True)


class CommonSaid(Schema):
    """A priority that all four subregions share; `likeness` is that of the two least alike."""

    likeness = fields.Float(required=True)
    themes = fields.List(fields.String(), required=True)
    members = fields.List(fields.Nested(CommonMember), required=True)


class CommonList(Schema):
    """What the four subregions have in common, the most alike first."""

    items = fields.List(fields.Nested(CommonSaid), required=True)


class BroughtSaid(Schema):
    """What came of a matrix that was brought back."""

    added = fields.Integer(required=True)
    changed = fields.Integer(required=True)
    same = fields.Integer(required=True)


class SuggestionList(Schema):
    """Posts that may serve a line, the nearest first."""

    items = fields.List(fields.Nested(ShortPost), required=True)


def plan_name(found: ActionPlan) -> dict[str, Any]:
    """A plan as its lines name it."""
    name = scope_name(found.scope, exchange().reference, language())
    return {"id": found.id, "scope": found.scope, "name": name}


def plan(found: ActionPlan) -> dict[str, Any]:
    """A plan: whose, for when, and how it stands."""
    values: dict[str, Any] = {"plan_id": found.id, "_external": True}
    return {
        **plan_name(found),
        "country": found.country_code,
        "starts": found.starts,
        "ends": found.ends,
        "status": str(found.status),
        "adopted_at": plain(found.adopted_at),
        "source": found.source,
        "links": {
            "self": url_for("api_plans.plan", **values),
            "page": url_for("plans.show", **values),
            "lines": url_for("api_plans.lines", **values),
            "common": url_for("api_plans.common", **values),
            **{ending: url_for("plans.file", ending=ending, **values) for ending in FILES},
        },
    }


def whole_plan(found: ActionPlan, counts: dict[str, int], progress: Progress) -> dict[str, Any]:
    """A plan with how many lines it shows in each dimension, and how they stand."""
    return {**plan(found), "lines": counts, "progress": plain(progress)}


def _line_links(line: PlanLine) -> dict[str, str]:
    values: dict[str, Any] = {"plan_id": line.plan_id, "line_id": line.id, "_external": True}
    return {"self": url_for("api_plans.line", **values), "page": url_for("plans.line", **values)}


def short_line(line: PlanLine) -> dict[str, Any]:
    """A line as others name it."""
    return {
        "id": line.id,
        "plan": plan_name(line.plan),
        "dimension": line.dimension,
        "priority": line.said("priority", language()),
        "language": line.language,
        "links": _line_links(line),
    }


def plan_line(line: PlanLine, known: Known | None) -> dict[str, Any]:
    """A line as it is written, with its indicators' progress and what the exchange knows of it."""
    return {
        **content_of_line(line),
        "id": line.id,
        "plan": plan_name(line.plan),
        "revision": line.revision,
        "indicators": [indicator(one, notes=True) for one in line.indicators],
        "translations": line.translations or {},
        "source": line.source or {},
        "chosen": _choice(line),
        "linked": [
            {"id": link.id, "kind": link.kind, "entity": link.entity_id} for link in line.links
        ],
        "from_exchange": _support(known or Known()),
        "links": _line_links(line),
    }


def _choice(line: PlanLine) -> dict[str, Any] | None:
    if line.subregion_plan is None:
        return None
    return {"plan": plan_name(line.subregion_plan), "reason": line.choice_reason}


def _support(known: Known) -> dict[str, Any]:
    return {
        "needs": [short_post(post) for post in known.needs],
        "offers": [short_post(post) for post in known.offers],
        "agreements": [_agreement_name(one) for one in known.agreements],
        "money": plain(known.money),
        "places": known.places,
        "actors": [organisation_name(one) for one in known.actors],
    }


def _agreement_name(found: Agreement) -> dict[str, Any]:
    return {
        "id": found.id,
        "reference": found.reference,
        "status": str(found.status),
        "links": {
            "self": url_for("api_agreements.agreement", agreement_id=found.id, _external=True),
            "page": url_for("agreements.show", agreement_id=found.id, _external=True),
        },
    }


def candidate(found: Candidate) -> dict[str, Any]:
    """A line that may be chosen, with the evidence for it."""
    return {
        "line": short_line(found.line),
        "chosen": _choice(found.line),
        "countries": found.countries,
        "needs": found.needs,
        "offers": found.offers,
        "agreements": found.agreements,
        "mandates": found.mandates,
        "task_forces": found.task_forces,
    }


def common(found: Common) -> dict[str, Any]:
    """What all four subregions share, with the line of each."""
    return {
        "likeness": found.likeness,
        "themes": found.themes,
        "members": [{"subregion": scope, "line": short_line(line)} for scope, line in found.lines],
    }
