"""Task forces: the seven of them, each one's page, what its officers change, and its queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.messages import field_problems
from broker.pilots import invitations_of
from broker.task_forces import (
    ActivitySchema,
    MeetingSchema,
    add_activity,
    add_meeting,
    change_meeting,
    find_task_forces,
    get_task_force,
    is_officer,
    lay_out_force,
    may_look_for_partners,
    meetings_of,
    needs_in_queue,
    remove_activity,
    remove_meeting,
    require_partner_seeker,
    who_is_interested,
)
from broker.web.access import EVERYBODY, MODERATORS, allow, person, reader
from broker.web.forms import read_form
from broker.web.presentation import day, month, paginate
from broker.web.reading import database, exchange, language, today
from models import InvalidInput, NotAllowed, Role, TaskForce, utc_now

pages = Blueprint("task_forces", __name__)

OFFICERS = frozenset({Role.TASK_FORCE})
SEEKERS = OFFICERS | MODERATORS

FIRST_FEW = 5
"""Needs of the queue that the task force's own page shows."""


@pages.get("/task-forces")
@allow(EVERYBODY)
def index() -> str:
    """All task forces with what each is about."""
    return render_template(
        "task_forces/index.html", forces=find_task_forces(database(), language())
    )


@pages.get("/task-forces/<code:code>")
@allow(EVERYBODY)
def show(code: str) -> str:
    """What a task force is, does and plans; for its own people, the needs that wait for it."""
    session, by = database(), reader()
    force = get_task_force(session, code)
    seeks = may_look_for_partners(by, force)
    queue = session.scalars(needs_in_queue(force).limit(FIRST_FEW)).all() if seeks else []
    return render_template(
        "task_forces/show.html",
        force=force,
        page=lay_out_force(session, force, language=language(), today=today()),
        seeks=seeks,
        officer=is_officer(by, force),
        queue=queue,
        interest=who_is_interested(session, queue),
        invitations=session.scalars(invitations_of(force).limit(FIRST_FEW)).all() if seeks else [],
        now=utc_now(),
    )


@pages.get("/task-forces/<code:code>/queue")
@allow(SEEKERS)
def queue(code: str) -> str:
    """Needs on the task force's themes, the oldest unanswered ones first."""
    session = database()
    force = get_task_force(session, code)
    require_partner_seeker(person(), force)
    page = paginate(session, needs_in_queue(force))
    return render_template(
        "task_forces/queue.html",
        force=force,
        page=page,
        interest=who_is_interested(session, page.rows),
        now=utc_now(),
    )


@pages.get("/task-forces/<code:code>/edit")
@allow(OFFICERS)
def edit(code: str) -> str:
    """What the officers can change: activities and meetings."""
    return _edit(_own(code))


def _own(code: str) -> TaskForce:
    force = get_task_force(database(), code)
    if not is_officer(person(), force):
        raise NotAllowed("edit_task_force")
    return force


def _edit(force: TaskForce, *, form: str = "", problems: Any = None, typed: Any = None) -> str:
    return render_template(
        "task_forces/edit.html",
        force=force,
        meetings=meetings_of(force),
        form=form,
        problems=problems or {},
        typed=typed or {},
    )


def _change(code: str, form: str, done: str, use_case: Callable[[TaskForce], None]) -> Any:
    force = _own(code)
    try:
        use_case(force)
    except InvalidInput as error:
        page = _edit(force, form=form, problems=field_problems(error), typed=request.form)
        return page, 422
    flash(done, "success")
    return redirect(url_for("task_forces.edit", code=code))


@pages.post("/task-forces/<code:code>/activities")
@allow(OFFICERS)
def new_activity(code: str) -> Any:
    """Say something more that the task force does."""
    data = read_form(request.form, ActivitySchema)
    return _change(
        code,
        "activity",
        _("The activity is on your page."),
        lambda force: add_activity(database(), person(), force, data, exchange().reference),
    )


@pages.post("/task-forces/<code:code>/activities/<int:number>/remove")
@allow(OFFICERS)
def drop_activity(code: str, number: int) -> Response:
    """Take an activity off the page."""
    seen = request.form.get("seen", "")
    remove_activity(database(), person(), _own(code), number, seen)
    flash(_("The activity is off your page."), "success")
    return redirect(url_for("task_forces.edit", code=code))


@pages.post("/task-forces/<code:code>/meetings")
@allow(OFFICERS)
def new_meeting(code: str) -> Any:
    """Announce a meeting, or enter one that took place."""
    data = read_form(request.form, MeetingSchema)
    return _change(
        code,
        "meeting",
        _("The meeting is on your page."),
        lambda force: add_meeting(database(), person(), force, data, exchange().reference),
    )


@pages.post("/task-forces/<code:code>/meetings/<int:number>")
@allow(OFFICERS)
def correct_meeting(code: str, number: int) -> Any:
    """Correct a meeting."""
    data = read_form(request.form, MeetingSchema)
    return _change(
        code,
        f"meeting-{number}",
        _("The meeting is corrected."),
        lambda force: change_meeting(
            database(), person(), force, number, data, exchange().reference
        ),
    )


@pages.post("/task-forces/<code:code>/meetings/<int:number>/remove")
@allow(OFFICERS)
def drop_meeting(code: str, number: int) -> Response:
    """Take a meeting off the page."""
    remove_meeting(database(), person(), _own(code), number, request.form.get("seen", ""))
    flash(_("The meeting is off your page."), "success")
    return redirect(url_for("task_forces.edit", code=code))


@pages.app_template_filter("when")
def when(value: str) -> str:
    """A day, a month or a year in the reader's words."""
    return day(value) if len(value) == len("2027-03-31") else month(value)
