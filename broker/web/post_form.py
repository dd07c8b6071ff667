"""What the form of a post shows: its values or what was typed, and each problem in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import MultiDict

from broker.advice import Advice
from broker.duplicates import LikelyDouble
from broker.posts import content
from broker.reference import Reference
from broker.sources import MANDATE_SETS
from broker.web.forms import filled_rows
from models import Need, Offer

MOST_ROWS = 100
"""A row's number tells its place among all of them, and by its remainder its kind of support."""

EMPTY: tuple[Any, ...] = (None, "", "false", [], {})


@dataclass(frozen=True)
class SupportRow:
    """One kind of support on the form: whether it is ticked, in which form, what exactly."""

    number: int
    kind: str
    chosen: bool = False
    modality: str = ""
    detail: str = ""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PostForm:
    """The form of a new post (``post`` None) or of one that is changed.

    Attributes
    ----------
    values : dict
        Field → value, as stored or as typed.
    problems : dict
        Field → its problems as sentences.
    notice : str
        What went wrong with the whole of it.
    present : dict
        Where somebody else has changed the post meanwhile: field → what it says now.
    revision : int or None
        Revision of the post that the writer is looking at.
    doubles : list of LikelyDouble
        Posts on the exchange that say nearly the same.
    token : str
        Name of the form in this window: sent twice, it goes to the same post.
    restored : bool
        Whether it shows text that was kept while it was typed, and is not saved yet.
    advice : Advice or None
        What the exchange says to the text, where the writer has asked.
    """

    kind: str
    post: Need | Offer | None
    values: dict[str, Any]
    rows: dict[str, list[SupportRow]]
    problems: dict[str, Any] = field(default_factory=dict)
    notice: str = ""
    present: dict[str, Any] = field(default_factory=dict)
    revision: int | None = None
    doubles: list[LikelyDouble] = field(default_factory=list)
    token: str = ""
    restored: bool = False
    advice: Advice | None = None

    @property
    def known_doubles(self) -> str:
        """Numbers of the likely doubles that are shown, for the form to bring back."""
        return ",".join(str(found.post.id) for found in self.doubles)

    def filled(self, names: Iterable[str]) -> int:
        """How many of the fields are filled in."""
        return sum(self.values.get(name) not in EMPTY for name in names)

    def needs_attention(self, names: Iterable[str]) -> bool:
        """Whether one of the fields has a problem: its section is shown open."""
        return any(name in self.problems for name in names)


def stored_form(
    kind: str,
    post: Need | Offer | None,
    values: Mapping[str, Any],
    reference: Reference,
    problems: dict[str, Any] | None = None,
) -> PostForm:
    """The form with what is stored, or with what a new post begins with."""
    rows = [
        SupportRow(
            _number(place, item["kind"], reference),
            item["kind"],
            True,
            item["modality"] or "",
            item["detail"] or "",
        )
        for place, item in enumerate(values.get("support") or [])
    ]
    return PostForm(kind, post, _as_typed(values), _laid_out(rows, reference), problems or {})


def typed_form(
    kind: str,
    post: Need | Offer | None,
    values: Mapping[str, Any],
    form: MultiDict[str, str],
    reference: Reference,
    *,
    problems: dict[str, Any] | None = None,
    notice: str = "",
    conflict: bool = False,
) -> PostForm:
    """The form as it was sent, with what is wrong; nothing that was typed is lost."""
    problems = dict(problems or {})
    support = problems.get("support")
    by_row = support if isinstance(support, dict) else {}
    rows = []
    for position, (key, row) in enumerate(filled_rows(form, "support").items()):
        kind_of_row = _kind_of(key, reference)
        if kind_of_row is None:
            continue
        rows.append(
            SupportRow(
                int(key),
                kind_of_row,
                bool(row.get("kind")),
                row.get("modality", ""),
                row.get("detail", ""),
                _flat(by_row.get(position, [])),
            )
        )
    present = differences(content(post), values) if conflict and post is not None else {}
    return PostForm(
        kind,
        post,
        _as_typed(values),
        _laid_out(rows, reference),
        problems,
        notice,
        present,
    )


def differences(present: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a form that say something else than the post does: field → what the post says.

    What a browser sends is compared as it would be stored: trimmed, and empty like not stated.
    """
    return {
        name: present.get(name)
        for name in typed
        if name in present and _differs(present[name], typed[name])
    }


def take_hints(form: MultiDict[str, str], reference: Reference) -> MultiDict[str, str]:
    """The form with the suggestions that the writer has ticked, as if she had filled them in.

    They come as ``hint`` = ``field:code``; what no field knows is left to the schemas.
    """
    taken = MultiDict(form)
    for hint in [*form.getlist("hint"), *form.getlist("take")]:
        name, _colon, code = hint.partition(":")
        if name == "support_kinds" and code in reference.kinds():
            rows = filled_rows(taken, "support")
            if all(row.get("kind") != code for row in rows.values()):
                taken[f"support-{_free_number(rows, code, reference)}-kind"] = code
        elif name == "dimension":
            taken[name] = code
        elif name in ("themes", "ilac_areas") and code not in taken.getlist(name):
            taken.add(name, code)
    return taken


def _free_number(rows: Mapping[str, Any], kind: str, reference: Reference) -> int:
    """Number of the first row of a kind in which nothing is filled in."""
    numbers = (_number(place, kind, reference) for place in range(MOST_ROWS))
    return next(number for number in numbers if str(number) not in rows)


def mandate_groups(reference: Reference, language: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every set of mandates by name, with ``(code, label)`` of its mandates."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for code, term in reference.terms.get("mandate", {}).items():
        groups.setdefault(term.extra.get("source_set", ""), []).append((code, term.label(language)))
    return [(str(MANDATE_SETS.get(name, name)), found) for name, found in groups.items()]


def countries_of(
    reference: Reference, language: str, subregion: str | None
) -> list[tuple[str, str]]:
    """``(code, name)`` of a subregion's countries."""
    return [
        (code, name)
        for code, name in reference.choices("region_country", language)
        if reference.subregion_of(code) == subregion
    ]


def _number(place: int, kind: str, reference: Reference) -> int:
    kinds = reference.kinds()
    return place * len(kinds) + kinds.index(kind)


def _kind_of(key: str, reference: Reference) -> str | None:
    """The kind to which a row of that number belongs; None for a number that no form gave."""
    kinds = reference.kinds()
    if not key.isdecimal() or len(key) > 3 or int(key) >= MOST_ROWS:
        return None
    return kinds[int(key) % len(kinds)]


def _laid_out(rows: list[SupportRow], reference: Reference) -> dict[str, list[SupportRow]]:
    """Rows by kind, with an empty one of each kind after all that are filled in."""
    kinds = reference.kinds()
    free = max((row.number // len(kinds) + 1 for row in rows), default=0)
    return {
        kind: [row for row in rows if row.kind == kind]
        + [SupportRow(_number(free, kind, reference), kind)]
        for kind in kinds
    }


def _as_typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as a browser would send them: truth values in words."""
    words = {True: "true", False: "false"}
    return {
        name: words[value] if isinstance(value, bool) else value for name, value in values.items()
    }


def _flat(problems: Any) -> list[str]:
    if isinstance(problems, dict):
        return [line for inner in problems.values() for line in _flat(inner)]
    return list(problems)


def _differs(now: Any, typed: Any) -> bool:
    return _plain(now) != _plain(typed)


def _plain(value: Any) -> Any:
    """A value as it can be compared, whether it is stored or was typed."""
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, Mapping):
        said = {name: plain for name, one in value.items() if (plain := _plain(one)) not in EMPTY}
        return said or ""
    if isinstance(value, list | tuple):
        found = [plain for one in value if (plain := _plain(one)) not in EMPTY]
        return sorted(found, key=repr) or ""
    text = "" if value is None else str(value).replace("\r\n", "\n").strip()
    return "" if text == "false" else text
