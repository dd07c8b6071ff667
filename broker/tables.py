"""Files of strangers as lines of text: CSV in whatever form programs write it, and workbooks.

What could harm is refused before it is unpacked or parsed; formulas come as the text that they are.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from openpyxl import load_workbook
from openpyxl.utils import column_index_from_string
from openpyxl.utils.exceptions import InvalidFileException

from models import InvalidInput

MOST_UNPACKED = 64 * 1024 * 1024
"""Bytes to which a workbook may unpack."""
MOST_RATIO = 200
"""How many times larger than its packed form a part of a workbook may be."""
MOST_PARTS = 2_000
MOST_MERGED = 2_000
"""Merged areas of a sheet that are looked at."""
LAST_ROW = 10_000
"""Row after which nobody looks for merged cells: so many rows no file may have."""

DELIMITERS = (",", ";", "\t", "|")

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""What a text begins with → its encoding."""

Recognise = Callable[[list[str | None]], int]
"""How many cells of a line name a column."""


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes
    ----------
    number : int
        As the spreadsheet program numbers it.
    hidden : bool
        Whether the program does not show it.
    covered : frozenset of int
        Places of the cells that lie under a merged one, from 0: they have no value of their own.
    """

    number: int
    cells: list[str | None]
    hidden: bool = False
    covered: frozenset[int] = frozenset()


def refused(code: str, **params: Any) -> InvalidInput:
    """What is wrong with a file as a whole."""
    return InvalidInput({"file": [(code, params)]})


def is_workbook(content: bytes) -> bool:
    """Whether a file is packed as workbooks are; all else is read as CSV."""
    return content[:2] == b"PK"


def read_tables(content: bytes, recognise: Recognise) -> Iterator[Iterator[Line]]:
    """The tables of a file: the one of a CSV, or each sheet of a workbook.

    Raises
    ------
    InvalidInput
        At ``file``: it cannot be read, unpacks to more than it should, or carries entities.
    """
    if is_workbook(content):
        yield from _read_workbook(content)
    else:
        yield _read_csv(content, recognise)


# --- CSV ------------------------------------------------------------------------------------


def encoding_of(content: bytes) -> str:
    """In which encoding a CSV file is: what it is marked as, or else UTF-8, or else Windows-1252.

    Raises
    ------
    InvalidInput
        ``not_a_sheet`` or ``unknown_encoding``.
    """
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return encoding
    if b"\0" in content:
        raise refused("not_a_sheet")
    # After Unicode, what spreadsheet programs of the region write unless they are asked for it.
    for encoding in ("utf-8", "cp1252"):
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    raise refused("unknown_encoding")


def _read_csv(content: bytes, recognise: Recognise) -> Iterator[Line]:
    try:
        text = content.decode(encoding_of(content))
    except UnicodeDecodeError as error:
        raise refused("unknown_encoding") from error
    delimiter = max(DELIMITERS, key=lambda one: _recognised(text[:8192], one, recognise))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        # A cell may go over several lines: records are what the program numbers.
        for number, cells in enumerate(reader, start=1):
            yield Line(number, list(cells))
    except csv.Error as error:
        raise refused("broken_csv", line=reader.line_num) from error


def _recognised(head: str, delimiter: str, recognise: Recognise) -> int:
    most = 0
    try:
        for cells in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter):
            most = max(most, recognise(list(cells)))
    except csv.Error:
        return most
    return most


# --- Workbooks ------------------------------------------------------------------------------


def check_workbook(content: bytes) -> None:
    """Refuse a workbook that unpacks to more than it should, or that carries entities.

    Raises
    ------
    InvalidInput
        At ``file``.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        parts = archive.infolist()
    except zipfile.BadZipFile as error:
        raise refused("not_a_sheet") from error
    if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_UNPACKED:
        raise refused("unpacks_too_large")
    for part in parts:
        if part.file_size > 1_000_000 and part.file_size > MOST_RATIO * max(part.compress_size, 1):
            raise refused("unpacks_too_large")
        if part.filename.endswith((".xml", ".rels")):
            with archive.open(part) as opened:
                head = opened.read(4096)
            if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                raise refused("carries_entities")


def _read_workbook(content: bytes) -> Iterator[Iterator[Line]]:
    check_workbook(content)
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=False)
    except (InvalidFileException, KeyError, ValueError, zipfile.BadZipFile, OSError) as error:
        raise refused("not_a_sheet") from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sheets: Any = book.worksheets
            for sheet in sheets:
                yield _read_sheet(sheet, _marks_of(archive.read(sheet._worksheet_path)))
    finally:
        book.close()


@dataclass(frozen=True)
class _Marks:
    """What a sheet says of its rows beside their values: which are hidden, what is merged."""

    hidden: frozenset[int]
    merged: dict[int, list[range]]

    def covered(self, number: int) -> frozenset[int]:
        return frozenset(at for places in self.merged.get(number, ()) for at in places)


_HIDDEN_ROW = re.compile(rb"<(?:\w+:)?row\b(?=[^>]*\bhidden=\"(?:1|true)\")[^>]*\br=\"(\d+)\"")
_MERGED = re.compile(
    rb"<(?:\w+:)?mergeCell\b[^>]*\bref=\"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})\""
)


def _marks_of(sheet: bytes) -> _Marks:
    # Reading row by row, openpyxl gives neither; whole sheets would take ten times the memory.
    merged: dict[int, list[range]] = defaultdict(list)
    for count, found in enumerate(_MERGED.finditer(sheet)):
        if count == MOST_MERGED:
            break
        left, right = (column_index_from_string(found[part].decode()) - 1 for part in (1, 3))
        top, bottom = int(found[2]), min(int(found[4]), LAST_ROW)
        for number in range(top, bottom + 1):
            merged[number].append(range(left + (number == top), right + 1))
    hidden = frozenset(int(found[1]) for found in _HIDDEN_ROW.finditer(sheet))
    return _Marks(hidden, merged)


def _read_sheet(sheet: Any, marks: _Marks) -> Iterator[Line]:
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        texts = [_text(cell) for cell in cells]
        yield Line(number, texts, number in marks.hidden, marks.covered(number))


def _text(cell: Any) -> str | None:
    value = cell.value
    if value is None:
        return None
    if cell.data_type == "f":
        return f"={str(value).lstrip('=')}"
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return format(Decimal(repr(value)).normalize(), "f")
    return str(value)
