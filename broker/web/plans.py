"""Pages of the action plan: the matrices, their lines, the subregions' choice, and files."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, send_file, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.action_plan import (
    COLUMN_NAMES,
    SUBREGIONS,
    LineSchema,
    PlanReportSchema,
    PlanSchema,
    SettlementSchema,
    content_of_line,
    cycle_of,
    find_lines,
    find_plans,
    get_line,
    get_plan,
    lines_by_scope,
    open_plan,
    progress_of,
    remove_line,
    report_progress,
    save_line,
    scopes_for,
    settle_plan,
)
from broker.messages import STATES, field_problems, sentence
from broker.plan_choice import (
    ChoiceSchema,
    Common,
    candidates,
    choose_line,
    common_lines,
    release_line,
)
from broker.plan_files import (
    Brought,
    Matrix,
    as_docx,
    as_json,
    as_pdf,
    as_xlsx,
    bring_matrix,
    lay_out,
    scope_name,
)
from broker.plan_support import (
    Known,
    LinkSchema,
    known_of,
    link_to_line,
    suggest_links,
    unlink_from_line,
)
from broker.schemas import load
from broker.sheets import XLSX
from broker.web.access import EVERYBODY, MODERATORS, allow, person, reader
from broker.web.errors import status_of
from broker.web.forms import read_form
from broker.web.reading import database, exchange, language, today
from models import (
    CYCLE,
    MOST_CHOSEN,
    REGION,
    ActionPlan,
    Conflict,
    DomainError,
    InvalidInput,
    NotFound,
    PlanLine,
    PlanStatus,
)
from models.action_plan import PLAN_KEEPERS

pages = Blueprint("plans", __name__)

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SPARE_ROWS = 2


@pages.context_processor
def names() -> dict[str, Any]:
    """Names that only these pages show."""
    return {
        "COLUMN_NAMES": COLUMN_NAMES,
        "MOST_CHOSEN": MOST_CHOSEN,
        "plan_scope": lambda scope: scope_name(scope, exchange().reference, language()),
    }


# --- Reading


@pages.get("/plans")
@allow(EVERYBODY)
def plans() -> str:
    """All plans of a cycle: the region's, the subregions', the countries'."""
    return _list()


def _list(problems: Mapping[str, Any] | None = None, notice: str = "") -> str:
    every = list(database().scalars(find_plans()))
    cycles = sorted({plan.starts for plan in every} | {cycle_of(today())}, reverse=True)
    asked = request.args.get("starts", "")
    newest = max((plan.starts for plan in every), default=cycles[0])
    starts = int(asked) if asked.isdecimal() and len(asked) == 4 else newest
    shown = {plan.scope: plan for plan in every if plan.starts == starts}
    return render_template(
        "plans/list.html",
        cycles=cycles,
        starts=starts,
        ends=starts + CYCLE - 1,
        region=shown.get(REGION),
        subregions=[(scope, shown.get(scope)) for scope in SUBREGIONS],
        countries=[plan for plan in shown.values() if plan.is_countrys],
        scopes=scopes_for(reader(), exchange().reference) if reader() else [],  # type: ignore[arg-type]
        proposed=cycle_of(today()) + CYCLE,
        problems=problems or {},
        notice=notice,
    )


@pages.post("/plans")
@allow(PLAN_KEEPERS)
def start() -> Any:
    """Open a plan for a cycle."""
    typed = read_form(request.form, PlanSchema)
    try:
        plan = open_plan(database(), person(), typed, exchange().reference)
    except InvalidInput as error:
        return _list(field_problems(error)), 422
    except Conflict as error:
        return _list(notice=sentence(error)), 409
    database().flush()
    return redirect(url_for("plans.show", plan_id=plan.id))


def _laid_out(plan: ActionPlan) -> tuple[Matrix, dict[int, PlanLine], list[Common]]:
    by_scope = lines_by_scope(database(), plan)
    lines = {line.id: line for own in by_scope.values() for line in own}
    common = common_lines(exchange(), database(), by_scope) if plan.scope == REGION else []
    known: dict[int, Known] = known_of(database(), lines.values())
    matrix = lay_out(plan, by_scope, known, common, exchange().reference, language())
    return matrix, lines, common


@pages.get("/plans/<int:plan_id>")
@allow(EVERYBODY)
def show(plan_id: int) -> str:
    """A plan's matrix, with how it stands against its targets."""
    return _matrix(plan_id)


def _matrix(plan_id: int, brought: Brought | None = None, notice: str = "") -> str:
    plan = get_plan(database(), plan_id)
    matrix, lines, common = _laid_out(plan)
    can_edit = plan.can_be_edited_by(reader())
    return render_template(
        "plans/show.html",
        plan=plan,
        matrix=matrix,
        columns=_written_columns(matrix),
        lines=lines,
        common=common,
        progress=progress_of(lines.values(), today=today()),
        can_edit=can_edit,
        can_settle=plan.can_be_settled_by(reader()),
        brought=brought,
        notice=notice,
    )


def _written_columns(matrix: Matrix) -> dict[str, Any]:
    """The columns in which something is written; the files have all of them."""
    rows = [row for _name, part in matrix.parts for row in part]
    return {name: words for name, words in COLUMN_NAMES.items() if any(row[name] for row in rows)}


@pages.get("/plans/<int:plan_id>.<ending>")
@allow(EVERYBODY)
def file(plan_id: int, ending: str) -> Response:
    """The matrix as XLSX, DOCX, PDF or JSON."""
    plan = get_plan(database(), plan_id)
    matrix, lines, _common = _laid_out(plan)
    reference = exchange().reference
    if ending == "xlsx":
        content, kind = as_xlsx(plan, list(lines.values()), reference, language()), XLSX
    elif ending == "docx":
        content, kind = as_docx(matrix), DOCX
    elif ending == "pdf":
        content = as_pdf(matrix, str(STATES[plan.status]), language())
        kind = "application/pdf"
    elif ending == "json":
        content, kind = as_json(plan, matrix).encode(), "application/json"
    else:
        raise NotFound("no_such_page")
    name = f"action-plan-{plan.scope.lower()}-{plan.starts}.{ending}"
    return send_file(
        BytesIO(content), mimetype=kind, as_attachment=ending != "json", download_name=name
    )


@pages.get("/plans/<int:plan_id>/lines/<int:line_id>")
@allow(EVERYBODY)
def line(plan_id: int, line_id: int) -> str:
    """A line with its indicators, their values over time, and what serves it."""
    return _line_page(plan_id, line_id)


def _line_page(
    plan_id: int,
    line_id: int,
    problems: Mapping[str, Any] | None = None,
    typed: Mapping[str, Any] | None = None,
    indicator: int = 0,
) -> str:
    plan = get_plan(database(), plan_id)
    found = get_line(plan, line_id)
    can_edit = plan.can_be_edited_by(reader())
    return render_template(
        "plans/line.html",
        plan=plan,
        line=found,
        known=known_of(database(), [found]).get(found.id) or Known(),
        suggested=suggest_links(database(), plan, found) if can_edit else [],
        can_edit=can_edit,
        open_now=plan.status == PlanStatus.DRAFT,
        problems=problems or {},
        typed=typed or {},
        asked_indicator=indicator,
    )


# --- Writing


@pages.route("/plans/<int:plan_id>/lines/new", methods=["GET", "POST"])
@allow(PLAN_KEEPERS)
def new_line(plan_id: int) -> Any:
    """Write a line into the plan."""
    plan = get_plan(database(), plan_id)
    plan.require_editable(person())
    if request.method == "GET":
        return _form(plan, {"language": language()})
    return _save(plan, None)


@pages.route("/plans/<int:plan_id>/lines/<int:line_id>/edit", methods=["GET", "POST"])
@allow(PLAN_KEEPERS)
def edit_line(plan_id: int, line_id: int) -> Any:
    """Change a line."""
    plan = get_plan(database(), plan_id)
    plan.require_editable(person())
    found = get_line(plan, line_id)
    if request.method == "GET":
        return _form(plan, content_of_line(found), found)
    return _save(plan, found)


def _save(plan: ActionPlan, found: PlanLine | None) -> Any:
    typed = read_form(request.form, LineSchema)
    revision = request.form.get("revision", "")
    if "more" in request.form:
        return _form(plan, typed, found, spare=SPARE_ROWS + 3)
    plan_id, line_id = plan.id, found.id if found else 0
    try:
        saved = save_line(
            database(),
            person(),
            plan,
            typed,
            exchange().reference,
            line=found,
            revision=int(revision) if revision.isdecimal() else None,
        )
    except (InvalidInput, Conflict) as error:
        database().rollback()
        plan = get_plan(database(), plan_id)
        again = get_line(plan, line_id) if line_id else None
        return _form(plan, typed, again, error=error), status_of(error)
    flash(_("The line is kept."), "success")
    return redirect(url_for("plans.line", plan_id=plan.id, line_id=saved.id))


def _form(
    plan: ActionPlan,
    values: Mapping[str, Any],
    found: PlanLine | None = None,
    *,
    error: DomainError | None = None,
    spare: int = SPARE_ROWS,
) -> str:
    return render_template(
        "plans/line_form.html",
        plan=plan,
        line=found,
        values=values,
        spare_rows=spare,
        problems=field_problems(error) if isinstance(error, InvalidInput) else {},
        notice=sentence(error) if isinstance(error, Conflict) else "",
    )


@pages.route("/plans/<int:plan_id>/lines/<int:line_id>/remove", methods=["GET", "POST"])
@allow(PLAN_KEEPERS)
def remove(plan_id: int, line_id: int) -> Any:
    """Take a line out, after a question."""
    plan = get_plan(database(), plan_id)
    plan.require_editable(person())
    found = get_line(plan, line_id)
    if request.method == "GET":
        return render_template("plans/remove.html", plan=plan, line=found)
    remove_line(database(), person(), plan, found)
    flash(_("The line is taken out of the plan."), "success")
    return redirect(url_for("plans.show", plan_id=plan_id))


@pages.post("/plans/<int:plan_id>/lines/<int:line_id>/links")
@allow(PLAN_KEEPERS)
def link(plan_id: int, line_id: int) -> Any:
    """Say that a post or an agreement serves the line."""
    plan = get_plan(database(), plan_id)
    typed = read_form(request.form, LinkSchema)
    try:
        line = get_line(plan, line_id)
        link_to_line(database(), person(), plan, line, typed, exchange().reference)
    except (InvalidInput, Conflict) as error:
        database().rollback()
        problems = (
            field_problems(error)
            if isinstance(error, InvalidInput)
            else {"reference": [sentence(error)]}
        )
        page = _line_page(plan_id, line_id, problems, typed)
        return page, status_of(error)
    return redirect(url_for("plans.line", plan_id=plan_id, line_id=line_id, _anchor="links"))


@pages.post("/plans/<int:plan_id>/lines/<int:line_id>/links/<int:link_id>/remove")
@allow(PLAN_KEEPERS)
def unlink(plan_id: int, line_id: int, link_id: int) -> Response:
    """Take a link off."""
    plan = get_plan(database(), plan_id)
    unlink_from_line(database(), person(), plan, get_line(plan, line_id), link_id)
    return redirect(url_for("plans.line", plan_id=plan_id, line_id=line_id, _anchor="links"))


@pages.post("/plans/<int:plan_id>/lines/<int:line_id>/indicators/<int:indicator_id>")
@allow(PLAN_KEEPERS)
def report(plan_id: int, line_id: int, indicator_id: int) -> Any:
    """Report a value of an indicator."""
    plan = get_plan(database(), plan_id)
    typed = read_form(request.form, PlanReportSchema)
    try:
        report_progress(
            database(),
            person(),
            plan,
            get_line(plan, line_id),
            indicator_id,
            typed,
            exchange().reference,
            today=today(),
        )
    except InvalidInput as error:
        database().rollback()
        page = _line_page(plan_id, line_id, field_problems(error), typed, indicator_id)
        return page, status_of(error)
    flash(_("The value is kept."), "success")
    return redirect(url_for("plans.line", plan_id=plan_id, line_id=line_id))


@pages.post("/plans/<int:plan_id>/settle")
@allow(PLAN_KEEPERS)
def settle(plan_id: int) -> Any:
    """Adopt a plan, open it again, or close it."""
    plan = get_plan(database(), plan_id)
    wanted = load(SettlementSchema, read_form(request.form, SettlementSchema), exchange().reference)
    try:
        settle_plan(database(), person(), plan, PlanStatus(wanted["status"]))
    except Conflict as error:
        database().rollback()
        return _matrix(plan_id, notice=sentence(error)), 409
    return redirect(url_for("plans.show", plan_id=plan_id))


@pages.post("/plans/<int:plan_id>/matrix")
@allow(PLAN_KEEPERS)
def bring(plan_id: int) -> Any:
    """Bring a matrix that was filled in at a meeting: all of it is kept, or nothing."""
    plan = get_plan(database(), plan_id)
    sent = request.files.get("file")
    content = sent.read() if sent else b""
    try:
        if not content:
            raise InvalidInput({"file": [("file_missing", {})]})
        brought = bring_matrix(database(), person(), plan, content, exchange().reference)
    except InvalidInput as error:
        database().rollback()
        words = " ".join(word for found in field_problems(error).values() for word in found)
        return _matrix(plan_id, notice=words), status_of(error)
    if brought.problems:
        database().rollback()
        return _matrix(plan_id, brought), 422
    flash(
        _(
            "The matrix is taken in: %(added)s new lines, %(changed)s changed, %(same)s as before.",
            added=brought.added,
            changed=brought.changed,
            same=brought.same,
        ),
        "success",
    )
    return redirect(url_for("plans.show", plan_id=plan_id))


# --- The subregions' choice


@pages.get("/plans/<int:plan_id>/choose")
@allow(MODERATORS)
def choose(plan_id: int) -> str:
    """The lines of the countries' plans, with the evidence for each."""
    return _choice(plan_id)


def _choice(plan_id: int, notice: str = "", asked: int = 0, reason: str = "") -> str:
    plan = get_plan(database(), plan_id)
    plan.require_editable(person())
    return render_template(
        "plans/choose.html",
        plan=plan,
        found=candidates(database(), plan),
        chosen=list(database().scalars(find_lines(plan))),
        notice=notice,
        asked=asked,
        reason=reason,
    )


@pages.post("/plans/<int:plan_id>/choose/<int:line_id>")
@allow(MODERATORS)
def choose_one(plan_id: int, line_id: int) -> Any:
    """Make a line a priority of the subregion."""
    plan = get_plan(database(), plan_id)
    typed = read_form(request.form, ChoiceSchema)
    try:
        choose_line(database(), person(), plan, line_id, typed, exchange().reference)
    except (InvalidInput, Conflict) as error:
        database().rollback()
        words = (
            " ".join(word for found in field_problems(error).values() for word in found)
            if isinstance(error, InvalidInput)
            else sentence(error)
        )
        return _choice(plan_id, words, line_id, typed["reason"]), status_of(error)
    flash(_("The line is a priority of the subregion now."), "success")
    return redirect(url_for("plans.choose", plan_id=plan_id))


@pages.post("/plans/<int:plan_id>/release/<int:line_id>")
@allow(MODERATORS)
def release(plan_id: int, line_id: int) -> Response:
    """Take a line out of the subregion's priorities."""
    release_line(database(), person(), get_plan(database(), plan_id), line_id)
    flash(_("The line is no longer a priority of the subregion; its country keeps it."), "success")
    return redirect(url_for("plans.choose", plan_id=plan_id))
