"""The match report as a workbook, its numbers formulas over the rows behind them."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import force_locale
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell, MergedCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from broker.reference import Reference
from broker.report.csv_form import FORMULA_SIGNS
from broker.report.heading import filters_of, period_of, title_of
from broker.report.layout import (
    Column,
    Content,
    Figure,
    Over,
    Ref,
    Section,
    Table,
    words_of,
)
from broker.report.match_report import MatchReport
from broker.report.sections import lay_out
from broker.report.sections.rows_behind import rows_behind

OLD = (1980, 1, 1, 0, 0, 0)
"""The moment that all parts of a workbook bear: the same report is the same file, to the byte."""


HEAD = PatternFill("solid", fgColor="E3F0EC")
TITLE = Font(bold=True, size=13)
BOLD = Font(bold=True)
WIDEST = 60
WRAPPED = Alignment(wrap_text=True, vertical="top")
NUMBER_HEAD = Alignment(wrap_text=True, vertical="top", horizontal="right")

NUMBER_FORMATS = {
    "count": "#,##0",
    "change": "+#,##0;-#,##0;0",
    "percent": "0.0%",
    "points": "+0.0%;-0.0%;0.0%",
    "days": "0.0",
    "score": "0.00",
    "share": "0.000",
    "money": "#,##0.00",
    "rate": "0.000000",
}


def as_xlsx(report: MatchReport, reference: Reference) -> bytes:
    """The report as a workbook: a sheet for each section, and sheets of the rows behind them.

    Wherever a number can be found on the sheets of rows it is a formula over them; sums, shares
    and differences are formulas over the cells of which they are made.
    """
    book = Workbook()
    with force_locale(report.language):
        _ReportBook(book, report, reference).write()
    return _saved(book)


def sections_as_xlsx(
    sections: Sequence[Section], *, heading: str, told: str, language: str
) -> bytes:
    """Sections of their own as a workbook, a sheet for each, in the language of their words."""
    book = Workbook()
    with force_locale(language):
        _Book(book, sections, heading, told, language).write()
    return _saved(book)


def _saved(book: Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return _without_clock(file.getvalue())


def _without_clock(workbook: bytes) -> bytes:
    """The same workbook without the moment at which it was written."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook)) as source,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                content = re.sub(
                    rb"<dcterms:(created|modified)[^>]*>[^<]*</dcterms:\1>", b"", content
                )
            part = zipfile.ZipInfo(name, OLD)
            part.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(part, content)
    return made.getvalue()


class Formula(str):
    """A formula of ours; every other text is written as text, whatever its first sign."""


@dataclass(frozen=True)
class RowSheet:
    """A sheet of rows: its title, the columns by key, and how many rows it has."""

    title: str
    keys: tuple[str, ...]
    rows: int

    def range(self, key: str) -> str:
        """The cells of a column as a formula names them."""
        letter = get_column_letter(self.keys.index(key) + 1)
        title = self.title.replace("'", "''")
        return f"'{title}'!${letter}$2:${letter}${max(self.rows, 1) + 1}"


class _Book:
    """Writes sections into a workbook, a sheet for each."""

    def __init__(
        self,
        book: Workbook,
        sections: Sequence[Section],
        heading: str,
        told: str,
        language: str,
    ) -> None:
        self.book = book
        self.sections = sections
        self.heading = heading
        self.told = told
        self.language = language
        self.row_sheets: dict[str, RowSheet] = {}

    def write(self) -> None:
        self.book.remove(self.book.worksheets[0])
        sheets = [self.book.create_sheet(self._title(section.title)) for section in self.sections]
        self.write_rows()
        for sheet, section in zip(sheets, self.sections, strict=True):
            self._section(sheet, section)

    def write_rows(self) -> None:
        """Write the sheets of rows over which formulas count; none unless there are some."""

    def _title(self, title: str) -> str:
        """A title that a workbook accepts: 31 signs, none of them reserved, and each only once."""
        plain = "".join(sign for sign in title if sign not in "[]:*?/\\'")[:31]
        taken = {name.casefold() for name in self.book.sheetnames}
        return plain if plain.casefold() not in taken else f"{plain[:28]} {len(taken)}"

    def _head(self, sheet: Worksheet, at: int, columns: Sequence[Column]) -> None:
        for place, column in enumerate(columns, start=1):
            cell = sheet.cell(row=at, column=place)
            _put(cell, column.title)
            cell.font, cell.fill = BOLD, HEAD
            cell.alignment = NUMBER_HEAD if column.numeric else WRAPPED

    def _section(self, sheet: Worksheet, section: Section) -> None:
        widths = [8]
        _put(sheet.cell(row=1, column=1), f"{self.heading}: {section.title}")
        sheet.cell(row=1, column=1).font = TITLE
        _put(sheet.cell(row=2, column=1), self.told)
        at = 3
        for words in (*section.warnings, *section.words):
            _put(sheet.cell(row=at, column=1), words)
            at += 1
        # The heading stays in view while the rows below it are read.
        sheet.freeze_panes = "A3"
        for table in section.tables:
            at = self._table(sheet, table, at + 1, widths)
        _set_widths(sheet, widths)
        _fit_paper(sheet)

    def _table(self, sheet: Worksheet, table: Table, at: int, widths: list[int]) -> int:
        """Write a table from row ``at`` on; the row after it is returned."""
        if len(table.title) and table.title != sheet.title:
            _put(sheet.cell(row=at, column=1), table.title)
            sheet.cell(row=at, column=1).font = BOLD
            at += 1
        self._head(sheet, at, table.columns)
        first = at + 1
        place = {row.code: first + n for n, row in enumerate(table.rows)}
        lines = [*table.rows, *((table.last,) if table.last else ())]
        for number, row in enumerate(lines, start=first):
            last = row is table.last
            for column_number, (column, content) in enumerate(
                zip(table.columns, row.cells, strict=True), start=1
            ):
                cell = sheet.cell(row=number, column=column_number)
                if last and column.total and table.rows:
                    letter = get_column_letter(column_number)
                    _put(cell, Formula(f"=SUM({letter}{first}:{letter}{number - 1})"))
                else:
                    _put(cell, self._content(table, column, content, number, column_number, place))
                if isinstance(content, Figure):
                    cell.number_format = NUMBER_FORMATS[content.form]
                if last:
                    cell.font = BOLD
                words = words_of(content, self.language)
                if len(words) > WIDEST:
                    cell.alignment = WRAPPED
                _widen(widths, column_number, words)
        for n, column in enumerate(table.columns, start=1):
            _widen(widths, n, column.title[:24])
        end = first + len(lines)
        if table.note:
            _put(sheet.cell(row=end, column=1), table.note)
            end += 1
        return end

    def _content(
        self,
        table: Table,
        column: Column,
        content: Content,
        row: int,
        place: int,
        rows: Mapping[str, int],
    ) -> Any:
        letters = {c.key: get_column_letter(n) for n, c in enumerate(table.columns, start=1)}
        if isinstance(content, Ref):
            return content.words
        if not isinstance(content, Figure):
            return content
        if content.value is None and not column.share:
            return None
        if column.share:
            top, bottom = (f"{letters[key]}{row}" for key in column.share)
            return Formula(f'=IF({bottom}=0,"",{top}/{bottom})')
        if column.less and isinstance(content.value, int | float | Decimal):
            left, right = (f"{letters[key]}{row}" for key in column.less)
            return Formula(f"={left}-{right}")
        if content.share and set(content.share) <= rows.keys():
            letter = get_column_letter(place)
            top, bottom = (f"{letter}{rows[code]}" for code in content.share)
            return Formula(f'=IF({bottom}=0,"",{top}/{bottom})')
        if content.over:
            top = "+".join(self._over(over) for over in content.over)
            if not content.of:
                return Formula(f"={top}")
            bottom = "+".join(self._over(over) for over in content.of)
            return Formula(f'=IF({bottom}=0,"",({top})/({bottom}))')
        return content.value

    def _over(self, over: Over) -> str:
        sheet = self.row_sheets[over.sheet]
        criteria = ",".join(f'{sheet.range(key)},"{value}"' for key, value in over.criteria.items())
        if over.median:
            values = sheet.range(over.column)
            return f'IF(COUNT({values})=0,"",MEDIAN({values}))'
        if over.column:
            total = sheet.range(over.column)
            return f"SUMIFS({total},{criteria})" if criteria else f"SUM({total})"
        return f"COUNTIFS({criteria})" if criteria else f"COUNTA({sheet.range(sheet.keys[0])})"


class _ReportBook(_Book):
    """Writes a report into a workbook, with the rows behind its numbers."""

    def __init__(self, book: Workbook, report: MatchReport, reference: Reference) -> None:
        filters = filters_of(report.scope, reference, report.language)
        told = [period_of(report.scope, report.language), *(f"{n}: {v}" for n, v in filters)]
        sections = lay_out(report, reference)
        super().__init__(book, sections, title_of(report), " · ".join(told), report.language)
        self.report = report
        self.reference = reference

    def write_rows(self) -> None:
        for table in rows_behind(self.report, self.reference):
            self._row_sheet(table)

    def _row_sheet(self, table: Table) -> None:
        sheet = self.book.create_sheet(self._title(table.title))
        widths = [len(column.title) for column in table.columns]
        self._head(sheet, 1, table.columns)
        for number, row in enumerate(table.rows, start=2):
            for place, value in enumerate(row.cells, start=1):
                if value is not None and value != "":
                    _put(sheet.cell(row=number, column=place), value)
                    widths[place - 1] = max(widths[place - 1], len(str(value)))
        sheet.freeze_panes = "B2"
        last = get_column_letter(len(table.columns))
        sheet.auto_filter.ref = f"A1:{last}{len(table.rows) + 1}"
        _set_widths(sheet, widths)
        _fit_paper(sheet, repeated="1:1")
        keys = tuple(column.key for column in table.columns)
        self.row_sheets[table.key] = RowSheet(sheet.title, keys, len(table.rows))


def _put(cell: Cell | MergedCell, value: Any) -> None:
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


def _widen(widths: list[int], column: int, words: str) -> None:
    while len(widths) < column:
        widths.append(8)
    # The first column also bears headings and sentences, which run on into the next ones.
    widths[column - 1] = max(widths[column - 1], len(words))


def _fit_paper(sheet: Worksheet, repeated: str | None = None) -> None:
    """Have it printed across the page, as wide as the page; ``repeated`` rows head every page."""
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.print_title_rows = repeated


def _set_widths(sheet: Worksheet, widths: Sequence[int]) -> None:
    for place, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = min(max(width, 8) + 2, WIDEST)
