"""Write into the documentation what the code knows: tables, lives, taxonomies, commands.

    python docs/make_reference.py [--check]

Between ``<!-- generated: … -->`` and ``<!-- end -->`` the pages ``data-dictionary.md`` and
``command-line.md`` belong to this program; the rest of them is written by hand. The last column of
a generated table, what a thing means, is written by hand too: the program keeps it where the thing
is still there, and leaves it empty where it is new. A test holds the pages complete and in step.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from sqlalchemy import CheckConstraint, Column, Numeric, String, Table, UniqueConstraint
from sqlalchemy.types import (
    JSON,
    Boolean,
    Date,
    Float,
    Integer,
    LargeBinary,
    Text,
    TypeEngine,
)

from broker.cli import main as broker_command
from broker.paths import FIXTURES
from broker.reference_data import TAXONOMIES, read_reference
from models import FACETS, Base
from models.base import Amount, UTCDateTime
from models.life import Life

DOCS = Path(__file__).parent
PAGES = (DOCS / "data-dictionary.md", DOCS / "command-line.md")
COMMAND_WIDTH = 88

Meanings = dict[str, str]
"""First cell of a row → its last cell, what a person wrote."""

BLOCK = re.compile(r"<!-- generated: (?P<what>[^>]+?) -->\n(?P<text>.*?)<!-- end -->", re.DOTALL)

TYPES: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (Amount, "amount"),
    (UTCDateTime, "moment"),
    (Date, "day"),
    (JSON, "JSON"),
    (Boolean, "yes/no"),
    (Text, "text"),
    (LargeBinary, "bytes"),
    (Float, "number"),
    (Integer, "whole number"),
)
"""Types of columns by their names in the dictionary; the first that fits names a column."""


def renew(page: str) -> str:
    """The text of a page with every generated block written afresh."""
    return BLOCK.sub(_renewed, page)


def _renewed(block: re.Match[str]) -> str:
    what = block["what"]
    if what not in expected_blocks():
        return block[0]
    kind, _, name = what.partition(" ")
    text = WRITERS[kind](name, _meanings(block["text"]))
    return f"<!-- generated: {what} -->\n{text.strip()}\n<!-- end -->"


def blocks(page: str) -> list[str]:
    """What the generated blocks of a page show, in their order: ``"table need"``, …"""
    return [found["what"] for found in BLOCK.finditer(page)]


def expected_blocks() -> set[str]:
    """What the pages have to show between them."""
    return {
        *(f"table {name}" for name in Base.metadata.tables),
        *(f"life {noun}" for noun in LIVES),
        "facets",
        "schemes",
        *(f"command {name}" for name, _context, _command in commands()),
    }


def meaningless(page: str) -> list[str]:
    """Rows of generated tables in which nobody has said what the thing means."""
    return [
        f"{found['what']}: {name}"
        for found in BLOCK.finditer(page)
        for name, meaning in _meanings(found["text"]).items()
        if len(meaning) < 3
    ]


# --- Tables --------------------------------------------------------------------------------


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def _meanings(text: str) -> Meanings:
    rows = [_cells(line) for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[-1] for row in rows}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def describe_table(name: str, meanings: Meanings) -> str:
    """A table of the database: what it is, its columns, and what the database itself refuses."""
    table = Base.metadata.tables[name]
    model = next(m.class_ for m in Base.registry.mappers if m.local_table is table)
    columns = _table(
        ("column", "type", "null", "key", "what it means"),
        (
            (
                f"`{column.name}`",
                _type(column.type),
                "yes" if column.nullable else "",
                _key(column),
                meanings.get(column.name, ""),
            )
            for column in table.columns
        ),
    )
    return "\n\n".join(filter(None, [_docstring(model), columns, _rules(table)]))


def _docstring(model: type) -> str:
    # A section of attributes says in another way what the table of columns says.
    text = re.split(r"\n\n\w+\n-{3,}\n", inspect.cleandoc(model.__doc__ or ""))[0]
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


def _type(kind: TypeEngine[Any]) -> str:
    for known, name in TYPES:
        if isinstance(kind, known):
            return name
    if isinstance(kind, Numeric):
        return f"decimal ({kind.precision}, {kind.scale})"
    assert isinstance(kind, String), kind
    return f"text ≤ {kind.length}"


def _key(column: Column[Any]) -> str:
    table = column.table
    keys = ["primary"] if column.primary_key else []
    for foreign in sorted(column.foreign_keys, key=lambda key: key.target_fullname):
        cascade = ", goes with it" if foreign.ondelete == "CASCADE" else ""
        keys.append(f"→ `{foreign.target_fullname}`{cascade}")
    if column.unique:
        keys.append("unique")
    elif any(list(index.columns) == [column] for index in table.indexes):
        keys.append("index")
    return "; ".join(keys)


def _rules(table: Table) -> str:
    lines = []
    for constraint in sorted(table.constraints, key=lambda c: str(c.name)):
        if isinstance(constraint, CheckConstraint):
            lines.append(f"- always: `{constraint.sqltext}`")
        elif isinstance(constraint, UniqueConstraint) and len(constraint.columns) > 1:
            lines.append(f"- unique together: {_names(constraint.columns)}")
    lines += [
        f"- index `{index.name}`: {_names(index.columns)}"
        for index in sorted(table.indexes, key=lambda i: str(i.name))
        if len(index.columns) > 1
    ]
    return "\n".join(lines)


def _names(columns: Iterable[Column[Any]]) -> str:
    return ", ".join(f"`{column.name}`" for column in columns)


# --- Lives, facets and taxonomies ------------------------------------------------------------

LIVES: dict[str, Life[Any]] = {
    value.noun: value
    for module in dict.fromkeys(mapper.class_.__module__ for mapper in Base.registry.mappers)
    for value in vars(sys.modules[module]).values()
    if isinstance(value, Life)
}


def describe_life(noun: str, meanings: Meanings) -> str:
    """The states of a noun, and those that may follow each."""
    moves = LIVES[noun].moves
    states = dict.fromkeys([*moves, *(then for followers in moves.values() for then in followers)])
    return _table(
        ("state", "may become", "what it means"),
        (
            (
                f"`{state}`",
                ", ".join(f"`{then}`" for then in moves.get(state, ())) or "nothing: an end",
                meanings.get(str(state), ""),
            )
            for state in states
        ),
    )


def describe_facets(_name: str, meanings: Meanings) -> str:
    """The facets of which a post may carry several codes."""
    return _table(
        ("facet", "what it means"), ((f"`{facet}`", meanings.get(facet, "")) for facet in FACETS)
    )


def describe_schemes(_name: str, meanings: Meanings) -> str:
    """The taxonomies: file, size, first codes, what a term holds beside its labels."""
    reference = read_reference(FIXTURES / "reference")
    rows = []
    for scheme, (file, schema) in TAXONOMIES.items():
        codes = list(reference.terms[scheme])
        extra = [name for name in schema._declared_fields if name not in ("code", "labels")]
        rows.append(
            (
                f"`{scheme}`",
                f"`{file}`",
                str(len(codes)),
                ", ".join(f"`{code}`" for code in codes[:3]),
                ", ".join(f"`{name}`" for name in extra),
                meanings.get(scheme, ""),
            )
        )
    head = ("scheme", "file", "terms", "codes, e.g.", "beside the labels", "what it means")
    return _table(head, rows)


# --- Commands --------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, click.Context, click.Command]]:
    """Every command by its whole name (``"broker users create"``), groups before their members."""
    context = click.Context(
        broker_command,
        info_name="broker",
        terminal_width=COMMAND_WIDTH,
        **broker_command.context_settings,
    )
    yield from _with_members("broker", context, broker_command)


def _with_members(
    name: str, context: click.Context, command: click.Command
) -> Iterator[tuple[str, click.Context, click.Command]]:
    yield name, context, command
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            member = command.get_command(context, word)
            assert member is not None
            own = click.Context(
                member, info_name=word, parent=context, terminal_width=COMMAND_WIDTH
            )
            yield from _with_members(f"{name} {word}", own, member)


def describe_command(name: str, _meanings: Meanings) -> str:
    """The help of a command, as ``--help`` prints it."""
    helps = {known: command.get_help(context) for known, context, command in commands()}
    return f"```text\n{helps[name].strip()}\n```"


WRITERS: dict[str, Callable[[str, Meanings], str]] = {
    "table": describe_table,
    "life": describe_life,
    "facets": describe_facets,
    "schemes": describe_schemes,
    "command": describe_command,
}


def main() -> None:
    """Rewrite the pages, or with ``--check`` tell which are behind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if behind")
    check = parser.parse_args().check
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    behind = [page for page, text in texts.items() if renew(text) != text]
    shown = [what for text in texts.values() for what in blocks(text)]
    problems = [f"no page shows: {what}" for what in sorted(expected_blocks() - set(shown))]
    problems += [f"the code has no: {what}" for what in sorted(set(shown) - expected_blocks())]
    for page in behind:
        if check:
            problems.append(f"{page.name} is behind the code")
        else:
            page.write_text(renew(texts[page]), encoding="utf-8")
            print(f"{page.name} written")
    problems += [
        f"say what this means: {row}"
        for page in PAGES
        for row in meaningless(page.read_text(encoding="utf-8"))
    ]
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
