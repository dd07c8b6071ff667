"""The demonstration exchange as a whole: the run over its book, and the page of ranked matches.

    python -m benchmarks.demonstration [--runs 10] [--rounds 2]

Loads the demonstration into a temporary folder, as ``broker demo`` does, matches the whole book
(first without and then with stored vectors), and asks for the page of ranked matches of every live
need: from the application itself, and from the server that ``broker serve`` starts, over HTTP.
"""

import argparse
import http.client
import os
import platform
import re
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from broker.demonstration import load_exchange
from broker.exchange import Exchange
from broker.paths import FIXTURES
from broker.reference_data import load_reference_data
from broker.runs import run_matching
from broker.settings import Settings
from broker.web import create_app
from models import LIVE, MatchRun, Need, schema

ROOT = Path(__file__).parent.parent
PASSWORD = "a password for measuring"
EVERYONE = "secretariat@demo.example"
"""Reads the matches of every need."""
FOCAL_POINT, HER_NEED = "focal.pe@demo.example", "need-pe-016"
SIGN_IN_LIMIT = "1000 per minute"
START_SECONDS = 180
BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd", "Accept-Language": "es"}


@dataclass
class Times:
    """How long something took each time, in seconds."""

    what: str
    seconds: list[float] = field(default_factory=list)

    def take(self, act: Callable[[], object]) -> None:
        """Do it once more, by the clock."""
        start = time.perf_counter()
        act()
        self.seconds.append(time.perf_counter() - start)

    def row(self) -> str:
        """The times as a row of a Markdown table."""
        high = "–"
        if len(self.seconds) >= 20:
            high = shown(statistics.quantiles(self.seconds, n=20, method="inclusive")[-1])
        middle, worst = shown(statistics.median(self.seconds)), shown(max(self.seconds))
        return f"| {self.what} | {len(self.seconds)} | {middle} | {high} | {worst} |"


def shown(seconds: float) -> str:
    """A time as people read it."""
    return f"{seconds * 1e3:,.0f} ms" if seconds < 10 else f"{seconds:,.0f} s"


# --- The exchange, loaded and served ---------------------------------------------------------


def open_exchange(home: Path) -> tuple[Exchange, Flask]:
    """An exchange in a folder of its own, and its application."""
    exchange = Exchange(Settings(home=home, sign_in_limit=SIGN_IN_LIMIT).completed())
    return exchange, create_app(exchange=exchange)


def load_demonstration(home: Path, password: str = PASSWORD) -> None:
    """Put reference data, posts and accounts of the demonstration into ``home``; match nothing."""
    exchange, app = open_exchange(home)
    schema.upgrade(exchange.database)
    with app.app_context():
        with exchange.writing() as session:
            load_reference_data(session, FIXTURES / "reference")
        with exchange.writing() as session:
            load_exchange(
                session,
                FIXTURES / "demo",
                exchange.reference,
                today=exchange.today(),
                password=password,
            )
    exchange.database.dispose()


def match_book(home: Path) -> None:
    """Match the whole book with an engine that has nothing in memory yet, and store the run."""
    exchange, app = open_exchange(home)
    with app.app_context(), exchange.writing() as session:
        run_matching(exchange, session, None)
    exchange.database.dispose()


@contextmanager
def served(home: Path) -> Iterator[tuple[str, int]]:
    """Host and port at which ``broker serve`` serves ``home``, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
    environment = {name: value for name, value in os.environ.items() if name[:7] != "BROKER_"}
    environment |= {
        "BROKER_HOME": str(home),
        "BROKER_PORT": str(port),
        "BROKER_SIGN_IN_LIMIT": SIGN_IN_LIMIT,
    }
    log = home / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "broker", "serve"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
        try:
            _wait_for(server, host, port, log)
            yield host, port
        finally:
            server.terminate()
            server.wait(timeout=START_SECONDS)


def _wait_for(server: subprocess.Popen[bytes], host: str, port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the server does not answer:\n{log.read_text()}")


# --- Readers -----------------------------------------------------------------------------------


class ServedReader:
    """Reads pages over one HTTP connection, as a browser does: cookies, compressed answers."""

    def __init__(self, host: str, port: int) -> None:
        self.connection = http.client.HTTPConnection(host, port, timeout=60)
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> bytes:
        """The body of the answer, as it came over the wire."""
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "Connection": "keep-alive",
        }
        if method == "GET" and path != "/sign-in":
            headers |= BROWSER
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, urlencode(form or {}), headers)
        answer = self.connection.getresponse()
        body: bytes = answer.read()
        for line in answer.headers.get_all("Set-Cookie", []):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        _require_answer(method, path, answer.status)
        return body

    def get(self, path: str) -> bytes:
        """The body of a page."""
        return self.ask("GET", path)

    def sign_in(self, email: str) -> None:
        """Sign in by the form, as a person does."""
        self.cookies.clear()
        token = _token(self.get("/sign-in").decode())
        self.ask("POST", "/sign-in", {"email": email, "password": PASSWORD, "csrf_token": token})


class DirectReader:
    """Reads pages from the application itself, without a server: Flask's test client."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def get(self, path: str) -> bytes:
        """The body of a page."""
        answer = self.client.get(path, headers=BROWSER)
        _require_answer("GET", path, answer.status_code)
        return answer.data

    def sign_in(self, email: str) -> None:
        """Sign in by the form, as a person does."""
        self.client.delete_cookie("session")
        token = _token(self.client.get("/sign-in").get_data(as_text=True))
        form = {"email": email, "password": PASSWORD, "csrf_token": token}
        _require_answer("POST", "/sign-in", self.client.post("/sign-in", data=form).status_code)


def _require_answer(method: str, path: str, status: int) -> None:
    if status != (302 if method == "POST" else 200):
        raise RuntimeError(f"{method} {path} answered {status}")


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    if found is None:
        raise RuntimeError("the sign-in page has no token")
    return found[1]


# --- What is measured --------------------------------------------------------------------------


def measure_runs(home: Path, runs: int) -> list[Times]:
    """The run over the whole book: without vectors, with them, and as a command of the shell."""
    first = Times("first run: every text is encoded")
    first.take(lambda: match_book(home))
    again = Times("**run with stored vectors**, nothing in memory")
    for _ in range(runs):
        again.take(lambda: match_book(home))
    exchange, app = open_exchange(home)
    warm = Times("the same in a process that holds the book")

    def match_once_more() -> None:
        with app.app_context(), exchange.writing() as session:
            run_matching(exchange, session, None)

    match_once_more()
    for _ in range(runs):
        warm.take(match_once_more)
    exchange.database.dispose()
    command = Times("`broker match` from the shell, Python's start included")
    for _ in range(runs):
        command.take(lambda: _run_command(home, "match"))
    return [first, again, warm, command]


def _run_command(home: Path, *words: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "broker", *words],
        cwd=ROOT,
        env={**os.environ, "BROKER_HOME": str(home)},
        check=False,
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        raise RuntimeError(f"broker {' '.join(words)}: {finished.stderr}")


def measure_pages(
    reader: ServedReader | DirectReader, where: str, home: Path, rounds: int
) -> list[Times]:
    """The page of ranked matches: the first of the process, those of every need, one often.

    The first one builds the book. The last one is read by the organisation that posted the need.
    """
    needs = live_needs(home)
    cold = Times(f"{where}: first page after the start")
    every = Times(f"{where}: **every live need**, as the secretariat")
    own = Times(f"{where}: `{HER_NEED}`, as Peru's focal point")
    reader.sign_in(EVERYONE)
    cold.take(lambda: reader.get(_page_of(needs[HER_NEED])))
    for need_id in [*needs.values()] * rounds:
        every.take(partial(reader.get, _page_of(need_id)))
    reader.sign_in(FOCAL_POINT)
    for _ in range(30 * rounds):
        own.take(lambda: reader.get(_page_of(needs[HER_NEED])))
    return [cold, every, own]


def _page_of(need_id: int) -> str:
    return f"/needs/{need_id}/matches"


def live_needs(home: Path) -> dict[str, int]:
    """Reference → number of the needs on the exchange."""
    exchange = Exchange(Settings(home=home).completed())
    with exchange.reading() as session:
        rows = session.execute(
            select(Need.reference, Need.id).where(Need.status.in_(LIVE)).order_by(Need.id)
        )
        found: dict[str, int] = dict(rows.all())
    exchange.database.dispose()
    return found


def describe_book(home: Path) -> str:
    """What the newest run was about, in a sentence."""
    exchange = Exchange(Settings(home=home).completed())
    with exchange.reading() as session:
        run = session.scalars(select(MatchRun).order_by(MatchRun.id.desc()).limit(1)).one()
        said = (
            f"{run.needs} live needs, {run.offers} live offers, {run.eligible_pairs:,} eligible "
            f"pairs, {run.matches} matches kept with their reasons."
        )
    exchange.database.dispose()
    return said


def describe_machine() -> str:
    """Processor, memory, programs and present load, in a sentence."""
    processor = platform.processor() or platform.machine()
    memory = ""
    if Path("/proc/cpuinfo").exists():
        models = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
        processor = models[0].strip() if models else processor
        total = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        memory = f", {int(total[1]) / 2**20:.0f} GB of memory" if total else ""
    return (
        f"{processor}, {os.cpu_count()} processors{memory}; {platform.system()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; "
        f"load of the last minute when measuring began: {os.getloadavg()[0]:.1f}."
    )


HEAD = "| what | times | median | 95th percentile | slowest |\n|---|---:|---:|---:|---:|"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="runs over the book, each way")
    parser.add_argument("--rounds", type=int, default=2, help="rounds over the pages of all needs")
    chosen = parser.parse_args(arguments)
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="demonstration-") as folder:
        home = Path(folder)
        load_demonstration(home)
        runs = measure_runs(home, chosen.runs)
        print(f"{machine}\n\n{describe_book(home)}\n\n{HEAD}")
        print("\n".join(times.row() for times in runs), flush=True)
        exchange, app = open_exchange(home)
        pages = measure_pages(DirectReader(app), "application", home, chosen.rounds)
        exchange.database.dispose()
        with served(home) as (host, port):
            reader = ServedReader(host, port)
            pages += measure_pages(reader, "served", home, chosen.rounds)
            size = len(reader.get(_page_of(live_needs(home)[HER_NEED])))
        print(f"\n{HEAD}")
        print("\n".join(times.row() for times in pages))
        print(f"\nThe page of `{HER_NEED}` takes {size / 1024:.1f} KB over the wire, compressed.")


if __name__ == "__main__":
    main()
