"""The page that takes a publisher's IATI file, what it tells, and the same from the shell."""

from __future__ import annotations

import re
from html import unescape

import pytest
from click.testing import CliRunner

from broker.cli import main
from broker.jobs import do_waiting_jobs
from models import Role
from tests.broker.factories import make_person
from tests.broker.test_iati_import import activity, file_of


def text(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))).split())


@pytest.fixture
def officer(sign_in):
    return sign_in(Role.PROVIDER, "eclac")


def send(browser, content, address="/imports/iati"):
    """A file as a browser sends it; written out here, so that no temporary file stays open."""
    edge = "a-line-that-no-file-holds"
    head = (
        f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="activities.xml"\r\n'
        "Content-Type: application/xml\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    return browser.post(address, data=body, content_type=f"multipart/form-data; boundary={edge}")


def test_an_officer_brings_a_file_and_reads_what_came_of_it(exchange, officer):
    assert "Make drafts of it" in text(officer.get("/imports"))
    kenya = activity(key="XM-KE", place='<recipient-country code="KE"/>')
    answer = send(officer, file_of(activity(), kenya))
    assert answer.status_code == 302
    assert do_waiting_jobs(exchange) == 1
    job = officer.get(answer.location)
    address = re.search(r'href="(/imports/\d+)"', job.get_data(as_text=True))[1]
    shown = text(officer.get(address))
    for words in (
        "Activities read 2",
        "New drafts 1",
        "Could not be used 1",
        "Line Activity Element Used",
        "XM-KE recipient-country no It serves nobody of the region",
    ):
        assert words in shown
    with officer.get(f"{address}/report.csv") as report:
        assert report.mimetype == "text/csv"
        assert b"XM-KE" in report.data
    assert "Compras verdes" in text(officer.get("/desk"))
    assert "IATI activities · 2 activities" in text(officer.get("/imports"))


def test_an_old_file_is_refused_in_the_form(officer):
    answer = send(officer, file_of(version='version="1.03"'))
    assert answer.status_code == 422
    assert "version 1.03" in text(answer)
    assert officer.post("/imports/iati", data={}).status_code == 422


def test_this_form_alone_takes_more_than_other_requests(exchange, sign_in, officer):
    large = file_of(activity(), "<!-- " + "x" * exchange.settings.max_upload + " -->")
    assert send(officer, large).status_code == 302
    assert send(officer, large, "/imports").status_code == 413
    for other in (sign_in(Role.COORDINATOR), sign_in(Role.SECRETARIAT)):
        assert send(other, large).status_code in (403, 413)


def test_its_own_bound_holds_and_is_told(exchange, officer):
    object.__setattr__(exchange.settings, "max_import", 3 * 1024**2)
    answer = send(officer, file_of(activity(), " " * 4 * 1024**2))
    assert answer.status_code == 413
    assert "3" in text(answer)


def test_others_do_not_read_the_report(exchange, officer, sign_in):
    send(officer, file_of(activity()))
    do_waiting_jobs(exchange)
    with officer.get("/imports/1/report.csv") as report:
        assert report.status_code == 200
    other = sign_in(Role.PROVIDER, "caf")
    assert other.get("/imports/1/report.csv").status_code == 404


def test_the_shell_imports_a_file_and_tells_the_same(exchange, tmp_path, monkeypatch):
    with exchange.writing() as session:
        email = make_person(session, Role.PROVIDER, "eclac").email
    monkeypatch.setenv("BROKER_HOME", str(exchange.settings.home))
    path = tmp_path / "activities.xml"
    path.write_bytes(file_of(activity(), activity(key="XM-2", place="")))
    done = CliRunner().invoke(main, ["import", "iati", str(path), "--by", email])
    assert done.exit_code == 0, done.output
    assert "2 activities, 1 usable: 1 new drafts" in done.output
    assert "XM-2, recipient-country: It serves nobody" in done.output
    path.write_bytes(file_of(version='version="1.05"'))
    old = CliRunner().invoke(main, ["import", "iati", str(path), "--by", email])
    assert old.exit_code == 2
    assert "version 1.05" in old.output
