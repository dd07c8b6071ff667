"""Invitations by e-mail: whoever is given an account chooses her own password.

The link is signed with the account's present password: it opens once, and no longer than its time.
"""

from __future__ import annotations

from datetime import timedelta

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from broker.accounts import set_password
from broker.notices import notify
from broker.settings import Settings
from models import DomainError, User

LINK_LIFE = timedelta(days=14)


def invite(session: Session, settings: Settings, by: User, user: User) -> None:
    """Write to somebody whose account was just opened."""
    token = _signer(settings, user).dumps(user.id)
    notify(session, [user], "account.opened", user, by=by, path=f"/invitation/{user.id}/{token}")


def find_invited(session: Session, settings: Settings, user_id: int, token: str) -> User:
    """Whom a link invites.

    Raises
    ------
    DomainError
        ``invitation_over`` for an old or used link, and for anything else.
    """
    user = session.get(User, user_id)
    if user is None or not user.active:
        raise DomainError("invitation_over")
    try:
        _signer(settings, user).loads(token, max_age=int(LINK_LIFE.total_seconds()))
    except (BadSignature, SignatureExpired) as error:
        raise DomainError("invitation_over") from error
    return user


def accept_invitation(
    session: Session, settings: Settings, user_id: int, token: str, password: str
) -> User:
    """Set the password that the invited person has chosen.

    Raises
    ------
    DomainError
        As :func:`find_invited`; InvalidInput for a short password.
    """
    user = find_invited(session, settings, user_id, token)
    set_password(session, user, user, password)
    return user


def _signer(settings: Settings, user: User) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.secret_key, salt=f"invitation:{user.password_hash}")
