"""The parts of an address that stand for something: a kind of post, a number, a code."""

from __future__ import annotations

from typing import Any

from flask import Flask
from werkzeug.routing import BaseConverter, IntegerConverter, Map

LARGEST_NUMBER = 2**31 - 1
"""The largest row number that every database can look for."""


class KindConverter(BaseConverter):
    """``needs`` or ``offers`` in an address, ``"need"`` or ``"offer"`` in the program."""

    regex = "needs|offers"

    def to_python(self, value: str) -> str:
        return value.removesuffix("s")

    def to_url(self, value: str) -> str:
        return f"{value}s"


class NumberConverter(IntegerConverter):
    """A row's number; a larger one is nobody's, and is not found."""

    def __init__(self, map: Map, *args: Any, **kwargs: Any) -> None:  # noqa: A002 - werkzeug's name
        kwargs.setdefault("max", LARGEST_NUMBER)
        super().__init__(map, *args, **kwargs)


class CodeConverter(BaseConverter):
    """A code of the reference data."""

    regex = r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}"


def prepare(app: Flask) -> None:
    """Teach the application these parts, before its first address is added."""
    app.url_map.converters.update(kind=KindConverter, int=NumberConverter, code=CodeConverter)
