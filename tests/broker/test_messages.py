"""Every code that the code raises has a sentence, and every sentence is used."""

import ast
from pathlib import Path

import pytest

from broker.messages import FIELD_PROBLEMS, SENTENCES, STATES
from models import AgreementStatus, MatchStatus, PostStatus
from models.life import Life

ROOT = Path(__file__).parents[2]
RAISED = {
    "DomainError", "NotAllowed", "NotFound", "InvalidTransition", "CapacityExceeded", "Conflict",
}  # fmt: skip


def _trees():
    for package in ("models", "broker"):
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts:
                yield ast.parse(path.read_text(encoding="utf-8"))


def _strings(node):
    return {
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }


def _raised_codes():
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in RAISED and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    yield first.value
                elif isinstance(first, ast.IfExp):
                    yield first.body.value
                    yield first.orelse.value


def test_every_raised_code_has_a_sentence():
    codes = set(_raised_codes())
    assert len(codes) > 20
    assert codes - set(SENTENCES) == set()


def test_every_field_problem_has_a_sentence():
    codes = set()
    for tree in _trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Tuple)
                and len(node.elts) == 2
                and isinstance(node.elts[0], ast.Constant)
                and isinstance(node.elts[0].value, str)
                and isinstance(node.elts[1], ast.Dict)
                and node.elts[0].value.replace("_", "").isalpha()
            ):
                codes.add(node.elts[0].value)
    assert "required" in codes
    assert codes - set(FIELD_PROBLEMS) == set()


@pytest.mark.parametrize("states", [PostStatus, MatchStatus, AgreementStatus])
def test_every_state_has_a_name(states):
    assert {str(state) for state in states} <= set(STATES)


def test_every_life_has_a_sentence_for_a_forbidden_move():
    assert {f"{noun}_transition" for noun in ("post", "match", "agreement")} <= set(SENTENCES)
    assert Life("post", {PostStatus.DRAFT: ()}).moves == {PostStatus.DRAFT: ()}
