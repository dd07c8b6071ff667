"""A focal point's day: a need left half-finished, told of its like, published, matched, declined."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from broker.exchange import Exchange
from broker.settings import Settings
from models import Need, PostStatus
from tests.journeys.reading import figure, figures, fits, follow, hand_in, path_of

pytestmark = pytest.mark.browser

LIKE = "need-ar-101"
"""A need of Argentina: school canteens that buy from family farms."""
ABSENT = "offer-tf-africa-002"
"""Courses for buyers, and yet not for this region."""


def _write_title(page: Page, title: str) -> None:
    """Write nothing but a title, and leave the page without saving."""
    page.goto("/needs/new")
    page.fill("[name=title]", title)
    expect(page.locator(".kept-status")).not_to_be_empty()
    page.goto("/needs")


def _go_on(page: Page, title: str) -> None:
    """Come back to it from the desk, and save it as a draft."""
    page.goto("/desk")
    follow(page, page.locator("main a", has_text=title).first)
    expect(page.locator("[name=title]")).to_have_value(title)
    follow(page, ".form-foot [name=then][value=save]")
    expect(page.locator("h1")).to_contain_text(title)


def _ranked(page: Page) -> list[str]:
    """Addresses of the pairs in the ranked list."""
    links = page.locator("ol.post-list li h3 a")
    return [links.nth(n).get_attribute("href") or "" for n in range(links.count())]


def _decline_first(page: Page, need: str) -> str:
    """Decline the best match with a reason; gives the pair's address."""
    page.goto(f"{need}/matches")
    pair = _ranked(page)[0]
    page.goto(pair)
    page.select_option("form[action$='/dismiss'] [name=reason]", index=1)
    follow(page, "form[action$='/dismiss'] button")
    expect(page.locator("main [role=status]").first).to_be_visible()
    return pair


def test_a_focal_point_writes_is_told_decides_and_changes_her_mind(site, reader):
    # A need with nothing but a title is found again, word for word, and saved as a draft.
    peru = reader("focal.pe@demo.example")
    title = "Compras de comedores escolares a la agricultura familiar de la sierra"
    _write_title(peru, title)
    _go_on(peru, title)
    need = path_of(peru)
    assert reader().goto(need).status == 404

    # While she writes she sees who could answer; before she hands in, that Argentina asks the same.
    peru.goto(f"/search?q={LIKE}")
    follow(peru, peru.locator("main li h3 a").first)
    text = peru.locator("main .prose").first.inner_text()
    peru.goto(f"{need}/edit")
    peru.fill("[name=description]", text)
    peru.check("[name$='-kind'][value=capacity_building]")
    # The first advice of a process learns from all posts: it may take a while.
    expect(peru.locator("#advice ol.likely li").first).to_be_visible(timeout=90_000)
    peru.locator("#advice button[name=take][value^='themes:']").first.click()
    expect(peru.locator("[name=themes]:checked")).to_have_count(1)
    follow(peru, ".form-foot [name=then][value=submit]")
    expect(peru.locator("#doubles")).to_contain_text("comedores escolares")
    follow(peru, ".form-foot [name=then][value=submit]")
    expect(peru).to_have_url(re.compile(f"{need}$"))

    # Each criterion's points add up to the score.
    peru.goto(f"{need}/matches")
    peru.goto(_ranked(peru)[0])
    rows = peru.locator("table.breakdown tbody tr td.num:nth-of-type(2)")
    total = figure(peru.locator("table.breakdown tfoot td.num strong").first.inner_text())
    assert sum(figures(rows.all_inner_texts())) == pytest.approx(total, abs=0.05)

    # A donor whom she knows is absent, and the rule that keeps it away is named.
    peru.goto(f"{need}/matches")
    peru.fill("main form #reference", ABSENT)
    follow(peru, "main form:has(#reference) button")
    expect(peru.locator(".notice.bad ul li").first).to_be_visible()
    peru.goto(f"{need}/excluded")
    assert peru.locator("main h2").count() > 0

    # What she declines is gone until either post changes.
    pair = _decline_first(peru, need)
    peru.goto(f"{need}/matches")
    assert pair not in _ranked(peru)
    peru.goto(f"{need}/edit")
    peru.fill("[name=title]", f"{title}: diez provincias")
    follow(peru, ".form-foot [name=then][value=save]")
    expect(peru.locator("h1")).to_contain_text("diez provincias")
    peru.goto(f"{need}/matches")
    assert pair in _ranked(peru)


def test_the_same_on_a_telephone_in_portuguese(reader):
    brazil = reader("focal.br@demo.example", locale="pt-BR", width=390)
    title = "Oficinas para catadores de dez cidades"
    _write_title(brazil, title)
    assert fits(brazil)
    _go_on(brazil, title)
    need = path_of(brazil)
    brazil.goto(f"{need}/edit")
    brazil.click("#step-1 button[data-step=step-2]")
    brazil.check("[name$='-kind'][value=capacity_building]")
    brazil.fill(
        "[name=description]",
        "Cooperativas de catadores querem aprender a desmontar eletrônicos com segurança e a "
        "negociar contratos com os fabricantes.",
    )
    hand_in(brazil)
    expect(brazil).to_have_url(re.compile(f"{need}$"))
    pair = _decline_first(brazil, need)
    brazil.goto(f"{need}/matches")
    assert pair not in _ranked(brazil)
    assert fits(brazil)


def test_another_ministry_s_draft_and_contacts_are_out_of_reach(site, reader):
    exchange = Exchange(Settings(home=site.home).completed())
    with exchange.reading() as session:
        draft = session.scalars(
            select(Need).where(Need.status == PostStatus.DRAFT, Need.reference.like("need-pa-%"))
        ).first()
        assert draft is not None
        number, contact = draft.id, draft.contact_email
    exchange.database.dispose()
    for page in (reader("focal.pe@demo.example"), reader()):
        for view in ("", "/edit", "/versions/1", "/matches", "/excluded", "/balance", "/withdraw"):
            answer = page.request.get(f"/needs/{number}{view}", max_redirects=0)
            assert answer.status in (302, 403, 404), view
            assert not contact or contact not in answer.text()
    # What is public tells a visitor nobody's address.
    visitor = reader()
    visitor.goto("/needs")
    follow(visitor, visitor.locator("main li h3 a").first)
    assert visitor.locator("main a[href^='mailto:']").count() == 0
