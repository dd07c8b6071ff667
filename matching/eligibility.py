"""The hard rules: which pairs of a need and an offer cannot be, and why.

A rule never touches the score. A pair that breaks one is never shown as a match; asked, the engine
names every rule that it breaks, with what each side says. A facet that a side leaves open breaks no
rule.

Decided here, where the domain leaves room:

- An offer that opens later is possible as long as it opens before the need closes.
- Days of the work that do not meet are a matter of the score (they can be negotiated); days on
  which an offer can be applied for are a rule.
- Languages are a matter of the score: a provider can interpret and translate.
- An offer made for groups serves one need that is large enough, such as one that stands for the
  like needs of several countries; who states fewer places is not served.
- Capacity is exhausted when no place is left, or less money than the smallest grant.
- An organisation never serves itself.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from matching.place import reach
from matching.profile import CENT, NeedProfile, OfferProfile
from matching.taxonomy import Taxonomy

Value: TypeAlias = str | int | float | date | tuple[str, ...] | None
"""What a side says, as data: a code, an amount in US dollars, a day, several codes, or nothing."""

Pairs: TypeAlias = Set[tuple[int, int]]
"""(need id, offer id) pairs."""


@dataclass(frozen=True, slots=True)
class RuleFailure:
    """A rule that a pair breaks.

    Attributes
    ----------
    rule
        Code of the rule, one of ``RULES``.
    need_says, offer_says
        The values on both sides that the rule looked at.
    """

    rule: str
    need_says: Value
    offer_says: Value


def _not_published(need: NeedProfile, offer: OfferProfile) -> RuleFailure | None:
    if need.published and offer.published:
        return None
    return RuleFailure("not_published", _published(need.published), _published(offer.published))


def _published(published: bool) -> str:
    return "published" if published else "not_published"


def _own_country(need: NeedProfile, offer: OfferProfile) -> RuleFailure | None:
    if offer.own_country or need.country is None or need.country != offer.organisation_country:
        return None
    return RuleFailure("own_country", need.country, offer.organisation_country)


def _own_organisation(need: NeedProfile, offer: OfferProfile) -> RuleFailure | None:
    if need.organisation == 0 or need.organisation != offer.organisation:
        return None
    return RuleFailure("own_organisation", need.organisation, offer.organisation)


def _windows_do_not_overlap(need: NeedProfile, offer: OfferProfile) -> RuleFailure | None:
    if need.closes is None or offer.opens is None or need.closes >= offer.opens:
        return None
    return RuleFailure("windows_do_not_overlap", need.closes, offer.opens)


def _organisation_kind_not_served(need: NeedProfile, offer: OfferProfile) -> RuleFailure | None:
    served = offer.serves_organisation_kinds
    if not served or need.organisation_kind is None or need.organisation_kind in served:
        return None
    return RuleFailure("organisation_kind_not_served", need.organisation_kind, _listed(served))


def _support_kind_not_given(need: NeedProfile, offer: OfferProfile) -> RuleFailure | None:
    wanted, given = need.support_kinds, offer.support_kinds
    if not wanted or not given or wanted & given:
        return None
    return RuleFailure("support_kind_not_given", _listed(wanted), _listed(given))


def _group_too_small(need: NeedProfile, offer: OfferProfile) -> RuleFailure | None:
    least = offer.places_least
    if not least or not need.places_wanted or need.places_wanted >= least:
        return None
    return RuleFailure("group_too_small", need.places_wanted, least)


def _no_capacity_left(need: NeedProfile, offer: OfferProfile) -> RuleFailure | None:
    if not has_no_capacity(offer):
        return None
    return RuleFailure("no_capacity_left", need.places_wanted, offer.places_left)


def _no_money_left(need: NeedProfile, offer: OfferProfile) -> RuleFailure | None:
    if not has_no_money(offer):
        return None
    return RuleFailure("no_money_left", need.money_wanted(), offer.money_left)


def has_no_capacity(offer: OfferProfile) -> bool:
    """Whether an offer counts its places and none is left."""
    return offer.places_left == 0


def has_no_money(offer: OfferProfile) -> bool:
    """Whether an offer counts its money and less than its smallest grant is left."""
    if offer.money_left is None:
        return False
    return offer.money_left < max(offer.smallest_grant(), CENT)


def _listed(codes: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(codes))


_BETWEEN: dict[str, Callable[[NeedProfile, OfferProfile], RuleFailure | None]] = {
    "not_published": _not_published,
    "windows_do_not_overlap": _windows_do_not_overlap,
    "organisation_kind_not_served": _organisation_kind_not_served,
    "own_country": _own_country,
    "own_organisation": _own_organisation,
    "support_kind_not_given": _support_kind_not_given,
    "group_too_small": _group_too_small,
    "no_capacity_left": _no_capacity_left,
    "no_money_left": _no_money_left,
}

RULES: tuple[str, ...] = (
    "not_published",
    "need_closed",
    "offer_closed",
    "windows_do_not_overlap",
    "place_not_served",
    "organisation_kind_not_served",
    "own_country",
    "own_organisation",
    "support_kind_not_given",
    "group_too_small",
    "no_capacity_left",
    "no_money_left",
    "conflict",
    "dismissed",
)
"""The rules, in the order in which they are asked and shown."""


def why_not(
    need: NeedProfile,
    offer: OfferProfile,
    taxonomy: Taxonomy,
    *,
    on: date,
    conflicts: Pairs = frozenset(),
    dismissed: Pairs = frozenset(),
) -> tuple[RuleFailure, ...]:
    """List every rule that a pair breaks, in the order of ``RULES``.

    Parameters
    ----------
    on
        The day for which the question is asked.
    conflicts
        Pairs between which there is a conflict of interest.
    dismissed
        Pairs that one side has turned down.

    Returns
    -------
    tuple of RuleFailure
        Empty for a pair that can be.

    Examples
    --------
    An offer whose window ended in June cannot serve a need in July::

        why_not(need, offer, taxonomy, on=date(2026, 7, 1))[0].rule == "offer_closed"
    """
    failures: list[RuleFailure] = []
    apart = {"conflict": conflicts, "dismissed": dismissed}
    for rule in RULES:
        failure: RuleFailure | None = None
        if rule in _BETWEEN:
            failure = _BETWEEN[rule](need, offer)
        elif rule == "need_closed" and need.closes is not None and need.closes < on:
            failure = RuleFailure(rule, need.closes, on)
        elif rule == "offer_closed" and offer.closes is not None and offer.closes < on:
            failure = RuleFailure(rule, on, offer.closes)
        elif rule == "place_not_served" and reach(need.place(), offer, taxonomy) is None:
            failure = RuleFailure(rule, need.place(), _served(offer))
        elif rule in apart and (need.id, offer.id) in apart[rule]:
            failure = RuleFailure(rule, need.reference, offer.reference)
        if failure is not None:
            failures.append(failure)
    return tuple(failures)


def _served(offer: OfferProfile) -> tuple[str, ...]:
    if not offer.states_place():
        return ("regional",)
    named = (
        *sorted(offer.serves_countries),
        *sorted(offer.serves_subregions),
        *sorted(offer.serves_bodies),
    )
    return named or ("outside_region",)
