"""What the BMS itself remembers, as the bridge keeps it: its events without repetition, and its statistics."""

from collections.abc import Callable, Sequence

from tinybms_bridge.battery.bms_events import DatedEvent, open_events
from tinybms_bridge.battery.snapshot import BmsStatus, Identity
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

    @property
    def events(self) -> tuple[DatedEvent, ...]:
        """The events that are remembered, oldest first."""
        return self._known

    def open_event_ids(self, status: BmsStatus) -> tuple[int, ...]:
        """Return the faults and warnings that have not ended; a status without fault ends faults whose end was lost."""
        faulted = None if status is BmsStatus.UNKNOWN else status is BmsStatus.FAULT
        return tuple(event.event_id for event in open_events((d.event for d in self._known), faulted=faulted))

    def identify(self, identity: Identity) -> None:
        """Forget the events of another unit when the serial number changes."""
        if identity.serial_number and identity.serial_number != self._serial_number:
            if self._serial_number:
                self._known = ()
            self._serial_number = identity.serial_number

    async def read_events(self) -> bool:
        """Read the log and hand on what is new. Raises LinkError or DeviceRefused."""
        reading = await read_events(self._link, attempts=1)
        self._known, new = merge(self._known, reading, self._clock.wall())
        if new:
            self._on_events(new)
        return True

    async def read_statistics(self) -> bool:
        """Read the statistics. Raises LinkError or DeviceRefused."""
        self.statistics = await read_statistics(self._link, attempts=1)
        return True
