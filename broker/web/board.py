"""The exchange board: demand against supply, for everybody."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask_babel import gettext as _

from broker.board import PERIODS, Board, BoardFilter, find_unmet, lay_out_board
from broker.charts import HeatCell, HeatRow, PairedRow, draw_heat_table, draw_paired_bars
from broker.supply_demand import FACET_NAMES, CodeRow, FacetTable, codes_of
from broker.web.access import EVERYBODY, allow
from broker.web.presentation import choices, number, paginate
from broker.web.reading import database, exchange, language, today

pages = Blueprint("board", __name__)

DRAWN = 10
"""Bars of a chart; the table beside it has all rows."""

SCARCEST = 5
"""Themes that are listed as scarce."""


@pages.get("/board")
@allow(EVERYBODY)
def show() -> str:
    """Demand against supply, narrowed by filters that live in the address."""
    reference = exchange().reference
    board = lay_out_board(database(), reference, _filters(), language())
    names = {**FACET_NAMES, "programme": _("Programme")}
    return render_template(
        "board/show.html",
        board=board,
        names=names,
        options={
            facet: [pair for pair in choices(facet) if pair[0] in set(codes_of(facet, reference))]
            for facet in names
        },
        periods=PERIODS,
        tables=[(table, draw_table(table, board)) for table in board.tables],
        heat=draw_cross(board) if board.cross.rows and board.cross.columns else "",
        scarce=scarcest(board),
    )


@pages.get("/board/unmet")
@allow(EVERYBODY)
def unmet() -> str:
    """The open needs that nothing matched in the newest run."""
    page = paginate(database(), find_unmet(database(), _filters()))
    filters = {name: value for name, value in request.args.items() if name != "page"}
    return render_template("board/unmet.html", page=page, filters=filters)


def _filters() -> BoardFilter:
    return BoardFilter.read(request.args, exchange().reference, today=today())


def scarcest(board: Board) -> list[CodeRow]:
    """The themes with the most needs for each offer, those without any offer left out."""
    rows = [
        row
        for table in board.tables
        if table.facet == "theme"
        for row in table.rows
        if row.total.offers and row.total.needs > row.total.offers
    ]
    return sorted(rows, key=lambda row: -row.total.needs / row.total.offers)[:SCARCEST]


def _sides() -> tuple[str, str]:
    return _("needs"), _("offers")


def _address(kind: str, count: int, parameters: dict[str, Any]) -> str:
    return url_for(f"posts.{kind}s", **parameters) if count else ""


def draw_table(table: FacetTable, board: Board) -> str:
    """A facet's first rows as paired bars, each number leading to its posts."""
    return draw_paired_bars(
        [
            PairedRow(
                row.label,
                row.total.needs,
                row.total.offers,
                *_addresses(row, {**board.filters.parameters, table.facet: row.code}),
            )
            for row in table.rows[:DRAWN]
        ],
        _("Needs and offers: %(facet)s", facet=FACET_NAMES[table.facet]),
        sides=_sides(),
        number=number,
    )


def _addresses(row: CodeRow, parameters: dict[str, Any]) -> tuple[str, str]:
    return (
        _address("need", row.total.needs, parameters),
        _address("offer", row.total.offers, parameters),
    )


def draw_cross(board: Board) -> str:
    """Themes by subregions as a heat table, each number leading to its posts."""
    columns = board.cross.columns

    def cell(row: CodeRow, place: int) -> HeatCell:
        found = row.cells[place]
        here = {**board.filters.parameters, "theme": row.code, "subregion": columns[place].code}
        return HeatCell(
            found.needs,
            found.offers,
            _address("need", found.needs, here),
            _address("offer", found.offers, here),
        )

    return draw_heat_table(
        [column.label for column in columns],
        [
            HeatRow(row.label, tuple(cell(row, place) for place in range(len(columns))))
            for row in board.cross.rows
        ],
        _("Needs and offers by theme and subregion"),
        sides=_sides(),
        number=number,
    )
