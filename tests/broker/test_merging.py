"""Merging two organisations: everything follows, nothing is lost, and old codes lead on."""

import itertools
import threading
from datetime import date, datetime

import pytest
from sqlalchemy import insert, inspect, select
from sqlalchemy.orm import Session

from broker.accounts import find_organisation
from broker.agreements import RegisterFilter, find_agreements
from broker.countries import get_country, picture_country
from broker.merging import (
    MOVED_NAMES,
    merge_organisations,
    name_of,
    plan_merge,
    referring_columns,
)
from broker.overview import member_names
from broker.partners import PartnerFilter, find_partners
from broker.posts import PostFilter, find_posts
from broker.secretariat import find_organisations
from broker.task_forces import get_task_force
from models import (
    AgreementStatus,
    AuditEvent,
    Conflict,
    ConflictOfInterest,
    ImportedRow,
    InvalidInput,
    MatchStatus,
    NotAllowed,
    Organisation,
    PilotInvitation,
    Post,
    Role,
    User,
    utc_now,
)
from models.database import begin_writing
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.factories import (
    make_agreement,
    make_match,
    make_need,
    make_offer,
    make_organisation,
    make_secretariat,
    make_user,
)

pytestmark = pytest.mark.usefixtures("backend")

NUMBERS = itertools.count(1)

SAID = {"reason": "The ministry was renamed in 2007.", "sure": True}


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


@pytest.fixture
def office(session):
    return make_person(session, Role.SECRETARIAT)


@pytest.fixture
def pair(session):
    kept = make_organisation(
        session, code="ministry", names={"es": "Ministerio"}, aliases=["MINAM"]
    )
    gone = make_organisation(
        session,
        code="old-council",
        names={"es": "Consejo", "fr": "Conseil"},
        acronym="ZZKQ",
        aliases=["minam", "Consejo Nacional"],
    )
    return kept, gone


def test_posts_people_and_agreements_follow(session, exchange, office, pair):
    kept, gone = pair
    need = make_need(session, gone)
    offer = make_offer(session, gone)
    person = make_user(session, gone)
    agreement = make_agreement(session, make_need(session, gone), status=AgreementStatus.SIGNED)
    stamp = need.updated_at
    plan = merge_organisations(session, office, kept, gone, SAID, exchange.reference)
    assert plan.counts["need"] == 2
    assert plan.counts["offer"] == plan.counts["user_account"] == 1
    assert plan.counts["agreement_party"] == 1
    for row in (need, offer, person):
        session.refresh(row)
        assert row.organisation_id == kept.id
    assert need.updated_at > stamp
    assert {party.organisation_id for party in agreement.parties} > {kept.id}
    for column in referring_columns():
        assert session.scalars(select(column).where(column == gone.id)).all() == []


def test_every_foreign_key_to_an_organisation_is_known_and_has_a_name(session):
    """The database itself is asked, so that no table that is added later is forgotten."""
    inspector = inspect(session.connection())
    there = {
        (table, key["constrained_columns"][0])
        for table in inspector.get_table_names()
        for key in inspector.get_foreign_keys(table)
        if key["referred_table"] == "organisation"
    }
    known = {(column.table.name, column.name) for column in referring_columns()}
    assert there - known == {
        ("organisation", "merged_into_id"),
        ("task_force", "organisation_id"),
    }
    named = {name_of(column) for column in referring_columns()} - {"post"}
    assert named | {"need", "offer"} == set(MOVED_NAMES)


def a_row(session, table, **values):
    """A row of a table, filled with anything where it must not be empty; gives its number."""
    for column in table.columns:
        if column.name in values or column.nullable or column.default or column.server_default:
            continue
        if column.primary_key and not column.foreign_keys:
            continue
        key = next(iter(column.foreign_keys), None)
        if key is not None:
            values[column.name] = session.scalar(select(key.column).limit(1)) or a_row(
                session, key.column.table
            )
        else:
            of_type = {
                str: str(next(NUMBERS)),
                int: 1,
                datetime: utc_now(),
                date: days(0),
                bytes: b"x",
                list: [],
                dict: {},
            }
            values[column.name] = of_type[column.type.python_type]
    return session.execute(insert(table).values(**values)).inserted_primary_key[0]


def test_a_row_of_every_table_that_names_an_organisation_follows(session, exchange, office, pair):
    kept, gone = pair
    made = {}
    make_agreement(session, make_need(session), make_offer(session))
    # Not the office's own: a conflict of interest would keep it out of the merge.
    somebody = {ConflictOfInterest.__table__: {"user_id": make_user(session, kept).id}}
    for column in referring_columns():
        if column.table is Post.__table__:
            made[column] = make_need(session, gone).id
        else:
            values = {column.name: gone.id, **somebody.get(column.table, {})}
            made[column] = a_row(session, column.table, **values)
    merge_organisations(session, office, kept, gone, SAID, exchange.reference)
    for column, number in made.items():
        key = next(iter(column.table.primary_key.columns))
        assert session.scalar(select(column).where(key == number)) == kept.id, column


def test_of_two_same_rows_of_imports_one_is_enough(session, exchange, office, pair):
    named = {"scheme": "sheet", "kind": "need"}
    for home in pair:
        a_row(session, ImportedRow.__table__, organisation_id=home.id, **named, key="A-1")
    a_row(session, ImportedRow.__table__, organisation_id=pair[1].id, **named, key="A-2")
    plan = merge_organisations(session, office, *pair, SAID, exchange.reference)
    rows = session.scalars(select(ImportedRow).order_by(ImportedRow.key)).all()
    assert [(row.key, row.organisation_id) for row in rows] == [
        ("A-1", pair[0].id), ("A-2", pair[0].id),
    ]  # fmt: skip
    assert plan.counts["imported_row"] == 1
    assert len(plan.falls_away["imported_row"]) == 1


@pytest.mark.parametrize(
    ("of_kept", "of_gone", "stays"),
    [("asked", "willing", "gone"), ("declined", "willing", "kept"), ("asked", "asked", "kept")],
)
def test_of_two_invitations_to_one_pilot_the_answered_one_stays(
    session, exchange, office, pair, of_kept, of_gone, stays
):
    force = find_organisation(session, "tf-tourism")
    for home, status, said in zip(pair, (of_kept, of_gone), ("kept", "gone"), strict=True):
        facts = {"task_force_id": force.id, "theme": "water", "message": said, "status": status}
        a_row(session, PilotInvitation.__table__, organisation_id=home.id, **facts)
    merge_organisations(session, office, *pair, SAID, exchange.reference)
    invitation = session.scalars(select(PilotInvitation)).one()
    assert (invitation.message, invitation.organisation_id) == (stays, pair[0].id)
    event = session.scalars(
        select(AuditEvent).where(AuditEvent.action == "organisation.merged")
    ).one()
    fallen = event.after["fallen_away"]["pilot_invitation"]
    assert [row["message"] for row in fallen] == [{"kept": "gone", "gone": "kept"}[stays]]


def test_a_member_of_a_task_force_is_known_under_its_old_code(session, exchange, office):
    kept = make_organisation(session, country="BS", code="islands", names={"en": "Islands"})
    gone = find_organisation(session, "tourism-bs")
    force = get_task_force(session, "tf-tourism")
    assert "tourism-bs" in force.member_codes()
    data = {**SAID, "unlike": True}
    merge_organisations(session, office, kept, gone, data, exchange.reference)
    assert member_names(session, force.organisation, "en")["tourism-bs"] == "Islands"
    partners = find_partners(exchange, session, office, force, PartnerFilter(kind="institution"))
    found = {one.code: one.rows for one in partners}
    assert [row.id for row in found["islands"]["membership"]] == ["tourism-bs"]
    assert "tourism-bs" not in found
    country = picture_country(session, get_country(exchange.reference, "BS"))
    assert force in country.task_forces
    assert gone not in country.organisations


def test_a_focal_point_that_was_merged_still_speaks_for_its_country(session, exchange, office):
    kept = make_organisation(session, country="PE", code="ministry")
    gone = find_organisation(session, "gov-pe")
    merge_organisations(session, office, kept, gone, SAID, exchange.reference)
    force = get_task_force(session, "tf-tourism")
    found = find_partners(exchange, session, office, force, PartnerFilter(subregion="andean"))
    assert {one.code: one.organisation for one in found}["PE"] is kept
    assert "ministry" not in {one.code for one in found}


def test_names_are_joined_and_old_codes_lead_on(session, exchange, office, pair):
    kept, gone = pair
    make_need(session, gone, reference="need-of-old")
    make_agreement(session, make_need(session, gone), status=AgreementStatus.SIGNED)
    merge_organisations(session, office, kept, gone, SAID, exchange.reference)
    assert kept.names == {"es": "Ministerio", "fr": "Conseil"}
    assert kept.aliases == ["MINAM", "Consejo", "Conseil", "ZZKQ", "Consejo Nacional"]
    assert find_organisation(session, "old-council") is kept
    by_old_code = session.scalars(find_posts(PostFilter("need", organisation="old-council"))).all()
    assert "need-of-old" in [post.reference for post in by_old_code]
    register = find_agreements(RegisterFilter(organisations=("old-council",)), None)
    assert len(session.scalars(register).all()) == 1
    assert gone not in session.scalars(find_organisations("consejo")).all()
    assert session.scalars(find_organisations("zzkq")).all() == [kept]


def test_a_chain_of_merges_leads_to_the_last(session, exchange, office, pair):
    kept, gone = pair
    last = make_organisation(session, code="last")
    merge_organisations(session, office, kept, gone, SAID, exchange.reference)
    merge_organisations(session, office, last, kept, SAID, exchange.reference)
    assert find_organisation(session, "old-council") is last
    assert find_organisation(session, "ministry") is last


def test_the_audit_trail_keeps_all_that_is_needed_to_take_it_apart(session, exchange, office, pair):
    kept, gone = pair
    need = make_need(session, gone)
    merge_organisations(session, office, kept, gone, SAID, exchange.reference)
    events = session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(2)).all()
    away, merged = events
    assert (merged.action, merged.reference) == ("organisation.merged", "ministry")
    assert merged.before["aliases"] == ["MINAM"]
    assert merged.after["moved"] == {"need": [need.id]}
    assert merged.after["merged"]["names"] == {"es": "Consejo", "fr": "Conseil"}
    assert merged.after["reason"] == SAID["reason"]
    assert (away.action, away.reference) == ("organisation.merged_away", "old-council")


def refusal(session, exchange, office, kept, gone, data=SAID):
    with pytest.raises(Conflict) as refused:
        merge_organisations(session, office, kept, gone, data, exchange.reference)
    session.refresh(gone)
    return refused.value.code


def test_two_parties_of_one_agreement_are_two(session, exchange, office, pair):
    kept, gone = pair
    make_agreement(session, make_need(session, kept), make_offer(session, gone))
    assert refusal(session, exchange, office, kept, gone) == "merge_agreement_between"
    assert gone.merged_into_id is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (MatchStatus.INTEREST, "merge_interest_between"),
        (MatchStatus.MUTUAL, "merge_interest_between"),
    ],
)
def test_two_that_deal_with_each_other_are_two(session, exchange, office, pair, status, code):
    kept, gone = pair
    make_match(session, make_need(session, gone), make_offer(session, kept), status=status)
    assert refusal(session, exchange, office, kept, gone) == code


def test_a_suggested_or_dismissed_match_stands_in_nobodys_way(session, exchange, office, pair):
    kept, gone = pair
    make_match(session, make_need(session, gone), make_offer(session, kept))
    merge_organisations(session, office, kept, gone, SAID, exchange.reference)
    assert gone.merged_into is kept


def test_nothing_is_merged_into_itself_twice_or_out_of_a_task_force(
    session, exchange, office, pair
):
    kept, gone = pair
    force = find_organisation(session, "tf-tourism")
    assert refusal(session, exchange, office, kept, kept) == "merge_itself"
    assert refusal(session, exchange, office, kept, force) == "merge_task_force"
    merge_organisations(session, office, kept, gone, SAID, exchange.reference)
    assert refusal(session, exchange, office, kept, gone) == "merged_already"
    assert refusal(session, exchange, office, gone, force) == "merged_already"


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ({"sure": True}, "reason"),
        ({"reason": "x"}, "sure"),
        ({"reason": "x", "sure": False}, "sure"),
    ],
)
def test_a_reason_and_a_confirmation_are_asked_for(session, exchange, office, pair, said, missing):
    with pytest.raises(InvalidInput) as asked:
        merge_organisations(session, office, *pair, said, exchange.reference)
    assert missing in asked.value.fields
    assert pair[1].merged_into_id is None


def test_different_kinds_and_countries_are_confirmed_apart(session, exchange, office, pair):
    kept, _gone = pair
    bank = make_organisation(session, "development_bank", None)
    plan = plan_merge(session, office, kept, bank)
    assert plan.unlike == ("kind", "country")
    with pytest.raises(InvalidInput) as asked:
        merge_organisations(session, office, kept, bank, SAID, exchange.reference)
    assert set(asked.value.fields) == {"unlike"}
    merge_organisations(session, office, kept, bank, {**SAID, "unlike": True}, exchange.reference)
    assert bank.merged_into is kept


@pytest.mark.parametrize("role", [Role.FOCAL_POINT, Role.COORDINATOR, Role.PROVIDER])
def test_only_the_secretariat_merges(session, exchange, pair, role):
    with pytest.raises(NotAllowed):
        merge_organisations(session, make_person(session, role), *pair, SAID, exchange.reference)


def test_the_engine_knows_the_posts_under_their_new_organisation(session, exchange, office):
    kept = find_organisation(session, "gov-pe")
    need = post_need(session, "gov-br", title="Compras")
    post_offer(session)
    session.commit()
    with exchange.engine.open(session) as book:
        assert [n.organisation for n in book.needs if n.id == need.id] == [need.organisation_id]
    merge_organisations(
        session,
        office,
        kept,
        find_organisation(session, "gov-br"),
        {**SAID, "unlike": True},
        exchange.reference,
    )
    session.commit()
    with exchange.engine.open(session) as book:
        assert [n.organisation for n in book.needs if n.id == need.id] == [kept.id]


def test_what_is_added_while_a_merge_runs_follows_it(database, reference_home):
    """Somebody writes a post for the old organisation at the very moment of the merge."""
    from broker.reference import Reference

    with Session(database) as session:
        office = make_secretariat(session)
        kept, gone = make_organisation(session), make_organisation(session)
        author = make_user(session, gone)
        session.commit()
        numbers = office.id, kept.id, gone.id, author.id
    merged, begun = threading.Event(), threading.Event()
    problems: list[BaseException] = []

    def write() -> None:
        try:
            with Session(database) as session:
                if database.dialect.name == "sqlite":
                    begun.set()
                begin_writing(session)
                author = session.get(User, numbers[3])
                assert author is not None
                home = author.organisation
                begun.set()
                make_need(session, home, starts=date(2026, 1, 1), reference="at-the-same-time")
                session.commit()
        except BaseException as error:
            problems.append(error)
        finally:
            merged.set()

    with Session(database) as session:
        begin_writing(session)
        office, kept, gone = (
            session.get_one(User, numbers[0]),
            session.get_one(Organisation, numbers[1]),
            session.get_one(Organisation, numbers[2]),
        )
        merge_organisations(session, office, kept, gone, SAID, Reference())
        writer = threading.Thread(target=write)
        writer.start()
        assert begun.wait(20)
        merged.wait(0.3)
        session.commit()
    writer.join(30)
    assert problems == []
    with Session(database) as session:
        post = session.scalars(find_posts(PostFilter("need"))).one()
        assert post.reference == "at-the-same-time"
        assert post.organisation_id == numbers[1]
