"""Did better scores become agreements?"""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import ngettext

from broker.charts import (
    BarRow,
    draw_bars,
)
from broker.explanations import BAND_NAMES
from broker.report.layout import Chart, Column, Content, Figure, Over, Row, Rows, Section, Table
from broker.report.outcomes import ENOUGH_AGREEMENTS, ENOUGH_PAIRS, BandOutcome
from broker.report.rows import OUTCOMES
from broker.report.sections.writer import SECTIONS, Writer


def outcomes(writer: Writer) -> Section:
    """What came of suggested pairs, band by band, with the size of each sample."""
    calibration = writer.report.calibration
    columns = (
        Column("band", _("Band of the first score")),
        Column("suggested", _("Pairs suggested"), numeric=True, total=True),
        Column("interest", _("Interest expressed"), numeric=True, total=True),
        Column("mutual", _("Mutual interest"), numeric=True, total=True),
        Column("agreement", _("Agreement signed"), numeric=True, total=True),
        Column("share", _("Share signed"), numeric=True, share=("agreement", "suggested")),
        Column("interval", _("True share, with 95 % confidence"), numeric=True),
    )

    def row(band: BandOutcome, name: str) -> Row:
        values = {"band": band.band} if band.band else {}
        coded = {"band_code": band.band} if band.band else {}
        between = band.interval
        cells: list[Content] = [
            name,
            Figure(
                band.suggested, rows=Rows("suggested", values), over=(Over("suggested", coded),)
            ),
        ]
        cells += [
            Figure(
                getattr(band, outcome),
                rows=Rows("suggested", {**values, "outcome": outcome}),
                over=(Over("suggested", {**coded, outcome: "yes"}),),
            )
            for outcome in OUTCOMES
        ]
        cells.append(Figure(band.share, "percent"))
        cells.append(
            f"{writer.percent(between[0])} – {writer.percent(between[1])}" if between else "–"
        )
        return Row(band.band, tuple(cells))

    rows = tuple(row(band, str(BAND_NAMES[band.band])) for band in calibration.bands)
    last = row(calibration.total, _("In all"))
    tables = [Table("outcomes", str(SECTIONS["outcomes"]), columns, rows, last)]
    charts = []
    if calibration.total.agreement:
        label = _("Share of suggested pairs that became an agreement, by band")
        bars = [BarRow(str(BAND_NAMES[band.band]), band.share or 0.0) for band in calibration.bands]
        drawn = draw_bars(bars, label, tone="agreement", number=writer.percent)
        charts.append(Chart("outcomes", drawn, label))
    return writer.section("outcomes", [_verdict(writer, calibration.verdict)], tables, charts)


def _verdict(writer: Writer, verdict: str) -> str:
    total = writer.report.calibration.total
    if verdict == "none":
        return _("Nothing was suggested yet.")
    if verdict == "few":
        return ngettext(
            "%(count)s pair was suggested and %(agreements)s became agreements. That is too little to tell whether better scores lead to more agreements: at least %(pairs)s pairs in two bands and %(enough)s agreements are needed.",
            "%(count)s pairs were suggested and %(agreements)s became agreements. That is too little to tell whether better scores lead to more agreements: at least %(pairs)s pairs in two bands and %(enough)s agreements are needed.",
            total.suggested,
            count=writer.number(total.suggested, Rows("suggested")),
            agreements=writer.number(total.agreement, Rows("suggested", {"outcome": "agreement"})),
            pairs=ENOUGH_PAIRS,
            enough=ENOUGH_AGREEMENTS,
        )
    if verdict == "higher":
        return _("Yes: pairs of the best band became agreements clearly more often than others.")
    if verdict == "lower":
        return _(
            "No: pairs of the best band became agreements less often than others. The weights "
            "should be looked at."
        )
    return _("The bands do not differ enough to say so: the ranges below overlap.")
