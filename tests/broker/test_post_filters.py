"""What a list of posts can be narrowed to beyond place, theme and kind; on both databases."""

from datetime import UTC, date, datetime

import pytest

from broker.posts import PostFilter, find_posts
from tests.factories import make_country, make_need, make_offer, make_organisation

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def filtered(session):
    """``filtered(kind, **fields)``: references of what a filter finds, in order."""

    def find(kind, **fields):
        found = session.scalars(find_posts(PostFilter(kind, **fields))).all()
        return sorted(post.reference for post in found)

    return find


def test_lists_are_narrowed_by_programme_mandate_and_first_day(session, filtered):
    make_need(session, reference="a", facets={"programme": ["education_lifestyles"]})
    make_need(session, reference="b", facets={"mandate": ["d12-2003-3"]})
    published = datetime(2026, 3, 10, tzinfo=UTC)
    make_need(session, reference="c", published_at=published)
    assert filtered("need", programmes=("education_lifestyles",)) == ["a"]
    assert filtered("need", mandates=("d12-2003-3",)) == ["b"]
    assert filtered("need", since=date(2026, 3, 10)) == ["c"]
    assert filtered("need", since=date(2026, 3, 11)) == []


def test_what_states_nothing_of_a_facet_is_found(session, filtered):
    make_need(session, reference="whole", facets={"theme": ["water"], "ilac_area": ["water"]})
    nowhere = make_organisation(session, "un_body", None)
    make_need(session, nowhere, reference="bare", support=())
    make_need(session, nowhere, reference="caribbean", subregion="caribbean")
    assert filtered("need", without=("theme",)) == ["bare", "caribbean"]
    assert filtered("need", without=("ilac_area", "support_kind")) == ["bare"]
    assert filtered("need", without=("subregion",)) == ["bare"]


def test_an_offer_outside_the_region_states_no_subregion(session, filtered):
    make_country(session, "PE"), make_country(session, "KE")
    for reference, facets in {
        "subregion": {"serves_subregion": ["andean"]},
        "country": {"serves_country": ["PE"]},
        "outside": {"serves_country": ["KE"], "serves_outside": ["Africa"]},
    }.items():
        make_offer(session, reference=reference, facets=facets)
    assert filtered("offer", without=("subregion",)) == ["outside"]
