"""Letters: written in the reader's language, delivered by a real mail server or to a folder,
tried again when the server fails, and ended by one click."""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from email import policy
from email.parser import BytesParser

import pytest
from aiosmtpd.controller import Controller
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select, update

from broker.letters import (
    MOST_REFUSALS,
    gather_letters,
    read_unsubscription,
    send_letters,
    take_letters,
    unsubscribe,
    unsubscribe_address,
    wait_after,
)
from broker.mail import Folder, NotDelivered, one_line, part_of, write_message
from broker.notices import choose_mail, notify
from models import DomainError, Frequency, Letter, NotFound, Notice, Role, User, utc_now
from tests.broker.factories import make_person, post_need

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Postbox:
    """What a mail server for tests does with the letters that it is given."""

    def __init__(self):
        self.received, self.answer = [], "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        if self.answer.startswith("250"):
            self.received.append(BytesParser(policy=policy.default).parsebytes(envelope.content))
        return self.answer

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802
        if address.startswith("nobody"):
            return "550 No such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@contextmanager
def mail_server(box, port=None):
    port = port or free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def box():
    return Postbox()


def use_server(exchange, port):
    exchange.settings = replace(
        exchange.settings,
        mail_server="127.0.0.1",
        mail_port=port,
        mail_security="none",
        address="https://exchange.example",
    )


def tell_somebody(exchange, count=1, **facts):
    """A person who is told of a published post, so many times; gives her number."""
    with exchange.writing() as session:
        person = make_person(session, Role.FOCAL_POINT, **facts)
        need = post_need(session, title="Formar compradores", language="es")
        for _ in range(count):
            notify(session, [person], "post.published", need, title={"es": need.title})
        return person.id


def letters(exchange):
    with exchange.reading() as session:
        found = list(session.scalars(select(Letter).order_by(Letter.id)))
        session.expunge_all()
        return found


def make_due(exchange):
    """Let the time pass until every letter that waits is tried again."""
    with exchange.writing() as session:
        session.execute(update(Letter).where(Letter.next_at.is_not(None)).values(next_at=utc_now()))


def kept(exchange):
    folder = Folder(exchange.settings)
    return [folder.read(name) for name in reversed(folder.names())]


class TestDelivery:
    def test_a_letter_reaches_the_server_in_the_readers_language(self, exchange, box):
        with mail_server(box) as port:
            use_server(exchange, port)
            tell_somebody(exchange, language="es", email="ana@demo.example", name="Ana")
            done = send_letters(exchange)
        assert (done.sent, done.put_off, done.problem) == (1, 0, "")
        (message,) = box.received
        assert str(message["To"]) == "Ana <ana@demo.example>"
        assert message["Content-Language"] == "es"
        assert "Formar compradores" in message["Subject"]
        assert message["Date"]
        assert message["Message-ID"].endswith("@exchange.example>")
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert message["List-Unsubscribe"].startswith("<https://exchange.example/unsubscribe/")
        assert message.get_content_type() == "multipart/alternative"
        plain, html = part_of(message, "plain"), part_of(message, "html")
        assert "https://exchange.example/needs/" in plain
        assert 'href="https://exchange.example/needs/' in html
        assert '<html lang="es">' in html
        assert letters(exchange)[0].sent_at

    def test_nothing_is_sent_twice(self, exchange, box):
        with mail_server(box) as port:
            use_server(exchange, port)
            tell_somebody(exchange)
            send_letters(exchange)
            send_letters(exchange)
        assert len(box.received) == 1

    def test_a_server_that_is_down_loses_nothing(self, exchange, box):
        port = free_port()
        use_server(exchange, port)
        for _ in range(3):
            tell_somebody(exchange)
        done = send_letters(exchange)
        assert (done.sent, done.put_off) == (0, 3)
        assert "Refused" in done.problem
        assert all(letter.next_at > utc_now() for letter in letters(exchange))
        assert send_letters(exchange).put_off == 0
        with mail_server(box, port):
            make_due(exchange)
            assert send_letters(exchange).sent == 3
        assert len({message["Message-ID"] for message in box.received}) == 3

    def test_a_letter_that_is_refused_does_not_hold_up_the_others(self, exchange, box):
        with mail_server(box) as port:
            use_server(exchange, port)
            tell_somebody(exchange, email="nobody@demo.example")
            tell_somebody(exchange, email="somebody@demo.example")
            done = send_letters(exchange)
            assert (done.sent, done.put_off) == (1, 1)
            for _ in range(MOST_REFUSALS):
                make_due(exchange)
                send_letters(exchange)
        first = letters(exchange)[0]
        assert first.next_at is None
        assert first.sent_at is None
        assert "No such person" in first.problem
        assert first.attempts == MOST_REFUSALS

    def test_a_server_that_is_busy_is_asked_again(self, exchange, box):
        with mail_server(box) as port:
            use_server(exchange, port)
            tell_somebody(exchange)
            box.answer = "451 Try again later"
            for _ in range(MOST_REFUSALS + 2):
                make_due(exchange)
                assert send_letters(exchange).sent == 0
            box.answer = "250 OK"
            make_due(exchange)
            assert send_letters(exchange).sent == 1

    def test_waiting_grows_up_to_six_hours(self):
        waits = [wait_after(attempts) for attempts in range(1, 12)]
        assert waits[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
        assert waits == sorted(waits)
        assert wait_after(1000) == timedelta(hours=6)

    def test_a_letter_that_another_process_has_is_left_alone(self, exchange):
        tell_somebody(exchange)
        with exchange.writing() as session:
            assert gather_letters(session, utc_now()) == 1
            assert gather_letters(session, utc_now()) == 0
        assert len(take_letters(exchange)) == 1
        assert take_letters(exchange) == []
        assert send_letters(exchange).sent == 0


class TestContent:
    def test_what_is_due_together_comes_in_one_letter(self, exchange):
        tell_somebody(exchange, count=1000)
        assert send_letters(exchange).sent == 1
        (message,) = kept(exchange)
        assert message["Subject"] == "1000 notices for you"
        assert part_of(message, "plain").count("/needs/") == 100
        assert "And 900 more notices" in part_of(message, "plain")
        assert "And 900 more notices" in part_of(message, "html")

    def test_daily_news_wait_for_the_day(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.FOCAL_POINT)
            choose_mail(session, person, {"post": "daily"})
            notify(session, [person], "post.published", post_need(session))
        assert send_letters(exchange).sent == 0
        with exchange.writing() as session:
            session.execute(update(Notice).values(due_at=utc_now()))
        assert send_letters(exchange).sent == 1

    def test_no_title_name_or_address_can_add_a_header(self, exchange):
        evil = "x\r\nBcc: all@demo.example\r\n\r\nbody"
        with exchange.writing() as session:
            person = make_person(session, Role.FOCAL_POINT, name=evil)
            need = post_need(session)
            notify(session, [person], "post.published", need, title={"en": evil})
        assert send_letters(exchange).sent == 1
        (message,) = kept(exchange)
        assert message["Bcc"] is None
        assert "\n" not in message["Subject"]
        assert one_line(evil) == "x Bcc: all@demo.example body"

    @pytest.mark.parametrize("address", ["a b@c", "a@b\nBcc: c@d.example", "<x@y>", "", "no-at"])
    def test_an_address_that_is_none_is_kept_with_its_problem(self, exchange, address):
        with pytest.raises(NotDelivered) as refused:
            write_message(
                exchange.settings,
                to=("Name", address),
                subject="s",
                text="t",
                html="h",
                number="1",
                written=utc_now(),
                language="en",
            )
        assert refused.value.lasting
        tell_somebody(exchange, email=address)
        assert send_letters(exchange).sent == 0
        assert letters(exchange)[0].problem

    @pytest.mark.parametrize("address", ["ana+sí@demo.example", "o'neil@demo.example"])
    def test_odd_addresses_that_are_right_are_delivered(self, exchange, box, address):
        with mail_server(box) as port:
            use_server(exchange, port)
            tell_somebody(exchange, email=address)
            assert send_letters(exchange).sent == 1
        assert address in str(box.received[0]["To"])

    def test_long_names_with_accents_arrive_whole(self, exchange):
        tell_somebody(exchange, name="Punto focal de consumo y producción sostenibles, Perú")
        send_letters(exchange)
        name = kept(exchange)[0]["To"].addresses[0].display_name
        assert name == "Punto focal de consumo y producción sostenibles Perú"

    def test_scripts_in_a_comment_stay_text(self, exchange):
        with exchange.writing() as session:
            person = make_person(session, Role.FOCAL_POINT)
            notify(
                session, [person], "post.returned", post_need(session), comment="<script>x</script>"
            )
        send_letters(exchange)
        (message,) = kept(exchange)
        assert "<script>" not in part_of(message, "html")
        assert "> <script>x</script>" in part_of(message, "plain")

    def test_a_closed_account_gets_no_letter(self, exchange):
        number = tell_somebody(exchange)
        with exchange.writing() as session:
            session.get_one(User, number).active = False
        assert send_letters(exchange).sent == 0
        assert letters(exchange) == []


class TestFolder:
    def test_names_of_others_are_not_read(self, exchange):
        tell_somebody(exchange)
        send_letters(exchange)
        folder = Folder(exchange.settings)
        (name,) = folder.names()
        assert folder.headings([name])[0].subject
        for other in ("../secret.key", "x.eml", name + "x", "20260101T000000-../../x.eml"):
            with pytest.raises(NotFound):
                folder.read(other)


class TestUnsubscribing:
    def token(self, exchange, number, *targets):
        with exchange.reading() as session:
            address = unsubscribe_address(exchange.settings, session.get_one(User, number), targets)
        return address.rsplit("/", 1)[1]

    def test_looking_changes_nothing_and_the_button_ends_it_once_and_again(self, exchange):
        number = tell_somebody(exchange)
        token = self.token(exchange, number, "post")
        with exchange.reading() as session:
            assert read_unsubscription(session, exchange.settings, token).topics == ("post",)
        for _ in range(2):
            with exchange.writing() as session:
                assert unsubscribe(session, exchange.settings, token).topics == ("post",)
        assert send_letters(exchange).sent == 0
        with exchange.writing() as session:
            person = session.get_one(User, number)
            (notice,) = notify(session, [person], "post.expired", post_need(session))
            assert notice.due_at is None

    def test_a_letter_on_its_way_is_held_back(self, exchange):
        use_server(exchange, free_port())
        number = tell_somebody(exchange)
        assert send_letters(exchange).put_off == 1
        with exchange.writing() as session:
            unsubscribe(session, exchange.settings, self.token(exchange, number, "post"))
        exchange.settings = replace(exchange.settings, mail_server="")
        make_due(exchange)
        assert send_letters(exchange).sent == 0
        assert letters(exchange)[0].next_at is None

    @pytest.mark.parametrize("change", [lambda t: t[:-3] + "abc", lambda t: "x" + t, lambda _t: ""])
    def test_a_link_that_was_changed_does_nothing(self, exchange, change):
        token = change(self.token(exchange, tell_somebody(exchange), "post"))
        with exchange.writing() as session, pytest.raises(DomainError) as refused:
            unsubscribe(session, exchange.settings, token)
        assert refused.value.code == "bad_link"

    def test_a_link_signed_for_something_else_does_nothing(self, exchange):
        number = tell_somebody(exchange)
        other = URLSafeTimedSerializer(exchange.settings.secret_key, salt="another")
        with exchange.reading() as session, pytest.raises(DomainError):
            read_unsubscription(session, exchange.settings, other.dumps([number, ["post"]]))

    def test_an_old_link_says_that_it_is_old(self, exchange, monkeypatch):
        token = self.token(exchange, tell_somebody(exchange), "post")
        monkeypatch.setattr("broker.letters.LINK_LIFE", timedelta(seconds=-1))
        with exchange.reading() as session, pytest.raises(DomainError) as refused:
            read_unsubscription(session, exchange.settings, token)
        assert refused.value.code == "link_expired"

    def test_the_link_of_the_letter_names_what_the_letter_is_about(self, exchange):
        number = tell_somebody(exchange)
        send_letters(exchange)
        (message,) = kept(exchange)
        token = re.search(r"/unsubscribe/([^>]+)>", message["List-Unsubscribe"]).group(1)
        with exchange.reading() as session:
            ended = read_unsubscription(session, exchange.settings, token)
            assert (ended.user.id, ended.topics, ended.searches) == (number, ("post",), ())
        assert token in part_of(message, "plain")
        assert token in part_of(message, "html")


@pytest.mark.usefixtures("backend")
def test_letters_work_on_every_database(exchange):
    number = tell_somebody(exchange, count=3)
    assert send_letters(exchange).sent == 1
    with exchange.writing() as session:
        person = session.get_one(User, number)
        choose_mail(session, person, {"post": Frequency.WEEKLY})
        choose_mail(session, person, {"post": Frequency.DAILY})
        (notice,) = notify(session, [person], "post.expired", post_need(session))
        assert notice.due_at.hour == exchange.settings.mail_hour
