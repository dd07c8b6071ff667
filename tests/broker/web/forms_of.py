"""The forms of a page as a browser would send them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from werkzeug.datastructures import MultiDict


@dataclass
class Form:
    """A form with the fields that stand in it."""

    action: str
    method: str
    fields: MultiDict[str, str] = field(default_factory=MultiDict)


def forms_of(html: str) -> list[Form]:
    """Every form of the page, in order."""
    reader = _FormReader()
    reader.feed(html)
    return reader.forms


def form_to(html: str, action: str) -> Form:
    """The form that is sent to ``action``."""
    return next(form for form in forms_of(html) if form.action == action)


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._select = ""
        self._options: list[tuple[str, bool]] = []
        self._text: str | None = None
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(given.get("action", ""), given.get("method", "get"))
            self.forms.append(self._open)
        if self._open is None:
            return
        name = given.get("name", "")
        if tag == "input" and name:
            ticked = given.get("type") not in ("checkbox", "radio") or "checked" in given
            if ticked:
                self._open.fields.add(name, given.get("value", "on"))
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option":
            self._options.append((given["value"], "selected" in given))
        elif tag == "textarea":
            self._area, self._text = name, ""

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._open is not None and self._text is not None:
            self._open.fields.add(self._area, self._text)
            self._text = None
        elif tag == "select" and self._open is not None and self._options:
            chosen = [value for value, selected in self._options if selected]
            self._open.fields.add(self._select, chosen[0] if chosen else self._options[0][0])
        elif tag == "form":
            self._open = None
