"""Conflicts of interest: declared, derived, listed, and a hard rule for every decision.

Whoever has declared a conflict with an organisation or a post decides on nothing that concerns
it; and nobody moderates, pairs or rules on what her own organisation has posted. Use cases that
decide ask :func:`require_no_conflict` before they change anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import ValidationError, validates_schema
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.messages import FIELD_PROBLEMS
from broker.reference import Reference
from broker.schemas import Strict, Text, load
from models import (
    MODERATORS,
    Agreement,
    Conflict,
    ConflictOfInterest,
    InvalidInput,
    NotAllowed,
    NotFound,
    Organisation,
    Post,
    User,
)


class ConflictSchema(Strict):
    """What a person must not decide on: an organisation by its code, or a post by its reference."""

    organisation = Text(64, load_default="")
    post = Text(80, load_default="")
    reason = Text(2000, required=True)

    @validates_schema(skip_on_field_errors=True)
    def _names_one(self, data: dict[str, Any], **_: Any) -> None:
        if bool(data["organisation"]) == bool(data["post"]):
            raise ValidationError(str(FIELD_PROBLEMS["organisation_or_post"]), "organisation")


def require_no_conflict(
    session: Session, by: User, *subjects: Post | Organisation | Agreement, own: bool = False
) -> None:
    """Raise if the person must not decide on what concerns these.

    Parameters
    ----------
    own : bool
        Whether a moderator's own organisation is a conflict too: for decisions that she takes as
        somebody who stands above both sides, not for those of her own side.

    Raises
    ------
    NotAllowed
        ``conflict_of_interest``, with the name of what stands in the way.
    """
    posts, organisations = _concerned(subjects)
    if own and by.role in MODERATORS and by.organisation_id in organisations:
        raise _refusal(by.organisation.name(by.language))
    found = session.scalar(
        _standing(by)
        .where(
            or_(
                ConflictOfInterest.organisation_id.in_(organisations),
                ConflictOfInterest.post_id.in_(posts),
            )
        )
        .limit(1)
    )
    if found is not None:
        raise _refusal(_subject(found, by))


def require_no_conflict_among(session: Session, by: User, post_ids: Iterable[int]) -> None:
    """Raise if a conflict that the person has declared touches one of many posts.

    For decisions over the whole exchange: two queries, whatever the number of posts.
    """
    declared = list(session.scalars(_standing(by)))
    if not declared:
        return
    touched = session.execute(
        select(Post.id, Post.organisation_id).where(
            or_(
                Post.organisation_id.in_([c.organisation_id for c in declared]),
                Post.id.in_([c.post_id for c in declared]),
            )
        )
    )
    here = set(post_ids)
    for post_id, organisation_id in touched:
        if post_id in here:
            found = next(
                c for c in declared if post_id == c.post_id or organisation_id == c.organisation_id
            )
            raise _refusal(_subject(found, by))


def _concerned(subjects: Iterable[Post | Organisation | Agreement]) -> tuple[set[int], set[int]]:
    posts: set[int] = set()
    organisations: set[int] = set()
    for subject in subjects:
        if isinstance(subject, Agreement):
            posts |= {subject.need_id, subject.offer_id}
            organisations |= {party.organisation_id for party in subject.parties}
        elif isinstance(subject, Post):
            posts.add(subject.id)
            organisations.add(subject.organisation_id)
        else:
            organisations.add(subject.id)
    return posts, organisations


def _standing(by: User) -> Select[ConflictOfInterest]:
    return (
        select(ConflictOfInterest)
        .where(ConflictOfInterest.user_id == by.id, ConflictOfInterest.lifted_at.is_(None))
        .options(
            selectinload(ConflictOfInterest.organisation), selectinload(ConflictOfInterest.post)
        )
        .order_by(ConflictOfInterest.id)
    )


def _subject(found: ConflictOfInterest, by: User) -> str:
    if found.organisation is not None:
        return found.organisation.name(by.language)
    return found.post.reference if found.post is not None else ""


def _refusal(subject: str) -> NotAllowed:
    return NotAllowed("conflict_of_interest", subject=subject)


def declare_conflict(
    session: Session, by: User, data: Mapping[str, Any], reference: Reference
) -> ConflictOfInterest:
    """Declare that one must not decide on an organisation or a post, with the reason.

    Raises
    ------
    InvalidInput
        If nothing, both, or something unknown is named, or the reason is missing.
    Conflict
        If the person has declared it already.
    """
    values = load(ConflictSchema, data, reference)
    organisation = _organisation(session, values["organisation"])
    post = _post(session, values["post"], by)
    for known in session.scalars(_standing(by)):
        if (known.organisation, known.post) == (organisation, post):
            raise Conflict("conflict_declared")
    declared = ConflictOfInterest.declare(
        by, values["reason"], organisation=organisation, post=post
    )
    session.add(declared)
    after = {"subject": _subject(declared, by), "reason": declared.reason}
    record(session, by, "conflict.declared", declared, after=after)
    return declared


def _organisation(session: Session, code: str) -> Organisation | None:
    if not code:
        return None
    found = session.scalar(select(Organisation).where(Organisation.code == code))
    if found is None:
        raise InvalidInput({"organisation": [("unknown_code", {"code": code})]})
    return found


def _post(session: Session, reference: str, by: User) -> Post | None:
    if not reference:
        return None
    post = session.scalar(select(Post).where(Post.reference == reference.strip().lower()))
    if post is None or not post.can_be_seen_by(by):
        raise InvalidInput({"post": [("no_live_post", {"reference": reference})]})
    return post


def lift_conflict(session: Session, by: User, declared: ConflictOfInterest) -> None:
    """Say, as the secretariat, that another person's conflict no longer stands."""
    declared.lift(by)
    before = {"subject": _subject(declared, by), "reason": declared.reason}
    record(session, by, "conflict.lifted", declared, before=before)


def get_conflict(session: Session, conflict_id: int, by: User) -> ConflictOfInterest:
    """A declaration, for who made it and for the secretariat.

    Raises
    ------
    NotFound
        ``no_such_conflict``.
    """
    found = session.get(ConflictOfInterest, conflict_id)
    if found is None or not (by.is_secretariat or found.user_id == by.id):
        raise NotFound("no_such_conflict")
    return found


def find_conflicts(by: User) -> Select[ConflictOfInterest]:
    """A query for one's own declarations; for everybody's as the secretariat. Standing ones first."""
    query = select(ConflictOfInterest).options(
        selectinload(ConflictOfInterest.user),
        selectinload(ConflictOfInterest.organisation),
        selectinload(ConflictOfInterest.post),
        selectinload(ConflictOfInterest.lifted_by),
    )
    if not by.is_secretariat:
        query = query.where(ConflictOfInterest.user_id == by.id)
    return query.order_by(ConflictOfInterest.lifted_at.is_not(None), ConflictOfInterest.id.desc())
