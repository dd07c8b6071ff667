"""The directory of organisations, with search."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from broker.overview import list_organisations
from broker.secretariat import standing_of
from broker.web.access import EVERYBODY, allow
from broker.web.presentation import paginate
from broker.web.reading import database, exchange, language

pages = Blueprint("organisations", __name__)


@pages.get("/organisations")
@allow(EVERYBODY)
def index() -> str:
    """Every organisation, narrowed by words, kind and country, with its open posts."""
    reference = exchange().reference
    text = " ".join(request.args.get("q", "")[:200].split())
    kind, country = (
        value if (value := request.args.get(name, "")) in reference.codes(scheme) else ""
        for name, scheme in (("kind", "organisation_kind"), ("country", "country"))
    )
    page = paginate(database(), list_organisations(language(), text, kind, country))
    return render_template(
        "organisations/index.html",
        page=page,
        standing=standing_of(database(), page.rows),
        text=text,
        kind=kind,
        country=country,
    )
