"""Use cases of the action plan: matrices, their lines, and how far their indicators are.

A country keeps its plan; a subregion's has at most four lines of each dimension, its own and those
that it has chosen of its countries' plans (``broker/plan_choice.py``); the four subregions' lines
together are the region's. What serves a line stands in ``broker/plan_support.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import fields, validate
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.orm.attributes import flag_modified

from broker.audit import record
from broker.messages import FIELD_PROBLEMS
from broker.reference import Reference
from broker.schemas import Code, Day, Number, Strict, Text, codes, load
from models import (
    CYCLE,
    LANGUAGES,
    MOST_CHOSEN,
    REGION,
    ActionPlan,
    Conflict,
    InvalidInput,
    NotAllowed,
    NotFound,
    PlanIndicator,
    PlanLine,
    PlanReport,
    PlanStatus,
    Role,
    User,
)

SUBREGIONS = ("caribbean", "mesoamerica", "andean", "southern_cone")
"""The subregions whose lines together make the regional plan."""

COLUMN_NAMES = {
    "ilac_area": _l("ILAC priority area"),
    "priority": _l("Priority"),
    "results": _l("Expected results"),
    "indicators": _l("Result indicators"),
    "activities": _l("Main activities"),
    "responsible": _l("Responsible"),
    "resources": _l("Resources"),
    "other_actors": _l("Other actors"),
}
"""The columns of the matrix, in its order (meeting of 2007, annex IV)."""


class PlanSchema(Strict):
    """A plan to be opened: whose, and for which cycle."""

    scope = Text(16, required=True)
    starts = fields.Integer(
        required=True,
        validate=validate.Range(1990, 2100, error=FIELD_PROBLEMS["cycle_year"]),
        error_messages={"invalid": FIELD_PROBLEMS["cycle_year"]},
    )


class SettlementSchema(Strict):
    """What becomes of a plan: adopted, opened again, or closed."""

    status = fields.String(
        required=True, validate=validate.OneOf([str(status) for status in PlanStatus])
    )


class PlanIndicatorSchema(Strict):
    """A measured quantity of a line; what is not known yet stays open."""

    name = Text(400, required=True)
    unit = Text(60, load_default="")
    baseline = Number(allow_none=True, load_default=None)
    target = Number(allow_none=True, load_default=None)
    due = Day(load_default=None)


class LineSchema(Strict):
    """A line of the matrix."""

    dimension = Code("dimension", required=True)
    priority = Text(1000, required=True)
    language = fields.String(
        validate=validate.OneOf(LANGUAGES, error=_l("Choose one of the four languages.")),
        required=True,
    )
    ilac_area = Code("ilac_area", allow_none=True, load_default=None)
    results = Text(4000, load_default="")
    indicators = fields.List(
        fields.Nested(PlanIndicatorSchema), load_default=list, validate=validate.Length(max=12)
    )
    activities = Text(4000, load_default="")
    responsible = Text(1000, load_default="")
    resources = Text(2000, load_default="")
    other_actors = Text(2000, load_default="")
    horizon = Code("horizon", allow_none=True, load_default=None)
    themes = codes("theme", 8)
    mandates = codes("mandate")


class PlanReportSchema(Strict):
    """A value of an indicator of the plan."""

    on = Day(required=True)
    value = Number(required=True)
    note = Text(1000, load_default="")


WHOLE_LINE = (
    selectinload(PlanLine.indicators).selectinload(PlanIndicator.reports),
    selectinload(PlanLine.links),
    selectinload(PlanLine.plan),
    selectinload(PlanLine.subregion_plan),
    selectinload(PlanLine.chosen_by),
)
"""What is read with a line, so that a matrix takes the same few queries however long it is."""


# --- Plans ----------------------------------------------------------------------------------


def find_plans(starts: int | None = None, scope: str = "") -> Select[ActionPlan]:
    """A query for the plans, of one cycle and scope or of all; the newest cycle first."""
    query = select(ActionPlan).order_by(ActionPlan.starts.desc(), ActionPlan.scope)
    if starts is not None:
        query = query.where(ActionPlan.starts == starts)
    return query.where(ActionPlan.scope == scope) if scope else query


def count_plans(session: Session) -> dict[int, int]:
    """First year of each cycle → how many plans there are for it, the newest first."""
    query = select(ActionPlan.starts, func.count()).group_by(ActionPlan.starts)
    return dict(session.execute(query.order_by(ActionPlan.starts.desc())).all())


def get_plan(session: Session, plan_id: int) -> ActionPlan:
    """A plan by its number, with all its lines; raises :class:`models.errors.NotFound`."""
    plan = session.get(
        ActionPlan, plan_id, options=[selectinload(ActionPlan.lines).options(*WHOLE_LINE)]
    )
    if plan is None:
        raise NotFound("no_such_plan", id=plan_id)
    return plan


def plan_of(session: Session, scope: str, starts: int) -> ActionPlan | None:
    """The plan of a scope for the cycle that begins in a year."""
    return session.scalar(
        select(ActionPlan).where(ActionPlan.scope == scope, ActionPlan.starts == starts)
    )


def cycle_of(day: date) -> int:
    """The first year of the cycle in which a day lies: cycles begin in odd years, as in 2007."""
    return day.year if day.year % CYCLE else day.year - 1


def scopes_for(by: User, reference: Reference) -> list[str]:
    """The scopes whose plans a person may open."""
    if by.is_secretariat:
        return [REGION, *SUBREGIONS, *reference.codes("region_country")]
    if by.role == Role.COORDINATOR and by.subregion:
        return [by.subregion]
    country = by.organisation.country_code
    return [country] if by.role == Role.FOCAL_POINT and country else []


def open_plan(
    session: Session, by: User, data: Mapping[str, Any], reference: Reference
) -> ActionPlan:
    """Open the plan of a country, a subregion or the region for a cycle.

    Raises
    ------
    NotAllowed
        The scope is not the person's.
    InvalidInput
        For fields of :class:`PlanSchema` that are filled in wrongly, or an unknown scope.
    Conflict
        It is open already.
    """
    values = load(PlanSchema, data, reference)
    scope, starts = values["scope"], values["starts"]
    if scope not in (REGION, *SUBREGIONS) and scope not in reference.codes("region_country"):
        raise InvalidInput({"scope": [("unknown_code", {"code": scope[:40]})]})
    if scope not in scopes_for(by, reference):
        raise NotAllowed("edit_plan")
    if plan_of(session, scope, starts) is not None:
        raise Conflict("plan_exists", years=f"{starts}–{starts + CYCLE - 1}")
    plan = ActionPlan(
        scope=scope,
        country_code=scope if scope in reference.codes("region_country") else None,
        starts=starts,
        ends=starts + CYCLE - 1,
    )
    session.add(plan)
    record(session, by, "plan.opened", plan, after={"scope": scope, "starts": starts})
    return plan


def settle_plan(session: Session, by: User, plan: ActionPlan, status: PlanStatus) -> None:
    """Adopt a plan, open an adopted one again, or close it at the end of its cycle."""
    if not plan.can_be_settled_by(by):
        raise NotAllowed("edit_plan")
    if status == PlanStatus.ADOPTED and not session.scalars(find_lines(plan).limit(1)).first():
        raise Conflict("plan_is_empty")
    before = str(plan.status)
    plan.become(status)
    record(
        session, by, "plan.settled", plan, before={"status": before}, after={"status": str(status)}
    )


# --- Lines ----------------------------------------------------------------------------------


def content_of_line(line: PlanLine) -> dict[str, Any]:
    """The line in the shape of its schema, ready for JSON."""
    return {
        **{
            name: getattr(line, name)
            for name in LineSchema._declared_fields
            if name not in ("indicators", "themes", "mandates")
        },
        "themes": list(line.themes),
        "mandates": list(line.mandates),
        "indicators": [
            {
                "name": one.name,
                "unit": one.unit,
                "baseline": one.baseline,
                "target": one.target,
                "due": one.due.isoformat() if one.due else None,
            }
            for one in line.indicators
        ],
    }


def get_line(plan: ActionPlan, line_id: int) -> PlanLine:
    """A line of the plan; raises :class:`models.errors.NotFound`."""
    found = next((line for line in plan.lines if line.id == line_id), None)
    if found is None:
        raise NotFound("no_such_line", id=line_id)
    return found


def save_line(
    session: Session,
    by: User,
    plan: ActionPlan,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    line: PlanLine | None = None,
    revision: int | None = None,
) -> PlanLine:
    """Write a line into a plan, or change one.

    Raises
    ------
    NotAllowed
        The plan is not the person's.
    Conflict
        The plan is adopted, the subregion has four lines of this dimension already, or somebody
        else has changed the line since.
    InvalidInput
        For fields that are filled in wrongly.
    """
    _require_writable(by, plan, line)
    values = load(LineSchema, data, reference)
    if line is not None:
        _require_revision(line, revision)
    chosen_by = plan if line is None else line.subregion_plan or plan
    if not chosen_by.is_countrys and (line is None or line.dimension != values["dimension"]):
        require_room(session, chosen_by, values["dimension"])
    before = content_of_line(line) if line is not None else {}
    if line is None:
        last = max((one.position for one in plan.lines), default=0)
        line = PlanLine(plan=plan, position=last + 1)
    indicators = values.pop("indicators")
    for name, value in values.items():
        setattr(line, name, value)
    line.themes, line.mandates = values.get("themes") or [], values.get("mandates") or []
    _write_indicators(line, indicators)
    session.add(line)
    after = content_of_line(line)
    if after == before:
        return line
    if before:
        # Indicators stand in rows of their own: without this the line would keep its revision.
        flag_modified(line, "priority")
    session.flush()
    record(session, by, "plan.line_saved", line, before=before, after=after)
    return line


def _require_writable(by: User, plan: ActionPlan, line: PlanLine | None) -> None:
    """A line is also of the plan that chose it as a priority: adopted, that plan keeps it as is."""
    plan.require_editable(by)
    chosen_by = line.subregion_plan if line is not None else None
    if chosen_by is not None and chosen_by.status != PlanStatus.DRAFT:
        raise Conflict("plan_is_adopted")


def _require_revision(line: PlanLine, revision: int | None) -> None:
    if revision not in (None, line.revision):
        raise Conflict("line_changed")


def _write_indicators(line: PlanLine, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Put the indicators in; one of the same name keeps its reports."""
    known = {one.name: one for one in line.indicators}
    line.indicators = [known.get(item["name"]) or PlanIndicator() for item in wanted]
    for indicator, item in zip(line.indicators, wanted, strict=True):
        for name, value in item.items():
            setattr(indicator, name, value)


def remove_line(
    session: Session, by: User, plan: ActionPlan, line: PlanLine, *, revision: int | None = None
) -> None:
    """Take a line out of a plan; that revision of it alone, where one is given."""
    _require_writable(by, plan, line)
    _require_revision(line, revision)
    record(session, by, "plan.line_removed", line, before=content_of_line(line))
    plan.lines.remove(line)


def report_progress(
    session: Session,
    by: User,
    plan: ActionPlan,
    line: PlanLine,
    indicator_id: int,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    today: date,
) -> PlanReport:
    """Report a value of an indicator; possible while the plan is open or adopted.

    Raises
    ------
    NotAllowed
        The plan is not the person's.
    InvalidInput
        For fields that are filled in wrongly, or a day that has not come.
    """
    if not plan.can_be_edited_by(by):
        raise NotAllowed("edit_plan")
    if plan.status == PlanStatus.CLOSED:
        raise Conflict("plan_is_closed")
    found = next((one for one in line.indicators if one.id == indicator_id), None)
    if found is None:
        raise NotFound("no_such_indicator", id=indicator_id)
    values = load(PlanReportSchema, data, reference)
    if values["on"] > today:
        raise InvalidInput({"on": [("future_date", {})]})
    report = PlanReport(indicator=found, by_id=by.id, **values)
    session.add(report)
    session.flush()
    record(session, by, "plan.progress", report, after={"indicator": found.name, **values})
    return report


# --- The subregions' priority lines ---------------------------------------------------------


def find_lines(plan: ActionPlan) -> Select[PlanLine]:
    """A query for the lines that a plan shows.

    A country's are its own, a subregion's its own and those chosen of its countries' plans, the
    region's the four subregions' together.
    """
    line = (
        select(PlanLine)
        .order_by(PlanLine.dimension, PlanLine.position, PlanLine.id)
        .options(*WHOLE_LINE)
    )
    if plan.scope != REGION:
        return line.where((PlanLine.plan_id == plan.id) | (PlanLine.subregion_plan_id == plan.id))
    subregions = select(ActionPlan.id).where(
        ActionPlan.starts == plan.starts, ActionPlan.scope.in_(SUBREGIONS)
    )
    return line.where(PlanLine.plan_id.in_(subregions) | PlanLine.subregion_plan_id.in_(subregions))


def lines_by_scope(session: Session, plan: ActionPlan) -> dict[str, list[PlanLine]]:
    """Scope → the lines that a plan shows: the four subregions for the region, else its own."""
    shown: dict[str, list[PlanLine]] = {
        scope: [] for scope in (SUBREGIONS if plan.scope == REGION else (plan.scope,))
    }
    for line in session.scalars(find_lines(plan)):
        shown[plan.scope if plan.scope != REGION else priority_of(line)].append(line)
    return shown


def priority_of(line: PlanLine) -> str:
    """The scope whose priority a line is: that of the plan that chose it, or its own."""
    return (line.subregion_plan or line.plan).scope


def require_room(session: Session, plan: ActionPlan, dimension: str) -> None:
    """Raise :class:`Conflict` where a subregion has four lines of the dimension already."""
    count = sum(line.dimension == dimension for line in session.scalars(find_lines(plan)))
    if count >= MOST_CHOSEN:
        raise Conflict("four_lines_already", most=MOST_CHOSEN)


# --- Progress -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How a plan stands against its targets.

    Attributes
    ----------
    indicators, with_target, reported, reached, late : int
        All; those with a target; those with a report; those whose target is reached; those whose
        day has passed without.
    mean : float or None
        Mean share of the way to the target over those with target and report, each between 0
        and 1.
    """

    indicators: int
    with_target: int
    reported: int
    reached: int
    late: int
    mean: float | None


def progress_of(lines: Iterable[PlanLine], *, today: date) -> Progress:
    """Sum up the indicators of lines."""
    found = [one for line in lines for one in line.indicators]
    shares = [share for one in found if (share := one.progress()) is not None]
    reached = sum(share >= 1.0 for share in shares)
    late = sum(
        one.due is not None
        and one.due < today
        and one.target is not None
        and (one.progress() or 0.0) < 1.0
        for one in found
    )
    return Progress(
        len(found),
        sum(one.target is not None for one in found),
        sum(bool(one.reports) for one in found),
        reached,
        late,
        sum(min(max(share, 0.0), 1.0) for share in shares) / len(shares) if shares else None,
    )
