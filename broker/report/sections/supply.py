"""Supply against demand, by each facet, by two, and by all four."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flask_babel import gettext as _

from broker.charts import (
    HeatCell,
    HeatRow,
    PairedRow,
    draw_heat_table,
    draw_paired_bars,
)
from broker.report.layout import (
    IN_BOOK,
    NOT_STATED,
    Chart,
    Column,
    Content,
    Figure,
    Over,
    Row,
    Rows,
    Section,
    Table,
)
from broker.report.sections.writer import Writer
from broker.supply_demand import FACET_NAMES, CrossTable, FacetTable
from broker.supply_demand import Cell as Balance

CHARTED = 12
"""Rows of a facet that a chart shows; the table beside it shows all."""


def supply(writer: Writer) -> Section:
    """Needs and offers by theme, subregion, ILAC area and kind of support."""
    report = writer.report
    tables = [_facet(writer, table) for table in report.tables]
    tables.append(_cross(writer))
    if report.cube:
        tables.append(_cube(writer))
    words = [
        _(
            "A post counts in the row of each code that it carries: one with two themes counts in "
            "both. Totals count every post once, so they can be smaller than the sum of the rows. "
            "An offer to the whole region counts in each subregion."
        )
    ]
    return writer.section("supply", words, tables, _supply_charts(writer))


def _posts(balance: Balance, kind: str, codes: Mapping[str, str]) -> Figure:
    sheet = f"{kind}s"
    criteria = {**IN_BOOK, **{f: f"*|{code}|*" for f, code in codes.items()}}
    return Figure(getattr(balance, sheet), rows=Rows(sheet, codes), over=(Over(sheet, criteria),))


def _facet(writer: Writer, table: FacetTable) -> Table:
    facet = table.facet
    columns = (
        Column("label", str(FACET_NAMES[facet])),
        Column("needs", _("Needs"), numeric=True),
        Column("offers", _("Offers"), numeric=True),
        Column("balance", _("Offers less needs"), numeric=True, less=("offers", "needs")),
    )

    def row(code: str, label: str, balance: Balance, needs: Figure, offers: Figure) -> Row:
        return Row(code, (label, needs, offers, Figure(balance.balance, "change")))

    rows = [
        row(
            r.code,
            r.label,
            r.total,
            _posts(r.total, "need", {facet: r.code}),
            _posts(r.total, "offer", {facet: r.code}),
        )
        for r in table.rows
    ]
    left_open = [
        Figure(
            getattr(table.unstated, f"{kind}s"),
            rows=Rows("without", {"kind": kind, "facet": facet}),
            over=(Over(f"{kind}s", {**IN_BOOK, facet: NOT_STATED}),),
        )
        for kind in ("need", "offer")
    ]
    rows.append(row("", _("not stated"), table.unstated, *left_open))
    last = row(
        "all",
        _("Each post counted once"),
        table.total,
        _posts(table.total, "need", {}),
        _posts(table.total, "offer", {}),
    )
    note = (
        _(
            "In more than one row stand %(needs)s needs and %(offers)s offers.",
            needs=writer.number(table.several.needs),
            offers=writer.number(table.several.offers),
        )
        if table.several.needs or table.several.offers
        else ""
    )
    return Table(facet, str(FACET_NAMES[facet]), columns, tuple(rows), last, note)


def _cross(writer: Writer) -> Table:
    cross = writer.report.cross
    view = cross.view
    columns = [Column("label", str(FACET_NAMES[view.rows]))]
    for column in (*cross.columns, None):
        code, label = (column.code, column.label) if column else ("all", _("Each once"))
        columns += [
            Column(f"{code}.needs", f"{label}: {_('Needs')}", numeric=True),
            Column(f"{code}.offers", f"{label}: {_('Offers')}", numeric=True),
        ]

    def both(balance: Balance, codes: Mapping[str, str]) -> tuple[Figure, Figure]:
        return _posts(balance, "need", codes), _posts(balance, "offer", codes)

    rows = []
    for r in cross.rows:
        codes = {**view.narrowed, view.rows: r.code}
        cells: list[Content] = [r.label]
        for column, balance in zip(cross.columns, r.cells, strict=True):
            cells += both(balance, {**codes, view.columns: column.code})
        rows.append(Row(r.code, (*cells, *both(r.total, codes))))
    cells = [_("Each post counted once")]
    for column in cross.columns:
        cells += both(column.total, {**view.narrowed, view.columns: column.code})
    last = Row("all", (*cells, *both(cross.total, view.narrowed)))
    title = _cross_title(cross)
    note = "; ".join(
        f"{FACET_NAMES[facet]}: {writer.label(facet, code)}"
        for facet, code in view.narrowed.items()
    )
    return Table("cross", title, tuple(columns), tuple(rows), last, note)


def _cross_title(cross: CrossTable) -> str:
    return _(
        "%(rows)s by %(columns)s: needs / offers",
        rows=FACET_NAMES[cross.view.rows],
        columns=FACET_NAMES[cross.view.columns],
    )


def _cube(writer: Writer) -> Table:
    facets = ("theme", "subregion", "ilac_area", "support_kind")
    columns = (
        *(Column(facet, str(FACET_NAMES[facet])) for facet in facets),
        Column("needs", _("Needs"), numeric=True),
        Column("offers", _("Offers"), numeric=True),
        Column("balance", _("Offers less needs"), numeric=True, less=("offers", "needs")),
    )
    open_ = _("not stated")
    rows = tuple(
        Row(
            "|".join(codes),
            (
                *(
                    writer.label(facet, code) if code else open_
                    for facet, code in zip(facets, codes, strict=True)
                ),
                Figure(needs),
                Figure(offers),
                Figure(offers - needs, "change"),
            ),
        )
        for *codes, needs, offers in writer.report.cube
    )
    return Table("cube", _("All four together"), columns, rows)


def _supply_charts(writer: Writer) -> Iterator[Chart]:
    report = writer.report
    sides = (_("Needs"), _("Offers"))
    themes = [r for r in report.tables[0].rows if r.total.needs or r.total.offers][:CHARTED]
    if themes:
        label = _("Needs and offers by theme")
        rows = [
            PairedRow(
                r.label,
                r.total.needs,
                r.total.offers,
                writer.address(Rows("needs", {"theme": r.code})),
                writer.address(Rows("offers", {"theme": r.code})),
            )
            for r in themes
        ]
        yield Chart(
            "themes", draw_paired_bars(rows, label, sides=sides, number=writer.number), label
        )
    cross = report.cross
    if cross.rows and 0 < len(cross.columns) <= 6:
        label = _cross_title(cross)
        heat = [
            HeatRow(r.label, tuple(HeatCell(c.needs, c.offers) for c in r.cells))
            for r in cross.rows[:CHARTED]
        ]
        columns = [column.label for column in cross.columns]
        drawn = draw_heat_table(columns, heat, label, sides=sides, number=writer.number)
        yield Chart("heat", drawn, label)
