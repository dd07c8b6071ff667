import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from matching.clearing import POLICIES, ClearingError, Floor, clear, exchange, program

SCORES = sparse.coo_array(([90.0, 50.0, 80.0, 70.0], ([0, 0, 1, 2], [0, 1, 0, 1])), shape=(3, 2))


def _refused(scores=SCORES, demand=(1, 1, 1), capacity=(2, 2), **options):
    with pytest.raises(ClearingError) as refusal:
        clear(scores, list(demand), list(capacity), **options)
    assert str(refusal.value)
    return refusal.value


def test_scores_that_are_not_sparse_are_refused():
    assert _refused(scores=np.ones((3, 2))).code == "scores_not_sparse"
    assert _refused(scores=[[1.0]]).code == "scores_not_sparse"


def test_scores_that_are_no_real_numbers_are_refused():
    assert _refused(scores=SCORES.astype(complex)).code == "scores_not_real"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_named(bad):
    scores = sparse.coo_array(([1.0, bad, bad], ([0, 1, 2], [0, 1, 0])), shape=(3, 2))
    error = _refused(scores=scores)
    assert (error.code, error.pairs) == ("score_not_finite", ((1, 1), (2, 0)))


def test_a_pair_with_two_scores_is_named():
    scores = sparse.coo_array(([1.0, 2.0], ([1, 1], [0, 0])), shape=(3, 2))
    error = _refused(scores=scores)
    assert (error.code, error.pairs) == ("pair_given_twice", ((1, 0),))


def test_negative_demand_and_capacity_are_named():
    error = _refused(demand=[1, -1, -2])
    assert (error.code, error.needs, error.offers) == ("negative_demand", (1, 2), ())
    error = _refused(capacity=[3, -1])
    assert (error.code, error.needs, error.offers) == ("negative_capacity", (), (1,))


@pytest.mark.parametrize("bad", [0.5, math.nan, math.inf])
def test_places_that_are_not_whole_are_named(bad):
    error = _refused(demand=[1, bad, 1])
    assert (error.code, error.needs) == ("not_whole", (1,))


def test_places_that_are_no_numbers_are_refused():
    assert _refused(demand=["one", "two", "three"]).code == "not_whole"
    assert _refused(demand=[1, object(), 1]).code == "not_whole"


def test_arrays_of_the_wrong_length_are_refused():
    assert _refused(demand=[1, 1]).code == "shape_mismatch"
    assert _refused(capacity=[1, 1, 1]).code == "shape_mismatch"
    assert _refused(groups=[0, 1]).code == "shape_mismatch"
    assert _refused(groups=[0.5, 1.0, 1.0]).code == "shape_mismatch"
    limits = sparse.coo_array((2, 2))
    assert _refused(pair_limit=limits).code == "shape_mismatch"


def test_negative_groups_are_named():
    error = _refused(groups=[0, -1, 2])
    assert (error.code, error.needs) == ("negative_group", (1,))


def test_a_negative_pair_limit_is_refused():
    assert _refused(pair_limit=-1).code == "negative_pair_limit"


def test_an_unknown_policy_or_depth_is_refused():
    assert _refused(policy="best").code == "unknown_policy"
    assert _refused(policy="fair", depth=0).code == "bad_depth"


def test_pairs_outside_the_exchange_are_named():
    error = _refused(forced=[(0, 0), (3, 0)])
    assert (error.code, error.pairs) == ("pair_out_of_range", ((3, 0),))
    error = _refused(forbidden=[(0, -1)])
    assert (error.code, error.pairs) == ("pair_out_of_range", ((0, -1),))


def test_required_pairs_that_are_not_eligible_are_named():
    error = _refused(forced=[(0, 0), (1, 1)])
    assert (error.code, error.pairs) == ("pair_not_eligible", ((1, 1),))
    error = _refused(fixed={(2, 0): 1})
    assert (error.code, error.pairs) == ("pair_not_eligible", ((2, 0),))


def test_a_pair_both_forced_and_forbidden_is_named():
    error = _refused(forced=[(0, 0)], forbidden=[(0, 0), (0, 1)])
    assert (error.code, error.pairs) == ("forced_and_forbidden", ((0, 0),))
    error = _refused(forced=[(0, 0)], fixed={(0, 0): 0})
    assert (error.code, error.pairs) == ("forced_and_forbidden", ((0, 0),))


def test_a_pair_fixed_above_its_limit_is_named():
    error = _refused(demand=[3, 1, 1], fixed={(0, 0): 2})
    assert (error.code, error.pairs) == ("fixed_above_limit", ((0, 0),))


def test_forced_pairs_that_exceed_an_offer_or_a_need_are_named():
    error = _refused(capacity=[1, 2], forced=[(0, 0), (1, 0), (2, 1)])
    assert error.code == "forced_pairs_conflict"
    assert (error.needs, error.offers, error.pairs) == ((), (0,), ((0, 0), (1, 0)))
    error = _refused(forced=[(0, 0), (0, 1)])
    assert (error.needs, error.offers, error.pairs) == ((0,), (), ((0, 0), (0, 1)))


def test_exact_demand_above_any_supply_names_who_stands_in_whose_way():
    error = _refused(capacity=[1, 1], exact=True)
    assert error.code == "exact_demand_unmet"
    assert (error.needs, error.offers) == ((0, 1, 2), (0, 1))
    error = _refused(demand=[1, 1, 2], exact=[False, False, True])
    assert (error.needs, error.offers) == ((2,), ())


def test_forced_pairs_that_starve_an_exact_demand_are_named():
    error = _refused(demand=[1, 1, 1], capacity=[1, 1], exact=[False, True, False], forced=[(0, 0)])
    assert error.code == "forced_pairs_conflict"
    assert (error.needs, error.offers, error.pairs) == ((1,), (0,), ((0, 0),))


def test_demand_above_any_supply_is_served_as_far_as_it_goes():
    for policy in POLICIES:
        clearing = clear(SCORES, [9, 9, 9], [1, 1], policy=policy)
        assert clearing.flow.sum() == 2


def test_no_capacity_no_demand_and_no_pairs_give_an_empty_clearing():
    for policy in POLICIES:
        for demand, capacity in (([0, 0, 0], [2, 2]), ([1, 1, 1], [0, 0])):
            clearing = clear(SCORES, demand, capacity, policy=policy)
            assert (clearing.flow.nnz, clearing.total) == (0, 0.0)
        clearing = clear(sparse.coo_array((2, 3)), [1, 1], [1, 1, 1], policy=policy)
        assert clearing.flow.shape == (2, 3)
        assert clearing.certificate.set_aside == (0, 1)
        nobody = clear(sparse.coo_array((0, 0)), [], [], policy=policy)
        assert nobody.flow.shape == (0, 0)
        assert nobody.compare()["total"].places == 0


def test_a_floor_above_what_can_be_given_is_named():
    error = _refused(floors=[Floor((0,), 1), Floor((1, 2), 3)])
    assert (error.code, error.floors, error.needs) == ("floor_above_supply", (1,), (1, 2))


def test_floors_that_conflict_are_named():
    error = _refused(capacity=[1, 2], floors=[Floor((0,), 2), Floor((1,), 1)])
    assert (error.code, error.floors) == ("floor_above_supply", (0,))
    error = _refused(demand=[2, 1, 1], capacity=[1, 1], floors=[Floor((0,), 2), Floor((1, 2), 1)])
    assert (error.code, error.floors) == ("floors_conflict", (0, 1))


def test_a_malformed_floor_is_named():
    assert _refused(floors=[Floor((7,), 1)]).code == "bad_floor"
    assert _refused(floors=[Floor((0,), 1), Floor((0,), -1)]).floors == (1,)


def test_a_stable_clearing_promises_no_floors():
    error = _refused(policy="stable", floors=[Floor((0,), 1)])
    assert (error.code, error.floors) == ("floors_not_stable", (0,))


def test_huge_amounts_are_cleared_to_the_last_place():
    huge = 10**15 + 7
    demand, capacity = [huge, 5, huge], [huge + 3, 2 * huge]
    clearing = clear(SCORES, demand, capacity, pair_limit=None)
    assert clearing.flow.toarray().tolist() == [[huge - 2, 2], [5, 0], [0, huge]]
    assert clearing.certificate.gap == 0.0
    stable = clear(SCORES, demand, capacity, pair_limit=None, policy="stable")
    assert stable.flow.toarray().tolist() == [[huge, 0], [3, 0], [0, huge]]
    for policy in POLICIES:
        assert clear(SCORES, [1, 1, 1], [2**62, 2**62], policy=policy).flow.sum() == 3


def test_amounts_beyond_exact_arithmetic_are_refused():
    assert _refused(demand=[2**63, 1, 1]).code == "amount_too_large"
    error = _refused(demand=[2**61, 1, 1], capacity=[2**61, 1], pair_limit=None)
    assert error.code == "amount_too_large"


def test_scores_of_any_size_are_cleared():
    for factor in (1e-200, 1e-9, 1e9, 1e200):
        clearing = clear(SCORES * factor, [1, 1, 1], [1, 1])
        assert clearing.flow.toarray().tolist() == [[0, 0], [1, 0], [0, 1]] or math.isclose(
            clearing.total, 160 * factor
        )
        assert clearing.certificate.gap == 0.0


def test_an_error_names_no_more_than_a_hundred():
    scores = sparse.coo_array(np.full((30, 30), np.nan))
    assert len(_refused(scores=scores, demand=[1] * 30, capacity=[1] * 30).pairs) == 100


def test_a_solver_that_gives_up_is_reported_as_such(monkeypatch):
    def give_up(market):
        raise ArithmeticError("numerical difficulties")

    monkeypatch.setattr(exchange, "greatest_total", give_up)
    assert _refused().code == "solver_gave_up"
    assert clear(SCORES, [1, 1, 1], [2, 2], policy="stable").total == 240.0


def test_one_method_that_finds_no_solution_is_believed_when_the_other_gives_up(monkeypatch):
    answers = iter([2, 4])

    def linprog(*arguments, **options):
        return SimpleNamespace(status=next(answers), message="")

    monkeypatch.setattr(program, "linprog", linprog)
    one = np.ones(1)
    with pytest.raises(program.Infeasible):
        program.relax(program.Program(one, sparse.csr_array([[1.0]]), one, one, one, one))


def test_every_code_is_documented():
    root = Path(__file__).parents[2]
    page = (root / "docs" / "clearing.md").read_text(encoding="utf-8")
    codes = set()
    for path in (root / "matching" / "clearing").glob("[a-z]*.py"):
        text = path.read_text(encoding="utf-8")
        codes |= set(re.findall(r'(?:ClearingError|refuse)\(\s*"([a-z_]+)"', text))
        codes |= set(re.findall(r'^ +"([a-z]+_[a-z_]+)",$', text, re.MULTILINE))
    assert len(codes) > 20
    assert {code for code in codes if f"`{code}`" not in page} == set()
