"""The text model: what likeness means, and that nothing that people write can break it."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching import centre
from matching.glossary import Glossary, Mention
from matching.text import TextModel, Vector, nearest_sentences
from matching.words import (
    SENTENCE_LENGTH,
    SENTENCE_LIMIT,
    guess_language,
    shared_words,
    split_sentences,
    stem,
)

GLOSSARY = {
    "water": {"es": ["agua potable"], "en": ["drinking water"], "pt": ["água potável"]},
    "waste_management": {"es": ["residuos sólidos"], "en": ["solid waste"]},
}

ODD_TEXTS = {
    "empty": "",
    "blank": " \n\t ",
    "one word": "agua",
    "digits": "2030 12,5 %",
    "emoji": "🌱🌍",
    "control characters": "\x00\x07\x1b",
    "unpaired surrogate": "agua \ud800 potable",
    "Arabic": "نحتاج إلى دعم تقني لإدارة المياه",
    "Chinese": "我们需要水资源管理方面的技术支持",
    "very long": "Necesitamos agua potable para las escuelas rurales. " * 2_000,
    "one very long word": "a" * 100_000,
}
SILENT = {"empty", "blank", "digits", "emoji", "control characters"}


@pytest.fixture
def words_only() -> TextModel:
    return TextModel(None, GLOSSARY)


@pytest.fixture
def model() -> TextModel:
    return TextModel(centre.ENCODER, GLOSSARY)


def some_vector(seed: int = 0) -> Vector:
    """A vector such as an encoder gives, of length 1."""
    vector = np.random.default_rng(seed).normal(size=centre.ENCODER_DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def likeness(model: TextModel, need: str, offer: str) -> float:
    a = model.features(need, "", None, "need", None)
    b = model.features(offer, "", None, "offer", None)
    return float(model.calibrate(float(a @ b)))


# What the features are


@pytest.mark.parametrize("name", ODD_TEXTS)
@pytest.mark.parametrize("encoder_name", [None, centre.ENCODER])
def test_every_text_has_a_defined_vector(name: str, encoder_name: str | None) -> None:
    model = TextModel(encoder_name, GLOSSARY)
    vector = some_vector() if encoder_name else None
    features = model.features("", ODD_TEXTS[name], None, "need", vector)
    assert features.shape == (model.dimension,)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.linalg.norm(features) == pytest.approx(0 if name in SILENT else 1)
    assert bool(model.states(features)) == (name not in SILENT)


def test_a_silent_text_is_like_nothing(model: TextModel) -> None:
    silent = model.features("", "", "es", "need", some_vector())
    offer = model.features("Agua potable", "", "es", "offer", some_vector(1))
    assert float(model.calibrate(float(silent @ offer))) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_unusable_vector_says_nothing(model: TextModel, value: float) -> None:
    vector = some_vector()
    vector[3] = value
    assert not model.states(model.features("Agua", "", "es", "need", vector))


def test_vectors_belong_to_the_encoder(model: TextModel, words_only: TextModel) -> None:
    with pytest.raises(ValueError, match="belong to a model with an encoder"):
        model.features("Agua", "", "es", "need", None)
    with pytest.raises(ValueError, match="belong to a model with an encoder"):
        words_only.features("Agua", "", "es", "need", some_vector())
    with pytest.raises(ValueError, match="shape"):
        model.features("Agua", "", "es", "need", some_vector()[:10])


def test_an_encoder_without_means_is_refused() -> None:
    with pytest.raises(ValueError, match="other-encoder"):
        TextModel("other-encoder")


@pytest.mark.parametrize("encoder_name", [None, centre.ENCODER])
def test_features_are_the_same_one_by_one_and_together(encoder_name: str | None) -> None:
    model = TextModel(encoder_name, GLOSSARY)
    titles = ["Agua potable", "Residuos", ""]
    bodies = ["", "Plan de residuos sólidos", ""]
    languages = ["es", None, None]
    vectors = np.stack([some_vector(i) for i in range(3)]) if encoder_name else None
    together = model.features_many(titles, bodies, languages, "offer", vectors)
    for i in range(3):
        alone = model.features(
            titles[i], bodies[i], languages[i], "offer", None if vectors is None else vectors[i]
        )
        assert (together[i] == alone).all()


def test_an_unstated_language_is_guessed(model: TextModel) -> None:
    text = "Formação de compradores públicos em licitações"
    guessed = model.features(text, "", None, "need", some_vector())
    stated = model.features(text, "", "pt", "need", some_vector())
    unknown = model.features(text, "", "de", "need", some_vector())
    assert (guessed == stated).all()
    assert (unknown == stated).all()


def test_the_mean_of_a_language_and_side_is_what_is_subtracted() -> None:
    model = TextModel(centre.ENCODER)
    mean = centre.mean("fr", "offer").astype(np.float32)
    features = model.features("Eau", "", "fr", "offer", mean)
    assert not features.any()


def test_the_version_names_encoder_numbers_and_glossary(
    model: TextModel, words_only: TextModel
) -> None:
    assert model.version == TextModel(centre.ENCODER, GLOSSARY).version
    other = TextModel(centre.ENCODER, {**GLOSSARY, "water": {"es": ["agua"]}})
    assert len({model.version, words_only.version, other.version}) == 3
    assert centre.VERSION in model.version


def test_features_without_encoding_take_two_milliseconds_at_most(model: TextModel) -> None:
    body = " ".join(f"palabra{i} agua potable y residuos sólidos" for i in range(25))
    vector = some_vector()
    model.features("Título", body, None, "need", vector)
    times = []
    for _ in range(30):
        start = time.perf_counter()
        model.features("Título", body, None, "need", vector)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.002


# What likeness means


@pytest.mark.parametrize("encoder_name", [None, centre.ENCODER])
def test_calibration_rises_from_zero_to_one(encoder_name: str | None) -> None:
    model = TextModel(encoder_name)
    calibrated = model.calibrate(np.linspace(-1, 1, 2_001))
    assert (np.diff(calibrated) >= 0).all()
    assert (np.diff(calibrated[1_000:]) > 0).all()
    assert (calibrated[:1_001] == 0).all()
    assert calibrated[-1] == 1


def test_equal_texts_are_alike_and_unrelated_ones_are_not(words_only: TextModel) -> None:
    need = "Taller de reciclaje de residuos sólidos para municipios"
    assert likeness(words_only, need, need) > 0.95
    assert likeness(words_only, need, "Préstamo blando destinado al turismo costero") < 0.2


def test_accents_case_and_endings_do_not_matter_much(words_only: TextModel) -> None:
    assert likeness(words_only, "GESTION DE RESIDUOS", "Gestión de residuos") > 0.95


def test_the_glossary_joins_languages_that_share_no_word(words_only: TextModel) -> None:
    need = "Queremos agua potable en la escuela"
    offer = "Drinking water for villages"
    assert likeness(words_only, need, offer) > likeness(TextModel(None), need, offer) + 0.2


# Glossary


def test_mentions_pass_over_function_words_and_endings() -> None:
    glossary = Glossary({"procurement": {"es": ["criterios ambientales en licitaciones"]}})
    text = "Se pide un criterio ambiental para la licitación de papel"
    assert glossary.mentions(text, "es") == (
        Mention("procurement", "criterios ambientales en licitaciones"),
    )


def test_terms_of_another_language_are_not_looked_for_unless_it_is_unknown() -> None:
    glossary = Glossary(GLOSSARY)
    assert glossary.mentions("drinking water", "es") == ()
    assert glossary.mentions("drinking water", None) == (Mention("water", "drinking water"),)


def test_an_empty_glossary_has_no_columns() -> None:
    glossary = Glossary({})
    assert glossary.features("agua potable", "es").shape == (0,)


# Sentences and words


def test_the_nearest_sentences_are_found() -> None:
    vectors = np.eye(3, dtype=np.float32)
    found = nearest_sentences(
        ["a", "b"], vectors[:2], ["x", "y", "z"], np.array([[0, 0, 1], [0, 2, 1], [0, 0, 0]], "f4")
    )
    assert found is not None
    assert (found.need, found.offer) == ("b", "y")
    assert found.similarity == pytest.approx(2 / 5**0.5)


def test_no_nearest_sentences_where_a_side_says_nothing() -> None:
    vector = np.ones((1, 2), np.float32)
    assert nearest_sentences(["a"], vector, ["b"], np.zeros((1, 2), np.float32)) is None
    assert nearest_sentences(["a"], vector, [], np.zeros((0, 2), np.float32)) is None
    with pytest.raises(ValueError, match="each sentence needs its vector"):
        nearest_sentences(["a", "b"], vector, ["c"], vector)


def test_sentences_are_cut_at_full_stops_and_lines_and_not_in_numbers() -> None:
    text = "Se piden 3.5 millones. ¿Quién los da?\n- Un banco;  un fondo\n\n…"
    assert split_sentences(text) == (
        "Se piden 3.5 millones.",
        "¿Quién los da?",
        "- Un banco;",
        "un fondo",
    )


def test_sentences_are_bounded_in_length_and_number() -> None:
    endless = split_sentences("palabra " * 15_000)
    assert all(len(sentence) <= SENTENCE_LENGTH for sentence in endless)
    assert len(endless) == SENTENCE_LIMIT
    assert len(split_sentences("Uno. " * 1_000)) == SENTENCE_LIMIT
    assert split_sentences("") == ()


def test_shared_words_are_content_words_in_the_form_of_each_side() -> None:
    need = "Gestión de los residuos sólidos en municipios"
    offer = "Gestão de resíduos sólidos para um município"
    assert shared_words(need, offer, "es", "pt") == (
        ("municipios", "município"),
        ("residuos", "resíduos"),
        ("sólidos", "sólidos"),
    )
    assert shared_words("de la con", "de la con", "es", "es") == ()


@pytest.mark.parametrize(
    ("word", "other", "language"),
    [
        ("capacitaciones", "capacitación", "es"),
        ("públicas", "público", "es"),
        ("licitações", "licitação", "pt"),
        ("trainings", "training", "en"),
        ("durables", "durable", "fr"),
    ],
)
def test_forms_of_a_word_have_one_stem(word: str, other: str, language: str) -> None:
    assert stem(word, language) == stem(other, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Se solicita capacitación para funcionarios municipales", "es"),
        ("Training for municipal officials is requested", "en"),
        ("Solicita-se capacitação para funcionários municipais", "pt"),
        ("Une formation est demandée pour les agents municipaux", "fr"),
        ("我们需要技术支持", None),
        ("12 345", None),
        ("", None),
    ],
)
def test_languages_are_guessed(text: str, language: str | None) -> None:
    assert guess_language(text) == language


@given(st.text(max_size=300), st.sampled_from(["need", "offer"]))
def test_whatever_is_written_has_finite_features_in_both_models(text: str, side: str) -> None:
    for encoder_name in (None, centre.ENCODER):
        model = TextModel(encoder_name, GLOSSARY)
        vector = some_vector() if encoder_name else None
        features = model.features(text, text, None, side, vector)  # type: ignore[arg-type]
        assert np.isfinite(features).all()
        assert np.linalg.norm(features) <= 1 + 1e-6
    split_sentences(text)
    shared_words(text, text, None, None)
