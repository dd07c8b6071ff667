"""Use cases of agreements: propose, negotiate, sign, follow, close, and find again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import uuid4

from flask_babel import lazy_gettext as _l
from marshmallow import ValidationError, fields, validate, validates_schema
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.messages import FIELD_PROBLEMS
from broker.news import tell_of_acceptance, tell_of_agreement, tell_of_signature, tell_of_terms
from broker.posts import seals_money
from broker.reference import Reference
from broker.schemas import Count, Money, Strict, TermsSchema, Text, load
from broker.terms import draft_terms, terms_content
from models import (
    AGREEMENT_LIFE,
    IN_FORCE,
    MATCH_LIFE,
    MODERATORS,
    OPEN_TERMS,
    PUBLICLY_REGISTERED,
    Agreement,
    AgreementParty,
    AgreementRating,
    AgreementStatus,
    AgreementTerms,
    CapacityExceeded,
    Commitment,
    Conflict,
    Country,
    Document,
    Indicator,
    IndicatorReport,
    Match,
    MatchStatus,
    Milestone,
    Need,
    NotFound,
    Offer,
    Organisation,
    PostFacet,
    User,
    utc_now,
)
from models.errors import InvalidInput
from models.ledger import NOTHING, ROUNDING, beyond_need, commit, convert, give_back

LARGEST_VALUE = 1e15
"""No indicator of the exchange's kind is larger; up to here a float is exact to a unit."""

TOO_LARGE = _l("This number is too large.")


class VersionSchema(Strict):
    """The version of the terms that a person has read and decides on."""

    number = Count(required=True)


class AbandonmentSchema(Strict):
    """Why negotiations end without an agreement."""

    reason = Text(4000, required=True)


class CompletionSchema(Strict):
    """What came of an agreement."""

    report = Text(20_000, required=True)


class ContributionUsedSchema(Strict):
    """How much of what a donor or partner pays was used."""

    party = Count(required=True)
    money_used = Money(required=True)

    @validates_schema(skip_on_field_errors=True)
    def _says_what_was_used(self, data: dict[str, Any], **_: Any) -> None:
        if data["money_used"] is None:
            raise ValidationError(str(FIELD_PROBLEMS["required"]), "money_used")


class TerminationSchema(Strict):
    """Why an agreement ends before its time, and what was used until then."""

    reason = Text(4000, required=True)
    places_used = Count(least=0, load_default=0)
    money_used = Money(load_default=NOTHING)
    contributions_used = fields.List(
        fields.Nested(ContributionUsedSchema), load_default=list, validate=validate.Length(max=40)
    )

    @validates_schema(skip_on_field_errors=True)
    def _says_what_was_used(self, data: dict[str, Any], **_: Any) -> None:
        # An empty box must not count as "nothing was used": that would give everything back.
        left_open = [name for name in ("places_used", "money_used") if data[name] is None]
        if left_open:
            raise ValidationError({name: [str(FIELD_PROBLEMS["required"])] for name in left_open})


class EvidenceSchema(Strict):
    """What shows that a milestone was reached."""

    evidence = Text(4000, required=True)


LISTED = (
    selectinload(Agreement.parties).selectinload(AgreementParty.organisation),
    selectinload(Agreement.terms),
    selectinload(Agreement.milestones),
    selectinload(Agreement.need).selectinload(Need.country),
)
"""What is loaded with an agreement in a list."""

WHOLE = (
    *LISTED,
    selectinload(Agreement.parties).selectinload(AgreementParty.signed_by),
    selectinload(Agreement.parties).selectinload(AgreementParty.offer),
    selectinload(Agreement.terms).selectinload(AgreementTerms.author),
    selectinload(Agreement.indicators)
    .selectinload(Indicator.reports)
    .selectinload(IndicatorReport.by),
    selectinload(Agreement.commitments).options(
        selectinload(Commitment.offer),
        selectinload(Commitment.party).selectinload(AgreementParty.organisation),
    ),
    selectinload(Agreement.ratings).selectinload(AgreementRating.organisation),
    selectinload(Agreement.documents).selectinload(Document.organisation),
    selectinload(Agreement.need).selectinload(Need.organisation),
    selectinload(Agreement.offer).selectinload(Offer.organisation),
)
"""What is loaded with an agreement that is shown."""


def get_agreement(session: Session, agreement_id: int, by: User | None) -> Agreement:
    """The agreement, if the reader may see it; else :class:`models.errors.NotFound`."""
    agreement = session.get(Agreement, agreement_id, options=WHOLE)
    if agreement is None or not agreement.can_be_seen_by(by):
        raise NotFound("no_such_agreement", id=agreement_id)
    return agreement


def open_agreement(session: Session, match: Match) -> Agreement | None:
    """The match's agreement that is being negotiated or in force, if there is one."""
    return session.scalar(
        select(Agreement).where(
            Agreement.match_id == match.id, Agreement.status.in_(OPEN_TERMS | IN_FORCE)
        )
    )


@dataclass(frozen=True)
class RegisterFilter:
    """What a list of agreements is narrowed to; every field is a parameter of its address.

    Attributes
    ----------
    scope : str
        ``"register"``: what everybody may read. ``"mine"``: all of the reader's organisation.
        ``"negotiations"``: what is being negotiated where the reader moderates.
    """

    scope: str = "register"
    statuses: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    programmes: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()
    ilac_areas: tuple[str, ...] = ()


def find_agreements(filters: RegisterFilter, by: User | None) -> Select[Agreement]:
    """A query for the agreements that pass the filters and that the reader may see; newest first.

    A country is found where it asks and where it is the country of a party.
    """
    query = select(Agreement)
    if filters.scope == "mine" and by is not None:
        query = query.where(
            Agreement.id.in_(
                select(AgreementParty.agreement_id).where(
                    AgreementParty.organisation_id == by.organisation_id
                )
            )
        )
    elif filters.scope == "negotiations" and by is not None and by.role in MODERATORS:
        query = query.where(Agreement.status.in_(OPEN_TERMS))
        if not by.is_secretariat:
            query = query.where(Agreement.need_id.in_(_needs_of_subregion(by.subregion)))
    else:
        query = query.where(Agreement.status.in_(PUBLICLY_REGISTERED))
    if filters.statuses:
        query = query.where(Agreement.status.in_(filters.statuses))
    if filters.kinds:
        query = query.where(Agreement.kind.in_(filters.kinds))
    for facet, codes in (
        ("theme", filters.themes),
        ("programme", filters.programmes),
        ("ilac_area", filters.ilac_areas),
    ):
        if codes:
            having = select(PostFacet.post_id).where(
                PostFacet.facet == facet, PostFacet.code.in_(codes)
            )
            query = query.where(or_(Agreement.need_id.in_(having), Agreement.offer_id.in_(having)))
    if filters.organisations:
        asked_for = Organisation.ids_behind(filters.organisations)
        parties = select(AgreementParty.agreement_id).where(
            AgreementParty.organisation_id.in_(asked_for)
        )
        query = query.where(Agreement.id.in_(parties))
    if filters.countries:
        asking = select(Need.id).where(Need.country_code.in_(filters.countries))
        taking_part = (
            select(AgreementParty.agreement_id)
            .join(Organisation, AgreementParty.organisation_id == Organisation.id)
            .where(Organisation.country_code.in_(filters.countries))
        )
        query = query.where(or_(Agreement.need_id.in_(asking), Agreement.id.in_(taking_part)))
    return query.order_by(Agreement.created_at.desc(), Agreement.id.desc()).options(*LISTED)


def _needs_of_subregion(subregion: str | None) -> Select[int]:
    countries = select(Country.code).where(Country.subregion == subregion)
    return select(Need.id).where(
        or_(
            Need.country_code.in_(countries),
            Need.country_code.is_(None) & (Need.subregion == subregion),
        )
    )


class Step(StrEnum):
    """What an agreement waits for, as one reader sees it."""

    ACCEPT = "accept"
    AWAIT_ACCEPTANCE = "await_acceptance"
    SIGN = "sign"
    AWAIT_SIGNATURE = "await_signature"
    START = "start"
    CATCH_UP = "catch_up"
    FOLLOW = "follow"
    CLOSE = "close"
    ENDED = "ended"


@dataclass(frozen=True)
class Standing:
    """Where an agreement stands for one reader.

    Attributes
    ----------
    party : AgreementParty or None
        The reader's own side.
    reads_negotiation, shows_money, shows_activities : bool
        What is for the reader beside what the register shows everybody: see the methods of
        :class:`models.Agreement`.
    step : Step
        What comes next.
    waits_for : list of Organisation
        Parties whose word is missing, the reader's own left out.
    late, ahead : list of Milestone
        Milestones that are overdue, and those that are still to come.
    """

    party: AgreementParty | None
    reads_negotiation: bool
    shows_money: bool
    shows_activities: bool
    step: Step
    waits_for: list[Organisation]
    late: list[Milestone]
    ahead: list[Milestone]


def standing(agreement: Agreement, by: User | None, *, today: date) -> Standing:
    """Where the agreement stands for that reader, and what she can do next."""
    party = agreement.party_of(by)
    number = agreement.current_terms.number
    missing = [
        other
        for other in agreement.parties
        if (
            other.accepted_number != number
            if agreement.status == AgreementStatus.PROPOSED
            else other.signed_at is None
        )
    ]
    late = agreement.late_milestones(today)
    return Standing(
        party=party,
        reads_negotiation=agreement.reads_negotiation(by),
        shows_money=agreement.shows_money_to(by),
        shows_activities=agreement.shows_activities_to(by),
        step=_step(agreement, party, missing, today),
        waits_for=[other.organisation for other in missing if other is not party],
        late=late,
        ahead=[m for m in agreement.milestones if m.done_on is None and m not in late],
    )


def _step(
    agreement: Agreement,
    party: AgreementParty | None,
    missing: list[AgreementParty],
    today: date,
) -> Step:
    if agreement.status == AgreementStatus.PROPOSED:
        return Step.ACCEPT if party in missing else Step.AWAIT_ACCEPTANCE
    if agreement.status == AgreementStatus.NEGOTIATED:
        return Step.SIGN if party in missing else Step.AWAIT_SIGNATURE
    if agreement.status not in IN_FORCE:
        return Step.ENDED
    if agreement.status == AgreementStatus.SIGNED:
        return Step.START
    if agreement.late_milestones(today):
        return Step.CATCH_UP
    return Step.CLOSE if agreement.current_terms.ends < today else Step.FOLLOW


def begin_terms(
    session: Session, by: User, match: Match, reference: Reference, *, language: str, today: date
) -> dict[str, Any]:
    """A draft of the first terms, for a person of either side to complete.

    Raises
    ------
    NotAllowed, InvalidTransition, Conflict
        Wherever :func:`propose_agreement` would refuse whatever is written.
    """
    _require_proposable(session, by, match)
    return draft_terms(session, match, by, reference, language=language, today=today)


def _require_proposable(session: Session, by: User, match: Match) -> None:
    match.require_side(by)
    present = open_agreement(session, match)
    if present is not None:
        raise Conflict("agreement_exists", reference=present.reference)
    if not match.need.is_live:
        raise Conflict("need_not_live", reference=match.need.reference)
    if not match.offer.is_live:
        raise Conflict("offer_not_live", reference=match.offer.reference)
    MATCH_LIFE.check(MatchStatus(match.status), MatchStatus.AGREEMENT)


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
    NotAllowed
        If the person acts for neither side.
    InvalidTransition
        If the interest is not mutual.
    Conflict
        If an agreement is already being negotiated, or a post has left the exchange.
    InvalidInput
        If the terms are incomplete, or ask for more than the offer has left.
    """
    _require_proposable(session, by, match)
    require_no_conflict(session, by, match.need, match.offer)
    values = _terms(session, by, match, data, reference, today)
    match.move_to(MatchStatus.AGREEMENT)
    agreement = Agreement(
        match=match,
        need=match.need,
        offer=match.offer,
        reference=uuid4().hex,
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
    session.flush()
    # Numbered by its row: two people who propose at the same moment get two numbers.
    agreement.reference = f"AG-{today.year}-{agreement.id:04d}"
    record(session, by, "agreement.proposed", agreement, after=terms_content(terms))
    tell_of_terms(session, by, agreement)
    return agreement


def _terms(
    session: Session,
    by: User,
    subject: Match | Agreement,
    data: Mapping[str, Any],
    reference: Reference,
    today: date,
) -> dict[str, Any]:
    need, offer = subject.need, subject.offer
    values: dict[str, Any] = {"support_kinds": [], "milestones": [], "indicators": []}
    values |= load(TermsSchema, data, reference)
    problems: dict[str, Any] = _beyond_capacity(offer, values["places"], values["money"])
    if not values["beyond_need"]:
        problems = {**_beyond_need(session, by, need, values), **problems}
    if values["money"] and offer.currency and values["currency"] != offer.currency:
        problems["currency"] = [("currency_of_offer", {"currency": offer.currency})]
    if values["ends"] < today:
        problems["ends"] = [("past_date", {})]
    undated = [n for n, item in enumerate(values["milestones"]) if item["due"] is None]
    if undated:
        problems["milestones"] = {n: {"due": [("required", {})]} for n in undated}
    too_large = {
        n: {name: [TOO_LARGE] for name in ("baseline", "target") if _is_too_large(item[name])}
        for n, item in enumerate(values["indicators"])
        if _is_too_large(item["baseline"]) or _is_too_large(item["target"])
    }
    if too_large:
        problems["indicators"] = too_large
    if problems:
        raise InvalidInput(problems)
    for name in ("milestones", "indicators"):
        values[name] = [
            {key: v.isoformat() if isinstance(v, date) else v for key, v in item.items()}
            for item in values[name]
        ]
    return values


def _is_too_large(value: float | None) -> bool:
    return value is not None and abs(value) > LARGEST_VALUE


def _beyond_capacity(offer: Offer, places: int | None, money: Decimal | None) -> dict[str, Any]:
    """The fields in which terms ask for more than the offer has left."""
    problems: dict[str, Any] = {}
    for name, asked, left in (
        ("places", places, offer.remaining_places()),
        # A refusal that names a sealed budget would tell it: the signature holds it to the rule.
        ("money", money, None if offer.money_sealed else offer.remaining_money()),
    ):
        if asked and left is not None and asked > left:
            problems[name] = [("more_than_left", {"left": left})]
    return problems


def _beyond_need(
    session: Session, by: User, need: Need, values: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields in which terms give more than the need asks for; a sealed amount is not told."""
    problems: dict[str, Any] = {}
    wanted = need.places_open()
    if wanted is not None and (values["places"] or 0) > wanted:
        problems["places"] = [("more_than_asked", {"open": wanted})]
    money, currency, most = values["money"], values["currency"], need.money_open()
    if money and most is not None and not seals_money(need, by):
        given = convert(session, money, currency, need.currency).money
        if given > most + (NOTHING if currency == need.currency else ROUNDING):
            problems["money"] = [("more_than_asked", {"open": f"{most} {need.currency}"})]
    return problems


def begin_answer(by: User, agreement: Agreement) -> dict[str, Any]:
    """The terms on the table, for a person of a party to change.

    Raises
    ------
    NotAllowed, Conflict
        Wherever :func:`put_terms` would refuse whatever is written.
    """
    agreement.require_open_terms(by)
    return {**terms_content(agreement.current_terms), "note": ""}


def put_terms(
    session: Session,
    by: User,
    agreement: Agreement,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    based_on: int,
    today: date,
) -> AgreementTerms:
    """Answer with other terms; every party must accept the new version.

    Parameters
    ----------
    based_on : int
        The version that the person was reading; if it is no longer the newest,
        :class:`models.errors.Conflict` is raised and nothing is stored.
    """
    agreement.require_open_terms(by)
    require_no_conflict(session, by, agreement)
    before = terms_content(agreement.current_terms)
    values = _terms(session, by, agreement, data, reference, today)
    terms = agreement.put_terms(AgreementTerms(**values), by, based_on)
    record(session, by, "agreement.terms", agreement, before=before, after=terms_content(terms))
    tell_of_terms(session, by, agreement)
    return terms


def accept_terms(session: Session, by: User, agreement: Agreement, number: int) -> None:
    """Accept the terms on the table for one's party."""
    require_no_conflict(session, by, agreement)
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
    tell_of_acceptance(session, by, agreement)


def require_signable(session: Session, by: User, agreement: Agreement) -> None:
    """Raise what :func:`sign_agreement` would raise for this person's signature now."""
    party = agreement.require_party(by)
    if party.signed_at is not None:
        raise Conflict("already_signed", reference=agreement.reference)
    AGREEMENT_LIFE.check(AgreementStatus(agreement.status), AgreementStatus.SIGNED)
    _require_available(session, by, agreement)


def sign_agreement(session: Session, by: User, agreement: Agreement, number: int) -> bool:
    """Sign for one's party; the last signature commits the capacity in the same transaction.

    Returns
    -------
    bool
        Whether the agreement is now binding.

    Raises
    ------
    CapacityExceeded
        If what was agreed is no longer left; nothing of the signature is kept. The first
        signature is refused too: nobody signs for what cannot be given.
    Conflict
        If the terms have changed, the need or the offer has left the exchange, or the need asks
        for less than the terms give and they do not say that this is meant.
    """
    require_no_conflict(session, by, agreement)
    before = {"status": str(agreement.status)}
    # In a savepoint, so that a refusal leaves the agreement as it was even to a caller who goes on.
    with session.begin_nested():
        binding = agreement.sign(by, number)
        _require_available(session, by, agreement)
        after: dict[str, Any] = {"status": str(agreement.status), "number": number}
        if binding:
            row = commit(session, agreement)
            _set_up_follow_up(agreement)
            after |= {"places": row.places, "money": row.money, "currency": row.currency}
            paid = [f"{r.money} {r.currency}" for r in agreement.commitments if r is not row]
            after |= {"contributions": paid} if paid else {}
    record(session, by, "agreement.signed", agreement, before=before, after=after)
    tell_of_signature(session, by, agreement, binding=binding)
    return binding


def _require_available(session: Session, by: User, agreement: Agreement) -> None:
    need, terms = agreement.need, agreement.current_terms
    if not need.is_live:
        raise Conflict("need_not_live", reference=need.reference)
    _require_left(agreement.offer, terms.places, terms.money)
    for party in agreement.parties:
        if party.offer is not None:
            _require_left(party.offer, None, party.money)
    if not terms.beyond_need:
        # A sealed amount is told to nobody but its own side; the ledger looks once more.
        told = {"places"} if seals_money(need, by) else {"places", "money"}
        if told & beyond_need(session, agreement):
            raise Conflict("more_than_need_asks", reference=need.reference)


def _require_left(offer: Offer, places: int | None, money: Decimal | None) -> None:
    gone = _beyond_capacity(offer, places, money)
    left = offer.remaining_money()
    if offer.money_sealed and left is not None and left < (money or 0):
        raise CapacityExceeded("means_exceeded", reference=offer.reference)
    if gone or not offer.is_live:
        raise CapacityExceeded(
            "capacity_exceeded" if gone else "offer_not_live",
            reference=offer.reference,
            places_asked=places or 0,
            places_left=offer.remaining_places(),
            money_asked=money or NOTHING,
            money_left=offer.remaining_money(),
            currency=offer.currency,
        )


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
    tell_of_agreement(session, by, agreement, "agreement.started")


def complete_agreement(session: Session, by: User, agreement: Agreement, report: str) -> None:
    """Close with a report of what came of it."""
    require_no_conflict(session, by, agreement)
    before = {"status": str(agreement.status)}
    agreement.complete(by, report)
    record(session, by, "agreement.completed", agreement, before=before, after=_status(agreement))
    tell_of_agreement(session, by, agreement, "agreement.completed")


def terminate_agreement(
    session: Session,
    by: User,
    agreement: Agreement,
    *,
    reason: str,
    places_used: int = 0,
    money_used: Decimal = NOTHING,
    contributions_used: Sequence[Mapping[str, Any]] = (),
) -> Commitment:
    """End before the work is done; what was not used returns to the offers.

    Parameters
    ----------
    contributions_used
        ``{"party": number, "money_used": amount}`` of each donor or partner who pays.

    Raises
    ------
    InvalidInput
        Without a reason, if more was used than the agreement committed, or if it is not said of
        every contribution how much of it was used.
    """
    used = {item["party"]: item["money_used"] for item in contributions_used}
    if {row.party_id for row in agreement.commitments if row.party_id} - used.keys():
        raise InvalidInput({"contributions_used": [("required", {})]})
    require_no_conflict(session, by, agreement)
    before = {"status": str(agreement.status)}
    agreement.terminate(by, reason)
    row = give_back(session, agreement, places_used, money_used, used)
    _reopen_match(agreement)
    record(
        session,
        by,
        "agreement.terminated",
        agreement,
        before=before,
        after={**_status(agreement), "places_returned": -row.places, "money_returned": -row.money},
    )
    tell_of_agreement(session, by, agreement, "agreement.terminated")
    return row


def abandon_agreement(session: Session, by: User, agreement: Agreement, reason: str) -> None:
    """Break off negotiations; the match goes back to where both sides wanted it."""
    require_no_conflict(session, by, agreement)
    before = {"status": str(agreement.status)}
    agreement.abandon(by, reason)
    _reopen_match(agreement)
    record(session, by, "agreement.abandoned", agreement, before=before, after=_status(agreement))
    tell_of_agreement(session, by, agreement, "agreement.abandoned")


def _reopen_match(agreement: Agreement) -> None:
    if agreement.match is not None and agreement.match.status == MatchStatus.AGREEMENT:
        agreement.match.move_to(MatchStatus.MUTUAL)
        agreement.match.updated_at = utc_now()


def find_milestone(agreement: Agreement, milestone_id: int) -> Milestone:
    """A milestone of this agreement; raises :class:`models.errors.NotFound` for any other."""
    for milestone in agreement.milestones:
        if milestone.id == milestone_id:
            return milestone
    raise NotFound("no_such_agreement", id=milestone_id)


def find_indicator(agreement: Agreement, indicator_id: int) -> Indicator:
    """An indicator of this agreement; raises :class:`models.errors.NotFound` for any other."""
    for indicator in agreement.indicators:
        if indicator.id == indicator_id:
            return indicator
    raise NotFound("no_such_agreement", id=indicator_id)


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
    milestone = find_milestone(agreement, milestone_id)
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
    *,
    on: date | None,
    value: float,
    note: str = "",
    today: date,
) -> IndicatorReport:
    """Add a value that was measured on a day, today at the latest."""
    agreement.require_party(by)
    indicator = find_indicator(agreement, indicator_id)
    if agreement.status not in IN_FORCE:
        raise Conflict("agreement_not_in_force", reference=agreement.reference)
    if on is None:
        raise InvalidInput({"on": [("required", {})]})
    if on > today:
        raise InvalidInput({"on": [_l("This day is still to come. Report what was measured.")]})
    if _is_too_large(value):
        raise InvalidInput({"value": [TOO_LARGE]})
    report = IndicatorReport(on=on, value=value, note=note, by=by)
    indicator.reports.append(report)
    record(
        session,
        by,
        "agreement.indicator",
        agreement,
        after={"indicator": indicator.name, "on": on, "value": value},
    )
    return report


def _status(agreement: Agreement) -> dict[str, Any]:
    return {"status": str(agreement.status)}
