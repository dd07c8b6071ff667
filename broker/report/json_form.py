"""The match report for programs that take the whole of it: one JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from broker.reference import Reference
from broker.report.match_report import MatchReport


def as_json(report: MatchReport, _reference: Reference) -> str:
    """The whole report as one JSON object; amounts are texts, so that no cent is lost.

    Its labels are in the language in which the report was made.
    """
    return json.dumps(_plain(report), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _told(type(value))}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date | datetime) else value


@cache
def _told(kind: type) -> tuple[str, ...]:
    """What is told of an object: its fields, and what is worked out from them."""
    worked_out = (name for name, found in vars(kind).items() if isinstance(found, property))
    return (*(field.name for field in fields(kind)), *worked_out)
