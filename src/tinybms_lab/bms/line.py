"""The device's end of a serial line without I/O: bytes in, bytes out when due, broadcasts and faults in between.

Registers 342 and 343 make a BMS send text unasked (tinybms-protocol.md, 1.7). Known of the formats are the thirteen
numbers of CA V3; of ASCII that its fields are ``KEY:value`` with tabs between, the keys BPV, MINCV, OS, LST, LSS, CST,
CSS, ST and SS, and ``----`` for a sensor that is not there. The other keys, the numbers of decimals and the SOC BAR
bytes are choices.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.frames import START, to_float, to_u32
from tinybms_lab.bms.faults import FaultInjector
from tinybms_lab.bms.hardware import SwitchStates
from tinybms_lab.bms.responder import LATENCY_S, AnsweringDevice, Responder
from tinybms_lab.bms.variants import Quirks

__all__ = [
    "BAUDRATE",
    "BITS_PER_CHARACTER",
    "Line",
    "TextBroadcaster",
    "Wire",
    "ascii_line",
    "ca_v3_line",
    "soc_bar_bytes",
]


BITS_PER_CHARACTER = 10
"""8N1: start bit, eight data bits, stop bit."""

_PIECE_S = 0.001
"""Finest delivery that a timer of an event loop keeps up with."""

_TOLERANCE = 1e-6


@dataclass(slots=True)
class _Message:
    start_s: float
    data: bytes
    sent: int = 0


class Wire:
    """The device's half of a line: what it receives takes time, and so does what it sends.

    Args:
        baudrate: bits a second.
        chunk: None delivers bytes as they are complete; a number collects that many, as a USB adapter does, and the
            rest with the last byte of a message.

    Raises:
        ValueError: a number that is not above 0.

    """

    def __init__(self, baudrate: int, chunk: int | None = None) -> None:
        if baudrate <= 0 or (chunk is not None and chunk <= 0):
            raise ValueError(f"baudrate and chunk must be above 0, got {baudrate} and {chunk}")
        self.character_s = BITS_PER_CHARACTER / baudrate
        """Time of one byte on the wire."""
        self._chunk = chunk or 1
        self._step = max(self._chunk, int(_PIECE_S / self.character_s), 1)
        self._piece = chunk
        self._received_s = float("-inf")
        self._free_s = float("-inf")
        self._queue: deque[_Message] = deque()

    def received(self, now_s: float, count: int) -> float:
        """Return when ``count`` bytes that the host handed over at ``now_s`` have arrived in full."""
        self._received_s = max(self._received_s, now_s) + count * self.character_s
        return self._received_s

    def send(self, start_s: float, data: bytes) -> None:
        """Send ``data`` from ``start_s`` on, or from when the line is free."""
        if data:
            start_s = max(start_s, self._free_s)
            self._free_s = start_s + len(data) * self.character_s
            self._queue.append(_Message(start_s, data))

    def clear(self) -> None:
        """Drop what has not been delivered."""
        self._queue.clear()
        self._free_s = float("-inf")

    @property
    def next_s(self) -> float | None:
        """Time at which the next delivery is worth making, or None when nothing is under way."""
        if not self._queue:
            return None
        message = self._queue[0]
        return message.start_s + min(message.sent + self._step, len(message.data)) * self.character_s

    def due(self, now_s: float) -> list[bytes]:
        """Return the pieces to hand over at ``now_s``; never a byte whose stop bit is not over."""
        pieces: list[bytes] = []
        while self._queue:
            message = self._queue[0]
            complete = int((now_s - message.start_s) / self.character_s + _TOLERANCE)
            whole = complete >= len(message.data)
            end = len(message.data) if whole else max(complete // self._chunk * self._chunk, message.sent)
            pieces += self._cut(message.data[message.sent : end])
            message.sent = end
            if not whole:
                break
            self._queue.popleft()
        return pieces

    def _cut(self, data: bytes) -> list[bytes]:
        size = self._piece or max(len(data), 1)
        return [data[i : i + size] for i in range(0, len(data), size)]


_LIVE_WORDS = 56
_SETTINGS, _SETTINGS_COUNT = 300, 44
_INTERVALS_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_ABSENT = 0x8000
_SOC_BAR_SEGMENTS = 10


class TextBroadcaster:
    """Tells when the next text is due, and what it says.

    Args:
        device: whose data are told.
        clock: source of time.

    """

    def __init__(self, device: AnsweringDevice, clock: Clock) -> None:
        self._device = device
        self._clock = clock
        self._sent_s = clock.monotonic()

    def poll(self) -> bytes:
        """Return the text that is due now, or nothing; to be called at least every 0.1 s."""
        settings = self._device.read(_SETTINGS, _SETTINGS_COUNT)
        interval_s = _interval_s(settings)
        now_s = self._clock.monotonic()
        if not interval_s or self._device.silent:
            self._sent_s = now_s
            return b""
        if settings is None or now_s - self._sent_s < interval_s - 1e-6:
            return b""
        self._sent_s = max(self._sent_s + interval_s, now_s - interval_s)
        words = self._device.read(0, _LIVE_WORDS)
        return b"" if words is None else _text(words, settings, self._device.switches)


def ca_v3_line(words: Sequence[int], capacity_ah: float) -> bytes:
    """Return thirteen numbers for a Cycle Analyst V3: charge used, volts, amperes drawn, temperature, and zeros."""
    used_ah = capacity_ah * (1.0 - _soc_percent(words) / 100.0)
    volts, amperes = to_float(words[36], words[37]), to_float(words[38], words[39])
    numbers = (
        f"{used_ah:.3f}",
        f"{volts:.2f}",
        f"{-amperes:.2f}",
        "0.00",
        "0.00",
        f"{_celsius(words[48]):.1f}",
        "0.0",
        "0",
        "0.0",
        "0.00",
        "0.00",
        "0.0",
        "0",
    )
    return _line(numbers)


def ascii_line(words: Sequence[int], settings: Sequence[int], switches: SwitchStates) -> bytes:
    """Return the ``KEY:value`` fields; the only place where a BMS tells the state of its switches."""
    fields = [
        f"BPV:{to_float(words[36], words[37]):.2f}",
        f"BPC:{to_float(words[38], words[39]):.2f}",
        f"MINCV:{words[40] / 1000.0:.3f}",
        f"MAXCV:{words[41] / 1000.0:.3f}",
        f"SOC:{_soc_percent(words):.1f}",
        f"IT:{_sensor(words[48])}",
        f"ET1:{_sensor(words[42])}",
        f"ET2:{_sensor(words[43])}",
        f"OS:{words[50]}",
    ]
    if settings[40] & 0xFF:
        fields += [f"ST:{settings[41] & 0xFF}", f"SS:{switches.load:d}"]
    else:
        fields += [f"LST:{settings[31] & 0xFF}", f"LSS:{switches.load:d}"]
        fields += [f"CST:{settings[33] & 0xFF}", f"CSS:{switches.charger:d}"]
    return _line(fields)


def soc_bar_bytes(words: Sequence[int]) -> bytes:
    """Return a few bytes as for a bar of ten lamps; none of them is the start byte of a frame."""
    lit = min(int(_soc_percent(words) / 100.0 * _SOC_BAR_SEGMENTS + 0.5), _SOC_BAR_SEGMENTS)
    data = bytes((0xF5, lit, words[50] & 0xFF, (0xF5 + lit + words[50]) & 0xFF))
    return bytes(byte if byte != START else START ^ 0xFF for byte in data)


def _text(words: Sequence[int], settings: Sequence[int], switches: SwitchStates) -> bytes:
    match settings[43] & 0xFF:
        case 0:
            return ca_v3_line(words, settings[6] / 100.0)
        case 1:
            return ascii_line(words, settings, switches)
        case _:
            return soc_bar_bytes(words)


def _interval_s(settings: Sequence[int] | None) -> float:
    code = settings[42] & 0xFF if settings else 0
    return _INTERVALS_S[code] if code < len(_INTERVALS_S) else 0.0


def _line(fields: Sequence[str]) -> bytes:
    return "\t".join(fields).encode("ascii") + b"\r\n"


def _soc_percent(words: Sequence[int]) -> float:
    return to_u32(words[46], words[47]) / 1_000_000.0


def _celsius(word: int) -> float:
    return (word - 0x10000 if word & 0x8000 else word) / 10.0


def _sensor(word: int) -> str:
    return "----" if word == _ABSENT else f"{_celsius(word):.1f}"


BAUDRATE = 115200
"""Speed of a TinyBMS, fixed by the vendor (tinybms-protocol.md, 1)."""


class Line:
    """Puts together what a device answers, what it says unasked, how long that takes and what goes wrong.

    Args:
        device: what is served.
        clock: source of time; must be the device's own.
        baudrate: speed of the line.
        latency_s: time that the device takes to answer.
        chunk: bytes are delivered in groups of this many: None for as they come, 1 singly, 64 like a USB adapter.
        quirks: how the device speaks.
        faults: what goes wrong; its plan may be replaced at any time.

    Raises:
        ValueError: a baudrate or chunk that is not above 0.

    """

    def __init__(
        self,
        device: AnsweringDevice,
        clock: Clock,
        *,
        baudrate: int = BAUDRATE,
        latency_s: float = LATENCY_S,
        chunk: int | None = None,
        quirks: Quirks | None = None,
        faults: FaultInjector | None = None,
    ) -> None:
        self.responder = Responder(device, clock, latency_s=latency_s, quirks=quirks)
        """Counts the requests."""
        self.faults = faults or FaultInjector()
        """What goes wrong."""
        self.wire = Wire(baudrate, chunk)
        """When each byte is complete."""
        self._device = device
        self._clock = clock
        self._broadcaster = TextBroadcaster(device, clock)

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
