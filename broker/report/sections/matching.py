"""What met, and what met nobody: best matches, unmet needs, unused offers."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import ngettext

from broker.explanations import BAND_NAMES
from broker.report.layout import Column, Figure, Ref, Row, Rows, Section, Table
from broker.report.lines import PostLine
from broker.report.sections.writer import Writer


def _post(line: PostLine) -> Ref:
    return Ref(line.kind, line.id, line.reference)


def matches(writer: Writer) -> Section:
    """The best matches, with the main reason of each."""
    report = writer.report
    columns = (
        Column("score", _("Score"), numeric=True),
        Column("band", _("Band")),
        Column("need", _("Need")),
        Column("need_title", _("Title of the need")),
        Column("asks", _("Asks")),
        Column("offer", _("Offer")),
        Column("offer_title", _("Title of the offer")),
        Column("gives", _("Offers it")),
        Column("reason", _("Main reason")),
    )
    rows = tuple(
        Row(
            f"{line.need.reference}/{line.offer.reference}",
            (
                Figure(round(line.score, 2), "score"),
                str(BAND_NAMES[line.band]),
                _post(line.need),
                line.need.title,
                f"{line.need.organisation}, {line.need.place}",
                _post(line.offer),
                line.offer.title,
                line.offer.organisation,
                line.reason,
            ),
        )
        for line in report.best
    )
    more = Figure(report.figures.matches, rows=Rows("matches"))
    words = [] if rows else [_("No offer matched any of these needs.")]
    table = Table("matches", _("Best matches"), columns, rows, more=more)
    return writer.section("matches", words, [table] if rows else [])


def unmet(writer: Writer) -> Section:
    """The needs that no offer matched, the nearest to a match first."""
    report = writer.report
    columns = (
        Column("score", _("Nearest score"), numeric=True),
        Column("need", _("Need")),
        Column("title", _("Title")),
        Column("place", _("Place")),
        Column("nearest", _("Nearest offer")),
        Column("nearest_title", _("Title of the nearest offer")),
        Column("missing", _("What was missing")),
    )
    rows = tuple(
        Row(
            line.need.reference,
            (
                Figure(None if line.score is None else round(line.score, 2), "score"),
                _post(line.need),
                line.need.title,
                line.need.place,
                Ref("offer", line.offer_id, line.offer) if line.offer_id else "",
                line.offer_title,
                " ".join(line.missing),
            ),
        )
        for line in report.unmet
    )
    words = [
        _(
            "No offer could serve these needs well on the day of the run. Those that came "
            "nearest to a match stand first: a score of 50 makes a match."
        )
        if rows
        else _("Every need has a match.")
    ]
    more = Figure(report.figures.unmet_needs, rows=Rows("unmet"))
    table = Table("unmet", _("Unmet needs"), columns, rows, more=more)
    return writer.section("unmet", words, [table] if rows else [])


def unused(writer: Writer) -> Section:
    """The offers that match no need, and what each waits for."""
    report = writer.report
    columns = (
        Column("offer", _("Offer")),
        Column("title", _("Title")),
        Column("gives", _("Offers it")),
        Column("serves", _("Whom it serves")),
        Column("waits_for", _("What it waits for")),
    )
    rows = tuple(
        Row(
            line.offer.reference,
            (
                _post(line.offer),
                line.offer.title,
                line.offer.organisation,
                line.offer.place,
                _waits(line.waits_for, line.needs),
            ),
        )
        for line in report.unused
    )
    words = [
        _("These offers matched no need on the day of the run.")
        if rows
        else _("Every offer matches a need.")
    ]
    more = Figure(report.figures.unused_offers, rows=Rows("unused"))
    table = Table("unused", _("Unused offers"), columns, rows, more=more)
    return writer.section("unused", words, [table] if rows else [])


def _waits(waits_for: str, needs: int) -> str:
    if waits_for == "theme":
        return _("For a need on its themes: nobody asks about them.")
    if waits_for == "place":
        return ngettext(
            "For a need from a place that it serves: %(num)s need is on its themes, from elsewhere.",
            "For a need from a place that it serves: %(num)s needs are on its themes, all from elsewhere.",
            needs,
        )
    if waits_for == "support":
        return ngettext(
            "For a need that asks for what it gives: %(num)s need on its themes from places that it serves asks for other support.",
            "For a need that asks for what it gives: %(num)s needs on its themes from places that it serves ask for other support.",
            needs,
        )
    return ngettext(
        "For a need that fits better: %(num)s need shares theme, place and kind of support, but not enough besides.",
        "For a need that fits better: %(num)s needs share theme, place and kind of support, but not enough besides.",
        needs,
    )
