"""What every section is written from: the report, the labels of its codes, and its language."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from flask_babel import lazy_gettext as _l

from broker.reference import Reference
from broker.report.layout import (
    Address,
    Chart,
    Section,
    Table,
    day_words,
)
from broker.report.match_report import MatchReport
from broker.report.prose import Prose

SECTIONS = {
    "brief": _l("In brief"),
    "matches": _l("Best matches"),
    "unmet": _l("Unmet needs"),
    "unused": _l("Unused offers"),
    "supply": _l("Supply against demand"),
    "answers": _l("Interests and answers"),
    "agreements": _l("Agreements"),
    "money": _l("Places and money"),
    "equity": _l("Who is served"),
    "outcomes": _l("Did better scores become agreements?"),
    "method": _l("How this report was made"),
}
"""Part of a report → its title."""


class Writer(Prose):
    """Writes a report's numbers and sentences in its language.

    Parameters
    ----------
    address : callable, optional
        The address of a list, for charts whose parts lead somewhere.
    """

    def __init__(
        self, report: MatchReport, reference: Reference, address: Address | None = None
    ) -> None:
        super().__init__(report.language)
        self.report = report
        self.reference = reference
        self.address = address or (lambda _rows: "")

    def day(self, day: date) -> str:
        """A day as it stands in a sentence."""
        return day_words(day, self.language)

    def label(self, scheme: str, code: str | None) -> str:
        """What a code means."""
        return self.reference.label(scheme, code, self.language)

    def section(
        self,
        key: str,
        words: Iterable[str] = (),
        tables: Iterable[Table] = (),
        charts: Iterable[Chart] = (),
        warnings: Iterable[str] = (),
    ) -> Section:
        """A section of the report with its title."""
        return Section(
            key,
            str(SECTIONS[key]),
            self.sentences(words),
            tuple(warnings),
            tuple(tables),
            tuple(charts),
        )
