"""What people really send: late forms, pasted text, other dates, too much, and the same twice."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from broker.accounts import set_password
from models import Need, PostStatus, Role, User
from tests.broker.factories import make_person, post_need
from tests.broker.web.forms_of import form_to, forms_of
from tests.factories import make_organisation

NEW = "/needs/new"
PASSWORD = "four unrelated words"
TITLE = "Compradores públicos, 25 plazas"


@pytest.fixture
def guarded(app):
    """The application as it is served: forms need their token."""
    app.config["WTF_CSRF_ENABLED"] = True
    return app


@pytest.fixture
def person(exchange):
    with exchange.writing() as session:
        user = make_person(session, Role.FOCAL_POINT)
        set_password(session, user, user, PASSWORD)
        return user


def needs(exchange):
    with exchange.reading() as session:
        return [need.title for need in session.scalars(select(Need).order_by(Need.id))]


def signed_out(browser):
    """What a browser has left when its session has ended."""
    browser.delete_cookie("session")


# An expired session


@pytest.mark.parametrize("checked", [True, False])
def test_a_form_sent_after_the_session_ended_comes_back_after_signing_in(
    app, exchange, sign_in, person, checked
):
    app.config["WTF_CSRF_ENABLED"] = checked
    browser = sign_in(person)
    form = form_to(browser.get(NEW).text, NEW).fields
    form["title"] = TITLE
    signed_out(browser)
    asked = browser.post(NEW, data=form)
    assert asked.status_code == 401
    assert "You were signed out in the meantime." in asked.text
    door = form_to(asked.text, "/sign-in").fields
    door["email"], door["password"] = person.email, "not this one"
    again = browser.post("/sign-in", data=door)
    assert again.status_code == 403
    door = form_to(again.text, "/sign-in").fields
    door["email"], door["password"] = person.email, PASSWORD
    page = browser.post("/sign-in", data=door)
    assert "You are signed in again" in page.text
    assert TITLE in page.text
    assert needs(exchange) == []
    kept = form_to(page.text, NEW).fields
    assert browser.post(NEW, data=kept).status_code == 302
    assert needs(exchange) == [TITLE]


def test_any_form_is_carried_through_the_door(guarded, exchange, sign_in, person):
    with exchange.writing() as session:
        number = post_need(session, status=PostStatus.DRAFT).id
    browser = sign_in(person)
    address = f"/needs/{number}/withdraw"
    form = form_to(browser.get(address).text, "").fields
    signed_out(browser)
    door = form_to(browser.post(address, data=form).text, "/sign-in").fields
    door["email"], door["password"] = person.email, PASSWORD
    page = browser.post("/sign-in", data=door)
    assert browser.post(address, data=form_to(page.text, address).fields).status_code == 302
    with exchange.reading() as session:
        assert session.get(Need, number).status == PostStatus.WITHDRAWN


def test_a_kept_form_serves_only_the_browser_that_sent_it(guarded, exchange, sign_in, person):
    browser, other = sign_in(person), guarded.test_client()
    signed_out(browser)
    kept = form_to(browser.post(NEW, data={"title": TITLE}).text, "/sign-in").fields["kept"]
    for sealed in (kept, kept[:-4] + "AAAA", "nonsense"):
        door = form_to(other.get("/sign-in").text, "/sign-in").fields
        door["email"], door["password"], door["kept"] = person.email, PASSWORD, sealed
        answer = other.post("/sign-in", data=door)
        assert answer.status_code == 302
        assert TITLE not in answer.text
        signed_out(other)


def test_passwords_are_never_carried_along(guarded, client):
    page = client.post("/account", data={"password": "four secret words here", "present": "x y"})
    assert page.status_code == 401
    assert "four secret words" not in page.text


def test_a_stale_token_offers_to_send_the_same_again(guarded, exchange, sign_in, person):
    browser = sign_in(person)
    form = form_to(browser.get(NEW).text, NEW).fields
    form["title"], form["csrf_token"] = TITLE, "stale"
    answer = browser.post(NEW, data=form)
    assert answer.status_code == 400
    assert "Send it again" in answer.text
    again = form_to(answer.text, NEW).fields
    assert browser.post(NEW, data=again).status_code == 302
    assert needs(exchange) == [TITLE]


# Too much


@pytest.mark.parametrize("language", ["es", "en"])
def test_a_body_of_ten_megabytes_gets_a_page_in_the_reader_s_language(sign_in, exchange, language):
    browser = sign_in(Role.FOCAL_POINT, language=language)
    answer = browser.post(NEW, data={"title": "x", "description": "a" * 10 * 2**20})
    assert answer.status_code == 413
    assert f'<html lang="{language}">' in answer.text
    assert needs(exchange) == []


def test_a_text_that_is_too_long_is_kept_and_said_so(sign_in, exchange):
    browser = sign_in(Role.FOCAL_POINT)
    answer = browser.post(NEW, data={"title": TITLE, "description": "word " * 5000, "then": "save"})
    assert answer.status_code == 422
    assert "This is too long. Shorten it." in answer.text
    assert "word word word" in answer.text


# Pasted text


@pytest.mark.parametrize(
    ("pasted", "kept"),
    [
        ("“Compras” – ‘verdes’…", "“Compras” – ‘verdes’…"),
        ("Lima\u00a0y\u202fCallao", "Lima y Callao"),
        ("uno\vdos\u2028tres\r\ncuatro", "uno\ndos\ntres\ncuatro"),
        ("se\u00adpa\u0000ra\u0007do\ufeff", "separado"),
        ("\u202eoculto\u202c \u200fשלום", "oculto שלום"),
        ("Vamos 🌱 👩\u200d🌾 🫨", "Vamos 🌱 👩\u200d🌾 🫨"),
        ("Compras pu\u0301blicas", "Compras públicas"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("•\tPlazas\r\n·\u00a0Fondos", "•\tPlazas\n· Fondos"),
        (
            '<!--[if gte mso 9]><xml/><![endif]--><p class="MsoNormal">Agua<o:p></o:p></p>',
            '<!--[if gte mso 9]><xml/><![endif]--><p class="MsoNormal">Agua<o:p></o:p></p>',
        ),
        ("{{ 7 * 7 }} %(x)s ${x}", "{{ 7 * 7 }} %(x)s ${x}"),
    ],
)
def test_pasted_text_is_tidied_and_otherwise_kept(sign_in, exchange, pasted, kept):
    browser = sign_in(Role.FOCAL_POINT)
    answer = browser.post(NEW, data={"title": TITLE, "description": pasted, "then": "save"})
    assert answer.status_code == 302
    with exchange.reading() as session:
        assert session.scalars(select(Need)).one().description == kept
    page = browser.get(answer.location)
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "alert(1)</script>" not in browser.get("/needs?q=%3Cscript%3Ealert(1)").text


@pytest.mark.parametrize(
    "name", ["title", "description", "problem", "contact_role", "support-0-detail", "localities"]
)
def test_a_script_in_any_field_is_text(sign_in, exchange, name):
    browser = sign_in(Role.FOCAL_POINT)
    form = form_to(browser.get(NEW).text, NEW).fields
    form["title"], form["support-0-kind"] = TITLE, "technical_support"
    form[name] = "<img src=x onerror=alert(1)>"
    answer = browser.post(NEW, data=form)
    assert answer.status_code == 302
    for address in (answer.location, f"{answer.location}/edit", "/desk", "/desk/posts"):
        assert "<img src=x" not in browser.get(address).text


# Dates


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("2090-12-31", "2090-12-31"),
        (" 2090-12-31 ", "2090-12-31"),
        ("31/12/2090", "2090-12-31"),
        ("31.12.2090", "2090-12-31"),
        ("12-31-2090", "2090-12-31"),
        ("05/05/2090", "2090-05-05"),
    ],
)
def test_a_date_that_can_be_read_in_one_way_is_taken(sign_in, exchange, typed, stored):
    browser = sign_in(Role.FOCAL_POINT)
    assert browser.post(NEW, data={"title": TITLE, "closes": typed}).status_code == 302
    with exchange.reading() as session:
        assert session.scalars(select(Need)).one().closes.isoformat() == stored


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("03/04/2090", "can be read in two ways"),
        ("31/02/2090", "This is not a date"),
        ("31/12/90", "This is not a date"),
        ("mañana", "This is not a date"),
        ("31/12/2190", "This date lies too far away"),
    ],
)
def test_a_date_that_cannot_be_read_is_asked_back_and_kept(sign_in, exchange, typed, words):
    answer = sign_in(Role.FOCAL_POINT).post(NEW, data={"title": TITLE, "closes": typed})
    assert answer.status_code == 422
    assert words in answer.text
    assert f'value="{typed}"' in answer.text
    assert needs(exchange) == []


# A language that does not exist


def test_a_language_that_does_not_exist_is_not_found_and_changes_nothing(client):
    answer = client.post("/language/xx")
    assert answer.status_code == 404
    assert '<html lang="en">' in answer.text
    assert '<html lang="en">' in client.get("/?lang=xx").text
    assert '<html lang="en">' in client.get("/", headers={"Accept-Language": "tlh, x;q=9"}).text


# The forms of the secretariat and of the focal point

HOSTILE = "<img src=x onerror=alert(1)> \u202e👩\u200d🌾 “ñ”"


@pytest.fixture
def office(exchange, sign_in):
    with exchange.writing() as session:
        user = make_person(session, Role.SECRETARIAT)
        set_password(session, user, user, PASSWORD)
    return sign_in(user)


@pytest.fixture
def waiting(exchange):
    """A need that waits for review."""
    with exchange.writing() as session:
        return post_need(session, status=PostStatus.SUBMITTED, title=TITLE).id


def review_form(browser, number, verb):
    address = f"/secretariat/queue/needs/{number}/{verb}"
    page = browser.get("/secretariat/queue").text
    found = next(form for form in forms_of(page) if form.action.startswith(address))
    return address, found.fields


def test_a_hostile_comment_is_text_wherever_it_is_read(exchange, office, waiting, person, sign_in):
    address, form = review_form(office, waiting, "return")
    assert office.post(address, data={**form, "comment": HOSTILE}).status_code == 302
    for browser, page in (
        (sign_in(person), f"/needs/{waiting}"),
        (sign_in(person), "/notices"),
        (office, "/secretariat/audit"),
    ):
        text = browser.get(page).text
        assert "<img src=x" not in text, page
        assert "\u202e" not in text, page


def test_a_double_click_on_publish_or_return_is_told_and_done_once(exchange, office, waiting):
    address, form = review_form(office, waiting, "publish")
    assert office.post(address, data=form).status_code == 302
    again = office.post(address, data=form)
    assert again.status_code == 409
    with exchange.reading() as session:
        assert session.get_one(Need, waiting).version == 1


def test_a_comment_sent_after_the_session_ended_comes_back(guarded, exchange, office, waiting):
    address, form = review_form(office, waiting, "return")
    form["comment"] = "Which buyers?"
    signed_out(office)
    door = form_to(office.post(address, data=form).text, "/sign-in").fields
    with exchange.reading() as session:
        email = session.scalars(select(User).where(User.role == Role.SECRETARIAT)).one().email
    door["email"], door["password"] = email, PASSWORD
    page = office.post("/sign-in", data=door).text
    assert "Which buyers?" in page
    assert office.post(address, data=form_to(page, address).fields).status_code == 302
    with exchange.reading() as session:
        assert session.get_one(Need, waiting).comment == "Which buyers?"


def test_a_colleague_is_invited_once_and_her_name_is_text(exchange, person, sign_in):
    browser = sign_in(person)
    form = {
        "name": HOSTILE, "ministry": HOSTILE, "email": "x@ministry.example", "language": "es",
    }  # fmt: skip
    assert browser.post("/desk/colleagues", data=form).status_code == 200
    again = browser.post("/desk/colleagues", data=form)
    assert again.status_code == 409
    page = browser.get("/desk/colleagues").text
    assert page.count("x@ministry.example") == 1
    assert "<img src=x" not in page
    assert sign_in(Role.SECRETARIAT).get("/secretariat/delegations").text.count("<img src=x") == 0


def test_a_language_that_does_not_exist_is_refused_for_a_colleague(person, sign_in):
    form = {"name": "Water", "ministry": "W", "email": "x@ministry.example", "language": "xx"}
    answer = sign_in(person).post("/desk/colleagues", data=form)
    assert answer.status_code == 422
    assert 'value="x@ministry.example"' in answer.text


def test_a_merge_sent_twice_is_told_and_done_once(exchange, office):
    with exchange.writing() as session:
        make_organisation(session, code="old-council", names={"en": "Old council"})
    form = {"keep": "gov-pe", "merge": "old-council", "reason": HOSTILE, "sure": "true"}
    assert office.post("/secretariat/merge", data=form).status_code == 302
    assert office.post("/secretariat/merge", data=form).status_code == 409
    assert "<img src=x" not in office.get("/secretariat/audit").text


@pytest.mark.parametrize(
    "address",
    [
        "/secretariat/audit?since=31/12/2026",
        "/secretariat/audit?since=mañana",
        "/secretariat/endorsements?state=%00&country=%F0%9F%8C%B1&q=%E2%80%AE%27%22%3Cb%3E&page=-1",
        "/secretariat/delegations?q=%25_%5C&page=99999999999",
        "/secretariat/users?q=%00%F0%9F%8C%B1&page=x",
    ],
)
def test_odd_addresses_have_an_answer(office, address):
    answer = office.get(address)
    assert answer.status_code in (200, 404, 422)
    assert "<b>" not in answer.text.replace("<b>0</b>", "")
