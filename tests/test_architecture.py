"""Arrows run one way: broker → models, broker → matching; the two never meet."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "models": {"broker", "matching", "flask", "flask_login", "flask_babel", "marshmallow"},
    "matching": {
        "broker", "models", "flask", "sqlalchemy", "marshmallow", "pathlib", "os.path",
        "sqlite3", "requests", "urllib",
    },
}  # fmt: skip


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_a_package_imports_nothing_that_it_must_not_know(package):
    files = list((ROOT / package).rglob("*.py"))
    assert len(files) > 8
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in _imports(path)
        if name.split(".")[0] in FORBIDDEN[package] or name in FORBIDDEN[package]
    }
    assert wrong == set()


def test_the_engine_opens_no_file_and_reads_no_clock():
    for path in (ROOT / "matching").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                assert name not in {"open", "today", "now", "time", "read_text"}, (
                    f"{path.name}:{node.lineno} calls {name}"
                )


def test_no_file_is_named_for_nothing():
    names = {path.stem for path in ROOT.glob("[bm]*/**/*.py") if ".venv" not in path.parts}
    assert names.isdisjoint({"utils", "util", "helpers", "misc", "common", "manager"})


REPORT = (
    "layout", "prose", "scope", "answers", "rows", "equity", "outcomes", "lists", "figures", "lines",
    "match_report", "heading", "sections", "json_form", "csv_form", "text_form", "workbook", "pdf",
    "forms", "folder",
)  # fmt: skip
"""Modules of the report, each using only those before it."""


def test_the_report_is_read_from_its_filters_to_its_forms():
    folder = ROOT / "broker" / "report"
    assert {path.stem for path in folder.iterdir()} - {"__init__", "__pycache__"} == set(REPORT)
    for place, module in enumerate(REPORT):
        path = folder / module
        files = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
        used = {
            name.split(".")[2]
            for file in files
            for name in _imports(file)
            if name.startswith("broker.report.")
        }
        assert used <= set(REPORT[: place + 1]), module
