"""Weights: read, tried out without a trace, learnt from decisions, and adopted with a reason."""

from decimal import Decimal

import pytest
from sqlalchemy import func, select

from broker.jobs import do_waiting_jobs
from broker.weights import (
    REASONS,
    WeightsSchema,
    adopt_weights,
    finished_trial,
    learn_from_decisions,
    percents,
    read_weights,
    start_trial,
    try_weights,
    weights_in_force,
)
from matching import COMPONENTS, Weights
from models import (
    AuditEvent,
    Conflict,
    Dismissal,
    InvalidInput,
    Match,
    MatchRun,
    MatchStatus,
    NotAllowed,
    NotFound,
    Role,
    WeightSet,
)
from tests.broker.factories import make_person, post_need, post_offer

DEFAULTS = {name: str(value) for name, value in percents(Weights()).items()}
THEME_ALONE = {**dict.fromkeys(COMPONENTS, "0"), "theme": "100"}


def _fill(session):
    """A need with one offer on its theme and one that only sounds like it."""
    need = post_need(session, description="Buyers of a ministry learn to write green tenders.")
    post_offer(session, title="On the theme", description="Tools for statistics of forests.")
    post_offer(
        session,
        title="In like words",
        description="Buyers of a ministry learn to write green tenders.",
        themes=["water"],
    )
    return need


def _decide(session, number, status, reason="wrong_theme"):
    """A decision on a pair that agrees on its theme or, where it was dismissed, does not."""
    need = post_need(session, title=f"Need number {number}")
    themes = ["water"] if status == MatchStatus.DISMISSED else need.codes("theme")
    offer = post_offer(session, title=f"Offer number {number}", themes=themes)
    match = Match(need=need, offer=offer, status=status)
    if status == MatchStatus.DISMISSED:
        by = make_person(session, Role.FOCAL_POINT)
        match.dismissals.append(
            Dismissal(side="need", by=by, reason=reason, need_version=1, offer_version=1)
        )
    session.add(match)
    session.flush()


def test_every_component_has_its_field_and_its_reason():
    assert set(WeightsSchema._declared_fields) == set(COMPONENTS) == set(REASONS)


def test_weights_in_per_cent_add_up_to_100_however_odd_the_shares():
    third = Weights.from_shares({"theme": 1, "text": 1, "place": 1}, "thirds")
    given = percents(third)
    assert sum(given.values()) == 100
    assert sorted(given.values())[-3:] == [Decimal("33.33"), Decimal("33.33"), Decimal("33.34")]
    assert percents(Weights())["theme"] == 24


def test_the_defaults_are_in_force_until_others_are_adopted(exchange):
    with exchange.writing() as session:
        by = make_person(session, Role.SECRETARIAT)
        assert weights_in_force(session).weights == Weights()
        adopted = adopt_weights(
            session,
            by,
            {**THEME_ALONE, "reason": "A trial", "replaces": "0"},
            exchange.reference,
        )
        found = weights_in_force(session)
        assert found.weights.theme == 1
        assert found.number == adopted.id
        event = session.scalars(
            select(AuditEvent).where(AuditEvent.action == "weights.adopted")
        ).one()
        assert event.before["theme"] == 0.24
        assert event.after["theme"] == 1
        assert event.after["reason"] == "A trial"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"theme": "25"}, "total"),
        ({"theme": "-1"}, "theme"),
        ({"theme": "101"}, "theme"),
        ({"theme": "nan"}, "theme"),
        ({"theme": "many"}, "theme"),
        ({"theme": "24.001"}, "theme"),
    ],
)
def test_weights_that_cannot_be_are_refused_with_the_field(exchange, changes, field):
    with pytest.raises(InvalidInput) as refused:
        read_weights({**DEFAULTS, **changes}, exchange.reference)
    assert field in refused.value.fields


def test_a_decimal_comma_is_read_as_it_is_meant(exchange):
    data = {**DEFAULTS, "theme": "23,5", "text": "36,5"}
    assert read_weights(data, exchange.reference).theme == 0.235


def test_a_dry_run_tells_what_enters_leaves_and_moves_and_stores_nothing(exchange):
    with exchange.writing() as session:
        by = make_person(session, Role.SECRETARIAT)
        need = _fill(session)
    with exchange.reading() as session:
        weights = read_weights(THEME_ALONE, exchange.reference)
        trial = try_weights(exchange, session, by, weights, on=exchange.today())
        changed = trial.entered + trial.left + trial.moved
        assert {row.need.id for row in changed} == {need.id}
        assert "In like words" in {row.offer.title for row in trial.left}
        best = [row for row in changed if row.offer.title == "On the theme"]
        assert all(row.move.after == 1 for row in best)
        assert exchange.engine.standing.weights == Weights()
        for model in (WeightSet, MatchRun):
            assert session.scalar(select(func.count()).select_from(model)) == 0


def test_a_dry_run_under_the_weights_in_force_changes_nothing(exchange):
    with exchange.writing() as session:
        by = make_person(session, Role.SECRETARIAT)
        _fill(session)
    with exchange.reading() as session:
        weights = read_weights(DEFAULTS, exchange.reference)
        counts = try_weights(exchange, session, by, weights, on=exchange.today()).counts
    assert (counts["entered"], counts["left"], counts["moved"]) == (0, 0, 0)
    assert counts["stayed"] > 0


def test_a_dismissed_pair_stays_out_of_a_dry_run(exchange):
    with exchange.writing() as session:
        by = make_person(session, Role.SECRETARIAT)
        need = post_need(session)
        match = Match(need=need, offer=post_offer(session), status=MatchStatus.DISMISSED)
        match.dismissals.append(
            Dismissal(side="need", by=by, reason="other", need_version=1, offer_version=1)
        )
        session.add(match)
    with exchange.reading() as session:
        weights = read_weights(THEME_ALONE, exchange.reference)
        counts = try_weights(exchange, session, by, weights, on=exchange.today()).counts
    assert set(counts.values()) == {0}


def test_a_dry_run_in_the_background_finds_what_one_on_the_page_finds(exchange):
    with exchange.writing() as session:
        by = make_person(session, Role.SECRETARIAT)
        provider = make_person(session, Role.PROVIDER, "eclac")
        _fill(session)
        started = start_trial(session, by, THEME_ALONE, exchange.reference)
    with exchange.reading() as session, pytest.raises(NotFound):
        finished_trial(session, by, started.id)
    do_waiting_jobs(exchange)
    with exchange.reading() as session:
        weights = read_weights(THEME_ALONE, exchange.reference)
        here = try_weights(exchange, session, by, weights, on=exchange.today())
        there = finished_trial(session, by, started.id)
        assert there == here
        assert there.counts["left"] > 0
        with pytest.raises(NotAllowed):
            finished_trial(session, provider, started.id)
        assert session.scalar(select(func.count()).select_from(WeightSet)) == 0


def test_few_decisions_teach_nothing(exchange):
    with exchange.writing() as session:
        by = make_person(session, Role.SECRETARIAT)
        _decide(session, 1, MatchStatus.MUTUAL)
        _decide(session, 2, MatchStatus.DISMISSED)
        lesson = learn_from_decisions(exchange, session, by)
    assert lesson.learnt is None
    assert (lesson.accepted, lesson.dismissed) == (1, 1)


def test_people_who_decide_by_theme_raise_the_weight_of_themes(exchange):
    with exchange.writing() as session:
        by = make_person(session, Role.SECRETARIAT)
        for number in range(40):
            accepted = number % 2
            _decide(session, number, MatchStatus.MUTUAL if accepted else MatchStatus.DISMISSED)
        lesson = learn_from_decisions(exchange, session, by)
    assert lesson.learnt is not None
    assert lesson.learnt.weights.theme > Weights().theme
    assert 0.5 <= lesson.learnt.learnt.auc <= 1
    assert sum(percents(lesson.learnt.weights).values()) == 100


def test_the_secretariat_alone_tries_learns_and_adopts(exchange):
    with exchange.writing() as session:
        by = make_person(session, Role.COORDINATOR)
        data = {**DEFAULTS, "reason": "Mine", "replaces": "0"}
        with pytest.raises(NotAllowed):
            try_weights(exchange, session, by, Weights(), on=exchange.today())
        with pytest.raises(NotAllowed):
            learn_from_decisions(exchange, session, by)
        with pytest.raises(NotAllowed):
            adopt_weights(session, by, data, exchange.reference)


def test_weights_are_not_adopted_over_others_that_nobody_has_seen(exchange):
    with exchange.writing() as session:
        by = make_person(session, Role.SECRETARIAT)
        data = {**THEME_ALONE, "reason": "First", "replaces": "0"}
        adopt_weights(session, by, data, exchange.reference)
        with pytest.raises(Conflict):
            adopt_weights(session, by, {**data, "reason": "Second"}, exchange.reference)
