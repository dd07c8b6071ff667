"""Use cases of the weights: those in force, others tried out or learnt, and their adoption.

Trying weights out stores nothing: a second book is filled with the same posts, and what it finds is
laid beside what the exchange shows now. Only adoption, with its reason, changes what people see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import ValidationError, fields, validate, validates_schema
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.engine import pairs_of
from broker.exchange import Exchange
from broker.reference import Reference
from broker.schemas import Strict, Text, load
from matching import COMPONENTS, Weights, complete
from matching.learn import (
    Decision,
    DryRun,
    Learnt,
    Move,
    TooFewDecisions,
    compare_runs,
    learn_weights,
)
from models import (
    LIVE,
    Conflict,
    Match,
    MatchStatus,
    Need,
    NotAllowed,
    Offer,
    Post,
    User,
    WeightSet,
)

WHOLE = Decimal(100)
"""What the weights add up to, in per cent."""

CENT = Decimal("0.01")
"""The smallest step of a weight, in per cent."""

SHOWN = 50
"""Matches of each kind that a dry run shows; their number is always told."""

REASONS = {
    "theme": _l("People choose themes on purpose, from the list in which the region’s plans are written."),
    "ilac_area": _l("Says again, more coarsely, what themes say; it decides between near equals."),
    "support_kind": _l("Most of its work is done by the rules. What is left is how exactly the form fits."),
    "place": _l("The rules keep out whom an offer does not serve. What is left is how closely it names the place."),
    "text": _l("Every post has a text, and it says what no list of terms foresaw."),
    "programme_dimension": _l("Says again, more coarsely, what themes say; few posts state it."),
    "timing": _l("Tells a match that can start from one that must first be bent to fit."),
    "money": _l("An offer that covers more of the need is worth more; many posts leave amounts open."),
    "track_record": _l("Least of all, lest those who were served before be served first."),
}  # fmt: skip
"""Component → why it has about the weight that it has by default."""

OTHER_GROUNDS = {"already_served": 0.25, "conditions": 0.5, "language": 0.5, "other": 0.5}
"""Reasons that say little about the score → what such a dismissal counts when learning; else 1."""

ACCEPTED = frozenset({MatchStatus.INTEREST, MatchStatus.MUTUAL, MatchStatus.AGREEMENT})
REFUSED = frozenset({MatchStatus.DISMISSED, MatchStatus.DECLINED})


class Share(fields.Decimal):
    """A weight in per cent, with at most two decimals."""

    default_error_messages = {  # noqa: RUF012
        "invalid": _l("This is not a number."),
        "special": _l("This is not a number."),
        "too_large": _l("This number is too large."),
    }

    def __init__(self) -> None:
        super().__init__(
            required=True,
            validate=[
                validate.Range(min=Decimal(0), max=WHOLE, error=_l("Give a number from 0 to 100.")),
                _two_decimals,
            ],
        )

    def _validated(self, value: Any) -> Any:
        # A reader of Spanish writes a comma before the decimals.
        return super()._validated(value.replace(",", ".") if isinstance(value, str) else value)


def _two_decimals(value: Decimal) -> None:
    if value != value.quantize(CENT):
        raise ValidationError(str(_l("Give at most two decimals.")))


class WeightsSchema(Strict):
    """What each component counts, in per cent."""

    theme = Share()
    ilac_area = Share()
    support_kind = Share()
    place = Share()
    text = Share()
    programme_dimension = Share()
    timing = Share()
    money = Share()
    track_record = Share()

    @validates_schema(skip_on_field_errors=True)
    def _adds_up(self, data: dict[str, Any], **_: Any) -> None:
        total = sum(data[component] for component in COMPONENTS)
        if total != WHOLE:
            words = str(_l("The weights add up to %(total)s, not to 100."))
            raise ValidationError(words % {"total": f"{total.normalize():f}"}, "total")


class AdoptionSchema(WeightsSchema):
    """Weights to be put in force, with the reason."""

    reason = Text(2000, required=True)
    replaces = fields.Integer(required=True)
    """Number of the weights that were in force when the page was opened; 0 for the defaults."""


@dataclass(frozen=True)
class InForce:
    """The weights by which scores are made now.

    Attributes
    ----------
    adopted : WeightSet or None
        Who set them, when and why; None for the defaults.
    """

    weights: Weights
    adopted: WeightSet | None

    @property
    def number(self) -> int:
        """Number of the set; 0 for the defaults."""
        return self.adopted.id if self.adopted else 0


def require_secretariat(by: User) -> None:
    """Raise :class:`models.errors.NotAllowed` for anybody but the secretariat."""
    if not by.is_secretariat:
        raise NotAllowed("secretariat_only")


def adopted_weights(session: Session, by: User, limit: int = 10) -> list[WeightSet]:
    """The weights that were put in force, the newest first."""
    require_secretariat(by)
    query = select(WeightSet).order_by(WeightSet.id.desc()).options(selectinload(WeightSet.by))
    return list(session.scalars(query.limit(limit)))


def weights_in_force(session: Session) -> InForce:
    """The newest weights that were adopted, or the defaults."""
    newest = session.scalar(select(WeightSet).order_by(WeightSet.id.desc()).limit(1))
    if newest is None:
        return InForce(Weights(), None)
    return InForce(Weights(**newest.values, version=f"set-{newest.id}"), newest)


def percents(weights: Weights) -> dict[str, Decimal]:
    """Weights in per cent, with two decimals, that add up to 100 exactly."""
    exact = {name: Decimal(share) * WHOLE for name, share in weights.shares().items()}
    given = {name: value.quantize(CENT, ROUND_DOWN) for name, value in exact.items()}
    steps = int((WHOLE - sum(given.values())) / CENT)
    # What rounding leaves over goes to the largest remainders, first component first.
    order = sorted(exact, key=lambda name: given[name] - exact[name])
    for name in order[:steps]:
        given[name] += CENT
    return {name: value.normalize() + 0 for name, value in given.items()}


def read_weights(data: Mapping[str, Any], reference: Reference) -> Weights:
    """Weights from nine shares in per cent.

    Raises
    ------
    InvalidInput
        A share is not a number from 0 to 100, or they do not add up to 100.
    """
    values = load(WeightsSchema, data, reference)
    return Weights(**_shares(values), version="proposal")


def _shares(values: Mapping[str, Any]) -> dict[str, float]:
    return {component: float(values[component] / WHOLE) for component in COMPONENTS}


@dataclass(frozen=True)
class DryRunRow:
    """A match that would enter, leave or move, with its posts."""

    move: Move
    need: Need
    offer: Offer


@dataclass(frozen=True)
class WeightsTrial:
    """What other weights would change; nothing of it is stored.

    Attributes
    ----------
    found : DryRun
        All that would change.
    entered, left, moved : list of DryRunRow
        The first of each, at most ``SHOWN``.
    unmet_now, unmet_then : int
        Needs without any match.
    """

    weights: Weights
    found: DryRun
    entered: list[DryRunRow]
    left: list[DryRunRow]
    moved: list[DryRunRow]
    unmet_now: int
    unmet_then: int


def try_weights(
    exchange: Exchange, session: Session, by: User, weights: Weights, *, on: date
) -> WeightsTrial:
    """Which matches of the whole book would enter, leave or move under other weights.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    """
    require_secretariat(by)
    engine, best = exchange.engine, exchange.settings.matches_per_need
    with engine.open(session) as book:
        present = book.plan(best, on=on)
        apart = engine.kept_apart
    other = engine.book_of(session, select(Post.id).where(Post.status.in_(LIVE)), weights)
    other.keep_apart(dismissed=apart)
    now, then = complete(present), other.run(best, on=on)
    found = compare_runs(now.matches, then.matches)
    entered, left, moved = first_rows(session, found)
    return WeightsTrial(weights, found, entered, left, moved, len(now.nobody), len(then.nobody))


def first_rows(session: Session, found: DryRun) -> list[list[DryRunRow]]:
    """The first matches that enter, leave and move, with their posts; at most ``SHOWN`` each."""
    shown = [moves[:SHOWN] for moves in (found.entered, found.left, found.moved)]
    posts = pairs_of(session, [(m.need_id, m.offer_id) for moves in shown for m in moves])
    return [[_row(move, posts) for move in moves] for moves in shown]


def _row(move: Move, posts: Mapping[int, Any]) -> DryRunRow:
    return DryRunRow(move, posts[move.need_id], posts[move.offer_id])


@dataclass(frozen=True)
class Lesson:
    """What people's decisions teach about the weights.

    Attributes
    ----------
    learnt : Learnt or None
        The proposal, measured on decisions that it has not seen; None where there are too few.
    accepted, dismissed : int
        Decisions there are.
    """

    learnt: Learnt | None
    accepted: int
    dismissed: int


def learn_from_decisions(exchange: Exchange, session: Session, by: User) -> Lesson:
    """Learn weights from the matches that people accepted and dismissed.

    Similarities are those of the posts as they stand now, whether or not they are still live.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    """
    require_secretariat(by)
    decisions = _decisions(exchange, session)
    try:
        learnt = learn_weights(decisions, weights_in_force(session).weights, "learnt")
    except TooFewDecisions as few:
        return Lesson(None, few.accepted, few.dismissed)
    return Lesson(learnt, learnt.accepted, learnt.dismissed)


def _decisions(exchange: Exchange, session: Session) -> list[Decision]:
    decided = list(
        session.scalars(
            select(Match)
            .where(Match.status.in_(ACCEPTED | REFUSED))
            .options(selectinload(Match.dismissals), selectinload(Match.interests))
            .order_by(Match.id)
        )
    )
    pairs = [(match.need_id, match.offer_id) for match in decided]
    posts = select(Post.id).where(Post.id.in_({post for pair in pairs for post in pair}))
    book = exchange.engine.book_of(session, posts, Weights())
    return [
        Decision(match.need_id, similarities, match.status in ACCEPTED, _weight(match))
        for match, similarities in zip(decided, book.component_similarities(pairs), strict=True)
    ]


def _weight(match: Match) -> float:
    """What a decision counts: refusals on grounds that no score can know count less."""
    if match.status in ACCEPTED:
        return 1.0
    reason: str | None = None
    if match.status == MatchStatus.DISMISSED and match.dismissals:
        reason = match.dismissals[-1].reason
    elif match.interests:
        reason = match.interests[-1].answer_reason
    return OTHER_GROUNDS.get(reason or "other", 1.0)


def adopt_weights(
    session: Session, by: User, data: Mapping[str, Any], reference: Reference
) -> WeightSet:
    """Put weights in force, with the reason.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    InvalidInput
        The weights do not add up to 100, or no reason is given.
    Conflict
        Others have been adopted since the page was opened.
    """
    require_secretariat(by)
    values = load(AdoptionSchema, data, reference)
    before = weights_in_force(session)
    if before.number != values["replaces"]:
        raise Conflict("changed_meanwhile")
    adopted = WeightSet(by_id=by.id, values=_shares(values), reason=values["reason"])
    session.add(adopted)
    record(
        session,
        by,
        "weights.adopted",
        adopted,
        before=before.weights.shares(),
        after={**adopted.values, "reason": adopted.reason},
    )
    return adopted
