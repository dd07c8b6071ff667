"""The application factory."""

from __future__ import annotations

from flask import Flask
from flask_bootstrap import Bootstrap5
from flask_compress import Compress
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_talisman import Talisman
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from broker import api
from broker.exchange import Exchange
from broker.paths import STATIC, TEMPLATES
from broker.settings import Settings
from broker.web import (
    access,
    account,
    addresses,
    agreements,
    assets,
    board,
    bulletins,
    clearing,
    conflicts,
    countries,
    desk,
    directory,
    documents,
    duplicates,
    endorsements,
    errors,
    feeds,
    iati,
    imports,
    jobs,
    ledger,
    mail,
    matches,
    merging,
    notices,
    open_data,
    organisations,
    parties,
    partners,
    plans,
    post_history,
    posts,
    presentation,
    programmes,
    public,
    reading,
    reports,
    search,
    searches,
    secretariat,
    silence,
    subjects,
    task_forces,
    tokens,
    webhooks,
    weights,
    writing,
)
from broker.web.counters import storage_of

csrf = CSRFProtect()

POLICY = {
    "default-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
"""Content security policy: nothing comes from another host, and no script stands in a page."""


def create_app(settings: Settings | None = None, exchange: Exchange | None = None) -> Flask:
    """The WSGI application of an exchange.

    Parameters
    ----------
    settings : Settings, optional
        Read from the environment when neither this nor ``exchange`` is given.
    exchange : Exchange, optional
        An exchange that runs already (tests, the demonstration).
    """
    exchange = exchange or Exchange((settings or Settings.from_environment()).completed())
    settings = exchange.settings
    app = Flask("broker", static_folder=str(STATIC), template_folder=str(TEMPLATES))
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=settings.max_upload,
        MAX_FORM_MEMORY_SIZE=settings.max_upload,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.https,
        REMEMBER_COOKIE_HTTPONLY=True,
        REMEMBER_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_SECURE=settings.https,
        BOOTSTRAP_SERVE_LOCAL=True,
        WTF_CSRF_TIME_LIMIT=8 * 3600,
        SEND_FILE_MAX_AGE_DEFAULT=7 * 24 * 3600,
        COMPRESS_MIMETYPES=[
            "text/html", "text/css", "text/javascript", "application/javascript",
            "application/json", "application/problem+json", "image/svg+xml",
        ],
        RATELIMIT_STORAGE_URI=storage_of(settings),
        RATELIMIT_HEADERS_ENABLED=True,
    )  # fmt: skip
    app.extensions["exchange"] = exchange
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies
        )
    Bootstrap5(app)
    Compress(app)
    csrf.init_app(app)
    Talisman(
        app,
        force_https=settings.https,
        strict_transport_security=settings.https,
        session_cookie_secure=settings.https,
        content_security_policy=POLICY,
        referrer_policy="same-origin",
    )
    addresses.prepare(app)
    reading.prepare(app)
    api.listen(app)
    limiter = Limiter(get_remote_address, app=app)
    api.prepare(app)
    access.prepare(app)
    errors.prepare(app)
    presentation.prepare(app)
    assets.prepare(app)
    for module in (
        board, countries, directory, programmes, subjects, organisations,
        public, account, search, posts, post_history, writing, matches, agreements, parties, documents, ledger, secretariat, reports, bulletins,
        assets, weights, clearing, duplicates, webhooks, feeds, open_data, merging, tokens, jobs, imports, plans, iati,
        notices, searches, silence, mail,
        task_forces, partners, conflicts, endorsements, desk,
    ):  # fmt: skip
        app.register_blueprint(module.pages)
    api.open_doors(app, limiter, csrf, settings.api_limit)
    # A mail program's own button sends no token of ours (RFC 8058); the link is signed.
    csrf.exempt(app.view_functions["notices.unsubscribe"])
    limiter.limit(settings.sign_in_limit, methods=["POST"])(app.view_functions["account.sign_in"])
    return app
