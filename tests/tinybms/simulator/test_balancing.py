from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.simulator.balancing import balancing_now, balancing_wanted
from tinybms_bridge.tinybms.simulator.thresholds import Thresholds

LIMITS = Thresholds(full_v=3.6, empty_v=2.8, balance_above_v=3.4, finished_a=2.0, disbalance_v=0.015, idle_a=0.8)


def test_balancing_is_wanted_for_high_cells_only() -> None:
    """Above register 303 and more than register 308 over the lowest, highest first."""
    assert balancing_wanted([3.39, 3.41, 3.45, 3.400, 3.42], LIMITS) == [2, 4, 1]
    assert balancing_wanted([3.30, 3.39, 3.31], LIMITS) == []
    assert balancing_wanted([3.500, 3.510, 3.514], LIMITS) == []


def test_in_an_over_voltage_fault_all_high_cells_bleed() -> None:
    """Until the fault is over, however alike the cells are."""
    assert balancing_wanted([3.77, 3.76, 3.39, 3.75], LIMITS, over_voltage=True) == [0, 1, 3]


@given(st.lists(st.floats(min_value=3.0, max_value=3.7), min_size=4, max_size=16))
def test_at_most_every_third_cell_bleeds(voltages_v: list[float]) -> None:
    """Chosen cells are wanted, apart, and include the highest one."""
    wanted = balancing_wanted(voltages_v, LIMITS)
    now = balancing_now(wanted)

    assert set(now) <= set(wanted)
    assert now[:1] == wanted[:1]
    assert all(abs(a - b) >= 3 for a in now for b in now if a != b)
    assert all(any(abs(a - b) < 3 for b in now) for a in wanted)


@given(st.lists(st.floats(min_value=3.0, max_value=4.5), min_size=4, max_size=16))
def test_the_fault_widens_the_choice(voltages_v: list[float]) -> None:
    """Whatever bleeds without the fault bleeds with it; nothing at or below register 303 ever does."""
    usual, fault = (set(balancing_wanted(voltages_v, LIMITS, over_voltage=f)) for f in (False, True))

    assert usual <= fault
    assert all(voltages_v[index] > LIMITS.balance_above_v for index in fault)
