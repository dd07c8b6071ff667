"""What public pages say in the words of schema.org (JSON-LD), for search engines."""

from __future__ import annotations

from datetime import date
from typing import Any

from broker.exchange import Exchange
from broker.posts import visible_content
from models import Need, Offer, Organisation

ORGANISATION_TYPES = {
    "government": "GovernmentOrganization",
    "ngo": "NGO",
    "academia": "CollegeOrUniversity",
    "company": "Corporation",
}
"""Kind of organisation → its type in schema.org; all others are plain organisations."""


def describe_organisation(organisation: Organisation, exchange: Exchange) -> dict[str, Any]:
    """An organisation, as a page of its own says it."""
    return _without_gaps(
        {"@context": "https://schema.org", **_organisation(organisation, exchange)}
    )


def _organisation(organisation: Organisation, exchange: Exchange) -> dict[str, Any]:
    names = list(dict.fromkeys(organisation.names.values()))
    address = f"{exchange.settings.site}/organisations/{organisation.code}"
    return {
        "@type": ORGANISATION_TYPES.get(organisation.kind, "Organization"),
        "@id": address,
        "url": address,
        "name": names[0] if names else organisation.code,
        "alternateName": [*names[1:], *([organisation.acronym] if organisation.acronym else [])],
        "address": {"@type": "PostalAddress", "addressCountry": organisation.country_code}
        if organisation.country_code
        else None,
    }


def describe_post(post: Need | Offer, exchange: Exchange) -> dict[str, Any]:
    """A need as a demand; an offer as a grant if it gives money, else as an offer of a service."""
    said, reference = visible_content(post, None), exchange.reference
    address = f"{exchange.settings.site}/{post.kind}s/{post.id}"
    themes = [reference.label("theme", code, post.language) for code in said["themes"]]
    service = {
        "@type": "Service",
        "name": post.title,
        "description": post.description,
        "serviceType": [
            reference.label("support_kind", code, post.language) for code in post.support_kinds
        ],
        "areaServed": _area(said, exchange),
    }
    common = {
        "@context": "https://schema.org",
        "@id": address,
        "url": address,
        "identifier": post.reference,
        "inLanguage": post.language,
        "name": post.title,
        "keywords": themes,
    }
    by = _organisation(post.organisation, exchange)
    if isinstance(post, Offer) and said.get("money") and "finance" in post.support_kinds:
        money = {"@type": "MonetaryAmount", "value": said["money"], "currency": said["currency"]}
        return _without_gaps(
            {
                **common,
                "@type": "MonetaryGrant",
                "description": post.description,
                "amount": money,
                "funder": by,
            }
        )
    window = {
        "availabilityStarts": _day(said.get("opens")) or _day(post.published_at),
        "availabilityEnds": _day(post.closes or post.expires_on),
        "itemOffered": service,
    }
    if isinstance(post, Need):
        places = said.get("places_wanted")
        quantity = {"@type": "QuantitativeValue", "value": places} if places else None
        return _without_gaps(
            {
                **common,
                **window,
                "@type": "Demand",
                "description": post.description,
                "eligibleQuantity": quantity,
                "areaServed": service["areaServed"],
                "subjectOf": {"@type": "WebPage", "publisher": by},
            }
        )
    free = {"price": "0", "priceCurrency": said.get("currency") or "USD"} if said["free"] else {}
    return _without_gaps(
        {
            **common,
            **window,
            **free,
            "@type": "Offer",
            "description": post.description,
            "offeredBy": by,
        }
    )


def _area(said: dict[str, Any], exchange: Exchange) -> list[dict[str, str]]:
    codes = [said["country"]] if said.get("country") else said.get("serves_countries") or []
    return [
        {
            "@type": "Country",
            "identifier": code,
            "name": exchange.reference.label("country", code, "en"),
        }
        for code in codes
    ]


def _day(value: Any) -> str | None:
    if isinstance(value, date):
        return value.isoformat()[:10]
    return value or None


def _without_gaps(said: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_gaps(value) if isinstance(value, dict) else value
        for name, value in said.items()
        if value not in (None, [], {}, "")
    }
