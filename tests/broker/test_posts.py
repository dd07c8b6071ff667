"""Use cases of posts: who may do what, what is stored, what others see; on both databases."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from broker import posts
from broker.posts import PostFilter
from models import (
    RENEWAL,
    AuditEvent,
    Conflict,
    InvalidInput,
    InvalidTransition,
    NotAllowed,
    NotFound,
    PostStatus,
    Role,
)
from tests.broker.factories import make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")

NEED = {
    "title": "Compras públicas",
    "description": "Capacitar a compradores del Estado.",
    "support": [{"kind": "capacity_building", "modality": "workshop", "detail": "taller"}],
    "themes": ["sustainable_public_procurement"],
}


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


@pytest.fixture
def office(session):
    return make_person(session, Role.SECRETARIAT)


def draft(session, exchange, by, **facts):
    return posts.save_draft(session, by, "need", {**NEED, **facts}, exchange.reference)


def test_a_draft_becomes_a_published_version_by_review(session, exchange, office):
    chile = make_person(session, Role.FOCAL_POINT, "gov-cl")
    need = draft(session, exchange, chile)
    assert (need.status, need.country_code) == (PostStatus.DRAFT, "CL")
    posts.submit_post(session, chile, need, exchange.reference, today=exchange.today())
    assert need.status == PostStatus.SUBMITTED
    posts.publish_post(session, office, need, today=exchange.today())
    assert (need.status, need.version, len(need.versions)) == (PostStatus.PUBLISHED, 1, 1)
    assert need.expires_on == exchange.today() + RENEWAL
    actions = session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)).all()
    assert list(actions) == ["post.drafted", "post.submitted", "post.published"]


def test_references_count_up_past_a_thousand_and_past_other_words(session, exchange):
    chile = make_person(session, Role.FOCAL_POINT, "gov-cl")
    for reference in ("need-cl-009", "need-cl-1000", "need-cl-x-2000", "need-clx-3000", "need-cl-"):
        post_need(session, "gov-cl", reference=reference)
    assert [draft(session, exchange, chile).reference for _n in range(2)] == [
        "need-cl-1001",
        "need-cl-1002",
    ]


def test_two_who_draft_at_the_same_moment_get_two_references(exchange):
    with exchange.writing() as session:
        chile = make_person(session, Role.FOCAL_POINT, "gov-cl")
    begun, references = threading.Barrier(2, timeout=20), []

    def write():
        begun.wait()
        with exchange.writing() as session:
            found = draft(session, exchange, session.get(type(chile), chile.id))
            references.append(found.reference)

    threads = [threading.Thread(target=write) for _n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(25)
    assert sorted(references) == ["need-cl-001", "need-cl-002"]


def test_a_trusted_organisation_publishes_at_once(session, exchange):
    peru = make_person(session, Role.FOCAL_POINT, "gov-pe")
    peru.organisation.trusted = True
    need = draft(session, exchange, peru)
    posts.submit_post(session, peru, need, exchange.reference, today=exchange.today())
    assert need.status == PostStatus.PUBLISHED
    assert need.versions[0].content["title"] == NEED["title"]


def test_an_edit_of_a_published_post_is_a_new_version_and_the_old_stays(session, exchange):
    peru = make_person(session, Role.FOCAL_POINT, "gov-pe")
    need = post_need(session)
    posts.edit_post(session, peru, need, {"title": "Otro título"}, exchange.reference)
    assert [v.content["title"] for v in need.versions] == ["Train public buyers", "Otro título"]
    assert need.version == 2


def test_two_people_editing_one_post_do_not_overwrite_each_other(session, exchange):
    peru = make_person(session, Role.FOCAL_POINT, "gov-pe")
    need = draft(session, exchange, peru)
    session.flush()
    read = need.revision
    posts.edit_post(session, peru, need, {"title": "first"}, exchange.reference, revision=read)
    session.flush()
    with pytest.raises(Conflict):
        posts.edit_post(session, peru, need, {"title": "second"}, exchange.reference, revision=read)
    assert need.title == "first"


def test_others_do_not_write_review_or_read_what_is_not_theirs(session, exchange, office):
    peru = make_person(session, Role.FOCAL_POINT, "gov-pe")
    chile = make_person(session, Role.FOCAL_POINT, "gov-cl")
    agency = make_person(session, Role.PROVIDER)
    need = draft(session, exchange, peru)
    session.flush()
    with pytest.raises(NotAllowed):
        posts.edit_post(session, chile, need, NEED, exchange.reference)
    for stranger in (None, chile, agency, office):
        with pytest.raises(NotFound):
            posts.get_post(session, "need", need.id, stranger)
    with pytest.raises(NotAllowed):
        posts.save_draft(session, agency, "need", NEED, exchange.reference)
    posts.submit_post(session, peru, need, exchange.reference, today=exchange.today())
    for stranger in (chile, agency, peru):
        with pytest.raises(NotAllowed):
            posts.publish_post(session, stranger, need, today=exchange.today())


def test_a_coordinator_reviews_her_subregion_and_never_her_own_organisation(session, exchange):
    andean = make_person(session, Role.COORDINATOR, "gov-ec", subregion="andean")
    bolivia = make_person(session, Role.FOCAL_POINT, "gov-bo")
    chile = make_person(session, Role.FOCAL_POINT, "gov-cl")
    ecuador = make_person(session, Role.FOCAL_POINT, "gov-ec")
    for by, allowed in ((bolivia, True), (chile, False), (ecuador, False)):
        need = draft(session, exchange, by)
        posts.submit_post(session, by, need, exchange.reference, today=exchange.today())
        if allowed:
            posts.publish_post(session, andean, need, today=exchange.today())
        else:
            with pytest.raises(NotAllowed):
                posts.publish_post(session, andean, need, today=exchange.today())


def test_a_government_asks_for_its_own_country_alone(session, exchange):
    peru = make_person(session, Role.FOCAL_POINT, "gov-pe")
    with pytest.raises(InvalidInput) as refusal:
        draft(session, exchange, peru, country="CL")
    assert "country" in refusal.value.fields


def test_what_is_missing_is_asked_for_when_a_post_is_handed_in(session, exchange):
    peru = make_person(session, Role.FOCAL_POINT, "gov-pe")
    need = posts.save_draft(session, peru, "need", {"title": "x"}, exchange.reference)
    with pytest.raises(InvalidInput) as refusal:
        posts.submit_post(session, peru, need, exchange.reference, today=exchange.today())
    assert {"description", "support"} <= set(refusal.value.fields)
    assert need.status == PostStatus.DRAFT


def test_a_returned_post_carries_its_comment_and_is_mended(session, exchange, office):
    chile = make_person(session, Role.FOCAL_POINT, "gov-cl")
    need = draft(session, exchange, chile)
    posts.submit_post(session, chile, need, exchange.reference, today=exchange.today())
    with pytest.raises(InvalidInput):
        posts.return_post(session, office, need, "  ")
    posts.return_post(session, office, need, "Diga cuántas personas.")
    assert (need.status, need.comment) == (PostStatus.RETURNED, "Diga cuántas personas.")
    posts.edit_post(session, chile, need, {**NEED, "beneficiaries": 40}, exchange.reference)
    assert need.status == PostStatus.DRAFT


def test_posts_expire_and_come_back(session, exchange):
    peru = make_person(session, Role.FOCAL_POINT, "gov-pe")
    need, offer = post_need(session), post_offer(session)
    later = exchange.today() + RENEWAL + timedelta(days=1)
    assert {p.id for p in posts.expire_posts(session, today=later)} == {need.id, offer.id}
    assert posts.expire_posts(session, today=later) == []
    posts.renew_post(session, peru, need, today=later)
    assert need.status == PostStatus.PUBLISHED
    assert need.expires_on == later + RENEWAL


def test_a_withdrawn_post_leaves_the_lists_and_its_life_goes_on(session, exchange):
    peru = make_person(session, Role.FOCAL_POINT, "gov-pe")
    need = post_need(session)
    posts.withdraw_post(session, peru, need)
    session.flush()
    query = posts.find_posts(PostFilter("need"))
    assert session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) == 0
    with pytest.raises(InvalidTransition):
        posts.renew_post(session, peru, need, today=exchange.today())
    posts.reopen_post(session, peru, need)
    assert need.status == PostStatus.DRAFT
