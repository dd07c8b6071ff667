"""The choice of the subregions, and what it makes of the region's plan.

A coordinator chooses lines of her countries' plans with the evidence in view; what the four
subregions have in common is found by meaning, in whatever languages the lines are written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from broker.action_plan import SUBREGIONS, WHOLE_LINE, require_room
from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.exchange import Exchange
from broker.reference import Reference
from broker.schemas import Strict, Text, load
from matching.common_lines import CommonLine, find_common, likeness_of_lines
from models import (
    LIVE,
    PUBLICLY_REGISTERED,
    ActionPlan,
    Agreement,
    Conflict,
    Country,
    Need,
    NotFound,
    Organisation,
    PlanLine,
    Post,
    PostFacet,
    TaskForce,
    User,
)

ALIKE = 0.55
"""Likeness from which lines of all four subregions are said to be common to them."""


@dataclass(frozen=True)
class Candidate:
    """A line of a country's plan that a coordinator may choose, with the evidence for it.

    Attributes
    ----------
    countries : list of str
        Countries of the subregion whose plans have a line on one of its themes.
    needs, offers, agreements : int
        On its themes: open needs of the subregion, offers on the exchange, registered agreements
        for the subregion's needs.
    mandates : int
        Mandates that it answers.
    task_forces : list of str
        Codes of the task forces that work on one of its themes.
    """

    line: PlanLine
    countries: list[str]
    needs: int
    offers: int
    agreements: int
    mandates: int
    task_forces: list[str]

    @property
    def weight(self) -> tuple[int, int, int]:
        """The order in which candidates are shown: most countries first, then most needs."""
        return (-len(self.countries), -self.needs, self.line.id)


def candidates(session: Session, plan: ActionPlan) -> list[Candidate]:
    """The lines of the countries of a subregion for the same cycle, best supported first."""
    lines = list(
        session.scalars(
            select(PlanLine)
            .join(ActionPlan, ActionPlan.id == PlanLine.plan_id)
            .where(ActionPlan.starts == plan.starts, ActionPlan.country_code.is_not(None))
            .options(*WHOLE_LINE)
        )
    )
    lines = [line for line in lines if line.plan.subregion == plan.scope]
    needs = _posts_by_theme(session, "need", plan.scope)
    offers = _posts_by_theme(session, "offer", None)
    agreed = _agreements_by_theme(session, plan.scope)
    forces = {
        force.organisation.code: set(force.themes)
        for force in session.scalars(
            select(TaskForce).options(selectinload(TaskForce.organisation))
        )
    }
    found = []
    for line in lines:
        themes = set(line.themes)
        found.append(
            Candidate(
                line,
                sorted(
                    {
                        str(other.plan.country_code)
                        for other in lines
                        if other is line or themes & set(other.themes)
                    }
                ),
                len(set().union(*(needs.get(theme, set()) for theme in themes))),
                len(set().union(*(offers.get(theme, set()) for theme in themes))),
                len(set().union(*(agreed.get(theme, set()) for theme in themes))),
                len(line.mandates),
                [code for code, own in forces.items() if own & themes],
            )
        )
    return sorted(found, key=lambda candidate: candidate.weight)


def _posts_by_theme(session: Session, kind: str, subregion: str | None) -> dict[str, set[int]]:
    query = (
        select(PostFacet.code, Post.id)
        .join(Post, Post.id == PostFacet.post_id)
        .where(PostFacet.facet == "theme", Post.kind == kind, Post.status.in_(LIVE))
    )
    if subregion is not None:
        query = query.where(Post.id.in_(_needs_of(subregion)))
    found: dict[str, set[int]] = {}
    for theme, post_id in session.execute(query):
        found.setdefault(theme, set()).add(post_id)
    return found


def _needs_of(subregion: str) -> Select[int]:
    countries = select(Country.code).where(Country.subregion == subregion)
    return select(Need.id).where((Need.subregion == subregion) | Need.country_code.in_(countries))


def _agreements_by_theme(session: Session, subregion: str) -> dict[str, set[int]]:
    rows = session.execute(
        select(PostFacet.code, Agreement.id)
        .join(Agreement, Agreement.need_id == PostFacet.post_id)
        .where(
            PostFacet.facet == "theme",
            Agreement.status.in_(PUBLICLY_REGISTERED),
            Agreement.need_id.in_(_needs_of(subregion)),
        )
    )
    found: dict[str, set[int]] = {}
    for theme, agreement_id in rows:
        found.setdefault(theme, set()).add(agreement_id)
    return found


class ChoiceSchema(Strict):
    """Why a line is a priority."""

    reason = Text(2000, required=True)


def choose_line(
    session: Session,
    by: User,
    plan: ActionPlan,
    line_id: int,
    data: Mapping[str, Any],
    reference: Reference,
) -> PlanLine:
    """Make a line of a country's plan a priority of its subregion.

    Raises
    ------
    NotAllowed
        The subregion's plan is not the person's.
    Conflict
        It has four lines of this dimension already, or the line is chosen.
    InvalidInput
        No reason is given.
    NotFound
        The line is none of the subregion's countries for this cycle.
    """
    plan.require_editable(by)
    line = session.get(PlanLine, line_id, options=[selectinload(PlanLine.plan)])
    if (
        line is None
        or not line.plan.is_countrys
        or line.plan.subregion != plan.scope
        or line.plan.starts != plan.starts
    ):
        raise NotFound("no_such_line", id=line_id)
    _require_impartial(session, by, line)
    values = load(ChoiceSchema, data, reference)
    if line.subregion_plan_id is not None:
        raise Conflict("line_is_chosen")
    require_room(session, plan, line.dimension)
    line.subregion_plan, line.choice_reason = plan, values["reason"]
    line.chosen_by_id = by.id
    record(session, by, "plan.line_chosen", line, after={"reason": line.choice_reason})
    return line


def _require_impartial(session: Session, by: User, line: PlanLine) -> None:
    """Raise if the person has declared a conflict with the government whose line it is."""
    governments = session.scalars(
        select(Organisation).where(
            Organisation.kind == "government",
            Organisation.country_code == line.plan.country_code,
        )
    )
    require_no_conflict(session, by, *governments)


def release_line(session: Session, by: User, plan: ActionPlan, line_id: int) -> None:
    """Take a chosen line out of the subregion's priorities; it stays in its country's plan."""
    plan.require_editable(by)
    line = session.get(PlanLine, line_id)
    if line is None or line.subregion_plan_id != plan.id:
        raise NotFound("no_such_line", id=line_id)
    _require_impartial(session, by, line)
    record(session, by, "plan.line_released", line, before={"reason": line.choice_reason})
    line.subregion_plan, line.choice_reason, line.chosen_by_id = None, "", None


@dataclass(frozen=True)
class Common:
    """A priority that all four subregions share.

    Attributes
    ----------
    lines : list of (str, PlanLine)
        Subregion and its line, in the order of ``SUBREGIONS``.
    likeness : float
        That of the two least alike lines, 0 to 1.
    themes : list of str
        Themes that at least two of them name.
    """

    lines: list[tuple[str, PlanLine]]
    likeness: float
    themes: list[str]


def common_lines(
    exchange: Exchange, session: Session, found: Mapping[str, Sequence[PlanLine]]
) -> list[Common]:
    """The lines that the four subregions have in common, in whatever languages they are written.

    Parameters
    ----------
    found : mapping
        Subregion → lines, as of :func:`broker.action_plan.lines_by_scope`.
    """
    lines = [(scope, line) for scope in SUBREGIONS for line in found.get(scope, ())]
    if len({scope for scope, _line in lines}) < len(SUBREGIONS):
        return []
    texts = _text_likeness(exchange, session, [line for _scope, line in lines])
    likeness = likeness_of_lines(texts, [frozenset(line.themes) for _scope, line in lines])
    common: list[CommonLine] = find_common(likeness, [scope for scope, _line in lines], least=ALIKE)
    return [
        Common(
            [lines[member] for member in one.members],
            one.likeness,
            _shared_themes([lines[member][1] for member in one.members]),
        )
        for one in common
    ]


def _shared_themes(lines: Sequence[PlanLine]) -> list[str]:
    counts = Counter(theme for line in lines for theme in set(line.themes))
    return [theme for theme, count in counts.most_common() if count > 1]


def _text_likeness(exchange: Exchange, session: Session, lines: Sequence[PlanLine]) -> Any:
    """Likeness of every two lines' texts: each once as what is asked, once as what is given."""
    engine = exchange.engine
    sides: dict[str, Any] = {}
    for side in ("need", "offer"):
        rows = [
            engine.vector_of(
                session, line.priority, f"{line.results}\n{line.activities}", line.language, side
            )
            for line in lines
        ]
        sides[side] = np.stack(rows)
    exchange.vectors.keep()
    return engine.text_model.calibrate(sides["need"] @ sides["offer"].T)
