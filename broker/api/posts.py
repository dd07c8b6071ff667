"""Needs and offers: lists, one post, writing it, and its life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import request
from marshmallow import fields, validate
from sqlalchemy.orm import selectinload

from broker.api.answers.posts import (
    NeedSaid,
    NeedSlice,
    OfferSaid,
    OfferSlice,
    VersionSaid,
    whole_post,
)
from broker.api.answers.values import listed, plain
from broker.api.cursors import SliceQuery, one_of, slice_of
from broker.api.door import Door
from broker.desk import own_posts
from broker.posts import (
    SORTS,
    copy_post,
    edit_post,
    find_posts,
    get_post,
    get_version,
    renew_post,
    reopen_post,
    save_draft,
    submit_post,
    visible_content,
    withdraw_post,
)
from broker.schemas import NeedSchema, OfferSchema
from broker.secretariat import ReviewSchema, review_post
from broker.web.access import (
    EVERYBODY,
    MODERATORS,
    NEED_POSTERS,
    OFFER_POSTERS,
    POSTERS,
    person,
    reader,
)
from broker.web.post_filters import PARAMETERS, read_filters
from broker.web.reading import database, exchange, today
from models import Need, Post, PostStatus

doors = Door("api_posts", __name__, description="Needs and offers")


def _codes(taxonomy: str) -> fields.List:
    return fields.List(
        fields.String(validate=validate.Length(max=64)),
        metadata={"description": f"Codes of the taxonomy `{taxonomy}`; any of them."},
    )


class PostQuery(SliceQuery):
    """The filters of a list of posts: those of its page."""

    q = fields.String(
        validate=validate.Length(max=200), metadata={"description": "Words in title or text."}
    )
    organisation = fields.String(validate=validate.Length(max=64))
    open = fields.String(
        validate=one_of(("0", "1")), metadata={"description": "1: only what is open now."}
    )
    sort = fields.String(validate=one_of(SORTS), load_default="newest")


FilterQuery: Any = type(
    "FilterQuery",
    (PostQuery,),
    {parameter: _codes(scheme) for parameter, (_name, scheme) in PARAMETERS.items()},
)


class OwnQuery(SliceQuery):
    """One's own posts, of one status or of all."""

    status = fields.String(validate=one_of(map(str, PostStatus)))


def _post(kind: str, post_id: int) -> Any:
    return get_post(database(), kind, post_id, reader())


def _list(kind: str, query: dict[str, Any]) -> dict[str, Any]:
    filters = read_filters(kind, request.args)
    wanted = find_posts(filters)
    if kind == "need":
        wanted = wanted.options(selectinload(Need.country))
    rows, following = slice_of(database(), wanted, SORTS[query["sort"]], query)
    return listed([whole_post(post) for post in rows], following)


def _own(kind: str, query: dict[str, Any]) -> dict[str, Any]:
    statuses = [PostStatus(query["status"])] if query.get("status") else []
    wanted = own_posts(person(), *statuses).where(Post.kind == kind)
    rows, following = slice_of(database(), wanted, (Post.id.desc(),), query)
    return listed([whole_post(post) for post in rows], following)


def _open_doors(kind: str, takes: Any, gives: Any, gives_slice: Any, posters: Any) -> None:
    """The operations of one kind of post."""
    one, many = f"/{kind}s/<int:post_id>", f"/{kind}s"

    @doors.opens("GET", many, roles=EVERYBODY, query=FilterQuery, gives=gives_slice,
                 endpoint=f"{kind}s")  # fmt: skip
    def read_list(query: dict[str, Any]) -> Any:
        """List what is published, narrowed by the filters of its page."""
        return _list(kind, query)

    @doors.opens("GET", f"/own/{many[1:]}", roles=POSTERS, query=OwnQuery, gives=gives_slice,
                 endpoint=f"own_{kind}s")  # fmt: skip
    def read_own(query: dict[str, Any]) -> Any:
        """List what one's organisation has posted, drafts too."""
        return _own(kind, query)

    @doors.opens("GET", one, roles=EVERYBODY, gives=gives, versioned=True, endpoint=kind)
    def read(post_id: int) -> Any:
        """Read one, as this reader may."""
        return whole_post(_post(kind, post_id))

    @doors.opens("GET", f"{one}/versions/<int:number>", roles=EVERYBODY, gives=VersionSaid,
                 endpoint=f"{kind}_version")  # fmt: skip
    def read_version(post_id: int, number: int) -> Any:
        """Read a published text as others saw it."""
        post = _post(kind, post_id)
        version = get_version(post, number)
        return {
            "number": version.number,
            "created_at": plain(version.created_at),
            "content": plain(visible_content(post, reader(), version.content)),
        }

    @doors.opens("POST", many, roles=posters, scope="write:posts", takes=takes, draft=True,
                 as_sent=True, status=201, gives=gives, versioned=True, repeatable=True,
                 endpoint=f"draft_{kind}")  # fmt: skip
    def draft(data: dict[str, Any]) -> Any:
        """Begin one as a draft; what is missing is asked for when it is submitted."""
        return whole_post(save_draft(database(), person(), kind, data, exchange().reference))

    @doors.opens("PATCH", one, roles=posters, scope="write:posts", takes=takes, draft=True,
                 as_sent=True, gives=gives, versioned=True, needs_version=True,
                 endpoint=f"edit_{kind}")  # fmt: skip
    def edit(post_id: int, data: dict[str, Any], revision: int | None) -> Any:
        """Change fields of one; a published one goes on as a new version."""
        post = _post(kind, post_id)
        edit_post(database(), person(), post, data, exchange().reference, revision=revision)
        return whole_post(post)

    def act(name: str, roles: Any, scope: str, use_case: Callable[..., Any]) -> None:
        def view(post_id: int) -> Any:
            post = _post(kind, post_id)
            use_case(post)
            return whole_post(post)

        view.__name__, view.__doc__ = name, use_case.__doc__
        doors.opens("POST", f"{one}/{name}", roles=roles, scope=scope, gives=gives,
                    versioned=True, endpoint=f"{name}_{kind}")(view)  # fmt: skip

    act("submit", posters, "write:posts", _submit)
    act("withdraw", POSTERS | MODERATORS, "write:posts moderate", _withdraw)
    act("reopen", posters, "write:posts", _reopen)
    act("renew", posters, "write:posts", _renew)

    @doors.opens("POST", f"{one}/copy", roles=posters, scope="write:posts", status=201,
                 gives=gives, versioned=True, repeatable=True, endpoint=f"copy_{kind}")  # fmt: skip
    def copy(post_id: int) -> Any:
        """Begin a draft with the text of one's own post."""
        post = _post(kind, post_id)
        return whole_post(copy_post(database(), person(), post, exchange().reference))

    @doors.opens("POST", f"{one}/publish", roles=MODERATORS, scope="moderate", gives=gives,
                 versioned=True, needs_version=True, endpoint=f"publish_{kind}")  # fmt: skip
    def publish(post_id: int, revision: int | None) -> Any:
        """Put a submitted post on the exchange."""
        return _review(kind, post_id, revision)

    @doors.opens("POST", f"{one}/return", roles=MODERATORS, scope="moderate", takes=ReviewSchema,
                 gives=gives, versioned=True, needs_version=True,
                 endpoint=f"return_{kind}")  # fmt: skip
    def give_back(post_id: int, data: dict[str, Any], revision: int | None) -> Any:
        """Give a submitted post back to its author with a comment."""
        return _review(kind, post_id, revision, data["comment"])


def _review(kind: str, post_id: int, revision: int | None, comment: str | None = None) -> Any:
    post = _post(kind, post_id)
    review_post(
        database(),
        person(),
        post,
        exchange().reference,
        revision=post.revision if revision is None else revision,
        today=today(),
        comment=comment,
    )
    return whole_post(post)


def _submit(post: Any) -> None:
    """Hand a draft in for review; that of a trusted organisation goes on the exchange at once."""
    submit_post(database(), person(), post, exchange().reference, today=today())


def _withdraw(post: Any) -> None:
    """Take a post off the exchange; its history stays."""
    withdraw_post(database(), person(), post)


def _reopen(post: Any) -> None:
    """Make a withdrawn post a draft again."""
    reopen_post(database(), person(), post)


def _renew(post: Any) -> None:
    """Keep a post on the exchange for longer."""
    renew_post(database(), person(), post, today=today())


_open_doors("need", NeedSchema, NeedSaid, NeedSlice, NEED_POSTERS)
_open_doors("offer", OfferSchema, OfferSaid, OfferSlice, OFFER_POSTERS)
