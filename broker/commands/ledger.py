"""``broker ledger``: what was set aside, and whether it adds up."""

from __future__ import annotations

import sys

import click

from broker.commands.terminal import FAILED, open_exchange


@click.group()
def ledger() -> None:
    """Look after the ledger of places and money."""


@ledger.command("check")
def ledger_check() -> None:
    """Tell whether every balance is the sum of its rows; exit code 1 if not."""
    from models.ledger import imbalances

    exchange = open_exchange()
    with exchange.reading() as session:
        found = imbalances(session)
    for line in found:
        click.echo(
            "{reference}: {places} places in the balance, {places_in_ledger} in the rows; "
            "{money} {currency} in the balance, {money_in_ledger} {currency_in_ledger} "
            "in the rows".format_map(line),
            err=True,
        )
    if found:
        sys.exit(FAILED)
    click.echo("Every balance is the sum of its rows.")
