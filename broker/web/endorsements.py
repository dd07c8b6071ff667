"""Delegation: a focal point's colleagues, the needs of theirs that she endorses, and who oversees."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.delegation import (
    STATES,
    EndorsementFilter,
    count_endorsements,
    delegations_of,
    endorsements_of,
    find_delegations,
    find_endorsements,
)
from broker.endorsements import (
    DelegateSchema,
    decline_endorsement,
    endorse_need,
    find_delegates,
    invite_delegate,
    set_delegate_active,
)
from broker.messages import field_problems
from broker.posts import get_post
from broker.web.access import MODERATORS, allow, person
from broker.web.forms import read_form
from broker.web.presentation import paginate, post_address
from broker.web.reading import database, exchange, today
from models import InvalidInput, Need, NotFound, PostStatus, Role

pages = Blueprint("endorsements", __name__)

FOCAL_POINTS = frozenset({Role.FOCAL_POINT})


@pages.get("/desk/colleagues")
@allow(FOCAL_POINTS)
def colleagues() -> str:
    """Colleagues of other ministries who write needs, and the form to invite one more."""
    return _colleagues()


def _colleagues(problems: Any = None, typed: Any = None) -> str:
    return render_template(
        "desk/colleagues.html",
        page=paginate(database(), find_delegates(person())),
        problems=problems or {},
        typed=typed or {},
    )


@pages.post("/desk/colleagues")
@allow(FOCAL_POINTS)
def invite() -> Any:
    """Open an account for a colleague; its password is told this once."""
    try:
        data = read_form(request.form, DelegateSchema)
        user, password = invite_delegate(database(), person(), data, exchange().reference)
    except InvalidInput as error:
        return _colleagues(field_problems(error), request.form), 422
    return render_template("desk/invited.html", user=user, password=password)


@pages.post("/desk/colleagues/<int:user_id>/active")
@allow(FOCAL_POINTS)
def open_or_close(user_id: int) -> Response:
    """Close a colleague's account, or open it again."""
    active = request.form.get("active") == "true"
    set_delegate_active(database(), person(), user_id, active)
    flash(_("The account is open again.") if active else _("The account is closed."), "success")
    return redirect(url_for("endorsements.colleagues"))


@pages.post("/needs/<int:post_id>/endorse")
@allow(FOCAL_POINTS)
def endorse(post_id: int) -> Response:
    """Stand for a colleague's need: it goes to review."""
    need = _need(post_id)
    endorse_need(database(), person(), need, revision=_revision(), today=today())
    flash(
        _("You have endorsed the need. It goes to the secretariat for review.")
        if need.status == PostStatus.SUBMITTED
        else _("You have endorsed the need. It is on the exchange."),
        "success",
    )
    return redirect(post_address(need))


@pages.post("/needs/<int:post_id>/give-back")
@allow(FOCAL_POINTS)
def give_back(post_id: int) -> Any:
    """Return a colleague's need with a comment."""
    need = _need(post_id)
    comment = request.form.get("comment", "")
    try:
        decline_endorsement(
            database(), person(), need, exchange().reference,
            revision=_revision(), comment=comment,
        )  # fmt: skip
    except InvalidInput:
        flash(_("Say in the comment what should be mended."), "error")
        return redirect(post_address(need))
    flash(_("The need is back with your colleague, with your comment."), "success")
    return redirect(post_address(need))


@pages.get("/secretariat/endorsements")
@allow(MODERATORS)
def overview() -> str:
    """Needs that colleagues sent to their focal point, and what became of each."""
    session, by = database(), person()
    filters = EndorsementFilter(_state(), _country(), _words())
    page = paginate(session, find_endorsements(by, filters))
    return render_template(
        "secretariat/endorsements.html",
        page=page,
        rows=endorsements_of(session, by, page.rows),
        counts=count_endorsements(session, by),
        filters=filters,
        STATES=STATES,
    )


@pages.get("/secretariat/delegations")
@allow(MODERATORS)
def delegations() -> str:
    """Who writes needs for whose country, invited by whom, since when."""
    session, by = database(), person()
    text, country = _words(), _country()
    page = paginate(session, find_delegations(by, text, country))
    return render_template(
        "secretariat/delegations.html",
        page=page,
        rows=delegations_of(session, page.rows),
        text=text,
        country=country,
    )


def _words() -> str:
    return " ".join(request.args.get("q", "")[:200].split())


def _state() -> str:
    asked = request.args.get("state", "")
    return asked if asked in STATES else ""


def _country() -> str:
    asked = request.args.get("country", "")
    return asked if asked in exchange().reference.codes("region_country") else ""


def _need(post_id: int) -> Need:
    need = get_post(database(), "need", post_id, person())
    if not isinstance(need, Need):
        raise NotFound("no_such_post", id=post_id)
    return need


def _revision() -> int:
    read = request.form.get("revision", "")
    return int(read) if read.isdecimal() and len(read) < 9 else -1
