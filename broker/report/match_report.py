"""The match report: what is asked and offered, what met, what was agreed, and what met nobody.

A report is made from its filters (:mod:`broker.report.scope`) and a stored run; every number in it
is counted on the list to which it leads (:mod:`broker.report.rows`), so that the same input gives
the same report, to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.reference import Reference
from broker.report.equity import Equity, weigh_equity
from broker.report.figures import (
    Converted,
    KeyFigures,
    Quantity,
    convert_sums,
    count_agreements,
    count_decline_reasons,
    count_dismissal_reasons,
    count_interests,
    cross_all_facets,
    key_figures,
    sum_money,
    sum_places,
)
from broker.report.lines import (
    AgreementLine,
    CommitmentLine,
    DismissalLine,
    InterestLine,
    Lines,
    MatchLine,
    PostLine,
    SuggestedLine,
    UnmetLine,
    UnusedLine,
)
from broker.report.outcomes import Calibration, follow_up
from broker.report.rows import ReportRows, choose_run, count, run_pairs
from broker.report.scope import ReportScope
from broker.supply_demand import FACETS, Cell, CrossTable, FacetTable
from models import (
    LIVE,
    MatchRun,
    Post,
)

BEST = 10
"""How many of the best matches and of the other lists the report's text shows."""

MOST_MATCHES = 100
"""No report lists more of the best matches; the page of its run has them all."""


@dataclass(frozen=True)
class RunFacts:
    """What a run was made with.

    Attributes
    ----------
    eligible_pairs, matches : int
        Of the whole run, whatever the report is narrowed to.
    changed : int
        Posts that have come, gone or been edited since the run.
    """

    id: int
    on: date
    seconds: float
    engine_version: str
    text_version: str
    weights: Mapping[str, Any]
    input_digest: str
    result_digest: str
    eligible_pairs: int
    matches: int
    changed: int


@dataclass(frozen=True)
class Earlier:
    """The report with which this one is compared: its period, its run, and its key figures."""

    since: date | None
    until: date
    run: int | None
    figures: KeyFigures


@dataclass(frozen=True)
class MatchReport:
    """Everything that the report says, in one language.

    Attributes
    ----------
    negotiated_in : str or None
        Subregion to whose needs interests, agreements and commitments are limited.
    tables : tuple of FacetTable
        Supply against demand by each facet.
    cube : tuple of (theme, subregion, ILAC area, kind of support, needs, offers)
        Supply against demand by all four facets; ``""`` is "not stated".
    best, unmet, unused, agreements, interests, commitments
        Lists, at most as long as was asked for; their full lengths are in ``figures`` and
        ``agreement_counts``.
    money : dict
        Currency → quantities; amounts of different currencies are never added.
    sealed : int
        Needs whose amount is sealed, and in no sum.
    needs, offers : tuple of PostLine
        All posts of the report, with what agreements have covered; only where lists are whole.
    """

    language: str
    scope: ReportScope
    negotiated_in: str | None
    run: RunFacts | None
    figures: KeyFigures
    earlier: Earlier | None
    standing: Cell
    tables: tuple[FacetTable, ...]
    cross: CrossTable
    cube: tuple[tuple[str, str, str, str, int, int], ...]
    best: tuple[MatchLine, ...]
    unmet: tuple[UnmetLine, ...]
    unused: tuple[UnusedLine, ...]
    interest_counts: Mapping[str, int]
    overdue_interests: int
    interests: tuple[InterestLine, ...]
    dismissals: tuple[DismissalLine, ...]
    decline_reasons: Mapping[str, int]
    dismissal_reasons: Mapping[str, int]
    agreement_counts: Mapping[str, int]
    agreements: tuple[AgreementLine, ...]
    commitments: tuple[CommitmentLine, ...]
    places: Quantity
    money: Mapping[str, Quantity]
    converted: Converted | None
    sealed: int
    equity: Equity
    calibration: Calibration
    suggested: tuple[SuggestedLine, ...]
    needs: tuple[PostLine, ...]
    offers: tuple[PostLine, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing at all to tell of."""
        figures = self.figures
        return not (figures.needs or figures.offers or self.agreement_counts or figures.interests)


def match_report(
    session: Session,
    reference: Reference,
    *,
    scope: ReportScope,
    language: str,
    negotiated_in: str | None = None,
    listed: int | None = None,
) -> MatchReport:
    """The report of a scope, in a number of queries that does not grow with the exchange.

    Parameters
    ----------
    negotiated_in : str, optional
        Limit interests, agreements and commitments to the needs of one subregion, for its
        coordinator: those under negotiation are not for everybody's eyes.
    listed : int, optional
        The most rows of each list; all where none is given.
    """
    run = choose_run(session, scope)
    rows = ReportRows(session, reference, scope, run, negotiated_in)
    whole = listed is None
    market = rows.market
    lines = Lines(rows, language)
    money = sum_money(rows)
    return MatchReport(
        language=language,
        scope=scope,
        negotiated_in=negotiated_in,
        run=_facts(session, run) if run else None,
        figures=key_figures(rows),
        earlier=_earlier(rows),
        standing=market.count({}),
        tables=tuple(market.table(facet, reference, language) for facet in FACETS),
        cross=market.cross(scope.view, reference, language),
        cube=cross_all_facets(rows) if whole else (),
        best=lines.matches(
            session.scalars(rows.matches().limit(min(listed or MOST_MATCHES, MOST_MATCHES)))
        )
        if listed != 0
        else (),
        unmet=lines.unmet(listed) if listed != 0 else (),
        unused=lines.unused(listed) if listed != 0 else (),
        interest_counts=count_interests(rows),
        overdue_interests=count(session, rows.interests("overdue")),
        interests=lines.interests() if whole else (),
        dismissals=lines.dismissals() if whole else (),
        decline_reasons=count_decline_reasons(rows),
        dismissal_reasons=count_dismissal_reasons(rows),
        agreement_counts=count_agreements(rows),
        agreements=lines.agreements(listed) if listed != 0 else (),
        commitments=lines.commitments() if whole else (),
        places=sum_places(rows),
        money=money,
        converted=convert_sums(money, scope.currency, reference) if scope.currency else None,
        sealed=count(session, rows.sealed()),
        equity=weigh_equity(rows),
        calibration=follow_up(rows),
        suggested=lines.suggested() if whole else (),
        needs=lines.posts(session.scalars(rows.posts("need"))) if whole else (),
        offers=lines.posts(session.scalars(rows.posts("offer"))) if whole else (),
    )


def _earlier(rows: ReportRows) -> Earlier | None:
    """The period before, or the run that was chosen; without a period, the run before this one."""
    scope, session = rows.scope, rows.session
    if scope.against is not None:
        run = session.get(MatchRun, scope.against)
        before = replace(scope, run=scope.against, until=run.on if run else None, against=None)
        if before.since and before.until and before.until < before.since:
            before = replace(before, since=None)
    elif (found := scope.before()) is not None:
        before, run = found, choose_run(session, found)
    elif rows.run is not None:
        run = session.scalar(
            select(MatchRun)
            .where(MatchRun.finished_at.is_not(None), MatchRun.id < rows.run.id)
            .order_by(MatchRun.id.desc())
            .limit(1)
        )
        if run is None:
            return None
        before = replace(scope, run=run.id, until=run.on)
    else:
        return None
    figures = key_figures(ReportRows(session, rows.reference, before, run, rows.negotiated_in))
    return Earlier(before.since, before.last_day, run.id if run else None, figures)


def _facts(session: Session, run: MatchRun) -> RunFacts:
    live: dict[int, datetime] = dict(
        session.execute(select(Post.id, Post.updated_at).where(Post.status.in_(LIVE))).all()
    )
    took_part = {*run.need_ids, *run.offer_ids}
    edited = {id_ for id_, updated in live.items() if updated > run.started_at}
    return RunFacts(
        id=run.id,
        on=run.on,
        seconds=run.seconds,
        engine_version=run.engine_version,
        text_version=run.text_version,
        weights=dict(run.weights),
        input_digest=run.input_digest,
        result_digest=run.result_digest,
        eligible_pairs=run.eligible_pairs,
        matches=count(session, run_pairs(run)),
        changed=len((took_part ^ set(live)) | (edited & took_part)),
    )
