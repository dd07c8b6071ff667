"""IATI 2.0x activities as the input of offers: read one by one, whatever the size of the file.

Every publisher writes the standard in its own way; what is read here is what an offer can say.
Each thing that cannot be used, or that was used otherwise than it stands there, is told with the
activity's identifier, the line, the element, and what to do. Personal contact data are not read.
"""

from __future__ import annotations

import html
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO

from flask_babel import lazy_gettext as _l
from lxml import etree

from broker.iati_export import VOCABULARY, XML_LANG
from broker.posts import plain_amount
from broker.reference import Reference
from broker.schemas import LARGEST_AMOUNT
from models import LANGUAGES, InvalidInput

CHUNK = 64 * 1024
LARGEST_ACTIVITY = 16 * 1024 * 1024
"""Bytes without the end of an activity after which a file is given up: memory stays bounded."""
LONGEST_IDENTIFIER = 255
MOST_THEMES = 8

PLACES: dict[str, dict[str, tuple[str, ...]]] = {
    "1": {
        "380": ("caribbean",),
        "389": ("mesoamerica",),
        "489": ("andean", "southern_cone"),
        "498": ("regional",),
        "1031": ("caribbean",),
        "1032": ("mesoamerica",),
    },
    "2": {
        "419": ("regional",),
        "19": ("regional",),
        "29": ("caribbean",),
        "13": ("mesoamerica",),
        "5": ("andean", "southern_cone"),
    },
}
"""Region vocabulary (1: OECD-DAC, 2: UN M49) → code of a region → subregions of the exchange."""

OVER = {"3", "4", "5", "6"}
"""Codes of ActivityStatus after which nothing can be asked of an activity."""

AID_TYPES: dict[str, tuple[str, str | None]] = {
    "A": ("finance", None),
    "B": ("finance", None),
    "C": ("finance", None),
    "D": ("technical_support", None),
    "D01": ("technical_support", "expert_mission"),
    "E": ("capacity_building", None),
    "F": ("finance", None),
}
"""Code of AidType, or its first letter → kind of support and modality (OECD-DAC, 2.03)."""

TARGET_VOCABULARIES = {"sector": "8", "tag": "3"}
"""Code of the SDG targets in SectorVocabulary and in TagVocabulary."""

TECHNICAL = {"technical_support", "capacity_building"}

NOTES = {
    "no_identifier": _l("The activity has no identifier, so it could not be recognised later. Give it an <iati-identifier>."),
    "identifier_too_long": _l("The identifier is longer than 255 signs. Shorten it."),
    "no_title": _l("The activity has no title in Spanish, English, Portuguese or French. Add one as <narrative> with its xml:lang."),
    "over": _l("The activity is being finished, closed, cancelled or suspended (status %(code)s), so nothing can be asked of it."),
    "nobody_served": _l("It serves nobody of the region: no recipient country or region lies in Latin America or the Caribbean. Add one if it does."),
    "no_language": _l("No language is given (xml:lang). The text was taken for %(language)s: choose another language in the draft if it is not."),
    "no_description": _l("There is no description in the language of the title. Write it in the draft before you hand it in."),
    "shortened": _l("The text has more than %(most)s signs. It was shortened at a word."),
    "no_theme": _l("No sector leads to a theme of the exchange. Choose the themes in the draft."),
    "too_many_themes": _l("The sectors lead to more than eight themes. The eight with the largest share were taken."),
    "support_guessed": _l("Neither aid type nor finance type says what is given. It was taken for “%(kind)s”: choose otherwise in the draft if it is not."),
    "bad_date": _l("“%(text)s” is not a date of the form 2027-03-31 between 1990 and 2100. It was left out."),
    "not_yet": _l("%(day)s is given as an actual day, but it has not come yet. The planned day was taken."),
    "part_of": _l("It is a part of the activity %(whole)s. If the file holds both, keep one of the two drafts, so that no money is offered twice."),
    "no_positive_amount": _l("The amounts add up to %(text)s, which nobody can offer. They were left out."),
    "ends_before_start": _l("The end lies before the start. It was left out."),
    "has_ended": _l("The activity should have ended on %(day)s. Set another end in the draft if it goes on."),
    "bad_amount": _l("“%(text)s” is not an amount. It was left out."),
    "no_currency": _l("The amount has no currency. Name it on <value> or as the activity’s default-currency. It was left out."),
    "unknown_currency": _l("The currency “%(code)s” is not known here. Its amounts were left out."),
    "several_currencies": _l("Amounts stand in several currencies (%(codes)s), which are never added up. The largest, in %(code)s, was taken."),
    "amount_too_large": _l("This amount is too large. It was left out."),
}  # fmt: skip
"""What is told of an activity → sentence."""


@dataclass(frozen=True)
class Told:
    """Something that is told of an activity.

    Attributes
    ----------
    line : int
        Where the element begins in the file.
    element : str
        Its name, with the attribute that is meant (``activity-date/@iso-date``).
    refused : bool
        Whether the activity cannot be used for it.
    """

    line: int
    element: str
    code: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    refused: bool = False

    @property
    def sentence(self) -> str:
        """What is wrong or was done, and what to do, in the reader's language."""
        return str(NOTES[self.code]) % self.facts


@dataclass
class Read:
    """An activity that was read.

    Attributes
    ----------
    data : dict
        Input of an offer; empty where the activity cannot be used.
    """

    identifier: str
    line: int
    data: dict[str, Any] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether an offer can be made of it."""
        return bool(self.data)


# --- The file -------------------------------------------------------------------------------


def check_file(file: BinaryIO) -> None:
    """Look at the beginning of a file, and go back to it.

    Raises
    ------
    InvalidInput
        It is not XML, no IATI activities, of an old version, or declares entities.
    """
    elements, problem = _first_elements(file)
    file.seek(0)
    if not elements:
        raise _refused("iati_not_xml", problem=problem)
    root = elements[0]
    if root.getroottree().docinfo.doctype:
        raise _refused("iati_doctype")
    # With its namespace, if it has one: the standard has none.
    name = str(root.tag)
    if name == "iati-organisations":
        raise _refused("iati_organisations")
    if name != "iati-activities":
        raise _refused("iati_other_root", name=name[:120])
    # What the standard's own datastore gives out says it on each activity instead.
    versions = [str(one.get("version") or "").strip() for one in elements]
    version = next(filter(None, versions), "")
    if not version:
        raise _refused("iati_no_version")
    if not re.fullmatch(r"2\.\d+", version):
        raise _refused("iati_old_version", version=version[:20])


def _first_elements(file: BinaryIO) -> tuple[list[Any], str]:
    """The first two elements of a file, or as many as can be read, and why there are no more."""
    parser = etree.XMLPullParser(events=("start",), **SAFE)
    found: list[Any] = []
    problem = "–"
    while len(found) < 2 and (chunk := file.read(CHUNK)):
        try:
            parser.feed(chunk)
        except etree.XMLSyntaxError as error:
            problem = _plain_problem(error)
        found += itertools.islice((one for _event, one in parser.read_events()), 2 - len(found))
        if problem != "–":
            break
    return found, problem


SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
"""How a file of strangers is parsed: nothing is fetched, nothing expanded."""


def read_elements(file: BinaryIO) -> Iterator[Any]:
    """The activities of a file one after the other; each is forgotten when the next is asked for.

    Raises
    ------
    InvalidInput
        ``iati_broken`` with the line: whatever stood whole before it has been given.
    """
    parser = etree.XMLPullParser(events=("end",), tag="iati-activity", **SAFE)
    since = line = 0
    broken: Exception | None = None
    while broken is None:
        chunk = file.read(CHUNK)
        try:
            if chunk:
                parser.feed(chunk)
            else:
                parser.close()
        except etree.XMLSyntaxError as error:
            broken = error
        since += len(chunk)
        for _event, element in parser.read_events():
            parent = element.getparent()
            if parent is None or parent.getparent() is not None:
                continue
            since, line = 0, element.sourceline
            yield element
            element.clear()
            while element.getprevious() is not None:
                del parent[0]
        if since > LARGEST_ACTIVITY:
            raise _refused(
                "iati_activity_too_large", line=line, megabytes=LARGEST_ACTIVITY // 1024**2
            )
        if not chunk:
            break
    if isinstance(broken, etree.XMLSyntaxError):
        raise _refused("iati_broken", line=broken.lineno or line, problem=_plain_problem(broken))


def _plain_problem(error: etree.XMLSyntaxError) -> str:
    return re.sub(r",? ?\(?(<string>, )?line \d+.*$", "", str(error.msg or "")).strip() or "–"


def _refused(code: str, **facts: Any) -> InvalidInput:
    return InvalidInput({"file": [(code, facts)]})


# --- One activity ---------------------------------------------------------------------------


class ActivityReader:
    """Reads activities by the reference data of one exchange.

    Parameters
    ----------
    language : str
        For activities that do not say in what language they are.
    """

    def __init__(self, reference: Reference, language: str, today: date) -> None:
        self.reference, self.language, self.today = reference, language, today
        self.main: dict[str, list[str]] = defaultdict(list)
        self.other: dict[str, list[str]] = defaultdict(list)
        for code, theme in reference.terms.get("theme", {}).items():
            for place, purpose in enumerate(theme.extra.get("crs", [])):
                (self.other if place else self.main)[purpose].append(code)
        self.targets: dict[str, list[str]] = defaultdict(list)
        for code, theme in reference.terms.get("theme", {}).items():
            for target in theme.extra.get("sdg", []):
                if "." in str(target):
                    self.targets[str(target)].append(code)

    def read(self, activity: Any) -> Read:
        """What an offer can take over of an activity, and what is to be told."""
        identifier = " ".join((activity.findtext("iati-identifier") or "").split())
        own = _Activity(activity, Read(identifier[:LONGEST_IDENTIFIER], activity.sourceline))
        data: dict[str, Any] = {}
        if not identifier:
            own.refuse(activity, "iati-identifier", "no_identifier")
        elif len(identifier) > LONGEST_IDENTIFIER:
            own.refuse(activity.find("iati-identifier"), "iati-identifier", "identifier_too_long")
        status = activity.find("activity-status")
        if status is not None and status.get("code") in OVER:
            own.refuse(status, "activity-status", "over", code=status.get("code"))
        places = self._places(own)
        if not any(places.values()):
            at = activity.find("recipient-country")
            at = activity.find("recipient-region") if at is None else at
            own.refuse(activity if at is None else at, "recipient-country", "nobody_served")
        # The many activities of a publisher for other parts of the world go no further.
        if not own.refused:
            data = {**self._texts(own), **places}
        if not own.refused:
            data |= self._themes(own) | self._dates(own) | self._money(own)
            data["support"] = self._support(own, bool(data["money"]))
            for whole in own.element.findall("related-activity[@type='1']"):
                ref = (whole.get("ref") or "–")[:LONGEST_IDENTIFIER]
                own.note(whole, "related-activity", "part_of", whole=ref)
            own.result.data = data
        return own.result

    def _places(self, own: _Activity) -> dict[str, list[str]]:
        countries: dict[str, None] = {}
        subregions: dict[str, None] = {}
        for element in own.all("recipient-country"):
            code = (element.get("code") or "").strip().upper()
            found = self.reference.countries.get(code)
            if found is not None and found.in_region and _share(element):
                countries[code] = None
        for element in own.all("recipient-region"):
            known = PLACES.get(element.get("vocabulary") or "1", {})
            code = (element.get("code") or "").strip().lstrip("0")
            if _share(element):
                subregions |= dict.fromkeys(known.get(code, ()))
        return {"serves_countries": list(countries), "serves_subregions": list(subregions)}

    def _texts(self, own: _Activity) -> dict[str, Any]:
        activity = own.element
        titles = own.narratives(activity.findall("title"))
        described = own.narratives(
            sorted(activity.findall("description"), key=lambda one: one.get("type") or "1"),
            paragraphs=True,
        )
        default = own.language
        if not default and "" in titles:
            default = self.language
            named = self.reference.label("language", default, default)
            own.note(activity, "iati-activity/@xml:lang", "no_language", language=named)
        for texts in (titles, described):
            for language, text in list(texts.items()):
                if language not in LANGUAGES:
                    del texts[language]
                    if not language and default in LANGUAGES:
                        texts.setdefault(default, text)
        order = [
            language for language in dict.fromkeys((default, *LANGUAGES)) if language in titles
        ]
        if not order:
            at = activity.find("title")
            own.refuse(activity if at is None else at, "title/narrative", "no_title")
            return {}
        chosen = next((language for language in order if language in described), order[0])
        if chosen not in described:
            own.note(activity, "description/narrative", "no_description")
        others = [one for one in LANGUAGES if one != chosen and (one in titles or one in described)]
        return {
            "language": chosen,
            "title": own.cut("title", titles[chosen], 200),
            "description": own.cut("description", described.get(chosen, ""), 20_000),
            "translations": {
                language: {
                    "title": own.cut("title", titles.get(language, ""), 200),
                    "summary": own.cut("description", described.get(language, ""), 2000),
                }
                for language in others
            },
        }

    def _themes(self, own: _Activity) -> dict[str, Any]:
        weights: dict[str, Decimal] = defaultdict(Decimal)
        sectors = own.all("sector")
        ours = [one for one in sectors if one.get("vocabulary-uri") == f"{VOCABULARY}theme"]
        for element in ours:
            if element.get("code") in self.reference.terms["theme"]:
                weights[element.get("code")] += _share(element)
        # Targets of the SDGs are broader than purposes: they count where nothing else leads on.
        named = [(one, self._themes_of(one)) for one in sectors]
        aimed = [(one, self._themes_aimed_at(one)) for one in [*sectors, *own.all("tag")]]
        for found in (named, aimed):
            for element, themes in [] if weights else found:
                for code in themes:
                    weights[code] += _share(element) / len(themes)
        if not weights:
            at = sectors[0] if sectors else own.element
            own.note(at, "sector", "no_theme")
        if len(weights) > MOST_THEMES:
            own.note(sectors[0], "sector", "too_many_themes")
        # Sorting keeps the order of the file among equal shares.
        themes = sorted(weights, key=lambda code: -weights[code])[:MOST_THEMES]
        areas = [
            element.get("code")
            for element in own.element.findall("tag")
            if element.get("vocabulary-uri") == f"{VOCABULARY}ilac_area"
            and element.get("code") in self.reference.terms["ilac_area"]
        ]
        return {"themes": themes, "ilac_areas": list(dict.fromkeys(areas))[:40]}

    def _themes_aimed_at(self, element: Any) -> list[str]:
        """Themes of an SDG target, given as a sector or as a tag."""
        if element.get("vocabulary") != TARGET_VOCABULARIES[element.tag]:
            return []
        return self.targets.get((element.get("code") or "").strip().lower(), [])

    def _themes_of(self, element: Any) -> list[str]:
        """Themes of an OECD-DAC purpose code (vocabulary 1) or category (2).

        The themes that name the code first go before those for which it is one of several:
        "environmental policy" alone is not about each of the ten themes that touch it.
        """
        vocabulary, code = element.get("vocabulary") or "1", (element.get("code") or "").strip()
        if vocabulary == "1" and len(code) == 5:
            return self.main.get(code) or self.other.get(code, [])
        if (vocabulary == "2" and len(code) == 3) or (vocabulary == "1" and len(code) == 3):
            for purposes in (self.main, self.other):
                found = [
                    t for own, themes in purposes.items() if own.startswith(code) for t in themes
                ]
                if found:
                    return list(dict.fromkeys(found))
        return []

    def _dates(self, own: _Activity) -> dict[str, Any]:
        days: dict[str, date] = {}
        for element in own.element.findall("activity-date"):
            day = own.day(element)
            if day is not None:
                days[element.get("type") or ""] = day
        for actual, planned in (("2", "1"), ("4", "3")):
            # Some publishers put a day far ahead where something has not happened yet.
            if days.get(actual, self.today) > self.today and planned in days:
                ahead = days.pop(actual).isoformat()
                own.note(own.element.find("activity-date"), "activity-date", "not_yet", day=ahead)
        starts, ends = days.get("2", days.get("1")), days.get("4", days.get("3"))
        if starts and ends and ends < starts:
            own.note(own.element.find("activity-date"), "activity-date", "ends_before_start")
            ends = None
        if ends and ends < self.today:
            own.note(
                own.element.find("activity-date"),
                "activity-date",
                "has_ended",
                day=ends.isoformat(),
            )
        return {"starts": starts and starts.isoformat(), "ends": ends and ends.isoformat()}

    def _money(self, own: _Activity) -> dict[str, Any]:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        budgets = own.element.findall("budget")
        revised = {_period(one) for one in budgets if one.get("type") == "2"}
        for budget in budgets:
            # A revised budget stands in the place of the original one of its period.
            if budget.get("type") == "2" or _period(budget) not in revised:
                self._add(own, sums, budget)
        if not any(total > 0 for total in sums.values()):
            for transaction in own.element.findall("transaction"):
                kind = transaction.find("transaction-type")
                if kind is not None and kind.get("code") in ("2", "C"):
                    self._add(own, sums, transaction)
        known = {code: total for code, total in sums.items() if total > 0}
        at = budgets[0] if budgets else own.element
        if not known and any(sums.values()):
            said = ", ".join(f"{plain_amount(total)} {code}" for code, total in sums.items())
            own.note(at, "value", "no_positive_amount", text=said)
        if len(known) > 1:
            code = max(known, key=self._in_dollars(known))
            own.note(at, "value", "several_currencies", codes=", ".join(sorted(known)), code=code)
            known = {code: known[code]}
        for code, total in known.items():
            if total <= LARGEST_AMOUNT:
                amount = plain_amount(total.quantize(Decimal("0.01")))
                return {"money": amount, "currency": code}
            own.note(at, "value", "amount_too_large")
        return {"money": None, "currency": None}

    def _in_dollars(self, sums: Mapping[str, Decimal]) -> Any:
        rates = self.reference.currencies
        return lambda code: float(sums[code]) * rates[code].usd_rate

    def _add(self, own: _Activity, sums: dict[str, Decimal], parent: Any) -> None:
        """Add the value of a budget or a transaction to the sum of its currency."""
        element = parent.find("value")
        if element is None:
            return
        text = "".join((element.text or "").split()).replace(",", "")
        try:
            amount = Decimal(text)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or abs(amount) > LARGEST_AMOUNT * 1000:
            own.note(element, f"{parent.tag}/value", "bad_amount", text=text[:40])
            return
        code = (element.get("currency") or own.element.get("default-currency") or "").upper()
        if not code:
            own.note(element, f"{parent.tag}/value/@currency", "no_currency")
        elif code not in self.reference.currencies:
            own.note(element, f"{parent.tag}/value/@currency", "unknown_currency", code=code[:10])
        else:
            sums[code] += amount

    def _support(self, own: _Activity, has_money: bool) -> list[dict[str, Any]]:
        found: dict[str, str | None] = {}
        for element in own.all("aid-type", "default-aid-type"):
            code = (element.get("code") or "").strip().upper()
            if (element.get("vocabulary") or "1") == "1":
                kind = AID_TYPES.get(code) or AID_TYPES.get(code[:1])
                if kind is not None and not found.get(kind[0]):
                    found[kind[0]] = kind[1]
        modalities = {
            modality
            for element in own.all("finance-type", "default-finance-type")
            if (modality := _modality(element.get("code") or ""))
        }
        flows = {element.get("code") for element in own.all("flow-type", "default-flow-type")}
        if not modalities and "30" in flows:
            modalities.add("grant")
        # Experts and courses are paid by grants too: such a grant is not money that is offered.
        if modalities == {"grant"} and not (TECHNICAL & set(found)):
            found["finance"] = "grant"
        elif modalities - {"grant"}:
            single = modalities - {"grant"} if len(modalities) == 2 else modalities
            found["finance"] = single.pop() if len(single) == 1 else None
        if not found:
            kind_code = "finance" if has_money else "technical_support"
            found[kind_code] = None
            label = self.reference.label("support_kind", kind_code, self.language)
            own.note(own.element, "default-aid-type", "support_guessed", kind=label)
        return [
            {"kind": kind, "modality": modality, "detail": ""} for kind, modality in found.items()
        ]


def _modality(code: str) -> str | None:
    """Modality of a code of FinanceType: grants 110, loans 410–425, guarantees 1100."""
    code = code.strip()
    if code in ("110", "111"):
        return "grant"
    if code.startswith("11") and len(code) == 4:
        return "guarantee"
    return "loan" if len(code) == 3 and code.startswith("4") else None


def _share(element: Any) -> Decimal:
    """The percentage of a place or a sector; a hundred where it says none that can be read."""
    try:
        share = Decimal((element.get("percentage") or "100").strip())
    except InvalidOperation:
        return Decimal(100)
    return min(max(share, Decimal(0)), Decimal(100)) if share.is_finite() else Decimal(100)


def _period(budget: Any) -> str:
    start = budget.find("period-start")
    return "" if start is None else (start.get("iso-date") or "")


class _Activity:
    """An activity's element while it is read, with what is told of it."""

    def __init__(self, element: Any, result: Read) -> None:
        self.element, self.result = element, result
        root = element.getparent()
        inherited = root.get(XML_LANG) if root is not None else None
        self.language = _language(element.get(XML_LANG) or inherited or "")

    @property
    def refused(self) -> bool:
        """Whether it cannot be used."""
        return any(told.refused for told in self.result.told)

    def note(self, at: Any, element: str, code: str, /, **facts: Any) -> None:
        """Tell something once; a hundred budgets of one unknown currency are one note."""
        if all((told.code, told.facts) != (code, facts) for told in self.result.told):
            self.result.told.append(Told(at.sourceline, element, code, facts))

    def refuse(self, at: Any, element: str, code: str, /, **facts: Any) -> None:
        """Tell why the activity cannot be used."""
        self.result.told.append(Told(at.sourceline, element, code, facts, refused=True))

    def all(self, name: str, default: str = "") -> list[Any]:
        """Elements of the activity, or else those of its transactions (the standard lets both)."""
        own = self.element.findall(default or name)
        return own or [e for t in self.element.findall("transaction") for e in t.findall(name)]

    def narratives(self, parents: list[Any], *, paragraphs: bool = False) -> dict[str, str]:
        """Texts by language; one without a language stands under the activity's own, or ''.

        Of several titles in one language the first is taken, of descriptions all.
        """
        texts: dict[str, list[str]] = defaultdict(list)
        for parent in parents:
            for narrative in parent.findall("narrative"):
                text = _text("".join(narrative.itertext()))
                given = narrative.get(XML_LANG)
                language = _language(given) if given else self.language
                if text and text not in texts[language]:
                    texts[language].append(text)
        return {
            language: "\n\n".join(found) if paragraphs else " ".join(found[0].split())
            for language, found in texts.items()
            if found
        }

    def cut(self, name: str, text: str, longest: int) -> str:
        """A text of at most so many signs, shortened at a word and told."""
        if len(text) <= longest:
            return text
        at = self.element.find(name)
        self.note(at, f"{name}/narrative", "shortened", most=longest)
        return shorten(text, longest)

    def day(self, element: Any) -> date | None:
        """The day of an element; told where it is none."""
        text = (element.get("iso-date") or "").strip()
        try:
            day = date.fromisoformat(text[:10])
        except ValueError:
            day = None
        if day is None or not 1990 <= day.year <= 2100:
            self.note(element, f"{element.tag}/@iso-date", "bad_date", text=text[:40])
            return None
        return day


def shorten(text: str, longest: int) -> str:
    """A text of at most ``longest`` signs: cut between two words, with an ellipsis.

    >>> shorten("eco-labels for small hotels", 15)
    'eco-labels for…'
    """
    if len(text) <= longest:
        return text
    head = text[: longest - 1]
    inside_a_word = not text[longest - 1].isspace()
    if inside_a_word and len(parts := head.rsplit(None, 1)) == 2:
        head = parts[0]
    return head.rstrip(" ,;:.-\n") + "…"


def _language(code: str) -> str:
    return re.split(r"[-_]", code.strip().lower())[0]


_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_BREAK = re.compile(r"(?i)<(?:br|/p|/li|/div)\b[^<>]{0,20}>")


def _text(written: str) -> str:
    """Text without the HTML that some publishers put in, in paragraphs without layout."""
    if "<" in written or "&" in written:
        written = html.unescape(_TAG.sub("", _BREAK.sub("\n\n", html.unescape(written))))
    paragraphs = re.split(r"\n[ \t\r]*\n", written)
    return "\n\n".join(flat for one in paragraphs if (flat := " ".join(one.split())))


__all__ = ["ActivityReader", "Read", "Told", "check_file", "read_elements", "shorten"]
