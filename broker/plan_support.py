"""What the exchange knows of a line of the action plan: who serves it, and with which means.

Offers, agreements and who is behind them are linked to a line once; resources and actors are worked
out when the line is read, and marked as such: nobody types them twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.reference import Reference
from broker.schemas import Strict, Text, load
from models import (
    LIVE,
    PUBLICLY_REGISTERED,
    ActionPlan,
    Agreement,
    Conflict,
    InvalidInput,
    Need,
    NotAllowed,
    NotFound,
    Offer,
    Organisation,
    PlanLine,
    PlanLink,
    Post,
    PostFacet,
    User,
)


@dataclass(frozen=True)
class Known:
    """What the exchange knows of a line.

    Attributes
    ----------
    needs, offers, agreements : list
        What is linked to it, as far as the public may see it.
    money : dict
        Currency → what the linked agreements have committed; sealed or withheld amounts are not
        among them.
    places : int
        Places that the linked agreements have committed.
    actors : list of Organisation
        Who gives or pays in linked offers and agreements, each once.
    """

    needs: list[Need] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    money: dict[str, Decimal] = field(default_factory=dict)
    places: int = 0
    actors: list[Organisation] = field(default_factory=list)


def known_of(session: Session, lines: Iterable[PlanLine]) -> dict[int, Known]:
    """What the exchange knows of each line, by the line's number; in three queries."""
    linked = [(line.id, link) for line in lines for link in line.links]
    ids: dict[str, set[int]] = {"need": set(), "offer": set(), "agreement": set()}
    for _line_id, link in linked:
        ids[link.kind].add(link.entity_id)
    found: dict[tuple[str, int], Any] = {}
    named = selectinload(Post.organisation)
    for kind, model in (("need", Need), ("offer", Offer)):
        rows: Iterable[Any] = (
            session.scalars(select(model).where(model.id.in_(ids[kind])).options(named))
            if ids[kind]
            else ()
        )
        found |= {(kind, post.id): post for post in rows if post.can_be_seen_by(None)}
    if ids["agreement"]:
        query = (
            select(Agreement)
            .where(Agreement.id.in_(ids["agreement"]), Agreement.status.in_(PUBLICLY_REGISTERED))
            .options(
                selectinload(Agreement.parties),
                selectinload(Agreement.terms),
                selectinload(Agreement.offer).selectinload(Offer.organisation),
            )
        )
        found |= {("agreement", one.id): one for one in session.scalars(query)}
    known: dict[int, Known] = {}
    for line_id, link in linked:
        entity = found.get((link.kind, link.entity_id))
        if entity is None:
            continue
        own = known.setdefault(line_id, Known())
        if link.kind == "need":
            own.needs.append(entity)
        elif link.kind == "offer":
            own.offers.append(entity)
        else:
            own.agreements.append(entity)
    return {line_id: _summed(own) for line_id, own in known.items()}


def _summed(known: Known) -> Known:
    money: Counter[str] = Counter()
    places = 0
    actors = {offer.organisation_id: offer.organisation for offer in known.offers}
    for agreement in known.agreements:
        terms = agreement.current_terms
        places += terms.places or 0
        if terms.money and terms.currency and agreement.shows_money_to(None):
            money[terms.currency] += terms.money  # type: ignore[assignment]
        giver = agreement.offer.organisation
        actors.setdefault(giver.id, giver)
    sums: dict[str, Any] = dict(money)
    return Known(known.needs, known.offers, known.agreements, sums, places, list(actors.values()))


class LinkSchema(Strict):
    """What serves a line: a post or an agreement."""

    reference = Text(80, required=True)


def link_to_line(
    session: Session,
    by: User,
    plan: ActionPlan,
    line: PlanLine,
    data: Mapping[str, Any],
    reference: Reference,
) -> None:
    """Say that a post or an agreement serves a line, by its reference.

    Raises
    ------
    InvalidInput
        Nothing public has that reference.
    Conflict
        It is linked already.
    """
    if not plan.can_be_edited_by(by):
        raise NotAllowed("edit_plan")
    named = load(LinkSchema, data, reference)["reference"].lower()
    kind, entity_id = _referred(session, named)
    if any((link.kind, link.entity_id) == (kind, entity_id) for link in line.links):
        raise Conflict("linked_already")
    line.links.append(PlanLink(kind=kind, entity_id=entity_id))
    record(session, by, "plan.linked", line, after={"link": named})


def _referred(session: Session, reference: str) -> tuple[str, int]:
    post = session.scalar(select(Post).where(Post.reference == reference))
    if post is not None and post.can_be_seen_by(None):
        return str(post.kind), post.id
    agreement = session.scalar(
        select(Agreement).where(
            func.lower(Agreement.reference) == reference,
            Agreement.status.in_(PUBLICLY_REGISTERED),
        )
    )
    if agreement is None:
        raise InvalidInput({"reference": [("nothing_referred", {})]})
    return "agreement", agreement.id


def unlink_from_line(
    session: Session, by: User, plan: ActionPlan, line: PlanLine, link_id: int
) -> None:
    """Take a link off a line."""
    if not plan.can_be_edited_by(by):
        raise NotAllowed("edit_plan")
    found = next((link for link in line.links if link.id == link_id), None)
    if found is None:
        raise NotFound("no_such_link", id=link_id)
    line.links.remove(found)
    record(session, by, "plan.unlinked", line, before={"link": f"{found.kind} {found.entity_id}"})


MOST_SUGGESTED = 5


def suggest_links(session: Session, plan: ActionPlan, line: PlanLine) -> list[Post]:
    """Posts on the exchange that answer the line's mandates or share its themes.

    Needs are those of the plan's own country; offers of anybody. Those that cite one of the line's
    mandates come first.
    """
    wanted = {("theme", code) for code in line.themes} | {("mandate", c) for c in line.mandates}
    if not wanted:
        return []
    linked = {link.entity_id for link in line.links if link.kind != "agreement"}
    told = [code for _facet, code in wanted]
    rows = session.execute(
        select(PostFacet.post_id, PostFacet.facet, PostFacet.code)
        .join(Post, Post.id == PostFacet.post_id)
        .where(PostFacet.code.in_(told), Post.status.in_(LIVE))
    )
    points: Counter[int] = Counter()
    for post_id, facet, code in rows:
        if (facet, code) in wanted and post_id not in linked:
            points[post_id] += 5 if facet == "mandate" else 1
    best = [post_id for post_id, _n in sorted(points.items(), key=lambda p: (-p[1], p[0]))]
    posts = {
        post.id: post
        for post in session.scalars(
            select(Post).where(Post.id.in_(best[:60])).options(selectinload(Post.organisation))
        )
    }
    fitting = [
        posts[post_id] for post_id in best if post_id in posts and _is_of(plan, posts[post_id])
    ]
    return fitting[:MOST_SUGGESTED]


def _is_of(plan: ActionPlan, post: Post) -> bool:
    if post.kind == "offer" or plan.country_code is None:
        return True
    return isinstance(post, Need) and post.country_code == plan.country_code
