"""Connections: writers take turns, links between rows hold, a transaction is one."""

import threading
import time

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from models import Country, Currency, Organisation
from models.database import begin_writing
from tests.factories import make_currency, make_organisation


def test_row_cannot_refer_to_what_is_not_there(database: Engine) -> None:
    with Session(database) as session:
        session.add(Organisation(code="lost", kind="ngo", country_code="XX", names={}))
        with pytest.raises(IntegrityError):
            session.flush()


def test_what_is_not_committed_is_gone(database: Engine) -> None:
    with Session(database) as session:
        make_organisation(session)
    with Session(database) as session:
        assert session.scalars(select(Country)).all() == []


def test_change_of_the_schema_can_be_rolled_back_too(database: Engine) -> None:
    with database.connect() as connection:
        connection.execute(text("CREATE TABLE scratch (number INTEGER)"))
        connection.rollback()
        with pytest.raises(Exception, match="scratch"):
            connection.execute(text("SELECT * FROM scratch"))


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_sqlite_keeps_a_log_so_that_readers_do_not_wait_for_a_writer(database: Engine) -> None:
    with Session(database) as writer, Session(database) as reader:
        begin_writing(writer)
        make_currency(writer)
        assert reader.scalar(text("PRAGMA journal_mode")) == "wal"
        assert reader.scalars(select(Currency)).all() == []
        writer.commit()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_a_writer_reads_cannot_change_before_it_writes(database: Engine) -> None:
    with Session(database) as session:
        make_currency(session)
        session.commit()

    def raise_rate() -> None:
        with Session(database) as session:
            begin_writing(session)
            currency = session.get_one(Currency, "USD")
            rate = currency.usd_rate
            time.sleep(0.01)
            currency.usd_rate = rate + 1
            session.commit()

    threads = [threading.Thread(target=raise_rate) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session(database) as session:
        assert session.get_one(Currency, "USD").usd_rate == 6.0


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_reader_that_turns_writer_on_old_news_is_stopped(database: Engine) -> None:
    with Session(database) as session:
        make_currency(session)
        session.commit()
    with Session(database) as late, Session(database) as early:
        currency = late.get_one(Currency, "USD")
        begin_writing(early)
        early.get_one(Currency, "USD").usd_rate = 2.0
        early.commit()
        currency.usd_rate = 3.0
        with pytest.raises(OperationalError, match="locked"):
            late.commit()
