from collections.abc import Callable
from typing import Any

import pytest

from tinybms_bridge.battery.limits import LimitSettings
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.rebulk import RebulkMemory, next_rebulk

MakeContext = Callable[..., Context]
DAY_S = 86_400


def after(
    context: MakeContext, seconds: int, memory: RebulkMemory | None = None, *, due: bool = False, **more: Any
) -> tuple[RebulkMemory, bool]:
    """Return the memory after some seconds in FLOAT, and whether it has ended."""
    memory = memory or RebulkMemory()
    for _ in range(seconds):
        memory, ends = next_rebulk(memory, context(LimitSettings(), **more), 1.0, due=due)
        if ends:
            return memory, True
    return memory, False


@pytest.mark.parametrize(
    ("seconds", "more", "ends"),
    [
        pytest.param(599, {"soc": 95.0, "max_cell_v": 3.28}, False, id="low for less than ten minutes"),
        pytest.param(601, {"soc": 95.0, "max_cell_v": 3.28}, True, id="low for ten minutes"),
        pytest.param(900, {"soc": 95.0, "max_cell_v": 3.31}, False, id="not low"),
        pytest.param(900, {"soc": 95.0, "max_cell_v": 3.28, "current_a": -30.0}, False, id="a load that pulls"),
        pytest.param(2, {"soc": 89.0, "max_cell_v": 3.33}, True, id="the count says it"),
        pytest.param(900, {"soc": 3.0, "max_cell_v": 3.45}, False, id="a count that the cells contradict"),
        pytest.param(900, {"soc": 3.0, "max_cell_v": 3.45, "pack": {"soc_known": False}}, False, id="no count"),
    ],
)
def test_what_ends_float(context: MakeContext, seconds: int, more: dict[str, Any], ends: bool) -> None:
    """A battery that has been used is charged again, and one that looks so for a moment is not."""
    assert after(context, seconds, **more)[1] is ends


def test_a_full_charge_that_is_due_ends_float(context: MakeContext) -> None:
    """A battery that only floats is charged in full once in a while."""
    assert after(context, 2, due=True, soc=99.0, max_cell_v=3.38)[1]


def test_at_most_twice_a_day(context: MakeContext) -> None:
    """Whatever says that it has been used: the third time waits until the first is a day ago."""
    memory, times = RebulkMemory(), []
    for hour in range(60):
        pack = {"lifetime_s": 3600 * hour}
        memory, ends = after(context, 2, memory, soc=50.0, max_cell_v=3.25, pack=pack)
        times += [hour] if ends else []
    assert times == [0, 1, 24, 25, 48, 49]


def test_a_counter_that_was_set_back_is_no_obstacle(context: MakeContext) -> None:
    """Times that lie ahead are none."""
    memory = RebulkMemory(begun_at_s=(5 * DAY_S, 6 * DAY_S))
    assert after(context, 2, memory, soc=50.0, max_cell_v=3.25, pack={"lifetime_s": 10})[1]
