"""One box that finds everywhere: needs, offers, directories, and what one's own side has written."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from broker.directory_schemas import KIND_NAMES
from broker.directory_search import DirectoryFilter, load_entries, search_entries
from broker.posts import CLASSES
from broker.search import load_posts, search_own_posts, search_posts
from broker.web.access import EVERYBODY, allow, reader
from broker.web.post_filters import read_filters
from broker.web.reading import database, exchange, today
from models import PUBLICLY_READABLE, PostStatus

pages = Blueprint("search", __name__)

FEW = 5
"""Posts and entries of each sort that are shown; the lists have the others."""


@pages.get("/search")
@allow(EVERYBODY)
def everywhere() -> str:
    """The best needs, offers and entries for some words, and one's own drafts among them."""
    session, by = database(), reader()
    asked = {kind: read_filters(kind, request.args.copy()) for kind in CLASSES}
    text = asked["need"].text
    results = {kind: search_posts(exchange(), session, asked[kind]) for kind in CLASSES if text}
    if by is not None and text:
        hidden = set(PostStatus) - PUBLICLY_READABLE
        results["own"] = search_own_posts(exchange(), session, by, text, *hidden)
    words = DirectoryFilter(text=text, sort="relevance")
    entries = search_entries(exchange(), session, words, on=today()) if text else None
    return render_template(
        "posts/search.html",
        text=text,
        entries=entries,
        entry_rows=load_entries(session, entries.ids[:FEW]) if entries else [],
        KIND_NAMES=KIND_NAMES,
        results=results,
        rows={name: load_posts(session, found.ids[:FEW]) for name, found in results.items()},
    )
