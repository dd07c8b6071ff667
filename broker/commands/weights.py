"""``broker weights``: the weights of the score, shown, tried, learnt and adopted."""

from __future__ import annotations

from typing import Any

import click

from broker import accounts
from broker.commands.terminal import open_exchange
from models import DomainError


@click.group()
def weights() -> None:
    """Look at the weights of the score, try others out, learn them, adopt them."""


@weights.command("show")
def show_weights() -> None:
    """Print the weights in force, in per cent."""
    from broker.weights import percents, weights_in_force

    exchange = open_exchange()
    with exchange.reading() as session:
        present = weights_in_force(session)
        for name, share in percents(present.weights).items():
            click.echo(f"{name:<20} {share:>6}")
        if present.adopted:
            click.echo(f"Set {present.number}: {present.adopted.reason}")


@weights.command("try")
@click.argument("shares", nargs=-1, required=True, metavar="COMPONENT=SHARE…")
def try_weights(shares: tuple[str, ...]) -> None:
    """Tell which matches would enter, leave or move; nothing is stored.

    Components that are not named keep their share; all nine must add up to 100.
    """
    from broker import weights as use

    exchange = open_exchange()
    with exchange.reading() as session:
        present = use.percents(use.weights_in_force(session).weights)
        typed = {**{name: str(share) for name, share in present.items()}, **_shares(shares)}
        proposed = use.read_weights(typed, exchange.reference)
        trial = use.try_weights(
            exchange, session, _by(session, None), proposed, on=exchange.today()
        )
    for what, count in trial.counts.items():
        click.echo(f"{what:<14} {count}")
    click.echo(f"unmet needs    {trial.unmet_now} now, {trial.unmet_then} then")
    for what, rows in (("enters", trial.entered), ("leaves", trial.left), ("moves", trial.moved)):
        for row in rows:
            move = row.move
            click.echo(
                f"  {what}: {row.need.reference} ← {row.offer.reference} "
                f"(place {move.before or '–'} → {move.after or '–'})"
            )


@weights.command("learn")
def learn_weights() -> None:
    """Learn weights from accepted and dismissed matches, and tell how well they foretell."""
    from broker import weights as use

    exchange = open_exchange()
    with exchange.reading() as session:
        lesson = use.learn_from_decisions(exchange, session, _by(session, None))
    click.echo(f"{lesson.accepted} accepted, {lesson.dismissed} dismissed or declined.")
    if lesson.learnt is None:
        click.echo("Too few to learn from.")
        return
    found = lesson.learnt
    for name, held in (("in force", found.present), ("learnt", found.learnt)):
        click.echo(f"{name:<10} AUC {held.auc:.3f}, log loss {held.log_loss:.3f} (held out)")
    click.echo(" ".join(f"{name}={share}" for name, share in use.percents(found.weights).items()))
    click.echo("Better on both." if found.better else "Not better on both: no reason to adopt.")


@weights.command("adopt")
@click.argument("shares", nargs=-1, required=True, metavar="COMPONENT=SHARE…")
@click.option("--reason", required=True, help="Stays in the audit trail beside the weights.")
@click.option("--by", "email", required=True, help="Account of the secretariat that adopts them.")
def adopt_weights(shares: tuple[str, ...], reason: str, email: str) -> None:
    """Put all nine weights in force."""
    from broker import weights as use

    exchange = open_exchange()
    with exchange.writing() as session:
        adopted = use.adopt_weights(
            session,
            _by(session, email),
            {
                **_shares(shares),
                "reason": reason,
                "replaces": use.weights_in_force(session).number,
            },
            exchange.reference,
        )
        click.echo(f"Set {adopted.id} is in force.")


def _by(session: Any, email: str | None) -> Any:
    """The secretariat's account in whose name something is done; without a name, its first one."""
    from broker.overview import find_secretariat

    user = accounts.find_user(session, email) if email else find_secretariat(session)
    if user is None:
        raise DomainError("no_such_user", email=email or "–")
    return user


def _shares(typed: tuple[str, ...]) -> dict[str, str]:
    """``("theme=30", …)`` as a mapping."""
    pairs = [item.partition("=") for item in typed]
    for name, sign, _value in pairs:
        if not sign:
            raise click.UsageError(f"“{name}” is not of the form component=share.")
    return {name: value for name, _sign, value in pairs}
