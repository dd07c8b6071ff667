"""Requests are counted for all processes together."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from broker.settings import Settings
from broker.web import counters, create_app
from broker.web.counters import CounterFile, storage_of


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [1000.0]
    monkeypatch.setattr(counters.time, "time", lambda: now[0])
    return now


def test_one_process_counts_in_memory_several_in_a_file_and_machines_in_redis(tmp_path):
    settings = Settings(home=tmp_path)
    assert storage_of(settings) == "memory://"
    assert storage_of(replace(settings, workers=2)) == f"broker-file://{tmp_path}/limits.db"
    assert storage_of(replace(settings, redis_url="redis://queue/0")) == "redis://queue/0"


def test_a_window_ends_and_another_begins(tmp_path, clock):
    kept = CounterFile(f"broker-file://{tmp_path}/limits.db")
    assert kept.check()
    assert [kept.incr("a", 60) for _ in range(3)] == [1, 2, 3]
    assert (kept.incr("b", 60, 5), kept.get("a"), kept.get_expiry("a")) == (5, 3, 1060)
    clock[0] += 60
    assert (kept.get("a"), kept.get_expiry("a")) == (0, 1060)
    assert kept.incr("a", 60) == 1
    kept.clear("a")
    assert kept.get("a") == 0
    assert kept.reset() == 0


def test_no_count_is_lost_between_those_who_count_at_one_moment(tmp_path):
    uri = f"broker-file://{tmp_path}/limits.db"
    several = [CounterFile(uri) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(lambda n: several[n % 4].incr("a", 60), range(200)))
    assert sorted(counts) == list(range(1, 201))


def test_two_processes_of_one_exchange_share_a_limit(exchange):
    settings = replace(exchange.settings, workers=2, api_limit="3 per minute")
    exchange.settings = settings
    ones = [create_app(exchange=exchange).test_client() for _ in range(2)]
    statuses = [ones[n % 2].get("/api/v1/countries").status_code for n in range(4)]
    assert statuses == [200, 200, 200, 429]
