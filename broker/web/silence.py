"""The silence clock for the secretariat and the coordinators: what waits, and reminding."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import ngettext
from werkzeug.wrappers import Response

from broker.notices import path_to
from broker.report.rows import count
from broker.silence import (
    MATTERS,
    VIEWS,
    count_by_kind,
    count_silent,
    find_expiring,
    load_matters,
    remind_now,
    silent_before,
    silent_keys,
)
from broker.web.access import MODERATORS, allow, person
from broker.web.account import safe_address
from broker.web.presentation import paginate, paginate_numbers
from broker.web.reading import database, exchange, today
from models import ReminderKind, utc_now

pages = Blueprint("silence", __name__)

POST_VIEWS = ("expiring", "expired")
"""Lists of posts beside those of what waits."""


@pages.app_context_processor
def silent() -> dict[str, Any]:
    """How a desk learns how much waits: asked only where it is shown."""
    return {"count_silence": lambda: count_silent(database(), person(), exchange().settings)}


@pages.get("/secretariat/silence")
@allow(MODERATORS)
def show() -> str:
    """What waits for an answer, the longest first; posts that expire soon, and expired ones."""
    session, by, settings, now = database(), person(), exchange().settings, utc_now()
    view = request.args.get("view", "reminded")
    if view not in (*VIEWS, *POST_VIEWS):
        view = "reminded"
    kind = request.args.get("matter", "")
    kind = kind if kind in MATTERS else ""
    posts = view in POST_VIEWS
    before = silent_before(view, now, settings)
    expiring = {
        name: find_expiring(by, today(), settings, expired=name == "expired") for name in POST_VIEWS
    }
    counts = {
        name: count_by_kind(session, by, silent_before(name, now, settings)) for name in VIEWS
    }
    return render_template(
        "silence/show.html",
        view=view,
        kind=kind,
        page=paginate(session, expiring[view])
        if posts
        else paginate_numbers(  # type: ignore[type-var]
            silent_keys(session, by, before, kind),  # type: ignore[arg-type]
            partial(load_matters, session),  # type: ignore[arg-type]
        ),
        counts=counts,
        totals={name: sum(found.values()) for name, found in counts.items()}
        | {name: count(session, query) for name, query in expiring.items()},
        MATTERS=MATTERS,
        VIEWS=VIEWS,
        ReminderKind=ReminderKind,
        settings=settings,
        path_to=path_to,
        now=now,
    )


@pages.post("/secretariat/silence/<name>/<int:number>/remind")
@allow(MODERATORS)
def remind(name: str, number: int) -> Response:
    """Remind those who are asked, now."""
    matter = remind_now(database(), person(), name, number, today=today())
    flash(
        ngettext(
            "%(num)s person was reminded.", "%(num)s people were reminded.", len(matter.people)
        ),
        "success",
    )
    return redirect(safe_address(request.form.get("next") or url_for("silence.show")))
