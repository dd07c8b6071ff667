"""A post while it is being written: the text and the facts that can be read from a form already."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy.orm import Session

from broker.engine import Engine
from matching import NeedProfile, OfferProfile
from matching.text import Role, Side, Vector
from models import LANGUAGES

LONGEST = 20_000
"""Characters of a text that are looked at while it is being written."""


@dataclass(frozen=True)
class Sketch:
    """What a form says so far, checked no further than reading it needs.

    Parameters
    ----------
    kind : str
        ``"need"`` or ``"offer"``.
    values : Mapping
        Field → value as typed or stored, see ``broker.posts.content``.
    organisation : int
        Number of the organisation that writes.
    post_id : int
        Of the post that is being changed; 0 for a new one.
    """

    kind: str
    values: Mapping[str, Any]
    organisation: int
    post_id: int = 0

    @property
    def side(self) -> Side:
        """The engine's word for the kind."""
        return "need" if self.kind == "need" else "offer"

    @property
    def title(self) -> str:
        """The title, as far as it is written."""
        return self._text("title")

    @property
    def body(self) -> str:
        """All that is written besides the title, as the text model reads a post."""
        parts = [self._text(name) for name in ("description", "problem", "results")]
        parts += [str(item.get("detail") or "") for item in self.values.get("support") or []]
        return "\n".join(part for part in parts if part)[:LONGEST]

    @property
    def language(self) -> str | None:
        """The language in which it is written, if it is one of the four."""
        found = self.values.get("language")
        return found if found in LANGUAGES else None

    def codes(self, name: str) -> frozenset[str]:
        """The codes that are ticked in a field."""
        if name == "support_kinds":
            rows = self.values.get("support") or []
            return frozenset(str(row["kind"]) for row in rows if row.get("kind"))
        found = self.values.get(name) or []
        return frozenset([found] if isinstance(found, str) else found)

    def profile(self) -> NeedProfile | OfferProfile:
        """The facts that tell posts apart, for the search for doubles."""
        starts: date | None = None
        with suppress(ValueError):
            starts = date.fromisoformat(str(self.values.get("starts") or ""))
        common: dict[str, Any] = {
            "id": self.post_id,
            "reference": "",
            "organisation": self.organisation,
            "language": self.language,
            "themes": self.codes("themes"),
            "support_kinds": self.codes("support_kinds"),
            "starts": starts,
        }
        if self.kind == "need":
            return NeedProfile(**common, country=self.values.get("country") or None)
        return OfferProfile(**common)

    def vector(self, engine: Engine, session: Session) -> Vector:
        """The feature vector of the text; zero where nothing is written.

        A text that is still being typed changes with every word: what is made of it is not kept.
        """
        encoder: Any = engine.vectors.encoder
        model = engine.text_model
        source, role, vector = model.source(self.title, self.body), model.role(self.side), None
        if encoder is not None:
            vector = engine.vectors.stored(session, [source], role)[0]
            if vector is None:
                vector = _passing(encoder, source, role)
        return model.features(self.title, self.body, self.language, self.side, vector)

    def _text(self, name: str) -> str:
        return str(self.values.get(name) or "").strip()[:LONGEST]


@lru_cache(maxsize=64)
def _passing(encoder: Any, source: str, role: Role) -> Vector:
    vector: Vector = encoder.encode([source], role)[0]
    return vector
