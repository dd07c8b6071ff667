"""Use cases of the weights: those in force, others tried out or learnt, and their adoption.

Trying weights out stores nothing: a second book is filled with the same posts, and what it finds is
laid beside what the exchange shows now. Only adoption, with its reason, changes what people see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import ValidationError, fields, validate, validates_schema
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.engine import pairs_of
from broker.exchange import Exchange
from broker.jobs import Work, get_job, job, start_job
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
    Job,
    JobStatus,
    Match,
    MatchStatus,
    Need,
    NotAllowed,
    NotFound,
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

MOST_PAIRS = 4_000_000
"""Pairs of a need and an offer up to which a dry run is made while the reader waits."""

Tell = Callable[[int, int], None]
"""``tell(done, total)``: how far long work is."""

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
    """What other weights would change; nothing of it is in force.

    Attributes
    ----------
    counts : dict
        How many matches would have ``entered``, ``left``, ``moved`` and ``stayed``, and for how
        many needs the first offer would be another one (``first_changed``).
    entered, left, moved : list of DryRunRow
        The first of each, at most ``SHOWN``.
    unmet_now, unmet_then : int
        Needs without any match.
    """

    weights: Weights
    counts: dict[str, int]
    entered: list[DryRunRow]
    left: list[DryRunRow]
    moved: list[DryRunRow]
    unmet_now: int
    unmet_then: int


Moves = dict[str, list[Move]]
"""``"entered"``, ``"left"`` and ``"moved"`` → the first matches of each."""


@dataclass(frozen=True)
class _Outcome:
    """A trial in numbers, as a job hands it on."""

    counts: dict[str, int]
    moves: Moves
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
    return _with_posts(session, weights, _try(exchange, session, weights, on=on))


def _try(
    exchange: Exchange,
    session: Session,
    weights: Weights,
    *,
    on: date,
    tell: Tell | None = None,
) -> _Outcome:
    engine, best = exchange.engine, exchange.settings.matches_per_need
    with engine.open(session) as book:
        present = book.plan(best, on=on)
        apart = engine.kept_apart
    other = engine.book_of(session, select(Post.id).where(Post.status.in_(LIVE)), weights)
    other.keep_apart(dismissed=apart)
    proposed = other.plan(best, on=on)

    def half(first: int) -> Tell | None:
        return (lambda done, total: tell(first * total + done, 2 * total)) if tell else None

    now = complete(present, progress=half(0))
    then = complete(proposed, progress=half(1))
    found = compare_runs(now.matches, then.matches)
    return _Outcome(
        {
            "entered": len(found.entered),
            "left": len(found.left),
            "moved": len(found.moved),
            "stayed": found.stayed,
            "first_changed": len(found.first_changed),
        },
        first_moves(found),
        len(now.nobody),
        len(then.nobody),
    )


def first_moves(found: DryRun) -> Moves:
    """The first matches that enter, leave and move; at most ``SHOWN`` of each."""
    return {
        "entered": list(found.entered[:SHOWN]),
        "left": list(found.left[:SHOWN]),
        "moved": list(found.moved[:SHOWN]),
    }


def rows_of(session: Session, moves: Moves) -> dict[str, list[DryRunRow]]:
    """Moves with their posts; those whose posts are gone by now are left out."""
    posts = pairs_of(session, [(m.need_id, m.offer_id) for some in moves.values() for m in some])
    return {
        what: [
            _row(move, posts) for move in some if move.need_id in posts and move.offer_id in posts
        ]
        for what, some in moves.items()
    }


def _row(move: Move, posts: Mapping[int, Any]) -> DryRunRow:
    return DryRunRow(move, posts[move.need_id], posts[move.offer_id])


def _with_posts(session: Session, weights: Weights, outcome: _Outcome) -> WeightsTrial:
    return WeightsTrial(
        weights,
        outcome.counts,
        **rows_of(session, outcome.moves),
        unmet_now=outcome.unmet_now,
        unmet_then=outcome.unmet_then,
    )


# --- In the background, where the book is large


def takes_long(session: Session) -> bool:
    """Whether trying weights out on the whole book is for a job rather than for a page."""
    query = select(Post.kind, func.count()).where(Post.status.in_(LIVE)).group_by(Post.kind)
    live = dict(session.execute(query).all())
    return live.get("need", 0) * live.get("offer", 0) > MOST_PAIRS


def start_trial(session: Session, by: User, data: Mapping[str, Any], reference: Reference) -> Job:
    """Try weights out in a job; :func:`finished_trial` reads what came of it.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    InvalidInput
        As for :func:`read_weights`.
    """
    require_secretariat(by)
    shares = read_weights(data, reference).shares()
    return start_job(session, by, "weights_trial", shares=shares)


@job("weights_trial", name=_l("Dry run of other weights"), page="weights.tried")
def try_in_background(
    exchange: Exchange, work: Work, *, shares: dict[str, float]
) -> dict[str, Any]:
    """The dry run of :func:`try_weights` as a job."""
    with exchange.reading() as session:
        outcome = _try(
            exchange,
            session,
            Weights(**shares, version="proposal"),
            on=exchange.today(),
            tell=work.progress,
        )
    return {
        "page": {"job_id": work.id},
        "counts": outcome.counts,
        "moves": {what: [asdict(move) for move in some] for what, some in outcome.moves.items()},
        "unmet_now": outcome.unmet_now,
        "unmet_then": outcome.unmet_then,
    }


def finished_trial(session: Session, by: User, job_id: int) -> WeightsTrial:
    """What a trial in the background found.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    NotFound
        There is no such job, it is another kind of work, or it has not been done.
    """
    require_secretariat(by)
    done = get_job(session, by, job_id)
    if done.kind != "weights_trial" or done.status != JobStatus.DONE:
        raise NotFound("no_such_job", id=job_id)
    result = done.result
    moves = {what: [Move(**move) for move in some] for what, some in result["moves"].items()}
    outcome = _Outcome(result["counts"], moves, result["unmet_now"], result["unmet_then"])
    return _with_posts(session, Weights(**done.arguments["shares"], version="proposal"), outcome)


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
