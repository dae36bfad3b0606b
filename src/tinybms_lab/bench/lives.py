"""What a run does to the battery in the long run: high voltage, balance, the count, frost, days without charge."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.trace import STATES, Column, Run, Trace
from tinybms_lab.bench.weather import DAY_S
from tinybms_lab.gx.devices import INVERTER_EFFICIENCY

__all__ = ["FOLLOW_S", "FROST_LEAST_C", "FROST_SHARE", "HIGH_V", "Life", "live", "most_charge_c", "most_within"]

HIGH_V = {"lfp": 3.50, "li-ion": 4.10, "lto": 2.65}
"""Voltages from which a cell ages: of LFP and Li-ion as in the study of charging physics; LTO by analogy,
0.05 V below its register 300: full cells of it rest at 2.61 V."""
_FROST_C = ((0.0, 0.0), (5.0, 0.12), (10.0, 0.30), (15.0, 0.50), (20.0, 0.70), (25.0, 0.90))
"""Degrees Celsius and the largest charge current in C that plates no lithium, after the study of charging physics;
from the last of them on the BMS's own cutoff bounds it."""
FROST_SHARE, FROST_LEAST_C = 1.2, 0.02
"""Makers allow up to 0.2C at 5 °C; so a fifth above the curve is an instrument that reads wrong, no plating."""
_BALANCED_SHARE = 0.005
"""A pack whose cells differ by less than this share of the capacity is balanced."""
FOLLOW_S = 30.0
"""Chargers that hear no CCL need so long to follow a CVL that looks for its step; a layer of lithium needs longer."""
_HARD_A, _HARD_C = 2.0, 0.02
"""A switch that opens with more than the larger of the two opens hard."""
_SHOWN_FULL_PERCENT = 99.95
_EMPTY_PERCENT = 20.0
"""SUSTAIN above this true state of charge is not for an empty battery."""
_ROOM_PERCENT, _OFFERED_PERCENT, _TAKEN_SHARE = 90.0, 5.0, 0.2
"""A day counts as one without charge when the battery begins it with room and is offered more than 5 % of its
capacity, and takes less than a fifth of what there was and went in."""
_WARM_C = 8.0
"""On colder days a BMS and the cells have their own reasons to take little."""
_SETTLE_S, _STEADY_SHARE = 300.0, 0.02
"""A load is steady five minutes after it last changed by more than this share of the battery's 1C power."""
_SWING_A, _SWING_SHARE = 0.5, 0.01
"""A DCL that turns by less does not saw: the larger of half an ampere and 1 % of the largest DCL."""


@dataclass(frozen=True, slots=True)
class Life:
    """Measures of the long run; the defaults are those of a battery that suffers nothing."""

    high_h_per_day: float = 0.0
    """Hours a day with the highest cell at high voltage."""
    high_h_usual_day: float = 0.0
    """The same on half of the days: without balancing days, as long as they are fewer."""
    dcl_turns_per_h: float = 0.0
    """Most changes of direction of DCL within any hour of steady load."""
    spread_begin_ah: float = 0.0
    spread_end_ah: float = 0.0
    balanced_after_days: float | None = 0.0
    """After so many days the spread stays below 0.5 % of the capacity; None: never."""
    count_error_percent: float = 0.0
    """How far the shown state of charge is from the true one, at most, from the time on that the scenario gives the
    bridge to find it; 100 % is what the charge target holds."""
    plating_min: float = 0.0
    """Minutes with more charge current than the cells take at their temperature, for more than 30 s in a row."""
    hard_openings: int = 0
    """How often the charger switch opened, without a protection, with more than 2 A and 0.02C."""
    idle_days: int = 0
    """Days of sun on which a battery with room was not charged."""
    false_sustain_h: float = 0.0
    """Hours in SUSTAIN with a battery that is not empty."""
    top_percent: float = 100.0
    """Highest true state of charge of a day, on half of the days at least."""
    discharged_wh: float = 0.0
    """Energy that came out of the battery."""
    bms_full_days: int = 0
    """Days on which the BMS said full."""


def most_charge_c(chemistry: str, temperature_c: float) -> float:
    """Return the largest charge current, in C, that plates no lithium; LTO plates none."""
    if chemistry == "lto" or temperature_c >= _FROST_C[-1][0]:
        return math.inf
    if temperature_c <= _FROST_C[0][0]:
        return 0.0
    (cold_c, low), (warm_c, high) = next(pair for pair in pairwise(_FROST_C) if temperature_c < pair[1][0])
    return low + (high - low) * (temperature_c - cold_c) / (warm_c - cold_c)


def live(run: Run) -> Life:
    """Return the measures of a run."""
    scenario, trace = run.scenario, run.trace
    battery = scenario.battery
    spreads_ah = trace.column(Column.SPREAD_AH)
    days = list(_days(run))
    high_h = [day.high_s / 3600.0 for day in days]
    length_days = sum(day.length_s for day in days) / DAY_S
    whole = [day for day in days if day.length_s > 0.9 * DAY_S]
    hard_a = max(_HARD_A, _HARD_C * battery.capacity_ah)
    return Life(
        high_h_per_day=sum(high_h) / max(length_days, 1.0),
        high_h_usual_day=statistics.median(high_h),
        dcl_turns_per_h=_dcl_turns_per_h(trace, battery),
        spread_begin_ah=spreads_ah[0],
        spread_end_ah=spreads_ah[-1],
        balanced_after_days=_balanced_after_days(trace, scenario.start_s, _BALANCED_SHARE * battery.capacity_ah),
        count_error_percent=_count_error_percent(
            trace, scenario.start_s + scenario.bar.count_from_h * 3600.0, scenario.bar.full_percent
        ),
        plating_min=_plating_s(trace, battery) / 60.0,
        hard_openings=sum(opening.current_a > hard_a for opening in run.openings),
        idle_days=sum(day.idle for day in whole),
        false_sustain_h=_false_sustain_s(trace) / 3600.0,
        top_percent=statistics.median([day.top_percent for day in whole or days]),
        discharged_wh=_discharged_wh(trace),
        bms_full_days=sum(day.full for day in days),
    )


@dataclass(slots=True)
class _Day:
    length_s: float = 0.0
    high_s: float = 0.0
    top_percent: float = 0.0
    begin_percent: float = math.nan
    offered_percent: float = 0.0
    taken_percent: float = 0.0
    coldest_c: float = math.inf
    full: bool = False

    @property
    def idle(self) -> bool:
        """Whether a battery with room was offered a charge and hardly took it."""
        if self.begin_percent > _ROOM_PERCENT or self.coldest_c < _WARM_C or self.offered_percent < _OFFERED_PERCENT:
            return False
        return self.taken_percent < _TAKEN_SHARE * min(self.offered_percent, 100.0 - self.begin_percent)


def _days(run: Run) -> Iterator[_Day]:
    trace, battery = run.trace, run.scenario.battery
    high_v = HIGH_V[battery.chemistry]
    names = (
        Column.TIME_S, Column.STEP_S, Column.HIGHEST_V, Column.SOC_PERCENT, Column.SUN_W, Column.LOAD_W,
        Column.CURRENT_A, Column.COLDEST_C, Column.FULL, Column.PACK_V,
    )  # fmt: skip
    rows = zip(*(trace.column(name) for name in names), strict=True)
    for _, of_day in groupby(rows, key=lambda row: int((row[0] - 1e-3) // DAY_S)):
        day = _Day()
        for _, step_s, highest_v, soc_percent, sun_w, load_w, current_a, coldest_c, full, pack_v in of_day:
            share = 100.0 * step_s / 3600.0 / battery.capacity_ah
            if math.isnan(day.begin_percent):
                day.begin_percent = soc_percent
            day.length_s += step_s
            day.high_s += step_s if highest_v >= high_v else 0.0
            day.top_percent = max(day.top_percent, soc_percent)
            day.offered_percent += max(sun_w - load_w / INVERTER_EFFICIENCY, 0.0) / pack_v * share
            day.taken_percent += max(current_a, 0.0) * share
            day.coldest_c = min(day.coldest_c, coldest_c)
            day.full = day.full or full > 0.0
        yield day


def _dcl_turns_per_h(trace: Trace, battery: BatteryPlan) -> float:
    names = (Column.TIME_S, Column.LOAD_W, Column.DCL_A)
    times_s, loads_w, dcls_a = (trace.column(name) for name in names)
    one_c_w = battery.capacity_ah * battery.cells * battery.ratings().fully_charged_cell_v
    largest_a = max((a for a in dcls_a if not math.isnan(a)), default=0.0)
    swing_a = max(_SWING_A, _SWING_SHARE * largest_a)
    turns_s: list[float] = []
    load_w, changed_s = math.nan, -math.inf
    direction, extreme_a = 0, math.nan
    for time_s, now_w, dcl_a in zip(times_s, loads_w, dcls_a, strict=True):
        if not abs(now_w - load_w) <= one_c_w * _STEADY_SHARE:
            load_w, changed_s = now_w, time_s
        if math.isnan(dcl_a):
            continue
        moved_a = 0.0 if math.isnan(extreme_a) else dcl_a - extreme_a
        if math.isnan(extreme_a) or moved_a * direction > 0.0:
            extreme_a = dcl_a
        elif abs(moved_a) >= swing_a:
            if direction and time_s - changed_s >= _SETTLE_S:
                turns_s.append(time_s)
            direction, extreme_a = (1 if moved_a > 0.0 else -1), dcl_a
    return float(most_within(turns_s, 3600.0))


def most_within(times_s: Sequence[float], span_s: float) -> int:
    """Return how many of the rising times lie within any span, at most."""
    first = most = 0
    for last, time_s in enumerate(times_s):
        while time_s - times_s[first] > span_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def _balanced_after_days(trace: Trace, start_s: float, least_ah: float) -> float | None:
    last_s = start_s
    unequal = False
    for time_s, spread_ah in zip(trace.column(Column.TIME_S), trace.column(Column.SPREAD_AH), strict=True):
        unequal = spread_ah > least_ah
        if unequal:
            last_s = time_s
    return None if unequal else (last_s - start_s) / DAY_S


def _count_error_percent(trace: Trace, from_s: float, full_percent: float) -> float:
    """Return the largest error of the shown state of charge, where 100 % is what the charge target holds.

    A shown 100 % is one only with at least ``full_percent`` in the battery; from then on the truth is counted from it.
    """
    names = (Column.TIME_S, Column.SHOWN_PERCENT, Column.SOC_PERCENT)
    worst = missing = 0.0
    for time_s, shown, true in zip(*(trace.column(name) for name in names), strict=True):
        if shown >= _SHOWN_FULL_PERCENT and true >= full_percent:
            missing = 100.0 - true
        if time_s >= from_s and not math.isnan(shown):
            worst = max(worst, abs(shown - min(true + missing, 100.0)))
    return worst


def _plating_s(trace: Trace, battery: BatteryPlan) -> float:
    """Return for how long lithium may have been plated: by the electrode where the cells know it, else by the curve."""
    names = (Column.STEP_S, Column.CURRENT_A, Column.COLDEST_C, Column.ANODE_V)
    plating_s = since_s = 0.0
    for step_s, current_a, coldest_c, anode_v in zip(*(trace.column(name) for name in names), strict=True):
        if math.isnan(anode_v):
            most_c = max(FROST_SHARE * most_charge_c(battery.chemistry, coldest_c), FROST_LEAST_C)
            plates = current_a > most_c * battery.capacity_ah
        else:
            plates = anode_v < 0.0
        since_s = since_s + step_s if plates else 0.0
        if since_s > FOLLOW_S:
            plating_s += since_s if since_s - step_s <= FOLLOW_S else step_s
    return plating_s


def _false_sustain_s(trace: Trace) -> float:
    sustain = STATES.index(ChargeState.SUSTAIN)
    names = (Column.STEP_S, Column.STATE, Column.SOC_PERCENT)
    rows = zip(*(trace.column(name) for name in names), strict=True)
    return math.fsum(step_s for step_s, state, soc_percent in rows if state == sustain and soc_percent > _EMPTY_PERCENT)


def _discharged_wh(trace: Trace) -> float:
    names = (Column.STEP_S, Column.CURRENT_A, Column.PACK_V)
    rows = zip(*(trace.column(name) for name in names), strict=True)
    return math.fsum(-current_a * pack_v * step_s for step_s, current_a, pack_v in rows if current_a < 0.0) / 3600.0
