"""A page asks the database as often for ten thousand posts as for ten."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert, select

from models import (
    Need,
    Offer,
    Organisation,
    Post,
    PostFacet,
    PostStatus,
    PostVersion,
    Role,
    Support,
)
from tests.broker.factories import days, make_person, post_need, post_offer

pytestmark = pytest.mark.slow

SIZES = (10, 1_000, 10_000)
MOST = 60
"""Statements of any page, however much it shows."""

MORE_AT_MOST = {"/secretariat/bulletin": 80}
"""Pages of a great many figures, each counted by itself."""

PAGES = {
    Role.PUBLIC: [
        "/",
        "/about",
        "/needs",
        "/needs?theme=water&open=1&sort=closing",
        "/needs?q=training+water",
        "/needs?page=2&sort=title",
        "/offers",
        "/offers?country=PE",
        "/offers?q=capacitacion",
        "/search?q=water",
        "/needs/{need}",
        "/offers/{offer}",
        "/needs/{need}/versions/1",
        "/organisations/gov-pe",
        "/agreements",
        "/board",
        "/countries",
        "/countries/PE",
        "/programmes",
        "/programmes/sustainable_procurement",
        "/themes",
        "/themes/water",
        "/ilac-areas/2",
        "/organisations",
        "/directory",
        "/task-forces",
        "/task-forces/tf-procurement",
        "/sign-in",
        "/bulletins",
        "/directory/institutions",
        "/open-data",
        "/plans",
        "/questionnaire",
        "/feeds/needs.atom",
        "/feeds/agreements.atom",
        "/calendars/closing.ics",
        "/calendars/meetings.ics",
    ],
    Role.FOCAL_POINT: [
        "/desk",
        "/desk/posts",
        "/desk/posts?q=water",
        "/needs/new",
        "/needs/{need}",
        "/needs/{need}/edit",
        "/needs/{need}/matches",
        "/needs/{need}/balance",
        "/matches/{need}/{offer}",
        "/needs/{need}/excluded",
        "/desk/needs",
        "/proposals",
        "/searches",
        "/notices",
        "/account",
        "/account/notices",
        "/account/tokens",
        "/account/webhooks",
        "/conflicts",
        "/directory/practices/new",
        "/desk/directory",
        "/desk/colleagues",
        "/imports",
        "/jobs",
        "/needs/{need}/withdraw",
    ],
    Role.TASK_FORCE: [
        "/desk",
        "/desk/posts",
        "/desk/offers",
        "/desk/ranked-needs",
        "/offers/{offer}/matches",
        "/task-forces/tf-procurement/queue",
        "/task-forces/tf-procurement/partners",
        "/task-forces/tf-procurement/partners/country/PE",
        "/task-forces/tf-procurement/invitations",
        "/task-forces/tf-procurement/edit",
        "/pairings/new?need={need}&offer={offer}",
    ],
    Role.SECRETARIAT: [
        "/desk",
        "/secretariat",
        "/secretariat/queue",
        "/secretariat/runs",
        "/secretariat/users",
        "/secretariat/organisations",
        "/secretariat/audit",
        "/secretariat/weights",
        "/secretariat/silence",
        "/secretariat/milestones",
        "/secretariat/rounds",
        "/secretariat/pools",
        "/secretariat/report",
        "/secretariat/directory",
        "/secretariat/questionnaire",
        "/secretariat/bulletin",
        "/secretariat/rounds/new",
        "/secretariat/duplicates",
        "/secretariat/delegations",
        "/secretariat/endorsements",
        "/secretariat/mail",
        "/secretariat/merge",
        "/secretariat/users/new",
        "/secretariat/weights/learnt",
        "/needs/{need}/matches",
    ],
}
"""Role → addresses that it opens; ``{need}`` and ``{offer}`` are its own where it has any."""

FILES = {
    "agreements.pdf", "assets.send", "bootstrap.static", "bulletins.paper", "bulletins.text",
    "documents.load_down", "feeds.own_calendar", "iati.activities", "imports.annotated_file",
    "imports.report_file", "imports.template_file", "mail.picture", "open_data.file", "plans.file",
    "reports.file", "reports.prepared", "reports.questionnaire_file", "static",
}  # fmt: skip
"""Endpoints that send a file: it holds all rows, or none of the database."""

OF_ONE = {
    "account.invitation", "agreements.abandon", "agreements.complete", "agreements.indicator",
    "agreements.milestone", "agreements.propose", "agreements.rate", "agreements.show",
    "agreements.sign", "agreements.terminate", "agreements.terms", "board.unmet", "bulletins.rows",
    "bulletins.show", "clearing.pool", "clearing.proposal", "clearing.settings", "clearing.show",
    "directory.edit", "directory.page", "directory.withdraw", "documents.attach", "imports.show",
    "jobs.progress", "jobs.show", "mail.message", "matches.why_not_need",
    "matches.why_not_offer", "notices.unsubscribe", "parties.edit",
    "partners.invitation", "partners.pool", "plans.choose", "plans.edit_line", "plans.line",
    "plans.new_line", "plans.remove", "plans.show", "post_history.returned", "reports.rows",
    "searches.delete", "secretariat.replay", "secretariat.run", "secretariat.user",
    "webhooks.remove", "webhooks.show", "weights.tried",
}  # fmt: skip
"""Endpoints of one agreement, plan, round, run, …, of which there is none here."""

THEMES = (
    "water", "renewable_energy", "sustainable_tourism", "cleaner_production", "climate_change",
    "ecolabelling", "waste_management", "sustainable_cities", "agriculture_food", "msme",
)  # fmt: skip
SYLLABLES = ("ba", "den", "mir", "nos", "pul", "ra", "ses", "vo")
WORDS = [
    f"{one}{two}{three}"
    for one in ("ma", "te", "ri", "lo", "cu")
    for two in SYLLABLES
    for three in SYLLABLES
]
LANGUAGES = ("es", "en", "pt", "fr")


@pytest.fixture
def fill(exchange):
    """``fill(total)``: as many needs as offers, in bulk, until there are ``total`` posts."""
    numbers = itertools.count(1)

    def until(total):
        with exchange.writing() as session:
            homes = session.execute(
                select(Organisation.id, Organisation.country_code).where(
                    Organisation.code.like("gov-%")
                )
            ).all()
            givers = list(
                session.scalars(select(Organisation.id).where(Organisation.kind != "government"))
            )
            first = len(session.scalars(select(Post.id)).all())
            rows = [_row(next(numbers), n % 2 == 0, homes, givers) for n in range(first, total)]
            for model in (Need, Offer):
                mine = [values for made, values in rows if made is model]
                if mine:
                    session.execute(insert(model), mine)
            ids = dict(session.execute(select(Post.reference, Post.id)).all())
            fresh = [(ids[values["reference"]], n) for n, (_m, values) in enumerate(rows)]
            if not fresh:
                return
            session.execute(
                insert(Support),
                [{"post_id": i, "kind": "capacity_building", "detail": ""} for i, _n in fresh],
            )
            session.execute(insert(PostFacet), [facet for i, n in fresh for facet in _facets(i, n)])
            session.execute(
                insert(PostVersion),
                [{"post_id": i, "number": 1, "content": {"title": "x"}} for i, _n in fresh],
            )

    return until


def _row(number, is_need, homes, givers):
    home, country = homes[number % len(homes)]
    words = ["water", *(WORDS[(number * step) % len(WORDS)] for step in (1, 7, 31, 101, 211))]
    values = {
        "kind": "need" if is_need else "offer",
        "reference": f"bulk-{number:06d}",
        "organisation_id": home if is_need else givers[number % len(givers)],
        "status": PostStatus.PUBLISHED,
        "language": LANGUAGES[number % 4],
        "title": f"{' '.join(words)} {number}",
        "description": f"Number {number}: {' '.join(words)}.",
        "published_at": datetime.now(UTC) - timedelta(minutes=number),
        "expires_on": days(100 + number % 50),
        "closes": days(30 + number % 50),
        "version": 1,
        "revision": 1,
    }
    if is_need:
        return Need, {
            **values,
            "country_code": country,
            "places_covered": 0,
            "money_covered": Decimal(0),
        }
    return Offer, {**values, "places_committed": 0, "money_committed": Decimal(0)}


def _facets(post_id, number):
    yield {"post_id": post_id, "facet": "theme", "code": THEMES[number % len(THEMES)]}
    yield {"post_id": post_id, "facet": "ilac_area", "code": str(1 + number % 8)}
    yield {"post_id": post_id, "facet": "serves_subregion", "code": "regional"}


def test_every_page_is_asked_for(app):
    """A new page is added to ``PAGES``, or to the sets of those that show no lists of posts."""
    addresses = app.url_map.bind("localhost")
    asked = {
        addresses.match(page.format(need=1, offer=2).partition("?")[0])[0]
        for pages in PAGES.values()
        for page in pages
    }
    pages = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.endpoint.startswith("api_")
    }
    assert asked & (FILES | OF_ONE) == set()
    assert asked | FILES | OF_ONE == pages


def test_no_page_asks_more_often_for_more_posts(exchange, client, sign_in, count_queries, fill):
    with exchange.writing() as session:
        numbers = {
            "need": post_need(session, title="Train buyers").id,
            "offer": post_offer(session, title="Toolkit").id,
        }
        people = {role: make_person(session, role) for role in PAGES if role != Role.PUBLIC}
    browsers = {Role.PUBLIC: client} | {role: sign_in(user) for role, user in people.items()}
    asked: dict[str, list[int]] = {}

    def count(role, page):
        address = page.format(**numbers)
        with count_queries() as statements:
            answer = browsers[role].get(address)
        assert answer.status_code == 200, (role, address, answer.status_code)
        return len(statements)

    for size in SIZES:
        fill(size)
        for role, pages in PAGES.items():
            for page in pages:
                found = count(role, page)
                before = asked.setdefault(f"{role} {page}", [])
                # What a process keeps in memory is brought up to date by the first who asks.
                if found > min(before, default=0):
                    found = count(role, page)
                before.append(found)
    few, some, many = (
        dict(zip(asked, row, strict=True)) for row in zip(*asked.values(), strict=True)
    )
    most = {page: MORE_AT_MOST.get(page.partition(" ")[2], MOST) for page in many}
    assert {page: n for page, n in {**few, **many}.items() if n > most[page]} == {}
    assert {page: (some[page], n) for page, n in many.items() if n > some[page]} == {}
