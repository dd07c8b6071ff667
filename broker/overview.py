"""How the exchange stands now: the figures and the news of the home page."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker.posts import PostFilter, find_posts
from models import LIVE, PUBLICLY_REGISTERED, Agreement, Need, Offer, Post


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
    newest_needs, newest_offers : list
        The latest few of each.
    """

    needs: int
    offers: int
    agreements: int
    countries: dict[str, int]
    newest_needs: list[Need]
    newest_offers: list[Offer]


def survey(session: Session, newest: int = 4) -> Overview:
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
        newest_needs=_newest(session, "need", newest),
        newest_offers=_newest(session, "offer", newest),
    )


def _newest(session: Session, kind: str, most: int) -> list:
    query = find_posts(PostFilter(kind, open_only=True)).limit(most)
    return list(session.scalars(query))
