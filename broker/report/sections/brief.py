"""In brief: the key figures, set against the period before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from broker.report.figures import KeyFigures
from broker.report.layout import IN_BOOK, Column, Content, Figure, Over, Row, Rows, Section, Table
from broker.report.sections.writer import Writer


@dataclass(frozen=True)
class KeyFigure:
    """How a key figure is named and written, where it leads, and how a workbook finds it.

    ``share`` names the two key figures of which it is the quotient.
    """

    key: str
    name: Any
    form: str = "count"
    rows: Rows | None = None
    over: tuple[Over, ...] = ()
    share: tuple[str, str] | None = None

    def of(self, figures: KeyFigures) -> Any:
        """Its value among the figures of a report."""
        return getattr(figures, self.key)


def _agreements(key: str, name: Any) -> KeyFigure:
    rows, over = Rows("agreements", {"event": key}), Over("agreements", {key: "yes"})
    return KeyFigure(key, name, rows=rows, over=(over,))


KEY_FIGURES = (
    KeyFigure("needs", _l("Needs in the run"), rows=Rows("needs"), over=(Over("needs", IN_BOOK),)),
    KeyFigure(
        "offers", _l("Offers in the run"), rows=Rows("offers"), over=(Over("offers", IN_BOOK),)
    ),
    KeyFigure("matches", _l("Matches"), rows=Rows("matches")),
    KeyFigure(
        "met_needs",
        _l("Needs with a match"),
        rows=Rows("needs", {"met": "yes"}),
        over=(Over("needs", {**IN_BOOK, "met": "yes"}),),
    ),
    KeyFigure(
        "match_rate",
        _l("Match rate"),
        "percent",
        Rows("needs", {"met": "yes"}),
        share=("met_needs", "needs"),
    ),
    KeyFigure(
        "unmet_needs",
        _l("Unmet needs"),
        rows=Rows("unmet"),
        over=(Over("needs", {**IN_BOOK, "met": "no"}),),
    ),
    KeyFigure(
        "unused_offers",
        _l("Unused offers"),
        rows=Rows("unused"),
        over=(Over("offers", {**IN_BOOK, "met": "no"}),),
    ),
    KeyFigure(
        "new_needs", _l("Needs that came in the period"), rows=Rows("posted", {"kind": "need"})
    ),
    KeyFigure(
        "new_offers", _l("Offers that came in the period"), rows=Rows("posted", {"kind": "offer"})
    ),
    KeyFigure(
        "interests", _l("Interests expressed"), rows=Rows("interests"), over=(Over("interests"),)
    ),
    KeyFigure(
        "answer_days",
        _l("Median days to the first answer"),
        "days",
        Rows("interests", {"state": "answered"}),
        (Over("interests", column="days", median=True),),
    ),
    KeyFigure(
        "unanswered",
        _l("Interests without an answer"),
        rows=Rows("interests", {"state": "unanswered"}),
        over=(Over("interests", {"state": "waiting"}), Over("interests", {"state": "lapsed"})),
    ),
    KeyFigure(
        "unanswered_share",
        _l("Share without an answer"),
        "percent",
        Rows("interests", {"state": "unanswered"}),
        share=("unanswered", "interests"),
    ),
    KeyFigure(
        "agreement_days",
        _l("Median days from first interest to signature"),
        "days",
        Rows("agreements", {"event": "signed"}),
        (Over("agreements", column="days", median=True),),
    ),
    _agreements("signed", _l("Agreements signed")),
    _agreements("voluntary", _l("of these voluntary, public and private")),
    _agreements("in_force", _l("Agreements in force at the end")),
    _agreements("late", _l("of these with a milestone that is late")),
    _agreements("completed", _l("Agreements completed")),
    KeyFigure(
        "places_committed",
        _l("Places committed"),
        rows=Rows("commitments"),
        over=(Over("commitments", column="places"),),
    ),
)

BY_KEY = {key_figure.key: key_figure for key_figure in KEY_FIGURES}


def figure_of(key: str, figures: KeyFigures) -> Figure:
    """A key figure with the list to which it leads."""
    found = BY_KEY[key]
    over, of = (BY_KEY[part].over for part in found.share) if found.share else (found.over, ())
    return Figure(found.of(figures), found.form, found.rows, over, of, found.share)


def brief(writer: Writer) -> Section:
    """The key figures, now and before, and the report in a few sentences."""
    report = writer.report
    earlier = report.earlier
    columns = [Column("figure", _("Figure")), Column("value", _("Now"), numeric=True)]
    if earlier is not None:
        columns += [
            Column("before", _("Before"), numeric=True),
            Column("change", _("Change"), numeric=True, less=("value", "before")),
        ]
    rows = []
    for key_figure in KEY_FIGURES:
        now = key_figure.of(report.figures)
        if now is None and report.run is None and key_figure.key == "match_rate":
            continue
        cells: list[Content] = [str(key_figure.name), figure_of(key_figure.key, report.figures)]
        if earlier is not None:
            before = key_figure.of(earlier.figures)
            cells += [
                Figure(before, key_figure.form, share=key_figure.share),
                _change(now, before, key_figure.form),
            ]
        rows.append(Row(key_figure.key, tuple(cells)))
    note = ""
    if earlier is not None:
        period = (
            _("up to %(day)s", day=writer.day(earlier.until))
            if earlier.since is None
            else _(
                "%(first)s to %(last)s",
                first=writer.day(earlier.since),
                last=writer.day(earlier.until),
            )
        )
        note = (
            _("Before: %(period)s, run %(run)s.", period=period, run=earlier.run)
            if earlier.run
            else _("Before: %(period)s; there was no run.", period=period)
        )
    table = Table("key_figures", _("Key figures"), tuple(columns), tuple(rows), note=note)
    return writer.section("brief", _told(writer), [table], warnings=_warnings(writer))


def _told(writer: Writer) -> Iterator[str]:
    """The report in a few sentences."""
    report, figures = writer.report, writer.report.figures
    if report.is_empty:
        return
    if figures.match_rate is not None and report.run is not None:
        yield _(
            "%(needs)s needs and %(offers)s offers took part; %(met)s needs have a match "
            "(%(rate)s).",
            needs=_linked(writer, "needs"),
            offers=_linked(writer, "offers"),
            met=_linked(writer, "met_needs"),
            rate=_linked(writer, "match_rate"),
        )
    if figures.interests:
        yield ngettext(
            "%(count)s interest was expressed; without an answer: %(unanswered)s.",
            "%(count)s interests were expressed; without an answer: %(unanswered)s.",
            figures.interests,
            count=_linked(writer, "interests"),
            unanswered=_linked(writer, "unanswered_share"),
        )
    if figures.signed:
        yield ngettext(
            "%(count)s agreement was signed.",
            "%(count)s agreements were signed.",
            figures.signed,
            count=_linked(writer, "signed"),
        )


def _linked(writer: Writer, key: str) -> str:
    return writer.figure(figure_of(key, writer.report.figures))


def _warnings(writer: Writer) -> Iterator[str]:
    """What a reader should know before she trusts the numbers."""
    report, scope = writer.report, writer.report.scope
    if report.is_empty:
        yield (
            _("Nothing on the exchange fits these filters. Take one off, or choose another.")
            if scope.is_narrowed or scope.since or scope.until
            else _("There is nothing on the exchange yet.")
        )
    if scope.until is not None and scope.until > scope.today:
        yield _(
            "The period ends on %(day)s, which is still to come. The figures go up to today.",
            day=writer.day(scope.until),
        )
    if report.run is None:
        yield (
            _("Matching has not been run yet.")
            if scope.until is None
            else _("Matching had not been run by %(day)s.", day=writer.day(scope.last_day))
        )
    elif scope.until is None and report.run.changed:
        yield ngettext(
            "%(count)s post has come, gone or changed since this run.",
            "%(count)s posts have come, gone or changed since this run.",
            report.run.changed,
            count=writer.number(report.run.changed),
        )
    if report.run is not None and report.figures.needs and not report.figures.met_needs:
        yield _("No offer matched any of these needs.")


def _change(now: Any, before: Any, form: str) -> Figure:
    if now is None or before is None:
        return Figure(None)
    forms = {"percent": "points", "days": "days"}
    return Figure(now - before, forms.get(form, "change"))
