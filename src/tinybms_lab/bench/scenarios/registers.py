"""Units whose settings, board or cells are not what they should be, for two weeks each."""

from dataclasses import replace

from tinybms_lab.bench.battery import BatteryPlan, OddCell
from tinybms_lab.bench.dirt import SensorPlan
from tinybms_lab.bench.scenario import Bar, Scenario
from tinybms_lab.bench.scenarios.parts import top_balanced
from tinybms_lab.bench.weather import Constant, Days, Profile
from tinybms_lab.bms.chemistry import LFP

__all__ = ["SCENARIOS"]

_DAYS = 14
_SUN = Days(tuple(4000.0 * share for share in (1.0, 1.0, 0.3, 1.0, 0.6, 1.0, 0.2)) * 2)
_DARK = Days(tuple(4000.0 * share for share in (1.0, 1.0, 0.3, 1.0, 0.3, 1.0, 1.0)) * 2)
"""Two cloudy days a week, after each of which the battery is nearly empty in the morning and full at noon."""
_HOUSE = top_balanced(BatteryPlan(soc=0.6))


def _fortnight(
    name: str,
    title: str,
    battery: BatteryPlan,
    *,
    sensors: SensorPlan = SensorPlan(),  # noqa: B008 -- frozen
    sun: Profile = _SUN,
    load: Profile = Constant(400.0),  # noqa: B008 -- frozen
    bar: Bar = Bar(),  # noqa: B008 -- frozen
    most_short_percent: float = 3.0,
) -> Scenario:
    return Scenario(
        name,
        title,
        battery=battery,
        sensors=sensors,
        sun=sun,
        load=load,
        start_h=0.0,
        hours=24.0 * _DAYS - 5.0,
        step_s=5.0,
        longest_step_s=60.0,
        bar=bar,
        most_short_percent=most_short_percent,
    )


SCENARIOS = (
    _fortnight(
        "factory-balancing",
        "Registers 303 and 308 as they come from the factory: 3.20 V and 15 mV",
        replace(_HOUSE, registers=replace(LFP.settings, early_balancing_mv=3200, allowed_disbalance_mv=15)),
    ),
    _fortnight(
        "full-at-370",
        "Register 300 at 3.70 V, as in the screenshot of the manual",
        replace(_HOUSE, registers=replace(LFP.settings, fully_charged_mv=3700, over_voltage_mv=3800)),
        bar=Bar(high_h_per_day=1.0),
    ),
    _fortnight(
        "capacity-too-high",
        "Register 306 is 30 % above the true capacity; cloudy days take the battery near empty",
        replace(_HOUSE, stated_capacity=1.3),
        sun=_DARK,
        load=Constant(625.0),
        bar=Bar(top_percent=99.0),
    ),
    _fortnight(
        "capacity-too-low",
        "Register 306 is 30 % below the true capacity; cloudy days take the battery near empty",
        replace(_HOUSE, stated_capacity=0.7),
        sun=_DARK,
        load=Constant(625.0),
        bar=Bar(top_percent=99.0),
    ),
    _fortnight(
        "unseen-loads",
        "Loads of 35 W that a Hall sensor does not see, and a count of the BMS that never falls",
        _HOUSE,
        load=Constant(35.0),
        sensors=SensorPlan(current_offset_a=0.0),
        bar=Bar(top_percent=98.0, count_error_percent=5.0, count_from_h=40.0),
    ),
    _fortnight(
        "mixed-age",
        "Cells of different age: 75 to 100 % of the capacity, up to three times the resistance",
        replace(
            _HOUSE,
            odd=tuple(
                OddCell(i, capacity_factor=1.0 - 0.25 * (i % 4) / 3.0, resistance_factor=1.0 + 2.0 * (i % 4) / 3.0)
                for i in range(16)
            ),
        ),
        sun=_DARK,
        load=Constant(540.0),
        most_short_percent=4.0,
    ),
)
"""In the order of the table."""
