"""``broker serve``: the site, and the worker beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import click

from broker.commands.terminal import open_exchange
from broker.exchange import Exchange


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
def serve(host: str | None, port: int | None) -> None:
    """Serve the site until it is stopped (Ctrl-C)."""
    serve_site(open_exchange(), host, port)


def serve_site(exchange: Exchange, host: str | None = None, port: int | None = None) -> None:
    """Serve the site of an exchange until it is stopped."""
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
            # Each worker opens its own connections and holds its own book, filled right away.
            app = create_app(settings)
            warm_up = app.extensions["exchange"].warm_up
            threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
            return app

    exchange.database.dispose()
    click.echo(f"Serving on http://{address} – stop with Ctrl-C.")
    Server().run()


def _start_worker() -> subprocess.Popen[bytes]:
    """A worker beside the server: a process of its own, so that long work slows down no page."""
    return subprocess.Popen(  # noqa: S603 - our own program, no word of it from outside
        [sys.executable, "-m", "broker", "work", "--beside", str(os.getpid())]
    )
