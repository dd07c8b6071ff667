"""The match report: what is asked and offered, what met, what was agreed, and what met nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal
from flask_babel import force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, or_, select
from sqlalchemy.orm import Session, aliased, selectinload

from broker.explanations import reason_sentence
from broker.messages import STATES
from broker.posts import CLASSES
from broker.reference import Reference
from broker.runs import newest_run
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
    NotFound,
    Offer,
    Post,
    RunPair,
    utc_now,
)
from models.post import FOLLOWS_BALANCE

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


MOST_MATCHES = 100
"""No report lists more of the best matches; the page of its run has them all."""


@dataclass(frozen=True)
class PostLine:
    """A post as a report lists it; ``codes`` maps each facet to its codes with their labels."""

    id: int
    kind: str
    reference: str
    title: str
    organisation: str
    place: str
    language: str
    status: str
    codes: Mapping[str, Mapping[str, str]]


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
    unmet: tuple[PostLine, ...]
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
    run = run or _newest_run(session)
    most = MOST_MATCHES if listed is None else min(listed, MOST_MATCHES)
    market = Market.read(session, reference)
    lines = _Lines(reference, language)
    return MatchReport(
        made_at=utc_now(),
        language=language,
        subregion=subregion,
        run=_facts(session, run, market) if run else None,
        standing=market.count({}),
        tables=tuple(market.table(facet, reference, language) for facet in FACETS),
        cross=market.cross(view or View(), reference, language),
        best=lines.matches(session.scalars(run_pairs(run).limit(most))) if run else (),
        unmet=lines.posts(session.scalars(unmet_needs(session, run).limit(listed))) if run else (),
        unused=lines.posts(session.scalars(unused_offers(session, run).limit(listed)))
        if run
        else (),
        interest_counts=_interest_counts(session, subregion),
        overdue_interests=count(session, overdue_interests(utc_now(), subregion=subregion)),
        decline_reasons=_decline_reasons(session, reference, subregion),
        agreement_counts=_agreement_counts(session, subregion),
        agreements=lines.agreements(session.scalars(agreements(subregion=subregion).limit(listed))),
        places=_places(session, subregion),
        money=_money(session, subregion),
        sealed=count(session, sealed_needs()),
        needs=lines.posts(session.scalars(_open_posts("need").limit(listed))),
        offers=lines.posts(session.scalars(_open_posts("offer").limit(listed))),
    )


def _newest_run(session: Session) -> MatchRun | None:
    try:
        return newest_run(session)
    except NotFound:
        return None


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


def run_pairs(run: MatchRun, band: str = "") -> Select[RunPair]:
    """A query for the matches of a run, of every band or of one; best first."""
    query = select(RunPair).where(RunPair.run_id == run.id)
    if band:
        query = query.where(RunPair.band == band)
    return query.order_by(RunPair.score.desc(), RunPair.need_id, RunPair.offer_id).options(
        *BOTH_SIDES
    )


def unmet_needs(session: Session, run: MatchRun) -> Select[Need]:
    """A query for the needs of a run that no offer matched."""
    ids = set(run.need_ids) - _matched(session, run, RunPair.need_id)
    return select(Need).where(_among(Need.id, ids)).order_by(Need.reference).options(*SHOWN)


def unused_offers(session: Session, run: MatchRun) -> Select[Offer]:
    """A query for the offers of a run that match no need."""
    ids = set(run.offer_ids) - _matched(session, run, RunPair.offer_id)
    return select(Offer).where(_among(Offer.id, ids)).order_by(Offer.reference).options(*SHOWN)


def _matched(session: Session, run: MatchRun, side: Any) -> set[int]:
    return set(session.scalars(select(side).where(RunPair.run_id == run.id).distinct()))


def _among(column: Any, ids: Iterable[int]) -> ColumnElement[bool]:
    # Written into the statement: databases limit how many values may be bound to one.
    values: Any = bindparam("ids", sorted(ids), expanding=True, literal_execute=True, unique=True)
    return column.in_(values)  # type: ignore[no-any-return]


def in_subregion(need_id: Any, code: str | None) -> list[ColumnElement[bool]]:
    """The need concerns that one subregion, as :meth:`models.Need.subregions` says."""
    if code is None:
        return []
    countries = select(Country.code).where(Country.subregion == code)
    needs = select(Need.id).where(
        or_(
            Need.country_code.in_(countries),
            and_(Need.country_code.is_(None), Need.subregion == code),
        )
    )
    return [need_id.in_(needs)]


_later = aliased(Interest)

interest_state: ColumnElement[Any] = case(
    (Interest.answer.is_not(None), Interest.answer),
    (
        and_(
            Match.status == MatchStatus.INTEREST,
            Interest.id
            == select(func.max(_later.id))
            .where(_later.match_id == Interest.match_id)
            .correlate(Interest)
            .scalar_subquery(),
        ),
        "waiting",
    ),
    else_="lapsed",
)
"""What became of an interest: in a match only the newest one, and none that was dismissed, waits."""


def interests(
    state: str = "", *, reason: str = "", subregion: str | None = None
) -> Select[Interest]:
    """A query for interests, newest first: all, or of one state, for one reason of refusal, or in
    the needs of one subregion."""
    query = (
        select(Interest)
        .join(Match, Interest.match_id == Match.id)
        .where(*in_subregion(Match.need_id, subregion))
    )
    if state:
        query = query.where(interest_state == state)
    if reason:
        query = query.where(Interest.answer == "declined", Interest.answer_reason == reason)
    return query.order_by(Interest.created_at.desc(), Interest.id.desc()).options(
        selectinload(Interest.match).options(
            selectinload(Match.need).selectinload(Post.organisation),
            selectinload(Match.offer).selectinload(Post.organisation),
        )
    )


def overdue_interests(now: datetime, *, subregion: str | None = None) -> Select[Interest]:
    """A query for interests that have waited for an answer too long; the longest first."""
    return (
        interests("waiting", subregion=subregion)
        .where(Interest.created_at < now - ANSWER_TIME)
        .order_by(None)
        .order_by(Interest.created_at, Interest.id)
    )


def agreements(status: str = "", *, subregion: str | None = None) -> Select[Agreement]:
    """A query for agreements, newest first: all, of one status, or of one subregion's needs."""
    query = select(Agreement).where(*in_subregion(Agreement.need_id, subregion))
    if status:
        query = query.where(Agreement.status == status)
    return query.order_by(Agreement.created_at.desc(), Agreement.id.desc()).options(
        selectinload(Agreement.terms),
        selectinload(Agreement.need).selectinload(Post.organisation),
        selectinload(Agreement.offer).selectinload(Post.organisation),
    )


ASKED = func.coalesce(Need.money_most, Need.money_least, type_=Need.money_most.type)
"""The money that a need asks for: the most that it names."""

STATES_MONEY: dict[str, tuple[ColumnElement[bool], ...]] = {
    "need": (
        Need.status.in_(FOLLOWS_BALANCE),
        ~Need.money_sealed,
        ASKED.is_not(None),
        Need.currency.is_not(None),
    ),
    "offer": (
        Offer.status.in_(FOLLOWS_BALANCE),
        Offer.money.is_not(None),
        Offer.currency.is_not(None),
    ),
}
"""When a post's money is in the report's sums: on the exchange, fulfilled or used up.

Sealed amounts are used in matching and never shown, and so are in no sum either.
"""


def posts_stating_places(kind: str) -> Select[Any]:
    """A query for the posts that ask for places, or that offer some."""
    model: Any = CLASSES[kind]
    places = Need.places_wanted if kind == "need" else Offer.places
    return _stating(model, places.is_not(None), model.status.in_(FOLLOWS_BALANCE))


def posts_stating_money(kind: str, currency: str) -> Select[Any]:
    """A query for the posts that ask for money of one currency, or that offer some."""
    model: Any = CLASSES[kind]
    return _stating(model, *STATES_MONEY[kind], model.currency == currency)


def sealed_needs() -> Select[Any]:
    """A query for the needs whose amount is sealed."""
    return _stating(Need, Need.status.in_(FOLLOWS_BALANCE), Need.money_sealed, ASKED.is_not(None))


def _stating(model: Any, *conditions: Any) -> Select[Any]:
    return (
        select(model)
        .where(*conditions)
        .order_by(model.reference)
        .options(selectinload(model.organisation))
    )


def commitments(currency: str | None = None, *, subregion: str | None = None) -> Select[Commitment]:
    """A query for the ledger's rows about places, or about money of one currency; newest first."""
    return (
        select(Commitment)
        .where(*in_subregion(Commitment.need_id, subregion))
        .where(
            Commitment.places != 0
            if currency is None
            else and_(Commitment.money != Decimal(0), Commitment.currency == currency)
        )
        .order_by(Commitment.id.desc())
        .options(
            selectinload(Commitment.agreement).options(
                selectinload(Agreement.need), selectinload(Agreement.offer)
            )
        )
    )


def _open_posts(kind: str) -> Select[Post]:
    model: Any = Need if kind == "need" else Offer
    return select(model).where(model.status.in_(LIVE)).order_by(model.reference).options(*SHOWN)


def _interest_counts(session: Session, subregion: str | None) -> dict[str, int]:
    found: dict[str, int] = dict(
        session.execute(
            select(interest_state.label("state"), func.count())
            .join_from(Interest, Match, Interest.match_id == Match.id)
            .where(*in_subregion(Match.need_id, subregion))
            .group_by("state")
        ).all()
    )
    return {state: found.get(state, 0) for state in INTEREST_NAMES}


def _decline_reasons(
    session: Session, reference: Reference, subregion: str | None
) -> dict[str, int]:
    found = dict(
        session.execute(
            select(Interest.answer_reason, func.count())
            .join(Match, Interest.match_id == Match.id)
            .where(Interest.answer == "declined", *in_subregion(Match.need_id, subregion))
            .group_by(Interest.answer_reason)
        ).all()
    )
    return {code: found[code] for code in reference.codes("dismissal_reason") if code in found}


def _agreement_counts(session: Session, subregion: str | None) -> dict[str, int]:
    found = dict(
        session.execute(
            select(Agreement.status, func.count())
            .where(*in_subregion(Agreement.need_id, subregion))
            .group_by(Agreement.status)
        ).all()
    )
    return {str(status): found.get(status, 0) for status in AgreementStatus}


def _places(session: Session, subregion: str | None) -> Quantity:
    sums = (
        select(func.sum(Need.places_wanted)).where(Need.status.in_(FOLLOWS_BALANCE)),
        select(func.sum(Offer.places)).where(Offer.status.in_(FOLLOWS_BALANCE)),
        select(func.sum(Commitment.places)).where(*in_subregion(Commitment.need_id, subregion)),
    )
    return Quantity(*(Decimal(session.scalar(query) or 0) for query in sums))


def _money(session: Session, subregion: str | None) -> dict[str, Quantity]:
    """Sums by currency, in the order of the currencies' codes."""
    queries: Any = (
        select(Need.currency, func.sum(ASKED)).where(*STATES_MONEY["need"]),
        select(Offer.currency, func.sum(Offer.money)).where(*STATES_MONEY["offer"]),
        select(Commitment.currency, func.sum(Commitment.money)).where(
            Commitment.money != Decimal(0), *in_subregion(Commitment.need_id, subregion)
        ),
    )
    sums: list[dict[str, Decimal]] = [
        dict(session.execute(query.group_by(query.selected_columns[0])).all()) for query in queries
    ]
    currencies = sorted(set().union(*sums))
    return {c: Quantity(*(part.get(c, Decimal(0)) for part in sums)) for c in currencies}


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
        return PostLine(
            id=post.id,
            kind=post.kind,
            reference=post.reference,
            title=post.title_in(self.language),
            organisation=post.organisation.name(self.language),
            place=self._place(post),
            language=post.language,
            status=str(post.status),
            codes={
                facet: {code: self.reference.label(facet, code, self.language) for code in codes}
                for facet, codes in (
                    ("theme", post.codes("theme")),
                    ("ilac_area", post.codes("ilac_area")),
                    ("support_kind", post.support_kinds),
                )
            },
        )

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


def as_text(report: MatchReport, language: str) -> str:
    """The report for a terminal or a plain file, its lists cut to the first ten rows."""
    with force_locale(language):
        return "\n".join(_text(report, language))


def _text(report: MatchReport, language: str) -> Iterator[str]:
    yield _("Match report of %(day)s", day=format_date(report.made_at, locale=language))
    run = report.run
    if run is None:
        yield _("Matching has not been run yet.")
        facts = [
            (_("Needs on the exchange"), report.standing.needs),
            (_("Offers on the exchange"), report.standing.offers),
        ]
    else:
        yield _(
            "Run %(id)s of %(day)s, engine %(engine)s, texts: %(text)s",
            id=run.id,
            day=format_date(run.on, locale=language),
            engine=run.engine_version,
            text=run.text_version,
        )
        facts = [
            (_("Needs in the run"), run.needs),
            (_("Offers in the run"), run.offers),
            (_("Eligible pairs"), run.eligible_pairs),
            (_("Matches"), run.matches),
            (_("Needs with a match"), run.matched_needs),
            (_("Unmet needs"), run.unmet_needs),
            (_("Unused offers"), run.unused_offers),
        ]
    yield ""
    yield from _columns(facts, language)
    if run is not None and run.match_rate is not None:
        yield from _columns([(_("Match rate, %"), 100 * run.match_rate)], language)
    if report.best:
        yield from _headed(_("Best matches"))
        for line in report.best[:BEST]:
            yield f"{_number(line.score, language):>6}  {line.need.reference} ← {line.offer.reference}"
            yield f"        {line.need.title}"
            yield f"        {line.offer.title}"
            yield f"        {line.reason}"
    for title, lines in ((_("Unmet needs"), report.unmet), (_("Unused offers"), report.unused)):
        if lines:
            yield from _headed(title)
            yield from (f"{line.reference:<28}  {line.title}" for line in lines[:BEST])
            yield from _more(lines)
    for table in report.tables:
        yield from _headed(
            _("Supply and demand: %(facet)s", facet=FACET_NAMES[table.facet]),
        )
        yield f"{_('Needs'):>8} {_('Offers'):>8}"
        for row in table.rows[:BEST]:
            yield f"{row.total.needs:>8} {row.total.offers:>8}  {row.label}"
        yield from _more(table.rows)
    for title, names, counts in (
        (_("Interests"), INTEREST_NAMES, report.interest_counts),
        (_("Agreements"), STATES, report.agreement_counts),
    ):
        yield from _headed(title)
        states = [(str(names[state]), number) for state, number in counts.items() if number]
        yield from _columns([*states, (_("In all"), sum(counts.values()))], language)
    for agreement in report.agreements[:BEST]:
        yield f"{agreement.reference}  {STATES[agreement.status]}  {agreement.title}"
    yield from _headed(_("Places and money"))
    yield f"{'':<8} {_('asked'):>16} {_('offered'):>16} {_('committed'):>16}"
    for name, quantity in ((_("places"), report.places), *report.money.items()):
        amounts = (quantity.asked, quantity.offered, quantity.committed)
        yield f"{name:<8} " + " ".join(f"{_number(amount, language):>16}" for amount in amounts)


def _more(rows: Sequence[Any]) -> Iterator[str]:
    if len(rows) > BEST:
        yield _("… and %(count)s more", count=len(rows) - BEST)


def _headed(title: str) -> Iterable[str]:
    return ("", title, "-" * len(title))


def _columns(facts: Iterable[tuple[str, float]], language: str) -> Iterable[str]:
    return (f"{name:<32} {_number(value, language):>10}" for name, value in facts)


def _number(value: float | Decimal, language: str) -> str:
    return format_decimal(value, format="#,##0.#", locale=language)
