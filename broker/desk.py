"""A person's own place: what waits for her, and everything that her organisation has posted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, selectin_polymorphic, selectinload

from broker.agreements import RegisterFilter, Step, find_agreements, standing
from broker.interests import waiting_interests
from broker.posts import WHOLE
from models import (
    IN_FORCE,
    LIVE,
    MODERATORS,
    OPEN_TERMS,
    Agreement,
    Match,
    Need,
    Offer,
    Organisation,
    Post,
    PostStatus,
    User,
)

SOON = timedelta(days=21)
"""How long before it expires a post is brought to its author's mind."""

OWN_STEPS = frozenset({Step.ACCEPT, Step.SIGN, Step.START, Step.CATCH_UP, Step.CLOSE})
"""Steps of an agreement that wait for the reader's own side."""

ORDER = (
    PostStatus.PUBLISHED,
    PostStatus.PARTLY_COMMITTED,
    PostStatus.SUBMITTED,
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
    agreements : list of (Agreement, Step)
        Agreements that wait for a word of this organisation, with what they wait for.
    returned, drafts, expiring : list of Post
        Posts to mend, to finish, and to renew.
    to_review : list of Post
        Submitted posts that this person may publish or return.
    posts : dict
        Status → the organisation's posts, needs before offers.
    """

    interests: list[Match] = field(default_factory=list)
    agreements: list[tuple[Agreement, Step]] = field(default_factory=list)
    returned: list[Post] = field(default_factory=list)
    drafts: list[Post] = field(default_factory=list)
    expiring: list[Post] = field(default_factory=list)
    to_review: list[Post] = field(default_factory=list)
    posts: dict[PostStatus, list[Post]] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """How many things wait for the person."""
        return sum(
            len(things)
            for things in (
                self.interests,
                self.agreements,
                self.returned,
                self.drafts,
                self.expiring,
                self.to_review,
            )
        )


def lay_out_desk(session: Session, by: User, *, today: date) -> Desk:
    """Everything that waits for the person, and the posts of her organisation."""
    own = [post for post in _posts_of(session, by) if by.may_post(post.kind)]
    return Desk(
        interests=waiting_interests(session, by),
        agreements=_waiting_agreements(session, by, today),
        returned=_with(own, PostStatus.RETURNED),
        drafts=_with(own, PostStatus.DRAFT),
        expiring=[
            post
            for post in own
            if post.status in LIVE and post.expires_on and post.expires_on <= today + SOON
        ],
        to_review=_to_review(session, by),
        posts={status: posts for status in ORDER if (posts := _with(own, status))},
    )


def _posts_of(session: Session, by: User) -> list[Post]:
    query = select(Post).where(Post.organisation_id == by.organisation_id).options(*WHOLE)
    return list(session.scalars(query.order_by(Post.kind, Post.updated_at.desc(), Post.id)))


def _with(posts: Iterable[Post], status: PostStatus) -> list[Post]:
    return [post for post in posts if post.status == status]


def _waiting_agreements(session: Session, by: User, today: date) -> list[tuple[Agreement, Step]]:
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
