"""Days on which nothing goes wrong, and days with clouds."""

from tinybms_bridge.bench.battery import BatteryPlan
from tinybms_bridge.bench.scenario import Scenario
from tinybms_bridge.bench.scenarios.parts import HOUR_S, SELLING
from tinybms_bridge.bench.weather import ClearSky, Clouds, Constant, Seasons, Steps, Swing

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
)
"""In the order of the table."""
