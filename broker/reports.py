"""The match report: what is asked and offered, what met, what was agreed, and what met nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.reference import Reference
from broker.supply_demand import FACETS, Cell, CrossTable, FacetTable, Market, View
from models import (
    LIVE,
    Agreement,
    AgreementStatus,
    Commitment,
    Country,
    Interest,
    Match,
    MatchRun,
    MatchStatus,
    Need,
    Offer,
    Post,
    RunPair,
    utc_now,
)
from models.post import FOLLOWS_BALANCE

BANDS = ("strong", "good", "possible")
"""Bands in which a pair of a run is a match; a weaker one is kept only as the nearest miss."""

BAND_NAMES = {
    "strong": _l("strong"),
    "good": _l("good"),
    "possible": _l("possible"),
    "weak": _l("weak"),
}

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

ANSWER_TIME = timedelta(days=14)
"""After this an interest without an answer is overdue."""

BEST = 10
"""How many of the best matches and of the other lists the report's text shows."""


@dataclass(frozen=True)
class PostLine:
    """A post as a report lists it."""

    id: int
    kind: str
    reference: str
    title: str
    organisation: str
    place: str
    language: str
    status: str
    codes: Mapping[str, tuple[str, ...]]


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
class UnmetNeed:
    """A need without a match, and the nearest miss where the run has kept one."""

    need: PostLine
    nearest: MatchLine | None


@dataclass(frozen=True)
class AgreementLine:
    """An agreement as a report lists it; places and money are those of its present terms."""

    id: int
    reference: str
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


@dataclass(frozen=True)
class RunFacts:
    """What a run was made with, and what it found.

    Attributes
    ----------
    changed : int
        Posts that have come, gone or been edited since the run.
    """

    id: int
    on: date
    started_at: datetime
    seconds: float
    engine_version: str
    text_version: str
    weights: Mapping[str, Any]
    input_digest: str
    result_digest: str
    needs: int
    offers: int
    eligible_pairs: int
    matches: int
    matched_needs: int
    unmet_needs: int
    unused_offers: int
    changed: int

    @property
    def match_rate(self) -> float | None:
        """Share of the run's needs that have at least one match; None without needs."""
        return self.matched_needs / self.needs if self.needs else None


@dataclass(frozen=True)
class Quantity:
    """Places, or money of one currency: asked and offered by posts, committed by agreements."""

    asked: Decimal
    offered: Decimal
    committed: Decimal


@dataclass(frozen=True)
class MatchReport:
    """Everything that the report says, in one language.

    Attributes
    ----------
    subregion : str or None
        Subregion to whose needs interests, agreements and commitments are limited.
    tables : tuple of FacetTable
        Supply against demand by each facet.
    best, unmet, unused, agreements, needs, offers
        Lists, at most as long as was asked for; their full lengths are in ``run``, ``standing``
        and ``agreement_counts``.
    money : dict
        Currency → quantities; amounts of different currencies are never added.
    sealed : int
        Needs whose amount is sealed, and in no sum.
    """

    made_at: datetime
    language: str
    subregion: str | None
    run: RunFacts | None
    standing: Cell
    tables: tuple[FacetTable, ...]
    cross: CrossTable
    best: tuple[MatchLine, ...]
    unmet: tuple[UnmetNeed, ...]
    unused: tuple[PostLine, ...]
    interest_counts: Mapping[str, int]
    overdue_interests: int
    decline_reasons: Mapping[str, int]
    agreement_counts: Mapping[str, int]
    agreements: tuple[AgreementLine, ...]
    places: Quantity
    money: Mapping[str, Quantity]
    sealed: int
    needs: tuple[PostLine, ...]
    offers: tuple[PostLine, ...]


def match_report(
    session: Session,
    reference: Reference,
    *,
    run: MatchRun | None = None,
    language: str,
    view: View | None = None,
    subregion: str | None = None,
    listed: int | None = None,
) -> MatchReport:
    """The report of a run and of the exchange as it stands now.

    Parameters
    ----------
    run : MatchRun, optional
        The newest one where none is given; without any run the report has no matches.
    view : View, optional
        The cross table that is wanted; theme by subregion where none is given.
    subregion : str, optional
        Limit interests, agreements and commitments to the needs of one subregion, for its
        coordinator: those under negotiation are not for everybody's eyes.
    listed : int, optional
        The most rows of each list; all where none is given.
    """
    run = run or newest_run(session)
    market = Market.read(session, reference)
    lines = _Lines(reference, language)
    interest_counts = _by_state(session, INTEREST_STATE, interests(subregion=subregion))
    return MatchReport(
        made_at=utc_now(),
        language=language,
        subregion=subregion,
        run=_facts(session, run, market) if run else None,
        standing=market.count({}),
        tables=tuple(market.table(facet, reference, language) for facet in FACETS),
        cross=market.cross(view or View(), reference, language),
        best=lines.matches(session.scalars(run_pairs(run).limit(listed))) if run else (),
        unmet=lines.unmet(session, run, listed) if run else (),
        unused=lines.posts(session.scalars(unused_offers(session, run).limit(listed)))
        if run
        else (),
        interest_counts={state: interest_counts.get(state, 0) for state in INTEREST_NAMES},
        overdue_interests=count(session, overdue_interests(utc_now(), subregion)),
        decline_reasons=_by_state(
            session, Interest.answer_reason, interests("declined", subregion=subregion)
        ),
        agreement_counts=_agreement_counts(session, subregion),
        agreements=lines.agreements(session.scalars(agreements(subregion=subregion).limit(listed))),
        places=_places(session, subregion),
        money=_money(session, subregion),
        sealed=count(session, posts_stating("need", sealed=True)),
        needs=lines.posts(session.scalars(_open_posts("need").limit(listed))),
        offers=lines.posts(session.scalars(_open_posts("offer").limit(listed))),
    )


def newest_run(session: Session) -> MatchRun | None:
    """The match run that was finished last."""
    return session.scalar(
        select(MatchRun)
        .where(MatchRun.finished_at.is_not(None))
        .order_by(MatchRun.id.desc())
        .limit(1)
    )


def count(session: Session, query: Select[Any]) -> int:
    """How many rows a list has: each number of the report is counted on the list it leads to."""
    return session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0


SHOWN = (
    selectinload(Post.organisation),
    selectinload(Post.supports),
    selectinload(Post.facets),
)
"""What is loaded with a post that is a line of a list."""

BOTH_SIDES = (
    selectinload(RunPair.need).options(*SHOWN),
    selectinload(RunPair.offer).options(*SHOWN),
)


def run_pairs(run: MatchRun, band: str = "") -> Select[tuple[RunPair]]:
    """A query for the matches of a run, or for its pairs of one band; best first."""
    return (
        select(RunPair)
        .where(RunPair.run_id == run.id, RunPair.band.in_((band,) if band else BANDS))
        .order_by(RunPair.score.desc(), RunPair.need_id, RunPair.offer_id)
        .options(*BOTH_SIDES)
    )


def unmet_needs(session: Session, run: MatchRun) -> Select[tuple[Need]]:
    """A query for the needs of a run that no offer matched."""
    ids = set(run.need_ids) - _matched(session, run, RunPair.need_id)
    return select(Need).where(_among(Need.id, ids)).order_by(Need.reference).options(*SHOWN)


def unused_offers(session: Session, run: MatchRun) -> Select[tuple[Offer]]:
    """A query for the offers of a run that match no need."""
    ids = set(run.offer_ids) - _matched(session, run, RunPair.offer_id)
    return select(Offer).where(_among(Offer.id, ids)).order_by(Offer.reference).options(*SHOWN)


def _matched(session: Session, run: MatchRun, side: Any) -> set[int]:
    found = select(side).where(RunPair.run_id == run.id, RunPair.band.in_(BANDS)).distinct()
    return set(session.scalars(found))


def _among(column: Any, ids: Iterable[int]) -> ColumnElement[bool]:
    # Written into the statement: databases limit how many values may be bound to one.
    values = bindparam("ids", sorted(ids), expanding=True, literal_execute=True, unique=True)
    return column.in_(values)  # type: ignore[no-any-return]


def nearest_misses(session: Session, run: MatchRun, needs: Iterable[Need]) -> dict[int, RunPair]:
    """The best pair below the bands of each of those needs, where the run has kept any."""
    found = session.scalars(
        select(RunPair)
        .where(
            RunPair.run_id == run.id,
            RunPair.band.not_in(BANDS),
            _among(RunPair.need_id, [need.id for need in needs]),
        )
        .order_by(RunPair.score)
        .options(*BOTH_SIDES)
    )
    return {pair.need_id: pair for pair in found}


def _of_subregion(code: str) -> ColumnElement[bool]:
    """Needs that concern one subregion, as :meth:`models.Need.subregions` says."""
    countries = select(Country.code).where(Country.subregion == code)
    return or_(
        Need.country_code.in_(countries),
        and_(Need.country_code.is_(None), Need.subregion == code),
    )


INTEREST_STATE = case(
    (Interest.answer.is_not(None), Interest.answer),
    (Match.status == MatchStatus.INTEREST, "waiting"),
    else_="lapsed",
)
"""What became of an interest; one in a match that was dismissed waits for nobody."""


def interests(state: str = "", *, subregion: str | None = None) -> Select[tuple[Interest]]:
    """A query for interests, newest first: all, or of one state, or in one subregion's needs."""
    query = select(Interest).join(Match, Interest.match_id == Match.id)
    if state:
        query = query.where(state == INTEREST_STATE)
    if subregion:
        query = query.where(Match.need_id.in_(select(Need.id).where(_of_subregion(subregion))))
    return query.order_by(Interest.created_at.desc(), Interest.id.desc()).options(
        selectinload(Interest.match).options(
            selectinload(Match.need).selectinload(Post.organisation),
            selectinload(Match.offer).selectinload(Post.organisation),
        )
    )


def overdue_interests(now: datetime, subregion: str | None = None) -> Select[tuple[Interest]]:
    """A query for interests that have waited for an answer too long; the longest first."""
    return (
        interests("waiting", subregion=subregion)
        .where(Interest.created_at < now - ANSWER_TIME)
        .order_by(None)
        .order_by(Interest.created_at, Interest.id)
    )


def agreements(status: str = "", *, subregion: str | None = None) -> Select[tuple[Agreement]]:
    """A query for agreements, newest first: all, of one status, or of one subregion's needs."""
    query = select(Agreement)
    if status:
        query = query.where(Agreement.status == status)
    if subregion:
        query = query.where(Agreement.need_id.in_(select(Need.id).where(_of_subregion(subregion))))
    return query.order_by(Agreement.created_at.desc(), Agreement.id.desc()).options(
        selectinload(Agreement.terms),
        selectinload(Agreement.need).selectinload(Post.organisation),
        selectinload(Agreement.offer).selectinload(Post.organisation),
    )


def posts_stating(
    kind: str, *, currency: str | None = None, sealed: bool = False
) -> Select[tuple[Post]]:
    """A query for the posts that ask for or offer places, or money of one currency.

    Posts on the exchange count, and those that are fulfilled or used up. Sealed amounts are used
    in matching and never shown: such needs are listed only by ``sealed``, without the amount.
    """
    model: Any = Need if kind == "need" else Offer
    query = select(model).where(model.status.in_(FOLLOWS_BALANCE))
    if sealed:
        query = query.where(model.money_sealed, _asked_money().is_not(None))
    elif currency is None:
        places = Need.places_wanted if kind == "need" else Offer.places
        query = query.where(places.is_not(None))
    elif kind == "need":
        query = query.where(~Need.money_sealed, _asked_money().is_not(None))
        query = query.where(Need.currency == currency)
    else:
        query = query.where(Offer.money.is_not(None), Offer.currency == currency)
    return query.order_by(model.reference).options(selectinload(model.organisation))


def _asked_money() -> ColumnElement[Any]:
    return func.coalesce(Need.money_most, Need.money_least, type_=Need.money_most.type)


def commitments(
    currency: str | None = None, subregion: str | None = None
) -> Select[tuple[Commitment]]:
    """A query for the ledger's rows about places, or about money of one currency; newest first."""
    query = select(Commitment)
    if currency is None:
        query = query.where(Commitment.places != 0)
    else:
        query = query.where(Commitment.money != Decimal(0), Commitment.currency == currency)
    if subregion:
        query = query.where(Commitment.need_id.in_(select(Need.id).where(_of_subregion(subregion))))
    return query.order_by(Commitment.id.desc()).options(
        selectinload(Commitment.agreement).options(
            selectinload(Agreement.need), selectinload(Agreement.offer)
        )
    )


def _open_posts(kind: str) -> Select[tuple[Post]]:
    model: Any = Need if kind == "need" else Offer
    return select(model).where(model.status.in_(LIVE)).order_by(model.reference).options(*SHOWN)


def _by_state(session: Session, state: Any, query: Select[Any]) -> dict[str, int]:
    counted = query.order_by(None).with_only_columns(state, func.count()).options().group_by(state)
    return {code or "": number for code, number in session.execute(counted).all()}


def _agreement_counts(session: Session, subregion: str | None) -> dict[str, int]:
    found = _by_state(session, Agreement.status, agreements(subregion=subregion))
    return {str(status): found.get(status, 0) for status in AgreementStatus}


def _places(session: Session, subregion: str | None) -> Quantity:
    def total(column: Any, query: Select[Any]) -> Decimal:
        summed = query.order_by(None).with_only_columns(func.sum(column)).options()
        return Decimal(session.scalar(summed) or 0)

    return Quantity(
        total(Need.places_wanted, posts_stating("need")),
        total(Offer.places, posts_stating("offer")),
        total(Commitment.places, commitments(None, subregion)),
    )


def _money(session: Session, subregion: str | None) -> dict[str, Quantity]:
    """Sums by currency; the currencies of posts and ledger together, in the alphabet's order."""
    asked = _sums(
        session,
        select(Need.currency, func.sum(_asked_money())).where(
            Need.status.in_(FOLLOWS_BALANCE), ~Need.money_sealed, _asked_money().is_not(None)
        ),
        Need.currency,
    )
    offered = _sums(
        session,
        select(Offer.currency, func.sum(Offer.money)).where(
            Offer.status.in_(FOLLOWS_BALANCE), Offer.money.is_not(None)
        ),
        Offer.currency,
    )
    ledger = select(Commitment.currency, func.sum(Commitment.money)).where(
        Commitment.money != Decimal(0)
    )
    if subregion:
        ledger = ledger.where(
            Commitment.need_id.in_(select(Need.id).where(_of_subregion(subregion)))
        )
    committed = _sums(session, ledger, Commitment.currency)
    nothing = Decimal(0)
    return {
        currency: Quantity(
            asked.get(currency, nothing),
            offered.get(currency, nothing),
            committed.get(currency, nothing),
        )
        for currency in sorted(asked.keys() | offered.keys() | committed.keys())
    }


def _sums(session: Session, query: Select[Any], currency: Any) -> dict[str, Decimal]:
    grouped = query.where(currency.is_not(None)).group_by(currency)
    return {code: amount for code, amount in session.execute(grouped).all()}


def _facts(session: Session, run: MatchRun, market: Market) -> RunFacts:
    matched = _matched(session, run, RunPair.need_id)
    used = _matched(session, run, RunPair.offer_id)
    took_part = set(run.need_ids) | set(run.offer_ids)
    now = market.needs.everything | market.offers.everything
    edited = session.scalars(
        select(Post.id).where(Post.status.in_(LIVE), Post.updated_at > run.started_at)
    )
    return RunFacts(
        id=run.id,
        on=run.on,
        started_at=run.started_at,
        seconds=run.seconds,
        engine_version=run.engine_version,
        text_version=run.text_version,
        weights=dict(run.weights),
        input_digest=run.input_digest,
        result_digest=run.result_digest,
        needs=len(run.need_ids),
        offers=len(run.offer_ids),
        eligible_pairs=run.eligible_pairs,
        matches=count(session, run_pairs(run)),
        matched_needs=len(matched & set(run.need_ids)),
        unmet_needs=len(set(run.need_ids) - matched),
        unused_offers=len(set(run.offer_ids) - used),
        changed=len((took_part ^ now) | (set(edited) & took_part)),
    )


class _Lines:
    """Turns rows into the lines of a list, in one language."""

    def __init__(self, reference: Reference, language: str) -> None:
        self.reference = reference
        self.language = language

    def post(self, post: Post) -> PostLine:
        country = post.country_code if isinstance(post, Need) else post.organisation.country_code
        place = self.reference.label("country", country, self.language)
        if isinstance(post, Need) and not country:
            place = self.reference.label("subregion", post.subregion, self.language)
        return PostLine(
            id=post.id,
            kind=post.kind,
            reference=post.reference,
            title=post.title_in(self.language),
            organisation=post.organisation.name(self.language),
            place=place,
            language=post.language,
            status=str(post.status),
            codes={
                "theme": tuple(post.codes("theme")),
                "ilac_area": tuple(post.codes("ilac_area")),
                "support_kind": tuple(post.support_kinds),
            },
        )

    def posts(self, posts: Iterable[Post]) -> tuple[PostLine, ...]:
        return tuple(self.post(post) for post in posts)

    def match(self, pair: RunPair) -> MatchLine:
        from broker.explanations import reason_sentence

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

    def unmet(self, session: Session, run: MatchRun, listed: int | None) -> tuple[UnmetNeed, ...]:
        needs = session.scalars(unmet_needs(session, run).limit(listed)).all()
        misses = nearest_misses(session, run, needs)
        return tuple(
            UnmetNeed(self.post(need), self.match(misses[need.id]) if need.id in misses else None)
            for need in needs
        )

    def agreements(self, found: Iterable[Agreement]) -> tuple[AgreementLine, ...]:
        return tuple(
            AgreementLine(
                id=agreement.id,
                reference=agreement.reference,
                status=str(agreement.status),
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
            )
            for agreement in found
        )
