"""An agreement on paper: languages, contents as written, and text that looks like code."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from models import AgreementStatus
from tests.broker.factories import days
from tests.broker.web.sides import FOLLOW_UP, Sides

HOSTILE = (
    '#read("/etc/passwd") ]#[ $x$ *b* #panic() \\ `raw` @label <tag> // no comment\n= no heading'
)


def words_of(pdf: bytes) -> str:
    """The text of a PDF in one line; the test is for machines with poppler's ``pdftotext``."""
    program = shutil.which("pdftotext")
    if program is None:
        return ""
    done = subprocess.run([program, "-", "-"], input=pdf, capture_output=True, check=True)
    return re.sub(r"\s+", " ", done.stdout.decode())


@pytest.mark.parametrize("status", [AgreementStatus.PROPOSED, AgreementStatus.ACTIVE])
def test_the_sheet_says_what_is_agreed_and_whether_it_binds(sides: Sides, status) -> None:
    number = sides.agreement(status, **FOLLOW_UP)
    answer = sides.asking.get(f"/agreements/{number}.pdf")
    assert answer.status_code == 200
    assert answer.mimetype == "application/pdf"
    assert answer.data.startswith(b"%PDF-")
    assert sides.now(number).reference in answer.headers["Content-Disposition"]
    said = words_of(answer.data)
    if said:
        for words in ("Training of buyers", "First workshop", "USD 5\u202f000.00", "2026"):
            assert re.sub(r"\s", " ", words) in said
        assert days(10).isoformat() in said
        assert ("not signed" in said) == (status == AgreementStatus.PROPOSED)


def test_typed_text_is_never_code(sides: Sides) -> None:
    number = sides.agreement(
        AgreementStatus.PROPOSED,
        title=HOSTILE.splitlines()[0],
        activities=HOSTILE,
        milestones=[{"title": ']#[ #read("agreement.typ")', "due": days(5).isoformat()}],
        indicators=[{"name": "#panic()", "unit": "$", "target": -0.5}],
    )
    answer = sides.giving.get(f"/agreements/{number}.pdf")
    assert answer.data.startswith(b"%PDF-")
    said = words_of(answer.data)
    if said:
        assert '#read("/etc/passwd") ]#[ $x$ *b* #panic()' in said
        assert "root:" not in said
        assert "= no heading" in said


def test_labels_stand_in_both_languages(exchange, sides: Sides) -> None:
    from models import User

    with exchange.writing() as session:
        session.get_one(User, sides.giving_user.id).language = "es"
    number = sides.agreement(AgreementStatus.SIGNED)
    said = words_of(sides.asking.get(f"/agreements/{number}.pdf").data)
    if said:
        assert "Parties / Partes" in said
        assert "Perú" in said
        assert "Peru" in said


def test_terms_under_negotiation_are_printed_for_the_parties_alone(sides: Sides, client) -> None:
    number = sides.agreement(AgreementStatus.PROPOSED)
    assert client.get(f"/agreements/{number}.pdf").status_code == 404
