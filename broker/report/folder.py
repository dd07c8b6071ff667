"""Reports that take long: made by a worker, kept in a folder, and fetched by who asked for them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from broker.exchange import Exchange
from broker.jobs import Work, job, routine, start_job
from broker.report.forms import FILES
from broker.report.match_report import match_report
from broker.report.scope import read_scope
from broker.secretariat import scope_of
from broker.speech import speaking
from models import Job, NotAllowed, NotFound, User

LARGE = 4000
"""Posts in a run from which on a file with all rows is better made in the background."""

KEPT = timedelta(days=7)
"""How long a file waits to be fetched."""


def prepare_report(
    session: Session, by: User, ending: str, filters: Mapping[str, Any], *, language: str
) -> Job:
    """Have a report made in the background.

    Parameters
    ----------
    ending : str
        One of :data:`broker.report.forms.FILES`.
    filters : dict
        As in an address (:func:`broker.report.scope.read_scope`).

    Raises
    ------
    NotAllowed, NotFound
        For who is no moderator; for a form that does not exist.
    """
    if not (by.is_secretariat or by.subregion):
        raise NotAllowed("secretariat_only")
    if ending not in FILES:
        raise NotFound("no_such_page")
    return start_job(
        session,
        by,
        "make_report",
        ending=ending,
        filters=dict(filters),
        language=language,
        by_id=by.id,
    )


@job("make_report", name=_l("Match report"), page="reports.prepared")
def make_report(
    exchange: Exchange,
    work: Work,
    *,
    ending: str,
    filters: dict[str, Any],
    language: str,
    by_id: int,
) -> dict[str, Any]:
    """The making of a report as a job: read, written, and kept as a file."""
    form, reference = FILES[ending], exchange.reference
    with speaking(language), exchange.reading() as session:
        by = session.get_one(User, by_id)
        scope = read_scope(session, filters, reference, today=exchange.today())
        work.progress(0, 2)
        report = match_report(
            session,
            reference,
            scope=scope,
            language=language,
            negotiated_in=scope_of(by),
            listed=form.listed,
        )
        work.progress(1, 2)
        content = form.write(report, reference)
    path = _path(exchange, work.id, ending)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    work.progress(2, 2)
    return {"page": {"job_id": work.id}, "ending": ending}


def fetch_report(exchange: Exchange, session: Session, by: User, job_id: int) -> tuple[str, bytes]:
    """A report that was made in the background: its ending and its content.

    Raises
    ------
    NotFound
        If it is not done, is somebody else's, or was kept long enough.
    """
    found = session.get(Job, job_id)
    if found is None or found.kind != "make_report" or found.by_id != by.id or not found.result:
        raise NotFound("no_such_page")
    ending = str(found.result["ending"])
    try:
        return ending, _path(exchange, job_id, ending).read_bytes()
    except FileNotFoundError as error:
        raise NotFound("report_gone") from error


def _path(exchange: Exchange, job_id: int, ending: str) -> Path:
    return exchange.settings.home / "reports" / f"{job_id}.{ending}"


@routine(every=timedelta(days=1))
def clear_reports(exchange: Exchange) -> None:
    """Remove the files that have waited long enough."""
    limit = time.time() - KEPT.total_seconds()
    for path in (exchange.settings.home / "reports").glob("*.*"):
        if path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
