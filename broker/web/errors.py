"""Every error as a page that says what to do, or as a problem document (RFC 9457)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, jsonify, render_template, request, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException
from werkzeug.utils import redirect

from broker.messages import field_problems, sentence
from broker.web.reading import exchange
from models import (
    CapacityExceeded,
    Conflict,
    DomainError,
    InvalidInput,
    InvalidTransition,
    NotAllowed,
    NotFound,
)

STATUS = {
    NotAllowed: 403,
    NotFound: 404,
    InvalidInput: 422,
    Conflict: 409,
    InvalidTransition: 409,
    CapacityExceeded: 409,
}
"""Domain error → HTTP status; whatever is not listed is the caller's fault, 400."""

HTTP_CODES = {
    400: "bad_request",
    404: "no_such_page",
    405: "method_not_allowed",
    413: "too_large",
    429: "too_many_requests",
}


def status_of(error: DomainError) -> int:
    """The HTTP status of a domain error."""
    if error.code == "sign_in_needed":
        return 401
    return next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)


def prepare(app: Flask) -> None:
    """Answer every error of the application."""

    @app.errorhandler(DomainError)
    def domain_error(error: DomainError) -> Any:
        _undo()
        if error.code == "sign_in_needed" and request.method == "GET" and not _wants_json():
            back = request.full_path.rstrip("?")
            return redirect(url_for("account.sign_in", next=back))
        return _answer(error, status_of(error))

    @app.errorhandler(StaleDataError)
    def stale(_error: StaleDataError) -> Any:
        _undo()
        return _answer(Conflict("changed_meanwhile"), 409)

    @app.errorhandler(CSRFError)
    def form_expired(_error: CSRFError) -> Any:
        _undo()
        return _answer(DomainError("form_expired"), 400, resend=_typed())

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Any:
        _undo()
        status = error.code or 500
        if status < 400:
            return error
        megabytes = exchange().settings.max_upload // 1024**2
        code = HTTP_CODES.get(status, "internal_error" if status >= 500 else "bad_request")
        return _answer(DomainError(code, megabytes=megabytes), status)

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Any:
        _undo()
        app.logger.exception("unexpected error", exc_info=error)
        return _answer(DomainError("internal_error"), 500)


def _undo() -> None:
    opened = g.get("database")
    if opened is not None:
        opened.rollback()


def _typed() -> list[tuple[str, str]]:
    """What was typed into the form that came too late, to be sent again."""
    return [
        (name, value)
        for name, values in request.form.lists()
        for value in values
        if name != "csrf_token" and "password" not in name
    ]


def _wants_json() -> bool:
    best = request.accept_mimetypes.best_match(("text/html", "application/json"))
    return best == "application/json"


def _answer(error: DomainError, status: int, **more: Any) -> tuple[Response, int]:
    words = sentence(error)
    if _wants_json():
        problem: dict[str, Any] = {
            "type": f"urn:10yfp:{error.code}",
            "title": words,
            "status": status,
        }
        if isinstance(error, InvalidInput):
            problem["errors"] = field_problems(error)
        response = jsonify(problem)
        response.mimetype = "application/problem+json"
        return response, status
    title = {
        401: _("Please sign in"),
        403: _("This is not open to you"),
        404: _("Not found"),
        409: _("This cannot be done now"),
        413: _("Too large"),
        429: _("Too many attempts"),
    }.get(status, _("That did not work"))
    page = render_template(
        "errors/error.html",
        title=title,
        words=words,
        status=status,
        problems=field_problems(error) if isinstance(error, InvalidInput) else {},
        **more,
    )
    response = Response(page)
    return response, status
