"""CAN: one small port in front of every adapter: SocketCAN on the event loop, the others through python-can."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from tinybms_bridge.hal.blocking import in_thread, or_discard
from tinybms_bridge.words import Message

if TYPE_CHECKING:
    from tinybms_bridge.hal.can_adapter import AdapterPort

__all__ = ["LOCAL", "CanFrame", "CanPort", "CanSettings", "CanStatistics", "Subscribers", "open_can"]

LOCAL = " (this machine)"
"""End of the origin of a frame that a program of this machine sent; only SocketCAN tells."""


@dataclass(frozen=True, slots=True)
class CanFrame:
    """A classic CAN data frame with an 11-bit identifier."""

    arbitration_id: int
    data: bytes
    origin: str = field(default="", compare=False)
    """Who sent a received frame, where the adapter tells senders apart; says nothing else."""

    def __str__(self) -> str:
        return f"{self.arbitration_id:03X}#{self.data.hex().upper()}"


@dataclass(slots=True)
class CanStatistics:
    """Counters of one port, from its opening."""

    tx_count: int = 0
    tx_errors: int = 0
    """Frames that were not sent, for whatever reason."""
    rx_count: int = 0
    rx_errors: int = 0
    """Error frames of the bus, and frames dropped because the event loop was late."""
    bus_off_count: int = 0
    """Times that the controller went bus-off, where the adapter reports it."""
    outages: int = 0
    """Times that the adapter was lost."""
    up: bool = True
    """Whether the adapter is open now."""
    trouble: Message | None = None
    """What keeps frames from being sent or received, with what to do; None once one was."""


@dataclass(frozen=True, slots=True)
class CanSettings:
    """Which adapter to open."""

    interface: str = "udp_multicast"
    """A name that python-can knows; the default needs no hardware and stays on this machine."""
    channel: str = ""
    """For example ``can0`` or ``/dev/ttyACM0``; empty: the adapter's default."""
    bitrate_bps: int = 500_000
    """Where the adapter sets it; socketcan takes it from ``ip link``."""
    extra: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Further options of the adapter, as python-can names them."""
    accept_ids: tuple[int, ...] = ()
    """Identifiers to receive; empty: all."""

    def __str__(self) -> str:
        return f"{self.interface}:{self.channel}" if self.channel else self.interface


class Subscribers:
    """Who gets the frames that a port receives; used on the event loop."""

    def __init__(self) -> None:
        self._calls: list[Callable[[CanFrame], None]] = []

    def add(self, on_frame: Callable[[CanFrame], None]) -> Callable[[], None]:
        """See ``CanPort.subscribe``."""
        self._calls.append(on_frame)

        def end() -> None:
            if on_frame in self._calls:
                self._calls.remove(on_frame)

        return end

    def deliver(self, frame: CanFrame) -> None:
        """Hand a frame to every subscriber; one that fails costs the others nothing."""
        for on_frame in tuple(self._calls):
            try:
                on_frame(frame)
            except Exception as error:  # noqa: BLE001 - one subscriber must not cost the others their frame
                context = {"message": "a CAN subscriber failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)

    def clear(self) -> None:
        """End every subscription."""
        self._calls.clear()


class CanPort(Protocol):
    """An open CAN interface."""

    statistics: CanStatistics

    def send(self, frame: CanFrame) -> bool:
        """Send or queue a frame and return at once; False when that is not possible (counted, frame dropped)."""
        ...

    def subscribe(self, on_frame: Callable[[CanFrame], None]) -> Callable[[], None]:
        """Call ``on_frame`` on the event loop for each received frame; the result ends the subscription."""
        ...

    def reopen(self, reason: str) -> None:
        """Ask for the adapter to be reopened, which may cost the frames of a moment; returns at once."""
        ...

    async def close(self) -> None:
        """Release the adapter."""
        ...


async def open_can(settings: CanSettings) -> CanPort:
    """Open an adapter off the event loop and return its port, which reopens it by itself whenever it is lost.

    Raises LinkError with a hint when the adapter cannot be opened now.
    """
    if settings.interface == "socketcan":
        from tinybms_bridge.hal.socketcan import open_socketcan

        return await open_socketcan(settings)
    opening = in_thread(_open_adapter, settings, asyncio.get_running_loop())
    return await or_discard(opening, lambda port: port.stop())


def _open_adapter(settings: CanSettings, loop: asyncio.AbstractEventLoop) -> "AdapterPort":
    from tinybms_bridge.hal.can_adapter import AdapterPort  # imports python-can: 8 MB and some 0.1 s

    return AdapterPort(settings, loop)
