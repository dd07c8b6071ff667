"""Use cases of posts: write, submit, review, publish, withdraw, renew, and find again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, cast, func, or_, select, union
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.news import (
    tell_of_endorsement_asked,
    tell_of_expiry,
    tell_of_publication,
    tell_of_review,
    tell_of_submission,
    tell_of_withdrawal,
)
from broker.reference import Reference
from broker.references import next_reference
from broker.schemas import NeedSchema, OfferSchema, load, load_draft
from models import (
    LIVE,
    POST_LIFE,
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
from models.ledger import covered_kinds
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
            values[name] = plain_amount(value) if isinstance(value, Decimal) else value
    return values


def plain_amount(amount: Decimal) -> str:
    """An amount as text, the same for 20000, 20000.0 and 20000.00: without cents if there are none."""
    return f"{amount:.2f}".removesuffix(".00")


def write(post: Post, data: Mapping[str, Any]) -> None:
    """Put validated input into the post; fields that are not in ``data`` stay as they are."""
    for name, value in data.items():
        if name == "support":
            post.supports = [Support(**item) for item in value]
        elif name in FACET_OF:
            post.set_codes(FACET_OF[name], value)
        else:
            setattr(post, ATTRIBUTE_OF.get(name, name), value)


SEALED = {
    "need": ("money_least", "money_most"),
    "offer": ("money", "grant_least", "grant_most"),
}
"""Fields that matching uses and nobody else reads, where a post of that kind seals its money."""

CONTACT = ("contact_role", "contact_email")
"""Fields for people who have signed in: addresses are not for harvesting."""


def visible_content(
    post: Post, by: User | None, values: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the reader may see of a post's content, or of a version's ``values``.

    Sealed money is its own organisation's alone, and stays so in every version: an amount that
    was open once is taken back when it is sealed.
    """
    seen = content(post) if values is None else values
    sealed = SEALED[post.kind] if seals_money(post, by, seen) else ()
    hidden = {*sealed, *(CONTACT if by is None else ())}
    return {name: value for name, value in seen.items() if name not in hidden}


def seals_money(post: Post, by: User | None, values: Mapping[str, Any] | None = None) -> bool:
    """Whether the post keeps its amounts from this reader."""
    sealed = getattr(post, "money_sealed", False) or (values or {}).get("money_sealed")
    return bool(sealed) and not post.is_own_of(by)


def get_post(session: Session, kind: str, post_id: int, by: User | None) -> Need | Offer:
    """The post, if the reader may see it.

    Raises
    ------
    NotFound
        Also when it exists but is not for this reader: a link must not tell what others draft.
    """
    model: Any = CLASSES[kind]
    post: Need | Offer | None = session.get(model, post_id, options=WHOLE)
    if post is None or not post.can_be_seen_by(by):
        raise NotFound("no_such_post", id=post_id)
    return post


def find_live_post(session: Session, kind: str, reference: str) -> Need | Offer | None:
    """The post on the exchange with that reference, however it is written."""
    model: Any = CLASSES[kind]
    wanted = reference.strip().lower()
    found: Need | Offer | None = session.scalar(
        select(model).where(model.reference == wanted, model.status.in_(LIVE)).options(*WHOLE)
    )
    return found


def get_version(post: Post, number: int) -> PostVersion:
    """A published text of the post, as others saw it; else :class:`models.errors.NotFound`."""
    found = next((version for version in post.versions if version.number == number), None)
    if found is None:
        raise NotFound("no_such_post", id=post.id)
    return found


WHOLE = (
    selectinload(Post.supports),
    selectinload(Post.facets),
    selectinload(Post.organisation),
)
"""What is loaded with a post that is shown or matched."""


def own_counterparts(session: Session, post: Post, by: User | None) -> list[Need | Offer]:
    """Live posts of the reader's organisation on the other side, to look at beside this one."""
    kind = "offer" if post.kind == "need" else "need"
    if by is None or not by.may_post(kind) or by.organisation_id == post.organisation_id:
        return []
    filters = PostFilter(kind, organisation_id=by.organisation_id, open_only=True, sort="title")
    return list(session.scalars(find_posts(filters).limit(50))) if post.is_live else []


def blank(by: User, kind: str) -> dict[str, Any]:
    """What is known of a post before its author has written a word.

    Raises
    ------
    NotAllowed
        If the person's role does not post this kind.
    """
    if not by.may_post(kind):
        raise NotAllowed("post_kind", kind=kind)
    values: dict[str, Any] = {
        "language": by.language,
        "contact_role": by.name,
        "contact_email": by.email,
    }
    if kind == "need":
        for_country = by.role in (Role.FOCAL_POINT, Role.DELEGATE)
        values["country"] = by.organisation.country_code if for_country else None
        values["subregion"] = by.subregion if by.role == Role.COORDINATOR else None
    return values


REQUIRED = ("title", "description", "support")
"""Fields that a draft may leave empty, and a post that others read may not."""


def check_post(
    by: User, kind: str, data: Mapping[str, Any], reference: Reference
) -> dict[str, Any]:
    """Check what a post would say, whole enough to be handed in; nothing is stored.

    Raises
    ------
    NotAllowed
        If the person's role does not post this kind.
    InvalidInput
        For fields that are missing or filled in wrongly.
    """
    values = load(SCHEMAS[kind], {**blank(by, kind), **data}, reference)
    _check_owner(values, by, kind, reference)
    return values


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
    begun = {**blank(by, kind), **data}
    values = load_draft(SCHEMAS[kind], begun, reference, REQUIRED)
    _check_owner(values, by, kind, reference)
    post = CLASSES[kind](
        organisation=by.organisation,
        author=by,
        reference=next_reference(
            session, Post.reference, f"{kind}-{by.organisation.code.removeprefix('gov-')}-"
        ),
        language=values["language"],
    )
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
    require_editable(post, by)
    if revision is not None and revision != post.revision:
        raise Conflict("post_changed", revision=post.revision)
    live = post.is_live
    before = content(post)
    if live or post.status in (PostStatus.SUBMITTED, PostStatus.TO_ENDORSE):
        values = load(SCHEMAS[post.kind], {**before, **data}, reference)
    else:
        values = load_draft(SCHEMAS[post.kind], data, reference, REQUIRED)
    _check_owner(values, by, post.kind, reference)
    _check_capacity(post, values)
    write(post, values)
    if post.status in (PostStatus.RETURNED, PostStatus.WITHDRAWN):
        post.reopen(by)
    if live:
        if isinstance(post, Need):
            post.kinds_covered = covered_kinds(session, post)
        post.follow_balance()
    after = content(post)
    if live and after != before:
        post.expires_on = post.closes or post.expires_on
        _keep_version(post, by)
    post.updated_at = utc_now()
    record(session, by, "post.edited", post, before=before, after=after)
    return post


CLOSED = frozenset({PostStatus.FULFILLED, PostStatus.EXHAUSTED, PostStatus.EXPIRED})
"""Statuses in which a post's text stands as it is; an expired one is renewed first."""


def require_editable(post: Post, by: User) -> None:
    """Raise unless the person may change the post's text now.

    Raises
    ------
    NotAllowed, Conflict
        For another organisation's person, and for a post whose time is over.
    """
    if not post.can_be_edited_by(by):
        raise NotAllowed("edit_post", reference=post.reference)
    if post.status in CLOSED:
        raise Conflict("post_transition", now=str(post.status), then="draft")


def require_withdrawable(post: Post, by: User) -> None:
    """Raise unless the person may take the post off the exchange now."""
    if not (post.can_be_edited_by(by) or post.can_be_moderated_by(by)):
        raise NotAllowed("edit_post", reference=post.reference)
    POST_LIFE.check(PostStatus(post.status), PostStatus.WITHDRAWN)


PREVIEWED = frozenset(
    {PostStatus.DRAFT, PostStatus.TO_ENDORSE, PostStatus.SUBMITTED, PostStatus.RETURNED}
)
"""Statuses in which a post's own people see whom it would match, before it is published."""


def possible_actions(post: Post, by: User | None) -> frozenset[str]:
    """What the person may do with the post now: ``edit``, ``submit``, ``withdraw``, …"""
    if by is None:
        return frozenset()
    status = PostStatus(post.status)
    actions = set()
    if post.is_own_of(by):
        actions |= {"copy"} | ({"see_matches"} if status in LIVE | PREVIEWED else set())
    if post.can_be_edited_by(by):
        waits = status == PostStatus.TO_ENDORSE
        actions |= {"edit"} if status not in CLOSED else set()
        actions |= {"endorse"} if waits and by.may_endorse_for(post.organisation_id) else set()
        may_submit = POST_LIFE.allows(status, PostStatus.SUBMITTED) and not waits
        actions |= {"submit"} if may_submit else set()
        actions |= {"reopen"} if status == PostStatus.WITHDRAWN else set()
        actions |= {"renew"} if status in LIVE | {PostStatus.EXPIRED} else set()
    if post.can_be_edited_by(by) or post.can_be_moderated_by(by):
        actions |= {"withdraw"} if POST_LIFE.allows(status, PostStatus.WITHDRAWN) else set()
        actions |= {"see_matches"} if status in LIVE | PREVIEWED else set()
    return frozenset(actions)


def copy_post(session: Session, by: User, post: Need | Offer, reference: Reference) -> Need | Offer:
    """Start a draft with the text of one's own post, to be changed and submitted anew."""
    if not post.is_own_of(by):
        raise NotAllowed("edit_post", reference=post.reference)
    return save_draft(session, by, post.kind, content(post), reference)


def _check_owner(values: Mapping[str, Any], by: User, kind: str, reference: Reference) -> None:
    """A government asks for its own country; a coordinator for the subregion."""
    if kind != "need":
        return
    country, own = values.get("country"), by.organisation.country_code
    if by.role in (Role.FOCAL_POINT, Role.DELEGATE) and country and country != own:
        name = reference.label("country", own, by.language)
        raise InvalidInput({"country": [("not_your_country", {"country": name})]})
    if by.role == Role.COORDINATOR:
        if country and reference.subregion_of(country) != by.subregion:
            raise InvalidInput({"country": [("not_your_subregion", {})]})
        subregion = values.get("subregion")
        if subregion and subregion != by.subregion:
            raise InvalidInput({"subregion": [("not_your_subregion", {})]})


def _check_capacity(post: Need | Offer, values: Mapping[str, Any]) -> None:
    """What agreements have committed cannot be taken out of an offer.

    A need may come to ask for less than it gets. The currency of what is committed stays.
    """
    problems: dict[str, Any] = {}
    money = post.money_committed if isinstance(post, Offer) else post.money_covered
    if money and values.get("currency", post.currency) != post.currency:
        problems["currency"] = [("currency_committed", {"currency": post.currency})]
    if isinstance(post, Offer):
        for name, committed in (("places", post.places_committed), ("money", money)):
            left = values.get(name)
            if left is not None and left < committed:
                problems[name] = [("below_committed", {"committed": committed})]
    if problems:
        raise InvalidInput(problems)


def _keep_version(post: Post, by: User | None) -> None:
    post.version += 1
    post.versions.append(PostVersion(number=post.version, content=content(post), author=by))


def submit_post(
    session: Session, by: User, post: Need | Offer, reference: Reference, *, today: date
) -> None:
    """Hand a draft to the secretariat; what was allowed to be missing is now asked for.

    A delegate's goes to her focal point first. The post of a trusted organisation goes on the
    exchange at once.
    """
    load(SCHEMAS[post.kind], content(post), reference)
    if post.closes and post.closes < today:
        raise InvalidInput({"closes": [("past_date", {})]})
    before = str(post.status)
    post.submit(by)
    if post.status == PostStatus.TO_ENDORSE:
        after = _status(post)
        record(
            session, by, "post.sent_for_endorsement", post, before={"status": before}, after=after
        )
        if isinstance(post, Need):
            tell_of_endorsement_asked(session, by, post)
        return
    record(session, by, "post.submitted", post, before={"status": before}, after=_status(post))
    publish_if_trusted(session, by, post, today=today)


def publish_if_trusted(session: Session, by: User, post: Need | Offer, *, today: date) -> None:
    """Put a submitted post of a trusted organisation on the exchange at once; leave others."""
    if post.organisation.trusted:
        post.publish_unreviewed(today)
        _keep_version(post, by)
        record(
            session,
            by,
            "post.published_unreviewed",
            post,
            before={"status": str(PostStatus.SUBMITTED)},
            after=_status(post),
        )
        tell_of_publication(session, by, post)
    else:
        tell_of_submission(session, by, post)


def publish_post(session: Session, by: User, post: Need | Offer, *, today: date) -> None:
    """Put a submitted post on the exchange and keep the text as a version."""
    require_no_conflict(session, by, post, own=True)
    before = _status(post)
    post.publish(by, today)
    _keep_version(post, post.author)
    record(session, by, "post.published", post, before=before, after=_status(post))
    tell_of_publication(session, by, post)


def return_post(session: Session, by: User, post: Need | Offer, comment: str) -> None:
    """Give a submitted post back with a comment."""
    require_no_conflict(session, by, post, own=True)
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
    tell_of_review(session, by, post)


def withdraw_post(session: Session, by: User, post: Need | Offer) -> None:
    """Take a post off the exchange."""
    if not post.can_be_edited_by(by):
        require_no_conflict(session, by, post, own=True)
    before = _status(post)
    post.withdraw(by)
    record(session, by, "post.withdrawn", post, before=before, after=_status(post))
    tell_of_withdrawal(session, by, post)


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
    tell_of_expiry(session, expired)
    return expired


def _status(post: Post) -> dict[str, Any]:
    return {"status": str(post.status)}


@dataclass(frozen=True)
class PostFilter:
    """What a list of posts is narrowed to; every field is a parameter of the page's address.

    Attributes
    ----------
    without : tuple of str
        Facets of which the post states no code: ``"theme"``, ``"ilac_area"``, ``"support_kind"``,
        ``"subregion"``.
    since : date, optional
        The first day of publication.
    """

    kind: str
    text: str = ""
    themes: tuple[str, ...] = ()
    ilac_areas: tuple[str, ...] = ()
    support_kinds: tuple[str, ...] = ()
    subregions: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    programmes: tuple[str, ...] = ()
    mandates: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    since: date | None = None
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


def find_posts(
    filters: PostFilter, *, among: Select[Any] | None = None, ids_only: bool = False
) -> Select[Any]:
    """A query for the posts that pass the filters; several codes of one facet mean "any of".

    Words are looked for as they stand; :func:`broker.search.search_posts` finds them in every
    form and language.

    Parameters
    ----------
    among : Select, optional
        Numbers of the posts that are looked at; None for all.
    ids_only : bool
        Whether the query gives numbers instead of posts.
    """
    model = CLASSES[filters.kind]
    query = _passing(filters, model.id if ids_only else model, among)
    query = query.order_by(*SORTS.get(filters.sort, SORTS["newest"]))
    return query if ids_only else query.options(*WHOLE)


def _passing(filters: PostFilter, wanted: Any, among: Select[Any] | None = None) -> Select[Any]:
    model = CLASSES[filters.kind]
    query: Select[Any] = select(wanted).where(model.status.in_(filters.statuses))
    if among is not None:
        query = query.where(model.id.in_(among))
    if filters.open_only:
        query = query.where(model.status.in_(LIVE))
    if filters.organisation_id is not None:
        query = query.where(model.organisation_id == filters.organisation_id)
    if filters.organisation:
        query = query.where(
            model.organisation_id.in_(Organisation.ids_behind([filters.organisation]))
        )
    for facet, wanted in (
        ("theme", filters.themes),
        ("ilac_area", filters.ilac_areas),
        ("programme", filters.programmes),
        ("mandate", filters.mandates),
    ):
        if wanted:
            query = query.where(model.id.in_(_having(facet, wanted)))
    for facet in filters.without:
        query = query.where(_states_none(filters.kind, facet))
    if filters.since:
        begins = datetime.combine(filters.since, time.min, UTC)
        query = query.where(model.published_at >= begins)
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
                cast(model.translations, String).ilike(_in_json(word), escape="\\"),
            )
        )
    return query


def count_choices(
    session: Session, filters: PostFilter, *, among: Select[Any] | None = None
) -> dict[str, dict[str, int]]:
    """How many posts each code of each filter would give while the other filters stay.

    Parameters
    ----------
    among : Select, optional
        Numbers of the posts that are looked at; None for all.

    Returns
    -------
    dict
        Field of :class:`PostFilter` → code → count; codes that would give none are left out.
    """

    def passing(*without: str) -> Select[Any]:
        emptied: dict[str, Any] = dict.fromkeys(without, ())
        query = _passing(replace(filters, **emptied), CLASSES[filters.kind].id, among)
        return query.correlate(None)

    def facet(name: str, without: str) -> Any:
        return (
            select(PostFacet.code, func.count())
            .where(PostFacet.facet == name, PostFacet.post_id.in_(passing(without)))
            .group_by(PostFacet.code)
        )

    queries: dict[str, Any] = {
        "themes": facet("theme", "themes"),
        "ilac_areas": facet("ilac_area", "ilac_areas"),
        "programmes": facet("programme", "programmes"),
        "mandates": facet("mandate", "mandates"),
        "support_kinds": select(Support.kind, func.count(Support.post_id.distinct()))
        .where(Support.post_id.in_(passing("support_kinds")))
        .group_by(Support.kind),
        "languages": select(Post.language, func.count())
        .where(Post.id.in_(passing("languages")))
        .group_by(Post.language),
        **_places(filters.kind, passing("countries", "subregions")),
    }
    counts = {
        name: {code: number for code, number in session.execute(query) if code}
        for name, query in queries.items()
    }
    region = counts.pop("region", {})
    if whole_region := counts.pop("whole_region", {}).get("regional"):
        for name, places in (("countries", region), ("subregions", {*region.values(), "regional"})):
            found = counts[name]
            counts[name] = {place: found.get(place, 0) + whole_region for place in places}
    return counts


def _places(kind: str, passing: Select[Any]) -> dict[str, Any]:
    """Queries for the counts by country and subregion, in the sense of :func:`_concerns`."""
    if kind == "need":
        region = func.coalesce(Country.subregion, Need.subregion)
        needs = select(region, func.count()).outerjoin(Country, Country.code == Need.country_code)
        return {
            "countries": select(Need.country_code, func.count())
            .where(Need.id.in_(passing))
            .group_by(Need.country_code),
            "subregions": needs.select_from(Need).where(Need.id.in_(passing)).group_by(region),
        }
    # An offer to the whole region serves every country: counted once, and added to each of them.
    regional = _having("serves_subregion", ("regional",))
    named = and_(PostFacet.post_id.in_(passing), PostFacet.post_id.not_in(regional))
    inside = Country.subregion.is_not(None)

    def rows(column: Any, facet: str, joined: Any) -> Any:
        query = select(PostFacet.post_id, column.label("place")).join(Country, joined)
        return query.where(PostFacet.facet == facet, inside, named)

    by_code, by_subregion = Country.code == PostFacet.code, Country.subregion == PostFacet.code
    countries = union(
        rows(Country.code, "serves_country", by_code),
        rows(Country.code, "serves_subregion", by_subregion),
    ).subquery()
    subregions = union(
        rows(Country.subregion, "serves_country", by_code),
        rows(Country.subregion, "serves_subregion", by_subregion),
    ).subquery()
    return {
        name: select(places.c.place, func.count()).group_by(places.c.place)
        for name, places in (("countries", countries), ("subregions", subregions))
    } | {
        "whole_region": select(PostFacet.code, func.count())
        .where(
            PostFacet.facet == "serves_subregion",
            PostFacet.code == "regional",
            PostFacet.post_id.in_(passing),
        )
        .group_by(PostFacet.code),
        "region": select(Country.code, Country.subregion).where(inside),
    }


def _states_none(kind: str, facet: str) -> ColumnElement[bool]:
    """The post carries no code of the facet; of places, none that lies in a subregion."""
    model = CLASSES[kind]
    if facet == "support_kind":
        return model.id.not_in(select(Support.post_id))
    if facet != "subregion":
        return model.id.not_in(select(PostFacet.post_id).where(PostFacet.facet == facet))
    in_region = select(Country.code).where(Country.subregion.is_not(None))
    if kind == "need":
        elsewhere = or_(Need.country_code.is_(None), Need.country_code.not_in(in_region))
        return and_(Need.subregion.is_(None), elsewhere)
    served = or_(
        PostFacet.facet == "serves_subregion",
        and_(PostFacet.facet == "serves_country", PostFacet.code.in_(in_region)),
    )
    return Offer.id.not_in(select(PostFacet.post_id).where(served))


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


def _in_json(word: str) -> str:
    """A pattern for a word within a JSON column, where letters with accents stand escaped."""
    return f"%{_escaped(json.dumps(word)[1:-1])}%"


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
