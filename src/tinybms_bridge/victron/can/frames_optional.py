"""The optional frames: names, versions, modules, cells, energy, serial number (victron-can.md, 2)."""

import math
from collections.abc import Mapping
from typing import Final

from tinybms_bridge.battery.limits.model import Freshness
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.field import FieldValue
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS
from tinybms_bridge.victron.can.frames import Builder, known, pack_sensors
from tinybms_bridge.victron.can.outgoing import FrameSettings

__all__ = ["OPTIONAL_BUILDERS"]

_KELVIN = 273.15
_LARGEST_VERSION = 25_599  # 255.99
_ENERGY_ROLL_OVER_WH = 100.0 * 2**32


def _manufacturer_name(_: BatteryState, settings: FrameSettings) -> CanFrame:
    return _text(0x35E, settings.manufacturer_text)


def _version_and_capacity(state: BatteryState, settings: FrameSettings) -> CanFrame:
    ratings, identity = state.snapshot.ratings, state.identity
    version = min(identity.firmware_internal, _LARGEST_VERSION) if identity else 0
    return FRAME_FORMATS[0x35F].encode(
        {
            "battery_model": settings.battery_model_id,
            "firmware_version": f"{version // 100}.{version % 100}",
            "online_capacity": ratings.capacity_ah if ratings and known(ratings.capacity_ah) else 0,
        }
    )


def _battery_name_1(_: BatteryState, settings: FrameSettings) -> CanFrame | None:
    return _text(0x370, settings.battery_name_texts[0]) if settings.has_long_name else None


def _battery_name_2(_: BatteryState, settings: FrameSettings) -> CanFrame | None:
    return _text(0x371, settings.battery_name_texts[1]) if settings.has_long_name else None


def _modules(state: BatteryState, _: FrameSettings) -> CanFrame:
    """Return 0x372: a module is OK while it is online, and may block a direction beside that, as readers expect it."""
    online = state.limits.freshness is Freshness.FRESH
    sent = FRAME_FORMATS[0x351].fields
    no_charge = sent["charge_current_limit"].to_raw(state.limits.ccl_a) == 0
    no_discharge = sent["discharge_current_limit"].to_raw(state.limits.dcl_a) == 0
    return FRAME_FORMATS[0x372].encode(
        {
            "ok": int(online),
            "blocking_charge": int(no_charge),
            "blocking_discharge": int(no_discharge),
            "offline": int(not online),
        }
    )


def _cell_extremes(state: BatteryState, _: FrameSettings) -> CanFrame | None:
    cells = state.snapshot.cells
    if not cells.count:
        return None
    values: dict[str, FieldValue] = {
        "lowest_cell_voltage": cells.min_v * 1000.0,
        "highest_cell_voltage": cells.max_v * 1000.0,
    }
    sensors = pack_sensors(state.snapshot.temperatures)
    if not sensors:
        return FRAME_FORMATS[0x373].encode(values, 4)
    values["lowest_cell_temperature"] = min(sensors.values()) + _KELVIN
    values["highest_cell_temperature"] = max(sensors.values()) + _KELVIN
    return FRAME_FORMATS[0x373].encode(values)


def _lowest_voltage_cell(state: BatteryState, _: FrameSettings) -> CanFrame | None:
    cells = state.snapshot.cells
    return _text(0x374, f"CELL {cells.min_number:02d}") if cells.count else None


def _highest_voltage_cell(state: BatteryState, _: FrameSettings) -> CanFrame | None:
    cells = state.snapshot.cells
    return _text(0x375, f"CELL {cells.max_number:02d}") if cells.count else None


def _coldest_sensor(state: BatteryState, _: FrameSettings) -> CanFrame | None:
    sensors = pack_sensors(state.snapshot.temperatures)
    return _text(0x376, min(sensors, key=sensors.__getitem__)) if sensors else None


def _hottest_sensor(state: BatteryState, _: FrameSettings) -> CanFrame | None:
    sensors = pack_sensors(state.snapshot.temperatures)
    return _text(0x377, max(sensors, key=sensors.__getitem__)) if sensors else None


def _energy(state: BatteryState, _: FrameSettings) -> CanFrame | None:
    energy = state.saved_energy
    if not (math.isfinite(energy.charged_wh) and math.isfinite(energy.discharged_wh)):
        return None
    return FRAME_FORMATS[0x378].encode(
        {
            "charged": _rolled_over(energy.charged_wh),
            "discharged": _rolled_over(energy.discharged_wh),
        }
    )


def _installed_capacity(state: BatteryState, settings: FrameSettings) -> CanFrame | None:
    ratings = state.snapshot.ratings
    if ratings is None or not known(ratings.capacity_ah):
        return None
    return FRAME_FORMATS[0x379].encode({"capacity": ratings.capacity_ah}, settings.installed_capacity_bytes)


def _serial_number_1(state: BatteryState, _: FrameSettings) -> CanFrame | None:
    serial = _serial(state)
    return _text(0x380, serial[:8]) if serial else None


def _serial_number_2(state: BatteryState, _: FrameSettings) -> CanFrame | None:
    serial = _serial(state)
    return _text(0x381, serial[8:]) if serial else None


def _family_name(_: BatteryState, settings: FrameSettings) -> CanFrame | None:
    return _text(0x382, settings.family_name) if settings.family_name else None


def _text(arbitration_id: int, text: str) -> CanFrame:
    return FRAME_FORMATS[arbitration_id].encode({"text": text})


def _rolled_over(energy_wh: float) -> float:
    """Return the counter as it reads after its roll-over; rounding may reach the end of the range, which is 0 again."""
    rounded_wh = math.floor(max(energy_wh, 0.0) / 100.0 + 0.5) * 100.0
    return rounded_wh % _ENERGY_ROLL_OVER_WH


def _serial(state: BatteryState) -> str:
    """Return the last 16 of the TinyBMS's 24 hex digits; the vendor's own short id is the end of the number, too."""
    serial = state.identity.serial_number if state.identity else ""
    return "".join(letter for letter in serial if letter.isascii() and letter.isalnum())[-16:]


OPTIONAL_BUILDERS: Final[Mapping[int, Builder]] = {
    0x35E: _manufacturer_name,
    0x35F: _version_and_capacity,
    0x370: _battery_name_1,
    0x371: _battery_name_2,
    0x372: _modules,
    0x373: _cell_extremes,
    0x374: _lowest_voltage_cell,
    0x375: _highest_voltage_cell,
    0x376: _coldest_sensor,
    0x377: _hottest_sensor,
    0x378: _energy,
    0x379: _installed_capacity,
    0x380: _serial_number_1,
    0x381: _serial_number_2,
    0x382: _family_name,
}
