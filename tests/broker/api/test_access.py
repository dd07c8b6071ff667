"""Every operation, as every role and with every scope, held against a table."""

import pytest

from broker.tokens import make_calendar_token, make_token, revoke_token
from models import ApiToken, Role, utc_now
from tests.broker.api.conftest import ROOT, Program
from tests.broker.factories import make_person

PUBLIC, FOCAL, PROVIDER, FORCE, COORDINATOR, SECRETARIAT = (
    Role.PUBLIC,
    Role.FOCAL_POINT,
    Role.PROVIDER,
    Role.TASK_FORCE,
    Role.COORDINATOR,
    Role.SECRETARIAT,
)
EVERYBODY = set(Role)
SIGNED_IN = EVERYBODY - {PUBLIC}
NEEDS = {FOCAL, COORDINATOR}
OFFERS = {FOCAL, PROVIDER, FORCE}
POSTERS = NEEDS | OFFERS
MODERATORS = {COORDINATOR, SECRETARIAT}
OFFICE = {SECRETARIAT}


def _of_posts(kind, posters):
    write, one = "write:posts", f"/{kind}s/<int:post_id>"
    return {
        ("GET", f"/{kind}s"): (EVERYBODY, ""),
        ("GET", one): (EVERYBODY, ""),
        ("GET", f"{one}/versions/<int:number>"): (EVERYBODY, ""),
        ("GET", f"/own/{kind}s"): (POSTERS, ""),
        ("POST", f"/{kind}s"): (posters, write),
        ("PATCH", one): (posters, write),
        ("POST", f"{one}/submit"): (posters, write),
        ("POST", f"{one}/reopen"): (posters, write),
        ("POST", f"{one}/renew"): (posters, write),
        ("POST", f"{one}/copy"): (posters, write),
        ("POST", f"{one}/withdraw"): (POSTERS | MODERATORS, f"{write} moderate"),
        ("POST", f"{one}/publish"): (MODERATORS, "moderate"),
        ("POST", f"{one}/return"): (MODERATORS, "moderate"),
        ("GET", f"{one}/matches"): (SIGNED_IN, ""),
    }


PAIR = "/matches/<int:need_id>/<int:offer_id>"
AGREEMENT = "/agreements/<int:agreement_id>"
ROUND = "/rounds/<int:round_id>"
PLAN = "/plans/<int:plan_id>"
PLAN_LINE = f"{PLAN}/lines/<int:line_id>"
KEEPERS = MODERATORS | {FOCAL}

TABLE = {
    **_of_posts("need", NEEDS),
    **_of_posts("offer", OFFERS),
    ("GET", "/needs/<int:post_id>/excluded"): (SIGNED_IN, ""),
    ("GET", PAIR): (SIGNED_IN, ""),
    ("GET", f"{PAIR}/explanation"): (SIGNED_IN, ""),
    ("GET", f"{PAIR}/why-not"): (SIGNED_IN, ""),
    ("GET", f"{PAIR}/changes"): (SIGNED_IN, ""),
    ("GET", f"{PAIR}/terms"): (POSTERS, ""),
    ("GET", "/interests/waiting"): (POSTERS, ""),
    **{
        ("POST", f"{PAIR}/{act}"): (POSTERS, "write:matches")
        for act in ("interest", "answer", "dismiss", "restore")
    },
    ("POST", f"{PAIR}/agreement"): (POSTERS, "write:agreements"),
    ("GET", "/agreements"): (EVERYBODY, ""),
    ("GET", AGREEMENT): (EVERYBODY, ""),
    ("GET", f"{AGREEMENT}/terms"): (SIGNED_IN, ""),
    **{
        ("POST", f"{AGREEMENT}/{act}"): (POSTERS, "write:agreements")
        for act in (
            "terms", "accept", "sign", "start", "complete", "terminate", "abandon", "rating",
            "milestones/<int:milestone_id>", "indicators/<int:indicator_id>/reports",
        )
    },
    ("GET", "/rounds"): (MODERATORS, ""),
    ("GET", ROUND): (MODERATORS, ""),
    ("GET", f"{ROUND}/versions/<int:number>"): (MODERATORS, ""),
    ("GET", f"{ROUND}/proposals"): (MODERATORS, ""),
    ("POST", "/rounds"): (OFFICE, "secretariat"),
    ("PATCH", ROUND): (OFFICE, "secretariat"),
    ("DELETE", f"{ROUND}/rules/<int:rule_id>"): (OFFICE, "secretariat"),
    **{
        ("POST", f"{ROUND}/{act}"): (OFFICE, "secretariat")
        for act in ("rules", "clear", "send", "close", "cancel")
    },
    ("GET", "/proposals"): (POSTERS, ""),
    ("GET", "/proposals/<int:proposal_id>"): (SIGNED_IN, ""),
    ("POST", "/proposals/<int:proposal_id>/answer"): (POSTERS, "write:matches"),
    ("GET", "/plans"): (EVERYBODY, ""),
    ("GET", "/plans/cycles"): (EVERYBODY, ""),
    ("GET", PLAN): (EVERYBODY, ""),
    ("GET", f"{PLAN}/lines"): (EVERYBODY, ""),
    ("GET", PLAN_LINE): (EVERYBODY, ""),
    ("GET", f"{PLAN}/common"): (EVERYBODY, ""),
    ("GET", f"{PLAN_LINE}/suggested"): (KEEPERS, ""),
    ("GET", f"{PLAN}/candidates"): (MODERATORS, ""),
    **{
        ("POST", path): (KEEPERS, "write:plans")
        for path in (
            "/plans", f"{PLAN}/settle", f"{PLAN}/matrix", f"{PLAN}/lines", f"{PLAN_LINE}/links",
            f"{PLAN_LINE}/indicators/<int:indicator_id>/reports",
        )
    },
    ("PATCH", PLAN_LINE): (KEEPERS, "write:plans"),
    ("DELETE", PLAN_LINE): (KEEPERS, "write:plans"),
    ("DELETE", f"{PLAN_LINE}/links/<int:link_id>"): (KEEPERS, "write:plans"),
    ("POST", f"{PLAN}/priorities/<int:line_id>"): (MODERATORS, "write:plans"),
    ("DELETE", f"{PLAN}/priorities/<int:line_id>"): (MODERATORS, "write:plans"),
    ("GET", "/taxonomies"): (EVERYBODY, ""),
    ("GET", "/taxonomies/<code:name>"): (EVERYBODY, ""),
    ("GET", "/countries"): (EVERYBODY, ""),
    ("GET", "/currencies"): (EVERYBODY, ""),
    ("GET", "/organisations"): (EVERYBODY, ""),
    ("GET", "/organisations/<code:code>"): (EVERYBODY, ""),
    ("GET", "/directory"): (EVERYBODY, ""),
    ("GET", "/directory/<int:entry_id>"): (EVERYBODY, ""),
    ("GET", "/needs/<int:post_id>/precedents"): (SIGNED_IN, ""),
    ("GET", "/board"): (EVERYBODY, ""),
    ("GET", "/reports/match"): (MODERATORS, ""),
    ("GET", "/me"): (SIGNED_IN, ""),
    ("GET", "/openapi.json"): (EVERYBODY, ""),
    ("GET", "/docs"): (EVERYBODY, ""),
    ("GET", "/docs/<path:name>"): (EVERYBODY, ""),
}  # fmt: skip
"""Operation → the roles for which it opens, and what a token must be for beside reading."""

HOME = {PROVIDER: "eclac", FORCE: "tf-procurement", SECRETARIAT: "unep-rolac"}


def _operations(app):
    """Each operation with an address of numbers that do not exist."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("api_"):
            continue
        given = dict.fromkeys(rule.arguments, 999_999) | dict.fromkeys(
            rule.arguments & {"code", "name"}, "none"
        )
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield (method, rule.rule.removeprefix(ROOT)), adapter.build(rule.endpoint, given)


def _facts(role):
    return {"subregion": "andean"} if role == COORDINATOR else {}


def test_every_operation_stands_in_the_table_and_nothing_else(app):
    assert {operation for operation, _path in _operations(app)} == set(TABLE)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_opens_what_the_table_says_and_nothing_more(app, program, role):
    home = HOME.get(role, "gov-pe")
    caller = program() if role == PUBLIC else program(role, home, **_facts(role))
    for operation, path in sorted(_operations(app)):
        answer = caller.ask(operation[0], path)
        where = f"{role}: {operation} → {answer.status}"
        if role in TABLE[operation][0]:
            assert answer.status_code not in (401, 403), where
        else:
            assert answer.status_code == (401 if role == PUBLIC else 403), where
        assert answer.status_code < 500, where


@pytest.mark.parametrize("role", [FOCAL, COORDINATOR, SECRETARIAT])
def test_a_token_that_only_reads_writes_nothing(app, program, role):
    reads = program(role, HOME.get(role, "gov-pe"), scopes=[], **_facts(role))
    for operation, path in sorted(_operations(app)):
        answer = reads.ask(operation[0], path)
        if TABLE[operation][1]:
            assert answer.status_code == 403, operation
        elif role in TABLE[operation][0]:
            assert answer.status_code not in (401, 403), operation


def test_a_scope_opens_its_own_operations_alone(app, program):
    for scope in ("write:posts", "write:matches", "write:agreements"):
        caller = program(FOCAL, scopes=[scope])
        for operation, path in sorted(_operations(app)):
            roles, needed = TABLE[operation]
            if not needed or FOCAL not in roles:
                continue
            status = caller.ask(operation[0], path).status_code
            assert (status == 403) == (scope not in needed.split()), (scope, operation, status)


def test_cookies_never_open_the_api(app, sign_in):
    browser = sign_in(SECRETARIAT, "unep-rolac")
    assert browser.get("/secretariat").status_code == 200
    answer = browser.get(f"{ROOT}/me")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer tfp_unknown", "Basic dTpw", "tfp_x", "Bearer " + "x" * 999],
)
def test_whatever_is_no_good_token_is_refused_even_where_everybody_reads(client, header):
    answer = client.get(f"{ROOT}/needs", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json["type"] == "urn:10yfp:bad_token"


def test_a_token_dies_when_it_is_revoked_expires_or_its_owner_goes(app, exchange, program):
    client = app.test_client(use_cookies=False)
    with exchange.writing() as session:
        by = make_person(session, FOCAL)
        made = [make_token(session, by, {"name": "x"}, exchange.reference) for _ in range(3)]
        revoke_token(session, by, made[0][0].id)
        made[1][0].expires_at = utc_now()
    statuses = [Program(client, secret).get("/me").status_code for _row, secret in made]
    assert statuses == [401, 401, 200]
    with exchange.writing() as session:
        session.merge(by).active = False
    assert Program(client, made[2][1]).get("/me").status_code == 401


def test_a_token_follows_its_owners_role(app, exchange, program):
    office = program(SECRETARIAT)
    assert office.post("/rounds", {"name": "A", "policy": "fair"}).status_code == 201
    with exchange.writing() as session:
        session.merge(office.user).role = Role.FOCAL_POINT
    assert office.post("/rounds", {"name": "B", "policy": "fair"}).status_code == 403


def test_the_secret_of_a_calendar_opens_nothing_else(app, exchange):
    with exchange.writing() as session:
        _token, secret = make_calendar_token(session, make_person(session, FOCAL))
    caller = Program(app.test_client(use_cookies=False), secret)
    assert caller.get("/me").status_code == 403
    assert caller.get("/needs").status_code == 403


def test_the_moment_of_last_use_is_kept(exchange, program):
    caller = program(FOCAL)
    caller.get("/me")
    with exchange.reading() as session:
        assert session.query(ApiToken).one().last_used_at is not None


def test_no_form_token_is_asked_of_programs(exchange):
    from broker.web import create_app

    app = create_app(exchange=exchange)
    with exchange.writing() as session:
        by = make_person(session, FOCAL)
        data = {"name": "x", "scopes": ["write:posts"]}
        _token, secret = make_token(session, by, data, exchange.reference)
    caller = Program(app.test_client(use_cookies=False), secret)
    assert caller.post("/needs", {"language": "es"}).status_code == 201
