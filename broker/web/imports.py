"""Pages of imports: the template, the file, what is wrong with it row by row, and its loading."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from flask import Blueprint, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response

from broker.field_names import FIELD_NAMES
from broker.iati_import import report_path, require_import, start_import, store_file
from broker.imported_rows import decide_rows, describe_waiting, waiting_rows
from broker.imports import (
    KINDS,
    LARGEST,
    annotated,
    bring_file,
    find_imports,
    get_import,
    is_guessed,
    kinds_for,
    load_import,
    template,
)
from broker.messages import field_problems, sentence
from broker.sheets import XLSX
from broker.web.access import OFFER_POSTERS, SECRETARIAT, WRITERS, allow, person, reader
from broker.web.errors import status_of
from broker.web.presentation import paginate
from broker.web.reading import database, exchange, language, reads_only
from models import Conflict, ImportStatus, InvalidInput, NotFound, User

pages = Blueprint("imports", __name__)

SHOWN = 200
"""Problems that the page shows; the annotated copy, or the report, holds all."""

FORM_AROUND = 64 * 1024
"""Bytes that a form takes up beside its file."""


@pages.url_value_preprocessor
def take_larger_files(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Let files of activities be larger than other requests, for whoever may bring one.

    This runs before anything reads the form.
    """
    if endpoint == "imports.bring_activities":
        by = reader()
        if by is not None and by.role in OFFER_POSTERS:
            request.max_content_length = exchange().settings.max_import + FORM_AROUND


@pages.context_processor
def names() -> dict[str, Any]:
    """Names of codes that only these pages show."""
    return {"IMPORT_KINDS": {kind: own.name for kind, own in KINDS.items()}}


@pages.get("/imports")
@allow(WRITERS | SECRETARIAT)
def imports() -> str:
    """The organisation's imports, and the form that brings another file."""
    return _list()


def _list(refusal: InvalidInput | None = None, *, of_activities: bool = False) -> str:
    by = person()
    problems = field_problems(refusal) if refusal else {}
    return render_template(
        "imports/list.html",
        page=paginate(database(), find_imports(by)),
        kinds=kinds_for(by),
        chosen=request.values.get("kind", ""),
        megabytes=min(LARGEST, exchange().settings.max_upload) / 1024**2,
        problems={} if of_activities else problems,
        activity_problems=problems if of_activities else {},
        takes_activities=by.role in OFFER_POSTERS,
        activity_megabytes=exchange().settings.max_import / 1024**2,
    )


@pages.get("/imports/template/<name>.xlsx")
@allow(WRITERS | SECRETARIAT)
def template_file(name: str) -> Response:
    """A workbook to fill in, with help at each column and lists to choose from."""
    content = template(person(), name, exchange().reference, language())
    return send_file(
        BytesIO(content), mimetype=XLSX, as_attachment=True, download_name=f"{name}-template.xlsx"
    )


@pages.post("/imports")
@allow(WRITERS | SECRETARIAT)
def bring() -> Any:
    """Bring a file: it is checked, and nothing of it is loaded yet."""
    file = request.files.get("file")
    name, content = (file.filename or "", file.read()) if file else ("", b"")
    try:
        brought, started = bring_file(
            exchange(),
            database(),
            person(),
            kind=request.form.get("kind", ""),
            name=name,
            content=content,
        )
    except InvalidInput as error:
        return _list(error), status_of(error)
    if started is not None:
        return redirect(url_for("jobs.show", job_id=started.id))
    return redirect(url_for("imports.show", import_id=brought.id))


@pages.post("/imports/iati")
@allow(OFFER_POSTERS)
@reads_only
def bring_activities() -> Any:
    """Bring a file of IATI activities, and start the job that makes drafts of them.

    Nobody else waits while a large file is sent: the exchange is written to once it is there.
    """
    require_import(person())
    file = request.files.get("file")
    try:
        if file is None:
            raise InvalidInput({"file": [("file_missing", {})]})
        stored = store_file(exchange(), file.filename or "", file.stream)  # type: ignore[arg-type]
    except InvalidInput as error:
        return _list(error, of_activities=True), status_of(error)
    with exchange().writing() as session:
        started = start_import(session, session.get_one(User, person().id), stored).id
    return redirect(url_for("jobs.show", job_id=started))


@pages.get("/imports/<int:import_id>/report.csv")
@allow(OFFER_POSTERS | SECRETARIAT)
def report_file(import_id: int) -> Response:
    """All that is told of the activities of an IATI file."""
    brought = get_import(database(), person(), import_id)
    path = report_path(exchange(), brought.id)
    if not path.is_file():
        raise NotFound("import_file_gone", name=brought.name)
    return send_file(
        path,
        mimetype="text/csv",
        as_attachment=True,
        download_name=f"import-{brought.id}-report.csv",
    )


@pages.get("/imports/<int:import_id>")
@allow(WRITERS | SECRETARIAT)
def show(import_id: int) -> str:
    """What was found in a file, and what came of it."""
    return _page(import_id)


def _page(import_id: int, notice: str = "") -> str:
    by = person()
    brought = get_import(database(), by, import_id)
    page = paginate(database(), waiting_rows(brought))
    return render_template(
        "imports/show.html",
        brought=brought,
        problems=brought.problems[:SHOWN],
        page=page,
        waiting=describe_waiting(database(), page.rows),
        may_choose=brought.organisation_id == by.organisation_id and brought.kind in kinds_for(by),
        FIELD_NAMES=FIELD_NAMES,
        columns={column.name: column for column in KINDS[brought.kind].columns},
        is_guessed=brought.status == ImportStatus.CHECKED and is_guessed(exchange(), brought),
        can_load=brought.status == ImportStatus.CHECKED and brought.good > 0,
        notice=notice,
    )


@pages.get("/imports/<int:import_id>/annotated.xlsx")
@allow(WRITERS | SECRETARIAT)
def annotated_file(import_id: int) -> Response:
    """The file once more, with every problem at its cell."""
    brought = get_import(database(), person(), import_id)
    return send_file(
        BytesIO(annotated(exchange(), brought)),
        mimetype=XLSX,
        as_attachment=True,
        download_name=f"import-{brought.id}-problems.xlsx",
    )


@pages.post("/imports/<int:import_id>/load")
@allow(WRITERS | SECRETARIAT)
def load(import_id: int) -> Any:
    """Load a checked file: all of it or its good rows."""
    by = person()
    brought = get_import(database(), by, import_id)
    try:
        started = load_import(
            exchange(),
            database(),
            by,
            brought,
            only_good=request.form.get("which") == "good",
            submit=request.form.get("submit") == "true",
        )
    except Conflict as error:
        database().rollback()
        return _page(import_id, sentence(error)), 409
    if started is not None:
        return redirect(url_for("jobs.show", job_id=started.id))
    return redirect(url_for("imports.show", import_id=import_id))


@pages.post("/imports/<int:import_id>/waiting")
@allow(WRITERS)
def decide(import_id: int) -> Any:
    """Take the file's text for posts that were edited since, or leave them as they are."""
    by = person()
    brought = get_import(database(), by, import_id)
    chosen = {int(number) for number in request.form.getlist("row") if number.isdecimal()}
    everything = request.form.get("which") == "all"
    decided = decide_rows(
        database(),
        by,
        brought,
        exchange().reference,
        take=request.form.get("take") == "true",
        only=None if everything else chosen,
    )
    if decided.problems:
        return _page(import_id, " ".join(decided.problems)), 409
    return redirect(url_for("imports.show", import_id=import_id))
