"""The action plan: plans by cycle, their lines, progress, links, choice, and the matrix as a file."""

from __future__ import annotations

from collections import Counter
from typing import Any

from marshmallow import fields, validate

from broker.action_plan import (
    LineSchema,
    PlanReportSchema,
    PlanSchema,
    SettlementSchema,
    content_of_line,
    count_plans,
    find_lines,
    find_plans,
    get_line,
    get_plan,
    lines_by_scope,
    open_plan,
    progress_of,
    remove_line,
    report_progress,
    save_line,
    settle_plan,
)
from broker.api.answers.plans import (
    BroughtSaid,
    CandidateList,
    CommonList,
    CycleList,
    PlanLineSaid,
    PlanLineSlice,
    PlanSlice,
    SuggestionList,
    WholePlan,
    candidate,
    plan_line,
    whole_plan,
)
from broker.api.answers.plans import common as told_common
from broker.api.answers.plans import plan as told
from broker.api.answers.posts import short_post
from broker.api.answers.values import listed
from broker.api.cursors import SliceQuery, slice_of
from broker.api.door import Door
from broker.messages import FIELD_PROBLEMS
from broker.plan_choice import ChoiceSchema, candidates, choose_line, common_lines, release_line
from broker.plan_files import bring_matrix
from broker.plan_support import (
    LinkSchema,
    known_of,
    link_to_line,
    suggest_links,
    unlink_from_line,
)
from broker.sheets import XLSX
from broker.web.access import EVERYBODY, MODERATORS, person
from broker.web.reading import database, exchange, today
from models import CYCLE, REGION, ActionPlan, InvalidInput, PlanLine, PlanStatus
from models.action_plan import PLAN_KEEPERS

doors = Door("api_plans", __name__, description="The action plan")

ONE = "/plans/<int:plan_id>"
LINE = f"{ONE}/lines/<int:line_id>"
WRITES = "write:plans"

CSV = "text/csv"

ORDER = (ActionPlan.starts.desc(), ActionPlan.scope.asc())
LINE_ORDER = (PlanLine.dimension.asc(), PlanLine.position.asc(), PlanLine.id.asc())


class PlanQuery(SliceQuery):
    """Which plans are asked for."""

    starts = fields.Integer(
        validate=validate.Range(1990, 2100, error=FIELD_PROBLEMS["cycle_year"]),
        error_messages={"invalid": FIELD_PROBLEMS["cycle_year"]},
        metadata={"description": "First year of the cycle."},
    )
    scope = fields.String(validate=validate.Length(1, 16))


# --- Plans ----------------------------------------------------------------------------------


@doors.opens("GET", "/plans/cycles", roles=EVERYBODY, gives=CycleList)
def cycles() -> Any:
    """List the cycles for which there is a plan."""
    return {
        "items": [
            {"starts": starts, "ends": starts + CYCLE - 1, "plans": count}
            for starts, count in count_plans(database()).items()
        ]
    }


@doors.opens("GET", "/plans", roles=EVERYBODY, query=PlanQuery, gives=PlanSlice)
def plans(query: dict[str, Any]) -> Any:
    """List the plans of countries, subregions and the region, the newest cycle first."""
    found = find_plans(query.get("starts"), query.get("scope", ""))
    rows, following = slice_of(database(), found, ORDER, query)
    return listed([told(row) for row in rows], following)


@doors.opens("GET", ONE, roles=EVERYBODY, gives=WholePlan, endpoint="plan")
def read(plan_id: int) -> Any:
    """Read a plan, with how many lines it shows and how they stand against their targets."""
    return _whole(get_plan(database(), plan_id))


def _whole(plan: ActionPlan) -> dict[str, Any]:
    database().flush()
    lines = [line for own in lines_by_scope(database(), plan).values() for line in own]
    counts = Counter(line.dimension for line in lines)
    return whole_plan(plan, dict(sorted(counts.items())), progress_of(lines, today=today()))


@doors.opens(
    "POST", "/plans", roles=PLAN_KEEPERS, scope=WRITES, takes=PlanSchema, as_sent=True, status=201,
    gives=WholePlan, repeatable=True, endpoint="open_plan",
)  # fmt: skip
def begin(data: dict[str, Any]) -> Any:
    """Open one's plan for a cycle."""
    return _whole(open_plan(database(), person(), data, exchange().reference))


@doors.opens(
    "POST", f"{ONE}/settle", roles=PLAN_KEEPERS, scope=WRITES, takes=SettlementSchema,
    gives=WholePlan,
)  # fmt: skip
def settle(plan_id: int, data: dict[str, Any]) -> Any:
    """Adopt a plan, open an adopted one again, or close it for good."""
    plan = get_plan(database(), plan_id)
    settle_plan(database(), person(), plan, PlanStatus(data["status"]))
    return _whole(plan)


@doors.opens(
    "POST", f"{ONE}/matrix", roles=PLAN_KEEPERS, scope=WRITES, takes_file=(XLSX, CSV),
    gives=BroughtSaid, repeatable=True,
)  # fmt: skip
def bring(plan_id: int, content: bytes) -> Any:
    """Bring a matrix that was filled in at a meeting: all of it is kept, or nothing."""
    plan = get_plan(database(), plan_id)
    brought = bring_matrix(database(), person(), plan, content, exchange().reference)
    if brought.problems:
        raise InvalidInput({"rows": brought.by_row()})
    return {"added": brought.added, "changed": brought.changed, "same": brought.same}


# --- Lines ----------------------------------------------------------------------------------


def _told(line: PlanLine) -> dict[str, Any]:
    database().flush()
    return plan_line(line, known_of(database(), [line]).get(line.id))


@doors.opens("GET", f"{ONE}/lines", roles=EVERYBODY, query=SliceQuery, gives=PlanLineSlice)
def lines(plan_id: int, query: dict[str, Any]) -> Any:
    """List the lines that a plan shows: its own, those it has chosen, or the four subregions'."""
    found = find_lines(get_plan(database(), plan_id))
    rows, following = slice_of(database(), found, LINE_ORDER, query)
    known = known_of(database(), rows)
    return listed([plan_line(row, known.get(row.id)) for row in rows], following)


@doors.opens("GET", LINE, roles=EVERYBODY, gives=PlanLineSaid, versioned=True, endpoint="line")
def read_line(plan_id: int, line_id: int) -> Any:
    """Read a line: indicators with what was reported, and what the exchange knows of it."""
    return _told(get_line(get_plan(database(), plan_id), line_id))


@doors.opens(
    "POST", f"{ONE}/lines", roles=PLAN_KEEPERS, scope=WRITES, takes=LineSchema, as_sent=True,
    status=201, gives=PlanLineSaid, versioned=True, repeatable=True,
)  # fmt: skip
def write(plan_id: int, data: dict[str, Any]) -> Any:
    """Write a line into a plan that is open."""
    plan = get_plan(database(), plan_id)
    return _told(save_line(database(), person(), plan, data, exchange().reference))


@doors.opens(
    "PATCH", LINE, roles=PLAN_KEEPERS, scope=WRITES, takes=LineSchema, draft=True, as_sent=True,
    gives=PlanLineSaid, versioned=True, needs_version=True,
)  # fmt: skip
def change(plan_id: int, line_id: int, data: dict[str, Any], revision: int | None) -> Any:
    """Change fields of a line."""
    plan = get_plan(database(), plan_id)
    line = get_line(plan, line_id)
    whole = {**content_of_line(line), **data}
    return _told(
        save_line(
            database(), person(), plan, whole, exchange().reference, line=line, revision=revision
        )
    )


@doors.opens(
    "DELETE", LINE, roles=PLAN_KEEPERS, scope=WRITES, status=204, gives=None, needs_version=True
)
def remove(plan_id: int, line_id: int, revision: int | None) -> None:
    """Take a line out of a plan, with its indicators and what was reported."""
    plan = get_plan(database(), plan_id)
    remove_line(database(), person(), plan, get_line(plan, line_id), revision=revision)


@doors.opens(
    "POST", f"{LINE}/indicators/<int:indicator_id>/reports", roles=PLAN_KEEPERS, scope=WRITES,
    takes=PlanReportSchema, as_sent=True, status=201, gives=PlanLineSaid, versioned=True,
    repeatable=True,
)  # fmt: skip
def report(plan_id: int, line_id: int, indicator_id: int, data: dict[str, Any]) -> Any:
    """Report a value of an indicator; possible after the plan is adopted, too."""
    plan = get_plan(database(), plan_id)
    line = get_line(plan, line_id)
    report_progress(
        database(), person(), plan, line, indicator_id, data, exchange().reference, today=today()
    )
    return _told(line)


# --- What serves a line ---------------------------------------------------------------------


@doors.opens("GET", f"{LINE}/suggested", roles=PLAN_KEEPERS, gives=SuggestionList)
def suggested(plan_id: int, line_id: int) -> Any:
    """List posts that answer the line's mandates or share its themes and are not linked yet."""
    plan = get_plan(database(), plan_id)
    found = suggest_links(database(), plan, get_line(plan, line_id))
    return {"items": [short_post(post) for post in found]}


@doors.opens(
    "POST", f"{LINE}/links", roles=PLAN_KEEPERS, scope=WRITES, takes=LinkSchema, as_sent=True,
    status=201, gives=PlanLineSaid, versioned=True, repeatable=True,
)  # fmt: skip
def link(plan_id: int, line_id: int, data: dict[str, Any]) -> Any:
    """Say that a post or an agreement serves a line, by its reference."""
    plan = get_plan(database(), plan_id)
    line = get_line(plan, line_id)
    link_to_line(database(), person(), plan, line, data, exchange().reference)
    return _told(line)


@doors.opens(
    "DELETE", f"{LINE}/links/<int:link_id>", roles=PLAN_KEEPERS, scope=WRITES, status=204,
    gives=None,
)  # fmt: skip
def unlink(plan_id: int, line_id: int, link_id: int) -> None:
    """Take a link off a line."""
    plan = get_plan(database(), plan_id)
    unlink_from_line(database(), person(), plan, get_line(plan, line_id), link_id)


# --- The subregions' choice, and what they have in common -----------------------------------


@doors.opens("GET", f"{ONE}/candidates", roles=MODERATORS, gives=CandidateList)
def choosable(plan_id: int) -> Any:
    """List the lines of a subregion's countries with the evidence for each, best supported first."""
    plan = get_plan(database(), plan_id)
    return {"items": [candidate(one) for one in candidates(database(), plan)]}


@doors.opens(
    "POST", f"{ONE}/priorities/<int:line_id>", roles=MODERATORS, scope=WRITES, takes=ChoiceSchema,
    as_sent=True, status=201, gives=PlanLineSaid, versioned=True, repeatable=True,
)  # fmt: skip
def choose(plan_id: int, line_id: int, data: dict[str, Any]) -> Any:
    """Make a country's line a priority of its subregion, of which each dimension has four at most."""
    plan = get_plan(database(), plan_id)
    return _told(choose_line(database(), person(), plan, line_id, data, exchange().reference))


@doors.opens(
    "DELETE", f"{ONE}/priorities/<int:line_id>", roles=MODERATORS, scope=WRITES, status=204,
    gives=None,
)  # fmt: skip
def withdraw(plan_id: int, line_id: int) -> None:
    """Take a line out of the subregion's priorities; it stays in its country's plan."""
    release_line(database(), person(), get_plan(database(), plan_id), line_id)


@doors.opens("GET", f"{ONE}/common", roles=EVERYBODY, gives=CommonList)
def common(plan_id: int) -> Any:
    """List what the four subregions have in common, with its members; none but in the region's."""
    plan = get_plan(database(), plan_id)
    shown = lines_by_scope(database(), plan) if plan.scope == REGION else {}
    return {"items": [told_common(one) for one in common_lines(exchange(), database(), shown)]}
