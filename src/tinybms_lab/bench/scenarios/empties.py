"""Loads near empty: on a grid that hears DCL, in an island that does not, with and without steps of the load."""

from dataclasses import replace

from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.scenario import Bar, Scenario
from tinybms_lab.bench.scenarios.parts import NO_SALE, pack, top_balanced
from tinybms_lab.bench.weather import Constant, Profile, Pulses
from tinybms_lab.gx.dvcc import SystemPlan

__all__ = ["SCENARIOS"]

_EVENING_H = 18.0
_CUTS_IN_2_H = 9
"""Bursts that an empty battery cannot bear cut it whenever the loads are back: after pauses of 1, 2, 4 and 8 min, then
each quarter of an hour. Without pauses it is once in each burst."""


def _used(battery: BatteryPlan, resistance: float = 2.5) -> BatteryPlan:
    """Return a battery of used cells, whose resistance shows."""
    return replace(battery, odd=tuple(replace(cell, resistance_factor=resistance) for cell in battery.odd))


_AT_24 = _used(top_balanced(BatteryPlan(soc=0.24)))


def _evening(
    name: str,
    title: str,
    battery: BatteryPlan,
    load: Profile,
    hours: float,
    *,
    system: SystemPlan = NO_SALE,
    empty_trips: int = 0,
) -> Scenario:
    return Scenario(
        name,
        title,
        battery=battery,
        system=system,
        sun=Constant(0.0),
        load=load,
        start_h=_EVENING_H,
        hours=hours,
        longest_step_s=2.0,
        expects_float=False,
        bar=Bar(empty_trips=empty_trips),
    )


def _bursts(high_w: float, low_w: float) -> Pulses:
    return Pulses(low_w, high_w, _EVENING_H * 3600.0 + 60.0, 120.0, 40.0)


SCENARIOS = (
    _evening("empty-grid", "9 kW on the grid, from 24 % to empty", _AT_24, Constant(9000.0), 1.2),
    _evening(
        "empty-grid-li-ion",
        "3 kW on the grid with 14 Li-ion cells, from 20 % to empty",
        _used(top_balanced(pack("li-ion", 14, 100.0, 0.2))),
        Constant(3000.0),
        1.0,
    ),
    _evening(
        "empty-grid-bursts", "10 kW bursts on the grid, from 16 % to empty", replace(_AT_24, soc=0.16),
        _bursts(10_000.0, 500.0), 2.0,
    ),
    _evening(
        "empty-island",
        "10 kW bursts in an island, from 12 % to empty",
        replace(_AT_24, soc=0.12),
        _bursts(10_000.0, 500.0),
        2.0,
        system=SystemPlan(),
        empty_trips=_CUTS_IN_2_H,
    ),
    _evening(
        "empty-cold",
        "9 kW on the grid with cells of 3 °C, whose resistance nobody told",
        replace(_used(_AT_24, 6.0), temperature_c=3.0),
        Constant(9000.0),
        1.2,
    ),
)  # fmt: skip
"""In the order of the table."""
