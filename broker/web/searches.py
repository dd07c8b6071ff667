"""Saved searches: keep a filtered list by name, and choose how soon one hears of what is new."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from broker.directory_search import DirectoryFilter
from broker.explanations import BAND_NAMES
from broker.messages import field_problems
from broker.searches import (
    ALERT_NAMES,
    LISTINGS,
    ListFilter,
    change_search,
    count_alerts,
    delete_search,
    filters_of,
    find_searches,
    get_search,
    save_search,
)
from broker.web import directory_filters, post_filters
from broker.web.access import SIGNED_IN, allow, person
from broker.web.facets import Chip
from broker.web.reading import database, exchange, language
from models import InvalidInput, NotFound, SavedSearch

pages = Blueprint("searches", __name__)

MOST_QUERY = 8000
"""Signs of a query string that are looked at; no list writes a longer one."""


@pages.app_context_processor
def names() -> dict[str, Any]:
    """What the form beneath a list shows."""
    return {"ALERT_NAMES": ALERT_NAMES}


def search_address(search: SavedSearch) -> str:
    """The list of a saved search with its filters."""
    bands = search.filters.get("bands", ())
    return listing_address(search.listing, filters_of(search), bands)


def listing_address(listing: str, filters: ListFilter, bands: Iterable[str] = ()) -> str:
    """A list narrowed by filters: each that is on is a parameter of the address."""
    pairs = [(chip.parameter, chip.value) for chip in shown_filters(filters, bands)]
    if not LISTINGS[listing].ranked:
        pairs.append(("sort", filters.sort))
    return f"{url_for(LISTINGS[listing].endpoint)}?{urlencode(pairs)}"


def shown_filters(filters: ListFilter, bands: Iterable[str] = ()) -> list[Chip]:
    """The filters that are on, by their names."""
    reference, organisation = exchange().reference, filters.organisation
    if isinstance(filters, DirectoryFilter):
        return directory_filters.chips(filters, reference, language(), organisation)
    found = post_filters.chips(filters, reference, language(), organisation)
    return found + [Chip("band", band, _("Fit"), str(BAND_NAMES[band])) for band in bands]


@pages.get("/searches")
@allow(SIGNED_IN)
def mine() -> str:
    """The searches that one keeps."""
    return _list()


def _list(problems: dict[int, Any] | None = None) -> str:
    session, by = database(), person()
    searches = [s for s in session.scalars(find_searches(by)) if s.listing in LISTINGS]
    return render_template(
        "searches/list.html",
        searches=[
            (
                search,
                search_address(search),
                shown_filters(filters_of(search), search.filters.get("bands", ())),
            )
            for search in searches
        ],
        LISTINGS=LISTINGS,
        alerts=count_alerts(session, by),
        problems=problems or {},
        typed=request.form,
    )


@pages.post("/searches")
@allow(SIGNED_IN)
def save() -> Any:
    """Keep the list that the form names with its filters."""
    listing = request.form.get("listing", "")
    if listing not in LISTINGS:
        raise NotFound("no_such_page")
    args = MultiDict(parse_qsl(request.form.get("query", "")[:MOST_QUERY]))
    filters = _read_filters(listing, args)
    bands = [band for band in BAND_NAMES if band in args.getlist("band")]
    try:
        search = save_search(
            database(), person(), listing, filters, _typed(), exchange().reference, bands=bands
        )
    except InvalidInput as error:
        page = render_template(
            "searches/save.html",
            listing=listing,
            query=request.form.get("query", "")[:MOST_QUERY],
            back=listing_address(listing, filters, bands),
            shown=shown_filters(filters, bands),
            values=request.form,
            problems=field_problems(error),
        )
        return page, 422
    flash(_("Your search is saved as “%(name)s”.", name=search.name), "success")
    return redirect(url_for("searches.mine"))


@pages.post("/searches/<int:search_id>")
@allow(SIGNED_IN)
def change(search_id: int) -> Any:
    """Give a search another name or other alerts."""
    try:
        change_search(database(), person(), search_id, _typed(), exchange().reference)
    except InvalidInput as error:
        return _list({search_id: field_problems(error)}), 422
    flash(_("The search is changed."), "success")
    return redirect(url_for("searches.mine"))


@pages.route("/searches/<int:search_id>/delete", methods=["GET", "POST"])
@allow(SIGNED_IN)
def delete(search_id: int) -> Any:
    """Ask first, then forget a search."""
    search = get_search(database(), person(), search_id)
    if request.method == "GET":
        return render_template("searches/delete.html", search=search)
    delete_search(database(), person(), search_id)
    flash(_("The search “%(name)s” is deleted.", name=search.name), "success")
    return redirect(url_for("searches.mine"))


def _read_filters(listing: str, args: MultiDict[str, str]) -> ListFilter:
    whole = LISTINGS[listing].whole
    if isinstance(whole, DirectoryFilter):
        return directory_filters.read_filters(args)
    return post_filters.read_filters(whole.kind, args)


def _typed() -> dict[str, str]:
    return {name: request.form[name] for name in ("name", "frequency") if name in request.form}
