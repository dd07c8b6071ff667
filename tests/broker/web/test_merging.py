"""The page on which two organisations become one."""

import pytest

from models import Role
from tests.broker.factories import post_need
from tests.factories import make_organisation

FORM = {"keep": "gov-pe", "merge": "old-council", "reason": "Renamed.", "sure": "true"}


@pytest.fixture
def old(exchange):
    with exchange.writing() as session:
        make_organisation(session, code="old-council", names={"en": "Old council"})
        post_need(session, "old-council", title="Its need", subregion="andean")


@pytest.fixture
def office(sign_in):
    return sign_in(Role.SECRETARIAT)


def test_the_two_stand_side_by_side_with_what_moves(office, old):
    page = office.get("/secretariat/merge?keep=gov-pe&merge=old-council").text
    assert "Old council" in page
    assert "National Environment Council" in page or "gov-pe" in page
    moves = page[page.index("What moves") :]
    assert "Needs" in moves
    assert "Merge old-council into gov-pe" in page


def test_after_the_merge_old_links_lead_to_the_new_page(office, old, client):
    answer = office.post("/secretariat/merge", data=FORM)
    assert answer.status_code == 302
    old_page = client.get("/organisations/old-council")
    assert old_page.status_code == 301
    assert old_page.location.endswith("/organisations/gov-pe")
    assert "Its need" in client.get("/organisations/gov-pe").text
    assert "Its need" in client.get("/needs?organisation=old-council").text
    said = client.get("/api/v1/organisations/old-council", headers={"Accept": "application/json"})
    assert said.json["code"] == "gov-pe"


def test_what_was_typed_stays_where_a_confirmation_is_missing(office, old):
    answer = office.post("/secretariat/merge", data={**FORM, "sure": "false"})
    assert answer.status_code == 422
    assert "Tick this to confirm it." in answer.text
    assert "Renamed." in answer.text


def test_an_obstacle_is_told_and_no_button_offered(office, old):
    page = office.get("/secretariat/merge?keep=old-council&merge=tf-tourism").text
    assert "They cannot be merged:" in page
    assert "What moves" in page
    assert 'name="sure"' not in page


def test_without_two_organisations_they_are_chosen_first(office, old):
    page = office.get("/secretariat/merge?keep=gov-pe").text
    assert '<option value="gov-pe" selected>' in page
    assert "old-council" in page


def test_the_queue_of_doubles_leads_to_the_merge(office, exchange):
    with exchange.writing() as session:
        for number in (1, 2):
            make_organisation(
                session, code=f"twin-{number}", names={"en": "Institute of Cleaner Tanneries"}
            )
    page = office.get("/secretariat/duplicates").text
    assert "/secretariat/merge?keep=twin-1&amp;merge=twin-2" in page


def test_an_unknown_organisation_is_not_found(office):
    assert office.get("/secretariat/merge?keep=gov-pe&merge=nobody").status_code == 404
