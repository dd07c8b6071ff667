"""``broker report``: every filter and every form, and what it says when it cannot."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest
from click.testing import CliRunner

from broker.cli import main


@pytest.fixture
def broker(reference_home, tmp_path, monkeypatch):
    """``broker("--format", "csv")``: runs the command on an exchange with reference data."""
    home = tmp_path / "home"
    shutil.copytree(reference_home, home)
    monkeypatch.setenv("BROKER_HOME", str(home))
    monkeypatch.setenv("BROKER_ENCODER", "none")

    def run(*arguments, language="en"):
        words = ["--language", language, "report", *map(str, arguments)]
        return CliRunner().invoke(main, words)

    return run


def test_it_takes_every_filter(broker):
    answer = broker(
        "--from", "2020-01-01", "--to", "2020-06-30", "--subregion", "andean", "--country", "PE",
        "--programme", "sustainable_procurement", "--task-force", "tf-procurement",
        "--currency", "EUR", "--format", "json",
    )  # fmt: skip
    assert answer.exit_code == 0
    scope = json.loads(answer.stdout)["scope"]
    assert (scope["since"], scope["until"]) == ("2020-01-01", "2020-06-30")
    assert (scope["subregion"], scope["country"], scope["currency"]) == ("andean", "PE", "EUR")
    assert scope["task_force"] == "tf-procurement"


@pytest.mark.parametrize(("form", "begins"), [("pdf", b"%PDF-"), ("xlsx", b"PK")])
def test_files_that_no_terminal_shows_need_a_name(broker, tmp_path, form, begins):
    assert broker("--format", form).exit_code == 2
    file = tmp_path / f"report.{form}"
    assert broker("--format", form, "--output", file).exit_code == 0
    assert file.read_bytes().startswith(begins)


def test_it_speaks_the_language_that_is_asked_for(broker):
    assert "Rapport de correspondances" in broker(language="fr").stdout


def test_the_csv_file_can_be_read_by_other_programs(broker):
    rows = list(csv.DictReader(io.StringIO(broker("--format", "csv").stdout)))
    assert any(row["row"] == "needs" and row["value"] == "0" for row in rows)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "2026-02-01", "--to", "2026-01-01"), "The end lies before the start."),
        (("--from", "2090-01-01"), "This period has not begun."),
        (("--subregion", "atlantis"), "“atlantis” is not one of the known codes."),
        (("--run", "4711"), "“4711” is not one of the known codes."),
        (("--task-force", "gov-pe"), "“gov-pe” is not one of the known codes."),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(broker, arguments, words):
    answer = broker(*arguments)
    assert answer.exit_code == 2
    assert words in answer.output
