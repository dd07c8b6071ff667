"""Organisations, as the API tells of them."""

from __future__ import annotations

from typing import Any

from flask import url_for
from marshmallow import Schema, fields

from broker.api.answers.values import LinksSaid, maybe, slice_schema, text
from broker.web.reading import language
from models import Organisation


class OrganisationName(Schema):
    """An organisation as others name it."""

    code = text()
    name = text()


class OrganisationSaid(OrganisationName):
    """Everything that is known of an organisation."""

    kind = text()
    country = maybe(fields.String)
    names = fields.Dict(required=True)
    acronym = maybe(fields.String)
    links = fields.Nested(LinksSaid, required=True)


OrganisationSlice = slice_schema(OrganisationSaid, "OrganisationSlice")


def organisation_name(organisation: Organisation) -> dict[str, Any]:
    """An organisation as others name it."""
    return {"code": organisation.code, "name": organisation.name(language())}


def whole_organisation(organisation: Organisation) -> dict[str, Any]:
    """Everything that is known of an organisation."""
    return {
        **organisation_name(organisation),
        "kind": organisation.kind,
        "country": organisation.country_code,
        "names": organisation.names,
        "acronym": organisation.acronym,
        "links": {
            "self": url_for(
                "api_organisations.organisation", code=organisation.code, _external=True
            ),
            "page": url_for("public.organisation", code=organisation.code, _external=True),
        },
    }
