"""Open data, feeds, calendars and markup: whole, harmless, and nothing that is not for everybody."""

import csv
import io
import json
import re
from datetime import date, timedelta
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from icalendar import Calendar
from openpyxl import load_workbook

from broker.open_data import DATASETS
from broker.tokens import make_calendar_token, revoke_token
from models import (
    Agreement,
    AgreementParty,
    AgreementStatus,
    AgreementTerms,
    Entry,
    EntryKind,
    EntryStatus,
    Milestone,
    PostStatus,
    Role,
    TaskForce,
    utc_now,
)
from tests.broker.factories import days, find_organisation, make_person, post_need, post_offer

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def exchanged(exchange):
    """A need whose title a spreadsheet would run, a sealed one, a draft, an offer, an agreement, an entry."""
    with exchange.writing() as session:
        need = post_need(
            session,
            title='=HYPERLINK("http://evil.example")',
            description="Says </script><script>alert(1)</script> & more",
            closes=days(30),
            contact_email="focal@pe.example",
            places_wanted=30,
        )
        post_need(session, title="Sealed", money_most=777_777, currency="USD", money_sealed=True)
        post_need(session, title="Draft", status=PostStatus.DRAFT)
        offer = post_offer(session, money=Decimal(20_000), currency="USD")
        by = make_person(session, Role.FOCAL_POINT)
        agreement = Agreement(
            need=need,
            offer=offer,
            reference="AG-1",
            status=AgreementStatus.ACTIVE,
            signed_at=utc_now(),
            parties=[
                AgreementParty(organisation=need.organisation, role="need_side"),
                AgreementParty(
                    organisation=offer.organisation, role="offer_side", shows_money=False
                ),
            ],
            terms=[
                AgreementTerms(
                    number=1, author=by, title="Training", activities="Workshops", starts=days(0),
                    ends=days(90), places=20, money=Decimal(5000), currency="USD",
                )
            ],
            milestones=[Milestone(title="First workshop", due=days(40))],
        )  # fmt: skip
        entry = Entry(
            kind=EntryKind.PRACTICE,
            reference="practice-pe-001",
            organisation=need.organisation,
            language="es",
            title="Agua en curtiembres",
            status=EntryStatus.PUBLISHED,
            published_at=utc_now(),
        )
        session.add_all([agreement, entry])
        session.flush()
        return need.id, by


def _rows(answer):
    return list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))


@pytest.mark.usefixtures("backend")
def test_csv_holds_what_is_published_and_no_formula(client, exchanged):
    answer = client.get("/open-data/needs.csv")
    assert answer.content_type.startswith("text/csv; charset=utf-8")
    assert not answer.data.startswith(b"\xef\xbb\xbf")
    rows = _rows(answer)
    assert {row["title"] for row in rows} == {'\'=HYPERLINK("http://evil.example")', "Sealed"}
    first = next(row for row in rows if row["title"] != "Sealed")
    assert (first["country"], first["country_iso3"], first["country_m49"]) == ("PE", "PER", "604")
    assert "12" in first["sdgs"]
    assert first["crs"]
    assert first["support_kinds"] == "capacity_building"
    assert set(rows[0]) == {column.name for column in DATASETS["needs"].columns}
    assert b"focal@pe.example" not in answer.data
    assert b"777777" not in answer.data
    assert b"Draft" not in answer.data


def test_a_byte_order_mark_stands_only_where_it_is_asked_for(client, exchanged):
    assert client.get("/open-data/needs.csv?bom=1").data.startswith(b"\xef\xbb\xbf")


def test_json_says_its_licence_and_every_row(client, exchanged):
    told = json.loads(client.get("/open-data/offers.json").data)
    assert told["licence"]["id"] == "CC-BY-4.0"
    (row,) = told["items"]
    assert (row["money"], row["currency"]) == ("20000", "USD")
    assert set(row) == {column.name for column in DATASETS["offers"].columns}


def test_xlsx_holds_texts_as_texts_and_the_dictionary(client, exchanged):
    book = load_workbook(io.BytesIO(client.get("/open-data/needs.xlsx", buffered=True).data))
    sheet = book["needs"]
    column = [cell.value for cell in sheet[1]].index("title") + 1
    cells = [sheet.cell(row, column) for row in range(2, sheet.max_row + 1)]
    assert {cell.data_type for cell in cells} == {"s"}
    assert '=HYPERLINK("http://evil.example")' in [cell.value for cell in cells]
    names = [row[0] for row in book["dictionary"].iter_rows(values_only=True)]
    assert {column.name for column in DATASETS["needs"].columns} < set(names)


@pytest.mark.usefixtures("backend")
def test_the_register_is_given_away_as_its_parties_show_it(client, exchanged):
    (row,) = _rows(client.get("/open-data/agreements.csv"))
    assert (row["reference"], row["money"], row["currency"]) == ("AG-1", "", "")
    assert (row["activities"], row["places"]) == ("Workshops", "20")
    assert (row["milestones"], row["milestones_done"]) == ("1", "0")


def test_the_board_counts_what_is_open(client, exchanged):
    rows = _rows(client.get("/open-data/board.csv"))
    assert (rows[0]["facet"], rows[0]["needs"], rows[0]["offers"]) == ("all", "2", "1")
    theme = next(row for row in rows if row["code"] == "sustainable_public_procurement")
    assert (theme["needs"], theme["offers"]) == ("2", "1")


@pytest.mark.parametrize("name", list(DATASETS))
@pytest.mark.parametrize("ending", ["csv", "json", "xlsx"])
def test_a_file_that_the_reader_has_is_not_made_again(client, exchange, exchanged, name, ending):
    first = client.get(f"/open-data/{name}.{ending}", buffered=True)
    assert first.headers["Link"].endswith('rel="license"')
    assert "Last-Modified" in first.headers
    same = client.get(
        f"/open-data/{name}.{ending}", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (same.status_code, same.data) == (304, b"")
    with exchange.writing() as session:
        post_need(session)
        post_offer(session)
        session.query(Agreement).one().updated_at = utc_now()
        session.query(Entry).one().updated_at = utc_now()
    other = client.get(
        f"/open-data/{name}.{ending}",
        headers={"If-None-Match": first.headers["ETag"]},
        buffered=True,
    )
    assert other.status_code == 200


def test_files_are_made_in_batches(client, exchange, monkeypatch, count_queries):
    monkeypatch.setattr("broker.open_data.BATCH", 2)
    with exchange.writing() as session:
        for _ in range(5):
            post_need(session)
    with count_queries() as statements:
        assert len(_rows(client.get("/open-data/needs.csv"))) == 5
    assert sum("LIMIT" in statement for statement in statements) == 3


def test_the_page_says_licence_and_columns(client):
    page = client.get("/open-data").text
    assert "Creative Commons Attribution 4.0" in page
    for dataset in DATASETS.values():
        for column in dataset.columns:
            assert f"<code>{column.name}</code>" in page
    assert client.get("/open-data/none.csv").status_code == 404


def _feed(answer):
    assert answer.content_type == "application/atom+xml; charset=utf-8"
    return ElementTree.fromstring(answer.data)


def test_a_feed_is_valid_and_narrowed_like_its_list(client, exchange, exchanged):
    with exchange.writing() as session:
        post_need(session, "gov-cl", title="Water", themes=["water"], language="es")
    feed = _feed(client.get("/feeds/needs.atom?theme=water&lang=fr"))
    assert feed.get("{http://www.w3.org/XML/1998/namespace}lang") == "fr"
    (entry,) = feed.findall(f"{ATOM}entry")
    assert entry.get("{http://www.w3.org/XML/1998/namespace}lang") == "es"
    for part in (feed, entry):
        for name in ("id", "title", "updated"):
            assert part.find(f"{ATOM}{name}").text
    relations = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert relations["self"].endswith("/feeds/needs.atom?theme=water&lang=fr")
    assert relations["alternate"].endswith("/needs?theme=water&lang=fr")
    assert "Draft" not in client.get("/feeds/needs.atom").text
    listed = client.get("/needs?theme=water").text
    assert "/feeds/needs.atom?theme=water" in listed


def test_feeds_of_offers_and_agreements_and_a_feed_not_changed(client, exchanged):
    assert len(_feed(client.get("/feeds/offers.atom")).findall(f"{ATOM}entry")) == 1
    answer = client.get("/feeds/agreements.atom")
    assert len(_feed(answer).findall(f"{ATOM}entry")) == 1
    again = client.get("/feeds/agreements.atom", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def _events(answer):
    assert answer.content_type == "text/calendar; charset=utf-8"
    return Calendar.from_ical(answer.data).walk("VEVENT")


def test_the_calendar_of_closing_dates_is_everybodys(client, exchanged):
    (event,) = _events(client.get("/calendars/closing.ics"))
    assert event["dtstart"].dt == days(30)
    assert event["dtend"].dt == days(31)
    assert event["url"].endswith(f"/needs/{exchanged[0]}")


@pytest.mark.usefixtures("backend")
def test_ones_own_calendar_opens_by_its_address_alone(client, exchange, exchanged, sign_in):
    browser = sign_in(Role.FOCAL_POINT)
    made = browser.post("/account/tokens/calendar").text
    (path,) = re.findall(r"(/calendars/own/[\w-]+\.ics)", made)
    answer = client.get(path)
    assert "no-store" in answer.headers["Cache-Control"]
    summaries = [str(event["summary"]) for event in _events(answer)]
    assert "Milestone: First workshop" in summaries
    assert any("Sealed" in summary for summary in summaries)
    browser.post("/account/tokens/calendar")
    assert client.get(path).status_code == 404
    assert client.get("/calendars/own/tfp_none.ics").status_code == 404
    with exchange.writing() as session:
        by = session.merge(exchanged[1])
        token, secret = make_calendar_token(session, by)
        revoke_token(session, by, token.id)
    assert client.get(f"/calendars/own/{secret}.ics").status_code == 404


def test_a_meeting_of_which_the_month_is_known_takes_the_month(client, exchange):
    with exchange.writing() as session:
        force = session.get(TaskForce, find_organisation(session, "tf-procurement").id)
        force.meetings = [
            {"date": "2027-02", "place": "Lima", "country": "PE", "note": {"en": "Second"}},
            {"date": "2027-05-03", "place": "", "country": None, "note": {}},
            {"date": "2028", "place": "", "country": None, "note": {}},
        ]
    found = [
        e for e in _events(client.get("/calendars/meetings.ics?lang=en")) if "2027" in e["uid"]
    ]
    assert [(e["dtstart"].dt, e["dtend"].dt - e["dtstart"].dt) for e in found] == [
        (date(2027, 2, 1), timedelta(days=28)),
        (date(2027, 5, 3), timedelta(days=1)),
    ]
    assert str(found[0]["location"]) == "Lima, Peru"


def _markup(page):
    (block,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
    return json.loads(block)


def test_public_pages_say_what_they_show_in_the_words_of_schema_org(client, exchange, exchanged):
    page = client.get(f"/needs/{exchanged[0]}").text
    assert "<script>alert" not in page
    need = _markup(page)
    assert (need["@type"], need["identifier"][:5]) == ("Demand", "need-")
    assert need["description"] == "Says </script><script>alert(1)</script> & more"
    assert need["areaServed"] == [{"@type": "Country", "identifier": "PE", "name": "Peru"}]
    assert "focal@pe.example" not in json.dumps(need)
    organisation = _markup(client.get("/organisations/gov-pe").text)
    assert organisation["@type"] == "GovernmentOrganization"
    with exchange.writing() as session:
        gift = post_offer(
            session,
            support=[{"kind": "finance", "modality": "grant", "detail": ""}],
            money=Decimal(9000),
            currency="EUR",
        )
    grant = _markup(client.get(f"/offers/{gift.id}").text)
    assert (grant["@type"], grant["amount"]["currency"]) == ("MonetaryGrant", "EUR")


def test_a_draft_says_nothing_to_search_engines(sign_in, exchange):
    with exchange.writing() as session:
        draft = post_need(session, status=PostStatus.DRAFT)
    page = sign_in(Role.FOCAL_POINT).get(f"/needs/{draft.id}")
    assert page.status_code == 200
    assert "ld+json" not in page.text
