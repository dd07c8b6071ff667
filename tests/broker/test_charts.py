"""Charts are SVG that says its numbers, leads to its rows, and stands in a page and in a PDF."""

from xml.etree import ElementTree

import pytest
import typst

from broker.charts import (
    BarRow,
    HeatCell,
    HeatRow,
    PairedRow,
    draw_bars,
    draw_heat_table,
    draw_paired_bars,
    level_of,
)
from broker.tile_map import Tile, draw_tile_map

SVG = "{http://www.w3.org/2000/svg}"

DRAWINGS = {
    "bars": draw_bars([BarRow("Water", 3), BarRow("Waste", 0)], "Needs by theme"),
    "paired": draw_paired_bars([PairedRow("Water", 3, 1)], "Needs and offers by theme"),
    "heat": draw_heat_table(
        ["Andean", "Caribbean"],
        [HeatRow("Water", (HeatCell(3, 1), HeatCell(0, 0)))],
        "Needs and offers",
    ),
    "map": draw_tile_map([Tile("PE", 3, 6, 2, "Peru: 2 needs")], "Needs by country"),
}


def texts(drawing: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_well_formed_labelled_and_free_of_inline_style(name):
    root = ElementTree.fromstring(DRAWINGS[name])
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert all("style" not in node.attrib for node in root.iter())


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_stands_in_a_pdf(name, tmp_path):
    (tmp_path / "a.svg").write_text(DRAWINGS[name], encoding="utf-8")
    (tmp_path / "a.typ").write_text('#image("a.svg", width: 8cm)', encoding="utf-8")
    assert typst.compile(str(tmp_path / "a.typ")).startswith(b"%PDF")


def test_bars_share_one_scale():
    root = ElementTree.fromstring(draw_paired_bars([PairedRow("Water", 4, 2)], "x"))
    needs, offers = (float(bar.get("width") or 0) for bar in root.iter(f"{SVG}rect"))
    assert needs == pytest.approx(2 * offers, rel=0.01)


def test_the_numbers_are_written_in_the_readers_format():
    drawn = draw_bars([BarRow("Water", 1200)], "x", number=lambda value: f"{value:_}")
    assert "1_200" in texts(drawn)


def test_a_number_leads_to_its_rows():
    root = ElementTree.fromstring(
        draw_paired_bars(
            [PairedRow("Water", 4, 2, "/needs?theme=water&open=1", "/offers")],
            "x",
            sides=("needs", "offers"),
        )
    )
    assert root.get("role") == "group"
    assert [a.get("href") for a in root.iter(f"{SVG}a")] == ["/needs?theme=water&open=1", "/offers"]
    assert [a.get("aria-label") for a in root.iter(f"{SVG}a")] == [
        "Water, needs: 4",
        "Water, offers: 2",
    ]


def test_a_field_of_nothing_says_nothing_and_leads_nowhere():
    drawn = draw_heat_table(
        ["Andean"], [HeatRow("Water", (HeatCell(0, 0, "/needs", "/offers"),))], "x"
    )
    assert "/needs" not in drawn
    assert "0" not in texts(drawn)


def test_a_label_that_does_not_fit_ends_in_an_ellipsis_and_is_whole_in_its_title():
    label = "Contabilidade ambiental e internalização de todos os custos"
    drawn = draw_heat_table(["a"] * 5, [HeatRow(label, (HeatCell(1, 1),) * 5)], "x")
    assert sum(text.endswith("…") for text in texts(drawn)) == 1
    assert f"<title>{label}</title>" in drawn


def test_a_field_takes_the_colour_of_what_there_is_more_of():
    cells = (HeatCell(3, 1), HeatCell(1, 3), HeatCell(2, 2))
    drawn = draw_heat_table(["a", "b", "c"], [HeatRow("Water", cells)], "x")
    tones = [r.get("class") for r in ElementTree.fromstring(drawn).iter(f"{SVG}rect")]
    assert tones == ["chart-field", "chart-need", "chart-field", "chart-offer", "chart-field"]


@pytest.mark.parametrize(
    ("value", "level"), [(0, 0), (0.01, 1), (6, 1), (7, 2), (26, 3), (57, 4), (100, 4), (200, 4)]
)
def test_the_strength_of_a_colour_grows_with_the_number(value, level):
    assert level_of(value, 100) == level


@pytest.mark.parametrize("hostile", ['<script>alert("x")</script>', '"&<', "‮abc"])
def test_texts_are_escaped(hostile):
    drawn = draw_paired_bars([PairedRow(hostile, 1, 1, hostile, "")], hostile)
    root = ElementTree.fromstring(drawn)
    assert root.get("aria-label") == hostile
    assert hostile in texts(drawn)
    assert "<script" not in drawn


def test_every_tile_has_the_same_size_and_its_own_place():
    tiles = [Tile("BR", 5, 6, 9, "Brazil"), Tile("LC", 9, 2, 1, "Saint Lucia", "/countries/LC")]
    root = ElementTree.fromstring(draw_tile_map(tiles, "Needs"))
    fields = [r for r in root.iter(f"{SVG}rect") if r.get("class") == "chart-field"]
    assert len({(r.get("width"), r.get("height")) for r in fields}) == 1
    assert len({(r.get("x"), r.get("y")) for r in fields}) == 2
    assert [a.get("aria-label") for a in root.iter(f"{SVG}a")] == ["Saint Lucia"]


def test_an_empty_chart_is_an_image_still():
    for drawn in (draw_bars([], "none"), draw_paired_bars([], "none"), draw_tile_map([], "none")):
        assert ElementTree.fromstring(drawn).get("aria-label") == "none"
    assert ElementTree.fromstring(draw_heat_table([], [], "none")).get("aria-label") == "none"
