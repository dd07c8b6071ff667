"""Writing a post: kept while it is typed, saved step by step, sent twice, seen by the exchange."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from broker.writing import KEPT_FOR, MOST_FORMS, forget_old_forms
from models import AuditEvent, Need, PostStatus, Role, WritingForm, utc_now
from tests.broker.factories import post_need, post_offer
from tests.broker.web.forms_of import form_to

NEW = "/needs/new"
TEXT = "Public buyers of twelve ministries want training in green tenders and life-cycle cost."


@pytest.fixture
def writer(sign_in):
    return sign_in(Role.FOCAL_POINT)


def opened(browser, address=NEW, **typed):
    form = form_to(browser.get(address).text, address).fields
    for name, value in typed.items():
        form[name] = value
    return form


def count(exchange, model=Need):
    with exchange.reading() as session:
        return session.scalar(select(func.count()).select_from(model))


def title_of(exchange, number):
    with exchange.reading() as session:
        return session.get_one(Need, number).title


# Kept while it is typed


def test_what_is_typed_is_kept_for_its_writer_alone_and_found_intact(exchange, writer, sign_in):
    form = opened(writer, title="Half an idea", closes="soon", themes="water")
    answer = writer.post("/needs/typed", data=form)
    assert answer.status_code == 200
    address = answer.json["address"]
    assert count(exchange) == 0
    assert count(exchange, AuditEvent) == 0
    assert address in writer.get("/desk").text.replace("&amp;", "&")
    page = writer.get(address).text
    assert "It is not saved yet." in page
    again = form_to(page, NEW).fields
    assert again["title"] == "Half an idea"
    assert again["closes"] == "soon"
    assert again.getlist("themes") == ["water"]
    colleague = sign_in(Role.FOCAL_POINT)
    assert "Half an idea" not in colleague.get(address).text
    assert colleague.post("/needs/typed", data={**form, "title": "Stolen"}).status_code == 404
    assert "Half an idea" not in colleague.get("/desk").text


def test_saving_leaves_nothing_unsaved(exchange, writer):
    form = opened(writer, title="Half an idea")
    writer.post("/needs/typed", data=form)
    assert "not saved" in writer.get(NEW).text
    assert writer.post(NEW, data=form).status_code == 302
    assert "was not saved" not in writer.get(NEW).text
    assert "Text that is not saved yet" not in writer.get("/desk").text
    # An answer that comes late keeps nothing either.
    with exchange.reading() as session:
        need = session.scalars(select(Need)).one()
        late = {**form.to_dict(), "post": need.id, "revision": need.revision}
    writer.post("/needs/typed", data=late)
    assert "Text that is not saved yet" not in writer.get("/desk").text


def test_typing_changes_neither_a_published_post_nor_its_versions(exchange, writer, client):
    with exchange.writing() as session:
        number = post_need(session, title="Public words").id
    form = opened(writer, f"/needs/{number}/edit", title="Private words")
    answer = writer.post("/needs/typed", data=form)
    assert answer.json == {
        "address": f"/needs/{number}/edit?form={form['form']}",
        "stale": False,
    }
    assert "Public words" in client.get(f"/needs/{number}").text
    page = writer.get(f"/needs/{number}/edit").text
    assert form_to(page, f"/needs/{number}/edit").fields["title"] == "Public words"
    assert "Private words" in page
    page = writer.get(answer.json["address"]).text
    assert form_to(page, f"/needs/{number}/edit").fields["title"] == "Private words"


def test_text_can_be_thrown_away(exchange, writer):
    form = opened(writer, title="Half an idea")
    writer.post("/needs/typed", data=form)
    assert writer.post("/typed/drop", data={"form": form["form"]}).status_code == 302
    assert "Half an idea" not in writer.get(NEW).text


def test_nobody_keeps_text_for_another_organisation_s_post(exchange, sign_in):
    with exchange.writing() as session:
        number = post_need(session).id
    stranger = sign_in(Role.FOCAL_POINT, "gov-br")
    data = {"form": "a-token", "post": number, "title": "x"}
    assert stranger.post("/needs/typed", data=data).status_code == 403
    assert stranger.post("/needs/advice", data=data).status_code == 403
    assert sign_in(Role.PROVIDER).post("/needs/typed", data={"form": "b"}).status_code == 403


@pytest.mark.parametrize("token", ["", "x" * 200])
def test_a_form_without_a_proper_name_is_not_kept(writer, token):
    assert writer.post("/needs/typed", data={"form": token, "title": "x"}).status_code == 404


def test_old_and_many_forms_make_room(exchange, writer):
    for number in range(MOST_FORMS + 3):
        writer.post("/needs/typed", data={"form": f"form-{number}", "title": f"No. {number}"})
    assert count(exchange, WritingForm) == MOST_FORMS
    with exchange.writing() as session:
        session.scalars(select(WritingForm)).first().touched_at = utc_now() - 2 * KEPT_FOR
    forget_old_forms(exchange)
    assert count(exchange, WritingForm) == MOST_FORMS - 1


# Step by step


def test_a_step_is_saved_and_leads_to_the_next(exchange, writer):
    form = opened(writer, title="Half an idea", then="step-2")
    answer = writer.post(NEW, data=form)
    assert answer.status_code == 302
    assert answer.location.endswith("/edit#step-2")
    assert count(exchange) == 1
    assert "Saved as a draft." in writer.get(answer.location).text


def test_enter_saves_a_draft_and_never_publishes(exchange, writer):
    with exchange.writing() as session:
        live = post_need(session, title="Public words").id
    page = writer.get(NEW).text
    first = page[page.index("data-keep") :].split("<button", 2)[1]
    assert 'value="save"' in first
    page = writer.get(f"/needs/{live}/edit").text
    first = page[page.index("data-keep") :].split("<button", 2)[1]
    assert 'value="suggest"' in first
    assert 'value="step-' not in page


def test_every_reader_has_the_names_of_fields_in_her_own_language(sign_in):
    # Templates are compiled once, whoever comes first.
    for language, words in (("en", "Kinds of support"), ("es", "Tipos de apoyo"), ("fr", "Pays")):
        page = sign_in(Role.FOCAL_POINT, language=language).get(NEW).text
        assert words in page, language


# Sent twice


@pytest.mark.parametrize("then", ["save", "submit", "step-2"])
def test_a_double_click_makes_one_post(exchange, writer, then):
    form = opened(writer, title="Train buyers", description=TEXT, then=then)
    form["support-0-kind"] = "technical_support"
    first, second = (writer.post(NEW, data=form) for _ in range(2))
    assert first.status_code == second.status_code == 302
    assert (
        first.location.split("#")[0].split("/edit")[0]
        == second.location.split("#")[0].split("/edit")[0]
    )
    assert count(exchange) == 1


def test_going_back_after_saving_changes_the_same_post(exchange, writer):
    form = opened(writer, title="First words")
    number = int(writer.post(NEW, data=form).location.rsplit("/", 1)[1])
    form["title"] = "Second words"
    assert writer.post(NEW, data=form).status_code == 302
    assert title_of(exchange, number) == "Second words"
    assert count(exchange) == 1


def test_going_back_after_handing_in_compares_and_loses_nothing(exchange, writer):
    form = opened(writer, title="Train buyers", description=TEXT, then="submit")
    form["support-0-kind"] = "technical_support"
    number = int(writer.post(NEW, data=form).location.rsplit("/", 1)[1])
    form["title"] = "Train more buyers"
    answer = writer.post(NEW, data=form)
    assert answer.status_code == 409
    assert "Train buyers" in answer.text
    assert title_of(exchange, number) == "Train buyers"
    again = form_to(answer.text, f"/needs/{number}/edit").fields
    assert again["title"] == "Train more buyers"
    assert writer.post(f"/needs/{number}/edit", data=again).status_code == 302
    assert title_of(exchange, number) == "Train more buyers"
    assert count(exchange) == 1


def test_going_back_when_a_colleague_has_changed_it_compares(exchange, writer, sign_in):
    form = opened(writer, title="First words")
    number = int(writer.post(NEW, data=form).location.rsplit("/", 1)[1])
    address = f"/needs/{number}/edit"
    colleague = sign_in(Role.FOCAL_POINT)
    colleague.post(address, data=opened(colleague, address, title="Her words"))
    form["title"] = "My words"
    assert writer.post(NEW, data=form).status_code == 409
    assert title_of(exchange, number) == "Her words"


def test_the_second_of_two_windows_sees_both_texts_side_by_side(exchange, writer):
    with exchange.writing() as session:
        number = post_need(session, title="Old", status=PostStatus.DRAFT, themes=["water"]).id
    address = f"/needs/{number}/edit"
    one, other = opened(writer, address), opened(writer, address)
    one["title"], one["description"] = "From one window", "One text"
    other["title"], other["description"] = "From the other", "Another text"
    other.setlist("themes", ["climate_change"])
    assert writer.post(address, data=one).status_code == 302
    assert writer.post("/needs/typed", data=other).json["stale"] is True
    answer = writer.post(address, data=other)
    assert answer.status_code == 409
    for words in ("From one window", "One text", "From the other", "Another text", "Water"):
        assert words in answer.text, words
    assert "The post says now" in answer.text
    assert "You wrote" in answer.text
    # The same once more is no conflict: it is what stands.
    assert writer.post(address, data=one).status_code == 302


# What the exchange says


def test_matches_doubles_themes_and_gaps_are_shown_while_writing(exchange, writer, count_queries):
    with exchange.writing() as session:
        post_offer(session, title="Toolkit for public buyers", description=TEXT)
        post_need(session, "gov-br", title="Train public buyers", description=TEXT)
    before = count(exchange), count(exchange, AuditEvent)
    form = opened(writer, title="Train public buyers", description=TEXT)
    answer = writer.post("/needs/advice", data=form)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    for words in (
        "Toolkit for public buyers",
        "Posts that say nearly the same",
        "Train public buyers",
        "No kind of support is ticked yet",
        "What would make it match better",
        "Themes",
        "up to ",
    ):
        assert words in answer.text, words
    form["themes"] = "sustainable_public_procurement"
    form["support-0-kind"] = "capacity_building"
    said = writer.post("/needs/advice", data=form).text
    assert "No kind of support is ticked yet" not in said
    assert 'data-field="themes"' not in said
    assert (count(exchange), count(exchange, AuditEvent)) == before


def test_a_similar_need_of_another_country_is_told_before_handing_in_and_once(exchange, writer):
    with exchange.writing() as session:
        other = post_need(session, "gov-br", title="Train public buyers", description=TEXT).id
    form = opened(writer, title="Train public buyers", description=TEXT, then="submit")
    form["support-0-kind"] = "technical_support"
    asked = writer.post(NEW, data=form)
    assert asked.status_code == 409
    assert "1 need of another country asks for nearly the same." in asked.text
    assert f"/needs/{other}" in asked.text
    again = form_to(asked.text, NEW).fields
    again["then"] = "submit"
    assert writer.post(NEW, data=again).status_code == 302


def test_the_same_is_there_by_a_button(exchange, writer):
    with exchange.writing() as session:
        post_offer(session, title="Toolkit for public buyers", description=TEXT)
    form = opened(writer, title="Train public buyers", description=TEXT, then="suggest")
    answer = writer.post(NEW, data=form)
    assert answer.status_code == 200
    assert "Toolkit for public buyers" in answer.text
    assert form_to(answer.text, NEW).fields["description"] == TEXT
    assert count(exchange) == 0


def test_an_offer_sees_the_needs_that_it_would_serve(exchange, sign_in):
    with exchange.writing() as session:
        post_need(session, title="Train public buyers", description=TEXT)
    browser = sign_in(Role.PROVIDER)
    form = opened(browser, "/offers/new", title="Toolkit for buyers", description=TEXT)
    form["serves_subregions"] = "regional"
    assert "Train public buyers" in browser.post("/offers/advice", data=form).text


@pytest.mark.parametrize(
    "typed",
    [
        {"title": ""},
        {"title": "x", "closes": "never", "money_most": "much", "language": "xx"},
        {"title": "one two three four five", "themes": "nonsense", "support-0-detail": "only"},
        {"title": "🌱 " * 50, "description": "<b>" * 100},
    ],
)
def test_advice_on_anything_is_no_error(writer, typed):
    form = opened(writer, **typed)
    assert writer.post("/needs/advice", data=form).status_code == 200


def test_the_public_gets_no_advice_and_keeps_nothing(client):
    headers = {"Accept": "application/json"}
    for address in ("/needs/typed", "/needs/advice"):
        assert client.post(address, data={"form": "x"}, headers=headers).status_code == 401


def test_a_script_gets_a_fresh_token_with_the_refusal(app, sign_in):
    app.config["WTF_CSRF_ENABLED"] = True
    browser = sign_in(Role.FOCAL_POINT)
    form = opened(browser, title="Half an idea", csrf_token="stale")
    headers = {"Accept": "application/json"}
    refused = browser.post("/needs/typed", data=form, headers=headers)
    assert refused.status_code == 400
    form["csrf_token"] = refused.headers["X-Form-Token"]
    assert browser.post("/needs/typed", data=form, headers=headers).status_code == 200
