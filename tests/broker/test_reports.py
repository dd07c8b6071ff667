"""The match report: each number equals the rows that make it, in every form of the report."""

import ast
import csv
import io
import json
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from openpyxl import load_workbook
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker.audit_trail import ACTION_NAMES, EventFilter, find_events
from broker.paths import FIXTURES
from broker.posts import PostFilter, find_posts
from broker.reference import Reference
from broker.reference_data import load_reference_data
from broker.report_files import as_csv, as_json, as_xlsx
from broker.reports import (
    MOST_MATCHES,
    Quantity,
    agreements,
    as_text,
    commitments,
    count,
    interests,
    match_report,
    overdue_interests,
    posts_stating_money,
    posts_stating_places,
    sealed_needs,
    unmet_needs,
    unused_offers,
)
from broker.secretariat import find_organisations, find_users, lay_out_work
from broker.supply_demand import FACETS, Cell, View, posts_without
from models import (
    AgreementStatus,
    Commitment,
    InvalidInput,
    MatchStatus,
    PostStatus,
    Role,
    utc_now,
)
from models.ledger import give_back
from tests.broker.factories import make_person, post_need, post_offer
from tests.broker.report_factories import make_interest, make_run
from tests.factories import make_agreement

FINANCE = {"kind": "finance", "modality": "grant"}
ADVICE = {"kind": "technical_support"}
TRAINING = {"kind": "capacity_building"}

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session
        session.rollback()


@pytest.fixture
def report(exchange, session):
    """``report(**options)``: the report in English of what the test has made."""
    return lambda **options: match_report(
        session, exchange.reference, **{"language": "en", **options}
    )


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


def test_every_cell_equals_the_list_to_which_it_leads(exchange, session, report):
    _fill_the_market(session)

    def listed(kind, codes):
        fields = {FACETS[facet]: (code,) for facet, code in codes.items()}
        return count(session, find_posts(PostFilter(kind, open_only=True, **fields)))

    made = report()
    for table in made.tables:
        for row in table.rows:
            assert row.total.needs == listed("need", {table.facet: row.code})
            assert row.total.offers == listed("offer", {table.facet: row.code})
        for kind in ("need", "offer"):
            left_open = posts_without(kind, table.facet, exchange.reference)
            assert getattr(table.unstated, f"{kind}s") == count(session, left_open)
            assert getattr(table.total, f"{kind}s") == listed(kind, {})
    checked = 0
    for rows, columns in product(FACETS, FACETS):
        others = [facet for facet in FACETS if facet not in (rows, columns)]
        if rows == columns:
            continue
        for narrowed in ({}, {others[0]: {"theme": "water", "support_kind": "finance"}.get(others[0], "2" if others[0] == "ilac_area" else "andean")}):  # fmt: skip
            cross = report(view=View(rows, columns, narrowed)).cross
            assert cross.total.needs == listed("need", narrowed)
            for row in cross.rows:
                codes = {**narrowed, rows: row.code}
                assert row.total.offers == listed("offer", codes)
                for column, cell in zip(cross.columns, row.cells, strict=True):
                    codes = {**narrowed, rows: row.code, columns: column.code}
                    assert cell.needs == listed("need", codes)
                    assert cell.offers == listed("offer", codes)
                    checked += 1
    assert checked > 100


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


def test_only_posts_on_the_exchange_are_supply_and_demand(session, report):
    for status in PostStatus:
        post_need(session, status=str(status))
    assert report().standing.needs == 2


def test_before_the_first_run_the_report_says_so_and_tells_the_rest(session, report):
    post_need(session)
    made = report()
    assert made.run is None
    assert (made.standing.needs, made.best, made.unmet) == (1, (), ())
    assert "has not been run yet" in as_text(made, "en")
    for write in (as_csv, as_xlsx, as_json):
        assert write(made, "en")


def test_unmet_needs_and_unused_offers_are_those_without_a_match(session, report):
    needs = [post_need(session) for _ in range(4)]
    offers = [post_offer(session) for _ in range(3)]
    run = make_run(
        session,
        [(needs[0], offers[0], 80.0), (needs[0], offers[1], 60.0), (needs[1], offers[0], 50.0)],
    )
    made = report()
    assert made.run.match_rate == 0.5
    assert (made.run.matches, made.run.matched_needs, made.run.eligible_pairs) == (3, 2, 10)
    assert {line.id for line in made.unmet} == {needs[2].id, needs[3].id}
    assert {line.id for line in made.unused} == {offers[2].id}
    assert made.run.unmet_needs == count(session, unmet_needs(session, run)) == 2
    assert made.run.unused_offers == count(session, unused_offers(session, run)) == 1
    assert [(line.score, line.band) for line in made.best] == [
        (80.0, "strong"),
        (60.0, "good"),
        (50.0, "possible"),
    ]


def test_the_report_of_an_older_run_can_be_made_again(session, report):
    need, offer = post_need(session), post_offer(session)
    older = make_run(session, [(need, offer, 80.0)])
    make_run(session)
    assert report().run.matches == 0
    assert report(run=older).run.matches == 1


def test_it_tells_how_many_posts_have_changed_since_the_run(session, report):
    need, offer = post_need(session), post_offer(session)
    make_run(session, [(need, offer, 80.0)])
    assert report().run.changed == 0
    post_need(session)
    offer.status = PostStatus.WITHDRAWN
    session.flush()
    assert report().run.changed == 2


def test_a_list_is_cut_and_its_number_is_not(session, report):
    for _ in range(5):
        post_need(session)
    make_run(session)
    made = report(listed=2)
    assert (len(made.unmet), made.run.unmet_needs) == (2, 5)


def test_no_report_lists_more_matches_than_people_read(session, report):
    offer = post_offer(session)
    needs = [post_need(session) for _ in range(MOST_MATCHES + 5)]
    make_run(session, [(need, offer, 60.0) for need in needs])
    made = report()
    assert len(made.best) == MOST_MATCHES
    assert made.run.matches == MOST_MATCHES + 5
    assert as_text(made, "en").count("←") == 10


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
    for currency, quantity in made.money.items():
        needs = session.scalars(posts_stating_money("need", currency)).all()
        offers = session.scalars(posts_stating_money("offer", currency)).all()
        asked = sum(n.money_most if n.money_most is not None else n.money_least for n in needs)
        assert (asked, sum(o.money for o in offers)) == (quantity.asked, quantity.offered)
    assert sum(n.places_wanted for n in session.scalars(posts_stating_places("need"))) == 20
    assert sum(o.places for o in session.scalars(posts_stating_places("offer"))) == 15


def test_a_sealed_amount_is_in_no_sum_and_in_no_file(session, report):
    post_need(session, money_most="7654321", currency="USD", money_sealed=True)
    post_need(session, money_most="1000", currency="USD")
    make_run(session)
    made = report()
    assert made.money["USD"].asked == 1000
    assert made.sealed == count(session, sealed_needs()) == 1
    assert not any("7654321" in write(made, "en") for write in (as_text, as_csv, as_json))
    book = load_workbook(io.BytesIO(as_xlsx(made, "en")))
    assert not any("7654321" in str(cell.value) for sheet in book for r in sheet.rows for cell in r)


def test_committed_is_what_the_ledger_holds(session, report):
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
    rows = session.scalars(commitments("USD")).all()
    assert sum(row.money for row in rows) == 4200
    assert sum(row.places for row in session.scalars(commitments())) == 10
    assert session.scalar(select(func.count(Commitment.id))) == 2


def test_agreements_are_counted_and_listed_by_their_state(session, report):
    for status in (AgreementStatus.PROPOSED, AgreementStatus.SIGNED, AgreementStatus.SIGNED):
        make_agreement(session, post_need(session), post_offer(session), status=status, places=3)
    made = report()
    assert made.agreement_counts["signed"] == count(session, agreements("signed")) == 2
    assert sum(made.agreement_counts.values()) == len(made.agreements) == 3
    assert {line.status for line in made.agreements} == {"proposed", "signed"}


def test_interests_are_counted_by_what_became_of_them(session, report):
    def pair():
        return post_need(session), post_offer(session)

    make_interest(session, *pair())
    make_interest(session, *pair(), days_ago=15)
    make_interest(session, *pair(), status=MatchStatus.MUTUAL, answer="accepted")
    refused = {"status": MatchStatus.DECLINED, "answer": "declined"}
    make_interest(session, *pair(), **refused, reason="too_late")
    make_interest(session, *pair(), **refused, reason="too_late")
    make_interest(session, *pair(), status=MatchStatus.DISMISSED)
    made = report()
    assert made.interest_counts == {"waiting": 2, "accepted": 1, "declined": 2, "lapsed": 1}
    assert made.overdue_interests == 1
    assert made.decline_reasons == {"too_late": 2}
    for state, number in made.interest_counts.items():
        assert count(session, interests(state)) == number
    assert count(session, interests("declined", reason="too_late")) == 2
    assert count(session, overdue_interests(utc_now())) == 1


def test_a_coordinators_report_keeps_to_her_subregion_where_others_negotiate(session, report):
    andean, caribbean = post_need(session), post_need(session, "gov-jm")
    regional = post_need(session, "gov-pe", country=None, subregion="andean")
    for need in (andean, caribbean, regional):
        offer = post_offer(session)
        make_interest(session, need, offer)
        make_agreement(session, need, post_offer(session), status=AgreementStatus.SIGNED, places=4)
    made = report(subregion="andean")
    assert made.interest_counts["waiting"] == count(session, interests(subregion="andean")) == 2
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
    report()
    assert queries(2) == queries(10)


def test_the_view_of_a_report_refuses_what_does_not_exist(exchange):
    with pytest.raises(InvalidInput) as refusal:
        View.read({"rows": "colour", "ilac_area": "99"}, exchange.reference)
    assert set(refusal.value.fields) == {"rows", "ilac_area"}


def test_the_same_facet_twice_gives_way(exchange):
    view = View.read({"rows": "subregion", "columns": "subregion"}, exchange.reference)
    assert (view.rows, view.columns) == ("subregion", "theme")


def test_the_report_speaks_the_language_that_is_asked_for(exchange, session):
    post_need(session, themes=["water"], title="Agua", language="es")
    made = match_report(session, exchange.reference, language="fr")
    labels = {row.label for row in made.tables[0].rows}
    assert exchange.reference.label("theme", "water", "fr") in labels


def _hostile(session):
    """Posts and agreements whose titles a spreadsheet program would take for formulas."""
    titles = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "quiet"]
    needs = [post_need(session, title=title) for title in titles]
    offer = post_offer(session, title='=HYPERLINK("https://example.org")')
    make_run(session, [(needs[0], offer, 77.0)])
    make_agreement(session, needs[1], post_offer(session), title="=2+2", places=2)
    return titles


def test_no_text_of_the_csv_file_starts_as_a_formula(session, report):
    _hostile(session)
    rows = list(csv.reader(io.StringIO(as_csv(report(), "en"))))
    assert any("1+1" in cell for row in rows for cell in row)
    for row in rows[1:]:
        assert len(row) == len(rows[0])
        for name, cell in zip(rows[0], row, strict=True):
            if name != "value":
                assert not cell.startswith(("=", "+", "-", "@", "\t"))


def test_the_csv_file_holds_every_number_of_the_tables(session, report):
    _fill_the_market(session)
    made = report()
    rows = list(csv.DictReader(io.StringIO(as_csv(made, "en"))))
    for table in made.tables:
        found = {
            r["row"]: int(r["value"])
            for r in rows
            if r["section"] == table.facet and r["measure"] == "needs" and r["row"]
        }
        assert found == {row.code: row.total.needs for row in table.rows}


def test_the_workbook_takes_texts_for_texts(session, report):
    titles = _hostile(session)
    book = load_workbook(io.BytesIO(as_xlsx(report(), "en")))
    seen = {}
    for sheet in book:
        for row in sheet.rows:
            for cell in row:
                if cell.data_type == "f":
                    assert str(cell.value).startswith(("=SUM(", "=IF(B", "=B", "=C", "=D"))
                elif isinstance(cell.value, str):
                    seen[cell.value.strip()] = cell
    for title in titles:
        assert seen[title.strip()].data_type == "s"
    assert seen["=1+1"].quotePrefix
    assert seen["=2+2"].data_type == "s"


def test_the_sums_of_the_workbook_are_formulas_over_the_rows_above(session, report):
    for status in (AgreementStatus.PROPOSED, AgreementStatus.SIGNED, AgreementStatus.SIGNED):
        make_agreement(session, post_need(session), post_offer(session), status=status, places=7)
    make_interest(session, post_need(session), post_offer(session))
    make_run(session)
    made = report()
    book = load_workbook(io.BytesIO(as_xlsx(made, "en")))
    agreed = book["Agreements"]
    references = [agreed.cell(row, 1).value for row in range(2, 5)]
    assert sorted(references) == sorted(line.reference for line in made.agreements)
    assert _sum(agreed, agreed["H5"].value) == 21
    last = agreed.cell(agreed.max_row, 2).value
    assert _sum(agreed, last) == 3
    summary = book["Summary"]
    sums = [c.value for c in summary["B"] if str(c.value).startswith("=SUM(")]
    assert [_sum(summary, formula) for formula in sums] == [1, pytest.approx(1.0)]


def _sum(sheet, formula):
    first, last = formula.removeprefix("=SUM(").removesuffix(")").split(":")
    return sum(cell.value for (cell,) in sheet[f"{first}:{last}"])


def test_the_match_rate_of_the_workbook_is_a_formula_of_the_right_cells(session, report):
    need, offer = post_need(session), post_offer(session)
    post_need(session)
    make_run(session, [(need, offer, 80.0)])
    sheet = load_workbook(io.BytesIO(as_xlsx(report(), "en")))["Summary"]
    values = {row[0].value: row[1].value for row in sheet.iter_rows(max_col=2)}
    where = {row[0].value: row[1].coordinate for row in sheet.iter_rows(max_col=2)}
    needs, matched = where["Needs in the run"], where["Needs with a match"]
    assert values["Match rate"] == f"=IF({needs}=0,0,{matched}/{needs})"
    assert values["Unmet needs"] == f"={needs}-{matched}"


def test_the_workbook_lists_the_rows_behind_its_numbers(session, report):
    _fill_the_market(session)
    make_run(session)
    made = report()
    book = load_workbook(io.BytesIO(as_xlsx(made, "en")))
    for title, number in (
        ("Needs", made.standing.needs),
        ("Offers", made.standing.offers),
        ("Unmet needs", made.run.unmet_needs),
        ("Unused offers", made.run.unused_offers),
    ):
        assert book[title].max_row - 1 == number
    theme = book["Theme"]
    found = {row[0].value: (row[2].value, row[3].value) for row in theme.iter_rows(min_row=2)}
    assert all(found[r.code] == (r.total.needs, r.total.offers) for r in made.tables[0].rows)


def test_the_workbook_bears_long_titles_and_signs_that_xml_does_not(session, report):
    post_need(session, title="A\x0bB " + "x" * 190)
    assert as_xlsx(report(), "fr")


def test_the_json_file_holds_the_whole_report(session, report):
    need, offer = post_need(session), post_offer(session, money="10.50", currency="USD")
    make_run(session, [(need, offer, 80.0)])
    made = report()
    read = json.loads(as_json(made, "en"))
    assert read["money"]["USD"]["offered"] == "10.50"
    assert read["run"]["matches"] == 1
    assert read["best"][0]["need"]["reference"] == need.reference
    assert [t["facet"] for t in read["tables"]] == list(FACETS)


def test_the_text_names_the_best_matches_with_their_main_reason(session, report):
    need = post_need(session, title="Clean water for schools", themes=["water"])
    make_run(session, [(need, post_offer(session, themes=["water"]), 81.25)])
    made = report()
    text = as_text(made, "en")
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
        make_run(session, [(need, offer, 80.0)])
        made = match_report(session, reference, language="en")
        assert (made.standing, made.run.matches) == (Cell(13, 13), 1)
        assert _row(made, "theme", "water") == Cell(8, 8)
        assert _row(made, "subregion", "caribbean") == Cell(4, 7)
        assert made.money["USD"] == Quantity(Decimal("900.50"), Decimal(1000), Decimal("400.25"))
        assert (made.places.committed, made.interest_counts["waiting"]) == (4, 1)
        assert (made.overdue_interests, made.agreement_counts["signed"]) == (1, 1)
        assert made.run.unmet_needs == len(made.unmet)
        by = make_person(session, Role.SECRETARIAT)
        assert count(session, find_users(by, "unep role")) == 1
        assert count(session, find_organisations("comisión CEPAL")) == 1
        assert count(session, find_events(EventFilter(person="role", reference="need"), by)) == 0
        assert lay_out_work(session, by, today=made.made_at.date()).overdue_total == 1
