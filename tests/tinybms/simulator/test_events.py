import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.frames import EventEntry
from tinybms_bridge.tinybms.registers import catalogue
from tinybms_bridge.tinybms.simulator.events import EVENT_SLOTS, EventId, EventRing, entries_in, newest_first

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
    assert EventRing().words() == [0] * 98


def test_words_follow_the_vendors_layout() -> None:
    """Lower 16 bits of the stamp first, then its upper 8 bits and the id."""
    ring = EventRing()

    ring.add(0x12345678, 0x62)

    assert ring.words()[:2] == [0x5678, 0x6234]


def test_words_mean_the_same_to_the_register_catalogue() -> None:
    """The catalogue of the bridge reads what the simulator writes."""
    ring = EventRing()
    ring.add(4646, 0x65)
    register = catalogue().by_key("event_0")

    assert register.decode(ring.words()[:2]) == "0x65@4646"
    assert register.decode(ring.words()[2:4]) is None


@given(_LOG)
def test_the_ring_keeps_the_last_49_events(log: list[tuple[int, int]]) -> None:
    """The oldest slot is overwritten, nothing else."""
    ring = EventRing()
    for time_s, event_id in log:
        ring.add(time_s, event_id)

    kept = [EventEntry(time_s & 0xFFFFFF, event_id) for time_s, event_id in log[-EVENT_SLOTS:]]
    found = entries_in(ring.words())

    assert len(ring.words()) == 98
    assert sorted(found, key=repr) == sorted(kept, key=repr)


def test_the_slot_says_nothing_about_age() -> None:
    """After a turn of the ring the newest event stands before the oldest."""
    ring = EventRing(first_slot=48)
    ring.add(1, 0x61)
    ring.add(2, 0x62)

    assert [entry.event_id for entry in entries_in(ring.words())] == [0x62, 0x61]


def test_clearing_empties_the_ring() -> None:
    """After 0x02/01 there is no event, and the next one is kept."""
    ring = EventRing()
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
