"""Posts: written, reviewed, published, renewed; readable by whom they are for."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from models import (
    OWN_ONLY,
    RENEWAL,
    InvalidInput,
    InvalidTransition,
    Need,
    NotAllowed,
    Offer,
    Post,
    PostFacet,
    PostStatus,
    PostVersion,
    Role,
    utc_now,
)
from tests.factories import (
    TODAY,
    make_coordinator,
    make_need,
    make_offer,
    make_organisation,
    make_secretariat,
    make_user,
)

pytestmark = pytest.mark.usefixtures("backend")

TOMORROW = TODAY + timedelta(days=1)


# --- What a post holds ----------------------------------------------------------------------


def test_posts_are_read_back_as_needs_and_offers(session: Session) -> None:
    need, offer = make_need(session), make_offer(session)
    session.expire_all()
    assert [type(post) for post in session.scalars(select(Post).order_by(Post.id))] == [Need, Offer]
    assert (need.kind, offer.kind) == ("need", "offer")


@given(before=st.sets(st.sampled_from("abcdef")), after=st.sets(st.sampled_from("abcdef")))
def test_codes_of_a_facet_become_what_is_asked_and_rows_that_stay_are_kept(
    before: set[str], after: set[str]
) -> None:
    post = Need(facets=[PostFacet(facet="mandate", code="pe.22")])
    post.set_codes("theme", before)
    kept = {row.code: row for row in post.facets if row.facet == "theme" and row.code in after}
    post.set_codes("theme", after)
    assert post.codes("theme") == sorted(after)
    assert post.codes("mandate") == ["pe.22"]
    assert all(row in post.facets for row in kept.values())


def test_codes_can_be_replaced_in_the_database_too(session: Session) -> None:
    need = make_need(session, facets={"theme": ["water", "youth"]})
    need.set_codes("theme", ["water", "msme"])
    session.flush()
    session.refresh(need)
    assert need.codes("theme") == ["msme", "water"]


def test_support_kinds_are_told_once_each(session: Session) -> None:
    need = make_need(session, support=("finance", "capacity_building", "finance"))
    assert need.support_kinds == ["capacity_building", "finance"]


def test_title_and_summary_are_in_the_readers_language_where_translated() -> None:
    need = Need(
        language="es",
        title="Agua",
        description="Texto",
        translations={"en": {"title": "Water", "summary": "Text"}, "pt": {}},
    )
    assert [need.title_in(code) for code in ("es", "en", "pt", "fr")] == [
        "Agua",
        "Water",
        "Agua",
        "Agua",
    ]
    assert need.summary_in("en") == "Text"
    assert need.summary_in("fr") == "Texto"


@pytest.mark.parametrize(
    ("least", "most", "covered", "left"),
    [
        (None, None, "0", None),
        ("100", None, "40.50", "59.50"),
        ("100", "300", "100", "200"),
        ("100", "300", "400", "0"),
    ],
)
def test_money_still_wanted_counts_from_the_most_that_was_asked(
    least: str | None, most: str | None, covered: str, left: str | None
) -> None:
    need = Need(
        money_least=Decimal(least) if least else None,
        money_most=Decimal(most) if most else None,
        money_covered=Decimal(covered),
    )
    assert need.money_open() == (Decimal(left) if left else None)


# Less than nothing breaks two rules at once, as what is committed is never below nothing. Which of
# them is told is the database's choice: PostgreSQL takes the first by name, SQLite promises none.
LESS_THAN_NOTHING = {name: f"{name}_not_(negative|oversold)" for name in ("places", "money")}


@pytest.mark.parametrize(
    ("make", "values", "rule"),
    [
        (make_need, {"places_wanted": 0}, "places_positive"),
        (make_need, {"money_least": Decimal(2), "money_most": Decimal(1)}, "money_in_order"),
        (make_need, {"places_covered": -1}, "places_covered_not_negative"),
        (make_offer, {"places": -1}, LESS_THAN_NOTHING["places"]),
        (make_offer, {"money": Decimal("-0.01")}, LESS_THAN_NOTHING["money"]),
        (make_offer, {"places": 1, "places_committed": 2}, "places_not_oversold"),
        (make_offer, {"money": Decimal(1), "money_committed": Decimal("1.01")}, "not_oversold"),
    ],
)
def test_database_refuses_quantities_that_make_no_sense(
    session: Session, make: object, values: dict[str, object], rule: str
) -> None:
    with pytest.raises(IntegrityError, match=rule), session.begin_nested():
        make(session, **values)  # type: ignore[operator]


def test_two_who_edit_one_post_do_not_overwrite_each_other(session: Session) -> None:
    need = make_need(session)
    session.execute(text("UPDATE post SET revision = revision + 1, title = 'First to save'"))
    with pytest.raises(StaleDataError), session.begin_nested():
        need.title = "Second to save"
    session.refresh(need)
    assert need.title == "First to save"


def test_published_version_cannot_be_rewritten(session: Session) -> None:
    need = make_need(session)
    need.versions.append(PostVersion(number=1, content={"title": need.title}))
    session.flush()
    with pytest.raises(IntegrityError, match="post_version is final"), session.begin_nested():
        need.versions[0].content = {"title": "Something else"}


# --- Review ---------------------------------------------------------------------------------


def test_submitting_names_all_that_is_missing(session: Session) -> None:
    need = make_need(session, status=PostStatus.DRAFT, title=" ", description="", support=())
    with pytest.raises(InvalidInput) as raised:
        need.submit(make_user(session, need.organisation))
    assert set(raised.value.fields) == {"title", "description", "support"}
    assert need.status == PostStatus.DRAFT


def test_returned_post_carries_the_comment_until_it_is_published(session: Session) -> None:
    need = make_need(session, status=PostStatus.SUBMITTED)
    author, secretariat = make_user(session, need.organisation), make_secretariat(session)
    need.return_with(" Say for whom. ", secretariat)
    assert (need.status, need.comment) == (PostStatus.RETURNED, "Say for whom.")
    need.submit(author)
    need.publish(secretariat, TODAY)
    assert need.comment == ""


def test_returning_without_a_comment_is_refused(session: Session) -> None:
    need = make_need(session, status=PostStatus.SUBMITTED)
    with pytest.raises(InvalidInput):
        need.return_with("  ", make_secretariat(session))
    assert need.status == PostStatus.SUBMITTED


def test_nobody_reviews_a_post_of_their_own_organisation(session: Session) -> None:
    coordinator = make_coordinator(session, "andean", "CO")
    own = make_need(session, coordinator.organisation, status=PostStatus.SUBMITTED)
    neighbour = make_need(session, status=PostStatus.SUBMITTED)
    with pytest.raises(NotAllowed, match="moderate_post"):
        own.publish(coordinator, TODAY)
    neighbour.publish(coordinator, TODAY)


def test_trusted_organisation_publishes_what_it_submitted_without_review(session: Session) -> None:
    trusted = make_organisation(session, trusted=True)
    need = make_need(session, trusted, status=PostStatus.SUBMITTED, closes=TOMORROW)
    need.publish_unreviewed(TODAY)
    assert (need.status, need.expires_on) == (PostStatus.PUBLISHED, TOMORROW)
    with pytest.raises(InvalidTransition):
        make_need(session, trusted, status=PostStatus.DRAFT).publish_unreviewed(TODAY)


def test_other_organisations_wait_for_review(session: Session) -> None:
    need = make_need(session, status=PostStatus.SUBMITTED)
    with pytest.raises(NotAllowed, match="moderate_post"):
        need.publish_unreviewed(TODAY)
    assert need.status == PostStatus.SUBMITTED


def test_coordinator_reviews_her_subregion_alone(session: Session) -> None:
    coordinator = make_coordinator(session, "andean", "CO")
    island = make_organisation(session, country="BB")
    assert not make_need(session, island).can_be_moderated_by(coordinator)
    both = make_offer(session, facets={"serves_subregion": ["andean", "caribbean"]})
    assert not both.can_be_moderated_by(coordinator)
    andean = make_offer(session, facets={"serves_subregion": ["andean"]})
    assert andean.can_be_moderated_by(coordinator)


def test_regional_need_belongs_to_its_subregion(session: Session) -> None:
    office = make_organisation(session, "intergovernmental_body", None)
    need = make_need(session, office, subregion="caribbean")
    assert need.subregions() == {"caribbean"}
    assert make_need(session, office).subregions() == frozenset()


# --- Time -----------------------------------------------------------------------------------


def test_post_expires_after_its_closing_date_or_half_a_year(session: Session) -> None:
    secretariat = make_secretariat(session)
    closing = make_need(session, status=PostStatus.SUBMITTED, closes=TOMORROW)
    open_ended = make_need(session, status=PostStatus.SUBMITTED)
    for need in (closing, open_ended):
        need.publish(secretariat, TODAY)
    assert (closing.expires_on, open_ended.expires_on) == (TOMORROW, TODAY + RENEWAL)
    assert not closing.expire(TOMORROW)
    assert closing.expire(TOMORROW + timedelta(days=1))
    assert closing.status == PostStatus.EXPIRED


def test_renewing_brings_an_expired_post_back_without_its_past_closing_date(
    session: Session,
) -> None:
    need = make_need(session, status=PostStatus.EXPIRED, closes=TODAY - timedelta(days=3))
    need.renew(make_user(session, need.organisation), TODAY)
    assert (need.status, need.closes) == (PostStatus.PUBLISHED, None)
    assert need.expires_on == TODAY + RENEWAL


@pytest.mark.parametrize(
    "status", [PostStatus.DRAFT, PostStatus.SUBMITTED, PostStatus.WITHDRAWN, PostStatus.FULFILLED]
)
def test_only_what_is_or_was_on_the_exchange_is_renewed(
    session: Session, status: PostStatus
) -> None:
    need = make_need(session, status=status)
    with pytest.raises(InvalidTransition):
        need.renew(make_user(session, need.organisation), TODAY)
    assert need.expires_on is None


@pytest.mark.parametrize(
    ("committed", "status"),
    [
        (0, PostStatus.PUBLISHED),
        (4, PostStatus.PARTLY_COMMITTED),
        (10, PostStatus.EXHAUSTED),
    ],
)
def test_offer_that_comes_back_says_what_is_already_committed(
    session: Session, committed: int, status: PostStatus
) -> None:
    expired = make_offer(session, status=PostStatus.EXPIRED, places=10, places_committed=committed)
    expired.renew(make_user(session, expired.organisation, Role.PROVIDER), TODAY)
    again = make_offer(session, status=PostStatus.SUBMITTED, places=10, places_committed=committed)
    again.publish(make_secretariat(session), TODAY)
    assert expired.status == again.status == status


# --- Who may read and write -----------------------------------------------------------------


@pytest.mark.parametrize("status", PostStatus)
def test_everybody_reads_what_was_published_and_others_only_their_own(
    session: Session, status: PostStatus
) -> None:
    need = make_need(session, status=status, submitted_at=utc_now())
    public = status in {
        PostStatus.PUBLISHED,
        PostStatus.PARTLY_COMMITTED,
        PostStatus.FULFILLED,
        PostStatus.EXHAUSTED,
        PostStatus.EXPIRED,
    }
    assert need.can_be_seen_by(None) == public
    assert need.can_be_seen_by(make_user(session)) == public
    assert need.can_be_seen_by(make_user(session, need.organisation))
    assert need.can_be_seen_by(make_secretariat(session)) == (status not in OWN_ONLY)


@pytest.mark.parametrize("status", [PostStatus.RETURNED, PostStatus.WITHDRAWN])
def test_what_was_never_handed_in_is_its_organisations_alone(
    session: Session, status: PostStatus
) -> None:
    need = make_need(session, status=status, submitted_at=None)
    assert need.can_be_seen_by(make_user(session, need.organisation))
    assert not need.can_be_seen_by(make_secretariat(session))


def test_provider_edits_offers_and_never_a_need(session: Session) -> None:
    agency = make_organisation(session, "cooperation_agency", "CH")
    provider = make_user(session, agency, Role.PROVIDER)
    assert make_offer(session, agency).can_be_edited_by(provider)
    assert not make_need(session, agency).can_be_edited_by(provider)
    assert not make_offer(session).can_be_edited_by(provider)
