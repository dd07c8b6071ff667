"""The pages of imports: bring a file, read its problems, load it."""

from __future__ import annotations

import io
import re
from html import unescape

import pytest
from openpyxl import load_workbook
from sqlalchemy import select

from broker.letters import gather_letters, send_letters
from broker.mail import Folder, part_of
from broker.posts import content, edit_post
from models import Offer, Role, User, utc_now

ROWS = (
    b"key,language,title,description,support_1_kind,places\n"
    b"1,en,Training,We train buyers.,capacity_building,20\n"
)
BAD = ROWS + b"2,en,,No title,advice,many\n"


def text(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))).split())


@pytest.fixture
def officer(sign_in):
    return sign_in(Role.PROVIDER, "eclac")


def bring(browser, content, kind="offer", name="offers.csv"):
    return browser.post(
        "/imports",
        data={"kind": kind, "file": (io.BytesIO(content), name)},
        content_type="multipart/form-data",
        follow_redirects=True,
    )


def test_an_officer_brings_a_file_and_loads_it(officer):
    assert "No file has been brought yet." in text(officer.get("/imports"))
    shown = bring(officer, ROWS)
    assert "1 of them without a problem. Nothing has been loaded yet." in text(shown)
    loaded = officer.post(
        f"{shown.request.path}/load", data={"submit": "false"}, follow_redirects=True
    )
    assert "1 row was loaded," in text(loaded)
    assert "offers.csv" in text(officer.get("/imports"))
    assert "Training" in text(officer.get("/desk"))


def test_problems_are_listed_and_come_as_an_annotated_copy(officer):
    shown = bring(officer, BAD)
    words = text(shown)
    assert "Load 1 good row" in words
    assert "“advice” is not one of the known codes." in words
    copy = officer.get(f"{shown.request.path}/annotated.xlsx")
    rows = load_workbook(io.BytesIO(copy.data)).worksheets[0]
    assert rows.cell(3, 6).comment.text == "This is not a whole number."
    refused = officer.post(f"{shown.request.path}/load", data={"submit": "false"})
    assert refused.status_code == 409
    assert "load only the good rows" in text(refused)
    loaded = officer.post(
        f"{shown.request.path}/load", data={"which": "good"}, follow_redirects=True
    )
    assert "1 row was loaded," in text(loaded)


def test_what_was_edited_since_is_shown_with_a_choice(officer, exchange):
    def load(content):
        shown = bring(officer, content)
        address = f"{shown.request.path}/load"
        return officer.post(address, data={"submit": "false"}, follow_redirects=True)

    load(ROWS)
    with exchange.writing() as session:
        offer = session.scalars(select(Offer)).one()
        said = {**content(offer), "title": "My own words"}
        edit_post(session, offer.author, offer, said, exchange.reference)
    shown = load(ROWS.replace(b"Training", b"Courses"))
    words = text(shown)
    assert "1 was edited since and kept as it is." in words
    assert "My own words" in words
    assert "Courses" in words
    assert "What was edited" in words
    number = re.search(r'name="row" value="(\d+)"', shown.get_data(as_text=True))[1]
    address = f"{shown.request.path}/waiting"
    nothing = officer.post(address, data={"take": "true"}, follow_redirects=True)
    assert "My own words" in text(nothing)
    taken = officer.post(address, data={"take": "true", "row": number}, follow_redirects=True)
    assert "My own words" not in text(taken)
    assert "Courses" in text(officer.get("/desk"))


def test_without_a_file_the_form_says_so(officer):
    answer = officer.post("/imports", data={"kind": "offer"})
    assert answer.status_code == 422
    assert "Choose a file first." in text(answer)


def test_what_one_may_not_bring_is_not_offered_and_refused(officer):
    page = officer.get("/imports").get_data(as_text=True)
    assert "template/offer.xlsx" in page
    assert "template/user.xlsx" not in page
    assert bring(officer, ROWS, kind="user").status_code == 403
    assert officer.get("/imports/template/user.xlsx").status_code == 403
    assert officer.get("/imports/template/nothing.xlsx").status_code == 404


def test_an_import_of_another_organisation_is_not_there(officer, sign_in):
    path = bring(officer, ROWS).request.path
    other = sign_in(Role.PROVIDER, "caf")
    for address in (path, f"{path}/annotated.xlsx"):
        assert other.get(address).status_code == 404
    assert other.post(f"{path}/load").status_code == 404


def test_the_number_of_queries_does_not_grow_with_imports(officer, count_queries):
    def queries():
        with count_queries() as statements:
            assert officer.get("/imports").status_code == 200
        return len(statements)

    bring(officer, ROWS)
    few = queries()
    for _time in range(5):
        bring(officer, ROWS)
    assert queries() <= few


def test_whoever_is_brought_by_a_file_is_invited_and_chooses_her_password(
    exchange, client, sign_in
):
    secretariat = sign_in(Role.SECRETARIAT)
    rows = b"email,name,role,organisation,language\nlab@new.example,Lab,provider,eclac,es\n"
    refused = bring(secretariat, rows.replace(b"language", b"password"), kind="user")
    assert "password" in text(refused)
    shown = bring(secretariat, rows, kind="user")
    assert "1 of them without a problem" in text(shown)
    with exchange.reading() as session:
        assert session.scalar(select(User).where(User.email == "lab@new.example")) is None
    loaded = secretariat.post(f"{shown.request.path}/load", follow_redirects=True)
    assert "invited by e-mail" in text(loaded)
    with exchange.writing() as session:
        gather_letters(session, utc_now())
    send_letters(exchange)
    (name,) = Folder(exchange.settings).names()
    letter = Folder(exchange.settings).read(name)
    assert letter["To"].addresses[0].addr_spec == "lab@new.example"
    address = re.search(r"/invitation/\S+", part_of(letter, "plain"))[0]
    assert "lab@new.example" in text(client.get(address))
    assert client.post(address, data={"password": "short"}).status_code == 422
    chosen = {"password": "four unrelated words"}
    assert client.post(address, data=chosen).location.endswith("/desk")
    assert client.get("/desk").status_code == 200
    assert client.get(address).status_code == 400
