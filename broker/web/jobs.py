"""Pages of jobs: how far long work is, what came of it, and the way to stop it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import selectinload

from broker.jobs import JOBS, find_jobs, get_job, learn_kinds, stop_job
from broker.messages import sentence
from broker.web.access import SIGNED_IN, allow, person
from broker.web.presentation import paginate
from broker.web.reading import database, exchange
from models import DomainError, Job, JobStatus

pages = Blueprint("jobs", __name__)

LOOK_AGAIN = "2"
"""Seconds after which a browser without JavaScript asks how far a running job is."""

STATUS_NAMES = {
    JobStatus.QUEUED: _l("waiting for its turn"),
    JobStatus.RUNNING: _l("running"),
    JobStatus.DONE: _l("done"),
    JobStatus.FAILED: _l("failed"),
    JobStatus.STOPPED: _l("stopped"),
}


@pages.context_processor
def names() -> dict[str, Any]:
    """Names of codes that only these pages show."""
    return {
        "JOB_STATUS_NAMES": STATUS_NAMES,
        "job_name": job_name,
        "result_address": result_address,
    }


def job_name(job: Job) -> str:
    """What kind of work it is."""
    learn_kinds()
    return str(JOBS[job.kind].name) if job.kind in JOBS else job.kind


def result_address(job: Job) -> str:
    """The page that shows what came of a job; empty where there is none."""
    learn_kinds()
    kind = JOBS.get(job.kind)
    if job.status != JobStatus.DONE or kind is None or not kind.page or "page" not in job.result:
        return ""
    return url_for(kind.page, **job.result["page"])


@pages.get("/jobs")
@allow(SIGNED_IN)
def jobs() -> str:
    """The person's jobs, and for the secretariat everybody's; the newest first."""
    query = find_jobs(person()).options(selectinload(Job.by))
    return render_template("jobs/list.html", page=paginate(database(), query))


@pages.get("/jobs/<int:job_id>")
@allow(SIGNED_IN)
def show(job_id: int) -> Response:
    """How far a job is, or what came of it."""
    job = get_job(database(), person(), job_id)
    done, total = exchange().queue.told(job.id) if not job.finished else (0, 0)
    page = render_template(
        "jobs/show.html",
        job=job,
        done=done,
        total=total,
        problem=_problem(job),
        address=result_address(job),
    )
    response = make_response(page)
    if not job.finished:
        response.headers["Refresh"] = LOOK_AGAIN
    return response


@pages.get("/jobs/<int:job_id>/progress")
@allow(SIGNED_IN)
def progress(job_id: int) -> Response:
    """How far a job is, for scripts: ``status``, ``done`` and ``total``."""
    job = get_job(database(), person(), job_id)
    done, total = exchange().queue.told(job.id) if not job.finished else (0, 0)
    return jsonify(status=job.status, done=done, total=total)


@pages.post("/jobs/<int:job_id>/stop")
@allow(SIGNED_IN)
def stop(job_id: int) -> Any:
    """Ask a job to stop."""
    stop_job(database(), person(), job_id)
    return redirect(url_for("jobs.show", job_id=job_id))


def _problem(job: Job) -> str:
    if not job.problem:
        return ""
    try:
        return sentence(DomainError(job.problem["code"], **job.problem.get("facts", {})))
    except KeyError:
        return _("The work failed.")
