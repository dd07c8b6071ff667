"""The pages of the match report: every number leads to its rows, and comes in every form."""

import io
import re
import shutil
from datetime import date
from html import unescape
from html.parser import HTMLParser

import pytest
from openpyxl import load_workbook
from sqlalchemy import select

from broker.demonstration import load_exchange
from broker.exchange import Exchange
from broker.paths import FIXTURES
from broker.runs import run_matching
from broker.settings import Settings
from broker.web import create_app
from models import AgreementStatus, Milestone, Need, Offer, Role
from tests.broker.factories import days, post_need, post_offer
from tests.broker.report_factories import make_interest, make_run
from tests.factories import make_agreement

ACCOUNT_PASSWORD = "three calm rivers"


@pytest.fixture
def office(sign_in):
    """A browser of the secretariat."""
    return sign_in(Role.SECRETARIAT)


@pytest.fixture
def andean(sign_in):
    """A browser of the coordinator of the Andean region."""
    return sign_in(Role.COORDINATOR)


def _text(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))).split())


class _Totals(HTMLParser):
    """Collects each whole number that leads to rows: ``(number, address)``."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.address = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "a" and "total" in (values.get("class") or "").split():
            self.address = values["href"]

    def handle_data(self, data):
        # A median or a share leads to rows too, and is not their number.
        if self.address is not None and re.fullmatch(r"-?[\d,]+", data.strip()):
            self.found.append((int(data.replace(",", "")), self.address))
        self.address = None


@pytest.fixture(scope="module")
def busy(reference_home, tmp_path_factory):
    """The demonstration exchange after a run, with interests and agreements of several states."""
    home = tmp_path_factory.mktemp("busy") / "home"
    shutil.copytree(reference_home, home)
    settings = Settings(home=home, secret_key="for tests alone", language="en", encoder="none")
    exchange = Exchange(settings.completed())
    with exchange.writing() as session:
        load_exchange(
            session,
            FIXTURES / "demo",
            exchange.reference,
            today=exchange.today(),
            password=ACCOUNT_PASSWORD,
        )
        run_matching(exchange, session, None)
        needs = session.scalars(
            select(Need).where(Need.status == "published", Need.places_wanted > 9).limit(8)
        ).all()
        offers = session.scalars(
            select(Offer).where(Offer.status == "published", Offer.places > 9).limit(8)
        ).all()
        refused = {"status": "declined", "answer": "declined", "reason": "language"}
        for number, (need, offer) in enumerate(zip(needs, offers, strict=True)):
            if number < 3:
                make_interest(session, need, offer, days_ago=9 * number)
            elif number < 5:
                make_interest(session, need, offer, **refused)
            else:
                made = make_agreement(session, need, offer, status=AgreementStatus.SIGNED, places=3)
                session.add(Milestone(agreement=made, title="Late", due=date(2020, 1, 1)))
    yield exchange
    exchange.database.dispose()


@pytest.fixture(scope="module")
def reporter(busy):
    """A browser of the secretariat of the busy exchange."""
    app = create_app(exchange=busy)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    browser = app.test_client()
    account = {"email": "secretariat@demo.example", "password": ACCOUNT_PASSWORD}
    assert browser.post("/sign-in", data=account).status_code == 302
    browser.post("/language/en", data={"next": "/"})
    return browser


def _listed(reader, address):
    words = _text(reader.get(address))
    return int(re.search(r"([\d,]+) rows?\b", words)[1].replace(",", ""))


def _is_sum(address):
    """Places and money are sums of what rows state, not counts of rows."""
    return "/report/stating" in address or "/report/commitments" in address


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?rows=ilac_area&columns=support_kind&theme=cleaner_production",
        "?subregion=caribbean&rows=support_kind&columns=ilac_area",
        "?task_force=tf-procurement",
        f"?from={days(-5)}&to={days(0)}&programme=sustainable_procurement",
    ],
)
def test_every_number_of_the_report_equals_the_rows_it_leads_to(reporter, query):
    page = reporter.get(f"/secretariat/report{query}").get_data(as_text=True)
    totals = sorted({t for t in _Totals(page).found if not _is_sum(t[1])})
    assert len(totals) > 20
    # Each query of a list is checked by the tests of the report itself: here its address is.
    for number, address in totals[:: max(1, len(totals) // 40)]:
        assert _listed(reporter, address) == number, address


def test_every_sum_of_the_report_equals_what_its_rows_state(reporter):
    page = reporter.get("/secretariat/report").get_data(as_text=True)
    sums = {t for t in _Totals(page).found if _is_sum(t[1])}
    assert len(sums) > 6
    for number, address in sums:
        stated, at = 0, 1
        while True:
            rows = reporter.get(f"{address}{'&' if '?' in address else '?'}page={at}")
            words = rows.get_data(as_text=True)
            amounts = re.findall(r"<strong>\s*(?:[A-Z]{3}\s)?(-?[\d,]+)", unescape(words))
            stated += sum(int(amount.replace(",", "")) for amount in amounts)
            if 'rel="next"' not in words:
                break
            at += 1
        assert stated == number, address


def test_the_report_says_that_posts_count_in_several_rows_and_once_in_all(reporter):
    words = _text(reporter.get("/secretariat/report"))
    assert "one with two themes counts in both" in words
    assert "Each post counted once" in words
    assert "In more than one row stand" in words


def test_every_list_of_the_report_has_a_page(office):
    for name in ("needs", "offers", "matches", "unmet", "unused", "without", "posted", "interests",
                 "dismissals", "agreements", "stating", "sealed", "commitments", "asking",
                 "suggested"):  # fmt: skip
        assert office.get(f"/secretariat/report/{name}").status_code == 200, name


def test_an_agreement_is_found_in_the_report_and_in_its_workbook(exchange, office):
    with exchange.writing() as session:
        made = make_agreement(
            session, post_need(session), post_offer(session), status=AgreementStatus.SIGNED,
            title="Training of two hundred buyers", places=3,
        )  # fmt: skip
    page = office.get("/secretariat/report").get_data(as_text=True)
    assert "Training of two hundred buyers" in page
    assert f"/agreements/{made.id}" in page
    book = load_workbook(io.BytesIO(office.get("/secretariat/report.xlsx").data))
    assert book["Agreements, all rows"]["A2"].value == made.reference


@pytest.mark.parametrize(
    ("ending", "media", "begins"),
    [
        ("csv", "text/csv", b"section,table"),
        ("json", "application/json", b"{"),
        ("xlsx", "application/vnd.openxmlformats", b"PK"),
        ("txt", "text/plain", b"Match report"),
    ],
)
def test_the_report_comes_as_a_file(exchange, office, ending, media, begins):
    with exchange.writing() as session:
        make_run(session, [(post_need(session), post_offer(session), 80.0)])
    answer = office.get(f"/secretariat/report.{ending}?rows=subregion&columns=theme&run=1")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(media)
    assert f".{ending}" in answer.headers["Content-Disposition"]
    assert answer.data.startswith(begins)
    again = office.get(f"/secretariat/report.{ending}?rows=subregion&columns=theme&run=1")
    assert again.data == answer.data


def test_the_report_of_an_older_run_keeps_to_it(exchange, office):
    with exchange.writing() as session:
        need = post_need(session, title="Met in the first run")
        older = make_run(session, [(need, post_offer(session), 80.0)])
        make_run(session)
    assert "Met in the first run" in _text(
        office.get(f"/secretariat/report/unmet?run={older.id + 1}")
    )
    assert "There is nothing here" in _text(office.get(f"/secretariat/report/unmet?run={older.id}"))
    page = office.get(f"/secretariat/report?run={older.id}").get_data(as_text=True)
    assert f"report/needs?run={older.id}" in page.replace("&amp;", "&")


def test_filters_that_cannot_be_come_back_with_a_sentence_beside_each(office):
    answer = office.get("/secretariat/report?from=2026-05-02&to=2026-05-01&programme=colour")
    assert answer.status_code == 422
    words = _text(answer)
    assert "There is no such report." in words
    assert "“colour” is not one of the known codes." in words
    assert 'value="2026-05-02"' in answer.get_data(as_text=True)
    backwards = office.get("/secretariat/report?from=2026-05-02&to=2026-05-01")
    assert "The end lies before the start." in _text(backwards)
    future = office.get("/secretariat/report?from=2090-01-01")
    assert "This period has not begun." in _text(future)


@pytest.mark.parametrize(
    "address",
    [
        "report?rows=colour",
        "report?theme=colour&rows=subregion&columns=ilac_area",
        "report?run=x",
        "report?run=4711",
        "report.xlsx?run=4711",
        "report/colour",
        "report/needs?subregion=atlantis",
        "report/needs?with_theme=colour",
        "report/interests?state=colour",
        "report/agreements?status=colour",
        "report/without?facet=colour",
        "report/without?kind=colour",
        "report/stating?money_in=XXX",
        "report/interests?reason=colour",
    ],
)
def test_an_address_that_asks_for_what_does_not_exist_is_answered_with_a_page(office, address):
    answer = office.get(f"/secretariat/{address}")
    assert answer.status_code in (404, 422)
    assert "<h1>" in answer.get_data(as_text=True)


def test_a_coordinator_reads_what_her_subregion_negotiates_and_no_more(exchange, andean):
    with exchange.writing() as session:
        for organisation in ("gov-pe", "gov-jm"):
            make_agreement(
                session, post_need(session, organisation), post_offer(session), places=2,
                title=f"Draft of {organisation}",
            )  # fmt: skip
    for page in ("report", "report/agreements", "report.txt"):
        words = _text(andean.get(f"/secretariat/{page}"))
        assert "Draft of gov-pe" in words, page
        assert "Draft of gov-jm" not in words, page


def test_the_report_takes_as_many_queries_on_a_large_exchange_as_on_a_small(
    exchange, office, count_queries
):
    def queries(number):
        with exchange.writing() as session:
            for _ in range(number):
                need, offer = post_need(session), post_offer(session)
                pairs.append((need, offer, 80.0))
                make_agreement(session, need, offer, status=AgreementStatus.SIGNED, places=1)
                post_need(session)
                post_offer(session)
            make_run(session, pairs)
        with count_queries() as statements:
            assert office.get("/secretariat/report").status_code == 200
        return len(statements)

    pairs = []
    queries(1)
    assert queries(2) == queries(8)
