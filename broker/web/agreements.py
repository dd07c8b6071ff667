"""Agreements: the public register, negotiation by versions, signature, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from marshmallow import Schema
from werkzeug.wrappers import Response as Answer

from broker.agreement_pdf import print_agreement
from broker.agreements import (
    AbandonmentSchema,
    CompletionSchema,
    EvidenceSchema,
    RegisterFilter,
    TerminationSchema,
    VersionSchema,
    abandon_agreement,
    accept_terms,
    begin_answer,
    begin_terms,
    complete_agreement,
    find_agreements,
    find_indicator,
    find_milestone,
    finish_milestone,
    get_agreement,
    open_agreement,
    propose_agreement,
    put_terms,
    report_indicator,
    require_signable,
    sign_agreement,
    standing,
    start_agreement,
    terminate_agreement,
)
from broker.balances import sum_up
from broker.interests import get_match
from broker.messages import field_problems, sentence
from broker.posts import seals_money
from broker.ratings import RatingSchema, rate_agreement
from broker.schemas import IndicatorReportSchema, TermsSchema, load
from broker.terms import compare_terms, history
from broker.web.access import EVERYBODY, MODERATORS, POSTERS, allow, person, reader
from broker.web.errors import status_of
from broker.web.forms import read_form
from broker.web.indicator_chart import draw_indicator
from broker.web.presentation import paginate
from broker.web.reading import database, exchange, language, today
from models import (
    AGREEMENT_LIFE,
    OPEN_TERMS,
    PUBLICLY_REGISTERED,
    Agreement,
    AgreementStatus,
    CapacityExceeded,
    Conflict,
    DomainError,
    InvalidInput,
    InvalidTransition,
    Match,
    Need,
    Offer,
)

pages = Blueprint("agreements", __name__)

F = TypeVar("F", bound=Callable[..., Any])

SPARE_ROWS = 3
"""Empty rows for further milestones and indicators, which a form without JavaScript cannot add."""

REFUSALS = (InvalidInput, Conflict, CapacityExceeded, InvalidTransition)
"""What a form answers by showing itself again, with everything that was typed."""


def leads_back(view: F) -> F:
    """Let what is refused show the agreement as it now stands, with the reason on top."""

    @wraps(view)
    def guarded(agreement_id: int, **rest: Any) -> Any:
        try:
            return view(agreement_id, **rest)
        except (Conflict, CapacityExceeded, InvalidTransition) as error:
            database().rollback()
            return _page(agreement_id, error), status_of(error)

    return guarded  # type: ignore[return-value]


@pages.get("/agreements")
@allow(EVERYBODY)
def register() -> Any:
    """What was agreed, for everybody; and one's own agreements, also while they are negotiated."""
    filters = _filters()
    page = paginate(database(), find_agreements(filters, reader()))
    return render_template(
        "agreements/register.html",
        page=page,
        standings={a.id: standing(a, reader(), today=today()) for a in page.rows},
        filters=filters,
        statuses=_statuses(filters.scope),
        tabs=_tabs(),
    )


def _filters() -> RegisterFilter:
    return RegisterFilter(
        scope=next((tab for tab in _tabs() if request.args.get(tab)), "register"),
        **{
            name: tuple(code for code in request.args.getlist(parameter) if code)
            for name, parameter in (
                ("statuses", "status"),
                ("kinds", "kind"),
                ("themes", "theme"),
                ("programmes", "programme"),
                ("ilac_areas", "ilac_area"),
                ("countries", "country"),
                ("organisations", "organisation"),
            )
        },
    )


def _tabs() -> list[str]:
    """The lists that the reader has beside the public register."""
    user = reader()
    roles = {"mine": POSTERS, "negotiations": MODERATORS}
    return [tab for tab in roles if user is not None and user.role in roles[tab]]


def _statuses(scope: str) -> list[AgreementStatus]:
    """The statuses that a list can hold, in the order of the life."""
    possible = {"register": PUBLICLY_REGISTERED, "negotiations": OPEN_TERMS}
    return [s for s in AgreementStatus if s in possible.get(scope, AgreementStatus)]


@pages.get("/agreements/<int:agreement_id>")
@allow(EVERYBODY)
def show(agreement_id: int) -> Any:
    """An agreement: where it stands, its terms, how they came about, and what follows."""
    return _page(agreement_id)


def _page(agreement_id: int, refusal: DomainError | None = None) -> str:
    agreement = get_agreement(database(), agreement_id, reader())
    starts = agreement.current_terms.starts
    return render_template(
        "agreements/show.html",
        agreement=agreement,
        standing=standing(agreement, reader(), today=today()),
        versions=history(agreement),
        documents=[d for d in agreement.documents if d.can_be_read_by(reader())],
        charts={i.id: draw_indicator(i, starts) for i in agreement.indicators},
        ledger_sum=sum_up(agreement.commitments),
        refusal=refusal and sentence(refusal),
    )


@pages.get("/agreements/<int:agreement_id>.pdf")
@allow(EVERYBODY)
def pdf(agreement_id: int) -> Response:
    """The agreement as a sheet to print, in the languages of its parties."""
    agreement = get_agreement(database(), agreement_id, reader())
    answer = Response(
        print_agreement(agreement, exchange().reference, reader()), mimetype="application/pdf"
    )
    answer.headers.set("Content-Disposition", "inline", filename=f"{agreement.reference}.pdf")
    return answer


def own_agreement(agreement_id: int) -> Agreement:
    """The agreement, for a person of one of its parties."""
    agreement = get_agreement(database(), agreement_id, person())
    agreement.require_party(person())
    return agreement


def back_to(agreement: Agreement, done: str = "") -> Answer:
    """The way back to the agreement's page, with word of what was done."""
    if done:
        flash(done, "success")
    return redirect(url_for("agreements.show", agreement_id=agreement.id))


@pages.route("/agreements/new", methods=["GET", "POST"])
@allow(POSTERS)
def propose() -> Any:
    """The first terms of a match that both sides want."""
    asked = request.args.get("match", "")
    number = int(asked) if asked.isdecimal() and len(asked) < 10 else 0
    match = get_match(database(), number, person())
    if request.method == "GET":
        present = open_agreement(database(), match)
        return back_to(present) if present else _terms_form(match, _first_draft(match))
    typed = read_form(request.form, TermsSchema)
    if "more" in request.form:
        return _terms_form(match, typed)
    try:
        agreement = propose_agreement(
            database(), person(), match, typed, exchange().reference, today=today()
        )
    except REFUSALS as error:
        database().rollback()
        return _terms_form(match, typed, refusal=error)
    return back_to(agreement, _("Your terms are on the table. The other side is asked to answer."))


def _first_draft(match: Match) -> dict[str, Any]:
    return begin_terms(
        database(), person(), match, exchange().reference, language=language(), today=today()
    )


@pages.route("/agreements/<int:agreement_id>/terms", methods=["GET", "POST"])
@allow(POSTERS)
@leads_back
def terms(agreement_id: int) -> Any:
    """Other terms, in answer to those on the table."""
    agreement = own_agreement(agreement_id)
    if request.method == "GET":
        return _terms_form(agreement, begin_answer(person(), agreement))
    typed = read_form(request.form, TermsSchema)
    based_on = request.form.get("based_on", 0, type=int)
    if "more" in request.form:
        return _terms_form(agreement, typed, based_on=based_on)
    try:
        put_terms(
            database(),
            person(),
            agreement,
            typed,
            exchange().reference,
            based_on=based_on,
            today=today(),
        )
    except REFUSALS as error:
        database().rollback()
        return _terms_form(own_agreement(agreement_id), typed, refusal=error, based_on=based_on)
    return back_to(agreement, _("Your terms are on the table. Every side must accept them anew."))


def _terms_form(
    subject: Match | Agreement,
    values: dict[str, Any],
    *,
    refusal: DomainError | None = None,
    based_on: int = 0,
) -> Any:
    """The form of the terms: drafted, or as it was typed, with what the other side did meanwhile."""
    agreement = subject if isinstance(subject, Agreement) else None
    newest = agreement.current_terms if agreement else None
    overtaken = refusal is not None and refusal.code == "terms_changed"
    read = [t for t in agreement.terms if t.number == based_on] if agreement else []
    page = render_template(
        "agreements/terms_form.html",
        subject=subject,
        agreement=agreement,
        need=subject.need,
        offer=subject.offer,
        kinds=_support_kinds(subject.need, subject.offer, values),
        sealed=seals_money(subject.need, person()),
        offer_sealed=seals_money(subject.offer, person()),
        values=values,
        # Whoever has been shown the newest terms answers those; else those that she was reading.
        based_on=newest.number if newest and (overtaken or not based_on) else based_on,
        meanwhile=compare_terms(read[0], newest) if newest and overtaken and read else [],
        problems=_problems(refusal),
        refusal=refusal and sentence(refusal),
        spare_rows=SPARE_ROWS,
    )
    return page, status_of(refusal) if refusal else 200


def _support_kinds(need: Need, offer: Offer, values: dict[str, Any]) -> list[tuple[str, str]]:
    """The kinds, and those modalities that either post or the terms name."""
    reference = exchange().reference
    named = {s.modality for s in (*need.supports, *offer.supports) if s.modality}
    named.update(reference.kinds(), values.get("support_kinds") or ())
    return [pair for pair in reference.choices("support_kind", language()) if pair[0] in named]


def _problems(refusal: DomainError | None) -> dict[str, Any]:
    return field_problems(refusal) if isinstance(refusal, InvalidInput) else {}


@pages.post("/agreements/<int:agreement_id>/accept")
@allow(POSTERS)
@leads_back
def accept(agreement_id: int) -> Any:
    """Accept the terms on the table."""
    agreement = own_agreement(agreement_id)
    accept_terms(database(), person(), agreement, **sent_values(VersionSchema))
    if agreement.is_accepted_by_all():
        return back_to(agreement, _("Every side accepts these terms. They can now be signed."))
    return back_to(agreement, _("You have accepted these terms for your side."))


@pages.route("/agreements/<int:agreement_id>/sign", methods=["GET", "POST"])
@allow(POSTERS)
@leads_back
def sign(agreement_id: int) -> Any:
    """What exactly a signature commits, and the signature."""
    agreement = own_agreement(agreement_id)
    if request.method == "GET":
        require_signable(database(), person(), agreement)
        offer_sealed = seals_money(agreement.offer, person())
        return render_template(
            "agreements/sign.html", agreement=agreement, offer_sealed=offer_sealed
        )
    binding = sign_agreement(database(), person(), agreement, **sent_values(VersionSchema))
    return back_to(
        agreement,
        _("The agreement is signed by every side, and what was agreed is set aside.")
        if binding
        else _("You have signed for your side. Nothing is set aside until every side has signed."),
    )


@pages.post("/agreements/<int:agreement_id>/start")
@allow(POSTERS)
@leads_back
def start(agreement_id: int) -> Any:
    """Say that the work has begun."""
    agreement = own_agreement(agreement_id)
    start_agreement(database(), person(), agreement)
    return back_to(agreement, _("The agreement is under way."))


@pages.route("/agreements/<int:agreement_id>/complete", methods=["GET", "POST"])
@allow(POSTERS)
@leads_back
def complete(agreement_id: int) -> Any:
    """Close with a report of what came of it."""
    return _end(agreement_id, "complete", CompletionSchema, complete_agreement)


@pages.route("/agreements/<int:agreement_id>/rate", methods=["GET", "POST"])
@allow(POSTERS)
@leads_back
def rate(agreement_id: int) -> Any:
    """Say how well the cooperation went, once for one's side."""
    if request.method == "GET":
        own_agreement(agreement_id).require_ratable(person())
    return _act(
        agreement_id,
        "agreements/rate.html",
        RatingSchema,
        rate_agreement,
        _("Your rating is kept."),
    )


@pages.route("/agreements/<int:agreement_id>/terminate", methods=["GET", "POST"])
@allow(POSTERS)
@leads_back
def terminate(agreement_id: int) -> Any:
    """End before the work is done; what was not used returns."""
    return _end(agreement_id, "terminate", TerminationSchema, terminate_agreement)


@pages.route("/agreements/<int:agreement_id>/abandon", methods=["GET", "POST"])
@allow(POSTERS)
@leads_back
def abandon(agreement_id: int) -> Any:
    """Break off negotiations."""
    return _end(agreement_id, "abandon", AbandonmentSchema, abandon_agreement)


@pages.route(
    "/agreements/<int:agreement_id>/milestones/<int:milestone_id>", methods=["GET", "POST"]
)
@allow(POSTERS)
@leads_back
def milestone(agreement_id: int, milestone_id: int) -> Any:
    """Mark a milestone as done, with what shows it."""
    return _act(
        agreement_id,
        "agreements/milestone.html",
        EvidenceSchema,
        partial(finish_milestone, milestone_id=milestone_id, today=today()),
        _("The milestone is marked as done."),
        shown=lambda agreement: {"milestone": find_milestone(agreement, milestone_id)},
    )


@pages.route(
    "/agreements/<int:agreement_id>/indicators/<int:indicator_id>", methods=["GET", "POST"]
)
@allow(POSTERS)
@leads_back
def indicator(agreement_id: int, indicator_id: int) -> Any:
    """Report a measured value of an indicator."""
    return _act(
        agreement_id,
        "agreements/indicator.html",
        IndicatorReportSchema,
        partial(report_indicator, indicator_id=indicator_id, today=today()),
        _("The value has been added."),
        shown=lambda agreement: _indicator_shown(agreement, indicator_id),
    )


def _indicator_shown(agreement: Agreement, indicator_id: int) -> dict[str, Any]:
    found = find_indicator(agreement, indicator_id)
    return {"indicator": found, "chart": draw_indicator(found, agreement.current_terms.starts)}


def _end(agreement_id: int, way: str, schema: type[Schema], use_case: Callable[..., Any]) -> Any:
    """One of the three ways in which an agreement ends, each with words that say why."""
    status, done = {
        "complete": (AgreementStatus.COMPLETED, _("The agreement is completed.")),
        "terminate": (
            AgreementStatus.TERMINATED,
            _("The agreement has ended. What was not used is back with the offer."),
        ),
        "abandon": (
            AgreementStatus.ABANDONED,
            _("The negotiation has ended. Both sides are free to try again."),
        ),
    }[way]
    if request.method == "GET":
        AGREEMENT_LIFE.check(AgreementStatus(own_agreement(agreement_id).status), status)
    return _act(agreement_id, f"agreements/{way}.html", schema, use_case, done)


def _act(
    agreement_id: int,
    template: str,
    schema: type[Schema],
    use_case: Callable[..., Any],
    done: str,
    *,
    shown: Callable[[Agreement], dict[str, Any]] = lambda _agreement: {},
) -> Any:
    """A page with one form: shown, sent, or shown again with what is wrong and what was typed."""
    agreement, typed, refusal = own_agreement(agreement_id), read_form(request.form, schema), None
    if request.method == "POST":
        try:
            use_case(database(), person(), agreement, **load(schema, typed, exchange().reference))
            return back_to(agreement, done)
        except REFUSALS as error:
            database().rollback()
            agreement, refusal = own_agreement(agreement_id), error
    page = render_template(
        template,
        agreement=agreement,
        values=typed,
        problems=_problems(refusal),
        refusal=refusal and sentence(refusal),
        **shown(agreement),
    )
    return page, status_of(refusal) if refusal else 200


def sent_values(schema: type[Schema]) -> dict[str, Any]:
    """What the form that was sent says, checked."""
    return load(schema, read_form(request.form, schema), exchange().reference)
