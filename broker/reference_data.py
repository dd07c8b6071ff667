"""Loading the reference data: taxonomies, countries, organisations, task forces, mandates."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.fixture_files import FixtureError, Problem, Record, check, read_records
from broker.reference import Reference
from models import LANGUAGES, Country, Currency, Organisation, TaskForce, Term

CODE = validate.Regexp(r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$", error="a code of letters, digits, _ . -")


class _Strict(Schema):
    class Meta:
        unknown = RAISE


def _labels(*, complete: bool = True) -> fields.Dict:
    """A text in the four languages: all of them, or at least one for proper names."""

    def in_every_language(labels: dict[str, str]) -> bool:
        missing = [language for language in LANGUAGES if not (labels.get(language) or "").strip()]
        if missing and (complete or len(missing) == len(LANGUAGES)):
            raise ValidationError(f"no text in: {', '.join(missing)}")
        return True

    return fields.Dict(
        keys=fields.String(validate=validate.OneOf(LANGUAGES)),
        values=fields.String(),
        required=True,
        validate=in_every_language,
    )


class SourceSchema(_Strict):
    """Where in the five documents a fact stands."""

    document = fields.String(
        required=True, validate=validate.Regexp(r"^00[0-4]$", error="one of 000 to 004")
    )
    line = fields.Integer(required=True, strict=True, validate=validate.Range(min=1))
    note = fields.String()


class _Term(_Strict):
    code = fields.String(required=True, validate=CODE)
    labels = _labels()


class _Codes(fields.List):
    def __init__(self) -> None:
        super().__init__(fields.String())


class _Subject(_Term):
    about = _labels()


class _Theme(_Subject):
    broader = _Codes()
    related = _Codes()
    sdg = _Codes()
    crs = _Codes()
    ilac_areas = _Codes()
    keywords = fields.Dict(
        keys=fields.String(validate=validate.OneOf(LANGUAGES)),
        values=fields.List(fields.String(), validate=validate.Length(min=1)),
        required=True,
    )


class _SupportKind(_Term):
    parent = fields.String(allow_none=True)


class _Horizon(_Term):
    max_years = fields.Integer(required=True, strict=True)


class _Subregion(_Term):
    coordinator = fields.String(allow_none=True)


class _Programme(_Term):
    themes = _Codes()


class _MandateIndicator(_Strict):
    labels = _labels()
    unit = fields.Raw(allow_none=True)
    baseline = fields.Raw(allow_none=True)
    target = fields.Raw(allow_none=True)
    due = fields.Raw(allow_none=True)


class _Mandate(_Term):
    source_set = fields.String(required=True)
    parent = fields.String(allow_none=True)
    themes = _Codes()
    indicators = fields.List(fields.Nested(_MandateIndicator))
    source = fields.Nested(SourceSchema, required=True)


class _Country(_Strict):
    code = fields.String(required=True, validate=validate.Regexp(r"^[A-Z]{2}$"))
    iso3 = fields.String(required=True, validate=validate.Regexp(r"^[A-Z]{3}$"))
    m49 = fields.String(required=True, validate=validate.Regexp(r"^[0-9]{3}$"))
    labels = _labels()
    subregion = fields.String(allow_none=True)
    bodies = fields.List(
        fields.String(validate=validate.OneOf(("SICA", "MERCOSUR", "CAN", "CARICOM")))
    )
    ldc = fields.Boolean(load_default=False)
    sids = fields.Boolean(load_default=False)
    tile = fields.List(fields.Integer(strict=True), allow_none=True)
    currency = fields.String(allow_none=True, validate=validate.Regexp(r"^[A-Z]{3}$"))


class _Currency(_Strict):
    code = fields.String(required=True, validate=validate.Regexp(r"^[A-Z]{3}$"))
    labels = _labels()
    minor = fields.Integer(strict=True, load_default=2)
    usd_rate = fields.Decimal(required=True, validate=validate.Range(min=0, min_inclusive=False))
    rate_date = fields.Date(allow_none=True)
    rate_source = fields.String(load_default="")


class _Organisation(_Strict):
    code = fields.String(required=True, validate=CODE)
    kind = fields.String(required=True)
    country = fields.String(allow_none=True)
    names = _labels(complete=False)
    acronym = fields.String(allow_none=True)
    aliases = fields.List(fields.String())
    source = fields.Nested(SourceSchema, allow_none=True)


class _TaskForce(_Strict):
    code = fields.String(required=True)
    lead = fields.String(required=True)
    themes = _Codes()
    objectives = fields.List(fields.Dict())
    activities = fields.List(fields.Dict())
    members = fields.Dict()
    region_members = fields.List(fields.Dict())
    meetings = fields.List(fields.Dict())
    source = fields.Nested(SourceSchema)


TAXONOMIES: dict[str, tuple[str, type[Schema]]] = {
    "theme": ("themes.yaml", _Theme),
    "ilac_area": ("ilac_areas.yaml", _Subject),
    "support_kind": ("support_kinds.yaml", _SupportKind),
    "dimension": ("dimensions.yaml", _Term),
    "horizon": ("horizons.yaml", _Horizon),
    "subregion": ("subregions.yaml", _Subregion),
    "level": ("levels.yaml", _Term),
    "language": ("languages.yaml", _Term),
    "organisation_kind": ("organisation_kinds.yaml", _Term),
    "beneficiary_kind": ("beneficiary_kinds.yaml", _Term),
    "programme": ("programmes.yaml", _Programme),
    "mandate": ("mandates.yaml", _Mandate),
    "dismissal_reason": ("dismissal_reasons.yaml", _Term),
    "sdg": ("sdgs.yaml", _Term),
    "crs": ("crs.yaml", _Term),
}
"""Scheme → its file and what a record of it looks like."""

LINKS = {
    "theme": {"broader": "theme", "related": "theme", "sdg": "sdg", "crs": "crs", "ilac_areas": "ilac_area"},
    "programme": {"themes": "theme"},
    "mandate": {"themes": "theme", "parent": "mandate"},
    "support_kind": {"parent": "support_kind"},
    "subregion": {"coordinator": "country"},
}  # fmt: skip
"""Scheme → field → the scheme to which its codes belong."""


class _Files:
    """All records of the reference folder, checked one by one and against each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.tables: dict[str, dict[str, tuple[Record, dict[str, Any]]]] = {}
        for scheme, (name, schema) in TAXONOMIES.items():
            self._read(scheme, name, schema())
        self._read("country", "countries.yaml", _Country())
        self._read("currency", "currencies.yaml", _Currency())
        self._read("organisation", "organisations.yaml", _Organisation())
        self._read("task_force", "task_forces.yaml", _TaskForce())
        self._resolve()
        if self.problems:
            raise FixtureError(folder, self.problems)

    def _read(self, scheme: str, name: str, schema: Schema) -> None:
        table = self.tables[scheme] = {}
        path = self.folder / name
        if not path.is_file():
            self.problems.append(Problem(name, 1, "", "this file is missing"))
            return
        for record in read_records(path, self.problems):
            data = check(record, schema, self.problems)
            if data is None:
                continue
            if data["code"] in table:
                self.problems.append(record.problem("code", f"{data['code']} stands here twice"))
            table[data["code"]] = (record, data)

    def _resolve(self) -> None:
        for scheme, links in LINKS.items():
            for record, data in self.tables[scheme].values():
                for name, target in links.items():
                    self._known(record, name, data.get(name), target)
        for record, data in self.tables["country"].values():
            self._known(record, "subregion", data.get("subregion"), "subregion")
            self._known(record, "currency", data.get("currency"), "currency")
        for record, data in self.tables["organisation"].values():
            self._known(record, "kind", data["kind"], "organisation_kind")
            self._known(record, "country", data.get("country"), "country")
        for record, data in self.tables["task_force"].values():
            self._known(record, "code", data["code"], "organisation")
            self._known(record, "lead", data["lead"], "country")
            self._known(record, "themes", data.get("themes"), "theme")

    def _known(self, record: Record, name: str, value: Any, target: str) -> None:
        codes: Iterable[str] = value if isinstance(value, list) else [value] if value else []
        for code in codes:
            if code not in self.tables[target]:
                self.problems.append(record.problem(name, f"“{code}” is no known {target}"))

    def rows(self, scheme: str) -> list[dict[str, Any]]:
        """The checked records of a scheme, in the order of the file."""
        return [data for _record, data in self.tables[scheme].values()]


def load_reference_data(session: Session, folder: Path) -> dict[str, int]:
    """Put the reference data into the database; what is there already is brought up to date.

    Returns
    -------
    dict
        Scheme → number of records.

    Raises
    ------
    FixtureError
        With every problem of every file; nothing is loaded then.
    """
    files = _Files(folder)
    for row in (*_terms(files), *_countries(files), *_currencies(files)):
        session.merge(row)
    session.flush()
    _load_organisations(session, files)
    return {scheme: len(table) for scheme, table in files.tables.items()}


def read_reference(folder: Path) -> Reference:
    """The taxonomies, countries and currencies of a folder, without a database.

    Raises
    ------
    FixtureError
        With every problem of every file.
    """
    files = _Files(folder)
    terms: dict[str, dict[str, Term]] = {}
    for term in _terms(files):
        terms.setdefault(term.scheme, {})[term.code] = term
    return Reference(
        terms,
        {country.code: country for country in _countries(files)},
        {currency.code: currency for currency in _currencies(files)},
    )


def _terms(files: _Files) -> list[Term]:
    return [
        Term(
            scheme=scheme,
            code=data["code"],
            parent=data.get("parent"),
            position=position,
            labels=data["labels"],
            extra={k: v for k, v in data.items() if k not in ("code", "labels", "parent")},
        )
        for scheme in TAXONOMIES
        for position, data in enumerate(files.rows(scheme))
    ]


def _countries(files: _Files) -> list[Country]:
    return [
        Country(
            code=data["code"],
            iso3=data["iso3"],
            m49=data["m49"],
            labels=data["labels"],
            subregion=data.get("subregion"),
            bodies=data.get("bodies", []),
            least_developed=data["ldc"],
            small_island=data["sids"],
            tile=data.get("tile") or [],
            currency=data.get("currency"),
        )
        for data in files.rows("country")
    ]


def _currencies(files: _Files) -> list[Currency]:
    return [
        Currency(**{**data, "usd_rate": float(data["usd_rate"])}) for data in files.rows("currency")
    ]


def _load_organisations(session: Session, files: _Files) -> None:
    known = {o.code: o for o in session.scalars(select(Organisation))}
    for data in files.rows("organisation"):
        organisation = known.get(data["code"])
        if organisation is None:
            organisation = known[data["code"]] = Organisation(code=data["code"])
            session.add(organisation)
        organisation.kind = data["kind"]
        organisation.country_code = data.get("country")
        organisation.names = data["names"]
        organisation.acronym = data.get("acronym")
        organisation.aliases = data.get("aliases", [])
        organisation.source = data.get("source") or {}
    session.flush()
    for data in files.rows("task_force"):
        organisation_id = known[data["code"]].id
        task_force = session.get(TaskForce, organisation_id)
        if task_force is None:
            task_force = TaskForce(organisation_id=organisation_id, members={})
            session.add(task_force)
        task_force.lead = data["lead"]
        task_force.members = _jsonable(data.get("members", {}))
        names = ["themes", "objectives", "region_members"]
        # What its officers have changed on its page is theirs from then on.
        names += [] if task_force.edited_at else ["activities", "meetings"]
        for name in names:
            setattr(task_force, name, _jsonable(data.get(name, [])))


def _jsonable(value: Any) -> Any:
    """YAML reads dates as dates; JSON columns keep them as text."""
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
