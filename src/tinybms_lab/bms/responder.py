"""The protocol side of a simulated BMS, without I/O: request bytes in, packets to send out (tinybms-protocol.md, 1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.frames import (
    Ack,
    Action,
    ActionRequest,
    BadRequest,
    CellValues,
    CommandCode,
    EventsReply,
    ExtendedVersion,
    FloatValue,
    LongValue,
    Nack,
    ReadBlock,
    ReadList,
    ReadModbus,
    ReadSettingValues,
    RegisterPairs,
    RegistersReply,
    Reply,
    Request,
    RequestFramer,
    SettingsTable,
    SettingsValues,
    ShortValue,
    SimpleRequest,
    TemperatureValues,
    Trip,
    Version,
    WriteBlock,
    WriteDone,
    WriteList,
    WriteModbus,
    to_float,
    to_u32,
)
from tinybms_lab.bms.hardware import SwitchStates
from tinybms_lab.bms.records import EVENT_SLOTS, entries_in, newest_first
from tinybms_lab.bms.variants import BlockLength, CellOrder, EventOrder, PacketId, Quirks

__all__ = ["LATENCY_S", "PARTIAL_TIMEOUT_S", "AnsweringDevice", "Outgoing", "Responder", "Terminals", "answer"]


class AnsweringDevice(Protocol):
    """A device that answers over a UART."""

    @property
    def silent(self) -> bool:
        """Whether it would send nothing now: asleep, restarting or busy."""
        ...

    @property
    def switches(self) -> SwitchStates:
        """Its switches, which only its broadcast text tells."""
        ...

    def refresh(self) -> None:
        """Bring the data up to the present."""
        ...

    def hear(self) -> bool:
        """Take in one frame; False when the frame is lost on a device that sleeps, restarts or is busy."""
        ...

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """Return consecutive registers, or None to refuse."""
        ...

    def write(self, pairs: Sequence[tuple[int, int]]) -> bool:
        """Write ``(address, raw value)`` pairs in order; False when one is refused."""
        ...

    def act(self, action: Action) -> bool:
        """Carry out an option of command 0x02; False when refused."""
        ...

    def settings_table(self, table: SettingsTable, count: int) -> tuple[int, ...]:
        """Return ``count`` values of command 0x1D, from register 300."""
        ...

    def crash(self) -> None:
        """Restart unasked, as by a watchdog."""
        ...


class Terminals(Protocol):
    """The two poles of a battery."""

    @property
    def voltage_v(self) -> float:
        """Voltage between them now."""
        ...

    def set_current_a(self, current_a: float) -> None:
        """Drive a current from now on; positive = into the battery."""
        ...


_COMMAND_ERROR = 0
_USUAL = Quirks()


def answer(device: AnsweringDevice, request: Request, quirks: Quirks = _USUAL) -> Reply:
    """Return what ``device`` answers; a NACK with code 0 for what it refuses."""
    match request:
        case ReadModbus() | ReadBlock() | ReadList():
            reply = _read(device, request)
        case WriteBlock() if not _takes_length(request, quirks):
            reply = None
        case WriteBlock() | WriteList() | WriteModbus():
            reply = _write(device, request)
        case ReadSettingValues(table=table, count=count):
            reply = SettingsValues(table, device.settings_table(table, count))
        case ActionRequest(action=action):
            reply = Ack(CommandCode.ACTION) if device.act(action) else None
        case SimpleRequest(command=command):
            reply = _SIMPLE[command](device, quirks)
    return reply or Nack(request.command, _COMMAND_ERROR)


def _read(device: AnsweringDevice, request: ReadModbus | ReadBlock | ReadList) -> Reply | None:
    if isinstance(request, ReadList):
        singles = [(address, device.read(address, 1)) for address in request.addresses]
        pairs = tuple((address, words[0]) for address, words in singles if words)
        return RegisterPairs(pairs) if len(pairs) == len(singles) else None
    words = device.read(request.address, request.count)
    if words is None:
        return None
    modbus = isinstance(request, ReadModbus)
    return RegistersReply(CommandCode.READ_MODBUS if modbus else CommandCode.READ_BLOCK, words)


def _write(device: AnsweringDevice, request: WriteBlock | WriteList | WriteModbus) -> Reply | None:
    if isinstance(request, WriteList):
        return Ack(request.command) if device.write(request.pairs) else None
    if not device.write([(request.address + i, value) for i, value in enumerate(request.values)]):
        return None
    if isinstance(request, WriteModbus):
        return WriteDone(request.address, len(request.values))
    return Ack(request.command)


def _takes_length(request: WriteBlock, quirks: Quirks) -> bool:
    if quirks.block_length is BlockLength.EITHER:
        return True
    return request.count_address_bytes is (quirks.block_length is BlockLength.WITH_ADDRESS)


def _words(device: AnsweringDevice, address: int, count: int) -> tuple[int, ...]:
    """Return registers of the documented map; these are never refused."""
    words = device.read(address, count)
    if words is None:
        raise LookupError(f"the device refuses registers {address} to {address + count - 1}")
    return words


def _word(device: AnsweringDevice, address: int) -> int:
    return _words(device, address, 1)[0]


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


def _long(device: AnsweringDevice, address: int) -> int:
    return to_u32(*_words(device, address, 2))


def _float(device: AnsweringDevice, address: int) -> float:
    return to_float(*_words(device, address, 2))


def _events(device: AnsweringDevice, quirks: Quirks, *, newest_only: bool) -> EventsReply:
    now_s = _long(device, 32)
    slots = entries_in(_words(device, 200, 2 * EVENT_SLOTS))
    kept = newest_first(slots, now_s)[: quirks.newest_count] if newest_only else newest_first(slots, now_s)
    order = quirks.newest_order if newest_only else quirks.all_order
    if order is EventOrder.SLOT:
        kept = [entry for entry in slots if any(entry is other for other in kept)]
    elif order is EventOrder.OLDEST_FIRST:
        kept.reverse()
    return EventsReply(newest_only, now_s, tuple(kept))


def _newest_events(device: AnsweringDevice, quirks: Quirks) -> EventsReply:
    return _events(device, quirks, newest_only=True)


def _all_events(device: AnsweringDevice, quirks: Quirks) -> EventsReply:
    return _events(device, quirks, newest_only=False)


def _temperatures(device: AnsweringDevice, _quirks: Quirks) -> TemperatureValues:
    internal, external_1, external_2 = (_signed(_word(device, address)) for address in (48, 42, 43))
    return TemperatureValues(internal, external_1, external_2)


def _cells(device: AnsweringDevice, quirks: Quirks) -> CellValues:
    """Return the configured cells."""
    cells = min(max(_word(device, 307), 0), 16)
    values = _words(device, 16 - cells, cells)
    return CellValues(values if quirks.cell_order is CellOrder.LOWEST_FIRST else values[::-1])


def _version(device: AnsweringDevice, _quirks: Quirks) -> Version:
    hardware, public, internal = _words(device, 500, 3)
    return Version(hardware & 0xFF, hardware >> 8, public & 0xFF, internal)


def _extended_version(device: AnsweringDevice, _quirks: Quirks) -> ExtendedVersion:
    hardware, public, internal, bootloader = _words(device, 500, 4)
    return ExtendedVersion(hardware & 0xFF, hardware >> 8, public & 0xFF, internal, bootloader & 0xFF, bootloader >> 8)


def _trip(device: AnsweringDevice, _quirks: Quirks) -> Trip:
    return Trip(_float(device, 54), _word(device, 44), _long(device, 34))


_Answer: TypeAlias = Callable[[AnsweringDevice, Quirks], Reply]

_SIMPLE: dict[CommandCode, _Answer] = {
    CommandCode.EVENTS_NEWEST: _newest_events,
    CommandCode.EVENTS_ALL: _all_events,
    CommandCode.PACK_VOLTAGE: lambda device, _: FloatValue(CommandCode.PACK_VOLTAGE, _float(device, 36)),
    CommandCode.PACK_CURRENT: lambda device, _: FloatValue(CommandCode.PACK_CURRENT, _float(device, 38)),
    CommandCode.MAX_CELL: lambda device, _: ShortValue(CommandCode.MAX_CELL, _word(device, 41)),
    CommandCode.MIN_CELL: lambda device, _: ShortValue(CommandCode.MIN_CELL, _word(device, 40)),
    CommandCode.STATUS: lambda device, _: ShortValue(CommandCode.STATUS, _word(device, 50)),
    CommandCode.LIFETIME: lambda device, _: LongValue(CommandCode.LIFETIME, _long(device, 32)),
    CommandCode.SOC: lambda device, _: LongValue(CommandCode.SOC, _long(device, 46)),
    CommandCode.TEMPERATURES: _temperatures,
    CommandCode.CELLS: _cells,
    CommandCode.VERSION: _version,
    CommandCode.VERSION_EXTENDED: _extended_version,
    CommandCode.TRIP: _trip,
}
"""Answers to the commands without parameters; their values are those of the registers."""


LATENCY_S = 0.001
"""Time of a real unit between the end of a request and the start of its reply (tinybms-protocol.md, 1.6)."""

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
        quirks: how the device speaks.

    """

    def __init__(
        self, device: AnsweringDevice, clock: Clock, *, latency_s: float = LATENCY_S, quirks: Quirks | None = None
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
        self._quirks = quirks or Quirks()
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
            reply = answer(self._device, request, self._quirks)
        self.refused += isinstance(reply, Nack)
        return Outgoing(self._latency_s, self._encode(reply))

    def _encode(self, reply: Reply) -> tuple[bytes, ...]:
        if isinstance(reply, RegistersReply | RegisterPairs):
            return reply.encode(count_down=self._quirks.packet_id is PacketId.LEFT)
        return reply.encode()
