"""A report laid out once, for every form in which it is read: sections with words, tables, charts.

A page, a PDF, a workbook, a text and a CSV file show the same sections; none has numbers or words
of its own. What a number counts travels with it: ``rows`` is the list to which it leads, ``over``
says how a workbook counts it on its sheets of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, format_percent
from flask_babel import force_locale, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup

from broker.charts import (
    BarRow,
    HeatCell,
    HeatRow,
    PairedRow,
    draw_bars,
    draw_heat_table,
    draw_paired_bars,
)
from broker.equity import ALIKE, SOMEWHAT, PlaceEquity
from broker.explanations import BAND_NAMES, COMPONENT_NAMES
from broker.messages import STATES
from broker.outcomes import ENOUGH_AGREEMENTS, ENOUGH_PAIRS, BandOutcome
from broker.reference import Reference
from broker.report_rows import ANSWER_TIME
from broker.report_scope import FILTER_NAMES, FILTERS, ReportScope
from broker.reports import (
    FACET_NAMES,
    INTEREST_NAMES,
    KeyFigures,
    MatchReport,
    PostLine,
    Quantity,
)
from broker.supply_demand import Cell as Balance
from broker.supply_demand import FacetTable
from broker.tile_map import Tile, draw_tile_map

SECTIONS = {
    "brief": _l("In brief"),
    "matches": _l("Best matches"),
    "unmet": _l("Unmet needs"),
    "unused": _l("Unused offers"),
    "supply": _l("Supply against demand"),
    "answers": _l("Interests and answers"),
    "agreements": _l("Agreements"),
    "money": _l("Places and money"),
    "equity": _l("Who is served"),
    "outcomes": _l("Did better scores become agreements?"),
    "method": _l("How this report was made"),
}
"""Part of a report → its title, in the order in which they stand."""

GROUP_NAMES = {
    "small_island": _l("Small island States"),
    "least_developed": _l("Least developed countries"),
    "other": _l("All other countries"),
}

KIND_NAMES = {"cooperation": _l("cooperation"), "voluntary": _l("voluntary, public and private")}

CHARTED = 12
"""Rows of a facet that a chart shows; the table beside it shows all."""


@dataclass(frozen=True)
class Rows:
    """The list to which a number leads: its name and parameters."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Over:
    """How a workbook finds a number on one of its sheets of rows.

    Attributes
    ----------
    criteria : dict
        Column of that sheet → what it must hold.
    column : str
        The column that is summed, or whose median is taken; rows are counted if empty.
    """

    sheet: str
    criteria: Mapping[str, str] = field(default_factory=dict)
    column: str = ""
    median: bool = False


@dataclass(frozen=True)
class Figure:
    """A number with its form, the list to which it leads, and how a workbook finds it.

    ``form`` is ``count``, ``change``, ``percent``, ``points`` (a difference of percentages),
    ``days``, ``score``, ``share`` (0 to 1), ``money`` or ``rate``.
    """

    value: int | float | Decimal | None
    form: str = "count"
    rows: Rows | None = None
    over: tuple[Over, ...] = ()
    share: tuple[str, str] | None = None


@dataclass(frozen=True)
class Ref:
    """A thing of the exchange that has a page of its own; an organisation's is named by its code."""

    kind: str
    id: int
    words: str
    code: str = ""


Content = str | int | float | date | Figure | Ref | None


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    total : bool
        Whether the last row sums it.
    share, less : (str, str), optional
        Keys of the columns of which it is the quotient, or the difference.
    """

    key: str
    title: str
    numeric: bool = False
    total: bool = False
    share: tuple[str, str] | None = None
    less: tuple[str, str] | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table; ``code`` stays the same in every language."""

    code: str
    cells: tuple[Content, ...]


@dataclass(frozen=True)
class Table:
    """A table of a section; ``last`` is the row below the line."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    last: Row | None = None
    note: str = ""
    more: Figure | None = None


@dataclass(frozen=True)
class Chart:
    """A drawing, whose label says what it shows; a table of the section says the same."""

    key: str
    svg: Markup
    label: str


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    key: str
    title: str
    words: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()


Address = Callable[[Rows], str]


def lay_out(
    report: MatchReport, reference: Reference, address: Address | None = None
) -> tuple[Section, ...]:
    """The report's sections in its own language.

    Parameters
    ----------
    address : callable, optional
        The address of a list, for charts whose parts lead somewhere.
    """
    with force_locale(report.language):
        sheet = _Layout(report, reference, address or (lambda _rows: ""))
        return tuple(section for section in sheet.sections() if section)


def title_of(report: MatchReport) -> str:
    """“Match report”, in the report's language."""
    with force_locale(report.language):
        return _("Match report")


def period_of(scope: ReportScope, language: str) -> str:
    """The report's period in words."""
    with force_locale(language):
        last = _day(scope.last_day, language)
        if scope.since is None:
            return _("Up to %(day)s", day=last)
        return _("%(first)s to %(last)s", first=_day(scope.since, language), last=last)


def filters_of(
    scope: ReportScope, reference: Reference, language: str, task_force: str = ""
) -> list[tuple[str, str]]:
    """What the report is narrowed to: names and values; ``task_force`` is that one's name."""
    with force_locale(language):
        found = []
        for name in FILTERS:
            code = getattr(scope, name)
            if code:
                label = (
                    task_force if name == "task_force" else reference.label(name, code, language)
                )
                found.append((str(FILTER_NAMES[name]), label or code))
        return found


def _day(day: date, language: str) -> str:
    return format_date(day, format="long", locale=language)


def words_of(content: Content, language: str) -> str:
    """A cell as a reader of the language reads it."""
    if content is None:
        return "–"
    if isinstance(content, Figure):
        return _figure(content, language)
    if isinstance(content, Ref):
        return content.words
    if isinstance(content, date):
        return format_date(content, format="medium", locale=language)
    if isinstance(content, int | float):
        return format_decimal(content, format="#,##0.##", locale=language)
    return str(content)


FORMS = {
    "count": "#,##0",
    "change": "+#,##0;-#,##0",
    "days": "#,##0.0",
    "score": "0.0",
    "share": "0.00",
    "money": "#,##0.##",
    "rate": "#,##0.######",
}


def _figure(figure: Figure, language: str) -> str:
    value = figure.value
    if value is None:
        return "–"
    if figure.form == "change" and not value:
        return "0"
    if figure.form == "percent":
        return format_percent(value, format="#,##0.0 %", locale=language)
    if figure.form == "points":
        return format_decimal(100 * float(value), format="+#,##0.0;-#,##0.0", locale=language)
    return format_decimal(value, format=FORMS[figure.form], locale=language)


KEY_FIGURES: tuple[tuple[str, Any, str], ...] = (
    ("needs", _l("Needs in the run"), "count"),
    ("offers", _l("Offers in the run"), "count"),
    ("matches", _l("Matches"), "count"),
    ("met_needs", _l("Needs with a match"), "count"),
    ("match_rate", _l("Match rate"), "percent"),
    ("unmet_needs", _l("Unmet needs"), "count"),
    ("unused_offers", _l("Unused offers"), "count"),
    ("new_needs", _l("Needs that came in the period"), "count"),
    ("new_offers", _l("Offers that came in the period"), "count"),
    ("interests", _l("Interests expressed"), "count"),
    ("answer_days", _l("Median days to the first answer"), "days"),
    ("unanswered", _l("Interests without an answer"), "count"),
    ("unanswered_share", _l("Share without an answer"), "percent"),
    ("agreement_days", _l("Median days from first interest to signature"), "days"),
    ("signed", _l("Agreements signed"), "count"),
    ("voluntary", _l("of these voluntary, public and private"), "count"),
    ("in_force", _l("Agreements in force at the end"), "count"),
    ("late", _l("of these with a milestone that is late"), "count"),
    ("completed", _l("Agreements completed"), "count"),
    ("places_committed", _l("Places committed"), "count"),
)
"""Key figure → its name and form."""

FIGURE_ROWS: dict[str, Rows] = {
    "needs": Rows("needs"),
    "offers": Rows("offers"),
    "matches": Rows("matches"),
    "met_needs": Rows("needs", {"met": "yes"}),
    "unmet_needs": Rows("unmet"),
    "unused_offers": Rows("unused"),
    "new_needs": Rows("posted", {"kind": "need"}),
    "new_offers": Rows("posted", {"kind": "offer"}),
    "interests": Rows("interests"),
    "answer_days": Rows("interests", {"state": "answered"}),
    "unanswered": Rows("interests", {"state": "unanswered"}),
    "agreement_days": Rows("agreements", {"event": "signed"}),
    "signed": Rows("agreements", {"event": "signed"}),
    "voluntary": Rows("agreements", {"event": "voluntary"}),
    "in_force": Rows("agreements", {"event": "in_force"}),
    "late": Rows("agreements", {"event": "late"}),
    "completed": Rows("agreements", {"event": "completed"}),
    "places_committed": Rows("commitments"),
}
"""Key figure → the list behind it."""

IN_BOOK = {"in_book": "yes"}

NOT_STATED = "–"
"""What stands in a row where it states no code: programs differ on what an empty cell equals."""

FIGURE_OVER: dict[str, tuple[Over, ...]] = {
    "needs": (Over("needs", IN_BOOK),),
    "offers": (Over("offers", IN_BOOK),),
    "met_needs": (Over("needs", {**IN_BOOK, "met": "yes"}),),
    "unmet_needs": (Over("needs", {**IN_BOOK, "met": "no"}),),
    "unused_offers": (Over("offers", {**IN_BOOK, "met": "no"}),),
    "interests": (Over("interests"),),
    "answer_days": (Over("interests", column="days", median=True),),
    "unanswered": (
        Over("interests", {"state": "waiting"}),
        Over("interests", {"state": "lapsed"}),
    ),
    "signed": (Over("agreements", {"signed": "yes"}),),
    "voluntary": (Over("agreements", {"voluntary": "yes"}),),
    "in_force": (Over("agreements", {"in_force": "yes"}),),
    "late": (Over("agreements", {"late": "yes"}),),
    "completed": (Over("agreements", {"completed": "yes"}),),
    "places_committed": (Over("commitments", column="places"),),
}
"""Key figure → how a workbook counts it."""

FIGURE_SHARES = {
    "match_rate": ("met_needs", "needs"),
    "unanswered_share": ("unanswered", "interests"),
}
"""Key figure → the two of which it is the quotient."""


class _Layout:
    def __init__(self, report: MatchReport, reference: Reference, address: Address) -> None:
        self.report = report
        self.reference = reference
        self.address = address
        self.language = report.language

    def sections(self) -> Iterator[Section | None]:
        report = self.report
        yield self.brief()
        if report.run is not None:
            yield self.matches()
            yield self.unmet()
            yield self.unused()
        yield self.supply()
        yield self.answers()
        yield self.agreements()
        yield self.money()
        yield self.equity()
        if report.run is not None:
            yield self.outcomes()
        yield self.method()

    def section(
        self,
        key: str,
        words: Iterable[str] = (),
        tables: Iterable[Table] = (),
        charts: Iterable[Chart] = (),
        warnings: Iterable[str] = (),
    ) -> Section:
        return Section(
            key, str(SECTIONS[key]), tuple(words), tuple(warnings), tuple(tables), tuple(charts)
        )

    def number(self, value: float) -> str:
        return words_of(Figure(value), self.language)

    def percent(self, value: float) -> str:
        return words_of(Figure(value, "percent"), self.language)

    # --- In brief

    def brief(self) -> Section:
        report = self.report
        earlier = report.earlier
        columns = [Column("figure", _("Figure")), Column("value", _("Now"), numeric=True)]
        if earlier is not None:
            columns += [
                Column("before", _("Before"), numeric=True),
                Column("change", _("Change"), numeric=True, less=("value", "before")),
            ]
        rows = []
        for key, name, form in KEY_FIGURES:
            value = getattr(report.figures, key)
            if value is None and report.run is None and key == "match_rate":
                continue
            cells: list[Content] = [str(name), self._key_figure(key, form, report.figures)]
            if earlier is not None:
                cells += [
                    self._key_figure(key, form, earlier.figures, plain=True),
                    _change(value, getattr(earlier.figures, key), form),
                ]
            rows.append(Row(key, tuple(cells)))
        note = ""
        if earlier is not None:
            period = (
                _("up to %(day)s", day=_day(earlier.until, self.language))
                if earlier.since is None
                else _(
                    "%(first)s to %(last)s",
                    first=_day(earlier.since, self.language),
                    last=_day(earlier.until, self.language),
                )
            )
            note = (
                _("Before: %(period)s, run %(run)s.", period=period, run=earlier.run)
                if earlier.run
                else _("Before: %(period)s; there was no run.", period=period)
            )
        table = Table("key_figures", _("Key figures"), tuple(columns), tuple(rows), note=note)
        return self.section("brief", self.told(), [table], warnings=self.warnings())

    def _key_figure(
        self, key: str, form: str, figures: KeyFigures, *, plain: bool = False
    ) -> Figure:
        value = getattr(figures, key)
        share = FIGURE_SHARES.get(key)
        if plain:
            return Figure(value, form, share=share)
        return Figure(value, form, FIGURE_ROWS.get(key), FIGURE_OVER.get(key, ()), share)

    def told(self) -> Iterator[str]:
        """The report in a few sentences."""
        report, figures = self.report, self.report.figures
        if report.is_empty:
            return
        if figures.match_rate is not None and report.run is not None:
            yield _(
                "%(needs)s needs and %(offers)s offers took part; %(met)s needs have a match "
                "(%(rate)s).",
                needs=self.number(figures.needs),
                offers=self.number(figures.offers),
                met=self.number(figures.met_needs),
                rate=self.percent(figures.match_rate),
            )
        if figures.interests:
            yield ngettext(
                "%(count)s interest was expressed; without an answer: %(unanswered)s.",
                "%(count)s interests were expressed; without an answer: %(unanswered)s.",
                figures.interests,
                count=self.number(figures.interests),
                unanswered=self.percent(figures.unanswered_share or 0.0),
            )
        if figures.signed:
            yield ngettext(
                "%(count)s agreement was signed.",
                "%(count)s agreements were signed.",
                figures.signed,
                count=self.number(figures.signed),
            )

    def warnings(self) -> Iterator[str]:
        """What a reader should know before she trusts the numbers."""
        report, scope = self.report, self.report.scope
        if report.is_empty:
            yield (
                _("Nothing on the exchange fits these filters. Take one off, or choose another.")
                if scope.is_narrowed or scope.since or scope.until
                else _("There is nothing on the exchange yet.")
            )
        if scope.until is not None and scope.until > scope.today:
            yield _(
                "The period ends on %(day)s, which is still to come. The figures go up to today.",
                day=_day(scope.until, self.language),
            )
        if report.run is None:
            yield (
                _("Matching has not been run yet.")
                if scope.until is None
                else _("Matching had not been run by %(day)s.", day=self._last_day())
            )
        elif scope.until is None and report.run.changed:
            yield ngettext(
                "%(count)s post has come, gone or changed since this run.",
                "%(count)s posts have come, gone or changed since this run.",
                report.run.changed,
                count=self.number(report.run.changed),
            )
        if report.run is not None and report.figures.needs and not report.figures.met_needs:
            yield _("No offer matched any of these needs.")

    def _last_day(self) -> str:
        return _day(self.report.scope.last_day, self.language)

    # --- What met, and what met nobody

    def post(self, line: PostLine) -> Ref:
        return Ref(line.kind, line.id, line.reference)

    def matches(self) -> Section:
        report = self.report
        columns = (
            Column("score", _("Score"), numeric=True),
            Column("band", _("Band")),
            Column("need", _("Need")),
            Column("need_title", _("Title of the need")),
            Column("asks", _("Asks")),
            Column("offer", _("Offer")),
            Column("offer_title", _("Title of the offer")),
            Column("gives", _("Offers it")),
            Column("reason", _("Main reason")),
        )
        rows = tuple(
            Row(
                f"{line.need.reference}/{line.offer.reference}",
                (
                    Figure(round(line.score, 2), "score"),
                    str(BAND_NAMES[line.band]),
                    self.post(line.need),
                    line.need.title,
                    f"{line.need.organisation}, {line.need.place}",
                    self.post(line.offer),
                    line.offer.title,
                    line.offer.organisation,
                    line.reason,
                ),
            )
            for line in report.best
        )
        more = Figure(report.figures.matches, rows=Rows("matches"))
        words = [] if rows else [_("No offer matched any of these needs.")]
        table = Table("matches", _("Best matches"), columns, rows, more=more)
        return self.section("matches", words, [table] if rows else [])

    def unmet(self) -> Section:
        report = self.report
        columns = (
            Column("score", _("Nearest score"), numeric=True),
            Column("need", _("Need")),
            Column("title", _("Title")),
            Column("place", _("Place")),
            Column("nearest", _("Nearest offer")),
            Column("nearest_title", _("Title of the nearest offer")),
            Column("missing", _("What was missing")),
        )
        rows = tuple(
            Row(
                line.need.reference,
                (
                    Figure(None if line.score is None else round(line.score, 2), "score"),
                    self.post(line.need),
                    line.need.title,
                    line.need.place,
                    Ref("offer", line.offer_id, line.offer) if line.offer_id else "",
                    line.offer_title,
                    " ".join(line.missing),
                ),
            )
            for line in report.unmet
        )
        words = [
            _(
                "No offer could serve these needs well on the day of the run. Those that came "
                "nearest to a match stand first: a score of 50 makes a match."
            )
            if rows
            else _("Every need has a match.")
        ]
        more = Figure(report.figures.unmet_needs, rows=Rows("unmet"))
        table = Table("unmet", _("Unmet needs"), columns, rows, more=more)
        return self.section("unmet", words, [table] if rows else [])

    def unused(self) -> Section:
        report = self.report
        columns = (
            Column("offer", _("Offer")),
            Column("title", _("Title")),
            Column("gives", _("Offers it")),
            Column("serves", _("Whom it serves")),
            Column("waits_for", _("What it waits for")),
        )
        rows = tuple(
            Row(
                line.offer.reference,
                (
                    self.post(line.offer),
                    line.offer.title,
                    line.offer.organisation,
                    line.offer.place,
                    self._waits(line.waits_for, line.needs),
                ),
            )
            for line in report.unused
        )
        words = [
            _("These offers matched no need on the day of the run.")
            if rows
            else _("Every offer matches a need.")
        ]
        more = Figure(report.figures.unused_offers, rows=Rows("unused"))
        table = Table("unused", _("Unused offers"), columns, rows, more=more)
        return self.section("unused", words, [table] if rows else [])

    def _waits(self, waits_for: str, needs: int) -> str:
        if waits_for == "theme":
            return _("For a need on its themes: nobody asks about them.")
        if waits_for == "place":
            return ngettext(
                "For a need from a place that it serves: %(num)s need is on its themes, from elsewhere.",
                "For a need from a place that it serves: %(num)s needs are on its themes, all from elsewhere.",
                needs,
            )
        if waits_for == "support":
            return ngettext(
                "For a need that asks for what it gives: %(num)s need on its themes from places that it serves asks for other support.",
                "For a need that asks for what it gives: %(num)s needs on its themes from places that it serves ask for other support.",
                needs,
            )
        return ngettext(
            "For a need that fits better: %(num)s need shares theme, place and kind of support, but not enough besides.",
            "For a need that fits better: %(num)s needs share theme, place and kind of support, but not enough besides.",
            needs,
        )

    # --- Supply against demand

    def supply(self) -> Section:
        report = self.report
        tables = [self._facet(table) for table in report.tables]
        tables.append(self._cross())
        if report.cube:
            tables.append(self._cube())
        words = [
            _(
                "A post counts in the row of each code that it carries: one with two themes counts in "
                "both. Totals count every post once, so they can be smaller than the sum of the rows. "
                "An offer to the whole region counts in each subregion."
            )
        ]
        return self.section("supply", words, tables, self._supply_charts())

    def _posts(self, balance: Balance, kind: str, codes: Mapping[str, str]) -> Figure:
        sheet = f"{kind}s"
        criteria = {**IN_BOOK, **{f: f"*|{code}|*" for f, code in codes.items()}}
        return Figure(
            getattr(balance, sheet), rows=Rows(sheet, codes), over=(Over(sheet, criteria),)
        )

    def _facet(self, table: FacetTable) -> Table:
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
                self._posts(r.total, "need", {facet: r.code}),
                self._posts(r.total, "offer", {facet: r.code}),
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
            self._posts(table.total, "need", {}),
            self._posts(table.total, "offer", {}),
        )
        note = (
            _(
                "In more than one row stand %(needs)s needs and %(offers)s offers.",
                needs=self.number(table.several.needs),
                offers=self.number(table.several.offers),
            )
            if table.several.needs or table.several.offers
            else ""
        )
        return Table(facet, str(FACET_NAMES[facet]), columns, tuple(rows), last, note)

    def _cross(self) -> Table:
        cross = self.report.cross
        view = cross.view
        columns = [Column("label", str(FACET_NAMES[view.rows]))]
        for column in (*cross.columns, None):
            code, label = (column.code, column.label) if column else ("all", _("Each once"))
            columns += [
                Column(f"{code}.needs", f"{label}: {_('Needs')}", numeric=True),
                Column(f"{code}.offers", f"{label}: {_('Offers')}", numeric=True),
            ]

        def both(balance: Balance, codes: Mapping[str, str]) -> tuple[Figure, Figure]:
            return self._posts(balance, "need", codes), self._posts(balance, "offer", codes)

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
        title = _(
            "%(rows)s by %(columns)s",
            rows=FACET_NAMES[view.rows],
            columns=FACET_NAMES[view.columns],
        )
        note = "; ".join(
            f"{FACET_NAMES[facet]}: {self.reference.label(facet, code, self.language)}"
            for facet, code in view.narrowed.items()
        )
        return Table("cross", title, tuple(columns), tuple(rows), last, note)

    def _cube(self) -> Table:
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
                        self.reference.label(facet, code, self.language) if code else open_
                        for facet, code in zip(facets, codes, strict=True)
                    ),
                    Figure(needs),
                    Figure(offers),
                    Figure(offers - needs, "change"),
                ),
            )
            for *codes, needs, offers in self.report.cube
        )
        return Table("cube", _("All four together"), columns, rows)

    def _supply_charts(self) -> Iterator[Chart]:
        report = self.report
        sides = (_("Needs"), _("Offers"))
        themes = [r for r in report.tables[0].rows if r.total.needs or r.total.offers][:CHARTED]
        if themes:
            label = _("Needs and offers by theme")
            rows = [
                PairedRow(
                    r.label,
                    r.total.needs,
                    r.total.offers,
                    self.address(Rows("needs", {"theme": r.code})),
                    self.address(Rows("offers", {"theme": r.code})),
                )
                for r in themes
            ]
            yield Chart(
                "themes", draw_paired_bars(rows, label, sides=sides, number=self.number), label
            )
        cross = report.cross
        if cross.rows and 0 < len(cross.columns) <= 6:
            label = _(
                "%(rows)s by %(columns)s: needs / offers",
                rows=FACET_NAMES[cross.view.rows],
                columns=FACET_NAMES[cross.view.columns],
            )
            heat = [
                HeatRow(r.label, tuple(HeatCell(c.needs, c.offers) for c in r.cells))
                for r in cross.rows[:CHARTED]
            ]
            columns = [column.label for column in cross.columns]
            drawn = draw_heat_table(columns, heat, label, sides=sides, number=self.number)
            yield Chart("heat", drawn, label)

    # --- Answers and agreements

    def answers(self) -> Section:
        report, figures = self.report, self.report.figures
        rows = [
            Row(
                state,
                (
                    str(INTEREST_NAMES[state]),
                    Figure(
                        number,
                        rows=Rows("interests", {"state": state}),
                        over=(Over("interests", {"state": state}),),
                    ),
                ),
            )
            for state, number in report.interest_counts.items()
        ]
        columns = (
            Column("state", _("State")),
            Column("number", _("Number"), numeric=True, total=True),
        )
        last = Row("all", (_("In all"), Figure(figures.interests, rows=Rows("interests"))))
        tables = [Table("interests", _("Interests"), columns, tuple(rows), last)]
        overdue = Figure(report.overdue_interests, rows=Rows("interests", {"state": "overdue"}))
        clock = (
            Column("figure", _("Figure")),
            Column("value", _("Value"), numeric=True),
        )
        times = [
            (key, name, form) for key, name, form in KEY_FIGURES
            if key in ("answer_days", "unanswered_share", "agreement_days")
        ]  # fmt: skip
        clock_rows = [
            Row(key, (str(name), Figure(getattr(figures, key), form, FIGURE_ROWS.get(key))))
            for key, name, form in times
        ]
        waits = _("Waiting for more than %(days)s days", days=ANSWER_TIME.days)
        clock_rows.append(Row("overdue", (waits, overdue)))
        tables.append(Table("answer_times", _("How long answers take"), clock, tuple(clock_rows)))
        tables += list(self._reasons())
        words = [] if figures.interests else [_("No interest was expressed in the period.")]
        return self.section("answers", words, tables, warnings=self._own_subregion())

    def _own_subregion(self) -> Iterator[str]:
        if self.report.negotiated_in:
            yield _(
                "Interests, agreements and commitments are those of the needs of your subregion: "
                "%(subregion)s.",
                subregion=self.reference.label(
                    "subregion", self.report.negotiated_in, self.language
                ),
            )

    def _reasons(self) -> Iterator[Table]:
        report = self.report
        codes = [
            code
            for code in self.reference.codes("dismissal_reason")
            if code in report.decline_reasons or code in report.dismissal_reasons
        ]
        if not codes:
            return
        columns = (
            Column("reason", _("Reason")),
            Column("declined", _("Interests declined"), numeric=True, total=True),
            Column("dismissed", _("Suggestions put aside"), numeric=True, total=True),
        )
        rows = tuple(
            Row(
                code,
                (
                    self.reference.label("dismissal_reason", code, self.language),
                    Figure(
                        report.decline_reasons.get(code, 0),
                        rows=Rows("interests", {"state": "declined", "reason": code}),
                        over=(Over("interests", {"state": "declined", "reason": code}),),
                    ),
                    Figure(
                        report.dismissal_reasons.get(code, 0),
                        rows=Rows("dismissals", {"reason": code}),
                    ),
                ),
            )
            for code in codes
        )
        last = Row(
            "all",
            (
                _("In all"),
                Figure(sum(report.decline_reasons.values())),
                Figure(sum(report.dismissal_reasons.values())),
            ),
        )
        yield Table("reasons", _("Why they were declined"), columns, rows, last)

    def agreements(self) -> Section:
        report = self.report
        state_columns = (
            Column("state", _("State")),
            Column("number", _("Number"), numeric=True, total=True),
        )
        states = tuple(
            Row(
                status,
                (
                    str(STATES[status]),
                    Figure(
                        number,
                        rows=Rows("agreements", {"status": status}),
                        over=(Over("agreements", {"status": status}),),
                    ),
                ),
            )
            for status, number in report.agreement_counts.items()
        )
        total = sum(report.agreement_counts.values())
        last = Row("all", (_("In all"), Figure(total, rows=Rows("agreements"))))
        columns = (
            Column("agreement", _("Agreement")),
            Column("title", _("Title")),
            Column("state", _("State")),
            Column("need_side", _("Asks")),
            Column("offer_side", _("Offers it")),
            Column("places", _("Places"), numeric=True),
            Column("money", _("Money"), numeric=True),
            Column("currency", _("Currency")),
            Column("signed_on", _("Signed")),
        )
        rows = tuple(
            Row(
                line.reference,
                (
                    Ref("agreement", line.id, line.reference),
                    line.title,
                    str(STATES[line.status]) + self._lateness(line.events),
                    line.need_side,
                    line.offer_side,
                    Figure(line.places),
                    Figure(line.money, "money"),
                    line.currency or "",
                    line.signed_on if "signed" in line.events or line.signed_on else None,
                ),
            )
            for line in report.agreements
        )
        more = Figure(total, rows=Rows("agreements"))
        tables = []
        if total:
            tables = [
                Table(
                    "agreement_states", _("At the end of the period"), state_columns, states, last
                ),
                Table("agreements", _("Agreements of the period"), columns, rows, more=more),
            ]
        words = [] if total else [_("No agreement was under way in the period.")]
        return self.section("agreements", words, tables, warnings=self._own_subregion())

    @staticmethod
    def _lateness(events: Sequence[str]) -> str:
        return f" · {_('late')}" if "late" in events else ""

    # --- Places and money

    def money(self) -> Section:
        report = self.report
        columns = (
            Column("of", _("Of what")),
            Column("asked", _("Asked"), numeric=True),
            Column("offered", _("Offered"), numeric=True),
            Column("committed", _("Committed"), numeric=True),
            Column("gap", _("Offered less asked"), numeric=True, less=("offered", "asked")),
        )
        rows = [self._quantity("places", _("places"), report.places, {}, "places")]
        rows += [
            self._quantity(code, code, quantity, {"currency": code}, "money")
            for code, quantity in report.money.items()
        ]
        tables = [Table("money", _("Places and money"), columns, tuple(rows))]
        words = [
            _(
                "Asked and offered are the sums of all posts of the report, with those that are "
                "fulfilled or used up; committed is what agreements have set aside in the period, "
                "less what came back. Currencies are never added together unless a rate is stated."
            )
        ]
        if report.sealed:
            words.append(
                ngettext(
                    "%(count)s need keeps its amount sealed; it is in no sum.",
                    "%(count)s needs keep their amounts sealed; they are in no sum.",
                    report.sealed,
                    count=self.number(report.sealed),
                )
            )
        if report.converted is not None:
            tables += self._converted()
        return self.section("money", words, tables)

    def _quantity(
        self, code: str, name: str, quantity: Quantity, values: Mapping[str, str], column: str
    ) -> Row:
        form = "count" if column == "places" else "money"
        cells = (
            Figure(
                quantity.asked,
                form,
                Rows("stating", {"kind": "need", **values}),
                (Over("needs", values, column),),
            ),
            Figure(
                quantity.offered,
                form,
                Rows("stating", {"kind": "offer", **values}),
                (Over("offers", values, column),),
            ),
            Figure(
                quantity.committed,
                form,
                Rows("commitments", values),
                (Over("commitments", values, column),),
            ),
        )
        return Row(code, (name, *cells, Figure(quantity.offered - quantity.asked, "money")))

    def _converted(self) -> Iterator[Table]:
        converted = self.report.converted
        if converted is None:
            return
        columns = (
            Column("of", _("Of what")),
            Column("asked", _("Asked"), numeric=True),
            Column("offered", _("Offered"), numeric=True),
            Column("committed", _("Committed"), numeric=True),
        )
        total = converted.total
        amounts = (total.asked, total.offered, total.committed)
        cells = tuple(Figure(amount, "money") for amount in amounts)
        yield Table(
            "converted",
            _("All money in %(currency)s", currency=converted.currency),
            columns,
            (Row(converted.currency, (converted.currency, *cells)),),
            note=_("Converted at the rates below; for comparison, not for accounting."),
        )
        rate_columns = (
            Column("currency", _("Currency")),
            Column(
                "rate", _("One unit in %(currency)s", currency=converted.currency), numeric=True
            ),
            Column("on", _("Day of the rate")),
            Column("source", _("Source")),
        )
        rows = tuple(
            Row(rate.currency, (rate.currency, Figure(rate.rate, "rate"), rate.on, rate.source))
            for rate in converted.rates
        )
        if rows:
            yield Table("rates", _("Rates"), rate_columns, rows)

    # --- Equity and outcomes

    def equity(self) -> Section:
        equity = self.report.equity
        columns = (
            Column("place", _("Country")),
            Column("needs", _("Needs"), numeric=True),
            Column("served", _("Served by an agreement"), numeric=True),
            Column("share", _("Share served"), numeric=True, share=("served", "needs")),
            Column("places_wanted", _("Places asked"), numeric=True),
            Column("places_given", _("Places committed"), numeric=True),
        )

        def row(place: PlaceEquity, name: str, criteria: Mapping[str, str] | None) -> Row:
            code = place.code
            over = criteria is not None
            counted = (Over("needs", criteria or {}),) if over else ()
            served = (Over("needs", {**(criteria or {}), "served": "yes"}),) if over else ()
            places = (Over("needs", criteria or {}, "places"),) if over else ()
            return Row(
                code,
                (
                    name,
                    Figure(place.needs, rows=Rows("asking", {"place": code}), over=counted),
                    Figure(
                        place.served,
                        rows=Rows("asking", {"place": code, "served": "yes"}),
                        over=served,
                    ),
                    Figure(place.share, "percent"),
                    Figure(place.places_wanted, over=places),
                    Figure(place.places_given),
                ),
            )

        rows = tuple(
            row(
                place,
                self.reference.label("country", place.code, self.language)
                if place.code != "none"
                else _("Several countries together"),
                {"country": NOT_STATED if place.code == "none" else place.code},
            )
            for place in equity.countries
        )
        groups = tuple(row(group, str(GROUP_NAMES[group.code]), None) for group in equity.groups)
        last = row(equity.total, _("In all"), {})
        tables = []
        if rows:
            group_columns = (Column("place", _("Group of countries")), *columns[1:])
            tables = [
                Table("groups", _("By group of countries"), group_columns, groups),
                Table("countries", _("By country, the least served first"), columns, rows, last),
            ]
        return self.section("equity", self._equity_words(), tables, self._equity_charts())

    def _equity_words(self) -> Iterator[str]:
        equity = self.report.equity
        if not equity.countries:
            yield _("No country asks for anything in this report.")
            return
        yield _(
            "A need is served once an agreement about it is signed, and not broken off before its "
            "end. A country can be both a small island and least developed, and then counts in both "
            "groups."
        )
        if equity.asking < 2:
            yield _(
                "Only one country asks, so nothing can be said about how support is shared out."
            )
        elif equity.gini is None:
            yield _("No need of a country is served yet, so support is not shared out at all.")
        else:
            index = words_of(Figure(equity.gini, "share"), self.language)
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
            names = [self.reference.label("country", code, self.language) for code in equity.silent]
            yield _("They ask for nothing: %(countries)s.", countries=", ".join(sorted(names)))

    def _equity_charts(self) -> Iterator[Chart]:
        found = {place.code: place for place in self.report.equity.countries}
        if not found:
            return
        label = _("Needs by country")
        tiles = []
        for code, country in self.reference.countries.items():
            if not country.in_region or len(country.tile) != 2:
                continue
            place = found.get(code)
            name = self.reference.label("country", code, self.language)
            told = (
                _(
                    "%(country)s: %(needs)s needs, %(served)s served",
                    country=name,
                    needs=self.number(place.needs),
                    served=self.number(place.served),
                )
                if place
                else _("%(country)s: nothing asked", country=name)
            )
            where = self.address(Rows("asking", {"place": code})) if place else ""
            column, down = country.tile
            tiles.append(Tile(code, column, down, place.needs if place else 0, told, where))
        yield Chart("map", draw_tile_map(tiles, label, number=self.number), label)

    def outcomes(self) -> Section:
        calibration = self.report.calibration
        columns = (
            Column("band", _("Band of the first score")),
            Column("suggested", _("Pairs suggested"), numeric=True, total=True),
            Column("interest", _("Interest expressed"), numeric=True, total=True),
            Column("mutual", _("Mutual interest"), numeric=True, total=True),
            Column("agreement", _("Agreement signed"), numeric=True, total=True),
            Column("share", _("Share signed"), numeric=True, share=("agreement", "suggested")),
            Column("interval", _("True share, with 95 % confidence"), numeric=True),
        )

        def row(band: BandOutcome, name: str) -> Row:
            values = {"band": band.band} if band.band else {}
            between = band.interval
            cells: list[Content] = [
                name,
                Figure(band.suggested, rows=Rows("suggested", values)),
            ]
            cells += [
                Figure(
                    getattr(band, outcome), rows=Rows("suggested", {**values, "outcome": outcome})
                )
                for outcome in ("interest", "mutual", "agreement")
            ]
            cells.append(Figure(band.share, "percent"))
            cells.append(
                f"{self.percent(between[0])} – {self.percent(between[1])}" if between else "–"
            )
            return Row(band.band, tuple(cells))

        rows = tuple(row(band, str(BAND_NAMES[band.band])) for band in calibration.bands)
        last = row(calibration.total, _("In all"))
        tables = [Table("outcomes", str(SECTIONS["outcomes"]), columns, rows, last)]
        charts = []
        if calibration.total.agreement:
            label = _("Share of suggested pairs that became an agreement, by band")
            bars = [
                BarRow(str(BAND_NAMES[band.band]), band.share or 0.0) for band in calibration.bands
            ]
            drawn = draw_bars(bars, label, tone="agreement", number=self.percent)
            charts.append(Chart("outcomes", drawn, label))
        return self.section("outcomes", [self._verdict(calibration.verdict)], tables, charts)

    def _verdict(self, verdict: str) -> str:
        total = self.report.calibration.total
        if verdict == "none":
            return _("Nothing was suggested yet.")
        if verdict == "few":
            return ngettext(
                "%(count)s pair was suggested and %(agreements)s became agreements. That is too little to tell whether better scores lead to more agreements: at least %(pairs)s pairs in two bands and %(enough)s agreements are needed.",
                "%(count)s pairs were suggested and %(agreements)s became agreements. That is too little to tell whether better scores lead to more agreements: at least %(pairs)s pairs in two bands and %(enough)s agreements are needed.",
                total.suggested,
                count=self.number(total.suggested),
                agreements=self.number(total.agreement),
                pairs=ENOUGH_PAIRS,
                enough=ENOUGH_AGREEMENTS,
            )
        if verdict == "higher":
            return _(
                "Yes: pairs of the best band became agreements clearly more often than others."
            )
        if verdict == "lower":
            return _(
                "No: pairs of the best band became agreements less often than others. The weights "
                "should be looked at."
            )
        return _("The bands do not differ enough to say so: the ranges below overlap.")

    # --- How it was made

    def method(self) -> Section:
        report = self.report
        facts: list[tuple[str, str, Content]] = []
        if (run := report.run) is not None:
            facts = [
                ("run", _("Match run"), Ref("run", run.id, str(run.id))),
                ("on", _("Day of the run"), run.on),
                ("engine_version", _("Engine"), run.engine_version),
                ("text_version", _("Text model"), run.text_version),
                ("eligible_pairs", _("Eligible pairs"), Figure(run.eligible_pairs)),
                ("matches", _("Matches of the whole run"), Figure(run.matches)),
                ("input_digest", _("Digest of the input"), run.input_digest),
                ("result_digest", _("Digest of the result"), run.result_digest),
            ]
        columns = (Column("fact", _("Fact")), Column("value", _("Value")))
        tables = []
        if facts:
            rows = tuple(Row(code, (name, value)) for code, name, value in facts)
            tables.append(Table("run", _("The run"), columns, rows))
        if run is not None:
            weights = tuple(
                Row(code, (str(COMPONENT_NAMES.get(code, code)), Figure(weight, "share")))
                for code, weight in run.weights.items()
            )
            weight_columns = (
                Column("component", _("Component of the score")),
                Column("weight", _("Weight"), numeric=True, total=True),
            )
            last = Row("all", (_("In all"), Figure(sum(run.weights.values()), "share")))
            tables.append(Table("weights", _("Weights"), weight_columns, weights, last))
        words = [
            _(
                "Needs, offers and matches are those of the run named here; what was posted, answered, "
                "agreed and committed is counted by the day on which it happened. The same filters and "
                "the same run give the same report."
            )
        ]
        return self.section("method", words, tables)


def _change(now: Any, before: Any, form: str) -> Figure:
    if now is None or before is None:
        return Figure(None)
    forms = {"percent": "points", "days": "days"}
    return Figure(now - before, forms.get(form, "change"))


def money_words(amount: Decimal, currency: str, language: str) -> str:
    """An amount with its currency's code."""
    return format_currency(
        amount, currency, format="¤¤ #,##0.##", currency_digits=False, locale=language
    )
