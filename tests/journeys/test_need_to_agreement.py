"""From a need in Spanish to a signed agreement in the report: the exchange's promise, by hand."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Page, expect

from tests.journeys.reading import figure, figures, follow, in_days

pytestmark = pytest.mark.browser

TITLE = "Capacitación de compradores públicos en compras públicas sostenibles"
TOOLKIT = "offer-tf-procurement-001"


def _write_need(page: Page) -> None:
    page.goto("/needs/new")
    page.fill("[name=title]", TITLE)
    page.fill(
        "[name=description]",
        "La central de compras y las oficinas de logística de doce ministerios quieren aprender a "
        "poner criterios ambientales y sociales en sus licitaciones: cláusulas, costo del ciclo de "
        "vida, evaluación de ofertas. Se pide un taller práctico para 25 funcionarios con "
        "ejercicios sobre sus propias bases y un seguimiento a los seis meses.",
    )
    page.check("[name$='-kind'][value=capacity_building]")
    page.locator("details", has=page.locator("[name=themes]")).first.locator(
        "summary"
    ).first.click()
    page.check("[name=themes][value=sustainable_public_procurement]")


def test_a_need_in_spanish_becomes_an_agreement_with_the_swiss_led_task_force(site, reader):
    # Peru's focal point posts a need, in Spanish.
    peru = reader("focal.pe@demo.example")
    _write_need(peru)
    follow(peru, "[name=then][value=submit]")
    expect(peru.locator("h1")).to_contain_text(TITLE)
    need_address = peru.url

    # She sees the toolkit, posted in English, among the first: docs/performance.md says how soon.
    follow(peru, "main a[href$='/matches']")
    expect(peru.locator("ol.post-list").first).to_be_visible()
    first = peru.locator("ol.post-list").first.locator("li a")
    titles = [first.nth(i).inner_text() for i in range(min(3, first.count()))]
    assert any("compradores públicos" in title for title in titles), titles

    # Its reasons add up to its score.
    follow(peru, peru.locator("ol.post-list li a", has_text="Caja de herramientas").first)
    expect(peru.locator("main")).to_contain_text(TOOLKIT)
    rows = peru.locator("table.breakdown tbody tr td.num:nth-of-type(2)")
    expect(rows).to_have_count(9)
    total = figure(peru.locator("table.breakdown tfoot td.num strong").first.inner_text())
    assert sum(figures(rows.all_inner_texts())) == pytest.approx(total, abs=0.05)
    peru.fill("#message", "Nos interesa el taller para doce ministerios.")
    follow(peru, "form[action$='/interest'] button")
    expect(peru.locator("main")).to_contain_text("Nos interesa el taller")
    pair_address = peru.url

    # The task force, reading English, finds what waits on its desk and accepts.
    force = reader("tf.procurement@demo.example", locale="en-GB")
    expect(force.locator("main")).to_contain_text(TITLE)
    force.goto(pair_address)
    follow(force, "form[action$='/answer'] button[value=true]")

    # It proposes terms; Peru answers with others; the task force accepts these.
    follow(force, "main a[href*='/agreements/new']")
    force.fill("[name=title]", "Training of public buyers in Peru")
    force.fill("[name=activities]", "One five-day workshop in Lima and two on-line clinics.")
    force.fill("[name=places]", "20")
    force.fill("[name=starts]", in_days(90))
    force.fill("[name=ends]", in_days(300))
    follow(force, force.locator("main form button.btn-primary").last)
    expect(force).to_have_url(re.compile(r"/agreements/\d+$"))
    agreement = force.url
    peru.goto(agreement)
    follow(peru, "main a[href$='/terms']")
    peru.fill("[name=places]", "25")
    follow(peru, peru.locator("main form button.btn-primary").last)
    expect(peru).to_have_url(agreement)
    force.goto(agreement)
    expect(force.locator("main ins").first).to_be_visible()
    follow(force, "form[action$='/accept'] button")

    # Both sign; the last signature commits the places.
    for page in (force, peru):
        page.goto(agreement)
        follow(page, "main a[href$='/sign']")
        follow(page, "main form button.btn-primary")
        expect(page).to_have_url(agreement)
    reference = re.search(r"AG-\d{4}-\d{4}", peru.content())
    assert reference is not None

    # The secretariat finds the agreement in the report, in the browser and as XLSX.
    office = reader("secretariat@demo.example")
    office.goto("/secretariat/report")
    expect(office.locator("main")).to_contain_text(reference.group())
    response = office.request.get("/secretariat/report.xlsx")
    assert response.ok
    book = load_workbook(BytesIO(response.body()))
    cells = {str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row}
    assert reference.group() in cells
    assert "25" in cells

    # And everybody finds it in the register; the offer shows what is left.
    visitor = reader(locale="fr-FR", width=390)
    visitor.goto("/agreements")
    expect(visitor.locator("main")).to_contain_text(reference.group())
    visitor.goto(need_address)
    expect(visitor.locator("main")).to_contain_text(TITLE)
