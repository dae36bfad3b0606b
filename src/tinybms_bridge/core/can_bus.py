"""The CAN interface under the port: read at a slow pace from the kernel, and what is wrong with it once confirmed."""

import asyncio
from collections.abc import Callable

from tinybms_bridge.hal.blocking import RunBlocking
from tinybms_bridge.hal.can import CanSettings, CanStatistics
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.can_faults import CanFault, judge_device
from tinybms_bridge.hal.clock import Clock

__all__ = ["CanBusWatch", "ReadCanDevice"]

ReadCanDevice = Callable[[str], CanDevice | None]
"""Returns an interface of the kernel by its name, or None. Blocks; raises nothing."""

_PACE_S = 10.0
"""Between two readings: state and counters are for people, and what stops frames shows at the port at once."""
_SOON_S = 2.0
"""After which a reading is confirmed, and the least time to the next after errors at the port."""


class CanBusWatch:
    """Reads the interface that the port uses, in a thread, and keeps what two readings in a row agree on.

    Bus-off is also taken from the port: a controller that the kernel restarts is off only for moments. Adapters beside
    SocketCAN have no interface of the kernel, so only that is known of them.
    """

    def __init__(self, clock: Clock, read: ReadCanDevice, run_blocking: RunBlocking) -> None:
        self._clock = clock
        self._read = read
        self._run_blocking = run_blocking
        self.device: CanDevice | None = None
        """The interface as last read; None where there is none."""
        self.faults: frozenset[CanFault] = frozenset()
        """What is wrong, by two readings in a row."""
        self._last: frozenset[CanFault] = frozenset()
        self._settings: CanSettings | None = None
        self._bus_offs: tuple[int, int] | None = None
        self._noticed: tuple[int, int, bool] = 0, 0, False
        self._due_s = float("-inf")
        self._earliest_s = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    def look(self, settings: CanSettings, port: CanStatistics) -> None:
        """Begin a reading when one is due, or soon after something went wrong at the port; returns at once."""
        if settings != self._settings:
            self._begin_anew(settings)
        if self._reading is not None and not self._reading.done():
            return
        now_s = self._clock.monotonic()
        noticed = port.bus_off_count, port.outages, port.up
        if noticed != self._noticed:
            self._noticed, self._due_s = noticed, min(self._due_s, self._earliest_s)
        if now_s >= self._due_s:
            self._due_s, self._earliest_s = now_s + _PACE_S, now_s + _SOON_S
            self._reading = asyncio.get_running_loop().create_task(self._take(settings, port), name="can-interface")

    async def close(self) -> None:
        """End a reading under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _begin_anew(self, settings: CanSettings) -> None:
        self._settings, self.device, self._bus_offs = settings, None, None
        self.faults = self._last = frozenset()
        self._due_s = self._earliest_s = float("-inf")

    async def _take(self, settings: CanSettings, port: CanStatistics) -> None:
        device = None
        if settings.interface == "socketcan":
            try:
                device = await self._run_blocking(self._read, settings.channel)
            except RuntimeError:  # no thread could be started; what is known stays
                return
        if settings != self._settings:  # the answer is of another interface
            return
        self.device = device
        found = set() if device is None else {each.fault for each in judge_device(device, settings.bitrate_bps)}
        if self._went_off(device, port):
            found.add(CanFault.BUS_OFF)
        seen = frozenset(found)
        self.faults = (self.faults | (seen & self._last)) & (seen | self._last)
        if seen != self._last:
            self._due_s = self._earliest_s
        self._last = seen

    def _went_off(self, device: CanDevice | None, port: CanStatistics) -> bool:
        """Return whether the controller went bus-off since the last reading."""
        before = self._bus_offs
        self._bus_offs = port.bus_off_count, 0 if device is None else device.counters.bus_offs
        return before is not None and any(now > then for now, then in zip(self._bus_offs, before, strict=True))
