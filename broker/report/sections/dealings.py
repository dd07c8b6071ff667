"""What two sides did: interests and answers, agreements, places and money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flask_babel import gettext as _
from flask_babel import ngettext

from broker.messages import STATES
from broker.report.answers import ANSWER_TIME, INTEREST_NAMES
from broker.report.figures import Quantity
from broker.report.layout import Column, Figure, Over, Ref, Row, Rows, Section, Table
from broker.report.sections.brief import BY_KEY, figure_of
from broker.report.sections.writer import Writer


def answers(writer: Writer) -> Section:
    """What became of interests, how long answers took, and why some were refused."""
    report, figures = writer.report, writer.report.figures
    rows = [
        Row(
            state,
            (
                str(INTEREST_NAMES[state]),
                Figure(
                    number,
                    rows=Rows("interests", {"state": state}),
                    over=(Over("interests", {"state": state}),),
                ),
            ),
        )
        for state, number in report.interest_counts.items()
    ]
    columns = (
        Column("state", _("State")),
        Column("number", _("Number"), numeric=True, total=True),
    )
    last = Row("all", (_("In all"), Figure(figures.interests, rows=Rows("interests"))))
    tables = [Table("interests", _("Interests"), columns, tuple(rows), last)]
    overdue = Figure(report.overdue_interests, rows=Rows("interests", {"state": "overdue"}))
    clock = (
        Column("figure", _("Figure")),
        Column("value", _("Value"), numeric=True),
    )
    clock_rows = [
        Row(key, (str(BY_KEY[key].name), figure_of(key, figures)))
        for key in ("answer_days", "unanswered_share", "agreement_days")
    ]
    waits = _("Waiting for more than %(days)s days", days=ANSWER_TIME.days)
    clock_rows.append(Row("overdue", (waits, overdue)))
    tables.append(Table("answer_times", _("How long answers take"), clock, tuple(clock_rows)))
    tables += list(_reasons(writer))
    words = [] if figures.interests else [_("No interest was expressed in the period.")]
    return writer.section("answers", words, tables, warnings=_own_subregion(writer))


def _own_subregion(writer: Writer) -> Iterator[str]:
    if writer.report.negotiated_in:
        yield _(
            "Interests, agreements and commitments are those of the needs of your subregion: "
            "%(subregion)s.",
            subregion=writer.label("subregion", writer.report.negotiated_in),
        )


def _reasons(writer: Writer) -> Iterator[Table]:
    report = writer.report
    codes = [
        code
        for code in writer.reference.codes("dismissal_reason")
        if code in report.decline_reasons or code in report.dismissal_reasons
    ]
    if not codes:
        return
    columns = (
        Column("reason", _("Reason")),
        Column("declined", _("Interests declined"), numeric=True, total=True),
        Column("dismissed", _("Suggestions put aside"), numeric=True, total=True),
    )
    rows = tuple(
        Row(
            code,
            (
                writer.label("dismissal_reason", code),
                Figure(
                    report.decline_reasons.get(code, 0),
                    rows=Rows("interests", {"state": "declined", "reason": code}),
                    over=(Over("interests", {"state": "declined", "reason": code}),),
                ),
                Figure(
                    report.dismissal_reasons.get(code, 0),
                    rows=Rows("dismissals", {"reason": code}),
                    over=(Over("dismissals", {"reason": code}),),
                ),
            ),
        )
        for code in codes
    )
    last = Row(
        "all",
        (
            _("In all"),
            Figure(
                sum(report.decline_reasons.values()), rows=Rows("interests", {"state": "declined"})
            ),
            Figure(sum(report.dismissal_reasons.values()), rows=Rows("dismissals")),
        ),
    )
    yield Table("reasons", _("Why they were declined"), columns, rows, last)


def agreements(writer: Writer) -> Section:
    """Agreements by state, and the period's own."""
    report = writer.report
    state_columns = (
        Column("state", _("State")),
        Column("number", _("Number"), numeric=True, total=True),
    )
    states = tuple(
        Row(
            status,
            (
                str(STATES[status]),
                Figure(
                    number,
                    rows=Rows("agreements", {"status": status}),
                    over=(Over("agreements", {"status": status}),),
                ),
            ),
        )
        for status, number in report.agreement_counts.items()
    )
    total = sum(report.agreement_counts.values())
    last = Row("all", (_("In all"), Figure(total, rows=Rows("agreements"))))
    columns = (
        Column("agreement", _("Agreement")),
        Column("title", _("Title")),
        Column("state", _("State")),
        Column("need_side", _("Asks")),
        Column("offer_side", _("Offers it")),
        Column("places", _("Places"), numeric=True),
        Column("money", _("Money"), numeric=True),
        Column("currency", _("Currency")),
        Column("signed_on", _("Signed")),
    )
    rows = tuple(
        Row(
            line.reference,
            (
                Ref("agreement", line.id, line.reference),
                line.title,
                str(STATES[line.status]) + _lateness(line.events),
                line.need_side,
                line.offer_side,
                Figure(line.places),
                Figure(line.money, "money"),
                line.currency or "",
                line.signed_on if "signed" in line.events or line.signed_on else None,
            ),
        )
        for line in report.agreements
    )
    more = Figure(total, rows=Rows("agreements"))
    tables = []
    if total:
        tables = [
            Table("agreement_states", _("At the end of the period"), state_columns, states, last),
            Table("agreements", _("Agreements of the period"), columns, rows, more=more),
        ]
    words = [] if total else [_("No agreement was under way in the period.")]
    return writer.section("agreements", words, tables, warnings=_own_subregion(writer))


def _lateness(events: Sequence[str]) -> str:
    return f" · {_('late')}" if "late" in events else ""


def money(writer: Writer) -> Section:
    """Places, and money of each currency: asked, offered, committed."""
    report = writer.report
    columns = (
        Column("of", _("Of what")),
        Column("asked", _("Asked"), numeric=True),
        Column("offered", _("Offered"), numeric=True),
        Column("committed", _("Committed"), numeric=True),
        Column("gap", _("Offered less asked"), numeric=True, less=("offered", "asked")),
    )
    rows = [_quantity("places", _("places"), report.places, {}, "places")]
    rows += [
        _quantity(code, code, quantity, {"currency": code}, "money")
        for code, quantity in report.money.items()
    ]
    tables = [Table("money", _("Places and money"), columns, tuple(rows))]
    words = [
        _(
            "Asked and offered are the sums of all posts of the report, with those that are "
            "fulfilled or used up; committed is what agreements have set aside in the period, "
            "less what came back. Currencies are never added together unless a rate is stated."
        )
    ]
    if report.sealed:
        words.append(
            ngettext(
                "%(count)s need keeps its amount sealed; it is in no sum.",
                "%(count)s needs keep their amounts sealed; they are in no sum.",
                report.sealed,
                count=writer.number(report.sealed),
            )
        )
    if report.converted is not None:
        tables += _converted(writer)
    return writer.section("money", words, tables)


def _quantity(
    code: str, name: str, quantity: Quantity, values: Mapping[str, str], column: str
) -> Row:
    form = "count" if column == "places" else "money"
    cells = (
        Figure(
            quantity.asked,
            form,
            Rows("stating", {"kind": "need", **values}),
            (Over("needs", values, column),),
        ),
        Figure(
            quantity.offered,
            form,
            Rows("stating", {"kind": "offer", **values}),
            (Over("offers", values, column),),
        ),
        Figure(
            quantity.committed,
            form,
            Rows("commitments", values),
            (Over("commitments", values, column),),
        ),
    )
    return Row(code, (name, *cells, Figure(quantity.offered - quantity.asked, "money")))


def _converted(writer: Writer) -> Iterator[Table]:
    converted = writer.report.converted
    if converted is None:
        return
    columns = (
        Column("of", _("Of what")),
        Column("asked", _("Asked"), numeric=True),
        Column("offered", _("Offered"), numeric=True),
        Column("committed", _("Committed"), numeric=True),
    )
    total = converted.total
    amounts = (total.asked, total.offered, total.committed)
    cells = tuple(Figure(amount, "money") for amount in amounts)
    yield Table(
        "converted",
        _("All money in %(currency)s", currency=converted.currency),
        columns,
        (Row(converted.currency, (converted.currency, *cells)),),
        note=_("Converted at the rates below; for comparison, not for accounting."),
    )
    rate_columns = (
        Column("currency", _("Currency")),
        Column("rate", _("One unit in %(currency)s", currency=converted.currency), numeric=True),
        Column("on", _("Day of the rate")),
        Column("source", _("Source")),
    )
    rows = tuple(
        Row(rate.currency, (rate.currency, Figure(rate.rate, "rate"), rate.on, rate.source))
        for rate in converted.rates
    )
    if rows:
        yield Table("rates", _("Rates"), rate_columns, rows)
