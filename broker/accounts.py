"""Use cases of accounts: open, grant a role, sign in, change the password, close."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.conflicts import require_no_conflict
from models import (
    LANGUAGES,
    Conflict,
    InvalidInput,
    NotAllowed,
    NotFound,
    Organisation,
    Role,
    User,
    utc_now,
)

PASSWORD_LENGTH = 12
"""Least number of characters of a password (NIST SP 800-63B asks for length, not for signs)."""

_hasher = PasswordHasher()
# Verified when the address is unknown, so that the answer takes as long as for a known one.
_NOBODY = _hasher.hash(secrets.token_urlsafe(16))


def find_user(session: Session, email: str) -> User:
    """The account with that address; raises :class:`models.errors.NotFound`."""
    user = session.scalar(select(User).where(User.email == email.strip().lower()))
    if user is None:
        raise NotFound("no_such_user", email=email)
    return user


def find_organisation(session: Session, code: str) -> Organisation:
    """The organisation with that code, or the one into which it was merged.

    Raises
    ------
    NotFound
        There never was one.
    """
    organisation = session.scalar(select(Organisation).where(Organisation.code == code))
    if organisation is None:
        raise NotFound("no_such_organisation", code=code)
    return organisation.merged_into or organisation


def organisations_behind(session: Session, codes: Iterable[str]) -> dict[str, Organisation]:
    """Code → the organisation to which it leads; codes of none are left out."""
    found = session.scalars(
        select(Organisation)
        .where(Organisation.code.in_(list(codes)))
        .options(selectinload(Organisation.merged_into))
    )
    return {one.code: one.merged_into or one for one in found}


def create_user(
    session: Session,
    by: User | None,
    *,
    email: str,
    name: str,
    role: Role,
    organisation: Organisation,
    password: str,
    language: str = "es",
    subregion: str | None = None,
    ministry: str = "",
) -> User:
    """Open an account; by the secretariat, or by the command line (``by`` None).

    Raises
    ------
    NotAllowed, Conflict, InvalidInput
        For another role's attempt, a taken address, a short password, a coordinator without a
        subregion, or a delegate of what is no government.
    """
    _require_secretariat(by)
    user = add_account(
        session,
        email=email,
        name=name,
        role=role,
        organisation=organisation,
        password=password,
        language=language,
        subregion=subregion,
        ministry=ministry,
    )
    record(session, by, "user.created", user, after=_described(user))
    return user


def add_account(
    session: Session,
    *,
    email: str,
    name: str,
    role: Role,
    organisation: Organisation,
    password: str,
    language: str,
    subregion: str | None = None,
    ministry: str = "",
) -> User:
    """A new account, checked and stored; whether the caller may open it is for her to ask."""
    email = email.strip().lower()
    problems: dict[str, object] = {}
    if "@" not in email or len(email) > 254:
        problems["email"] = [("required", {})]
    if not name.strip():
        problems["name"] = [("required", {})]
    if len(password) < PASSWORD_LENGTH:
        problems["password"] = [("password_short", {})]
    if language not in LANGUAGES:
        problems["language"] = [("unknown_code", {"code": language})]
    if role == Role.PUBLIC:
        problems["role"] = [("unknown_code", {"code": role})]
    if role == Role.COORDINATOR and not subregion:
        problems["subregion"] = [("required", {})]
    if role == Role.DELEGATE and organisation.kind != "government":
        problems["organisation"] = [("delegate_of_government", {})]
    if problems:
        raise InvalidInput(problems)
    if session.scalar(select(User.id).where(User.email == email)):
        raise Conflict("email_taken", email=email)
    user = User(
        email=email,
        name=name.strip(),
        role=role,
        organisation=organisation,
        language=language,
        subregion=subregion if role == Role.COORDINATOR else None,
        ministry=ministry.strip(),
        password_hash=_hasher.hash(password),
    )
    session.add(user)
    session.flush()
    return user


def grant_role(
    session: Session,
    by: User | None,
    user: User,
    *,
    role: Role,
    organisation: Organisation | None = None,
    subregion: str | None = None,
) -> None:
    """Give an account another role, and with it perhaps another organisation."""
    _require_secretariat(by)
    if by is not None and by.id == user.id and role != user.role:
        raise NotAllowed("own_role")
    if role == Role.COORDINATOR and not subregion:
        raise InvalidInput({"subregion": [("required", {})]})
    if role == Role.DELEGATE and (organisation or user.organisation).kind != "government":
        raise InvalidInput({"organisation": [("delegate_of_government", {})]})
    before = _described(user)
    user.role = role
    user.organisation = organisation or user.organisation
    user.subregion = subregion if role == Role.COORDINATOR else None
    record(session, by, "user.role_granted", user, before=before, after=_described(user))


def set_active(session: Session, by: User, user: User, active: bool) -> None:
    """Close an account, or open it again; what it did stays."""
    _require_secretariat(by)
    if by.id == user.id:
        raise NotAllowed("own_role")
    before = _described(user)
    user.active = active
    record(
        session,
        by,
        "user.opened" if active else "user.closed",
        user,
        before=before,
        after=_described(user),
    )


def sign_in(session: Session, email: str, password: str) -> User:
    """The account, if the password is right.

    Raises
    ------
    NotAllowed
        ``bad_credentials`` for an unknown address and a wrong password alike.
    """
    user = session.scalar(select(User).where(User.email == email.strip().lower()))
    try:
        _hasher.verify(user.password_hash if user else _NOBODY, password)
    except (VerifyMismatchError, InvalidHashError) as error:
        raise NotAllowed("bad_credentials") from error
    if user is None:
        raise NotAllowed("bad_credentials")
    if not user.active:
        raise NotAllowed("account_closed")
    if _hasher.check_needs_rehash(user.password_hash):
        user.password_hash = _hasher.hash(password)
    user.signed_in_at = utc_now()
    return user


def set_password(session: Session, by: User | None, user: User, password: str) -> None:
    """Set a new password: one's own, or as the secretariat or the command line for another."""
    if by is None or by.id != user.id:
        _require_secretariat(by)
    if len(password) < PASSWORD_LENGTH:
        raise InvalidInput({"password": [("password_short", {})]})
    user.password_hash = _hasher.hash(password)
    record(session, by, "user.password_set", user)


def set_trusted(session: Session, by: User, organisation: Organisation, trusted: bool) -> None:
    """Say whether an organisation's posts go on the exchange at once or are reviewed first."""
    _require_secretariat(by)
    require_no_conflict(session, by, organisation)
    before = {"trusted": organisation.trusted}
    organisation.trusted = trusted
    record(
        session,
        by,
        "organisation.trusted" if trusted else "organisation.reviewed",
        organisation,
        before=before,
        after={"trusted": trusted},
    )


def new_password() -> str:
    """A password that nobody has used before: 96 random bits."""
    return secrets.token_urlsafe(12)


def _require_secretariat(by: User | None) -> None:
    if by is not None and not by.is_secretariat:
        raise NotAllowed("secretariat_only")


def _described(user: User) -> dict[str, object]:
    return {
        "email": user.email,
        "role": str(user.role),
        "organisation": user.organisation.code,
        "subregion": user.subregion,
        "active": user.active,
    }
