"""Why a match is one: what counted, what on each side produced it, and what would raise it.

Everything here is data with codes; sentences in four languages are made from it elsewhere.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, TypeAlias

from matching.eligibility import Pairs, RuleFailure, why_not
from matching.place import FULL, reach
from matching.profile import NOTHING, NeedProfile, OfferProfile, Side
from matching.score import (
    COMPONENTS,
    MICRO,
    Bands,
    Part,
    Score,
    Weights,
    component_similarity,
    score_pair,
)
from matching.taxonomy import REGIONAL, SAME, Taxonomy, Terms

State: TypeAlias = Literal["matched", "partly", "none", "not_stated"]
Said: TypeAlias = str | int | float | date | tuple[str, ...] | tuple[date, date] | None
"""What a side says: a code, an amount in US dollars, days, several codes, or nothing."""

CLEAR_TEXT = 0.8
"""Likeness from which two texts are said to match."""
FAINT_TEXT = 0.1
"""Likeness below which two texts are said to have nothing in common."""


@dataclass(frozen=True, slots=True)
class TextEvidence:
    """What two texts have in common, found by whoever holds them (see ``matching.text``).

    Attributes
    ----------
    need_sentence, offer_sentence
        The sentences nearest in meaning, where there are any.
    shared_words
        Pairs of words of the need and of the offer that share a stem.
    """

    need_sentence: str | None = None
    offer_sentence: str | None = None
    shared_words: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was compared.

    Attributes
    ----------
    part
        Code of what was compared; see ``score.COMPONENTS``.
    share
        Its share of the component.
    state
        ``matched``, ``partly``, ``none`` or ``not_stated``.
    similarity
        In [0, 1]; ``None`` where a side leaves it open, and ``neutral`` stood in.
    need_says, offer_says
        What each side says.
    shared
        Codes that both sides name.
    related
        (need's code, offer's code, closeness in (0, 1)) of terms that count in part.
    missing
        Codes of the need that nothing on the offer's side answers.
    silent
        Sides that leave it open.
    """

    part: str
    share: float
    state: State
    similarity: float | None
    neutral: float
    need_says: Said
    offer_says: Said
    shared: tuple[str, ...] = ()
    related: tuple[tuple[str, str, float], ...] = ()
    missing: tuple[str, ...] = ()
    silent: tuple[Side, ...] = ()


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a component gives to the score.

    Attributes
    ----------
    component
        Code of the component.
    weight
        Its weight, as a share of 1.
    similarity
        In [0, 1], neutral values included.
    micro_points, possible
        What it gives and could give at most, in millionths of a point.
    """

    component: str
    weight: float
    similarity: float
    micro_points: int
    possible: int
    state: State
    parts: tuple[Evidence, ...]

    @property
    def points(self) -> float:
        """What it gives, of 100."""
        return self.micro_points / MICRO


@dataclass(frozen=True, slots=True)
class Explanation:
    """A pair's score, taken apart.

    Attributes
    ----------
    micro_points
        The score in millionths of a point: the sum of the contributions, exactly.
    band
        ``strong``, ``good``, ``possible`` or ``weak``.
    contributions
        In the order of ``score.COMPONENTS``.
    failures
        Rules that the pair breaks; a pair with any is not a match.
    mandates
        Lines of plans and decisions that both sides answer: shown, not scored.
    text
        What the texts have in common, where somebody looked.
    """

    need_id: int
    offer_id: int
    need_reference: str
    offer_reference: str
    micro_points: int
    band: str
    contributions: tuple[Contribution, ...]
    failures: tuple[RuleFailure, ...]
    mandates: tuple[str, ...]
    text: TextEvidence | None = None

    @property
    def points(self) -> float:
        """The score, 0 to 100."""
        return self.micro_points / MICRO

    def contribution(self, component: str) -> Contribution:
        """The contribution of one component."""
        return next(found for found in self.contributions if found.component == component)


@dataclass(frozen=True, slots=True)
class Change:
    """One edit of one side, and what it would give.

    Attributes
    ----------
    side
        Which side would make it.
    field
        The field of its profile.
    kind
        ``state`` what is open, ``add`` a term, ``widen`` a limit, or ``replace`` what is said.
    value
        What to state or add, or the new limit.
    gained
        Points gained, in millionths.
    opens
        Whether the pair is no match without it.
    """

    side: Side
    field: str
    kind: Literal["state", "add", "widen", "replace"]
    value: Said
    gained: int
    opens: bool = False

    @property
    def points(self) -> float:
        """Points gained, of 100."""
        return self.gained / MICRO


def explain(
    need: NeedProfile,
    offer: OfferProfile,
    taxonomy: Taxonomy,
    weights: Weights,
    bands: Bands,
    likeness: float | None,
    *,
    failures: tuple[RuleFailure, ...] = (),
    text: TextEvidence | None = None,
) -> Explanation:
    """Take a pair's score apart.

    Parameters
    ----------
    likeness
        Likeness of the texts in [0, 1], ``None`` where one is not stated.
    failures
        Rules that the pair breaks, see ``eligibility.why_not``.
    text
        What the texts have in common.
    """
    scored = score_pair(need, offer, taxonomy, weights, likeness)
    most = weights.micro_points()
    shares = weights.shares()
    contributions = []
    for component, parts in COMPONENTS.items():
        evidence = tuple(_evidence(part, need, offer, taxonomy, scored) for part in parts)
        contributions.append(
            Contribution(
                component,
                shares[component],
                component_similarity(component, scored.similarities),
                scored.micro_points[component],
                most[component],
                _joint_state(evidence),
                evidence,
            )
        )
    return Explanation(
        need_id=need.id,
        offer_id=offer.id,
        need_reference=need.reference,
        offer_reference=offer.reference,
        micro_points=scored.total,
        band=bands.name(scored.total),
        contributions=tuple(contributions),
        failures=failures,
        mandates=_listed(need.mandates & offer.mandates) or (),
        text=text,
    )


def _state(part: str, similarity: float | None) -> State:
    if similarity is None:
        return "not_stated"
    if similarity >= (CLEAR_TEXT if part == "text" else 1):
        return "matched"
    return "none" if similarity <= (FAINT_TEXT if part == "text" else 0) else "partly"


def _joint_state(parts: tuple[Evidence, ...]) -> State:
    states = {part.state for part in parts} - {"not_stated"}
    if not states:
        return "not_stated"
    return states.pop() if len(states) == 1 else "partly"


def _evidence(
    part: Part, need: NeedProfile, offer: OfferProfile, taxonomy: Taxonomy, scored: Score
) -> Evidence:
    similarity = scored.similarities[part.name]
    need_says, offer_says = _says(part.name, need, offer)
    shared: tuple[str, ...] = ()
    related: tuple[tuple[str, str, float], ...] = ()
    missing: tuple[str, ...] = ()
    terms = _terms(part.name, taxonomy)
    if terms is not None and similarity is not None:
        wanted, given = _set_of(need_says), _set_of(offer_says)
        shared = tuple(sorted(wanted & given))
        nearest = [(code, *terms.nearest(code, given)) for code in sorted(wanted - given)]
        related = tuple((code, near, much / SAME) for code, near, much in nearest if much)
        missing = tuple(code for code, _, much in nearest if not much)
    elif part.name == "languages" and similarity is not None:
        shared = tuple(sorted(need.languages & offer.languages))
    return Evidence(
        part=part.name,
        share=part.share,
        state=_state(part.name, similarity),
        similarity=similarity,
        neutral=part.neutral,
        need_says=need_says,
        offer_says=offer_says,
        shared=shared,
        related=related,
        missing=missing,
        silent=_silent(part.name, similarity, need_says, offer_says),
    )


def _silent(
    part: str, similarity: float | None, need_says: Said, offer_says: Said
) -> tuple[Side, ...]:
    if similarity is not None or part == "text":
        return ()
    silent: list[Side] = []
    if need_says is None:
        silent.append("need")
    if offer_says is None:
        silent.append("offer")
    return tuple(silent)


def _terms(part: str, taxonomy: Taxonomy) -> Terms | None:
    if part == "experience_themes":
        return taxonomy.themes
    found = getattr(taxonomy, part, None)
    return found if isinstance(found, Terms) else None


def _set_of(said: Said) -> set[str]:
    return {code for code in said if isinstance(code, str)} if isinstance(said, tuple) else set()


def _listed(codes: frozenset[str]) -> tuple[str, ...] | None:
    return tuple(sorted(codes)) or None


def _says(part: str, need: NeedProfile, offer: OfferProfile) -> tuple[Said, Said]:
    """What each side says on a part."""
    if part == "place":
        served = offer.serves_countries | offer.serves_subregions | offer.serves_bodies
        return need.place(), _listed(served)
    if part == "text":
        return None, None
    if part == "period":
        return need.period(), offer.period()
    if part == "money":
        return need.money_wanted(), offer.money_available()
    if part == "places":
        return need.places_wanted or None, offer.places_available()
    if part == "experience_countries":
        return need.place(), _listed(offer.experience_countries)
    if part == "experience_themes":
        return _listed(need.themes), _listed(offer.experience_themes)
    ours, theirs = getattr(need, part), getattr(offer, part)
    if isinstance(ours, frozenset):
        return _listed(ours), _listed(theirs)
    return ours, theirs


Edit: TypeAlias = tuple[Side, str, Literal["state", "add", "widen", "replace"], Said, Any]
"""Side, field, kind, value, and the facts that the profile would then have."""


def what_would_change(
    need: NeedProfile,
    offer: OfferProfile,
    taxonomy: Taxonomy,
    weights: Weights,
    likeness: float | None,
    *,
    on: date,
    conflicts: Pairs = frozenset(),
    dismissed: Pairs = frozenset(),
) -> tuple[Change, ...]:
    """Find the single edits that would raise a pair's score, or make it a match at all.

    Every edit is tried: the gain is the difference of two scores, not an estimate. Whether it would
    be *true* only the side itself knows.

    Returns
    -------
    tuple of Change
        The greatest gain first; of equal gains, the one that takes nothing back (state, add, widen,
        replace), then by side, field and value.
    """
    apart = {"on": on, "conflicts": conflicts, "dismissed": dismissed}
    before = score_pair(need, offer, taxonomy, weights, likeness).total
    closed = bool(why_not(need, offer, taxonomy, **apart))  # type: ignore[arg-type]
    changes = []
    for side, field, kind, value, facts in _edits(need, offer, taxonomy, on):
        ours = replace(need, **facts) if side == "need" else need
        theirs = replace(offer, **facts) if side == "offer" else offer
        if why_not(ours, theirs, taxonomy, **apart):  # type: ignore[arg-type]
            continue
        gained = score_pair(ours, theirs, taxonomy, weights, likeness).total - before
        if gained > 0 or closed:
            changes.append(Change(side, field, kind, value, gained, opens=closed))
    kinds = ("state", "add", "widen", "replace")
    changes.sort(
        key=lambda change: (
            -change.gained,
            kinds.index(change.kind),
            change.side,
            change.field,
            str(change.value),
        )
    )
    return tuple(changes)


def _edits(need: NeedProfile, offer: OfferProfile, taxonomy: Taxonomy, on: date) -> Iterator[Edit]:
    yield from _term_edits(need, offer, taxonomy)
    for field in ("dimension", "horizon"):
        ours, theirs = getattr(need, field), getattr(offer, field)
        if ours != theirs:
            if theirs is not None:
                kind: Literal["state", "replace"] = "replace" if ours else "state"
                yield "need", field, kind, theirs, {field: theirs}
            if ours is not None:
                kind = "replace" if theirs else "state"
                yield "offer", field, kind, ours, {field: ours}
    yield from _place_edits(need, offer, taxonomy)
    yield from _window_edits(need, offer, on)
    yield from _period_edits(need, offer)
    yield from _amount_edits(need, offer)


def _term_edits(need: NeedProfile, offer: OfferProfile, taxonomy: Taxonomy) -> Iterator[Edit]:
    for field in ("themes", "ilac_areas", "support_kinds", "modalities", "programmes", "languages"):
        ours, theirs = getattr(need, field), getattr(offer, field)
        for post, side, said, other in (
            (need, "need", ours, theirs),
            (offer, "offer", theirs, ours),
        ):
            for code in sorted(other - said):
                facts: dict[str, Any] = {field: said | {code}}
                if field == "modalities":
                    kind = taxonomy.kind_of[code]
                    facts["support_kinds"] = post.support_kinds | {kind}
                yield side, field, "add" if said else "state", code, facts  # type: ignore[misc]
    for code in sorted(need.themes - offer.experience_themes):
        known = offer.experience_themes
        facts = {"experience_themes": known | {code}}
        yield "offer", "experience_themes", "add" if known else "state", code, facts
    if offer.serves_organisation_kinds and need.organisation_kind:
        kinds = offer.serves_organisation_kinds | {need.organisation_kind}
        facts = {"serves_organisation_kinds": kinds}
        yield "offer", "serves_organisation_kinds", "add", need.organisation_kind, facts


def _place_edits(need: NeedProfile, offer: OfferProfile, taxonomy: Taxonomy) -> Iterator[Edit]:
    place = need.place()
    if place is None:
        return
    if reach(place, offer, taxonomy) != FULL:
        field = "serves_countries" if need.country else "serves_subregions"
        facts: dict[str, Any] = {field: getattr(offer, field) | {place}}
        if not offer.states_place() and place != REGIONAL:
            # Open to all until now: naming one place is not to shut the others out.
            facts["serves_subregions"] = facts.get("serves_subregions", NOTHING) | {REGIONAL}
        if not need.country:
            facts["outside_region_only"] = False
        yield "offer", field, "add" if offer.states_place() else "state", place, facts
    if need.country and need.country == offer.organisation_country and not offer.own_country:
        yield "offer", "own_country", "replace", need.country, {"own_country": True}
    if need.country and need.country not in offer.experience_countries:
        known = offer.experience_countries
        facts = {"experience_countries": known | {need.country}}
        yield "offer", "experience_countries", "add" if known else "state", need.country, facts


def _window_edits(need: NeedProfile, offer: OfferProfile, on: date) -> Iterator[Edit]:
    if need.closes is not None and need.closes < (latest := max(on, offer.opens or on)):
        yield "need", "closes", "widen", latest, {"closes": latest}
    if offer.closes is not None and offer.closes < on:
        yield "offer", "closes", "widen", on, {"closes": on}
    if offer.opens is not None and need.closes is not None and need.closes < offer.opens:
        yield "offer", "opens", "widen", need.closes, {"opens": need.closes}


def _period_edits(need: NeedProfile, offer: OfferProfile) -> Iterator[Edit]:
    ours, theirs = need.period(), offer.period()
    if ours is None and theirs is not None:
        yield "need", "period", "state", theirs, {"starts": theirs[0], "ends": theirs[1]}
    if ours is not None and theirs is None:
        yield "offer", "period", "state", ours, {"starts": ours[0], "ends": ours[1]}
    if ours is not None and theirs is not None:
        wide = (min(ours[0], theirs[0]), max(ours[1], theirs[1]))
        if wide != theirs:
            yield "offer", "period", "widen", wide, {"starts": wide[0], "ends": wide[1]}


def _amount_edits(need: NeedProfile, offer: OfferProfile) -> Iterator[Edit]:
    wanted, available = need.money_wanted(), offer.money_available()
    if wanted is None and available:
        facts: dict[str, Any] = {"money_least": available, "money_most": available}
        yield "need", "money_least", "state", available, facts
    if wanted is not None and (available is None or available < wanted):
        kind: Literal["state", "widen"] = "state" if available is None else "widen"
        facts = {"grant_most": wanted}
        if offer.money_left is not None:
            facts["money_left"] = max(offer.money_left, wanted)
        if offer.grant_least is not None:
            facts["grant_least"] = min(offer.grant_least, wanted)
        yield "offer", "grant_most", kind, wanted, facts
    if wanted is not None and available and available < wanted:
        yield "need", "money_least", "replace", available, {"money_least": available}
    least = offer.smallest_grant()
    if least and need.money_most is not None and need.money_most < least:
        yield "offer", "grant_least", "widen", need.money_most, {"grant_least": need.money_most}
    places, room = need.places_wanted, offer.places_available()
    if places and (room is None or room < places):
        kind = "state" if room is None else "widen"
        facts = {"places_per_beneficiary": places}
        if offer.places_left is not None:
            facts["places_left"] = max(offer.places_left, places)
        yield "offer", "places_per_beneficiary", kind, places, facts
    smallest = offer.places_least
    if places and smallest and places < smallest:
        yield "offer", "places_least", "widen", places, {"places_least": places}
    if not places and room:
        yield "need", "places_wanted", "state", int(room), {"places_wanted": int(room)}


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a pair is not a match, and what it would have been.

    Attributes
    ----------
    failures
        Rules that it breaks, in order; empty for a match.
    micro_points
        The score that it would have, in millionths of a point.
    rank
        Its place among the need's offers, 1 for the first, had it broken no rule.
    eligible
        Number of offers that break none.
    """

    need_id: int
    offer_id: int
    failures: tuple[RuleFailure, ...]
    micro_points: int
    rank: int
    eligible: int

    @property
    def points(self) -> float:
        """The score that it would have, 0 to 100."""
        return self.micro_points / MICRO


@dataclass(frozen=True, slots=True)
class Ledger:
    """All offers that are ruled out for a need.

    Attributes
    ----------
    by_rule
        Rule → ids of the offers that break it, by reference; an offer stands under every rule that
        it breaks. In the order of ``eligibility.RULES``; rules that nobody breaks are left out.
    excluded
        Number of offers that break a rule, each counted once.
    eligible
        Number of offers that break none.
    """

    need_id: int
    by_rule: Mapping[str, tuple[int, ...]]
    excluded: int
    eligible: int

    @property
    def counts(self) -> dict[str, int]:
        """Rule → number of offers that break it."""
        return {rule: len(ids) for rule, ids in self.by_rule.items()}
