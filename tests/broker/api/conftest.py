"""Callers of the API: programs with a token of a person of any role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from broker.exchange import Exchange
from broker.tokens import make_token, scopes_for
from models import Role, User
from tests.broker.factories import make_person

ROOT = "/api/v1"


class Program:
    """A program that calls the API, with a token or without one."""

    def __init__(self, client: FlaskClient, token: str = "", user: User | None = None) -> None:
        self.client, self.token, self.user = client, token, user

    def ask(self, method: str, path: str, **more: Any) -> TestResponse:
        headers = {"Accept-Language": "en", **more.pop("headers", {})}
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        path = path if path.startswith(("/api", "http")) else ROOT + path
        return self.client.open(path, method=method, headers=headers, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.ask("POST", path, **({"json": body} if body is not None else {}), **more)

    def patch(self, path: str, body: Any, **more: Any) -> TestResponse:
        return self.ask("PATCH", path, json=body, **more)


Programs = Callable[..., Program]


@pytest.fixture
def program(app: Flask, exchange: Exchange) -> Programs:
    """``program(role, organisation, scopes=…)`` or ``program()`` for one without a token."""

    def made(
        who: Role | User | None = None,
        organisation: str = "",
        scopes: list[str] | None = None,
        **facts: Any,
    ) -> Program:
        client = app.test_client(use_cookies=False)
        if who is None:
            return Program(client)
        with exchange.writing() as session:
            user = (
                who if isinstance(who, User) else make_person(session, who, organisation, **facts)
            )
            user = session.merge(user)
            data = {"name": "test", "scopes": scopes_for(user) if scopes is None else scopes}
            _token, secret = make_token(session, user, data, exchange.reference)
        return Program(client, secret, user)

    return made
