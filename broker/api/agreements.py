"""Agreements: the register, negotiation by versions, signature, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import Schema, fields, validate

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
from broker.api.answers.agreements import (
    AgreementSlice,
    TermsSaid,
    TermsVersionList,
    WholeAgreement,
    terms_version,
    whole_agreement,
)
from broker.api.answers.agreements import agreement as told
from broker.api.answers.values import listed
from broker.api.cursors import SliceQuery, one_of, slice_of
from broker.api.door import Door
from broker.api.matches import PAIR
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
        validate=one_of(("register", "mine", "negotiations")),
        load_default="register",
        metadata={"description": "`mine` and `negotiations` are for parties and moderators."},
    )
    status = fields.List(fields.String(validate=one_of(map(str, AgreementStatus))))
    kind = fields.List(fields.String(validate=one_of(map(str, AgreementKind))))
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


def _party_can(
    path: str,
    do: Callable[..., object],
    takes: type[Schema] | None = None,
    *,
    status: int = 200,
    repeatable: bool = False,
    dated: bool = False,
) -> None:
    """An operation by which a party goes on with an agreement, described as its use case is.

    Parameters
    ----------
    do : callable
        The use case: session, who, agreement, then the numbers of ``path`` and the body's fields.
    dated : bool
        Whether the use case asks which day it is.
    """

    def operation(agreement_id: int, **values: Any) -> Any:
        found = _own(agreement_id)
        said = values.pop("data", {}) | ({"today": today()} if dated else {})
        do(database(), person(), found, **values, **said)
        return _told(found)

    operation.__name__ = do.__name__
    operation.__doc__ = (do.__doc__ or "").split("\n\n")[0]
    doors.opens(
        "POST", f"{ONE}/{path}", roles=POSTERS, scope=WRITES, takes=takes, status=status,
        gives=WholeAgreement, versioned=True, repeatable=repeatable,
    )(operation)  # fmt: skip


_party_can("accept", accept_terms, VersionSchema)
_party_can("sign", sign_agreement, VersionSchema)
_party_can("start", start_agreement)
_party_can("complete", complete_agreement, CompletionSchema)
_party_can("terminate", terminate_agreement, TerminationSchema)
_party_can("abandon", abandon_agreement, AbandonmentSchema)
_party_can("milestones/<int:milestone_id>", finish_milestone, EvidenceSchema, dated=True)
_party_can(
    "indicators/<int:indicator_id>/reports", report_indicator, IndicatorReportSchema,
    status=201, repeatable=True, dated=True,
)  # fmt: skip
_party_can("rating", rate_agreement, RatingSchema)
