"""Webhooks: other systems are told what happens, signed, again when they did not hear, and safely.

Messages follow the Standard Webhooks specification (https://www.standardwebhooks.com): the headers
``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``, HMAC-SHA256 over all three parts.
What is told is thin: what happened to what, and where to read it. Whoever is told reads it through
the API as herself, so that a webhook never says more than its owner may know.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask_babel import lazy_gettext as _l
from marshmallow import fields, validate
from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.exchange import Exchange
from broker.jobs import routine
from broker.messages import FIELD_PROBLEMS
from broker.notices import notify
from broker.reference import Reference
from broker.schemas import Strict, load
from broker.settings import Settings
from broker.webhook_sending import Allowed, Outcome, is_plainly_private, send
from models import (
    Agreement,
    AgreementParty,
    AuditEvent,
    Conflict,
    DeliveryStatus,
    InvalidInput,
    Match,
    NotFound,
    Post,
    User,
    Webhook,
    WebhookDelivery,
    utc_now,
)

EVENTS: dict[str, tuple[str, ...]] = {
    "post.published": ("post.published", "post.published_unreviewed"),
    "post.changed": ("post.edited",),
    "post.withdrawn": ("post.withdrawn",),
    "post.expired": ("post.expired",),
    "match.interest": ("match.interest",),
    "match.answered": ("match.accepted", "match.declined"),
    "agreement.proposed": ("agreement.proposed",),
    "agreement.terms": ("agreement.terms",),
    "agreement.accepted": ("agreement.accepted",),
    "agreement.signed": ("agreement.signed",),
    "agreement.started": ("agreement.started",),
    "agreement.milestone": ("agreement.milestone",),
    "agreement.completed": ("agreement.completed",),
    "agreement.terminated": ("agreement.terminated",),
}
"""What can be told → the actions of the audit trail that it stands for."""

EVENT_NAMES = {
    "post.published": _l("a post is published"),
    "post.changed": _l("a published post changes"),
    "post.withdrawn": _l("a published post is withdrawn"),
    "post.expired": _l("a post expires"),
    "match.interest": _l("somebody is interested in a match of ours"),
    "match.answered": _l("an interest in a match of ours is answered"),
    "agreement.proposed": _l("an agreement of ours is proposed"),
    "agreement.terms": _l("other terms are put on the table for an agreement of ours"),
    "agreement.accepted": _l("a side accepts the terms of an agreement of ours"),
    "agreement.signed": _l("an agreement is signed by every side"),
    "agreement.started": _l("the work of an agreement begins"),
    "agreement.milestone": _l("a milestone of an agreement of ours is reached"),
    "agreement.completed": _l("an agreement is completed"),
    "agreement.terminated": _l("an agreement is terminated"),
}
"""Event → when it happens."""

TOLD_TO_ALL = frozenset(
    {
        "post.published",
        "post.changed",
        "post.withdrawn",
        "post.expired",
        "agreement.signed",
        "agreement.started",
        "agreement.completed",
        "agreement.terminated",
    }
)
"""Events of what everybody may read; the others are told to the sides concerned alone."""

TEST = "webhook.test"

MOST_WEBHOOKS = 10
"""Webhooks of one organisation."""

BACKOFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 480, 1440))
"""After how long a delivery that failed is tried again; then it is given up."""

LOOK_BACK = timedelta(minutes=15)
"""Events are looked for so far back: a transaction that began earlier may end later."""

LEASE = timedelta(minutes=5)
"""For how long nobody else tries a delivery that somebody has begun."""

KEPT_FOR = timedelta(days=30)
"""How long deliveries stay in the log."""

SECONDS_OF_ROUND = 40.0
"""How long one round of attempts may take."""

MOST_AT_ONCE = 200
"""Deliveries of one round."""


class WebhookSchema(Strict):
    """Where to tell, and of what."""

    url = fields.String(
        required=True,
        validate=validate.Length(1, 500, error=FIELD_PROBLEMS["webhook_https"]),
    )
    events = fields.List(
        fields.String(validate=validate.OneOf(tuple(EVENTS))),
        required=True,
        validate=validate.Length(1, len(EVENTS), error=_l("Choose at least one event.")),
    )


# --- Setting up -----------------------------------------------------------------------------


def own_webhooks(by: User) -> Select[Webhook]:
    """A query for the webhooks of the person's organisation."""
    return (
        select(Webhook)
        .where(Webhook.organisation_id == by.organisation_id)
        .order_by(Webhook.id.desc())
        .options(selectinload(Webhook.user))
    )


def get_webhook(session: Session, webhook_id: int, by: User) -> Webhook:
    """A webhook of the person's organisation; else :class:`models.errors.NotFound`."""
    found = session.get(Webhook, webhook_id)
    if found is None or not found.can_be_managed_by(by):
        raise NotFound("no_such_webhook")
    return found


def register_webhook(
    session: Session, by: User, data: Mapping[str, Any], reference: Reference, settings: Settings
) -> Webhook:
    """Tell an address, from now on, of events; for the person's organisation.

    Raises
    ------
    InvalidInput
        If the address is not a public one that begins with ``https://``.
    Conflict
        If the organisation has as many as it may.
    """
    values = load(WebhookSchema, data, reference)
    values["url"] = _checked(values["url"], settings)
    if len(session.scalars(own_webhooks(by)).all()) >= MOST_WEBHOOKS:
        raise Conflict("too_many_webhooks", most=MOST_WEBHOOKS)
    made = Webhook(organisation=by.organisation, user=by, **values)
    session.add(made)
    record(session, by, "webhook.made", made, after=values)
    return made


def change_webhook(
    session: Session,
    by: User,
    found: Webhook,
    data: Mapping[str, Any],
    reference: Reference,
    settings: Settings,
) -> None:
    """Tell another address, or of other events; one that was switched off goes on again."""
    values = load(WebhookSchema, data, reference)
    values["url"] = _checked(values["url"], settings)
    before = {"url": found.url, "events": found.events, "active": found.active}
    found.url, found.events = values["url"], values["events"]
    found.active, found.failures, found.disabled_at = True, 0, None
    record(session, by, "webhook.changed", found, before=before, after={**values, "active": True})


def renew_secret(session: Session, by: User, found: Webhook) -> None:
    """Sign with a new secret; for a day, with the old one too."""
    found.generation, found.renewed_at = found.generation + 1, utc_now()
    record(session, by, "webhook.renewed", found, after={"generation": found.generation})


def remove_webhook(session: Session, by: User, found: Webhook) -> None:
    """Tell this address nothing any more, and forget its log."""
    record(session, by, "webhook.removed", found, before={"url": found.url})
    session.delete(found)


def send_test(session: Session, by: User, found: Webhook) -> WebhookDelivery:
    """Put a message in line that says nothing but that the webhook works."""
    said = {"organisation": by.organisation.code}
    return _in_line(session, found, f"msg_test_{secrets.token_hex(8)}", TEST, utc_now(), said)


def find_deliveries(found: Webhook) -> Select[WebhookDelivery]:
    """A query for a webhook's deliveries, the latest first."""
    return (
        select(WebhookDelivery)
        .where(WebhookDelivery.webhook_id == found.id)
        .order_by(WebhookDelivery.id.desc())
    )


def replay_delivery(session: Session, found: Webhook, delivery_id: int) -> WebhookDelivery:
    """Put a delivery in line once more, with the same message and number."""
    delivery = session.get(WebhookDelivery, delivery_id)
    if delivery is None or delivery.webhook_id != found.id:
        raise NotFound("no_such_delivery")
    delivery.status, delivery.attempts, delivery.next_at = DeliveryStatus.WAITING, 0, utc_now()
    return delivery


def _checked(url: str, settings: Settings) -> str:
    """The address, if it may be told at all; where its name leads is looked at when it is told."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput({"url": [("webhook_https", {})]}) from error
    allowed = Allowed.of(settings.webhook_allowed)
    host = parts.hostname or ""
    schemes = ("https", "http") if allowed.names(host) else ("https",)
    named = host and not (parts.username or parts.password) and port != 0
    if parts.scheme not in schemes or not named or not url.isascii() or not url.isprintable():
        raise InvalidInput({"url": [("webhook_https", {})]})
    if is_plainly_private(host) and not allowed.names(host):
        raise InvalidInput({"url": [("webhook_private", {})]})
    return url


# --- Signing --------------------------------------------------------------------------------


def secret_of(settings: Settings, found: Webhook, generation: int | None = None) -> str:
    """The secret that signs, as its receiver keeps it (``whsec_`` and base64)."""
    number = generation or found.generation
    words = f"webhook {found.id} {found.created_at.isoformat()} {number}"
    key = hmac.digest(settings.secret_key.encode(), words.encode(), "sha256")
    return "whsec_" + base64.b64encode(key).decode()


def sign(secret: str, message_id: str, timestamp: int, payload: str) -> str:
    """The signature of a message: ``v1,`` and the HMAC-SHA256 of its parts in base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.{payload}".encode()
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers_of(
    settings: Settings, found: Webhook, delivery: WebhookDelivery, now: datetime
) -> dict[str, str]:
    """The headers of a message; signed twice while a renewed secret overlaps the old one."""
    timestamp = int(now.timestamp())
    signatures = [
        sign(
            secret_of(settings, found, generation),
            delivery.message_id,
            timestamp,
            delivery.payload,
        )
        for generation in found.generations(now)
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": "10YFP-broker",
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


# --- Putting in line ------------------------------------------------------------------------


def enqueue_events(session: Session, settings: Settings, *, now: datetime) -> int:
    """Put a message in line for each event that a webhook wants and was not told of yet.

    Events are read from the audit trail, which is written in the transaction of what happened:
    nothing is told that did not happen, and nothing that happened is forgotten.
    """
    hooks = session.scalars(
        select(Webhook).where(Webhook.active).options(selectinload(Webhook.organisation))
    ).all()
    if not hooks:
        return 0
    types = {action: event for event, actions in EVENTS.items() for action in actions}
    happened = session.scalars(
        select(AuditEvent)
        .where(AuditEvent.at > now - LOOK_BACK, AuditEvent.action.in_(types))
        .order_by(AuditEvent.id)
    ).all()
    messages = [f"msg_{event.id}" for event in happened]
    told = {
        (hook_id, message)
        for hook_id, message in session.execute(
            select(WebhookDelivery.webhook_id, WebhookDelivery.message_id).where(
                WebhookDelivery.message_id.in_(messages)
            )
        )
    }
    made = 0
    for event in happened:
        concerned = _concerned(session, event)
        if concerned is None:
            continue
        thing, organisations = concerned
        name, message = types[event.action], f"msg_{event.id}"
        for hook in hooks:
            wanted = name in hook.events and event.at >= hook.created_at
            if not wanted or (hook.id, message) in told:
                continue
            if name in TOLD_TO_ALL or hook.organisation_id in organisations:
                said = _said(thing, event, settings)
                _in_line(session, hook, message, name, event.at, said)
                made += 1
    return made


def _concerned(session: Session, event: AuditEvent) -> tuple[Any, set[int]] | None:
    """What the event is of and whose it is; None where it is nobody's business yet."""
    if event.entity in ("need", "offer"):
        post = session.get(Post, event.entity_id)
        if post is None or not post.version:
            return None
        return post, {post.organisation_id}
    if event.entity == "match":
        match = session.get(Match, event.entity_id)
        if match is None:
            return None
        return match, {match.need.organisation_id, match.offer.organisation_id}
    if event.entity == "agreement":
        agreement = session.get(Agreement, event.entity_id)
        signed = event.after.get("status") == "signed"
        if agreement is None or (event.action == "agreement.signed" and not signed):
            return None
        parties = session.scalars(
            select(AgreementParty.organisation_id).where(
                AgreementParty.agreement_id == agreement.id
            )
        )
        return agreement, set(parties)
    return None


def _said(thing: Any, event: AuditEvent, settings: Settings) -> dict[str, Any]:
    """What a message says of a thing: which one it is, where it stands, where to read it."""
    if isinstance(thing, Match):
        path, reference = f"/matches/{thing.need_id}/{thing.offer_id}", ""
    elif isinstance(thing, Agreement):
        path, reference = f"/agreements/{thing.id}", thing.reference
    else:
        path, reference = f"/{thing.kind}s/{thing.id}", thing.reference
    status = event.after.get("status") or str(thing.status)
    return {
        "kind": event.entity,
        "id": thing.id,
        "reference": reference,
        "status": status,
        "url": f"{settings.site}/api/v1{path}",
        "page": f"{settings.site}{path}",
    }


def _in_line(
    session: Session,
    found: Webhook,
    message_id: str,
    event: str,
    at: datetime,
    said: Mapping[str, Any],
) -> WebhookDelivery:
    payload = json.dumps(
        {"type": event, "timestamp": at.isoformat(), "data": said}, ensure_ascii=False
    )
    made = WebhookDelivery(webhook_id=found.id, message_id=message_id, event=event, payload=payload)
    session.add(made)
    return made


# --- Delivering -----------------------------------------------------------------------------


@routine(every=timedelta(minutes=1))
def tell_webhooks(exchange: Exchange) -> None:
    """Put in line what happened, deliver what is due, and forget what is old."""
    now = utc_now()
    with exchange.writing() as session:
        enqueue_events(session, exchange.settings, now=now)
        session.execute(delete(WebhookDelivery).where(WebhookDelivery.created_at < now - KEPT_FOR))
    deliver_due(exchange)


def deliver_due(exchange: Exchange) -> int:
    """Try every delivery that is due; tell how many arrived.

    No transaction is open while a message is on its way: a slow receiver keeps nobody waiting.
    """
    began, arrived = time.monotonic(), 0
    for delivery_id in _claim(exchange):
        if time.monotonic() - began > SECONDS_OF_ROUND:
            break
        arrived += _attempt(exchange, delivery_id)
    return arrived


def _claim(exchange: Exchange) -> list[int]:
    """Deliveries that are due, kept from everybody else for a while."""
    now = utc_now()
    with exchange.writing() as session:
        due = session.scalars(
            select(WebhookDelivery)
            .join(Webhook)
            .where(
                WebhookDelivery.status == DeliveryStatus.WAITING,
                WebhookDelivery.next_at <= now,
                Webhook.active,
            )
            .order_by(WebhookDelivery.next_at, WebhookDelivery.id)
            .limit(MOST_AT_ONCE)
            .with_for_update(skip_locked=True)
        ).all()
        for delivery in due:
            delivery.next_at = now + LEASE
        return [delivery.id for delivery in due]


def _attempt(exchange: Exchange, delivery_id: int) -> bool:
    settings = exchange.settings
    with exchange.reading() as session:
        delivery = session.get(
            WebhookDelivery, delivery_id, options=[selectinload(WebhookDelivery.webhook)]
        )
        if delivery is None or not delivery.webhook.active:
            return False
        url, payload = delivery.webhook.url, delivery.payload
        headers = headers_of(settings, delivery.webhook, delivery, utc_now())
    outcome = send(url, payload.encode(), headers, allowed=Allowed.of(settings.webhook_allowed))
    with exchange.writing() as session:
        delivery = session.get(WebhookDelivery, delivery_id)
        if delivery is not None:
            _keep(session, delivery, outcome, utc_now())
    return outcome.delivered


def _keep(session: Session, delivery: WebhookDelivery, outcome: Outcome, now: datetime) -> None:
    delivery.answer, delivery.problem = outcome.answer, outcome.problem[:200]
    delivery.attempts += 1
    if outcome.delivered:
        delivery.status, delivery.delivered_at = DeliveryStatus.DELIVERED, now
    elif delivery.attempts > len(BACKOFF):
        delivery.status = DeliveryStatus.FAILED
    else:
        delivery.next_at = now + BACKOFF[delivery.attempts - 1]
    found = delivery.webhook
    if found.note(outcome.delivered, now):
        record(session, None, "webhook.disabled", found, after={"failures": found.failures})
        path = f"/account/webhooks/{found.id}"
        notify(session, [found.user], "webhook.disabled", found, path=path, address=found.url)
