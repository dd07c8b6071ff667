"""The match report for other programs, a number on each line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from broker.reference import Reference
from broker.report.layout import Content, Figure, Ref, Section, Table
from broker.report.match_report import MatchReport
from broker.report.sections import lay_out

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""With one of these a text would be read as a formula by a spreadsheet program (OWASP, CSV
injection)."""

HEADINGS = ("section", "table", "row", "row_label", "column", "column_label", "value")
"""Columns of the CSV file: every number of the report on a line of its own."""


def as_csv(report: MatchReport, reference: Reference) -> str:
    """Every cell of the report in long form: section, table, row, column, value.

    Sections, tables, rows and columns have the same codes in every language; only labels change.
    """
    return sections_as_csv(lay_out(report, reference))


def sections_as_csv(sections: Iterable[Section]) -> str:
    """Every cell of some sections in that long form."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(HEADINGS)
    for section in sections:
        for table in section.tables:
            for line in _long_form(section, table):
                writer.writerow([_harmless(value) for value in line])
    return file.getvalue()


def _long_form(section: Section, table: Table) -> Iterator[tuple[Any, ...]]:
    for row in (*table.rows, *((table.last,) if table.last else ())):
        label = next((c for c in row.cells if isinstance(c, str)), "")
        for column, content in zip(table.columns, row.cells, strict=True):
            value = _bare(content)
            if value is None or (column is table.columns[0] and isinstance(content, str)):
                continue
            yield section.key, table.key, row.code, label, column.key, column.title, value


def _bare(content: Content) -> Any:
    if isinstance(content, Figure):
        return content.value
    if isinstance(content, Ref):
        return content.words
    return content.isoformat() if isinstance(content, date) else content


def _harmless(value: Any) -> Any:
    """Texts that a spreadsheet program would take for a formula, with a sign that stops it."""
    if isinstance(value, str) and value.startswith(FORMULA_SIGNS):
        return f"'{value}"
    return value
