"""Themes and ILAC priority areas: a page of each, for everybody."""

from __future__ import annotations

from flask import Blueprint, render_template

from broker.directory_schemas import KIND_NAMES
from broker.subjects import SUBJECTS, get_subject, picture_subject, size_subjects
from broker.supply_demand import Cell
from broker.web.access import EVERYBODY, allow
from broker.web.reading import database, exchange, language, today

pages = Blueprint("subjects", __name__)


@pages.get("/themes")
@allow(EVERYBODY)
def index() -> str:
    """Every theme and every area, with what is asked for and offered."""
    reference = exchange().reference
    sizes = size_subjects(database())
    return render_template(
        "subjects/index.html",
        rows={
            facet: [
                (code, name, sizes[facet].get(code, Cell(0, 0)))
                for code, name in reference.choices(facet, language())
            ]
            for facet in SUBJECTS
        },
    )


@pages.get("/themes/<code:code>")
@allow(EVERYBODY)
def theme(code: str) -> str:
    """What the exchange holds on a theme."""
    return _show("theme", code)


@pages.get("/ilac-areas/<code:code>")
@allow(EVERYBODY)
def ilac_area(code: str) -> str:
    """What the exchange holds on an ILAC priority area."""
    return _show("ilac_area", code)


def _show(facet: str, code: str) -> str:
    subject = get_subject(exchange().reference, facet, code)
    return render_template(
        "subjects/show.html",
        picture=picture_subject(database(), subject, on=today()),
        KIND_NAMES=KIND_NAMES,
    )
