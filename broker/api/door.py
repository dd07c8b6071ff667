"""The door of the API: what an operation takes, gives and needs is said once, on its function.

>>> from broker.api.door import Door
>>> doors = Door("api_examples", __name__, description="Examples")

``@doors.opens("GET", "/examples", roles=EVERYBODY, gives=ExampleList)`` on a function makes it an
address, its description in the OpenAPI document, and the guard before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import wraps
from hashlib import sha256
from typing import Any, TypeVar

from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import Schema, fields
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import BadRequest, NotAcceptable, UnsupportedMediaType

from broker.api.repeats import HEADER, once
from broker.schemas import load
from broker.web.access import allow
from broker.web.reading import SAFE_METHODS, database, exchange
from models import Conflict, DomainError, InvalidInput, Role

F = TypeVar("F", bound=Callable[..., Any])

PREFIX = "/api/v1"

STALE = frozenset({"post_changed", "changed_meanwhile", "terms_changed", "line_changed"})
"""Conflicts that say that the caller has read an older version."""


class VersionNeeded(DomainError):
    """An edit did not say which version it is of."""


class StaleVersion(DomainError):
    """An edit is of a version that is no longer the present one."""


class Door(Blueprint):
    """A blueprint of operations under ``/api/v1``."""

    def __init__(self, name: str, module: str, *, description: str) -> None:
        super().__init__(name, module, url_prefix=PREFIX, description=description)

    def opens(
        self,
        method: str,
        path: str,
        *,
        roles: frozenset[Role],
        gives: type[Schema] | None,
        scope: str = "",
        status: int = 200,
        takes: type[Schema] | None = None,
        draft: bool = False,
        as_sent: bool = False,
        takes_file: tuple[str, ...] = (),
        query: type[Schema] | None = None,
        versioned: bool = False,
        needs_version: bool = False,
        repeatable: bool = False,
        endpoint: str = "",
    ) -> Callable[[F], F]:
        """Make a function an operation.

        Parameters
        ----------
        roles : frozenset
            For whom it opens at all; what a person may do with *this* thing the model decides.
        scope : str
            What a token must be for (one of several, with spaces between); empty where reading is
            enough.
        takes : type of Schema, optional
            The body. The function gets it, checked, as ``data``: loaded, or with ``as_sent`` as
            the caller wrote it, for use cases that load it themselves. ``draft`` lets required
            fields be missing.
        takes_file : tuple of str
            Kinds of a file (media types) that is the body; the function gets it as ``content``.
        query : type of Schema, optional
            The parameters after the question mark, given to the function as ``query``.
        versioned : bool
            Whether the answer has a ``revision``, and with it an ETag.
        needs_version : bool
            Whether the caller must say in ``If-Match`` which version she has read; the function
            gets its number as ``revision`` (None for ``*``).
        repeatable : bool
            Whether an idempotency key is listened to.
        """

        def decorate(view: F) -> F:
            @wraps(view)
            def guarded(**values: Any) -> Any:
                _require_acceptable()
                if query is not None:
                    values["query"] = read_query(query)
                if needs_version:
                    values["revision"] = _version_read()

                def answer() -> Response:
                    if takes is not None:
                        values["data"] = read_body(takes, draft=draft, as_sent=as_sent)
                    if takes_file:
                        values["content"] = read_file(takes_file)
                    try:
                        said = view(**values)
                        if request.method not in SAFE_METHODS:
                            database().flush()
                    except (Conflict, StaleDataError) as error:
                        if needs_version and getattr(error, "code", "post_changed") in STALE:
                            raise StaleVersion("version_stale") from error
                        raise
                    return _answer(said, status, versioned)

                return once(answer) if repeatable else answer()

            guarded.scope = scope  # type: ignore[attr-defined]
            opened = allow(roles)(guarded)
            opened = self.doc(
                **_documented(
                    roles, scope, gives, status, _body(takes, draft, takes_file), query,
                    versioned and method == "GET", needs_version, repeatable,
                )
            )(opened)  # fmt: skip
            opened.allowed_roles, opened.scope = roles, scope
            self.route(
                path,
                methods=[method],
                endpoint=endpoint or view.__name__,
                tags=[self.description],
            )(opened)
            return view

        return decorate


def _require_acceptable() -> None:
    if request.accept_mimetypes and not request.accept_mimetypes.best_match(["application/json"]):
        raise NotAcceptable


def _answer(said: Any, status: int, versioned: bool) -> Response:
    if isinstance(said, Response):
        return said
    if said is None:
        return Response(status=204)
    text = json.dumps(said, ensure_ascii=False)
    response = Response(text, status, content_type="application/json")
    following = said.get("next") if isinstance(said, dict) else None
    if following:
        response.headers["Link"] = f'<{following}>; rel="next"'
    if versioned:
        response.set_etag(f"{said['revision']}-{sha256(text.encode()).hexdigest()[:16]}")
        if request.method in SAFE_METHODS:
            response.make_conditional(request)
    if status == 201 and isinstance(said, dict) and "links" in said:
        response.headers["Location"] = said["links"]["self"]
    return response


def _version_read() -> int | None:
    """The revision that ``If-Match`` names; None for ``*``."""
    header = request.headers.get("If-Match", "").strip()
    if not header:
        raise VersionNeeded("version_needed")
    if header == "*":
        return None
    for tag in request.if_match.as_set():
        number, _dash, _digest = (tag or "").partition("-")
        if number.isdecimal() and len(number) < 10:
            return int(number)
    return -1


def read_query(schema: type[Schema]) -> dict[str, Any]:
    """The parameters of the address, checked.

    Raises
    ------
    InvalidInput
        For one that does not exist, is not of its form, or stands there twice and must not.
    """
    known = schema._declared_fields
    sent: dict[str, Any] = {}
    twice: dict[str, Any] = {}
    for name in request.args:
        values = request.args.getlist(name)
        if isinstance(known.get(name), fields.List):
            sent[name] = values
        elif len(values) > 1:
            twice[name] = [("one_value", {})]
        else:
            sent[name] = values[0]
    if twice:
        raise InvalidInput(twice)
    return load(schema, sent, exchange().reference)


def read_body(schema: type[Schema], *, draft: bool = False, as_sent: bool = False) -> Any:
    """The body of the request, checked; ``as_sent`` gives it back as it came.

    Raises
    ------
    InvalidInput
        With every field that has a problem.
    """
    if not request.is_json:
        raise UnsupportedMediaType
    try:
        data = json.loads(request.get_data(), parse_constant=_refuse_constant)
        # A text with half a sign (a lone surrogate) can be neither stored nor sent on.
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadRequest from error
    if isinstance(data, dict):
        wrong = dict(_of_wrong_type(schema._declared_fields, data))
        if wrong:
            raise InvalidInput(wrong)
    loaded = load(schema, data, exchange().reference, partial=draft)
    return data if as_sent else loaded


def read_file(kinds: tuple[str, ...]) -> bytes:
    """The body of the request, as it came; another kind of file than these is refused."""
    if request.mimetype not in kinds:
        raise UnsupportedMediaType
    return request.get_data()


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _of_wrong_type(known: Any, data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Fields whose values are of another type of JSON: forms send texts, programs do not."""
    for name, value in data.items():
        field = known.get(name)
        if field is None or value is None:
            continue
        items = value if isinstance(field, fields.List) and isinstance(value, list) else None
        inner = field.inner if items is not None else field
        for item in items if items is not None else [value]:
            if isinstance(inner, fields.Nested) and isinstance(item, dict):
                nested = dict(_of_wrong_type(inner.schema.declared_fields, item))
                if nested:
                    yield name, nested
                    break
            elif not _fits(inner, item):
                yield name, [str(inner.error_messages["invalid"])]
                break


def _fits(field: Any, value: Any) -> bool:
    if isinstance(field, fields.Boolean):
        return isinstance(value, bool)
    if isinstance(field, fields.Decimal):
        return isinstance(value, int | float | str) and not isinstance(value, bool)
    if isinstance(field, fields.Integer):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(field, fields.Number):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return True


def _documented(
    roles: frozenset[Role],
    scope: str,
    gives: type[Schema] | None,
    status: int,
    body: dict[str, Any],
    query: type[Schema] | None,
    conditional: bool,
    needs_version: bool,
    repeatable: bool,
) -> dict[str, Any]:
    """What the OpenAPI document says of an operation."""
    public = Role.PUBLIC in roles
    problems = [400, 406, 422, 429, 500] if query or body else [400, 406, 429, 500]
    problems += [401, 403, 404]
    if body:
        problems += [413, 415]
    if scope:
        problems += [409]
    if needs_version:
        problems += [412, 428]
    responses: dict[Any, Any] = {
        code: {"$ref": "#/components/responses/Problem"} for code in sorted({*problems})
    }
    responses["default"] = {"$ref": "#/components/responses/Problem"}
    if gives is None:
        responses[204] = {"description": "Done; there is nothing to say."}
    else:
        responses[status] = {
            "description": "Made." if status == 201 else "Done.",
            "content": {"application/json": {"schema": gives}},
        }
    if conditional:
        responses[304] = {"description": "Not changed since the version that you have."}
    parameters: list[dict[str, Any]] = [_LANGUAGE]
    if query is not None:
        parameters.append({"in": "query", "schema": query})
    if needs_version:
        parameters.append(_IF_MATCH)
    if conditional:
        parameters.append(_IF_NONE_MATCH)
    if repeatable:
        parameters.append(_KEY)
    documented: dict[str, Any] = {
        "responses": responses,
        "parameters": parameters,
        "security": [{}, {"token": []}] if public else [{"token": []}],
        "x-roles": sorted(str(role) for role in roles),
    }
    if scope:
        documented["x-scope"] = scope.split()
    if body:
        documented["requestBody"] = {"required": True, "content": body}
    return documented


def _body(
    takes: type[Schema] | None, draft: bool, takes_file: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """What the document says of the body: its kinds, and the schema of each."""
    if takes is not None:
        return {"application/json": {"schema": takes(partial=draft)}}
    return {kind: {"schema": {"type": "string", "format": "binary"}} for kind in takes_file}


_LANGUAGE = {
    "in": "header",
    "name": "Accept-Language",
    "schema": {"type": "string"},
    "description": "Language of sentences and labels: es, en, pt or fr.",
}
_IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "schema": {"type": "string"},
    "description": "The ETag of the version that you have read.",
}
_IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "schema": {"type": "string"},
    "description": "The ETag of the version that you have; it is not sent again.",
}
_KEY = {
    "in": "header",
    "name": HEADER,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "A name of your own for this request. Sent again with it, nothing is made twice.",
}
