"""Lists, pages, versions and the form of needs and offers, and one's own desk."""

import re

import pytest
from sqlalchemy import func, select
from werkzeug.datastructures import MultiDict

from broker.interests import express_interest
from broker.posts import content, edit_post
from broker.web.post_filters import PARAMETERS
from models import Need, Offer, Post, PostStatus, Role
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.broker.web.forms_of import form_to
from tests.factories import AgreementStatus, make_agreement

FULL_NEED = {
    "language": "es",
    "title": "Compras públicas sostenibles para municipios",
    "description": "Los municipios compran sin criterios.\n\nPedimos formar a quienes compran.",
    "translations": {"en": {"title": "Greener municipal tenders", "summary": "Train buyers."}},
    "support": [
        {"kind": "capacity_building", "modality": "workshop", "detail": "Dos talleres"},
        {"kind": "capacity_building", "modality": "study_visit", "detail": "Una visita"},
        {"kind": "finance", "modality": None, "detail": ""},
    ],
    "themes": ["sustainable_public_procurement", "water"],
    "ilac_areas": ["5"],
    "dimension": "2",
    "programmes": ["sustainable_procurement"],
    "mandates": ["d12_2003.4", "pe.1"],
    "level": "municipal",
    "beneficiary_kinds": ["municipalities"],
    "horizon": "short",
    "languages": ["es", "en"],
    "starts": days(90),
    "ends": days(300),
    "closes": days(60),
    "currency": "USD",
    "contact_role": "Dirección de compras",
    "contact_email": "compras@example.org",
    "country": "PE",
    "localities": ["Cusco", "Puno"],
    "problem": "Nadie pide menos que el precio más bajo.",
    "results": "Veinte licitaciones con criterios.",
    "beneficiaries": 40,
    "places_wanted": 30,
    "money_least": "10000.50",
    "money_most": "20000",
    "money_sealed": False,
    "cofinancing": "5000",
    "existing": "Una guía de 2005.",
    "elsewhere": "Pedido al banco, sin respuesta.",
}

FULL_OFFER = {
    "language": "en",
    "title": "Toolkit for public buyers",
    "description": "Clauses and a workshop.",
    "support": [
        {"kind": "technical_support", "modality": "tools_methodologies", "detail": "A toolkit"},
        {"kind": "capacity_building", "modality": "workshop", "detail": "Five days"},
    ],
    "themes": ["sustainable_public_procurement"],
    "languages": ["es", "en"],
    "closes": days(90),
    "opens": days(-5),
    "currency": "EUR",
    "contact_role": "Secretariat of the task force",
    "contact_email": "toolkit@example.org",
    "serves_countries": ["PE", "BR"],
    "serves_subregions": ["caribbean"],
    "serves_outside": ["africa"],
    "serves_organisation_kinds": ["government"],
    "conditions": "A team of three.",
    "own_country": True,
    "places": 60,
    "places_per_beneficiary": 20,
    "money": "300000",
    "grant_least": "20000",
    "grant_most": "80000",
    "free": True,
    "how_to_apply": "One page.",
    "experience_countries": ["AR", "CH"],
    "experience_projects": "Drafts tried with members.",
    "pilot_hosted": False,
    "pilot_brings": "A tender.",
}


def titles(page: str) -> list[str]:
    """The titles of the cards of a list, in order."""
    found = re.findall(r'class="card-title"><a [^>]*><span [^>]*>(.*?)</span>', page)
    return [re.sub(r"</?mark>", "", title) for title in found]


def stored(exchange, model=Post) -> int:
    with exchange.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


# Lists


@pytest.fixture
def book(exchange):
    """Needs and offers that differ in every facet by which a list can be narrowed."""
    with exchange.writing() as session:
        post_need(session, **FULL_NEED)
        post_need(session, "gov-br", title="Água limpa", language="pt", themes=["water"])
        post_need(
            session,
            "gov-lc",
            title="Storm-proof homes",
            ilac_areas=["7"],
            themes=["climate_change"],
            support=[{"kind": "finance", "modality": "grant", "detail": ""}],
        )
        post_need(
            session,
            "gov-co",
            title="Andean laboratory",
            country=None,
            subregion="andean",
            status=PostStatus.EXPIRED,
        )
        post_need(session, title="Half an idea", status=PostStatus.DRAFT)
        post_offer(session, **FULL_OFFER)
        post_offer(session, "caf", title="Green credit lines", themes=["finance_credit"])
        post_offer(
            session, "eclac", title="Water for the Andes", serves_subregions=["andean"],
            themes=["water"],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("theme=water", ["Greener municipal tenders", "Água limpa"]),
        ("theme=water&theme=climate_change", 3),
        ("theme=water&country=BR", ["Água limpa"]),
        ("ilac_area=7", ["Storm-proof homes"]),
        ("support_kind=finance", ["Greener municipal tenders", "Storm-proof homes"]),
        ("subregion=andean", ["Andean laboratory", "Greener municipal tenders"]),
        ("subregion=caribbean", ["Storm-proof homes"]),
        ("language=pt", ["Água limpa"]),
        ("organisation=gov-lc", ["Storm-proof homes"]),
        ("open=1", 3),
        ("q=storm", ["Storm-proof homes"]),
        ("q=greener+tenders", ["Greener municipal tenders"]),
        ("q=formar+municipios", ["Greener municipal tenders"]),
        ("", 4),
    ],
)
def test_needs_are_narrowed_by_the_address(client, book, query, found):
    shown = titles(client.get(f"/needs?{query}").text)
    if isinstance(found, int):
        assert len(shown) == found
    else:
        assert sorted(shown) == sorted(found)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("country=BR", ["Green credit lines", "Toolkit for public buyers"]),
        ("country=CO", ["Green credit lines", "Water for the Andes"]),
        ("subregion=caribbean", ["Green credit lines", "Toolkit for public buyers"]),
        ("theme=water", ["Water for the Andes"]),
    ],
)
def test_offers_are_narrowed_by_whom_they_serve(client, book, query, found):
    assert sorted(titles(client.get(f"/offers?{query}").text)) == found


@pytest.mark.parametrize("kind", ["needs", "offers"])
def test_the_count_beside_a_choice_is_the_number_that_it_finds(client, book, kind):
    page = client.get(f"/{kind}").text
    choices = re.findall(
        r'name="(\w+)" value="(\w+)" form="find"> <span>[^<]*<span class="muted small">\((\d+)\)',
        page,
    )
    assert {parameter for parameter, _, _ in choices} >= set(PARAMETERS) - {
        "ilac_area",
        "programme",
        "mandate",
    }
    for parameter, code, count in choices:
        assert len(titles(client.get(f"/{kind}?{parameter}={code}").text)) == int(count)


def test_a_choice_counts_what_it_would_add_to_the_other_filters(client, book):
    page = client.get("/needs?theme=water&country=PE").text
    brazil = re.search(r'value="BR" form="find"> <span>Brazil <span[^>]*>\((\d+)\)', page)
    assert brazil
    assert brazil[1] == "1"
    assert 'value="LC"' not in page


def test_each_filter_can_be_taken_off_alone(client, book):
    page = client.get("/needs?theme=water&theme=climate_change&open=1&q=homes").text
    assert re.findall(r'class="tag chip" href="([^"]*)"', page) == [
        "/needs?theme=climate_change&amp;open=1&amp;q=homes",
        "/needs?theme=water&amp;open=1&amp;q=homes",
        "/needs?theme=water&amp;theme=climate_change&amp;q=homes",
        "/needs?theme=water&amp;theme=climate_change&amp;open=1",
    ]
    assert 'value="water" form="find" checked' in page


def test_an_unknown_code_finds_nothing_and_shows_the_way_out(client, book):
    page = client.get("/needs?theme=perpetual_motion")
    assert page.status_code == 200
    assert titles(page.text) == []
    assert "Theme: perpetual_motion" in page.text
    assert "Take all filters off" in page.text


@pytest.mark.parametrize(
    ("order", "first"), [("title", "Andean laboratory"), ("nonsense", None), ("closing", None)]
)
def test_a_list_can_be_sorted(client, book, order, first):
    shown = titles(client.get(f"/needs?sort={order}").text)
    assert len(shown) == 4
    assert first in (None, shown[0])


def test_pages_of_a_long_list_keep_the_filters(client, exchange):
    with exchange.writing() as session:
        for number in range(25):
            post_need(session, title=f"Need {number:02d}", themes=["water"])
    first = client.get("/needs?theme=water&sort=title").text
    assert "25 needs" in first
    assert titles(first)[0] == "Need 00"
    assert "/needs?theme=water&amp;sort=title&amp;page=2" in first
    assert titles(client.get("/needs?theme=water&sort=title&page=2").text)[-1] == "Need 24"
    assert titles(client.get("/needs?page=999").text)


@pytest.mark.parametrize("kind", ["needs", "offers"])
def test_a_list_asks_the_database_as_often_for_many_posts_as_for_few(
    client, exchange, count_queries, book, kind
):
    with count_queries() as few:
        client.get(f"/{kind}")
    with exchange.writing() as session:
        for _ in range(20):
            post_need(session, **FULL_NEED)
            post_offer(session, **FULL_OFFER)
    with count_queries() as many:
        client.get(f"/{kind}")
    assert len(many) <= len(few) <= 20


def test_a_card_shows_the_reader_s_language_and_marks_the_original(client, book):
    page = client.get("/needs?country=PE").text
    assert titles(page) == ["Greener municipal tenders"]
    assert "written in Spanish" in page
    spanish = client.get("/needs?country=PE", headers={"Accept-Language": "es"}).text
    assert titles(spanish) == ["Compras públicas sostenibles para municipios"]


def test_scripts_in_a_text_are_text(client, exchange):
    with exchange.writing() as session:
        need = post_need(session, title="<script>alert(1)</script>", problem="<b>bold</b>")
        number = need.id
    for page in (client.get("/needs").text, client.get(f"/needs/{number}").text):
        assert "<script>alert" not in page
        assert "<b>bold" not in page
    assert "&lt;script&gt;" in client.get(f"/needs/{number}").text


@pytest.mark.parametrize(
    "address",
    [
        "/needs?q=%00",
        "/needs?theme=%00&sort=%00",
        "/offers?q=%25_\\",
        "/needs?page=-1&country=" + "x" * 5000,
    ],
)
def test_an_odd_address_gets_a_list(client, book, address):
    assert client.get(address).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "/needs/99999999999999999999",
        "/needs/1/versions/4294967296",
        "/organisations/%00",
        "/needs?organisation=%00",
    ],
)
def test_what_cannot_be_is_not_found(client, address):
    assert client.get(address).status_code == 404


# One post


def test_a_need_s_page_says_all_that_it_says(client, exchange):
    with exchange.writing() as session:
        number = post_need(session, **FULL_NEED).id
    page = client.get(f"/needs/{number}").text
    for words in (
        "Greener municipal tenders", "Train buyers.", "Pedimos formar a quienes compran.",
        "Dos talleres", "Una visita", "Cusco, Puno", "Water", "Decision 12 of 2003",
        "Nadie pide menos", "Veinte licitaciones", "Una guía de 2005.", "sin respuesta",
        "USD 10,000.50 to USD 20,000", "0 of 30 covered", "Version 1",
    ):  # fmt: skip
        assert words in page, words


def test_an_offer_s_page_says_all_that_it_says(client, exchange):
    with exchange.writing() as session:
        number = post_offer(session, **FULL_OFFER).id
    page = client.get(f"/offers/{number}").text
    for words in (
        "A toolkit", "Five days", "Caribbean", "Brazil", "A team of three.", "One page.",
        "60 of 60 left", "EUR 300,000 of EUR 300,000 left", "EUR 20,000 to EUR 80,000",
        "Argentina, Switzerland", "Drafts tried", "A tender.",
    ):  # fmt: skip
        assert words in page, words


def test_what_a_post_leaves_open_is_not_shown(client, exchange):
    with exchange.writing() as session:
        number = post_need(session, themes=[]).id
    page = client.get(f"/needs/{number}").text
    said = page[page.index("<main") : page.index("</main>")]
    for words in ("Horizon", "Places wanted", "Expected results", "Themes", "Mandates", "None"):
        assert words not in said


def test_an_illustrative_post_carries_the_mark_and_its_source(client, exchange):
    with exchange.writing() as session:
        number = post_need(
            session,
            source={"document": "003", "line": 124},
            illustrative=["money", "starts", "ends"],
        ).id
    page = client.get(f"/needs/{number}").text
    assert "illustrative figures" in page
    assert "amounts, dates." in page
    assert "line 124" in page


@pytest.mark.parametrize(
    "status", [PostStatus.DRAFT, PostStatus.SUBMITTED, PostStatus.RETURNED, PostStatus.WITHDRAWN]
)
def test_another_organisation_s_unpublished_post_is_not_found(client, exchange, sign_in, status):
    with exchange.writing() as session:
        number = post_need(session, status=status).id
    assert client.get(f"/needs/{number}").status_code == 404
    assert sign_in(Role.PROVIDER).get(f"/needs/{number}").status_code == 404
    assert sign_in(Role.FOCAL_POINT, "gov-br").get(f"/needs/{number}").status_code == 404
    assert sign_in(Role.FOCAL_POINT).get(f"/needs/{number}").status_code == 200


def test_a_need_is_not_found_among_the_offers(client, exchange):
    with exchange.writing() as session:
        number = post_need(session).id
    assert client.get(f"/offers/{number}").status_code == 404


def test_sealed_money_is_read_by_its_own_organisation_alone(client, exchange, sign_in):
    sealed = {**FULL_NEED, "money_sealed": True, "money_least": "34567", "money_most": "76543"}
    with exchange.writing() as session:
        number = post_need(session, **sealed).id
    strangers = [
        client,
        sign_in(Role.FOCAL_POINT, "gov-br"),
        sign_in(Role.PROVIDER),
        sign_in(Role.SECRETARIAT),
        sign_in(Role.COORDINATOR),
    ]
    for address in (f"/needs/{number}", f"/needs/{number}/versions/1", "/needs"):
        for reader in strangers:
            page = reader.get(address).text
            assert "34,567" not in page
            assert "76,543" not in page
    assert "76,543" in sign_in(Role.FOCAL_POINT).get(f"/needs/{number}").text
    assert "76,543" in sign_in(Role.FOCAL_POINT).get(f"/needs/{number}/versions/1").text


def test_sealing_takes_the_amount_out_of_earlier_versions_too(client, exchange):
    with exchange.writing() as session:
        person = make_person(session, Role.FOCAL_POINT)
        need = post_need(session, **FULL_NEED)
        number = need.id
        edit_post(session, person, need, {"money_sealed": True}, exchange.reference)
    for version in (1, 2):
        page = client.get(f"/needs/{number}/versions/{version}").text
        assert "10,000" not in page
        assert "20,000" not in page
        assert "sealed" in page


def test_contacts_are_for_people_who_have_signed_in(client, exchange, sign_in):
    with exchange.writing() as session:
        number = post_need(session, **FULL_NEED).id
    for address in (f"/needs/{number}", f"/needs/{number}/versions/1"):
        page = client.get(address).text
        assert "compras@example.org" not in page
        assert "Dirección de compras" not in page
    assert "compras@example.org" in sign_in(Role.PROVIDER).get(f"/needs/{number}").text


def test_coverage_and_agreements_show_on_both_posts(client, exchange):
    with exchange.writing() as session:
        need = post_need(session, places_wanted=40)
        offer = post_offer(session, places=50)
        found = make_agreement(session, need, offer, status=AgreementStatus.SIGNED, places=30)
        numbers, reference = (need.id, offer.id), found.reference
    page = client.get(f"/needs/{numbers[0]}").text
    assert "30 of 40 covered" in page
    assert "10 still open" in page
    assert reference in page
    page = client.get(f"/offers/{numbers[1]}").text
    assert "20 of 50 left" in page
    assert reference in page


def test_a_page_asks_the_database_little(client, exchange, count_queries):
    with exchange.writing() as session:
        number = post_need(session, **FULL_NEED).id
    client.get("/about")
    with count_queries() as statements:
        client.get(f"/needs/{number}")
    assert len(statements) <= 14


def test_versions_stay_as_others_saw_them(client, exchange):
    with exchange.writing() as session:
        person = make_person(session, Role.FOCAL_POINT)
        need = post_need(session, title="First words")
        edit_post(session, person, need, {"title": "Second words"}, exchange.reference)
        number = need.id
    first = client.get(f"/needs/{number}/versions/1").text
    assert "First words" in first
    assert "Version 2 stands now" in first
    second = client.get(f"/needs/{number}/versions/2").text
    assert "Second words" in second
    changed = second[second.index("Changed against the version before") :]
    assert "<del>First" in changed
    assert "<ins>Second" in changed
    assert client.get(f"/needs/{number}/versions/3").status_code == 404


@pytest.mark.parametrize(
    ("role", "organisation", "status", "offered", "withheld"),
    [
        (Role.FOCAL_POINT, "gov-pe", PostStatus.DRAFT, ("submit", "edit", "copy", "withdraw"), ("renew",)),
        (Role.FOCAL_POINT, "gov-pe", PostStatus.PUBLISHED, ("edit", "renew", "withdraw", "matches"), ("submit",)),
        (Role.FOCAL_POINT, "gov-pe", PostStatus.EXPIRED, ("renew", "copy"), ("edit", "matches")),
        (Role.FOCAL_POINT, "gov-pe", PostStatus.WITHDRAWN, ("reopen", "edit"), ("withdraw", "renew")),
        (Role.FOCAL_POINT, "gov-br", PostStatus.PUBLISHED, (), ("edit", "renew", "withdraw", "copy")),
        (Role.SECRETARIAT, "", PostStatus.PUBLISHED, ("withdraw", "matches"), ("edit", "renew")),
    ],
)  # fmt: skip
def test_a_page_offers_what_the_reader_may_do(
    exchange, sign_in, role, organisation, status, offered, withheld
):
    with exchange.writing() as session:
        number = post_need(session, status=status).id
    page = sign_in(role, organisation).get(f"/needs/{number}").text
    for action in offered:
        assert f"/needs/{number}/{action}" in page, action
    for action in withheld:
        assert f"/needs/{number}/{action}" not in page, action


def test_a_provider_compares_a_need_with_her_own_offers(exchange, sign_in):
    with exchange.writing() as session:
        need, offer = post_need(session).id, post_offer(session, "caf", title="Ours").id
        post_offer(session, "eclac", title="Theirs")
    page = sign_in(Role.PROVIDER).get(f"/needs/{need}").text
    assert f"/matches/{need}/{offer}" in page
    assert "Theirs" not in page


# The form


def test_a_need_is_kept_half_finished_and_found_again(exchange, sign_in):
    writer = sign_in(Role.FOCAL_POINT)
    form = form_to(writer.get("/needs/new").text, "/needs/new").fields
    form.update({"title": "Half a title", "then": "save"})
    answer = writer.post("/needs/new", data=form)
    assert answer.status_code == 302
    page = writer.get(answer.location).text
    assert "Half a title" in page
    assert "draft" in page
    again = writer.get(f"{answer.location}/edit").text
    assert form_to(again, f"{answer.location}/edit").fields["title"] == "Half a title"


def test_a_draft_needs_nothing_but_its_language(exchange, sign_in):
    writer = sign_in(Role.FOCAL_POINT)
    form = form_to(writer.get("/needs/new").text, "/needs/new").fields
    answer = writer.post("/needs/new", data={**form.to_dict(flat=False), "then": "save"})
    assert answer.status_code == 302
    assert "(no title yet)" in writer.get(answer.location).text


@pytest.mark.parametrize(
    ("kind", "role", "organisation", "facts"),
    [
        ("needs", Role.FOCAL_POINT, "gov-pe", FULL_NEED),
        ("offers", Role.TASK_FORCE, "tf-procurement", FULL_OFFER),
    ],
)
@pytest.mark.parametrize("status", [PostStatus.DRAFT, PostStatus.PUBLISHED])
def test_saving_a_form_untouched_changes_nothing(
    exchange, sign_in, kind, role, organisation, facts, status
):
    with exchange.writing() as session:
        make = post_need if kind == "needs" else post_offer
        post = make(session, organisation, status=status, **facts)
        number, before = post.id, content(post)
    writer = sign_in(role, organisation)
    address = f"/{kind}/{number}/edit"
    form = form_to(writer.get(address).text, address).fields
    assert writer.post(address, data=form).status_code == 302
    with exchange.reading() as session:
        after = session.get(Post, number)
        assert content(after) == before
        assert after.version == (1 if status == PostStatus.PUBLISHED else 0)


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("starts", "next spring", "This is not a date."),
        ("starts", "31/31/2027", "This is not a date."),
        ("places_wanted", "many", "This is not a whole number."),
        ("money_most", "a million", "This is not an amount."),
        ("contact_email", "nobody", "This is not an e-mail address"),
        ("themes", "perpetual_motion", "is not one of the known codes"),
        ("title", "x" * 201, "This is too long."),
        ("country", "BR", "choose your own country"),
        ("language", "tlh", "Choose one of the four languages."),
        ("support-0-modality", "magic", "is not one of the known codes"),
        ("cofinancing", "-5", "Give zero or a positive number."),
    ],
)
def test_what_is_wrong_is_said_in_place_and_nothing_is_lost(exchange, sign_in, name, typed, words):
    writer = sign_in(Role.FOCAL_POINT)
    form = form_to(writer.get("/needs/new").text, "/needs/new").fields
    form.update({"title": "A title", "description": "Many words", "currency": "USD"})
    form["support-0-kind"] = "technical_support"
    form["support-0-detail"] = "What exactly"
    form[name] = typed
    answer = writer.post("/needs/new", data=form)
    assert answer.status_code == 422
    assert words in answer.text
    kept = form_to(answer.text, "/needs/new").fields
    assert kept["description"] == "Many words"
    assert kept["support-0-detail"] == "What exactly"
    if name not in ("themes", "language", "country", "support-0-modality"):
        assert kept[name] == typed
    assert stored(exchange) == 0


def test_a_section_with_a_problem_stands_open(sign_in):
    writer = sign_in(Role.FOCAL_POINT)
    answer = writer.post("/needs/new", data={"title": "A", "language": "en", "ends": "soon"})
    assert answer.status_code == 422
    assert '<details class="section" id="step-8" open>' in answer.text


def test_text_of_a_kind_that_is_not_ticked_is_neither_lost_nor_taken(exchange, sign_in):
    writer = sign_in(Role.FOCAL_POINT)
    typed = {"language": "en", "support-1-modality": "grant", "support-1-detail": "Seed money"}
    answer = writer.post("/needs/new", data={**typed, "support-present": "1"})
    assert answer.status_code == 422
    assert "Tick this kind of support, or empty its boxes." in answer.text
    assert "Seed money" in answer.text
    ticked = writer.post("/needs/new", data={**typed, "support-1-kind": "finance"})
    assert ticked.status_code == 302
    with exchange.reading() as session:
        (need,) = session.scalars(select(Need))
        assert content(need)["support"] == [
            {"kind": "finance", "modality": "grant", "detail": "Seed money"}
        ]


def test_one_kind_of_support_can_be_asked_for_in_two_forms(exchange, sign_in):
    writer = sign_in(Role.FOCAL_POINT)
    first = {"support-2-kind": "capacity_building", "support-2-modality": "workshop"}
    second = {"support-5-kind": "capacity_building", "support-5-modality": "course"}
    answer = writer.post("/needs/new", data={"language": "en", **first, **second})
    edited = writer.get(f"{answer.location}/edit").text
    fields = form_to(edited, f"{answer.location}/edit").fields
    assert fields["support-2-modality"] == "workshop"
    assert fields["support-5-modality"] == "course"


@pytest.mark.parametrize(
    ("role", "kind", "status"),
    [
        (Role.FOCAL_POINT, "needs", 200),
        (Role.FOCAL_POINT, "offers", 200),
        (Role.PROVIDER, "needs", 403),
        (Role.PROVIDER, "offers", 200),
        (Role.TASK_FORCE, "needs", 403),
        (Role.COORDINATOR, "needs", 200),
        (Role.COORDINATOR, "offers", 403),
        (Role.SECRETARIAT, "needs", 403),
    ],
)
def test_each_role_writes_what_it_may(sign_in, role, kind, status):
    assert sign_in(role).get(f"/{kind}/new").status_code == status
    if status == 403:
        assert sign_in(role).post(f"/{kind}/new", data={"title": "A"}).status_code == 403


def test_a_visitor_who_wants_to_post_is_asked_to_sign_in(client):
    answer = client.get("/needs/new")
    assert answer.status_code == 302
    assert "/sign-in" in answer.location


def test_a_coordinator_asks_for_her_subregion_and_its_countries_alone(exchange, sign_in):
    writer = sign_in(Role.COORDINATOR)
    page = writer.get("/needs/new").text
    assert "Andean region" in page
    assert 'value="BR"' not in page
    form = form_to(page, "/needs/new").fields
    form["title"] = "For the whole subregion"
    assert writer.post("/needs/new", data=form).status_code == 302
    form["country"] = "BR"
    assert writer.post("/needs/new", data=form).status_code == 422
    with exchange.reading() as session:
        (need,) = session.scalars(select(Need))
        assert (need.country_code, need.subregion) == (None, "andean")


def test_submitting_asks_for_what_a_draft_may_lack(exchange, sign_in):
    with exchange.writing() as session:
        number = post_need(session, status=PostStatus.DRAFT, title="", support=[]).id
    writer = sign_in(Role.FOCAL_POINT)
    answer = writer.post(f"/needs/{number}/submit")
    assert answer.status_code == 422
    assert "Some fields need your attention" in answer.text
    assert "Choose at least one kind of support." in answer.text
    with exchange.reading() as session:
        assert session.get(Post, number).status == PostStatus.DRAFT


def test_a_need_is_written_and_submitted_in_one_go(exchange, sign_in):
    writer = sign_in(Role.FOCAL_POINT)
    form = form_to(writer.get("/needs/new").text, "/needs/new").fields
    form.update({"title": "Train buyers", "description": "All of them", "then": "submit"})
    answer = writer.post("/needs/new", data=form)
    assert answer.status_code == 422
    assert stored(exchange) == 0
    form["support-2-kind"] = "capacity_building"
    answer = writer.post("/needs/new", data=form)
    assert answer.status_code == 302
    with exchange.reading() as session:
        (need,) = session.scalars(select(Need))
        assert need.status == PostStatus.SUBMITTED
        assert need.country_code == "PE"
        number = need.id
    page = writer.get(answer.location).text
    assert "submitted for review" in page
    assert f"/needs/{number}/matches" in page


def test_a_trusted_organisation_publishes_by_itself(client, exchange, sign_in):
    with exchange.writing() as session:
        number = post_need(session, title="Train buyers", status=PostStatus.DRAFT).id
        session.get(Post, number).organisation.trusted = True
    writer = sign_in(Role.FOCAL_POINT)
    assert ">Publish</button>" in writer.get(f"/needs/{number}").text
    answer = writer.post(f"/needs/{number}/submit", follow_redirects=True)
    assert "it is on the exchange now" in answer.text
    assert "Train buyers" in client.get(f"/needs/{number}").text


def test_a_closing_date_that_has_passed_is_not_submitted(exchange, sign_in):
    with exchange.writing() as session:
        number = post_need(session, status=PostStatus.DRAFT, closes=days(-1)).id
    answer = sign_in(Role.FOCAL_POINT).post(f"/needs/{number}/submit")
    assert answer.status_code == 422
    assert "This date has passed." in answer.text


def test_a_submitted_post_keeps_its_required_fields(exchange, sign_in):
    with exchange.writing() as session:
        number = post_need(session, status=PostStatus.SUBMITTED).id
    writer = sign_in(Role.FOCAL_POINT)
    address = f"/needs/{number}/edit"
    form = form_to(writer.get(address).text, address).fields
    form["title"] = ""
    assert writer.post(address, data=form).status_code == 422


def test_a_published_post_goes_on_as_a_new_version(client, exchange, sign_in):
    with exchange.writing() as session:
        number = post_need(session, title="First words").id
    writer = sign_in(Role.FOCAL_POINT)
    address = f"/needs/{number}/edit"
    form = form_to(writer.get(address).text, address).fields
    form["title"] = "Second words"
    answer = writer.post(address, data=form, follow_redirects=True)
    assert "published as version 2" in answer.text
    assert "First words" in client.get(f"/needs/{number}/versions/1").text


def test_two_tabs_editing_one_draft_lose_nothing(exchange, sign_in):
    with exchange.writing() as session:
        number = post_need(session, title="First words", status=PostStatus.DRAFT).id
    writer = sign_in(Role.FOCAL_POINT)
    address = f"/needs/{number}/edit"
    one = form_to(writer.get(address).text, address).fields
    other = MultiDict(one)
    one["title"], other["title"] = "From one tab", "From the other tab"
    assert writer.post(address, data=one).status_code == 302
    answer = writer.post(address, data=other)
    assert answer.status_code == 409
    assert "Somebody else has changed this post" in answer.text
    assert "From one tab" in answer.text
    again = form_to(answer.text, address).fields
    assert again["title"] == "From the other tab"
    assert writer.post(address, data=again).status_code == 302
    with exchange.reading() as session:
        assert session.get(Post, number).title == "From the other tab"


@pytest.mark.parametrize("action", ["edit", "submit", "withdraw", "renew", "reopen", "copy"])
def test_nobody_acts_on_another_organisation_s_post(exchange, sign_in, action):
    with exchange.writing() as session:
        number = post_need(session).id
    for stranger in (sign_in(Role.FOCAL_POINT, "gov-br"), sign_in(Role.PROVIDER)):
        assert stranger.post(f"/needs/{number}/{action}").status_code == 403
    with exchange.reading() as session:
        assert session.get(Post, number).status == PostStatus.PUBLISHED


def test_an_expired_post_is_renewed_before_it_is_edited(exchange, sign_in):
    with exchange.writing() as session:
        number = post_need(
            session, status=PostStatus.EXPIRED, closes=days(-3), expires_on=days(-3)
        ).id
    writer = sign_in(Role.FOCAL_POINT)
    assert writer.get(f"/needs/{number}/edit").status_code == 409
    answer = writer.post(f"/needs/{number}/renew", follow_redirects=True)
    assert "It stays on the exchange until" in answer.text
    assert writer.get(f"/needs/{number}/edit").status_code == 200


def test_withdrawing_asks_first_and_can_be_undone(client, exchange, sign_in):
    with exchange.writing() as session:
        number = post_need(session, title="Train buyers").id
    writer = sign_in(Role.FOCAL_POINT)
    assert "Withdraw this post?" in writer.get(f"/needs/{number}/withdraw").text
    assert client.get(f"/needs/{number}").status_code == 200
    assert writer.post(f"/needs/{number}/withdraw").status_code == 302
    assert client.get(f"/needs/{number}").status_code == 404
    assert writer.post(f"/needs/{number}/withdraw").status_code == 409
    answer = writer.post(f"/needs/{number}/reopen", follow_redirects=True)
    assert "It is a draft again." in answer.text


def test_a_copy_is_a_draft_with_the_same_text(exchange, sign_in):
    with exchange.writing() as session:
        post_need(session, **FULL_NEED)
        number = session.scalars(select(Need.id)).one()
    answer = sign_in(Role.FOCAL_POINT).post(f"/needs/{number}/copy")
    assert answer.status_code == 302
    with exchange.reading() as session:
        first, second = session.scalars(select(Need).order_by(Need.id)).all()
        assert second.status == PostStatus.DRAFT
        assert content(second) == content(first)


# One's own desk


def test_the_desk_of_a_focal_point_shows_what_waits(exchange, sign_in):
    with exchange.writing() as session:
        need = post_need(session, title="Train buyers", expires_on=days(10))
        post_need(session, title="Half an idea", status=PostStatus.DRAFT)
        post_need(session, title="Vague", status=PostStatus.RETURNED, comment="Say for whom.")
        post_need(session, "gov-br", title="Somebody else’s", status=PostStatus.DRAFT)
        offer = post_offer(session, title="Toolkit for buyers")
        provider = make_person(session, Role.TASK_FORCE)
        express_interest(session, provider, need, offer, score=71.5)
        other = post_offer(session, "caf", title="Other offer")
        make_agreement(
            session, post_need(session, title="Agreed"), other, status=AgreementStatus.PROPOSED,
            title="Terms of training",
        )  # fmt: skip
        numbers = need.id, offer.id
    with exchange.writing() as session:
        person = make_person(session, Role.FOCAL_POINT)
    page = sign_in(person).get("/desk").text
    assert f"/matches/{numbers[0]}/{numbers[1]}" in page
    for words in (
        "Interest to answer", "Toolkit for buyers", "Half an idea", "Say for whom.",
        "About to expire", "Drafts to finish",
    ):  # fmt: skip
        assert words in page, words
    assert "Somebody else" not in page


def test_the_desk_of_the_other_side_shows_the_terms_to_answer(exchange, sign_in):
    with exchange.writing() as session:
        make_agreement(
            session, post_need(session), post_offer(session, "caf"),
            status=AgreementStatus.PROPOSED, title="Terms of training",
        )  # fmt: skip
    page = sign_in(Role.PROVIDER).get("/desk").text
    assert "Terms of training" in page
    assert "read the terms and answer" in page


def test_the_desk_of_those_who_moderate_shows_what_is_to_review(exchange, sign_in):
    with exchange.writing() as session:
        post_need(session, title="From Peru", status=PostStatus.SUBMITTED)
        post_need(session, "gov-br", title="Do Brasil", status=PostStatus.SUBMITTED)
    page = sign_in(Role.SECRETARIAT).get("/desk").text
    assert "From Peru" in page
    assert "Do Brasil" in page
    page = sign_in(Role.COORDINATOR).get("/desk").text
    assert "From Peru" in page
    assert "Do Brasil" not in page


def test_an_empty_desk_says_so(sign_in):
    page = sign_in(Role.PROVIDER).get("/desk").text
    assert "Nothing waits for you." in page
    assert "Your organisation has posted nothing yet." in page


def test_a_full_desk_leads_to_the_list_of_all(exchange, sign_in, count_queries):
    writer = sign_in(Role.FOCAL_POINT)
    with exchange.writing() as session:
        post_need(session, title="Half an idea", status=PostStatus.DRAFT)
        post_need(session, title="Need 00")
    with count_queries() as few:
        writer.get("/desk")
    with exchange.writing() as session:
        for number in range(1, 24):
            post_need(session, title=f"Need {number:02d}")
    with count_queries() as many:
        page = writer.get("/desk").text
    assert len(many) <= len(few) <= 30
    assert "Show all 24" in page
    rows = writer.get("/desk/posts?status=published").text
    assert len(re.findall(r">Need \d\d<", rows)) == 20
    assert "page=2" in rows
    assert "Half an idea" in writer.get("/desk/posts?status=draft").text


@pytest.mark.parametrize("model", [Need, Offer])
def test_the_form_works_in_every_role_s_language(exchange, sign_in, model):
    kind = "needs" if model is Need else "offers"
    for language in ("es", "pt", "fr"):
        page = sign_in(Role.FOCAL_POINT, "gov-br", language=language).get(f"/{kind}/new")
        assert page.status_code == 200
        assert f'<option value="{language}" selected' in page.text
