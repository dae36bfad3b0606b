"""The optional frames: names, versions, modules, cells, energy, serial number (victron-can.md, 2)."""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from tinybms_bridge.battery.limits.model import Freshness
from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.battery.state import BatteryState, PackCondition
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.field import FieldValue
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS
from tinybms_bridge.victron.can.frames import Builder, known
from tinybms_bridge.victron.can.outgoing import FrameSettings
from tinybms_bridge.victron.can.places import cell_text, sensors_by_text

__all__ = ["OPTIONAL_BUILDERS"]

_KELVIN = 273.15
_LARGEST_VERSION = 25_599  # 255.99
_ENERGY_ROLL_OVER_WH = 100.0 * 2**32


def _manufacturer_name(_: BatteryState, settings: FrameSettings) -> CanFrame:
    return _text(0x35E, settings.manufacturer_text)


def _version_and_capacity(state: BatteryState, settings: FrameSettings) -> CanFrame:
    identity = _first_unit(state)
    version = min(identity.firmware_internal, _LARGEST_VERSION) if identity else 0
    return FRAME_FORMATS[0x35F].encode(
        {
            "battery_model": settings.battery_model_id,
            "firmware_version": f"{version // 100}.{version % 100}",
            "online_capacity": _capacity_ah(state),
        }
    )


def _has_long_name(_: BatteryState, settings: FrameSettings) -> bool:
    return settings.has_long_name


def _battery_name_1(_: BatteryState, settings: FrameSettings) -> CanFrame:
    return _text(0x370, settings.battery_name_texts[0])


def _battery_name_2(_: BatteryState, settings: FrameSettings) -> CanFrame:
    return _text(0x371, settings.battery_name_texts[1])


def _modules(state: BatteryState, _: FrameSettings) -> CanFrame:
    """Return 0x372: a module is OK while it is online, and may block a direction beside that, as readers expect it.

    A limit of 0 blocks all of them. A pack that a person has taken out of service is no module at all.
    """
    fresh = state.limits.freshness is Freshness.FRESH
    sent = FRAME_FORMATS[0x351].fields
    no_charge = sent["charge_current_limit"].to_raw(state.limits.ccl_a) == 0
    no_discharge = sent["discharge_current_limit"].to_raw(state.limits.dcl_a) == 0
    packs = [pack for pack in state.packs.values() if pack.condition is not PackCondition.OUT_OF_SERVICE]
    several = len(state.packs) > 1
    online = sum(fresh and pack.is_online for pack in packs)
    return FRAME_FORMATS[0x372].encode(
        {
            "ok": online,
            "blocking_charge": sum(no_charge or (several and pack.charge_blocked) for pack in packs),
            "blocking_discharge": sum(no_discharge or (several and pack.discharge_blocked) for pack in packs),
            "offline": len(packs) - online,
        }
    )


def _has_cells(state: BatteryState, _: FrameSettings) -> bool:
    return state.snapshot.cells.count > 0


def _cell_extremes(state: BatteryState, _: FrameSettings) -> CanFrame:
    cells = state.snapshot.cells
    values: dict[str, FieldValue] = {
        "lowest_cell_voltage": cells.min_v * 1000.0,
        "highest_cell_voltage": cells.max_v * 1000.0,
    }
    sensors = sensors_by_text(state)
    if not sensors:
        return FRAME_FORMATS[0x373].encode(values, 4)
    values["lowest_cell_temperature"] = min(sensors.values()) + _KELVIN
    values["highest_cell_temperature"] = max(sensors.values()) + _KELVIN
    return FRAME_FORMATS[0x373].encode(values)


def _lowest_voltage_cell(state: BatteryState, _: FrameSettings) -> CanFrame:
    return _text(0x374, cell_text(state, state.snapshot.cells.min_number))


def _highest_voltage_cell(state: BatteryState, _: FrameSettings) -> CanFrame:
    return _text(0x375, cell_text(state, state.snapshot.cells.max_number))


def _has_sensors(state: BatteryState, _: FrameSettings) -> bool:
    return bool(sensors_by_text(state))


def _coldest_sensor(state: BatteryState, _: FrameSettings) -> CanFrame:
    sensors = sensors_by_text(state)
    return _text(0x376, min(sensors, key=sensors.__getitem__))


def _hottest_sensor(state: BatteryState, _: FrameSettings) -> CanFrame:
    sensors = sensors_by_text(state)
    return _text(0x377, max(sensors, key=sensors.__getitem__))


def _has_energy(state: BatteryState, _: FrameSettings) -> bool:
    return math.isfinite(state.saved_energy.charged_wh) and math.isfinite(state.saved_energy.discharged_wh)


def _energy(state: BatteryState, _: FrameSettings) -> CanFrame:
    energy = state.saved_energy
    return FRAME_FORMATS[0x378].encode(
        {
            "charged": _rolled_over(energy.charged_wh),
            "discharged": _rolled_over(energy.discharged_wh),
        }
    )


def _capacity_ah(state: BatteryState) -> float:
    """Return the capacity; 0 while it is not known."""
    ratings = state.snapshot.ratings
    return ratings.capacity_ah if ratings and known(ratings.capacity_ah) else 0.0


def _has_capacity(state: BatteryState, _: FrameSettings) -> bool:
    ratings = state.snapshot.ratings
    return ratings is not None and known(ratings.capacity_ah)


def _installed_capacity(state: BatteryState, settings: FrameSettings) -> CanFrame:
    return FRAME_FORMATS[0x379].encode({"capacity": _capacity_ah(state)}, settings.installed_capacity_bytes)


def _has_serial(state: BatteryState, _: FrameSettings) -> bool:
    return bool(_serial(state))


def _serial_number_1(state: BatteryState, _: FrameSettings) -> CanFrame:
    return _text(0x380, _serial(state)[:8])


def _serial_number_2(state: BatteryState, _: FrameSettings) -> CanFrame:
    return _text(0x381, _serial(state)[8:])


def _has_family_name(_: BatteryState, settings: FrameSettings) -> bool:
    return bool(settings.family_name)


def _family_name(_: BatteryState, settings: FrameSettings) -> CanFrame:
    return _text(0x382, settings.family_name)


@lru_cache(maxsize=64)
def _text(arbitration_id: int, text: str) -> CanFrame:
    return FRAME_FORMATS[arbitration_id].encode({"text": text})


def _rolled_over(energy_wh: float) -> float:
    """Return the counter as it reads after its roll-over; rounding may reach the end of the range, which is 0 again."""
    rounded_wh = math.floor(max(energy_wh, 0.0) / 100.0 + 0.5) * 100.0
    return rounded_wh % _ENERGY_ROLL_OVER_WH


def _serial(state: BatteryState) -> str:
    """Return the last 16 of the TinyBMS's 24 hex digits; the vendor's own short id is the end of the number, too."""
    identity = _first_unit(state)
    return _end_of(identity.serial_number) if identity else ""


def _first_unit(state: BatteryState) -> Identity | None:
    """Return who the BMS of the first pack in service is, also while that is silent: a GX knows the battery by it."""
    in_service = (pack for pack in state.packs.values() if pack.condition is not PackCondition.OUT_OF_SERVICE)
    return next((pack.identity for pack in in_service), state.identity)


@lru_cache(maxsize=4)
def _end_of(serial: str) -> str:
    return "".join(letter for letter in serial if letter.isascii() and letter.isalnum())[-16:]


OPTIONAL_BUILDERS: Final[Mapping[int, Builder]] = {
    0x35E: Builder(_manufacturer_name),
    0x35F: Builder(_version_and_capacity),
    0x370: Builder(_battery_name_1, _has_long_name),
    0x371: Builder(_battery_name_2, _has_long_name),
    0x372: Builder(_modules),
    0x373: Builder(_cell_extremes, _has_cells),
    0x374: Builder(_lowest_voltage_cell, _has_cells),
    0x375: Builder(_highest_voltage_cell, _has_cells),
    0x376: Builder(_coldest_sensor, _has_sensors),
    0x377: Builder(_hottest_sensor, _has_sensors),
    0x378: Builder(_energy, _has_energy),
    0x379: Builder(_installed_capacity, _has_capacity),
    0x380: Builder(_serial_number_1, _has_serial),
    0x381: Builder(_serial_number_2, _has_serial),
    0x382: Builder(_family_name, _has_family_name),
}
