"""Numbers: how the exchange stands, and the match report."""

from __future__ import annotations

import json
from typing import Any

from marshmallow import INCLUDE, Schema, fields

from broker.api.answers.values import text
from broker.api.door import Door
from broker.overview import survey
from broker.report.json_form import as_json
from broker.report.match_report import match_report
from broker.report.scope import read_scope
from broker.schemas import Strict
from broker.secretariat import scope_of
from broker.web.access import EVERYBODY, MODERATORS, person
from broker.web.reading import database, exchange, language, today

doors = Door("api_reports", __name__, description="How the exchange stands, and the match report")


class BoardSaid(Schema):
    """How the exchange stands now."""

    needs = fields.Integer(required=True)
    offers = fields.Integer(required=True)
    agreements = fields.Integer(required=True)
    needs_by_country = fields.Dict(values=fields.Integer(), required=True)


class ReportSaid(Schema):
    """The match report, as the secretariat's page and files say it."""

    language = text()
    scope = fields.Dict(required=True, metadata={"description": "The filters of the report."})
    figures = fields.Dict(required=True, metadata={"description": "Its key figures."})
    run = fields.Dict(allow_none=True)

    class Meta:
        """The tables, lists and statistics of the report are described on its page."""

        unknown = INCLUDE


FILTER_HELP = {
    "from": "First day of the period, ISO 8601.",
    "to": "Last day of the period; today if left out.",
    "subregion": "Code of a subregion.",
    "country": "ISO 3166 code of a country of the region.",
    "programme": "Code of a programme.",
    "task_force": "Code of a task force’s organisation.",
    "run": "Number of the match run to rest on; the newest of the period if left out.",
    "against": "Number of the match run to compare with.",
    "currency": "ISO 4217 code of a currency into which sums are converted.",
}
"""Filter of a report → what it is."""

ReportQuery = Strict.from_dict(
    {key: fields.String(metadata={"description": FILTER_HELP[key]}) for key in FILTER_HELP},
    name="ReportQuery",
)
"""The filters of a report; :func:`broker.report.scope.read_scope` checks them."""


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
    scope = read_scope(database(), query, exchange().reference, today=today())
    made = match_report(
        database(),
        exchange().reference,
        scope=scope,
        language=language(),
        negotiated_in=scope_of(person()),
    )
    return json.loads(as_json(made, exchange().reference))
