"""Signing in and out, choosing a language, changing the password."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_login import login_user, logout_user

from broker import accounts
from broker.invitations import accept_invitation, find_invited
from broker.messages import field_problems, sentence
from broker.web.access import EVERYBODY, SIGNED_IN, allow, person, reader
from broker.web.kept_forms import seal, unseal
from broker.web.reading import database, exchange
from models import LANGUAGES, DomainError, InvalidInput, NotFound

pages = Blueprint("account", __name__)


def safe_address(address: str | None) -> str:
    """``address`` if it leads back into this site; else the home page.

    Only a path is followed, so that a prepared link cannot send a person who signs in elsewhere.
    """
    parts = urlsplit(address or "")
    if parts.scheme or parts.netloc or not parts.path.startswith("/") or "\\" in (address or ""):
        return url_for("public.home")
    if parts.path.startswith("//"):
        return url_for("public.home")
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


@pages.route("/sign-in", methods=["GET", "POST"])
@allow(EVERYBODY)
def sign_in() -> Any:
    """Sign in; afterwards the page that was asked for opens."""
    error, kept = "", unseal(request.form.get("kept", ""))
    if request.method == "POST":
        try:
            user = accounts.sign_in(
                database(), request.form.get("email", ""), request.form.get("password", "")
            )
        except DomainError as problem:
            error = sentence(problem)
        else:
            chosen = session.get("language")
            session.clear()
            if chosen:
                session["language"] = chosen
            login_user(user)
            if kept is not None:
                return render_template("account/send_again.html", kept=kept)
            return redirect(safe_address(request.values.get("next") or url_for("posts.mine")))
    elif reader() is not None:
        return redirect(url_for("posts.mine"))
    return render_template(
        "account/sign_in.html",
        error=error,
        email=request.form.get("email", ""),
        next=request.values.get("next", ""),
        kept=seal(kept) if kept else "",
    ), (403 if error else 200)


@pages.post("/sign-out")
@allow(SIGNED_IN)
def sign_out() -> Any:
    """Sign out on this browser."""
    logout_user()
    flash(_("You have signed out."), "success")
    return redirect(url_for("public.home"))


@pages.route("/invitation/<int:user_id>/<token>", methods=["GET", "POST"])
@allow(EVERYBODY)
def invitation(user_id: int, token: str) -> Any:
    """Choose the password of an account that was opened for one, and sign in."""
    settings, problems = exchange().settings, {}
    if request.method == "POST":
        try:
            user = accept_invitation(
                database(), settings, user_id, token, request.form.get("password", "")
            )
        except InvalidInput as error:
            problems = field_problems(error)
        else:
            session.clear()
            login_user(user)
            return redirect(url_for("posts.mine"))
    user = find_invited(database(), settings, user_id, token)
    return render_template("account/invitation.html", user=user, problems=problems), (
        422 if problems else 200
    )


@pages.post("/language/<code>")
@allow(EVERYBODY)
def choose_language(code: str) -> Any:
    """Read in another language from now on; an account remembers it too."""
    if code not in LANGUAGES:
        raise NotFound("no_such_page")
    session["language"] = code
    session.permanent = True
    user = reader()
    if user is not None:
        user.language = code
    return redirect(safe_address(request.form.get("next")))


@pages.route("/account", methods=["GET", "POST"])
@allow(SIGNED_IN)
def profile() -> Any:
    """One's own account: what it is, and a new password."""
    user, problems = person(), {}
    if request.method == "POST":
        try:
            accounts.sign_in(database(), user.email, request.form.get("present", ""))
            accounts.set_password(database(), user, user, request.form.get("password", ""))
        except InvalidInput as error:
            problems = field_problems(error)
        except DomainError as error:
            problems = {"present": [sentence(error)]}
        else:
            flash(_("Your password has been changed."), "success")
            return redirect(url_for("account.profile"))
    return render_template("account/profile.html", user=user, problems=problems), (
        422 if problems else 200
    )
