"""Use cases of posts: write, submit, review, publish, withdraw, renew, and find again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.reference import Reference
from broker.schemas import NeedSchema, OfferSchema, load
from models import (
    LIVE,
    PUBLICLY_READABLE,
    Conflict,
    Country,
    Need,
    NotAllowed,
    NotFound,
    Offer,
    Organisation,
    Post,
    PostFacet,
    PostStatus,
    PostVersion,
    Support,
    User,
    utc_now,
)
from models.errors import InvalidInput
from models.user import Role

SCHEMAS = {"need": NeedSchema, "offer": OfferSchema}
CLASSES: dict[str, type[Need] | type[Offer]] = {"need": Need, "offer": Offer}

FACET_OF = {
    "themes": "theme",
    "ilac_areas": "ilac_area",
    "programmes": "programme",
    "mandates": "mandate",
    "languages": "language",
    "beneficiary_kinds": "beneficiary_kind",
    "serves_countries": "serves_country",
    "serves_subregions": "serves_subregion",
    "serves_outside": "serves_outside",
    "serves_organisation_kinds": "serves_organisation_kind",
}
"""Input field → facet under which its codes are kept."""

ATTRIBUTE_OF = {"country": "country_code"}
"""Input field → column, where the two differ."""


def content(post: Post) -> dict[str, Any]:
    """The post in the shape of its input schema, ready for JSON: for forms, versions and exports."""
    values: dict[str, Any] = {}
    for name in SCHEMAS[post.kind]._declared_fields:
        if name == "support":
            values[name] = [
                {"kind": s.kind, "modality": s.modality, "detail": s.detail} for s in post.supports
            ]
        elif name in FACET_OF:
            values[name] = post.codes(FACET_OF[name])
        else:
            value = getattr(post, ATTRIBUTE_OF.get(name, name))
            if isinstance(value, date):
                value = value.isoformat()
            values[name] = str(value) if isinstance(value, Decimal) else value
    return values


def write(post: Post, data: Mapping[str, Any]) -> None:
    """Put validated input into the post; fields that are not in ``data`` stay as they are."""
    for name, value in data.items():
        if name == "support":
            post.supports = [Support(**item) for item in value]
        elif name in FACET_OF:
            post.set_codes(FACET_OF[name], value)
        else:
            setattr(post, ATTRIBUTE_OF.get(name, name), value)


def get_post(session: Session, kind: str, post_id: int, by: User | None) -> Need | Offer:
    """The post, if the reader may see it.

    Raises
    ------
    NotFound
        Also when it exists but is not for this reader: a link must not tell what others draft.
    """
    model: type[Need | Offer] = CLASSES[kind]
    post = session.get(model, post_id, options=WHOLE)
    if post is None or not post.can_be_seen_by(by):
        raise NotFound("no_such_post", id=post_id)
    return post


WHOLE = (
    selectinload(Post.supports),
    selectinload(Post.facets),
    selectinload(Post.organisation),
)
"""What is loaded with a post that is shown or matched."""


def _next_reference(session: Session, kind: str, organisation: Organisation) -> str:
    stem = f"{kind}-{organisation.code.removeprefix('gov-')}-"
    taken = session.scalars(select(Post.reference).where(Post.reference.startswith(stem)))
    numbers = [int(tail) for r in taken if (tail := r.removeprefix(stem)).isdecimal()]
    return f"{stem}{max(numbers, default=0) + 1:03d}"


def save_draft(
    session: Session,
    by: User,
    kind: str,
    data: Mapping[str, Any],
    reference: Reference,
) -> Need | Offer:
    """Start a post; everything but the language may still be missing.

    Raises
    ------
    NotAllowed
        If the person's role does not post this kind.
    InvalidInput
        For fields that are filled in wrongly.
    """
    if not by.may_post(kind):
        raise NotAllowed("post_kind", kind=kind)
    values = load(SCHEMAS[kind], {"language": by.language, **data}, reference, partial=True)
    _check_owner(values, by, kind, reference)
    post = CLASSES[kind](
        organisation=by.organisation,
        author=by,
        reference=_next_reference(session, kind, by.organisation),
        language=values["language"],
    )
    if isinstance(post, Need):
        post.country_code = by.organisation.country_code if by.role == Role.FOCAL_POINT else None
        post.subregion = by.subregion if by.role == Role.COORDINATOR else None
    write(post, values)
    session.add(post)
    record(session, by, "post.drafted", post, after=content(post))
    return post


def edit_post(
    session: Session,
    by: User,
    post: Need | Offer,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    revision: int | None = None,
) -> Need | Offer:
    """Change a post. A published one goes on as a new version; what others saw stays readable.

    Parameters
    ----------
    revision : int, optional
        The revision that the person was reading; None skips the check.

    Raises
    ------
    Conflict
        If somebody else has changed the post since.
    """
    if not post.can_be_edited_by(by):
        raise NotAllowed("edit_post", reference=post.reference)
    if revision is not None and revision != post.revision:
        raise Conflict("post_changed", revision=post.revision)
    live = post.is_live
    before = content(post)
    values = load(
        SCHEMAS[post.kind], {**before, **data} if live else data, reference, partial=not live
    )
    _check_owner(values, by, post.kind, reference)
    _check_capacity(post, values)
    write(post, values)
    if post.status == PostStatus.RETURNED:
        post.reopen(by)
    elif post.status in (PostStatus.FULFILLED, PostStatus.EXHAUSTED, PostStatus.EXPIRED):
        raise Conflict("post_transition", now=str(post.status), then="draft")
    after = content(post)
    if live and after != before:
        post.expires_on = post.closes or post.expires_on
        _keep_version(post, by)
    post.updated_at = utc_now()
    record(session, by, "post.edited", post, before=before, after=after)
    return post


def _check_owner(values: Mapping[str, Any], by: User, kind: str, reference: Reference) -> None:
    """A government asks for its own country; a coordinator for the subregion."""
    if kind != "need":
        return
    country, own = values.get("country"), by.organisation.country_code
    if by.role == Role.FOCAL_POINT and country and country != own:
        name = reference.label("country", own, by.language)
        raise InvalidInput({"country": [("not_your_country", {"country": name})]})
    subregion = values.get("subregion")
    if by.role == Role.COORDINATOR and subregion and subregion != by.subregion:
        raise InvalidInput({"subregion": [("not_your_subregion", {})]})


def _check_capacity(post: Post, values: Mapping[str, Any]) -> None:
    """Capacity that agreements have committed cannot be taken out of an offer."""
    if not isinstance(post, Offer):
        return
    problems: dict[str, Any] = {}
    places, money = values.get("places"), values.get("money")
    if places is not None and places < post.places_committed:
        problems["places"] = [("below_committed", {"committed": post.places_committed})]
    if money is not None and money < post.money_committed:
        problems["money"] = [("below_committed", {"committed": post.money_committed})]
    if problems:
        raise InvalidInput(problems)


def _keep_version(post: Post, by: User | None) -> None:
    post.version += 1
    post.versions.append(PostVersion(number=post.version, content=content(post), author=by))


def submit_post(session: Session, by: User, post: Need | Offer, reference: Reference) -> None:
    """Hand a draft to the secretariat; what was allowed to be missing is now asked for."""
    load(SCHEMAS[post.kind], content(post), reference)
    before = str(post.status)
    post.submit(by)
    record(session, by, "post.submitted", post, before={"status": before}, after=_status(post))


def publish_post(session: Session, by: User, post: Need | Offer, *, today: date) -> None:
    """Put a submitted post on the exchange and keep the text as a version."""
    before = _status(post)
    post.publish(by, today)
    _keep_version(post, post.author)
    record(session, by, "post.published", post, before=before, after=_status(post))


def return_post(session: Session, by: User, post: Need | Offer, comment: str) -> None:
    """Give a submitted post back with a comment."""
    before = _status(post)
    post.return_with(comment, by)
    record(
        session,
        by,
        "post.returned",
        post,
        before=before,
        after={**_status(post), "comment": comment},
    )


def withdraw_post(session: Session, by: User, post: Need | Offer) -> None:
    """Take a post off the exchange."""
    before = _status(post)
    post.withdraw(by)
    record(session, by, "post.withdrawn", post, before=before, after=_status(post))


def reopen_post(session: Session, by: User, post: Need | Offer) -> None:
    """Make a withdrawn or returned post a draft again."""
    before = _status(post)
    post.reopen(by)
    record(session, by, "post.reopened", post, before=before, after=_status(post))


def renew_post(session: Session, by: User, post: Need | Offer, *, today: date) -> None:
    """Keep a post on the exchange for another half-year."""
    before = {**_status(post), "expires_on": post.expires_on}
    post.renew(by, today)
    post.updated_at = utc_now()
    record(
        session,
        by,
        "post.renewed",
        post,
        before=before,
        after={**_status(post), "expires_on": post.expires_on},
    )


def expire_posts(session: Session, *, today: date) -> list[Post]:
    """Take every post off the exchange whose time has passed; nobody needs to be asked."""
    overdue = session.scalars(
        select(Post).where(Post.status.in_(LIVE), Post.expires_on < today).options(*WHOLE)
    )
    expired = []
    for post in overdue:
        before = _status(post)
        if post.expire(today):
            record(session, None, "post.expired", post, before=before, after=_status(post))
            expired.append(post)
    return expired


def _status(post: Post) -> dict[str, Any]:
    return {"status": str(post.status)}


@dataclass(frozen=True)
class PostFilter:
    """What a list of posts is narrowed to; every field is a parameter of the page's address."""

    kind: str
    text: str = ""
    themes: tuple[str, ...] = ()
    ilac_areas: tuple[str, ...] = ()
    support_kinds: tuple[str, ...] = ()
    subregions: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    organisation: str = ""
    open_only: bool = False
    statuses: frozenset[PostStatus] = field(default_factory=lambda: frozenset(PUBLICLY_READABLE))
    organisation_id: int | None = None
    sort: str = "newest"


SORTS: dict[str, tuple[ColumnElement[Any], ...]] = {
    "newest": (Post.published_at.desc(), Post.id.desc()),
    "oldest": (Post.published_at.asc(), Post.id.asc()),
    "closing": (func.coalesce(Post.closes, date(9999, 1, 1)).asc(), Post.id.asc()),
    "title": (func.lower(Post.title).asc(), Post.id.asc()),
}
"""Orders in which a list may be read."""


def find_posts(filters: PostFilter) -> Select[Any]:
    """A query for the posts that pass the filters; several codes of one facet mean "any of"."""
    model = CLASSES[filters.kind]
    query: Select[Any] = select(model).where(model.status.in_(filters.statuses))
    if filters.open_only:
        query = query.where(model.status.in_(LIVE))
    if filters.organisation_id is not None:
        query = query.where(model.organisation_id == filters.organisation_id)
    if filters.organisation:
        query = query.where(
            model.organisation_id.in_(
                select(Organisation.id).where(Organisation.code == filters.organisation)
            )
        )
    for facet, wanted in (("theme", filters.themes), ("ilac_area", filters.ilac_areas)):
        if wanted:
            query = query.where(model.id.in_(_having(facet, wanted)))
    if filters.support_kinds:
        query = query.where(
            model.id.in_(select(Support.post_id).where(Support.kind.in_(filters.support_kinds)))
        )
    if filters.languages:
        query = query.where(model.language.in_(filters.languages))
    if filters.countries or filters.subregions:
        query = query.where(_concerns(filters))
    for word in filters.text.split()[:8]:
        like = f"%{_escaped(word)}%"
        query = query.where(
            or_(
                model.title.ilike(like, escape="\\"),
                model.description.ilike(like, escape="\\"),
                model.reference.ilike(like, escape="\\"),
            )
        )
    return query.order_by(*SORTS.get(filters.sort, SORTS["newest"])).options(*WHOLE)


def _having(facet: str, wanted: tuple[str, ...]) -> Select[int]:
    return select(PostFacet.post_id).where(PostFacet.facet == facet, PostFacet.code.in_(wanted))


def _concerns(filters: PostFilter) -> ColumnElement[bool]:
    """Needs by where they are; offers by whom they serve, or else by where their provider is."""
    in_subregion = select(Country.code).where(Country.subregion.in_(filters.subregions))
    if filters.kind == "need":
        return or_(
            Need.country_code.in_(filters.countries),
            Need.country_code.in_(in_subregion),
            Need.subregion.in_(filters.subregions),
        )
    homes = select(Country.subregion).where(Country.code.in_(filters.countries))
    return or_(
        Offer.id.in_(_having("serves_country", filters.countries)),
        Offer.id.in_(_having("serves_subregion", (*filters.subregions, "regional"))),
        Offer.id.in_(
            select(PostFacet.post_id).where(
                PostFacet.facet == "serves_country", PostFacet.code.in_(in_subregion)
            )
        ),
        Offer.id.in_(
            select(PostFacet.post_id).where(
                PostFacet.facet == "serves_subregion", PostFacet.code.in_(homes)
            )
        ),
    )


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
