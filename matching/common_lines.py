"""Lines that several groups have in common, by meaning and theme, in whatever language each is.

The regional action plan asks which priorities the four subregions share. A common line is one
line of each group, every two of which are alike:

>>> import numpy as np
>>> likeness = np.array([[1, .9, .1], [.9, 1, .2], [.1, .2, 1]])
>>> [found.members for found in find_common(likeness, ["a", "b", "b"], least=.5)]
[(0, 1)]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

THEME_SHARE = 0.35
"""Share of the themes in the likeness of two lines; the rest is the texts'."""


@dataclass(frozen=True, slots=True)
class CommonLine:
    """One line of each group, all alike.

    Attributes
    ----------
    members
        Indexes of the lines, in the order of the groups.
    likeness
        That of the two that are least alike, in [0, 1].
    """

    members: tuple[int, ...]
    likeness: float


def likeness_of_lines(
    texts: NDArray[np.floating], themes: Sequence[frozenset[str]]
) -> NDArray[np.float64]:
    """The likeness of every two lines.

    Parameters
    ----------
    texts
        (n, n), likeness of the texts in [0, 1]; made symmetric here.
    themes
        Codes of each line. Where one of two names none, its text alone speaks.

    Returns
    -------
    (n, n) array in [0, 1], symmetric.
    """
    found = (np.asarray(texts, np.float64) + np.asarray(texts, np.float64).T) / 2
    for one, other in combinations(range(len(themes)), 2):
        a, b = themes[one], themes[other]
        if a and b:
            shared = len(a & b) / min(len(a), len(b))
            value = (1 - THEME_SHARE) * found[one, other] + THEME_SHARE * shared
            found[one, other] = found[other, one] = value
    return found


def find_common(
    likeness: NDArray[np.floating], groups: Sequence[str], *, least: float
) -> list[CommonLine]:
    """Find the lines that all groups have in common, the most alike first.

    Each line belongs to one common line at most. Around every line as a kernel, the nearest line
    of each other group is taken; of the sets in which every two are alike by at least ``least``,
    the tightest is kept, and so on with what remains.

    Parameters
    ----------
    likeness
        (n, n), see :func:`likeness_of_lines`.
    groups
        Which group each line is of.

    Returns
    -------
    list of CommonLine
        Empty where there are fewer than two groups. Equal sets are ordered by their indexes.
    """
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        return []
    of = {name: [n for n, group in enumerate(groups) if group == name] for name in names}
    found: list[CommonLine] = []
    taken: set[int] = set()
    while True:
        best: CommonLine | None = None
        for kernel, own in enumerate(groups):
            if kernel in taken:
                continue
            members = [kernel]
            for name in names:
                free = [n for n in of[name] if n not in taken]
                if name == own or not free:
                    continue
                members.append(max(free, key=lambda n: (likeness[kernel, n], -n)))
            if len(members) < len(names):
                continue
            members.sort(key=lambda n: names.index(groups[n]))
            tight = min(float(likeness[a, b]) for a, b in combinations(members, 2))
            if tight < least:
                continue
            here = CommonLine(tuple(members), tight)
            if best is None or (-here.likeness, here.members) < (-best.likeness, best.members):
                best = here
        if best is None:
            return found
        found.append(best)
        taken |= set(best.members)
