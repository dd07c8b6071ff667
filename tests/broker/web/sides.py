"""The two sides of a match, each with a browser, and their agreement at any point of its life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient

from broker import agreements
from broker.exchange import Exchange
from models import Agreement, AgreementStatus, Match, User
from tests.broker.factories import days

NEED_TITLE, OFFER_TITLE = "Train public buyers", "Toolkit for buyers"

FOLLOW_UP = {
    "milestones": [
        {"title": "First workshop", "due": days(-3).isoformat()},
        {"title": "Second workshop", "due": days(90).isoformat()},
    ],
    "indicators": [{"name": "Buyers trained", "unit": "people", "baseline": 0, "target": 20}],
}


@dataclass
class Sides:
    """A match that both sides want, and a browser for each of them."""

    exchange: Exchange
    match_id: int
    need_id: int
    offer_id: int
    asking: FlaskClient
    giving: FlaskClient
    asking_user: User
    giving_user: User

    def terms(self, **changes: Any) -> dict[str, Any]:
        return {
            "title": "Training of buyers",
            "activities": "Two workshops of three days in Lima.",
            "starts": days(10).isoformat(),
            "ends": days(200).isoformat(),
            "places": "20",
            "money": "5000",
            "currency": "USD",
            **changes,
        }

    def propose(self, client: FlaskClient | None = None, **changes: Any) -> Any:
        return (client or self.asking).post(
            f"/agreements/new?match={self.match_id}", data=self.terms(**changes)
        )

    def agreement(self, status: AgreementStatus, **terms: Any) -> int:
        """An agreement led through its life by the use cases; gives its number."""
        order = list(AgreementStatus)
        with self.exchange.writing() as session:
            match = session.get_one(Match, self.match_id)
            asking = session.get_one(User, self.asking_user.id)
            giving = session.get_one(User, self.giving_user.id)
            agreement = agreements.propose_agreement(
                session, asking, match, self.terms(**terms), self.exchange.reference, today=days(0)
            )
            if status != AgreementStatus.PROPOSED:
                agreements.accept_terms(session, giving, agreement, 1)
            if order.index(status) >= order.index(AgreementStatus.SIGNED):
                agreements.sign_agreement(session, asking, agreement, 1)
                agreements.sign_agreement(session, giving, agreement, 1)
            if order.index(status) >= order.index(AgreementStatus.ACTIVE):
                agreements.start_agreement(session, asking, agreement)
            session.flush()
            return agreement.id

    def now(self, agreement_id: int) -> Agreement:
        with self.exchange.reading() as session:
            agreement = session.get_one(Agreement, agreement_id, options=agreements.WHOLE)
            session.expunge_all()
            return agreement
