"""The match report: what is asked and offered, what met, what was agreed, and what met nobody.

A report is made from its filters (:mod:`broker.report_scope`) and a stored run; every number in it
is counted on the list to which it leads (:mod:`broker.report_rows`), so that the same input gives
the same report, to the byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import median
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, aliased

from broker.equity import Equity, weigh_equity
from broker.explanations import reason_sentence
from broker.nearness import missing_sentences
from broker.outcomes import Calibration, follow_up
from broker.reference import Reference
from broker.report_rows import (
    ANSWERED,
    ASKED,
    INTEREST_STATES,
    ReportRows,
    among,
    choose_run,
    count,
    interest_state,
    run_pairs,
    states_money,
)
from broker.report_scope import ReportScope
from broker.supply_demand import FACETS, Cell, CrossTable, FacetTable
from models import (
    LIVE,
    Agreement,
    AgreementStatus,
    Commitment,
    Dismissal,
    Interest,
    Match,
    MatchRun,
    NearestOffer,
    Need,
    Offer,
    Post,
    RunPair,
)

FACET_NAMES = {
    "theme": _l("Theme"),
    "subregion": _l("Subregion"),
    "ilac_area": _l("ILAC priority area"),
    "support_kind": _l("Kind of support"),
}

INTEREST_NAMES = {
    "waiting": _l("waiting for an answer"),
    "accepted": _l("accepted"),
    "declined": _l("declined"),
    "lapsed": _l("ended without an answer"),
}
"""What became of an interest → its name."""

BEST = 10
"""How many of the best matches and of the other lists the report's text shows."""

MOST_MATCHES = 100
"""No report lists more of the best matches; the page of its run has them all."""

CENT = Decimal("0.01")


@dataclass(frozen=True)
class PostLine:
    """A post as a report lists it; ``codes`` maps each facet to its codes with their labels.

    Attributes
    ----------
    in_book : bool
        Whether it took part in the run; others of the report have been covered by agreements.
    met : bool or None
        Whether it has a match in the report; None where it did not take part.
    served : bool
        Whether an agreement serves it (needs only).
    """

    id: int
    kind: str
    reference: str
    title: str
    organisation: str
    place: str
    country: str
    language: str
    status: str
    codes: Mapping[str, Mapping[str, str]]
    places: int | None = None
    money: Decimal | None = None
    currency: str | None = None
    in_book: bool = True
    met: bool | None = None
    served: bool = False


@dataclass(frozen=True)
class UnmetLine:
    """A need that nobody met, the offer that came nearest, and what was missing, in sentences."""

    need: PostLine
    score: float | None
    offer_id: int | None
    offer: str
    offer_title: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class UnusedLine:
    """An offer that matches no need, and what it waits for.

    ``waits_for`` is ``"theme"`` (nobody asks on its themes), ``"place"`` (nobody whom it serves),
    ``"support"`` (nobody asks for what it gives) or ``"fit"`` (needs fit in all that, but none
    well); ``needs`` is how many needs came up to that point.
    """

    offer: PostLine
    waits_for: str
    needs: int


@dataclass(frozen=True)
class MatchLine:
    """A pair of the run as a report lists it, with its main reason as a sentence."""

    need: PostLine
    offer: PostLine
    score: float
    band: str
    rank: int
    reason: str


@dataclass(frozen=True)
class AgreementLine:
    """An agreement as a report lists it, as it stood at the period's end.

    Places and money are those of its present terms.
    """

    id: int
    reference: str
    kind: str
    status: str
    title: str
    need: str
    offer: str
    need_side: str
    offer_side: str
    places: int | None
    money: Decimal | None
    currency: str | None
    proposed_on: date
    signed_on: date | None
    events: tuple[str, ...]


@dataclass(frozen=True)
class CommitmentLine:
    """A row of the ledger as a report lists it: what was committed, or returned."""

    agreement: str
    on: date
    places: int
    money: Decimal
    currency: str | None


@dataclass(frozen=True)
class InterestLine:
    """An interest as a report lists it; ``days`` is how long its answer took."""

    need: str
    offer: str
    side: str
    on: date
    state: str
    reason: str
    days: float | None


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
class KeyFigures:
    """The figures by which one report is set against another.

    Shares lie between 0 and 1; times are in days; None where there is nothing to tell from.
    """

    needs: int
    offers: int
    matches: int
    met_needs: int
    unmet_needs: int
    unused_offers: int
    new_needs: int
    new_offers: int
    interests: int
    unanswered: int
    answer_days: float | None
    agreement_days: float | None
    signed: int
    voluntary: int
    in_force: int
    late: int
    completed: int
    places_committed: int

    @property
    def match_rate(self) -> float | None:
        """Share of the needs that have at least one match."""
        return self.met_needs / self.needs if self.needs else None

    @property
    def unanswered_share(self) -> float | None:
        """Share of the period's interests without an answer at its end."""
        return self.unanswered / self.interests if self.interests else None


@dataclass(frozen=True)
class Quantity:
    """Places, or money of one currency: asked and offered by posts, committed by agreements."""

    asked: Decimal
    offered: Decimal
    committed: Decimal


@dataclass(frozen=True)
class Rate:
    """At what a currency was converted: the amount in the target currency for one unit."""

    currency: str
    rate: float
    on: date | None
    source: str


@dataclass(frozen=True)
class Converted:
    """The sums of money in one currency, and the rates that led there."""

    currency: str
    total: Quantity
    rates: tuple[Rate, ...]


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
    lines = _Lines(rows, language)
    money = _money(rows)
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
        cube=_cube(rows) if whole else (),
        best=lines.matches(
            session.scalars(rows.matches().limit(min(listed or MOST_MATCHES, MOST_MATCHES)))
        )
        if listed != 0
        else (),
        unmet=lines.unmet(listed) if listed != 0 else (),
        unused=lines.unused(listed) if listed != 0 else (),
        interest_counts=_interest_counts(rows),
        overdue_interests=count(session, rows.interests("overdue")),
        interests=lines.interests() if whole else (),
        decline_reasons=_decline_reasons(rows),
        dismissal_reasons=_dismissal_reasons(rows),
        agreement_counts=_agreement_counts(rows),
        agreements=lines.agreements(listed) if listed != 0 else (),
        commitments=_commitment_lines(rows) if whole else (),
        places=_places(rows),
        money=money,
        converted=_convert(money, scope.currency, reference) if scope.currency else None,
        sealed=count(session, rows.sealed()),
        equity=weigh_equity(rows),
        calibration=follow_up(rows),
        needs=lines.posts(session.scalars(rows.posts("need"))) if whole else (),
        offers=lines.posts(session.scalars(rows.posts("offer"))) if whole else (),
    )


def key_figures(rows: ReportRows) -> KeyFigures:
    """The figures of one report by which it is set against another."""
    session = rows.session
    interests = _interest_counts(rows)
    has_run = rows.run is not None

    def events(event: str) -> int:
        return count(session, rows.agreements(event=event))

    return KeyFigures(
        needs=len(rows.need_ids),
        offers=len(rows.offer_ids),
        matches=count(session, rows.matches()),
        met_needs=len(rows.met_ids),
        unmet_needs=len(rows.need_ids - rows.met_ids) if has_run else 0,
        unused_offers=len(rows.offer_ids - rows.useful_ids) if has_run else 0,
        new_needs=count(session, rows.posted("need")),
        new_offers=count(session, rows.posted("offer")),
        interests=sum(interests.values()),
        unanswered=interests["waiting"] + interests["lapsed"],
        answer_days=_middle(_answer_days(rows)),
        agreement_days=_middle(_agreement_days(rows)),
        signed=events("signed"),
        voluntary=events("voluntary"),
        in_force=events("in_force"),
        late=events("late"),
        completed=events("completed"),
        places_committed=int(_sum(rows, Commitment.places, rows.commitments())),
    )


def _middle(days: Sequence[float]) -> float | None:
    return median(days) if days else None


def _answer_days(rows: ReportRows) -> list[float]:
    found = rows.interests("answered").order_by(None).options()
    query = found.with_only_columns(Interest.created_at, Interest.answered_at)
    return [_days(asked, answered) for asked, answered in rows.session.execute(query) if answered]


def _agreement_days(rows: ReportRows) -> list[float]:
    """Days from a pair's first interest to the last signature; from the proposal without one."""
    first = (
        select(func.min(Interest.created_at))
        .where(Interest.match_id == Agreement.match_id)
        .correlate(Agreement)
        .scalar_subquery()
    )
    found = rows.agreements(event="signed").order_by(None).options()
    query = found.with_only_columns(first, Agreement.created_at, Agreement.signed_at)
    return [
        _days(min(begun or proposed, signed), signed)
        for begun, proposed, signed in rows.session.execute(query)
        if signed
    ]


def _days(first: datetime, last: datetime) -> float:
    return (last - first).total_seconds() / 86_400


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


def _interest_counts(rows: ReportRows) -> dict[str, int]:
    state = interest_state(rows.scope.ends).label("state")
    found = rows.interests().order_by(None).options()
    query = found.with_only_columns(state, func.count()).group_by("state")
    counts: dict[str, int] = dict(rows.session.execute(query).all())
    return {state: counts.get(state, 0) for state in INTEREST_STATES}


def _decline_reasons(rows: ReportRows) -> dict[str, int]:
    found = rows.interests("declined").order_by(None).options()
    column = Interest.answer_reason
    query = found.with_only_columns(column, func.count()).group_by(column)
    return _in_order(rows, dict(rows.session.execute(query).all()))


def _dismissal_reasons(rows: ReportRows) -> dict[str, int]:
    found = rows.dismissals().order_by(None).options()
    query = found.with_only_columns(Dismissal.reason, func.count()).group_by(Dismissal.reason)
    return _in_order(rows, dict(rows.session.execute(query).all()))


def _in_order(rows: ReportRows, counts: Mapping[str | None, int]) -> dict[str, int]:
    codes = rows.reference.codes("dismissal_reason")
    return {code: counts[code] for code in codes if code in counts}


def _agreement_counts(rows: ReportRows) -> dict[str, int]:
    standing = rows.standing.label("standing")
    found = rows.agreements().order_by(None).options()
    query = found.with_only_columns(standing, func.count()).group_by("standing")
    counts: dict[str, int] = dict(rows.session.execute(query).all())
    if not counts:
        return {}
    return {str(status): counts.get(status, 0) for status in AgreementStatus}


def _sum(rows: ReportRows, column: Any, query: Any) -> Decimal:
    found = query.order_by(None).options().with_only_columns(func.sum(column))
    return Decimal(rows.session.scalar(found) or 0)


def _places(rows: ReportRows) -> Quantity:
    return Quantity(
        _sum(rows, Need.places_wanted, rows.stating("need")),
        _sum(rows, Offer.places, rows.stating("offer")),
        _sum(rows, Commitment.places, rows.commitments()),
    )


def _money(rows: ReportRows) -> dict[str, Quantity]:
    """Sums by currency, in the order of the currencies' codes."""
    needs = rows.posts("need").where(*states_money("need"))
    offers = rows.posts("offer").where(*states_money("offer"))
    moved = (
        select(Commitment)
        .where(*rows.scope.within(Commitment.created_at))
        .where(Commitment.money != Decimal(0))
        .where(*rows.acts_of(Commitment))
    )
    sums: list[dict[str, Decimal]] = []
    for query, currency, amount in (
        (needs, Need.currency, ASKED),
        (offers, Offer.currency, Offer.money),
        (moved, Commitment.currency, Commitment.money),
    ):
        found = query.order_by(None).options().with_only_columns(currency, func.sum(amount))
        sums.append(dict(rows.session.execute(found.group_by(currency)).all()))
    currencies = sorted(set().union(*sums))
    return {c: Quantity(*(part.get(c, Decimal(0)) for part in sums)) for c in currencies}


def _convert(money: Mapping[str, Quantity], target: str, reference: Reference) -> Converted:
    """The sums in one currency at the stored rates, each with its date and source.

    Both rates are against the US dollar; the conversion is dated by the older of the two.
    """
    goal = reference.currencies[target]
    rates, total = [], [Decimal(0)] * 3
    for code, quantity in money.items():
        own = reference.currencies[code]
        rate = own.usd_rate / goal.usd_rate
        if code != target:
            dated = min((c.rate_date for c in (own, goal) if c.rate_date), default=None)
            sources = dict.fromkeys(c.rate_source for c in (own, goal) if c.rate_source)
            rates.append(Rate(code, rate, dated, "; ".join(sources)))
        for place, amount in enumerate((quantity.asked, quantity.offered, quantity.committed)):
            total[place] += (amount * Decimal(str(rate))).quantize(CENT, ROUND_HALF_EVEN)
    return Converted(target, Quantity(*total), tuple(rates))


def _cube(rows: ReportRows) -> tuple[tuple[str, str, str, str, int, int], ...]:
    """Needs and offers by theme, subregion, ILAC area and kind of support together.

    A post with several codes stands in each of their combinations; combinations of which there is
    nothing are left out.
    """
    sides = []
    for side in (rows.market.needs, rows.market.offers):
        of_post: dict[int, dict[str, list[str]]] = {i: {} for i in side.everything}
        for facet, holders in side.holders.items():
            for code, ids in holders.items():
                for post_id in ids:
                    of_post[post_id].setdefault(facet, []).append(code)
        counts: dict[tuple[str, ...], int] = {}
        for codes in of_post.values():
            for theme in codes.get("theme", [""]):
                for subregion in codes.get("subregion", [""]):
                    for area in codes.get("ilac_area", [""]):
                        for kind in codes.get("support_kind", [""]):
                            key = (theme, subregion, area, kind)
                            counts[key] = counts.get(key, 0) + 1
        sides.append(counts)
    needs, offers = sides
    return tuple(
        (*key, needs.get(key, 0), offers.get(key, 0))  # type: ignore[misc]
        for key in sorted(needs.keys() | offers.keys())
    )


def _commitment_lines(rows: ReportRows) -> tuple[CommitmentLine, ...]:
    found = rows.session.execute(
        select(
            Agreement.reference,
            Commitment.created_at,
            Commitment.places,
            Commitment.money,
            Commitment.currency,
        )
        .join(Agreement, Agreement.id == Commitment.agreement_id)
        .where(*rows.scope.within(Commitment.created_at), *rows.acts_of(Commitment))
        .where(or_(Commitment.places != 0, Commitment.money != Decimal(0)))
        .order_by(Commitment.id)
    )
    return tuple(CommitmentLine(r, at.date(), p, m, c) for r, at, p, m, c in found)


class _Lines:
    """Turns rows into the lines of a list, in one language."""

    def __init__(self, rows: ReportRows, language: str) -> None:
        self.rows = rows
        self.reference = rows.reference
        self.language = language

    def post(self, post: Post) -> PostLine:
        is_need = isinstance(post, Need)
        book = self.rows.need_ids if is_need else self.rows.offer_ids
        met = self.rows.met_ids if is_need else self.rows.useful_ids
        took_part = post.id in book
        return PostLine(
            id=post.id,
            kind=post.kind,
            reference=post.reference,
            title=post.title_in(self.language),
            organisation=post.organisation.name(self.language),
            place=self._place(post),
            country=(post.country_code or "") if isinstance(post, Need) else "",
            language=post.language,
            status=str(post.status),
            codes={
                "theme": self._labels("theme", post.codes("theme")),
                "subregion": self._labels("subregion", self._subregions(post)),
                "ilac_area": self._labels("ilac_area", post.codes("ilac_area")),
                "support_kind": self._labels("support_kind", post.support_kinds),
            },
            places=post.places_wanted if isinstance(post, Need) else post.places,  # type: ignore[attr-defined]
            money=self._money(post),
            currency=post.currency if self._money(post) is not None else None,
            in_book=took_part,
            met=post.id in met if self.rows.run and took_part else None,
            served=is_need and post.id in self.rows.served_ids,
        )

    def _labels(self, scheme: str, codes: Iterable[str]) -> dict[str, str]:
        return {code: self.reference.label(scheme, code, self.language) for code in codes}

    def _subregions(self, post: Post) -> list[str]:
        if isinstance(post, Need):
            code = self.reference.subregion_of(post.country_code) or post.subregion
            return [code] if code else []
        market = self.rows.market.offers.holders["subregion"]
        if post.id in self.rows.offer_ids:
            return [code for code, ids in market.items() if post.id in ids]
        return post.codes("serves_subregion")

    @staticmethod
    def _money(post: Post) -> Decimal | None:
        if getattr(post, "money_sealed", False):
            return None
        if isinstance(post, Need):
            return post.money_most if post.money_most is not None else post.money_least
        return post.money if isinstance(post, Offer) else None

    def _place(self, post: Post) -> str:
        """Where a need is; whom an offer serves."""
        if isinstance(post, Need):
            scheme, code = (
                ("country", post.country_code)
                if post.country_code
                else ("subregion", post.subregion)
            )
            return self.reference.label(scheme, code, self.language)
        served = [
            self.reference.label(scheme, code, self.language)
            for scheme in ("subregion", "country")
            for code in post.codes(f"serves_{scheme}")
        ]
        return ", ".join([*served, *post.codes("serves_outside")])

    def posts(self, posts: Iterable[Post]) -> tuple[PostLine, ...]:
        return tuple(self.post(post) for post in posts)

    def unmet(self, listed: int | None) -> tuple[UnmetLine, ...]:
        run, session = self.rows.run, self.rows.session
        if run is None:
            return ()
        needs = session.scalars(self.rows.unmet().limit(listed)).all()
        nearest = {
            row.need_id: row
            for row in session.scalars(
                select(NearestOffer).where(
                    NearestOffer.run_id == run.id,
                    among(NearestOffer.need_id, [need.id for need in needs]),
                )
            )
        }
        offers = {
            offer.id: offer
            for offer in session.scalars(
                select(Offer).where(
                    among(Offer.id, [row.offer_id for row in nearest.values() if row.offer_id])
                )
            )
        }
        return tuple(self._unmet(need, nearest.get(need.id), offers) for need in needs)

    def _unmet(
        self, need: Need, nearest: NearestOffer | None, offers: Mapping[int, Offer]
    ) -> UnmetLine:
        offer = offers.get(nearest.offer_id) if nearest and nearest.offer_id else None
        return UnmetLine(
            need=self.post(need),
            score=nearest.score if nearest else None,
            offer_id=offer.id if offer else None,
            offer=offer.reference if offer else "",
            offer_title=offer.title_in(self.language) if offer else "",
            missing=missing_sentences(nearest.missing, self.reference, self.language)
            if nearest
            else (),
        )

    def unused(self, listed: int | None) -> tuple[UnusedLine, ...]:
        found = self.rows.session.scalars(self.rows.unused().limit(listed))
        return tuple(self._unused(offer) for offer in found)

    def _unused(self, offer: Offer) -> UnusedLine:
        """How far needs come towards the offer: by theme, then place, then kind of support."""
        needs = self.rows.market.needs
        holders = needs.holders
        themes = offer.codes("theme")
        on_theme = set().union(*(holders["theme"].get(code, set()) for code in themes))
        fitting = on_theme if themes else set(needs.everything)
        if not fitting:
            return UnusedLine(self.post(offer), "theme", 0)
        countries, subregions = self.rows.offer_places[offer.id]
        served = {
            i
            for i in fitting
            if "regional" in subregions
            or self.rows.need_places[i][0] in countries
            or self.rows.need_places[i][1] in subregions
        }
        if not served:
            return UnusedLine(self.post(offer), "place", len(fitting))
        asked = set().union(*(holders["support_kind"].get(k, set()) for k in offer.support_kinds))
        if not served & asked:
            return UnusedLine(self.post(offer), "support", len(served))
        return UnusedLine(self.post(offer), "fit", len(served & asked))

    def match(self, pair: RunPair) -> MatchLine:
        return MatchLine(
            need=self.post(pair.need),
            offer=self.post(pair.offer),
            score=pair.score,
            band=pair.band,
            rank=pair.rank,
            reason=reason_sentence(pair.reason, self.reference, self.language),
        )

    def matches(self, pairs: Iterable[RunPair]) -> tuple[MatchLine, ...]:
        return tuple(self.match(pair) for pair in pairs)

    def interests(self) -> tuple[InterestLine, ...]:
        state = interest_state(self.rows.scope.ends)
        found = self.rows.interests().options()
        need, offer = aliased(Need), aliased(Offer)
        query = (
            found.join(need, need.id == Match.need_id)
            .join(offer, offer.id == Match.offer_id)
            .with_only_columns(
                need.reference,
                offer.reference,
                Interest.side,
                Interest.created_at,
                Interest.answered_at,
                Interest.answer_reason,
                state,
            )
        )
        return tuple(
            InterestLine(
                need=asked_for,
                offer=given,
                side=side,
                on=asked.date(),
                state=became,
                reason=(reason or "") if became == "declined" else "",
                days=_days(asked, answered) if became in ANSWERED and answered else None,
            )
            for asked_for, given, side, asked, answered, reason, became in self.rows.session.execute(
                query
            )
        )

    def agreements(self, listed: int | None) -> tuple[AgreementLine, ...]:
        rows, session = self.rows, self.rows.session
        standing: dict[int, str] = dict(
            session.execute(
                rows.agreements()
                .order_by(None)
                .options()
                .with_only_columns(Agreement.id, rows.standing)
            ).all()
        )
        events = {
            event: set(
                session.scalars(
                    rows.agreements(event=event)
                    .order_by(None)
                    .options()
                    .with_only_columns(Agreement.id)
                )
            )
            for event in ("signed", "in_force", "late", "completed", "voluntary")
        }
        return tuple(
            AgreementLine(
                id=agreement.id,
                reference=agreement.reference,
                kind=str(agreement.kind),
                status=str(standing[agreement.id]),
                title=agreement.current_terms.title,
                need=agreement.need.reference,
                offer=agreement.offer.reference,
                need_side=agreement.need.organisation.name(self.language),
                offer_side=agreement.offer.organisation.name(self.language),
                places=agreement.current_terms.places,
                money=agreement.current_terms.money,
                currency=agreement.current_terms.currency,
                proposed_on=agreement.created_at.date(),
                signed_on=agreement.signed_at.date() if agreement.signed_at else None,
                events=tuple(event for event, ids in events.items() if agreement.id in ids),
            )
            for agreement in session.scalars(rows.agreements().limit(listed))
        )
