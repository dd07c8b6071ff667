"""An agreement on paper: one PDF with labels in the languages of its parties."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import typst
from flask_babel import force_locale
from flask_babel import lazy_gettext as _l

from broker.messages import STATES
from broker.paths import TEMPLATES
from broker.reference import Reference
from models import Agreement, AgreementKind, AgreementParty, AgreementStatus, User

TEMPLATE = TEMPLATES / "agreements" / "agreement.typ"

HEADING = _l("Agreement on support for sustainable consumption and production")
NOT_SIGNED = _l("These are terms under negotiation. They bind nobody until every party has signed.")
SIDES = {"need_side": _l("asks"), "offer_side": _l("gives"), "donor": _l("pays")}
KINDS = {
    AgreementKind.COOPERATION: _l("Cooperation agreement"),
    AgreementKind.VOLUNTARY: _l("Voluntary public–private agreement"),
}
TAKES_PART = _l("takes part")
CONTINUED = " / "
"""What stands between the same words in two languages."""


def print_agreement(agreement: Agreement, reference: Reference, by: User | None) -> bytes:
    """The agreement as a PDF: what is agreed, who signed, how it ended.

    It says to the reader ``by`` what the agreement's page says to her. Labels stand in each language of the parties, contents as they were written. Days are ISO 8601
    and amounts have a point before the cents, so that no two parties read them differently.
    What people typed reaches the typesetter as data and is never read as its code.
    """
    sheet = _Sheet(party_languages(agreement), reference, by)
    pdf = typst.compile(
        str(TEMPLATE),
        root=str(TEMPLATE.parent),
        sys_inputs={"agreement": json.dumps(sheet.lay_out(agreement))},
    )
    assert isinstance(pdf, bytes)  # noqa: S101 - without an output file, that is what comes back
    return pdf


def party_languages(agreement: Agreement) -> list[str]:
    """Each party's language, once, in the order of the parties.

    That of the person who signed for it; before that, the one in which its post is written.
    """
    written = {"need_side": agreement.need.language, "offer_side": agreement.offer.language}
    found = [
        party.signed_by.language if party.signed_by else written.get(party.role)
        for party in agreement.parties
    ]
    return list(dict.fromkeys(language for language in found if language))


class _Sheet:
    """What the typesetter is given, in the languages of one agreement."""

    def __init__(self, languages: list[str], reference: Reference, by: User | None) -> None:
        self.by = by
        self.languages = languages
        self.reference = reference

    def lay_out(self, agreement: Agreement) -> dict[str, Any]:
        terms = agreement.current_terms
        signed = agreement.signed_at is not None
        return {
            "language": self.languages[0],
            "reference": agreement.reference,
            "title": terms.title,
            "heading": [*self.each(HEADING), self.say(KINDS[AgreementKind(agreement.kind)])],
            "version": f"{self.say(_l('Version'))} {terms.number}",
            "state": self.say(STATES[agreement.status]),
            "warning": [] if signed else self.each(NOT_SIGNED),
            "parties_label": self.say(_l("Parties")),
            "parties": [self.party(party) for party in agreement.parties],
            "facts": [fact for fact in self.facts(agreement) if fact["text"]],
            "tables": [table for table in self.tables(agreement) if table["rows"]],
            "signatures_label": self.say(_l("Signatures")),
            "signatures": [self.signature(party) for party in agreement.parties],
        }

    def facts(self, agreement: Agreement) -> Iterable[dict[str, str]]:
        terms, need, offer = agreement.current_terms, agreement.need, agreement.offer
        kinds = [self.label("support_kind", code) for code in terms.support_kinds]
        shown = agreement.shows_activities_to(self.by)
        shows_money = agreement.shows_money_to(self.by)
        money = _money(terms.money, terms.currency) if terms.money and shows_money else ""
        duties = _l("Duties of the asking side"), _l("Duties of the giving side")
        yield self.fact(_l("Need"), f"{need.reference} · {need.title}")
        yield self.fact(_l("Offer"), f"{offer.reference} · {offer.title}")
        yield self.fact(_l("Activities"), terms.activities if shown else "")
        yield self.fact(_l("Kinds of support"), "\n".join(kinds))
        yield self.fact(_l("Period"), f"{_day(terms.starts)} – {_day(terms.ends)}")
        yield self.fact(_l("Places"), str(terms.places or ""))
        yield self.fact(_l("Money"), money)
        for party in agreement.parties if shows_money else ():
            if party.money:
                source = f" · {party.offer.reference}" if party.offer else ""
                yield {
                    "label": f"{self.say(_l('Money'))}: {self.party(party)['name']}",
                    "text": f"{_money(party.money, party.currency)}{source}",
                }
        yield self.fact(duties[0], terms.need_side_duties if shown else "")
        yield self.fact(duties[1], terms.offer_side_duties if shown else "")
        for party in agreement.parties if shown else ():
            yield {
                "label": f"{self.say(_l('What it brings'))}: {self.party(party)['name']}",
                "text": party.contribution,
            }
        ended_early = agreement.status in (AgreementStatus.TERMINATED, AgreementStatus.ABANDONED)
        closing = _l("Why it ended early") if ended_early else _l("What came of it")
        yield self.fact(closing, agreement.closing_report)

    def tables(self, agreement: Agreement) -> Iterable[dict[str, Any]]:
        terms = agreement.current_terms
        yield {
            "label": self.say(_l("Milestones")),
            "head": [self.say(_l("What is reached")), self.say(_l("By"))],
            "rows": [[item["title"], _day(item["due"])] for item in terms.milestones],
        }
        head = (_l("Indicator"), _l("Unit"), _l("Now"), _l("Target"), _l("By"))
        yield {
            "label": self.say(_l("Indicators")),
            "head": [self.say(words) for words in head],
            "rows": [
                [
                    item["name"],
                    item.get("unit") or "",
                    _number(item.get("baseline")),
                    _number(item["target"]),
                    _day(item.get("due")),
                ]
                for item in terms.indicators
            ],
        }

    def party(self, party: AgreementParty) -> dict[str, str]:
        organisation = party.organisation
        country = organisation.country_code
        names = [organisation.name(language) for language in self.languages]
        return {
            "name": CONTINUED.join(dict.fromkeys(names)),
            "role": self.say(SIDES.get(party.role, TAKES_PART)),
            "country": self.label("country", country) if country else "",
        }

    def signature(self, party: AgreementParty) -> dict[str, str]:
        if party.signed_at is None:
            return {**self.party(party), "signed": self.say(_l("not signed"))}
        person = party.signed_by.name if party.signed_by else ""
        return {**self.party(party), "signed": f"{person} · {_moment(party.signed_at)}"}

    def fact(self, words: Any, text: str) -> dict[str, str]:
        return {"label": self.say(words), "text": text}

    def label(self, scheme: str, code: str) -> str:
        labels = [self.reference.label(scheme, code, language) for language in self.languages]
        return CONTINUED.join(dict.fromkeys(labels))

    def say(self, words: Any) -> str:
        return CONTINUED.join(self.each(words))

    def each(self, words: Any) -> list[str]:
        """The words in each language, those that are the same in two of them once."""
        said = []
        for language in self.languages:
            with force_locale(language):
                said.append(str(words))
        return list(dict.fromkeys(said))


def _day(value: date | str | None) -> str:
    return value.isoformat() if isinstance(value, date) else value or ""


def _moment(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC"


def _number(value: float | None) -> str:
    """A number with narrow spaces between thousands (ISO 80000-1), the same in every language."""
    if value is None:
        return ""
    return f"{Decimal(str(value)).normalize():,f}".replace(",", "\u202f")


def _money(amount: Decimal, currency: str | None) -> str:
    return f"{currency or ''} {amount:,.2f}".replace(",", "\u202f").strip()
