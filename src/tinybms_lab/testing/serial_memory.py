"""A serial line in memory to a simulated BMS, for tests on a fake clock."""

import asyncio

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_lab.bms import BmsOptions, Responder, SimulatedBms

__all__ = ["MemoryLine"]


class MemoryLine:
    """A line whose BMS answers at once; it may be pulled, and be silent."""

    def __init__(self, clock: Clock, *, present: bool = True) -> None:
        options = BmsOptions(asleep_allowed=False)
        self.bms = SimulatedBms.build(clock, cells=16, soc=0.5, capacity_ah=100.0, options=options)
        self.present = present
        """Whether there is an adapter."""
        self.opened = 0
        self.closed = 0
        self._responder = Responder(self.bms, clock)
        self._on_data: OnData | None = None

    async def open(self, on_data: OnData, _on_lost: OnLost) -> SerialPort:
        """Stand in for the opener of serial ports. Raises LinkError without an adapter."""
        if not self.present:
            raise LinkError("no port")
        self.opened += 1
        self._on_data = on_data
        return self

    def write(self, data: bytes) -> None:
        """Answer as the BMS does."""
        for reply in self._responder.feed(data):
            asyncio.get_running_loop().call_soon(self._deliver, reply.data)

    def expect(self, count: int) -> None:
        """See ``SerialPort.expect``."""

    async def close(self) -> None:
        """Release the port."""
        self.closed += 1
        self._on_data = None

    def _deliver(self, data: bytes) -> None:
        if self._on_data is not None:
            self._on_data(data)
