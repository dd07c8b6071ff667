"""Long lists in slices that stay in step while the list grows: signed places instead of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from flask import current_app, request
from flask_babel import lazy_gettext as _l
from itsdangerous import BadSignature, URLSafeSerializer
from marshmallow import fields, validate
from sqlalchemy import ColumnElement, Select, and_, or_
from sqlalchemy.orm import Session
from sqlalchemy.sql import operators

from broker.schemas import Strict
from models import InvalidInput

SLICE, MOST = 25, 100
"""Rows of a slice, where nothing is said, and at most."""


def one_of(values: Iterable[str]) -> validate.OneOf:
    """A check of a parameter that names one of a few; tells which, in the reader's language."""
    return validate.OneOf(tuple(values), error=_l("Choose one of: {choices}."))


class SliceQuery(Strict):
    """Which slice of a list is asked for."""

    limit = fields.Integer(
        load_default=SLICE,
        validate=validate.Range(1, MOST, error=_l("Give a number from {min} to {max}.")),
        error_messages={"invalid": _l("This is not a number.")},
        metadata={"description": "Rows of the slice."},
    )
    cursor = fields.String(
        validate=validate.Length(1, 1000),
        metadata={"description": "Where the slice begins: taken from `next` of the one before."},
    )


def slice_of(
    session: Session, query: Select[Any], order: Sequence[ColumnElement[Any]], asked: dict[str, Any]
) -> tuple[list[Any], str | None]:
    """A slice of the list, and the address of the next one.

    Rows that come in meanwhile shift nothing: a slice begins after a row, not at a number.

    Parameters
    ----------
    order : sequence of ColumnElement
        What the list is sorted by, each ascending or descending, the last one unique; none of
        them NULL in any row.
    asked : dict
        ``limit`` and ``cursor`` of :class:`SliceQuery`.

    Raises
    ------
    InvalidInput
        For a cursor that is not of this list.
    """
    keys = [clause.element for clause in order]  # type: ignore[attr-defined]
    query = query.order_by(None).order_by(*order)
    if asked.get("cursor"):
        query = query.where(_after(order, _read(asked["cursor"], len(keys))))
    limit = asked["limit"]
    named = [key.label(f"key_{number}") for number, key in enumerate(keys)]
    found = session.execute(query.add_columns(*named).limit(limit + 1)).unique().all()
    rows = [row[0] for row in found[:limit]]
    if len(found) <= limit:
        return rows, None
    return rows, _address(_written(found[limit - 1][1:]))


def _after(order: Sequence[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    ways = []
    for number, (clause, value) in enumerate(zip(order, values, strict=True)):
        key = clause.element
        further = key < value if clause.modifier is operators.desc_op else key > value
        same = [c.element == v for c, v in zip(order[:number], values[:number], strict=True)]
        ways.append(and_(*same, further))
    return or_(*ways)


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(str(current_app.secret_key), salt=f"cursor {_list()}")


def _list() -> str:
    """The list that is asked for, with its filters: a cursor is of one list."""
    asked = sorted(
        pair for pair in request.args.items(multi=True) if pair[0] not in ("cursor", "limit")
    )
    return sha256(repr((request.path, asked)).encode()).hexdigest()[:24]


def _written(values: Sequence[Any]) -> str:
    plain = [
        {"t": value.isoformat()}
        if isinstance(value, datetime)
        else {"d": value.isoformat()}
        if isinstance(value, date)
        else value
        for value in values
    ]
    written = _signer().dumps(plain)
    return written if isinstance(written, str) else written.decode()


def _read(cursor: str, length: int) -> list[Any]:
    try:
        plain = _signer().loads(cursor)
    except BadSignature as error:
        raise InvalidInput({"cursor": [("bad_cursor", {})]}) from error
    values = [
        value
        if not isinstance(value, dict)
        else datetime.fromisoformat(value["t"])
        if "t" in value
        else date.fromisoformat(value["d"])
        for value in plain
    ]
    if len(values) != length:
        raise InvalidInput({"cursor": [("bad_cursor", {})]})
    return values


def _address(cursor: str) -> str:
    pairs = [pair for pair in request.args.items(multi=True) if pair[0] != "cursor"]
    return f"{request.base_url}?{urlencode([*pairs, ('cursor', cursor)])}"
