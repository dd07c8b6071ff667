"""How the exchange stands now, what came of a post or an organisation, and whom to ask."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.accounts import organisations_behind
from broker.agreements import RegisterFilter, find_agreements
from broker.posts import PostFilter, find_posts
from broker.secretariat import find_organisations
from models import (
    LANGUAGES,
    LIVE,
    PUBLICLY_REGISTERED,
    Agreement,
    AgreementParty,
    Need,
    Offer,
    Organisation,
    Post,
    Role,
    Support,
    User,
)


@dataclass(frozen=True)
class KindCount:
    """Posts on the exchange of one kind of support; a post of two kinds counts in both."""

    code: str
    needs: int
    offers: int


@dataclass(frozen=True)
class Overview:
    """What a visitor sees first.

    Attributes
    ----------
    needs, offers : int
        Posts on the exchange now.
    agreements : int
        Agreements in the public register.
    countries : dict
        Code of a country → its needs on the exchange.
    kinds : tuple of KindCount
        Needs and offers on the exchange by kind of support.
    newest_needs, newest_offers : list
        The latest few of each.
    """

    needs: int
    offers: int
    agreements: int
    countries: dict[str, int]
    kinds: tuple[KindCount, ...]
    newest_needs: list[Need]
    newest_offers: list[Offer]


def survey(session: Session, newest: int = 3) -> Overview:
    """Count what is on the exchange, and take the ``newest`` few posts of each kind."""
    kinds = select(Post.kind, func.count()).where(Post.status.in_(LIVE)).group_by(Post.kind)
    live = {row[0]: row[1] for row in session.execute(kinds)}
    countries = (
        select(Need.country_code, func.count())
        .where(Need.status.in_(LIVE), Need.country_code.is_not(None))
        .group_by(Need.country_code)
    )
    agreements = select(func.count(Agreement.id)).where(Agreement.status.in_(PUBLICLY_REGISTERED))
    return Overview(
        needs=live.get("need", 0),
        offers=live.get("offer", 0),
        agreements=session.scalar(agreements) or 0,
        countries={code: number for code, number in session.execute(countries) if code},
        kinds=_count_kinds(session),
        newest_needs=_newest(session, "need", newest),
        newest_offers=_newest(session, "offer", newest),
    )


def _count_kinds(session: Session) -> tuple[KindCount, ...]:
    rows = session.execute(
        select(Support.kind, Post.kind, func.count(Post.id.distinct()))
        .join(Post, Support.post_id == Post.id)
        .where(Post.status.in_(LIVE))
        .group_by(Support.kind, Post.kind)
    )
    numbers = {(support, kind): number for support, kind, number in rows}
    return tuple(
        KindCount(code, numbers.get((code, "need"), 0), numbers.get((code, "offer"), 0))
        for code in sorted({support for support, _kind in numbers})
    )


def _newest(session: Session, kind: str, most: int) -> list:
    query = find_posts(PostFilter(kind, open_only=True)).limit(most)
    return list(session.scalars(query))


def agreements_of(noun: Post | Organisation) -> Select[Agreement]:
    """A query for the registered agreements of a post, or to which an organisation is a party."""
    if isinstance(noun, Post):
        # What an offer gives tells which kinds of a need its agreement covers.
        given = selectinload(Agreement.offer).selectinload(Offer.supports)
        concerned = or_(Agreement.need_id == noun.id, Agreement.offer_id == noun.id)
        return find_agreements(RegisterFilter(), None).where(concerned).options(given)
    concerned = Agreement.id.in_(
        select(AgreementParty.agreement_id).where(AgreementParty.organisation_id == noun.id)
    )
    return find_agreements(RegisterFilter(), None).where(concerned)


def list_organisations(
    language: str, text: str = "", kind: str = "", country: str = ""
) -> Select[Organisation]:
    """A query for organisations by name, acronym, alias or code, by kind and by country.

    In the order of their names as a reader of ``language`` sees them.
    """
    query = find_organisations(text, kind)
    if country:
        query = query.where(Organisation.country_code == country)
    names = [Organisation.names[code].as_string() for code in (language, *LANGUAGES)]
    shown = func.lower(func.coalesce(*names, Organisation.code))
    return query.order_by(None).order_by(shown, Organisation.id)


def member_names(session: Session, organisation: Organisation, language: str) -> dict[str, str]:
    """Code → name of the organisations that a task force names as its members."""
    task_force = organisation.task_force
    if task_force is None:
        return {}
    found = organisations_behind(session, task_force.member_codes())
    return {code: member.name(language) for code, member in found.items()}


def find_secretariat(session: Session) -> User | None:
    """The oldest open account of the secretariat: whom the public may write to."""
    query = select(User).where(User.role == Role.SECRETARIAT, User.active)
    return session.scalars(query.order_by(User.id).limit(1)).first()
