import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.frames import EventEntry
from tinybms_bridge.tinybms.registers import catalogue
from tinybms_lab.bms.records import (
    EVENT_SLOTS,
    EventId,
    SimulatedEventRing,
    SimulatedResetCause,
    SimulatedWakeCause,
    Statistics,
    entries_in,
    newest_first,
)

_TIME = st.integers(min_value=0, max_value=2**32 - 1)
_LOG = st.lists(st.tuples(_TIME, st.integers(min_value=1, max_value=255)), max_size=120)


@pytest.mark.parametrize(
    ("event", "fault", "warning"),
    [
        (EventId.UNDER_VOLTAGE, True, False),
        (EventId.CURRENT_SENSOR_NOT_READY, True, False),
        (EventId.DISCHARGED, False, True),
        (EventId.CHARGER_VOLTAGE_LOW, False, True),
        (EventId.BMS_STARTED, False, False),
        (EventId.CURRENT_SENSOR_REMOVED, False, False),
    ],
)
def test_the_number_tells_the_severity(event: EventId, fault: bool, warning: bool) -> None:
    """By the vendor's ranges."""
    assert (event.is_fault, event.is_warning) == (fault, warning)


def test_the_numbers_are_those_that_the_vendor_lists() -> None:
    """All of them, and no other."""
    faults = {2, 3, 4, 5, 6, 7, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F}
    warnings = {0x31, 0x37, 0x38, 0x39}
    information = {*range(0x61, 0x68), *range(0x73, 0x7E)}

    assert {int(event) for event in EventId} == faults | warnings | information


def test_an_empty_ring_reads_zero() -> None:
    """Empty slots have id 0."""
    assert SimulatedEventRing().words() == [0] * 98


def test_words_follow_the_vendors_layout() -> None:
    """Lower 16 bits of the stamp first, then its upper 8 bits and the id."""
    ring = SimulatedEventRing()

    ring.add(0x12345678, 0x62)

    assert ring.words()[:2] == [0x5678, 0x6234]


def test_words_mean_the_same_to_the_register_catalogue() -> None:
    """The catalogue of the bridge reads what the simulator writes."""
    ring = SimulatedEventRing()
    ring.add(4646, 0x65)
    register = catalogue().by_key("event_0")

    assert register.decode(ring.words()[:2]) == "0x65@4646"
    assert register.decode(ring.words()[2:4]) is None


@given(_LOG)
def test_the_ring_keeps_the_last_49_events(log: list[tuple[int, int]]) -> None:
    """The oldest slot is overwritten, nothing else."""
    ring = SimulatedEventRing()
    for time_s, event_id in log:
        ring.add(time_s, event_id)

    kept = [EventEntry(time_s & 0xFFFFFF, event_id) for time_s, event_id in log[-EVENT_SLOTS:]]
    found = entries_in(ring.words())

    assert len(ring.words()) == 98
    assert sorted(found, key=repr) == sorted(kept, key=repr)


def test_the_slot_says_nothing_about_age() -> None:
    """After a turn of the ring the newest event stands before the oldest."""
    ring = SimulatedEventRing(first_slot=48)
    ring.add(1, 0x61)
    ring.add(2, 0x62)

    assert [entry.event_id for entry in entries_in(ring.words())] == [0x62, 0x61]


def test_clearing_empties_the_ring() -> None:
    """After 0x02/01 there is no event, and the next one is kept."""
    ring = SimulatedEventRing()
    ring.add(1, EventId.BMS_STARTED)

    ring.clear()
    assert entries_in(ring.words()) == []

    ring.add(2, EventId.BMS_STARTED)
    assert entries_in(ring.words()) == [EventEntry(2, 0x61)]


def test_newest_first_sees_through_the_wrap_of_the_stamp() -> None:
    """24 bits of seconds wrap every 194 days; a stamp above the present is from before the wrap."""
    now_s = 0x01000010
    before, after = EventEntry(0xFFFFF0, 1), EventEntry(0x000008, 2)

    assert newest_first([before, after], now_s) == [after, before]


@given(st.lists(st.integers(min_value=0, max_value=2**24 - 1), max_size=20), _TIME)
def test_newest_first_sorts_by_age(ages: list[int], now_s: int) -> None:
    """Any order of slots gives the same order of events."""
    entries = [EventEntry((now_s - age) & 0xFFFFFF, 1) for age in ages]

    found = [(now_s - entry.time_s) & 0xFFFFFF for entry in newest_first(entries, now_s)]

    assert found == sorted(ages)


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
    assert words[14] == SimulatedResetCause.POWER_ON
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
    statistics = Statistics(reset_cause=SimulatedResetCause.SOFTWARE_RESET, wake_cause=SimulatedWakeCause.UART)

    assert _value(statistics, "last_reset_event") == "software_reset"
    assert _value(statistics, "last_wakeup_event") == "uart_communication"


def test_clearing_keeps_the_causes_and_notes_the_time() -> None:
    """After 0x02/02 register 116 tells when."""
    statistics = Statistics(
        reset_cause=SimulatedResetCause.SOFTWARE_RESET, wake_cause=SimulatedWakeCause.UART, charging_count=9
    )
    statistics.observe(100.0, [3.0, 4.0], [50.0])

    statistics.clear(123456)

    assert statistics == Statistics(
        reset_cause=SimulatedResetCause.SOFTWARE_RESET, wake_cause=SimulatedWakeCause.UART, cleared_at_s=123456
    )


@given(_CURRENT.map(lambda a: a * 1e6), st.floats(min_value=-1e6, max_value=1e6))
def test_words_fit_their_registers(current_a: float, temperature_c: float) -> None:
    """An extreme beyond the register stops at its end."""
    statistics = Statistics()
    statistics.observe(current_a, [0.0, 1e6], [temperature_c])

    assert all(0 <= word <= 0xFFFF for word in statistics.words())
