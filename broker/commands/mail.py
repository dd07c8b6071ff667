"""``broker mail``: letters that wait, and whether the settings of e-mail are right."""

from __future__ import annotations

import sys

import click

from broker.commands.terminal import FAILED, open_exchange


@click.group()
def mail() -> None:
    """Look after e-mail."""


@mail.command("send")
def send_mail() -> None:
    """Deliver the letters that are due; exit code 1 if the mail server takes none."""
    from broker.letters import send_letters

    done = send_letters(open_exchange())
    click.echo(f"{done.sent} sent, {done.put_off} put off, {done.given_up} given up.")
    if done.problem:
        click.echo(done.problem, err=True)
        sys.exit(FAILED)


@mail.command("test")
@click.argument("address")
def test_mail(address: str) -> None:
    """Send ADDRESS a short letter, to see whether the settings of e-mail are right."""
    from broker.letters import write_trial
    from broker.mail import NotDelivered, carrier

    settings = open_exchange(any_version=True).settings
    try:
        with carrier(settings) as carrying:
            carrying.carry(write_trial(settings, address))
    except NotDelivered as error:
        click.echo(error.problem, err=True)
        sys.exit(FAILED)
    click.echo(f"Sent to {address}." if settings.mail_server else "Written to the folder.")
