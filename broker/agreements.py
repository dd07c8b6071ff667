"""Use cases of agreements: propose, negotiate, sign, follow, close."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.reference import Reference
from broker.schemas import IndicatorReportSchema, TermsSchema, load
from models import (
    IN_FORCE,
    OPEN_TERMS,
    PUBLICLY_REGISTERED,
    Agreement,
    AgreementParty,
    AgreementTerms,
    Commitment,
    Conflict,
    Indicator,
    IndicatorReport,
    Match,
    MatchStatus,
    Milestone,
    NotFound,
    Offer,
    User,
    utc_now,
)
from models.errors import InvalidInput
from models.ledger import commit, give_back

WHOLE = (
    selectinload(Agreement.parties).selectinload(AgreementParty.organisation),
    selectinload(Agreement.terms),
    selectinload(Agreement.milestones),
    selectinload(Agreement.indicators).selectinload(Indicator.reports),
    selectinload(Agreement.commitments),
    selectinload(Agreement.need),
    selectinload(Agreement.offer),
)
"""What is loaded with an agreement that is shown."""


def get_agreement(session: Session, agreement_id: int, by: User | None) -> Agreement:
    """The agreement, if the reader may see it; else :class:`models.errors.NotFound`."""
    agreement = session.get(Agreement, agreement_id, options=WHOLE)
    if agreement is None or not agreement.can_be_seen_by(by):
        raise NotFound("no_such_agreement", id=agreement_id)
    return agreement


def register(organisation_id: int | None = None) -> Select[Agreement]:
    """A query for the public register, or for all agreements of one organisation; newest first."""
    query = select(Agreement)
    if organisation_id is None:
        query = query.where(Agreement.status.in_(PUBLICLY_REGISTERED))
    else:
        query = query.where(
            Agreement.id.in_(
                select(AgreementParty.agreement_id).where(
                    AgreementParty.organisation_id == organisation_id
                )
            )
        )
    return query.order_by(Agreement.created_at.desc(), Agreement.id.desc()).options(*WHOLE)


def terms_content(terms: AgreementTerms) -> dict[str, Any]:
    """The terms in the shape of their input schema, ready for JSON."""
    values: dict[str, Any] = {}
    for name in TermsSchema._declared_fields:
        value = getattr(terms, name)
        values[name] = (
            value.isoformat()
            if isinstance(value, date)
            else str(value)
            if isinstance(value, Decimal)
            else value
        )
    return values


def propose_agreement(
    session: Session,
    by: User,
    match: Match,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    today: date,
) -> Agreement:
    """Put the first terms on the table, once both sides want the match.

    Raises
    ------
    Conflict
        If the interest is not mutual, or an agreement is already being negotiated.
    InvalidInput
        If the terms are incomplete, or ask for more than the offer has left.
    """
    match.require_side(by)
    open_one = session.scalar(
        select(Agreement).where(
            Agreement.match_id == match.id, Agreement.status.in_(OPEN_TERMS | IN_FORCE)
        )
    )
    if open_one is not None:
        raise Conflict("agreement_exists", reference=open_one.reference)
    values = _terms(match.offer, data, reference)
    match.move_to(MatchStatus.AGREEMENT)
    agreement = Agreement(
        match=match,
        need=match.need,
        offer=match.offer,
        reference=_next_reference(session, today),
        parties=[
            AgreementParty(organisation=match.need.organisation, role="need_side"),
            AgreementParty(organisation=match.offer.organisation, role="offer_side"),
        ],
    )
    session.add(agreement)
    with session.no_autoflush:
        for party in agreement.parties:
            party.organisation_id = party.organisation.id
        terms = agreement.put_terms(AgreementTerms(**values), by, None)
    record(session, by, "agreement.proposed", agreement, after=terms_content(terms))
    return agreement


def _next_reference(session: Session, today: date) -> str:
    count = session.scalar(
        select(func.count(Agreement.id)).where(Agreement.reference.startswith(f"AG-{today.year}-"))
    )
    return f"AG-{today.year}-{(count or 0) + 1:04d}"


def _terms(offer: Offer, data: Mapping[str, Any], reference: Reference) -> dict[str, Any]:
    values = load(TermsSchema, data, reference)
    problems: dict[str, Any] = {}
    left = offer.remaining_places()
    if values["places"] and left is not None and values["places"] > left:
        problems["places"] = [("more_than_left", {"left": left})]
    if values["money"]:
        if offer.currency and values["currency"] != offer.currency:
            problems["currency"] = [("currency_of_offer", {"currency": offer.currency})]
        money_left = offer.remaining_money()
        if money_left is not None and values["money"] > money_left:
            problems["money"] = [("more_than_left", {"left": money_left})]
    if problems:
        raise InvalidInput(problems)
    for name in ("milestones", "indicators"):
        values[name] = [
            {key: v.isoformat() if isinstance(v, date) else v for key, v in item.items()}
            for item in values.get(name, [])
        ]
    return values


def put_terms(
    session: Session,
    by: User,
    agreement: Agreement,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    based_on: int,
) -> AgreementTerms:
    """Answer with other terms; every party must accept the new version.

    Parameters
    ----------
    based_on : int
        The version that the person was reading; if it is no longer the newest,
        :class:`models.errors.Conflict` is raised and nothing is stored.
    """
    agreement.require_party(by)
    before = terms_content(agreement.current_terms)
    values = _terms(agreement.offer, data, reference)
    terms = agreement.put_terms(AgreementTerms(**values), by, based_on)
    record(session, by, "agreement.terms", agreement, before=before, after=terms_content(terms))
    return terms


def accept_terms(session: Session, by: User, agreement: Agreement, number: int) -> None:
    """Accept the terms on the table for one's party."""
    before = {"status": str(agreement.status)}
    agreement.accept_terms(by, number)
    record(
        session,
        by,
        "agreement.accepted",
        agreement,
        before=before,
        after={"status": str(agreement.status), "number": number},
    )


def sign_agreement(session: Session, by: User, agreement: Agreement, number: int) -> bool:
    """Sign for one's party; the last signature commits the capacity in the same transaction.

    Returns
    -------
    bool
        Whether the agreement is now binding.

    Raises
    ------
    CapacityExceeded
        If what was agreed is no longer left; nothing of the signature is kept.
    Conflict
        If the terms have changed, or the need or the offer has left the exchange.
    """
    if not agreement.need.is_live:
        raise Conflict("need_not_live", reference=agreement.need.reference)
    before = {"status": str(agreement.status)}
    binding = agreement.sign(by, number)
    after: dict[str, Any] = {"status": str(agreement.status), "number": number}
    if binding:
        row = commit(session, agreement)
        _set_up_follow_up(agreement)
        after |= {"places": row.places, "money": row.money, "currency": row.currency}
    record(session, by, "agreement.signed", agreement, before=before, after=after)
    return binding


def _set_up_follow_up(agreement: Agreement) -> None:
    """Make the milestones and indicators of the signed terms rows that can be reported on."""
    terms = agreement.current_terms
    agreement.milestones = [
        Milestone(title=item["title"], due=date.fromisoformat(item["due"]))
        for item in terms.milestones
    ]
    agreement.indicators = [
        Indicator(
            name=item["name"],
            unit=item.get("unit", ""),
            baseline=item.get("baseline"),
            target=item["target"],
            due=date.fromisoformat(item["due"]) if item.get("due") else None,
        )
        for item in terms.indicators
    ]


def start_agreement(session: Session, by: User, agreement: Agreement) -> None:
    """Say that the work has begun."""
    before = {"status": str(agreement.status)}
    agreement.start(by)
    record(session, by, "agreement.started", agreement, before=before, after=_status(agreement))


def complete_agreement(session: Session, by: User, agreement: Agreement, report: str) -> None:
    """Close with a report of what came of it."""
    before = {"status": str(agreement.status)}
    agreement.complete(by, report)
    record(session, by, "agreement.completed", agreement, before=before, after=_status(agreement))


def terminate_agreement(
    session: Session,
    by: User,
    agreement: Agreement,
    *,
    reason: str,
    places_used: int = 0,
    money_used: Decimal = Decimal(0),
) -> Commitment:
    """End before the work is done; what was not used returns to the offer."""
    before = {"status": str(agreement.status)}
    agreement.terminate(by, reason)
    row = give_back(session, agreement, places_used, money_used)
    _reopen_match(agreement)
    record(
        session,
        by,
        "agreement.terminated",
        agreement,
        before=before,
        after={**_status(agreement), "places_returned": -row.places, "money_returned": -row.money},
    )
    return row


def abandon_agreement(session: Session, by: User, agreement: Agreement, reason: str) -> None:
    """Break off negotiations; the match goes back to where both sides wanted it."""
    before = {"status": str(agreement.status)}
    agreement.abandon(by, reason)
    _reopen_match(agreement)
    record(session, by, "agreement.abandoned", agreement, before=before, after=_status(agreement))


def _reopen_match(agreement: Agreement) -> None:
    if agreement.match is not None and agreement.match.status == MatchStatus.AGREEMENT:
        agreement.match.move_to(MatchStatus.MUTUAL)
        agreement.match.updated_at = utc_now()


def finish_milestone(
    session: Session,
    by: User,
    agreement: Agreement,
    milestone_id: int,
    *,
    evidence: str,
    today: date,
) -> Milestone:
    """Mark a milestone as done, with what shows it."""
    milestone = next((m for m in agreement.milestones if m.id == milestone_id), None)
    if milestone is None:
        raise NotFound("no_such_agreement", id=milestone_id)
    milestone.mark_done(by, today, evidence)
    record(
        session,
        by,
        "agreement.milestone",
        agreement,
        after={"milestone": milestone.title, "done_on": today, "evidence": evidence},
    )
    return milestone


def report_indicator(
    session: Session,
    by: User,
    agreement: Agreement,
    indicator_id: int,
    data: Mapping[str, Any],
    reference: Reference,
) -> IndicatorReport:
    """Add a measured value to an indicator."""
    agreement.require_party(by)
    indicator = next((i for i in agreement.indicators if i.id == indicator_id), None)
    if indicator is None:
        raise NotFound("no_such_agreement", id=indicator_id)
    if agreement.status not in IN_FORCE:
        raise Conflict("agreement_not_in_force", reference=agreement.reference)
    report = IndicatorReport(**load(IndicatorReportSchema, data, reference), by=by)
    indicator.reports.append(report)
    record(
        session,
        by,
        "agreement.indicator",
        agreement,
        after={"indicator": indicator.name, "on": report.on, "value": report.value},
    )
    return report


def _status(agreement: Agreement) -> dict[str, Any]:
    return {"status": str(agreement.status)}
