"""Programmes of the framework: what each brings together."""

from __future__ import annotations

from flask import Blueprint, render_template

from broker.programmes import figures_by_programme, get_programme, picture_programme
from broker.web.access import EVERYBODY, allow
from broker.web.reading import database, exchange

pages = Blueprint("programmes", __name__)


@pages.get("/programmes")
@allow(EVERYBODY)
def index() -> str:
    """Every programme with its open needs and offers, and its agreements."""
    figures = figures_by_programme(database(), exchange().reference)
    return render_template("programmes/index.html", figures=figures)


@pages.get("/programmes/<code:code>")
@allow(EVERYBODY)
def show(code: str) -> str:
    """Who supports a programme, who pays, who asks, and how far it has come."""
    reference = exchange().reference
    picture = picture_programme(database(), reference, get_programme(reference, code))
    return render_template("programmes/show.html", picture=picture)
