"""The battery, its packs and cells: measurements while they are live, limits while they are sent, alarms, energy."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.limits.model import ChargeState, Limits, Quantity
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.snapshot import BmsStatus, Snapshot
from tinybms_bridge.battery.state import PackCondition, PackState
from tinybms_bridge.services.metrics.family import Family, Picture, Present, Reading, counter, gauge, info

__all__ = ["BATTERY"]

_JOULES_PER_WH = 3600.0
_COULOMBS_PER_AH = 3600.0


def _all_of(choices: Iterable[str], chosen: str) -> Iterator[Reading]:
    """Yield 1 for what is chosen and 0 for all that could be, so that each of them can be asked for."""
    for each in choices:
        yield (str(each),), float(each == chosen)


def _of_battery(get: Callable[[Snapshot], float | None]) -> Callable[[Picture], Iterable[Reading]]:
    def read(picture: Picture) -> Iterable[Reading]:
        measured = picture.moment.view.measured
        return [] if measured is None else [((), get(measured))]

    return read


def _of_packs(get: Callable[[Snapshot], float | None]) -> Callable[[Picture], Iterable[Reading]]:
    def read(picture: Picture) -> Iterable[Reading]:
        return [((pack,), get(measured)) for pack, measured in _measured_packs(picture)]

    return read


def _measured_packs(picture: Picture) -> Iterator[tuple[str, Snapshot]]:
    for pack, view in picture.moment.packs.items():
        if view.measured is not None:
            yield pack, view.measured


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100.0


_MEASURED: Mapping[str, tuple[str, Callable[[Snapshot], float | None]]] = {
    "voltage_volts": ("Voltage", lambda found: found.pack.voltage_v),
    "current_amperes": ("Current, positive into the battery", lambda found: found.pack.current_a),
    "power_watts": ("Power, positive into the battery", lambda found: found.pack.power_w),
    "soc_ratio": (
        "State of charge, 0 to 1; absent while it cannot be true",
        lambda found: _share(found.pack.soc_percent) if found.pack.soc_known else None,
    ),
    "soh_ratio": (
        "State of health, 0 to 1; absent where the firmware has none",
        lambda found: _share(found.pack.soh_percent),
    ),
    "cell_voltage_min_volts": ("Voltage of the lowest cell", lambda found: found.cells.min_v),
    "cell_voltage_max_volts": ("Voltage of the highest cell", lambda found: found.cells.max_v),
    "cell_voltage_spread_volts": (
        "Difference between highest and lowest cell",
        lambda found: found.cells.max_v - found.cells.min_v,
    ),
    "time_left_seconds": (
        "Time until the battery is empty as the BMS estimates it; absent at rest",
        lambda found: found.pack.time_left_s,
    ),
}
"""What is measured of the battery and of each pack."""

_SENSORS: Mapping[str, Callable[[Snapshot], float | None]] = {
    "internal": lambda found: found.temperatures.internal_c,
    "external_1": lambda found: found.temperatures.external_1_c,
    "external_2": lambda found: found.temperatures.external_2_c,
}


def _temperatures(picture: Picture) -> Iterator[Reading]:
    measured = picture.moment.view.measured
    if measured is not None:
        for sensor, get in _SENSORS.items():
            yield (sensor,), get(measured)


def _pack_temperatures(picture: Picture) -> Iterator[Reading]:
    for pack, measured in _measured_packs(picture):
        for sensor, get in _SENSORS.items():
            yield (pack, sensor), get(measured)


def _statuses(picture: Picture) -> Iterator[Reading]:
    for pack, measured in _measured_packs(picture):
        for labels, value in _all_of([each.name for each in BmsStatus], measured.pack.status.name):
            yield (pack, *labels), value


def _cell_voltages(picture: Picture) -> Iterator[Reading]:
    for pack, measured in _measured_packs(picture):
        for number, voltage_v in enumerate(measured.cells.voltages_v, 1):
            yield (pack, str(number)), voltage_v


def _balancing(picture: Picture) -> Iterator[Reading]:
    for pack, measured in _measured_packs(picture):
        for number, bled in enumerate(measured.cells.balancing, 1):
            yield (pack, str(number)), float(bled)


def _pack_ages(picture: Picture) -> Iterator[Reading]:
    for pack, view in picture.moment.packs.items():
        yield (pack,), view.age_s


def _identities(picture: Picture) -> Iterator[tuple[str, ...]]:
    if picture.heard:
        for pack, state in picture.moment.battery.packs.items():
            if state.identity is not None:
                found = state.identity
                yield pack, found.serial_number, found.firmware, found.hardware_version


def _of_limits(get: Callable[[Limits], float]) -> Callable[[Picture], Iterable[Reading]]:
    def read(picture: Picture) -> Iterable[Reading]:
        limits = picture.moment.view.limits
        return [] if limits is None else [((), get(limits))]

    return read


def _of_parts(get: Callable[[PackState], float | None]) -> Callable[[Picture], Iterable[Reading]]:
    """Return what reads the part of each of several packs; the only one has none."""

    def read(picture: Picture) -> Iterator[Reading]:
        if len(picture.moment.packs) > 1:
            for pack, _ in _measured_packs(picture):
                yield (pack,), get(picture.moment.battery.pack(pack))

    return read


def _conditions(picture: Picture) -> Iterator[Reading]:
    if picture.heard and len(picture.moment.packs) > 1:
        for pack, state in picture.moment.battery.packs.items():
            for labels, value in _all_of(PackCondition, state.condition):
                yield (pack, *labels), value


def _born(get: Callable[[Limits], float]) -> Callable[[Picture], Iterable[Reading]]:
    def read(picture: Picture) -> Iterator[Reading]:
        if len(picture.moment.packs) > 1:
            for pack, view in picture.moment.packs.items():
                if view.limits is not None:
                    yield (pack,), get(view.limits)

    return read


def _pack_energy(get: Callable[[EnergyTotals], float]) -> Callable[[Picture], Iterable[Reading]]:
    def read(picture: Picture) -> Iterator[Reading]:
        if picture.heard and len(picture.moment.packs) > 1:
            for pack, state in picture.moment.battery.packs.items():
                yield (pack,), get(state.saved_energy) * _JOULES_PER_WH

    return read


_LIMITS = {"cvl": Quantity.CVL, "ccl": Quantity.CCL, "dcl": Quantity.DCL}


def _reasons(picture: Picture) -> Iterator[tuple[str, str]]:
    limits = picture.moment.view.limits
    if limits is not None:
        for name, quantity in _LIMITS.items():
            reason = limits.binding(quantity)
            if reason is not None:
                yield name, reason.code


def _charge_states(picture: Picture) -> Iterable[Reading]:
    limits = picture.moment.view.limits
    return [] if limits is None else _all_of(ChargeState, limits.state)


def _freshness(picture: Picture) -> Iterable[Reading]:
    return _all_of(Freshness, picture.moment.view.freshness)


_LEVELS = {AlarmLevel.WARNING: "warning", AlarmLevel.ALARM: "alarm"}


def _alarms(picture: Picture) -> Iterator[Reading]:
    """Yield both levels of each name; while the core is not heard, of that alone: who knows about the others?"""
    active = picture.moment.active()
    names: Iterable[AlarmName | NoticeName] = [*AlarmName, *NoticeName] if picture.heard else active
    for name in names:
        kind = "alarm" if isinstance(name, AlarmName) else "notice"
        for level, text in _LEVELS.items():
            yield (name, kind, text), float(active.get(name) is level)


def _inhibited(picture: Picture) -> Iterator[Reading]:
    if picture.heard:
        stopped = {each.direction for each in picture.inhibits}
        for direction in Direction:
            yield (direction,), float(direction in stopped)


def _energy(get: Callable[[EnergyTotals], float], factor: float) -> Callable[[Picture], Iterable[Reading]]:
    """Return what reads a counter as far as it is on the disk: one that falls a little would be taken for a new one."""
    return lambda picture: [((), get(picture.moment.battery.saved_energy) * factor)] if picture.heard else []


BATTERY: tuple[Family, ...] = (
    gauge(
        "battery_freshness",
        "1 for how much the last sample can be trusted: in HOLD and SILENT no measurement is present.",
        Present.ALWAYS,
        _freshness,
        "state",
    ),
    gauge(
        "battery_sample_age_seconds",
        "Age of the last sample, live or not.",
        Present.KNOWN,
        lambda picture: [((), picture.moment.view.age_s)],
    ),
    gauge(
        "battery_readings_frozen",
        "1 while samples come whose readings stand still.",
        Present.ALWAYS,
        lambda picture: [((), float(picture.moment.view.frozen))],
    ),
    *(
        gauge(f"battery_{name}", f"{text}, of the battery.", Present.LIVE, _of_battery(get))
        for name, (text, get) in _MEASURED.items()
    ),
    gauge(
        "battery_temperature_celsius",
        "Temperature by sensor; absent for a sensor that is not connected.",
        Present.LIVE,
        _temperatures,
        "sensor",
    ),
    gauge(
        "charge_state",
        "1 for the state of the charge control.",
        Present.SENT,
        _charge_states,
        "state",
    ),
    gauge(
        "limit_cvl_volts",
        "Charge voltage limit (CVL) as sent to the GX.",
        Present.SENT,
        _of_limits(lambda limits: limits.cvl_v),
    ),
    gauge(
        "limit_ccl_amperes",
        "Charge current limit (CCL) as sent to the GX.",
        Present.SENT,
        _of_limits(lambda limits: limits.ccl_a),
    ),
    gauge(
        "limit_dcl_amperes",
        "Discharge current limit (DCL) as sent to the GX.",
        Present.SENT,
        _of_limits(lambda limits: limits.dcl_a),
    ),
    info(
        "limit_reason",
        "Code of what binds each limit: cvl, ccl and dcl.",
        Present.SENT,
        _reasons,
        "limit",
        "code",
    ),
    gauge(
        "battery_full",
        "1 while the battery counts as full.",
        Present.SENT,
        _of_limits(lambda limits: float(limits.full)),
    ),
    gauge(
        "alarm",
        "1 while an alarm or notice is in force; of a core that is not heard only core_unreachable is known.",
        Present.ALWAYS,
        _alarms,
        "name",
        "kind",
        "level",
    ),
    gauge("inhibited", "1 while a direction is stopped by hand.", Present.HEARD, _inhibited, "direction"),
    counter(
        "battery_charged_joules",
        "Energy into the battery; divided by 3.6e6 it is kWh.",
        Present.HEARD,
        _energy(lambda totals: totals.charged_wh, _JOULES_PER_WH),
    ),
    counter(
        "battery_discharged_joules",
        "Energy out of the battery; divided by 3.6e6 it is kWh.",
        Present.HEARD,
        _energy(lambda totals: totals.discharged_wh, _JOULES_PER_WH),
    ),
    counter(
        "battery_charged_coulombs",
        "Charge into the battery; divided by 3600 it is Ah.",
        Present.HEARD,
        _energy(lambda totals: totals.charged_ah, _COULOMBS_PER_AH),
    ),
    counter(
        "battery_discharged_coulombs",
        "Charge out of the battery; divided by 3600 it is Ah.",
        Present.HEARD,
        _energy(lambda totals: totals.discharged_ah, _COULOMBS_PER_AH),
    ),
    info(
        "pack",
        "Who the BMS of a pack is.",
        Present.HEARD,
        _identities,
        "pack",
        "serial_number",
        "firmware",
        "hardware",
    ),
    gauge("pack_status", "1 for what the BMS of a pack says it does.", Present.LIVE, _statuses, "pack", "status"),
    gauge(
        "pack_sample_age_seconds", "Age of the last sample of a pack, live or not.", Present.KNOWN, _pack_ages, "pack"
    ),
    *(
        gauge(f"pack_{name}", f"{text}, of a pack.", Present.LIVE, _of_packs(get), "pack")
        for name, (text, get) in _MEASURED.items()
    ),
    gauge(
        "pack_temperature_celsius",
        "Temperature of a pack by sensor; absent for a sensor that is not connected.",
        Present.LIVE,
        _pack_temperatures,
        "pack",
        "sensor",
    ),
    gauge(
        "pack_condition",
        "1 for the part that a pack has in a battery of several.",
        Present.HEARD,
        _conditions,
        "pack",
        "condition",
    ),
    gauge(
        "pack_charge_share_ratio",
        "Part of a pack of several in the charge current of the battery, 0 to 1.",
        Present.LIVE,
        _of_parts(lambda pack: pack.charge_share),
        "pack",
    ),
    gauge(
        "pack_discharge_share_ratio",
        "Part of a pack of several in the discharge current of the battery, 0 to 1.",
        Present.LIVE,
        _of_parts(lambda pack: pack.discharge_share),
        "pack",
    ),
    gauge(
        "pack_charge_blocked",
        "1 while nothing flows into a pack of several.",
        Present.LIVE,
        _of_parts(lambda pack: float(pack.charge_blocked)),
        "pack",
    ),
    gauge(
        "pack_discharge_blocked",
        "1 while nothing is to flow out of a pack of several.",
        Present.LIVE,
        _of_parts(lambda pack: float(pack.discharge_blocked)),
        "pack",
    ),
    gauge(
        "pack_ccl_amperes",
        "Charge current that a pack of several bears by itself.",
        Present.LIVE,
        _born(lambda limits: limits.ccl_a),
        "pack",
    ),
    gauge(
        "pack_dcl_amperes",
        "Discharge current that a pack of several bears by itself.",
        Present.LIVE,
        _born(lambda limits: limits.dcl_a),
        "pack",
    ),
    counter(
        "pack_charged_joules",
        "Energy into a pack of several; divided by 3.6e6 it is kWh.",
        Present.HEARD,
        _pack_energy(lambda totals: totals.charged_wh),
        "pack",
    ),
    counter(
        "pack_discharged_joules",
        "Energy out of a pack of several; divided by 3.6e6 it is kWh.",
        Present.HEARD,
        _pack_energy(lambda totals: totals.discharged_wh),
        "pack",
    ),
    gauge("cell_voltage_volts", "Voltage of a cell, numbered from 1.", Present.LIVE, _cell_voltages, "pack", "cell"),
    gauge(
        "cell_balancing",
        "1 while the BMS bleeds a cell; absent where it does not tell.",
        Present.LIVE,
        _balancing,
        "pack",
        "cell",
    ),
)
"""In the order of the page."""
