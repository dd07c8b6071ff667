"""The matching engine: which offers can serve a need, how well, and why.

Pure: dataclasses and arrays in, dataclasses and arrays out. No database, no files, no clock (days
are passed in as arguments). ``Book`` holds the live posts; everything else explains what it finds.

Imported by name, since they load more: ``matching.suggest`` (codes from the text of a draft),
``matching.duplicates`` (posts and organisations that may be the same twice), ``matching.learn``
(weights from decisions, dry runs), ``matching.text`` and ``matching.clearing``.
"""

from matching.book import Book, Ranked, Ranking, UnknownPost
from matching.eligibility import RULES, RuleFailure, why_not
from matching.explain import (
    Change,
    Contribution,
    Evidence,
    Explanation,
    Ledger,
    TextEvidence,
    WhyNot,
)
from matching.profile import NeedProfile, OfferProfile, Post, ProfileError
from matching.run import (
    BlockResult,
    MatchRun,
    MatchTable,
    Plan,
    Versions,
    complete,
    gather,
    run_blocks,
    score_block,
)
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
    "BlockResult",
    "Book",
    "Change",
    "Contribution",
    "Evidence",
    "Explanation",
    "Ledger",
    "MatchRun",
    "MatchTable",
    "NeedProfile",
    "OfferProfile",
    "Plan",
    "Post",
    "ProfileError",
    "Ranked",
    "Ranking",
    "RuleFailure",
    "Score",
    "Taxonomy",
    "Terms",
    "TextEvidence",
    "TextScale",
    "UnknownPost",
    "Versions",
    "Weights",
    "WhyNot",
    "complete",
    "gather",
    "run_blocks",
    "score_block",
    "score_pair",
    "why_not",
]
