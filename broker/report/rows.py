"""The rows behind a report's numbers: every number is counted on the list to which it leads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, literal, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.posts import CLASSES, FACET_OF
from broker.reference import Reference
from broker.report.answers import ANSWER_TIME, ANSWERED, interest_state, interests
from broker.report.scope import ReportScope, in_subregion
from broker.runs import newest_run
from broker.supply_demand import FACETS, Market, Side, codes_of
from models import (
    IN_FORCE,
    LIVE,
    OPEN_TERMS,
    PUBLICLY_REGISTERED,
    Agreement,
    AgreementStatus,
    Commitment,
    Dismissal,
    Interest,
    Match,
    MatchRun,
    Milestone,
    NearestOffer,
    Need,
    NotFound,
    Offer,
    Post,
    PostFacet,
    PostStatus,
    PostVersion,
    RunPair,
    Support,
    utc_now,
)

REGIONAL = "regional"
"""The subregion that stands for all of them."""

USED_UP = frozenset({PostStatus.FULFILLED, PostStatus.EXHAUSTED})
"""Statuses of posts that have left the book because agreements covered them."""


AGREEMENT_EVENTS = ("signed", "in_force", "late", "completed", "ended", "voluntary", "negotiated")
"""What a report tells of agreements: what happened in the period, and how they stood at its end."""

OUTCOMES = ("interest", "mutual", "agreement")
"""How far a suggested pair came, each including the next."""


def count(session: Session, query: Select[Any]) -> int:
    """How many rows a list has: each number of the report is counted on the list it leads to."""
    counted = query.order_by(None).options().subquery()
    return session.scalar(select(func.count()).select_from(counted)) or 0


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

PARTIES = (
    selectinload(Agreement.terms),
    selectinload(Agreement.need).selectinload(Post.organisation),
    selectinload(Agreement.offer).selectinload(Post.organisation),
)


def run_pairs(run: MatchRun, band: str = "") -> Select[RunPair]:
    """A query for the matches of a run, of every band or of one; best first."""
    query = select(RunPair).where(RunPair.run_id == run.id)
    if band:
        query = query.where(RunPair.band == band)
    return query.order_by(RunPair.score.desc(), RunPair.need_id, RunPair.offer_id).options(
        *BOTH_SIDES
    )


ASKED = func.coalesce(Need.money_most, Need.money_least, type_=Need.money_most.type)
"""The money that a need asks for: the most that it names."""


def among(column: Any, ids: Iterable[int]) -> ColumnElement[bool]:
    """The column is one of those ids."""
    # Written into the statement: databases limit how many values may be bound to one.
    values: Any = bindparam("ids", sorted(ids), expanding=True, literal_execute=True, unique=True)
    return column.in_(values)  # type: ignore[no-any-return]


class ReportRows:
    """The lists of one report, as queries.

    The *book* is what took part in the run: needs and offers of which some matched and some met
    nobody, by the themes, places and kinds of support that they bore on its day. Without a run it is what was on the exchange. All *posts* of the report are those of
    the book, with those that agreements have used up or that have an agreement in the period.

    Parameters
    ----------
    run : MatchRun or None
        The run that the report rests on.
    negotiated_in : str, optional
        The one subregion whose interests and agreements the reader may see; all if None.
    """

    def __init__(
        self,
        session: Session,
        reference: Reference,
        scope: ReportScope,
        run: MatchRun | None,
        negotiated_in: str | None = None,
    ) -> None:
        self.session = session
        self.reference = reference
        self.scope = scope
        self.run = run
        self.negotiated_in = negotiated_in

    # --- The book of the run

    @cached_property
    def need_ids(self) -> frozenset[int]:
        """Needs of the book, within the report's filters."""
        return self._book(Need, self.run.need_ids if self.run else None, self.scope.of_needs())

    @cached_property
    def offer_ids(self) -> frozenset[int]:
        """Offers of the book, within the report's filters."""
        return self._book(Offer, self.run.offer_ids if self.run else None, self.scope.of_offers())

    def _book(
        self, model: Any, took_part: list[int] | None, conditions: list[ColumnElement[bool]]
    ) -> frozenset[int]:
        if took_part is not None and not conditions:
            return frozenset(took_part)
        query = select(model.id).where(*conditions)
        if took_part is None:
            query = query.where(model.status.in_(LIVE), model.published_at < self.scope.ends)
            return frozenset(self.session.scalars(query))
        # A narrow report looks at few posts, whatever the size of the book.
        return frozenset(self.session.scalars(query)) & frozenset(took_part)

    @cached_property
    def _met(self) -> tuple[frozenset[int], frozenset[int]]:
        if self.run is None:
            return frozenset(), frozenset()
        pairs = self.session.execute(
            select(RunPair.need_id, RunPair.offer_id).where(*self._matched())
        ).all()
        return frozenset(need for need, _ in pairs), frozenset(offer for _, offer in pairs)

    @cached_property
    def met_ids(self) -> frozenset[int]:
        """Needs of the book that have a match."""
        return self._met[0] & self.need_ids

    @cached_property
    def useful_ids(self) -> frozenset[int]:
        """Offers of the book that match a need of the report."""
        return self._met[1] & self.offer_ids

    @cached_property
    def market(self) -> Market:
        """Supply and demand of the book."""
        return Market(self._side("need", self.need_ids), self._side("offer", self.offer_ids))

    @cached_property
    def need_places(self) -> dict[int, tuple[str | None, str | None]]:
        """Need of the book → its country and its subregion."""
        rows = self.session.execute(
            select(Need.id, Need.country_code, Need.subregion).where(among(Need.id, self.need_ids))
        )
        places = {id_: (country, subregion) for id_, country, subregion in rows}
        for id_, content in self.said_then.items():
            if id_ in places:
                places[id_] = (content.get("country"), content.get("subregion"))
        place = self.reference.subregion_of
        return {id_: (c, place(c) if c else subregion) for id_, (c, subregion) in places.items()}

    @cached_property
    def offer_places(self) -> dict[int, tuple[set[str], set[str]]]:
        """Offer of the book → countries and subregions that it names."""
        found: dict[int, tuple[set[str], set[str]]] = {i: (set(), set()) for i in self.offer_ids}
        facets = ("serves_country", "serves_subregion")
        for post_id, facet, code in self._facets(self.offer_ids, facets):
            found[post_id][facets.index(facet)].add(code)
        return found

    @cached_property
    def said_then(self) -> dict[int, dict[str, Any]]:
        """Posts that were edited after the run → what they said on its day, as input."""
        if self.run is None:
            return {}
        edited = select(PostVersion.post_id).where(PostVersion.created_at > self.run.started_at)
        then = (
            select(PostVersion.post_id, func.max(PostVersion.number).label("number"))
            .where(PostVersion.created_at <= self.run.started_at, PostVersion.post_id.in_(edited))
            .group_by(PostVersion.post_id)
            .subquery()
        )
        columns = (PostVersion.post_id, PostVersion.content)
        query = select(*columns).join(
            then,
            and_(
                PostVersion.post_id == then.c.post_id,
                PostVersion.number == then.c.number,
            ),
        )
        return dict(self.session.execute(query).all())

    def _facets(self, ids: frozenset[int], facets: tuple[str, ...]) -> Iterator[Any]:
        """``(post, facet, code)`` of posts as they were on the day of the run."""
        columns = (PostFacet.post_id, PostFacet.facet, PostFacet.code)
        now = self.session.execute(
            select(*columns).where(among(PostFacet.post_id, ids), PostFacet.facet.in_(facets))
        )
        yield from (row for row in now if row[0] not in self.said_then)
        fields = {field: facet for field, facet in FACET_OF.items() if facet in facets}
        for post_id in ids & self.said_then.keys():
            for field, facet in fields.items():
                yield from (
                    (post_id, facet, code) for code in self.said_then[post_id].get(field, ())
                )

    def _support_kinds(self, ids: frozenset[int]) -> Iterator[Any]:
        """``(post, kind of support)`` of posts as they were on the day of the run."""
        kinds = select(Support.post_id, Support.kind).where(among(Support.post_id, ids))
        yield from (row for row in self.session.execute(kinds) if row[0] not in self.said_then)
        for post_id in ids & self.said_then.keys():
            support = self.said_then[post_id].get("support", ())
            yield from ((post_id, item["kind"]) for item in support)

    def _side(self, kind: str, ids: frozenset[int]) -> Side:
        holders: dict[str, dict[str, set[int]]] = {
            facet: {code: set() for code in codes_of(facet, self.reference)} for facet in FACETS
        }
        for post_id, facet, code in self._facets(ids, ("theme", "ilac_area")):
            holders[facet].setdefault(code, set()).add(post_id)
        for post_id, code in self._support_kinds(ids):
            holders["support_kind"].setdefault(code, set()).add(post_id)
        for code, found in holders["subregion"].items():
            if kind == "need":
                found |= {i for i, (_c, subregion) in self.need_places.items() if subregion == code}
            else:
                found |= {i for i in ids if self._serves(i, code)}
        return Side(ids, holders)

    def _serves(self, offer_id: int, subregion: str) -> bool:
        countries, subregions = self.offer_places[offer_id]
        if subregions & {subregion, REGIONAL}:
            return True
        return any(self.reference.subregion_of(code) == subregion for code in countries)

    def _matched(self) -> list[ColumnElement[bool]]:
        conditions = self.scope.of_pairs(RunPair.need_id, RunPair.offer_id)
        return [RunPair.run_id == self.run.id, *conditions] if self.run else [literal(False)]

    def matches(self, band: str = "") -> Select[RunPair]:
        """The matches of the run, best first."""
        query = select(RunPair).where(*self._matched())
        if band:
            query = query.where(RunPair.band == band)
        return query.order_by(RunPair.score.desc(), RunPair.need_id, RunPair.offer_id).options(
            *BOTH_SIDES
        )

    def needs(self, codes: Mapping[str, str] | None = None, met: str = "") -> Select[Any]:
        """Needs of the book, by facet and code; ``met``: with a match (``"yes"``) or without."""
        ids = self.market.needs.having(codes) if codes else set(self.need_ids)
        if met:
            ids = ids & self.met_ids if met == "yes" else ids - self.met_ids
        return self._posts(Need, ids)

    def offers(self, codes: Mapping[str, str] | None = None) -> Select[Any]:
        """Offers of the book, by facet and code."""
        ids = self.market.offers.having(codes) if codes else set(self.offer_ids)
        return self._posts(Offer, ids)

    def without(self, kind: str, facet: str) -> Select[Any]:
        """Posts of the book that state no code of a facet."""
        side = getattr(self.market, f"{kind}s")
        return self._posts(CLASSES[kind], side.everything - side.stating(facet))

    def _posts(self, model: Any, ids: Iterable[int]) -> Select[Any]:
        return select(model).where(among(model.id, ids)).order_by(model.reference).options(*SHOWN)

    def unmet(self) -> Select[Any]:
        """Needs of the book that no offer matched, the nearest to a match first."""
        nearest = and_(
            NearestOffer.need_id == Need.id,
            NearestOffer.run_id == (self.run.id if self.run else None),
        )
        score = func.coalesce(NearestOffer.score, -1.0)
        return (
            select(Need)
            .outerjoin(NearestOffer, nearest)
            .where(among(Need.id, self.need_ids - self.met_ids if self.run else ()))
            .order_by(score.desc(), Need.reference)
            .options(*SHOWN)
        )

    def unused(self) -> Select[Any]:
        """Offers of the book that match no need of the report."""
        return self._posts(Offer, self.offer_ids - self.useful_ids if self.run else ())

    def posted(self, kind: str) -> Select[Any]:
        """Posts that came onto the exchange in the period, whatever became of them."""
        model: Any = CLASSES[kind]
        conditions = self.scope.of_needs() if kind == "need" else self.scope.of_offers()
        return (
            select(model)
            .where(model.published_at.is_not(None), *self.scope.within(model.published_at))
            .where(*conditions)
            .order_by(model.published_at, model.reference)
            .options(*SHOWN)
        )

    # --- What the two sides did

    def acts_of(self, match: Any = Match) -> list[ColumnElement[bool]]:
        """Conditions for what two sides did that the report is about and its reader may see."""
        return [
            *self.scope.of_pairs(match.need_id, match.offer_id),
            *in_subregion(match.need_id, self.negotiated_in),
        ]

    def interests(self, state: str = "", reason: str = "") -> Select[Interest]:
        """Interests of the period by what had become of them at its end, newest first."""
        query = interests().where(*self.scope.within(Interest.created_at), *self.acts_of())
        now = interest_state(self.scope.ends)
        if state == "answered":
            query = query.where(now.in_(ANSWERED))
        elif state == "unanswered":
            query = query.where(now.not_in(ANSWERED))
        elif state == "overdue":
            # A period that is still running goes up to this moment, as the desk does.
            moment = min(self.scope.ends, utc_now())
            query = query.where(now == "waiting", Interest.created_at < moment - ANSWER_TIME)
        elif state:
            query = query.where(now == state)
        if reason:
            query = query.where(now == "declined", Interest.answer_reason == reason)
        return query

    def dismissals(self, reason: str = "") -> Select[Dismissal]:
        """Suggestions that a side put aside in the period."""
        query = (
            select(Dismissal)
            .join(Match, Dismissal.match_id == Match.id)
            .where(*self.scope.within(Dismissal.created_at), *self.acts_of())
        )
        if reason:
            query = query.where(Dismissal.reason == reason)
        return query.order_by(Dismissal.created_at.desc(), Dismissal.id.desc()).options(
            selectinload(Dismissal.match).options(
                selectinload(Match.need).selectinload(Post.organisation),
                selectinload(Match.offer).selectinload(Post.organisation),
            )
        )

    @cached_property
    def standing(self) -> ColumnElement[Any]:
        """How an agreement stood at the end of the period."""
        ends = self.scope.ends
        status = Agreement.status
        signed = and_(Agreement.signed_at.is_not(None), Agreement.signed_at < ends)
        over = and_(Agreement.ended_at.is_not(None), Agreement.ended_at < ends)
        return case(
            (over, status),
            (and_(signed, status == AgreementStatus.SIGNED), status),
            (signed, AgreementStatus.ACTIVE.value),
            (status.in_(OPEN_TERMS), status),
            else_=AgreementStatus.NEGOTIATED.value,
        )

    def agreements(self, status: str = "", event: str = "", kind: str = "") -> Select[Agreement]:
        """Agreements that were alive in the period, newest first.

        Parameters
        ----------
        status : str
            How they stood at its end.
        event : str
            One of ``AGREEMENT_EVENTS``.
        """
        scope, ends = self.scope, self.scope.ends
        query = select(Agreement).where(Agreement.created_at < ends, *self.acts_of(Agreement))
        if scope.begins is not None:
            query = query.where(
                or_(Agreement.ended_at.is_(None), Agreement.ended_at >= scope.begins)
            )
        if status:
            query = query.where(self.standing == status)
        if kind:
            query = query.where(Agreement.kind == kind)
        if event:
            query = query.where(*self._event(event))
        return query.order_by(Agreement.created_at.desc(), Agreement.id.desc()).options(*PARTIES)

    def _event(self, event: str) -> list[ColumnElement[bool]]:
        signed = [Agreement.signed_at.is_not(None), *self.scope.within(Agreement.signed_at)]
        ended = [Agreement.ended_at.is_not(None), *self.scope.within(Agreement.ended_at)]
        if event == "signed":
            return signed
        if event == "voluntary":
            return [*signed, Agreement.kind == "voluntary"]
        if event == "completed":
            return [*ended, Agreement.status == AgreementStatus.COMPLETED]
        if event == "ended":
            return [*ended, Agreement.status != AgreementStatus.COMPLETED]
        if event == "negotiated":
            return [self.standing.in_([str(status) for status in OPEN_TERMS])]
        in_force = self.standing.in_([str(status) for status in IN_FORCE])
        if event == "in_force":
            return [in_force]
        last = self.scope.last_day
        late = select(Milestone.agreement_id).where(
            Milestone.due < last, or_(Milestone.done_on.is_(None), Milestone.done_on > last)
        )
        return [in_force, Agreement.id.in_(late)]

    # --- Places and money

    def _served_pairs(self) -> list[ColumnElement[bool]]:
        """Agreements that gave something in the period: signed by its end, and not broken off."""
        conditions = [
            Agreement.signed_at.is_not(None),
            Agreement.signed_at < self.scope.ends,
            self.standing.in_(
                [str(s) for s in PUBLICLY_REGISTERED if s != AgreementStatus.TERMINATED]
            ),
            *self.acts_of(Agreement),
        ]
        if self.scope.begins is not None:
            conditions.append(
                or_(Agreement.ended_at.is_(None), Agreement.ended_at >= self.scope.begins)
            )
        return conditions

    @cached_property
    def served_ids(self) -> frozenset[int]:
        """Needs that an agreement serves."""
        return frozenset(
            self.session.scalars(select(Agreement.need_id).where(*self._served_pairs()))
        )

    def _all(self, kind: str) -> list[ColumnElement[bool]]:
        model: Any = CLASSES[kind]
        ids = self.need_ids if kind == "need" else self.offer_ids
        conditions = self.scope.of_needs() if kind == "need" else self.scope.of_offers()
        side = Agreement.need_id if kind == "need" else Agreement.offer_id
        used_up = and_(
            model.status.in_(USED_UP),
            or_(model.published_at.is_(None), model.published_at < self.scope.ends),
        )
        served = model.id.in_(select(side).where(*self._served_pairs()))
        return [or_(among(model.id, ids), used_up, served), *conditions]

    def posts(self, kind: str) -> Select[Any]:
        """All posts of the report: the book, with what agreements have covered."""
        model: Any = CLASSES[kind]
        return select(model).where(*self._all(kind)).order_by(model.reference).options(*SHOWN)

    def stating(self, kind: str, currency: str = "", place: str = "") -> Select[Any]:
        """Posts of the report that state places, or money of one currency, openly.

        Parameters
        ----------
        place : str
            Of needs, as in :meth:`asking`.
        """
        model: Any = CLASSES[kind]
        query = self.posts(kind).where(*self._of_place(place))
        if currency:
            return query.where(model.currency == currency, *states_money(kind))
        return query.where((Need.places_wanted if kind == "need" else Offer.places).is_not(None))

    def sealed(self) -> Select[Any]:
        """Needs of the report whose amount is sealed, and in no sum."""
        return self.posts("need").where(Need.money_sealed, ASKED.is_not(None))

    def commitments(self, currency: str = "", place: str = "") -> Select[Commitment]:
        """The ledger's rows of the period, about places or about money of one currency.

        Parameters
        ----------
        place : str
            Those for needs of the report by place, as in :meth:`asking`.
        """
        needs = select(Need.id).where(*self._all("need"), *self._of_place(place)).correlate(None)
        return (
            select(Commitment)
            .where(*self.scope.within(Commitment.created_at), *self.acts_of(Commitment))
            .where(*([Commitment.need_id.in_(needs)] if place else []))
            .where(
                and_(Commitment.money != Decimal(0), Commitment.currency == currency)
                if currency
                else Commitment.places != 0
            )
            .order_by(Commitment.id.desc())
            .options(
                selectinload(Commitment.agreement).options(
                    selectinload(Agreement.need), selectinload(Agreement.offer)
                )
            )
        )

    # --- Equity and calibration

    def asking(self, place: str = "", served: str = "") -> Select[Any]:
        """Needs of the report by place, and whether an agreement serves them.

        Parameters
        ----------
        place : str
            A country, ``"none"`` for needs of several countries, one of ``GROUPS``, or ``"any"``.
        served : str
            ``"yes"`` or ``"no"``; both if empty.
        """
        query = self.posts("need").where(*self._of_place(place))
        if served:
            found = Need.id.in_(select(Agreement.need_id).where(*self._served_pairs()))
            query = query.where(found if served == "yes" else ~found)
        return query

    def _of_place(self, place: str) -> list[ColumnElement[bool]]:
        if place in ("", "any"):
            return []
        if place == "none":
            return [Need.country_code.is_(None)]
        if place in GROUPS:
            return [Need.country_code.in_(group_members(place, self.reference))]
        return [Need.country_code == place]

    def suggested(self, band: str = "", outcome: str = "") -> Select[RunPair]:
        """Pairs that runs have suggested up to this one, each with the score of its first run.

        Parameters
        ----------
        outcome : str
            One of ``OUTCOMES``: only the pairs that came at least so far by the period's end.
        """
        runs: list[ColumnElement[bool]] = (
            [MatchRun.id <= self.run.id] if self.run else [literal(False)]
        )
        if self.scope.begins is not None and self.run is not None:
            runs.append(or_(MatchRun.started_at >= self.scope.begins, MatchRun.id == self.run.id))
        first = (
            select(func.min(RunPair.run_id).label("run_id"), RunPair.need_id, RunPair.offer_id)
            .join(MatchRun, MatchRun.id == RunPair.run_id)
            .where(*runs, *self.scope.of_pairs(RunPair.need_id, RunPair.offer_id))
            .where(*in_subregion(RunPair.need_id, self.negotiated_in))
            .group_by(RunPair.need_id, RunPair.offer_id)
            .subquery()
        )
        query = select(RunPair).join(
            first,
            and_(
                RunPair.run_id == first.c.run_id,
                RunPair.need_id == first.c.need_id,
                RunPair.offer_id == first.c.offer_id,
            ),
        )
        if band:
            query = query.where(RunPair.band == band)
        if outcome:
            query = query.where(self.came_to(outcome))
        return query.order_by(RunPair.score.desc(), RunPair.need_id, RunPair.offer_id).options(
            *BOTH_SIDES
        )

    def came_to(self, outcome: str) -> ColumnElement[bool]:
        """Whether a suggested pair came so far by the end of the period."""
        ends = self.scope.ends
        if outcome == "agreement":
            found = select(Agreement.id).where(
                Agreement.need_id == RunPair.need_id,
                Agreement.offer_id == RunPair.offer_id,
                Agreement.signed_at.is_not(None),
                Agreement.signed_at < ends,
            )
            return found.correlate(RunPair).exists()
        acted = (
            select(Interest.id)
            .join(Match, Interest.match_id == Match.id)
            .where(
                Match.need_id == RunPair.need_id,
                Match.offer_id == RunPair.offer_id,
                Interest.created_at < ends,
            )
        )
        if outcome == "mutual":
            acted = acted.where(Interest.answer == "accepted", Interest.answered_at < ends)
        return or_(acted.correlate(RunPair).exists(), self.came_to("agreement"))


GROUPS = ("small_island", "least_developed", "other")
"""Groups of countries that a report tells apart; a country can be in the first two."""


def group_members(group: str, reference: Reference) -> list[str]:
    """The region's countries of a group."""
    inside = {code: c for code, c in reference.countries.items() if c.in_region}
    if group == "other":
        return [k for k, c in inside.items() if not (c.small_island or c.least_developed)]
    return [code for code, country in inside.items() if getattr(country, group)]


def states_money(kind: str) -> tuple[ColumnElement[bool], ...]:
    """When a post's money is in the report's sums.

    Sealed amounts are used in matching and never shown, and so are in no sum either.
    """
    if kind == "need":
        return (~Need.money_sealed, ASKED.is_not(None), Need.currency.is_not(None))
    return (~Offer.money_sealed, Offer.money.is_not(None), Offer.currency.is_not(None))


def choose_run(session: Session, scope: ReportScope) -> MatchRun | None:
    """The run of a report: the one asked for, or the newest up to the period's last day."""
    if scope.run is not None:
        return session.get(MatchRun, scope.run)
    if scope.until is None:
        try:
            return newest_run(session)
        except NotFound:
            return None
    return session.scalar(
        select(MatchRun)
        .where(MatchRun.finished_at.is_not(None), MatchRun.on <= scope.last_day)
        .order_by(MatchRun.id.desc())
        .limit(1)
    )
