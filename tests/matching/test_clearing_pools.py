import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from matching.clearing import (
    NO_COUNTRY,
    ClearingError,
    Pool,
    clear,
    pool_needs,
    propose_pools,
)

PE, CL, LC = range(3)


def _similarity(size, **alike):
    matrix = np.eye(size)
    for pair, value in alike.items():
        one, other = (int(digit) for digit in pair.removeprefix("p"))
        matrix[one, other] = matrix[other, one] = value
    return matrix


def test_like_needs_of_several_countries_are_proposed_as_one():
    similarity = _similarity(4, p01=0.95, p02=0.9, p12=0.85, p23=0.5)
    assert propose_pools(similarity, [PE, CL, LC, PE]) == (
        Pool(needs=(0, 1, 2), countries=(PE, CL, LC), likeness=0.85),
    )


def test_a_need_does_not_come_in_by_way_of_a_neighbour():
    similarity = _similarity(3, p01=0.95, p12=0.9, p02=0.1)
    (pool,) = propose_pools(similarity, [PE, CL, LC])
    assert pool.needs == (0, 1)


def test_needs_of_one_country_are_no_pool():
    assert propose_pools(_similarity(2, p01=0.99), [PE, PE]) == ()
    assert propose_pools(_similarity(2, p01=0.99), [PE, NO_COUNTRY]) == ()


def test_a_pool_has_a_greatest_size_and_a_threshold():
    similarity = np.full((5, 5), 0.9)
    countries = [PE, CL, LC, PE, CL]
    assert [pool.needs for pool in propose_pools(similarity, countries, most=2)] == [
        (0, 1),
        (2, 3),
    ]
    assert propose_pools(similarity, countries, threshold=0.95) == ()


def test_half_a_sparse_matrix_is_enough():
    half = sparse.coo_array(([0.9], ([1], [0])), shape=(2, 2))
    assert propose_pools(half, [PE, CL])[0].needs == (0, 1)


@given(st.integers(2, 12), st.integers(0, 10**6))
def test_any_two_needs_of_a_pool_are_alike(size, seed):
    random = np.random.default_rng(seed)
    similarity = random.random((size, size))
    similarity = np.maximum(similarity, similarity.T)
    countries = random.integers(0, 4, size)
    pools = propose_pools(similarity, countries, threshold=0.6, most=4)
    pooled = [need for pool in pools for need in pool.needs]
    assert len(pooled) == len(set(pooled))
    for pool in pools:
        inside = similarity[np.ix_(pool.needs, pool.needs)]
        assert pool.likeness == inside[~np.eye(len(pool.needs), dtype=bool)].min() >= 0.6
        assert 2 <= len(pool.countries) <= len(pool.needs) <= 4
        assert set(pool.countries) == set(countries[list(pool.needs)].tolist())


SCORES = sparse.coo_array(
    ([80.0, 60.0, 90.0, 50.0, 70.0], ([0, 1, 2, 0, 2], [0, 0, 0, 1, 1])), shape=(3, 2)
)
POOL = Pool(needs=(0, 1), countries=(PE, CL), likeness=0.9)


def test_a_pool_makes_an_offer_for_groups_possible():
    # The course runs for ten people at least; no country has that many.
    alone = pool_needs(
        SCORES, [6, 6, 5], [POOL], [False, False, False], [PE, CL, LC], group_least=[10, 0]
    )
    assert alone.members == ((0,), (1,), (2,))
    assert alone.scores.toarray().tolist() == [[0, 50], [0, 0], [0, 70]]
    pooled = pool_needs(
        SCORES, [6, 6, 5], [POOL], [True, True, True], [PE, CL, LC], group_least=[10, 0]
    )
    assert pooled.members == ((2,), (0, 1))
    assert pooled.demand.tolist() == [5, 12]
    # The mean of 80 and 60; the second offer cannot serve both.
    assert pooled.scores.toarray().tolist() == [[0, 70], [70, 0]]
    assert pooled.groups([PE, CL, LC]).tolist() == [LC, 3]


def test_what_a_pool_gets_is_shared_by_what_each_asks():
    pooled = pool_needs(SCORES, [9, 3, 5], [POOL], [True] * 3, [PE, CL, LC], pair_limit=9)
    assert pooled.limit.toarray().tolist() == [[9, 9], [18, 0]]
    clearing = clear(pooled.scores, pooled.demand, [8, 1], pair_limit=pooled.limit)
    shares = pooled.share(clearing.flow)
    assert clearing.flow.toarray().tolist() == [[4, 1], [4, 0]]
    assert shares.toarray().tolist() == [[3, 0], [1, 0], [4, 1]]


def test_a_country_that_does_not_consent_stands_alone():
    pool = Pool(needs=(0, 1, 2), countries=(PE, CL, LC), likeness=0.9)
    pooled = pool_needs(SCORES, [1, 1, 1], [pool], [True, False, True], [PE, CL, LC])
    assert pooled.members == ((1,), (0, 2))
    alone = pool_needs(SCORES, [1, 1, 1], [pool], [True, True, False], [PE, PE, LC])
    assert alone.members == ((0,), (1,), (2,))


@given(st.lists(st.integers(0, 9), min_size=2, max_size=5), st.integers(0, 60))
def test_shares_add_up_and_exceed_nobodys_demand(demand, places):
    count = len(demand)
    scores = sparse.coo_array(np.ones((count, 1)))
    pool = Pool(tuple(range(count)), tuple(range(count)), 1.0)
    pooled = pool_needs(scores, demand, [pool], [True] * count, list(range(count)), pair_limit=100)
    flow = clear(pooled.scores, pooled.demand, [places], pair_limit=pooled.limit).flow
    shares = pooled.share(flow).toarray().ravel()
    assert shares.sum() == min(places, sum(demand))
    assert (shares <= demand).all()
    exact = np.array(demand) * shares.sum() / max(sum(demand), 1)
    assert (np.abs(shares - exact) < 1).all()


def test_malformed_pools_are_refused():
    for refused, code in (
        (lambda: propose_pools(np.eye(3), [PE, CL]), "shape_mismatch"),
        (lambda: propose_pools(np.full((2, 2), np.nan), [PE, CL]), "similarity_not_finite"),
        (lambda: pool_needs(SCORES, [1, 1, 1], [POOL], [True], [PE]), "shape_mismatch"),
    ):
        with pytest.raises(ClearingError) as refusal:
            refused()
        assert refusal.value.code == code
    twice = Pool(needs=(1, 2), countries=(CL, LC), likeness=0.9)
    with pytest.raises(ClearingError) as refusal:
        pool_needs(SCORES, [1, 1, 1], [POOL, twice], [True] * 3, [PE, CL, LC])
    assert (refusal.value.code, refusal.value.needs) == ("need_pooled_twice", (1,))
