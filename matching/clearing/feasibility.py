"""Why no flow satisfies an exchange: the posts, pairs and floors that stand in each other's way."""

from dataclasses import replace

import numpy as np

from matching.clearing.error import ClearingError
from matching.clearing.market import Market
from matching.clearing.order import Flags
from matching.clearing.total import Optimum, greatest_total


def explain(market: Market) -> ClearingError:
    """Name what keeps an exchange without any flow from having one.

    Exact demands are looked at first by themselves, then with the pairs that must be, then with
    each floor, and last the floors together.

    Notes
    -----
    Needs and offers are named by a least cut: these needs want more, together, than all offers
    that may serve them can give (Hall's condition).
    """
    unforced = replace(market, least=np.zeros_like(market.least))
    for tried, code, message in (
        (
            unforced,
            "exact_demand_unmet",
            "Needs that want an exact number of places cannot all have it from the offers that "
            "may serve them.",
        ),
        (
            market,
            "forced_pairs_conflict",
            "Pairs that must be leave too few places for needs that want an exact number.",
        ),
    ):
        most = _most_places(tried, market.exact)
        if (tried.served(most.flow) < tried.demand)[market.exact].any():
            needs = market.exact & (most.prices.needs < 0.5)
            offers = most.prices.offers > 0.5
            at = (tried.least > 0) & (offers[market.offer] | needs[market.need])
            return ClearingError(
                code,
                message,
                needs=market.need_at[needs].tolist(),
                offers=market.offer_at[offers].tolist(),
                pairs=market.pairs_at(at if at.any() else tried.least > 0),
            )
    for number, (members, places) in enumerate(market.floors):
        inside = np.isin(np.arange(market.needs), members)
        reached = int(market.served(_most_places(market, inside, keep=True).flow)[members].sum())
        if reached < places:
            return ClearingError(
                "floor_above_supply",
                f"A floor promises {places} places where at most {reached} can be given.",
                needs=market.need_at[members].tolist(),
                floors=[number],
            )
    return ClearingError(
        "floors_conflict",
        "Each floor can be kept, but not all of them together.",
        floors=range(len(market.floors)),
    )


def _most_places(market: Market, needs: Flags, *, keep: bool = False) -> Optimum:
    """Give these needs as many places as can be; ``keep`` holds to exact demands."""
    return greatest_total(
        replace(
            market,
            score=needs[market.need].astype(np.float64),
            exact=market.exact if keep else np.zeros_like(market.exact),
            floors=(),
        )
    )
