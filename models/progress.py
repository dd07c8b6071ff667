"""How far a measured quantity has come."""

from __future__ import annotations


def share_of_way(
    baseline: float | None, target: float | None, reported: float | None
) -> float | None:
    """Share of the way from baseline to target at which the last reported value stands.

    1.0 is reached; below 0.0 things got worse; above 1.0 there is more than was aimed at. Where no
    baseline is stated, the way begins at 0.

    Returns
    -------
    float or None
        None where nothing was reported, or no target is set.

    >>> share_of_way(10, 30, 15)
    0.25
    >>> share_of_way(None, 5, None)
    """
    if reported is None or target is None:
        return None
    start = baseline or 0.0
    if target == start:
        return 1.0 if reported >= target else 0.0
    return (reported - start) / (target - start)
