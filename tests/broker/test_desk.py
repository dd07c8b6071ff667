"""One's own place: what waits, needs with coverage and best offers, the country, ranked needs."""

import pytest

from broker import interests
from broker.desk import (
    lay_out_desk,
    lay_out_needs,
    own_live_needs,
    own_offers,
    own_posts,
    sketch_country,
)
from broker.matches import NeedFilter, rank_across, with_reasons
from broker.pairings import suggest_pairing
from models import Match, MatchStatus, Role
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.factories import make_agreement

pytestmark = pytest.mark.usefixtures("backend")

TOURISM = "sustainable_tourism"


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


@pytest.fixture
def peru(session):
    return make_person(session, Role.FOCAL_POINT)


def test_everything_that_waits_is_counted(exchange, session, peru):
    force = make_person(session, Role.TASK_FORCE)
    need, other = post_need(session), post_need(session)
    interests.express_interest(session, force, need, post_offer(session), score=60.0)
    offer = post_offer(session)
    data = {"need": other.reference, "offer": offer.reference, "reason": "why"}
    suggest_pairing(exchange, session, force, data, on=days(0))
    delegate = make_person(session, Role.DELEGATE, "gov-pe")
    post_need(session, status="to_endorse", author=delegate)
    post_need(session, status="draft", author=peru)
    session.flush()
    desk = lay_out_desk(session, peru, today=days(0))
    counted = [len(things) for things in (desk.interests, desk.pairings, desk.endorsements)]
    assert counted == [1, 1, 1]
    assert desk.waiting == 4


def test_a_delegate_finds_her_own_posts_alone(session, peru):
    delegate = make_person(session, Role.DELEGATE, "gov-pe")
    own = post_need(session, status="draft", author=delegate)
    post_need(session, status="draft", author=peru)
    assert list(session.scalars(own_posts(delegate))) == [own]
    assert lay_out_desk(session, delegate, today=days(0)).drafts == [own]
    assert len(list(session.scalars(own_posts(peru)))) == 2


class TestNeeds:
    def test_each_stands_with_coverage_interest_and_best_offers(self, exchange, session, peru):
        need = post_need(session, places_wanted=10)
        best = [post_offer(session, title=f"Toolkit {n}") for n in range(4)]
        force = make_person(session, Role.TASK_FORCE)
        interests.express_interest(session, force, need, best[0], score=60.0, share=60)
        session.flush()
        (line,) = lay_out_needs(
            exchange, session, list(session.scalars(own_live_needs(peru))), on=days(0)
        )
        assert [one.kind for one in line.coverage] == ["capacity_building"]
        assert line.coverage[0].open
        assert line.cover.share == 60
        assert len(line.best) == 3
        assert line.best[0].points >= line.best[1].points

    def test_the_number_of_queries_does_not_grow(self, exchange, session, peru, count_queries):
        def queries() -> int:
            needs = list(session.scalars(own_live_needs(peru)))
            lay_out_needs(exchange, session, needs, on=days(0))
            session.expire_all()
            needs = list(session.scalars(own_live_needs(peru)))
            with count_queries() as statements:
                lay_out_needs(exchange, session, needs, on=days(0))
            return len(statements)

        def fill(number: int) -> None:
            for _ in range(number):
                post_need(session)
                post_offer(session)
            session.flush()

        fill(3)
        before = queries()
        fill(9)
        assert queries() <= before + 3


def test_the_country_is_pictured_in_figures(session, peru):
    need = post_need(session, ilac_areas=["2"])
    post_need(session, themes=["water"], ilac_areas=["2"])
    post_need(session, "gov-ec")
    make_agreement(session, need, post_offer(session))
    session.flush()
    sketch = sketch_country(session, peru)
    assert sketch.posts["theme"] == {"sustainable_public_procurement": 1, "water": 1}
    assert sketch.posts["ilac_area"] == {"2": 2}
    assert sum(sketch.agreements.values()) == 1
    argentina = make_person(session, Role.FOCAL_POINT, "gov-ar")
    codes = {force.organisation.code for force in sketch_country(session, argentina).task_forces}
    assert {"tf-procurement", "tf-lifestyles", "tf-education"} <= codes


class TestRankedNeeds:
    def ranked(self, exchange, session, by, **filters):
        offers = list(session.scalars(own_offers(by)))
        return rank_across(exchange, session, offers, NeedFilter(**filters), on=days(0))

    @pytest.fixture
    def caf(self, session):
        return make_person(session, Role.PROVIDER, "caf")

    def test_each_need_stands_once_with_its_best_offer(self, exchange, session, caf):
        buyers = post_need(session)
        beaches = post_need(session, themes=[TOURISM])
        training = post_offer(session, "caf")
        fund = post_offer(session, "caf", themes=[TOURISM])
        post_offer(session, themes=[TOURISM])
        session.flush()
        found = self.ranked(exchange, session, caf)
        assert {(r.need_id, r.offer_id) for r in found} == {
            (buyers.id, training.id),
            (beaches.id, fund.id),
        }
        assert [r.place for r in found] == [1, 2]
        assert found[0].micro_points >= found[1].micro_points
        rows = with_reasons(exchange, session, found, on=days(0))
        assert [row.need.id for row in rows] == [r.need_id for r in found]

    def test_filters_narrow_it(self, exchange, session, caf):
        post_need(session)
        beaches = post_need(session, "gov-bb", themes=[TOURISM])
        post_offer(session, "caf", themes=[TOURISM])
        session.flush()
        for filters in (
            {"themes": (TOURISM,)},
            {"subregions": ("caribbean",)},
        ):
            assert [r.need_id for r in self.ranked(exchange, session, caf, **filters)] == [
                beaches.id
            ]
        assert self.ranked(exchange, session, caf, support_kinds=("finance",)) == []
        bands = {r.band for r in self.ranked(exchange, session, caf)}
        for band in bands:
            narrowed = self.ranked(exchange, session, caf, bands=(band,))
            assert {r.band for r in narrowed} == {band}

    def test_what_has_begun_is_told(self, exchange, session, caf):
        need, offer = post_need(session), post_offer(session, "caf")
        session.add(Match(need=need, offer=offer, status=MatchStatus.MUTUAL))
        session.flush()
        found = self.ranked(exchange, session, caf)
        (row,) = with_reasons(exchange, session, found, on=days(0))
        assert row.life.status == MatchStatus.MUTUAL

    def test_without_offers_there_is_nothing(self, exchange, session, caf):
        post_need(session)
        assert self.ranked(exchange, session, caf) == []
