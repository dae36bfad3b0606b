"""The last sample as the registers that it came from, for the field ``registers`` of the seed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.services.web.live.numbers import balancing_bits

__all__ = ["LiveRegister", "live_registers"]

_CELLS = 16


class LiveRegister(TypedDict):
    """One value of the BMS (protocol Rev D, section 2)."""

    address: int
    name: str
    value: float | int | None
    unit: str


@dataclass(frozen=True, slots=True)
class _Source:
    address: int
    name: str
    unit: str
    read: Callable[[Snapshot], float | int | None]


_SOURCES = (
    _Source(32, "lifetime_counter", "s", lambda s: s.pack.lifetime_s),
    _Source(34, "estimated_time_left", "s", lambda s: s.pack.time_left_s),
    _Source(36, "pack_voltage", "V", lambda s: s.pack.voltage_v),
    _Source(38, "pack_current", "A", lambda s: s.pack.current_a),
    _Source(40, "min_cell_voltage", "V", lambda s: s.cells.min_v),
    _Source(41, "max_cell_voltage", "V", lambda s: s.cells.max_v),
    _Source(42, "external_temperature_1", "°C", lambda s: s.temperatures.external_1_c),
    _Source(43, "external_temperature_2", "°C", lambda s: s.temperatures.external_2_c),
    _Source(45, "state_of_health", "%", lambda s: s.pack.soh_percent),
    _Source(46, "state_of_charge", "%", lambda s: s.pack.counted_by_bms_percent),
    _Source(48, "internal_temperature", "°C", lambda s: s.temperatures.internal_c),
    _Source(50, "online_status", "", lambda s: s.pack.status_raw),
    _Source(52, "real_balancing_bits", "", lambda s: (balancing_bits(s) or 0) << (_CELLS - s.cells.count)),
)


def live_registers(snapshot: Snapshot | None) -> list[LiveRegister]:
    """Return the values by register; empty without a live sample.

    Cell n of N is register 16 - N + n - 1, because the cells sit at the highest connector pins.
    """
    if snapshot is None:
        return []
    first = _CELLS - snapshot.cells.count
    cells: list[LiveRegister] = [
        {"address": pin, "name": f"cell_{pin + 1}_voltage", "value": voltage_v, "unit": "V"}
        for pin, voltage_v in enumerate(snapshot.cells.voltages_v, start=first)
    ]
    return cells + [_entry(source, snapshot) for source in _SOURCES]


def _entry(source: _Source, snapshot: Snapshot) -> LiveRegister:
    return {"address": source.address, "name": source.name, "value": source.read(snapshot), "unit": source.unit}
