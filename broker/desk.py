"""A person's own place: what waits for her, and everything that her organisation has posted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session, joinedload, selectin_polymorphic, selectinload

from broker.agreements import RegisterFilter, Step, find_agreements, standing
from broker.balances import KindCoverage, coverage_by_kind
from broker.clearing import waiting_proposals
from broker.endorsements import waiting_endorsements
from broker.exchange import Exchange
from broker.interests import InterestCover, interest_cover, waiting_interests
from broker.matches import RankedMatch, best_offers
from broker.pairings import waiting_pairings
from broker.pilots import waiting_invitations
from broker.pools import waiting_pools
from broker.posts import WHOLE
from models import (
    IN_FORCE,
    LIVE,
    MODERATORS,
    OPEN_TERMS,
    Agreement,
    AgreementParty,
    AgreementStatus,
    AgreementTerms,
    Country,
    Interest,
    InvitationStatus,
    Match,
    MatchStatus,
    Milestone,
    Need,
    NeedPool,
    Offer,
    Organisation,
    Pairing,
    PilotInvitation,
    PoolMember,
    PoolStatus,
    Post,
    PostFacet,
    PostStatus,
    ProposalStatus,
    RoundProposal,
    TaskForce,
    User,
)

SOON = timedelta(days=21)
"""How long before it expires a post is brought to its author's mind."""

SHOWN = 6
"""How many posts of each status the desk shows before it leads to the list of all."""

MOST = 50
"""How many posts of one sort can wait on a desk at once."""

UNFINISHED = frozenset({PostStatus.RETURNED, PostStatus.DRAFT})
"""Statuses of posts that wait to be mended or finished."""

OWN_STEPS = frozenset({Step.ACCEPT, Step.SIGN, Step.START, Step.CATCH_UP, Step.CLOSE})
"""Steps of an agreement that wait for the reader's own side."""

ORDER = (
    PostStatus.PUBLISHED,
    PostStatus.PARTLY_COMMITTED,
    PostStatus.SUBMITTED,
    PostStatus.TO_ENDORSE,
    PostStatus.RETURNED,
    PostStatus.DRAFT,
    PostStatus.EXPIRED,
    PostStatus.FULFILLED,
    PostStatus.EXHAUSTED,
    PostStatus.WITHDRAWN,
)
"""The order in which one's posts are laid out."""


@dataclass(frozen=True)
class Desk:
    """What lies on a person's desk.

    Attributes
    ----------
    interests : list of Match
        Matches in which the other side waits for an answer, oldest first.
    pairings : list of Pairing
        Pairs that a person has suggested, and in which nobody has acted yet.
    invitations : list of PilotInvitation
        Invitations to a pilot that wait for this organisation's answer.
    endorsements : list of Need
        Needs of colleagues that wait for this focal point's word.
    proposals : list of RoundProposal
        What clearing rounds propose, and this side has not answered.
    pools : list of NeedPool
        Pools that wait for this country's consent.
    agreements : list of (Agreement, Step)
        Agreements that wait for a word of this organisation, with what they wait for.
    returned, drafts, expiring : list of Post
        Posts to mend, to finish, and to renew.
    to_review : list of Post
        Submitted posts that this person may publish or return.
    counts : dict
        Status → how many posts of that status the organisation has.
    latest : dict
        Status → the few of them that changed last.
    """

    interests: list[Match] = field(default_factory=list)
    pairings: list[Pairing] = field(default_factory=list)
    invitations: list[PilotInvitation] = field(default_factory=list)
    endorsements: list[Need] = field(default_factory=list)
    proposals: list[RoundProposal] = field(default_factory=list)
    pools: list[NeedPool] = field(default_factory=list)
    agreements: list[tuple[Agreement, Step]] = field(default_factory=list)
    returned: list[Post] = field(default_factory=list)
    drafts: list[Post] = field(default_factory=list)
    expiring: list[Post] = field(default_factory=list)
    to_review: list[Post] = field(default_factory=list)
    counts: dict[PostStatus, int] = field(default_factory=dict)
    latest: dict[PostStatus, list[Post]] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """How many things wait for the person."""
        return sum(
            len(things)
            for things in (
                self.interests,
                self.pairings,
                self.invitations,
                self.endorsements,
                self.proposals,
                self.pools,
                self.agreements,
                self.returned,
                self.drafts,
                self.expiring,
                self.to_review,
            )
        )


def lay_out_desk(session: Session, by: User, *, today: date) -> Desk:
    """Everything that waits for the person, and the posts of her organisation.

    What waits is counted first, and only the sorts are read of which there is something.
    """
    waits = _count_waiting(session, by, today)

    def read(sort: str, find: Callable[[Session, User], list[Any]]) -> list[Any]:
        return find(session, by) if waits.get(sort) else []

    own, counts = _read_own_posts(session, by, today)
    unfinished = [post for post in own if post.status in UNFINISHED][:MOST]
    latest = {status: [post for post in own if post.status == status] for status in counts}
    return Desk(
        interests=read("interests", waiting_interests),
        pairings=read("pairings", waiting_pairings),
        invitations=read("invitations", waiting_invitations),
        endorsements=read("endorsements", waiting_endorsements),
        proposals=read("proposals", waiting_proposals),
        pools=read("pools", waiting_pools),
        agreements=read("agreements", partial(_waiting_agreements, today=today)),
        returned=[post for post in unfinished if post.status == PostStatus.RETURNED],
        drafts=[post for post in unfinished if post.status == PostStatus.DRAFT],
        expiring=[post for post in own if _expires_soon(post, today)][:MOST],
        to_review=read("to_review", _to_review),
        counts=counts,
        latest={status: posts[:SHOWN] for status, posts in latest.items()},
    )


def _expires_soon(post: Post, today: date) -> bool:
    return post.is_live and post.expires_on is not None and post.expires_on <= today + SOON


def _expiring(today: date) -> ColumnElement[bool]:
    return and_(Post.status.in_(LIVE), Post.expires_on <= today + SOON)


def _read_own_posts(
    session: Session, by: User, today: date
) -> tuple[list[Post], dict[PostStatus, int]]:
    """The posts that the desk shows, latest first, and how many there are of each status.

    Of each status those that changed last; of what is to be finished or renewed, as many as can
    wait at once.
    """
    latest_first = (Post.updated_at.desc(), Post.id.desc())

    def place(*among: Any) -> ColumnElement[int]:
        return func.row_number().over(partition_by=among, order_by=latest_first)

    expiring = case((_expiring(today), 1), else_=0)
    ranked = (
        select(
            Post.id,
            place(Post.status).label("place"),
            place(expiring).label("expiring_place"),
            expiring.label("expiring"),
            func.count().over(partition_by=Post.status).label("in_all"),
        )
        .where(_is_own(by))
        .subquery()
    )
    shown = or_(
        ranked.c.place <= SHOWN,
        and_(Post.status.in_(UNFINISHED), ranked.c.place <= MOST),
        and_(ranked.c.expiring == 1, ranked.c.expiring_place <= MOST),
    )
    query = select(Post, ranked.c.in_all).join(ranked, ranked.c.id == Post.id).where(shown)
    rows = session.execute(query.order_by(*latest_first)).all()
    found = {PostStatus(post.status): in_all for post, in_all in rows}
    return [post for post, _in_all in rows], {s: found[s] for s in ORDER if s in found}


def count_waiting(session: Session, by: User, *, today: date) -> int:
    """How many things lie on the person's desk: as many as :func:`lay_out_desk` finds.

    In one statement, since every page shows it.
    """
    return sum(_count_waiting(session, by, today).values())


def _count_waiting(session: Session, by: User, today: date) -> dict[str, int]:
    """How many things of each sort wait for the person, in one statement."""
    queries: dict[str, Select[Any]] = {
        "expiring": own_posts(by).where(_expiring(today)).limit(MOST),
        "unfinished": own_posts(by).where(Post.status.in_(UNFINISHED)).limit(MOST),
    }
    if by.acts_for(by.organisation_id):
        queries |= _awaited(by, today)
    if by.may_endorse_for(by.organisation_id):
        to_endorse = select(Need.id).where(Need.organisation_id == by.organisation_id)
        queries["endorsements"] = to_endorse.where(Need.status == PostStatus.TO_ENDORSE)
    if by.active and by.role in MODERATORS:
        queries["to_review"] = _reviewed_by(by)
    counts = [_count(query).label(sort) for sort, query in queries.items()]
    return dict(session.execute(select(*counts)).one()._mapping)


def _count(query: Select[Any]) -> ColumnElement[int]:
    found = query.with_only_columns(literal(1)).order_by(None).options().subquery()
    return select(func.count()).select_from(found).scalar_subquery()


def _awaited(by: User, today: date) -> dict[str, Select[Any]]:
    """What waits for a word of the person's organisation, by the sort that the desk names."""
    kinds = [kind for kind in ("need", "offer") if by.may_post(kind)]
    own = select(Post.id).where(Post.organisation_id == by.organisation_id, Post.kind.in_(kinds))
    interests = (
        select(Match.id)
        .join(Interest, Interest.match_id == Match.id)
        .where(
            Match.status == MatchStatus.INTEREST,
            Interest.answer.is_(None),
            or_(
                and_(Interest.side == "offer", Match.need_id.in_(own)),
                and_(Interest.side == "need", Match.offer_id.in_(own)),
            ),
        )
    )
    proposal = RoundProposal
    proposals = select(proposal.id).where(
        proposal.status == ProposalStatus.WAITING,
        or_(
            and_(proposal.need_id.in_(own), ~proposal.answers.any(side="need")),
            and_(proposal.offer_id.in_(own), ~proposal.answers.any(side="offer")),
        ),
    )
    pools = select(NeedPool.id).where(
        NeedPool.status == PoolStatus.ASKED,
        NeedPool.members.any(and_(PoolMember.consent.is_(None), PoolMember.need_id.in_(own))),
    )
    invitations = select(PilotInvitation.id).where(
        PilotInvitation.organisation_id == by.organisation_id,
        PilotInvitation.status == InvitationStatus.ASKED,
    )
    acted = select(Match.id).where(
        Match.need_id == Pairing.need_id,
        Match.offer_id == Pairing.offer_id,
        Match.status != MatchStatus.SUGGESTED,
    )
    live = own.where(Post.status.in_(LIVE))
    pairings = select(Pairing.id).where(
        or_(Pairing.need_id.in_(live), Pairing.offer_id.in_(live)), ~acted.exists()
    )
    return {
        "interests": interests,
        "proposals": proposals,
        "pools": pools,
        "invitations": invitations,
        "pairings": pairings,
        "agreements": _agreements_awaiting(by, today),
    }


def _agreements_awaiting(by: User, today: date) -> Select[Any]:
    """Agreements at one of ``OWN_STEPS``, as :func:`broker.agreements.standing` tells them."""
    newest = (
        select(func.max(AgreementTerms.number))
        .where(AgreementTerms.agreement_id == Agreement.id)
        .correlate(Agreement)
        .scalar_subquery()
    )
    party = AgreementParty
    late = Agreement.milestones.any(and_(Milestone.done_on.is_(None), Milestone.due < today))
    over = Agreement.terms.any(and_(AgreementTerms.number == newest, AgreementTerms.ends < today))
    status = Agreement.status
    return (
        select(Agreement.id)
        .join(party, party.agreement_id == Agreement.id)
        .where(
            party.organisation_id == by.organisation_id,
            or_(
                and_(
                    status == AgreementStatus.PROPOSED,
                    or_(party.accepted_number.is_(None), party.accepted_number != newest),
                ),
                and_(status == AgreementStatus.NEGOTIATED, party.signed_at.is_(None)),
                status == AgreementStatus.SIGNED,
                and_(status == AgreementStatus.ACTIVE, or_(late, over)),
            ),
        )
    )


def _reviewed_by(by: User) -> Select[Any]:
    """Submitted posts that the person may review, as the posts' own rule says."""
    query = select(Post.id).where(
        Post.status == PostStatus.SUBMITTED, Post.organisation_id != by.organisation_id
    )
    if by.is_secretariat:
        return query
    inside = select(Country.code).where(Country.subregion == by.subregion)
    of_region = select(Country.code).where(Country.subregion.is_not(None))
    needs = select(Need.id).where(
        or_(
            Need.country_code.in_(inside),
            and_(
                or_(Need.country_code.is_(None), Need.country_code.not_in(of_region)),
                Need.subregion == by.subregion,
            ),
        )
    )
    served = select(PostFacet.post_id).where(PostFacet.facet == "serves_subregion")
    at_home = select(Organisation.id).where(Organisation.country_code.in_(inside))
    offers = select(Offer.id).where(
        or_(
            and_(
                Offer.id.in_(served.where(PostFacet.code == by.subregion)),
                Offer.id.not_in(served.where(PostFacet.code != by.subregion)),
            ),
            and_(Offer.id.not_in(served), Offer.organisation_id.in_(at_home)),
        )
    )
    return query.where(or_(Post.id.in_(needs), Post.id.in_(offers)))


def own_posts(by: User, *statuses: PostStatus) -> Select[Post]:
    """A query for the posts that the person may change, of those statuses or of all; latest first."""
    query = select(Post).where(_is_own(by)).options(*WHOLE)
    if statuses:
        query = query.where(Post.status.in_(statuses))
    return query.order_by(Post.updated_at.desc(), Post.id.desc())


def count_own_posts(session: Session, by: User) -> dict[PostStatus, int]:
    """Status → how many posts of that status the person may change."""
    query = select(Post.status, func.count()).where(_is_own(by)).group_by(Post.status)
    found = {PostStatus(row[0]): row[1] for row in session.execute(query)}
    return {status: found[status] for status in ORDER if status in found}


def _is_own(by: User) -> ColumnElement[bool]:
    kinds = [kind for kind in ("need", "offer") if by.may_post(kind)]
    own = and_(Post.organisation_id == by.organisation_id, Post.kind.in_(kinds))
    return and_(own, Post.author_id == by.id) if by.is_delegate else own


def _waiting_agreements(session: Session, by: User, *, today: date) -> list[tuple[Agreement, Step]]:
    query = find_agreements(RegisterFilter("mine"), by).where(
        Agreement.status.in_(OPEN_TERMS | IN_FORCE)
    )
    steps = [(found, standing(found, by, today=today)) for found in session.scalars(query)]
    return [(found, now.step) for found, now in steps if now.party and now.step in OWN_STEPS]


def _to_review(session: Session, by: User) -> list[Post]:
    if by.role not in MODERATORS:
        return []
    query = (
        select(Post)
        .where(Post.status == PostStatus.SUBMITTED)
        .order_by(Post.submitted_at)
        .options(
            selectinload(Post.facets),
            selectinload(Post.organisation).selectinload(Organisation.country),
            selectin_polymorphic(Post, [Need, Offer]),
            selectinload(Need.country),
        )
    )
    return [post for post in session.scalars(query) if post.can_be_moderated_by(by)]


NEEDS_SHOWN = 4
"""Needs with their best matches on the desk itself; all of them have a page."""

BEST = 3
"""Best offers that are shown with each need."""


@dataclass(frozen=True)
class NeedLine:
    """One of one's needs: what covers it, what interest would, and its best offers."""

    need: Need
    coverage: list[KindCoverage]
    cover: InterestCover
    best: list[RankedMatch]


def own_live_needs(by: User) -> Select[Need]:
    """A query for the needs of one's own on the exchange, the latest changed first."""
    return (
        select(Need)
        .where(_is_own(by), Need.status.in_(LIVE))
        .options(*WHOLE)
        .order_by(Need.updated_at.desc(), Need.id.desc())
    )


def lay_out_needs(
    exchange: Exchange, session: Session, needs: Sequence[Need], *, on: date
) -> list[NeedLine]:
    """Needs with coverage and best offers; the number of queries does not grow with them."""
    ids = [need.id for need in needs]
    agreements = list(
        session.scalars(
            select(Agreement)
            .where(Agreement.need_id.in_(ids))
            .options(
                selectinload(Agreement.terms),
                selectinload(Agreement.parties),
                selectinload(Agreement.commitments),
                selectinload(Agreement.need).selectinload(Need.supports),
                selectinload(Agreement.offer).selectinload(Offer.supports),
            )
        )
    )
    cover = interest_cover(session, needs, exchange.reference)
    best = best_offers(exchange, session, needs, on=on, limit=BEST)
    return [
        NeedLine(
            need,
            coverage_by_kind(need, agreements, exchange.reference),
            cover[need.id],
            best[need.id],
        )
        for need in needs
    ]


@dataclass(frozen=True)
class CountrySketch:
    """A country in figures, for the desk of its focal point; each leads to its rows.

    Attributes
    ----------
    posts : dict
        Facet (``"theme"``, ``"ilac_area"``) → code → its open needs, the most first.
    agreements : dict
        Status → agreements in which the organisation takes part.
    task_forces : list of TaskForce
        Those that name the country, or an organisation of it, as a member.
    """

    posts: dict[str, dict[str, int]]
    agreements: dict[AgreementStatus, int]
    task_forces: list[TaskForce]


def sketch_country(session: Session, by: User) -> CountrySketch:
    """The picture of the person's country, in four queries."""
    country = by.organisation.country_code
    posts: dict[str, dict[str, int]] = {"theme": {}, "ilac_area": {}}
    number = func.count()
    counted = session.execute(
        select(PostFacet.facet, PostFacet.code, number)
        .join(Need, Need.id == PostFacet.post_id)
        .where(
            PostFacet.facet.in_(list(posts)),
            Need.status.in_(LIVE),
            Need.country_code == country,
        )
        .group_by(PostFacet.facet, PostFacet.code)
        .order_by(number.desc(), PostFacet.code)
    )
    for facet, code, count in counted:
        posts[facet][code] = count
    statuses = session.execute(
        select(Agreement.status, func.count())
        .join(AgreementParty, AgreementParty.agreement_id == Agreement.id)
        .where(AgreementParty.organisation_id == by.organisation_id)
        .group_by(Agreement.status)
    )
    found = {AgreementStatus(row[0]): row[1] for row in statuses}
    codes = set(
        session.scalars(select(Organisation.code).where(Organisation.country_code == country))
    )
    forces = session.scalars(select(TaskForce).options(joinedload(TaskForce.organisation)))
    return CountrySketch(
        posts=posts,
        agreements={status: found[status] for status in AgreementStatus if status in found},
        # Codes of merged organisations too: task forces may name one by the code that it had.
        task_forces=[force for force in forces if {country, *codes} & force.member_codes()],
    )


OFFERED = LIVE | {PostStatus.EXHAUSTED, PostStatus.EXPIRED}
"""Statuses of the offers that a portfolio shows."""


def own_offers(by: User) -> Select[Post]:
    """A query for the organisation's offers that are or were on the exchange; open ones first."""
    query = own_posts(by, *OFFERED).where(Post.kind == "offer").order_by(None)
    return query.order_by(Post.status.not_in(LIVE), Post.updated_at.desc(), Post.id.desc())
