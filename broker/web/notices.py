"""What a person is told: her notices, what comes by e-mail, and the links that end it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from broker import notices
from broker.letters import read_unsubscription
from broker.letters import unsubscribe as end_mail
from broker.messages import field_problems
from broker.notices import FREQUENCY_NAMES, QUOTED, TOPICS, ChoiceSchema, topics_for
from broker.schemas import load
from broker.web.access import EVERYBODY, SIGNED_IN, allow, person, reader
from broker.web.account import safe_address
from broker.web.presentation import paginate
from broker.web.reading import database, exchange, language, speak_to
from models import InvalidInput, Notice

pages = Blueprint("notices", __name__)


@pages.app_context_processor
def unread() -> dict[str, Any]:
    """How many notices the reader has not read: the masthead shows it on every page."""
    user = reader()
    return {"unread_count": notices.count_unread(database(), user) if user else 0}


@pages.context_processor
def names() -> dict[str, Any]:
    """Names that these pages show."""
    return {"TOPICS": TOPICS, "FREQUENCY_NAMES": FREQUENCY_NAMES, "QUOTED": QUOTED}


@pages.app_template_filter("sentence")
def sentence(notice: Notice) -> str:
    """What a notice says to the reader."""
    return notices.sentence_of(notice, exchange().reference, language())


@pages.app_template_filter("invitation")
def invitation(notice: Notice) -> str:
    """What the reader can do about a notice."""
    return notices.invitation_of(notice)


@pages.app_template_filter("topic")
def topic(notice: Notice) -> str:
    """What a notice is about."""
    return notices.topic_of(notice)


@pages.get("/notices")
@allow(SIGNED_IN)
def mine() -> str:
    """One's own notices, newest first."""
    session, by = database(), person()
    asked = request.args.get("topic", "")
    chosen = asked if asked in TOPICS else ""
    only_unread = request.args.get("unread") == "1"
    return render_template(
        "notices/list.html",
        page=paginate(session, notices.find_notices(by, chosen, unread=only_unread)),
        counts=notices.count_by_topic(session, by),
        chosen=chosen,
        only_unread=only_unread,
        now=datetime.now(UTC).isoformat(),
    )


@pages.post("/notices/<int:notice_id>/read")
@allow(SIGNED_IN)
def read(notice_id: int) -> Response:
    """Mark one notice as read."""
    notices.mark_read(database(), person(), notice_id)
    return redirect(safe_address(request.form.get("next") or url_for("notices.mine")))


@pages.post("/notices/read")
@allow(SIGNED_IN)
def read_all() -> Response:
    """Mark as read what the list showed."""
    asked = request.form.get("topic", "")
    chosen = asked if asked in TOPICS else ""
    count = notices.mark_all_read(database(), person(), chosen, until=_moment("until"))
    flash(
        ngettext("%(num)s notice is marked as read.", "%(num)s notices are marked as read.", count),
        "success",
    )
    return redirect(url_for("notices.mine", topic=chosen or None))


def _moment(name: str) -> datetime:
    """A moment that a form carries; the present one where it carries none."""
    now = datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(request.form.get(name, ""))
    except ValueError:
        return now
    return min(moment if moment.tzinfo else moment.replace(tzinfo=UTC), now)


@pages.route("/account/notices", methods=["GET", "POST"])
@allow(SIGNED_IN)
def choices() -> Any:
    """How soon each topic comes by e-mail."""
    session, by = database(), person()
    values: dict[str, Any] = dict(notices.mail_choices(session, by))
    problems: dict[str, Any] = {}
    if request.method == "POST":
        sent = {code: request.form[code] for code in topics_for(by) if code in request.form}
        try:
            chosen = load(ChoiceSchema, sent, exchange().reference, partial=True)
        except InvalidInput as error:
            problems, values = field_problems(error), values | sent
        else:
            notices.choose_mail(session, by, chosen)
            flash(_("What comes by e-mail is as you chose."), "success")
            return redirect(url_for("notices.choices"))
    page = render_template(
        "notices/choices.html", topics=topics_for(by), values=values, problems=problems, user=by
    )
    return page, (422 if problems else 200)


@pages.route("/unsubscribe/<token>", methods=["GET", "POST"])
@allow(EVERYBODY)
def unsubscribe(token: str) -> str:
    """End e-mail by the link of a letter, without signing in.

    Opening the link changes nothing, since mail servers open links to look at them; the button,
    or a mail program's own (RFC 8058), ends it.
    """
    settings = exchange().settings
    done = request.method == "POST"
    look = end_mail if done else read_unsubscription
    ended = look(database(), settings, token)
    speak_to(ended.user)
    return render_template("notices/unsubscribe.html", ended=ended, done=done)
