"""Finding posts: accents, forms, typing errors, languages, shelves, and what is marked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.glossary import Glossary
from matching.search import Document, Passage, SearchIndex, excerpt, mark, query_words

GLOSSARY = Glossary(
    {
        "water": {"es": ["agua potable", "agua"], "en": ["water"], "pt": ["água"], "fr": ["eau"]},
        "procurement": {
            "es": ["compras públicas"],
            "en": ["public procurement"],
            "fr": ["marchés publics"],
        },
    }
)

POSTS = {
    1: ("es", "Capacitación en compras públicas", "Los municipios compran sin criterios."),
    2: ("en", "Clean water for towns", "Wells, pumps and people who keep them."),
    3: ("pt", "Água limpa", "Tratamento de esgoto nas cidades."),
    4: ("en", "Training of buyers", "Public procurement that looks at the whole life cycle."),
    5: ("es", "Residuos sólidos", "Reciclaje y compostaje en los municipios."),
}


def document(number: int, shelf: str = "need", **more: object) -> Document:
    language, title, body = POSTS[number]
    return Document(
        number,
        frozenset({shelf}),
        (Passage(title, language, 3), Passage(body, language, 1)),
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def index() -> SearchIndex:
    found = SearchIndex(GLOSSARY)
    found.put_many(document(number) for number in POSTS)
    return found


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("capacitación", [1]),
        ("CAPACITACION", [1]),
        ("capac", [1]),
        ("municipio", [5, 1]),
        ("residuos solidos", [5]),
        ("resíduos sólidos", [5]),
        ("agua", [3, 2]),
        ("eau", [2, 3]),
        ("compras públicas", [1, 4]),
        ("marchés publics", [1, 4]),
        ("reciclage", [5]),
        ("recilcaje", [5]),
        ("capasitasion", [1]),
        ("los municipios", [1, 5]),
        ("zebra", []),
        ("", []),
        ("¿?", []),
    ],
)
def test_words_find_their_forms_errors_and_translations(index, query, first):
    assert sorted(index.find(query, "need").points) == sorted(first)


def test_the_very_word_in_a_title_stands_before_a_related_one(index):
    assert next(iter(index.find("water", "need").points)) == 2
    assert next(iter(index.find("agua", "need").points)) == 3


def test_a_better_word_is_suggested_where_nothing_is_written_as_typed(index):
    assert index.find("Recilcaje de residuos", "need").corrected == "reciclaje de residuos"
    assert index.find("residuos", "need").corrected == ""


def test_where_no_post_has_all_words_those_with_half_of_them_are_shown(index):
    found = index.find("reciclaje zebra", "need")
    assert found.partly
    assert list(found.points) == [5]
    assert not index.find("reciclaje municipios", "need").partly


def test_a_shelf_neither_shows_nor_hints_at_what_stands_on_another(index):
    index.put(Document(9, frozenset({"need@7"}), (Passage("Secreto plutonio", "es", 3),)))
    assert not index.find("plutonio", "need").points
    found = index.find("plutonip", "need")
    assert found.corrected == ""
    assert found.forms == frozenset()
    assert list(index.find("plutonio", "need@7").points) == [9]


def test_a_stated_theme_finds_a_post_that_has_none_of_its_words(index):
    index.put(
        Document(
            8, frozenset({"need"}), (Passage("Pozos profundos", "es", 3),), frozenset({"water"})
        )
    )
    assert 8 in index.find("drinking water", "need").points
    assert 8 in index.find("agua potable", "need").points


def test_changing_and_removing_leave_no_trace(index):
    index.put(Document(5, frozenset({"need"}), (Passage("Turismo rural", "es", 3),)))
    assert not index.find("residuos", "need").points
    assert list(index.find("turismo", "need").points) == [5]
    index.remove(5)
    index.remove(5)
    assert not index.find("turismo", "need").points
    assert len(index) == 4
    assert 5 not in index


def test_packing_changes_no_answer():
    vector = np.array([0.6, 0.8], np.float32)
    index, fresh = SearchIndex(GLOSSARY), SearchIndex(GLOSSARY)
    for _ in range(600):
        index.put_many(document(number, vector=vector) for number in POSTS)
    fresh.put_many(document(number, vector=vector) for number in POSTS)
    assert len(index._ids) < 1_200
    for query in ("agua", "municipios", "compras"):
        assert index.find(query, "need").points == pytest.approx(
            fresh.find(query, "need").points, rel=1e-5
        )
        assert list(index.find(query, "need", vector).points) == list(
            fresh.find(query, "need", vector).points
        )


def test_meaning_finds_posts_without_a_word_in_common():
    index = SearchIndex(GLOSSARY)
    index.put(document(5, vector=np.array([1.0, 0.0], np.float32)))
    index.put(document(2, vector=np.array([0.0, 1.0], np.float32)))
    found = index.find("basura", "need", np.array([0.9, 0.1], np.float32))
    assert list(found.points) == [5]
    assert found.meant == {5}
    assert not found.partly


def test_the_found_words_are_marked_with_their_accents(index):
    forms = index.find("publicas", "need").forms
    assert mark("Las compras públicas.", forms) == [
        ("Las compras ", False),
        ("públicas", True),
        (".", False),
    ]


def test_an_excerpt_shows_where_the_words_stand():
    text = "Nothing here. " * 40 + "A pump brings water to the town. " + "More of the same. " * 40
    shown = excerpt(text, frozenset({"pump", "water"}), 100)
    assert "pump brings water" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) <= 102
    assert excerpt(text, frozenset({"zebra"})) == ""


@given(st.text(max_size=60))
def test_any_query_gets_an_answer(query):
    index = SearchIndex(GLOSSARY)
    index.put_many(document(number) for number in POSTS)
    found = index.find(query, "need")
    assert set(found.points) <= set(POSTS)
    assert len(query_words(query)) <= 12


@given(st.text(max_size=300), st.sets(st.text(min_size=1, max_size=5), max_size=4))
def test_marking_loses_no_letter(text, forms):
    assert "".join(piece for piece, _found in mark(text, frozenset(forms))) == text
