"""The device's end of a serial line without I/O: bytes in, bytes out when they are due, faults in between."""

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.simulator.broadcast import Broadcaster
from tinybms_bridge.tinybms.simulator.faults import FaultInjector
from tinybms_bridge.tinybms.simulator.habits import Habits
from tinybms_bridge.tinybms.simulator.interface import Device
from tinybms_bridge.tinybms.simulator.responder import LATENCY_S, Responder
from tinybms_bridge.tinybms.simulator.wire import Wire

__all__ = ["BAUDRATE", "Line"]

BAUDRATE = 115200
"""Speed of a TinyBMS, fixed by the vendor (protocol Rev D, section 1)."""


class Line:
    """Puts together what a device answers, what it says unasked, how long that takes and what goes wrong.

    Args:
        device: what is served.
        clock: source of time; must be the device's own.
        baudrate: speed of the line.
        latency_s: time that the device takes to answer.
        chunk: bytes are delivered in groups of this many: None for as they come, 1 singly, 64 like a USB adapter.
        habits: how the device speaks.
        faults: what goes wrong; its plan may be replaced at any time.

    Raises:
        ValueError: a baudrate or chunk that is not above 0.

    """

    def __init__(
        self,
        device: Device,
        clock: Clock,
        *,
        baudrate: int = BAUDRATE,
        latency_s: float = LATENCY_S,
        chunk: int | None = None,
        habits: Habits | None = None,
        faults: FaultInjector | None = None,
    ) -> None:
        self.responder = Responder(device, clock, latency_s=latency_s, habits=habits)
        """Counts the requests."""
        self.faults = faults or FaultInjector()
        """What goes wrong."""
        self.wire = Wire(baudrate, chunk)
        """When each byte is complete."""
        self._device = device
        self._clock = clock
        self._broadcaster = Broadcaster(device, clock)

    @property
    def next_s(self) -> float | None:
        """Time at which ``due`` is worth calling, or None when nothing is under way."""
        return self.wire.next_s

    def receive(self, data: bytes) -> None:
        """Take bytes that the host hands over now."""
        arrived_s = self.wire.received(self._clock.monotonic(), len(data))
        for reply in self.responder.feed(self.faults.request(data)):
            mangled = self.faults.reply(reply.data)
            self.wire.send(arrived_s + reply.delay_s + mangled.delay_s, mangled.data)
            if mangled.reboot:
                self._device.crash()
                self.responder.reset()

    def tick(self) -> None:
        """Let the device say what it says unasked; to be called at least every 0.1 s."""
        self._device.refresh()
        self.wire.send(self._clock.monotonic(), self._broadcaster.poll())

    def due(self) -> list[bytes]:
        """Return the pieces to hand to the host now."""
        return self.wire.due(self._clock.monotonic())

    def mistuned(self) -> None:
        """Forget half a request: what follows was sent at another speed."""
        self.responder.reset()

    def clear(self) -> None:
        """Drop what has not been delivered."""
        self.wire.clear()
