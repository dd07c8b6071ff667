"""Countries of the region: what each asks for, what can serve it, and what it has agreed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select, union
from sqlalchemy.orm import Session, selectinload

from broker.agreements import RegisterFilter, find_agreements
from broker.posts import PostFilter, count_choices, find_posts
from broker.reference import Reference
from models import (
    PUBLICLY_REGISTERED,
    Agreement,
    AgreementParty,
    Country,
    Need,
    NotFound,
    Offer,
    Organisation,
    PostFacet,
    Role,
    TaskForce,
    User,
)

FEW = 5
"""Posts and agreements that a country's page shows; links lead to all."""


@dataclass(frozen=True)
class Figures:
    """What concerns a country: its open needs, the open offers that serve it, its agreements."""

    needs: int = 0
    offers: int = 0
    agreements: int = 0


def figures_by_country(
    session: Session, reference: Reference, theme: str = ""
) -> dict[str, Figures]:
    """The figures of every country of the region, of one theme or of all."""
    themes = (theme,) if theme else ()
    needs, offers = (
        count_choices(session, PostFilter(kind, open_only=True, themes=themes)).get("countries", {})
        for kind in ("need", "offer")
    )
    agreements = _count_agreements(session, themes)
    return {
        code: Figures(needs.get(code, 0), offers.get(code, 0), agreements.get(code, 0))
        for code in reference.codes("region_country")
    }


def _count_agreements(session: Session, themes: tuple[str, ...]) -> dict[str, int]:
    """Country → agreements of the public register that list it, as the register finds them."""
    registered = select(Agreement.id).where(Agreement.status.in_(PUBLICLY_REGISTERED))
    if themes:
        having = select(PostFacet.post_id).where(
            PostFacet.facet == "theme", PostFacet.code.in_(themes)
        )
        registered = registered.where(
            or_(Agreement.need_id.in_(having), Agreement.offer_id.in_(having))
        )
    asking = (
        select(Need.country_code.label("country"), Agreement.id.label("agreement"))
        .join(Need, Agreement.need_id == Need.id)
        .where(Agreement.id.in_(registered))
    )
    taking_part = (
        select(Organisation.country_code, AgreementParty.agreement_id)
        .join(Organisation, AgreementParty.organisation_id == Organisation.id)
        .where(AgreementParty.agreement_id.in_(registered))
    )
    # A union keeps each pair of country and agreement once.
    pairs = union(asking, taking_part).subquery()
    counts = select(pairs.c.country, func.count()).group_by(pairs.c.country)
    return {code: number for code, number in session.execute(counts) if code}


@dataclass(frozen=True)
class CodeCount:
    """Open needs and offers of a country that carry a code."""

    code: str
    needs: int
    offers: int


@dataclass(frozen=True)
class CountryPicture:
    """What a country's page shows.

    Attributes
    ----------
    counts : Mapping
        Facet (``"theme"``, ``"ilac_area"``) → its codes, the most asked for first.
    mandates : tuple of CodeCount
        The mandates that its needs cite, with the offers that serve it and cite them too.
    focal_points : tuple of Organisation
        The organisations whose people speak for it.
    task_forces : tuple of TaskForce
        Those that name the country, or an organisation of it, as a member.
    """

    country: Country
    figures: Figures
    needs: Sequence[Need]
    offers: Sequence[Offer]
    agreements: Sequence[Agreement]
    counts: Mapping[str, tuple[CodeCount, ...]]
    mandates: tuple[CodeCount, ...]
    focal_points: tuple[Organisation, ...]
    organisations: tuple[Organisation, ...]
    task_forces: tuple[TaskForce, ...]


def get_country(reference: Reference, code: str) -> Country:
    """A country of the region by its code; raises :class:`models.errors.NotFound`."""
    found = reference.countries.get(code.upper())
    if found is None or not found.in_region:
        raise NotFound("no_such_country", code=code)
    return found


def picture_country(session: Session, country: Country) -> CountryPicture:
    """Everything of a country's page, in as many queries however many posts there are."""
    code = country.code
    filters = {
        kind: PostFilter(kind, open_only=True, countries=(code,)) for kind in ("need", "offer")
    }
    counts = {kind: count_choices(session, filter_) for kind, filter_ in filters.items()}
    posts = {
        kind: session.scalars(find_posts(filter_).limit(FEW)).all()
        for kind, filter_ in filters.items()
    }
    register = find_agreements(RegisterFilter(countries=(code,)), None)
    everyone = session.scalars(
        select(Organisation).where(Organisation.country_code == code).order_by(Organisation.code)
    ).all()
    # Task forces may name one by the code that it had before it was merged into another.
    organisations = [one for one in everyone if one.merged_into_id is None]
    speakers = set(
        session.scalars(
            select(User.organisation_id)
            .join(Organisation, User.organisation_id == Organisation.id)
            .where(User.role == Role.FOCAL_POINT, User.active, Organisation.country_code == code)
        )
    )
    return CountryPicture(
        country=country,
        figures=Figures(
            counts["need"].get("countries", {}).get(code, 0),
            counts["offer"].get("countries", {}).get(code, 0),
            session.scalar(select(func.count()).select_from(register.order_by(None).subquery()))
            or 0,
        ),
        needs=posts["need"],
        offers=posts["offer"],
        agreements=session.scalars(register.limit(FEW)).all(),
        counts={
            facet: _set_against(counts["need"].get(name, {}), counts["offer"].get(name, {}))
            for facet, name in (("theme", "themes"), ("ilac_area", "ilac_areas"))
        },
        mandates=tuple(
            row
            for row in _set_against(
                counts["need"].get("mandates", {}), counts["offer"].get("mandates", {})
            )
            if row.needs
        ),
        focal_points=tuple(one for one in organisations if one.id in speakers)
        or tuple(one for one in organisations if one.kind == "government"),
        organisations=tuple(organisations),
        task_forces=_task_forces(session, {code, *(one.code for one in everyone)}),
    )


def _set_against(needs: Mapping[str, int], offers: Mapping[str, int]) -> tuple[CodeCount, ...]:
    rows = [
        CodeCount(code, needs.get(code, 0), offers.get(code, 0)) for code in {**needs, **offers}
    ]
    return tuple(sorted(rows, key=lambda row: (-row.needs, -row.offers, row.code)))


def _task_forces(session: Session, codes: set[str]) -> tuple[TaskForce, ...]:
    found = session.scalars(select(TaskForce).options(selectinload(TaskForce.organisation)))
    return tuple(force for force in found if codes & force.member_codes())
