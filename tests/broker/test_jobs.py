"""Jobs and routines: done once, in the open, and never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from broker import jobs
from broker.jobs import (
    JobStopped,
    do_job,
    do_waiting_jobs,
    find_jobs,
    get_job,
    run_routines,
    start_job,
    stop_job,
    take_up_lost_jobs,
)
from models import Conflict, Job, JobStatus, NotAllowed, NotFound, Role, RoutineTurn, utc_now
from tests.broker.factories import make_person


@pytest.fixture
def kinds(monkeypatch):
    """A registry of jobs and routines for one test alone."""
    monkeypatch.setattr(jobs, "JOBS", {})
    monkeypatch.setattr(jobs, "ROUTINES", {})
    monkeypatch.setattr(jobs, "MODULES", ())
    return jobs.JOBS


@pytest.fixture
def secretary(exchange):
    with exchange.writing() as session:
        return make_person(session, Role.SECRETARIAT, "unep-rolac")


def start(exchange, by, kind, **arguments):
    with exchange.writing() as session:
        return start_job(session, by, kind, **arguments).id


def look(exchange, job_id):
    with exchange.sessions() as session:
        return session.get_one(Job, job_id)


def test_a_job_runs_after_the_commit_and_keeps_its_result(exchange, kinds, secretary, backend):
    @jobs.job("count")
    def count(exchange, work, *, to):
        work.progress(to, to)
        return {"counted": to}

    job_id = start(exchange, secretary, "count", to=7)
    assert look(exchange, job_id).status == JobStatus.QUEUED
    assert do_waiting_jobs(exchange) == 1
    done = look(exchange, job_id)
    assert (done.status, done.result, done.attempts) == (JobStatus.DONE, {"counted": 7}, 1)
    do_job(exchange, job_id)
    assert look(exchange, job_id).attempts == 1


def test_what_is_undone_starts_no_job(exchange, kinds, secretary):
    @jobs.job("nothing")
    def nothing(exchange, work):
        raise AssertionError

    with exchange.sessions() as session:
        start_job(session, secretary, "nothing")
        session.rollback()
    assert do_waiting_jobs(exchange) == 0
    assert exchange.queue.huey.pending_count() == 0


def test_a_domain_error_is_kept_with_its_facts_and_any_other_is_not_shown(
    exchange, kinds, secretary, caplog
):
    @jobs.job("refused")
    def refused(exchange, work):
        raise Conflict("email_taken", email="a@demo.example")

    @jobs.job("broken")
    def broken(exchange, work):
        raise RuntimeError("secret detail")

    first, second = start(exchange, secretary, "refused"), start(exchange, secretary, "broken")
    do_waiting_jobs(exchange)
    assert look(exchange, first).problem == {
        "code": "email_taken",
        "facts": {"email": "a@demo.example"},
    }
    assert look(exchange, second).problem["code"] == "job_failed"
    assert "secret detail" not in str(look(exchange, second).problem)
    assert "secret detail" in caplog.text


def test_progress_is_told_while_the_work_writes(exchange, kinds, secretary):
    seen = []

    @jobs.job("writes")
    def writes(exchange, work):
        with exchange.writing() as session:
            make_person(session, Role.PROVIDER, "eclac")
            work.progress(3, 3)
            seen.append(exchange.queue.told(work.id))

    job_id = start(exchange, secretary, "writes")
    do_waiting_jobs(exchange)
    assert seen == [(3, 3)]
    assert look(exchange, job_id).status == JobStatus.DONE
    assert exchange.queue.told(job_id) == (0, 0)


def test_a_running_job_stops_when_asked_and_a_waiting_one_at_once(exchange, kinds, secretary):
    @jobs.job("long")
    def long(exchange, work):
        with exchange.writing() as session:
            stop_job(session, secretary, work.id)
        work.progress(1, 1)
        raise AssertionError

    job_id = start(exchange, secretary, "long")
    do_waiting_jobs(exchange)
    assert look(exchange, job_id).status == JobStatus.STOPPED
    waiting = start(exchange, secretary, "long")
    with exchange.writing() as session:
        assert stop_job(session, secretary, waiting).status == JobStatus.STOPPED
        with pytest.raises(NotAllowed, match="job_has_ended"):
            stop_job(session, secretary, waiting)


def test_an_interrupted_job_goes_on_from_what_it_kept(exchange, kinds, secretary):
    starts = []

    @jobs.job("resumes")
    def resumes(exchange, work):
        starts.append(work.kept.get("row", 0))
        work.keep({"row": work.kept.get("row", 0) + 10})
        if len(starts) == 1:
            raise SystemExit  # as a kill would: nothing after it runs

    job_id = start(exchange, secretary, "resumes")
    with pytest.raises(SystemExit):
        do_job(exchange, job_id)
    assert look(exchange, job_id).status == JobStatus.RUNNING
    assert take_up_lost_jobs(exchange) == []
    exchange.queue.forget(job_id)
    assert take_up_lost_jobs(exchange) == [job_id]
    do_job(exchange, job_id)
    assert starts == [0, 10]
    assert look(exchange, job_id).status == JobStatus.DONE


def test_a_job_whose_worker_dies_again_and_again_is_given_up(exchange, kinds, secretary):
    @jobs.job("deadly")
    def deadly(exchange, work):
        raise SystemExit

    job_id = start(exchange, secretary, "deadly")
    for _attempt in range(3):
        with pytest.raises(SystemExit):
            do_job(exchange, job_id)
        exchange.queue.forget(job_id)
        take_up_lost_jobs(exchange)
    given_up = look(exchange, job_id)
    assert given_up.status == JobStatus.FAILED
    assert given_up.problem["code"] == "job_interrupted"


def test_one_of_many_workers_takes_a_job(exchange, kinds, secretary, backend):
    runs = []

    @jobs.job("once")
    def once(exchange, work):
        runs.append(work.id)

    job_id = start(exchange, secretary, "once")
    workers = [threading.Thread(target=do_job, args=(exchange, job_id)) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert runs == [job_id]


def test_jobs_are_their_owners_and_the_secretariats(exchange, kinds, secretary):
    jobs.job("mine")(lambda exchange, work: None)
    with exchange.writing() as session:
        owner = make_person(session, Role.PROVIDER, "eclac")
        other = make_person(session, Role.FOCAL_POINT, "gov-pe")
    job_id = start(exchange, owner, "mine")
    with exchange.reading() as session:
        assert get_job(session, owner, job_id).id == job_id
        assert get_job(session, secretary, job_id).id == job_id
        with pytest.raises(NotFound):
            get_job(session, other, job_id)
        assert list(session.scalars(find_jobs(other))) == []


def test_a_routine_runs_when_its_time_has_come_and_once(exchange, kinds, backend):
    ran = []

    @jobs.routine(every=timedelta(hours=1))
    def hourly(exchange):
        ran.append("hourly")

    now = utc_now()
    assert run_routines(exchange, now=now) == ["hourly"]
    assert run_routines(exchange, now=now + timedelta(minutes=59)) == []
    assert run_routines(exchange, now=now + timedelta(minutes=60)) == ["hourly"]
    assert run_routines(exchange, only="hourly", now=now + timedelta(minutes=61)) == ["hourly"]
    assert len(ran) == 3
    with pytest.raises(NotFound, match="no_such_routine"):
        run_routines(exchange, only="weekly")


def test_a_routine_that_fails_is_noted_and_keeps_no_other_from_running(exchange, kinds, caplog):
    @jobs.routine(every=timedelta(hours=1))
    def fails(exchange):
        raise RuntimeError("no server")

    jobs.routine(every=timedelta(hours=1))(lambda exchange: None)
    assert run_routines(exchange) == ["fails", "<lambda>"]
    with exchange.reading() as session:
        turn = session.scalar(select(RoutineTurn).where(RoutineTurn.name == "fails"))
        assert turn.problem == "RuntimeError: no server"
    assert "no server" in caplog.text


def test_stopping_looks_like_stopping_inside_the_work(exchange, kinds, secretary):
    @jobs.job("cleans")
    def cleans(exchange, work):
        with exchange.writing() as session:
            stop_job(session, secretary, work.id)
        with pytest.raises(JobStopped):
            work.progress(1, 1)
        return {"cleaned": True}

    job_id = start(exchange, secretary, "cleans")
    do_waiting_jobs(exchange)
    assert look(exchange, job_id).result == {"cleaned": True}


@pytest.fixture
def environment(exchange):
    """What a worker of this exchange is started with."""
    return {"BROKER_HOME": str(exchange.settings.home), "BROKER_ENCODER": "none"}


@pytest.mark.slow
def test_a_worker_process_does_what_waits(exchange, secretary, environment):
    with exchange.writing() as session:
        job_id = start_job(session, secretary, "match_run", by_id=secretary.id).id
    command = [sys.executable, "-m", "broker", "work", "--beside", str(os.getpid())]
    with subprocess.Popen(command, env=environment) as worker:
        for _wait in range(600):
            if look(exchange, job_id).finished or worker.poll() is not None:
                break
            time.sleep(0.1)
        worker.terminate()
    done = look(exchange, job_id)
    assert (done.status, done.problem) == (JobStatus.DONE, {})
    assert done.result["page"]["run_id"] > 0


@pytest.mark.slow
def test_a_worker_does_not_outlive_the_server_that_started_it(environment):
    server = (
        "import os, subprocess, sys;"
        "print(subprocess.Popen([sys.executable, '-m', 'broker', 'work', '--beside',"
        " str(os.getpid())], stdout=subprocess.DEVNULL).pid)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", server], env=environment, check=True, capture_output=True, text=True
    )
    worker = int(ended.stdout)
    for _wait in range(300):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker went on without its server")
