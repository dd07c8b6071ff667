"""Use case of finding: posts by words, in whatever language they are asked for or written in.

Words are looked for in an index in memory, which every process keeps in step with the database;
filters, permission and counts are the database's, by :class:`broker.posts.PostFilter` alone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, Integer, Select, cast, func, select
from sqlalchemy.orm import Session, selectinload

from broker.desk import own_posts
from broker.engine import AT_ONCE, OVERLAP, codes_of, glossary_of, text_of
from broker.exchange import Exchange
from broker.posts import CLASSES, WHOLE, PostFilter, count_choices, find_posts
from matching.glossary import Glossary
from matching.search import Document, Found, Passage, SearchIndex
from matching.text import Role, Side, Vector
from models import LANGUAGES, PUBLICLY_READABLE, Post, PostStatus, User, utc_now
from models.translated import Translated

TITLE, SUMMARY, BODY, NAME = 3.0, 1.5, 1.0, 1.0
"""How much a word weighs that stands in a title, a summary, the text, or the provider's name."""

MADE_AT_ONCE = 2
"""Vectors of texts, not made yet, that one search makes; the others wait for the next."""


class PostSearch:
    """The posts of the exchange in a search index, kept in step with the database.

    Drafts stand in it too, on the shelf of their organisation alone.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._lock = threading.Lock()
        self._seen: dict[int, datetime] = {}
        self._vectorless: dict[int, None] = {}
        self._looked: datetime | None = None
        engine = exchange.engine
        self.index = SearchIndex(search_glossary(exchange), engine.text_model.calibrate)

    def find(
        self, session: Session, text: str, kind: str, organisation: int | None = None
    ) -> Found:
        """Find the posts of one kind, best first.

        Parameters
        ----------
        organisation : int, optional
            Look through all posts of this organisation, drafts too; else through public ones.
        """
        meaning = self._meaning(text, "offer" if kind == "need" else "need")
        with self._lock:
            self._sync(session)
            return self.index.find(text, _shelf(kind, organisation), meaning)

    def keep_up(self, session: Session) -> None:
        """Bring the index up to date with the database, before anybody asks."""
        with self._lock:
            self._sync(session)

    def _meaning(self, text: str, side: Side) -> Vector | None:
        """The query's meaning, as that of the other side's text; None where there is no encoder."""
        engine = self.exchange.engine
        encoder: Any = engine.vectors.encoder
        if encoder is None or not any(sign.isalpha() for sign in text):
            return None
        vector = _encoded(encoder, text, engine.text_model.role(side))
        return engine.text_model.features(text, "", None, side, vector)

    def _sync(self, session: Session) -> None:
        now = utc_now()
        since = self._looked - OVERLAP if self._looked else datetime(1970, 1, 1, tzinfo=UTC)
        stamps = session.execute(
            select(Post.id, Post.updated_at).where(Post.updated_at >= since)
        ).all()
        changed = [post_id for post_id, stamp in stamps if self._seen.get(post_id) != stamp]
        late = [post_id for post_id in self._vectorless if post_id not in changed][:MADE_AT_ONCE]
        for start in range(0, len(changed), AT_ONCE):
            self._put(session, changed[start : start + AT_ONCE], make=len(changed) <= MADE_AT_ONCE)
        if late:
            self._put(session, late, make=True)
        self._seen |= dict(stamps)
        self._looked = now

    def _put(self, session: Session, ids: Sequence[int], *, make: bool) -> None:
        query = select(Post).where(Post.id.in_(ids)).order_by(Post.id)
        options = selectinload(Post.supports), selectinload(Post.organisation)
        posts = session.scalars(query.options(*options)).all()
        codes = codes_of(session, ids)
        for post_id in set(ids) - {post.id for post in posts}:
            self.index.remove(post_id)
        vectors = self._vectors(session, posts, make=make)
        self.index.put_many(
            _document(post, codes[post.id]("theme"), vectors.get(post.id)) for post in posts
        )

    def _vectors(
        self, session: Session, posts: Sequence[Post], *, make: bool
    ) -> Mapping[int, Vector]:
        """Vectors of the public posts: the stored ones, and if asked those not made yet."""
        engine = self.exchange.engine
        if engine.vectors.encoder is None:
            return {}
        found: dict[int, Vector] = {}
        for side in ("need", "offer"):
            public = [p for p in posts if p.kind == side and p.status in PUBLICLY_READABLE]
            sources = [engine.text_model.source(*text_of(post)) for post in public]
            get = engine.vectors.of if make else engine.vectors.stored
            raw = get(session, sources, engine.text_model.role(side))
            for post, vector in zip(public, raw, strict=True):
                if vector is None:
                    self._vectorless[post.id] = None
                    continue
                self._vectorless.pop(post.id, None)
                title, body = text_of(post)
                found[post.id] = engine.text_model.features(
                    title, body, post.language, side, vector
                )
        return found


def search_glossary(exchange: Exchange) -> Glossary:
    """The field's terms by theme, and the themes' own names."""
    terms = glossary_of(exchange.reference)
    for code, term in exchange.reference.terms.get("theme", {}).items():
        terms[code] = {
            language: [term.label(language), *terms[code].get(language, [])]
            for language in LANGUAGES
        }
    return Glossary(terms)


@lru_cache(maxsize=512)
def _encoded(encoder: Any, text: str, role: Role) -> Vector:
    vector: Vector = encoder.encode([text], role)[0]
    return vector


def _shelf(kind: str, organisation: int | None) -> str:
    return kind if organisation is None else f"{kind}@{organisation}"


def _document(post: Post, themes: Iterable[str], vector: Vector | None) -> Document:
    title, body = text_of(post)
    passages = [
        Passage(title, post.language, TITLE),
        Passage(body, post.language, BODY),
        Passage(post.reference, None, TITLE),
        *(Passage(name, code, NAME) for code, name in post.organisation.names.items()),
    ]
    passages += passages_in_others(post)
    shelves = {_shelf(post.kind, post.organisation_id)}
    if post.status in PUBLICLY_READABLE:
        shelves.add(_shelf(post.kind, None))
    return Document(
        post.id,
        frozenset(shelves),
        tuple(passage for passage in passages if passage.text),
        frozenset(themes),
        vector,
    )


def passages_in_others(written: Translated) -> Iterator[Passage]:
    """The titles and summaries that a post or an entry carries in other languages."""
    for code, said in (written.translations or {}).items():
        yield Passage(said.get("title") or "", code, TITLE)
        yield Passage(said.get("summary") or "", code, SUMMARY)


@dataclass(frozen=True)
class Results:
    """The posts that pass a filter, in its order, and what each choice would give.

    Attributes
    ----------
    ids : list of int
        Of all of them.
    counts : dict
        See :func:`broker.posts.count_choices`.
    found : Found
        What the words found; empty where none were asked for.
    """

    ids: list[int]
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    found: Found = field(default_factory=Found)


def search_posts(
    exchange: Exchange, session: Session, filters: PostFilter, *, counted: bool = False
) -> Results:
    """The posts that pass the filters, words among them, in the order that they ask for.

    Only what the filters' statuses let through is found; for posts that are not public they must
    name the organisation whose they are.

    Parameters
    ----------
    counted : bool
        Whether each choice of each filter is counted too.
    """
    found, among = Found(), None
    if filters.text:
        own = None if filters.statuses <= PUBLICLY_READABLE else filters.organisation_id
        found = exchange.post_search.find(session, filters.text, filters.kind, own)
        among = listed(session, found.points)
    plain = replace(filters, text="")
    ids = list(session.scalars(find_posts(plain, among=among, ids_only=True)))
    if filters.text and filters.sort == "relevance":
        passing = set(ids)
        ids = [post_id for post_id in found.points if post_id in passing]
    counts = count_choices(session, plain, among=among) if counted else {}
    return Results(ids, counts, found)


def search_own_posts(
    exchange: Exchange, session: Session, by: User, text: str, *statuses: PostStatus
) -> Results:
    """The posts that are a person's own, drafts too, of those statuses or of all; best first.

    What is her own is said by :func:`broker.desk.own_posts`.
    """
    points: dict[int, float] = {}
    forms: frozenset[str] = frozenset()
    for kind in CLASSES:
        if text and by.may_post(kind):
            found = exchange.post_search.find(session, text, kind, by.organisation_id)
            points |= found.points
            forms |= found.forms
    own = own_posts(by, *statuses).where(Post.id.in_(listed(session, points)))
    ids = session.scalars(own.with_only_columns(Post.id)).all()
    ordered = sorted(ids, key=lambda post_id: (-points[post_id], post_id))
    return Results(ordered, {}, Found({i: points[i] for i in ordered}, forms))


def listed(session: Session, ids: Iterable[int]) -> Select[Any]:
    """The numbers as a subquery: one parameter, however many they are."""
    if session.get_bind().dialect.name == "postgresql":
        return select(func.unnest(cast(list(ids), ARRAY(Integer))))
    return select(func.json_each(json.dumps(list(ids))).table_valued("value").c.value)


def load_posts(session: Session, ids: Sequence[int]) -> list[Post]:
    """Posts whole, in the order of their numbers; a handful at a time."""
    posts = {
        post.id: post
        for post in session.scalars(select(Post).where(Post.id.in_(ids)).options(*WHOLE))
    }
    return [posts[post_id] for post_id in ids if post_id in posts]
