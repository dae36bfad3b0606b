"""What flowed in a run, beside what had to flow, what was allowed, and what an ideal charger makes of the scenario.

The ideal charger holds every cell just at its full voltage and wastes nothing: the measure for energy lost.
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from tinybms_lab.bench.scenario import Bound, Scenario, What
from tinybms_lab.bench.trace import Column, Run, Trace
from tinybms_lab.bms.pack import PackCell
from tinybms_lab.gx.devices import INVERTER_EFFICIENCY

__all__ = ["FlowFinding", "Ideal", "findings", "ideal_charge"]


@dataclass(frozen=True, slots=True)
class FlowFinding:
    """What a run makes of a bound."""

    bound: str
    """In words."""
    found: float
    """The value nearest to the bound, or furthest outside; not a number when nothing was sent."""
    unit: str
    outside_s: float
    """Longest time outside; the whole time for a sum."""
    kept: bool

    def __str__(self) -> str:
        found = "nothing was sent" if math.isnan(self.found) else f"{self.found:.1f} {self.unit}"
        return found if self.kept else f"{found} ({self.outside_s:.0f} s outside)"


def findings(run: Run) -> tuple[FlowFinding, ...]:
    """Return what a run makes of the bounds of its scenario, in their order."""
    return tuple(_find(run, bound) for bound in run.scenario.bounds)


def _find(run: Run, bound: Bound) -> FlowFinding:
    start_s = run.scenario.start_s
    rows = list(_rows(run.trace, bound.what, start_s + bound.from_s, start_s + bound.to_s))
    if bound.what.summed:
        total = sum(value for value, _ in rows)
        kept = bound.least <= total <= bound.most
        return FlowFinding(str(bound), total, bound.what.unit, 0.0 if kept else sum(step for _, step in rows), kept)
    longest_s = since_s = 0.0
    worst, worst_far = math.nan, -math.inf
    for value, step_s in rows:
        far = _far(bound, value)
        since_s = since_s + step_s if far > 0.0 else 0.0
        longest_s = max(longest_s, since_s)
        if far > worst_far and not (far > 0.0 and since_s <= bound.for_s):
            worst, worst_far = value, far
    return FlowFinding(str(bound), worst, bound.what.unit, longest_s, longest_s <= bound.for_s + 1e-6)


def _far(bound: Bound, value: float) -> float:
    """Return how far outside a value is, below 0 inside; nothing sent is outside of what has to be at least there."""
    if math.isnan(value):
        return -math.inf if math.isinf(bound.least) else math.inf
    return max(bound.least - value, value - bound.most)


def _rows(trace: Trace, what: What, from_s: float, to_s: float) -> Iterator[tuple[float, float]]:
    """Yield the value in each step, and its length; for a sum the share of the step."""
    names = (
        Column.TIME_S, Column.STEP_S, Column.CVL_V, Column.CCL_A, Column.DCL_A,
        Column.CURRENT_A, Column.PACK_V, Column.LOAD_W, Column.SERVED_W,
    )  # fmt: skip
    columns = zip(*(trace.column(name) for name in names), strict=True)
    for time_s, step_s, cvl_v, ccl_a, dcl_a, current_a, pack_v, load_w, served_w in columns:
        if not from_s < time_s <= to_s + 1e-6:
            continue
        value = {
            What.CVL: cvl_v,
            What.CCL: ccl_a,
            What.DCL: dcl_a,
            What.CURRENT: current_a,
            What.BELOW_PACK: pack_v - cvl_v,
            What.OVER_CCL: current_a - ccl_a,
            What.CHARGED: current_a * step_s / 3600.0,
            What.UNSERVED: load_w - served_w,
            What.SILENT: step_s if math.isnan(cvl_v) else 0.0,
        }[what]
        yield value, step_s


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
