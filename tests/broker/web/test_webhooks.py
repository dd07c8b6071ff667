"""The pages of webhooks and tokens: made, shown once, followed, and nobody else's."""

import re

import pytest

from broker.webhooks import send_test
from models import ApiToken, DeliveryStatus, Role, Webhook, WebhookDelivery

URL = "https://receiver.example/hook"


@pytest.fixture
def focal(sign_in):
    return sign_in(Role.FOCAL_POINT)


def _make(browser, **more):
    return browser.post(
        "/account/webhooks", data={"url": URL, "events": ["post.published"], **more}
    )


def test_a_webhook_is_set_up_and_its_secret_shown_once(focal):
    assert "has none yet" in focal.get("/account/webhooks").text
    made = _make(focal)
    assert re.search(r"whsec_[\w+/=]+", made.text)
    assert made.headers["Cache-Control"] == "no-store"
    assert URL in focal.get("/account/webhooks").text
    assert "whsec_" not in focal.get("/account/webhooks/1").text


def test_what_is_wrong_is_shown_with_what_was_typed(focal):
    answer = _make(focal, url="http://receiver.example/")
    assert answer.status_code == 422
    assert "begins with https://" in answer.text
    assert "http://receiver.example/" in answer.text


def test_the_log_shows_deliveries_and_sends_one_again(focal, exchange):
    _make(focal)
    focal.post("/account/webhooks/1/test")
    with exchange.writing() as session:
        (delivery,) = session.query(WebhookDelivery)
        delivery.status, delivery.answer, delivery.attempts = DeliveryStatus.FAILED, 500, 7
        delivery.problem = ""
    page = focal.get("/account/webhooks/1").text
    assert "given up" in page
    assert "answer 500" in page
    focal.post("/account/webhooks/1/deliveries/1")
    with exchange.reading() as session:
        assert session.get(WebhookDelivery, 1).status == DeliveryStatus.WAITING


def test_a_webhook_that_was_switched_off_goes_on_again_when_it_is_saved(focal, exchange):
    _make(focal)
    with exchange.writing() as session:
        found = session.get(Webhook, 1)
        send_test(session, found.user, found)
        for _ in range(20):
            found.note(False, found.created_at)
    assert "switched off" in focal.get("/account/webhooks/1").text
    focal.post("/account/webhooks/1", data={"url": URL, "events": ["post.expired"]})
    with exchange.reading() as session:
        assert session.get(Webhook, 1).active


def test_colleagues_manage_it_and_nobody_else_sees_it(focal, sign_in):
    _make(focal)
    assert sign_in(Role.FOCAL_POINT).get("/account/webhooks/1").status_code == 200
    stranger = sign_in(Role.FOCAL_POINT, "gov-cl")
    assert stranger.get("/account/webhooks/1").status_code == 404
    for path in ("test", "secret", "remove", "deliveries/1"):
        assert stranger.post(f"/account/webhooks/1/{path}").status_code == 404
    assert focal.post("/account/webhooks/1/secret").status_code == 200
    assert "Remove the webhook?" in focal.get("/account/webhooks/1/remove").text
    assert focal.post("/account/webhooks/1/remove").status_code == 302
    assert focal.get("/account/webhooks/1").status_code == 404


def test_a_token_is_made_shown_once_and_revoked(focal, exchange, client):
    made = focal.post(
        "/account/tokens", data={"name": "Import", "scopes": ["write:posts"], "days": "30"}
    )
    (secret,) = re.findall(r"tfp_[\w-]{30,}", made.text)
    assert made.headers["Cache-Control"] == "no-store"
    with exchange.sessions() as session:
        token = session.query(ApiToken).one()
        assert secret not in (token.digest, token.hint)
        assert token.scopes == ["read", "write:posts"]
    page = focal.get("/account/tokens").text
    assert "Import" in page
    assert secret not in page
    asked = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/me", headers=asked).json["token"] == "Import"
    focal.post(f"/account/tokens/{token.id}/revoke")
    assert "revoked" in focal.get("/account/tokens").text
    assert client.get("/api/v1/me", headers=asked).status_code == 401


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x", "scopes": ["secretariat"]}, "scopes"),
        ({"name": "x", "scopes": ["calendar"]}, "scopes"),
        ({"name": "x", "days": "9999"}, "days"),
    ],
)
def test_a_token_cannot_be_made_for_more_than_its_owner_may(focal, exchange, data, field):
    answer = focal.post("/account/tokens", data=data)
    assert answer.status_code == 422
    assert 'class="problem"' in answer.text
    with exchange.reading() as session:
        assert session.query(ApiToken).count() == 0


def test_only_ones_own_tokens_can_be_revoked(focal, sign_in):
    focal.post("/account/tokens", data={"name": "Mine"})
    assert sign_in(Role.FOCAL_POINT).post("/account/tokens/1/revoke").status_code == 404
