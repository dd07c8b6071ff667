"""The migrations: they make what the models describe, up and down, whole or not at all."""

import threading

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.orm import Session

from models import schema
from models.base import Base
from models.errors import DomainError
from tests.factories import make_agreement, sign_by_all


def everything_in(engine: Engine) -> set[str]:
    """Names of what a database holds besides Alembic's own table."""
    catalogue = {
        "sqlite": "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'",
        "postgresql": """
            SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
            UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
            UNION SELECT typname FROM pg_type
                WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
        """,
    }
    with engine.connect() as connection:
        names = connection.scalars(text(catalogue[engine.dialect.name])).all()
    return {name for name in names if "alembic_version" not in name}


def test_migrations_make_exactly_what_the_models_describe(database: Engine) -> None:
    assert schema.check(database) == []


def test_way_down_leaves_nothing_and_the_way_up_leads_back(empty_database: Engine) -> None:
    assert schema.upgrade(empty_database) == schema.newest_version()
    first = everything_in(empty_database)
    assert set(Base.metadata.tables) <= first
    assert schema.downgrade(empty_database, "base") == schema.NO_VERSION
    assert everything_in(empty_database) == set()
    schema.upgrade(empty_database)
    assert everything_in(empty_database) == first
    assert schema.check(empty_database) == []


def test_upgrading_again_changes_nothing(database: Engine) -> None:
    before = everything_in(database)
    assert schema.upgrade(database) == schema.newest_version()
    assert everything_in(database) == before


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("DROP INDEX ix_audit_event_at", "ix_audit_event_at"),
        ("ALTER TABLE post DROP COLUMN comment", "'comment'"),
        ("ALTER TABLE term ADD COLUMN colour VARCHAR(8)", "'colour'"),
        ("DROP TABLE indicator_report", "indicator_report"),
    ],
)
def test_check_tells_what_was_changed_by_hand(database: Engine, damage: str, told: str) -> None:
    with database.begin() as connection:
        connection.execute(text(damage))
    assert any(told in line for line in schema.check(database))


@pytest.mark.postgres
@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_check_tells_of_a_capacity_rule_that_was_taken_out(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE offer DROP CONSTRAINT ck_offer_places_not_oversold"))
    assert schema.check(database) == ["missing CHECK ck_offer_places_not_oversold"]


def test_check_of_an_empty_database_says_it_is_behind(empty_database: Engine) -> None:
    with pytest.raises(DomainError) as raised:
        schema.check(empty_database)
    assert raised.value.code == "database_behind"
    assert raised.value.params == {"now": "0", "then": schema.newest_version()}


def test_database_of_a_newer_program_is_left_alone(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = everything_in(database)
    for step in (schema.upgrade, schema.check, lambda e: schema.downgrade(e, "base")):
        with pytest.raises(DomainError) as raised:
            step(database)
        assert raised.value.code == "database_ahead"
    assert everything_in(database) == before


def test_migration_that_fails_half_way_leaves_nothing_behind(empty_database: Engine) -> None:
    with empty_database.begin() as connection:
        connection.execute(text("CREATE TABLE run_pair (number INTEGER)"))
    with pytest.raises(Exception, match="run_pair"):
        schema.upgrade(empty_database)
    assert everything_in(empty_database) == {"run_pair"}


def test_programs_that_start_at_once_take_turns(empty_database: Engine) -> None:
    outcomes: list[str] = []
    starters = [
        threading.Thread(target=lambda: outcomes.append(schema.upgrade(empty_database)))
        for _ in range(4)
    ]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert outcomes == [schema.newest_version()] * 4
    assert schema.check(empty_database) == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_foreign_keys_hold_again_after_an_upgrade(empty_database: Engine) -> None:
    schema.upgrade(empty_database)
    with empty_database.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_every_index_and_constraint_has_a_name_of_the_pattern(database: Engine) -> None:
    inspector = inspect(database)
    for table in Base.metadata.tables:
        names = [inspector.get_pk_constraint(table)["name"]]
        names += [index["name"] for index in inspector.get_indexes(table)]
        names += [key["name"] for key in inspector.get_foreign_keys(table)]
        names += [unique["name"] for unique in inspector.get_unique_constraints(table)]
        names += [check["name"] for check in inspector.get_check_constraints(table)]
        for name in names:
            assert name, table
            assert name.split("_")[0] in {"pk", "ix", "fk", "uq", "ck"}, name


def test_agreements_keep_their_rows_on_the_way_down_to_two_parties_and_up(database: Engine) -> None:
    with Session(database) as session:
        sign_by_all(session, make_agreement(session))
        session.commit()
    tables = ("agreement", "agreement_party", "agreement_terms", "commitment")
    schema.downgrade(database, "0002")
    schema.upgrade(database)
    assert schema.check(database) == []
    with database.connect() as connection:
        counts = [connection.scalar(text(f"SELECT COUNT(*) FROM {table}")) for table in tables]
        assert counts == [1, 2, 1, 1]
        kept = connection.execute(text("SELECT kind, status FROM agreement")).one()
        assert tuple(kept) == ("cooperation", "signed")
        assert all(connection.scalars(text("SELECT shows_money FROM agreement_party")))
