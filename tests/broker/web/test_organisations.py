"""The directory of organisations: search, filters, and numbers that lead to their rows."""

import re

import pytest

from broker.directory import save_entry, submit_entry
from models import EntryKind, Role
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.broker.web.rows_behind import lead_to_their_rows


@pytest.fixture
def book(exchange):
    with exchange.writing() as session:
        post_need(session, "gov-pe", title="Water")
        post_offer(session, "caf", title="Credit")


@pytest.mark.parametrize(
    ("query", "there", "not_there"),
    [
        ("q=caf", "/organisations/caf", "/organisations/gov-pe"),
        ("kind=task_force", "/organisations/tf-tourism", "/organisations/caf"),
        ("country=PE&kind=government", "/organisations/gov-pe", "/organisations/gov-br"),
    ],
)
def test_organisations_are_found_by_words_kind_and_country(client, query, there, not_there):
    page = client.get(f"/organisations?{query}").text
    assert there in page
    assert not_there not in page


def test_every_number_leads_to_its_rows(client, book):
    assert lead_to_their_rows(client, client.get("/organisations?country=PE&q=gov-pe").text) == 1
    assert lead_to_their_rows(client, client.get("/organisations?q=caf").text) == 1


def test_a_search_without_a_result_leads_on(client):
    page = client.get("/organisations?q=xyzzy").text
    assert "No organisation fits this search." in page
    assert "Show all organisations" in page


def test_names_stand_in_the_order_of_the_readers_language(client):
    with client.session_transaction() as kept:
        kept["language"] = "es"
    page = client.get("/organisations?kind=un_body").text
    names = re.findall(r'<h2><a href="[^"]*">([^<]*)</a>', page)
    assert names == sorted(names, key=str.lower)
    assert len(names) > 3


# What the directories hold of it


@pytest.fixture
def certified(exchange):
    """A specialist of CAF whom ECLAC has certified, and a draft that nobody else reads."""
    entry = {
        "organisation": "caf", "language": "en", "title": "An auditor", "country": "PE",
        "description": "Audits of small firms.", "certified_by": "eclac", "certificate": "A-1",
        "valid_until": days(400).isoformat(),
    }  # fmt: skip
    with exchange.writing() as session:
        officer = make_person(session, Role.PROVIDER)
        officer.organisation.trusted = True
        kind = EntryKind.SPECIALIST
        told = save_entry(session, officer, kind, entry, exchange.reference)
        submit_entry(session, officer, told, exchange.reference, today=days(0))
        save_entry(session, officer, kind, {**entry, "title": "A draft"}, exchange.reference)


@pytest.mark.parametrize(
    ("address", "query"),
    [
        ("/organisations/caf", "organisation=caf"),
        ("/organisations/eclac", "organisation=eclac"),
        ("/countries/PE", "country=PE"),
    ],
)
def test_entries_of_the_directories_are_counted_and_lead_to_their_rows(
    client, certified, address, query
):
    page = client.get(address).text
    link = f"/directory/specialists?{query}"
    assert f'<a href="{link}">Specialists (1)</a>' in page
    listed = client.get(link).text
    assert "An auditor" in listed
    assert "A draft" not in listed


def test_a_page_without_entries_says_so_or_keeps_still(client):
    assert "In the directories" not in client.get("/organisations/gov-pe").text
    assert "The directories hold nothing of this country yet." in client.get("/countries/PE").text


def test_the_secretariat_starts_a_merge_from_the_page_of_an_organisation(client, sign_in):
    link = "/secretariat/merge?merge=caf"
    office = sign_in(Role.SECRETARIAT)
    assert link in office.get("/organisations/caf").text
    assert '<option value="caf" selected>' in office.get(link).text
    assert "/secretariat/merge" not in client.get("/organisations/caf").text
    assert "/secretariat/merge?merge=caf" in office.get("/secretariat/organisations?q=caf").text
