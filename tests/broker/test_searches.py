"""Saved searches: the list that was kept, and alerts of what comes to meet it."""

from dataclasses import fields

import pytest
from sqlalchemy import select, update

from broker import posts
from broker.directory import save_entry, submit_entry
from broker.directory_search import DirectoryFilter
from broker.letters import send_letters, unsubscribe
from broker.mail import Folder, part_of
from broker.posts import PostFilter
from broker.searches import (
    MOST_SEARCHES,
    alert_searches,
    change_search,
    delete_search,
    filters_of,
    find_searches,
    get_search,
    kept_values,
    save_search,
)
from models import (
    Conflict,
    EntryKind,
    Frequency,
    InvalidInput,
    NotAllowed,
    NotFound,
    Notice,
    Post,
    PostStatus,
    Role,
    SavedSearch,
    User,
    utc_now,
)
from tests.broker.factories import days, find_organisation, make_person, post_need, post_offer

PROCUREMENT = PostFilter("need", themes=("sustainable_public_procurement",))

pytestmark = pytest.mark.usefixtures("backend")


def keep(exchange, session, person, filters=PROCUREMENT, name="Buying", frequency="at_once"):
    listing = f"{filters.kind}s" if isinstance(filters, PostFilter) else "directory"
    data = {"name": name, "frequency": frequency}
    return save_search(session, person, listing, filters, data, exchange.reference)


def publish(exchange, session, **facts):
    """A need that the secretariat publishes now."""
    office = session.scalar(select(User).where(User.role == Role.SECRETARIAT)) or make_person(
        session, Role.SECRETARIAT
    )
    need = post_need(session, facts.pop("organisation", "gov-pe"), status="submitted", **facts)
    posts.publish_post(session, office, need, today=days(0))
    session.flush()
    return need


def alerts(session, person):
    return list(
        session.scalars(
            select(Notice)
            .where(Notice.user_id == person.id, Notice.kind == "search.alert")
            .order_by(Notice.id)
        )
    )


class TestKeeping:
    def test_every_filter_comes_back_as_it_was(self):
        values = {
            "text": "agua y saneamiento",
            "organisation": "gov-pe",
            "since": days(-3),
            "open_only": True,
            "sort": "oldest",
        }
        for item in fields(PostFilter):
            if str(item.type).startswith("tuple"):
                values[item.name] = ("a", "b")
        filters = PostFilter("need", **values)
        kept = SavedSearch(listing="needs", filters=kept_values(filters))
        assert filters_of(kept) == filters
        assert kept_values(PostFilter("need")) == {}

    def test_every_filter_of_a_directory_comes_back_as_it_was(self):
        codes = {
            item.name: ("a", "b")
            for item in fields(DirectoryFilter)
            if str(item.type).startswith("tuple")
        }
        filters = DirectoryFilter(
            text="agua", organisation="gov-pe", expired=True, sort="title", **codes
        )
        kept = SavedSearch(listing="directory", filters=kept_values(filters))
        assert filters_of(kept) == filters
        assert kept_values(DirectoryFilter()) == {}

    def test_a_field_that_lists_no_longer_have_is_left_out(self):
        old = SavedSearch(listing="offers", filters={"colour": "green", "statuses": ["draft"]})
        assert filters_of(old) == PostFilter("offer")

    def test_a_double_click_keeps_it_once_and_a_name_stands_for_one_list(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.PROVIDER)
            first = keep(exchange, session, person)
            session.flush()
            assert keep(exchange, session, person) is first
            with pytest.raises(InvalidInput) as refused:
                keep(exchange, session, person, PostFilter("offer"))
            assert "name" in refused.value.fields

    @pytest.mark.parametrize("data", [{"name": " ", "frequency": "daily"}, {"name": "x"}])
    def test_a_name_and_a_choice_are_asked_for(self, exchange, data):
        with exchange.writing() as session:
            person = make_person(session, Role.PROVIDER)
            with pytest.raises(InvalidInput):
                save_search(session, person, "needs", PROCUREMENT, data, exchange.reference)

    def test_nobody_keeps_more_than_enough(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.PROVIDER)
            for number in range(MOST_SEARCHES):
                keep(exchange, session, person, name=f"Search {number}")
            with pytest.raises(Conflict):
                keep(exchange, session, person, name="One more")

    def test_it_is_its_owners_alone_to_change_and_delete(self, exchange):
        with exchange.writing() as session:
            person, other = make_person(session, Role.PROVIDER), make_person(session, Role.PROVIDER)
            search = keep(exchange, session, person)
            session.flush()
            for touch in (get_search, delete_search):
                with pytest.raises(NotFound):
                    touch(session, other, search.id)
            data = {"name": "Compras", "frequency": "weekly"}
            change_search(session, person, search.id, data, exchange.reference)
            assert (search.name, search.frequency) == ("Compras", "weekly")
            delete_search(session, person, search.id)
            assert list(session.scalars(find_searches(person))) == []


class TestAlerts:
    def test_a_new_post_is_told_once_to_those_who_look_for_it(self, exchange):
        with exchange.writing() as session:
            person, other = make_person(session, Role.PROVIDER), make_person(session, Role.PROVIDER)
            keep(exchange, session, person)
            keep(exchange, session, other, PostFilter("need", countries=("BR",)), "Brazil")
            need = publish(exchange, session, title="Train those who buy")
            (notice,) = alerts(session, person)
            assert notice.path == f"/needs/{need.id}"
            assert notice.facts["search"] == "Buying"
            assert alerts(session, other) == []
        assert alert_searches(exchange) == 0

    def test_two_searches_of_one_person_tell_apart(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.PROVIDER)
            keep(exchange, session, person)
            keep(exchange, session, person, PostFilter("need", countries=("PE",)), "Peru")
            publish(exchange, session)
            assert {n.facts["search"] for n in alerts(session, person)} == {"Buying", "Peru"}

    def test_older_posts_ones_own_and_searches_without_alerts_tell_nothing(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.PROVIDER)
            colleague = make_person(session, Role.FOCAL_POINT)
            post_need(session, published_on=days(-2))
            keep(exchange, session, person, frequency="never")
            keep(exchange, session, colleague)
            publish(exchange, session)
            assert alerts(session, person) == alerts(session, colleague) == []
        assert alert_searches(exchange) == 0

    def test_a_draft_is_never_told_of(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.PROVIDER)
            keep(exchange, session, person)
            for status in ("draft", "submitted", "withdrawn"):
                draft = post_need(session, status=status)
                draft.published_at = utc_now()
        assert alert_searches(exchange) == 0

    def test_the_routine_tells_of_what_came_in_another_way(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.PROVIDER)
            keep(exchange, session, person)
            keep(exchange, session, person, PostFilter("offer"), "Any offer")
            for post in (post_need(session), post_offer(session)):
                session.flush()
                session.execute(
                    update(Post).where(Post.id == post.id).values(published_at=utc_now())
                )
        assert alert_searches(exchange) == 2
        assert alert_searches(exchange) == 0

    def test_words_find_a_post_of_another_language_a_minute_later(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.PROVIDER)
            keep(exchange, session, person, PostFilter("need", text="compras públicas"), "Compras")
            keep(exchange, session, person, PostFilter("need", text="glaciares"), "Hielo")
            publish(exchange, session, title="Train people in public procurement")
            assert alerts(session, person) == []
        assert alert_searches(exchange) == 1
        with exchange.reading() as session:
            assert alerts(session, person)[0].facts["search"] == "Compras"

    def test_a_ranked_list_tells_of_needs_that_ones_own_offers_can_serve(self, exchange):
        data = {"name": "For us", "frequency": "at_once"}
        narrow = PostFilter("need", subregions=("andean",), text="ignored here", sort="title")
        with exchange.writing() as session:
            force = make_person(session, Role.TASK_FORCE)
            idle = make_person(session, Role.PROVIDER)
            focal = make_person(session, Role.COORDINATOR)
            post_offer(session)
            for person, filters in ((force, narrow), (idle, PostFilter("need"))):
                save_search(session, person, "ranked", filters, data, exchange.reference)
            with pytest.raises(NotAllowed):
                save_search(session, focal, "ranked", narrow, data, exchange.reference)
            (kept,) = session.scalars(find_searches(force))
            assert kept.filters == {"subregions": ["andean"]}
            need = publish(exchange, session)
            other = publish(exchange, session, organisation="gov-br")
            assert need.id != other.id
            assert alerts(session, force) == []
        assert alert_searches(exchange) == 1
        with exchange.reading() as session:
            assert [notice.entity_id for notice in alerts(session, force)] == [need.id]
            assert alerts(session, idle) == []

    def test_a_post_published_without_review_is_told_of_too(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.PROVIDER)
            author = make_person(session, Role.FOCAL_POINT)
            keep(exchange, session, person)
            draft = post_need(session, status="draft", author=author)
            draft.organisation.trusted = True
            posts.submit_post(session, author, draft, exchange.reference, today=days(0))
            assert draft.status == PostStatus.PUBLISHED
            assert len(alerts(session, person)) == 1

    def test_looking_through_many_searches_takes_few_statements(self, exchange, count_queries):
        with exchange.writing() as session:
            for number in range(4):
                person = make_person(session, Role.PROVIDER)
                for theme in ("energy", "water", "waste", "tourism", "transport"):
                    filters = PostFilter("need", themes=(theme, f"code-{number}"))
                    keep(exchange, session, person, filters, theme)
            session.flush()
            with count_queries() as statements:
                publish(exchange, session)
            assert len([s for s in statements if s.startswith("SELECT")]) < 15


def test_an_alert_comes_by_mail_and_its_link_ends_this_search_alone(exchange):
    with exchange.writing() as session:
        person = make_person(session, Role.PROVIDER, language="es")
        search = keep(exchange, session, person)
        other = keep(exchange, session, person, PostFilter("need", countries=("PE",)), "Peru")
        other.frequency = Frequency.DAILY
        publish(exchange, session, title="Train those who buy")
    assert send_letters(exchange).sent == 1
    (name,) = Folder(exchange.settings).names()
    text = part_of(Folder(exchange.settings).read(name), "plain")
    assert "Train those who buy" in text
    token = text.split("/unsubscribe/")[1].split()[0]
    with exchange.writing() as session:
        ended = unsubscribe(session, exchange.settings, token)
        assert [kept.id for kept in ended.searches] == [search.id]
    with exchange.writing() as session:
        publish(exchange, session)
        told = alerts(session, person)
        assert [notice.facts["search"] for notice in told] == ["Buying", "Peru", "Peru"]


class TestDirectories:
    WATER = DirectoryFilter(kinds=("practice",), themes=("water",))

    def publish(self, exchange, session, organisation="gov-pe", **facts):
        """An entry that is public at once: its organisation is trusted."""
        office = make_person(session, Role.SECRETARIAT)
        find_organisation(session, organisation).trusted = True
        said = {
            "title": "Lavado en circuito cerrado",
            "description": "Tres curtiembres reutilizan el agua del remojo.",
            "themes": ["water"],
            "language": "es",
            "organisation": organisation,
            **facts,
        }
        entry = save_entry(session, office, EntryKind.PRACTICE, said, exchange.reference)
        submit_entry(session, office, entry, exchange.reference, today=days(0))
        session.flush()
        return entry

    def test_an_entry_that_meets_a_search_is_told_once_when_it_is_published(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.PROVIDER)
            elsewhere = make_person(session, Role.PROVIDER)
            keep(exchange, session, person, self.WATER)
            keep(exchange, session, elsewhere, DirectoryFilter(kinds=("specialist",)))
            entry = self.publish(exchange, session)
            (told,) = alerts(session, person)
            assert (told.path, told.facts["title"]) == (
                f"/directory/entries/{entry.id}",
                {"es": "Lavado en circuito cerrado"},
            )
            assert not alerts(session, elsewhere)
        alert_searches(exchange)
        with exchange.reading() as session:
            assert len(alerts(session, person)) == 1

    def test_words_are_looked_for_by_the_routine(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.PROVIDER)
            keep(exchange, session, person, DirectoryFilter(text="curtiembre"))
            keep(exchange, session, person, DirectoryFilter(text="biogas"), name="Other words")
            self.publish(exchange, session)
            assert not alerts(session, person)
        alert_searches(exchange)
        with exchange.reading() as session:
            (told,) = alerts(session, person)
            assert told.facts["search"] == "Buying"
