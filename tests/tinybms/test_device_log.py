from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.bms_events import BmsEvent, DatedEvent
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, Identity, PackValues, Snapshot
from tinybms_bridge.errors import LinkError
from tinybms_bridge.tinybms.device_log import DeviceLog
from tinybms_bridge.tinybms.frames import CommandCode, EventEntry, EventsReply, Reply, Request, SimpleRequest
from tinybms_lab.bms.records import EVENT_SLOTS
from tinybms_lab.testing.fake_clock import FakeClock

DISCHARGE, DISCHARGE_OVER = 0x05, 0x77
CHARGE, CHARGE_OVER = 0x06, 0x76
DISCHARGED, TOO_COLD, CHARGER_FOUND, STARTED = 0x31, 0x37, 0x64, 0x61
FAULT, IDLE, UNKNOWN = BmsStatus.FAULT, BmsStatus.IDLE, BmsStatus.UNKNOWN


@dataclass
class Ring:
    """A BMS that has an event log and nothing else."""

    now_s: int = 1000
    newest: int = 3
    silent: bool = False
    events: list[tuple[int, int]] = field(default_factory=list)
    asked: list[CommandCode] = field(default_factory=list)
    on_request: Callable[[], object] = tuple
    """Called while a request is under way."""

    async def request(self, request: Request, *, attempts: int | None = None) -> Reply:
        """See ``Link.request``."""
        assert attempts == 1, "a slow read must not hold up the poll"
        assert isinstance(request, SimpleRequest)
        self.asked.append(request.command)
        self.on_request()
        if self.silent:
            raise LinkError("no answer")
        newest_only = request.command is CommandCode.EVENTS_NEWEST
        kept = self.events[-self.newest :] if newest_only else self.events[-EVENT_SLOTS:]
        return EventsReply(
            newest_only, self.now_s, tuple(EventEntry(stamp_s & 0xFFFFFF, number) for stamp_s, number in kept)
        )


class Desk:
    """A log over a ring, with the time of both in the hand of the test."""

    def __init__(self, known: Sequence[DatedEvent] = ()) -> None:
        self.ring = Ring()
        self.new: list[int] = []
        self.log = DeviceLog(self.ring, FakeClock(), known=known, on_events=self._note)
        self.snapshot: Snapshot | None = None

    def _note(self, events: tuple[DatedEvent, ...]) -> None:
        self.new += [dated.event.event_id for dated in events]

    def happens(self, *numbers: int, after_s: int = 10) -> None:
        """Let the BMS log events of one second."""
        self.ring.now_s += after_s
        self.ring.events += [(self.ring.now_s, number) for number in numbers]

    def sees(self, status: BmsStatus, after_s: int = 10) -> tuple[int, ...]:
        """Take a sample; returns the open events."""
        self.ring.now_s += after_s
        pack = PackValues(53.0, 0.0, 50.0, status=status, lifetime_s=self.ring.now_s)
        self.snapshot = self.log.observe(Snapshot(1, 0.0, pack, Cells((3.3,) * 16)))
        return self.snapshot.open_events

    @property
    def cause_unread(self) -> bool:
        """What the last sample says."""
        assert self.snapshot is not None
        return self.snapshot.cause_unread


@pytest.fixture
def desk() -> Desk:
    """A log that knows nothing."""
    return Desk()


async def test_a_fault_is_open_while_the_bms_reports_one(desk: Desk) -> None:
    """From its event to its counterpart."""
    desk.happens(DISCHARGE)
    await desk.log.read_events()
    assert desk.sees(FAULT) == (DISCHARGE,)
    desk.happens(DISCHARGE_OVER)
    await desk.log.read_newest()
    assert desk.sees(FAULT) == ()


async def test_one_fault_ends_and_another_begins_between_two_reads(desk: Desk) -> None:
    """The old one is not taken for the cause of the new: charging into a charge over-current would go on."""
    desk.happens(DISCHARGE)
    desk.sees(FAULT)
    await desk.log.read_newest()
    assert desk.sees(FAULT) == (DISCHARGE,)
    desk.happens(DISCHARGE_OVER)
    assert desk.sees(IDLE) == ()
    desk.happens(CHARGE)
    assert desk.sees(FAULT) == ()
    assert desk.cause_unread
    await desk.log.read_newest()
    assert desk.sees(FAULT) == (CHARGE,)
    assert not desk.cause_unread


async def test_an_old_fault_whose_end_was_lost_does_not_return(desk: Desk) -> None:
    """Its end left the ring unread: the next fault must not bring it back, not even after a read."""
    desk.happens(DISCHARGE)
    await desk.log.read_events()
    desk.sees(IDLE)
    desk.happens(CHARGE)
    await desk.log.read_events()
    assert desk.sees(FAULT) == (CHARGE,)


async def test_an_old_fault_that_is_read_late_does_not_return(desk: Desk) -> None:
    """Nor one that was not known yet when the BMS reported no fault."""
    desk.happens(DISCHARGE)
    desk.sees(IDLE)
    desk.happens(CHARGE)
    await desk.log.read_events()
    assert desk.sees(FAULT) == (CHARGE,)


async def test_the_same_fault_may_come_again(desk: Desk) -> None:
    """Its first beginning is over; its second is not."""
    desk.happens(DISCHARGE)
    await desk.log.read_events()
    desk.sees(IDLE)
    desk.happens(DISCHARGE)
    await desk.log.read_newest()
    assert desk.sees(FAULT) == (DISCHARGE,)


async def test_a_fault_whose_event_was_read_before_the_status_counts(desk: Desk) -> None:
    """The event may be there a moment before the status."""
    desk.happens(CHARGE)
    await desk.log.read_newest()
    assert desk.sees(IDLE, after_s=1) == ()
    assert desk.sees(FAULT, after_s=0) == (CHARGE,)


def test_a_fault_at_the_start_is_of_unread_cause(desk: Desk) -> None:
    """Nothing was read yet, or only in an earlier run."""
    assert desk.sees(FAULT) == ()
    assert desk.cause_unread
    assert desk.log.unread


async def test_a_read_that_fails_leaves_the_cause_unread(desk: Desk) -> None:
    """Noise on the line is no news about the fault."""
    desk.sees(FAULT)
    desk.ring.silent = True
    with pytest.raises(LinkError):
        await desk.log.read_newest()
    desk.sees(FAULT)
    assert desk.cause_unread


async def test_a_fault_that_begins_during_a_read_is_unread(desk: Desk) -> None:
    """The reply may have been made before it."""
    desk.ring.on_request = lambda: desk.sees(FAULT)
    await desk.log.read_newest()
    assert desk.log.unread


async def test_the_end_of_a_fault_wants_a_read_but_no_cause(desk: Desk) -> None:
    """The list should tell the end soon; nothing is stopped for it."""
    desk.sees(FAULT)
    await desk.log.read_newest()
    desk.sees(IDLE)
    assert desk.log.unread
    assert not desk.cause_unread
    await desk.log.read_newest()
    assert not desk.log.unread


async def test_a_fault_after_a_silence_may_be_another(desk: Desk) -> None:
    """Nobody saw what was between."""
    desk.happens(DISCHARGE)
    desk.sees(FAULT)
    await desk.log.read_newest()
    desk.log.lose_sight()
    desk.sees(FAULT)
    assert desk.cause_unread


async def test_a_status_that_nobody_knows_ends_nothing(desk: Desk) -> None:
    """An undocumented value of register 50 is no proof that the fault is over."""
    desk.happens(DISCHARGE)
    await desk.log.read_events()
    assert desk.sees(UNKNOWN) == (DISCHARGE,)
    assert desk.sees(FAULT) == (DISCHARGE,)


async def test_a_warning_outlasts_a_status_without_fault(desk: Desk) -> None:
    """Whether it shows as 0x9B is not documented."""
    desk.happens(DISCHARGED)
    await desk.log.read_newest()
    assert desk.sees(IDLE) == (DISCHARGED,)
    assert desk.sees(FAULT) == (DISCHARGED,)


async def test_news_is_told_once(desk: Desk) -> None:
    """However often and by whichever command the log is read."""
    desk.happens(CHARGER_FOUND, DISCHARGED)
    await desk.log.read_events()
    desk.happens(DISCHARGE)
    await desk.log.read_newest()
    await desk.log.read_events()
    assert desk.new == [CHARGER_FOUND, DISCHARGED, DISCHARGE]
    assert [dated.event.event_id for dated in desk.log.events] == desk.new


async def test_the_newest_are_asked_for_with_their_own_short_command(desk: Desk) -> None:
    """25 bytes rather than 209, every few seconds; the whole log only when some may have been missed."""
    desk.happens(STARTED)
    await desk.log.read_events()
    desk.happens(CHARGER_FOUND)
    await desk.log.read_newest()
    assert desk.ring.asked == [CommandCode.EVENTS_ALL, CommandCode.EVENTS_NEWEST]
    desk.happens(DISCHARGED, CHARGER_FOUND, CHARGER_FOUND, CHARGER_FOUND)
    await desk.log.read_newest()
    assert desk.ring.asked[2:] == [CommandCode.EVENTS_NEWEST, CommandCode.EVENTS_ALL]
    assert desk.sees(IDLE) == (DISCHARGED,)


@given(st.lists(st.sampled_from([DISCHARGE, DISCHARGE_OVER, CHARGE, CHARGE_OVER, IDLE, FAULT, "read"]), max_size=30))
async def test_no_history_names_a_fault_from_before_the_last_good_status(story: list[object]) -> None:
    """Events, statuses and reads in any order: what is open while a fault lasts began after the last other status."""
    desk, sound_s = Desk(), 0
    for step in story:
        if isinstance(step, int):
            desk.happens(step)
        elif step == "read":
            await desk.log.read_newest()
        elif step is IDLE:
            assert desk.sees(IDLE) == ()
            sound_s = desk.ring.now_s
        else:
            since = {number for stamp_s, number in desk.ring.events if stamp_s > sound_s - 2}
            assert set(desk.sees(FAULT)) <= since


def test_another_unit_has_other_events() -> None:
    """The battery was changed: what the old BMS had open says nothing about the new."""
    desk = Desk([DatedEvent(BmsEvent(500, DISCHARGED), None)])
    desk.log.identify(Identity(serial_number="A"))
    assert desk.sees(IDLE) == (DISCHARGED,)
    desk.log.identify(Identity())
    assert desk.sees(IDLE) == (DISCHARGED,)
    desk.log.identify(Identity(serial_number="B"))
    assert desk.sees(IDLE) == ()


def test_a_unit_that_was_changed_while_the_bridge_was_off() -> None:
    """The list on disk names the unit of each event."""
    known = [DatedEvent(BmsEvent(9000, TOO_COLD), None, "A"), DatedEvent(BmsEvent(500, DISCHARGED), None, "B")]
    desk = Desk(known)
    assert set(desk.sees(IDLE)) == {TOO_COLD, DISCHARGED}
    desk.log.identify(Identity(serial_number="B"))
    assert desk.sees(IDLE) == (DISCHARGED,)
    assert desk.log.unread


async def test_events_carry_the_unit(desk: Desk) -> None:
    """So that the next start can tell them apart."""
    desk.log.identify(Identity(serial_number="A"))
    desk.happens(CHARGER_FOUND)
    await desk.log.read_events()
    assert [dated.serial_number for dated in desk.log.events] == ["A"]


async def test_a_fault_of_another_unit_is_of_unread_cause(desk: Desk) -> None:
    """The samples went on with a fault, but it is not the one whose cause was read."""
    desk.log.identify(Identity(serial_number="A"))
    desk.sees(FAULT)
    await desk.log.read_events()
    desk.log.identify(Identity(serial_number="B"))
    desk.sees(FAULT)
    assert desk.cause_unread


async def test_what_was_open_before_a_gap_does_not_stay_open() -> None:
    """The bridge was off while the ring went round: the warning's end is lost, and a limit would stay 0 for ever."""
    desk = Desk([DatedEvent(BmsEvent(500, DISCHARGED), None)])
    for _ in range(EVENT_SLOTS):
        desk.happens(CHARGER_FOUND)
    assert desk.sees(IDLE) == (DISCHARGED,)
    await desk.log.read_newest()
    assert desk.ring.asked == [CommandCode.EVENTS_NEWEST, CommandCode.EVENTS_ALL]
    assert desk.sees(IDLE) == ()
    again = Desk([DatedEvent(BmsEvent(500, DISCHARGED), None), *desk.log.events])
    assert again.sees(IDLE) == ()


async def test_a_log_that_was_erased_leaves_open_what_was(desk: Desk) -> None:
    """0x02 01 erases the log and not the fault."""
    desk.happens(DISCHARGED)
    await desk.log.read_events()
    desk.ring.events.clear()
    await desk.log.read_newest()
    await desk.log.read_events()
    assert desk.sees(IDLE) == (DISCHARGED,)
