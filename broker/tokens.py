"""Use cases of personal tokens: make, list, revoke, and find who a token acts for."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import fields, validate
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload

from broker.audit import record
from broker.reference import Reference
from broker.schemas import Strict, Text, load
from models import SCOPES, ApiToken, Conflict, InvalidInput, NotAllowed, NotFound, User, utc_now
from models.api_token import CALENDAR, READ

PREFIX = "tfp_"
"""How every token begins, so that programs that look for leaked secrets recognise one."""

LIFETIMES = (30, 90, 365)
"""For how many days a token can be made."""

MOST_TOKENS = 50
"""Tokens that a person may hold at one time."""

USED_EVERY = timedelta(minutes=10)
"""How exactly the moment of last use is kept."""

SCOPE_NAMES = {
    READ: _l("read what I may read"),
    "write:posts": _l("write posts"),
    "write:matches": _l("express interest, answer and dismiss matches"),
    "write:agreements": _l("negotiate, sign and follow agreements"),
    "write:plans": _l("write the action plan"),
    "moderate": _l("publish posts and give them back"),
    "secretariat": _l("conduct clearing rounds"),
    CALENDAR: _l("my calendar, and nothing else"),
}
"""Scope → what it lets a program do."""


class TokenSchema(Strict):
    """A token that a person makes for a program."""

    name = Text(80, required=True)
    scopes = fields.List(
        fields.String(validate=validate.OneOf([s for s in SCOPES if s != CALENDAR])),
        load_default=list,
        validate=validate.Length(max=len(SCOPES)),
    )
    days = fields.Integer(
        load_default=90,
        validate=validate.OneOf(LIFETIMES, error=_l("Choose one of the lifetimes.")),
    )


def scopes_for(by: User) -> list[str]:
    """The scopes that the person's role can give a token, beside the calendar."""
    return [scope for scope, roles in SCOPES.items() if by.role in roles and scope != CALENDAR]


def digest_of(secret: str) -> str:
    """What is kept of a token. It has 256 random bits, so that a plain hash cannot be guessed."""
    return sha256(secret.encode()).hexdigest()


def make_token(
    session: Session, by: User, data: Mapping[str, Any], reference: Reference
) -> tuple[ApiToken, str]:
    """Make a token that reads, and writes what ``scopes`` says.

    Returns
    -------
    tuple
        The token's row, and the token itself, which is told this once.

    Raises
    ------
    InvalidInput
        If a scope is not for the person's role.
    """
    values = load(TokenSchema, data, reference)
    beyond = [scope for scope in values["scopes"] if by.role not in SCOPES[scope]]
    if beyond:
        raise InvalidInput({"scopes": [("scope_beyond_role", {"scope": beyond[0]})]})
    scopes = sorted({READ, *values["scopes"]})
    return _made(session, by, values["name"], scopes, timedelta(days=values["days"]))


def make_calendar_token(session: Session, by: User) -> tuple[ApiToken, str]:
    """Make the secret part of the address of one's own calendar; the one before stops working."""
    for token in session.scalars(own_tokens(by)):
        if token.scopes == [CALENDAR] and token.revoked_at is None:
            revoke_token(session, by, token.id)
    return _made(session, by, "iCalendar", [CALENDAR], timedelta(days=2 * 365))


def _made(
    session: Session, by: User, name: str, scopes: list[str], lifetime: timedelta
) -> tuple[ApiToken, str]:
    now = utc_now()
    held = [token for token in session.scalars(own_tokens(by)) if token.is_good(now)]
    if len(held) >= MOST_TOKENS:
        raise Conflict("too_many_tokens", most=MOST_TOKENS)
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        user=by,
        name=name,
        hint=secret[:10],
        digest=digest_of(secret),
        scopes=scopes,
        created_at=now,
        expires_at=now + lifetime,
    )
    session.add(token)
    record(
        session,
        by,
        "token.made",
        token,
        after={"name": name, "scopes": scopes, "expires_at": token.expires_at},
    )
    return token, secret


def own_tokens(by: User) -> Select[ApiToken]:
    """A query for the person's tokens, newest first; revoked and expired ones are among them."""
    return select(ApiToken).where(ApiToken.user_id == by.id).order_by(ApiToken.id.desc())


def revoke_token(session: Session, by: User, token_id: int) -> ApiToken:
    """Let one of one's own tokens open nothing from now on."""
    token = session.get(ApiToken, token_id)
    if token is None or token.user_id != by.id:
        raise NotFound("no_such_token")
    if token.revoked_at is None:
        token.revoked_at = utc_now()
        record(session, by, "token.revoked", token, before={"name": token.name})
    return token


def find_token(session: Session, secret: str) -> ApiToken:
    """The token, if it opens anything.

    Raises
    ------
    NotAllowed
        ``bad_token`` for one that is unknown, revoked or expired, or whose owner's account is
        closed; all alike.
    """
    token = session.scalar(
        select(ApiToken)
        .where(ApiToken.digest == digest_of(secret))
        .options(joinedload(ApiToken.user))
    )
    if token is None or not token.is_good(utc_now()):
        raise NotAllowed("bad_token")
    return token


def is_stale(token: ApiToken, now: datetime) -> bool:
    """Whether the moment of last use that is kept should be written anew."""
    return token.last_used_at is None or now - token.last_used_at > USED_EVERY


def require_scope(token: ApiToken, scope: str) -> None:
    """Raise :class:`models.errors.NotAllowed` unless the token is for that, or one of several."""
    if not any(token.covers(one) for one in scope.split()):
        raise NotAllowed("scope_needed", scope=scope)
