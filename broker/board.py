"""The exchange board: demand against supply, what nobody serves, what is new, what is scarce."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import Session

from broker.posts import WHOLE, PostFilter, find_posts
from broker.reference import Reference
from broker.runs import newest_run
from broker.supply_demand import (
    FACETS,
    Cell,
    CodeRow,
    CrossTable,
    FacetTable,
    Market,
    View,
    codes_of,
    ids_of,
)
from models import (
    LIVE,
    ClearingRound,
    InvalidInput,
    MatchRun,
    Need,
    NotFound,
    Offer,
    RoundStatus,
    RoundVersion,
    RunPair,
)

PERIODS = (7, 30, 90, 365)
"""Days that a board can look back; all posts where none is chosen."""

NEW_DAYS = 30
"""How many days a post is new."""

NEWEST = 4
"""How many of the newest posts of each kind the board shows."""

DEAREST = 8
"""How many of the scarcest offers the board shows."""


@dataclass(frozen=True)
class BoardFilter:
    """What a board is narrowed to; every field is a parameter of the page's address.

    Attributes
    ----------
    codes : Mapping
        Facet (and ``"programme"``) → the one code that posts must carry.
    days : int, optional
        Posts published in so many days, counted back from ``today``.
    """

    codes: Mapping[str, str]
    days: int | None
    today: date

    @classmethod
    def read(
        cls, parameters: Mapping[str, str], reference: Reference, *, today: date
    ) -> BoardFilter:
        """The filter that an address asks for.

        Raises
        ------
        InvalidInput
            For a code or a period that does not exist.
        """
        problems: dict[str, Any] = {}
        codes = {}
        for facet in (*FACETS, "programme"):
            code = parameters.get(facet)
            if not code:
                continue
            if code not in codes_of(facet, reference):
                problems[facet] = [("unknown_code", {"code": code[:60]})]
            codes[facet] = code
        period = parameters.get("period") or ""
        if period and period not in map(str, PERIODS):
            problems["period"] = [("unknown_code", {"code": period[:60]})]
        if problems:
            raise InvalidInput(problems)
        return cls(codes, int(period) if period else None, today)

    @property
    def since(self) -> date | None:
        """The first day of publication, if a period was chosen."""
        return self.today - timedelta(days=self.days) if self.days else None

    @property
    def fields(self) -> dict[str, Any]:
        """The same as fields of :class:`broker.posts.PostFilter`."""
        names = {**FACETS, "programme": "programmes"}
        found: dict[str, Any] = {names[facet]: (code,) for facet, code in self.codes.items()}
        return {**found, "since": self.since} if self.since else found

    @property
    def parameters(self) -> dict[str, str]:
        """The same as parameters of a list of posts: what a number of the board leads to."""
        since = {"since": self.since.isoformat()} if self.since else {}
        return {"open": "1", **self.codes, **since}


@dataclass(frozen=True)
class Price:
    """An offer of which more would help, and by how many points of score each place more."""

    offer: Offer
    points: float


@dataclass(frozen=True)
class PriceList:
    """The shadow prices of the newest clearing, the scarcest first; those that still stand."""

    on: date
    prices: tuple[Price, ...]


@dataclass(frozen=True)
class Board:
    """What the board shows.

    Attributes
    ----------
    tables : tuple of FacetTable
        One for each facet that the filter leaves open.
    unserved : tuple of CodeRow
        Themes that somebody asks for and nobody offers, the most wanted first.
    unmet : int or None
        Open needs without any match in the newest run; None before the first run.
    new : Cell
        Posts published in the last ``NEW_DAYS`` days.
    prices : PriceList or None
        None before the first clearing.
    """

    filters: BoardFilter
    total: Cell
    tables: tuple[FacetTable, ...]
    cross: CrossTable
    unserved: tuple[CodeRow, ...]
    unmet: int | None
    unmet_on: date | None
    new: Cell
    new_since: date
    newest: Mapping[str, Sequence[Need | Offer]]
    prices: PriceList | None


def lay_out_board(
    session: Session, reference: Reference, filters: BoardFilter, language: str
) -> Board:
    """Read both sides of the exchange and set them against each other."""
    market = Market.read(session, reference, filters.fields)
    tables = tuple(
        market.table(facet, reference, language) for facet in FACETS if facet not in filters.codes
    )
    new_since = max(filters.today - timedelta(days=NEW_DAYS), filters.since or date.min)
    new = {**filters.fields, "since": new_since}
    run = _newest_run(session)
    return Board(
        filters=filters,
        total=market.count({}),
        tables=tables,
        cross=_narrowed(market.cross(View(), reference, language), filters),
        unserved=tuple(
            row
            for table in tables
            if table.facet == "theme"
            for row in table.rows
            if row.total.needs and not row.total.offers
        ),
        unmet=len(session.scalars(_unmet_ids(session, run, filters)).all()) if run else None,
        unmet_on=run.on if run else None,
        new=market_size(session, new),
        new_since=new_since,
        newest={
            kind: session.scalars(
                find_posts(PostFilter(kind, open_only=True, **filters.fields)).limit(NEWEST)
            ).all()
            for kind in ("need", "offer")
        },
        prices=list_prices(session),
    )


def market_size(session: Session, fields: Mapping[str, Any]) -> Cell:
    """How many open needs and offers pass those fields of a filter."""
    counts = [
        session.scalar(
            select(func.count()).select_from(
                ids_of(PostFilter(kind, open_only=True, **fields)).subquery()
            )
        )
        for kind in ("need", "offer")
    ]
    return Cell(*(number or 0 for number in counts))


def _narrowed(cross: CrossTable, filters: BoardFilter) -> CrossTable:
    """Without the rows and columns of other codes of a facet that the filter holds fast.

    Their numbers would need two codes of one facet at once, which no list of posts can show.
    """
    row, column = (filters.codes.get(f) for f in (cross.view.rows, cross.view.columns))
    keep = [n for n, c in enumerate(cross.columns) if column in (None, c.code)]
    rows = tuple(
        CodeRow(r.code, r.label, r.total, tuple(r.cells[n] for n in keep))
        for r in cross.rows
        if row in (None, r.code)
    )
    return CrossTable(cross.view, tuple(cross.columns[n] for n in keep), rows, cross.total)


def _newest_run(session: Session) -> MatchRun | None:
    try:
        return newest_run(session)
    except NotFound:
        return None


def find_unmet(session: Session, filters: BoardFilter) -> Select[Need]:
    """A query for the open needs that no offer matched in the newest run, oldest first.

    Raises
    ------
    NotFound
        Before the first run.
    """
    ids = _unmet_ids(session, newest_run(session), filters)
    return select(Need).where(Need.id.in_(ids)).order_by(Need.published_at, Need.id).options(*WHOLE)


def _unmet_ids(session: Session, run: MatchRun, filters: BoardFilter) -> Select[int]:
    matched = set(session.scalars(select(RunPair.need_id).where(RunPair.run_id == run.id)))
    # Written into the statement: databases limit how many values may be bound to one.
    unmet: Any = bindparam(
        "unmet", sorted(set(run.need_ids) - matched), expanding=True, literal_execute=True
    )
    passing = ids_of(PostFilter("need", open_only=True, **filters.fields))
    return passing.where(Need.id.in_(unmet))


def list_prices(session: Session) -> PriceList | None:
    """The shadow prices of the newest clearing of a round that was not cancelled.

    A price says nothing of who would get what: only of which offer more is wanted, and how much.
    """
    found = session.execute(
        select(RoundVersion.created_at, RoundVersion.result["prices"], RoundVersion.given["offers"])
        .join(ClearingRound, RoundVersion.round_id == ClearingRound.id)
        .where(ClearingRound.status != RoundStatus.CANCELLED)
        .order_by(RoundVersion.id.desc())
        .limit(1)
    ).first()
    if found is None:
        return None
    made_at, prices, offers = found
    points = {offers[row]["id"]: price for row, price in prices}
    standing = session.scalars(
        select(Offer).where(Offer.id.in_(list(points)[:50]), Offer.status.in_(LIVE)).options(*WHOLE)
    )
    dearest = sorted(
        (Price(offer, points[offer.id]) for offer in standing),
        key=lambda price: (-price.points, price.offer.id),
    )
    return PriceList(made_at.date(), tuple(dearest[:DEAREST]))
