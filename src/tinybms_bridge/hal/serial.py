"""Serial port: bytes in by callback, bytes out by call, and one clear error for each way of failing to open."""

import asyncio
import contextlib
import errno
import glob
import grp
import os
import select
import stat
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import Protocol

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.system_errors import error_words, serial_advice
from tinybms_bridge.words import Message, message

__all__ = ["OnData", "OnLost", "SerialOpener", "SerialPort", "find_ports", "open_serial", "port_id"]

OnData = Callable[[bytes], None]
"""Called on the event loop with each piece of received bytes."""
OnLost = Callable[[Exception | None], None]
"""Called once when the device vanishes; not after ``close``."""

_PATTERNS = ("/dev/serial/by-id/*", "/dev/ttyUSB*", "/dev/ttyACM*", "/dev/ttyAMA*", "/dev/ttyS[0-9]")


class SerialPort(Protocol):
    """An open serial port."""

    def write(self, data: bytes) -> None:
        """Queue bytes for sending; never blocks and never raises."""
        ...

    def expect(self, count: int) -> None:
        """Say after ``write`` how many bytes are waited for: a part of them is worth no report for some milliseconds.

        Nothing is lost or reordered by it; 0 has each piece reported as it comes again.
        """
        ...

    async def close(self) -> None:
        """Release the port; safe to call twice."""
        ...


SerialOpener = Callable[[OnData, OnLost], Awaitable[SerialPort]]
"""Opens the port that was configured. Raises LinkError."""


class _Protocol(asyncio.Protocol):
    """Hands what the transport reports to the callbacks."""

    def __init__(self, on_data: OnData, on_lost: OnLost) -> None:
        self._on_data = on_data
        self._on_lost = on_lost
        self.closing = False
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self.closing:
            self._on_data(bytes(data))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        if not self.closing:
            self._on_lost(exc)


_BITS_PER_BYTE = 10
_LATENCY_S = 0.001
"""What a TinyBMS takes to begin its reply."""
_LEAST_REST_S = 0.002
"""A shorter one would end late: timers of the event loop keep to whole milliseconds."""
_MOST_REST_S = 0.03
"""A refusal is far shorter than what was expected, and must not wait for long."""
_READ_BYTES = 4096


class _Port:
    """A serialx transport behind the ``SerialPort`` protocol.

    A reply of 117 bytes comes in some ten pieces, and each would wake up the event loop. So nothing is read until its
    last byte is due by the speed of the line; what is missing then is read as it comes.
    """

    def __init__(self, transport: asyncio.Transport, protocol: _Protocol, baudrate: int) -> None:
        self._transport = transport
        self._protocol = protocol
        self._byte_s = _BITS_PER_BYTE / baudrate
        self._reader = reader = _Reader.of(transport, protocol.data_received)
        if reader is not None:
            protocol.lost.add_done_callback(lambda _lost: reader.end())
        self._sent = 0
        self._missing = 0
        self._look: asyncio.TimerHandle | None = None
        self._call_later = asyncio.get_running_loop().call_later

    def write(self, data: bytes) -> None:
        self._sent = len(data)
        # A device that has vanished is reported through on_lost; until that comes, writes go nowhere.
        with contextlib.suppress(OSError):
            self._transport.write(data)

    def expect(self, count: int) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None
        self._missing = count
        self._rest(_LATENCY_S + (self._sent + count) * self._byte_s if count else 0.0)

    def _rest(self, duration_s: float) -> None:
        """Read nothing for so long, or go on reading what comes when that is not worth it."""
        reader = self._reader
        if reader is None:
            return
        resting = duration_s >= _LEAST_REST_S and not reader.ended
        reader.pause(resting)
        if resting:
            self._look = self._call_later(min(duration_s, _MOST_REST_S), self._look_now)

    def _look_now(self) -> None:
        """Hand on what has come; rest again while some more is under way."""
        self._look = None
        reader = self._reader
        if reader is None:
            return
        data = reader.read()
        self._missing -= len(data)
        self._rest(self._missing * self._byte_s if data and self._missing > 0 else 0.0)
        if data:
            self._protocol.data_received(data)

    async def close(self) -> None:
        self._protocol.closing = True
        if self._reader is not None:
            self._reader.end()
        self._transport.abort()
        try:
            async with asyncio.timeout(1.0):
                await asyncio.shield(self._protocol.lost)
        except TimeoutError:
            return


class _Reader:
    """Reads the descriptor of a transport in its place, since that can be paused for much less than its own reading.

    The event loop watches an epoll of our own, so that to pause is one call of the system. Whatever is wrong with the
    device is left for the transport to find.
    """

    def __init__(self, transport: asyncio.Transport, descriptor: int, on_data: OnData) -> None:
        self._transport = transport
        self._descriptor = descriptor
        self._on_data = on_data
        self._loop = asyncio.get_running_loop()
        self._paused = False
        self._epoll = select.epoll()
        self._epoll.register(descriptor, select.EPOLLIN)
        transport.pause_reading()
        self._loop.add_reader(self._epoll.fileno(), self._readable)

    @classmethod
    def of(cls, transport: asyncio.Transport, on_data: OnData) -> "_Reader | None":
        """Return what reads for a transport; None for one without a descriptor, which goes on reading by itself."""
        from serialx.descriptor_transport import DescriptorTransport

        serial = transport.get_extra_info("serial")
        if serial is None or not isinstance(transport, DescriptorTransport) or not hasattr(select, "epoll"):
            return None
        return cls(transport, serial.fileno(), on_data)

    @property
    def ended(self) -> bool:
        """Whether the descriptor is no longer to be read: it may belong to another file soon."""
        return self._epoll.closed or self._transport.is_closing()

    def pause(self, paused: bool) -> None:
        """Leave what comes where it is, or report it as it comes again."""
        if paused is not self._paused and not self.ended:
            self._paused = paused
            self._epoll.modify(self._descriptor, 0 if paused else select.EPOLLIN)

    def read(self) -> bytes:
        """Return what has come; nothing also for a device that has vanished, which the transport will report."""
        if self.ended:
            return b""
        try:
            return os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            self._give_back()
            return b""

    def end(self) -> None:
        """Watch no longer; may be called again."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _readable(self) -> None:
        data = self.read()
        if data:
            self._on_data(data)
        else:  # nothing although there is something to read: the end of the device
            self._give_back()

    def _give_back(self) -> None:
        self.end()
        self._transport.resume_reading()


async def open_serial(device: str, baudrate: int, on_data: OnData, on_lost: OnLost) -> SerialPort:
    """Open ``device`` 8N1, for this program alone.

    ``auto`` takes the only serial port of the machine. Raises LinkError with what to do about it.
    """
    import serialx

    if device == "auto":
        device = await asyncio.to_thread(_only_port)
    try:
        transport, protocol = await serialx.create_serial_connection(
            asyncio.get_running_loop(), lambda: _Protocol(on_data, on_lost), device, baudrate, exclusive=True
        )
    except (OSError, ValueError, serialx.SerialException) as error:
        raise await asyncio.to_thread(explain_open_error, device, baudrate, error) from error
    assert isinstance(protocol, _Protocol)
    return _Port(transport, protocol, baudrate)


def find_ports() -> list[str]:
    """Return the paths of the machine's serial ports, stable names first, each device once."""
    seen: dict[str, str] = {}
    for pattern in _PATTERNS:
        for path in sorted(glob.glob(pattern)):
            seen.setdefault(os.path.realpath(path), path)
    return list(seen.values())


def port_id(device: str) -> Hashable:
    """Return what is the same for two paths that lead to one port, as far as they can be followed. Blocks."""
    path = os.path.realpath(device)
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return path
    return found.st_rdev if stat.S_ISCHR(found.st_mode) else path


def _only_port() -> str:
    ports = [port for port in find_ports() if "ttyS" not in port]
    if len(ports) == 1:
        return ports[0]
    if not ports:
        raise LinkError(message("serial.none"), hint=message("serial.plug_in"))
    raise LinkError(message("serial.several", count=len(ports), ports=ports), hint=message("serial.choose"))


def explain_open_error(device: str, baudrate: int, error: Exception) -> LinkError:
    """Return the LinkError that tells a user why a port did not open and what to do. Blocks on the file system."""
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        found = find_ports()
        hint = message("serial.ports", ports=found) if found else message("serial.no_ports")
        return LinkError(message("serial.missing", port=device), hint=hint)
    if code in (errno.EACCES, errno.EPERM):
        return LinkError(message("serial.forbidden", port=device), hint=_permission_hint(device))
    if code in (errno.EBUSY, errno.EAGAIN):
        return LinkError(message("serial.busy", port=device), hint=message("serial.close_other"))
    if code in (errno.ENOTTY, errno.EISDIR):
        return LinkError(message("serial.no_port", port=device), hint=message("serial.name_it"))
    if isinstance(error, ValueError) or code == errno.EINVAL:
        told = message("serial.baud", port=device, baudrate=baudrate, reason=str(error))
        return LinkError(told, hint=message("serial.speed"))
    return LinkError(message("serial.cannot_open", port=device, reason=error_words(error)), hint=serial_advice(error))


def _permission_hint(device: str) -> Message:
    try:
        group = grp.getgrgid(Path(device).stat().st_gid).gr_name
    except (OSError, KeyError):
        group = "dialout"
    return message("serial.group", group=group)
