"""How long the match report takes: as figures, page, workbook and PDF, small and large.

    python -m benchmarks.report [--posts 10000] [--runs 3]

Measures the demonstration exchange and one with --posts live posts: half needs, half offers, with
a run of three matches for each need, interests, and agreements. Beside the report stands what it
is made of, and an alternative: the needs and offers of each theme and subregion asked of the
database one number at a time, as a report would that writes a query for each figure.
"""

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from benchmarks.demonstration import (
    EVERYONE,
    DirectReader,
    describe_machine,
    load_demonstration,
    open_exchange,
    shown,
)
from broker.posts import PostFilter, find_posts
from broker.report.forms import FILES
from broker.report.match_report import MatchReport, match_report
from broker.report.rows import count
from broker.report.scope import ReportScope
from broker.speech import speaking
from models import (
    LIVE,
    Interest,
    Match,
    MatchRun,
    Need,
    Offer,
    Organisation,
    Post,
    PostFacet,
    RunPair,
    Support,
    User,
    utc_now,
)

MATCHES = 3
"""Matches of a need in the run of the large exchange."""


def grow(session: Session, posts: int, seed: int = 1) -> None:
    """Add live posts up to that number, then a run over all of them, and interests of a tenth.

    Rows are written as they are stored: this measures reading them.
    """
    draw = random.Random(seed)
    now = utc_now()
    organisations = session.execute(select(Organisation.id, Organisation.kind)).all()
    governments = [id_ for id_, kind in organisations if kind == "government"]
    givers = [id_ for id_, kind in organisations if kind != "government"]
    themes, areas = _codes(session, "theme"), [str(n) for n in range(1, 9)]
    countries = [c for (c,) in session.execute(select(Need.country_code).distinct()) if c]
    there = session.scalar(select(func.count(Post.id)).where(Post.status.in_(LIVE))) or 0
    first = (session.scalar(select(func.max(Post.id))) or 0) + 1
    rows: dict[type, list[dict[str, object]]] = {
        Post: [], Need: [], Offer: [], PostFacet: [], Support: []
    }  # fmt: skip
    template = {c.name: None for c in Post.__table__.columns}
    for number in range(max(posts - there, 0)):
        id_, kind = first + number, "need" if number % 2 else "offer"
        published = now - timedelta(days=draw.randrange(200))
        rows[Post].append(
            {
                **template,
                "id": id_, "kind": kind, "reference": f"{kind}-large-{id_}",
                "organisation_id": draw.choice(governments if kind == "need" else givers),
                "status": "published", "language": "es", "title": f"Publicación {id_}",
                "description": "Texto de medida.", "translations": {}, "source": {},
                "illustrative": [], "comment": "", "contact_role": "", "contact_email": "",
                "version": 1, "revision": 1, "created_at": published, "updated_at": published,
                "published_at": published, "expires_on": (now + timedelta(days=90)).date(),
            }
        )  # fmt: skip
        rows[Support].append({"post_id": id_, "kind": draw.choice(
            ["technical_support", "capacity_building", "finance"]), "detail": ""})  # fmt: skip
        codes = {("theme", draw.choice(themes)), ("theme", draw.choice(themes)),
                 ("ilac_area", draw.choice(areas))}  # fmt: skip
        if kind == "need":
            rows[Need].append({"id": id_, "country_code": draw.choice(countries),
                               "places_wanted": draw.randrange(5, 80)})  # fmt: skip
        else:
            rows[Offer].append({"id": id_, "places": draw.randrange(5, 200)})
            codes.add(("serves_subregion", draw.choice(["regional", "andean", "caribbean"])))
        rows[PostFacet] += [{"post_id": id_, "facet": f, "code": c} for f, c in sorted(codes)]
    for model, values in rows.items():
        table = model.__table__  # type: ignore[attr-defined]
        for at in range(0, len(values), 2000):
            session.execute(insert(table), values[at : at + 2000])
    _run(session, draw, now)


def _codes(session: Session, facet: str) -> list[str]:
    query = select(PostFacet.code).where(PostFacet.facet == facet).distinct()
    return sorted(session.scalars(query))


def _run(session: Session, draw: random.Random, now: datetime) -> None:
    needs = list(session.scalars(select(Need.id).where(Need.status.in_(LIVE))))
    offers = list(session.scalars(select(Offer.id).where(Offer.status.in_(LIVE))))
    run = MatchRun(
        started_at=now, finished_at=now, on=now.date(), engine_version="1", text_version="none",
        weights={"theme": 1.0}, input_digest="0" * 64, result_digest="0" * 64, needs=len(needs),
        offers=len(offers), matches=MATCHES * len(needs), seconds=1.0, need_ids=needs,
        offer_ids=offers,
    )  # fmt: skip
    session.add(run)
    session.flush()
    pairs = []
    for need in needs[: len(needs) * 9 // 10]:
        for rank, offer in enumerate(draw.sample(offers, MATCHES), start=1):
            score = 50 + 45 * draw.random()
            band = "strong" if score >= 70 else "good" if score >= 57 else "possible"
            pairs.append(
                {"run_id": run.id, "need_id": need, "offer_id": offer, "rank": rank,
                 "score": score, "band": band, "reason": {"parts": []}}
            )  # fmt: skip
    for at in range(0, len(pairs), 2000):
        session.execute(insert(RunPair), pairs[at : at + 2000])
    person = session.scalars(select(User.id).limit(1)).one()
    for pair in pairs[::10]:
        asked = datetime.now(UTC) - timedelta(days=draw.randrange(100))
        match = Match(need_id=pair["need_id"], offer_id=pair["offer_id"], status="interest")
        match.interests.append(Interest(side="need", by_id=person, created_at=asked))
        session.add(match)
    session.flush()


def one_query_a_figure(session: Session, themes: Sequence[str], subregions: Sequence[str]) -> int:
    """The cells of one table of two facets, each asked of the list of posts by itself."""
    asked = 0
    for theme in themes:
        for subregion in subregions:
            for kind in ("need", "offer"):
                filters = PostFilter(kind, themes=(theme,), subregions=(subregion,), open_only=True)
                count(session, find_posts(filters))
                asked += 1
    return asked


def take(what: str, runs: int, act: Callable[[], object]) -> str:
    """Do it so often by both clocks; a row of a Markdown table."""
    clock, processor = [], []
    for _ in range(runs):
        start, begun = time.perf_counter(), time.process_time()
        act()
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - begun)
    return f"| {what} | {shown(median(processor))} | {shown(median(clock))} |"


def measure(home: Path, runs: int) -> Iterator[str]:
    """Every form of the report, and the alternative."""
    exchange, app = open_exchange(home)
    reference, scope = exchange.reference, ReportScope(exchange.today())
    with speaking("fr"), exchange.reading() as session:

        def made(listed: int | None) -> MatchReport:
            return match_report(session, reference, scope=scope, language="fr", listed=listed)

        yield take("figures and short lists", runs, lambda: made(10))
        yield take("figures and all rows", runs, lambda: made(None))
        for ending in ("pdf", "xlsx", "csv", "json"):
            form = FILES[ending]

            def write(form=form) -> object:  # type: ignore[no-untyped-def]
                return form.write(made(form.listed), reference)

            yield take(f"{ending.upper()}, from the database on", runs, write)
        themes = list(reference.codes("theme"))
        subregions = list(reference.codes("subregion"))
        yield take(
            f"alternative: {2 * len(themes) * len(subregions)} numbers of one table of two facets, "
            "a query each",
            1,
            lambda: one_query_a_figure(session, themes, subregions),
        )
    reader = DirectReader(app)
    reader.sign_in(EVERYONE)
    reader.get("/secretariat/report")
    yield take("page, as HTML", runs, lambda: reader.get("/secretariat/report"))
    exchange.database.dispose()


HEAD = "| what | processor time | clock |\n|---|---:|---:|"
"""Medians. The clock counts what else the machine does; the processor time does not."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--posts", type=int, default=10_000, help="posts of the large exchange")
    parser.add_argument("--runs", type=int, default=3, help="times that each form is made")
    chosen = parser.parse_args(arguments)
    print(describe_machine())
    with tempfile.TemporaryDirectory(prefix="report-") as folder:
        home = Path(folder)
        load_demonstration(home)
        for posts, name in (
            (0, "The demonstration exchange"),
            (chosen.posts, f"{chosen.posts:,} posts"),
        ):
            exchange, _app = open_exchange(home)
            with exchange.writing() as session:
                grow(session, posts)
            exchange.database.dispose()
            print(f"\n{name}:\n\n{HEAD}", flush=True)
            for row in measure(home, chosen.runs):
                print(row, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nMemory of the process at its highest: {peak:,.0f} MB.")


if __name__ == "__main__":
    main()
