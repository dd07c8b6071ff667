"""How the report was made."""

from __future__ import annotations

from flask_babel import gettext as _

from broker.explanations import COMPONENT_NAMES
from broker.report.layout import Column, Content, Figure, Ref, Row, Section, Table
from broker.report.sections.writer import Writer


def method(writer: Writer) -> Section:
    """The run on which the report rests, and what it was made with."""
    report = writer.report
    facts: list[tuple[str, str, Content]] = []
    if (run := report.run) is not None:
        facts = [
            ("run", _("Match run"), Ref("run", run.id, str(run.id))),
            ("on", _("Day of the run"), run.on),
            ("engine_version", _("Engine"), run.engine_version),
            ("text_version", _("Text model"), run.text_version),
            ("eligible_pairs", _("Eligible pairs"), Figure(run.eligible_pairs)),
            ("matches", _("Matches of the whole run"), Figure(run.matches)),
            ("input_digest", _("Digest of the input"), run.input_digest),
            ("result_digest", _("Digest of the result"), run.result_digest),
        ]
    columns = (Column("fact", _("Fact")), Column("value", _("Value")))
    tables = []
    if facts:
        rows = tuple(Row(code, (name, value)) for code, name, value in facts)
        tables.append(Table("run", _("The run"), columns, rows))
    if run is not None:
        weights = tuple(
            Row(code, (str(COMPONENT_NAMES.get(code, code)), Figure(weight, "share")))
            for code, weight in run.weights.items()
        )
        weight_columns = (
            Column("component", _("Component of the score")),
            Column("weight", _("Weight"), numeric=True, total=True),
        )
        last = Row("all", (_("In all"), Figure(sum(run.weights.values()), "share")))
        tables.append(Table("weights", _("Weights"), weight_columns, weights, last))
    words = [
        _(
            "Needs, offers and matches are those of the run named here; what was posted, answered, "
            "agreed and committed is counted by the day on which it happened. The same filters and "
            "the same run give the same report."
        ),
        _(
            "Supply against demand goes by the themes, places and kinds of support that posts bore "
            "on the day of the run, whatever was edited later. Titles and amounts, and what the "
            "report is narrowed to, go by the posts as they are now."
        ),
    ]
    return writer.section("method", words, tables)
