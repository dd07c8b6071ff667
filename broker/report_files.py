"""The match report as files: CSV for other programs, XLSX for people, JSON for both."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_babel import force_locale
from flask_babel import gettext as _
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from broker.explanations import BAND_NAMES, COMPONENT_NAMES
from broker.messages import STATES
from broker.reports import FACET_NAMES, INTEREST_NAMES, MatchReport, PostLine
from broker.supply_demand import FacetTable

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""With one of these a text would be read as a formula by a spreadsheet program (OWASP, CSV
injection)."""

HEADINGS = (
    "section",
    "row",
    "row_label",
    "column",
    "column_label",
    "measure",
    "value",
    "currency",
)
"""Columns of the CSV file: every number of the report on a line of its own."""


def as_json(report: MatchReport, _language: str) -> str:
    """The whole report as one JSON object; amounts are texts, so that no cent is lost.

    Its labels are in the language in which the report was made.
    """
    return json.dumps(_plain(report), ensure_ascii=False, indent=1)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date | datetime) else value


def as_csv(report: MatchReport, language: str) -> str:
    """Every number of the report in long form: section, row, column, measure, value.

    Sections, codes and measures are the same in every language; only the labels change.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(HEADINGS)
    with force_locale(language):
        for line in _long_form(report):
            writer.writerow([_harmless(value) for value in line])
    return file.getvalue()


def _harmless(value: Any) -> Any:
    """Texts that a spreadsheet program would take for a formula, with a sign that stops it."""
    if isinstance(value, str) and value.startswith(FORMULA_SIGNS):
        return f"'{value}"
    return value


Line = tuple[str, Any, Any, Any, Any, str, Any, Any]


def _long_form(report: MatchReport) -> Iterator[Line]:
    def line(section: str, row: Any, label: Any, measure: str, value: Any, *more: Any) -> Line:
        column, column_label, currency = (*more, "", "", "")[:3]
        return (section, row, label, column, column_label, measure, value, currency)

    run = report.run
    if run is not None:
        for name in ("id", "on", "engine_version", "text_version", "input_digest"):
            yield line("run", "", "", name, _plain(getattr(run, name)))
        for name in ("needs", "offers", "eligible_pairs", "matches", "matched_needs"):
            yield line("run", "", "", name, getattr(run, name))
        yield line("run", "", "", "match_rate", run.match_rate)
        yield line("run", "", "", "unmet_needs", run.unmet_needs)
        yield line("run", "", "", "unused_offers", run.unused_offers)
        for component, share in run.weights.items():
            yield line("weights", component, COMPONENT_NAMES.get(component, ""), "weight", share)
    yield line("exchange", "", "", "needs", report.standing.needs)
    yield line("exchange", "", "", "offers", report.standing.offers)
    for table in report.tables:
        for row in table.rows:
            yield line(table.facet, row.code, row.label, "needs", row.total.needs)
            yield line(table.facet, row.code, row.label, "offers", row.total.offers)
        yield line(table.facet, "", _("not stated"), "needs", table.unstated.needs)
        yield line(table.facet, "", _("not stated"), "offers", table.unstated.offers)
    cross = report.cross
    section = " × ".join((cross.view.rows, cross.view.columns, *cross.view.narrowed.values()))
    for row in cross.rows:
        for column, cell in zip(cross.columns, row.cells, strict=True):
            for measure, value in (("needs", cell.needs), ("offers", cell.offers)):
                yield line(section, row.code, row.label, measure, value, column.code, column.label)
    for state, number in report.interest_counts.items():
        yield line("interests", state, INTEREST_NAMES[state], "interests", number)
    for status, number in report.agreement_counts.items():
        yield line("agreements", status, STATES[status], "agreements", number)
    for measure in ("asked", "offered", "committed"):
        yield line("places", "", "", measure, getattr(report.places, measure))
        for currency, quantity in report.money.items():
            yield line("money", "", "", measure, getattr(quantity, measure), "", "", currency)
    for match in report.best:
        labels = (match.offer.reference, match.offer.title)
        yield line("matches", match.need.reference, match.need.title, "score", match.score, *labels)
    for post in report.unmet:
        yield line("unmet_needs", post.reference, post.title, "needs", 1)
    for post in report.unused:
        yield line("unused_offers", post.reference, post.title, "offers", 1)
    for agreement in report.agreements:
        standing = (agreement.status, STATES[agreement.status])
        names = (agreement.reference, agreement.title)
        yield line("agreement", *names, "agreements", 1, *standing)
        if agreement.places is not None:
            yield line("agreement", *names, "places", agreement.places, *standing)
        if agreement.money is not None:
            yield line("agreement", *names, "money", agreement.money, *standing, agreement.currency)


HEAD = PatternFill("solid", fgColor="E3F0EC")
WIDEST = 70


def as_xlsx(report: MatchReport, language: str) -> bytes:
    """The report as a workbook: a summary, a sheet per table, and sheets of the rows behind it.

    Sums, differences and shares are formulas over the cells that they are made of; a number that
    counts each post once stands as a number, since no sum of rows gives it.
    """
    book = Workbook()
    with force_locale(language):
        _Sheets(book, report).write()
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


class Formula(str):
    """A formula of ours; every other text is written as text, whatever its first sign."""


class _Sheets:
    """Writes the sheets of one report into one workbook."""

    def __init__(self, book: Workbook, report: MatchReport) -> None:
        self.book = book
        self.report = report

    def write(self) -> None:
        report = self.report
        self.book.remove(self.book.worksheets[0])
        self._summary()
        for table in report.tables:
            self._facet(table)
        self._cross()
        self._matches()
        self._posts(_("Unmet needs"), report.unmet)
        self._posts(_("Unused offers"), report.unused)
        self._agreements()
        self._money()
        self._posts(_("Needs"), report.needs)
        self._posts(_("Offers"), report.offers)

    def _sheet(
        self, title: str, rows: Iterable[Sequence[Any]], heads: Iterable[int] = (1,)
    ) -> Worksheet:
        """A new sheet; the rows numbered in ``heads`` are headings, and the first stays in view."""
        sheet = self.book.create_sheet(_sheet_title(title, self.book.sheetnames))
        for number, row in enumerate(rows, start=1):
            for place, value in enumerate(row, start=1):
                _put(sheet.cell(row=number, column=place), value)
        for number in heads:
            for cell in sheet[number]:
                cell.font = Font(bold=True)
                cell.fill = HEAD
                cell.alignment = Alignment(wrap_text=True, vertical="top")
        sheet.freeze_panes = "B2"
        _fit(sheet)
        return sheet

    def _summary(self) -> None:
        report, run = self.report, self.report.run
        rows: list[tuple[Any, ...]] = [(_("Match report"), report.made_at.date())]
        if run is None:
            rows.append((_("Matching has not been run yet."),))
        else:
            rows += [
                (_("Match run"), run.id),
                (_("Day of the run"), run.on),
                (_("Engine"), run.engine_version),
                (_("Text model"), run.text_version),
                (_("Digest of the input"), run.input_digest),
                (_("Digest of the result"), run.result_digest),
                (_("Needs in the run"), run.needs),
                (_("Offers in the run"), run.offers),
                (_("Eligible pairs"), run.eligible_pairs),
                (_("Matches"), run.matches),
                (_("Needs with a match"), run.matched_needs),
            ]
            last = len(rows)
            rows += [
                (_("Match rate"), Formula(f"=IF(B{last - 4}=0,0,B{last}/B{last - 4})")),
                (_("Unmet needs"), Formula(f"=B{last - 4}-B{last}")),
                (_("Unused offers"), run.unused_offers),
            ]
        rows += [
            (_("Needs on the exchange"), report.standing.needs),
            (_("Offers on the exchange"), report.standing.offers),
            (),
            (_("Interests"), _("Number")),
        ]
        rows += [(INTEREST_NAMES[s], n) for s, n in report.interest_counts.items()]
        rows.append((_("In all"), _sum_above("B", len(rows), len(report.interest_counts))))
        if run is not None:
            rows += [(), (_("Component of the score"), _("Weight"))]
            rows += [(COMPONENT_NAMES.get(c, c), share) for c, share in run.weights.items()]
            rows.append((_("In all"), _sum_above("B", len(rows), len(run.weights))))
        sheet = self._sheet(_("Summary"), rows)
        for cell in sheet["B"]:
            if isinstance(cell.value, str) and cell.value.startswith("=IF("):
                cell.number_format = "0.0%"

    def _facet(self, table: FacetTable) -> None:
        counted = [
            *((row.code, row.label, row.total) for row in table.rows),
            ("", _("not stated"), table.unstated),
            ("", _("Each post counted once"), table.total),
        ]
        rows = (
            (code, label, cell.needs, cell.offers, Formula(f"=D{number}-C{number}"))
            for number, (code, label, cell) in enumerate(counted, start=2)
        )
        name = str(FACET_NAMES[table.facet])
        head = (_("Code"), name, _("Needs"), _("Offers"), _("Offers less needs"))
        self._sheet(name, [head, *rows])

    def _cross(self) -> None:
        cross = self.report.cross
        title = " × ".join(str(FACET_NAMES[f]) for f in (cross.view.rows, cross.view.columns))
        among = (f"{FACET_NAMES[facet]}: {code}" for facet, code in cross.view.narrowed.items())
        rows: list[tuple[Any, ...]] = [(title, *among)]
        heads = [1]
        for measure, name in (("needs", _("Needs")), ("offers", _("Offers"))):
            rows += [(), (name, *(column.label for column in cross.columns), _("Each once"))]
            heads.append(len(rows))
            rows += [
                (row.label, *(getattr(cell, measure) for cell in (*row.cells, row.total)))
                for row in cross.rows
            ]
            totals = (*(column.total for column in cross.columns), cross.total)
            rows.append((_("Each post counted once"), *(getattr(cell, measure) for cell in totals)))
        self._sheet(_("Two facets"), rows, heads)

    def _matches(self) -> None:
        head = (
            _("Score"), _("Band"), _("Rank"), _("Need"), _("Title of the need"), _("Asks"),
            _("Offer"), _("Title of the offer"), _("Offers it"), _("Main reason"),
        )  # fmt: skip
        rows = (
            (
                round(line.score, 2), BAND_NAMES[line.band], line.rank,
                line.need.reference, line.need.title, line.need.organisation,
                line.offer.reference, line.offer.title, line.offer.organisation, line.reason,
            )
            for line in self.report.best
        )  # fmt: skip
        sheet = self._sheet(_("Best matches"), [head, *rows])
        sheet.auto_filter.ref = sheet.dimensions

    def _posts(self, title: str, posts: Sequence[PostLine]) -> None:
        head = (
            _("Reference"), _("Title"), _("Organisation"), _("Place"), _("Language"), _("State"),
            FACET_NAMES["theme"], FACET_NAMES["ilac_area"], FACET_NAMES["support_kind"],
        )  # fmt: skip
        rows = (
            (
                post.reference, post.title, post.organisation, post.place, post.language,
                STATES[post.status],
                *("; ".join(post.codes[f].values()) for f in ("theme", "ilac_area", "support_kind")),
            )
            for post in posts
        )  # fmt: skip
        sheet = self._sheet(title, [head, *rows])
        sheet.auto_filter.ref = sheet.dimensions

    def _agreements(self) -> None:
        head = (
            _("Reference"), _("State"), _("Title"), _("Need"), _("Asks"), _("Offer"),
            _("Offers it"), _("Places"), _("Money"), _("Currency"), _("Proposed"), _("Signed"),
        )  # fmt: skip
        rows: list[tuple[Any, ...]] = [
            (
                line.reference, STATES[line.status], line.title, line.need, line.need_side,
                line.offer, line.offer_side, line.places, line.money, line.currency,
                line.proposed_on, line.signed_on,
            )
            for line in self.report.agreements
        ]  # fmt: skip
        total = _sum_above("H", len(rows) + 1, len(rows))
        # Money has no total: it may be of several currencies.
        last = (_("In all"), "", "", "", "", "", "", total) if rows else ()
        counts = [
            (STATES[status], number) for status, number in self.report.agreement_counts.items()
        ]
        below = len(rows) + 4
        self._sheet(
            _("Agreements"),
            [
                head, *rows, last, (), (_("State"), _("Number")), *counts,
                (_("In all"), _sum_above("B", below + len(counts), len(counts))),
            ],
        )  # fmt: skip

    def _money(self) -> None:
        report = self.report
        head = (
            _("Of what"), _("Asked"), _("Offered"), _("Committed"), _("Offered less asked"),
            _("Offered and not committed"),
        )  # fmt: skip
        quantities = [(_("places"), report.places), *report.money.items()]
        rows = [
            (
                name, quantity.asked, quantity.offered, quantity.committed,
                Formula(f"=C{number}-B{number}"), Formula(f"=C{number}-D{number}"),
            )
            for number, (name, quantity) in enumerate(quantities, start=2)
        ]  # fmt: skip
        sealed = _(
            "%(count)s needs keep their amount sealed; it is in no sum.", count=report.sealed
        )
        self._sheet(_("Places and money"), [head, *rows, (), (sealed,)])


def _sum_above(column: str, row: int, number: int) -> Formula:
    """The sum of the ``number`` cells that end in ``row``, for the cell below them."""
    return Formula(f"=SUM({column}{row - number + 1}:{column}{row})")


def _put(cell: Cell, value: Any) -> None:
    if value is None or value == "":
        return
    if isinstance(value, Formula):
        cell.value = str(value)
        return
    if isinstance(value, int | float | Decimal | date):
        cell.value = value
        if isinstance(value, Decimal):
            cell.number_format = "#,##0.00" if value % 1 else "#,##0"
        return
    text = ILLEGAL_CHARACTERS_RE.sub("", str(value))
    cell.value = text
    if text.startswith(FORMULA_SIGNS):
        cell.data_type = "s"
        cell.quotePrefix = True


def _fit(sheet: Worksheet) -> None:
    for place, column in enumerate(sheet.iter_cols(values_only=True), start=1):
        longest = max((len(str(v)) for v in column if v is not None), default=8)
        sheet.column_dimensions[get_column_letter(place)].width = min(max(longest, 8) + 2, WIDEST)


def _sheet_title(title: str, taken: Iterable[str]) -> str:
    """A title that a workbook accepts: 31 signs, none of them reserved, and each only once."""
    plain = "".join(sign for sign in title if sign not in "[]:*?/\\")[:31]
    names = set(taken)
    return plain if plain not in names else f"{plain[:28]} {len(names)}"
