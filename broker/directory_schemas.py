"""What may be put into the directories: one schema for each kind of entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import ValidationError, fields, validate, validates_schema

from broker.messages import FIELD_PROBLEMS
from broker.schemas import Code, Count, Day, Email, Number, Strict, Text, WrittenSchema, codes
from broker.sources import DOCUMENTS
from models import MATURITIES, EntryKind


class Address(Text):
    """The address of a page: ``https://…`` or ``http://…``; empty where there is none."""

    default_error_messages = {  # noqa: RUF012
        "not_address": _l("This is not the address of a page, e.g. https://www.example.org/guide.")
    }
    check = validate.URL(schemes={"http", "https"}, error="not_address")

    def __init__(self) -> None:
        super().__init__(500)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text:
            try:
                self.check(text)
            except ValidationError as error:
                raise self.make_error("not_address") from error
        return text


class FigureSchema(Strict):
    """A measured result: what, how much, in which unit."""

    name = Text(120, required=True)
    value = Number(required=True)
    unit = Text(40, load_default="")


def _figures() -> fields.List:
    return fields.List(
        fields.Nested(FigureSchema),
        validate=validate.Length(max=12, error=_l("These are too many. Choose fewer.")),
    )


class EntrySchema(WrittenSchema):
    """What every entry says."""

    organisation = Text(64)
    country = Code("country", allow_none=True)
    themes = codes("theme", 8)
    sector = Code("crs", allow_none=True)
    languages = codes("language")
    source_document = fields.String(
        allow_none=True,
        validate=validate.OneOf(list(DOCUMENTS), error=_l("Choose one of the source documents.")),
    )
    source_line = Count()
    source_address = Address()
    contact_role = Text(120)
    contact_email = Email()
    valid_until = Day()

    @validates_schema(skip_on_field_errors=True)
    def _a_line_is_of_a_document(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("source_line") and not data.get("source_document"):
            raise ValidationError(
                str(_l("Say of which document this is the line.")), "source_document"
            )


class InstitutionSchema(EntrySchema):
    """An institution and what it does for others."""

    services = Text(10_000)


class SpecialistSchema(EntrySchema):
    """A consultant or auditor, as a role or a unit, and who certified it until when."""

    services = Text(10_000)
    certified_by = Text(64)
    certificate = Text(80)

    @validates_schema(skip_on_field_errors=True)
    def _a_certificate_is_somebodys(self, data: dict[str, Any], **_: Any) -> None:
        wanted = {"certified_by", "valid_until"} if data.get("certificate") else set()
        if data.get("certified_by"):
            wanted.add("valid_until")
        missing = {name: [str(FIELD_PROBLEMS["required"])] for name in wanted if not data.get(name)}
        if missing:
            raise ValidationError(missing)


class TechnologySchema(EntrySchema):
    """A clean technology, how far it has come, and what it saves."""

    maturity = fields.String(
        allow_none=True,
        validate=validate.OneOf(MATURITIES, error=_l("Choose one of the stages of the list.")),
    )
    supplier = Text(200)
    figures = _figures()


class PracticeSchema(EntrySchema):
    """A demonstration project or a good practice, with what came of it."""

    demonstration = fields.Boolean()
    year = fields.Integer(
        strict=False,
        allow_none=True,
        validate=validate.Range(min=1990, max=2100, error=_l("Give a year from 1990 on.")),
        error_messages={"invalid": _l("This is not a whole number.")},
    )
    results = Text(10_000)
    figures = _figures()
    lessons = Text(10_000)


ENTRY_SCHEMAS: Mapping[EntryKind, type[EntrySchema]] = {
    EntryKind.INSTITUTION: InstitutionSchema,
    EntryKind.SPECIALIST: SpecialistSchema,
    EntryKind.TECHNOLOGY: TechnologySchema,
    EntryKind.PRACTICE: PracticeSchema,
}
"""Kind of entry → its input."""

ENTRY_FIELD_NAMES = {
    "organisation": _l("Organisation"),
    "language": _l("Written in"),
    "title": _l("Title"),
    "description": _l("Description"),
    "translations": _l("In other languages"),
    "country": _l("Country"),
    "themes": _l("Themes"),
    "sector": _l("Sector"),
    "languages": _l("Working languages"),
    "source_document": _l("Source document"),
    "source_line": _l("Line of its text"),
    "source_address": _l("Page where it is described"),
    "contact_role": _l("Whom to ask"),
    "contact_email": _l("E-mail address to write to"),
    "valid_until": _l("Valid until"),
    "services": _l("What it does for others"),
    "certified_by": _l("Certified by"),
    "certificate": _l("Number of the certificate"),
    "maturity": _l("How far it has come"),
    "supplier": _l("Who supplies it"),
    "figures": _l("Figures"),
    "demonstration": _l("Demonstration project"),
    "year": _l("Year"),
    "results": _l("Results"),
    "lessons": _l("What was learnt"),
}
"""Field of an entry → its name."""

MATURITY_NAMES = {
    "tested": _l("tried out"),
    "demonstrated": _l("shown to work in the field"),
    "in_use": _l("in everyday use"),
}
"""Stage of a technology → its name."""

KIND_NAMES = {
    EntryKind.INSTITUTION: _l("Institution"),
    EntryKind.SPECIALIST: _l("Specialist"),
    EntryKind.TECHNOLOGY: _l("Clean technology"),
    EntryKind.PRACTICE: _l("Good practice"),
}
"""Kind of entry → its name."""
