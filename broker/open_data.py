"""Open data: what everybody may read, as files for programs: posts, agreements, directories.

Codes are those of the standards wherever there is one: ISO 3166 (countries), UN M49 (areas),
ISO 4217 (currencies), SDG goals and targets, OECD-DAC CRS purposes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import fields
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, selectinload

from broker.agreements import WHOLE as WHOLE_AGREEMENT
from broker.directory import WHOLE as WHOLE_ENTRY
from broker.directory import visible_content as visible_entry
from broker.directory_schemas import ENTRY_FIELD_NAMES, ENTRY_SCHEMAS
from broker.directory_search import DirectoryFilter, find_entries
from broker.exchange import Exchange
from broker.field_names import FIELD_NAMES
from broker.posts import CLASSES, CONTACT, SCHEMAS, WHOLE, visible_content
from broker.reference import Reference
from broker.report.csv_form import FORMULA_SIGNS
from broker.schemas import Code, Day, Money
from broker.supply_demand import FACETS, Market
from models import (
    PUBLICLY_READABLE,
    PUBLICLY_REGISTERED,
    Agreement,
    Entry,
    Need,
    Offer,
    Post,
)

BATCH = 200
"""Rows that are read from the database at a time."""

SEVERAL = "; "
"""What stands between several codes in one cell."""

LICENCES = {
    "CC-BY-4.0": (
        "Creative Commons Attribution 4.0",
        "https://creativecommons.org/licenses/by/4.0/",
    ),
    "CC0-1.0": ("Creative Commons Zero 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    "CC-BY-SA-4.0": (
        "Creative Commons Attribution-ShareAlike 4.0",
        "https://creativecommons.org/licenses/by-sa/4.0/",
    ),
    "ODC-By-1.0": (
        "Open Data Commons Attribution 1.0",
        "https://opendatacommons.org/licenses/by/1-0/",
    ),
    "ODbL-1.0": (
        "Open Data Commons Open Database License 1.0",
        "https://opendatacommons.org/licenses/odbl/1-0/",
    ),
}
"""SPDX identifier → name and text of the licence."""


def licence_of(identifier: str) -> tuple[str, str]:
    """Name and address of a licence; one that is not listed here is looked up at SPDX."""
    return LICENCES.get(identifier, (identifier, f"https://spdx.org/licenses/{identifier}.html"))


@dataclass(frozen=True)
class Column:
    """A column: its name in every file, what it says, and of what form its values are.

    ``standard`` names the standard or the taxonomy of the exchange whose codes it holds.
    """

    name: str
    says: Any
    form: str
    standard: str = ""


FORM_NAMES = {
    "text": _l("text"),
    "texts": _l("several texts"),
    "code": _l("code"),
    "codes": _l("several codes"),
    "number": _l("whole number"),
    "amount": _l("amount of money"),
    "date": _l("day"),
    "yes or no": _l("yes or no"),
    "address": _l("address"),
}
"""Form of a column's values → its name."""

Row = dict[str, Any]
Rows = Callable[[Exchange, Session, str], Iterator[Row]]


@dataclass(frozen=True)
class Dataset:
    """A set of rows that is given away, with its columns in their order."""

    name: str
    title: Any
    columns: tuple[Column, ...]
    rows: Rows
    stamp: Callable[[Session], tuple[Any, ...]]


# --- Posts ----------------------------------------------------------------------------------

_HEAD = (
    Column("reference", _l("Reference of the exchange"), "text"),
    Column("status", _l("Status"), "code", "PostStatus"),
    Column("organisation", _l("Organisation that posted it"), "code", "organisation"),
    Column("organisation_name", _l("Its name"), "text"),
    Column("organisation_country", _l("Its country"), "code", "ISO 3166-1 alpha-2"),
    Column("published_on", _l("Published on"), "date", "ISO 8601"),
    Column("expires_on", _l("On the exchange until"), "date", "ISO 8601"),
    Column("version", _l("Version"), "number"),
)

_STANDARDS = (
    Column("country_iso3", _l("Country, in three letters"), "code", "ISO 3166-1 alpha-3"),
    Column("country_m49", _l("Country, in three digits"), "code", "UN M49"),
    Column("sdgs", _l("Sustainable Development Goals and targets of its themes"), "codes", "SDG"),
    Column("crs", _l("Purpose codes of its themes"), "codes", "OECD-DAC CRS"),
    Column("page", _l("Page on the exchange"), "address"),
)

STANDARD_OF = {
    "country": "ISO 3166-1 alpha-2",
    "region_country": "ISO 3166-1 alpha-2",
    "currency": "ISO 4217",
    "language": "ISO 639-1",
}
"""Taxonomy of the exchange → the standard from which its codes are."""


def _form(field: fields.Field) -> tuple[str, str]:
    """Form and standard of the values of a field of a schema."""
    if isinstance(field, fields.List):
        form, standard = _form(field.inner)
        return ("codes" if form == "code" else "texts"), standard
    if isinstance(field, Code):
        return "code", STANDARD_OF.get(field.scheme, field.scheme)
    if isinstance(field, Day):
        return "date", "ISO 8601"
    if isinstance(field, Money):
        return "amount", ""
    if isinstance(field, fields.Boolean):
        return "yes or no", ""
    return ("number", "") if isinstance(field, fields.Integer) else ("text", "")


_APART = frozenset({*CONTACT, "support", "translations"})


def _post_columns(kind: str) -> tuple[Column, ...]:
    """The columns of a kind of post: those of its schema, save what is not for everybody."""
    said = []
    for name, field in SCHEMAS[kind]._declared_fields.items():
        if name not in _APART:
            form, standard = ("code", "ISO 639-1") if name == "language" else _form(field)
            said.append(Column(name, FIELD_NAMES.get(name, name), form, standard))
    support = (
        Column("support_kinds", FIELD_NAMES["support"], "codes", "support_kind"),
        Column("modalities", _l("Form of the support"), "codes", "support_kind"),
    )
    left = "places_open" if kind == "need" else "places_left"
    numbers = (Column(left, _l("Places that are still open"), "number"),)
    return (*_HEAD, *said, *support, *numbers, *_STANDARDS)


def _post_rows(kind: str) -> Rows:
    def rows(exchange: Exchange, session: Session, language: str) -> Iterator[Row]:
        model: Any = CLASSES[kind]
        last = 0
        while True:
            found = session.scalars(
                select(model)
                .where(model.status.in_(PUBLICLY_READABLE), model.id > last)
                .order_by(model.id)
                .limit(BATCH)
                .options(*WHOLE)
            ).all()
            for post in found:
                yield _post_row(post, exchange, language)
            if len(found) < BATCH:
                return
            last = found[-1].id
            session.expunge_all()

    return rows


def _post_row(post: Need | Offer, exchange: Exchange, language: str) -> Row:
    said = visible_content(post, None)
    country = said.get("country") or post.organisation.country_code
    left = post.places_open() if isinstance(post, Need) else post.remaining_places()
    return {
        "reference": post.reference,
        "status": str(post.status),
        "organisation": post.organisation.code,
        "organisation_name": post.organisation.name(language),
        "organisation_country": post.organisation.country_code,
        "published_on": post.published_at.date() if post.published_at else None,
        "expires_on": post.expires_on,
        "version": post.version,
        **{name: value for name, value in said.items() if name not in _APART},
        "support_kinds": post.support_kinds,
        "modalities": sorted({s.modality for s in post.supports if s.modality}),
        "places_open" if isinstance(post, Need) else "places_left": left,
        **_standards(country, said["themes"], exchange.reference),
        "page": f"{exchange.settings.site}/{post.kind}s/{post.id}",
    }


def _standards(country: str | None, themes: Sequence[str], reference: Reference) -> Row:
    found = reference.countries.get(country or "")
    terms = [reference.terms["theme"][code] for code in themes if code in reference.terms["theme"]]
    return {
        "country_iso3": found.iso3 if found else None,
        "country_m49": found.m49 if found else None,
        "sdgs": _joined(term.extra.get("sdg", ()) for term in terms),
        "crs": _joined(term.extra.get("crs", ()) for term in terms),
    }


def _joined(several: Iterable[Iterable[Any]]) -> list[str]:
    return sorted({str(code) for codes in several for code in codes})


def _post_stamp(kind: str) -> Callable[[Session], tuple[Any, ...]]:
    def stamp(session: Session) -> tuple[Any, ...]:
        query = select(func.count(), func.max(Post.updated_at), func.sum(Post.revision)).where(
            Post.kind == kind, Post.status.in_(PUBLICLY_READABLE)
        )
        return tuple(session.execute(query).one())

    return stamp


# --- Agreements -----------------------------------------------------------------------------

_AGREEMENT_COLUMNS = (
    Column("reference", _l("Reference of the exchange"), "text"),
    Column("kind", _l("Kind of agreement"), "code", "AgreementKind"),
    Column("status", _l("Status"), "code", "AgreementStatus"),
    Column("title", _l("Title"), "text"),
    Column("need", _l("Reference of the need"), "text"),
    Column("offer", _l("Reference of the offer"), "text"),
    Column("need_side", _l("Organisation that asked"), "code", "organisation"),
    Column("offer_side", _l("Organisation that gives"), "code", "organisation"),
    Column("parties", _l("All parties"), "codes", "organisation"),
    Column("country", _l("Country"), "code", "ISO 3166-1 alpha-2"),
    Column("starts", _l("Work starts"), "date", "ISO 8601"),
    Column("ends", _l("Work ends"), "date", "ISO 8601"),
    Column("places", _l("Places"), "number"),
    Column("money", _l("Money, if every party shows it"), "amount"),
    Column("currency", _l("Currency"), "code", "ISO 4217"),
    Column("activities", _l("Activities, if every party shows them"), "text"),
    Column("support_kinds", _l("Kinds of support"), "codes", "support_kind"),
    Column("themes", _l("Themes of the need"), "codes", "theme"),
    Column("milestones", _l("Milestones"), "number"),
    Column("milestones_done", _l("Milestones that were reached"), "number"),
    Column("signed_on", _l("Signed on"), "date", "ISO 8601"),
    Column("ended_on", _l("Ended on"), "date", "ISO 8601"),
    *_STANDARDS,
)


def _agreement_rows(exchange: Exchange, session: Session, _language: str) -> Iterator[Row]:
    last = 0
    while True:
        found = session.scalars(
            select(Agreement)
            .where(Agreement.status.in_(PUBLICLY_REGISTERED), Agreement.id > last)
            .order_by(Agreement.id)
            .limit(BATCH)
            .options(*WHOLE_AGREEMENT, selectinload(Agreement.need).selectinload(Need.facets))
        ).all()
        for agreement in found:
            yield _agreement_row(agreement, exchange)
        if len(found) < BATCH:
            return
        last = found[-1].id
        session.expunge_all()


def _agreement_row(agreement: Agreement, exchange: Exchange) -> Row:
    terms, need = agreement.current_terms, agreement.need
    themes = need.codes("theme")
    money = terms.money if agreement.shows_money_to(None) else None
    return {
        "reference": agreement.reference,
        "kind": str(agreement.kind),
        "status": str(agreement.status),
        "title": terms.title,
        "need": need.reference,
        "offer": agreement.offer.reference,
        "need_side": need.organisation.code,
        "offer_side": agreement.offer.organisation.code,
        "parties": [party.organisation.code for party in agreement.parties],
        "country": need.country_code,
        "starts": terms.starts,
        "ends": terms.ends,
        "places": terms.places,
        "money": money,
        "currency": terms.currency if money is not None else None,
        "activities": terms.activities if agreement.shows_activities_to(None) else None,
        "support_kinds": terms.support_kinds,
        "themes": themes,
        "milestones": len(agreement.milestones),
        "milestones_done": sum(one.done_on is not None for one in agreement.milestones),
        "signed_on": agreement.signed_at.date() if agreement.signed_at else None,
        "ended_on": agreement.ended_at.date() if agreement.ended_at else None,
        **_standards(need.country_code, themes, exchange.reference),
        "page": f"{exchange.settings.site}/agreements/{agreement.id}",
    }


def _agreement_stamp(session: Session) -> tuple[Any, ...]:
    query = select(
        func.count(), func.max(Agreement.updated_at), func.sum(Agreement.revision)
    ).where(Agreement.status.in_(PUBLICLY_REGISTERED))
    return tuple(session.execute(query).one())


# --- The directories ------------------------------------------------------------------------

_ENTRY_HEAD = (
    Column("reference", _l("Reference of the exchange"), "text"),
    Column("directory", _l("Directory"), "code", "EntryKind"),
    Column("organisation", _l("Organisation that it is of"), "code", "organisation"),
    Column("organisation_name", _l("Its name"), "text"),
    Column("organisation_country", _l("Its country"), "code", "ISO 3166-1 alpha-2"),
    Column("published_on", _l("Published on"), "date", "ISO 8601"),
    Column("current", _l("Whether its date has not passed"), "yes or no"),
)


def _entry_columns() -> tuple[Column, ...]:
    """The columns of all directories, each once, save what is not for everybody."""
    said = {
        name: Column(name, ENTRY_FIELD_NAMES[name], *_form(field))
        for schema in ENTRY_SCHEMAS.values()
        for name, field in schema._declared_fields.items()
        if name not in _APART and name not in {column.name for column in _ENTRY_HEAD}
    }
    said["language"] = Column("language", ENTRY_FIELD_NAMES["language"], "code", "ISO 639-1")
    agreement = Column("agreement", _l("Agreement that it came of"), "text")
    return (*_ENTRY_HEAD, *said.values(), agreement, *_STANDARDS)


def _public_entries(wanted: Any) -> Select[Any]:
    """A query for all entries that everybody may read, those whose date has passed too."""
    return find_entries(DirectoryFilter(expired=True), wanted, on=date.min)


def _entry_rows(exchange: Exchange, session: Session, language: str) -> Iterator[Row]:
    last = 0
    while True:
        found = session.scalars(
            _public_entries(Entry)
            .where(Entry.id > last)
            .order_by(Entry.id)
            .limit(BATCH)
            .options(*WHOLE_ENTRY)
        ).all()
        for entry in found:
            yield _entry_row(entry, exchange, language)
        if len(found) < BATCH:
            return
        last = found[-1].id
        session.expunge_all()


def _entry_row(entry: Entry, exchange: Exchange, language: str) -> Row:
    said = visible_entry(entry, None)
    figures = [" ".join(f"{f['name']}: {f['value']} {f['unit']}".split()) for f in entry.figures]
    return {
        **{name: value for name, value in said.items() if name not in _APART},
        "reference": entry.reference,
        "directory": str(entry.kind),
        "organisation": entry.organisation.code,
        "organisation_name": entry.organisation.name(language),
        "organisation_country": entry.organisation.country_code,
        "published_on": entry.published_at.date() if entry.published_at else None,
        "current": entry.is_current(exchange.today()),
        "figures": figures,
        "agreement": entry.agreement.reference if entry.agreement else None,
        **_standards(entry.country_code, entry.codes("theme"), exchange.reference),
        "page": f"{exchange.settings.site}/directory/entries/{entry.id}",
    }


def _entry_stamp(session: Session) -> tuple[Any, ...]:
    # A day brings an entry's end, and a party may stop showing what was done.
    query = _public_entries(func.count(Entry.id)).add_columns(
        func.max(Entry.updated_at), func.sum(Entry.revision)
    )
    return (*session.execute(query).one(), session.info["exchange"].today().isoformat())


# --- The board ------------------------------------------------------------------------------

_BOARD_COLUMNS = (
    Column("facet", _l("By what posts are counted; “all” counts each once"), "text"),
    Column("code", _l("Code; empty for posts that state none"), "code", "facet"),
    Column("label", _l("What the code means"), "text"),
    Column("needs", _l("Needs on the exchange now"), "number"),
    Column("offers", _l("Offers on the exchange now"), "number"),
    Column("sdgs", _l("Sustainable Development Goals and targets of a theme"), "codes", "SDG"),
    Column("crs", _l("Purpose codes of a theme"), "codes", "OECD-DAC CRS"),
)


def _board_rows(exchange: Exchange, session: Session, language: str) -> Iterator[Row]:
    reference = exchange.reference
    market = Market.read(session, reference)
    total = market.count({})
    yield _board_row("all", "", "", total.needs, total.offers)
    for facet in FACETS:
        table = market.table(facet, reference, language)
        for row in table.rows:
            extra = reference.terms["theme"][row.code].extra if facet == "theme" else {}
            yield {
                **_board_row(facet, row.code, row.label, row.total.needs, row.total.offers),
                "sdgs": sorted(map(str, extra.get("sdg", ()))),
                "crs": sorted(map(str, extra.get("crs", ()))),
            }
        yield _board_row(facet, "", "", table.unstated.needs, table.unstated.offers)


def _board_row(facet: str, code: str, label: str, needs: int, offers: int) -> Row:
    return {"facet": facet, "code": code, "label": label, "needs": needs, "offers": offers}


def _board_stamp(session: Session) -> tuple[Any, ...]:
    return (*_post_stamp("need")(session), *_post_stamp("offer")(session))


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "needs",
            _l("Published needs"),
            _post_columns("need"),
            _post_rows("need"),
            _post_stamp("need"),
        ),
        Dataset(
            "offers",
            _l("Published offers"),
            _post_columns("offer"),
            _post_rows("offer"),
            _post_stamp("offer"),
        ),
        Dataset(
            "agreements",
            _l("The register of agreements"),
            _AGREEMENT_COLUMNS,
            _agreement_rows,
            _agreement_stamp,
        ),
        Dataset(
            "directories",
            _l("The directories: institutions, specialists, technologies, good practices"),
            _entry_columns(),
            _entry_rows,
            _entry_stamp,
        ),
        Dataset("board", _l("Demand against supply"), _BOARD_COLUMNS, _board_rows, _board_stamp),
    )
}
"""Name → what is given away under it."""


@dataclass(frozen=True)
class Stamp:
    """By what a file is known to be the same as the one before."""

    tag: str
    modified: datetime | None


def stamp_of(
    session: Session, dataset: Dataset, ending: str, language: str, licence: str, bom: bool
) -> Stamp:
    """The stamp of a file, from two numbers and a date of the database; nothing else is read."""
    state = dataset.stamp(session)
    moments = [part for part in state if isinstance(part, datetime)]
    text = repr((dataset.name, [c.name for c in dataset.columns], ending, language, licence, bom))
    digest = hashlib.sha256(f"{text} {state!r}".encode()).hexdigest()[:24]
    return Stamp(digest, max(moments, default=None))


# --- Files ----------------------------------------------------------------------------------


def write_csv(
    exchange: Exchange, dataset: Dataset, language: str, *, bom: bool = False
) -> Iterator[str]:
    """The file, piece by piece, in UTF-8; with a byte-order mark only if ``bom`` asks for it.

    Texts that a spreadsheet program would take for a formula are led in by an apostrophe.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    if bom:
        file.write("\ufeff")
    writer.writerow([column.name for column in dataset.columns])
    with exchange.reading() as session:
        for number, row in enumerate(dataset.rows(exchange, session, language)):
            writer.writerow([_cell(row.get(column.name)) for column in dataset.columns])
            if number % BATCH == BATCH - 1:
                yield _taken(file)
    yield _taken(file)


def _taken(file: io.StringIO) -> str:
    text = file.getvalue()
    file.seek(0)
    file.truncate()
    return text


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        value = SEVERAL.join(map(str, value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(FORMULA_SIGNS):
        return f"'{value}"
    return value


def write_json(exchange: Exchange, dataset: Dataset, language: str) -> Iterator[str]:
    """The file, piece by piece: what it is, under which licence, and an object for each row."""
    name, address = licence_of(exchange.settings.data_licence)
    head = {
        "dataset": dataset.name,
        "licence": {"id": exchange.settings.data_licence, "name": name, "url": address},
        "dictionary": f"{exchange.settings.site}/open-data#{dataset.name}",
    }
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "items": [\n'
    with exchange.reading() as session:
        for number, row in enumerate(dataset.rows(exchange, session, language)):
            item = {column.name: _json(row.get(column.name)) for column in dataset.columns}
            yield (",\n" if number else "") + json.dumps(item, ensure_ascii=False)
    yield "\n]}\n"


def _json(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def write_xlsx(exchange: Exchange, dataset: Dataset, language: str) -> Any:
    """The file, in a temporary one that is gone when it is closed: rows, and the data dictionary.

    Every text is stored as text: nothing in it is ever worked out as a formula.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet(dataset.name)
    sheet.freeze_panes = "A2"
    sheet.append([column.name for column in dataset.columns])
    with exchange.reading() as session:
        for row in dataset.rows(exchange, session, language):
            sheet.append([_sheet_cell(sheet, row.get(column.name)) for column in dataset.columns])
    words = book.create_sheet("dictionary")
    words.append(["column", "says", "form", "standard"])
    for column in dataset.columns:
        words.append([column.name, str(column.says), column.form, column.standard])
    name, address = licence_of(exchange.settings.data_licence)
    words.append([])
    words.append(["licence", name, exchange.settings.data_licence, address])
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when it was sent
    book.save(file)
    file.seek(0)
    return file


def _sheet_cell(sheet: Any, value: Any) -> Any:
    if isinstance(value, list | tuple):
        value = SEVERAL.join(map(str, value))
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(sheet)
    cell.value = ILLEGAL_CHARACTERS_RE.sub("", value)[:32_000]
    cell.data_type = "s"
    return cell
