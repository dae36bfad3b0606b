"""What a run amounts to, in numbers, and which protections of the BMS better limits would have prevented."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.battery import least_cvl_v
from tinybms_lab.bench.changes import Rise, ccl_rise, count_reversals, cvl_rise
from tinybms_lab.bench.flows import FlowFinding, Ideal, findings
from tinybms_lab.bench.lives import Life, live, most_within
from tinybms_lab.bench.protections import Protection, ProtectionTrip
from tinybms_lab.bench.trace import STATES, Column, Run, Trace

__all__ = ["FROST_GRACE_S", "Metrics", "avoidable_trips", "longest_disobedience_s", "measure"]

FROST_GRACE_S = 30.0
"""Charging that frost needs to be stopped: limits are on their way for a burst, a loop of the GX and the lag of the
chargers, and under feed-in the current has to flow for a while before it shows that CCL is not heard. While the BMS
keeps its switch open no current shows anything."""
_CHARGES_A = 0.8
"""A charger counts as there above this current."""
_ONE_CAUSE_S = 600.0
"""A reading that dances around its threshold is one cause, however often it crosses."""
_ISLAND_ONLY = frozenset({Protection.DISCHARGED, Protection.DISCHARGE_CURRENT})


def avoidable_trips(run: Run) -> dict[str, int]:
    """Return the avoidable protections by name, and how often each opened a switch.

    Not avoidable are

    - cold charge, before ``FROST_GRACE_S`` of charging have passed since the frost began;
    - in an island "discharged" and discharge over-current: the inverter obeys no DCL but 0, and 0 switches the loads
      off just as the BMS does.

    """
    counted = Counter(trip.protection.label for trip in run.trips if not _unavoidable(run, trip))
    return dict(counted)


def _unavoidable(run: Run, trip: ProtectionTrip) -> bool:
    if trip.protection in _ISLAND_ONLY:
        return run.scenario.system.island
    if trip.protection is Protection.COLD_CHARGE:
        return _charged_in_frost_s(run, trip.time_s) <= FROST_GRACE_S
    return False


def _charged_in_frost_s(run: Run, until_s: float) -> float:
    """Return for how long current has flowed in since the frost began that is in force at a time."""
    charged_s, frost_s = 0.0, float("-inf")
    names = (Column.TIME_S, Column.STEP_S, Column.CURRENT_A, Column.CCL_DEMAND_A)
    times_s, steps_s, currents_a, demands_a = (run.trace.column(name) for name in names)
    for time_s, step_s, current_a, demand_a in zip(times_s, steps_s, currents_a, demands_a, strict=True):
        if time_s > until_s:
            break
        if demand_a == 0.0:
            charged_s = 0.0 if time_s - frost_s > _ONE_CAUSE_S else charged_s
            frost_s = time_s
        charged_s += step_s if current_a > _CHARGES_A else 0.0
    return charged_s


_RESOLUTION = 0.05
_NEAR_FULL_PERCENT = 5.0
"""A FLOAT further below what an ideal charger reaches is none: the count was wrong."""
_FULL_PERCENT = 2.0
"""A battery this little below what an ideal charger reaches is full."""
_NO_LONGER_FULL_PERCENT = 6.0


@dataclass(frozen=True, slots=True)
class Metrics:
    """Measures of one run. Voltages of cells are true ones, limits are those on the bus."""

    scenario: str
    controller: str
    highest_cell_v: float
    headroom_mv: float
    """Over-voltage cutoff less the highest cell."""
    overshoot_mv: float
    """Highest cell above full charge (register 300); 0 when it stayed below."""
    lowest_cell_v: float
    state_s: dict[str, float]
    """Time in each charge state, and without frames as ``-``."""
    reversals_per_h: float
    """Most changes of direction of CVL within any hour of steady state."""
    reversals: int
    """Changes of direction in the whole run, disturbances included."""
    energy_lost_wh: float
    """Solar energy that an ideal charger would have harvested beyond this run's."""
    energy_lost_percent: float
    """Of what the ideal charger harvests."""
    trips: dict[str, int]
    """Protections of the BMS by name, and how often each opened a switch."""
    avoidable_trips: dict[str, int]
    """Those of them that better limits would have prevented."""
    time_to_float_s: float | None
    """From the first sun until FLOAT with a battery that is nearly full indeed; None when that never came."""
    reduction_delay_s: float
    """Longest time for which CCL or DCL was above what the readings demanded."""
    ccl_rise: Rise
    """In A/s."""
    cvl_rise: Rise
    """In V/s."""
    cvl_lowest_v: float
    """Infinite when nothing was ever sent."""
    least_cvl_v: float
    """Below which CVL never goes."""
    unserved_wh: float
    """Energy that the loads of an island did not get."""
    soc_short_percent: float
    """How much more an ideal charger would have stored by the end; shows what selling hides in the energy lost."""
    soc_range_percent: tuple[float, float]
    """Lowest and highest true state of charge."""
    soc_end_percent: float
    full_charges: int
    """How often the battery became full."""
    findings: tuple[FlowFinding, ...] = ()
    """What flowed, beside the bounds of the scenario."""
    life: Life = field(default_factory=Life)
    """What it does to the battery in the long run."""


def measure(run: Run, ideal: Ideal) -> Metrics:
    """Return the measures of a run; ``ideal`` is what the ideal charger makes of the same scenario."""
    scenario, trace = run.scenario, run.trace
    ratings = scenario.battery.ratings()
    highest_v, soc_percent = max(trace.column(Column.HIGHEST_V)), trace.column(Column.SOC_PERCENT)
    reversals = count_reversals(trace, one_c_w=_one_c_w(run))
    lost_wh = ideal.solar_wh - _energy_wh(trace, Column.SOLAR_W)
    return Metrics(
        scenario=scenario.name,
        controller=run.controller,
        highest_cell_v=highest_v,
        headroom_mv=(ratings.over_voltage_cell_v - highest_v) * 1000.0,
        overshoot_mv=max(highest_v - ratings.fully_charged_cell_v, 0.0) * 1000.0,
        lowest_cell_v=min(trace.column(Column.LOWEST_V)),
        state_s=_time_in_states(trace),
        reversals_per_h=float(most_within(reversals.steady_s, 3600.0)),
        reversals=len(reversals.all_s),
        energy_lost_wh=lost_wh,
        energy_lost_percent=100.0 * lost_wh / ideal.solar_wh if ideal.solar_wh > 0.0 else 0.0,
        trips=dict(Counter(trip.protection.label for trip in run.trips)),
        avoidable_trips=avoidable_trips(run),
        time_to_float_s=_time_to_float_s(trace, ideal.highest_soc_percent - _NEAR_FULL_PERCENT),
        reduction_delay_s=max(
            longest_disobedience_s(trace, Column.CCL_A, Column.CCL_DEMAND_A),
            longest_disobedience_s(trace, Column.DCL_A, Column.DCL_DEMAND_A),
        ),
        ccl_rise=ccl_rise(run),
        cvl_rise=cvl_rise(run),
        cvl_lowest_v=min((v for v in trace.column(Column.CVL_V) if not math.isnan(v)), default=math.inf),
        least_cvl_v=least_cvl_v(ratings, scenario.settings),
        unserved_wh=_unserved_wh(run),
        soc_short_percent=ideal.soc_percent - soc_percent[-1],
        soc_range_percent=(min(soc_percent), max(soc_percent)),
        soc_end_percent=soc_percent[-1],
        full_charges=_full_charges(soc_percent, ideal.highest_soc_percent),
        findings=findings(run),
        life=live(run),
    )


def longest_disobedience_s(trace: Trace, limit: Column, demand: Column) -> float:
    """Return the longest time for which a limit on the bus was above what was demanded; silence obeys."""
    longest_s = since_s = 0.0
    columns = (trace.column(Column.STEP_S), trace.column(limit), trace.column(demand))
    for step_s, limit_a, demand_a in zip(*columns, strict=True):
        since_s = since_s + step_s if limit_a > demand_a + _RESOLUTION else 0.0
        longest_s = max(longest_s, since_s)
    return longest_s


def _one_c_w(run: Run) -> float:
    battery = run.scenario.battery
    return battery.capacity_ah * battery.cells * battery.ratings().fully_charged_cell_v


def _energy_wh(trace: Trace, power: Column) -> float:
    columns = (trace.column(power), trace.column(Column.STEP_S))
    return sum(power_w * step_s for power_w, step_s in zip(*columns, strict=True)) / 3600.0


def _unserved_wh(run: Run) -> float:
    if not run.scenario.system.island:
        return 0.0
    return _energy_wh(run.trace, Column.LOAD_W) - _energy_wh(run.trace, Column.SERVED_W)


def _time_in_states(trace: Trace) -> dict[str, float]:
    spent_s: defaultdict[str, float] = defaultdict(float)
    for state, step_s in zip(trace.column(Column.STATE), trace.column(Column.STEP_S), strict=True):
        spent_s["-" if state < 0 else str(STATES[int(state)])] += step_s
    return dict(spent_s)


def _time_to_float_s(trace: Trace, least_percent: float) -> float | None:
    float_index = STATES.index(ChargeState.FLOAT)
    sunrise_s: float | None = None
    names = (Column.TIME_S, Column.SUN_W, Column.STATE, Column.SOC_PERCENT, Column.BALANCING)
    for time_s, sun_w, state, soc_percent, balancing in zip(*(trace.column(name) for name in names), strict=True):
        if sunrise_s is None and sun_w > 0.0:
            sunrise_s = time_s
        over = state == float_index or balancing > 0.0  # cells that are apart are balanced instead
        if sunrise_s is not None and over and soc_percent >= least_percent:
            return float(time_s - sunrise_s)
    return None


def _full_charges(soc_percent: Iterable[float], most_percent: float) -> int:
    count, full = 0, False
    for percent in soc_percent:
        if not full and percent >= most_percent - _FULL_PERCENT:
            count, full = count + 1, True
        elif percent < most_percent - _NO_LONGER_FULL_PERCENT:
            full = False
    return count
