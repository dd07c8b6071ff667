"""Use cases of delegation: a focal point invites colleagues, and endorses what they write."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from marshmallow import fields, validate
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from broker.accounts import add_account, new_password
from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.news import tell_of_endorsement
from broker.posts import WHOLE, publish_if_trusted
from broker.reference import Reference
from broker.schemas import Email, Strict, Text, load
from models import (
    LANGUAGES,
    Conflict,
    Need,
    NotAllowed,
    NotFound,
    PostStatus,
    Role,
    User,
)


class DelegateSchema(Strict):
    """A colleague of another ministry who is to write needs."""

    email = Email(required=True)
    name = Text(120, required=True)
    ministry = Text(160, required=True)
    language = fields.String(load_default="es", validate=validate.OneOf(LANGUAGES))


class ReturnSchema(Strict):
    """What a colleague should mend before her need is endorsed."""

    comment = Text(4000, required=True)


def invite_delegate(
    session: Session, by: User, data: Mapping[str, Any], reference: Reference
) -> tuple[User, str]:
    """Open an account for a colleague, and give it with its password, told only this once.

    She writes needs under the focal point's organisation. She reads her own drafts and no one
    else's, and decides on nothing: interest, terms and signatures stay with the focal point.

    Raises
    ------
    NotAllowed
        ``invite_delegate`` for anybody but a focal point.
    Conflict
        If there is an account with that address.
    """
    if not by.may_endorse_for(by.organisation_id):
        raise NotAllowed("invite_delegate")
    values = load(DelegateSchema, data, reference)
    password = new_password()
    user = add_account(
        session,
        email=values["email"],
        name=values["name"],
        role=Role.DELEGATE,
        organisation=by.organisation,
        password=password,
        language=values["language"],
        ministry=values["ministry"],
    )
    record(
        session,
        by,
        "user.delegated",
        user,
        after={"email": user.email, "role": str(user.role), "ministry": user.ministry},
    )
    return user, password


def find_delegates(by: User) -> Select[User]:
    """A query for the colleagues of the person's organisation who write needs, by name."""
    return (
        select(User)
        .where(User.role == Role.DELEGATE, User.organisation_id == by.organisation_id)
        .order_by(User.active.desc(), User.name, User.id)
    )


def set_delegate_active(session: Session, by: User, user_id: int, active: bool) -> User:
    """Close a colleague's account, or open it again; what she wrote stays.

    Raises
    ------
    NotAllowed, NotFound
        For anybody but a focal point; for an account that is no colleague's of hers.
    """
    if not by.may_endorse_for(by.organisation_id):
        raise NotAllowed("invite_delegate")
    user = session.scalar(find_delegates(by).where(User.id == user_id))
    if user is None:
        raise NotFound("no_such_delegate")
    before = {"active": user.active}
    user.active = active
    after = {"active": active}
    if active:
        record(session, by, "user.opened", user, before=before, after=after)
    else:
        record(session, by, "user.closed", user, before=before, after=after)
    return user


def waiting_endorsements(session: Session, by: User) -> list[Need]:
    """Needs of colleagues that wait for the focal point's word, the longest waiting first."""
    if not by.may_endorse_for(by.organisation_id):
        return []
    return list(
        session.scalars(
            select(Need)
            .where(Need.status == PostStatus.TO_ENDORSE, Need.organisation_id == by.organisation_id)
            .order_by(Need.updated_at, Need.id)
            .options(*WHOLE)
        )
    )


def endorse_need(session: Session, by: User, need: Need, *, revision: int, today: date) -> None:
    """Endorse a colleague's need: it goes to review, or on the exchange if the country is trusted.

    Parameters
    ----------
    revision : int
        The revision that the focal point was reading: what she has not read is not endorsed.

    Raises
    ------
    NotAllowed, InvalidTransition, Conflict
        For anybody else; if it does not wait; if the text has changed meanwhile.
    """
    _require_as_read(session, by, need, revision)
    before = {"status": str(need.status)}
    need.endorse(by)
    after = {"status": str(need.status), "endorsed_by": by.name}
    record(session, by, "post.endorsed", need, before=before, after=after)
    tell_of_endorsement(session, by, need, endorsed=True)
    publish_if_trusted(session, by, need, today=today)


def decline_endorsement(
    session: Session, by: User, need: Need, reference: Reference, *, revision: int, comment: str
) -> None:
    """Give a colleague's need back to her with a comment on what to mend."""
    _require_as_read(session, by, need, revision)
    values = load(ReturnSchema, {"comment": comment}, reference)
    before = {"status": str(need.status)}
    need.decline_endorsement(values["comment"], by)
    after = {"status": str(need.status), "comment": need.comment}
    record(session, by, "post.endorsement_declined", need, before=before, after=after)
    tell_of_endorsement(session, by, need, endorsed=False)


def _require_as_read(session: Session, by: User, need: Need, revision: int) -> None:
    if not by.may_endorse_for(need.organisation_id):
        raise NotAllowed("endorse_post", reference=need.reference)
    require_no_conflict(session, by, need)
    if need.revision != revision:
        raise Conflict("changed_meanwhile")
