"""The errors of the domain.

Every error carries a stable ``code`` and the values that its sentence needs. The sentence itself
is written by the application in the reader's language, so that no rule ever holds prose.
"""

from __future__ import annotations

from typing import Any


class DomainError(Exception):
    """Something the exchange's rules do not allow.

    Parameters
    ----------
    code : str
        Stable identifier, e.g. ``"capacity_exceeded"``; never reused with another meaning.
    **params
        Values for the sentence shown to the person (names, numbers, dates).
    """

    def __init__(self, code: str, /, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params

    def __str__(self) -> str:
        details = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return f"{self.code} ({details})" if details else self.code


class NotAllowed(DomainError):
    """The person may not do this: wrong role, wrong organisation, or not signed in."""


class NotFound(DomainError):
    """Nothing visible to this person stands under that name or number."""


class InvalidTransition(DomainError):
    """The life of the thing does not lead from its present state to the one asked for."""


class CapacityExceeded(DomainError):
    """An offer has fewer places or less money left than was asked for."""


class Conflict(DomainError):
    """Somebody else changed the same thing in the meantime, or it exists already."""


class InvalidInput(DomainError):
    """Input that breaks a rule; ``fields`` maps each field to its list of problems.

    Each problem is a ``(code, params)`` pair.
    """

    def __init__(self, fields: dict[str, Any], code: str = "invalid_input") -> None:
        super().__init__(code, fields=fields)
        self.fields = fields
