"""Organisations: who asks, offers and signs."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from broker.accounts import find_organisation
from broker.api.answers.organisations import (
    OrganisationSaid,
    OrganisationSlice,
    whole_organisation,
)
from broker.api.answers.values import listed
from broker.api.cursors import SliceQuery, slice_of
from broker.api.door import Door
from broker.secretariat import find_organisations
from broker.web.access import EVERYBODY
from broker.web.reading import database
from models import Organisation

doors = Door("api_organisations", __name__, description="Organisations")


class OrganisationQuery(SliceQuery):
    """Which organisations are looked for."""

    q = fields.String(
        validate=validate.Length(max=200), metadata={"description": "Words of a name or code."}
    )
    kind = fields.String(validate=validate.Length(max=64))


@doors.opens(
    "GET", "/organisations", roles=EVERYBODY, query=OrganisationQuery, gives=OrganisationSlice
)
def organisations(query: dict[str, Any]) -> Any:
    """List organisations by code."""
    words = "".join(sign if sign.isprintable() else " " for sign in query.get("q", ""))
    kind = "".join(sign for sign in query.get("kind", "") if sign.isprintable())
    found = find_organisations(words, kind)
    rows, following = slice_of(database(), found, (Organisation.code.asc(),), query)
    return listed([whole_organisation(row) for row in rows], following)


@doors.opens("GET", "/organisations/<code:code>", roles=EVERYBODY, gives=OrganisationSaid)
def organisation(code: str) -> Any:
    """Read one organisation."""
    return whole_organisation(find_organisation(database(), code))
