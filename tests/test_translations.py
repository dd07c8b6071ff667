"""Every text of the interface is translated into every language, and none stands outside."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[1]
TRANSLATIONS = ROOT / "broker" / "translations"
LANGUAGES = ("es", "pt", "fr")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%")


@cache
def _texts() -> frozenset[str | tuple[str, ...]]:
    """All texts that the program marks for translation; English is their own language."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    keywords = {**DEFAULT_KEYWORDS, "lazy_gettext": None, "_l": None}
    found = set()
    for package in ("broker", "models", "matching", "templates"):
        prefix = [(pattern.removeprefix(f"{package}/"), method) for pattern, method in methods
                  if pattern.startswith(package)]  # fmt: skip
        inner = {
            pattern.removeprefix(f"{package}/"): settings for pattern, settings in options.items()
        }
        for _name, _line, text, _comments, _context in extract_from_dir(
            ROOT / package, prefix, inner, keywords
        ):
            found.add(text)
    return frozenset(found)


def _catalogue(language: str) -> Catalog:
    with (TRANSLATIONS / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def test_the_program_has_texts():
    assert len(_texts()) > 800


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_none_is_fuzzy(language):
    catalogue = _catalogue(language)
    missing = []
    for text in _texts():
        message = catalogue.get(text if isinstance(text, str) else text[0])
        strings = () if message is None else (
            (message.string,) if isinstance(message.string, str) else tuple(message.string)
        )  # fmt: skip
        if message is None or message.fuzzy or not strings or not all(strings):
            missing.append(text)
    assert missing == [], f"make messages, then translate {len(missing)} texts into {language}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_loses_or_invents_a_placeholder(language):
    for message in _catalogue(language):
        if not message.id:
            continue
        forms = (message.id,) if isinstance(message.id, str) else message.id
        known = set(PLACEHOLDER.findall(" ".join(forms)))
        strings = (message.string,) if isinstance(message.string, str) else message.string
        for string in filter(None, strings):
            used = set(PLACEHOLDER.findall(string))
            assert used <= known, (message.id, string)
            if isinstance(message.id, str):
                assert used == known, (message.id, string)


TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SPOKEN_ATTRIBUTES = re.compile(
    r'\b(?:aria-label|alt|title|placeholder)="([^"{]*[^\W\d_]{2}[^"{]*)"'
)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_template_holds_words_outside_translation(path):
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"\{#.*?#\}", " ", text, flags=re.DOTALL)
    # Text within tags may hold ">" inside a template expression: expressions go first.
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.DOTALL)
    spoken = SPOKEN_ATTRIBUTES.findall(text)
    # What stands in `code` is typed as it is in every language.
    text = re.sub(r"<(script|style|code)\b.*?</\1>", " ", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>|&\w+;", " ", text)
    # What macros and blocks put into tags: attributes and names of classes.
    text = re.sub(r'[a-z]+(?:-[a-z]+)*="[^"]*"|\b[a-z]+(?:-[a-z]+)+\b', " ", text)
    words = re.findall(r"[^\W\d_]{3,}", text)
    allowed = {"CSV", "XLSX", "PDF", "JSON", "html", "doctype", "IATI", "SDG", "XML"}
    assert [word for word in words if word not in allowed] == []
    assert spoken == []
