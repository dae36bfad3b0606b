import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.registers import catalogue
from tinybms_bridge.tinybms.simulator.events import EventId
from tinybms_bridge.tinybms.simulator.statistics import ResetCause, Statistics, WakeCause

_CURRENT = st.floats(min_value=-750.0, max_value=750.0)


def _value(statistics: Statistics, key: str) -> object:
    register = catalogue().by_key(key)
    words = statistics.words()
    start = register.address - 100
    return register.decode(words[start : start + register.words])


def test_a_new_unit_has_seen_nothing() -> None:
    """18 registers, zero but for the cause of the start."""
    words = Statistics().words()

    assert len(words) == 18
    assert words[14] == ResetCause.POWER_ON
    assert not any(words[:14])
    assert not any(words[15:])


@given(st.lists(_CURRENT, min_size=1, max_size=20))
def test_extremes_only_grow(currents_a: list[float]) -> None:
    """102 and 103 hold the largest currents ever seen, each without sign."""
    statistics = Statistics()
    for current_a in currents_a:
        statistics.observe(current_a, [3.3, 3.3], [20.0])

    assert statistics.max_charge_a == max(0.0, *currents_a)
    assert statistics.max_discharge_a == max(0.0, *(-a for a in currents_a))


def test_registers_mean_the_same_to_the_register_catalogue() -> None:
    """Each statistic lands in its register with its scale."""
    statistics = Statistics(charging_count=3, full_charge_count=2, cleared_at_s=70000)
    statistics.observe(-42.26, [3.31, 3.30, 3.3456], [7.6, 25.4])
    statistics.observe(20.0, [3.31, 3.31, 3.31], [-12.0, 20.0])

    assert _value(statistics, "max_discharge_current") == 42.3
    assert _value(statistics, "max_charge_current") == 20.0
    assert _value(statistics, "max_cell_voltage_difference") == 0.0456
    assert _value(statistics, "charging_count") == 3
    assert _value(statistics, "full_charge_count") == 2
    assert _value(statistics, "min_pack_temperature") == -12
    assert _value(statistics, "max_pack_temperature") == 25
    assert _value(statistics, "statistics_cleared_at") == 70000


def test_temperatures_share_a_register_as_seen_on_a_unit() -> None:
    """8 and 25 degrees are 0x1908."""
    statistics = Statistics()
    statistics.observe(0.0, [3.3, 3.3], [8.0, 25.0])

    assert statistics.words()[13] == 0x1908


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (EventId.UNDER_VOLTAGE, "under_voltage_count"),
        (EventId.OVER_VOLTAGE, "over_voltage_count"),
        (EventId.DISCHARGE_OVER_CURRENT, "discharge_over_current_count"),
        (EventId.CHARGE_OVER_CURRENT, "charge_over_current_count"),
        (EventId.REGENERATION_OVER_CURRENT, "charge_over_current_count"),
        (EventId.OVER_HEAT, "over_heat_count"),
        (EventId.CHARGING_STARTED, "charging_count"),
        (EventId.CHARGING_COMPLETE, "full_charge_count"),
    ],
)
def test_events_move_their_counter(event: EventId, key: str) -> None:
    """Each its own register, and no other."""
    statistics = Statistics()
    for _ in range(3):
        statistics.count(event)

    assert _value(statistics, key) == 3
    assert sum(statistics.words()[5:13]) == 3


@pytest.mark.parametrize(
    "event", [EventId.DISCHARGED, EventId.TOO_COLD, EventId.BMS_STARTED, EventId.OVER_VOLTAGE_OVER]
)
def test_other_events_move_nothing(event: EventId) -> None:
    """There is no register for them."""
    statistics = Statistics()
    statistics.count(event)

    assert statistics == Statistics()


def test_causes_share_a_register() -> None:
    """Reset cause in the low byte, wake-up cause in the high one."""
    statistics = Statistics(reset_cause=ResetCause.SOFTWARE_RESET, wake_cause=WakeCause.UART)

    assert _value(statistics, "last_reset_event") == "software_reset"
    assert _value(statistics, "last_wakeup_event") == "uart_communication"


def test_clearing_keeps_the_causes_and_notes_the_time() -> None:
    """After 0x02/02 register 116 tells when."""
    statistics = Statistics(reset_cause=ResetCause.SOFTWARE_RESET, wake_cause=WakeCause.UART, charging_count=9)
    statistics.observe(100.0, [3.0, 4.0], [50.0])

    statistics.clear(123456)

    assert statistics == Statistics(
        reset_cause=ResetCause.SOFTWARE_RESET, wake_cause=WakeCause.UART, cleared_at_s=123456
    )


@given(_CURRENT.map(lambda a: a * 1e6), st.floats(min_value=-1e6, max_value=1e6))
def test_words_fit_their_registers(current_a: float, temperature_c: float) -> None:
    """An extreme beyond the register stops at its end."""
    statistics = Statistics()
    statistics.observe(current_a, [0.0, 1e6], [temperature_c])

    assert all(0 <= word <= 0xFFFF for word in statistics.words())
