"""Measure every idea for the text model that was tried, on labelled folders.

    python -m benchmarks.text_quality FOLDER... [--cache FILE.npz]
    python -m benchmarks.text_quality --held-out [--cache FILE.npz]

A folder holds ``needs.jsonl``, ``offers.jsonl`` and ``qrels.tsv`` (as for ``broker evaluate``);
offers are ranked by their texts alone. The first form prints nDCG@10 of each idea on each folder,
then the three measures of the text model as it is. The second prints how well subjects of our own
corpus are told apart when they were held out of the fit: by it, not by labelled folders, the
model's settings were chosen. Encoding takes minutes; a cache makes the second run quick.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.make_centre import (
    KEPT,
    LANGUAGES,
    ROLES,
    SHRINK,
    STRESS,
    STRESS_RIDGE,
    Centre,
    Corpus,
    encode_corpus,
    fit,
    read_terms,
)
from benchmarks.vector_cache import VectorCache
from broker.encoder import load_encoder
from matching.evaluation import Evaluation, evaluate, ndcg_at
from matching.glossary import Glossary, content_stems
from matching.text import GLOSSARY_SHARE, Encoder, Role, Side, TextModel, joined, wording
from matching.words import ALL_STOP_WORDS, fold, guess_language, split_sentences, words

Floats = NDArray[np.float64]

BOTH: list[tuple[Side, Role]] = [
    (side, role) for side in ("need", "offer") for role in ("query", "passage")
]


@dataclass(frozen=True, slots=True)
class Posts:
    """The texts of one side of a folder."""

    side: Side
    titles: list[str]
    bodies: list[str]
    languages: list[str]

    @property
    def texts(self) -> list[str]:
        """Title and body of each post, as they are encoded."""
        pairs = zip(self.titles, self.bodies, strict=True)
        return ["\n".join(part for part in pair if part) for pair in pairs]


@dataclass(frozen=True, slots=True)
class Folder:
    """A labelled folder, read."""

    name: str
    needs: Posts
    offers: Posts
    grades: NDArray[np.int64]


def read_folder(path: Path) -> Folder:
    """Read a labelled folder."""
    rows = {
        name: [json.loads(line) for line in (path / f"{name}.jsonl").open(encoding="utf-8")]
        for name in ("needs", "offers")
    }
    place = {
        name: {row["id"]: number for number, row in enumerate(found)}
        for name, found in rows.items()
    }
    grades = np.zeros((len(rows["needs"]), len(rows["offers"])), np.int64)
    for line in (path / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        need, offer, grade = line.split("\t")
        grades[place["needs"][need], place["offers"][offer]] = int(grade)
    return Folder(path.name, _posts("need", rows["needs"]), _posts("offer", rows["offers"]), grades)


def _posts(side: Side, rows: Sequence[dict[str, Any]]) -> Posts:
    def body(row: dict[str, Any]) -> str:
        parts = [row.get("description"), row.get("problem"), row.get("results")]
        parts += [item.get("detail") for item in row.get("support") or []]
        return "\n".join(part for part in parts if part)

    titles = [row.get("title") or "" for row in rows]
    bodies = [body(row) for row in rows]
    languages = [
        row.get("lang") or guess_language(f"{title} {text}") or "en"
        for row, title, text in zip(rows, titles, bodies, strict=True)
    ]
    return Posts(side, titles, bodies, languages)


class Ideas:
    """Likeness of all needs and offers of a folder by each idea; every method gives (n, m)."""

    def __init__(self, folder: Folder, encoder: Encoder, corpus: Corpus) -> None:
        self.folder = folder
        self.encoder = encoder
        self.corpus = corpus
        self.terms_by_theme = read_terms()
        self.glossary = Glossary(self.terms_by_theme)

    def encoded(self, posts: Posts, role: Role) -> Floats:
        return self.encoder.encode(posts.texts, role).astype(np.float64)

    def raw(self, need: Role, offer: Role) -> Floats:
        """Cosines of the encoder's own vectors."""
        needs, offers = self.folder.needs, self.folder.offers
        return self.encoded(needs, need) @ self.encoded(offers, offer).T

    def own_means(self) -> Floats:
        """Centred by the folder's own means: a bound, since a post's score would hang on others."""
        needs = self.encoded(self.folder.needs, "query")
        offers = self.encoded(self.folder.offers, "passage")
        return _unit(_less_mean(needs, self.folder.needs.languages)) @ (
            _unit(_less_mean(offers, self.folder.offers.languages)).T
        )

    def placed(self, centre: Centre, need: Role = "query", offer: Role = "passage") -> Floats:
        """Centred and projected."""
        return (
            self.side(centre, self.folder.needs, need)
            @ self.side(centre, self.folder.offers, offer).T
        )

    def side(self, centre: Centre, posts: Posts, role: Role) -> Floats:
        vectors = self.encoded(posts, role)
        rows = [LANGUAGES.index(language) for language in posts.languages]
        return np.vstack(
            [
                centre.place(vector[None], posts.side, row)
                for vector, row in zip(vectors, rows, strict=True)
            ]
        )

    def fitted(self, need: Role = "query", offer: Role = "passage", **settings: Any) -> Floats:
        """The text model's centring with other settings or in other directions."""
        vectors = self.corpus.vectors
        return self.placed(
            fit(vectors["need", need], vectors["offer", offer], **settings), need, offer
        )

    def fitted_on_half(self) -> Floats:
        """The text model's centring, fitted on every second subject of our corpus only."""
        vectors = self.corpus.vectors
        return self.placed(fit(vectors["need", "query"][::2], vectors["offer", "passage"][::2]))

    def centred(self, *, by_side: bool) -> Floats:
        """Less a mean of our own corpus, by language or by language and side."""
        vectors = self.corpus.vectors
        needs, offers = vectors["need", "query"], vectors["offer", "passage"]
        if not by_side:
            mean = np.concatenate([needs, offers], axis=1).mean((0, 1))
            means: dict[Side, Floats] = {"need": mean, "offer": mean}
        else:
            means = {"need": needs.mean((0, 1)), "offer": offers.mean((0, 1))}
        return self.placed(Centre(means, np.eye(self.encoder.dimension)))

    def less_components(self, count: int) -> Floats:
        """Centred, then without the corpus's leading principal components (all-but-the-top)."""
        means, directions, _ = self._principal()
        return self.placed(Centre(means, np.eye(len(directions)) - _outer(directions[:, :count])))

    def whitened(self, ridge: float = 2.0) -> Floats:
        """Centred, then whitened by the corpus's covariance plus a ridge."""
        means, directions, variances = self._principal()
        scale = (variances + ridge * variances.mean()) ** -0.5
        return self.placed(Centre(means, (directions * scale) @ directions.T))

    def _principal(self) -> tuple[dict[Side, Floats], Floats, Floats]:
        vectors = self.corpus.vectors
        means: dict[Side, Floats] = {
            side: vectors[side, role].mean((0, 1)) for side, role in ROLES.items()
        }
        apart = np.vstack(
            [
                (vectors[side, role] - means[side]).reshape(-1, self.encoder.dimension)
                for side, role in ROLES.items()
            ]
        )
        variances, directions = np.linalg.eigh(apart.T @ apart / len(apart))
        return means, directions[:, ::-1], variances[::-1]

    def both_directions(self) -> Floats:
        """Mean of query × passage and passage × query."""
        return (self.fitted("query", "passage") + self.fitted("passage", "query")) / 2

    def model(self, glossary: Glossary | None, share: float = GLOSSARY_SHARE) -> Floats:
        """Centring and glossary, by share."""
        vectors = self.corpus.vectors
        centre = fit(vectors["need", "query"], vectors["offer", "passage"])

        def features(posts: Posts, role: Role) -> Floats:
            main = self.side(centre, posts, role)
            if glossary is None:
                return main
            texts = zip(posts.texts, posts.languages, strict=True)
            terms = [glossary.features(text, language) for text, language in texts]
            return np.stack([joined(*row, share) for row in zip(main, terms, strict=True)])

        return features(self.folder.needs, "query") @ features(self.folder.offers, "passage").T

    def product(self, encoder_name: str | None) -> Floats:
        """The text model itself, as the exchange uses it."""
        model = TextModel(encoder_name, self.terms_by_theme)
        sides = []
        for posts in (self.folder.needs, self.folder.offers):
            vectors = None
            if encoder_name is not None:
                vectors = self.encoder.encode(posts.texts, model.role(posts.side))
            sides.append(
                model.features_many(
                    posts.titles, posts.bodies, posts.languages, posts.side, vectors
                )
            )
        return (sides[0] @ sides[1].T).astype(np.float64)

    def sentences(self) -> Floats:
        """Mean over the need's sentences of its likeness to the offer's nearest sentence."""
        vectors = self.corpus.vectors
        centre = fit(vectors["need", "query"], vectors["offer", "passage"])
        sides = []
        for posts, role in ((self.folder.needs, "query"), (self.folder.offers, "passage")):
            parts = [split_sentences(text)[:24] or (text,) for text in posts.texts]
            flat = Posts(
                posts.side,
                [""] * sum(map(len, parts)),
                [sentence for found in parts for sentence in found],
                [lang for found, lang in zip(parts, posts.languages, strict=True) for _ in found],
            )
            ends = np.cumsum([len(found) for found in parts])
            sides.append(np.split(self.side(centre, flat, role), ends[:-1]))
        return np.array(
            [[(need @ offer.T).max(axis=1).mean() for offer in sides[1]] for need in sides[0]]
        )

    def words(self, analyse: Callable[[str, str], Iterable[str]]) -> Floats:
        """TF-IDF cosines of what `analyse` makes of a text and its language; idf of our corpus."""
        learnt = [
            (text, language)
            for found in self.corpus.texts.values()
            for kinds in found
            for kind in kinds
            for text, language in zip(kind, LANGUAGES, strict=True)
        ]
        posts = [
            list(zip(side.texts, side.languages, strict=True))
            for side in (self.folder.needs, self.folder.offers)
        ]
        vectorizer = TfidfVectorizer(
            analyzer=lambda pair: list(analyse(*pair)), sublinear_tf=True, norm=None
        )
        vectorizer.fit(learnt + posts[0] + posts[1])
        idf = TfidfVectorizer(
            analyzer=lambda pair: list(analyse(*pair)), vocabulary=vectorizer.vocabulary_
        )
        idf.fit(learnt)
        counts = [
            sp.csr_matrix(vectorizer.transform(side) @ sp.diags(idf.idf_ / vectorizer.idf_))
            for side in posts
        ]
        needs, offers = (
            sp.diags(1 / np.maximum(sp.linalg.norm(found, axis=1), 1e-9)) @ found
            for found in counts
        )
        return np.asarray((needs @ offers.T).todense())

    def characters(self) -> Floats:
        """TF-IDF cosines of character n-grams."""
        return self.words(_grams)

    def sketched(self) -> Floats:
        """Cosines of the sketch of character n-grams that stands in for the encoder."""
        needs, offers = (
            np.stack([wording(text) for text in posts.texts])
            for posts in (self.folder.needs, self.folder.offers)
        )
        return needs @ offers.T

    def terms(self) -> Floats:
        """Cosines of the glossary's themes."""
        needs, offers = (
            np.stack(
                [
                    self.glossary.features(text, language)
                    for text, language in zip(posts.texts, posts.languages, strict=True)
                ]
            )
            for posts in (self.folder.needs, self.folder.offers)
        )
        return needs @ offers.T


def _grams(text: str, _language: str) -> Iterable[str]:
    for word in words(text):
        folded = fold(word)
        if folded in ALL_STOP_WORDS:
            continue
        padded = f" {folded} "
        for size in (3, 4, 5):
            yield from (padded[i : i + size] for i in range(len(padded) - size + 1))


def _unit(rows: Floats) -> Floats:
    unit: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return unit


def _less_mean(vectors: Floats, languages: Sequence[str]) -> Floats:
    centred = vectors.copy()
    for language in set(languages):
        rows = np.array([other == language for other in languages])
        centred[rows] -= vectors[rows].mean(axis=0)
    return centred


def _outer(directions: Floats) -> Floats:
    return directions @ directions.T


def _standard(likeness: Floats) -> Floats:
    """Bring each need's likenesses to mean 0 and deviation 1."""
    spread = np.maximum(likeness.std(axis=1, keepdims=True), 1e-9)
    standard: Floats = (likeness - likeness.mean(axis=1, keepdims=True)) / spread
    return standard


def _reciprocal_ranks(likeness: Floats) -> Floats:
    """1 / (60 + place) of every offer (Cormack, Clarke and Büttcher, 2009)."""
    places = np.argsort(np.argsort(-likeness, axis=1, kind="stable"), axis=1) + 1
    return 1 / (60 + places)


IDEAS: tuple[tuple[str, Callable[[Ideas], Floats]], ...] = (
    ("words, TF-IDF", lambda i: i.words(lambda text, _: map(fold, words(text)))),
    ("stems per language, TF-IDF", lambda i: i.words(content_stems)),
    ("character 3–5-grams, accents folded, TF-IDF", lambda i: i.characters()),
    ("character 3–5-grams, sketched to 512 columns", lambda i: i.sketched()),
    ("glossary alone", lambda i: i.terms()),
    ("encoder, query × passage", lambda i: i.raw("query", "passage")),
    ("encoder, query × query", lambda i: i.raw("query", "query")),
    ("encoder, passage × passage", lambda i: i.raw("passage", "passage")),
    ("centred by the folder's own means (a bound)", lambda i: i.own_means()),
    ("centred by language", lambda i: i.centred(by_side=False)),
    ("centred by language and side (C)", lambda i: i.centred(by_side=True)),
    ("C, less 1 leading component", lambda i: i.less_components(1)),
    ("C, less 3 leading components", lambda i: i.less_components(3)),
    ("C, less 8 leading components", lambda i: i.less_components(8)),
    ("C, whitened", lambda i: i.whitened()),
    ("C, within-subject whitening (W)", lambda i: i.fitted(stress=0.0, kept=None)),
    ("W, subjects stressed (S), all 384 dimensions", lambda i: i.fitted(kept=None)),
    (f"S, {KEPT} dimensions (M)", lambda i: i.fitted()),
    ("S, 256 dimensions", lambda i: i.fitted(kept=256)),
    ("S, 192 dimensions", lambda i: i.fitted(kept=192)),
    ("S, 128 dimensions", lambda i: i.fitted(kept=128)),
    ("M, query × query", lambda i: i.fitted("query", "query")),
    ("M, passage × query", lambda i: i.fitted("passage", "query")),
    ("M, both directions (two encodings a text)", lambda i: i.both_directions()),
    ("M, fitted on half of the subjects", lambda i: i.fitted_on_half()),
    ("M, nearest sentences", lambda i: i.sentences()),
    ("M + nearest sentences, halves", lambda i: (i.fitted() + i.sentences()) / 2),
    ("M + 0.05 glossary", lambda i: i.model(i.glossary, 0.05)),
    ("**M + 0.1 glossary: the text model**", lambda i: i.product(i.encoder.name)),
    ("M + 0.2 glossary", lambda i: i.model(i.glossary, 0.2)),
    ("model + 0.1 characters", lambda i: 0.9 * i.product(i.encoder.name) + 0.1 * i.characters()),
    ("model + 0.2 characters", lambda i: 0.8 * i.product(i.encoder.name) + 0.2 * i.characters()),
    ("model + 0.1 stems", lambda i: 0.9 * i.product(i.encoder.name) + 0.1 * i.words(content_stems)),
    ("model + 0.1 sketch", lambda i: 0.9 * i.product(i.encoder.name) + 0.1 * i.sketched()),
    (
        "model and ⅓ characters, z-scores",
        lambda i: _standard(i.product(i.encoder.name)) + _standard(i.characters()) / 3,
    ),
    (
        "model and characters, reciprocal rank fusion",
        lambda i: _reciprocal_ranks(i.product(i.encoder.name)) + _reciprocal_ranks(i.characters()),
    ),
    ("**without encoder: sketch + glossary**", lambda i: i.product(None)),
)


def held_out(corpus: Corpus, need: Role, offer: Role, **settings: Any) -> float:
    """Tell subjects apart that were held out of the fit; mean nDCG@10.

    A third of the subjects is held out in turn, twice. Needs, goals, dated goals and plans look for
    offers and measures in the same and in other languages; those of the same subject have grade 2,
    those of the same field 1.
    """
    needs, offers = corpus.vectors["need", need], corpus.vectors["offer", offer]
    fields, found = np.array(corpus.fields), []
    rng = np.random.default_rng(7)
    for order in (rng.permutation(len(fields)) for _ in range(2)):
        for turn in range(3):
            held = order[turn::3]
            rest = np.setdiff1d(order, held)
            centre = fit(needs[rest], offers[rest], **settings)
            grades = (fields[held][:, None] == fields[held][None]) + np.eye(len(held), dtype=int)
            for pair in ("es-en", "en-es", "fr-en", "pt-es", "en-en", "es-es"):
                i, j = (LANGUAGES.index(language) for language in pair.split("-"))
                for asked, given in ((2, 1), (0, 0), (3, 1), (1, 0)):
                    likeness = (
                        centre.place(needs[held][:, asked, i], "need", i)
                        @ centre.place(offers[held][:, given, j], "offer", j).T
                    )
                    ranked = np.take_along_axis(grades, np.argsort(-likeness, axis=1), axis=1)
                    found += [ndcg_at(10, row) for row in ranked]
    return float(np.mean(found))


def print_held_out(corpus: Corpus) -> None:
    """Print how the settings fare on held-out subjects, one changed at a time."""
    chosen = {
        "shrink": SHRINK,
        "stress": STRESS,
        "stress_ridge": STRESS_RIDGE,
        "kept": KEPT,
    }
    rows: list[tuple[str, dict[str, Any], Role, Role]] = [("as chosen", {}, "query", "passage")]
    rows += [(f"shrink {v:g}", {"shrink": v}, "query", "passage") for v in (0.5, 1.0, 4.0, 8.0)]
    rows += [(f"stress {v:g}", {"stress": v}, "query", "passage") for v in (0.0, 0.125, 0.5)]
    rows += [
        (f"ridge of the stress {v:g}", {"stress_ridge": v}, "query", "passage")
        for v in (0.3, 1.0, 3.0, 10.0)
    ]
    rows += [(f"{v or 384} dimensions", {"kept": v}, "query", "passage") for v in (128, 256, None)]
    rows += [
        ("query × query", {}, "query", "query"),
        ("passage × query", {}, "passage", "query"),
        ("passage × passage", {}, "passage", "passage"),
    ]
    print("| setting | nDCG@10 |\n|---|---|")
    for name, change, need, offer in rows:
        print(
            f"| {name} | {held_out(corpus, need, offer, **{**chosen, **change}):.3f} |", flush=True
        )


def print_folders(folders: Sequence[Folder], encoder: Encoder, corpus: Corpus) -> None:
    """Print each idea's nDCG@10 on each folder, and the three measures of the model."""
    ideas = [Ideas(folder, encoder, corpus) for folder in folders]
    print("| idea | " + " | ".join(folder.name for folder in folders) + " | mean |")
    print("|---|" + "---|" * (len(folders) + 1))
    for name, likeness in IDEAS:
        results = [evaluate(likeness(idea), idea.folder.grades).ndcg_at_10 for idea in ideas]
        print(f"| {name} | " + " | ".join(f"{r:.3f}" for r in [*results, np.mean(results)]) + " |")
    print("\n| folder | nDCG@10 | recall@10 | MRR | needs | offers |\n|---|---|---|---|---|---|")
    for idea in ideas:
        result: Evaluation = evaluate(idea.product(encoder.name), idea.folder.grades)
        measures = (result.ndcg_at_10, result.recall_at_10, result.mrr)
        cells = [*(f"{m:.3f}" for m in measures), str(result.needs), str(result.offers)]
        print(f"| {idea.folder.name} | " + " | ".join(cells) + " |")


def print_likeness(folders: Sequence[Folder], encoder: Encoder, corpus: Corpus) -> None:
    """Print the calibrated likeness of pairs by grade: its quartiles and 95th percentile."""
    model = TextModel(encoder.name)
    print(
        "\n| folder | grade | pairs | 25 % | median | 75 % | 95 % |\n|---|---|---|---|---|---|---|"
    )
    for folder in folders:
        likeness = model.calibrate(Ideas(folder, encoder, corpus).product(encoder.name))
        for grade in np.unique(folder.grades):
            found = likeness[folder.grades == grade]
            cells = [f"{value:.2f}" for value in np.percentile(found, (25, 50, 75, 95))]
            print(f"| {folder.name} | {grade} | {len(found)} | " + " | ".join(cells) + " |")


def main() -> None:
    """Print the tables asked for."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folders", nargs="*", type=Path, help="labelled folders")
    arguments.add_argument("--held-out", action="store_true", help="measure on our own corpus")
    arguments.add_argument("--cache", type=Path, help="keep vectors in this file")
    given = arguments.parse_args()
    loaded = load_encoder()
    if loaded is None:
        raise SystemExit("the encoder cannot be loaded")
    encoder = VectorCache(loaded, given.cache)
    corpus = encode_corpus(encoder, BOTH)
    if given.held_out:
        print_held_out(corpus)
    if given.folders:
        folders = [read_folder(path) for path in given.folders]
        print_folders(folders, encoder, corpus)
        print_likeness(folders, encoder, corpus)


if __name__ == "__main__":
    main()
