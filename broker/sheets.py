"""Rows of spreadsheets as the input that the schemas check, and templates to fill in.

The columns follow from the schema itself, so that a file asks for what a form asks for:

- a field is a column of its name; a list of codes stands in one cell, with semicolons between;
- a list of records is numbered (``support_1_kind``, ``support_1_detail``, ``support_2_kind`` …);
- texts by language carry it at their end (``title_en``, ``names_fr``).

A cell may hold a code, a label in any of the four languages, or both as the drop-down lists of the
template write them (``PE – Perú``).
"""

from __future__ import annotations

import difflib
import io
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from flask_babel import force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from marshmallow import Schema, fields
from openpyxl import Workbook
from openpyxl.cell.cell import Cell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from broker.field_names import FIELD_NAMES
from broker.reference import Reference
from broker.schemas import Code, Count, Day, Email, Money, Text
from broker.tables import Line, read_tables, refused
from models import LANGUAGES

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
"""Media type of a workbook."""

KEY = "key"
"""The column by which a row is known again: the writer's own number for it."""

RECORDS = 3
"""Records of a list for which a template has columns."""

MOST_ROWS = 5_000
HEADING_ROWS = 8
"""Rows at the top among which the one with the columns' names is looked for."""

SEPARATOR = re.compile(r"\s*[;\n|]\s*")
CODE_AND_LABEL = re.compile(r"^(\S+) [–-] .+$")
FORMULA = re.compile(r"^(?:[=@\t]|[+\-](?!\s)(?!\d[\d\s.,]*$))")
"""What a spreadsheet program would run when the text is copied on."""

YES = frozenset(
    {"1", "true", "yes", "y", "x", "sí", "si", "s", "oui", "o", "sim", "verdadero", "vrai"}
)
NO = frozenset({"0", "false", "no", "n", "non", "não", "nao", "falso", "faux"})

KEY_NAME = _l("Your own number")
KEY_HELP = _l(
    "Anything that tells this row from your others. The same number in a later file finds the row again instead of making it twice."
)

PART_NAMES = {
    "kind": _l("Kind"),
    "modality": _l("In which form"),
    "detail": _l("What exactly"),
    "code": _l("Code"),
    "names": _l("Name"),
    "acronym": _l("Acronym"),
    "aliases": _l("Other names"),
    "email": _l("E-mail address"),
    "name": _l("Name"),
    "role": _l("Role"),
    "organisation": _l("Organisation"),
}
"""Names of what no post has as a field of its own: parts of one, organisations, accounts."""


def _name_of(part: str) -> str:
    return str(FIELD_NAMES.get(part) or PART_NAMES.get(part, part))


COLUMN_HELP: dict[type, Any] = {
    Day: _l("A date: year-month-day, e.g. 2027-03-31."),
    Money: _l("An amount: digits, with a point before the cents."),
    Count: _l("A whole number."),
    Email: _l("An e-mail address."),
    fields.Boolean: _l("Yes or no."),
}


@dataclass(frozen=True)
class Column:
    """A column of a sheet: which part of the input it fills.

    Attributes
    ----------
    name : str
        What its heading says.
    path : tuple
        Where the value goes: ``("title",)``, ``("support", 0, "kind")``,
        ``("translations", "en", "title")``.
    many : bool
        Whether a cell holds several values.
    scheme : str or None
        Taxonomy of its codes.
    field : marshmallow field
        What checks a single value.
    required : bool
        Whether a row without it is refused.
    """

    name: str
    path: tuple[str | int, ...]
    many: bool
    scheme: str | None
    field: fields.Field
    required: bool

    @property
    def label(self) -> str:
        """Its name for the reader."""
        if self.name == KEY:
            return str(KEY_NAME)
        return " · ".join(
            _name_of(part) if isinstance(part, str) else str(part + 1) for part in self.path
        )

    @property
    def help(self) -> str:
        """How it is filled in."""
        if self.name == KEY:
            return str(KEY_HELP)
        parts = [str(words) for kind, words in COLUMN_HELP.items() if isinstance(self.field, kind)]
        if self.scheme or (isinstance(self.field, fields.String) and _choices(self.field)):
            parts.append(_("Choose from the list."))
        if self.many:
            parts.append(_("Several are written with semicolons between."))
        if self.required:
            parts.insert(0, _("Needed."))
        return " ".join(parts)


def _choices(field: fields.Field) -> tuple[str, ...]:
    """The values among which a plain field lets one choose."""
    for check in field.validators:
        found = getattr(check, "choices", None)
        if found:
            return tuple(str(value) for value in found)
    return ()


@lru_cache(maxsize=16)
def columns_of(
    schema: type[Schema], *, keyed: bool = False, without: tuple[str, ...] = ()
) -> tuple[Column, ...]:
    """The columns of a schema.

    Parameters
    ----------
    keyed : bool
        Whether a row carries the writer's own number, by which it is known again.
    without : tuple of str
        Fields that no file fills in.
    """
    found: list[Column] = []
    for name, field in schema._declared_fields.items():
        if name not in without:
            found += _columns(name, field)
    # What is needed comes first, other languages last; between, as in the form.
    found.sort(key=lambda column: (not column.required, column.path[0] == "translations"))
    if keyed:
        found.insert(0, Column(KEY, (KEY,), False, None, fields.String(), False))
    return tuple(found)


def _columns(name: str, field: fields.Field) -> Iterator[Column]:
    if isinstance(field, fields.List) and isinstance(field.inner, fields.Nested):
        inner = field.inner.schema.declared_fields
        for number in range(RECORDS):
            for part, own in inner.items():
                needed = field.required and own.required and number == 0
                yield _column(f"{name}_{number + 1}_{part}", (name, number, part), own, needed)
    elif isinstance(field, fields.Dict):
        for language in LANGUAGES:
            if isinstance(field.value_field, fields.Nested):
                for part, own in field.value_field.schema.declared_fields.items():
                    yield _column(f"{part}_{language}", (name, language, part), own, False)
            else:
                inner_field: Any = field.value_field
                yield _column(f"{name}_{language}", (name, language), inner_field, False)
    elif isinstance(field, fields.List):
        yield replace(_column(name, (name,), field.inner, field.required), many=True)
    else:
        yield _column(name, (name,), field, field.required)


def _column(name: str, path: tuple[str | int, ...], field: fields.Field, needed: bool) -> Column:
    scheme = field.scheme if isinstance(field, Code) else None
    return Column(name, path, False, scheme, field, needed)


# --- Reading --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A row of a file.

    Attributes
    ----------
    number : int
        As the spreadsheet program numbers it.
    cells : dict
        Column's name → text; empty cells are left out.
    refused : dict
        Column's name → what is wrong with the cell itself.
    """

    number: int
    cells: dict[str, str]
    refused: dict[str, str]


def read_rows(content: bytes, columns: tuple[Column, ...]) -> list[Row]:
    """The rows of a CSV or XLSX file, whichever it is.

    Raises
    ------
    InvalidInput
        At ``file``: no such file, no heading, unknown columns, too many rows, or a workbook that
        unpacks to more than it should or that carries entities.
    """
    table = _open_table(content, columns)
    called, heading = headings(columns), table.heading
    if unknown := sorted({text for text in heading.values() if text not in called.values()}):
        names = ", ".join(_perhaps(text, called) for text in unknown)
        raise refused("unknown_columns", names=names[:300])
    if twice := {
        name for name, count in Counter(filter(None, heading.values())).items() if count > 1
    }:
        raise refused("columns_twice", names=", ".join(sorted(twice)))
    rows: list[Row] = []
    for line in table.below():
        row = _row(line, heading)
        if row.cells or row.refused:
            rows.append(row)
        if len(rows) > MOST_ROWS:
            raise refused("too_many_rows", most=MOST_ROWS)
    if not rows:
        raise refused("no_rows")
    return rows


PASSED_OVER = ""
"""Stands for the column of problems of an annotated copy, which is not read."""

PROBLEMS_NAME = _l("Problems")


@lru_cache(maxsize=16)
def headings(columns: tuple[Column, ...]) -> dict[str, str]:
    """What a column may be called → its name: the name itself, or its label in any language."""
    found = {_folded(column.name): column.name for column in columns}
    doubtful = set()
    for language in LANGUAGES:
        with force_locale(language):
            found.setdefault(_folded(str(PROBLEMS_NAME)), PASSED_OVER)
            for column in columns:
                label = _folded(column.label)
                if found.setdefault(label, column.name) != column.name:
                    doubtful.add(label)
    names = {_folded(column.name) for column in columns}
    return {text: name for text, name in found.items() if text in names or text not in doubtful}


def _perhaps(text: str, called: Mapping[str, str]) -> str:
    """A heading that is not known, with the column that may be meant."""
    near = difflib.get_close_matches(_folded(text), list(called), n=1, cutoff=0.75)
    return f"{text} ({called[near[0]]}?)" if near and called[near[0]] else text


@dataclass
class _Table:
    """A table whose heading has been found.

    Attributes
    ----------
    top : list of Line
        The lines that were looked at for it.
    at : int
        Which of them it is.
    heading : dict
        Place of a cell, from 0 → name of its column; what is no column's stands as it is written,
        and what begins with # is left out.
    """

    top: list[Line]
    at: int
    heading: dict[int, str]
    rest: Iterator[Line]

    def below(self) -> Iterator[Line]:
        """The lines below the heading."""
        return itertools.chain(self.top[self.at + 1 :], self.rest)


def _open_table(content: bytes, columns: tuple[Column, ...]) -> _Table:
    """The table of a file that has the columns; in a workbook, the first sheet that has them."""
    called = headings(columns)

    def count(cells: list[str | None]) -> int:
        return len({called.get(_folded(text or "")) for text in cells} - {None, PASSED_OVER})

    for lines in read_tables(content, count):
        top = list(itertools.islice(lines, HEADING_ROWS))
        # Of a template's two rows of names, the second one.
        best = max(range(len(top)), key=lambda at: (count(top[at].cells), at), default=0)
        if top and count(top[best].cells) >= 2:
            heading = {
                at: called.get(_folded(text), text)
                for at, text in enumerate(top[best].cells)
                if text and text.strip() and not text.strip().startswith("#")
            }
            return _Table(top, best, heading, lines)
    raise refused("no_heading", names=", ".join(column.name for column in columns[:6]))


def _row(line: Line, heading: Mapping[int, str]) -> Row:
    kept: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for at, name in heading.items():
        text = (line.cells[at] if at < len(line.cells) else None) or ""
        if name == PASSED_OVER:
            continue
        if at in line.covered:
            wrong[name] = _(
                "This cell is merged with others. Undo the merging, and write the value into each row."
            )
        elif FORMULA.match(text):
            wrong[name] = _(
                "This cell holds a formula or begins like one. Put its value there instead."
            )
        elif text.strip():
            kept[name] = text
    if not kept and all(at in line.covered for at, name in heading.items() if name in wrong):
        return Row(line.number, {}, {})
    if line.hidden and (kept or wrong):
        first = next(name for name in heading.values() if name != PASSED_OVER)
        wrong.setdefault(
            first, _("This row is hidden in the file. Show it and look at it, or delete it.")
        )
    return Row(line.number, kept, wrong)


# --- From cells to input --------------------------------------------------------------------


class Labels:
    """Codes by what people call them, in any of the four languages."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self._known: dict[str, dict[str, str]] = {}

    def code(self, scheme: str, text: str) -> str:
        """The code that a cell means; the text itself where it is not known."""
        text = text.strip()
        codes = set(self.reference.codes(scheme))
        if text in codes:
            return text
        if (found := CODE_AND_LABEL.match(text)) and found[1] in codes:
            return found[1]
        return self._labels(scheme).get(_folded(text), text)

    def _labels(self, scheme: str) -> dict[str, str]:
        if scheme not in self._known:
            known: dict[str, str] = {}
            for language in LANGUAGES:
                for code, label in self.reference.choices(scheme, language):
                    known.setdefault(_folded(label), code)
            for code in self.reference.codes(scheme):
                known.setdefault(_folded(code), code)
            self._known[scheme] = known
        return self._known[scheme]


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


def input_of(row: Row, columns: Iterable[Column], labels: Labels) -> dict[str, Any]:
    """A row as its schema takes it; columns without a cell are left out."""
    data: dict[str, Any] = {}
    for column in columns:
        if column.name == KEY or column.name not in row.cells:
            continue
        _put(data, column.path, _value(row.cells[column.name], column, labels))
    for name, value in data.items():
        if isinstance(value, dict) and all(isinstance(key, int) for key in value):
            data[name] = [value[number] for number in sorted(value)]
    return data


def _put(data: dict[Any, Any], path: tuple[str | int, ...], value: Any) -> None:
    for step in path[:-1]:
        data = data.setdefault(step, {})
    data[path[-1]] = value


def _value(text: str, column: Column, labels: Labels) -> Any:
    if column.many:
        values = [value for value in SEPARATOR.split(text.strip()) if value]
        scheme = column.scheme
        return [labels.code(scheme, value) for value in values] if scheme else values
    if column.scheme:
        return labels.code(column.scheme, text)
    if isinstance(column.field, fields.Boolean):
        word = text.strip().casefold()
        return True if word in YES else False if word in NO else text
    if isinstance(column.field, Text):
        return text
    return text.strip()


def column_of(columns: Iterable[Column], path: tuple[str | int, ...]) -> str:
    """The column at which a problem of the input belongs; the first of a field, failing that."""
    named = list(columns)
    for column in named:
        if column.path == path:
            return column.name
    for depth in range(len(path), 0, -1):
        for column in named:
            if column.path[:depth] == path[:depth]:
                return column.name
    return str(path[0])


def problems_by_column(
    problems: Mapping[str, Any], columns: Iterable[Column]
) -> list[tuple[str, str]]:
    """``(column, sentence)`` for every problem that a schema has found, nested ones too."""
    named, found = list(columns), list[tuple[str, str]]()

    def walk(path: tuple[str | int, ...], value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                # Of a dictionary, marshmallow tells whether the key or the value is wrong.
                nested = path and key in ("key", "value")
                step = () if nested or key == "_schema" else (key,)
                walk((*path, *step), inner)
        else:
            found.extend((column_of(named, path or ("file",)), str(words)) for words in value)

    walk((), problems)
    return found


# --- Templates and annotated copies ---------------------------------------------------------

HEAD = PatternFill("solid", fgColor="FFDCEBE4")
NEEDED = PatternFill("solid", fgColor="FFFBE7C6")
WRONG = PatternFill("solid", fgColor="FFF9D0D0")


def make_template(columns: tuple[Column, ...], reference: Reference, language: str) -> bytes:
    """An XLSX to fill in: the columns with their help, and a list to choose from at each code.

    The first row names the columns for people, the second for the program.
    """
    book = Workbook()
    sheet: Any = book.active
    sheet.title = _("Rows")[:31]
    lists = book.create_sheet(_("Lists")[:31])
    ranges: dict[tuple[str, ...], str] = {}
    for at, column in enumerate(columns, start=1):
        letter = get_column_letter(at)
        head, name = sheet.cell(1, at, column.label), sheet.cell(2, at, column.name)
        head.font, name.font = Font(bold=True), Font(color="FF667770", italic=True)
        head.fill = NEEDED if column.required else HEAD
        head.alignment = Alignment(wrap_text=True, vertical="top")
        if column.help:
            head.comment = Comment(column.help, _("10YFP broker"))
        sheet.column_dimensions[letter].width = 32 if isinstance(column.field, Text) else 20
        choices = _written_choices(column, reference, language)
        where = None
        if choices:
            where = ranges.get(choices)
            if where is None:
                where = ranges[choices] = _add_list(lists, len(ranges) + 1, column.name, choices)
        if column.help:
            _add_help(sheet, column, letter, where)
    sheet.freeze_panes = "A3"
    sheet.row_dimensions[1].height = 32
    return _saved(book)


def _add_help(sheet: Any, column: Column, letter: str, choices: str | None) -> None:
    """Help that shows at each cell of a column, with a list to choose from where there is one."""
    rule = DataValidation(type="list" if choices else None, formula1=choices, allow_blank=True)
    # Several codes in one cell, or a code alone, are as good as what the list offers.
    rule.showErrorMessage = False
    rule.showInputMessage = True
    rule.promptTitle, rule.prompt = column.label[:32], column.help[:255]
    rule.add(f"{letter}3:{letter}{MOST_ROWS + 2}")
    sheet.add_data_validation(rule)


def _written_choices(column: Column, reference: Reference, language: str) -> tuple[str, ...]:
    if column.scheme:
        return tuple(
            code if code == label else f"{code} – {label}"
            for code, label in reference.choices(column.scheme, language)
        )
    if isinstance(column.field, fields.Boolean):
        return (_("yes"), _("no"))
    return _choices(column.field)


def _add_list(lists: Any, at: int, name: str, choices: tuple[str, ...]) -> str:
    lists.cell(1, at, name).font = Font(bold=True)
    for number, choice in enumerate(choices, start=2):
        lists.cell(number, at, choice).data_type = "s"
    letter = get_column_letter(at)
    return f"'{lists.title}'!${letter}$2:${letter}${len(choices) + 1}"


def annotate(
    content: bytes, problems: Iterable[Mapping[str, Any]], columns: tuple[Column, ...]
) -> bytes:
    """The file as an XLSX with each problem at its cell, and all of a row's in a last column."""
    table = _open_table(content, columns)
    lines = [*table.top, *table.rest]
    by_row: dict[int, list[Mapping[str, Any]]] = {}
    for problem in problems:
        by_row.setdefault(int(problem["row"]), []).append(problem)
    places = {name: at for at, name in table.heading.items() if name != PASSED_OVER}
    # A copy of a copy has its column of problems already.
    spare = [at for at, name in table.heading.items() if name == PASSED_OVER]
    last = spare[-1] if spare else max(len(line.cells) for line in lines)
    book = Workbook()
    sheet: Any = book.active
    sheet.title = _("Rows")[:31]
    heading_row = table.top[table.at].number
    for line in lines:
        for at, text in enumerate(line.cells):
            if text is not None and at != last:
                write_text(sheet.cell(line.number, at + 1), text)
        own = by_row.get(line.number, [])
        for problem in own:
            cell = sheet.cell(line.number, places.get(str(problem["column"]), last) + 1)
            cell.fill = WRONG
            before = f"{cell.comment.text}\n" if cell.comment else ""
            cell.comment = Comment(f"{before}{problem['problem']}", _("10YFP broker"))
        if own:
            words = "\n".join(f"{p['column']}: {p['problem']}" for p in own)
            write_text(sheet.cell(line.number, last + 1), words)
            sheet.cell(line.number, last + 1).alignment = Alignment(wrap_text=True, vertical="top")
    head = sheet.cell(heading_row, last + 1, str(PROBLEMS_NAME))
    head.font, head.fill = Font(bold=True), WRONG
    sheet.column_dimensions[get_column_letter(last + 1)].width = 60
    sheet.freeze_panes = sheet.cell(heading_row + 1, 2)
    return _saved(book)


def write_text(cell: Cell, text: str) -> None:
    """Text that stays text, whatever its first sign."""
    cell.value = text
    cell.data_type = "s"
    if FORMULA.match(text):
        cell.quotePrefix = True


def _saved(book: Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()
