import itertools
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinybms_bridge.battery.bms_event_kinds import BMS_STARTED, EVENT_KINDS, Severity, severity_of
from tinybms_bridge.battery.bms_events import BmsEvent, open_events, ring_order, unwrap

SPAN_S = 1 << 24
OVER_VOLTAGE, OVER_VOLTAGE_ENDED = 0x03, 0x79
UNDER_VOLTAGE, DISCHARGED, CHARGER_GONE = 0x02, 0x31, 0x65


def log(*numbers: int) -> list[BmsEvent]:
    """Return events with these numbers, one a second."""
    return [BmsEvent(100 + second, number) for second, number in enumerate(numbers)]


def numbers(events: tuple[BmsEvent, ...]) -> list[int]:
    """Return only the numbers."""
    return [event.event_id for event in events]


def test_an_event_knows_its_meaning() -> None:
    """What every user of an event asks for."""
    event = BmsEvent(12_144_171, OVER_VOLTAGE)
    assert event.severity is Severity.FAULT
    assert event.kind is EVENT_KINDS[OVER_VOLTAGE]
    assert str(event) == f"0x03 {EVENT_KINDS[OVER_VOLTAGE].text}"


@pytest.mark.parametrize(
    ("stamp_s", "now_s", "lifetime_s"),
    [
        (4646, 16_683_981, 4646),
        (12_144_171, 16_683_981, 12_144_171),
        (0x000008, 0x01000010, 0x01000008),
        (0xFFFFF0, 0x01000010, 0x00FFFFF0),
        (0x000010, 0x01000010, 0x01000010),
        (0x000011, 0x01000010, 0x00000011),
        (0, 0, 0),
    ],
)
def test_stamps_of_24_bits_become_lifetime_seconds(stamp_s: int, now_s: int, lifetime_s: int) -> None:
    """A capture of a real unit, and both sides of the wrap after 194 days."""
    assert unwrap(stamp_s, now_s) == lifetime_s


@given(st.integers(0, 2**32 - 1), st.integers(0, SPAN_S - 1))
def test_unwrap_restores_every_time_of_the_last_194_days(now_s: int, age_s: int) -> None:
    """The stamp loses 8 bits; the present brings them back."""
    time_s = now_s - age_s
    assert unwrap(time_s % SPAN_S, now_s) == time_s


def test_a_stamp_that_a_young_counter_has_not_reached_lies_before_its_beginning() -> None:
    """The counter was set back: such an event is older than everything since, and its stamp is kept."""
    time_s = unwrap(5000, 100)
    assert time_s == 5000 - SPAN_S
    assert BmsEvent(time_s, CHARGER_GONE).stamp_s == 5000


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([3, 2, 1], [1, 2, 3]),
        ([4, 5, 1, 2, 3], [1, 2, 3, 4, 5]),
        ([2, 9, 1, 7], [1, 2, 7, 9]),
        ([], []),
    ],
)
def test_a_ring_is_sorted_by_time(slots: list[int], expected: list[int]) -> None:
    """In slot order from anywhere, newest first, or in no order at all."""
    assert [event.lifetime_s for event in ring_order([BmsEvent(time_s, 0x61) for time_s in slots])] == expected


@given(st.lists(st.integers(0, 5), min_size=2, max_size=20).map(sorted), st.integers(0, 19))
def test_events_of_one_second_keep_their_order_wherever_the_ring_begins(times_s: list[int], turn: int) -> None:
    """A fault and its end in the same second: the wrong order would leave it open. The numbers count the events."""
    events = [BmsEvent(time_s, number) for number, time_s in enumerate(times_s)]
    turn %= len(events)
    turned = events[turn:] + events[:turn]
    assume(any(a.lifetime_s < b.lifetime_s for a, b in itertools.pairwise(turned)))  # else it reads as newest first
    assert ring_order(turned) == events


@given(st.lists(st.integers(0, 5), min_size=2, max_size=20).map(sorted))
def test_events_of_one_second_keep_their_order_when_the_newest_come_first(times_s: list[int]) -> None:
    """The vendor does not say in which order 0x11 and 0x12 answer."""
    events = [BmsEvent(time_s, number) for number, time_s in enumerate(times_s)]
    if times_s[0] != times_s[-1]:
        assert ring_order(events[::-1]) == events


@pytest.mark.parametrize(
    "ids", [(0x61, 0x64, 0x62), (0x64, 0x62), (0x37, 0x74), (0x31, 0x7A), (0x64, 0x62, 0x63, 0x65)]
)
@pytest.mark.parametrize("times_s", [(5, 5, 5, 5), (4, 5, 5, 5), (5, 5, 5, 6)])
def test_causes_come_first_where_nothing_else_tells_the_order(ids: tuple[int, ...], times_s: tuple[int, ...]) -> None:
    """A short answer of one second, read in either direction: the warning has ended, and the charger came first."""
    padded = (*ids, 0x66)[: len(times_s)] if times_s[-1] == 6 else ids
    events = [BmsEvent(time_s, number) for time_s, number in zip(times_s, padded, strict=False)]
    by_second_only = sorted(events, key=lambda event: -event.lifetime_s)
    for read in (events, events[::-1], by_second_only):
        assert ring_order(read) == events


@given(st.lists(st.integers(-100, 100)), st.randoms(use_true_random=False))
def test_no_order_of_slots_loses_an_event(times_s: list[int], shuffle: random.Random) -> None:
    """Sorting never drops or doubles."""
    events = [BmsEvent(time_s, number) for number, time_s in enumerate(times_s)]
    shuffle.shuffle(events)
    found = ring_order(events)
    assert sorted(found, key=str) == sorted(events, key=str)
    assert [event.lifetime_s for event in found] == sorted(times_s)


def test_a_fault_is_open_until_its_end() -> None:
    """The BMS has no alarm register: pairs of events are all there is."""
    assert numbers(open_events(log(OVER_VOLTAGE))) == [OVER_VOLTAGE]
    assert open_events(log(OVER_VOLTAGE, OVER_VOLTAGE_ENDED)) == ()
    assert numbers(open_events(log(OVER_VOLTAGE, OVER_VOLTAGE_ENDED, OVER_VOLTAGE))) == [OVER_VOLTAGE]


def test_an_end_without_a_beginning_opens_nothing() -> None:
    """The ring may have lost the beginning."""
    assert open_events(log(OVER_VOLTAGE_ENDED)) == ()


def test_an_end_ends_its_own_fault_only() -> None:
    """Several faults may be active together (firmware 2.3.236 and later)."""
    assert numbers(open_events(log(UNDER_VOLTAGE, DISCHARGED, OVER_VOLTAGE, 0x7B))) == [DISCHARGED, OVER_VOLTAGE]


def test_a_repeated_fault_is_open_once_since_its_first_beginning() -> None:
    """How long it has lasted counts from the first."""
    (found,) = open_events(log(OVER_VOLTAGE, 0x64, OVER_VOLTAGE))
    assert found.lifetime_s == 100


def test_a_restart_ends_everything() -> None:
    """0x61: the BMS judges anew, and logs anew what is still wrong."""
    assert open_events(log(OVER_VOLTAGE, UNDER_VOLTAGE, 0x0B, BMS_STARTED)) == ()
    assert numbers(open_events(log(OVER_VOLTAGE, BMS_STARTED, UNDER_VOLTAGE))) == [UNDER_VOLTAGE]


@pytest.mark.parametrize("end", [0x62, 0x63, 0x65])
@pytest.mark.parametrize("begin", [0x38, 0x39])
def test_a_charge_that_ended_badly_is_history_after_the_next(begin: int, end: int) -> None:
    """These warnings have no counterpart; without one they would be open until the next restart."""
    assert numbers(open_events(log(begin))) == [begin]
    assert open_events(log(begin, end)) == ()


def test_an_unlisted_fault_is_open_until_a_restart() -> None:
    """Its number alone says that it is a fault; nobody knows its end."""
    assert numbers(open_events(log(0x08, 0x73, 0x79, 0x7B))) == [0x08]
    assert open_events(log(0x08, BMS_STARTED)) == ()


def test_numbers_out_of_range_are_never_open() -> None:
    """An unknown number is no fault."""
    assert open_events(log(0x91, 0xFF)) == ()


def test_a_status_without_fault_drops_faults_but_not_warnings() -> None:
    """The ring has lost the end of the fault; whether a warning shows in register 50 is not documented."""
    events = log(OVER_VOLTAGE, DISCHARGED)
    assert numbers(open_events(events, faulted=False)) == [DISCHARGED]
    assert numbers(open_events(events, faulted=True)) == [OVER_VOLTAGE, DISCHARGED]
    assert numbers(open_events(events, faulted=None)) == [OVER_VOLTAGE, DISCHARGED]


@given(st.lists(st.integers(0, 255), max_size=60))
def test_only_what_began_and_is_bad_can_be_open(sequence: list[int]) -> None:
    """Whatever the log holds: each open event is in it, is a fault or a warning, and appears once."""
    found = open_events(log(*sequence))
    assert len(set(numbers(found))) == len(found)
    for event in found:
        assert event.event_id in sequence
        assert severity_of(event.event_id) in (Severity.FAULT, Severity.WARNING)
        since = sequence[event.lifetime_s - 100 :]
        assert not set(since) & {BMS_STARTED, *event.kind.ended_by}
