"""The half-yearly bulletin: its archive for everybody, and its preparation."""

from __future__ import annotations

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.bulletins import (
    Half,
    bulletin_as_pdf,
    bulletin_as_text,
    content_of,
    find_bulletin,
    find_bulletins,
    get_bulletin,
    kept_rows,
    publish_bulletin,
    read_half,
    write_bulletin,
)
from broker.report.layout import Rows
from broker.report.scope import ReportScope
from broker.web.access import EVERYBODY, MODERATORS, SECRETARIAT, allow, person
from broker.web.presentation import paginate, paginate_numbers
from broker.web.reading import database, exchange, language, today
from broker.web.reports import rows_address

pages = Blueprint("bulletins", __name__)

OFFERED = 6
"""Half-years from which the secretariat chooses."""


@pages.get("/bulletins")
@allow(EVERYBODY)
def archive() -> str:
    """The published bulletins, newest first."""
    page = paginate(database(), find_bulletins())
    contents = {row.id: content_of(row, language()) for row in page.rows}
    return render_template("bulletins/list.html", page=page, contents=contents)


@pages.get("/bulletins/<int:year>-<int:half>")
@allow(EVERYBODY)
def show(year: int, half: int) -> str:
    """A published bulletin."""
    content = content_of(get_bulletin(database(), year, half), language())

    def address(key: str) -> str:
        return url_for("bulletins.rows", year=year, half=half, key=key)

    return render_template(
        "bulletins/show.html", content=content, year=year, half=half, address=address
    )


@pages.get("/bulletins/<int:year>-<int:half>/<key>")
@allow(EVERYBODY)
def rows(year: int, half: int, key: str) -> str:
    """The rows that made a number of a published bulletin."""
    bulletin = get_bulletin(database(), year, half)
    title, numbers, load = kept_rows(bulletin, key, language())
    page = paginate_numbers(numbers, lambda some: load(database(), some))
    content = content_of(bulletin, language())
    return render_template(
        "bulletins/rows.html", title=title, page=page, content=content, year=year, half=half
    )


@pages.get("/bulletins/<int:year>-<int:half>.pdf")
@allow(EVERYBODY)
def paper(year: int, half: int) -> Response:
    """A published bulletin on paper."""
    content = content_of(get_bulletin(database(), year, half), language())
    response = make_response(bulletin_as_pdf(content, language()))
    response.headers["Content-Type"] = "application/pdf"
    response.headers["Content-Disposition"] = f'attachment; filename="bulletin-{year}-{half}.pdf"'
    return response


@pages.get("/bulletins/<int:year>-<int:half>.txt")
@allow(EVERYBODY)
def text(year: int, half: int) -> Response:
    """A published bulletin as plain text, for an e-mail."""
    content = content_of(get_bulletin(database(), year, half), language())
    response = make_response(bulletin_as_text(content))
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    return response


@pages.get("/secretariat/bulletin")
@allow(MODERATORS)
def draft() -> str:
    """The bulletin of a half-year as it would be published now."""
    half = read_half(request.args.get("half", ""), today=today())
    halves = [Half.of(today())]
    while len(halves) < OFFERED:
        halves.append(halves[-1].before())
    content = write_bulletin(
        database(), exchange().reference, half, today=today(), language=language()
    )
    scope = ReportScope(today(), since=half.starts, until=half.ends)

    def address(key: str) -> str:
        found = content["lists"][key]
        return rows_address(scope, content["run"], Rows(found["name"], found["values"]))

    return render_template(
        "bulletins/draft.html",
        content=content,
        address=address,
        half=half,
        halves=halves if half in halves else [*halves, half],
        published=find_bulletin(database(), half),
    )


@pages.post("/secretariat/bulletin")
@allow(SECRETARIAT)
def publish() -> Response:
    """Publish the bulletin of a half-year."""
    half = read_half(request.form.get("half", ""), today=today())
    publish_bulletin(database(), person(), exchange().reference, half, today=today())
    flash(_("The bulletin is published."), "success")
    return redirect(url_for("bulletins.show", year=half.year, half=half.half))
