"""Use case of replaying: make a stored match run once more, and compare it to the byte.

The same input gives the same result, bit for bit. Where the input has changed, what changed is
named, and the difference in matches is laid out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.exchange import Exchange
from matching import ENGINE_VERSION, MICRO, Book, MatchTable, Weights, complete
from matching.learn import DryRun, compare_runs
from models import LIVE, MatchRun, Post, RunPair

VERDICTS = {
    "same": _l("The input is the same, and so is the result, byte for byte."),
    "changed": _l("The input has changed since, so the result may differ."),
    "broken": _l("The input is the same and the result is not. Please report this as an error."),
}
"""What a replay shows → in words."""


@dataclass(frozen=True)
class InputChanges:
    """What has changed since a run was made.

    Attributes
    ----------
    engine, text : bool
        Whether the engine, or the text model, is another version.
    new, gone, edited : tuple of int
        Posts that have come, that have left, and that have changed since.
    """

    engine: bool
    text: bool
    new: tuple[int, ...]
    gone: tuple[int, ...]
    edited: tuple[int, ...]


@dataclass(frozen=True)
class Replay:
    """A stored run beside the same run made now.

    Attributes
    ----------
    verdict : str
        ``same``, ``changed`` or ``broken``; see ``VERDICTS``.
    input_digest, result_digest : str
        Of the run made now, to be held against those that are stored.
    changes : InputChanges
        What has changed; nothing in particular where the verdict is not ``changed``.
    difference : DryRun
        Matches that enter, leave or move from the stored run to the one made now.
    """

    run: MatchRun
    verdict: str
    input_digest: str
    result_digest: str
    changes: InputChanges
    difference: DryRun


def replay_run(exchange: Exchange, session: Session, run: MatchRun) -> Replay:
    """Make a stored run once more, of its day and by its weights, from the posts as they are now.

    Nothing is stored.
    """
    engine = exchange.engine
    with engine.open(session):
        apart = engine.kept_apart
    live = select(Post.id).where(Post.status.in_(LIVE))
    book = engine.book_of(session, live, Weights(**run.weights, version=f"run-{run.id}"))
    book.keep_apart(dismissed=apart)
    result = complete(book.plan(exchange.settings.matches_per_need, on=run.on))
    input_digest = result.versions.digest
    result_digest = hashlib.sha256(result.table.to_bytes()).hexdigest()
    as_before = "same" if result_digest == run.result_digest else "broken"
    verdict = as_before if input_digest == run.input_digest else "changed"
    return Replay(
        run,
        verdict,
        input_digest,
        result_digest,
        _changes(session, run, book, result.versions.text),
        compare_runs(_stored_table(session, run), result.matches),
    )


def _stored_table(session: Session, run: MatchRun) -> MatchTable:
    rows = session.execute(
        select(RunPair.need_id, RunPair.offer_id, RunPair.score)
        .where(RunPair.run_id == run.id)
        .order_by(RunPair.need_id, RunPair.rank)
    ).all()
    columns = (
        np.array([need for need, _offer, _score in rows], np.int64),
        np.array([offer for _need, offer, _score in rows], np.int64),
        np.array([round(score * MICRO) for _need, _offer, score in rows], np.int64),
    )
    return MatchTable(*columns)


def _changes(session: Session, run: MatchRun, book: Book, text_version: str) -> InputChanges:
    then = {*run.need_ids, *run.offer_ids}
    now = {profile.id for profile in (*book.needs, *book.offers)}
    edited = session.scalars(
        select(Post.id)
        .where(Post.status.in_(LIVE), Post.updated_at > run.started_at)
        .order_by(Post.id)
    )
    return InputChanges(
        engine=run.engine_version != ENGINE_VERSION,
        text=run.text_version != text_version,
        new=tuple(sorted(now - then)),
        gone=tuple(sorted(then - now)),
        edited=tuple(post_id for post_id in edited if post_id in then),
    )


def change_sentences(replay: Replay) -> list[str]:
    """What has changed since the run, a sentence each; none where its input is the same."""
    if replay.verdict != "changed":
        return []
    run, changes = replay.run, replay.changes
    lines = []
    if changes.engine:
        lines.append(
            gettext(
                "The engine is version %(now)s; it was %(then)s.",
                now=ENGINE_VERSION,
                then=run.engine_version,
            )
        )
    if changes.text:
        lines.append(
            gettext("The text model is another one; it was %(then)s.", then=run.text_version)
        )
    lines += _counted(changes.new, changes.gone, changes.edited)
    return lines or [
        gettext("Dismissals, balances, reference data or settings are others than they were.")
    ]


def _counted(new: Sequence[int], gone: Sequence[int], edited: Sequence[int]) -> list[str]:
    lines = []
    if new:
        lines.append(
            ngettext(
                "%(num)s post has come to the exchange.",
                "%(num)s posts have come to the exchange.",
                len(new),
            )
        )
    if gone:
        lines.append(
            ngettext(
                "%(num)s post has left the exchange.",
                "%(num)s posts have left the exchange.",
                len(gone),
            )
        )
    if edited:
        lines.append(
            ngettext("%(num)s post has changed.", "%(num)s posts have changed.", len(edited))
        )
    return lines


def replay_sentences(replay: Replay) -> list[str]:
    """All that a replay shows, a sentence each."""
    found = replay.difference
    return [
        str(VERDICTS[replay.verdict]),
        *change_sentences(replay),
        gettext(
            "Matches: %(entered)s enter, %(left)s leave, %(moved)s move, %(stayed)s stay.",
            entered=len(found.entered),
            left=len(found.left),
            moved=len(found.moved),
            stayed=found.stayed,
        ),
    ]
