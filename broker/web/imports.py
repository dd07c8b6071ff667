"""Pages of imports: the template, the file, what is wrong with it row by row, and its loading."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from flask import Blueprint, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response

from broker.imports import (
    KINDS,
    LARGEST,
    annotated,
    bring_file,
    find_imports,
    get_import,
    kinds_for,
    load_import,
    template,
)
from broker.messages import field_problems, sentence
from broker.sheets import XLSX
from broker.web.access import POSTERS, SECRETARIAT, allow, person
from broker.web.errors import status_of
from broker.web.presentation import paginate
from broker.web.reading import database, exchange, language
from models import Conflict, ImportStatus, InvalidInput

pages = Blueprint("imports", __name__)

SHOWN = 200
"""Problems that the page shows; the annotated copy holds all."""


@pages.context_processor
def names() -> dict[str, Any]:
    """Names of codes that only these pages show."""
    return {"IMPORT_KINDS": {kind: own.name for kind, own in KINDS.items()}}


@pages.get("/imports")
@allow(POSTERS | SECRETARIAT)
def imports() -> str:
    """The organisation's imports, and the form that brings another file."""
    return _list()


def _list(refusal: InvalidInput | None = None) -> str:
    by = person()
    return render_template(
        "imports/list.html",
        page=paginate(database(), find_imports(by)),
        kinds=kinds_for(by),
        chosen=request.values.get("kind", ""),
        megabytes=min(LARGEST, exchange().settings.max_upload) / 1024**2,
        problems=field_problems(refusal) if refusal else {},
    )


@pages.get("/imports/template/<name>.xlsx")
@allow(POSTERS | SECRETARIAT)
def template_file(name: str) -> Response:
    """A workbook to fill in, with help at each column and lists to choose from."""
    content = template(person(), name, exchange().reference, language())
    return send_file(
        BytesIO(content), mimetype=XLSX, as_attachment=True, download_name=f"{name}-template.xlsx"
    )


@pages.post("/imports")
@allow(POSTERS | SECRETARIAT)
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


@pages.get("/imports/<int:import_id>")
@allow(POSTERS | SECRETARIAT)
def show(import_id: int) -> str:
    """What was found in a file, and what came of it."""
    return _page(import_id)


def _page(import_id: int, notice: str = "") -> str:
    brought = get_import(database(), person(), import_id)
    return render_template(
        "imports/show.html",
        brought=brought,
        problems=brought.problems[:SHOWN],
        can_load=brought.status == ImportStatus.CHECKED and brought.good > 0,
        notice=notice,
    )


@pages.get("/imports/<int:import_id>/annotated.xlsx")
@allow(POSTERS | SECRETARIAT)
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
@allow(POSTERS | SECRETARIAT)
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
