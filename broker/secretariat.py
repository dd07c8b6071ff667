"""Use cases of the secretariat and the coordinators: what waits for them, review, accounts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import fields, validate
from sqlalchemy import Select, String, cast, func, or_, select
from sqlalchemy.orm import Session, defer, selectin_polymorphic, selectinload

from broker.accounts import (
    create_user,
    find_organisation,
    grant_role,
    new_password,
    set_password,
)
from broker.messages import FIELD_PROBLEMS
from broker.posts import WHOLE, publish_post, return_post
from broker.reference import Reference
from broker.report.answers import overdue_interests
from broker.report.rows import count
from broker.report.scope import in_subregion
from broker.schemas import Code, Email, Strict, Text, load
from models import (
    IN_FORCE,
    LANGUAGES,
    LIVE,
    Agreement,
    AuditEvent,
    Conflict,
    Interest,
    InvalidInput,
    MatchRun,
    Milestone,
    Need,
    NotAllowed,
    NotFound,
    Offer,
    Organisation,
    Post,
    PostStatus,
    Role,
    User,
    utc_now,
)

GRANTABLE = tuple(role for role in Role if role != Role.PUBLIC)
"""Roles that an account may have."""

FIRST_FEW = 5
"""How many rows of each kind the desk shows; each heading leads to the whole list."""

MOST_WORDS = 8
"""Words of a search that are looked at."""

LOOK_BACK = timedelta(days=30)
"""For how long a post that went public without review stays on the desk."""

HINTS = {
    "themes": _l("No theme: it can be found by its words alone, and scores less."),
    "ilac_areas": _l("No ILAC priority area: it is missing from the report by area."),
    "country": _l("Neither country nor subregion: no offer can be held against its place."),
    "serves": _l("Nobody says whom it serves: it is matched with no country in particular."),
    "period": _l("No period of the work: its timing cannot be compared."),
    "quantity": _l("Neither places nor money: nobody can see how much is wanted or given."),
    "languages": _l("No working language: it may be offered to people who cannot follow it."),
    "contact": _l("No contact: nobody knows whom to write to."),
    "support_detail": _l("The kinds of support say nothing of what exactly is meant."),
    "results": _l("No expected results: an agreement will have nothing to measure."),
    "vague": _l(
        "Few words: a reader cannot tell what exactly is meant, and the meaning cannot be compared well."
    ),
}
"""What a moderator should look at in a post that leaves it open → why."""


class ReviewSchema(Strict):
    """What a moderator writes to the author of a post that needs mending."""

    comment = Text(4000, required=True)


class GrantSchema(Strict):
    """A role, and for whom it acts."""

    role = fields.String(
        required=True,
        validate=validate.OneOf([str(r) for r in GRANTABLE], error=_l("Choose one of the roles.")),
    )
    organisation = fields.String(
        required=True, validate=validate.Length(min=1, error=FIELD_PROBLEMS["required"])
    )
    subregion = Code("subregion", allow_none=True, load_default=None)


class AccountSchema(GrantSchema):
    """A new account."""

    email = Email(required=True)
    name = Text(120, required=True)
    language = fields.String(
        load_default="es",
        validate=validate.OneOf(LANGUAGES, error=_l("Choose one of the four languages.")),
    )
    password = fields.String(load_default="", allow_none=True, validate=validate.Length(max=200))


def scope_of(by: User) -> str | None:
    """The subregion to which a moderator's view is limited; None for the secretariat's."""
    return None if by.is_secretariat else by.subregion


def posts_to_review(session: Session, by: User) -> list[Post]:
    """Submitted posts that concern the moderator, the longest waiting first.

    Those of her own organisation are among them, to be seen but not decided.
    """
    submitted = session.scalars(
        select(Post)
        .where(Post.status == PostStatus.SUBMITTED)
        .order_by(Post.submitted_at, Post.id)
        .options(
            *WHOLE,
            selectinload(Post.author),
            selectin_polymorphic(Post, [Need, Offer]),
            selectinload(Need.country),
        )
    )
    return [post for post in submitted if by.moderates(post.subregions())]


FEWEST_WORDS = 15
"""A description of fewer words says little to a reader, and little to the comparison of texts."""


def _is_vague(post: Post) -> bool:
    words = len(post.description.split())
    return words < FEWEST_WORDS or len(post.title.split()) < 2


def hints(post: Post) -> list[str]:
    """Codes of ``HINTS``: what the post leaves open that matching and readers would need."""
    missing = {
        "themes": not post.codes("theme"),
        "ilac_areas": not post.codes("ilac_area"),
        "period": post.starts is None and post.ends is None,
        "languages": not post.codes("language"),
        "contact": not (post.contact_email or post.contact_role),
        "support_detail": not any(support.detail.strip() for support in post.supports),
        "vague": _is_vague(post),
    }
    if isinstance(post, Need):
        missing |= {
            "country": not post.subregions(),
            "quantity": post.places_wanted is None and post.money_open() is None,
            "results": not post.results.strip(),
        }
    elif isinstance(post, Offer):
        served = (post.codes("serves_country"), post.codes("serves_subregion"))
        missing |= {
            "serves": not any((*served, post.codes("serves_outside"))),
            "quantity": post.places is None and post.money is None,
        }
    return [code for code in HINTS if missing.get(code)]


def review_post(
    session: Session,
    by: User,
    post: Need | Offer,
    reference: Reference,
    *,
    revision: int,
    today: date,
    comment: str | None = None,
) -> None:
    """Publish a submitted post, or give it back with a comment.

    Parameters
    ----------
    revision : int
        The revision that the moderator was reading: what she has not read is not published.
    comment : str, optional
        What the author should mend; None publishes.

    Raises
    ------
    Conflict
        If the author has changed the post in the meantime.
    InvalidInput
        If the comment is empty.
    """
    if post.revision != revision:
        raise Conflict("changed_meanwhile")
    if comment is None:
        publish_post(session, by, post, today=today)
    else:
        values = load(ReviewSchema, {"comment": comment}, reference)
        return_post(session, by, post, values["comment"])


@dataclass(frozen=True)
class Worklist:
    """What waits for a moderator.

    Attributes
    ----------
    queue : list of Post
        Posts to be reviewed, the longest waiting first.
    overdue, late
        The first few interests and milestones, with how many there are in all.
    unreviewed : int
        Posts of trusted organisations that went public without review lately.
    run : MatchRun or None
        The newest match run.
    changed : int
        Posts on the exchange that have changed since that run.
    """

    queue: list[Post]
    overdue: list[Interest]
    overdue_total: int
    late: list[Milestone]
    late_total: int
    unreviewed: int
    run: MatchRun | None
    changed: int


def lay_out_work(session: Session, by: User, *, today: date) -> Worklist:
    """Everything that waits for the moderator, in a fixed number of queries."""
    scope, now = scope_of(by), utc_now()
    overdue = overdue_interests(now, subregion=scope)
    late = late_milestones(today, subregion=scope)
    run = session.scalar(
        select(MatchRun)
        .where(MatchRun.finished_at.is_not(None))
        .order_by(MatchRun.id.desc())
        .limit(1)
    )
    changed = select(func.count(Post.id)).where(Post.status.in_(LIVE))
    if run is not None:
        changed = changed.where(Post.updated_at > run.started_at)
    unreviewed = select(func.count(AuditEvent.id)).where(
        AuditEvent.action == "post.published_unreviewed", AuditEvent.at > now - LOOK_BACK
    )
    return Worklist(
        queue=posts_to_review(session, by),
        overdue=list(session.scalars(overdue.limit(FIRST_FEW))),
        overdue_total=count(session, overdue),
        late=list(session.scalars(late.limit(FIRST_FEW))),
        late_total=count(session, late),
        unreviewed=session.scalar(unreviewed) or 0,
        run=run,
        changed=session.scalar(changed) or 0,
    )


def late_milestones(today: date, *, subregion: str | None = None) -> Select[Milestone]:
    """A query for milestones of agreements in force that are overdue; the longest first."""
    return (
        select(Milestone)
        .join(Agreement, Milestone.agreement_id == Agreement.id)
        .where(
            Agreement.status.in_(IN_FORCE),
            Milestone.done_on.is_(None),
            Milestone.due < today,
            *in_subregion(Agreement.need_id, subregion),
        )
        .order_by(Milestone.due, Milestone.id)
        .options(
            selectinload(Milestone.agreement).options(
                selectinload(Agreement.need).selectinload(Post.organisation),
                selectinload(Agreement.offer).selectinload(Post.organisation),
            )
        )
    )


def find_users(by: User, text: str = "", role: str = "") -> Select[User]:
    """A query for accounts by name, address or organisation, and by role.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    """
    if not by.is_secretariat:
        raise NotAllowed("secretariat_only")
    query = select(User).join(Organisation, User.organisation_id == Organisation.id)
    for word in text.split()[:MOST_WORDS]:
        query = query.where(
            or_(
                User.name.icontains(word, autoescape=True),
                User.email.icontains(word, autoescape=True),
                organisation_matches(word),
            )
        )
    if role:
        query = query.where(User.role == role)
    return query.order_by(func.lower(User.name), User.id)


def get_user(session: Session, user_id: int, by: User) -> User:
    """An account, for the secretariat; else :class:`models.errors.NotFound`."""
    user = session.get(User, user_id)
    if not by.is_secretariat:
        raise NotAllowed("secretariat_only")
    if user is None:
        raise NotFound("no_such_user", email=user_id)
    return user


def open_account(
    session: Session, by: User, data: Mapping[str, Any], reference: Reference
) -> tuple[User, str]:
    """Open an account and give it with its password, which is told only this once.

    Where no password is given, one is made.
    """
    values = load(AccountSchema, data, reference)
    organisation = _organisation(session, values)
    password = values["password"] or new_password()
    user = create_user(
        session,
        by,
        email=values["email"],
        name=values["name"],
        role=Role(values["role"]),
        organisation=organisation,
        password=password,
        language=values["language"],
        subregion=values["subregion"],
    )
    return user, password


def change_role(
    session: Session, by: User, user: User, data: Mapping[str, Any], reference: Reference
) -> None:
    """Give an account another role or another organisation."""
    values = load(GrantSchema, data, reference)
    grant_role(
        session,
        by,
        user,
        role=Role(values["role"]),
        organisation=_organisation(session, values),
        subregion=values["subregion"],
    )


def renew_password(session: Session, by: User, user: User) -> str:
    """A new password for somebody who has lost hers, told only this once."""
    password = new_password()
    set_password(session, by, user, password)
    return password


def _organisation(session: Session, values: Mapping[str, Any]) -> Organisation:
    try:
        return find_organisation(session, values["organisation"])
    except NotFound as error:
        code = values["organisation"][:64]
        raise InvalidInput({"organisation": [("unknown_code", {"code": code})]}) from error


def find_organisations(text: str = "", kind: str = "") -> Select[Organisation]:
    """A query for organisations by name, acronym, alias or code, and by kind."""
    query = select(Organisation).where(Organisation.merged_into_id.is_(None))
    for word in text.split()[:MOST_WORDS]:
        query = query.where(organisation_matches(word))
    if kind:
        query = query.where(Organisation.kind == kind)
    return query.order_by(Organisation.code)


def organisation_matches(word: str) -> Any:
    # Within a JSON column letters with accents stand escaped.
    escaped = json.dumps(word)[1:-1]
    return or_(
        Organisation.code.icontains(word, autoescape=True),
        Organisation.acronym.icontains(word, autoescape=True),
        cast(Organisation.names, String).icontains(escaped, autoescape=True),
        cast(Organisation.aliases, String).icontains(escaped, autoescape=True),
    )


@dataclass(frozen=True)
class Standing:
    """What an organisation has on the exchange, and how many people act for it."""

    needs: int
    offers: int
    accounts: int


def standing_of(session: Session, organisations: Iterable[Organisation]) -> dict[int, Standing]:
    """What each of those organisations has on the exchange, in two queries."""
    ids = [organisation.id for organisation in organisations]
    posts = session.execute(
        select(Post.organisation_id, Post.kind, func.count())
        .where(Post.organisation_id.in_(ids), Post.status.in_(LIVE))
        .group_by(Post.organisation_id, Post.kind)
    )
    people = session.execute(
        select(User.organisation_id, func.count())
        .where(User.organisation_id.in_(ids), User.active)
        .group_by(User.organisation_id)
    )
    counts = {(organisation, kind): number for organisation, kind, number in posts}
    accounts = dict(people.all())
    return {
        id_: Standing(
            counts.get((id_, "need"), 0), counts.get((id_, "offer"), 0), accounts.get(id_, 0)
        )
        for id_ in ids
    }


def find_runs() -> Select[MatchRun]:
    """A query for the match runs, newest first, without the long lists of who took part."""
    return (
        select(MatchRun)
        .order_by(MatchRun.id.desc())
        .options(selectinload(MatchRun.by), defer(MatchRun.need_ids), defer(MatchRun.offer_ids))
    )
