"""The engine's explanations as sentences in the reader's language.

The engine gives data with codes; here, and nowhere else, they become words: for pages, reports,
the command line and the API alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from babel.dates import format_date
from babel.numbers import format_currency
from flask_babel import force_locale, get_locale, gettext
from flask_babel import lazy_gettext as _l

from broker.reference import Reference
from matching.eligibility import RuleFailure
from matching.explain import Change, Contribution, Evidence, Explanation

COMPONENT_NAMES = {
    "theme": _l("Theme"),
    "ilac_area": _l("ILAC priority area"),
    "support_kind": _l("Kind of support"),
    "place": _l("Place"),
    "text": _l("Meaning of the texts"),
    "programme_dimension": _l("Programme and dimension"),
    "timing": _l("Time"),
    "money": _l("Money and places"),
    "track_record": _l("Experience"),
}

COMPONENT_QUESTIONS = {
    "theme": _l("Are they about the same themes?"),
    "ilac_area": _l("Do they serve the same priority area of the ministers’ initiative?"),
    "support_kind": _l("Is what is given what is asked for, in a common language?"),
    "place": _l("How closely does the offer name this place?"),
    "text": _l("Do the two texts speak of the same thing, whatever their languages?"),
    "programme_dimension": _l(
        "Do they belong to the same programme and dimension of the action plan?"
    ),
    "timing": _l("Do the periods and the horizons fit?"),
    "money": _l("How much of what is asked for could the offer cover?"),
    "track_record": _l("Has the provider worked in this place and on these themes before?"),
}

PART_NAMES = {
    "themes": _l("Themes"),
    "ilac_areas": _l("ILAC areas"),
    "support_kinds": _l("Kinds of support"),
    "modalities": _l("Form of the support"),
    "languages": _l("Languages"),
    "place": _l("Place"),
    "text": _l("Texts"),
    "programmes": _l("Programmes"),
    "dimension": _l("Dimension of the action plan"),
    "period": _l("Period of the work"),
    "horizon": _l("Horizon"),
    "money": _l("Money"),
    "places": _l("Places for people"),
    "experience_countries": _l("Countries served before"),
    "experience_themes": _l("Themes worked on before"),
}

SCHEMES = {
    "themes": "theme",
    "experience_themes": "theme",
    "ilac_areas": "ilac_area",
    "support_kinds": "support_kind",
    "modalities": "support_kind",
    "languages": "language",
    "programmes": "programme",
    "dimension": "dimension",
    "horizon": "horizon",
    "experience_countries": "country",
    "serves_organisation_kinds": "organisation_kind",
}
"""Part or field → the taxonomy of its codes."""

STATE_NAMES = {
    "matched": _l("agrees"),
    "partly": _l("agrees in part"),
    "none": _l("does not agree"),
    "not_stated": _l("not stated"),
}

BAND_NAMES = {
    "strong": _l("strong match"),
    "good": _l("good match"),
    "possible": _l("possible match"),
    "weak": _l("weak"),
}

RULE_NAMES = {
    "not_published": _l("not on the exchange"),
    "need_closed": _l("the need has closed"),
    "offer_closed": _l("the offer has closed"),
    "windows_do_not_overlap": _l("the offer opens after the need closes"),
    "place_not_served": _l("the place is not served"),
    "organisation_kind_not_served": _l("this kind of organisation is not served"),
    "own_country": _l("a country does not serve itself"),
    "own_organisation": _l("an organisation does not serve itself"),
    "support_kind_not_given": _l("the support asked for is not given"),
    "group_too_small": _l("the group is too small"),
    "no_capacity_left": _l("no places are left"),
    "no_money_left": _l("too little money is left"),
    "conflict": _l("a conflict of interest"),
    "dismissed": _l("one side has dismissed it"),
}
"""Rule → what it says in a few words, for lists and counts."""

FIELD_NAMES = {
    "themes": _l("themes"),
    "ilac_areas": _l("ILAC areas"),
    "support_kinds": _l("kinds of support"),
    "modalities": _l("form of the support"),
    "programmes": _l("programmes"),
    "languages": _l("languages"),
    "dimension": _l("dimension"),
    "horizon": _l("horizon"),
    "experience_themes": _l("themes worked on before"),
    "experience_countries": _l("countries served before"),
    "serves_countries": _l("countries served"),
    "serves_subregions": _l("subregions served"),
    "serves_organisation_kinds": _l("kinds of organisation served"),
    "own_country": _l("serving one’s own country"),
    "closes": _l("closing date"),
    "opens": _l("opening date"),
    "period": _l("period of the work"),
    "money_least": _l("money wanted"),
    "grant_most": _l("largest grant"),
    "grant_least": _l("smallest grant"),
    "places_wanted": _l("places wanted"),
    "places_per_beneficiary": _l("places for one beneficiary"),
    "places_least": _l("smallest group"),
}

SEALED_WORD = "sealed"
"""What stands in an explanation in the place of an amount that its reader must not learn."""

MONEY_FIELDS = frozenset({"money_least", "grant_most", "grant_least"})


def reason_of(explanation: Explanation) -> dict[str, Any]:
    """The main reasons of a match, as data that can be stored beside its score.

    Returns
    -------
    dict
        ``{"parts": [{"part", "shared", "related", "need", "similarity"}, …]}``: what agreed, the
        part that gave the most points first.
    """
    gains: list[tuple[float, Evidence]] = []
    for contribution in explanation.contributions:
        for part in contribution.parts:
            if part.state in ("matched", "partly") and part.similarity is not None:
                # What it gives above what silence would have given: that is what speaks for it.
                gain = contribution.weight * part.share * (part.similarity - part.neutral)
                if gain > 0:
                    gains.append((gain, part))
    gains.sort(key=lambda pair: (-pair[0], pair[1].part))
    return {
        "parts": [
            {
                "part": part.part,
                "shared": list(part.shared[:2]),
                "related": [list(pair[:2]) for pair in part.related[:1]],
                "need": part.need_says if isinstance(part.need_says, str | int) else None,
                "similarity": round(part.similarity or 0.0, 4),
            }
            for _gain, part in gains[:4]
        ]
    }


def reason_sentence(reason: dict[str, Any] | None, reference: Reference, language: str) -> str:
    """The main reasons in one sentence; says so where nothing in particular speaks for a match."""
    with force_locale(language):
        phrases = [
            phrase
            for part in (reason or {}).get("parts", [])
            if (phrase := _phrase(part, reference, language))
        ]
        if not phrases:
            return gettext("Nothing in particular speaks for it or against it.")
        sentence = "; ".join(dict.fromkeys(phrases))
        return sentence[0].upper() + sentence[1:] + "."


def _phrase(part: dict[str, Any], reference: Reference, language: str) -> str:
    name = part["part"]
    if name == "text":
        strong = part["similarity"] >= 0.6
        return (
            gettext("the texts are close in meaning")
            if strong
            else gettext("the texts touch the same matters")
        )
    if name == "place":
        place = _place(part["need"], reference, language)
        full = part["similarity"] >= 1
        return (
            gettext("the offer names %(place)s", place=place)
            if full
            else gettext("%(place)s can be served", place=place)
        )
    if name in ("period", "horizon"):
        return gettext("the time fits")
    if name == "money":
        return gettext("the money is of the right size")
    if name == "places":
        return gettext("there are enough places")
    if name == "experience_countries":
        place = _place(part["need"], reference, language)
        return gettext("the provider has worked there: %(place)s", place=place)
    if name == "dimension":
        return gettext("same dimension of the action plan")
    scheme = SCHEMES[name]
    shared = _labels(scheme, part["shared"], reference, language)
    if shared:
        return _SHARED[name] % {"terms": shared}
    if part["related"]:
        ours, theirs = part["related"][0]
        return gettext(
            "related: %(need)s – %(offer)s",
            need=reference.label(scheme, ours, language),
            offer=reference.label(scheme, theirs, language),
        )
    return ""


_SHARED = {
    "themes": _l("both are about %(terms)s"),
    "ilac_areas": _l("same ILAC area: %(terms)s"),
    "support_kinds": _l("gives what is asked for: %(terms)s"),
    "modalities": _l("in the form wanted: %(terms)s"),
    "languages": _l("common language: %(terms)s"),
    "programmes": _l("same programme: %(terms)s"),
    "experience_themes": _l("the provider has worked on %(terms)s"),
}


def _labels(scheme: str, codes: Iterable[str], reference: Reference, language: str) -> str:
    return ", ".join(reference.label(scheme, code, language) for code in codes)


def _place(code: Any, reference: Reference, language: str) -> str:
    if not isinstance(code, str):
        return gettext("the place")
    if code in reference.countries:
        return reference.label("country", code, language)
    return reference.label("subregion", code, language)


def said(part: str, value: Any, reference: Reference, language: str) -> str:
    """What one side says on a part, in words; ``""`` where it says nothing."""
    if value is None:
        return ""
    if part in ("money", *MONEY_FIELDS) and isinstance(value, int | float):
        return format_currency(
            round(value), "USD", format="¤¤ #,##0", currency_digits=False, locale=get_locale()
        )
    if part in ("place", "serves_countries", "serves_subregions"):
        codes = (value,) if isinstance(value, str) else value
        return ", ".join(_place(code, reference, language) for code in codes)
    if isinstance(value, date):
        return format_date(value, format="medium", locale=get_locale())
    if isinstance(value, tuple):
        if value and isinstance(value[0], date):
            return " – ".join(format_date(d, format="medium", locale=get_locale()) for d in value)
        if part in SCHEMES:
            # The need's own place stands among the countries served before.
            return _labels(SCHEMES[part], value, reference, language)
        return ", ".join(str(item) for item in value)
    if part == "experience_countries":
        return _place(value, reference, language)
    if part in SCHEMES and isinstance(value, str):
        return reference.label(SCHEMES[part], value, language)
    return f"{value:g}" if isinstance(value, float) else str(value)


def evidence_sentence(evidence: Evidence, reference: Reference, language: str) -> str:
    """What one comparison found, in a sentence."""
    with force_locale(language):
        if evidence.part == "text":
            return _text_sentence(evidence)
        if SEALED_WORD in (evidence.need_says, evidence.offer_says):
            return _sealed_sentence(evidence)
        need = said(evidence.part, evidence.need_says, reference, language)
        offer = said(evidence.part, evidence.offer_says, reference, language)
        if evidence.similarity is None:
            return _silence(evidence, need, offer)
        if evidence.part in SCHEMES and evidence.part not in (
            "dimension",
            "horizon",
            "experience_countries",
        ):
            return _terms_sentence(evidence, reference, language)
        return gettext("Need: %(need)s. Offer: %(offer)s.", need=need or "–", offer=offer or "–")


def _text_sentence(evidence: Evidence) -> str:
    if evidence.similarity is None:
        return gettext("A text is too short to be compared.")
    return gettext("Likeness of meaning: %(percent)s %%.", percent=round(100 * evidence.similarity))


def _sealed_sentence(evidence: Evidence) -> str:
    """How sealed money compares, without a number that would tell it."""
    if evidence.similarity is None:
        return gettext("The amount is sealed, and the other side states none.")
    if evidence.offer_says == SEALED_WORD:
        sentences = {
            "matched": gettext("Within the provider’s means, which are sealed."),
            "partly": gettext("In part within the provider’s means, which are sealed."),
        }
        return sentences.get(
            evidence.state, gettext("Beyond the provider’s means, which are sealed.")
        )
    sentences = {
        "matched": gettext("The offer covers the amount wanted, which is sealed."),
        "partly": gettext("The offer covers part of the amount wanted, which is sealed."),
    }
    return sentences.get(
        evidence.state, gettext("The offer does not cover the amount wanted, which is sealed.")
    )


def _silence(evidence: Evidence, need: str, offer: str) -> str:
    sides = set(evidence.silent)
    if sides == {"need", "offer"}:
        return gettext("Neither side says.")
    if "need" in sides:
        return gettext("The need does not say. Offer: %(offer)s.", offer=offer or "–")
    if "offer" in sides:
        return gettext("The offer does not say. Need: %(need)s.", need=need or "–")
    return gettext("Not stated.")


def _terms_sentence(evidence: Evidence, reference: Reference, language: str) -> str:
    scheme = SCHEMES[evidence.part]
    phrases = []
    if evidence.shared:
        phrases.append(
            gettext(
                "In common: %(terms)s.", terms=_labels(scheme, evidence.shared, reference, language)
            )
        )
    if evidence.related:
        pairs = ", ".join(
            f"{reference.label(scheme, a, language)} – {reference.label(scheme, b, language)}"
            for a, b, _closeness in evidence.related
        )
        phrases.append(gettext("Related: %(pairs)s.", pairs=pairs))
    if evidence.missing:
        phrases.append(
            gettext(
                "Not answered: %(terms)s.",
                terms=_labels(scheme, evidence.missing, reference, language),
            )
        )
    if not phrases:
        offer = said(evidence.part, evidence.offer_says, reference, language)
        phrases.append(gettext("Nothing in common; the offer says: %(offer)s.", offer=offer or "–"))
    return " ".join(phrases)


def contribution_sentences(
    contribution: Contribution, reference: Reference, language: str
) -> list[tuple[str, str, str]]:
    """``(name, state, sentence)`` of each comparison of a component."""
    with force_locale(language):
        return [
            (
                str(PART_NAMES[part.part]),
                str(STATE_NAMES[part.state]),
                evidence_sentence(part, reference, language),
            )
            for part in contribution.parts
        ]


def failure_sentence(failure: RuleFailure, reference: Reference, language: str) -> str:
    """Which rule a pair breaks and what each side says, in a sentence."""
    with force_locale(language):
        need, offer = failure.need_says, failure.offer_says
        match failure.rule:
            case "not_published":
                return gettext("One of the two posts is not on the exchange now.")
            case "need_closed":
                return gettext(
                    "The need closed on %(day)s.", day=said("", need, reference, language)
                )
            case "offer_closed":
                return gettext(
                    "The offer closed on %(day)s.", day=said("", offer, reference, language)
                )
            case "windows_do_not_overlap":
                return gettext(
                    "The need closes on %(need)s, before the offer opens on %(offer)s.",
                    need=said("", need, reference, language),
                    offer=said("", offer, reference, language),
                )
            case "place_not_served":
                return gettext(
                    "The offer serves %(offer)s; the need is of %(need)s.",
                    offer=said("place", offer, reference, language)
                    or gettext("another region of the world"),
                    need=_place(need, reference, language),
                )
            case "organisation_kind_not_served":
                return gettext(
                    "The offer serves %(offer)s only; the need comes from: %(need)s.",
                    offer=_codes("organisation_kind", offer, reference, language),
                    need=_codes("organisation_kind", need, reference, language),
                )
            case "own_country":
                return gettext(
                    "The provider is from %(place)s itself, and the offer is not open to its own country.",
                    place=_place(need, reference, language),
                )
            case "own_organisation":
                return gettext("Need and offer are of the same organisation.")
            case "support_kind_not_given":
                return gettext(
                    "The need asks for %(need)s; the offer gives %(offer)s.",
                    need=_codes("support_kind", need, reference, language),
                    offer=_codes("support_kind", offer, reference, language),
                )
            case "group_too_small":
                return gettext(
                    "The offer is for groups of %(least)s places at least; the need asks for %(wanted)s. Like needs of several countries can be pooled.",
                    least=offer,
                    wanted=need,
                )
            case "no_capacity_left":
                return gettext("No places of the offer are left.")
            case "no_money_left":
                return gettext("The money that is left is less than the smallest grant.")
            case "conflict":
                return gettext("There is a conflict of interest between the two.")
            case "dismissed":
                return gettext(
                    "One side has dismissed this match; it comes back when either post changes."
                )
        return str(RULE_NAMES[failure.rule])


def _codes(scheme: str, value: Any, reference: Reference, language: str) -> str:
    codes = (value,) if isinstance(value, str) else (value or ())
    return _labels(scheme, codes, reference, language) or "–"


def change_sentence(change: Change, reference: Reference, language: str) -> str:
    """One edit that would raise the score, in a sentence without its points."""
    with force_locale(language):
        words = {
            "field": str(FIELD_NAMES[change.field]),
            "value": said(change.field, change.value, reference, language),
        }
        if change.field == "own_country":
            return gettext("The offer opens itself to its own country.")
        if change.side == "need":
            sentences = {
                "state": gettext("The need states %(field)s: %(value)s.", **words),
                "add": gettext("The need adds to its %(field)s: %(value)s.", **words),
                "widen": gettext("The need moves its %(field)s to %(value)s.", **words),
                "replace": gettext("The need changes its %(field)s to %(value)s.", **words),
            }
        else:
            sentences = {
                "state": gettext("The offer states %(field)s: %(value)s.", **words),
                "add": gettext("The offer adds to its %(field)s: %(value)s.", **words),
                "widen": gettext("The offer moves its %(field)s to %(value)s.", **words),
                "replace": gettext("The offer changes its %(field)s to %(value)s.", **words),
            }
        return sentences[change.kind]
