"""Countries: the region as a map of tiles, and a page for each country."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from broker.charts import PairedRow, draw_paired_bars
from broker.countries import (
    CodeCount,
    CountryPicture,
    Figures,
    figures_by_country,
    get_country,
    picture_country,
)
from broker.directory_search import DirectoryFilter, count_by_kind
from broker.supply_demand import FACET_NAMES
from broker.tile_map import Tile, draw_tile_map
from broker.web.access import EVERYBODY, allow
from broker.web.directory import SHELF_NAMES, SHELVES
from broker.web.presentation import choices, label, number
from broker.web.reading import database, exchange, today
from models import InvalidInput

pages = Blueprint("countries", __name__)

MEASURES = {"needs": "need", "offers": "offer", "agreements": "agreement"}
"""What the map can show → its tone."""

DRAWN = 10
"""Bars of a chart; the table beside it has all rows."""


def figure_words(figures: Figures) -> str:
    """All figures of a country in words."""
    return ", ".join(
        (
            ngettext("%(num)s need", "%(num)s needs", figures.needs),
            ngettext(
                "%(num)s offer that can serve it",
                "%(num)s offers that can serve it",
                figures.offers,
            ),
            ngettext("%(num)s agreement", "%(num)s agreements", figures.agreements),
        )
    )


def draw_map(figures: dict[str, Figures], measure: str) -> str:
    """The map of the region by one of ``MEASURES``; each tile leads to its country."""
    words = {
        "needs": _("Open needs of each country"),
        "offers": _("Open offers that can serve each country"),
        "agreements": _("Agreements of each country"),
    }
    countries = exchange().reference.countries
    return draw_tile_map(
        [
            Tile(
                code,
                countries[code].tile[0],
                countries[code].tile[1],
                value=getattr(found, measure),
                words=f"{label('country', code)}: {figure_words(found)}",
                address=url_for("countries.show", code=code),
            )
            for code, found in figures.items()
            if len(countries[code].tile) == 2
        ],
        words[measure],
        tone=MEASURES[measure],
        number=number,
    )


@pages.get("/countries")
@allow(EVERYBODY)
def index() -> str:
    """The region: needs, offers and agreements of every country, as a map and as a table."""
    measure, theme = request.args.get("measure", "needs"), request.args.get("theme", "")
    problems: dict[str, Any] = {}
    if measure not in MEASURES:
        problems["measure"] = [("unknown_code", {"code": measure[:60]})]
    if theme and theme not in exchange().reference.codes("theme"):
        problems["theme"] = [("unknown_code", {"code": theme[:60]})]
    if problems:
        raise InvalidInput(problems)
    figures = figures_by_country(database(), exchange().reference, theme)
    return render_template(
        "countries/index.html",
        figures=figures,
        names=choices("region_country"),
        measure=measure,
        measures=MEASURES,
        theme=theme,
        map=draw_map(figures, measure),
    )


@pages.get("/countries/<code:code>")
@allow(EVERYBODY)
def show(code: str) -> Any:
    """What a country asks for, what can serve it, what it has agreed on, and who speaks for it."""
    country = get_country(exchange().reference, code)
    if country.code != code:
        return redirect(url_for("countries.show", code=country.code), 301)
    picture = picture_country(database(), country)
    return render_template(
        "countries/show.html",
        picture=picture,
        names=FACET_NAMES,
        entries=count_by_kind(
            database(), on=today(), filters=DirectoryFilter(countries=(country.code,))
        ),
        SHELVES=SHELVES,
        SHELF_NAMES=SHELF_NAMES,
        charts={facet: draw_counts(picture, facet, rows) for facet, rows in picture.counts.items()},
    )


def draw_counts(picture: CountryPicture, facet: str, rows: tuple[CodeCount, ...]) -> str:
    """A facet's most wanted codes as paired bars, each number leading to its posts."""
    here: dict[str, Any] = {"country": picture.country.code, "open": "1"}
    return draw_paired_bars(
        [
            PairedRow(
                label(facet, row.code),
                row.needs,
                row.offers,
                url_for("posts.needs", **{**here, facet: row.code}) if row.needs else "",
                url_for("posts.offers", **{**here, facet: row.code}) if row.offers else "",
            )
            for row in rows[:DRAWN]
        ],
        _("Needs and offers: %(facet)s", facet=FACET_NAMES[facet]),
        sides=(_("needs"), _("offers")),
        number=number,
    )
