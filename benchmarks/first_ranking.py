"""From the database to the first ranking of a process, at 10,000 posts.

    python -m benchmarks first_ranking [--posts 10000] [--one-by-one 1000]

Posts are those of the benchmark ``search``: different texts of about 110 words. Measured are the
book and the search index, filled as a process does right after its start, without the encoder.
Beside them stands an alternative: each post loaded whole by itself through the ORM, and put into
the book by itself; it is measured on fewer posts, since its time grows with their number alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks.demonstration import describe_machine, shown
from benchmarks.search import fill
from broker.engine import need_profile, offer_profile
from broker.exchange import Exchange
from broker.paths import FIXTURES
from broker.posts import WHOLE
from broker.reference_data import load_reference_data
from broker.settings import Settings
from matching import Book, Weights
from models import LIVE, Need, Post
from models.schema import upgrade

HEAD = "| what | posts | processor | clock | processor a post |\n|---|---:|---:|---:|---:|"


def timed(what: str, posts: int, act: Callable[[], Any]) -> str:
    """Do it once; a row of the table."""
    clock, processor = time.perf_counter(), time.process_time()
    act()
    processor, clock = time.process_time() - processor, time.perf_counter() - clock
    each = f"{1000 * processor / posts:.2f} ms"
    return f"| {what} | {posts:,} | {shown(processor)} | {shown(clock)} | {each} |"


def rank(exchange: Exchange) -> None:
    """Open the book and rank the offers for its first need."""
    with exchange.reading() as session, exchange.engine.open(session) as book:
        book.rank_offers(book.needs[0].id, on=exchange.today())


def search(exchange: Exchange) -> None:
    """Look for a word."""
    with exchange.reading() as session:
        exchange.post_search.find(session, "agua", "need")


def load_one_by_one(exchange: Exchange, session: Session, posts: int) -> None:
    """The alternative: one post at a time, with all that belongs to it."""
    engine = exchange.engine
    book = Book(engine.taxonomy, engine.text_model, Weights())
    for post_id in session.scalars(select(Post.id).where(Post.status.in_(LIVE)).limit(posts)):
        post = session.get_one(Post, post_id, options=WHOLE)
        [vector] = engine.features(session, [post])
        if isinstance(post, Need):
            book.put_need(need_profile(post, exchange.reference), vector)
        else:
            book.put_offer(offer_profile(post, exchange.reference), vector)  # type: ignore[arg-type]


def measure(home: Path, posts: int, one_by_one: int) -> Iterator[str]:
    """The rows of the table, as they are measured."""
    exchange = Exchange(Settings(home=home, encoder="none").completed())
    upgrade(exchange.database)
    with exchange.writing() as session:
        load_reference_data(session, FIXTURES / "reference")
    fill(exchange, posts)
    exchange.engine  # noqa: B018 - built here, so that reading posts alone is measured
    for what, act in (
        ("**the first ranking**: reads all posts, fills the book", rank),
        ("a later ranking", rank),
        ("the first search: reads all posts, fills the index", search),
    ):
        yield timed(what, posts, partial(act, exchange))
    exchange.forget()
    exchange.engine  # noqa: B018
    with exchange.reading() as session:
        alone = partial(load_one_by_one, exchange, session, one_by_one)
        yield timed("alternative: one ORM load a post, put in one by one", one_by_one, alone)
    exchange.database.dispose()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--one-by-one", type=int, default=1_000, help="posts of the alternative")
    chosen = parser.parse_args(arguments)
    print(describe_machine(), HEAD, sep="\n\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="first-ranking-") as folder:
        for row in measure(Path(folder), chosen.posts, chosen.one_by_one):
            print(row, flush=True)


if __name__ == "__main__":
    main()
