"""Agreements: the public register, negotiation by versions, signature, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint

pages = Blueprint("agreements", __name__)

F = TypeVar("F", bound=Callable[..., Any])

SPARE_ROWS = 3
"""Empty rows for further milestones and indicators, which a form without JavaScript cannot add."""
