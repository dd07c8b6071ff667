"""What may be put in: one definition of each input for form, API, import and command line.

Fields check codes against the exchange's reference data, which the caller supplies through
:func:`load`. Messages are translatable and say what to do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema
from marshmallow.experimental.context import Context

from broker.messages import FIELD_PROBLEMS
from broker.reference import Reference
from models import LANGUAGES
from models.errors import InvalidInput

CONTEXT = Context[Reference]
"""The reference data against which codes are checked."""

LARGEST_AMOUNT = Decimal("1000000000000")
"""No amount of the exchange's kind reaches a million millions."""

# marshmallow's own sentences are in English alone; these two are every field's.
fields.Field.default_error_messages.update(
    required=FIELD_PROBLEMS["required"],
    null=FIELD_PROBLEMS["required"],
)


class Text(fields.String):
    """Text without control characters, trimmed, in one Unicode form (NFC).

    Word processors leave soft hyphens, direction marks, fixed spaces and line breaks of their own
    behind; scripts and emoji are text like any other, and are escaped where they are shown.
    """

    default_error_messages = {"invalid": _l("This is not text.")}  # noqa: RUF012

    def __init__(self, longest: int, *, required: bool = False, **kwargs: Any) -> None:
        checks = [
            validate.Length(max=longest, error=_l("This is too long. Shorten it.")),
        ]
        if required:
            checks.append(validate.Length(min=1, error=FIELD_PROBLEMS["required"]))
        super().__init__(required=required, validate=checks, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").translate(PASTED))
        return "".join(sign for sign in text if _is_text(sign)).strip()


PASTED = dict.fromkeys(map(ord, "\xa0\u2007\u202f"), " ") | dict.fromkeys(
    map(ord, "\r\v\f\x85\u2028\u2029"), "\n"
)
"""Spaces and line breaks that a word processor puts in → the plain ones."""


def _is_text(sign: str) -> bool:
    # The joiners (U+200C, U+200D) hold emoji and some scripts together; new emoji come every year
    # to a block that is kept for them.
    if sign in "\n\t\u200c\u200d" or "\U0001f000" <= sign <= "\U0001faff":
        return True
    return unicodedata.category(sign) not in (
        "Cc",
        "Cf",
        "Co",
        "Cs",
        "Cn",
    )


class Code(fields.String):
    """A code of a taxonomy of the exchange."""

    default_error_messages = {"invalid": _l("This is not a code.")}  # noqa: RUF012

    def __init__(self, scheme: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scheme = scheme

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        code = super()._deserialize(value, attr, data, **kwargs)
        if code not in set(CONTEXT.get().codes(self.scheme)):
            raise ValidationError(str(FIELD_PROBLEMS["unknown_code"]) % {"code": code[:60]})
        return code


def codes(scheme: str, most: int = 40) -> fields.List:
    """A list of codes of a taxonomy, each once, at most ``most``."""
    return fields.List(
        Code(scheme),
        validate=validate.Length(max=most, error=_l("These are too many. Choose fewer.")),
        error_messages={"invalid": _l("This is not a list.")},
    )


_WRITTEN_DAY = re.compile(r"(\d{1,2})([/.\-])(\d{1,2})\2(\d{4})")


class Day(fields.Date):
    """A calendar day, ISO 8601 (``2027-03-31``), between 1990 and 2100.

    A day with its month and year (``31/12/2027``) is taken where it can be read in one way only;
    ``03/04/2027`` is one day in Lima and another in Kingston, and is asked back.
    """

    default_error_messages = {  # noqa: RUF012
        "invalid": _l("This is not a date. Write it as year-month-day, e.g. 2027-03-31."),
        "format": _l("This is not a date. Write it as year-month-day, e.g. 2027-03-31."),
        "ambiguous": _l(
            "This date can be read in two ways. Write it as year-month-day, e.g. 2027-03-31."
        ),
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            format="iso",
            allow_none=True,
            validate=validate.Range(
                min=date(1990, 1, 1),
                max=date(2100, 12, 31),
                error=_l("This date lies too far away."),
            ),
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:
        if isinstance(value, str) and (written := _WRITTEN_DAY.fullmatch(value.strip())):
            first, second, year = int(written[1]), int(written[3]), int(written[4])
            if first != second and first <= 12 and second <= 12:
                raise self.make_error("ambiguous")
            day, month = (second, first) if second > 12 else (first, second)
            value = f"{year:04d}-{month:02d}-{day:02d}"
        found: date = super()._deserialize(
            value.strip() if isinstance(value, str) else value, attr, data, **kwargs
        )
        return found


class Count(fields.Integer):
    """A whole number from ``least`` to ten million."""

    default_error_messages = {  # noqa: RUF012
        "invalid": _l("This is not a whole number."),
        "too_large": _l("This number is too large."),
    }

    def __init__(self, least: int = 1, **kwargs: Any) -> None:
        super().__init__(
            strict=True,
            allow_none=True,
            validate=validate.Range(
                min=least, max=10_000_000, error=_l("Give a whole number within reason.")
            ),
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, str):
            value = value.strip().replace("\u202f", "").replace("\xa0", "").replace(" ", "")
            if not value.lstrip("-").isdecimal() or len(value) > 12:
                raise self.make_error("invalid")
            value = int(value)
        return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[return-value]


_DECIMAL_COMMA = re.compile(r"\d+,\d{1,2}|\d{1,3}(?:\.\d{3})+,\d{1,2}")
_THOUSANDS_COMMA = re.compile(r"\d{1,3}(?:,\d{3})+\.\d{1,2}|\d{1,3}(?:,\d{3}){2,}")


class Money(fields.Decimal):
    """An amount with at most two decimals, not negative, finite.

    A comma before one or two last digits can only stand before cents (``1.234,50``); a comma or a
    point before three is a thousand to one reader and a part to another, and is asked back.
    """

    default_error_messages = {  # noqa: RUF012
        "invalid": _l("This is not an amount. Write digits, with a point before the cents."),
        "special": _l("This is not an amount. Write digits, with a point before the cents."),
        "too_large": _l("This number is too large."),
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_none=True,
            as_string=True,
            validate=[
                validate.Range(min=Decimal(0), error=FIELD_PROBLEMS["not_negative"]),
                validate.Range(max=LARGEST_AMOUNT, error=_l("This amount is too large.")),
                _two_decimals,
            ],
            **kwargs,
        )

    def _validated(self, value: Any) -> Any:
        if isinstance(value, str):
            value = value.strip().replace("\u202f", "").replace("\xa0", "").replace(" ", "")
            if len(value) > 30:
                raise self.make_error("too_large")
            if _DECIMAL_COMMA.fullmatch(value):
                value = value.replace(".", "").replace(",", ".")
            elif _THOUSANDS_COMMA.fullmatch(value):
                value = value.replace(",", "")
            if re.search(r"\.\d{3,}$", value):
                # "72.900" is seventy-two thousand nine hundred to a reader of Spanish.
                raise self.make_error("invalid")
        return super()._validated(value)


class Number(fields.Float):
    """A finite number."""

    default_error_messages = {  # noqa: RUF012
        "invalid": _l("This is not a number."),
        "special": _l("This is not a number."),
        "too_large": _l("This number is too large."),
    }


def _two_decimals(amount: Decimal | None) -> None:
    if amount is not None and amount * 100 != (amount * 100).to_integral_value():
        raise ValidationError(str(_l("Give at most two decimals.")))


class Email(fields.String):
    """An e-mail address; empty is allowed where the field may stay open."""

    check = validate.Email(error="invalid")

    default_error_messages = {  # noqa: RUF012
        "invalid": _l("This is not an e-mail address, e.g. name@ministry.example.")
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs).strip()
        if text:
            try:
                self.check(text)
            except ValidationError as error:
                raise self.make_error("invalid") from error
        return text


class Strict(Schema):
    """A schema that refuses what it does not know, with a sentence that says so."""

    error_messages = {  # noqa: RUF012
        "unknown": _l("This field does not exist."),
        "type": _l("This is not of the form that is expected."),
    }

    class Meta:
        unknown = RAISE
        ordered = True


class SupportSchema(Strict):
    """A kind of support and what exactly is asked for or given."""

    kind = Code("support_kind", required=True)
    modality = Code("support_kind", allow_none=True, load_default=None)
    detail = Text(2000, load_default="")

    @validates_schema
    def _modality_belongs_to_kind(self, data: dict[str, Any], **_: Any) -> None:
        terms = CONTEXT.get().terms["support_kind"]
        # A draft lets fields be missing, but what is asked for is nothing without its kind.
        if not data.get("kind"):
            raise ValidationError(str(FIELD_PROBLEMS["required"]), "kind")
        if terms[data["kind"]].parent is not None:
            raise ValidationError(
                str(FIELD_PROBLEMS["unknown_code"]) % {"code": data["kind"]}, "kind"
            )
        if data.get("modality") and terms[data["modality"]].parent != data["kind"]:
            raise ValidationError(str(FIELD_PROBLEMS["modality_of_other_kind"]), "modality")


class TranslationSchema(Strict):
    """A title and a summary in another language."""

    title = Text(200, load_default="")
    summary = Text(2000, load_default="")


class WrittenSchema(Strict):
    """What is written in one language, with titles and summaries in others."""

    language = fields.String(
        validate=validate.OneOf(LANGUAGES, error=_l("Choose one of the four languages.")),
        required=True,
    )
    title = Text(200, required=True)
    description = Text(20_000, required=True)
    translations = fields.Dict(
        keys=fields.String(validate=validate.OneOf(LANGUAGES)),
        values=fields.Nested(TranslationSchema),
    )

    @validates_schema(skip_on_field_errors=True)
    def _others_are_others(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("language") in (data.get("translations") or {}):
            raise ValidationError(str(FIELD_PROBLEMS["same_language"]), "translations")


class PostSchema(WrittenSchema):
    """What needs and offers have in common."""

    support = fields.List(
        fields.Nested(SupportSchema),
        required=True,
        validate=validate.Length(min=1, max=12, error=_l("Choose at least one kind of support.")),
    )
    themes = codes("theme", 8)
    ilac_areas = codes("ilac_area")
    dimension = Code("dimension", allow_none=True)
    programmes = codes("programme")
    mandates = codes("mandate")
    level = Code("level", allow_none=True)
    beneficiary_kinds = codes("beneficiary_kind")
    horizon = Code("horizon", allow_none=True)
    languages = codes("language")
    starts = Day()
    ends = Day()
    closes = Day()
    currency = Code("currency", allow_none=True)
    contact_role = Text(120)
    contact_email = Email()

    def _check_common(self, data: dict[str, Any], amounts: tuple[str, ...]) -> dict[str, list[str]]:
        problems: dict[str, list[str]] = {}
        starts, ends = data.get("starts"), data.get("ends")
        if starts and ends and ends < starts:
            problems["ends"] = [str(FIELD_PROBLEMS["before_start"])]
        if any(data.get(name) for name in amounts) and not data.get("currency"):
            problems["currency"] = [str(FIELD_PROBLEMS["currency_missing"])]
        return problems


class NeedSchema(PostSchema):
    """What a government asks for."""

    country = Code("region_country", allow_none=True)
    subregion = Code("subregion", allow_none=True)
    localities = fields.List(Text(120), validate=validate.Length(max=20))
    problem = Text(10_000)
    results = Text(10_000)
    beneficiaries = Count()
    places_wanted = Count()
    money_least = Money()
    money_most = Money()
    money_sealed = fields.Boolean()
    cofinancing = Money()
    existing = Text(10_000)
    elsewhere = Text(10_000)

    @validates_schema(skip_on_field_errors=True)
    def _fits_together(self, data: dict[str, Any], **_: Any) -> None:
        problems = self._check_common(data, ("money_least", "money_most", "cofinancing"))
        if "country" in data and not (data["country"] or data.get("subregion")):
            problems["country"] = [str(FIELD_PROBLEMS["country_or_subregion"])]
        least, most = data.get("money_least"), data.get("money_most")
        if least is not None and most is not None and least > most:
            problems["money_least"] = [str(FIELD_PROBLEMS["least_above_most"])]
        if problems:
            raise ValidationError(problems)


class OfferSchema(PostSchema):
    """What a provider gives."""

    serves_countries = codes("region_country")
    serves_subregions = codes("subregion")
    serves_outside = fields.List(Text(64), validate=validate.Length(max=20))
    serves_organisation_kinds = codes("organisation_kind")
    conditions = Text(10_000)
    own_country = fields.Boolean()
    places = Count(least=0)
    places_per_beneficiary = Count()
    places_least = Count()
    money = Money()
    money_sealed = fields.Boolean()
    grant_least = Money()
    grant_most = Money()
    free = fields.Boolean(allow_none=True)
    how_to_apply = Text(10_000)
    opens = Day()
    experience_countries = codes("country", 200)
    experience_projects = Text(10_000)
    pilot_hosted = fields.Boolean(allow_none=True)
    pilot_brings = Text(10_000)

    @validates_schema(skip_on_field_errors=True)
    def _fits_together(self, data: dict[str, Any], **_: Any) -> None:
        problems = self._check_common(data, ("money", "grant_least", "grant_most"))
        opens, closes = data.get("opens"), data.get("closes")
        if opens and closes and closes < opens:
            problems["closes"] = [str(FIELD_PROBLEMS["before_start"])]
        least, most, money = (data.get(name) for name in ("grant_least", "grant_most", "money"))
        if least is not None and most is not None and least > most:
            problems["grant_least"] = [str(FIELD_PROBLEMS["least_above_most"])]
        if most is not None and money is not None and most > money:
            problems["grant_most"] = [str(FIELD_PROBLEMS["grant_above_budget"])]
        places, each = data.get("places"), data.get("places_per_beneficiary")
        if places is not None and each is not None and each > places:
            problems["places_per_beneficiary"] = [
                str(FIELD_PROBLEMS["per_beneficiary_above_places"])
            ]
        smallest = data.get("places_least")
        for name, most in (("places", places), ("places_per_beneficiary", each)):
            if smallest is not None and most is not None and smallest > most:
                problems["places_least"] = [str(FIELD_PROBLEMS[f"group_above_{name}"])]
        if problems:
            raise ValidationError(problems)


class InterestSchema(Strict):
    """A side's word that it wants a match."""

    message = Text(4000, load_default="")
    share = Count(load_default=None)
    places = Count(load_default=None)
    money = Money(load_default=None)

    @validates_schema(skip_on_field_errors=True)
    def _percentage(self, data: dict[str, Any], **_: Any) -> None:
        if data["share"] is not None and data["share"] > 100:
            raise ValidationError(str(FIELD_PROBLEMS["share_range"]), "share")


class AnswerSchema(Strict):
    """The other side's answer to an interest."""

    accept = fields.Boolean(required=True)
    reason = Code("dismissal_reason", allow_none=True, load_default=None)
    message = Text(4000, load_default="")

    @validates_schema(skip_on_field_errors=True)
    def _a_refusal_gives_its_reason(self, data: dict[str, Any], **_: Any) -> None:
        if not data["accept"] and not data["reason"]:
            raise ValidationError(str(FIELD_PROBLEMS["required"]), "reason")


class DismissalSchema(Strict):
    """Why a match is not for one side."""

    reason = Code("dismissal_reason", required=True)
    note = Text(4000, load_default="")


class MilestoneSchema(Strict):
    """A dated step."""

    title = Text(200, required=True)
    due = Day(required=True)


class IndicatorSchema(Strict):
    """A measured quantity with baseline and target."""

    name = Text(200, required=True)
    unit = Text(60, load_default="")
    baseline = Number(allow_none=True, load_default=None)
    target = Number(required=True)
    due = Day(load_default=None)


class TermsSchema(Strict):
    """The terms of an agreement."""

    title = Text(200, required=True)
    activities = Text(20_000, required=True)
    need_side_duties = Text(10_000, load_default="")
    offer_side_duties = Text(10_000, load_default="")
    starts = Day(required=True)
    ends = Day(required=True)
    places = Count(load_default=None)
    money = Money(load_default=None)
    currency = Code("currency", allow_none=True, load_default=None)
    beyond_need = fields.Boolean(load_default=False)
    support_kinds = codes("support_kind")
    milestones = fields.List(fields.Nested(MilestoneSchema), validate=validate.Length(max=40))
    indicators = fields.List(fields.Nested(IndicatorSchema), validate=validate.Length(max=40))
    note = Text(4000, load_default="")

    @validates_schema(skip_on_field_errors=True)
    def _fits_together(self, data: dict[str, Any], **_: Any) -> None:
        problems: dict[str, list[str]] = {}
        for name in ("starts", "ends"):
            if data.get(name) is None:
                problems[name] = [str(FIELD_PROBLEMS["required"])]
        if not problems and data["ends"] < data["starts"]:
            problems["ends"] = [str(FIELD_PROBLEMS["before_start"])]
        if data.get("money") and not data.get("currency"):
            problems["currency"] = [str(FIELD_PROBLEMS["currency_missing"])]
        if problems:
            raise ValidationError(problems)


class IndicatorReportSchema(Strict):
    """A value reported for an indicator."""

    on = Day(required=True)
    value = Number(required=True)
    note = Text(4000, load_default="")


def load(
    schema: type[Schema], data: Mapping[str, Any], reference: Reference, *, partial: bool = False
) -> dict[str, Any]:
    """Check ``data`` against ``schema``; ``partial`` lets required fields be missing (drafts).

    Raises
    ------
    InvalidInput
        With every field that has a problem, not only the first.
    """
    with CONTEXT(reference):
        try:
            return dict(schema(partial=partial).load(data))
        except ValidationError as error:
            raise InvalidInput(_listed(error.normalized_messages())) from error


def load_draft(
    schema: type[Schema], data: Mapping[str, Any], reference: Reference, may_lack: Iterable[str]
) -> dict[str, Any]:
    """Check what is filled in of a draft; the fields ``may_lack`` may be missing, or still empty.

    Raises
    ------
    InvalidInput
        For fields that are filled in wrongly.
    """
    empty = {name: data[name] for name in may_lack if name in data and not data[name]}
    filled = {name: value for name, value in data.items() if name not in empty}
    return {**load(schema, filled, reference, partial=True), **empty}


def _listed(problems: Any) -> Any:
    """Problems by field as lists of sentences; marshmallow leaves a lazy sentence bare."""
    if isinstance(problems, dict):
        return {name: _listed(found) for name, found in problems.items()}
    return [str(problem) for problem in problems] if isinstance(problems, list) else [str(problems)]
