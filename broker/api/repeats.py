"""Requests that are sent twice: with an idempotency key, what was made is not made again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

from flask import Response, request
from marshmallow import ValidationError, validate
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from broker.exchange import Exchange
from broker.jobs import routine
from broker.web.access import person
from broker.web.reading import database
from models import Conflict, DomainError, InvalidInput, KeptAnswer, utc_now

HEADER = "Idempotency-Key"

KEPT_FOR = timedelta(hours=24)
"""How long an answer is kept for a repeated request."""

KEPT_HEADERS = ("Location", "ETag", "Content-Type")

_length = validate.Length(min=1, max=255)


class ReusedKey(DomainError):
    """An idempotency key came again with another request."""


def once(answer: Callable[[], Response]) -> Response:
    """What ``answer`` makes; or what it made when the same request came before, word for word.

    Only answers to what was done are kept: a request that was refused can be sent again.

    Raises
    ------
    ReusedKey
        If the key came with another request before.
    Conflict
        If that first request is not answered yet.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return answer()
    try:
        _length(key)
    except ValidationError as error:
        raise InvalidInput({HEADER: [("bad_key", {})]}) from error
    kept = _taken(database(), key)
    if kept.status is not None:
        again = Response(kept.body, kept.status, kept.headers)
        again.headers["Idempotent-Replayed"] = "true"
        return again
    response = answer()
    if response.status_code < 400:
        kept.status = response.status_code
        kept.body = response.get_data(as_text=True)
        kept.headers = {n: response.headers[n] for n in KEPT_HEADERS if n in response.headers}
        database().flush()
    return response


def _taken(session: Session, key: str) -> KeptAnswer:
    """The row of that key; a new one where the key is new."""
    by, now = person(), utc_now()
    same = (KeptAnswer.user_id == by.id) & (KeptAnswer.key == key)
    session.execute(delete(KeptAnswer).where(same, KeptAnswer.created_at < now - KEPT_FOR))
    digest = sha256(b"\n".join((request.method.encode(), request.full_path.encode(), _body())))
    kept = session.scalar(select(KeptAnswer).where(same))
    if kept is not None:
        if kept.digest != digest.hexdigest():
            raise ReusedKey("key_reused")
        if kept.status is None:
            raise Conflict("key_busy")
        return kept
    kept = KeptAnswer(user_id=by.id, key=key, digest=digest.hexdigest(), created_at=now)
    try:
        with session.begin_nested():
            session.add(kept)
    except IntegrityError as error:
        # PostgreSQL: the other request with this key has been answered a moment ago.
        raise Conflict("key_busy") from error
    return kept


def _body() -> bytes:
    return request.get_data()


@routine(every=timedelta(hours=6))
def forget_kept_answers(exchange: Exchange) -> None:
    """Forget answers that were kept for repeated requests long enough."""
    with exchange.writing() as session:
        session.execute(delete(KeptAnswer).where(KeptAnswer.created_at < utc_now() - KEPT_FOR))
