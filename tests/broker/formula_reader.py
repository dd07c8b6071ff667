"""Works out the formulas of a workbook as LibreOffice does: those that our files use, and no more."""

from __future__ import annotations

import re
from datetime import date
from fnmatch import translate
from statistics import median
from typing import Any

from openpyxl import Workbook
from openpyxl.utils import range_boundaries

RANGE = r"(?:'((?:[^']|'')+)'!)?(\$?[A-Z]+\$?\d+(?::\$?[A-Z]+\$?\d+)?)"


class FormulaReader:
    """``FormulaReader(book).value("Summary", "B4")``: the value that a reader would see."""

    def __init__(self, book: Workbook) -> None:
        self.book = book

    def value(self, sheet: str, cell: str) -> Any:
        found = self.book[sheet][cell].value
        if not isinstance(found, str) or not found.startswith("="):
            return found
        if self.book[sheet][cell].data_type != "f":
            return found
        return _Expression(self, sheet, found[1:]).read()

    def range(self, sheet: str, name: str) -> list[Any]:
        left, top, right, bottom = range_boundaries(name.replace("$", ""))
        rows = self.book[sheet].iter_rows(min_col=left, max_col=right, min_row=top, max_row=bottom)
        return [self.value(sheet, cell.coordinate) for row in rows for cell in row]


class _Expression:
    """A recursive reader of one formula."""

    def __init__(self, reader: FormulaReader, sheet: str, text: str) -> None:
        self.reader, self.sheet, self.text, self.at = reader, sheet, text, 0

    def read(self) -> Any:
        value = self.comparison()
        assert self.at == len(self.text), self.text[self.at :]
        return value

    def peek(self, sign: str) -> bool:
        return self.text.startswith(sign, self.at)

    def take(self, pattern: str) -> re.Match[str] | None:
        found = re.compile(pattern).match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def comparison(self) -> Any:
        left = self.sum()
        if self.take("="):
            return left == self.sum()
        return left

    def sum(self) -> Any:
        total = self.product()
        while sign := self.take("[+-]"):
            other = self.product()
            total = (total or 0) + (other or 0) if sign[0] == "+" else (total or 0) - (other or 0)
        return total

    def product(self) -> Any:
        value = self.term()
        while self.take("/"):
            value = value / self.term()
        return value

    def term(self) -> Any:
        if found := self.take(r'"([^"]*)"'):
            return found[1]
        if found := self.take(r"\d+(\.\d+)?"):
            return float(found[0])
        if found := self.take(r"([A-Z]+)\("):
            return self.function(found[1])
        if self.take(r"\("):
            value = self.comparison()
            assert self.take(r"\)"), self.text[self.at :]
            return value
        found = self.take(RANGE)
        assert found, self.text[self.at :]
        sheet = (found[1] or self.sheet).replace("''", "'")
        values = self.reader.range(sheet, found[2])
        return values if ":" in found[2] else values[0]

    def function(self, name: str) -> Any:
        arguments = []
        if name == "IF":
            test = self.comparison()
            self.take(",")
            # Only the branch that holds is worked out: the other may divide by nought.
            branches = self._branches()
            inner = branches[0] if test else branches[1]
            return _Expression(self.reader, self.sheet, inner).read()
        while not self.take(r"\)"):
            arguments.append(self.comparison())
            self.take(",")
        return getattr(self, f"_{name.lower()}")(*arguments)

    def _branches(self) -> list[str]:
        depth, parts, start = 0, [], self.at
        quoted = False
        while True:
            sign = self.text[self.at]
            quoted ^= sign == '"'
            if not quoted:
                if sign == "(":
                    depth += 1
                elif sign in "),":
                    if depth == 0:
                        parts.append(self.text[start : self.at])
                        start = self.at + 1
                        if sign == ")":
                            self.at += 1
                            return parts
                    elif sign == ")":
                        depth -= 1
            self.at += 1

    @staticmethod
    def _numbers(values: list[Any]) -> list[float]:
        return [float(v) for v in values if v is not None and not isinstance(v, str | date)]

    def _sum(self, values: list[Any]) -> float:
        return sum(self._numbers(values))

    def _count(self, values: list[Any]) -> int:
        return len(self._numbers(values))

    def _counta(self, values: list[Any]) -> int:
        return sum(value is not None for value in values)

    def _median(self, values: list[Any]) -> float:
        return median(self._numbers(values))

    def _passing(self, *pairs: Any) -> list[bool]:
        passing = [True] * len(pairs[0])
        for values, wanted in zip(pairs[::2], pairs[1::2], strict=True):
            pattern = re.compile(translate(wanted.replace("[", "[[]")), re.IGNORECASE)
            passing = [
                ok and value is not None and bool(pattern.match(str(value)))
                for ok, value in zip(passing, values, strict=True)
            ]
        return passing

    def _countifs(self, *pairs: Any) -> int:
        return sum(self._passing(*pairs))

    def _sumifs(self, values: list[Any], *pairs: Any) -> float:
        passing = self._passing(*pairs)
        return self._sum([v for v, ok in zip(values, passing, strict=True) if ok])
