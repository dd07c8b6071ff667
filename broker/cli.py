"""The ``broker`` command: set up, load, match, report, evaluate, serve."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from tqdm import tqdm

from broker import accounts
from broker.demonstration import kept_password, load_exchange
from broker.exchange import Exchange
from broker.fixture_files import FixtureError
from broker.messages import field_problems, sentence
from broker.paths import FIXTURES
from broker.reference_data import load_reference_data
from broker.settings import Settings
from broker.speech import speaking
from models import (
    LANGUAGES,
    DomainError,
    Import,
    ImportStatus,
    InvalidInput,
    Need,
    Offer,
    Role,
    schema,
)

F = TypeVar("F", bound=Callable[..., Any])

BAD_INPUT, FAILED = 2, 1
"""Exit codes: what was asked cannot be done as asked; something does not hold."""


def _told(command: F) -> F:
    """Tell a person what went wrong, in a sentence, instead of a stack trace."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except FixtureError as error:
            for problem in error.problems:
                click.echo(str(problem), err=True)
            _fail(sentence(error))
        except InvalidInput as error:
            for name, problems in field_problems(error).items():
                click.echo(f"{name}: {problems}", err=True)
            _fail(sentence(error))
        except DomainError as error:
            _fail(sentence(error))
        except OperationalError as error:
            url = make_url(Settings.from_environment().completed().database_url)
            _fail(
                sentence(
                    DomainError(
                        "database_unreachable",
                        url=url.render_as_string(hide_password=True),
                        problem=str(error.orig),
                    )
                )
            )

    return run  # type: ignore[return-value]


def _fail(message: str) -> None:
    click.secho(message, err=True, fg="red")
    sys.exit(BAD_INPUT)


def _exchange() -> Exchange:
    return Exchange(Settings.from_environment().completed())


def _up_to_date() -> Exchange:
    """The exchange, if its database is at the program's version."""
    exchange = _exchange()
    schema.require_current(exchange.database)
    return exchange


class _Speaking(click.Group):
    """A group whose commands speak the language that ``--language`` names."""

    def invoke(self, ctx: click.Context) -> Any:
        with speaking(ctx.params.get("language") or "en"):
            return super().invoke(ctx)


@click.group(cls=_Speaking, context_settings={"help_option_names": ["-h", "--help"]})
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


@main.command()
@click.option("--no-serve", is_flag=True, help="Stop before serving the site.")
@_told
def demo(no_serve: bool) -> None:
    """Set up the demonstration exchange, match it, and serve it.

    Running it again changes nothing that is there, and is quick.
    """
    from broker.plan_examples import load_plans
    from broker.report.match_report import match_report
    from broker.report.scope import ReportScope
    from broker.report.text_form import as_text
    from broker.runs import run_matching

    exchange = _exchange()
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
        run = run_matching(exchange, session, None, progress=_bar)
        scope = ReportScope(exchange.today(), run=run.id)
        report = match_report(session, exchange.reference, scope=scope, language="en")
    click.echo()
    click.echo(as_text(report, exchange.reference))
    click.echo(f"Accounts of the demonstration (password of all: {password})")
    for role, email, organisation in people:
        click.echo(f"  {role!s:<12} {email:<36} {organisation}")
    if not no_serve:
        click.echo()
        _serve(exchange)


def _bar(total: int, what: str) -> Any:
    """A progress bar on the terminal; its ``update(n)`` moves it on."""
    return tqdm(total=total, desc=what, unit="", leave=True, file=sys.stderr)


@main.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@_told
def serve(host: str | None, port: int | None) -> None:
    """Serve the site until it is stopped (Ctrl-C)."""
    _serve(_up_to_date(), host, port)


def _serve(exchange: Exchange, host: str | None = None, port: int | None = None) -> None:
    from gunicorn.app.base import BaseApplication

    from broker.web import create_app

    settings = exchange.settings
    address = f"{host or settings.host}:{port or settings.port}"
    workers: list[subprocess.Popen[bytes]] = []

    def _end_workers(_server: Any) -> None:
        for worker in workers:
            worker.terminate()

    class Server(BaseApplication):
        def load_config(self) -> None:
            if settings.jobs:
                self.cfg.set("when_ready", lambda _server: workers.append(_start_worker()))
                self.cfg.set("on_exit", _end_workers)
            self.cfg.set("bind", address)
            self.cfg.set("workers", settings.workers)
            self.cfg.set("threads", settings.threads)
            self.cfg.set("worker_class", "gthread")
            # Pages take well under a second: nobody waits longer for the server to stop.
            self.cfg.set("graceful_timeout", 5)
            self.cfg.set("accesslog", None)
            self.cfg.set("loglevel", "warning")

        def load(self) -> Any:
            # Each worker opens its own connections and holds its own book.
            return create_app(settings)

    exchange.database.dispose()
    click.echo(f"Serving on http://{address} – stop with Ctrl-C.")
    Server().run()


def _start_worker() -> subprocess.Popen[bytes]:
    """A worker beside the server: a process of its own, so that long work slows down no page."""
    return subprocess.Popen(  # noqa: S603 - our own program, no word of it from outside
        [sys.executable, "-m", "broker", "work", "--beside", str(os.getpid())]
    )


@main.command()
@click.option("--once", is_flag=True, help="Do what waits, run the routines that are due, and end.")
@click.option("--threads", type=int, default=1, show_default=True, help="Jobs done at once.")
@click.option("--beside", type=int, help="Process without which this one ends.")
@_told
def work(once: bool, threads: int, beside: int | None) -> None:
    """Do jobs and routines until stopped; `broker serve` starts one of these by itself."""
    from broker import jobs

    exchange = _up_to_date()
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


@main.group()
def routines() -> None:
    """Look after what the clock does."""


@routines.command("list")
@_told
def list_routines() -> None:
    """Show every routine, how often it runs and when it last ran."""
    from broker import jobs
    from models import RoutineTurn

    exchange = _up_to_date()
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
@_told
def run_routines(name: str | None) -> None:
    """Run the routine NAME now, or all that are due."""
    from broker import jobs

    ran = jobs.run_routines(_up_to_date(), only=name)
    click.echo(f"Ran: {', '.join(ran) or 'none was due'}.")


@main.group()
def db() -> None:
    """Look after the database."""


@db.command("upgrade")
@click.argument("revision", default="head")
@_told
def db_upgrade(revision: str) -> None:
    """Bring the database to the program's version (or to REVISION)."""
    click.echo(f"The database is at {schema.upgrade(_exchange().database, revision)}.")


@db.command("downgrade")
@click.argument("revision")
@click.confirmation_option(prompt="Going back can drop columns and tables with their data. Go on?")
@_told
def db_downgrade(revision: str) -> None:
    """Take the database back to REVISION ("base" drops everything)."""
    click.echo(f"The database is at {schema.downgrade(_exchange().database, revision)}.")


@db.command("check")
@_told
def db_check() -> None:
    """Tell whether the database fits the program; exit code 1 if not."""
    differences = schema.check(_exchange().database)
    for line in differences:
        click.echo(line, err=True)
    if differences:
        sys.exit(FAILED)
    click.echo("The database fits the program.")


@main.group()
def ledger() -> None:
    """Look after the ledger of places and money."""


@ledger.command("check")
@_told
def ledger_check() -> None:
    """Tell whether every balance is the sum of its rows; exit code 1 if not."""
    from models.ledger import imbalances

    exchange = _up_to_date()
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


@main.command("load")
@click.argument("folder", type=click.Path(path_type=Path))
@_told
def load_folder(folder: Path) -> None:
    """Load FOLDER: reference data, posts and accounts in the form of fixtures/.

    FOLDER holds reference/ or demo/ or both, or the files of one of them. Every problem is told
    with file, line and field, and then nothing is loaded.
    """
    if not folder.is_dir():
        raise DomainError("no_such_folder", folder=str(folder))
    exchange = _up_to_date()
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


@main.command()
@click.option("--need", "reference", help="Only this need, by its reference; nothing is stored.")
@click.option(
    "--replay",
    "run_id",
    type=int,
    help="Make this stored run once more and compare; by its number.",
)
@click.pass_context
@_told
def match(context: click.Context, reference: str | None, run_id: int | None) -> None:
    """Match the whole book and store the run, or rank the offers for one need.

    With --replay nothing is stored; the exit code is 1 if the same input gave another result.
    """
    from broker.explanations import reason_sentence
    from broker.matches import ranked_offers
    from broker.runs import run_matching

    exchange = _up_to_date()
    language = context.find_root().params["language"]
    if run_id is not None:
        _replay(exchange, run_id)
        return
    if reference is None:
        with exchange.writing() as session:
            run = run_matching(exchange, session, None, progress=_bar)
            click.echo(
                f"Run {run.id}: {run.needs} needs, {run.offers} offers, "
                f"{run.eligible_pairs} eligible pairs, {run.matches} matches, "
                f"{run.unmet_needs} unmet needs, {run.seconds:.2f} s."
            )
        return
    with exchange.reading() as session:
        need = _post(session, Need, reference)
        ranked = ranked_offers(exchange, session, need, on=exchange.today())
        for match_ in ranked:
            reason = reason_sentence(match_.reason, exchange.reference, language)
            click.echo(
                f"{match_.points:6.2f}  {match_.band:<8}  {match_.offer.reference:<28} {reason}"
            )
        if not ranked:
            click.echo("No offer on the exchange can serve this need now.")


def _post(session: Any, kind: type[Any], reference: str) -> Any:
    """A post by its reference."""
    from sqlalchemy import select

    from broker.posts import WHOLE

    found = session.scalar(select(kind).where(kind.reference == reference).options(*WHOLE))
    if found is None:
        raise DomainError("no_such_reference", reference=reference)
    return found


def _replay(exchange: Exchange, run_id: int) -> None:
    from broker.replay import replay_run, replay_sentences
    from broker.runs import get_run

    with exchange.reading() as session:
        replay = replay_run(exchange, session, get_run(session, run_id))
        for line in replay_sentences(replay):
            click.echo(line)
    if replay.verdict == "broken":
        sys.exit(FAILED)


@main.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "xlsx", "json", "pdf"]),
    default="text",
    show_default=True,
)
@click.option("--output", type=click.Path(path_type=Path), help="File; needed for xlsx and pdf.")
@click.option("--from", "since", metavar="DAY", help="First day of the period, e.g. 2026-01-01.")
@click.option("--to", "until", metavar="DAY", help="Last day of the period; today if left out.")
@click.option("--subregion", help="Only this subregion, e.g. andean.")
@click.option("--country", help="Only this country, e.g. PE.")
@click.option("--programme", help="Only this programme, e.g. sustainable_procurement.")
@click.option("--task-force", help="Only this task force, e.g. tf-procurement.")
@click.option("--run", help="The match run to rest on; the newest of the period if left out.")
@click.option("--against", help="The match run to compare with; the period before if left out.")
@click.option("--currency", help="Convert the sums of money into this currency, e.g. USD.")
@click.pass_context
@_told
def report(
    context: click.Context, /, form: str, output: Path | None, **filters: str | None
) -> None:
    """Write the match report of a period, a place, a programme or a task force.

    The same filters and the same run give the same file, to the byte.
    """
    from broker.report.forms import FILES
    from broker.report.match_report import match_report
    from broker.report.scope import PARAMETERS, read_scope

    language = context.find_root().params["language"]
    exchange = _up_to_date()
    asked = {PARAMETERS[name]: value for name, value in filters.items() if value}
    with exchange.reading() as session:
        scope = read_scope(session, asked, exchange.reference, today=exchange.today())
        file = FILES["txt" if form == "text" else form]
        made = match_report(
            session, exchange.reference, scope=scope, language=language, listed=file.listed
        )
        content = file.write(made, exchange.reference)
    if output is not None:
        output.write_bytes(content if isinstance(content, bytes) else content.encode())
        click.echo(f"Written to {output}.")
    elif isinstance(content, bytes):
        raise click.UsageError("A PDF or XLSX file needs --output FILE.")
    else:
        click.echo(content)


@main.command()
@click.argument("need_reference", metavar="NEED")
@click.argument("offer_reference", metavar="OFFER")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
@click.pass_context
@_told
def explain(
    context: click.Context, need_reference: str, offer_reference: str, as_object: bool
) -> None:
    """Take the score of NEED and OFFER apart, or name the rules that keep them apart.

    Both are references, e.g. need-pe-016. At the end stand the edits that would raise the score
    most.
    """
    from broker.explanations import (
        COMPONENT_NAMES,
        change_sentence,
        contribution_sentences,
        failure_sentence,
    )
    from broker.matches import take_apart

    exchange = _up_to_date()
    language = context.find_root().params["language"]
    with exchange.reading() as session:
        need = _post(session, Need, need_reference)
        offer = _post(session, Offer, offer_reference)
        pair = take_apart(exchange, session, need, offer, on=exchange.today())
        if as_object:
            click.echo(json.dumps(asdict(pair), default=_plain, ensure_ascii=False))
            return
        found = pair.explanation
        for failure in found.failures:
            click.echo(failure_sentence(failure, exchange.reference, language))
        if found.failures:
            click.echo(
                f"Without that: {pair.why_not.points:.1f} points, "
                f"rank {pair.why_not.rank} of {pair.why_not.eligible + 1}."
            )
            return
        click.echo(
            f"{found.points:.2f} points ({found.band}), "
            f"rank {pair.why_not.rank} of {pair.why_not.eligible}."
        )
        for part in found.contributions:
            name = COMPONENT_NAMES[part.component]
            most = part.possible / 1_000_000
            click.echo(f"  {part.points:6.2f} of {most:5.2f}  {name}")
            for _name, _state, words in contribution_sentences(part, exchange.reference, language):
                click.echo(f"                   {words}")
        for change in pair.changes:
            click.echo(
                f"  +{change.gained / 1_000_000:.1f}  {change_sentence(change, exchange.reference, language)}"
            )


def _plain(value: Any) -> Any:
    """What JSON does not know, as text or list."""
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


@main.command()
@click.argument("kind", type=click.Choice(["need", "offer"]))
@click.option("--title", required=True, help="Title of the post.")
@click.option("--text", default="", help="Its description.")
@click.option("--text-language", type=click.Choice(LANGUAGES), help="Left out: it is guessed.")
@click.pass_context
@_told
def suggest(
    context: click.Context, kind: str, title: str, text: str, text_language: str | None
) -> None:
    """Suggest themes, areas, kinds of support, dimension and goals for a text.

    Each comes with its probability and the words that led to it.
    """
    from broker.sketch import Sketch
    from broker.suggestions import suggest_codes

    exchange = _up_to_date()
    language = context.find_root().params["language"]
    sketch = Sketch(kind, {"title": title, "description": text, "language": text_language}, 0)
    with exchange.reading() as session:
        hints = suggest_codes(exchange, session, sketch)
    for hint in hints:
        label = exchange.reference.label(hint.scheme, hint.code, language)
        words = f"  ({', '.join(hint.words)})" if hint.words else ""
        click.echo(f"{hint.probability:4.0%}  {hint.field:<14} {hint.code:<32} {label}{words}")
    if not hints:
        click.echo("Nothing to suggest: the text says too little, or there are too few posts.")


@main.group()
def export() -> None:
    """Write what is public for other systems."""


@export.command("iati")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_told
def export_iati(file: Path) -> None:
    """Write offers and registered agreements to FILE as IATI 2.03 activities."""
    from broker.iati_export import write_activities

    exchange = _up_to_date()
    with exchange.reading() as session, file.open("wb") as opened:
        count = write_activities(exchange, session, opened)
    click.echo(f"{count} activities written to {file}.")


@main.group("import")
def import_() -> None:
    """Import posts, organisations and accounts."""


@import_.command("template")
@click.argument("kind", type=click.Choice(["need", "offer", "organisation", "user"]))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_context
@_told
def import_template(context: click.Context, kind: str, file: Path) -> None:
    """Write the workbook to fill in for KIND into FILE."""
    from broker.imports import KINDS
    from broker.sheets import make_template

    language = context.find_root().params["language"]
    file.write_bytes(make_template(KINDS[kind].columns, _up_to_date().reference, language))
    click.echo(f"Written to {file}.")


@import_.command("sheet")
@click.argument("kind", type=click.Choice(["need", "offer", "organisation", "user"]))
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--by", "email", required=True, help="Account in whose name it is imported.")
@click.option("--only-good", is_flag=True, help="Load the good rows though others have problems.")
@click.option("--submit", is_flag=True, help="Hand posts in for publication; else: drafts.")
@click.option("--check", "only_check", is_flag=True, help="Tell the problems and load nothing.")
@_told
def import_sheet(
    kind: str, file: Path, email: str, only_good: bool, submit: bool, only_check: bool
) -> None:
    """Import a CSV or XLSX FILE whose rows are of KIND; every bad row is told.

    The exit code is 2 where nothing was loaded because of problems.
    """
    from broker import imports as use

    exchange = _up_to_date()
    with exchange.writing() as session:
        by = accounts.find_user(session, email)
        brought = use.keep_file(
            exchange,
            session,
            by,
            scheme="sheet",
            kind=kind,
            name=file.name,
            content=file.read_bytes(),
        )
        use.check_import(exchange, session, brought)
        for problem in brought.problems:
            place = (
                f"row {problem['row']}, {problem['column'] or '–'}" if problem["row"] else "file"
            )
            click.echo(f"{place}: {problem['problem']}", err=True)
        click.echo(f"{brought.rows} rows, {brought.good} without a problem.")
        if only_check or brought.status == "unreadable" or (brought.problems and not only_good):
            if brought.problems:
                _exit_after(session, BAD_INPUT)
            return
        brought.become(ImportStatus.LOADING)
        use.load_rows(exchange, session, by, brought, only_good=only_good, submit=submit)
        click.echo(
            f"{brought.loaded} loaded, {brought.changed} changed, {brought.known} known already."
        )


@import_.command("iati")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--by", "email", required=True, help="Account in whose name it is imported.")
@_told
def import_iati(file: Path, email: str) -> None:
    """Make drafts of offers of the IATI activities in FILE (version 2.01 or later).

    What was not used is told on the error output and, all of it, in a report. Running it again
    makes nothing twice; that is also how an interrupted import is gone on with.
    """
    from broker import iati_import as use

    exchange = _up_to_date()
    with exchange.reading() as session:
        use.require_import(accounts.find_user(session, email))
    with file.open("rb") as opened:
        stored = use.store_file(exchange, file.name, opened)
    with exchange.writing() as session:
        brought = use.bring_activities(session, accounts.find_user(session, email), stored)
    bar = _bar(stored.size, file.name)

    def progress(done: int, _total: int) -> None:
        bar.update(done - bar.n)

    counts = use.load_activities(exchange, brought.id, progress=progress)
    bar.close()
    with exchange.reading() as session:
        for problem in session.get_one(Import, brought.id).problems:
            place = f"line {problem['row']}, {problem['value'] or '–'}, {problem['column'] or '–'}"
            click.echo(f"{place}: {problem['problem']}", err=True)
    click.echo(
        f"{counts['rows']} activities, {counts['good']} usable: {counts['loaded']} new drafts, "
        f"{counts['changed']} changed, {counts['known']} known already."
    )
    click.echo(f"The whole report: {use.report_path(exchange, brought.id)}")


def _exit_after(session: Any, code: int) -> None:
    """Keep what was noted and end with that exit code."""
    session.commit()
    sys.exit(code)


@main.group()
def weights() -> None:
    """Look at the weights of the score, try others out, learn them, adopt them."""


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


@weights.command("show")
@_told
def show_weights() -> None:
    """Print the weights in force, in per cent."""
    from broker.weights import percents, weights_in_force

    exchange = _up_to_date()
    with exchange.reading() as session:
        present = weights_in_force(session)
        for name, share in percents(present.weights).items():
            click.echo(f"{name:<20} {share:>6}")
        if present.adopted:
            click.echo(f"Set {present.number}: {present.adopted.reason}")


@weights.command("try")
@click.argument("shares", nargs=-1, required=True, metavar="COMPONENT=SHARE…")
@_told
def try_weights(shares: tuple[str, ...]) -> None:
    """Tell which matches would enter, leave or move; nothing is stored.

    Components that are not named keep their share; all nine must add up to 100.
    """
    from broker import weights as use

    exchange = _up_to_date()
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
@_told
def learn_weights() -> None:
    """Learn weights from accepted and dismissed matches, and tell how well they foretell."""
    from broker import weights as use

    exchange = _up_to_date()
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
@_told
def adopt_weights(shares: tuple[str, ...], reason: str, email: str) -> None:
    """Put all nine weights in force."""
    from broker import weights as use

    exchange = _up_to_date()
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


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
@_told
def evaluate(folder: Path, as_object: bool) -> None:
    """Rank a labelled FOLDER with the production engine and print how well it does.

    FOLDER holds needs.jsonl, offers.jsonl and qrels.tsv (docs/matching-quality.md).
    """
    from broker.labelled import evaluate_folder

    result, ignored = evaluate_folder(folder)
    for note in ignored:
        click.echo(note, err=True)
    if as_object:
        click.echo(json.dumps(result))
        return
    for name, value in result.items():
        click.echo(f"{name:<10} {value if isinstance(value, int) else format(value, '.4f')}")


@main.group()
def mail() -> None:
    """Look after e-mail."""


@mail.command("send")
@_told
def send_mail() -> None:
    """Deliver the letters that are due; exit code 1 if the mail server takes none."""
    from broker.letters import send_letters

    done = send_letters(_up_to_date())
    click.echo(f"{done.sent} sent, {done.put_off} put off, {done.given_up} given up.")
    if done.problem:
        click.echo(done.problem, err=True)
        sys.exit(FAILED)


@mail.command("test")
@click.argument("address")
@_told
def test_mail(address: str) -> None:
    """Send ADDRESS a short letter, to see whether the settings of e-mail are right."""
    from broker.letters import write_trial
    from broker.mail import NotDelivered, carrier

    settings = _exchange().settings
    try:
        with carrier(settings) as carrying:
            carrying.carry(write_trial(settings, address))
    except NotDelivered as error:
        click.echo(error.problem, err=True)
        sys.exit(FAILED)
    click.echo(f"Sent to {address}." if settings.mail_server else "Written to the folder.")


@main.group()
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
@_told
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
    exchange = _up_to_date()
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
@_told
def grant(email: str, role: str, organisation: str | None, subregion: str | None) -> None:
    """Give the account of EMAIL another ROLE."""
    exchange = _up_to_date()
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
