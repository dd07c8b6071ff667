"""Posts and people on top of the shipped reference data, as the pages' tests want them.

Where ``tests.factories`` makes the nouns alone, these are written through the input of the forms
and carry what a published post has: dates and its first version.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.posts import content, write
from models import (
    RENEWAL,
    Need,
    Offer,
    Organisation,
    Post,
    PostStatus,
    PostVersion,
    Role,
    User,
)
from tests.factories import make_user

HOME = {
    Role.FOCAL_POINT: "gov-pe",
    Role.PROVIDER: "caf",
    Role.TASK_FORCE: "tf-procurement",
    Role.COORDINATOR: "gov-ec",
    Role.SECRETARIAT: "unep-rolac",
}
"""The organisation for which a role acts, where a test does not say."""

TRAINING = {
    "kind": "capacity_building",
    "modality": "workshop",
    "detail": "Two workshops of three days",
}

_numbers = count(1)


def find_organisation(session: Session, code: str) -> Organisation:
    """An organisation of the reference data."""
    return session.scalars(select(Organisation).where(Organisation.code == code)).one()


def make_person(session: Session, role: Role, organisation: str = "", **values: Any) -> User:
    """An account of that role, for an organisation of the reference data."""
    values = {
        "language": "en",
        "subregion": "andean" if role == Role.COORDINATOR else None,
        **values,
    }
    home = find_organisation(session, organisation or HOME[role])
    return make_user(session, home, role, **values)


def post_need(session: Session, organisation: str = "gov-pe", **facts: Any) -> Need:
    """A published need for training of public buyers; ``facts`` are fields of its input."""
    if organisation.startswith("gov-") and "subregion" not in facts:
        facts.setdefault("country", organisation.removeprefix("gov-").upper())
    need = Need()
    _fill(
        session,
        need,
        organisation,
        {"title": "Train public buyers", "description": "Buyers need training.", **facts},
    )
    return need


def post_offer(session: Session, organisation: str = "tf-procurement", **facts: Any) -> Offer:
    """A published offer of training for public buyers, open to the whole region."""
    offer = Offer()
    _fill(
        session,
        offer,
        organisation,
        {
            "title": "Toolkit for buyers",
            "description": "We train public buyers.",
            "serves_subregions": ["regional"],
            **facts,
        },
    )
    return offer


def _fill(session: Session, post: Post, organisation: str, facts: dict[str, Any]) -> None:
    """Status, dates and texts of a post; a published one has its first version."""
    apart = ("status", "author", "comment", "source", "illustrative", "expires_on", "published_on")
    status = PostStatus(facts.get("status", PostStatus.PUBLISHED))
    published_on: date = facts.get("published_on") or datetime.now(UTC).date()
    post.organisation = find_organisation(session, organisation)
    post.organisation_id = post.organisation.id
    post.reference = f"{type(post).__name__.lower()}-test-{next(_numbers):04d}"
    post.author = facts.get("author")
    post.status = status
    post.comment = facts.get("comment", "")
    post.source = facts.get("source", {})
    post.illustrative = facts.get("illustrative", [])
    defaults = {
        "language": "en",
        "support": [TRAINING],
        "themes": ["sustainable_public_procurement"],
    }
    write(post, {**defaults, **{k: v for k, v in facts.items() if k not in apart}})
    session.add(post)
    if status not in (PostStatus.DRAFT, PostStatus.SUBMITTED, PostStatus.RETURNED):
        moment = datetime(published_on.year, published_on.month, published_on.day, 12, tzinfo=UTC)
        post.submitted_at = post.published_at = moment
        post.expires_on = facts.get("expires_on") or post.closes or published_on + RENEWAL
        post.version = 1
        session.flush()
        # Values as they are read from now on, not as the test has written them.
        session.refresh(post)
        post.versions.append(PostVersion(number=1, content=content(post), author=post.author))
    session.flush()


def days(number: int) -> date:
    """The day that lies ``number`` days from today (UTC), negative for the past."""
    return datetime.now(UTC).date() + timedelta(days=number)
