"""The minimum set of frames, which alone lets a GX charge and discharge (victron-can.md, 2 and 3)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeGuard

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.limits.model import Freshness
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.field import FieldValue
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS
from tinybms_bridge.victron.can.outgoing import FrameSettings
from tinybms_bridge.victron.can.places import sensors_by_text

__all__ = ["MINIMUM_BUILDERS", "Builder", "check_sendable", "known"]


def _always(_: BatteryState, __: FrameSettings) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes one frame."""

    build: Callable[[BatteryState, FrameSettings], CanFrame]
    """Only to be called while there is something to tell."""
    has_data: Callable[[BatteryState, FrameSettings], bool] = _always
    """Whether there is something to tell; what is not known is not sent."""


_SMALLEST_CVL_V = 0.05  # rounds to one step of 0.1 V; anything less would be sent as 0

_ALARM_WORDS: Final = {
    None: ("not supported", "not supported"),
    AlarmLevel.OK: ("ok", "ok"),
    AlarmLevel.WARNING: ("ok", "active"),
    AlarmLevel.ALARM: ("active", "active"),
}
"""Alarm pair and warning pair for each level; None where nobody watches."""


def check_sendable(state: BatteryState) -> None:
    """Raise ValueError when a value that a GX acts on is not a number or would do harm."""
    limits, pack = state.limits, state.snapshot.pack
    required = {
        "CVL": limits.cvl_v,
        "CCL": limits.ccl_a,
        "DCL": limits.dcl_a,
        "voltage": pack.voltage_v,
        "current": pack.current_a,
        "SOC": pack.soc_percent,
    }
    for name, value in required.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value}; nothing is sent")
    if not all(map(math.isfinite, state.snapshot.cells.voltages_v)):
        raise ValueError("a cell voltage is not a number; nothing is sent")
    if limits.cvl_v < _SMALLEST_CVL_V:
        raise ValueError(f"CVL is {limits.cvl_v} V; a GX would discharge the battery to that voltage")
    if limits.ccl_a < 0.0 or limits.dcl_a < 0.0:
        raise ValueError(f"CCL is {limits.ccl_a} A and DCL is {limits.dcl_a} A; neither may be negative")


def _limits(state: BatteryState, settings: FrameSettings) -> CanFrame:
    limits = state.limits
    values: dict[str, FieldValue] = {
        "charge_voltage_limit": limits.cvl_v,
        "charge_current_limit": limits.ccl_a,
        "discharge_current_limit": limits.dcl_a,
    }
    low_voltage_v = limits.discharge_voltage_v
    if settings.discharge_voltage_in_351 and known(low_voltage_v) and low_voltage_v > 0.0:
        return FRAME_FORMATS[0x351].encode(values | {"discharge_voltage": low_voltage_v})
    return FRAME_FORMATS[0x351].encode(values, 6)


def _state_of_charge(state: BatteryState, settings: FrameSettings) -> CanFrame:
    pack = state.snapshot.pack
    values: dict[str, FieldValue] = {
        "soc": pack.soc_percent,
        "soh": pack.soh_percent if known(pack.soh_percent) else settings.unknown_soh_percent,
    }
    if not settings.send_high_resolution_soc:
        return FRAME_FORMATS[0x355].encode(values, 4)
    return FRAME_FORMATS[0x355].encode(values | {"soc_high_resolution": pack.soc_percent})


def _measurements(state: BatteryState, _: FrameSettings) -> CanFrame:
    pack = state.snapshot.pack
    values: dict[str, FieldValue] = {"voltage": pack.voltage_v, "current": pack.current_a}
    sensors = sensors_by_text(state)
    if not sensors:
        return FRAME_FORMATS[0x356].encode(values, 4)
    return FRAME_FORMATS[0x356].encode(values | {"temperature": max(sensors.values())})


def _alarms(state: BatteryState, settings: FrameSettings) -> CanFrame:
    levels = state.alarms.levels
    return _alarm_frame(tuple(levels.get(name) for name in AlarmName), _system_status(state, settings))


@lru_cache(maxsize=16)
def _alarm_frame(levels: tuple[AlarmLevel | None, ...], system_status: int) -> CanFrame:
    """Return 0x35A; its levels, in the order of the names, are the same for hours."""
    values: dict[str, FieldValue] = {"system_status": system_status}
    for name, level in zip(AlarmName, levels, strict=True):
        alarm, warning = _ALARM_WORDS[level]
        values[f"alarm_{name.value}"] = alarm
        values[f"warning_{name.value}"] = warning
    return FRAME_FORMATS[0x35A].encode(values)


def _system_status(state: BatteryState, settings: FrameSettings) -> int:
    if settings.system_status == "online":
        return 2 if state.limits.freshness is Freshness.FRESH else 1
    return settings.system_status


def known(value: float | None) -> TypeGuard[float]:
    """Return whether there is a value and it is a finite number."""
    return value is not None and math.isfinite(value)


MINIMUM_BUILDERS: Final[Mapping[int, Builder]] = {
    0x351: Builder(_limits),
    0x355: Builder(_state_of_charge),
    0x356: Builder(_measurements),
    0x35A: Builder(_alarms),
}
