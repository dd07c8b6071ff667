"""The nouns of the exchange and their rules.

Everything that the exchange remembers is a class here, with the rules that protect it as methods.
Nothing in this package knows of the web, of the matching engine, or of files.
"""

from models.agreement import (
    AGREEMENT_LIFE,
    IN_FORCE,
    OPEN_TERMS,
    PUBLICLY_REGISTERED,
    Agreement,
    AgreementParty,
    AgreementStatus,
    AgreementTerms,
    Commitment,
    Indicator,
    IndicatorReport,
    Milestone,
)
from models.audit import AuditEvent
from models.base import LANGUAGES, Base, localised, utc_now
from models.engine_data import TextVector, WeightSet
from models.errors import (
    CapacityExceeded,
    Conflict,
    DomainError,
    InvalidInput,
    InvalidTransition,
    NotAllowed,
    NotFound,
)
from models.match import (
    MATCH_LIFE,
    Dismissal,
    Interest,
    Match,
    MatchRun,
    MatchStatus,
    RunPair,
    side_between,
)
from models.organisation import Organisation, TaskForce
from models.post import (
    FACETS,
    LIVE,
    POST_LIFE,
    PUBLICLY_READABLE,
    RENEWAL,
    Need,
    Offer,
    Post,
    PostFacet,
    PostStatus,
    PostVersion,
    Support,
)
from models.reference import SCHEMES, Country, Currency, Term
from models.user import MODERATORS, NEED_POSTERS, OFFER_POSTERS, Role, User

__all__ = [
    "AGREEMENT_LIFE",
    "FACETS",
    "IN_FORCE",
    "LANGUAGES",
    "LIVE",
    "MATCH_LIFE",
    "MODERATORS",
    "NEED_POSTERS",
    "OFFER_POSTERS",
    "OPEN_TERMS",
    "POST_LIFE",
    "PUBLICLY_READABLE",
    "PUBLICLY_REGISTERED",
    "RENEWAL",
    "SCHEMES",
    "Agreement",
    "AgreementParty",
    "AgreementStatus",
    "AgreementTerms",
    "AuditEvent",
    "Base",
    "CapacityExceeded",
    "Commitment",
    "Conflict",
    "Country",
    "Currency",
    "Dismissal",
    "DomainError",
    "Indicator",
    "IndicatorReport",
    "Interest",
    "InvalidInput",
    "InvalidTransition",
    "Match",
    "MatchRun",
    "MatchStatus",
    "Milestone",
    "Need",
    "NotAllowed",
    "NotFound",
    "Offer",
    "Organisation",
    "Post",
    "PostFacet",
    "PostStatus",
    "PostVersion",
    "Role",
    "RunPair",
    "Support",
    "TaskForce",
    "Term",
    "TextVector",
    "User",
    "WeightSet",
    "localised",
    "side_between",
    "utc_now",
]
