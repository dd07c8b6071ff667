"""The texts of a post that were returned, and what has changed in any text since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, render_template
from flask_babel import gettext as _
from marshmallow import fields

from broker.audit_trail import Change
from broker.post_history import compare_contents, get_returned_text, returned_texts
from broker.posts import SCHEMAS, seals_money
from broker.schemas import Code
from broker.web.access import SIGNED_IN, allow, person, reader
from broker.web.presentation import LANGUAGE_NAMES, day, label, labels, mandate_label, number
from broker.web.reading import database
from models import Post

pages = Blueprint("post_history", __name__)


@pages.app_context_processor
def names() -> dict[str, Any]:
    """What a post's own page asks for."""
    return {"returned_texts": lambda post: returned_texts(database(), post, reader())}


@pages.get("/<kind:kind>/<int:post_id>/returned/<int:event_id>")
@allow(SIGNED_IN)
def returned(kind: str, post_id: int, event_id: int) -> str:
    """A text as it was when it was returned, why, and what has changed since."""
    by = person()
    post, text = get_returned_text(database(), kind, post_id, event_id, by)
    return render_template(
        "posts/returned.html",
        post=post,
        text=text,
        said=text.said,
        sealed=seals_money(post, by, text.said),
        readable=post.can_be_seen_by(by),
        changes=changes_between(post, text.said, text.after or text.said),
    )


def changes_between(
    post: Post, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[Change]:
    """What differs between two texts of a post, in the reader's words."""
    return compare_contents(before, after, _words_for(post.kind))


def _words_for(kind: str) -> Callable[[str, Any], str]:
    declared = SCHEMAS[kind]._declared_fields

    def words(name: str, value: Any) -> str:
        if value is None or value in ("", [], {}):
            return ""
        return _in_words(declared.get(name), name, value)

    return words


def _in_words(field: Any, name: str, value: Any) -> str:
    """A value of a post's content as one text; codes by their labels."""
    if name == "support":
        return "\n".join(_support(item) for item in value)
    if name == "translations":
        return "\n".join(
            f"{LANGUAGE_NAMES.get(code, code)}: {' – '.join(filter(None, texts.values()))}"
            for code, texts in value.items()
        )
    if name == "mandates":
        return "\n".join(mandate_label(code) for code in value)
    if isinstance(field, fields.List):
        inner = field.inner
        return labels(inner.scheme, value) if isinstance(inner, Code) else ", ".join(value)
    if isinstance(field, Code):
        return label(field.scheme, value)
    if isinstance(field, fields.Date):
        return day(value)
    if isinstance(field, fields.Boolean):
        return _("yes") if value else _("no")
    return number(value) if isinstance(field, fields.Integer) else str(value)


def _support(item: Mapping[str, Any]) -> str:
    """A kind of support with what exactly is meant."""
    kind = " · ".join(
        label("support_kind", item[part]) for part in ("kind", "modality") if item[part]
    )
    return f"{kind}: {item['detail']}" if item.get("detail") else kind
