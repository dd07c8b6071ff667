"""What all answers share: how values look in JSON, lists and slices of them, and problems."""

from __future__ import annotations

from dataclasses import fields as facts
from dataclasses import is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

from marshmallow import Schema, fields

from broker.schemas import Code, Day, Money

AMOUNT = {"description": "Digits with a point before the cents, as a text."}


def text(**kwargs: Any) -> fields.String:
    """A text that is always there."""
    return fields.String(required=True, **kwargs)


def maybe(field: type[fields.Field], **kwargs: Any) -> fields.Field:
    """A value that may be null."""
    return field(allow_none=True, **kwargs)


def told(schema: type[Schema], name: str, **more: fields.Field) -> type[Schema]:
    """The schema of an answer that says what ``schema`` takes in, and ``more``."""
    known = {n: _told(field) for n, field in schema._declared_fields.items()}
    return type(name, (Schema,), {**known, **more, "__doc__": schema.__doc__})


@cache
def _told_within(schema: type[Schema]) -> type[Schema]:
    return told(schema, schema.__name__.removesuffix("Schema") + "Said")


def _told(field: fields.Field) -> fields.Field:
    """The same field without what is asked of input alone."""
    if isinstance(field, Day):
        return fields.Date(allow_none=True)
    if isinstance(field, Money):
        return fields.String(allow_none=True, metadata=AMOUNT)
    if isinstance(field, fields.List):
        return fields.List(_told(field.inner), allow_none=True)
    if isinstance(field, fields.Nested):
        return fields.Nested(_told_within(field.schema.__class__))
    if isinstance(field, fields.Dict):
        return fields.Dict(allow_none=True)
    if isinstance(field, fields.Boolean):
        return fields.Boolean(allow_none=True)
    if isinstance(field, fields.Integer):
        return fields.Integer(allow_none=True)
    if isinstance(field, fields.Float):
        return fields.Float(allow_none=True)
    if isinstance(field, Code):
        return fields.String(allow_none=True, metadata={"description": f"Code of a {field.scheme}"})
    return fields.String(allow_none=True)


def slice_schema(item: type[Schema], name: str) -> type[Schema]:
    """A slice of a list, with the address of the next one."""
    return type(
        name,
        (Schema,),
        {
            "items": fields.List(fields.Nested(item), required=True),
            "next": fields.URL(
                required=True, allow_none=True, metadata={"description": "The next slice."}
            ),
        },
    )


class LinksSaid(Schema):
    """Where a thing stands."""

    self = fields.URL(required=True)
    page = fields.URL(metadata={"description": "The page for people."})
    matches = fields.URL()


class Problem(Schema):
    """What is wrong, in the reader's language (RFC 9457)."""

    type = text(metadata={"description": "A name for the problem that never changes."})
    title = text()
    status = fields.Integer(required=True)
    detail = text()
    instance = text()
    errors = fields.Dict(metadata={"description": "Field → its problems, as sentences."})


def plain(value: Any) -> Any:
    """A value as JSON holds it; amounts are texts, so that no cent is lost."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in facts(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date | datetime) else value


def listed(items: list[Any], following: str | None = None) -> dict[str, Any]:
    """A list, or a slice of one with the address of the next."""
    return {"items": items, "next": following}
