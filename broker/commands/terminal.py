"""What the commands share: the exchange of the settings, a progress bar, languages, exit codes."""

from __future__ import annotations

import sys

import click
from tqdm import tqdm

from broker.exchange import Exchange
from broker.settings import Settings
from models import schema

BAD_INPUT, FAILED = 2, 1
"""Exit codes: what was asked cannot be done as asked; something does not hold."""


def open_exchange(*, any_version: bool = False) -> Exchange:
    """The exchange that the settings name.

    Parameters
    ----------
    any_version : bool
        Whether its database may be behind the program, for commands that look after just that.

    Raises
    ------
    DomainError
        If the database is not at the program's version.
    """
    exchange = Exchange(Settings.from_environment().completed())
    if not any_version:
        schema.require_current(exchange.database)
    return exchange


def spoken_language() -> str:
    """The language that ``broker --language`` named."""
    language: str = click.get_current_context().find_root().params["language"]
    return language


def progress_bar(total: int, what: str) -> tqdm:
    """A progress bar on the terminal; its ``update(n)`` moves it on."""
    return tqdm(total=total, desc=what, unit="", leave=True, file=sys.stderr)
