"""``broker report``: the match report as a file."""

from __future__ import annotations

from pathlib import Path

import click

from broker.commands.terminal import open_exchange, spoken_language


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "xlsx", "json", "pdf"]),
    default="text",
    show_default=True,
)
@click.option("--output", type=click.Path(path_type=Path), help="File; needed for xlsx and pdf.")
@click.option("--from", "since", metavar="DAY", help="First day of the period, e.g. 2026-01-01.")
@click.option("--to", "until", metavar="DAY", help="Last day of the period; today if left out.")
@click.option("--subregion", help="Only this subregion, e.g. andean.")
@click.option("--country", help="Only this country, e.g. PE.")
@click.option("--programme", help="Only this programme, e.g. sustainable_procurement.")
@click.option("--task-force", help="Only this task force, e.g. tf-procurement.")
@click.option("--run", help="The match run to rest on; the newest of the period if left out.")
@click.option("--against", help="The match run to compare with; the period before if left out.")
@click.option("--currency", help="Convert the sums of money into this currency, e.g. USD.")
def report(form: str, output: Path | None, **filters: str | None) -> None:
    """Write the match report of a period, a place, a programme or a task force.

    The same filters and the same run give the same file, to the byte.
    """
    from broker.report.forms import FILES
    from broker.report.match_report import match_report
    from broker.report.scope import PARAMETERS, read_scope

    language = spoken_language()
    exchange = open_exchange()
    asked = {PARAMETERS[name]: value for name, value in filters.items() if value}
    with exchange.reading() as session:
        scope = read_scope(session, asked, exchange.reference, today=exchange.today())
        file = FILES["txt" if form == "text" else form]
        made = match_report(
            session, exchange.reference, scope=scope, language=language, listed=file.listed
        )
        content = file.write(made, exchange.reference)
    if output is not None:
        output.write_bytes(content if isinstance(content, bytes) else content.encode())
        click.echo(f"Written to {output}.")
    elif isinstance(content, bytes):
        raise click.UsageError("A PDF or XLSX file needs --output FILE.")
    else:
        click.echo(content)
