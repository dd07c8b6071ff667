"""Offers and registered agreements as IATI 2.03 activities.

What the public may read, and no more, in the elements' order that the standard's schema asks for.
Texts stand in every language in which somebody wrote them; themes and ILAC areas in our own
vocabulary beside the standard's codes that they lead to: OECD-DAC purposes, Sustainable
Development Goals and their targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any, BinaryIO

from lxml import etree
from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.agreements import WHOLE as WHOLE_AGREEMENT
from broker.exchange import Exchange
from broker.posts import WHOLE
from broker.reference import Reference
from models import (
    PUBLICLY_READABLE,
    PUBLICLY_REGISTERED,
    Agreement,
    AgreementStatus,
    Offer,
    Organisation,
    PostStatus,
    utc_now,
)

VERSION = "2.03"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
VOCABULARY = "https://10yfp-broker.example/vocabulary/"
"""Stands before the name of a taxonomy of ours (``theme``, ``ilac_area``)."""

CRS, GOAL, TARGET, OWN = "1", "7", "8", "99"
"""Codes of SectorVocabulary: OECD-DAC purposes, SDG goals, SDG targets, the publisher's own."""

SDG_LISTS = {
    GOAL: "http://reference.iatistandard.org/codelists/UNSDG-Goals/",
    TARGET: "http://reference.iatistandard.org/codelists/UNSDG-Targets/",
}
"""The standard's lists of goals and targets.

TagVocabulary got codes of its own for them (2 and 3) after 2.03 had come out, and copies of the
list that programs carry may lack these. As sectors they are known to every copy; as tags they name
their list by its address, which the standard lets with any vocabulary.
"""

BATCH = 200
HUNDRED = Decimal(100)
CENT = Decimal("0.01")

ORGANISATION_TYPES = {
    "government": "10",
    "cooperation_agency": "10",
    "task_force": "40",
    "un_body": "40",
    "development_bank": "40",
    "intergovernmental_body": "40",
    "other_donor": "60",
    "cleaner_production_centre": "22",
    "business_association": "70",
    "company": "70",
    "ngo": "22",
    "academia": "80",
    "consumer_association": "22",
}
"""Kind of an organisation → IATI's OrganisationType."""

REGIONS = {
    "caribbean": "380",
    "mesoamerica": "389",
    "andean": "489",
    "southern_cone": "489",
    "regional": "498",
}
"""Subregion → OECD-DAC region; the standard has none of ours, so the nearest larger one."""

NO_SECTOR = "99810"
SUCCEEDED = {
    "25030": "25010",
    "25040": "25010",
    "43060": "74010",
    "43071": "52010",
    "74020": "74010",
}
"""Purpose codes that are younger than the codelists of 2.03 → those that they were split from."""

FINANCE_TYPES = {"grant": "110", "loan": "421", "guarantee": "1100", "trust_fund": "110"}
AID_TYPES = {"technical_support": "D02", "capacity_building": "D02", "finance": "C01"}

STATUS_OF_OFFER = {
    PostStatus.PUBLISHED: "1",
    PostStatus.PARTLY_COMMITTED: "2",
    PostStatus.EXHAUSTED: "3",
    PostStatus.EXPIRED: "4",
    PostStatus.WITHDRAWN: "5",
}
STATUS_OF_AGREEMENT = {
    AgreementStatus.SIGNED: "2",
    AgreementStatus.ACTIVE: "2",
    AgreementStatus.COMPLETED: "4",
    AgreementStatus.TERMINATED: "5",
}


def write_activities(exchange: Exchange, session: Session, file: BinaryIO) -> int:
    """Write everything that is public as one IATI file, a few activities in memory at a time.

    Returns
    -------
    int
        How many activities were written.
    """
    count = 0
    with etree.xmlfile(file, encoding="utf-8") as out:
        out.write_declaration()
        attributes = {"version": VERSION, "generated-datetime": _moment(utc_now())}
        with out.element("iati-activities", attributes):
            for activity in activities(exchange, session):
                out.write(activity, pretty_print=True)
                count += 1
    return count


def activities(exchange: Exchange, session: Session) -> Iterator[Any]:
    """The activities, offers first; each an element."""
    writer = _Writer(exchange.reference, exchange.settings.iati_publisher, exchange.today())
    for offer in _in_batches(session, Offer, Offer.status.in_(PUBLICLY_READABLE), WHOLE):
        yield writer.offer(offer)
    registered = Agreement.status.in_(PUBLICLY_REGISTERED)
    for agreement in _in_batches(session, Agreement, registered, WHOLE_AGREEMENT):
        yield writer.agreement(agreement)


def _in_batches(session: Session, model: Any, which: Any, options: Sequence[Any]) -> Iterator[Any]:
    ids = list(session.scalars(select(model.id).where(which).order_by(model.id)))
    for start in range(0, len(ids), BATCH):
        query = select(model).where(model.id.in_(ids[start : start + BATCH])).order_by(model.id)
        yield from session.scalars(query.options(*options)).unique()


def identifier(publisher: str, reference: str) -> str:
    """The IATI identifier of a post or an agreement."""
    return f"{publisher}-{reference}"


class _Writer:
    """Builds elements by the reference data of one exchange."""

    def __init__(self, reference: Reference, publisher: str, today: date) -> None:
        self.reference, self.publisher, self.today = reference, publisher, today

    def offer(self, offer: Offer) -> Any:
        """An offer as an activity that is planned."""
        activity = self._activity(offer.reference, offer.language, offer.updated_at, offer.currency)
        _narratives(_sub(activity, "title"), self._titles(offer))
        _narratives(_sub(activity, "description", type="1"), self._summaries(offer))
        finances = "finance" in offer.support_kinds
        self._organisation(activity, offer.organisation, "1" if finances else "3")
        self._organisation(activity, offer.organisation, "4")
        _sub(activity, "activity-status", code=STATUS_OF_OFFER[PostStatus(offer.status)])
        starts = offer.starts or offer.opens or _day(offer.published_at)
        self._dates(activity, planned=(starts, offer.ends))
        self._recipients(activity, offer.codes("serves_country"), offer.codes("serves_subregion"))
        self._sectors(activity, offer.codes("theme"))
        self._tags(activity, offer.codes("theme"), offer.codes("ilac_area"))
        self._types(activity, offer.support_kinds, [s.modality for s in offer.supports])
        if offer.money and offer.currency and not offer.money_sealed:
            self._budgets(activity, offer.money, offer.currency, starts, offer.ends or starts)
        _sub(activity, "conditions", attached="1" if offer.conditions else "0")
        if offer.conditions:
            condition = _sub(activity[-1], "condition", type="1")
            _narratives(condition, {offer.language: offer.conditions})
        return activity

    def agreement(self, agreement: Agreement) -> Any:
        """An agreement as an activity with what was committed, and its results."""
        terms, need, offer = agreement.current_terms, agreement.need, agreement.offer
        shows_money = agreement.shows_money_to(None) and terms.money and terms.currency
        activity = self._activity(
            agreement.reference, terms.author.language, agreement.updated_at, terms.currency
        )
        language = offer.language
        _narratives(_sub(activity, "title"), {language: terms.title})
        told = terms.activities if agreement.shows_activities_to(None) else need.title
        _narratives(_sub(activity, "description", type="1"), {language: told})
        roles = {"need_side": "4", "offer_side": "1" if shows_money else "3", "donor": "1"}
        for party in agreement.parties:
            self._organisation(activity, party.organisation, roles.get(party.role, "4"))
        status = AgreementStatus(agreement.status)
        _sub(activity, "activity-status", code=STATUS_OF_AGREEMENT[status])
        signed, ended = _day(agreement.signed_at), _day(agreement.ended_at)
        actual = signed if signed and signed <= self.today else None
        self._dates(activity, planned=(terms.starts, terms.ends), actual=(actual, ended))
        countries = [need.country_code] if need.country_code else []
        self._recipients(activity, countries, [need.subregion] if need.subregion else [])
        themes = need.codes("theme") or offer.codes("theme")
        self._sectors(activity, themes)
        self._tags(activity, themes, need.codes("ilac_area"))
        kinds = terms.support_kinds or sorted(set(need.support_kinds) & set(offer.support_kinds))
        self._types(activity, kinds, [s.modality for s in offer.supports if s.kind in kinds])
        if shows_money:
            assert terms.money is not None  # noqa: S101 - see shows_money
            self._budgets(activity, terms.money, terms.currency, terms.starts, terms.ends, "2")
            self._commitment(activity, agreement, terms.money, signed or terms.starts)
        parent = identifier(self.publisher, offer.reference)
        _sub(activity, "related-activity", ref=parent, type="1")
        if agreement.indicators:
            self._results(activity, agreement)
        return activity

    # --- Parts, in the order of the schema ---------------------------------------------------

    def _activity(
        self, reference: str, language: str, updated: datetime, currency: str | None
    ) -> Any:
        attributes = {
            "last-updated-datetime": _moment(updated),
            XML_LANG: language,
            "hierarchy": "1",
        }
        if currency:
            attributes["default-currency"] = currency
        activity = etree.Element("iati-activity", attributes)
        _sub(activity, "iati-identifier").text = identifier(self.publisher, reference)
        reporting = _sub(
            activity,
            "reporting-org",
            **{"ref": self.publisher, "type": "40", "secondary-reporter": "1"},
        )
        _narratives(reporting, {"en": "10YFP broker, secretariat"})
        return activity

    @staticmethod
    def _titles(offer: Offer) -> dict[str, str]:
        translated = {
            language: texts.get("title", "") for language, texts in offer.translations.items()
        }
        return {offer.language: offer.title, **translated}

    @staticmethod
    def _summaries(offer: Offer) -> dict[str, str]:
        translated = {
            language: texts.get("summary", "") for language, texts in offer.translations.items()
        }
        return {offer.language: offer.description, **translated}

    def _organisation(self, activity: Any, organisation: Organisation, role: str) -> None:
        kind = ORGANISATION_TYPES.get(organisation.kind, "90")
        element = _sub(activity, "participating-org", role=role, type=kind)
        _narratives(element, organisation.names)

    @staticmethod
    def _dates(
        activity: Any,
        planned: tuple[date | None, date | None],
        actual: tuple[date | None, date | None] = (None, None),
    ) -> None:
        for kind, day in zip(
            ("1", "2", "3", "4"), (planned[0], actual[0], planned[1], actual[1]), strict=True
        ):
            if day is not None:
                _sub(activity, "activity-date", **{"iso-date": day.isoformat(), "type": kind})

    def _recipients(
        self, activity: Any, countries: Sequence[str], subregions: Sequence[str]
    ) -> None:
        regions = list(dict.fromkeys(REGIONS[code] for code in subregions if code in REGIONS))
        places = [("recipient-country", code) for code in countries]
        places += [("recipient-region", code) for code in regions]
        if not places:
            places = [("recipient-region", REGIONS["regional"])]
        for (name, code), share in zip(places, shares(len(places)), strict=True):
            element = _sub(activity, name, code=code, percentage=str(share))
            if name == "recipient-region":
                element.set("vocabulary", "1")

    def _sectors(self, activity: Any, themes: Sequence[str]) -> None:
        known = self.reference.terms["theme"]
        purposes = list(
            dict.fromkeys(
                SUCCEEDED.get(code, code)
                for theme in themes
                if theme in known
                for code in known[theme].extra.get("crs", [])
            )
        ) or [NO_SECTOR]
        self._shared(activity, CRS, purposes)
        goals, targets = self._goals(themes)
        self._shared(activity, GOAL, goals)
        self._shared(activity, TARGET, targets)
        for element in self._shared(activity, OWN, themes):
            element.set("vocabulary-uri", f"{VOCABULARY}theme")
            _narratives(element, self._labels("theme", element.get("code")))

    @staticmethod
    def _shared(activity: Any, vocabulary: str, codes: Sequence[str]) -> list[Any]:
        """Sectors of one vocabulary, in equal parts that make up a hundred."""
        return [
            _sub(activity, "sector", vocabulary=vocabulary, code=code, percentage=str(share))
            for code, share in zip(codes, shares(len(codes)), strict=True)
        ]

    def _goals(self, themes: Sequence[str]) -> tuple[list[str], list[str]]:
        """The SDG goals of themes, those of their targets among them, and the targets."""
        known = self.reference.terms["theme"]
        named = dict.fromkeys(
            str(code)
            for theme in themes
            if theme in known
            for code in known[theme].extra.get("sdg", [])
        )
        goals = sorted({code.split(".")[0] for code in named}, key=int)
        return goals, [code for code in named if "." in code]

    def _tags(self, activity: Any, themes: Sequence[str], areas: Sequence[str]) -> None:
        goals, targets = self._goals(themes)
        named = [(SDG_LISTS[GOAL], "sdg", code) for code in goals]
        named += [(SDG_LISTS[TARGET], "sdg", code) for code in targets]
        named += [(f"{VOCABULARY}ilac_area", "ilac_area", code) for code in areas]
        for address, scheme, code in named:
            element = _sub(
                activity, "tag", **{"vocabulary": OWN, "vocabulary-uri": address, "code": code}
            )
            _narratives(element, self._labels(scheme, code))

    def _labels(self, scheme: str, code: str) -> Mapping[str, str]:
        term = self.reference.terms.get(scheme, {}).get(code)
        return dict(term.labels) if term is not None else {"en": code}

    @staticmethod
    def _types(activity: Any, kinds: Iterable[str], modalities: Iterable[str | None]) -> None:
        finance = {FINANCE_TYPES[m] for m in modalities if m in FINANCE_TYPES}
        if len(finance) == 1:
            _sub(activity, "default-finance-type", code=finance.pop())
        aid = {AID_TYPES[kind] for kind in kinds if kind in AID_TYPES}
        if len(aid) == 1:
            _sub(activity, "default-aid-type", code=aid.pop())

    @staticmethod
    def _budgets(
        activity: Any,
        amount: Decimal,
        currency: str | None,
        starts: date | None,
        ends: date | None,
        status: str = "1",
    ) -> None:
        first = starts or date.today()  # noqa: DTZ011 - never: an offer has a day of publication
        for begin, end, part in yearly(amount, first, max(ends or first, first)):
            budget = _sub(activity, "budget", type="1", status=status)
            _sub(budget, "period-start", **{"iso-date": begin.isoformat()})
            _sub(budget, "period-end", **{"iso-date": end.isoformat()})
            value = _sub(budget, "value", **{"value-date": begin.isoformat()})
            value.set("currency", currency or "USD")
            value.text = str(part)

    @staticmethod
    def _commitment(activity: Any, agreement: Agreement, amount: Decimal, on: date) -> None:
        terms = agreement.current_terms
        transaction = _sub(activity, "transaction")
        _sub(transaction, "transaction-type", code="2")
        _sub(transaction, "transaction-date", **{"iso-date": on.isoformat()})
        value = _sub(transaction, "value", **{"value-date": on.isoformat()})
        value.set("currency", terms.currency or "USD")
        value.text = str(amount)
        _narratives(_sub(transaction, "provider-org"), agreement.offer.organisation.names)
        _narratives(_sub(transaction, "receiver-org"), agreement.need.organisation.names)

    @staticmethod
    def _results(activity: Any, agreement: Agreement) -> None:
        terms, language = agreement.current_terms, agreement.offer.language
        result = _sub(activity, "result", **{"type": "1", "aggregation-status": "0"})
        _narratives(_sub(result, "title"), {language: terms.title})
        for own in agreement.indicators:
            indicator = _sub(result, "indicator", measure="1", ascending="1")
            unit = f" ({own.unit})" if own.unit else ""
            _narratives(_sub(indicator, "title"), {language: f"{own.name}{unit}"})
            if own.baseline is not None:
                _sub(
                    indicator,
                    "baseline",
                    year=str(terms.starts.year),
                    value=_plain(own.baseline),
                    **{"iso-date": terms.starts.isoformat()},
                )
            period = _sub(indicator, "period")
            ends = own.due or terms.ends
            begins = min(terms.starts, ends)
            _sub(period, "period-start", **{"iso-date": begins.isoformat()})
            _sub(period, "period-end", **{"iso-date": ends.isoformat()})
            _sub(period, "target", value=_plain(own.target))
            if own.reports:
                _sub(period, "actual", value=_plain(own.reports[-1].value))


def shares(count: int) -> list[Decimal]:
    """Equal percentages with two decimals that add up to 100 exactly."""
    if count == 0:
        return []
    each = (HUNDRED / count).quantize(CENT, ROUND_DOWN)
    left = int((HUNDRED - each * count) / CENT)
    return [each + CENT if number < left else each for number in range(count)]


def yearly(amount: Decimal, starts: date, ends: date) -> list[tuple[date, date, Decimal]]:
    """An amount spread over calendar years by their days: a budget's period is a year at most.

    The parts add up to the amount exactly.
    """
    periods = []
    begin = starts
    while begin <= ends:
        end = min(ends, date(begin.year, 12, 31))
        periods.append((begin, end))
        begin = date(begin.year + 1, 1, 1)
    days = (ends - starts).days + 1
    parts = [
        (amount * ((end - begin).days + 1) / days).quantize(CENT, ROUND_DOWN)
        for begin, end in periods
    ]
    parts[-1] += amount - sum(parts)
    return [(begin, end, part) for (begin, end), part in zip(periods, parts, strict=True)]


def _sub(parent: Any, name: str, **attributes: str) -> Any:
    return etree.SubElement(parent, name, attributes)


def _narratives(parent: Any, texts: Mapping[str, str]) -> None:
    """A narrative in each language; at least one, as the standard asks."""
    for language, text in texts.items():
        words = _clean(text)
        if words:
            etree.SubElement(parent, "narrative", {XML_LANG: language}).text = words
    if not len(parent):
        etree.SubElement(parent, "narrative").text = "–"


def _clean(text: str) -> str:
    """Text without the signs that XML cannot hold."""
    return "".join(
        sign
        for sign in text or ""
        if sign in "\t\n\r"
        or 0x20 <= ord(sign) <= 0xD7FF
        or 0xE000 <= ord(sign) <= 0xFFFD
        or ord(sign) >= 0x10000
    ).strip()


def _plain(value: float) -> str:
    return format(Decimal(repr(value)).normalize(), "f")


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(value: datetime | None) -> date | None:
    return value.date() if value else None


__all__ = ["activities", "identifier", "shares", "write_activities", "yearly"]
