"""Matches: ranked lists, the breakdown of a pair, interest, answers and dismissals."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from broker.directory_schemas import KIND_NAMES
from broker.directory_search import exists_instead
from broker.explanations import (
    BAND_NAMES,
    COMPONENT_NAMES,
    COMPONENT_QUESTIONS,
    RULE_NAMES,
    change_sentence,
    contribution_sentences,
    failure_sentence,
    reason_of,
    reason_sentence,
)
from broker.interests import (
    answer_interest,
    dismiss_match,
    express_interest,
    find_match,
    restore_match,
)
from broker.matches import Matches, examine, find_counterpart, matches_of, read_ledger, score_of
from broker.messages import field_problems
from broker.posts import get_post
from broker.schemas import AnswerSchema, DismissalSchema, InterestSchema, load
from broker.search import load_posts
from broker.web.access import POSTERS, SIGNED_IN, allow, person
from broker.web.forms import read_form
from broker.web.presentation import paginate_numbers
from broker.web.reading import database, exchange, language, today
from matching import Change, Contribution, Explanation, RuleFailure
from models import InvalidInput, Match, Need, NotFound, Offer

pages = Blueprint("matches", __name__)


@pages.get("/needs/<int:need_id>/matches")
@allow(SIGNED_IN)
def of_need(need_id: int) -> Any:
    """The offers that can serve a need, best first, each with its reasons."""
    return _ranked(get_post(database(), "need", need_id, person()))


@pages.get("/offers/<int:offer_id>/matches")
@allow(SIGNED_IN)
def of_offer(offer_id: int) -> Any:
    """The needs that an offer can serve, best first, each with its reasons."""
    return _ranked(get_post(database(), "offer", offer_id, person()))


def _ranked(post: Need | Offer) -> str:
    found: Matches = matches_of(exchange(), database(), post, person(), on=today())
    return render_template(
        "matches/ranked.html",
        post=post,
        found=found,
        existing=exists_instead(exchange(), database(), post, found, on=today()),
        KIND_NAMES=KIND_NAMES,
    )


@pages.get("/needs/<int:need_id>/excluded")
@allow(SIGNED_IN)
def excluded(need_id: int) -> Any:
    """The offers that cannot serve a need, by rule: some of each, or all of one."""
    session = database()
    need = get_post(session, "need", need_id, person())
    ledger = read_ledger(exchange(), session, need, person(), on=today())
    rule = request.args.get("rule", "")
    if rule in ledger.by_rule:
        page = paginate_numbers(ledger.by_rule[rule], partial(load_posts, session))
        return render_template("matches/excluded_by.html", need=need, rule=rule, page=page)
    first = {number for ids in ledger.by_rule.values() for number in ids[:FEW]}
    offers = {offer.id: offer for offer in load_posts(session, sorted(first))}
    return render_template(
        "matches/excluded.html",
        need=need,
        counts=ledger.counts,
        excluded={
            rule: [offers[number] for number in ids[:FEW]] for rule, ids in ledger.by_rule.items()
        },
    )


FEW = 10
"""Offers of each rule that are shown beside those of the others."""


@pages.get("/needs/<int:need_id>/why-not")
@allow(SIGNED_IN)
def why_not_need(need_id: int) -> Any:
    """From the name of an offer to the rules that keep it from this need."""
    return _counterpart(get_post(database(), "need", need_id, person()))


@pages.get("/offers/<int:offer_id>/why-not")
@allow(SIGNED_IN)
def why_not_offer(offer_id: int) -> Any:
    """From the name of a need to the rules that keep it from this offer."""
    return _counterpart(get_post(database(), "offer", offer_id, person()))


def _counterpart(post: Need | Offer) -> Response:
    asked = request.args.get("reference", "")
    other = find_counterpart(database(), post, asked)
    if other is None:
        flash(_("No published post is called “%(name)s”.", name=asked[:80]), "error")
        return redirect(
            url_for("matches.of_need", need_id=post.id)
            if isinstance(post, Need)
            else url_for("matches.of_offer", offer_id=post.id)
        )
    need, offer = (post, other) if isinstance(post, Need) else (other, post)
    return redirect(url_for("matches.pair", need_id=need.id, offer_id=offer.id))


@pages.get("/matches/<int:need_id>/<int:offer_id>")
@allow(SIGNED_IN)
def pair(need_id: int, offer_id: int) -> Any:
    """Everything about one pair: score and its parts, or the rules that stand in the way."""
    return _pair(*_both(need_id, offer_id))


def _both(need_id: int, offer_id: int) -> tuple[Session, Need, Offer]:
    session, user = database(), person()
    need, offer = (
        get_post(session, "need", need_id, user),
        get_post(session, "offer", offer_id, user),
    )
    assert isinstance(need, Need)  # noqa: S101 - the kind asked for is the kind given
    assert isinstance(offer, Offer)  # noqa: S101
    return session, need, offer


def _pair(
    session: Session,
    need: Need,
    offer: Offer,
    *,
    problems: dict[str, Any] | None = None,
    typed: Any = None,
) -> Any:
    view = examine(exchange(), session, need, offer, person(), on=today())
    page = render_template(
        "matches/pair.html", view=view, problems=problems or {}, typed=typed or {}
    )
    return page, (422 if problems else 200)


@pages.post("/matches/<int:need_id>/<int:offer_id>/interest")
@allow(POSTERS)
def interest(need_id: int, offer_id: int) -> Any:
    """Say that one's side wants this match."""
    session, need, offer = _both(need_id, offer_id)
    try:
        values = _values(InterestSchema)
        score = score_of(exchange(), session, need, offer, on=today())
        express_interest(session, person(), need, offer, score=score, **values)
    except InvalidInput as error:
        return _again(session, need, offer, error)
    flash(_("Your interest has been passed on. The other side is asked for an answer."), "success")
    return _back(need, offer)


@pages.post("/matches/<int:need_id>/<int:offer_id>/answer")
@allow(POSTERS)
def answer(need_id: int, offer_id: int) -> Any:
    """Accept or decline the other side's interest."""
    session, need, offer = _both(need_id, offer_id)
    try:
        values = _values(AnswerSchema)
        answer_interest(session, person(), _begun(session, need, offer), **values)
    except InvalidInput as error:
        return _again(session, need, offer, error)
    flash(
        _("Both sides want this match. You can now propose an agreement.")
        if values["accept"]
        else _("You have declined, with your reason."),
        "success",
    )
    return _back(need, offer)


@pages.post("/matches/<int:need_id>/<int:offer_id>/dismiss")
@allow(POSTERS)
def dismiss(need_id: int, offer_id: int) -> Any:
    """Take the match out of one's list, with the reason."""
    session, need, offer = _both(need_id, offer_id)
    try:
        values = _values(DismissalSchema)
        score = score_of(exchange(), session, need, offer, on=today())
        dismiss_match(session, person(), need, offer, score=score, **values)
    except InvalidInput as error:
        return _again(session, need, offer, error)
    flash(_("The match is out of your list until either post changes."), "success")
    return _back(need, offer)


@pages.post("/matches/<int:need_id>/<int:offer_id>/restore")
@allow(POSTERS)
def restore(need_id: int, offer_id: int) -> Any:
    """Bring a dismissed or declined match back."""
    session, need, offer = _both(need_id, offer_id)
    restore_match(session, person(), _begun(session, need, offer))
    flash(_("The match is suggested again."), "success")
    return _back(need, offer)


def _begun(session: Session, need: Need, offer: Offer) -> Match:
    match = find_match(session, need, offer)
    if match is None:
        raise NotFound("no_such_match", id=f"{need.reference} / {offer.reference}")
    return match


def _values(schema: Any) -> dict[str, Any]:
    return load(schema, read_form(request.form, schema), exchange().reference)


def _again(session: Session, need: Need, offer: Offer, error: InvalidInput) -> Any:
    session.rollback()
    return _pair(session, need, offer, problems=field_problems(error), typed=request.form)


def _back(need: Need, offer: Offer) -> Response:
    return redirect(url_for("matches.pair", need_id=need.id, offer_id=offer.id))


@pages.app_template_filter("reason")
def _reason(reason: dict[str, Any]) -> str:
    return reason_sentence(reason, exchange().reference, language())


@pages.app_template_filter("main_reason")
def _main_reason(explanation: Explanation) -> str:
    return _reason(reason_of(explanation))


@pages.app_template_filter("contribution")
def _contribution(part: Contribution) -> list[tuple[str, str, str]]:
    return contribution_sentences(part, exchange().reference, language())


@pages.app_template_filter("failure")
def _failure(failure: RuleFailure) -> str:
    return failure_sentence(failure, exchange().reference, language())


@pages.app_template_filter("change")
def _change(change: Change) -> str:
    return change_sentence(change, exchange().reference, language())


@pages.app_template_filter("component_name")
def _component_name(component: str) -> str:
    return str(COMPONENT_NAMES[component])


@pages.app_template_filter("component_question")
def _component_question(component: str) -> str:
    return str(COMPONENT_QUESTIONS[component])


@pages.app_template_filter("band_name")
def _band_name(band: str) -> str:
    return str(BAND_NAMES[band])


@pages.app_template_filter("rule_name")
def _rule_name(rule: str) -> str:
    return str(RULE_NAMES[rule])
