"""A small client of the exchange's API: what every program that calls it needs, and no more.

Needs ``requests`` alone. Copy it, or import it from beside your own program::

    from client import Exchange

    exchange = Exchange("https://exchange.example", token="tfp_…", language="es")
    for need in exchange.all("/needs", theme=["water"], open="1"):
        print(need["reference"], need["title"])
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import requests


class Problem(Exception):
    """What the exchange answered instead (RFC 9457).

    Attributes
    ----------
    status : int
        HTTP status.
    type : str
        Name of the problem that never changes, e.g. ``"urn:10yfp:capacity_exceeded"``.
    errors : dict
        Field → its problems, where input was wrong.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(f"{told.get('detail', told.get('title', ''))} {told.get('errors', '')}")
        self.status = told.get("status", 0)
        self.type = told.get("type", "")
        self.errors = told.get("errors", {})


class Exchange:
    """An exchange, as the owner of a token or, without one, as everybody reads it.

    Parameters
    ----------
    address : str
        Where the exchange is, e.g. ``"https://exchange.example"``.
    token : str
        A personal token from “My account”; without one, only what is public can be read.
    language : str
        Language of sentences and labels: ``es``, ``en``, ``pt`` or ``fr``.
    """

    def __init__(self, address: str, token: str = "", language: str = "en") -> None:
        self.root = f"{address.rstrip('/')}/api/v1"
        self.session = requests.Session()
        self.session.headers["Accept-Language"] = language
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send a request; wait and try again when told that it was one too many.

        Raises
        ------
        Problem
            For every answer that is an error.
        """
        url = path if path.startswith("http") else f"{self.root}{path}"
        for _attempt in range(5):
            answer = self.session.request(method, url, timeout=60, **more)
            if answer.status_code != 429:
                break
            time.sleep(int(answer.headers.get("Retry-After", "1")) + 1)
        if answer.status_code >= 400:
            raise Problem(answer.json())
        return answer

    def read(self, path: str, **query: Any) -> dict[str, Any]:
        """Read one thing."""
        told: dict[str, Any] = self.ask("GET", path, params=query).json()
        return told

    def all(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every row of a list, slice by slice, however long it is."""
        told = self.read(path, **query)
        yield from told["items"]
        while told.get("next"):
            told = self.read(told["next"])
            yield from told["items"]

    def make(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make something. Sent again after a broken line, it is still made once."""
        key = str(uuid.uuid4())
        for attempt in range(3):
            try:
                answer = self.ask("POST", path, json=body, headers={"Idempotency-Key": key})
            except requests.ConnectionError:
                if attempt == 2:
                    raise
            else:
                told: dict[str, Any] = answer.json()
                return told
        raise AssertionError("unreachable")

    def do(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do something with a thing: submit it, accept it, sign it."""
        told: dict[str, Any] = self.ask("POST", path, json=body).json()
        return told

    def do_as_read(
        self, method: str, path: str, act: str = "", body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Change a thing as it stands now: read it, then say which version was read."""
        tag = self.ask("GET", path).headers["ETag"]
        answer = self.ask(method, f"{path}{act}", json=body, headers={"If-Match": tag})
        told: dict[str, Any] = answer.json()
        return told
