"""Clearing the exchange: deciding which offers serve which needs under capacity.

``clear`` gives places, ``clear_money`` divisible amounts. ``split_bundles`` makes each kind of
support that a need asks for a place of its own; ``propose_pools`` and ``pool_needs`` make one
regional need of like ones. Everything here is pure: a clearing is a proposal, and nothing is
committed by it. ``docs/clearing.md`` says what the policies mean and how their results are proven.
"""

from matching.clearing.bundle import Bundles, Coverage, Part, Triangle, split_bundles
from matching.clearing.error import ClearingError
from matching.clearing.exchange import clear
from matching.clearing.market import Floor
from matching.clearing.money import MoneyClearing, clear_money
from matching.clearing.pool import NO_COUNTRY, Pool, PooledNeeds, pool_needs, propose_pools
from matching.clearing.result import (
    POLICIES,
    Certificate,
    Clearing,
    Comparison,
    GroupLevel,
    Policy,
    ShadowPrices,
)

__all__ = [
    "NO_COUNTRY",
    "POLICIES",
    "Bundles",
    "Certificate",
    "Clearing",
    "ClearingError",
    "Comparison",
    "Coverage",
    "Floor",
    "GroupLevel",
    "MoneyClearing",
    "Part",
    "Policy",
    "Pool",
    "PooledNeeds",
    "ShadowPrices",
    "Triangle",
    "clear",
    "clear_money",
    "pool_needs",
    "propose_pools",
    "split_bundles",
]
