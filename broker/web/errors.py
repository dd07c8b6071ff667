"""Every error as a page that says what to do, or as a problem document (RFC 9457)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, jsonify, render_template, request, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError, generate_csrf
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException
from werkzeug.utils import redirect

from broker.messages import field_problems, sentence
from broker.web.access import allowed_roles, reader
from broker.web.kept_forms import seal, typed
from broker.web.reading import exchange
from models import (
    CapacityExceeded,
    Conflict,
    DomainError,
    InvalidInput,
    InvalidTransition,
    NotAllowed,
    NotFound,
    Role,
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
    406: "not_acceptable",
    413: "too_large",
    415: "not_json",
    429: "too_many_requests",
}


CODES = {
    "sign_in_needed": 401,
    "bad_token": 401,
    "version_stale": 412,
    "key_reused": 422,
    "version_needed": 428,
}
"""Code of a domain error → HTTP status, where its kind does not say."""


MOST_READ = 64 * 2**20
"""Bytes of a body that is too large which are taken from the line and thrown away."""


def status_of(error: DomainError) -> int:
    """The HTTP status of a domain error."""
    if error.code in CODES:
        return CODES[error.code]
    return next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)


def prepare(app: Flask) -> None:
    """Answer every error of the application."""

    @app.errorhandler(DomainError)
    def domain_error(error: DomainError) -> Any:
        _undo()
        if error.code == "sign_in_needed" and request.method == "GET" and not _wants_json():
            back = request.full_path.rstrip("?")
            return redirect(url_for("account.sign_in", next=back))
        if error.code == "sign_in_needed" and request.form and not _wants_json():
            return _ask_to_sign_in()
        return _answer(error, status_of(error))

    @app.errorhandler(StaleDataError)
    def stale(_error: StaleDataError) -> Any:
        _undo()
        return _answer(Conflict("changed_meanwhile"), 409)

    @app.errorhandler(CSRFError)
    def form_expired(_error: CSRFError) -> Any:
        _undo()
        if not _wants_json() and not _may_act():
            return _ask_to_sign_in()
        response, status = _answer(DomainError("form_expired"), 400, resend=typed().fields)
        # A script that keeps a long form goes on with it; other sites cannot read this.
        response.headers["X-Form-Token"] = generate_csrf()
        return response, status

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Any:
        _undo()
        status = error.code or 500
        if status < 400:
            return error
        largest = request.max_content_length or exchange().settings.max_upload
        megabytes = largest // 1024**2
        if status == 413:
            _read_to_the_end()
        code = HTTP_CODES.get(status, "internal_error" if status >= 500 else "bad_request")
        answer = _answer(DomainError(code, megabytes=megabytes), status)
        for name in ("Allow", "Retry-After"):
            if value := dict(error.get_headers()).get(name):
                answer[0].headers[name] = value
        return answer

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Any:
        _undo()
        app.logger.exception("unexpected error", exc_info=error)
        return _answer(DomainError("internal_error"), 500)


def _undo() -> None:
    opened = g.get("database")
    if opened is not None:
        opened.rollback()


def _may_act() -> bool:
    """Whether the reader's role opens the address to which the form was sent."""
    user = reader()
    role = Role(user.role) if user else Role.PUBLIC
    return request.endpoint is not None and role in allowed_roles(request.endpoint)


def _ask_to_sign_in() -> tuple[str, int]:
    """The sign-in page with the form that came too late, to be sent again afterwards."""
    page = render_template("account/sign_in.html", error="", email="", next="", kept=seal(typed()))
    return page, 401


def _read_to_the_end() -> None:
    """Let the browser finish sending: one that is cut off shows no page at all."""
    body, left = request.environ["wsgi.input"], min(request.content_length or 0, MOST_READ)
    while left > 0 and (part := body.read(min(left, 2**16))):
        left -= len(part)


def _wants_json() -> bool:
    if request.path.startswith("/api/"):
        return True
    best = request.accept_mimetypes.best_match(("text/html", "application/json"))
    return best == "application/json"


def _answer(error: DomainError, status: int, **more: Any) -> tuple[Response, int]:
    words = sentence(error)
    title = {
        401: _("Please sign in"),
        403: _("This is not open to you"),
        404: _("Not found"),
        409: _("This cannot be done now"),
        413: _("Too large"),
        429: _("Too many attempts"),
    }.get(status, _("That did not work"))
    if _wants_json():
        problem: dict[str, Any] = {
            "type": f"urn:10yfp:{error.code}",
            "title": title,
            "status": status,
            "detail": words,
            "instance": request.path,
        }
        if isinstance(error, InvalidInput):
            problem["errors"] = field_problems(error)
        response = jsonify(problem)
        response.mimetype = "application/problem+json"
        if status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response, status
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
