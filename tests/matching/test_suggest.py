"""Suggestions: learnt, calibrated, explained, and silent where there is nothing to say."""

from dataclasses import replace

import numpy as np
import pytest

from matching import ProfileError
from matching.suggest import LEAST_EXAMPLES, Draft, Suggester, cross_validate

WORDS = {
    "water": "agua cuenca potable riego acueducto",
    "energy": "energía solar eléctrica fotovoltaica ahorro",
    "waste": "residuos reciclaje relleno basura compostaje",
}
CENTRES = dict(zip(WORDS, np.eye(8, dtype=np.float32), strict=False))


def draft(rng, *codes, stated=True):
    """A text about some themes: two words of each, and a vector near their centres."""
    words = [str(w) for c in codes for w in rng.choice(WORDS[c].split(), 2, replace=False)]
    words += [str(w) for w in rng.choice(["país", "municipio", "apoyo", "taller", "equipo"], 3)]
    vector = sum(CENTRES[code] for code in codes) + rng.normal(0, 0.25, 8)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Draft(
        vector, " ".join(words), "es", {"themes": frozenset(codes) if stated else frozenset()}
    )


def drafts(count=90, seed=1):
    rng = np.random.default_rng(seed)
    names = sorted(WORDS)
    return [
        draft(rng, *map(str, rng.choice(names, int(rng.integers(1, 3)), replace=False)))
        for _ in range(count)
    ]


def test_the_theme_of_a_text_is_suggested_with_the_words_that_led_to_it():
    suggester = Suggester.learn(drafts(), facets=["themes"])
    new = replace(draft(np.random.default_rng(9), "water"), codes={})
    first = suggester.suggest(new)[0]
    assert (first.facet, first.code) == ("themes", "water")
    assert first.probability > 0.7
    assert first.words
    assert set(first.words) <= set(new.text.split())
    assert set(first.words) & set(WORDS["water"].split())


def test_what_the_draft_states_already_is_not_suggested():
    suggester = Suggester.learn(drafts(), facets=["themes"])
    new = draft(np.random.default_rng(9), "water")
    assert "water" not in {made.code for made in suggester.suggest(new, least=0.0)}


def test_suggestions_are_ordered_by_probability_and_bounded():
    suggester = Suggester.learn(drafts(), facets=["themes"])
    new = replace(draft(np.random.default_rng(3), "waste", "energy"), codes={})
    chances = [made.probability for made in suggester.suggest(new, least=0.0)]
    assert chances == sorted(chances, reverse=True)
    assert all(0 <= chance <= 1 for chance in chances)
    assert all(made.probability >= 0.5 for made in suggester.suggest(new, least=0.5))


@pytest.mark.parametrize("text", ["", "12 345", "中文 文本"])
def test_a_text_that_says_nothing_known_gets_no_words(text):
    suggester = Suggester.learn(drafts(), facets=["themes"])
    new = Draft(np.zeros(8, np.float32), text, "es")
    assert all(not made.words for made in suggester.suggest(new, least=0.0))
    if not any(character.isalpha() for character in text):
        assert suggester.suggest(new, least=0.0) == ()


def test_a_facet_with_too_few_examples_is_left_alone():
    suggester = Suggester.learn(drafts(LEAST_EXAMPLES - 1), facets=["themes"])
    assert suggester.facets == ()
    assert suggester.suggest(drafts(1)[0]) == ()


def test_a_code_that_no_post_states_can_be_suggested_from_its_description():
    tourism = np.zeros(8, np.float32)
    tourism[6] = 1
    described = Draft(tourism, "turismo hoteles playas", "es")
    suggester = Suggester.learn(drafts(), {"themes": {"tourism": [described]}}, ["themes"])
    given = suggester.probabilities("themes", Draft(tourism, "playas y hoteles", "es"))
    assert given["tourism"] == max(given.values())


def test_a_facet_that_every_post_states_the_same_does_not_break_learning():
    same = [replace(found, codes={"themes": frozenset({"water"})}) for found in drafts()]
    suggester = Suggester.learn(same, facets=["themes"])
    assert set(suggester.probabilities("themes", same[0])) == {"water"}


def test_learning_twice_gives_the_same_suggestions():
    new = replace(draft(np.random.default_rng(4), "energy"), codes={})
    one, two = (Suggester.learn(drafts(), facets=["themes"]).suggest(new, 0) for _ in range(2))
    assert one == two


def test_a_vector_that_is_not_finite_is_refused():
    suggester = Suggester.learn(drafts(), facets=["themes"])
    with pytest.raises(ProfileError):
        suggester.suggest(Draft(np.full(8, np.nan, np.float32), "agua", "es"))


def test_quality_is_measured_on_posts_that_were_not_learnt_from():
    (quality,) = cross_validate(drafts(150), facets=["themes"])
    assert quality.posts == 150
    assert quality.average_precision > 0.9 > quality.chance
    assert quality.precision > 0.8
    assert quality.first_right > 0.9
    assert quality.calibration_error < 0.1


def test_labels_without_meaning_are_not_foretold():
    rng = np.random.default_rng(5)
    noise = [
        replace(found, codes={"themes": frozenset({str(rng.choice(sorted(WORDS)))})})
        for found in drafts(150)
    ]
    (quality,) = cross_validate(noise, facets=["themes"])
    assert quality.average_precision < quality.chance + 0.15
    assert quality.calibration_error < 0.12
