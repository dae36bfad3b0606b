"""Ordinary days: nothing goes wrong, clouds, the three tests of the Victron document, and their neighbours.

Those tests are feed-in, imbalance, and more sun than needed.
"""

from tinybms_lab.bench.battery import BatteryPlan
from tinybms_lab.bench.scenario import Scenario
from tinybms_lab.bench.scenarios.parts import HOUR_S, NO_SALE, SELLING, STRONG_SUN, UNEQUAL
from tinybms_lab.bench.weather import ClearSky, Clouds, Constant, Seasons, Steps, Swing
from tinybms_lab.gx.dvcc import SystemPlan

__all__ = ["SCENARIOS"]

SCENARIOS = (
    Scenario(
        "sunny-day",
        "24 hours off grid under a clear sky, with an evening load",
        battery=BatteryPlan(soc=0.35),
        load=Steps(350.0, ((18 * HOUR_S, 1800.0), (23 * HOUR_S, 250.0))),
        start_h=4.0,
        hours=24.0,
    ),
    Scenario(
        "seasons",
        "30 days from midwinter to midsummer",
        battery=BatteryPlan(soc=0.6),
        sun=Seasons(30, winter_w=2000.0, summer_w=7000.0),
        load=Constant(280.0),
        ambient=Swing(15.0, 5.0),
        start_h=0.0,
        hours=720.0,
        step_s=15.0,
        longest_step_s=120.0,
    ),
    Scenario(
        "weak-sun",
        "Panels that never give more than 0.05 C",
        sun=ClearSky(1100.0),
        hours=6.0,
        battery=BatteryPlan(soc=0.94, soc_error_percent=-4.0),
    ),
    Scenario("cloudy-day", "Clouds whose edges pass within a second", sun=Clouds(ClearSky(7500.0), seed=4), hours=5.0),
    Scenario(
        "cloudy-feed-in",
        "The same clouds while surplus is sold",
        system=SELLING,
        sun=Clouds(ClearSky(7500.0), seed=4),
        hours=5.0,
    ),
    Scenario(
        "feed-in", "Victron's test: surplus is sold, chargers at CVL + 0.4 V, no CCL", system=SELLING, sun=STRONG_SUN
    ),
    Scenario(
        "imbalance",
        "Victron's test: one cell 3 % fuller than the rest",
        battery=BatteryPlan(odd=UNEQUAL),
        hours=7.0,  # such a charge ends after four hours at the top, without the battery being full
    ),
    Scenario(
        "imbalance-feed-in",
        "One cell 3 % fuller while surplus is sold",
        system=SELLING,
        battery=BatteryPlan(odd=UNEQUAL),
        sun=STRONG_SUN,
        hours=6.0,
    ),
    Scenario(
        "excess-pv",
        "Victron's test: more sun than loads, battery and buyers take",
        system=SystemPlan(feed_in=True, island=False, export_max_w=2500.0),
        sun=ClearSky(10_000.0),
    ),
    Scenario("no-sale", "More sun than needed, on the grid, nothing may be sold", system=NO_SALE, sun=STRONG_SUN),
)
"""In the order of the table."""
