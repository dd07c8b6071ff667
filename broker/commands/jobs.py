"""``broker work`` and ``broker routines``: long work, and what the clock does."""

from __future__ import annotations

import os
import signal
import threading
import time

import click

from broker.commands.terminal import open_exchange


@click.command()
@click.option("--once", is_flag=True, help="Do what waits, run the routines that are due, and end.")
@click.option("--threads", type=int, default=1, show_default=True, help="Jobs done at once.")
@click.option("--beside", type=int, help="Process without which this one ends.")
def work(once: bool, threads: int, beside: int | None) -> None:
    """Do jobs and routines until stopped; `broker serve` starts one of these by itself."""
    from broker import jobs

    exchange = open_exchange()
    if once:
        count = jobs.do_waiting_jobs(exchange)
        names = jobs.run_routines(exchange)
        click.echo(f"{count} jobs done. Routines: {', '.join(names) or 'none was due'}.")
        return
    if beside is not None:
        threading.Thread(target=_end_with, args=(beside,), daemon=True).start()
    jobs.work(exchange, threads)


def _end_with(process: int) -> None:
    """End this process as soon as the one that started it is gone, even when that was killed."""
    while os.getppid() == process:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


@click.group()
def routines() -> None:
    """Look after what the clock does."""


@routines.command("list")
def list_routines() -> None:
    """Show every routine, how often it runs and when it last ran."""
    from broker import jobs
    from models import RoutineTurn

    exchange = open_exchange()
    jobs.learn_kinds()
    with exchange.reading() as session:
        for name, routine in sorted(jobs.ROUTINES.items()):
            turn = session.get(RoutineTurn, name)
            last = turn.finished_at if turn else None
            when = f"last ran {last:%Y-%m-%d %H:%M} UTC" if last else "never ran"
            problem = f"; {turn.problem}" if turn and turn.problem else ""
            click.echo(f"{name:<28} every {routine.every}; {when}{problem}")


@routines.command("run")
@click.argument("name", required=False)
def run_routines(name: str | None) -> None:
    """Run the routine NAME now, or all that are due."""
    from broker import jobs

    ran = jobs.run_routines(open_exchange(), only=name)
    click.echo(f"Ran: {', '.join(ran) or 'none was due'}.")
