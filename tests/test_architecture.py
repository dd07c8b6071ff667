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
