"""Bundles: a need that asks for several kinds of support, served by several offers together.

Each kind that a need asks for becomes a place of its own in the exchange, so that one offer may
give the training and another the finance. Who then stands together is read off the flow, among them
triangular cooperation: a need, a provider from the region, and a donor that pays.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from matching.clearing.error import ClearingError
from matching.clearing.market import Pair, Sparse, read_amounts
from matching.clearing.order import Flags, Indices


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """What one offer gives of a bundle.

    Attributes
    ----------
    need, kind, offer
        Positions of the need, the kind of support and the offer.
    places
        Places given.
    """

    need: int
    kind: int
    offer: int
    places: int


@dataclass(frozen=True, slots=True, order=True)
class Triangle:
    """Triangular cooperation: a provider from the region serves a need, and a donor pays.

    Attributes
    ----------
    need, provider, donor
        Positions of the need and of the two offers.
    """

    need: int
    provider: int
    donor: int


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """How far bundles are covered.

    Attributes
    ----------
    wanted, covered, open
        Places of each kind, (needs, kinds).
    parts
        Who gives what, by need, kind and offer.
    """

    wanted: Indices
    covered: Indices
    open: Indices
    parts: tuple[Part, ...]

    @property
    def complete(self) -> Flags:
        """Needs that get all that they ask for, (needs,)."""
        return np.asarray((self.open == 0).all(axis=1) & (self.wanted > 0).any(axis=1))

    def triangles(
        self,
        regional: ArrayLike,
        paying: Collection[int],
        organisations: ArrayLike | None = None,
    ) -> tuple[Triangle, ...]:
        """Find the needs that a provider from the region serves and another party pays for.

        Parameters
        ----------
        regional
            Whether each offer comes from the region, (offers,).
        paying
            Kinds by which an offer pays: those of finance.
        organisations
            Who makes each offer, (offers,): nobody pays for itself. By default each offer is
            somebody else's.
        """
        home = np.asarray(regional, bool)
        of = np.arange(len(home)) if organisations is None else np.asarray(organisations)
        donors: dict[int, set[int]] = {}
        for part in self.parts:
            if part.kind in paying:
                donors.setdefault(part.need, set()).add(part.offer)
        return tuple(
            sorted(
                {
                    Triangle(part.need, part.offer, donor)
                    for part in self.parts
                    if part.kind not in paying and home[part.offer]
                    for donor in donors.get(part.need, ())
                    if of[donor] != of[part.offer]
                }
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class Bundles:
    """An exchange in which each kind that a need asks for is a row of its own.

    Attributes
    ----------
    scores
        Sparse, (rows, offers): the need's score with each offer that gives the row's kind.
    demand
        Places wanted, (rows,).
    need, kind
        Which need's and which kind's each row is, (rows,).
    wanted
        Places of each kind, (needs, kinds).
    """

    scores: Sparse
    demand: Indices
    need: Indices
    kind: Indices
    wanted: Indices

    def spread(self, values: ArrayLike) -> NDArray[np.generic]:
        """Give each row what is its need's, such as the need's group: (needs,) → (rows,)."""
        return np.asarray(np.asarray(values)[self.need])

    def row(self, need: int, kind: int) -> int:
        """Row of a need's kind, to name it in forced, forbidden or fixed pairs.

        Raises
        ------
        ClearingError
            The need does not ask for that kind.
        """
        found = np.flatnonzero((self.need == need) & (self.kind == kind))
        if not len(found):
            raise ClearingError(
                "kind_not_asked", "The need does not ask for this kind.", needs=[need]
            )
        return int(found[0])

    def pairs(self, pairs: Collection[Pair]) -> list[Pair]:
        """Pairs of rows and offers from pairs of needs and offers: one for each kind asked."""
        return [
            (int(row), offer) for need, offer in pairs for row in np.flatnonzero(self.need == need)
        ]

    def cover(self, flow: Sparse) -> Coverage:
        """Read off a flow over the rows how far each need's bundle is covered."""
        given = flow.tocoo()
        row, offer = given.coords
        covered = np.zeros_like(self.wanted)
        np.add.at(covered, (self.need[row], self.kind[row]), given.data)
        parts = sorted(
            Part(int(self.need[at]), int(self.kind[at]), int(to), int(places))
            for at, to, places in zip(row, offer, given.data, strict=True)
            if places
        )
        return Coverage(self.wanted, covered, self.wanted - covered, tuple(parts))


def split_bundles(scores: Sparse, wanted: ArrayLike, given: ArrayLike) -> Bundles:
    """Make each kind of support that a need asks for a place of its own.

    Parameters
    ----------
    scores
        SciPy sparse array, (needs, offers); a pair that is not stored is not eligible.
    wanted
        Places of each kind that each need asks for, (needs, kinds), whole numbers.
    given
        Which kinds each offer gives, (offers, kinds). An offer's capacity is shared by its kinds.

    Raises
    ------
    ClearingError
        ``shape_mismatch``, or an amount is negative or not whole.

    Examples
    --------
    A need asks for training (kind 0) and finance (kind 1); two offers serve it together.

    >>> from scipy.sparse import coo_array
    >>> from matching.clearing import clear
    >>> scores = coo_array(([80.0, 60.0], ([0, 0], [0, 1])))
    >>> bundles = split_bundles(scores, wanted=[[2, 1]], given=[[True, False], [False, True]])
    >>> flow = clear(bundles.scores, bundles.demand, capacity=[5, 5], pair_limit=None).flow
    >>> bundles.cover(flow).complete.tolist()
    [True]
    """
    asked, gives = np.asarray(wanted), np.asarray(given, bool)
    matrix = scores.tocsr() if sparse.issparse(scores) else None
    if (
        matrix is None
        or asked.ndim != 2
        or gives.ndim != 2
        or matrix.shape != (len(asked), len(gives))
        or asked.shape[1] != gives.shape[1]
    ):
        raise ClearingError(
            "shape_mismatch",
            "Scores are sparse, needs × offers; wanted is needs × kinds, given offers × kinds.",
        )
    places = read_amounts(asked.ravel(), asked.size, "wanted").reshape(asked.shape)
    need, kind = np.nonzero(places)
    entries = matrix[need].tocoo()
    row, offer = (np.asarray(at, np.int64) for at in entries.coords)
    possible = gives[offer, kind[row]]
    return Bundles(
        scores=sparse.coo_array(
            (entries.data[possible], (row[possible], offer[possible])),
            shape=(len(need), len(gives)),
        ).tocsr(),
        demand=places[need, kind],
        need=need.astype(np.int64),
        kind=kind.astype(np.int64),
        wanted=places,
    )
