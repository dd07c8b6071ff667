"""How well cooperations went: each party says so once, and a record makes an average."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import lazy_gettext as _l
from marshmallow import fields, validate
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.schemas import Strict, Text
from models import Agreement, AgreementParty, AgreementRating, Organisation, User

FEWEST_FOR_AVERAGE = 3
"""Ratings from which on an average is shown: fewer say more of the rater than of the rated."""


class RatingSchema(Strict):
    """How well a cooperation went."""

    score = fields.Integer(
        required=True,
        validate=validate.Range(1, 5, error=_l("Choose from 1 to 5.")),
        error_messages={"invalid": _l("Choose from 1 to 5.")},
    )
    comment = Text(4000, load_default="")


def rate_agreement(
    session: Session, by: User, agreement: Agreement, *, score: int, comment: str = ""
) -> AgreementRating:
    """Rate, once for one's party, a completed agreement.

    Raises
    ------
    NotAllowed, Conflict
        If the person is of no party, the agreement is not completed, or the party has rated it.
    """
    require_no_conflict(session, by, agreement)
    rating = agreement.rate(by, score, comment)
    after = {"score": score, "comment": rating.comment}
    record(session, by, "agreement.rated", agreement, after=after)
    return rating


@dataclass(frozen=True)
class Average:
    """Mean of the ratings that others gave, from 1 to 5, and how many they are."""

    score: float
    count: int


def average_rating(session: Session, organisation: Organisation) -> Average | None:
    """What other parties said of cooperations with an organisation; None while they are few."""
    took_part = select(AgreementParty.agreement_id).where(
        AgreementParty.organisation_id == organisation.id
    )
    score, count = session.execute(
        select(func.avg(AgreementRating.score), func.count()).where(
            AgreementRating.agreement_id.in_(took_part),
            AgreementRating.organisation_id != organisation.id,
        )
    ).one()
    return Average(float(score), count) if count >= FEWEST_FOR_AVERAGE else None
