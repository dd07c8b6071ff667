"""The OpenAPI document, and the page on which it can be browsed and tried; all served from here."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import flask_swagger_ui  # type: ignore[import-untyped]
from flask import Blueprint, Response, current_app, render_template, send_from_directory
from flask_smorest import Api

from broker.web.access import EVERYBODY, allow
from broker.web.reading import exchange
from models import NotFound

pages = Blueprint("api_description", __name__, url_prefix="/api/v1")

BROWSER_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")

MOST_CODES = 400
"""A longer taxonomy is not written out in the document."""


@pages.get("/openapi.json")
@allow(EVERYBODY)
def openapi() -> Response:
    """The description of every operation, for programs that write programs."""
    kept = current_app.extensions.get("api_document")
    if kept is None or kept[0] is not exchange().reference:
        kept = (exchange().reference, json.dumps(_described(), ensure_ascii=False))
        current_app.extensions["api_document"] = kept
    answer = Response(kept[1], mimetype="application/json")
    answer.headers["Cache-Control"] = "public, max-age=3600"
    return answer


def _described() -> dict[str, Any]:
    """The document with the codes of this exchange; the specification itself is left alone."""
    api: Api = current_app.extensions["api"]
    described: dict[str, Any] = deepcopy(api.spec.to_dict())
    described["tags"] = [{"name": tag["description"]} for tag in described.get("tags", ())]
    _name_codes(described)
    return described


def _name_codes(described: Any) -> None:
    """Write the codes of a taxonomy where one of them is meant."""
    if isinstance(described, list):
        for item in described:
            _name_codes(item)
    elif isinstance(described, dict):
        scheme = described.get("x-taxonomy")
        codes = list(exchange().reference.codes(scheme)) if isinstance(scheme, str) else []
        if 0 < len(codes) <= MOST_CODES:
            types = described.get("type")
            nullable = isinstance(types, list) and "null" in types
            described["enum"] = [*codes, None] if nullable else codes
        for item in list(described.values()):
            _name_codes(item)


@pages.get("/docs")
@allow(EVERYBODY)
def docs() -> str:
    """The API, to be read and tried."""
    return render_template("tokens/docs.html")


@pages.get("/docs/<path:name>")
@allow(EVERYBODY)
def browser(name: str) -> Response:
    """A file of the browser of the OpenAPI document."""
    if name not in BROWSER_FILES:
        raise NotFound("no_such_page")
    folder = Path(flask_swagger_ui.__file__).parent / "dist"
    return send_from_directory(folder, name)
