"""What everybody reads first: the home page, how it works, and who takes part."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from broker.accounts import find_organisation
from broker.charts import PairedRow, draw_paired_bars
from broker.directory_search import DirectoryFilter, count_by_kind
from broker.overview import KindCount, agreements_of, find_secretariat, member_names, survey
from broker.posts import PostFilter, find_posts
from broker.programmes import programmes_of
from broker.ratings import average_rating
from broker.report.rows import count
from broker.secretariat import standing_of
from broker.sources import DOCUMENTS
from broker.tile_map import Tile, draw_tile_map
from broker.web.access import EVERYBODY, allow
from broker.web.directory import SHELF_NAMES, SHELVES
from broker.web.presentation import label, number
from broker.web.reading import database, exchange, language, today

pages = Blueprint("public", __name__)

FEW = 8
"""Posts and agreements that an organisation's page shows; each list leads to all of them."""


@pages.get("/")
@allow(EVERYBODY)
def home() -> str:
    """What the exchange is, how it stands now, and three ways in."""
    overview = survey(database())
    return render_template(
        "public/home.html",
        overview=overview,
        kinds=overview.kinds,
        chart=draw_kinds(overview.kinds),
        map=draw_needs(overview.countries),
    )


def draw_kinds(kinds: tuple[KindCount, ...]) -> str:
    """Needs and offers by kind of support, each number leading to its posts."""
    return draw_paired_bars(
        [
            PairedRow(
                label("support_kind", kind.code),
                kind.needs,
                kind.offers,
                url_for("posts.needs", support_kind=kind.code, open=1) if kind.needs else "",
                url_for("posts.offers", support_kind=kind.code, open=1) if kind.offers else "",
            )
            for kind in kinds
        ],
        _("Demand against supply"),
        sides=(_("needs"), _("offers")),
        number=number,
    )


def draw_needs(needs: dict[str, int]) -> str:
    """The map of the region by open needs; each tile leads to its country."""
    reference = exchange().reference
    return draw_tile_map(
        [
            Tile(
                code,
                reference.countries[code].tile[0],
                reference.countries[code].tile[1],
                value=needs.get(code, 0),
                words="{}: {}".format(
                    label("country", code),
                    ngettext("%(num)s need", "%(num)s needs", needs.get(code, 0)),
                ),
                address=url_for("countries.show", code=code),
            )
            for code in reference.codes("region_country")
            if len(reference.countries[code].tile) == 2
        ],
        _("Open needs of each country"),
        number=number,
    )


@pages.get("/about")
@allow(EVERYBODY)
def about() -> str:
    """How it works, who may post, where it comes from, and whom to ask."""
    secretariat = find_secretariat(database())
    return render_template("public/about.html", documents=DOCUMENTS, secretariat=secretariat)


@pages.get("/organisations/<code:code>")
@allow(EVERYBODY)
def organisation(code: str) -> Any:
    """An organisation with what it asks for, offers and has agreed on."""
    session = database()
    found = find_organisation(session, code)
    if found.code != code:
        return redirect(url_for("public.organisation", code=found.code), 301)
    standing = standing_of(session, [found])[found.id]
    counts = {"need": standing.needs, "offer": standing.offers}
    posts = {
        kind: session.scalars(
            find_posts(PostFilter(kind, organisation=code, open_only=True)).limit(FEW)
        ).all()
        for kind in ("need", "offer")
    }
    agreements = agreements_of(found)
    return render_template(
        "public/organisation.html",
        organisation=found,
        posts=posts,
        counts=counts,
        agreements=session.scalars(agreements.limit(FEW)).all(),
        agreement_count=count(session, agreements),
        programmes=programmes_of(session, found),
        rating=average_rating(session, found),
        entries=count_by_kind(
            session, on=today(), filters=DirectoryFilter(organisation=found.code)
        ),
        SHELVES=SHELVES,
        SHELF_NAMES=SHELF_NAMES,
        organisation_names=member_names(session, found, language()),
    )
