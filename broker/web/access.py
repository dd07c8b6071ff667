"""Who may open which page: default deny.

Every view names its readers with :func:`allow`. A view without it opens for nobody, and
``tests/broker/web/test_access.py`` walks every address as every role against a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request
from flask_login import LoginManager, current_user

from broker.web.reading import database
from models import NotAllowed, Role, User

F = TypeVar("F", bound=Callable[..., Any])

EVERYBODY = frozenset(Role)
SIGNED_IN = EVERYBODY - {Role.PUBLIC}
MODERATORS = frozenset({Role.COORDINATOR, Role.SECRETARIAT})
SECRETARIAT = frozenset({Role.SECRETARIAT})
NEED_POSTERS = frozenset({Role.FOCAL_POINT, Role.COORDINATOR})
OFFER_POSTERS = frozenset({Role.FOCAL_POINT, Role.PROVIDER, Role.TASK_FORCE})
POSTERS = NEED_POSTERS | OFFER_POSTERS
WRITERS = POSTERS | {Role.DELEGATE}

OPEN_ENDPOINTS = frozenset({"static", "bootstrap.static"})
"""Endpoints of libraries that serve files to everybody."""


def allow(roles: frozenset[Role]) -> Callable[[F], F]:
    """Name the roles for which a view opens.

    What a person may do with *this* post or agreement is decided by the model; this decides only
    whether the page is hers at all.
    """

    def mark(view: F) -> F:
        view.allowed_roles = roles  # type: ignore[attr-defined]
        return view

    return mark


def reader() -> User | None:
    """The person who reads, or None for the public."""
    return current_user if current_user.is_authenticated else None


def person() -> User:
    """The person who acts; on pages that open only for people who signed in.

    Raises
    ------
    NotAllowed
        ``sign_in_needed`` for the public.
    """
    user = reader()
    if user is None:
        raise NotAllowed("sign_in_needed")
    return user


def allowed_roles(endpoint: str) -> frozenset[Role]:
    """The roles for which an endpoint opens; none where its view does not say."""
    if endpoint in OPEN_ENDPOINTS:
        return EVERYBODY
    return getattr(current_app.view_functions[endpoint], "allowed_roles", frozenset())


def prepare(app: Flask) -> None:
    """Guard every request of the application."""
    manager = LoginManager(app)
    manager.session_protection = "strong"

    @manager.user_loader
    def load_user(user_id: str) -> User | None:
        user = database().get(User, int(user_id)) if user_id.isdecimal() else None
        return user if user is not None and user.active else None

    @app.before_request
    def guard() -> None:
        if request.endpoint is None:
            return
        opens_for = allowed_roles(request.endpoint)
        if opens_for == EVERYBODY:
            # Nobody has to be known: a style sheet costs no query and sets no cookie.
            return
        user = reader()
        role = Role(user.role) if user else Role.PUBLIC
        if role in opens_for:
            return
        raise NotAllowed("role_needed" if user else "sign_in_needed")
