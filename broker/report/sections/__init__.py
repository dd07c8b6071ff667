"""The report laid out once: every form in which it is read shows these sections."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import force_locale

from broker.reference import Reference
from broker.report.layout import Address, Section
from broker.report.match_report import MatchReport
from broker.report.sections.brief import brief
from broker.report.sections.calibration import outcomes
from broker.report.sections.dealings import agreements, answers, money
from broker.report.sections.matching import matches, unmet, unused
from broker.report.sections.method import method
from broker.report.sections.served import equity
from broker.report.sections.supply import supply
from broker.report.sections.writer import SECTIONS, Writer

__all__ = ["SECTIONS", "lay_out"]

WRITERS: dict[str, Callable[[Writer], Section]] = {
    "brief": brief,
    "matches": matches,
    "unmet": unmet,
    "unused": unused,
    "supply": supply,
    "answers": answers,
    "agreements": agreements,
    "money": money,
    "equity": equity,
    "outcomes": outcomes,
    "method": method,
}
"""Part of a report → what writes it, in the order in which they stand."""

OF_A_RUN = frozenset({"matches", "unmet", "unused", "outcomes"})
"""Parts that there are only where matching was run."""


def lay_out(
    report: MatchReport, reference: Reference, address: Address | None = None
) -> tuple[Section, ...]:
    """The report's sections in its own language.

    Parameters
    ----------
    address : callable, optional
        The address of a list, for charts whose parts lead somewhere.
    """
    with force_locale(report.language):
        writer = Writer(report, reference, address)
        return tuple(
            write(writer)
            for key, write in WRITERS.items()
            if report.run is not None or key not in OF_A_RUN
        )
