"""Use cases of accounts: who opens them, what a password must be; on both databases."""

import pytest

from broker import accounts
from broker.accounts import find_organisation
from models import Conflict, InvalidInput, NotAllowed, NotFound, Role
from tests.broker.factories import make_person

pytestmark = pytest.mark.usefixtures("backend")

PASSWORD = "four unrelated words"


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


def create(session, by=None, **changes):
    facts = {
        "email": "Focal.CL@Demo.example ",
        "name": "Punto focal",
        "role": Role.FOCAL_POINT,
        "organisation": find_organisation(session, "gov-cl"),
        "password": PASSWORD,
        **changes,
    }
    return accounts.create_user(session, by, **facts)


def test_an_account_is_opened_and_signs_in(session):
    user = create(session)
    assert user.email == "focal.cl@demo.example"
    assert PASSWORD not in user.password_hash
    assert accounts.sign_in(session, " FOCAL.cl@demo.example", PASSWORD) is user
    assert user.signed_in_at is not None


@pytest.mark.parametrize(("email", "password"), [
    ("focal.cl@demo.example", "another password"),
    ("nobody@demo.example", PASSWORD),
    ("", ""),
])  # fmt: skip
def test_a_wrong_address_and_a_wrong_password_get_the_same_answer(session, email, password):
    create(session)
    with pytest.raises(NotAllowed) as refusal:
        accounts.sign_in(session, email, password)
    assert refusal.value.code == "bad_credentials"


def test_a_closed_account_does_not_sign_in(session):
    user = create(session)
    accounts.set_active(session, make_person(session, Role.SECRETARIAT), user, False)
    with pytest.raises(NotAllowed) as refusal:
        accounts.sign_in(session, user.email, PASSWORD)
    assert refusal.value.code == "account_closed"


@pytest.mark.parametrize(("changes", "field"), [
    ({"password": "short"}, "password"),
    ({"email": "nobody"}, "email"),
    ({"name": " "}, "name"),
    ({"language": "de"}, "language"),
    ({"role": Role.PUBLIC}, "role"),
    ({"role": Role.COORDINATOR}, "subregion"),
])  # fmt: skip
def test_a_bad_account_is_refused_at_its_field(session, changes, field):
    with pytest.raises(InvalidInput) as refusal:
        create(session, **changes)
    assert set(refusal.value.fields) == {field}


def test_an_address_is_taken_once(session):
    create(session)
    session.flush()
    with pytest.raises(Conflict):
        create(session)


@pytest.mark.parametrize(
    "role", [Role.FOCAL_POINT, Role.PROVIDER, Role.TASK_FORCE, Role.COORDINATOR]
)
def test_only_the_secretariat_looks_after_accounts(session, role):
    other = create(session)
    person = make_person(session, role)
    for attempt in (
        lambda: create(session, person, email="x@demo.example"),
        lambda: accounts.grant_role(session, person, other, role=Role.SECRETARIAT),
        lambda: accounts.set_active(session, person, other, False),
        lambda: accounts.set_password(session, person, other, PASSWORD),
        lambda: accounts.set_trusted(session, person, other.organisation, True),
    ):
        with pytest.raises(NotAllowed):
            attempt()


def test_nobody_of_the_secretariat_takes_her_own_role_away(session):
    office = make_person(session, Role.SECRETARIAT)
    with pytest.raises(NotAllowed):
        accounts.grant_role(session, office, office, role=Role.PROVIDER)
    with pytest.raises(NotAllowed):
        accounts.set_active(session, office, office, False)


def test_what_is_not_there_is_told(session):
    with pytest.raises(NotFound):
        accounts.find_user(session, "nobody@demo.example")
    with pytest.raises(NotFound):
        find_organisation(session, "gov-xx")
