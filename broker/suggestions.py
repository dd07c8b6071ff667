"""Use case of suggestions: what a text that is being written seems to be about.

Nothing is filled in silently. A suggestion comes with its probability and the words that led to it,
and counts only when the writer ticks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from broker.exchange import Exchange
from broker.posts import WHOLE
from broker.sketch import Sketch
from matching.suggest import FACETS, Draft, Suggester, Suggestion
from models import LANGUAGES, PUBLICLY_READABLE, Need, Post

SCHEMES = {
    "themes": "theme",
    "ilac_areas": "ilac_area",
    "support_kinds": "support_kind",
    "dimension": "dimension",
    "sdg": "sdg",
}
"""Suggested facet → the taxonomy of its codes."""

MOST = 5
"""Suggestions of one facet: more would be a list to read rather than a hint."""

GROWTH = 0.1
"""Share of posts that must be new before the adviser learns anew."""

ENCODED = ("es", "en")
"""Languages in which the words of a theme are encoded; of other facets every code has its posts."""


@dataclass(frozen=True)
class Hint:
    """A suggestion as the form shows it.

    Attributes
    ----------
    field : str
        Field of the form that it would fill; ``"sdg"`` fills none: goals follow from the themes.
    probability : float
        That the writer would state it, 0 to 1.
    words : tuple of str
        Words of her text that led to it; empty where the meaning of the whole did.
    """

    field: str
    scheme: str
    code: str
    probability: float
    words: tuple[str, ...]

    @property
    def can_be_taken(self) -> bool:
        """Whether there is a field that it would fill."""
        return self.field != "sdg"


@dataclass(frozen=True)
class Knowledge:
    """What was learnt, from how many posts, and when."""

    suggester: Suggester
    posts: int
    on: date


class Adviser:
    """Suggests codes; learns from the published posts at first use, and again when they have grown.

    Learning takes about a second for some hundred posts, so that it is kept for the process.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._learnt: Knowledge | None = None

    def suggest(self, session: Session, draft: Draft) -> tuple[Suggestion, ...]:
        """Suggest for a text what its writer has not ticked yet."""
        return self._up_to_date(session).suggest(draft)

    def _up_to_date(self, session: Session) -> Suggester:
        # Without a lock: a request that waited here would hold the database meanwhile.
        query = select(func.count(Post.id)).where(Post.status.in_(PUBLICLY_READABLE))
        posts, today = session.scalar(query) or 0, self.exchange.today()
        learnt = self._learnt
        if (
            learnt is None
            or learnt.on != today
            or abs(posts - learnt.posts) > GROWTH * learnt.posts
        ):
            self._learnt = learnt = Knowledge(self._learn(session), posts, today)
        return learnt.suggester

    def _learn(self, session: Session) -> Suggester:
        posts = list(
            session.scalars(
                select(Post)
                .where(Post.status.in_(PUBLICLY_READABLE))
                .options(*WHOLE, selectinload(Need.country))
                .order_by(Post.id)
            )
        )
        vectors = self.exchange.engine.features(session, posts)
        drafts = [
            Draft(
                vector,
                f"{post.title}\n{post.description}",
                post.language,
                self._codes(post),
            )
            for post, vector in zip(posts, vectors, strict=True)
        ]
        return Suggester.learn(drafts, self._descriptions(session))

    def _codes(self, post: Post) -> dict[str, frozenset[str]]:
        themes = frozenset(post.codes("theme"))
        return {
            "themes": themes,
            "ilac_areas": frozenset(post.codes("ilac_area")),
            "support_kinds": frozenset(post.support_kinds),
            "dimension": frozenset([post.dimension] if post.dimension else []),
            "sdg": self.goals_of(themes),
        }

    def goals_of(self, themes: frozenset[str]) -> frozenset[str]:
        """The Sustainable Development Goals to which themes lead."""
        known = self.exchange.reference.terms.get("theme", {})
        return frozenset(
            target.split(".")[0]
            for theme in themes
            if theme in known
            for target in known[theme].extra.get("sdg", ())
        )

    def _descriptions(self, session: Session) -> dict[str, dict[str, list[Draft]]]:
        """The words that describe each code, so that one that no post states can be suggested."""
        return {
            facet: {code: self._described(session, facet, code) for code in self._codes_of(facet)}
            for facet in FACETS
        }

    def _codes_of(self, facet: str) -> list[str]:
        reference = self.exchange.reference
        if facet == "support_kinds":
            return reference.kinds()
        codes = list(reference.codes(SCHEMES[facet]))
        return [code for code in codes if "." not in code] if facet == "sdg" else codes

    def _described(self, session: Session, facet: str, code: str) -> list[Draft]:
        term, engine = self.exchange.reference.terms[SCHEMES[facet]][code], self.exchange.engine
        drafts = []
        for language in LANGUAGES:
            label, keywords = term.label(language), term.extra.get("keywords", {}).get(language, [])
            if facet == "themes" and language in ENCODED:
                vector = engine.vector_of(session, label, ", ".join(keywords), language, "offer")
            else:
                vector = np.zeros(engine.text_model.dimension, np.float32)
            drafts.append(Draft(vector, ", ".join([label, *keywords]), language))
        return drafts


def suggest_codes(exchange: Exchange, session: Session, sketch: Sketch) -> list[Hint]:
    """What the text of a form seems to be about and does not say yet, the likeliest first.

    Returns
    -------
    list of Hint
        At most ``MOST`` a facet, in the order of ``matching.suggest.FACETS``. A text that says
        nothing, or an exchange with too few posts to learn from, gets none.
    """
    adviser = exchange.adviser
    stated: Mapping[str, Any] = {
        **{name: sketch.codes(name) for name in FACETS if name != "sdg"},
        "sdg": adviser.goals_of(sketch.codes("themes")),
    }
    draft = Draft(
        sketch.vector(exchange.engine, session),
        f"{sketch.title}\n{sketch.body}",
        sketch.language,
        stated,
    )
    found = adviser.suggest(session, draft)
    hints: list[Hint] = []
    for facet in FACETS:
        if facet == "dimension" and stated["dimension"]:
            continue  # A post has one dimension; hers is chosen.
        of_facet = [made for made in found if made.facet == facet][
            : 1 if facet == "dimension" else MOST
        ]
        hints += [
            Hint(facet, SCHEMES[facet], made.code, made.probability, made.words)
            for made in of_facet
        ]
    return hints
