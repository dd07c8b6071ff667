"""Posts through the API: lists, reading, writing, and who may."""

import json
import threading

import pytest

from models import PostStatus, Role
from tests.broker.api.conftest import Program
from tests.broker.factories import post_need, post_offer

NEED = {
    "language": "es",
    "title": "Capacitar a compradores públicos",
    "description": "Los compradores necesitan criterios de sostenibilidad.",
    "support": [{"kind": "capacity_building", "modality": "workshop"}],
    "themes": ["sustainable_public_procurement"],
    "country": "PE",
    "places_wanted": 30,
    "money_most": "12000.50",
    "currency": "USD",
}


@pytest.fixture
def many_needs(exchange):
    with exchange.writing() as session:
        for number in range(7):
            post_need(session, title=f"Need number {number}", country="PE")
        post_need(session, "gov-cl", title="Elsewhere", themes=["water"])


def _titles(answer):
    return [item["title"] for item in answer.json["items"]]


def test_everybody_reads_what_is_published(program, many_needs):
    answer = program().get("/needs")
    assert answer.status_code == 200
    assert len(answer.json["items"]) == 8
    first = answer.json["items"][0]
    assert first["status"] == "published"
    assert "contact_email" not in first
    assert program().get(first["links"]["self"]).json["reference"] == first["reference"]


@pytest.mark.usefixtures("backend")
def test_list_takes_the_filters_of_its_page(program, many_needs):
    assert _titles(program().get("/needs?theme=water")) == ["Elsewhere"]
    assert _titles(program().get("/needs?country=CL&sort=title")) == ["Elsewhere"]
    assert (
        len(_titles(program().get("/needs?theme=water&theme=sustainable_public_procurement"))) == 8
    )
    assert _titles(program().get("/needs?q=elsewhere")) == ["Elsewhere"]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("sort", ["newest", "oldest", "closing", "title"])
def test_slices_hold_every_row_once_while_rows_come_in(program, exchange, many_needs, sort):
    seen, address = [], f"/needs?limit=3&sort={sort}"
    while address:
        answer = program().get(address)
        seen += [item["id"] for item in answer.json["items"]]
        address = answer.json["next"]
        if address:
            assert f'<{address}>; rel="next"' == answer.headers["Link"]
            with exchange.writing() as session:
                post_need(session, title="AAA came in meanwhile")
    assert len(seen) == len(set(seen))
    assert len(seen) >= 8


def test_a_cursor_of_another_list_or_a_forged_one_is_refused(program, many_needs):
    following = program().get("/needs?limit=3").json["next"]
    cursor = following.split("cursor=")[1]
    for address in (
        f"/needs?limit=3&theme=water&cursor={cursor}",
        f"/offers?limit=3&cursor={cursor}",
        f"/needs?limit=3&cursor={cursor[:-2]}xx",
        "/needs?cursor=x",
    ):
        answer = program().get(address)
        assert answer.status_code == 422, address
        assert "cursor" in answer.json["errors"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=many", "limit=101", "limit=", "sort=best", "colour=red", "open=yes",
              "q=a&q=b"],
)  # fmt: skip
def test_a_parameter_that_cannot_be_is_refused_by_name(program, query):
    answer = program().get(f"/needs?{query}")
    assert answer.status_code == 422
    assert query.split("=")[0] in answer.json["errors"]


def test_a_post_is_written_submitted_and_published_by_programs(program):
    focal, office = program(Role.FOCAL_POINT), program(Role.SECRETARIAT)
    made = focal.post("/needs", {"language": "es", "title": "Capacitar"})
    assert made.status_code == 201
    assert made.headers["Location"] == made.json["links"]["self"]
    address = made.json["links"]["self"]
    assert program().get(address).status_code == 404
    assert focal.post(f"{address}/submit").status_code == 422
    edited = focal.patch(address, NEED, headers={"If-Match": made.headers["ETag"]})
    assert edited.status_code == 200
    assert edited.json["money_most"] == "12000.50"
    submitted = focal.post(f"{address}/submit")
    assert submitted.json["status"] == "submitted"
    published = office.post(f"{address}/publish", headers={"If-Match": submitted.headers["ETag"]})
    assert (published.status_code, published.json["status"]) == (200, "published")
    assert program().get(address).json["title"] == NEED["title"]
    version = program().get(f"{address}/versions/1").json
    assert version["content"]["title"] == NEED["title"]
    own = focal.get("/own/needs?status=published").json["items"]
    assert [post["id"] for post in own] == [made.json["id"]]
    copied = focal.post(f"{address}/copy")
    assert (copied.status_code, copied.json["status"]) == (201, "draft")
    assert focal.post(f"{address}/renew").status_code == 200
    assert focal.post(f"{address}/withdraw").json["status"] == "withdrawn"
    assert focal.post(f"{address}/reopen").json["status"] == "draft"


@pytest.mark.usefixtures("backend")
def test_an_edit_says_which_version_it_is_of(program, exchange):
    focal = program(Role.FOCAL_POINT)
    made = focal.post("/needs", NEED)
    address, tag = made.json["links"]["self"], made.headers["ETag"]
    assert focal.patch(address, {"title": "A"}).status_code == 428
    assert focal.patch(address, {"title": "A"}, headers={"If-Match": tag}).status_code == 200
    stale = focal.patch(address, {"title": "B"}, headers={"If-Match": tag})
    assert stale.status_code == 412
    assert focal.get(address).json["title"] == "A"
    assert (
        focal.patch(address, {"title": "C"}, headers={"If-Match": '"nonsense"'}).status_code == 412
    )
    assert focal.patch(address, {"title": "D"}, headers={"If-Match": "*"}).status_code == 200


def test_a_version_that_the_caller_has_is_not_sent_again(program, many_needs):
    address = program().get("/needs?limit=1").json["items"][0]["links"]["self"]
    tag = program().get(address).headers["ETag"]
    again = program().get(address, headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.usefixtures("backend")
def test_a_request_sent_twice_with_a_key_makes_one_post(program):
    focal = program(Role.FOCAL_POINT)
    headers = {"Idempotency-Key": "one"}
    first = focal.post("/needs", NEED, headers=headers)
    again = focal.post("/needs", NEED, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    assert first.headers["Location"] == again.headers["Location"]
    assert first.headers["ETag"] == again.headers["ETag"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(focal.get("/own/needs").json["items"]) == 1
    other = focal.post("/needs", {**NEED, "title": "Other"}, headers=headers)
    assert other.status_code == 422
    assert other.json["type"] == "urn:10yfp:key_reused"
    assert program(Role.FOCAL_POINT, "gov-cl").post(
        "/needs", {**NEED, "country": "CL"}, headers=headers
    ).status_code == 201  # fmt: skip


def test_a_refused_request_can_be_sent_again_with_its_key(program):
    focal, headers = program(Role.FOCAL_POINT), {"Idempotency-Key": "one"}
    assert focal.post("/needs", {"language": "xx"}, headers=headers).status_code == 422
    assert focal.post("/needs", NEED, headers=headers).status_code == 201
    assert focal.post("/needs", NEED, headers={"Idempotency-Key": ""}).status_code == 422
    assert focal.post("/needs", NEED, headers={"Idempotency-Key": "k" * 256}).status_code == 422


BAD = [
    (b"{", 400),
    (b"", 400),
    (b'{"places_wanted": NaN, "language": "es"}', 400),
    (b'{"places_wanted": 1e999, "language": "es"}', 422),
    (b'{"language": "es", "title": "\\ud800"}', 400),
    (b"\xff\xfe", 400),
    (b"[" * 200_000, 400),
    (b"[]", 422),
    (b"null", 422),
    (b'{"language": "es", "title": 5}', 422),
    (b'{"language": "es", "title": null}', 422),
    (b'{"language": "es", "money_sealed": "yes"}', 422),
    (b'{"language": "es", "places_wanted": "12"}', 422),
    (b'{"language": "es", "places_wanted": true}', 422),
    (b'{"language": "es", "support": [5]}', 422),
    (b'{"language": "es", "support": [{"kind": 5}]}', 422),
    (b'{"language": "es", "colour": "red"}', 422),
    (b'{"language": "es", "money_most": "1e400"}', 422),
    (b'{"language": "es", "starts": "2027-13-01"}', 422),
]


@pytest.mark.parametrize(("body", "status"), BAD)
def test_a_broken_body_is_refused_and_nothing_is_kept(program, body, status):
    focal = program(Role.FOCAL_POINT)
    answer = focal.ask("POST", "/needs", data=body, content_type="application/json")
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == status
    assert focal.get("/own/needs").json["items"] == []


def test_a_body_of_another_kind_or_too_large_is_refused(program, exchange):
    focal = program(Role.FOCAL_POINT)
    assert focal.ask("POST", "/needs", data="language=es").status_code == 415
    assert focal.ask("POST", "/needs", data=json.dumps(NEED)).status_code == 415
    huge = b'{"description": "' + b"x" * exchange.settings.max_upload + b'"}'
    answer = focal.ask("POST", "/needs", data=huge, content_type="application/json")
    assert answer.status_code == 413
    assert answer.content_type == "application/problem+json"


def test_sealed_money_is_its_own_organisations_alone(program, exchange):
    with exchange.writing() as session:
        need = post_need(session, money_most=5000, currency="USD", money_sealed=True)
        post_offer(session)
    others = program(Role.TASK_FORCE).get(f"/needs/{need.id}").json
    assert "money_most" not in others
    assert (others["money_hidden"], others["money_open"]) == (True, None)
    assert program(Role.FOCAL_POINT).get(f"/needs/{need.id}").json["money_most"] == "5000"


def test_another_organisations_post_cannot_be_changed(program, exchange):
    with exchange.writing() as session:
        need = post_need(session)
    other = program(Role.FOCAL_POINT, "gov-cl")
    answer = other.patch(f"/needs/{need.id}", {"title": "Mine"}, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json["type"]) == (403, "urn:10yfp:edit_post")
    with exchange.reading() as session:
        assert session.get(type(need), need.id).status == PostStatus.PUBLISHED


@pytest.mark.parametrize("limit", [1, 100])
def test_a_list_asks_the_database_a_bounded_number_of_times(
    program, many_needs, count_queries, limit
):
    office = program(Role.SECRETARIAT)
    office.get("/needs?limit=1")
    with count_queries() as statements:
        office.get(f"/needs?limit={limit}")
    assert len(statements) <= 12


@pytest.mark.usefixtures("backend")
def test_of_two_requests_with_one_key_at_one_moment_one_makes_the_post(app, program):
    focal = program(Role.FOCAL_POINT)
    start, answers = threading.Barrier(2), []

    def send():
        start.wait()
        caller = Program(app.test_client(use_cookies=False), focal.token)
        answers.append(caller.post("/needs", NEED, headers={"Idempotency-Key": "same"}))

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # SQLite lets one write after the other, which then finds the answer; PostgreSQL may see both.
    assert sorted(answer.status_code for answer in answers) in ([201, 201], [201, 409])
    assert len(focal.get("/own/needs").json["items"]) == 1
    assert focal.post("/needs", NEED, headers={"Idempotency-Key": "same"}).status_code == 201
