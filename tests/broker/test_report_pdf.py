"""The report on paper: what it holds, in every language, and text that looks like code."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from broker.report.forms import FILES
from broker.report.match_report import match_report
from broker.report.pdf import LISTED, as_pdf
from broker.report.scope import ReportScope
from models import LANGUAGES, AgreementStatus
from tests.broker.factories import post_need, post_offer
from tests.broker.report_factories import make_run
from tests.factories import make_agreement

HOSTILE = '#read("/etc/passwd") ]#[ $x$ *b* #panic() `raw` @label <tag> // no comment'


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session
        session.rollback()


@pytest.fixture
def printed(exchange, session):
    """``printed(language, **filters)``: the report as a PDF."""

    def make(language="en", **filters):
        scope = ReportScope(exchange.today(), **filters)
        report = match_report(
            session, exchange.reference, scope=scope, language=language, listed=LISTED
        )
        return as_pdf(report, exchange.reference)

    return make


def words_of(pdf: bytes) -> str:
    """The text of a PDF in one line; on machines with poppler's ``pdftotext``."""
    program = shutil.which("pdftotext")
    if program is None:
        return ""
    done = subprocess.run([program, "-", "-"], input=pdf, capture_output=True, check=True)
    return re.sub(r"\s+", " ", done.stdout.decode())


def _fill(session):
    needs = [post_need(session, title=f"Need {n}", themes=["water"]) for n in range(LISTED + 4)]
    offer = post_offer(session, title="Clean water for all", themes=["water"], places=90)
    make_run(session, [(need, offer, 70.0) for need in needs[:-1]])
    make_agreement(session, needs[0], offer, status=AgreementStatus.SIGNED, places=2)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_typeset_in_every_language(session, printed, language):
    _fill(session)
    pdf = printed(language, currency="USD")
    assert pdf.startswith(b"%PDF-")
    said = words_of(pdf)
    if said:
        assert "Clean water for all" in said
        assert re.search(r"\b2 ?/ ?\d+\b", said)


def test_it_has_title_page_contents_running_heads_and_says_what_it_leaves_out(session, printed):
    _fill(session)
    said = words_of(printed(subregion="andean"))
    if said:
        assert "Subregion: Andean" in said
        assert "Contents" in said
        assert said.count("Match report · Up to") > 3
        assert f"{LISTED} of {LISTED + 3} are shown; the workbook has all of them." in said
        assert "Needs by country" in said


def test_typed_text_is_never_code(session, printed):
    need = post_need(session, title=HOSTILE, themes=["water"])
    make_run(session, [(need, post_offer(session, title="<svg onload=x>&"), 80.0)])
    said = words_of(printed())
    if said:
        # Narrow columns break the line between any two words.
        for words in ("$x$", "*b*", "#panic()", "`raw`", "<tag>", "<svg"):
            assert words in said, words
        assert "root:" not in said


def test_the_same_report_is_the_same_file(session, printed):
    _fill(session)
    assert printed() == printed()


def test_an_empty_exchange_is_typeset_too(printed):
    said = words_of(printed())
    assert not said or "There is nothing on the exchange yet." in said


def test_the_list_of_forms_has_it():
    assert FILES["pdf"].write is as_pdf
    assert FILES["xlsx"].listed is None
