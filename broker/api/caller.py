"""Who calls: the owner of the token that a request carries, never whoever a cookie names."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, current_app, g, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import AnonymousUserMixin
from sqlalchemy.exc import OperationalError
from werkzeug.wrappers import Request

from broker.tokens import find_token, is_stale, require_scope
from broker.web.access import allowed_roles
from broker.web.reading import SAFE_METHODS, database, exchange
from models import ApiToken, NotAllowed, Role, utc_now
from models.api_token import READ

ROOT = "/api/"
"""Under this everything is asked for by programs."""

LARGEST_HEADER = 200
"""Signs of an Authorization header that are looked at; every token is shorter."""


def is_api(asked: Request) -> bool:
    """Whether a program asks, through the API."""
    return asked.path.startswith(ROOT)


class Cookies(SecureCookieSessionInterface):
    """Sessions for pages; the API has none, so that no cookie opens anything there."""

    def open_session(self, app: Flask, request: Request) -> Any:  # type: ignore[override]
        if is_api(request):
            return self.make_null_session(app)
        return super().open_session(app, request)  # type: ignore[arg-type]

    def save_session(self, app: Flask, session: SessionMixin, response: Any) -> None:
        if not self.is_null_session(session):
            super().save_session(app, session, response)


def token() -> ApiToken | None:
    """The good token that the request carries; None where it carries none.

    Raises
    ------
    NotAllowed
        ``bad_token`` for anything else that stands in its place.
    """
    if "api_token" not in g:
        g.api_token = None
        header = request.headers.get("Authorization", "")
        if header:
            kind, _space, secret = header[:LARGEST_HEADER].partition(" ")
            if kind.lower() != "bearer":
                raise NotAllowed("bad_token")
            g.api_token = find_token(database(), secret.strip())
    found: ApiToken | None = g.api_token
    return found


def caller_key() -> str:
    """By what requests are counted: the token's owner, or the address of who has none."""
    try:
        found = token()
    except NotAllowed:
        g.pop("api_token", None)
        found = None
    return f"person {found.user_id}" if found else get_remote_address()


def receive(app: Flask) -> None:
    """Take in the whole request first: no slow caller holds the database while she still sends."""

    @app.before_request
    def take_in() -> None:
        if is_api(request):
            request.get_data()


def tell_limits(app: Flask, limiter: Limiter) -> None:
    """Say with every answer how much a caller may still ask for."""

    @app.after_request
    def tell(response: Response) -> Response:
        now = limiter.current_limit if is_api(request) else None
        if now is not None:
            left = str(max(0, round(now.reset_at - utc_now().timestamp())))
            response.headers["RateLimit-Limit"] = str(now.limit.amount)
            response.headers["RateLimit-Remaining"] = str(max(0, now.remaining))
            response.headers["RateLimit-Reset"] = left
            if response.status_code == 429:
                response.headers["Retry-After"] = left
        return response


def prepare(app: Flask) -> None:
    """Let tokens, and nothing else, say who calls the API; before the guard of pages looks."""
    app.session_interface = Cookies()

    @app.before_request
    def know_caller() -> None:
        if not is_api(request):
            return
        g._login_user = AnonymousUserMixin()
        found = token()
        if found is None:
            return
        g._login_user = found.user
        view = app.view_functions.get(request.endpoint or "")
        scope = getattr(view, "scope", "")
        if scope and Role(found.user.role) in allowed_roles(request.endpoint or ""):
            require_scope(found, scope)
        elif not scope:
            require_scope(found, READ)
        _note_use(found)

    @app.after_request
    def open_to_pages_elsewhere(response: Response) -> Response:
        if is_api(request):
            _share(response)
        return response


def _note_use(found: ApiToken) -> None:
    """Keep when a token was last used; apart, since a reading request keeps nothing."""
    now = utc_now()
    if not is_stale(found, now):
        return
    if request.method not in SAFE_METHODS:
        found.last_used_at = now
        return
    try:
        with exchange().writing() as session:
            kept = session.get(ApiToken, found.id)
            if kept is not None:
                kept.last_used_at = now
    except OperationalError:
        # Somebody writes for long: reading must not fail for want of this note.
        current_app.logger.info("the last use of token %s was not kept", found.id)


def _share(response: Response) -> None:
    """What everybody may read, pages of other sites may read too, without anybody's token."""
    endpoint = request.endpoint or ""
    public = bool(endpoint) and Role.PUBLIC in allowed_roles(endpoint)
    if public and request.method in SAFE_METHODS and "Authorization" not in request.headers:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = (
            "ETag, Link, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After"
        )
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, HEAD"
            response.headers["Access-Control-Allow-Headers"] = "Accept-Language, If-None-Match"
            response.headers["Access-Control-Max-Age"] = "86400"
    response.headers.add("Vary", "Authorization, Accept-Language")
    response.headers.setdefault("Cache-Control", "no-cache")
    response.headers.setdefault("Cross-Origin-Resource-Policy", "cross-origin")
