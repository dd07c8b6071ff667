"""The secretariat's day: a vague post returned and mended, weights tried, doubles merged, silence."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.reading import follow, hand_in, path_of

pytestmark = pytest.mark.browser

TITLE = "Ayuda para nuestros municipios"
MENDED = "Taller de compostaje para doce municipios de Cusco"


def test_the_secretariat_returns_tries_merges_and_sees_the_silence(reader):
    office = reader("secretariat@demo.example", locale="es")

    jamaica = reader("focal.jm@demo.example", locale="en-GB", width=390)
    jamaica.goto("/needs/new")
    jamaica.fill("[name=title]", TITLE)
    jamaica.fill("[name=description]", "Necesitamos ayuda con muchas cosas.")
    jamaica.check("[name$='-kind'][value=technical_support]")
    hand_in(jamaica)
    need = path_of(jamaica)
    number = need.rsplit("/", 1)[1]

    # It is vague: the secretariat says what is missing, and the author reads it.
    office.goto("/secretariat/queue")
    item = office.locator(f"#post-{number}")
    expect(item).to_contain_text(TITLE)
    item.locator("details:has(form) > summary").click()
    comment = "Diga cuántos municipios, qué residuos y qué apoyo."
    item.locator("textarea[name=comment]").fill(comment)
    follow(office, item.locator("form[action*='/return'] button, details form button").first)
    jamaica.goto(need)
    expect(jamaica.locator("main")).to_contain_text(comment)

    # Mended, handed in again, published; then changed once more in public.
    jamaica.goto(f"{need}/edit")
    jamaica.fill("[name=title]", MENDED)
    jamaica.fill("[name=description]", "Doce municipios quieren compostar los restos del mercado.")
    hand_in(jamaica)
    office.goto("/secretariat/queue")
    item = office.locator(f"#post-{number}")
    expect(item).to_contain_text(MENDED)
    follow(office, item.locator("form[action$='/publish'] button"))
    jamaica.goto(f"{need}/edit")
    jamaica.fill("[name=title]", f"{MENDED} y Puno")
    follow(jamaica, ".form-foot [name=then][value=save]")
    visitor = reader(locale="fr-FR", width=390)
    for version, title in ((1, MENDED), (2, f"{MENDED} y Puno")):
        visitor.goto(f"{need}/versions/{version}")
        expect(visitor.locator("h1")).to_have_text(title)

    # What the vague text said, and what it says since, stands in the audit trail.
    reference = jamaica.locator(".crumbs").inner_text().split("›")[-1].strip()
    office.goto(f"/secretariat/audit?reference={reference}&action=post.edited")
    for words in office.locator("main details summary").all():
        words.click()
    expect(office.locator("main del").first).to_be_visible()
    gone = " ".join(office.locator("main del").all_inner_texts())
    assert "ayuda" in gone.lower()

    # Other weights are tried out; cancelled, nothing has changed.
    office.goto("/secretariat/weights")
    before = office.locator("main table tbody td.num").all_inner_texts()
    office.fill("[name=theme]", "30")
    office.fill("[name=text]", "30")
    follow(office, office.locator("main form[action*='weights'] button.btn-primary").first)
    expect(office.locator("#changes")).to_be_visible()
    follow(office, "main form[method=post] a.btn-outline-primary")
    assert office.locator("main table tbody td.num").all_inner_texts() == before

    # Two names of one organisation become one; the old link leads on.
    office.goto("/secretariat/merge?keep=eclac&merge=sela")
    office.fill("[name=reason]", "Two names in the exchange for one office.")
    for box in office.locator("main form[method=post] input[type=checkbox]").all():
        box.check()
    follow(office, "main form[method=post] button.btn-primary")
    expect(office).to_have_url(re.compile("/organisations/eclac$"))
    office.goto("/organisations/sela")
    expect(office).to_have_url(re.compile("/organisations/eclac$"))

    # What nobody has answered for too long.
    office.goto("/secretariat/silence?view=all")
    expect(office.locator("main table, main .empty").first).to_be_visible()
    assert office.locator("main nav a[href*='/silence?view=']").count() == 5
