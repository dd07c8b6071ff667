import pytest
from scipy import sparse

from matching.clearing import ClearingError, Part, Triangle, clear, split_bundles

TECHNICAL, FINANCE, TRAINING = range(3)
# A ministry asks for training and finance, a city for technical support.
WANTED = [[0, 1, 2], [1, 0, 0]]
# A ministry of the region trains, a bank pays, an agency does all three.
GIVEN = [[False, False, True], [False, True, False], [True, True, True]]
SCORES = sparse.coo_array(([90.0, 70.0, 60.0, 80.0], ([0, 0, 0, 1], [0, 1, 2, 2])), shape=(2, 3))


def test_each_kind_that_a_need_asks_for_is_a_place_of_its_own():
    bundles = split_bundles(SCORES, WANTED, GIVEN)
    assert bundles.need.tolist() == [0, 0, 1]
    assert bundles.kind.tolist() == [FINANCE, TRAINING, TECHNICAL]
    assert bundles.demand.tolist() == [1, 2, 1]
    assert bundles.spread(["PE", "CL"]).tolist() == ["PE", "PE", "CL"]
    assert bundles.scores.toarray().tolist() == [[0, 70, 60], [90, 0, 60], [0, 0, 80]]


def test_several_offers_cover_a_need_together_and_what_is_open_is_told():
    bundles = split_bundles(SCORES, WANTED, GIVEN)
    clearing = clear(bundles.scores, bundles.demand, [1, 1, 1], pair_limit=None)
    coverage = bundles.cover(clearing.flow)
    assert coverage.parts == (
        Part(need=0, kind=FINANCE, offer=1, places=1),
        Part(need=0, kind=TRAINING, offer=0, places=1),
        Part(need=1, kind=TECHNICAL, offer=2, places=1),
    )
    assert coverage.covered.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert coverage.open.tolist() == [[0, 0, 1], [0, 0, 0]]
    assert coverage.complete.tolist() == [False, True]


def test_capacity_is_shared_by_the_kinds_of_an_offer():
    bundles = split_bundles(SCORES, WANTED, GIVEN)
    clearing = clear(bundles.scores, bundles.demand, [0, 0, 2], pair_limit=None)
    assert clearing.flow.sum() == 2


def test_a_provider_of_the_region_and_a_donor_make_a_triangle():
    bundles = split_bundles(SCORES, WANTED, GIVEN)
    flow = clear(bundles.scores, bundles.demand, [2, 1, 1], pair_limit=None).flow
    coverage = bundles.cover(flow)
    regional = [True, False, False]
    assert coverage.triangles(regional, {FINANCE}) == (Triangle(need=0, provider=0, donor=1),)
    assert coverage.triangles([False, False, True], {FINANCE}) == ()
    assert coverage.triangles(regional, {FINANCE}, organisations=[7, 7, 8]) == ()


def test_rows_are_found_for_pairs_that_must_be():
    bundles = split_bundles(SCORES, WANTED, GIVEN)
    assert bundles.row(0, TRAINING) == 1
    with pytest.raises(ClearingError) as refusal:
        bundles.row(1, FINANCE)
    assert (refusal.value.code, refusal.value.needs) == ("kind_not_asked", (1,))
    assert bundles.pairs([(0, 2)]) == [(0, 2), (1, 2)]
    clearing = clear(
        bundles.scores,
        bundles.demand,
        [2, 1, 1],
        pair_limit=None,
        forced=[(bundles.row(0, TRAINING), 2)],
        forbidden=bundles.pairs([(0, 1)]),
    )
    assert bundles.cover(clearing.flow).parts == (
        Part(need=0, kind=TRAINING, offer=0, places=1),
        Part(need=0, kind=TRAINING, offer=2, places=1),
    )


def test_a_stored_zero_stays_eligible():
    scores = sparse.coo_array(([0.0], ([0], [0])), shape=(1, 1))
    assert split_bundles(scores, [[1]], [[True]]).scores.nnz == 1


def test_malformed_bundles_are_refused():
    for wanted, given in ((WANTED, GIVEN[:2]), (WANTED[:1], GIVEN), ([[1], [1]], GIVEN)):
        with pytest.raises(ClearingError) as refusal:
            split_bundles(SCORES, wanted, given)
        assert refusal.value.code == "shape_mismatch"
    with pytest.raises(ClearingError) as refusal:
        split_bundles(SCORES, [[0, -1, 2], [1, 0, 0]], GIVEN)
    assert refusal.value.code == "negative_wanted"
