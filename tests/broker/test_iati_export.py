"""The IATI export: valid against the official 2.03 schema and codelists, and exact in its sums."""

from __future__ import annotations

import io
from datetime import date, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from broker.demonstration import load_exchange
from broker.iati_export import activities, shares, write_activities, yearly
from broker.paths import FIXTURES
from models import Agreement, AgreementStatus, Indicator, IndicatorReport, Role
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.factories import make_agreement

ACCOUNT_PASSWORD = "for tests alone"


def standard() -> Path:
    """The folder of the official 2.03 schemas and codelists."""
    spec = find_spec("iati")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "resources" / "standard" / "2-03"


@pytest.fixture(scope="module")
def schema():
    return etree.XMLSchema(etree.parse(str(standard() / "schemas" / "iati-activities-schema.xsd")))


def codelist(name):
    root = etree.parse(str(standard() / "codelists" / f"{name}.xml"))
    return {element.text for element in root.iterfind(".//codelist-item/code")}


CODED = {
    "reporting-org/@type": "OrganisationType",
    "participating-org/@role": "OrganisationRole",
    "participating-org/@type": "OrganisationType",
    "activity-status/@code": "ActivityStatus",
    "activity-date/@type": "ActivityDateType",
    "recipient-country/@code": "Country",
    "recipient-region/@code": "Region",
    "sector[@vocabulary='1']/@code": "Sector",
    "sector/@vocabulary": "SectorVocabulary",
    "tag/@vocabulary": "TagVocabulary",
    "default-finance-type/@code": "FinanceType",
    "default-aid-type/@code": "AidType",
    "budget/@type": "BudgetType",
    "budget/@status": "BudgetStatus",
    ".//value/@currency": "Currency",
    "transaction/transaction-type/@code": "TransactionType",
    "related-activity/@type": "RelatedActivityType",
    "result/@type": "ResultType",
    ".//indicator/@measure": "IndicatorMeasure",
    "description/@type": "DescriptionType",
    "conditions/condition/@type": "ConditionType",
    "@default-currency": "Currency",
}


def exported(exchange):
    file = io.BytesIO()
    with exchange.reading() as session:
        count = write_activities(exchange, session, file)
    root = etree.fromstring(file.getvalue())
    assert len(root) == count
    return root


def assert_valid(root, schema):
    assert schema.validate(root), schema.error_log
    for path, name in CODED.items():
        known = codelist(name)
        used = {str(value) for activity in root for value in activity.xpath(path)}
        assert used <= known, (path, used - known)


def assert_percentages(root):
    for activity in root:
        places = activity.xpath("recipient-country | recipient-region")
        assert sum(Decimal(place.get("percentage")) for place in places) == 100
        for vocabulary in set(activity.xpath("sector/@vocabulary")):
            sectors = activity.xpath(f"sector[@vocabulary='{vocabulary}']")
            assert sum(Decimal(sector.get("percentage")) for sector in sectors) == 100


@pytest.mark.slow
def test_the_whole_demonstration_is_valid(exchange, schema):
    with exchange.writing() as session:
        load_exchange(
            session,
            FIXTURES / "demo",
            exchange.reference,
            today=exchange.today(),
            password=ACCOUNT_PASSWORD,
        )
    root = exported(exchange)
    assert len(root) > 70
    assert_valid(root, schema)
    assert_percentages(root)
    languages = set(root.xpath("//title/narrative/@xml:lang"))
    assert {"es", "en", "pt", "fr"} <= languages


@pytest.fixture
def agreed(exchange):
    """An agreement with money, places, and an indicator with two reports."""
    with exchange.writing() as session:
        need = post_need(session, ilac_areas=["6"])
        offer = post_offer(
            session,
            "caf",
            support=[{"kind": "finance", "modality": "loan"}],
            money=Decimal("500000"),
            currency="USD",
            conditions="Own funds of a tenth.",
        )
        agreement = make_agreement(
            session,
            need,
            offer,
            status=AgreementStatus.ACTIVE,
            money=Decimal("120000.50"),
            currency="USD",
            places=3,
        )
        by = make_person(session, Role.PROVIDER, "caf")
        indicator = Indicator(name="Firms", unit="firm", baseline=2, target=10, due=days(90))
        indicator.reports = [
            IndicatorReport(on=days(-3), value=4, by=by),
            IndicatorReport(on=days(-1), value=7.5, by=by),
        ]
        agreement.indicators = [indicator]
    return agreement


def test_an_agreement_shows_what_was_committed_and_what_came_of_it(exchange, agreed, schema):
    root = exported(exchange)
    assert_valid(root, schema)
    assert_percentages(root)
    [activity] = root.xpath(f"iati-activity[iati-identifier='XX-10YFP-BROKER-{agreed.reference}']")
    assert activity.xpath("string(transaction/value)") == "120000.50"
    assert sum(Decimal(value) for value in activity.xpath("budget/value/text()")) == Decimal(
        "120000.50"
    )
    period = activity.find(".//indicator/period")
    assert (period.find("target").get("value"), period.find("actual").get("value")) == ("10", "7.5")
    assert activity.xpath("string(related-activity/@ref)").startswith("XX-10YFP-BROKER-offer-")
    assert activity.xpath("recipient-country/@code") == ["PE"]


def test_goals_and_targets_stand_in_the_codes_of_the_standard(exchange, schema):
    with exchange.writing() as session:
        post_offer(session, themes=["sustainable_public_procurement", "sustainable_tourism"])
    root = exported(exchange)
    assert_valid(root, schema)
    assert_percentages(root)
    assert root.xpath("//sector[@vocabulary='7']/@code") == ["8", "12", "14"]
    targets = ["12.7", "8.9", "12.b", "14.7"]
    assert root.xpath("//sector[@vocabulary='8']/@code") == targets
    lists = root.xpath("//tag[contains(@vocabulary-uri, 'UNSDG-Targets')]/@code")
    assert lists == targets
    assert root.xpath("//tag[@code='12.7']/narrative/@xml:lang") == ["es", "en", "pt", "fr"]


def test_money_that_a_party_withholds_is_not_exported(exchange, agreed):
    with exchange.writing() as session:
        session.get_one(Agreement, agreed.id).parties[0].shows_money = False
    file = io.BytesIO()
    with exchange.reading() as session:
        write_activities(exchange, session, file)
    assert b"120000.50" not in file.getvalue()


def test_what_is_sealed_or_not_public_stays_out(exchange):
    with exchange.writing() as session:
        post_offer(session, status="draft", title="Nobody reads this yet")
        sealed = post_offer(
            session, "caf", money=Decimal("777"), currency="USD", money_sealed=True,
            contact_email="desk@caf.example",
        )  # fmt: skip
        assert sealed.money_sealed
    file = io.BytesIO()
    with exchange.reading() as session:
        assert write_activities(exchange, session, file) == 1
    for word in (b"Nobody reads", b"777", b"desk@caf"):
        assert word not in file.getvalue()


def test_signs_that_xml_cannot_hold_are_left_out(exchange, schema):
    with exchange.writing() as session:
        offer = post_offer(session, title="Tools & <b>tricks</b> 🌱")
        offer.description = "Broken\x0b\x00 words"
    root = exported(exchange)
    assert_valid(root, schema)
    assert root.xpath("string(//title/narrative)") == "Tools & <b>tricks</b> 🌱"
    assert root.xpath("string(//description/narrative)") == "Broken words"


def test_an_offer_without_theme_or_place_is_still_an_activity(exchange, schema):
    with exchange.writing() as session:
        post_offer(session, themes=[], serves_subregions=[])
    root = exported(exchange)
    assert_valid(root, schema)
    assert root.xpath("iati-activity/sector/@code") == ["99810"]
    assert root.xpath("iati-activity/recipient-region/@code") == ["498"]


@given(st.integers(0, 200))
def test_shares_add_up_to_a_hundred(count):
    assert sum(shares(count)) == (100 if count else 0)


@given(
    st.decimals("0.01", "100000000", places=2),
    st.dates(date(2000, 1, 1), date(2040, 1, 1)),
    st.integers(0, 3000),
)
def test_an_amount_spread_over_years_stays_the_amount(amount, starts, length):
    ends = starts + timedelta(days=length)
    parts = yearly(amount, starts, ends)
    assert sum(part for _begin, _end, part in parts) == amount
    assert (parts[0][0], parts[-1][1]) == (starts, ends)
    assert all((end - begin).days < 366 and begin.year == end.year for begin, end, _p in parts)


def test_activities_are_read_a_few_at_a_time(exchange, count_queries):
    with exchange.writing() as session:
        for _number in range(6):
            post_offer(session)
    with exchange.reading() as session, count_queries() as statements:
        assert len(list(activities(exchange, session))) == 6
    assert len(statements) < 25


def test_everybody_loads_the_file_down(exchange, client, schema):
    with exchange.writing() as session:
        post_offer(session)
    answer = client.get("/open-data/iati-activities.xml", buffered=True)
    assert answer.mimetype == "application/xml"
    assert_valid(etree.fromstring(answer.data), schema)
