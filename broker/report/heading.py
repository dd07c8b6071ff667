"""What stands above a report: its title, its period, and what it is narrowed to."""

from __future__ import annotations

from flask_babel import force_locale
from flask_babel import gettext as _

from broker.reference import Reference
from broker.report.layout import day_words
from broker.report.match_report import MatchReport
from broker.report.scope import FILTER_NAMES, FILTERS, ReportScope


def title_of(report: MatchReport) -> str:
    """“Match report”, in the report's language."""
    with force_locale(report.language):
        return _("Match report")


def period_of(scope: ReportScope, language: str) -> str:
    """The report's period in words."""
    with force_locale(language):
        last = day_words(scope.last_day, language)
        if scope.since is None:
            return _("Up to %(day)s", day=last)
        return _("%(first)s to %(last)s", first=day_words(scope.since, language), last=last)


def filters_of(
    scope: ReportScope, reference: Reference, language: str, task_force: str = ""
) -> list[tuple[str, str]]:
    """What the report is narrowed to: names and values; ``task_force`` is that one's name."""
    with force_locale(language):
        found = []
        for name in FILTERS:
            code = getattr(scope, name)
            if code:
                label = (
                    task_force if name == "task_force" else reference.label(name, code, language)
                )
                found.append((str(FILTER_NAMES[name]), label or code))
        return found
