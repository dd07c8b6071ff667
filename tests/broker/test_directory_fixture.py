"""The directories of the demonstration: real, sourced, in four languages, loaded once."""

import re
import shutil

import pytest
from sqlalchemy import select

from broker.demonstration import load_exchange
from broker.directory_search import DirectoryFilter, entries_for, load_entries, search_entries
from broker.fixture_files import FixtureError
from broker.paths import FIXTURES
from broker.sources import DOCUMENTS
from models import Entry, EntryKind
from tests.broker.factories import days, post_need

DIRECTORY = FIXTURES / "demo" / "directory.yaml"
SPAN = {"000": 29, "001": 704, "002": 119, "003": 499, "004": 266}
"""Lines of each document's text."""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "demo"
    folder.mkdir()
    shutil.copy(DIRECTORY, folder)
    return folder


def load(exchange, folder):
    with exchange.writing() as session:
        return load_exchange(session, folder, exchange.reference, today=days(0), password="x" * 12)


@pytest.fixture
def entries(exchange, folder):
    load(exchange, folder)
    with exchange.reading() as session:
        rows = session.scalars(select(Entry).order_by(Entry.id)).all()
        session.expunge_all()
        return rows


def test_loading_again_changes_nothing(exchange, folder):
    first = load(exchange, folder)
    assert first.entries >= 40
    again = load(exchange, folder)
    assert (again.entries, again.known) == (0, first.entries)


def test_every_directory_is_filled_and_every_language_used(entries):
    assert {entry.language for entry in entries} == {"es", "en", "pt", "fr"}
    for kind in EntryKind:
        assert sum(entry.kind == kind for entry in entries) >= 6, kind


def test_every_entry_is_told_in_all_four_languages(entries):
    for entry in entries:
        assert {entry.language, *entry.translations} == {"es", "en", "pt", "fr"}, entry.reference
        for code in entry.translations:
            assert entry.title_in(code) != entry.title, entry.reference
            assert entry.summary_in(code) != entry.description, entry.reference


def test_every_entry_names_its_line(entries):
    for entry in entries:
        assert entry.source_document in DOCUMENTS, entry.reference
        assert 0 < entry.source_line <= SPAN[entry.source_document], entry.reference


def test_nobody_is_named_or_written_to_outside_the_demonstration(entries):
    text = DIRECTORY.read_text(encoding="utf-8")
    addresses = re.findall(r"\S+@[\w.-]+", text)
    assert all(address.endswith("@demo.example") for address in addresses)
    certified = [entry for entry in entries if entry.certificate]
    assert certified
    for entry in certified:
        assert "ilustrativo" in entry.title, entry.reference
        assert {"certificate", "valid_until"} <= set(entry.illustrative), entry.reference


def test_every_certificate_has_its_last_day(entries):
    assert all(entry.valid_until for entry in entries if entry.certified_by_id)


def test_the_expired_example_is_found_only_when_asked_for(exchange, entries):
    expired = [entry.reference for entry in entries if not entry.is_current(days(0))]
    assert expired == ["specialist-pa-003"]
    with exchange.reading() as session:
        current = search_entries(exchange, session, DirectoryFilter(), on=days(0))
        assert (len(current.ids), current.expired) == (len(entries) - 1, 1)


@pytest.mark.parametrize(
    ("words", "reference"),
    [
        ("ecodiseno", "technology-ihobe-001"),
        ("pasaporte verde", "practice-br-002"),
        ("achats publics durables", "technology-tf-procurement-001"),
        ("acuerdos voluntaros", "practice-pa-001"),
    ],
)
def test_words_find_entries_in_other_languages_and_with_errors(exchange, entries, words, reference):
    with exchange.reading() as session:
        found = search_entries(
            exchange, session, DirectoryFilter(text=words, sort="relevance"), on=days(0)
        )
        shown = [entry.reference for entry in load_entries(session, found.ids[:8])]
    assert reference in shown


def test_a_need_finds_what_exists_in_other_languages(exchange, entries):
    with exchange.writing() as session:
        need = post_need(
            session,
            "gov-ht",
            language="fr",
            title="Former les acheteurs publics aux achats durables",
            description="Les communes veulent des critères pour leurs marchés publics.",
            themes=["sustainable_public_procurement"],
        )
        shown = [near.entry.reference for near in entries_for(exchange, session, need, on=days(0))]
    assert "technology-tf-procurement-001" in shown or "practice-ar-001" in shown


def test_what_is_wrong_in_the_file_is_told_with_its_line(exchange, folder):
    path = folder / "directory.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("organisation: ihobe\n", "organisation: nobody\n", 1).replace(
            'sector: "32110"', 'sector: "1"', 1
        ),
        encoding="utf-8",
    )
    with pytest.raises(FixtureError) as refused:
        load(exchange, folder)
    told = [str(problem) for problem in refused.value.problems]
    assert len(told) == 2
    assert all(re.match(r"directory\.yaml:\d+: (organisation|sector): ", line) for line in told)
