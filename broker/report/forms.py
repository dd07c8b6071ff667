"""The forms in which a report is handed out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from broker.reference import Reference
from broker.report.csv_form import as_csv
from broker.report.json_form import as_json
from broker.report.match_report import MatchReport
from broker.report.pdf import LISTED, as_pdf
from broker.report.text_form import TEXT_ROWS, as_text
from broker.report.workbook import as_xlsx


@dataclass(frozen=True)
class FileForm:
    """A form in which a report is handed out.

    Attributes
    ----------
    listed : int or None
        Rows of each list that it holds; all if None.
    """

    media: str
    write: Callable[[MatchReport, Reference], str | bytes]
    listed: int | None = None


FILES = {
    "csv": FileForm("text/csv; charset=utf-8", as_csv),
    "xlsx": FileForm("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", as_xlsx),
    "json": FileForm("application/json", as_json),
    "txt": FileForm("text/plain; charset=utf-8", as_text, TEXT_ROWS),
    "pdf": FileForm("application/pdf", as_pdf, LISTED),
}
"""Ending of the report's file → its form."""
