"""Finding: a search of ten thousand posts beside SQL LIKE and SQLite's full-text index.

    python -m benchmarks search [--posts 10000] [--times 20] [--write]

Posts are put together from pieces of the demonstration's own sentences, in one language each, with
rare words between, so that vocabulary and length are those of real posts. All three methods
look through the same rows of the same database file in the same run. ``--write`` puts the tables
into ``docs/performance.md``.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from broker.exchange import Exchange
from broker.paths import FIXTURES
from broker.posts import PostFilter, find_posts
from broker.reference_data import load_reference_data
from broker.search import load_posts, search_posts
from broker.settings import Settings
from broker.web import create_app
from models import (
    Need,
    Offer,
    Organisation,
    Post,
    PostFacet,
    PostStatus,
    PostVersion,
    Support,
)
from models.schema import upgrade

PERFORMANCE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: finding -->", "<!-- end -->"

QUERIES = {
    "one word": ["agua", "hoteles", "mercury", "recicladores"],
    "several words": ["compras públicas sostenibles", "energy efficiency hotels"],
    "without accents": ["capacitacion publica", "eficiencia energetica"],
    "another form": ["capacitar comprador", "recycled container"],
    "typing error": ["capasitacion", "reciclage de resduos"],
    "another language": ["public procurement", "tourisme durable", "eficiência energética"],
}
"""What people type, by what makes it hard."""


@dataclass(frozen=True)
class Method:
    """A way to find posts: ``find(session, query)`` gives the numbers of what it found."""

    name: str
    find: Callable[[Session, str], list[int]]


def sentences() -> dict[str, list[list[str]]]:
    """The demonstration's sentences as words, by language."""
    found: dict[str, list[list[str]]] = {}
    for path in sorted((FIXTURES / "demo").glob("*s-*.yaml")):
        for row in yaml.safe_load(path.read_text("utf-8")):
            words = re.findall(r"\S+", f"{row.get('title', '')} {row.get('description', '')}")
            parts = [words[n : n + 12] for n in range(0, len(words), 12)]
            found.setdefault(row.get("language", "es"), []).extend(parts)
    return found


def posts(count: int, seed: int = 1) -> Iterator[tuple[str, str, str]]:
    """(language, title, description) of posts with the vocabulary of the demonstration's."""
    rng, known = random.Random(seed), sentences()
    languages = sorted(known)
    shares = [len(known[language]) for language in languages]
    for number in range(count):
        language = rng.choices(languages, shares)[0]
        parts = [list(rng.choice(known[language])) for _ in range(9)]
        for part in parts:
            part.append(f"{rng.choice('bcdfgl')}{rng.choice('aeiou')}r{rng.randrange(40_000):x}")
        yield language, " ".join(parts[0][:9]), f"{number}. " + " ".join(map(" ".join, parts[1:]))


def fill(exchange: Exchange, count: int) -> None:
    """Put half as many needs and half as many offers into an empty exchange."""
    themes = list(exchange.reference.terms["theme"])
    now = datetime.now(UTC)
    with exchange.writing() as session:
        homes = session.execute(
            select(Organisation.id, Organisation.country_code).where(
                Organisation.code.like("gov-%")
            )
        ).all()
        made: dict[Any, list[dict[str, Any]]] = {Need: [], Offer: []}
        for number, (language, title, body) in enumerate(posts(count)):
            home, country = homes[number % len(homes)]
            row = {
                "reference": f"bench-{number:06d}",
                "organisation_id": home,
                "status": PostStatus.PUBLISHED,
                "language": language,
                "title": title[:200],
                "description": body,
                "published_at": now - timedelta(minutes=number),
                "version": 1,
                "revision": 1,
            }
            if number % 2:
                made[Offer].append({**row, "places_committed": 0, "money_committed": 0})
            else:
                row |= {"country_code": country, "places_covered": 0, "money_covered": 0}
                made[Need].append(row)
        for model, rows in made.items():
            session.execute(insert(model), rows)
        ids = list(session.scalars(select(Post.id).order_by(Post.id)))
        session.execute(
            insert(Support),
            [{"post_id": i, "kind": "capacity_building", "detail": ""} for i in ids],
        )
        facets = [{"post_id": i, "facet": "theme", "code": themes[i % len(themes)]} for i in ids]
        facets += [{"post_id": i, "facet": "serves_subregion", "code": "regional"} for i in ids]
        session.execute(insert(PostFacet), facets)
        session.execute(
            insert(PostVersion), [{"post_id": i, "number": 1, "content": {}} for i in ids]
        )
    with exchange.writing() as session:
        session.execute(
            text(
                "CREATE VIRTUAL TABLE words USING fts5(title, description, content='',"
                " tokenize='unicode61 remove_diacritics 2')"
            )
        )
        session.execute(
            text(
                "INSERT INTO words(rowid, title, description)"
                " SELECT id, title, description FROM post WHERE kind = 'need'"
            )
        )


def with_like(session: Session, query: str) -> list[int]:
    """Every word somewhere in the text, as it stands."""
    filters = PostFilter("need", text=query)
    return list(session.scalars(find_posts(filters, ids_only=True)))


def with_fts5(session: Session, query: str) -> list[int]:
    """SQLite's own index, accents left out, best first by its BM25."""
    words = " ".join(f'"{word}"' for word in re.findall(r"\w+", query))
    rows = session.execute(
        text("SELECT rowid FROM words WHERE words MATCH :words ORDER BY rank"), {"words": words}
    )
    return [row[0] for row in rows]


@dataclass
class Taken:
    """Milliseconds that some calls took: by the clock, and of a processor."""

    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def add(self, task: Callable[[], Any]) -> None:
        """Make one more call."""
        begun, used = time.perf_counter(), time.process_time()
        task()
        self.clock.append(1000 * (time.perf_counter() - begun))
        self.processor.append(1000 * (time.process_time() - used))


def timed(task: Callable[[], Any], times: int, taken: Taken | None = None) -> Taken:
    """Time some calls, after one that is not counted."""
    taken = taken or Taken()
    task()
    for _ in range(times):
        taken.add(task)
    return taken


def measure(count: int, times: int) -> list[str]:
    """Fill an exchange, ask it, and give the lines of the tables."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), secret_key="benchmark", encoder="none")
        exchange = Exchange(settings.completed())
        upgrade(exchange.database)
        with exchange.writing() as session:
            load_reference_data(session, FIXTURES / "reference")
        fill(exchange, count)
        with exchange.reading() as session:
            built = Taken()
            built.add(lambda: exchange.post_search.find(session, "agua", "need"))
        methods = [
            Method("this search", lambda s, q: _ours(exchange, s, q)),
            Method("SQL `LIKE`, every word", with_like),
            Method("SQLite FTS5, accents left out", with_fts5),
        ]
        lines = _found(exchange, methods, times)
        lines += _pages(exchange, times, count, built.processor[0] / 1000)
        exchange.database.dispose()
    load = os.getloadavg()[0]
    return [
        f"{platform.machine()}, {os.cpu_count()} processors; Python {platform.python_version()};"
        f" load of the last minute: {load:.1f} (1.0 is one processor busy). {count:,} posts, half"
        " of them needs, of about 110 words in four languages; words alone, without the encoder.",
        "",
        *lines,
    ]


def _ours(exchange: Exchange, session: Session, query: str) -> list[int]:
    filters = PostFilter("need", text=query, sort="relevance")
    return search_posts(exchange, session, filters).ids


def _found(exchange: Exchange, methods: list[Method], times: int) -> list[str]:
    lines = [
        "| what is typed | " + " | ".join(f"{m.name}: found" for m in methods) + " | "
        + " | ".join(f"{m.name}: processor" for m in methods) + " |",
        "|---|" + "---:|" * 2 * len(methods),
    ]  # fmt: skip
    with exchange.reading() as session:
        for kind, queries in QUERIES.items():
            for query in queries:
                numbers, medians = [], []
                for method in methods:
                    numbers.append(f"{len(method.find(session, query)):,}")
                    taken = timed(lambda m=method, q=query: m.find(session, q), times)  # type: ignore[misc]
                    medians.append(f"{statistics.median(taken.processor):.1f} ms")
                lines.append(
                    f"| {kind}: {query} | "
                    + " | ".join(numbers)
                    + " | "
                    + " | ".join(medians)
                    + " |"
                )
    return lines


def _pages(exchange: Exchange, times: int, count: int, building: float) -> list[str]:
    client = create_app(exchange=exchange).test_client()
    asked = [query for queries in QUERIES.values() for query in queries]
    taken = Taken()
    for query in asked:
        timed(lambda q=query: client.get("/needs", query_string={"q": q}), times, taken)  # type: ignore[misc]
    plain = timed(lambda: client.get("/offers"), times)
    changed = Taken()
    for number in range(times):
        with exchange.writing() as session:
            session.scalars(select(Need).limit(1).offset(number)).one().title = f"Agua {number}"
        with exchange.reading() as session:
            changed.add(lambda s=session: load_posts(s, _ours(exchange, s, "agua")[:20]))  # type: ignore[misc]
    return [
        "",
        "| what | times | processor, median | processor, 95th percentile | clock, median | clock, 95th percentile |",
        "|---|---:|---:|---:|---:|---:|",
        _row("**page of results**: found, filtered, counted, marked", taken),
        _row("page of all offers, without words", plain),
        _row("first search after a post was changed", changed),
        "",
        f"The index is filled at the first search of a process, in {building:.1f} s of a processor"
        f" ({1000 * building / count:.2f} ms a post).",
    ]


def _row(name: str, taken: Taken) -> str:
    cells = [
        f"{value:.0f} ms"
        for times in (taken.processor, taken.clock)
        for value in (statistics.median(times), _high(times))
    ]
    return f"| {name} | {len(taken.clock)} | " + " | ".join(cells) + " |"


def _high(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(0.95 * len(times)))]


def write(lines: list[str]) -> None:
    """Put the lines between the markers of docs/performance.md."""
    page = PERFORMANCE.read_text("utf-8")
    start = page.index(BEGIN) + len(BEGIN)
    end = page.index(END, start)
    PERFORMANCE.write_text(page[:start] + "\n" + "\n".join(lines) + "\n" + page[end:], "utf-8")


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    chosen = parser.parse_args()
    lines = measure(chosen.posts, chosen.times)
    print("\n".join(lines))
    if chosen.write:
        write(lines)


if __name__ == "__main__":
    main()
