"""The exchange to be cleared: pairs, places and rules, read from the caller's arrays and checked."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from matching.clearing.error import ClearingError
from matching.clearing.order import (
    Colours,
    Flags,
    Floats,
    Graph,
    Indices,
    canonical_order,
    real,
    whole,
)

Sparse: TypeAlias = Any
"""A SciPy sparse array; SciPy ships no types."""
Pair: TypeAlias = tuple[int, int]
"""Positions of a need and of an offer."""

UNLIMITED = 2**62
"""Pair limit of pairs that have none."""
LARGEST = 2**53
"""Whole numbers up to this are exact in the solver's floating point."""


@dataclass(frozen=True, slots=True)
class Floor:
    """A promise to some needs together: no fewer places than these.

    Parameters
    ----------
    needs
        Positions of the needs, such as those of the small island states.
    places
        Least places that they get in all.
    """

    needs: tuple[int, ...]
    places: int


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Needs, offers and the pairs that may be, in canonical order (``order.py``).

    Attributes
    ----------
    need, offer
        Row of each pair's need and offer, (pairs,); pairs stand by need, then by offer.
    score
        Score of each pair, (pairs,).
    least, limit
        Places that a pair must have and may have, (pairs,).
    demand, exact
        Places that each need wants, and whether exactly so, (needs,).
    capacity
        Places that each offer has, (offers,).
    group
        Group of each need, (needs,), numbered by first appearance.
    floors
        Rows of the needs of each floor, and its places.
    need_at, offer_at, group_at
        Position in the caller's arrays of each need and offer, and the caller's number of each
        group.
    group_labels
        One more than the greatest group of the caller.
    unit
        Places that count as one in linear programs: a power of two, so that whole places stay
        whole. 1, unless the places are amounts of money.
    """

    need: Indices
    offer: Indices
    score: Floats
    least: Indices
    limit: Indices
    demand: Indices
    exact: Flags
    capacity: Indices
    group: Indices
    floors: tuple[tuple[Indices, int], ...]
    need_at: Indices
    offer_at: Indices
    group_at: Indices
    group_labels: int
    unit: float = 1.0

    @property
    def pairs(self) -> int:
        return len(self.need)

    @property
    def needs(self) -> int:
        return len(self.demand)

    @property
    def offers(self) -> int:
        return len(self.capacity)

    @property
    def scale(self) -> float:
        """The greatest score, whatever its sign; 1 where all are zero."""
        largest = float(np.abs(self.score).max(initial=0.0))
        return largest if largest > 0 else 1.0

    @property
    def most(self) -> Indices:
        """Most places that a pair could have, (pairs,)."""
        return np.minimum(self.limit, np.minimum(self.demand[self.need], self.capacity[self.offer]))

    @property
    def asked(self) -> Indices:
        """Places that each need asks for, as far as offers could give them, (needs,)."""
        return np.minimum(self.demand, sum_at(self.need, self.most, self.needs))

    def served(self, flow: Indices) -> Indices:
        """Places that each need gets, (needs,)."""
        return sum_at(self.need, flow, self.needs)

    def used(self, flow: Indices) -> Indices:
        """Places that each offer gives, (offers,)."""
        return sum_at(self.offer, flow, self.offers)

    def total(self, flow: Indices) -> float:
        """Sum of scores, rounded once, so that it does not hang on the order of posts."""
        given = np.flatnonzero(flow)
        return math.fsum((self.score[given] * flow[given]).tolist()) + 0.0

    def pairs_at(self, chosen: Flags) -> list[Pair]:
        """The chosen pairs as the caller knows them."""
        needs, offers = self.need_at[self.need[chosen]], self.offer_at[self.offer[chosen]]
        return [(int(need), int(offer)) for need, offer in zip(needs, offers, strict=True)]

    def to_matrix(self, values: NDArray[Any], chosen: Flags) -> Sparse:
        """Lay out values of the chosen pairs as the caller's matrix, (needs, offers)."""
        rows, columns = self.need_at[self.need[chosen]], self.offer_at[self.offer[chosen]]
        return sparse.coo_array(
            (values[chosen], (rows, columns)), shape=(self.needs, self.offers)
        ).tocsr()


def sum_at(at: Indices, values: Indices, count: int) -> Indices:
    """Add whole numbers up by position, exactly: (count,)."""
    sums = np.zeros(count, np.int64)
    np.add.at(sums, at, values)
    return sums


def read_market(
    scores: Sparse,
    demand: ArrayLike,
    capacity: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    pair_limit: int | Sparse | None = 1,
    exact: bool | ArrayLike = False,
    forced: Iterable[Pair] = (),
    forbidden: Iterable[Pair] = (),
    fixed: Mapping[Pair, int] | None = None,
    floors: Sequence[Floor] = (),
    names: tuple[str, str] = ("demand", "capacity"),
) -> Market:
    """Check the input of ``clear`` and put it in canonical order.

    Parameters
    ----------
    names
        What demand and capacity are called in errors; the others are those of ``clear``.

    Raises
    ------
    ClearingError
        The input is malformed, or pairs that must be cannot be together.
    """
    need, offer, score, shape = _read_scores(scores)
    wanted = read_amounts(demand, shape[0], names[0])
    given = read_amounts(capacity, shape[1], names[1])
    limit = _read_limits(pair_limit, need, offer, shape)
    least = np.zeros(len(need), np.int64)
    key = need * max(shape[1], 1) + offer

    banned = _find(list(forbidden), shape, key)
    banned = banned[banned >= 0]
    wished = _find(list(forced), shape, key)
    agreed = dict(fixed or {})
    kept = _find(list(agreed), shape, key)
    _refuse_missing(list(forced), wished)
    _refuse_missing(list(agreed), kept)
    amounts = read_amounts(list(agreed.values()), len(agreed), "fixed")
    if len(above := np.flatnonzero(amounts > limit[kept])):
        raise ClearingError(
            "fixed_above_limit",
            "Pairs are fixed at more places than a pair may have.",
            pairs=[list(agreed)[at] for at in above],
        )
    least[kept] = limit[kept] = amounts
    least[wished] = np.maximum(least[wished], 1)
    limit[banned] = 0
    if (shut := least > limit).any():
        raise ClearingError(
            "forced_and_forbidden",
            "Pairs are both required and ruled out.",
            pairs=zip(need[shut], offer[shut], strict=True),
        )
    _refuse_conflict(need, offer, least, wanted, given)

    open_pairs = limit > 0
    need, offer, score = need[open_pairs], offer[open_pairs], score[open_pairs]
    least, limit = least[open_pairs], limit[open_pairs]
    if np.minimum(limit, np.minimum(wanted[need], given[offer])).sum(dtype=float) > LARGEST:
        raise ClearingError(
            "amount_too_large",
            f"Pairs could have more than {LARGEST} places in all; set a pair limit.",
        )
    exactly = np.broadcast_to(np.asarray(exact, bool), (shape[0],))
    return _arrange(
        need,
        offer,
        score,
        least,
        limit,
        wanted,
        exactly,
        given,
        _read_groups(groups, shape[0]),
        _read_floors(floors, shape[0]),
    )


def _read_scores(scores: Sparse) -> tuple[Indices, Indices, Floats, tuple[int, int]]:
    if not sparse.issparse(scores) or len(scores.shape) != 2:
        raise ClearingError(
            "scores_not_sparse",
            "Scores are a SciPy sparse array, needs × offers: what is not stored is not eligible.",
        )
    entries = scores.tocoo()
    if entries.dtype.kind not in "biuf":
        raise ClearingError("scores_not_real", "Scores are real numbers.")
    need, offer = (np.asarray(at, np.int64) for at in entries.coords)
    score = np.asarray(entries.data, np.float64)
    if len(bad := np.flatnonzero(~np.isfinite(score))):
        raise ClearingError(
            "score_not_finite",
            "Scores are not finite.",
            pairs=zip(need[bad], offer[bad], strict=True),
        )
    order = np.lexsort((offer, need))
    need, offer, score = need[order], offer[order], score[order]
    twice = np.flatnonzero((np.diff(need) == 0) & (np.diff(offer) == 0))
    if len(twice):
        raise ClearingError(
            "pair_given_twice",
            "Pairs have more than one score.",
            pairs=zip(need[twice], offer[twice], strict=True),
        )
    return need, offer, score, (int(scores.shape[0]), int(scores.shape[1]))


def read_amounts(amounts: ArrayLike, count: int, name: str) -> Indices:
    """Read whole amounts, (count,), none of them negative.

    Parameters
    ----------
    name
        What they are: ``demand``, ``capacity``, … It tells which positions an error names.

    Raises
    ------
    ClearingError
        ``shape_mismatch``, ``not_whole``, ``negative_<name>`` or ``amount_too_large``.
    """
    side = {"demand": "needs", "asked": "needs", "capacity": "offers", "budgets": "offers"}

    def refuse(code: str, message: str, bad: NDArray[Any]) -> NoReturn:
        at = np.flatnonzero(bad).tolist()
        if side.get(name) == "needs":
            raise ClearingError(code, message, needs=at)
        raise ClearingError(code, message, offers=at if side.get(name) else ())

    given = np.asarray(amounts)
    if given.shape != (count,):
        raise ClearingError("shape_mismatch", f"{name} has shape {given.shape}, not ({count},).")
    if given.size == 0:
        return np.zeros(count, np.int64)
    if given.dtype.kind not in "biufO":
        refuse("not_whole", f"{name} has values that are no numbers.", np.ones(count, bool))
    try:
        real_amounts = given.astype(np.float64)
    except (TypeError, ValueError):
        refuse("not_whole", f"{name} has values that are no numbers.", np.ones(count, bool))
    fraction = ~np.isfinite(real_amounts) | (real_amounts != np.floor(real_amounts))
    if fraction.any():
        refuse("not_whole", f"{name} has values that are not whole.", fraction)
    if (real_amounts < 0).any():
        refuse(f"negative_{name}", f"{name} has negative values.", real_amounts < 0)
    if (real_amounts > UNLIMITED).any():
        refuse("amount_too_large", f"{name} has values above 2^62.", real_amounts > UNLIMITED)
    return given.astype(np.int64)


def _read_limits(
    pair_limit: int | Sparse | None, need: Indices, offer: Indices, shape: tuple[int, int]
) -> Indices:
    if pair_limit is None:
        return np.full(len(need), UNLIMITED)
    if isinstance(pair_limit, int | np.integer):
        return np.full(len(need), int(read_amounts([int(pair_limit)], 1, "pair_limit")[0]))
    if not sparse.issparse(pair_limit) or pair_limit.shape != shape:
        raise ClearingError(
            "shape_mismatch", f"pair_limit is a whole number or a sparse array of shape {shape}."
        )
    entries = pair_limit.tocoo()
    amounts = read_amounts(entries.data, len(entries.data), "pair_limit")
    limits = sparse.csr_array((amounts, entries.coords), shape=shape)
    return np.asarray(limits[need, offer], np.int64) if len(need) else need.copy()


def _read_groups(groups: ArrayLike | None, needs: int) -> Indices:
    if groups is None:
        return np.arange(needs, dtype=np.int64)
    given = np.asarray(groups)
    if given.shape != (needs,) or (given.dtype.kind not in "iu" and needs):
        raise ClearingError("shape_mismatch", f"groups holds a whole number for each of {needs}.")
    if (bad := np.flatnonzero(given < 0)).size:
        raise ClearingError("negative_group", "Groups are numbered from 0.", needs=bad.tolist())
    return given.astype(np.int64)


def _read_floors(floors: Sequence[Floor], needs: int) -> tuple[tuple[Indices, int], ...]:
    read = []
    for number, floor in enumerate(floors):
        members = np.unique(np.asarray(floor.needs, np.int64))
        if floor.places < 0 or (members.size and not (0 <= members[0] <= members[-1] < needs)):
            raise ClearingError(
                "bad_floor",
                "A floor names needs of the exchange and promises a number of places.",
                floors=[number],
            )
        read.append((members, int(floor.places)))
    return tuple(read)


def _find(pairs: list[Pair], shape: tuple[int, int], key: Indices) -> Indices:
    """Where pairs stand among the eligible ones; −1 for those that do not, (len(pairs),)."""
    at = np.asarray(pairs, np.int64).reshape(-1, 2)
    outside = (at < 0).any(axis=1) | (at >= np.asarray(shape)).any(axis=1)
    if outside.any():
        raise ClearingError(
            "pair_out_of_range",
            "Pairs name needs or offers that are not in the exchange.",
            pairs=[pairs[row] for row in np.flatnonzero(outside)],
        )
    wanted = at[:, 0] * max(shape[1], 1) + at[:, 1]
    place = np.searchsorted(key, wanted)
    found = place < len(key)
    found[found] = key[place[found]] == wanted[found]
    return place[found] if found.all() else np.where(found, place, -1)


def _refuse_missing(pairs: list[Pair], found: Indices) -> None:
    if (found < 0).any():
        raise ClearingError(
            "pair_not_eligible",
            "Pairs that must be are not eligible: they have no score.",
            pairs=[pairs[row] for row in np.flatnonzero(found < 0)],
        )


def _refuse_conflict(
    need: Indices, offer: Indices, least: Indices, demand: Indices, capacity: Indices
) -> None:
    """Name forced and fixed pairs that together exceed a demand or a capacity."""
    needs = sum_at(need, least, len(demand)) > demand
    offers = sum_at(offer, least, len(capacity)) > capacity
    if needs.any() or offers.any():
        at = (least > 0) & (needs[need] | offers[offer])
        raise ClearingError(
            "forced_pairs_conflict",
            "Pairs that must be exceed together what a need asks for or an offer has.",
            needs=np.flatnonzero(needs).tolist(),
            offers=np.flatnonzero(offers).tolist(),
            pairs=zip(need[at], offer[at], strict=True),
        )


def _arrange(
    need: Indices,
    offer: Indices,
    score: Floats,
    least: Indices,
    limit: Indices,
    demand: Indices,
    exact: Flags,
    capacity: Indices,
    group: Indices,
    floors: tuple[tuple[Indices, int], ...],
) -> Market:
    """Put a checked exchange in canonical order."""
    needs, offers = len(demand), len(capacity)
    labels = int(group.max(initial=-1)) + 1
    names, member = np.unique(group, return_inverse=True)
    clubs = [(member.astype(np.int64), len(names), 0)]
    for members, places in floors:
        inside = np.zeros(needs, np.int64)
        inside[members] = 1
        clubs.append((inside, 2, places + 1))
    pair: Colours = whole(least) ^ whole(limit + 1) + real(score)
    need_at, offer_at = canonical_order(
        Graph(need, offer, pair, tuple(clubs)),
        whole(demand) + exact.astype(np.uint64),
        whole(capacity),
    )
    row, column = np.empty(needs, np.int64), np.empty(offers, np.int64)
    row[need_at], column[offer_at] = np.arange(needs), np.arange(offers)
    order = np.lexsort((column[offer], row[need]))
    first = np.unique(group[need_at], return_index=True)
    group_at = first[0][np.argsort(first[1])]
    rank = np.zeros(labels, np.int64)
    rank[group_at] = np.arange(len(group_at))
    return Market(
        need=row[need][order],
        offer=column[offer][order],
        score=score[order],
        least=least[order],
        limit=limit[order],
        demand=demand[need_at],
        exact=exact[need_at].copy(),
        capacity=capacity[offer_at],
        group=rank[group[need_at]] if labels else group[need_at],
        floors=tuple((np.sort(row[members]), places) for members, places in floors),
        need_at=need_at,
        offer_at=offer_at,
        group_at=group_at,
        group_labels=labels,
    )
