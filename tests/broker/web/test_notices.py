"""Pages of being told: notices, choices, unsubscribing, saved searches, the clock, the mail."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from broker import posts
from broker.letters import unsubscribe_address
from broker.notices import find_notices, mail_choices, notify
from broker.web import create_app
from models import (
    Frequency,
    Letter,
    Post,
    Role,
    SavedSearch,
    User,
    utc_now,
)
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.broker.web.forms_of import form_to, forms_of


def tell(exchange, user, count=1, **facts):
    with exchange.writing() as session:
        need = post_need(session)
        person = session.get_one(User, user.id)
        for _ in range(count):
            notify(session, [person], "post.published", need, title={"en": "Buyers"}, **facts)
        return need.id


@pytest.fixture
def author(exchange):
    with exchange.writing() as session:
        return make_person(session, Role.FOCAL_POINT)


@pytest.fixture
def office(exchange, sign_in):
    return sign_in(Role.SECRETARIAT)


def notices(exchange, user):
    with exchange.reading() as session:
        found = list(session.scalars(find_notices(user)))
        session.expunge_all()
        return found


class TestNotices:
    def test_the_masthead_counts_what_is_not_read_on_every_page(self, exchange, author, sign_in):
        reader = sign_in(author)
        tell(exchange, author, 3)
        assert re.search(r"Notices <span class=\"count-badge\">3<", reader.get("/needs").text)

    def test_a_notice_leads_to_what_it_is_about_and_is_read_once(self, exchange, author, sign_in):
        reader = sign_in(author)
        need_id = tell(exchange, author, comment="Well <b>done</b>")
        page = reader.get("/notices").text
        assert "Your post “Buyers” is on the exchange." in page
        assert "Well &lt;b&gt;done&lt;/b&gt;" in page
        assert f'href="/needs/{need_id}"' in page
        (notice,) = notices(exchange, author)
        for _ in range(2):
            answer = reader.post(f"/notices/{notice.id}/read", data={"next": "/notices?page=1"})
            assert answer.headers["Location"] == "/notices?page=1"
        assert not notices(exchange, author)[0].is_unread
        assert "Mark as read" not in reader.get("/notices").text
        assert "You have read everything" in reader.get("/notices?unread=1").text

    def test_it_is_said_in_the_language_of_the_moment(self, exchange, author, sign_in):
        reader = sign_in(author)
        tell(exchange, author)
        english = reader.get("/notices").text
        reader.post("/language/es")
        assert '<html lang="es">' in reader.get("/notices").text
        assert '<html lang="en">' in english

    def test_another_persons_notice_is_not_there(self, exchange, author, sign_in):
        tell(exchange, author)
        (notice,) = notices(exchange, author)
        assert sign_in(Role.PROVIDER).post(f"/notices/{notice.id}/read").status_code == 404

    def test_all_are_marked_at_once_of_one_topic_or_of_all(self, exchange, author, sign_in):
        reader = sign_in(author)
        tell(exchange, author, 3)
        reader.post("/notices/read", data={"topic": "interest", "until": utc_now().isoformat()})
        assert sum(n.is_unread for n in notices(exchange, author)) == 3
        answer = reader.post("/notices/read", data={"until": "nonsense"}, follow_redirects=True)
        assert "3 notices are marked as read." in answer.text
        assert not any(n.is_unread for n in notices(exchange, author))

    def test_a_thousand_notices_take_the_queries_of_one(
        self, exchange, author, sign_in, count_queries
    ):
        reader = sign_in(author)
        counted = []
        for count in (1, 1, 1000):
            tell(exchange, author, count)
            with count_queries() as statements:
                page = reader.get("/notices?topic=post").text
            counted.append(len(statements))
        # The first page reads the reference data, once for the process.
        assert counted[1] == counted[2]
        assert "Page 1 of 51" in page

    def test_an_empty_list_says_what_will_stand_there(self, author, sign_in):
        assert "There is no notice yet." in sign_in(author).get("/notices").text


class TestChoices:
    def test_each_topic_is_chosen_and_what_is_not_hers_is_not_shown(
        self, exchange, author, sign_in
    ):
        reader = sign_in(author)
        page = reader.get("/account/notices").text
        assert 'name="review"' not in page
        (form,) = [form for form in forms_of(page) if "milestone" in form.fields]
        data = {**form.fields, "interest": "weekly", "post": "never"}
        assert reader.post("/account/notices", data=data).status_code == 302
        with exchange.reading() as session:
            chosen = mail_choices(session, author)
        assert (chosen["interest"], chosen["post"]) == (Frequency.WEEKLY, Frequency.NEVER)

    @pytest.mark.parametrize("value", ["hourly", "", "<script>"])
    def test_a_choice_that_does_not_exist_is_refused(self, exchange, author, sign_in, value):
        answer = sign_in(author).post("/account/notices", data={"post": value})
        assert answer.status_code == 422
        with exchange.reading() as session:
            assert mail_choices(session, author)["post"] == Frequency.AT_ONCE

    def test_the_account_leads_there(self, author, sign_in):
        assert 'href="/account/notices"' in sign_in(author).get("/account").text


class TestUnsubscribing:
    @pytest.fixture
    def link(self, exchange, author):
        address = unsubscribe_address(exchange.settings, author, ["post", "interest"])
        return address.removeprefix(exchange.settings.site)

    def chosen(self, exchange, author):
        with exchange.reading() as session:
            return mail_choices(session, author)["post"]

    def test_a_scanner_that_opens_the_link_ends_nothing(self, exchange, author, client, link):
        for method in ("get", "head"):
            assert getattr(client, method)(link).status_code == 200
        assert "End these e-mails" in client.get(link).text
        assert self.chosen(exchange, author) == Frequency.AT_ONCE

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_the_page_speaks_the_language_of_the_letter(self, exchange, client, link, method):
        with exchange.writing() as session:
            for user in session.scalars(select(User)):
                user.language = "pt"
        page = getattr(client, method)(link, headers={"Accept-Language": "fr"})
        assert '<html lang="pt">' in page.text
        assert '<html lang="fr">' in client.get("/", headers={"Accept-Language": "fr"}).text

    def test_a_language_chosen_on_the_page_is_kept(self, client, link):
        client.post("/language/fr", data={"next": link})
        assert '<html lang="fr">' in client.get(link).text

    def test_the_button_ends_it_without_signing_in_and_twice_is_once(
        self, exchange, author, client, link
    ):
        for _ in range(2):
            page = client.post(link)
            assert page.status_code == 200
            assert "you receive no more e-mail" in page.text
            assert 'href="/account/notices"' in page.text
        assert self.chosen(exchange, author) == Frequency.NEVER

    def test_a_mail_programs_own_button_needs_no_token_of_a_form(self, exchange, author, link):
        guarded = create_app(exchange=exchange)
        answer = guarded.test_client().post(link, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert self.chosen(exchange, author) == Frequency.NEVER

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_a_broken_link_says_what_to_do(self, exchange, author, client, link, method):
        answer = getattr(client, method)(link[:-4])
        assert answer.status_code == 400
        assert "Copy the whole link" in answer.text
        assert self.chosen(exchange, author) == Frequency.AT_ONCE

    def test_the_search_of_an_old_letter_may_be_gone(self, exchange, author, client):
        link = unsubscribe_address(exchange.settings, author, ["search:77"])
        page = client.get(link.removeprefix(exchange.settings.site))
        assert "deleted already" in page.text


class TestSearches:
    QUERY = "theme=sustainable_public_procurement&country=PE&q=agua&sort=oldest&open=1"

    def save(self, reader, **data):
        return reader.post(
            "/searches",
            data={
                "listing": "needs",
                "query": self.QUERY,
                "name": "Buyers",
                "frequency": "daily",
                **data,
            },
        )

    def test_a_list_is_kept_opened_changed_and_deleted(self, exchange, author, sign_in):
        reader = sign_in(author)
        form = form_to(reader.get(f"/needs?{self.QUERY}").text, "/searches")
        sent = {**form.fields, "name": "Buyers", "frequency": "weekly"}
        assert reader.post("/searches", data=sent).status_code == 302
        page = reader.get("/searches").text
        address = re.search(r'<h2><a href="([^"]+)">Buyers', page).group(1).replace("&amp;", "&")
        for part in self.QUERY.split("&"):
            assert part in address
        assert reader.get(address).status_code == 200
        with exchange.reading() as session:
            number = session.scalar(select(SavedSearch.id))
        reader.post(f"/searches/{number}", data={"name": "Compras", "frequency": "never"})
        assert "Compras" in reader.get("/searches").text
        asked = reader.get(f"/searches/{number}/delete").text
        assert "Delete the search “Compras”?" in asked
        reader.post(f"/searches/{number}/delete")
        assert "You keep no search yet." in reader.get("/searches").text
        assert reader.post(f"/searches/{number}/delete").status_code == 404

    def test_the_ranked_needs_of_all_offers_are_kept_with_their_bands(self, exchange, sign_in):
        reader = sign_in(Role.TASK_FORCE)
        page = reader.get("/desk/ranked-needs?subregion=andean&band=strong")
        form = form_to(page.text, "/searches")
        reader.post("/searches", data={**form.fields, "name": "Ours"})
        with exchange.reading() as session:
            (kept,) = session.scalars(select(SavedSearch))
            assert (kept.listing, kept.filters) == (
                "ranked",
                {"subregions": ["andean"], "bands": ["strong"]},
            )
        assert "/desk/ranked-needs?subregion=andean&amp;band=strong" in reader.get("/searches").text
        focal = self.save(sign_in(Role.COORDINATOR), listing="ranked")
        assert focal.status_code == 403

    def test_offers_are_kept_too_and_a_strange_list_is_not(self, exchange, author, sign_in):
        reader = sign_in(author)
        assert self.save(reader, listing="offers").status_code == 302
        assert self.save(reader, listing="users").status_code == 404

    @pytest.mark.parametrize(
        "data", [{"name": ""}, {"frequency": "often"}, {"name": "x" * 81}, {"name": "\u202e"}]
    )
    def test_what_is_missing_is_asked_for_and_what_was_typed_is_kept(self, author, sign_in, data):
        answer = self.save(sign_in(author), **data)
        assert answer.status_code == 422
        assert "has-problem" in answer.text
        assert "theme=sustainable_public_procurement" in answer.text

    def test_a_name_that_is_taken_is_told_beside_its_field(self, exchange, author, sign_in):
        reader = sign_in(author)
        self.save(reader)
        self.save(reader, name="Other", query="country=BR")
        assert self.save(reader, query="country=BR").status_code == 422
        with exchange.reading() as session:
            other = session.scalar(select(SavedSearch.id).where(SavedSearch.name == "Other"))
        answer = reader.post(f"/searches/{other}", data={"name": "Buyers", "frequency": "daily"})
        assert answer.status_code == 422
        assert "Choose another name" in answer.text

    def test_a_query_of_any_length_and_kind_is_read(self, author, sign_in):
        reader = sign_in(author)
        odd = "theme=" + "x" * 9000 + "&q=%00%ff&since=never&page=9&sort=up"
        assert self.save(reader, query=odd).status_code == 302
        assert reader.get("/searches").status_code == 200

    def test_the_public_is_asked_to_sign_in_first(self, client):
        assert "Sign in to save this search" in client.get("/needs").text


class TestSilence:
    def waiting(self, exchange, age=20):
        with exchange.writing() as session:
            need = post_need(session, status="submitted", title="Waiting need")
            session.execute(
                update(Post)
                .where(Post.id == need.id)
                .values(submitted_at=utc_now() - timedelta(days=age))
            )
            return need.id

    def test_the_list_says_who_is_asked_since_when_and_reminds_once(
        self, exchange, sign_in, office
    ):
        with exchange.writing() as session:
            andean = make_person(session, Role.COORDINATOR)
        number = self.waiting(exchange)
        page = office.get("/secretariat/silence").text
        assert "Waiting need" in page
        assert "20 days" in page
        path = f"/secretariat/silence/post/{number}/remind"
        form = form_to(page, path)
        reminded = office.post(path, data=form.fields, follow_redirects=True)
        assert "2 people were reminded." in reminded.text
        assert "reminded today" in reminded.text
        assert office.post(path, data=form.fields).status_code == 409
        assert [n.kind for n in notices(exchange, andean)] == ["silence.reminder"]
        coordinators = sign_in(andean)
        assert "Waiting need" in coordinators.get("/secretariat/silence").text

    def test_another_subregion_sees_and_reminds_nothing(self, exchange, sign_in):
        number = self.waiting(exchange)
        caribbean = sign_in(Role.COORDINATOR, subregion="caribbean")
        assert "Waiting need" not in caribbean.get("/secretariat/silence?view=all").text
        assert caribbean.post(f"/secretariat/silence/post/{number}/remind").status_code == 404

    def test_every_list_opens_and_a_strange_one_is_the_first(self, exchange, office):
        self.waiting(exchange)
        with exchange.writing() as session:
            post_need(session, title="Soon gone", expires_on=days(3))
            post_offer(session, title="Long gone", status="expired", expires_on=days(-30))
        for view, words in (
            ("reminded", "Waiting need"),
            ("escalated", "Nothing waits here."),
            ("all", "Waiting need"),
            ("expiring", "Soon gone"),
            ("expired", "Long gone"),
            ("nonsense", "Waiting need"),
            ("all&matter=interest", "Nothing waits here."),
            ("all&matter=nonsense", "Waiting need"),
        ):
            assert words in office.get(f"/secretariat/silence?view={view}").text, view

    def test_the_desk_shows_how_much_waits(self, exchange, office):
        self.waiting(exchange)
        desk = office.get("/secretariat").text
        assert re.search(r'/secretariat/silence"><b>1</b>', desk)


class TestMail:
    def test_the_folder_shows_text_and_picture_and_runs_nothing(self, exchange, author, office):
        tell(exchange, author, comment="<script>alert(1)</script>")
        written = office.post("/secretariat/mail/send", follow_redirects=True)
        assert "1 letter was written." in written.text
        path = re.search(r'href="(/secretariat/mail/[^"]+\.eml)"', written.text).group(1)
        page = office.get(path)
        assert "&lt;script&gt;alert(1)" in page.text
        assert "<script>alert" not in page.text
        assert 'sandbox=""' in page.text
        assert re.search(r'href="http://127.0.0.1:8000/unsubscribe/', page.text)
        picture = office.get(f"{path}/html")
        policy = picture.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        assert "<script>" not in picture.text

    @pytest.mark.parametrize("name", ["x", "..%2fsecret.key", "20260101T000000-letter-1.eml"])
    def test_only_messages_of_the_folder_are_shown(self, office, name):
        assert office.get(f"/secretariat/mail/{name}").status_code == 404

    def test_with_a_mail_server_only_what_waits_is_shown(self, exchange, author, office):
        tell(exchange, author)
        office.post("/secretariat/mail/send")
        exchange.settings = replace(exchange.settings, mail_server="mail.exchange.example")
        with exchange.writing() as session:
            letter = Letter(user_id=author.id, problem="550 No", attempts=9)
            session.add(letter)
        page = office.get("/secretariat/mail").text
        assert ".eml" not in page
        assert "550 No" in page
        assert office.post("/secretariat/mail/send").status_code == 404
        assert office.post(f"/secretariat/mail/letters/{letter.id}/again").status_code == 302
        with exchange.reading() as session:
            assert session.get_one(Letter, letter.id).next_at is not None

    def test_sending_twice_at_once_writes_one_letter(self, exchange, author, office):
        tell(exchange, author)
        office.post("/secretariat/mail/send")
        again = office.post("/secretariat/mail/send", follow_redirects=True)
        assert "0 letters were written." in again.text


def test_publishing_by_the_page_tells_author_and_searchers(exchange, author, sign_in, office):
    with exchange.writing() as session:
        looking = make_person(session, Role.PROVIDER)
        by = session.get_one(User, author.id)
        need = post_need(session, status="draft", author=by, title="Train those who buy")
        posts.submit_post(session, by, need, exchange.reference, today=days(0))
    sign_in(looking).post(
        "/searches",
        data={
            "listing": "needs",
            "query": "country=PE",
            "name": "Peru",
            "frequency": "at_once",
        },
    )
    (form,) = [
        form
        for form in forms_of(office.get("/secretariat/queue").text)
        if form.action.endswith(f"/needs/{need.id}/publish")
    ]
    assert office.post(form.action, data=form.fields).status_code == 302
    assert [n.kind for n in notices(exchange, author)] == ["post.published"]
    (alert,) = notices(exchange, looking)
    assert alert.kind == "search.alert"
