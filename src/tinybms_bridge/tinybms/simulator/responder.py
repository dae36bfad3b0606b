"""The protocol side of the simulated BMS, without I/O: request bytes in, packets to send out."""

from dataclasses import dataclass

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.frames import BadRequest, Nack, RegisterPairs, Registers, Reply, Request, RequestFramer
from tinybms_bridge.tinybms.simulator.answers import answer
from tinybms_bridge.tinybms.simulator.habits import Habits, PacketId
from tinybms_bridge.tinybms.simulator.interface import Device

__all__ = ["LATENCY_S", "PARTIAL_TIMEOUT_S", "Outgoing", "Responder"]

LATENCY_S = 0.001
"""Time of a real unit between the end of a request and the start of its reply (protocol reference, 1.6)."""

PARTIAL_TIMEOUT_S = 3.0
"""A request that stops half way is forgotten after this long (UART time-out of firmware 2.3.222)."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One reply."""

    delay_s: float
    """Time from the end of the request to the first byte."""
    packets: tuple[bytes, ...]
    """Frames to send one after the other without a gap."""

    @property
    def data(self) -> bytes:
        """The bytes of all packets."""
        return b"".join(self.packets)


class Responder:
    """Answers the bytes of a host for a device.

    Args:
        device: what is asked.
        clock: source of time.
        latency_s: time that the device takes to answer.
        habits: how the device speaks.

    """

    def __init__(
        self, device: Device, clock: Clock, *, latency_s: float = LATENCY_S, habits: Habits | None = None
    ) -> None:
        self.requests = 0
        """Frames received, bad ones and those lost on a sleeping device included."""
        self.refused = 0
        """Frames answered with NACK."""
        self.lost = 0
        """Frames lost because the device slept, restarted or was busy."""
        self._device = device
        self._clock = clock
        self._latency_s = latency_s
        self._habits = habits or Habits()
        self._framer = RequestFramer()
        self._fed_s = clock.monotonic()

    def feed(self, data: bytes) -> list[Outgoing]:
        """Take received bytes and return the replies to the requests that they complete, in order."""
        now_s = self._clock.monotonic()
        if now_s - self._fed_s >= PARTIAL_TIMEOUT_S:
            self._framer.reset()
        self._fed_s = now_s
        replies = [self._reply(request) for request in self._framer.feed(data)]
        return [reply for reply in replies if reply is not None]

    def reset(self) -> None:
        """Forget a partial request."""
        self._framer.reset()

    def _reply(self, request: Request | BadRequest) -> Outgoing | None:
        self.requests += 1
        if not self._device.hear():
            self.lost += 1
            return None
        if isinstance(request, BadRequest):
            reply: Reply = Nack(request.command, request.code)
        else:
            reply = answer(self._device, request, self._habits)
        self.refused += isinstance(reply, Nack)
        return Outgoing(self._latency_s, self._encode(reply))

    def _encode(self, reply: Reply) -> tuple[bytes, ...]:
        if isinstance(reply, Registers | RegisterPairs):
            return reply.encode(count_down=self._habits.packet_id is PacketId.LEFT)
        return reply.encode()
