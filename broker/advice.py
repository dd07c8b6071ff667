"""Use case of advice: what the exchange says to a post while it is being written.

Whom it would match best and why, which posts say the same already, what the text seems to be
about, and what is worth saying still. Nothing is saved and nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from broker.duplicates import LikelyDouble, doubles_of
from broker.engine import Standing, need_profile, offer_profile, pairs_of
from broker.exchange import Exchange
from broker.explanations import reason_of
from broker.posts import CLASSES, SCHEMAS, write
from broker.reference import Reference
from broker.schemas import load
from broker.sketch import Sketch
from broker.suggestions import Hint, suggest_codes
from matching import COMPONENTS, Book, Weights
from matching.explain import Change
from models import InvalidInput, Need, Offer, User

SHOWN = 5
"""Matches that a writer is shown."""
FEW_WORDS = 4
"""Words below which a text says too little to be matched."""
ENOUGH_WORDS = 60
"""Words of a description from which it speaks for itself."""
CHANGES = 4
"""Single edits that are named."""

IMAGINED = 0
"""Number of the post that is being written: no stored post has it."""


@dataclass(frozen=True)
class LikelyMatch:
    """A post of the other side that would match what is being written."""

    post: Need | Offer
    points: float
    band: str
    reason: dict[str, Any]


@dataclass(frozen=True)
class Point:
    """One line of the checklist.

    Attributes
    ----------
    field : str
        Field of the form, or ``"words"`` for the length of the description.
    done : bool
    points : float
        Points of 100 that an agreeing answer adds at most; 0 where it helps readers, not matching.
    """

    field: str
    done: bool
    points: float = 0.0


@dataclass(frozen=True)
class Advice:
    """What is said to a writer.

    Attributes
    ----------
    enough : bool
        Whether there is text enough to say anything.
    any_kind : bool
        Whether no kind of support is ticked yet, so that every kind was looked at.
    changes : list
        (the other post, edit of the writer's own side), the greatest gain first.
    """

    enough: bool
    checklist: list[Point]
    hints: list[Hint] = field(default_factory=list)
    doubles: list[LikelyDouble] = field(default_factory=list)
    matches: list[LikelyMatch] = field(default_factory=list)
    eligible: int = 0
    any_kind: bool = False
    changes: list[tuple[Need | Offer, Change]] = field(default_factory=list)
    standing: Standing | None = None

    @property
    def open_points(self) -> list[Point]:
        """What is still open, the heaviest first."""
        return sorted(
            (point for point in self.checklist if not point.done), key=lambda p: -p.points
        )


def advise(exchange: Exchange, session: Session, sketch: Sketch, by: User, *, on: date) -> Advice:
    """Look at a post that is being written with all that the exchange knows."""
    checklist = make_checklist(sketch, exchange.engine.book.weights)
    if len(f"{sketch.title} {sketch.body}".split()) < FEW_WORDS:
        return Advice(False, checklist)
    hints = suggest_codes(exchange, session, sketch)
    doubles = doubles_of(exchange, session, sketch, elsewhere=True)
    with session.no_autoflush:
        advice = _matched(exchange, session, sketch, by, on)
    return replace(advice, checklist=checklist, hints=hints, doubles=doubles)


def _matched(exchange: Exchange, session: Session, sketch: Sketch, by: User, on: date) -> Advice:
    engine, is_need = exchange.engine, sketch.kind == "need"
    profile = _profile(_imagined(sketch, by, exchange.reference), exchange.reference)
    any_kind = not profile.support_kinds
    if any_kind:
        profile = replace(profile, support_kinds=frozenset(exchange.reference.kinds()))
    vector = sketch.vector(engine, session)
    with engine.open(session) as book:
        (book.put_need if is_need else book.put_offer)(replace(profile, published=True), vector)
        try:
            ranking = (book.rank_offers if is_need else book.rank_needs)(IMAGINED, SHOWN, on=on)
            pairs = [(found.need_id, found.offer_id) for found in ranking]
            reasons = [reason_of(book.explain(*pair, on=on)) for pair in pairs]
            changes = _own_changes(book, pairs[:1], sketch, on)
        finally:
            (book.remove_need if is_need else book.remove_offer)(IMAGINED)
    posts = pairs_of(session, pairs)
    others = [posts[pair[1] if is_need else pair[0]] for pair in pairs]
    return Advice(
        True,
        [],
        matches=[
            LikelyMatch(other, found.points, found.band, reason)
            for other, found, reason in zip(others, ranking, reasons, strict=True)
        ],
        eligible=ranking.eligible,
        any_kind=any_kind,
        changes=[(others[0], change) for change in changes],
        standing=engine.standing,
    )


def _own_changes(
    book: Book, pairs: list[tuple[int, int]], sketch: Sketch, on: date
) -> list[Change]:
    """What the writer herself could still say to come nearer to her best match."""
    return [
        change
        for pair in pairs
        for change in book.what_would_change(*pair, on=on)
        if change.side == sketch.kind and change.kind in ("state", "add")
    ][:CHANGES]


def _imagined(sketch: Sketch, by: User, reference: Reference) -> Need | Offer:
    """The post as it would be if it were saved now; fields with a problem are left out."""
    post: Any = CLASSES[sketch.kind](
        id=IMAGINED,
        reference="",
        organisation=by.organisation,
        organisation_id=by.organisation_id,
        language=sketch.language or by.language,
    )
    for name, column in inspect(type(post)).column_attrs.items():
        default = column.columns[0].default
        if default is not None and getattr(post, name) is None:
            setattr(post, name, default.arg(None) if default.is_callable else default.arg)
    write(post, _readable(sketch, reference))
    return post


def _readable(sketch: Sketch, reference: Reference) -> dict[str, Any]:
    """The fields of a form that can be read; one with a problem is as if it were empty."""
    filled = {name: value for name, value in sketch.values.items() if value not in ("", None, [])}
    filled["language"] = sketch.language or "en"
    for _attempt in filled:
        try:
            return load(SCHEMAS[sketch.kind], filled, reference, partial=True)
        except InvalidInput as error:
            bad = {name for name in error.fields if name in filled}
            if not bad:
                break
            filled = {name: value for name, value in filled.items() if name not in bad}
    return {}


def _profile(post: Need | Offer, reference: Reference) -> Any:
    if isinstance(post, Need):
        return need_profile(post, reference)
    return offer_profile(post, reference)


PARTS = {
    "need": {
        "themes": ("themes",),
        "ilac_areas": ("ilac_areas",),
        "support": ("support_kinds", "modalities"),
        "languages": ("languages",),
        "country": ("place",),
        "programmes": ("programmes",),
        "dimension": ("dimension",),
        "starts": ("period",),
        "horizon": ("horizon",),
        "money_most": ("money",),
        "places_wanted": ("places",),
    },
    "offer": {
        "themes": ("themes",),
        "ilac_areas": ("ilac_areas",),
        "support": ("support_kinds", "modalities"),
        "languages": ("languages",),
        "serves_subregions": ("place",),
        "programmes": ("programmes",),
        "dimension": ("dimension",),
        "starts": ("period",),
        "horizon": ("horizon",),
        "money": ("money",),
        "places": ("places",),
        "experience_countries": ("experience_countries",),
    },
}
"""Kind → field of the form → what of the score it is compared in."""

INSTEAD = {
    "country": ("subregion",),
    "serves_subregions": ("serves_countries", "serves_outside"),
    "money_most": ("money_least",),
    "money": ("grant_most", "grant_least"),
    "starts": ("ends",),
}
"""Fields any of which answers as well."""

FOR_READERS = ("closes", "contact_email", "translations")
"""Fields that make a post easier to find and to answer, and do not count in a score."""


def make_checklist(sketch: Sketch, weights: Weights) -> list[Point]:
    """What a post of that kind should say, what it says already, and what each is worth."""
    shares: Mapping[str, float] = weights.shares()
    worth = {
        part.name: 100 * shares[component] * part.share * (1 - part.neutral)
        for component, parts in COMPONENTS.items()
        for part in parts
    }
    words = len(sketch.body.split())
    points = [Point("words", words >= ENOUGH_WORDS, worth["text"])]
    for name, parts in PARTS[sketch.kind].items():
        done = any(sketch.values.get(one) for one in (name, *INSTEAD.get(name, ())))
        points.append(Point(name, done, sum(worth[part] for part in parts)))
    return points + [Point(name, _is_said(sketch.values.get(name))) for name in FOR_READERS]


def _is_said(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_said, value.values()))
    return bool(value)
