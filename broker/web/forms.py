"""Forms: what the browser sends, laid out as the input that the schemas check."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields
from werkzeug.datastructures import MultiDict

from broker.schemas import Text


def read_form(form: MultiDict[str, str], schema: type[Schema]) -> dict[str, Any]:
    """The fields of ``schema`` as a form carries them.

    Lists are repeated names; lists of records are ``name-0-field``; an empty box is None for a
    number, a date or a choice, and an empty text for a text. A checkbox comes with a hidden
    twin, so that "no" is told from "not on this form": fields that the form lacks are left out.
    """
    data: dict[str, Any] = {}
    for name, field in schema._declared_fields.items():
        if isinstance(field, fields.Dict):
            groups = _groups(form, name)
            if groups:
                data[name] = {k: v for k, v in groups.items() if any(v.values())}
        elif isinstance(field, fields.List) and isinstance(field.inner, fields.Nested):
            rows = filled_rows(form, name)
            if rows or f"{name}-present" in form:
                inner = field.inner.schema.declared_fields
                data[name] = [
                    {k: _one(v, inner.get(k)) for k, v in row.items()} for row in rows.values()
                ]
        elif isinstance(field, fields.List):
            if name in form or f"{name}-present" in form:
                values = form.getlist(name)
                if isinstance(field.inner, Text):
                    values = [line for value in values for line in value.splitlines()]
                data[name] = [value.strip() for value in values if value.strip()]
        elif name in form:
            # Of a checkbox and its hidden twin, the checkbox comes last.
            data[name] = _one(form.getlist(name)[-1], field)
    return data


def _one(value: str, field: fields.Field | None) -> Any:
    if isinstance(field, Text) or value.strip():
        return value
    return None if field is None or field.allow_none else value


def filled_rows(form: MultiDict[str, str], name: str) -> dict[str, dict[str, str]]:
    """Rows ``name-key-field`` of a list of records in which something is filled in, by their key.

    In the order in which they become items of the list, so that a problem of the third item is
    shown at the third row.
    """
    groups = _groups(form, name)
    return {
        key: groups[key]
        for key in sorted(groups, key=_order)
        if any(value.strip() for value in groups[key].values())
    }


def _groups(form: MultiDict[str, str], name: str) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = {}
    for key in form:
        parts = key.split("-", 2)
        if len(parts) == 3 and parts[0] == name:
            groups.setdefault(parts[1], {})[parts[2]] = form[key]
    return groups


def _order(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdecimal() and len(key) < 7 else (10**6, key)
