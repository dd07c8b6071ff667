"""While a post is being written: text is kept as it is typed, and the exchange says what it sees.

Scripts ask these; without them the form's own buttons do the same.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from broker.advice import advise
from broker.duplicates import FACT_NAMES
from broker.posts import SCHEMAS, blank, content, get_post, require_editable
from broker.sketch import Sketch
from broker.web.access import WRITERS, allow, person
from broker.web.forms import read_form
from broker.web.post_form import PostForm, differences, typed_form
from broker.web.presentation import post_address
from broker.web.reading import database, exchange, reads_only, today
from broker.writing import drop_form, keep_typed, saved
from models import Need, Offer

pages = Blueprint("writing", __name__)

NOT_KEPT = frozenset({"csrf_token", "then", "take", "form", "post", "revision"})
"""Fields of the form that are no text of the writer's."""


def _post_of(kind: str) -> Need | Offer | None:
    """The post that the form changes, if its writer may."""
    number = request.form.get("post", type=int)
    if not number:
        return None
    post = get_post(database(), kind, number, person())
    require_editable(post, person())
    return post


@pages.post("/<kind:kind>/typed")
@allow(WRITERS)
def keep(kind: str) -> Any:
    """Keep what a form says so far; tell where it can be found again."""
    session, by, post = database(), person(), _post_of(kind)
    token = request.form.get("form", "")
    typed = read_form(request.form, SCHEMAS[kind])
    if post is not None and not differences(content(post), typed):
        saved(session, by, token, post)
    else:
        fields = [pair for pair in request.form.items(multi=True) if pair[0] not in NOT_KEPT]
        revision = request.form.get("revision", type=int)
        keep_typed(session, by, kind, token, fields, post=post, revision=revision)
    address = url_for("posts.new", kind=kind) if post is None else post_address(post, "edit")
    return {"address": f"{address}?form={token}", "stale": _is_stale(post)}


def _is_stale(post: Need | Offer | None) -> bool:
    """Whether the post was changed, by somebody else or in another window, since it was opened."""
    return post is not None and request.form.get("revision", type=int) != post.revision


@pages.post("/typed/drop")
@allow(WRITERS)
def drop() -> Response:
    """Throw away what was typed and not saved."""
    drop_form(database(), person(), request.form.get("form", ""))
    flash(_("The text that was not saved has been thrown away."), "success")
    return redirect(url_for("posts.mine"))


@pages.post("/<kind:kind>/advice")
@allow(WRITERS)
@reads_only
def advice(kind: str) -> str:
    """What the exchange says to the text so far, as a piece of the form's page."""
    by, post, reference = person(), _post_of(kind), exchange().reference
    begun = blank(by, kind) if post is None else content(post)
    values = {**begun, **read_form(request.form, SCHEMAS[kind])}
    sketch = Sketch(kind, values, by.organisation_id, post.id if post else 0)
    form: PostForm = typed_form(kind, post, values, MultiDict(request.form), reference)
    return render_template(
        "posts/_advice.html",
        form=form,
        advice=advise(exchange(), database(), sketch, by, on=today()),
        FACT_NAMES=FACT_NAMES,
    )
