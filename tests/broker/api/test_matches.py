"""Matches and agreements through the API: what each side reads and does."""

from decimal import Decimal

import pytest

from broker.directory import save_entry
from models import EntryKind, EntryStatus, Match, MatchStatus, Role, utc_now
from tests.broker.factories import days, make_person, post_need, post_offer


@pytest.fixture
def pair(exchange):
    with exchange.writing() as session:
        need = post_need(session, places_wanted=30)
        offer = post_offer(session, places=25, money=Decimal(20000), currency="USD")
        far = post_offer(session, "caf", serves_subregions=["caribbean"])
    return need.id, offer.id, far.id


def _terms(**more):
    return {
        "title": "Training",
        "activities": "Two workshops",
        "starts": days(10).isoformat(),
        "ends": days(200).isoformat(),
        "places": 20,
        **more,
    }


def test_a_ranked_list_gives_reasons_as_data_and_in_words(program, pair):
    focal = program(Role.FOCAL_POINT)
    found = focal.get(f"/needs/{pair[0]}/matches").json
    first = found["items"][0]
    assert first["offer"]["id"] == pair[1]
    assert first["reason"]["parts"]
    assert first["reason_text"].endswith(".")
    assert found["excluded"]["place_not_served"] == 1
    assert program(Role.FOCAL_POINT, "gov-cl").get(f"/needs/{pair[0]}/matches").status_code == 403


def test_contributions_add_up_to_the_score(program, pair):
    explained = program(Role.FOCAL_POINT).get(f"/matches/{pair[0]}/{pair[1]}/explanation").json
    parts = explained["contributions"]
    assert sum(part["micro_points"] for part in parts) == explained["micro_points"]
    assert all(one["sentence"] for part in parts for one in part["parts"])


def test_why_not_names_the_rule_and_changes_what_would_help(program, pair):
    focal = program(Role.FOCAL_POINT)
    told = focal.get(f"/matches/{pair[0]}/{pair[2]}/why-not").json
    assert not told["is_match"]
    assert [failure["rule"] for failure in told["failures"]] == ["place_not_served"]
    assert told["failures"][0]["sentence"]
    changes = focal.get(f"/matches/{pair[0]}/{pair[2]}/changes").json["items"]
    assert any(change["opens"] for change in changes)
    excluded = focal.get(f"/needs/{pair[0]}/excluded").json["items"]
    assert [offer["id"] for offer in excluded[0]["offers"]] == [pair[2]]
    whole = focal.get(f"/matches/{pair[0]}/{pair[1]}").json
    assert (whole["is_match"], whole["side"], whole["match"]) == (True, "need", None)


def test_interest_is_answered_by_the_other_side(program, pair):
    asking, giving = program(Role.FOCAL_POINT), program(Role.TASK_FORCE)
    address = f"/matches/{pair[0]}/{pair[1]}"
    assert giving.post(f"{address}/answer", {"accept": True}).status_code == 404
    made = asking.post(f"{address}/interest", {"message": "Please", "share": 50})
    assert (made.status_code, made.json["status"]) == (201, "interest")
    assert asking.post(f"{address}/interest", {}).status_code == 409
    assert asking.post(f"{address}/answer", {"accept": True}).status_code == 403
    assert [match["id"] for match in giving.get("/interests/waiting").json["items"]] == [
        made.json["id"]
    ]
    assert giving.post(f"{address}/answer", {"accept": False}).status_code == 422
    refused = giving.post(f"{address}/answer", {"accept": False, "reason": "too_small"})
    assert refused.json["interests"][0]["answer_reason"] == "too_small"
    assert asking.post(f"{address}/restore").json["status"] == "suggested"
    dismissed = asking.post(f"{address}/dismiss", {"reason": "other"})
    assert dismissed.json["status"] == "dismissed"


@pytest.fixture
def agreed(program, exchange, pair):
    """Both sides, and the address of an agreement that was just proposed by the giving one."""
    with exchange.writing() as session:
        session.add(Match(need_id=pair[0], offer_id=pair[1], status=MatchStatus.MUTUAL))
    asking, giving = program(Role.FOCAL_POINT), program(Role.TASK_FORCE)
    address = f"/matches/{pair[0]}/{pair[1]}/agreement"
    assert giving.post(address, _terms(places=26)).status_code == 422
    made = giving.post(address, _terms(), headers={"Idempotency-Key": "a"})
    again = giving.post(address, _terms(), headers={"Idempotency-Key": "a"})
    assert made.status_code == 201
    assert made.json == again.json
    return asking, giving, made.json["links"]["self"]


def test_terms_are_negotiated_by_versions(program, agreed):
    asking, giving, address = agreed
    assert program().get(address).status_code == 404
    assert program(Role.FOCAL_POINT, "gov-cl").get(address).status_code == 404
    tag = asking.get(address).headers["ETag"]
    assert asking.post(f"{address}/terms", _terms(places=22)).status_code == 428
    answered = asking.post(f"{address}/terms", _terms(places=22), headers={"If-Match": tag})
    assert answered.json["terms_number"] == 2
    stale = giving.post(f"{address}/terms", _terms(places=21), headers={"If-Match": tag})
    assert stale.status_code == 412
    assert giving.post(f"{address}/accept", {"number": 1}).status_code == 409
    versions = giving.get(f"{address}/terms").json["items"]
    assert [(v["number"], v["terms"]["places"]) for v in versions] == [(2, 22), (1, 20)]
    assert giving.post(f"{address}/sign", {"number": 2}).status_code == 409


def test_a_signed_agreement_is_public_without_what_is_the_parties_own(program, agreed):
    asking, giving, address = agreed
    for caller, act in ((asking, "accept"), (asking, "sign"), (giving, "sign")):
        assert caller.post(f"{address}/{act}", {"number": 1}).status_code == 200
    public = program().get(address).json
    assert public["status"] == "signed"
    assert public["terms"]["note"] is None
    assert program().get(f"{address}/terms").status_code == 401
    assert [a["reference"] for a in program().get("/agreements?status=signed").json["items"]] == [
        public["reference"]
    ]
    assert program().get("/agreements?status=completed").json["items"] == []
    giving.post(f"{address}/start")
    done = asking.post(f"{address}/complete", {"report": "All were trained."})
    assert (done.json["status"], done.json["closing_report"]) == ("completed", "All were trained.")
    assert asking.post(f"{address}/rating", {"score": 5}).status_code == 200
    assert asking.post(f"{address}/terminate", {"reason": "x"}).status_code == 409


def test_negotiation_can_be_broken_off(agreed):
    asking, _giving, address = agreed
    assert asking.post(f"{address}/abandon", {}).status_code == 422
    assert asking.post(f"{address}/abandon", {"reason": "No budget"}).json["status"] == "abandoned"


def test_a_round_is_conducted_by_the_secretariat_and_answered_by_the_sides(program, pair):
    office, asking = program(Role.SECRETARIAT), program(Role.FOCAL_POINT)
    made = office.post("/rounds", {"name": "First", "policy": "fair"})
    address = made.json["links"]["self"]
    named = office.patch(address, {"name": "Spring"}, headers={"If-Match": made.headers["ETag"]})
    assert (named.json["name"], named.json["policy"]) == ("Spring", "fair")
    assert office.patch(
        address, {"name": "Late"}, headers={"If-Match": made.headers["ETag"]}
    ).status_code == 412  # fmt: skip
    need, offer = asking.get("/needs").json["items"][0], asking.get(f"/offers/{pair[1]}").json
    rule = {"kind": "forced", "need": need["reference"], "offer": offer["reference"], "reason": "x"}
    ruled = office.post(f"{address}/rules", rule)
    assert ruled.status_code == 201
    (kept,) = ruled.json["rules"]
    assert office.ask("DELETE", f"{address}/rules/{kept['id']}").status_code == 204
    version = office.post(f"{address}/clear")
    assert version.status_code == 201
    assert (
        office.get(f"{address}/versions/1").json["result_digest"] == version.json["result_digest"]
    )
    (sent,) = office.post(f"{address}/send").json["items"]
    assert [row["id"] for row in asking.get("/proposals").json["items"]] == [sent["id"]]
    answered = asking.post(f"/proposals/{sent['id']}/answer", {"accept": True})
    assert [answer["side"] for answer in answered.json["answers"]] == ["need"]
    assert office.get(f"{address}/proposals").json["items"][0]["status"] == "waiting"
    assert office.post(f"{address}/close").json["status"] == "closed"
    assert [row["name"] for row in office.get("/rounds").json["items"]] == ["Spring"]


def test_the_report_says_what_the_page_says(program, pair):
    office = program(Role.SECRETARIAT)
    told = office.get("/reports/match").json
    assert told["standing"]["needs"] == 1
    assert office.get("/reports/match?run=5").status_code == 422
    board = program().get("/board").json
    assert (board["needs"], board["offers"], board["needs_by_country"]) == (1, 2, {"PE": 1})


def test_reference_data_and_organisations_are_everybodys(program):
    assert program().get("/taxonomies").json["items"]["theme"] == 36
    theme = program().get("/taxonomies/theme", headers={"Accept-Language": "es"}).json["items"][0]
    assert theme["label"] == theme["labels"]["es"]
    assert program().get("/taxonomies/none").status_code == 404
    peru = next(c for c in program().get("/countries").json["items"] if c["code"] == "PE")
    assert (peru["iso3"], peru["m49"], peru["subregion"]) == ("PER", "604", "andean")
    assert program().get("/currencies").json["items"]
    found = program().get("/organisations?q=caf&limit=5").json["items"]
    assert "caf" in [organisation["code"] for organisation in found]
    assert program().get("/organisations/caf").json["code"] == "caf"


def test_the_directories_are_everybodys_without_contacts(program, exchange, pair):
    with exchange.writing() as session:
        by = make_person(session, Role.PROVIDER)
        data = {
            "language": "en",
            "title": "Cleaner production in tanneries",
            "description": "Public buyers were trained and water was saved.",
            "themes": ["sustainable_public_procurement"],
            "country": "PE",
            "contact_email": "who@caf.example",
        }
        found = save_entry(session, by, EntryKind.PRACTICE, data, exchange.reference)
        found.status, found.published_at = EntryStatus.PUBLISHED, utc_now()
        session.flush()
    (listed,) = (
        program().get("/directory?kind=practice&theme=sustainable_public_procurement").json["items"]
    )
    assert listed["content"]["title"] == data["title"]
    assert "contact_email" not in listed["content"]
    assert program().get("/directory?kind=specialist").json["items"] == []
    for words in ("tanneries", "taneries", "Peru"):
        found = program().get(f"/directory?q={words}").json["items"]
        assert [entry["id"] for entry in found] == [listed["id"]], words
    assert program().get("/directory?q=volcano").json["items"] == []
    one = program(Role.FOCAL_POINT).get(listed["links"]["self"])
    assert one.json["content"]["contact_email"] == "who@caf.example"
    assert one.headers["ETag"]
    near = program(Role.FOCAL_POINT).get(f"/needs/{pair[0]}/precedents").json["items"]
    assert [row["entry"]["id"] for row in near] == [listed["id"]]
    assert near[0]["reason_text"]
