"""An order of needs and offers that follows from what they hold, not from how they are listed.

Solvers and sweeps break ties by position. Were positions those of the caller's list, listing the
same posts in another order could clear them otherwise. So every clearing is worked out in an order
of its own: colours are refined until they tell apart what scores, demand, capacity and the posts
around tell apart (Weisfeiler and Leman 1968), and posts are sorted by colour.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Colours: TypeAlias = NDArray[np.uint64]
Indices: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

SMALL = 400
"""Up to so many posts, equals are told apart one at a time: twins that are no twins are found."""


def mix(values: Colours) -> Colours:
    """Scatter numbers over 64 bits (splitmix64: Steele, Lea and Flood 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def lots(count: int) -> Floats:
    """Draw a lot in [0, 1) for each of ``count`` positions: always the same one."""
    return (mix(np.arange(count, dtype=np.uint64)) >> np.uint64(11)) / float(2**53)


def whole(values: NDArray[np.int64]) -> Colours:
    """Colours of whole numbers."""
    return mix(values.astype(np.uint64))


def real(values: Floats) -> Colours:
    """Colours of real numbers; the two zeros are one."""
    return mix((values + 0.0).view(np.uint64))


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Needs and offers with a colour each, and the pairs between them.

    Parameters
    ----------
    need, offer
        Position of each pair's need and offer, (pairs,).
    pair
        Colour of each pair, (pairs,).
    clubs
        Ways to group the needs: the group of each need, (needs,), how many groups there are, and
        a number that tells this way from the others.
    """

    need: Indices
    offer: Indices
    pair: Colours
    clubs: tuple[tuple[Indices, int, int], ...]

    def refine(self, needs: Colours, offers: Colours) -> tuple[Colours, Colours]:
        """Add to every colour what is around, until that tells no more posts apart."""
        shades = 0
        while (told := _shades(needs) + _shades(offers)) > shades:
            shades = told
            seen = mix(self.pair ^ offers[self.offer])
            shown = mix(self.pair ^ mix(needs)[self.need])
            needs = mix(needs) + _gather(self.need, seen, len(needs))
            offers = mix(offers) + _gather(self.offer, shown, len(offers))
            for member, clubs, number in self.clubs:
                club = mix(_gather(member, mix(needs + np.uint64(number)), clubs))
                needs = mix(needs) + club[member]
        return needs, offers


def _gather(at: Indices, colours: Colours, count: int) -> Colours:
    """Add up colours by position, around 2⁶⁴: a colour of the multiset."""
    sums = np.zeros(count, np.uint64)
    np.add.at(sums, at, colours)
    return sums


def _shades(colours: Colours) -> int:
    return len(np.unique(colours))


def canonical_order(graph: Graph, needs: Colours, offers: Colours) -> tuple[Indices, Indices]:
    """Order needs and offers by what they hold.

    Returns
    -------
    The positions of needs and of offers in that order. Posts that nothing tells apart (twins)
    stand in the order of the list; above ``SMALL`` posts, so do a few that only a search would
    tell apart.
    """
    needs, offers = graph.refine(needs, offers)
    if len(needs) + len(offers) <= SMALL:
        while (twin := _first_twin(needs)) is not None:
            needs = needs.copy()
            needs[twin] = mix(needs[twin : twin + 1] ^ np.uint64(1))[0]
            needs, offers = graph.refine(needs, offers)
        while (twin := _first_twin(offers)) is not None:
            offers = offers.copy()
            offers[twin] = mix(offers[twin : twin + 1] ^ np.uint64(1))[0]
            needs, offers = graph.refine(needs, offers)
    return np.argsort(needs, kind="stable"), np.argsort(offers, kind="stable")


def _first_twin(colours: Colours) -> int | None:
    """The first in the list of those that share the least colour that is shared."""
    _, first, count = np.unique(colours, return_index=True, return_counts=True)
    shared = np.flatnonzero(count > 1)
    return int(first[shared[0]]) if len(shared) else None
