"""Use cases of writing: text is kept while it is typed, and no form makes a post twice.

What is kept stands apart from the post until its writer saves it: a published post does not
change while somebody types, nobody else reads a sentence that is not finished, and two windows on
one post keep a text each.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from broker.jobs import routine
from broker.posts import save_draft
from broker.reference import Reference
from models import Need, NotAllowed, NotFound, Offer, User, WritingForm, utc_now

if TYPE_CHECKING:
    from broker.exchange import Exchange

KEPT_FOR = timedelta(days=60)
"""For how long a text that nobody saved is kept."""
MOST_FORMS = 40
"""Forms of one person that are kept; the oldest make room."""
LONGEST_TOKEN = 40


def new_token() -> str:
    """A name for a form that has just been opened."""
    return secrets.token_urlsafe(16)


def keep_typed(
    session: Session,
    by: User,
    kind: str,
    token: str,
    fields: Iterable[tuple[str, str]],
    *,
    post: Need | Offer | None = None,
    revision: int | None = None,
) -> WritingForm:
    """Keep what a form says so far, for its writer alone.

    Parameters
    ----------
    fields : iterable
        (name, value) as typed; nothing is checked.
    post, revision :
        The post that the form changes, and the revision that its writer is looking at.

    Raises
    ------
    NotAllowed
        If the person's role does not post this kind, or may not change that post.
    NotFound
        If the form is somebody else's.
    """
    if not by.may_post(kind) or (post is not None and not post.can_be_edited_by(by)):
        raise NotAllowed("post_kind", kind=kind)
    form = _opened(session, by, kind, token)
    if post is not None:
        form.post = post
        form.revision = revision
    form.fields = [[name, value] for name, value in fields]
    form.touched_at = utc_now()
    return form


def _opened(session: Session, by: User, kind: str, token: str) -> WritingForm:
    """The form of that name, made now if it was never kept."""
    form = find_form(session, by, token)
    if form is None:
        if not token or len(token) > LONGEST_TOKEN or session.get(WritingForm, token) is not None:
            raise NotFound("no_such_page")
        form = WritingForm(token=token, user=by, kind=kind, fields=[])
        session.add(form)
        _make_room(session, by)
        session.flush()
    return form


def _make_room(session: Session, by: User) -> None:
    old = session.scalars(
        select(WritingForm)
        .where(WritingForm.user_id == by.id)
        .order_by(WritingForm.touched_at.desc())
        .offset(MOST_FORMS)
    )
    for form in old:
        session.delete(form)


def find_form(session: Session, by: User, token: str) -> WritingForm | None:
    """The person's own form of that name."""
    form = session.get(WritingForm, token, options=[selectinload(WritingForm.post)])
    return form if form is not None and form.user_id == by.id else None


def unsaved_forms(
    session: Session, by: User, post: Need | Offer | None = None, *, kind: str = ""
) -> list[WritingForm]:
    """The person's forms with text that waits to be saved, latest first.

    Those of one post; of new posts of a ``kind``; or all of them.
    """
    query = (
        select(WritingForm)
        .where(WritingForm.user_id == by.id)
        .options(selectinload(WritingForm.post))
        .order_by(WritingForm.touched_at.desc())
        .limit(MOST_FORMS)
    )
    if post is not None:
        query = query.where(WritingForm.post_id == post.id)
    elif kind:
        query = query.where(WritingForm.post_id.is_(None), WritingForm.kind == kind)
    return [form for form in session.scalars(query) if form.fields]


def start_once(
    session: Session,
    by: User,
    kind: str,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    token: str,
) -> tuple[Need | Offer, bool]:
    """Start a post by a form, once: a double click finds the post that the first click made.

    Returns
    -------
    post, made
        The post, and whether this call has made it.
    """
    if not token:
        return save_draft(session, by, kind, data, reference), True
    try:
        with session.begin_nested():
            form = _opened(session, by, kind, token)
    except IntegrityError:
        # Another request was a moment faster.
        session.expire_all()
        form = _opened(session, by, kind, token)
    made: Any = form.post
    if made is not None:
        return made, False
    post = save_draft(session, by, kind, data, reference)
    session.flush()
    form.post = post
    return post, True


def saved(session: Session, by: User, token: str, post: Need | Offer) -> None:
    """Note that what a form says is in the post now."""
    form = find_form(session, by, token) if token else None
    if form is not None:
        session.flush()
        form.post, form.revision, form.fields = post, post.revision, []
        form.touched_at = utc_now()


def drop_form(session: Session, by: User, token: str) -> None:
    """Throw away what was typed and not saved."""
    form = find_form(session, by, token)
    if form is not None:
        session.delete(form)


@routine(every=timedelta(days=1))
def forget_old_forms(exchange: Exchange) -> None:
    """Forget forms that nobody has touched for long."""
    with exchange.writing() as session:
        session.execute(delete(WritingForm).where(WritingForm.touched_at < utc_now() - KEPT_FOR))
