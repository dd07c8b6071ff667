"""A report on paper: typeset with its charts and map, in its reader's language."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typst
from flask_babel import force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from broker.paths import TEMPLATES
from broker.reference import Reference
from broker.report.heading import filters_of, period_of, title_of
from broker.report.layout import Figure, Row, Section, Table, words_of
from broker.report.match_report import MatchReport
from broker.report.sections import lay_out

TEMPLATE = TEMPLATES / "reports" / "report.typ"

EXCHANGE = _l("Exchange of support for sustainable consumption and production")
"""Who hands a report out."""

LISTED = 25
"""Rows of each list that are printed; the workbook has all of them."""

JOINED: dict[str, tuple[tuple[str, ...], ...]] = {
    "matches": (("score",), ("need_title", "asks"), ("offer_title", "gives"), ("reason",)),
    "unmet": (("score",), ("title", "place", "need"), ("nearest_title", "nearest"), ("missing",)),
    "unused": (("title", "offer"), ("gives",), ("serves",), ("waits_for",)),
    "agreements": (
        ("title", "agreement"),
        ("state",),
        ("need_side",),
        ("offer_side",),
        ("places",),
        ("money", "currency"),
    ),
}
"""Table with more columns than a page has room for → the columns that share one."""

LEFT_OUT = frozenset({"cube"})
"""Tables that only a workbook has room for."""

WIDTHS = {"map": 58, "themes": 62, "heat": 80, "outcomes": 60}
"""Chart → its width, in per cent of the page's."""


def as_pdf(report: MatchReport, reference: Reference) -> bytes:
    """The report as a PDF with title page, contents, running heads, charts and map.

    What people typed reaches the typesetter as data and is never read as its code. The same
    report gives the same file, to the byte: no clock and no font of the machine has a part in it.
    """
    with force_locale(report.language):
        sheet = _lay_out(report, reference)
    return typeset(TEMPLATE, "report", sheet)


def sections_as_pdf(
    sections: Sequence[Section], *, heading: str, told: str, basis: Sequence[str], language: str
) -> bytes:
    """Sections of their own as a PDF like that of the report, in the language of their words."""
    with force_locale(language):
        sheet = {
            "language": language,
            "title": heading,
            "author": str(EXCHANGE),
            "period": told,
            "filters": [],
            "basis": list(basis),
            "made": "",
            "contents": _("Contents"),
            "sections": [sheet_of(section, language) for section in sections],
        }
    return typeset(TEMPLATE, "report", sheet)


def typeset(template: Path, name: str, sheet: dict[str, Any]) -> bytes:
    """A PDF of a template to which ``sheet`` is given as the input ``name``."""
    pdf = typst.compile(
        str(template),
        root=str(template.parent),
        sys_inputs={name: json.dumps(sheet)},
        ignore_system_fonts=True,
        timestamp=0,
    )
    assert isinstance(pdf, bytes)  # noqa: S101 - without an output file, that is what comes back
    return pdf


def _lay_out(report: MatchReport, reference: Reference) -> dict[str, Any]:
    language, scope, run = report.language, report.scope, report.run
    filters = filters_of(scope, reference, language)
    basis = [_("As it stood on %(day)s.", day=words_of(scope.last_day, language))]
    if run is not None:
        basis.append(
            _(
                "Rests on match run %(id)s of %(day)s; digest of its result: %(digest)s.",
                id=run.id,
                day=words_of(run.on, language),
                digest=run.result_digest[:16],
            )
        )
    return {
        "language": language,
        "title": title_of(report),
        "author": str(EXCHANGE),
        "period": period_of(scope, language),
        "filters": [f"{name}: {value}" for name, value in filters],
        "basis": basis,
        "made": _("Run %(id)s of %(day)s", id=run.id, day=words_of(run.on, language))
        if run
        else "",
        "contents": _("Contents"),
        "sections": [sheet_of(section, language) for section in lay_out(report, reference)],
    }


def sheet_of(section: Section, language: str) -> dict[str, Any]:
    """A section as the typesetter is given it."""
    return {
        "title": section.title,
        "words": [str(sentence) for sentence in section.words],
        "warnings": list(section.warnings),
        "charts": [
            {"svg": str(chart.svg), "label": chart.label, "width": WIDTHS.get(chart.key, 70)}
            for chart in section.charts
        ],
        "tables": [
            _table(table, section, language)
            for table in section.tables
            if table.key not in LEFT_OUT and table.rows
        ],
    }


def _table(table: Table, section: Section, language: str) -> dict[str, Any]:
    groups = _columns(table)
    notes = [table.note] if table.note else []
    shown = table.rows[:LISTED] if table.more is not None else table.rows
    more = table.more
    if isinstance(more, Figure) and isinstance(more.value, int) and more.value > len(shown):
        notes.append(
            _(
                "%(shown)s of %(all)s are shown; the workbook has all of them.",
                shown=len(shown),
                all=words_of(more, language),
            )
        )
    return {
        "title": "" if table.title == section.title else table.title,
        "columns": [
            {
                "title": _heading(table, group),
                "numeric": table.columns[group[0]].numeric,
                "width": _width(table, group),
            }
            for group in groups
        ],
        "rows": [list(_cells(table, row, groups, language)) for row in shown],
        "last": list(_cells(table, table.last, groups, language)) if table.last else [],
        "note": " ".join(notes),
    }


WIDE = frozenset({"reason", "missing", "waits_for", "source", "figure", "value"})
"""Columns that hold sentences."""


def _columns(table: Table) -> list[list[int]]:
    keys = [column.key for column in table.columns]
    if table.key in JOINED:
        return [[keys.index(key) for key in group] for group in JOINED[table.key]]
    if table.key == "cross":
        return [[0], *([n, n + 1] for n in range(1, len(keys), 2))]
    return [[n] for n in range(len(keys))]


def _width(table: Table, group: Sequence[int]) -> float:
    """How wide a column is beside the others."""
    column = table.columns[group[0]]
    if column.numeric:
        return 1
    return 3 if len(group) > 1 or column.key in WIDE else 2


def _heading(table: Table, group: Sequence[int]) -> str:
    title = table.columns[group[0]].title
    # Needs and offers share a column of two facets: "Andean: Needs" heads both.
    return title.rpartition(": ")[0] if table.key == "cross" and len(group) > 1 else title


def _cells(table: Table, row: Row, groups: Sequence[list[int]], language: str) -> Iterator[str]:
    joint = " / " if table.key == "cross" else " · "
    for group in groups:
        words = [words_of(row.cells[n], language) for n in group]
        yield joint.join(text for text in words if text)
