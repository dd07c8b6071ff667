"""What several tests of pages begin with."""

from __future__ import annotations

from decimal import Decimal

import pytest

from models import Match, MatchStatus, Role
from tests.broker.factories import make_person, post_need, post_offer
from tests.broker.web.sides import NEED_TITLE, OFFER_TITLE, Sides


@pytest.fixture
def sides(exchange, sign_in) -> Sides:
    with exchange.writing() as session:
        need = post_need(
            session,
            title=NEED_TITLE,
            places_wanted=30,
            money_least=Decimal(4000),
            money_most=Decimal(9000),
            currency="USD",
        )
        offer = post_offer(
            session, title=OFFER_TITLE, places=25, money=Decimal(20000), currency="USD"
        )
        match = Match(need=need, offer=offer, status=MatchStatus.MUTUAL)
        session.add(match)
        asking = make_person(session, Role.FOCAL_POINT)
        giving = make_person(session, Role.TASK_FORCE)
    return Sides(
        exchange,
        match.id,
        need.id,
        offer.id,
        sign_in(asking),
        sign_in(giving),
        asking,
        giving,
    )
