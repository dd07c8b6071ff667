"""Random exchanges for the clearing's tests, and plain ways to check a result."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Exchange:
    """What ``clear`` is given: pairs with scores, demand, capacity, groups and a pair limit."""

    need: Whole
    offer: Whole
    score: NDArray[np.float64]
    demand: Whole
    capacity: Whole
    groups: Whole
    pair_limit: int | None = 1

    @property
    def scores(self) -> Any:
        shape = (len(self.demand), len(self.capacity))
        return sparse.coo_array((self.score, (self.need, self.offer)), shape=shape)

    def cleared(self, clear: Any, **options: Any) -> Any:
        """Clear it, with its groups and pair limit unless told otherwise."""
        return clear(
            self.scores,
            self.demand,
            self.capacity,
            **{"groups": self.groups, "pair_limit": self.pair_limit, **options},
        )

    def relabelled(self, needs: Whole, offers: Whole, groups: Whole) -> "Exchange":
        """List the same posts in another order, and number the groups anew."""
        row, column = np.argsort(needs), np.argsort(offers)
        return replace(
            self,
            need=row[self.need],
            offer=column[self.offer],
            demand=self.demand[needs],
            capacity=self.capacity[offers],
            groups=groups[self.groups[needs]],
        )

    def flows(self) -> Iterator[Whole]:
        """Every flow there is, as places of each pair; for small exchanges."""
        most = np.minimum(self.demand[self.need], self.capacity[self.offer])
        if self.pair_limit is not None:
            most = np.minimum(most, self.pair_limit)
        for places in itertools.product(*(range(int(top) + 1) for top in most)):
            flow = np.array(places, np.int64)
            served = np.bincount(self.need, flow, len(self.demand))
            used = np.bincount(self.offer, flow, len(self.capacity))
            if (served <= self.demand).all() and (used <= self.capacity).all():
                yield flow

    def levels(self, flow: Whole) -> NDArray[np.float64]:
        """Mean score per place asked of each group that can be served, ascending."""
        most = np.minimum(self.demand[self.need], self.capacity[self.offer])
        if self.pair_limit is not None:
            most = np.minimum(most, self.pair_limit)
        reach = np.bincount(self.need, most, len(self.demand))
        asked = np.bincount(self.groups, np.minimum(self.demand, reach))
        points = np.bincount(self.groups[self.need], self.score * flow, len(asked))
        return np.sort(points[asked > 0] / asked[asked > 0])


@st.composite
def exchanges(draw: st.DrawFn, most: int = 5, places: int = 3, pairs: int = 25) -> Exchange:
    """Draw an exchange: sparse or full, with ties or without, some posts without any place."""
    needs, offers = draw(st.integers(1, most)), draw(st.integers(1, most))
    eligible = draw(
        st.lists(
            st.tuples(st.integers(0, needs - 1), st.integers(0, offers - 1)),
            unique=True,
            max_size=pairs,
        )
    )
    tied = st.integers(-2, 5).map(float)
    free = st.floats(-10, 100, allow_nan=False).map(lambda score: round(score, 6))
    score = draw(
        st.lists(
            draw(st.sampled_from([tied, free])), min_size=len(eligible), max_size=len(eligible)
        )
    )
    amounts = st.integers(0, places)
    at = np.array(eligible, np.int64).reshape(-1, 2)
    return Exchange(
        need=at[:, 0],
        offer=at[:, 1],
        score=np.array(score, np.float64),
        demand=np.array(draw(st.lists(amounts, min_size=needs, max_size=needs)), np.int64),
        capacity=np.array(draw(st.lists(amounts, min_size=offers, max_size=offers)), np.int64),
        groups=np.array(
            draw(st.lists(st.integers(0, 2), min_size=needs, max_size=needs)), np.int64
        ),
        pair_limit=draw(st.sampled_from([1, 2, None])),
    )


def large_exchange(
    needs: int, offers: int, candidates: int, *, seed: int = 0, groups: int = 33
) -> Exchange:
    """Draw an exchange of a real size: scores of 0 to 100, one to three places a post."""
    random = np.random.default_rng(seed)
    offer = np.concatenate([random.choice(offers, candidates, replace=False) for _ in range(needs)])
    return Exchange(
        need=np.repeat(np.arange(needs), candidates),
        offer=offer,
        score=random.random(needs * candidates) * 100,
        demand=random.integers(1, 4, needs),
        capacity=random.integers(1, 4, offers),
        groups=random.integers(0, groups, needs),
    )
