"""How near the needs that nobody met came to a match, and what was missing: kept with each run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask_babel import force_locale, ngettext
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from broker.explanations import RULE_NAMES, change_sentence
from broker.reference import Reference
from matching import Book
from matching import MatchRun as Result
from matching.explain import Change
from models import MatchRun, NearestOffer

EXPLAINED = 200
"""Needs, the nearest first, for which a run works out what would have helped."""

CHANGES, RULES = 2, 3
"""Changes and rules that are kept of each."""


def keep_nearest(session: Session, run: MatchRun, book: Book, result: Result, *, on: date) -> None:
    """Keep, for each need of the run that nobody met, the offer that came nearest.

    Where every offer breaks a rule, the rules are kept that exclude most of them.
    """
    unmet = set(result.nobody)
    nearest: dict[int, tuple[int, int]] = {}
    table = result.table
    for need_id, offer_id, micro in zip(
        table.need_ids.tolist(), table.offer_ids.tolist(), table.scores.tolist(), strict=True
    ):
        if need_id in unmet and need_id not in nearest:
            nearest[need_id] = (offer_id, micro)
    order = sorted(result.nobody, key=lambda n: -nearest.get(n, (0, -1))[1])
    for place, need_id in enumerate(order):
        offer_id, micro = nearest.get(need_id, (None, None))
        missing: dict[str, Any] = {}
        if place < EXPLAINED and offer_id is not None:
            changes = book.what_would_change(need_id, offer_id, on=on)
            missing["changes"] = [_kept(change) for change in changes[:CHANGES]]
        elif place < EXPLAINED:
            counts = book.ledger(need_id, on=on).counts
            ranked = sorted(counts.items(), key=lambda item: -item[1])
            missing["rules"] = dict(ranked[:RULES])
        session.add(
            NearestOffer(
                run_id=run.id,
                need_id=need_id,
                offer_id=offer_id,
                score=None if micro is None else micro / 1_000_000,
                missing=missing,
            )
        )


def _kept(change: Change) -> dict[str, Any]:
    return {
        "side": change.side,
        "field": change.field,
        "kind": change.kind,
        "value": _to_json(change.value),
        "gained": change.gained,
    }


def _to_json(value: Any) -> Any:
    if isinstance(value, date):
        return {"day": value.isoformat()}
    if isinstance(value, tuple | list | frozenset):
        return [_to_json(item) for item in value]
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return date.fromisoformat(value["day"])
    return tuple(_from_json(item) for item in value) if isinstance(value, list) else value


def missing_sentences(
    missing: Mapping[str, Any], reference: Reference, language: str
) -> tuple[str, ...]:
    """What was missing, in sentences: what would have helped most, or what excludes the offers."""
    with force_locale(language):
        helped = [
            _(
                "%(change)s That would give %(points)s points more.",
                change=change_sentence(
                    Change(**{**kept, "value": _from_json(kept["value"])}), reference, language
                ),
                points=round(kept["gained"] / 1_000_000),
            )
            for kept in missing.get("changes", ())
        ]
        excluded = [
            ngettext(
                "%(rule)s (%(num)s offer)",
                "%(rule)s (%(num)s offers)",
                number,
                rule=RULE_NAMES[rule],
            )
            for rule, number in missing.get("rules", {}).items()
        ]
        if excluded:
            helped.append(_("No offer can serve it: %(rules)s.", rules="; ".join(excluded)))
        return tuple(helped)
