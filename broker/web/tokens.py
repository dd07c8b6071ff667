"""Personal tokens: make one for a program, see which there are, revoke them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.messages import field_problems
from broker.tokens import (
    LIFETIMES,
    SCOPE_NAMES,
    TokenSchema,
    make_calendar_token,
    make_token,
    own_tokens,
    revoke_token,
    scopes_for,
)
from broker.web.access import SIGNED_IN, allow, person
from broker.web.forms import read_form
from broker.web.presentation import paginate
from broker.web.reading import database, exchange
from models import ApiToken, InvalidInput, utc_now
from models.api_token import READ

pages = Blueprint("tokens", __name__)


@pages.get("/account/tokens")
@allow(SIGNED_IN)
def show() -> str:
    """One's tokens, and the form for another."""
    return _show({"days": 90, "scopes": []}, {})


def _show(values: Any, problems: dict[str, Any]) -> str:
    now = utc_now()
    page = paginate(database(), own_tokens(person()))
    return render_template(
        "tokens/show.html",
        page=page,
        good={token.id for token in page.rows if token.is_good(now)},
        values=values,
        problems=problems,
        scopes=[(scope, SCOPE_NAMES[scope]) for scope in scopes_for(person()) if scope != READ],
        SCOPE_NAMES=SCOPE_NAMES,
        lifetimes=LIFETIMES,
    )


@pages.post("/account/tokens")
@allow(SIGNED_IN)
def make() -> Any:
    """Make a token; it is shown this once."""
    typed = read_form(request.form, TokenSchema)
    try:
        token, secret = make_token(database(), person(), typed, exchange().reference)
        database().flush()
    except InvalidInput as error:
        return _show(typed, field_problems(error)), 422
    return _told_once(token, secret)


@pages.post("/account/tokens/calendar")
@allow(SIGNED_IN)
def make_calendar() -> Response:
    """Make the address of one's own calendar; the one before stops working."""
    token, secret = make_calendar_token(database(), person())
    database().flush()
    address = url_for("feeds.own_calendar", secret=secret, _external=True)
    return _told_once(token, secret, address)


def _told_once(token: ApiToken, secret: str, address: str = "") -> Response:
    page = make_response(
        render_template("tokens/made.html", token=token, secret=secret, address=address)
    )
    page.headers["Cache-Control"] = "no-store"
    return page


@pages.post("/account/tokens/<int:token_id>/revoke")
@allow(SIGNED_IN)
def revoke(token_id: int) -> Response:
    """Let a token open nothing from now on."""
    token = revoke_token(database(), person(), token_id)
    flash(_("The token “%(name)s” opens nothing any more.", name=token.name), "success")
    return redirect(url_for("tokens.show"))
