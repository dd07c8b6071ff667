"""Loading action plans from a file: the examples of the demonstration, or an operator's own.

A line that names a ``mandate`` takes its texts in four languages, its themes, its measures (the
mandate's own lines) and its indicators from the reference data. Loading again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, fields
from sqlalchemy.orm import Session

from broker.action_plan import LineSchema, plan_of
from broker.audit import record
from broker.fixture_files import FixtureError, Problem, Record, check, note, read_records
from broker.reference import Reference
from broker.reference_data import SourceSchema
from broker.schemas import load
from models import (
    CYCLE,
    LANGUAGES,
    REGION,
    ActionPlan,
    InvalidInput,
    PlanIndicator,
    PlanLine,
    PlanStatus,
    Term,
)

LEFT_TO_LINE = ("mandate", "source", "illustrative")


class _PlanFile(Schema):
    class Meta:
        unknown = RAISE

    scope = fields.String(required=True)
    starts = fields.Integer(required=True)
    source = fields.Nested(SourceSchema, load_default=dict)
    lines = fields.List(fields.Dict(), required=True)


def load_plans(session: Session, path: Path, reference: Reference) -> int:
    """Load the plans of a YAML file; those that are there already stay as they are.

    Returns
    -------
    int
        How many were loaded.

    Raises
    ------
    FixtureError
        With every problem of the file; then nothing is loaded.
    """
    problems: list[Problem] = []
    plans: list[ActionPlan] = []
    for entry in read_records(path, problems):
        found = check(entry, _PlanFile(), problems)
        if found is None or plan_of(session, found["scope"], found["starts"]) is not None:
            continue
        if found["scope"] not in {
            REGION,
            *reference.codes("subregion"),
            *reference.codes("region_country"),
        }:
            problems.append(entry.problem("scope", f"no such scope: {found['scope']}"))
            continue
        plans.append(_plan(found, entry, reference, problems))
    if problems:
        session.expunge_all()
        raise FixtureError(path.parent, problems)
    for plan in plans:
        session.add(plan)
        session.flush()
        record(session, None, "plan.opened", plan, after={"scope": plan.scope})
    return len(plans)


def _plan(
    found: Mapping[str, Any], entry: Record, reference: Reference, problems: list[Problem]
) -> ActionPlan:
    scope, starts = found["scope"], found["starts"]
    plan = ActionPlan(
        scope=scope,
        country_code=scope if scope in reference.codes("region_country") else None,
        starts=starts,
        ends=starts + CYCLE - 1,
        status=PlanStatus.DRAFT,
        source=found["source"],
    )
    for position, data in enumerate(found["lines"], start=1):
        line = _line(data, entry, reference, problems)
        if line is not None:
            line.position = position
            plan.lines.append(line)
    return plan


def _line(
    data: Mapping[str, Any], entry: Record, reference: Reference, problems: list[Problem]
) -> PlanLine | None:
    stated = {name: value for name, value in data.items() if name not in LEFT_TO_LINE}
    mandate = reference.terms["mandate"].get(data.get("mandate", ""))
    if "mandate" in data and mandate is None:
        problems.append(entry.problem("lines", f"no such mandate: {data['mandate']}"))
        return None
    if mandate is not None:
        stated = {**_from_mandate(mandate), **stated}
    try:
        values = load(LineSchema, stated, reference)
    except InvalidInput as error:
        note(entry, {"lines": error.fields}, problems)
        return None
    indicators = values.pop("indicators")
    line = PlanLine(**values)
    line.themes, line.mandates = values.get("themes") or [], values.get("mandates") or []
    line.source = data.get("source") or _source_of(mandate)
    if data.get("illustrative"):
        line.source = {**line.source, "illustrative": data["illustrative"]}
    if mandate is not None:
        line.translations = _translations(mandate, reference)
        line.indicators = _indicators(mandate)
        line.activities = _measures(mandate, reference, line.language)
    else:
        line.indicators = [PlanIndicator(names={}, **item) for item in indicators]
    return line


def _from_mandate(mandate: Term) -> dict[str, Any]:
    return {
        "language": "es",
        "priority": mandate.label("es"),
        "themes": list(mandate.extra.get("themes", []))[:8],
        "mandates": [mandate.code],
    }


def _source_of(mandate: Term | None) -> dict[str, Any]:
    return dict(mandate.extra.get("source") or {}) if mandate is not None else {}


def _measures(mandate: Term, reference: Reference, language: str) -> str:
    """The mandate's own lines, one below the other."""
    below = [term for term in reference.terms["mandate"].values() if term.parent == mandate.code]
    return "\n".join(term.label(language) for term in below)


def _translations(mandate: Term, reference: Reference) -> dict[str, dict[str, str]]:
    return {
        language: {
            "priority": mandate.label(language),
            "activities": _measures(mandate, reference, language),
        }
        for language in LANGUAGES
        if language != "es"
    }


_UNITS = {"percent": "%"}
"""Unit of a mandate's indicator → the sign that every language writes; the indicator's name, which is
in all four, tells of what else is counted."""


def _indicators(mandate: Term) -> list[PlanIndicator]:
    return [
        PlanIndicator(
            name=item["labels"]["es"],
            names=item["labels"],
            unit=_UNITS.get(item.get("unit"), ""),
            baseline=item.get("baseline"),
            target=item.get("target"),
            due=_day(item.get("due")),
        )
        for item in mandate.extra.get("indicators", [])
    ]


def _day(value: Any) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else value
