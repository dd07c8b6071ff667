"""Column types: moments in UTC, money exact to the cent, texts in the reader's language."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from models import Offer, localised
from models.base import LARGEST_AMOUNT
from tests.factories import make_offer

pytestmark = pytest.mark.usefixtures("backend")

MANY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

AMOUNTS = st.decimals(-LARGEST_AMOUNT, LARGEST_AMOUNT, places=2)
MOMENTS = st.integers(0, 2**32).flatmap(
    lambda second: st.timezones().map(lambda zone: datetime.fromtimestamp(second, zone))
)


@MANY
@given(amount=AMOUNTS)
def test_amount_comes_back_with_both_its_decimals(session: Session, amount: Decimal) -> None:
    offer = make_offer(session)
    offer.grant_most = amount
    session.flush()
    session.refresh(offer)
    assert offer.grant_most == amount
    assert str(offer.grant_most) == f"{amount:.2f}"
    session.expunge(offer)


def test_amounts_add_up_exactly_in_the_database(session: Session) -> None:
    for _ in range(30):
        make_offer(session, money=Decimal("0.10"))
    total = session.scalar(select(func.sum(Offer.money)))
    assert total == Decimal("3.00")


@pytest.mark.parametrize("bad", ["0.001", "10000000000000000.01", "NaN", "Infinity", "-1E+20"])
def test_amount_that_cannot_be_kept_exactly_is_refused(session: Session, bad: str) -> None:
    with pytest.raises(StatementError, match="an amount"), session.begin_nested():
        make_offer(session, grant_most=Decimal(bad))


@MANY
@given(moment=MOMENTS)
def test_moment_comes_back_as_the_same_moment_in_utc(session: Session, moment: datetime) -> None:
    offer = make_offer(session)
    offer.published_at = moment
    session.flush()
    session.refresh(offer)
    assert offer.published_at == moment.astimezone(UTC)
    assert offer.published_at.tzinfo is UTC
    session.expunge(offer)


def test_moment_without_a_time_zone_is_refused(session: Session) -> None:
    with pytest.raises(StatementError, match="time zone"), session.begin_nested():
        make_offer(session, published_at=datetime(2026, 3, 15))  # noqa: DTZ001


def test_moments_of_several_zones_sort_by_when_they_were(session: Session) -> None:
    noon = datetime(2026, 3, 15, 12, tzinfo=UTC)
    west, east = (noon.astimezone(timezone(timedelta(hours=h))) for h in (-5, 9))
    later = make_offer(session, published_at=west + timedelta(minutes=1))
    sooner = make_offer(session, published_at=east)
    assert session.scalars(select(Offer).order_by(Offer.published_at)).all() == [sooner, later]


@pytest.mark.parametrize(
    ("labels", "language", "shown"),
    [
        ({"es": "agua", "en": "water"}, "en", "water"),
        ({"es": "agua", "en": "water"}, "pt", "agua"),
        ({"en": "water", "fr": "eau"}, "pt", "water"),
        ({"es": "", "fr": "eau"}, "es", "eau"),
        ({"de": "Wasser"}, "es", "Wasser"),
        ({}, "es", ""),
        (None, "es", ""),
    ],
)
def test_label_falls_back_in_a_fixed_order(
    labels: dict[str, str] | None, language: str, shown: str
) -> None:
    assert localised(labels, language) == shown
