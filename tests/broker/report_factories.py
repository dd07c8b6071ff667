"""Match runs and interests made by hand, for tests of what is counted on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Interest, Match, MatchRun, MatchStatus, Need, Offer, Role, RunPair, utc_now
from tests.broker.factories import make_person

BANDS = ((70, "strong"), (57, "good"), (45, "possible"))


def make_run(
    session: Session,
    pairs: Sequence[tuple[Need, Offer, float]] = (),
    needs: Sequence[Need] = (),
    offers: Sequence[Offer] = (),
) -> MatchRun:
    """A finished run in which those needs and offers took part and those pairs matched.

    Without lists, every need and offer of the database took part.
    """
    need_ids = [n.id for n in needs] or list(session.scalars(select(Need.id).order_by(Need.id)))
    offer_ids = [o.id for o in offers] or list(session.scalars(select(Offer.id).order_by(Offer.id)))
    run = MatchRun(
        started_at=utc_now() + timedelta(seconds=1),
        finished_at=utc_now() + timedelta(seconds=1),
        on=datetime.now(UTC).date(),
        engine_version="1.0",
        text_version="words",
        weights={"theme": 0.6, "text": 0.4},
        input_digest="d" * 64,
        result_digest="r" * 64,
        needs=len(need_ids),
        offers=len(offer_ids),
        eligible_pairs=len(pairs) + 7,
        matches=len(pairs),
        unmet_needs=len(set(need_ids) - {need.id for need, _offer, _score in pairs}),
        unused_offers=len(set(offer_ids) - {offer.id for _need, offer, _score in pairs}),
        seconds=0.25,
        need_ids=need_ids,
        offer_ids=offer_ids,
    )
    session.add(run)
    session.flush()
    for rank, (need, offer, score) in enumerate(pairs, start=1):
        shared = {"part": "themes", "shared": need.codes("theme")[:1], "related": []}
        session.add(
            RunPair(
                run_id=run.id,
                need_id=need.id,
                offer_id=offer.id,
                rank=rank,
                score=score,
                band=next((name for least, name in BANDS if score >= least), "weak"),
                reason={"parts": [{**shared, "need": None, "similarity": 1.0}]},
            )
        )
    session.flush()
    return run


def make_interest(
    session: Session,
    need: Need,
    offer: Offer,
    *,
    status: MatchStatus = MatchStatus.INTEREST,
    answer: str | None = None,
    reason: str | None = None,
    days_ago: int = 0,
) -> Interest:
    """An interest of the need's side, with its answer if there was one."""
    match = Match(need=need, offer=offer, status=status)
    interest = Interest(
        match=match,
        side="need",
        by=make_person(session, Role.FOCAL_POINT),
        answer=answer,
        answer_reason=reason,
        answered_at=utc_now() if answer else None,
        created_at=utc_now() - timedelta(days=days_ago),
    )
    session.add_all([match, interest])
    session.flush()
    return interest
