"""The secretariat's look at e-mail: what waits to go out, and the folder of a demonstration."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, make_response, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from broker.letters import count_waiting, find_unsent, send_letters, try_again
from broker.mail import Folder, part_of
from broker.report.rows import count
from broker.web.access import SECRETARIAT, allow, person
from broker.web.presentation import PAGE_SIZE, paginate_numbers
from broker.web.reading import database, exchange
from models import NotFound

pages = Blueprint("mail", __name__)

PICTURE_POLICY = {
    "default-src": "'none'",
    "style-src": "'unsafe-inline'",
    "sandbox": "",
    "frame-ancestors": "'self'",
}
"""A message is shown as it was written, but runs nothing, loads nothing and leads nowhere."""


def _folder() -> Folder | None:
    """The folder with messages; None where a mail server takes them."""
    settings = exchange().settings
    return None if settings.mail_server else Folder(settings)


def _required_folder() -> Folder:
    folder = _folder()
    if folder is None:
        raise NotFound("no_such_message")
    return folder


@pages.get("/secretariat/mail")
@allow(SECRETARIAT)
def outbox() -> str:
    """What waits to go out, and what was written to the folder."""
    folder, session = _folder(), database()
    unsent = find_unsent(person())
    names: Any = folder.names() if folder else []
    headings: Any = folder.headings if folder else list
    return render_template(
        "mail/outbox.html",
        folder=folder,
        kept=paginate_numbers(names, headings),
        waiting=count_waiting(session),
        unsent=session.scalars(unsent.limit(PAGE_SIZE)).all(),
        unsent_total=count(session, unsent),
    )


@pages.post("/secretariat/mail/send")
@allow(SECRETARIAT)
def send() -> Any:
    """Write what waits to the folder now, without waiting for the clock."""
    _required_folder()
    # The letters have transactions of their own: this request's must not stand in their way.
    database().rollback()
    done = send_letters(exchange())
    flash(
        ngettext("%(num)s letter was written.", "%(num)s letters were written.", done.sent),
        "success",
    )
    return redirect(url_for("mail.outbox"))


@pages.post("/secretariat/mail/letters/<int:letter_id>/again")
@allow(SECRETARIAT)
def again(letter_id: int) -> Any:
    """Try a letter once more that the mail server did not take."""
    try_again(database(), person(), letter_id)
    flash(_("The letter is tried again within a minute."), "success")
    return redirect(url_for("mail.outbox"))


@pages.get("/secretariat/mail/<name>")
@allow(SECRETARIAT)
def message(name: str) -> str:
    """A message of the folder: its headers, its text and its picture."""
    read = _required_folder().read(name)
    heads = ("From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe")
    return render_template(
        "mail/message.html",
        name=name,
        subject=str(read["Subject"]),
        heads=[(head, str(read[head])) for head in heads if read[head]],
        text=part_of(read, "plain"),
        written_in=str(read["Content-Language"] or ""),
    )


@pages.get("/secretariat/mail/<name>/html")
@allow(SECRETARIAT)
def picture(name: str) -> Response:
    """A message as a mail program shows it, for a frame within the page."""
    return make_response(part_of(_required_folder().read(name), "html"))


picture.talisman_view_options = {  # type: ignore[attr-defined]
    "content_security_policy": PICTURE_POLICY,
    "frame_options": "SAMEORIGIN",
}
