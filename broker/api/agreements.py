"""Agreements: the register, negotiation by versions, signature, and what follows."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from broker.agreements import (
    AbandonmentSchema,
    CompletionSchema,
    EvidenceSchema,
    RegisterFilter,
    TerminationSchema,
    VersionSchema,
    abandon_agreement,
    accept_terms,
    begin_terms,
    complete_agreement,
    find_agreements,
    finish_milestone,
    get_agreement,
    propose_agreement,
    put_terms,
    report_indicator,
    sign_agreement,
    start_agreement,
    terminate_agreement,
)
from broker.api.cursors import SliceQuery, slice_of
from broker.api.door import Door
from broker.api.matches import PAIR
from broker.api.said import AgreementSlice, TermsSaid, TermsVersionList, WholeAgreement
from broker.api.shapes import agreement as told
from broker.api.shapes import listed, terms_version, whole_agreement
from broker.interests import find_match
from broker.posts import get_post
from broker.ratings import RatingSchema, rate_agreement
from broker.schemas import IndicatorReportSchema, TermsSchema
from broker.web.access import EVERYBODY, POSTERS, SIGNED_IN, person, reader
from broker.web.reading import database, exchange, language, today
from models import (
    Agreement,
    AgreementKind,
    AgreementStatus,
    Conflict,
    Match,
    Need,
    NotFound,
    Offer,
)

doors = Door("api_agreements", __name__, description="Agreements, from the first terms to the end")

ONE = "/agreements/<int:agreement_id>"
WRITES = "write:agreements"

ORDER = (Agreement.created_at.desc(), Agreement.id.desc())


class RegisterQuery(SliceQuery):
    """The filters of the register: those of its page."""

    scope = fields.String(
        validate=validate.OneOf(("register", "mine", "negotiations")),
        load_default="register",
        metadata={"description": "`mine` and `negotiations` are for parties and moderators."},
    )
    status = fields.List(fields.String(validate=validate.OneOf([str(s) for s in AgreementStatus])))
    kind = fields.List(fields.String(validate=validate.OneOf([str(k) for k in AgreementKind])))
    theme = fields.List(fields.String(validate=validate.Length(max=64)))
    country = fields.List(fields.String(validate=validate.Length(max=2)))


@doors.opens("GET", "/agreements", roles=EVERYBODY, query=RegisterQuery, gives=AgreementSlice)
def register(query: dict[str, Any]) -> Any:
    """List what was agreed, for everybody; and one's own agreements, also under negotiation."""
    filters = RegisterFilter(
        scope=query["scope"],
        statuses=tuple(query.get("status", ())),
        kinds=tuple(query.get("kind", ())),
        themes=tuple(query.get("theme", ())),
        countries=tuple(query.get("country", ())),
    )
    rows, following = slice_of(database(), find_agreements(filters, reader()), ORDER, query)
    return listed([told(row) for row in rows], following)


@doors.opens(
    "GET", ONE, roles=EVERYBODY, gives=WholeAgreement, versioned=True, endpoint="agreement"
)
def read(agreement_id: int) -> Any:
    """Read an agreement: the register's part, or all of it for its parties."""
    return whole_agreement(get_agreement(database(), agreement_id, reader()))


@doors.opens("GET", f"{ONE}/terms", roles=SIGNED_IN, gives=TermsVersionList)
def versions(agreement_id: int) -> Any:
    """List every version of the terms, the newest first, for those who negotiate."""
    found = get_agreement(database(), agreement_id, person())
    if not found.reads_negotiation(person()):
        found.require_party(person())
    return {"items": [terms_version(terms) for terms in reversed(found.terms)]}


def _match(need_id: int, offer_id: int) -> Match:
    need = get_post(database(), "need", need_id, person())
    offer = get_post(database(), "offer", offer_id, person())
    assert isinstance(need, Need)  # noqa: S101 - the kind asked for is the kind given
    assert isinstance(offer, Offer)  # noqa: S101
    match = find_match(database(), need, offer)
    if match is None:
        raise NotFound("no_such_match", id=f"{need.reference} / {offer.reference}")
    return match


@doors.opens("GET", f"{PAIR}/terms", roles=POSTERS, gives=TermsSaid, endpoint="first_terms")
def draft(need_id: int, offer_id: int) -> Any:
    """Read a draft of the first terms, laid out from what need and offer already say."""
    return begin_terms(
        database(),
        person(),
        _match(need_id, offer_id),
        exchange().reference,
        language=language(),
        today=today(),
    )


@doors.opens(
    "POST", f"{PAIR}/agreement", roles=POSTERS, scope=WRITES, takes=TermsSchema, as_sent=True,
    status=201, gives=WholeAgreement, versioned=True, repeatable=True,
)  # fmt: skip
def propose(need_id: int, offer_id: int, data: dict[str, Any]) -> Any:
    """Put the first terms on the table, once both sides want the match."""
    made = propose_agreement(
        database(), person(), _match(need_id, offer_id), data, exchange().reference, today=today()
    )
    return _told(made)


def _own(agreement_id: int) -> Agreement:
    found = get_agreement(database(), agreement_id, person())
    found.require_party(person())
    return found


def _told(found: Agreement) -> dict[str, Any]:
    database().flush()
    return whole_agreement(found)


@doors.opens(
    "POST", f"{ONE}/terms", roles=POSTERS, scope=WRITES, takes=TermsSchema, as_sent=True,
    gives=WholeAgreement, versioned=True, needs_version=True,
)  # fmt: skip
def answer(agreement_id: int, data: dict[str, Any], revision: int | None) -> Any:
    """Answer with other terms; every party must accept the new version."""
    found = _own(agreement_id)
    if revision not in (None, found.revision):
        raise Conflict("terms_changed", number=found.current_terms.number)
    put_terms(
        database(),
        person(),
        found,
        data,
        exchange().reference,
        based_on=found.current_terms.number,
        today=today(),
    )
    return _told(found)


@doors.opens(
    "POST", f"{ONE}/accept", roles=POSTERS, scope=WRITES, takes=VersionSchema, gives=WholeAgreement,
    versioned=True,
)  # fmt: skip
def accept(agreement_id: int, data: dict[str, Any]) -> Any:
    """Accept, for one's party, the version of the terms that one has read."""
    found = _own(agreement_id)
    accept_terms(database(), person(), found, **data)
    return _told(found)


@doors.opens(
    "POST", f"{ONE}/sign", roles=POSTERS, scope=WRITES, takes=VersionSchema, gives=WholeAgreement,
    versioned=True,
)  # fmt: skip
def sign(agreement_id: int, data: dict[str, Any]) -> Any:
    """Sign for one's party; the last signature sets aside what was agreed."""
    found = _own(agreement_id)
    sign_agreement(database(), person(), found, **data)
    return _told(found)


@doors.opens("POST", f"{ONE}/start", roles=POSTERS, scope=WRITES, gives=WholeAgreement,
             versioned=True)  # fmt: skip
def start(agreement_id: int) -> Any:
    """Say that the work has begun."""
    found = _own(agreement_id)
    start_agreement(database(), person(), found)
    return _told(found)


@doors.opens(
    "POST", f"{ONE}/complete", roles=POSTERS, scope=WRITES, takes=CompletionSchema,
    gives=WholeAgreement, versioned=True,
)  # fmt: skip
def complete(agreement_id: int, data: dict[str, Any]) -> Any:
    """Close with a report of what came of it."""
    found = _own(agreement_id)
    complete_agreement(database(), person(), found, **data)
    return _told(found)


@doors.opens(
    "POST", f"{ONE}/terminate", roles=POSTERS, scope=WRITES, takes=TerminationSchema,
    gives=WholeAgreement, versioned=True,
)  # fmt: skip
def terminate(agreement_id: int, data: dict[str, Any]) -> Any:
    """End before the work is done; what was not used returns to the offer."""
    found = _own(agreement_id)
    terminate_agreement(database(), person(), found, **data)
    return _told(found)


@doors.opens(
    "POST", f"{ONE}/abandon", roles=POSTERS, scope=WRITES, takes=AbandonmentSchema,
    gives=WholeAgreement, versioned=True,
)  # fmt: skip
def abandon(agreement_id: int, data: dict[str, Any]) -> Any:
    """Break off negotiations; the match goes back to where both sides wanted it."""
    found = _own(agreement_id)
    abandon_agreement(database(), person(), found, **data)
    return _told(found)


@doors.opens(
    "POST", f"{ONE}/milestones/<int:milestone_id>", roles=POSTERS, scope=WRITES,
    takes=EvidenceSchema, gives=WholeAgreement, versioned=True,
)  # fmt: skip
def milestone(agreement_id: int, milestone_id: int, data: dict[str, Any]) -> Any:
    """Mark a milestone as done, with what shows it."""
    found = _own(agreement_id)
    finish_milestone(database(), person(), found, milestone_id, **data, today=today())
    return _told(found)


@doors.opens(
    "POST", f"{ONE}/indicators/<int:indicator_id>/reports", roles=POSTERS, scope=WRITES,
    takes=IndicatorReportSchema, status=201, gives=WholeAgreement, versioned=True, repeatable=True,
)  # fmt: skip
def indicator(agreement_id: int, indicator_id: int, data: dict[str, Any]) -> Any:
    """Report a value that was measured for an indicator."""
    found = _own(agreement_id)
    report_indicator(database(), person(), found, indicator_id, **data, today=today())
    return _told(found)


@doors.opens(
    "POST", f"{ONE}/rating", roles=POSTERS, scope=WRITES, takes=RatingSchema, gives=WholeAgreement,
    versioned=True,
)  # fmt: skip
def rate(agreement_id: int, data: dict[str, Any]) -> Any:
    """Say, once for one's side, how well the cooperation went."""
    found = _own(agreement_id)
    rate_agreement(database(), person(), found, **data)
    return _told(found)
