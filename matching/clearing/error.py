"""What makes a clearing impossible, named so that a person can mend it."""

from collections.abc import Iterable

import numpy as np

NAMED = 100
"""As many posts or pairs as an error names; a wrong matrix may have a million of them."""


class ClearingError(ValueError):
    """The input of a clearing cannot be, or asks for what cannot be.

    Attributes
    ----------
    code
        What is wrong, in snake_case; it never changes its meaning. The codes are listed in
        ``docs/clearing.md``.
    needs, offers, groups, floors
        Positions of the posts, groups and floors at fault.
    pairs
        Positions ``(need, offer)`` of the pairs at fault.

    Notes
    -----
    Each of them holds the first ``NAMED`` in ascending order, and is empty where it does not
    apply.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        needs: Iterable[int] = (),
        offers: Iterable[int] = (),
        groups: Iterable[int] = (),
        floors: Iterable[int] = (),
        pairs: Iterable[tuple[int, int]] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.needs = _named(needs)
        self.offers = _named(offers)
        self.groups = _named(groups)
        self.floors = _named(floors)
        self.pairs = tuple(sorted({(int(need), int(offer)) for need, offer in pairs})[:NAMED])


def solver_gave_up() -> ClearingError:
    """Say that an exchange may well have a clearing, but none was found."""
    return ClearingError(
        "solver_gave_up",
        "The solver found no clearing; fewer floors or exact demands make it easier.",
    )


def _named(positions: Iterable[int]) -> tuple[int, ...]:
    return tuple(int(position) for position in np.unique(np.asarray(list(positions), np.int64)))[
        :NAMED
    ]
