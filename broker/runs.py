"""Use cases of match runs: match the whole book, keep the result, find it again."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker.audit import record
from broker.engine import Progress, encode_now
from broker.exchange import Exchange
from broker.explanations import reason_of
from broker.jobs import Bars, Work, job
from broker.nearness import keep_nearest
from broker.posts import expire_posts
from matching import complete
from models import MatchRun, NotAllowed, NotFound, RunPair, User, utc_now


class _Bar:
    """Turns the engine's "so many of so many" into steps of a progress bar."""

    def __init__(self, progress: Progress | None, what: str) -> None:
        self.progress, self.what = progress, what
        self.bar: Any = None
        self.done = 0

    def __call__(self, done: int, total: int) -> None:
        if self.progress is None:
            return
        if self.bar is None:
            self.bar = self.progress(total, self.what)
        self.bar.update(done - self.done)
        self.done = done

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def run_matching(
    exchange: Exchange,
    session: Session,
    by: User | None,
    *,
    progress: Progress | None = None,
) -> MatchRun:
    """Match all live needs with all live offers and keep the matches with their reasons.

    Posts whose time has passed leave the exchange first. A match is an eligible pair at or above
    the band "possible", among the best ``Settings.matches_per_need`` of its need.

    Parameters
    ----------
    by : User or None
        Who asked; None for the command line.
    progress : callable, optional
        ``progress(total, what)`` gives a bar with ``update(n)`` and ``close()``.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    """
    if by is not None and not by.is_secretariat:
        raise NotAllowed("secretariat_only")
    on = exchange.today()
    expire_posts(session, today=on)
    session.flush()
    encode_now(exchange, session, progress)
    engine = exchange.engine
    with engine.open(session, progress) as book:
        # The plan is a picture of the book: readers need not wait while it is worked through.
        plan = book.plan(exchange.settings.matches_per_need, on=on)
    started = utc_now()
    clock = time.perf_counter()
    bar = _Bar(progress, "Matching")
    result = complete(plan, progress=bar)
    bar.close()
    matches = result.matches
    offers = [profile.id for profile in book.offers]
    run = MatchRun(
        started_at=started,
        on=on,
        by_id=by.id if by else None,
        engine_version=result.versions.engine,
        text_version=result.versions.text,
        weights=book.weights.shares(),
        input_digest=result.versions.digest,
        result_digest=hashlib.sha256(result.table.to_bytes()).hexdigest(),
        needs=len(book.needs),
        offers=len(offers),
        eligible_pairs=result.eligible_pairs,
        matches=len(matches),
        unmet_needs=len(result.nobody),
        unused_offers=len(set(offers) - set(matches.offer_ids.tolist())),
        need_ids=[profile.id for profile in book.needs],
        offer_ids=offers,
    )
    session.add(run)
    session.flush()
    rank, last = 0, -1
    for need_id, offer_id, micro in zip(
        matches.need_ids.tolist(), matches.offer_ids.tolist(), matches.scores.tolist(), strict=True
    ):
        rank = rank + 1 if need_id == last else 1
        last = need_id
        session.add(
            RunPair(
                run_id=run.id,
                need_id=need_id,
                offer_id=offer_id,
                rank=rank,
                score=micro / 1_000_000,
                band=result.bands.name(micro),
                reason=reason_of(book.explain(need_id, offer_id, on=on)),
            )
        )
    keep_nearest(session, run, book, result, on=on)
    run.seconds = time.perf_counter() - clock
    run.finished_at = utc_now()
    record(session, by, "run.finished", run, after={"matches": run.matches, "needs": run.needs})
    return run


@job("match_run", name=_l("Match run"), page="secretariat.run")
def match_in_background(exchange: Exchange, work: Work, *, by_id: int) -> dict[str, Any]:
    """A match run as a job; its result leads to the run's page."""
    with exchange.writing() as session:
        by = session.get_one(User, by_id)
        run = run_matching(exchange, session, by, progress=Bars(work))
        return {"page": {"run_id": run.id}}


def newest_run(session: Session) -> MatchRun:
    """The newest finished run; raises :class:`models.errors.NotFound` before the first."""
    run = session.scalar(
        select(MatchRun)
        .where(MatchRun.finished_at.is_not(None))
        .order_by(MatchRun.id.desc())
        .limit(1)
    )
    if run is None:
        raise NotFound("no_run_yet")
    return run


def get_run(session: Session, run_id: int) -> MatchRun:
    """A run by its number; raises :class:`models.errors.NotFound`."""
    run = session.get(MatchRun, run_id)
    if run is None:
        raise NotFound("no_such_run", id=run_id)
    return run


def count_by_band(session: Session, run: MatchRun) -> dict[str, int]:
    """How many matches of a run lie in each band."""
    rows = session.execute(
        select(RunPair.band, func.count()).where(RunPair.run_id == run.id).group_by(RunPair.band)
    )
    return dict(rows.all())
