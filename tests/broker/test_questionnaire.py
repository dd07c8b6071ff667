"""The supply questionnaire: every answer comes from public rows, and says where it comes from."""

from __future__ import annotations

import re
from html import unescape

import pytest

from broker.questionnaire import QUESTIONS, answer_questionnaire
from broker.report.layout import Figure, Ref
from models import AgreementStatus, Indicator
from tests.broker.factories import post_need, post_offer
from tests.factories import make_agreement


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session
        session.rollback()


@pytest.fixture
def answers(exchange, session):
    """``answers(subregion)``: key of a section → the section, in English."""

    def make(subregion=None, language="en"):
        found = answer_questionnaire(
            session,
            exchange.reference,
            language=language,
            today=exchange.today(),
            subregion=subregion,
        )
        return {section.key: section for section in found}

    return make


def _words(section, table=0):
    """Rows of a table as tuples of words and numbers."""
    if not section.tables:
        return []
    return [
        tuple(
            c.value if isinstance(c, Figure) else c.words if isinstance(c, Ref) else c
            for c in row.cells
        )
        for row in section.tables[table].rows
    ]


def test_all_questions_and_programmes_are_answered_even_by_an_empty_exchange(exchange, answers):
    found = answers()
    programmes = [f"programme-{code}" for code in exchange.reference.codes("programme")]
    assert list(found) == [*QUESTIONS, *programmes]
    for key in QUESTIONS:
        assert found[key].words or found[key].tables, key
    assert len(found[programmes[0]].tables) == 5


def test_agencies_are_those_with_offers_that_reach_the_subregion(session, answers):
    post_offer(session, "tf-procurement", serves_subregions=["andean"], themes=["water"])
    post_offer(session, "caf", serves_subregions=["regional"])
    post_offer(session, "gov-br", serves_subregions=["andean"])
    assert {row[0] for row in _words(answers("andean")["agencies"])} == {
        row[0] for row in _words(answers()["agencies"])
    }
    assert [row[2] for row in _words(answers("caribbean")["agencies"])] == [1]
    rows = {row[1]: row for row in _words(answers("andean")["agencies"])}
    assert len(rows) == 2
    assert "Water" in {row[4] for row in rows.values()}


def test_members_and_agreements_tell_who_works_with_a_task_force(session, answers):
    before = _words(answers()["task_forces"])
    assert any(row[0] == "Argentina" and row[3] == "member, 2007" for row in before)
    made = make_agreement(
        session, post_need(session, "gov-pe"), post_offer(session), status=AgreementStatus.SIGNED,
        places=2,
    )  # fmt: skip
    make_agreement(session, post_need(session, "gov-cl"), post_offer(session), places=2)
    after = _words(answers()["task_forces"])
    assert [row[0] for row in after if row not in before] == ["Peru"]
    assert made.reference in {row[3] for row in after}
    assert not any(row[0] == "Peru" for row in _words(answers("caribbean")["task_forces"]))


def test_themes_without_a_task_force_are_told_with_their_needs(session, answers):
    post_need(session, themes=["chemicals_mercury"])
    post_need(session, themes=["sustainable_public_procurement"])
    themes = {row[0]: row[1:] for row in _words(answers()["missing_themes"])}
    assert themes == {"Chemicals and mercury": (1, 0)}


def test_what_governments_say_exists_is_shown_in_short(session, answers):
    post_need(session, "gov-pe", existing="A national fund. " * 40, title="Need of Peru")
    post_offer(session, "gov-br", title="Internship in Brazil")
    rows = _words(answers()["governments"])
    assert [(row[0], row[1]) for row in rows] == [
        ("Brazil", "Internship in Brazil"),
        ("Peru", "Need of Peru"),
    ]
    assert len(rows[1][2]) < 250


def test_providers_without_an_agreement_are_whom_to_work_with_next(session, answers):
    post_need(session, "gov-pe", themes=["water"])
    post_offer(session, "caf", themes=["water"])
    bound = post_offer(session, "tf-procurement", themes=["water"])
    make_agreement(session, post_need(session), bound, status=AgreementStatus.SIGNED, places=2)
    (row,) = _words(answers()["partners"])
    assert row[1:] == (1, 1, "Peru")


def test_a_programme_tells_its_five_points(session, answers):
    programme = {"programmes": ["sustainable_procurement"]}
    need = post_need(session, "gov-pe", places_wanted=9, **programme)
    offer = post_offer(session, "tf-procurement", places=9, **programme)
    post_offer(session, "caf", support=[{"kind": "finance", "modality": "loan"}], **programme)
    made = make_agreement(session, need, offer, status=AgreementStatus.SIGNED, places=2)
    session.add(Indicator(agreement=made, name="Buyers trained", unit="people", target=40.0))
    session.flush()
    section = answers()["programme-sustainable_procurement"]
    technical, finance, actors, coordination, indicators = (
        _words(section, number) for number in range(5)
    )
    assert len(technical) == len(finance) == len(coordination) == 1
    assert coordination[0][0] == technical[0][0] != finance[0][0]
    assert len(actors) == 3
    assert indicators == [("Buyers trained", "people", 40.0, made.reference)]


def test_the_number_of_queries_does_not_grow_with_the_exchange(session, answers, count_queries):
    def queries(number):
        for _ in range(number):
            need, offer = post_need(session, existing="x"), post_offer(session, "caf")
            make_agreement(session, need, offer, status=AgreementStatus.SIGNED, places=1)
        session.expunge_all()
        with count_queries() as statements:
            answers()
        return len(statements)

    queries(1)
    assert queries(2) == queries(8)


def test_everybody_reads_the_answers_and_each_number_equals_its_list(exchange, client):
    with exchange.writing() as session:
        for number in range(3):
            post_offer(session, "tf-procurement", themes=["water"], serves_subregions=["andean"])
            post_need(session, "gov-pe", themes=["chemicals_mercury" if number else "water"])
        make_agreement(
            session, post_need(session), post_offer(session, "caf", themes=["water"]),
            status=AgreementStatus.SIGNED, places=1,
        )  # fmt: skip
    client.post("/language/en", data={"next": "/"})
    for query in ("", "?subregion=andean"):
        page = client.get(f"/questionnaire{query}").get_data(as_text=True)
        totals = re.findall(r'class="total" href="([^"]+)">([\d,]+)<', page)
        assert len(totals) > 4
        for address, number in totals:
            words = client.get(unescape(address)).get_data(as_text=True)
            heading = re.search(r'id="results-title"[^>]*>\s*([\d,.]+)', words)
            listed = heading or re.search(r"([\d,]+)\s+agreements?\b", words)
            assert listed, address
            assert listed[1].replace(",", "") == number, address


def test_the_answers_come_as_workbook_and_on_paper(client):
    assert client.get("/questionnaire.xlsx?subregion=andean").data.startswith(b"PK")
    assert client.get("/questionnaire.csv").data.startswith(b"section,table")
    assert client.get("/questionnaire.pdf").data.startswith(b"%PDF-")
    assert client.get("/questionnaire.xlsx").data == client.get("/questionnaire.xlsx").data
    assert client.get("/questionnaire?subregion=atlantis").status_code == 422
