"""Which protections of the BMS better limits would have prevented."""

from collections import Counter

from tinybms_bridge.bench.judge import Protection, Trip
from tinybms_bridge.bench.trace import Column, Run

__all__ = ["FROST_GRACE_S", "avoidable_trips"]

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
    - in an island "discharged" and discharge over-current: the inverter heeds no DCL but 0, and 0 switches the loads
      off just as the BMS does.

    """
    counted = Counter(trip.protection.label for trip in run.trips if not _unavoidable(run, trip))
    return dict(counted)


def _unavoidable(run: Run, trip: Trip) -> bool:
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
