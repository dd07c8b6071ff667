"""The name of each field of a post, as forms, pages, versions and differences call it."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

FIELD_NAMES = {
    # Both
    "language": _l("Written in"),
    "title": _l("Title"),
    "description": _l("Description"),
    "translations": _l("In other languages"),
    "support": _l("Kinds of support"),
    "themes": _l("Themes"),
    "ilac_areas": _l("ILAC priority areas"),
    "dimension": _l("Dimension of the action plan"),
    "programmes": _l("Programmes of the 10YFP"),
    "mandates": _l("Mandates that it answers"),
    "level": _l("Level"),
    "beneficiary_kinds": _l("Who benefits"),
    "horizon": _l("Horizon"),
    "languages": _l("Working languages"),
    "starts": _l("Work starts"),
    "ends": _l("Work ends"),
    "closes": _l("Closing date"),
    "currency": _l("Currency"),
    "contact": _l("Contact"),
    "contact_role": _l("Whom to ask"),
    "contact_email": _l("E-mail address to write to"),
    # Needs
    "country": _l("Country"),
    "subregion": _l("Subregion"),
    "localities": _l("Places in the country"),
    "problem": _l("The problem"),
    "results": _l("Expected results and indicators"),
    "beneficiaries": _l("Number of beneficiaries"),
    "places_wanted": _l("Places wanted"),
    "money_least": _l("Money wanted, at least"),
    "money_most": _l("Money wanted, at most"),
    "money_sealed": _l("Sealed amount"),
    "cofinancing": _l("Own contribution"),
    "existing": _l("What already exists"),
    "elsewhere": _l("The same request elsewhere"),
    "endorsed": _l("Endorsed by"),
    # Offers
    "serves": _l("Who can be served"),
    "serves_countries": _l("Countries served"),
    "serves_subregions": _l("Subregions served"),
    "serves_outside": _l("Served outside the region"),
    "serves_organisation_kinds": _l("Kinds of organisation served"),
    "conditions": _l("Conditions"),
    "own_country": _l("Open to the provider’s own country"),
    "capacity": _l("Capacity"),
    "places": _l("Places in all"),
    "places_per_beneficiary": _l("Places for each beneficiary, at most"),
    "places_least": _l("Smallest group, in places"),
    "money": _l("Budget in all"),
    "grant_least": _l("Smallest grant"),
    "grant_most": _l("Largest grant"),
    "free": _l("Free of charge"),
    "how_to_apply": _l("How to apply"),
    "opens": _l("Applications open"),
    "experience": _l("Experience"),
    "experience_countries": _l("Countries served before"),
    "experience_projects": _l("Projects carried out"),
    "pilot": _l("Pilot project"),
    "pilot_hosted": _l("Pilot project"),
    "pilot_brings": _l("What the pilot partner brings"),
}
"""Field of :class:`broker.schemas.NeedSchema` or ``OfferSchema``, or a group of them → its name."""

ILLUSTRATIVE_NAMES = {
    "money": _l("amounts"),
    "places": _l("places"),
    "capacity": _l("capacity"),
    "description": _l("details of the description"),
    "starts": _l("dates"),
    "ends": _l("dates"),
    "opens": _l("dates"),
    "closes": _l("dates"),
}
"""Where a mark of the demonstration covers more than one field."""


def illustrative_names(fields: list[str]) -> list[str]:
    """What a post marks as illustrative, each once, by name and in order."""
    names = (str(ILLUSTRATIVE_NAMES.get(f) or FIELD_NAMES.get(f, f)) for f in fields)
    return list(dict.fromkeys(name[:1].lower() + name[1:] for name in names))
