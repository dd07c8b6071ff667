"""Suggestions while writing: themes, areas, kinds of support and more, from the text of a draft.

A suggestion has a probability and the words that led to it. Nothing is ever filled in silently:
the person accepts or ignores it.

A code's probability rests on two things: how near the draft is, in meaning, to the code's
*prototype* (the mean of the vectors of posts that state it, and of the words that describe it), and
how strongly the draft's words are those of such posts rather than of others. Four numbers a facet
weigh them, learnt by logistic regression from posts that had no part in what they are judged by; so
few numbers can be learnt from a hundred posts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from matching.glossary import content_stems
from matching.profile import ProfileError
from matching.score import Floats
from matching.words import words

FACETS = ("themes", "ilac_areas", "support_kinds", "dimension", "sdg")
"""What is suggested, unless other facets are asked for."""

LEAST_EXAMPLES = 20
"""Posts below which nothing can be learnt."""
RARE = 2
"""Posts in which a word must occur to tell anything."""
PARTS = 10
"""Parts into which posts are split, so that each is judged by what the others taught."""
DESCRIBED = 2.0
"""Posts that the description of a code is worth in its prototype, and how strongly its words speak
for the code (a log odds ratio)."""
WORDS_SHOWN = 5
"""Words that are given as the reason of a suggestion."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A text to learn from or to suggest for.

    Attributes
    ----------
    vector
        (d,) its feature vector; zero where the text says nothing.
    text
        Title and description.
    language
        Of the text.
    codes
        Facet → codes stated; only for learning. A facet that is missing or empty is left open and
        teaches nothing.
    """

    vector: NDArray[np.float32]
    text: str
    language: str | None = None
    codes: Mapping[str, frozenset[str]] = field(default_factory=dict)


Descriptions: TypeAlias = Mapping[str, Mapping[str, Sequence[Draft]]]
"""Facet → code → texts that describe it."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A code that a text seems to be about.

    Attributes
    ----------
    probability
        That the writer would state it, 0 to 1, as learnt from posts that state this facet.
    words
        Words of the text that led to it, the most telling first; empty where meaning alone did.
    """

    facet: str
    code: str
    probability: float
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """How good suggestions of a facet are, on posts that were not learnt from.

    Attributes
    ----------
    average_precision
        Area under precision over recall, all codes together.
    chance
        What it would be for suggestions at random: the share of codes stated.
    precision, recall
        Of the codes suggested with probability ½ or more.
    first_right
        Share of posts whose first suggestion is stated.
    calibration_error
        Mean distance between probability and truth, over ten bins, weighted by their size.
    """

    facet: str
    posts: int
    codes: int
    average_precision: float
    chance: float
    precision: float
    recall: float
    first_right: float
    calibration_error: float


@dataclass(frozen=True)
class _Facet:
    """What was learnt of one facet.

    Attributes
    ----------
    prototypes
        (c, d) float64, of length 1 or zero.
    tells
        Code → stem → how much it speaks for the code.
    weights
        Of nearness, words and frequency, and the intercept.
    """

    codes: tuple[str, ...]
    prototypes: Floats
    tells: tuple[Mapping[str, float], ...]
    frequency: Floats
    weights: Floats


class Suggester:
    """Suggests codes for texts; immutable.

    Parameters
    ----------
    facets
        What was learnt, see ``learn``.
    """

    def __init__(self, facets: Mapping[str, _Facet]) -> None:
        self._facets = dict(facets)

    @property
    def facets(self) -> tuple[str, ...]:
        """The facets for which there was enough to learn from."""
        return tuple(self._facets)

    @classmethod
    def learn(
        cls,
        drafts: Sequence[Draft],
        descriptions: Descriptions | None = None,
        facets: Iterable[str] = FACETS,
    ) -> "Suggester":
        """Learn from posts.

        Parameters
        ----------
        drafts
            Posts with the codes that their writers stated.
        descriptions
            Facet → code → the words that describe it, a draft a language. They give a code that no
            post states yet a chance to be suggested.

        Returns
        -------
        Suggester
            Silent on facets that fewer than ``LEAST_EXAMPLES`` posts state.
        """
        learnt = {}
        for name in facets:
            stated = [draft for draft in drafts if draft.codes.get(name)]
            if len(stated) >= LEAST_EXAMPLES:
                learnt[name] = _learn_facet(name, stated, (descriptions or {}).get(name, {}))
        return cls(learnt)

    def suggest(self, draft: Draft, least: float = 0.2) -> tuple[Suggestion, ...]:
        """Suggest codes for a text that states none of a facet yet, or not all.

        Parameters
        ----------
        least
            Probability below which nothing is said.

        Returns
        -------
        tuple of Suggestion
            By facet, the most probable first. Codes that the draft states already are left out. A
            text that says nothing gets no suggestion.
        """
        if not np.isfinite(draft.vector).all():
            raise ProfileError("bad_vector", "vector", "not finite")
        stems = _stems(draft)
        if not stems and not draft.vector.any():
            return ()
        found = []
        for name, facet in self._facets.items():
            chances = _probabilities(facet, _evidence(facet, draft.vector[None], [stems]))[0]
            known = draft.codes.get(name, frozenset())
            found += [
                Suggestion(name, code, round(float(chance), 4), _telling(tells, stems))
                for code, chance, tells in zip(facet.codes, chances, facet.tells, strict=True)
                if chance >= least and code not in known
            ]
        order = {name: number for number, name in enumerate(self._facets)}
        found.sort(key=lambda made: (order[made.facet], -made.probability, made.code))
        return tuple(found)

    def probabilities(self, facet: str, draft: Draft) -> dict[str, float]:
        """Probability of every code of a facet."""
        learnt = self._facets[facet]
        chances = _probabilities(learnt, _evidence(learnt, draft.vector[None], [_stems(draft)]))
        return dict(zip(learnt.codes, chances[0].tolist(), strict=True))


def cross_validate(
    drafts: Sequence[Draft],
    descriptions: Descriptions | None = None,
    facets: Iterable[str] = FACETS,
    folds: int = 5,
) -> tuple[Quality, ...]:
    """Measure suggestions on posts that were not learnt from.

    Parameters
    ----------
    folds
        Parts into which the posts are split, every n-th into one: near-duplicates that follow one
        another fall into different parts, so figures are those of a growing exchange.
    """
    qualities = []
    for name in facets:
        stated = [draft for draft in drafts if draft.codes.get(name)]
        if len(stated) < LEAST_EXAMPLES * 2:
            continue
        codes = sorted({code for draft in stated for code in draft.codes[name]})
        truth = np.array([[code in draft.codes[name] for code in codes] for draft in stated])
        chances = np.zeros(truth.shape)
        for fold in range(folds):
            kept = [draft for n, draft in enumerate(stated) if n % folds != fold]
            suggester = Suggester.learn(kept, descriptions, [name])
            for row in range(fold, len(stated), folds):
                given = suggester.probabilities(name, stated[row])
                chances[row] = [given.get(code, 0.0) for code in codes]
        qualities.append(_quality(name, truth, chances))
    return tuple(qualities)


def _quality(name: str, truth: NDArray[np.bool_], chances: Floats) -> Quality:
    # Loaded where it is used: it takes over a second, which no program's start has to wait for.
    from sklearn.metrics import average_precision_score

    said = chances >= 0.5
    right = int((said & truth).sum())
    bins = np.minimum((chances * 10).astype(int), 9)
    error = sum(
        abs(float(chances[bins == number].mean() - truth[bins == number].mean()))
        * float((bins == number).mean())
        for number in range(10)
        if (bins == number).any()
    )
    first = chances.argmax(axis=1)
    return Quality(
        facet=name,
        posts=len(truth),
        codes=truth.shape[1],
        average_precision=float(average_precision_score(truth.ravel(), chances.ravel())),
        chance=float(truth.mean()),
        precision=right / max(int(said.sum()), 1),
        recall=right / max(int(truth.sum()), 1),
        first_right=float(truth[np.arange(len(truth)), first].mean()),
        calibration_error=error,
    )


def _stems(draft: Draft) -> dict[str, str]:
    """Stems of a text's content words, each with the first form in which it is written."""
    found: dict[str, str] = {}
    for word in words(draft.text):
        for stem in content_stems(word, draft.language):
            if len(stem) > 3:
                found.setdefault(stem, word.lower())
    return found


def _telling(tells: Mapping[str, float], stems: Mapping[str, str]) -> tuple[str, ...]:
    speaking = [(-tells[stem], word) for stem, word in stems.items() if tells.get(stem, 0) > 0]
    return tuple(word for _, word in sorted(speaking)[:WORDS_SHOWN])


def _learn_facet(
    name: str, drafts: Sequence[Draft], descriptions: Mapping[str, Sequence[Draft]]
) -> _Facet:
    stated = {code for draft in drafts for code in draft.codes[name]}
    codes = tuple(sorted(stated | set(descriptions)))
    truth = np.array([[code in draft.codes[name] for code in codes] for draft in drafts])
    vectors = np.stack([draft.vector for draft in drafts]).astype(np.float64)
    stems = [_stems(draft) for draft in drafts]
    described = [descriptions.get(code, ()) for code in codes]
    facet = _describe(codes, described, truth, vectors, stems)
    if truth.all() or not truth.any():
        return facet
    # No post may vouch for itself: its evidence comes from the posts of other parts.
    evidence = np.zeros((*truth.shape, 3))
    parts = np.arange(len(drafts)) % PARTS
    for part in range(PARTS):
        out, kept = np.flatnonzero(parts == part), np.flatnonzero(parts != part)
        rest = _describe(codes, described, truth[kept], vectors[kept], [stems[n] for n in kept])
        evidence[out] = _evidence(rest, vectors[out], [stems[n] for n in out])
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10.0, max_iter=1000)
    model.fit(evidence.reshape(-1, 3), truth.ravel())
    weights = np.append(model.coef_[0], model.intercept_[0])
    # Nearness and telling words never speak against a code.
    weights[:2] = np.maximum(weights[:2], 0)
    return replace(facet, weights=weights)


def _describe(
    codes: tuple[str, ...],
    described: Sequence[Sequence[Draft]],
    truth: NDArray[np.bool_],
    vectors: Floats,
    stems: Sequence[Mapping[str, str]],
) -> _Facet:
    """Prototypes and telling words of codes, from some posts; weights still to be learnt."""
    sums = truth.T.astype(np.float64) @ vectors
    tells = []
    for number, texts in enumerate(described):
        found = {stem: DESCRIBED for text in texts for stem in _stems(text)}
        for stem, weight in _tell(stems, truth[:, number]).items():
            found[stem] = max(weight, found.get(stem, 0.0))
        tells.append(found)
        if texts:
            mean = np.stack([text.vector for text in texts]).mean(axis=0, keepdims=True)
            sums[number] += DESCRIBED * _unit(mean.astype(np.float64))[0]
    frequency = np.log((truth.sum(axis=0) + 1) / (len(truth) + 2))
    return _Facet(codes, _unit(sums), tuple(tells), frequency, np.zeros(4))


def _tell(stems: Sequence[Mapping[str, str]], stated: NDArray[np.bool_]) -> dict[str, float]:
    """How much each stem speaks for a code: log odds ratio, smoothed (Monroe et al. 2008)."""
    inside: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for found, has in zip(stems, stated.tolist(), strict=True):
        (inside if has else outside).update(found.keys())
    yes, no = int(stated.sum()), int((~stated).sum())
    tells = {}
    for stem, count in inside.items():
        if count >= RARE:
            other = outside[stem]
            odds = np.log((count + 0.5) / (yes - count + 0.5))
            odds -= np.log((other + 0.5) / (no - other + 0.5))
            spread = np.sqrt(1 / (count + 0.5) + 1 / (other + 0.5))
            if odds > spread:
                tells[stem] = float(odds - spread)
    return tells


def _speaks(tells: Mapping[str, float], stems: Mapping[str, str]) -> float:
    """How strongly a text's words speak for a code; the third-best word adds less than the best."""
    strongest = sorted((tells[stem] for stem in stems if stem in tells), reverse=True)[:WORDS_SHOWN]
    return float(sum(weight / (rank + 1) for rank, weight in enumerate(strongest)))


def _evidence(
    facet: _Facet, vectors: NDArray[np.floating], stems: Sequence[Mapping[str, str]]
) -> Floats:
    """Nearness, words and frequency, (n, c, 3)."""
    near = vectors.astype(np.float64) @ facet.prototypes.T
    spoken = np.array([[_speaks(tells, found) for tells in facet.tells] for found in stems])
    frequency = np.broadcast_to(facet.frequency, near.shape)
    return np.stack([near, spoken, frequency], axis=2)


def _probabilities(facet: _Facet, evidence: Floats) -> Floats:
    logits = evidence @ facet.weights[:3] + facet.weights[3]
    chances: Floats = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
    return chances


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-9)
    return unit
