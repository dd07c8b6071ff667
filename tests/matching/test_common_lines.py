"""Lines that groups have in common: one of each, every two alike, each line once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from matching.common_lines import find_common, likeness_of_lines

GROUPS = ["a", "a", "b", "b", "c"]


def symmetric(values):
    table = np.array(values, float)
    return (table + table.T) / 2


def test_a_common_line_has_one_member_of_each_group():
    likeness = symmetric(
        [
            [1, 0.2, 0.9, 0.1, 0.8],
            [0.2, 1, 0.1, 0.9, 0.1],
            [0.9, 0.1, 1, 0.2, 0.7],
            [0.1, 0.9, 0.2, 1, 0.1],
            [0.8, 0.1, 0.7, 0.1, 1],
        ]
    )
    found = find_common(likeness, GROUPS, least=0.6)
    assert [(one.members, round(one.likeness, 6)) for one in found] == [((0, 2, 4), 0.7)]


def test_nothing_is_common_where_a_group_is_missing_or_far():
    likeness = np.full((5, 5), 0.5)
    assert find_common(likeness, GROUPS, least=0.6) == []
    assert find_common(np.ones((2, 2)), ["a", "a"], least=0.1) == []
    assert find_common(np.ones((0, 0)), [], least=0.1) == []


def test_themes_that_agree_raise_the_likeness_and_others_lower_it():
    texts = np.full((3, 3), 0.6)
    themes = [frozenset({"water"}), frozenset({"water", "msme"}), frozenset({"youth"})]
    found = likeness_of_lines(texts, themes)
    assert found[0, 1] > 0.6 > found[0, 2]
    assert found[0, 1] == found[1, 0]
    assert likeness_of_lines(texts, [frozenset()] * 3)[0, 1] == 0.6


@given(st.integers(2, 5), st.data())
def test_each_line_is_used_once_and_every_two_members_are_alike(groups, data):
    sizes = [data.draw(st.integers(1, 3)) for _ in range(groups)]
    names = [str(g) for g, size in enumerate(sizes) for _ in range(size)]
    count = len(names)
    values = data.draw(st.lists(st.floats(0, 1), min_size=count * count, max_size=count * count))
    likeness = symmetric(np.reshape(values, (count, count)))
    found = find_common(likeness, names, least=0.5)
    used = [member for one in found for member in one.members]
    assert len(used) == len(set(used))
    for one in found:
        assert {names[m] for m in one.members} == set(names)
        assert min(likeness[a, b] for a in one.members for b in one.members if a < b) >= 0.5
    tightness = [one.likeness for one in found]
    assert tightness == sorted(tightness, reverse=True)
