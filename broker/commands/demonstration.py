"""``broker demo``: the demonstration exchange, from nothing to the site."""

from __future__ import annotations

import click

from broker.commands.server import serve_site
from broker.commands.terminal import open_exchange, progress_bar
from broker.demonstration import clear_example, kept_password, load_exchange
from broker.paths import FIXTURES
from broker.reference_data import load_reference_data
from models import schema


@click.command()
@click.option("--no-serve", is_flag=True, help="Stop before serving the site.")
def demo(no_serve: bool) -> None:
    """Set up the demonstration exchange, match it, and serve it.

    Running it again changes nothing that is there, and is quick.
    """
    from broker.plan_examples import load_plans
    from broker.report.match_report import match_report
    from broker.report.scope import ReportScope
    from broker.report.text_form import as_text
    from broker.runs import run_matching

    exchange = open_exchange(any_version=True)
    schema.upgrade(exchange.database)
    password = kept_password(exchange.settings.home / "demo-password.txt")
    with exchange.writing() as session:
        counts = load_reference_data(session, FIXTURES / "reference")
    click.echo(f"Reference data: {sum(counts.values())} records in {len(counts)} files.")
    with exchange.writing() as session:
        loaded = load_exchange(
            session,
            FIXTURES / "demo",
            exchange.reference,
            today=exchange.today(),
            password=password,
        )
        people = [(u.role, u.email, u.organisation.name("en")) for u in loaded.accounts]
    with exchange.writing() as session:
        load_plans(session, FIXTURES / "demo" / "plans.yaml", exchange.reference)
    click.echo(
        f"Demonstration: {loaded.needs} needs and {loaded.offers} offers loaded, "
        f"{loaded.known} were there already."
    )
    with exchange.writing() as session:
        run = run_matching(exchange, session, None, progress=progress_bar)
        scope = ReportScope(exchange.today(), run=run.id)
        report = match_report(session, exchange.reference, scope=scope, language="en")
    with exchange.writing() as session:
        clear_example(exchange, session)
    click.echo()
    click.echo(as_text(report, exchange.reference))
    click.echo(f"Accounts of the demonstration (password of all: {password})")
    for role, email, organisation in people:
        click.echo(f"  {role!s:<12} {email:<36} {organisation}")
    if not no_serve:
        click.echo()
        serve_site(exchange)
