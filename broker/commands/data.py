"""``broker load``: reference data, posts and accounts from files."""

from __future__ import annotations

from pathlib import Path

import click

from broker.commands.terminal import open_exchange
from broker.demonstration import kept_password, load_exchange
from broker.reference_data import load_reference_data
from models import DomainError


@click.command("load")
@click.argument("folder", type=click.Path(path_type=Path))
def load_folder(folder: Path) -> None:
    """Load FOLDER: reference data, posts and accounts in the form of fixtures/.

    FOLDER holds reference/ or demo/ or both, or the files of one of them. Every problem is told
    with file, line and field, and then nothing is loaded.
    """
    if not folder.is_dir():
        raise DomainError("no_such_folder", folder=str(folder))
    exchange = open_exchange()
    reference = folder / "reference" if (folder / "reference").is_dir() else folder
    posts = folder / "demo" if (folder / "demo").is_dir() else folder
    if (reference / "themes.yaml").is_file():
        with exchange.writing() as session:
            counts = load_reference_data(session, reference)
        click.echo(f"{sum(counts.values())} records of reference data.")
    if (posts / "plans.yaml").is_file():
        from broker.plan_examples import load_plans

        with exchange.writing() as session:
            count = load_plans(session, posts / "plans.yaml", exchange.reference)
        click.echo(f"{count} action plans.")
    if [*posts.glob("needs-*.yaml"), *posts.glob("offers-*.yaml"), *posts.glob("users.yaml")]:
        password = kept_password(exchange.settings.home / "demo-password.txt")
        with exchange.writing() as session:
            loaded = load_exchange(
                session, posts, exchange.reference, today=exchange.today(), password=password
            )
        click.echo(
            f"{loaded.needs} needs, {loaded.offers} offers; {loaded.known} were there already."
        )
