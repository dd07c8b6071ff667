"""Small functions that make the nouns of the exchange, valid and stored, for any test.

Each takes the session and only what the test is about; the rest is filled in. What is made is
flushed, so that it has its number, and not committed.
"""

import itertools
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import (
    Agreement,
    AgreementParty,
    AgreementStatus,
    AgreementTerms,
    Commitment,
    Country,
    Currency,
    Match,
    MatchStatus,
    Need,
    Offer,
    Organisation,
    Post,
    PostStatus,
    Role,
    Support,
    User,
)
from models.ledger import commit

TODAY = date(2026, 3, 15)

SUBREGIONS = {
    "BB": "caribbean",
    "LC": "caribbean",
    "CR": "mesoamerica",
    "PA": "mesoamerica",
    "CO": "andean",
    "PE": "andean",
    "AR": "southern_cone",
    "BR": "southern_cone",
}

RATES = {"USD": 1.0, "EUR": 1.1, "PEN": 0.27, "CLP": 0.00105}

_numbers = itertools.count(1)


def make_country(session: Session, code: str = "PE", **values: Any) -> Country:
    """The country of that code, made where it is missing; outside the region if not known here."""
    country = session.get(Country, code)
    if country is None:
        defaults: dict[str, Any] = {
            "iso3": f"{code}X",
            "m49": f"{next(_numbers) % 1000:03d}",
            "labels": {"es": code, "en": code},
            "subregion": SUBREGIONS.get(code),
        }
        country = Country(code=code, **{**defaults, **values})
        session.add(country)
        session.flush()
    return country


def make_currency(session: Session, code: str = "USD", **values: Any) -> Currency:
    """The currency of that code, made where it is missing."""
    currency = session.get(Currency, code)
    if currency is None:
        defaults: dict[str, Any] = {
            "labels": {"en": code},
            "usd_rate": RATES[code],
            "rate_date": TODAY,
            "rate_source": "illustrative",
        }
        currency = Currency(code=code, **{**defaults, **values})
        session.add(currency)
        session.flush()
    return currency


def make_organisation(
    session: Session, kind: str = "government", country: str | None = "PE", **values: Any
) -> Organisation:
    """An organisation; give ``country=None`` for an international one."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "code": f"{kind.replace('_', '-')}-{number}",
        "names": {"es": f"Organización {number}", "en": f"Organisation {number}"},
    }
    organisation = Organisation(
        kind=kind,
        country=make_country(session, country) if country else None,
        **{**defaults, **values},
    )
    session.add(organisation)
    session.flush()
    return organisation


def make_user(
    session: Session,
    organisation: Organisation | None = None,
    role: Role = Role.FOCAL_POINT,
    **values: Any,
) -> User:
    """A person of ``organisation``; of a new government's where none is given."""
    number = next(_numbers)
    defaults: dict[str, Any] = {"email": f"person.{number}@demo.example", "name": f"Role {number}"}
    user = User(
        organisation=organisation or make_organisation(session),
        role=role,
        **{**defaults, **values},
    )
    session.add(user)
    session.flush()
    return user


def make_secretariat(session: Session) -> User:
    """A person of the secretariat."""
    office = make_organisation(session, "un_body", None)
    return make_user(session, office, Role.SECRETARIAT, language="en")


def make_coordinator(session: Session, subregion: str = "andean", country: str = "CO") -> User:
    """The coordinator of ``subregion``."""
    office = make_organisation(session, "government", country)
    return make_user(session, office, Role.COORDINATOR, subregion=subregion)


def make_need(
    session: Session,
    organisation: Organisation | None = None,
    *,
    status: PostStatus = PostStatus.PUBLISHED,
    support: Iterable[str] = ("capacity_building",),
    facets: dict[str, list[str]] | None = None,
    **values: Any,
) -> Need:
    """A need, published unless told otherwise; states no quantity unless one is given."""
    organisation = organisation or make_organisation(session)
    defaults: dict[str, Any] = {
        "reference": f"need-{next(_numbers)}",
        "language": "es",
        "title": "Formación en compras públicas sostenibles",
        "description": "Los municipios piden formar a quienes compran.",
        "country_code": organisation.country_code,
        "places_covered": 0,
        "money_covered": Decimal(0),
    }
    need = Need(organisation=organisation, status=status, **{**defaults, **values})
    _store(session, need, support, facets or {})
    return need


def make_offer(
    session: Session,
    organisation: Organisation | None = None,
    *,
    status: PostStatus = PostStatus.PUBLISHED,
    support: Iterable[str] = ("capacity_building",),
    facets: dict[str, list[str]] | None = None,
    **values: Any,
) -> Offer:
    """An offer to the whole region, published unless told otherwise; unlimited unless limited."""
    organisation = organisation or make_organisation(session, "cooperation_agency", "CH")
    defaults: dict[str, Any] = {
        "reference": f"offer-{next(_numbers)}",
        "language": "en",
        "title": "Training in sustainable procurement",
        "description": "A week of practice with those who buy.",
        "places_committed": 0,
        "money_committed": Decimal(0),
    }
    offer = Offer(organisation=organisation, status=status, **{**defaults, **values})
    _store(session, offer, support, facets or {"serves_subregion": ["regional"]})
    return offer


def _store(
    session: Session, post: Post, support: Iterable[str], facets: dict[str, list[str]]
) -> None:
    post.supports = [Support(kind=kind) for kind in support]
    for facet, codes in facets.items():
        post.set_codes(facet, codes)
    session.add(post)
    session.flush()


def make_match(
    session: Session,
    need: Need | None = None,
    offer: Offer | None = None,
    *,
    status: MatchStatus = MatchStatus.SUGGESTED,
    **values: Any,
) -> Match:
    """A pair with a life, at any point of it; a pair has only one."""
    need, offer = need or make_need(session), offer or make_offer(session)
    match = session.scalar(select(Match).where(Match.need == need, Match.offer == offer))
    if match is None:
        match = Match(need=need, offer=offer)
        session.add(match)
    for name, value in {"status": status, **values}.items():
        setattr(match, name, value)
    session.flush()
    return match


def make_terms(**values: Any) -> AgreementTerms:
    """Terms that are not on any table yet."""
    defaults: dict[str, Any] = {
        "title": "Training of buyers",
        "activities": "Two workshops and a guide.",
        "starts": TODAY,
        "ends": TODAY + timedelta(days=180),
        "support_kinds": ["capacity_building"],
        "milestones": [],
        "indicators": [],
    }
    return AgreementTerms(**{**defaults, **values})


def make_agreement(
    session: Session,
    need: Need | None = None,
    offer: Offer | None = None,
    *,
    partners: Iterable[Organisation] = (),
    status: AgreementStatus = AgreementStatus.NEGOTIATED,
    **terms: Any,
) -> Agreement:
    """An agreement between both sides and ``partners``, led through its life up to ``status``.

    ``terms`` are values of the first terms, e.g. ``places=20``. From ``SIGNED`` on, the capacity
    is committed.
    """
    match = make_match(session, need, offer, status=MatchStatus.AGREEMENT)
    agreement = Agreement(
        reference=f"AG-{next(_numbers)}",
        match=match,
        need=match.need,
        offer=match.offer,
        parties=[
            AgreementParty(organisation=match.need.organisation, role="need_side"),
            AgreementParty(organisation=match.offer.organisation, role="offer_side"),
            *(AgreementParty(organisation=partner, role="partner") for partner in partners),
        ],
    )
    session.add(agreement)
    session.flush()
    signers = people(session, agreement)
    agreement.put_terms(make_terms(**terms), signers[0], None)
    if status != AgreementStatus.PROPOSED:
        for person in signers:
            agreement.accept_terms(person, 1)
    if status not in (AgreementStatus.PROPOSED, AgreementStatus.NEGOTIATED):
        sign_by_all(session, agreement)
    if status in (AgreementStatus.ACTIVE, AgreementStatus.COMPLETED):
        agreement.start(signers[0])
    if status == AgreementStatus.COMPLETED:
        agreement.complete(signers[0], "All was done.")
    session.flush()
    return agreement


def people(session: Session, agreement: Agreement) -> list[User]:
    """One person of each party, in the parties' order; made where there is none."""
    return [
        session.scalars(
            select(User).where(
                User.organisation_id == party.organisation_id,
                User.role.in_((Role.FOCAL_POINT, Role.PROVIDER)),
            )
        ).first()
        or make_user(
            session,
            party.organisation,
            Role.FOCAL_POINT if party.organisation.kind == "government" else Role.PROVIDER,
        )
        for party in agreement.parties
    ]


def sign_by_all(session: Session, agreement: Agreement) -> Commitment | None:
    """Every party signs, and the last signature commits the capacity."""
    number = agreement.current_terms.number
    for person in people(session, agreement):
        if agreement.sign(person, number):
            return commit(session, agreement)
    return None
