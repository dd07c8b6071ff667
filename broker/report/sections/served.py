"""Who is served: shares by country, and how evenly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from broker.report.equity import ALIKE, SOMEWHAT, PlaceEquity
from broker.report.layout import (
    NOT_STATED,
    Chart,
    Column,
    Figure,
    Over,
    Row,
    Rows,
    Section,
    Table,
)
from broker.report.sections.writer import Writer
from broker.tile_map import Tile, draw_tile_map

GROUP_NAMES = {
    "small_island": _l("Small island States"),
    "least_developed": _l("Least developed countries"),
    "other": _l("All other countries"),
}


def equity(writer: Writer) -> Section:
    """The share of each country's needs that agreements serve, and how even the shares are."""
    equity = writer.report.equity
    columns = (
        Column("place", _("Country")),
        Column("needs", _("Needs"), numeric=True),
        Column("served", _("Served by an agreement"), numeric=True),
        Column("share", _("Share served"), numeric=True, share=("served", "needs")),
        Column("places_wanted", _("Places asked"), numeric=True),
        Column("places_given", _("Places committed"), numeric=True),
    )

    def row(place: PlaceEquity, name: str, criteria: Mapping[str, str]) -> Row:
        code = place.code
        given = {"counted": "yes", **criteria}
        return Row(
            code,
            (
                name,
                Figure(
                    place.needs,
                    rows=Rows("asking", {"place": code}),
                    over=(Over("needs", criteria),),
                ),
                Figure(
                    place.served,
                    rows=Rows("asking", {"place": code, "served": "yes"}),
                    over=(Over("needs", {**criteria, "served": "yes"}),),
                ),
                Figure(place.share, "percent"),
                Figure(
                    place.places_wanted,
                    rows=Rows("stating", {"kind": "need", "place": code}),
                    over=(Over("needs", criteria, "places"),),
                ),
                Figure(
                    place.places_given,
                    rows=Rows("commitments", {"place": code or "any"}),
                    over=(Over("commitments", given, "places"),),
                ),
            ),
        )

    rows = tuple(
        row(
            place,
            writer.label("country", place.code)
            if place.code != "none"
            else _("Several countries together"),
            {"country": NOT_STATED if place.code == "none" else place.code},
        )
        for place in equity.countries
    )
    groups = tuple(
        row(group, str(GROUP_NAMES[group.code]), {"groups": f"*|{group.code}|*"})
        for group in equity.groups
    )
    last = row(equity.total, _("In all"), {})
    tables = []
    if rows:
        group_columns = (Column("place", _("Group of countries")), *columns[1:])
        tables = [
            Table("groups", _("By group of countries"), group_columns, groups),
            Table("countries", _("By country, the least served first"), columns, rows, last),
        ]
    return writer.section("equity", _equity_words(writer), tables, _equity_charts(writer))


def _equity_words(writer: Writer) -> Iterator[str]:
    equity = writer.report.equity
    if not equity.countries:
        yield _("No country asks for anything in this report.")
        return
    yield _(
        "A need is served once an agreement about it is signed, and not broken off before its "
        "end. A country can be both a small island and least developed, and then counts in both "
        "groups."
    )
    if equity.asking < 2:
        yield _("Only one country asks, so nothing can be said about how support is shared out.")
    elif equity.gini is None:
        yield _("No need of a country is served yet, so support is not shared out at all.")
    else:
        index = writer.figure(Figure(equity.gini, "share"))
        if equity.gini <= ALIKE:
            told = _("the countries that ask are served about alike")
        elif equity.gini <= SOMEWHAT:
            told = _("some of the countries that ask are clearly better served than others")
        else:
            told = _("a few of the countries that ask get most of the support")
        yield _(
            "Gini coefficient of the countries’ served shares: %(index)s. It would be 0 if the "
            "same share of every country’s needs were served, and near 1 if one country had "
            "everything. Here %(told)s.",
            index=index,
            told=told,
        )
    if equity.silent:
        names = [writer.label("country", code) for code in equity.silent]
        yield _("They ask for nothing: %(countries)s.", countries=", ".join(sorted(names)))


def _equity_charts(writer: Writer) -> Iterator[Chart]:
    found = {place.code: place for place in writer.report.equity.countries}
    if not found:
        return
    label = _("Needs by country")
    tiles = []
    for code, country in writer.reference.countries.items():
        if not country.in_region or len(country.tile) != 2:
            continue
        place = found.get(code)
        name = writer.label("country", code)
        told = (
            _(
                "%(country)s: %(needs)s needs, %(served)s served",
                country=name,
                needs=writer.number(place.needs),
                served=writer.number(place.served),
            )
            if place
            else _("%(country)s: nothing asked", country=name)
        )
        where = writer.address(Rows("asking", {"place": code})) if place else ""
        column, down = country.tile
        tiles.append(Tile(code, column, down, place.needs if place else 0, told, where))
    yield Chart("map", draw_tile_map(tiles, label, number=writer.number), label)
