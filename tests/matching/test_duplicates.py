"""Posts and organisations that may be the same twice are found; those that only look alike are not."""

from dataclasses import replace

import numpy as np

from matching.duplicates import (
    Organisation,
    Text,
    find_alike,
    find_alike_organisations,
    find_alike_to,
)
from tests.matching.factories import DIMENSION, SCALE, make_need, make_vectors

RNG = np.random.default_rng(1)
VECTORS = make_vectors(RNG, 40, blank=0)


def near(vector, noise=0.05):
    moved = vector + RNG.normal(0, noise, DIMENSION)
    return (moved / np.linalg.norm(moved)).astype(np.float32)


def exchange():
    """Forty needs of different organisations; two say the same in two languages."""
    posts = [
        make_need(n, organisation=n, language="es", country="PE" if n % 2 else "BO")
        for n in range(1, 41)
    ]
    texts = {post.id: Text(f"Título {post.id}", VECTORS[post.id - 1]) for post in posts}
    twin = replace(posts[0], id=41, reference="need-000041", language="en")
    posts.append(twin)
    texts[41] = Text("Another title altogether", near(VECTORS[0]))
    return posts, texts


def test_a_post_and_its_translation_are_found_with_what_agrees():
    posts, texts = exchange()
    found = [made for made in find_alike(posts, texts, SCALE) if made.b == 41]
    assert (found[0].a, found[0].b) == (1, 41)
    assert found[0].languages == ("es", "en")
    assert found[0].title is None
    assert set(found[0].agrees) >= {"organisation", "country"}


def test_facts_that_differ_tell_like_texts_apart():
    posts, texts = exchange()
    posts[-1] = replace(posts[-1], organisation=99, country="AR")
    assert not [made for made in find_alike(posts, texts, SCALE) if (made.a, made.b) == (1, 41)]


def test_the_question_at_posting_time_gives_the_same_pairs():
    posts, texts = exchange()
    draft = posts[-1]
    expected = tuple(made for made in find_alike(posts, texts, SCALE) if made.b == 41)
    rest = {number: text for number, text in texts.items() if number != 41}
    assert find_alike_to(draft, texts[41], posts[:-1], rest, SCALE) == expected
    assert find_alike_to(draft, texts[41], posts, texts, SCALE) == expected


def test_a_post_without_text_is_like_nothing():
    posts, texts = exchange()
    blank = Text("Título 1", np.zeros(DIMENSION, np.float32))
    assert find_alike_to(posts[0], blank, posts[1:], texts, SCALE) == ()
    texts[1] = blank
    assert not [made for made in find_alike(posts, texts, SCALE) if 1 in (made.a, made.b)]
    assert find_alike([], {}, SCALE) == ()


def test_titles_count_in_one_language():
    a = make_need(1, organisation=1, language="es")
    b = make_need(2, organisation=1, language="es")
    vector, other = VECTORS[0], near(VECTORS[0], 0.1)
    same, apart = (
        find_alike([a, b], {1: Text("Compras verdes", vector), 2: Text(t, other)}, SCALE, 0)[0]
        for t in ("Compras verdes", "Residuos de lámparas")
    )
    assert same.title == 1.0
    assert same.likeness > apart.likeness


def pairs(*organisations):
    return [(made.a, made.b, made.reason) for made in find_alike_organisations(organisations)]


REST = [
    Organisation(90, ("Ministerio de Salud",), country="PE"),
    Organisation(91, ("Ministerio de Turismo",), country="PE"),
    Organisation(92, ("Universidad de Bérgamo",), country="IT"),
    Organisation(93, ("Universidad de Padua",), country="IT"),
    Organisation(94, ("Banco Mundial",), "BM"),
]


def test_spellings_of_one_name_are_found():
    a = Organisation(1, ("Ministerio del Ambiente del Perú",), country="PE")
    b = Organisation(2, ("Ministerio de Ambiente - Peru",), country="PE")
    assert (1, 2, "name") in pairs(a, b, *REST)


def test_an_alias_in_another_language_is_found():
    a = Organisation(1, ("Comisión Económica para América Latina y el Caribe", "ECLAC"), "CEPAL")
    b = Organisation(2, ("Economic Commission for Latin America and the Caribbean",), "ECLAC")
    assert (1, 2, "acronym") in pairs(a, b, *REST)


def test_ministries_of_one_country_and_of_neighbours_are_not_alike():
    a = Organisation(1, ("Ministerio de Ambiente",), country="PE")
    b = Organisation(2, ("Ministerio de Ambiente",), country="BO")
    c = Organisation(3, ("Ministerio de Agricultura",), country="PE")
    assert pairs(a, b, c, *REST) == []


def test_names_in_two_languages_are_found_by_their_meaning():
    vector = VECTORS[3]
    a = Organisation(1, ("Sociedad Nacional de Industrias",), vector=vector)
    b = Organisation(2, ("National Society of Industries",), vector=near(vector, 0.01))
    found = find_alike_organisations([a, b, *REST], SCALE)
    assert [(made.a, made.b, made.reason) for made in found] == [(1, 2, "meaning")]
    assert found[0].names == (a.names[0], b.names[0])


def test_names_of_signs_or_nothing_do_not_break_the_search():
    assert pairs(Organisation(1, ("",)), Organisation(2, ("…",)), Organisation(3, ())) == []
    assert find_alike_organisations([]) == ()
