"""What the demonstration does beyond loading its files."""

from broker.board import list_prices
from broker.demonstration import clear_example
from models import Role
from tests.broker.factories import make_person, post_need, post_offer


def test_the_exchange_is_cleared_once_so_that_what_is_scarce_has_a_price(exchange):
    with exchange.writing() as session:
        assert clear_example(exchange, session) is None, "nobody of the secretariat yet"
        make_person(session, Role.SECRETARIAT)
        post_need(session, "gov-pe", places_wanted=10)
        post_need(session, "gov-co", places_wanted=10)
        offer = post_offer(session, places=10)
    with exchange.writing() as session:
        assert clear_example(exchange, session).proposals == []
        session.flush()
        assert [price.offer.id for price in list_prices(session).prices] == [offer.id]
        assert clear_example(exchange, session) is None
