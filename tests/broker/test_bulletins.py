"""The half-yearly bulletin: what it tells, who publishes it, and that it stays as it was."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import date
from html import unescape

import pytest
from sqlalchemy import select

from broker.bulletins import (
    PARTS,
    Half,
    bulletin_as_pdf,
    bulletin_as_text,
    content_of,
    find_bulletin,
    publish_bulletin,
    read_half,
    write_bulletin,
)
from models import (
    LANGUAGES,
    AgreementStatus,
    AuditEvent,
    Bulletin,
    Conflict,
    Need,
    NotAllowed,
    NotFound,
    Role,
)
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.broker.report_factories import make_interest, make_run
from tests.broker.web.rows_behind import length_of
from tests.factories import make_agreement


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session
        session.rollback()


@pytest.fixture
def half(exchange):
    return Half.of(exchange.today())


def _fill(session):
    need, offer = post_need(session, title="Clean rivers"), post_offer(session, places=9)
    post_need(session, "gov-lc", title="Waste on an island", themes=["chemicals_mercury"])
    draft = post_need(session, title="Secret draft", status="draft")
    run = make_run(session, [(need, offer, 80.0)], needs=[need], offers=[offer])
    made = make_agreement(
        session, need, offer, status=AgreementStatus.SIGNED, places=4, title="Rivers together"
    )
    make_agreement(session, post_need(session), post_offer(session), title="Still negotiated")
    make_interest(session, post_need(session), post_offer(session), days_ago=20)
    return draft, run, made


def test_a_half_year_is_found_by_its_day_and_by_its_name():
    assert Half.of(date(2026, 6, 30)) == Half(2026, 1)
    assert Half.of(date(2026, 7, 1)) == Half(2026, 2)
    assert Half(2026, 1).before() == Half(2025, 2)
    assert (Half(2026, 2).starts, Half(2026, 2).ends) == (date(2026, 7, 1), date(2026, 12, 31))
    assert read_half("2025-2", today=date(2026, 3, 1)) == Half(2025, 2)
    for wrong in ("2025-3", "x", "1999-1", "2026-2", "2026-1; drop"):
        with pytest.raises(NotFound):
            read_half(wrong, today=date(2026, 3, 1))


@pytest.mark.usefixtures("backend")
def test_it_tells_what_everybody_may_read_and_no_more(exchange, session, half):
    _fill(session)
    content = write_bulletin(
        session, exchange.reference, half, today=exchange.today(), language="en"
    )
    assert [part["key"] for part in content["parts"]] == list(PARTS)
    text = bulletin_as_text(content)
    told = " ".join(text.split())
    assert "Rivers together" in told
    assert "1 agreement was signed; 4 places were committed" in told
    assert "interest has waited for more than two weeks" in told
    assert "Secret draft" not in told
    assert "Still negotiated" not in told
    assert max(len(line) for line in text.splitlines()) <= 76


def test_an_empty_half_year_is_told_too(exchange, session, half):
    content = write_bulletin(
        session, exchange.reference, half, today=exchange.today(), language="en"
    )
    text = bulletin_as_text(content)
    assert "Nothing new was posted in this half-year." in text
    assert "No agreement was signed in this half-year." in text
    assert bulletin_as_pdf(content, "en").startswith(b"%PDF-")


def test_it_fits_on_two_pages(exchange, session, half):
    for number in range(12):
        post_need(
            session, title=f"A need with a title that is quite long, as they are: {number} " * 2
        )
    make_run(session)
    content = write_bulletin(
        session, exchange.reference, half, today=exchange.today(), language="en"
    )
    pdf = bulletin_as_pdf(content, "en")
    program = shutil.which("pdfinfo")
    if program:
        told = subprocess.run([program, "-"], input=pdf, capture_output=True, check=True).stdout
        assert int(re.search(rb"Pages:\s+(\d+)", told)[1]) <= 2
    assert pdf == bulletin_as_pdf(content, "en")


@pytest.mark.usefixtures("backend")
def test_once_published_it_stays_as_it_was_in_every_language(exchange, session, half):
    _fill(session)
    office = make_person(session, Role.SECRETARIAT)
    made = publish_bulletin(session, office, exchange.reference, half, today=exchange.today())
    before = {language: content_of(made, language) for language in LANGUAGES}
    post_need(session, title="Came later")
    session.expire_all()
    kept = find_bulletin(session, half)
    assert {language: content_of(kept, language) for language in LANGUAGES} == before
    assert session.query(AuditEvent).filter_by(action="bulletin.published").count() == 1
    with pytest.raises(Conflict):
        publish_bulletin(session, office, exchange.reference, half, today=exchange.today())


def test_only_the_secretariat_publishes(exchange, session, half):
    with pytest.raises(NotAllowed):
        publish_bulletin(
            session,
            make_person(session, Role.COORDINATOR),
            exchange.reference,
            half,
            today=exchange.today(),
        )


def test_the_archive_holds_what_the_secretariat_publishes(exchange, sign_in, client, half):
    with exchange.writing() as session:
        _fill(session)
    client.post("/language/en", data={"next": "/"})
    assert "No bulletin has been published yet" in client.get("/bulletins").get_data(as_text=True)
    address = f"/bulletins/{half.year}-{half.half}"
    assert client.get(address).status_code == 404
    office = sign_in(Role.SECRETARIAT)
    assert "Rivers together" in office.get("/secretariat/bulletin").get_data(as_text=True)
    answer = office.post("/secretariat/bulletin", data={"half": half.reference})
    assert answer.status_code == 302
    assert office.post("/secretariat/bulletin", data={"half": half.reference}).status_code == 409
    assert address in client.get("/bulletins").get_data(as_text=True)
    assert "Rivers together" in client.get(address).get_data(as_text=True)
    assert client.get(f"{address}.pdf").data.startswith(b"%PDF-")
    assert "Rivers together" in client.get(f"{address}.txt").get_data(as_text=True)
    assert client.post("/secretariat/bulletin", data={"half": half.reference}).status_code == 401


def test_every_number_leads_to_as_many_rows_before_and_after_it_is_published(
    exchange, sign_in, client, half
):
    with exchange.writing() as session:
        _fill(session)
        make_run(session)
    client.post("/language/en", data={"next": "/"})
    office = sign_in(Role.SECRETARIAT)

    def counts(page):
        """Address → number; the sum of places is no count of rows."""
        found = re.findall(r'<a class="total" href="([^"]*)">([\d,]+)</a>', page)
        return {unescape(a): int(n) for a, n in found if "commitments" not in a}

    before = counts(office.get("/secretariat/bulletin").text)
    assert len(before) >= 6
    for address, number in before.items():
        assert length_of(office, address) == number, address
    office.post("/secretariat/bulletin", data={"half": half.reference})
    with exchange.writing() as session:
        post_need(session, title="Came on the same day")
        make_run(session)
        session.scalars(select(Need).where(Need.title == "Clean rivers")).one().status = "withdrawn"
    address = f"/bulletins/{half.year}-{half.half}"
    published = counts(client.get(address).text)
    assert list(published.values()) == list(before.values())
    for found, number in published.items():
        assert length_of(client, found) == number, found
    assert "No longer public." in client.get(f"{address}/posted-need").text
    assert "Came on the same day" not in client.get(f"{address}/posted-need").text
    assert "<strong>4 places</strong>" in client.get(f"{address}/commitments").text
    assert "Rivers together" in client.get(f"{address}/agreements-signed").text
    assert client.get(f"{address}/interests-overdue").status_code == 404


def test_a_bulletin_that_was_kept_as_texts_is_still_read(exchange, client, half):
    kept = {"title": "Of old", "exchange": "x", "period": "p", "figures": [["3", "new needs"]],
            "parts": [{"key": "came", "title": "What came", "words": ["Three came."],
                       "items": [["Water", "2 needs, 1 offers"]]}], "basis": "b"}  # fmt: skip
    with exchange.writing() as session:
        session.add(Bulletin(starts=half.starts, ends=half.ends, content={"en": kept}))
    address = f"/bulletins/{half.year}-{half.half}"
    assert "Three came." in client.get(address).text
    assert "Three came." in client.get(f"{address}.txt").text
    assert client.get(f"{address}.pdf").data.startswith(b"%PDF-")
    assert client.get(f"{address}/posted-need").status_code == 404


def test_a_half_year_that_is_none_is_not_found(sign_in):
    office = sign_in(Role.SECRETARIAT)
    for half in ("2026-3", "x", "2090-1"):
        assert office.get(f"/secretariat/bulletin?half={half}").status_code == 404
    old = Half.of(days(-2000))
    assert office.get(f"/secretariat/bulletin?half={old.reference}").status_code == 200
