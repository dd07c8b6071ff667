"""The ``broker`` command: set up, load, match, report, evaluate, serve."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from broker.commands.data import load_folder
from broker.commands.database import db
from broker.commands.demonstration import demo
from broker.commands.files import export, import_
from broker.commands.jobs import routines, work
from broker.commands.ledger import ledger
from broker.commands.mail import mail
from broker.commands.matching import evaluate, explain, match, suggest
from broker.commands.reports import report
from broker.commands.server import serve
from broker.commands.terminal import BAD_INPUT
from broker.commands.users import users
from broker.commands.weights import weights
from broker.fixture_files import FixtureError
from broker.messages import field_problems, sentence
from broker.settings import Settings
from broker.speech import speaking
from models import LANGUAGES, DomainError, InvalidInput


@contextmanager
def _told() -> Iterator[None]:
    """Tell a person what went wrong, in a sentence, instead of a stack trace."""
    try:
        yield
    except FixtureError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        _fail(error)
    except InvalidInput as error:
        for name, problems in field_problems(error).items():
            click.echo(f"{name}: {problems}", err=True)
        _fail(error)
    except DomainError as error:
        _fail(error)
    except OperationalError as error:
        url = make_url(Settings.from_environment().completed().database_url)
        address = url.render_as_string(hide_password=True)
        _fail(DomainError("database_unreachable", url=address, problem=str(error.orig)))


def _fail(error: DomainError) -> None:
    click.secho(sentence(error), err=True, fg="red")
    sys.exit(BAD_INPUT)


class _Program(click.Group):
    """All commands: each speaks the language of ``--language`` and tells its errors in it."""

    def invoke(self, ctx: click.Context) -> Any:
        with speaking(ctx.params["language"]), _told():
            return super().invoke(ctx)


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default="en",
    show_default=True,
    help="Language of messages and reports.",
)
@click.version_option(package_name="tenyfp-broker")
def main(language: str) -> None:
    """Run an exchange of support for sustainable consumption and production.

    Settings come from the environment, with the prefix BROKER_ (docs/settings.md).
    """


for command in (
    demo, serve, work, routines, db, ledger, load_folder, match, report, explain, suggest,
    export, import_, weights, evaluate, mail, users,
):  # fmt: skip
    main.add_command(command)
