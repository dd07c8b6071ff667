"""Use cases of doubles: posts and organisations that may be the same twice.

What is found is a question to a person. At posting time the writer is asked before she submits;
the secretariat has a queue, in which it says that two are two, or withdraws one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.engine import need_profile, offer_profile, text_of
from broker.exchange import Exchange
from broker.posts import CLASSES, WHOLE
from broker.reference import Reference
from broker.sketch import Sketch
from broker.weights import require_secretariat
from matching.duplicates import (
    LIKELY,
    AlikeOrganisations,
    AlikePosts,
    Text,
    find_alike,
    find_alike_organisations,
    find_alike_to,
)
from matching.duplicates import Organisation as NamedOrganisation
from models import LIVE, AuditEvent, Need, NotFound, Offer, Organisation, Post, User

FACT_NAMES = {
    "organisation": _l("organisation"),
    "country": _l("country"),
    "themes": _l("themes"),
    "support_kinds": _l("kinds of support"),
    "starts": _l("first day of the work"),
    "money_least": _l("amount"),
}
"""Fact that says that two posts are one, or tells them apart → its name."""

REASON_NAMES = {
    "name": _l("nearly the same name"),
    "acronym": _l("one is called by the other’s acronym"),
    "meaning": _l("the same in two languages"),
}
"""Why two organisations may be one → in words."""

FEW = 5
"""Likely doubles that a writer is shown."""

SAME_SUBJECT = 0.85
"""Likeness of texts from which two needs ask for the same, whatever country each is of."""


@dataclass(frozen=True)
class KnownText:
    """A live post as it is compared, and the moment of the change that this reflects."""

    stamp: datetime
    profile: Any  # NeedProfile or OfferProfile: of one kind throughout a shelf
    text: Text


class PostTexts:
    """Titles, vectors and facts of the live posts, kept in step with the database.

    Without a lock: two requests may read the same change twice, and neither ever waits for the
    other while it holds the database.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._known: dict[str, dict[int, KnownText]] = {"need": {}, "offer": {}}

    def of(self, session: Session, kind: str) -> dict[int, KnownText]:
        """The live posts of one kind, by id."""
        stamps = session.execute(
            select(Post.id, Post.updated_at).where(Post.kind == kind, Post.status.in_(LIVE))
        ).all()
        before = self._known[kind]
        known = {
            post_id: before[post_id]
            for post_id, stamp in stamps
            if post_id in before and before[post_id].stamp == stamp
        }
        changed = [post_id for post_id, _stamp in stamps if post_id not in known]
        for start in range(0, len(changed), 500):
            known |= self._read(session, kind, changed[start : start + 500])
        self._known[kind] = known
        return known

    def _read(self, session: Session, kind: str, ids: Sequence[int]) -> dict[int, KnownText]:
        reference, model = self.exchange.reference, CLASSES[kind]
        posts = list(
            session.scalars(
                select(model)
                .where(model.id.in_(ids))
                .options(*WHOLE, *([selectinload(Need.country)] if kind == "need" else []))
                .order_by(model.id)
            )
        )
        return {
            post.id: KnownText(
                post.updated_at,
                _profile(post, reference),
                Text(text_of(post)[0], vector),
            )
            for post, vector in zip(
                posts, self.exchange.engine.features(session, posts), strict=True
            )
        }


def _profile(post: Any, reference: Reference) -> Any:
    return (need_profile if post.kind == "need" else offer_profile)(post, reference)


@dataclass(frozen=True)
class LikelyDouble:
    """A post on the exchange that says nearly what another one says."""

    post: Need | Offer
    alike: AlikePosts

    @property
    def elsewhere(self) -> bool:
        """Whether it is another country's: no double, but perhaps a companion."""
        return self.alike.likeness < LIKELY


def doubles_of(
    exchange: Exchange, session: Session, sketch: Sketch, *, elsewhere: bool = False
) -> list[LikelyDouble]:
    """Live posts of the same kind that say what a form is about to say, in any language.

    Parameters
    ----------
    elsewhere : bool
        Whether needs of other countries that ask for the same are named too: the two could ask
        together.
    """
    elsewhere = elsewhere and sketch.kind == "need"
    known = exchange.post_texts.of(session, sketch.kind)
    found = find_alike_to(
        sketch.profile(),
        Text(sketch.title, sketch.vector(exchange.engine, session)),
        [one.profile for one in known.values()],
        {post_id: one.text for post_id, one in known.items()},
        exchange.engine.book.scale,
        least=0.0 if elsewhere else LIKELY,
    )
    others = {
        _other(alike, sketch.post_id): alike
        for alike in found
        if alike.likeness >= LIKELY
        or (alike.text >= SAME_SUBJECT and "organisation" in alike.differs)
    }
    posts = _posts(session, sketch.kind, list(others)[: FEW * 2])
    own: Any = session.get(CLASSES[sketch.kind], sketch.post_id)
    settled = _settled(session)
    return [
        LikelyDouble(post, others[post_id])
        for post_id, post in posts.items()
        if own is None or not _is_settled(settled, own, post)
    ][:FEW]


def doubles_in_queue(
    exchange: Exchange, session: Session, posts: Sequence[Any]
) -> dict[int, list[LikelyDouble]]:
    """Live posts that say what each of some others says, in as many queries for many as for one."""
    reference, settled = exchange.reference, _settled(session)
    found: dict[int, dict[int, AlikePosts]] = {}
    others: dict[int, Need | Offer] = {}
    for kind in CLASSES:
        some = [post for post in posts if post.kind == kind]
        if not some:
            continue
        known = exchange.post_texts.of(session, kind)
        vectors = exchange.engine.features(session, some)
        for post, vector in zip(some, vectors, strict=True):
            alike = find_alike_to(
                _profile(post, reference),
                Text(text_of(post)[0], vector),
                [one.profile for one in known.values()],
                {post_id: one.text for post_id, one in known.items()},
                exchange.engine.book.scale,
            )
            found[post.id] = {_other(one, post.id): one for one in alike[: FEW * 2]}
        ids = {number for post in some for number in found[post.id]}
        others |= _posts(session, kind, sorted(ids))
    return {
        post.id: [
            LikelyDouble(others[number], alike)
            for number, alike in found[post.id].items()
            if number in others and not _is_settled(settled, post, others[number])
        ][:FEW]
        for post in posts
    }


def _other(alike: AlikePosts, post_id: int) -> int:
    return alike.b if alike.a == post_id else alike.a


def _posts(session: Session, kind: str, ids: Sequence[int]) -> dict[int, Need | Offer]:
    """Posts by id, in the order of ``ids``."""
    model: type[Any] = CLASSES[kind]
    found = {
        post.id: post
        for post in session.scalars(select(model).where(model.id.in_(ids)).options(*WHOLE))
    }
    return {post_id: found[post_id] for post_id in ids if post_id in found}


@dataclass(frozen=True)
class PostPair:
    """Two live posts that may be one, side by side."""

    first: Need | Offer
    second: Need | Offer
    alike: AlikePosts


@dataclass(frozen=True)
class OrganisationPair:
    """Two organisations that may be one."""

    first: Organisation
    second: Organisation
    alike: AlikeOrganisations


def find_post_pairs(
    exchange: Exchange, session: Session, by: User, most: int
) -> tuple[list[PostPair], int]:
    """Live posts that may be the same twice, the most alike first; settled pairs are left out.

    Returns
    -------
    The first pairs, at most so many, and how many there are in all.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    """
    require_secretariat(by)
    settled = _settled(session)
    found: list[tuple[str, AlikePosts]] = []
    for kind in CLASSES:
        known = exchange.post_texts.of(session, kind)
        stands = _standing(session, kind)
        found += [
            (kind, alike)
            for alike in find_alike(
                [one.profile for one in known.values()],
                {post_id: one.text for post_id, one in known.items()},
                exchange.engine.book.scale,
            )
            if alike.a in stands
            and alike.b in stands
            and not _are_settled(settled, kind, stands[alike.a], stands[alike.b])
        ]
    found.sort(key=lambda pair: (-pair[1].likeness, pair[1].a, pair[1].b))
    posts = {
        kind: _posts(
            session,
            kind,
            sorted({n for k, pair in found[:most] if k == kind for n in (pair.a, pair.b)}),
        )
        for kind in CLASSES
    }
    pairs = [
        PostPair(posts[kind][alike.a], posts[kind][alike.b], alike) for kind, alike in found[:most]
    ]
    return pairs, len(found)


def _standing(session: Session, kind: str) -> dict[int, Standing]:
    """Every live post of a kind by its id: its reference and the version that stands."""
    rows = session.execute(
        select(Post.id, Post.reference, Post.version).where(
            Post.kind == kind, Post.status.in_(LIVE)
        )
    )
    return {post_id: (reference, version) for post_id, reference, version in rows}


def find_organisation_pairs(
    exchange: Exchange, session: Session, by: User
) -> list[OrganisationPair]:
    """Organisations that may stand under several names; settled pairs are left out.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    """
    require_secretariat(by)
    engine = exchange.engine
    organisations = {
        one.id: one
        for one in session.scalars(
            select(Organisation)
            .where(Organisation.merged_into_id.is_(None))
            .order_by(Organisation.id)
        )
    }
    named = [
        NamedOrganisation(
            id=one.id,
            names=tuple(dict.fromkeys([*one.names.values(), *one.aliases])),
            acronym=one.acronym or None,
            country=one.country_code,
        )
        for one in organisations.values()
    ]
    scale = None
    if engine.vectors.encoder is not None:
        scale = engine.book.scale
        named = [
            replace(one, vector=_name_vector(exchange, session, organisations[one.id]))
            for one in named
        ]
    settled = _settled(session)
    return [
        OrganisationPair(organisations[alike.a], organisations[alike.b], alike)
        for alike in find_alike_organisations(named, scale)
        if _may_be_one(alike, organisations[alike.a], organisations[alike.b])
        and not _is_settled(settled, organisations[alike.a], organisations[alike.b])
    ]


def _may_be_one(alike: AlikeOrganisations, one: Organisation, other: Organisation) -> bool:
    """In one language a likeness of meaning says little: ministries do like things; names tell."""
    return alike.reason != "meaning" or _first_language(one) != _first_language(other)


def _first_language(organisation: Organisation) -> str:
    return next(iter(organisation.names))


def _name_vector(exchange: Exchange, session: Session, organisation: Organisation) -> Any:
    language = _first_language(organisation)
    name = organisation.names[language]
    return exchange.engine.vector_of(session, name, "", language, "offer")


Standing = tuple[str, int]
"""Reference of a post, or code of an organisation, and its version."""

Settled = Mapping[tuple[str, frozenset[str]], list[int]]
"""Entity and its two references → versions of the two when somebody said that they are two."""


def _settled(session: Session) -> Settled:
    # The audit trail is the record: what somebody decided, when, on which versions.
    events = session.scalars(
        select(AuditEvent).where(AuditEvent.action == "duplicate.dismissed").order_by(AuditEvent.id)
    )
    return {
        (event.entity, frozenset((event.reference, event.after["other"]))): event.after["versions"]
        for event in events
    }


def _is_settled(
    settled: Settled, one: Need | Offer | Organisation, other: Need | Offer | Organisation
) -> bool:
    return _are_settled(settled, type(one).__name__.lower(), _stands(one), _stands(other))


def _are_settled(settled: Settled, entity: str, one: Standing, other: Standing) -> bool:
    return settled.get((entity, frozenset((one[0], other[0])))) == _versions(one, other)


def _stands(one: Need | Offer | Organisation) -> Standing:
    """Organisations have no versions."""
    return (one.code, 0) if isinstance(one, Organisation) else (one.reference, one.version)


def _versions(one: Standing, other: Standing) -> list[int]:
    """Versions of two in the order of their references."""
    return [version for _name, version in sorted((one, other))]


def keep_both_posts(session: Session, by: User, kind: str, first: int, second: int) -> None:
    """Say that two posts are two: they leave the queue until either changes.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    NotFound
        One of them is not on the exchange.
    """
    require_secretariat(by)
    posts = _posts(session, kind, [first, second])
    if len(posts) != 2 or not all(post.is_live for post in posts.values()):
        raise NotFound("no_such_post", id=f"{first} / {second}")
    _settle(session, by, posts[first], posts[second])


def keep_both_organisations(session: Session, by: User, first: int, second: int) -> None:
    """Say that two organisations are two: they leave the queue.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    NotFound
        There is no such organisation.
    """
    require_secretariat(by)
    one, other = session.get(Organisation, first), session.get(Organisation, second)
    if one is None or other is None or one is other:
        raise NotFound("no_such_organisation", code=f"{first} / {second}")
    _settle(session, by, one, other)


def _settle(
    session: Session,
    by: User,
    one: Need | Offer | Organisation,
    other: Need | Offer | Organisation,
) -> None:
    require_no_conflict(session, by, one, other)
    pair = _stands(one), _stands(other)
    facts = {"other": pair[1][0], "versions": _versions(*pair)}
    record(session, by, "duplicate.dismissed", one, after=facts)
