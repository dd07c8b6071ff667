"""Speaking a language outside of a web request: on the command line, in jobs and in routines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from flask import Flask
from flask_babel import Babel, force_locale

from broker.paths import TRANSLATIONS


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Texts made inside are in ``language`` (a code of :data:`models.LANGUAGES`)."""
    with _app().app_context(), force_locale(language):
        yield


@lru_cache(maxsize=1)
def _app() -> Flask:
    app = Flask("broker")
    Babel(app, default_translation_directories=str(TRANSLATIONS), default_locale="en")
    return app
