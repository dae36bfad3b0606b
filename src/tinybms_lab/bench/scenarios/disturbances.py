"""Load steps, restarts, silence, and an empty battery."""

from dataclasses import replace

from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.scenario import Fault, FaultKind, Scenario
from tinybms_lab.bench.scenarios.parts import HOUR_S, SELLING, SMALL_LFP, STRONG_SUN, UNEQUAL
from tinybms_lab.bench.weather import Constant, Pulses

__all__ = ["SCENARIOS"]


def _faults(kind: FaultKind, *times: tuple[int, int]) -> tuple[Fault, ...]:
    """Return faults at minutes after 9 o'clock, each for some seconds."""
    return tuple(Fault(kind, 9 * HOUR_S + 60.0 * minutes, float(for_s)) for minutes, for_s in times)


SCENARIOS = (
    Scenario(
        "load-steps",
        "10 kW switched on and off within a second, under a strong sun",
        sun=STRONG_SUN,
        load=Pulses(400.0, 10_400.0, 9.0 * HOUR_S + 1080.0, 900.0, 240.0),
    ),
    Scenario(
        "load-steps-full",
        "The 10 kW steps with a battery that is full already",
        battery=BatteryPlan(soc=0.96),
        sun=STRONG_SUN,
        load=Pulses(400.0, 10_400.0, 10.0 * HOUR_S, 600.0, 30.0),
    ),
    Scenario(
        "load-steps-feed-in",
        "The 10 kW steps with a full battery while surplus is sold",
        battery=BatteryPlan(soc=0.96),
        system=SELLING,
        sun=STRONG_SUN,
        load=Pulses(400.0, 10_400.0, 10.0 * HOUR_S, 600.0, 30.0),
    ),
    Scenario(
        "gx-restart",
        "The GX restarts: while charging, and in float",
        sun=STRONG_SUN,
        system=SELLING,
        faults=_faults(FaultKind.GX_RESTART, (12, 90), (120, 90), (210, 90)),
    ),
    Scenario(
        "bms-silent",
        "The BMS is silent for 2 s, 10 s and 2 minutes: while charging, and in float",
        sun=STRONG_SUN,
        faults=_faults(FaultKind.BMS_SILENT, (6, 2), (18, 10), (30, 120), (150, 2), (162, 10), (174, 120)),
    ),
    Scenario(
        "bms-silent-feed-in",
        "The BMS is silent for 10 s and 2 minutes while surplus is sold",
        sun=STRONG_SUN,
        system=SELLING,
        faults=_faults(FaultKind.BMS_SILENT, (12, 10), (24, 120), (180, 10), (210, 120)),
    ),
    Scenario(
        "bridge-restart",
        "The bridge restarts once in every charge state, from an empty battery to a full one",
        battery=replace(SMALL_LFP, soc=0.03, odd=UNEQUAL),
        sun=STRONG_SUN,
        load=Constant(100.0),
        restart_in_each_state=True,
        most_short_percent=4.0,  # one cell is 3 % fuller than the rest
        hours=8.0,  # and such a charge ends after four hours at the top
    ),
    Scenario(
        "deep-discharge",
        "An evening off grid that empties the battery",
        battery=BatteryPlan(soc=0.14),
        sun=Constant(0.0),
        load=Constant(1500.0),
        start_h=18.0,
        hours=3.0,
        expects_float=False,
    ),
)
"""In the order of the table."""
