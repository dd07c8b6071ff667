"""Needs and offers, as the API tells of them."""

from __future__ import annotations

from typing import Any

from flask import url_for
from marshmallow import Schema, fields

from broker.api.answers.organisations import OrganisationName, organisation_name
from broker.api.answers.values import AMOUNT, LinksSaid, plain, slice_schema, text, told
from broker.posts import possible_actions, seals_money, visible_content
from broker.schemas import NeedSchema, OfferSchema
from broker.web.access import reader
from broker.web.presentation import post_address
from broker.web.reading import database, language
from models import Need, Offer, Post


class ShortPost(Schema):
    """A post as others name it."""

    id = fields.Integer(required=True)
    kind = text()
    reference = text()
    title = text()
    organisation = fields.Nested(OrganisationName, required=True)
    status = text()
    links = fields.Nested(LinksSaid, required=True)


def _post_facts() -> dict[str, fields.Field]:
    return {
        "id": fields.Integer(required=True),
        "kind": text(),
        "reference": text(),
        "links": fields.Nested(LinksSaid, required=True),
        "organisation": fields.Nested(OrganisationName, required=True),
        "status": text(),
        "version": fields.Integer(required=True),
        "revision": fields.Integer(required=True),
        "money_hidden": fields.Boolean(required=True),
        "created_at": fields.DateTime(required=True),
        "updated_at": fields.DateTime(required=True),
        "published_at": fields.DateTime(allow_none=True),
        "expires_on": fields.Date(allow_none=True),
        "actions": fields.List(fields.String(), required=True),
        "comment": text(),
    }


NeedSaid = told(
    NeedSchema,
    "NeedSaid",
    **_post_facts(),
    places_open=fields.Integer(allow_none=True),
    money_open=fields.String(allow_none=True, metadata=AMOUNT),
)

OfferSaid = told(
    OfferSchema,
    "OfferSaid",
    **_post_facts(),
    places_left=fields.Integer(allow_none=True),
    money_left=fields.String(allow_none=True, metadata=AMOUNT),
)

NeedSlice, OfferSlice = slice_schema(NeedSaid, "NeedSlice"), slice_schema(OfferSaid, "OfferSlice")


class VersionSaid(Schema):
    """A published text as others saw it."""

    number = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    content = fields.Dict(required=True)


def short_post(post: Post) -> dict[str, Any]:
    """A post as others name it."""
    return {**_named(post), "title": post.title_in(language())}


def _named(post: Post) -> dict[str, Any]:
    """Which post it is, whose, and how it stands."""
    return {
        "id": post.id,
        "kind": post.kind,
        "reference": post.reference,
        "organisation": organisation_name(post.organisation),
        "status": str(post.status),
        "links": _links(post),
    }


def _links(post: Post) -> dict[str, str]:
    return {
        "self": url_for(f"api_posts.{post.kind}", post_id=post.id, _external=True),
        "page": _absolute(post_address(post)),
        "matches": url_for(f"api_matches.of_{post.kind}", post_id=post.id, _external=True),
    }


def _absolute(path: str) -> str:
    return url_for("public.home", _external=True).rstrip("/") + path


def whole_post(post: Need | Offer) -> dict[str, Any]:
    """Everything that a post says to this reader, and what she can do with it."""
    if post.id is None or database().dirty or database().new:
        database().flush()
    by = reader()
    own = post.can_be_edited_by(by) or post.can_be_moderated_by(by)
    said: dict[str, Any] = {
        **_named(post),
        **visible_content(post, by),
        "version": post.version,
        "revision": post.revision,
        "money_hidden": seals_money(post, by),
        "created_at": plain(post.created_at),
        "updated_at": plain(post.updated_at),
        "published_at": plain(post.published_at),
        "expires_on": plain(post.expires_on),
        "actions": sorted(possible_actions(post, by)),
        "comment": post.comment if own else "",
    }
    if isinstance(post, Offer):
        said["places_left"] = post.remaining_places()
        said["money_left"] = None if seals_money(post, by) else plain(post.remaining_money())
    else:
        hidden = seals_money(post, by)
        said["places_open"] = post.places_open()
        said["money_open"] = None if hidden else plain(post.money_open())
    return said
