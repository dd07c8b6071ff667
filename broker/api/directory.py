"""The directories: institutions, specialists, technologies, good practices, and what is near a need."""

from __future__ import annotations

from typing import Any

from flask import url_for
from marshmallow import Schema, fields, validate

from broker.api.answers.organisations import OrganisationName, organisation_name
from broker.api.answers.values import LinksSaid, listed, plain, slice_schema, text
from broker.api.cursors import SliceQuery, one_of, slice_of
from broker.api.door import Door
from broker.directory import WHOLE, get_entry, visible_content
from broker.directory_search import (
    SORTS,
    DirectoryFilter,
    entries_for,
    find_entries,
    near_sentence,
)
from broker.posts import get_post
from broker.search import listed as numbers
from broker.web.access import EVERYBODY, SIGNED_IN, person, reader
from broker.web.reading import database, exchange, language, today
from models import Entry, EntryKind, Need

doors = Door("api_directory", __name__, description="The directories, and what is near a need")


def _codes() -> fields.List:
    return fields.List(fields.String(validate=validate.Length(max=64)))


class DirectoryQuery(SliceQuery):
    """The filters of the directories: those of their page."""

    q = fields.String(
        validate=validate.Length(max=200),
        metadata={"description": "Words in any text; typing errors are forgiven."},
    )
    kind = fields.List(fields.String(validate=one_of(map(str, EntryKind))))
    theme = _codes()
    country = _codes()
    subregion = _codes()
    sector = _codes()
    language = _codes()
    organisation = fields.String(validate=validate.Length(max=64))
    sort = fields.String(validate=one_of(SORTS), load_default="newest")


class EntrySaid(Schema):
    """An entry of a directory; ``content`` has the fields of its kind."""

    id = fields.Integer(required=True)
    reference = text()
    kind = text()
    organisation = fields.Nested(OrganisationName, required=True)
    status = text()
    revision = fields.Integer(required=True)
    published_at = fields.DateTime(required=True, allow_none=True)
    content = fields.Dict(required=True)
    links = fields.Nested(LinksSaid, required=True)


EntrySlice = slice_schema(EntrySaid, "EntrySlice")


class NearEntrySaid(Schema):
    """An entry near a need, with the points and what speaks for it."""

    entry = fields.Nested(EntrySaid, required=True)
    points = fields.Float(required=True)
    reason = fields.Dict(required=True)
    reason_text = text()


class NearEntryList(Schema):
    """What exists already near a need, the nearest first."""

    items = fields.List(fields.Nested(NearEntrySaid), required=True)


def _told(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "reference": entry.reference,
        "kind": str(entry.kind),
        "organisation": organisation_name(entry.organisation),
        "status": str(entry.status),
        "revision": entry.revision,
        "published_at": plain(entry.published_at),
        "content": plain(visible_content(entry, reader())),
        "links": {
            "self": url_for("api_directory.entry", entry_id=entry.id, _external=True),
            "page": url_for("directory.page", entry_id=entry.id, _external=True),
        },
    }


@doors.opens("GET", "/directory", roles=EVERYBODY, query=DirectoryQuery, gives=EntrySlice)
def entries(query: dict[str, Any]) -> Any:
    """List the entries of all directories, narrowed by words and the filters of their page."""
    filters = DirectoryFilter(
        kinds=tuple(query.get("kind", ())),
        themes=tuple(query.get("theme", ())),
        countries=tuple(query.get("country", ())),
        subregions=tuple(query.get("subregion", ())),
        sectors=tuple(query.get("sector", ())),
        languages=tuple(query.get("language", ())),
        organisation=query.get("organisation", ""),
    )
    among = None
    if words := query.get("q", "").strip():
        among = numbers(database(), exchange().entry_search.find(database(), words).points)
    found = find_entries(filters, Entry, on=today(), among=among).options(*WHOLE)
    rows, following = slice_of(database(), found, SORTS[query["sort"]], query)
    return listed([_told(row) for row in rows], following)


@doors.opens("GET", "/directory/<int:entry_id>", roles=EVERYBODY, gives=EntrySaid, versioned=True)
def entry(entry_id: int) -> Any:
    """Read one entry."""
    return _told(get_entry(database(), entry_id, reader()))


@doors.opens("GET", "/needs/<int:post_id>/precedents", roles=SIGNED_IN, gives=NearEntryList)
def precedents(post_id: int) -> Any:
    """List what exists already near a need, with what speaks for it."""
    need = get_post(database(), "need", post_id, person())
    assert isinstance(need, Need)  # noqa: S101 - the kind asked for is the kind given
    found = entries_for(exchange(), database(), need, on=today())
    return {
        "items": [
            {
                "entry": _told(near.entry),
                "points": near.points,
                "reason": near.reason,
                "reason_text": near_sentence(near, exchange().reference, language()),
            }
            for near in found
        ]
    }
