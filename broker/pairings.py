"""Use cases of pairings: what a person, not the engine, says belongs together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from marshmallow import fields, validate
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.exchange import Exchange
from broker.news import tell_of_pairing, tell_of_pool
from broker.pools import MOST_MEMBERS, coordinator_of, likeness_of
from broker.posts import find_live_post
from broker.schemas import Strict, Text, load
from broker.task_forces import force_of
from models import (
    LIVE,
    PAIRERS,
    Conflict,
    InvalidInput,
    Match,
    MatchStatus,
    Need,
    NeedPool,
    NotAllowed,
    Offer,
    Pairing,
    PoolMember,
    PoolStatus,
    Post,
    User,
)


class PairingSchema(Strict):
    """A need and an offer, by their references, and why they belong together."""

    need = Text(80, required=True)
    offer = Text(80, required=True)
    reason = Text(2000, required=True)


def suggest_pairing(
    exchange: Exchange, session: Session, by: User, data: Mapping[str, Any], *, on: date
) -> Pairing:
    """Suggest a match that the engine has missed; both sides are shown it, with the reason.

    What people suggest bends no rule: a pair that cannot be is refused. A low score refuses
    nothing; it stands beside the suggestion.

    Raises
    ------
    NotAllowed
        For roles that suggest none, and with a conflict of interest.
    InvalidInput
        If a post is not on the exchange under that reference, or the reason is missing.
    Conflict
        ``pairing_not_eligible`` with the rules that fail; ``pairing_exists``.
    """
    if by.role not in PAIRERS:
        raise NotAllowed("suggest_pairing")
    values = load(PairingSchema, data, exchange.reference)
    need = _live(session, values["need"], "need")
    offer = _live(session, values["offer"], "offer")
    require_no_conflict(session, by, need, offer, own=True)
    with exchange.engine.open(session) as book:
        explanation = book.explain(need.id, offer.id, on=on)
    pairing = Pairing.suggest(by, need, offer, values["reason"], explanation.points)
    if explanation.failures:
        raise Conflict(
            "pairing_not_eligible", rules=[failure.rule for failure in explanation.failures]
        )
    if find_pairing(session, need, offer) is not None:
        raise Conflict("pairing_exists")
    session.add(pairing)
    record(
        session,
        by,
        "pairing.suggested",
        pairing,
        after={
            "need": need.reference,
            "offer": offer.reference,
            "reason": pairing.reason,
            "score": pairing.score,
        },
    )
    tell_of_pairing(session, by, pairing)
    return pairing


def _live(session: Session, reference: str, field: str) -> Any:
    post = find_live_post(session, field, reference)
    if post is None:
        raise InvalidInput({field: [("no_live_post", {"reference": reference})]})
    return post


class PoolSchema(Strict):
    """Needs, by their references, that a person would make one."""

    needs = fields.List(Text(80), required=True, validate=validate.Length(min=1, max=MOST_MEMBERS))


def suggest_pool(
    exchange: Exchange, session: Session, by: User, data: Mapping[str, Any]
) -> NeedPool:
    """Ask the countries of some needs whether they may become one regional need.

    Nothing changes until every country has consented.

    Raises
    ------
    NotAllowed
        For anybody but the moderators of the subregion and task forces, and with a conflict of
        interest.
    InvalidInput
        If a need is not on the exchange under that reference.
    Conflict
        If the needs have no theme and no kind of support in common, are not of several countries
        of one subregion, or are none of the task force's; if one is asked about already; if
        nobody coordinates the subregion.
    """
    values = load(PoolSchema, data, exchange.reference)
    needs: list[Need] = [
        _live(session, reference, "need") for reference in dict.fromkeys(values["needs"])
    ]
    themes = set.intersection(*(set(need.codes("theme")) for need in needs))
    kinds = set.intersection(*(set(need.support_kinds) for need in needs))
    subregions = {subregion for need in needs for subregion in need.subregions()}
    countries = {need.country_code for need in needs}
    if not (themes and kinds and len(subregions) == 1 and len(countries - {None}) > 1):
        raise Conflict("pool_unlike")
    force = force_of(session, by)
    if force is not None and not themes & set(force.themes):
        raise Conflict("pool_of_other_themes")
    taken = select(PoolMember.id).join(NeedPool, PoolMember.pool_id == NeedPool.id)
    asked = taken.where(
        PoolMember.need_id.in_([need.id for need in needs]),
        NeedPool.status != PoolStatus.REFUSED,
    )
    if session.scalar(asked.limit(1)) is not None:
        raise Conflict("pool_taken")
    subregion = subregions.pop()
    coordinator_of(session, subregion, exchange.reference, by)
    require_no_conflict(session, by, *needs)
    pool = NeedPool.ask(needs, subregion, likeness_of(exchange, session, needs), by)
    session.add(pool)
    record(session, by, "pool.asked", pool, after={"needs": [need.reference for need in needs]})
    tell_of_pool(session, by, pool)
    return pool


def find_pairing(session: Session, need: Need, offer: Offer) -> Pairing | None:
    """What a person said of the pair, if somebody did."""
    return session.scalar(_whole().where(Pairing.need_id == need.id, Pairing.offer_id == offer.id))


def pairings_of(session: Session, post: Post) -> list[Pairing]:
    """What people have suggested for a post, the latest first."""
    return list(
        session.scalars(
            _whole()
            .where(or_(Pairing.need_id == post.id, Pairing.offer_id == post.id))
            .order_by(Pairing.id.desc())
        )
    )


def waiting_pairings(session: Session, by: User) -> list[Pairing]:
    """Suggested pairs of live posts of the person's side in which nobody has acted yet."""
    own = select(Post.id).where(Post.organisation_id == by.organisation_id, Post.status.in_(LIVE))
    acted = (
        select(Match.id)
        .where(
            Match.need_id == Pairing.need_id,
            Match.offer_id == Pairing.offer_id,
            Match.status != MatchStatus.SUGGESTED,
        )
        .exists()
    )
    found = session.scalars(
        _whole()
        .where(or_(Pairing.need_id.in_(own), Pairing.offer_id.in_(own)), ~acted)
        .order_by(Pairing.id)
    )
    return [
        pairing
        for pairing in found
        if pairing.need.can_be_edited_by(by) or pairing.offer.can_be_edited_by(by)
    ]


def _whole() -> Select[Pairing]:
    return select(Pairing).options(
        selectinload(Pairing.by),
        selectinload(Pairing.need).selectinload(Need.organisation),
        selectinload(Pairing.offer).selectinload(Offer.organisation),
    )
