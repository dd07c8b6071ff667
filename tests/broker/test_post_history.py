"""A text that was returned stays readable beside the one that followed it."""

import pytest

from broker import posts
from broker.endorsements import decline_endorsement
from broker.post_history import get_returned_text, returned_texts
from models import NotFound, Role
from tests.broker.factories import days, make_person

pytestmark = pytest.mark.usefixtures("backend")

VAGUE = {
    "title": "Water",
    "description": "We need help.",
    "support": [{"kind": "technical_support"}],
    "themes": ["water"],
    "money_most": "50000",
    "currency": "USD",
    "money_sealed": True,
}


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


@pytest.fixture
def office(session):
    return make_person(session, Role.SECRETARIAT)


@pytest.fixture
def peru(session):
    return make_person(session, Role.FOCAL_POINT)


def handed_in(session, exchange, by, **said):
    need = posts.save_draft(session, by, "need", {**VAGUE, **said}, exchange.reference)
    posts.submit_post(session, by, need, exchange.reference, today=days(0))
    return need


def mend(session, exchange, by, need, **said):
    posts.edit_post(session, by, need, said, exchange.reference)
    posts.submit_post(session, by, need, exchange.reference, today=days(0))


def test_each_returned_text_is_read_as_it_was_with_what_followed(session, exchange, office, peru):
    need = handed_in(session, exchange, peru)
    posts.return_post(session, office, need, "Which water?")
    mend(session, exchange, peru, need, title="Rivers", themes=["water", "climate_change"])
    posts.return_post(session, office, need, "Which rivers?")
    posts.edit_post(session, peru, need, {"title": "The Rímac"}, exchange.reference)
    first, second = returned_texts(session, need, peru)
    assert (first.said["title"], first.said["themes"]) == ("Water", ["water"])
    assert (first.comment, first.event.user) == ("Which water?", office)
    assert (second.said["title"], second.comment) == ("Rivers", "Which rivers?")
    assert first.after == second.said
    assert second.after["title"] == "The Rímac"
    assert second.said["description"] == VAGUE["description"]


def test_who_returned_it_reads_it_while_it_is_mended_but_not_the_draft(
    session, exchange, office, peru
):
    need = handed_in(session, exchange, peru)
    posts.return_post(session, office, need, "Which water?")
    posts.edit_post(session, peru, need, {"title": "Half a thought"}, exchange.reference)
    with pytest.raises(NotFound):
        posts.get_post(session, "need", need.id, office)
    (text,) = returned_texts(session, need, office)
    assert (text.said["title"], text.after) == ("Water", None)
    assert get_returned_text(session, "need", need.id, text.event.id, office)[0] is need


def test_a_sealed_amount_stays_sealed(session, exchange, office, peru):
    need = handed_in(session, exchange, peru)
    posts.return_post(session, office, need, "Which water?")
    mend(session, exchange, peru, need, money_most="60000", currency="USD")
    (read_by_others,) = returned_texts(session, need, office)
    assert "money_most" not in {**read_by_others.said, **read_by_others.after}
    assert returned_texts(session, need, peru)[0].said["money_most"] == "50000"


def test_after_publication_it_is_still_its_own_peoples_and_the_moderators(
    session, exchange, office, peru
):
    need = handed_in(session, exchange, peru)
    posts.return_post(session, office, need, "Which water?")
    mend(session, exchange, peru, need, title="Rivers")
    posts.publish_post(session, office, need, today=days(0))
    stranger = make_person(session, Role.FOCAL_POINT, "gov-ec")
    abroad = make_person(session, Role.COORDINATOR, "gov-cr", subregion="mesoamerica")
    for by in (peru, office, make_person(session, Role.COORDINATOR)):
        assert [text.said["title"] for text in returned_texts(session, need, by)] == ["Water"]
    for by in (None, stranger, abroad):
        assert returned_texts(session, need, by) == []


def test_what_a_focal_point_gave_back_is_not_the_moderators(session, exchange, office, peru):
    delegate = make_person(session, Role.DELEGATE, "gov-pe")
    need = handed_in(session, exchange, delegate)
    decline_endorsement(
        session, peru, need, exchange.reference, revision=need.revision, comment="No."
    )
    assert len(returned_texts(session, need, delegate)) == 1
    assert len(returned_texts(session, need, peru)) == 1
    assert returned_texts(session, need, office) == []
    event = returned_texts(session, need, peru)[0].event.id
    with pytest.raises(NotFound):
        get_returned_text(session, "need", need.id, event, office)
