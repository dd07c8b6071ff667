"""Pages of a post's earlier texts: what was returned, and what changed from text to text."""

import re
from html import unescape

import pytest

from broker.posts import edit_post, return_post, save_draft, submit_post
from models import Need, Role
from tests.broker.factories import days, make_person

NEED = {
    "title": "Water",
    "description": "We need help with water.",
    "support": [{"kind": "technical_support"}],
    "themes": ["water"],
}


@pytest.fixture
def scene(exchange):
    """A need that was returned, mended and submitted again; and its two people."""
    with exchange.writing() as session:
        peru = make_person(session, Role.FOCAL_POINT)
        office = make_person(session, Role.SECRETARIAT)
        need = save_draft(session, peru, "need", NEED, exchange.reference)
        submit_post(session, peru, need, exchange.reference, today=days(0))
        return_post(session, office, need, "Which water?")
        mended = {"description": "We need help with rivers.", "themes": ["water", "climate_change"]}
        edit_post(session, peru, need, mended, exchange.reference)
        submit_post(session, peru, need, exchange.reference, today=days(0))
        return need.id, peru, office


def link_in(page):
    return unescape(re.search(r'href="(/needs/\d+/returned/\d+)"', page).group(1))


def test_its_own_people_and_the_secretariat_reach_the_returned_text(scene, sign_in):
    number, peru, office = scene
    doors = {peru: f"/needs/{number}", office: "/secretariat/queue"}
    for user, door in doors.items():
        browser = sign_in(user)
        page = browser.get(link_in(browser.get(door).text)).text
        assert "Which water?" in page
        assert "We need help with water." in page
        assert re.search(r"<del>\s*water", page)
        assert re.search(r"<ins>\s*rivers", page)
        assert "Climate change" in page
        assert "climate_change</ins>" not in page


def test_nobody_else_reaches_it(scene, sign_in, client):
    browser = sign_in(scene[1])
    address = link_in(browser.get(f"/needs/{scene[0]}").text)
    assert client.get(address).status_code in (302, 401)
    assert sign_in(Role.FOCAL_POINT, "gov-ec").get(address).status_code == 404
    assert browser.get(f"/needs/{scene[0]}/returned/999999").status_code == 404


def test_the_audit_trail_leads_to_the_returned_text(scene, sign_in):
    office = sign_in(scene[2])
    address = link_in(office.get("/secretariat/audit?action=post.returned").text)
    assert "Which water?" in office.get(address).text


def test_a_version_shows_what_changed_against_the_one_before(exchange, scene, sign_in, client):
    number, peru, office = scene
    sign_in(office).post(
        f"/secretariat/queue/needs/{number}/publish", data={"revision": revision(exchange, number)}
    )
    browser = sign_in(peru)
    form = {"title": "Lakes", "revision": revision(exchange, number)}
    assert browser.post(f"/needs/{number}/edit", data=form).status_code == 302
    page = client.get(f"/needs/{number}/versions/2").text
    assert "Changed against the version before" in page
    assert "<del>Water" in page
    assert "<ins>Lakes" in page
    first = client.get(f"/needs/{number}/versions/1").text
    assert "Changed against the version before" not in first


def revision(exchange, number):
    with exchange.reading() as session:
        return session.get_one(Need, number).revision
