"""Replaying a stored run: the same bytes from the same input, and what changed where it is not."""

import pytest

from broker.posts import edit_post
from broker.replay import change_sentences, replay_run
from broker.runs import get_run, run_matching
from broker.weights import adopt_weights, percents
from matching import Weights
from models import Need, Role
from tests.broker.factories import make_person, post_need, post_offer


@pytest.fixture
def run_id(exchange):
    """Number of a run over two needs and three offers."""
    with exchange.writing() as session:
        for title in ("Train public buyers", "Green tenders"):
            post_need(session, title=title)
        for title in ("Toolkit for buyers", "Course on tenders", "Green purchasing"):
            post_offer(session, title=title)
    with exchange.writing() as session:
        return run_matching(exchange, session, None).id


def _replay(exchange, run_id):
    with exchange.reading() as session:
        replay = replay_run(exchange, session, get_run(session, run_id))
        session.expunge_all()
    return replay


def test_unchanged_posts_give_the_same_bytes(exchange, run_id):
    replay = _replay(exchange, run_id)
    assert replay.verdict == "same"
    assert replay.difference.stayed == 6
    assert (replay.difference.entered, replay.difference.left, replay.difference.moved) == (
        (),
        (),
        (),
    )
    assert change_sentences(replay) == []


def test_other_weights_in_force_do_not_change_an_earlier_run(exchange, run_id):
    shares = {**{name: str(share) for name, share in percents(Weights()).items()}, "theme": "60"}
    shares["text"] = "0"
    with exchange.writing() as session:
        by = make_person(session, Role.SECRETARIAT)
        adopt_weights(
            session, by, {**shares, "reason": "Trial", "replaces": "0"}, exchange.reference
        )
    assert _replay(exchange, run_id).verdict == "same"


def test_a_new_offer_and_an_edited_need_are_named(exchange, run_id):
    with exchange.writing() as session:
        offer = post_offer(session, title="Newcomer")
        need = session.get(Need, get_run(session, run_id).need_ids[0])
        by = make_person(session, Role.FOCAL_POINT)
        edit_post(session, by, need, {"title": "Train buyers of Lima"}, exchange.reference)
        offer_id, need_id = offer.id, need.id
    replay = _replay(exchange, run_id)
    assert replay.verdict == "changed"
    assert replay.changes.new == (offer_id,)
    assert replay.changes.edited == (need_id,)
    assert {move.offer_id for move in replay.difference.entered} == {offer_id}
    assert change_sentences(replay) == [
        "1 post has come to the exchange.",
        "1 post has changed.",
    ]


def test_another_result_of_the_same_input_is_an_error(exchange, run_id):
    with exchange.writing() as session:
        get_run(session, run_id).result_digest = "0" * 64
    assert _replay(exchange, run_id).verdict == "broken"


def test_an_older_engine_is_named(exchange, run_id):
    with exchange.writing() as session:
        run = get_run(session, run_id)
        run.engine_version, run.input_digest = "0.9", "0" * 64
    replay = _replay(exchange, run_id)
    assert replay.verdict == "changed"
    assert change_sentences(replay)[0].endswith("it was 0.9.")


def test_the_page_of_a_replay_says_that_the_bytes_are_the_same(exchange, run_id, sign_in):
    page = sign_in(Role.SECRETARIAT).get(f"/secretariat/runs/{run_id}/replay")
    assert page.status_code == 200
    assert "byte for byte" in page.text
