"""What the BMS itself remembers, as the bridge keeps it: its events without repetition, and its statistics."""

from collections.abc import Callable, Sequence

from tinybms_bridge.battery.bms_event_kinds import BMS_STARTED
from tinybms_bridge.battery.bms_events import BmsEvent, DatedEvent, open_events
from tinybms_bridge.battery.fault_ends import FaultEnds
from tinybms_bridge.battery.quick import replace
from tinybms_bridge.battery.snapshot import BmsStatus, Identity, Snapshot
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics, read_statistics
from tinybms_bridge.tinybms.eventlog import (
    EventLogReading,
    Requester,
    merge,
    read_events,
    shares_events,
    since_last_gap,
)

__all__ = ["DeviceLog"]


class DeviceLog:
    """Reads events and statistics when asked, and knows which faults are open.

    Args:
        link: the client.
        clock: source of wall time.
        known: events that an earlier run recorded.
        on_events: called with the events that are new.

    """

    def __init__(
        self,
        link: Requester,
        clock: Clock,
        *,
        known: Sequence[DatedEvent] = (),
        on_events: Callable[[tuple[DatedEvent, ...]], None],
    ) -> None:
        self.statistics: DeviceStatistics | None = None
        """Statistics of the BMS, once read."""
        self._link = link
        self._clock = clock
        self._known: tuple[DatedEvent, ...] = ()
        self._lasting: tuple[BmsEvent, ...] = ()
        self._open: tuple[tuple[FaultEnds, BmsStatus] | None, tuple[int, ...]] = None, ()
        self._remember(since_last_gap(known))
        self._on_events = on_events
        self._serial_number = ""
        self._status = BmsStatus.UNKNOWN
        self._ends = FaultEnds()
        self._edges = 0
        self._edges_read = 0

    @property
    def events(self) -> tuple[DatedEvent, ...]:
        """The events that are remembered, oldest first."""
        return self._known

    @property
    def unread(self) -> bool:
        """Whether a fault has begun or ended since the events were last read."""
        return self._edges != self._edges_read

    def observe(self, snapshot: Snapshot) -> Snapshot:
        """Take note of a sample, and return it with the faults and warnings that have not ended."""
        status = snapshot.pack.status
        if (status is BmsStatus.FAULT) is not (self._status is BmsStatus.FAULT):
            self._edges += 1
        self._status = status
        self._ends = self._ends.seen(snapshot)
        open_events, cause_unread = self._open_event_ids(), status is BmsStatus.FAULT and self.unread
        if (open_events, cause_unread) == (snapshot.open_events, snapshot.cause_unread):
            return snapshot
        return replace(snapshot, open_events=open_events, cause_unread=cause_unread)

    def lose_sight(self) -> None:
        """Take note that the BMS does not answer: a fault that it shows afterwards may be another one."""
        self._status = BmsStatus.UNKNOWN

    def identify(self, identity: Identity) -> None:
        """Forget the events of other units; those of an unknown one are taken for its own until the unit changes."""
        serial_number = identity.serial_number
        if not serial_number or serial_number == self._serial_number:
            return
        own = {serial_number, ""}
        if self._serial_number:
            own.remove("")
            self._ends = FaultEnds()
        self._remember(tuple(dated for dated in self._known if dated.serial_number in own))
        self._serial_number = serial_number
        self._edges += 1

    async def read_events(self) -> bool:
        """Read the whole log and hand on what is new. Raises LinkError or DeviceRefused."""
        edges = self._edges
        self._take(await read_events(self._link, attempts=1), edges)
        return True

    async def read_newest(self) -> bool:
        """Read the newest events, and the whole log when none of them is known. Raises LinkError or DeviceRefused."""
        edges = self._edges
        reading = await read_events(self._link, newest_only=True, attempts=1)
        if reading.events and not shares_events(self._known, reading):
            return await self.read_events()
        self._take(reading, edges)
        return True

    async def read_statistics(self) -> bool:
        """Read the statistics. Raises LinkError or DeviceRefused."""
        self.statistics = await read_statistics(self._link, attempts=1)
        return True

    def _remember(self, known: tuple[DatedEvent, ...]) -> None:
        """Keep the events, and apart from them those that matter for what is open: in most logs none."""
        self._known = known
        begun = open_events(dated.event for dated in known)
        matter = {number for event in begun for number in (BMS_STARTED, event.event_id, *event.kind.ended_by)}
        self._lasting = tuple(dated.event for dated in known if dated.event.event_id in matter)
        self._open = None, ()

    def _open_event_ids(self) -> tuple[int, ...]:
        """Return what is open; worked out anew only when something about it has changed, as samples come often."""
        key = self._ends, self._status
        if self._lasting and key != self._open[0]:
            faulted = None if self._status is BmsStatus.UNKNOWN else self._status is BmsStatus.FAULT
            events = (event for event in self._lasting if not self._ends.covers(event))
            self._open = key, tuple(event.event_id for event in open_events(events, faulted=faulted))
        return self._open[1]

    def _take(self, reading: EventLogReading, edges: int) -> None:
        """Hand on what is new in a reading; ``edges`` counts the faults begun and ended before it was asked for."""
        known, new = merge(self._known, reading, self._clock.wall(), self._serial_number)
        self._remember(known)
        self._edges_read = edges
        if new:
            self._on_events(new)
