"""The match report: its page, its files, and the rows behind its numbers."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.explanations import BAND_NAMES
from broker.messages import field_problems
from broker.questionnaire import answer_questionnaire
from broker.report.answers import ANSWER_TIME, INTEREST_NAMES
from broker.report.csv_form import sections_as_csv
from broker.report.folder import LARGE, fetch_report, prepare_report
from broker.report.forms import FILES
from broker.report.heading import filters_of, period_of
from broker.report.layout import Figure, Ref, Rows, Section, words_of
from broker.report.lists import find_rows
from broker.report.match_report import BEST, MatchReport, match_report
from broker.report.pdf import sections_as_pdf
from broker.report.rows import ReportRows, choose_run
from broker.report.scope import (
    FILTER_NAMES,
    FILTERS,
    PARAMETERS,
    ReportScope,
    read_scope,
    task_force_choices,
)
from broker.report.sections import lay_out
from broker.report.sections.served import GROUP_NAMES
from broker.report.sections.writer import SECTIONS
from broker.report.workbook import sections_as_xlsx
from broker.secretariat import find_runs, scope_of
from broker.supply_demand import FACET_NAMES, FACETS, codes_of
from broker.web.access import EVERYBODY, MODERATORS, allow, person
from broker.web.presentation import choices, label, paginate
from broker.web.reading import database, exchange, language, today
from models import InvalidInput

pages = Blueprint("reports", __name__)

OWN = {**{facet: f"with_{facet}" for facet in FACETS}, "currency": "money_in"}
"""Parameter of a list → its name in the address, where the report has one of the same name."""


@pages.context_processor
def names() -> dict[str, Any]:
    """Names of codes that only these pages show, and how a cell is written."""
    return {
        "FACET_NAMES": FACET_NAMES,
        "INTEREST_NAMES": INTEREST_NAMES,
        "BAND_NAMES": BAND_NAMES,
        "GROUP_NAMES": GROUP_NAMES,
        "FILTER_NAMES": FILTER_NAMES,
        "SECTIONS": SECTIONS,
        "answer_days": ANSWER_TIME.days,
        "words_of": lambda content: words_of(content, language()),
        "is_figure": lambda content: isinstance(content, Figure),
        "is_ref": lambda content: isinstance(content, Ref),
        "ref_address": ref_address,
        "facet_choices": facet_choices,
    }


def facet_choices(facet: str) -> list[tuple[str, str]]:
    """``(code, label)`` of what a facet can be; kinds of support without their modalities."""
    codes = set(codes_of(facet, exchange().reference))
    return [(code, words) for code, words in choices(facet) if code in codes]


def ref_address(ref: Ref) -> str:
    """The page of a thing that a report names."""
    if ref.kind == "agreement":
        return url_for("agreements.show", agreement_id=ref.id)
    if ref.kind == "organisation":
        return url_for("public.organisation", code=ref.code)
    if ref.kind == "run":
        return url_for("secretariat.run", run_id=ref.id)
    return url_for("posts.page", kind=ref.kind, post_id=ref.id)


def rows_address(scope: ReportScope, run: int | None, rows: Rows) -> str:
    """The address of a list behind a number."""
    values: dict[str, Any] = {OWN.get(name, name): v for name, v in rows.values.items()}
    return url_for("reports.rows", name=rows.name, **scope.parameters(run=run), **values)


def scope_asked() -> ReportScope:
    """The filters of the address, in the reader's report."""
    return read_scope(database(), request.args, exchange().reference, today=today())


def make_report(listed: int | None = None, scope: ReportScope | None = None) -> MatchReport:
    """The report that the address asks for, as its reader may see it."""
    return match_report(
        database(),
        exchange().reference,
        scope=scope or scope_asked(),
        language=language(),
        negotiated_in=scope_of(person()),
        listed=listed,
    )


@pages.get("/secretariat/report")
@allow(MODERATORS)
def show() -> Any:
    """The match report, each number with a link to the rows that make it."""
    try:
        scope = scope_asked()
    except InvalidInput as error:
        return _form_alone(field_problems(error)), 422
    report = make_report(BEST, scope)
    run = report.run.id if report.run else None

    def address(rows: Rows) -> str:
        return rows_address(scope, run, rows)

    return render_template(
        "reports/report.html",
        report=report,
        sections=lay_out(report, exchange().reference, address),
        address=address,
        period=period_of(scope, language()),
        filters=filters_of(scope, exchange().reference, language(), _force_name(scope.task_force)),
        file_values=_kept(run),
        is_large=report.figures.needs + report.figures.offers >= LARGE,
        view=scope.view,
        typed=scope.parameters(),
        problems={},
        **_choices(),
    )


def _form_alone(problems: dict[str, Any]) -> str:
    return render_template(
        "reports/filters.html", typed=request.args, problems=problems, **_choices()
    )


def _choices() -> dict[str, Any]:
    return {
        "filter_choices": {
            "subregion": choices("subregion"),
            "country": choices("region_country"),
            "programme": choices("programme"),
            "task_force": task_force_choices(database(), language()),
        },
        "runs": database().scalars(find_runs().limit(40)).all(),
        "currencies": choices("currency"),
        "facets": FACETS,
        "filter_names": FILTERS,
    }


def _force_name(code: str | None) -> str:
    return dict(task_force_choices(database(), language())).get(code or "", "")


def _kept(run: int | None) -> dict[str, Any]:
    """The parameters of the address, for the files: they rest on the run that the page shows."""
    return {**{name: value for name, value in request.args.items() if value}, "run": run}


@pages.get("/secretariat/report.<any(csv, xlsx, json, txt, pdf):ending>")
@allow(MODERATORS)
def file(ending: str) -> Response:
    """The match report as a file, with the rows of every list."""
    form = FILES[ending]
    report = make_report(form.listed)
    response = make_response(form.write(report, exchange().reference))
    response.headers["Content-Type"] = form.media
    name = f"match-report-{report.scope.last_day.isoformat()}.{ending}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@pages.post("/secretariat/report/files")
@allow(MODERATORS)
def prepare() -> Response:
    """Have a long report made in the background."""
    filters = {name: value for name, value in request.form.items() if name in PARAMETERS.values()}
    read_scope(database(), filters, exchange().reference, today=today())
    ending = request.form.get("ending", "")
    started = prepare_report(database(), person(), ending, filters, language=language())
    return redirect(url_for("jobs.show", job_id=started.id))


@pages.get("/secretariat/report/files/<int:job_id>")
@allow(MODERATORS)
def prepared(job_id: int) -> Response:
    """A report that was made in the background."""
    ending, content = fetch_report(exchange(), database(), person(), job_id)
    response = make_response(content)
    response.headers["Content-Type"] = FILES[ending].media
    response.headers["Content-Disposition"] = f'attachment; filename="match-report.{ending}"'
    return response


@pages.get("/secretariat/report/<name>")
@allow(MODERATORS)
def rows(name: str) -> str:
    """The rows that make one of the report's numbers."""
    scope = scope_asked()
    run = choose_run(database(), scope)
    lists = ReportRows(database(), exchange().reference, scope, run, scope_of(person()))
    own = {given: own for own, given in OWN.items()}
    asked = {
        own.get(key, key): value
        for key, value in request.args.items()
        if value and (key in own or key not in OWN)
    }
    page = paginate(database(), find_rows(lists, name, asked))
    back = url_for("reports.show", **scope.parameters(run=scope.run))
    return render_template(
        "reports/rows.html",
        name=name,
        page=page,
        asked=asked,
        back=back,
        run=run,
        filters=filters_of(scope, exchange().reference, language(), _force_name(scope.task_force)),
        period=period_of(scope, language()),
    )


@pages.get("/questionnaire")
@pages.get("/secretariat/questionnaire")
@allow(EVERYBODY)
def questionnaire() -> str:
    """The supply questionnaire and the programmes' points, answered from public data."""
    subregion = _subregion_asked()
    return render_template(
        "reports/questionnaire.html",
        sections=_answers(subregion),
        subregion=subregion,
        address=public_address,
    )


@pages.get("/questionnaire.<any(csv, xlsx, pdf):ending>")
@allow(EVERYBODY)
def questionnaire_file(ending: str) -> Response:
    """The answers for other programs, as a workbook, or on paper."""
    subregion = _subregion_asked()
    sections, heading = _answers(subregion), _("Supply questionnaire")
    told = label("subregion", subregion or "regional")
    content: str | bytes
    if ending == "csv":
        content = sections_as_csv(sections)
    elif ending == "xlsx":
        content = sections_as_xlsx(sections, heading=heading, told=told, language=language())
    else:
        basis = [_("As it stood on %(day)s.", day=words_of(today(), language()))]
        content = sections_as_pdf(
            sections, heading=heading, told=told, basis=basis, language=language()
        )
    response = make_response(content)
    response.headers["Content-Type"] = FILES[ending].media
    name = f"questionnaire-{today().isoformat()}.{ending}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _answers(subregion: str | None) -> tuple[Section, ...]:
    return answer_questionnaire(
        database(),
        exchange().reference,
        language=language(),
        today=today(),
        subregion=subregion,
    )


def _subregion_asked() -> str | None:
    code = request.args.get("subregion") or None
    if code is not None and code not in set(exchange().reference.codes("subregion")):
        raise InvalidInput({"subregion": [("unknown_code", {"code": code[:60]})]})
    return None if code == "regional" else code


LISTS_OF = {"needs": "posts.needs", "offers": "posts.offers", "agreements": "agreements.register"}
"""Public list → its page."""


def public_address(rows: Rows) -> str:
    """The public list behind a number; several codes of one filter mean any of them."""
    values: dict[str, Any] = {name: value.split(",") for name, value in rows.values.items()}
    if rows.name != "agreements":
        values["open"] = 1
    return url_for(LISTS_OF[rows.name], **values)
