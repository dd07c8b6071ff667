"""Imports: every bad row told with its column and remedy, good rows loaded, nothing made twice."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from flask_babel import force_locale
from openpyxl import Workbook, load_workbook
from openpyxl.styles import PatternFill
from sqlalchemy import func, select

from broker.imported_rows import decide_rows, waiting_rows
from broker.imports import (
    KINDS,
    annotated,
    bring_file,
    find_imports,
    get_import,
    load_import,
    template,
)
from broker.jobs import do_waiting_jobs
from broker.posts import WHOLE, content, edit_post
from broker.sheets import columns_of
from models import (
    LANGUAGES,
    Conflict,
    Import,
    ImportStatus,
    InvalidInput,
    Job,
    Need,
    NotAllowed,
    NotFound,
    Offer,
    Organisation,
    PostStatus,
    Role,
    User,
)
from tests.broker.factories import make_person

SHEETS = Path(__file__).parent / "sheets"
"""Files that LibreOffice has written."""

GOOD = {
    "key": "1",
    "language": "en",
    "title": "Training for buyers",
    "description": "We train buyers of ministries.",
    "support_1_kind": "capacity_building",
    "support_1_modality": "workshop",
    "themes": "sustainable_public_procurement; msme",
    "serves_subregions": "regional",
    "places": "30",
}


def sheet(*rows):
    """A CSV of these rows; the columns are those of all of them."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def workbook(*rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    book = Workbook()
    book.active.append(names)
    for row in rows:
        book.active.append([row.get(name) for name in names])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


@pytest.fixture
def officer(exchange):
    """An agency officer with forty offers to publish."""
    with exchange.writing() as session:
        return make_person(session, Role.PROVIDER, "eclac")


@pytest.fixture
def secretary(exchange):
    with exchange.writing() as session:
        return make_person(session, Role.SECRETARIAT)


def bring(exchange, by, content, kind="offer", name="offers.csv"):
    with exchange.writing() as session:
        person = session.get_one(User, by.id)
        brought, _job = bring_file(exchange, session, person, kind=kind, name=name, content=content)
        return brought.id


def load(exchange, by, import_id, **how):
    with exchange.writing() as session:
        person = session.get_one(User, by.id)
        brought = get_import(session, person, import_id)
        load_import(
            exchange, session, person, brought, **{"only_good": False, "submit": False, **how}
        )


def look(exchange, import_id):
    with exchange.sessions() as session:
        return session.get_one(Import, import_id)


def offers(exchange):
    with exchange.sessions() as session:
        return list(session.scalars(select(Offer).order_by(Offer.id).options(*WHOLE)))


def test_good_rows_become_drafts_after_a_second_word(exchange, officer, backend):
    number = bring(exchange, officer, sheet(GOOD, {**GOOD, "key": "2", "title": "Another"}))
    checked = look(exchange, number)
    assert (checked.status, checked.rows, checked.good) == (ImportStatus.CHECKED, 2, 2)
    assert offers(exchange) == []
    load(exchange, officer, number)
    made = offers(exchange)
    assert [(offer.title, offer.places, offer.status) for offer in made] == [
        ("Training for buyers", 30, PostStatus.DRAFT),
        ("Another", 30, PostStatus.DRAFT),
    ]
    assert (look(exchange, number).loaded, look(exchange, number).status) == (2, "loaded")


def test_the_same_file_again_makes_nothing_and_a_changed_row_changes_its_post(exchange, officer):
    load(exchange, officer, bring(exchange, officer, sheet(GOOD)))
    again = bring(exchange, officer, sheet(GOOD))
    load(exchange, officer, again)
    assert (look(exchange, again).loaded, look(exchange, again).known) == (0, 1)
    changed = bring(exchange, officer, sheet({**GOOD, "places": "45"}))
    load(exchange, officer, changed)
    assert look(exchange, changed).changed == 1
    assert [offer.places for offer in offers(exchange)] == [45]


def edit(exchange, by, **changes):
    """What a person does on the page of the first offer."""
    with exchange.writing() as session:
        offer = session.scalars(select(Offer).order_by(Offer.id)).first()
        person = session.get_one(User, by.id)
        edit_post(session, person, offer, {**content(offer), **changes}, exchange.reference)
        return offer.reference


def decide(exchange, by, import_id, **how):
    with exchange.writing() as session:
        person = session.get_one(User, by.id)
        brought = get_import(session, person, import_id)
        return decide_rows(session, person, brought, exchange.reference, **how)


def waiting(exchange, import_id):
    with exchange.sessions() as session:
        return session.scalars(waiting_rows(session.get_one(Import, import_id))).all()


def test_a_changed_row_never_goes_over_what_a_person_has_edited_since(exchange, officer, backend):
    second = {**GOOD, "key": "2", "title": "Another"}
    load(exchange, officer, bring(exchange, officer, sheet(GOOD, second)))
    reference = edit(exchange, officer, title="My own words")
    changed = sheet({**GOOD, "places": "45"}, {**second, "places": "46"})
    number = bring(exchange, officer, changed)
    load(exchange, officer, number)
    assert [(one.title, one.places) for one in offers(exchange)] == [
        ("My own words", 30),
        ("Another", 46),
    ]
    found = look(exchange, number)
    assert (found.changed, found.kept) == (1, 1)
    [problem] = found.problems
    assert (problem["row"], problem["column"]) == (2, "key")
    assert f"{reference} has been edited since by {officer.name}" in problem["problem"]

    # The same file once more still leaves the choice, and the file from before asks for none.
    again = bring(exchange, officer, changed)
    load(exchange, officer, again)
    assert (look(exchange, again).kept, len(waiting(exchange, again))) == (1, 1)
    assert waiting(exchange, number) == []
    before = bring(exchange, officer, sheet(GOOD, second))
    load(exchange, officer, before)
    assert (look(exchange, before).known, look(exchange, before).kept) == (1, 0)


def test_a_person_chooses_between_the_file_and_what_was_edited(exchange, officer, secretary):
    rows = [{**GOOD, "key": str(n), "title": f"Course {n}"} for n in range(3)]
    load(exchange, officer, bring(exchange, officer, sheet(*rows)))
    for one in offers(exchange):
        with exchange.writing() as session:
            offer = session.get_one(Offer, one.id)
            person = session.get_one(User, officer.id)
            said = {**content(offer), "title": f"Edited {one.id}"}
            edit_post(session, person, offer, said, exchange.reference)
    number = bring(exchange, officer, sheet(*({**row, "places": "9"} for row in rows)))
    load(exchange, officer, number)
    first, second, third = waiting(exchange, number)
    assert decide(exchange, secretary, number, take=True).rows == 0
    assert decide(exchange, officer, number, take=True, only={first.id}).rows == 1
    assert decide(exchange, officer, number, take=False, only={second.id}).rows == 1
    assert [row.id for row in waiting(exchange, number)] == [third.id]
    assert decide(exchange, officer, number, take=True).rows == 1
    assert [(one.title[:6], one.places) for one in offers(exchange)] == [
        ("Course", 9),
        ("Edited", 30),
        ("Course", 9),
    ]
    # What was decided is not asked again; a later edit of the file is taken where nobody edited.
    load(exchange, officer, bring(exchange, officer, sheet(*({**r, "places": "9"} for r in rows))))
    later = bring(exchange, officer, sheet(*({**row, "places": "8"} for row in rows)))
    load(exchange, officer, later)
    assert (look(exchange, later).changed, look(exchange, later).kept) == (2, 1)


def test_a_form_that_was_saved_as_it_was_is_no_edit(exchange, officer):
    load(exchange, officer, bring(exchange, officer, sheet(GOOD)))
    edit(exchange, officer)
    number = bring(exchange, officer, sheet({**GOOD, "places": "45"}))
    load(exchange, officer, number)
    assert (look(exchange, number).changed, look(exchange, number).kept) == (1, 0)


def test_a_row_without_a_number_is_known_by_what_it_says(exchange, officer):
    row = {name: value for name, value in GOOD.items() if name != "key"}
    for _time in range(2):
        load(exchange, officer, bring(exchange, officer, sheet(row)))
    assert len(offers(exchange)) == 1


def test_every_bad_row_is_told_with_its_number_its_column_and_the_remedy(exchange, officer):
    bad = {
        **GOOD,
        "key": "2",
        "title": "",
        "support_1_kind": "advice",
        "themes": "sustainable_public_procurement; fishing",
        "places": "many",
        "starts": "03/04/2027",
        "money": "12.345",
        "contact_email": "nobody",
    }
    number = bring(exchange, officer, sheet(GOOD, bad, {**GOOD, "key": "1", "title": "Twice"}))
    found = look(exchange, number)
    assert (found.rows, found.good) == (3, 1)
    by_column = {(p["row"], p["column"]): p["problem"] for p in found.problems}
    assert set(by_column) == {
        (3, "title"),
        (3, "support_1_kind"),
        (3, "themes"),
        (3, "places"),
        (3, "starts"),
        (3, "money"),
        (3, "contact_email"),
        (4, "key"),
    }
    assert "year-month-day" in by_column[3, "starts"]
    assert "fishing" in by_column[3, "themes"]
    assert {p["value"] for p in found.problems if p["column"] == "places"} == {"many"}
    with pytest.raises(Conflict, match="import_has_problems"):
        load(exchange, officer, number)
    assert offers(exchange) == []
    load(exchange, officer, number, only_good=True)
    assert [offer.title for offer in offers(exchange)] == ["Training for buyers"]


def test_labels_in_any_language_dates_and_numbers_of_a_workbook_are_read(exchange, officer):
    row = {
        **GOOD,
        "themes": "Compras públicas sostenibles; turismo SUSTENTAVEL",
        "support_1_kind": "capacity_building – Capacity building",
        "serves_subregions": "andean – Andean",
        "starts": date(2027, 5, 4),
        "places": 12.0,
        "free": "sí",
    }
    number = bring(exchange, officer, workbook(row), name="ofertas.xlsx")
    assert look(exchange, number).problems == []
    load(exchange, officer, number, submit=True)
    [offer] = offers(exchange)
    assert set(offer.codes("theme")) == {"sustainable_public_procurement", "sustainable_tourism"}
    assert (offer.starts, offer.places, offer.free) == (date(2027, 5, 4), 12, True)
    assert offer.status == PostStatus.SUBMITTED


def test_the_template_leads_to_what_it_promises(exchange, officer):
    content = template(officer, "offer", exchange.reference, "es")
    book = load_workbook(io.BytesIO(content))
    rows = book.worksheets[0]
    names = [cell.value for cell in rows[2]]
    assert names == [column.name for column in columns_of(KINDS["offer"].schema, keyed=True)]
    assert rows.freeze_panes == "A3"
    lists = {
        rule.formula1: {str(part) for part in rule.sqref.ranges}
        for rule in rows.data_validations.dataValidation
    }
    assert len(lists) > 8
    values = {"title": "Taller", "description": "Formamos compradores.", "language": "es"}
    for name, value in {**values, "support_1_kind": "capacity_building"}.items():
        rows.cell(3, names.index(name) + 1, value)
    buffer = io.BytesIO()
    book.save(buffer)
    number = bring(exchange, officer, buffer.getvalue(), name="plantilla.xlsx")
    assert (look(exchange, number).good, look(exchange, number).problems) == (1, [])


def test_the_annotated_copy_has_each_problem_at_its_cell_and_runs_no_formula(exchange, officer):
    bad = {**GOOD, "places": "many", "title": "=HYPERLINK(1)", "description": "+cmd|' /C calc'!A0"}
    number = bring(exchange, officer, sheet(bad))
    with exchange.reading() as session:
        content = annotated(exchange, session.get_one(Import, number))
    rows = load_workbook(io.BytesIO(content)).worksheets[0]
    names = [cell.value for cell in rows[1]]
    places = rows.cell(2, names.index("places") + 1)
    assert places.comment is not None
    assert "whole number" in places.comment.text
    assert all(cell.data_type != "f" for row in rows.iter_rows() for cell in row)
    assert "places: " in rows.cell(2, len(names)).value


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd"])
def test_a_cell_that_begins_like_a_formula_is_refused(exchange, officer, text):
    number = bring(exchange, officer, sheet({**GOOD, "title": text}))
    [problem] = look(exchange, number).problems
    assert problem["column"] == "title"
    assert "formula" in problem["problem"]


def test_a_formula_of_a_workbook_is_refused_and_not_its_last_value_taken(exchange, officer):
    number = bring(exchange, officer, workbook({**GOOD, "title": '="a"&"b"'}), name="x.xlsx")
    assert [p["column"] for p in look(exchange, number).problems] == ["title"]


def bomb():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (80 * 1024 * 1024))
    return buffer.getvalue()


def entities():
    content = io.BytesIO(workbook(GOOD))
    out = io.BytesIO()
    evil = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]>'
    with zipfile.ZipFile(content) as source, zipfile.ZipFile(out, "w") as target:
        for part in source.infolist():
            data = source.read(part)
            if part.filename.endswith("sheet1.xml"):
                data = evil + data.split(b"?>", 1)[-1]
            target.writestr(part.filename, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"PK\x03\x04 broken", "neither a CSV nor an XLSX"),
        (b"\x00\x01\x02\x03" * 100, "neither a CSV nor an XLSX"),
        (b"a,b,c\n1,2,3\n", "No row names the columns"),
        (b"title,description\n", "no row below"),
        (b"title,description,colour\nx,y,z\n", "colour"),
        (b"title,title,description\nx,y,z\n", "twice"),
        (b'title,description\n"open,y\n', "quotation mark"),
        (bomb(), "unpacks to far more"),
        (entities(), "XML entities"),
        (b"title,description\n" + b"x,y\n" * 5_001, "more than 5000 rows"),
    ],
    ids=["torn", "binary", "headless", "empty", "unknown", "twice", "open", "bomb", "xxe", "long"],
)
def test_a_file_that_cannot_be_read_says_why_and_nothing_is_kept(exchange, officer, content, word):
    number = bring(exchange, officer, content)
    found = look(exchange, number)
    assert found.status == ImportStatus.UNREADABLE
    assert word in found.problems[0]["problem"]
    with pytest.raises(Conflict):
        load(exchange, officer, number, only_good=True)


def test_what_spreadsheet_programs_of_the_region_write_is_read(exchange, officer):
    text = "title;description;language;support_1_kind\nCapacitación;Año dos;es;capacity_building\n"
    number = bring(exchange, officer, text.encode("cp1252"))
    assert look(exchange, number).problems == []
    load(exchange, officer, number)
    assert offers(exchange)[0].title == "Capacitación"


ROW = {
    "title": "Capacitación",
    "description": "Año dos",
    "language": "es",
    "support_1_kind": "capacity_building",
}


def line(delimiter, cells):
    return delimiter.join(cells) + "\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_delimiters_and_encodings_of_programs_are_read(exchange, officer, delimiter, encoding):
    text = line(delimiter, ROW) + line(delimiter, ROW.values())
    number = bring(exchange, officer, text.encode(encoding))
    assert look(exchange, number).problems == []
    load(exchange, officer, number)
    assert [(one.title, one.description) for one in offers(exchange)] == [
        ("Capacitación", "Año dos")
    ]


def test_letters_that_nobody_can_read_are_told(exchange, officer):
    number = bring(exchange, officer, line(",", ROW).encode() + b"\x81\x8d,x,es,finance\n")
    assert "character set UTF-8" in look(exchange, number).problems[0]["problem"]
    half = ("\ufeff" + line(",", ROW)).encode("utf-16-le") + b"\xd8"
    assert (
        "character set UTF-8"
        in look(exchange, bring(exchange, officer, half)).problems[0]["problem"]
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_headings_may_be_the_labels_of_any_language(exchange, officer, language):
    columns = {column.name: column for column in KINDS["offer"].columns}
    with force_locale(language):
        renamed = {columns[name].label.upper(): value for name, value in ROW.items()}
    assert len(renamed) == 4
    number = bring(exchange, officer, sheet(renamed))
    assert look(exchange, number).problems == []
    assert look(exchange, number).good == 1


def test_a_column_of_ones_own_is_left_out_by_a_sign_and_a_wrong_name_is_guessed(exchange, officer):
    number = bring(exchange, officer, sheet({**ROW, "# my notes": "ask Ana", "plces": "3"}))
    assert "plces (places?)" in look(exchange, number).problems[0]["problem"]
    assert "put #" in look(exchange, number).problems[0]["problem"]
    number = bring(exchange, officer, sheet({**ROW, "# my notes": "ask Ana"}))
    assert look(exchange, number).problems == []


@pytest.mark.parametrize(
    ("money", "amount"),
    [
        ("1500,5", "1500.50"),
        ("1.234,50", "1234.50"),
        ("1,234.50", "1234.50"),
        ("1,234,567", "1234567"),
        ("12 000", "12000"),
        ("1.234", None),
        ("1,234", None),
        ("USD 5", None),
    ],
)
def test_amounts_of_one_meaning_are_read_and_others_asked_back(exchange, officer, money, amount):
    row = {**ROW, "money": money, "currency": "USD"}
    number = bring(exchange, officer, sheet(row))
    assert [p["column"] for p in look(exchange, number).problems] == ([] if amount else ["money"])
    if amount:
        load(exchange, officer, number)
        assert offers(exchange)[0].money == Decimal(amount)


def test_merged_cells_hidden_rows_and_empty_ends_of_a_workbook(exchange, officer):
    book = Workbook()
    rows = book.active
    book.create_sheet("Notes", 0).append(["Read me"])
    rows.append(["Offers of our agency for 2027"])
    rows.append([*ROW, "key"])
    for key in "12345":
        rows.append([*ROW.values(), key])
    rows.merge_cells("A1:E1")
    rows.merge_cells("A4:A5")
    rows.row_dimensions[6].hidden = True
    rows["A400"].value = "  "
    rows["Z900"].fill = PatternFill("solid", fgColor="FF00FF00")
    buffer = io.BytesIO()
    book.save(buffer)
    number = bring(exchange, officer, buffer.getvalue(), name="book.xlsx")
    found = look(exchange, number)
    assert (found.rows, found.good) == (5, 3)
    by_row = {(p["row"], p["column"]): p["problem"] for p in found.problems}
    assert set(by_row) == {(5, "title"), (6, "title")}
    assert "merged" in by_row[5, "title"]
    assert "hidden" in by_row[6, "title"]


def test_a_mended_annotated_copy_is_brought_again_as_it_is(exchange, officer):
    number = bring(
        exchange, officer, sheet({**ROW, "key": "1"}, {**ROW, "key": "2", "places": "x"})
    )
    with exchange.reading() as session:
        copy = annotated(exchange, session.get_one(Import, number))
    book = load_workbook(io.BytesIO(copy))
    rows = book.active
    assert [cell.value for cell in rows[1]][-1] == "Problems"
    assert "places: This is not a whole number." in rows.cell(3, rows.max_column).value
    rows.cell(3, 6).value = "12"
    buffer = io.BytesIO()
    book.save(buffer)
    again = bring(exchange, officer, buffer.getvalue(), name="mended.xlsx")
    assert (look(exchange, again).good, look(exchange, again).problems) == (2, [])


@pytest.mark.parametrize(
    ("name", "rows", "problems"),
    [
        # A title row that is merged, a hidden row, a cell under a merged one, days as dates.
        ("libreoffice.xlsx", 4, {(5, "key"), (6, "title")}),
        # The same as CSV, as shown in Spanish: 01/04/2027 is one day in Lima, another in Kingston.
        ("libreoffice-semicolons-1252.csv", 4, {(4, "starts"), (6, "title")}),
        ("libreoffice-tabs-utf16.csv", 4, {(4, "starts"), (6, "title")}),
        ("libreoffice.ods", 0, {(0, "")}),
        ("libreoffice.xls", 0, {(0, "")}),
    ],
)
def test_files_that_libreoffice_wrote(exchange, officer, name, rows, problems):
    number = bring(exchange, officer, (SHEETS / name).read_bytes(), name=name)
    found = look(exchange, number)
    assert {(p["row"], p["column"]) for p in found.problems} == problems
    assert found.rows == rows
    if rows:
        load(exchange, officer, number, only_good=True)
        first = offers(exchange)[0]
        assert (first.title, first.money, first.starts) == (
            "Capacitación de compradores",
            Decimal("1234.50"),
            date(2027, 3, 31),
        )


def test_cells_over_several_lines_do_not_shift_the_numbers_of_rows(exchange, officer):
    written = {**ROW, "description": "One\n\ntwo"}
    number = bring(exchange, officer, sheet(written, {**written, "title": ""}))
    assert [(p["row"], p["column"]) for p in look(exchange, number).problems] == [(3, "title")]


def test_a_file_is_its_organisations_alone(exchange, officer, secretary):
    number = bring(exchange, officer, sheet(GOOD))
    with exchange.writing() as session:
        other = make_person(session, Role.PROVIDER, "caf")
    with exchange.reading() as session:
        with pytest.raises(NotFound):
            get_import(session, other, number)
        assert get_import(session, secretary, number).id == number
        assert session.scalars(find_imports(other)).all() == []


def test_nobody_brings_what_she_may_not_post(exchange, officer, secretary):
    for by, kind in ((officer, "need"), (officer, "user"), (secretary, "offer")):
        with pytest.raises(NotAllowed):
            bring(exchange, by, sheet(GOOD), kind=kind)
    with pytest.raises(InvalidInput):
        bring(exchange, officer, b"")


def test_a_need_of_another_country_is_a_problem_of_its_row(exchange):
    with exchange.writing() as session:
        focal = make_person(session, Role.FOCAL_POINT, "gov-pe")
    rows = [
        {
            "title": "Training",
            "description": "Buyers need it.",
            "language": "en",
            "support_1_kind": "capacity_building",
            "country": country,
        }
        for country in ("PE", "CL", "")
    ]
    number = bring(exchange, focal, sheet(*rows), kind="need")
    assert [(p["row"], p["column"]) for p in look(exchange, number).problems] == [(3, "country")]
    load(exchange, focal, number, only_good=True)
    with exchange.reading() as session:
        assert session.scalar(select(func.count(Need.id))) == 2


def test_many_rows_are_loaded_by_a_job_that_keeps_all_or_nothing(exchange, officer, monkeypatch):
    rows = [{**GOOD, "key": str(n), "title": f"Workshop {n}"} for n in range(60)]
    number = bring(exchange, officer, sheet(*rows))
    load(exchange, officer, number)
    assert look(exchange, number).status == ImportStatus.LOADING
    monkeypatch.setattr("broker.imports.submit_post", lambda *a, **k: 1 / 0)
    with exchange.writing() as session:
        job = session.scalars(select(Job)).one()
        job.arguments = {**job.arguments, "submit": True}
    do_waiting_jobs(exchange)
    assert look(exchange, number).status == ImportStatus.CHECKED
    assert offers(exchange) == []
    monkeypatch.undo()
    load(exchange, officer, number)
    do_waiting_jobs(exchange)
    assert (look(exchange, number).loaded, len(offers(exchange))) == (60, 60)


def test_a_large_file_is_checked_by_a_job(exchange, officer, monkeypatch):
    monkeypatch.setattr("broker.imports.CHECKED_AT_ONCE", 10)
    number = bring(exchange, officer, sheet(GOOD))
    assert look(exchange, number).status == ImportStatus.CHECKING
    do_waiting_jobs(exchange)
    assert (look(exchange, number).status, look(exchange, number).good) == ("checked", 1)


def test_the_secretariat_brings_organisations_and_accounts(exchange, secretary):
    organisations = sheet(
        {"code": "new-lab", "kind": "academia", "country": "PE", "names_es": "Laboratorio nuevo"},
        {"code": "gov-pe", "kind": "company", "country": "PE", "names_es": "No"},
        {"code": "Bad Code", "kind": "academia", "country": "PE", "names_es": "Otro"},
    )
    number = bring(exchange, secretary, organisations, kind="organisation")
    assert [(p["row"], p["column"]) for p in look(exchange, number).problems] == [(4, "code")]
    load(exchange, secretary, number, only_good=True)
    loaded = look(exchange, number)
    assert loaded.loaded == 1
    assert (3, "kind") in {(p["row"], p["column"]) for p in loaded.problems}
    accounts = sheet(
        {
            "email": "lab@new.example",
            "name": "Focal",
            "role": "provider",
            "organisation": "new-lab",
        },
        {"email": "lab", "name": "Focal", "role": "provider", "organisation": "nobody"},
    )
    number = bring(exchange, secretary, accounts, kind="user")
    assert {p["column"] for p in look(exchange, number).problems} >= {"email"}
    load(exchange, secretary, number, only_good=True)
    with exchange.reading() as session:
        made = session.scalar(select(User).where(User.email == "lab@new.example"))
        assert (made.role, made.organisation.code) == (Role.PROVIDER, "new-lab")
        assert session.scalar(select(Organisation.names).where(Organisation.code == "gov-pe")) != {
            "es": "No"
        }


def test_a_published_post_whose_row_changed_goes_on_as_a_new_version(exchange, officer):
    with exchange.writing() as session:
        session.get_one(Organisation, officer.organisation_id).trusted = True
    load(exchange, officer, bring(exchange, officer, sheet(GOOD)), submit=True)
    assert offers(exchange)[0].status == PostStatus.PUBLISHED
    load(exchange, officer, bring(exchange, officer, sheet({**GOOD, "places": "31"})))
    [offer] = offers(exchange)
    assert (offer.version, offer.places) == (2, 31)


MEASURED = {
    "key": "A-1",
    "title": "Measure our rivers",
    "language": "en",
    "support_1_kind": "technical_support",
    "description": "We want to measure how clean they are.",
}


class TestDelegates:
    """Colleagues of the focal point bring needs, which she endorses like those written by hand."""

    @pytest.fixture
    def delegate(self, exchange):
        with exchange.writing() as session:
            return make_person(session, Role.DELEGATE, "gov-pe", ministry="Water")

    def test_what_they_bring_waits_for_the_focal_point(self, exchange, delegate):
        number = bring(exchange, delegate, sheet(MEASURED), kind="need")
        assert look(exchange, number).problems == []
        load(exchange, delegate, number, submit=True)
        assert (look(exchange, number).loaded, look(exchange, number).problems) == (1, [])
        with exchange.sessions() as session:
            need = session.scalars(select(Need)).one()
            assert (need.status, need.author_id) == (PostStatus.TO_ENDORSE, delegate.id)
            assert need.country_code == "PE"

    def test_they_bring_needs_of_their_country_and_nothing_else(self, exchange, delegate):
        for kind in ("offer", "organisation", "user"):
            with pytest.raises(NotAllowed, match="import_kind"):
                bring(exchange, delegate, sheet(MEASURED), kind=kind)
        abroad = bring(exchange, delegate, sheet({**MEASURED, "country": "BR"}), kind="need")
        assert [problem["column"] for problem in look(exchange, abroad).problems] == ["country"]

    def test_a_colleague_neither_sees_their_file_nor_changes_their_need(self, exchange, delegate):
        with exchange.writing() as session:
            colleague = make_person(session, Role.DELEGATE, "gov-pe", ministry="Trade")
            focal = make_person(session, Role.FOCAL_POINT)
        number = bring(exchange, delegate, sheet(MEASURED), kind="need")
        load(exchange, delegate, number)
        with exchange.sessions() as session:
            with pytest.raises(NotFound):
                get_import(session, colleague, number)
            assert list(session.scalars(find_imports(colleague))) == []
            assert [one.id for one in session.scalars(find_imports(focal))] == [number]
        other = bring(exchange, colleague, sheet({**MEASURED, "title": "Mine"}), kind="need")
        load(exchange, colleague, other, only_good=True)
        with exchange.sessions() as session:
            assert [need.title for need in session.scalars(select(Need))] == [MEASURED["title"]]
        assert look(exchange, other).problems != []
