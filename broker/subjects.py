"""Pages of a theme or an ILAC priority area: who asks, who offers, what is agreed, what works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker.agreements import RegisterFilter, find_agreements
from broker.board import market_size
from broker.directory import WHOLE as WHOLE_ENTRY
from broker.directory_search import DirectoryFilter, find_entries
from broker.posts import PostFilter, count_choices, find_posts
from broker.programmes import task_forces_of
from broker.reference import Reference
from broker.supply_demand import FACETS, Cell
from models import Agreement, Entry, Need, NotFound, Offer, TaskForce, Term, localised

FEW = 4
"""Posts, agreements and entries of each kind that a page shows; links lead to all."""

SUBJECTS = ("theme", "ilac_area")
"""Taxonomies whose terms have a page."""


@dataclass(frozen=True)
class Subject:
    """A theme or an ILAC priority area, and what stands near it in the taxonomies.

    Attributes
    ----------
    themes : tuple of str
        Of a theme itself and nothing else; of an area, those that typically belong to it.
    related : tuple of str
        Broader and related themes of a theme; the themes of an area.
    areas : tuple of str
        ILAC areas to which a theme typically belongs.
    programmes : tuple of str
        Programmes of the framework that work on its themes.
    """

    facet: str
    term: Term
    themes: tuple[str, ...]
    related: tuple[str, ...]
    areas: tuple[str, ...]
    programmes: tuple[str, ...]

    def about(self, language: str) -> str:
        """What it is about, in a sentence."""
        return localised(self.term.extra.get("about"), language)


@dataclass(frozen=True)
class SubjectPicture:
    """What the page of a subject shows: the newest of each, and how many there are."""

    subject: Subject
    open: Cell
    agreed: int
    entries: int
    needs: Sequence[Need]
    offers: Sequence[Offer]
    agreements: Sequence[Agreement]
    examples: Sequence[Entry]
    task_forces: tuple[TaskForce, ...]


def get_subject(reference: Reference, facet: str, code: str) -> Subject:
    """A theme or an area by its code; raises :class:`models.errors.NotFound`."""
    term = reference.terms.get(facet, {}).get(code)
    if term is None or facet not in SUBJECTS:
        raise NotFound("no_such_page")
    themes = reference.terms["theme"]
    if facet == "theme":
        own: tuple[str, ...] = (code,)
        near = (*term.extra.get("broader", ()), *term.extra.get("related", ()))
        areas = tuple(term.extra.get("ilac_areas", ()))
    else:
        own = tuple(c for c, t in themes.items() if code in t.extra.get("ilac_areas", ()))
        near, areas = own, ()
    programmes = tuple(
        c
        for c, programme in reference.terms["programme"].items()
        if set(own) & set(programme.extra.get("themes", ()))
    )
    return Subject(facet, term, own, tuple(dict.fromkeys(near)), areas, programmes)


def picture_subject(session: Session, subject: Subject, *, on: date) -> SubjectPicture:
    """Everything of a subject's page, in as many queries however many posts there are."""
    narrowed: dict[str, Any] = {FACETS[subject.facet]: (subject.term.code,)}
    register = find_agreements(RegisterFilter(**narrowed), None)
    counted = register.order_by(None).subquery()
    near = DirectoryFilter(themes=subject.themes)
    entries = find_entries(near, Entry, on=on).order_by(
        # What was tried comes before who could try it.
        Entry.kind != "practice",
        Entry.published_at.desc(),
        Entry.id,
    )
    needs, offers = (
        session.scalars(find_posts(PostFilter(kind, open_only=True, **narrowed)).limit(FEW)).all()
        for kind in ("need", "offer")
    )
    return SubjectPicture(
        subject=subject,
        open=market_size(session, narrowed),
        agreed=session.scalar(select(func.count()).select_from(counted)) or 0,
        entries=session.scalar(find_entries(near, func.count(Entry.id), on=on)) or 0,
        needs=needs,
        offers=offers,
        agreements=session.scalars(register.limit(FEW)).all(),
        examples=session.scalars(entries.limit(FEW).options(*WHOLE_ENTRY)).all(),
        task_forces=task_forces_of(session, set(subject.themes)),
    )


def size_subjects(session: Session) -> dict[str, dict[str, Cell]]:
    """Taxonomy → code → the open needs and offers that carry it."""
    counts = {
        kind: count_choices(session, PostFilter(kind, open_only=True)) for kind in ("need", "offer")
    }
    sizes: dict[str, dict[str, Cell]] = {}
    for facet in SUBJECTS:
        asked, given = (counts[kind].get(FACETS[facet], {}) for kind in ("need", "offer"))
        sizes[facet] = {
            code: Cell(asked.get(code, 0), given.get(code, 0)) for code in {**asked, **given}
        }
    return sizes
