"""Lives: which state may follow which, said once for every noun that has one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from models.errors import InvalidTransition

S = TypeVar("S", bound=StrEnum)


class Life(Generic[S]):
    """A state machine: the moves that are allowed, and nothing else.

    Parameters
    ----------
    noun : str
        What lives, for the error (``"post"``).
    moves : mapping
        State → the states that may follow it. A state without followers is an end.
    """

    def __init__(self, noun: str, moves: Mapping[S, tuple[S, ...]]) -> None:
        self.noun = noun
        self.moves = dict(moves)

    def allows(self, now: S, then: S) -> bool:
        """Whether ``then`` may follow ``now``."""
        return then in self.moves.get(now, ())

    def check(self, now: S, then: S) -> S:
        """Return ``then`` when it may follow ``now``.

        Raises
        ------
        InvalidTransition
            With the noun, both states, and the states that would be possible.
        """
        if not self.allows(now, then):
            raise InvalidTransition(
                f"{self.noun}_transition",
                now=str(now),
                then=str(then),
                possible=[str(state) for state in self.moves.get(now, ())],
            )
        return then
