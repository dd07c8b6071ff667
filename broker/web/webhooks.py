"""Webhooks of one's organisation: set up, tried, followed in their log, and removed."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.messages import FIELD_PROBLEMS, field_problems
from broker.web.access import SIGNED_IN, allow, person
from broker.web.forms import read_form
from broker.web.presentation import paginate
from broker.web.reading import database, exchange
from broker.webhooks import (
    EVENT_NAMES,
    TEST,
    WebhookSchema,
    change_webhook,
    find_deliveries,
    get_webhook,
    own_webhooks,
    register_webhook,
    remove_webhook,
    renew_secret,
    replay_delivery,
    secret_of,
    send_test,
)
from models import InvalidInput, Webhook

pages = Blueprint("webhooks", __name__)


@pages.context_processor
def names() -> dict[str, Any]:
    """Names of codes that only these pages show."""
    return {
        "EVENT_NAMES": {**EVENT_NAMES, TEST: _("a test")},
        "PROBLEMS": FIELD_PROBLEMS,
    }


@pages.get("/account/webhooks")
@allow(SIGNED_IN)
def mine() -> str:
    """The webhooks of one's organisation, and the form for another."""
    return _mine({}, {})


def _mine(values: Any, problems: dict[str, Any]) -> str:
    found = database().scalars(own_webhooks(person())).all()
    return render_template("webhooks/mine.html", webhooks=found, values=values, problems=problems)


@pages.post("/account/webhooks")
@allow(SIGNED_IN)
def make() -> Any:
    """Set one up; its secret is shown."""
    typed = read_form(request.form, WebhookSchema)
    try:
        made = register_webhook(
            database(), person(), typed, exchange().reference, exchange().settings
        )
    except InvalidInput as error:
        return _mine(typed, field_problems(error)), 422
    database().flush()
    return _told_once(made)


@pages.get("/account/webhooks/<int:webhook_id>")
@allow(SIGNED_IN)
def show(webhook_id: int) -> str:
    """One webhook: what it tells, how that went, and what can be done."""
    return _show(get_webhook(database(), webhook_id, person()))


def _show(found: Webhook, values: Any = None, problems: dict[str, Any] | None = None) -> str:
    return render_template(
        "webhooks/show.html",
        webhook=found,
        page=paginate(database(), find_deliveries(found)),
        values=values or {"url": found.url, "events": found.events},
        problems=problems or {},
    )


@pages.post("/account/webhooks/<int:webhook_id>")
@allow(SIGNED_IN)
def change(webhook_id: int) -> Any:
    """Change where it leads and what it tells; one that was switched off goes on again."""
    found = get_webhook(database(), webhook_id, person())
    typed = read_form(request.form, WebhookSchema)
    try:
        change_webhook(
            database(), person(), found, typed, exchange().reference, exchange().settings
        )
    except InvalidInput as error:
        return _show(found, typed, field_problems(error)), 422
    return _back(found, _("The webhook is changed, and on."))


@pages.post("/account/webhooks/<int:webhook_id>/test")
@allow(SIGNED_IN)
def test(webhook_id: int) -> Response:
    """Send a message that says nothing but that it works."""
    found = get_webhook(database(), webhook_id, person())
    send_test(database(), person(), found)
    return _back(found, _("A test message is in line. It goes out within a minute."))


@pages.post("/account/webhooks/<int:webhook_id>/secret")
@allow(SIGNED_IN)
def renew(webhook_id: int) -> Response:
    """Make a new secret; it is shown."""
    found = get_webhook(database(), webhook_id, person())
    renew_secret(database(), person(), found)
    return _told_once(found)


def _told_once(found: Webhook) -> Response:
    page = Response(
        render_template(
            "webhooks/secret.html", webhook=found, secret=secret_of(exchange().settings, found)
        ),
        mimetype="text/html",
    )
    page.headers["Cache-Control"] = "no-store"
    return page


@pages.post("/account/webhooks/<int:webhook_id>/deliveries/<int:delivery_id>")
@allow(SIGNED_IN)
def replay(webhook_id: int, delivery_id: int) -> Response:
    """Send a message once more."""
    found = get_webhook(database(), webhook_id, person())
    replay_delivery(database(), found, delivery_id)
    return _back(found, _("The message is in line again. It goes out within a minute."))


@pages.route("/account/webhooks/<int:webhook_id>/remove", methods=["GET", "POST"])
@allow(SIGNED_IN)
def remove(webhook_id: int) -> Any:
    """Ask, and then remove it with its log."""
    found = get_webhook(database(), webhook_id, person())
    if request.method == "GET":
        return render_template("webhooks/remove.html", webhook=found)
    remove_webhook(database(), person(), found)
    flash(_("The webhook is removed."), "success")
    return redirect(url_for("webhooks.mine"))


def _back(found: Webhook, done: str) -> Response:
    flash(done, "success")
    return redirect(url_for("webhooks.show", webhook_id=found.id))
