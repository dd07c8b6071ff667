"""What belongs to one request: its database session, its reader's language, its day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar, cast

from flask import Flask, current_app, g, request, session
from flask_babel import Babel, refresh
from flask_login import current_user
from sqlalchemy.orm import Session

from broker.exchange import Exchange
from broker.paths import TRANSLATIONS
from models import LANGUAGES, User
from models.database import begin_writing

F = TypeVar("F", bound=Callable[..., Any])

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def exchange() -> Exchange:
    """The running exchange."""
    return cast("Exchange", current_app.extensions["exchange"])


def database() -> Session:
    """The request's session: one transaction, which the end of the request keeps or undoes.

    A request that may change something begins as a writer, so that what it reads cannot change
    before it writes.
    """
    if "database" not in g:
        g.database = exchange().sessions()
        if _may_write():
            begin_writing(g.database)
            g.database.info["writing"] = True
    return cast("Session", g.database)


def reads_only(view: F) -> F:
    """Mark a view that is sent a text to look at, and changes nothing: no writer waits for it."""
    view.reads_only = True  # type: ignore[attr-defined]
    return view


def _may_write() -> bool:
    if request.method in SAFE_METHODS:
        return False
    view = current_app.view_functions.get(request.endpoint or "")
    return not getattr(view, "reads_only", False)


def today() -> date:
    """The day by which this request judges windows and dates."""
    return exchange().today()


def speak_to(user: User) -> None:
    """Answer this request in the language of that account, though nobody has signed in with it.

    For links of letters: whoever opens one has read the letter, whatever her browser speaks.
    """
    g.language = user.language
    refresh()


def language() -> str:
    """The reader's language: chosen, or the account's, or the browser's, or the installation's."""
    chosen = session.get("language") or g.get("language")
    if chosen in LANGUAGES:
        return cast("str", chosen)
    # Looking at the account reads the database; a reader without a session has none.
    if "_user_id" in session and current_user.is_authenticated:
        return cast("str", current_user.language)
    return request.accept_languages.best_match(LANGUAGES) or exchange().settings.language


def prepare(app: Flask) -> None:
    """Open and close what a request needs."""
    Babel(
        app,
        locale_selector=language,
        default_locale="en",
        default_translation_directories=str(TRANSLATIONS),
    )

    @app.before_request
    def renew() -> None:
        if request.endpoint != "static":
            exchange().renew()

    @app.after_request
    def keep(response):  # type: ignore[no-untyped-def]
        opened: Session | None = g.get("database")
        if opened is not None and request.method not in SAFE_METHODS:
            if response.status_code < 400:
                opened.commit()
            else:
                opened.rollback()
        return response

    @app.teardown_appcontext
    def close(_error: BaseException | None) -> None:
        opened: Session | None = g.pop("database", None)
        if opened is not None:
            opened.close()
