from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.bms_events import BmsEvent, DatedEvent
from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.tinybms.eventlog import (
    EVENT_SLOTS,
    KEPT_EVENTS,
    EventLogReading,
    merge,
    read_events,
    reading_of,
    registers_to_entries,
    shares_events,
    since_last_gap,
)
from tinybms_bridge.tinybms.frames import (
    CommandCode,
    EventEntry,
    Nack,
    ReadModbus,
    Reply,
    Request,
    SimpleRequest,
)
from tinybms_lab.bms import AnsweringDevice, DumpDevice, real_dump
from tinybms_lab.bms.records import SimulatedEventRing, newest_first
from tinybms_lab.bms.responder import answer
from tinybms_lab.testing.fake_clock import FakeClock

WALL = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
SPAN_S = 1 << 24

CAPTURED = (
    BmsEvent(4646, 0x65),
    BmsEvent(12_144_171, 0x64),
    BmsEvent(12_144_172, 0x62),
    BmsEvent(12_144_194, 0x65),
)
"""The events of a real unit (protocol reference, section 3)."""


class DeviceLink:
    """A link to a simulated device that refuses what it is told to refuse."""

    def __init__(self, device: AnsweringDevice, *refused: CommandCode, error: Exception | None = None) -> None:
        self.asked: list[tuple[Request, int | None]] = []
        self._device = device
        self._refused = refused
        self._error = error

    async def request(self, request: Request, *, attempts: int | None = None) -> Reply:
        self.asked.append((request, attempts))
        if self._error is not None:
            raise self._error
        reply = Nack(request.command, 0) if request.command in self._refused else answer(self._device, request)
        if isinstance(reply, Nack):
            raise DeviceRefused(reply.command, reply.code)
        return reply


@pytest.fixture
def real() -> DumpDevice:
    """The capture of the real unit, 16 683 981 s old."""
    return DumpDevice(real_dump(), FakeClock())


def known_of(*events: BmsEvent) -> tuple[DatedEvent, ...]:
    """Return events that were found before."""
    return tuple(DatedEvent(event, WALL) for event in events)


def reading(now_s: int, *events: BmsEvent) -> EventLogReading:
    """Return a complete reading."""
    return EventLogReading(now_s, events, complete=True)


def only_events(dated: Sequence[DatedEvent]) -> list[BmsEvent]:
    """Return the events without their dates."""
    return [each.event for each in dated]


async def test_the_whole_log_is_read_with_one_command(real: DumpDevice) -> None:
    """0x12: oldest first, empty slots left out, the lifetime counter with it."""
    link = DeviceLink(real)
    found = await read_events(link)
    assert found == EventLogReading(16_683_981, CAPTURED, complete=True)
    assert [request for request, _ in link.asked] == [SimpleRequest(CommandCode.EVENTS_ALL)]


async def test_the_newest_are_read_with_their_own_command(real: DumpDevice) -> None:
    """0x11 may leave out older ones, so the reading is not complete."""
    link = DeviceLink(real)
    found = await read_events(link, newest_only=True)
    assert found == EventLogReading(16_683_981, CAPTURED, complete=False)
    assert [request for request, _ in link.asked] == [SimpleRequest(CommandCode.EVENTS_NEWEST)]


@pytest.mark.parametrize("newest_only", [False, True])
async def test_a_bms_that_refuses_is_asked_for_the_registers(real: DumpDevice, newest_only: bool) -> None:
    """Registers 200 to 297 hold the same ring, and the counter is read after them."""
    link = DeviceLink(real, CommandCode.EVENTS_ALL, CommandCode.EVENTS_NEWEST)
    found = await read_events(link, newest_only=newest_only)
    assert found == EventLogReading(16_683_981, CAPTURED, complete=True)
    assert [request for request, _ in link.asked[1:]] == [ReadModbus(200, 98), ReadModbus(32, 2)]


async def test_the_newest_are_the_last_resort(real: DumpDevice) -> None:
    """Some events are better than none."""
    link = DeviceLink(real, CommandCode.EVENTS_ALL, CommandCode.READ_MODBUS)
    found = await read_events(link)
    assert found.events == CAPTURED
    assert not found.complete


async def test_a_bms_that_refuses_every_way_is_a_refusal(real: DumpDevice) -> None:
    """The caller has to know that there is no log."""
    link = DeviceLink(real, CommandCode.EVENTS_ALL, CommandCode.EVENTS_NEWEST, CommandCode.READ_MODBUS)
    with pytest.raises(DeviceRefused):
        await read_events(link)


async def test_a_dead_link_is_not_asked_again(real: DumpDevice) -> None:
    """No answer is no refusal: other ways would only cost more time."""
    link = DeviceLink(real, error=LinkError("the BMS did not answer"))
    with pytest.raises(LinkError):
        await read_events(link)
    assert len(link.asked) == 1


async def test_the_number_of_attempts_is_passed_on(real: DumpDevice) -> None:
    """Between two fast polls a slow read gets one attempt, whichever way it takes."""
    link = DeviceLink(real, CommandCode.EVENTS_ALL)
    await read_events(link, attempts=1)
    assert [attempts for _, attempts in link.asked] == [1, 1, 1]


def test_registers_hold_the_time_low_word_first_and_the_number_on_top() -> None:
    """Protocol Rev D, events: bits 0 to 23 seconds, 24 to 31 the number."""
    assert registers_to_entries([20011, 25785, 0, 0]) == (EventEntry(12_144_171, 0x64), EventEntry(0, 0))


def test_an_odd_number_of_registers_is_an_error() -> None:
    """Half an event would shift all others."""
    with pytest.raises(ValueError, match="argument"):
        registers_to_entries([1, 2, 3])


def test_a_reading_sees_through_the_wrap_of_the_stamps() -> None:
    """A stamp above the present is from before the wrap."""
    found = reading_of([EventEntry(8, 0x65), EventEntry(0xFFFFF0, 0x64)], 0x01000010, complete=True)
    assert found.events == (BmsEvent(0x00FFFFF0, 0x64), BmsEvent(0x01000008, 0x65))


def test_everything_is_new_at_first() -> None:
    """With its calendar time: the moment of the reading less the age, to the second."""
    known, new = merge((), reading(16_683_981, *CAPTURED), WALL + timedelta(milliseconds=700))
    assert only_events(new) == list(CAPTURED)
    assert known == new
    assert new[-1].at == WALL - timedelta(seconds=16_683_981 - 12_144_194)


def test_nothing_is_new_twice() -> None:
    """The ring shows its events at each reading."""
    known, _ = merge((), reading(16_683_981, *CAPTURED), WALL)
    again, new = merge(known, reading(16_684_041, *CAPTURED), WALL + timedelta(minutes=1))
    assert new == ()
    assert again == known


def test_two_of_a_kind_in_one_second_are_two() -> None:
    """A charger that bounces: the second one must not be taken for the first."""
    once, twice = (BmsEvent(100, 0x64),), (BmsEvent(100, 0x64), BmsEvent(100, 0x64))
    known, new = merge((), reading(100, *once), WALL)
    known, new = merge(known, reading(101, *twice), WALL)
    assert only_events(new) == [BmsEvent(100, 0x64)]
    _, new = merge(known, reading(102, *twice), WALL)
    assert new == ()


def test_the_dates_of_known_events_stay() -> None:
    """Two clocks drift: an event does not move in the list at each reading."""
    known, _ = merge((), reading(200, BmsEvent(100, 0x64)), WALL)
    later, _ = merge(known, reading(260, BmsEvent(100, 0x64)), WALL + timedelta(seconds=75))
    assert later[0].at == known[0].at


def test_an_event_that_passes_194_days_is_not_new() -> None:
    """Its unwrapped time then jumps by 2**24 seconds."""
    event = BmsEvent(1000, 0x02)
    known, _ = merge((), reading(2000, event), WALL)
    aged = reading_of([EventEntry(1000, 0x02)], 1000 + SPAN_S + 5, complete=True)
    assert aged.events == (BmsEvent(1000 + SPAN_S, 0x02),)
    _, new = merge(known, aged, WALL + timedelta(seconds=SPAN_S))
    assert new == ()


def test_a_counter_that_was_set_back_repeats_nothing() -> None:
    """After a power loss the counter may go on from an older second, with stamps that lie ahead of it."""
    known, _ = merge((), reading(5000, BmsEvent(4000, 0x64), BmsEvent(4900, 0x65)), WALL)
    entries = [EventEntry(4000, 0x64), EventEntry(4900, 0x65), EventEntry(4500, 0x61)]
    known, new = merge(known, reading_of(entries, 4501, complete=True), WALL)
    assert only_events(new) == [BmsEvent(4500, 0x61)]
    assert known[-1].event == BmsEvent(4500, 0x61), (
        "the restart is the newest, although an older one has a later second"
    )


def test_the_time_of_a_stamp_ahead_of_the_counter_is_unknown() -> None:
    """Nobody can tell when it was; a guess would be shown as a fact."""
    _, (event,) = merge((), reading_of([EventEntry(5000, 0x64)], 100, complete=True), WALL)
    assert event.at is None


def test_a_log_that_was_cleared_forgets_nothing_here() -> None:
    """After 0x02/01 the fault goes on and the BMS no longer tells which: the known events do."""
    known, _ = merge((), reading(100, BmsEvent(90, 0x03)), WALL)
    known, new = merge(known, reading(200), WALL)
    assert new == ()
    assert only_events(known) == [BmsEvent(90, 0x03)]


def test_older_events_that_become_known_later_go_to_their_place() -> None:
    """After a reading of the newest only, a complete one may show what came before: order decides what is open."""
    known, _ = merge((), EventLogReading(200, (BmsEvent(150, 0x79),), complete=False), WALL)
    known, _ = merge(known, reading(210, BmsEvent(140, 0x03), BmsEvent(150, 0x79)), WALL)
    assert only_events(known) == [BmsEvent(140, 0x03), BmsEvent(150, 0x79)]


def test_known_events_are_bounded_but_what_is_open_stays() -> None:
    """Years of events must not fill the memory; a fault that has lasted through all of them is still a fault."""
    known = known_of(BmsEvent(1, 0x03), *(BmsEvent(10 + number, 0x64) for number in range(2 * KEPT_EVENTS)))
    known, _ = merge(known, reading(5000), WALL)
    assert len(known) == KEPT_EVENTS + 1
    assert known[0].event == BmsEvent(1, 0x03)
    assert known[-1].event.lifetime_s == 9 + 2 * KEPT_EVENTS


STEP = st.tuples(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0x01, 0x7D)), max_size=20), st.integers(0, 40_000), st.booleans()
)
"""Events with their distances, the quiet time after them, and whether the reading shows slots or the newest first."""


@given(st.integers(0, 3 * SPAN_S), st.lists(STEP, max_size=12), st.integers(0, EVENT_SLOTS - 1))
def test_every_event_is_new_exactly_once(
    start_s: int, steps: list[tuple[list[tuple[int, int]], int, bool]], first_slot: int
) -> None:
    """Whatever the ring does, each event comes through once, in order, as long as none is overwritten unread."""
    ring, now_s = SimulatedEventRing(first_slot), start_s
    logged: list[BmsEvent] = []
    known: tuple[DatedEvent, ...] = ()
    told: list[BmsEvent] = []
    for events, quiet_s, by_slot in steps:
        for distance_s, number in events:
            now_s += distance_s
            ring.add(now_s, number)
            logged.append(BmsEvent(now_s, number))
        now_s += quiet_s
        slots: Sequence[EventEntry] = registers_to_entries(ring.words())
        if not by_slot:
            slots = newest_first([slot for slot in slots if slot.event_id], now_s)
        known, new = merge(known, reading_of(slots, now_s, complete=True), WALL)
        told += only_events(new)
    order: Callable[[BmsEvent], tuple[int, int]] = lambda event: (event.lifetime_s, event.event_id)  # noqa: E731
    assert sorted(told, key=order) == sorted(logged, key=order)
    assert [event.lifetime_s for event in told] == [event.lifetime_s for event in logged]


CHARGER_IDS = 0x62, 0x65
FULL_RING = tuple(BmsEvent(20_000 + second, CHARGER_IDS[second % 2]) for second in range(EVENT_SLOTS))


def test_a_full_ring_of_strangers_means_that_events_were_lost() -> None:
    """The bridge was away for long: what was open then may have ended unseen."""
    known = known_of(BmsEvent(1000, 0x31))
    merged, new = merge(known, reading(21_000, *FULL_RING), WALL, "53494D")
    assert only_events(merged) == list(FULL_RING)
    assert merged == new
    assert [dated.after_gap for dated in new] == [True] + [False] * 48
    assert {dated.serial_number for dated in new} == {"53494D"}


@pytest.mark.parametrize(
    "found",
    [
        EventLogReading(21_000, FULL_RING[1:], complete=True),
        EventLogReading(21_000, FULL_RING, complete=False),
        EventLogReading(21_000, (BmsEvent(1000, 0x31), *FULL_RING[1:]), complete=True),
    ],
)
def test_a_ring_that_may_reach_back_far_enough_keeps_what_is_known(found: EventLogReading) -> None:
    """A ring with room, a part of one, or one with a known event: nothing was lost, so the warning is still open."""
    merged, new = merge(known_of(BmsEvent(1000, 0x31)), found, WALL)
    assert only_events(merged)[0] == BmsEvent(1000, 0x31)
    assert not any(dated.after_gap for dated in new)


def test_the_first_ring_of_all_has_no_gap() -> None:
    """Nothing was known, so nothing was missed."""
    _, new = merge((), reading(21_000, *FULL_RING), WALL)
    assert not any(dated.after_gap for dated in new)


def test_what_is_known_counts_from_the_last_gap_on() -> None:
    """After a restart of the bridge too."""
    before, gap, after = known_of(BmsEvent(1, 0x31), BmsEvent(2, 0x64), BmsEvent(3, 0x62))
    gap = replace(gap, after_gap=True)
    assert since_last_gap(()) == ()
    assert since_last_gap((before, after)) == (before, after)
    assert since_last_gap((before, gap, before, gap, after)) == (gap, after)


def test_one_event_in_common_is_enough() -> None:
    """By number and stamp, as ``merge`` compares."""
    known = known_of(BmsEvent(1000, 0x31))
    assert shares_events(known, reading(2000, BmsEvent(1000, 0x31), BmsEvent(1500, 0x7A)))
    assert not shares_events(known, reading(2000, BmsEvent(1000, 0x7A), BmsEvent(1001, 0x31)))
    assert not shares_events((), reading(2000, BmsEvent(1000, 0x31)))
