"""Pilot partners: named contributions that add up, whoever has posted or not."""

from hypothesis import given
from hypothesis import strategies as st

from matching.partners import ENOUGH, POINTS, Candidate, Fact, rank_partners
from matching.score import MICRO
from tests.matching.factories import THEMES, make_taxonomy

TERMS = make_taxonomy().themes


def fact(contribution, *themes, key="row"):
    return Fact(contribution, key, frozenset(themes))


def country(code, *facts, served=0):
    return Candidate(code, "country", code, facts, served)


def contributions(partner):
    return {part.name: part.micro_points / MICRO for part in partner.contributions}


def test_the_points_are_a_hundred_in_all():
    assert sum(POINTS.values()) == 100
    assert POINTS.keys() == ENOUGH.keys()


def test_a_member_that_has_posted_nothing_is_found():
    member, other = country("PE", fact("membership", "procurement")), country("CO")
    ranked = rank_partners([other, member], ["procurement"], TERMS)
    assert [partner.candidate.code for partner in ranked] == ["PE", "CO"]
    assert [partner.points for partner in ranked] == [30.0, 0.0]
    assert [part.name for part in ranked[0].reasons] == ["membership"]
    assert ranked[1].reasons == ()


def test_a_related_theme_counts_in_part_and_another_not_at_all():
    same, near, far = (
        country(code, fact("pilots", theme))
        for code, theme in (("PE", "procurement"), ("CO", "labels"), ("AR", "water"))
    )
    ranked = rank_partners([far, near, same], ["procurement"], TERMS)
    assert [contributions(partner)["pilots"] for partner in ranked] == [15.0, 3.75, 0.0]
    assert ranked[2].contributions[1].facts == ()


def test_more_than_enough_earns_no_more():
    posts = [fact("posts", "tourism", key=str(n)) for n in range(9)]
    busy, content = country("MX", *posts), country("BB", *posts[:3])
    ranked = rank_partners([busy, content], ["tourism"], TERMS)
    assert {partner.points for partner in ranked} == {POINTS["posts"]}
    assert len(ranked[0].reasons[0].facts) in (3, 9)


def test_of_equals_the_less_served_stands_first_and_is_marked():
    facts = (fact("membership", "water"),)
    served, left_out = country("AR", *facts, served=4), country("LC", *facts)
    ranked = rank_partners([served, left_out], ["water"], TERMS)
    assert [partner.candidate.code for partner in ranked] == ["LC", "AR"]
    assert [partner.least_served for partner in ranked] == [True, False]


def test_being_less_served_moves_nobody_past_a_better_candidate():
    better = country("AR", fact("membership", "water"), served=9)
    ranked = rank_partners([country("LC", fact("posts", "water")), better], ["water"], TERMS)
    assert ranked[0].candidate is better


def test_nobody_is_called_least_served_where_nobody_was_served():
    ranked = rank_partners([country("AR"), country("LC")], ["water"], TERMS)
    assert not any(partner.least_served for partner in ranked)


some_facts = st.builds(
    Fact,
    st.sampled_from(sorted(POINTS)),
    st.text("abc", min_size=1, max_size=3),
    st.frozensets(st.sampled_from(THEMES), max_size=3),
)
SERVED = {"AR": 5, "BB": 0, "PE": 2}
some_candidates = st.lists(
    st.builds(
        lambda code, kind, home, facts: Candidate(code, kind, home, tuple(facts), SERVED[home]),
        st.sampled_from(["AR", "BB", "PE", "MX", "LC"]),
        st.sampled_from(["country", "institution"]),
        st.sampled_from(sorted(SERVED)),
        st.lists(some_facts, max_size=8),
    ),
    max_size=8,
    unique_by=lambda c: (c.kind, c.code),
)
some_themes = st.frozensets(st.sampled_from(THEMES), min_size=1, max_size=3)


@given(some_candidates, some_themes)
def test_contributions_add_up_to_the_score_exactly_and_stay_within_their_points(candidates, themes):
    for partner in rank_partners(candidates, themes, TERMS):
        assert sum(part.micro_points for part in partner.contributions) == partner.micro_points
        assert all(0 <= part.micro_points <= part.possible for part in partner.contributions)
        assert 0 <= partner.points <= 100


@given(some_candidates, some_themes)
def test_the_order_of_the_candidates_changes_nothing(candidates, themes):
    assert rank_partners(candidates, themes, TERMS) == rank_partners(
        candidates[::-1], themes, TERMS
    )


@given(some_candidates, some_themes, some_facts)
def test_another_fact_never_lowers_a_score(candidates, themes, more):
    for found in candidates:
        richer = Candidate(found.code, found.kind, found.country, (*found.facts, more))
        before = rank_partners([found], themes, TERMS)[0].micro_points
        assert rank_partners([richer], themes, TERMS)[0].micro_points >= before
