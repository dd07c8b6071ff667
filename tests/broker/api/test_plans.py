"""The action plan by API: read, write, report, link, choose, and the matrix out and back."""

from __future__ import annotations

import io

import pytest
from openpyxl import load_workbook

from broker.paths import FIXTURES
from broker.plan_examples import load_plans
from broker.sheets import XLSX
from models import REGION, Role
from tests.broker.factories import post_need, post_offer

LINE = {
    "language": "en",
    "dimension": "1",
    "priority": "Buy sustainably",
    "themes": ["sustainable_public_procurement"],
    "indicators": [{"name": "Ministries with criteria", "baseline": 2, "target": 10}],
}


@pytest.fixture
def focal(program):
    return program(Role.FOCAL_POINT, "gov-pe")


@pytest.fixture
def andean(program):
    return program(Role.COORDINATOR, "gov-pe", subregion="andean")


@pytest.fixture
def peru(focal):
    """Address of Peru's plan of 2027."""
    made = focal.post("/plans", {"scope": "PE", "starts": 2027})
    assert made.status_code == 201, made.json
    assert made.headers["Location"] == made.json["links"]["self"]
    return made.json["links"]["self"]


@pytest.fixture
def examples(exchange):
    """The demonstration's plans of 2007."""
    with exchange.writing() as session:
        load_plans(session, FIXTURES / "demo" / "plans.yaml", exchange.reference)


@pytest.mark.usefixtures("backend")
def test_everybody_reads_the_plans_of_a_cycle_slice_by_slice(program, examples):
    public = program()
    assert public.get("/plans/cycles").json["items"] == [{"starts": 2007, "ends": 2008, "plans": 7}]
    seen, address = [], "/plans?starts=2007&limit=3"
    while address:
        answer = public.get(address).json
        seen += [plan["scope"] for plan in answer["items"]]
        address = answer["next"]
    assert sorted(seen) == sorted(
        ["PA", "PE", "andean", "caribbean", "mesoamerica", "southern_cone", REGION]
    )
    [peru] = public.get("/plans?scope=PE").json["items"]
    assert peru["name"] == "Peru"
    whole = public.get(peru["links"]["self"]).json
    assert sum(whole["lines"].values()) == 24
    assert public.get(peru["links"]["xlsx"]).content_type == XLSX


@pytest.mark.usefixtures("backend")
def test_the_lines_of_the_region_come_each_once_with_their_subregions(program, examples):
    public = program()
    [region] = public.get(f"/plans?scope={REGION}").json["items"]
    seen, address = [], f"{region['links']['lines']}?limit=5"
    while address:
        answer = public.get(address).json
        seen += answer["items"]
        address = answer["next"]
    assert len({line["id"] for line in seen}) == len(seen)
    counts = public.get(region["links"]["self"]).json["lines"]
    assert sum(counts.values()) == len(seen)
    for one in public.get(region["links"]["common"]).json["items"]:
        assert len({member["subregion"] for member in one["members"]}) == 4
        assert public.get(one["members"][0]["line"]["links"]["self"]).status_code == 200


@pytest.mark.usefixtures("backend")
def test_a_line_is_written_edited_with_its_version_reported_and_removed(focal, program, peru):
    made = focal.post(f"{peru}/lines", LINE, headers={"Idempotency-Key": "line"})
    again = focal.post(f"{peru}/lines", LINE, headers={"Idempotency-Key": "line"})
    assert (made.status_code, again.json) == (201, made.json)
    address, tag = made.json["links"]["self"], made.headers["ETag"]
    unchanged = focal.get(address, headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert focal.patch(address, {"horizon": "short"}).status_code == 428
    edited = focal.patch(address, {"horizon": "short"}, headers={"If-Match": tag})
    assert edited.json["horizon"] == "short"
    assert edited.json["priority"] == LINE["priority"]
    assert edited.json["indicators"][0]["target"] == 10
    late = focal.patch(address, {"horizon": "long"}, headers={"If-Match": tag})
    assert (late.status_code, late.json["type"]) == (412, "urn:10yfp:version_stale")
    indicator = made.json["indicators"][0]["id"]
    told = focal.post(f"{address}/indicators/{indicator}/reports", {"on": "2026-01-31", "value": 6})
    assert (told.status_code, told.json["indicators"][0]["progress"]) == (201, 0.5)
    assert program().get(peru).json["progress"]["reported"] == 1
    wrong = focal.post(f"{peru}/lines", {**LINE, "dimension": "9"})
    assert (wrong.status_code, list(wrong.json["errors"])) == (422, ["dimension"])
    assert focal.ask("DELETE", address, headers={"If-Match": tag}).status_code == 412
    gone = focal.ask("DELETE", address, headers={"If-Match": told.headers["ETag"]})
    assert (gone.status_code, focal.get(address).status_code) == (204, 404)


def test_what_is_linked_is_told_as_the_exchanges_own_knowledge(focal, program, peru, exchange):
    with exchange.writing() as session:
        offer, draft = post_offer(session), post_offer(session, status="draft")
        names = {"reference": offer.reference}
    address = focal.post(f"{peru}/lines", LINE).json["links"]["self"]
    suggested = focal.get(f"{address}/suggested").json["items"]
    assert [post["reference"] for post in suggested] == [offer.reference]
    linked = focal.post(f"{address}/links", names)
    assert linked.status_code == 201
    assert focal.post(f"{address}/links", names).status_code == 409
    assert focal.post(f"{address}/links", {"reference": draft.reference}).status_code == 422
    told = program().get(address).json
    assert [actor["code"] for actor in told["from_exchange"]["actors"]] == ["tf-procurement"]
    assert told["resources"] == ""
    number = told["linked"][0]["id"]
    assert focal.ask("DELETE", f"{address}/links/{number}").status_code == 204
    assert program().get(address).json["from_exchange"]["actors"] == []


def test_a_coordinator_chooses_four_lines_with_the_evidence_and_no_fifth(
    focal, andean, program, peru, exchange
):
    with exchange.writing() as session:
        post_need(session, "gov-pe")
    lines = [focal.post(f"{peru}/lines", {**LINE, "priority": f"Line {n}"}).json for n in range(5)]
    plan = andean.post("/plans", {"scope": "andean", "starts": 2027}).json["links"]["self"]
    found = andean.get(f"{plan}/candidates").json["items"]
    assert (found[0]["needs"], found[0]["countries"]) == (1, ["PE"])
    for line in lines[:4]:
        address = f"{plan}/priorities/{line['id']}"
        chosen = andean.post(address, {"reason": "Most countries ask for it"})
        assert chosen.status_code == 201
        assert chosen.json["chosen"]["plan"]["scope"] == "andean"
    fifth = andean.post(f"{plan}/priorities/{lines[4]['id']}", {"reason": "One more"})
    assert (fifth.status_code, fifth.json["type"]) == (409, "urn:10yfp:four_lines_already")
    assert "Release one first" in fifth.json["detail"]
    assert andean.post(f"{plan}/priorities/{lines[4]['id']}", {"reason": " "}).status_code == 422
    assert program().get(plan).json["lines"] == {"1": 4}
    assert andean.ask("DELETE", f"{plan}/priorities/{lines[0]['id']}").status_code == 204
    assert program().get(plan).json["lines"] == {"1": 3}
    assert andean.post(f"{plan}/settle", {"status": "adopted"}).json["status"] == "adopted"
    kept = focal.ask(
        "PATCH", lines[1]["links"]["self"], json={"horizon": "long"}, headers={"If-Match": "*"}
    )
    assert (kept.status_code, kept.json["type"]) == (409, "urn:10yfp:plan_is_adopted")
    caribbean = program(Role.COORDINATOR, "gov-tt", subregion="caribbean")
    stranger = caribbean.post(f"{plan}/priorities/{lines[4]['id']}", {"reason": "Mine"})
    assert stranger.status_code == 403


def bring(caller, plan, content, kind=XLSX):
    return caller.ask("POST", f"{plan}/matrix", data=content, content_type=kind)


def test_the_matrix_goes_out_is_filled_in_and_comes_back(focal, program, peru):
    focal.post(f"{peru}/lines", LINE)
    links = program().get(peru).json["links"]
    workbook = load_workbook(io.BytesIO(program().get(links["xlsx"]).data))
    sheet = workbook.worksheets[0]
    at = {cell.value: cell.column for cell in sheet[2]}
    sheet.cell(3, at["responsible"], "Ministry of the Environment")
    for name, words in (("priority", "Less waste"), ("dimension", "3"), ("language", "en")):
        sheet.cell(4, at[name], words)
    filled = io.BytesIO()
    workbook.save(filled)
    brought = bring(focal, peru, filled.getvalue())
    assert brought.json == {"added": 1, "changed": 1, "same": 0}
    again = bring(focal, peru, program().get(links["xlsx"]).data)
    assert again.json == {"added": 0, "changed": 0, "same": 2}
    bad = bring(focal, peru, b"language,dimension,priority\nen,1,Good\nen,9,Bad\n", "text/csv")
    assert bad.status_code == 422
    assert list(bad.json["errors"]["rows"]) == ["3"]
    assert list(bad.json["errors"]["rows"]["3"]) == ["dimension"]
    assert len(program().get(links["lines"]).json["items"]) == 2
    assert bring(focal, peru, b"nonsense").status_code == 422
    assert bring(focal, peru, b"{}", "application/json").status_code == 415


@pytest.mark.parametrize("limit", [2, 100])
def test_a_slice_of_lines_takes_the_same_few_queries(program, examples, count_queries, limit):
    public = program()
    [peru] = public.get("/plans?scope=PE").json["items"]
    public.get(f"{peru['links']['lines']}?limit=1")
    with count_queries() as statements:
        assert public.get(f"{peru['links']['lines']}?limit={limit}").status_code == 200
    assert len(statements) <= 12
