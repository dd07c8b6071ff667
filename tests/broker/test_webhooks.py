"""Webhooks: signed, delivered to a real receiver, tried again, switched off, and kept inside."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from broker import webhook_sending
from broker.exchange import Exchange
from broker.interests import express_interest
from broker.posts import publish_post, withdraw_post
from broker.webhook_sending import Allowed, is_public, send
from broker.webhooks import (
    BACKOFF,
    deliver_due,
    enqueue_events,
    register_webhook,
    renew_secret,
    replay_delivery,
    secret_of,
    send_test,
    tell_webhooks,
)
from models import (
    DeliveryStatus,
    InvalidInput,
    Notice,
    PostStatus,
    Role,
    Webhook,
    WebhookDelivery,
    utc_now,
)
from models.webhook import MOST_FAILURES
from tests.broker.factories import make_person, post_need, post_offer


@contextmanager
def receiver(status=200, *, slow=0.0, location=""):
    """A server on this machine that keeps what it is sent."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), body))
            time.sleep(slow)
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook?x=1", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def trial(exchange):
    """The same exchange where webhooks may lead to this machine."""
    running = Exchange(replace(exchange.settings, webhook_allowed=("127.0.0.0/8",)))
    yield running
    running.database.dispose()


def _set_up(exchange, url, events, organisation="gov-pe"):
    with exchange.writing() as session:
        by = make_person(session, Role.FOCAL_POINT, organisation)
        made = register_webhook(
            session, by, {"url": url, "events": events}, exchange.reference, exchange.settings
        )
        made.created_at = utc_now() - timedelta(minutes=1)
        session.flush()
        return made.id


def _deliveries(exchange):
    with exchange.sessions() as session:
        return session.query(WebhookDelivery).order_by(WebhookDelivery.id).all()


def _publish(exchange, organisation="gov-cl"):
    with exchange.writing() as session:
        need = post_need(session, organisation, status=PostStatus.SUBMITTED)
        publish_post(session, make_person(session, Role.SECRETARIAT), need, today=exchange.today())
        return need.id


@pytest.mark.usefixtures("backend")
def test_a_published_post_is_told_with_a_signature_that_holds(trial):
    with receiver() as (url, got):
        hook = _set_up(trial, url, ["post.published"])
        need = _publish(trial)
        tell_webhooks(trial)
        tell_webhooks(trial)
    assert len(got) == 1
    headers, body = got[0]
    with trial.reading() as session:
        secret = secret_of(trial.settings, session.get(Webhook, hook))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    told = json.loads(body)
    assert told["type"] == "post.published"
    assert told["data"]["url"].endswith(f"/api/v1/needs/{need}")
    assert told["data"]["status"] == "published"
    assert _deliveries(trial)[0].status == DeliveryStatus.DELIVERED


@pytest.mark.usefixtures("backend")
def test_only_events_that_were_chosen_and_come_later_are_told(trial):
    _publish(trial)
    _set_up(trial, "http://127.0.0.1:1/", ["post.withdrawn"])
    need = _publish(trial)
    with trial.writing() as session:
        from models import Need

        found = session.get(Need, need)
        withdraw_post(session, make_person(session, Role.SECRETARIAT), found)
    with trial.writing() as session:
        assert enqueue_events(session, trial.settings, now=utc_now()) == 1
        assert enqueue_events(session, trial.settings, now=utc_now()) == 0
    assert [d.event for d in _deliveries(trial)] == ["post.withdrawn"]


@pytest.mark.usefixtures("backend")
def test_an_interest_is_told_to_its_sides_alone(trial):
    for organisation in ("gov-pe", "gov-cl"):
        _set_up(trial, f"http://127.0.0.1:1/{organisation}", ["match.interest"], organisation)
    with trial.writing() as session:
        need, offer = post_need(session, "gov-pe"), post_offer(session)
        giving = make_person(session, Role.TASK_FORCE)
        express_interest(session, giving, need, offer, score=50.0)
    with trial.writing() as session:
        enqueue_events(session, trial.settings, now=utc_now())
    with trial.reading() as session:
        hooks = [session.get(Webhook, d.webhook_id).url for d in _deliveries(trial)]
    assert hooks == ["http://127.0.0.1:1/gov-pe"]


def test_what_did_not_happen_is_not_told(trial):
    _set_up(trial, "http://127.0.0.1:1/", ["post.published"])
    with trial.writing() as session:
        need = post_need(session, status=PostStatus.SUBMITTED)
        office = make_person(session, Role.SECRETARIAT)
        publish_post(session, office, need, today=trial.today())
        session.rollback()
    with trial.writing() as session:
        assert enqueue_events(session, trial.settings, now=utc_now()) == 0


def test_a_delivery_that_fails_is_tried_later_and_later_and_then_given_up(trial):
    with receiver(500) as (url, got):
        _set_up(trial, url, ["post.published"])
        _publish(trial)
        waits = []
        with trial.writing() as session:
            enqueue_events(session, trial.settings, now=utc_now())
        for _ in range(len(BACKOFF) + 1):
            before = utc_now()
            deliver_due(trial)
            (delivery,) = _deliveries(trial)
            waits.append(delivery.next_at - before)
            assert delivery.answer == 500
            with trial.writing() as session:
                session.get(WebhookDelivery, delivery.id).next_at = utc_now()
        deliver_due(trial)
    assert len(got) == len(BACKOFF) + 1
    assert delivery.status == DeliveryStatus.FAILED
    for waited, backoff in zip(waits, BACKOFF, strict=False):
        assert backoff <= waited < backoff + timedelta(minutes=1)


def test_a_webhook_that_fails_too_often_is_switched_off_and_its_owner_told(trial):
    hook = _set_up(trial, "http://127.0.0.1:1/", ["post.published"])
    with trial.writing() as session:
        found = session.get(Webhook, hook)
        for _ in range(MOST_FAILURES + 3):
            send_test(session, found.user, found)
    deliver_due(trial)
    with trial.reading() as session:
        found = session.get(Webhook, hook)
        assert not found.active
        assert found.disabled_at is not None
        notices = session.query(Notice).filter_by(kind="webhook.disabled").all()
        assert [notice.user_id for notice in notices] == [found.user_id]
        attempts = sum(delivery.attempts for delivery in session.query(WebhookDelivery))
    assert attempts == MOST_FAILURES


def test_a_delivery_can_be_sent_again_with_the_same_message(trial):
    with receiver() as (url, got):
        hook = _set_up(trial, url, ["post.published"])
        _publish(trial)
        tell_webhooks(trial)
        with trial.writing() as session:
            (delivery,) = session.query(WebhookDelivery)
            replay_delivery(session, session.get(Webhook, hook), delivery.id)
        deliver_due(trial)
    assert [headers["webhook-id"] for headers, _body in got] == [f"{got[0][0]['webhook-id']}"] * 2


def test_a_renewed_secret_signs_beside_the_old_one_for_a_day(trial):
    with receiver() as (url, got):
        hook = _set_up(trial, url, ["post.published"])
        with trial.writing() as session:
            found = session.get(Webhook, hook)
            old = secret_of(trial.settings, found)
            renew_secret(session, found.user, found)
            assert secret_of(trial.settings, found) != old
            send_test(session, found.user, found)
            assert found.generations(utc_now() + timedelta(hours=25)) == [2]
        deliver_due(trial)
    assert len(got[0][0]["webhook-signature"].split()) == 2


def test_redirections_are_not_followed(trial):
    with receiver() as (target, reached), receiver(302, location=target) as (url, got):
        outcome = send(url, b"{}", {}, allowed=Allowed.of(["127.0.0.1"]))
    assert (outcome.answer, outcome.delivered) == (302, False)
    assert (len(got), reached) == (1, [])


def test_a_receiver_that_never_ends_is_cut_off(monkeypatch):
    monkeypatch.setattr(webhook_sending, "SECONDS_IN_ALL", 0.3)
    listening = socket.create_server(("127.0.0.1", 0))

    def drip():
        line, _address = listening.accept()
        with line:
            line.recv(65536)
            for sign in b"HTTP/1.1 200 OK" * 10:
                try:
                    line.sendall(bytes([sign]))
                except OSError:
                    return
                time.sleep(0.1)

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    began = time.monotonic()
    outcome = send(
        f"http://127.0.0.1:{listening.getsockname()[1]}/",
        b"{}",
        {},
        allowed=Allowed.of(["127.0.0.1"]),
    )
    assert not outcome.delivered
    assert outcome.problem
    assert time.monotonic() - began < 3
    thread.join()
    listening.close()


OWN_NETWORK = ("10.20.0.0/16", "hooks.ministry.example")


@pytest.mark.parametrize(
    ("url", "leads_to", "problem"),
    [
        ("https://receiver.example/", "93.184.216.34", "sent"),
        ("http://receiver.example/", "93.184.216.34", "webhook_https"),
        ("https://inside.example/", "10.20.0.7", "sent"),
        ("http://inside.example/", "10.20.0.7", "sent"),
        ("https://inside.example/", "::ffff:10.20.0.7", "sent"),
        ("https://inside.example/", "10.21.0.7", "webhook_private"),
        ("https://inside.example/", "127.0.0.1", "webhook_private"),
        ("http://hooks.ministry.example/", "192.168.1.9", "sent"),
        ("https://hooks.ministry.example.evil.example/", "192.168.1.9", "webhook_private"),
    ],
)
def test_only_the_hosts_and_networks_that_are_named_are_told_though_private(
    monkeypatch, url, leads_to, problem
):
    def connect(*_args, **_more):
        raise OSError("sent")

    monkeypatch.setattr(
        webhook_sending.socket, "getaddrinfo", lambda *_a, **_k: [(2, 1, 6, "", (leads_to, 443))]
    )
    monkeypatch.setattr(webhook_sending.socket, "create_connection", connect)
    assert send(url, b"{}", {}, allowed=Allowed.of(OWN_NETWORK)).problem == problem


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("https://10.20.0.7/", False),
        ("http://10.20.0.7:8080/hook", False),
        ("http://hooks.ministry.example/", False),
        ("https://10.21.0.7/", True),
        ("http://receiver.example/", True),
        ("https://intranet/", True),
    ],
)
def test_an_address_of_ones_own_is_taken_where_the_operator_names_it(exchange, url, refused):
    settings = replace(exchange.settings, webhook_allowed=OWN_NETWORK)
    with exchange.writing() as session:
        by = make_person(session, Role.FOCAL_POINT)
        data = {"url": url, "events": ["post.published"]}
        if refused:
            with pytest.raises(InvalidInput):
                register_webhook(session, by, data, exchange.reference, settings)
        else:
            assert register_webhook(session, by, data, exchange.reference, settings).url == url


PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "fe80::1%eth0",
    "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_no_address_of_a_private_network_is_told(address, monkeypatch):
    assert not is_public(address)
    monkeypatch.setattr(
        webhook_sending.socket, "getaddrinfo", lambda *_a, **_k: [(2, 1, 6, "", (address, 443))]
    )
    outcome = send("https://innocent.example/", b"{}", {}, allowed=Allowed())
    assert (outcome.answer, outcome.problem) == (None, "webhook_private")


def test_one_private_address_among_public_ones_is_enough(monkeypatch):
    found = [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("127.0.0.1", 443))]
    monkeypatch.setattr(webhook_sending.socket, "getaddrinfo", lambda *_a, **_k: found)
    assert send("https://two.example/", b"{}", {}, allowed=Allowed()).problem == "webhook_private"


def test_the_connection_goes_to_the_address_that_was_looked_at(monkeypatch):
    """A name that leads elsewhere at the second look (DNS rebinding) changes nothing."""
    asked, connected = [], []

    def look_up(host, *_args, **_more):
        asked.append(host)
        return [(2, 1, 6, "", ("93.184.216.34" if len(asked) == 1 else "127.0.0.1", 443))]

    def connect(address, *_args, **_more):
        connected.append(address)
        raise OSError("refused")

    monkeypatch.setattr(webhook_sending.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(webhook_sending.socket, "create_connection", connect)
    send("https://rebinding.example/", b"{}", {}, allowed=Allowed())
    assert (asked, connected) == (["rebinding.example"], [("93.184.216.34", 443)])


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://receiver.example/", "webhook_https"),
        ("ftp://receiver.example/", "webhook_https"),
        ("https://name:secret@receiver.example/", "webhook_https"),
        ("https:///path", "webhook_https"),
        ("https://[::1", "webhook_https"),
        ("https://receiver.example:99999/", "webhook_https"),
        ("https://receiver.example/\r\nX: y", "webhook_https"),
        ("https://localhost/", "webhook_private"),
        ("https://intranet/", "webhook_private"),
        ("https://db.internal./", "webhook_private"),
        ("https://127.0.0.1/", "webhook_private"),
        ("https://[::ffff:127.0.0.1]/", "webhook_private"),
    ],
)
def test_an_address_that_cannot_be_is_refused_where_it_is_typed(exchange, url, problem):
    data = {"url": url, "events": ["post.published"]}
    with exchange.writing() as session:
        by = make_person(session, Role.FOCAL_POINT)
        with pytest.raises(InvalidInput) as refusal:
            register_webhook(session, by, data, exchange.reference, exchange.settings)
    assert refusal.value.fields == {"url": [(problem, {})]}
