"""Use case of organisations: put one on the exchange."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import ValidationError, fields, validate, validates_schema
from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.audit import record
from broker.messages import FIELD_PROBLEMS
from broker.reference import Reference
from broker.schemas import Code, Strict, Text, load
from models import LANGUAGES, InvalidInput, NotAllowed, Organisation, User


class OrganisationSchema(Strict):
    """An organisation: who it is and what it is called."""

    code = fields.String(
        required=True,
        validate=validate.Regexp(
            r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$",
            error=_l("Use small letters, digits and hyphens only, e.g. gov-pe."),
        ),
    )
    kind = Code("organisation_kind", required=True)
    country = Code("country", allow_none=True, load_default=None)
    names = fields.Dict(
        keys=fields.String(validate=validate.OneOf(LANGUAGES)), values=Text(200), required=True
    )
    acronym = Text(32, load_default="")
    aliases = fields.List(Text(200), load_default=list, validate=validate.Length(max=20))

    @validates_schema(skip_on_field_errors=True)
    def _is_named(self, data: dict[str, Any], **_: Any) -> None:
        if not any(data["names"].values()):
            raise ValidationError(str(FIELD_PROBLEMS["required"]), "names")


def content_of(organisation: Organisation) -> dict[str, Any]:
    """The organisation in the shape of its schema."""
    return {
        "code": organisation.code,
        "kind": organisation.kind,
        "country": organisation.country_code,
        "names": dict(organisation.names),
        "acronym": organisation.acronym or "",
        "aliases": list(organisation.aliases),
    }


def save_organisation(
    session: Session, by: User, data: Mapping[str, Any], reference: Reference
) -> Organisation:
    """Put an organisation on the exchange, or change the one that has its code.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    InvalidInput
        For fields that are filled in wrongly.
    """
    if not by.is_secretariat:
        raise NotAllowed("secretariat_only")
    values = load(OrganisationSchema, data, reference)
    names = {language: name for language, name in values["names"].items() if name}
    known = session.scalar(select(Organisation).where(Organisation.code == values["code"]))
    if known is not None and known.kind != values["kind"]:
        # A task force or a government is more than its name: it does not change by a file.
        raise InvalidInput({"kind": [("other_kind_known", {"code": known.code})]})
    organisation = known or Organisation(code=values["code"], kind=values["kind"])
    before = content_of(organisation) if known else {}
    organisation.country_code = values["country"]
    organisation.names = names
    organisation.acronym = values["acronym"] or None
    organisation.aliases = values["aliases"]
    session.add(organisation)
    session.flush()
    after = content_of(organisation)
    if before != after:
        record(session, by, "organisation.saved", organisation, before=before, after=after)
    return organisation
