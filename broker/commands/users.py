"""``broker users``: accounts and their roles."""

from __future__ import annotations

import secrets

import click

from broker import accounts
from broker.commands.terminal import open_exchange
from models import LANGUAGES, Role


@click.group()
def users() -> None:
    """Look after the accounts."""


@users.command("create")
@click.argument("email")
@click.option("--name", required=True, help="Name, or the role that the account stands for.")
@click.option(
    "--role", required=True, type=click.Choice([str(r) for r in Role if r != Role.PUBLIC])
)
@click.option("--organisation", required=True, help="Code of the organisation, e.g. gov-pe.")
@click.option("--subregion", help="For a coordinator.")
@click.option("--user-language", type=click.Choice(LANGUAGES), default="es", show_default=True)
@click.option("--password", help="Left out: one is made and printed once.")
def create_user(
    email: str,
    name: str,
    role: str,
    organisation: str,
    subregion: str | None,
    user_language: str,
    password: str | None,
) -> None:
    """Open an account for EMAIL."""
    exchange = open_exchange()
    chosen = password or secrets.token_urlsafe(12)
    with exchange.writing() as session:
        accounts.create_user(
            session,
            None,
            email=email,
            name=name,
            role=Role(role),
            organisation=accounts.find_organisation(session, organisation),
            password=chosen,
            language=user_language,
            subregion=subregion,
        )
    click.echo(f"Account {email} opened." + ("" if password else f" Password: {chosen}"))


@users.command("grant")
@click.argument("email")
@click.argument("role", type=click.Choice([str(r) for r in Role if r != Role.PUBLIC]))
@click.option("--organisation", help="Code of another organisation.")
@click.option("--subregion", help="For a coordinator.")
def grant(email: str, role: str, organisation: str | None, subregion: str | None) -> None:
    """Give the account of EMAIL another ROLE."""
    exchange = open_exchange()
    with exchange.writing() as session:
        accounts.grant_role(
            session,
            None,
            accounts.find_user(session, email),
            role=Role(role),
            organisation=accounts.find_organisation(session, organisation)
            if organisation
            else None,
            subregion=subregion,
        )
    click.echo(f"{email} is now {role}.")
