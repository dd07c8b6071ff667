"""Feeds (Atom), calendars (iCalendar), and what pages say in the words of schema.org."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template, request
from flask_babel import force_locale
from flask_babel import gettext as _
from markupsafe import Markup

from broker.agreements import RegisterFilter
from broker.calendars import closing_dates, find_reader, meetings, own_days
from broker.feeds import Entry, new_agreements, new_posts, newest
from broker.linked_data import describe_organisation, describe_post
from broker.web.access import EVERYBODY, allow
from broker.web.post_filters import read_filters
from broker.web.reading import database, exchange, language
from models import LANGUAGES, PUBLICLY_READABLE, Need, NotAllowed, NotFound, Offer, Organisation

pages = Blueprint("feeds", __name__)


def _language() -> str:
    """The language of the address, since programs that read feeds rarely ask for one."""
    asked = request.args.get("lang", "")
    return asked if asked in LANGUAGES else language()


@pages.get("/feeds/<kind:kind>.atom")
@allow(EVERYBODY)
def posts(kind: str) -> Response:
    """The newest needs or offers, narrowed by the filters of their list."""
    spoken, reference = _language(), exchange().reference
    filters = read_filters(kind, request.args)
    entries = new_posts(
        database(), filters, spoken, lambda scheme, code: reference.label(scheme, code, spoken)
    )
    with force_locale(spoken):
        title = _("Newest needs") if kind == "need" else _("Newest offers")
    return _feed(title, f"/{kind}s", entries, spoken)


@pages.get("/feeds/agreements.atom")
@allow(EVERYBODY)
def agreements() -> Response:
    """The newest agreements of the public register."""
    spoken = _language()
    with force_locale(spoken):
        title = _("Newest agreements")
    return _feed(title, "/agreements", new_agreements(database(), RegisterFilter(), spoken), spoken)


def _feed(title: str, page: str, entries: list[Entry], spoken: str) -> Response:
    query = request.query_string.decode("ascii", "replace")
    site = exchange().settings.site
    text = render_template(
        "feeds/feed.xml",
        title=title,
        site=site,
        own_address=site + request.path + (f"?{query}" if query else ""),
        page=f"{site}{page}" + (f"?{query}" if query else ""),
        entries=entries,
        updated=newest(entries),
        spoken=spoken,
    )
    return _conditional(Response(text, content_type="application/atom+xml; charset=utf-8"))


@pages.get("/calendars/closing.ics")
@allow(EVERYBODY)
def closing() -> Response:
    """The days on which open needs and offers close."""
    with force_locale(_language()):
        return _calendar(closing_dates(exchange(), database(), _language()))


@pages.get("/calendars/meetings.ics")
@allow(EVERYBODY)
def meetings_of_task_forces() -> Response:
    """The meetings of the task forces."""
    with force_locale(_language()):
        return _calendar(meetings(exchange(), database(), _language()))


@pages.get("/calendars/own/<secret>.ics")
@allow(EVERYBODY)
def own_calendar(secret: str) -> Response:
    """What one's organisation has to keep; who knows the address reads it."""
    try:
        by = find_reader(database(), secret)
    except NotAllowed as error:
        raise NotFound("no_such_page") from error
    with force_locale(by.language):
        made = _calendar(own_days(exchange(), database(), by, by.language))
    made.headers["Cache-Control"] = "private, no-store"
    return made


def _calendar(content: bytes) -> Response:
    return _conditional(Response(content, content_type="text/calendar; charset=utf-8"))


def _conditional(response: Response) -> Response:
    response.add_etag()
    response.headers["Cache-Control"] = "public, no-cache"
    response.headers["Vary"] = "Accept-Language"
    made: Response = response.make_conditional(request)  # type: ignore[assignment]
    return made


@pages.app_template_global("linked_data")
def linked_data(thing: Any) -> Markup:
    """A public page's thing in the words of schema.org; nothing for what is not public.

    A block of data, not a script: nothing in it is executed, and no sign of it can end it.
    """
    if isinstance(thing, Need | Offer):
        if thing.status not in PUBLICLY_READABLE:
            return Markup()
        described = describe_post(thing, exchange())
    else:
        assert isinstance(thing, Organisation)  # noqa: S101 - there is no third kind
        described = describe_organisation(thing, exchange())
    return Markup(render_template("feeds/linked_data.html", described=described))  # noqa: S704
