"""The book ranks, runs and changes as a full computation on a new book would."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching import (
    MICRO,
    Bands,
    BlockResult,
    MatchTable,
    ProfileError,
    UnknownPost,
    complete,
    gather,
    run_blocks,
    score_block,
    score_pair,
    why_not,
)
from tests.matching.factories import (
    COUNTRIES,
    DIMENSION,
    SCALE,
    TAXONOMY,
    TODAY,
    make_book,
    make_need,
    make_offer,
    make_vectors,
    needs,
    offers,
    random_book,
    random_need,
    random_offer,
)


def full_ranking(book, vectors_of, need, k, apart=frozenset()):
    """The best k offers by scoring every pair on its own."""
    ours = SCALE.to_grid(vectors_of[0][need.id])
    found = []
    for offer in book.offers:
        if why_not(need, offer, TAXONOMY, on=TODAY, conflicts=apart):
            continue
        alike = SCALE.likeness_of(ours, SCALE.to_grid(vectors_of[1][offer.id]))
        total = score_pair(need, offer, TAXONOMY, book.weights, alike).total
        found.append((-total, offer.reference, offer.id))
    return [(number, -total) for total, _, number in sorted(found)[:k]]


def filled(seed, count_needs, count_offers, fullness=0.6):
    """A book, and the vectors that were put in it by side and id."""
    rng = np.random.default_rng(seed)
    ours = [random_need(rng, number, fullness) for number in range(1, count_needs + 1)]
    theirs = [random_offer(rng, number, fullness) for number in range(1, count_offers + 1)]
    a, b = make_vectors(rng, count_needs), make_vectors(rng, count_offers)
    book = make_book()
    book.put_needs(ours, a)
    book.put_offers(theirs, b)
    return book, (
        {post.id: row for post, row in zip(ours, a, strict=True)},
        {post.id: row for post, row in zip(theirs, b, strict=True)},
    )


def pairs_of(ranking):
    return [(match.offer_id, match.micro_points) for match in ranking]


@pytest.mark.parametrize("fullness", [0.0, 0.5, 1.0])
def test_a_run_a_ranking_and_a_full_computation_agree(fullness):
    book, vectors = filled(3, 60, 150, fullness)
    run = book.run(20, on=TODAY)
    for need in book.needs:
        expected = full_ranking(book, vectors, need, 20)
        assert pairs_of(book.rank_offers(need.id, 20, on=TODAY)) == expected
        rows = run.table.of_need(need.id)
        assert list(zip(rows.offer_ids.tolist(), rows.scores.tolist(), strict=True)) == expected


def test_explanation_and_list_agree_to_the_last_digit():
    book = random_book(4, 20, 60)
    for need in book.needs:
        for match in book.rank_offers(need.id, 5, on=TODAY):
            told = book.explain(need.id, match.offer_id, on=TODAY)
            assert told.micro_points == match.micro_points
            assert told.band == match.band
            assert told.failures == ()


def test_needs_of_an_offer_are_ranked_by_the_same_scores():
    book = random_book(5, 80, 40)
    for offer in book.offers[:10]:
        ranking = book.rank_needs(offer.id, 10, on=TODAY)
        every = [
            (-match.micro_points, book.need(match.need_id).reference)
            for need in book.needs
            for match in book.rank_offers(need.id, 1000, on=TODAY)
            if match.offer_id == offer.id
        ]
        assert [
            (-match.micro_points, book.need(match.need_id).reference) for match in ranking
        ] == sorted(every)[:10]
        assert ranking.eligible == len(every)


def test_a_preview_is_what_the_post_would_get_and_changes_nothing():
    book, (ours, theirs) = filled(6, 30, 50)
    need, offer = book.needs[3], book.offers[5]
    before = book.run(5, on=TODAY).table.to_bytes()
    draft = replace(need, published=False)
    assert book.preview(draft, ours[need.id], on=TODAY) == book.rank_offers(need.id, on=TODAY)
    assert book.preview(offer, theirs[offer.id], on=TODAY) == book.rank_needs(offer.id, on=TODAY)
    assert book.run(5, on=TODAY).table.to_bytes() == before


@pytest.mark.slow
@settings(max_examples=30)
@given(st.data())
def test_any_sequence_of_edits_gives_the_book_that_a_rebuilt_one_would_be(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    book = make_book()
    ours, theirs = {}, {}
    for _ in range(data.draw(st.integers(1, 25))):
        number = data.draw(st.integers(1, 6))
        vector = make_vectors(rng, 1)[0]
        step = data.draw(st.sampled_from(["need", "offer", "drop need", "drop offer"]))
        if step == "need":
            post = data.draw(needs(number))
            book.put_need(post, vector)
            ours[number] = (post, vector)
        elif step == "offer":
            post = data.draw(offers(number))
            book.put_offer(post, vector)
            theirs[number] = (post, vector)
        elif step == "drop need" and number in ours:
            book.remove_need(number)
            del ours[number]
        elif step == "drop offer" and number in theirs:
            book.remove_offer(number)
            del theirs[number]
    new = make_book()
    for post, vector in reversed(ours.values()):
        new.put_need(post, vector)
    for post, vector in theirs.values():
        new.put_offer(post, vector)
    assert new.needs == book.needs
    assert new.offers == book.offers
    assert new.run(3, on=TODAY) == book.run(3, on=TODAY)
    for number in ours:
        assert new.rank_offers(number, 3, on=TODAY) == book.rank_offers(number, 3, on=TODAY)
    for number in theirs:
        assert new.rank_needs(number, 3, on=TODAY) == book.rank_needs(number, 3, on=TODAY)


def test_a_run_does_not_depend_on_block_size_workers_or_order_of_blocks():
    book = random_book(7, 200, 300)
    whole = book.run(20, on=TODAY)
    for rows in (1, 7, 64):
        plan = book.plan(20, on=TODAY, rows=rows)
        results = [score_block(plan, block.number) for block in reversed(plan.blocks)]
        assert gather(plan, results) == whole
    assert book.run(20, on=TODAY, workers=3) == whole


def test_a_run_can_be_interrupted_stored_and_resumed_elsewhere():
    book = random_book(8, 120, 80)
    plan = book.plan(5, on=TODAY, rows=16)
    half = []
    for result in run_blocks(plan):
        half.append(result.to_bytes())
        if len(half) == len(plan.blocks) // 2:
            break
    told = []
    resumed = complete(
        pickle.loads(pickle.dumps(plan)),
        done=[BlockResult.from_bytes(stored) for stored in half],
        progress=lambda done, total: told.append((done, total)),
    )
    assert resumed.table.to_bytes() == book.run(5, on=TODAY).table.to_bytes()
    assert len(told) == len(plan.blocks) - len(half)
    assert told[-1] == (len(plan.needs), len(plan.needs))
    assert told == sorted(told)


def test_other_processes_find_the_same_as_threads():
    book = random_book(23, 60, 60)
    plan = book.plan(5, on=TODAY, rows=16)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        results = list(run_blocks(plan, executor=pool, workers=2))
    assert gather(plan, results) == book.run(5, on=TODAY)


def test_results_of_another_plan_are_refused():
    book = random_book(9, 40, 40)
    plan = book.plan(5, on=TODAY, rows=8)
    with pytest.raises(ValueError, match="blocks"):
        gather(plan, [score_block(plan, 0)])


def test_a_run_sees_the_book_as_it_was_when_it_was_planned():
    book = random_book(10, 30, 30)
    before = book.run(5, on=TODAY)
    plan = book.plan(5, on=TODAY)
    for offer in book.offers[:10]:
        book.remove_offer(offer.id)
    assert complete(plan).table.to_bytes() == before.table.to_bytes()
    assert book.run(5, on=TODAY).table.to_bytes() != before.table.to_bytes()


def test_the_digest_names_every_input_of_a_run():
    book, (ours, _) = filled(11, 10, 10)
    first = book.run(5, on=TODAY).versions.digest
    assert book.run(5, on=TODAY).versions.digest == first
    assert book.run(6, on=TODAY).versions.digest != first
    assert book.run(5, on=TODAY + timedelta(days=1)).versions.digest != first
    book.keep_apart(dismissed={(1, 1)})
    assert book.run(5, on=TODAY).versions.digest != first
    book.keep_apart(dismissed=())
    assert book.run(5, on=TODAY).versions.digest == first
    need = book.need(1)
    book.put_need(need, ours[1] * np.float32(0.5))
    assert book.run(5, on=TODAY).versions.digest != first
    book.put_need(need, ours[1])
    assert book.run(5, on=TODAY).versions.digest == first


def test_equal_scores_are_ordered_by_reference_then_id():
    book = make_book()
    book.put_need(make_need(1, country="PE"), None)
    for number, reference in ((5, "b"), (3, "c"), (9, "a"), (7, "a")):
        book.put_offer(replace(make_offer(number), reference=reference), None)
    assert [match.offer_id for match in book.rank_offers(1, 3, on=TODAY)] == [7, 9, 5]
    assert book.run(3, on=TODAY).table.offer_ids.tolist() == [7, 9, 5]


def test_thousands_of_identical_posts_are_ranked_by_their_names():
    book = make_book()
    vector = make_vectors(np.random.default_rng(1), 1, blank=0)
    count = 1500
    book.put_needs(
        [make_need(number, country="PE") for number in range(1, 41)], vector.repeat(40, axis=0)
    )
    book.put_offers(
        [make_offer(number) for number in range(count, 0, -1)], vector.repeat(count, axis=0)
    )
    run = book.run(20, on=TODAY)
    assert run.table.of_need(7).offer_ids.tolist() == list(range(1, 21))
    assert len(set(run.table.scores.tolist())) == 1


def test_an_organisation_with_hundreds_of_posts_on_both_sides_never_serves_itself():
    book = make_book()
    book.put_needs([make_need(n, organisation=n % 3) for n in range(1, 301)], None)
    book.put_offers([make_offer(n, organisation=n % 3) for n in range(1, 301)], None)
    run = book.run(400, on=TODAY)
    ours, theirs = run.table.need_ids % 3, run.table.offer_ids % 3
    assert not ((ours == theirs) & (ours != 0)).any()
    # The posts of the first are of no organisation that is known: they meet all.
    assert len(run.table) == run.eligible_pairs == 300 * 300 - 2 * 100 * 100


def test_pairs_that_are_kept_apart_appear_nowhere():
    book, vectors = filled(12, 20, 60)
    need = next(post for post in book.needs if book.rank_offers(post.id, on=TODAY).eligible > 3)
    best = [match.offer_id for match in book.rank_offers(need.id, 3, on=TODAY)]
    book.keep_apart(conflicts={(need.id, best[0])}, dismissed={(need.id, best[2])})
    expected = full_ranking(book, vectors, need, 20, {(need.id, best[0]), (need.id, best[2])})
    assert pairs_of(book.rank_offers(need.id, 20, on=TODAY)) == expected
    rows = book.run(20, on=TODAY).table.of_need(need.id)
    assert rows.offer_ids.tolist() == [number for number, _ in expected]
    assert need.id not in [match.need_id for match in book.rank_needs(best[0], on=TODAY)]
    failures = book.why_not(need.id, best[0], on=TODAY).failures
    assert [failure.rule for failure in failures] == ["conflict"]


def test_why_not_names_the_rules_and_the_rank_without_them():
    book, _ = filled(13, 30, 80)
    seen = 0
    for need in book.needs:
        ranking = book.rank_offers(need.id, 1000, on=TODAY)
        for place, match in enumerate(ranking, start=1):
            answer = book.why_not(need.id, match.offer_id, on=TODAY)
            assert (answer.failures, answer.rank) == ((), place)
        possible = {match.offer_id for match in ranking}
        for offer in book.offers[:10]:
            if offer.id not in possible:
                answer = book.why_not(need.id, offer.id, on=TODAY)
                assert answer.failures
                assert answer.eligible == ranking.eligible
                better = [match for match in ranking if match.micro_points > answer.micro_points]
                assert answer.rank > len(better)
                seen += 1
    assert seen > 20


def test_the_ledger_accounts_for_every_offer():
    book, _ = filled(14, 20, 60)
    book.remove_offer(60)
    for need in book.needs:
        ledger = book.ledger(need.id, on=TODAY)
        ranking = book.rank_offers(need.id, on=TODAY)
        assert ledger.eligible == ranking.eligible
        assert ledger.eligible + ledger.excluded == 59
        for rule, ids in ledger.by_rule.items():
            for number in ids:
                rules = [
                    failure.rule for failure in book.why_not(need.id, number, on=TODAY).failures
                ]
                assert rule in rules
        assert sum(ledger.counts.values()) >= ledger.excluded


def test_all_pairs_lists_the_possible_first_then_the_others_by_score():
    book, _ = filled(15, 5, 40)
    for need in book.needs:
        ranking = book.rank_offers(need.id, 100, on=TODAY, all_pairs=True)
        assert len(ranking) == 40
        possible = [match for match in ranking if match.eligible]
        assert ranking.matches[: len(possible)] == tuple(possible)
        assert tuple(possible) == book.rank_offers(need.id, 100, on=TODAY).matches
        rest = [match.micro_points for match in ranking if not match.eligible]
        assert rest == sorted(rest, reverse=True)


def test_a_need_that_nobody_can_serve_is_told_so():
    book = make_book(bands=Bands(strong=80, good=60, possible=50))
    book.put_need(make_need(1, country="PE", themes=frozenset({"water"})), None)
    book.put_offer(make_offer(1, themes=frozenset({"tourism"})), None)
    ranking = book.rank_offers(1, on=TODAY)
    assert ranking.nobody
    assert [match.band for match in ranking] == ["weak"]
    run = book.run(on=TODAY)
    assert run.nobody == (1,)
    assert len(run.matches) == 0
    assert len(run.table) == 1


def test_closed_needs_are_counted_apart_from_those_that_nobody_serves():
    book = make_book()
    book.put_need(make_need(1, closes=TODAY - timedelta(days=1)), None)
    book.put_need(make_need(2, published=False), None)
    book.put_need(make_need(3), None)
    run = book.run(on=TODAY)
    assert run.not_open == (1, 2)
    assert run.nobody == (3,)


@pytest.mark.parametrize(("count_needs", "count_offers"), [(0, 0), (0, 3), (3, 0), (1, 1)])
def test_books_with_little_in_them_run(count_needs, count_offers):
    book = random_book(16, count_needs, count_offers)
    run = book.run(on=TODAY)
    assert len(run.table) <= count_needs * count_offers
    for need in book.needs:
        book.rank_offers(need.id, on=TODAY)
        book.ledger(need.id, on=TODAY)
    for offer in book.offers:
        book.rank_needs(offer.id, on=TODAY)


@pytest.mark.parametrize("k", [1, 500])
def test_any_number_of_best_offers_can_be_asked_for(k):
    book, vectors = filled(17, 12, 300)
    run = book.run(k, on=TODAY)
    for need in book.needs:
        expected = full_ranking(book, vectors, need, k)
        assert pairs_of(book.rank_offers(need.id, k, on=TODAY)) == expected
        assert run.table.of_need(need.id).offer_ids.tolist() == [n for n, _ in expected]


def test_asking_for_no_offer_at_all_is_refused():
    book = random_book(17, 2, 2)
    with pytest.raises(ValueError, match="at least 1"):
        book.run(0, on=TODAY)
    with pytest.raises(ValueError, match="at least 1"):
        book.rank_offers(1, 0, on=TODAY)


def test_posts_that_state_nothing_rank_by_text_alone():
    book = make_book()
    vectors = make_vectors(np.random.default_rng(18), 41, blank=0)
    book.put_need(make_need(1), vectors[0])
    book.put_offers([make_offer(number) for number in range(1, 41)], vectors[1:])
    ranking = book.rank_offers(1, 40, on=TODAY)
    inner = SCALE.to_grid(vectors[1:]) @ SCALE.to_grid(vectors[0])
    likeness = SCALE.likeness(inner)
    order = sorted(range(40), key=lambda row: (-likeness[row], row))
    assert [match.offer_id for match in ranking] == [row + 1 for row in order]


@pytest.mark.parametrize(
    "vector",
    [
        np.full(DIMENSION, np.nan),
        np.full(DIMENSION, np.inf),
        np.ones(DIMENSION),
        np.zeros(DIMENSION + 1),
    ],
)
def test_a_bad_vector_is_refused_and_the_book_left_as_it_was(vector):
    book = random_book(19, 5, 5)
    before = book.run(on=TODAY).versions.digest
    with pytest.raises(ProfileError) as error:
        book.put_need(make_need(1), vector)
    assert error.value.code == "bad_vector"
    assert book.run(on=TODAY).versions.digest == before


def test_unknown_codes_and_unknown_posts_are_refused():
    book = random_book(20, 2, 2)
    with pytest.raises(ProfileError):
        book.put_offer(make_offer(9, themes=frozenset({"nonsense"})), None)
    with pytest.raises(UnknownPost):
        book.remove_offer(9)
    with pytest.raises(UnknownPost):
        book.rank_offers(9, on=TODAY)
    with pytest.raises(UnknownPost):
        book.explain(1, 9, on=TODAY)
    assert len(book.offers) == 2


def test_a_post_that_is_put_again_replaces_itself_and_a_freed_row_is_used_again():
    book = make_book()
    for number in range(1, 200):
        book.put_offer(make_offer(number, serves_countries=frozenset({"PE"})), None)
        if number > 3:
            book.remove_offer(number)
    book.put_need(make_need(1, country="BO"), None)
    assert book.rank_offers(1, on=TODAY).eligible == 0
    book.put_offer(make_offer(2, serves_countries=frozenset({"BO"})), None)
    assert [match.offer_id for match in book.rank_offers(1, on=TODAY)] == [2]
    assert len(book.offers) == 3
    assert len(book._offers.profiles) == 4


def test_posts_keep_their_order_through_renaming_and_putting_many_again():
    book = random_book(22, 0, 30)
    for number in (3, 17, 30):
        book.put_offer(replace(book.offer(number), reference=f"a-{number}"), None)
    book.put_offers([replace(book.offer(n), reference=f"z-{n}") for n in (5, 17, 29)], None)
    book.remove_offer(5)
    references = [offer.reference for offer in book.offers]
    assert references == sorted(references)
    assert len(references) == 29
    assert {"a-3", "a-30", "z-17", "z-29"} <= set(references)


def test_tables_survive_as_bytes():
    table = random_book(21, 10, 10).run(on=TODAY).table
    again = MatchTable.from_bytes(table.to_bytes())
    assert again.to_bytes() == table.to_bytes()
    assert again.points.tolist() == [score / MICRO for score in again.scores.tolist()]


def test_an_offer_to_all_reaches_every_country_and_one_from_home_only_others():
    book = make_book()
    book.put_offer(make_offer(1, organisation_country="PE"), None)
    for number, country in enumerate(COUNTRIES, start=1):
        book.put_need(make_need(number, country=country), None)
    served = set(book.run(on=TODAY).table.need_ids.tolist())
    assert {book.need(number).country for number in served} == set(COUNTRIES) - {"PE"}


def test_a_regional_need_is_reached_through_the_providers_own_country():
    book = make_book()
    book.put_offer(
        make_offer(1, organisation_country="PE", serves_countries=frozenset({"PE", "AR"})), None
    )
    book.put_need(make_need(1, subregion="andean"), None)
    assert len(book.run(on=TODAY).table) == 1
    assert book.rank_offers(1, on=TODAY).eligible == 1
