"""Reading the YAML of ``fixtures/`` so that every problem is told with file, line and field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from marshmallow import Schema, ValidationError

from models.errors import DomainError


@dataclass(frozen=True)
class Problem:
    """What is wrong in a file, and where."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return (
            f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"
        )


class FixtureError(DomainError):
    """Files that cannot be loaded; ``problems`` lists all that is wrong in them."""

    def __init__(self, folder: Path, problems: list[Problem]) -> None:
        super().__init__("fixture_invalid", folder=folder.name, count=len(problems))
        self.problems = problems


@dataclass
class Record:
    """One entry of a file, with the line of each of its fields."""

    file: str
    line: int
    data: dict[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)

    def problem(self, name: str, message: str) -> Problem:
        """A problem of one of the record's fields (``"support.0.kind"`` finds ``support``)."""
        return Problem(self.file, self.lines.get(name.split(".")[0], self.line), name, message)


def read_records(path: Path, problems: list[Problem]) -> list[Record]:
    """The entries of a file that holds a list of mappings; what cannot be read is noted."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problems.append(Problem(path.name, line, "", f"not YAML: {error.problem}"))
        return []
    except UnicodeDecodeError:
        problems.append(Problem(path.name, 1, "", "not UTF-8"))
        return []
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        problems.append(Problem(path.name, 1, "", "a list of records is expected"))
        return []
    return list(_records(path.name, root, problems))


def _records(name: str, root: yaml.SequenceNode, problems: list[Problem]) -> Iterator[Record]:
    constructor = yaml.SafeLoader("")
    for node in root.value:
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            problems.append(Problem(name, line, "", "a record with fields is expected"))
            continue
        lines: dict[str, int] = {}
        for key, _value in node.value:
            if key.value in lines:
                problems.append(Problem(name, key.start_mark.line + 1, key.value, "stated twice"))
            lines[key.value] = key.start_mark.line + 1
        yield Record(name, line, constructor.construct_document(node), lines)


def check(record: Record, schema: Schema, problems: list[Problem]) -> dict[str, Any] | None:
    """The record as ``schema`` loads it; None, with its problems noted, where it is wrong."""
    try:
        return dict(schema.load(record.data))
    except ValidationError as error:
        note(record, error.normalized_messages(), problems)
        return None


def note(record: Record, messages: Mapping[str, Any], problems: list[Problem]) -> None:
    """Note every message of a validation, however deep it lies, at the line of its field."""
    for name, text in _flat(messages):
        problems.append(record.problem(name, text))


def _flat(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(messages, Mapping):
        for key, value in messages.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(messages, list):
        for value in messages:
            yield from _flat(value, path)
    else:
        yield path, str(messages)
