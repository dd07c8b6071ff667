"""Whom a token acts for."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from broker.api.answers.organisations import OrganisationName, organisation_name
from broker.api.answers.values import plain, text
from broker.api.caller import token
from broker.api.door import Door
from broker.web.access import SIGNED_IN

doors = Door("api_account", __name__, description="Whom the token acts for")


class MeSaid(Schema):
    """Whom the token acts for, and what it may do."""

    name = text()
    role = text()
    organisation = fields.Nested(OrganisationName, required=True)
    language = text()
    token = text()
    scopes = fields.List(fields.String(), required=True)
    expires_at = fields.DateTime(required=True)


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
