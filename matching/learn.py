"""Weights learnt from what people accepted and dismissed, and what adopting them would change.

The chance that a match is accepted is modelled by logistic regression on the nine similarities,
with coefficients that are never negative: more similarity never lowers a score. Few decisions move
the weights little, because they are drawn towards the present ones. Before anything is adopted,
learnt and present weights are compared on decisions that were held out, need by need, and a dry run
shows which matches would enter, leave or move.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from matching.profile import ProfileError
from matching.run import MatchTable
from matching.score import COMPONENTS, MICRO, Floats, Weights

LEAST_DECISIONS = 30
"""Decisions below which nothing is learnt."""
LEAST_OF_EACH = 8
"""Accepted, and dismissed, below which nothing is learnt."""
PULL = 20.0
"""Decisions that the present weights are worth."""
FOLDS = 5


class TooFewDecisions(ValueError):
    """There are not enough decisions to learn from.

    Attributes
    ----------
    accepted, dismissed
        How many there are.
    """

    def __init__(self, accepted: int, dismissed: int) -> None:
        super().__init__(
            f"{accepted} accepted and {dismissed} dismissed matches are too few: "
            f"{LEAST_DECISIONS} are needed, at least {LEAST_OF_EACH} of each"
        )
        self.accepted = accepted
        self.dismissed = dismissed


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody made of a match.

    Attributes
    ----------
    need_id
        Decisions on one need are held out together: they are not independent.
    similarities
        Component → similarity when the decision was made, see ``Book.component_similarities``.
    accepted
        Whether interest was expressed (or an agreement made), rather than the match dismissed.
    weight
        How much the decision counts; dismissals for a reason that has nothing to do with the score
        (a language, conditions) may count less.
    """

    need_id: int
    similarities: Mapping[str, float]
    accepted: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How well a weighting foretells decisions that it has not seen.

    Attributes
    ----------
    auc
        Chance that an accepted match scores higher than a dismissed one.
    log_loss
        Mean surprise, in nats, less is better; with the score turned into a probability on the
        decisions that were not held out.
    """

    auc: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class Learnt:
    """Weights learnt from decisions, with the evidence for and against them.

    Attributes
    ----------
    weights
        The proposal.
    present, learnt
        How the present and the learnt weights do on held-out decisions.
    better
        Whether the learnt ones do better on both measures; if not, there is no reason to adopt
        them.
    accepted, dismissed, needs
        What was learnt from.
    """

    weights: Weights
    present: HeldOut
    learnt: HeldOut
    better: bool
    accepted: int
    dismissed: int
    needs: int


def learn_weights(
    decisions: Sequence[Decision], present: Weights, version: str, pull: float = PULL
) -> Learnt:
    """Learn weights from decisions and compare them with the present ones.

    Parameters
    ----------
    present
        The weights in force, towards which the learnt ones are drawn.
    version
        Name of the new weighting.
    pull
        Decisions that the present weights are worth.

    Raises
    ------
    TooFewDecisions
        Fewer than ``LEAST_DECISIONS``, or ``LEAST_OF_EACH`` of a kind, or all on one need.
    ProfileError
        A similarity is not in [0, 1].
    """
    accepted = sum(decision.accepted for decision in decisions)
    dismissed = len(decisions) - accepted
    needs = len({decision.need_id for decision in decisions})
    if (
        len(decisions) < LEAST_DECISIONS
        or min(accepted, dismissed) < LEAST_OF_EACH
        or needs < FOLDS
    ):
        raise TooFewDecisions(accepted, dismissed)
    # Loaded where it is used: it takes over a second, which no program's start has to wait for.
    from sklearn.metrics import log_loss, roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    found, truth, counts = _arrays(decisions)
    groups = np.array([decision.need_id for decision in decisions])
    shares = np.array(list(present.shares().values()))
    chances = {"present": np.zeros(len(truth)), "learnt": np.zeros(len(truth))}
    scores = {"present": np.zeros(len(truth)), "learnt": np.zeros(len(truth))}
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for kept, out in folds.split(found, truth, groups):
        learnt = _fit(found[kept], truth[kept], counts[kept], shares, pull)
        for name, weights in (("present", shares), ("learnt", learnt)):
            scale, level = _scale(found[kept] @ weights, truth[kept], counts[kept])
            # Scores of different folds are compared on the scale of their probabilities.
            scores[name][out] = scale * (found[out] @ weights) + level
            chances[name][out] = _logistic(scores[name][out])
    measured = {
        name: HeldOut(
            float(roc_auc_score(truth, scores[name], sample_weight=counts)),
            float(log_loss(truth, chances[name], sample_weight=counts, labels=[False, True])),
        )
        for name in scores
    }
    proposal = _fit(found, truth, counts, shares, pull)
    return Learnt(
        weights=Weights.from_shares(
            dict(zip(COMPONENTS, np.round(proposal, 4).tolist(), strict=True)), version
        ),
        present=measured["present"],
        learnt=measured["learnt"],
        better=measured["learnt"].auc > measured["present"].auc
        and measured["learnt"].log_loss < measured["present"].log_loss,
        accepted=accepted,
        dismissed=dismissed,
        needs=needs,
    )


def _arrays(
    decisions: Sequence[Decision],
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    for decision in decisions:
        for component, value in decision.similarities.items():
            if component not in COMPONENTS or not (isfinite(value) and 0 <= value <= 1):
                raise ProfileError("out_of_order", component, value, f"need {decision.need_id}")
    found = np.array(
        [[decision.similarities[name] for name in COMPONENTS] for decision in decisions]
    )
    truth = np.array([decision.accepted for decision in decisions])
    return found, truth, np.array([decision.weight for decision in decisions])


def _logistic(values: Floats) -> Floats:
    chances: Floats = 1 / (1 + np.exp(-np.clip(values, -35, 35)))
    return chances


def _loss(logits: Floats, truth: NDArray[np.bool_], counts: Floats) -> tuple[float, Floats]:
    """Weighted logistic loss and its derivative by the logits."""
    signs = np.where(truth, 1.0, -1.0)
    loss = float(np.sum(counts * np.logaddexp(0, -signs * logits)))
    return loss, counts * (_logistic(logits) - truth)


def _scale(scores: Floats, truth: NDArray[np.bool_], counts: Floats) -> tuple[float, float]:
    """Scale (not negative) and level that turn scores into log odds, with a light touch."""

    def objective(parameters: Floats) -> tuple[float, Floats]:
        loss, slope = _loss(parameters[0] * scores + parameters[1], truth, counts)
        loss += 0.5e-3 * parameters[0] ** 2
        return loss, np.array([slope @ scores + 1e-3 * parameters[0], slope.sum()])

    fitted = minimize(objective, [5.0, -2.5], jac=True, bounds=[(0, None), (None, None)])
    return float(fitted.x[0]), float(fitted.x[1])


def _fit(
    found: Floats,
    truth: NDArray[np.bool_],
    counts: Floats,
    shares: Floats,
    pull: float,
) -> Floats:
    """Shares of the components, not negative and summing to 1, that foretell decisions best.

    Penalised maximum likelihood: log odds are ``scale`` · (similarities · shares) + level; the
    penalty is quadratic in the distance from the present weighting, at its own best scale.
    """
    scale, level = _scale(found @ shares, truth, counts)
    prior = scale * shares
    # Were nothing known, a coefficient would stray by about the mean of them all.
    spread = max(float(prior.mean()), 0.1)

    def objective(parameters: Floats) -> tuple[float, Floats]:
        coefficients, own = parameters[:-1], parameters[-1]
        loss, slope = _loss(found @ coefficients + own, truth, counts)
        apart = (coefficients - prior) / spread
        loss += 0.5 * pull / len(shares) * float(apart @ apart)
        gradient = np.append(found.T @ slope, slope.sum())
        gradient[:-1] += pull / len(shares) * apart / spread
        return loss, gradient

    bounds = [(0.0, None)] * len(shares) + [(None, None)]
    fitted = minimize(objective, np.append(prior, level), jac=True, bounds=bounds)
    coefficients: Floats = np.maximum(fitted.x[:-1], 0)
    total = coefficients.sum()
    return coefficients / total if total > 0 else shares


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of a match.

    Attributes
    ----------
    before, after
        Its place among the need's offers, 1 for the first; ``None`` where it is not among them.
    micro_points_before, micro_points_after
        Its scores, in millionths of a point.
    """

    need_id: int
    offer_id: int
    before: int | None
    after: int | None
    micro_points_before: int | None
    micro_points_after: int | None


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would change if one run's result took the place of another's.

    Attributes
    ----------
    entered, left, moved
        Matches that would come in, go out, or change place; by need, then place.
    stayed
        Number of matches whose place would stay.
    first_changed
        Needs whose first offer would be another one.
    """

    entered: tuple[Move, ...]
    left: tuple[Move, ...]
    moved: tuple[Move, ...]
    stayed: int
    first_changed: tuple[int, ...]


def compare_runs(
    before: MatchTable, after: MatchTable, *, least: float = 0.0, best: int | None = None
) -> DryRun:
    """Compare two results over the same book: two weightings, or a stored run and its replay.

    Parameters
    ----------
    least
        Points below which a pair is no match, in either result.
    best
        Places of a need that are looked at; all by default.
    """
    old, new = _places(before, least, best), _places(after, least, best)
    moves = []
    for pair in {*old, *new}:
        was, becomes = old.get(pair), new.get(pair)
        moves.append(
            Move(
                *pair,
                was[0] if was else None,
                becomes[0] if becomes else None,
                was[1] if was else None,
                becomes[1] if becomes else None,
            )
        )
    moves.sort(key=lambda move: (move.need_id, move.after or 10**9, move.before or 10**9))
    firsts = ({n: o for (n, o), (place, _) in side.items() if place == 1} for side in (old, new))
    first_old, first_new = firsts
    return DryRun(
        entered=tuple(move for move in moves if move.before is None),
        left=tuple(move for move in moves if move.after is None),
        moved=tuple(
            move for move in moves if move.before and move.after and move.before != move.after
        ),
        stayed=sum(1 for move in moves if move.before is not None and move.before == move.after),
        first_changed=tuple(
            sorted(
                need
                for need in {*first_old, *first_new}
                if first_old.get(need) != first_new.get(need)
            )
        ),
    )


def _places(
    table: MatchTable, least: float, best: int | None
) -> dict[tuple[int, int], tuple[int, int]]:
    """(need, offer) → place among the need's offers and score."""
    places: dict[tuple[int, int], tuple[int, int]] = {}
    seen: dict[int, int] = {}
    rows: Iterable[tuple[int, int, int]] = zip(
        table.need_ids.tolist(), table.offer_ids.tolist(), table.scores.tolist(), strict=True
    )
    for need, offer, score in rows:
        place = seen[need] = seen.get(need, 0) + 1
        if score >= least * MICRO and (best is None or place <= best):
            places[need, offer] = (place, score)
    return places
