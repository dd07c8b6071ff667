"""The one place where rows become the engine's profiles, and its results become rows again."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sqlalchemy import Select, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, joinedload, selectinload

from broker.encoder import load_encoder
from broker.jobs import routine
from broker.posts import CLASSES, WHOLE
from broker.reference import Reference
from matching import Book, NeedProfile, OfferProfile, Taxonomy, UnknownPost, Weights
from matching.text import Role, Side, TextModel, Vector, split_sentences
from models import (
    LIVE,
    PUBLICLY_READABLE,
    Match,
    MatchStatus,
    Need,
    Offer,
    Post,
    PostFacet,
    PostStatus,
    TextVector,
    WeightSet,
    utc_now,
)

if TYPE_CHECKING:
    from broker.exchange import Exchange

OVERLAP = timedelta(seconds=60)
"""How far a look for changes reaches back: transactions commit later than they are stamped."""

SENTENCES = 10
"""Sentences of a post, the first ones, that are looked at for the nearest pair."""
BATCH = 16
"""Texts that are encoded and kept together."""
TELLING = 5
"""Words of a sentence from which it tells something when it stands alone."""

AT_ONCE = 500
"""Posts that are read and put into a book together."""

SIDES: tuple[Side, ...] = ("need", "offer")
Kind = TypeVar("Kind", Need, Offer)

Progress = Callable[[int, str], Any]
"""``progress(total, what)`` gives something with ``update(n)`` and ``close()``."""


def taxonomy_of(reference: Reference) -> Taxonomy:
    """The engine's taxonomy, from the reference data."""

    def rows(scheme: str) -> list[dict[str, Any]]:
        return [
            {"code": term.code, "parent": term.parent, **term.extra}
            for term in reference.terms.get(scheme, {}).values()
        ]

    return Taxonomy.from_reference(
        themes=rows("theme"),
        countries=[
            {"code": c.code, "subregion": c.subregion, "bodies": c.bodies}
            for c in reference.countries.values()
        ],
        support_kinds=rows("support_kind"),
        ilac_areas=rows("ilac_area"),
        programmes=rows("programme"),
        dimensions=rows("dimension"),
        horizons=rows("horizon"),
        languages=rows("language"),
        organisation_kinds=rows("organisation_kind"),
    )


def glossary_of(reference: Reference) -> dict[str, dict[str, list[str]]]:
    """The terms of the field by theme and language, for the text model."""
    return {
        code: term.extra.get("keywords", {})
        for code, term in reference.terms.get("theme", {}).items()
    }


def in_dollars(amount: Decimal | None, currency: str | None, reference: Reference) -> float | None:
    """An amount in US dollars at the stored rates; None where it cannot be compared."""
    if amount is None:
        return None
    found = reference.currencies.get(currency or "")
    return float(amount) * found.usd_rate if found else None


def banded(amount: float | None) -> float | None:
    """A sealed amount as matching may use it: rounded down to its first digit.

    Whoever varies her own amount and watches the points finds out no more than this.

    >>> banded(76543.0)
    70000.0
    """
    if amount is None or amount < 1:
        return amount
    step = 10.0 ** math.floor(math.log10(amount))
    return math.floor(amount / step) * step


def text_of(post: Post) -> tuple[str, str]:
    """Title and body of a post as the text model reads them."""
    body = [post.description]
    if isinstance(post, Need):
        body += [post.problem, post.results]
    body += [support.detail for support in post.supports]
    return post.title, "\n".join(part for part in body if part)


Codes = Callable[[str], Iterable[str]]
"""The codes of a post by facet, as :meth:`models.Post.codes` tells them."""


def _common(post: Post, codes: Codes) -> dict[str, Any]:
    return {
        "id": post.id,
        "reference": post.reference,
        "organisation": post.organisation_id,
        "published": post.status in LIVE,
        "language": post.language,
        "themes": frozenset(codes("theme")),
        "ilac_areas": frozenset(codes("ilac_area")),
        "support_kinds": frozenset(post.support_kinds),
        "modalities": frozenset(s.modality for s in post.supports if s.modality),
        "programmes": frozenset(codes("programme")),
        "mandates": frozenset(codes("mandate")),
        "dimension": post.dimension,
        "horizon": post.horizon,
        "starts": post.starts,
        "ends": post.ends,
        "languages": frozenset(codes("language")),
    }


def need_profile(need: Need, reference: Reference, codes: Codes | None = None) -> NeedProfile:
    """What the engine knows of a need; what agreements cover already is no longer asked for.

    Parameters
    ----------
    codes : callable, optional
        Gives the need's codes by facet where they were read apart from it.
    """
    open_kinds = frozenset(need.kinds_open())
    modalities = {s.modality for s in need.supports if s.modality and s.kind in open_kinds}
    open_money = need.money_open()
    most = in_dollars(open_money, need.currency, reference)
    least = in_dollars(need.money_least, need.currency, reference)
    if need.money_sealed:
        least, most = banded(least), banded(most)
    if least is not None and most is not None:
        least = min(least, most)
    return NeedProfile(
        **{
            **_common(need, codes or need.codes),
            # Of a need that is wholly covered, and looked at nevertheless, all kinds are shown.
            **(
                {"support_kinds": open_kinds, "modalities": frozenset(modalities)}
                if open_kinds
                else {}
            ),
        },
        country=need.country_code,
        subregion=need.subregion,
        organisation_kind=need.organisation.kind,
        level=need.level,
        money_least=least or None,
        money_most=most or None,
        places_wanted=need.places_open() or None,
        closes=_earlier(need.closes, need.expires_on),
    )


def offer_profile(offer: Offer, reference: Reference, codes: Codes | None = None) -> OfferProfile:
    """What the engine knows of an offer, with the capacity that is left; see `need_profile`."""
    codes = codes or offer.codes
    countries = frozenset(codes("serves_country"))
    subregions = frozenset(codes("serves_subregion"))
    outside = codes("serves_outside")

    def dollars(amount: Decimal | None) -> float | None:
        found = in_dollars(amount, offer.currency, reference)
        return banded(found) if offer.money_sealed else found

    return OfferProfile(
        **_common(offer, codes),
        organisation_country=offer.organisation.country_code,
        serves_countries=countries,
        serves_subregions=subregions,
        outside_region_only=bool(outside) and not countries and not subregions,
        serves_organisation_kinds=frozenset(codes("serves_organisation_kind")),
        own_country=offer.own_country,
        opens=offer.opens,
        closes=_earlier(offer.closes, offer.expires_on),
        places_left=offer.remaining_places(),
        places_per_beneficiary=offer.places_per_beneficiary,
        places_least=offer.places_least,
        money_left=dollars(offer.remaining_money()),
        grant_least=dollars(offer.grant_least),
        grant_most=dollars(offer.grant_most),
        experience_countries=frozenset(offer.experience_countries),
        pilot=bool(offer.pilot_hosted),
    )


def _earlier(*days: Any) -> Any:
    return min((day for day in days if day is not None), default=None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Vectors:
    """Vectors of texts, made once per text and kept by digest in the database.

    Parameters
    ----------
    silent : bool
        Whether to do without the encoder: every vector is then None.
    """

    def __init__(self, exchange: Exchange, *, silent: bool = False) -> None:
        self.exchange = exchange
        self.encoder = None if silent else load_encoder(exchange.settings.encoder)
        self.complete: dict[int, datetime] = {}
        """Post → its last change, of live posts whose text is known to have its vector."""
        self._known: dict[tuple[str, str], Vector] = {}
        self._unkept: dict[tuple[str, str], Vector] = {}

    @property
    def key(self) -> str:
        """Encoder and version under which vectors are kept."""
        return f"{self.encoder.name} {self.encoder.version}" if self.encoder else ""

    def of(
        self,
        session: Session,
        texts: Sequence[str],
        role: Role,
        progress: Progress | None = None,
        *,
        most: int | None = None,
    ) -> list[Vector | None]:
        """The vectors of ``texts``; those that are not known yet are made.

        They are kept at once where ``session`` writes. A reader's transaction must not become a
        writer's half-way, and nobody who holds the book may wait for the database's write lock:
        there they are kept by the next :meth:`keep`.

        Parameters
        ----------
        most : int, optional
            Where more are missing than that none is made: whoever asks does not wait so long.

        Returns
        -------
        list
            float32 arrays (dimension,); None where there is none, and throughout where there is
            no encoder.
        """
        if self.encoder is None:
            return [None] * len(texts)
        found = self.stored(session, texts, role)
        missing = {
            _digest(text): text for text, vector in zip(texts, found, strict=True) if vector is None
        }
        if not missing or (most is not None and len(missing) > most):
            return found
        self._make(session, missing, role, progress)
        return [self._known[_digest(text), role] for text in texts]

    def stored(self, session: Session, texts: Sequence[str], role: Role) -> list[Vector | None]:
        """The vectors of ``texts`` as far as they were ever made; None for the others."""
        if self.encoder is None:
            return [None] * len(texts)
        digests = [_digest(text) for text in texts]
        self._read(session, [d for d in digests if (d, role) not in self._known], role)
        return [self._known.get((digest, role)) for digest in digests]

    def _read(self, session: Session, digests: list[str], role: Role) -> None:
        for start in range(0, len(digests), 500):
            rows = session.execute(
                select(TextVector.digest, TextVector.vector).where(
                    TextVector.digest.in_(digests[start : start + 500]),
                    TextVector.encoder == self.key,
                    TextVector.role == role,
                )
            )
            for digest, blob in rows:
                self._known[digest, role] = np.frombuffer(blob, "<f4").astype(np.float32)

    def _make(
        self, session: Session, missing: Mapping[str, str], role: Role, progress: Progress | None
    ) -> None:
        assert self.encoder is not None  # noqa: S101 - `of` returns early without an encoder
        bar = progress(len(missing), "Encoding texts") if progress else None
        made: dict[str, Vector] = {}
        items = list(missing.items())
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            vectors = self.encoder.encode([text for _digest, text in batch], role)
            made |= {digest: vector for (digest, _text), vector in zip(batch, vectors, strict=True)}
            if bar:
                bar.update(len(batch))
        if bar:
            bar.close()
        vectors_made: dict[tuple[str, str], Vector] = {
            (digest, role): vector for digest, vector in made.items()
        }
        self._known |= vectors_made
        if session.info.get("writing"):
            self._store(session, vectors_made)
        else:
            self._unkept |= vectors_made

    def keep(self) -> None:
        """Keep in the database what readers have made; to be called without any lock held."""
        while self._unkept:
            made, self._unkept = self._unkept, {}
            with self.exchange.writing() as own:
                self._store(own, made)

    def _store(self, session: Session, made: Mapping[tuple[str, str], Vector]) -> None:
        # Two processes may make the same vector at the same moment: the first one is kept.
        insert = (
            postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        )
        rows = [
            {
                "digest": digest,
                "encoder": self.key,
                "role": role,
                "vector": vector.astype("<f4").tobytes(),
            }
            for (digest, role), vector in made.items()
        ]
        session.execute(insert(TextVector).on_conflict_do_nothing(), rows)


@dataclass(frozen=True)
class Standing:
    """With what the engine works now: shown wherever a score is shown."""

    text_version: str
    weights: Weights
    has_encoder: bool
    waits_for_vectors: bool = False


ENCODED_AT_ONCE = 64
"""Texts whose encoding a reader waits for, some five seconds; more are encoded by a routine."""

LOOK_AGAIN = 15.0
"""Seconds after which an engine that waits for vectors asks again whether they are there."""


def texts_to_encode(
    exchange: Exchange,
    session: Session,
    statuses: Collection[PostStatus] = LIVE,
    *,
    enough: int | None = None,
) -> dict[Role, list[str]]:
    """Texts of posts that have no vector of the present encoder, each once, by direction.

    Parameters
    ----------
    enough : int, optional
        Stop looking when more than that are found.
    """
    vectors = exchange.vectors
    missing: dict[Role, list[str]] = {}
    if vectors.encoder is None:
        return missing
    stamps = select(Post.id, Post.updated_at).where(Post.status.in_(statuses)).order_by(Post.id)
    changed = [
        post_id
        for post_id, stamp in session.execute(stamps)
        if vectors.complete.get(post_id) != stamp
    ]
    if not changed:
        return missing
    model = TextModel(vectors.encoder.name)
    found: dict[Role, dict[str, None]] = {}
    for start in range(0, len(changed), AT_ONCE):
        chunk = changed[start : start + AT_ONCE]
        for side in SIDES:
            kind: Any = CLASSES[side]
            posts, role = _posts_to_match(session, kind, chunk), model.role(side)
            texts = [model.source(*text_of(post)) for post in posts]
            known = vectors.stored(session, texts, role)
            for post, text, vector in zip(posts, texts, known, strict=True):
                if vector is None:
                    found.setdefault(role, {})[text] = None
                else:
                    vectors.complete[post.id] = post.updated_at
        if enough is not None and sum(map(len, found.values())) > enough:
            break
    return {role: list(texts) for role, texts in found.items()}


def encode_now(exchange: Exchange, session: Session, progress: Progress | None = None) -> None:
    """Make all vectors that live posts lack, within the caller's transaction."""
    for role, texts in texts_to_encode(exchange, session).items():
        exchange.vectors.of(session, texts, role, progress)
    exchange.renew(at_once=True)


@routine(every=timedelta(minutes=1))
def encode_texts(exchange: Exchange) -> int:
    """Encode what public posts say with the present encoder, where that has not been done.

    Live posts come first: the engine waits for them. After a change of the encoder these are all texts. They are encoded in small batches, each kept
    by itself, so that nobody waits for the database and an interruption loses seconds.

    Returns
    -------
    int
        How many were encoded.
    """
    return sum(_encode_texts(exchange, statuses) for statuses in (LIVE, PUBLICLY_READABLE))


def _encode_texts(exchange: Exchange, statuses: Collection[PostStatus]) -> int:
    with exchange.reading() as session:
        missing = texts_to_encode(exchange, session, statuses)
    for role, texts in missing.items():
        for start in range(0, len(texts), BATCH):
            with exchange.reading() as session:
                exchange.vectors.of(session, texts[start : start + BATCH], role)
            exchange.vectors.keep()
    return sum(map(len, missing.values()))


class Engine:
    """The live posts in the engine's :class:`matching.Book`, kept in step with the database.

    Every process holds its own book. Before a question is answered, :meth:`open` brings in what
    any process has changed since: posts and dismissals carry the moment of their last change.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        # No ranking mixes two models: while most vectors are missing, words alone are compared.
        self._asked = time.monotonic()
        with exchange.reading() as session:
            self.waits_for_vectors = self._lacks_vectors(session)
        self.vectors = (
            Vectors(exchange, silent=True) if self.waits_for_vectors else exchange.vectors
        )
        self.text_model = TextModel(
            self.vectors.encoder.name if self.vectors.encoder else None,
            glossary_of(exchange.reference),
        )
        self.taxonomy = taxonomy_of(exchange.reference)
        self._lock = threading.RLock()
        self._seen: dict[int, datetime] = {}
        self._barred: set[tuple[int, int]] = set()
        self._looked: datetime | None = None
        self._weights_id: int | None = None
        self._overtaken = False
        self.book = self._new_book(Weights())

    def _lacks_vectors(self, session: Session) -> bool:
        missing = texts_to_encode(self.exchange, session, enough=ENCODED_AT_ONCE)
        return sum(map(len, missing.values())) > ENCODED_AT_ONCE

    def outgrown(self, *, at_once: bool = False) -> bool:
        """Whether another is to be built: one that has vectors by now, or one that waits for them.

        The latter where many posts came at once: words alone are compared until they are encoded.
        """
        if self._overtaken:
            return True
        if not self.waits_for_vectors:
            return False
        if not at_once and time.monotonic() - self._asked < LOOK_AGAIN:
            return False
        self._asked = time.monotonic()
        with self.exchange.reading() as session:
            return not self._lacks_vectors(session)

    def _new_book(self, weights: Weights) -> Book:
        return Book(self.taxonomy, self.text_model, weights)

    @property
    def standing(self) -> Standing:
        """With what the engine works now."""
        return Standing(
            self.text_model.version,
            self.book.weights,
            self.vectors.encoder is not None,
            self.waits_for_vectors,
        )

    def features(
        self,
        session: Session,
        posts: Sequence[Post],
        progress: Progress | None = None,
        *,
        most: int | None = None,
    ) -> Vector:
        """Feature vectors of posts in their order, (n, dimension).

        Parameters
        ----------
        most : int, optional
            See :meth:`Vectors.of`. A text that has no vector then says nothing: its row is zero.
        """
        found = np.zeros((len(posts), self.text_model.dimension), np.float32)
        for side in SIDES:
            mine = [n for n, post in enumerate(posts) if post.kind == side]
            texts = [text_of(posts[n]) for n in mine]
            sources = [self.text_model.source(*text) for text in texts]
            role = self.text_model.role(side)
            vectors = self.vectors.of(session, sources, role, progress, most=most)
            for n, (title, body), vector in zip(mine, texts, vectors, strict=True):
                if vector is not None or self.vectors.encoder is None:
                    language = posts[n].language
                    found[n] = self.text_model.features(title, body, language, side, vector)
        return found

    def vector_of(
        self, session: Session, title: str, body: str, language: str | None, side: Side
    ) -> Vector:
        """The feature vector of a text that is no post, or not yet."""
        source = self.text_model.source(title, body)
        vector = self.vectors.of(session, [source], self.text_model.role(side))[0]
        return self.text_model.features(title, body, language, side, vector)

    def sentences(self, session: Session, post: Post) -> tuple[list[str], Vector]:
        """The sentences of a post and their feature vectors, (n, d)."""
        side: Side = "need" if post.kind == "need" else "offer"
        title, body = text_of(post)
        found = [s for s in (title, *split_sentences(body)) if len(s.split()) >= TELLING][
            :SENTENCES
        ]
        vectors = self.vectors.of(session, found, self.text_model.role(side))
        rows = [
            self.text_model.features("", sentence, post.language, side, vector)
            for sentence, vector in zip(found, vectors, strict=True)
        ]
        shape = (0, self.text_model.dimension)
        return found, np.stack(rows) if rows else np.zeros(shape, np.float32)

    @contextmanager
    def open(
        self, session: Session, progress: Progress | None = None, *, draft: Post | None = None
    ) -> Iterator[Book]:
        """The book, brought up to date with the database and held until the caller is done.

        Parameters
        ----------
        draft : Post, optional
            A post that is not on the exchange, to be matched as if it were. It is taken out again
            before anybody else can look.
        """
        vector = self.features(session, [draft])[0] if draft is not None else None
        try:
            with self._lock:
                self._sync(session, progress)
                if draft is None or vector is None:
                    yield self.book
                    return
                self._put(draft, vector)
                try:
                    yield self.book
                finally:
                    self._remove(draft.id)
        finally:
            self._keep_vectors(session)

    def _keep_vectors(self, session: Session) -> None:
        # A writer holds the write lock already, and has stored its own.
        if not session.info.get("writing"):
            self.vectors.keep()

    def _sync(self, session: Session, progress: Progress | None) -> None:
        self._sync_weights(session)
        now = utc_now()
        self._sync_posts(session, progress)
        self._sync_dismissals(session)
        self._looked = now

    def _sync_weights(self, session: Session) -> None:
        newest = session.scalar(select(WeightSet).order_by(WeightSet.id.desc()).limit(1))
        if newest is not None and newest.id != self._weights_id:
            self._weights_id = newest.id
            self.book = self._new_book(Weights(**newest.values, version=f"set-{newest.id}"))
            self._seen.clear()
            self._barred.clear()
            self._looked = None

    def _since(self) -> datetime:
        return self._looked - OVERLAP if self._looked else datetime(1970, 1, 1, tzinfo=UTC)

    @property
    def kept_apart(self) -> frozenset[tuple[int, int]]:
        """(need id, offer id) of the dismissals that held when the book was last opened."""
        return frozenset(self._barred)

    def book_of(self, session: Session, query: Select[Any], weights: Weights) -> Book:
        """A book of the posts that a query finds, apart from the engine's own.

        For questions that must leave the exchange as it is: other weights, or posts that are no
        longer live. Who asks closes it by forgetting it.
        """
        book = self._new_book(weights)
        self._fill(book, session, list(session.scalars(query)))
        return book

    def _fill(
        self,
        book: Book,
        session: Session,
        ids: Sequence[int],
        progress: Progress | None = None,
        *,
        most: int | None = None,
    ) -> None:
        """Put posts into a book, or in the place of what stood there, by their numbers."""
        for start in range(0, len(ids), AT_ONCE):
            chunk = ids[start : start + AT_ONCE]
            codes, reference = codes_of(session, chunk), self.exchange.reference
            needs = _posts_to_match(session, Need, chunk)
            offers = _posts_to_match(session, Offer, chunk)
            book.put_needs(
                [need_profile(need, reference, codes[need.id]) for need in needs],
                self.features(session, needs, progress, most=most),
            )
            book.put_offers(
                [offer_profile(offer, reference, codes[offer.id]) for offer in offers],
                self.features(session, offers, progress, most=most),
            )

    def _sync_posts(self, session: Session, progress: Progress | None) -> None:
        query = select(Post.id, Post.updated_at, Post.status).where(
            Post.updated_at >= self._since()
        )
        if self._looked is None:
            query = query.where(Post.status.in_(LIVE))
        changed = [
            (post_id, stamp, status)
            for post_id, stamp, status in session.execute(query)
            if self._seen.get(post_id) != stamp
        ]
        live = [post_id for post_id, _stamp, status in changed if PostStatus(status) in LIVE]
        for post_id, _stamp, status in changed:
            if PostStatus(status) not in LIVE:
                self._remove(post_id)
        waits = progress is not None or self.vectors.encoder is None
        if not waits and len(live) > ENCODED_AT_ONCE and self._lacks_vectors(session):
            # This reader does not wait; the next one gets an engine that compares words.
            self._overtaken = True
        most = 0 if self._overtaken else None
        self._fill(self.book, session, live, progress, most=most)
        self._seen |= {post_id: stamp for post_id, stamp, _status in changed}

    def _put(self, draft: Post, vector: Vector) -> None:
        """Put in one post as if it were on the exchange."""
        reference = self.exchange.reference
        if isinstance(draft, Need):
            self.book.put_need(replace(need_profile(draft, reference), published=True), vector)
        elif isinstance(draft, Offer):
            self.book.put_offer(replace(offer_profile(draft, reference), published=True), vector)

    def _remove(self, post_id: int) -> None:
        for remove in (self.book.remove_need, self.book.remove_offer):
            with suppress(UnknownPost):
                remove(post_id)

    def _sync_dismissals(self, session: Session) -> None:
        """Keep apart the pairs that one side has dismissed and neither has changed since."""
        dismissed = session.scalars(
            select(Match)
            .where(Match.status == MatchStatus.DISMISSED)
            .options(
                selectinload(Match.dismissals),
                selectinload(Match.need),
                selectinload(Match.offer),
            )
        )
        barred = {(m.need_id, m.offer_id) for m in dismissed if m.is_dismissed()}
        if barred != self._barred:
            self.book.keep_apart(dismissed=barred)
            self._barred = barred


def _posts_to_match(session: Session, kind: type[Kind], ids: Sequence[int]) -> list[Kind]:
    """Needs or offers by id, with what their texts and profiles take but for their codes."""
    query = select(kind).where(kind.id.in_(ids)).order_by(kind.id)
    return list(
        session.scalars(query.options(selectinload(kind.supports), joinedload(kind.organisation)))
    )


def codes_of(session: Session, ids: Sequence[int]) -> dict[int, Codes]:
    """Post → its codes by facet, from plain rows: 10,000 posts have 100,000 of them."""
    facets: dict[int, dict[str, list[str]]] = {post_id: {} for post_id in ids}
    rows = session.execute(
        select(PostFacet.post_id, PostFacet.facet, PostFacet.code).where(PostFacet.post_id.in_(ids))
    )
    for post_id, facet, code in rows:
        facets[post_id].setdefault(facet, []).append(code)
    return {post_id: partial(_listed, found) for post_id, found in facets.items()}


def _listed(facets: Mapping[str, list[str]], facet: str) -> list[str]:
    return facets.get(facet, [])


def pairs_of(session: Session, pairs: Iterable[tuple[int, int]]) -> dict[int, Need | Offer]:
    """The posts of ``(need_id, offer_id)`` pairs, whole, by id, in two queries."""
    ids = {post_id for pair in pairs for post_id in pair}
    found: dict[int, Need | Offer] = {}
    for start in range(0, len(ids), 500):
        chunk = sorted(ids)[start : start + 500]
        for model in (Need, Offer):
            rows: Iterable[Any] = session.scalars(
                select(model).where(model.id.in_(chunk)).options(*WHOLE)
            )
            found |= {post.id: post for post in rows}
    return found


__all__ = [
    "Engine",
    "Progress",
    "Standing",
    "Vectors",
    "codes_of",
    "need_profile",
    "offer_profile",
    "pairs_of",
    "taxonomy_of",
]
