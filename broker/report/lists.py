"""The lists behind a report's numbers by their names, as addresses ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Select

from broker.posts import CLASSES
from broker.reference import Reference
from broker.report.answers import INTEREST_STATES
from broker.report.outcomes import BANDS
from broker.report.rows import AGREEMENT_EVENTS, GROUPS, OUTCOMES, ReportRows
from broker.supply_demand import FACETS, codes_of
from models import (
    AgreementStatus,
    NotFound,
)


class _Values:
    """The parameters of a list; a value that cannot be leads nowhere."""

    def __init__(self, given: Mapping[str, str], reference: Reference) -> None:
        self.given = given
        self.reference = reference

    def one_of(self, name: str, codes: Iterable[str], default: str = "") -> str:
        value = self.given.get(name) or default
        if value and value not in set(codes):
            raise NotFound("no_such_page")
        return value

    def code(self, name: str, scheme: str) -> str:
        return self.one_of(name, self.reference.codes(scheme))

    def facets(self) -> dict[str, str]:
        found = {f: self.one_of(f, codes_of(f, self.reference)) for f in FACETS}
        return {facet: code for facet, code in found.items() if code}

    def place(self) -> str:
        return self.one_of(
            "place", ("any", "none", *GROUPS, *self.reference.codes("region_country"))
        )

    def kind(self) -> str:
        return self.one_of("kind", CLASSES, "need")


YES_NO = ("yes", "no")

LISTS: dict[str, Callable[[ReportRows, _Values], Select[Any]]] = {
    "needs": lambda rows, v: rows.needs(v.facets(), v.one_of("met", YES_NO)),
    "offers": lambda rows, v: rows.offers(v.facets()),
    "matches": lambda rows, v: rows.matches(v.one_of("band", BANDS)),
    "unmet": lambda rows, _v: rows.unmet(),
    "unused": lambda rows, _v: rows.unused(),
    "without": lambda rows, v: rows.without(v.kind(), v.one_of("facet", FACETS, "theme")),
    "posted": lambda rows, v: rows.posted(v.kind()),
    "interests": lambda rows, v: rows.interests(
        v.one_of("state", (*INTEREST_STATES, "answered", "unanswered", "overdue")),
        v.code("reason", "dismissal_reason"),
    ),
    "dismissals": lambda rows, v: rows.dismissals(v.code("reason", "dismissal_reason")),
    "agreements": lambda rows, v: rows.agreements(
        v.one_of("status", [str(status) for status in AgreementStatus]),
        v.one_of("event", AGREEMENT_EVENTS),
    ),
    "stating": lambda rows, v: rows.stating(v.kind(), v.code("currency", "currency"), v.place()),
    "sealed": lambda rows, _v: rows.sealed(),
    "commitments": lambda rows, v: rows.commitments(v.code("currency", "currency"), v.place()),
    "asking": lambda rows, v: rows.asking(
        v.place(),
        v.one_of("served", YES_NO),
    ),
    "suggested": lambda rows, v: rows.suggested(
        v.one_of("band", BANDS), v.one_of("outcome", OUTCOMES)
    ),
}
"""Name of a list within the report → its query, from its parameters."""


def find_rows(rows: ReportRows, name: str, values: Mapping[str, str]) -> Select[Any]:
    """The query of a list by its name and parameters.

    Raises
    ------
    NotFound
        For a list, or a value of a parameter, that does not exist.
    """
    if name not in LISTS:
        raise NotFound("no_such_page")
    return LISTS[name](rows, _Values(values, rows.reference))
