"""Whom a token acts for."""

from __future__ import annotations

from typing import Any

from broker.api.caller import token
from broker.api.door import Door
from broker.api.said import MeSaid
from broker.api.shapes import organisation_name, plain
from broker.web.access import SIGNED_IN

doors = Door("api_account", __name__, description="Whom the token acts for")


@doors.opens("GET", "/me", roles=SIGNED_IN, gives=MeSaid)
def me() -> Any:
    """Read whom the token acts for, what it may do, and until when."""
    found = token()
    assert found is not None  # noqa: S101 - nobody else comes in here
    return {
        "name": found.user.name,
        "role": str(found.user.role),
        "organisation": organisation_name(found.user.organisation),
        "language": found.user.language,
        "token": found.name,
        "scopes": found.scopes,
        "expires_at": plain(found.expires_at),
    }
