"""Programmes of the framework: who supports, who pays, who asks, and how far it has come.

What the 2007 document asks of each programme ([001] §4.4, a to e) is read from the posts and
agreements that name the programme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from broker.agreements import RegisterFilter, find_agreements
from broker.posts import PostFilter, count_choices, find_posts
from broker.reference import Reference
from models import (
    LIVE,
    PUBLICLY_REGISTERED,
    Agreement,
    AgreementParty,
    AgreementStatus,
    Indicator,
    Need,
    NotFound,
    Offer,
    Organisation,
    Post,
    PostFacet,
    Support,
    TaskForce,
    Term,
)

FEW = 5
"""Posts and agreements that a programme's page shows; links lead to all."""

KEY_ACTORS = 12
"""Organisations that are named as key actors."""

MOST_INDICATORS = 30
"""Indicators of agreements that a programme's page shows."""


@dataclass(frozen=True)
class ProgrammeFigures:
    """Open needs and offers, and registered agreements, that name a programme."""

    needs: int
    offers: int
    agreements: int


@dataclass(frozen=True)
class Actor:
    """An organisation in a programme: its open posts there, and the agreements it is a party to."""

    organisation: Organisation
    needs: int
    offers: int
    agreements: int

    @property
    def weight(self) -> int:
        """How much it does in the programme; an agreement counts for more than a post."""
        return self.needs + self.offers + 2 * self.agreements


@dataclass(frozen=True)
class ProgrammePicture:
    """What a programme's page shows.

    Attributes
    ----------
    supporters : dict
        Kind of support → the organisations whose open offers give it, with those offers counted.
    coordinating : tuple of TaskForce
        The Marrakech task forces that work on the programme's themes.
    indicators : Sequence of Indicator
        Of the agreements in force or completed, those reported last first.
    """

    term: Term
    figures: ProgrammeFigures
    needs: Sequence[Need]
    agreements: Sequence[Agreement]
    supporters: dict[str, tuple[Actor, ...]]
    actors: tuple[Actor, ...]
    coordinating: tuple[TaskForce, ...]
    indicators: Sequence[Indicator]
    completed: int


def get_programme(reference: Reference, code: str) -> Term:
    """A programme by its code; raises :class:`models.errors.NotFound`."""
    found = reference.terms.get("programme", {}).get(code)
    if found is None:
        raise NotFound("no_such_programme", code=code)
    return found


def figures_by_programme(session: Session, reference: Reference) -> dict[str, ProgrammeFigures]:
    """The figures of every programme."""
    needs, offers = (
        count_choices(session, PostFilter(kind, open_only=True)).get("programmes", {})
        for kind in ("need", "offer")
    )
    return {
        code: ProgrammeFigures(
            needs.get(code, 0), offers.get(code, 0), _count(session, _register(code))
        )
        for code in reference.codes("programme")
    }


def _register(code: str, status: str = "") -> RegisterFilter:
    return RegisterFilter(programmes=(code,), statuses=(status,) if status else ())


def _count(session: Session, filters: RegisterFilter) -> int:
    query = find_agreements(filters, None).order_by(None).subquery()
    return session.scalar(select(func.count()).select_from(query)) or 0


def picture_programme(session: Session, reference: Reference, term: Term) -> ProgrammePicture:
    """Everything of a programme's page, in as many queries however many posts there are."""
    code = term.code
    register = find_agreements(_register(code), None)
    counts = _posts_by_organisation(session, code)
    actors = _actors(session, code, counts)
    return ProgrammePicture(
        term=term,
        figures=ProgrammeFigures(
            sum(number for (_, kind), number in counts.items() if kind == "need"),
            sum(number for (_, kind), number in counts.items() if kind == "offer"),
            _count(session, _register(code)),
        ),
        needs=session.scalars(
            find_posts(PostFilter("need", programmes=(code,), open_only=True)).limit(FEW)
        ).all(),
        agreements=session.scalars(register.limit(FEW)).all(),
        supporters=_supporters(session, code, reference),
        actors=actors,
        coordinating=task_forces_of(session, set(term.extra.get("themes", ()))),
        indicators=_indicators(session, code),
        completed=_count(session, _register(code, str(AgreementStatus.COMPLETED))),
    )


def _named_by(code: str):  # type: ignore[no-untyped-def]
    return select(PostFacet.post_id).where(PostFacet.facet == "programme", PostFacet.code == code)


def _posts_by_organisation(session: Session, code: str) -> dict[tuple[int, str], int]:
    rows = session.execute(
        select(Post.organisation_id, Post.kind, func.count())
        .where(Post.id.in_(_named_by(code)), Post.status.in_(LIVE))
        .group_by(Post.organisation_id, Post.kind)
    )
    return {(organisation, kind): number for organisation, kind, number in rows}


def _actors(session: Session, code: str, posts: dict[tuple[int, str], int]) -> tuple[Actor, ...]:
    registered = (
        select(Agreement.id)
        .join(PostFacet, PostFacet.post_id.in_((Agreement.need_id, Agreement.offer_id)))
        .where(
            PostFacet.facet == "programme",
            PostFacet.code == code,
            Agreement.status.in_(PUBLICLY_REGISTERED),
        )
    )
    parties = dict(
        session.execute(
            select(AgreementParty.organisation_id, func.count())
            .where(AgreementParty.agreement_id.in_(registered))
            .group_by(AgreementParty.organisation_id)
        ).all()
    )
    ids = {organisation for organisation, _kind in posts} | set(parties)
    found = [
        Actor(
            organisation,
            posts.get((organisation.id, "need"), 0),
            posts.get((organisation.id, "offer"), 0),
            parties.get(organisation.id, 0),
        )
        for organisation in session.scalars(select(Organisation).where(Organisation.id.in_(ids)))
    ]
    return tuple(
        sorted(found, key=lambda actor: (-actor.weight, actor.organisation.code))[:KEY_ACTORS]
    )


def _supporters(session: Session, code: str, reference: Reference) -> dict[str, tuple[Actor, ...]]:
    rows = session.execute(
        select(Support.kind, Offer.organisation_id, func.count(Offer.id.distinct()))
        .join(Offer, Support.post_id == Offer.id)
        .where(Offer.id.in_(_named_by(code)), Offer.status.in_(LIVE))
        .group_by(Support.kind, Offer.organisation_id)
    ).all()
    ids = {organisation for _kind, organisation, _number in rows}
    organisations = {
        one.id: one for one in session.scalars(select(Organisation).where(Organisation.id.in_(ids)))
    }
    found: dict[str, list[Actor]] = {kind: [] for kind in reference.kinds()}
    for kind, organisation, number in rows:
        found.setdefault(kind, []).append(Actor(organisations[organisation], 0, number, 0))
    return {
        kind: tuple(sorted(actors, key=lambda a: (-a.offers, a.organisation.code)))
        for kind, actors in found.items()
    }


def task_forces_of(session: Session, themes: set[str]) -> tuple[TaskForce, ...]:
    """The Marrakech task forces that work on any of those themes."""
    found = session.scalars(select(TaskForce).options(selectinload(TaskForce.organisation)))
    return tuple(force for force in found if themes & set(force.themes))


def _indicators(session: Session, code: str) -> Sequence[Indicator]:
    agreements = find_agreements(_register(code), None).with_only_columns(Agreement.id)
    ids = session.scalars(agreements.order_by(None)).all()
    return session.scalars(
        select(Indicator)
        .where(Indicator.agreement_id.in_(ids))
        .order_by(Indicator.agreement_id.desc(), Indicator.id)
        .limit(MOST_INDICATORS)
        .options(selectinload(Indicator.reports), selectinload(Indicator.agreement))
    ).all()


def programmes_of(session: Session, organisation: Organisation) -> dict[str, tuple[int, int]]:
    """Programme → open needs and open offers of an organisation that name it."""
    rows = session.execute(
        select(PostFacet.code, Post.kind, func.count())
        .join(Post, PostFacet.post_id == Post.id)
        .where(
            PostFacet.facet == "programme",
            Post.organisation_id == organisation.id,
            Post.status.in_(LIVE),
        )
        .group_by(PostFacet.code, Post.kind)
    ).all()
    numbers = {(code, kind): number for code, kind, number in rows}
    return {
        code: (numbers.get((code, "need"), 0), numbers.get((code, "offer"), 0))
        for code in sorted({code for code, _kind in numbers})
    }
