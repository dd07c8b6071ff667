"""The directory of organisations: who takes part in the exchange."""

from __future__ import annotations

from sqlalchemy import Select, func

from broker.secretariat import find_organisations
from models import LANGUAGES, Organisation


def list_organisations(
    language: str, text: str = "", kind: str = "", country: str = ""
) -> Select[Organisation]:
    """A query for organisations by name, acronym, alias or code, by kind and by country.

    In the order of their names as a reader of ``language`` sees them.
    """
    query = find_organisations(text, kind).where(Organisation.merged_into_id.is_(None))
    if country:
        query = query.where(Organisation.country_code == country)
    names = [Organisation.names[code].as_string() for code in (language, *LANGUAGES)]
    shown = func.lower(func.coalesce(*names, Organisation.code))
    return query.order_by(None).order_by(shown, Organisation.id)
