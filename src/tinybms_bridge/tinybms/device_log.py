"""What the BMS itself remembers, as the bridge keeps it: its events without repetition, and its statistics."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from tinybms_bridge.battery.bms_events import DatedEvent, open_events
from tinybms_bridge.battery.fault_ends import FaultEnds
from tinybms_bridge.battery.snapshot import BmsStatus, Identity, Snapshot
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics, read_statistics
from tinybms_bridge.tinybms.eventlog import Link, merge, read_events

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
        link: Link,
        clock: Clock,
        *,
        known: Sequence[DatedEvent] = (),
        on_events: Callable[[tuple[DatedEvent, ...]], None],
    ) -> None:
        self.statistics: DeviceStatistics | None = None
        """Statistics of the BMS, once read."""
        self._link = link
        self._clock = clock
        self._known = tuple(known)
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
        return replace(
            snapshot,
            open_events=self._open_event_ids(),
            cause_unread=status is BmsStatus.FAULT and self.unread,
        )

    def lose_sight(self) -> None:
        """Take note that the BMS does not answer: a fault that it shows afterwards may be another one."""
        self._status = BmsStatus.UNKNOWN

    def identify(self, identity: Identity) -> None:
        """Forget the events of another unit when the serial number changes."""
        if identity.serial_number and identity.serial_number != self._serial_number:
            if self._serial_number:
                self._known = ()
            self._serial_number = identity.serial_number

    async def read_events(self) -> bool:
        """Read the whole log and hand on what is new. Raises LinkError or DeviceRefused."""
        await self._read(newest_only=False)
        return True

    async def read_newest(self) -> bool:
        """Read the newest events, and the whole log when none of them is known. Raises LinkError or DeviceRefused."""
        if not await self._read(newest_only=True):
            await self._read(newest_only=False)
        return True

    async def read_statistics(self) -> bool:
        """Read the statistics. Raises LinkError or DeviceRefused."""
        self.statistics = await read_statistics(self._link, attempts=1)
        return True

    def _open_event_ids(self) -> tuple[int, ...]:
        faulted = None if self._status is BmsStatus.UNKNOWN else self._status is BmsStatus.FAULT
        events = (dated.event for dated in self._known)
        lasting = (event for event in events if not self._ends.covers(event))
        return tuple(event.event_id for event in open_events(lasting, faulted=faulted))

    async def _read(self, *, newest_only: bool) -> bool:
        """Read and hand on; False when events between the known ones and these may be missing."""
        edges = self._edges
        reading = await read_events(self._link, newest_only=newest_only, attempts=1)
        self._known, new = merge(self._known, reading, self._clock.wall())
        self._edges_read = edges
        if new:
            self._on_events(new)
        return reading.complete or not new or len(new) < len(reading.events)
