"""Reports made in the background: only who asked fetches them, and they do not stay for ever."""

from __future__ import annotations

import os
import time

from broker.jobs import do_waiting_jobs
from broker.report.folder import KEPT, clear_reports
from models import Job, Role
from tests.broker.factories import make_person, post_need, post_offer
from tests.broker.report_factories import make_run


def test_a_report_made_in_the_background_is_the_same_file(exchange, sign_in):
    with exchange.writing() as session:
        make_run(session, [(post_need(session), post_offer(session), 80.0)])
        office = sign_in(make_person(session, Role.SECRETARIAT))
        other = sign_in(make_person(session, Role.SECRETARIAT))
    form = {"ending": "xlsx", "subregion": "andean", "run": "1"}
    answer = office.post("/secretariat/report/files", data=form)
    assert answer.status_code == 302
    with exchange.reading() as session:
        job_id = session.query(Job).filter_by(kind="make_report").one().id
    address = f"/secretariat/report/files/{job_id}"
    assert office.get(address).status_code == 404
    do_waiting_jobs(exchange)
    made = office.get(address)
    assert made.data == office.get("/secretariat/report.xlsx?subregion=andean&run=1").data
    assert other.get(address).status_code == 404


def test_what_cannot_be_made_is_not_begun(exchange, sign_in):
    office = sign_in(Role.SECRETARIAT)
    for form in ({"ending": "xlsx", "subregion": "atlantis"}, {"ending": "exe"}, {}):
        assert office.post("/secretariat/report/files", data=form).status_code in (404, 422)
    with exchange.reading() as session:
        assert session.query(Job).count() == 0


def test_a_file_waits_for_a_week(exchange, sign_in):
    folder = exchange.settings.home / "reports"
    folder.mkdir()
    for name, age in (("1.csv", 0.0), ("2.csv", KEPT.total_seconds() + 60)):
        (folder / name).write_text("x")
        then = time.time() - age
        os.utime(folder / name, (then, then))
    clear_reports(exchange)
    assert [path.name for path in folder.iterdir()] == ["1.csv"]
