"""How the API answers whatever is asked: problems, languages, limits, other sites' pages."""

from dataclasses import replace

import pytest

from broker.api.caller import caller_key
from broker.exchange import Exchange
from broker.web import create_app
from models import Role
from tests.broker.api.conftest import ROOT, Program


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/needs/999999", {}, 404),
        ("GET", "/nothing", {}, 404),
        ("GET", "/needs/12345678901234567890", {}, 404),
        ("PUT", "/needs", {}, 405),
        ("DELETE", "/board", {}, 405),
        ("GET", "/needs", {"Accept": "text/html"}, 406),
        ("GET", "/me", {}, 401),
        ("GET", "/needs?limit=x", {}, 422),
    ],
)
def test_every_error_is_a_problem_document(program, method, path, headers, status):
    answer = program().ask(method, path, headers=headers)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    told = answer.json
    assert told["status"] == status
    assert told["type"].startswith("urn:10yfp:")
    assert told["title"]
    assert told["detail"]
    assert told["instance"] == f"{ROOT}{path}".split("?")[0]
    if status == 405:
        assert "GET" in answer.headers["Allow"]


def test_an_error_of_ours_is_a_problem_document_too(app, monkeypatch, program):
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def fail(*_args, **_more):
        raise ZeroDivisionError

    monkeypatch.setattr("broker.api.reports.survey", fail)
    answer = program().get("/board")
    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert "ZeroDivision" not in answer.text


@pytest.mark.parametrize(
    ("language", "words"),
    [("es", "No hay nada"), ("fr-CA,fr;q=0.9", "Il n’y a rien"), ("pt", "Não há nada")],
)
def test_problems_are_told_in_the_callers_language(client, language, words):
    answer = client.get(f"{ROOT}/nothing", headers={"Accept-Language": language})
    assert words in answer.json["detail"]


def test_a_parameter_is_refused_in_words_of_ours(program):
    for query, words in (
        ("sort=best", "Choose one of: newest, oldest, closing, title."),
        ("limit=0", "Give a number from 1 to 100."),
        ("limit=many", "This is not a number."),
    ):
        problems = program().get(f"/needs?{query}").json["errors"]
        assert list(problems.values()) == [[words]]


def test_pages_of_other_sites_read_what_is_public_and_nothing_else(program):
    public = program().get("/needs", headers={"Origin": "https://other.example"})
    assert public.headers["Access-Control-Allow-Origin"] == "*"
    assert "ETag" in public.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in public.headers
    before = program().ask("OPTIONS", "/needs", headers={"Origin": "https://other.example"})
    assert before.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert "Authorization" not in before.headers["Access-Control-Allow-Headers"]
    focal = program(Role.FOCAL_POINT)
    for answer in (focal.get("/me"), focal.get("/needs"), focal.post("/needs", {"language": "es"})):
        assert "Access-Control-Allow-Origin" not in answer.headers
    page = program().client.get("/needs", headers={"Origin": "https://other.example"})
    assert "Access-Control-Allow-Origin" not in page.headers


def test_who_asks_too_often_is_told_when_to_come_back(exchange):
    strict = Exchange(replace(exchange.settings, api_limit="3 per minute"))
    app = create_app(exchange=strict)
    app.testing = True
    caller = Program(app.test_client(use_cookies=False))
    left = [int(caller.get("/board").headers["RateLimit-Remaining"]) for _ in range(3)]
    assert left == [2, 1, 0]
    refused = caller.get("/taxonomies")
    assert (refused.status_code, refused.content_type) == (429, "application/problem+json")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Limit"] == "3"
    assert app.test_client().get("/needs").status_code == 200
    strict.database.dispose()


def test_requests_are_counted_by_person_or_address(app, exchange, program):
    caller = program(Role.FOCAL_POINT)
    good = {"Authorization": f"Bearer {caller.token}"}
    for headers, key in (
        (good, f"person {caller.user.id}"),
        ({}, "192.0.2.1"),
        ({"Authorization": "Bearer no"}, "192.0.2.1"),
    ):
        with app.test_request_context(
            f"{ROOT}/me", headers=headers, environ_base={"REMOTE_ADDR": "192.0.2.1"}
        ):
            assert caller_key() == key


def test_the_document_names_codes_and_every_operation_with_its_rules(program):
    document = program().get("/openapi.json").json
    assert program().get("/openapi.json").json == document
    assert document["openapi"] == "3.1.0"
    assert {"name": "Needs and offers"} in document["tags"]
    theme = document["components"]["schemas"]["NeedDraft"]["properties"]["themes"]["items"]
    assert "water" in theme["enum"]
    create = document["paths"]["/api/v1/needs"]["post"]
    assert create["x-scope"] == ["write:posts"]
    assert create["security"] == [{"token": []}]
    assert {p["name"] for p in create["parameters"]} >= {"Idempotency-Key", "Accept-Language"}
    edit = document["paths"]["/api/v1/needs/{post_id}"]["patch"]
    assert "412" in edit["responses"]


def test_the_browsable_page_takes_nothing_from_elsewhere(program):
    page = program().client.get(f"{ROOT}/docs")
    assert page.status_code == 200
    assert "http://" not in page.text.replace("http://localhost", "")
    assert "<script>" not in page.text
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert program().client.get(f"{ROOT}/docs/{name}", buffered=True).status_code == 200
    assert program().get("/docs/index.html").status_code == 404
    assert program().get("/docs/../../../x").status_code == 404
