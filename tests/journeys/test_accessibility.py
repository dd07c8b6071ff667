"""No page has a serious or critical violation that axe-core can find, whoever reads it.

Every address is opened as one of the roles for which it opens, each role, each language and each
screen, light or dark, in its turn. ``ACCESSIBILITY=roles`` opens it as every role, from role to role
in another language and on another screen; ``ACCESSIBILITY=whole`` as each role in each language on
each screen (``make accessibility``).

Where a page of a number is asked for, a row is taken that opens for the role, if one of the first
does; else the page of the error is looked at like any other.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from flask import Flask
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, expect
from sqlalchemy import MetaData, func, select
from sqlalchemy.orm import Session
from werkzeug.routing import AnyConverter, Rule

from broker.exchange import Exchange
from broker.settings import Settings
from broker.web import create_app
from models import LANGUAGES, LIVE, Organisation, Post, Role
from tests.journeys.reading import follow

pytestmark = pytest.mark.browser

ACCOUNTS = {
    Role.PUBLIC: None,
    Role.FOCAL_POINT: "focal.pe@demo.example",
    Role.DELEGATE: "delegate.pe@demo.example",
    Role.PROVIDER: "officer.caf@demo.example",
    Role.TASK_FORCE: "tf.procurement@demo.example",
    Role.COORDINATOR: "coordinator.andean@demo.example",
    Role.SECRETARIAT: "secretariat@demo.example",
}
"""Role → the demonstration's account, in the order of trust."""

HOMES = ("gov-pe", "caf", "tf-procurement")
"""The organisations of those accounts that post."""

CODES = {
    "countries": "PE",
    "programmes": "sustainable_procurement",
    "public": "gov-pe",
    "task_forces": "tf-procurement",
    "partners": "tf-procurement",
}
"""Blueprint → a code that its addresses take."""

NO_PAGES = {"static", "bootstrap.static", "assets.send", "mail.picture"}
"""Endpoints of files; and the picture of a letter, in which no script may run, axe-core's neither."""

WORTH_TELLING = {"serious", "critical"}

SCREENS = ("light", "dark")

TURNS = [(LANGUAGES[n % 4], SCREENS[(n + n // 4) % 2]) for n in range(8)]
"""Each language on each screen: any four that follow one another hold all languages."""

LOOK = """async options => {
    const moving = document.getAnimations().filter(one => one instanceof CSSTransition);
    await Promise.all(moving.map(one => one.finished.catch(() => null)));
    return (await axe.run(options)).violations.map(
        ({id, impact, nodes}) => [id, impact, nodes.slice(0, 2).map(node => node.html)]);
}"""
"""Runs axe-core, once no colour is on its way to another: on a change of screen they fade over."""

TRIES = 4
"""So many rows are tried until one opens for the role."""


@dataclass(frozen=True)
class Address:
    """An address, with the roles for which it opens; ``paths`` differ in the rows they name."""

    paths: tuple[str, ...]
    roles: frozenset[Role]


@pytest.fixture
def site(standing_site):
    """Nothing is changed here."""
    return standing_site


@pytest.fixture
def addresses(site) -> list[Address]:
    """Every address of a page, in a steady order."""
    exchange = Exchange(Settings(home=site.home, encoder="none").completed())
    with exchange.reading() as session:
        found = list(_addresses(create_app(exchange=exchange), session))
    exchange.database.dispose()
    return sorted(found, key=lambda address: address.paths)


def _addresses(app: Flask, session: Session) -> Iterator[Address]:
    numbers = _numbers(session)
    posts = {kind: _posts(session, kind) for kind in ("need", "offer")}
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        roles = getattr(app.view_functions[rule.endpoint], "allowed_roles", frozenset())
        if "GET" not in (rule.methods or ()) or rule.endpoint in NO_PAGES or not roles:
            continue
        if rule.endpoint.startswith("api_"):
            continue
        for kind in ("need", "offer") if "kind" in rule.arguments else ("need",):
            values: dict[str, Any] = {
                **numbers,
                "kind": [kind],
                "post_id": posts[kind],
                "need_id": posts["need"],
                "offer_id": posts["offer"],
                "code": [CODES.get(rule.endpoint.split(".")[0], "PE")],
                "partner": ["PE"],
                "name": ["unmet"],
                "token": ["none"],
                **_one_of_each(rule),
            }
            given = [values.get(name, [1]) for name in rule.arguments]
            paths = [
                adapter.build(rule.endpoint, dict(zip(rule.arguments, row, strict=True)))
                for row in itertools.islice(_side_by_side(given), TRIES)
            ]
            yield Address(tuple(dict.fromkeys(paths)), frozenset(roles))


def _numbers(session: Session) -> dict[str, list[int]]:
    """``need_id``, ``round_id``, … → the first rows of that table."""
    tables = MetaData()
    tables.reflect(session.get_bind())
    first: dict[str, list[int]] = {}
    for table in tables.tables.values():
        if "id" in table.columns:
            rows = select(table.c.id).order_by(table.c.id).limit(TRIES)
            first[f"{table.name}_id"] = list(session.scalars(rows)) or [1]
    aliases = {
        "run_id": "match_run_id",
        "round_id": "clearing_round_id",
        "user_id": "user_account_id",
        "proposal_id": "round_proposal_id",
        "pool_id": "need_pool_id",
    }
    return {**first, **{name: first[table] for name, table in aliases.items() if table in first}}


def _posts(session: Session, kind: str) -> list[int]:
    """The first live post of each home, then the first of all."""
    live = select(func.min(Post.id)).where(Post.kind == kind, Post.status.in_(LIVE))
    homes = live.join(Organisation).where(Organisation.code.in_(HOMES)).group_by(Organisation.id)
    return [*session.scalars(homes), session.scalars(live).one()]


def _side_by_side(given: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
    """The first of each, the second of each, …; a shorter list stays at its last."""
    for place in range(max(map(len, given), default=1)):
        yield tuple(values[min(place, len(values) - 1)] for values in given)


def _one_of_each(rule: Rule) -> dict[str, list[str]]:
    """For each part of an address that takes one of a few words, the first of them."""
    return {
        name: [min(converter.items)]
        for name, converter in rule._converters.items()
        if isinstance(converter, AnyConverter)
    }


def _open(page: Page, paths: Iterable[str]) -> int | None:
    """Go to the first of the paths that opens; the status of the answer, None for a file."""
    status = None
    for path in paths:
        try:
            answer = page.goto(path)
        except PlaywrightError as error:
            if "Download is starting" in error.message or "ERR_ABORTED" in error.message:
                return None
            raise
        assert answer is not None
        assert answer.status < 500, path
        if not answer.headers["content-type"].startswith("text/html"):
            return None
        status = answer.status
        if status == 200:
            break
    return status


def _violations(page: Page) -> list[str]:
    """What axe-core has to tell about the page that is open."""
    found = page.evaluate(LOOK, {"resultTypes": ["violations"], "preload": False})
    return [
        f"{rule}: {html[:160]}"
        for rule, impact, nodes in found
        if impact in WORTH_TELLING
        for html in nodes
    ]


def _turns(place: int, role: Role, roles: frozenset[Role]) -> list[tuple[str, str]]:
    """Languages and screens in which the role sees the address that stands at that place."""
    extent = os.environ.get("ACCESSIBILITY")
    mine = [one for one in ACCOUNTS if one in roles]
    if role not in mine or (extent is None and mine[place % len(mine)] != role):
        return []
    return TURNS if extent == "whole" else [TURNS[(place + mine.index(role)) % len(TURNS)]]


def _switch_language(page: Page, code: str) -> None:
    page.goto("/about")
    follow(page, f".languages button[lang={code}]")
    expect(page.locator("html")).to_have_attribute("lang", code)


@pytest.mark.parametrize("role", ACCOUNTS)
def test_no_page_has_a_serious_violation(role, addresses, reader):
    page = reader(ACCOUNTS[role])
    wrong: dict[str, list[str]] = {}
    opened = 0
    for language in LANGUAGES:
        _switch_language(page, language)
        for place, address in enumerate(addresses):
            turns = _turns(place, role, address.roles)
            screens = [screen for code, screen in turns if code == language]
            if not screens:
                continue
            page.emulate_media(color_scheme=screens[0])
            status = _open(page, address.paths)
            if status is None:
                continue
            opened += status == 200
            page.evaluate(AXE_SCRIPT)
            for screen in screens:
                page.emulate_media(color_scheme=screen)
                found = _violations(page)
                if found:
                    wrong[f"{page.url} ({language}, {screen})"] = found
    assert wrong == {}
    assert opened, "not one address opened"
