"""The match report for a terminal or a plain file."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from flask_babel import force_locale
from flask_babel import gettext as _

from broker.reference import Reference
from broker.report.heading import filters_of, period_of, title_of
from broker.report.layout import Figure, Table, words_of
from broker.report.match_report import MatchReport
from broker.report.sections import lay_out

WIDTH = 96
"""Letters of a line of the text."""

TEXT_ROWS = 10
"""Rows of a table that the text shows."""


def as_text(report: MatchReport, reference: Reference) -> str:
    """The report for a terminal or a plain file, its tables cut to the first ten rows."""
    with force_locale(report.language):
        return "\n".join(_text(report, reference))


def _text(report: MatchReport, reference: Reference) -> Iterator[str]:
    yield title_of(report)
    yield period_of(report.scope, report.language)
    for name, value in filters_of(report.scope, reference, report.language):
        yield f"{name}: {value}"
    for section in lay_out(report, reference):
        yield from ("", section.title, "=" * len(section.title))
        for words in (*section.warnings, *map(str, section.words)):
            yield from wrap(words, WIDTH)
        for table in section.tables:
            if table.key != "cube":
                yield from _text_table(table, report.language)


def _text_table(table: Table, language: str) -> Iterator[str]:
    yield ""
    yield table.title
    shown = [*table.rows[:TEXT_ROWS], *((table.last,) if table.last else ())]
    cells = [[words_of(content, language) for content in row.cells] for row in shown]
    if all(column.numeric for column in table.columns[1:]) and len(table.columns) <= 7:
        lines = [[column.title for column in table.columns], *cells]
        widths = [max(len(line[n]) for line in lines) for n in range(len(table.columns))]
        for line in lines:
            first, *others = line
            numbers = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
            yield "  ".join((first.ljust(widths[0]), *numbers)).rstrip()
    else:
        for line in cells:
            yield from wrap(
                "  ".join(text for text in line if text), WIDTH, subsequent_indent="    "
            )
    all_rows = table.more.value if table.more and table.more.value else len(table.rows)
    if all_rows > TEXT_ROWS:
        yield _("… and %(count)s more", count=words_of(Figure(all_rows - TEXT_ROWS), language))
    if table.note:
        yield table.note
