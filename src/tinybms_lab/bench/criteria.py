"""The bar: what has to hold in every scenario."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tinybms_lab.bench.changes import Rise
from tinybms_lab.bench.metrics import Metrics
from tinybms_lab.bench.scenario import Scenario, UserProfile

__all__ = ["CRITERIA", "CriterionViolation", "violations"]

CRITERIA = (
    "no over-voltage protection of the BMS trips",
    "the highest cell stays 10 mV below its cut-off",
    "CVL changes direction at most twice an hour in steady state, more often only where it enforces a CCL",
    "a CCL or DCL that the readings demand is sent within one second",
    "CCL rises no faster than its ramp, and CVL in its steps, also over a silence or a restart",
    "FLOAT is reached with a battery that is nearly full, where the sun is enough",
    "CVL is never below the floor, and 0.4 V below it where nothing else ends a charge",
    "no other protection of the BMS trips that better limits would have prevented",
    "the battery is not left short of charge at the end of the day",
    "what the user asked of the battery happens",
    "what has to flow flows, and no more than may, whatever the line makes of the readings",
    "DCL changes direction at most twice an hour under a steady load",
    "the charger switch of the BMS does not open with more than 2 A or 0.02C",
    "no more flows in than plates no lithium at the temperature of the cells",
    "SUSTAIN is for a battery that is empty",
    "a battery with room is charged on every day of sun, also after its BMS called it full",
    "cells are at high voltage no longer than a scenario allows, and the battery gets full all the same",
    "the shown state of charge is no further off than a scenario allows",
    "unequal cells are alike as soon as a scenario demands",
    "the BMS does not switch the loads off more often than a scenario allows",
)
"""In the order in which they are judged."""

_HEADROOM_MV = 10.0
_DELAY_S = 1.0
_RESOLUTION_V = 0.05
_OVER_VOLTAGE = "over-voltage"
_DISCHARGED = "discharged"
_DCL_TURNS_PER_H = 2.0


@dataclass(frozen=True, slots=True)
class CriterionViolation:
    """One criterion that a run does not hold."""

    name: str
    """One or two words."""
    text: str
    """What was found, with its number."""


def violations(metrics: Metrics, scenario: Scenario) -> tuple[CriterionViolation, ...]:
    """Return what a run does not hold, in the order of ``CRITERIA``; empty when it holds everything."""
    findings = (
        (
            _OVER_VOLTAGE in metrics.trips,
            "over-voltage",
            f"over-voltage protection tripped {metrics.trips.get(_OVER_VOLTAGE, 0)} times",
        ),
        (
            metrics.headroom_mv < _HEADROOM_MV,
            "headroom",
            f"highest cell {metrics.highest_cell_v:.3f} V, {metrics.headroom_mv:.0f} mV below its cut-off",
        ),
        (
            metrics.reversals_per_h > scenario.most_turns_per_h,
            "turns",
            f"CVL turned {metrics.reversals_per_h:.0f} times within an hour of steady state",
        ),
        (
            metrics.reduction_delay_s > _DELAY_S + 1e-6,
            "delay",
            f"a demanded reduction came after {metrics.reduction_delay_s:.0f} s",
        ),
        (metrics.ccl_rise.too_fast, "ramp", f"CCL rose by {_rise(metrics.ccl_rise, 'A/s', 1)}"),
        (metrics.cvl_rise.too_fast, "jump", f"CVL rose by {_rise(metrics.cvl_rise, 'V/s', 3)}"),
        (
            scenario.expects_float and metrics.time_to_float_s is None,
            "no float",
            "FLOAT was not reached with a battery that is nearly full",
        ),
        (
            metrics.cvl_lowest_v < metrics.least_cvl_v - _RESOLUTION_V,
            "floor",
            f"CVL {metrics.cvl_lowest_v:.1f} V, the least is {metrics.least_cvl_v:.1f} V",
        ),
    )
    broken = [CriterionViolation(name, text) for is_broken, name, text in findings if is_broken]
    found = (*broken, *_battery_violations(metrics, scenario), *_life_violations(metrics, scenario))
    return tuple(violation for violation in found if violation.name not in scenario.excused)


def _battery_violations(metrics: Metrics, scenario: Scenario) -> Iterator[CriterionViolation]:
    """Yield what becomes of the battery and should not."""
    trips = {name: count for name, count in metrics.avoidable_trips.items() if name != _OVER_VOLTAGE}
    if trips:
        told = ", ".join(f"{name} {count} times" for name, count in trips.items())
        yield CriterionViolation("trips", f"protections tripped that limits can prevent: {told}")
    for finding in metrics.findings:
        if not finding.kept:
            yield CriterionViolation("flow", f"{finding.bound}: {finding}")
    if scenario.user_profile is not None:
        yield from _profile_violations(metrics, scenario.user_profile)
    elif metrics.soc_short_percent > scenario.most_short_percent:
        yield CriterionViolation(
            "short",
            f"the battery ends {metrics.soc_short_percent:.1f} % short of an ideal charger's, "
            f"allowed are {scenario.most_short_percent:.1f} %",
        )


def _life_violations(metrics: Metrics, scenario: Scenario) -> Iterator[CriterionViolation]:
    """Yield what wears the battery, or what its owner lacks, in the long run."""
    life, bar = metrics.life, scenario.bar
    days, most_days = life.balanced_after_days, bar.balanced_after_days
    empty_trips = metrics.trips.get(_DISCHARGED, 0)
    findings = (
        (
            life.dcl_turns_per_h > _DCL_TURNS_PER_H,
            "DCL turns",
            f"DCL turned {life.dcl_turns_per_h:.0f} times within an hour of steady load",
        ),
        (life.hard_openings > 0, "switch", f"the charger switch opened under current {life.hard_openings} times"),
        (
            life.plating_min > 0.0,
            "plating",
            f"more current than cold cells take flowed in for {life.plating_min:.1f} min",
        ),
        (
            scenario.user_profile is None and life.false_sustain_h > 0.0,
            "SUSTAIN",
            f"SUSTAIN for {life.false_sustain_h:.1f} h with a battery that is not empty",
        ),
        (
            scenario.user_profile is None and life.idle_days > 0,
            "no charge",
            f"on {life.idle_days} days of sun a battery with room was not charged",
        ),
        (
            life.high_h_per_day > bar.high_h_per_day,
            "high",
            f"{life.high_h_per_day:.2f} h a day at high voltage, allowed are {bar.high_h_per_day:g} h",
        ),
        (
            life.high_h_usual_day > bar.high_h_usual_day,
            "high",
            f"{life.high_h_usual_day:.2f} h at high voltage on a usual day, allowed are {bar.high_h_usual_day:g} h",
        ),
        (
            life.top_percent < bar.top_percent,
            "top",
            f"on half of the days the battery gets to {life.top_percent:.1f} % only, not {bar.top_percent:g} %",
        ),
        (
            life.count_error_percent > bar.count_error_percent,
            "count",
            f"the shown SOC was {life.count_error_percent:.1f} % off, allowed are {bar.count_error_percent:g} %",
        ),
        (
            math.isfinite(most_days) and (days is None or days > most_days),
            "balance",
            f"cells alike {_after(days)}, not by day {most_days:g}; the spread is {life.spread_end_ah:.1f} Ah",
        ),
        (
            bar.empty_trips is not None and empty_trips > bar.empty_trips,
            "dark",
            f"the BMS switched the loads off {empty_trips} times",
        ),
    )
    yield from [CriterionViolation(name, text) for is_broken, name, text in findings if is_broken]


def _profile_violations(metrics: Metrics, user_profile: UserProfile) -> Iterator[CriterionViolation]:
    ends = (metrics.soc_end_percent, metrics.soc_end_percent)
    for bounds, found, when in (
        (user_profile.soc_percent, metrics.soc_range_percent, "was"),
        (user_profile.soc_end_percent, ends, "ended"),
    ):
        if not bounds[0] <= found[0] <= found[1] <= bounds[1]:
            span = " to ".join(f"{percent:.1f}" for percent in dict.fromkeys(found))
            yield CriterionViolation(
                "wish", f"SOC {when} at {span} %, asked for was {bounds[0]:.0f} to {bounds[1]:.0f} %"
            )
    if metrics.full_charges != user_profile.full_charges and user_profile.full_charges is not None:
        yield CriterionViolation(
            "wish", f"the battery became full {metrics.full_charges} times in place of {user_profile.full_charges}"
        )


def _after(days: float | None) -> str:
    return "never" if days is None else f"after {days:.1f} days"


def _rise(rise: Rise, unit: str, digits: int) -> str:
    return f"{rise.fastest:.{digits}f} {unit}, its ramp is {rise.ramp:.{digits}f} {unit}"
