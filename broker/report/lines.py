"""The lines of a report's lists: posts, matches, unmet needs, unused offers, agreements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property

from sqlalchemy import or_, select
from sqlalchemy.orm import aliased

from broker.explanations import reason_sentence
from broker.nearness import missing_sentences
from broker.report.answers import ANSWERED, interest_state
from broker.report.figures import agreement_days, days_between
from broker.report.rows import OUTCOMES, ReportRows, among
from broker.supply_demand import FACETS
from models import (
    Agreement,
    Commitment,
    Dismissal,
    Interest,
    Match,
    NearestOffer,
    Need,
    Offer,
    Post,
    RunPair,
)


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

    Places and money are those of its present terms; ``days`` is how long one signed in the period
    took from the first interest on.
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
    days: float | None
    events: tuple[str, ...]


@dataclass(frozen=True)
class CommitmentLine:
    """A row of the ledger as a report lists it: what was committed, or returned."""

    agreement: str
    need: str
    country: str | None
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
class DismissalLine:
    """A suggestion that a side put aside."""

    need: str
    offer: str
    on: date
    reason: str


@dataclass(frozen=True)
class SuggestedLine:
    """A pair with the score of the first run that suggested it, and how far it came."""

    need: str
    offer: str
    run: int
    score: float
    band: str
    outcomes: tuple[str, ...]


class Lines:
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
            codes={facet: self._labels(facet, self._codes(post, facet)) for facet in FACETS},
            places=post.places_wanted if isinstance(post, Need) else post.places,  # type: ignore[attr-defined]
            money=self._money(post),
            currency=post.currency if self._money(post) is not None else None,
            in_book=took_part,
            met=post.id in met if self.rows.run and took_part else None,
            served=is_need and post.id in self.rows.served_ids,
        )

    def _labels(self, scheme: str, codes: Iterable[str]) -> dict[str, str]:
        return {code: self.reference.label(scheme, code, self.language) for code in codes}

    @cached_property
    def _codes_in_book(self) -> dict[int, dict[str, list[str]]]:
        market = self.rows.market
        return market.needs.codes_of_posts() | market.offers.codes_of_posts()

    def _codes(self, post: Post, facet: str) -> list[str]:
        """What a post of the book bore on the day of the run; what any other bears now."""
        if post.id in self._codes_in_book:
            return self._codes_in_book[post.id].get(facet, [])
        if facet == "support_kind":
            return list(post.support_kinds)
        if facet != "subregion":
            return post.codes(facet)
        if isinstance(post, Need):
            code = self.reference.subregion_of(post.country_code) or post.subregion
            return [code] if code else []
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
                days=days_between(asked, answered) if became in ANSWERED and answered else None,
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
        days = agreement_days(rows)
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
                days=days.get(agreement.id),
                events=tuple(event for event, ids in events.items() if agreement.id in ids),
            )
            for agreement in session.scalars(rows.agreements().limit(listed))
        )

    def commitments(self) -> tuple[CommitmentLine, ...]:
        """What was committed or returned, in the order in which it happened."""
        rows = self.rows
        found = rows.session.execute(
            select(
                Agreement.reference,
                Need.reference,
                Need.country_code,
                Commitment.created_at,
                Commitment.places,
                Commitment.money,
                Commitment.currency,
            )
            .join(Agreement, Agreement.id == Commitment.agreement_id)
            .join(Need, Need.id == Commitment.need_id)
            .where(*rows.scope.within(Commitment.created_at), *rows.acts_of(Commitment))
            .where(or_(Commitment.places != 0, Commitment.money != Decimal(0)))
            .order_by(Commitment.id)
        )
        return tuple(
            CommitmentLine(agreement, need, country, at.date(), places, money, currency)
            for agreement, need, country, at, places, money, currency in found
        )

    def dismissals(self) -> tuple[DismissalLine, ...]:
        """Suggestions that were put aside, the newest first."""
        need, offer = aliased(Need), aliased(Offer)
        query = (
            self.rows.dismissals()
            .options()
            .join(need, need.id == Match.need_id)
            .join(offer, offer.id == Match.offer_id)
            .with_only_columns(
                need.reference, offer.reference, Dismissal.created_at, Dismissal.reason
            )
        )
        return tuple(
            DismissalLine(asked, given, at.date(), reason)
            for asked, given, at, reason in self.rows.session.execute(query)
        )

    def suggested(self) -> tuple[SuggestedLine, ...]:
        """Pairs that runs have suggested, the best first."""
        need, offer = aliased(Need), aliased(Offer)
        query = (
            self.rows.suggested()
            .options()
            .join(need, need.id == RunPair.need_id)
            .join(offer, offer.id == RunPair.offer_id)
            .with_only_columns(
                need.reference,
                offer.reference,
                RunPair.run_id,
                RunPair.score,
                RunPair.band,
                *(self.rows.came_to(outcome) for outcome in OUTCOMES),
            )
        )
        return tuple(
            SuggestedLine(
                asked,
                given,
                run,
                score,
                band,
                tuple(o for o, came in zip(OUTCOMES, reached, strict=True) if came),
            )
            for asked, given, run, score, band, *reached in self.rows.session.execute(query)
        )
