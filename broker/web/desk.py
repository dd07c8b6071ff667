"""Pages of one's own place: needs with their coverage, the portfolio of offers, ranked needs."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from flask import Blueprint, render_template, request
from flask_babel import ngettext

from broker.desk import (
    NEEDS_SHOWN,
    lay_out_desk,
    lay_out_needs,
    own_live_needs,
    own_offers,
    sketch_country,
)
from broker.explanations import BAND_NAMES
from broker.matches import NeedFilter, rank_across, with_reasons
from broker.task_forces import force_of, needs_in_queue, who_is_interested
from broker.web.access import OFFER_POSTERS, allow, person
from broker.web.presentation import PAGE_SIZE, Page, paginate
from broker.web.reading import database, exchange, today
from models import LIVE, Offer, Role, User, utc_now

pages = Blueprint("desk", __name__)

NEED_WRITERS = frozenset({Role.FOCAL_POINT, Role.COORDINATOR, Role.DELEGATE})

FIRST_FEW = 5
"""Ranked needs, offers and needs of a queue that the desk itself shows."""

MOST_OFFERS = 50
"""Offers across which needs are ranked, the latest changed."""


def render_desk(**more: Any) -> str:
    """One's own place, as ``/desk`` shows it: what waits first, then what belongs to the role.

    ``more`` is what other parts of the application lay on the desk.
    """
    session, by = database(), person()
    desk = lay_out_desk(session, by, today=today())
    waiting = ngettext("%(num)s thing waits for you", "%(num)s things wait for you", desk.waiting)
    needs = session.scalars(own_live_needs(by).limit(NEEDS_SHOWN)).all()
    offers = _live_offers(by)
    ranked = rank_across(exchange(), session, offers, NeedFilter(), on=today()) if offers else []
    force = force_of(session, by)
    queue = session.scalars(needs_in_queue(force).limit(FIRST_FEW)).all() if force else []
    return render_template(
        "posts/desk.html",
        desk=desk,
        waiting=waiting,
        lines=lay_out_needs(exchange(), session, needs, on=today()),
        sketch=sketch_country(session, by) if by.role == Role.FOCAL_POINT else None,
        offers=offers[:FIRST_FEW],
        offers_in_all=len(offers),
        ranked=with_reasons(exchange(), session, ranked[:FIRST_FEW], on=today()),
        ranked_in_all=len(ranked),
        force=force,
        queue=queue,
        interest=who_is_interested(session, queue),
        now=utc_now(),
        **more,
    )


def _live_offers(by: User) -> list[Offer]:
    if not by.may_post("offer"):
        return []
    query = own_offers(by).where(Offer.status.in_(LIVE)).limit(MOST_OFFERS)
    return [post for post in database().scalars(query) if isinstance(post, Offer)]


@pages.get("/desk/needs")
@allow(NEED_WRITERS)
def needs() -> str:
    """One's needs on the exchange: what covers each, and its best offers."""
    session = database()
    page = paginate(session, own_live_needs(person()), 10)
    return render_template(
        "desk/needs.html",
        page=page,
        lines=lay_out_needs(exchange(), session, page.rows, on=today()),
    )


@pages.get("/desk/offers")
@allow(OFFER_POSTERS)
def portfolio() -> str:
    """One's offers, each with the places and the money that are left."""
    return render_template("desk/offers.html", page=paginate(database(), own_offers(person())))


def _filters() -> NeedFilter:
    reference = exchange().reference

    def known(parameter: str, codes: Container[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c for c in request.args.getlist(parameter) if c in codes))

    return NeedFilter(
        themes=known("theme", set(reference.codes("theme"))),
        subregions=known("subregion", set(reference.codes("subregion"))),
        support_kinds=known("support_kind", reference.kinds()),
        bands=known("band", BAND_NAMES),
    )


@pages.get("/desk/ranked-needs")
@allow(OFFER_POSTERS)
def ranked_needs() -> str:
    """The needs that any of one's offers can serve, in one list, best first."""
    session, filters = database(), _filters()
    ranked = rank_across(exchange(), session, _live_offers(person()), filters, on=today())
    asked = request.args.get("page", "1")
    last = max(1, -(-len(ranked) // PAGE_SIZE))
    number = min(max(int(asked) if asked.isdecimal() and len(asked) < 9 else 1, 1), last)
    first = (number - 1) * PAGE_SIZE
    rows = with_reasons(exchange(), session, ranked[first : first + PAGE_SIZE], on=today())
    return render_template(
        "desk/ranked_needs.html",
        page=Page(list(rows), number, len(ranked)),
        filters=filters,
        bands=BAND_NAMES,
        kinds=exchange().reference.kinds(),
        standing=exchange().engine.standing,
    )
