"""The match report: each number equals the rows that make it, in every form of the report."""

import ast
import csv
import io
import json
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from openpyxl import load_workbook
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker import posts
from broker.audit_trail import ACTION_NAMES, EventFilter, find_events
from broker.paths import FIXTURES
from broker.posts import PostFilter, find_posts
from broker.reference import Reference
from broker.reference_data import load_reference_data
from broker.report.answers import overdue_interests
from broker.report.csv_form import as_csv
from broker.report.equity import gini
from broker.report.figures import Quantity
from broker.report.json_form import as_json
from broker.report.layout import Figure
from broker.report.lists import LISTS, find_rows
from broker.report.match_report import MOST_MATCHES, match_report
from broker.report.rows import ReportRows, choose_run, count
from broker.report.scope import ReportScope, read_scope
from broker.report.sections import lay_out
from broker.report.text_form import as_text
from broker.report.workbook import as_xlsx
from broker.runs import run_matching
from broker.secretariat import find_organisations, find_users, lay_out_work
from broker.supply_demand import FACETS, Cell, View
from models import (
    AgreementStatus,
    Commitment,
    InvalidInput,
    MatchRun,
    MatchStatus,
    Milestone,
    NearestOffer,
    NotFound,
    PostStatus,
    PostVersion,
    Role,
    utc_now,
)
from models.ledger import give_back
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.broker.formula_reader import FormulaReader
from tests.broker.report_factories import make_interest, make_run
from tests.factories import make_agreement

FINANCE = {"kind": "finance", "modality": "grant"}
ADVICE = {"kind": "technical_support"}
TRAINING = {"kind": "capacity_building"}

pytestmark = pytest.mark.usefixtures("backend")

of_a_file = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
"""What a file holds depends on the report, and no more on the database that this was read from."""


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session
        session.rollback()


@pytest.fixture
def report(exchange, session):
    """``report(**filters)``: the report in English of what the test has made."""

    def make(listed=None, negotiated_in=None, language="en", **filters):
        scope = ReportScope(exchange.today(), **filters)
        return match_report(
            session, exchange.reference, scope=scope, language=language, listed=listed,
            negotiated_in=negotiated_in,
        )  # fmt: skip

    return make


@pytest.fixture
def rows(exchange, session):
    """``rows(report)``: the lists behind a report."""

    def lists(made):
        run = choose_run(session, made.scope)
        return ReportRows(session, exchange.reference, made.scope, run, made.negotiated_in)

    return lists


def _row(report, facet, code):
    table = next(table for table in report.tables if table.facet == facet)
    return next(row for row in table.rows if row.code == code).total


def _fill_the_market(session):
    """Posts that carry none, one and several codes of every facet, in every state."""
    themes = [[], ["water"], ["water", "youth"], ["climate_change", "water", "msme"]]
    areas = [[], ["2"], ["2", "7"]]
    support = [[TRAINING], [FINANCE, ADVICE], [TRAINING, ADVICE]]
    places = [("gov-pe", {}), ("gov-jm", {}), ("gov-pe", {"subregion": "andean"})]
    for number, (theme, area) in enumerate(product(themes, areas)):
        organisation, where = places[number % 3]
        facts = {
            "themes": theme,
            "ilac_areas": area,
            "support": support[number % 3],
            "status": "expired"
            if number == 5
            else "partly_committed"
            if number == 7
            else "published",
        }
        post_need(session, organisation, **facts, **where)
        served = [
            {"serves_subregions": ["regional"]},
            {"serves_subregions": ["andean", "caribbean"]},
            {"serves_subregions": [], "serves_countries": ["PE", "BR"]},
            {"serves_subregions": [], "serves_outside": ["africa"]},
        ][number % 4]
        post_offer(session, **facts, **served)
    post_need(session, themes=["water"], status="draft")
    post_offer(session, themes=["water"], status="withdrawn")


SUMS = {"places", "money", "places_committed"}
"""Figures that sum what their rows state, and do not count them."""

NOT_COUNTS = ("percent", "days", "points", "score", "share", "rate", "change")


def _stated(row, column):
    """What a row of a list of places or of money states."""
    if hasattr(row, "need_id"):
        return row.places if column == "places" else row.money
    if column == "places":
        return row.places if row.kind == "offer" else row.places_wanted
    if row.kind == "offer":
        return row.money
    return row.money_most if row.money_most is not None else row.money_least


def _check_every_figure(session, lists, made, reference):
    """Each number of the report against the rows of the list to which it leads."""
    checked = 0
    for section in lay_out(made, reference):
        for table in section.tables:
            for row in (*table.rows, *((table.last,) if table.last else ())):
                for cell in row.cells:
                    if not isinstance(cell, Figure) or cell.rows is None:
                        continue
                    if cell.form in NOT_COUNTS:
                        continue
                    query = find_rows(lists, cell.rows.name, cell.rows.values)
                    if cell.rows.name in ("stating", "commitments"):
                        column = "money" if "currency" in cell.rows.values else "places"
                        stated = sum(_stated(r, column) for r in session.scalars(query))
                        assert stated == cell.value, (section.key, row.code, cell.rows)
                    else:
                        assert count(session, query) == cell.value, (section.key, cell.rows)
                    checked += 1
            if table.more is not None:
                query = find_rows(lists, table.more.rows.name, table.more.rows.values)
                assert count(session, query) == table.more.value
    return checked


def _fill_the_exchange(session):
    """Posts, two runs, interests of every state, and agreements of every state."""
    _fill_the_market(session)
    needs = [
        post_need(session, org, places_wanted=10, money_most="900.50", currency="USD", themes=["water"])
        for org in ("gov-pe", "gov-jm", "gov-ht", "gov-br", "gov-lc", "gov-pe", "gov-pe")
    ]  # fmt: skip
    offers = [
        post_offer(session, places=40, money="20000", currency=currency, themes=["water"])
        for currency in ("USD", "EUR", "USD", "USD", "USD", "USD", "USD")
    ]
    needs[4].set_codes("programme", ["sustainable_procurement"])
    post_need(session, money_most="77", currency="USD", money_sealed=True, themes=["water"])
    first = make_run(session, [(n, o, 80.0 - 4 * i) for i, (n, o) in enumerate(zip(needs, offers, strict=True))])  # fmt: skip
    statuses = [AgreementStatus.PROPOSED, AgreementStatus.SIGNED, AgreementStatus.ACTIVE,
                AgreementStatus.COMPLETED]  # fmt: skip
    for need, offer, status in zip(needs, offers, statuses, strict=False):
        make_interest(
            session, need, offer, status=MatchStatus.MUTUAL, answer="accepted", days_ago=9
        )
        made = make_agreement(
            session, need, offer, status=status, places=4, money=Decimal("400.25"),
            currency=offer.currency,
        )  # fmt: skip
        if status == AgreementStatus.ACTIVE:
            made.kind = "voluntary"
            session.add(Milestone(agreement=made, title="Late", due=date(2020, 1, 1)))
    refused = {"status": MatchStatus.DECLINED, "answer": "declined", "reason": "too_late"}
    make_interest(session, needs[4], offers[4], **refused)
    make_interest(session, needs[5], offers[5], days_ago=30)
    make_interest(session, needs[6], offers[6], status=MatchStatus.DISMISSED)
    second = make_run(session, [(needs[0], offers[0], 80.0), (needs[5], offers[6], 55.0)])
    session.flush()
    return first, second


SCOPES = [
    {},
    {"since": days(-7)},
    {"since": days(-400), "until": days(-300)},
    {"subregion": "andean"},
    {"subregion": "caribbean", "country": "JM"},
    {"country": "PE"},
    {"programme": "sustainable_procurement"},
    {"task_force": "tf-procurement", "themes": ("water", "sustainable_public_procurement")},
    {"currency": "USD", "view": View("ilac_area", "support_kind", {"theme": "water"})},
]


@pytest.mark.slow
@pytest.mark.parametrize("filters", SCOPES, ids=lambda f: "-".join(f) or "whole")
def test_every_figure_of_a_report_equals_the_rows_to_which_it_leads(
    exchange, session, report, rows, filters
):
    _fill_the_exchange(session)
    made = report(**filters)
    assert _check_every_figure(session, rows(made), made, exchange.reference) > 50
    coordinator = report(negotiated_in="andean", **filters)
    assert _check_every_figure(session, rows(coordinator), coordinator, exchange.reference) > 50


def test_the_figures_tell_what_was_made(session, report):
    _fill_the_exchange(session)
    made = report()
    figures = made.figures
    assert (figures.signed, figures.in_force, figures.completed) == (3, 2, 1)
    assert (figures.voluntary, figures.late) == (1, 1)
    assert (figures.interests, figures.unanswered) == (7, 2)
    assert figures.unanswered_share == pytest.approx(2 / 7)
    assert figures.answer_days == pytest.approx(9, abs=0.01)
    assert figures.agreement_days == pytest.approx(9, abs=0.01)
    assert figures.places_committed == 12
    assert made.agreement_counts["active"] == 1
    assert made.decline_reasons == {"too_late": 1}
    assert made.overdue_interests == 1


def test_a_cell_of_the_whole_exchange_equals_the_public_list(exchange, session, report):
    _fill_the_market(session)

    def listed(kind, codes):
        fields = {FACETS[facet]: (code,) for facet, code in codes.items()}
        return count(session, find_posts(PostFilter(kind, open_only=True, **fields)))

    made = report()
    for table in made.tables:
        for row in table.rows:
            assert row.total.needs == listed("need", {table.facet: row.code}), row
            assert row.total.offers == listed("offer", {table.facet: row.code}), row
    cross = made.cross
    for row in cross.rows:
        for column, cell in zip(cross.columns, row.cells, strict=True):
            codes = {"theme": row.code, "subregion": column.code}
            assert (cell.needs, cell.offers) == (listed("need", codes), listed("offer", codes))


def test_the_cube_adds_up_to_the_tables(exchange, session, report):
    """A combination of codes holds the posts that carry all of them."""
    _fill_the_market(session)
    made = report()
    for theme, subregion, area, kind, needs, offers in made.cube:
        if "" in (theme, subregion, area, kind):
            continue
        narrowed = {"ilac_area": area, "support_kind": kind}
        cross = report(view=View("theme", "subregion", narrowed)).cross
        place = [column.code for column in cross.columns].index(subregion)
        cell = next(row for row in cross.rows if row.code == theme).cells[place]
        assert (cell.needs, cell.offers) == (needs, offers)
        if kind == "capacity_building":
            break
    else:
        pytest.fail("no combination was checked")


def test_a_post_with_two_themes_counts_in_both_rows_and_once_in_all(session, report):
    post_need(session, themes=["water", "youth"])
    post_need(session, themes=["water"])
    post_need(session, themes=[])
    made = report()
    table = made.tables[0]
    assert (_row(made, "theme", "water").needs, _row(made, "theme", "youth").needs) == (2, 1)
    assert (table.total.needs, table.several.needs, table.unstated.needs) == (3, 1, 1)


def test_an_offer_to_the_region_counts_in_every_subregion(session, report):
    post_offer(session, serves_subregions=["regional"])
    post_offer(session, serves_subregions=[], serves_countries=["PE"])
    made = report()
    assert _row(made, "subregion", "andean").offers == 2
    assert _row(made, "subregion", "caribbean").offers == 1


def test_supply_against_demand_goes_by_what_posts_said_on_the_day_of_the_run(session, report):
    need = post_need(session, "gov-pe", themes=["water"], support=[TRAINING])
    offer = post_offer(session, themes=["water"])

    def keep(number, moment):
        for post in (need, offer):
            version = PostVersion(number=number, content=posts.content(post), created_at=moment)
            post.versions.append(version)
        session.flush()

    keep(101, utc_now() - timedelta(days=1))
    make_run(session)
    need.set_codes("theme", ["youth"])
    need.country_code = "JM"
    posts.write(need, {"support": [FINANCE]})
    offer.set_codes("serves_subregion", ["caribbean"])
    keep(102, utc_now() + timedelta(minutes=1))
    made = report()
    assert (_row(made, "theme", "water").needs, _row(made, "theme", "youth").needs) == (1, 0)
    assert _row(made, "subregion", "andean").needs == 1
    assert _row(made, "support_kind", "capacity_building").needs == 1
    assert list(made.needs[0].codes["theme"]) == ["water"]
    make_run(session)
    session.scalars(select(MatchRun).order_by(MatchRun.id.desc())).first().started_at = (
        utc_now() + timedelta(minutes=2)
    )
    session.flush()
    assert _row(report(), "theme", "youth").needs == 1


def test_before_the_first_run_only_posts_on_the_exchange_are_supply_and_demand(session, report):
    for status in PostStatus:
        post_need(session, status=str(status))
    assert report().standing.needs == 2


def test_before_the_first_run_the_report_says_so_and_tells_the_rest(exchange, session, report):
    post_need(session)
    made = report()
    assert made.run is None
    assert (made.standing.needs, made.best, made.unmet) == (1, (), ())
    assert "has not been run yet" in as_text(made, exchange.reference)
    for write in (as_csv, as_xlsx, as_json, as_text):
        assert write(made, exchange.reference)


# --- What is asked for that is odd


def test_an_empty_exchange_has_a_report_that_says_so(exchange, report):
    text = as_text(report(), exchange.reference)
    assert "There is nothing on the exchange yet." in text
    for write in (as_csv, as_xlsx, as_json):
        assert write(report(), exchange.reference)


def test_filters_that_nothing_fits_are_told(exchange, session, report):
    post_need(session, "gov-pe")
    make_run(session)
    text = as_text(report(country="SR"), exchange.reference)
    assert "Nothing on the exchange fits these filters." in text


def test_a_report_in_which_nothing_met_says_so(exchange, session, report):
    post_need(session)
    post_offer(session)
    make_run(session)
    made = report()
    assert made.figures.match_rate == 0
    assert "No offer matched any of these needs." in as_text(made, exchange.reference)


def test_a_period_that_has_not_ended_is_told_up_to_today(exchange, session, report):
    post_need(session)
    make_run(session)
    made = report(since=days(-3), until=days(30))
    assert made.scope.last_day == exchange.today()
    assert "which is still to come" in as_text(made, exchange.reference)


def test_one_country_alone_has_no_distribution(exchange, session, report):
    post_need(session)
    make_run(session)
    made = report()
    assert made.equity.gini is None
    assert "Only one country asks" in as_text(made, exchange.reference)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"from": "2026-05-01", "to": "2026-04-30"}, "to"),
        ({"from": "2090-01-01"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"subregion": "atlantis"}, "subregion"),
        ({"country": "DE"}, "country"),
        ({"programme": "colour"}, "programme"),
        ({"task_force": "gov-pe"}, "task_force"),
        ({"run": "4711"}, "run"),
        ({"run": "x"}, "run"),
        ({"against": "4711"}, "against"),
        ({"currency": "XXX"}, "currency"),
        ({"rows": "colour"}, "rows"),
    ],
)
def test_filters_that_cannot_be_are_refused_with_their_field(exchange, session, given, field):
    with pytest.raises(InvalidInput) as refusal:
        read_scope(session, given, exchange.reference, today=exchange.today())
    assert set(refusal.value.fields) == {field}


def test_filters_come_back_as_they_were_given(exchange, session):
    given = {
        "from": "2026-01-01", "to": "2026-06-30", "subregion": "andean", "country": "PE",
        "programme": "sustainable_procurement", "task_force": "tf-tourism", "currency": "EUR",
    }  # fmt: skip
    scope = read_scope(
        session, {**given, "colour": "red"}, exchange.reference, today=exchange.today()
    )
    assert scope.parameters() == given
    assert "sustainable_tourism" in scope.themes
    assert scope.before().parameters()["to"] == "2025-12-31"


def test_a_list_that_does_not_exist_is_not_found(exchange, session, report, rows):
    lists = rows(report())
    for name, values in (
        ("colour", {}),
        ("interests", {"state": "colour"}),
        ("agreements", {"event": "colour"}),
        ("stating", {"currency": "XXX"}),
        ("asking", {"place": "DE"}),
    ):
        with pytest.raises(NotFound):
            find_rows(lists, name, values)
    for name in LISTS:
        assert count(session, find_rows(lists, name, {})) == 0


# --- Runs


def test_unmet_needs_and_unused_offers_are_those_without_a_match(session, report):
    needs = [post_need(session) for _ in range(4)]
    offers = [post_offer(session) for _ in range(3)]
    make_run(
        session,
        [(needs[0], offers[0], 80.0), (needs[0], offers[1], 60.0), (needs[1], offers[0], 50.0)],
    )
    made = report()
    assert made.figures.match_rate == 0.5
    assert (made.figures.matches, made.figures.met_needs) == (3, 2)
    assert made.run.eligible_pairs == 10
    assert {line.need.id for line in made.unmet} == {needs[2].id, needs[3].id}
    assert {line.offer.id for line in made.unused} == {offers[2].id}
    assert [(line.score, line.band) for line in made.best] == [
        (80.0, "strong"),
        (60.0, "good"),
        (50.0, "possible"),
    ]


def test_unmet_needs_stand_by_how_near_they_came_with_what_was_missing(exchange, session, report):
    far, near, alone = (post_need(session, title=title) for title in ("far", "near", "alone"))
    offer = post_offer(session, title="Nearly right")
    run = make_run(session)
    change = {
        "side": "offer",
        "field": "themes",
        "kind": "add",
        "value": "water",
        "gained": 4_800_000,
    }
    session.add_all(
        [
            NearestOffer(run_id=run.id, need_id=far.id, offer_id=offer.id, score=20.0, missing={}),
            NearestOffer(
                run_id=run.id, need_id=near.id, offer_id=offer.id, score=48.5,
                missing={"changes": [change]},
            ),
            NearestOffer(
                run_id=run.id, need_id=alone.id, offer_id=None, score=None,
                missing={"rules": {"place_not_served": 3, "own_organisation": 1}},
            ),
        ]
    )  # fmt: skip
    session.flush()
    made = report()
    assert [line.need.title for line in made.unmet] == ["near", "far", "alone"]
    assert "adds to its themes: Water. That would give 5 points more." in made.unmet[0].missing[0]
    assert "the place is not served (3 offers)" in made.unmet[2].missing[0]


def test_a_run_keeps_how_near_the_needs_came_that_nobody_met(exchange, session):
    post_need(session, "gov-pe", title="Glaciers", themes=["climate_change"], support=[FINANCE])
    post_need(session, "gov-jm", title="Buyers")
    post_offer(session, serves_subregions=["caribbean"])
    run = run_matching(exchange, session, None)
    nearest = {row.need.title: row for row in session.scalars(select(NearestOffer))}
    assert run.unmet_needs == len(nearest) >= 1
    assert nearest["Glaciers"].offer_id is None
    assert nearest["Glaciers"].missing["rules"]["place_not_served"] == 1


def test_an_unused_offer_says_what_it_waits_for(session, report):
    post_need(session, "gov-pe", themes=["water"], support=[FINANCE])
    post_offer(session, title="theme", themes=["youth"])
    post_offer(session, title="place", themes=["water"], serves_subregions=["caribbean"])
    post_offer(session, title="support", themes=["water"], support=[TRAINING])
    post_offer(session, title="fit", themes=["water"], support=[FINANCE])
    make_run(session)
    assert {line.offer.title: (line.waits_for, line.needs) for line in report().unused} == {
        "theme": ("theme", 0),
        "place": ("place", 1),
        "support": ("support", 1),
        "fit": ("fit", 1),
    }


def test_the_report_of_an_older_run_can_be_made_again(session, report):
    need, offer = post_need(session), post_offer(session)
    older = make_run(session, [(need, offer, 80.0)])
    make_run(session)
    assert report().figures.matches == 0
    assert report(run=older.id).figures.matches == 1


def test_a_period_rests_on_the_last_run_in_it(session, report):
    need, offer = post_need(session), post_offer(session)
    older = make_run(session, [(need, offer, 80.0)])
    older.on = days(-40)
    make_run(session)
    session.flush()
    assert report(until=days(-30)).run.id == older.id
    assert report(until=days(-50)).run is None


def test_a_report_is_compared_with_the_period_before_or_with_a_chosen_run(session, report):
    need, offer = post_need(session), post_offer(session)
    older = make_run(session, [(need, offer, 80.0)])
    newer = make_run(session)
    make_interest(session, need, offer, days_ago=10)
    made = report()
    assert (made.earlier.run, made.earlier.figures.matches) == (older.id, 1)
    made = report(since=days(-6), until=days(0))
    assert (made.earlier.since, made.earlier.until) == (days(-13), days(-7))
    assert (made.figures.interests, made.earlier.figures.interests) == (0, 1)
    assert report(against=newer.id).earlier.run == newer.id
    assert report(run=older.id).earlier is None


def test_it_tells_how_many_posts_have_changed_since_the_run(session, report):
    need, offer = post_need(session), post_offer(session)
    make_run(session, [(need, offer, 80.0)])
    assert report().run.changed == 0
    post_need(session)
    offer.status = PostStatus.WITHDRAWN
    session.flush()
    assert report().run.changed == 2


def test_the_same_filters_and_run_give_the_same_bytes(exchange, session, report):
    _fill_the_exchange(session)
    for write in (as_csv, as_xlsx, as_json, as_text):
        made = [write(report(since=days(-30)), exchange.reference) for _ in range(2)]
        assert made[0] == made[1], write


def test_what_happens_after_the_period_does_not_change_its_report(session, report):
    need, offer = post_need(session), post_offer(session)
    interest = make_interest(session, need, offer, days_ago=30)
    other = post_offer(session)
    made = make_agreement(session, need, other, status=AgreementStatus.PROPOSED, places=2)
    made.created_at = interest.created_at
    session.flush()
    before = report(until=days(-10))
    interest.answer, interest.answered_at = "accepted", utc_now()
    made.status, made.signed_at = AgreementStatus.ACTIVE, utc_now()
    session.flush()
    after = report(until=days(-10))
    assert before.interest_counts == after.interest_counts
    assert after.figures.unanswered == 1
    assert (after.figures.signed, after.agreement_counts["negotiated"]) == (0, 1)


def test_a_list_is_cut_and_its_number_is_not(session, report):
    for _ in range(5):
        post_need(session)
    make_run(session)
    made = report(listed=2)
    assert (len(made.unmet), made.figures.unmet_needs) == (2, 5)


def test_no_report_lists_more_matches_than_people_read(session, report):
    offer = post_offer(session)
    needs = [post_need(session) for _ in range(MOST_MATCHES + 5)]
    make_run(session, [(need, offer, 60.0) for need in needs])
    made = report()
    assert len(made.best) == MOST_MATCHES
    assert made.figures.matches == MOST_MATCHES + 5


# --- Money


def test_currencies_are_never_added_and_each_sum_equals_its_rows(session, report):
    post_need(session, money_least="1000", money_most="1500", currency="USD", places_wanted=20)
    post_need(session, money_least="700", currency="USD")
    post_need(session, money_most="900.50", currency="EUR", status="fulfilled")
    post_need(session, money_most="5", currency="EUR", status="draft")
    post_offer(session, money="10000", currency="USD", places=15)
    post_offer(session, money="3000", currency="CHF", status="exhausted")
    made = report()
    assert {code: (q.asked, q.offered) for code, q in made.money.items()} == {
        "CHF": (0, 3000),
        "EUR": (Decimal("900.50"), 0),
        "USD": (2200, 10000),
    }
    assert (made.places.asked, made.places.offered) == (20, 15)
    assert made.converted is None


def test_a_conversion_states_rate_day_and_source(exchange, session, report):
    post_need(session, money_most="1000", currency="USD")
    post_need(session, money_most="1000", currency="EUR")
    made = report(currency="USD")
    euro = exchange.reference.currencies["EUR"]
    assert made.converted.total.asked == 1000 + round(
        Decimal(1000) * Decimal(str(euro.usd_rate)), 2
    )
    (rate,) = made.converted.rates
    assert (rate.currency, rate.rate, rate.on) == ("EUR", euro.usd_rate, euro.rate_date)
    assert rate.source == euro.rate_source
    assert euro.rate_source in as_text(made, exchange.reference).replace("\n    ", " ")


def test_a_sealed_amount_is_in_no_sum_and_in_no_file(exchange, session, report):
    post_need(session, money_most="7654321", currency="USD", money_sealed=True)
    post_need(session, money_most="1000", currency="USD")
    make_run(session)
    made = report()
    assert made.money["USD"].asked == 1000
    assert made.sealed == 1
    for write in (as_text, as_csv, as_json):
        assert "7654321" not in write(made, exchange.reference)
    book = load_workbook(io.BytesIO(as_xlsx(made, exchange.reference)))
    assert not any("7654321" in str(cell.value) for sheet in book for r in sheet.rows for cell in r)


def test_committed_is_what_the_ledger_holds(session, report, rows):
    need = post_need(session, money_most="9000", currency="USD", places_wanted=50)
    offer = post_offer(session, money="8000", currency="USD", places=40)
    made = make_agreement(
        session, need, offer, status=AgreementStatus.ACTIVE, places=12, money=Decimal(5000),
        currency="USD",
    )  # fmt: skip
    made.terminate(made.parties[0].signed_by, "The project ended early.")
    give_back(session, made, 10, Decimal(4200))
    made = report()
    assert (made.places.committed, made.money["USD"].committed) == (10, 4200)
    moved = session.scalars(rows(made).commitments("USD")).all()
    assert sum(row.money for row in moved) == 4200
    assert session.scalar(select(func.count(Commitment.id))) == 2


# --- Who sees what


def test_a_coordinators_report_keeps_to_her_subregion_where_others_negotiate(session, report):
    andean, caribbean, regional = (
        post_need(session, places_wanted=50, **facts)
        for facts in ({}, {"organisation": "gov-jm"}, {"country": None, "subregion": "andean"})
    )
    for need in (andean, caribbean, regional):
        offer = post_offer(session)
        make_interest(session, need, offer)
        make_agreement(session, need, post_offer(session), status=AgreementStatus.SIGNED, places=4)
    made = report(negotiated_in="andean")
    assert made.interest_counts["waiting"] == 2
    assert made.agreement_counts["signed"] == 2
    assert made.places.committed == 8
    assert {line.need for line in made.agreements} == {andean.reference, regional.reference}
    # What is public stays whole: the market is one.
    assert made.standing.needs == 3


def test_the_number_of_queries_does_not_grow_with_the_exchange(
    exchange, session, report, count_queries
):
    def queries(number):
        for _ in range(number):
            need, offer = post_need(session), post_offer(session)
            make_agreement(session, need, offer, status=AgreementStatus.SIGNED, places=1)
            pairs.append((need, offer, 80.0))
            post_need(session)
            post_offer(session)
        make_run(session, pairs)
        session.flush()
        session.expunge_all()
        with count_queries() as statements:
            report()
        return len(statements)

    pairs = []
    queries(1)
    assert queries(2) == queries(10)


def test_the_view_of_a_report_refuses_what_does_not_exist(exchange):
    with pytest.raises(InvalidInput) as refusal:
        View.read({"rows": "colour", "ilac_area": "99"}, exchange.reference)
    assert set(refusal.value.fields) == {"rows", "ilac_area"}


def test_the_same_facet_twice_gives_way(exchange):
    view = View.read({"rows": "subregion", "columns": "subregion"}, exchange.reference)
    assert (view.rows, view.columns) == ("subregion", "theme")


def test_the_report_speaks_the_language_that_is_asked_for(exchange, session, report):
    post_need(session, themes=["water"], title="Agua", language="es")
    made = report(language="fr")
    labels = {row.label for row in made.tables[0].rows}
    assert exchange.reference.label("theme", "water", "fr") in labels


# --- Equity and outcomes


def test_the_gini_coefficient_tells_how_unequal_shares_are():
    assert gini([0.4, 0.4, 0.4]) == pytest.approx(0.0)
    assert gini([1.0, 0.0, 0.0, 0.0]) == pytest.approx(0.75)
    assert gini([0.2, 0.4]) == pytest.approx(1 / 6)
    assert gini([0.5]) is None
    assert gini([0.0, 0.0]) is None


def test_small_islands_and_least_developed_countries_stand_apart(session, report):
    served, waiting = post_need(session, "gov-lc", places_wanted=5), post_need(session, "gov-ht")
    post_need(session, "gov-br")
    post_need(session, "gov-pe", country=None, subregion="andean")
    make_agreement(session, served, post_offer(session), status=AgreementStatus.SIGNED, places=3)
    equity = report().equity
    by_group = {group.code: (group.needs, group.served) for group in equity.groups}
    assert by_group == {"small_island": (2, 1), "least_developed": (1, 0), "other": (1, 0)}
    by_country = {place.code: place for place in equity.countries}
    assert (by_country["LC"].share, by_country["LC"].places_given) == (1.0, 3)
    assert by_country["HT"].served == 0
    assert by_country["none"].needs == 1
    assert equity.total.needs == 4
    assert equity.gini == pytest.approx(2 / 3)
    assert waiting.country_code not in equity.silent
    assert "PE" in equity.silent


def test_an_agreement_that_is_broken_off_serves_nobody(session, report):
    need = post_need(session)
    made = make_agreement(
        session, need, post_offer(session), status=AgreementStatus.SIGNED, places=3
    )
    assert report().equity.total.served == 1
    made.terminate(made.parties[0].signed_by, "No money was left.")
    session.flush()
    assert report().equity.total.served == 0


def _suggest(session, bands):
    """A run with pairs of bands (score → pairs suggested, agreements signed)."""
    offer = post_offer(session, places=10_000)
    pairs, agreed = [], []
    for score, (suggested, agreements) in bands.items():
        for number in range(suggested):
            need = post_need(session)
            pairs.append((need, offer, score))
            if number < agreements:
                agreed.append(need)
    make_run(session, pairs)
    for need in agreed:
        make_agreement(session, need, offer, status=AgreementStatus.SIGNED, places=1)


def test_outcomes_are_told_by_band_and_not_judged_when_they_are_few(session, report):
    _suggest(session, {80.0: (4, 2), 50.0: (5, 0)})
    found = report().calibration
    assert [(b.band, b.suggested, b.agreement) for b in found.bands] == [
        ("strong", 4, 2),
        ("good", 0, 0),
        ("possible", 5, 0),
    ]
    assert found.verdict == "few"
    assert (found.total.suggested, found.total.agreement, found.total.interest) == (9, 2, 2)


def test_better_scores_that_became_agreements_are_seen(session, report):
    _suggest(session, {80.0: (30, 12), 50.0: (30, 0)})
    assert report().calibration.verdict == "higher"


def test_a_pair_counts_once_with_the_score_of_its_first_run(session, report):
    need, offer = post_need(session), post_offer(session)
    make_run(session, [(need, offer, 80.0)])
    make_run(session, [(need, offer, 50.0)])
    assert [band.suggested for band in report().calibration.bands] == [1, 0, 0]


def test_before_anything_is_suggested_there_is_nothing_to_judge(session, report):
    assert report().calibration.verdict == "none"


# --- Files


def _hostile(session):
    """Posts and agreements whose titles a spreadsheet program would take for formulas."""
    titles = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "quiet"]
    needs = [post_need(session, title=title) for title in titles]
    offer = post_offer(session, title='=HYPERLINK("https://example.org")')
    make_run(session, [(needs[0], offer, 77.0)])
    make_agreement(session, needs[1], post_offer(session), title="=2+2", places=2)
    return titles


@of_a_file
def test_no_text_of_the_csv_file_starts_as_a_formula(exchange, session, report):
    _hostile(session)
    rows = list(csv.reader(io.StringIO(as_csv(report(), exchange.reference))))
    assert any("1+1" in cell for row in rows for cell in row)
    for row in rows[1:]:
        assert len(row) == len(rows[0])
        for name, cell in zip(rows[0], row, strict=True):
            number = name == "value" and cell.lstrip("-").replace(".", "").isdecimal()
            assert number or not cell.startswith(("=", "+", "-", "@", "\t")), cell


@of_a_file
def test_the_csv_file_holds_every_number_under_the_same_codes_in_every_language(
    exchange, session, report
):
    _fill_the_market(session)
    found = {}
    for language in ("en", "fr"):
        made = report(language=language)
        lines = list(csv.DictReader(io.StringIO(as_csv(made, exchange.reference))))
        for table in made.tables:
            needs = {
                line["row"]: int(line["value"])
                for line in lines
                if line["table"] == table.facet and line["column"] == "needs"
            }
            assert {row.code: row.total.needs for row in table.rows}.items() <= needs.items()
        found[language] = {
            (line["section"], line["table"], line["row"], line["column"]) for line in lines
        }
    assert found["en"] == found["fr"]


def _workbook(report, reference):
    return load_workbook(io.BytesIO(as_xlsx(report, reference)))


@of_a_file
def test_the_workbook_takes_texts_for_texts(exchange, session, report):
    titles = _hostile(session)
    book = _workbook(report(), exchange.reference)
    seen = {}
    ours = (
        "=SUM(",
        "=SUMIFS(",
        "=COUNTIFS(",
        "=COUNTA(",
        "=IF(",
        "=A",
        "=B",
        "=C",
        "=D",
        "=E",
        "=F",
    )
    for sheet in book:
        for row in sheet.rows:
            for cell in row:
                if cell.data_type == "f":
                    assert str(cell.value).startswith(ours)
                elif isinstance(cell.value, str):
                    seen[cell.value.strip()] = cell
    for title in titles:
        assert seen[title.strip()].data_type == "s"
    assert seen["=1+1"].quotePrefix
    assert seen["=2+2"].data_type == "s"


@of_a_file
@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("filters", [{}, {"subregion": "caribbean"}, {"since": days(-7)}])
def test_every_formula_of_the_workbook_gives_the_number_of_the_report(
    exchange, session, report, filters, language
):
    _fill_the_exchange(session)
    made = report(language=language, currency="USD", **filters)
    book = _workbook(made, exchange.reference)
    reader = FormulaReader(book)
    checked = 0
    for sheet, section in zip(book.worksheets, lay_out(made, exchange.reference), strict=False):
        for table in section.tables:
            if table.key == "cube":
                continue
            head = _head_of(sheet, section, table)
            for number, row in enumerate((*table.rows, *((table.last,) if table.last else ()))):
                for place, content in enumerate(row.cells, start=1):
                    if not isinstance(content, Figure) or content.value is None:
                        continue
                    cell = sheet.cell(head + 1 + number, place)
                    value = reader.value(sheet.title, cell.coordinate)
                    where = (section.key, table.key, row.code, cell.coordinate, cell.value)
                    assert value == pytest.approx(float(content.value), abs=1e-3), where
                    checked += cell.data_type == "f"
    assert checked > 100


def _head_of(sheet, section, table):
    """The row of the table's headings: the tables before it come first."""
    at = 0
    for found in section.tables:
        titles = [column.title for column in found.columns[:2]]
        at = next(
            n for n in range(at + 1, sheet.max_row + 1)
            if [sheet.cell(n, 1).value, sheet.cell(n, 2).value] == titles
        )  # fmt: skip
        if found is table:
            break
    return at


@of_a_file
def test_the_workbook_lists_the_rows_behind_its_numbers(exchange, session, report):
    _fill_the_market(session)
    make_run(session)
    made = report()
    book = _workbook(made, exchange.reference)
    assert book["Needs, all rows"].max_row - 1 == len(made.needs) == made.standing.needs
    assert book["Offers, all rows"].max_row - 1 == len(made.offers) == made.standing.offers
    assert book["Needs, all rows"].freeze_panes == "B2"
    assert all(sheet.freeze_panes for sheet in book)


@of_a_file
def test_the_workbook_bears_long_titles_and_signs_that_xml_does_not(exchange, session, report):
    post_need(session, title="A\x0bB " + "x" * 190)
    assert as_xlsx(report(language="fr"), exchange.reference)


@of_a_file
def test_the_json_file_holds_the_whole_report(exchange, session, report):
    need, offer = post_need(session), post_offer(session, money="10.50", currency="USD")
    make_run(session, [(need, offer, 80.0)])
    made = report()
    read = json.loads(as_json(made, exchange.reference))
    assert read["money"]["USD"]["offered"] == "10.50"
    assert read["figures"]["matches"] == 1
    assert read["figures"]["match_rate"] == 1.0
    assert read["best"][0]["need"]["reference"] == need.reference
    assert [t["facet"] for t in read["tables"]] == list(FACETS)


@of_a_file
def test_the_text_names_the_best_matches_with_their_main_reason(exchange, session, report):
    need = post_need(session, title="Clean water for schools", themes=["water"])
    make_run(session, [(need, post_offer(session, themes=["water"]), 81.25)])
    made = report()
    text = " ".join(as_text(made, exchange.reference).split())
    assert "Clean water for schools" in text
    assert made.best[0].reason in text
    assert "Both are about Water" in made.best[0].reason


def test_every_action_of_the_audit_trail_has_its_name():
    found = set()
    for path in (Path(__file__).parents[2] / "broker").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "record":
                action = node.args[2]
                choices = (
                    [action.body, action.orelse] if isinstance(action, ast.IfExp) else [action]
                )
                found |= {choice.value for choice in choices}
    assert len(found) > 25
    assert found == set(ACTION_NAMES)


def test_every_database_gives_the_same_report(database):
    with Session(database) as session:
        load_reference_data(session, FIXTURES / "reference")
        reference = Reference.read(session)
        session.commit()
        _fill_the_market(session)
        need = post_need(session, money_most="900.50", currency="USD")
        offer = post_offer(session, money="1000", currency="USD", places=9)
        make_agreement(
            session, need, offer, status=AgreementStatus.SIGNED, places=4,
            money=Decimal("400.25"), currency="USD",
        )  # fmt: skip
        make_interest(session, post_need(session), post_offer(session), days_ago=20)
        made = match_report(session, reference, scope=ReportScope(days(0)), language="en")
        assert made.standing == Cell(13, 13)
        assert _row(made, "theme", "water") == Cell(8, 8)
        assert _row(made, "subregion", "caribbean") == Cell(4, 7)
        assert made.money["USD"] == Quantity(Decimal("900.50"), Decimal(1000), Decimal("400.25"))
        assert (made.places.committed, made.interest_counts["waiting"]) == (4, 1)
        assert (made.overdue_interests, made.agreement_counts["signed"]) == (1, 1)
        make_run(session, [(need, offer, 80.0)])
        made = match_report(session, reference, scope=ReportScope(days(0)), language="en")
        assert made.figures.unmet_needs == len(made.unmet)
        by = make_person(session, Role.SECRETARIAT)
        assert count(session, find_users(by, "unep role")) == 1
        assert count(session, find_organisations("comisión CEPAL")) == 1
        assert count(session, find_events(EventFilter(person="role", reference="need"), by)) == 0
        assert lay_out_work(session, by, today=days(0)).overdue_total == 1
        assert count(session, overdue_interests(utc_now())) == 1
