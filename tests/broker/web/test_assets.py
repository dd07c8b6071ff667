"""Styles and scripts: what no page uses is left out, and what is sent is small and kept long."""

import re

import pytest
from flask import Flask
from flask_babel import Babel

from broker.demonstration import load_exchange
from broker.paths import FIXTURES
from broker.web.assets import purge, read_style
from models import Role

FIRST, NEXT = 150 * 1024, 60 * 1024
"""Bytes that a first page may take with all that belongs to it, and a next one."""


@pytest.mark.parametrize(
    ("css", "left"),
    [
        (".a{x:1}.b{x:2}", ".a{x:1}"),
        (".a,.b{x:1}", ".a{x:1}"),
        (".a .b{x:1}p.a:hover{x:2}", "p.a:hover{x:2}"),
        ("@media (min-width:1px){.b{x:1}}", ""),
        ("@media print{.a{x:1}.b{x:2}}", "@media print{.a{x:1}}"),
        (".a:not(.b){x:1}", ""),
        ("a:is(.a,[x]){x:1}", "a:is(.a,[x]){x:1}"),
        ("@keyframes b{0%{x:1}}:root{--a:1}", ":root{--a:1}"),
        ('@charset "UTF-8";/*.b{*/.a{x:"}"}'.replace('"}"', "1"), '@charset "UTF-8";.a{x:1}'),
    ],
)
def test_rules_for_classes_that_nobody_uses_are_left_out(css, left):
    assert purge(css, frozenset({"a"})) == left


def test_what_the_pages_use_is_there():
    style = read_style()
    for used in (".btn-primary", ".form-select", ".visually-hidden", ".container", ".masthead"):
        assert used in style
    for unused in (".carousel", ".offcanvas", ".toast", ".accordion"):
        assert unused not in style


def linked(page):
    return re.findall(r'(?:href|src)="(/(?:assets|static|bootstrap)/[^"]*)"', page)


def test_a_page_takes_nothing_from_another_host_and_no_script_library(client):
    page = client.get("/").text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert {re.sub(r".*/", "", address) for address in linked(page)} == {
        "style.css",
        "broker.js",
        "mark.svg",
    }


def test_what_is_sent_once_is_kept_for_a_year(client):
    for address in linked(client.get("/").text):
        answer = client.get(address, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "Set-Cookie" not in answer.headers
        plain = client.get(address, headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        assert len(plain.data) >= len(answer.data) - 200


def test_an_old_address_gives_the_present_content_and_is_not_kept(client):
    answer = client.get("/assets/0123456789abcdef/style.css")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.css", "..%2Fapp.py", "broker.css.map"])
def test_nothing_else_is_given(client, name):
    assert client.get(f"/assets/0/{name}").status_code == 404


@pytest.fixture
def demonstration(exchange):
    speaking = Flask("weights")
    Babel(speaking)
    with speaking.app_context(), exchange.writing() as session:
        load_exchange(
            session,
            FIXTURES / "demo",
            exchange.reference,
            today=exchange.today(),
            password="four unrelated words",
        )


PUBLIC_PAGES = (
    "/",
    "/board",
    "/countries",
    "/countries/PE",
    "/programmes",
    "/programmes/sustainable_procurement",
    "/organisations",
    "/organisations/gov-pe",
    "/needs",
    "/offers",
    "/agreements",
    "/about",
    "/sign-in",
)

OFFICE_PAGES = ("/secretariat", "/secretariat/report", "/secretariat/queue", "/secretariat/audit")


def transferred(client, path, coding):
    """Bytes of an answer as they go over the line: its headers and its compressed content."""
    answer = client.get(path, headers={"Accept-Encoding": coding}, buffered=True)
    assert answer.status_code == 200, path
    return len(answer.data) + len(str(answer.headers).encode()), answer


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_pages_are_light(client, sign_in, demonstration, coding):
    heavy = {}
    for reader, paths in ((client, PUBLIC_PAGES), (sign_in(Role.SECRETARIAT), OFFICE_PAGES)):
        for path in paths:
            page, _answer = transferred(reader, path, coding)
            plain = reader.get(path, headers={"Accept-Encoding": "identity"}).text
            whole = page + sum(transferred(reader, a, coding)[0] for a in set(linked(plain)))
            if page > NEXT or whole > FIRST:
                heavy[path] = (page, whole)
    assert heavy == {}
