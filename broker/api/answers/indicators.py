"""Indicators of agreements and of the action plan, as the API tells of them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from broker.api.answers.values import maybe, plain, text
from models import Indicator, PlanIndicator


class ReportedValue(Schema):
    """A value reported for an indicator."""

    on = fields.Date(required=True)
    value = fields.Float(required=True)
    note = text()


class IndicatorRow(Schema):
    """A measured quantity and its way to the target, where one is set."""

    id = fields.Integer(required=True)
    name = text()
    unit = text()
    baseline = maybe(fields.Float)
    target = maybe(fields.Float)
    due = maybe(fields.Date)
    progress = maybe(fields.Float)
    reports = fields.List(fields.Nested(ReportedValue), required=True)


def indicator(found: Indicator | PlanIndicator, *, notes: bool) -> dict[str, Any]:
    """An indicator with its reported values; the notes to them only for who may read them."""
    return {
        "id": found.id,
        "name": found.name,
        "unit": found.unit,
        "baseline": found.baseline,
        "target": found.target,
        "due": plain(found.due),
        "progress": found.progress(),
        "reports": [
            {"on": plain(r.on), "value": r.value, "note": r.note if notes else ""}
            for r in found.reports
        ],
    }
