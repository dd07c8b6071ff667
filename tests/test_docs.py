"""The documentation is complete, in step with the code, and leads nowhere that is not there."""

import re
import struct
from pathlib import Path

import pytest

from broker.cli import main as broker_command
from docs import make_reference
from models import Base, Role

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
IMAGES = sorted((DOCS / "images").glob("*"))

LINK = re.compile(r"(!?)\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
LARGEST_IMAGE = 250 * 1024


def text_of(page: Path) -> str:
    """The page without its code, in which brackets are no links."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^(```|~~~).*?^\1\s*$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda code: code[0] if "](" not in code[0] else "", text)


def links(page: Path) -> list[tuple[bool, str]]:
    """Whether it is an image, and where it leads, for each link into the repository."""
    found = [(bool(mark), target) for mark, target in LINK.findall(text_of(page))]
    return [(image, target) for image, target in found if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The headings of a page as the names under which they are linked."""
    headings = re.findall(r"^#+ +(.+?) *$", text_of(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return set(plain)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


# --- What the code knows -----------------------------------------------------------------------


@pytest.mark.parametrize("page", make_reference.PAGES, ids=name)
def test_generated_tables_and_help_are_those_of_the_code(page):
    text = page.read_text(encoding="utf-8")
    assert make_reference.renew(text) == text, "run: python docs/make_reference.py"


def test_every_table_life_taxonomy_and_command_is_documented_once():
    shown = [
        what
        for page in make_reference.PAGES
        for what in make_reference.blocks(page.read_text(encoding="utf-8"))
    ]
    assert len(shown) == len(set(shown))
    assert set(shown) == make_reference.expected_blocks()


def test_everything_in_the_data_dictionary_says_what_it_means():
    rows = [
        row
        for page in make_reference.PAGES
        for row in make_reference.meaningless(page.read_text(encoding="utf-8"))
    ]
    assert rows == []


def test_every_column_of_the_models_stands_in_the_data_dictionary():
    text = (DOCS / "data-dictionary.md").read_text(encoding="utf-8")
    for table in Base.metadata.tables.values():
        section = text.partition(f"### `{table.name}`\n")[2].partition("\n### ")[0]
        missing = [c.name for c in table.columns if f"| `{c.name}` |" not in section]
        assert missing == [], table.name


def test_every_role_is_explained_in_the_data_dictionary():
    row = re.search(r"\| `role` \| text ≤ 20 .*", (DOCS / "data-dictionary.md").read_text("utf-8"))
    assert row is not None
    assert [role for role in Role if f"`{role}`" not in row[0]] == []


def test_every_option_of_every_command_stands_in_its_help():
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    blocks = dict(
        re.findall(r"<!-- generated: command ([^>]+?) -->\n(.*?)<!-- end -->", text, re.S)
    )
    seen = 0
    for command_name, _context, command in make_reference.commands():
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option in blocks[command_name], f"{command_name} {option}"
                seen += 1
    assert seen > 10
    assert "demo" in broker_command.commands


def test_a_new_column_asks_for_its_meaning():
    page = "<!-- generated: table support -->\n| `kind` | What kind. |\n<!-- end -->"
    renewed = make_reference.renew(page)
    assert "| `kind` | text ≤ 32 |  |  | What kind. |" in renewed
    assert "table support: modality" in make_reference.meaningless(renewed)
    assert "table support: kind" not in make_reference.meaningless(renewed)


# --- Links and pictures --------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page):
    broken = []
    for _image, target in links(page):
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or not place.is_relative_to(ROOT):
            broken.append(target)
        elif anchor and place.suffix == ".md" and anchor not in anchors(place):
            broken.append(f"{target} (no such heading)")
    assert broken == []


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or not page.exists():
            continue
        reached.add(page)
        waiting += [
            (page.parent / target.partition("#")[0]).resolve()
            for _image, target in links(page)
            if target.partition("#")[0].endswith(".md")
        ]
    assert [name(page) for page in PAGES if page not in reached] == []


def test_every_place_in_the_table_of_the_readme_exists():
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Where things are")[2]
    section = section.partition("\n## ")[0]
    places = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert len(places) >= 8
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_every_picture_is_shown_and_every_picture_shown_has_words_for_who_cannot_see_it():
    shown = set()
    for page in PAGES:
        for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text_of(page)):
            assert len(words) > 10, f"{name(page)}: {target}"
            shown.add((page.parent / target).resolve())
    assert {path.resolve() for path in IMAGES} == shown


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_a_picture_is_a_modest_png_that_tells_nothing_of_the_machine(path):
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) <= LARGEST_IMAGE
    width, height = struct.unpack(">II", content[16:24])
    assert width <= 1280
    assert height <= 1000
    assert {chunk for chunk in (b"tEXt", b"iTXt", b"zTXt", b"eXIf") if chunk in content} == set()


def test_the_makefile_takes_the_pictures_and_runs_the_benchmarks_that_the_docs_name():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "docs/make_screenshots.py" in makefile
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"`make ([a-z-]+)\b", page.read_text(encoding="utf-8"))
        assert set(named) <= targets, name(page)
