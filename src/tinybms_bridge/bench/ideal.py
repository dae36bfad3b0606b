"""The ideal charger: it holds every cell just at its full voltage and wastes nothing. The measure for energy lost."""

import functools
import math
from dataclasses import dataclass

from tinybms_bridge.bench.scenario import Scenario
from tinybms_bridge.tinybms.simulator.pack import PackCell
from tinybms_bridge.victron.devices import INVERTER_EFFICIENCY

__all__ = ["Ideal", "ideal_charge"]


@dataclass(frozen=True, slots=True)
class Ideal:
    """What an ideal charger makes of a scenario."""

    solar_wh: float
    """Solar energy harvested."""
    soc_percent: float
    """State of charge at the end."""
    highest_soc_percent: float
    """Highest state of charge."""


@functools.lru_cache(maxsize=64)
def ideal_charge(scenario: Scenario) -> Ideal:
    """Return what an ideal charger makes of a scenario.

    It serves the same loads from the same sun, sells as much, and charges each cell as if it were alone, up to its
    full voltage (register 300), within the BMS's charge over-current and low-temperature cutoffs (318 and 320).
    """
    ratings, system = scenario.battery.ratings(), scenario.system
    cells = scenario.battery.build().cells
    step_s = scenario.longest_step_s
    export_w = system.export_max_w / INVERTER_EFFICIENCY if system.feed_in and not system.island else 0.0
    most_a = min(ratings.charge_over_current_a, system.solar_max_a)
    room_ah = sum(cell.capacity_ah for cell in cells)
    highest_ah = held_ah = sum(cell.soc * cell.capacity_ah for cell in cells)
    solar_wh = 0.0
    time_s = scenario.start_s
    while time_s < scenario.end_s:
        sun_w = scenario.sun.at(time_s)
        load_w = min(scenario.load.at(time_s), system.inverter_max_w) / INVERTER_EFFICIENCY
        warm = min(cell.temperature_c for cell in cells) >= ratings.low_temperature_charge_c
        full_v = ratings.fully_charged_cell_v if warm else -math.inf
        wanted_w = sun_w - load_w
        ambient_c = scenario.ambient.at(time_s)
        taken_w = _step(cells, step_s, wanted_w, full_v, most_a, ratings.fully_discharged_cell_v, ambient_c)
        surplus_w = max(wanted_w - taken_w, 0.0)
        # What neither loads, battery nor buyers take stays in the panels.
        solar_wh += (sun_w - max(surplus_w - export_w, 0.0)) * step_s / 3600.0
        time_s += step_s
        held_ah = sum(cell.soc * cell.capacity_ah for cell in cells)
        highest_ah = max(highest_ah, held_ah)
    return Ideal(solar_wh, 100.0 * held_ah / room_ah, 100.0 * highest_ah / room_ah)


def _step(
    cells: tuple[PackCell, ...],
    dt_s: float,
    wanted_w: float,
    full_v: float,
    most_a: float,
    empty_v: float,
    ambient_c: float,
) -> float:
    """Let power flow into (positive) or out of the cells; return what went in, 0 when none did."""
    voltages_v = [cell.voltage_v(0.0) for cell in cells]
    wanted_a = min(wanted_w / max(sum(voltages_v), 1.0), most_a)
    if wanted_a < 0.0 and min(voltages_v) <= empty_v:
        wanted_a = 0.0
    taken_w = 0.0
    for cell, open_v in zip(cells, voltages_v, strict=True):
        current_a = wanted_a
        if wanted_a > 0.0:
            current_a = min(wanted_a, max((full_v - open_v) / cell.ohmic_ohm, 0.0))
        if current_a > 0.0:
            taken_w += current_a * (open_v + current_a * cell.ohmic_ohm)
        cell.step(dt_s, current_a, ambient_c)
    return taken_w
