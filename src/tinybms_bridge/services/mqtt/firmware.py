"""The topics that the TinyBMS-Victron firmware meant to publish (firmware.md, 7), for who has built on them.

Below the root, one JSON object each: what a GX has under ``dbus_path``. What is not live or not sent has null values.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.limits.model import Limits
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.snapshot import BmsStatus, Ratings, Snapshot
from tinybms_bridge.services.ports import Moment

__all__ = ["firmware_documents"]

_Number = float | int | None


@dataclass(frozen=True, slots=True)
class _Value:
    suffix: str
    label: str
    unit: str
    dbus_path: str
    read: Callable[[Snapshot], _Number]
    address: int | None = None


_MEASURED = (
    _Value("battery_pack_voltage", "Battery pack voltage", "V", "/Dc/0/Voltage", lambda s: s.pack.voltage_v, 36),
    _Value("battery_pack_current", "Battery pack current", "A", "/Dc/0/Current", lambda s: s.pack.current_a, 38),
    _Value(
        "internal_temperature",
        "Internal temperature",
        "°C",
        "/Dc/0/Temperature",
        lambda s: s.temperatures.hottest_c,
        48,
    ),
    _Value(
        "state_of_charge",
        "State of charge",
        "%",
        "/Soc",
        lambda s: s.pack.soc_percent if s.pack.soc_known else None,
        46,
    ),
    _Value("state_of_health", "State of health", "%", "/Soh", lambda s: s.pack.soh_percent, 45),
    _Value("pack_power_w", "Pack power", "W", "/Dc/0/Power", lambda s: s.pack.power_w),
)

_LIMITS: tuple[tuple[str, str, str, Callable[[Limits], float]], ...] = (
    ("max_charge_current", "Maximum charge current", "/Info/MaxChargeCurrent", lambda limits: limits.ccl_a),
    ("max_discharge_current", "Maximum discharge current", "/Info/MaxDischargeCurrent", lambda limits: limits.dcl_a),
)

_SETTINGS: tuple[tuple[str, str, str, str, Callable[[Ratings], float], int], ...] = (
    ("overvoltage_cutoff_mv", "Over-voltage cutoff", "mV", "", lambda r: r.over_voltage_cell_v * 1000.0, 315),
    ("undervoltage_cutoff_mv", "Under-voltage cutoff", "mV", "", lambda r: r.under_voltage_cell_v * 1000.0, 316),
    ("discharge_overcurrent_a", "Discharge over-current cutoff", "A", "", lambda r: r.discharge_over_current_a, 317),
    ("charge_overcurrent_a", "Charge over-current cutoff", "A", "", lambda r: r.charge_over_current_a, 318),
    ("overheat_cutoff_c", "Over-heat cutoff", "°C", "", lambda r: r.over_heat_c, 319),
)
"""Cutoffs are of one cell, so that /Info/BatteryHighVoltage, which the firmware names here, is not what they are."""

_ALARMS: tuple[tuple[str, AlarmName | NoticeName, str], ...] = (
    ("alarm_low_voltage", AlarmName.LOW_VOLTAGE, "/Alarms/LowVoltage"),
    ("alarm_high_voltage", AlarmName.HIGH_VOLTAGE, "/Alarms/HighVoltage"),
    ("alarm_overtemperature", AlarmName.HIGH_TEMPERATURE, "/Alarms/HighTemperature"),
    ("alarm_cell_imbalance", AlarmName.CELL_IMBALANCE, "/Alarms/CellImbalance"),
    ("alarm_communication", NoticeName.COMMUNICATION, ""),
    ("alarm_system_shutdown", AlarmName.BMS_INTERNAL, "/Alarms/InternalFailure"),
    ("alarm_low_temperature_charge", AlarmName.LOW_TEMPERATURE_CHARGE, "/Alarms/LowChargeTemperature"),
)

_SYSTEM_STATES: Mapping[BmsStatus, tuple[int, str]] = {
    BmsStatus.CHARGING: (3, "charging"),
    BmsStatus.FULLY_CHARGED: (5, "fully_charged"),
    BmsStatus.DISCHARGING: (9, "discharging"),
    BmsStatus.REGENERATION: (3, "regenerating"),
    BmsStatus.IDLE: (1, "idle"),
    BmsStatus.FAULT: (2, "fault"),
    BmsStatus.UNKNOWN: (0, "unknown"),
}


def firmware_documents(moment: Moment) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield each topic below the root with its document."""
    measured, limits, ratings = moment.view.measured, moment.view.limits, moment.view.ratings
    timestamp_ms = round(moment.at.timestamp() * 1000.0)

    def document(key: str, label: str, unit: str, path: str, value: _Number, address: int | None) -> dict[str, object]:
        told = {"timestamp_ms": timestamp_ms, "key": key, "label": label, "unit": unit, "value": value}
        return told | ({"address": address} if address else {}) | ({"dbus_path": path} if path else {})

    for each in _MEASURED:
        value = None if measured is None else each.read(measured)
        yield each.suffix, document(each.suffix, each.label, each.unit, each.dbus_path, value, each.address)
    for suffix, label, path, allowed in _LIMITS:
        yield suffix, document(suffix, label, "A", path, None if limits is None else allowed(limits), None)
    for suffix, label, unit, path, read, address in _SETTINGS:
        yield suffix, document(suffix, label, unit, path, None if ratings is None else read(ratings), address)
    code, text = (None, "unknown") if measured is None else _SYSTEM_STATES[measured.pack.status]
    state = document("system_state", "System state", "", "/System/0/State", code, 50)
    yield "system_state", state | {"text": text, "raw": None if measured is None else measured.pack.status_raw}
    active = moment.active()
    for suffix, name, path in _ALARMS:
        level = active.get(name, AlarmLevel.OK)
        text = "cleared" if level is AlarmLevel.OK else name.value.replace("_", " ")
        yield suffix, document(suffix, suffix.replace("_", " "), "", path, int(level), None) | {"text": text}
