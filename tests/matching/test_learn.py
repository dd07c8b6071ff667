"""Weights learnt from decisions: monotone, drawn to the present ones, judged on held-out needs."""

import numpy as np
import pytest

from matching import COMPONENTS, MatchTable, ProfileError, Weights
from matching.learn import Decision, TooFewDecisions, compare_runs, learn_weights
from tests.matching.factories import TODAY, random_book

NAMES = list(COMPONENTS)


def decisions(count, truth, seed=1, noise=0.5):
    """Decisions of people who weigh components by `truth`."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        found = rng.random(len(NAMES))
        wish = sum(truth.get(name, 0) * value for name, value in zip(NAMES, found, strict=True))
        accepted = bool(wish - sum(truth.values()) / 2 + rng.normal(0, noise * 0.2) > 0)
        made.append(Decision(number // 4, dict(zip(NAMES, found.tolist(), strict=True)), accepted))
    return made


def test_what_people_look_at_gains_weight_and_is_better_on_held_out_decisions():
    learnt = learn_weights(decisions(400, {"money": 0.6, "text": 0.4}), Weights(), "learnt-1")
    assert learnt.weights.money > Weights().money * 2
    assert learnt.weights.version == "learnt-1"
    assert learnt.learnt.auc > learnt.present.auc
    assert learnt.learnt.log_loss < learnt.present.log_loss
    assert learnt.better
    assert learnt.accepted + learnt.dismissed == 400
    assert learnt.needs == 100


def test_weights_are_never_negative_even_where_people_seem_to_dislike_likeness():
    learnt = learn_weights(decisions(300, {"theme": -0.9, "text": 0.5}), Weights(), "x", pull=1)
    shares = learnt.weights.shares()
    assert all(weight >= 0 for weight in shares.values())
    assert shares["theme"] < 0.05
    assert sum(shares.values()) == pytest.approx(1)


def test_few_decisions_move_the_weights_less_than_many():
    truth = {"money": 1.0}
    few = learn_weights(decisions(40, truth), Weights(), "few").weights.money
    many = learn_weights(decisions(800, truth), Weights(), "many").weights.money
    assert Weights().money < few < many


def test_decisions_that_agree_with_the_present_weights_leave_them_nearly_as_they_are():
    present = Weights()
    learnt = learn_weights(decisions(400, present.shares()), present, "same").weights
    for name, weight in learnt.shares().items():
        assert abs(weight - present.shares()[name]) < 0.08


def test_chance_decisions_are_no_reason_to_change():
    rng = np.random.default_rng(3)
    made = [
        Decision(n // 3, dict(zip(NAMES, rng.random(9).tolist(), strict=True)), bool(n % 2))
        for n in range(200)
    ]
    assert not learn_weights(made, Weights(), "noise").learnt.auc > 0.62


@pytest.mark.parametrize("made", [[], decisions(10, {"text": 1.0})])
def test_too_few_decisions_teach_nothing(made):
    with pytest.raises(TooFewDecisions):
        learn_weights(made, Weights(), "x")


def test_decisions_of_one_kind_teach_nothing():
    made = [Decision(n, dict.fromkeys(NAMES, 0.5), True) for n in range(100)]
    with pytest.raises(TooFewDecisions) as error:
        learn_weights(made, Weights(), "x")
    assert (error.value.accepted, error.value.dismissed) == (100, 0)


@pytest.mark.parametrize("wrong", [float("nan"), 1.5, -0.1])
def test_a_similarity_that_cannot_be_is_refused(wrong):
    made = decisions(60, {"text": 1.0})
    made[7] = Decision(1, {**made[7].similarities, "text": wrong}, True)
    with pytest.raises(ProfileError):
        learn_weights(made, Weights(), "x")


def test_learning_twice_gives_the_same_weights():
    made = decisions(120, {"theme": 1.0})
    assert learn_weights(made, Weights(), "x") == learn_weights(made, Weights(), "x")


def test_the_books_similarities_times_weights_are_its_scores():
    book = random_book(30, 10, 20)
    for need in book.needs:
        for match in book.rank_offers(need.id, 3, on=TODAY):
            (found,) = book.component_similarities([(need.id, match.offer_id)])
            shares = book.weights.shares()
            points = 100 * sum(shares[name] * value for name, value in found.items())
            assert points == pytest.approx(match.points, abs=1e-4)


def table(*rows):
    columns = np.array(rows, np.int64).reshape(-1, 3)
    return MatchTable(columns[:, 0], columns[:, 1], columns[:, 2] * 1_000_000)


def test_a_dry_run_names_what_enters_leaves_and_moves():
    before = table((1, 10, 80), (1, 11, 70), (1, 12, 60), (2, 10, 75))
    after = table((1, 11, 82), (1, 10, 79), (1, 13, 65), (2, 10, 76))
    told = compare_runs(before, after)
    assert [(move.offer_id, move.after) for move in told.entered] == [(13, 3)]
    assert [(move.offer_id, move.before) for move in told.left] == [(12, 3)]
    assert [(move.offer_id, move.before, move.after) for move in told.moved] == [
        (11, 2, 1),
        (10, 1, 2),
    ]
    assert told.stayed == 1
    assert told.first_changed == (1,)


def test_pairs_below_the_threshold_are_no_matches():
    before, after = table((1, 10, 49), (2, 10, 60)), table((1, 10, 51), (2, 10, 60))
    told = compare_runs(before, after, least=50)
    assert [move.need_id for move in told.entered] == [1]
    assert compare_runs(before, before, least=50).entered == ()


def test_a_replayed_run_shows_no_difference_and_new_weights_do():
    book = random_book(31, 40, 60)
    run = book.run(10, on=TODAY)
    same = book.with_weights(book.weights).run(10, on=TODAY)
    assert same == run
    heavy = Weights.from_shares({"theme": 1.0, "money": 1.0}, "heavy")
    told = compare_runs(run.table, book.with_weights(heavy).run(10, on=TODAY).table)
    assert told.entered or told.left or told.moved
    told = compare_runs(run.table, same.table)
    assert (told.entered, told.left, told.moved) == ((), (), ())
    assert told.stayed == len(run.table)
