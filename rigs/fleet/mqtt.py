"""As much of an MQTT 3.1.1 client as a bridge of a fleet needs: connect with a will, publish at QoS 1, subscribe, ping.

A thousand of them run on one event loop, which is why none of them has a thread or a queue of its own.
MQTT Version 3.1.1, OASIS Standard, chapter 3 has the packets.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Connection", "Login", "RefusedError", "connect"]

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xD0
DUP, RETAIN, QOS_1 = 0x08, 0x01, 0x02
ACCEPTED = 0
LARGEST_PACKET = 131_072
"""No message of the fleet is as long."""
REFUSED = 0x80
"""What a broker answers to a subscription that it does not allow (chapter 3.9)."""


class RefusedError(ConnectionError):
    """The broker has said no: `code` is that of its CONNACK, 4 or 5 for a credential that it does not take."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the broker refuses the connection with code {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Login:
    """Who connects, and what the broker says for it when it is gone."""

    client_id: str
    username: str
    password: str
    will_topic: str
    will: bytes
    keepalive_s: int = 30


def text(value: str) -> bytes:
    """Return a text with its length before it."""
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes) -> bytes:
    """Return a packet: its first byte, the length in groups of seven bits, the rest."""
    length, count = bytearray(), len(body)
    while True:
        count, group = divmod(count, 128)
        length.append(group | (0x80 if count else 0))
        if not count:
            return bytes((first,)) + bytes(length) + body


def connect_packet(login: Login) -> bytes:
    """Return CONNECT: a clean session, user and password, a retained will at QoS 1."""
    flags = 0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02
    head = text("MQTT") + bytes((4, flags)) + login.keepalive_s.to_bytes(2, "big")
    will = text(login.will_topic) + len(login.will).to_bytes(2, "big") + login.will
    return packet(0x10, head + text(login.client_id) + will + text(login.username) + text(login.password))


def publish_packet(topic: str, payload: bytes, identifier: int, *, retain: bool, duplicate: bool) -> bytes:
    """Return PUBLISH at QoS 1."""
    first = 0x30 | QOS_1 | (RETAIN if retain else 0) | (DUP if duplicate else 0)
    return packet(first, text(topic) + identifier.to_bytes(2, "big") + payload)


def next_packet(data: bytes) -> tuple[int, bytes, int] | None:
    """Return the first packet in what came as (first byte, body, bytes used), or None while it is not whole.

    Raises:
        ValueError: What came is no MQTT.
    """
    length = 0
    for index in range(1, min(len(data), 5)):
        length |= (data[index] & 0x7F) << 7 * (index - 1)
        if not data[index] & 0x80:
            if length > LARGEST_PACKET:
                raise ValueError(f"a packet of {length} bytes, expected {LARGEST_PACKET} at most")
            end = index + 1 + length
            return None if len(data) < end else (data[0], bytes(data[index + 1 : end]), end)
    if len(data) >= 5:
        raise ValueError("the length of a packet does not end")
    return None


class Connection(asyncio.Protocol):
    """One connection, used once: it is accepted, it acknowledges, it is lost."""

    def __init__(self, login: Login, on_acknowledged: Callable[[int], None], on_lost: Callable[[], None]) -> None:
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.accepted.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._login = login
        self._on_acknowledged = on_acknowledged
        self._on_lost = on_lost
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._ping: asyncio.TimerHandle | None = None
        self._answered = True
        self._granted: asyncio.Future[bool] | None = None
        self.received: list[tuple[str, bytes]] = []
        """What came for its subscriptions."""

    async def subscribe(self, topic: str) -> bool:
        """Ask for a topic at QoS 0; return whether the broker allows it."""
        assert self._transport is not None
        self._granted = asyncio.get_running_loop().create_future()
        self._transport.write(packet(0x82, b"\x00\x01" + text(topic) + b"\x00"))
        return await self._granted

    def publish(self, topic: str, payload: bytes, identifier: int, *, retain: bool, duplicate: bool = False) -> None:
        """Send one message; `on_acknowledged` gets its identifier when the broker has it."""
        if self._transport is not None:
            self._transport.write(publish_packet(topic, payload, identifier, retain=retain, duplicate=duplicate))

    def disconnect(self) -> None:
        """Say that this is the end, so that the broker publishes no will."""
        if self._transport is not None:
            self._transport.write(b"\xe0\x00")
            self._transport.close()

    def abort(self) -> None:
        """Cut it, as a power failure does."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce ourselves."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(connect_packet(self._login))

    def data_received(self, data: bytes) -> None:
        """Take apart what the broker answers."""
        self._data += data
        try:
            while (found := next_packet(self._data)) is not None:
                kind, body, used = found
                self._data = self._data[used:]
                self._handle(kind & 0xF0, body)
        except (ValueError, IndexError):
            self.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell it, once."""
        self._transport = None
        if self._ping is not None:
            self._ping.cancel()
        if not self.accepted.done():
            self.accepted.set_exception(ConnectionError("the broker has closed the connection"))
        if self._granted is not None and not self._granted.done():
            self._granted.set_result(False)
        self._on_lost()

    def _handle(self, kind: int, body: bytes) -> None:
        if kind == CONNACK and not self.accepted.done():
            if body[1] == ACCEPTED:
                self.accepted.set_result(None)
                self._schedule_ping()
            else:
                self.accepted.set_exception(RefusedError(body[1]))
        elif kind == PUBACK:
            self._on_acknowledged(int.from_bytes(body[:2], "big"))
        elif kind == SUBACK and self._granted is not None and not self._granted.done():
            self._granted.set_result(body[2] != REFUSED)
        elif kind == PUBLISH:
            length = int.from_bytes(body[:2], "big")
            self.received.append((body[2 : 2 + length].decode(), body[2 + length :]))
        elif kind == PINGRESP:
            self._answered = True

    def _schedule_ping(self) -> None:
        self._ping = asyncio.get_running_loop().call_later(self._login.keepalive_s / 2, self._send_ping)

    def _send_ping(self) -> None:
        if not self._answered or self._transport is None:
            self.abort()
            return
        self._answered = False
        self._transport.write(b"\xc0\x00")
        self._schedule_ping()


async def connect(
    address: tuple[str, int],
    login: Login,
    on_acknowledged: Callable[[int], None],
    on_lost: Callable[[], None],
    tls: ssl.SSLContext | None = None,
) -> Connection:
    """Return a connection that the broker has accepted.

    Raises:
        RefusedError: It has answered with no.
        OSError: It cannot be reached, or has closed at once.
    """
    loop = asyncio.get_running_loop()
    _, made = await loop.create_connection(lambda: Connection(login, on_acknowledged, on_lost), *address, ssl=tls)
    try:
        await made.accepted
    except BaseException:
        made.abort()
        raise
    return made
