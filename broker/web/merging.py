"""Merging two organisations: side by side, what moves, and the confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _

from broker.merging import (
    MOVED_NAMES,
    MergeSchema,
    get_organisation,
    merge_organisations,
    plan_merge,
)
from broker.messages import field_problems, sentence
from broker.secretariat import find_organisations
from broker.web.access import SECRETARIAT, allow, person
from broker.web.forms import read_form
from broker.web.reading import database, exchange, language
from models import InvalidInput

pages = Blueprint("merging", __name__)


@pages.get("/secretariat/merge")
@allow(SECRETARIAT)
def show() -> str:
    """Two organisations side by side, or the choice of two."""
    kept, gone = (request.args.get(name, "")[:64] for name in ("keep", "merge"))
    return _plan(kept, gone) if kept and gone else _choice(kept, gone)


@pages.post("/secretariat/merge")
@allow(SECRETARIAT)
def merge() -> Any:
    """Merge one organisation into the other."""
    kept, gone = (
        get_organisation(database(), request.form.get(name, "")[:64]) for name in ("keep", "merge")
    )
    data = read_form(request.form, MergeSchema)
    try:
        merge_organisations(database(), person(), kept, gone, data, exchange().reference)
    except InvalidInput as error:
        return _plan(kept.code, gone.code, data, field_problems(error)), 422
    flash(_("The two are one now. Old links go on working."), "success")
    return redirect(url_for("public.organisation", code=kept.code))


def _choice(kept: str, gone: str) -> str:
    found = database().scalars(find_organisations())
    pairs = [(one.code, one.name(language())) for one in found]
    return render_template(
        "secretariat/merge_choice.html",
        chosen={"keep": kept, "merge": gone},
        organisations=sorted(pairs, key=lambda pair: pair[1].casefold()),
    )


def _plan(
    kept: str,
    gone: str,
    typed: Mapping[str, Any] | None = None,
    problems: Mapping[str, Any] | None = None,
) -> str:
    session = database()
    plan = plan_merge(
        session, person(), get_organisation(session, kept), get_organisation(session, gone)
    )
    return render_template(
        "secretariat/merge.html",
        plan=plan,
        obstacles=[sentence(obstacle) for obstacle in plan.obstacles],
        typed=typed or {},
        problems=problems or {},
        MOVED_NAMES=MOVED_NAMES,
    )
