"""Arrows run one way: doors → use cases → models, matching; the last two never meet."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USED = {
    "models": {"models", "sqlalchemy", "alembic"},
    "matching": {"matching", "numpy", "rapidfuzz", "scipy", "sklearn", "threadpoolctl"},
}
"""What the two lower packages import beside the standard library."""

FILES_AND_NETWORK = {"io", "pathlib", "shutil", "socket", "sqlite3", "tempfile", "urllib"}

DOORS = ("broker.web", "broker.api", "broker.commands", "broker.cli")
"""Pages, the interface for programs, and the command line: thin, and known to no use case."""

BETWEEN_DOORS = {
    ("broker.api", "broker.web"),  # one application: its addresses, sessions and roles
    ("broker.web", "broker.api"),  # the factory registers it
    ("broker.cli", "broker.commands"),
    ("broker.commands", "broker.web"),  # `broker serve`
}


def _imports(path):
    """Names of modules that a file imports, at its head or where it needs them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "broker":
                yield from (f"broker.{alias.name}" for alias in node.names)


def _all_imports(package):
    """``(name of a module, name of one that it imports)`` of a whole package."""
    files = list((ROOT / package).rglob("*.py"))
    assert len(files) > 8
    for path in files:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield from ((module, name) for name in _imports(path))


def _door(module):
    return next((door for door in DOORS if module == door or module.startswith(f"{door}.")), None)


@pytest.mark.parametrize("package", sorted(USED))
def test_a_package_imports_nothing_that_it_must_not_know(package):
    known = USED[package] | sys.stdlib_module_names
    wrong = [
        (module, name) for module, name in _all_imports(package) if name.split(".")[0] not in known
    ]
    assert wrong == []


def test_the_engine_knows_neither_files_nor_the_network():
    assert FILES_AND_NETWORK.isdisjoint(
        name.split(".")[0] for _module, name in _all_imports("matching")
    )


def test_use_cases_know_no_door():
    wrong = [
        (module, name)
        for module, name in _all_imports("broker")
        if _door(name) not in (None, _door(module))
        and (_door(module), _door(name)) not in BETWEEN_DOORS
        and module != "broker.__main__"
    ]
    assert wrong == []


def test_use_cases_know_nothing_of_requests():
    wrong = [
        (module, name)
        for module, name in _all_imports("broker")
        if not _door(module)
        and name.split(".")[0] in {"flask", "flask_login", "flask_smorest", "flask_wtf", "click"}
        # Flask-Babel wants an application even where nobody asks for a page.
        and module != "broker.speech"
    ]
    assert wrong == []


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
