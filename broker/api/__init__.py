"""The JSON API: the use cases of the pages, for programs.

:func:`listen` and :func:`prepare` set it up in the order that it needs: a request is taken in
whole, counted, its caller known by her token, and only then let in by the guard of all pages.
"""

from __future__ import annotations

from typing import Any

from apispec.ext.marshmallow import MarshmallowPlugin, resolver
from flask import Flask
from flask_limiter import Limiter
from flask_smorest import Api
from flask_wtf.csrf import CSRFProtect

from broker.api import (
    account,
    agreements,
    caller,
    description,
    directory,
    matches,
    organisations,
    plans,
    posts,
    reference,
    reports,
    rounds,
)
from broker.api.answers.values import Problem
from broker.schemas import LARGEST_AMOUNT, Code, Money
from broker.web.addresses import CodeConverter, NumberConverter
from models import SCOPES

DOORS = (
    posts,
    matches,
    agreements,
    rounds,
    plans,
    directory,
    organisations,
    reference,
    reports,
    account,
)

ABOUT = """Matches what countries need with what partners offer, and follows it to agreements.

Everything that is public can be read without a token. For the rest, make a personal token under
“My account” and send it as `Authorization: Bearer …`. `docs/api.md` has the rest.
"""


class Described(Api):
    """The API's description; errors are answered by the application, as everywhere else."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Nothing: see ``broker/web/errors.py``."""


def listen(app: Flask) -> None:
    """Take in requests whole; before anything else looks at them."""
    caller.receive(app)


def prepare(app: Flask) -> None:
    """Know who calls; before the guard of pages asks."""
    caller.prepare(app)


def open_doors(app: Flask, limiter: Limiter, csrf: CSRFProtect, limit: str) -> None:
    """Add the operations, their description and their limits."""
    app.config.update(
        API_TITLE="10YFP broker",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={"info": {"description": ABOUT}},
    )
    plugin = MarshmallowPlugin(schema_name_resolver=_name)
    api = Described(app, spec_kwargs={"marshmallow_plugin": plugin})
    converter: Any = plugin.converter
    converter.add_attribute_function(_codes)
    converter.add_attribute_function(_forms)
    api.register_converter(NumberConverter, lambda _: {"type": "integer", "minimum": 0})
    api.register_converter(CodeConverter, lambda _: {"type": "string", "maxLength": 64})
    api.spec.components.response(
        "Problem",
        {
            "description": "What is wrong, in the reader's language (RFC 9457).",
            "content": {"application/problem+json": {"schema": Problem}},
        },
    )
    api.spec.components.security_scheme(
        "token",
        {
            "type": "http",
            "scheme": "bearer",
            "description": "A personal token; its scopes: " + ", ".join(SCOPES),
        },
    )
    for module in DOORS:
        api.register_blueprint(module.doors)
        csrf.exempt(module.doors)
        limiter.shared_limit(limit, scope="api", key_func=caller.caller_key)(module.doors)
    app.extensions["api"] = api
    app.register_blueprint(description.pages)
    caller.tell_limits(app, limiter)


def _name(schema: Any) -> str:
    """The name under which a schema stands in the document; that of a draft differs."""
    name = str(resolver(schema))
    return f"{name}Draft" if getattr(schema, "partial", False) else name


def _codes(_converter: Any, field: Any, **_: Any) -> dict[str, Any]:
    return {"x-taxonomy": field.scheme} if isinstance(field, Code) else {}


def _forms(_converter: Any, field: Any, **_: Any) -> dict[str, Any]:
    """Amounts are taken as numbers and as texts; who cares for each cent writes a text."""
    if not isinstance(field, Money):
        return {}
    most = int(LARGEST_AMOUNT)
    return {"type": ["number", "string", "null"], "minimum": 0, "maximum": most}
