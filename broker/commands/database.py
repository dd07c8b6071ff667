"""``broker db``: the database and the program's version of it."""

from __future__ import annotations

import sys

import click

from broker.commands.terminal import FAILED, open_exchange
from models import schema


@click.group()
def db() -> None:
    """Look after the database."""


@db.command("upgrade")
@click.argument("revision", default="head")
def db_upgrade(revision: str) -> None:
    """Bring the database to the program's version (or to REVISION)."""
    click.echo(
        f"The database is at {schema.upgrade(open_exchange(any_version=True).database, revision)}."
    )


@db.command("downgrade")
@click.argument("revision")
@click.confirmation_option(prompt="Going back can drop columns and tables with their data. Go on?")
def db_downgrade(revision: str) -> None:
    """Take the database back to REVISION ("base" drops everything)."""
    click.echo(
        f"The database is at {schema.downgrade(open_exchange(any_version=True).database, revision)}."
    )


@db.command("check")
def db_check() -> None:
    """Tell whether the database fits the program; exit code 1 if not."""
    differences = schema.check(open_exchange(any_version=True).database)
    for line in differences:
        click.echo(line, err=True)
    if differences:
        sys.exit(FAILED)
    click.echo("The database fits the program.")
