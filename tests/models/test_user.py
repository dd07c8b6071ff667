"""People and roles: who acts for whom, who posts what, who moderates."""

import pytest

from models import Role, User

POSTS = {
    Role.PUBLIC: set(),
    Role.FOCAL_POINT: {"need", "offer"},
    Role.PROVIDER: {"offer"},
    Role.TASK_FORCE: {"offer"},
    Role.DELEGATE: {"need"},
    Role.COORDINATOR: {"need"},
    Role.SECRETARIAT: set(),
}


def person(role: Role, *, active: bool = True, subregion: str | None = None) -> User:
    return User(id=7, organisation_id=1, role=role, active=active, subregion=subregion)


@pytest.mark.parametrize("role", Role)
def test_each_role_posts_what_it_may_and_nothing_else(role: Role) -> None:
    assert {kind for kind in ("need", "offer") if person(role).may_post(kind)} == POSTS[role]


@pytest.mark.parametrize("role", Role)
def test_only_those_who_post_act_for_their_organisation_and_for_no_other(role: Role) -> None:
    # A delegate writes, and decides on nothing in the organisation's name.
    assert person(role).acts_for(1) == (bool(POSTS[role]) and role != Role.DELEGATE)
    assert not person(role).acts_for(2)
    assert not person(role).acts_for(None)


@pytest.mark.parametrize("role", Role)
def test_closed_account_may_nothing(role: Role) -> None:
    closed = person(role, active=False, subregion="andean")
    assert not closed.is_active
    assert not closed.acts_for(1)
    assert not closed.may_post("need")
    assert not closed.may_post("offer")
    assert not closed.moderates(frozenset({"andean"}))


@pytest.mark.parametrize(
    ("subregions", "coordinator", "secretariat"),
    [
        ({"andean"}, True, True),
        ({"caribbean"}, False, True),
        ({"andean", "caribbean"}, False, True),
        (set(), False, True),
    ],
)
def test_coordinator_moderates_what_concerns_her_subregion_alone(
    subregions: set[str], coordinator: bool, secretariat: bool
) -> None:
    concerned = frozenset(subregions)
    assert person(Role.COORDINATOR, subregion="andean").moderates(concerned) == coordinator
    assert person(Role.SECRETARIAT).moderates(concerned) == secretariat


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.COORDINATOR, Role.SECRETARIAT}))
def test_nobody_else_moderates(role: Role) -> None:
    assert not person(role, subregion="andean").moderates(frozenset({"andean"}))


def test_coordinator_without_a_subregion_moderates_nothing() -> None:
    assert not person(Role.COORDINATOR).moderates(frozenset())
    assert not person(Role.COORDINATOR).moderates(frozenset({"andean"}))


def test_session_keeps_the_number_of_the_account_as_text() -> None:
    assert person(Role.PROVIDER).get_id() == "7"


@pytest.mark.parametrize("role", Role)
def test_only_a_focal_point_endorses_and_for_her_own_organisation_alone(role: Role) -> None:
    assert person(role).may_endorse_for(1) == (role == Role.FOCAL_POINT)
    assert not person(role).may_endorse_for(2)
    assert not person(role, active=False).may_endorse_for(1)
