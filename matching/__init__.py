"""The matching engine: which offers can serve a need, how well, and why.

Pure: dataclasses and arrays in, dataclasses and arrays out. No database, no files, no clock (days
are passed in as arguments). ``Book`` holds the live posts; everything else explains what it finds.
"""

from matching.eligibility import RULES, RuleFailure, why_not
from matching.profile import NeedProfile, OfferProfile, Post, ProfileError
from matching.score import (
    COMPONENTS,
    ENGINE_VERSION,
    MICRO,
    Bands,
    Score,
    TextScale,
    Weights,
    score_pair,
)
from matching.taxonomy import REGIONAL, Taxonomy, Terms

__all__ = [
    "COMPONENTS",
    "ENGINE_VERSION",
    "MICRO",
    "REGIONAL",
    "RULES",
    "Bands",
    "NeedProfile",
    "OfferProfile",
    "Post",
    "ProfileError",
    "RuleFailure",
    "Score",
    "Taxonomy",
    "Terms",
    "TextScale",
    "Weights",
    "score_pair",
    "why_not",
]
