"""Schemas of what the API says: they stand in the OpenAPI document, and answers are held to them.

What a post or the terms of an agreement say is taken from the schema of their input, so that a
field that is added there is documented here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from marshmallow import INCLUDE, Schema, fields

from broker.schemas import Code, Day, Money, NeedSchema, OfferSchema, TermsSchema

AMOUNT = {"description": "Digits with a point before the cents, as a text."}


def text(**kwargs: Any) -> fields.String:
    """A text that is always there."""
    return fields.String(required=True, **kwargs)


def maybe(field: type[fields.Field], **kwargs: Any) -> fields.Field:
    """A value that may be null."""
    return field(allow_none=True, **kwargs)


def told(schema: type[Schema], name: str, **more: fields.Field) -> type[Schema]:
    """The schema of an answer that says what ``schema`` takes in, and ``more``."""
    known = {n: _told(field) for n, field in schema._declared_fields.items()}
    return type(name, (Schema,), {**known, **more, "__doc__": schema.__doc__})


@cache
def _told_within(schema: type[Schema]) -> type[Schema]:
    return told(schema, schema.__name__.removesuffix("Schema") + "Said")


def _told(field: fields.Field) -> fields.Field:
    """The same field without what is asked of input alone."""
    if isinstance(field, Day):
        return fields.Date(allow_none=True)
    if isinstance(field, Money):
        return fields.String(allow_none=True, metadata=AMOUNT)
    if isinstance(field, fields.List):
        return fields.List(_told(field.inner), allow_none=True)
    if isinstance(field, fields.Nested):
        return fields.Nested(_told_within(field.schema.__class__))
    if isinstance(field, fields.Dict):
        return fields.Dict(allow_none=True)
    if isinstance(field, fields.Boolean):
        return fields.Boolean(allow_none=True)
    if isinstance(field, fields.Integer):
        return fields.Integer(allow_none=True)
    if isinstance(field, fields.Float):
        return fields.Float(allow_none=True)
    if isinstance(field, Code):
        return fields.String(allow_none=True, metadata={"description": f"Code of a {field.scheme}"})
    return fields.String(allow_none=True)


def slice_schema(item: type[Schema], name: str) -> type[Schema]:
    """A slice of a list, with the address of the next one."""
    return type(
        name,
        (Schema,),
        {
            "items": fields.List(fields.Nested(item), required=True),
            "next": fields.URL(
                required=True, allow_none=True, metadata={"description": "The next slice."}
            ),
        },
    )


class LinksSaid(Schema):
    """Where a thing stands."""

    self = fields.URL(required=True)
    page = fields.URL(metadata={"description": "The page for people."})
    matches = fields.URL()


class OrganisationName(Schema):
    """An organisation as others name it."""

    code = text()
    name = text()


class OrganisationSaid(OrganisationName):
    """Everything that is known of an organisation."""

    kind = text()
    country = maybe(fields.String)
    names = fields.Dict(required=True)
    acronym = maybe(fields.String)
    links = fields.Nested(LinksSaid, required=True)


class ShortPost(Schema):
    """A post as others name it."""

    id = fields.Integer(required=True)
    kind = text()
    reference = text()
    title = text()
    organisation = fields.Nested(OrganisationName, required=True)
    status = text()
    links = fields.Nested(LinksSaid, required=True)


def _post_facts() -> dict[str, fields.Field]:
    return {
        "id": fields.Integer(required=True),
        "kind": text(),
        "reference": text(),
        "links": fields.Nested(LinksSaid, required=True),
        "organisation": fields.Nested(OrganisationName, required=True),
        "status": text(),
        "version": fields.Integer(required=True),
        "revision": fields.Integer(required=True),
        "money_hidden": fields.Boolean(required=True),
        "created_at": fields.DateTime(required=True),
        "updated_at": fields.DateTime(required=True),
        "published_at": fields.DateTime(allow_none=True),
        "expires_on": fields.Date(allow_none=True),
        "actions": fields.List(fields.String(), required=True),
        "comment": text(),
    }


NeedSaid = told(
    NeedSchema,
    "NeedSaid",
    **_post_facts(),
    places_open=fields.Integer(allow_none=True),
    money_open=fields.String(allow_none=True, metadata=AMOUNT),
)
OfferSaid = told(
    OfferSchema,
    "OfferSaid",
    **_post_facts(),
    places_left=fields.Integer(allow_none=True),
    money_left=fields.String(allow_none=True, metadata=AMOUNT),
)
NeedSlice, OfferSlice = slice_schema(NeedSaid, "NeedSlice"), slice_schema(OfferSaid, "OfferSlice")


class VersionSaid(Schema):
    """A published text as others saw it."""

    number = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    content = fields.Dict(required=True)


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


class ReportedValue(Schema):
    """A value reported for an indicator."""

    on = fields.Date(required=True)
    value = fields.Float(required=True)
    note = text()


class IndicatorRow(Schema):
    """A measured quantity and its way to the target."""

    id = fields.Integer(required=True)
    name = text()
    unit = text()
    baseline = maybe(fields.Float)
    target = fields.Float(required=True)
    due = maybe(fields.Date)
    progress = maybe(fields.Float)
    reports = fields.List(fields.Nested(ReportedValue), required=True)


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


class TermSaid(Schema):
    """A code of a taxonomy with its labels; ``extra`` is what only some taxonomies have."""

    code = text()
    label = text()
    labels = fields.Dict(required=True)
    parent = maybe(fields.String)
    extra = fields.Dict(required=True)


class TaxonomySaid(Schema):
    """A taxonomy with its codes, in their order."""

    name = text()
    items = fields.List(fields.Nested(TermSaid), required=True)


class TaxonomyList(Schema):
    """The names of the taxonomies, with how many codes each has."""

    items = fields.Dict(values=fields.Integer(), required=True)


class CountrySaid(Schema):
    """A country by its ISO 3166 and UN M49 codes."""

    code = text()
    iso3 = text()
    m49 = text()
    label = text()
    labels = fields.Dict(required=True)
    subregion = maybe(fields.String)
    small_island = fields.Boolean(required=True)
    least_developed = fields.Boolean(required=True)
    currency = maybe(fields.String)


class CountryList(Schema):
    """Countries of the region, and others that are named in the data."""

    items = fields.List(fields.Nested(CountrySaid), required=True)


class CurrencySaid(Schema):
    """A currency by its ISO 4217 code, with the rate by which amounts are compared."""

    code = text()
    label = text()
    labels = fields.Dict(required=True)
    minor = fields.Integer(required=True)
    usd_rate = fields.Float(required=True)
    rate_date = maybe(fields.Date)
    rate_source = text()


class CurrencyList(Schema):
    """Currencies."""

    items = fields.List(fields.Nested(CurrencySaid), required=True)


OrganisationSlice = slice_schema(OrganisationSaid, "OrganisationSlice")


class BoardSaid(Schema):
    """How the exchange stands now."""

    needs = fields.Integer(required=True)
    offers = fields.Integer(required=True)
    agreements = fields.Integer(required=True)
    needs_by_country = fields.Dict(values=fields.Integer(), required=True)


class ReportSaid(Schema):
    """The match report, as the secretariat's page and files say it."""

    language = text()
    scope = fields.Dict(required=True, metadata={"description": "The filters of the report."})
    figures = fields.Dict(required=True, metadata={"description": "Its key figures."})
    run = fields.Dict(allow_none=True)

    class Meta:
        """The tables, lists and statistics of the report are described on its page."""

        unknown = INCLUDE


class MeSaid(Schema):
    """Whom the token acts for, and what it may do."""

    name = text()
    role = text()
    organisation = fields.Nested(OrganisationName, required=True)
    language = text()
    token = text()
    scopes = fields.List(fields.String(), required=True)
    expires_at = fields.DateTime(required=True)


class Problem(Schema):
    """What is wrong, in the reader's language (RFC 9457)."""

    type = text(metadata={"description": "A name for the problem that never changes."})
    title = text()
    status = fields.Integer(required=True)
    detail = text()
    instance = text()
    errors = fields.Dict(metadata={"description": "Field → its problems, as sentences."})
