"""Notices: when a letter goes out, and what becomes of it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from models import Frequency, Letter, Notice, utc_now
from tests.factories import make_user

WEDNESDAY = datetime(2026, 3, 18, 9, 30, tzinfo=UTC)


class TestFrequency:
    @pytest.mark.parametrize(
        ("frequency", "moment"),
        [
            (Frequency.AT_ONCE, WEDNESDAY),
            (Frequency.DAILY, datetime(2026, 3, 19, 6, tzinfo=UTC)),
            (Frequency.WEEKLY, datetime(2026, 3, 23, 6, tzinfo=UTC)),
            (Frequency.NEVER, None),
        ],
    )
    def test_says_when_the_next_letter_goes_out(self, frequency, moment):
        assert frequency.next_moment(WEDNESDAY, 6) == moment

    def test_before_the_hour_it_is_still_today(self):
        assert Frequency.DAILY.next_moment(WEDNESDAY, 10) == WEDNESDAY.replace(hour=10, minute=0)
        monday = datetime(2026, 3, 23, 5, tzinfo=UTC)
        assert Frequency.WEEKLY.next_moment(monday, 6) == monday.replace(hour=6)
        assert Frequency.WEEKLY.next_moment(monday, 5) == monday + timedelta(days=7)


class TestLetter:
    def test_it_is_over_once_it_was_sent_or_given_up(self):
        letter = Letter(next_at=WEDNESDAY)
        letter.put_off(WEDNESDAY + timedelta(minutes=2), "451 Busy")
        assert (letter.next_at, letter.problem) == (WEDNESDAY + timedelta(minutes=2), "451 Busy")
        letter.close_sent(WEDNESDAY)
        assert (letter.next_at, letter.sent_at, letter.problem) == (None, WEDNESDAY, "")
        given_up = Letter(next_at=WEDNESDAY)
        given_up.give_up("550 No such person")
        assert (given_up.next_at, given_up.sent_at) == (None, None)


@pytest.mark.usefixtures("backend")
def test_one_event_is_kept_once_for_a_person(session):
    user, other = make_user(session), make_user(session)
    facts = {"kind": "post.published", "entity": "need", "entity_id": 1, "once": "published:1"}
    session.add_all([Notice(user_id=user.id, **facts), Notice(user_id=other.id, **facts)])
    # Events without a name can be told again.
    session.add_all([Notice(user_id=user.id, **{**facts, "once": None}) for _ in range(2)])
    session.flush()
    with pytest.raises(IntegrityError), session.begin_nested():
        session.add(Notice(user_id=user.id, **facts, created_at=utc_now()))
