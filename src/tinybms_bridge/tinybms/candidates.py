"""Which BMS answers on which serial port, found out by asking at each; only when somebody wants to know.

Another device may be on a port, and another program may need it. So a port that anybody holds is left alone, as far as
this user can see who does. A free one is opened for this program alone, sees two requests that read when nothing
answers and some more when a BMS does, and is closed at once. Nothing is written to a device.
"""

import asyncio
import math
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.blocking import RunBlocking, in_thread, or_discard
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.devices import SerialDevice, has_hardware, kernel_consoles, serial_devices
from tinybms_bridge.hal.processes import Process, own_devices, port_holders
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort, open_serial, port_id
from tinybms_bridge.tinybms.client import ClientSettings, TinyBmsClient
from tinybms_bridge.tinybms.device_statistics import read_identity
from tinybms_bridge.tinybms.diagnosis import explain_failure
from tinybms_bridge.tinybms.found_units import Candidate, FoundUnit, KnownPort, unit_of
from tinybms_bridge.tinybms.frames import ReadModbus, RegistersReply
from tinybms_bridge.tinybms.live import (
    LIVE_ADDRESS,
    LIVE_COUNT,
    RATINGS_ADDRESS,
    RATINGS_COUNT,
    decode_live,
    decode_ratings,
)
from tinybms_bridge.words import message

__all__ = ["OpenDevice", "PortFinder", "find_candidates"]

_ASK_S = 2.5
"""For one port, all together; they are asked at the same time. A BMS that is awake is done in 0.1 s, one that has to be
woken in 0.6 s."""
_MOST_BYTES = 8192
"""Of what comes from one port. All replies together are below 400 bytes; a device that goes on and on would take time
from the frames to the GX."""
_ASKING = ClientSettings(attempts=2, wake_after_s=math.inf)
"""The first request wakes a BMS that sleeps, and the next is answered. Nothing is sent only to wake one, and two
attempts are too few for the client to complete what may be half a request: other hardware sees requests that read."""
_KERNEL = "kernel"
_BRIDGE = "tinybms-bridge"


class PortFinder(Protocol):
    """What is to be known of the ports of the machine. Every call blocks."""

    def ports(self) -> Sequence[SerialDevice]:
        """Return the ports that a BMS may be on."""
        ...

    def consoles(self) -> frozenset[str]:
        """Return the ports that the kernel itself writes to."""
        ...

    def own(self) -> frozenset[str]:
        """Return the devices that this process has open."""
        ...

    def holders(self, paths: Sequence[str]) -> Mapping[str, Sequence[Process]]:
        """Return who else uses each of some ports."""
        ...


OpenDevice = Callable[[str, int, OnData, OnLost], Awaitable[SerialPort]]
"""Opens a port by path and speed, for this program alone. Raises LinkError."""


class _Machine:
    """The ports of this machine."""

    def ports(self) -> Sequence[SerialDevice]:
        return [port for port in serial_devices() if has_hardware(port.path)]

    def consoles(self) -> frozenset[str]:
        return kernel_consoles()

    def own(self) -> frozenset[str]:
        return own_devices()

    def holders(self, paths: Sequence[str]) -> Mapping[str, Sequence[Process]]:
        return port_holders(paths)


async def find_candidates(
    known: Sequence[KnownPort],
    baudrate: int,
    clock: Clock,
    *,
    run_blocking: RunBlocking = in_thread,
    finder: PortFinder | None = None,
    open_device: OpenDevice = open_serial,
) -> tuple[Candidate, ...]:
    """Return every serial port with what answers there, those that are configured first, within some three seconds.

    A port that cannot be opened, or gives no sense, is told with its problem. Cancelled, all are closed.

    Args:
        known: The ports that are configured here. Those in use are told and not touched.
        baudrate: Speed of a TinyBMS.
        clock: Source of time.
        run_blocking: Runs what blocks.
        finder: Knows the ports of the machine.
        open_device: Opens one.

    """
    looked = await run_blocking(_look, known, finder or _Machine())
    asking = (_answer(each, baudrate, clock, open_device) for each in looked)
    return tuple(await asyncio.gather(*asking))


def _look(known: Sequence[KnownPort], finder: PortFinder) -> list[Candidate]:
    """Return every port with what is known of it unopened; ``asked`` says that it remains to be asked."""
    configured = {port_id(each.device): each for each in known if each.device != "auto"}
    searched = next((each for each in known if each.device == "auto"), None)
    found = {port_id(each.path): each for each in finder.ports()}
    own = finder.own()
    candidates = []
    for place in dict.fromkeys([*configured, *found]):
        mine, port = configured.get(place), found.get(place)
        port = port or SerialDevice("" if mine is None else mine.device)
        device = os.path.realpath(port.path)
        if mine is None and device in own:
            mine = searched or KnownPort(device)
        candidates.append(_configured(Candidate(port.path, port.product, device), mine))
    if searched is not None and all(each.pack != searched.pack for each in candidates):
        candidates.insert(0, Candidate("auto", pack=searched.pack, unit=searched.unit, message=searched.message))
    return _free(candidates, finder)


def _configured(candidate: Candidate, mine: KnownPort | None) -> Candidate:
    if mine is None:
        return replace(candidate, asked=True)
    if mine.pack:
        return replace(candidate, pack=mine.pack, asked=mine.free, unit=mine.unit, message=mine.message)
    return replace(candidate, held_by=_BRIDGE, message=message("candidate.other_use"))


def _free(candidates: Sequence[Candidate], finder: PortFinder) -> list[Candidate]:
    """Return the candidates, none of those to be asked that anybody else uses."""
    holders = finder.holders([each.device for each in candidates if each.asked])
    consoles = finder.consoles()

    def seen(candidate: Candidate) -> Candidate:
        others = [other.name or str(other.pid) for other in holders.get(candidate.device, ())]
        if candidate.asked and others:
            told = message("serial.held", port=candidate.device, holders=others)
            return replace(candidate, asked=False, held_by=others[0], message=told)
        if candidate.asked and candidate.device in consoles:
            return replace(candidate, asked=False, held_by=_KERNEL, message=message("candidate.console"))
        return candidate

    return [seen(each) for each in candidates]


async def _answer(candidate: Candidate, baudrate: int, clock: Clock, open_device: OpenDevice) -> Candidate:
    """Return a candidate with what answers; one that is not to be asked as it is."""
    if not candidate.asked:
        return candidate
    line = _Line(candidate.device, baudrate, open_device)
    client = TinyBmsClient(line.open, clock, _ASKING)
    try:
        async with asyncio.timeout(_ASK_S):
            await client.connect()
            return replace(candidate, unit=await _read_unit(client, clock), message=None)
    except (TimeoutError, ValueError):  # nothing clear, or registers that no TinyBMS has
        told = message("candidate.no_sense", seconds=_ASK_S)
    except BridgeError as error:
        told = explain_failure(error, client.statistics) if line.opened else error.description
    finally:
        await client.close()
        await line.close()
    return replace(candidate, asked=line.opened, message=message("candidate.flood") if line.flooded else told)


async def _read_unit(client: TinyBmsClient, clock: Clock) -> FoundUnit:
    """Read what tells a BMS from others. Raises LinkError or DeviceRefused, or ValueError for what cannot be read."""
    words = await _read(client, LIVE_ADDRESS, LIVE_COUNT)
    identity = await read_identity(client)
    ratings = decode_ratings(await _read(client, RATINGS_ADDRESS, RATINGS_COUNT))
    live = decode_live(words, sequence=1, taken_at_s=clock.monotonic(), ratings=ratings)
    return unit_of(identity, ratings, live.pack.voltage_v)


async def _read(client: TinyBmsClient, address: int, count: int) -> tuple[int, ...]:
    reply = await client.request(ReadModbus(address, count))
    if not isinstance(reply, RegistersReply):
        raise ValueError("another reply than registers")  # noqa: TRY004 -- of bytes from outside
    return reply.values


class _Line:
    """A port of which no more is taken than a BMS would send."""

    def __init__(self, device: str, baudrate: int, open_device: OpenDevice) -> None:
        self._device = device
        self._baudrate = baudrate
        self._open_device = open_device
        self._port: SerialPort | None = None
        self._closing: asyncio.Task[None] | None = None
        self._bytes = 0
        self.opened = False
        self.flooded = False

    async def open(self, on_data: OnData, on_lost: OnLost) -> SerialPort:
        """Open the port. Raises LinkError."""

        def received(data: bytes) -> None:
            self._bytes += len(data)
            if self._bytes <= _MOST_BYTES:
                on_data(data)
            elif not self.flooded:
                self.flooded = True
                self._closing = asyncio.ensure_future(self._close())
                on_lost(None)

        opening = self._open_device(self._device, self._baudrate, received, on_lost)
        self._port = await or_discard(opening, lambda port: asyncio.ensure_future(port.close()))
        self.opened = True
        return self._port

    async def close(self) -> None:
        """Close the port, if it was opened; may be called again."""
        await (self._closing or self._close())

    async def _close(self) -> None:
        if self._port is not None:
            await self._port.close()
