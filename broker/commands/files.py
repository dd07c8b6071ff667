"""``broker export`` and ``broker import``: files of other systems, and sheets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from broker import accounts
from broker.commands.terminal import BAD_INPUT, open_exchange, progress_bar, spoken_language
from models import Import, ImportStatus


@click.group()
def export() -> None:
    """Write what is public for other systems."""


@export.command("iati")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def export_iati(file: Path) -> None:
    """Write offers and registered agreements to FILE as IATI 2.03 activities."""
    from broker.iati_export import write_activities

    exchange = open_exchange()
    with exchange.reading() as session, file.open("wb") as opened:
        count = write_activities(exchange, session, opened)
    click.echo(f"{count} activities written to {file}.")


@click.group("import")
def import_() -> None:
    """Import posts, organisations and accounts."""


@import_.command("template")
@click.argument("kind", type=click.Choice(["need", "offer", "organisation", "user"]))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def import_template(kind: str, file: Path) -> None:
    """Write the workbook to fill in for KIND into FILE."""
    from broker.imports import KINDS
    from broker.sheets import make_template

    reference = open_exchange().reference
    file.write_bytes(make_template(KINDS[kind].columns, reference, spoken_language()))
    click.echo(f"Written to {file}.")


@import_.command("sheet")
@click.argument("kind", type=click.Choice(["need", "offer", "organisation", "user"]))
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--by", "email", required=True, help="Account in whose name it is imported.")
@click.option("--only-good", is_flag=True, help="Load the good rows though others have problems.")
@click.option("--submit", is_flag=True, help="Hand posts in for publication; else: drafts.")
@click.option("--check", "only_check", is_flag=True, help="Tell the problems and load nothing.")
def import_sheet(
    kind: str, file: Path, email: str, only_good: bool, submit: bool, only_check: bool
) -> None:
    """Import a CSV or XLSX FILE whose rows are of KIND; every bad row is told.

    The exit code is 2 where nothing was loaded because of problems.
    """
    from broker import imports as use

    exchange = open_exchange()
    with exchange.writing() as session:
        by = accounts.find_user(session, email)
        brought = use.keep_file(
            exchange,
            session,
            by,
            scheme="sheet",
            kind=kind,
            name=file.name,
            content=file.read_bytes(),
        )
        use.check_import(exchange, session, brought)
        for problem in brought.problems:
            place = (
                f"row {problem['row']}, {problem['column'] or '–'}" if problem["row"] else "file"
            )
            click.echo(f"{place}: {problem['problem']}", err=True)
        click.echo(f"{brought.rows} rows, {brought.good} without a problem.")
        if only_check or brought.status == "unreadable" or (brought.problems and not only_good):
            if brought.problems:
                _exit_after(session, BAD_INPUT)
            return
        brought.become(ImportStatus.LOADING)
        use.load_rows(exchange, session, by, brought, only_good=only_good, submit=submit)
        click.echo(
            f"{brought.loaded} loaded, {brought.changed} changed, {brought.known} known already."
        )


@import_.command("iati")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--by", "email", required=True, help="Account in whose name it is imported.")
def import_iati(file: Path, email: str) -> None:
    """Make drafts of offers of the IATI activities in FILE (version 2.01 or later).

    What was not used is told on the error output and, all of it, in a report. Running it again
    makes nothing twice; that is also how an interrupted import is gone on with.
    """
    from broker import iati_import as use

    exchange = open_exchange()
    with exchange.reading() as session:
        use.require_import(accounts.find_user(session, email))
    with file.open("rb") as opened:
        stored = use.store_file(exchange, file.name, opened)
    with exchange.writing() as session:
        brought = use.bring_activities(session, accounts.find_user(session, email), stored)
    bar = progress_bar(stored.size, file.name)

    def progress(done: int, _total: int) -> None:
        bar.update(done - bar.n)

    counts = use.load_activities(exchange, brought.id, progress=progress)
    bar.close()
    with exchange.reading() as session:
        for problem in session.get_one(Import, brought.id).problems:
            place = f"line {problem['row']}, {problem['value'] or '–'}, {problem['column'] or '–'}"
            click.echo(f"{place}: {problem['problem']}", err=True)
    click.echo(
        f"{counts['rows']} activities, {counts['good']} usable: {counts['loaded']} new drafts, "
        f"{counts['changed']} changed, {counts['known']} known already."
    )
    click.echo(f"The whole report: {use.report_path(exchange, brought.id)}")


def _exit_after(session: Any, code: int) -> None:
    """Keep what was noted and end with that exit code."""
    session.commit()
    sys.exit(code)
