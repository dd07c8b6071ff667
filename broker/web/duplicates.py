"""The secretariat's queue of posts and organisations that may be the same twice."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.duplicates import (
    FACT_NAMES,
    REASON_NAMES,
    find_organisation_pairs,
    find_post_pairs,
    keep_both_organisations,
    keep_both_posts,
)
from broker.web.access import SECRETARIAT, allow, person
from broker.web.presentation import PAGE_SIZE
from broker.web.reading import database, exchange

pages = Blueprint("duplicates", __name__)


@pages.get("/secretariat/duplicates")
@allow(SECRETARIAT)
def show() -> str:
    """Pairs that may be one, side by side, the most alike first."""
    posts, post_total = find_post_pairs(exchange(), database(), person(), PAGE_SIZE)
    organisations = find_organisation_pairs(exchange(), database(), person())
    return render_template(
        "secretariat/duplicates.html",
        posts=posts,
        post_total=post_total,
        organisations=organisations[:PAGE_SIZE],
        organisation_total=len(organisations),
        FACT_NAMES=FACT_NAMES,
        REASON_NAMES=REASON_NAMES,
    )


@pages.post("/secretariat/duplicates/<kind:kind>/<int:first>/<int:second>")
@allow(SECRETARIAT)
def keep_posts(kind: str, first: int, second: int) -> Response:
    """Say that two posts are two."""
    keep_both_posts(database(), person(), kind, first, second)
    flash(_("They are two. They come back here only if one of them changes."), "success")
    return redirect(url_for("duplicates.show"))


@pages.post("/secretariat/duplicates/organisations/<int:first>/<int:second>")
@allow(SECRETARIAT)
def keep_organisations(first: int, second: int) -> Response:
    """Say that two organisations are two."""
    keep_both_organisations(database(), person(), first, second)
    flash(_("They are two organisations."), "success")
    return redirect(url_for("duplicates.show"))
