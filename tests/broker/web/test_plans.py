"""The pages of the action plan: read, write, choose, report, link, and the matrix as a file."""

from __future__ import annotations

import io
import re
from html import unescape

import pytest
from docx import Document
from openpyxl import load_workbook
from pypdf import PdfReader

from broker.action_plan import open_plan, plan_of, save_line
from broker.paths import FIXTURES
from broker.plan_examples import load_plans
from models import REGION, Role
from tests.broker.factories import make_person, post_offer

LINE = {
    "language": "en",
    "dimension": "1",
    "priority": "Buy sustainably",
    "themes": ["sustainable_public_procurement"],
    "indicators": [{"name": "Ministries with criteria", "baseline": 2, "target": 10}],
}


def text(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))).split())


@pytest.fixture
def focal(sign_in):
    return sign_in(Role.FOCAL_POINT, "gov-pe")


@pytest.fixture
def plan(exchange):
    """Peru's plan for 2027 with one line: ``(plan's number, line's number)``."""
    with exchange.writing() as session:
        by = make_person(session, Role.FOCAL_POINT, "gov-pe")
        made = open_plan(session, by, {"scope": "PE", "starts": 2027}, exchange.reference)
        line = save_line(session, by, made, LINE, exchange.reference)
        return made.id, line.id


@pytest.fixture
def examples(exchange):
    """The demonstration's plans of 2007."""
    with exchange.writing() as session:
        load_plans(session, FIXTURES / "demo" / "plans.yaml", exchange.reference)
    with exchange.reading() as session:
        return {scope: plan_of(session, scope, 2007).id for scope in ("PE", "PA", "andean", REGION)}


def test_everybody_reads_the_plans_and_only_the_focal_point_writes(client, focal, plan, sign_in):
    number, line = plan
    for browser in (client, focal):
        assert "Buy sustainably" in text(browser.get(f"/plans/{number}"))
        assert "Ministries with criteria" in text(browser.get(f"/plans/{number}/lines/{line}"))
    assert "Write a line" not in text(client.get(f"/plans/{number}"))
    chile = sign_in(Role.FOCAL_POINT, "gov-cl")
    assert "Write a line" not in text(chile.get(f"/plans/{number}"))
    assert chile.get(f"/plans/{number}/lines/new").status_code == 403
    assert chile.post(f"/plans/{number}/lines/{line}/remove").status_code == 403
    assert client.get("/plans/4711").status_code == 404


def test_a_focal_point_opens_a_plan_and_writes_a_line(focal):
    opened = focal.post("/plans", data={"scope": "PE", "starts": "2029"}, follow_redirects=True)
    assert "This plan has no line yet." in text(opened)
    path = opened.request.path
    wrong = focal.post(
        f"{path}/lines/new",
        data={"priority": "", "language": "en", "dimension": "1", "activities": "Kept words"},
    )
    assert wrong.status_code == 422
    assert "Kept words" in wrong.get_data(as_text=True)
    done = focal.post(
        f"{path}/lines/new",
        data={
            "priority": "Less waste",
            "language": "en",
            "dimension": "3",
            "themes": ["waste_management"],
            "indicators-present": "1",
            "indicators-0-name": "Cities with sorting",
            "indicators-0-target": "12",
        },
        follow_redirects=True,
    )
    assert "Cities with sorting" in text(done)
    again = focal.post("/plans", data={"scope": "PE", "starts": "2029"})
    assert again.status_code == 409
    assert focal.post("/plans", data={"scope": "PE", "starts": "soon"}).status_code == 422


def test_two_people_at_one_line_lose_nothing(focal, plan):
    number, line = plan
    form = {"priority": "Mine", "language": "en", "dimension": "1", "revision": "1"}
    address = f"/plans/{number}/lines/{line}/edit"
    assert focal.post(address, data={**form, "priority": "First"}).status_code == 302
    second = focal.post(address, data=form)
    assert second.status_code == 409
    assert "Mine" in second.get_data(as_text=True)
    assert "Somebody else has changed this line" in text(second)


def test_values_are_reported_and_seen_against_the_target(focal, client, plan):
    number, line = plan
    page = focal.get(f"/plans/{number}/lines/{line}").get_data(as_text=True)
    [address] = re.findall(r'action="(/plans/\d+/lines/\d+/indicators/\d+)"', page)
    wrong = focal.post(address, data={"on": "2030-01-01", "value": "much"})
    assert wrong.status_code == 422
    assert "This is not a number." in text(wrong)
    focal.post(address, data={"on": "2026-01-31", "value": "6"})
    assert "50 %" in text(client.get(f"/plans/{number}/lines/{line}"))
    assert "1 reported" in text(client.get(f"/plans/{number}"))


def test_what_is_linked_fills_resources_and_actors_marked_as_such(exchange, focal, client, plan):
    number, line = plan
    with exchange.writing() as session:
        offer = post_offer(session)
    address = f"/plans/{number}/lines/{line}"
    assert "These may serve it" in text(focal.get(address))
    assert focal.post(f"{address}/links", data={"reference": "nothing"}).status_code == 422
    focal.post(f"{address}/links", data={"reference": offer.reference})
    words = text(client.get(address))
    assert "from the exchange" in words
    assert "Toolkit for buyers" in words
    assert "[from the exchange]" in text(client.get(f"/plans/{number}"))
    page = focal.get(address).get_data(as_text=True)
    [remove] = re.findall(r'action="(/plans/\d+/lines/\d+/links/\d+/remove)"', page)
    focal.post(remove)
    assert "Nothing is linked to this line yet." in text(client.get(address))


def test_a_coordinator_chooses_with_the_evidence_in_view(sign_in, exchange, plan):
    _number, line = plan
    andean = sign_in(Role.COORDINATOR, "gov-pe", subregion="andean")
    opened = andean.post(
        "/plans", data={"scope": "andean", "starts": "2027"}, follow_redirects=True
    )
    path = opened.request.path
    words = text(andean.get(f"{path}/choose"))
    assert "Buy sustainably" in words
    assert "1 country has a line on its themes: Peru" in words
    empty = andean.post(f"{path}/choose/{line}", data={"reason": " "})
    assert empty.status_code == 422
    chosen = andean.post(
        f"{path}/choose/{line}", data={"reason": "Asked for by all"}, follow_redirects=True
    )
    assert "1 of 4" in text(chosen)
    assert "chosen from the plan of Peru: Asked for by all" in text(andean.get(path))
    andean.post(f"{path}/release/{line}")
    assert "0 of 4" in text(andean.get(f"{path}/choose"))
    caribbean = sign_in(Role.COORDINATOR, "gov-tt", subregion="caribbean")
    assert caribbean.get(f"{path}/choose").status_code == 403


def test_the_region_shows_its_four_subregions(client, examples):
    words = text(client.get(f"/plans/{examples[REGION]}"))
    for scope in ("Caribbean", "Mesoamerica", "Andean", "Southern Cone"):
        assert scope in words
    assert "Progress" in words
    assert "Peru" in text(client.get("/plans?starts=2007"))


def test_the_matrix_comes_as_every_file(client, examples):
    number = examples["PA"]
    workbook = load_workbook(io.BytesIO(client.get(f"/plans/{number}.xlsx").data))
    assert workbook.worksheets[0].max_row == 8
    document = Document(io.BytesIO(client.get(f"/plans/{number}.docx").data))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    assert any("Professionals trained by a funded programme" in words for words in cells)
    pdf = PdfReader(io.BytesIO(client.get(f"/plans/{number}.pdf").data))
    words = " ".join(page.extract_text() for page in pdf.pages)
    assert "Panama" in words
    data = client.get(f"/plans/{number}.json").get_json()
    assert sum(len(part["lines"]) for part in data["parts"]) == 6
    assert client.get(f"/plans/{number}.exe").status_code == 404


def test_the_region_prints_with_what_is_common(client, examples):
    pdf = PdfReader(io.BytesIO(client.get(f"/plans/{examples[REGION]}.pdf").data))
    words = " ".join(page.extract_text() for page in pdf.pages)
    assert "Latin America and the Caribbean" in words
    assert "Contents" in words


def bring(browser, number, content, name="matrix.xlsx"):
    return browser.post(
        f"/plans/{number}/matrix",
        data={"file": (io.BytesIO(content), name)},
        content_type="multipart/form-data",
        follow_redirects=True,
    )


def test_a_matrix_goes_out_is_filled_in_and_comes_back(focal, client, plan):
    number, line = plan
    content = client.get(f"/plans/{number}.xlsx").data
    workbook = load_workbook(io.BytesIO(content))
    sheet = workbook.worksheets[0]
    names = [cell.value for cell in sheet[2]]
    at = {name: place for place, name in enumerate(names, start=1)}
    assert sheet.cell(3, at["key"]).value == str(line)
    sheet.cell(3, at["responsible"], "Ministry of the Environment")
    sheet.cell(4, at["priority"], "A new line of the meeting")
    sheet.cell(4, at["dimension"], "2")
    sheet.cell(4, at["language"], "en")
    buffer = io.BytesIO()
    workbook.save(buffer)
    done = text(bring(focal, number, buffer.getvalue()))
    assert "1 new lines, 1 changed, 0 as before" in done
    assert "A new line of the meeting" in done
    assert "Ministry of the Environment" in done
    assert "Ministries with criteria" in done


def test_a_matrix_with_problems_is_told_row_by_row_and_keeps_nothing(focal, plan):
    number, _line = plan
    rows = (
        b"key,language,dimension,priority\n"
        b",en,2,Good\n4711,en,1,Unknown number\n,en,9,Bad dimension\n,en,1,=1+1\n"
    )
    answer = bring(focal, number, rows, "matrix.csv")
    assert answer.status_code == 422
    words = text(answer)
    assert "Row 3, key : The plan has no line with the number" in words
    assert "Row 4, dimension" in words
    assert "Row 5, priority : This cell holds a formula" in words
    assert "Good" not in text(focal.get(f"/plans/{number}"))
    assert bring(focal, number, b"nonsense").status_code == 422


def test_an_adopted_plan_takes_no_more_lines(focal, plan):
    number, _line = plan
    focal.post(f"/plans/{number}/settle", data={"status": "adopted"})
    words = text(focal.get(f"/plans/{number}"))
    assert "adopted on" in words
    assert "Write a line" not in words
    assert focal.get(f"/plans/{number}/lines/new").status_code == 409
    assert focal.post(f"/plans/{number}/settle", data={"status": "purple"}).status_code == 422


def test_the_number_of_queries_does_not_grow_with_lines(exchange, client, count_queries, examples):
    def queries(number):
        with count_queries() as statements:
            assert client.get(f"/plans/{number}").status_code == 200
        return len(statements)

    few, many = queries(examples["PA"]), queries(examples["PE"])
    assert many <= few
