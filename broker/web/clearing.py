"""Clearing rounds: the secretariat's pages, and what the parties answer on theirs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from broker.clearing import (
    RoundSchema,
    RuleSchema,
    answer_proposal,
    change_round,
    clear_round,
    end_round,
    find_rounds,
    get_proposal,
    get_round,
    get_version,
    is_large,
    new_pairs,
    open_round,
    own_proposals,
    proposals_of,
    remove_rule,
    replay,
    seals_grant,
    send_round,
    set_rule,
    settings_of,
)
from broker.clearing_report import (
    FLOOR_NAMES,
    POLICY_MEANINGS,
    POLICY_NAMES,
    REASONS,
    Sight,
    draw,
    group_name,
    levels_of,
    needs_left_out,
    needs_served,
    rows_of,
    scarce_money,
    scarce_offers,
)
from broker.interests import find_match
from broker.jobs import start_job
from broker.messages import field_problems, sentence
from broker.pools import answer_pool, ask_pool, find_pools, get_pool, think_of_pools
from broker.schemas import AnswerSchema, load
from broker.web.access import MODERATORS, POSTERS, SECRETARIAT, SIGNED_IN, allow, person
from broker.web.forms import read_form
from broker.web.presentation import PAGE_SIZE, Page, paginate
from broker.web.reading import database, exchange, language
from models import (
    ClearingRound,
    Conflict,
    InvalidInput,
    NeedPool,
    RoundProposal,
    RoundStatus,
    RoundVersion,
)

pages = Blueprint("clearing", __name__)


@pages.context_processor
def names() -> dict[str, Any]:
    """Names of codes that only these pages show."""
    return {
        "POLICY_NAMES": POLICY_NAMES,
        "POLICY_MEANINGS": POLICY_MEANINGS,
        "FLOOR_NAMES": FLOOR_NAMES,
        "REASONS": REASONS,
        "KINDS": [(code, _label(code)) for code in exchange().reference.kinds()],
        "seals_grant": seals_grant,
        "group_name": lambda group: group_name(group, exchange().reference, language()),
    }


def _label(kind: str) -> str:
    return exchange().reference.label("support_kind", kind, language())


@pages.get("/secretariat/rounds")
@allow(MODERATORS)
def rounds() -> str:
    """The clearing rounds, latest first."""
    return render_template("clearing/rounds.html", page=paginate(database(), find_rounds(person())))


@pages.route("/secretariat/rounds/new", methods=["GET", "POST"])
@allow(SECRETARIAT)
def new_round() -> Any:
    """Begin a round."""
    if request.method == "GET":
        return _round_form({"policy": "fair"})
    data = read_form(request.form, RoundSchema)
    try:
        made = open_round(database(), person(), data, exchange().reference)
    except InvalidInput as error:
        return _round_form(request.form, error)
    flash(_("The round is open. Clear it to see who would get what."), "success")
    return _to(made)


@pages.route("/secretariat/rounds/<int:round_id>/settings", methods=["GET", "POST"])
@allow(SECRETARIAT)
def settings(round_id: int) -> Any:
    """Change what a round clears, and how."""
    found = get_round(database(), round_id, person())
    if request.method == "GET":
        return _round_form(settings_of(found), found=found)
    data = read_form(request.form, RoundSchema)
    try:
        change_round(database(), person(), found, data, exchange().reference)
    except InvalidInput as error:
        return _round_form(request.form, error, found)
    flash(_("The settings are kept. Clear the round again to see what they change."), "success")
    return _to(found)


def _round_form(
    typed: Any, error: InvalidInput | None = None, found: ClearingRound | None = None
) -> Any:
    problems = field_problems(error) if error else {}
    page = render_template("clearing/round_form.html", typed=typed, problems=problems, found=found)
    return page, (422 if error else 200)


def _to(found: ClearingRound) -> Response:
    return redirect(url_for("clearing.show", round_id=found.id))


@pages.get("/secretariat/rounds/<int:round_id>")
@allow(MODERATORS)
def show(round_id: int) -> Any:
    """A round: its proposal as a table and a picture, its proof, and what can be done."""
    return _show(get_round(database(), round_id, person()))


def _show(
    found: ClearingRound, *, refusal: str = "", typed: Any = None, problems: Any = None
) -> str:
    asked = request.args.get("version", "")
    version = get_version(found, int(asked) if asked.isdecimal() and len(asked) < 9 else None)
    proposals = proposals_of(database(), found, person())
    return render_template(
        "clearing/round.html",
        found=found,
        version=version,
        counts=Counter(str(proposal.status) for proposal in proposals),
        proposals=proposals,
        new=len(new_pairs(found)) if found.is_running else 0,
        refusal=refusal,
        typed=typed or {},
        problems=problems or {},
        **(_result(version) if version else {}),
    )


def _result(version: RoundVersion) -> dict[str, Any]:
    """What the page shows of a version."""
    left_out = request.args.get("show") == "left_out"
    sight = Sight(version, person(), exchange().reference)
    served, outside = needs_served(version, sight), needs_left_out(version, sight)
    positions = outside if left_out else served
    asked = request.args.get("page", "1")
    page = Page([], int(asked) if asked.isdecimal() and len(asked) < 9 else 1, len(positions))
    number = min(max(page.number, 1), page.pages)
    chosen = positions[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    return {
        "left_out": left_out,
        "served_total": len(served),
        "left_out_total": len(outside),
        "only": sight.subregion,
        "page": Page(rows_of(database(), version, chosen), number, len(positions)),
        "picture": draw(version, sight, exchange().reference, language()),
        "scarce": scarce_offers(database(), version),
        "scarce_money": scarce_money(database(), version),
        "levels": levels_of(version, sight),
        "money_set_aside": [
            group_name(group, exchange().reference, language())
            for group in version.result.get("money", {}).get("set_aside", ())
            if sight.of_group(group)
        ],
        "set_aside": [
            group_name(group, exchange().reference, language())
            for group in version.result["set_aside"]
            if sight.of_group(group)
        ],
    }


@pages.post("/secretariat/rounds/<int:round_id>/clear")
@allow(SECRETARIAT)
def clear_now(round_id: int) -> Any:
    """Work out a new version; of a large exchange in the background."""
    found = get_round(database(), round_id, person())
    if is_large(database()):
        found.require_running()
        by = person()
        started = start_job(database(), by, "clear_round", round_id=found.id, by_id=by.id)
        return redirect(url_for("jobs.show", job_id=started.id))
    try:
        version = clear_round(exchange(), database(), person(), found)
    except Conflict as error:
        return _refused(found, error)
    flash(
        _("Version %(number)s is worked out. Nothing is promised yet.", number=version.number),
        "success",
    )
    return _to(found)


def _refused(found: ClearingRound, error: Conflict) -> Any:
    database().rollback()
    return _show(found, refusal=sentence(error)), 409


@pages.post("/secretariat/rounds/<int:round_id>/rules")
@allow(SECRETARIAT)
def rule(round_id: int) -> Any:
    """Require or rule out a pair."""
    found = get_round(database(), round_id, person())
    data = read_form(request.form, RuleSchema)
    try:
        set_rule(database(), person(), found, data, exchange().reference)
    except InvalidInput as error:
        return _show(found, typed=request.form, problems=field_problems(error)), 422
    except Conflict as error:
        return _show(found, typed=request.form, problems={"need": [sentence(error)]}), 409
    flash(_("The rule is kept. Clear the round again to see what it changes."), "success")
    return _to(found)


@pages.post("/secretariat/rounds/<int:round_id>/rules/<int:rule_id>/remove")
@allow(SECRETARIAT)
def drop_rule(round_id: int, rule_id: int) -> Response:
    """Take a rule off."""
    found = get_round(database(), round_id, person())
    remove_rule(database(), person(), found, rule_id)
    flash(_("The rule is taken off. Clear the round again to see what that changes."), "success")
    return _to(found)


@pages.post("/secretariat/rounds/<int:round_id>/replay")
@allow(MODERATORS)
def replay_version(round_id: int) -> Any:
    """Work a kept version out again, and say whether the same came of it."""
    found = get_round(database(), round_id, person())
    version = get_version(found, request.form.get("version", type=int))
    if version is not None and replay(version):
        flash(
            _(
                "Version %(number)s was worked out again: the result is the same.",
                number=version.number,
            ),
            "success",
        )
    else:
        flash(
            _("The result is not the same: this version was made by another program, or changed."),
            "error",
        )
    return redirect(
        url_for("clearing.show", round_id=found.id, version=version.number if version else None)
    )


@pages.post("/secretariat/rounds/<int:round_id>/send")
@allow(SECRETARIAT)
def send(round_id: int) -> Any:
    """Propose the latest version's new pairs to both sides of each."""
    found = get_round(database(), round_id, person())
    try:
        made = send_round(database(), person(), found)
    except Conflict as error:
        return _refused(found, error)
    flash(
        ngettext(
            "%(num)s proposal is with both its sides now.",
            "%(num)s proposals are with both their sides now.",
            len(made),
        ),
        "success",
    )
    return _to(found)


@pages.post("/secretariat/rounds/<int:round_id>/end")
@allow(SECRETARIAT)
def end(round_id: int) -> Response:
    """Close or cancel a round."""
    found = get_round(database(), round_id, person())
    cancel = request.form.get("how") == "cancel"
    end_round(database(), person(), found, RoundStatus.CANCELLED if cancel else RoundStatus.CLOSED)
    flash(_("The round has ended. What both sides have accepted stays with them."), "success")
    return _to(found)


@pages.get("/proposals")
@allow(POSTERS)
def own() -> str:
    """All that rounds have proposed to one's organisation."""
    page = paginate(database(), own_proposals(person()))
    return render_template("clearing/own.html", page=page)


@pages.get("/proposals/<int:proposal_id>")
@allow(SIGNED_IN)
def proposal(proposal_id: int) -> Any:
    """What a round proposes to two sides, and their answers."""
    return _proposal(get_proposal(database(), proposal_id, person()))


def _proposal(found: RoundProposal, error: InvalidInput | None = None) -> Any:
    page = render_template(
        "clearing/proposal.html",
        found=found,
        side=found.side_of(person()),
        match=find_match(database(), found.need, found.offer),
        sealed=seals_grant(found, person()),
        typed=request.form,
        problems=field_problems(error) if error else {},
    )
    return page, (422 if error else 200)


@pages.post("/proposals/<int:proposal_id>/answer")
@allow(POSTERS)
def answer(proposal_id: int) -> Any:
    """Accept or decline for one's side."""
    found = get_proposal(database(), proposal_id, person())
    try:
        values = load(AnswerSchema, read_form(request.form, AnswerSchema), exchange().reference)
        answer_proposal(database(), person(), found, **values)
    except InvalidInput as error:
        return _proposal(found, error)
    flash(
        _("Your answer is passed on. Nothing is committed until both sides sign an agreement."),
        "success",
    )
    return redirect(url_for("clearing.proposal", proposal_id=found.id))


@pages.get("/secretariat/pools")
@allow(SECRETARIAT)
def pools() -> str:
    """Like needs that could be one, and the pools that were asked about."""
    return render_template(
        "clearing/pools.html",
        ideas=think_of_pools(exchange(), database()),
        page=paginate(database(), find_pools()),
    )


@pages.post("/secretariat/pools")
@allow(SECRETARIAT)
def ask() -> Response:
    """Ask the countries of a pool for their consent."""
    chosen = request.form.getlist("need", type=int)
    made = ask_pool(exchange(), database(), person(), chosen)
    database().flush()
    flash(_("The countries find the question on their desks."), "success")
    return redirect(url_for("clearing.pool", pool_id=made.id))


@pages.get("/pools/<int:pool_id>")
@allow(SIGNED_IN)
def pool(pool_id: int) -> str:
    """A pool, and what each country says."""
    found: NeedPool = get_pool(database(), pool_id, person())
    return render_template("clearing/pool.html", pool=found, own=found.members_of(person()))


@pages.post("/pools/<int:pool_id>/answer")
@allow(POSTERS)
def answer_to_pool(pool_id: int) -> Response:
    """Consent or refuse for one's country."""
    found, consent = get_pool(database(), pool_id, person()), request.form.get("consent") == "true"
    note = request.form.get("note", "")[:2000]
    answer_pool(database(), person(), found, exchange().reference, consent=consent, note=note)
    flash(_("Your country’s answer is kept."), "success")
    return redirect(url_for("clearing.pool", pool_id=found.id))
