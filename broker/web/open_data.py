"""Open data: the page that says what there is and under which licence, and the files."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template, request, send_file
from werkzeug.http import http_date

from broker.open_data import (
    DATASETS,
    FORM_NAMES,
    Dataset,
    licence_of,
    stamp_of,
    write_csv,
    write_json,
    write_xlsx,
)
from broker.web.access import EVERYBODY, allow
from broker.web.reading import database, exchange, language
from models import NotFound

pages = Blueprint("open_data", __name__)

FORMS = ("csv", "json", "xlsx")
"""Forms in which every dataset is given away."""

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pages.get("/open-data")
@allow(EVERYBODY)
def show() -> str:
    """What is given away, what each column says, and under which licence."""
    identifier = exchange().settings.data_licence
    name, address = licence_of(identifier)
    return render_template(
        "open_data/show.html",
        datasets=DATASETS.values(),
        licence=(identifier, name, address),
        FORM_NAMES=FORM_NAMES,
    )


@pages.get("/open-data/<name>.<form>")
@allow(EVERYBODY)
def file(name: str, form: str) -> Response:
    """A file of one dataset, made while it is sent."""
    dataset = DATASETS.get(name)
    if dataset is None or form not in FORMS:
        raise NotFound("no_such_list")
    bom = request.args.get("bom") == "1"
    licence = exchange().settings.data_licence
    stamp = stamp_of(database(), dataset, form, language(), licence, bom)
    head: dict[str, Any] = {
        "Cache-Control": "public, no-cache",
        "Vary": "Accept-Language",
        "Access-Control-Allow-Origin": "*",
        "Link": f'<{licence_of(licence)[1]}>; rel="license"',
        "Content-Disposition": f'attachment; filename="{name}.{form}"',
    }
    if stamp.modified:
        head["Last-Modified"] = http_date(stamp.modified)
    known = Response(status=200, headers=head)
    known.set_etag(stamp.tag)
    known.make_conditional(request)
    if known.status_code == 304 or request.method == "HEAD":
        return known
    made = _made(dataset, form, bom)
    made.headers.update(head)
    made.set_etag(stamp.tag)
    return made


def _made(dataset: Dataset, form: str, bom: bool) -> Response:
    if form == "csv":
        return Response(
            write_csv(exchange(), dataset, language(), bom=bom),
            content_type="text/csv; charset=utf-8; header=present",
        )
    if form == "json":
        return Response(write_json(exchange(), dataset, language()), mimetype="application/json")
    return send_file(write_xlsx(exchange(), dataset, language()), mimetype=XLSX)
