"""The rows behind a report's numbers, one after the other, for a workbook to count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from broker.explanations import BAND_NAMES
from broker.messages import STATES
from broker.reference import Reference
from broker.report.answers import INTEREST_NAMES
from broker.report.layout import NOT_STATED, Column, Row, Table
from broker.report.lines import PostLine
from broker.report.match_report import MatchReport
from broker.report.outcomes import BANDS
from broker.report.rows import GROUPS, OUTCOMES, group_members
from broker.supply_demand import FACET_NAMES

HOLDS = {True: "yes", False: "no", None: ""}
"""How a row writes what holds, in every language: formulas look for it."""

KIND_NAMES = {"cooperation": _l("cooperation"), "voluntary": _l("voluntary, public and private")}

EVENTS = ("signed", "voluntary", "in_force", "late", "completed")


def rows_behind(report: MatchReport, reference: Reference) -> tuple[Table, ...]:
    """The rows that a report's figures count, by the name under which a figure looks for them.

    Their codes stand beside the words, and are the same in every language.
    """
    return (
        _posts("needs", _("Needs, all rows"), report.needs, reference),
        _posts("offers", _("Offers, all rows"), report.offers, reference),
        _interests(report, reference),
        _dismissals(report, reference),
        _agreements(report),
        _commitments(report, reference),
        _suggested(report),
    )


def _table(key: str, title: str, columns: dict[str, str], rows: Iterable[tuple[Any, ...]]) -> Table:
    return Table(
        key,
        title,
        tuple(Column(name, words) for name, words in columns.items()),
        tuple(Row(str(cells[0]), cells) for cells in rows),
    )


def _posts(key: str, title: str, posts: Sequence[PostLine], reference: Reference) -> Table:
    groups_of = _groups(reference)
    columns = {
        "reference": _("Reference"),
        "title": _("Title"),
        "organisation": _("Organisation"),
        "place": _("Place") if key == "needs" else _("Whom it serves"),
        "country": _("Country code"),
        "groups": _("%(facet)s: codes", facet=_("Group of countries")),
        "language": _("Language"),
        "status": _("State"),
        "in_book": _("In the run"),
        "met": _("Has a match"),
        "served": _("Served by an agreement"),
        "places": _("Places"),
        "money": _("Money"),
        "currency": _("Currency"),
        **{f"{facet}_labels": str(words) for facet, words in FACET_NAMES.items()},
        **{facet: _("%(facet)s: codes", facet=words) for facet, words in FACET_NAMES.items()},
    }
    rows = (
        (
            post.reference, post.title, post.organisation, post.place, post.country or NOT_STATED,
            groups_of(post.country),
            post.language, str(STATES[post.status]), HOLDS[post.in_book], HOLDS[post.met],
            HOLDS[post.served], post.places, post.money, post.currency,
            *("; ".join(post.codes[facet].values()) for facet in FACET_NAMES),
            *(_coded(post.codes[facet]) for facet in FACET_NAMES),
        )
        for post in posts
    )  # fmt: skip
    return _table(key, title, columns, rows)


def _groups(reference: Reference) -> Callable[[str | None], str]:
    """What tells the groups of a country, as a formula looks for them."""
    groups = {group: set(group_members(group, reference)) for group in GROUPS}

    @cache
    def groups_of(country: str | None) -> str:
        return _coded(group for group, members in groups.items() if country in members)

    return groups_of


def _coded(codes: Iterable[str]) -> str:
    """Codes so that a formula can look for one of them: ``|water|youth|``; ``–`` for none."""
    joined = "|".join(codes)
    return f"|{joined}|" if joined else NOT_STATED


def _interests(report: MatchReport, reference: Reference) -> Table:
    columns = {
        "need": _("Need"),
        "offer": _("Offer"),
        "side": _("Who asked"),
        "on": _("Day"),
        "days": _("Days to the answer"),
        "state_label": _("State"),
        "reason_label": _("Reason"),
        "state": _("State: code"),
        "reason": _("Reason: code"),
    }
    sides = {"need": _("asks"), "offer": _("gives")}
    rows = (
        (
            line.need, line.offer, sides[line.side], line.on,
            None if line.days is None else round(line.days, 4), str(INTEREST_NAMES[line.state]),
            reference.label("dismissal_reason", line.reason or None, report.language),
            line.state, line.reason,
        )
        for line in report.interests
    )  # fmt: skip
    return _table("interests", _("Interests, all rows"), columns, rows)


def _dismissals(report: MatchReport, reference: Reference) -> Table:
    columns = {
        "need": _("Need"),
        "offer": _("Offer"),
        "on": _("Day"),
        "reason_label": _("Reason"),
        "reason": _("Reason: code"),
    }
    rows = (
        (
            line.need, line.offer, line.on,
            reference.label("dismissal_reason", line.reason, report.language), line.reason,
        )
        for line in report.dismissals
    )  # fmt: skip
    return _table("dismissals", _("Suggestions put aside"), columns, rows)


def _agreements(report: MatchReport) -> Table:
    columns = {
        "reference": _("Reference"),
        "title": _("Title"),
        "status_label": _("State"),
        "kind": _("Kind"),
        "need": _("Need"),
        "need_side": _("Asks"),
        "offer": _("Offer"),
        "offer_side": _("Offers it"),
        "places": _("Places"),
        "money": _("Money"),
        "currency": _("Currency"),
        "proposed_on": _("Proposed"),
        "signed_on": _("Signed"),
        "days": _("Days to the signature"),
        "status": _("State: code"),
        "signed": _("Signed in the period"),
        "voluntary": _("Voluntary"),
        "in_force": _("In force at the end"),
        "late": _("Late"),
        "completed": _("Completed in the period"),
    }
    rows = (
        (
            line.reference, line.title, str(STATES[line.status]),
            str(KIND_NAMES.get(line.kind, line.kind)), line.need, line.need_side, line.offer,
            line.offer_side, line.places, line.money, line.currency, line.proposed_on,
            line.signed_on, None if line.days is None else round(line.days, 4), line.status,
            *(HOLDS[event in line.events] for event in EVENTS),
        )
        for line in report.agreements
    )  # fmt: skip
    return _table("agreements", _("Agreements, all rows"), columns, rows)


def _commitments(report: MatchReport, reference: Reference) -> Table:
    columns = {
        "agreement": _("Agreement"),
        "on": _("Day"),
        "places": _("Places"),
        "money": _("Money"),
        "currency": _("Currency"),
        "country": _("Country code"),
        "groups": _("%(facet)s: codes", facet=_("Group of countries")),
        "counted": _("For a need of this report"),
    }
    listed = {post.reference for post in report.needs}
    groups_of = _groups(reference)
    rows = (
        (
            line.agreement, line.on, line.places, line.money or None, line.currency,
            line.country or NOT_STATED, groups_of(line.country), HOLDS[line.need in listed],
        )
        for line in report.commitments
    )  # fmt: skip
    return _table("commitments", _("Commitments, all rows"), columns, rows)


def _suggested(report: MatchReport) -> Table:
    columns = {
        "need": _("Need"),
        "offer": _("Offer"),
        "run": _("Match run"),
        "score": _("Score"),
        "band": _("Band"),
        "band_code": _("Band: code"),
        "interest": _("Interest expressed"),
        "mutual": _("Mutual interest"),
        "agreement": _("Agreement signed"),
    }
    names = {band: str(BAND_NAMES[band]) for band in BANDS}
    rows = (
        (
            line.need, line.offer, line.run, round(line.score, 2), names[line.band], line.band,
            *(HOLDS[outcome in line.outcomes] for outcome in OUTCOMES),
        )
        for line in report.suggested
    )  # fmt: skip
    return _table("suggested", _("Suggested pairs"), columns, rows)
