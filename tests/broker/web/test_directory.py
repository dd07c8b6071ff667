"""The pages of the directories: found in public, written, reviewed, renewed, cited."""

import csv
import io
import re

import pytest
from sqlalchemy import select

from broker.directory import publish_entry, save_entry, submit_entry
from broker.open_data import DATASETS
from models import AgreementStatus, Citation, Entry, EntryKind, EntryStatus, Offer, Role
from tests.broker.factories import days, find_organisation, make_person, post_need, post_offer
from tests.broker.web.forms_of import form_to
from tests.factories import make_agreement, people

FACTS = {
    "title": "Closed wash water in tanneries",
    "description": "Three tanneries use their soaking water again.",
    "themes": ["cleaner_production", "water"],
    "language": "en",
    "contact_role": "Cleaner production desk",
    "contact_email": "desk@ministry.example",
}


def publish(exchange, kind=EntryKind.PRACTICE, organisation="gov-pe", on=None, **facts):
    """The number of a published entry."""
    with exchange.writing() as session:
        office = make_person(session, Role.SECRETARIAT)
        country = find_organisation(session, organisation).country_code
        data = {**FACTS, "organisation": organisation, "country": country, **facts}
        entry = save_entry(session, office, kind, data, exchange.reference)
        submit_entry(session, office, entry, exchange.reference, today=on or days(0))
        if entry.status == EntryStatus.SUBMITTED:
            publish_entry(session, office, entry, today=on or days(0))
        return entry.id


def kept(exchange, model=Entry):
    with exchange.reading() as session:
        rows = session.scalars(select(model).order_by(model.id)).all()
        session.expunge_all()
        return rows


# --- Finding ----------------------------------------------------------------------------------


def test_everybody_finds_an_entry_and_reads_all_but_the_contact(exchange, client, sign_in):
    number = publish(
        exchange,
        results="A third less water.",
        figures=[{"name": "Water saved", "value": 33.5, "unit": "%"}],
        source_document="003",
        source_line=284,
        source_address="https://www.example.org/tanneries",
    )
    listed = client.get("/directory?q=taneries").text
    assert "Closed wash water in <mark>tanneries</mark>" in listed
    assert "Good practice" in listed
    page = client.get(f"/directory/entries/{number}").text
    for words in (
        "A third less water.",
        "Water saved",
        "33.5 %",
        "line 284",
        "example.org/tanneries",
    ):
        assert words in page, words
    assert "desk@ministry.example" not in page
    assert (
        "desk@ministry.example" in sign_in(Role.PROVIDER).get(f"/directory/entries/{number}").text
    )


def test_the_directories_are_open_data_save_contacts_and_drafts(exchange, client):
    figures = [{"name": "Water saved", "value": 33.5, "unit": "%"}]
    publish(exchange, figures=figures, source_address="https://www.example.org/a")
    publish(exchange, EntryKind.TECHNOLOGY, "gov-mx", title="Biodigester", maturity="in_use")
    with exchange.writing() as session:
        office = make_person(session, Role.SECRETARIAT)
        draft = {**FACTS, "title": "A draft", "organisation": "gov-pe"}
        save_entry(session, office, EntryKind.PRACTICE, draft, exchange.reference)
    answer = client.get("/open-data/directories.csv")
    rows = {row["title"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert set(rows) == {FACTS["title"], "Biodigester"}
    first = rows[FACTS["title"]]
    assert (first["directory"], first["country_iso3"]) == ("practice", "PER")
    assert first["figures"] == "Water saved: 33.5 %"
    assert rows["Biodigester"]["maturity"] == "in_use"
    assert "desk@ministry.example" not in answer.text
    assert set(first) == {column.name for column in DATASETS["directories"].columns}


def test_a_directory_is_kept_as_a_search_with_its_filters(exchange, client, sign_in):
    assert "Sign in to save this search" in client.get("/directory").text
    person = sign_in(Role.FOCAL_POINT)
    page = person.get("/directory/practices?theme=water&q=agua&sort=title").text
    form = form_to(page, "/searches").fields
    form.setlist("name", ["Water that works"])
    kept_list = person.post("/searches", data=form, follow_redirects=True).text
    assert "Water that works" in kept_list
    assert "Directory: Good practice" in kept_list
    assert "/directory?kind=practice&amp;theme=water&amp;q=agua&amp;sort=title" in kept_list


def test_readers_see_an_entry_in_their_own_language(exchange, client, sign_in):
    said = {"es": {"title": "Agua en curtiembres", "summary": "Se reúsa el agua de remojo."}}
    number = publish(exchange, translations=said)
    untold = publish(exchange, translations={"es": {"title": "", "summary": ""}}, title="Whey")
    client.post("/language/es")
    listed = client.get("/directory?q=curtiembre").text
    assert '<span lang="es">Agua en <mark>curtiembres</mark></span>' in listed
    assert "Se reúsa el agua de remojo." in listed
    page = client.get(f"/directory/entries/{number}").text
    assert "<title>Agua en curtiembres" in page
    assert "Closed wash water in tanneries" in page, "as it was written stands below"
    assert '<span lang="en">Whey</span>' in client.get(f"/directory/entries/{untold}").text


def test_titles_in_other_languages_are_written_in_the_form(exchange, sign_in):
    author = sign_in(Role.FOCAL_POINT)
    form = {name: FACTS[name] for name in ("title", "description", "language")} | {"then": "save"}
    assert "translations-fr-title" in author.get("/directory/practices/new").text
    sent = {**form, "translations-fr-title": "L’eau des tanneries"}
    assert author.post("/directory/practices/new", data=sent).status_code == 302
    (entry,) = kept(exchange)
    assert entry.title_in("fr") == "L’eau des tanneries"
    assert entry.title_in("pt") == entry.title
    again = author.post(
        "/directory/practices/new", data={**form, "translations-en-title": "The same language"}
    )
    assert again.status_code == 422
    assert "problem" in again.text


def test_filters_live_in_the_address_and_come_off_one_by_one(exchange, client):
    publish(exchange)
    publish(
        exchange, EntryKind.TECHNOLOGY, "gov-mx", title="Biodigester", themes=["waste_management"]
    )
    page = client.get("/directory?theme=water&country=PE&subregion=andean").text
    assert "1 entry" in page
    assert "Biodigester" not in page
    assert 'href="/directory?theme=water&amp;subregion=andean"' in page
    assert "Biodigester" in client.get("/directory/technologies").text
    nothing = client.get("/directory?theme=water&country=MX").text
    assert "Nothing passes these filters." in nothing
    assert "Take all filters off" in nothing


def test_an_empty_directory_says_what_to_do(client, sign_in):
    assert "There is nothing here yet." in client.get("/directory/specialists").text
    page = sign_in(Role.FOCAL_POINT).get("/directory/specialists").text
    assert "Add the first entry yourself" in page


@pytest.mark.parametrize(
    "query",
    [
        "q=%00%01",
        "page=999999999",
        "sort=nothing",
        "theme=%22%3E",
        "kind=x&expired=2",
        "organisation=caf",
    ],
)
def test_odd_addresses_have_an_answer(exchange, client, query):
    publish(exchange)
    assert client.get(f"/directory?{query}").status_code == 200


def test_an_unknown_directory_or_entry_is_not_found(client):
    assert client.get("/directory/wizards").status_code == 404
    assert client.get("/directory/entries/1").status_code == 404


def test_an_expired_certificate_is_marked_and_out_of_the_list(exchange, client):
    number = publish(
        exchange,
        EntryKind.SPECIALIST,
        "gov-pa",
        on=days(-30),
        title="Auditing unit",
        certified_by="gov-pa",
        certificate="PML-7",
        valid_until=days(-2).isoformat(),
    )
    page = client.get("/directory/specialists").text
    assert "Auditing unit" not in page
    assert "1 more whose date has passed" in page
    assert "Auditing unit" in client.get("/directory/specialists?expired=1").text
    assert "certificate ran out on" in client.get(f"/directory/entries/{number}").text


def test_what_people_write_is_escaped_everywhere(exchange, client, sign_in):
    script = "<script>alert(1)</script>"
    number = publish(
        exchange,
        EntryKind.TECHNOLOGY,
        title=script,
        description=script * 3,
        supplier=script,
        figures=[{"name": script, "value": 1, "unit": "%"}],
    )
    office = sign_in(Role.SECRETARIAT)
    for path in (
        "/directory",
        "/directory?q=alert",
        f"/directory/entries/{number}",
        f"/directory/entries/{number}/edit",
        f"/directory/entries/{number}/withdraw",
    ):
        page = office.get(path).text
        assert script not in page, path
        assert "&lt;script&gt;" in page, path


# --- Writing ----------------------------------------------------------------------------------


def test_a_focal_point_writes_submits_and_the_secretariat_publishes(exchange, client, sign_in):
    writer, office = sign_in(Role.FOCAL_POINT, "gov-co"), sign_in(Role.SECRETARIAT)
    form = form_to(writer.get("/directory/practices/new").text, "/directory/practices/new").fields
    form.setlist("title", ["Drip irrigation"])
    form.setlist("description", ["Forty farms share a pump."])
    form.setlist("language", ["en"])
    form.setlist("themes", ["water"])
    form.setlist("year", ["2024"])
    form.setlist("figures-0-name", ["Water saved"])
    form.setlist("figures-0-value", ["40"])
    form.setlist("figures-0-unit", ["%"])
    form.add("then", "submit")
    answer = writer.post("/directory/practices/new", data=form, follow_redirects=True)
    assert "Submitted for review." in answer.text
    (entry,) = kept(exchange)
    assert (entry.status, entry.year, entry.country_code) == ("submitted", 2024, "CO")
    assert entry.figures == [{"name": "Water saved", "value": 40.0, "unit": "%"}]
    assert client.get(f"/directory/entries/{entry.id}").status_code == 404
    queue = office.get("/secretariat/directory").text
    assert "Forty farms share a pump." in queue
    sent = form_to(queue, f"/secretariat/directory/{entry.id}/publish").fields
    office.post(f"/secretariat/directory/{entry.id}/publish", data=sent)
    assert client.get(f"/directory/entries/{entry.id}").status_code == 200


def test_a_returned_entry_tells_its_author_what_to_mend(exchange, sign_in):
    writer, office = sign_in(Role.FOCAL_POINT, "gov-co"), sign_in(Role.SECRETARIAT)
    writer.post("/directory/practices/new", data={**FACTS, "then": "submit"})
    (entry,) = kept(exchange)
    address = f"/secretariat/directory/{entry.id}/return"
    refused = office.post(address, data={"comment": "  "})
    assert refused.status_code == 422
    assert "Please fill this in." in refused.text
    office.post(address, data={"comment": "Which year?"})
    assert "Which year?" in writer.get(f"/directory/entries/{entry.id}").text
    assert "Which year?" in writer.get("/desk/directory").text


@pytest.mark.parametrize(
    ("shelf", "wrong", "words"),
    [
        ("practices", {"title": ""}, "Please fill this in."),
        ("practices", {"sector": "00000"}, "is not one of the known codes"),
        ("practices", {"year": "long ago"}, "This is not a whole number."),
        ("practices", {"year": "1492"}, "Give a year from 1990 on."),
        ("practices", {"figures-0-name": "Water", "figures-0-value": "much"}, "This is not a number."),
        ("practices", {"figures-0-value": "3"}, "Please fill this in."),
        ("practices", {"description": "x" * 100_000}, "This is too long."),
        ("practices", {"valid_until": "end of 2030"}, "This is not a date."),
        ("practices", {"valid_until": days(-1).isoformat()}, "This date has passed."),
        ("technologies", {"maturity": "magic"}, "Choose one of the stages of the list."),
        ("technologies", {"source_address": "javascript:alert(1)"}, "This is not the address of a page"),
        ("specialists", {"certified_by": "gov-pa", "valid_until": days(-1).isoformat()}, "This date has passed."),
        ("specialists", {"certified_by": "gov-pa"}, "Please fill this in."),
        ("specialists", {"certificate": "X", "valid_until": days(9).isoformat()}, "Please fill this in."),
        ("institutions", {"contact_email": "nobody"}, "This is not an e-mail address"),
        ("institutions", {"organisation": "caf"}, "You write for your own organisation"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_its_place_and_nothing_typed_is_lost(
    exchange, sign_in, shelf, wrong, words
):
    writer = sign_in(Role.FOCAL_POINT, "gov-co")
    data = {**FACTS, "services": "typed with care", "supplier": "typed with care",
            "lessons": "typed with care", **wrong, "then": "submit"}  # fmt: skip
    answer = writer.post(f"/directory/{shelf}/new", data=data)
    assert answer.status_code == 422
    assert words in answer.text
    (where,) = set(re.findall(r'href="#(\w+-problem)"', answer.text))
    assert f'id="{where}"' in answer.text, "the fields are named above the form, as links"
    assert "typed with care" in answer.text
    assert kept(exchange) == []


def test_pasted_word_text_emoji_and_direction_marks_are_kept_readable(exchange, sign_in):
    writer = sign_in(Role.FOCAL_POINT, "gov-co")
    text = "“Agua”\u00ad limpia\u202e 🌱 …\r\nsegunda línea"
    writer.post("/directory/practices/new", data={**FACTS, "description": text, "then": "save"})
    assert kept(exchange)[0].description == "“Agua” limpia 🌱 …\nsegunda línea"


def test_of_two_tabs_the_second_is_told(exchange, sign_in):
    number = publish(exchange)
    writer = sign_in(Role.FOCAL_POINT, "gov-pe")
    address = f"/directory/entries/{number}/edit"
    form = form_to(writer.get(address).text, address).fields
    first, second = form.copy(), form.copy()
    first.setlist("title", ["The first title"])
    second.setlist("title", ["The second title"])
    assert writer.post(address, data=first).status_code == 302
    answer = writer.post(address, data=second)
    assert answer.status_code == 409
    assert "The second title" in answer.text
    assert kept(exchange)[0].title == "The first title"


def test_others_neither_change_nor_withdraw_an_entry(exchange, sign_in):
    number = publish(exchange)
    stranger = sign_in(Role.PROVIDER, "caf")
    for act in ("edit", "withdraw"):
        assert stranger.get(f"/directory/entries/{number}/{act}").status_code == 403
    for act in ("submit", "withdraw", "reopen", "renew", "offer"):
        assert stranger.post(f"/directory/entries/{number}/{act}").status_code == 403, act
    assert "Make an offer of it" not in stranger.get(f"/directory/entries/{number}").text


def test_withdrawing_asks_first_and_can_be_undone(exchange, client, sign_in):
    number = publish(exchange)
    writer = sign_in(Role.FOCAL_POINT, "gov-pe")
    assert "Withdraw this entry?" in writer.get(f"/directory/entries/{number}/withdraw").text
    writer.post(f"/directory/entries/{number}/withdraw")
    assert client.get(f"/directory/entries/{number}").status_code == 404
    assert writer.get(f"/directory/entries/{number}/edit").status_code == 409
    writer.post(f"/directory/entries/{number}/reopen")
    assert kept(exchange)[0].status == "draft"


def test_a_certificate_is_renewed_with_its_new_date(exchange, sign_in):
    number = publish(
        exchange, EntryKind.SPECIALIST, certified_by="gov-pe", valid_until=days(20).isoformat()
    )
    office = sign_in(Role.SECRETARIAT)
    address = f"/directory/entries/{number}/renew"
    for wrong in ("", days(-1).isoformat(), "soon"):
        assert office.post(address, data={"valid_until": wrong}).status_code == 422, wrong
    office.post(address, data={"valid_until": days(400).isoformat()})
    assert kept(exchange)[0].valid_until == days(400)


# --- Putting to use ---------------------------------------------------------------------------


def test_a_completed_agreement_is_told_by_one_click(exchange, sign_in):
    with exchange.writing() as session:
        agreement = make_agreement(
            session, post_need(session), post_offer(session), status=AgreementStatus.COMPLETED
        )
        asking, number = people(session, agreement)[0], agreement.id
        asking.language = "en"
    browser = sign_in(asking)
    assert "Tell it as a good practice" in browser.get(f"/agreements/{number}").text
    answer = browser.post(f"/agreements/{number}/practice", follow_redirects=True)
    assert "All was done." in answer.text
    (entry,) = kept(exchange)
    assert entry.agreement_id == number
    page = browser.get(f"/directory/entries/{entry.id}").text
    assert agreement.reference in page


def test_an_entry_becomes_an_offer_and_both_say_so(exchange, client, sign_in):
    number = publish(exchange)
    writer = sign_in(Role.FOCAL_POINT, "gov-pe")
    answer = writer.post(f"/directory/entries/{number}/offer", follow_redirects=True)
    assert "Closed wash water in tanneries" in answer.text
    (offer,) = kept(exchange, Offer)
    assert "Experience from the directories" in writer.get(f"/offers/{offer.id}").text
    page = writer.get(f"/directory/entries/{number}").text
    assert "Offers that name it as experience" in page
    assert f"/offers/{offer.id}" in page
    assert f"/offers/{offer.id}" not in client.get(f"/directory/entries/{number}").text


def test_a_provider_names_an_entry_and_takes_it_off_again(exchange, client, sign_in):
    number = publish(exchange)
    with exchange.writing() as session:
        offer = post_offer(session, "caf", title="Loans for tanneries").id
    provider = sign_in(Role.PROVIDER, "caf")
    page = provider.get(f"/directory/entries/{number}").text
    sent = form_to(page, f"/directory/entries/{number}/cite").fields
    provider.post(f"/directory/entries/{number}/cite", data=sent)
    assert "Loans for tanneries" in client.get(f"/directory/entries/{number}").text
    assert "Closed wash water" in client.get(f"/offers/{offer}").text
    assert provider.post(f"/directory/entries/{number}/cite", data=sent).status_code == 409
    provider.post(f"/directory/entries/{number}/cite/{offer}/drop")
    with exchange.reading() as session:
        assert session.scalars(select(Citation)).all() == []


def test_a_need_that_nobody_serves_is_shown_what_exists(exchange, sign_in):
    number = publish(exchange, organisation="gov-ec")
    with exchange.writing() as session:
        need = post_need(
            session,
            "gov-pe",
            title="Save water in tanneries",
            description="Tanneries waste their soaking water.",
            themes=["cleaner_production", "water"],
        ).id
    page = sign_in(Role.FOCAL_POINT, "gov-pe").get(f"/needs/{need}/matches").text
    assert "What exists already" in page
    assert f"/directory/entries/{number}" in page
    assert "It is from the same subregion." in page


@pytest.mark.parametrize("many", [2, 30])
def test_pages_ask_the_same_number_of_questions_however_many_entries(
    exchange, client, count_queries, many
):
    for number in range(many):
        publish(exchange, title=f"Practice {number}", organisation=("gov-pe", "gov-mx")[number % 2])
    client.get("/directory?q=practice")
    for path, most in (
        ("/directory", 16),
        ("/directory?q=practice&theme=water", 18),
        ("/directory/entries/1", 10),
    ):
        with count_queries() as statements:
            assert client.get(path).status_code == 200
        assert len(statements) <= most, (path, len(statements), statements)
