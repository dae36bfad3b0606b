"""The ranges of the settings as they stand now: some move with other settings and with the hardware.

The vendor says which ones move (protocol Rev D, 0x1D; user manual Rev D, settings and port modes), with all numbers
for 300, 301, 315 and 316, and with the largest values of 317 and 318. Where the manual contradicts itself the table
of the port modes counts. The smallest value of 304 and the largest of 305 are choices.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tinybms_bridge.tinybms.registers import Register
from tinybms_bridge.tinybms.simulator.firmware import Board

__all__ = ["Hardware", "setting_range"]

_STEP_MV = 10
"""Least distance between two of the four cell voltages."""

_EXTERNAL_SENSOR_A = 750
_SINGLE_PORT_FET_A = 30
_CHARGE_FET_A = 30
_FET, _CHARGE_FET = 0, 1


@dataclass(frozen=True, slots=True)
class Hardware:
    """What bounds the currents."""

    board: Board
    external_sensor: bool = False
    """The external current sensor is in use."""

    def discharge_limit_a(self, settings: Mapping[int, int]) -> int:
        """Return the largest value of register 317."""
        if _single_port_fet(settings):
            return _SINGLE_PORT_FET_A
        return _EXTERNAL_SENSOR_A if self.external_sensor else self.board.discharge_limit_a

    def charge_limit_a(self, settings: Mapping[int, int]) -> int:
        """Return the largest value of register 318."""
        single = settings[340] & 0xFF == 1
        fet = _single_port_fet(settings) if single else settings[333] & 0xFF == _CHARGE_FET
        return _CHARGE_FET_A if fet else min(self.discharge_limit_a(settings), _EXTERNAL_SENSOR_A)


def setting_range(register: Register, settings: Mapping[int, int], hardware: Hardware | None) -> tuple[int, int]:
    """Return the smallest and largest raw value that the BMS takes now.

    Args:
        register: a setting.
        settings: raw settings in force.
        hardware: None leaves out what depends on it.

    """
    low, high = register.raw_range
    match register.address:
        case 300:
            low, high = max(low, settings[301] + _STEP_MV), min(high, settings[315] - _STEP_MV)
        case 301:
            low, high = max(low, settings[316] + _STEP_MV), min(high, settings[300] - _STEP_MV)
        case 315:
            low = max(low, settings[300] + _STEP_MV)
        case 316:
            high = min(high, settings[301] - _STEP_MV)
        case 305:
            low = max(low, settings[317] + 1)
    if hardware is not None:
        low, high = _within_hardware(register.address, (low, high), settings, hardware)
    return low, high


def _within_hardware(
    address: int, span: tuple[int, int], settings: Mapping[int, int], hardware: Hardware
) -> tuple[int, int]:
    low, high = span
    match address:
        case 304:
            low = max(low, hardware.board.least_finish_ma)
        case 305:
            high = min(high, 2 * hardware.discharge_limit_a(settings))
        case 317:
            high = min(high, hardware.discharge_limit_a(settings), *_below_peak(settings))
        case 318:
            high = min(high, hardware.charge_limit_a(settings))
    return low, high


def _below_peak(settings: Mapping[int, int]) -> tuple[int, ...]:
    """Return the bound that register 305 sets to 317; none where the firmware lacks it."""
    return (settings[305] - 1,) if settings[305] else ()


def _single_port_fet(settings: Mapping[int, int]) -> bool:
    return settings[340] & 0xFF == 1 and settings[341] & 0xFF == _FET
