"""Ratings of completed agreements: who gives, who reads, and when an average is shown."""

from __future__ import annotations

import pytest

from broker.ratings import average_rating
from models import (
    Agreement,
    AgreementParty,
    AgreementRating,
    AgreementStatus,
    Match,
    Role,
    User,
)
from tests.broker.factories import find_organisation
from tests.broker.web.sides import Sides

GOOD = {"score": "4", "comment": "Trainers came well prepared"}


@pytest.fixture
def completed(sides: Sides) -> int:
    number = sides.agreement(AgreementStatus.ACTIVE)
    sides.giving.post(f"/agreements/{number}/complete", data={"report": "All were trained."})
    return number


def test_each_side_rates_a_completed_agreement_once(sides: Sides, completed: int) -> None:
    address = f"/agreements/{completed}/rate"
    assert "Rate the cooperation" in sides.asking.get(f"/agreements/{completed}").text
    assert sides.asking.get(address).status_code == 200
    assert sides.asking.post(address, data=GOOD).status_code == 302
    assert sides.asking.get(address).status_code == 409
    assert sides.asking.post(address, data=GOOD).status_code == 409
    assert f'href="{address}"' not in sides.asking.get(f"/agreements/{completed}").text
    assert sides.giving.post(address, data={"score": "5"}).status_code == 302
    assert [rating.score for rating in sides.now(completed).ratings] == [4, 5]


def test_ratings_are_for_parties_and_moderators(
    sides: Sides, completed: int, client, sign_in
) -> None:
    sides.asking.post(f"/agreements/{completed}/rate", data=GOOD)
    page = f"/agreements/{completed}"
    for reader in (sides.giving, sign_in(Role.SECRETARIAT)):
        assert "well prepared" in reader.get(page).text
    for reader in (client, sign_in(Role.PROVIDER)):
        assert "well prepared" not in reader.get(page).text
    assert sign_in(Role.PROVIDER).post(f"{page}/rate", data=GOOD).status_code == 403


@pytest.mark.parametrize("score", ["0", "6", "", "good", "4.5"])
def test_a_score_that_is_none_keeps_the_comment(sides: Sides, completed: int, score: str) -> None:
    answer = sides.asking.post(f"/agreements/{completed}/rate", data={**GOOD, "score": score})
    assert answer.status_code == 422
    assert "well prepared" in answer.text


def test_an_agreement_under_way_is_not_rated(sides: Sides) -> None:
    number = sides.agreement(AgreementStatus.ACTIVE)
    assert sides.asking.get(f"/agreements/{number}/rate").status_code == 409
    assert sides.asking.post(f"/agreements/{number}/rate", data=GOOD).status_code == 409


def test_an_average_is_shown_from_three_ratings_of_others_on(
    sides: Sides, completed: int, client
) -> None:
    sides.asking.post(f"/agreements/{completed}/rate", data=GOOD)
    sides.giving.post(f"/agreements/{completed}/rate", data={"score": "1"})
    for score, enough in ((5, False), (2, True)):
        with sides.exchange.writing() as session:
            match = session.get_one(Match, sides.match_id)
            asking, giving = (
                find_organisation(session, code) for code in ("gov-pe", "tf-procurement")
            )
            session.add(
                Agreement(
                    reference=f"AG-earlier-{score}",
                    need=match.need,
                    offer=match.offer,
                    status=AgreementStatus.COMPLETED,
                    parties=[
                        AgreementParty(organisation=asking, role="need_side"),
                        AgreementParty(organisation=giving, role="offer_side"),
                    ],
                    ratings=[
                        AgreementRating(
                            organisation=asking,
                            score=score,
                            by=session.get_one(User, sides.asking_user.id),
                        )
                    ],
                )
            )
            session.flush()
            found = average_rating(session, giving)
            assert average_rating(session, asking) is None
            assert (found is not None) == enough
    assert found is not None
    assert (found.count, round(found.score, 2)) == (3, 3.67)
