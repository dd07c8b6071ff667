"""What one side declines or dismisses is out of its list until either post changes."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from broker.interests import express_interest
from models import Match, MatchStatus, Need, Offer, Role
from tests.broker.factories import make_person, post_need, post_offer
from tests.broker.web.forms_of import form_to


@pytest.fixture
def pair(exchange):
    with exchange.writing() as session:
        need, offer = post_need(session), post_offer(session)
        return need.id, offer.id


def _is_listed(browser, pair, address):
    page = browser.get(address).text
    ranked = page.partition('<ol class="post-list">')[2]
    return f"/matches/{pair[0]}/{pair[1]}" in ranked


def _change(browser, kind, number):
    address = f"/{kind}/{number}/edit"
    form = form_to(browser.get(address).text, address).fields
    form["title"] = f"{form['title']} once more"
    form["then"] = "save"
    assert browser.post(address, data=form).status_code == 302


@pytest.mark.parametrize("changed", ["needs", "offers"])
def test_a_dismissed_match_comes_back_when_either_post_changes(exchange, sign_in, pair, changed):
    asking, giving = sign_in(Role.FOCAL_POINT), sign_in(Role.TASK_FORCE)
    address = f"/needs/{pair[0]}/matches"
    assert _is_listed(asking, pair, address)
    reason = {"reason": "too_small", "note": "Too few places."}
    assert asking.post(f"/matches/{pair[0]}/{pair[1]}/dismiss", data=reason).status_code == 302
    assert not _is_listed(asking, pair, address)
    if changed == "needs":
        _change(asking, "needs", pair[0])
    else:
        _change(giving, "offers", pair[1])
    assert _is_listed(asking, pair, address)


def test_a_declined_interest_comes_back_when_either_post_changes(exchange, sign_in, pair):
    asking, giving = sign_in(Role.FOCAL_POINT), sign_in(Role.TASK_FORCE)
    with exchange.writing() as session:
        provider = make_person(session, Role.TASK_FORCE)
        need, offer = session.get_one(Need, pair[0]), session.get_one(Offer, pair[1])
        express_interest(session, provider, need, offer, score=60.0)
    answer = {"accept": "false", "reason": "too_small"}
    assert asking.post(f"/matches/{pair[0]}/{pair[1]}/answer", data=answer).status_code == 302
    with exchange.reading() as session:
        assert session.scalars(select(Match)).one().status == MatchStatus.DECLINED
    assert not _is_listed(asking, pair, f"/needs/{pair[0]}/matches")
    # The side that was declined still finds it, and sees the answer.
    assert _is_listed(giving, pair, f"/offers/{pair[1]}/matches")
    _change(giving, "offers", pair[1])
    assert _is_listed(asking, pair, f"/needs/{pair[0]}/matches")


def test_a_decline_without_a_reason_is_asked_back(sign_in, pair):
    asking = sign_in(Role.FOCAL_POINT)
    answer = asking.post(f"/matches/{pair[0]}/{pair[1]}/dismiss", data={"note": "No."})
    assert answer.status_code == 422
    assert _is_listed(asking, pair, f"/needs/{pair[0]}/matches")
