"""No page has a serious or critical violation that axe-core can find, whoever reads it.

Every address is opened as one of the roles for which it opens, each role and each of the four
languages in its turn, on a light and on a dark screen. Where a page of a number is asked for, the
demonstration's first row of that kind is taken; what does not exist is an error page, which is
looked at like any other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page
from sqlalchemy import MetaData, select
from sqlalchemy.orm import Session
from werkzeug.routing import AnyConverter, Rule

from broker.exchange import Exchange
from broker.settings import Settings
from broker.web import create_app
from models import LANGUAGES, AgreementStatus, Need, Offer, Post, PostStatus, Role
from tests.factories import make_agreement

pytestmark = pytest.mark.browser

ACCOUNTS = {
    Role.PUBLIC: None,
    Role.FOCAL_POINT: "focal.pe@demo.example",
    Role.PROVIDER: "officer.caf@demo.example",
    Role.TASK_FORCE: "tf.procurement@demo.example",
    Role.COORDINATOR: "coordinator.andean@demo.example",
    Role.SECRETARIAT: "secretariat@demo.example",
}
"""Role → the demonstration's account, in the order of trust."""

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


@dataclass(frozen=True)
class Visit:
    """A page to be opened: its address, and by whom."""

    endpoint: str
    path: str
    role: Role


@pytest.fixture
def exchange(site) -> Iterator[Exchange]:
    """The served exchange, with agreements at two points of their lives."""
    found = Exchange(Settings(home=site.home, encoder="none").completed())
    with found.writing() as session:
        needs = session.scalars(
            select(Need).where(Need.status == PostStatus.PUBLISHED, Need.country_code == "PE")
        )
        offers = session.scalars(select(Offer).where(Offer.status == PostStatus.PUBLISHED))
        statuses = (AgreementStatus.SIGNED, AgreementStatus.PROPOSED)
        for need, offer, status in zip(needs, offers, statuses, strict=False):
            make_agreement(session, need, offer, status=status)
    yield found
    found.database.dispose()


def _numbers(session: Session) -> dict[str, int]:
    """``need_id``, ``round_id``, … → the first row of that table."""
    tables = MetaData()
    tables.reflect(session.get_bind())
    first: dict[str, int] = {}
    for table in tables.tables.values():
        if "id" in table.columns:
            number = session.scalar(select(table.c.id).order_by(table.c.id).limit(1))
            if number is not None:
                first[f"{table.name}_id"] = number
    aliases = {
        "run_id": "match_run_id",
        "round_id": "clearing_round_id",
        "user_id": "user_account_id",
        "proposal_id": "round_proposal_id",
        "pool_id": "need_pool_id",
    }
    return {**first, **{name: first[table] for name, table in aliases.items() if table in first}}


def _visits(app: Flask, session: Session) -> list[Visit]:
    numbers = _numbers(session)
    posts = {
        kind: session.scalar(
            select(Post.id).where(Post.kind == kind, Post.status == PostStatus.PUBLISHED).limit(1)
        )
        for kind in ("need", "offer")
    }
    adapter = app.url_map.bind("localhost")
    found = []
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        roles = [role for role in ACCOUNTS if role in getattr(view, "allowed_roles", ())]
        if "GET" not in (rule.methods or ()) or rule.endpoint in NO_PAGES or not roles:
            continue
        if rule.endpoint.startswith("api_"):
            continue
        blueprint = rule.endpoint.split(".")[0]
        for kind in ("need", "offer") if "kind" in rule.arguments else ("need",):
            values: dict[str, object] = {
                **numbers,
                "kind": kind,
                "post_id": posts[kind],
                "need_id": posts["need"],
                "offer_id": posts["offer"],
                "code": CODES.get(blueprint, "PE"),
                "partner": "PE",
                "name": "unmet",
                "token": "none",
                **_one_of_each(rule),
            }
            given = {name: values.get(name, 1) for name in rule.arguments}
            path = adapter.build(rule.endpoint, given)
            found.append(Visit(rule.endpoint, path, roles[len(found) % len(roles)]))
    return sorted(found, key=lambda visit: (visit.role, visit.path))


def _one_of_each(rule: Rule) -> dict[str, str]:
    """For each part of an address that takes one of a few words, the first of them."""
    return {
        name: min(converter.items)
        for name, converter in rule._converters.items()
        if isinstance(converter, AnyConverter)
    }


def _violations(page: Page, axe: Axe) -> list[str]:
    results = axe.run(page, options={"resultTypes": ["violations"]}).response
    return [
        f"{found['id']}: {node['html'][:160]}"
        for found in results["violations"]
        if found["impact"] in WORTH_TELLING
        for node in found["nodes"][:2]
    ]


def _open(page: Page, path: str) -> bool:
    """Whether the address gave a page; a file is no page."""
    try:
        answer = page.goto(path)
    except PlaywrightError as error:
        if "Download is starting" in error.message or "ERR_ABORTED" in error.message:
            return False
        raise
    assert answer is not None
    assert answer.status < 500, path
    return answer.headers["content-type"].startswith("text/html")


def _switch_language(page: Page, code: str) -> None:
    page.goto("/about")
    page.click(f".languages button[lang={code}]")
    assert page.locator("html").get_attribute("lang") == code


def test_no_page_has_a_serious_violation(exchange, reader):
    axe, app = Axe(), create_app(exchange=exchange)
    with exchange.reading() as session:
        visits = _visits(app, session)
    wrong: dict[str, list[str]] = {}
    looked_at = 0
    for role, group in itertools.groupby(visits, key=lambda visit: visit.role):
        page = reader(ACCOUNTS[role])
        mine = list(group)
        quarter = -(-len(mine) // len(LANGUAGES))
        for number, visit in enumerate(mine):
            language = LANGUAGES[number // quarter]
            if number % quarter == 0:
                _switch_language(page, language)
            page.emulate_media(color_scheme="dark" if number % 2 else "light")
            if not _open(page, visit.path):
                continue
            looked_at += 1
            found = _violations(page, axe)
            if found:
                wrong[f"{visit.path} ({role}, {language}, {number % 2})"] = found
    assert wrong == {}
    assert looked_at > 80
