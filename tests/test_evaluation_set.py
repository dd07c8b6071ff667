"""The labelled set agrees with the demonstration exchange, with itself and with its page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.make_evaluation_set import evaluation_files

FOLDER = Path(__file__).parent.parent / "fixtures" / "evaluation"
GRADINGS = sorted(path.name for path in FOLDER.glob("qrels*.tsv"))


def posts(side: str) -> dict[str, dict[str, Any]]:
    lines = (FOLDER / f"{side}s.jsonl").read_text(encoding="utf-8").splitlines()
    return {post["id"]: post for post in map(json.loads, lines)}


def grades(grading: str = "qrels.tsv") -> list[tuple[str, str, str]]:
    """Lines of a grading: need, offer, grade as it is written."""
    lines = (FOLDER / grading).read_text(encoding="utf-8").splitlines()
    return [(need, offer, grade) for need, offer, grade in (line.split("\t") for line in lines)]


@pytest.mark.parametrize("name", ["needs.jsonl", "offers.jsonl"])
def test_posts_are_those_of_the_demonstration(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == evaluation_files()[name], (
        "run benchmarks/make_evaluation_set.py and read the grades of the changed posts again"
    )


@pytest.mark.parametrize("grading", GRADINGS)
def test_graded_posts_exist(grading: str) -> None:
    assert {need for need, _, _ in grades(grading)} <= posts("need").keys()
    assert {offer for _, offer, _ in grades(grading)} <= posts("offer").keys()


@pytest.mark.parametrize("grading", GRADINGS)
def test_grades_are_one_to_three_and_each_pair_has_one(grading: str) -> None:
    assert {grade for _, _, grade in grades(grading)} <= {"1", "2", "3"}
    pairs = [(need, offer) for need, offer, _ in grades(grading)]
    assert len(pairs) == len(set(pairs))


def test_eighty_needs_are_graded() -> None:
    assert len({need for need, _, _ in grades()}) >= 80


@pytest.mark.parametrize("grading", GRADINGS)
def test_graded_pairs_share_a_kind_of_support_and_no_organisation(grading: str) -> None:
    needs, offers = posts("need"), posts("offer")
    for need, offer, _ in grades(grading):
        asked, given = needs[need]["support_kinds"], offers[offer]["support_kinds"]
        assert set(asked) & set(given), (need, offer)
        assert needs[need]["organisation"] != offers[offer]["organisation"], (need, offer)


def test_page_lists_the_needs_that_nobody_serves() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- (need-\S+)$", page, re.MULTILINE)
    assert listed == sorted(posts("need").keys() - {need for need, _, _ in grades()})


def test_page_counts_the_grades() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    counted = dict(re.findall(r"^\| ([123]) \|.*\| (\d+) \|$", page, re.MULTILINE))
    written = [grade for _, _, grade in grades()]
    assert counted == {grade: str(written.count(grade)) for grade in "123"}
