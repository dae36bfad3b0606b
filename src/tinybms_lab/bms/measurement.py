"""What the decisions of the BMS rest on: a measurement, the thresholds of its settings, how long a condition lasts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tinybms_lab.bms.records import EventId
from tinybms_lab.bms.variants import Firmware

__all__ = ["NEVER_S", "BmsThresholds", "CurrentSensor", "Delay", "Measurement"]


class CurrentSensor(Enum):
    """State of the external current sensor."""

    FINE = "fine"
    """In use, or neither there nor in use."""
    LOST = "lost"
    """In use, but pulled."""
    NOT_READY = "not ready"
    """Plugged in, but not in use before the next restart."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Readings at one moment."""

    cells_v: tuple[float, ...]
    """As read, of the configured cells, the lowest first."""
    current_a: float
    """As read: 0 within the activity threshold; positive = into the pack."""
    board_c: float
    external_c: tuple[float, ...] = ()
    """Of the sensors that are connected."""
    charger: bool = False
    """A charger shows its voltage, or its input is on."""
    load: bool = False
    """A load is there."""
    ignition: bool = True
    sensor: CurrentSensor = CurrentSensor.FINE
    stuck: EventId | None = None
    """The switch through which current flows although it is open."""
    soc_percent: float = 50.0
    """By the BMS's own count."""
    offered_a: float = 0.0
    """Current that the charger would give if it were let."""

    @property
    def highest_v(self) -> float:
        """Highest cell."""
        return max(self.cells_v)

    @property
    def lowest_v(self) -> float:
        """Lowest cell."""
        return min(self.cells_v)

    @property
    def imbalance_v(self) -> float:
        """Highest less lowest cell."""
        return max(self.cells_v) - min(self.cells_v)

    @property
    def coldest_c(self) -> float:
        """Of the external sensors, else of the board."""
        return min(self.external_c) if self.external_c else self.board_c


_BUILT_IN_STARTUP_S = 20.0
"""What firmware 2.3.242 does without register 310: 22 s from charging started to charger gone, as captured."""

_BUILT_IN_DISABLE_S = 5.0
_FET_LOAD, _FET_CHARGER = 0, 1
_INTERNAL_DETECTION = 1


@dataclass(frozen=True, slots=True)
class BmsThresholds:
    """Settings of the BMS in units."""

    full_v: float
    """Register 300."""
    empty_v: float
    """Register 301."""
    balance_above_v: float
    """Register 303."""
    finished_a: float
    """Register 304."""
    disbalance_v: float
    """Register 308."""
    idle_a: float
    """Activity threshold of the board."""
    peak_a: float = math.inf
    """Register 305; infinite where the firmware lacks it."""
    startup_s: float = _BUILT_IN_STARTUP_S
    """Register 310."""
    disable_s: float = _BUILT_IN_DISABLE_S
    """Register 311."""
    over_voltage_v: float = 4.2
    """Register 315."""
    under_voltage_v: float = 2.9
    """Register 316."""
    discharge_a: float = 60.0
    """Register 317; also for regeneration."""
    charge_a: float = 20.0
    """Register 318."""
    over_heat_c: float = 60.0
    """Register 319."""
    cold_c: float = 1.0
    """Register 320."""
    restart_percent: float | None = None
    """Register 321 where register 329 switches it on."""
    discharge_timeout_s: float = 0.0
    """High byte of register 330."""
    recovery_s: float = 5.0
    """Register 332; 0 = no recovery by time."""
    internal_detection: bool = True
    """Register 335: the charger is detected by voltage and current, not by an input."""
    ignition: bool = False
    """Register 334: there is an ignition input."""
    single_port: bool = False
    """Register 340."""
    two_fets: bool = True
    """Registers 331 and 333: load and charger are both switched by the transistors of the board."""
    diagnostics: bool = True
    """Register 329, bit 1: current through open switches is looked for."""
    invert_external: bool = False
    """Register 329, bit 0."""

    @classmethod
    def of(cls, settings: Mapping[int, int], idle_a: float, firmware: Firmware) -> "BmsThresholds":
        """Return the thresholds held by raw settings registers."""
        flags = settings[329]
        return cls(
            full_v=settings[300] / 1000.0,
            empty_v=settings[301] / 1000.0,
            balance_above_v=settings[303] / 1000.0,
            finished_a=settings[304] / 1000.0,
            disbalance_v=settings[308] / 1000.0,
            idle_a=idle_a,
            peak_a=float(settings[305] or math.inf),
            startup_s=float(settings[310]) if firmware.mask(310) else _BUILT_IN_STARTUP_S,
            disable_s=float(settings[311]) if firmware.mask(311) else _BUILT_IN_DISABLE_S,
            over_voltage_v=settings[315] / 1000.0,
            under_voltage_v=settings[316] / 1000.0,
            discharge_a=float(settings[317]),
            charge_a=float(settings[318]),
            over_heat_c=_signed(settings[319]),
            cold_c=_signed(settings[320]),
            restart_percent=float(settings[321]) if flags & 4 else None,
            discharge_timeout_s=float(settings[330] >> 8),
            recovery_s=float(settings[332] & 0xFF),
            internal_detection=settings[335] & 0xFF == _INTERNAL_DETECTION,
            ignition=settings[334] & 0xFF != 0,
            single_port=settings[340] & 0xFF == 1,
            two_fets=settings[331] & 0xFF == _FET_LOAD and settings[333] & 0xFF == _FET_CHARGER,
            diagnostics=not flags & 2,
            invert_external=bool(flags & 1),
        )

    def measured_a(self, current_a: float) -> float:
        """Return the current as the BMS reads it: exactly 0 within the activity threshold."""
        return 0.0 if abs(current_a) <= self.idle_a else current_a


def _signed(word: int) -> float:
    return float(word - 0x10000 if word & 0x8000 else word)


NEVER_S = math.inf
"""A time that does not come."""

_ROUNDING_S = 1e-9


class Delay:
    """Tells when a condition has held without a break for long enough."""

    __slots__ = ("_since_s", "due_s")

    def __init__(self) -> None:
        self.due_s = NEVER_S
        """Time at which it is worth asking again; ``NEVER_S`` while nothing is being waited for."""
        self._since_s: float | None = None

    def ripe(self, condition: bool, now_s: float, delay_s: float) -> bool:
        """Return whether ``condition``, true or not at ``now_s``, has held for ``delay_s`` seconds."""
        if not condition:
            self.reset()
            return False
        if self._since_s is None:
            self._since_s = now_s
        due_s = self._since_s + delay_s
        ripe = now_s >= due_s - _ROUNDING_S
        self.due_s = NEVER_S if ripe else due_s
        return ripe

    def reset(self) -> None:
        """Begin to count again with the next true condition."""
        self._since_s = None
        self.due_s = NEVER_S
