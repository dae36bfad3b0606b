"""CAN in memory: several ports on one bus, with frames that can be lost, for tests and for the demonstration."""

import asyncio
from collections import deque
from collections.abc import Callable

from tinybms_bridge.hal.can import CanFrame, CanStatistics, Subscribers

__all__ = ["MemoryCanBus", "MemoryCanPort"]

_REMEMBERED_FRAMES = 10_000


class MemoryCanBus:
    """A bus that carries each frame to every port but the sender's."""

    def __init__(self, *, lose: Callable[[CanFrame], bool] | None = None) -> None:
        self.down = False
        """True while the cable is pulled: every port's ``send`` fails."""
        self.frames: deque[CanFrame] = deque(maxlen=_REMEMBERED_FRAMES)
        """What was sent, oldest first."""
        self._lose = lose
        self._ports: list[MemoryCanPort] = []

    def open(self) -> "MemoryCanPort":
        """Return a further port of this bus."""
        port = MemoryCanPort(self)
        self._ports.append(port)
        return port

    def carry(self, frame: CanFrame, sender: "MemoryCanPort") -> bool:
        """Take a frame to the other ports; False when the bus is down. A lost frame counts as sent."""
        if self.down or sender not in self._ports:
            return False
        self.frames.append(frame)
        if not (self._lose and self._lose(frame)):
            loop = asyncio.get_running_loop()
            for port in self._ports:
                if port is not sender:
                    loop.call_soon(port.receive, frame)
        return True

    def detach(self, port: "MemoryCanPort") -> None:
        """Remove a port; frames still on their way to it are dropped."""
        if port in self._ports:
            self._ports.remove(port)


class MemoryCanPort:
    """One port of a ``MemoryCanBus``; a ``CanPort``."""

    def __init__(self, bus: MemoryCanBus) -> None:
        self.statistics = CanStatistics()
        self._bus = bus
        self._subscribers = Subscribers()
        self._open = True
        self.reopened: list[str] = []
        """Reasons for which the adapter should have been opened anew."""

    def send(self, frame: CanFrame) -> bool:
        """See ``CanPort.send``."""
        if self._bus.carry(frame, self):
            self.statistics.tx_count += 1
            return True
        self.statistics.tx_errors += 1
        return False

    def subscribe(self, on_frame: Callable[[CanFrame], None]) -> Callable[[], None]:
        """See ``CanPort.subscribe``."""
        return self._subscribers.add(on_frame)

    def reopen(self, reason: str) -> None:
        """See ``CanPort.reopen``: nothing in memory hangs, so it is only noted."""
        self.reopened.append(reason)

    def receive(self, frame: CanFrame) -> None:
        """Hand a frame to the subscribers; called by the bus."""
        if self._open:
            self.statistics.rx_count += 1
            self._subscribers.deliver(frame)

    async def close(self) -> None:
        """See ``CanPort.close``."""
        self._open = False
        self.statistics.up = False
        self._bus.detach(self)
