"""Files attached to agreements: attach, load down, open to everybody, take away."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from flask import Blueprint, render_template, request, send_file
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.agreements import get_agreement
from broker.documents import (
    LARGEST,
    MEDIA_TYPES,
    attach_document,
    find_document,
    open_document,
    remove_document,
)
from broker.messages import field_problems, sentence
from broker.web.access import EVERYBODY, POSTERS, allow, person, reader
from broker.web.agreements import back_to, leads_back, own_agreement
from broker.web.errors import status_of
from broker.web.reading import database, exchange
from models import InvalidInput

pages = Blueprint("documents", __name__)


@pages.route("/agreements/<int:agreement_id>/documents", methods=["GET", "POST"])
@allow(POSTERS)
@leads_back
def attach(agreement_id: int) -> Any:
    """Attach a file."""
    if request.method == "GET":
        return _form(agreement_id)
    agreement, file = own_agreement(agreement_id), request.files.get("file")
    name, content = (file.filename or "", file.read()) if file else ("", b"")
    try:
        attach_document(database(), person(), agreement, name=name, content=content)
    except InvalidInput as error:
        return _form(agreement_id, error), status_of(error)
    return back_to(agreement, _("The document is attached. Parties and moderators can read it."))


def _form(agreement_id: int, refusal: InvalidInput | None = None) -> str:
    largest = min(LARGEST, exchange().settings.max_upload)
    return render_template(
        "agreements/attach.html",
        agreement=own_agreement(agreement_id),
        megabytes=largest / 1024**2,
        endings=[f".{ending}" for ending in MEDIA_TYPES],
        values={},
        problems=field_problems(refusal) if refusal else {},
        refusal=refusal and sentence(refusal),
    )


@pages.get("/agreements/<int:agreement_id>/documents/<int:document_id>")
@allow(EVERYBODY)
def load_down(agreement_id: int, document_id: int) -> Response:
    """The file itself, to be kept and never shown within the site."""
    agreement = get_agreement(database(), agreement_id, reader())
    document = find_document(database(), reader(), agreement, document_id)
    answer = send_file(
        BytesIO(document.content),
        mimetype=document.media_type,
        as_attachment=True,
        download_name=document.name,
        max_age=0,
    )
    answer.cache_control.private = True
    answer.cache_control.no_store = True
    return answer


@pages.post("/agreements/<int:agreement_id>/documents/<int:document_id>/public")
@allow(POSTERS)
@leads_back
def make_public(agreement_id: int, document_id: int) -> Response:
    """Open a document to everybody, or close it."""
    agreement, public = own_agreement(agreement_id), request.form.get("public") == "true"
    open_document(database(), person(), agreement, document_id, public=public)
    return back_to(
        agreement,
        _("Everybody who can read the agreement can read this document.")
        if public
        else _("Only parties and moderators can read this document."),
    )


@pages.post("/agreements/<int:agreement_id>/documents/<int:document_id>/remove")
@allow(POSTERS)
@leads_back
def remove(agreement_id: int, document_id: int) -> Response:
    """Take a document away."""
    agreement = own_agreement(agreement_id)
    remove_document(database(), person(), agreement, document_id)
    return back_to(agreement, _("The document is taken away."))
