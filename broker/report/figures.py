"""A report's figures: key figures, sums of places and money, and counts by state and reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import median
from typing import Any

from sqlalchemy import func, select

from broker.reference import Reference
from broker.report.answers import INTEREST_STATES, interest_state
from broker.report.rows import ASKED, ReportRows, count, states_money
from models import (
    Agreement,
    AgreementStatus,
    Commitment,
    Dismissal,
    Interest,
    Need,
    Offer,
)

CENT = Decimal("0.01")


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


def key_figures(rows: ReportRows) -> KeyFigures:
    """The figures of one report by which it is set against another."""
    session = rows.session
    interests = count_interests(rows)
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
        agreement_days=_middle(list(agreement_days(rows).values())),
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
    return [
        days_between(asked, answered) for asked, answered in rows.session.execute(query) if answered
    ]


def agreement_days(rows: ReportRows) -> dict[int, float]:
    """Agreement signed in the period → days from its pair's first interest to the last signature.

    From the proposal where nobody had expressed interest.
    """
    first = (
        select(func.min(Interest.created_at))
        .where(Interest.match_id == Agreement.match_id)
        .correlate(Agreement)
        .scalar_subquery()
    )
    found = rows.agreements(event="signed").order_by(None).options()
    query = found.with_only_columns(Agreement.id, first, Agreement.created_at, Agreement.signed_at)
    return {
        id_: days_between(min(begun or proposed, signed), signed)
        for id_, begun, proposed, signed in rows.session.execute(query)
        if signed
    }


def days_between(first: datetime, last: datetime) -> float:
    """Days from one moment to another, with their fraction."""
    return (last - first).total_seconds() / 86_400


def count_interests(rows: ReportRows) -> dict[str, int]:
    state = interest_state(rows.scope.ends).label("state")
    found = rows.interests().order_by(None).options()
    query = found.with_only_columns(state, func.count()).group_by("state")
    counts: dict[str, int] = dict(rows.session.execute(query).all())
    return {state: counts.get(state, 0) for state in INTEREST_STATES}


def count_decline_reasons(rows: ReportRows) -> dict[str, int]:
    found = rows.interests("declined").order_by(None).options()
    column = Interest.answer_reason
    query = found.with_only_columns(column, func.count()).group_by(column)
    return _in_order(rows, dict(rows.session.execute(query).all()))


def count_dismissal_reasons(rows: ReportRows) -> dict[str, int]:
    found = rows.dismissals().order_by(None).options()
    query = found.with_only_columns(Dismissal.reason, func.count()).group_by(Dismissal.reason)
    return _in_order(rows, dict(rows.session.execute(query).all()))


def _in_order(rows: ReportRows, counts: Mapping[str | None, int]) -> dict[str, int]:
    codes = rows.reference.codes("dismissal_reason")
    return {code: counts[code] for code in codes if code in counts}


def count_agreements(rows: ReportRows) -> dict[str, int]:
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


def sum_places(rows: ReportRows) -> Quantity:
    return Quantity(
        _sum(rows, Need.places_wanted, rows.stating("need")),
        _sum(rows, Offer.places, rows.stating("offer")),
        _sum(rows, Commitment.places, rows.commitments()),
    )


def sum_money(rows: ReportRows) -> dict[str, Quantity]:
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


def convert_sums(money: Mapping[str, Quantity], target: str, reference: Reference) -> Converted:
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


def cross_all_facets(rows: ReportRows) -> tuple[tuple[str, str, str, str, int, int], ...]:
    """Needs and offers by theme, subregion, ILAC area and kind of support together.

    A post with several codes stands in each of their combinations; combinations of which there is
    nothing are left out.
    """
    sides = []
    for side in (rows.market.needs, rows.market.offers):
        counts: dict[tuple[str, ...], int] = {}
        for codes in side.codes_of_posts().values():
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
