"""Pooling: like needs of several countries proposed as one regional need.

A pool counts only for the countries that consent to it. Offers that are made to groups, and would
not run for one country's few, become possible by it.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from matching.clearing.error import ClearingError
from matching.clearing.market import Sparse, read_amounts
from matching.clearing.order import Indices

NO_COUNTRY = -1
"""Country of a need that is nobody's alone; it is not pooled."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Like needs that could be one.

    Attributes
    ----------
    needs
        Positions of the needs, ascending.
    countries
        Their countries, ascending, each once.
    likeness
        Similarity of the two that are least alike.
    """

    needs: tuple[int, ...]
    countries: tuple[int, ...]
    likeness: float


def propose_pools(
    similarity: Sparse | ArrayLike,
    countries: ArrayLike,
    *,
    threshold: float = 0.8,
    most: int = 8,
) -> tuple[Pool, ...]:
    """Find groups of needs of several countries that are all alike.

    Parameters
    ----------
    similarity
        Similarity of each two needs in [0, 1], (needs, needs), dense or sparse; what is not stored
        is 0. One of the two halves is enough.
    countries
        Country of each need, (needs,); ``NO_COUNTRY`` for those that are not to be pooled.
    threshold
        Least similarity of any two needs of a pool.
    most
        Most needs in a pool.

    Returns
    -------
    Pools of two countries at least, the most countries and the most alike first. A need is in one
    pool at most.

    Raises
    ------
    ClearingError
        ``shape_mismatch`` or ``similarity_not_finite``.

    Notes
    -----
    Agglomerative clustering with complete linkage, so that no need comes in by way of a neighbour
    only; ties go to the needs listed first.
    """
    country = np.asarray(countries, np.int64)
    matrix = sparse.coo_array(similarity)
    if country.ndim != 1 or matrix.shape != (len(country), len(country)):
        raise ClearingError("shape_mismatch", "Similarity is needs × needs, countries (needs,).")
    if not np.isfinite(matrix.data).all():
        raise ClearingError("similarity_not_finite", "Similarities are not finite.")
    alike = _neighbours(matrix, country, threshold)
    members: dict[int, tuple[int, ...]] = {need: (need,) for need in alike}
    heap = [
        (-value, one, other)
        for one, near in alike.items()
        for other, value in near.items()
        if one < other
    ]
    heapq.heapify(heap)
    likeness = dict.fromkeys(alike, 1.0)
    while heap:
        value, one, other = heapq.heappop(heap)
        stale = alike.get(one, {}).get(other) != -value
        if stale or len(members[one]) + len(members[other]) > most:
            continue
        # Whoever is alike to both is as alike to the merged ones as to the farther of the two.
        left, right = alike.pop(one), alike.pop(other)
        for third in left.keys() | right.keys():
            if third not in (one, other):
                alike[third].pop(one, None)
                alike[third].pop(other, None)
        near = {third: min(left[third], right[third]) for third in left.keys() & right.keys()}
        merged = tuple(sorted(members.pop(one) + members.pop(other)))
        alike[merged[0]], members[merged[0]] = near, merged
        likeness[merged[0]] = -value
        for third, closeness in near.items():
            alike[third][merged[0]] = closeness
            pair = min(merged[0], third), max(merged[0], third)
            heapq.heappush(heap, (-closeness, *pair))
    pools = [
        Pool(needs, tuple(sorted({int(country[need]) for need in needs})), likeness[first])
        for first, needs in members.items()
    ]
    return tuple(
        sorted(
            (pool for pool in pools if len(pool.countries) > 1),
            key=lambda pool: (-len(pool.countries), -pool.likeness, pool.needs),
        )
    )


def _neighbours(matrix: Sparse, country: Indices, threshold: float) -> dict[int, dict[int, float]]:
    """The needs alike enough to each need, both ways."""
    alike: dict[int, dict[int, float]] = {}
    close = (matrix.data >= threshold) & (matrix.coords[0] != matrix.coords[1])
    close &= (country[matrix.coords[0]] != NO_COUNTRY) & (country[matrix.coords[1]] != NO_COUNTRY)
    for one, other, value in zip(
        matrix.coords[0][close].tolist(),
        matrix.coords[1][close].tolist(),
        matrix.data[close].tolist(),
        strict=True,
    ):
        best = max(float(value), alike.get(one, {}).get(other, 0.0))
        alike.setdefault(one, {})[other] = best
        alike.setdefault(other, {})[one] = best
    return alike


@dataclass(frozen=True, slots=True, eq=False)
class PooledNeeds:
    """An exchange in which each pool that holds is one need.

    Attributes
    ----------
    scores
        Sparse, (rows, offers).
    demand
        Places wanted, (rows,).
    limit
        Sparse, (rows, offers): most places that an offer gives a row, for ``pair_limit``.
    members
        Needs of each row: one, or those of a pool that consent.
    """

    scores: Sparse
    demand: Indices
    limit: Sparse
    members: tuple[tuple[int, ...], ...]
    _demand: Indices

    def groups(self, groups: ArrayLike) -> Indices:
        """Group of each row: its need's; each pool is a group of its own behind the others."""
        given = np.asarray(groups, np.int64)
        behind = int(given.max(initial=-1)) + 1
        rows = np.empty(len(self.members), np.int64)
        for row, needs in enumerate(self.members):
            rows[row] = given[needs[0]] if len(needs) == 1 else behind
            behind += len(needs) > 1
        return rows

    def share(self, flow: Sparse) -> Sparse:
        """Share out what pools get among their needs, by what each still asks for.

        Returns
        -------
        Places by need and offer: SciPy CSR array, (needs, offers), int64. The largest remainders
        are rounded up, among equals that of the need listed first.
        """
        given = flow.tocsr()
        needs: list[int] = []
        offers: list[int] = []
        places: list[int] = []
        for row, members in enumerate(self.members):
            wanted = self._demand[list(members)].copy()
            for at in range(given.indptr[row], given.indptr[row + 1]):
                parts = _apportion(int(given.data[at]), wanted)
                wanted -= parts
                needs += members
                offers += [int(given.indices[at])] * len(members)
                places += parts.tolist()
        shares = sparse.coo_array(
            (np.array(places, np.int64), (np.array(needs, np.int64), np.array(offers, np.int64))),
            shape=(len(self._demand), given.shape[1]),
        ).tocsr()
        shares.eliminate_zeros()
        return shares


def pool_needs(
    scores: Sparse,
    demand: ArrayLike,
    pools: Sequence[Pool],
    consent: ArrayLike,
    countries: ArrayLike,
    *,
    group_least: ArrayLike = 0,
    pair_limit: int = 1,
) -> PooledNeeds:
    """Make one need of each pool, for those of its needs whose country consents.

    Parameters
    ----------
    scores
        SciPy sparse array, (needs, offers), of the needs by themselves.
    demand
        Places that each need wants, (needs,).
    consent
        Whether each need's country consents to the pool that it is in, (needs,). A pool holds if
        needs of two countries are left.
    countries
        Country of each need, (needs,).
    group_least
        Least places that an offer is made for at once, (offers,) or one number for all.
    pair_limit
        Most places that an offer gives one need; a pool may have as many for each of its needs.

    Raises
    ------
    ClearingError
        ``shape_mismatch``, or ``need_pooled_twice``.

    Notes
    -----
    A pool is eligible for an offer if all its needs are; its score is the mean of theirs, weighted
    by the places that they want.
    """
    wanted = read_amounts(demand, scores.shape[0], "demand")
    country, agreed = np.asarray(countries, np.int64), np.asarray(consent, bool)
    if country.shape != wanted.shape or agreed.shape != wanted.shape:
        raise ClearingError("shape_mismatch", "Consent and countries are (needs,).")
    least = read_amounts(
        np.broadcast_to(np.asarray(group_least), (scores.shape[1],)), scores.shape[1], "group_least"
    )
    together = []
    for pool in pools:
        needs = tuple(need for need in pool.needs if agreed[need])
        if len({int(country[need]) for need in needs}) > 1:
            together.append(needs)
    pooled = [need for needs in together for need in needs]
    if len(set(pooled)) < len(pooled):
        raise ClearingError(
            "need_pooled_twice",
            "Needs are in more than one pool.",
            needs=[need for need in pooled if pooled.count(need) > 1],
        )
    alone = sorted(set(range(len(wanted))) - set(pooled))
    members = (*((need,) for need in alone), *together)
    matrix = scores.tocsr()
    row_at, offer_at, score_at = [], [], []
    for row, needs in enumerate(members):
        eligible: dict[int, list[tuple[float, float]]] = {}
        for need in needs:
            for entry in range(matrix.indptr[need], matrix.indptr[need + 1]):
                eligible.setdefault(int(matrix.indices[entry]), []).append(
                    (float(matrix.data[entry]), max(float(wanted[need]), 1e-9))
                )
        total = int(wanted[list(needs)].sum())
        for offer, found in sorted(eligible.items()):
            if len(found) == len(needs) and total >= least[offer]:
                row_at.append(row)
                offer_at.append(offer)
                values, weights = zip(*found, strict=True)
                score_at.append(float(np.average(values, weights=weights)))
    shape = (len(members), scores.shape[1])
    at = (np.array(row_at, np.int64), np.array(offer_at, np.int64))
    sizes = np.array([len(needs) for needs in members], np.int64)
    return PooledNeeds(
        scores=sparse.coo_array((np.array(score_at, np.float64), at), shape=shape).tocsr(),
        demand=np.array([wanted[list(needs)].sum() for needs in members], np.int64),
        limit=sparse.coo_array((pair_limit * sizes[at[0]], at), shape=shape).tocsr(),
        members=members,
        _demand=wanted,
    )


def _apportion(places: int, wanted: Indices) -> Indices:
    """Divide places in proportion to what is wanted, none above it (Hamilton's method)."""
    total = int(wanted.sum())
    if total <= places:
        return wanted.copy()
    parts = places * wanted // total
    remainders = places * wanted - parts * total
    first = np.argsort(-remainders, kind="stable")[: places - int(parts.sum())]
    parts[first] += 1
    return np.asarray(parts, np.int64)
