"""The matrix as a file: XLSX to fill in at a meeting and bring back, DOCX, PDF, and JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typst
from babel.dates import format_date
from babel.numbers import format_decimal
from docx import Document
from docx.enum.section import WD_ORIENT
from docx.shared import Cm, Pt
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from openpyxl import load_workbook
from sqlalchemy.orm import Session

from broker.action_plan import COLUMN_NAMES, LineSchema, content_of_line, save_line
from broker.messages import field_problems, sentence
from broker.paths import TEMPLATES
from broker.plan_choice import Common
from broker.plan_support import Known
from broker.reference import Reference
from broker.sheets import (
    KEY,
    Column,
    Labels,
    columns_of,
    input_of,
    make_template,
    problems_by_column,
    read_rows,
    write_text,
)
from models import (
    REGION,
    ActionPlan,
    Conflict,
    InvalidInput,
    PlanIndicator,
    PlanLine,
    User,
)

TEMPLATE = TEMPLATES / "plans" / "plan.typ"

FROM_EXCHANGE = _l("from the exchange")
"""What stands beside resources and actors that nobody typed."""


def scope_name(scope: str, reference: Reference, language: str) -> str:
    """The name of what a plan is for: a country, a subregion or the region."""
    if scope == REGION:
        return _("Latin America and the Caribbean")
    scheme = "country" if len(scope) == 2 else "subregion"
    return reference.label(scheme, scope, language)


@dataclass(frozen=True)
class Matrix:
    """A plan laid out to be read.

    Attributes
    ----------
    title : str
        Whose plan it is, and for which years.
    parts : list of (str, list of dict)
        The name of each dimension (and, for the region, of each subregion in it) with its rows:
        column → text, in the order of the matrix, and the line's number under ``"id"``.
    common : list of dict
        What the four subregions have in common: ``"priorities"`` by subregion and the shared
        themes.
    """

    title: str
    parts: list[tuple[str, list[dict[str, Any]]]]
    common: list[dict[str, Any]]


def lay_out(
    plan: ActionPlan,
    lines: Mapping[str, Sequence[PlanLine]],
    known: Mapping[int, Known],
    common: Sequence[Common],
    reference: Reference,
    language: str,
) -> Matrix:
    """The matrix for a reader of ``language``.

    Parameters
    ----------
    lines : mapping
        Scope → its lines: one scope for a country or subregion, four for the region.
    known : mapping
        Line's number → what the exchange knows of it.
    """
    parts = []
    for dimension, words in reference.choices("dimension", language):
        for scope, own in lines.items():
            rows = [
                {"id": line.id, **_row(line, known.get(line.id), reference, language)}
                for line in own
                if line.dimension == dimension
            ]
            if rows:
                name = f"{words} · {scope_name(scope, reference, language)}"
                parts.append((name if len(lines) > 1 else words, rows))
    return Matrix(
        _(
            "Action plan on sustainable consumption and production: %(scope)s, %(first)s–%(last)s",
            scope=scope_name(plan.scope, reference, language),
            first=plan.starts,
            last=plan.ends,
        ),
        parts,
        [
            {
                "themes": [reference.label("theme", theme, language) for theme in one.themes],
                "priorities": [
                    (scope_name(scope, reference, language), line.said("priority", language))
                    for scope, line in one.lines
                ],
            }
            for one in common
        ],
    )


def _row(
    line: PlanLine, known: Known | None, reference: Reference, language: str
) -> dict[str, str]:
    area = reference.label("ilac_area", line.ilac_area, language) if line.ilac_area else ""
    horizon = reference.label("horizon", line.horizon, language) if line.horizon else ""
    return {
        "ilac_area": area,
        "priority": "\n".join(filter(None, [line.said("priority", language), horizon])),
        "results": line.said("results", language),
        "indicators": "\n".join(indicator_text(one, language) for one in line.indicators),
        "activities": line.said("activities", language),
        "responsible": line.said("responsible", language),
        "resources": _joined(line.said("resources", language), _resources(known)),
        "other_actors": _joined(line.said("other_actors", language), _actors(known, language)),
    }


def indicator_text(indicator: PlanIndicator, language: str) -> str:
    """An indicator in a line: name, unit, from, to, by when, and how far it is."""
    name = indicator.said(language)
    figures = []
    if indicator.baseline is not None:
        figures.append(_("from %(value)s", value=_number(indicator.baseline)))
    if indicator.target is not None:
        figures.append(_("to %(value)s", value=_number(indicator.target)))
    if indicator.unit:
        figures.append(indicator.unit)
    if indicator.due:
        day = format_date(indicator.due, locale=get_locale())
        figures.append(_("by %(day)s", day=day))
    if indicator.reports:
        last = indicator.reports[-1]
        figures.append(_("last reported: %(value)s", value=_number(last.value)))
    return f"{name} ({', '.join(figures)})" if figures else name


def _number(value: float) -> str:
    return format_decimal(value, format="#,##0.##", locale=get_locale())


def _joined(typed: str, found: str) -> str:
    mark = f"{found} [{FROM_EXCHANGE}]" if found else ""
    return "\n".join(filter(None, [typed, mark]))


def _resources(known: Known | None) -> str:
    if known is None:
        return ""
    parts = [f"{currency} {_number(float(amount))}" for currency, amount in known.money.items()]
    if known.places:
        parts.append(_("%(count)s places", count=known.places))
    parts += [offer.reference for offer in known.offers]
    return ", ".join(parts)


def _actors(known: Known | None, language: str) -> str:
    return ", ".join(one.name(language) for one in known.actors) if known else ""


# --- Out ------------------------------------------------------------------------------------


def as_json(plan: ActionPlan, matrix: Matrix) -> str:
    """The matrix as JSON."""
    return json.dumps(
        {
            "scope": plan.scope,
            "starts": plan.starts,
            "ends": plan.ends,
            "status": plan.status,
            "title": matrix.title,
            "parts": [{"name": name, "lines": rows} for name, rows in matrix.parts],
            "common": matrix.common,
        },
        ensure_ascii=False,
        indent=2,
    )


def plan_columns() -> tuple[Column, ...]:
    """The columns of the matrix as a sheet."""
    return columns_of(LineSchema, keyed=True)


def as_xlsx(
    plan: ActionPlan, lines: Sequence[PlanLine], reference: Reference, language: str
) -> bytes:
    """The matrix as people fill it in at a meeting: a template that already holds the lines.

    Its column ``key`` is the line's number: brought back, the row changes that line.
    """
    columns = plan_columns()
    book = load_workbook(io.BytesIO(make_template(columns, reference, language)))
    sheet: Any = book.worksheets[0]
    sheet.title = f"{plan.scope} {plan.starts}-{plan.ends}"[:31]
    for number, line in enumerate(lines, start=3):
        values = {KEY: str(line.id), **_cells(content_of_line(line), columns)}
        for at, column in enumerate(columns, start=1):
            if values.get(column.name):
                write_text(sheet.cell(number, at), values[column.name])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _cells(content: Mapping[str, Any], columns: Sequence[Column]) -> dict[str, str]:
    cells: dict[str, str] = {}
    for column in columns:
        value: Any = content
        for step in column.path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                value = None
                break
        if isinstance(value, list):
            value = "; ".join(map(str, value))
        if value not in (None, ""):
            cells[column.name] = str(value)
    return cells


def as_docx(matrix: Matrix) -> bytes:
    """The matrix as a text document, on landscape pages."""
    document = Document()
    section = document.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = Cm(29.7), Cm(21)
    for side in ("left_margin", "right_margin", "top_margin", "bottom_margin"):
        setattr(section, side, Cm(1.8))
    document.core_properties.title = matrix.title
    document.add_heading(matrix.title, level=0)
    if matrix.common:
        document.add_heading(_("Common to the four subregions"), level=1)
        for one in matrix.common:
            document.add_paragraph(", ".join(one["themes"]), style="List Bullet")
            for scope, priority in one["priorities"]:
                document.add_paragraph(f"{scope}: {priority}", style="List Bullet 2")
    for name, rows in matrix.parts:
        document.add_heading(name, level=1)
        table = document.add_table(rows=1, cols=len(COLUMN_NAMES), style="Table Grid")
        for cell, words in zip(table.rows[0].cells, COLUMN_NAMES.values(), strict=True):
            run = cell.paragraphs[0].add_run(str(words))
            run.bold, run.font.size = True, Pt(8)
        for row in rows:
            for cell, column in zip(table.add_row().cells, COLUMN_NAMES, strict=True):
                cell.paragraphs[0].add_run(_plain(row[column])).font.size = Pt(8)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _plain(text: str) -> str:
    """Text without the signs that XML cannot hold."""
    return "".join(sign for sign in text if sign in "\n\t" or ord(sign) >= 32)


def as_pdf(matrix: Matrix, state: str, language: str) -> bytes:
    """The matrix typeset, on landscape pages; what people typed is data and never code."""
    sheet = {
        "language": language,
        "title": matrix.title,
        "state": state,
        "head": [str(words) for words in COLUMN_NAMES.values()],
        "parts": [
            {"name": name, "rows": [[row[column] for column in COLUMN_NAMES] for row in rows]}
            for name, rows in matrix.parts
        ],
        "common_label": _("Common to the four subregions"),
        "common": [
            {
                "themes": ", ".join(one["themes"]),
                "priorities": [list(pair) for pair in one["priorities"]],
            }
            for one in matrix.common
        ],
        "contents_label": _("Contents"),
        "empty": _("This plan has no line yet."),
    }
    pdf = typst.compile(
        str(TEMPLATE), root=str(TEMPLATE.parent), sys_inputs={"plan": json.dumps(sheet)}
    )
    assert isinstance(pdf, bytes)  # noqa: S101 - without an output file, that is what comes back
    return pdf


# --- In -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Brought:
    """What came of a matrix that was brought back.

    Attributes
    ----------
    added, changed, same : int
        Lines that are new, that changed, and that stayed.
    problems : list of dict
        ``row``, ``column``, ``problem`` of each; then nothing was kept.
    """

    added: int
    changed: int
    same: int
    problems: list[dict[str, Any]]

    def by_row(self) -> dict[str, dict[str, list[str]]]:
        """Number of a row → column → its problems."""
        found: dict[str, dict[str, list[str]]] = {}
        for one in self.problems:
            row = found.setdefault(str(one["row"]), {})
            row.setdefault(one["column"], []).append(str(one["problem"]))
        return found


def bring_matrix(
    session: Session, by: User, plan: ActionPlan, content: bytes, reference: Reference
) -> Brought:
    """Take a filled-in matrix (XLSX or CSV) into the plan: all of it, or nothing.

    A row with a line's number changes that line; one without is a new line. Lines that the file
    leaves out stay.

    Raises
    ------
    NotAllowed, Conflict
        The plan is not the person's, or is adopted.
    InvalidInput
        At ``file``: the file as a whole cannot be read.
    """
    plan.require_editable(by)
    columns, labels = plan_columns(), Labels(reference)
    known = {str(line.id): line for line in plan.lines}
    counts = {"added": 0, "changed": 0, "same": 0}
    problems: list[dict[str, Any]] = []
    for row in read_rows(content, columns):
        problems += [
            {"row": row.number, "column": name, "problem": words}
            for name, words in row.refused.items()
        ]
        data, key = input_of(row, columns, labels), row.cells.get(KEY, "").strip()
        data.setdefault("language", by.language)
        line = known.get(key)
        try:
            if key and line is None:
                raise InvalidInput({KEY: [("unknown_line", {"key": key[:40]})]})
            before = content_of_line(line) if line is not None else None
            saved = save_line(session, by, plan, data, reference, line=line)
            what = "added" if line is None else "changed"
            counts["same" if content_of_line(saved) == before else what] += 1
        except InvalidInput as error:
            problems += [
                {"row": row.number, "column": name, "problem": words}
                for name, words in problems_by_column(field_problems(error), columns)
                if name not in row.refused
            ]
        except Conflict as error:
            problems.append({"row": row.number, "column": "", "problem": sentence(error)})
    return Brought(**counts, problems=problems)


__all__ = [
    "Brought",
    "Matrix",
    "as_docx",
    "as_json",
    "as_pdf",
    "as_xlsx",
    "bring_matrix",
    "indicator_text",
    "lay_out",
    "plan_columns",
    "scope_name",
]
