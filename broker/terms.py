"""Terms of an agreement: a first draft from need and offer, and what changed between versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from difflib import SequenceMatcher
from itertools import pairwise
from math import ceil
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.posts import seals_money
from broker.reference import Reference
from broker.schemas import TermsSchema
from models import (
    Agreement,
    AgreementTerms,
    Match,
    Need,
    Offer,
    ProposalStatus,
    RoundProposal,
    User,
)
from models.ledger import convert


def terms_content(terms: AgreementTerms) -> dict[str, Any]:
    """The terms in the shape of their input schema, ready for JSON."""
    return {name: _plain(getattr(terms, name)) for name in TermsSchema._declared_fields}


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def draft_terms(
    session: Session,
    match: Match,
    by: User,
    reference: Reference,
    *,
    language: str,
    today: date,
) -> dict[str, Any]:
    """What need and offer already say, laid out as terms that a person then completes.

    Parameters
    ----------
    by : User
        Who writes. A sealed amount of the need is used for its own side alone, since a draft
        would tell it to the other.
    language : str
        Language of labels and titles in the draft.
    """
    need, offer = match.need, match.offer
    starts, ends = _period(need, offer, today)
    proposed = _accepted_proposal(session, match)
    money, currency = _money(session, match, by), offer.currency or need.currency
    told = not (seals_money(need, by) or seals_money(offer, by))
    if proposed is not None and proposed.money and told:
        money, currency = proposed.money, proposed.currency
    return {
        "title": need.title_in(language),
        "activities": _activities(need, offer, reference, language),
        "need_side_duties": offer.pilot_brings,
        "offer_side_duties": "",
        "starts": _plain(starts),
        "ends": _plain(ends),
        "places": _least(
            _places_said(match),
            proposed.places or None if proposed else None,
            need.places_open(),
            offer.remaining_places(),
            offer.places_per_beneficiary,
        ),
        "money": _plain(money),
        "currency": currency,
        "beyond_need": False,
        "support_kinds": _shared_kinds(need, offer),
        "milestones": [],
        "indicators": [],
        "note": "",
    }


def _accepted_proposal(session: Session, match: Match) -> RoundProposal | None:
    """What a clearing round proposed to the two sides, and both have accepted; the latest."""
    return session.scalar(
        select(RoundProposal)
        .where(
            RoundProposal.need_id == match.need.id,
            RoundProposal.offer_id == match.offer.id,
            RoundProposal.status == ProposalStatus.ACCEPTED,
        )
        .order_by(RoundProposal.id.desc())
        .limit(1)
    )


def _least(*limits: Any) -> Any:
    """The smallest of the limits that are stated; None where that leaves nothing to agree on."""
    return min((limit for limit in limits if limit is not None), default=None) or None


def _places_said(match: Match) -> int | None:
    """The places that the interest named, or its share of those wanted."""
    said, wanted = match.standing_interest(), match.need.places_wanted
    if said is None or said.places is not None or said.share is None or wanted is None:
        return said.places if said else None
    return ceil(wanted * said.share / 100)


def _money(session: Session, match: Match, by: User) -> Decimal | None:
    need, offer, said = match.need, match.offer, match.standing_interest()
    limits = () if seals_money(offer, by) else (offer.remaining_money(), offer.grant_most)
    if said is not None and said.money is not None and said.currency == offer.currency:
        return _whole(_least(said.money, *limits))
    wanted = need.money_open()
    gives_money = offer.money is not None or "finance" in offer.support_kinds
    if not wanted or not gives_money or seals_money(need, by):
        return None
    if offer.currency and need.currency:
        wanted = convert(session, wanted, need.currency, offer.currency).money
    if said is not None and said.share is not None:
        wanted = wanted * said.share / 100
    return _whole(_least(wanted, *limits))


def _whole(least: Decimal | None) -> Decimal | None:
    return least.to_integral_value(ROUND_FLOOR) if least else None


def _period(need: Need, offer: Offer, today: date) -> tuple[date | None, date | None]:
    """The days on which both can work, from today on; the need's own where they do not meet."""
    starts = max((day for day in (need.starts, offer.starts, today) if day), default=None)
    ends = min((day for day in (need.ends, offer.ends) if day), default=None)
    if starts and ends and ends < starts:
        return need.starts, need.ends
    return starts, ends


def _shared_kinds(need: Need, offer: Offer) -> list[str]:
    return [k for k in need.support_kinds if k in offer.support_kinds] or offer.support_kinds


def _activities(need: Need, offer: Offer, reference: Reference, language: str) -> str:
    """What the offer gives of the shared kinds, one line each, as its provider wrote it."""
    shared = _shared_kinds(need, offer)
    lines = []
    for support in offer.supports:
        if support.kind in shared:
            label = reference.label("support_kind", support.modality or support.kind, language)
            lines.append(f"– {label}: {support.detail}" if support.detail else f"– {label}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text that is ``same``, ``gone``, ``new``, or ``skipped`` for brevity."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one field of the terms was, and what it is.

    Attributes
    ----------
    kind : str
        ``"text"`` (see ``pieces``), ``"list"`` (see ``gone`` and ``new``) or ``"value"``.
    before, after
        The values; of money, ``(amount, currency)``.
    gone, new : tuple
        Entries of a list that the older and the newer version alone have.
    """

    field: str
    kind: str
    before: Any = None
    after: Any = None
    pieces: tuple[Piece, ...] = ()
    gone: tuple[Any, ...] = ()
    new: tuple[Any, ...] = ()


TEXTS = ("title", "activities", "need_side_duties", "offer_side_duties")
VALUES = ("starts", "ends", "places", "money", "beyond_need")
LISTS = ("support_kinds", "milestones", "indicators")


def history(agreement: Agreement) -> list[tuple[AgreementTerms, list[Change]]]:
    """Every version of the terms with what it changed in the one before it; newest first."""
    versions = agreement.terms
    changes = [[], *(compare_terms(old, new) for old, new in pairwise(versions))]
    return list(reversed(list(zip(versions, changes, strict=True))))


def compare_terms(before: AgreementTerms, after: AgreementTerms) -> list[Change]:
    """What changed from one version of the terms to another, field by field."""
    return list(_changes(before, after))


def _changes(before: AgreementTerms, after: AgreementTerms) -> Iterator[Change]:
    for field in (*TEXTS, *VALUES, *LISTS):
        old, new = _value(before, field), _value(after, field)
        if old == new:
            continue
        if field in TEXTS:
            yield Change(field, "text", old, new, pieces=compare_texts(old, new))
        elif field in LISTS:
            gone = tuple(item for item in old if item not in new)
            come = tuple(item for item in new if item not in old)
            if gone or come:
                yield Change(field, "list", gone=gone, new=come)
        else:
            yield Change(field, "value", old, new)


def _value(terms: AgreementTerms, field: str) -> Any:
    """A field's value; money as an amount with its currency, since one without the other is none."""
    if field == "money":
        return None if terms.money is None else (terms.money, terms.currency)
    return getattr(terms, field)


MOST_WORDS = 4_000_000
"""Words of one text times words of the other up to which single words are compared."""

KEPT_AROUND = 140
"""Signs of an unchanged text that stay readable on either side of a change."""

_WORD = re.compile(r"(?:\w+|[^\w\s])\s*|\s+")


def compare_texts(before: str, after: str) -> tuple[Piece, ...]:
    """Both texts as one, in pieces: first line by line, then word by word where lines changed.

    Joining all but the ``new`` pieces gives ``before``, save for unchanged stretches that are
    left out, and for the white space around words that stayed.
    """
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    pieces: list[Piece] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", "".join(new[c:d])))
        else:
            pieces.extend(_compare_words("".join(old[a:b]), "".join(new[c:d])))
    return tuple(_shorten(_joined(pieces)))


def _compare_words(before: str, after: str) -> Iterator[Piece]:
    old, new = _WORD.findall(before), _WORD.findall(after)
    if len(old) * len(new) > MOST_WORDS:
        yield from (Piece("gone", before), Piece("new", after))
        return
    # Words are the same whatever space follows them: a new line break is no new word.
    keys = [[word.strip() for word in words] for words in (old, new)]
    for kind, a, b, c, d in SequenceMatcher(None, keys[0], keys[1]).get_opcodes():
        if kind == "equal":
            yield Piece("same", "".join(map(_spaced, new[c:d], old[a:b])))
            continue
        gone, come = "".join(old[a:b]), "".join(new[c:d])
        if gone:
            yield Piece("gone", _spaced(gone, " ") if come else gone)
        if come:
            yield Piece("new", come)


def _spaced(word: str, other: str) -> str:
    """``word``, kept apart from what follows where it stood last in its own text alone."""
    return word if word[-1:].isspace() else word + other[len(other.rstrip()) :]


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].kind == piece.kind:
            joined[-1] = Piece(piece.kind, joined[-1].text + piece.text)
        elif piece.text:
            joined.append(piece)
    return joined


def _shorten(pieces: list[Piece]) -> Iterator[Piece]:
    """Leave out the middle of long unchanged stretches."""
    for number, piece in enumerate(pieces):
        if piece.kind != "same" or len(piece.text) <= 3 * KEPT_AROUND:
            yield piece
            continue
        if number > 0:
            yield Piece("same", piece.text[:KEPT_AROUND].rsplit(" ", 1)[0] + " ")
        yield Piece("skipped", "…")
        if number + 1 < len(pieces):
            yield Piece("same", " " + piece.text[-KEPT_AROUND:].split(" ", 1)[-1])
