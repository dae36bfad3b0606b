"""The settings of the BMS in units, as its decisions use them (protocol Rev D, settings; user manual Rev D)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tinybms_bridge.tinybms.simulator.firmware import Firmware

__all__ = ["Thresholds"]

_BUILT_IN_STARTUP_S = 20.0
"""What firmware 242 does without register 310: 22 s from charging started to charger gone, as captured."""

_BUILT_IN_DISABLE_S = 5.0
_FET_LOAD, _FET_CHARGER = 0, 1
_INTERNAL_DETECTION = 1


@dataclass(frozen=True, slots=True)
class Thresholds:
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
    def of(cls, settings: Mapping[int, int], idle_a: float, firmware: Firmware) -> "Thresholds":
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
