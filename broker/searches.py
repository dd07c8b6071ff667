"""Saved searches: keep a filtered list by name, and hear of what comes to meet it.

A saved search keeps the values of the list's own filter, :class:`broker.posts.PostFilter` or
:class:`broker.directory_search.DirectoryFilter`, so that the list and its alerts can never mean
different things.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, literal, select, union_all
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.desk import own_offers
from broker.directory import WHOLE as WHOLE_ENTRY
from broker.directory_search import DirectoryFilter, DirectoryResults, find_entries, search_entries
from broker.exchange import Exchange
from broker.jobs import routine
from broker.matches import NeedFilter, rank_across
from broker.notices import FREQUENCY_NAMES, News, frequency_field, tell
from broker.posts import CLASSES, WHOLE, PostFilter, find_posts
from broker.reference import Reference
from broker.schemas import Strict, Text, load
from broker.search import Results, search_posts
from models import (
    LIVE,
    Conflict,
    Entry,
    Frequency,
    InvalidInput,
    Need,
    NotAllowed,
    NotFound,
    Notice,
    Offer,
    Post,
    RoutineTurn,
    SavedSearch,
    User,
    utc_now,
)

MOST_SEARCHES = 50
"""Searches that one person can keep."""

MOST_IN_TRANSACTION = 100
"""Different searches that are looked at while a post is published; with more of them the routine
does it a minute later, so that publishing stays quick."""

AT_A_TIME = 40
"""Searches that one statement looks at."""

LOOK_BACK = timedelta(days=2)
"""How far back the routine looks for new posts the first time, and after it failed."""

OVERLAP = timedelta(minutes=5)
"""Longer than any transaction that publishes: what it keeps late is still seen as new."""


ListFilter = PostFilter | DirectoryFilter
Listed = Post | Entry
"""What stands in a list that can be searched."""


@dataclass(frozen=True)
class Listing:
    """A list that can be searched: its name, its page, and its filter with nothing asked for.

    A ``ranked`` one holds the needs that one's own offers can serve; its filters are those of
    :class:`broker.matches.NeedFilter`.
    """

    name: Any
    endpoint: str
    whole: ListFilter
    ranked: bool = False


LISTINGS = {
    "needs": Listing(_l("Needs"), "posts.needs", PostFilter("need")),
    "offers": Listing(_l("Offers"), "posts.offers", PostFilter("offer")),
    "ranked": Listing(
        _l("Needs that your offers can serve"),
        "desk.ranked_needs",
        PostFilter("need"),
        ranked=True,
    ),
    "directory": Listing(_l("Directories"), "directory.entries", DirectoryFilter()),
}
"""Lists whose filters can be saved."""

RANKED_BY = ("themes", "subregions", "support_kinds")
"""Fields of a filter that a ranked list has, beside the bands of the score."""

ALERT_NAMES = {**FREQUENCY_NAMES, Frequency.NEVER: _l("no alerts")}
"""How soon one hears of what is new → its name."""

NOT_KEPT = frozenset({"kind", "statuses", "organisation_id"})
"""Fields of a filter that the list itself sets."""


class SearchSchema(Strict):
    """How a saved search is called, and how soon its alerts come by e-mail."""

    name = Text(80, required=True)
    frequency = frequency_field()


def kept_values(filters: ListFilter) -> dict[str, Any]:
    """What differs from the whole list, as JSON can hold it."""
    whole = PostFilter(filters.kind) if isinstance(filters, PostFilter) else DirectoryFilter()
    values: dict[str, Any] = {}
    for item in fields(filters):
        value = getattr(filters, item.name)
        if item.name in NOT_KEPT or value == getattr(whole, item.name):
            continue
        if isinstance(value, date):
            value = value.isoformat()
        values[item.name] = list(value) if isinstance(value, tuple) else value
    return values


def filters_of(search: SavedSearch) -> ListFilter:
    """The filters of a saved search; fields that lists no longer have are left out."""
    whole = LISTINGS[search.listing].whole
    known = {item.name: item.type for item in fields(whole)}
    values: dict[str, Any] = {}
    for name, value in search.filters.items():
        if name not in known or name in NOT_KEPT:
            continue
        if isinstance(value, list):
            values[name] = tuple(value)
        elif "date" in str(known[name]) and isinstance(value, str):
            values[name] = date.fromisoformat(value)
        else:
            values[name] = value
    return replace(whole, **values)


def save_search(
    session: Session,
    by: User,
    listing: str,
    filters: ListFilter,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    bands: Sequence[str] = (),
) -> SavedSearch:
    """Keep a filtered list by name. The same list under the same name is kept once.

    Parameters
    ----------
    bands : sequence of str
        Of a ranked list, the bands of the score to which it is narrowed.

    Raises
    ------
    NotFound
        If there is no such list.
    NotAllowed
        For a ranked list, if the person's role posts no offers.
    InvalidInput
        Without a name, or with one that another search of the person has.
    Conflict
        If she keeps as many as anybody can.
    """
    if listing not in LISTINGS:
        raise NotFound("no_such_page")
    if LISTINGS[listing].ranked and not by.may_post("offer"):
        raise NotAllowed("role_needed")
    values = load(SearchSchema, data, reference)
    own = list(session.scalars(find_searches(by)))
    kept = kept_values(filters)
    if LISTINGS[listing].ranked:
        kept = {name: value for name, value in kept.items() if name in RANKED_BY}
        kept |= {"bands": sorted(bands)} if bands else {}
    for search in own:
        if search.name == values["name"]:
            if (search.listing, search.filters) == (listing, kept):
                search.frequency = values["frequency"]
                return search
            raise InvalidInput({"name": [("name_taken", {"name": search.name})]})
    if len(own) >= MOST_SEARCHES:
        raise Conflict("too_many_searches", most=MOST_SEARCHES)
    made = SavedSearch(
        user=by,
        name=values["name"],
        listing=listing,
        filters=kept,
        frequency=values["frequency"],
    )
    session.add(made)
    record(session, by, "search.saved", made, after={"name": made.name, "listing": listing})
    return made


def find_searches(by: User) -> Select[SavedSearch]:
    """A query for a person's saved searches, by name."""
    return (
        select(SavedSearch)
        .where(SavedSearch.user_id == by.id)
        .order_by(func.lower(SavedSearch.name), SavedSearch.id)
    )


def get_search(session: Session, by: User, search_id: int) -> SavedSearch:
    """One of the person's own searches; raises :class:`models.errors.NotFound` for any other."""
    search = session.get(SavedSearch, search_id)
    if search is None or search.user_id != by.id:
        raise NotFound("no_such_search", id=search_id)
    return search


def change_search(
    session: Session, by: User, search_id: int, data: Mapping[str, Any], reference: Reference
) -> SavedSearch:
    """Give a saved search another name, or other alerts.

    Raises
    ------
    NotFound, InvalidInput
        See :func:`get_search` and :func:`save_search`.
    """
    search = get_search(session, by, search_id)
    values = load(SearchSchema, data, reference)
    for other in session.scalars(find_searches(by)):
        if other is not search and other.name == values["name"]:
            raise InvalidInput({"name": [("name_taken", {"name": other.name})]})
    before = {"name": search.name, "frequency": search.frequency}
    search.name, search.frequency = values["name"], values["frequency"]
    record(session, by, "search.changed", search, before=before, after=dict(values))
    return search


def delete_search(session: Session, by: User, search_id: int) -> SavedSearch:
    """Forget a saved search; what it has told already stays."""
    search = get_search(session, by, search_id)
    record(session, by, "search.deleted", search, before={"name": search.name})
    session.delete(search)
    return search


# --- Alerts ----------------------------------------------------------------------------------


def alert_of(session: Session, published: Listed) -> int:
    """Tell those whose saved search a new post or directory entry meets; tells how many.

    Searches for words, ranked lists, and very many searches are left to :func:`alert_searches`:
    the index of words and the engine know a post once it is kept.
    """
    groups = [
        group
        for group in _by_filters(_searches_for(session, _model_of(published)))
        if not _sought(group).text and not _is_ranked(group)
    ]
    if not groups or len(groups) > MOST_IN_TRANSACTION:
        return 0
    session.flush()
    met = _meeting(session, groups, [published.id])
    return _alert(session, {published.id: published}, met)


@routine(every=timedelta(minutes=1))
def alert_searches(exchange: Exchange) -> int:
    """Tell of what is new, and of which nobody was told when it was published."""
    told = 0
    # Words are looked for without holding the database's write lock.
    with exchange.reading() as session:
        since = _last_look(session)
        for model, whole in ((Need, WHOLE), (Offer, WHOLE), (Entry, WHOLE_ENTRY)):
            new = _published_since(session, model, whole, since)
            groups = _by_filters(_searches_for(session, model)) if new else []
            ranked = [group for group in groups if _is_ranked(group)]
            lists = [group for group in groups if not _is_ranked(group)]
            by_words = [group for group in lists if _sought(group).text]
            by_codes = [group for group in lists if not _sought(group).text]
            met = [*_meeting(session, by_codes, list(new))]
            met += _found(exchange, session, by_words, set(new))
            met += _served(exchange, session, ranked, set(new))
            if met:
                with exchange.writing() as telling:
                    told += _alert(telling, new, met)
    return told


def _published_since(
    session: Session, model: type[Listed], whole: Iterable[Any], since: datetime
) -> dict[int, Listed]:
    query: Select[Any] = select(model).where(model.published_at > since).options(*whole)
    return {one.id: one for one in session.scalars(query.order_by(model.id))}


def _last_look(session: Session) -> datetime:
    """From when on posts are new to the routine: a little before it last ended well."""
    turn = session.get(RoutineTurn, "alert_searches")
    if turn is None or turn.finished_at is None or turn.problem:
        return utc_now() - LOOK_BACK
    return turn.finished_at - OVERLAP


Group = list[SavedSearch]
"""Saved searches that look for the same: each list is asked for once."""


def _model_of(one: Listed | ListFilter) -> type[Listed]:
    """The model of what stands in a list, or passes a filter."""
    if isinstance(one, Entry | DirectoryFilter):
        return Entry
    return CLASSES[one.kind]


def _searches_for(session: Session, model: type[Listed]) -> list[SavedSearch]:
    lists = [name for name, listing in LISTINGS.items() if _model_of(listing.whole) is model]
    return list(
        session.scalars(
            select(SavedSearch)
            .where(SavedSearch.listing.in_(lists), SavedSearch.frequency != Frequency.NEVER)
            .options(selectinload(SavedSearch.user))
            .order_by(SavedSearch.id)
        )
    )


def _by_filters(searches: Iterable[SavedSearch]) -> list[Group]:
    groups: dict[str, Group] = {}
    for search in searches:
        sought = {name: value for name, value in search.filters.items() if name != "sort"}
        # A ranked list is another one for every provider.
        whose = search.user.organisation_id if LISTINGS[search.listing].ranked else 0
        key = json.dumps([search.listing, whose, sought], sort_keys=True)
        groups.setdefault(key, []).append(search)
    return list(groups.values())


def _is_ranked(group: Group) -> bool:
    return LISTINGS[group[0].listing].ranked


def _sought(group: Group) -> ListFilter:
    return replace(filters_of(group[0]), sort="newest")


def _meeting(
    session: Session, groups: Sequence[Group], ids: Sequence[int]
) -> Iterator[tuple[Group, int]]:
    """Each group with each of ``ids`` that meets its filters; many groups a statement."""
    for first in range(0, len(ids), 500):
        some_ids = ids[first : first + 500]
        for start in range(0, len(groups), AT_A_TIME):
            some = groups[start : start + AT_A_TIME]
            queries = []
            for number, group in enumerate(some):
                found = _passing(session, _sought(group), some_ids).subquery()
                queries.append(select(literal(number).label("number"), found.c[0].label("id")))
            for row in session.execute(union_all(*queries)):
                yield some[row.number], row.id


def _passing(session: Session, filters: ListFilter, ids: Sequence[int]) -> Select[Any]:
    """A query for those of ``ids`` that meet a filter without words."""
    if isinstance(filters, DirectoryFilter):
        among = select(Entry.id).where(Entry.id.in_(ids))
        on = session.info["exchange"].today()
        return find_entries(filters, Entry.id, on=on, among=among)
    among = select(Post.id).where(Post.id.in_(ids))
    return find_posts(filters, among=among, ids_only=True).order_by(None)


def _found(
    exchange: Exchange, session: Session, groups: Iterable[Group], ids: set[int]
) -> Iterator[tuple[Group, int]]:
    """Each group with each of ``ids`` that has its words and meets its filters.

    A list also shows what has some of the words, or means the like; an alert is stricter.
    """
    for group in groups:
        sought = _sought(group)
        results: Results | DirectoryResults
        if isinstance(sought, DirectoryFilter):
            results = search_entries(exchange, session, sought, on=exchange.today())
        else:
            results = search_posts(exchange, session, sought)
        if not results.found.partly:
            for number in ids.intersection(results.ids) - results.found.meant:
                yield group, number


def _served(
    exchange: Exchange, session: Session, groups: Iterable[Group], ids: set[int]
) -> Iterator[tuple[Group, int]]:
    """Each group with each need among ``ids`` that an offer of its organisation can serve."""
    for group in groups:
        search, sought = group[0], _sought(group)
        assert isinstance(sought, PostFilter)  # noqa: S101 - ranked lists hold needs alone
        offers = session.scalars(own_offers(search.user).where(Post.status.in_(LIVE)))
        filters = NeedFilter(
            themes=sought.themes,
            subregions=sought.subregions,
            support_kinds=sought.support_kinds,
            bands=tuple(search.filters.get("bands", ())),
        )
        live = [offer for offer in offers if isinstance(offer, Offer)]
        for found in rank_across(exchange, session, live, filters, on=exchange.today()):
            if found.need_id in ids:
                yield group, found.need_id


def _alert(
    session: Session, published: Mapping[int, Listed], met: Iterable[tuple[Group, int]]
) -> int:
    news = []
    for group, number in met:
        one = published[number]
        for search in group:
            since = one.published_at
            is_new = since is not None and since >= search.created_at
            if is_new and one.organisation_id != search.user.organisation_id:
                news.append(_alert_for(search, one))
    return len(tell(session, "search.alert", news))


def _alert_for(search: SavedSearch, one: Listed) -> News:
    facts = {
        "search": search.name,
        "search_id": search.id,
        "title": one.titles(),
        "organisation": one.organisation.names,
    }
    once = f"search:{search.id}:{one.id}"
    return News([search.user], one, facts, once=once, frequency=Frequency(search.frequency))


def count_alerts(session: Session, by: User) -> dict[int, int]:
    """Number of a saved search → of how much it has told that is not read yet."""
    rows = session.scalars(
        select(Notice.facts).where(
            Notice.user_id == by.id, Notice.kind == "search.alert", Notice.read_at.is_(None)
        )
    )
    counts: dict[int, int] = {}
    for facts in rows:
        counts[facts["search_id"]] = counts.get(facts["search_id"], 0) + 1
    return counts
