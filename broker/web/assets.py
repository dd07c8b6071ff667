"""Styles and scripts as they are sent: what no page uses is left out, compressed once, kept long.

Bootstrap comes whole with Bootstrap-Flask; the pages use a small part of it. Its rules for classes
that stand in no template are left out when the program starts, and the rest and ``broker.css`` go
out as one file. An address carries a digest of what it gives, so that browsers keep it for a year.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import flask_bootstrap
from flask import Blueprint, Flask, Response, request, url_for

from broker.paths import STATIC, TEMPLATES
from broker.web.access import EVERYBODY, allow
from models import NotFound

pages = Blueprint("assets", __name__)

STYLE = "style.css"
"""Bootstrap's used part and the exchange's own styles in one."""

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

A_YEAR = 365 * 24 * 3600

BOOTSTRAP = (
    Path(flask_bootstrap.__file__).parent / "static" / "bootstrap5" / "css" / "bootstrap.min.css"
)


@dataclass(frozen=True)
class Asset:
    """A file as it is sent, plain and compressed; ``digest`` stands in its address."""

    media: str
    digest: str
    plain: bytes
    compressed: bytes


def asset(name: str) -> str:
    """The address of a file of ``broker/static``, or of ``style.css``."""
    return url_for("assets.send", digest=_find(name).digest, name=name)


@pages.get("/assets/<digest>/<name>")
@allow(EVERYBODY)
def send(digest: str, name: str) -> Response:
    """A style, script or picture; for long where the address is that of the present content."""
    found = _find(name)
    small = bool(request.accept_encodings["gzip"])
    response = Response(found.compressed if small else found.plain, content_type=found.media)
    if small:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    lasting = digest == found.digest
    response.headers["Cache-Control"] = (
        f"public, max-age={A_YEAR}, immutable" if lasting else "no-cache"
    )
    return response


@lru_cache
def _find(name: str) -> Asset:
    path = STATIC / name
    if name == STYLE:
        plain = read_style().encode()
    elif path.suffix in TYPES and path.parent == STATIC and path.is_file():
        plain = path.read_bytes()
    else:
        raise NotFound("no_such_page")
    digest = sha256(plain).hexdigest()[:16]
    return Asset(TYPES[Path(name).suffix], digest, plain, gzip.compress(plain, mtime=0))


def read_style() -> str:
    """All styles that a page can need: Bootstrap's first, so that our own rules come after."""
    own = (STATIC / "broker.css").read_text(encoding="utf-8")
    used = words_of_templates()
    bootstrap = purge(BOOTSTRAP.read_text(encoding="utf-8"), used)
    return re.sub(r"/\*.*?\*/", "", bootstrap + own, flags=re.DOTALL)


def words_of_templates() -> frozenset[str]:
    """Everything in templates and scripts that could be the name of a class."""
    files = [*TEMPLATES.rglob("*.html"), *STATIC.glob("*.js")]
    return frozenset(
        word
        for path in files
        for word in re.findall(r"[A-Za-z][\w-]*", path.read_text(encoding="utf-8"))
    )


def purge(css: str, used: frozenset[str]) -> str:
    """The style sheet without rules for classes that are not among ``used``.

    >>> purge(".a{color:red}.b{color:blue}a,.b:hover{margin:0}", frozenset({"a"}))
    '.a{color:red}a{margin:0}'
    """
    return "".join(_purged(css, used))


def _purged(css: str, used: frozenset[str]) -> Iterator[str]:
    for head, body in _blocks(re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)):
        if head.startswith(("@media", "@supports", "@container", "@layer")):
            inside = purge(body, used)
            if inside:
                yield f"{head}{{{inside}}}"
        elif head.startswith("@keyframes"):
            if head.split()[-1] in used:
                yield f"{head}{{{body}}}"
        elif head.startswith("@") or not head:
            yield f"{head}{{{body}}}" if body else head
        else:
            kept = [part for part in _selectors(head) if _is_used(part, used)]
            if kept:
                yield f"{','.join(kept)}{{{body}}}"


def _blocks(css: str) -> Iterator[tuple[str, str]]:
    """``(head, body)`` of each rule; of a statement such as ``@charset`` with an empty body."""
    start = place = 0
    while place < len(css):
        sign = css[place]
        if sign == ";":
            yield css[start : place + 1].strip(), ""
            start = place + 1
        elif sign == "{":
            head, depth, begin = css[start:place].strip(), 1, place + 1
            while depth:
                place += 1
                depth += {"{": 1, "}": -1}.get(css[place], 0)
            yield head, css[begin:place]
            start = place + 1
        place += 1


def _selectors(head: str) -> list[str]:
    """The selectors of a rule; a comma within brackets divides nothing."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", head)]


def _is_used(selector: str, used: frozenset[str]) -> bool:
    if "data-bs-theme=dark" in selector:
        # Pages follow the reader's screen by a media query, not by this attribute.
        return False
    return all(name in used for name in re.findall(r"\.([A-Za-z][\w-]*)", selector))


def prepare(app: Flask) -> None:
    """Make the addresses known to the templates."""
    app.jinja_env.globals["asset"] = asset
