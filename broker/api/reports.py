"""Numbers: how the exchange stands, and the match report."""

from __future__ import annotations

import json
from typing import Any

from marshmallow import fields, validate

from broker.api.door import Door
from broker.api.said import BoardSaid, ReportSaid
from broker.overview import survey
from broker.report_files import as_json
from broker.reports import match_report
from broker.runs import get_run
from broker.schemas import Strict
from broker.secretariat import scope_of
from broker.web.access import EVERYBODY, MODERATORS, person
from broker.web.reading import database, exchange, language

doors = Door("api_reports", __name__, description="How the exchange stands, and the match report")


class ReportQuery(Strict):
    """Of which match run; the newest where none is named."""

    run = fields.Integer(validate=validate.Range(1, 2**31 - 1))


@doors.opens("GET", "/board", roles=EVERYBODY, gives=BoardSaid)
def board() -> Any:
    """Read how many needs and offers are open now, what was agreed, and where needs are."""
    now = survey(database(), newest=0)
    return {
        "needs": now.needs,
        "offers": now.offers,
        "agreements": now.agreements,
        "needs_by_country": now.countries,
    }


@doors.opens("GET", "/reports/match", roles=MODERATORS, query=ReportQuery, gives=ReportSaid)
def report(query: dict[str, Any]) -> Any:
    """Read the match report, as its page and its files say it."""
    run = get_run(database(), query["run"]) if query.get("run") else None
    made = match_report(
        database(),
        exchange().reference,
        run=run,
        language=language(),
        subregion=scope_of(person()),
    )
    return json.loads(as_json(made, language()))
