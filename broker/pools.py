"""Use cases of pooling: like needs of several countries become one, if every country consents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload, selectinload, subqueryload

from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.exchange import Exchange
from broker.news import tell_of_pool, tell_of_pool_answer
from broker.posts import content, write
from broker.reference import Reference
from matching.clearing import propose_pools
from models import (
    LIVE,
    Conflict,
    Need,
    NeedPool,
    NotAllowed,
    NotFound,
    PoolMember,
    PoolStatus,
    Role,
    User,
)

LEAST_LIKENESS = 0.6
"""Needs of a pool are all at least so alike: half by their themes, half by their texts."""

BLOCK = 512
"""Needs whose likeness to all others is looked at together."""

NEAREST = 24
"""Needs nearest to each that it may be pooled with; thrice as many as a pool holds."""

MOST_IDEAS = 50
"""Ideas that are shown: the largest and most alike of each subregion come first."""

MOST_MEMBERS = 8
"""A pool of more needs is no longer one thing to do."""


@dataclass(frozen=True)
class PoolIdea:
    """Needs that could be one, before anybody is asked."""

    subregion: str
    needs: tuple[Need, ...]
    likeness: float


def find_pools() -> Select[NeedPool]:
    """All pools that were asked about, the latest first."""
    return (
        select(NeedPool)
        .options(
            selectinload(NeedPool.need),
            selectinload(NeedPool.members)
            .selectinload(PoolMember.need)
            .selectinload(Need.organisation),
        )
        .order_by(NeedPool.id.desc())
    )


def get_pool(session: Session, pool_id: int, by: User) -> NeedPool:
    """A pool that concerns the person's country, that her own asked for, or any for the moderators.

    Raises
    ------
    NotFound
        ``no_such_pool``.
    """
    pool = session.get(NeedPool, pool_id)
    if pool is None or not (
        pool.members_of(by)
        or by.moderates(frozenset({pool.subregion}))
        or pool.by.organisation_id == by.organisation_id
    ):
        raise NotFound("no_such_pool")
    return pool


def likeness_of(exchange: Exchange, session: Session, needs: Sequence[Need]) -> float:
    """How alike some needs are on average, from 0 to 1; what is hardly alike counts as 0."""
    pairs = len(needs) * (len(needs) - 1) / 2
    return float(_likeness(exchange, session, needs).sum()) / pairs if pairs else 0.0


def think_of_pools(exchange: Exchange, session: Session) -> list[PoolIdea]:
    """Like needs of several countries of one subregion, of which nobody was asked yet."""
    asked = set(session.scalars(select(PoolMember.need_id)))
    needs = [
        need
        for need in session.scalars(
            select(Need)
            .where(Need.status.in_(LIVE), Need.country_code.is_not(None))
            # However many needs there are, one statement for each of their parts.
            .options(
                subqueryload(Need.supports),
                subqueryload(Need.facets),
                joinedload(Need.organisation),
                joinedload(Need.country),
            )
            .order_by(Need.id)
        )
        if need.id not in asked
    ]
    ideas: list[PoolIdea] = []
    for subregion in sorted({s for need in needs for s in need.subregions()}):
        near = [need for need in needs if need.subregions() == frozenset({subregion})]
        ideas += _pools_among(exchange, session, subregion, near)[:MOST_IDEAS]
    return ideas


def _pools_among(
    exchange: Exchange, session: Session, subregion: str, needs: Sequence[Need]
) -> list[PoolIdea]:
    codes = sorted({need.country_code or "" for need in needs})
    pools = propose_pools(
        _likeness(exchange, session, needs),
        [codes.index(need.country_code or "") for need in needs],
        threshold=LEAST_LIKENESS,
        most=MOST_MEMBERS,
    )
    return [
        PoolIdea(subregion, tuple(needs[n] for n in pool.needs), pool.likeness) for pool in pools
    ]


def _likeness(exchange: Exchange, session: Session, needs: Sequence[Need]) -> Any:
    """How alike each two needs are, sparse (needs, needs), as far as they could be pooled.

    Of a need only those nearest to it, so that a theme of which everybody writes takes no minutes.

    Half is the share of their themes that they have in common, half the likeness of their texts;
    nothing without a shared theme and kind.
    """
    engine = exchange.engine
    scale = engine.book.scale
    grid = scale.to_grid(engine.features(session, needs)).astype(np.float64)
    themes = _having([need.codes("theme") for need in needs])
    kinds = _having([need.support_kinds for need in needs])
    sizes = themes.sum(axis=1)
    parts = []
    for start in range(0, len(needs), BLOCK):
        rows = slice(start, start + BLOCK)
        texts = scale.likeness((grid[rows] @ grid.T).astype(np.int64))
        shared = themes[rows] @ themes.T
        union = sizes[rows, None] + sizes[None, :] - shared
        alike = (shared / np.maximum(union, 1) + texts) / 2
        alike[(shared == 0) | (kinds[rows] @ kinds.T == 0) | (alike < LEAST_LIKENESS)] = 0
        if len(needs) > NEAREST:
            least = np.partition(alike, len(needs) - NEAREST, axis=1)[:, len(needs) - NEAREST]
            alike[alike < least[:, None]] = 0
        parts.append(sparse.csr_array(alike))
    return sparse.vstack(parts)


def _having(codes: Sequence[Sequence[str]]) -> Any:
    """Which needs have which code, (needs, codes), 0 or 1."""
    known = sorted({code for some in codes for code in some})
    place = {code: n for n, code in enumerate(known)}
    rows = np.zeros((len(codes), max(1, len(known))), np.float32)
    for row, some in enumerate(codes):
        for code in some:
            rows[row, place[code]] = 1
    return rows


def ask_pool(exchange: Exchange, session: Session, by: User, need_ids: Sequence[int]) -> NeedPool:
    """Ask the countries of a proposed pool for their consent.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    Conflict
        If these needs are no pool any more, or nobody coordinates the subregion.
    """
    if not by.is_secretariat:
        raise NotAllowed("secretariat_only")
    for idea in think_of_pools(exchange, session):
        if sorted(need.id for need in idea.needs) == sorted(need_ids):
            break
    else:
        raise Conflict("pool_taken")
    coordinator_of(session, idea.subregion, exchange.reference, by)
    require_no_conflict(session, by, *idea.needs)
    pool = NeedPool.ask(idea.needs, idea.subregion, idea.likeness, by)
    session.add(pool)
    asked = [need.reference for need in idea.needs]
    record(session, by, "pool.asked", pool, after={"needs": asked})
    tell_of_pool(session, by, pool)
    return pool


def answer_pool(
    session: Session, by: User, pool: NeedPool, reference: Reference, *, consent: bool, note: str
) -> None:
    """Consent or refuse for one's country; once all consent, the regional need is drafted.

    The draft is the coordinator's: it goes on the exchange as any need does. The countries' own
    needs stay on the exchange; rounds leave them out while the regional one stands for them.
    """
    require_no_conflict(session, by, *(member.need for member in pool.members))
    pool.answer(by, consent, note)
    if pool.status == PoolStatus.AGREED:
        pool.need = _draft(session, by, pool, reference)
    record(
        session,
        by,
        "pool.consented" if consent else "pool.refused",
        pool,
        after={"status": str(pool.status), "note": note},
    )
    tell_of_pool_answer(session, by, pool)


def coordinator_of(session: Session, subregion: str, reference: Reference, by: User) -> User:
    """Who gets the draft of a subregion's regional need; raises ``no_coordinator``."""
    found = session.scalar(
        select(User)
        .where(User.role == Role.COORDINATOR, User.subregion == subregion, User.active)
        .order_by(User.id)
        .limit(1)
    )
    if found is None:
        label = reference.label("subregion", subregion, by.language)
        raise Conflict("no_coordinator", subregion=label)
    return found


def _draft(session: Session, by: User, pool: NeedPool, reference: Reference) -> Need:
    """One need out of many: their countries' words one below the other, and their places added."""
    coordinator = coordinator_of(session, pool.subregion, reference, by)
    needs = [member.need for member in pool.members]
    language = Counter(need.language for need in needs).most_common(1)[0][0]
    places = [open_places for need in needs if (open_places := need.places_open())]
    first = max(needs, key=lambda need: (need.language == language, -need.id))
    kinds = sorted({kind for need in needs for kind in need.support_kinds})
    draft = Need(
        organisation=coordinator.organisation,
        author=coordinator,
        reference=f"need-{pool.subregion.replace('_', '-')}-pool-{pool.id}",
        language=language,
        country_code=None,
    )
    write(
        draft,
        {
            "title": first.title,
            "description": "\n\n".join(
                f"{reference.label('country', need.country_code, language)} ({need.reference}): "
                f"{need.description}"
                for need in needs
            ),
            "support": [{"kind": kind, "modality": None, "detail": ""} for kind in kinds],
            "themes": sorted({code for need in needs for code in need.codes("theme")}),
            "subregion": pool.subregion,
            "places_wanted": sum(places) or None,
        },
    )
    session.add(draft)
    record(session, by, "post.drafted", draft, after=content(draft))
    return draft


def waiting_pools(session: Session, by: User) -> list[NeedPool]:
    """Pools that wait for the consent of the person's country, oldest first."""
    found = session.scalars(
        find_pools()
        .where(NeedPool.status == PoolStatus.ASKED)
        .where(
            NeedPool.members.any(
                PoolMember.consent.is_(None)
                & PoolMember.need.has(Need.organisation_id == by.organisation_id)
            )
        )
        .order_by(None)
        .order_by(NeedPool.id)
    )
    return [pool for pool in found if any(member.consent is None for member in pool.members_of(by))]
