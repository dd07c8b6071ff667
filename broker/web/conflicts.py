"""Conflicts of interest: declare one's own; the secretariat reads all, and lifts those of others."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.conflicts import (
    ConflictSchema,
    declare_conflict,
    find_conflicts,
    get_conflict,
    lift_conflict,
)
from broker.messages import field_problems
from broker.web.access import SECRETARIAT, SIGNED_IN, allow, person
from broker.web.forms import read_form
from broker.web.presentation import paginate
from broker.web.reading import database, exchange
from models import InvalidInput

pages = Blueprint("conflicts", __name__)


@pages.get("/conflicts")
@allow(SIGNED_IN)
def show() -> str:
    """What one must not decide on; for the secretariat, what anybody must not."""
    return _show(dict(request.args))


def _show(typed: Any, problems: Any = None) -> str:
    return render_template(
        "conflicts/show.html",
        page=paginate(database(), find_conflicts(person())),
        typed=typed,
        problems=problems or {},
    )


@pages.post("/conflicts")
@allow(SIGNED_IN)
def declare() -> Any:
    """Declare a conflict with an organisation or on a post."""
    try:
        data = read_form(request.form, ConflictSchema)
        declare_conflict(database(), person(), data, exchange().reference)
    except InvalidInput as error:
        return _show(request.form, field_problems(error)), 422
    flash(_("Your conflict of interest is declared. Decisions on it are now closed to you."))
    return redirect(url_for("conflicts.show"))


@pages.post("/conflicts/<int:conflict_id>/lift")
@allow(SECRETARIAT)
def lift(conflict_id: int) -> Response:
    """Say that somebody else's conflict no longer stands."""
    session, by = database(), person()
    lift_conflict(session, by, get_conflict(session, conflict_id, by))
    flash(_("The conflict of interest is lifted."), "success")
    return redirect(url_for("conflicts.show"))
