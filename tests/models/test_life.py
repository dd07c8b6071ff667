"""Lives: whatever anybody tries, in any order, no state follows another that it may not follow."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, inspect

from models import (
    AGREEMENT_LIFE,
    IN_FORCE,
    MATCH_LIFE,
    OPEN_TERMS,
    POST_LIFE,
    Agreement,
    AgreementParty,
    AgreementStatus,
    Country,
    DomainError,
    InvalidTransition,
    Match,
    MatchStatus,
    Need,
    Offer,
    Organisation,
    PostFacet,
    PostStatus,
    Role,
    Support,
    User,
)
from models.life import Life
from tests.factories import TODAY, make_terms

ANY_ORDER = settings(max_examples=60, deadline=None)

# Nothing here touches a database: rules hold on the nouns themselves.

PERU = Country(code="PE", subregion="andean")
SWISS = Country(code="CH", subregion=None)


def organisation(number: int, kind: str, country: Country | None, trusted: bool) -> Organisation:
    return Organisation(id=number, kind=kind, country=country, code=f"o{number}", trusted=trusted)


MINISTRY = organisation(1, "government", PERU, trusted=True)
AGENCY = organisation(2, "cooperation_agency", SWISS, trusted=False)
OFFICE = organisation(3, "un_body", None, trusted=True)
ANOTHER = organisation(4, "government", PERU, trusted=False)
BANK = organisation(5, "development_bank", None, trusted=False)


def person(number: int, of: Organisation, role: Role, **values: Any) -> User:
    return User(
        id=number,
        organisation=of,
        organisation_id=of.id,
        role=role,
        **{"active": True, "subregion": None, **values},
    )


ASKING = person(1, MINISTRY, Role.FOCAL_POINT)
GIVING = person(2, AGENCY, Role.PROVIDER)
SECRETARIAT = person(3, OFFICE, Role.SECRETARIAT)
COORDINATOR = person(4, ANOTHER, Role.COORDINATOR, subregion="andean")
STRANGER = person(5, ANOTHER, Role.FOCAL_POINT)
BANKER = person(6, BANK, Role.PROVIDER)
LEFT = person(7, MINISTRY, Role.FOCAL_POINT, active=False)

EVERYBODY = st.sampled_from([ASKING, GIVING, SECRETARIAT, COORDINATOR, STRANGER, BANKER, LEFT])


def a_need(status: PostStatus = PostStatus.DRAFT) -> Need:
    return Need(
        id=1,
        kind="need",
        reference="need-1",
        organisation=MINISTRY,
        organisation_id=1,
        country=PERU,
        status=status,
        title="Formación",
        description="Para quienes compran.",
        supports=[Support(kind="capacity_building")],
        comment="",
        version=1,
        places_wanted=10,
        places_covered=0,
        money_covered=Decimal(0),
    )


def an_offer(status: PostStatus = PostStatus.DRAFT) -> Offer:
    return Offer(
        id=2,
        kind="offer",
        reference="offer-1",
        organisation=AGENCY,
        organisation_id=2,
        status=status,
        title="Training",
        description="For those who buy.",
        supports=[Support(kind="capacity_building")],
        facets=[PostFacet(facet="serves_subregion", code="andean")],
        comment="",
        version=1,
        places=10,
        places_committed=0,
        money_committed=Decimal(0),
    )


def a_match(status: MatchStatus = MatchStatus.SUGGESTED) -> Match:
    return Match(
        need=a_need(PostStatus.PUBLISHED), offer=an_offer(PostStatus.PUBLISHED), status=status
    )


def an_agreement() -> Agreement:
    return Agreement(
        reference="AG-1",
        status=AgreementStatus.PROPOSED,
        parties=[
            AgreementParty(organisation_id=org.id, organisation=org, role=role)
            for org, role in ((MINISTRY, "need_side"), (AGENCY, "offer_side"), (BANK, "partner"))
        ],
    )


def columns(thing: Any) -> dict[str, Any]:
    return {a.key: getattr(thing, a.key) for a in inspect(type(thing)).column_attrs}


@pytest.fixture(scope="module")
def moves() -> Iterator[list[tuple[Any, str, str]]]:
    """Every change of a status while the module runs: the noun, from where, to where."""
    seen: list[tuple[Any, str, str]] = []

    def note(target: Any, new: str, old: Any, _initiator: object) -> None:
        if isinstance(old, str):
            seen.append((target, old, new))

    watched = (Need.status, Offer.status, Match.status, Agreement.status)
    for attribute in watched:
        event.listen(attribute, "set", note)
    yield seen
    for attribute in watched:
        event.remove(attribute, "set", note)


def attempt(thing: Any, action: Callable[[], Any]) -> bool:
    """Try; what is refused must have changed nothing. Tell whether it was allowed."""
    before = columns(thing)
    try:
        action()
    except DomainError:
        assert columns(thing) == before
        return False
    return True


def assert_all_allowed(life: Life[Any], thing: Any, moves: list[tuple[Any, str, str]]) -> None:
    for target, old, new in moves:
        if target is thing and old != new:
            assert life.allows(type(thing.status)(old), type(thing.status)(new)), (old, new)
    moves.clear()


# --- The tables -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "life", [POST_LIFE, MATCH_LIFE, AGREEMENT_LIFE], ids=lambda life: life.noun
)
def test_every_state_can_be_reached_from_the_first(life: Life[Any]) -> None:
    states = type(next(iter(life.moves)))
    first = next(iter(states))
    reached, edge = {first}, [first]
    while edge:
        following = set(life.moves.get(edge.pop(), ())) - reached
        reached |= following
        edge += following
    assert reached == set(states)


@given(st.sampled_from(PostStatus), st.sampled_from(PostStatus))
def test_move_that_is_not_in_the_table_names_what_would_be_possible(
    now: PostStatus, then: PostStatus
) -> None:
    if POST_LIFE.allows(now, then):
        assert POST_LIFE.check(now, then) is then
    else:
        with pytest.raises(InvalidTransition) as raised:
            POST_LIFE.check(now, then)
        assert raised.value.code == "post_transition"
        assert raised.value.params["possible"] == [str(s) for s in POST_LIFE.moves.get(now, ())]


# --- Posts ----------------------------------------------------------------------------------

DAYS = st.integers(0, 400).map(lambda days: TODAY + timedelta(days=days))

POST_ACTIONS = st.one_of(
    st.tuples(st.just("submit"), EVERYBODY),
    st.tuples(st.just("publish"), EVERYBODY, DAYS),
    st.tuples(st.just("publish_unreviewed"), DAYS),
    st.tuples(st.just("return_with"), st.sampled_from(["", "Say for whom."]), EVERYBODY),
    st.tuples(st.just("withdraw"), EVERYBODY),
    st.tuples(st.just("reopen"), EVERYBODY),
    st.tuples(st.just("renew"), EVERYBODY, DAYS),
    st.tuples(st.just("expire"), DAYS),
    st.tuples(st.just("balance"), st.integers(0, 10)),
)


@ANY_ORDER
@given(
    make=st.sampled_from([a_need, an_offer]),
    start=st.sampled_from(PostStatus),
    actions=st.lists(POST_ACTIONS, max_size=25),
)
def test_no_order_of_actions_leads_a_post_out_of_its_life(
    moves: list[tuple[Any, str, str]],
    make: Callable[[PostStatus], Need | Offer],
    start: PostStatus,
    actions: list[tuple[Any, ...]],
) -> None:
    post = make(start)
    foreign = PostStatus.EXHAUSTED if isinstance(post, Need) else PostStatus.FULFILLED
    assume(start != foreign)
    for name, *arguments in actions:
        if name == "balance":
            setattr(
                post, "places_covered" if isinstance(post, Need) else "places_committed", *arguments
            )
            post.follow_balance()
        else:
            attempt(post, partial(getattr(post, name), *arguments))
        assert post.status != foreign
        assert_all_allowed(POST_LIFE, post, moves)


@given(by=EVERYBODY, make=st.sampled_from([a_need, an_offer]))
def test_only_the_organisation_submits_and_only_moderators_of_another_publish(
    by: User, make: Callable[[PostStatus], Need | Offer]
) -> None:
    post = make(PostStatus.DRAFT)
    owner = ASKING if isinstance(post, Need) else GIVING
    assert attempt(post, lambda: post.submit(by)) == (by is owner)
    post.status = PostStatus.SUBMITTED
    assert attempt(post, lambda: post.publish(by, TODAY)) == (by in (SECRETARIAT, COORDINATOR))


# --- Matches --------------------------------------------------------------------------------

MATCH_ACTIONS = st.one_of(
    st.tuples(st.just("express_interest"), EVERYBODY, st.just(""), st.none() | st.just(50)),
    st.tuples(st.just("answer"), EVERYBODY, st.booleans(), st.just("")),
    st.tuples(st.just("dismiss"), EVERYBODY, st.just("too_late"), st.just("")),
    st.tuples(st.just("restore"), EVERYBODY),
    st.tuples(st.just("move_to"), st.sampled_from(MatchStatus)),
)


@ANY_ORDER
@given(st.lists(MATCH_ACTIONS, max_size=25))
def test_no_order_of_actions_leads_a_match_out_of_its_life(
    moves: list[tuple[Any, str, str]], actions: list[tuple[Any, ...]]
) -> None:
    match = a_match()
    for name, *arguments in actions:
        if name == "move_to" and MatchStatus.INTEREST in (match.status, *arguments):
            continue  # only by an interest, and its answer
        attempt(match, partial(getattr(match, name), *arguments))
        assert_all_allowed(MATCH_LIFE, match, moves)
        assert (match.open_interest() is not None) == (match.status == MatchStatus.INTEREST)


@ANY_ORDER
@given(st.lists(MATCH_ACTIONS, max_size=25))
def test_whatever_happened_a_match_that_is_suggested_again_can_be_wanted(
    moves: list[tuple[Any, str, str]], actions: list[tuple[Any, ...]]
) -> None:
    match = a_match()
    for name, *arguments in actions:
        if name != "move_to":
            attempt(match, partial(getattr(match, name), *arguments))
    if match.status in (MatchStatus.DISMISSED, MatchStatus.DECLINED):
        match.restore(ASKING)
    if match.status == MatchStatus.SUGGESTED:
        match.express_interest(GIVING, "", None)
        match.answer(ASKING, accept=True, message="")
        assert match.status == MatchStatus.MUTUAL


# --- Agreements -----------------------------------------------------------------------------

PARTIES = (ASKING, GIVING, BANKER)

AGREEMENT_ACTIONS = st.tuples(
    st.sampled_from(["accept"] * 6 + ["sign"] * 8 + ["put", "put", "end"]),
    st.sampled_from([*PARTIES * 5, STRANGER, SECRETARIAT]),
    st.sampled_from([0] * 12 + [-1, 1]),
)
"""What is tried, by whom, and for which version, counted from the newest; mostly what may be."""


@settings(max_examples=250, deadline=None)
@given(st.lists(AGREEMENT_ACTIONS, min_size=12, max_size=40))
def test_nothing_binds_unless_all_parties_accepted_and_signed_the_same_version(
    moves: list[tuple[Any, str, str]], actions: list[tuple[str, User, int]]
) -> None:
    agreement = an_agreement()
    agreement.put_terms(make_terms(), ASKING, None)
    accepted, signed = {ASKING: 1}, dict[User, int]()
    for name, by, off in actions:
        number = agreement.current_terms.number + off
        binding_before = agreement.status not in OPEN_TERMS
        if name == "put":
            if attempt(agreement, lambda: agreement.put_terms(make_terms(), by, number)):  # noqa: B023
                assert off == 0
                accepted, signed = {by: number + 1}, {}
        elif name == "accept":
            if attempt(agreement, lambda: agreement.accept_terms(by, number)):  # noqa: B023
                accepted[by] = number
        elif name == "sign":
            if attempt(agreement, lambda: agreement.sign(by, number)):  # noqa: B023
                signed[by] = number
        else:
            attempt(agreement, lambda: agreement.abandon(by, "No longer possible."))  # noqa: B023
        assert_all_allowed(AGREEMENT_LIFE, agreement, moves)

        now = agreement.current_terms.number
        everybody = dict.fromkeys(PARTIES, now)
        if agreement.status in IN_FORCE:
            assert accepted == signed == everybody
        if name == "sign" and not binding_before and agreement.status in OPEN_TERMS:
            assert signed != everybody
        assert {party.accepted_number for party in agreement.parties} == {
            accepted.get(person) for person in PARTIES
        }
        assert [terms.number for terms in agreement.terms] == list(range(1, now + 1))
