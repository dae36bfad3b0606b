"""The level and the steps that answer a request."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.history.levels import LEVELS, grid_of

NOW_S = 1_767_225_600
DAY_S = 86_400
FULL = (NOW_S - 2 * DAY_S, NOW_S - 14 * DAY_S, NOW_S - 730 * DAY_S)


@pytest.mark.parametrize(
    ("back_s", "points", "table", "step_s"),
    [
        (DAY_S, 500, "minutes", 300),
        (DAY_S, 8640, "steps", 10),
        (3600, 500, "steps", 10),
        (2 * DAY_S, 5000, "minutes", 60),
        (7 * DAY_S, 500, "quarters", 1800),
        (7 * DAY_S, 5000, "minutes", 300),
        (30 * DAY_S, 500, "quarters", 7200),
        (30 * DAY_S, 5000, "quarters", 900),
        (365 * DAY_S, 365, "quarters", 86_400),
        (3650 * DAY_S, 100, "quarters", 37 * DAY_S),
    ],
)
def test_usual_charts(back_s: int, points: int, table: str, step_s: int) -> None:
    """The coarsest level that is fine enough, and steps that people read easily."""
    grid = grid_of(NOW_S - back_s, NOW_S, points=points, step_s=None, oldest=FULL)
    assert (grid.level.table, grid.step_s) == (table, step_s)
    assert grid.count <= points


@given(
    st.integers(0, NOW_S), st.integers(1, 20 * 365 * DAY_S), st.integers(1, 5000), st.none() | st.integers(10, DAY_S),
    st.tuples(*[st.none() | st.integers(0, NOW_S)] * 3),
)  # fmt: skip
def test_grid_covers_the_time(
    from_s: int, length_s: int, points: int, step_s: int | None, oldest: tuple[int | None, ...]
) -> None:
    """The steps lie at multiples of their length, cover everything that was asked for, and are not too many."""
    grid = grid_of(from_s, from_s + length_s, points=points, step_s=step_s, oldest=oldest)
    assert grid.from_s <= from_s
    assert grid.to_s >= from_s + length_s
    assert grid.from_s % grid.step_s == grid.to_s % grid.step_s == 0
    assert grid.step_s % grid.level.step_s == 0
    assert len(grid.times) == grid.count
    if step_s is None:
        assert grid.count <= max(2, points)
    else:
        assert step_s <= grid.step_s < step_s + 900
    parts = itertools.islice(grid.parts(7), 20)
    assert [time for part in parts for time in part.times] == list(grid.times[:140])


def test_finer_level_that_does_not_reach_back() -> None:
    """Where only a coarser level has anything, it answers with its own steps."""
    grid = grid_of(NOW_S - 10 * DAY_S, NOW_S - 9 * DAY_S, points=8640, step_s=None, oldest=FULL)
    assert (grid.level.table, grid.step_s) == ("minutes", 60)
    grid = grid_of(NOW_S - 100 * DAY_S, NOW_S - 99 * DAY_S, points=8640, step_s=10, oldest=FULL)
    assert (grid.level.table, grid.step_s) == ("quarters", 900)


def test_young_history_is_shown_as_fine_as_it_is() -> None:
    """When no level reaches back, the finest is not given up for nothing."""
    young = tuple((NOW_S - 3600) // level.step_s * level.step_s for level in LEVELS)
    grid = grid_of(NOW_S - DAY_S, NOW_S, points=8640, step_s=None, oldest=young)
    assert grid.level.table == "steps"
    assert grid_of(NOW_S - DAY_S, NOW_S, points=8640, step_s=None, oldest=(None, None, None)).level.table == "steps"
