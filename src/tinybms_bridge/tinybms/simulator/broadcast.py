"""The text that a BMS sends unasked: registers 342 and 343 (user manual Rev D, broadcast).

Known of the formats are the thirteen numbers of CA V3; of ASCII that its fields are ``KEY:value`` with tabs between,
the keys BPV, MINCV, OS, LST, LSS, CST, CSS, ST and SS, and ``----`` for a sensor that is not there. The other keys,
the numbers of decimals and the SOC BAR bytes are choices.
"""

from collections.abc import Sequence

from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.frames import START, to_float, to_u32
from tinybms_bridge.tinybms.simulator.interface import Device
from tinybms_bridge.tinybms.simulator.switches import Switches

__all__ = ["Broadcaster", "ascii_line", "ca_v3_line", "soc_bar_bytes"]

_LIVE_WORDS = 56
_SETTINGS, _SETTINGS_COUNT = 300, 44
_INTERVALS_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_ABSENT = 0x8000
_SOC_BAR_SEGMENTS = 10


class Broadcaster:
    """Tells when the next text is due, and what it says.

    Args:
        device: whose data are told.
        clock: source of time.

    """

    def __init__(self, device: Device, clock: Clock) -> None:
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


def ascii_line(words: Sequence[int], settings: Sequence[int], switches: Switches) -> bytes:
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


def _text(words: Sequence[int], settings: Sequence[int], switches: Switches) -> bytes:
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
