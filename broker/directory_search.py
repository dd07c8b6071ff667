"""Use cases of looking into the directories: in public, and for a need that no offer serves."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask_babel import force_locale, gettext
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from broker.directory import WHOLE
from broker.engine import OVERLAP, need_profile
from broker.exchange import Exchange
from broker.explanations import reason_of, reason_sentence
from broker.jobs import routine
from broker.matches import Matches
from broker.reference import Reference
from broker.search import BODY, NAME, TITLE, listed, passages_in_others, search_glossary
from matching import OfferProfile, Taxonomy
from matching.precedents import Precedent, nearest_precedents, where
from matching.search import Document, Found, Passage, SearchIndex
from matching.text import Vector
from models import (
    AgreementParty,
    Country,
    Entry,
    EntryFacet,
    EntryKind,
    EntryStatus,
    Need,
    Offer,
    Organisation,
    utc_now,
)

SHELF = "public"
"""The shelf of the index on which published entries stand; the others stand on none."""

ENCODED_BY_READER = 8
"""Texts of entries that a reader waits for, half a second; more are encoded by the routine."""


def text_of(entry: Entry) -> tuple[str, str]:
    """Title and body of an entry as the text model reads them."""
    body = (entry.description, entry.services, entry.results, entry.lessons)
    return entry.title, "\n".join(part for part in body if part)


class EntrySearch:
    """The published entries in a search index and as the engine compares them.

    Kept in step with the database: entries carry the moment of their last change.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._lock = threading.Lock()
        self._seen: dict[int, datetime] = {}
        self._looked: datetime | None = None
        self._texts: dict[int, tuple[str, str, str]] = {}
        self._profiles: dict[int, OfferProfile] = {}
        self._vectors: dict[tuple[str, int], tuple[datetime, Vector]] = {}
        self.index = SearchIndex(search_glossary(exchange), exchange.engine.text_model.calibrate)

    def find(self, session: Session, text: str) -> Found:
        """The published entries in which the words stand, best first, typing errors forgiven."""
        with self._lock:
            self._sync(session)
            return self.index.find(text, SHELF)

    def precedents(self, session: Session, ids: Sequence[int]) -> list[Precedent]:
        """Entries as the engine compares them; a text that waits for its vector is left open."""
        with self._lock:
            self._sync(session)
            known = [number for number in ids if number in self._profiles]
            vectors = self._features(session, known)
            return [Precedent(self._profiles[number], vectors.get(number)) for number in known]

    def _features(self, session: Session, ids: Sequence[int]) -> dict[int, Vector]:
        engine = self.exchange.engine
        model, version = engine.text_model, engine.text_model.version
        found = {
            number: kept[1]
            for number in ids
            if (kept := self._vectors.get((version, number))) and kept[0] == self._seen[number]
        }
        missing = [number for number in ids if number not in found]
        sources = [model.source(*self._texts[number][:2]) for number in missing]
        role = model.role("offer")
        raw = engine.vectors.stored(session, sources, role)
        if engine.vectors.encoder is not None:
            late = [place for place, vector in enumerate(raw) if vector is None]
            late = late[:ENCODED_BY_READER]
            made = engine.vectors.of(session, [sources[place] for place in late], role)
            for place, vector in zip(late, made, strict=True):
                raw[place] = vector
        for number, vector in zip(missing, raw, strict=True):
            if vector is None and engine.vectors.encoder is not None:
                continue
            title, body, language = self._texts[number]
            features = model.features(title, body, language, "offer", vector)
            found[number] = features
            self._vectors[version, number] = (self._seen[number], features)
        return found

    def _sync(self, session: Session) -> None:
        now = utc_now()
        since = self._looked - OVERLAP if self._looked else datetime(1970, 1, 1, tzinfo=UTC)
        stamps = session.execute(
            select(Entry.id, Entry.updated_at).where(Entry.updated_at >= since)
        ).all()
        changed = [number for number, stamp in stamps if self._seen.get(number) != stamp]
        for start in range(0, len(changed), 500):
            entries = session.scalars(
                select(Entry)
                .where(Entry.id.in_(changed[start : start + 500]))
                .options(*WHOLE)
                .order_by(Entry.id)
            ).all()
            for entry in entries:
                self._put(entry)
        self._seen |= dict(stamps)
        self._looked = now

    def _put(self, entry: Entry) -> None:
        if entry.status != EntryStatus.PUBLISHED:
            self.index.remove(entry.id)
            self._texts.pop(entry.id, None)
            self._profiles.pop(entry.id, None)
            return
        self.index.put(_document(entry))
        self._texts[entry.id] = (*text_of(entry), entry.language)
        self._profiles[entry.id] = entry_profile(entry, self.exchange.engine.taxonomy)


def _document(entry: Entry) -> Document:
    title, body = text_of(entry)
    organisations = [entry.organisation, *([entry.certified_by] if entry.certified_by else [])]
    passages = [
        Passage(title, entry.language, TITLE),
        Passage(body, entry.language, BODY),
        *passages_in_others(entry),
        Passage(f"{entry.reference} {entry.certificate} {entry.supplier}", None, NAME),
        *(
            Passage(name, language, NAME)
            for organisation in organisations
            for language, name in organisation.names.items()
        ),
        *(Passage(organisation.acronym or "", None, NAME) for organisation in organisations),
        *(
            Passage(name, language, NAME)
            for language, name in (entry.country.labels if entry.country else {}).items()
        ),
    ]
    return Document(
        entry.id,
        frozenset({SHELF}),
        tuple(passage for passage in passages if passage.text.strip()),
        frozenset(entry.codes("theme")),
    )


def entry_profile(entry: Entry, taxonomy: Taxonomy) -> OfferProfile:
    """What the engine knows of an entry."""
    countries, subregions = where(entry.country_code, taxonomy)
    return OfferProfile(
        id=entry.id,
        reference=entry.reference,
        organisation=entry.organisation_id,
        language=entry.language,
        themes=frozenset(entry.codes("theme")),
        languages=frozenset(entry.codes("language")),
        organisation_country=entry.organisation.country_code,
        serves_countries=countries,
        serves_subregions=subregions,
    )


@dataclass(frozen=True)
class DirectoryFilter:
    """What a list of entries is narrowed to; every field is a parameter of the page's address.

    Attributes
    ----------
    organisation : str
        Code of the organisation whose entries are listed, and the specialists that it certified.
    expired : bool
        Whether entries whose date has passed are listed too.
    """

    text: str = ""
    kinds: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    subregions: tuple[str, ...] = ()
    sectors: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    organisation: str = ""
    expired: bool = False
    sort: str = "newest"


SORTS: dict[str, tuple[Any, ...]] = {
    "newest": (Entry.published_at.desc(), Entry.id.desc()),
    "title": (func.lower(Entry.title).asc(), Entry.id.asc()),
    "ending": (func.coalesce(Entry.valid_until, date(9999, 1, 1)).asc(), Entry.id.asc()),
}
"""Orders in which a list may be read; by relevance too, where words are looked for."""


def find_entries(
    filters: DirectoryFilter, wanted: Any, *, on: date, among: Select[Any] | None = None
) -> Select[Any]:
    """A query for the public entries that pass the filters, save for the words.

    Several codes of one facet mean "any of".

    Parameters
    ----------
    wanted
        What is selected: ``Entry``, ``Entry.id``, …
    among
        Numbers of the entries that the words have found.
    """
    untold = select(AgreementParty.id).where(
        AgreementParty.agreement_id == Entry.agreement_id,
        AgreementParty.shows_activities.is_(False),
    )
    query: Select[Any] = (
        select(wanted)
        .outerjoin(Country, Country.code == Entry.country_code)
        .where(Entry.status == EntryStatus.PUBLISHED, ~untold.exists())
    )
    if among is not None:
        query = query.where(Entry.id.in_(among))
    if not filters.expired:
        query = query.where(or_(Entry.valid_until.is_(None), Entry.valid_until >= on))
    for column, codes in (
        (Entry.kind, filters.kinds),
        (Entry.country_code, filters.countries),
        (Entry.sector, filters.sectors),
        (Entry.language, filters.languages),
    ):
        if codes:
            query = query.where(column.in_(codes))
    if filters.themes:
        having = select(EntryFacet.entry_id).where(
            EntryFacet.facet == "theme", EntryFacet.code.in_(filters.themes)
        )
        query = query.where(Entry.id.in_(having))
    if filters.subregions:
        places = [Country.subregion.in_(filters.subregions)]
        if "regional" in filters.subregions:
            places.append(Entry.country_code.is_(None))
        query = query.where(or_(*places))
    if filters.organisation:
        these = Organisation.ids_behind([filters.organisation])
        query = query.where(or_(Entry.organisation_id.in_(these), Entry.certified_by_id.in_(these)))
    return query


@dataclass(frozen=True)
class DirectoryResults:
    """The entries that pass a filter, in its order.

    Attributes
    ----------
    ids : list of int
        Of all of them.
    counts : dict
        Field of the filter → code → how many entries that choice would give.
    expired : int
        How many more there would be with those whose date has passed.
    found : Found
        What the words found; empty where none were asked for.
    """

    ids: list[int]
    counts: dict[str, dict[str, int]]
    expired: int
    found: Found = field(default_factory=Found)


def search_entries(
    exchange: Exchange, session: Session, filters: DirectoryFilter, *, on: date
) -> DirectoryResults:
    """The public entries that pass the filters, with the count of each further choice."""
    found, among = Found(), None
    if filters.text:
        found = exchange.entry_search.find(session, filters.text)
        among = listed(session, found.points)
    order = SORTS.get(filters.sort, SORTS["newest"])
    query = find_entries(filters, Entry.id, on=on, among=among).order_by(*order)
    ids = list(session.scalars(query))
    if filters.text and filters.sort not in SORTS:
        passing = set(ids)
        ids = [number for number in found.points if number in passing]
    expired = 0
    if not filters.expired:
        everything = replace(filters, expired=True)
        counted = find_entries(everything, func.count(Entry.id), on=on, among=among)
        expired = (session.scalar(counted) or 0) - len(ids)
    return DirectoryResults(
        ids, _count_choices(session, filters, on=on, among=among), expired, found
    )


def _count_choices(
    session: Session, filters: DirectoryFilter, *, on: date, among: Select[Any] | None
) -> dict[str, dict[str, int]]:
    """How many entries each code of each filter would give while the other filters stay."""

    def count(name: str, column: Any) -> dict[str, int]:
        emptied = replace(filters, **{name: ()})  # type: ignore[arg-type]
        query = find_entries(emptied, column, on=on, among=among)
        return {
            code: number
            for code, number in session.execute(
                query.add_columns(func.count(Entry.id)).group_by(column)
            )
            if code
        }

    themes = find_entries(replace(filters, themes=()), Entry.id, on=on, among=among)
    theme_counts = session.execute(
        select(EntryFacet.code, func.count())
        .where(EntryFacet.facet == "theme", EntryFacet.entry_id.in_(themes))
        .group_by(EntryFacet.code)
    )
    places = replace(filters, countries=(), subregions=())
    subregions = find_entries(
        places, func.coalesce(Country.subregion, "regional").label("place"), on=on, among=among
    )
    subregion_counts = session.execute(
        subregions.add_columns(func.count(Entry.id))
        .where(or_(Country.subregion.is_not(None), Entry.country_code.is_(None)))
        .group_by("place")
    )
    return {
        "kinds": count("kinds", Entry.kind),
        "themes": dict(theme_counts.all()),
        "countries": count("countries", Entry.country_code),
        "subregions": dict(subregion_counts.all()),
        "sectors": count("sectors", Entry.sector),
        "languages": count("languages", Entry.language),
    }


def load_entries(session: Session, ids: Sequence[int]) -> list[Entry]:
    """Entries whole, in the order of their numbers; a handful at a time."""
    found = {
        entry.id: entry
        for entry in session.scalars(select(Entry).where(Entry.id.in_(ids)).options(*WHOLE))
    }
    return [found[number] for number in ids if number in found]


def count_by_kind(
    session: Session, *, on: date, filters: DirectoryFilter | None = None
) -> dict[str, int]:
    """How many public entries each directory holds now, of those that pass a filter."""
    query = find_entries(filters or DirectoryFilter(), Entry.kind, on=on)
    counts = session.execute(query.add_columns(func.count(Entry.id)).group_by(Entry.kind))
    held: dict[str, int] = dict(counts.all())
    return {str(kind): held.get(kind, 0) for kind in EntryKind}


@dataclass(frozen=True)
class NearEntry:
    """An entry near a need, with the points and what speaks for it."""

    entry: Entry
    points: float
    reason: dict[str, Any]


def entries_for(
    exchange: Exchange, session: Session, need: Need, *, on: date, limit: int = 6
) -> list[NearEntry]:
    """What exists already near a need: the nearest public entries, best first, with reasons.

    Compared by themes, place and meaning of the text, as the engine compares offers. Entries of
    the organisation that asks are left out: it knows them.
    """
    engine = exchange.engine
    query = find_entries(DirectoryFilter(), Entry.id, on=on)
    ids = list(session.scalars(query.where(Entry.organisation_id != need.organisation_id)))
    found = nearest_precedents(
        need_profile(need, exchange.reference),
        engine.features(session, [need])[0],
        exchange.entry_search.precedents(session, ids),
        engine.taxonomy,
        engine.book.weights,
        engine.book.scale,
        limit=limit,
    )
    entries = {entry.id: entry for entry in load_entries(session, [e.offer_id for e in found])}
    return [
        NearEntry(entries[one.offer_id], one.points, reason_of(one))
        for one in found
        if one.offer_id in entries
    ]


FEW = 3
"""Fewer offers than these at the band "possible" or above are few."""


def exists_instead(
    exchange: Exchange, session: Session, post: Need | Offer, found: Matches, *, on: date
) -> list[NearEntry]:
    """What exists already, where few offers fit a need; nothing for an offer."""
    fitting = sum(row.band != "weak" for row in found.rows)
    if not isinstance(post, Need) or fitting >= FEW:
        return []
    return entries_for(exchange, session, post, on=on)


def near_sentence(near: NearEntry, reference: Reference, language: str) -> str:
    """Why an entry is shown for a need, in a sentence or two."""
    parts = near.reason["parts"]
    rest = [part for part in parts if part["part"] != "place"]
    sentences = [reason_sentence({"parts": rest}, reference, language)] if rest else []
    nearness = next((part["similarity"] for part in parts if part["part"] == "place"), 0.0)
    with force_locale(language):
        if nearness >= 1:
            sentences.append(gettext("It is from the same country."))
        elif nearness > 0.5:
            sentences.append(gettext("It is from the same subregion."))
    return " ".join(sentences)


@routine(every=timedelta(minutes=5))
def encode_entries(exchange: Exchange) -> None:
    """Make the vectors of published entries that have none yet, so that nobody waits for them."""
    vectors = exchange.vectors
    if vectors.encoder is None:
        return
    model = exchange.engine.text_model
    with exchange.reading() as session:
        published = session.scalars(
            select(Entry).where(Entry.status == EntryStatus.PUBLISHED).order_by(Entry.id)
        )
        sources = [model.source(*text_of(entry)) for entry in published]
        vectors.of(session, sources, model.role("offer"))
    vectors.keep()
