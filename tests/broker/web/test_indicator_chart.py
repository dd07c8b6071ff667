"""Where the points and lines of an indicator's chart lie."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.web.indicator_chart import HEIGHT, WIDTH, draw_indicator
from models import Indicator, IndicatorReport

STARTS = date(2027, 1, 1)


def indicator(
    values: list[tuple[int, float]], baseline: float | None = 0.0, target: float = 100.0
) -> Indicator:
    return Indicator(
        name="Tenders",
        baseline=baseline,
        target=target,
        due=None,
        reports=[IndicatorReport(on=STARTS + timedelta(days=n), value=v) for n, v in values],
    )


def test_nothing_is_drawn_before_the_first_report() -> None:
    assert draw_indicator(indicator([]), STARTS) is None


def test_later_is_further_right_and_more_is_higher() -> None:
    chart = draw_indicator(indicator([(90, 60.0), (10, 20.0)]), STARTS)
    assert chart is not None
    (x1, y1, first), (x2, y2, second) = chart.points
    assert (first.value, second.value) == (20.0, 60.0)
    assert x1 < x2
    assert y1 > y2
    assert chart.target.y < y2
    assert chart.baseline is not None
    assert chart.baseline.y > y1
    assert [level.value for level in chart.grid] == [0, 50, 100]


@pytest.mark.parametrize("baseline", [None, 5.0])
def test_a_flat_line_still_has_a_height(baseline: float | None) -> None:
    chart = draw_indicator(indicator([(0, 5.0)], baseline, target=5.0), STARTS)
    assert chart is not None
    assert 0 < chart.points[0][1] < HEIGHT


amounts = st.floats(min_value=-1e15, max_value=1e15)


@given(
    st.lists(st.tuples(st.integers(-500, 4000), amounts), min_size=1, max_size=8),
    st.none() | amounts,
    amounts,
)
def test_everything_lies_within_the_chart(
    values: list[tuple[int, float]], baseline: float | None, target: float
) -> None:
    chart = draw_indicator(indicator(values, baseline, target), STARTS)
    assert chart is not None
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y, _report in chart.points)
    assert all(0 <= level.y <= HEIGHT for level in chart.grid)
    assert len(chart.grid) <= 6
    assert 0 <= chart.target.y <= HEIGHT
