"""What everybody reads first: the home page, how it works, and who takes part."""

from __future__ import annotations

from flask import Blueprint, render_template

from broker.accounts import find_organisation
from broker.overview import agreements_of, find_secretariat, member_names, survey
from broker.posts import PostFilter, find_posts
from broker.ratings import average_rating
from broker.sources import DOCUMENTS
from broker.web.access import EVERYBODY, allow
from broker.web.presentation import PAGE_SIZE
from broker.web.reading import database, language

pages = Blueprint("public", __name__)


@pages.get("/")
@allow(EVERYBODY)
def home() -> str:
    """What the exchange is, how it stands now, and three ways in."""
    return render_template("public/home.html", overview=survey(database()))


@pages.get("/about")
@allow(EVERYBODY)
def about() -> str:
    """How it works, who may post, where it comes from, and whom to ask."""
    secretariat = find_secretariat(database())
    return render_template("public/about.html", documents=DOCUMENTS, secretariat=secretariat)


@pages.get("/organisations/<code:code>")
@allow(EVERYBODY)
def organisation(code: str) -> str:
    """An organisation with what it asks for, offers and has agreed on."""
    session = database()
    found = find_organisation(session, code)
    posts = {
        kind: session.scalars(
            find_posts(PostFilter(kind, organisation=code, open_only=True)).limit(PAGE_SIZE)
        ).all()
        for kind in ("need", "offer")
    }
    agreements = session.scalars(agreements_of(found).limit(PAGE_SIZE)).all()
    return render_template(
        "public/organisation.html",
        organisation=found,
        posts=posts,
        agreements=agreements,
        rating=average_rating(session, found),
        organisation_names=member_names(session, found, language()),
    )
