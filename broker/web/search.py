"""One box that finds everywhere: needs, offers, and what one's own organisation has written."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from broker.posts import CLASSES
from broker.search import load_posts, search_own_posts, search_posts
from broker.web.access import EVERYBODY, allow, reader
from broker.web.post_filters import read_filters
from broker.web.reading import database, exchange
from models import PUBLICLY_READABLE, PostStatus

pages = Blueprint("search", __name__)

FEW = 5
"""Posts of each sort that are shown; the lists have the others."""


@pages.get("/search")
@allow(EVERYBODY)
def everywhere() -> str:
    """The best needs and offers for some words, and one's own drafts among them."""
    session, by = database(), reader()
    asked = {kind: read_filters(kind, request.args.copy()) for kind in CLASSES}
    text = asked["need"].text
    results = {kind: search_posts(exchange(), session, asked[kind]) for kind in CLASSES if text}
    if by is not None and text:
        hidden = set(PostStatus) - PUBLICLY_READABLE
        results["own"] = search_own_posts(exchange(), session, by, text, *hidden)
    return render_template(
        "posts/search.html",
        text=text,
        results=results,
        rows={name: load_posts(session, found.ids[:FEW]) for name, found in results.items()},
    )
